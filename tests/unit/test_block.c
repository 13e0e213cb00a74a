/* SPDX-License-Identifier: Apache-2.0 */
/* block: building, closing, header and body codec. */
#include "core/block.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <time.h>

static const struct field FIELDS[] = {
    {.key = "level", .key_len = 5, .v = {.type = VALUE_FLOAT, .f = 0.83}},
    {.key = "pump", .key_len = 4, .v = {.type = VALUE_BOOL, .b = true}},
    {.key = "count", .key_len = 5, .v = {.type = VALUE_INT, .i = 12345}},
    {.key = "volt", .key_len = 4, .v = {.type = VALUE_FLOAT, .f = 229.7}},
    {.key = "temp", .key_len = 4, .v = {.type = VALUE_FLOAT, .f = 21.53}},
};

static struct point point(const char *compound, enum point_class c, int64_t t)
{
    static const char series[] = "sump,building=3,compound=nanan,device=s-17";
    return (struct point){.series = series,
                          .series_len = sizeof(series) - 1,
                          .compound = compound,
                          .class_ = c,
                          .time_ms = t,
                          .fields = FIELDS,
                          .n_fields = 5};
}

static void free_group(struct block **g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        block_free(g[i]);
    free(g);
}

static void test_two_classes_are_one_group(void **state)
{
    (void)state;
    struct block_builder *bb =
        block_builder_new(&(struct block_rules){LINEPROTO_INFLUX, true, 1000, 1 << 20});
    struct block **g;
    assert_int_equal(block_builder_close(bb, 1, &g), 0);
    for (uint64_t i = 1; i <= 10; i++) {
        struct point p =
            point(i % 2 ? "a" : "b", i == 5 ? POINT_KEEP : POINT_ROUTINE, 1000 - (int64_t)i);
        block_builder_add(bb, &p);
        struct position at = {i, 0, 0};
        assert_false(block_builder_step(bb, &at));
    }
    assert_int_equal(block_builder_points(bb), 10);
    size_t n = block_builder_close(bb, 77, &g);
    assert_int_equal(n, 2);
    assert_int_equal(g[0]->info.class_, POINT_KEEP);
    assert_true(g[0]->more);
    assert_int_equal(g[0]->info.lines, 1);
    assert_int_equal(g[0]->info.from.offset, 5);
    assert_int_equal(g[0]->info.to.offset, 5);
    assert_false(g[1]->more);
    assert_int_equal(g[1]->info.lines, 9);
    assert_int_equal(g[1]->info.from.offset, 1);
    assert_int_equal(g[1]->info.to.offset, 10);
    assert_int_equal(g[1]->info.min_time_ms, 990);
    assert_int_equal(g[1]->info.max_time_ms, 999);
    assert_int_equal(g[1]->info.n_shares, 2);
    assert_string_equal(g[1]->shares[0].compound, "a");
    assert_int_equal(g[1]->shares[0].lines, 4);
    assert_int_equal(g[1]->shares[1].lines, 5);
    free_group(g, n);
    block_builder_free(bb);
}

static void test_unwritable_points_are_counted(void **state)
{
    (void)state;
    struct block_builder *bb =
        block_builder_new(&(struct block_rules){LINEPROTO_NUMBERS, true, 1000, 1 << 20});
    struct field text = {.key = "s", .key_len = 1, .v = {.type = VALUE_STRING, .s = {"on", 2}}};
    struct point p = point("a", POINT_ROUTINE, 5);
    p.fields = &text;
    p.n_fields = 1;
    block_builder_add(bb, &p);
    block_builder_step(bb, &(struct position){9, 0, 0});
    assert_int_equal(block_builder_points(bb), 1);
    assert_int_equal(block_builder_left_out(bb)->string, 1);
    struct block **g;
    assert_int_equal(block_builder_close(bb, 1, &g), 1);
    assert_int_equal(g[0]->info.lines, 0);
    assert_int_equal(g[0]->shares[0].unwritable, 1);
    assert_int_equal(g[0]->info.to.offset, 9);
    free_group(g, 1);
    block_builder_free(bb);
}

