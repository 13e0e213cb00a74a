/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Levels and delays (docs/alarms.md).
 *
 * Every level has one delay: of its beginning while the alarm is below it, of its end once it is at
 * or above it. Delays run in order time from sample to sample; where time itself is a witness (mode
 * hold, conditions that change by time) also in engine time since the receipt of the last one.
 * The two are never subtracted from one another: the lag of the last sample is carried along.
 */
#include "core/alarm_private.h"

#include <math.h>
#include <string.h>

struct verdict {
    enum expr_truth on[RULE_MAX_LEVELS], over[RULE_MAX_LEVELS];
    bool mute[RULE_MAX_LEVELS]; /* over, were it not for the silence */
    bool deaf[RULE_MAX_LEVELS]; /* the silence may be ours: nothing follows, */
    struct expr_deaf ours;      /* while we are so; to_ns 0: we are not */
    bool old;                   /* a level found what was said too old */
};

static uint64_t max_gap_ns(const struct rule *r, const struct device *d)
{
    return r->max_gap_ns ? r->max_gap_ns : interval_ns(d) ? 3 * interval_ns(d) : GAP_NS;
}

static uint64_t fresh_ns(const struct rule *r, const struct device *d)
{
    return r->fresh_ns ? r->fresh_ns : interval_ns(d) ? 3 * interval_ns(d) : FRESH_NS;
}

void eval_env(struct alarm *a, const struct whom *w, const struct rule *r, uint64_t now_ns,
              int64_t wall_ms, struct expr_env *out)
{
    const struct world *world = a->g.world;
    *out = (struct expr_env){.now_ns = now_ns,
                             .wall_ms = wall_ms,
                             .since_ns = w->dev->since_ns,
                             .zone = world->zone,
                             .calendar = rules_calendar(world->rules),
                             .last = w->series->last,
                             .params = a->params,
                             .counts = a->counts};
    for (size_t i = 0; r && i < r->n_params && i < EXPR_MAX_PARAMS; i++) {
        const struct expr_param *p = &r->params[i];
        if (!registry_param(world->registry, w->device, p->name, &a->params[i]))
            a->params[i] = p->has_default ? p->def : NAN;
    }
    if (r)
        link_deaf(a, w, out);
}

static const struct series *input_series(const struct whom *w, const struct expr_input *i)
{
    const struct series *s = w->series;
    if (!i->point)
        return s;
    for (s = w->dev->series; s; s = s->next)
        if (strcmp(s->point ? s->point : "", i->point) == 0)
            return s;
    if (w->device->point && strcmp(w->device->point, i->point) == 0)
        return w->dev->series;
    return NULL;
}

void eval_aim(struct alarm *a, const struct whom *w, const struct plan_expr *x, bool old,
              struct expr_env *env)
{
    for (unsigned i = 0; i < x->n_counts; i++)
        a->counts[i] = count_of(a, x->counts[i], w->device->index);
    if (!x->cross && !old) {
        env->last = w->series->last;
        return;
    }
    for (unsigned i = 0; i < x->n_inputs; i++) {
        const struct series *s = input_series(w, &x->inputs[i]);
        struct expr_last *to = &a->scratch[x->cross ? i : x->slots[i]];
        *to = s ? s->last[x->slots[i]] : (struct expr_last){.v = NAN};
        if (old)
            to->v = NAN;
    }
    env->last = a->scratch;
}

void eval_feed(const struct plan_expr *x, struct expr_state *s, const struct whom *w,
               const struct moment *m)
{
    for (unsigned i = 0; s && i < x->n_inputs; i++) {
        double v = m->from->last[x->slots[i]].v;
        if (m->carried >> x->slots[i] & 1 && !isnan(v) &&
            (!x->cross || input_series(w, &x->inputs[i]) == m->from))
            expr_feed(x->x, s, i, v, m->apart ? m->from->last[x->slots[i]].at_ns : m->order_ns);
    }
}

