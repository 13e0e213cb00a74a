/* SPDX-License-Identifier: Apache-2.0 */
#include "io/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/gaihou-secret-XXXXXX";
static char path[256];

static void put(const char *name, const void *p, size_t n, mode_t mode)
{
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void expect_secret(const char *content, const char *secret)
{
    struct err err = {{0}}, remark;
    char *got = NULL;
    put("s", content, strlen(content), 0600);
    assert_int_equal(secret_load(path, &err, &remark, &got), 0);
    assert_string_equal(got, secret);
    assert_string_equal(remark.text, "");
    secret_free(got);
}

static void expect_refused(const char *name, int code, const char *words)
{
    struct err err = {{0}};
    char *got = (char *)0x1;
    assert_int_equal(secret_load(name, &err, NULL, &got), code);
    assert_ptr_equal(got, (char *)0x1); /* untouched */
    assert_non_null(strstr(err.text, words));
    assert_null(strstr(err.text, "hunter2"));
}

static void one_newline_goes(void **state)
{
    (void)state;
    expect_secret("hunter2", "hunter2");
    expect_secret("hunter2\n", "hunter2");
    expect_secret("hunter2\r\n", "hunter2");
    expect_secret(" hunter2 \n", " hunter2 ");
    expect_secret("密码\n", "密码");
}

static void other_content_is_refused(void **state)
{
    (void)state;
    put("s", "", 0, 0600);
    expect_refused(path, -EINVAL, "empty");
    put("s", "\n", 1, 0600);
    expect_refused(path, -EINVAL, "empty");
    put("s", "hunter2\n\n", 9, 0600);
    expect_refused(path, -EINVAL, "one line");
    put("s", "hunter2\nx\n", 10, 0600);
    expect_refused(path, -EINVAL, "one line");
    put("s", "hunter2\0x", 9, 0600);
    expect_refused(path, -EINVAL, "one line");
    static char big[SECRET_MAX_BYTES + 10];
    memset(big, 'x', sizeof(big));
    put("s", big, SECRET_MAX_BYTES + 1, 0600);
    expect_refused(path, -EFBIG, "64 KiB");
    put("s", big, sizeof(big), 0600);
    expect_refused(path, -EFBIG, "64 KiB");
}

static void the_ceiling_itself_fits(void **state)
{
    (void)state;
    static char big[SECRET_MAX_BYTES + 2];
    char *got = NULL;
    memset(big, 'x', SECRET_MAX_BYTES);
    big[SECRET_MAX_BYTES] = '\n';
    put("s", big, SECRET_MAX_BYTES + 1, 0600);
    assert_int_equal(secret_load(path, NULL, NULL, &got), 0);
    assert_int_equal(strlen(got), SECRET_MAX_BYTES);
    secret_free(got);
}

static void world_readable_is_said(void **state)
{
    (void)state;
    struct err remark;
    char *got = NULL;
    put("s", "hunter2\n", 8, 0644);
    assert_int_equal(secret_load(path, NULL, &remark, &got), 0);
    assert_non_null(strstr(remark.text, "everybody"));
    assert_non_null(strstr(remark.text, path));
    assert_null(strstr(remark.text, "hunter2"));
    secret_free(got);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    expect_refused("/nonexistent/secret", -ENOENT, "No such file");
    expect_refused(dir, -EINVAL, "not a file");
    (void)snprintf(path, sizeof(path), "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(path, -EINVAL, "not a file"); /* and does not wait */
    (void)unlink(path);
    if (geteuid() != 0) { /* root may read anything */
        put("s", "hunter2", 7, 0);
        expect_refused(path, -EACCES, "Permission");
    }
}

static void names_are_credentials(void **state)
{
    (void)state;
    char *got = NULL;
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    expect_refused("main", -ENOENT, "LoadCredential=main");
    (void)setenv("CREDENTIALS_DIRECTORY", dir, 1);
    expect_refused("main", -ENOENT, "No such file");
    put("main", "hunter2\n", 8, 0400);
    assert_int_equal(secret_load("main", NULL, NULL, &got), 0);
    assert_string_equal(got, "hunter2");
    secret_free(got);
    expect_refused("..", -EINVAL, "name");
    expect_refused("", -EINVAL, "name");
    (void)unlink(path);
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void free_takes_null(void **state)
{
    (void)state;
    secret_free(NULL);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    (void)unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_newline_goes),
        cmocka_unit_test(other_content_is_refused),
        cmocka_unit_test(the_ceiling_itself_fits),
        cmocka_unit_test(world_readable_is_said),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(names_are_credentials),
        cmocka_unit_test(free_takes_null),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
