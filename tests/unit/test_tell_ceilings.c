/* SPDX-License-Identifier: Apache-2.0 */
/* What there is no room for is counted, and said once: with low ceilings. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "tell_rig.h"

#include "app/tell_private.h"

#include <fcntl.h>
#include <unistd.h>

static int log_fd, stderr_fd;

static void log_begin(void)
{
    log_fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(log_fd >= 0);
    stderr_fd = dup(STDERR_FILENO);
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
}

/* Lines with this text. */
static unsigned log_end(const char *text)
{
    char all[16384];
    unsigned n = 0;
    assert_true(dup2(stderr_fd, STDERR_FILENO) >= 0);
    close(stderr_fd);
    ssize_t len = pread(log_fd, all, sizeof(all) - 1, 0);
    close(log_fd);
    assert_true(len >= 0 && len < (ssize_t)sizeof(all) - 1);
    all[len] = '\0';
    for (const char *at = all; (at = strstr(at, text)); at++)
        n++;
    return n;
}

static void test_too_many_firms(void **state)
{
    (void)state;
    log_begin();
    start(1, 0);
    tell->most_firms = 1;
    up();
    settle();
    assert_int_equal(stats().firms_not_kept, 1); /* of wk and lh */
    for (int i = 0; i < 3; i++)
        message(P "presence/lh", "{\"state\":\"online\"}", false, NULL, NULL);
    message(P "presence/wk", "{\"state\":\"online\"}", false, NULL, NULL);
    message(P "presence/of-nobody", "{\"state\":\"online\"}", false, NULL, NULL);
    run_ms(50);
    assert_int_equal(stats().firms_not_kept, 4);
    assert_int_equal(stats().presence_online, 1);
    finish();
    assert_int_equal(log_end("firms: whether the others listen is not recorded (firm lh"), 1);
}

static void keep_topics(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char topic[128];
        snprintf(topic, sizeof(topic), P "alerts/wk/c1/cq.all.1.x.%u", i);
        keep(topic, "{\"stream\":\"cq/all/1\",\"seq\":1}");
    }
}

static void test_too_many_retained(void **state)
{
    (void)state;
    log_begin();
    start(1, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":1}");
    keep_topics(5);
    tell->most_retained = 3;
    up();
    settle();
    assert_int_equal(stats().emptied, 3);
    assert_int_equal(stats().retained_not_kept, 2);
    down(0);
    run_ms(50);
    up();
    settle(); /* the others, now that there is room */
    assert_int_equal(stats().emptied, 5);
    assert_int_equal(stats().retained_not_kept, 2);
    down(0);
    run_ms(50);
    keep_topics(5);
    up();
    settle();
    assert_int_equal(stats().retained_not_kept, 4);
    finish();
    assert_int_equal(log_end("more than 3 states of ours"), 2); /* and once that it was over */
}

static void test_the_ceilings(void **state)
{
    (void)state;
    start(1, 0);
    assert_int_equal(tell->most_firms, TELL_FIRMS_MAX);
    assert_int_equal(tell->most_retained, TELL_RETAINED_MAX);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_many_firms),
        cmocka_unit_test(test_too_many_retained),
        cmocka_unit_test(test_the_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
