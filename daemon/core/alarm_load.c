/* SPDX-License-Identifier: Apache-2.0 */
/* The other half of alarm_save.c: bytes that may be anybody's. */
#include "base/mem.h"
#include "core/alarm_private.h"
#include "core/state.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define FAR_MS (INT64_C(1) << 60)

static int get_between(struct state_reader *r, int least, int most, int bias)
{
    int v = (int)state_get_u8(r) - bias;
    state_expect(r, v >= least && v <= most);
    return r->failed ? least : v;
}

static bool get_bool(struct state_reader *r)
{
    return get_between(r, 0, 1, 0);
}

static uint64_t get_queued(struct state_reader *r)
{
    uint64_t v = state_get_u64(r);
    state_expect(r, v != NEVER);
    return v;
}

static int64_t get_ms(struct state_reader *r)
{
    int64_t v = (int64_t)state_get_u64(r);
    state_expect(r, v > -FAR_MS && v < FAR_MS);
    return r->failed ? 0 : v;
}

static void get_window(struct state_reader *r, const struct plan_expr *x, struct expr_state **s)
{
    uint64_t n = state_get_u64(r);
    const char *bytes = state_get_bytes(r, n);
    struct expr_state *got = NULL;
    state_expect(r, bytes && expr_state_load(x->x, bytes, (size_t)n, &got) == 0);
    if (r->failed)
        return;
    expr_state_free(*s);
    *s = got;
}

static void get_last(struct state_reader *r, struct expr_last *last, size_t n)
{
    uint64_t known = state_get_u64(r);
    state_expect(r, n == 64 || known >> n == 0);
    for (size_t i = 0; i < n && !r->failed; i++)
        if (known >> i & 1) {
            state_get(r, &last[i], sizeof(last[i]));
            state_expect(r, !isinf(last[i].v));
        }
}

static void get_flap(struct state_reader *r, const struct rule *rule, struct act *t)
{
    unsigned cap = rule->flap_changes < 256 ? rule->flap_changes : 256;
    int most = rule->n_levels ? (int)rule->n_levels - 1 : 0;
    state_expect(r, rule->damps && cap > 0);
    if (r->failed)
        return;
    struct flap *f = mem_zalloc(sizeof(*f) + cap * sizeof(f->when[0]));
    t->flap = f;
    f->cap = (uint16_t)cap;
    f->last_ns = get_queued(r);
    f->on = get_bool(r);
    f->up = get_bool(r);
    /* 0 until it is on, of a rule without levels too */
    f->worst = (int8_t)get_between(r, STATE_NORMAL, most, 2);
    uint64_t packed = state_get_u64(r);
    state_expect(r, packed >> 32 <= cap && (uint32_t)packed < cap);
    f->n = (uint16_t)(r->failed ? 0 : packed >> 32);
    f->at = (uint16_t)(r->failed ? 0 : packed & 0xffff);
    state_get(r, f->when, cap * sizeof(f->when[0]));
    state_expect(r, !f->on || (f->worst > STATE_NORMAL && f->worst < (int)rule->n_levels));
}

static void get_delay(struct state_reader *r, struct delay *d)
{
    d->run = (uint8_t)get_between(r, DELAY_IDLE, DELAY_PAUSED, 0);
    if (d->run == DELAY_IDLE)
        return;
    d->done_ns = state_get_u64(r);
    d->last_ns = state_get_u64(r);
    d->start_ms = get_ms(r);
    d->misses = (uint32_t)state_get_up_to(r, UINT32_MAX);
}

