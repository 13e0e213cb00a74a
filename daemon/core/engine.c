/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/engine_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_NS 86400000000000u

struct engine *engine_new(const struct engine_out *out)
{
    struct engine *e = mem_zalloc(sizeof(*e));
    e->out = *out;
    e->json = json_new(MAX_MESSAGE);
    e->ledger = ledger_new();
    e->place_next_ns = UINT64_MAX;
    e->rotate_next_ns = UINT64_MAX;
    e->ahead_level = -1;
    e->alarms = engine_alarms_new(e);
    buf_init(&e->scratch, 65536);
    return e;
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    json_free(e->json);
    decoded_done(&e->decoded);
    ledger_free(e->ledger);
    engine_alarms_free(e->alarms);
    profile_run_free(e->run);
    strange_free(e->strange);
    sparkplug_free(e->sparkplug);
    free(e->speeches);
    free(e->heard);
    free(e->devices);
    free(e->place_due);
    engine_series_free(e);
    for (size_t i = 0; i < MAX_BROKERS; i++)
        free(e->brokers[i].deliveries);
    buf_done(&e->scratch);
    free(e);
}

/* -- steps ------------------------------------------------------------------------------- */

void engine_step_begin(struct engine *e, uint64_t offset, uint64_t tick)
{
    bool same = e->at.offset == offset && e->at.tick == tick;
    e->used = true;
    e->at = (struct position){offset, tick, same ? e->at.ordinal + 1 : 0};
    e->out.step(e->out.ctx, &e->at);
}

void engine_step_end(struct engine *e)
{
    e->out.step_end(e->out.ctx, &e->at);
}

uint64_t engine_next_due(const struct engine *e)
{
    uint64_t due = e->place_next_ns < e->rotate_next_ns ? e->place_next_ns : e->rotate_next_ns;
    uint64_t alarms = engine_alarms_due(e);
    return alarms < due ? alarms : due;
}

/* In the order of their times, and at one time in this order of kinds: the minute, places, alarms.
 * They stand behind the record before, and follow from the one whose time it is. */
static void fire_due(struct engine *e, uint64_t engine_ns)
{
    for (uint64_t due = engine_next_due(e); due <= engine_ns; due = engine_next_due(e)) {
        /* A timer that should have fired before the last step (its device came late) fires now:
         * the position never goes back. */
        engine_step_begin(e, e->at.offset, due > e->at.tick ? due : e->at.tick);
        if (e->rotate_next_ns == due)
            engine_rotate_step(e, due);
        else if (e->place_next_ns == due)
            engine_place_step(e, due);
        else
            engine_alarms_fire(e, due);
        engine_step_end(e);
    }
}

void engine_tick(struct engine *e, uint64_t engine_ns)
{
    fire_due(e, engine_ns);
}

/* -- redelivery --------------------------------------------------------------------------- */

static struct broker_state *broker_of(struct engine *e, const struct record *r)
{
    return r->broker < MAX_BROKERS ? &e->brokers[r->broker] : NULL;
}

static uint64_t delivery_hash(const struct record *r)
{
    uint64_t h = hash64(hash64(1, r->topic, r->topic_len), r->body, r->body_len);
    return h ? h : 1; /* 0: no delivery had that packet id */
}

/* Was this very delivery journalled on an earlier connection? Then our PUBACK did not reach the
 * broker, and it sends the message again: dup = 1, same packet id, same content. */
static bool is_redelivery(const struct broker_state *b, const struct delivery *d, uint64_t hash)
{
    return d->hash == hash && d->connection != b->connection && b->n - d->serial - 1 < b->valid;
}

/* Where a packet id's last delivery is noted. Many brokers count ids from 1 for each session. */
struct delivery *engine_delivery(struct broker_state *b, uint16_t packet_id)
{
    uint32_t cap = b->cap_deliveries ? b->cap_deliveries : 256;
    while (cap <= packet_id)
        cap *= 2;
    if (cap > b->cap_deliveries) {
        b->deliveries = mem_realloc_array(b->deliveries, cap, sizeof(*b->deliveries));
        memset(b->deliveries + b->cap_deliveries, 0,
               (cap - b->cap_deliveries) * sizeof(*b->deliveries));
        b->cap_deliveries = cap;
    }
    return &b->deliveries[packet_id];
}

bool engine_note_delivery(struct engine *e, const struct record *r)
{
    struct broker_state *b = broker_of(e, r);
    if (!b || RECORD_QOS(r->flags) == 0)
        return false;
    uint64_t hash = delivery_hash(r);
    struct delivery *d = engine_delivery(b, r->packet_id);
    bool again = (r->flags & RECORD_DUP) && is_redelivery(b, d, hash);
    *d = (struct delivery){hash, b->connection, b->n++};
    b->valid += b->valid < REACH;
    return again;
}

