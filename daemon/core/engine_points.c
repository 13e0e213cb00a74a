/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the samples of a decoded message to points: each value is judged, each sample gets its
 * time and its place among the last points of its series.
 */
#include "base/hash.h"
#include "core/engine_private.h"
#include "core/judge.h"
#include "core/lineproto.h"

#include <math.h>
#include <string.h>

#define MAX_POINT_NAME 64 /* bytes */

/* The judged values of one sample: at most one per metric, the first said. */
struct reading {
    struct field good[CATALOG_MAX_METRICS + 1];
    struct field bad[CATALOG_MAX_METRICS];
    unsigned char why[CATALOG_MAX_METRICS]; /* enum quality_reason */
    bool slot[CATALOG_MAX_METRICS];         /* was it said? */
    unsigned char good_of[CATALOG_MAX_METRICS + 1], bad_of[CATALOG_MAX_METRICS]; /* metrics */
    size_t n_good, n_bad, unknown;
    unsigned char uncertain; /* enum quality_reason of a good line */
    uint8_t last;            /* metric that was found by its name, from 1; 0: none yet */
    uint32_t mask;
    uint64_t hash;
    struct judge_room room;
};

/* One sample under way. */
struct taking {
    const struct record *record;
    const struct device *device;
    const struct decoded_sample *sample;
    const struct point_state *further; /* NULL: the device's own point */
    int64_t time_ms;
    bool by_receipt; /* nothing says when it was true: no time, or none to be believed */
};

/* The metric of that name. Messages of a kind tend to say the same names in the same order: the
 * one that came after the last one is tried before the name is looked up. */
static const struct metric *find_metric(struct engine *e, const struct kind *k,
                                        const struct decoded_value *v, struct reading *g)
{
    uint8_t *after = &e->after[k->index % AFTER_KINDS][g->last];
    const struct metric *m = *after < k->n_metrics ? &k->metrics[*after] : NULL;
    if (!m || m->name_len != v->key_len || memcmp(m->name, v->key, v->key_len) != 0) {
        m = catalog_metric(e->world->catalog, k, v->key, v->key_len);
        if (!m)
            return NULL;
        *after = (uint8_t)m->index;
    }
    g->last = (uint8_t)(m->index + 1);
    return m;
}

static void count_quality(struct engine *e, struct reading *g, enum quality quality,
                          enum quality_reason reason)
{
    if (quality == QUALITY_UNCERTAIN) {
        e->stats.values_uncertain[reason]++;
        g->uncertain = (unsigned char)reason;
    }
    if (quality != QUALITY_BAD) {
        g->n_good++;
        return;
    }
    e->stats.fields_bad++;
    e->stats.values_bad[reason]++;
    g->why[g->n_bad] = (unsigned char)reason;
    g->bad[g->n_bad++] = g->good[g->n_good];
}

static void take_value(struct engine *e, const struct taking *t, const struct decoded_value *v,
                       struct reading *g)
{
    const struct device *d = t->device;
    enum quality quality;
    enum quality_reason reason;
    double min = -HUGE_VAL, max = HUGE_VAL;
    if (v->is_null)
        return;
    /* Which metric it is and in which unit: by its profile, or by its name. */
    const struct profile_metric *way = v->from ? profile_metric(v, d->kind) : NULL;
    const struct metric *m = way ? way->metric : v->from ? NULL : find_metric(e, d->kind, v, g);
    if (!m && v->from && v->from->limited)
        return;
    if (!m) {
        g->unknown++;
        e->stats.fields_unknown++;
        engine_note_strange(e, t->record, d->kind->name, v->key, v->key_len, d);
        return;
    }
    if (g->slot[m->index]) /* said twice: the first stands (JSON leaves it open) */
        return;
    if (d->has_range && (m->type == METRIC_FLOAT || m->type == METRIC_INT))
        registry_range(e->world->registry, d, m, &min, &max);
    else
        judge_range(m, &min, &max);
    struct field *out = &g->good[g->n_good];
    g->good_of[g->n_good] = g->bad_of[g->n_bad] = (unsigned char)m->index; /* one of them */
    if ((!way || way->same) && judge_plain(v, m, min, max, out)) {
        g->n_good++;
    } else {
        struct profile_metric as_is = judge_as_is(m);
        if (!judge_field(v, way ? way : &as_is, min, max, &g->room, out, &quality, &reason))
            return;
        count_quality(e, g, quality, reason);
    }
    g->slot[m->index] = true;
    g->mask |= 1u << (m->index & 31);
}

