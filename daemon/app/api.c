/* SPDX-License-Identifier: Apache-2.0 */
#include "app/api_private.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/json.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER  ((size_t)64 << 20)
#define MAX_DEVICES 10000
#define MAX_REPLAY  100000
#define MAX_LINE    ((size_t)1 << 20)

struct api *api_new(const struct api_options *o)
{
    struct api *a = mem_zalloc(sizeof(*a));
    a->o = *o;
    api_commands_init(a);
    return a;
}

void api_free(struct api *a)
{
    if (a)
        api_commands_done(a);
    free(a);
}

void api_answer(struct httpd_request *r, int status, const char *type, struct buf *b)
{
    if (b->failed)
        httpd_answer(r, 500, "application/json", "{\"error\":\"the answer is too large\"}", 35);
    else
        httpd_answer(r, status, type, b->data ? b->data : "", b->len);
    buf_done(b);
}

void api_error(struct httpd_request *r, int status, const char *text)
{
    struct buf b;
    struct jsonw w;
    buf_init(&b, 65536);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_str(&w, "error", text);
    jsonw_end_object(&w);
    api_answer(r, status, "application/json", &b);
}

uint64_t api_query_u64(const struct httpd_request *r, const char *key, uint64_t otherwise)
{
    const char *s = httpd_query(r, key);
    uint64_t v;
    return s && num_get_u64(s, strlen(s), &v) == 0 ? v : otherwise;
}

/* -- what is ------------------------------------------------------------------------------ */

