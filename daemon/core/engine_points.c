/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/num.h"
#include "core/engine_private.h"

#include <math.h>
#include <string.h>

/* A device's own time is believed from 2015 on (before: clocks that were never set) up to ten
 * minutes ahead of receipt. */
#define TIME_MIN_MS   1420070400000
#define TIME_AHEAD_MS 600000

enum bad { BAD_RANGE, BAD_SENTINEL, BAD_TYPE, BAD_ENUM, BAD_N };
static const char *const bad_names[BAD_N] = {"range", "sentinel", "type", "enum"};

/* The judged values of one sample: at most one per metric, the first said. */
struct judged {
    struct field good[CATALOG_MAX_METRICS];
    struct field bad[CATALOG_MAX_METRICS];
    enum bad why[CATALOG_MAX_METRICS];
    bool slot[CATALOG_MAX_METRICS]; /* was it said? */
    size_t n_good, n_bad, unknown;
    uint32_t mask;
    uint64_t hash;
    char text[4096]; /* keys and texts of bad values */
    size_t text_len;
};

static bool sentinel(const struct metric *m, double v)
{
    for (size_t i = 0; i < m->n_sentinels; i++)
        if (m->sentinels[i] == v)
            return true;
    return false;
}

static bool as_number(const struct value *v, double *out)
{
    if (v->type == VALUE_FLOAT)
        *out = v->f;
    else if (v->type == VALUE_INT)
        *out = (double)v->i;
    else
        return false;
    return true;
}

/* A number in the metric's type, or why it is bad. */
static int convert_number(const struct engine *e, const struct device *d,
                          const struct metric *m, const struct value *v, struct value *out)
{
    double x;
    if (!as_number(v, &x))
        return BAD_TYPE;
    if (m->type == METRIC_INT && v->type == VALUE_FLOAT &&
        (x != floor(x) || fabs(x) > 9007199254740992.0))
        return BAD_TYPE;
    if (m->type == METRIC_INT)
        *out = (struct value){.type = VALUE_INT, .i = v->type == VALUE_INT ? v->i : (int64_t)x};
    else
        *out = (struct value){.type = VALUE_FLOAT, .f = x};
    if (sentinel(m, x))
        return BAD_SENTINEL;
    double min, max;
    registry_range(e->world->registry, d, m, &min, &max);
    return x < min || x > max ? BAD_RANGE : -1;
}

static int convert_bool(const struct value *v, struct value *out)
{
    if (v->type == VALUE_BOOL)
        *out = *v;
    else if (v->type == VALUE_INT && (v->i == 0 || v->i == 1))
        *out = (struct value){.type = VALUE_BOOL, .b = v->i == 1};
    else
        return BAD_TYPE;
    return -1;
}

static int convert_enum(const struct metric *m, const struct value *v, struct field *out)
{
    const struct metric_code *c = NULL;
    if (v->type == VALUE_STRING)
        c = metric_code(m, v->s.p, v->s.n);
    else if (v->type == VALUE_INT)
        c = metric_code_by_number(m, v->i);
    else
        return BAD_TYPE;
    if (!c)
        return BAD_ENUM;
    out->v = (struct value){.type = VALUE_STRING, .s = {c->name, strlen(c->name)}};
    out->code = c->code;
    out->has_code = true;
    return -1;
}

static int convert(const struct engine *e, const struct device *d, const struct metric *m,
                   const struct value *v, struct field *out)
{
    switch (m->type) {
    case METRIC_FLOAT:
    case METRIC_INT:
        return convert_number(e, d, m, v, &out->v);
    case METRIC_BOOL:
        return convert_bool(v, &out->v);
    case METRIC_ENUM:
        return convert_enum(m, v, out);
    case METRIC_STRING:
        break;
    }
    if (v->type != VALUE_STRING)
        return BAD_TYPE;
    out->v = *v;
    return -1;
}

