/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H
/* golden — problems against the lines in tests/data/registry/NAME.expected; GOLDEN_WRITE=1
 * writes them anew, for a person to read in the diff. */
#include "base/buf.h"
#include "base/err.h"
#include "unit/unit.h"

static char *slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "re");
    if (!f)
        fail_msg("cannot open %s", path);
    (void)fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(n + 1); /* one for expectations; parsers are told n */
    if (fread(text, 1, n, f) != n)
        fail_msg("cannot read %s", path);
    (void)fclose(f);
    text[n] = '\0';
    *len = n;
    return text;
}

static void expect_problems(const struct problems *p, const char *name)
{
    char path[256];
    size_t n;
    struct buf said;
    buf_init(&said, 1 << 20);
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(&said, "%s\n", problems_get(p, i));
    (void)snprintf(path, sizeof(path), "tests/data/registry/%s.expected", name);
    if (getenv("GOLDEN_WRITE")) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        (void)fputs(buf_cstr(&said), f);
        (void)fclose(f);
    }
    char *want = slurp(path, &n);
    assert_string_equal(buf_cstr(&said), want);
    free(want);
    buf_done(&said);
}

#endif
