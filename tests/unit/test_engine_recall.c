/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_recall: what a device said last, read from its record again, is what its point had: values,
 * qualities, times; of a gateway's message only what is its own; and nothing of the engine moves.
 */
#include "engine_rig.h"

#include "core/engine_recall.h"
#include "core/judge.h"

#define D1 "gaihou/v1/up/c1/d1"

/* -- a message that is kept ------------------------------------------------------------------ */

struct kept {
    struct record record;
    char *topic, *body;
    size_t lines_from, lines_to; /* what it made */
    bool moved;                  /* a point of it had to make room for another */
    bool again;                  /* or was there already: then only its values and time are */
};

static struct engine_stats stats(const struct rig *r)
{
    struct engine_stats s;
    engine_stats(r->e, &s);
    return s;
}

static void pass(struct rig *r, struct kept *k, enum record_type type, const char *topic,
                 const char *body, int64_t wall_ns)
{
    struct record rec = base(r, type);
    size_t n = strlen(body);
    k->topic = mem_strdup(topic);
    k->body = mem_zalloc(n + 64);
    memcpy(k->body, body, n);
    rec.broker = type == RECORD_MESSAGE ? 0 : 255;
    rec.topic = k->topic;
    rec.topic_len = strlen(topic);
    rec.body = k->body;
    rec.body_len = n;
    rec.messages = ++r->messages;
    rec.wall_ns = wall_ns ? wall_ns : rec.wall_ns;
    uint64_t moved = stats(r).times_moved, again = count(r, "c1", LEDGER_POINTS_DUPLICATE);
    k->lines_from = r->seen->n;
    give(r, &rec);
    k->lines_to = r->seen->n;
    k->moved = stats(r).times_moved != moved;
    k->again = count(r, "c1", LEDGER_POINTS_DUPLICATE) != again;
    k->record = rec;
}

static void kept_done(struct kept *k)
{
    free(k->topic);
    free(k->body);
}

/* The next record comes a tenth of a second later. */
static void soon(struct rig *r)
{
    r->ns -= SECOND - SECOND / 10;
}

static const struct device *device(const struct rig *r, const char *code)
{
    return registry_find(r->w->registry, code, strlen(code));
}

/* -- what is recalled ------------------------------------------------------------------------ */

struct value_seen {
    char text[128]; /* "level=1.5", as a line has it */
    char metric[32];
    int64_t time_ms;
    enum quality quality;
    enum quality_reason reason;
    enum recalled_clock clock;
    bool as_told;
};
struct values_seen {
    struct value_seen v[CATALOG_MAX_METRICS];
    size_t n;
};

static void see(void *ctx, const struct recalled *v)
{
    struct values_seen *all = ctx;
    struct value_seen *s = &all->v[all->n++];
    struct field f = {.key = v->metric->name,
                      .key_len = v->metric->name_len,
                      .v = v->value,
                      .code = v->code,
                      .has_code = v->has_code};
    char raw[64];
    if (v->as_told && (v->reason == REASON_TYPE || v->reason == REASON_ENUM)) {
        f.key_len = (size_t)snprintf(raw, sizeof(raw), "%s_raw", v->metric->name);
        f.key = raw;
    }
    struct point p = {
        .series = "x", .series_len = 1, .fields = &f, .n_fields = 1, .time_ms = v->time_ms};
    struct lineproto_refused refused = {0};
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(lineproto_put(&b, LINEPROTO_INFLUX, &p, &refused), 0);
    const char *line = buf_cstr(&b), *end = strrchr(line, ' ');
    (void)snprintf(s->text, sizeof(s->text), "%.*s", (int)(end - line - 2), line + 2);
    (void)snprintf(s->metric, sizeof(s->metric), "%s", v->metric->name);
    buf_done(&b);
    s->time_ms = v->time_ms;
    s->quality = v->quality;
    s->reason = v->reason;
    s->clock = v->clock;
    s->as_told = v->as_told;
}

static void recalled(const struct rig *r, const struct record *rec, const struct device *d,
                     const struct engine_told *t, struct values_seen *out)
{
    struct recall *x = recall_new(r->e);
    out->n = 0;
    if (recall_message(x, rec)) {
        size_t n = recall_values(x, d, t, see, out);
        assert_int_equal(n, out->n);
    }
    recall_free(x);
}

