/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from one world: by kind, which rules there are and what they read; by device, a
 * series with room for that. */
#include "base/check.h"
#include "base/mem.h"
#include "core/alarm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK      ((size_t)16 << 20) /* bytes of series, at most */
#define CHUNK_MIN  8
#define MAX_COPIES 50000 /* of rules, in the plans of compounds */

/* -- plans ---------------------------------------------------------------------------------- */

static unsigned slot_of(struct plan *p, const struct metric *m)
{
    if (p->slots[m->index] == NO_SLOT) {
        p->slots[m->index] = (uint8_t)p->n_slots;
        p->metrics[p->n_slots++] = m;
    }
    return p->slots[m->index];
}

static void plan_expr(struct plan *p, struct expr *x, struct plan_expr *out)
{
    if (!x)
        return;
    out->x = x;
    out->n_inputs = (uint8_t)expr_inputs(x, &out->inputs);
    out->timed = expr_is_timed(x);
    out->windows = expr_window_ns(x) > 0;
    out->hears = expr_hears_silence(x);
    for (unsigned i = 0; i < out->n_inputs; i++)
        out->cross |= out->inputs[i].point != NULL;
    for (unsigned i = 0; i < out->n_inputs; i++) {
        out->slots[i] = (uint8_t)slot_of(p, out->inputs[i].metric);
        out->mask |= UINT64_C(1) << out->slots[i];
        expr_bind(x, i, out->cross ? i : out->slots[i]);
    }
}

static void plan_rule(struct plan *p, const struct rule *r, struct plan_rule *out)
{
    out->rule = r;
    out->levels = rule_levels(r, p->kind);
    for (size_t l = 0; out->levels && l < r->n_levels; l++) {
        plan_expr(p, out->levels[l].on, &out->on[l]);
        plan_expr(p, out->levels[l].off, &out->off[l]);
        const struct plan_expr *both[] = {&out->on[l], &out->off[l]};
        for (unsigned k = 0; k < 2; k++) {
            out->mask |= both[k]->mask;
            out->cross |= both[k]->cross;
            out->keeps |= both[k]->timed || both[k]->windows;
            out->hears |= both[k]->hears;
        }
    }
    out->plain = out->levels && !out->cross && !out->keeps && r->n_params == 0;
}

static void plan_glance(const struct plan_rule *r, struct glance *out)
{
    const struct expr_count *counts;
    double lo = -INFINITY, hi = INFINITY, from, to;
    unsigned slot, first = 0;
    *out = (struct glance){.mask = r->mask, .lo = 1};
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        const struct expr *x = r->plain ? r->on[l].x : NULL;
        if (!x || expr_counts(x, &counts) > 0 || !expr_false_within(x, &slot, &from, &to) ||
            (l > 0 && slot != first))
            return;
        first = slot;
        lo = from > lo ? from : lo;
        hi = to < hi ? to : hi;
    }
    if (r->rule->n_levels > 0)
        *out = (struct glance){.mask = r->mask, .lo = lo, .hi = hi, .slot = first};
}

static bool is_restricted(const struct rule *r)
{
    return r->n_compounds + r->n_tiers + r->n_firms > 0;
}

static void plan_kind(struct plan *p, const struct world *w, const struct kind *k)
{
    const struct rule *const *rules = NULL;
    p->kind = k;
    p->n_rules = rules_of_kind(w->rules, k, &rules);
    p->rules = mem_zalloc_array(p->n_rules, sizeof(*p->rules));
    p->glances = mem_zalloc_array(p->n_rules, sizeof(*p->glances));
    memset(p->slots, NO_SLOT, sizeof(p->slots));
    for (size_t i = 0; i < p->n_rules; i++) {
        plan_rule(p, rules[i], &p->rules[i]);
        plan_glance(&p->rules[i], &p->glances[i]);
        p->cross_masks |= p->rules[i].cross ? p->rules[i].mask : 0;
        p->restricted |= is_restricted(rules[i]);
    }
}