/* Keys and values in the order in which they were said; many small ones hashed as one. */
static uint64_t hash_fields(uint64_t h, const struct field *f, size_t n)
{
    char room[512];
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t head[2] = {0, (uint64_t)f[i].v.type << 32 | f[i].key_len};
        if (f[i].v.type == VALUE_STRING)
            head[0] = hash64(2, f[i].v.s.p, f[i].v.s.n);
        else if (f[i].v.type == VALUE_BOOL)
            head[0] = f[i].v.b;
        else
            memcpy(&head[0], &f[i].v.i, sizeof(head[0])); /* the union's eight bytes */
        size_t key = f[i].key_len < 256 ? f[i].key_len : 256;
        if (at + sizeof(head) + key > sizeof(room)) {
            h = hash64(h, room, at);
            at = 0;
        }
        memcpy(room + at, head, sizeof(head));
        memcpy(room + at + sizeof(head), f[i].key, key);
        at += sizeof(head) + key;
    }
    return hash64(h, room, at);
}

enum at_time { TIME_FREE, TIME_TAKEN, TIME_SAME };

/* What the ring knows of one millisecond: nothing in the way, other values of the same metrics, or this
 * very point. `*out_there`: some point has it. */
static enum at_time look(const struct series *s, const struct reading *j, uint64_t t,
                         bool *out_there)
{
    enum at_time found = TIME_FREE;
    *out_there = false;
    for (size_t i = 0; i < RING; i++) {
        const struct seen *p = &s->ring[i];
        if (p->mask == 0 || p->time_hash >> 16 != t)
            continue;
        *out_there = true;
        /* the hash is of the metrics' names, too; in the masks they are numbers, which another
         * catalogue may give to others */
        if (p->hash == (uint32_t)j->hash && (p->time_hash & 0xffff) == j->hash >> 48)
            return TIME_SAME;
        if (p->mask & j->mask)
            found = TIME_TAKEN;
    }
    return found;
}

/* Within a run only what the ring knows can hold it: the next millisecond that is worth a look. */
static int64_t next_in_run(const struct series *s, int64_t t)
{
    int64_t next = s->run_to_ms + 1;
    for (size_t i = 0; i < RING; i++) {
        int64_t known = (int64_t)(s->ring[i].time_hash >> 16);
        if (s->ring[i].mask != 0 && known > t && known < next)
            next = known;
    }
    return next;
}

/* A run never gets shorter: that other metrics joined a point in its middle frees none behind it. */
static void note_run(struct series *s, int64_t wanted, int64_t got)
{
    if (wanted < s->run_from_ms || wanted > s->run_to_ms)
        s->run_from_ms = wanted;
    else if (got < s->run_to_ms)
        return;
    s->run_to_ms = got;
}

/* Is all that the ring knows of the run? Then it may have forgotten a part of it. */
static bool run_fills_ring(const struct series *s)
{
    for (size_t i = 0; i < RING; i++) {
        int64_t t = (int64_t)(s->ring[i].time_hash >> 16);
        if (s->ring[i].mask == 0 || t < s->run_from_ms || t > s->run_to_ms)
            return false;
    }
    return true;
}

/* May a point be at a millisecond of which the ring knows no value of its metrics? Within a run only
 * beside others; and if the ring has forgotten some of it, only beside the newest: at the others may
 * have been the same metrics. */
static bool has_place(const struct series *s, int64_t t, bool there)
{
    if (t < s->run_from_ms || t > s->run_to_ms)
        return true;
    return there && (t == s->run_to_ms || !run_fills_ring(s));
}

/* Of one time other values of just these metrics came behind the one at t: on, off, and on again, by a clock
 * that tells seconds. */
static bool is_outlived(const struct series *s, const struct reading *j, int64_t t)
{
    if (t < s->run_from_ms)
        return false;
    for (size_t i = 0; i < RING; i++) {
        const struct seen *p = &s->ring[i];
        int64_t at = (int64_t)(p->time_hash >> 16);
        if (at > t && at <= s->run_to_ms && p->mask == j->mask && p->hash != (uint32_t)j->hash)
            return true;
    }
    return false;
}

