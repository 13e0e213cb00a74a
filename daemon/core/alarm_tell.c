/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what an act is to what is told of it. Held back are: what a device says that catches up,
 * until it has settled; the changes of what flaps, but the first and the settled one, and
 * any that is worse than all before. Nothing is held back from life-safety.
 */
#include "base/mem.h"
#include "core/alarm_private.h"

#include <math.h>
#include <stdlib.h>

static const char *point_of(const struct whom *w)
{
    return w->series->point ? w->series->point : "";
}

static bool is_held(const struct whom *w, const struct plan_rule *r, const struct act *t)
{
    return t->flap && t->flap->on && !endangers(r->rule, w->device, t);
}

static enum severity severity_of(const struct plan_rule *r, int state)
{
    if (state >= 0)
        return r->levels[state].severity;
    return state == STATE_SILENT || !r->levels ? r->rule->no_data_severity
                                               : r->levels[0].severity;
}

/* The metric that the level is about, its value now and what it is compared with. */
static void fill_value(struct alarm *a, const struct moment *m, const struct whom *w,
                       const struct plan_rule *r, int level, struct alarm_event *out)
{
    const struct plan_expr *x = &r->on[level];
    struct expr_env env;
    unsigned input = 0;
    out->metric = expr_subject(x->x, &input);
    eval_env(a, w, r->rule, m->engine_ns, m->wall_ms, &env);
    eval_aim(a, w, x, false, &env);
    out->limit = expr_limit(x->x, &env);
    if (out->metric && input < x->n_inputs)
        out->value = env.last[x->cross ? input : x->slots[input]].v;
}

static enum alarm_condition condition_of(const struct act *t, int shown, bool held)
{
    if (shown == STATE_NORMAL) {
        for (size_t l = 0; l < RULE_MAX_LEVELS; l++)
            if (t->delays[l].run != DELAY_IDLE)
                return ALARM_PENDING;
        return ALARM_NORMAL;
    }
    return !held && shown >= 0 && t->delays[shown].run != DELAY_IDLE ? ALARM_RECOVERING
                                                                     : ALARM_ACTIVE;
}

void tell_fill(struct alarm *a, const struct moment *m, const struct whom *w,
               const struct plan_rule *r, const struct act *t, struct alarm_event *out)
{
    bool held = is_held(w, r, t);
    int shown = held ? t->flap->worst : act_state(t);
    int about = shown == STATE_NORMAL ? t->told : shown;
    *out = (struct alarm_event){.rule = r->rule,
                                .device = w->device,
                                .point = point_of(w),
                                .condition = condition_of(t, shown, held),
                                .quality = (enum alarm_quality)t->quality,
                                .no_data = about == STATE_SILENT,
                                .level = shown >= 0 ? shown : -1,
                                .severity = severity_of(r, about),
                                .value = NAN,
                                .limit = NAN,
                                .since_ms = t->since_ms,
                                .time_ms = m->stamp_ms,
                                .engine_ns = m->engine_ns,
                                .wall_ms = m->wall_ms,
                                .late = t->late,
                                .flapping = t->flap && t->flap->on,
                                .inhibited = t->inhibited && about == STATE_SILENT,
                                .life_safety = endangers(r->rule, w->device, t),
                                .members = uplink_silent(a, w->device->index)};
    if (about == STATE_SILENT)
        out->quality = shown == about || w->dev->flags & DEV_SILENT ? ALARM_STALE : ALARM_GOOD;
    else if (r->levels && r->rule->n_levels)
        fill_value(a, m, w, r, about >= 0 ? about : 0, out);
}

/* The device is silent, and says nothing in this step either: nobody has seen that it is good. */
static bool is_unseen(const struct moment *m, const struct whom *w, const struct plan_rule *r)
{
    const struct seat *own = &seats_of(w->plan, w->dev->series)[r - w->plan->rules];
    return own->flags & SEAT_SILENT && !(w->dev->flags & DEV_HEARD) && !m->from;
}

