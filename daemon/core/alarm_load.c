/* SPDX-License-Identifier: Apache-2.0 */
/* The other half of alarm_save.c: bytes that may be anybody's. */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAGIC   0x314d4c4147494147u
#define VERSION 3u
#define FAR_MS  (INT64_C(1) << 60)

struct reader {
    struct alarm *a;
    const char *p, *end;
    uint64_t version;
    bool failed;
};

static void get(struct reader *r, void *out, size_t n)
{
    if (r->failed || n > (size_t)(r->end - r->p)) {
        r->failed = true;
        memset(out, 0, n);
        return;
    }
    memcpy(out, r->p, n);
    r->p += n;
}

static unsigned get_u8(struct reader *r)
{
    if (r->failed || r->p == r->end) {
        r->failed = true;
        return 0;
    }
    return (unsigned char)*r->p++;
}

static uint64_t get_u64(struct reader *r)
{
    uint64_t v = 0;
    if (r->failed || (size_t)(r->end - r->p) < sizeof(v)) {
        r->failed = true;
        return 0;
    }
    memcpy(&v, r->p, sizeof(v));
    r->p += sizeof(v);
    return v;
}

static void expect(struct reader *r, bool good)
{
    r->failed |= !good;
}

/* At most `most`; more is no good. */
static uint64_t get_up_to(struct reader *r, uint64_t most)
{
    uint64_t v = get_u64(r);
    expect(r, v <= most);
    return r->failed ? 0 : v;
}

static int get_between(struct reader *r, int least, int most, int bias)
{
    int v = (int)get_u8(r) - bias;
    expect(r, v >= least && v <= most);
    return r->failed ? least : v;
}

static bool get_bool(struct reader *r)
{
    return get_between(r, 0, 1, 0);
}

static uint64_t get_queued(struct reader *r)
{
    uint64_t v = get_u64(r);
    expect(r, v != NEVER);
    return v;
}

static int64_t get_ms(struct reader *r)
{
    int64_t v = (int64_t)get_u64(r);
    expect(r, v > -FAR_MS && v < FAR_MS);
    return r->failed ? 0 : v;
}

static void get_text(struct reader *r, char out[256])
{
    unsigned n = get_u8(r);
    get(r, out, n);
    out[n] = '\0';
    expect(r, memchr(out, '\0', n) == NULL || n == 0);
}

static void get_window(struct reader *r, const struct plan_expr *x, struct expr_state **s)
{
    uint64_t n = get_u64(r);
    struct expr_state *got = NULL;
    if (r->failed || n > (uint64_t)(r->end - r->p) ||
        expr_state_load(x->x, r->p, (size_t)n, &got) != 0) {
        r->failed = true;
        return;
    }
    r->p += n;
    expr_state_free(*s);
    *s = got;
}

static void get_last(struct reader *r, struct expr_last *last, size_t n)
{
    uint64_t known = get_u64(r);
    expect(r, n == 64 || known >> n == 0);
    for (size_t i = 0; i < n && !r->failed; i++)
        if (known >> i & 1) {
            get(r, &last[i], sizeof(last[i]));
            expect(r, !isinf(last[i].v));
        }
}

static void get_flap(struct reader *r, const struct rule *rule, struct act *t)
{
    unsigned cap = rule->flap_changes < 256 ? rule->flap_changes : 256;
    int most = rule->n_levels ? (int)rule->n_levels - 1 : 0;
    expect(r, rule->damps && cap > 0);
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
    uint64_t packed = get_u64(r);
    expect(r, packed >> 32 <= cap && (uint32_t)packed < cap);
    f->n = (uint16_t)(r->failed ? 0 : packed >> 32);
    f->at = (uint16_t)(r->failed ? 0 : packed & 0xffff);
    get(r, f->when, cap * sizeof(f->when[0]));
    expect(r, !f->on || (f->worst > STATE_NORMAL && f->worst < (int)rule->n_levels));
}

static void get_delay(struct reader *r, struct delay *d)
{
    d->run = (uint8_t)get_between(r, DELAY_IDLE, DELAY_PAUSED, 0);
    if (d->run == DELAY_IDLE)
        return;
    d->done_ns = get_u64(r);
    d->last_ns = get_u64(r);
    d->start_ms = get_ms(r);
    d->misses = (uint32_t)get_up_to(r, UINT32_MAX);
}

