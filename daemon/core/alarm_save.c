/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state as bytes: little endian, devices in the registry's order with their codes, rules with
 * their ids and hashes. It is of one world; whoever loads it has that one in use.
 */
#include "core/alarm_private.h"
#include "core/state.h"

#include <errno.h>

#define WINDOW_MAX ((size_t)1 << 20)

static void put_window(struct state_writer *w, const struct plan_expr *x,
                       const struct expr_state *s)
{
    struct buf b;
    buf_init(&b, WINDOW_MAX);
    if (s && expr_state_save(x->x, s, &b) != 0 && w->failed == 0)
        w->failed = -ENOBUFS;
    state_put_u64(w, b.len);
    state_put(w, b.data, b.len);
    buf_done(&b);
}

static void put_last(struct state_writer *w, const struct expr_last *last, size_t n)
{
    uint64_t known = 0;
    for (size_t i = 0; i < n; i++)
        known |= (uint64_t)(last[i].at_ns != 0 || last[i].v == last[i].v) << i;
    state_put_u64(w, known);
    for (size_t i = 0; i < n; i++)
        if (known >> i & 1)
            state_put(w, &last[i], sizeof(last[i]));
}

static void put_act(struct state_writer *w, const struct plan_rule *r, const struct act *t)
{
    state_put_u8(w, (unsigned)(t->level + 2));
    state_put_u8(w, (unsigned)(t->told + 2));
    state_put_u8(w, (unsigned)(t->peak + 2));
    state_put_u8(w, t->quality);
    state_put_u8(w, t->told_quality);
    state_put_u8(w, (unsigned)(t->silent | t->waits << 1 | t->late << 2 | t->held << 3 |
                               t->inhibited << 4 | t->old_news << 5 | (t->flap != NULL) << 6 |
                               t->urgent << 7));
    const uint64_t times[] = {t->lag_ns,
                              t->eval_ns,
                              t->due,
                              t->queued,
                              t->wake_ns,
                              (uint64_t)t->since_ms,
                              (uint64_t)t->changed_ms,
                              t->since_ns};
    state_put(w, times, sizeof(times));
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        const struct delay *d = &t->delays[l];
        state_put_u8(w, d->run);
        if (d->run == DELAY_IDLE)
            continue;
        state_put_u64(w, d->done_ns);
        state_put_u64(w, d->last_ns);
        state_put_u64(w, (uint64_t)d->start_ms);
        state_put_u64(w, d->misses);
    }
    for (size_t i = 0; i < r->rule->n_levels * 2; i++)
        if ((i & 1 ? &r->off[i / 2] : &r->on[i / 2])->windows)
            put_window(w, i & 1 ? &r->off[i / 2] : &r->on[i / 2], t->windows[i]);
    if (!t->flap)
        return;
    state_put_u64(w, t->flap->last_ns);
    state_put_u8(w, t->flap->on);
    state_put_u8(w, t->flap->up);
    state_put_u8(w, (unsigned)(t->flap->worst + 2));
    state_put_u64(w, (uint64_t)t->flap->n << 32 | t->flap->at);
    state_put(w, t->flap->when, t->flap->cap * sizeof(t->flap->when[0]));
}

static void put_series(const struct alarm *a, struct state_writer *w, const struct plan *p,
                       const struct series *s)
{
    const struct seat *seats = seats_of(p, s);
    uint64_t n = 0;
    state_put_name(w, s->point ? s->point : "");
    state_put_u64(w, s->newest_ns);
    state_put_u64(w, s->gap_ns);
    state_put_u64(w, s->gap_to);
    put_last(w, s->last, p->n_slots);
    if (p->n_conds)
        state_put_u64(w, s->truth);
    for (size_t i = 0; i < p->n_rules; i++)
        n += seats[i].act || seats[i].flags & SEAT_SILENT;
    state_put_u64(w, n);
    for (size_t i = 0; i < p->n_rules; i++) {
        if (!seats[i].act && !(seats[i].flags & SEAT_SILENT))
            continue;
        state_put_u64(w, i);
        state_put_u8(
            w, (unsigned)(((seats[i].flags & SEAT_SILENT) != 0) | (seats[i].act != 0) << 1));
        if (seats[i].act)
            put_act(w, &p->rules[i], act_at(a, seats[i].act));
    }
}