static struct engine_told told_of(const struct rig *r, const char *code, const char *point)
{
    struct engine_told all[ENGINE_MAX_TOLD];
    size_t n = engine_told(r->e, device(r, code), all);
    for (size_t i = 0; i < n; i++)
        if (point ? !all[i].own && strcmp(all[i].point, point) == 0 : all[i].own)
            return all[i];
    return (struct engine_told){.point = NULL};
}

static int64_t time_of(const char *line)
{
    return strtoll(strrchr(line, ' ') + 1, NULL, 10) / 1000000;
}

/* Is it in one of the lines that the message made, under its own quality? */
static void is_in_a_line(const struct rig *r, const struct kept *k, const struct value_seen *v)
{
    char bad[40], doubt[48], field[2][140];
    (void)snprintf(bad, sizeof(bad), ",reason=%s ", judge_reason(v->reason));
    (void)snprintf(doubt, sizeof(doubt), "uncertain=\"%s\"", judge_reason(v->reason));
    (void)snprintf(field[0], sizeof(field[0]), " %s", v->text);
    (void)snprintf(field[1], sizeof(field[1]), ",%s", v->text);
    for (size_t i = k->lines_from; i < k->lines_to; i++) {
        const char *line = r->seen->lines[i].text;
        bool is_bad = strstr(line, "sump_bad,") == line;
        int64_t off = time_of(line) - v->time_ms;
        if (off < 0 || off > (k->moved ? 64 : 0) ||
            (!strstr(line, field[0]) && !strstr(line, field[1])))
            continue;
        if (k->again)
            return;
        if (is_bad != (v->quality == QUALITY_BAD) || (is_bad && !strstr(line, bad)) ||
            (v->quality == QUALITY_UNCERTAIN && !strstr(line, doubt)))
            continue;
        if (v->quality == QUALITY_GOOD && strstr(line, "uncertain="))
            continue;
        return;
    }
    for (size_t i = k->lines_from; i < k->lines_to; i++)
        print_error("%s\n", r->seen->lines[i].text);
    fail_msg("%s (%s) at %lld is in no line of %s", v->text, judge_reason(v->reason),
             (long long)v->time_ms, k->body);
}

static size_t fields_of(const struct rig *r, const struct kept *k)
{
    size_t n = 0;
    for (size_t i = k->lines_from; i < k->lines_to; i++) {
        const char *p = strchr(r->seen->lines[i].text, ' ') + 1, *end = strrchr(p, ' ');
        n += strstr(p, "uncertain=") == NULL;
        for (; p < end; p++)
            n += *p == ',';
    }
    return n;
}

