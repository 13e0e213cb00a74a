/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examples: what a profile says of itself, compiled and run.
 */
#include "base/base64.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"
#include "core/judge.h"
#include "core/profile_private.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PAYLOAD = 65536, MAX_SAMPLES = 256 };

/* ---- compiled ---- */

static bool hex_payload(struct plan_build *b, const struct yaml_node *n, struct buf *out)
{
    int high = -1;
    for (const char *s = n->text; *s; s++) {
        int d = *s >= '0' && *s <= '9'   ? *s - '0'
                : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10
                : *s >= 'A' && *s <= 'F' ? *s - 'A' + 10
                                         : -1;
        if (*s == ' ' || *s == '\n')
            continue;
        if (d < 0) {
            conf_error(b->notes, AT(n), "payload_hex: '%c' is no hex digit", *s);
            return false;
        }
        if (high >= 0)
            (void)buf_putc(out, (char)(high << 4 | d));
        high = high < 0 ? d : -1;
    }
    if (high >= 0)
        conf_error(b->notes, AT(n), "payload_hex has an odd number of digits");
    return high < 0;
}

struct example_keys {
    bool known; /* none of its keys is wrongly written */
    const struct yaml_node *name, *topic, *payload, *hex, *base64, *received, *kind, *expect;
    const struct yaml_node *ignored, *refused;
};

static void payload_of(struct plan_build *b, const struct yaml_node *at,
                       const struct example_keys *k, struct example *e)
{
    struct buf out;
    buf_init(&out, MAX_PAYLOAD);
    const struct yaml_node *text = k->payload, *hex = k->hex;
    const struct yaml_node *n = text ? text : hex ? hex : k->base64;
    int given = (text != NULL) + (hex != NULL) + (k->base64 != NULL);
    if (given != 1) {
        if (given > 1 || k->known)
            conf_error(b->notes, AT(at),
                       "an example needs `payload`, `payload_hex` or `payload_base64`");
    } else if (n->kind != YAML_SCALAR) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n), "a payload is %s, expected text (in quotes)",
                       plan_kind_of(n));
    } else if (text) {
        (void)buf_puts(&out, n->text);
    } else if (hex) {
        (void)hex_payload(b, n, &out);
    } else if (base64_get(&out, n->text, strlen(n->text)) == -EINVAL) {
        conf_error(b->notes, AT(n), "payload_base64 is not base64 with padding");
    }
    if (out.failed)
        conf_error(b->notes, AT(n), "a payload of more than %d bytes", MAX_PAYLOAD);
    char *p = plan_take(b, out.len + JSON_PADDING, 1);
    if (out.len)
        memcpy(p, out.data, out.len);
    e->payload = p;
    e->len = out.len;
    buf_done(&out);
}

static bool stamp_of(struct plan_build *b, const struct yaml_node *n, int64_t *out)
{
    const char *s = plan_scalar_text(b, n, "a time");
    if (s && stamp_parse(s, strlen(s), out) == 0)
        return true;
    if (s)
        conf_error(b->notes, AT(n), "\"%.64s\", expected RFC 3339 with a zone", s);
    return false;
}

static bool quality_word(const char *key, const char *value, unsigned char *quality,
                         unsigned char *reason)
{
    static const char *const words[] = {
#define X(name, word) word,
        QUALITY_REASONS(X)
#undef X
    };
    *quality = strcmp(key, "bad") == 0 ? QUALITY_BAD : QUALITY_UNCERTAIN;
    for (size_t i = 1; i < REASON_N; i++) {
        if (strcmp(words[i], value) == 0) {
            *reason = (unsigned char)i;
            return true;
        }
    }
    return false;
}

