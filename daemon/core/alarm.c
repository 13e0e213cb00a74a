/* SPDX-License-Identifier: Apache-2.0 */
/* What moves alarms: samples, signs of life, links, time. */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <math.h>
#include <stdlib.h>

struct alarm *alarm_new(const struct alarm_out *out)
{
    struct alarm *a = mem_zalloc(sizeof(*a));
    a->out = *out;
    return a;
}

void alarm_free(struct alarm *a)
{
    if (!a)
        return;
    for (uint32_t i = 1; i <= a->n_acts; i++) {
        struct act *t = act_at(a, i);
        if (t->used)
            act_empty(t, &gen_whom(&a->g, t->device, t->ordinal).plan->rules[t->pos]);
    }
    acts_free(a);
    gen_done(&a->g);
    due_done(a);
    free(a->dirty);
    free(a);
}

double alarm_value(const struct field *f)
{
    switch (f->v.type) {
    case VALUE_FLOAT:
        return f->v.f;
    case VALUE_INT:
        return (double)f->v.i;
    case VALUE_BOOL:
        return f->v.b;
    case VALUE_STRING:
        return f->has_code ? (double)f->code : 0;
    }
    return NAN;
}

unsigned plan_find(const struct plan *p, const struct rule *r)
{
    size_t from = 0, to = p->n_rules;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (p->rules[mid].rule->index < r->index)
            from = mid + 1;
        else
            to = mid;
    }
    return from < p->n_rules && p->rules[from].rule == r ? (unsigned)from : UINT32_MAX;
}

/* -- samples ---------------------------------------------------------------------------------- */

static void masks_of(const struct plan *p, const struct alarm_sample *s, struct moment *m)
{
    for (size_t i = 0; i < s->n; i++)
        if (p->slots[s->metrics[i]] != NO_SLOT)
            m->carried |= UINT64_C(1) << p->slots[s->metrics[i]];
    for (size_t i = 0; i < s->n_bad; i++)
        if (p->slots[s->bad[i]] != NO_SLOT)
            m->bad |= UINT64_C(1) << p->slots[s->bad[i]];
}

static bool is_known(const struct whom *w, const struct alarm_sample *s, uint64_t order_ns)
{
    for (size_t i = 0; i < s->n; i++) {
        unsigned slot = w->plan->slots[s->metrics[i]];
        if (slot != NO_SLOT && (w->series->last[slot].at_ns != order_ns ||
                                w->series->last[slot].v != alarm_value(&s->fields[i])))
            return false;
    }
    return s->n_bad == 0;
}

static void note_values(const struct whom *w, const struct alarm_sample *s,
                        const struct moment *m, uint64_t order_ns)
{
    for (size_t i = 0; i < s->n; i++) {
        unsigned slot = w->plan->slots[s->metrics[i]];
        if (slot != NO_SLOT && m->carried >> slot & 1)
            w->series->last[slot] = (struct expr_last){alarm_value(&s->fields[i]), order_ns};
    }
    for (size_t i = 0; i < s->n_bad; i++) {
        unsigned slot = w->plan->slots[s->bad[i]];
        if (slot != NO_SLOT && m->bad >> slot & 1)
            w->series->last[slot].v = NAN;
    }
}

/* What comes out of a queue is read when its last word is known, but by life-safety. */
static void note_unread(const struct whom *w, const struct moment *m, bool catch_up)
{
    if (catch_up && !w->device->life_safety)
        w->series->unread |= m->carried | m->bad;
    else if (w->series->unread)
        w->series->unread &= ~(m->carried | m->bad);
}

static uint64_t late_limit(const struct device *d)
{
    return 2 * interval_ns(d) > LATE_NS ? 2 * interval_ns(d) : LATE_NS;
}

/* A point that speaks for the first time: what time alone may change begins to be watched. */
static void first_words(struct alarm *a, const struct moment *m, const struct whom *w)
{
    struct moment n = *m;
    n.from = NULL;
    for (unsigned i = 0; i < w->plan->n_rules; i++)
        if (w->plan->rules[i].keeps && !seats_of(w->plan, w->series)[i].act)
            alarm_eval(a, &n, w, i);
}

