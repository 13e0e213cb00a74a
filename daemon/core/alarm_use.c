/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one generation to the next. What follows rule (by id), device and point goes on; with the
 * same hash as if nothing had happened, with another one it is looked at again. What has no
 * place any more is told as removed, by the generation that knew it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/alarm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct change {
    struct alarm *a;
    struct gen *next;
    const struct world *before, *now;
    struct moment m;
};

static void carry_windows(struct act *t, const struct plan_rule *from,
                          const struct plan_rule *to, bool same)
{
    size_t n = to->rule->n_levels * 2, had = from->rule->n_levels * 2;
    struct expr_state **old = t->windows;
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= (i & 1 ? &to->off[i / 2] : &to->on[i / 2])->windows;
    t->windows = any ? mem_zalloc_array(n, sizeof(*t->windows)) : NULL;
    for (size_t i = 0; any && i < n; i++) {
        const struct plan_expr *x = i & 1 ? &to->off[i / 2] : &to->on[i / 2];
        const struct plan_expr *was = i & 1 ? &from->off[i / 2] : &from->on[i / 2];
        if (x->windows) /* the same condition may be written in another order */
            t->windows[i] = same && old && i < had ? expr_state_carry(was->x, old[i], x->x)
                                                   : expr_state_new(x->x);
    }
    for (size_t i = 0; old && i < had; i++)
        expr_state_free(old[i]);
    free(old);
}

/* The level of a changed rule that a level of the old one becomes. */
static int level_after(const struct plan_rule *from, const struct plan_rule *to, int level)
{
    int best = 0;
    if (level < 0 || to->rule->n_levels == 0)
        return level < 0 ? level : -1;
    for (int l = 0; l < (int)to->rule->n_levels; l++)
        if (to->levels[l].severity <= from->levels[level].severity)
            best = l;
    return best;
}

static void change_rule(const struct plan_rule *from, const struct plan_rule *to, struct act *t)
{
    int told = t->told >= 0 ? level_after(from, to, t->told) : -1;
    t->retell |= told >= 0 && to->levels[told].severity != from->levels[t->told].severity;
    t->raised = told >= 0 && to->levels[told].severity > from->levels[t->told].severity;
    t->level = (int8_t)level_after(from, to, t->level);
    t->told = told >= 0 ? (int8_t)told : t->told;
    t->peak = t->level;
    t->silent = t->silent && tells_silence(to->rule);
    for (size_t l = 0; l < RULE_MAX_LEVELS; l++)
        t->delays[l] = (struct delay){0};
    t->waits = false;
}

static void drop(struct change *c, const struct whom *w, unsigned pos, const char *reason)
{
    struct act *t = act_at(c->a, seats_of(w->plan, w->series)[pos].act);
    tell_removed(c->a, &c->m, w, &w->plan->rules[pos], t, reason);
    act_free(c->a, t);
}

static bool has_place(const struct act *t, const struct plan_rule *to, const struct seat *seat)
{
    if (t->level >= 0 || t->told >= 0)
        return seat->flags & SEAT_LEVELS;
    if (t->silent)
        return seat->flags & SEAT_SILENCE && tells_silence(to->rule);
    return seat->flags;
}

/* Its point is none of the rule's any more: what is left of it is about silence. */
static void forget_levels(struct act *t)
{
    t->peak = -1;
    t->waits = false;
    t->due = t->wake_ns = NEVER;
    for (size_t l = 0; l < RULE_MAX_LEVELS; l++)
        t->delays[l] = (struct delay){0};
}