static int keep(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void saved(const struct rig *r, struct buf *b)
{
    buf_clear(b);
    assert_int_equal(engine_save(r->e, keep, b), 0);
}

/* -- anything that a device may say ------------------------------------------------------------ */

static void one_object(uint64_t *seed, int64_t now_ms, struct buf *b)
{
    static const char *const levels[] = {"1.5", "0.25", "7", "99.99", "\"x\"", "null", "2"};
    static const char *const pumps[] = {"true", "false", "1", "\"yes\""};
    static const char *const starts[] = {"40", "41", "1.5"};
    static const char *const modes[] = {"\"auto\"", "\"hand\"", "\"nope\"", "1", "9"};
    uint64_t k = unit_random(seed);
    int64_t ts[] = {now_ms, now_ms - 1000, now_ms - 10800000, now_ms + 5400000, 1000};
    (void)buf_puts(b, "{\"nothing\":1");
    if (k % 3)
        (void)buf_printf(b, ",\"ts\":%lld", (long long)ts[k / 3 % 5]);
    if (k >> 8 & 1)
        (void)buf_printf(b, ",\"level\":%s", levels[(k >> 9) % 7]);
    if (k >> 16 & 1)
        (void)buf_printf(b, ",\"pump_on\":%s", pumps[(k >> 17) % 4]);
    if (k >> 24 & 1)
        (void)buf_printf(b, ",\"starts\":%s", starts[(k >> 25) % 3]);
    if (k >> 32 & 1)
        (void)buf_printf(b, ",\"mode\":%s", modes[(k >> 33) % 5]);
    if (k >> 40 & 1) /* twice: the first stands */
        (void)buf_puts(b, ",\"level\":3,\"mode\":0");
    (void)buf_putc(b, '}');
}

static void body_of(uint64_t *seed, int64_t now_ms, struct buf *b)
{
    uint64_t n = unit_random(seed) % 12;
    buf_clear(b);
    if (n < 8) {
        one_object(seed, now_ms, b);
        return;
    }
    (void)buf_putc(b, '[');
    for (uint64_t i = 0; i < n - 6; i++) {
        if (i)
            (void)buf_putc(b, ',');
        one_object(seed, now_ms - (int64_t)(unit_random(seed) % 3) * 1000, b);
    }
    (void)buf_putc(b, ']');
}

/* Of each metric the newest of all that the lines have. */
static void none_is_newer(const struct rig *r, const struct kept *k, const struct value_seen *v)
{
    char names[4][48];
    (void)snprintf(names[0], sizeof(names[0]), " %s=", v->metric);
    (void)snprintf(names[1], sizeof(names[1]), ",%s=", v->metric);
    (void)snprintf(names[2], sizeof(names[2]), " %s_raw=", v->metric);
    (void)snprintf(names[3], sizeof(names[3]), ",%s_raw=", v->metric);
    for (size_t i = k->lines_from; i < k->lines_to; i++) {
        const char *line = r->seen->lines[i].text;
        bool has = false;
        for (size_t j = 0; j < 4; j++)
            has = has || strstr(strchr(line, ' '), names[j]);
        if (has && time_of(line) > v->time_ms + 64)
            fail_msg("%s at %lld is not the newest: %s", v->text, (long long)v->time_ms, line);
    }
}

static void what_it_said_is_what_was_stored(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct buf b, before, after;
    size_t read = 0, batches = 0, doubts = 0, bad = 0, corrected = 0;
    buf_init(&b, 65536);
    buf_init(&before, 1 << 22);
    buf_init(&after, 1 << 22);
    for (int round = 0; round < 20; round++) {
        struct rig r;
        rig_init(&r);
        for (int i = 0; i < 150; i++) {
            struct kept k;
            struct values_seen v;
            uint64_t dice = unit_random(&seed);
            if (dice % 19 == 0) {
                link_up(&r, dice % 2 != 0);
                soon(&r);
            } else {
                r.ns += dice % 200 * (uint64_t)SECOND;
            }
            if (dice % 23 == 0)
                r.wall_shift += (int64_t)(dice % 7 - 3) * 60 * (int64_t)SECOND;
            body_of(&seed, (WALL0 + (int64_t)(r.ns + SECOND - BOOT0) + r.wall_shift) / 1000000,
                    &b);
            struct engine_told old = told_of(&r, "d1", NULL);
            pass(&r, &k, RECORD_MESSAGE, D1, buf_cstr(&b), 0);
            struct engine_told t = told_of(&r, "d1", NULL);
            if (k.lines_from == k.lines_to) { /* nothing new: what was last is last */
                assert_int_equal(t.offset, old.offset);
                kept_done(&k);
                continue;
            }
            assert_int_equal(t.offset, k.record.offset);
            saved(&r, &before);
            recalled(&r, &k.record, device(&r, "d1"), &t, &v);
            saved(&r, &after);
            assert_int_equal(before.len, after.len);
            assert_memory_equal(before.data, after.data, after.len);
            bool array = k.body[0] == '[';
            if (!array)
                assert_int_equal(v.n, fields_of(&r, &k));
            assert_true(v.n > 0);
            for (size_t j = 0; j < v.n; j++) {
                is_in_a_line(&r, &k, &v.v[j]);
                none_is_newer(&r, &k, &v.v[j]);
                doubts += v.v[j].quality == QUALITY_UNCERTAIN;
                bad += v.v[j].quality == QUALITY_BAD;
                corrected += v.v[j].clock == RECALLED_CORRECTED;
            }
            read++;
            batches += array;
            kept_done(&k);
        }
        balanced(&r);
        rig_done(&r);
    }
    print_message("%zu messages, %zu batches, %zu uncertain, %zu bad, %zu corrected\n", read,
                  batches, doubts, bad, corrected);
    assert_true(read > 1000 && batches > 200 && doubts > 200 && bad > 200);
    buf_done(&b);
    buf_done(&before);
    buf_done(&after);
}

/* -- whose clock, and whose news --------------------------------------------------------------- */

static void only(const struct rig *r, const struct kept *k, struct value_seen *out)
{
    struct engine_told t = told_of(r, "d1", NULL);
    struct values_seen v;
    recalled(r, &k->record, device(r, "d1"), &t, &v);
    assert_int_equal(v.n, 1);
    is_in_a_line(r, k, &v.v[0]);
    *out = v.v[0];
}

static void a_clock_that_is_off(void **state)
{
    (void)state;
    struct rig r;
    struct kept k;
    struct value_seen v = {.clock = RECALLED_DEVICE};
    rig_init(&r);
    for (int i = 0; i < 8; i++) {
        char body[96];
        r.ns += 180u * (uint64_t)SECOND;
        int64_t now = (WALL0 + (int64_t)(r.ns + SECOND - BOOT0)) / 1000000;
        (void)snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":%d}",
                       (long long)now + 7200000, i % 4);
        pass(&r, &k, RECORD_MESSAGE, D1, body, 0);
        only(&r, &k, &v);
        kept_done(&k);
        assert_int_equal(v.quality, QUALITY_UNCERTAIN);
        assert_int_equal(v.reason, REASON_CLOCK);
        assert_int_equal(v.clock, i < 4 ? RECALLED_RECEIPT : RECALLED_CORRECTED);
    }
    rig_done(&r);
}

