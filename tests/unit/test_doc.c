/* SPDX-License-Identifier: Apache-2.0 */
/* What doc writes, json.h reads; and a copy of any JSON is that JSON. */
#include "unit.h"
#include "base/buf.h"
#include "core/doc.h"

#include <errno.h>
#include <math.h>

static bool equal(struct json_value a, struct json_value b)
{
    struct json_iter ia, ib;
    struct json_value va, vb;
    const char *ka, *kb;
    size_t na, nb;
    if (json_type(a) != json_type(b))
        return false;
    switch (json_type(a)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return json_bool(a) == json_bool(b);
    case JSON_INT:
        return json_int(a) == json_int(b);
    case JSON_UINT:
        return json_uint(a) == json_uint(b);
    case JSON_DOUBLE: {
        double da = json_double(a), db = json_double(b);
        return memcmp(&da, &db, sizeof(da)) == 0;
    }
    case JSON_STRING:
        ka = json_text(a, &na);
        kb = json_text(b, &nb);
        return na == nb && memcmp(ka, kb, na) == 0 && kb[nb] == '\0';
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    if (json_count(a) != json_count(b))
        return false;
    json_iter(a, &ia);
    json_iter(b, &ib);
    for (;;) {
        bool more = json_next(&ia, &ka, &na, &va);
        if (more != json_next(&ib, &kb, &nb, &vb))
            return false;
        if (!more)
            return true;
        if ((ka != NULL) != (kb != NULL) || (ka && (na != nb || memcmp(ka, kb, na) != 0)))
            return false;
        if (!equal(va, vb))
            return false;
    }
}

static struct json_value parse(struct json *j, const char *text, size_t n)
{
    struct json_value root;
    const char *why;
    char *padded = calloc(1, n + JSON_PADDING);
    assert_non_null(padded);
    memcpy(padded, text, n);
    assert_int_equal(json_parse(j, padded, n, &root, &why), 0);
    free(padded);
    return root;
}

static void expect_copy(struct doc *d, const char *text, size_t n)
{
    struct json *j = json_new(1 << 20);
    struct json_value v = parse(j, text, n), copy;
    doc_clear(d);
    assert_int_equal(doc_copy(d, v), 0);
    assert_int_equal(doc_finish(d, &copy), 0);
    assert_true(equal(v, copy));
    json_free(j);
}

/* A random JSON text. */
static void grow(struct buf *b, uint64_t *seed, unsigned depth)
{
    static const char *const scalars[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9223372036854775807",
        "18446744073709551615",
        "1.5",
        "-0.0",
        "5e-324",
        "1.7976931348623157e308",
        "\"\"",
        "\"a\\u0000b\"",
        "\"漏水\"",
        "\"\\\"\\\\\\n\"",
        "\"a long text that takes more than a word of the tape or two\""};
    uint64_t r = unit_random(seed);
    unsigned n = (unsigned)(r >> 8) % 5;
    if (depth == 0 || r % 4 == 0) {
        buf_puts(b, scalars[(r >> 8) % (sizeof(scalars) / sizeof(scalars[0]))]);
        return;
    }
    bool object = r % 2;
    buf_putc(b, object ? '{' : '[');
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_putc(b, ',');
        if (object)
            buf_printf(b, "\"k%u\":", (unsigned)(unit_random(seed) % 4));
        grow(b, seed, depth - 1);
    }
    buf_putc(b, object ? '}' : ']');
}

static void copies(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct doc *d = doc_new(1 << 16);
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 3000; i++) {
        buf_clear(&b);
        grow(&b, &seed, 1 + (unsigned)i % 7);
        expect_copy(d, b.data, b.len);
    }
    buf_clear(&b); /* as deep as JSON may be */
    for (int i = 0; i < 62; i++)
        buf_putc(&b, '[');
    buf_puts(&b, "{\"a\":1}");
    for (int i = 0; i < 62; i++)
        buf_putc(&b, ']');
    expect_copy(d, b.data, b.len);
    buf_done(&b);
    doc_free(d);
}

