/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state as bytes: little endian, devices in the registry's order with their codes, rules with
 * their ids and hashes. It is of one world; whoever loads it has that one in use.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/alarm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC      0x314d4c4147494147u /* "GAIGALM1" */
#define VERSION    3u
#define WINDOW_MAX ((size_t)1 << 20)

/* -- writing ---------------------------------------------------------------------------------- */

struct writer {
    int (*put)(void *ctx, const void *p, size_t n);
    void *ctx;
    int failed;
    size_t n;
    char room[65536];
};

static void flush(struct writer *w)
{
    if (w->n > 0 && w->failed == 0)
        w->failed = w->put(w->ctx, w->room, w->n);
    w->n = 0;
}

static void put(struct writer *w, const void *p, size_t n)
{
    for (size_t at = 0, k; at < n; at += k) {
        if (w->n == sizeof(w->room))
            flush(w);
        k = n - at < sizeof(w->room) - w->n ? n - at : sizeof(w->room) - w->n;
        memcpy(w->room + w->n, (const char *)p + at, k);
        w->n += k;
    }
}

static void put_u8(struct writer *w, unsigned v)
{
    uint8_t b = (uint8_t)v;
    put(w, &b, 1);
}

static void put_u64(struct writer *w, uint64_t v)
{
    put(w, &v, sizeof(v));
}

static void put_text(struct writer *w, const char *s)
{
    size_t n = strlen(s);
    put_u8(w, (unsigned)(n < 255 ? n : 255));
    put(w, s, n < 255 ? n : 255);
}

static void put_window(struct writer *w, const struct plan_expr *x, const struct expr_state *s)
{
    struct buf b;
    buf_init(&b, WINDOW_MAX);
    if (s && expr_state_save(x->x, s, &b) != 0 && w->failed == 0)
        w->failed = -ENOBUFS;
    put_u64(w, b.len);
    put(w, b.data, b.len);
    buf_done(&b);
}

static void put_last(struct writer *w, const struct expr_last *last, size_t n)
{
    uint64_t known = 0;
    for (size_t i = 0; i < n; i++)
        known |= (uint64_t)(last[i].at_ns != 0 || last[i].v == last[i].v) << i;
    put_u64(w, known);
    for (size_t i = 0; i < n; i++)
        if (known >> i & 1)
            put(w, &last[i], sizeof(last[i]));
}

static void put_act(struct writer *w, const struct plan_rule *r, const struct act *t)
{
    put_u8(w, (unsigned)(t->level + 2));
    put_u8(w, (unsigned)(t->told + 2));
    put_u8(w, (unsigned)(t->peak + 2));
    put_u8(w, t->quality);
    put_u8(w, t->told_quality);
    put_u8(w, (unsigned)(t->silent | t->waits << 1 | t->late << 2 | t->held << 3 |
                         t->inhibited << 4 | t->old_news << 5 | (t->flap != NULL) << 6));
    const uint64_t times[] = {t->lag_ns,
                              t->eval_ns,
                              t->due,
                              t->queued,
                              t->wake_ns,
                              (uint64_t)t->since_ms,
                              (uint64_t)t->changed_ms,
                              t->since_ns};
    put(w, times, sizeof(times));
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        const struct delay *d = &t->delays[l];
        put_u8(w, d->run);
        if (d->run == DELAY_IDLE)
            continue;
        put_u64(w, d->done_ns);
        put_u64(w, d->last_ns);
        put_u64(w, (uint64_t)d->start_ms);
        put_u64(w, d->misses);
    }
    for (size_t i = 0; i < r->rule->n_levels * 2; i++)
        if ((i & 1 ? &r->off[i / 2] : &r->on[i / 2])->windows)
            put_window(w, i & 1 ? &r->off[i / 2] : &r->on[i / 2], t->windows[i]);
    if (!t->flap)
        return;
    put_u64(w, t->flap->last_ns);
    put_u8(w, t->flap->on);
    put_u8(w, t->flap->up);
    put_u8(w, (unsigned)(t->flap->worst + 2));
    put_u64(w, (uint64_t)t->flap->n << 32 | t->flap->at);
    put(w, t->flap->when, t->flap->cap * sizeof(t->flap->when[0]));
}

