/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from one world: by kind, which rules there are and what they read; by device, a
 * series with room for that. */
#include "base/check.h"
#include "base/mem.h"
#include "core/alarm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK      512 /* series */
#define MAX_POINTS 65  /* of one device; the engine refuses more */

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
        }
    }
}

static void plan_kind(struct plan *p, const struct world *w, const struct kind *k)
{
    const struct rule *const *rules = NULL;
    p->kind = k;
    p->n_rules = rules_of_kind(w->rules, k, &rules);
    p->rules = mem_zalloc_array(p->n_rules, sizeof(*p->rules));
    p->masks = mem_zalloc_array(p->n_rules, sizeof(*p->masks));
    memset(p->slots, NO_SLOT, sizeof(p->slots));
    for (size_t i = 0; i < p->n_rules; i++) {
        plan_rule(p, rules[i], &p->rules[i]);
        p->masks[i] = p->rules[i].mask;
        p->cross_masks |= p->rules[i].cross ? p->rules[i].mask : 0;
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

static bool concerns(const struct world *w, const struct rule *r, const struct device *d)
{
    if (r->n_compounds + r->n_tiers + r->n_firms == 0)
        return true;
    const struct compound *c = registry_compound_now(w->registry, d->compound);
    return (listed(r->compounds, r->n_compounds, c->code) ||
            listed(r->compounds, r->n_compounds, d->compound->code)) &&
           listed(r->tiers, r->n_tiers, c->tier) && listed(r->firms, r->n_firms, c->firm);
}

static bool is_its_point(const struct rule *r, const struct device *d, const char *point)
{
    return listed(r->points, r->n_points, point ? point : d->point ? d->point : "");
}

static uint8_t flags_of(const struct gen *g, const struct plan_rule *p, const struct device *d,
                        const char *point)
{
    const struct rule *r = p->rule;
    unsigned flags = 0;
    if (d->retired || !world_serves(g->world, d) || !concerns(g->world, r, d))
        return 0; /* what the other lane hears is not silent */
    if (r->n_levels && p->levels && !(p->cross && point) && is_its_point(r, d, point))
        flags |= SEAT_LEVELS;
    if (!point && silence_ns(r, d) > 0)
        flags |= SEAT_SILENCE;
    return (uint8_t)flags;
}

static struct series *series_new(struct gen *g, struct plan *p, const struct device *d,
                                 const char *point)
{
    if (p->n_chunks == 0 || p->used == CHUNK) {
        p->chunks = mem_realloc_array(p->chunks, p->n_chunks + 1, sizeof(*p->chunks));
        p->chunks[p->n_chunks++] = mem_zalloc_array(CHUNK, p->bytes);
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
        seats[i].flags = flags_of(g, &p->rules[i], d, point);
        g->n_instances += seats[i].flags != 0;
    }
    if (p->n_conds) {
        s->cond = mem_zalloc(sizeof(*s->cond) + p->n_conds * sizeof(s->cond->windows[0]));
        for (size_t i = 0; i < p->n_conds; i++)
            s->cond->windows[i] = expr_state_new(p->conds[i].x.x);
    }
    return s;
}

struct series *gen_series(struct gen *g, const struct device *d, const char *point, bool make)
{
    struct dev *v = &g->devs[d->index];
    struct plan *p = gen_plan(g, d);
    struct series **at = &v->series;
    unsigned n = 0;
    if (p->n_rules + p->n_conds == 0 || d->retired)
        return NULL;
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
            for (size_t l = 0; l < p->rule->n_levels; l++)
                g->rules[p->rule->index].by_wall |= p->on[l].timed || p->off[l].timed;
        }
}

static void build_devices(struct gen *g, uint64_t engine_ns)
{
    g->n_devs = registry_devices(g->world->registry);
    g->devs = mem_zalloc_array(g->n_devs, sizeof(*g->devs));
    for (size_t i = 0; i < g->n_devs; i++) {
        g->devs[i] =
            (struct dev){.alive_ns = engine_ns, .since_ns = engine_ns, .broker = NO_BROKER};
        (void)gen_series(g, registry_device_at(g->world->registry, i), "", true);
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
    build_devices(g, engine_ns);
    gen_places(g);
}

static void series_done(struct series *s, const struct plan *p)
{
    free(s->point);
    cond_free(s->cond, p->n_conds);
}

void gen_done(struct gen *g)
{
    for (size_t i = 0; i < g->n_devs; i++) {
        const struct device *d = registry_device_at(g->world->registry, i);
        for (struct series *s = g->devs[i].series; s; s = s->next)
            series_done(s, gen_plan(g, d));
        rare_free(g->devs[i].rare);
    }
    for (size_t i = 0; i < g->n_plans; i++) {
        struct plan *p = &g->plans[i];
        for (size_t k = 0; k < p->n_chunks; k++)
            free(p->chunks[k]);
        free(p->chunks);
        free(p->rules);
        free(p->masks);
        free(p->conds);
    }
    gen_places_done(g);
    free(g->plans);
    free(g->devs);
    free(g->rules);
    *g = (struct gen){0};
}