static void parts(void **state)
{
    (void)state;
    struct doc *d = doc_new(1 << 10), *e = doc_new(1 << 10);
    struct json *j = json_new(1 << 12);
    struct json_value v, root, again;
    static const char want[] = "{\"a\":[1,-2,18446744073709551615,2.5,null,null],\"\":{\"b\":"
                               "true,\"c\":\"x\\u0000y\"},"
                               "\"copy\":{\"z\":[]}}";
    struct json_value part = parse(j, "[0,{\"z\":[]}]", 12);
    struct json_iter it;
    json_iter(part, &it);
    assert_true(json_next(&it, NULL, NULL, &v) && json_next(&it, NULL, NULL, &v));
    doc_object(d);
    doc_key(d, "a", 1);
    doc_array(d);
    doc_int(d, 1);
    doc_int(d, -2);
    doc_uint(d, UINT64_MAX);
    doc_double(d, 2.5);
    doc_double(d, (double)NAN);
    doc_null(d);
    doc_end(d);
    doc_key(d, "", 0);
    doc_object(d);
    doc_key(d, "b", 1);
    doc_bool(d, true);
    doc_key(d, "c", 1);
    doc_text(d, "x\0y", 3);
    doc_end(d);
    doc_key(d, "copy", 4);
    doc_copy(d, v);
    doc_end(d);
    assert_int_equal(doc_finish(d, &root), 0);
    assert_true(equal(root, parse(j, want, sizeof(want) - 1)));
    assert_true(json_member(root, "a", &v));
    assert_int_equal(json_count(v), 6);
    doc_array(e); /* a doc's value into another doc */
    doc_copy(e, root);
    doc_end(e);
    assert_int_equal(doc_finish(e, &again), 0);
    assert_int_equal(json_count(again), 1);
    assert_int_equal(doc_uint(e, 5), 0);
    doc_clear(e);
    doc_uint(e, INT64_MAX);
    assert_int_equal(doc_finish(e, &again), 0);
    assert_int_equal(json_type(again), JSON_INT);
    json_free(j);
    doc_free(d);
    doc_free(e);
}

static void ceilings(void **state)
{
    (void)state;
    struct doc *d = doc_new(256);
    struct json_value root;
    doc_array(d);
    int r = 0;
    unsigned n = 0;
    for (; n < 1000 && r == 0; n++)
        r = doc_int(d, n);
    assert_int_equal(r, -E2BIG);
    assert_in_range(n, 120, 128);
    assert_int_equal(doc_null(d), -E2BIG); /* stays so */
    assert_int_equal(doc_end(d), -E2BIG);
    assert_int_equal(doc_finish(d, &root), -E2BIG);
    doc_clear(d);
    char text[1500] = {0};
    doc_array(d);
    assert_int_equal(doc_text(d, text, sizeof(text)), 0);
    assert_int_equal(doc_text(d, text, sizeof(text)), -E2BIG);
    doc_clear(d);
    for (unsigned i = 0; i < DOC_MAX_DEPTH; i++)
        assert_int_equal(doc_array(d), 0);
    assert_int_equal(doc_array(d), -E2BIG);
    doc_clear(d);
    assert_int_equal(doc_bool(d, false), 0);
    assert_int_equal(doc_finish(d, &root), 0);
    assert_false(json_bool(root));
    doc_free(d);
    doc_free(NULL);
}

static void counts_saturate(void **state)
{
    (void)state;
    enum { N = 0x1000010 };
    struct doc *d = doc_new(N + 16);
    struct json_value root;
    doc_array(d);
    for (int i = 0; i < N; i++)
        doc_null(d);
    doc_end(d);
    assert_int_equal(doc_finish(d, &root), 0);
    assert_int_equal(json_count(root), N);
    doc_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies),
        cmocka_unit_test(parts),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(counts_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
