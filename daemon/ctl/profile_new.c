/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaihouctl profile new: a first profile from samples (core/profile_guess.h), with the samples as
 * its examples: what they give by the draft is written down as expected, and tested before it is
 * handed out.
 */
#include "base/base64.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"
#include "core/json.h"
#include "core/judge.h"
#include "core/profile_guess.h"
#include "core/text.h"
#include "ctl/exit.h"
#include "ctl/json_place.h"
#include "ctl/message.h"
#include "ctl/profile_sample.h"
#include "ctl/site.h"
#include "ctl/tools.h"
#include "io/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SAMPLE  ((size_t)1 << 20)
#define MAX_SAMPLES 100
#define NO_TOPIC    "review/sample-device"
#define RECEIVED_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z, as examples have it */

struct draft {
    struct site *site;
    const char *name;
    struct profile_guess_sample samples[MAX_SAMPLES];
    size_t n;
    char *owned[2 * MAX_SAMPLES];
    size_t n_owned;
    const struct kind *kind;
};

/* -- reading ------------------------------------------------------------------------------------ */

static void add(struct draft *d, char *topic, char *payload, size_t len)
{
    d->samples[d->n++] =
        (struct profile_guess_sample){.topic = topic, .payload = payload, .len = len};
    d->owned[d->n_owned++] = topic;
    d->owned[d->n_owned++] = payload;
}

static char *text_member(struct json_value o, const char *key)
{
    struct json_value v;
    size_t n;
    if (!json_member(o, key, &v) || json_type(v) != JSON_STRING)
        return NULL;
    const char *t = json_text(v, &n);
    return mem_strndup(t, n);
}

/* Of bytes as text; false: it is none. */
static bool add_bytes(struct draft *d, char *topic, bool hex, const char *text, size_t len)
{
    struct buf b;
    buf_init(&b, MAX_SAMPLE);
    bool good = (hex ? message_hex : message_base64)(text, len, &b) && b.len > 0 && !b.failed;
    if (good) {
        char *payload = mem_zalloc(b.len + JSON_PADDING);
        memcpy(payload, b.data, b.len);
        add(d, topic, payload, b.len);
    }
    buf_done(&b);
    return good;
}

/* {"topic":…, "payload":…} a line, as `gaihouctl decode --jsonl` reads them. */
static bool add_line(struct draft *d, struct json *j, const char *line, size_t len)
{
    struct json_value o;
    const char *why;
    struct buf b;
    if (json_parse(j, line, len, &o, &why) != 0 || json_type(o) != JSON_OBJECT)
        return false;
    char *topic = text_member(o, "topic"), *text = text_member(o, "payload");
    char *hex = text ? NULL : text_member(o, "payload_hex");
    char *base64 = text || hex ? NULL : text_member(o, "payload_base64");
    if (hex || base64) {
        const char *packed = hex ? hex : base64;
        bool taken = add_bytes(d, topic, hex != NULL, packed, strlen(packed));
        if (!taken)
            free(topic);
        free(hex);
        free(base64);
        return taken;
    }
    buf_init(&b, MAX_SAMPLE);
    bool good = text ? buf_puts(&b, text) == 0 : json_raw(line, len, "payload", &b);
    if (good) {
        char *payload = mem_zalloc(b.len + JSON_PADDING);
        memcpy(payload, b.data, b.len);
        add(d, topic, payload, b.len);
        topic = NULL;
    }
    free(topic);
    free(text);
    buf_done(&b);
    return good;
}

static int add_lines(struct draft *d, const char *path, const char *text, size_t len)
{
    struct json *j = json_new(MAX_SAMPLE);
    int code = CTL_DONE;
    size_t number = 0;
    for (size_t at = 0; at < len && code == CTL_DONE && d->n < MAX_SAMPLES;) {
        const char *nl = memchr(text + at, '\n', len - at);
        size_t n = nl ? (size_t)(nl - text) - at : len - at;
        char *line = mem_zalloc(n + JSON_PADDING);
        memcpy(line, text + at, n);
        number++;
        if (n > 0 && !add_line(d, j, line, n)) {
            (void)fprintf(stderr,
                          "gaihouctl: %s:%zu: expected {\"topic\":…, \"payload\":… | "
                          "\"payload_hex\":… | \"payload_base64\":…}\n",
                          path, number);
            code = CTL_REFUSED;
        }
        free(line);
        at += n + 1;
    }
    json_free(j);
    return code;
}

static int read_samples(struct draft *d, const struct profile_new_options *o, char **paths,
                        size_t n)
{
    int code = CTL_DONE;
    for (size_t i = 0; i < n && code == CTL_DONE && d->n < MAX_SAMPLES; i++) {
        char *text;
        size_t len, k = strlen(paths[i]);
        code = site_read(paths[i], MAX_SAMPLE, &text, &len);
        if (code != CTL_DONE)
            break;
        if (k > 6 && strcmp(paths[i] + k - 6, ".jsonl") == 0) {
            code = add_lines(d, paths[i], text, len);
            free(text);
        } else if (o->hex || o->base64) {
            char *topic = mem_strdup(o->topic);
            if (!add_bytes(d, topic, o->hex, text, len)) {
                (void)fprintf(stderr, "gaihouctl: %s: expected %s\n", paths[i],
                              o->hex ? "hexadecimal bytes" : "base64");
                free(topic);
                code = CTL_REFUSED;
            }
            free(text);
        } else {
            add(d, mem_strdup(o->topic), text, len);
        }
    }
    return code;
}

