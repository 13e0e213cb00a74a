/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alarms over HTTP: what the store says of them, and operators' commands. A command becomes a record
 * of the journal; its answer is the engine's, and comes when its effect is committed.
 */
#include "app/api_private.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "core/json.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_NS   UINT64_C(5000000000)
#define TICK_MS     500
#define MAX_ANSWER  ((size_t)1 << 20)
#define MAX_ORPHANS 1000 /* of one answer; the rest follows when these are closed */

/* -- questions ---------------------------------------------------------------------------- */

/* A time of the query: RFC 3339, or milliseconds. False: answered with 400. */
static bool take_time(struct httpd_request *r, const char *key, int64_t *out)
{
    const char *s = httpd_query(r, key);
    if (!s || stamp_parse(s, strlen(s), out) == 0)
        return true;
    uint64_t ms = api_query_u64(r, key, UINT64_MAX);
    if (ms > (uint64_t)STAMP_MAX_MS) {
        api_error(
            r, 400,
            "from and to: expected a time like 2026-11-20T08:00:00+08:00 (a + in a URL is "
            "written %2B), or milliseconds since 1970");
        return false;
    }
    *out = (int64_t)ms;
    return true;
}

static bool take_filter(struct httpd_request *r, struct store_alert_filter *f)
{
    static const char *const places[STORE_PLACES] = STORE_PLACE_NAMES;
    enum severity severity;
    *f = (struct store_alert_filter){.id = httpd_query(r, "case"),
                                     .compound = httpd_query(r, "compound"),
                                     .firm = httpd_query(r, "firm"),
                                     .device = httpd_query(r, "device"),
                                     .rule = httpd_query(r, "rule"),
                                     .severity = httpd_query(r, "severity"),
                                     .limit = api_query_u64(r, "limit", 0),
                                     .before = api_query_u64(r, "before", 0)};
    for (int i = 0; i < STORE_PLACES; i++)
        f->place[i] = httpd_query(r, places[i]);
    if (f->severity && severity_parse(f->severity, strlen(f->severity), &severity) != 0) {
        api_error(r, 400, "severity: expected critical, major, minor, warning or info");
        return false;
    }
    return take_time(r, "from", &f->from_ms) && take_time(r, "to", &f->to_ms);
}

void api_get_alerts(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct store_alert_filter f;
    const char *state = httpd_query(r, "state");
    if (!take_filter(r, &f))
        return;
    f.state = !state ? "open" : strcmp(state, "any") == 0 ? NULL : state;
    if (f.state && strcmp(f.state, "open") != 0 && strcmp(f.state, "closed") != 0) {
        api_error(r, 400, "state: expected open, closed or any");
        return;
    }
    store_ask_alerts(a->o.sources->store, STORE_ALERT_LIST, &f, api_store_answered, r);
}

void api_get_alert_history(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    struct store_alert_filter f;
    if (!take_filter(r, &f))
        return;
    f.test = api_query_u64(r, "test", 0) == 1;
    store_ask_alerts(a->o.sources->store, STORE_ALERT_HISTORY, &f, api_store_answered, r);
}

void api_get_alert(struct api *a, struct httpd_request *r, const char *rest)
{
    struct store_alert_filter f = {.id = rest};
    if (rest[0] == '\0')
        api_error(r, 404, "expected /api/v1/alerts/CASE");
    else
        store_ask_alerts(a->o.sources->store, STORE_ALERT_SHOW, &f, api_store_answered, r);
}

static void put_orphan(void *ctx, const char *place)
{
    struct jsonw *w = ctx;
    const char *compound = strchr(place, '/') + 1, *id = strchr(compound, '/') + 1;
    jsonw_object(w, NULL);
    jsonw_str(w, "case", id);
    jsonw_strn(w, "firm", place, (size_t)(compound - place) - 1);
    jsonw_strn(w, "compound", compound, (size_t)(id - compound) - 1);
    jsonw_end_object(w);
}

/* What the broker keeps of former epochs; POST …/CASE/close ends it. */
void api_get_orphaned(struct api *a, struct httpd_request *r, const char *rest)
{
    struct tell *t = a->o.sources->tell;
    struct tell_stats s = {0};
    struct buf b;
    struct jsonw w;
    (void)rest;
    if (t)
        tell_stats(t, &s);
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "orphaned", s.orphaned);
    jsonw_array(&w, "cases");
    if (t)
        tell_orphans_each(t, MAX_ORPHANS, put_orphan, &w);
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    api_answer(r, 200, "application/json", &b);
}

/* -- commands ----------------------------------------------------------------------------- */

static struct api_pending *take_pending(struct api *a, uint64_t origin)
{
    for (struct api_pending **at = &a->pending; *at; at = &(*at)->next) {
        struct api_pending *p = *at;
        if (p->origin != origin)
            continue;
        *at = p->next;
        return p;
    }
    return NULL;
}

/* Nothing is known of a command that takes so long, but that it will be done: it is in the
 * journal. */
