/* SPDX-License-Identifier: Apache-2.0 */
#include "io/content.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)256 << 10)

static bool is_address(const char *s)
{
    return strlen(s) == CONTENT_HEX && strspn(s, "0123456789abcdef") == CONTENT_HEX;
}

void content_address(const void *p, size_t n, char out_hex[CONTENT_HEX + 1])
{
    struct hash128 h = hash128(p, n);
    (void)snprintf(out_hex, CONTENT_HEX + 1, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
}

int content_get(const char *dir, const char *hex, char **out, size_t *out_len)
{
    char *p, found[CONTENT_HEX + 1];
    size_t n;
    if (!is_address(hex))
        return -ENOENT;
    char *path = mem_printf("%s/%s", dir, hex);
    int e = file_load(path, CONTENT_MAX, &p, &n);
    free(path);
    if (e < 0)
        return e;
    content_address(p, n, found);
    if (strcmp(found, hex) != 0) {
        free(p);
        return -EBADMSG;
    }
    *out = p;
    *out_len = n;
    return 0;
}

/* Is the file there, and are these its bytes? Looked at in pieces: a whole copy of a large one
 * costs a start as much as reading it does. */
static bool is_there(const char *path, const char *p, size_t n)
{
    struct file *f;
    if (file_open(path, FILE_READ, &f) != 0)
        return false;
    char *piece = mem_realloc_array(NULL, PIECE, 1);
    size_t at = 0, got = 1;
    bool same = true;
    while (same && got > 0) {
        same = file_read(f, at, piece, PIECE, &got) == 0 && got <= n - at &&
               memcmp(piece, p + at, got) == 0;
        at += same ? got : 0;
    }
    free(piece);
    file_close(f);
    return same && at == n;
}

int content_put(const char *dir, const void *p, size_t n, char out_hex[CONTENT_HEX + 1])
{
    char hex[CONTENT_HEX + 1];
    if (n > CONTENT_MAX)
        return -EFBIG;
    content_address(p, n, hex);
    int e = file_make_dir(dir);
    if (e < 0)
        return e;
    char *path = mem_printf("%s/%s", dir, hex);
    if (is_there(path, p, n))
        e = file_sync_dir(dir); /* whoever put it may have been killed before that */
    else
        e = file_store(path, p, n);
    free(path);
    if (e == 0)
        memcpy(out_hex, hex, sizeof(hex));
    return e;
}

/* -- what is in use ------------------------------------------------------------------------ */

/* `<dir>/uses`: a line for each change, "<16 hex digits: from this offset at the earliest>
 * <address>", in order. */
enum { USE_LINE = 16 + 1 + CONTENT_HEX + 1, USES_MAX = 1 << 20 };

struct use {
    uint64_t from;
    char hex[CONTENT_HEX + 1];
};
struct uses {
    struct use *at;
    size_t n;
};

static bool parse_offset(const char *p, uint64_t *out)
{
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *d = p[i] ? strchr(digits, p[i]) : NULL;
        if (!d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    *out = v;
    return true;
}

/* None, or one that makes no sense: nothing is known of what was used before now. */
static int uses_load(const char *dir, struct uses *out)
{
    char *path = mem_printf("%s/uses", dir), *text = NULL;
    size_t len = 0;
    struct uses u = {0};
    int e = file_load(path, USES_MAX, &text, &len);
    free(path);
    if (e == -ENOENT || e == -EFBIG)
        len = 0;
    else if (e < 0)
        return e;
    u.at = mem_zalloc_array(len / USE_LINE + 1, sizeof(*u.at));
    for (size_t i = 0; i + USE_LINE <= len; i += USE_LINE) {
        struct use *one = &u.at[u.n];
        memcpy(one->hex, text + i + 17, CONTENT_HEX);
        if (!parse_offset(text + i, &one->from) || !is_address(one->hex) ||
            text[i + USE_LINE - 1] != '\n' || (u.n > 0 && one->from < one[-1].from)) {
            u.n = 0;
            break;
        }
        u.n++;
    }
    free(text);
    *out = u;
    return 0;
}

static int uses_store(const char *dir, const struct use *at, size_t n)
{
    char *path = mem_printf("%s/uses", dir), *text = mem_zalloc(n * USE_LINE + 1);
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + i * USE_LINE, USE_LINE + 1, "%016" PRIx64 " %s\n", at[i].from,
                       at[i].hex);
    int e = file_store(path, text, n * USE_LINE);
    free(text);
    free(path);
    return e;
}

int content_use(const char *dir, const char *hex, uint64_t from)
{
    struct uses u;
    int e = uses_load(dir, &u);
    if (e < 0)
        return e;
    size_t n = u.n;
    while (u.n > 0 && u.at[u.n - 1].from > from) /* the journal's end was lost since then */
        u.n--;
    if (u.n == 0 || strcmp(u.at[u.n - 1].hex, hex) != 0) {
        u.at[u.n].from = from; /* there is room for one more */
        memcpy(u.at[u.n++].hex, hex, sizeof(u.at->hex));
        n = 0;
    }
    if (n != u.n)
        e = uses_store(dir, u.at, u.n);
    free(u.at);
    return e;
}

int content_used(const char *dir, uint64_t offset, char out_hex[CONTENT_HEX + 1])
{
    struct uses u;
    int e = uses_load(dir, &u);
    if (e < 0)
        return e;
    size_t i = u.n;
    while (i > 0 && u.at[i - 1].from > offset)
        i--;
    if (i > 0)
        memcpy(out_hex, u.at[i - 1].hex, sizeof(u.at->hex));
    free(u.at);
    return i > 0 ? 0 : -ENOENT;
}

struct sweep {
    const struct uses *keep;
    const char *current;
    char **go;
    size_t n_go;
};

static void sweep_add(void *ctx, const char *name)
{
    struct sweep *s = ctx;
    bool temp = strlen(name) == CONTENT_HEX + 4 && strcmp(name + CONTENT_HEX, ".new") == 0;
    if ((!temp && !is_address(name)) || strcmp(name, s->current) == 0)
        return;
    for (size_t i = 0; i < s->keep->n; i++)
        if (strcmp(s->keep->at[i].hex, name) == 0)
            return;
    s->go = mem_realloc_array(s->go, s->n_go + 1, sizeof(*s->go));
    s->go[s->n_go++] = mem_strdup(name);
}

static int sweep(const char *dir, const struct uses *keep, const char *current)
{
    struct sweep s = {.keep = keep, .current = current};
    int e = file_list(dir, sweep_add, &s);
    for (size_t i = 0; i < s.n_go; i++) {
        char *path = mem_printf("%s/%s", dir, s.go[i]);
        if (e == 0)
            e = file_unlink(path);
        free(path);
        free(s.go[i]);
    }
    free(s.go);
    return e == 0 && s.n_go > 0 ? file_sync_dir(dir) : e;
}

int content_prune(const char *dir, uint64_t offset, const char *current)
{
    struct uses u;
    size_t first = 0;
    int e = uses_load(dir, &u);
    if (e < 0)
        return e;
    /* A use ends where the next one begins, at the latest where the one after that may begin. */
    while (first + 2 < u.n && u.at[first + 2].from <= offset)
        first++;
    struct uses keep = {u.at + first, u.n - first};
    if (u.n > 0 && u.at[0].from <= offset) {
        e = sweep(dir, &keep, current);
        if (e == 0 && first > 0)
            e = uses_store(dir, keep.at, keep.n);
    }
    free(u.at);
    return e;
}
