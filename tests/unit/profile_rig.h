/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_PROFILE_RIG_H
#define TESTS_UNIT_PROFILE_RIG_H
/* A small catalogue, profiles from text, and what a message becomes as one line of text. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"
#include "core/judge.h"
#include "core/profile.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char rig_catalog[] =
    "version: 1\n"
    "kinds:\n"
    "  sump:\n"
    "    zh: z\n"
    "    en: e\n"
    "    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, sentinels: [99.99], zh: z, en: e}\n"
    "      temperature: {type: float, unit: Cel, min: -50, max: 125, zh: z, en: e}\n"
    "      pump_on: {type: bool, zh: z, en: e}\n"
    "      open: {type: bool, zh: z, en: e}\n"
    "      starts: {type: int, min: 0, zh: z, en: e}\n"
    "      uptime: {type: int, unit: s, min: 0, zh: z, en: e}\n"
    "      firmware: {type: string, zh: z, en: e}\n"
    "      state: {type: enum, zh: z, en: e, codes: [{code: 0, name: normal, zh: z, en: e}, "
    "{code: 1, name: alarm, zh: z, en: e}]}\n"
    "      mixed: {type: float, zh: z, en: e}\n"
    "  gas:\n"
    "    zh: z\n"
    "    en: e\n"
    "    metrics:\n"
    "      level: {type: float, unit: cm, zh: z, en: e}\n"
    "      battery_v: {type: float, unit: V, min: 0, max: 60, zh: z, en: e}\n"
    "      state: {type: enum, zh: z, en: e, codes: [{code: 0, name: normal, zh: z, en: e}, "
    "{code: 2, name: muted, zh: z, en: e}]}\n"
    "      mixed: {type: int, zh: z, en: e}\n";

struct rig {
    struct catalog *catalog;
    struct profile_set *set;
    struct profile_run *run;
    struct problems *problems;
    struct zone *zone;
    struct decoded out;
    struct profile_verdict v;
    char text[8192]; /* what came out */
    char all[16384]; /* all problems */
    const char *kind;
};

static inline void rig_init(struct rig *r)
{
    struct problems *p = problems_new(10);
    *r = (struct rig){.kind = "sump"};
    assert_int_equal(catalog_parse(rig_catalog, sizeof(rig_catalog) - 1, "c", p, &r->catalog),
                     0);
    assert_int_equal(zone_open("Asia/Shanghai", &r->zone), 0);
    problems_free(p);
    r->run = profile_run_new(1 << 20);
}

static inline void rig_done(struct rig *r)
{
    profile_set_free(r->set);
    profile_run_free(r->run);
    catalog_free(r->catalog);
    problems_free(r->problems);
    decoded_done(&r->out);
    zone_free(r->zone);
}

/* Several files; true if they are right. Problems are in r->all, one a line. */
static inline bool rig_files(struct rig *r, const char *const *texts, size_t n)
{
    struct profile_text files[8];
    static const char *const names[] = {"p", "q", "r", "s"};
    profile_set_free(r->set);
    problems_free(r->problems);
    r->set = NULL;
    r->problems = problems_new(200);
    for (size_t i = 0; i < n; i++)
        files[i] = (struct profile_text){names[i], texts[i], strlen(texts[i])};
    int e = profile_set_open(files, n, r->catalog, r->zone, r->problems, &r->set);
    struct buf b;
    buf_init(&b, sizeof(r->all) - 1);
    for (size_t i = 0; i < problems_count(r->problems); i++)
        (void)buf_printf(&b, "%s\n", problems_get(r->problems, i));
    memset(r->all, 0, sizeof(r->all));
    if (b.len)
        memcpy(r->all, b.data, b.len);
    buf_done(&b);
    return e == 0;
}

static inline void rig_open(struct rig *r, const char *text)
{
    if (!rig_files(r, &text, 1)) {
        print_error("%s%s", r->all, text);
        fail();
    }
}

/* A profile of one message: lines of the message, each with its indent of four blanks. */
static inline void rig_message(struct rig *r, const char *message)
{
    char *text = mem_printf("version: 1\nprofile: t\nkinds: [sump, gas]\ntopics: "
                            "[\"up/{dev}\"]\ndevice: \"{dev}\"\nmessages:\n  - name: m\n%s",
                            message);
    rig_open(r, text);
    free(text);
}

static inline void rig_value(struct buf *b, const struct value *v)
{
    char room[NUM_MAX];
    switch (v->type) {
    case VALUE_BOOL:
        (void)buf_puts(b, v->b ? "true" : "false");
        return;
    case VALUE_INT:
        (void)buf_put(b, room, num_put_i64(room, v->i));
        return;
    case VALUE_FLOAT:
        (void)buf_put(b, room, num_put_double(room, v->f));
        return;
    case VALUE_STRING:
        (void)buf_printf(b, "'%.*s'", (int)v->s.n, v->s.p);
        return;
    }
}

