/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: what becomes of a message, position by position; that a saved and reloaded engine goes on
 * as if nothing had happened; that a replay gives the same.
 */
#include "unit.h"

#include "base/mem.h"
#include "core/engine.h"
#include "core/lineproto.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000u
#define WALL0  1795219200000000000 /* 2026-11-20T16:00:00Z */
#define BOOT0  5000000000000u

static const char conf_text[] = "gateway: {id: t, data_dir: /tmp/x}\n"
                                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                                "catalog: catalog.yaml\n"
                                "registry: {compounds: compounds.csv, devices: devices.csv}\n";
static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, sentinels: [99.99], zh: 水位, en: "
    "Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "      starts: {type: int, unit: \"1\", zh: 启动, en: Starts}\n"
    "      mode: {type: enum, zh: 模式, en: Mode, codes: [{code: 0, name: auto, zh: 自动, en: "
    "Auto}, "
    "{code: 1, name: hand, zh: 手动, en: Hand}]}\n";
static const char compounds_text[] =
    "compound,name,district\nc1,一村,yuzhong\nc2,二村,yuzhong\n";
static const char devices_text[] = "device,source_id,kind,compound,building\n"
                                   "d1,eui-1,sump,c1,3\nd2,eui-2,sump,c2,4\n";

struct line {
    char text[512];
    struct position at;
};
struct seen_all {
    struct line lines[4096];
    size_t n;
    struct {
        char reason[32], device[65];
        bool quarantine;
    } letters[64];
    size_t n_letters;
    struct position at;
    bool places; /* keep gaihou_place too */
};

static void on_step(void *ctx, const struct position *at)
{
    struct seen_all *s = ctx;
    assert_true(position_cmp(&s->at, at) < 0); /* positions only go forward */
    s->at = *at;
}

static void on_step_end(void *ctx, const struct position *at)
{
    assert_int_equal(position_cmp(&((struct seen_all *)ctx)->at, at), 0);
}

static void on_point(void *ctx, const struct point *p)
{
    struct seen_all *s = ctx;
    struct buf b;
    struct lineproto_refused refused = {0};
    if (!s->places && strncmp(p->series, "gaihou_", 7) == 0)
        return;
    buf_init(&b, 65536);
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, p, &refused), 0);
    assert_true(s->n < 4096);
    snprintf(s->lines[s->n].text, 512, "%.*s", (int)b.len - 1, b.data);
    s->lines[s->n++].at = s->at;
    buf_done(&b);
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    struct seen_all *s = ctx;
    assert_true(s->n_letters < 64);
    snprintf(s->letters[s->n_letters].reason, 32, "%s", l->reason);
    snprintf(s->letters[s->n_letters].device, 65, "%.*s", (int)l->device_len,
             l->device ? l->device : "");
    s->letters[s->n_letters++].quarantine = l->quarantine;
}

static struct world *world_of(const char *devices)
{
    struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"/etc/t/gaihou.yaml", conf_text, strlen(conf_text)},
        [WORLD_CATALOG] = {"/etc/t/catalog.yaml", catalog_text, strlen(catalog_text)},
        [WORLD_COMPOUNDS] = {"/etc/t/compounds.csv", compounds_text, strlen(compounds_text)},
        [WORLD_DEVICES] = {"/etc/t/devices.csv", devices, strlen(devices)},
    };
    struct problems *problems = problems_new(20);
    struct world *w = NULL;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(world_bundle(parts, &b), 0);
    if (world_open(b.data, b.len, problems, &w) != 0)
        for (size_t i = 0; i < problems_count(problems); i++)
            printf("%s\n", problems_get(problems, i));
    assert_non_null(w);
    buf_done(&b);
    problems_free(problems);
    return w;
}

struct rig {
    struct engine *e;
    struct world *w;
    struct seen_all *seen;
    uint64_t offset, ns, messages;
    int64_t wall_shift;
    char *room;
};

static void rig_init(struct rig *r)
{
    *r = (struct rig){.ns = BOOT0, .offset = 4096};
    r->seen = mem_zalloc(sizeof(*r->seen));
    r->room = mem_zalloc(1 << 20);
    r->w = world_of(devices_text);
    r->e = engine_new(
        &(struct engine_out){r->seen, on_point, on_letter, on_step, on_step_end, NULL});
    engine_use(r->e, r->w);
}

