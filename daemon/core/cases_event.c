/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What alarms say, and what becomes of it: cases are opened, recur, rise, clear and end.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "core/cases_private.h"

#include <math.h>
#include <stdlib.h>

/* -- opening --------------------------------------------------------------------------------- */

static void put_base36(char *out, uint64_t v)
{
    char digits[16];
    size_t n = 0;
    do {
        digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % 36];
        v /= 36;
    } while (v > 0);
    while (n > 0)
        *out++ = digits[--n];
    *out = '\0';
}

/* Timers of several engine times may stand at one offset with the same ordinal: the cases opened
 * at an offset are counted, too. */
char *cases_new_id(struct cases *c, const struct position *at)
{
    char offset[16], ordinal[16], n[16];
    if (c->id_offset != at->offset) {
        c->id_offset = at->offset;
        c->id_n = 0;
    }
    put_base36(offset, at->offset);
    put_base36(ordinal, at->ordinal);
    put_base36(n, c->id_n);
    char *id = mem_printf("%s.%s.%s%s%s", c->stream, offset, ordinal, c->id_n ? "." : "",
                          c->id_n ? n : "");
    c->id_n++;
    for (char *s = id; *s; s++)
        if (*s == '/')
            *s = '.';
    return id;
}

/* By its code: within a reload core/alarm speaks of devices of the next generation already, whose compounds have
 * other places there. */
const struct compound *cases_place(const struct cases *c, const struct device *d)
{
    const char *code = d->compound->code;
    const struct compound *k =
        registry_compound_resolve(c->world->registry, code, strlen(code));
    return k ? k : d->compound;
}

static void take_masks(struct case_open *o, const struct alarm_event *ev)
{
    o->masks &= ~(unsigned)(MASK_FLAPPING | MASK_INHIBITED);
    o->masks |= ev->flapping ? (unsigned)MASK_FLAPPING : 0;
    o->masks |= ev->inhibited ? (unsigned)MASK_INHIBITED : 0;
}

static void take_event(struct case_open *o, const struct alarm_event *ev)
{
    bool latches = ev->rule->latch && !o->latch && cases_holds(o); /* since a reload */
    take_masks(o, ev);
    o->r = ev->rule;
    o->d = ev->device;
    o->condition = ev->condition;
    o->quality = ev->quality;
    if (cases_holds(o))
        o->severity = ev->severity;
    o->policy = ev->rule->work;
    o->latch = ev->rule->latch;
    o->no_data = ev->no_data;
    o->late = ev->late;
    o->life_safety = ev->life_safety;
    o->members = ev->members;
    o->value = ev->value;
    o->limit = ev->limit;
    cases_set(&o->metric, ev->metric ? ev->metric->name : NULL);
    if (latches || (o->latch && cases_holds(o)))
        o->latched = true;
}

static struct case_open *new_case(struct cases *c, const struct position *at, const char *rule,
                                  const char *device, const char *point)
{
    struct case_open *o = mem_zalloc(sizeof(*o));
    o->id = cases_new_id(c, at);
    o->rule = mem_strdup(rule);
    o->device = mem_strdup(device);
    o->point = mem_strdup(point);
    o->occurrence = 1;
    o->value = o->limit = NAN;
    cases_stamps_take(c, o, cases_of(c, rule, device, point));
    return o;
}

static void begin_occurrence(struct case_open *o, const struct alarm_event *ev)
{
    o->since_ms = ev->since_ms;
    o->discovered_ms = ev->wall_ms;
    o->cleared_ms = 0;
    case_step_clear(&o->ack);
}

static struct case_open *make_case(struct cases *c, const struct position *at,
                                   const struct alarm_event *ev)
{
    const struct compound *k = cases_place(c, ev->device);
    struct case_open *o = new_case(c, at, ev->rule->id, ev->device->code, ev->point);
    o->firm = mem_strdup(k->firm);
    o->compound = mem_strdup(k->code);
    o->severity = ev->severity;
    o->opened_ms = ev->wall_ms;
    take_event(o, ev);
    begin_occurrence(o, ev);
    /* a record is over already: what its key is shelved for goes on */
    o->masks |= cases_shelf_masks(c, o, ev->change != ALARM_EPISODE);
    o->tested = o->masks & MASK_TEST;
    return o;
}