/* Our two clocks are read one after the other for each record, so that one time of a device has a place
 * that differs by as much from message to message: its own times are whole milliseconds. */
static void settle_place(struct moment *m, const struct series *x)
{
    if (m->order_ns < x->newest_ns && x->newest_ns - m->order_ns < SAME_NS)
        m->order_ns = x->newest_ns;
}

/* A point's metrics need not come together, nor in the order of their times: where a device's clock is
 * some minutes behind, its heartbeat without a time is newer than the alarm that it sends next. Of
 * which metrics nothing newer is known (but that they were bad: of that no time is kept), that is news; `m`
 * keeps those. */
static bool keep_news(const struct alarm_sample *s, const struct whom *w, struct moment *m)
{
    const struct series *x = w->series;
    uint64_t said = m->carried | m->bad, news = 0;
    if (s->catch_up || x->newest_ns - m->order_ns > NEWS_NS)
        return false;
    for (unsigned i = 0; i < w->plan->n_slots; i++)
        if (said >> i & 1 && m->order_ns > x->last[i].at_ns)
            news |= UINT64_C(1) << i;
    if (news) {
        m->carried &= news;
        m->bad &= news;
    }
    return news;
}

static void take(struct alarm *a, struct moment *m, struct whom *w,
                 const struct alarm_sample *s)
{
    struct series *x = w->series;
    masks_of(w->plan, s, m);
    settle_place(m, x);
    m->from = x;
    m->late = s->catch_up || m->engine_ns - m->order_ns > late_limit(w->device);
    a->stats.late += m->late;
    uint64_t said_ns = m->order_ns;
    if (m->order_ns < x->newest_ns) {
        if (!keep_news(s, w, m)) {
            late_old(a, m, w, s);
            return;
        }
        if (said_ns > x->gap_ns && said_ns < x->gap_to)
            x->gap_ns = said_ns;    /* said again it fills no gap */
        m->order_ns = x->newest_ns; /* the point's time never goes back */
        m->displaced = m->order_ns - said_ns > DISPLACED_NS;
    } else if (m->order_ns == x->newest_ns && is_known(w, s, m->order_ns)) {
        return;
    }
    bool first = x->newest_ns == 0;
    if (first || m->order_ns - x->newest_ns > late_limit(w->device)) {
        x->gap_ns = x->newest_ns;
        x->gap_to = m->order_ns;
    }
    x->newest_ns = m->order_ns;
    if (!x->point)
        w->dev->flags =
            (uint8_t)((w->dev->flags & ~(unsigned)DEV_NAMED) | (s->named ? DEV_NAMED : 0));
    note_values(w, s, m, said_ns);
    note_unread(w, m, s->catch_up);
    if (m->late)
        late_hold(a, m, w);
    if (first && x->point)
        first_words(a, m, w);
    if (w->plan->n_conds)
        count_sample(a, m, w, s->catch_up);
    if (m->carried | m->bad)
        eval_said(a, m, w, s->catch_up);
}

static void note_life(struct alarm *a, const struct moment *m, struct whom *w)
{
    if (m->engine_ns > w->dev->alive_ns)
        w->dev->alive_ns = m->engine_ns;
    if (w->dev->flags & (DEV_SILENT | DEV_WAITS)) {
        struct moment n = *m; /* it is heard now, however old what it says may be */
        n.from = NULL;
        n.carried = n.bad = 0;
        n.order_ns = m->engine_ns;
        n.stamp_ms = m->wall_ms;
        silence_over(a, &n, w);
    }
}

void alarm_expect(const struct alarm *a, const struct device *d, bool near)
{
    enum { LINE = 64 };
    if (a->g.n_devs == 0)
        return;
    const struct dev *v = &a->g.devs[d->index];
    if (!near) {
        __builtin_prefetch(v);
        return;
    }
    const char *at = (const char *)v->series;
    if (at)
        for (size_t i = offsetof(struct series, newest_ns), n = gen_plan(&a->g, d)->bytes;
             i < n && i < (size_t)8 * LINE; i += LINE)
            __builtin_prefetch(at + i);
}