/* Finds the sample's place in time among its series' last points. False: it is there already.
 * A burst at one millisecond may be longer than the ring: what it was given is one run of
 * milliseconds, and goes on behind it. again: the broker says that it may have sent it before. */
static bool place_in_time(struct series *s, const struct reading *j, bool again,
                          int64_t *time_ms)
{
    int64_t wanted = *time_ms, t = wanted;
    for (;;) {
        bool there;
        enum at_time k = look(s, j, (uint64_t)t, &there);
        if (k == TIME_SAME && (again || !is_outlived(s, j, t)))
            return false;
        if (k == TIME_SAME)
            k = TIME_TAKEN;
        if (k == TIME_FREE && has_place(s, t, there))
            break;
        t = k == TIME_FREE ? next_in_run(s, t) : t + 1;
    }
    if (t != wanted)
        note_run(s, wanted, t);
    s->ring[s->at++ % RING] = (struct seen){.time_hash = (uint64_t)t << 16 | j->hash >> 48,
                                            .mask = j->mask,
                                            .hash = (uint32_t)j->hash};
    *time_ms = t;
    return true;
}

/* What is taken up again is history, unless nothing newer is known. */
static void note_told(struct series *s, const struct record *r, int64_t time_ms, bool late)
{
    if (r->type == RECORD_REINJECT)
        for (size_t i = 0; i < RING; i++)
            if (s->ring[i].mask != 0 && (int64_t)(s->ring[i].time_hash >> 16) > time_ms)
                return;
    s->told = r->offset & TOLD_BITS;
    s->told_late = late;
}

/* -- times ----------------------------------------------------------------------------------- */

/* The sample's stamp; what makes it uncertain, or REASON_NONE. */
static enum quality_reason stamp(struct engine *e, struct taking *t, bool catching_up,
                                 int64_t received_ms, int64_t *out_ms)
{
    const struct decoded_sample *s = t->sample;
    *out_ms = received_ms;
    t->by_receipt = true;
    if (s->time_unread) {
        e->stats.times_unread++;
        return REASON_CLOCK;
    }
    if (!s->has_time)
        return catching_up ? REASON_CATCH_UP : REASON_NONE;
    enum clock_verdict v =
        clock_fit_stamp(&e->devices[t->device->index].clock, s->time_ms, received_ms, out_ms);
    t->by_receipt = v == CLOCK_REPLACED;
    switch (v) {
    case CLOCK_TOLD:
        return REASON_NONE;
    case CLOCK_DOUBTED:
        e->stats.times_doubted++;
        break;
    case CLOCK_CORRECTED:
        e->stats.times_corrected++;
        break;
    case CLOCK_REPLACED:
        e->stats.times_replaced++;
        break;
    }
    return REASON_CLOCK;
}

/* -- lines ----------------------------------------------------------------------------------- */

static void emit(struct engine *e, const struct device *d, const char *series,
                 size_t series_len, int64_t time_ms, const struct field *fields, size_t n)
{
    struct point p = {.series = series,
                      .series_len = series_len,
                      .compound = d->compound->code,
                      .class_ = d->life_safety ? POINT_KEEP : POINT_ROUTINE,
                      .time_ms = time_ms,
                      .fields = fields,
                      .n_fields = n};
    e->stats.points++;
    e->out.point(e->out.ctx, &p);
}

/* The series of a further point: as the registry makes that of the device's own. */
static void put_series(struct engine *e, const struct taking *t, bool bad)
{
    const struct device *d = t->device;
    buf_clear(&e->scratch);
    if (!t->further) {
        (void)(bad ? device_put_series_bad(d, &e->scratch)
                   : buf_put(&e->scratch, d->series, d->series_len));
        return;
    }
    const struct lineproto_tag tags[] = {{"building", d->building},
                                         {"compound", d->compound->code},
                                         {"device", d->code},
                                         {"point", t->further->name}};
    char kind[256];
    size_t n = strnlen(d->kind->name, sizeof(kind) - 5);
    memcpy(kind, d->kind->name, n);
    memcpy(kind + n, "_bad", 5);
    if (!bad)
        kind[n] = '\0';
    (void)lineproto_put_series(&e->scratch, kind, tags, 4);
}

