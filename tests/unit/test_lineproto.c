/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/utf8.h"
#include "core/lineproto.h"
#include "lp_decode.h"

#include <errno.h>
#include <math.h>

#define F(k, x)                                                                                \
    {                                                                                          \
        .key = k, .key_len = strlen(k), .v = {.type = VALUE_FLOAT, .f = x }                    \
    }
#define I(k, x)                                                                                \
    {                                                                                          \
        .key = k, .key_len = strlen(k), .v = {.type = VALUE_INT, .i = x }                      \
    }
#define B(k, x)                                                                                \
    {                                                                                          \
        .key = k, .key_len = strlen(k), .v = {.type = VALUE_BOOL, .b = x }                     \
    }
#define S(k, x)                                                                                \
    {                                                                                          \
        .key = k, .key_len = strlen(k), .v = {.type = VALUE_STRING, .s = {x, strlen(x)} }      \
    }
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const char *series_of(struct buf *b, const char *m, const struct lineproto_tag *t,
                             size_t n)
{
    buf_clear(b);
    int r = lineproto_put_series(b, m, t, n);
    return r == 0 ? buf_cstr(b) : r == -EINVAL ? "EINVAL" : "?";
}

static void test_series(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    const struct lineproto_tag plain_tags[] = {
        {"device", "d1"}, {"building", ""}, {"compound", "c1"}, {"point", NULL}};
    assert_string_equal(series_of(&b, "sump", plain_tags, 4), "sump,compound=c1,device=d1");
    const struct lineproto_tag odd[] = {{"b c", "x,y=z"},
                                        {"a\n", "v\tw\x7f"},
                                        {"d", "e\\"},
                                        {"f", "g\\,h\\i\\\\j"},
                                        {"k", "\xff\xe4\xb8\xad\xe4\xb8"}};
    assert_string_equal(series_of(&b, "m n,o=p", odd, 5),
                        "m\\ n\\,o=p,a_=v_w_,b\\ c=x\\,y\\=z,d=e_,f=g_\\,h\\i_\\j,"
                        "k=\xef\xbf\xbd\xe4\xb8\xad\xef\xbf\xbd\xef\xbf\xbd");
    const struct lineproto_tag twice[] = {
        {"a", "1"}, {"b", "2"}, {"a", "3"}, {"a\x01", "4"}, {"a_", "5"}};
    assert_string_equal(series_of(&b, "m", twice, 5), "m,a=1,a_=4,b=2");
    static const char *const bad[] = {"", "time", "#m", "_m", "\x01m"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_string_equal(series_of(&b, bad[i], NULL, 0), "EINVAL");
        assert_int_equal(b.len, 0);
        const struct lineproto_tag tag = {bad[i], "v"}, none = {bad[i], ""};
        assert_string_equal(series_of(&b, "m", &tag, 1), "EINVAL");
        assert_string_equal(series_of(&b, "m", &none, 1), "m");
    }
    struct lineproto_tag many[31];
    char keys[31][16];
    for (int i = 0; i < 31; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%02d", i);
        many[i] = (struct lineproto_tag){keys[i], "v"};
    }
    assert_true(strlen(series_of(&b, "m", many, 30)) == 1 + 30 * 6);
    assert_string_equal(series_of(&b, "m", many, 31), "EINVAL");
    char *long_value = calloc(1, 65537);
    memset(long_value, 'x', 65535);
    const struct lineproto_tag long_tag = {"t", long_value};
    assert_string_equal(series_of(&b, "m", &long_tag, 1), "EINVAL");
    free(long_value);
    buf_done(&b);
}

static struct point point_of(const struct field *f, size_t n)
{
    return (struct point){.series = "m,t=v",
                          .series_len = 5,
                          .time_ms = 1795132800123,
                          .fields = f,
                          .n_fields = n};
}

