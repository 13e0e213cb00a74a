/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cases_private.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define FIRST_BUCKETS 64

struct cases *cases_new(const struct cases_out *out)
{
    struct cases *c = mem_zalloc(sizeof(*c));
    c->out = *out;
    c->next_due = CASES_NEVER;
    c->json = json_new(CASE_PAYLOAD_MAX);
    buf_init(&c->text, CASE_JSON_MAX);
    buf_init(&c->blob, CASE_JSON_MAX);
    return c;
}

void case_step_clear(struct case_step *s)
{
    free(s->by);
    free(s->note);
    free(s->photo);
    free(s->to);
    *s = (struct case_step){0};
}

void case_free(struct case_open *o)
{
    if (!o)
        return;
    free(o->id);
    free(o->rule);
    free(o->device);
    free(o->point);
    free(o->firm);
    free(o->compound);
    free(o->metric);
    free(o->summary);
    case_step_clear(&o->ack);
    for (size_t i = 0; i < CASES_WORK_N; i++)
        case_step_clear(&o->steps[i]);
    free(o);
}

void cases_free(struct cases *c)
{
    if (!c)
        return;
    while (c->first) {
        struct case_open *o = c->first;
        cases_unlink(c, o);
        case_free(o);
    }
    while (c->n_shelves > 0)
        cases_shelf_drop(c, &c->shelves[c->n_shelves - 1]);
    for (size_t i = 0; i < c->memory_n; i++)
        free(c->memory[(c->memory_at + i) % CASE_REPLIES_MAX].json);
    for (size_t i = 0; i < c->n_firms; i++)
        free(c->firms[i].firm);
    free(c->firms);
    free(c->memory);
    free(c->shelves);
    free(c->by_id.buckets);
    free(c->by_key.buckets);
    free(c->stream);
    json_free(c->json);
    buf_done(&c->text);
    buf_done(&c->blob);
    free(c);
}

void cases_set(char **where, const char *s)
{
    if (*where && s && strcmp(*where, s) == 0)
        return;
    free(*where);
    *where = mem_strdup(s);
}

void case_step_set(struct case_step *s, int64_t ms, const struct case_cause *why)
{
    case_step_clear(s);
    s->ms = ms;
    s->by = mem_strdup(why->by);
    s->note = mem_strdup(why->note);
    s->photo = mem_strdup(why->photo);
    s->to = mem_strdup(why->to);
}

/* -- finding --------------------------------------------------------------------------------- */

static uint64_t hash_id(const char *id)
{
    return hash64(hash_seed(), id, strlen(id));
}

static uint64_t hash_key(const char *rule, const char *device, const char *point)
{
    uint64_t h = hash64(hash_seed(), rule, strlen(rule) + 1);
    h = hash64(h, device, strlen(device) + 1);
    return hash64(h, point, strlen(point));
}

struct case_open *cases_find(const struct cases *c, const char *id)
{
    if (c->n == 0)
        return NULL;
    uint64_t h = hash_id(id);
    struct case_open *o = c->by_id.buckets[h & (c->by_id.cap - 1)];
    while (o && (o->hash_id != h || strcmp(o->id, id) != 0))
        o = o->next_id;
    return o;
}

struct case_open *cases_of(const struct cases *c, const char *rule, const char *device,
                           const char *point)
{
    if (c->n == 0)
        return NULL;
    uint64_t h = hash_key(rule, device, point);
    struct case_open *o = c->by_key.buckets[h & (c->by_key.cap - 1)];
    while (o && (o->hash_key != h || strcmp(o->rule, rule) != 0 ||
                 strcmp(o->device, device) != 0 || strcmp(o->point, point) != 0))
        o = o->next_key;
    return o;
}

static void put_in_buckets(struct cases *c, struct case_open *o)
{
    struct case_open **id = &c->by_id.buckets[o->hash_id & (c->by_id.cap - 1)];
    struct case_open **key = &c->by_key.buckets[o->hash_key & (c->by_key.cap - 1)];
    o->next_id = *id;
    *id = o;
    o->next_key = *key;
    *key = o;
}

