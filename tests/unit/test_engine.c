/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: what becomes of a message, position by position; that a saved and reloaded engine goes on
 * as if nothing had happened; that a replay gives the same.
 */
#include "engine_rig.h"

#include <errno.h>

#define D1 "gaihou/v1/up/c1/d1"

static void good_message(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    message(&r, D1,
            "{\"ts\":1795219200123,\"level\":0.83,\"pump_on\":true,\"starts\":7,\"mode\":1}", 0,
            1);
    assert_int_equal(r.seen->n, 1);
    assert_string_equal(r.seen->lines[0].text,
                        "sump,building=3,compound=c1,device=d1 "
                        "level=0.83,pump_on=true,starts=7i,mode=\"hand\" 1795219200123000000");
    assert_int_equal(count(&r, "c1", LEDGER_RECEIVED), 1);
    assert_int_equal(count(&r, "c1", LEDGER_DECODED), 1);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_MADE), 1);
    balanced(&r);
    rig_done(&r);
}

static void bad_values_apart(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    message(&r, D1,
            "{\"ts\":1795219200123,\"level\":7,\"pump_on\":\"yes\",\"starts\":3,\"mode\":9}", 0,
            1);
    message(&r, D1, "{\"ts\":1795219200124,\"level\":99.99}", 0, 2);
    assert_int_equal(r.seen->n, 5);
    assert_string_equal(r.seen->lines[0].text,
                        "sump,building=3,compound=c1,device=d1 starts=3i "
                        "1795219200123000000");
    assert_string_equal(r.seen->lines[1].text,
                        "sump_bad,building=3,compound=c1,device=d1,reason=range level=7 "
                        "1795219200123000000");
    assert_string_equal(r.seen->lines[2].text,
                        "sump_bad,building=3,compound=c1,device=d1,reason=type "
                        "pump_on_raw=\"yes\" 1795219200123000000");
    assert_string_equal(r.seen->lines[3].text,
                        "sump_bad,building=3,compound=c1,device=d1,reason=enum "
                        "mode_raw=\"9\" 1795219200123000000");
    assert_string_equal(r.seen->lines[4].text,
                        "sump_bad,building=3,compound=c1,device=d1,reason=sentinel "
                        "level=99.99 1795219200124000000");
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_DECODED), 5);
    balanced(&r);
    rig_done(&r);
}

static void times(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    message(&r, D1, "{\"level\":1}", 0, 1);                        /* none: receipt */
    message(&r, D1, "{\"ts\":0,\"level\":1.1}", 0, 2);             /* 1970 */
    message(&r, D1, "{\"ts\":1995219200000,\"level\":1.2}", 0, 3); /* far ahead */
    message(&r, D1, "{\"ts\":1495219200000,\"level\":1.3}", 0, 4); /* old, but sane */
    assert_int_equal(r.seen->n, 4);
    assert_non_null(strstr(r.seen->lines[0].text, " 1795219201000000000"));
    assert_non_null(strstr(r.seen->lines[1].text, " 1795219202000000000"));
    assert_non_null(strstr(r.seen->lines[2].text, " 1795219203000000000"));
    assert_non_null(strstr(r.seen->lines[3].text, " 1495219200000000000"));
    rig_done(&r);
}

static void same_time(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    message(&r, D1, "{\"ts\":1795219200000,\"level\":1}", 0, 1);
    message(&r, D1, "{\"ts\":1795219200000,\"level\":1}", 0, 2);  /* the same again */
    message(&r, D1, "{\"ts\":1795219200000,\"starts\":4}", 0, 3); /* another metric merges */
    message(&r, D1, "{\"ts\":1795219200000,\"level\":2}", 0, 4);  /* another value moves */
    message(&r, D1, "{\"ts\":1795219200000,\"level\":2}", 0, 5);  /* and is known there */
    assert_int_equal(r.seen->n, 3);
    assert_non_null(strstr(r.seen->lines[1].text, "starts=4i 1795219200000000000"));
    assert_non_null(strstr(r.seen->lines[2].text, "level=2 1795219200001000000"));
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 2);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_DUPLICATE), 2);
    balanced(&r);
    rig_done(&r);
}