static void emit(struct alarm *a, const struct moment *m, const struct whom *w,
                 const struct plan_rule *r, struct act *t, enum alarm_change change,
                 const char *reason)
{
    struct alarm_event e;
    tell_fill(a, m, w, r, t, &e);
    e.change = change;
    e.reason = reason;
    if (change == ALARM_CLEARED)
        e.condition = ALARM_NORMAL;
    bool ends = change == ALARM_CLEARED || change == ALARM_SETTLED;
    if (ends && (e.condition == ALARM_NORMAL || e.condition == ALARM_PENDING)) {
        if (is_unseen(m, w, r))
            e.quality = ALARM_STALE;
    } else if (e.condition == ALARM_RECOVERING) {
        e.condition = ALARM_ACTIVE; /* it may stay so, and then nothing more is told */
    }
    t->told_quality = t->quality;
    a->stats.events++;
    a->out.event(a->out.ctx, &e);
}

/* One more change; true: with this one it flaps. A value that goes up through several levels does not
 * chatter: what counts is going to and fro. */
static bool note_change(struct act *t, const struct rule *r, uint64_t engine_ns, bool up)
{
    if (!r->damps || r->flap_changes == 0)
        return false;
    if (!t->flap) {
        size_t n = r->flap_changes < 256 ? r->flap_changes : 256;
        t->flap = mem_zalloc(sizeof(*t->flap) + n * sizeof(t->flap->when[0]));
        t->flap->cap = (uint16_t)n;
    }
    struct flap *f = t->flap;
    f->last_ns = engine_ns;
    if (f->n > 0 && f->up == up)
        return false;
    f->up = up;
    f->when[f->at] = engine_ns;
    f->at = (uint16_t)((f->at + 1) % f->cap);
    f->n = f->n < f->cap ? (uint16_t)(f->n + 1) : f->n;
    if (f->on || f->n < f->cap || engine_ns - f->when[f->at] > r->flap_within_ns)
        return false;
    f->on = true;
    return true;
}

static void tell_change(struct alarm *a, const struct moment *m, const struct whom *w,
                        const struct plan_rule *r, struct act *t, const char *reason)
{
    int now = act_state(t);
    enum alarm_change change = t->told == STATE_NORMAL ? ALARM_ACTIVATED
                               : now == STATE_NORMAL   ? ALARM_CLEARED
                                                       : ALARM_LEVEL;
    emit(a, m, w, r, t, change, reason);
    t->told = (int8_t)now;
    if (now == STATE_NORMAL)
        t->inhibited = false;
}

/* While it flaps, only what is worse than all before is told. */
static void tell_worse(struct alarm *a, const struct moment *m, const struct whom *w,
                       const struct plan_rule *r, struct act *t)
{
    int now = act_state(t);
    if (now <= t->flap->worst)
        return;
    t->flap->worst = (int8_t)now;
    emit(a, m, w, r, t, ALARM_LEVEL, NULL);
    t->told = (int8_t)now;
}

static void hold(struct alarm *a, const struct moment *m, const struct whom *w,
                 const struct plan_rule *r, struct act *t, int before)
{
    int now = act_state(t);
    if (now == STATE_NORMAL && t->told == STATE_NORMAL && before >= 0) {
        struct shadow s = {.from_ms = t->since_ms, .last_ms = m->stamp_ms, .level = t->peak};
        tell_episode(a, m, w, r, &s);
    }
    t->held = now != t->told;
}

void tell(struct alarm *a, const struct moment *m, const struct whom *w,
          const struct plan_rule *r, struct act *t, int before, const char *reason)
{
    int now = act_state(t);
    bool urgent = endangers(r->rule, w->device, t), was_on = t->flap && t->flap->on;
    if (w->dev->flags & DEV_CATCHING && !urgent) {
        if (now != before)
            hold(a, m, w, r, t, before);
        return;
    }
    if (now == before && !t->held)
        return;
    t->held = false;
    if (now == t->told && !was_on)
        return;
    bool begins = note_change(t, r->rule, m->engine_ns, now > t->told);
    if (was_on && !urgent) {
        tell_worse(a, m, w, r, t);
        return;
    }
    if (begins) {
        t->flap->on = false;
        t->flap->worst = t->told > now ? t->told : (int8_t)now;
        if (now != STATE_NORMAL || urgent)
            tell_change(a, m, w, r, t, reason);
        t->flap->on = true;
        emit(a, m, w, r, t, ALARM_FLAPPING, NULL);
        return;
    }
    tell_change(a, m, w, r, t, reason);
}

