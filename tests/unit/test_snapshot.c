/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"
#include "io/snapshot.h"
#include "snapshot_write.h"
#include "unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static char dir[256];
static struct err why;

static int setup(void **state)
{
    (void)state;
    scratch_make(dir, sizeof(dir));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static void put(uint64_t offset, const char *text)
{
    struct position p = {offset, offset * 10, offset * 100};
    assert_int_equal(snapshot_write(dir, &p, text, strlen(text)), 0);
}

static void damage(int serial, off_t at)
{
    char path[320], c;
    (void)snprintf(path, sizeof(path), "%s/snapshot-%016x.bin", dir, (unsigned)serial);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c = (char)~c;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void expect(const struct position *max, uint64_t offset, const char *text,
                   unsigned skipped)
{
    struct snapshot s;
    assert_int_equal(snapshot_load_newest(dir, max, &why, &s), 0);
    assert_int_equal(s.position.offset, offset);
    assert_int_equal(s.position.tick, offset * 10);
    assert_int_equal(s.position.ordinal, offset * 100);
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.bytes, text, s.len);
    assert_int_equal(s.skipped, skipped);
    assert_int_equal(why.text[0] != '\0', skipped > 0);
    free(s.bytes);
}

static void test_two_are_kept(void **state)
{
    (void)state;
    struct snapshot s;
    struct position p[5];
    assert_int_equal(snapshot_load_newest(dir, NULL, &why, &s), -ENOENT);
    assert_int_equal(snapshot_list(dir, p, 5), 0);
    put(1, "one");
    put(2, "");
    put(3, "three");
    assert_int_equal(snapshot_list(dir, p, 5), 2);
    assert_int_equal(p[0].offset, 3);
    assert_int_equal(p[1].offset, 2);
    expect(NULL, 3, "three", 0);
    expect(&(struct position){3, 29, 0}, 2, "", 0);
    assert_int_equal(snapshot_load_newest(dir, &(struct position){1, 99, 0}, &why, &s),
                     -ENOENT);
}

static void test_damage_falls_back(void **state)
{
    (void)state;
    struct position p[5];
    struct snapshot s;
    put(1, "one");
    put(2, "two");
    static const off_t places[] = {0, 8, 12, 16, 24, 47, 48, 50};
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        damage(2, places[i]);
        expect(NULL, 1, "one", 1);
        damage(2, places[i]);
        expect(NULL, 2, "two", 0);
    }
    damage(2, 50);
    put(3, "three");
    assert_int_equal(snapshot_list(dir, p, 5), 2); /* the good old one was not pruned */
    assert_int_equal(p[1].offset, 1);
    damage(3, 50);
    damage(1, 50);
    assert_int_equal(snapshot_load_newest(dir, NULL, &why, &s), -ENOENT);
    assert_true(why.text[0] != '\0');
}

static uint64_t bytes_read;
int __real_file_read(struct file *f, uint64_t at, void *p, size_t n, size_t *out_n);
int __wrap_file_read(struct file *f, uint64_t at, void *p, size_t n, size_t *out_n);
int __wrap_file_read(struct file *f, uint64_t at, void *p, size_t n, size_t *out_n)
{
    int r = __real_file_read(f, at, p, n, out_n);
    bytes_read += r == 0 ? *out_n : 0;
    return r;
}

static bool cannot_map;
int __real_file_map(struct file *f, uint64_t size, bool writable, void **out);
int __wrap_file_map(struct file *f, uint64_t size, bool writable, void **out);
int __wrap_file_map(struct file *f, uint64_t size, bool writable, void **out)
{
    return cannot_map ? -ENODEV : __real_file_map(f, size, writable, out);
}

#define HEAD  48
#define STATE 200000 /* more than is read at a time */

static void put_long(uint64_t offset)
{
    char *text = malloc(STATE + 1);
    memset(text, (int)('a' + offset % 26), STATE);
    text[STATE] = '\0';
    put(offset, text);
    free(text);
}