/* More at one millisecond than the ring remembers: none may overwrite another. */
/* What is known is known by its names: a metric put before it changes its number only. */
static void same_time_under_another_catalogue(void **state)
{
    static const char more[] =
        "version: 1\nkinds:\n"
        "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
        "      depth: {type: float, unit: m, zh: 深度, en: Depth}\n"
        "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n";
    (void)state;
    struct rig r;
    rig_init(&r);
    message(&r, D1, "{\"ts\":1795219200000,\"level\":1}", 0, 1);
    rig_catalog = more;
    struct world *next = world_of(devices_text);
    rig_catalog = catalog_text;
    engine_use(r.e, next);
    world_free(r.w);
    r.w = next;
    message(&r, D1, "{\"ts\":1795219200000,\"level\":1}", 0, 2); /* the same again */
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_MADE), 1);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_DUPLICATE), 1);
    balanced(&r);
    rig_done(&r);
}

static void burst(void **state)
{
    (void)state;
    struct rig r;
    char body[64];
    rig_init(&r);
    for (int i = 0; i < 200; i++) {
        snprintf(body, sizeof(body), "{\"ts\":%llu,\"starts\":%d}",
                 1795219200000ull + (unsigned)(i / 70) * 5, i);
        message(&r, D1, body, 0, (unsigned)i + 1);
    }
    assert_int_equal(r.seen->n, 200);
    for (size_t i = 0; i < r.seen->n; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(strrchr(r.seen->lines[i].text, ' '),
                                    strrchr(r.seen->lines[k].text, ' '));
    rig_done(&r);
}

/* Other metrics come in the middle of a burst that the ring no longer holds: neither they nor what goes on
 * after them takes the millisecond of a value that was there before. */
static void burst_of_several_metrics(void **state)
{
    (void)state;
    struct rig r;
    char body[64];
    rig_init(&r);
    for (int i = 0; i < 60; i++) {
        bool other = i == 8 || i % 20 == 19;
        snprintf(body, sizeof(body), "{\"ts\":1795219200000,\"%s\":%g}",
                 other ? "level" : "starts", other ? i / 20.0 : (double)i);
        message(&r, D1, body, 0, (unsigned)i + 1);
    }
    assert_int_equal(r.seen->n, 60);
    for (size_t i = 0; i < r.seen->n; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(strcmp(strrchr(r.seen->lines[i].text, ' '),
                                strrchr(r.seen->lines[k].text, ' ')) == 0 &&
                         (strstr(r.seen->lines[i].text, "level=") == NULL) ==
                             (strstr(r.seen->lines[k].text, "level=") == NULL));
    rig_done(&r);
}

/* A clock that stands still: each value gets a millisecond of its own, and the thousandth costs no
 * more than the first. */
static void a_clock_that_stands_still(void **state)
{
    (void)state;
    struct rig r;
    char body[64], last[32];
    const unsigned n = 150000;
    rig_init(&r);
    for (unsigned i = 0; i < n; i++) {
        r.seen->n = 0;
        (void)snprintf(body, sizeof(body), "{\"ts\":1795219200000,\"starts\":%u}", i);
        message(&r, D1, body, 0, i % 60000 + 1);
        assert_int_equal(r.seen->n, 1);
    }
    (void)snprintf(last, sizeof(last), " %llu000000", 1795219200000ull + n - 1);
    assert_string_equal(strrchr(r.seen->lines[0].text, ' '), last);
    rig_done(&r);
}

static void redelivery_without_clock(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    link_up(&r, 1);
    message(&r, D1, "{\"level\":1}", 0, 77);
    message(&r, D1, "{\"level\":1}", RECORD_DUP,
            77); /* dup on the same connection is no redelivery */
    link_up(&r, 1);
    message(&r, D1, "{\"level\":1}", RECORD_DUP, 77); /* is one */
    message(&r, D1, "{\"level\":1}", RECORD_DUP, 78); /* other packet id: never journalled */
    message(&r, D1, "{\"level\":1}", 0, 77);          /* a new message that says the same */
    link_up(&r, 0);                                   /* session lost: ids begin anew */
    message(&r, D1, "{\"level\":1}", RECORD_DUP, 77);
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 1);
    assert_int_equal(count(&r, "c1", LEDGER_DECODED), 5);
    assert_int_equal(r.seen->n, 5);
    balanced(&r);
    rig_done(&r);
}

/* mosquitto was seen to repeat 7,000 messages after a kill, far beyond the Receive Maximum. */
static void long_redelivery(void **state)
{
    (void)state;
    struct rig r;
    char body[64];
    rig_init(&r);
    link_up(&r, 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20000; i++) {
            snprintf(body, sizeof(body), "{\"starts\":%d}", i);
            r.seen->n = 0;
            message(&r, D1, body, round ? RECORD_DUP : 0, (unsigned)i + 1);
        }
        link_up(&r, 1);
    }
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 20000);
    assert_int_equal(count(&r, "c1", LEDGER_DECODED), 20000);
    rig_done(&r);
}