/* A line that is not quite certain says why, in a field of ours. */
static void emit_good(struct engine *e, const struct taking *t, struct reading *g)
{
    const struct device *d = t->device;
    if (g->uncertain) {
        const char *why = judge_reason((enum quality_reason)g->uncertain);
        g->good[g->n_good++] =
            (struct field){.key = "uncertain",
                           .key_len = 9,
                           .v = {.type = VALUE_STRING, .s = {why, strlen(why)}},
                           .code = g->uncertain,
                           .has_code = true};
    }
    if (!t->further) {
        emit(e, d, d->series, d->series_len, t->time_ms, g->good, g->n_good);
        return;
    }
    put_series(e, t, false);
    emit(e, d, e->scratch.data, e->scratch.len, t->time_ms, g->good, g->n_good);
}

static void emit_bad(struct engine *e, const struct taking *t, const struct reading *g,
                     unsigned why)
{
    struct field fields[CATALOG_MAX_METRICS];
    size_t n = 0;
    for (size_t i = 0; i < g->n_bad; i++)
        if (g->why[i] == why)
            fields[n++] = g->bad[i];
    put_series(e, t, true);
    (void)buf_puts(&e->scratch, ",reason=");
    (void)buf_puts(&e->scratch, judge_reason((enum quality_reason)why));
    emit(e, t->device, e->scratch.data, e->scratch.len, t->time_ms, fields, n);
}

/* Lines that the judged sample makes: one of good values, one per reason of bad ones. */
static unsigned lines_of(const struct reading *g, bool bad[REASON_N])
{
    unsigned n = g->n_good > 0;
    for (size_t i = 0; i < g->n_bad; i++) {
        n += !bad[g->why[i]];
        bad[g->why[i]] = true;
    }
    return n;
}

/* -- samples --------------------------------------------------------------------------------- */

/* Its values, judged; nothing and counted if it has none of this kind of device. */
static bool read_values(struct engine *e, const struct taking *t, struct reading *g,
                        struct outcome *o)
{
    uint32_t row = e->devices[t->device->index].row;
    memset(g->slot, 0, sizeof(g->slot));
    g->n_good = g->n_bad = g->unknown = g->room.n = 0;
    g->uncertain = REASON_NONE;
    g->last = 0;
    g->mask = 0;
    for (size_t i = 0; i < t->sample->n; i++)
        take_value(e, t, &e->decoded.values[t->sample->first + i], g);
    if (g->mask == 0) {
        ledger_add(e->ledger, row, LEDGER_POINTS_DECODED, 1);
        ledger_add(e->ledger, row,
                   g->unknown ? LEDGER_POINTS_REFUSED_METRIC : LEDGER_POINTS_REFUSED_EMPTY, 1);
        o->refused++;
        return false;
    }
    g->hash = hash_fields(hash_fields(5, g->good, g->n_good), g->bad, g->n_bad);
    return true;
}

/* The place of a stamp on the engine's axis. A time of the device's own has one, in whatever part of its
 * millisecond the message came: else the second of two messages of one time might be the older one. */
static uint64_t order_of(const struct engine *e, const struct record *r, bool own_time,
                         int64_t late_ms)
{
    int64_t now = (int64_t)r->engine_ns, wall = now + e->wall_minus_engine_ns;
    int64_t order = now - late_ms * 1000000 - (own_time && wall > 0 ? wall % 1000000 : 0);
    return order > 0 ? (uint64_t)order : 0;
}