static void rig_done(struct rig *r)
{
    engine_free(r->e);
    world_free(r->w);
    free(r->seen);
    free(r->room);
}

static struct record base(struct rig *r, enum record_type type)
{
    r->ns += SECOND;
    return (struct record){.type = type,
                           .engine_ns = r->ns,
                           .wall_ns = WALL0 + (int64_t)(r->ns - BOOT0) + r->wall_shift,
                           .topic = "",
                           .body = "",
                           .broker = 255};
}

static void give(struct rig *r, struct record *rec)
{
    rec->offset = r->offset;
    rec->end = r->offset += 256;
    engine_record(r->e, rec);
}

static void message(struct rig *r, const char *topic, const char *body, unsigned flags,
                    unsigned packet_id)
{
    struct record rec = base(r, RECORD_MESSAGE);
    snprintf(r->room, 1 << 19, "%s", body);
    rec.broker = 0;
    rec.topic = topic;
    rec.topic_len = strlen(topic);
    rec.body = r->room;
    rec.body_len = strlen(body);
    rec.flags = (uint8_t)(1 | flags);
    rec.packet_id = (uint16_t)packet_id;
    rec.messages = ++r->messages;
    give(r, &rec);
}

static void link_up(struct rig *r, char session_present)
{
    struct record rec = base(r, RECORD_LINK_UP);
    rec.broker = 0;
    rec.body = &session_present;
    rec.body_len = 1;
    give(r, &rec);
}

static uint64_t count(const struct rig *r, const char *compound, enum ledger_count c)
{
    const struct ledger *l = engine_ledger(r->e);
    for (size_t i = 0; i < ledger_rows(l); i++)
        if (strcmp(ledger_at(l, i)->compound, compound) == 0)
            return ledger_at(l, i)->n[c];
    return 0;
}

static void balanced(const struct rig *r)
{
    const struct ledger *l = engine_ledger(r->e);
    for (size_t i = 0; i < ledger_rows(l); i++)
        assert_true(ledger_balanced(ledger_at(l, i)));
}

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

static void what_is_no_reading(void **state)
{
    (void)state;
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
    assert_int_equal(count(&r, "c1", LEDGER_IGNORED_RETAINED), 1);
    assert_int_equal(count(&r, "c1", LEDGER_IGNORED_EMPTY), 1);
    assert_int_equal(count(&r, "c1", LEDGER_DEAD_BAD_JSON), 1);
    assert_int_equal(count(&r, "-", LEDGER_QUARANTINED), 2);
    assert_int_equal(count(&r, "-", LEDGER_DEAD_NO_SOURCE), 1);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_REFUSED_METRIC), 1);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_REFUSED_EMPTY), 1);
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
        half.e = engine_new(
            &(struct engine_out){half.seen, on_point, on_letter, on_step, on_step_end, NULL});
        engine_use(half.e, half.w);
        assert_int_equal(engine_load(half.e, b.data, b.len), 0);
        drive(&half, seed, 150, 300);
        assert_int_equal(whole.seen->n, half.seen->n);
        for (size_t i = 0; i < whole.seen->n; i++) {
            assert_string_equal(whole.seen->lines[i].text, half.seen->lines[i].text);
            assert_int_equal(position_cmp(&whole.seen->lines[i].at, &half.seen->lines[i].at),
                             0);
        }
        for (int c = 0; c < LEDGER_N; c++)
            assert_int_equal(count(&whole, "c1", c), count(&half, "c1", c));
        balanced(&half);
        /* every cut of the bytes is refused, and leaves an engine as new */
        for (size_t cut = 0; cut < b.len; cut += 37)
            assert_int_not_equal(engine_load(half.e, b.data, cut), 0);
        buf_done(&b);
        rig_done(&whole);
        rig_done(&half);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_message),
        cmocka_unit_test(bad_values_apart),
        cmocka_unit_test(times),
        cmocka_unit_test(same_time),
        cmocka_unit_test(burst),
        cmocka_unit_test(redelivery_without_clock),
        cmocka_unit_test(long_redelivery),
        cmocka_unit_test(no_redelivery_after_reach),
        cmocka_unit_test(what_is_no_reading),
        cmocka_unit_test(saved_state_goes_on),
        cmocka_unit_test(place_of_all_and_of_what_changed),
        cmocka_unit_test(own_metrics),
        cmocka_unit_test(rot_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