static void open_case(struct cases *c, const struct position *at, const struct alarm_event *ev,
                      enum case_change change)
{
    if (c->n >= CASES_MAX_OPEN + (ev->life_safety ? CASES_LIFE_ROOM : 0)) {
        c->stats.not_opened++;
        return;
    }
    struct case_open *o = make_case(c, at, ev);
    cases_link(c, o);
    cases_emit(c, o, change, &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason},
               false);
    if (o->masks & MASK_SHELVED)
        cases_reckon_due(c);
}

/* -- events ---------------------------------------------------------------------------------- */

static bool is_resolved(const struct case_open *o)
{
    return o->work == WORK_RESOLVED || o->work == WORK_CONFIRMED || o->work == WORK_FED_BACK;
}

static void back_to_work(struct case_open *o)
{
    if (!is_resolved(o))
        return;
    o->work = WORK_ACCEPTED;
    o->rework++;
}

void cases_again(struct case_open *o)
{
    o->occurrence++;
    case_step_clear(&o->ack);
    back_to_work(o);
}

/* The problem came back while the case is open. */
static void recur(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    cases_again(o);
    take_event(o, ev);
    begin_occurrence(o, ev);
    if (cases_in_test(c, o))
        o->masks |= MASK_TEST;
    cases_emit(c, o, CASE_RECURRED,
               &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, false);
}

static void activated(struct cases *c, const struct position *at, struct case_open *o,
                      const struct alarm_event *ev)
{
    if (o)
        recur(c, o, ev);
    else
        open_case(c, at, ev, CASE_ACTIVATED);
}

static void drop_one_shot(struct cases *c, struct case_open *o)
{
    if (!(o->masks & MASK_SHELVED) || !o->one_shot || cases_holds(o))
        return;
    case_unshelve(o);
    cases_due_renew(c, o);
    cases_reckon_due(c);
}

static void cleared(struct cases *c, struct case_open *o, enum case_change change,
                    const struct alarm_event *ev)
{
    bool hidden = cases_withheld(o), silent = !o->told.any && hidden;
    take_event(o, ev);
    o->cleared_ms = ev->time_ms;
    o->masks &= ~(unsigned)MASK_INHIBITED; /* nothing says later that it is over */
    drop_one_shot(c, o);
    bool closes = cases_done(o) || (silent && !o->latched);
    bool shown = hidden && !cases_withheld(o) && !cases_told_active(o);
    if (shown && o->latched && change == CASE_CLEARED)
        change = CASE_UNMASKED; /* else nobody would hear of what is to be reset */
    if (closes && o->told.any && !cases_told_active(o) && change == CASE_CLEARED)
        change = CASE_CLOSED; /* what clears now nobody was told of */
    cases_emit_end(c, o, change,
                   &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, closes,
                   ev->engine_ns);
}

/* An uplink hides that a device is silent, never what it then says: with the mask, and nobody told of
 * anything, what is no worse than the silence is no better news. Nor is a level as grave as the silence was:
 * what was acknowledged was that nobody knew. */
static void level(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    enum severity before = o->severity;
    bool hidden = cases_withheld(o) && !cases_told_active(o), unknown = o->no_data;
    take_event(o, ev);
    bool raised = o->severity > before, shown = hidden && !cases_withheld(o);
    bool found = unknown && !o->no_data && o->severity == before;
    if (raised || found) /* what was acknowledged was less */
        case_step_clear(&o->ack);
    cases_emit(c, o,
               raised  ? CASE_RAISED
               : shown ? CASE_UNMASKED
               : found ? CASE_RAISED
                       : CASE_LOWERED,
               &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, false);
}