static void put_unread(struct state_writer *w, const struct dev *v)
{
    uint64_t any = 0;
    for (const struct series *s = v->series; s; s = s->next)
        any |= s->unread;
    state_put_u8(w, any != 0);
    for (const struct series *s = v->series; any && s; s = s->next)
        state_put_u64(w, s->unread);
}

static void put_rare(struct state_writer *w, const struct plan *p, const struct dev *v)
{
    const struct rare *r = v->rare;
    uint64_t n = 0;
    state_put_u8(w, r != NULL);
    if (!r)
        return;
    state_put_u64(w, r->due);
    state_put_u64(w, r->queued);
    state_put_u64(w, r->from_ns);
    put_unread(w, v);
    for (const struct past *x = r->pasts; x; x = x->next)
        n++;
    state_put_u64(w, n);
    for (const struct past *x = r->pasts; x; x = x->next) {
        state_put_u64(w, x->series->ordinal);
        put_last(w, x->last, p->n_slots);
        for (size_t i = 0; i < p->n_rules; i++) {
            const struct shadow *s = &x->shadows[i];
            state_put_u8(w, s->open);
            if (!s->open)
                continue;
            state_put_u64(w, s->from_ns);
            state_put_u64(w, s->last_ns);
            state_put_u64(w, (uint64_t)s->from_ms);
            state_put_u64(w, (uint64_t)s->last_ms);
            state_put_u8(w, (unsigned)(s->level + 1));
        }
    }
}

static void put_device(const struct alarm *a, struct state_writer *w, uint32_t i)
{
    const struct device *d = registry_device_at(a->g.world->registry, i);
    const struct dev *v = &a->g.devs[i];
    const struct plan *p = gen_plan(&a->g, d);
    uint64_t n = 0;
    state_put_name(w, d->code);
    state_put_u64(w, v->since_ns);
    state_put_u64(w, v->alive_ns);
    state_put_u64(w, v->queued);
    state_put_u8(w, v->broker);
    state_put_u8(w, v->flags);
    for (const struct series *s = v->series; s; s = s->next)
        n++;
    state_put_u64(w, n);
    for (const struct series *s = v->series; s; s = s->next)
        put_series(a, w, p, s);
    put_rare(w, p, v);
}

static void put_rules(const struct alarm *a, struct state_writer *w)
{
    state_put_u64(w, a->g.n_rules);
    for (size_t i = 0; i < a->g.n_rules; i++) {
        const struct rule *r = rules_at(a->g.world->rules, i);
        const struct rule_state *s = &a->g.rules[i];
        state_put_name(w, r->id);
        state_put_u64(w, r->hash);
        state_put_u64(w, s->boundary_ns);
        state_put_u64(w, s->queued);
        state_put_u64(w, s->sweep_ns);
        state_put_u64(w, s->cursor);
        state_put_u8(w, (unsigned)(s->in_force | s->ends << 1 | s->newly << 2));
    }
}

int alarm_save(const struct alarm *a, int (*put)(void *ctx, const void *p, size_t n), void *ctx)
{
    struct state_writer w;
    state_writer_init(&w, put, ctx);
    state_put_u64(&w, ALARM_STATE_MAGIC);
    state_put_u64(&w, ALARM_STATE_VERSION);
    state_put_u64(&w, a->now_ns);
    state_put_u64(&w, (uint64_t)a->wall_off_ms);
    state_put_u8(&w, a->wall_known);
    for (size_t i = 0; i < MAX_BROKERS; i++) {
        state_put_u64(&w, a->links[i].up_ns);
        state_put_u64(&w, a->links[i].again_ns);
        state_put_u8(&w, a->links[i].up);
        state_put_u64(&w, a->links[i].lost_ns);
        state_put_u64(&w, a->links[i].n_deaf);
        state_put(&w, a->links[i].deaf, a->links[i].n_deaf * sizeof(a->links[i].deaf[0]));
    }
    put_rules(a, &w);
    state_put_u64(&w, a->g.n_devs);
    for (uint32_t i = 0; i < a->g.n_devs; i++)
        put_device(a, &w, i);
    state_put_u64(&w, a->g.n_uplinks);
    for (size_t i = 0; i < a->g.n_uplinks; i++) {
        const struct uplink *u = &a->g.uplinks[i];
        state_put_u64(&w, u->device);
        state_put_u8(&w, (unsigned)(u->down | u->by_members << 1 | u->release << 2));
        state_put_u64(&w, u->due);
        state_put_u64(&w, u->queued);
    }
    state_put_u64(&w, ALARM_STATE_MAGIC);
    return state_writer_done(&w);
}
