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
    assert_int_equal(content_prune(dir, NULL, 0), 0); /* no folder yet */
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
    assert_int_equal(content_put(dir, "alpha", 5, a), 0); /* mends */
    assert_int_equal(content_get(dir, a, &p, &n), 0);
    free(p);

    const char *keep[] = {b};
    assert_int_equal(content_prune(dir, keep, 1), 0);
    assert_int_equal(content_get(dir, a, &p, &n), -ENOENT);
    assert_int_equal(content_get(dir, b, &p, &n), 0);
    free(p);
    scratch_remove(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_content)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