static void get_act(struct state_reader *r, const struct plan_rule *p, bool levels,
                    struct act *t)
{
    int top = levels ? (int)p->rule->n_levels - 1 : -1;
    t->level = (int8_t)get_between(r, -1, top, 2);
    t->told = (int8_t)get_between(r, STATE_NORMAL, top, 2);
    t->peak = (int8_t)get_between(r, STATE_NORMAL, top, 2);
    t->quality = (uint8_t)get_between(r, ALARM_GOOD, ALARM_UNKNOWN, 0);
    t->told_quality = (uint8_t)get_between(r, ALARM_GOOD, ALARM_UNKNOWN, 0);
    unsigned bits = (unsigned)get_between(r, 0, r->version < 4 ? 127 : 255, 0);
    t->silent = bits & 1;
    t->waits = bits >> 1 & 1;
    t->late = bits >> 2 & 1;
    t->held = bits >> 3 & 1;
    t->inhibited = bits >> 4 & 1;
    t->old_news = bits >> 5 & 1;
    t->urgent = bits >> 7 & 1;
    t->lag_ns = state_get_u64(r);
    t->eval_ns = state_get_u64(r);
    t->due = state_get_u64(r);
    t->queued = get_queued(r);
    t->wake_ns = state_get_u64(r);
    t->since_ms = get_ms(r);
    t->changed_ms = get_ms(r);
    t->since_ns = state_get_u64(r);
    for (size_t l = 0; l < p->rule->n_levels; l++)
        get_delay(r, &t->delays[l]);
    for (size_t i = 0; i < p->rule->n_levels * 2 && !r->failed; i++) {
        const struct plan_expr *x = i & 1 ? &p->off[i / 2] : &p->on[i / 2];
        if (x->windows)
            get_window(r, x, &t->windows[i]);
    }
    state_expect(r, !t->silent || tells_silence(p->rule));
    state_expect(r, t->peak >= t->level);
    state_expect(r, !t->urgent || act_state(t) != STATE_NORMAL || t->told != STATE_NORMAL);
    if (bits >> 6 & 1)
        get_flap(r, p->rule, t);
}

static void get_seats(struct alarm *a, struct state_reader *r, const struct whom *w)
{
    uint64_t n = state_get_up_to(r, w->plan->n_rules), last = 0;
    for (uint64_t k = 0; k < n && !r->failed; k++) {
        uint64_t i = state_get_u64(r);
        state_expect(r, i < w->plan->n_rules && (k == 0 || i > last));
        unsigned bits = (unsigned)get_between(r, 1, 3, 0);
        if (r->failed)
            return;
        struct seat *seat = &seats_of(w->plan, w->series)[last = i];
        if (bits & 1) {
            state_expect(r, seat->flags & SEAT_SILENCE);
            seat->flags |= SEAT_SILENT;
        }
        if (bits & 2)
            state_expect(r, seat->flags != 0);
        if (!(bits & 2) || r->failed)
            continue;
        const struct plan_rule *p = &w->plan->rules[i];
        struct act *t = act_new(a, w, (unsigned)i);
        get_act(r, p, seat->flags & SEAT_LEVELS, t);
        if (r->version < 4)
            t->urgent = (act_state(t) != STATE_NORMAL || t->told != STATE_NORMAL) &&
                        is_urgent(p->rule, w->device);
    }
}

static void get_series(struct alarm *a, struct state_reader *r, struct whom *w, bool own)
{
    char point[STATE_NAME_MAX + 1];
    state_get_name(r, point);
    state_expect(r, own ? !*point : *point != '\0');
    if (r->failed)
        return;
    state_expect(r, own || !gen_series(&a->g, w->device, point, false));
    w->series = r->failed ? NULL : gen_series(&a->g, w->device, point, true);
    if (!w->series) {
        r->failed = true;
        return;
    }
    w->series->newest_ns = state_get_u64(r);
    w->series->gap_ns = state_get_u64(r);
    w->series->gap_to = state_get_u64(r);
    get_last(r, w->series->last, w->plan->n_slots);
    if (w->plan->n_conds) {
        w->series->truth = state_get_u64(r);
        state_expect(r, w->plan->n_conds == 64 || w->series->truth >> w->plan->n_conds == 0);
        if (r->version < 3)
            state_expect(r, state_get_u64(r) == 0); /* a timer that nothing set */
    }
    get_seats(a, r, w);
}

static void get_past(struct alarm *a, struct state_reader *r, struct whom *w, struct rare *rare)
{
    uint64_t ordinal = state_get_up_to(r, UINT16_MAX);
    struct whom of = gen_whom(&a->g, w->device->index, (unsigned)ordinal);
    state_expect(r, of.series != NULL);
    for (const struct past *p = rare->pasts; p; p = p->next)
        state_expect(r, p->series != of.series);
    if (r->failed)
        return;
    struct past *p = late_past(rare, &of);
    get_last(r, p->last, w->plan->n_slots);
    for (size_t i = 0; i < w->plan->n_rules && !r->failed; i++) {
        struct shadow *s = &p->shadows[i];
        s->open = get_bool(r);
        if (!s->open)
            continue;
        state_expect(r, w->plan->rules[i].rule->n_levels > 0);
        s->from_ns = state_get_u64(r);
        s->last_ns = state_get_u64(r);
        s->from_ms = get_ms(r);
        s->last_ms = get_ms(r);
        s->level = (int8_t)get_between(r, -1, (int)w->plan->rules[i].rule->n_levels - 1, 1);
    }
}