static enum expr_truth ask(struct alarm *a, const struct whom *w, const struct plan_expr *x,
                           bool old, struct expr_state *s, struct expr_env *env)
{
    eval_aim(a, w, x, old, env);
    return expr_eval(x->x, s, env);
}

static enum expr_truth decided(enum expr_truth t, enum rule_unknown how)
{
    if (t != EXPR_UNKNOWN || how == RULE_UNKNOWN_KEEP)
        return t;
    return how == RULE_UNKNOWN_TRUE ? EXPR_TRUE : EXPR_FALSE;
}

/* What others say needs no word of the device: of a level that counts. Nor do those below it, while it
 * ends: they are as they were last said, or what never was true would begin. */
static bool by_others(const struct plan_rule *r, int level, size_t l)
{
    unsigned top = level > (int)l ? (unsigned)level : (unsigned)l;
    return (r->counted & ((2u << top) - 1)) >> l != 0;
}

/* Without a sample, old values of a device that reports by the clock are no witness. */
static bool has_witness(const struct moment *m, const struct whom *w, const struct plan_rule *r)
{
    uint64_t newest = r->cross ? w->dev->alive_ns : w->series->newest_ns;
    return m->from || r->rule->mode == RULE_HOLD || r->keeps ||
           m->engine_ns - newest <= max_gap_ns(r->rule, w->device);
}

static bool any_true(struct alarm *a, const struct moment *m, const struct whom *w,
                     const struct plan_rule *r, struct expr_env *env)
{
    if (!a->g.rules[r->rule->index].in_force)
        return false;
    bool witness = has_witness(m, w, r);
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        if (!witness && !by_others(r, -1, l))
            continue;
        enum expr_truth t = ask(a, w, &r->on[l], false, NULL, env);
        a->stats.unknown += t == EXPR_UNKNOWN;
        if (decided(t, r->rule->unknown) == EXPR_TRUE)
            return true;
    }
    return false;
}

/* Over: its end is met and its beginning is not. */
static enum expr_truth both(enum expr_truth on, enum expr_truth off)
{
    if (on == EXPR_TRUE || off == EXPR_FALSE)
        return EXPR_FALSE;
    return on == EXPR_FALSE && off == EXPR_TRUE ? EXPR_TRUE : EXPR_UNKNOWN;
}

/* Windows run empty and hours pass over a device that says nothing, or not what it should have said
 * by now: that is no recovery. What others say is. */
static bool is_mute(const struct moment *m, const struct whom *w, const struct plan_rule *r,
                    const struct act *t, size_t l)
{
    if (m->from || r->on[l].n_counts || r->off[l].n_counts)
        return false;
    uint64_t patience = 3 * interval_ns(w->device);
    bool timed = r->on[l].timed || r->off[l].timed;
    return t->quality == ALARM_STALE ||
           (timed && patience && m->engine_ns - w->dev->alive_ns > patience);
}

/* The newest good value of what a level reads; of the point, where it reads nothing of it. */
static uint64_t newest_of(const struct whom *w, const struct plan_rule *r, size_t l)
{
    uint64_t newest = 0;
    uint64_t slots = r->on[l].mask | r->off[l].mask;
    for (uint64_t left = slots; left; left &= left - 1) {
        uint64_t at = w->series->last[__builtin_ctzll(left)].at_ns;
        newest = at > newest ? at : newest;
    }
    return slots ? newest : w->series->newest_ns;
}

/* Hours pass, and what was said long ago is still the last word: it is not taken for the present. Who says
 * how long (max_gap) says it of what the rule reads, whatever else is heard. */
static bool is_old(const struct moment *m, const struct whom *w, const struct plan_rule *r,
                   size_t l)
{
    if (m->from || !r->keeps)
        return false;
    if (r->rule->mode == RULE_HOLD)
        return m->engine_ns - w->dev->alive_ns > fresh_ns(r->rule, w->device);
    uint64_t newest = r->cross              ? w->dev->alive_ns
                      : r->rule->max_gap_ns ? newest_of(w, r, l)
                                            : w->series->newest_ns;
    return m->engine_ns - newest > max_gap_ns(r->rule, w->device);
}

