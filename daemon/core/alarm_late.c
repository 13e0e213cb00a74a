/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Late news. What is newer than all before drives the state, but is told when the device has caught
 * up. What is older never does: it is evaluated apart, in the gap that it fills, and an
 * alarm that was over before we heard of it makes a record.
 */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct rare *rare_of(struct dev *v)
{
    if (!v->rare)
        v->rare = mem_zalloc(sizeof(*v->rare));
    return v->rare;
}

static void past_free(struct past *p)
{
    free(p->shadows);
    free(p);
}

void rare_free(struct rare *r)
{
    for (struct past *p = r ? r->pasts : NULL, *next; p; p = next) {
        next = p->next;
        past_free(p);
    }
    free(r);
}

static void wait(struct alarm *a, struct rare *r, uint32_t device, uint64_t engine_ns)
{
    if (r->from_ns == 0)
        r->from_ns = engine_ns;
    r->due = engine_ns + SETTLE_NS < r->from_ns + HELD_NS ? engine_ns + SETTLE_NS
                                                          : r->from_ns + HELD_NS;
    if (r->due <= engine_ns)
        r->due = engine_ns + 1;
    due_set(a, &r->queued, r->due, device, DUE_CATCH);
}

void late_hold(struct alarm *a, const struct moment *m, const struct whom *w)
{
    struct rare *r = rare_of(w->dev);
    w->dev->flags |= DEV_CATCHING;
    wait(a, r, w->device->index, m->engine_ns);
}

/* -- what is over ----------------------------------------------------------------------------- */

static bool can_look_back(const struct plan_rule *r)
{
    for (size_t l = 0; l < r->rule->n_levels; l++)
        if (r->on[l].timed || r->on[l].windows || r->on[l].n_counts || r->off[l].timed ||
            r->off[l].windows || r->off[l].n_counts)
            return false;
    return r->rule->n_levels > 0 && !r->cross;
}

/* The present activation is no episode, nor is what it began with. */
static bool is_present(struct alarm *a, const struct whom *w, unsigned pos,
                       const struct shadow *s)
{
    const struct seat *seat = &seats_of(w->plan, w->series)[pos];
    const struct act *t = seat->act ? act_at(a, seat->act) : NULL;
    return t && t->level >= 0 && t->since_ns <= s->last_ns;
}

static void over(struct alarm *a, const struct moment *m, const struct whom *w, unsigned pos,
                 struct shadow *s)
{
    if (s->level >= 0 && !is_present(a, w, pos, s))
        tell_episode(a, m, w, &w->plan->rules[pos], s);
    *s = (struct shadow){.level = -1};
}

static void look_back(struct alarm *a, const struct moment *m, const struct whom *w,
                      unsigned pos, struct past *p)
{
    const struct plan_rule *r = &w->plan->rules[pos];
    const struct world *world = a->g.world;
    struct shadow *s = &p->shadows[pos];
    struct expr_env env;
    eval_env(a, w, r->rule, m->order_ns, m->stamp_ms, &env);
    env.last = p->last;
    bool force = rule_in_force(r->rule, rules_calendar(world->rules), world->zone, m->stamp_ms);
    enum expr_truth first = EXPR_FALSE;
    bool any = false;
    if (!s->open)
        s->level = -1;
    for (int l = 0; l < (int)r->rule->n_levels; l++) {
        enum expr_truth t = expr_eval(r->on[l].x, NULL, &env);
        first = l == 0 ? t : first;
        if (t != EXPR_TRUE || !force)
            continue;
        any = true;
        if (!s->open)
            *s = (struct shadow){m->order_ns, m->stamp_ms, m->stamp_ms, m->order_ns, -1, true};
        s->last_ns = m->order_ns;
        s->last_ms = m->stamp_ms;
        if (m->order_ns - s->from_ns >= r->levels[l].for_ns && l > s->level)
            s->level = (int8_t)l;
    }
    if (any || !s->open || first != EXPR_FALSE)
        return;
    if (r->off[0].x && expr_eval(r->off[0].x, NULL, &env) != EXPR_TRUE)
        return;
    if (r->rule->mode == RULE_HOLD && s->level < 0 &&
        m->order_ns - s->from_ns >= r->levels[0].for_ns)
        s->level = 0;
    s->last_ms = m->stamp_ms;
    over(a, m, w, pos, s);
}

