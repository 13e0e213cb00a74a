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
    cases_tally_free(c);
    free(c->firms);
    free(c->due);
    free(c->memory);
    free(c->ended);
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
    while (o && (o->lost || o->hash_id != h || strcmp(o->id, id) != 0))
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
    bool in_front = o->lost || o->behind;
    o->prev = in_front ? c->last_lost : c->last;
    o->next = o->prev ? o->prev->next : c->first;
    *(o->prev ? &o->prev->next : &c->first) = o;
    *(o->next ? &o->next->prev : &c->last) = o;
    if (in_front)
        c->last_lost = o;
    c->n++;
    o->serial = ++c->serial;
    cases_due_renew(c, o);
    cases_count_firm(c, o->firm, true);
    cases_tally_add(c, o);
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
    if (c->last_lost == o)
        c->last_lost = o->prev; /* lost, too, or none */
    c->n--;
    cases_due_drop(c, o);
    cases_count_firm(c, o->firm, false);
    cases_tally_drop(c, o);
}

/* -- what is so ------------------------------------------------------------------------------ */

bool cases_holds(const struct case_open *o)
{
    return o->condition == ALARM_ACTIVE || o->condition == ALARM_RECOVERING;
}

bool cases_withheld(const struct case_open *o)
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

/* As the rule in use says; where there is none, as it said last. */
enum rule_work cases_policy(const struct case_open *o)
{
    return o->r ? o->r->work : o->policy;
}

bool cases_done(const struct case_open *o)
{
    if (cases_holds(o) || o->latched)
        return false;
    switch (cases_policy(o)) {
    case RULE_WORK_NONE:
        return true;
    case RULE_WORK_ACK:
        return o->tested || o->ack.ms != 0;
    case RULE_WORK_FULL:
        break;
    }
    return o->tested || o->work == WORK_FED_BACK;
}

bool cases_told_active(const struct case_open *o)
{
    return o->told.any && (o->told.facets & 1);
}