/* METRIC: value, or {bad: range, value: 270} */
static bool expected_value(struct plan_build *b, const struct yaml_node *n,
                           struct example_value *v)
{
    const struct yaml_node *bad = NULL, *uncertain = NULL, *value = NULL;
    const struct plan_key keys[] = {
        {"bad", &bad}, {"uncertain", &uncertain}, {"value", &value}};
    *v = (struct example_value){.metric = plan_text_copy(b, n->key->text, strlen(n->key->text)),
                                .len = strlen(n->key->text),
                                .line = n->line,
                                .col = n->col,
                                .any = true};
    if (n->kind == YAML_SCALAR) {
        v->any = false;
        v->value = plan_scalar_of(b, n);
        return true;
    }
    if (!plan_is_map(b, n, "an expected value"))
        return false;
    plan_read_map(b, n, keys, 3, "an expected value");
    if (value && value->kind == YAML_SCALAR) {
        v->any = false;
        v->value = plan_scalar_of(b, value);
    }
    const struct yaml_node *q = bad ? bad : uncertain;
    const char *s = q ? plan_scalar_text(b, q, "a reason") : NULL;
    if (s && !quality_word(q->key->text, s, &v->quality, &v->reason))
        conf_error(b->notes, AT(q),
                   "reason \"%.64s\", expected range, sentinel, type, enum, fault, disagree, "
                   "clock or other",
                   s);
    return true;
}

static void expected_time(struct plan_build *b, const struct yaml_node *n,
                          struct example_sample *s)
{
    s->received = n->kind == YAML_SCALAR && strcmp(n->text, "received") == 0;
    s->has_time = !s->received && stamp_of(b, n, &s->time_ms);
}

static void expected_sample(struct plan_build *b, const struct yaml_node *n,
                            struct example_sample *s)
{
    *s = (struct example_sample){.line = n->line, .col = n->col};
    if (!plan_is_map(b, n, "an expected sample"))
        return;
    s->values = plan_take(b, plan_count(n), sizeof(*s->values));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        const char *key = v->key->text;
        const char **to = strcmp(key, "device") == 0     ? &s->device
                          : strcmp(key, "point") == 0    ? &s->point
                          : strcmp(key, "compound") == 0 ? &s->compound
                                                         : NULL;
        if (to) {
            const char *t = plan_scalar_text(b, v, key);
            *to = t ? plan_text_copy(b, t, strlen(t)) : NULL;
        } else if (strcmp(key, "time") == 0) {
            expected_time(b, v, s);
        } else if (expected_value(b, v, &s->values[s->n])) {
            s->n++;
        }
    }
}

static void expect_of(struct plan_build *b, const struct yaml_node *n, struct example *e)
{
    if (n->kind != YAML_LIST) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n), "expect is %s, expected a list of samples",
                       plan_kind_of(n));
        return;
    }
    e->samples = plan_take(b, plan_count(n), sizeof(*e->samples));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        if (e->n == MAX_SAMPLES) {
            conf_error(b->notes, AT(v), "more than %d samples", MAX_SAMPLES);
            return;
        }
        expected_sample(b, v, &e->samples[e->n++]);
    }
}

static void outcome_of(struct plan_build *b, const struct yaml_node *n,
                       const struct example_keys *k, struct example *e)
{
    int given = (k->expect != NULL) + (k->ignored != NULL) + (k->refused != NULL);
    if (given > 1 || (given == 0 && k->known))
        conf_error(b->notes, AT(n), "an example needs `expect`, `ignored` or `refused`");
    e->expects_samples = k->expect != NULL;
    if (k->expect)
        expect_of(b, k->expect, e);
    const char *s = k->ignored ? plan_scalar_text(b, k->ignored, "ignored") : NULL;
    e->expects_ignored = k->ignored != NULL;
    e->ignored = LEDGER_DUPLICATE;
    if (s && strcmp(s, "duplicate") != 0 && !plan_ignore_reason(s, &e->ignored)) {
        size_t count;
        const char *const *words = plan_ignore_words(&count);
        plan_unknown(b, k->ignored, "unknown reason", s, words, count);
    }
    s = k->refused ? plan_scalar_text(b, k->refused, "refused") : NULL;
    e->refused = k->refused ? plan_text_copy(b, s ? s : "", s ? strlen(s) : 0) : NULL;
}

