/* SPDX-License-Identifier: Apache-2.0 */
/* The disk fails under a mapped segment: one line, and 74. The file is made shorter below the
 * mapping, which raises the signal that a page which cannot be read or written raises. */
#include "io/journal.h"
#include "unit/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { SEGMENT = 1 << 20, MANY = 2000 };

/* Exits with 1 if it could append to the end, 2 if something else went wrong. */
static void append_to_a_short_file(const char *dir)
{
    struct journal_options o = {.dir = dir,
                                .max_bytes = 8 * SEGMENT,
                                .segment_bytes = SEGMENT,
                                .sync = CONF_SYNC_NEVER,
                                .copy = JOURNAL_COPY_MAP};
    struct journal_recovery rec;
    struct journal *j;
    struct err err;
    static const char body[400];
    char path[320];
    journal_sigbus_install();
    if (journal_open(&o, &err, &rec, &j) != 0)
        _exit(2);
    (void)snprintf(path, sizeof(path), "%s/%016x.journal", dir, 0);
    for (int i = 0; i < MANY; i++) {
        struct record r = {
            .type = RECORD_MESSAGE, .topic = "", .body = body, .body_len = sizeof(body)};
        uint64_t end;
        if (i == 20 && truncate(path, 8192) != 0)
            _exit(2);
        if (journal_append(j, &r, &end) != 0)
            _exit(2);
    }
    _exit(1);
}

static void test_one_line_and_74(void **state)
{
    (void)state;
    char dir[256], text[2000];
    int lines[2], status;
    size_t n = 0;
    ssize_t k;
    scratch_make(dir, sizeof(dir));
    assert_int_equal(pipe(lines), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(lines[1], STDERR_FILENO);
        (void)close(lines[0]);
        append_to_a_short_file(dir);
    }
    (void)close(lines[1]);
    while ((k = read(lines[0], text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)k;
    text[n] = '\0';
    (void)close(lines[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 74);
    assert_int_equal(strncmp(text, "<3>journal: the disk failed", 27), 0);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_line_and_74)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