/* An id's next use half a turn later is another message, whatever it says. */
static void no_redelivery_after_reach(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    link_up(&r, 1);
    message(&r, D1, "{\"level\":1}", 0, 7);
    for (int i = 0; i < 33000; i++) {
        r.seen->n = 0;
        message(&r, D1, "{\"level\":2}", 0, 100 + (unsigned)i % 30000);
    }
    link_up(&r, 1);
    message(&r, D1, "{\"level\":1}", RECORD_DUP, 7);
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 0);
    rig_done(&r);
}

struct counted {
    const char *compound;
    enum ledger_count what;
    uint64_t n;
};

static void assert_counted(const struct rig *r, const struct counted *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (count(r, c[i].compound, c[i].what) != c[i].n)
            fail_msg("%s %s{%s}: %llu, expected %llu", c[i].compound, ledger_class(c[i].what),
                     ledger_reason(c[i].what),
                     (unsigned long long)count(r, c[i].compound, c[i].what),
                     (unsigned long long)c[i].n);
}

static void what_is_no_reading(void **state)
{
    (void)state;
    static const struct counted expected[] = {
        {"c1", LEDGER_IGNORED_RETAINED, 1},     {"c1", LEDGER_IGNORED_EMPTY, 1},
        {"c1", LEDGER_DEAD_BAD_JSON, 1},        {"-", LEDGER_QUARANTINED, 2},
        {"-", LEDGER_DEAD_NO_SOURCE, 1},        {"c1", LEDGER_POINTS_REFUSED_METRIC, 1},
        {"c1", LEDGER_POINTS_REFUSED_EMPTY, 1},
    };
    struct rig r;
    rig_init(&r);
    message(&r, D1, "{\"level\":1}", RECORD_RETAIN, 1);
    message(&r, D1, "", 0, 2);
    message(&r, D1, "{\"level\":", 0, 3);
    message(&r, "gaihou/v1/up/c1/nobody", "{\"level\":1}", 0, 4);
    message(&r, "gaihou/v1/up/c2/d1", "{\"level\":1}", 0, 5);
    message(&r, "some/where/else", "{\"level\":1}", 0, 6);
    message(&r, D1, "{\"no_such\":1}", 0, 7);
    message(&r, D1, "{\"level\":null}", 0, 8);
    message(&r, "gaihou/v1/up/c2/eui-2", "{\"level\":1}", 0, 9); /* by the vendor's id */
    assert_int_equal(r.seen->n, 1);
    assert_counted(&r, expected, sizeof(expected) / sizeof(expected[0]));
    assert_int_equal(r.seen->n_letters, 4);
    assert_string_equal(r.seen->letters[1].reason, "unknown_device");
    assert_string_equal(r.seen->letters[1].device, "nobody");
    assert_string_equal(r.seen->letters[2].reason, "other_compound");
    assert_true(r.seen->letters[2].quarantine);
    balanced(&r);
    rig_done(&r);
}

