/* SPDX-License-Identifier: Apache-2.0 */
/* The published line-protocol vectors as oracle, when they are there ($GAIHOU_SHARED or
 * ../shared): for the tests' decoder, and for the encoder through it. */
#include "unit.h"
#include "core/json.h"
#include "core/lineproto.h"
#include "lp_decode.h"

#include <errno.h>

static char *line_at;
static size_t line_size;

static FILE *open_vectors(void)
{
    const char *shared = getenv("GAIHOU_SHARED");
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/corpus/lineprotocol_vectors.jsonl",
                   shared ? shared : "../shared");
    FILE *f = fopen(path, "re");
    if (!f)
        print_message("%s is not there: nothing was checked\n", path);
    return f;
}

/* The next record; its strings live until the one after. */
static bool next_record(FILE *f, struct json *json, struct json_value *out)
{
    ssize_t n;
    do /* servers' answers are not for us, and hold 1e400 */
        n = getline(&line_at, &line_size, f);
    while (n >= 0 && strstr(line_at, "\"kind\": \"server\""));
    if (n < 0)
        return false;
    size_t need = (size_t)n + JSON_PADDING;
    if (line_size < need) {
        line_at = realloc(line_at, need);
        assert_non_null(line_at);
        line_size = need;
    }
    const char *why;
    if (json_parse(json, line_at, (size_t)n, out, &why) < 0)
        fail_msg("%s: %.200s", why, line_at);
    return true;
}

static bool text_is(struct json_value record, const char *key, const char *want)
{
    struct json_value v;
    size_t n;
    if (!json_member(record, key, &v) || json_type(v) != JSON_STRING)
        return false;
    const char *s = json_text(v, &n);
    return n >= strlen(want) && memcmp(s, want, strlen(want)) == 0; /* begins so */
}

static size_t from_base64(const char *s, size_t n, char *out)
{
    static const char set[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t k = 0;
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < n && s[i] != '='; i++) {
        bits = bits << 6 | (unsigned)(strchr(set, s[i]) - set);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[k++] = (char)(bits >> have & 0xff);
        }
    }
    return k;
}

/* Text or {"b64": text}, into memory of its own. */
static char *bytes_of(struct json_value v, size_t *out_n)
{
    size_t n;
    struct json_value b64;
    bool coded = json_type(v) == JSON_OBJECT && json_member(v, "b64", &b64);
    const char *s = json_text(coded ? b64 : v, &n);
    char *out = malloc(n + 1);
    assert_non_null(out);
    if (coded)
        n = from_base64(s, n, out);
    else
        memcpy(out, s, n);
    out[n] = '\0';
    *out_n = n;
    return out;
}

static bool same_text(struct json_value v, const struct lp_text *t)
{
    size_t n;
    char *s = bytes_of(v, &n);
    bool same = n == t->n && memcmp(s, t->p, n) == 0;
    free(s);
    return same;
}

static bool same_value(struct json_value typed, const struct lp_field *f)
{
    struct json_value v;
    assert_true(json_member(typed, "value", &v));
    switch (f->type) {
    case LP_FLOAT:
        return text_is(typed, "type", "float") && json_double(v) == f->f;
    case LP_INT:
        return text_is(typed, "type", "int") && json_int(v) == f->i;
    case LP_UINT:
        return text_is(typed, "type", "uint") &&
               (json_type(v) == JSON_UINT ? json_uint(v) : (uint64_t)json_int(v)) == f->u;
    case LP_BOOL:
        return text_is(typed, "type", "bool") && json_bool(v) == f->b;
    case LP_STRING:
        return text_is(typed, "type", "string") && same_text(v, &f->s);
    }
    return false;
}

static bool pair(struct json_iter *it, struct json_value *out_a, struct json_value *out_b)
{
    struct json_value p;
    if (!json_next(it, NULL, NULL, &p))
        return false;
    struct json_iter in;
    json_iter(p, &in);
    assert_true(json_next(&in, NULL, NULL, out_a) && json_next(&in, NULL, NULL, out_b));
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct lp_tag *x = a, *y = b;
    return strcmp(x->key.p, y->key.p);
}