static void plan_cond(struct plan *p, size_t i)
{
    plan_expr(p, (struct expr *)(uintptr_t)p->conds[i].x.x, &p->conds[i].x);
}

/* -- seats ------------------------------------------------------------------------------------ */

static bool listed(const char *const *list, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return n == 0;
}

static bool concerns(const struct world *w, const struct rule *r, const struct compound *own)
{
    if (!is_restricted(r))
        return true;
    const struct compound *c = registry_compound_now(w->registry, own);
    return (listed(r->compounds, r->n_compounds, c->code) ||
            listed(r->compounds, r->n_compounds, own->code)) &&
           listed(r->tiers, r->n_tiers, c->tier) && listed(r->firms, r->n_firms, c->firm);
}

static bool is_its_point(const struct rule *r, const struct device *d, const char *point)
{
    return listed(r->points, r->n_points, point ? point : d->point ? d->point : "");
}

static uint8_t flags_of(const struct gen *g, const struct plan *plan, size_t i,
                        const struct device *d, const char *point)
{
    const struct plan_rule *p = &plan->rules[i];
    const struct rule *r = p->rule;
    unsigned flags = 0;
    if (d->retired || !world_serves(g->world, d) ||
        (plan->restricted && !concerns(g->world, r, d->compound)))
        return 0; /* what the other lane hears is not silent */
    if (r->n_levels && p->levels && !(p->cross && point) && is_its_point(r, d, point))
        flags |= SEAT_LEVELS;
    if (!point && silence_ns(r, d) > 0)
        flags |= SEAT_SILENCE;
    return (uint8_t)flags;
}

bool alarm_concerns(const struct world *w, const struct rule *r, const struct device *d,
                    const char *point)
{
    const struct rule *const *rules = NULL;
    bool own = !*point || (d->point && strcmp(point, d->point) == 0), its = false;
    for (size_t i = rules_of_kind(w->rules, d->kind, &rules); i-- > 0;)
        its |= rules[i] == r;
    if (!its || !concerns(w, r, d->compound))
        return false;
    return (own && silence_ns(r, d) > 0) ||
           (rule_levels(r, d->kind) && is_its_point(r, d, own ? NULL : point));
}

/* Of the least patient rule about silence, in whole seconds. */
static uint32_t patience_of(const struct plan *p, const struct series *s,
                            const struct device *d)
{
    uint64_t least = NEVER;
    for (size_t i = 0; i < p->n_rules; i++) {
        uint64_t after = silence_ns(p->rules[i].rule, d);
        if (seats_of(p, s)[i].flags & SEAT_SILENCE && after < least)
            least = after;
    }
    return least / SECOND_NS < UINT32_MAX ? (uint32_t)(least / SECOND_NS) : 0;
}

/* Of a plan's chunks each is twice as large as the one before, up to CHUNK. */
static size_t room_after(size_t room, size_t bytes)
{
    return room * 2 * bytes <= CHUNK ? room * 2 : room;
}

static struct series *series_new(struct gen *g, struct plan *p, const struct device *d,
                                 const char *point)
{
    if (p->used == p->room) {
        p->room = p->n_chunks == 0 ? CHUNK_MIN : room_after(p->room, p->bytes);
        p->chunks = mem_realloc_array(p->chunks, p->n_chunks + 1, sizeof(*p->chunks));
        p->chunks[p->n_chunks++] = mem_zalloc_large(p->room, p->bytes);
        p->used = 0;
    }
    struct series *s =
        (struct series *)(void *)(p->chunks[p->n_chunks - 1] + p->used++ * p->bytes);
    s->device = d->index;
    s->point = mem_strdup(point);
    for (unsigned i = 0; i < p->n_slots; i++)
        s->last[i].v = NAN;
    struct seat *seats = seats_of(p, s);
    for (size_t i = 0; i < p->n_rules; i++) {
        seats[i].flags = flags_of(g, p, i, d, point);
        g->n_instances += seats[i].flags != 0;
    }
    if (!point)
        g->devs[d->index].patience_s = patience_of(p, s, d);
    return s;
}