static void move_act(struct change *c, const struct whom *old, unsigned pos, struct whom *now,
                     unsigned to)
{
    struct seat *from = &seats_of(old->plan, old->series)[pos];
    struct seat *seat = &seats_of(now->plan, now->series)[to];
    const struct plan_rule *r = &old->plan->rules[pos], *n = &now->plan->rules[to];
    struct act *t = act_at(c->a, from->act);
    bool same = r->rule->hash == n->rule->hash;
    if (seat->act || !has_place(t, n, seat)) {
        drop(c, old, pos, world_serves(c->now, now->device) ? "not_concerned" : "other_lane");
        return;
    }
    if (!same && t->flap)
        tell_settled(c->a, &c->m, old, r, t);
    if (!old->series->point != !now->series->point)
        tell_moved(c->a, &c->m, old, r, t, now->series->point ? now->series->point : "");
    if (!same)
        change_rule(r, n, t);
    if (!(seat->flags & SEAT_LEVELS))
        forget_levels(t);
    carry_windows(t, r, n, same);
    seat->act = from->act;
    from->act = 0;
    t->device = now->device->index;
    t->ordinal = now->series->ordinal;
    t->pos = (uint16_t)to;
}

/* Not what is about silence, nor what reads several points: that is the device's own. */
static bool goes_along(const struct plan_rule *r, const struct act *t)
{
    return !r->cross && (t->level >= 0 || (!t->silent && t->told != STATE_SILENT));
}

/* there: where it goes that was said at the device's own until now; NULL: that goes nowhere. */
static void move_seats(struct change *c, const struct whom *old, struct whom *now,
                       struct whom *there)
{
    for (unsigned i = 0; i < old->plan->n_rules; i++) {
        struct seat *seat = &seats_of(old->plan, old->series)[i];
        const struct rule *r = old->plan->rules[i].rule;
        const struct rule *n = rules_find(c->now->rules, r->id, strlen(r->id));
        unsigned to = n ? plan_find(now->plan, n) : UINT32_MAX;
        if (seat->act && to == UINT32_MAX)
            drop(c, old, i, n ? "not_concerned" : "rule_removed");
        if (to == UINT32_MAX)
            continue;
        struct seat *next = &seats_of(now->plan, now->series)[to];
        if (seat->flags & SEAT_SILENT && next->flags & SEAT_SILENCE) {
            next->flags |= SEAT_SILENT;
            now->dev->flags |= DEV_SILENT;
            now->dev->flags |= tells_silence(n) ? DEV_MISSED : 0;
        }
        if (!seat->act)
            continue;
        bool goes = there && goes_along(&now->plan->rules[to], act_at(c->a, seat->act));
        move_act(c, old, i, goes ? there : now, to);
    }
}

/* A device that moved, or became this lane's: what it said before is looked at by the rules that concern
 * it now and did not before. */
static void note_newcomer(struct change *c, const struct whom *old, const struct whom *now)
{
    const struct seat *seats = seats_of(now->plan, now->series);
    for (size_t i = 0; i < now->plan->n_rules; i++) {
        const struct rule *n = now->plan->rules[i].rule;
        const struct rule *r = rules_find(c->before->rules, n->id, strlen(n->id));
        unsigned pos = r ? plan_find(old->plan, r) : UINT32_MAX;
        if (r && seats[i].flags & SEAT_LEVELS &&
            (pos == UINT32_MAX || !(seats_of(old->plan, old->series)[pos].flags & SEAT_LEVELS)))
            c->next->rules[n->index].newcomers = true;
    }
}

static double param_of(const struct world *w, const struct device *d,
                       const struct expr_param *p)
{
    double v = p->has_default ? p->def : (double)NAN;
    (void)registry_param(w->registry, d, p->name, &v);
    return v;
}

/* What was said is looked at by the values of now. Defaults are the rule's: with others it is a changed one. */
static void note_params(struct change *c, const struct device *was, const struct device *is)
{
    const struct plan *plan = gen_plan(c->next, is);
    if (registry_same_params(c->before->registry, was, c->now->registry, is))
        return;
    for (size_t i = 0; i < plan->n_rules; i++) {
        const struct rule *r = plan->rules[i].rule;
        struct rule_state *s = &c->next->rules[r->index];
        for (size_t k = 0; k < r->n_params && !s->params; k++) {
            double a = param_of(c->before, was, &r->params[k]);
            double b = param_of(c->now, is, &r->params[k]);
            s->params = a != b && !(isnan(a) && isnan(b));
        }
    }
}