static int keep(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

/* Messages by a seed, with links, a reload and silence between. */
static void drive(struct rig *r, unsigned seed, int from, int to)
{
    for (int i = from; i < to; i++) {
        unsigned k = (unsigned)i * 2654435761u + seed;
        char body[128];
        if (k % 17 == 0)
            link_up(r, k % 3 != 0);
        if (k % 23 == 0)
            r->ns += 3600u * (uint64_t)SECOND;
        if (k % 29 == 0)
            r->wall_shift += (int64_t)(k % 7) * SECOND - 3 * (int64_t)SECOND;
        if (k % 2)
            snprintf(body, sizeof(body), "{\"ts\":%llu,\"level\":%u}",
                     1795219200000ull + k % 50, k % 4);
        else
            snprintf(body, sizeof(body), "{\"level\":%u.5,\"starts\":%u}", k % 4, k % 3);
        message(r, k % 5 ? D1 : "gaihou/v1/up/c2/d2", body, k % 11 == 0 ? RECORD_DUP : 0,
                1 + k % 40);
        if (k % 13 == 0)
            engine_tick(r->e, r->ns += SECOND / 2);
    }
}

static void saved_state_goes_on(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct rig whole, half;
        struct buf b;
        rig_init(&whole);
        rig_init(&half);
        buf_init(&b, 1 << 20);
        whole.seen->places = half.seen->places = true;
        drive(&whole, seed, 0, 300);
        drive(&half, seed, 0, 150);
        assert_int_equal(engine_save(half.e, keep, &b), 0);
        engine_free(half.e);
        rig_engine(&half);
        assert_int_equal(engine_load(half.e, b.data, b.len), 0);
        drive(&half, seed, 150, 300);
        assert_int_equal(whole.seen->n, half.seen->n);
        for (size_t i = 0; i < whole.seen->n; i++) {
            assert_string_equal(whole.seen->lines[i].text, half.seen->lines[i].text);
            assert_int_equal(position_cmp(&whole.seen->lines[i].at, &half.seen->lines[i].at),
                             0);
        }
        for (int c = 0; c < LEDGER_N; c++)
            assert_int_equal(count(&whole, "c1", (enum ledger_count)c),
                             count(&half, "c1", (enum ledger_count)c));
        balanced(&half);
        struct engine_stats x, y;
        engine_stats(whole.e, &x);
        engine_stats(half.e, &y);
        assert_true(x.records > 300 && x.points > 50 && x.times_moved > 0);
        assert_memory_equal(&x, &y, sizeof(x)); /* counted once, whatever was replayed */
        /* every cut of the bytes is refused, and leaves an engine as new */
        for (size_t cut = 0; cut < b.len; cut += 37)
            assert_int_not_equal(engine_load(half.e, b.data, cut), 0);
        buf_done(&b);
        rig_done(&whole);
        rig_done(&half);
    }
}

/* A snapshot of version 0.1 (tests/data/engine/state-1.bin: two messages of d1, one of d2, one of a
 * stranger) is gone on from. */
static void state_of_version_1(void **state)
{
    (void)state;
    struct rig r;
    char bytes[8192], hash[33];
    rig_init(&r);
    FILE *f = fopen("tests/data/engine/state-1.bin", "re");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    assert_int_equal(engine_saved_hash(bytes, n, hash), 0);
    assert_int_equal(engine_load(r.e, bytes, n), 0);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_MADE), 2);
    assert_int_equal(count(&r, "c2", LEDGER_POINTS_MADE), 1);
    assert_int_equal(count(&r, "-", LEDGER_QUARANTINED), 1);
    assert_int_equal(engine_messages(r.e), 4);
    struct position at = engine_position(r.e);
    r.offset = at.offset;
    r.ns = at.tick;
    r.messages = 4;
    r.seen->at = at;
    message(&r, D1, "{\"ts\":1795219200000,\"level\":1}", 0, 9); /* known from the ring */
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 1);
    message(&r, D1, "{\"ts\":1795219200600,\"level\":1}", 0, 10);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_MADE), 3);
    struct engine_device d;
    engine_device(r.e, registry_find(r.w->registry, "d1", 2), &d);
    assert_int_equal(d.messages, 4);
    assert_false(d.clock_off);
    balanced(&r);
    for (size_t cut = 0; cut < n; cut += 13)
        assert_int_not_equal(engine_load(r.e, bytes, cut), 0);
    bytes[8] = 3; /* of a version to come */
    assert_int_equal(engine_load(r.e, bytes, n), -EBADMSG);
    rig_done(&r);
}

