/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count_over: how many devices around meet a condition. Each series keeps the truth of its kind's
 * conditions; when a device's changes, the counts of its groups do, and the rules that read
 * those are evaluated at the end of the step.
 */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static unsigned cond_of(struct plan *p, const struct expr *x)
{
    uint64_t hash = expr_hash(x);
    for (size_t i = 0; i < p->n_conds; i++)
        if (p->conds[i].hash == hash)
            return (unsigned)i;
    if (p->n_conds == RULES_MAX_CONDS)
        return UINT32_MAX;
    p->conds = mem_realloc_array(p->conds, p->n_conds + 1, sizeof(*p->conds));
    p->conds[p->n_conds] = (struct plan_cond){.x = {.x = x}, .hash = hash};
    return (unsigned)p->n_conds++;
}

static uint16_t count_index(struct gen *g, const struct expr_count *c)
{
    unsigned cond = cond_of(&g->plans[c->kind->index], c->condition);
    if (cond == UINT32_MAX || g->n_counts == UINT16_MAX)
        return UINT16_MAX;
    for (size_t i = 0; i < g->n_counts; i++)
        if (g->counts[i].area == c->area && g->counts[i].kind == c->kind &&
            g->counts[i].cond == cond)
            return (uint16_t)i;
    g->counts = mem_realloc_array(g->counts, g->n_counts + 1, sizeof(*g->counts));
    g->counts[g->n_counts] = (struct count){.area = c->area, .kind = c->kind, .cond = cond};
    return (uint16_t)g->n_counts++;
}

static void find(struct gen *g, struct plan *p, struct plan_rule *r, struct plan_expr *x)
{
    const struct expr_count *list = NULL;
    x->n_counts = x->x ? (uint8_t)expr_counts(x->x, &list) : 0;
    for (unsigned i = 0; i < x->n_counts; i++)
        x->counts[i] = count_index(g, &list[i]);
    r->counts |= x->n_counts > 0;
    p->counts |= x->n_counts > 0;
}

static void mark(struct gen *g, const struct plan_expr *x)
{
    for (unsigned i = 0; i < x->n_counts; i++) {
        if (x->counts[i] >= g->n_counts)
            continue;
        const struct count *c = &g->counts[x->counts[i]];
        g->plans[c->kind->index].urgent |= UINT64_C(1) << c->cond;
    }
}

/* Where any device of a kind is life-safety, all rules of that kind may be. */
static void mark_urgent(struct gen *g)
{
    const struct registry *devices = g->world->registry;
    bool kinds[CATALOG_MAX_KINDS] = {false};
    for (size_t i = 0; i < registry_devices(devices); i++) {
        const struct device *d = registry_device_at(devices, i);
        kinds[d->kind->index] |= d->life_safety;
    }
    for (size_t k = 0; k < g->n_plans; k++)
        for (size_t i = 0; i < g->plans[k].n_rules; i++) {
            const struct plan_rule *r = &g->plans[k].rules[i];
            for (size_t l = 0; r->counts && l < r->rule->n_levels; l++)
                if (r->rule->life_safety || kinds[k]) {
                    mark(g, &r->on[l]);
                    mark(g, &r->off[l]);
                }
        }
}

void gen_counts(struct gen *g)
{
    for (size_t k = 0; k < g->n_plans; k++)
        for (size_t i = 0; i < g->plans[k].n_rules; i++) {
            struct plan_rule *r = &g->plans[k].rules[i];
            for (size_t l = 0; l < r->rule->n_levels; l++) {
                find(g, &g->plans[k], r, &r->on[l]);
                find(g, &g->plans[k], r, &r->off[l]);
                r->counted |= (uint8_t)((r->on[l].n_counts || r->off[l].n_counts) << l);
            }
            r->plain &= !r->counts;
        }
    if (g->n_counts)
        mark_urgent(g);
}

double count_of(const struct alarm *a, unsigned count, uint32_t device)
{
    if (count >= a->g.n_counts)
        return NAN;
    const struct count *c = &a->g.counts[count];
    uint32_t group = a->g.areas[c->area].group[device];
    return group == UINT32_MAX ? (double)NAN : (double)c->n[group];
}