/* Whether other rules may concern it now, although none of them changed. */
static bool is_elsewhere(const struct change *c, const struct device *was,
                         const struct device *is)
{
    const struct compound *from = registry_compound_now(c->before->registry, was->compound);
    const struct compound *to = registry_compound_now(c->now->registry, is->compound);
    return strcmp(from->code, to->code) != 0 || strcmp(from->firm, to->firm) != 0 ||
           strcmp(from->tier, to->tier) != 0 ||
           strcmp(was->point ? was->point : "", is->point ? is->point : "") != 0 ||
           world_serves(c->before, was) != world_serves(c->now, is);
}

static void move_values(const struct whom *old, struct whom *now)
{
    struct series *from = old->series, *to = now->series;
    to->newest_ns = from->newest_ns;
    to->gap_ns = from->gap_ns;
    to->gap_to = from->gap_to;
    for (unsigned i = 0; i < old->plan->n_slots; i++)
        for (unsigned k = 0; k < now->plan->n_slots; k++)
            if (strcmp(old->plan->metrics[i]->name, now->plan->metrics[k]->name) == 0) {
                to->last[k] = from->last[i];
                to->unread |= (from->unread >> i & 1) << k;
            }
    for (size_t i = 0; i < old->plan->n_conds; i++)
        for (size_t k = 0; k < now->plan->n_conds; k++)
            if (old->plan->conds[i].hash == now->plan->conds[k].hash)
                to->truth |= (from->truth >> i & 1) << k;
}

static void drop_device(struct change *c, struct whom *old, const char *reason)
{
    for (old->series = old->dev->series; old->series; old->series = old->series->next)
        for (unsigned i = 0; i < old->plan->n_rules; i++)
            if (seats_of(old->plan, old->series)[i].act)
                drop(c, old, i, reason);
}

/* Nothing is left that concerns it: its rules went, or it did. */
static void drop_series(struct change *c, const struct whom *old)
{
    for (unsigned i = 0; i < old->plan->n_rules; i++) {
        const char *id = old->plan->rules[i].rule->id;
        bool there = rules_find(c->now->rules, id, strlen(id)) != NULL;
        if (seats_of(old->plan, old->series)[i].act)
            drop(c, old, i, there ? "not_concerned" : "rule_removed");
    }
}

/* -- a further point that is the device's own now --------------------------------------------- */

/* What ends for the other's sake: what nobody was told of, or else what goes on at the point; of two that
 * nobody knows of, what is about older values. */
static bool is_lesser(const struct act *own, const struct act *other, bool newer)
{
    int known = (own->told != STATE_NORMAL) * 2 + (act_state(own) != STATE_NORMAL);
    int others = (other->told != STATE_NORMAL) * 2 + (act_state(other) != STATE_NORMAL);
    return known + others == 0 ? newer : others > known && own->told == STATE_NORMAL;
}

/* What is graver than both may be on its way at either: the longer clock goes on. Where what is known now is
 * something else, the first look ends it. */
static void join_clocks(struct act *t, const struct act *other)
{
    for (int l = 0; l <= other->level; l++)
        t->delays[l] = (struct delay){0};
    for (int l = (t->level > other->level ? t->level : other->level) + 1; l < RULE_MAX_LEVELS;
         l++) {
        struct delay *d = &t->delays[l];
        const struct delay *o = &other->delays[l];
        if (o->run == DELAY_IDLE || (d->run != DELAY_IDLE && d->done_ns >= o->done_ns))
            continue;
        *d = *o;
        t->lag_ns = other->lag_ns;
    }
    t->due = other->due < t->due ? other->due : t->due;
    t->wake_ns = other->wake_ns < t->wake_ns ? other->wake_ns : t->wake_ns;
    t->waits |= other->waits;
}