static void quality(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    take_event(o, ev);
    cases_emit(c, o, ev->quality == ALARM_GOOD ? CASE_FRESH : CASE_STALE,
               &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, false);
}

static void flapping(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    take_event(o, ev);
    cases_emit(c, o, CASE_FLAPPING,
               &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, false);
}

static void settled(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    bool held = cases_holds(o);
    if (held && (ev->condition == ALARM_NORMAL || ev->condition == ALARM_PENDING)) {
        cleared(c, o, CASE_SETTLED, ev);
        return;
    }
    take_event(o, ev);
    cases_emit_end(c, o, CASE_SETTLED,
                   &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason},
                   cases_done(o), ev->engine_ns);
}

static void inhibit(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    if (ev->life_safety &&
        !o->life_safety) { /* a reload made it that: what was told was less */
        o->told.facets = 0;
        if (!o->tested)
            o->masks &= ~(unsigned)MASK_TEST;
    }
    take_event(o, ev);
    cases_emit(c, o, ev->inhibited ? CASE_MASKED : CASE_UNMASKED,
               &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, false);
}

/* Nobody looks any more: that is no recovery. A device that became the other lane's keeps its
 * case here until people close it. */
void cases_removed(struct cases *c, struct case_open *o, const char *reason, int64_t wall_ms,
                   uint64_t engine_ns)
{
    bool other_lane = strcmp(reason, "other_lane") == 0;
    enum case_change change = other_lane                            ? CASE_STALE
                              : strcmp(reason, "rule_removed") == 0 ? CASE_RULE_REMOVED
                                                                    : CASE_CLOSED;
    o->quality = ALARM_UNKNOWN;
    o->masks &= ~(unsigned)(MASK_FLAPPING | MASK_INHIBITED); /* nothing says when they end */
    cases_emit_end(c, o, change, &(struct case_cause){.wall_ms = wall_ms, .reason = reason},
                   !other_lane, engine_ns);
}

/* Its alarm goes on as the device's own, whose case (`own`) is for both from now on: it is hidden, a test,
 * acknowledged or resolved only if both were. */
static void join(struct cases *c, const struct case_open *o, struct case_open *own,
                 const struct alarm_event *ev)
{
    uint64_t was = cases_facets(own);
    bool shelved = own->masks & MASK_SHELVED && !(o->masks & MASK_SHELVED);
    if (shelved) {
        case_unshelve(own);
        cases_due_renew(c, own);
        cases_reckon_due(c);
    }
    own->life_safety |= o->life_safety;
    own->masks &= ~(unsigned)MASK_TEST | o->masks;
    own->tested &= o->tested;
    own->latched |= o->latched;
    if (!o->ack.ms)
        case_step_clear(&own->ack);
    if (!is_resolved(o))
        back_to_work(own);
    if (cases_facets(own) != was && !own->lost)
        cases_emit(c, own, shelved ? CASE_UNSHELVED : CASE_UNMASKED,
                   &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, false);
}

static void removed(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    const char *reason = ev->reason ? ev->reason : "removed";
    if (strcmp(reason, "joined") == 0) {
        struct case_open *own = cases_of(c, ev->rule->id, ev->device->code, "");
        if (!own) { /* there is none here, so this one is it */
            cases_set_point(c, o, "", ev->wall_ms);
            return;
        }
        join(c, o, own, ev);
    }
    cases_removed(c, o, reason, ev->wall_ms, ev->engine_ns);
}

/* What waited for people where it goes on now has no key any more. */
static void moved(struct cases *c, const struct alarm_event *ev)
{
    struct case_open *o = cases_of(c, ev->rule->id, ev->device->code, ev->was_point);
    struct case_open *there = cases_of(c, ev->rule->id, ev->device->code, ev->point);
    if (!o)
        return;
    if (there)
        cases_removed(c, there, "not_concerned", ev->wall_ms, ev->engine_ns);
    cases_set_point(c, o, ev->point, ev->wall_ms);
}

