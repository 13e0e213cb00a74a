/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"
#include "unit.h"

#include <errno.h>
#include <math.h>

#define TIMES 40000

struct pieces {
    struct buf all;
    size_t n, largest, calls_after_failure;
    int fails_at; /* the piece, from 1; 0: none */
};

static int put(void *ctx, const void *p, size_t n)
{
    struct pieces *x = ctx;
    x->n++;
    x->calls_after_failure += x->fails_at && (int)x->n > x->fails_at;
    if ((int)x->n == x->fails_at)
        return -ENOSPC;
    x->largest = n > x->largest ? n : x->largest;
    return buf_put(&x->all, p, n);
}

/* Snapshots and the store are full of it: no byte may change. */
static void the_bytes(void **state)
{
    (void)state;
    static const char expected[] = "\x08\x07\x06\x05\x04\x03\x02\x01" /* a number */
                                   "\x34\x12"
                                   "\xff"
                                   "\x02"
                                   "d1" /* names */
                                   "\x00"
                                   "\x06\x00\x00\x00"
                                   "\xe6\xb0\xb4\xe6\xb5\xb8" /* texts */
                                   "\x00\x00\x00\x00"
                                   "\xff\xff\xff\xff"
                                   "\x00\x00\x00\x00\x00\x00\xf8\x3f" /* doubles */
                                   "\x00\x00\x00\x00\x00\x00\xf8\x7f"
                                   "\x00\x00\x00\x00\x00\x00\xf8\x7f"
                                   "raw";
    const uint64_t odd = UINT64_C(0xfff8000000000123);
    double nan;
    memcpy(&nan, &odd, sizeof(nan));
    struct buf b;
    struct state_writer w;
    buf_init(&b, 4096);
    state_writer_into(&w, &b);
    state_put_u64(&w, UINT64_C(0x0102030405060708));
    state_put_uint(&w, 0xab1234, 2);
    state_put_u8(&w, 255);
    state_put_name(&w, "d1");
    state_put_name(&w, "");
    state_put_text(&w, "水浸");
    state_put_text(&w, "");
    state_put_text(&w, NULL);
    state_put_double(&w, 1.5);
    state_put_double(&w, NAN);
    state_put_double(&w, nan); /* one NaN is like another */
    state_put(&w, "raw", 3);
    state_put(&w, NULL, 0);
    assert_int_equal(state_writer_done(&w), 0);
    assert_int_equal(b.len, sizeof(expected) - 1);
    assert_memory_equal(b.data, expected, b.len);

    struct state_reader r = {.p = b.data, .end = b.data + b.len};
    char name[STATE_NAME_MAX + 1], raw[3];
    assert_true(state_get_u64(&r) == UINT64_C(0x0102030405060708));
    assert_int_equal(state_get_uint(&r, 2), 0x1234);
    assert_int_equal(state_get_u8(&r), 255);
    state_get_name(&r, name);
    assert_string_equal(name, "d1");
    state_get_name(&r, name);
    assert_string_equal(name, "");
    char *text = state_get_text(&r, 6, true);
    assert_string_equal(text, "水浸");
    free(text);
    text = state_get_text(&r, 6, true);
    assert_string_equal(text, "");
    free(text);
    assert_null(state_get_text(&r, 6, false));
    assert_true(state_get_double(&r) == 1.5);
    assert_true(isnan(state_get_double(&r)) && isnan(state_get_double(&r)));
    assert_false(state_all_read(&r));
    state_get(&r, raw, 3);
    assert_memory_equal(raw, "raw", 3);
    assert_true(state_all_read(&r));
    buf_done(&b);
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    char longer[400], name[STATE_NAME_MAX + 1];
    struct buf b;
    struct state_writer w;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    buf_init(&b, 4096);
    state_writer_into(&w, &b);
    state_put_name(&w, longer);
    assert_int_equal(state_writer_done(&w), 0);
    assert_int_equal(b.len, 1 + STATE_NAME_MAX);
    struct state_reader r = {.p = b.data, .end = b.data + b.len};
    state_get_name(&r, name);
    assert_true(state_all_read(&r));
    assert_int_equal(strlen(name), STATE_NAME_MAX);
    buf_done(&b);
}