/* Of two alarms that are one from now on: no less grave than either, and over when it is seen to be. */
static void join(struct act *t, const struct act *other)
{
    t->urgent |= other->urgent;
    t->silent |= other->silent;
    join_clocks(t, other);
    if (other->level <= t->level)
        return;
    if (t->level < 0) {
        t->since_ms = other->since_ms;
        t->since_ns = other->since_ns;
    }
    t->level = other->level;
    t->peak = t->peak < t->level ? t->level : t->peak;
    t->changed_ms = other->changed_ms;
    t->quality = other->quality;
    t->late = other->late;
    t->inhibited = false;
    t->held = t->told == STATE_NORMAL || other->told == STATE_NORMAL;
    if (t->held) /* told when it has caught up, although it flaps */
        return;
    if (t->flap && t->flap->worst < t->level)
        t->flap->worst = t->level;
    t->told = t->level;
    t->retell = true;
}

/* Of each rule one goes on, with the windows of whose values go on; leaves: but what is about silence goes
 * away from the own. */
static void join_acts(struct change *c, const struct whom *own, const struct whom *further,
                      const struct device *d, bool leaves)
{
    const struct plan *next = gen_plan(c->next, d);
    bool newer = leaves || further->series->newest_ns >= own->series->newest_ns;
    for (unsigned i = 0; i < own->plan->n_rules; i++) {
        const char *id = own->plan->rules[i].rule->id;
        const struct rule *n = rules_find(c->now->rules, id, strlen(id));
        unsigned to = n ? plan_find(next, n) : UINT32_MAX;
        uint32_t one = seats_of(own->plan, own->series)[i].act;
        uint32_t two = seats_of(further->plan, further->series)[i].act;
        if (!one || !two || to == UINT32_MAX ||
            (leaves && goes_along(&next->rules[to], act_at(c->a, one))))
            continue;
        struct act *t = act_at(c->a, one), *other = act_at(c->a, two);
        bool lesser = is_lesser(t, other, newer);
        join(lesser ? other : t, lesser ? t : other);
        if (lesser != newer) {
            struct expr_state **windows = t->windows;
            t->windows = other->windows;
            other->windows = windows;
        }
        drop(c, lesser ? own : further, i, "joined");
    }
}

static bool becomes_own(const struct change *c, const struct series *s, const struct device *d)
{
    return s->point && d->point && strcmp(s->point, d->point) == 0 && world_serves(c->now, d);
}

/* The own point has another name now, and what was said there was said by its name: so it is said at a
 * further point from now on, if it can have one more. Of who says no names nothing but the place changes. */
static bool leaves_own(const struct change *c, const struct whom *old, const struct device *d)
{
    const char *was = old->device->point, *is = d->point ? d->point : "";
    unsigned n = 0;
    for (const struct series *s = old->dev->series; s; s = s->next)
        n++;
    return n > 0 && n < MAX_POINTS && old->dev->flags & DEV_NAMED && was && *was &&
           strcmp(was, is) != 0 && world_serves(c->now, d) &&
           !gen_series(&c->a->g, old->device, was, false);
}

static void join_own(struct change *c, const struct whom *old, const struct device *d,
                     bool leaves)
{
    struct whom own = *old, further = *old;
    own.series = old->dev->series;
    for (struct series *s = own.series; s; s = s->next)
        if (becomes_own(c, s, d)) {
            further.series = s;
            join_acts(c, &own, &further, d, leaves);
        }
}

/* What reads several points is known of the device as a whole. */
static uint64_t cross_of(const struct plan *p)
{
    uint64_t mask = 0;
    for (size_t k = 0; k < p->n_conds; k++)
        mask |= (uint64_t)p->conds[k].x.cross << k;
    return mask;
}

/* Of what was said there nothing is known of it: its age counts from now. */
static void begin_again(const struct change *c, const struct whom *there, struct whom *now)
{
    for (unsigned k = 0; k < now->plan->n_slots; k++)
        if (there->series->last[k].at_ns)
            now->series->last[k].at_ns = c->m.engine_ns;
}

