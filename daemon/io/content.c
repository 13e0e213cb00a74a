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

int content_put(const char *dir, const void *p, size_t n, char out_hex[CONTENT_HEX + 1])
{
    char hex[CONTENT_HEX + 1], *there;
    size_t there_len;
    if (n > CONTENT_MAX)
        return -EFBIG;
    content_address(p, n, hex);
    int e = file_make_dir(dir);
    if (e < 0)
        return e;
    if (content_get(dir, hex, &there, &there_len) == 0) {
        free(there);
        e = file_sync_dir(dir); /* whoever put it may have been killed before that */
    } else {
        char *path = mem_printf("%s/%s", dir, hex);
        e = file_store(path, p, n);
        free(path);
    }
    if (e == 0)
        memcpy(out_hex, hex, sizeof(hex));
    return e;
}

struct sweep {
    const char *const *keep;
    size_t n;
    char **go;
    size_t n_go;
};

static void sweep_add(void *ctx, const char *name)
{
    struct sweep *s = ctx;
    bool temp = strlen(name) == CONTENT_HEX + 4 && strcmp(name + CONTENT_HEX, ".new") == 0;
    if (!temp && !is_address(name))
        return;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->keep[i], name) == 0)
            return;
    s->go = mem_realloc_array(s->go, s->n_go + 1, sizeof(*s->go));
    s->go[s->n_go++] = mem_strdup(name);
}

int content_prune(const char *dir, const char *const *keep, size_t n)
{
    struct sweep s = {.keep = keep, .n = n};
    int e = file_list(dir, sweep_add, &s);
    if (e == -ENOENT)
        e = 0;
    for (size_t i = 0; i < s.n_go; i++) {
        char *path = mem_printf("%s/%s", dir, s.go[i]);
        if (e == 0)
            e = file_unlink(path);
        free(path);
        free(s.go[i]);
    }
    free(s.go);
    if (e == 0 && s.n_go > 0)
        e = file_sync_dir(dir);
    return e;
}
