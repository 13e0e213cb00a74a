/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silence: of devices that the registry expects to speak, whether or not they ever did.
 *
 * A sign of life only notes its time; the device's one timer looks whether it has been long
 * enough. While the link to its broker is down nobody is declared silent, and whoever was quiet
 * when it came up has as long as if it had spoken then. Who is silent because its uplink is, is
 * not told; the uplink is blamed when it is silent itself, or most of those behind it are quiet.
 */
#include "core/alarm_private.h"

#define BLAME_MIN 3 /* members that must be quiet … */
#define LOOK_NS                                                                                \
    (5 * 60 * SECOND_NS) /* while the link is down, who is overdue is looked at so often */

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When the silence of that rule's patience ends, if nothing is heard. */
static uint64_t silent_at(const struct alarm *a, const struct whom *w, uint64_t after)
{
    struct link_since l = link_since(a, w->dev);
    uint64_t due = w->dev->alive_ns + after;
    if (l.up_ns)
        due = most(due, l.up_ns + most(after, interval_ns(w->device)));
    return most(due, l.kept_ns);
}

void silence_arm(struct alarm *a, uint32_t device)
{
    struct whom w = gen_whom(&a->g, device, 0);
    uint64_t due = NEVER;
    for (size_t i = 0; w.series && i < w.plan->n_rules; i++) {
        uint8_t flags = seats_of(w.plan, w.series)[i].flags;
        if ((flags & (SEAT_SILENCE | SEAT_SILENT)) != SEAT_SILENCE)
            continue;
        uint64_t after = silence_ns(w.plan->rules[i].rule, w.device);
        uint64_t at = silent_at(a, &w, after);
        if (link_is_cut_off(a, w.dev)) {
            uint64_t wait = most(after, interval_ns(w.device));
            at = most(at, a->now_ns + (wait < LOOK_NS ? wait : LOOK_NS));
        }
        due = at < due ? at : due;
    }
    if (due != NEVER && due <= a->now_ns)
        due = a->now_ns + 1;
    due_set(a, &w.dev->queued, due, device, DUE_SILENCE);
}

static struct act *act_of(struct alarm *a, const struct whom *w, unsigned pos)
{
    const struct seat *seat = &seats_of(w->plan, w->series)[pos];
    return seat->act ? act_at(a, seat->act) : NULL;
}

/* -- uplinks ------------------------------------------------------------------------------ */

static bool is_quiet(const struct alarm *a, uint32_t device, uint64_t engine_ns)
{
    const struct dev *v = &a->g.devs[device];
    const struct device *d = registry_device_at(a->g.world->registry, device);
    uint64_t usual = interval_ns(d) + interval_ns(d) / 2;
    return v->flags & DEV_SILENT || (usual && engine_ns - v->alive_ns > usual);
}

/* Not to be held against who has not had the time to speak since we can hear it. */
static bool could_speak(const struct alarm *a, uint32_t device, uint64_t engine_ns)
{
    const struct dev *v = &a->g.devs[device];
    uint64_t interval = interval_ns(registry_device_at(a->g.world->registry, device));
    struct link_since l = link_since(a, v);
    return v->flags & DEV_SILENT ||
           (engine_ns >= l.kept_ns && engine_ns > l.up_ns + interval + interval / 2);
}

unsigned uplink_silent(const struct alarm *a, uint32_t device)
{
    const struct gen *g = &a->g;
    unsigned n = 0;
    if (!g->uplink_is || !g->uplink_is[device])
        return 0;
    const struct uplink *u = &g->uplinks[g->uplink_is[device] - 1];
    for (uint32_t i = 0; i < u->n; i++)
        n += is_quiet(a, g->members[u->first + i], a->now_ns);
    return n;
}

static const struct uplink *uplink_at(const struct gen *g, uint32_t device)
{
    return g->uplink_is && g->uplink_is[device] ? &g->uplinks[g->uplink_is[device] - 1] : NULL;
}

static void hide_one(struct alarm *a, const struct moment *m, uint32_t device)
{
    struct whom w = gen_whom(&a->g, device, 0);
    const struct uplink *blamed = uplink_at(&a->g, device); /* it may speak itself */
    if (!w.series || !(w.dev->flags & DEV_SILENT || (blamed && blamed->by_members)))
        return;
    bool hides = uplink_hides(a, device);
    for (unsigned p = 0; p < w.plan->n_rules; p++) {
        struct act *t = act_of(a, &w, p);
        if (!t || !t->silent || endangers(w.plan->rules[p].rule, w.device, t))
            continue;
        const struct rule *r = w.plan->rules[p].rule; /* its schedule may be about to end it */
        if (hides || a->g.rules[r->index].in_force || !r->resolve_on_close)
            tell_inhibit(a, m, &w, &w.plan->rules[p], t, hides);
    }
}