/* The silence of who cannot be heard is ours, not its own: clocks of rules that silence moves stand still,
 * but not where others say all that a level asks for. */
static bool is_ours(struct alarm *a, const struct moment *m, const struct whom *w,
                    const struct plan_rule *r, struct expr_deaf *out)
{
    *out = (struct expr_deaf){0};
    return !m->from && r->hears && link_is_deaf(a, w, out);
}

static void judge(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, const struct act *t, struct expr_env *env,
                  struct verdict *out)
{
    bool witness = has_witness(m, w, r), in_force = a->g.rules[r->rule->index].in_force;
    bool ours = is_ours(a, m, w, r, &out->ours);
    out->old = false;
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        enum expr_truth on = EXPR_UNKNOWN, off = EXPR_UNKNOWN;
        bool others = by_others(r, t->level, l), old = !others && is_old(m, w, r, l);
        out->deaf[l] = ours && (!others || r->on[l].hears || r->off[l].hears);
        out->old |= old;
        if ((witness || others) && !out->deaf[l]) {
            enum rule_unknown how = r->rule->unknown;
            enum expr_truth raw = ask(a, w, &r->on[l], old, act_windows(t, l, false), env);
            a->stats.unknown += raw == EXPR_UNKNOWN;
            on = decided(raw, how);
            if (r->off[l].x) {
                off = ask(a, w, &r->off[l], old, act_windows(t, l, true), env);
                if (off == EXPR_UNKNOWN && how != RULE_UNKNOWN_KEEP)
                    off = how == RULE_UNKNOWN_TRUE ? EXPR_FALSE : EXPR_TRUE;
            } else if (on != EXPR_UNKNOWN) {
                off = on == EXPR_TRUE ? EXPR_FALSE : EXPR_TRUE;
            }
        }
        out->on[l] = in_force || (int)l <= t->level ? on : EXPR_FALSE;
        out->over[l] = both(on, off);
        out->mute[l] = out->over[l] == EXPR_TRUE && is_mute(m, w, r, t, l);
        if (out->mute[l])
            out->over[l] = EXPR_UNKNOWN;
    }
}

static bool tolerated(struct delay *d, const struct rule *r)
{
    unsigned of = r->miss_of < 32 ? r->miss_of : 32;
    uint32_t window = of == 32 ? UINT32_MAX : (UINT32_C(1) << of) - 1;
    if (r->miss == 0 || d->run == DELAY_IDLE)
        return false;
    d->misses = d->misses << 1 | 1;
    return (unsigned)__builtin_popcount(d->misses & window) <= r->miss;
}

static void credit(struct delay *d, uint64_t now, uint64_t max_gap)
{
    if (d->run == DELAY_RUNS && now > d->last_ns)
        d->done_ns += now - d->last_ns < max_gap ? now - d->last_ns : max_gap;
    if (now > d->last_ns) /* what was counted before a pause is not counted again */
        d->last_ns = now;
}

static void step(struct delay *d, enum expr_truth t, uint64_t now, int64_t stamp_ms,
                 uint64_t max_gap)
{
    switch (t) {
    case EXPR_TRUE:
        if (d->run == DELAY_IDLE)
            *d = (struct delay){.last_ns = now, .start_ms = stamp_ms};
        else
            credit(d, now, max_gap);
        d->run = DELAY_RUNS;
        break;
    case EXPR_FALSE:
        *d = (struct delay){0};
        break;
    case EXPR_UNKNOWN:
        if (d->run == DELAY_RUNS) {
            credit(d, now, max_gap);
            d->run = DELAY_PAUSED;
        }
        break;
    }
}