static void grow_buckets(struct cases *c)
{
    size_t cap = c->by_id.cap ? c->by_id.cap * 2 : FIRST_BUCKETS;
    free(c->by_id.buckets);
    free(c->by_key.buckets);
    c->by_id = (struct case_index){mem_zalloc_array(cap, sizeof(struct case_open *)), cap};
    c->by_key = (struct case_index){mem_zalloc_array(cap, sizeof(struct case_open *)), cap};
    for (struct case_open *o = c->first; o; o = o->next)
        put_in_buckets(c, o);
}

void cases_link(struct cases *c, struct case_open *o)
{
    if (c->n >= c->by_id.cap)
        grow_buckets(c);
    o->hash_id = hash_id(o->id);
    o->hash_key = hash_key(o->rule, o->device, o->point);
    o->prev = c->last;
    o->next = NULL;
    if (c->last)
        c->last->next = o;
    else
        c->first = o;
    c->last = o;
    c->n++;
    cases_count_firm(c, o->firm, true);
    put_in_buckets(c, o);
}

void cases_unlink(struct cases *c, struct case_open *o)
{
    struct case_open **at = &c->by_id.buckets[o->hash_id & (c->by_id.cap - 1)];
    while (*at != o)
        at = &(*at)->next_id;
    *at = o->next_id;
    at = &c->by_key.buckets[o->hash_key & (c->by_key.cap - 1)];
    while (*at != o)
        at = &(*at)->next_key;
    *at = o->next_key;
    *(o->prev ? &o->prev->next : &c->first) = o->next;
    *(o->next ? &o->next->prev : &c->last) = o->prev;
    c->n--;
    cases_count_firm(c, o->firm, false);
}

/* -- what is so ------------------------------------------------------------------------------ */

bool cases_holds(const struct case_open *o)
{
    return o->condition == ALARM_ACTIVE || o->condition == ALARM_RECOVERING;
}

static bool withheld(const struct case_open *o)
{
    return !o->life_safety && (o->masks & (MASK_SHELVED | MASK_FLAPPING | MASK_INHIBITED));
}

uint64_t cases_facets(const struct case_open *o)
{
    bool holds = cases_holds(o);
    uint64_t f = (uint64_t)o->occurrence << 32;
    f |= (uint64_t)(o->masks & 0xff) << 16 | (uint64_t)o->work << 12;
    f |= (uint64_t)(holds ? o->severity : 0) << 8 | (uint64_t)o->quality << 4;
    return f | (uint64_t)(o->ack.ms != 0) << 2 | (uint64_t)o->latched << 1 | holds;
}

bool cases_done(const struct case_open *o)
{
    if (cases_holds(o) || o->latched)
        return false;
    switch (o->policy) {
    case RULE_WORK_NONE:
        return true;
    case RULE_WORK_ACK:
        return o->tested || o->ack.ms != 0;
    case RULE_WORK_FULL:
        break;
    }
    return o->tested || o->work == WORK_FED_BACK;
}

static bool told_active(const struct case_open *o)
{
    return o->told.any && (o->told.facets & 1);
}

static bool is_told(const struct case_open *o, enum case_change change, bool closes)
{
    bool differs = !o->told.any || o->told.facets != cases_facets(o);
    bool pending = cases_holds(o) || o->latched;
    if (closes)
        return o->told.any;
    switch (change) {
    case CASE_RAISED: /* worse than all before: also while it flaps */
        return o->life_safety || !(o->masks & (MASK_SHELVED | MASK_INHIBITED));
    case CASE_ACTIVATED:
    case CASE_RECURRED:
    case CASE_STALE:
    case CASE_RECORD:
        return !withheld(o);
    case CASE_LOWERED:
    case CASE_CLEARED:
    case CASE_FRESH:
        return !withheld(o) && told_active(o);
    case CASE_FLAPPING:
        return o->life_safety || !(o->masks & (MASK_SHELVED | MASK_INHIBITED));
    case CASE_SETTLED:
    case CASE_UNSHELVED:
    case CASE_UNMASKED:
        return !withheld(o) && differs && (o->told.any || pending);
    case CASE_MOVED:
        return o->told.any || (pending && !withheld(o));
    case CASE_MASKED:
        return o->told.any && !withheld(o);
    case CASE_ACKNOWLEDGED:
    case CASE_ACCEPTED:
    case CASE_ARRIVED:
    case CASE_RESOLVED:
    case CASE_CONFIRMED:
    case CASE_FED_BACK:
    case CASE_CLOSED:
    case CASE_REJECTED:
    case CASE_TRANSFERRED:
    case CASE_REWORKED:
    case CASE_RESET:
    case CASE_SHELVED:
    case CASE_RULE_REMOVED:
    case CASE_CHANGE_N:
        break;
    }
    return o->told.any;
}