/* The members' alarms about silence are told by their uplink, or no longer; and those of who is behind a
 * member, for it hides what is hidden behind it only while it is down itself. */
static void hide_members(struct alarm *a, const struct moment *m, const struct uplink *top)
{
    const struct uplink *path[MAX_UPS] = {top};
    uint32_t next[MAX_UPS] = {0};
    for (unsigned depth = 1; depth > 0;) {
        const struct uplink *u = path[depth - 1];
        if (next[depth - 1] == u->n) {
            depth--;
            continue;
        }
        uint32_t device = a->g.members[u->first + next[depth - 1]++];
        const struct uplink *below = uplink_at(&a->g, device);
        hide_one(a, m, device);
        if (below && depth < MAX_UPS) {
            path[depth] = below;
            next[depth++] = 0;
        }
    }
}

static void set_silent(struct alarm *a, const struct moment *m, const struct whom *w,
                       unsigned pos, bool silent, const char *reason)
{
    const struct plan_rule *r = &w->plan->rules[pos];
    struct act *t = act_of(a, w, pos);
    if (!t && !silent)
        return;
    if (!t)
        t = act_new(a, w, pos);
    int before = act_state(t);
    if (t->silent == silent)
        return;
    t->silent = silent;
    t->changed_ms = m->stamp_ms;
    t->late = false;
    if (before == STATE_NORMAL)
        t->since_ms = m->stamp_ms;
    if (silent)
        t->inhibited = uplink_hides(a, w->device->index) && !endangers(r->rule, w->device, t);
    tell(a, m, w, r, t, before, reason);
    if (!silent && t->level >= 0) /* an uplink hides silence, never a level */
        t->inhibited = false;
    act_settle(a, w, r, t);
    const struct uplink *own = uplink_at(&a->g, w->device->index);
    if (own && own->down) /* a schedule began to tell it, or no longer does */
        hide_members(a, m, own);
}

static void uplink_arm(struct alarm *a, struct uplink *u, uint64_t due)
{
    u->due = due;
    due_set(a, &u->queued, due, u->device, DUE_UPLINK);
}

static void uplink_down(struct alarm *a, const struct moment *m, struct uplink *u,
                        bool by_members)
{
    struct whom w = gen_whom(&a->g, u->device, 0);
    u->down = true;
    u->by_members = by_members;
    u->release = false;
    if (by_members) {
        silence_again(a, m, &w, u->pos);
        uplink_arm(a, u, m->engine_ns + RECHECK_NS);
    }
    hide_members(a, m, u);
}

/* Those that are silent, or will be before they could have spoken, still have an interval to
 * speak before they are told. */
static void uplink_up(struct alarm *a, const struct moment *m, struct uplink *u)
{
    struct whom w = gen_whom(&a->g, u->device, 0);
    uint64_t wait = RECHECK_NS;
    bool told = uplink_tells(a, u);
    u->down = u->by_members = false;
    u->release = told;
    if (!(w.dev->flags & DEV_MISSED) && u->pos != UINT32_MAX)
        set_silent(a, m, &w, u->pos, false, NULL);
    for (uint32_t i = 0; i < u->n; i++)
        wait = most(wait, interval_ns(registry_device_at(a->g.world->registry,
                                                         a->g.members[u->first + i])));
    if (told)
        uplink_arm(a, u, m->engine_ns + wait);
    else
        hide_members(a, m, u); /* who was hidden when somebody still was told */
}

/* Fewer are enough for a blame to go on than to begin. Of an uplink that was silent itself and is heard
 * again no blame goes on: who of its members is silent for other reasons would keep it silent for ever. */
static bool is_blamed(const struct uplink *u, unsigned quiet)
{
    if (u->pos == UINT32_MAX)
        return false;
    return u->by_members ? quiet * 2 >= u->n : quiet >= BLAME_MIN && quiet * 5 >= u->n * 4;
}