static void leave_own(struct change *c, const struct whom *old, struct whom *now)
{
    struct whom there = *now;
    there.series = gen_series(c->next, now->device, old->device->point, true);
    ASSERT(there.series); /* its first further one */
    move_values(old, &there);
    begin_again(c, &there, now);
    note_newcomer(c, old, &there);
    now->series->truth = there.series->truth & cross_of(now->plan);
    there.series->truth &= ~cross_of(now->plan);
    move_seats(c, old, now, &there);
    late_move(old, &there);
}

/* What goes on there goes on at the device's own, where it will be said from now on. */
static void become_own(struct change *c, const struct whom *old, struct whom *now)
{
    struct series *own = now->series;
    move_seats(c, old, now, NULL);
    late_move(old, now);
    if (old->series->newest_ns < own->newest_ns)
        return; /* what was said without a name is newer */
    uint64_t kept = own->truth & cross_of(now->plan);
    own->truth = own->unread = 0;
    move_values(old, now);
    own->truth |= kept;
    now->dev->flags |= DEV_NAMED;
}

static void move_device(struct change *c, uint32_t index)
{
    struct whom old = gen_whom(&c->a->g, index, 0);
    const struct device *d = world_device_after(c->now, c->before, old.device);
    if (!d || d->retired || strcmp(d->kind->name, old.device->kind->name) != 0) {
        drop_device(c, &old,
                    !d           ? "device_removed"
                    : d->retired ? "device_retired"
                                 : "device_changed");
        return;
    }
    if (c->next->n_devs == 0) {
        drop_device(c, &old, "rule_removed");
        return;
    }
    struct whom now = gen_whom(c->next, d->index, 0);
    bool elsewhere = is_elsewhere(c, old.device, d);
    if (!old.device->retired && world_serves(c->before, old.device)) { /* else it begins now */
        now.dev->alive_ns = old.dev->alive_ns;
        now.dev->since_ns = old.dev->since_ns;
    }
    now.dev->broker = old.dev->broker;
    now.dev->flags = old.dev->flags & (uint8_t) ~(DEV_SILENT | DEV_MISSED);
    if (old.dev->rare) {
        struct rare kept = *old.dev->rare;
        kept.pasts = NULL;
        now.dev->rare = mem_dup(&kept, sizeof(kept));
    }
    note_params(c, old.device, d);
    bool leaves = leaves_own(c, &old, d);
    if (strcmp(old.device->point ? old.device->point : "", d->point ? d->point : "") != 0)
        now.dev->flags &= (uint8_t)~DEV_NAMED; /* where it stays, it is not of that name */
    join_own(c, &old, d, leaves);
    for (old.series = old.dev->series; old.series; old.series = old.series->next) {
        const char *point = old.series->point ? old.series->point : "";
        bool own = becomes_own(c, old.series, d);
        now.series = gen_series(c->next, d, own ? "" : point, true);
        if (!now.series) {
            drop_series(c, &old);
            continue;
        }
        if (own) {
            become_own(c, &old, &now);
            continue;
        }
        if (elsewhere)
            note_newcomer(c, &old, &now);
        if (leaves && !old.series->point) {
            leave_own(c, &old, &now);
            continue;
        }
        move_values(&old, &now);
        move_seats(c, &old, &now, NULL);
        late_move(&old, &now);
    }
    if (!now.dev->series) /* no rule is left that could wait for it */
        now.dev->flags &= (uint8_t) ~(DEV_WAITS | DEV_HEARD);
}

/* Who is silent and becomes an uplink hides at once who is silent behind it. */
static void begin_uplinks(struct gen *g)
{
    for (size_t i = 0; i < g->n_uplinks; i++) {
        struct uplink *u = &g->uplinks[i];
        u->down = g->devs[u->device].flags & DEV_MISSED && u->pos != UINT32_MAX;
    }
}

/* It was found silent itself by a rule that is none any more, and had been blamed by its members before:
 * that goes on until it is looked at again, for nobody has spoken. */
static bool is_blamed_again(const struct change *c, const struct uplink *was,
                            const struct uplink *n)
{
    struct whom w = gen_whom(c->next, n->device, 0);
    if (!was->down || n->pos == UINT32_MAX || !w.series || w.dev->flags & DEV_MISSED)
        return false;
    const struct seat *seat = &seats_of(w.plan, w.series)[n->pos];
    return seat->act && act_at(c->a, seat->act)->silent && !(seat->flags & SEAT_SILENT);
}

