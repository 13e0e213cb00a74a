/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaihouctl decode: what one message says, by a profile, without a daemon: the tool for writing
 * profiles. Device, time and values as the decoder gives them, judged as the engine would.
 */
#include "base/base64.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"
#include "core/json.h"
#include "core/judge.h"
#include "core/world.h"
#include "ctl/exit.h"
#include "ctl/site.h"
#include "ctl/json_place.h"
#include "ctl/message.h"
#include "ctl/table.h"
#include "ctl/tools.h"
#include "ctl/usage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_FILE ((size_t)64 << 20)

struct decoding {
    struct site site;
    const struct profile *profile; /* NULL: the native one */
    const char *profile_name, *topic;
    const struct kind *kind; /* NULL: guessed, or the device's */
    struct message message;
    bool json;
    uint64_t number, wrong;
    const char *payload;
    size_t len;
};

/* -- one value ---------------------------------------------------------------------------------- */

struct shown { /* a value, for people */
    const char *metric, *unit, *quality, *reason, *place;
    char value[280], place_room[48], key[96], raw[128];
};

static const struct metric *any_metric(const struct catalog *c, const struct decoded_value *v,
                                       struct profile_metric *way)
{
    for (size_t i = 0; i < catalog_kinds(c); i++)
        if (judge_way(c, catalog_kind_at(c, i), v, way))
            return way->metric;
    return NULL;
}

static void print_value(char out[280], const struct value *v)
{
    size_t n = 0;
    switch (v->type) {
    case VALUE_FLOAT:
        n = num_put_double(out, v->f);
        break;
    case VALUE_INT:
        n = num_put_i64(out, v->i);
        break;
    case VALUE_BOOL:
        n = (size_t)snprintf(out, 280, "%s", v->b ? "true" : "false");
        break;
    case VALUE_STRING:
        n = (size_t)snprintf(out, 280, "\"%.*s\"", (int)(v->s.n < 250 ? v->s.n : 250), v->s.p);
        break;
    }
    out[n < 279 ? n : 279] = '\0';
}

/* Where a value came from: its path, and the place in a payload that is JSON. */
static void find_place(const struct decoding *d, const struct decoded_value *v, struct shown *s)
{
    struct profile_trace t = {.path = ""};
    size_t at, i = (size_t)(v - d->message.decoded.values);
    int line, col;
    if (!d->profile)
        (void)snprintf(s->key, sizeof(s->key), "$.%.*s", (int)v->key_len, v->key);
    else if (profile_trace_value(d->message.run, i, &t) && t.path[0])
        (void)snprintf(s->key, sizeof(s->key), "%.95s", t.path);
    else
        (void)snprintf(s->key, sizeof(s->key), "%.*s", (int)v->key_len, v->key);
    if (t.raw[0])
        (void)snprintf(s->raw, sizeof(s->raw), "%s", t.raw);
    s->place = "";
    if (s->key[0] != '$' || !json_find(d->payload, d->len, s->key, &at))
        return;
    json_place(d->payload, at, &line, &col);
    (void)snprintf(s->place_room, sizeof(s->place_room), "line %d, col %d", line, col);
    s->place = s->place_room;
}

/* False: the kind has no such metric. */
static bool show_value(const struct decoding *d, const struct kind *k, const struct device *dev,
                       const struct decoded_value *v, struct shown *s)
{
    struct profile_metric way;
    struct judge_room room = {.n = 0};
    struct judged j;
    double min, max;
    bool known = k ? judge_way(d->site.catalog, k, v, &way)
                   : any_metric(d->site.catalog, v, &way) != NULL;
    *s = (struct shown){.metric = "", .unit = "", .quality = "", .reason = "", .place = ""};
    find_place(d, v, s);
    print_value(s->value, &v->v);
    if (!known)
        return false;
    s->metric = way.metric->name;
    s->unit = strcmp(way.metric->unit, "1") == 0 ? "" : way.metric->unit;
    if (dev && d->site.registry)
        registry_range(d->site.registry, dev, way.metric, &min, &max);
    else
        judge_range(way.metric, &min, &max);
    if (!judge_value(v, &way, min, max, &room, &j)) {
        s->quality = "says nothing";
        return true;
    }
    print_value(s->value, &j.field.v);
    s->quality = j.quality == QUALITY_GOOD  ? "good"
                 : j.quality == QUALITY_BAD ? "bad"
                                            : "uncertain";
    s->reason = judge_reason((enum quality_reason)j.reason);
    return true;
}

