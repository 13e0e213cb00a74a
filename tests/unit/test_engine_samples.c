/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: messages of vendors' profiles. The profile is played by the test, so that it can say
 * anything: samples of many devices and points, ids, wills, nonsense.
 */
#include "engine_rig.h"

#include "core/judge.h"
#include "core/strange.h"

#define TOPIC "vendor/gw1/data"

/* -- the profile ----------------------------------------------------------------------------- */

typedef void say_fn(void *ctx, const struct profile_input *in, struct decoded *out,
                    struct profile_verdict *v);

static struct {
    say_fn *say;
    void *ctx;
    unsigned asked;
} fake;

void __wrap_profile_decode(const struct profile *p, struct profile_run *x,
                           const struct profile_input *in, struct decoded *out,
                           struct profile_verdict *v);
void __wrap_profile_decode(const struct profile *p, struct profile_run *x,
                           const struct profile_input *in, struct decoded *out,
                           struct profile_verdict *v)
{
    (void)p;
    (void)x;
    fake.asked++;
    decoded_clear(out);
    *v = (struct profile_verdict){.outcome = PROFILE_SAMPLES, .message = "up"};
    fake.say(fake.ctx, in, out, v);
}

/* The catalogue has one kind; the second name is none of its metrics. */
static struct profile_metric level_way[1], no_way[1];
static const struct profile_value level_of = {.by_kind = level_way},
                                  nothing_of = {.by_kind = no_way},
                                  others_of = {.by_kind = no_way, .limited = true};

static void play_for(const struct rig *r)
{
    const struct kind *k = catalog_kind_at(r->w->catalog, 0);
    level_way[0] = judge_as_is(catalog_metric(r->w->catalog, k, "level", 5));
}

/* What a sample is made of. */
struct said {
    const char *device, *point, *compound;
    int64_t time_ms; /* 0: none */
    double level;    /* NaN: none */
    uint64_t id;
    bool will, unknown_field, of_another_kind;
    unsigned char quality, reason;
};

static void add(struct decoded *out, const struct said *s)
{
    assert_int_equal(decoded_begin_sample(out), 0);
    struct decoded_sample *d = &out->samples[out->n_samples - 1];
    d->device = s->device;
    d->device_len = s->device ? strlen(s->device) : 0;
    d->point = s->point;
    d->point_len = s->point ? strlen(s->point) : 0;
    d->compound = s->compound;
    d->compound_len = s->compound ? strlen(s->compound) : 0;
    d->has_time = s->time_ms != 0;
    d->time_ms = s->time_ms;
    d->id = s->id;
    d->not_alive = s->will;
    const char *key = s->unknown_field ? "nothing" : "level";
    struct value v = {.type = VALUE_FLOAT, .f = s->level};
    assert_int_equal(decoded_add(out, key, strlen(key), v, isnan(s->level)), 0);
    struct decoded_value *last = &out->values[out->n_values - 1];
    last->from = s->of_another_kind ? &others_of : s->unknown_field ? &nothing_of : &level_of;
    last->quality = s->quality;
    last->reason = s->reason;
}

struct script {
    const struct said *said;
    size_t n;
};

static void say_script(void *ctx, const struct profile_input *in, struct decoded *out,
                       struct profile_verdict *v)
{
    const struct script *s = ctx;
    (void)in;
    (void)v;
    for (size_t i = 0; i < s->n; i++)
        add(out, &s->said[i]);
}