/* -- examples ----------------------------------------------------------------------------------- */

static void put_value(struct buf *out, const struct value *v)
{
    char text[NUM_MAX + 1];
    switch (v->type) {
    case VALUE_FLOAT:
        (void)buf_put(out, text, num_put_double(text, v->f));
        break;
    case VALUE_INT:
        (void)buf_put(out, text, num_put_i64(text, v->i));
        break;
    case VALUE_BOOL:
        (void)buf_puts(out, v->b ? "true" : "false");
        break;
    case VALUE_STRING:
        profile_guess_quote(out, v->s.p, v->s.n);
        break;
    }
}

static void put_expected(struct draft *d, const struct message *m,
                         const struct decoded_sample *s, struct buf *out)
{
    const struct topic_capture *id = topic_get(&m->match, "device");
    char stamp[STAMP_SIZE];
    (void)buf_puts(out, "      - {device: ");
    if (s->device)
        profile_guess_quote(out, s->device, s->device_len);
    else
        profile_guess_quote(out, id ? id->p : "", id ? id->n : 0);
    if (s->has_time)
        stamp_format(stamp, s->time_ms, 0);
    (void)buf_printf(out, ", time: %s", s->has_time ? stamp : "received");
    for (size_t i = s->first; i < s->first + s->n; i++) {
        const struct decoded_value *v = &m->decoded.values[i];
        struct profile_metric way;
        struct judge_room room = {.n = 0};
        struct judged j;
        double min, max;
        if (!d->kind || !judge_way(d->site->catalog, d->kind, v, &way))
            continue;
        judge_range(way.metric, &min, &max);
        if (!judge_value(v, &way, min, max, &room, &j))
            continue;
        (void)buf_printf(out, ", \"%s\": ", way.metric->name);
        if (j.quality != QUALITY_GOOD)
            (void)buf_printf(out,
                             "{%s: %s, value: ", j.quality == QUALITY_BAD ? "bad" : "uncertain",
                             judge_reason((enum quality_reason)j.reason));
        put_value(out, &j.field.v);
        if (j.quality != QUALITY_GOOD)
            (void)buf_putc(out, '}');
    }
    (void)buf_puts(out, "}\n");
}

static void put_payload(const struct profile_guess_sample *s, struct buf *out)
{
    size_t n = s->len;
    while (n > 0 && (s->payload[n - 1] == '\n' || s->payload[n - 1] == '\r'))
        n--;
    if (text_is_plain(s->payload, n)) {
        (void)buf_puts(out, "    payload: ");
        profile_guess_quote(out, s->payload, n);
    } else { /* line ends would be folded */
        (void)buf_puts(out, "    payload_base64: ");
        (void)base64_put(out, s->payload, n);
    }
    (void)buf_putc(out, '\n');
}

static int put_example(struct draft *d, const struct profile *p, struct message *m, size_t i,
                       struct buf *out)
{
    const struct profile_guess_sample *s = &d->samples[i];
    struct message_in in = {.profile = p,
                            .topic = s->topic ? s->topic : NO_TOPIC,
                            .payload = s->payload,
                            .len = s->len,
                            .received_ms = RECEIVED_MS};
    if (!message_decode(m, &in) || m->verdict.outcome != PROFILE_SAMPLES) {
        (void)fprintf(stderr, "gaihouctl: sample %zu is not like the others: %s\n", i + 1,
                      m->verdict.detail[0] ? m->verdict.detail : "nothing comes out");
        return CTL_REFUSED;
    }
    (void)buf_printf(out, "  - name: sample-%zu\n    topic: ", i + 1);
    profile_guess_quote(out, in.topic, strlen(in.topic));
    (void)buf_putc(out, '\n');
    put_payload(s, out);
    if (d->kind)
        (void)buf_printf(out, "    kind: %s\n", d->kind->name);
    bool any = m->decoded.n_samples > 1 || m->decoded.samples[0].n > 0;
    (void)buf_puts(out, any ? "    expect:\n" : "    expect: []\n"); /* it lives, that is all */
    for (size_t k = 0; any && k < m->decoded.n_samples; k++)
        put_expected(d, m, &m->decoded.samples[k], out);
    return CTL_DONE;
}

/* The draft as a set of its own; NULL, told. */
static struct profile_set *open_draft(struct draft *d, const struct buf *yaml)
{
    size_t n = d->site->n_files; /* whose codecs it may use */
    struct profile_text *all = mem_zalloc_array(n + 1, sizeof(*all));
    struct profile_set *set = NULL;
    struct problems *p = problems_new(20);
    all[0] = (struct profile_text){.file = "draft", .text = yaml->data, .len = yaml->len};
    for (size_t i = 0; i < n; i++)
        all[i + 1] = d->site->files[i];
    if (profile_set_open(all, n + 1, d->site->catalog, d->site->zone, p, &set) != 0)
        (void)site_tell(p);
    problems_free(p);
    free(all);
    return set;
}