static inline void rig_sample(struct rig *r, struct buf *b, const struct decoded_sample *s)
{
    char stamp[STAMP_SIZE];
    const struct kind *k = catalog_kind(r->catalog, r->kind, strlen(r->kind));
    (void)buf_printf(b, "%s%.*s", b->len ? " | " : "", (int)s->device_len, s->device);
    if (s->point)
        (void)buf_printf(b, "#%.*s", (int)s->point_len, s->point);
    if (s->compound)
        (void)buf_printf(b, " in %.*s", (int)s->compound_len, s->compound);
    if (s->has_time) {
        stamp_format(stamp, s->time_ms, 0);
        (void)buf_printf(b, " %s%s", stamp, s->time_is_coarse ? "~" : "");
    }
    (void)buf_puts(b, s->time_unread ? " unread" : "");
    (void)buf_puts(b, s->not_alive ? " dead" : "");
    (void)buf_puts(b, s->id ? " id" : "");
    for (size_t i = s->first; i < s->first + s->n; i++) {
        const struct decoded_value *v = &r->out.values[i];
        struct profile_metric as_is;
        const struct profile_metric *m = profile_metric(v, k);
        const struct metric *own =
            v->from ? NULL : catalog_metric(r->catalog, k, v->key, v->key_len);
        if (own) {
            as_is = judge_as_is(own);
            m = &as_is;
        }
        if (!m) {
            (void)buf_printf(b, " ?%.*s", (int)v->key_len, v->key);
            continue;
        }
        struct judge_room room = {0};
        struct judged j;
        double min, max;
        judge_range(m->metric, &min, &max);
        if (!judge_value(v, m, min, max, &room, &j))
            continue;
        (void)buf_printf(b, " %.*s=", (int)j.field.key_len, j.field.key);
        rig_value(b, &j.field.v);
        if (j.quality)
            (void)buf_printf(b, "%s%s", j.quality == QUALITY_BAD ? "!" : "?",
                             judge_reason((enum quality_reason)j.reason));
    }
}

/* Through the profile named "t", or the only one. */
static inline const char *rig_bytes(struct rig *r, const char *topic, const void *payload,
                                    size_t len)
{
    const struct profile *p = profile_find(r->set, "t");
    struct topic_match match = {.n = 0};
    struct buf b;
    p = p ? p : profile_set_at(r->set, 0);
    for (size_t i = 0; i < profile_topics(p); i++) {
        struct topic_pattern *t;
        const char *why;
        assert_int_equal(topic_compile(profile_topic(p, i), &t, &why), 0);
        static struct topic_pattern *kept[64]; /* captures' names point into it */
        static size_t n_kept;
        topic_free(kept[n_kept % 64]);
        kept[n_kept++ % 64] = t;
        if (topic_matches(t, topic, strlen(topic), &match))
            break;
    }
    char *padded = mem_zalloc(len + JSON_PADDING);
    memcpy(padded, payload, len);
    struct profile_input in = {.topic = topic,
                               .topic_len = strlen(topic),
                               .match = &match,
                               .payload = padded,
                               .len = len,
                               .received_ms = 1767225600000};
    profile_decode(p, r->run, &in, &r->out, &r->v);
    buf_init(&b, sizeof(r->text) - 1);
    switch (r->v.outcome) {
    case PROFILE_SAMPLES:
        for (size_t i = 0; i < r->out.n_samples; i++)
            rig_sample(r, &b, &r->out.samples[i]);
        if (r->out.unknown)
            (void)buf_printf(&b, " unknown %u:", r->out.unknown);
        for (unsigned i = 0; i < r->out.unknown && i < DECODE_MAX_UNKNOWN; i++)
            (void)buf_printf(&b, " %.*s", (int)r->out.unknown_names[i].n,
                             r->out.unknown_names[i].p);
        break;
    case PROFILE_IGNORED:
        (void)buf_printf(&b, "%s %s", ledger_class(r->v.count), ledger_reason(r->v.count));
        if (r->v.device)
            (void)buf_printf(&b, " alive %.*s", (int)r->v.device_len, r->v.device);
        break;
    case PROFILE_REFUSED:
        (void)buf_printf(&b, "%s: %s", ledger_reason(r->v.count), r->v.detail);
        break;
    case PROFILE_NOT_MINE:
        (void)buf_puts(&b, "not mine");
        break;
    }
    memset(r->text, 0, sizeof(r->text));
    if (b.len)
        memcpy(r->text, b.data, b.len);
    buf_done(&b);
    free(padded);
    return r->text;
}

static inline const char *rig_say(struct rig *r, const char *payload)
{
    return rig_bytes(r, "up/d1", payload, strlen(payload));
}

#endif