/* A time that no line says is not a field that is missing; in the log, too, and when blocks were shed. */
static void test_times_that_cannot_be_said(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 5, INT64_C(9223372036855), -INT64_C(9223372036855), 6};
    struct block_builder *bb =
        block_builder_new(&(struct block_rules){LINEPROTO_NUMBERS, true, 1000, 1 << 20});
    struct block **g[2];
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < 5; i++) {
            struct point p = point(i & 1 ? "a" : "b", POINT_ROUTINE, times[i]);
            block_builder_add(bb, &p);
        }
        block_builder_step(bb, &(struct position){9 + (uint64_t)k, 0, 0});
        assert_int_equal(block_builder_close(bb, 1, &g[k]), 1);
        assert_int_equal(g[k][0]->info.lines, 2);
        assert_int_equal(g[k][0]->info.no_time, 3);
        assert_int_equal(block_builder_left_out(bb)->string, 0);
    }
    struct buf b;
    struct block_header h;
    uint32_t crc;
    buf_init(&b, 1 << 16);
    assert_int_equal(block_put_header(g[0][0], 1, 0, 0, &b, &crc), 0);
    assert_int_equal(block_get_header(b.data, b.len, &h), 0);
    assert_int_equal(h.info.no_time, 3);
    assert_int_equal(h.made, 5);
    buf_done(&b);
    block_shed(g[0][0]);
    block_shed(g[1][0]);
    assert_int_equal(block_absorb(g[0][0], g[1][0]), 0);
    assert_int_equal(g[0][0]->info.no_time, 6);
    free_group(g[0], 1);
    free_group(g[1], 1);
    block_builder_free(bb);
}

/* What a line does not say is counted by reason, once, however often blocks are closed. */
static void test_left_out_fields_are_counted(void **state)
{
    (void)state;
    char *long_text = mem_zalloc(LINEPROTO_MAX_STRING + 2);
    memset(long_text, 'x', LINEPROTO_MAX_STRING + 1);
    const struct field fields[] = {
        FIELDS[0],
        {.key = "fits",
         .key_len = 4,
         .v = {.type = VALUE_STRING, .s = {long_text, LINEPROTO_MAX_STRING}}},
        {.key = "over",
         .key_len = 4,
         .v = {.type = VALUE_STRING, .s = {long_text, LINEPROTO_MAX_STRING + 1}}},
        {.key = "mode",
         .key_len = 4,
         .v = {.type = VALUE_STRING, .s = {"on", 2}},
         .code = 1,
         .has_code = true},
    };
    static const struct {
        uint64_t too_long, string;
    } want[] = {[LINEPROTO_INFLUX] = {60, 0}, [LINEPROTO_NUMBERS] = {0, 120}};
    for (int d = LINEPROTO_INFLUX; d <= LINEPROTO_NUMBERS; d++) {
        struct block_builder *bb = block_builder_new(
            &(struct block_rules){(enum lineproto_dialect)d, false, 1000, 4096});
        struct point p = point("a", POINT_ROUTINE, 5);
        p.fields = fields;
        p.n_fields = 4;
        for (int i = 0; i < 60; i++) {
            struct block **g;
            block_builder_add(bb, &p);
            block_builder_step(bb, &(struct position){9 + (uint64_t)i, 0, 0});
            if (i % 20 ==
                19) { /* the room of one is not enough for so many: blocks end within */
                size_t n = block_builder_close(bb, 1, &g);
                free_group(g, n);
            }
        }
        const struct lineproto_refused *r = block_builder_left_out(bb);
        assert_int_equal(r->too_long, want[d].too_long);
        assert_int_equal(r->string, want[d].string);
        assert_int_equal(r->not_finite + r->bad_key + r->duplicate, 0);
        block_builder_free(bb);
    }
    free(long_text);
}