static void old_news_and_our_own_step(void **state)
{
    (void)state;
    struct rig r;
    struct kept k;
    struct value_seen v;
    rig_init(&r);
    pass(&r, &k, RECORD_MESSAGE, D1, "{\"level\":1}", 0);
    only(&r, &k, &v);
    assert_int_equal(v.quality, QUALITY_GOOD);
    assert_int_equal(v.clock, RECALLED_RECEIPT);
    kept_done(&k);
    link_up(&r, 1);
    soon(&r);
    pass(&r, &k, RECORD_MESSAGE, D1, "{\"level\":2}", 0);
    only(&r, &k, &v);
    assert_int_equal(v.quality, QUALITY_UNCERTAIN);
    assert_int_equal(v.reason, REASON_CATCH_UP);
    kept_done(&k);
    r.wall_shift += 7200 * (int64_t)SECOND; /* a step of ours that is not believed */
    r.ns += 60u * (uint64_t)SECOND;
    pass(&r, &k, RECORD_MESSAGE, D1, "{\"level\":3}", 0);
    assert_true(stats(&r).wall_held);
    only(&r, &k, &v);
    assert_true(v.time_ms < WALL0 / 1000000 + 600000);
    kept_done(&k);
    rig_done(&r);
}

/* What is taken up again is the last only where nothing newer is known. */
static void history_is_not_the_last(void **state)
{
    (void)state;
    struct rig r;
    struct kept old, live, again;
    rig_init(&r);
    pass(&r, &old, RECORD_REINJECT, D1, "{\"level\":1}", WALL0 - 3600 * (int64_t)SECOND);
    assert_int_equal(told_of(&r, "d1", NULL).offset, old.record.offset);
    pass(&r, &live, RECORD_MESSAGE, D1, "{\"level\":2}", 0);
    pass(&r, &again, RECORD_REINJECT, D1, "{\"level\":3}", WALL0 - 1800 * (int64_t)SECOND);
    assert_int_equal(again.lines_to - again.lines_from, 1);
    assert_int_equal(told_of(&r, "d1", NULL).offset, live.record.offset);
    struct engine_device d;
    engine_device(r.e, registry_find(r.w->registry, "d1", 2), &d);
    assert_int_equal(d.last_seen_ms, live.record.wall_ns / 1000000); /* nor is it a silence */
    assert_int_equal(d.messages, 3);
    kept_done(&old);
    kept_done(&live);
    kept_done(&again);
    rig_done(&r);
}

/* -- gateways and points ------------------------------------------------------------------------ */

static const char gateway[] =
    "version: 1\nprofile: gw\ntopics: [\"gw/{gw}/up\"]\n"
    "messages:\n"
    "  - each: \"$.list[*]\"\n"
    "    device: \"{@.id}\"\n"
    "    point: \"{@.ch}\"\n"
    "    time: \"@.at\"\n"
    "    values: {level: {from: \"@.cm\", unit: cm}, pump_on: \"@.on\"}\n"
    "    quality:\n      - {when: {\"@.broken\": 1}, bad: fault, values: [level]}\n";