/* An episode wholly in the past: a case that was over before anyone knew of it. */
static void episode(struct cases *c, const struct position *at, const struct alarm_event *ev)
{
    struct case_open *o = make_case(c, at, ev);
    o->condition = ALARM_NORMAL;
    o->latched = false;
    o->cleared_ms = ev->until_ms;
    o->work = WORK_CLOSED;
    o->late = true;
    o->severity = ev->severity;
    cases_emit(c, o, CASE_RECORD, &(struct case_cause){.wall_ms = ev->wall_ms, .record = true},
               false);
    cases_stamps_keep(c, o);
    case_free(o);
}

/* Of a case that is not there, although the condition holds (a gap in the history): it is opened
 * now, as late. */
static void without_case(struct cases *c, const struct position *at,
                         const struct alarm_event *ev)
{
    struct alarm_event late = *ev;
    late.late = true;
    if (ev->condition != ALARM_ACTIVE && ev->condition != ALARM_RECOVERING)
        return;
    if (ev->change == ALARM_FLAPPING)
        open_case(c, at, ev, CASE_FLAPPING);
    else
        open_case(c, at, &late, CASE_ACTIVATED);
}

void cases_event(struct cases *c, const struct position *at, const struct alarm_event *ev)
{
    struct case_open *o = cases_of(c, ev->rule->id, ev->device->code, ev->point);
    if (ev->change == ALARM_EPISODE) {
        episode(c, at, ev);
        return;
    }
    if (ev->change == ALARM_ACTIVATED) {
        activated(c, at, o, ev);
        return;
    }
    if (ev->change == ALARM_MOVED) {
        moved(c, ev);
        return;
    }
    if (!o) {
        if (ev->change != ALARM_REMOVED && ev->change != ALARM_CLEARED)
            without_case(c, at, ev);
        return;
    }
    switch (ev->change) {
    case ALARM_LEVEL:
        level(c, o, ev);
        break;
    case ALARM_CLEARED:
        cleared(c, o, CASE_CLEARED, ev);
        break;
    case ALARM_QUALITY:
        quality(c, o, ev);
        break;
    case ALARM_FLAPPING:
        flapping(c, o, ev);
        break;
    case ALARM_SETTLED:
        settled(c, o, ev);
        break;
    case ALARM_INHIBIT:
        inhibit(c, o, ev);
        break;
    case ALARM_REMOVED:
        removed(c, o, ev);
        break;
    case ALARM_ACTIVATED:
    case ALARM_EPISODE:
    case ALARM_MOVED:
        break;
    }
}

/* -- our own --------------------------------------------------------------------------------- */

void cases_own(struct cases *c, const struct position *at, const char *rule, const char *what,
               bool active, enum severity severity, const char *summary, uint64_t engine_ns,
               int64_t wall_ms)
{
    const char *gateway = c->world->conf->gateway.id;
    struct case_open *o = cases_of(c, rule, gateway, what);
    if (active == (o && cases_holds(o)) || (!active && !o))
        return;
    struct case_cause why = {.wall_ms = wall_ms};
    if (!active) {
        o->condition = ALARM_NORMAL;
        o->cleared_ms = wall_ms;
        cases_emit_end(c, o, CASE_CLEARED, &why, true, engine_ns);
        return;
    }
    if (c->n >= CASES_MAX_OPEN + CASES_LIFE_ROOM) {
        c->stats.not_opened++;
        return;
    }
    o = new_case(c, at, rule, gateway, what);
    o->own = true;
    o->firm = mem_strdup("none");
    o->compound = mem_strdup("-");
    o->condition = ALARM_ACTIVE;
    o->severity = severity;
    o->policy = RULE_WORK_NONE;
    o->opened_ms = o->since_ms = o->discovered_ms = wall_ms;
    o->summary = mem_strndup(summary, strnlen(summary, CASES_TEXT_MAX));
    o->masks |= cases_shelf_masks(c, o, true);
    cases_link(c, o);
    cases_emit(c, o, CASE_ACTIVATED, &why, false);
    if (o->masks & MASK_SHELVED)
        cases_reckon_due(c);
}
