/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK     ((size_t)64 << 10)
#define BLOCK_MAX ((size_t)32 << 20)

struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    _Alignas(8) char data[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_done(struct arena *a)
{
    while (a->head) {
        struct arena_block *next = a->head->next;
        free(a->head);
        a->head = next;
    }
    a->used = 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > a->max || a->used > a->max - n)
        return NULL;
    n = (n + 7) & ~(size_t)7;
    struct arena_block *b = a->head;
    if (!b || n > b->cap - b->used) {
        size_t cap = a->used / 4 < BLOCK_MAX ? a->used / 4 : BLOCK_MAX;
        cap = cap > BLOCK ? cap : BLOCK;
        cap = cap > n ? cap : n;
        b = cap > BLOCK ? mem_zalloc_large(sizeof(*b) + cap, 1)
                        : mem_realloc_array(NULL, sizeof(*b) + cap, 1);
        b->used = 0;
        b->cap = cap;
        b->next = a->head;
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += n;
    a->used += n;
    memset(p, 0, n); /* and not the block: most arenas use little of theirs */
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *d = arena_alloc(a, n + 1);
    if (d && n)
        memcpy(d, s, n);
    return d;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}
