/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile_probe — what profiles make of messages, for tests/integ/test_95_corpus.py.
 *
 *   profile_probe [-e] CATALOG PROFILE.yaml…
 *
 * With -e it runs the profiles' examples, tells what does not come out, and is done.
 *
 * Reads lines of six fields with tabs between: id, broker (a number: sparkplug's births are kept apart by
 * it), profiles (names with commas between, asked in that order), topic, kind ("" none), payload in hexadecimal.
 * Writes one JSON object a line: {"id", "profile", "outcome", "count", "message", "detail", "device",
 * "unknown", "rebirth", "samples": [{"device", "point", "time", "unread", "alive", "values": [{"key", "metric",
 * "value", "quality", "reason"}]}]}. Values are judged as the engine does, by the kind's catalogue ranges; one
 * without a metric in that kind has "metric" null.
 */
#include "base/buf.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/json.h"
#include "core/judge.h"
#include "core/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAYLOAD = 1 << 20, FIELDS = 6 };

static char *read_file(const char *path, size_t *out_len)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(66);
    }
    size_t cap = 4u << 20;
    char *p = mem_zalloc(cap);
    size_t n = fread(p, 1, cap, f);
    fclose(f);
    *out_len = n;
    return p;
}

static void show_problems(const struct problems *p)
{
    for (size_t i = 0; i < problems_count(p); i++)
        fprintf(stderr, "%s\n", problems_get(p, i));
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t unhex(const char *s, char *out)
{
    size_t n = 0;
    for (; nibble(s[0]) >= 0 && nibble(s[1]) >= 0 && n < MAX_PAYLOAD; s += 2)
        out[n++] = (char)(nibble(s[0]) << 4 | nibble(s[1]));
    return n;
}

static void put_value(struct jsonw *w, const char *key, const struct value *v)
{
    switch (v->type) {
    case VALUE_FLOAT:
        jsonw_double(w, key, v->f);
        break;
    case VALUE_INT:
        jsonw_i64(w, key, v->i);
        break;
    case VALUE_BOOL:
        jsonw_bool(w, key, v->b);
        break;
    case VALUE_STRING:
        jsonw_strn(w, key, v->s.p, v->s.n);
        break;
    }
}

static void put_decoded(struct jsonw *w, const struct decoded_value *v,
                        const struct catalog *catalog, const struct kind *kind)
{
    static const char *const quality[] = {"good", "uncertain", "bad"};
    const struct profile_metric *m = kind && v->from ? profile_metric(v, kind) : NULL;
    struct profile_metric own = judge_as_is(
        kind && !v->from ? catalog_metric(catalog, kind, v->key, v->key_len) : NULL);
    if (own.metric)
        m = &own;
    jsonw_object(w, NULL);
    jsonw_strn(w, "key", v->key, v->key_len);
    if (!m) {
        jsonw_null(w, "metric");
        if (!v->is_null)
            put_value(w, "value", &v->v);
        if (v->quality == QUALITY_BAD) {
            char said[32];
            (void)snprintf(said, sizeof(said), "bad %s",
                           judge_reason((enum quality_reason)v->reason));
            jsonw_str(w, "said", said);
        }
    } else {
        struct judge_room room = {0};
        struct judged j;
        double min, max;
        judge_range(m->metric, &min, &max);
        jsonw_str(w, "metric", m->metric->name);
        if (judge_value(v, m, min, max, &room, &j)) {
            put_value(w, "value", &j.field.v);
            jsonw_str(w, "quality", quality[j.quality]);
            jsonw_str(w, "reason", judge_reason((enum quality_reason)j.reason));
        }
    }
    jsonw_end_object(w);
}

static void put_sample(struct jsonw *w, const struct decoded *d, const struct decoded_sample *s,
                       const struct catalog *catalog, const struct kind *kind)
{
    jsonw_object(w, NULL);
    jsonw_strn(w, "device", s->device ? s->device : "", s->device_len);
    jsonw_strn(w, "point", s->point ? s->point : "", s->point_len);
    if (s->has_time)
        jsonw_i64(w, "time", s->time_ms);
    jsonw_bool(w, "unread", s->time_unread);
    jsonw_bool(w, "alive", !s->not_alive);
    jsonw_bool(w, "has_id", s->id != 0);
    jsonw_array(w, "values");
    for (size_t i = 0; i < s->n; i++)
        put_decoded(w, &d->values[s->first + i], catalog, kind);
    jsonw_end_array(w);
    jsonw_end_object(w);
}

static void put_verdict(struct jsonw *w, const char *id, const struct profile *p,
                        const struct profile_verdict *v, const struct decoded *d,
                        const struct catalog *catalog, const struct kind *kind)
{
    static const char *const outcomes[] = {"samples", "ignored", "refused", "not_mine"};
    jsonw_object(w, NULL);
    jsonw_str(w, "id", id);
    jsonw_str(w, "profile", p ? profile_name(p) : "");
    jsonw_str(w, "outcome", outcomes[v->outcome]);
    if (v->outcome == PROFILE_IGNORED || v->outcome == PROFILE_REFUSED)
        jsonw_str(w, "count", ledger_reason(v->count));
    jsonw_str(w, "message", v->message);
    jsonw_str(w, "detail", v->detail);
    jsonw_strn(w, "device", v->device ? v->device : "", v->device_len);
    jsonw_u64(w, "unknown", d->unknown);
    jsonw_bool(w, "rebirth", v->want_rebirth);
    jsonw_array(w, "samples");
    if (v->outcome == PROFILE_SAMPLES)
        for (size_t i = 0; i < d->n_samples; i++)
            put_sample(w, d, &d->samples[i], catalog, kind);
    jsonw_end_array(w);
    jsonw_end_object(w);
}

struct probe {
    const struct catalog *catalog;
    const struct profile_set *set;
    struct profile_run *run;
    struct sparkplug *sparkplug;
    struct decoded decoded;
    char *payload;
};

/* The first of the profiles, by name, that takes the message. */
static void ask(struct probe *x, char *f[FIELDS], struct buf *out)
{
    struct profile_verdict v = {.outcome = PROFILE_NOT_MINE, .message = ""};
    const struct profile *taker = NULL;
    size_t n = unhex(f[5], x->payload);
    int64_t broker = 0;
    memset(x->payload + n, 0, JSON_PADDING);
    (void)num_get_i64(f[1], strlen(f[1]), &broker);
    char *rest = f[2];
    for (const char *name; (name = strsep(&rest, ",")) != NULL;) {
        const struct profile *p = profile_find(x->set, name);
        bool fits = false;
        for (size_t i = 0; p && i < profile_topics(p) && !fits; i++) {
            struct topic_pattern *t = NULL;
            struct topic_match m;
            const char *why;
            if (topic_compile(profile_topic(p, i), &t, &why) < 0)
                continue;
            fits = topic_matches(t, f[3], strlen(f[3]), &m);
            if (fits) {
                struct profile_input in = {.topic = f[3],
                                           .topic_len = strlen(f[3]),
                                           .match = &m,
                                           .payload = x->payload,
                                           .len = n,
                                           .received_ms = 1767225600000,
                                           .sparkplug = x->sparkplug,
                                           .broker = (unsigned)broker};
                taker = p;
                profile_decode(p, x->run, &in, &x->decoded, &v);
            }
            topic_free(t);
        }
        if (fits && v.outcome != PROFILE_NOT_MINE)
            break;
    }
    struct jsonw w;
    jsonw_init(&w, out);
    put_verdict(&w, f[0], taker, &v, &x->decoded, x->catalog,
                catalog_kind(x->catalog, f[4], strlen(f[4])));
}

static int probe(const struct catalog *catalog, const struct profile_set *set)
{
    struct probe x = {.catalog = catalog,
                      .set = set,
                      .run = profile_run_new(MAX_PAYLOAD),
                      .sparkplug = sparkplug_new(),
                      .payload = mem_zalloc(MAX_PAYLOAD + JSON_PADDING)};
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    while ((got = getline(&line, &cap, stdin)) > 0) {
        char *f[FIELDS], *rest = line;
        size_t n = 0;
        line[strcspn(line, "\n")] = '\0';
        while (n < FIELDS && rest)
            f[n++] = strsep(&rest, "\t");
        if (n != FIELDS)
            return 65;
        struct buf out;
        buf_init(&out, 64u << 20);
        ask(&x, f, &out);
        fwrite(out.data, 1, out.len, stdout);
        putchar('\n');
        fflush(stdout);
        buf_done(&out);
    }
    free(line);
    decoded_done(&x.decoded);
    profile_run_free(x.run);
    sparkplug_free(x.sparkplug);
    free(x.payload);
    return 0;
}

int main(int argc, char **argv)
{
    struct problems *problems = problems_new(100);
    struct catalog *catalog = NULL;
    struct profile_set *set = NULL;
    struct zone *zone = NULL;
    size_t n = 0;
    bool examples = argc > 1 && strcmp(argv[1], "-e") == 0;
    argc -= examples, argv += examples;
    if (argc < 3)
        return 64;
    char *text = read_file(argv[1], &n);
    size_t n_files = (size_t)argc - 2;
    struct profile_text *files = mem_zalloc(n_files * sizeof(*files));
    for (size_t i = 0; i < n_files; i++) {
        files[i].file = argv[i + 2];
        files[i].text = read_file(argv[i + 2], &files[i].len);
    }
    int rc = zone_open("Asia/Shanghai", &zone);
    if (rc == 0)
        rc = catalog_parse(text, n, argv[1], problems, &catalog);
    if (rc == 0)
        rc = profile_set_open(files, n_files, catalog, zone, problems, &set);
    if (rc == 0 && examples)
        rc = profile_check_examples(set, NULL, problems);
    show_problems(problems);
    rc = rc < 0 ? 78 : examples ? 0 : probe(catalog, set);
    profile_set_free(set);
    catalog_free(catalog);
    zone_free(zone);
    problems_free(problems);
    for (size_t i = 0; i < n_files; i++)
        free((void *)(uintptr_t)files[i].text);
    free(files);
    free(text);
    return rc;
}
