/* SPDX-License-Identifier: Apache-2.0 */
/* ahead: what a start reads on a thread of its own while it reads other files. */
/* tsan: yes */
#include "unit.h"

#include "io/ahead.h"
#include "io/snapshot.h"
#include "snapshot_write.h"
#include "unit/scratch.h"

#include <pthread.h>
#include <signal.h>

#define STATE ((size_t)3 << 20)

struct start {
    char dir[256];
    struct snapshots *set;
    pthread_t by;
    sigset_t signals;
};

static void read_newest(void *ctx)
{
    struct start *s = ctx;
    struct snapshot one;
    s->by = pthread_self();
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &s->signals), 0);
    assert_int_equal(snapshots_open(s->dir, &s->set), 0);
    assert_int_equal(snapshots_newest(s->set, NULL, NULL, &one), 0);
}

static void read_beside(void **state)
{
    (void)state;
    struct start s = {.set = NULL};
    struct snapshot one;
    char *bytes = malloc(STATE);
    scratch_make(s.dir, sizeof(s.dir));
    memset(bytes, 'x', STATE);
    assert_int_equal(snapshot_write(s.dir, &(struct position){7, 8, 9}, bytes, STATE), 0);
    struct ahead *a = ahead_begin(read_newest, &s);
    assert_non_null(a);
    memset(bytes, 'y', STATE); /* something else to do */
    ahead_end(a);
    assert_false(pthread_equal(s.by, pthread_self()));
    assert_true(sigismember(&s.signals, SIGTERM)); /* signals are for who began it */
    assert_true(snapshots_still(s.set));
    assert_int_equal(snapshots_newest(s.set, NULL, NULL, &one), 0);
    assert_int_equal(one.position.offset, 7);
    assert_int_equal(one.len, STATE);
    for (size_t i = 0; i < STATE; i++)
        assert_int_equal(((const char *)one.bytes)[i], 'x');
    snapshots_close(s.set);
    scratch_remove(s.dir);
    free(bytes);
    ahead_end(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_beside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