static bool by_time(const struct plan_rule *r, const struct act *t, size_t l)
{
    bool above = (int)l > t->level;
    return r->rule->mode == RULE_HOLD || r->on[l].timed || (!above && r->off[l].timed);
}

/* A state that is held counts only while the device is heard of: until then, engine ns. */
static uint64_t held_until(const struct whom *w, const struct plan_rule *r, const struct act *t,
                           size_t l)
{
    if (r->rule->mode != RULE_HOLD || r->on[l].timed || r->on[l].n_counts ||
        by_others(r, t->level, l))
        return NEVER;
    return w->dev->alive_ns + fresh_ns(r->rule, w->device);
}

static bool is_frozen(const struct moment *m, const struct whom *w, const struct plan_rule *r,
                      const struct act *t, size_t l)
{
    return !m->from && m->engine_ns > held_until(w, r, t, l);
}

/* On the axis of the level's delay; no later than we could hear. */
static uint64_t delay_now(const struct moment *m, const struct act *t, const struct verdict *v,
                          size_t l)
{
    uint64_t now = m->engine_ns;
    if (m->from)
        return m->order_ns;
    if (v->deaf[l] && v->ours.from_ns < now)
        now = v->ours.from_ns;
    return now > t->lag_ns ? now - t->lag_ns : 0;
}

/* Nobody knows what it was meanwhile, even if it is the same afterwards. What has not begun begins when
 * the device is heard of. */
static void pause(struct delay *d, const struct moment *m, uint64_t now, uint64_t until,
                  uint64_t lag)
{
    uint64_t seen = until > lag ? until - lag : 0;
    if (d->run == DELAY_RUNS)
        credit(d, seen < now ? seen : now, UINT64_MAX);
    else if (d->run == DELAY_IDLE)
        *d = (struct delay){.start_ms = m->stamp_ms};
    d->run = DELAY_PAUSED;
}

/* Its device was silent, and is heard of again without a word of the state itself: what it kept, with
 * its times, may be on its way, and has a moment before the clock runs on from here. */
static bool resumes(const struct moment *m, const struct whom *w, const struct plan_rule *r,
                    const struct act *t, size_t l)
{
    return !m->from && t->delays[l].run == DELAY_PAUSED && held_until(w, r, t, l) != NEVER &&
           !is_frozen(m, w, r, t, l);
}

static uint64_t resume_at(const struct moment *m, const struct whom *w,
                          const struct plan_rule *r, uint64_t before)
{
    uint64_t half = fresh_ns(r->rule, w->device) / 2;
    uint64_t at = m->engine_ns + (half < SETTLE_NS ? half : SETTLE_NS);
    return before > m->engine_ns && before < at ? before : at;
}

/* What a held level says changes with what its device says, and by nothing else. */
static bool changes_by_words(const struct plan_rule *r, size_t l)
{
    const struct plan_expr *on = &r->on[l], *off = &r->off[l];
    return r->rule->mode == RULE_HOLD && !r->cross &&
           !(on->timed || on->windows || on->n_counts) &&
           !(off->timed || off->windows || off->n_counts);
}

/* Time counts from one of its samples to the next, and there is none now. */
static bool stands(const struct moment *m, const struct plan_rule *r, const struct act *t,
                   size_t l)
{
    const struct plan_expr *on = &r->on[l], *off = &r->off[l];
    return !m->from && r->rule->mode == RULE_SAMPLES &&
           !(on->timed || on->windows || off->timed || off->windows) &&
           !by_others(r, t->level, l);
}