static void uplink_look(struct alarm *a, const struct moment *m, struct uplink *u)
{
    bool itself = a->g.devs[u->device].flags & DEV_MISSED;
    unsigned quiet = 0;
    if (u->down && itself && !u->by_members)
        return;
    for (uint32_t i = 0; i < u->n && !itself; i++) {
        uint32_t member = a->g.members[u->first + i];
        quiet += is_quiet(a, member, m->engine_ns) &&
                 (u->by_members || could_speak(a, member, m->engine_ns));
    }
    if (itself || is_blamed(u, quiet)) {
        if (!u->down || u->by_members == itself)
            uplink_down(a, m, u, !itself);
    } else if (u->down) {
        uplink_up(a, m, u);
    }
}

/* Before a member, or the uplink itself, is declared silent, or when it speaks again. */
static void look_around(struct alarm *a, const struct moment *m, uint32_t device)
{
    struct gen *g = &a->g;
    if (g->uplink_of && g->uplink_of[device])
        uplink_look(a, m, &g->uplinks[g->uplink_of[device] - 1]);
    if (g->uplink_is && g->uplink_is[device])
        uplink_look(a, m, &g->uplinks[g->uplink_is[device] - 1]);
}

void uplink_due(struct alarm *a, uint32_t device, const struct moment *m)
{
    struct uplink *u = &a->g.uplinks[a->g.uplink_is[device] - 1];
    if (u->due > m->engine_ns) {
        uplink_arm(a, u, u->due);
        return;
    }
    u->due = NEVER;
    bool release = u->release && !u->down;
    u->release = false;
    if (release)
        hide_members(a, m, u);
    if (!u->down)
        return;
    uplink_look(a, m, u);
    if (u->down && u->by_members && u->due == NEVER)
        uplink_arm(a, u, m->engine_ns + RECHECK_NS);
}

bool uplink_is_told(const struct alarm *a, uint32_t device, unsigned pos)
{
    const struct gen *g = &a->g;
    if (!g->uplink_is || !g->uplink_is[device])
        return false;
    const struct uplink *u = &g->uplinks[g->uplink_is[device] - 1];
    return u->by_members && u->pos == pos;
}

/* Blamed by its members in that rule's name, and then found silent itself by another rule: the alarm
 * stays until somebody there speaks. */
static bool is_still_blamed(const struct alarm *a, uint32_t device, unsigned pos)
{
    const struct gen *g = &a->g;
    if (!g->uplink_is || !g->uplink_is[device])
        return false;
    const struct uplink *u = &g->uplinks[g->uplink_is[device] - 1];
    return u->down && u->pos == pos;
}

/* -- beginning and end -------------------------------------------------------------------- */

/* What is active at the device's points is as it was last seen. */
static void age(struct alarm *a, const struct moment *m, struct whom *w, unsigned pos,
                enum alarm_quality quality)
{
    const struct plan_rule *r = &w->plan->rules[pos];
    struct series *own = w->series, *next;
    for (struct series *s = own; s; s = next) {
        next = s->next;
        w->series = s;
        struct act *t = act_of(a, w, pos);
        if (!t)
            continue;
        int before = act_state(t);
        if (t->level >= 0 && quality == ALARM_STALE && r->rule->has_no_data &&
            r->rule->no_data == RULE_SILENCE_CLEAR) {
            t->level = -1;
            for (size_t l = 0; l < RULE_MAX_LEVELS; l++)
                t->delays[l] = (struct delay){0};
            t->changed_ms = m->stamp_ms;
            tell(a, m, w, r, t, before, "no_data");
            act_settle(a, w, r, t);
            continue;
        }
        if (quality == ALARM_STALE || t->quality == ALARM_STALE)
            t->quality = (uint8_t)quality;
        tell_quality(a, m, w, r, t);
    }
    w->series = own;
}

void silence_again(struct alarm *a, const struct moment *m, const struct whom *w, unsigned pos)
{
    const struct rule *r = w->plan->rules[pos].rule;
    bool in_force = a->g.rules[r->index].in_force;
    const struct act *t = act_of(a, w, pos);
    bool silent = seats_of(w->plan, w->series)[pos].flags & SEAT_SILENT ||
                  uplink_is_told(a, w->device->index, pos);
    if (!tells_silence(r))
        return;
    if (silent && in_force)
        set_silent(a, m, w, pos, true, NULL);
    else if (t && t->silent && !silent && !is_still_blamed(a, w->device->index, pos))
        set_silent(a, m, w, pos, false, NULL);
    else if (t && t->silent && !in_force && r->resolve_on_close && !endangers(r, w->device, t))
        set_silent(a, m, w, pos, false, "schedule");
}