/* What the sample says to the alarms. Reinjected ones are history. */
static void alarm(struct engine *e, const struct record *r, const struct taking *t,
                  const struct reading *g, bool catching_up, int64_t received_ms)
{
    int64_t late_ms = received_ms - t->time_ms;
    if (late_ms > 0 && t->sample->has_time) {
        int64_t shift_ms = engine_order_shift_ms(e, t->device);
        late_ms = late_ms > shift_ms ? late_ms - shift_ms : 0;
    }
    bool old = catching_up && t->by_receipt; /* in the order in which it came */
    struct alarm_sample s = {.device = t->device,
                             .point = t->further ? t->further->name : "",
                             .fields = g->good,
                             .metrics = g->good_of,
                             .n = g->n_good,
                             .bad = g->bad_of,
                             .n_bad = g->n_bad,
                             .time_ms = t->time_ms,
                             .received_ms = received_ms,
                             .order_ns = order_of(e, r, !t->by_receipt, late_ms),
                             .engine_ns = r->engine_ns,
                             .catch_up = old,
                             .alive = !t->sample->not_alive,
                             .named =
                                 !t->further && t->sample->point && t->sample->point_len > 0};
    if (r->type == RECORD_MESSAGE)
        engine_alarms_sample(e, &s);
}

/* The sample's point: a name of one line, at most MAX_POINT_NAME bytes. */
static bool find_series(struct engine *e, struct taking *t, struct series **out,
                        struct outcome *o)
{
    const struct decoded_sample *s = t->sample;
    uint32_t row = e->devices[t->device->index].row;
    size_t len = s->point ? s->point_len : 0;
    *out = NULL;
    if (len <= MAX_POINT_NAME && (len == 0 || !memchr(s->point, '\0', len)))
        *out = engine_series(e, t->device, s->point, len, &t->further);
    if (*out)
        return true;
    ledger_add(e->ledger, row, LEDGER_POINTS_DECODED, 1);
    ledger_add(e->ledger, row, LEDGER_POINTS_REFUSED_TOO_MANY, 1);
    o->too_many++;
    return false;
}

static void sample(struct engine *e, const struct record *r, struct taking *t, bool repeated,
                   bool catching_up, int64_t received_ms, struct outcome *o)
{
    struct device_state *st = &e->devices[t->device->index];
    struct reading g;
    struct series *series;
    if (e->alarms->wanted)
        engine_alarms_expect(e, t->device, true);
    if (!find_series(e, t, &series, o) || !read_values(e, t, &g, o))
        return;
    enum quality_reason doubt = stamp(e, t, catching_up, received_ms, &t->time_ms);
    int64_t wanted = t->time_ms;
    bool bad[REASON_N] = {false};
    unsigned n = lines_of(&g, bad);
    ledger_add(e->ledger, st->row, LEDGER_POINTS_DECODED, n);
    bool again = r->type != RECORD_MESSAGE || r->flags & RECORD_DUP;
    if (repeated || !place_in_time(series, &g, again, &t->time_ms)) {
        e->stats.repeated_ids += repeated;
        ledger_add(e->ledger, st->row, LEDGER_POINTS_DUPLICATE, n);
        o->duplicates += n;
        return;
    }
    note_told(series, r, t->time_ms, catching_up);
    if (doubt != REASON_NONE) {
        e->stats.values_uncertain[doubt] += g.n_good;
        g.uncertain = (unsigned char)doubt;
    }
    e->stats.times_moved += t->time_ms != wanted;
    if (t->time_ms > st->last_time_ms)
        st->last_time_ms = t->time_ms;
    ledger_add(e->ledger, st->row, LEDGER_POINTS_MADE, n);
    o->made += n;
    if (e->alarms->wanted)
        alarm(e, r, t, &g, catching_up, received_ms);
    if (g.n_good > 0)
        emit_good(e, t, &g);
    for (unsigned why = 0; g.n_bad > 0 && why < REASON_N; why++)
        if (bad[why])
            emit_bad(e, t, &g, why);
}

void engine_point(struct engine *e, const struct record *r, const struct device *d,
                  int64_t received_ms, struct outcome *o)
{
    struct taking t = {.record = r, .device = d, .sample = &e->decoded.samples[0]};
    sample(e, r, &t, false, engine_catching_up(e, r), received_ms, o);
}

void engine_points(struct engine *e, const struct record *r, int64_t received_ms,
                   struct outcome *o)
{
    bool catching_up = engine_catching_up(e, r);
    for (size_t i = 0; i < e->decoded.n_samples; i++) {
        const struct speech *p = &e->speeches[i];
        if (!p->device)
            continue;
        struct taking t = {.record = r, .device = p->device, .sample = &e->decoded.samples[i]};
        sample(e, r, &t, p->repeated, catching_up, received_ms, o);
    }
}