/* -- one sample --------------------------------------------------------------------------------- */

struct who {
    char device[128], point[96], compound[96], time[STAMP_SIZE];
    const char *time_from;
    const struct device *known;
    const struct kind *kind;
    bool guessed;
    const char *quarantined; /* why, where the registry was read; NULL: it may speak */
};

static void copy(char *out, size_t room, const char *p, size_t n)
{
    (void)snprintf(out, room, "%.*s", (int)(n < room ? n : room - 1), p ? p : "");
}

static void who_of(const struct decoding *d, const struct decoded_sample *s, struct who *w)
{
    const struct topic_capture *topic_id = topic_get(&d->message.match, "device");
    const struct topic_capture *topic_at = topic_get(&d->message.match, "compound");
    const char *id = s->device ? s->device : topic_id ? topic_id->p : NULL;
    const char *at = s->compound ? s->compound : topic_at ? topic_at->p : NULL;
    size_t id_len = s->device ? s->device_len : topic_id ? topic_id->n : 0;
    size_t at_len = s->compound ? s->compound_len : topic_at ? topic_at->n : 0;
    *w = (struct who){.time_from = "device"};
    copy(w->device, sizeof(w->device), id, id_len);
    copy(w->compound, sizeof(w->compound), at, at_len);
    copy(w->point, sizeof(w->point), s->point, s->point_len);
    int32_t offset = d->site.zone ? zone_offset_at(d->site.zone, s->time_ms) : 0;
    if (s->has_time)
        stamp_format(w->time, s->time_ms, offset);
    else
        w->time_from =
            s->time_unread ? "receipt: its own cannot be read" : "receipt: it says none";
    const struct registry *r = d->site.registry;
    if (r && id_len) {
        w->known = registry_find_said(r, id, id_len);
        (void)registry_admit(r, id, id_len, at, at_len, &w->quarantined);
    }
    w->kind = d->kind ? d->kind : w->known ? w->known->kind : NULL;
    if (!w->kind) {
        w->kind = message_kind(d->site.catalog, &d->message);
        w->guessed = w->kind != NULL;
    }
}

