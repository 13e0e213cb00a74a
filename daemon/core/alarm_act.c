/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of acts: what goes on at a seat beyond a glance. */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <stdlib.h>
#include <string.h>

static uint32_t take_free(struct alarm *a)
{
    if (a->free_act) {
        uint32_t i = a->free_act;
        a->free_act = act_at(a, i)->next;
        return i;
    }
    if (a->n_acts == a->cap_acts) {
        size_t n = a->cap_acts / ACT_CHUNK;
        a->chunks = mem_realloc_array(a->chunks, n + 1, sizeof(*a->chunks));
        a->chunks[n] = mem_zalloc_array(ACT_CHUNK, sizeof(struct act));
        a->cap_acts += ACT_CHUNK;
    }
    return ++a->n_acts;
}

static void add_windows(struct act *t, const struct plan_rule *r)
{
    size_t n = r->rule->n_levels * 2;
    t->windows = mem_zalloc_array(n, sizeof(struct expr_state *));
    for (size_t i = 0; i < n; i++) {
        const struct plan_expr *x = i & 1 ? &r->off[i / 2] : &r->on[i / 2];
        t->windows[i] = x->windows ? expr_state_new(x->x) : NULL;
    }
}

struct act *act_new(struct alarm *a, const struct whom *w, unsigned pos)
{
    uint32_t i = take_free(a);
    struct act *t = act_at(a, i);
    *t = (struct act){.device = w->device->index,
                      .ordinal = w->series->ordinal,
                      .pos = (uint16_t)pos,
                      .level = -1,
                      .peak = -1,
                      .told = STATE_NORMAL,
                      .used = true,
                      .due = NEVER,
                      .wake_ns = NEVER};
    seats_of(w->plan, w->series)[pos].act = i;
    if (seats_of(w->plan, w->dev->series)[pos].flags & SEAT_SILENT)
        t->quality = ALARM_STALE;
    bool windows = false;
    const struct plan_rule *r = &w->plan->rules[pos];
    for (size_t l = 0; l < r->rule->n_levels; l++)
        windows |= r->on[l].windows || r->off[l].windows;
    if (windows)
        add_windows(t, r);
    return t;
}

void act_empty(struct act *t, const struct plan_rule *r)
{
    for (size_t i = 0; t->windows && i < r->rule->n_levels * 2; i++)
        expr_state_free(t->windows[i]);
    free(t->windows);
    free(t->flap);
    t->windows = NULL;
    t->flap = NULL;
}

/* -- how many there are --------------------------------------------------------------------- */

unsigned act_gauge(const struct act *t)
{
    unsigned runs = 0, state = act_state(t) != STATE_NORMAL;
    for (size_t l = 0; l < RULE_MAX_LEVELS; l++)
        runs |= t->delays[l].run != DELAY_IDLE;
    return state << GAUGE_ACTIVE | (runs & ~state) << GAUGE_PENDING |
           (unsigned)t->silent << GAUGE_SILENT |
           (unsigned)(t->flap && t->flap->on) << GAUGE_FLAPPING;
}

static void gauge(struct alarm *a, struct act *t, unsigned now)
{
    for (unsigned i = 0; now != t->gauge && i < GAUGES; i++)
        a->gauges[i] += (uint64_t)(now >> i & 1) - ((unsigned)t->gauge >> i & 1);
    t->gauge = (uint8_t)now;
}

void acts_count(struct alarm *a)
{
    memset(a->gauges, 0, sizeof(a->gauges));
    for (uint32_t i = 1; i <= a->n_acts; i++) {
        act_at(a, i)->gauge = 0;
        if (act_at(a, i)->used)
            gauge(a, act_at(a, i), act_gauge(act_at(a, i)));
    }
}

void alarm_stats(const struct alarm *a, struct alarm_stats *out)
{
    *out = a->stats;
    out->instances = a->g.n_instances;
    out->timers = a->n_heap + a->far.n - a->n_stale;
    out->active = a->gauges[GAUGE_ACTIVE];
    out->pending = a->gauges[GAUGE_PENDING];
    out->silent = a->gauges[GAUGE_SILENT];
    out->flapping = a->gauges[GAUGE_FLAPPING];
}

void alarm_counted(struct alarm *a, const struct alarm_stats *s)
{
    a->stats = (struct alarm_stats){.samples = s->samples,
                                    .evaluations = s->evaluations,
                                    .unknown = s->unknown,
                                    .late = s->late,
                                    .events = s->events};
}

void act_free(struct alarm *a, struct act *t)
{
    struct whom w = gen_whom(&a->g, t->device, t->ordinal);
    struct seat *seat = &seats_of(w.plan, w.series)[t->pos];
    uint32_t i = seat->act;
    seat->act = 0;
    act_empty(t, &w.plan->rules[t->pos]);
    gauge(a, t, 0);
    due_drop(a, &t->queued);
    *t = (struct act){.next = a->free_act};
    a->free_act = i;
}

/* When its timer is: the earliest of its delays', its expressions' and its flapping's. */
static uint64_t flap_due(const struct rule *r, const struct flap *f)
{
    if (!f)
        return NEVER;
    return f->last_ns + (f->on ? r->flap_settle_ns : r->flap_within_ns);
}

static bool is_idle(const struct act *t)
{
    for (size_t l = 0; l < RULE_MAX_LEVELS; l++)
        if (t->delays[l].run != DELAY_IDLE)
            return false;
    return act_state(t) == STATE_NORMAL && t->told == STATE_NORMAL && !t->flap && !t->held &&
           !t->waits;
}

void act_settle(struct alarm *a, const struct whom *w, const struct plan_rule *r, struct act *t)
{
    if (!r->keeps && is_idle(t)) {
        act_free(a, t);
        return;
    }
    bool is_on = act_state(t) != STATE_NORMAL || t->told != STATE_NORMAL;
    t->urgent = is_on && endangers(r->rule, w->device, t);
    gauge(a, t, act_gauge(t));
    uint64_t due = t->due < t->wake_ns ? t->due : t->wake_ns, flap = flap_due(r->rule, t->flap);
    if (flap < due)
        due = flap;
    if (due <= a->now_ns)
        due = a->now_ns + 1;
    due_set(a, &t->queued, due, w->device->index,
            ((uint32_t)w->series->ordinal + 1) << 16 | t->pos);
}

void acts_free(struct alarm *a)
{
    for (uint32_t i = 0; i < a->cap_acts / ACT_CHUNK; i++)
        free(a->chunks[i]);
    free(a->chunks);
    a->chunks = NULL;
    a->n_acts = a->cap_acts = a->free_act = 0;
}