struct past *late_past(struct rare *r, const struct whom *w)
{
    for (struct past *p = r->pasts; p; p = p->next)
        if (p->series == w->series)
            return p;
    size_t slots = w->plan->n_slots;
    struct past *p = mem_zalloc(sizeof(*p) + slots * sizeof(p->last[0]));
    p->series = w->series;
    p->shadows = mem_zalloc_array(w->plan->n_rules, sizeof(*p->shadows));
    for (size_t i = 0; i < slots; i++)
        p->last[i].v = NAN;
    struct past **at = &r->pasts;
    while (*at)
        at = &(*at)->next;
    return *at = p;
}

static bool has_past(const struct whom *w)
{
    const struct past *p = w->dev->rare->pasts;
    while (p && p->series != w->series)
        p = p->next;
    return p;
}

void late_move(const struct whom *old, const struct whom *now)
{
    const struct past *from = old->dev->rare ? old->dev->rare->pasts : NULL;
    while (from && from->series != old->series)
        from = from->next;
    if (!from || has_past(now))
        return;
    struct past *to = late_past(now->dev->rare, now);
    for (unsigned i = 0; i < old->plan->n_slots; i++)
        for (unsigned k = 0; k < now->plan->n_slots; k++)
            if (strcmp(old->plan->metrics[i]->name, now->plan->metrics[k]->name) == 0)
                to->last[k] = from->last[i];
    for (size_t i = 0; i < old->plan->n_rules; i++)
        for (size_t k = 0; from->shadows[i].open && k < now->plan->n_rules; k++) {
            const struct rule *r = old->plan->rules[i].rule, *n = now->plan->rules[k].rule;
            if (r->hash == n->hash && strcmp(r->id, n->id) == 0 &&
                seats_of(now->plan, now->series)[k].flags & SEAT_LEVELS)
                to->shadows[k] = from->shadows[i];
        }
}

void late_old(struct alarm *a, const struct moment *m, const struct whom *w,
              const struct alarm_sample *s)
{
    if (m->order_ns <= w->series->gap_ns || m->order_ns >= w->series->gap_to)
        return; /* of a time that was told before */
    w->series->gap_ns = m->order_ns;
    struct rare *r = rare_of(w->dev);
    struct past *p = late_past(r, w);
    for (size_t i = 0; i < s->n; i++) {
        unsigned slot = w->plan->slots[s->metrics[i]];
        if (slot != NO_SLOT)
            p->last[slot] = (struct expr_last){alarm_value(&s->fields[i]), m->order_ns};
    }
    for (size_t i = 0; i < s->n_bad; i++)
        if (w->plan->slots[s->bad[i]] != NO_SLOT)
            p->last[w->plan->slots[s->bad[i]]].v = NAN;
    for (unsigned i = 0; i < w->plan->n_rules; i++)
        if (w->plan->glances[i].mask & (m->carried | m->bad) &&
            seats_of(w->plan, w->series)[i].flags & SEAT_LEVELS &&
            can_look_back(&w->plan->rules[i]))
            look_back(a, m, w, i, p);
    wait(a, r, w->device->index, m->engine_ns);
}

/* -- caught up -------------------------------------------------------------------------------- */

/* Who reads at the end of catching up; graver: at a reload that makes it life-safety, as what was
 * so already has read it at once. */