static void test_line(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    const struct field fields[] = {F("level", 0.83),
                                   I("n", -5),
                                   B("on", true),
                                   B("off", false),
                                   S("s", "a\"b\\c\n\xff"
                                          "d"),
                                   F("nan", (double)NAN),
                                   F("inf", (double)INFINITY),
                                   I("", 1),
                                   I("time", 1),
                                   I("_x", 1),
                                   I("n", 6),
                                   F("a b,c=d", 1e20),
                                   I("q\"", 1),
                                   I("q_", 2),
                                   F("whole", 5),
                                   {.key = "mode",
                                    .key_len = 4,
                                    .v = {.type = VALUE_STRING, .s = {"up", 2}},
                                    .code = 3,
                                    .has_code = true}};
    struct lineproto_refused r = {0};
    struct point p = point_of(fields, COUNT(fields));
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), 0);
    assert_string_equal(
        buf_cstr(&b), "m,t=v level=0.83,n=-5i,on=true,off=false,s=\"a\\\"b\\\\c \xef\xbf\xbd"
                      "d\",a\\ b\\,c\\=d=1e20,q_=1i,whole=5,mode=\"up\" 1795132800123000000\n");
    assert_true(r.not_finite == 2 && r.bad_key == 3 && r.duplicate == 2 && r.string == 0);
    buf_clear(&b);
    assert_int_equal(lineproto_put(&b, LINEPROTO_NUMBERS, &p, &r), 0);
    assert_string_equal(buf_cstr(&b),
                        "m,t=v level=0.83,n=-5,on=1,off=0,a\\ b\\,c\\=d=1e20,q_=1,"
                        "whole=5,mode=3 1795132800123000000\n");
    assert_int_equal(r.string, 1);
    buf_done(&b);
}

static void test_line_limits(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    struct lineproto_refused r = {0};
    const struct field f = F("a", 1);
    struct point p = point_of(&f, 1);
    p.time_ms = 0;
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), 0);
    assert_string_equal(buf_cstr(&b), "m,t=v a=1 0\n");
    assert_int_equal(lineproto_put(&b, LINEPROTO_NUMBERS, &p, &r), -ERANGE);
    p.time_ms = INT64_C(9223372036855);
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), -ERANGE);
    p.time_ms = -1;
    buf_clear(&b);
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), 0);
    assert_string_equal(buf_cstr(&b), "m,t=v a=1 -1000000\n");
    p.n_fields = 0;
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), -ENODATA);
    const struct field none[] = {F("a", (double)NAN), I("time", 1)};
    p = point_of(none, 2);
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), -ENODATA);
    p.n_fields = LINEPROTO_MAX_FIELDS + 1;
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), -E2BIG);
    assert_string_equal(buf_cstr(&b), "m,t=v a=1 -1000000\n"); /* nothing was appended */

    char *text = malloc(LINEPROTO_MAX_STRING + 1);
    memset(text, 'x', LINEPROTO_MAX_STRING + 1);
    struct field s = {.key = "s",
                      .key_len = 1,
                      .v = {.type = VALUE_STRING, .s = {text, LINEPROTO_MAX_STRING}}};
    p = point_of(&s, 1);
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), 0);
    s.v.s.n++;
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), -ENODATA);
    memset(text, 0xff, 30000); /* each becomes three bytes */
    s.v.s.n = 30000;
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), -ENODATA);
    assert_int_equal(r.too_long, 2);
    memset(text, '"', 60000); /* escapes do not count */
    s.v.s.n = 60000;
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &r), 0);
    free(text);
    buf_done(&b);

    buf_init(&b, 100);
    int ok = 0;
    p = point_of(&f, 1);
    while (lineproto_put(&b, LINEPROTO_INFLUX, &p, &r) == 0)
        ok++;
    assert_true(ok >= 1 && b.failed &&
                b.len == (size_t)ok * strlen("m,t=v a=1 1795132800123000000\n"));
    buf_done(&b);
}

/* -- encode → decode is identity up to the documented cleaning --------------------------------
 */

enum sort { NAME, KEY, STRING };

