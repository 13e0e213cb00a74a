/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shelved cases by the end of their shelving, in a heap: a whole compound's may be shelved with one
 * command each, and all of them come back at one time.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/cases_private.h"

#include <stdlib.h>

static bool before(const struct case_open *a, const struct case_open *b)
{
    return a->shelved_until != b->shelved_until ? a->shelved_until < b->shelved_until
                                                : a->serial < b->serial;
}

/* Places are from 1. */
static void put(struct cases *c, size_t at, struct case_open *o)
{
    c->due[at - 1] = o;
    o->due_at = at;
    c->due_steps++;
}

static void sift(struct cases *c, struct case_open *o)
{
    size_t at = o->due_at;
    for (; at > 1 && before(o, c->due[at / 2 - 1]); at /= 2)
        put(c, at, c->due[at / 2 - 1]);
    for (size_t least; (least = at * 2) <= c->n_due; at = least) {
        if (least < c->n_due && before(c->due[least], c->due[least - 1]))
            least++;
        if (!before(c->due[least - 1], o))
            break;
        put(c, at, c->due[least - 1]);
    }
    put(c, at, o);
}

void cases_due_drop(struct cases *c, struct case_open *o)
{
    if (o->due_at == 0)
        return;
    ASSERT(o->due_at <= c->n_due);
    struct case_open *last = c->due[--c->n_due];
    if (last != o) {
        last->due_at = o->due_at;
        sift(c, last);
    }
    o->due_at = 0;
}

void cases_due_renew(struct cases *c, struct case_open *o)
{
    if (!(o->masks & MASK_SHELVED)) {
        cases_due_drop(c, o);
        return;
    }
    if (o->due_at == 0) {
        if (c->n_due == c->cap_due) {
            c->cap_due = c->cap_due ? c->cap_due * 2 : 16;
            c->due = mem_realloc_array(c->due, c->cap_due, sizeof(struct case_open *));
        }
        o->due_at = ++c->n_due;
    }
    sift(c, o);
}

void cases_reckon_due(struct cases *c)
{
    c->next_due = c->last_lost || c->unsettled ? 0 : CASES_NEVER;
    if (c->n_due > 0 && c->due[0]->shelved_until < c->next_due)
        c->next_due = c->due[0]->shelved_until;
    for (size_t i = 0; i < c->n_shelves; i++)
        if (c->shelves[i].until < c->next_due)
            c->next_due = c->shelves[i].until;
}
