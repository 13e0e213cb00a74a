/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups only; core/catalog_parse.c builds what they read.
 */
#include "core/catalog.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/catalog_private.h"

#include <stdlib.h>
#include <string.h>

size_t catalog_kinds(const struct catalog *c)
{
    return c->n_kinds;
}

const struct kind *catalog_kind_at(const struct catalog *c, size_t i)
{
    return &c->kinds[i];
}

/* Both tables are fixed once they are built and at most half full, so that nobody outside can
 * make their chains longer: a cheap hash without a seed will do. */
static inline uint32_t name_hash(const char *name, size_t len)
{
    uint64_t a = 0, b = 0;
    if (len >= 8) {
        memcpy(&a, name, 8);
        memcpy(&b, name + len - 8, 8);
    } else if (len >= 4) {
        uint32_t x, y;
        memcpy(&x, name, 4);
        memcpy(&y, name + len - 4, 4);
        a = x;
        b = y;
    } else if (len > 0) {
        a = (uint64_t)(unsigned char)name[0] | (uint64_t)(unsigned char)name[len / 2] << 8 |
            (uint64_t)(unsigned char)name[len - 1] << 16;
    }
    return (uint32_t)((a ^ (b << 23 | b >> 41) ^ len) * 0x9e3779b97f4a7c15u >> 40);
}

const struct kind *catalog_kind(const struct catalog *c, const char *name, size_t len)
{
    for (uint32_t i = name_hash(name, len);; i++) {
        uint16_t slot = c->kind_slots[i % CATALOG_KIND_SLOTS];
        if (slot == 0)
            return NULL;
        const struct kind *k = &c->kinds[slot - 1];
        if (strlen(k->name) == len && memcmp(k->name, name, len) == 0)
            return k;
    }
}

const struct metric *catalog_metric(const struct catalog *c, const struct kind *k,
                                    const char *name, size_t len)
{
    const uint8_t *slots = c->metric_slots[k->index];
    for (uint32_t i = name_hash(name, len);; i++) {
        uint8_t slot = slots[i % CATALOG_METRIC_SLOTS];
        if (slot == 0)
            return NULL;
        const struct metric *m = &k->metrics[slot - 1];
        if (m->name_len == len && bytes_same(m->name, name, len))
            return m;
    }
}

void catalog_index(struct catalog *c)
{
    memset(c->kind_slots, 0, sizeof(c->kind_slots));
    for (size_t k = 0; k < c->n_kinds; k++) {
        const struct kind *kind = &c->kinds[k];
        uint32_t at = name_hash(kind->name, strlen(kind->name));
        while (c->kind_slots[at % CATALOG_KIND_SLOTS])
            at++;
        c->kind_slots[at % CATALOG_KIND_SLOTS] = (uint16_t)(k + 1);
        for (size_t m = 0; m < kind->n_metrics; m++) {
            at = name_hash(kind->metrics[m].name, kind->metrics[m].name_len);
            while (c->metric_slots[k][at % CATALOG_METRIC_SLOTS])
                at++;
            c->metric_slots[k][at % CATALOG_METRIC_SLOTS] = (uint8_t)(m + 1);
        }
    }
}

const struct metric_code *metric_code(const struct metric *m, const char *name, size_t len)
{
    for (size_t i = 0; i < m->n_codes; i++)
        if (strlen(m->codes[i].name) == len && memcmp(m->codes[i].name, name, len) == 0)
            return &m->codes[i];
    return NULL;
}

const struct metric_code *metric_code_by_number(const struct metric *m, int64_t code)
{
    for (size_t i = 0; i < m->n_codes; i++)
        if (m->codes[i].code == code)
            return &m->codes[i];
    return NULL;
}

void catalog_free(struct catalog *c)
{
    if (!c)
        return;
    arena_done(&c->arena);
    free(c);
}
