/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "core/decode.h"
#include "core/json.h"

#include <errno.h>

struct fixture {
    struct json *json;
    struct decoded d;
    const char *why;
    char *text; /* exactly as long as promised: ASan sees a byte too many */
};

static int decode(struct fixture *f, const char *text, size_t len)
{
    free(f->text);
    f->text = malloc(len + JSON_PADDING);
    assert_non_null(f->text);
    memcpy(f->text, text, len);
    memset(f->text + len, 'x', JSON_PADDING);
    f->why = NULL;
    return native_decode(f->json, f->text, len, &f->d, &f->why);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->json = json_new(1 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    json_free(f->json);
    decoded_done(&f->d);
    free(f->text);
    free(f);
    return 0;
}

static const struct decoded_value *value_at(const struct fixture *f, size_t i, const char *key)
{
    const struct decoded_value *v = &f->d.values[i];
    assert_int_equal(v->key_len, strlen(key));
    assert_memory_equal(v->key, key, v->key_len);
    return v;
}

static void test_object(void **state)
{
    struct fixture *f = *state;
    const char *text =
        "{\"ts\":1795219200000,\"level\":0.83,\"pump_on\":true,\"n\":-3,"
        "\"mode\":\"a\\u00e9\\u0000b\",\"gone\":null,\"big\":9223372036854775808,"
        "\"off\":false,\"e\":1e3}";
    assert_int_equal(decode(f, text, strlen(text)), 0);
    assert_int_equal(f->d.n_samples, 1);
    assert_int_equal(f->d.n_values, 8);
    const struct decoded_sample *s = &f->d.samples[0];
    assert_true(s->has_time && s->time_ms == 1795219200000 && s->first == 0 && s->n == 8);
    assert_true(value_at(f, 0, "level")->v.type == VALUE_FLOAT && f->d.values[0].v.f == 0.83);
    assert_true(value_at(f, 1, "pump_on")->v.type == VALUE_BOOL && f->d.values[1].v.b);
    assert_true(value_at(f, 2, "n")->v.type == VALUE_INT && f->d.values[2].v.i == -3);
    const struct decoded_value *mode = value_at(f, 3, "mode");
    assert_int_equal(mode->v.type, VALUE_STRING);
    assert_int_equal(mode->v.s.n, 5);
    assert_memory_equal(mode->v.s.p, "a\xc3\xa9\0b", 5);
    assert_true(value_at(f, 4, "gone")->is_null);
    assert_true(value_at(f, 5, "big")->v.type == VALUE_FLOAT && f->d.values[5].v.f == 0x1p63);
    assert_true(value_at(f, 6, "off")->v.type == VALUE_BOOL && !f->d.values[6].v.b);
    assert_true(value_at(f, 7, "e")->v.type == VALUE_FLOAT && f->d.values[7].v.f == 1000);
}

static void test_array(void **state)
{
    struct fixture *f = *state;
    const char *text = " [{\"ts\":\"2026-11-20T08:00:00+08:00\",\"a\":1,\"b\":2},"
                       "{\"a\":3,\"ts\":1795132801.5},{\"ts\":null,\"a\":4,\"a\":5}]\n";
    assert_int_equal(decode(f, text, strlen(text)), 0);
    assert_int_equal(f->d.n_samples, 3);
    assert_true(f->d.samples[0].time_ms == 1795132800000 && f->d.samples[0].n == 2);
    assert_true(f->d.samples[1].time_ms == 1795132801500 && f->d.samples[1].first == 2);
    assert_true(!f->d.samples[2].has_time &&
                f->d.samples[2].n == 2); /* both of the same name */
    assert_true(f->d.values[4].v.i == 5);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *why;
    } t[] = {
        {"", "empty"},
        {"{}", "no metrics"},
        {"[]", "no metrics"},
        {"{\"ts\":1}", "no metrics"},
        {"[{\"a\":1},{}]", "no metrics"},
        {"3", "neither"},
        {"\"x\"", "neither"},
        {"null", "neither"},
        {"[1]", "no object"},
        {"[[{\"a\":1}]]", "no object"},
        {"{\"a\":{\"b\":1}}", "object or array"},
        {"{\"a\":[1]}", "object or array"},
        {"{\"ts\":true,\"a\":1}", "neither a number"},
        {"{\"ts\":[],\"a\":1}", "neither a number"},
        {"{\"ts\":\"yesterday\",\"a\":1}", "is no time"},
        {"{\"ts\":\"\",\"a\":1}", "is no time"},
        {"{\"ts\":\"2026-11-20T08:00:00\",\"a\":1}", "zone"},
        {"{\"ts\":1e30,\"a\":1}", "out of range"},
        {"{\"ts\":18446744073709551615,\"a\":1}", "out of range"},
        {"{\"ts\":1,\"a\":1,\"ts\":2}", "twice"},
        {"{\"a\":18446744073709551615}", "exactly"},
        {"{\"a\":18446744073709551616}", "number"},
        {"{\"a\":1e400}", "number"},
        {"{\"a\":01}", "number"},
        {"{\"a\":1", "JSON"},
        {"{\"a\":1}x", "JSON"},
        {"{\"a\":1}{\"a\":2}", "JSON"},
        {"{\"a\":NaN}", "JSON"},
        {"{a:1}", "JSON"},
        {"{\"a\":1,}", "JSON"},
        {"{\"a\":\"\t\"}", "JSON"},
        {"{\"a\":\"\\x\"}", "JSON"},
        {"{\"a\":\"\xff\"}", "UTF-8"},
        {"\xef\xbb\xbf{\"a\":1}", "JSON"},
        {"{\"a\":\"\xed\xa0\x80\"}", "UTF-8"},
        {"{\"a\":.5}", "JSON"},
        {"{\"a\":+5}", "JSON"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        int r = decode(f, t[i].text, strlen(t[i].text));
        if (r != -EBADMSG || !f->why || !strstr(f->why, t[i].why))
            fail_msg("%s: %d %s, expected %s", t[i].text, r, f->why ? f->why : "-", t[i].why);
        assert_int_equal(f->d.n_samples, 0);
        assert_int_equal(f->d.n_values, 0);
    }
}

static char *repeated(const char *open, const char *each, size_t n, const char *close)
{
    size_t k = strlen(each);
    char *s = malloc(strlen(open) + n * k + strlen(close) + 1);
    assert_non_null(s);
    memcpy(s, open, strlen(open));
    char *at = s + strlen(open);
    for (size_t i = 0; i < n; i++, at += k)
        memcpy(at, each, k);
    memcpy(at, close, strlen(close) + 1);
    return s;
}

static int decode_repeated(struct fixture *f, const char *open, const char *each, size_t n,
                           const char *close)
{
    char *s = repeated(open, each, n, close);
    int r = decode(f, s, strlen(s));
    free(s);
    return r;
}

static void test_ceilings(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(decode_repeated(f, "[", "{\"a\":1},", 4095, "{\"a\":1}]"), 0);
    assert_int_equal(f->d.n_samples, 4096);
    assert_int_equal(decode_repeated(f, "[", "{\"a\":1},", 4096, "{\"a\":1}]"), -E2BIG);
    assert_int_equal(decode_repeated(f, "{", "\"a\":1,", 65535, "\"a\":1}"), 0);
    assert_int_equal(f->d.n_values, 65536);
    assert_int_equal(decode_repeated(f, "{", "\"a\":1,", 65536, "\"a\":1}"), -E2BIG);
    assert_int_equal(f->d.n_values, 0);
    assert_int_equal(decode_repeated(f, "", "[", 100000, ""), -EBADMSG);
    assert_int_equal(decode_repeated(f, "{\"a\":\"", "x", (1 << 20) - 8, "\"}"), 0);
    assert_int_equal(decode_repeated(f, "{\"a\":\"", "x", (1 << 20) - 7, "\"}"), -EMSGSIZE);
    assert_int_equal(decode_repeated(f, "{\"a\":", "[", 62, ""), -EBADMSG);
}

static void test_json_depth_and_count(void **state)
{
    struct fixture *f = *state;
    struct json_value root, v;
    const char *why;
    char *s = repeated("", "[", 63, "");
    char *deep = repeated(s, "]", 63,
                          "                                                                ");
    assert_int_equal(json_parse(f->json, deep, 126, &root, &why), 0);
    free(deep);
    free(s);
    s = repeated("[", "[", 64,
                 "                                                                ");
    assert_int_equal(json_parse(f->json, s, 65, &root, &why), -EBADMSG);
    free(s);
    const char text[] = "{\"a\":[1,2.5,\"x\",{\"b\":null}],\"c\":18446744073709551615,\"a\":7}"
                        "                                                                ";
    assert_int_equal(json_parse(f->json, text, strlen(text) - 64, &root, &why), 0);
    assert_int_equal(json_count(root), 3);
    assert_true(json_member(root, "a", &v)); /* the first */
    assert_int_equal(json_type(v), JSON_ARRAY);
    assert_int_equal(json_count(v), 4);
    assert_true(json_member(root, "c", &v));
    assert_true(json_type(v) == JSON_UINT && json_uint(v) == UINT64_MAX);
    assert_true(json_double(v) == 0x1p64);
    assert_false(json_member(root, "b", &v));
}

/* Every cut and every changed byte of a message is either refused or read; never more than
 * that. */
static void test_mutations(void **state)
{
    struct fixture *f = *state;
    const char *text =
        "[{\"ts\":\"2026-11-20T08:00:00Z\",\"a\":-1.5e3,\"\xe4\xb8\xad\":\"\\u4e2d\\n\"},"
        "{\"b\":true,\"c\":null,\"d\":12345678901234567890}]";
    size_t n = strlen(text);
    char copy[256];
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(decode(f, text, cut), -EBADMSG);
    for (size_t i = 0; i < n; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(copy, text, n);
            copy[i] = (char)c;
            int r = decode(f, copy, n);
            assert_true((r == 0 && f->d.n_samples > 0) || (r == -EBADMSG && f->why));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object),    cmocka_unit_test(test_array),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_mutations), cmocka_unit_test(test_json_depth_and_count),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