/* Both sources' topics are the vendor's; the native one stays. */
static void vendor_rig_of(struct rig *r, const char *lane)
{
    char conf[1024];
    (void)snprintf(
        conf, sizeof(conf),
        "gateway: {id: t, data_dir: /tmp/x, lane: %s}\n"
        "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
        "sources:\n"
        "  - {profile: gaihou-json, broker: main, topics: [\"vendor/{device}/data\"]}\n"
        "  - {profile: gaihou-json, broker: main, topics: [\"+/{device}/data\"]}\n"
        "  - {profile: gaihou-json, broker: main}\n"
        "catalog: catalog.yaml\n"
        "registry: {compounds: compounds.csv, devices: devices.csv}\n",
        lane);
    rig_conf = conf;
    rig_begin(r, "device,source_id,kind,compound,building,point,life_safety,retired\n"
                 "d1,eui-1,sump,c1,3,,,\nd2,eui-2,sump,c2,4,p0,,\n"
                 "d3,,sump,c1,1,,yes,\nold,,sump,c1,1,,,2020-01-01\n");
    rig_conf = conf_text;
    play_for(r);
    for (size_t i = 0; i < 2; i++)
        r->w->sources[i].profile = (const struct profile *)&fake;
    fake.asked = 0;
}

static void vendor_rig(struct rig *r)
{
    vendor_rig_of(r, "all");
}

static void tell_n(struct rig *r, const struct said *said, size_t n)
{
    struct script s = {said, n};
    play_for(r);
    fake.say = say_script;
    fake.ctx = &s;
    message(r, TOPIC, "x", 0, (unsigned)(r->messages % 60000) + 1);
}
#define TELL(r, ...)                                                                           \
    do {                                                                                       \
        const struct said said_[] = {__VA_ARGS__};                                             \
        tell_n(r, said_, sizeof(said_) / sizeof(said_[0]));                                    \
    } while (0)

static int64_t now_ms(const struct rig *r) /* of the next message */
{
    return (WALL0 + (int64_t)(r->ns + SECOND - BOOT0)) / 1000000;
}

static void line_is(const struct rig *r, size_t i, const char *begins)
{
    assert_true(i < r->seen->n);
    if (strncmp(r->seen->lines[i].text, begins, strlen(begins)) != 0)
        fail_msg("line %zu is \"%s\", expected \"%s…\"", i, r->seen->lines[i].text, begins);
}

/* -- whom a message speaks for --------------------------------------------------------------- */

static void several_devices(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    TELL(&r, {.device = "nobody", .level = 1}, {.device = "eui-2", .level = 2},
         {.device = "d1", .level = 3}, {.device = "nobody", .level = 4},
         {.device = "old", .level = 4}, {.device = "d1", .compound = "c2", .level = 5},
         {.level = 6}); /* gw1, by the topic's capture */
    assert_int_equal(r.seen->n, 2);
    line_is(&r, 0, "sump,building=4,compound=c2,device=d2,point=p0 level=2 ");
    line_is(&r, 1, "sump,building=3,compound=c1,device=d1 level=3 ");
    assert_int_equal(count(&r, "c2", LEDGER_DECODED), 1); /* the first one known */
    assert_int_equal(count(&r, "c2", LEDGER_RECEIVED), 1);
    assert_int_equal(count(&r, "c1", LEDGER_RECEIVED), 0);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_MADE), 1);
    assert_int_equal(count(&r, "c2", LEDGER_POINTS_MADE), 1);
    assert_int_equal(r.seen->n_letters, 4);
    static const char *const who[] = {"nobody", "old", "d1", "gw1"};
    static const char *const why[] = {"unknown_device", "retired_device", "other_compound",
                                      "unknown_device"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(r.seen->letters[i].device, who[i]);
        assert_string_equal(r.seen->letters[i].reason, why[i]);
        assert_true(r.seen->letters[i].quarantine);
        if (i > 0) /* each at a position of its own */
            assert_true(position_cmp(&r.seen->letters[i - 1].at, &r.seen->letters[i].at) < 0);
    }
    balanced(&r);
    rig_done(&r);
}

