/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and compounds: what the registry says, and what the engine knows of them. */
#include "app/api_private.h"
#include "io/clock.h"

#include <string.h>

#define MAX_ANSWER    ((size_t)64 << 20)
#define MAX_DEVICES   10000
#define USUAL_DEVICES 1000 /* also of a limit of 0, which would be a page without an end */

static const struct registry *registry_of(const struct api *a)
{
    return engine_world(pipeline_engine(a->o.sources->pipeline))->registry;
}

static bool is_silent(const struct device *d, const struct engine_device *s)
{
    return d->expected_interval_s > 0 && !d->retired &&
           clock_wall_ns() / 1000000 - s->last_seen_ms > (int64_t)d->expected_interval_s * 3000;
}

static void device_json(const struct device *d, const struct engine_device *s, struct jsonw *w)
{
    jsonw_str(w, "device", d->code);
    jsonw_str(w, "kind", d->kind->name);
    jsonw_str(w, "compound", d->compound->code);
    jsonw_str(w, "building", d->building);
    jsonw_i64(w, "last_seen_ms", s->last_seen_ms);
    jsonw_u64(w, "messages", s->messages);
    jsonw_bool(w, "silent", is_silent(d, s));
    jsonw_bool(w, "life_safety", d->life_safety);
    jsonw_bool(w, "retired", d->retired);
}

static void more_json(const struct device *d, const struct engine_device *s, struct jsonw *w)
{
    jsonw_i64(w, "last_time_ms", s->last_time_ms);
    jsonw_i64(w, "clock_offset_ms", s->clock_offset_ms);
    jsonw_bool(w, "clock_off", s->clock_off);
    jsonw_str(w, "source_id", d->source_id);
    jsonw_str(w, "compound_name", d->compound->name);
    jsonw_str(w, "unit", d->unit);
    jsonw_str(w, "room", d->room);
    jsonw_str(w, "point", d->point);
    jsonw_str(w, "uplink", d->uplink);
    jsonw_str(w, "vendor", d->vendor);
    jsonw_str(w, "model", d->model);
    jsonw_str(w, "replaces", d->replaces ? d->replaces->code : "");
    jsonw_str(w, "replaced_by", d->replaced_by ? d->replaced_by->code : "");
    jsonw_str(w, "series", d->series);
    jsonw_u64(w, "expected_interval_s", d->expected_interval_s);
    jsonw_str(w, "note", d->note);
}

/* -- one -------------------------------------------------------------------------------------- */

void api_get_device(struct api *a, struct httpd_request *r, const char *rest)
{
    const struct device *d = registry_find(registry_of(a), rest, strlen(rest));
    if (!rest[0])
        api_get_devices(a, r, rest);
    else if (!d)
        api_error(r, 404, "no such device in the registry");
    else
        api_last(a, r, d);
}

/* A reload may have come between. */
void api_answer_device(struct api *a, struct httpd_request *r, const char *code,
                       const struct buf *last)
{
    const struct device *d = registry_find(registry_of(a), code, strlen(code));
    struct engine_device s;
    struct buf b;
    struct jsonw w;
    if (!d) {
        api_error(r, 404, "no such device in the registry");
        return;
    }
    engine_device(pipeline_engine(a->o.sources->pipeline), d, &s);
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    device_json(d, &s, &w);
    more_json(d, &s, &w);
    jsonw_raw(&w, "last", last->data, last->len);
    jsonw_end_object(&w);
    api_answer(r, 200, "application/json", &b);
}

/* -- all -------------------------------------------------------------------------------------- */

void api_get_devices(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    const struct registry *g = registry_of(a);
    struct buf b;
    struct jsonw w;
    const char *compound = httpd_query(r, "compound"), *silent = httpd_query(r, "silent");
    const char *one = httpd_query(r, "device");
    uint64_t limit = api_query_u64(r, "limit", 0), at = api_query_u64(r, "after", 0), n = 0;
    limit = limit == 0 ? USUAL_DEVICES : limit > MAX_DEVICES ? MAX_DEVICES : limit;
    bool silent_only = silent && strcmp(silent, "0") != 0;
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "total", registry_devices(g));
    jsonw_array(&w, "devices");
    for (; at < registry_devices(g) && n < limit; at++) {
        const struct device *d = registry_device_at(g, at);
        struct engine_device s;
        if ((compound && strcmp(d->compound->code, compound) != 0) ||
            (one && strcmp(d->code, one) != 0))
            continue;
        engine_device(pipeline_engine(a->o.sources->pipeline), d, &s);
        if (silent_only && !is_silent(d, &s))
            continue;
        jsonw_object(&w, NULL);
        device_json(d, &s, &w);
        jsonw_end_object(&w);
        n++;
    }
    jsonw_end_array(&w);
    if (at < registry_devices(g))
        jsonw_u64(&w, "after", at);
    else
        jsonw_null(&w, "after");
    jsonw_end_object(&w);
    api_answer(r, 200, "application/json", &b);
}

void api_get_compounds(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    const struct registry *g = registry_of(a);
    size_t n = registry_compounds(g);
    struct buf b;
    struct jsonw w;
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "compounds");
    for (size_t i = 0; i < n; i++) {
        const struct compound *c = registry_compound_at(g, i);
        jsonw_object(&w, NULL);
        jsonw_str(&w, "compound", c->code);
        jsonw_str(&w, "name", c->name);
        jsonw_str(&w, "district", c->district);
        jsonw_str(&w, "street", c->street);
        jsonw_str(&w, "community", c->community);
        jsonw_str(&w, "firm", c->firm);
        jsonw_str(&w, "tier", c->tier);
        jsonw_str(&w, "merged_into", c->merged_into);
        jsonw_str(&w, "split_from", c->split_from);
        jsonw_u64(&w, "devices", c->n_devices);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    api_answer(r, 200, "application/json", &b);
}