void alarm_sample(struct alarm *a, const struct alarm_sample *s)
{
    struct moment m = {.engine_ns = s->engine_ns,
                       .order_ns = s->order_ns < s->engine_ns ? s->order_ns : s->engine_ns,
                       .wall_ms = s->received_ms,
                       .stamp_ms = s->time_ms};
    a->now_ns = s->engine_ns;
    alarm_wall_take(a, s->engine_ns, s->received_ms);
    a->stats.samples++;
    if (!s->retained && a->g.n_devs) {
        struct whom w = {.plan = gen_plan(&a->g, s->device),
                         .dev = &a->g.devs[s->device->index],
                         .device = s->device};
        w.series = gen_series(&a->g, s->device, s->point, true);
        if (w.series)
            take(a, &m, &w, s);
        if (s->alive)
            note_life(a, &m, &w);
        if (a->n_dirty)
            count_flush(a, &m);
        if (w.plan->counts && w.series)
            count_spared(a, &m, &w);
    }
    due_clean(a);
}

/* -- life ------------------------------------------------------------------------------------- */

static struct moment moment_at(uint64_t engine_ns, int64_t wall_ms)
{
    return (struct moment){
        .engine_ns = engine_ns, .order_ns = engine_ns, .wall_ms = wall_ms, .stamp_ms = wall_ms};
}

void alarm_alive(struct alarm *a, const struct device *d, uint64_t engine_ns)
{
    a->now_ns = engine_ns;
    if (a->g.n_devs == 0)
        return;
    struct dev *v = &a->g.devs[d->index];
    if (engine_ns > v->alive_ns)
        v->alive_ns = engine_ns;
    if (v->flags & (DEV_SILENT | DEV_WAITS)) { /* a sample of the same step goes first */
        v->flags |= DEV_HEARD;
        due_set(a, &v->queued, engine_ns + 1, d->index, DUE_SILENCE);
    }
    due_clean(a);
}

void alarm_heard(struct alarm *a, const struct device *d, unsigned broker)
{
    if (broker < MAX_BROKERS && a->g.n_devs)
        a->g.devs[d->index].broker = (uint8_t)broker;
}

/* -- time ------------------------------------------------------------------------------------- */

uint64_t alarm_next_due(const struct alarm *a)
{
    return a->n_heap ? a->heap[0].ns : NEVER;
}

/* Silence has ended it (`no_data: clear`), and the last word before that is no news. */
static bool is_cleared(const struct alarm *a, const struct whom *w, unsigned pos)
{
    const struct plan_rule *r = &w->plan->rules[pos];
    const struct seat *own = &seats_of(w->plan, w->dev->series)[pos];
    const struct seat *seat = &seats_of(w->plan, w->series)[pos];
    return own->flags & SEAT_SILENT && r->rule->no_data == RULE_SILENCE_CLEAR && !r->counts &&
           !(seat->act && act_at(a, seat->act)->level >= 0);
}

static void sweep_device(struct alarm *a, const struct moment *m, const struct rule *rule,
                         uint32_t device)
{
    struct whom w = gen_whom(&a->g, device, 0);
    unsigned pos = plan_find(w.plan, rule);
    if (pos == UINT32_MAX || !w.series)
        return;
    struct moment n = *m; /* a reload or a schedule never ends what endangers life */
    n.keeps = !a->g.rules[rule->index].ends;
    silence_again(a, m, &w, pos);
    for (struct series *s = w.dev->series; s; s = s->next) {
        w.series = s;
        const struct seat *seat = &seats_of(w.plan, s)[pos];
        if (seat->flags & SEAT_LEVELS && !(seat->act && a->g.rules[rule->index].newly) &&
            !is_cleared(a, &w, pos))
            alarm_eval(a, &n, &w, pos);
    }
}