static void put_series(const struct alarm *a, struct writer *w, const struct plan *p,
                       const struct series *s)
{
    const struct seat *seats = seats_of(p, s);
    uint64_t n = 0;
    put_text(w, s->point ? s->point : "");
    put_u64(w, s->newest_ns);
    put_u64(w, s->gap_ns);
    put_u64(w, s->gap_to);
    put_last(w, s->last, p->n_slots);
    if (p->n_conds)
        put_u64(w, s->truth);
    for (size_t i = 0; i < p->n_rules; i++)
        n += seats[i].act || seats[i].flags & SEAT_SILENT;
    put_u64(w, n);
    for (size_t i = 0; i < p->n_rules; i++) {
        if (!seats[i].act && !(seats[i].flags & SEAT_SILENT))
            continue;
        put_u64(w, i);
        put_u8(w, (unsigned)(((seats[i].flags & SEAT_SILENT) != 0) | (seats[i].act != 0) << 1));
        if (seats[i].act)
            put_act(w, &p->rules[i], act_at(a, seats[i].act));
    }
}

static void put_rare(struct writer *w, const struct plan *p, const struct rare *r)
{
    uint64_t n = 0;
    put_u8(w, r != NULL);
    if (!r)
        return;
    put_u64(w, r->due);
    put_u64(w, r->queued);
    put_u64(w, r->from_ns);
    put_u8(w, r->unread);
    for (const struct past *x = r->pasts; x; x = x->next)
        n++;
    put_u64(w, n);
    for (const struct past *x = r->pasts; x; x = x->next) {
        put_u64(w, x->series->ordinal);
        put_last(w, x->last, p->n_slots);
        for (size_t i = 0; i < p->n_rules; i++) {
            const struct shadow *s = &x->shadows[i];
            put_u8(w, s->open);
            if (!s->open)
                continue;
            put_u64(w, s->from_ns);
            put_u64(w, s->last_ns);
            put_u64(w, (uint64_t)s->from_ms);
            put_u64(w, (uint64_t)s->last_ms);
            put_u8(w, (unsigned)(s->level + 1));
        }
    }
}

static void put_device(const struct alarm *a, struct writer *w, uint32_t i)
{
    const struct device *d = registry_device_at(a->g.world->registry, i);
    const struct dev *v = &a->g.devs[i];
    const struct plan *p = gen_plan(&a->g, d);
    uint64_t n = 0;
    put_text(w, d->code);
    put_u64(w, v->since_ns);
    put_u64(w, v->alive_ns);
    put_u64(w, v->queued);
    put_u8(w, v->broker);
    put_u8(w, v->flags);
    for (const struct series *s = v->series; s; s = s->next)
        n++;
    put_u64(w, n);
    for (const struct series *s = v->series; s; s = s->next)
        put_series(a, w, p, s);
    put_rare(w, p, v->rare);
}

static void put_rules(const struct alarm *a, struct writer *w)
{
    put_u64(w, a->g.n_rules);
    for (size_t i = 0; i < a->g.n_rules; i++) {
        const struct rule *r = rules_at(a->g.world->rules, i);
        const struct rule_state *s = &a->g.rules[i];
        put_text(w, r->id);
        put_u64(w, r->hash);
        put_u64(w, s->boundary_ns);
        put_u64(w, s->queued);
        put_u64(w, s->sweep_ns);
        put_u64(w, s->cursor);
        put_u8(w, (unsigned)(s->in_force | s->ends << 1));
    }
}

int alarm_save(const struct alarm *a, int (*fn)(void *ctx, const void *p, size_t n), void *ctx)
{
    struct writer *w = mem_zalloc(sizeof(*w));
    w->put = fn;
    w->ctx = ctx;
    put_u64(w, MAGIC);
    put_u64(w, VERSION);
    put_u64(w, a->now_ns);
    put_u64(w, (uint64_t)a->wall_off_ms);
    put_u8(w, a->wall_known);
    for (size_t i = 0; i < MAX_BROKERS; i++) {
        put_u64(w, a->links[i].up_ns);
        put_u64(w, a->links[i].again_ns);
        put_u8(w, a->links[i].up);
        put_u64(w, a->links[i].lost_ns);
        put_u64(w, a->links[i].n_deaf);
        put(w, a->links[i].deaf, a->links[i].n_deaf * sizeof(a->links[i].deaf[0]));
    }
    put_rules(a, w);
    put_u64(w, a->g.n_devs);
    for (uint32_t i = 0; i < a->g.n_devs; i++)
        put_device(a, w, i);
    put_u64(w, a->g.n_uplinks);
    for (size_t i = 0; i < a->g.n_uplinks; i++) {
        const struct uplink *u = &a->g.uplinks[i];
        put_u64(w, u->device);
        put_u8(w, (unsigned)(u->down | u->by_members << 1 | u->release << 2));
        put_u64(w, u->due);
        put_u64(w, u->queued);
    }
    put_u64(w, MAGIC);
    flush(w);
    int r = w->failed;
    free(w);
    return r;
}