static void test_a_huge_step_is_one_group(void **state)
{
    (void)state;
    struct block_builder *bb =
        block_builder_new(&(struct block_rules){LINEPROTO_INFLUX, true, 100, 4096});
    struct point p = point("a", POINT_ROUTINE, 5);
    for (int i = 0; i < 1000; i++)
        block_builder_add(bb, &p);
    assert_true(block_builder_step(bb, &(struct position){9, 0, 0}));
    struct block **g;
    size_t n = block_builder_close(bb, 1, &g);
    assert_true(n > 3);
    uint32_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(g[i]->more, i + 1 < n);
        assert_int_equal(g[i]->info.from.offset, 9);
        assert_int_equal(g[i]->info.to.offset, 9);
        assert_true(g[i]->info.raw_bytes < 16384);
        lines += g[i]->info.lines;
    }
    assert_int_equal(lines, 1000);
    free_group(g, n);
    block_builder_free(bb);
}

static struct block *some_block(bool gzip, int lines)
{
    struct block_builder *bb =
        block_builder_new(&(struct block_rules){LINEPROTO_INFLUX, gzip, 100000, 8 << 20});
    char name[16];
    for (int i = 0; i < lines; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i % 200);
        struct point p = point(name, POINT_ROUTINE, 1700000000000 + i);
        block_builder_add(bb, &p);
    }
    block_builder_step(bb, &(struct position){3, 2, 1});
    struct block **g;
    assert_int_equal(block_builder_close(bb, 123456789, &g), 1);
    struct block *b = g[0];
    free(g);
    block_builder_free(bb);
    return b;
}

static void test_header_and_body_round_trip(void **state)
{
    (void)state;
    for (int gzip = 0; gzip < 2; gzip++) {
        struct block *b = some_block(gzip, 5000);
        assert_int_equal(b->info.gzip, gzip);
        assert_int_equal(b->info.n_shares, 200);
        struct buf head, raw;
        uint32_t crc;
        buf_init(&head, BLOCK_HEADER_MAX);
        buf_init(&raw, 8 << 20);
        assert_int_equal(block_put_header(b, 42, 1000, 7, &head, &crc), 0);
        struct block_header h;
        assert_int_equal(block_get_header(head.data, head.len - 1, &h), -EAGAIN);
        assert_int_equal(h.header_bytes, head.len);
        assert_int_equal(block_get_header(head.data, 100, &h), -EBADMSG);
        assert_int_equal(block_get_header(head.data, head.len, &h), 0);
        assert_int_equal(h.info.seq, 42);
        assert_int_equal(h.made_before, 1000);
        assert_int_equal(h.synced_seq, 7);
        assert_int_equal(h.made, 5000);
        assert_int_equal(h.header_crc, crc);
        assert_int_equal(h.info.to.ordinal, 1);
        assert_int_equal(h.info.closed_wall_ns, 123456789);
        assert_true(block_body_good(&h, b->body));
        struct block_share *s = block_get_shares(head.data, &h);
        assert_memory_equal(s, b->shares, 200 * sizeof(*s));
        free(s);
        assert_int_equal(block_unpack(&h.info, b->body, &raw), 0);
        assert_int_equal(raw.len, h.info.raw_bytes);
        size_t lines = 0;
        for (size_t i = 0; i < raw.len; i++)
            lines += raw.data[i] == '\n';
        assert_int_equal(lines, 5000);
        /* every flipped bit of the header is seen */
        for (size_t i = 0; i < head.len; i++) {
            head.data[i] ^= 0x10;
            assert_int_not_equal(block_get_header(head.data, head.len, &h), 0);
            head.data[i] ^= 0x10;
        }
        b->body[b->info.body_bytes / 2] ^= 1;
        assert_int_equal(block_get_header(head.data, head.len, &h), 0);
        assert_false(block_body_good(&h, b->body));
        buf_done(&head);
        buf_done(&raw);
        block_free(b);
    }
}

static void test_a_damaged_body_is_not_unpacked(void **state)
{
    (void)state;
    struct block *b = some_block(true, 500);
    struct buf raw;
    buf_init(&raw, 8 << 20);
    struct block_info i = b->info;
    i.body_bytes -= 9;
    assert_int_equal(block_unpack(&i, b->body, &raw), -EBADMSG);
    i = b->info;
    i.raw_bytes--;
    assert_int_equal(block_unpack(&i, b->body, &raw), -EBADMSG);
    i = b->info;
    i.raw_bytes++;
    assert_int_equal(block_unpack(&i, b->body, &raw), -EBADMSG);
    b->body[b->info.body_bytes - 6] ^= 1; /* gzip's own checksum */
    assert_int_equal(block_unpack(&b->info, b->body, &raw), -EBADMSG);
    assert_int_equal(raw.len, 0);
    buf_done(&raw);
    block_free(b);
}