/* What is told for its members by another rule now, or by none, and what is told of a patience that it has
 * no more, ends with the reload; of who is silent indeed, or endangers life, when it is heard of. */
void silence_moved(struct alarm *a, const struct moment *m, const struct whom *w, unsigned pos)
{
    struct seat *seat = &seats_of(w->plan, w->series)[pos];
    const struct act *t = act_of(a, w, pos);
    bool told = uplink_is_told(a, w->device->index, pos);
    if (!told && (!t || !t->silent || seat->flags & SEAT_SILENT ||
                  is_still_blamed(a, w->device->index, pos)))
        return;
    if (!told && seat->flags & SEAT_SILENCE &&
        (w->dev->flags & DEV_SILENT || endangers(w->plan->rules[pos].rule, w->device, t))) {
        struct whom own = *w;
        bool indeed = w->dev->flags & DEV_SILENT;
        seat->flags |= SEAT_SILENT;
        w->dev->flags |= DEV_SILENT;
        if (indeed && tells_silence(w->plan->rules[pos].rule) &&
            !(w->dev->flags & DEV_MISSED)) {
            w->dev->flags |= DEV_MISSED;
            look_around(a, m, w->device->index);
        }
        age(a, m, &own, pos, ALARM_STALE);
        return;
    }
    silence_again(a, m, w, pos);
}

void silence_due(struct alarm *a, uint32_t device, const struct moment *m)
{
    struct dev *v = &a->g.devs[device];
    uint64_t due = v->alive_ns + v->patience_s * SECOND_NS;
    if (!(v->flags & (DEV_HEARD | DEV_SILENT)) && v->patience_s && due > m->engine_ns) {
        due_set(a, &v->queued, due, device, DUE_SILENCE); /* most of them: it spoke since */
        return;
    }
    struct whom w = gen_whom(&a->g, device, 0);
    if (w.series && w.dev->flags & DEV_HEARD)
        silence_over(a, m, &w);
    for (unsigned i = 0; w.series && i < w.plan->n_rules; i++) {
        struct seat *seat = &seats_of(w.plan, w.series)[i];
        if ((seat->flags & (SEAT_SILENCE | SEAT_SILENT)) != SEAT_SILENCE ||
            link_is_cut_off(a, w.dev) ||
            silent_at(a, &w, silence_ns(w.plan->rules[i].rule, w.device)) > m->engine_ns)
            continue;
        seat->flags |= SEAT_SILENT;
        w.dev->flags |= DEV_SILENT;
        if (tells_silence(w.plan->rules[i].rule) && !(w.dev->flags & DEV_MISSED)) {
            w.dev->flags |= DEV_MISSED;
            look_around(a, m, device);
        }
        age(a, m, &w, i, ALARM_STALE);
        silence_again(a, m, &w, i);
    }
    silence_arm(a, device);
}

/* It was silent, or something waited for it to be heard of. */
void silence_over(struct alarm *a, const struct moment *m, struct whom *w)
{
    struct series *said = w->series;
    bool waits = w->dev->flags & DEV_WAITS, silent = w->dev->flags & DEV_SILENT;
    bool missed = w->dev->flags & DEV_MISSED;
    w->dev->flags &= (uint8_t) ~(DEV_WAITS | DEV_SILENT | DEV_MISSED);
    w->dev->flags |= DEV_HEARD; /* until all of it says so: what ends now was seen to end */
    w->series = w->dev->series;
    if (missed)
        look_around(a, m, w->device->index);
    w->dev->flags &= (uint8_t)~DEV_HEARD;
    for (unsigned i = 0; silent && i < w->plan->n_rules; i++) {
        struct seat *seat = &seats_of(w->plan, w->series)[i];
        if (!(seat->flags & SEAT_SILENT))
            continue;
        seat->flags &= (uint8_t)~SEAT_SILENT;
        silence_again(a, m, w, i);
        age(a, m, w, i, ALARM_GOOD);
    }
    for (struct series *s = w->dev->series; waits && s; s = s->next)
        for (unsigned i = 0; i < w->plan->n_rules; i++) {
            w->series = s;
            const struct act *t = act_of(a, w, i);
            if (t && t->waits)
                alarm_eval(a, m, w, i);
        }
    w->series = said;
    if (silent)
        silence_arm(a, w->device->index);
}