/* Does one wait for its moment? */
static bool delays(const struct moment *m, const struct whom *w, const struct plan_rule *r,
                   struct act *t, const struct verdict *v)
{
    bool resuming = false;
    uint64_t gap = max_gap_ns(r->rule, w->device);
    t->waits = r->rule->mode == RULE_HOLD && v->old;
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        struct delay *d = &t->delays[l];
        uint64_t now = delay_now(m, t, v, l);
        bool above = (int)l > t->level;
        enum expr_truth is = above ? v->on[l] : v->over[l];
        t->waits |= !above && v->mute[l];
        bool danger = !above && endangers(r->rule, w->device, t);
        if (danger && !m->from && d->run == DELAY_IDLE && !by_others(r, t->level, l) &&
            (changes_by_words(r, l) || stands(m, r, t, l))) {
            continue; /* else a reload that moved a limit would end it, once somebody is heard */
        } else if (is_frozen(m, w, r, t, l) && is == EXPR_TRUE) {
            pause(d, m, now, held_until(w, r, t, l), t->lag_ns);
            t->waits = true;
        } else if (is == EXPR_TRUE && resumes(m, w, r, t, l) && m->engine_ns < t->due) {
            t->waits = resuming = true;
        } else if ((danger && m->keeps) || (stands(m, r, t, l) && d->run != DELAY_IDLE &&
                                            ((is == EXPR_TRUE && d->run == DELAY_RUNS) ||
                                             (above && is == EXPR_FALSE && d->misses & 1)))) {
            continue;
        } else if (above && is == EXPR_FALSE && m->from && tolerated(d, r->rule)) {
            continue;
        } else {
            if (above && is == EXPR_TRUE && m->from)
                d->misses <<= 1;
            bool held = m->from && held_until(w, r, t, l) != NEVER;
            uint64_t from = m->from && d->run == DELAY_IDLE ? m->engine_ns - t->lag_ns : now;
            step(d, is, from, m->stamp_ms,
                 held               ? fresh_ns(r->rule, w->device)
                 : by_time(r, t, l) ? UINT64_MAX
                                    : gap);
        }
    }
    if (t->waits)
        w->dev->flags |= DEV_WAITS;
    return resuming;
}

static void raise_to(struct act *t, int level)
{
    uint64_t longest = 0;
    if (t->level < 0) {
        t->peak = (int8_t)level;
        t->since_ms = INT64_MAX;
        for (size_t l = 0; l < RULE_MAX_LEVELS; l++) {
            const struct delay *d = &t->delays[l];
            if (d->run != DELAY_IDLE && d->start_ms < t->since_ms)
                t->since_ms = d->start_ms;
            if (d->run != DELAY_IDLE && d->done_ns > longest)
                longest = d->done_ns;
        }
        t->since_ns = t->eval_ns > longest ? t->eval_ns - longest : 0;
    }
    t->level = (int8_t)level;
    t->peak = t->peak < level ? (int8_t)level : t->peak;
    for (int l = 0; l <= level; l++)
        t->delays[l] = (struct delay){0};
}

static void lower_to(struct act *t, int level)
{
    for (int l = level + 1; l <= t->level; l++)
        t->delays[l] = (struct delay){0};
    t->level = (int8_t)level;
}

static void move(const struct moment *m, const struct plan_rule *r, struct act *t,
                 const struct verdict *v)
{
    int n = (int)r->rule->n_levels, from = t->level, l;
    for (l = n - 1; l > t->level; l--)
        if (v->on[l] == EXPR_TRUE && t->delays[l].run == DELAY_RUNS &&
            t->delays[l].done_ns >= r->levels[l].for_ns) {
            raise_to(t, l);
            break;
        }
    /* Down, one at a time: it stops at the first whose end is not met. */
    if (t->level == from && from >= 0) {
        for (l = from; l >= 0 && t->delays[l].run == DELAY_RUNS &&
                       t->delays[l].done_ns >= r->levels[l].off_for_ns;)
            l--;
        lower_to(t, l);
    }
    if (t->level != from) {
        t->changed_ms = m->stamp_ms;
        t->late = t->old_news;
    }
}

/* Out of force: nothing begins, and what is on may be over by that alone, unless it endangers
 * life. */