static void on_timer(void *ctx)
{
    struct api *a = ctx;
    uint64_t now = loop_hrtime_ns();
    for (struct api_pending *p = a->pending, *next; p; p = next) {
        next = p->next;
        if (p->deadline_ns > now)
            continue;
        p = take_pending(a, p->origin);
        api_error(
            p->request, 504,
            "the command is kept, but the engine has not answered in 5 s; look at the case "
            "before you ask again");
        free(p);
    }
    if (!a->pending)
        loop_timer_stop(a->timer);
}

void api_commands_init(struct api *a)
{
    a->timer = loop_timer_new(a->o.loop, on_timer, a);
    a->origin = (uint64_t)clock_wall_ns() | 1; /* not those of an earlier process */
}

void api_commands_done(struct api *a)
{
    for (struct api_pending *p; (p = a->pending);) {
        a->pending = p->next;
        api_error(p->request, 503, API_STOPS);
        free(p);
    }
    loop_timer_free(a->timer);
}

static int status_of(enum case_answer answer)
{
    switch (answer) {
    case ANSWER_DONE:
    case ANSWER_ALREADY:
        return 200;
    case ANSWER_UNKNOWN:
        return 404;
    case ANSWER_NOT_YOURS:
        return 403;
    case ANSWER_STALE:
    case ANSWER_REFUSED:
        return 409;
    case ANSWER_BAD:
        return 400;
    }
    return 500;
}

/* "refused: condition_active", "stale: the case's version is 4" */
static void put_error(struct jsonw *w, struct json *j, const char *json, size_t len,
                      enum case_answer answer)
{
    struct json_value root, v;
    const char *why, *name = case_answer_name(answer);
    size_t n = 0;
    char *said = NULL;
    bool good = json_parse(j, json, len, &root, &why) == 0 && json_type(root) == JSON_OBJECT;
    if (good && json_member(root, "reason", &v) && json_type(v) == JSON_STRING) {
        const char *reason = json_text(v, &n);
        said = mem_printf("%s: %.*s", name, (int)n, reason);
    } else if (good && answer == ANSWER_STALE && json_member(root, "version", &v) &&
               json_type(v) == JSON_INT) {
        said = mem_printf("%s: the case's version is %lld", name, (long long)json_int(v));
    }
    jsonw_str(w, "error", said ? said : name);
    free(said);
}

/* What the firm would have got, and, where nothing was done, `error` like everywhere here. */
void api_replied(struct api *a, uint64_t origin, enum case_answer answer, const char *json,
                 size_t len)
{
    struct api_pending *p = a ? take_pending(a, origin) : NULL;
    int status = status_of(answer);
    if (!p)
        return;
    if (status == 200) {
        httpd_answer(p->request, status, "application/json", json, len);
        free(p);
        return;
    }
    char *padded = mem_zalloc(len + JSON_PADDING);
    struct json *j = json_new(MAX_ANSWER);
    struct buf b;
    struct jsonw w;
    memcpy(padded, json, len);
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    put_error(&w, j, padded, len, answer);
    jsonw_raw(&w, "reply", json, len);
    jsonw_end_object(&w);
    api_answer(p->request, status, "application/json", &b);
    json_free(j);
    free(padded);
    free(p);
}

/* …/CASE/VERB; of a test the CASE is device/D, building/C/B or compound/C. */
static bool take_command(struct httpd_request *r, const char *rest, char **out_case,
                         struct case_command *out)
{
    const char *slash = strrchr(rest, '/'), *body = httpd_body(r, &out->payload_len);
    if (!slash || slash == rest ||
        case_verb_parse(slash + 1, strlen(slash + 1), &out->verb) != 0) {
        api_error(r, 404,
                  "expected /api/v1/alerts/CASE/VERB with a verb of ack accept arrive resolve "
                  "confirm feedback close reject transfer rework reset shelve unshelve test "
                  "untest");
        return false;
    }
    if (slash - rest > CASE_ID_MAX) {
        api_error(r, 404, "no case has such a long name");
        return false;
    }
    if (out->payload_len > CASE_PAYLOAD_MAX) {
        api_error(r, 413, "a command's body is at most 8 KiB");
        return false;
    }
    out->payload = out->payload_len ? body : "";
    *out_case = mem_strndup(rest, (size_t)(slash - rest));
    out->case_id = *out_case;
    out->compound = "-";
    return true;
}

void api_post_alert(struct api *a, struct httpd_request *r, const char *rest)
{
    struct case_command c = {0};
    char *id = NULL, who[32];
    if (!take_command(r, rest, &id, &c))
        return;
    c.origin = ++a->origin;
    /* Each request is a command of its own: who asks twice gets two answers. */
    c.correlation = who;
    c.correlation_len =
        (size_t)snprintf(who, sizeof(who), "http-%llu", (unsigned long long)c.origin);
    struct api_pending *p = mem_zalloc(sizeof(*p));
    *p = (struct api_pending){a->pending, r, c.origin, loop_hrtime_ns() + ANSWER_NS};
    a->pending = p;
    int e = a->o.command(a->o.ctx, &c);
    free(id);
    if (e != 0) {
        free(take_pending(a, c.origin));
        api_error(r, 503, e == -ESHUTDOWN ? API_STOPS : strerror(-e));
    } else if (!loop_timer_active(a->timer)) {
        loop_timer_start(a->timer, TICK_MS, TICK_MS);
    }
}