struct series *gen_series(struct gen *g, const struct device *d, const char *point, bool make)
{
    struct plan *p = gen_plan(g, d);
    unsigned n = 0;
    if (p->n_rules + p->n_conds == 0 || d->retired)
        return NULL;
    struct series **at = &g->devs[d->index].series;
    if (!*point && *at)
        return *at;
    for (; *at; at = &(*at)->next, n++)
        if ((*at)->point ? strcmp((*at)->point, point) == 0 : !*point)
            return *at;
    if (!make || n >= MAX_POINTS)
        return NULL;
    *at = series_new(g, p, d, *point ? point : NULL);
    (*at)->ordinal = (uint16_t)n;
    return *at;
}

struct whom gen_whom(struct gen *g, uint32_t device, unsigned ordinal)
{
    struct whom w = {.device = registry_device_at(g->world->registry, device)};
    w.plan = gen_plan(g, w.device);
    w.dev = &g->devs[device];
    for (w.series = w.dev->series; w.series && w.series->ordinal != ordinal;)
        w.series = w.series->next;
    return w;
}

/* -- the whole -------------------------------------------------------------------------------- */

static void build_rules(struct gen *g, int64_t wall_ms)
{
    const struct world *w = g->world;
    g->n_rules = rules_count(w->rules);
    g->rules = mem_zalloc_array(g->n_rules, sizeof(*g->rules));
    for (size_t i = 0; i < g->n_rules; i++) {
        const struct rule *r = rules_at(w->rules, i);
        struct rule_state *s = &g->rules[i];
        s->cursor = UINT32_MAX;
        s->boundary_ns = NEVER;
        s->in_force = rule_in_force(r, rules_calendar(w->rules), w->zone, wall_ms);
        s->by_wall = r->n_windows > 0;
    }
    for (size_t k = 0; k < g->n_plans; k++)
        for (size_t i = 0; i < g->plans[k].n_rules; i++) {
            const struct plan_rule *p = &g->plans[k].rules[i];
            g->rules[p->rule->index].counts |= p->counts;
            g->rules[p->rule->index].hears |= p->hears;
            for (size_t l = 0; l < p->rule->n_levels; l++)
                g->rules[p->rule->index].by_wall |= p->on[l].timed || p->off[l].timed;
        }
}

/* The rules of p that concern compound c, by their places; how many. */
static size_t rules_there(const struct gen *g, const struct plan *p, const struct compound *c,
                          uint16_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_rules; i++)
        if (concerns(g->world, p->rules[i].rule, c))
            out[n++] = (uint16_t)i;
    return n;
}