/* -- telling --------------------------------------------------------------------------------- */

static int64_t stamp(struct case_open *o, int64_t wall_ms)
{
    if (wall_ms >= o->stamp_from_ms && wall_ms <= o->stamp_to_ms)
        return ++o->stamp_to_ms;
    o->stamp_from_ms = o->stamp_to_ms = wall_ms;
    return wall_ms;
}

static void dispatch(struct case_open *o, int64_t wall_ms)
{
    if (o->work != WORK_DISCOVERED || (o->masks & MASK_TEST) || strcmp(o->firm, "none") == 0)
        return;
    o->work = WORK_DISPATCHED;
    case_step_set(&o->steps[WORK_DISPATCHED], wall_ms, &(struct case_cause){0});
}

void cases_emit(struct cases *c, struct case_open *o, enum case_change change,
                const struct case_cause *why, bool closes)
{
    struct case_cause cause = *why;
    cause.wall_ms = stamp(o, why->wall_ms);
    bool deliver = is_told(o, change, closes);
    o->version++;
    if (deliver && !closes && !why->record)
        dispatch(o, cause.wall_ms);
    if (closes) {
        o->work = WORK_CLOSED;
        case_step_set(&o->steps[WORK_CLOSED], cause.wall_ms, &cause);
    }
    if (deliver)
        o->told = (struct case_told){true, o->version, cases_facets(o)};
    buf_clear(&c->text);
    size_t seq_at = cases_render(c, o, change, &cause, deliver, closes, &c->text);
    ASSERT(!c->text.failed); /* everything in it has a ceiling */
    buf_clear(&c->blob);
    if (!closes)
        cases_encode(o, &c->blob);
    bool moved = deliver && cause.was_firm;
    struct transition t = {.change = change,
                           .stream = c->stream,
                           .case_id = o->id,
                           .firm = o->firm,
                           .compound = o->compound,
                           .rule = o->rule,
                           .device = o->device,
                           .point = o->point,
                           .occurrence = o->occurrence,
                           .version = o->version,
                           .severity = o->severity,
                           .deliver = deliver,
                           .urgent = o->life_safety && !(o->masks & MASK_TEST),
                           .closed = closes,
                           .record = why->record,
                           .test = o->masks & MASK_TEST,
                           .was_firm = moved ? cause.was_firm : NULL,
                           .was_compound = moved ? cause.was_compound : NULL,
                           .wall_ms = cause.wall_ms,
                           .value = o->value,
                           .limit = o->limit,
                           .json = buf_cstr(&c->text),
                           .json_len = c->text.len,
                           .seq_at = seq_at,
                           .blob = closes ? NULL : c->blob.data,
                           .blob_len = closes ? 0 : c->blob.len};
    c->stats.transitions++;
    c->stats.delivered += deliver;
    c->stats.withheld += !deliver;
    if (c->out.transition)
        c->out.transition(c->out.ctx, &t);
}

/* The end of a case. What it was shelved for goes on for its key. */
void cases_finish(struct cases *c, struct case_open *o, uint64_t engine_ns)
{
    bool shelved = o->masks & MASK_SHELVED;
    cases_unlink(c, o);
    if (shelved && !o->one_shot && o->shelved_until > engine_ns) {
        char *scope = cases_key_scope(o->rule, o->device, o->point);
        struct case_shelf *s = cases_shelf_add(c, SHELF_KEY, scope);
        if (s) {
            s->until = o->shelved_until;
            s->until_ms = o->shelved_until_ms;
        }
        free(scope);
    }
    case_free(o);
    if (shelved)
        cases_reckon_due(c);
}

static void emit_and_end(struct cases *c, struct case_open *o, enum case_change change,
                         const struct case_cause *why, bool closes, uint64_t engine_ns)
{
    cases_emit(c, o, change, why, closes);
    if (closes)
        cases_finish(c, o, engine_ns);
}

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
static char *new_id(struct cases *c, const struct position *at)
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