static void place_of_all_and_of_what_changed(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    r.seen->places = true;
    struct record start = base(&r, RECORD_START);
    give(&r, &start);
    engine_tick(r.e, r.ns += SECOND);
    assert_int_equal(r.seen->n, 2);
    assert_non_null(strstr(r.seen->lines[0].text,
                           "gaihou_place,building=3,compound=c1,compound_now=c1,device=d1,"
                           "district=yuzhong,"));
    struct world *next = world_of("device,source_id,kind,compound,building\n"
                                  "d2,eui-2,sump,c2,4\nd1,eui-1,sump,c1,5\nd3,,sump,c1,1\n");
    engine_use(r.e, next);
    world_free(r.w);
    r.w = next;
    assert_int_equal(r.seen->n, 4); /* d1 moved house: it leaves one place and enters another */
    assert_non_null(strstr(r.seen->lines[2].text, "gaihou_place,building=3,compound=c1,"));
    assert_non_null(strstr(r.seen->lines[2].text, " devices=0i,"));
    assert_non_null(strstr(r.seen->lines[3].text, "gaihou_place,building=5,compound=c1,"));
    assert_non_null(strstr(r.seen->lines[3].text, " devices=1i,"));
    engine_tick(r.e, r.ns += SECOND);
    assert_int_equal(r.seen->n, 5);  /* d3 is new; d2 stays as it was */
    for (int i = 0; i < 1500; i++) { /* a day: each once */
        struct record s = base(&r, RECORD_STATS);
        r.ns += 60u * (uint64_t)SECOND;
        give(&r, &s);
    }
    assert_true(r.seen->n >= 5 + 3);
    assert_true(r.seen->n <= 5 + 6);
    rig_done(&r);
}

static void own_metrics(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    r.seen->places = true;
    struct record s = base(&r, RECORD_STATS);
    s.body = "gaihou_gateway,gateway=t,lane=all\tlag_s=0.5\tunread=3i\nbroken\n";
    s.body_len = strlen(s.body);
    give(&r, &s);
    assert_int_equal(r.seen->n, 1);
    assert_string_equal(r.seen->lines[0].text,
                        "gaihou_gateway,gateway=t,lane=all lag_s=0.5,unread=3i "
                        "1795219201000000000");
    assert_int_equal(count(&r, "-", LEDGER_POINTS_OWN), 1);
    rig_done(&r);
}

static void rot_is_counted(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    message(&r, D1, "{\"level\":1}", 0, 1);
    engine_rot(r.e, r.offset, r.offset + 1000, 4);
    r.offset += 1000;
    r.messages += 4;
    message(&r, D1, "{\"level\":2}", 0, 2);
    assert_int_equal(count(&r, "-", LEDGER_DEAD_CORRUPT), 4);
    assert_int_equal(engine_messages(r.e), 6);
    balanced(&r);
    rig_done(&r);
}

static void again(struct rig *r, const char *topic, const char *body)
{
    struct record rec = base(r, RECORD_REINJECT);
    snprintf(r->room, 1 << 19, "%s", body);
    rec.topic = topic;
    rec.topic_len = strlen(topic);
    rec.body = r->room;
    rec.body_len = strlen(body);
    rec.messages = r->messages;
    give(r, &rec);
}

