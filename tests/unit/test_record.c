/* SPDX-License-Identifier: Apache-2.0 */
#include "core/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { SIZE = 16384, ID = 4711, BASE = 8192 };
static char file[SIZE];
static const struct segment_view view = {.p = file, .id = ID, .base = BASE, .size = SIZE};

static struct record sample(void)
{
    return (struct record){
        .type = RECORD_MESSAGE,
        .flags = 1 | RECORD_RETAIN | RECORD_DUP,
        .broker = 3,
        .packet_id = 65535,
        .engine_ns = UINT64_C(0x0123456789abcdef),
        .wall_ns = -5,
        .messages = 99,
        .topic = "gaihou/v1/a",
        .topic_len = 11,
        .body = "{\"v\":1}",
        .body_len = 7,
    };
}

static void test_identity(void **state)
{
    (void)state;
    struct record r = sample(), d;
    memset(file, 0, sizeof(file));
    assert_int_equal(record_size(&r), 72); /* 48 + 11 + 7 = 66 */
    uint64_t at = BASE + SEGMENT_HEADER;
    record_encode(&r, ID, at, file + SEGMENT_HEADER);
    assert_int_equal(record_decode(&view, at, &d), 0);
    assert_int_equal(d.type, r.type);
    assert_int_equal(d.flags, r.flags);
    assert_int_equal(d.broker, 3);
    assert_int_equal(d.packet_id, 65535);
    assert_int_equal(d.engine_ns, r.engine_ns);
    assert_int_equal(d.wall_ns, -5);
    assert_int_equal(d.messages, 99);
    assert_int_equal(d.topic_len, 11);
    assert_memory_equal(d.topic, r.topic, 11);
    assert_int_equal(d.body_len, 7);
    assert_memory_equal(d.body, r.body, 7);
    assert_int_equal(d.offset, at);
    assert_int_equal(d.end, at + 72);
    assert_int_equal(record_decode(&view, at + 72, &d), -ENODATA);
}

/* The bytes of docs/journal.md; a change here is a change of the format. */
static void test_layout(void **state)
{
    (void)state;
    static const unsigned char expected[] = {
        66,   0,    0,    0,    0xb5, 0x23, 0x5f, 0x6e, /* length, checksum */
        0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, /* engine time */
        0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* wall time */
        99,   0,    0,    0,    0,    0,    0,    0,    /* messages */
        1,    13,   3,    1,    0xff, 0xff, 11,   0,    /* type flags broker version id topic */
        7,    0,    0,    0,                            /* body; then the header's checksum */
    };
    struct record r = sample();
    record_encode(&r, ID, BASE + SEGMENT_HEADER, file + SEGMENT_HEADER);
    const char *p = file + SEGMENT_HEADER;
    assert_memory_equal(p, expected, 4);
    assert_memory_equal(p + 8, expected + 8, sizeof(expected) - 8);
    assert_memory_equal(p + 48, "gaihou/v1/a{\"v\":1}", 18);
    assert_memory_equal(p + 4, expected + 4, 4);
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    struct record r = sample(), d;
    uint64_t at = BASE + SEGMENT_HEADER;
    memset(file, 0, sizeof(file));
    record_encode(&r, ID, at, file + SEGMENT_HEADER);
    for (int bit = 0; bit < 66 * 8; bit++) {
        file[SEGMENT_HEADER + bit / 8] ^= (char)(1 << bit % 8);
        int e = record_decode(&view, at, &d);
        assert_true(e == -EBADMSG || e == -EILSEQ);
        if (bit >= 48 * 8 || bit < 64)
            assert_int_equal(e, -EILSEQ); /* the header alone tells where the next one is */
        if (e == -EILSEQ)
            assert_int_equal(d.end, at + 72);
        file[SEGMENT_HEADER + bit / 8] ^= (char)(1 << bit % 8);
    }
}

static void test_place_counts(void **state)
{
    (void)state;
    struct record r = sample(), d;
    uint64_t at = BASE + SEGMENT_HEADER;
    struct segment_view other = view;
    memset(file, 0, sizeof(file));
    record_encode(&r, ID, at, file + SEGMENT_HEADER);
    memcpy(file + SEGMENT_HEADER + 80, file + SEGMENT_HEADER, 72);
    assert_int_equal(record_decode(&view, at + 80, &d), -EBADMSG);
    other.id++;
    assert_int_equal(record_decode(&other, at, &d), -EBADMSG);
    other = view;
    other.base += 8;
    assert_int_equal(record_decode(&other, at + 8, &d), -EBADMSG);
}