static bool told_shelved(const struct case_open *o)
{
    return o->told.any && o->told.facets >> 16 & MASK_SHELVED;
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
        return !cases_withheld(o);
    case CASE_LOWERED:
    case CASE_CLEARED:
    case CASE_FRESH:
        return !cases_withheld(o) && cases_told_active(o);
    case CASE_FLAPPING:
        return o->life_safety || !(o->masks & (MASK_SHELVED | MASK_INHIBITED));
    case CASE_UNSHELVED: /* who was told that it is shelved is told that it is no more, whatever
                            else hides it */
        return told_shelved(o) || (!cases_withheld(o) && differs && (o->told.any || pending));
    case CASE_SETTLED:
    case CASE_UNMASKED:
        return !cases_withheld(o) && differs && (o->told.any || pending);
    case CASE_MOVED:
        return o->told.any || (pending && !cases_withheld(o));
    case CASE_MASKED:
        return o->told.any && !cases_withheld(o);
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

static uint64_t ended_key(const struct case_open *o)
{
    uint64_t h = hash64(0, o->rule, strlen(o->rule) + 1); /* kept: no seed of this process */
    h = hash64(h, o->device, strlen(o->device) + 1);
    return hash64(h, o->point, strlen(o->point));
}

void cases_stamps_keep(struct cases *c, const struct case_open *o)
{
    if (!c->ended)
        c->ended = mem_zalloc_array(CASES_ENDED, sizeof(*c->ended));
    c->ended[(c->ended_at + c->ended_n) % CASES_ENDED] =
        (struct case_ended){ended_key(o), o->stamp_from_ms, o->stamp_to_ms};
    if (c->ended_n < CASES_ENDED)
        c->ended_n++;
    else
        c->ended_at = (c->ended_at + 1) % CASES_ENDED;
}

/* Of the newest case of its key that is over; NULL: of none of late. */
static const struct case_ended *ended_before(const struct cases *c, const struct case_open *o)
{
    uint64_t key = ended_key(o);
    for (size_t i = c->ended_n; i-- > 0;) {
        const struct case_ended *e = &c->ended[(c->ended_at + i) % CASES_ENDED];
        if (e->key == key)
            return e;
    }
    return NULL;
}

/* live: the open case of its key, if it is a record; or NULL. */
void cases_stamps_take(const struct cases *c, struct case_open *o, const struct case_open *live)
{
    const struct case_ended *e = ended_before(c, o);
    if (e) {
        o->stamp_from_ms = e->from_ms;
        o->stamp_to_ms = e->to_ms;
    }
    if (live && live->stamp_to_ms >= o->stamp_to_ms) {
        o->stamp_from_ms = live->stamp_from_ms;
        o->stamp_to_ms = live->stamp_to_ms;
    }
}

/* Records take times while a case of their key is open, too. */
static int64_t stamp(const struct cases *c, struct case_open *o, int64_t wall_ms)
{
    const struct case_ended *e = ended_before(c, o);
    int64_t t = wall_ms;
    if (wall_ms >= o->stamp_from_ms && wall_ms <= o->stamp_to_ms)
        t = o->stamp_to_ms + 1;
    else
        o->stamp_from_ms = wall_ms;
    if (e && t >= e->from_ms && t <= e->to_ms)
        t = e->to_ms + 1;
    o->stamp_to_ms = t;
    return t;
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
    cause.wall_ms = stamp(c, o, why->wall_ms);
    bool deliver = is_told(o, change, closes);
    o->version++;
    if (deliver && !closes && !why->record)
        dispatch(o, cause.wall_ms);
    if (closes) {
        o->work = WORK_CLOSED;
        case_step_set(&o->steps[WORK_CLOSED], cause.wall_ms, &cause);
    }
    cases_tally_renew(c, o);
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
    cases_stamps_keep(c, o);
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

void cases_emit_end(struct cases *c, struct case_open *o, enum case_change change,
                    const struct case_cause *why, bool closes, uint64_t engine_ns)
{
    cases_emit(c, o, change, why, closes);
    if (closes)
        cases_finish(c, o, engine_ns);
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
static const char *gone(const struct cases *c, const struct case_open *o,
                        const struct world *now)
{
    if (o->own)
        return NULL;
    size_t n = strlen(o->device);
    const struct device *was = registry_find(c->world->registry, o->device, n);
    const struct device *d = registry_find(now->registry, o->device, n);
    const struct rule *r = now->rules ? rules_find(now->rules, o->rule, strlen(o->rule)) : NULL;
    if (!r)
        return "rule_removed";
    if (!d || d->retired)
        return d ? "device_retired" : "device_removed";
    if (!world_serves(now, d))
        return NULL; /* people close it */
    if (was && strcmp(was->kind->name, d->kind->name) != 0)
        return "device_changed";
    return alarm_concerns(now, r, d, o->point) ? NULL : "not_concerned";
}

/* The new firm has accepted nothing and acknowledged nothing. */
static void move(struct cases *c, struct case_open *o, int64_t wall_ms)
{
    const struct compound *k = cases_place(c, o->d);
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
        if (o->work == WORK_DISPATCHED || o->work == WORK_ACCEPTED || o->work == WORK_ON_SITE ||
            o->work == WORK_REJECTED || o->work == WORK_TRANSFERRED)
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

void cases_set_point(struct cases *c, struct case_open *o, const char *point, int64_t wall_ms)
{
    cases_stamps_keep(c, o);
    cases_unlink(c, o);
    cases_set(&o->point, point);
    cases_link(c, o);
    if (!o->lost) /* it is opened anew, there */
        cases_emit(c, o, CASE_MOVED, &(struct case_cause){.wall_ms = wall_ms}, false);
}

/* Its point is its device's own, whose key is free. */
static bool is_own_point(const struct cases *c, const struct case_open *o)
{
    return o->d && o->d->point && *o->point && strcmp(o->d->point, o->point) == 0 &&
           world_serves(c->world, o->d) && !cases_of(c, o->rule, o->device, "");
}

/* Of what is active core/alarm has said so. */
static void come_home(struct cases *c, int64_t wall_ms)
{
    struct case_open *next;
    for (struct case_open *o = c->first; o; o = next) {
        next = o->next;
        if (is_own_point(c, o))
            cases_set_point(c, o, "", wall_ms);
    }
}

/* Its rule asks less now than when it cleared. What the store had otherwise says so by a timer of its own. */
static bool asks_no_more(const struct case_open *o)
{
    return !o->behind && cases_done(o);
}

static void close_done(struct cases *c, uint64_t engine_ns, int64_t wall_ms)
{
    const struct case_cause why = {.wall_ms = wall_ms, .reason = "rule_changed"};
    struct case_open *next;
    for (struct case_open *o = c->first; o; o = next) {
        next = o->next;
        if (asks_no_more(o))
            cases_emit_end(c, o, CASE_CLOSED, &why, true, engine_ns);
    }
}

/* A reload would say something of it: of what came from the store nobody has in this world. */
bool cases_is_unsettled(const struct cases *c, const struct case_open *o)
{
    const struct compound *k = o->d ? cases_place(c, o->d) : NULL;
    bool test = cases_in_test(c, o) != NULL;
    if (gone(c, o, c->world) || is_own_point(c, o) || asks_no_more(o) ||
        (k && (strcmp(k->firm, o->firm) != 0 || strcmp(k->code, o->compound) != 0)))
        return true;
    return test != ((o->masks & MASK_TEST) != 0) && !(test && o->life_safety);
}

static void close_gone(struct cases *c, const struct world *now, uint64_t engine_ns,
                       int64_t wall_ms)
{
    struct case_open *next;
    for (struct case_open *o = c->first; o; o = next) {
        next = o->next;
        const char *why = gone(c, o, now);
        if (why)
            cases_removed(c, o, why, wall_ms, engine_ns);
    }
}

void cases_use(struct cases *c, const struct world *before, const struct world *now,
               uint64_t engine_ns, int64_t wall_ms)
{
    bool first = !c->world;
    (void)before; /* c->world, so far: what goes is shown as it was there */
    if (!first)
        close_gone(c, now, engine_ns, wall_ms);
    c->world = now;
    c->unsettled = false;
    if (!c->stream)
        c->stream = mem_printf("%s/%s/0", now->conf->gateway.id,
                               conf_lane_name(now->conf->gateway.lane));
    for (struct case_open *o = c->first; o; o = o->next)
        cases_bind(c, o);
    if (first) /* it came from the store before there was a world */
        close_gone(c, now, engine_ns, wall_ms);
    come_home(c, wall_ms);
    for (struct case_open *o = c->first; o; o = o->next)
        if (o->d)
            move(c, o, wall_ms);
    close_done(c, engine_ns, wall_ms);
    /* a scope may hold other devices now */
    cases_retest(c, &(struct case_cause){.wall_ms = wall_ms}, engine_ns);
}

void cases_stream(struct cases *c, const char *stream)
{
    cases_set(&c->stream, stream);
}

/* -- timers ---------------------------------------------------------------------------------- */

uint64_t cases_next_due(const struct cases *c)
{
    return c->next_due;
}

static struct case_open *first_due(const struct cases *c)
{
    if (c->last_lost)
        return c->first;
    return c->n_due > 0 && c->due[0]->shelved_until == c->next_due ? c->due[0] : NULL;
}

/* The condition holds and the store knows no case: a new one. */
static void reopen(struct cases *c, const struct position *at, struct case_open *o,
                   int64_t wall_ms)
{
    cases_unlink(c, o);
    free(o->id);
    o->id = cases_new_id(c, at);
    o->lost = o->behind = false;
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

/* What the firm knows of it is of before the store was put back: what is so now. */
static void catch_up(struct cases *c, struct case_open *o, uint64_t engine_ns, int64_t wall_ms)
{
    bool holds = cases_holds(o), known = cases_told_active(o);
    enum severity told = (enum severity)(o->told.facets >> 8 & 15);
    enum case_change change = CASE_UNMASKED;
    if (holds && o->told.any && (!known || o->told.facets >> 32 != o->occurrence))
        change = CASE_RECURRED;
    else if (!holds && known)
        change = CASE_CLEARED;
    else if (holds && known && o->severity != told)
        change = o->severity > told ? CASE_RAISED : CASE_LOWERED;
    cases_unlink(c, o);
    o->behind = false;
    cases_link(c, o);
    cases_emit_end(c, o, change, &(struct case_cause){.wall_ms = wall_ms}, cases_done(o),
                   engine_ns);
}

void case_unshelve(struct case_open *o)
{
    o->masks &= ~(unsigned)MASK_SHELVED;
    o->one_shot = false;
    o->shelved_until = 0;
    o->shelved_until_ms = 0;
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
            cases_retest(c, &(struct case_cause){.wall_ms = wall_ms, .reason = "expired"},
                         c->next_due);
        return;
    }
}

void cases_tick(struct cases *c, const struct position *at, uint64_t due, int64_t wall_ms)
{
    if (c->next_due > due)
        return;
    struct case_open *o = first_due(c);
    if (c->unsettled) {
        cases_use(c, c->world, c->world, at->tick, wall_ms);
    } else if (o && o->lost) {
        reopen(c, at, o, wall_ms);
    } else if (o && o->behind) {
        catch_up(c, o, due, wall_ms);
    } else if (o) {
        case_unshelve(o);
        cases_due_renew(c, o);
        cases_emit(c, o, CASE_UNSHELVED,
                   &(struct case_cause){.wall_ms = wall_ms, .reason = "expired"}, false);
    } else {
        shelf_ends(c, wall_ms);
    }
    cases_reckon_due(c);
}

/* -- for people ------------------------------------------------------------------------------ */

int cases_show(const struct cases *c, const char *case_id, struct buf *out)
{
    const struct case_open *o = cases_find(c, case_id);
    if (!o)
        return -ENOENT;
    (void)cases_render(c, o, CASE_CHANGE_N, &(struct case_cause){0}, false, false, out);
    return out->failed ? -ENOBUFS : 0;
}