static void is_newest(struct snapshots *s, const struct position *max, uint64_t offset)
{
    struct snapshot one;
    assert_int_equal(snapshots_newest(s, max, &why, &one), 0);
    assert_int_equal(one.position.offset, offset);
    assert_int_equal(one.len, STATE);
    for (size_t i = 0; i < STATE; i++)
        assert_int_equal(((char *)one.bytes)[i], 'a' + offset % 26);
}

/* What a start asks: is it damaged, what does it know, is it beyond the store, what is in it. */
static void test_each_is_read_once(void **state)
{
    (void)state;
    struct snapshots *s;
    put_long(1);
    put_long(2);
    bytes_read = 0;
    assert_int_equal(snapshots_open(dir, &s), 0);
    is_newest(s, NULL, 2);
    assert_false(snapshots_beyond(s, &(struct position){2, 20, 200}));
    is_newest(s, &(struct position){2, 20, 200}, 2);
    assert_string_equal(why.text, "");
    snapshots_close(s);
    assert_int_equal(bytes_read, 2 * HEAD + STATE); /* of the other one the head */

    bytes_read = 0; /* a store that was put back */
    assert_int_equal(snapshots_open(dir, &s), 0);
    is_newest(s, NULL, 2);
    assert_true(snapshots_beyond(s, &(struct position){1, 10, 100}));
    is_newest(s, &(struct position){1, 10, 100}, 1);
    assert_true(snapshots_beyond(s, &(struct position){1, 10, 99}));
    snapshots_close(s);
    assert_int_equal(bytes_read, 2 * HEAD + 2 * STATE);
}

/* The newest stands before an older one, as behind a store that was put back. */
static void test_newest_stays(void **state)
{
    (void)state;
    struct snapshots *s;
    put_long(9);
    put_long(2);
    bytes_read = 0;
    assert_int_equal(snapshots_open(dir, &s), 0);
    is_newest(s, NULL, 2);
    struct position told[3];
    assert_int_equal(snapshots_told(s, told, 3), 2);
    assert_int_equal(told[0].offset, 2);
    assert_int_equal(told[1].offset, 9);
    assert_true(snapshots_beyond(s, &(struct position){5, 0, 0}));
    is_newest(s, &(struct position){5, 0, 0}, 2);
    snapshots_close(s);
    assert_int_equal(bytes_read, 3 * HEAD + 2 * STATE);
}

/* As put(); what the journal may be released to then. */
static uint64_t put_and_release(uint64_t offset)
{
    struct position p = {offset, offset * 10, offset * 100};
    struct snapshot_writer *w = NULL;
    uint64_t release = 0;
    assert_int_equal(snapshot_begin(dir, &w), 0);
    assert_int_equal(snapshot_put(w, "state", 5), 0);
    assert_int_equal(snapshot_seal(w, &p), 0);
    assert_int_equal(snapshot_commit(w, &release), 0);
    return release;
}

/* A start that went back behind the newest one passes the journal again from an older one: what lies
 * between is needed until there are two of that. */
static void test_beyond_releases_nothing(void **state)
{
    (void)state;
    struct position p[5];
    put(5, "old");
    put(9, "refused");
    assert_int_equal(put_and_release(7), 5);
    assert_int_equal(snapshot_list(dir, p, 5), 3);
    assert_int_equal(p[2].offset, 5); /* it is what there is if the new one gets damaged */
    assert_int_equal(put_and_release(8), 7);
    assert_int_equal(snapshot_list(dir, p, 5), 2);
    assert_int_equal(p[0].offset, 8);
    assert_int_equal(p[1].offset, 7);
}

/* Passed again from the journal's beginning: there is no other one yet. */
static void test_only_beyond_releases_nothing(void **state)
{
    (void)state;
    put(8, "refused");
    put(9, "refused");
    assert_int_equal(put_and_release(3), 0);
    assert_int_equal(put_and_release(4), 3);
    assert_int_equal(put_and_release(4), 4); /* where the engine still stands is not beyond */
}