static bool is_reader(const struct alarm *a, const struct whom *w, const struct rule *r,
                      bool graver)
{
    if (!graver)
        return !is_urgent(r, w->device);
    return is_urgent(r, w->device) && (!r->life_safety || a->g.rules[r->index].graver);
}

static void split(const struct series *s, struct moment *m)
{
    for (unsigned i = 0; i < 64 && s->unread >> i; i++)
        if (s->unread >> i & 1)
            *(isnan(s->last[i].v) ? &m->bad : &m->carried) |= UINT64_C(1) << i;
}

static void read_series(struct alarm *a, const struct moment *m, struct whom *w,
                        struct series *s, bool graver)
{
    struct moment n = *m;
    w->series = s;
    n.from = s;
    n.late = n.apart = true;
    n.order_ns = s->newest_ns;
    split(s, &n);
    count_sample(a, &n, w, graver);
    for (unsigned i = 0; i < w->plan->n_rules; i++) {
        const struct plan_rule *r = &w->plan->rules[i];
        w->series = r->cross ? w->dev->series : s; /* as eval_said() has it */
        bool said = r->mask ? r->mask & s->unread : !graver;
        if (said && is_reader(a, w, r->rule, graver))
            alarm_eval(a, &n, w, i);
    }
}

/* What came without a time of its own; life-safety has read it already. Of a rule about something else nothing
 * was said: its clocks go on as they did. */
static void read_all(struct alarm *a, const struct moment *m, struct whom *w, bool graver)
{
    for (struct series *s = w->dev->series; s; s = s->next) {
        if (!s->unread)
            continue;
        read_series(a, m, w, s, graver);
        if (!graver || w->device->life_safety)
            s->unread = 0;
    }
}

static void tell_held(struct alarm *a, const struct moment *m, const struct whom *w,
                      const struct plan_rule *r, struct act *t)
{
    struct moment n = *m;
    n.stamp_ms = t->held ? t->changed_ms : m->stamp_ms;
    tell(a, &n, w, r, t, act_state(t), NULL);
    tell_quality(a, &n, w, r, t);
    act_settle(a, w, r, t);
}

static void tell_all(struct alarm *a, const struct moment *m, struct whom *w)
{
    for (struct series *s = w->dev->series; s; s = s->next)
        for (unsigned i = 0; i < w->plan->n_rules; i++) {
            const struct seat *seat = &seats_of(w->plan, s)[i];
            w->series = s;
            if (seat->act)
                tell_held(a, m, w, &w->plan->rules[i], act_at(a, seat->act));
        }
}

void late_graver(struct alarm *a, uint32_t device, const struct moment *m)
{
    if (!(a->g.devs[device].flags & DEV_CATCHING))
        return;
    struct whom w = gen_whom(&a->g, device, 0);
    read_all(a, m, &w, true);
    for (struct series *s = w.dev->series; s; s = s->next)
        for (unsigned i = 0; i < w.plan->n_rules; i++) {
            const struct seat *seat = &seats_of(w.plan, s)[i];
            w.series = s;
            if (seat->act && is_urgent(w.plan->rules[i].rule, w.device))
                tell_held(a, m, &w, &w.plan->rules[i], act_at(a, seat->act));
        }
}

void late_due(struct alarm *a, uint32_t device, const struct moment *m)
{
    struct whom w = gen_whom(&a->g, device, 0);
    struct rare *r = w.dev->rare;
    if (r->due > m->engine_ns) {
        due_set(a, &r->queued, r->due, device, DUE_CATCH);
        return;
    }
    w.dev->rare = NULL;
    w.dev->flags &= (uint8_t)~DEV_CATCHING;
    read_all(a, m, &w, false);
    tell_all(a, m, &w);
    for (struct past *p = r->pasts; p; p = p->next) {
        w.series = p->series;
        for (unsigned i = 0; i < w.plan->n_rules; i++)
            if (p->shadows[i].open)
                over(a, m, &w, i, &p->shadows[i]);
    }
    rare_free(r);
}