static bool same_point(struct json_value want, struct lp_point *pt, int64_t unit, int64_t now)
{
    struct json_value v, k, x;
    struct json_iter it;
    if (!json_member(want, "measurement", &v) || !same_text(v, &pt->measurement))
        return false;
    size_t n = 0;
    if (pt->n_tags > 0)
        qsort(pt->tags, pt->n_tags, sizeof(*pt->tags), by_key);
    assert_true(json_member(want, "tags", &v));
    for (json_iter(v, &it); pair(&it, &k, &x); n++)
        if (n >= pt->n_tags || !same_text(k, &pt->tags[n].key) ||
            !same_text(x, &pt->tags[n].value))
            return false;
    if (n != pt->n_tags)
        return false;
    n = 0;
    assert_true(json_member(want, "fields", &v));
    for (json_iter(v, &it); pair(&it, &k, &x); n++)
        if (n >= pt->n_fields || !same_text(k, &pt->fields[n].key) ||
            !same_value(x, &pt->fields[n]))
            return false;
    if (n != pt->n_fields)
        return false;
    assert_true(json_member(want, "timestamp", &v));
    return json_int(v) == (pt->has_time ? pt->time * unit : now / unit * unit);
}

static int64_t unit_of(struct json_value r)
{
    return text_is(r, "precision", "1s")    ? 1000000000
           : text_is(r, "precision", "1ms") ? 1000000
           : text_is(r, "precision", "1ns") ? 1
                                            : 1000;
}

/* -1 malformed, 0 another result, 1 as expected. */
static int check_decode(struct json_value r)
{
    struct json_value v, want, extra, points;
    assert_true(json_member(r, "input_line", &v));
    size_t n, count = 0;
    char *text = bytes_of(v, &n);
    const char *at = text, *why = NULL;
    struct json_iter it;
    bool many = json_member(r, "extra", &extra) && json_member(extra, "points", &points);
    if (many)
        json_iter(points, &it);
    int64_t now = json_member(r, "default_time", &v) ? json_int(v) : 0;
    struct lp_point pt;
    int rc, same = 1;
    while ((rc = lp_decode(&at, text + n, &pt, &why)) == 1) {
        want = r;
        if (many && !json_next(&it, NULL, NULL, &want))
            same = 0;
        if (same && !json_member(r, "error", &v))
            same = same_point(want, &pt, unit_of(r), now);
        lp_point_done(&pt);
        count++;
    }
    if (rc == 0 && ((many && json_next(&it, NULL, NULL, &want)) || (!many && count != 1)))
        same = 0;
    free(text);
    return rc < 0 ? -1 : same;
}

static void test_decoder(void **state)
{
    (void)state;
    FILE *f = open_vectors();
    if (!f)
        skip();
    struct json *json = json_new(16 << 20);
    struct json_value r, v;
    size_t good = 0, bad = 0, lenient = 0, strict = 0;
    while (next_record(f, json, &r)) {
        if (!text_is(r, "kind", "decode") || !text_is(r, "source", "influxdata/"))
            continue;
        int rc = check_decode(r);
        bool must_fail = json_member(r, "error", &v);
        if (must_fail && rc == -1)
            bad++;
        else if (must_fail)
            lenient++;
        else if (rc == -1 && strstr(line_at, "\\u00"))
            strict++; /* control characters: the reference is of two minds */
        else if (rc != 1)
            fail_msg("decoded %s: %.300s", rc < 0 ? "not at all" : "otherwise", line_at);
        else
            good++;
        if (must_fail && rc != -1)
            print_message("taken: %.300s", line_at);
    }
    print_message(
        "%zu read as expected, %zu refused as expected, %zu taken that should not be, "
        "%zu refused for control characters\n",
        good, bad, lenient, strict);
    assert_true(strict < 10);
    assert_int_equal(lenient, 0);
    assert_true(good > 300 && bad > 6000);
    json_free(json);
    (void)fclose(f);
}