static void test_damage_is_seen_once(void **state)
{
    (void)state;
    struct snapshots *s;
    struct snapshot one;
    put_long(1);
    put_long(2);
    damage(2, HEAD + STATE - 1);
    bytes_read = 0;
    assert_int_equal(snapshots_open(dir, &s), 0);
    for (int i = 0; i < 3; i++) {
        is_newest(s, NULL, 1);
        assert_non_null(strstr(why.text, "snapshot-0000000000000002.bin"));
    }
    assert_false(
        snapshots_beyond(s, &(struct position){1, 10, 100})); /* it is not a good one */
    snapshots_close(s);
    assert_int_equal(bytes_read, 2 * HEAD + 2 * STATE);
    /* one that is cut or goes on is not read at all */
    char path[320];
    (void)snprintf(path, sizeof(path), "%s/snapshot-0000000000000001.bin", dir);
    for (int longer = -1; longer <= 1; longer += 2) {
        assert_int_equal(truncate(path, HEAD + STATE + longer), 0);
        bytes_read = 0;
        assert_int_equal(snapshots_open(dir, &s), 0);
        assert_int_equal(snapshots_newest(s, NULL, &why, &one), -ENOENT);
        assert_non_null(strstr(why.text, "not as long as it says"));
        assert_false(snapshots_beyond(s, &(struct position){0}));
        snapshots_close(s);
        assert_int_equal(bytes_read, 2 * HEAD + STATE);
    }
}

/* A file system that maps nothing: it is copied. */
static void test_without_maps(void **state)
{
    (void)state;
    struct snapshots *s;
    put_long(1);
    put_long(2);
    cannot_map = true;
    assert_int_equal(snapshots_open(dir, &s), 0);
    is_newest(s, NULL, 2);
    is_newest(s, &(struct position){1, 10, 100}, 1);
    snapshots_close(s);
    cannot_map = false;
}

/* A loaded one is there for as long as its set, whatever becomes of its file's name: a set may have been
 * opened before the folder was ours. */
static void test_unlinked_while_held(void **state)
{
    (void)state;
    struct snapshots *s;
    char path[320];
    put_long(1);
    put_long(2);
    assert_int_equal(snapshots_open(dir, &s), 0);
    is_newest(s, NULL, 2);
    (void)snprintf(path, sizeof(path), "%s/snapshot-0000000000000002.bin", dir);
    assert_int_equal(unlink(path), 0);
    is_newest(s, NULL, 2);
    snapshots_close(s);
}

/* A set that was opened before the folder was ours is of use if it is what a new one would be. */
static void test_still(void **state)
{
    (void)state;
    struct snapshots *s;
    assert_int_equal(snapshots_open(dir, &s), 0);
    assert_true(snapshots_still(s)); /* none, and none */
    put(1, "one");
    assert_false(snapshots_still(s));
    snapshots_close(s);
    assert_int_equal(snapshots_open(dir, &s), 0);
    assert_true(snapshots_still(s));
    put(2, "two");
    assert_false(snapshots_still(s));
    snapshots_close(s);
    assert_int_equal(snapshots_open(dir, &s), 0);
    put(3, "three"); /* as many as before */
    assert_false(snapshots_still(s));
    snapshots_close(s);
    assert_int_equal(snapshots_open(dir, &s), 0);
    damage(3, 12); /* the checksum: another file of that name */
    assert_false(snapshots_still(s));
    damage(3, 12);
    assert_true(snapshots_still(s));
    damage(3, 0);
    assert_false(snapshots_still(s));
    snapshots_close(s);
    assert_int_equal(snapshots_open(dir, &s), 0);
    assert_false(snapshots_still(s)); /* what was bad is asked again */
    snapshots_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_falls_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_is_read_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newest_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beyond_releases_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_beyond_releases_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_seen_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_maps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unlinked_while_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_still, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
