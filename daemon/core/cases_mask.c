/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people masked beyond one open case: tests of a device, a building or a compound, and keys
 * that stay shelved although their case closed. A sorted list, because they are few.
 */
#include "core/cases_private.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

char *cases_key_scope(const char *rule, const char *device, const char *point)
{
    return mem_printf("%s/%s/%s", rule, device, point);
}

static size_t place(const struct cases *c, int kind, const char *scope, bool *out_there)
{
    size_t from = 0, to = c->n_shelves;
    *out_there = false;
    while (from < to) {
        size_t at = (from + to) / 2;
        const struct case_shelf *s = &c->shelves[at];
        int k = (int)s->kind != kind ? ((int)s->kind < kind ? -1 : 1) : strcmp(s->scope, scope);
        if (k == 0) {
            *out_there = true;
            return at;
        }
        if (k < 0)
            from = at + 1;
        else
            to = at;
    }
    return from;
}

struct case_shelf *cases_shelf(struct cases *c, int kind, const char *scope)
{
    bool there;
    size_t at = place(c, kind, scope, &there);
    return there ? &c->shelves[at] : NULL;
}

struct case_shelf *cases_shelf_add(struct cases *c, int kind, const char *scope)
{
    bool there;
    size_t at = place(c, kind, scope, &there);
    if (there)
        return &c->shelves[at];
    if (c->n_shelves == CASE_MASKS_MAX)
        return NULL;
    if (c->n_shelves == c->cap_shelves) {
        c->cap_shelves = c->cap_shelves ? c->cap_shelves * 2 : 16;
        c->shelves = mem_realloc_array(c->shelves, c->cap_shelves, sizeof(*c->shelves));
    }
    memmove(c->shelves + at + 1, c->shelves + at, (c->n_shelves - at) * sizeof(*c->shelves));
    c->n_shelves++;
    c->shelves[at] = (struct case_shelf){.scope = mem_strdup(scope), .until = CASES_NEVER};
    c->shelves[at].kind = (enum case_shelf_kind)kind;
    return &c->shelves[at];
}

void cases_shelf_drop(struct cases *c, struct case_shelf *s)
{
    size_t at = (size_t)(s - c->shelves);
    ASSERT(at < c->n_shelves);
    free(s->scope);
    free(s->by);
    memmove(s, s + 1, (c->n_shelves - at - 1) * sizeof(*s));
    c->n_shelves--;
}

/* -- tests ----------------------------------------------------------------------------------- */

static const struct case_shelf *test_of(const struct cases *c, int kind, const char *first,
                                        const char *second)
{
    static const char *const words[] = {"", "device", "building", "compound"};
    bool there;
    char *scope =
        mem_printf("%s/%s%s%s", words[kind], first, second ? "/" : "", second ? second : "");
    size_t at = place(c, kind, scope, &there);
    free(scope);
    return there ? &c->shelves[at] : NULL;
}

/* By the compound's code of old, too: people name what the registry says. */
const struct case_shelf *cases_in_test(const struct cases *c, const struct case_open *o)
{
    if (c->n_shelves == 0 || c->shelves[c->n_shelves - 1].kind == SHELF_KEY || !o->d)
        return NULL;
    const struct compound *own = o->d->compound;
    const char *now = cases_place(c, o->d)->code;
    const char *building = o->d->building;
    const struct case_shelf *s = test_of(c, SHELF_DEVICE, o->device, NULL);
    if (!s && building[0])
        s = test_of(c, SHELF_BUILDING, own->code, building);
    if (!s && building[0])
        s = test_of(c, SHELF_BUILDING, now, building);
    s = s ? s : test_of(c, SHELF_COMPOUND, own->code, NULL);
    return s ? s : test_of(c, SHELF_COMPOUND, now, NULL);
}

void cases_tests(const struct cases *c, cases_test_fn *fn, void *ctx)
{
    for (size_t i = 0; i < c->n_shelves; i++) {
        const struct case_shelf *s = &c->shelves[i];
        if (s->kind != SHELF_KEY)
            fn(ctx, &(struct case_test){s->scope, s->by, s->since_ms, s->until_ms});
    }
}

