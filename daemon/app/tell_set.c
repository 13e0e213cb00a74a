/* SPDX-License-Identifier: Apache-2.0 */
/* A set of numbers that grows: open addressing, 0 marks a free slot (and is never a member). */
#include "app/tell_private.h"
#include "base/mem.h"

#include <stdlib.h>

static uint64_t *slot(const struct tell_set *s, uint64_t v)
{
    size_t i = (size_t)v & (s->cap - 1);
    while (s->slots[i] && s->slots[i] != v)
        i = (i + 1) & (s->cap - 1);
    return &s->slots[i];
}

void tell_set_add(struct tell_set *s, uint64_t v)
{
    if (s->n * 2 >= s->cap) {
        struct tell_set larger = {.n = s->n, .cap = s->cap ? s->cap * 2 : 64};
        larger.slots = mem_zalloc_array(larger.cap, sizeof(*larger.slots));
        if (s->values)
            larger.values = mem_zalloc_array(larger.cap, sizeof(*larger.values));
        for (size_t i = 0; i < s->cap; i++) {
            if (!s->slots[i])
                continue;
            uint64_t *to = slot(&larger, s->slots[i]);
            *to = s->slots[i];
            if (s->values)
                larger.values[to - larger.slots] = s->values[i];
        }
        tell_set_clear(s);
        *s = larger;
    }
    uint64_t *at = slot(s, v);
    s->n += *at == 0;
    *at = v;
}

bool tell_set_has(const struct tell_set *s, uint64_t v)
{
    return s->n > 0 && *slot(s, v) == v;
}

void tell_set_raise(struct tell_set *s, uint64_t v, uint64_t value)
{
    tell_set_add(s, v);
    if (!s->values)
        s->values = mem_zalloc_array(s->cap, sizeof(*s->values));
    uint64_t *at = &s->values[slot(s, v) - s->slots];
    *at = value > *at ? value : *at;
}

uint64_t tell_set_value(const struct tell_set *s, uint64_t v)
{
    return tell_set_has(s, v) ? s->values[slot(s, v) - s->slots] : 0;
}

void tell_set_clear(struct tell_set *s)
{
    free(s->slots);
    free(s->values);
    *s = (struct tell_set){0};
}
