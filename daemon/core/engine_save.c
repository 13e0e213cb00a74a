/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's state as bytes (docs/snapshot.md). Little endian, every part with its count;
 * names instead of numbers wherever a later version may count differently (ledger columns,
 * devices, compounds, brokers).
 */
#include "base/mem.h"
#include "core/engine_count_private.h"
#include "core/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x31474e4548474147u /* "GAGHENG1" */
/* 1 is read, too: it knew no clocks, points, ids; 2, which knew no alarms; 3, no counters; and 4, not
 * where the last messages are. */
#define VERSION   5u
#define SPARKPLUG ((size_t)1 << 30) /* bytes that births may take */

/* -- writing ------------------------------------------------------------------------------ */

static void save_deliveries(const struct broker_state *b, struct state_writer *w)
{
    uint64_t kept = 0;
    for (uint32_t id = 0; id < b->cap_deliveries; id++)
        kept += b->deliveries[id].hash && b->n - b->deliveries[id].serial - 1 < b->valid;
    state_put_u64(w, b->valid);
    state_put_u64(w, kept);
    for (uint32_t id = 0; kept > 0 && id < b->cap_deliveries; id++) {
        const struct delivery *d = &b->deliveries[id];
        uint32_t age = b->n - d->serial; /* 1: the last one */
        if (d->hash == 0 || age - 1 >= b->valid)
            continue;
        state_put_u64(w, d->hash);
        state_put_u64(w, (uint64_t)d->connection << 32 | (uint64_t)(age - 1) << 16 | id);
    }
}

static void save_brokers(const struct engine *e, struct state_writer *w)
{
    size_t n =
        e->world->conf->n_brokers < MAX_BROKERS ? e->world->conf->n_brokers : MAX_BROKERS;
    state_put_u64(w, n);
    for (size_t i = 0; i < n; i++) {
        const struct broker_state *b = &e->brokers[i];
        state_put_name(w, b->id);
        state_put_u64(w, b->up);
        state_put_u64(w, b->connection);
        save_deliveries(b, w);
        state_put_u64(w, b->catch_up);
        state_put_u64(w, b->catch_up_from_ns);
        state_put_u64(w, b->window_from_ns);
        state_put_u64(w, b->last_ns);
        state_put_u64(w, (uint64_t)b->normal << 32 | b->window_n);
    }
}

static void save_ledger(const struct engine *e, struct state_writer *w)
{
    state_put_u64(w, LEDGER_N);
    for (int c = 0; c < LEDGER_N; c++) {
        state_put_name(w, ledger_class((enum ledger_count)c));
        state_put_name(w, ledger_reason((enum ledger_count)c));
    }
    state_put_u64(w, ledger_rows(e->ledger));
    for (size_t i = 0; i < ledger_rows(e->ledger); i++) {
        const struct ledger_row *r = ledger_at(e->ledger, i);
        state_put_name(w, r->compound);
        state_put(w, r->n, sizeof(r->n));
    }
}

static bool has_state(const struct engine *e, size_t i)
{
    const struct device_state *s = &e->devices[i];
    return s->last_seen_ms != 0 || engine_place_due(e, i) || s->series.ring[0].mask != 0 ||
           s->points || s->ids || s->clock.run_n || s->clock.state != CLOCK_UNKNOWN ||
           s->messages;
}

static void save_series(const struct series *s, struct state_writer *w)
{
    state_put_u64(w, (uint64_t)s->run_from_ms);
    state_put_u64(w, (uint64_t)s->run_to_ms);
    state_put_u64(w, series_marks(s));
    state_put(w, s->ring, sizeof(s->ring));
}

/* What version 2 added. */
static void save_further(const struct engine *e, const struct device_state *s,
                         struct state_writer *w)
{
    state_put(w, &s->clock, sizeof(s->clock));
    state_put_u64(w, (uint64_t)s->ids_at << 1 | (s->ids != 0));
    if (s->ids)
        state_put(w, &e->ids[s->ids - 1], sizeof(e->ids[0]));
    uint32_t order[ENGINE_MAX_POINTS], n = 0;
    for (uint32_t i = s->points; i && n < ENGINE_MAX_POINTS; i = e->points[i - 1].next)
        order[n++] = i - 1;
    state_put_u64(w, n);
    while (n-- > 0) { /* the oldest first, as they are added again */
        state_put_name(w, e->points[order[n]].name);
        save_series(&e->points[order[n]].series, w);
    }
}