static void example_of(struct plan_build *b, const struct yaml_node *n, struct example *e)
{
    struct example_keys k = {0};
    const struct plan_key keys[] = {
        {"name", &k.name},       {"topic", &k.topic},           {"payload", &k.payload},
        {"payload_hex", &k.hex}, {"payload_base64", &k.base64}, {"received", &k.received},
        {"kind", &k.kind},       {"expect", &k.expect},         {"ignored", &k.ignored},
        {"refused", &k.refused}};
    *e = (struct example){.name = "", .topic = "", .line = n->line, .col = n->col};
    if (!plan_is_map(b, n, "an example"))
        return;
    k.known = plan_read_map(b, n, keys, 10, "an example");
    const char *s = k.name ? plan_scalar_text(b, k.name, "name") : NULL;
    if (s)
        e->name = plan_text_copy(b, s, strlen(s));
    s = k.topic ? plan_scalar_text(b, k.topic, "topic") : NULL;
    if (s)
        e->topic = plan_text_copy(b, s, strlen(s));
    if (!k.topic && k.known)
        conf_error(b->notes, AT(n), "an example needs the `topic` on which it comes");
    payload_of(b, n, &k, e);
    if (!k.received || !stamp_of(b, k.received, &e->received_ms))
        e->received_ms = 1767225600000; /* 2026-01-01T00:00:00Z */
    e->kind = b->p->first_kind;
    s = k.kind ? plan_scalar_text(b, k.kind, "kind") : NULL;
    if (s) {
        const struct catalog *c = b->set->catalog;
        e->kind = catalog_kind(c, s, strlen(s));
        if (!e->kind)
            conf_error(b->notes, AT(k.kind), "the catalogue has no kind \"%.64s\"", s);
    }
    outcome_of(b, n, &k, e);
}

void plan_examples(struct plan_build *b, const struct yaml_node *n)
{
    struct profile *p = b->p;
    if (n->kind != YAML_LIST) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n), "examples is %s, expected a list", plan_kind_of(n));
        return;
    }
    p->examples = plan_take(b, plan_count(n), sizeof(*p->examples));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        if (p->n_examples == PLAN_MAX_EXAMPLES) {
            conf_error(b->notes, AT(v), "more than %d examples", PLAN_MAX_EXAMPLES);
            break;
        }
        example_of(b, v, &p->examples[p->n_examples++]);
    }
}

/* ---- run ---- */

struct trial {
    const struct profile *p;
    const struct example *e;
    struct problems *problems;
    struct decoded *out;
    size_t failures;
};

static void fail(struct trial *t, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void fail(struct trial *t, int line, int col, const char *fmt, ...)
{
    char text[768];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (*t->e->name)
        problems_add(t->problems, t->p->file, line, col, "example \"%.64s\": %s", t->e->name,
                     text);
    else
        problems_add(t->problems, t->p->file, line, col, "this example: %s", text);
    t->failures++;
}

/* A value as a person reads it. */
static const char *shown(char room[128], const struct value *v)
{
    size_t n = 0;
    switch (v->type) {
    case VALUE_BOOL:
        return v->b ? "true" : "false";
    case VALUE_INT:
        n = num_put_i64(room, v->i);
        break;
    case VALUE_FLOAT:
        if (!isfinite(v->f))
            return "NaN";
        n = num_put_double(room, v->f);
        break;
    case VALUE_STRING:
        n = v->s.n < 120 ? v->s.n : 120;
        memcpy(room, v->s.p, n);
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)room[i] < 0x20 || room[i] == 0x7f)
                room[i] = '?';
        break;
    }
    room[n] = '\0';
    return room;
}

static const struct profile_metric *metric_of(const struct profile *p,
                                              const struct decoded_value *v,
                                              const struct kind *kind,
                                              struct profile_metric *room)
{
    const struct catalog *c = p->set->catalog;
    for (size_t i = 0; i < catalog_kinds(c); i++) {
        const struct kind *k = kind ? kind : catalog_kind_at(c, i);
        if (v->from) {
            const struct profile_metric *m = profile_metric(v, k);
            if (m)
                return m;
        } else if (kind || !p->kinds || p->kinds[i]) {
            const struct metric *m = catalog_metric(c, k, v->key, v->key_len);
            if (m) {
                *room = judge_as_is(m);
                return room;
            }
        }
        if (kind)
            break;
    }
    return NULL;
}