static bool device_meets(const struct dev *v, size_t cond)
{
    for (const struct series *s = v->series; s; s = s->next)
        if (s->truth >> cond & 1)
            return true;
    return false;
}

static void note_dirty(struct alarm *a, uint32_t count, uint32_t group, uint32_t was)
{
    for (size_t i = 0; i < a->n_dirty; i++)
        if (a->dirty[i].count == count && a->dirty[i].group == group)
            return;
    if (a->n_dirty == a->cap_dirty) {
        a->cap_dirty = a->cap_dirty ? a->cap_dirty * 2 : 16;
        a->dirty = mem_realloc_array(a->dirty, a->cap_dirty, sizeof(*a->dirty));
    }
    a->dirty[a->n_dirty++] = (struct dirty){count, group, was};
}

static void add(struct alarm *a, const struct device *d, size_t cond, int by)
{
    for (uint32_t i = 0; i < a->g.n_counts; i++) {
        struct count *c = &a->g.counts[i];
        uint32_t group = a->g.areas[c->area].group[d->index];
        if (c->kind != d->kind || c->cond != cond || group == UINT32_MAX)
            continue;
        note_dirty(a, i, group, c->n[group]);
        c->n[group] += (uint32_t)by;
    }
}

/* It reads last values only: nothing in it is timed (core/expr.h). */
static void look(struct alarm *a, const struct moment *m, const struct whom *w, size_t cond)
{
    struct plan_expr *x = &w->plan->conds[cond].x;
    struct expr_env env;
    eval_env(a, w, NULL, m->order_ns, m->wall_ms, &env);
    eval_aim(a, w, x, false, &env);
    bool is = expr_eval(x->x, NULL, &env) == EXPR_TRUE;
    if (is == (w->series->truth >> cond & 1))
        return;
    bool was = device_meets(w->dev, cond);
    w->series->truth ^= UINT64_C(1) << cond;
    if (was != device_meets(w->dev, cond))
        add(a, w->device, cond, was ? -1 : 1);
}

/* A condition that reads other points is the device's own. */
void count_sample(struct alarm *a, const struct moment *m, const struct whom *said, bool urgent)
{
    struct whom w = *said;
    uint64_t of = urgent && !w.device->life_safety ? w.plan->urgent : UINT64_MAX;
    for (size_t i = 0; i < w.plan->n_conds; i++) {
        const struct plan_expr *x = &w.plan->conds[i].x;
        w.series = x->cross ? w.dev->series : said->series;
        if (of >> i & 1 && w.series && x->mask & (m->carried | m->bad))
            look(a, m, &w, i);
    }
}

static bool expr_cares(const struct plan_expr *x, const struct dirty *d, uint32_t now)
{
    for (unsigned i = 0; i < x->n_counts; i++)
        if (x->counts[i] == d->count && expr_count_matters(x->x, i, d->was, now))
            return true;
    return false;
}

/* Does it change anything for the rule that the count is another now? */
static bool cares(const struct plan_rule *r, const struct dirty *d, uint32_t now)
{
    for (size_t l = 0; r->counts && l < r->rule->n_levels; l++)
        if (expr_cares(&r->on[l], d, now) || expr_cares(&r->off[l], d, now))
            return true;
    return false;
}

static bool plan_cares(const struct plan *p, const struct dirty *d, uint32_t now)
{
    for (size_t i = 0; p->counts && i < p->n_rules; i++)
        if (cares(&p->rules[i], d, now))
            return true;
    return false;
}

static void tell_device(struct alarm *a, const struct moment *m, uint32_t device,
                        const struct dirty *d, uint32_t now)
{
    struct whom w = gen_whom(&a->g, device, 0);
    for (unsigned i = 0; i < w.plan->n_rules; i++) {
        if (!cares(&w.plan->rules[i], d, now))
            continue;
        for (w.series = w.dev->series; w.series; w.series = w.series->next)
            alarm_eval(a, m, &w, i);
    }
}

/* So many are not for one step: the rules are swept, a stretch at a time. */
static void tell_many(struct alarm *a, const struct moment *m, const struct plan *p,
                      const struct dirty *d, uint32_t now)
{
    for (size_t i = 0; i < p->n_rules; i++)
        if (cares(&p->rules[i], d, now))
            due_sweep_count(a, p->rules[i].rule->index, m->engine_ns);
}

