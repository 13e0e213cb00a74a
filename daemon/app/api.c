/* SPDX-License-Identifier: Apache-2.0 */
#include "app/api_private.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER ((size_t)64 << 20)
#define STORED_MS  20
#define STORED_NS  (10 * UINT64_C(1000000000))
#define MAX_REPLAY 100000
#define MAX_LINE   ((size_t)1 << 20)

/* Taking messages up again: when the store has what came until the request, it hands letters, each
 * becomes a record of the journal; when all are there the rows are marked. A crash between the two
 * takes them up twice, and the engine's dedupe knows them. */
struct api_replay {
    struct api *api;
    struct api_replay *next;
    struct httpd_request *request;
    bool quarantine;
    uint64_t until, deadline_ns; /* end of the journal at the request */
    uint64_t *ids;
    size_t n;
    int failed;
};

static void on_replay_timer(void *ctx);

struct api *api_new(const struct api_options *o)
{
    struct api *a = mem_zalloc(sizeof(*a));
    a->o = *o;
    api_commands_init(a);
    a->replay_timer = loop_timer_new(o->loop, on_replay_timer, a);
    return a;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    api_commands_done(a);
    for (struct api_replay *p; (p = a->replays);) {
        a->replays = p->next;
        api_error(p->request, 503, API_STOPS);
        free(p);
    }
    loop_timer_free(a->replay_timer);
    a->closed = true;
    if (a->in_flight == 0)
        free(a);
}

/* The store answers what it was asked when it is closed, after us. False: the answer came then; all
 * else is gone, and this was refused. `a` may be gone behind it. */
static bool came_in_time(struct api *a, struct httpd_request *r)
{
    bool closed = a->closed;
    a->in_flight--;
    if (!closed)
        return true;
    api_error(r, 503, API_STOPS);
    if (a->in_flight == 0)
        free(a);
    return false;
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
    struct api *a = q->api;
    struct json_value row, topic;
    const char *why;
    free(q);
    if (!came_in_time(a, r))
        return;
    const struct world *w = engine_world(pipeline_engine(a->o.sources->pipeline));
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
    a->in_flight++;
    store_ask(a->o.sources->store, STORE_QUARANTINE_SHOW, &f, quarantined, q);
}

/* All that is picked goes: who says how many means less than that. */
static void purge(struct api *a, struct httpd_request *r, enum store_query q)
{
    struct store_filter f = filter_of(r);
    if (httpd_query(r, "limit"))
        api_error(r, 400, "limit: a purge has none, nothing was purged");
    else
        store_ask(a->o.sources->store, q, &f, api_store_answered, r);
}

static void post_dead_purge(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    purge(a, r, STORE_DEAD_PURGE);
}

static void post_quarantine_purge(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    purge(a, r, STORE_QUARANTINE_PURGE);
}

static void replay_letter(void *ctx, uint64_t id, const struct store_letter *l)
{
    struct api_replay *p = ctx;
    if (p->api->closed || p->failed || p->n == MAX_REPLAY)
        return;
    p->failed = p->api->o.reinject(p->api->o.ctx, l);
    if (p->failed == 0) {
        p->ids = mem_realloc_array(p->ids, p->n + 1, sizeof(*p->ids));
        p->ids[p->n++] = id;
    }
}

static void replay_marked(void *ctx, int status)
{
    struct api_replay *p = ctx;
    char json[96];
    if (status == 0)
        status = p->failed;
    int n = snprintf(json, sizeof(json), "{\"replayed\":%zu}", p->n);
    bool waited = came_in_time(p->api, p->request);
    if (waited && status == 0)
        httpd_answer(p->request, 200, "application/json", json, (size_t)n);
    else if (waited && status == -ESHUTDOWN)
        api_error(p->request, 503, API_STOPS);
    else if (waited)
        api_error(p->request, 500, strerror(-status));
    free(p->ids);
    free(p);
}