static void move_uplinks(struct change *c)
{
    const struct gen *g = &c->a->g;
    begin_uplinks(c->next);
    for (size_t i = 0; i < g->n_uplinks; i++) {
        const struct uplink *u = &g->uplinks[i];
        const struct device *od = registry_device_at(g->world->registry, u->device);
        const struct device *d = world_device_after(c->now, c->before, od);
        if (!d || !c->next->uplink_is || !c->next->uplink_is[d->index])
            continue;
        struct uplink *n = &c->next->uplinks[c->next->uplink_is[d->index] - 1];
        bool told =
            u->by_members ? n->pos != UINT32_MAX : c->next->devs[d->index].flags & DEV_MISSED;
        n->down = u->down && told;
        n->by_members = n->down && u->by_members;
        n->release = u->release;
        n->due = u->due;
        n->queued = u->queued;
        if (!n->down && is_blamed_again(c, u, n)) {
            n->down = n->by_members = true;
            n->due = n->queued = c->m.engine_ns + RECHECK_NS;
        }
    }
}

/* Brokers go by their ids. */
static void move_links(struct change *c)
{
    struct link links[MAX_BROKERS] = {0};
    uint8_t to[256];
    const struct conf *old = c->before->conf, *now = c->now->conf;
    memset(to, NO_BROKER, sizeof(to));
    for (size_t i = 0; i < old->n_brokers && i < MAX_BROKERS; i++)
        for (size_t k = 0; k < now->n_brokers && k < MAX_BROKERS; k++)
            if (strcmp(old->brokers[i].id, now->brokers[k].id) == 0) {
                links[k] = c->a->links[i];
                to[i] = (uint8_t)k;
            }
    memcpy(c->a->links, links, sizeof(links));
    for (size_t i = 0; i < c->next->n_devs; i++)
        c->next->devs[i].broker = to[c->next->devs[i].broker];
}

/* Rules that must be looked at although nobody says anything: new and changed ones, also where only a
 * device's own value of a parameter is another, those that time changes, and those whose schedule was
 * between two states. Of others newcomers are. */
static void sweep_changed(struct change *c, const struct gen *old)
{
    for (unsigned i = 0; i < c->a->g.n_rules; i++) {
        const struct rule *r = rules_at(c->now->rules, i), *o = NULL;
        struct rule_state *s = &c->a->g.rules[i];
        if (c->before)
            o = rules_find(c->before->rules, r->id, strlen(r->id));
        const struct rule_state *was = o ? &old->rules[o->index] : NULL;
        bool swept = was && was->cursor != UINT32_MAX;
        s->graver = r->life_safety && !(o && o->life_safety);
        bool all = s->by_wall || s->params ||
                   (c->before && (!o || o->hash != r->hash || s->counts)) ||
                   (swept && !was->newly);
        due_rule(c->a, i, c->m.engine_ns, c->m.wall_ms);
        if (all || swept || s->newcomers) {
            due_sweep(c->a, i, c->m.engine_ns);
            s->newly = !all;
        }
    }
}

/* It left the device's own point, which is silent still: that is told there. */
static void leave_silence(struct change *c, const struct whom *w, unsigned pos, struct act *t)
{
    struct whom own = *w;
    own.series = w->dev->series;
    t->silent = false;
    silence_again(c->a, &c->m, &own, pos);
}