static void save_devices(const struct engine *e, struct state_writer *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < e->n_devices; i++)
        n += has_state(e, i);
    state_put_u64(w, n);
    for (size_t i = 0; i < e->n_devices; i++) {
        const struct device_state *s = &e->devices[i];
        if (!has_state(e, i))
            continue;
        state_put_name(w, registry_device_at(e->world->registry, i)->code);
        state_put_u64(w, (uint64_t)s->last_seen_ms);
        state_put_u64(w, (uint64_t)s->last_time_ms);
        state_put_u64(w, (uint64_t)s->series.run_from_ms);
        state_put_u64(w, (uint64_t)s->series.run_to_ms);
        state_put_u64(w, (uint64_t)s->messages << 16 | (uint64_t)s->series.at << 8 |
                             engine_place_due(e, i));
        state_put(w, s->series.ring, sizeof(s->series.ring));
        state_put_u64(w, series_marks(&s->series));
        save_further(e, s, w);
    }
}

static void save_clock(const struct engine *e, struct state_writer *w)
{
    state_put_u64(w, e->wall_held);
    state_put_u64(w, (uint64_t)e->held_minus_engine_ns);
    state_put_u64(w, e->held_since_ns);
    state_put_u64(w, (uint64_t)e->vote_at << 32 | e->n_votes);
    for (uint32_t i = 0; i < e->n_votes; i++) {
        state_put_name(w, registry_device_at(e->world->registry, e->votes[i].device)->code);
        state_put_u64(w, (uint64_t)e->votes[i].minus_engine_ms);
    }
}

static void save_sparkplug(const struct engine *e, struct state_writer *w)
{
    struct buf b;
    buf_init(&b, SPARKPLUG);
    if (e->sparkplug)
        sparkplug_save(e->sparkplug, &b);
    if (b.failed && w->failed == 0)
        w->failed = -ENOBUFS;
    state_put_u64(w, b.len);
    state_put(w, b.data, b.len);
    buf_done(&b);
}

static void save_counters(const struct engine *e, struct state_writer *w)
{
    struct engine_counters c;
    engine_counters_look(e, &c);
    state_put_u64(w, c.n);
    for (size_t i = 0; i < c.n; i++) {
        state_put_name(w, c.list[i].name);
        state_put_u64(w, *c.list[i].n);
    }
}

static int put_alarms(void *ctx, const void *p, size_t len)
{
    struct state_writer *w = ctx;
    state_put(w, p, len);
    return w->failed;
}

int engine_save(const struct engine *e, engine_put_fn *fn, void *ctx)
{
    struct state_writer w;
    state_writer_init(&w, fn, ctx);
    state_put_u64(&w, MAGIC);
    state_put_u64(&w, VERSION);
    state_put_name(&w, e->world->hash);
    state_put(&w, &e->at, sizeof(e->at));
    state_put_u64(&w, e->messages);
    state_put_u64(&w, (uint64_t)e->wall_minus_engine_ns);
    state_put_u64(&w, e->wall_known);
    state_put_u64(&w, e->place_next_ns);
    state_put_u64(&w, e->rotate_next_ns);
    state_put_u64(&w, (uint64_t)e->rotate_minute);
    state_put_u64(&w, e->place_cursor);
    save_brokers(e, &w);
    save_ledger(e, &w);
    save_devices(e, &w);
    save_clock(e, &w);
    save_sparkplug(e, &w);
    state_put_u64(&w, (uint64_t)e->order_shift_ms);
    save_counters(e, &w);
    int alarms = engine_alarms_save(e, put_alarms, &w);
    w.failed = w.failed ? w.failed : alarms;
    state_put_u64(&w, MAGIC);
    return state_writer_done(&w);
}

/* -- reading ------------------------------------------------------------------------------ */

static void load_deliveries(struct broker_state *b, struct state_reader *r)
{
    uint64_t valid = state_get_u64(r), kept = state_get_u64(r);
    if (valid > REACH || kept > PACKET_IDS) {
        r->failed = true;
        return;
    }
    b->n = REACH + 1; /* room for every age behind it */
    b->valid = (uint32_t)valid;
    for (uint64_t k = 0; k < kept && !r->failed; k++) {
        uint64_t hash = state_get_u64(r), packed = state_get_u64(r);
        uint32_t age = (uint32_t)(packed >> 16 & 0xffff) + 1;
        *engine_delivery(b, (uint16_t)packed) =
            (struct delivery){hash, (uint32_t)(packed >> 32), b->n - age};
    }
}

