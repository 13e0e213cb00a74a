/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine_recall.h"
#include "base/mem.h"
#include "core/engine_private.h"
#include "core/judge.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_NS INT64_C(3600000000000)

struct recall {
    const struct engine *e;
    const struct world *world;
    struct json *json;       /* NULL until it is needed, as the next */
    struct profile_run *run; /* owns what a profile decoded */
    struct decoded decoded;
    struct topic_match match;
    const struct world_source *source;
    int64_t received_ms;
    struct judge_room room;
};

/* -- which messages ---------------------------------------------------------------------------- */

static void told_of(const struct series *s, const char *point, bool own, size_t *n,
                    struct engine_told *out)
{
    struct engine_told t = {
        .point = point, .own = own, .late = s->told_late, .offset = s->told};
    bool any = false;
    for (size_t i = 0; i < RING; i++) {
        int64_t time_ms = (int64_t)(s->ring[i].time_hash >> 16);
        if (s->ring[i].mask == 0 || (any && time_ms < t.time_ms))
            continue;
        any = true;
        t.time_ms = time_ms;
    }
    if (any)
        out[(*n)++] = t;
}

size_t engine_told(const struct engine *e, const struct device *d,
                   struct engine_told out[ENGINE_MAX_TOLD])
{
    const struct device_state *s = &e->devices[d->index];
    uint32_t order[ENGINE_MAX_POINTS], k = 0;
    size_t n = 0;
    told_of(&s->series, d->point, true, &n, out);
    for (uint32_t i = s->points; i && k < ENGINE_MAX_POINTS; i = e->points[i - 1].next)
        order[k++] = i - 1; /* the newest first */
    while (k-- > 0)
        told_of(&e->points[order[k]].series, e->points[order[k]].name, false, &n, out);
    return n;
}

/* -- the message ------------------------------------------------------------------------------- */

struct recall *recall_new(const struct engine *e)
{
    struct recall *x = mem_zalloc(sizeof(*x));
    x->e = e;
    x->world = e->world;
    return x;
}

void recall_free(struct recall *x)
{
    if (!x)
        return;
    json_free(x->json);
    profile_run_free(x->run);
    decoded_done(&x->decoded);
    free(x);
}

/* As its samples were stamped: by its own wall time, unless that was a step which is not believed
 * (or was not then, and is forgotten by now: the hour of docs/time.md). */
static int64_t receipt_of(const struct engine *e, const struct record *r)
{
    int64_t step = r->wall_ns - (int64_t)r->engine_ns - e->wall_minus_engine_ns;
    if (r->type == RECORD_REINJECT || step < -HOUR_NS || step > HOUR_NS)
        return engine_stamp_ms(e, r);
    return r->wall_ns > 0 ? r->wall_ns / 1000000 : 0;
}

/* False: another source may take it. */
static bool ask(struct recall *x, const struct world_source *s, const struct record *r,
                bool *out_said)
{
    const char *why;
    if (!s->profile) {
        if (!x->json)
            x->json = json_new(MAX_MESSAGE);
        *out_said = r->body_len > 0 &&
                    native_decode(x->json, r->body, r->body_len, &x->decoded, &why) == 0;
        return true;
    }
    if (!x->run)
        x->run = profile_run_new(MAX_MESSAGE);
    bool again = r->type == RECORD_REINJECT;
    const struct profile_input in = {.topic = r->topic,
                                     .topic_len = r->topic_len,
                                     .match = &x->match,
                                     .payload = r->body,
                                     .len = r->body_len,
                                     .received_ms = x->received_ms,
                                     .sparkplug = x->e->sparkplug,
                                     .look = true,
                                     .again = again,
                                     .broker = again ? s->broker : r->broker};
    struct profile_verdict v = {.outcome = PROFILE_NOT_MINE};
    profile_decode(s->profile, x->run, &in, &x->decoded, &v);
    *out_said = v.outcome == PROFILE_SAMPLES;
    return v.outcome != PROFILE_NOT_MINE;
}

/* The sources in their order, as the engine asks them; those of another broker behind, because
 * brokers may have got other numbers since. */
bool recall_message(struct recall *x, const struct record *r)
{
    const struct world *w = x->world;
    bool said = false;
    x->source = NULL;
    decoded_clear(&x->decoded);
    x->received_ms = receipt_of(x->e, r);
    if (!record_is_message(r->type) || r->flags & RECORD_CUT)
        return false;
    for (unsigned other = 0; other < 2; other++) {
        for (size_t i = 0; i < w->n_sources; i++) {
            const struct world_source *s = &w->sources[i];
            if ((s->broker != r->broker) != other ||
                !topic_matches(s->topic, r->topic, r->topic_len, &x->match) ||
                !ask(x, s, r, &said))
                continue;
            x->source = s;
            return said;
        }
    }
    return false;
}

int64_t recall_received_ms(const struct recall *x)
{
    return x->received_ms;
}

const char *recall_profile(const struct recall *x)
{
    return x->source && x->source->profile ? profile_name(x->source->profile) : WORLD_NATIVE;
}

/* -- its values -------------------------------------------------------------------------------- */

struct chosen { /* of one metric: the newest value so far */
    const struct decoded_value *value;
    const struct decoded_sample *sample;
    int64_t time_ms;
};