void tell_quality(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t)
{
    bool catching = w->dev->flags & DEV_CATCHING && !endangers(r->rule, w->device, t);
    if (t->told < 0 || act_state(t) < 0 || t->quality == t->told_quality || catching ||
        is_held(w, r, t))
        return;
    emit(a, m, w, r, t, ALARM_QUALITY, NULL);
}

void tell_again(struct alarm *a, const struct moment *m, const struct whom *w,
                const struct plan_rule *r, struct act *t)
{
    bool untrue = t->raised && t->level >= 0 && !endangers(r->rule, w->device, t) &&
                  eval_level(a, m, w, r, t) == EXPR_FALSE;
    t->retell = t->raised = false;
    if (untrue) { /* only graver levels are left, and none is reached */
        int before = act_state(t);
        t->level = -1;
        t->changed_ms = m->stamp_ms;
        tell(a, m, w, r, t, before, "rule_changed");
        return;
    }
    emit(a, m, w, r, t, ALARM_LEVEL, "rule_changed");
}

void tell_graver(struct alarm *a, const struct moment *m, const struct whom *w,
                 const struct plan_rule *r, struct act *t)
{
    if (t->urgent || t->told == STATE_NORMAL || !is_urgent(r->rule, w->device))
        return;
    t->urgent = true;
    t->inhibited = false;
    if (act_state(t) == STATE_NORMAL) /* what it was is told until it has settled */
        return;
    emit(a, m, w, r, t, ALARM_INHIBIT, "rule_changed");
    t->told = (int8_t)act_state(t); /* its chatter holds no worse one any more */
}

void tell_settled(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t)
{
    bool on = t->flap->on;
    free(t->flap);
    t->flap = NULL;
    if (!on)
        return;
    emit(a, m, w, r, t, ALARM_SETTLED, NULL);
    t->told = (int8_t)act_state(t);
    t->held = false;
    if (t->told == STATE_NORMAL)
        t->inhibited = false;
}

void tell_inhibit(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t, bool inhibited)
{
    if (t->inhibited == inhibited)
        return;
    t->inhibited = inhibited;
    if (t->told == STATE_SILENT)
        emit(a, m, w, r, t, ALARM_INHIBIT, NULL);
}

void tell_episode(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, const struct shadow *s)
{
    struct alarm_event e = {.change = ALARM_EPISODE,
                            .rule = r->rule,
                            .device = w->device,
                            .point = point_of(w),
                            .condition = ALARM_NORMAL,
                            .level = s->level,
                            .severity = severity_of(r, s->level),
                            .value = NAN,
                            .limit = NAN,
                            .since_ms = s->from_ms,
                            .time_ms = s->last_ms,
                            .until_ms = s->last_ms,
                            .engine_ns = m->engine_ns,
                            .wall_ms = m->wall_ms,
                            .late = true,
                            .life_safety = is_urgent(r->rule, w->device)};
    e.metric = expr_subject(r->on[s->level].x, &(unsigned){0});
    a->stats.events++;
    a->out.event(a->out.ctx, &e);
}

/* Nothing else of it changes with that: what there is to tell of it besides is told by itself. */
void tell_moved(struct alarm *a, const struct moment *m, const struct whom *w,
                const struct plan_rule *r, const struct act *t, const char *to)
{
    struct alarm_event e;
    if (t->told == STATE_NORMAL)
        return;
    tell_fill(a, m, w, r, t, &e);
    e.change = ALARM_MOVED;
    e.was_point = e.point;
    e.point = to;
    if (e.condition == ALARM_RECOVERING)
        e.condition = ALARM_ACTIVE;
    a->stats.events++;
    a->out.event(a->out.ctx, &e);
}

void tell_removed(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t, const char *reason)
{
    if (t->told == STATE_NORMAL)
        return;
    free(t->flap);
    t->flap = NULL;
    t->level = -1;
    t->silent = false;
    for (size_t l = 0; l < RULE_MAX_LEVELS; l++)
        t->delays[l] = (struct delay){0};
    emit(a, m, w, r, t, ALARM_REMOVED, reason);
    t->told = STATE_NORMAL;
}
