/* SPDX-License-Identifier: Apache-2.0 */
#include "io/content.h"
#include "io/file.h"
#include "unit/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void test_content(void **state)
{
    (void)state;
    char base[256], dir[300], a[33], b[33], again[33], path[400], *p;
    size_t n;
    (void)snprintf(dir, sizeof(dir), "%s/gen", scratch_make(base, sizeof(base)));
    assert_int_equal(content_prune(dir, 0, ""), 0); /* no folder yet */
    assert_int_equal(content_put(dir, "alpha", 5, a), 0);
    assert_int_equal(content_put(dir, "", 0, b), 0);
    assert_string_equal(b, "99aa06d3014798d86001c324468d497f"); /* XXH3-128 of nothing */
    assert_int_equal(content_put(dir, "alpha", 5, again), 0);
    assert_string_equal(a, again);
    assert_int_equal(content_get(dir, a, &p, &n), 0);
    assert_int_equal(n, 5);
    assert_string_equal(p, "alpha");
    free(p);
    assert_int_equal(content_get(dir, "../../../../../../../etc/passwd00", &p, &n), -ENOENT);
    assert_int_equal(content_get(dir, "", &p, &n), -ENOENT);

    (void)snprintf(path, sizeof(path), "%s/%s", dir, a);
    assert_int_equal(file_store(path, "alphA", 5), 0); /* rot */
    assert_int_equal(content_get(dir, a, &p, &n), -EBADMSG);
    static const char *const not_it[] = {"alphA", "alph", "alphabet", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(file_store(path, not_it[i], strlen(not_it[i])), 0);
        assert_int_equal(content_put(dir, "alpha", 5, a), 0); /* mends */
        assert_int_equal(content_get(dir, a, &p, &n), 0);
        assert_string_equal(p, "alpha");
        free(p);
    }

    scratch_remove(base);
}

static bool there(const char *dir, const char *hex)
{
    char *p;
    size_t n;
    if (content_get(dir, hex, &p, &n) != 0)
        return false;
    free(p);
    return true;
}

/* Five generations, each from a hundred times its number on. */
static void five(const char *dir, char hex[5][CONTENT_HEX + 1])
{
    static const char *const texts[] = {"a", "b", "c", "d", "e"};
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(content_put(dir, texts[i], 1, hex[i]), 0);
        assert_int_equal(content_use(dir, hex[i], i * 100), 0);
        assert_int_equal(content_use(dir, hex[i], i * 100 + 50),
                         0); /* a start without change */
    }
}

static void test_prune(void **state)
{
    (void)state;
    char base[256], dir[300], hex[5][CONTENT_HEX + 1], other[CONTENT_HEX + 1];
    scratch_make(base, sizeof(base));
    (void)snprintf(dir, sizeof(dir), "%s/generations", base);
    five(dir, hex);
    assert_int_equal(content_put(dir, "refused", 7, other), 0);
    /* the second one's record stands somewhere from 100 on, surely below 200 */
    assert_int_equal(content_prune(dir, 199, hex[4]), 0);
    assert_true(there(dir, hex[0]));
    assert_false(there(dir, other)); /* never used */
    assert_int_equal(content_prune(dir, 200, hex[4]), 0);
    assert_false(there(dir, hex[0]));
    assert_true(there(dir, hex[1]));
    assert_int_equal(content_prune(dir, 1000, hex[4]), 0);
    assert_false(there(dir, hex[2]));
    assert_true(there(dir, hex[3]));
    assert_true(there(dir, hex[4]));
    /* one that comes back is in use again, and its file needs to be put again */
    assert_int_equal(content_put(dir, "a", 1, hex[0]), 0);
    assert_int_equal(content_use(dir, hex[0], 1100), 0);
    assert_int_equal(content_prune(dir, 1050, hex[4]), 0);
    assert_true(there(dir, hex[0]) && there(dir, hex[4]));
    scratch_remove(base);
}

static void test_used(void **state)
{
    (void)state;
    char base[256], dir[300], hex[5][CONTENT_HEX + 1], used[CONTENT_HEX + 1];
    scratch_make(base, sizeof(base));
    (void)snprintf(dir, sizeof(dir), "%s/generations", base);
    assert_int_equal(content_used(dir, 0, used), -ENOENT);
    five(dir, hex);
    for (uint64_t at = 0; at < 1000; at += 25) {
        assert_int_equal(content_used(dir, at, used), 0);
        assert_string_equal(used, hex[at / 100 < 4 ? at / 100 : 4]);
    }
    assert_int_equal(content_prune(dir, 250, hex[4]), 0);
    assert_int_equal(content_used(dir, 99, used), -ENOENT);
    scratch_remove(base);
}

static void test_prune_without_knowing(void **state)
{
    (void)state;
    char base[256], dir[300], path[340], hex[5][CONTENT_HEX + 1];
    scratch_make(base, sizeof(base));
    (void)snprintf(dir, sizeof(dir), "%s/generations", base);
    (void)snprintf(path, sizeof(path), "%s/uses", dir);
    five(dir, hex);
    assert_int_equal(file_store(path, "nonsense", 8), 0);
    assert_int_equal(content_use(dir, hex[4], 450), 0); /* all that is known begins here */
    assert_int_equal(content_prune(dir, 449, hex[4]), 0);
    for (int i = 0; i < 5; i++)
        assert_true(there(dir, hex[i]));
    assert_int_equal(content_prune(dir, 450, hex[4]), 0);
    for (int i = 0; i < 4; i++)
        assert_false(there(dir, hex[i]));
    assert_true(there(dir, hex[4]));
    /* the power took the journal's end, and with it the record of the one noted last */
    assert_int_equal(content_put(dir, "b", 1, hex[1]), 0);
    assert_int_equal(content_use(dir, hex[1], 600), 0);
    assert_int_equal(content_use(dir, hex[4], 550), 0);
    assert_int_equal(content_prune(dir, 550, hex[4]), 0);
    assert_false(there(dir, hex[1]));
    assert_true(there(dir, hex[4]));
    scratch_remove(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content), cmocka_unit_test(test_prune),
        cmocka_unit_test(test_used), cmocka_unit_test(test_prune_without_knowing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
