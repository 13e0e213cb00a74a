/* SPDX-License-Identifier: Apache-2.0 */
/* A failing and a full disk: an error at every call in turn, never silent, and what the promise
 * covers is there afterwards. */
#include "io/journal.h"
#include "sim/fake_clock.h"
#include "sim/fake_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { SEGMENT = 16384, RECORDS = 60 };
static struct err err;
static struct journal_recovery rec;

static struct journal_options options(enum journal_copy copy, enum conf_sync sync)
{
    return (struct journal_options){.dir = "j",
                                    .max_bytes = 20 * SEGMENT,
                                    .segment_bytes = SEGMENT,
                                    .sync = sync,
                                    .copy = copy};
}

static int put(struct journal *j)
{
    static const char body[1000];
    struct record r = {.type = RECORD_MESSAGE, .body = body, .body_len = sizeof(body)};
    uint64_t end;
    return journal_append(j, &r, &end);
}

static unsigned count(struct journal *j)
{
    struct journal_reader *r;
    struct record x;
    unsigned n = 0;
    int e;
    assert_int_equal(journal_reader_open(j, 0, &r), 0);
    while ((e = journal_read(r, &x)) == 1)
        assert_int_equal(x.messages, ++n);
    assert_int_equal(e, 0);
    journal_reader_close(r);
    return n;
}

/* One run with the nth call of a kind failing. Returns whether the fault struck. */
static bool run(enum journal_copy copy, enum conf_sync sync, enum fake_call call, unsigned nth,
                int error, uint64_t *seed)
{
    struct journal_options o = options(copy, sync);
    struct journal *j;
    unsigned good = 0, synced = 0;
    int first = 0;
    fake_file_reset();
    fake_file_fail(call, nth, error, 0);
    int e = journal_open(&o, &err, &rec, &j);
    if (e < 0) {
        assert_int_equal(e, error);
        assert_true(err.text[0] != '\0');
        return true;
    }
    for (int i = 0; i < RECORDS; i++) {
        e = put(j);
        first = first ? first : e;
        if (e == 0)
            good++;
        if (first && error != -ENOSPC)
            assert_int_equal(e, first); /* final: never again a promise */
        if (first && error == -ENOSPC && call != FAKE_SYNC)
            assert_true(e == 0 || e == -ENOSPC);
        if (first == -EIO)
            assert_int_equal(e, -EIO);
        if (i % 7 == 3 && journal_sync(j) == 0)
            synced = good;
        if (i % 13 == 12)
            (void)journal_prepare(j);
        if (sync == CONF_SYNC_ALWAYS)
            synced = good;
    }
    struct journal_stats st;
    journal_stats(j, &st);
    bool struck = first != 0 || st.failed != 0 || st.prepare_failed != 0;
    if (error == -ENOSPC && call != FAKE_SYNC)
        assert_int_equal(st.failed, 0);
    else if (first && first != -ENOSPC)
        assert_int_equal(st.failed, first);
    if (error == -ENOSPC && st.failed)
        assert_int_equal(st.failed,
                         -EIO); /* a sync that failed for want of room is no less final */
    if (st.failed)
        assert_int_equal(journal_close(j), st.failed);
    fake_file_power_cut(seed);
    fake_file_fail(call, 0, 0, 0);
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    unsigned there = count(j);
    assert_in_range(there, synced, (unsigned)RECORDS);
    assert_int_equal(put(j), 0);
    assert_int_equal(journal_close(j), 0);
    return struck;
}

static void every(enum journal_copy copy, enum conf_sync sync, enum fake_call call, int error)
{
    uint64_t seed = 1;
    unsigned nth = 1, quiet = 0;
    for (; quiet < 40;
         nth++) { /* a fault may strike where nobody is told: making a segment ahead */
        if (run(copy, sync, call, nth, error, &seed))
            quiet = 0;
        else
            quiet++;
    }
    print_message("  %u calls\n", nth - quiet - 1);
    assert_true(nth - quiet - 1 > 3 || (copy == JOURNAL_COPY_MAP && call == FAKE_WRITE));
}

static void test_every_call(void **state)
{
    (void)state;
    static const int errors[] = {-EIO, -ENOSPC};
    for (int c = FAKE_WRITE; c <= FAKE_MAKE; c++)
        for (int e = 0; e < 2; e++)
            for (int s = 0; s < 2; s++) {
                every(JOURNAL_COPY_MAP, s ? CONF_SYNC_ALWAYS : CONF_SYNC_NEVER,
                      (enum fake_call)c, errors[e]);
                every(JOURNAL_COPY_WRITE, s ? CONF_SYNC_ALWAYS : CONF_SYNC_NEVER,
                      (enum fake_call)c, errors[e]);
            }
}

