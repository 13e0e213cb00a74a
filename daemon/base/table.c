/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, size_t most)
{
    size_t cap = 16;
    while (cap < most + most / 2)
        cap *= 2;
    *t = (struct table){.cap = cap};
    t->slots = mem_zalloc_large(cap, sizeof(*t->slots));
    memset(t->slots, 0xff, cap * sizeof(*t->slots)); /* value UINT32_MAX: empty */
}

void table_done(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}

uint32_t table_find(const struct table *t, uint64_t hash, table_same *same, const void *ctx,
                    const void *key, size_t key_len)
{
    if (t->cap == 0)
        return UINT32_MAX;
    uint32_t h = (uint32_t)(hash >> 32);
    for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        const struct table_slot *s = &t->slots[i];
        if (s->value == UINT32_MAX)
            return UINT32_MAX;
        if (s->hash == h && same(ctx, s->value, key, key_len))
            return s->value;
    }
}

void table_expect(const struct table *t, uint64_t hash)
{
    if (t->cap > 0)
        __builtin_prefetch(&t->slots[hash & (t->cap - 1)]);
}

uint32_t table_guess(const struct table *t, uint64_t hash)
{
    for (size_t i = hash & (t->cap - 1); t->cap > 0; i = (i + 1) & (t->cap - 1))
        if (t->slots[i].value == UINT32_MAX || t->slots[i].hash == (uint32_t)(hash >> 32))
            return t->slots[i].value;
    return UINT32_MAX;
}

static void place(struct table *t, uint64_t hash, uint32_t value)
{
    size_t i = hash & (t->cap - 1);
    while (t->slots[i].value != UINT32_MAX)
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = (struct table_slot){.hash = (uint32_t)(hash >> 32), .value = value};
}

void table_add(struct table *t, uint64_t hash, uint32_t value)
{
    ASSERT(value != UINT32_MAX);
    ASSERT((t->n + 1) + (t->n + 1) / 4 <= t->cap);
    place(t, hash, value);
    t->n++;
}
