/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ledger.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct ledger {
    struct ledger_row *rows;
    size_t n, cap;
};

static const char *const classes[LEDGER_N] = {
#define X(name, class_, reason) [LEDGER_##name] = class_,
    LEDGER_COUNTS(X)
#undef X
};
static const char *const reasons[LEDGER_N] = {
#define X(name, class_, reason) [LEDGER_##name] = reason,
    LEDGER_COUNTS(X)
#undef X
};

struct ledger *ledger_new(void)
{
    struct ledger *l = mem_zalloc(sizeof(*l));
    ASSERT(ledger_row(l, "-") == LEDGER_NONE);
    return l;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    free(l->rows);
    free(l);
}

uint32_t ledger_row(struct ledger *l, const char *compound)
{
    for (size_t i = 0; i < l->n; i++) /* only when a registry or a snapshot is taken up */
        if (strcmp(l->rows[i].compound, compound) == 0)
            return (uint32_t)i;
    if (l->n == LEDGER_MAX_ROWS || strlen(compound) > 64)
        return LEDGER_NONE;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->rows = mem_realloc_array(l->rows, l->cap, sizeof(*l->rows));
    }
    l->rows[l->n] = (struct ledger_row){0};
    memcpy(l->rows[l->n].compound, compound, strlen(compound) + 1);
    return (uint32_t)l->n++;
}

void ledger_add(struct ledger *l, uint32_t row, enum ledger_count c, uint64_t n)
{
    ASSERT(row < l->n);
    l->rows[row].n[c] += n;
}

size_t ledger_rows(const struct ledger *l)
{
    return l->n;
}

const struct ledger_row *ledger_at(const struct ledger *l, size_t i)
{
    return &l->rows[i];
}

void ledger_total(const struct ledger *l, struct ledger_row *out)
{
    *out = (struct ledger_row){.compound = "*"};
    for (size_t i = 0; i < l->n; i++)
        for (size_t c = 0; c < LEDGER_N; c++)
            out->n[c] += l->rows[i].n[c];
}

const char *ledger_class(enum ledger_count c)
{
    return classes[c];
}

const char *ledger_reason(enum ledger_count c)
{
    return reasons[c];
}

bool ledger_balanced(const struct ledger_row *r)
{
    uint64_t in = r->n[LEDGER_RECEIVED] + r->n[LEDGER_REINJECTED], out = 0;
    for (int c = LEDGER_DECODED; c <= LEDGER_AGAIN_QUARANTINED; c++)
        out += r->n[c];
    uint64_t points = 0;
    for (int c = LEDGER_POINTS_MADE; c <= LEDGER_POINTS_REFUSED_EMPTY; c++)
        points += r->n[c];
    return in == out && r->n[LEDGER_POINTS_DECODED] == points;
}