static int add_examples(struct draft *d, struct buf *yaml)
{
    struct message m;
    struct profile_set *set = open_draft(d, yaml);
    if (!set)
        return CTL_REFUSED;
    int code = CTL_DONE;
    message_init(&m);
    (void)buf_puts(yaml, "examples:\n");
    for (size_t i = 0; i < d->n && code == CTL_DONE; i++)
        code = put_example(d, profile_set_at(set, 0), &m, i, yaml);
    message_done(&m);
    profile_set_free(set);
    if (code != CTL_DONE || !(set = open_draft(d, yaml)))
        return CTL_REFUSED;
    struct problems *p = problems_new(20);
    if (profile_check_examples(set, profile_set_at(set, 0), p) < 0) {
        (void)site_tell(p);
        code = CTL_REFUSED;
    }
    problems_free(p);
    profile_set_free(set);
    return code;
}

/* -- the command -------------------------------------------------------------------------------- */

static int hand_out(const struct buf *yaml, const char *path, const char *name)
{
    size_t reviews = 0, len;
    char *there;
    for (const char *at = yaml->data; (at = strstr(at, "# review")); at++)
        reviews++;
    if (!path) {
        (void)fwrite(yaml->data, 1, yaml->len, stdout);
        return CTL_DONE;
    }
    if (file_load(path, MAX_SAMPLE, &there, &len) != -ENOENT) {
        (void)fprintf(stderr, "gaihouctl: %s is there already; it is left as it is\n", path);
        return CTL_REFUSED;
    }
    int r = file_store(path, yaml->data, yaml->len);
    if (r != 0) {
        (void)fprintf(stderr, "gaihouctl: %s: %s\n", path, strerror(-r));
        return CTL_REFUSED;
    }
    printf("%s: profile %s, %zu places to review; then: gaihouctl profile test %s\n", path,
           name, reviews, path);
    return CTL_DONE;
}

static bool good_name(const char *name)
{
    if (text_is_kind(name, strlen(name)))
        return true;
    (void)fprintf(stderr, "gaihouctl: --name \"%s\", expected [a-z][a-z0-9-]*\n", name);
    return false;
}

/* Who hands in JSON with a slip of the pen looks for that place, not for a codec. */
static void tell_json_fault(const struct profile_guess_sample *s, size_t number)
{
    const char *why;
    size_t at = 0;
    int line, col;
    while (at < s->len && s->payload[at] && strchr(" \t\r\n", s->payload[at]))
        at++;
    if (at == s->len || (s->payload[at] != '{' && s->payload[at] != '[') ||
        !json_fault(s->payload, s->len, &at, &why))
        return;
    json_place(s->payload, at, &line, &col);
    (void)fprintf(
        stderr, "gaihouctl: if sample %zu should be JSON, it is wrong at line %d, col %d: %s\n",
        number, line, col, why);
}

/* The draft without examples. */
static int make_draft(struct draft *d, struct buf *yaml)
{
    struct profile_guess_result found = {NULL, 0};
    struct err err;
    int code = CTL_DONE;
    struct sample_reader *r = sample_reader_new(d->site, d->name, d->samples, d->n);
    if (profile_guess_by(d->name, sample_reader_samples(r), d->n, sample_reader_way(r),
                         d->site->catalog, yaml, &found, &err) != 0) {
        (void)fprintf(stderr, "gaihouctl: %s\n", err.text);
        for (size_t i = 0; i < d->n; i++)
            tell_json_fault(&d->samples[i], i + 1);
        code = CTL_REFUSED;
    } else if (sample_reader_words(r)[0]) {
        (void)fprintf(stderr, "gaihouctl: %s\n", sample_reader_words(r));
    }
    d->kind = found.kind;
    sample_reader_free(r);
    return code;
}

int tools_profile_new(struct site *s, const struct profile_new_options *o, char **samples,
                      size_t n)
{
    struct draft *d = mem_zalloc(sizeof(*d));
    struct buf yaml;
    *d = (struct draft){.site = s, .name = o->name};
    buf_init(&yaml, (size_t)64 << 20);
    int code = good_name(o->name) ? read_samples(d, o, samples, n) : CTL_USAGE;
    if (code == CTL_DONE)
        code = make_draft(d, &yaml);
    if (code == CTL_DONE)
        code = add_examples(d, &yaml);
    if (yaml.len > 0 && code == CTL_DONE) {
        (void)buf_cstr(&yaml);
        code = hand_out(&yaml, o->out, o->name);
    } else if (yaml.len > 0) { /* better a draft with a fault than none */
        (void)fwrite(yaml.data, 1, yaml.len, stdout);
    }
    for (size_t i = 0; i < d->n_owned; i++)
        free(d->owned[i]);
    buf_done(&yaml);
    free(d);
    return code;
}