/* The same bytes, however they are handed on. */
static void pieces(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct buf whole;
    struct state_writer one, many;
    struct pieces got = {0};
    char *large = calloc(1, 200000);
    buf_init(&whole, (size_t)1 << 28);
    buf_init(&got.all, (size_t)1 << 28);
    state_writer_into(&one, &whole);
    state_writer_init(&many, put, &got);
    for (int i = 0; i < TIMES; i++) {
        uint64_t x = unit_random(&seed);
        size_t n = x % 1000 == 0 ? x / 1000 % 200000 : x / 1000 % 64;
        memset(large, (int)(x >> 50), n);
        for (int k = 0; k < 2; k++) {
            struct state_writer *w = k ? &many : &one;
            state_put_uint(w, x, 1 + (unsigned)(x >> 60) % 8);
            state_put(w, large, n);
        }
    }
    assert_int_equal(state_writer_done(&one), 0);
    assert_int_equal(state_writer_done(&many), 0);
    assert_true(whole.len > 1000000 && got.n > 10);
    assert_int_equal(got.all.len, whole.len);
    assert_memory_equal(got.all.data, whole.data, whole.len);
    assert_int_equal(got.largest, 65536);
    buf_done(&whole);
    buf_done(&got.all);
    free(large);
}

static void a_failure_is_remembered(void **state)
{
    (void)state;
    struct pieces got = {.fails_at = 2};
    struct state_writer w;
    struct buf small;
    buf_init(&got.all, (size_t)1 << 20);
    state_writer_init(&w, put, &got);
    for (int i = 0; i < TIMES; i++)
        state_put_u64(&w, 1);
    assert_int_equal(state_writer_done(&w), -ENOSPC);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.calls_after_failure, 0);
    buf_done(&got.all);
    buf_init(&small, 20);
    state_writer_into(&w, &small);
    state_put_u64(&w, 1);
    state_put_u64(&w, 2);
    state_put_u64(&w, 3);
    assert_int_equal(state_writer_done(&w), -ENOBUFS);
    buf_done(&small);
}

static void nothing_is_trusted(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        bool good;
    } texts[] = {
        {"\2\0\0\0ab", 6, true},        {"\3\0\0\0ab", 6, false},
        {"\5\0\0\0abcde", 9, false},    {"\2\0\0\0a\0", 6, false},
        {"\2\0\0\0\xc3\x28", 6, false}, {"\2\0\0\0\xc3\xa9", 6, true},
        {"\xff\xff\xff\xff", 4, false}, {"\2\0\0", 3, false},
        {"\xfe\xff\xff\xff", 4, false},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct state_reader r = {.p = texts[i].bytes, .end = texts[i].bytes + texts[i].n};
        char *text = state_get_text(&r, 4, true);
        assert_int_equal(text != NULL, texts[i].good);
        assert_int_equal(state_all_read(&r), texts[i].good);
        free(text);
    }
    char name[STATE_NAME_MAX + 1];
    static const char with_nul[] = "\3a\0b", cut_off[] = "\3ab";
    struct state_reader nul = {.p = with_nul, .end = with_nul + 4};
    state_get_name(&nul, name);
    assert_true(nul.failed);
    assert_string_equal(name, "");
    struct state_reader cut = {.p = cut_off, .end = cut_off + 3};
    state_get_name(&cut, name);
    assert_true(cut.failed);
    assert_string_equal(name, "");
    const uint64_t seven = 7;
    struct state_reader limit = {.p = (const char *)&seven, .end = (const char *)(&seven + 1)};
    assert_int_equal(state_get_up_to(&limit, 7), 7);
    limit.p -= 8;
    assert_int_equal(state_get_up_to(&limit, 6), 0);
    assert_true(limit.failed);
}

/* Once something was wrong, all is 0 and the place stays. */
static void nothing_behind_a_failure(void **state)
{
    (void)state;
    static const char bytes[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    char name[STATE_NAME_MAX + 1], raw[4] = "abc";
    struct state_reader r = {.p = bytes, .end = bytes + sizeof(bytes)};
    state_expect(&r, true);
    assert_int_equal(state_get_u8(&r), 1);
    state_expect(&r, false);
    state_expect(&r, true);
    const char *at = r.p;
    assert_int_equal(state_get_u8(&r), 0);
    assert_int_equal(state_get_u64(&r), 0);
    assert_int_equal(state_get_up_to(&r, UINT64_MAX), 0);
    assert_true(state_get_double(&r) == 0);
    state_get(&r, raw, sizeof(raw));
    assert_memory_equal(raw, "\0\0\0", 4);
    state_get_name(&r, name);
    assert_string_equal(name, "");
    assert_null(state_get_text(&r, 10, false));
    assert_null(state_get_bytes(&r, 0));
    assert_ptr_equal(r.p, at);
    assert_int_equal(state_left(&r), 63);
    assert_false(state_all_read(&r));
    struct state_reader huge = {.p = bytes, .end = bytes + sizeof(bytes)};
    assert_null(state_get_bytes(&huge, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(pieces),
        cmocka_unit_test(a_failure_is_remembered),
        cmocka_unit_test(nothing_is_trusted),
        cmocka_unit_test(nothing_behind_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
