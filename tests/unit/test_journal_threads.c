/* SPDX-License-Identifier: Apache-2.0 */
/* Two appenders, a reader, a thread that syncs, prepares and releases: for ThreadSanitizer. */
/* tsan: yes */
#include "io/journal.h"
#include "unit/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

enum { EACH = 20000 };
static struct journal *j;
static atomic_bool done;
static _Atomic uint64_t passed;

static void *append_some(void *arg)
{
    uint64_t me = (uint64_t)(uintptr_t)arg;
    for (uint64_t i = 0; i < EACH;) {
        uint64_t body[20] = {me, i}, end, t;
        struct record r = {.type = RECORD_MESSAGE,
                           .topic = "topic",
                           .topic_len = 5,
                           .body = (const char *)body,
                           .body_len = sizeof(body)};
        int e = journal_append(j, &r, &end);
        if (e == 0 && journal_end(j) < end)
            abort();
        if (e == 0)
            i++;
        else if (e != -ENOSPC)
            abort();
        if (i % 100 == 0)
            journal_tick(j, &t, &end);
    }
    return NULL;
}

static void *keep_house(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        struct journal_stats st;
        if (journal_wants_prepare(j))
            (void)journal_prepare(j);
        if (journal_sync(j) != 0 || journal_release(j, atomic_load(&passed), NULL) != 0)
            abort();
        journal_stats(j, &st);
    }
    return NULL;
}

static void run(enum journal_copy copy, enum conf_sync sync)
{
    char dir[256];
    struct err err;
    struct journal_recovery rec;
    struct journal_reader *r;
    pthread_t a, b, house;
    scratch_make(dir, sizeof(dir));
    struct journal_options o = {.dir = dir,
                                .max_bytes = 4 << 20,
                                .segment_bytes = 256 << 10,
                                .sync = sync,
                                .copy = copy};
    atomic_store(&done, false);
    atomic_store(&passed, 0);
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    assert_int_equal(journal_reader_open(j, 0, &r), 0);
    assert_int_equal(pthread_create(&a, NULL, append_some, (void *)0), 0);
    assert_int_equal(pthread_create(&b, NULL, append_some, (void *)1), 0);
    assert_int_equal(pthread_create(&house, NULL, keep_house, NULL), 0);
    uint64_t next[2] = {0, 0}, last = 0;
    for (uint64_t n = 0; n < 2 * EACH;) {
        struct record x;
        int e = journal_read(r, &x);
        assert_true(e == 0 || e == 1);
        if (e == 0) {
            sched_yield();
            continue;
        }
        uint64_t body[20];
        assert_int_equal(x.body_len, sizeof(body));
        memcpy(body, x.body, sizeof(body));
        assert_int_equal(body[1], next[body[0]]++);
        assert_int_equal(x.messages, ++n);
        assert_true(x.engine_ns > last);
        last = x.engine_ns;
        atomic_store(&passed, x.end);
    }
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    atomic_store(&done, true);
    pthread_join(house, NULL);
    journal_reader_close(r);
    assert_int_equal(journal_close(j), 0);
    scratch_remove(dir);
}

static void *make_room(void *arg)
{
    (void)arg;
    struct timespec t = {0, 50000000};
    (void)nanosleep(&t,
                    NULL); /* the appender is likely to wait by then; it works before, too */
    if (journal_sync(j) != 0 || journal_release(j, atomic_load(&passed), NULL) != 0)
        abort();
    return NULL;
}

/* The quota is full; room comes while the appender waits, or does not. */
static void test_patient(void **state)
{
    (void)state;
    char dir[256];
    struct err err;
    struct journal_recovery rec;
    pthread_t house;
    uint64_t end;
    char body[1000] = {0};
    struct record r = {.type = RECORD_MESSAGE,
                       .topic = "t",
                       .topic_len = 1,
                       .body = body,
                       .body_len = sizeof(body)};
    scratch_make(dir, sizeof(dir));
    struct journal_options o = {.dir = dir, .max_bytes = 65536, .segment_bytes = 16384};
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    while (journal_append(j, &r, &end) == 0)
        atomic_store(&passed, end);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(journal_append(j, &r, &end), -ENOSPC);
        assert_int_equal(pthread_create(&house, NULL, make_room, NULL), 0);
        assert_int_equal(journal_append_patient(j, &r, 60000, &end), 0);
        pthread_join(house, NULL);
        while (journal_append(j, &r, &end) == 0)
            atomic_store(&passed, end);
    }
    assert_int_equal(journal_append_patient(j, &r, 150, &end), -ENOSPC);
    r.type = RECORD_LINK_DOWN; /* has its reserve */
    assert_int_equal(journal_append_patient(j, &r, 60000, &end), 0);
    assert_int_equal(journal_close(j), 0);
    scratch_remove(dir);
}

static void test_mapped(void **state)
{
    (void)state;
    run(JOURNAL_COPY_MAP, CONF_SYNC_INTERVAL);
}

static void test_written(void **state)
{
    (void)state;
    run(JOURNAL_COPY_WRITE, CONF_SYNC_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mapped),
                                       cmocka_unit_test(test_written),
                                       cmocka_unit_test(test_patient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
