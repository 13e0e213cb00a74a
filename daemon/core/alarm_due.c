/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a heap ordered by (time, device, what of it), so that the order follows from what waits
 * and not from how it came to wait. Whoever waits remembers its entry's time (`queued`); an entry
 * of another time is dead. An entry may be too early, never too late: who fires looks again.
 */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <stdlib.h>

#define WAYS    4
#define COMPACT 64 /* entries that one call looks at */

static bool before(const struct due *a, const struct due *b)
{
    if (a->ns != b->ns)
        return a->ns < b->ns;
    return a->device != b->device ? a->device < b->device : a->sub < b->sub;
}

static void up(struct due *h, size_t i)
{
    struct due x = h[i];
    for (size_t parent; i > 0 && before(&x, &h[parent = (i - 1) / WAYS]); i = parent)
        h[i] = h[parent];
    h[i] = x;
}

static void down(struct due *h, size_t n, size_t i)
{
    struct due x = h[i];
    for (;;) {
        size_t first = i * WAYS + 1, least = first;
        if (first >= n)
            break;
        for (size_t k = first + 1; k < first + WAYS && k < n; k++)
            if (before(&h[k], &h[least]))
                least = k;
        if (!before(&h[least], &x))
            break;
        h[i] = h[least];
        i = least;
    }
    h[i] = x;
}

static void push(struct alarm *a, struct due x)
{
    if (a->n_heap == a->cap_heap) {
        a->cap_heap = a->cap_heap ? a->cap_heap + a->cap_heap / 2 : 1024;
        a->heap = mem_realloc_array(a->heap, a->cap_heap, sizeof(*a->heap));
    }
    a->heap[a->n_heap++] = x;
    up(a->heap, a->n_heap - 1);
}

/* Timers come in an order of their own, each for a device that no cache holds: what the next ones need
 * is fetched while this one is dealt with. */
static void fetch_next(const struct alarm *a)
{
    for (size_t i = 0; i <= WAYS && i < a->n_heap; i++) {
        uint32_t device = a->heap[i].device;
        if (device >= a->g.n_devs)
            continue;
        const struct device *d = registry_device_at(a->g.world->registry, device);
        if (i == 0) {
            alarm_expect(a, d, true);
        } else {
            __builtin_prefetch(d);
            __builtin_prefetch(&a->g.devs[device]);
        }
    }
}

void due_pop(struct alarm *a)
{
    a->due_changed = true;
    a->heap[0] = a->heap[--a->n_heap];
    if (a->n_heap)
        down(a->heap, a->n_heap, 0);
    fetch_next(a);
}

uint64_t *due_queued(struct alarm *a, uint32_t device, uint32_t sub)
{
    struct gen *g = &a->g;
    if (device == DUE_RULES)
        return sub < g->n_rules ? &g->rules[sub].queued : NULL;
    if (device >= g->n_devs)
        return NULL;
    struct dev *v = &g->devs[device];
    if (sub == DUE_SILENCE)
        return &v->queued;
    if (sub == DUE_CATCH)
        return v->rare ? &v->rare->queued : NULL;
    if (sub == DUE_UPLINK)
        return g->uplink_is && g->uplink_is[device]
                   ? &g->uplinks[g->uplink_is[device] - 1].queued
                   : NULL;
    if (sub < DUE_SEATS)
        return NULL;
    struct whom w = gen_whom(g, device, (sub >> 16) - 1);
    unsigned pos = sub & 0xffff;
    if (!w.series)
        return NULL;
    if (pos == DUE_COND)
        return w.series->cond ? &w.series->cond->queued : NULL;
    struct seat *seat = pos < w.plan->n_rules ? &seats_of(w.plan, w.series)[pos] : NULL;
    return seat && seat->act ? &act_at(a, seat->act)->queued : NULL;
}

static bool is_alive(struct alarm *a, const struct due *x)
{
    const uint64_t *queued = due_queued(a, x->device, x->sub);
    return queued && *queued == x->ns;
}

/* Half of them dead: they are looked for, some at a time, because a million take long. A pass goes from
 * the end to the beginning: what takes a dead one's place comes from where it has been. */
static void compact(struct alarm *a)
{
    if (a->compact == 0 || a->compact > a->n_heap)
        a->compact = a->n_heap;
    for (unsigned k = 0; k < COMPACT && a->compact > 0; k++) {
        size_t i = --a->compact;
        if (is_alive(a, &a->heap[i]))
            continue;
        a->n_stale -= a->n_stale > 0;
        struct due last = a->heap[--a->n_heap];
        if (i == a->n_heap)
            continue;
        a->heap[i] = last;
        down(a->heap, a->n_heap, i);
        up(a->heap, i);
    }
    if (a->compact == 0) /* all that were there */
        a->n_stale = 0;
}

