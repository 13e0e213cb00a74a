/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H
/* golden — what came against what a file of tests/data says; GOLDEN_WRITE=1 writes the file anew,
 * for a person to read in the diff. Run from the top of the tree. */
#include "base/buf.h"
#include "base/err.h"
#include "unit/unit.h"

#include <dirent.h>

static inline char *slurp(const char *path, size_t *len)
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

static inline void expect_file(const char *path, struct buf *said)
{
    size_t n = 0;
    if (getenv("GOLDEN_WRITE")) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        (void)fputs(buf_cstr(said), f);
        (void)fclose(f);
    }
    char *want = slurp(path, &n);
    if (strcmp(want, buf_cstr(said)) != 0)
        fail_msg("not what %s says, but:\n%s", path, buf_cstr(said));
    free(want);
}

static inline void put_problems(struct buf *b, const struct problems *p)
{
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(b, "%s\n", problems_get(p, i));
}

/* tests/data/registry/NAME.expected */
static inline void expect_problems(const struct problems *p, const char *name)
{
    char path[256];
    struct buf said;
    buf_init(&said, 1 << 20);
    put_problems(&said, p);
    (void)snprintf(path, sizeof(path), "tests/data/registry/%s.expected", name);
    expect_file(path, &said);
    buf_done(&said);
}

/* For each NAME.yaml of the folder: what `say` says of it is NAME.txt. */
static inline void expect_folder(const char *folder, size_t at_least,
                                 void (*say)(const char *name, const char *text, size_t len,
                                             struct buf *out))
{
    DIR *d = opendir(folder);
    size_t n = 0;
    if (!d)
        fail_msg("no %s: run from the top of the tree", folder);
    for (struct dirent *e; (e = readdir(d));) {
        char path[600];
        size_t whole = strlen(e->d_name), len = 0;
        struct buf out;
        if (whole < 5 || strcmp(e->d_name + whole - 5, ".yaml") != 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        char *text = slurp(path, &len);
        buf_init(&out, 1 << 20);
        say(e->d_name, text, len, &out);
        (void)snprintf(path, sizeof(path), "%s/%.*s.txt", folder, (int)whole - 5, e->d_name);
        expect_file(path, &out);
        buf_done(&out);
        free(text);
        n++;
    }
    (void)closedir(d);
    assert_true(n >= at_least);
}

#endif
