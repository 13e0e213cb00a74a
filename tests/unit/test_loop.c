/* SPDX-License-Identifier: Apache-2.0 */
/* loop: signals at its end. */
#include "unit.h"

#include "io/loop.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_signal(void *ctx)
{
    loop_stop(ctx);
}

/* A second SIGTERM, while what is left is freed: the exit code is the process's own. */
static void test_a_signal_behind_the_end(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct loop *l = loop_new();
        struct loop_timer *t = loop_timer_new(l, on_signal, l);
        loop_signal(l, LOOP_TERM, on_signal, l);
        loop_signal(l, LOOP_HUP, on_signal, l);
        loop_timer_start(t, 20000, 0); /* keeps it turning */
        (void)kill(getpid(), SIGTERM);
        loop_run(l);
        loop_timer_free(t);
        loop_free(l);
        (void)kill(getpid(), SIGTERM);
        (void)kill(getpid(), SIGHUP);
        _exit(7);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_signal_behind_the_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