static void nobody_known(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    TELL(&r, {.device = "a", .level = 1}, {.device = "b", .level = 1});
    assert_int_equal(count(&r, "-", LEDGER_QUARANTINED), 1);
    assert_int_equal(r.seen->n_letters, 2);
    tell_n(&r, NULL, 0);
    assert_int_equal(count(&r, "-", LEDGER_IGNORED_EMPTY), 1);
    struct said many[40];
    char names[40][8];
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%u", i);
        many[i] = (struct said){.device = names[i], .level = 1};
    }
    tell_n(&r, many, 40);
    struct engine_stats s;
    engine_stats(r.e, &s);
    assert_int_equal(r.seen->n_letters, 2 + 16);
    assert_int_equal(s.strangers_not_told, 24);
    balanced(&r);
    rig_done(&r);
}

static void say_nothing_of_mine(void *ctx, const struct profile_input *in, struct decoded *out,
                                struct profile_verdict *v)
{
    (void)in;
    (void)out;
    unsigned *mine = ctx;
    if (fake.asked != *mine)
        v->outcome = PROFILE_NOT_MINE;
    else
        *v = (struct profile_verdict){.outcome = PROFILE_REFUSED,
                                      .count = LEDGER_DEAD_BAD_CHECKSUM,
                                      .message = "frame",
                                      .detail = "crc16 is 1234, expected 5678"};
}

static void candidates_in_order(void **state)
{
    (void)state;
    struct rig r;
    unsigned mine = 2;
    vendor_rig(&r);
    fake.say = say_nothing_of_mine;
    fake.ctx = &mine;
    message(&r, TOPIC, "x", 0, 1); /* the second takes it */
    assert_int_equal(fake.asked, 2);
    assert_int_equal(count(&r, "-", LEDGER_DEAD_BAD_CHECKSUM), 1);
    assert_string_equal(r.seen->letters[0].detail, "frame: crc16 is 1234, expected 5678");
    mine = 100;
    message(&r, "vendor/d1/data", "x", 0, 2); /* nobody does; the topic's device has it */
    assert_int_equal(count(&r, "c1", LEDGER_DEAD_NO_MESSAGE), 1);
    message(&r, TOPIC, "", 0, 3);
    assert_int_equal(count(&r, "-", LEDGER_IGNORED_EMPTY), 1);
    message(&r, "gaihou/v1/up/c1/d1", "{\"level\":1}", 0, 4); /* the native one beside them */
    assert_int_equal(r.seen->n, 1);
    message(&r, TOPIC, "x", RECORD_RETAIN, 5);
    assert_int_equal(count(&r, "-", LEDGER_IGNORED_RETAINED), 1);
    message(&r, TOPIC, "x", RECORD_CUT, 6);
    assert_int_equal(count(&r, "-", LEDGER_DEAD_OVERSIZED), 1);
    balanced(&r);
    rig_done(&r);
}

static void say_ignored(void *ctx, const struct profile_input *in, struct decoded *out,
                        struct profile_verdict *v)
{
    (void)in;
    (void)out;
    v->outcome = PROFILE_IGNORED;
    v->count = LEDGER_IGNORED_HEARTBEAT;
    v->device = ctx;
    v->device_len = ctx ? strlen(ctx) : 0;
}

static struct engine_device about(const struct rig *r, const char *code)
{
    struct engine_device d;
    engine_device(r->e, registry_find(r->w->registry, code, strlen(code)), &d);
    return d;
}

static void signs_of_life(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    char d1[] = "d1", nobody[] = "nobody";
    fake.say = say_ignored;
    fake.ctx = NULL;
    message(&r, TOPIC, "x", 0, 1);
    assert_int_equal(count(&r, "-", LEDGER_IGNORED_HEARTBEAT), 1);
    fake.ctx = nobody;
    message(&r, TOPIC, "x", 0, 2);
    assert_int_equal(count(&r, "-", LEDGER_IGNORED_HEARTBEAT), 2);
    assert_true(about(&r, "d1").last_seen_ms == 0);
    fake.ctx = d1;
    message(&r, TOPIC, "x", RECORD_RETAIN, 3); /* not as retained */
    assert_true(about(&r, "d1").last_seen_ms == 0);
    message(&r, TOPIC, "x", 0, 4);
    assert_int_equal(count(&r, "c1", LEDGER_IGNORED_HEARTBEAT), 1);
    int64_t seen = about(&r, "d1").last_seen_ms;
    assert_true(seen > 0);
    TELL(&r, {.device = "d1", .level = 0, .will = true}); /* the broker told its will */
    assert_int_equal(r.seen->n, 1);
    assert_true(about(&r, "d1").last_seen_ms == seen);
    TELL(&r, {.device = "d1", .level = 1});
    assert_true(about(&r, "d1").last_seen_ms > seen);
    balanced(&r);
    rig_done(&r);
}