/* The documented cleaning, said another way. */
static size_t cleaned(char *out, const char *p, size_t n, enum sort sort)
{
    char *at = out;
    for (size_t i = 0; i < n;) {
        size_t k = utf8_char(p + i, n - i);
        unsigned char c = (unsigned char)p[i];
        if (k == 0) {
            memcpy(at, "\xef\xbf\xbd", 3);
            at += 3;
            k = 1;
        } else if (c < 32 || c == 127) {
            *at++ = sort == STRING ? ' ' : '_';
        } else if (sort != STRING && c == '\\' && (i + 1 == n || strchr(",= \\", p[i + 1])) &&
                   (i + 1 == n || p[i + 1])) {
            *at++ = '_';
        } else if (sort == KEY && c == '"') {
            *at++ = '_';
        } else {
            memcpy(at, p + i, k);
            at += k;
        }
        i += k;
    }
    return (size_t)(at - out);
}

static size_t hostile(uint64_t *rng, char *out, size_t most, bool nul)
{
    static const char *const bits[] = {"a",
                                       "b",
                                       "\\",
                                       "\\",
                                       ",",
                                       "=",
                                       " ",
                                       "\"",
                                       "\n",
                                       "\r",
                                       "\t",
                                       "#",
                                       "_",
                                       "time",
                                       "\xff",
                                       "\xc0",
                                       "\xe4\xb8\xad",
                                       "\xed\xa0\x80",
                                       "\xf0\x9f\x94\xa5",
                                       "\xe4",
                                       "\x7f",
                                       "\x01",
                                       "1",
                                       "i",
                                       "\x80"};
    size_t n = 0, want = unit_random(rng) % (most - 4);
    while (n < want) {
        const char *s = bits[unit_random(rng) % COUNT(bits)];
        if (nul && unit_random(rng) % 40 == 0)
            out[n++] = '\0';
        memcpy(out + n, s, strlen(s));
        n += strlen(s);
    }
    out[n] = '\0';
    return n;
}

static void assert_text(const struct lp_text *t, const char *p, size_t n)
{
    if (t->n != n || memcmp(t->p, p, n) != 0)
        fail_msg("read back '%.*s', expected '%.*s'", (int)t->n, t->p, (int)n, p);
}

static void assert_field(const struct lp_field *got, const struct field *f)
{
    char want[600];
    size_t n = cleaned(want, f->key, f->key_len, KEY);
    assert_text(&got->key, want, n);
    switch (f->v.type) {
    case VALUE_FLOAT:
        assert_true(got->type == LP_FLOAT && memcmp(&got->f, &f->v.f, sizeof(double)) == 0);
        break;
    case VALUE_INT:
        assert_true(got->type == LP_INT && got->i == f->v.i);
        break;
    case VALUE_BOOL:
        assert_true(got->type == LP_BOOL && got->b == f->v.b);
        break;
    case VALUE_STRING:
        assert_int_equal(got->type, LP_STRING);
        n = cleaned(want, f->v.s.p, f->v.s.n, STRING);
        assert_text(&got->s, want, n);
        break;
    }
}

static void random_value(uint64_t *rng, struct value *v, char *text)
{
    uint64_t bits = unit_random(rng);
    v->type = (enum value_type)(bits % 4);
    bits = unit_random(rng);
    switch (v->type) {
    case VALUE_FLOAT:
        if (bits & 1)
            v->f = (double)(int64_t)(bits >> 40) / 1000;
        else
            memcpy(&v->f, &bits, sizeof(bits));
        break;
    case VALUE_INT:
        v->i = (int64_t)bits >> (bits % 64);
        break;
    case VALUE_BOOL:
        v->b = bits & 1;
        break;
    case VALUE_STRING:
        v->s.p = text;
        v->s.n = hostile(rng, text, 100, true);
        break;
    }
}

/* What of the fields should be in the line: their indexes. */
static size_t expected_fields(const struct field *f, size_t n, size_t *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        char key[600], other[600];
        size_t len = cleaned(key, f[i].key, f[i].key_len, KEY);
        bool use = len > 0 && key[0] != '_' && !(len == 4 && memcmp(key, "time", 4) == 0) &&
                   !(f[i].v.type == VALUE_FLOAT && !isfinite(f[i].v.f));
        for (size_t j = 0; use && j < k; j++)
            use = cleaned(other, f[out[j]].key, f[out[j]].key_len, KEY) != len ||
                  memcmp(other, key, len) != 0;
        if (use)
            out[k++] = i;
    }
    return k;
}