/* Whose sample it is, as the engine finds it; that it was taken is known. */
static bool speaks_for(const struct recall *x, const struct decoded_sample *s,
                       const struct device *d, const struct engine_told *t)
{
    const struct topic_capture *c = s->device ? NULL : topic_get(&x->match, "device");
    const char *id = s->device ? s->device : c ? c->p : "";
    size_t len = s->device ? s->device_len : c ? c->n : 0;
    if (len == 0 || registry_find_said(x->world->registry, id, len) != d)
        return false;
    const char *point = s->point ? s->point : "";
    len = s->point ? s->point_len : 0;
    bool own = len == 0 || (strlen(d->point) == len && memcmp(d->point, point, len) == 0);
    if (t->own || own)
        return t->own && own;
    return strlen(t->point) == len && memcmp(t->point, point, len) == 0;
}

/* When, by whose clock, and what makes it uncertain. */
static enum quality_reason stamp(const struct recall *x, const struct device *d,
                                 const struct decoded_sample *s, bool late, int64_t *out_ms,
                                 enum recalled_clock *out_clock)
{
    *out_ms = x->received_ms;
    *out_clock = RECALLED_RECEIPT;
    if (s->time_unread)
        return REASON_CLOCK;
    if (!s->has_time)
        return late ? REASON_CATCH_UP : REASON_NONE;
    switch (
        clock_fit_stamp(&x->e->devices[d->index].clock, s->time_ms, x->received_ms, out_ms)) {
    case CLOCK_TOLD:
        *out_clock = RECALLED_DEVICE;
        return REASON_NONE;
    case CLOCK_DOUBTED:
        *out_clock = RECALLED_DEVICE;
        break;
    case CLOCK_CORRECTED:
        *out_clock = RECALLED_CORRECTED;
        break;
    case CLOCK_REPLACED:
        break;
    }
    return REASON_CLOCK;
}

/* As the engine's take_value(). False: it says nothing. */
static bool judge(struct recall *x, const struct device *d, const struct decoded_value *v,
                  struct profile_metric *way, struct judged *out)
{
    double min, max;
    if (v->is_null || !judge_way(x->world->catalog, d->kind, v, way))
        return false;
    registry_range(x->world->registry, d, way->metric, &min, &max);
    x->room.n = 0;
    return judge_value(v, way, min, max, &x->room, out);
}

static void choose(struct recall *x, const struct device *d, const struct decoded_sample *s,
                   int64_t time_ms, struct chosen *chosen)
{
    bool said[CATALOG_MAX_METRICS] = {false}; /* twice: the first stands */
    for (size_t i = 0; i < s->n; i++) {
        const struct decoded_value *v = &x->decoded.values[s->first + i];
        struct profile_metric way;
        struct judged j;
        if (!judge(x, d, v, &way, &j) || said[way.metric->index])
            continue;
        struct chosen *c = &chosen[way.metric->index];
        said[way.metric->index] = true;
        if (!c->value || time_ms >= c->time_ms)
            *c = (struct chosen){v, s, time_ms};
    }
}

/* As judge_field() keeps it. */
static bool kept_as_told(const struct decoded_value *v, const struct judged *j)
{
    if (j->quality != QUALITY_BAD)
        return false;
    return j->reason == REASON_TYPE || j->reason == REASON_ENUM ||
           (v->quality == QUALITY_BAD &&
            (j->reason == REASON_SENTINEL || j->reason == REASON_FAULT));
}

static void tell(struct recall *x, const struct device *d, const struct chosen *c, bool late,
                 recalled_fn *fn, void *ctx)
{
    struct profile_metric way;
    struct judged j;
    struct recalled v = {0};
    enum quality_reason doubt = stamp(x, d, c->sample, late, &v.time_ms, &v.clock);
    (void)judge(x, d, c->value, &way, &j);
    v.metric = way.metric;
    v.value = j.field.v;
    v.as_told = kept_as_told(c->value, &j);
    v.has_code = j.field.has_code;
    v.code = j.field.code;
    v.quality = (enum quality)j.quality;
    v.reason = (enum quality_reason)j.reason;
    if (v.quality != QUALITY_BAD && doubt != REASON_NONE) {
        v.quality = QUALITY_UNCERTAIN;
        v.reason = doubt;
    }
    fn(ctx, &v);
}

size_t recall_values(struct recall *x, const struct device *d, const struct engine_told *t,
                     recalled_fn *fn, void *ctx)
{
    struct chosen chosen[CATALOG_MAX_METRICS] = {{NULL, NULL, 0}};
    enum recalled_clock clock;
    int64_t time_ms;
    size_t n = 0;
    for (size_t i = 0; i < x->decoded.n_samples; i++) {
        const struct decoded_sample *s = &x->decoded.samples[i];
        if (!speaks_for(x, s, d, t))
            continue;
        (void)stamp(x, d, s, t->late, &time_ms, &clock);
        choose(x, d, s, time_ms, chosen);
    }
    for (size_t m = 0; m < d->kind->n_metrics; m++) {
        if (!chosen[m].value)
            continue;
        tell(x, d, &chosen[m], t->late, fn, ctx);
        n++;
    }
    return n;
}