/* Equal as written: numbers to nine digits, as people write them. */
static bool value_equal(const struct plan_scalar *s, const struct value *v)
{
    if (scalar_equal_value(s, v))
        return true;
    if (s->kind != SCALAR_NUMBER || v->type != VALUE_FLOAT)
        return false;
    return fabs(v->f - s->number) <= 1e-9 * fmax(fabs(v->f), fabs(s->number));
}

static const char *const quality_names[] = {"good", "uncertain", "bad"};

static void compare_value(struct trial *t, struct example_sample *es,
                          const struct decoded_value *v)
{
    struct profile_metric as_is;
    struct judge_room room = {0};
    struct judged j = {0};
    double min, max;
    char text[128];
    const struct profile_metric *m = metric_of(t->p, v, t->e->kind, &as_is);
    if (!m)
        return; /* counted as unknown */
    judge_range(m->metric, &min, &max);
    if (!judge_value(v, m, min, max, &room, &j))
        return;
    const char *name = m->metric->name;
    for (size_t i = 0; i < es->n; i++) {
        struct example_value *ev = &es->values[i];
        if (ev->seen || strcmp(ev->metric, name) != 0)
            continue;
        ev->seen = true;
        bool reason = ev->quality == QUALITY_GOOD || ev->reason == j.reason;
        bool code = j.field.has_code && ev->value.kind == SCALAR_NUMBER && ev->value.is_int &&
                    ev->value.integer == j.field.code;
        if (ev->quality != j.quality || !reason)
            fail(t, ev->line, ev->col, "%s is %s%s%s%s (value %s), expected %s", name,
                 quality_names[j.quality], j.reason ? "{" : "",
                 judge_reason((enum quality_reason)j.reason), j.reason ? "}" : "",
                 shown(text, &j.field.v), quality_names[ev->quality]);
        else if (!ev->any && !code && !value_equal(&ev->value, &j.field.v))
            fail(t, ev->line, ev->col, "%s is %s, expected %s", name, shown(text, &j.field.v),
                 ev->value.text);
        return;
    }
    for (size_t i = 0; i < es->n; i++)
        if (es->values[i].seen && strcmp(es->values[i].metric, name) == 0)
            return; /* said twice: the first stands */
    fail(t, es->line, es->col, "%s came out, too: %s%s%s", name, shown(text, &j.field.v),
         j.reason ? ", " : "", judge_reason((enum quality_reason)j.reason));
}

static bool text_is(const char *want, const char *p, size_t n)
{
    return !want || (p && strlen(want) == n && memcmp(want, p, n) == 0);
}

static void compare_sample(struct trial *t, struct example_sample *es,
                           const struct decoded_sample *s)
{
    char got[STAMP_SIZE], want[STAMP_SIZE];
    es->seen = true;
    if (!text_is(es->device, s->device, s->device_len))
        fail(t, es->line, es->col, "device is \"%.*s\", expected \"%s\"",
             (int)(s->device_len < 96 ? s->device_len : 96), s->device ? s->device : "",
             es->device);
    if (!text_is(es->point, s->point, s->point_len) || (!es->point && s->point_len))
        fail(t, es->line, es->col, "point is \"%.*s\", expected \"%s\"",
             (int)(s->point_len < 96 ? s->point_len : 96), s->point ? s->point : "",
             es->point ? es->point : "");
    if (!text_is(es->compound, s->compound, s->compound_len))
        fail(t, es->line, es->col, "compound is \"%.*s\", expected \"%s\"",
             (int)(s->compound_len < 96 ? s->compound_len : 96), s->compound ? s->compound : "",
             es->compound);
    (void)stamp_format(got, s->time_ms, 0);
    (void)stamp_format(want, es->time_ms, 0);
    if (es->received && s->has_time)
        fail(t, es->line, es->col, "time is %s, expected that of receipt", got);
    else if (es->has_time && (!s->has_time || s->time_ms != es->time_ms))
        fail(t, es->line, es->col, "time is %s, expected %s",
             s->has_time      ? got
             : s->time_unread ? "unreadable"
                              : "that of receipt",
             want);
    for (size_t i = 0; i < s->n; i++)
        compare_value(t, es, &t->out->values[s->first + i]);
    for (size_t i = 0; i < es->n; i++)
        if (!es->values[i].seen)
            fail(t, es->values[i].line, es->values[i].col, "%s did not come out",
                 es->values[i].metric);
}