static void one_random_point(uint64_t *rng, struct buf *b)
{
    char m[64], tk[4][32], tv[4][64], fk[6][32], fs[6][128];
    struct lineproto_tag tags[4];
    struct field fields[6] = {0};
    hostile(rng, m, 32, false);
    for (int i = 0; i < 4; i++) {
        hostile(rng, tk[i], 16, false);
        hostile(rng, tv[i], 32, false);
        tags[i] = (struct lineproto_tag){tk[i], tv[i]};
    }
    struct buf series;
    buf_init(&series, 65536);
    size_t n_tags = unit_random(rng) % 5;
    if (lineproto_put_series(&series, m, tags, n_tags) < 0) {
        buf_done(&series);
        return;
    }
    size_t n = unit_random(rng) % 7;
    for (size_t i = 0; i < n; i++) {
        fields[i].key = fk[i];
        fields[i].key_len = hostile(rng, fk[i], 16, true);
        random_value(rng, &fields[i].v, fs[i]);
    }
    struct point p = {.series = series.data,
                      .series_len = series.len,
                      .fields = fields,
                      .n_fields = n,
                      .time_ms = (int64_t)(unit_random(rng) % 4102444800000) - 1000};
    struct lineproto_refused r = {0};
    size_t want[6], n_want = expected_fields(fields, n, want);
    buf_clear(b);
    int rc = lineproto_put(b, LINEPROTO_INFLUX, &p, &r);
    assert_int_equal(rc, n_want ? 0 : -ENODATA);
    assert_int_equal(n_want + r.bad_key + r.duplicate + r.not_finite, n);
    if (rc == 0) {
        const char *at = b->data, *why = NULL;
        assert_true(utf8_valid(b->data, b->len));
        assert_ptr_equal(memchr(b->data, '\n', b->len), b->data + b->len - 1);
        struct lp_point got;
        if (lp_decode(&at, b->data + b->len, &got, &why) != 1)
            fail_msg("%s: %.*s", why, (int)b->len, b->data);
        assert_ptr_equal(at, b->data + b->len);
        char text[600];
        size_t len = cleaned(text, m, strlen(m), NAME);
        assert_text(&got.measurement, text, len);
        for (size_t i = 1; i < got.n_tags; i++)
            assert_true(strcmp(got.tags[i - 1].key.p, got.tags[i].key.p) < 0);
        size_t found = 0;
        for (size_t i = 0; i < n_tags; i++) {
            bool first = tv[i][0] != '\0';
            len = cleaned(text, tk[i], strlen(tk[i]), NAME);
            for (size_t j = 0; first && j < i; j++) {
                char other[600];
                first = !tv[j][0] || cleaned(other, tk[j], strlen(tk[j]), NAME) != len ||
                        memcmp(other, text, len) != 0;
            }
            for (size_t j = 0; first && j < got.n_tags; j++) {
                if (got.tags[j].key.n == len && memcmp(got.tags[j].key.p, text, len) == 0) {
                    found++;
                    char value[600];
                    size_t vn = cleaned(value, tv[i], strlen(tv[i]), NAME);
                    assert_text(&got.tags[j].value, value, vn);
                }
            }
        }
        assert_int_equal(found, got.n_tags);
        assert_int_equal(got.n_fields, n_want);
        for (size_t i = 0; i < n_want; i++)
            assert_field(&got.fields[i], &fields[want[i]]);
        assert_true(got.has_time && got.time == p.time_ms * 1000000);
        lp_point_done(&got);
    }
    buf_done(&series);
}

static void test_identity(void **state)
{
    (void)state;
    uint64_t rng = unit_seed();
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 100000; i++)
        one_random_point(&rng, &b);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_line_limits),
        cmocka_unit_test(test_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