/* Each message is dead or quarantined once, however often it is tried. */
static void what_is_tried_again_is_counted_once(void **state)
{
    (void)state;
    static const struct counted expected[] = {
        {"c1", LEDGER_DEAD_BAD_JSON, 1},    {"c1", LEDGER_AGAIN_DEAD, 3},
        {"c1", LEDGER_DECODED, 2},          {"-", LEDGER_QUARANTINED, 1},
        {"-", LEDGER_AGAIN_QUARANTINED, 3}, {"-", LEDGER_DEAD_NO_SOURCE, 1},
        {"-", LEDGER_AGAIN_DEAD, 3},
    };
    struct rig r;
    rig_init(&r);
    message(&r, D1, "{\"level\":", 0, 1);
    message(&r, "gaihou/v1/up/c1/nobody", "{\"level\":1}", 0, 2);
    message(&r, "some/where/else", "{\"level\":1}", 0, 3);
    for (int i = 0; i < 3; i++) {
        again(&r, D1, "{\"level\":");
        again(&r, "gaihou/v1/up/c1/nobody", "{\"level\":1}");
        again(&r, "some/where/else", "{\"level\":1}");
    }
    again(&r, D1, "{\"level\":1}");
    again(&r, D1, "{\"level\":1}");
    assert_counted(&r, expected, sizeof(expected) / sizeof(expected[0]));
    assert_int_equal(r.seen->n_letters, 12); /* the letter is kept anew, with its own reason */
    assert_string_equal(r.seen->letters[3].reason, "bad_json");
    balanced(&r);
    rig_done(&r);
}

/* The new hardware has the old one's identifier, which is that one's code, too. */
static void an_identifier_that_goes_on(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, "device,source_id,kind,compound,building,retired,replaces\n"
                  "d1,,sump,c1,3,2026-01-01,\nd1b,d1,sump,c1,3,,d1\n");
    message(&r, D1, "{\"level\":1}", 0, 1);
    assert_int_equal(r.seen->n_letters, 0);
    assert_int_equal(r.seen->n, 1);
    assert_non_null(strstr(r.seen->lines[0].text, "device=d1b "));
    balanced(&r);
    rig_done(&r);
}

/* Whatever topics are said to come, of whatever world: what is passed gives the same. */
static void what_comes_changes_nothing(void **state)
{
    static const char *const topics[] = {D1,
                                         "gaihou/v1/up/c2/d2",
                                         "",
                                         "/",
                                         "d1",
                                         "gaihou/v1/up/c1/",
                                         "gaihou/v1/up/c1/d9",
                                         "gaihou/v1/up/c1/d1/more"};
    enum { N = sizeof(topics) / sizeof(*topics), ROUNDS = 40 };
    struct rig r[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        rig_init(&r[k]);
        struct record early = base(&r[k], RECORD_MESSAGE);
        struct world *next = world_of("device,kind,compound,building\nd2,sump,c2,4\n");
        for (size_t i = 0; i < ROUNDS; i++) {
            char body[64];
            early.topic = topics[(i * 3 + ENGINE_AHEAD) % N];
            early.topic_len = strlen(early.topic);
            early.type = i % 11 == 10 ? RECORD_STATS : RECORD_MESSAGE;
            if (k)
                engine_expect(r[k].e, &early);
            snprintf(body, sizeof(body), "{\"level\":%zu.5}", i % 4);
            message(&r[k], topics[i * 3 % N], body, 0, (unsigned)i + 1);
            if (i == ROUNDS / 2)
                engine_use(r[k].e, next);
        }
        world_free(r[k].w);
        r[k].w = next;
    }
    assert_true(r[0].seen->n > 5 && r[0].seen->n_letters > 5);
    assert_memory_equal(r[0].seen, r[1].seen, sizeof(*r[0].seen));
    for (int k = 0; k < 2; k++)
        rig_done(&r[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_message),
        cmocka_unit_test(bad_values_apart),
        cmocka_unit_test(times),
        cmocka_unit_test(same_time),
        cmocka_unit_test(same_time_under_another_catalogue),
        cmocka_unit_test(burst),
        cmocka_unit_test(burst_of_several_metrics),
        cmocka_unit_test(a_clock_that_stands_still),
        cmocka_unit_test(an_identifier_that_goes_on),
        cmocka_unit_test(what_is_tried_again_is_counted_once),
        cmocka_unit_test(redelivery_without_clock),
        cmocka_unit_test(long_redelivery),
        cmocka_unit_test(no_redelivery_after_reach),
        cmocka_unit_test(what_is_no_reading),
        cmocka_unit_test(saved_state_goes_on),
        cmocka_unit_test(state_of_version_1),
        cmocka_unit_test(place_of_all_and_of_what_changed),
        cmocka_unit_test(own_metrics),
        cmocka_unit_test(rot_is_counted),
        cmocka_unit_test(what_comes_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
