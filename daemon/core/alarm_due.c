/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: ordered by (time, device, what of it), so that the order follows from what waits and not
 * from how it came to wait. Whoever waits remembers its entry's time (`queued`); an entry of
 * another time is dead. An entry may be too early, never too late: who fires looks again.
 *
 * Time only goes on, so a radix heap will do (Ahuja, Mehlhorn, Orlin and Tarjan 1990): spans of
 * 2^27 ns (134 ms), piled by the highest bit in which they differ from the present one. When the
 * present span is over, the first pile is dealt out again; each time it comes nearer. What is of the
 * present span (or overdue) is in a heap, which is small enough for the nearest cache.
 */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define WAYS   4
#define FAR_MS (INT64_C(366) * 86400000)

#define TIDY_CHUNKS 8          /* looked at in one step for what is dead */
#define MAX_SPARE   64         /* chunks that are kept for the next ones */
#define MAX_EMPTY   (1u << 16) /* entries of a heap that is kept although it is empty */

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

static void push_near(struct alarm *a, struct due x)
{
    if (a->n_heap == a->cap_heap) {
        a->cap_heap = a->cap_heap ? a->cap_heap + a->cap_heap / 2 : 1024;
        a->heap = mem_realloc_array(a->heap, a->cap_heap, sizeof(*a->heap));
    }
    a->heap[a->n_heap++] = x;
    up(a->heap, a->n_heap - 1);
}

/* -- what is far ------------------------------------------------------------------------------ */

static void push_far(struct alarm *a, unsigned pile, struct due x)
{
    struct far *f = &a->far;
    struct far_chunk *c = f->piles[pile];
    if (!c || c->n == FAR_CHUNK) {
        struct far_chunk *top = f->spare;
        if (top) {
            f->spare = top->next;
            f->n_spare--;
        } else {
            top = mem_zalloc(sizeof(*top));
        }
        top->n = 0;
        top->next = c;
        f->piles[pile] = c = top;
        f->some |= UINT64_C(1) << pile;
    }
    c->due[c->n++] = x;
    f->n++;
}

static void push(struct alarm *a, struct due x)
{
    uint64_t span = x.ns >> FAR_SHIFT;
    if (span <= a->far.now)
        push_near(a, x);
    else
        push_far(a, 63u - (unsigned)__builtin_clzll(span ^ a->far.now), x);
}

static void spare(struct far *f, struct far_chunk *c)
{
    if (f->n_spare == MAX_SPARE) {
        free(c);
        return;
    }
    f->n_spare++;
    c->next = f->spare;
    f->spare = c;
}

/* With what was taken out of it to be tidied. */
static struct far_chunk *take_pile(struct far *f, unsigned pile)
{
    struct far_chunk **end = &f->piles[pile];
    if (!f->tidy || f->tidy_pile != pile)
        return *end;
    while (*end)
        end = &(*end)->next;
    *end = f->tidy;
    f->tidy = NULL;
    return f->piles[pile];
}

/* The pile of what is next is dealt out again: its least span is near now. */
static void come_near(struct alarm *a)
{
    struct far *f = &a->far;
    unsigned pile = (unsigned)__builtin_ctzll(f->some);
    struct far_chunk *c = take_pile(f, pile), *next;
    uint64_t least = UINT64_MAX;
    for (const struct far_chunk *i = c; i; i = i->next)
        for (unsigned k = 0; k < i->n; k++)
            least = i->due[k].ns < least ? i->due[k].ns : least;
    f->piles[pile] = NULL;
    f->some &= ~(UINT64_C(1) << pile);
    if (!c)
        return;
    f->now = least >> FAR_SHIFT;
    if (a->cap_heap > MAX_EMPTY) { /* so many at once are an exception, after a start */
        free(a->heap);
        a->heap = NULL;
        a->cap_heap = 0;
    }
    for (; c; c = next) {
        next = c->next;
        f->n -= c->n;
        for (unsigned k = 0; k < c->n; k++)
            push(a, c->due[k]);
        spare(f, c);
    }
}

void due_clear(struct alarm *a)
{
    struct far *f = &a->far;
    for (unsigned i = 0; i < FAR_PILES; i++)
        for (struct far_chunk *c = f->piles[i], *next; c; c = next) {
            next = c->next;
            spare(f, c);
        }
    for (struct far_chunk *c = f->tidy, *next; c; c = next) {
        next = c->next;
        spare(f, c);
    }
    f->tidy = NULL;
    memset(f->piles, 0, sizeof(f->piles));
    f->some = f->n = 0;
    f->tidies = false;
    f->now = a->now_ns >> FAR_SHIFT;
    a->n_heap = a->n_stale = 0;
}