static const struct compound *place_of(const struct cases *c, const struct device *d)
{
    return registry_compound_now(c->world->registry, d->compound);
}

static void take_masks(struct case_open *o, const struct alarm_event *ev)
{
    o->masks &= ~(unsigned)(MASK_FLAPPING | MASK_INHIBITED);
    o->masks |= ev->flapping ? (unsigned)MASK_FLAPPING : 0;
    o->masks |= ev->inhibited ? (unsigned)MASK_INHIBITED : 0;
}

static void take_event(struct case_open *o, const struct alarm_event *ev)
{
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
    if (o->latch && cases_holds(o))
        o->latched = true;
}

static struct case_open *new_case(struct cases *c, const struct position *at, const char *rule,
                                  const char *device, const char *point)
{
    struct case_open *o = mem_zalloc(sizeof(*o));
    o->id = new_id(c, at);
    o->rule = mem_strdup(rule);
    o->device = mem_strdup(device);
    o->point = mem_strdup(point);
    o->occurrence = 1;
    o->value = o->limit = NAN;
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
    const struct compound *k = place_of(c, ev->device);
    struct case_open *o = new_case(c, at, ev->rule->id, ev->device->code, ev->point);
    o->firm = mem_strdup(k->firm);
    o->compound = mem_strdup(k->code);
    o->severity = ev->severity;
    o->opened_ms = ev->wall_ms;
    take_event(o, ev);
    begin_occurrence(o, ev);
    o->masks |= cases_shelf_masks(c, o);
    o->tested = o->masks & MASK_TEST;
    return o;
}