static void replay_done(void *ctx, int status, uint64_t n)
{
    (void)n;
    struct api_replay *p = ctx;
    if (status != 0)
        p->failed = status;
    if (p->api->closed)
        replay_marked(p, -ESHUTDOWN);
    else
        store_mark_replayed(p->api->o.sources->store, p->quarantine, p->ids, p->n,
                            replay_marked, p);
}

static void replay_begin(struct api_replay *p)
{
    struct store_filter f = filter_of(p->request);
    if (f.limit == 0)
        f.limit = MAX_REPLAY;
    p->api->in_flight++;
    store_letters(p->api->o.sources->store, p->quarantine, &f, replay_letter, replay_done, p);
}

static void on_replay_timer(void *ctx)
{
    struct api *a = ctx;
    struct pipeline *pipeline = a->o.sources->pipeline;
    uint64_t now = loop_hrtime_ns();
    for (struct api_replay **at = &a->replays; *at;) {
        struct api_replay *p = *at;
        if (!pipeline_has_stored(pipeline, &p->until) && now < p->deadline_ns) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        replay_begin(p);
    }
    if (!a->replays)
        loop_timer_stop(a->replay_timer);
}

/* What was received before is meant as well, and waits for a sync of the journal. A gateway that is
 * far behind is not waited for: who asks again finds the rest. */
static void replay(struct api *a, struct httpd_request *r, bool quarantine)
{
    struct api_replay *p = mem_zalloc(sizeof(*p));
    *p = (struct api_replay){.api = a,
                             .request = r,
                             .quarantine = quarantine,
                             .deadline_ns = loop_hrtime_ns() + STORED_NS};
    if (pipeline_has_stored(a->o.sources->pipeline, &p->until)) {
        replay_begin(p);
        return;
    }
    p->next = a->replays;
    a->replays = p;
    loop_timer_start(a->replay_timer, STORED_MS, STORED_MS);
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
    if (sink && httpd_query(r, "topic"))
        api_error(r, 400, "topic: the lines of a sink have none, nothing was done");
    else if (sink)
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
    size_t len, n = 0, line = 0;
    const char *body = httpd_body(r, &len);
    char *padded = mem_zalloc(len + JSON_PADDING), text[160];
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
        line++;
    }
    if (status) {
        (void)snprintf(text, sizeof(text), "line %zu: %s", line,
                       status == -EINVAL ? "expected what journal export writes: an object "
                                           "with topic, wall_ns and payload_base64"
                       : status == -ESHUTDOWN ? API_STOPS
                                              : strerror(-status));
        api_error(r, status == -ESHUTDOWN ? 503 : 400, text);
    } else {
        int m = snprintf(text, sizeof(text), "{\"replayed\":%zu}", n);
        httpd_answer(r, 200, "application/json", text, (size_t)m);
    }
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

/* The keys of a query; a call that names another one is refused. */
#define KEYS(...)                                                                              \
    (const char *const[])                                                                      \
    {                                                                                          \
        __VA_ARGS__, NULL                                                                      \
    }
#define DEAD       KEYS("id", "reason", "topic", "limit", "before")
#define QUARANTINE KEYS("id", "device", "topic", "limit", "before")
/* Of a call that changes something only what it goes by: what stands here and is looked at by nobody
 * would pick all. A purge knows `limit` to refuse it in words of its own. */
#define DEAD_REPLAY KEYS("id", "reason", "topic", "limit", "sink")
#define DEAD_PURGE  KEYS("id", "reason", "topic", "limit")
#define STRANGERS   KEYS("id", "reason", "device", "topic", "limit")
#define ALERTS(...)                                                                            \
    KEYS("case", "compound", "firm", "device", "rule", "severity", "district", "street",       \
         "community", "grid", "building", "from", "to", "limit", "before", __VA_ARGS__)
#define NONE                                                                                   \
    (const char *const[])                                                                      \
    {                                                                                          \
        NULL                                                                                   \
    }