static const char *close_schedule(const struct whom *w, const struct plan_rule *r,
                                  struct act *t)
{
    for (int l = t->level + 1; l < (int)r->rule->n_levels; l++)
        t->delays[l] = (struct delay){0};
    if (!r->rule->resolve_on_close || t->level < 0 || endangers(r->rule, w->device, t))
        return NULL;
    lower_to(t, -1);
    return "schedule";
}

static void wait_for(struct alarm *a, const struct moment *m, const struct whom *w,
                     const struct plan_rule *r, struct act *t, const struct verdict *v,
                     bool resuming, struct expr_env *env)
{
    t->due = resuming ? resume_at(m, w, r, t->due) : NEVER;
    t->wake_ns = v->ours.to_ns ? v->ours.to_ns : NEVER;
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        const struct delay *d = &t->delays[l];
        uint64_t whole = (int)l > t->level ? r->levels[l].for_ns : r->levels[l].off_for_ns;
        if (d->run != DELAY_RUNS || d->done_ns >= whole || is_frozen(m, w, r, t, l) ||
            !by_time(r, t, l))
            continue;
        uint64_t now = delay_now(m, t, v, l);
        uint64_t since = now > d->last_ns ? now - d->last_ns : 0, left = whole - d->done_ns;
        uint64_t ahead = !m->from && !v->deaf[l] && d->last_ns > now ? d->last_ns - now : 0;
        uint64_t due = m->engine_ns + (left > since ? left - since : 0) + ahead;
        uint64_t until = held_until(w, r, t, l);
        if (m->from && until != NEVER) /* a word counts as long as a sign of life */
            until = m->engine_ns + fresh_ns(r->rule, w->device);
        if (until < due) /* then it is paused */
            due = until < m->engine_ns ? m->engine_ns + 1 : until + 1;
        t->due = due < t->due ? due : t->due;
    }
    for (size_t i = 0; r->keeps && i < r->rule->n_levels * 2; i++) {
        const struct plan_expr *x = i & 1 ? &r->off[i / 2] : &r->on[i / 2];
        if (!x->x || (!x->timed && !x->windows))
            continue;
        eval_aim(a, w, x, false, env);
        uint64_t wake = expr_wake_ns(x->x, act_windows(t, i / 2, i & 1), env);
        if (wake != NEVER && wake < m->engine_ns + MS_NS)
            wake = m->engine_ns + MS_NS;
        t->wake_ns = wake < t->wake_ns ? wake : t->wake_ns;
    }
}

/* It was broken, and what is said now is something else. */
static bool is_still_bad(const struct moment *m, const struct whom *w,
                         const struct plan_rule *r, const struct act *t)
{
    if (t->quality != ALARM_BAD || r->cross)
        return false;
    for (unsigned i = 0; i < w->plan->n_slots; i++)
        if (r->mask & ~m->carried & UINT64_C(1) << i && w->series->last[i].at_ns &&
            isnan(w->series->last[i].v))
            return true;
    return false;
}

enum expr_truth eval_level(struct alarm *a, const struct moment *m, const struct whom *w,
                           const struct plan_rule *r, const struct act *t)
{
    struct expr_env env;
    eval_env(a, w, r->rule, m->engine_ns, m->wall_ms, &env);
    return ask(a, w, &r->on[t->level], false, act_windows(t, (size_t)t->level, false), &env);
}

/* What is held is counted while nothing is said: its clocks go on from where they are, however old the
 * word is. */
static uint64_t lag_of(const struct moment *m, const struct plan_rule *r, const struct act *t)
{
    uint64_t to = m->order_ns;
    for (size_t l = 0; r->rule->mode == RULE_HOLD && l < r->rule->n_levels; l++)
        if (t->delays[l].run != DELAY_IDLE && t->delays[l].last_ns > to)
            to = t->delays[l].last_ns;
    return m->engine_ns > to ? m->engine_ns - to : 0;
}