static void other_lanes(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig_of(&r, "life-safety");
    TELL(&r, {.device = "d1", .level = 1}, {.device = "d2", .level = 1});
    assert_int_equal(count(&r, "c1", LEDGER_OTHER_LANE), 1);
    TELL(&r, {.device = "d1", .level = 1}, {.device = "d3", .level = 1},
         {.device = "nobody", .level = 1});
    assert_int_equal(count(&r, "c1", LEDGER_DECODED), 1);
    assert_int_equal(r.seen->n, 1);
    line_is(&r, 0, "sump,building=1,compound=c1,device=d3 level=1 ");
    balanced(&r);
    rig_done(&r);
}

/* Of two lanes that hear the same, one keeps whom nobody knows. */
static void strangers_are_the_routine_lanes(void **state)
{
    (void)state;
    for (int ls = 0; ls < 2; ls++) {
        struct rig r;
        vendor_rig_of(&r, ls ? "life-safety" : "routine");
        TELL(&r, {.device = "nobody", .level = 1}, {.device = "old", .level = 1});
        TELL(&r, {.device = "d3", .level = 1}, {.device = "nobody", .level = 1});
        message(&r, "gaihou/v1/up/c1/nobody", "{\"level\":1}", 0, 90);
        message(&r, "gaihou/v1/up/c1/old", "{\"level\":1}", 0, 91);
        message(&r, "gaihou/v1/up/c2/d3", "{\"level\":1}", 0, 92); /* another compound's */
        assert_int_equal(count(&r, "-", LEDGER_QUARANTINED), ls ? 0 : 4);
        assert_int_equal(count(&r, "-", LEDGER_OTHER_LANE), ls ? 4 : 0);
        assert_int_equal(r.seen->n_letters, ls ? 0 : 6);
        assert_int_equal(r.seen->n, ls);
        balanced(&r);
        rig_done(&r);
    }
}

/* -- points ---------------------------------------------------------------------------------- */

static void points_are_series(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    int64_t t = now_ms(&r);
    TELL(&r, {.device = "d1", .time_ms = t, .level = 1},
         {.device = "d1", .point = "1", .time_ms = t, .level = 1},
         {.device = "d1", .point = "a b,c=d", .time_ms = t, .level = 99.99},
         {.device = "d2", .point = "p0", .time_ms = t, .level = 2}, /* the registry's own */
         {.device = "d2", .point = "p1", .time_ms = t, .level = 2});
    assert_int_equal(r.seen->n, 5);
    line_is(&r, 0, "sump,building=3,compound=c1,device=d1 level=1 ");
    line_is(&r, 1, "sump,building=3,compound=c1,device=d1,point=1 level=1 ");
    line_is(&r, 2,
            "sump_bad,building=3,compound=c1,device=d1,point=a\\ b\\,c\\=d,reason=sentinel "
            "level=99.99 ");
    line_is(&r, 3, "sump,building=4,compound=c2,device=d2,point=p0 level=2 ");
    line_is(&r, 4, "sump,building=4,compound=c2,device=d2,point=p1 level=2 ");
    TELL(&r, {.device = "d1", .point = "1", .time_ms = t, .level = 1},
         {.device = "d2", .time_ms = t, .level = 2});
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 1);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_DUPLICATE), 1);
    assert_int_equal(count(&r, "c2", LEDGER_POINTS_DUPLICATE), 1);
    balanced(&r);
    rig_done(&r);
}