static void get_metrics(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct buf b;
    buf_init(&b, MAX_ANSWER);
    report_metrics(a->o.sources, &b);
    api_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static void get_health(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)a;
    (void)rest;
    httpd_answer(r, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

static void get_ready(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct buf b;
    struct jsonw w;
    bool ready = a->o.ready(a->o.ctx);
    struct tell_stats alerts = {0};
    if (a->o.sources->tell) { /* 200 says that alarms reach somebody, too */
        tell_stats(a->o.sources->tell, &alerts);
        ready = ready && alerts.ready;
    }
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_bool(&w, "ready", ready);
    jsonw_object(&w, "sinks");
    for (size_t i = 0; i < a->o.sources->n_sinks; i++) {
        struct sink_stats s;
        sink_stats(a->o.sources->sinks[i], &s);
        jsonw_str(&w, s.id, s.state);
    }
    jsonw_end_object(&w);
    if (alerts.link)
        jsonw_str(&w, "alerts", alerts.link);
    jsonw_end_object(&w);
    api_answer(r, ready ? 200 : 503, "application/json", &b);
}

static void get_status(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct buf b;
    buf_init(&b, MAX_ANSWER);
    report_status(a->o.sources, a->o.rates, &b);
    api_answer(r, 200, "application/json", &b);
}

static void get_ledger(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct buf b;
    buf_init(&b, MAX_ANSWER);
    report_ledger(a->o.sources, &b);
    api_answer(r, 200, "application/json", &b);
}

static void get_unknown(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct buf b;
    buf_init(&b, MAX_ANSWER);
    report_strange(a->o.sources, httpd_query(r, "profile"), &b);
    api_answer(r, 200, "application/json", &b);
}

/* -- devices, compounds ------------------------------------------------------------------- */

static bool is_silent(const struct api *a, const struct device *d)
{
    struct engine_device s;
    engine_device(pipeline_engine(a->o.sources->pipeline), d, &s);
    return d->expected_interval_s > 0 && !d->retired &&
           clock_wall_ns() / 1000000 - s.last_seen_ms > (int64_t)d->expected_interval_s * 3000;
}

static void device_json(const struct api *a, const struct device *d, struct jsonw *w, bool all)
{
    struct engine_device s;
    engine_device(pipeline_engine(a->o.sources->pipeline), d, &s);
    jsonw_object(w, NULL);
    jsonw_str(w, "device", d->code);
    jsonw_str(w, "kind", d->kind->name);
    jsonw_str(w, "compound", d->compound->code);
    jsonw_str(w, "building", d->building);
    jsonw_i64(w, "last_seen_ms", s.last_seen_ms);
    jsonw_u64(w, "messages", s.messages);
    jsonw_bool(w, "silent", is_silent(a, d));
    jsonw_bool(w, "life_safety", d->life_safety);
    jsonw_bool(w, "retired", d->retired);
    if (all) {
        jsonw_i64(w, "last_time_ms", s.last_time_ms);
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
    jsonw_end_object(w);
}

static const struct registry *registry_of(const struct api *a)
{
    return engine_world(pipeline_engine(a->o.sources->pipeline))->registry;
}

static void get_devices(struct api *a, struct httpd_request *r, const char *rest)
{
    const struct registry *g = registry_of(a);
    struct buf b;
    struct jsonw w;
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    if (rest[0]) {
        const struct device *d = registry_find(g, rest, strlen(rest));
        if (!d) {
            buf_done(&b);
            api_error(r, 404, "no such device in the registry");
            return;
        }
        device_json(a, d, &w, true);
        api_answer(r, 200, "application/json", &b);
        return;
    }
    const char *compound = httpd_query(r, "compound"), *silent = httpd_query(r, "silent");
    const char *one = httpd_query(r, "device");
    uint64_t limit = api_query_u64(r, "limit", 1000), at = api_query_u64(r, "after", 0), n = 0;
    limit = limit > MAX_DEVICES ? MAX_DEVICES : limit;
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "total", registry_devices(g));
    jsonw_array(&w, "devices");
    for (; at < registry_devices(g) && n < limit; at++) {
        const struct device *d = registry_device_at(g, at);
        if ((compound && strcmp(d->compound->code, compound) != 0) ||
            (one && strcmp(d->code, one) != 0) || (silent && !is_silent(a, d)))
            continue;
        device_json(a, d, &w, false);
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

static void get_compounds(struct api *a, struct httpd_request *r, const char *rest)
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

/* -- the store ---------------------------------------------------------------------------- */

void api_store_answered(void *ctx, int status, const char *json, size_t len)
{
    if (status == -ENOENT)
        api_error(ctx, 404, "not found");
    else if (status != 0)
        api_error(ctx, 500, strerror(-status));
    else
        httpd_answer(ctx, 200, "application/json", json, len);
}

static struct store_filter filter_of(const struct httpd_request *r)
{
    return (struct store_filter){.id = api_query_u64(r, "id", 0),
                                 .reason = httpd_query(r, "reason"),
                                 .device = httpd_query(r, "device"),
                                 .topic_prefix = httpd_query(r, "topic"),
                                 .limit = api_query_u64(r, "limit", 0),
                                 .before = api_query_u64(r, "before", 0)};
}

static void get_dead(struct api *a, struct httpd_request *r, const char *rest)
{
    struct store_filter f = filter_of(r);
    if (rest[0] && num_get_u64(rest, strlen(rest), &f.id) != 0) {
        api_error(r, 404, "a dead letter is named by its number");
        return;
    }
    store_ask(a->o.sources->store, rest[0] ? STORE_DEAD_SHOW : STORE_DEAD_LIST, &f,
              api_store_answered, r);
}

struct asked { /* of the quarantine, on its way through the store */
    struct api *api;
    struct httpd_request *request;
};

/* The profile by whose source a device's last message came; NULL: no source fits any more. */
static const char *profile_of(const struct world *w, const char *topic, size_t len)
{
    uint32_t hits[ROUTE_MAX_HITS];
    if (world_route(w, (unsigned)w->conf->n_brokers, topic, len, hits) == 0)
        return NULL;
    const struct profile *p = w->sources[hits[0]].profile;
    return p ? profile_name(p) : WORLD_NATIVE;
}

/* What the store says, and what the world knows besides: by which profile the device speaks, and
 * where the configuration is, for who writes its line (gaihouctl quarantine adopt). */
static void quarantined(void *ctx, int status, const char *json, size_t len)
{
    struct asked *q = ctx;
    struct httpd_request *r = q->request;
    const struct world *w = engine_world(pipeline_engine(q->api->o.sources->pipeline));
    struct json_value row, topic;
    const char *why;
    free(q);
    if (status != 0 || len < 2) {
        api_store_answered(r, status, json, len);
        return;
    }
    char *padded = mem_zalloc(len + JSON_PADDING);
    struct json *j = json_new(MAX_ANSWER);
    struct buf b;
    struct jsonw more;
    memcpy(padded, json, len);
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&more, &b);
    jsonw_object(&more, NULL);
    if (json_parse(j, padded, len, &row, &why) == 0 && json_member(row, "topic", &topic) &&
        json_type(topic) == JSON_STRING) {
        size_t n;
        const char *t = json_text(topic, &n), *name = profile_of(w, t, n);
        if (name)
            jsonw_str(&more, "profile", name);
    }
    jsonw_str(&more, "config", w->conf->file);
    jsonw_end_object(&more);
    struct buf both; /* {…} and {…} are one object */
    buf_init(&both, MAX_ANSWER);
    (void)buf_put(&both, json, len - 1);
    (void)buf_putc(&both, ',');
    (void)buf_put(&both, b.data + 1, b.len - 1);
    api_answer(r, 200, "application/json", &both);
    buf_done(&b);
    json_free(j);
    free(padded);
}

static void get_quarantine(struct api *a, struct httpd_request *r, const char *rest)
{
    struct store_filter f = filter_of(r);
    if (!rest[0]) {
        store_ask(a->o.sources->store, STORE_QUARANTINE_LIST, &f, api_store_answered, r);
        return;
    }
    struct asked *q = mem_zalloc(sizeof(*q));
    *q = (struct asked){a, r};
    f.device = rest;
    store_ask(a->o.sources->store, STORE_QUARANTINE_SHOW, &f, quarantined, q);
}

static void post_dead_purge(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct store_filter f = filter_of(r);
    store_ask(a->o.sources->store, STORE_DEAD_PURGE, &f, api_store_answered, r);
}

static void post_quarantine_purge(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct store_filter f = filter_of(r);
    store_ask(a->o.sources->store, STORE_QUARANTINE_PURGE, &f, api_store_answered, r);
}

/* Taking messages up again: the store hands letters, each becomes a record of the journal; when
 * all are there the rows are marked. A crash between the two takes them up twice, and the
 * engine's dedupe knows them. */
struct replay {
    struct api *api;
    struct httpd_request *request;
    bool quarantine;
    uint64_t *ids;
    size_t n;
    int failed;
};

static void replay_letter(void *ctx, uint64_t id, const struct store_letter *l)
{
    struct replay *p = ctx;
    if (p->failed || p->n == MAX_REPLAY)
        return;
    p->failed = p->api->o.reinject(p->api->o.ctx, l);
    if (p->failed == 0) {
        p->ids = mem_realloc_array(p->ids, p->n + 1, sizeof(*p->ids));
        p->ids[p->n++] = id;
    }
}

static void replay_marked(void *ctx, int status)
{
    struct replay *p = ctx;
    char json[96];
    if (status == 0)
        status = p->failed;
    int n = snprintf(json, sizeof(json), "{\"replayed\":%zu}", p->n);
    if (status == 0)
        httpd_answer(p->request, 200, "application/json", json, (size_t)n);
    else
        api_error(p->request, 500, strerror(-status));
    free(p->ids);
    free(p);
}

static void replay_done(void *ctx, int status, uint64_t n)
{
    (void)n;
    struct replay *p = ctx;
    if (status != 0)
        p->failed = status;
    store_mark_replayed(p->api->o.sources->store, p->quarantine, p->ids, p->n, replay_marked,
                        p);
}

static void replay(struct api *a, struct httpd_request *r, bool quarantine)
{
    struct store_filter f = filter_of(r);
    struct replay *p = mem_zalloc(sizeof(*p));
    *p = (struct replay){.api = a, .request = r, .quarantine = quarantine};
    if (f.limit == 0)
        f.limit = MAX_REPLAY;
    store_letters(a->o.sources->store, quarantine, &f, replay_letter, replay_done, p);
}

static void retaken(void *ctx, const struct sink_retaken *t)
{
    struct buf b;
    struct jsonw w;
    buf_init(&b, 65536);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "lines", t->lines);
    jsonw_u64(&w, "taken", t->taken);
    jsonw_u64(&w, "refused", t->refused);
    jsonw_bool(&w, "more", t->more);
    jsonw_str(&w, "problem", t->problem);
    jsonw_end_object(&w);
    api_answer(ctx, 200, "application/json", &b);
}

static void retake(struct api *a, struct httpd_request *r, const char *sink)
{
    const struct report_sources *s = a->o.sources;
    uint64_t id = api_query_u64(r, "id", 0), limit = api_query_u64(r, "limit", 0);
    for (size_t i = 0; i < s->n_sinks; i++) {
        if (strcmp(s->conf->sinks[i].id, sink) != 0)
            continue;
        if (sink_retake(s->sinks[i], id, httpd_query(r, "reason"), limit, retaken, r) != 0)
            api_error(r, 409, "lines of this sink are being taken up already");
        return;
    }
    api_error(r, 404, "there is no such sink");
}

static void post_dead_replay(struct api *a, struct httpd_request *r, const char *rest)
{
    const char *sink = httpd_query(r, "sink");
    (void)rest;
    if (sink)
        retake(a, r, sink);
    else
        replay(a, r, false);
}

static void post_quarantine_replay(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    replay(a, r, true);
}

/* Messages that `gaihouctl journal export` wrote, one JSON object a line: topic, wall_ns and
 * payload_base64. They are history: their own wall time, no redelivery. */
static bool replay_text(struct json_value line, const char *key, const char **out, size_t *n)
{
    struct json_value v;
    if (!json_member(line, key, &v) || json_type(v) != JSON_STRING)
        return false;
    *out = json_text(v, n);
    return true;
}

static int replay_line(struct api *a, struct json *j, const char *text, size_t len,
                       struct buf *payload)
{
    struct json_value line, wall;
    const char *why, *topic, *base64;
    size_t topic_len, base64_len;
    if (json_parse(j, text, len, &line, &why) != 0 || json_type(line) != JSON_OBJECT ||
        !replay_text(line, "topic", &topic, &topic_len) ||
        !replay_text(line, "payload_base64", &base64, &base64_len) ||
        !json_member(line, "wall_ns", &wall) || json_type(wall) != JSON_INT)
        return -EINVAL;
    buf_clear(payload);
    int r = base64_get(payload, base64, base64_len);
    if (r != 0)
        return r;
    return a->o.reinject(a->o.ctx, &(struct store_letter){.wall_ns = json_int(wall),
                                                          .broker = "",
                                                          .topic = topic,
                                                          .topic_len = topic_len,
                                                          .payload = buf_cstr(payload),
                                                          .payload_len = payload->len,
                                                          .flags = 1});
}

static void post_journal_replay(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    size_t len, n = 0;
    const char *body = httpd_body(r, &len);
    char *padded = mem_zalloc(len + JSON_PADDING), text[96];
    struct json *j = json_new(MAX_LINE);
    struct buf payload;
    int status = 0;
    memcpy(padded, body ? body : "", len);
    buf_init(&payload, MAX_LINE);
    for (size_t at = 0; at < len && status == 0;) {
        const char *nl = memchr(padded + at, '\n', len - at);
        size_t k = nl ? (size_t)(nl - padded) - at : len - at;
        if (k > 0)
            status = replay_line(a, j, padded + at, k, &payload);
        n += k > 0 && status == 0;
        at += k + 1;
    }
    int m = snprintf(text, sizeof(text), status ? "line %zu: %s" : "{\"replayed\":%zu}",
                     status ? n + 1 : n, strerror(-status));
    if (status)
        api_error(r, 400, text);
    else
        httpd_answer(r, 200, "application/json", text, (size_t)m);
    buf_done(&payload);
    json_free(j);
    free(padded);
}

/* -- reload ------------------------------------------------------------------------------- */

static void reloaded(void *ctx, int changed, const char *text)
{
    struct buf b;
    struct jsonw w;
    buf_init(&b, 1 << 20);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_bool(&w, "changed", changed > 0);
    jsonw_bool(&w, "refused", changed < 0);
    jsonw_str(&w, "text", text);
    jsonw_end_object(&w);
    api_answer(ctx, 200, "application/json", &b);
}

static void post_reload(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    if (a->o.reload(a->o.ctx, reloaded, r) != 0)
        api_error(r, 409, "a reload is under way");
}

/* -- the table ---------------------------------------------------------------------------- */

static const struct route {
    const char *method, *path; /* a path that ends in '/' also takes what follows it */
    void (*fn)(struct api *a, struct httpd_request *r, const char *rest);
} routes[] = {
    {"GET", "/metrics", get_metrics},
    {"GET", "/healthz", get_health},
    {"GET", "/readyz", get_ready},
    {"GET", "/api/v1/status", get_status},
    {"GET", "/api/v1/ledger", get_ledger},
    {"GET", "/api/v1/unknown", get_unknown},
    {"GET", "/api/v1/devices", get_devices},
    {"GET", "/api/v1/devices/", get_devices},
    {"GET", "/api/v1/compounds", get_compounds},
    {"GET", "/api/v1/alerts", api_get_alerts},
    {"GET", "/api/v1/alerts/history", api_get_alert_history},
    {"GET", "/api/v1/alerts/", api_get_alert},
    {"POST", "/api/v1/alerts/", api_post_alert},
    {"GET", "/api/v1/explain", api_get_explain},
    {"GET", "/api/v1/dead", get_dead},
    {"GET", "/api/v1/dead/", get_dead},
    {"GET", "/api/v1/quarantine", get_quarantine},
    {"GET", "/api/v1/quarantine/", get_quarantine},
    {"POST", "/api/v1/dead/replay", post_dead_replay},
    {"POST", "/api/v1/dead/purge", post_dead_purge},
    {"POST", "/api/v1/quarantine/replay", post_quarantine_replay},
    {"POST", "/api/v1/quarantine/purge", post_quarantine_purge},
    {"POST", "/api/v1/journal/replay", post_journal_replay},
    {"POST", "/api/v1/reload", post_reload},
};

static const char *route_rest(const struct route *t, const char *path)
{
    size_t n = strlen(t->path);
    if (strcmp(path, t->path) == 0)
        return "";
    if (t->path[n - 1] == '/' && strncmp(path, t->path, n) == 0)
        return path + n;
    return NULL;
}

/* What is given and no number must not be taken for "all": a purge would follow it. */
static const char *bad_number(const struct httpd_request *r)
{
    static const char *const numbers[] = {"id", "limit", "before", "after"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *s = httpd_query(r, numbers[i]);
        uint64_t v;
        if (s && *s && num_get_u64(s, strlen(s), &v) != 0)
            return numbers[i];
    }
    return NULL;
}

static void call(struct api *a, const struct route *t, struct httpd_request *r,
                 const char *rest)
{
    const char *bad = bad_number(r);
    char text[64];
    if (strcmp(t->method, "POST") == 0 && !httpd_may_write(r)) {
        api_error(r, 403, "writing verbs need the Unix socket, or a bearer token over TCP");
    } else if (bad) {
        (void)snprintf(text, sizeof(text), "%s: expected a number", bad);
        api_error(r, 400, text);
    } else {
        t->fn(a, r, rest);
    }
}

void api_handle(void *api, struct httpd_request *r)
{
    struct api *a = api;
    const char *method = httpd_method(r), *path = httpd_path(r);
    bool head = strcmp(method, "HEAD") == 0, known = false;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const char *rest = route_rest(&routes[i], path);
        if (!rest)
            continue;
        known = true;
        if (strcmp(head ? "GET" : method, routes[i].method) != 0)
            continue;
        call(a, &routes[i], r, rest);
        return;
    }
    if (known)
        api_error(r, 405, "this method is not for that path");
    else
        api_error(r, 404, "no such path; gaihou-http(7) lists them");
}