/* The vector's point as ours; false when it uses what we have no word for. */
static bool build(struct json_value r, struct buf *b, char **texts, size_t *n_texts)
{
    struct json_value v, k, x;
    struct json_iter it;
    struct lineproto_tag tags[LINEPROTO_MAX_TAGS];
    struct field fields[64];
    size_t n_tags = 0, n_fields = 0, n;
    struct lineproto_refused refused = {0};
    if (!json_member(r, "measurement", &v) || !json_member(r, "tags", &x))
        return false;
    const char *measurement = texts[(*n_texts)++] = bytes_of(v, &n);
    for (json_iter(x, &it); pair(&it, &k, &v); n_tags++) {
        tags[n_tags].key = texts[(*n_texts)++] = bytes_of(k, &n);
        tags[n_tags].value = texts[(*n_texts)++] = bytes_of(v, &n);
    }
    assert_true(json_member(r, "fields", &x));
    for (json_iter(x, &it); pair(&it, &k, &v); n_fields++) {
        struct field *f = &fields[n_fields];
        struct json_value y;
        *f = (struct field){0};
        f->key = texts[(*n_texts)++] = bytes_of(k, &f->key_len);
        assert_true(json_member(v, "value", &y));
        if (text_is(v, "type", "float") && json_type(y) != JSON_STRING)
            f->v = (struct value){.type = VALUE_FLOAT, .f = json_double(y)};
        else if (text_is(v, "type", "int"))
            f->v = (struct value){.type = VALUE_INT, .i = json_int(y)};
        else if (text_is(v, "type", "bool"))
            f->v = (struct value){.type = VALUE_BOOL, .b = json_bool(y)};
        else if (text_is(v, "type", "string")) {
            f->v.type = VALUE_STRING;
            f->v.s.p = texts[(*n_texts)++] = bytes_of(y, &f->v.s.n);
        } else {
            return false;
        }
    }
    buf_clear(b);
    if (lineproto_put_series(b, measurement, tags, n_tags) < 0)
        return false;
    size_t series = b->len;
    char *copy = texts[(*n_texts)++] = malloc(series);
    assert_non_null(copy);
    memcpy(copy, b->data, series);
    buf_clear(b);
    struct point p = {.series = copy,
                      .series_len = series,
                      .fields = fields,
                      .n_fields = n_fields,
                      .time_ms = 1};
    return lineproto_put(b, LINEPROTO_INFLUX, &p, &refused) == 0;
}

static void test_encoder(void **state)
{
    (void)state;
    FILE *f = open_vectors();
    if (!f)
        skip();
    struct json *json = json_new(16 << 20);
    struct json_value r, v;
    struct buf b;
    buf_init(&b, 16 << 20);
    size_t same = 0, other = 0, none = 0;
    while (next_record(f, json, &r)) {
        if (!text_is(r, "kind", "encode") || json_member(r, "error", &v) ||
            !(text_is(r, "source", "influxdata/line") ||
              text_is(r, "source", "influxdata/tele")))
            continue;
        char *texts[256];
        size_t n_texts = 0, n;
        if (build(r, &b, texts, &n_texts)) {
            assert_true(json_member(r, "expected_line", &v));
            char *line = texts[n_texts++] = bytes_of(v, &n);
            const char *want_at = line, *at = b.data, *why = NULL;
            struct lp_point want, got;
            assert_int_equal(lp_decode(&want_at, line + n, &want, &why), 1);
            if (lp_decode(&at, b.data + b.len, &got, &why) != 1)
                fail_msg("%s: %.*s", why, (int)b.len, b.data);
            v = r;
            /* the rest is compared by the vector itself; times of ours are in milliseconds */
            got.has_time = false;
            struct json_value ts;
            bool ok = json_member(r, "timestamp", &ts) && json_type(ts) == JSON_INT &&
                      same_point(r, &got, 1, json_int(ts));
            ok ? same++ : other++;
            /* only what is documented: backslashes, control characters, values left out */
            if (!ok && !strstr(line_at, "\\\\") && !strstr(line_at, "\\n") &&
                !strstr(line_at, "\"\""))
                fail_msg("differs: %.*s  from %.400s", (int)b.len, b.data, line_at);
            lp_point_done(&want);
            lp_point_done(&got);
        } else {
            none++;
        }
        for (size_t i = 0; i < n_texts; i++)
            free(texts[i]);
    }
    print_message("%zu encoded to the same point, %zu otherwise, %zu not expressible\n", same,
                  other, none);
    assert_true(same > 100);
    buf_done(&b);
    json_free(json);
    (void)fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoder),
        cmocka_unit_test(test_encoder),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    free(line_at);
    return r;
}