static void run(struct alarm *a, const struct moment *m, const struct whom *w,
                const struct plan_rule *r, struct act *t, struct expr_env *env)
{
    struct verdict v;
    int before = act_state(t);
    const char *reason = NULL;
    if (m->from) {
        t->lag_ns = lag_of(m, r, t);
        t->old_news = m->late;
        for (size_t i = 0; t->windows && !m->displaced && i < r->rule->n_levels * 2; i++)
            eval_feed(i & 1 ? &r->off[i / 2] : &r->on[i / 2], t->windows[i], w, m);
        if ((m->bad | m->carried) & r->mask)
            t->quality = m->bad & r->mask || is_still_bad(m, w, r, t) ? ALARM_BAD : ALARM_GOOD;
    }
    t->eval_ns = env->now_ns;
    judge(a, m, w, r, t, env, &v);
    bool resuming = delays(m, w, r, t, &v);
    move(m, r, t, &v);
    if (!a->g.rules[r->rule->index].in_force && (reason = close_schedule(w, r, t)))
        t->changed_ms = m->stamp_ms;
    wait_for(a, m, w, r, t, &v, resuming, env);
    tell(a, m, w, r, t, before, reason);
    tell_quality(a, m, w, r, t);
    act_settle(a, w, r, t);
}

void alarm_eval(struct alarm *a, const struct moment *m, const struct whom *w, unsigned pos)
{
    const struct seat *seat = &seats_of(w->plan, w->series)[pos];
    const struct plan_rule *r = &w->plan->rules[pos];
    struct act *t = seat->act ? act_at(a, seat->act) : NULL;
    struct expr_env env;
    uint64_t now = m->from ? m->order_ns : m->engine_ns;
    if (!(seat->flags & SEAT_LEVELS))
        return;
    if (t && t->eval_ns > now)
        now = t->eval_ns;
    a->stats.evaluations++;
    eval_env(a, w, r->rule, now, m->wall_ms, &env);
    if (!t && !r->keeps && !any_true(a, m, w, r, &env))
        return;
    if (!t)
        t = act_new(a, w, pos);
    run(a, m, w, r, t, &env);
}

/* Nothing goes on and nothing begins: that is most of what is said, so it costs no more than its
 * comparisons. */
static bool is_quiet(struct alarm *a, const struct plan_rule *r, const struct expr_env *env)
{
    if (!a->g.rules[r->rule->index].in_force)
        return true;
    for (size_t l = 0; l < r->rule->n_levels; l++) {
        enum expr_truth t = expr_eval(r->on[l].x, NULL, env);
        if (t == EXPR_FALSE)
            continue;
        if (decided(t, r->rule->unknown) == EXPR_TRUE)
            return false;
        a->stats.unknown++;
    }
    return true;
}

void eval_said(struct alarm *a, const struct moment *m, struct whom *w, bool urgent)
{
    struct series *said = w->series;
    const struct seat *seats = seats_of(w->plan, said);
    uint64_t touched = m->carried | m->bad;
    struct expr_env env;
    bool ready = false;
    for (unsigned i = 0; i < w->plan->n_rules; i++) {
        const struct glance *g = &w->plan->glances[i];
        if (!(g->mask & touched))
            continue;
        bool may_rest = !seats[i].act && seats[i].flags & SEAT_LEVELS;
        double v = said->last[g->slot].v;
        if (may_rest && !urgent && v >= g->lo && v <= g->hi) {
            a->stats.evaluations++;
            continue;
        }
        const struct plan_rule *r = &w->plan->rules[i];
        if (urgent && !is_urgent(r->rule, w->device))
            continue;
        if (may_rest && r->plain) {
            if (!ready)
                eval_env(a, w, NULL, m->order_ns, m->wall_ms, &env);
            ready = true;
            if (is_quiet(a, r, &env)) {
                a->stats.evaluations++;
                continue;
            }
        }
        w->series = r->cross ? w->dev->series : said;
        alarm_eval(a, m, w, i);
        w->series = said; /* what the next rules look at */
    }
}