static void test_pack_is_the_same_every_time(void **state)
{
    (void)state;
    struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    const char text[] = "m,a=b v=1 1\nm,a=b v=1 2\nm,a=b v=1 3\n";
    assert_int_equal(block_pack(text, sizeof(text) - 1, &a), 0);
    assert_int_equal(block_pack(text, sizeof(text) - 1, &b), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    struct buf tiny;
    buf_init(&tiny, 10);
    assert_int_equal(block_pack(text, sizeof(text) - 1, &tiny), -ENOBUFS);
    assert_int_equal(tiny.len, 0);
    buf_done(&a);
    buf_done(&b);
    buf_done(&tiny);
}

static void test_shed_blocks_add_up(void **state)
{
    (void)state;
    struct block *a = some_block(true, 300), *b = some_block(true, 50);
    b->info.to.offset = 99;
    block_shed(a);
    block_shed(b);
    assert_int_equal(block_absorb(a, b), 0);
    assert_int_equal(a->info.lines, 350);
    assert_int_equal(a->info.to.offset, 99);
    assert_int_equal(a->info.n_shares, 200);
    struct buf head;
    uint32_t crc;
    buf_init(&head, BLOCK_HEADER_MAX);
    struct block_header h;
    assert_int_equal(block_put_header(a, 1, 0, 0, &head, &crc), 0);
    assert_int_equal(block_get_header(head.data, head.len, &h), 0);
    assert_true(h.shed);
    assert_int_equal(h.made, 350);
    buf_done(&head);
    block_free(a);
    block_free(b);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void test_cost(void **state)
{
    (void)state;
    struct block_builder *bb =
        block_builder_new(&(struct block_rules){LINEPROTO_INFLUX, true, 100000, 8 << 20});
    uint64_t add = UINT64_MAX, put = UINT64_MAX, shut = UINT64_MAX;
    for (int round = 0; round < 20; round++) {
        uint64_t t0 = now_ns();
        for (int i = 0; i < 5000; i++) {
            struct point p =
                point(i & 8 ? "nanan" : "beibei", POINT_ROUTINE, 1700000000000 + i);
            block_builder_add(bb, &p);
            block_builder_step(bb, &(struct position){(uint64_t)i, 2, 1});
        }
        uint64_t t1 = now_ns();
        struct block **g;
        size_t n = block_builder_close(bb, 1, &g);
        uint64_t t2 = now_ns();
        free_group(g, n);
        struct buf b;
        buf_init(&b, 8 << 20);
        (void)buf_room(&b, 2 << 20);
        struct lineproto_refused r = {0};
        uint64_t t3 = now_ns();
        for (int i = 0; i < 5000; i++) {
            struct point p = point("nanan", POINT_ROUTINE, 1700000000000 + i);
            (void)lineproto_put(&b, LINEPROTO_INFLUX, &p, &r);
        }
        uint64_t t4 = now_ns();
        buf_done(&b);
        add = t1 - t0 < add ? t1 - t0 : add;
        shut = t2 - t1 < shut ? t2 - t1 : shut;
        put = t4 - t3 < put ? t4 - t3 : put;
    }
    print_message("add %lu ns a point, of which lineproto %lu; close of 5,000 lines %lu us\n",
                  (unsigned long)(add / 5000), (unsigned long)(put / 5000),
                  (unsigned long)(shut / 1000));
    block_builder_free(bb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_classes_are_one_group),
        cmocka_unit_test(test_unwritable_points_are_counted),
        cmocka_unit_test(test_times_that_cannot_be_said),
        cmocka_unit_test(test_left_out_fields_are_counted),
        cmocka_unit_test(test_a_huge_step_is_one_group),
        cmocka_unit_test(test_header_and_body_round_trip),
        cmocka_unit_test(test_a_damaged_body_is_not_unpacked),
        cmocka_unit_test(test_pack_is_the_same_every_time),
        cmocka_unit_test(test_shed_blocks_add_up),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