/* A value that has not the metric's type keeps its words: field METRIC_raw, a string. */
static bool keep_words(struct judged *j, const struct metric *m, const struct value *v,
                       struct field *out)
{
    size_t words = v->type == VALUE_STRING ? (v->s.n < 256 ? v->s.n : 256) : 40;
    if (j->text_len + m->name_len + 4 + words > sizeof(j->text))
        return false;
    char *key = j->text + j->text_len;
    memcpy(key, m->name, m->name_len);
    memcpy(key + m->name_len, "_raw", 4);
    char *at = key + m->name_len + 4;
    size_t n = 0;
    switch (v->type) {
    case VALUE_STRING:
        n = words;
        while (n < v->s.n && n > 0 && ((unsigned char)v->s.p[n] & 0xc0) == 0x80)
            n--; /* not inside a character */
        memcpy(at, v->s.p, n);
        break;
    case VALUE_BOOL:
        n = v->b ? 4 : 5;
        memcpy(at, v->b ? "true" : "false", n);
        break;
    case VALUE_INT:
        n = num_put_i64(at, v->i);
        break;
    case VALUE_FLOAT:
        n = num_put_double(at, v->f);
        break;
    }
    *out = (struct field){
        .key = key, .key_len = m->name_len + 4, .v = {.type = VALUE_STRING, .s = {at, n}}};
    j->text_len += m->name_len + 4 + n;
    return true;
}