static void test_full_disk_heals(void **state)
{
    (void)state;
    struct journal *j;
    struct journal_stats st;
    unsigned n = 0, low = 0;
    struct journal_options o = options(JOURNAL_COPY_MAP, CONF_SYNC_INTERVAL);
    fake_file_reset();
    fake_file_limit(2 * SEGMENT + 100);
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    int e;
    while ((e = put(j)) == 0) {
        n++;
        if (journal_wants_prepare(j))
            (void)journal_prepare(j);
        journal_stats(j, &st);
        low += st.low_space;
    }
    assert_int_equal(e, -ENOSPC);
    assert_int_equal(n, 22);
    assert_in_range(low, 2, 5); /* the last quarter */
    journal_stats(j, &st);
    assert_int_equal(st.failed, 0);
    assert_int_equal(st.prepare_failed, -ENOSPC);
    fake_file_limit(10 * SEGMENT);
    fake_clock_boot += UINT64_C(2000000000);
    assert_true(journal_wants_prepare(j));
    assert_int_equal(journal_prepare(j), 0);
    assert_int_equal(put(j), 0);
    journal_stats(j, &st);
    assert_false(st.low_space);
    assert_int_equal(count(j), 23);
    assert_int_equal(journal_close(j), 0);
}

/* Room that is wanting when the record itself is written is waited for as any other. */
static void test_patient_of_a_write(void **state)
{
    (void)state;
    struct journal *j;
    struct journal_options o = options(JOURNAL_COPY_WRITE, CONF_SYNC_INTERVAL);
    static const char body[1000];
    struct record r = {.type = RECORD_MESSAGE, .body = body, .body_len = sizeof(body)};
    uint64_t end;
    fake_file_reset();
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    fake_file_fail(FAKE_WRITE, 1, -ENOSPC, 0);
    assert_int_equal(put(j), -ENOSPC);
    fake_file_fail(FAKE_WRITE, 1, -EDQUOT, 0);
    assert_int_equal(journal_append_patient(j, &r, 60000, &end), 0);
    assert_int_equal(r.messages, 1);
    fake_file_fail(FAKE_WRITE, 1, -ENOSPC, 1);
    assert_int_equal(journal_append_patient(j, &r, 150, &end), -ENOSPC);
    fake_file_fail(FAKE_WRITE, 1, -EIO, 0);
    assert_int_equal(journal_append_patient(j, &r, 60000, &end), -EIO); /* no room helps */
    fake_file_fail(FAKE_WRITE, 0, 0, 0);
    assert_int_equal(journal_close(j), -EIO);
}

static void test_full_disk_still_opens(void **state)
{
    (void)state;
    struct journal *j;
    struct journal_options o = options(JOURNAL_COPY_MAP, CONF_SYNC_INTERVAL);
    o.segment_bytes = 4 * SEGMENT;
    o.max_bytes = 40 * SEGMENT;
    fake_file_reset();
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(put(j), 0);
    fake_file_kill();
    fake_file_limit(9 * SEGMENT); /* there is room for a small segment at most */
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    assert_int_equal(count(j), RECORDS);
    assert_int_equal(put(j), 0);
    assert_int_equal(journal_close(j), 0);
}

static void test_failed_sync_is_final(void **state)
{
    (void)state;
    struct journal *j;
    struct journal_options o = options(JOURNAL_COPY_MAP, CONF_SYNC_INTERVAL);
    fake_file_reset();
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    assert_int_equal(put(j), 0);
    uint64_t synced = journal_synced(j);
    fake_file_fail(FAKE_SYNC, 1, -EIO,
                   0); /* the next one would succeed, and must not be asked */
    assert_int_equal(journal_sync(j), -EIO);
    assert_int_equal(journal_sync(j), -EIO);
    assert_int_equal(journal_prepare(j), -EIO);
    assert_int_equal(put(j), -EIO);
    assert_int_equal(journal_synced(j), synced);
    assert_int_equal(journal_close(j), -EIO);
}

/* A killed process frees nothing; here its journal stays behind. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* The end may lie where a segment begins, before any record in it: the sync between failed here,
 * or lasts. A reader that read everything stands at the end all the same. */
static void test_end_at_a_segment(void **state)
{
    (void)state;
    struct journal_options o = options(JOURNAL_COPY_MAP, CONF_SYNC_NEVER);
    unsigned between = 0;
    for (unsigned nth = 1; nth < 40; nth++) {
        struct journal *j;
        struct journal_reader *r;
        struct record x;
        uint64_t last = 0;
        fake_file_reset();
        assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
        fake_file_fail(FAKE_SYNC, nth, -EIO, 0);
        for (int i = 0; i < RECORDS && put(j) == 0; i++)
            ;
        assert_int_equal(journal_reader_open(j, 0, &r), 0);
        while (journal_read(r, &x) == 1)
            last = x.end;
        between += last < journal_end(j);
        assert_true(journal_reader_at(r) == journal_end(j));
        journal_reader_close(r);
        (void)journal_close(j);
        fake_file_fail(FAKE_SYNC, 0, 0, 0);
    }
    assert_true(between > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call),
        cmocka_unit_test(test_full_disk_heals),
        cmocka_unit_test(test_patient_of_a_write),
        cmocka_unit_test(test_full_disk_still_opens),
        cmocka_unit_test(test_failed_sync_is_final),
        cmocka_unit_test(test_end_at_a_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