/* A shelf of its key becomes the case's own, if it is to be open. */
unsigned cases_shelf_masks(struct cases *c, struct case_open *o, bool opens)
{
    unsigned masks = cases_in_test(c, o) ? (unsigned)MASK_TEST : 0;
    if (c->n_shelves == 0 || o->life_safety)
        return masks;
    char *scope = cases_key_scope(o->rule, o->device, o->point);
    struct case_shelf *s = cases_shelf(c, SHELF_KEY, scope);
    free(scope);
    if (!s)
        return masks;
    o->shelved_until = s->until;
    o->shelved_until_ms = s->until_ms;
    if (opens)
        cases_shelf_drop(c, s);
    return masks | MASK_SHELVED;
}

/* Who is shut in the lift when a test of the building begins is no test: what is life-safety is one only
 * when it comes in it, or again. What began in a test, is over and only latched ends with it: nobody is sent for what a test left. */
void cases_retest(struct cases *c, const struct case_cause *why, uint64_t engine_ns)
{
    struct case_open *next;
    for (struct case_open *o = c->first; o; o = next) {
        bool test = cases_in_test(c, o) != NULL;
        next = o->next;
        if (test == ((o->masks & MASK_TEST) != 0) || (test && o->life_safety))
            continue;
        if (!test && o->tested && !cases_holds(o)) {
            struct case_cause over = *why;
            over.reason = "test_over";
            cases_emit_end(c, o, CASE_CLOSED, &over, true, engine_ns);
            continue;
        }
        o->masks ^= MASK_TEST;
        if (!test)
            o->tested = false;
        cases_emit(c, o, test ? CASE_MASKED : CASE_UNMASKED, why, false);
    }
}

/* -- scopes ---------------------------------------------------------------------------------- */

static bool building_there(const struct registry *r, const char *compound, size_t len,
                           const char *building)
{
    const struct compound *k = registry_compound(r, compound, len);
    for (size_t i = 0; k && i < registry_devices(r); i++) {
        const struct device *d = registry_device_at(r, i);
        if ((d->compound == k || registry_compound_now(r, d->compound) == k) &&
            strcmp(d->building, building) == 0)
            return true;
    }
    return false;
}

int cases_scope(const struct cases *c, const char *scope, int *out_kind)
{
    const struct registry *r = c->world->registry;
    const char *of = strchr(scope, '/');
    if (!of)
        return -EINVAL;
    size_t word = (size_t)(of++ - scope);
    const char *slash = strchr(of, '/');
    if (word == 6 && memcmp(scope, "device", 6) == 0) {
        *out_kind = SHELF_DEVICE;
        return registry_find(r, of, strlen(of)) ? 0 : -ENOENT;
    }
    if (word == 8 && memcmp(scope, "compound", 8) == 0) {
        *out_kind = SHELF_COMPOUND;
        return registry_compound(r, of, strlen(of)) ? 0 : -ENOENT;
    }
    if (word == 8 && memcmp(scope, "building", 8) == 0 && slash) {
        *out_kind = SHELF_BUILDING;
        return building_there(r, of, (size_t)(slash - of), slash + 1) ? 0 : -ENOENT;
    }
    return -EINVAL;
}

/* -- whom cases concern ---------------------------------------------------------------------- */

static size_t firm_place(const struct cases *c, const char *firm)
{
    size_t from = 0, to = c->n_firms;
    while (from < to) {
        size_t at = (from + to) / 2;
        if (strcmp(c->firms[at].firm, firm) < 0)
            from = at + 1;
        else
            to = at;
    }
    return from;
}

static bool firm_there(const struct cases *c, size_t at, const char *firm)
{
    return at < c->n_firms && strcmp(c->firms[at].firm, firm) == 0;
}

void cases_count_firm(struct cases *c, const char *firm, bool more)
{
    size_t at = firm_place(c, firm);
    if (firm_there(c, at, firm)) {
        c->firms[at].open += more ? 1 : UINT64_MAX;
        return;
    }
    ASSERT(more);
    if (c->n_firms == c->cap_firms) {
        c->cap_firms = c->cap_firms ? c->cap_firms * 2 : 16;
        c->firms = mem_realloc_array(c->firms, c->cap_firms, sizeof(*c->firms));
    }
    memmove(c->firms + at + 1, c->firms + at, (c->n_firms - at) * sizeof(*c->firms));
    c->n_firms++;
    c->firms[at] = (struct case_firm){mem_strdup(firm), 1};
}

bool cases_concern(const struct cases *c, const char *firm)
{
    size_t at = firm_place(c, firm);
    return firm_there(c, at, firm) && c->firms[at].open > 0;
}