#define GATEWAY_CONF                                                                           \
    "gateway: {id: t, data_dir: /tmp/x}\n"                                                     \
    "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"                                   \
    "sources:\n  - {profile: gaihou-json, broker: main}\n"                                     \
    "  - {profile: gw, broker: main}\n"                                                        \
    "profiles: [gw.yaml]\ncatalog: catalog.yaml\n"                                             \
    "registry: {compounds: compounds.csv, devices: devices.csv}\n"

static void gateway_rig(struct rig *r)
{
    rig_conf = GATEWAY_CONF;
    rig_profile = gateway;
    rig_begin(r, "device,source_id,kind,compound,building,point\n"
                 "d1,eui-1,sump,c1,3,p0\nd2,eui-2,sump,c2,4,\n");
    rig_conf = conf_text;
    rig_profile = NULL;
}

static void says(const struct rig *r, const struct kept *k, const char *code, const char *point,
                 const char *first, const char *second)
{
    struct engine_told t = told_of(r, code, point);
    struct values_seen v;
    assert_non_null(t.point);
    assert_int_equal(t.offset, k->record.offset);
    recalled(r, &k->record, device(r, code), &t, &v);
    assert_int_equal(v.n, (first != NULL) + (second != NULL));
    for (size_t i = 0; i < v.n; i++) {
        assert_string_equal(v.v[i].text, i == 0 ? first : second);
        is_in_a_line(r, k, &v.v[i]);
    }
}

static void each_point_has_a_last_message(void **state)
{
    (void)state;
    struct rig r;
    struct kept a, b;
    gateway_rig(&r);
    pass(&r, &a, RECORD_MESSAGE, "gw/g1/up",
         "{\"list\":[{\"id\":\"eui-1\",\"cm\":150,\"on\":true},{\"id\":\"d2\",\"cm\":20},"
         "{\"id\":\"eui-1\",\"ch\":\"a\",\"cm\":30},{\"id\":\"stranger\",\"cm\":1},"
         "{\"id\":\"d1\",\"ch\":\"b\",\"cm\":9999,\"on\":false}]}",
         0);
    says(&r, &a, "d1", NULL, "level=1.5", "pump_on=true");
    says(&r, &a, "d2", NULL, "level=0.2", NULL); /* its own only */
    says(&r, &a, "d1", "a", "level=0.3", NULL);
    says(&r, &a, "d1", "b", "level=99.99", "pump_on=false");
    pass(&r, &b, RECORD_MESSAGE, "gw/g1/up",
         "{\"list\":[{\"id\":\"d1\",\"ch\":\"a\",\"cm\":40,\"broken\":1},"
         "{\"id\":\"d1\",\"ch\":\"p0\",\"cm\":70}]}",
         0);
    says(&r, &b, "d1", "a", "level=0.4", NULL);
    says(&r, &b, "d1", NULL, "level=0.7", NULL);
    says(&r, &a, "d1", "b", "level=99.99", "pump_on=false"); /* of the message before */
    says(&r, &a, "d2", NULL, "level=0.2", NULL);
    struct engine_told all[ENGINE_MAX_TOLD];
    assert_int_equal(engine_told(r.e, device(&r, "d1"), all), 3);
    assert_true(all[0].own && strcmp(all[0].point, "p0") == 0);
    assert_string_equal(all[1].point, "a");
    assert_string_equal(all[2].point, "b");
    kept_done(&a);
    kept_done(&b);
    rig_done(&r);
}

static struct values_seen under(const struct rig *r, const struct record *rec)
{
    struct engine_told t = told_of(r, "d1", NULL);
    struct values_seen v;
    assert_int_equal(t.offset, rec->offset);
    recalled(r, rec, device(r, "d1"), &t, &v);
    return v;
}

/* Read by what is configured now: another point, another range, no source at all. */
static void another_world(void **state)
{
    (void)state;
    struct rig r;
    struct kept k;
    gateway_rig(&r);
    pass(&r, &k, RECORD_MESSAGE, "gw/g1/up", "{\"list\":[{\"id\":\"eui-1\",\"cm\":150}]}", 0);
    assert_int_equal(under(&r, &k.record).n, 1);
    struct world *w = world_of("device,source_id,kind,compound,building\nd0,,sump,c1,1\n"
                               "d1,eui-1,sump,c1,9\n"); /* the gateway's source is no more */
    engine_use(r.e, w);
    world_free(r.w);
    r.w = w;
    assert_int_equal(under(&r, &k.record).n, 0);
    k.record.flags = RECORD_CUT;
    assert_int_equal(under(&r, &k.record).n, 0);
    kept_done(&k);
    rig_done(&r);
}