/* In the order of devices, not of the pool. */
static void settle_device(struct change *c, uint32_t device)
{
    struct whom w = gen_whom(&c->a->g, device, 0);
    for (; w.series; w.series = w.series->next)
        for (size_t i = 0; i < w.plan->n_rules; i++) {
            const struct seat *seat = &seats_of(w.plan, w.series)[i];
            struct act *t = seat->act ? act_at(c->a, seat->act) : NULL;
            if (t && t->silent && w.series != w.dev->series)
                leave_silence(c, &w, (unsigned)i, t);
            if (t)
                tell_graver(c->a, &c->m, &w, &w.plan->rules[i], t);
            if (t && t->retell)
                tell_again(c->a, &c->m, &w, &w.plan->rules[i], t);
            if (w.series == w.dev->series) {
                silence_moved(c->a, &c->m, &w, (unsigned)i);
                t = seat->act ? act_at(c->a, seat->act) : NULL;
            }
            if (t && t->silent) /* it may be behind another uplink now */
                tell_inhibit(c->a, &c->m, &w, &w.plan->rules[i], t,
                             uplink_hides(c->a, device) &&
                                 !endangers(w.plan->rules[i].rule, w.device, t));
            if (t)
                act_settle(c->a, &w, &w.plan->rules[i], t);
        }
}

static const struct plan *plan_before(const struct gen *old, const struct plan *p)
{
    const struct kind *k =
        catalog_kind(old->world->catalog, p->kind->name, strlen(p->kind->name));
    return k ? &old->plans[k->index] : NULL;
}

static void start(struct change *c, const struct gen *old)
{
    struct alarm *a = c->a;
    for (size_t i = 0; c->before && i < a->g.n_plans; i++)
        count_seen(a, &a->g.plans[i], plan_before(old, &a->g.plans[i]), &c->m);
    count_again(a);
    due_rebuild(a);
    sweep_changed(c, old);
    for (uint32_t i = 0; i < a->g.n_devs; i++) {
        silence_arm(a, i);
        settle_device(c, i);
        late_graver(a, i, &c->m);
    }
    a->n_dirty = 0;
    due_clean(a);
}

void alarm_use(struct alarm *a, const struct world *before, const struct world *now,
               uint64_t engine_ns, int64_t wall_ms)
{
    struct gen next, old;
    struct change c = {.a = a,
                       .next = &next,
                       .before = a->g.world,
                       .now = now,
                       .m = {.engine_ns = engine_ns,
                             .order_ns = engine_ns,
                             .wall_ms = wall_ms,
                             .stamp_ms = wall_ms}};
    ASSERT(!a->g.world || !before || before == a->g.world);
    a->now_ns = engine_ns;
    a->wall_off_ms = wall_ms - (int64_t)(engine_ns / MS_NS);
    a->wall_known = true;
    gen_build(&next, now, engine_ns, wall_ms);
    for (uint32_t i = 0; c.before && i < a->g.n_devs; i++)
        move_device(&c, i);
    if (c.before) {
        move_uplinks(&c);
        move_links(&c);
    }
    old = a->g;
    a->g = next;
    start(&c, &old);
    if (old.world)
        gen_done(&old);
}

void alarm_stand(struct alarm *a, const struct world *w, uint64_t engine_ns, int64_t wall_ms)
{
    ASSERT(!a->g.world);
    a->now_ns = engine_ns;
    a->wall_off_ms = wall_ms - (int64_t)(engine_ns / MS_NS);
    a->wall_known = true;
    gen_build(&a->g, w, engine_ns, wall_ms);
    a->bare = true;
}

static void clear(struct alarm *a)
{
    for (uint32_t i = 1; i <= a->n_acts; i++) {
        struct act *t = act_at(a, i);
        if (t->used)
            act_empty(t, &gen_whom(&a->g, t->device, t->ordinal).plan->rules[t->pos]);
    }
    acts_free(a);
    gen_done(&a->g);
    due_clear(a);
    a->n_dirty = 0;
    a->bare = false;
    memset(a->links, 0, sizeof(a->links));
}

void alarm_reset(struct alarm *a, const struct world *w, uint64_t engine_ns, int64_t wall_ms)
{
    clear(a);
    alarm_use(a, NULL, w, engine_ns, wall_ms);
}

void alarm_reset_bare(struct alarm *a, const struct world *w, uint64_t engine_ns,
                      int64_t wall_ms)
{
    clear(a);
    alarm_stand(a, w, engine_ns, wall_ms);
}