/* -- records ------------------------------------------------------------------------------ */

static void link_up(struct engine *e, const struct record *r)
{
    struct broker_state *b = broker_of(e, r);
    if (!b)
        return;
    b->up = true;
    if (record_was_moment(r))
        engine_alarms_link_again(e, r->broker, r->engine_ns);
    else
        engine_alarms_link(e, r->broker, true, r->engine_ns);
    b->connection++;
    if (r->body_len < 1 || r->body[0] == 0)
        b->valid = 0; /* the broker kept no session: packet ids begin anew */
    engine_link_up(b, r);
}

/* The gateway was down until this record. Timers due in the gap fire once, at its end, behind the
 * record: they follow from it. */
static void started(struct engine *e, const struct record *r)
{
    if (e->rotate_next_ns < r->engine_ns)
        e->rotate_next_ns = r->engine_ns + 1;
    if (e->place_next_ns < r->engine_ns)
        e->place_next_ns = r->engine_ns + 1;
    engine_alarms_down(e, e->at.tick, r->engine_ns);
    for (size_t i = 0; i < MAX_BROKERS; i++)
        e->brokers[i].up = false;
}

/* While we run, a record of our own is written every minute: a longer silence is no time in
 * which timers would have fired one by one. */
static void skip_silence(struct engine *e, uint64_t engine_ns)
{
    if (e->rotate_next_ns != UINT64_MAX && engine_ns > e->rotate_next_ns &&
        engine_ns - e->rotate_next_ns > SILENCE_NS)
        e->rotate_next_ns = engine_ns + 1;
}

void engine_record(struct engine *e, const struct record *r)
{
    ASSERT(e->world);
    if (r->type == RECORD_START)
        started(e, r);
    skip_silence(e, r->engine_ns);
    fire_due(e, r->engine_ns);
    engine_step_begin(e, r->end, r->engine_ns > e->at.tick ? r->engine_ns : e->at.tick);
    e->stats.records++;
    if (r->type != RECORD_REINJECT)
        engine_learn_time(e, r);
    engine_alarms_ready(e, r->engine_ns);
    engine_alarms_clock(e, r->engine_ns);
    switch (r->type) {
    case RECORD_MESSAGE:
    case RECORD_REINJECT:
        e->messages = r->messages;
        engine_message(e, r);
        break;
    case RECORD_LINK_UP:
        link_up(e, r);
        break;
    case RECORD_LINK_DOWN:
        if (broker_of(e, r)) {
            broker_of(e, r)->up = false;
            engine_alarms_link(e, r->broker, false, r->engine_ns);
        }
        break;
    case RECORD_STATS:
        engine_own_points(e, r);
        break;
    case RECORD_COMMAND:
    case RECORD_STREAM:
    case RECORD_PRESENCE:
        engine_alarms_record(e, r);
        break;
    case RECORD_START:
    case RECORD_STOP:
    case RECORD_CLOCK_STEP: /* seen from each record's two times */
    case RECORD_GENERATION: /* the caller calls engine_use next */
    case RECORD_TIME:       /* what was due has fired */
    case RECORD_END:
        break;
    }
    engine_step_end(e);
}

void engine_rot(struct engine *e, uint64_t offset, uint64_t end, uint64_t messages)
{
    engine_step_begin(e, end, e->at.tick);
    e->messages += messages;
    ledger_add(e->ledger, LEDGER_NONE, LEDGER_RECEIVED, messages);
    ledger_add(e->ledger, LEDGER_NONE, LEDGER_DEAD_CORRUPT, messages);
    struct engine_letter l = {.reason = ledger_reason(LEDGER_DEAD_CORRUPT),
                              .detail = "a stretch of the journal did not verify",
                              .offset = offset};
    e->out.letter(e->out.ctx, &l);
    engine_step_end(e);
}

/* -- generations -------------------------------------------------------------------------- */

static void move_votes(struct engine *e, const struct world *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->n_votes; i++) {
        const struct device *was = registry_device_at(e->world->registry, e->votes[i].device);
        const struct device *d = registry_find(w->registry, was->code, strlen(was->code));
        if (d)
            e->votes[n++] = (struct vote){d->index, e->votes[i].minus_engine_ms};
    }
    e->n_votes = n;
    e->vote_at = 0;
}

/* The rows of the compounds that have devices, by the compound's index; each is looked for once,
 * in the order of the devices. */
static uint32_t row_of(struct engine *e, uint32_t *rows, const struct compound *c)
{
    if (rows[c->index] == UINT32_MAX)
        rows[c->index] = ledger_row(e->ledger, c->code);
    return rows[c->index];
}