static void too_many_points(void **state)
{
    (void)state;
    struct rig r;
    char name[80];
    vendor_rig(&r);
    for (unsigned i = 0; i < 66; i++) {
        (void)snprintf(name, sizeof(name), "p%u", i);
        TELL(&r, {.device = "d1", .point = name, .level = 1});
    }
    assert_int_equal(r.seen->n, 64);
    assert_int_equal(count(&r, "c1", LEDGER_DEAD_TOO_MANY), 2);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_REFUSED_TOO_MANY), 2);
    assert_string_equal(r.seen->letters[0].reason, "too_many_points");
    assert_false(r.seen->letters[0].quarantine);
    assert_int_equal(about(&r, "d1").points, 64);
    TELL(&r, {.device = "d1", .point = "p7", .level = 2},
         {.device = "d1", .point = "p99", .level = 2}); /* in part */
    assert_int_equal(count(&r, "c1", LEDGER_DECODED), 65);
    assert_int_equal(r.seen->n_letters, 3);
    memset(name, 'x', 65);
    name[65] = '\0';
    TELL(&r, {.device = "d2", .point = name, .level = 2});
    assert_int_equal(count(&r, "c2", LEDGER_DEAD_TOO_MANY), 1);
    balanced(&r);
    rig_done(&r);
}

/* -- ids ------------------------------------------------------------------------------------- */

static void message_ids(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    TELL(&r, {.device = "d1", .level = 1, .id = 7});
    /* the other gateway heard the frame, too, a little later */
    TELL(&r, {.device = "d1", .level = 1, .id = 7, .time_ms = now_ms(&r) - 300});
    assert_int_equal(r.seen->n, 1);
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 1);
    TELL(&r, {.device = "d1", .level = 2, .id = 7}); /* other content */
    TELL(&r, {.device = "d2", .level = 1, .id = 7}); /* other device */
    TELL(&r, {.device = "d1", .level = 1, .id = 8}); /* other message */
    assert_int_equal(r.seen->n, 4);
    TELL(&r, {.device = "d1", .level = 1, .id = 7}, {.device = "d1", .level = 2, .id = 9});
    assert_int_equal(r.seen->n, 5); /* one of two: decoded */
    assert_int_equal(count(&r, "c1", LEDGER_DECODED), 4);
    for (uint64_t i = 100; i < 104; i++)
        TELL(&r, {.device = "d1", .level = 1, .id = i});
    TELL(&r, {.device = "d1", .level = 1, .id = 7}); /* forgotten after four others */
    assert_int_equal(r.seen->n, 10);
    struct engine_stats s;
    engine_stats(r.e, &s);
    assert_int_equal(s.repeated_ids, 2);
    balanced(&r);
    rig_done(&r);
}

/* 48 back-filled samples under one message id: known again as one, and not when one has changed.
 */
static void an_id_of_a_batch(void **state)
{
    (void)state;
    struct rig r;
    struct said batch[48];
    vendor_rig(&r);
    int64_t t = now_ms(&r);
    for (int i = 0; i < 48; i++)
        batch[i] = (struct said){
            .device = "d1", .level = i % 5, .id = 55, .time_ms = t - (47 - i) * 900000};
    tell_n(&r, batch, 48);
    assert_int_equal(r.seen->n, 48);
    tell_n(&r, batch, 48);
    assert_int_equal(r.seen->n, 48);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_DUPLICATE), 48);
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 1);
    batch[0].level = 4.5;
    tell_n(&r, batch, 48);
    assert_true(r.seen->n > 48);
    balanced(&r);
    rig_done(&r);
}