static void open_case(struct cases *c, const struct position *at, const struct alarm_event *ev,
                      enum case_change change)
{
    if (c->n >= CASES_MAX_OPEN) {
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

/* The problem came back while the case is open. */
static void recur(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    o->occurrence++;
    take_event(o, ev);
    begin_occurrence(o, ev);
    if (o->work == WORK_RESOLVED || o->work == WORK_CONFIRMED || o->work == WORK_FED_BACK) {
        o->work = WORK_ACCEPTED;
        o->rework++;
    }
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
    o->masks &= ~(unsigned)MASK_SHELVED;
    o->one_shot = false;
    o->shelved_until = 0;
    o->shelved_until_ms = 0;
    cases_reckon_due(c);
}

static void cleared(struct cases *c, struct case_open *o, enum case_change change,
                    const struct alarm_event *ev)
{
    bool silent = !o->told.any && withheld(o);
    take_event(o, ev);
    o->cleared_ms = ev->time_ms;
    o->masks &= ~(unsigned)MASK_INHIBITED; /* nothing says later that it is over */
    drop_one_shot(c, o);
    bool closes = cases_done(o) || (silent && !o->latched);
    if (closes && o->told.any && !told_active(o) && change == CASE_CLEARED)
        change = CASE_CLOSED; /* what clears now nobody was told of */
    emit_and_end(c, o, change,
                 &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, closes,
                 ev->engine_ns);
}

static void level(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    enum severity before = o->severity;
    take_event(o, ev);
    bool raised = o->severity > before;
    if (raised) /* what was acknowledged was less */
        case_step_clear(&o->ack);
    cases_emit(c, o, raised ? CASE_RAISED : CASE_LOWERED,
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
    emit_and_end(c, o, CASE_SETTLED,
                 &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason},
                 cases_done(o), ev->engine_ns);
}

static void inhibit(struct cases *c, struct case_open *o, const struct alarm_event *ev)
{
    take_event(o, ev);
    cases_emit(c, o, ev->inhibited ? CASE_MASKED : CASE_UNMASKED,
               &(struct case_cause){.wall_ms = ev->wall_ms, .reason = ev->reason}, false);
}

/* Nobody looks any more: that is no recovery. A device that became the other lane's keeps its
 * case here until people close it. */
static void removed(struct cases *c, struct case_open *o, const char *reason, int64_t wall_ms,
                    uint64_t engine_ns)
{
    bool other_lane = strcmp(reason, "other_lane") == 0;
    enum case_change change = other_lane                            ? CASE_STALE
                              : strcmp(reason, "rule_removed") == 0 ? CASE_RULE_REMOVED
                                                                    : CASE_CLOSED;
    o->quality = ALARM_UNKNOWN;
    emit_and_end(c, o, change, &(struct case_cause){.wall_ms = wall_ms, .reason = reason},
                 !other_lane, engine_ns);
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
        removed(c, o, ev->reason ? ev->reason : "removed", ev->wall_ms, ev->engine_ns);
        break;
    case ALARM_ACTIVATED:
    case ALARM_EPISODE:
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
        emit_and_end(c, o, CASE_CLEARED, &why, true, engine_ns);
        return;
    }
    if (c->n >= CASES_MAX_OPEN) {
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
    cases_link(c, o);
    cases_emit(c, o, CASE_ACTIVATED, &why, false);
}

/* -- generations ----------------------------------------------------------------------------- */

void cases_bind(struct cases *c, struct case_open *o)
{
    o->r = NULL;
    o->d = NULL;
    if (o->own || !c->world)
        return;
    if (c->world->rules)
        o->r = rules_find(c->world->rules, o->rule, strlen(o->rule));
    o->d = registry_find(c->world->registry, o->device, strlen(o->device));
}

/* Why a case cannot go on in `now`; NULL: it can. */
static const char *gone(const struct case_open *o, const struct world *now)
{
    if (o->own)
        return NULL;
    const struct device *d = registry_find(now->registry, o->device, strlen(o->device));
    if (!now->rules || !rules_find(now->rules, o->rule, strlen(o->rule)))
        return "rule_removed";
    return !d ? "device_removed" : d->retired ? "device_retired" : NULL;
}

/* The new firm has accepted nothing and acknowledged nothing. */
static void move(struct cases *c, struct case_open *o, int64_t wall_ms)
{
    const struct compound *k = place_of(c, o->d);
    if (strcmp(k->firm, o->firm) == 0 && strcmp(k->code, o->compound) == 0)
        return;
    char *firm = o->firm, *compound = o->compound;
    bool other = strcmp(k->firm, firm) != 0;
    o->firm = mem_strdup(k->firm);
    o->compound = mem_strdup(k->code);
    cases_count_firm(c, firm, false);
    cases_count_firm(c, o->firm, true);
    if (other) {
        case_step_clear(&o->ack);
        if (o->work == WORK_DISPATCHED || o->work == WORK_ACCEPTED || o->work == WORK_ON_SITE)
            o->work = WORK_DISCOVERED; /* dispatched with this transition */
    }
    bool known = o->told.any;
    cases_emit(c, o, CASE_MOVED,
               &(struct case_cause){.wall_ms = wall_ms,
                                    .was_firm = known ? firm : NULL,
                                    .was_compound = known ? compound : NULL},
               false);
    free(firm);
    free(compound);
}

void cases_use(struct cases *c, const struct world *before, const struct world *now,
               uint64_t engine_ns, int64_t wall_ms)
{
    struct case_open *next;
    (void)before; /* c->world, so far: what goes is shown as it was there */
    for (struct case_open *o = c->world ? c->first : NULL; o; o = next) {
        next = o->next;
        const char *why = gone(o, now);
        if (why)
            removed(c, o, why, wall_ms, engine_ns);
    }
    c->world = now;
    if (!c->stream)
        c->stream = mem_printf("%s/%s/0", now->conf->gateway.id,
                               conf_lane_name(now->conf->gateway.lane));
    for (struct case_open *o = c->first; o; o = o->next) {
        cases_bind(c, o);
        if (o->d)
            move(c, o, wall_ms);
    }
    /* a scope may hold other devices now */
    cases_retest(c, &(struct case_cause){.wall_ms = wall_ms});
}

void cases_stream(struct cases *c, const char *stream)
{
    cases_set(&c->stream, stream);
}

/* -- timers ---------------------------------------------------------------------------------- */

void cases_reckon_due(struct cases *c)
{
    c->next_due = CASES_NEVER;
    for (const struct case_open *o = c->first; o; o = o->next) {
        uint64_t due = o->lost ? 0 : (o->masks & MASK_SHELVED) ? o->shelved_until : CASES_NEVER;
        if (due < c->next_due)
            c->next_due = due;
    }
    for (size_t i = 0; i < c->n_shelves; i++)
        if (c->shelves[i].until < c->next_due)
            c->next_due = c->shelves[i].until;
}

uint64_t cases_next_due(const struct cases *c)
{
    return c->next_due;
}

static struct case_open *first_due(struct cases *c)
{
    for (struct case_open *o = c->first; o; o = o->next)
        if (o->lost || ((o->masks & MASK_SHELVED) && o->shelved_until == c->next_due))
            return o;
    return NULL;
}

/* The condition holds and the store knows no case: a new one. */
static void reopen(struct cases *c, const struct position *at, struct case_open *o,
                   int64_t wall_ms)
{
    cases_unlink(c, o);
    free(o->id);
    o->id = new_id(c, at);
    o->lost = false;
    o->late = true;
    o->version = o->rework = 0;
    o->occurrence = 1;
    o->told = (struct case_told){0};
    o->work = WORK_DISCOVERED;
    o->opened_ms = o->discovered_ms = wall_ms;
    case_step_clear(&o->ack);
    for (size_t i = 0; i < CASES_WORK_N; i++)
        case_step_clear(&o->steps[i]);
    cases_link(c, o);
    cases_emit(c, o, CASE_ACTIVATED, &(struct case_cause){.wall_ms = wall_ms}, false);
}

static void shelf_ends(struct cases *c, int64_t wall_ms)
{
    for (size_t i = 0; i < c->n_shelves; i++) {
        struct case_shelf *s = &c->shelves[i];
        if (s->until != c->next_due)
            continue;
        bool test = s->kind != SHELF_KEY;
        cases_shelf_drop(c, s);
        if (test)
            cases_retest(c, &(struct case_cause){.wall_ms = wall_ms, .reason = "expired"});
        return;
    }
}

void cases_tick(struct cases *c, const struct position *at, uint64_t due, int64_t wall_ms)
{
    if (c->next_due > due)
        return;
    struct case_open *o = first_due(c);
    if (o && o->lost) {
        reopen(c, at, o, wall_ms);
    } else if (o) {
        o->masks &= ~(unsigned)MASK_SHELVED;
        o->one_shot = false;
        o->shelved_until = 0;
        o->shelved_until_ms = 0;
        cases_emit(c, o, CASE_UNSHELVED,
                   &(struct case_cause){.wall_ms = wall_ms, .reason = "expired"}, false);
    } else {
        shelf_ends(c, wall_ms);
    }
    cases_reckon_due(c);
}

/* -- for people ------------------------------------------------------------------------------ */

static bool unacknowledged(const struct case_open *o)
{
    return o->ack.ms == 0;
}

void cases_stats(const struct cases *c, struct cases_stats *out)
{
    *out = c->stats;
    for (const struct case_open *o = c->first; o; o = o->next) {
        out->open++;
        out->unacknowledged += unacknowledged(o);
        out->shelved += (o->masks & MASK_SHELVED) != 0;
        out->test += (o->masks & MASK_TEST) != 0;
        out->by_severity[o->severity]++;
    }
}

struct tally {
    const char *compound, *firm;
    enum severity severity;
    uint64_t open, unacknowledged;
};

static int by_place(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    int k = strcmp(x->compound, y->compound);
    k = k ? k : strcmp(x->firm, y->firm);
    return k ? k : (int)x->severity - (int)y->severity;
}

void cases_count(const struct cases *c, cases_count_fn *fn, void *ctx)
{
    struct tally *all = mem_zalloc_array(c->n, sizeof(*all));
    size_t n = 0, kept = 0;
    for (const struct case_open *o = c->first; o; o = o->next)
        all[n++] = (struct tally){o->compound, o->firm, o->severity, 1, unacknowledged(o)};
    qsort(all, n, sizeof(*all), by_place);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && by_place(&all[kept - 1], &all[i]) == 0) {
            all[kept - 1].open++;
            all[kept - 1].unacknowledged += all[i].unacknowledged;
        } else {
            all[kept++] = all[i];
        }
    }
    for (size_t i = 0; i < kept; i++)
        fn(ctx, all[i].compound, all[i].firm, all[i].severity, all[i].open,
           all[i].unacknowledged);
    free(all);
}

int cases_show(const struct cases *c, const char *case_id, struct buf *out)
{
    const struct case_open *o = cases_find(c, case_id);
    if (!o)
        return -ENOENT;
    (void)cases_render(c, o, CASE_CHANGE_N, &(struct case_cause){0}, false, false, out);
    return out->failed ? -ENOBUFS : 0;
}