static void get_act(struct reader *r, const struct plan_rule *p, bool levels, struct act *t)
{
    int top = levels ? (int)p->rule->n_levels - 1 : -1;
    t->level = (int8_t)get_between(r, -1, top, 2);
    t->told = (int8_t)get_between(r, STATE_NORMAL, top, 2);
    t->peak = (int8_t)get_between(r, STATE_NORMAL, top, 2);
    t->quality = (uint8_t)get_between(r, ALARM_GOOD, ALARM_UNKNOWN, 0);
    t->told_quality = (uint8_t)get_between(r, ALARM_GOOD, ALARM_UNKNOWN, 0);
    unsigned bits = (unsigned)get_between(r, 0, 127, 0);
    t->silent = bits & 1;
    t->waits = bits >> 1 & 1;
    t->late = bits >> 2 & 1;
    t->held = bits >> 3 & 1;
    t->inhibited = bits >> 4 & 1;
    t->old_news = bits >> 5 & 1;
    t->lag_ns = get_u64(r);
    t->eval_ns = get_u64(r);
    t->due = get_u64(r);
    t->queued = get_queued(r);
    t->wake_ns = get_u64(r);
    t->since_ms = get_ms(r);
    t->changed_ms = get_ms(r);
    t->since_ns = get_u64(r);
    for (size_t l = 0; l < p->rule->n_levels; l++)
        get_delay(r, &t->delays[l]);
    for (size_t i = 0; i < p->rule->n_levels * 2 && !r->failed; i++) {
        const struct plan_expr *x = i & 1 ? &p->off[i / 2] : &p->on[i / 2];
        if (x->windows)
            get_window(r, x, &t->windows[i]);
    }
    expect(r, !t->silent || tells_silence(p->rule));
    expect(r, t->peak >= t->level);
    if (bits >> 6 & 1)
        get_flap(r, p->rule, t);
}

static void get_seats(struct reader *r, const struct whom *w)
{
    uint64_t n = get_up_to(r, w->plan->n_rules), last = 0;
    for (uint64_t k = 0; k < n && !r->failed; k++) {
        uint64_t i = get_u64(r);
        expect(r, i < w->plan->n_rules && (k == 0 || i > last));
        unsigned bits = (unsigned)get_between(r, 1, 3, 0);
        if (r->failed)
            return;
        struct seat *seat = &seats_of(w->plan, w->series)[last = i];
        if (bits & 1) {
            expect(r, seat->flags & SEAT_SILENCE);
            seat->flags |= SEAT_SILENT;
        }
        if (bits & 2) {
            expect(r, seat->flags != 0);
            if (!r->failed)
                get_act(r, &w->plan->rules[i], seat->flags & SEAT_LEVELS,
                        act_new(r->a, w, (unsigned)i));
        }
    }
}

static void get_series(struct reader *r, struct whom *w, bool own)
{
    char point[256];
    get_text(r, point);
    expect(r, own ? !*point : *point != '\0');
    if (r->failed)
        return;
    expect(r, own || !gen_series(&r->a->g, w->device, point, false));
    w->series = r->failed ? NULL : gen_series(&r->a->g, w->device, point, true);
    if (!w->series) {
        r->failed = true;
        return;
    }
    w->series->newest_ns = get_u64(r);
    w->series->gap_ns = get_u64(r);
    w->series->gap_to = get_u64(r);
    get_last(r, w->series->last, w->plan->n_slots);
    if (w->plan->n_conds) {
        w->series->truth = get_u64(r);
        expect(r, w->plan->n_conds == 64 || w->series->truth >> w->plan->n_conds == 0);
        if (r->version < 3)
            expect(r, get_u64(r) == 0); /* a timer that nothing set */
    }
    get_seats(r, w);
}

static void get_past(struct reader *r, struct whom *w, struct rare *rare)
{
    uint64_t ordinal = get_up_to(r, UINT16_MAX);
    struct whom of = gen_whom(&r->a->g, w->device->index, (unsigned)ordinal);
    expect(r, of.series != NULL);
    for (const struct past *p = rare->pasts; p; p = p->next)
        expect(r, p->series != of.series);
    if (r->failed)
        return;
    struct past *p = late_past(rare, &of);
    get_last(r, p->last, w->plan->n_slots);
    for (size_t i = 0; i < w->plan->n_rules && !r->failed; i++) {
        struct shadow *s = &p->shadows[i];
        s->open = get_bool(r);
        if (!s->open)
            continue;
        expect(r, w->plan->rules[i].rule->n_levels > 0);
        s->from_ns = get_u64(r);
        s->last_ns = get_u64(r);
        s->from_ms = get_ms(r);
        s->last_ms = get_ms(r);
        s->level = (int8_t)get_between(r, -1, (int)w->plan->rules[i].rule->n_levels - 1, 1);
    }
}

static void get_rare(struct reader *r, struct whom *w)
{
    if (!get_bool(r) || r->failed)
        return;
    struct rare *rare = w->dev->rare = mem_zalloc(sizeof(*rare));
    rare->due = get_queued(r);
    rare->queued = get_queued(r);
    expect(r, rare->queued != 0);
    rare->from_ns = get_u64(r);
    rare->unread = get_bool(r);
    uint64_t n = get_up_to(r, UINT16_MAX);
    for (uint64_t i = 0; i < n && !r->failed; i++)
        get_past(r, w, rare);
}

