/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many cases are open, by place, firm and severity: counted as they change, because gaihou_open
 * is told within a step, and a storm has many thousands.
 */
#include "base/mem.h"
#include "core/cases_private.h"

#include <stdlib.h>

static int compare(const struct case_row *r, const struct case_open *o)
{
    int k = strcmp(r->compound, o->compound);
    k = k ? k : strcmp(r->firm, o->firm);
    return k ? k : (int)r->severity - (int)o->severity;
}

static size_t place_of(const struct cases *c, const struct case_open *o)
{
    size_t from = 0, to = c->n_rows;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (compare(c->rows[mid], o) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static struct case_row *row_of(struct cases *c, const struct case_open *o)
{
    size_t at = place_of(c, o);
    if (at < c->n_rows && compare(c->rows[at], o) == 0)
        return c->rows[at];
    if (c->n_rows == c->cap_rows) {
        c->cap_rows = c->cap_rows ? c->cap_rows * 2 : 16;
        c->rows = mem_realloc_array(c->rows, c->cap_rows, sizeof(struct case_row *));
    }
    memmove(c->rows + at + 1, c->rows + at, (c->n_rows - at) * sizeof(struct case_row *));
    c->n_rows++;
    c->rows[at] = mem_zalloc(sizeof(struct case_row));
    *c->rows[at] = (struct case_row){.compound = mem_strdup(o->compound),
                                     .firm = mem_strdup(o->firm),
                                     .severity = o->severity};
    return c->rows[at];
}

static void row_free(struct case_row *r)
{
    free(r->compound);
    free(r->firm);
    free(r);
}

/* The last case of a row is gone: so is the row. */
static void row_drop(struct cases *c, const struct case_row *r)
{
    const struct case_open o = {
        .compound = r->compound, .firm = r->firm, .severity = r->severity};
    size_t at = place_of(c, &o);
    row_free(c->rows[at]);
    c->n_rows--;
    memmove(c->rows + at, c->rows + at + 1, (c->n_rows - at) * sizeof(struct case_row *));
}

void cases_tally_add(struct cases *c, struct case_open *o)
{
    o->row = row_of(c, o);
    o->counted_unacknowledged = o->ack.ms == 0;
    o->counted_shelved = o->masks & MASK_SHELVED;
    o->counted_test = o->masks & MASK_TEST;
    o->row->open++;
    o->row->unacknowledged += o->counted_unacknowledged;
    c->n_shelved += o->counted_shelved;
    c->n_test += o->counted_test;
}

void cases_tally_drop(struct cases *c, struct case_open *o)
{
    o->row->unacknowledged -= o->counted_unacknowledged;
    c->n_shelved -= o->counted_shelved;
    c->n_test -= o->counted_test;
    if (--o->row->open == 0)
        row_drop(c, o->row);
    o->row = NULL;
}

void cases_tally_renew(struct cases *c, struct case_open *o)
{
    if (!o->row)
        return;
    if (compare(o->row, o) == 0 && o->counted_unacknowledged == (o->ack.ms == 0) &&
        o->counted_shelved == ((o->masks & MASK_SHELVED) != 0) &&
        o->counted_test == ((o->masks & MASK_TEST) != 0))
        return;
    cases_tally_drop(c, o);
    cases_tally_add(c, o);
}

void cases_tally_free(struct cases *c)
{
    for (size_t i = 0; i < c->n_rows; i++)
        row_free(c->rows[i]);
    free(c->rows);
}

/* -- for people ------------------------------------------------------------------------------ */

void cases_stats(const struct cases *c, struct cases_stats *out)
{
    *out = c->stats;
    out->open = c->n;
    out->shelved = c->n_shelved;
    out->test = c->n_test;
    for (size_t i = 0; i < c->n_rows; i++) {
        out->unacknowledged += c->rows[i]->unacknowledged;
        out->by_severity[c->rows[i]->severity] += c->rows[i]->open;
    }
}

void cases_counted(struct cases *c, const struct cases_stats *s)
{
    c->stats = (struct cases_stats){.transitions = s->transitions,
                                    .delivered = s->delivered,
                                    .withheld = s->withheld,
                                    .commands = s->commands,
                                    .refused = s->refused,
                                    .repeated = s->repeated,
                                    .not_opened = s->not_opened};
}

void cases_count(const struct cases *c, cases_count_fn *fn, void *ctx)
{
    for (size_t i = 0; i < c->n_rows; i++)
        fn(ctx, c->rows[i]->compound, c->rows[i]->firm, c->rows[i]->severity, c->rows[i]->open,
           c->rows[i]->unacknowledged);
}