/* -- saved and loaded ---------------------------------------------------------------------------- */

static void it_is_saved(void **state)
{
    (void)state;
    struct rig r;
    struct kept a, b;
    struct buf state_bytes;
    gateway_rig(&r);
    link_up(&r, 1);
    soon(&r);
    pass(&r, &a, RECORD_MESSAGE, "gw/g1/up",
         "{\"list\":[{\"id\":\"d1\",\"cm\":150},{\"id\":\"d1\",\"ch\":\"a\",\"cm\":30}]}", 0);
    pass(&r, &b, RECORD_MESSAGE, "gw/g1/up",
         "{\"list\":[{\"id\":\"d1\",\"ch\":\"a\",\"cm\":31}]}", 0);
    buf_init(&state_bytes, 1 << 22);
    saved(&r, &state_bytes);
    engine_free(r.e);
    rig_engine(&r);
    assert_int_equal(engine_load(r.e, state_bytes.data, state_bytes.len), 0);
    says(&r, &a, "d1", NULL, "level=1.5", NULL);
    says(&r, &b, "d1", "a", "level=0.31", NULL);
    assert_true(told_of(&r, "d1", NULL).late);
    assert_int_equal(told_of(&r, "d1", "a").time_ms, b.record.wall_ns / 1000000);
    assert_null(told_of(&r, "d2", NULL).point);
    /* the largest place that is kept, and the smallest beside it */
    r.offset = (UINT64_C(1) << 54) - 256;
    kept_done(&a);
    pass(&r, &a, RECORD_MESSAGE, "gw/g1/up", "{\"list\":[{\"id\":\"d1\",\"cm\":50}]}", 0);
    saved(&r, &state_bytes);
    assert_int_equal(engine_load(r.e, state_bytes.data, state_bytes.len), 0);
    says(&r, &a, "d1", NULL, "level=0.5", NULL);
    buf_done(&state_bytes);
    kept_done(&a);
    kept_done(&b);
    rig_done(&r);
}

/* A state of version 4 (tests/data/engine/state-4.bin: d1 with its own point and one more, each of
 * several messages; d2 has spoken once) is gone on from: when they spoke is known, where is not. */
static void state_of_version_4(void **state)
{
    (void)state;
    struct rig r;
    struct kept k;
    static char bytes[65536];
    gateway_rig(&r);
    FILE *f = fopen("tests/data/engine/state-4.bin", "re");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    assert_int_equal(bytes[8], 4);
    assert_int_equal(engine_load(r.e, bytes, n), 0);
    struct engine_told all[ENGINE_MAX_TOLD];
    assert_int_equal(engine_told(r.e, device(&r, "d1"), all), 2);
    assert_string_equal(all[1].point, "a");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(all[i].offset, 0);
        assert_true(all[i].time_ms > WALL0 / 1000000);
    }
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_MADE), 6);
    struct position at = engine_position(r.e);
    r.offset = at.offset;
    r.ns = at.tick;
    r.messages = engine_messages(r.e);
    r.seen->at = at;
    pass(&r, &k, RECORD_MESSAGE, "gw/g1/up",
         "{\"list\":[{\"id\":\"d1\",\"ch\":\"a\",\"cm\":33}]}", 0);
    says(&r, &k, "d1", "a", "level=0.33", NULL);
    assert_int_equal(told_of(&r, "d1", NULL).offset, 0);
    for (size_t cut = 0; cut < n; cut += 13)
        assert_int_not_equal(engine_load(r.e, bytes, cut), 0);
    kept_done(&k);
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_said_is_what_was_stored),
        cmocka_unit_test(a_clock_that_is_off),
        cmocka_unit_test(old_news_and_our_own_step),
        cmocka_unit_test(history_is_not_the_last),
        cmocka_unit_test(each_point_has_a_last_message),
        cmocka_unit_test(another_world),
        cmocka_unit_test(it_is_saved),
        cmocka_unit_test(state_of_version_4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
