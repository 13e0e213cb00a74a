/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"
#include "io/clock.h"
#include "unit/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

static char dir[256], path[300];

static int setup(void **state)
{
    (void)state;
    scratch_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/f", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static void test_read_write_map(void **state)
{
    (void)state;
    struct file *f, *g;
    char b[16];
    size_t n;
    uint64_t size;
    void *map;
    assert_int_equal(file_open(path, FILE_READ, &f), -ENOENT);
    assert_int_equal(file_open(path, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &f), 0);
    assert_int_equal(file_open(path, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &g), -EEXIST);
    assert_int_equal(file_allocate(f, 8192), 0);
    assert_int_equal(file_size(f, &size), 0);
    assert_int_equal(size, 8192);
    assert_int_equal(file_write(f, 8190, "abcd", 4), 0);
    assert_int_equal(file_read(f, 8188, b, 16, &n), 0);
    assert_int_equal(n, 6);
    assert_memory_equal(b, "\0\0abcd", 6);
    assert_int_equal(file_map(f, 8192, true, &map), 0);
    memcpy(map, "mapped", 6);
    assert_int_equal(file_sync(f), 0);
    file_close(f);
    ((char *)map)[0] = 'M'; /* outlives the handle */
    assert_int_equal(file_open(path, FILE_READ, &f), 0);
    assert_int_equal(file_read(f, 0, b, 6, &n), 0);
    assert_memory_equal(b, "Mapped", 6);
    assert_true(file_write(f, 0, "x", 1) < 0);
    file_close(f);
    file_unmap(map, 8192);
    assert_int_equal(file_open(path, FILE_WRITE, &f), 0);
    assert_int_equal(file_punch(f, 0, 4096), 0);
    assert_int_equal(file_read(f, 0, b, 1, &n), 0);
    assert_int_equal(b[0], 0);
    assert_int_equal(file_truncate(f, 3), 0);
    assert_int_equal(file_size(f, &size), 0);
    assert_int_equal(size, 3);
    file_close(f);
    file_close(NULL);
}

static void test_lock(void **state)
{
    (void)state;
    struct file *f, *g;
    assert_int_equal(file_open(path, FILE_WRITE | FILE_CREATE, &f), 0);
    assert_int_equal(file_lock(f), 0);
    assert_int_equal(file_open(path, FILE_WRITE, &g), 0);
    assert_int_equal(file_lock(g), -EWOULDBLOCK);
    file_close(f);
    assert_int_equal(file_lock(g), 0);
    file_close(g);
}

static void count_names(void *ctx, const char *name)
{
    assert_string_equal(name, "f");
    ++*(int *)ctx;
}

static void test_whole(void **state)
{
    (void)state;
    char *p;
    size_t n;
    int names = 0;
    assert_int_equal(file_load(path, 100, &p, &n), -ENOENT);
    assert_int_equal(file_store(path, "hello", 5), 0);
    assert_int_equal(file_store(path, "world!", 6), 0);
    assert_int_equal(file_load(path, 6, &p, &n), 0);
    assert_int_equal(n, 6);
    assert_string_equal(p, "world!");
    free(p);
    assert_int_equal(file_load(path, 5, &p, &n), -EFBIG);
    assert_int_equal(file_list(dir, count_names, &names), 0);
    assert_int_equal(names, 1); /* no temporary file stays */
    char *big = calloc(1, 100000);
    assert_int_equal(file_store(path, big, 100000), 0);
    assert_int_equal(file_load(path, 100000, &p, &n), 0);
    assert_int_equal(n, 100000);
    free(p);
    free(big);
    assert_int_equal(file_store(path, "", 0), 0);
    assert_int_equal(file_load(path, 0, &p, &n), 0);
    assert_int_equal(n, 0);
    free(p);
}

static void test_folders(void **state)
{
    (void)state;
    char sub[320], slash[330];
    (void)snprintf(sub, sizeof(sub), "%s/sub", dir);
    (void)snprintf(slash, sizeof(slash), "%s/sub/", dir);
    assert_int_equal(file_make_dir(slash), 0);
    assert_int_equal(file_make_dir(sub), 0);
    assert_int_equal(file_store(path, "", 0), 0);
    assert_int_equal(file_make_dir(path), -ENOTDIR);
    assert_int_equal(file_sync_dir(sub), 0);
    assert_int_equal(file_list("/nowhere/at/all", count_names, NULL), -ENOENT);
    assert_false(file_can_map("/nowhere/at/all"));
    assert_false(file_can_map("/proc"));
}

static void test_clock(void **state)
{
    (void)state;
    uint64_t a = clock_boot_ns(), b = clock_boot_ns();
    assert_true(b >= a && a > 0);
    assert_true(clock_wall_ns() > INT64_C(1600000000000000000));
    assert_true(strlen(clock_boot_id()) == 36 || strlen(clock_boot_id()) == 0);
    (void)clock_synchronised();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read_write_map, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