static void text_sample(const struct decoding *d, const struct decoded_sample *s)
{
    struct who w;
    who_of(d, s, &w);
    printf("  device %s", w.device[0] ? w.device : "— (none: dead{no_device})");
    if (w.compound[0])
        printf("   compound %s", w.compound);
    if (w.point[0])
        printf("   point %s", w.point);
    if (w.quarantined)
        printf("   quarantined{%s}", w.quarantined);
    printf("\n  time   %s%s(%s)%s\n", w.time, w.time[0] ? " " : "", w.time_from,
           s->not_alive ? "   no sign of life" : "");
    printf("  kind   %s%s\n", w.kind ? w.kind->name : "unknown: say --kind",
           w.guessed ? " (guessed by its values)" : "");
    struct ctl_table *t = ctl_table_new("  METRIC|VALUE>:60|UNIT|QUALITY|FROM:60|RAW:30|WHERE");
    for (size_t i = s->first; i < s->first + s->n; i++) {
        struct shown x;
        char metric[96], quality[48];
        bool known = show_value(d, w.kind, w.known, &d->message.decoded.values[i], &x);
        (void)snprintf(metric, sizeof(metric), "  %s", known ? x.metric : "—");
        (void)snprintf(quality, sizeof(quality), "%s%s%s",
                       known ? x.quality : "not of this kind", *x.reason ? ": " : "", x.reason);
        const char *cells[] = {metric, x.value, x.unit, quality, x.key, x.raw, x.place};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void json_sample(const struct decoding *d, const struct decoded_sample *s,
                        struct jsonw *w)
{
    struct who who;
    who_of(d, s, &who);
    jsonw_object(w, NULL);
    jsonw_str(w, "device", who.device);
    if (who.compound[0])
        jsonw_str(w, "compound", who.compound);
    if (who.point[0])
        jsonw_str(w, "point", who.point);
    if (who.quarantined)
        jsonw_str(w, "quarantined", who.quarantined);
    if (s->has_time) {
        jsonw_str(w, "time", who.time);
        jsonw_i64(w, "time_ms", s->time_ms);
    }
    jsonw_str(w, "time_from", s->has_time ? "device" : s->time_unread ? "unread" : "receipt");
    if (who.kind)
        jsonw_str(w, "kind", who.kind->name);
    jsonw_bool(w, "alive", !s->not_alive);
    jsonw_array(w, "values");
    for (size_t i = s->first; i < s->first + s->n; i++) {
        struct shown x;
        bool known = show_value(d, who.kind, who.known, &d->message.decoded.values[i], &x);
        jsonw_object(w, NULL);
        jsonw_str(w, "from", x.key);
        if (known) {
            jsonw_str(w, "metric", x.metric);
            jsonw_str(w, "unit", x.unit);
            jsonw_str(w, "quality", x.quality);
            jsonw_str(w, "reason", x.reason);
        }
        jsonw_str(w, "value", x.value);
        if (x.raw[0])
            jsonw_str(w, "raw", x.raw);
        if (*x.place)
            jsonw_str(w, "place", x.place);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
    jsonw_end_object(w);
}

/* -- one message -------------------------------------------------------------------------------- */

/* What is wrong, and where: the place of a fault of JSON, which the parser does not tell. */
static void refusal(const struct decoding *d, char out[400])
{
    const struct profile_verdict *v = &d->message.verdict;
    const char *why;
    size_t at;
    int line, col;
    int n = snprintf(out, 400, "%s",
                     v->detail[0] ? v->detail : "no message kind of the profile fits");
    bool json =
        d->len > 0 && strchr("{[\" \t\r\n", d->payload[0]) && v->outcome == PROFILE_REFUSED;
    if (json && n < 300 && json_fault(d->payload, d->len, &at, &why)) {
        json_place(d->payload, at, &line, &col);
        (void)snprintf(out + n, (size_t)(400 - n), " (line %d, col %d: %s)", line, col, why);
    }
    if (v->outcome == PROFILE_NOT_MINE && !v->detail[0] && d->len > 0 &&
        json_fault(d->payload, d->len, &at, &why)) {
        json_place(d->payload, at, &line, &col);
        (void)snprintf(out + n, (size_t)(400 - n),
                       "; if it should be JSON, it is wrong at line %d, col %d: %s", line, col,
                       why);
    }
}

static const char *const outcomes[] = {"samples", "ignored", "refused", "not_mine"};

static void text_message(const struct decoding *d)
{
    const struct profile_verdict *v = &d->message.verdict;
    const struct decoded *x = &d->message.decoded;
    char why[400];
    const char *name = v->message && *v->message ? v->message : NULL;
    printf("message %llu, %zu bytes%s%s%s: ", (unsigned long long)d->number, d->len,
           name ? ", \"" : "", name ? name : "", name ? "\"" : "");
    switch (v->outcome) {
    case PROFILE_SAMPLES:
        printf("%zu sample%s, %zu value%s\n", x->n_samples, x->n_samples == 1 ? "" : "s",
               x->n_values, x->n_values == 1 ? "" : "s");
        for (size_t i = 0; i < x->n_samples; i++)
            text_sample(d, &x->samples[i]);
        if (x->unknown)
            printf("  %u name%s that no mapping knows\n", x->unknown,
                   x->unknown == 1 ? "" : "s");
        if (v->want_rebirth)
            printf("  the node's birth is not known: a rebirth would be asked for\n");
        break;
    case PROFILE_IGNORED:
        printf("no data: ignored{%s}\n", ledger_reason(v->count));
        break;
    case PROFILE_REFUSED:
        refusal(d, why);
        printf("refused: dead{%s}: %s\n", ledger_reason(v->count), why);
        break;
    case PROFILE_NOT_MINE:
        refusal(d, why);
        printf("not this profile's: %s\n", why);
        break;
    }
}

static void json_message(const struct decoding *d)
{
    const struct profile_verdict *v = &d->message.verdict;
    const struct decoded *x = &d->message.decoded;
    struct buf b;
    struct jsonw w;
    char why[400];
    buf_init(&b, MAX_FILE);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_str(&w, "outcome", outcomes[v->outcome]);
    if (v->message && *v->message)
        jsonw_str(&w, "message", v->message);
    if (v->outcome == PROFILE_IGNORED || v->outcome == PROFILE_REFUSED)
        jsonw_str(&w, "reason", ledger_reason(v->count));
    if (v->outcome == PROFILE_REFUSED || v->outcome == PROFILE_NOT_MINE) {
        refusal(d, why);
        jsonw_str(&w, "detail", why);
    }
    if (v->outcome == PROFILE_SAMPLES) {
        jsonw_u64(&w, "unknown", x->unknown);
        jsonw_array(&w, "samples");
        for (size_t i = 0; i < x->n_samples; i++)
            json_sample(d, &x->samples[i], &w);
        jsonw_end_array(&w);
    }
    jsonw_end_object(&w);
    (void)fwrite(b.data, 1, b.len, stdout);
    (void)putchar('\n');
    buf_done(&b);
}

/* payload: with JSON_PADDING bytes behind it. */
static void decode_one(struct decoding *d, const char *topic, const char *payload, size_t len)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct message_in in = {.profile = d->profile,
                            .topic = topic,
                            .payload = payload,
                            .len = len,
                            .received_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
    d->number++;
    d->payload = payload;
    d->len = len;
    (void)message_decode(&d->message, &in);
    d->wrong += d->message.verdict.outcome >= PROFILE_REFUSED;
    if (d->json)
        json_message(d);
    else
        text_message(d);
}

/* -- files -------------------------------------------------------------------------------------- */

static void decode_bytes(struct decoding *d, const char *topic, const struct buf *b)
{
    char *padded = mem_zalloc(b->len + JSON_PADDING);
    if (b->len)
        memcpy(padded, b->data, b->len);
    decode_one(d, topic, padded, b->len);
    free(padded);
}

static bool member_text(struct json_value o, const char *key, const char **out, size_t *n)
{
    struct json_value v;
    if (!json_member(o, key, &v) || json_type(v) != JSON_STRING)
        return false;
    *out = json_text(v, n);
    return true;
}

/* {"topic":…, "payload":…}: a payload that is no text is itself the JSON. */
static bool decode_line(struct decoding *d, struct json *j, const char *line, size_t len)
{
    struct json_value o;
    const char *why, *topic = NULL, *text;
    size_t topic_len = 0, n;
    struct buf b;
    if (json_parse(j, line, len, &o, &why) != 0 || json_type(o) != JSON_OBJECT)
        return false;
    char *own = member_text(o, "topic", &topic, &topic_len) ? mem_strndup(topic, topic_len)
                                                            : mem_strdup(d->topic);
    buf_init(&b, MAX_FILE);
    bool good = true;
    if (member_text(o, "payload_hex", &text, &n))
        good = message_hex(text, n, &b);
    else if (member_text(o, "payload_base64", &text, &n))
        good = message_base64(text, n, &b);
    else if (member_text(o, "payload", &text, &n))
        (void)buf_put(&b, text, n);
    else
        good = json_raw(line, len, "payload", &b);
    if (good)
        decode_bytes(d, own, &b);
    buf_done(&b);
    free(own);
    return good;
}

static int decode_lines(struct decoding *d, const char *path, const char *text, size_t len)
{
    struct json *j = json_new(MAX_FILE);
    int code = CTL_DONE;
    size_t number = 0;
    for (size_t at = 0; at < len && code == CTL_DONE;) {
        const char *nl = memchr(text + at, '\n', len - at);
        size_t n = nl ? (size_t)(nl - text) - at : len - at;
        number++;
        if (n > 0 && strspn(text + at, " \t\r") < n) {
            char *line = mem_zalloc(n + JSON_PADDING);
            memcpy(line, text + at, n);
            if (!decode_line(d, j, line, n)) {
                (void)fprintf(stderr,
                              "gaihouctl: %s:%zu: expected {\"topic\":…, \"payload\":… | "
                              "\"payload_hex\":… | \"payload_base64\":…}\n",
                              path, number);
                code = CTL_REFUSED;
            }
            free(line);
        }
        at += n + 1;
    }
    json_free(j);
    if (code == CTL_DONE && d->number == 0) { /* mostly the output of what failed before it */
        (void)fprintf(stderr, "gaihouctl: %s: there is no message in it\n", path);
        code = CTL_REFUSED;
    }
    return code;
}

enum form { RAW, HEX, BASE64, LINES };

static int decode_file(struct decoding *d, const char *path, enum form form)
{
    char *text;
    size_t len;
    struct buf b;
    int code = site_read(path, MAX_FILE, &text, &len);
    if (code != CTL_DONE)
        return code;
    buf_init(&b, MAX_FILE);
    if (form == LINES) {
        code = decode_lines(d, path, text, len);
    } else if (form == RAW) {
        decode_one(d, d->topic, text, len);
    } else if (form == HEX ? message_hex(text, len, &b) : message_base64(text, len, &b)) {
        decode_bytes(d, d->topic, &b);
    } else {
        (void)fprintf(stderr, "gaihouctl: %s: not %s\n", path,
                      form == HEX ? "hexadecimal bytes" : "base64");
        code = CTL_REFUSED;
    }
    buf_done(&b);
    free(text);
    return code == CTL_DONE && d->wrong ? CTL_REFUSED : code;
}

/* -- the command -------------------------------------------------------------------------------- */

static bool find_profile(struct decoding *d)
{
    if (strcmp(d->profile_name, WORLD_NATIVE) == 0)
        return true;
    d->profile = profile_find(d->site.profiles, d->profile_name);
    if (d->profile)
        return true;
    const char *near = profile_nearest(d->site.profiles, d->profile_name);
    (void)fprintf(stderr,
                  "gaihouctl: there is no profile \"%s\"%s%s%s; see gaihouctl profile "
                  "list\n",
                  d->profile_name, near ? ", did you mean \"" : "", near ? near : "",
                  near ? "\"?" : "");
    return false;
}

static bool find_kind(struct decoding *d, const char *name)
{
    if (!name)
        return true;
    d->kind = catalog_kind(d->site.catalog, name, strlen(name));
    if (!d->kind)
        (void)fprintf(stderr, "gaihouctl: the catalogue has no kind \"%s\"\n", name);
    return d->kind != NULL;
}

int tools_decode(bool json, int argc, char **argv)
{
    struct tools_files files;
    struct decoding d = {.json = json};
    bool ok = tools_take_files(&files, &argc, argv);
    d.json |= tools_take_flag(&argc, argv, "--json");
    d.profile_name = tools_take(&argc, argv, "--profile", &ok);
    d.topic = tools_take(&argc, argv, "--topic", &ok);
    const char *kind = tools_take(&argc, argv, "--kind", &ok);
    bool hex = tools_take_flag(&argc, argv, "--hex");
    bool base64 = tools_take_flag(&argc, argv, "--base64");
    bool lines = tools_take_flag(&argc, argv, "--jsonl");
    if (!ok || !d.profile_name || argc != 2 || hex + base64 + lines > 1 ||
        (argv[1][0] == '-' && argv[1][1])) {
        (void)usage_print(stderr, "decode", NULL);
        return CTL_USAGE;
    }
    bool native = strcmp(d.profile_name, WORLD_NATIVE) == 0;
    int code = tools_open(&d.site, &files, !native);
    if (code == CTL_DONE && (!find_profile(&d) || !find_kind(&d, kind)))
        code = CTL_REFUSED;
    if (code == CTL_DONE && files.config && !kind)
        (void)site_registry(&d.site, NULL, 0); /* devices' own kinds and ranges */
    if (code == CTL_DONE) {
        message_init(&d.message);
        profile_run_trace(d.message.run, true);
        code = decode_file(&d, argv[1], hex ? HEX : base64 ? BASE64 : lines ? LINES : RAW);
        message_done(&d.message);
    }
    site_close(&d.site);
    return code;
}