void due_clean(struct alarm *a)
{
    while (a->due_changed && a->n_heap > 0 && !is_alive(a, &a->heap[0])) {
        due_pop(a);
        a->n_stale -= a->n_stale > 0;
    }
    a->due_changed = false;
    if (a->compact > 0 || (a->n_stale > 4096 && a->n_stale > a->n_heap / 2))
        compact(a);
}

void due_drop(struct alarm *a, uint64_t *queued)
{
    a->n_stale += *queued != 0;
    a->due_changed = true;
    *queued = 0;
}

void due_set(struct alarm *a, uint64_t *queued, uint64_t ns, uint32_t device, uint32_t sub)
{
    if (ns == NEVER) {
        due_drop(a, queued);
        return;
    }
    if (*queued == ns || (*queued && *queued < ns))
        return;
    due_drop(a, queued);
    *queued = ns;
    push(a, (struct due){ns, device, sub});
}

static void put_back(struct alarm *a, uint32_t device, uint32_t sub)
{
    const uint64_t *queued = due_queued(a, device, sub);
    if (queued && *queued)
        push(a, (struct due){*queued, device, sub});
}

/* From those that wait: after a load, and when devices have other numbers. */
void due_rebuild(struct alarm *a)
{
    a->n_heap = a->n_stale = a->compact = 0;
    for (uint32_t i = 0; i < a->g.n_rules; i++)
        put_back(a, DUE_RULES, i);
    for (uint32_t i = 0; i < a->g.n_devs; i++) {
        put_back(a, i, DUE_SILENCE);
        put_back(a, i, DUE_CATCH);
        put_back(a, i, DUE_UPLINK);
        for (const struct series *s = a->g.devs[i].series; s; s = s->next)
            put_back(a, i, ((uint32_t)s->ordinal + 1) << 16 | DUE_COND);
    }
    for (uint32_t i = 1; i <= a->n_acts; i++) {
        const struct act *t = act_at(a, i);
        if (t->used)
            put_back(a, t->device, ((uint32_t)t->ordinal + 1) << 16 | t->pos);
    }
    acts_count(a);
}

/* -- wall time and schedules ----------------------------------------------------------------- */

int64_t alarm_wall(const struct alarm *a, uint64_t engine_ns)
{
    return (int64_t)(engine_ns / MS_NS) + a->wall_off_ms;
}

void due_sweep(struct alarm *a, unsigned index, uint64_t engine_ns)
{
    struct rule_state *s = &a->g.rules[index];
    s->cursor = 0;
    s->sweep_ns = engine_ns;
    due_set(a, &s->queued, engine_ns + 1, DUE_RULES, index);
}

/* When its schedule changes next; a change that has come begins a sweep. */
void due_rule(struct alarm *a, unsigned index, uint64_t engine_ns, int64_t wall_ms)
{
    const struct world *w = a->g.world;
    const struct rule *r = rules_at(w->rules, index);
    struct rule_state *s = &a->g.rules[index];
    if (r->n_windows == 0)
        return;
    bool in_force = rule_in_force(r, rules_calendar(w->rules), w->zone, wall_ms);
    int64_t next = rule_next_boundary(r, rules_calendar(w->rules), w->zone, wall_ms);
    if (in_force != s->in_force) {
        s->in_force = in_force;
        s->cursor = 0;
        s->sweep_ns = engine_ns;
    }
    s->boundary_ns = next == INT64_MAX ? NEVER : engine_ns + (uint64_t)(next - wall_ms) * MS_NS;
    due_set(a, &s->queued, s->cursor != UINT32_MAX ? engine_ns + 1 : s->boundary_ns, DUE_RULES,
            index);
}

/* A step of the wall clock: schedules are looked at again, and what asks for the hour. */
void alarm_wall_take(struct alarm *a, uint64_t engine_ns, int64_t wall_ms)
{
    int64_t off = wall_ms - (int64_t)(engine_ns / MS_NS);
    if (a->wall_known && off - a->wall_off_ms < 1000 && a->wall_off_ms - off < 1000)
        return;
    a->wall_off_ms = off;
    a->wall_known = true;
    for (unsigned i = 0; i < a->g.n_rules; i++)
        if (a->g.rules[i].by_wall) {
            due_rule(a, i, engine_ns, wall_ms);
            due_sweep(a, i, engine_ns);
        }
}