static void load_brokers(struct engine *e, struct state_reader *r)
{
    uint64_t n = state_get_u64(r);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        char id[STATE_NAME_MAX + 1];
        state_get_name(r, id);
        struct broker_state *b = NULL, dropped = {0};
        for (size_t k = 0; k < MAX_BROKERS && !b; k++)
            if (strcmp(e->brokers[k].id, id) == 0)
                b = &e->brokers[k];
        if (!b)
            b = &dropped;
        b->up = state_get_u64(r) != 0;
        b->connection = (uint32_t)state_get_u64(r);
        load_deliveries(b, r);
        if (r->version >= 2) {
            b->catch_up = state_get_u64(r) != 0;
            b->catch_up_from_ns = state_get_u64(r);
            b->window_from_ns = state_get_u64(r);
            b->last_ns = state_get_u64(r);
            uint64_t packed = state_get_u64(r);
            b->normal = (uint32_t)(packed >> 32);
            b->window_n = (uint32_t)packed;
        }
        free(dropped.deliveries);
    }
}

static int column_of(const char *class_, const char *reason)
{
    for (int c = 0; c < LEDGER_N; c++)
        if (strcmp(ledger_class((enum ledger_count)c), class_) == 0 &&
            strcmp(ledger_reason((enum ledger_count)c), reason) == 0)
            return c;
    return -1;
}

static void load_ledger(struct engine *e, struct state_reader *r)
{
    int columns[256];
    uint64_t n = state_get_u64(r);
    if (n > 256) {
        r->failed = true;
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        char class_[STATE_NAME_MAX + 1], reason[STATE_NAME_MAX + 1];
        state_get_name(r, class_);
        state_get_name(r, reason);
        columns[i] = column_of(class_, reason);
        if (columns[i] <
            0) /* of a version that counts what we do not: the sums would not hold */
            r->failed = true;
    }
    uint64_t rows = state_get_u64(r);
    for (uint64_t i = 0; i < rows && !r->failed; i++) {
        char compound[STATE_NAME_MAX + 1];
        state_get_name(r, compound);
        uint32_t row = ledger_row(e->ledger, compound);
        for (uint64_t c = 0; c < n; c++)
            ledger_add(e->ledger, row, (enum ledger_count)columns[c], state_get_u64(r));
    }
}

/* Before version 5 only the place in the ring. */
static void load_marks(struct series *s, struct state_reader *r)
{
    uint64_t marks = state_get_u64(r);
    series_mark(s, r->version >= 5 ? marks : marks & 0xff);
}

static void load_series(struct series *s, struct state_reader *r)
{
    s->run_from_ms = (int64_t)state_get_u64(r);
    s->run_to_ms = (int64_t)state_get_u64(r);
    load_marks(s, r);
    state_get(r, s->ring, sizeof(s->ring));
}

/* d NULL: a device that is no longer there; its state is read and dropped. */
static void load_further(struct engine *e, const struct device *d, struct device_state *s,
                         struct state_reader *r)
{
    state_get(r, &s->clock, sizeof(s->clock));
    uint64_t ids = state_get_u64(r);
    s->ids_at = (uint8_t)(ids >> 1);
    if (ids & 1) {
        struct id_ring ring;
        state_get(r, &ring, sizeof(ring));
        if (d)
            *engine_ids_of(e, s) = ring;
    }
    uint64_t n = state_get_u64(r);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        char name[STATE_NAME_MAX + 1];
        struct series series = {.at = 0};
        state_get_name(r, name);
        load_series(&series, r);
        struct point_state *p =
            d && !r->failed ? engine_point_add(e, d->index, name, strlen(name)) : NULL;
        if (p)
            p->series = series;
    }
}

static void load_clock(struct engine *e, struct state_reader *r)
{
    e->wall_held = state_get_u64(r) != 0;
    e->held_minus_engine_ns = (int64_t)state_get_u64(r);
    e->held_since_ns = state_get_u64(r);
    uint64_t packed = state_get_u64(r);
    e->vote_at = (uint32_t)(packed >> 32);
    for (uint32_t i = 0; i < (uint32_t)packed && !r->failed; i++) {
        char code[STATE_NAME_MAX + 1];
        state_get_name(r, code);
        int64_t v = (int64_t)state_get_u64(r);
        const struct device *d = registry_find(e->world->registry, code, strlen(code));
        if (d && e->n_votes < VOTES)
            e->votes[e->n_votes++] = (struct vote){d->index, v};
    }
}

static void load_sparkplug(struct engine *e, struct state_reader *r)
{
    uint64_t n = state_get_u64(r);
    const char *bytes = state_get_bytes(r, n);
    if (bytes && n > 0) {
        e->sparkplug = sparkplug_new();
        state_expect(r, sparkplug_load(e->sparkplug, bytes, (size_t)n) == 0);
    }
}

/* They were written in the order of their registry: *next is tried before it is searched. */
static const struct device *device_of(const struct engine *e, const char *code, size_t *next)
{
    const struct device *d = NULL;
    if (*next < e->n_devices)
        d = registry_device_at(e->world->registry, *next);
    if (!d || strcmp(d->code, code) != 0)
        d = registry_find(e->world->registry, code, strlen(code));
    if (d)
        *next = (size_t)d->index + 1;
    return d;
}