void due_done(struct alarm *a)
{
    due_clear(a);
    for (struct far_chunk *c = a->far.spare, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a->heap);
}

/* Timers come in an order of their own, each for a device that no cache holds: what the next ones need
 * is fetched while this one is dealt with. */
static void fetch_next(const struct alarm *a)
{
    for (size_t i = 0; i <= WAYS && i < a->n_heap; i++)
        if (a->heap[i].device < a->g.n_devs)
            __builtin_prefetch(&a->g.devs[a->heap[i].device]);
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
    struct seat *seat = pos < w.plan->n_rules ? &seats_of(w.plan, w.series)[pos] : NULL;
    return seat && seat->act ? &act_at(a, seat->act)->queued : NULL;
}

static bool is_alive(struct alarm *a, const struct due *x)
{
    const uint64_t *queued = due_queued(a, x->device, x->sub);
    return queued && *queued == x->ns;
}

/* A chunk that was taken out: what is alive goes back. */
static void tidy(struct alarm *a, struct far_chunk *c)
{
    size_t dead = 0;
    a->far.n -= c->n;
    for (unsigned k = 0; k < c->n; k++)
        if (is_alive(a, &c->due[k]))
            push_far(a, a->far.tidy_pile, c->due[k]);
        else
            dead++;
    a->n_stale -= a->n_stale < dead ? a->n_stale : dead;
    spare(&a->far, c);
}

/* Half of those that are far are dead: a stretch of them in each step, until all were looked at, pile by
 * pile. What is near goes by itself. */
static void compact(struct alarm *a)
{
    struct far *f = &a->far;
    for (unsigned i = 0; i < TIDY_CHUNKS && f->tidies; i++) {
        while (!f->tidy && f->tidies) {
            f->tidies = ++f->tidy_pile < FAR_PILES;
            if (!f->tidies)
                return;
            f->tidy = f->piles[f->tidy_pile];
            f->piles[f->tidy_pile] = NULL;
        }
        struct far_chunk *c = f->tidy;
        f->tidy = c->next;
        tidy(a, c);
        if (!f->tidy && !f->piles[f->tidy_pile])
            f->some &= ~(UINT64_C(1) << f->tidy_pile);
    }
}

void due_clean(struct alarm *a)
{
    while (a->due_changed) {
        if (a->n_heap > 0 && !is_alive(a, &a->heap[0])) {
            due_pop(a);
            a->n_stale -= a->n_stale > 0;
        } else if (a->n_heap == 0 && a->far.n > 0) {
            come_near(a);
        } else {
            a->due_changed = false;
        }
    }
    struct far *f = &a->far;
    if (!f->tidies && a->n_stale > 4096 && a->n_stale > (a->n_heap + f->n) / 2) {
        f->tidies = true;
        f->tidy_pile = UINT_MAX;
    }
    if (f->tidies)
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
    due_clear(a);
    for (uint32_t i = 0; i < a->g.n_rules; i++)
        put_back(a, DUE_RULES, i);
    for (uint32_t i = 0; i < a->g.n_devs; i++) {
        const struct dev *v = &a->g.devs[i];
        if (v->queued)
            push(a, (struct due){v->queued, i, DUE_SILENCE});
        if (v->rare)
            put_back(a, i, DUE_CATCH);
        if (a->g.uplink_is && a->g.uplink_is[i])
            put_back(a, i, DUE_UPLINK);
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

/* From the first device on. What others said is not seen at all devices before a sweep because of that is
 * over, and it never is where another takes its place. */
static void begin_sweep(struct rule_state *s, uint64_t engine_ns)
{
    s->ends = s->ends && s->cursor != UINT32_MAX;
    s->newly = false;
    s->cursor = 0;
    s->sweep_ns = engine_ns;
}

void due_sweep(struct alarm *a, unsigned index, uint64_t engine_ns)
{
    struct rule_state *s = &a->g.rules[index];
    begin_sweep(s, engine_ns);
    due_set(a, &s->queued, engine_ns + 1, DUE_RULES, index);
}

/* Because what the rule counts changed. Under another sweep it only begins again. */
void due_sweep_count(struct alarm *a, unsigned index, uint64_t engine_ns)
{
    struct rule_state *s = &a->g.rules[index];
    bool ends = s->cursor == UINT32_MAX || s->ends;
    due_sweep(a, index, engine_ns);
    s->ends = ends;
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
        begin_sweep(s, engine_ns);
    }
    if (next != INT64_MAX && next - wall_ms > FAR_MS) /* it is looked for again by then */
        next = wall_ms + FAR_MS;
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