static void judge_value(struct engine *e, const struct device *d, const struct decoded_value *v,
                        struct judged *j)
{
    if (v->is_null)
        return;
    const struct metric *m = catalog_metric(e->world->catalog, d->kind, v->key, v->key_len);
    if (!m) {
        j->unknown++;
        e->stats.fields_unknown++;
        return;
    }
    if (j->slot[m->index]) /* said twice: the first stands (JSON leaves it open) */
        return;
    struct field f = {.key = m->name, .key_len = m->name_len};
    int why = convert(e, d, m, &v->v, &f);
    if (why < 0) {
        j->good[j->n_good++] = f;
    } else {
        e->stats.fields_bad++;
        if ((why == BAD_TYPE || why == BAD_ENUM) && !keep_words(j, m, &v->v, &f))
            return;
        j->why[j->n_bad] = (enum bad)why;
        j->bad[j->n_bad++] = f;
    }
    j->slot[m->index] = true;
    j->mask |= 1u << (m->index & 31);
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
static enum at_time look(const struct device_state *s, const struct judged *j, uint64_t t,
                         bool *out_there)
{
    enum at_time found = TIME_FREE;
    *out_there = false;
    for (size_t i = 0; i < RING; i++) {
        const struct seen *p = &s->ring[i];
        if (p->mask == 0 || p->time_hash >> 16 != t)
            continue;
        *out_there = true;
        if (p->mask == j->mask && p->hash == (uint32_t)j->hash &&
            (p->time_hash & 0xffff) == j->hash >> 48)
            return TIME_SAME;
        if (p->mask & j->mask)
            found = TIME_TAKEN;
    }
    return found;
}

static void note_run(struct device_state *s, int64_t wanted, int64_t got)
{
    if (wanted < s->run_from_ms || wanted > s->run_to_ms)
        s->run_from_ms = wanted;
    s->run_to_ms = got;
}

/* Finds the sample's place in time among the device's last points. False: it is there already.
 * A burst at one millisecond may be longer than the ring: what it was given is one run of
 * milliseconds, and goes on behind it. */
static bool place_in_time(struct device_state *s, const struct judged *j, int64_t *time_ms)
{
    int64_t wanted = *time_ms, t = wanted;
    for (;;) {
        bool there;
        enum at_time k = look(s, j, (uint64_t)t, &there);
        if (k == TIME_SAME)
            return false;
        if (k == TIME_FREE && (there || t < s->run_from_ms || t > s->run_to_ms))
            break;
        t++;
    }
    if (t != wanted)
        note_run(s, wanted, t);
    s->ring[s->at++ % RING] = (struct seen){.time_hash = (uint64_t)t << 16 | j->hash >> 48,
                                            .mask = j->mask,
                                            .hash = (uint32_t)j->hash};
    *time_ms = t;
    return true;
}

static int64_t sample_time(struct engine *e, const struct decoded_sample *s,
                           const struct record *r)
{
    int64_t received_ms = r->wall_ns > 0 ? r->wall_ns / 1000000 : 0;
    if (!s->has_time)
        return received_ms;
    if (s->time_ms >= TIME_MIN_MS && s->time_ms <= received_ms + TIME_AHEAD_MS)
        return s->time_ms;
    e->stats.times_replaced++;
    return received_ms;
}

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

static void emit_bad(struct engine *e, const struct device *d, const struct judged *j,
                     enum bad why, int64_t time_ms)
{
    struct field fields[CATALOG_MAX_METRICS];
    size_t n = 0;
    for (size_t i = 0; i < j->n_bad; i++)
        if (j->why[i] == why)
            fields[n++] = j->bad[i];
    buf_clear(&e->scratch);
    (void)buf_put(&e->scratch, d->series_bad, d->series_bad_len);
    (void)buf_puts(&e->scratch, ",reason=");
    (void)buf_puts(&e->scratch, bad_names[why]);
    emit(e, d, e->scratch.data, e->scratch.len, time_ms, fields, n);
}

/* Lines that the judged sample makes: one of good values, one per reason of bad ones. */
static unsigned lines_of(const struct judged *j, bool bad[BAD_N])
{
    unsigned n = j->n_good > 0;
    for (size_t i = 0; i < j->n_bad; i++) {
        n += !bad[j->why[i]];
        bad[j->why[i]] = true;
    }
    return n;
}

static void sample(struct engine *e, const struct device *d, const struct record *r,
                   const struct decoded_sample *s, unsigned *made, unsigned *duplicates)
{
    struct judged j;
    memset(j.slot, 0, sizeof(j.slot));
    j.n_good = j.n_bad = j.unknown = j.text_len = 0;
    j.mask = 0;
    for (size_t i = 0; i < s->n; i++)
        judge_value(e, d, &e->decoded.values[s->first + i], &j);
    struct device_state *st = &e->devices[d->index];
    if (j.mask == 0) {
        ledger_add(e->ledger, st->row, LEDGER_POINTS_DECODED, 1);
        ledger_add(e->ledger, st->row,
                   j.unknown ? LEDGER_POINTS_REFUSED_METRIC : LEDGER_POINTS_REFUSED_EMPTY, 1);
        return;
    }
    j.hash = hash_fields(hash_fields(5, j.good, j.n_good), j.bad, j.n_bad);
    int64_t time_ms = sample_time(e, s, r), wanted = time_ms;
    bool bad[BAD_N] = {false};
    unsigned n = lines_of(&j, bad);
    ledger_add(e->ledger, st->row, LEDGER_POINTS_DECODED, n);
    if (!place_in_time(st, &j, &time_ms)) {
        ledger_add(e->ledger, st->row, LEDGER_POINTS_DUPLICATE, n);
        *duplicates += n;
        return;
    }
    e->stats.times_moved += time_ms != wanted;
    if (time_ms > st->last_time_ms)
        st->last_time_ms = time_ms;
    ledger_add(e->ledger, st->row, LEDGER_POINTS_MADE, n);
    *made += n;
    if (j.n_good > 0)
        emit(e, d, d->series, d->series_len, time_ms, j.good, j.n_good);
    for (int why = 0; why < BAD_N; why++)
        if (bad[why])
            emit_bad(e, d, &j, (enum bad)why, time_ms);
}

void engine_points(struct engine *e, const struct device *d, const struct record *r,
                   unsigned *out_made, unsigned *out_duplicates)
{
    for (size_t i = 0; i < e->decoded.n_samples; i++)
        sample(e, d, r, &e->decoded.samples[i], out_made, out_duplicates);
}