static void rule_due(struct alarm *a, unsigned index, const struct moment *m)
{
    struct rule_state *s = &a->g.rules[index];
    const struct rule *r = rules_at(a->g.world->rules, index);
    if (s->cursor == UINT32_MAX) {
        due_rule(a, index, m->engine_ns, m->wall_ms);
        return;
    }
    bool has[CATALOG_MAX_KINDS] = {false};
    for (size_t k = 0; k < catalog_kinds(a->g.world->catalog); k++)
        has[k] = plan_find(&a->g.plans[k], r) != UINT32_MAX;
    uint32_t i = s->cursor;
    for (unsigned n = 0; i < a->g.n_devs && n < SWEEP; i++) {
        if (!has[a->g.kind_of[i]])
            continue;
        sweep_device(a, m, r, i);
        n++;
    }
    s->cursor = i < a->g.n_devs ? i : UINT32_MAX;
    s->newly = s->newly && s->cursor != UINT32_MAX;
    due_set(a, &s->queued, s->cursor == UINT32_MAX ? s->boundary_ns : m->engine_ns, DUE_RULES,
            index);
}

static void seat_due(struct alarm *a, const struct moment *m, const struct whom *w,
                     unsigned pos)
{
    struct act *t = act_at(a, seats_of(w->plan, w->series)[pos].act);
    const struct plan_rule *r = &w->plan->rules[pos];
    const struct flap *f = t->flap;
    if (f && m->engine_ns >=
                 f->last_ns + (f->on ? r->rule->flap_settle_ns : r->rule->flap_within_ns))
        tell_settled(a, m, w, r, t);
    if (m->engine_ns >= t->due || m->engine_ns >= t->wake_ns)
        alarm_eval(a, m, w, pos);
    else
        act_settle(a, w, r, t);
}

static void fire(struct alarm *a, const struct due *x, const struct moment *m)
{
    if (x->device == DUE_RULES) {
        rule_due(a, x->sub, m);
        return;
    }
    if (x->sub == DUE_SILENCE) {
        silence_due(a, x->device, m);
        return;
    }
    if (x->sub == DUE_CATCH) {
        late_due(a, x->device, m);
        return;
    }
    if (x->sub == DUE_UPLINK) {
        uplink_due(a, x->device, m);
        return;
    }
    struct whom w = gen_whom(&a->g, x->device, (x->sub >> 16) - 1);
    seat_due(a, m, &w, x->sub & 0xffff);
}

void alarm_tick(struct alarm *a, uint64_t due, int64_t wall_ms)
{
    if (a->n_heap == 0 || a->heap[0].ns > due)
        return;
    struct due x = a->heap[0];
    struct moment m = moment_at(x.ns, wall_ms);
    a->now_ns = x.ns;
    alarm_wall_take(a, due, wall_ms);
    uint64_t *queued = due_queued(a, x.device, x.sub);
    if (queued && *queued == x.ns) {
        *queued = 0;
        due_pop(a);
        fire(a, &x, &m);
    } else {
        a->due_changed = true;
    }
    if (a->n_dirty)
        count_flush(a, &m);
    due_clean(a);
}

/* -- for people ------------------------------------------------------------------------------- */

bool alarm_look(const struct alarm *a, const struct rule *r, const struct device *d,
                const char *point, struct alarm_event *out)
{
    struct alarm *x = (struct alarm *)(uintptr_t)a; /* only its scratch is written */
    if (a->g.n_devs == 0)
        return false;
    struct whom w = gen_whom(&x->g, d->index, 0);
    unsigned pos = plan_find(w.plan, r);
    w.series = gen_series(&x->g, d, point, false);
    if (pos == UINT32_MAX || !w.series || !seats_of(w.plan, w.series)[pos].flags)
        return false;
    struct moment m = moment_at(a->now_ns, alarm_wall(a, a->now_ns));
    uint32_t i = seats_of(w.plan, w.series)[pos].act;
    const struct act none = {.level = -1, .told = STATE_NORMAL};
    tell_fill(x, &m, &w, &w.plan->rules[pos], i ? act_at(a, i) : &none, out);
    if (w.series->newest_ns == 0 && !i)
        out->quality = ALARM_UNKNOWN;
    else if (seats_of(w.plan, w.dev->series)[pos].flags & SEAT_SILENT)
        out->quality = ALARM_STALE;
    return true;
}