static void test_bounds(void **state)
{
    (void)state;
    static char big[SIZE];
    struct record r = sample(), d;
    r.body = big;
    r.body_len = SIZE - SEGMENT_HEADER - RECORD_HEADER - 11 - RECORD_READABLE;
    uint64_t at = BASE + SEGMENT_HEADER;
    record_encode(&r, ID, at, file + SEGMENT_HEADER);
    assert_int_equal(record_decode(&view, at, &d), 0);
    struct segment_view shorter = view;
    shorter.size--; /* a byte behind the body is not readable any more */
    assert_int_equal(record_decode(&shorter, at, &d), -EBADMSG);
    for (shorter.size = 0; shorter.size < SEGMENT_HEADER + SEGMENT_TAIL; shorter.size += 7)
        assert_int_equal(record_decode(&shorter, at, &d), -ENODATA);
    r.topic_len = 65536;
    assert_int_equal(record_size(&r), 0);
}

static void test_resync(void **state)
{
    (void)state;
    struct record r = sample();
    uint64_t at = BASE + SEGMENT_HEADER;
    memset(file, 0x5a, sizeof(file));
    record_encode(&r, ID, at + 4000, file + SEGMENT_HEADER + 4000);
    assert_int_equal(record_resync(&view, at, at + 9000), at + 4000);
    assert_int_equal(record_resync(&view, at, at + 3000), at + 3000);
    assert_int_equal(record_resync(&view, at + 4008, BASE + SIZE), BASE + SIZE);
}

static void test_segment_header(void **state)
{
    (void)state;
    char page[SEGMENT_HEADER];
    struct segment_info s = {.id = 1,
                             .base = 2,
                             .size = 3,
                             .follows = 4,
                             .messages = 5,
                             .engine_ns = 6,
                             .wall_ns = -7,
                             .delta_ns = -8,
                             .boot_id = "123e4567-e89b-12d3-a456-426614174000"},
                        d;
    bool rot;
    segment_encode(&s, page);
    assert_int_equal(segment_decode(page, &d, &rot), 0);
    assert_false(rot);
    assert_memory_equal(&s, &d, sizeof(s));
    page[40] ^= 1;
    assert_int_equal(segment_decode(page, &d, &rot), 0); /* its copy */
    assert_true(rot);
    assert_memory_equal(&s, &d, sizeof(s));
    page[SEGMENT_HEADER_COPY] ^= 1;
    assert_int_equal(segment_decode(page, &d, &rot), -EBADMSG);
    page[40] ^= 1;
    assert_int_equal(segment_decode(page, &d, &rot), 0);
    assert_true(rot);
}

static void test_seal(void **state)
{
    (void)state;
    char page[SEGMENT_HEADER] = {0};
    struct segment_seal s = {.end = 1,
                             .size = 2,
                             .messages = 3,
                             .before = 4,
                             .engine_ns = 5,
                             .wall_ns = -6,
                             .last_type = 7,
                             .last_flags = 8,
                             .rolled = true},
                        d = {0};
    assert_int_equal(segment_seal_decode(page, 1, &d), -ENODATA);
    segment_seal_encode(&s, 1, page + SEGMENT_SEAL);
    assert_int_equal(segment_seal_decode(page, 1, &d), 0);
    assert_memory_equal(&s, &d, offsetof(struct segment_seal, rolled) + 1);
    assert_int_equal(segment_seal_decode(page, 2, &d), -EBADMSG);
    page[SEGMENT_SEAL + 20] ^= 4;
    assert_int_equal(segment_seal_decode(page, 1, &d), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),         cmocka_unit_test(test_layout),
        cmocka_unit_test(test_every_bit_counts), cmocka_unit_test(test_place_counts),
        cmocka_unit_test(test_bounds),           cmocka_unit_test(test_resync),
        cmocka_unit_test(test_segment_header),   cmocka_unit_test(test_seal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