/* A platform that pushes a message again says nothing new of the device's clock. */
static void a_repeat_teaches_no_clock(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    int64_t ahead = 3600000;
    for (uint64_t i = 1; i <= 6; i++) {
        r.ns += 180 * (uint64_t)SECOND;
        TELL(&r, {.device = "d1", .level = 1, .id = i, .time_ms = now_ms(&r) + ahead});
    }
    assert_true(about(&r, "d1").clock_off);
    int64_t told = now_ms(&r) + ahead;
    TELL(&r, {.device = "d1", .level = 2, .id = 7, .time_ms = told});
    r.ns += 3600 * (uint64_t)SECOND; /* as if it were near now */
    TELL(&r, {.device = "d1", .level = 2, .id = 7, .time_ms = told});
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 1);
    assert_true(about(&r, "d1").clock_off);
    /* what is new beside it does */
    TELL(&r, {.device = "d1", .level = 2, .id = 7, .time_ms = told},
         {.device = "d1", .level = 3, .id = 8, .time_ms = now_ms(&r)});
    assert_false(about(&r, "d1").clock_off);
    balanced(&r);
    rig_done(&r);
}

/* -- quality --------------------------------------------------------------------------------- */

static void what_the_decoder_judged(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    TELL(&r, {.device = "d1", .level = 1, .quality = QUALITY_BAD, .reason = REASON_FAULT});
    TELL(&r, {.device = "d1", .level = 2, .quality = QUALITY_BAD, .reason = REASON_DISAGREE});
    TELL(&r, {.device = "d1", .level = 3, .quality = QUALITY_BAD});
    TELL(&r,
         {.device = "d1", .level = 4, .quality = QUALITY_UNCERTAIN, .reason = REASON_DISAGREE});
    TELL(&r, {.device = "d1", .level = 1, .time_ms = 946684800000}); /* 2000-01-01 */
    assert_int_equal(r.seen->n, 5);
    line_is(&r, 0, "sump_bad,building=3,compound=c1,device=d1,reason=fault level=1 ");
    line_is(&r, 1, "sump_bad,building=3,compound=c1,device=d1,reason=disagree level=2 ");
    line_is(&r, 2, "sump_bad,building=3,compound=c1,device=d1,reason=other level=3 ");
    line_is(&r, 3, "sump,building=3,compound=c1,device=d1 level=4,uncertain=\"disagree\" ");
    line_is(&r, 4,
            "sump,building=3,compound=c1,device=d1 level=1,uncertain=\"clock\" "
            "1795219205000000000");
    struct engine_stats s;
    engine_stats(r.e, &s);
    assert_int_equal(s.values_bad[REASON_FAULT], 1);
    assert_int_equal(s.values_bad[REASON_DISAGREE], 1);
    assert_int_equal(s.fields_bad, 3);
    assert_int_equal(s.values_uncertain[REASON_DISAGREE], 1);
    assert_int_equal(s.values_uncertain[REASON_CLOCK], 1);
    assert_int_equal(s.times_replaced, 1);
    balanced(&r);
    rig_done(&r);
}

/* -- state ----------------------------------------------------------------------------------- */

static int keep(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void reopen(struct rig *r)
{
    struct buf b;
    buf_init(&b, 4 << 20);
    assert_int_equal(engine_save(r->e, keep, &b), 0);
    engine_free(r->e);
    rig_engine(r);
    assert_int_equal(engine_load(r->e, b.data, b.len), 0);
    buf_done(&b);
}

static void state_survives(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    int64_t t = now_ms(&r);
    TELL(&r, {.device = "d1", .point = "1", .time_ms = t, .level = 1, .id = 7},
         {.device = "d2", .point = "x", .time_ms = t, .level = 3});
    reopen(&r);
    TELL(&r, {.device = "d1", .point = "1", .level = 1, .id = 7});
    TELL(&r, {.device = "d2", .point = "x", .time_ms = t, .level = 3});
    assert_int_equal(r.seen->n, 2);
    /* another registry: other numbers, d2 gone, d1's state goes with its code */
    const char *devices = "device,kind,compound,building\nd0,sump,c1,1\nd1,sump,c1,3\n";
    struct world *w = world_of(devices);
    for (size_t i = 0; i < w->n_sources; i++)
        w->sources[i].profile = (const struct profile *)&fake;
    engine_use(r.e, w);
    world_free(r.w);
    r.w = w;
    play_for(&r);
    struct script s = {
        (const struct said[]){{.device = "d1", .point = "1", .time_ms = t, .level = 1},
                              {.device = "d1", .point = "1", .level = 1, .id = 7},
                              {.device = "d1", .point = "2", .level = 1}},
        3};
    fake.say = say_script;
    fake.ctx = &s;
    message(&r, "gaihou/v1/up/c1/d1", "x", 0, 9);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_DUPLICATE), 3);
    assert_int_equal(r.seen->n, 3);
    assert_int_equal(about(&r, "d1").points, 2);
    reopen(&r);
    assert_int_equal(about(&r, "d1").points, 2);
    balanced(&r);
    rig_done(&r);
}