/* In a storm a count changes with every sample, and is read by a whole district: whoever reads it is
 * looked at when it crosses a number that a rule compares it with. */
static void tell_group(struct alarm *a, const struct moment *m, const struct dirty *d)
{
    const struct count *c = &a->g.counts[d->count];
    const struct area *x = &a->g.areas[c->area];
    uint32_t now = c->n[d->group], from = x->first[d->group], to = x->first[d->group + 1];
    uint64_t kinds = 0;
    bool any = false;
    if (now == d->was)
        return;
    for (size_t i = 0; i < a->g.n_plans; i++)
        if (plan_cares(&a->g.plans[i], d, now)) {
            any = true;
            kinds |= UINT64_C(1) << a->g.plans[i].kind->index % 64;
            if (to - from > SWEEP)
                tell_many(a, m, &a->g.plans[i], d, now);
        }
    for (uint32_t k = from; any && to - from <= SWEEP && k < to; k++)
        if (kinds >> a->g.kind_of[x->members[k]] % 64 & 1)
            tell_device(a, m, x->members[k], d, now);
}

void count_flush(struct alarm *a, const struct moment *m)
{
    struct moment n = *m;
    n.from = NULL;
    n.carried = n.bad = 0;
    for (size_t i = 0; i < a->n_dirty; i++)
        tell_group(a, &n, &a->dirty[i]);
    a->n_dirty = 0;
}

static bool had(const struct plan *before, uint64_t hash)
{
    for (size_t i = 0; before && i < before->n_conds; i++)
        if (before->conds[i].hash == hash)
            return true;
    return false;
}

static void see(struct alarm *a, struct whom *w, size_t cond, const struct moment *m)
{
    struct plan_expr *x = &w->plan->conds[cond].x;
    struct expr_env env;
    eval_env(a, w, NULL, m->engine_ns, m->wall_ms, &env);
    eval_aim(a, w, x, false, &env);
    if (expr_eval(x->x, NULL, &env) == EXPR_TRUE)
        w->series->truth |= UINT64_C(1) << cond;
}

void count_seen(struct alarm *a, struct plan *p, const struct plan *before,
                const struct moment *m)
{
    for (size_t c = 0; c < p->n_conds; c++) {
        if (had(before, p->conds[c].hash))
            continue;
        for (uint32_t i = 0; i < a->g.n_devs; i++) {
            if (a->g.kind_of[i] != p->kind->index)
                continue;
            struct whom w = gen_whom(&a->g, i, 0);
            for (; w.plan == p && w.series;
                 w.series = p->conds[c].x.cross ? NULL : w.series->next)
                see(a, &w, c, m);
        }
    }
}

/* What a reload spared of life-safety is looked at when its device speaks, whatever it says. */
void count_spared(struct alarm *a, const struct moment *m, const struct whom *w)
{
    struct moment n = *m;
    n.from = NULL;
    n.carried = n.bad = 0;
    for (unsigned i = 0; i < w->plan->n_rules; i++) {
        const struct seat *seat = &seats_of(w->plan, w->series)[i];
        const struct act *t = seat->act ? act_at(a, seat->act) : NULL;
        if (w->plan->rules[i].counts && t && t->level >= 0 &&
            endangers(w->plan->rules[i].rule, w->device, t))
            alarm_eval(a, &n, w, i);
    }
}

void count_again(struct alarm *a)
{
    for (size_t i = 0; i < a->g.n_counts; i++)
        memset(a->g.counts[i].n, 0, a->g.areas[a->g.counts[i].area].n * sizeof(uint32_t));
    for (uint32_t i = 0; i < a->g.n_devs; i++) {
        if (a->g.plans[a->g.kind_of[i]].n_conds == 0)
            continue;
        const struct device *d = registry_device_at(a->g.world->registry, i);
        const struct plan *p = gen_plan(&a->g, d);
        for (size_t c = 0; c < p->n_conds; c++)
            if (device_meets(&a->g.devs[i], c))
                add(a, d, c, 1);
    }
    a->n_dirty = 0;
}