static const struct route {
    const char *method, *path; /* a path that ends in '/' also takes what follows it */
    void (*fn)(struct api *a, struct httpd_request *r, const char *rest);
    const char *const *keys; /* ends with NULL. NULL: any, for those who ask from habit */
} routes[] = {
    {"GET", "/metrics", get_metrics, NULL},
    {"GET", "/healthz", get_health, NULL},
    {"GET", "/readyz", get_ready, NULL},
    {"GET", "/api/v1/status", get_status, NONE},
    {"GET", "/api/v1/ledger", get_ledger, NONE},
    {"GET", "/api/v1/unknown", get_unknown, KEYS("profile")},
    {"GET", "/api/v1/devices", api_get_devices,
     KEYS("compound", "device", "silent", "limit", "after")},
    {"GET", "/api/v1/devices/", api_get_device, NONE},
    {"GET", "/api/v1/compounds", api_get_compounds, NONE},
    {"GET", "/api/v1/alerts", api_get_alerts, ALERTS("state")},
    {"GET", "/api/v1/alerts/history", api_get_alert_history, ALERTS("test")},
    {"GET", "/api/v1/alerts/orphaned", api_get_orphaned, NONE},
    {"GET", "/api/v1/alerts/", api_get_alert, NONE},
    {"POST", "/api/v1/alerts/", api_post_alert, NONE},
    {"GET", "/api/v1/explain", api_get_explain, KEYS("rule", "device", "point")},
    {"GET", "/api/v1/dead", get_dead, DEAD},
    {"GET", "/api/v1/dead/", get_dead, DEAD},
    {"GET", "/api/v1/quarantine", get_quarantine, QUARANTINE},
    {"GET", "/api/v1/quarantine/", get_quarantine, QUARANTINE},
    {"POST", "/api/v1/dead/replay", post_dead_replay, DEAD_REPLAY},
    {"POST", "/api/v1/dead/purge", post_dead_purge, DEAD_PURGE},
    {"POST", "/api/v1/quarantine/replay", post_quarantine_replay, STRANGERS},
    {"POST", "/api/v1/quarantine/purge", post_quarantine_purge, STRANGERS},
    {"POST", "/api/v1/journal/replay", post_journal_replay, NONE},
    {"POST", "/api/v1/reload", post_reload, NONE},
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
        if (s && *s && (num_get_u64(s, strlen(s), &v) != 0 || (i == 0 && v == 0)))
            return numbers[i]; /* no letter has the number 0, which is "any" behind here */
    }
    return NULL;
}

/* A misspelt key would pick all, and so would an empty text (a shell's variable that is not set) in a
 * call that changes something. False: it was answered. */
static bool picks_well(struct httpd_request *r, const char *const *keys, bool writes)
{
    size_t n = 0;
    char text[160];
    while (keys[n])
        n++;
    const char *other = httpd_query_other(r, keys, n);
    for (size_t i = 0; i < n && !other && writes; i++) {
        const char *s = httpd_query(r, keys[i]);
        if (s && !*s) {
            (void)snprintf(text, sizeof(text),
                           "%s: is empty, expected a value, or no %s at all", keys[i], keys[i]);
            api_error(r, 400, text);
            return false;
        }
    }
    if (!other)
        return true;
    const char *near = err_nearest(other, keys, n);
    (void)snprintf(text, sizeof(text), "%.40s: nothing here is picked by that%s%s%s%s", other,
                   writes ? ", nothing was done" : "", near ? "; did you mean " : "",
                   near ? near : "", near ? "?" : "");
    api_error(r, 400, text);
    return false;
}

static void call(struct api *a, const struct route *t, struct httpd_request *r,
                 const char *rest)
{
    bool writes = strcmp(t->method, "POST") == 0;
    const char *bad = bad_number(r);
    char text[64];
    if (writes && !httpd_may_write(r)) {
        api_error(r, 403, "writing verbs need the Unix socket, or a bearer token over TCP");
    } else if (t->keys && !picks_well(r, t->keys, writes)) {
        return;
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