static void get_device(struct reader *r, uint32_t i)
{
    struct whom w = gen_whom(&r->a->g, i, 0);
    char code[256];
    get_text(r, code);
    expect(r, strcmp(code, w.device->code) == 0);
    w.dev->since_ns = get_u64(r);
    w.dev->alive_ns = get_u64(r);
    w.dev->queued = get_queued(r);
    w.dev->broker = (uint8_t)get_u8(r);
    w.dev->flags = (uint8_t)get_between(r, 0, 63, 0);
    uint64_t n = get_up_to(r, w.series ? UINT16_MAX : 0);
    expect(r, n > 0 || !w.series);
    for (uint64_t k = 0; k < n && !r->failed; k++)
        get_series(r, &w, k == 0);
    get_rare(r, &w);
    expect(r, !(w.dev->flags & (DEV_SILENT | DEV_WAITS | DEV_HEARD)) || w.dev->series);
    expect(r, !(w.dev->flags & DEV_CATCHING) || w.dev->rare);
}

static void get_rules(struct reader *r)
{
    struct gen *g = &r->a->g;
    expect(r, get_u64(r) == g->n_rules);
    for (size_t i = 0; i < g->n_rules && !r->failed; i++) {
        const struct rule *rule = rules_at(g->world->rules, i);
        struct rule_state *s = &g->rules[i];
        char id[256];
        get_text(r, id);
        expect(r, strcmp(id, rule->id) == 0);
        expect(r, get_u64(r) == rule->hash);
        s->boundary_ns = get_u64(r);
        s->queued = get_queued(r);
        s->sweep_ns = get_u64(r);
        uint64_t cursor = get_u64(r);
        expect(r, cursor < g->n_devs || cursor == UINT32_MAX);
        s->cursor = r->failed ? UINT32_MAX : (uint32_t)cursor;
        unsigned bits = (unsigned)get_between(r, 0, r->version < 3 ? 1 : 3, 0);
        s->in_force = bits & 1;
        s->ends = bits >> 1;
    }
}

static void get_uplinks(struct reader *r)
{
    struct gen *g = &r->a->g;
    expect(r, get_u64(r) == g->n_uplinks);
    for (size_t i = 0; i < g->n_uplinks && !r->failed; i++) {
        struct uplink *u = &g->uplinks[i];
        expect(r, get_u64(r) == u->device);
        unsigned bits = (unsigned)get_between(r, 0, 7, 0);
        u->down = bits & 1;
        u->by_members = bits >> 1 & 1;
        u->release = bits >> 2 & 1;
        expect(r, !u->by_members || (u->down && u->pos != UINT32_MAX));
        u->due = get_u64(r);
        u->queued = get_queued(r);
    }
}

static void get_link(struct reader *r, struct link *l)
{
    l->up_ns = get_u64(r);
    l->again_ns = r->version < 2 ? 0 : get_u64(r);
    l->up = get_bool(r);
    l->lost_ns = r->version < 3 ? r->a->now_ns : get_u64(r);
    l->n_deaf = r->version < 3 ? 0 : (size_t)get_up_to(r, MAX_DEAF);
    get(r, l->deaf, l->n_deaf * sizeof(l->deaf[0]));
    for (size_t i = 0; i < l->n_deaf; i++)
        expect(r, l->deaf[i].from_ns <= l->deaf[i].to_ns &&
                      (i == 0 || l->deaf[i - 1].to_ns <= l->deaf[i].from_ns));
}

static void get_all(struct reader *r)
{
    struct alarm *a = r->a;
    a->now_ns = get_u64(r);
    a->wall_off_ms = get_ms(r);
    a->wall_known = get_bool(r);
    for (size_t i = 0; i < MAX_BROKERS && !r->failed; i++)
        get_link(r, &a->links[i]);
    get_rules(r);
    expect(r, get_u64(r) == a->g.n_devs);
    for (uint32_t i = 0; i < a->g.n_devs && !r->failed; i++)
        get_device(r, i);
    get_uplinks(r);
    expect(r, get_u64(r) == MAGIC);
    expect(r, r->p == r->end);
}

int alarm_load(struct alarm *a, const char *bytes, size_t len)
{
    struct reader r = {.a = a, .p = bytes, .end = bytes + len};
    const struct world *w = a->g.world;
    uint64_t now = a->now_ns;
    int64_t wall = alarm_wall(a, now);
    if (!a->bare) /* which is as new, and a million series are not made twice */
        alarm_reset_bare(a, w, now, wall);
    a->bare = false;
    bool ours = get_u64(&r) == MAGIC;
    r.version = get_u64(&r);
    expect(&r, ours && r.version >= 1 && r.version <= VERSION);
    if (!r.failed)
        get_all(&r);
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