/* Of a device that only a will spoke for, the clock is all that is known. */
static void a_clock_alone_survives(void **state)
{
    (void)state;
    struct rig r;
    vendor_rig(&r);
    for (int i = 0; i < 3; i++) /* their places are told: nothing is due any more */
        message(&r, "gaihou/v1/up/c1/none", "{}", 0, 1);
    r.seen->n = 0;
    TELL(&r, {.device = "d1",
              .level = 1,
              .will = true,
              .unknown_field = true,
              .time_ms = now_ms(&r)});
    reopen(&r);
    TELL(&r, {.device = "d1", .level = 1, .time_ms = now_ms(&r) - 7200000});
    assert_int_equal(r.seen->n, 1);
    assert_null(strstr(r.seen->lines[0].text, "uncertain")); /* back-fill of a good clock */
    rig_done(&r);
}

/* A mapping that is for other kinds is nothing that is lacking here. */
static void mappings_of_other_kinds(void **state)
{
    (void)state;
    const struct strange_name *names[STRANGE_NAMES];
    struct rig r;
    struct engine_stats s;
    vendor_rig(&r);
    TELL(&r, {.device = "d1", .level = 1, .of_another_kind = true});
    engine_stats(r.e, &s);
    assert_int_equal(s.fields_unknown, 0);
    assert_int_equal(strange_list(engine_strange(r.e), names), 0);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_REFUSED_EMPTY), 1);
    TELL(&r, {.device = "d1", .level = 1, .unknown_field = true});
    engine_stats(r.e, &s);
    assert_int_equal(s.fields_unknown, 1);
    assert_int_equal(strange_list(engine_strange(r.e), names), 1);
    assert_string_equal(names[0]->name, "nothing");
    assert_string_equal(names[0]->kind, "sump");
    assert_string_equal(names[0]->device, "d1");
    assert_string_equal(names[0]->profile, "gaihou-json");
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_REFUSED_METRIC), 1);
    balanced(&r);
    rig_done(&r);
}

/* -- anything -------------------------------------------------------------------------------- */

struct dice {
    uint64_t seed;
    struct said said[64];
};