static void move_devices(struct engine *e, const struct world *w)
{
    size_t n = registry_devices(w->registry), compounds = registry_compounds(w->registry);
    uint32_t *rows = mem_zalloc_array(compounds, sizeof(*rows));
    memset(rows, 0xff, compounds * sizeof(*rows));
    struct device_state *next = mem_zalloc_large(n, sizeof(*next));
    uint64_t *due = mem_zalloc_array(n / 64 + 1, sizeof(*due));
    for (size_t i = 0; i < n; i++) {
        const struct device *d = registry_device_at(w->registry, i);
        const struct device *old = e->world ? world_device_before(w, e->world, d) : NULL;
        if (old)
            next[i] = e->devices[old->index];
        due[i / 64] |= (uint64_t)(!old || engine_place_due(e, old->index)) << i % 64;
        next[i].row = row_of(e, rows, d->compound);
    }
    free(rows);
    free(e->devices);
    free(e->place_due);
    e->devices = next;
    e->place_due = due;
    e->n_devices = n;
    engine_count_devices(e);
    if (e->world)
        engine_series_move(e, w);
    move_votes(e, w);
}

static void move_brokers(struct engine *e, const struct world *w)
{
    struct broker_state next[MAX_BROKERS] = {0};
    uint32_t to[MAX_BROKERS];
    memset(to, 0xff, sizeof(to));
    for (size_t i = 0; i < w->conf->n_brokers && i < MAX_BROKERS; i++) {
        const char *id = w->conf->brokers[i].id;
        for (size_t k = 0; k < MAX_BROKERS; k++) {
            if (strcmp(e->brokers[k].id, id) == 0) {
                next[i] = e->brokers[k];
                to[k] = (uint32_t)i;
                e->brokers[k].deliveries = NULL;
            }
        }
        memcpy(next[i].id, id, strnlen(id, sizeof(next[i].id) - 1) + 1);
    }
    for (size_t k = 0; k < MAX_BROKERS; k++)
        free(e->brokers[k].deliveries);
    memcpy(e->brokers, next, sizeof(next));
    if (e->sparkplug) /* births are kept by their broker's number */
        sparkplug_renumber(e->sparkplug, to, MAX_BROKERS);
}

void engine_use(struct engine *e, const struct world *w)
{
    const struct world *before = e->world;
    if (before == w)
        return;
    move_devices(e, w);
    move_brokers(e, w);
    if (before) {
        e->used = true;
        engine_place_changed(e, before, w);
    }
    e->world = w;
    if (e->strange) /* what a new profile names is not strange any more */
        strange_clear(e->strange);
    engine_ahead_use(e);
    free(e->heard);
    e->heard = mem_zalloc_array(w->conf->n_sources, sizeof(*e->heard));
    if (e->wall_known)
        engine_alarms_use(e);
    e->place_cursor = 0;
    if (e->wall_known && e->place_next_ns == UINT64_MAX)
        e->place_next_ns = e->at.tick + 1;
}

const struct world *engine_world(const struct engine *e)
{
    return e->world;
}

struct position engine_position(const struct engine *e)
{
    return e->at;
}

uint64_t engine_messages(const struct engine *e)
{
    return e->messages;
}

uint64_t engine_heard(const struct engine *e, size_t source)
{
    return e->world && source < e->world->conf->n_sources ? e->heard[source] : 0;
}

const struct ledger *engine_ledger(const struct engine *e)
{
    return e->ledger;
}

void engine_count_devices(struct engine *e)
{
    e->n_seen = e->n_off = 0;
    for (size_t i = 0; i < e->n_devices; i++) {
        e->n_seen += e->devices[i].last_seen_ms != 0;
        e->n_off += e->devices[i].clock.state == CLOCK_OFF;
    }
}

void engine_stats(const struct engine *e, struct engine_stats *out)
{
    *out = e->stats;
    out->devices_seen = e->n_seen;
    out->clocks_off = e->n_off;
    out->points_known = e->n_points;
    out->wall_held = engine_clock_doubted(e, &out->wall_held_by_s);
}

const struct strange *engine_strange(const struct engine *e)
{
    return e->strange;
}

void engine_device(const struct engine *e, const struct device *d, struct engine_device *out)
{
    const struct device_state *s = &e->devices[d->index];
    *out = (struct engine_device){.last_seen_ms = s->last_seen_ms,
                                  .last_time_ms = s->last_time_ms,
                                  .messages = s->messages,
                                  .clock_offset_ms = clock_fit_offset_ms(&s->clock),
                                  .clock_off = s->clock.state == CLOCK_OFF,
                                  .points = s->n_points};
}