static bool has_these(const struct plan *v, const struct plan *all, const uint16_t *there,
                      size_t n)
{
    if (v->kind != all->kind || v->n_rules != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (v->rules[i].rule != all->rules[there[i]].rule)
            return false;
    return true;
}

static void plan_part(struct gen *g, size_t kind, const uint16_t *there, size_t n)
{
    g->plans = mem_realloc_array(g->plans, g->n_plans + 1, sizeof(*g->plans));
    const struct plan *all = &g->plans[kind];
    struct plan *p = &g->plans[g->n_plans++];
    *p = *all;
    p->of_compound = NULL;
    p->restricted = p->counts = false;
    p->cross_masks = 0;
    p->n_rules = n;
    p->rules = mem_zalloc_array(n, sizeof(*p->rules));
    p->glances = mem_zalloc_array(n, sizeof(*p->glances));
    p->conds = p->n_conds ? mem_dup(all->conds, p->n_conds * sizeof(*p->conds)) : NULL;
    for (size_t i = 0; i < n; i++) {
        p->rules[i] = all->rules[there[i]];
        p->glances[i] = all->glances[there[i]];
        p->counts |= p->rules[i].counts;
        p->cross_masks |= p->rules[i].cross ? p->rules[i].mask : 0;
    }
}

/* Which plan the devices of a kind in a compound have, where that is asked for the first time. */
static uint32_t part_for(struct gen *g, size_t kind, const struct compound *c, uint16_t *there,
                         size_t *copies)
{
    size_t n = rules_there(g, &g->plans[kind], c, there);
    for (size_t i = catalog_kinds(g->world->catalog); i < g->n_plans; i++)
        if (has_these(&g->plans[i], &g->plans[kind], there, n))
            return (uint32_t)i;
    if (*copies + n + 1 > MAX_COPIES)
        return (uint32_t)kind;
    *copies += n + 1;
    plan_part(g, kind, there, n);
    return (uint32_t)g->n_plans - 1;
}

/* A device carries the rules that concern it, and not those of its kind in other compounds. */
static void plan_compounds(struct gen *g)
{
    const struct registry *r = g->world->registry;
    size_t n = registry_compounds(r), copies = 0;
    uint16_t *there = mem_zalloc_array(g->n_rules, sizeof(*there));
    bool any = false;
    for (size_t k = 0; k < catalog_kinds(g->world->catalog); k++)
        if (g->plans[k].restricted) {
            any = true;
            g->plans[k].of_compound = mem_zalloc_array(n, sizeof(uint32_t));
            memset(g->plans[k].of_compound, 0xff, n * sizeof(uint32_t));
        }
    for (size_t i = 0; any && i < registry_devices(r); i++) {
        const struct device *d = registry_device_at(r, i);
        size_t k = d->kind->index;
        uint32_t *of = g->plans[k].of_compound;
        if (of && of[d->compound->index] == UINT32_MAX)
            of[d->compound->index] = part_for(g, k, d->compound, there, &copies);
    }
    free(there);
}

static void build_devices(struct gen *g, uint64_t engine_ns)
{
    if (g->n_rules == 0)
        return;
    g->n_devs = registry_devices(g->world->registry);
    g->devs = mem_zalloc_large(g->n_devs, sizeof(*g->devs));
    g->kind_of = mem_zalloc_array(g->n_devs, sizeof(*g->kind_of));
    for (size_t i = 0; i < g->n_devs; i++) {
        const struct device *d = registry_device_at(g->world->registry, i);
        g->kind_of[i] = (uint8_t)d->kind->index;
        g->devs[i] =
            (struct dev){.alive_ns = engine_ns, .since_ns = engine_ns, .broker = NO_BROKER};
        (void)gen_series(g, d, "", true);
    }
}

void gen_build(struct gen *g, const struct world *w, uint64_t engine_ns, int64_t wall_ms)
{
    *g = (struct gen){.world = w, .n_plans = catalog_kinds(w->catalog)};
    g->plans = mem_zalloc_array(g->n_plans, sizeof(*g->plans));
    for (size_t i = 0; i < g->n_plans; i++)
        plan_kind(&g->plans[i], w, catalog_kind_at(w->catalog, i));
    gen_counts(g);
    for (size_t i = 0; i < g->n_plans; i++) {
        struct plan *p = &g->plans[i];
        for (size_t c = 0; c < p->n_conds; c++)
            plan_cond(p, c);
        p->bytes = sizeof(struct series) + p->n_slots * sizeof(struct expr_last) +
                   p->n_rules * sizeof(struct seat);
    }
    build_rules(g, wall_ms);
    plan_compounds(g);
    build_devices(g, engine_ns);
    gen_places(g);
}

void gen_done(struct gen *g)
{
    for (size_t i = 0; i < g->n_devs; i++) {
        for (struct series *s = g->devs[i].series; s; s = s->next)
            free(s->point);
        rare_free(g->devs[i].rare);
    }
    for (size_t i = 0; i < g->n_plans; i++) {
        struct plan *p = &g->plans[i];
        for (size_t k = 0; k < p->n_chunks; k++)
            free(p->chunks[k]);
        free(p->chunks);
        free(p->rules);
        free(p->glances);
        free(p->conds);
        free(p->of_compound);
    }
    gen_places_done(g);
    free(g->plans);
    free(g->devs);
    free(g->kind_of);
    free(g->rules);
    *g = (struct gen){0};
}