static void say_anything(void *ctx, const struct profile_input *in, struct decoded *out,
                         struct profile_verdict *v)
{
    struct dice *d = ctx;
    static const char *const devices[] = {"d1", "d2", "d3", "eui-2", "old", "nobody", "", NULL};
    static const char *const points[] = {"", NULL, "p0", "1", "2", "3"};
    static const char *const compounds_[] = {NULL, NULL, NULL, "c1", "c2", "c9"};
    v->want_rebirth = unit_random(&d->seed) % 40 == 0;
    switch (unit_random(&d->seed) % 20) {
    case 0:
        v->outcome = PROFILE_NOT_MINE;
        return;
    case 1:
        v->outcome = PROFILE_IGNORED;
        v->count = (enum ledger_count)(unit_random(&d->seed) % LEDGER_N); /* even nonsense */
        v->device = devices[unit_random(&d->seed) % 8];
        v->device_len = v->device ? strlen(v->device) : 0;
        return;
    case 2:
        v->outcome = PROFILE_REFUSED;
        v->count = (enum ledger_count)(unit_random(&d->seed) % LEDGER_N);
        return;
    default:
        break;
    }
    size_t n = unit_random(&d->seed) % (unit_random(&d->seed) % 8 ? 6 : 64);
    for (size_t i = 0; i < n; i++) {
        struct said *s = &d->said[i];
        uint64_t x = unit_random(&d->seed);
        *s = (struct said){
            .device = devices[x % 8],
            .point = points[x / 8 % 6],
            .compound = compounds_[x / 64 % 6],
            .level = (double)(x / 512 % 9),
            .id = x / 8192 % 4,
            .will = x / 65536 % 8 == 0,
            .unknown_field = x / (1 << 20) % 8 == 0,
            .quality = (unsigned char)(x / (1 << 24) % 8 == 0 ? 1 + x / (1 << 27) % 2 : 0)};
        s->reason = s->quality ? REASON_OTHER : REASON_NONE;
        if (x >> 40 & 1)
            s->time_ms = in->received_ms - (int64_t)(x >> 41 & 0xffff);
        if ((x >> 57 & 7) == 0)
            s->level = NAN;
        if ((x >> 60 & 7) == 0)
            s->time_ms = (int64_t)(x & 0xffffffffffff);
        add(out, s);
    }
}

/* Whatever a profile says: every sum holds after every message, in every row; positions go
 * forward; and an engine that was saved, freed and loaded on the way tells the same. */
static void the_ledger_balances(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    static const char *const lanes[] = {"all", "routine", "life-safety"};
    for (int round = 0; round < 60; round++) {
        struct rig whole, half;
        struct dice a = {.seed = seed + (uint64_t)round}, b = a;
        vendor_rig_of(&whole, lanes[round % 3]);
        vendor_rig_of(&half, lanes[round % 3]);
        fake.say = say_anything;
        for (unsigned i = 0; i < 120; i++) {
            unsigned flags = (a.seed >> 20 & 15) == 0 ? RECORD_DUP : 0;
            const char *topic = (a.seed >> 30 & 3) == 0 ? "vendor/d1/data" : TOPIC;
            whole.seen->n_letters = half.seen->n_letters = 0;
            if (i % 40 == 7) {
                link_up(&whole, 1);
                link_up(&half, 1);
            }
            fake.ctx = &a;
            play_for(&whole);
            message(&whole, topic, "x", flags, 1 + i % 50);
            fake.ctx = &b;
            play_for(&half);
            message(&half, topic, "x", flags, 1 + i % 50);
            balanced(&whole);
            if (i % 17 == 0)
                reopen(&half);
        }
        assert_int_equal(whole.seen->n, half.seen->n);
        for (size_t i = 0; i < whole.seen->n; i++)
            assert_string_equal(whole.seen->lines[i].text, half.seen->lines[i].text);
        const struct ledger *x = engine_ledger(whole.e), *y = engine_ledger(half.e);
        struct ledger_row tx, ty;
        ledger_total(x, &tx);
        ledger_total(y, &ty);
        assert_memory_equal(tx.n, ty.n, sizeof(tx.n));
        assert_int_equal(tx.n[LEDGER_RECEIVED], 120);
        rig_done(&whole);
        rig_done(&half);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_devices),
        cmocka_unit_test(nobody_known),
        cmocka_unit_test(candidates_in_order),
        cmocka_unit_test(signs_of_life),
        cmocka_unit_test(other_lanes),
        cmocka_unit_test(strangers_are_the_routine_lanes),
        cmocka_unit_test(points_are_series),
        cmocka_unit_test(too_many_points),
        cmocka_unit_test(message_ids),
        cmocka_unit_test(an_id_of_a_batch),
        cmocka_unit_test(what_the_decoder_judged),
        cmocka_unit_test(state_survives),
        cmocka_unit_test(the_ledger_balances),
        cmocka_unit_test(a_repeat_teaches_no_clock),
        cmocka_unit_test(a_clock_alone_survives),
        cmocka_unit_test(mappings_of_other_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