static void compare_samples(struct trial *t)
{
    size_t k = 0;
    const struct example *e = t->e;
    for (size_t i = 0; i < t->out->n_samples; i++) {
        if (t->out->samples[i].n == 0)
            continue; /* a sign of life only */
        if (k < e->n)
            compare_sample(t, &e->samples[k], &t->out->samples[i]);
        k++;
    }
    if (k != e->n)
        fail(t, e->line, e->col, "%zu samples came out, expected %zu", k, e->n);
}

static void compare(struct trial *t, const struct profile_verdict *v)
{
    const struct example *e = t->e;
    char got[400];
    const char *what = got;
    switch (v->outcome) {
    case PROFILE_SAMPLES:
        if (e->expects_samples) {
            compare_samples(t);
            return;
        }
        what = "samples";
        break;
    case PROFILE_IGNORED:
        if (e->expects_ignored && v->count == e->ignored)
            return;
        (void)snprintf(got, sizeof(got), "%s %s", ledger_class(v->count),
                       ledger_reason(v->count));
        break;
    case PROFILE_REFUSED:
        if (e->refused && strstr(v->detail, e->refused))
            return;
        (void)snprintf(got, sizeof(got), "refused (%s: %s)", ledger_reason(v->count),
                       v->detail);
        break;
    case PROFILE_NOT_MINE:
        what = "no message of the profile fits";
        break;
    }
    fail(t, e->line, e->col, "%s, expected %s%s%s", what,
         e->expects_samples   ? "samples"
         : e->expects_ignored ? "ignored "
                              : "refused: ",
         e->expects_ignored
             ? e->ignored == LEDGER_DUPLICATE ? "duplicate" : ledger_reason(e->ignored)
             : "",
         e->refused ? e->refused : "");
}

static size_t try_example(const struct profile *p, const struct example *e,
                          struct profile_run *x, struct decoded *out, struct problems *problems)
{
    struct trial t = {p, e, problems, out, 0};
    struct topic_match match = {.n = 0};
    struct profile_verdict v;
    size_t i = 0, len = strlen(e->topic);
    while (i < p->n_topics && !topic_matches(p->patterns[i], e->topic, len, &match))
        i++;
    if (i == p->n_topics && p->n_topics) {
        fail(&t, e->line, e->col, "topic \"%.128s\" fits none of the profile's topics",
             e->topic);
        return t.failures;
    }
    struct profile_input in = {.topic = e->topic,
                               .topic_len = len,
                               .match = &match,
                               .payload = e->payload,
                               .len = e->len,
                               .received_ms = e->received_ms};
    for (size_t s = 0; s < e->n; s++)
        for (size_t k = 0; k < e->samples[s].n; k++)
            e->samples[s].values[k].seen = false;
    profile_decode(p, x, &in, out, &v);
    compare(&t, &v);
    return t.failures;
}

int profile_check_examples(const struct profile_set *s, const struct profile *p,
                           struct problems *problems)
{
    int count = 0;
    size_t failures = 0;
    struct decoded out = {0};
    for (size_t i = 0; i < s->n; i++) {
        if (p && s->profiles[i] != p)
            continue;
        /* A run of its own: what births of one profile said is nothing to the next. */
        struct profile_run *x = profile_run_new((size_t)1 << 20);
        for (size_t k = 0; k < s->profiles[i]->n_examples; k++, count++)
            failures +=
                try_example(s->profiles[i], &s->profiles[i]->examples[k], x, &out, problems);
        profile_run_free(x);
    }
    decoded_done(&out);
    return failures ? -EINVAL : count;
}