/* Before it was saved which words nobody has read: all that may be. */
static uint64_t unread_since(const struct series *s, unsigned slots, uint64_t from_ns)
{
    uint64_t said = 0;
    for (unsigned i = 0; s->newest_ns >= from_ns && i < slots; i++)
        if (s->last[i].at_ns >= from_ns || (s->last[i].at_ns && isnan(s->last[i].v)))
            said |= UINT64_C(1) << i;
    return said;
}

static void get_unread(struct state_reader *r, const struct whom *w)
{
    unsigned slots = w->plan->n_slots;
    uint64_t any = 0;
    if (!get_bool(r) || (r->version < 5 && w->device->life_safety))
        return;
    for (struct series *s = w->dev->series; s && !r->failed; s = s->next) {
        s->unread =
            r->version < 5 ? unread_since(s, slots, w->dev->rare->from_ns) : state_get_u64(r);
        state_expect(r, slots == 64 || s->unread >> slots == 0);
        any |= s->unread;
    }
    state_expect(r, any || r->version < 5);
}

static void get_rare(struct alarm *a, struct state_reader *r, struct whom *w)
{
    if (!get_bool(r) || r->failed)
        return;
    struct rare *rare = w->dev->rare = mem_zalloc(sizeof(*rare));
    rare->due = get_queued(r);
    rare->queued = get_queued(r);
    state_expect(r, rare->queued != 0);
    rare->from_ns = state_get_u64(r);
    get_unread(r, w);
    uint64_t n = state_get_up_to(r, UINT16_MAX);
    for (uint64_t i = 0; i < n && !r->failed; i++)
        get_past(a, r, w, rare);
}

static void get_device(struct alarm *a, struct state_reader *r, uint32_t i)
{
    struct whom w = gen_whom(&a->g, i, 0);
    char code[STATE_NAME_MAX + 1];
    state_get_name(r, code);
    state_expect(r, strcmp(code, w.device->code) == 0);
    w.dev->since_ns = state_get_u64(r);
    w.dev->alive_ns = state_get_u64(r);
    w.dev->queued = get_queued(r);
    w.dev->broker = (uint8_t)state_get_u8(r);
    w.dev->flags = (uint8_t)get_between(r, 0, 127, 0);
    uint64_t n = state_get_up_to(r, w.series ? UINT16_MAX : 0);
    state_expect(r, n > 0 || !w.series);
    for (uint64_t k = 0; k < n && !r->failed; k++)
        get_series(a, r, &w, k == 0);
    get_rare(a, r, &w);
    state_expect(r, !(w.dev->flags & DEV_SILENT) || w.dev->series);
    if (!w.dev->series) /* saved so when the last rule of its kind had gone */
        w.dev->flags &= (uint8_t) ~(DEV_WAITS | DEV_HEARD);
    state_expect(r, !(w.dev->flags & DEV_CATCHING) || w.dev->rare);
}

static void get_rules(struct alarm *a, struct state_reader *r)
{
    struct gen *g = &a->g;
    state_expect(r, state_get_u64(r) == g->n_rules);
    for (size_t i = 0; i < g->n_rules && !r->failed; i++) {
        const struct rule *rule = rules_at(g->world->rules, i);
        struct rule_state *s = &g->rules[i];
        char id[STATE_NAME_MAX + 1];
        state_get_name(r, id);
        state_expect(r, strcmp(id, rule->id) == 0);
        state_expect(r, state_get_u64(r) == rule->hash);
        s->boundary_ns = state_get_u64(r);
        s->queued = get_queued(r);
        s->sweep_ns = state_get_u64(r);
        uint64_t cursor = state_get_u64(r);
        state_expect(r, cursor < g->n_devs || cursor == UINT32_MAX ||
                            cursor == 0); /* a sweep of no devices that has yet to see so */
        s->cursor = r->failed ? UINT32_MAX : (uint32_t)cursor;
        unsigned bits = (unsigned)get_between(r, 0,
                                              r->version < 3   ? 1
                                              : r->version < 4 ? 3
                                                               : 7,
                                              0);
        s->in_force = bits & 1;
        s->ends = bits >> 1 & 1;
        s->newly = bits >> 2;
        state_expect(r, !s->newly || cursor != UINT32_MAX);
    }
}

