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

#define MAX_CONDS 64 /* of a kind */

static unsigned cond_of(struct plan *p, const struct expr *x)
{
    uint64_t hash = expr_hash(x);
    for (size_t i = 0; i < p->n_conds; i++)
        if (p->conds[i].hash == hash)
            return (unsigned)i;
    if (p->n_conds == MAX_CONDS)
        return UINT32_MAX;
    p->conds = mem_realloc_array(p->conds, p->n_conds + 1, sizeof(*p->conds));
    p->conds[p->n_conds] = (struct plan_cond){.x = {.x = x}, .hash = hash};
    p->timed_conds |= expr_is_timed(x) || expr_window_ns(x) > 0;
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

void gen_counts(struct gen *g)
{
    for (size_t k = 0; k < g->n_plans; k++)
        for (size_t i = 0; i < g->plans[k].n_rules; i++) {
            struct plan_rule *r = &g->plans[k].rules[i];
            for (size_t l = 0; l < r->rule->n_levels; l++) {
                find(g, &g->plans[k], r, &r->on[l]);
                find(g, &g->plans[k], r, &r->off[l]);
            }
            r->plain &= !r->counts;
        }
}

double count_of(const struct alarm *a, unsigned count, uint32_t device)
{
    if (count >= a->g.n_counts)
        return NAN;
    const struct count *c = &a->g.counts[count];
    uint32_t group = a->g.areas[c->area].group[device];
    return group == UINT32_MAX ? (double)NAN : (double)c->n[group];
}

void cond_free(struct cond_state *c, size_t n)
{
    for (size_t i = 0; c && i < n; i++)
        expr_state_free(c->windows[i]);
    free(c);
}

static bool device_meets(const struct dev *v, size_t cond)
{
    for (const struct series *s = v->series; s; s = s->next)
        if (s->cond && s->cond->truth >> cond & 1)
            return true;
    return false;
}

static void note_dirty(struct alarm *a, uint32_t count, uint32_t group)
{
    for (size_t i = 0; i < a->n_dirty; i++)
        if (a->dirty[i].count == count && a->dirty[i].group == group)
            return;
    if (a->n_dirty == a->cap_dirty) {
        a->cap_dirty = a->cap_dirty ? a->cap_dirty * 2 : 16;
        a->dirty = mem_realloc_array(a->dirty, a->cap_dirty, sizeof(*a->dirty));
    }
    a->dirty[a->n_dirty++] = (struct dirty){count, group};
}

static void add(struct alarm *a, const struct device *d, size_t cond, int by)
{
    for (uint32_t i = 0; i < a->g.n_counts; i++) {
        struct count *c = &a->g.counts[i];
        uint32_t group = a->g.areas[c->area].group[d->index];
        if (c->kind != d->kind || c->cond != cond || group == UINT32_MAX)
            continue;
        c->n[group] += (uint32_t)by;
        note_dirty(a, i, group);
    }
}

static void look(struct alarm *a, const struct moment *m, const struct whom *w, size_t cond)
{
    struct plan_expr *x = &w->plan->conds[cond].x;
    struct cond_state *c = w->series->cond;
    struct expr_env env;
    if (m->from)
        eval_feed(x, c->windows[cond], w, m);
    eval_env(a, w, NULL, m->from ? m->order_ns : m->engine_ns, m->wall_ms, &env);
    eval_aim(a, w, x, false, &env);
    bool is = expr_eval(x->x, c->windows[cond], &env) == EXPR_TRUE;
    if (is != (c->truth >> cond & 1)) {
        bool was = device_meets(w->dev, cond);
        c->truth ^= UINT64_C(1) << cond;
        if (was != device_meets(w->dev, cond))
            add(a, w->device, cond, was ? -1 : 1);
    }
    uint64_t wake = expr_wake_ns(x->x, c->windows[cond], &env);
    if (wake == NEVER)
        return;
    due_set(a, &c->queued, wake < m->engine_ns + MS_NS ? m->engine_ns + MS_NS : wake,
            w->device->index, ((uint32_t)w->series->ordinal + 1) << 16 | DUE_COND);
}

/* A condition that reads other points is the device's own. */
static void look_all(struct alarm *a, const struct moment *m, struct whom w, uint64_t touched)
{
    struct series *said = w.series;
    for (size_t i = 0; i < w.plan->n_conds; i++) {
        const struct plan_expr *x = &w.plan->conds[i].x;
        w.series = x->cross ? w.dev->series : said;
        if (w.series && (x->mask & touched || touched == UINT64_MAX))
            look(a, m, &w, i);
    }
}

void count_sample(struct alarm *a, const struct moment *m, const struct whom *w)
{
    look_all(a, m, *w, m->carried | m->bad);
}

void count_due(struct alarm *a, const struct moment *m, const struct whom *w)
{
    look_all(a, m, *w, UINT64_MAX);
}

void count_arm(struct alarm *a, const struct moment *m)
{
    bool any = false;
    for (size_t i = 0; i < a->g.n_plans; i++)
        any |= a->g.plans[i].timed_conds;
    for (uint32_t i = 0; any && i < a->g.n_devs; i++) {
        struct whom w = gen_whom(&a->g, i, 0);
        for (struct series *s = w.plan->timed_conds ? w.dev->series : NULL; s; s = s->next) {
            w.series = s;
            if (s->cond->queued == 0)
                count_due(a, m, &w);
        }
    }
}

static bool reads(const struct plan_rule *r, uint32_t count)
{
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        for (unsigned i = 0; i < r->on[l].n_counts; i++)
            if (r->on[l].counts[i] == count)
                return true;
        for (unsigned i = 0; i < r->off[l].n_counts; i++)
            if (r->off[l].counts[i] == count)
                return true;
    }
    return false;
}

static void tell_device(struct alarm *a, const struct moment *m, uint32_t device,
                        uint32_t count)
{
    struct whom w = gen_whom(&a->g, device, 0);
    for (unsigned i = 0; i < w.plan->n_rules; i++) {
        if (!w.plan->rules[i].counts || !reads(&w.plan->rules[i], count))
            continue;
        for (w.series = w.dev->series; w.series; w.series = w.series->next)
            alarm_eval(a, m, &w, i);
    }
}

void count_flush(struct alarm *a, const struct moment *m)
{
    struct moment n = *m;
    n.from = NULL;
    n.carried = n.bad = 0;
    for (size_t i = 0; i < a->n_dirty; i++) {
        const struct area *x = &a->g.areas[a->g.counts[a->dirty[i].count].area];
        uint32_t group = a->dirty[i].group;
        for (uint32_t k = x->first[group]; k < x->first[group + 1]; k++)
            if (a->g.plans[a->g.kind_of[x->members[k]]].counts)
                tell_device(a, &n, x->members[k], a->dirty[i].count);
    }
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
        w->series->cond->truth |= UINT64_C(1) << cond;
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
        if (w->plan->rules[i].counts && seat->act && act_at(a, seat->act)->level >= 0 &&
            is_urgent(w->plan->rules[i].rule, w->device))
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