static void load_devices(struct engine *e, struct state_reader *r)
{
    memset(e->place_due, 0, (e->n_devices / 64 + 1) * sizeof(*e->place_due));
    size_t next = 0;
    uint64_t n = state_get_u64(r);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        char code[STATE_NAME_MAX + 1];
        state_get_name(r, code);
        const struct device *d = device_of(e, code, &next);
        struct device_state dropped = {0}, *s = d ? &e->devices[d->index] : &dropped;
        s->last_seen_ms = (int64_t)state_get_u64(r);
        s->last_time_ms = (int64_t)state_get_u64(r);
        s->series.run_from_ms = (int64_t)state_get_u64(r);
        s->series.run_to_ms = (int64_t)state_get_u64(r);
        uint64_t packed = state_get_u64(r);
        s->messages = (uint32_t)(packed >> 16);
        s->series.at = packed >> 8 & 0xff;
        if (d)
            engine_place_want(e, d->index, packed & 1);
        state_get(r, s->series.ring, sizeof(s->series.ring));
        if (r->version >= 5)
            load_marks(&s->series, r);
        if (r->version >= 2)
            load_further(e, d, s, r);
    }
}

static bool load_head(struct state_reader *r, char hash[STATE_NAME_MAX + 1])
{
    if (state_get_u64(r) != MAGIC)
        return false;
    r->version = state_get_u64(r);
    if (r->version < 1 || r->version > VERSION)
        return false;
    state_get_name(r, hash);
    return !r->failed && strlen(hash) == 32;
}

int engine_saved_hash(const char *bytes, size_t len, char out_hash[33])
{
    struct state_reader r = {.p = bytes, .end = bytes + len};
    char hash[STATE_NAME_MAX + 1];
    if (!load_head(&r, hash))
        return -EBADMSG;
    memcpy(out_hash, hash, 33);
    return 0;
}

/* As new, with the same world: half a state is none. */
static void forget(struct engine *e)
{
    const struct world *w = e->world;
    struct engine *fresh = engine_new(&e->out);
    engine_use(fresh, w);
    struct engine old = *e;
    *e = *fresh;
    *fresh = old;
    e->alarms->e = e;
    fresh->alarms->e = fresh;
    engine_free(fresh);
}

static void load_counters(struct state_reader *r, struct engine_counters *c)
{
    uint64_t n = state_get_u64(r);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        char name[STATE_NAME_MAX + 1];
        state_get_name(r, name);
        engine_counters_set(c, name, state_get_u64(r));
    }
}

/* All that is left but the mark at the end. Before version 3 they begin as new. */
static void load_alarms(struct engine *e, struct state_reader *r, struct engine_counters *c)
{
    if (r->failed)
        return;
    if (r->version < 3) {
        engine_alarms_ready(e, e->at.tick);
        return;
    }
    e->order_shift_ms = (int64_t)state_get_u64(r);
    if (r->version >= 4)
        load_counters(r, c);
    size_t left = state_left(r);
    const char *bytes =
        left < sizeof(uint64_t) ? NULL : state_get_bytes(r, left - sizeof(uint64_t));
    state_expect(r, bytes && engine_alarms_load(e, bytes, left - sizeof(uint64_t)) == 0);
}

int engine_load(struct engine *e, const char *bytes, size_t len)
{
    struct state_reader r = {.p = bytes, .end = bytes + len};
    struct engine_counters counted;
    char hash[STATE_NAME_MAX + 1];
    engine_counters(&counted);
    if (e->used)
        forget(e);
    e->used = true;
    if (!load_head(&r, hash))
        return -EBADMSG;
    state_get(&r, &e->at, sizeof(e->at));
    e->messages = state_get_u64(&r);
    e->wall_minus_engine_ns = (int64_t)state_get_u64(&r);
    e->wall_known = state_get_u64(&r) != 0;
    e->place_next_ns = state_get_u64(&r);
    e->rotate_next_ns = state_get_u64(&r);
    e->rotate_minute = (int64_t)state_get_u64(&r);
    e->place_cursor = (size_t)state_get_u64(&r);
    load_brokers(e, &r);
    load_ledger(e, &r);
    load_devices(e, &r);
    if (r.version >= 2) {
        load_clock(e, &r);
        load_sparkplug(e, &r);
    }
    engine_count_devices(e);
    load_alarms(e, &r, &counted);
    if (state_get_u64(&r) != MAGIC || !state_all_read(&r)) {
        forget(e);
        return -EBADMSG;
    }
    engine_counters_use(e, &counted);
    return 0;
}