static uint32_t rule_that_blamed(struct alarm *a, const struct uplink *u)
{
    struct whom w = gen_whom(&a->g, u->device, 0);
    for (uint32_t i = 0; w.series && i < w.plan->n_rules; i++) {
        const struct seat *s = &seats_of(w.plan, w.series)[i];
        if (s->act && act_at(a, s->act)->silent && !(s->flags & SEAT_SILENT))
            return i;
    }
    return u->pos;
}

static void get_uplinks(struct alarm *a, struct state_reader *r)
{
    struct gen *g = &a->g;
    state_expect(r, state_get_u64(r) == g->n_uplinks);
    for (size_t i = 0; i < g->n_uplinks && !r->failed; i++) {
        struct uplink *u = &g->uplinks[i];
        state_expect(r, state_get_u64(r) == u->device);
        unsigned bits = (unsigned)get_between(r, 0, 7, 0);
        u->down = bits & 1;
        u->by_members = bits >> 1 & 1;
        u->release = bits >> 2 & 1;
        state_expect(r, !u->by_members || (u->down && u->pos != UINT32_MAX));
        u->due = state_get_u64(r);
        u->queued = get_queued(r);
        if (u->by_members && !r->failed) /* another version may choose another rule */
            u->pos = rule_that_blamed(a, u);
    }
}

static void get_link(struct alarm *a, struct state_reader *r, struct link *l)
{
    l->up_ns = state_get_u64(r);
    l->again_ns = r->version < 2 ? 0 : state_get_u64(r);
    l->up = get_bool(r);
    l->lost_ns = r->version < 3 ? a->now_ns : state_get_u64(r);
    l->n_deaf = r->version < 3 ? 0 : (size_t)state_get_up_to(r, MAX_DEAF);
    state_get(r, l->deaf, l->n_deaf * sizeof(l->deaf[0]));
    for (size_t i = 0; i < l->n_deaf; i++)
        state_expect(r, l->deaf[i].from_ns <= l->deaf[i].to_ns &&
                            (i == 0 || l->deaf[i - 1].to_ns <= l->deaf[i].from_ns));
}

static void get_all(struct alarm *a, struct state_reader *r)
{
    a->now_ns = state_get_u64(r);
    a->wall_off_ms = get_ms(r);
    a->wall_known = get_bool(r);
    for (size_t i = 0; i < MAX_BROKERS && !r->failed; i++)
        get_link(a, r, &a->links[i]);
    get_rules(a, r);
    state_expect(r, state_get_u64(r) == a->g.n_devs);
    for (uint32_t i = 0; i < a->g.n_devs && !r->failed; i++)
        get_device(a, r, i);
    get_uplinks(a, r);
    state_expect(r, state_get_u64(r) == ALARM_STATE_MAGIC);
    state_expect(r, state_all_read(r));
}

int alarm_load(struct alarm *a, const char *bytes, size_t len)
{
    struct state_reader r = {.p = bytes, .end = bytes + len};
    const struct world *w = a->g.world;
    uint64_t now = a->now_ns;
    int64_t wall = alarm_wall(a, now);
    if (!a->bare) /* which is as new, and a million series are not made twice */
        alarm_reset_bare(a, w, now, wall);
    a->bare = false;
    bool ours = state_get_u64(&r) == ALARM_STATE_MAGIC;
    r.version = state_get_u64(&r);
    state_expect(&r, ours && r.version >= 1 && r.version <= ALARM_STATE_VERSION);
    if (!r.failed)
        get_all(a, &r);
    if (r.failed) {
        a->now_ns = now;
        alarm_reset(a, w, now, wall);
        return -EBADMSG;
    }
    count_again(a);
    due_rebuild(a);
    a->due_changed = true;
    due_clean(a);
    return 0;
}
