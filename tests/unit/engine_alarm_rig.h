/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_ENGINE_ALARM_RIG_H
#define UNIT_ENGINE_ALARM_RIG_H
/* engine_alarm_rig — engine and alarms together in a small world: rules from a file, devices' messages
 * as records that can be given again, and what comes out of it, each at its position. */
#include "unit.h"

#include "base/mem.h"
#include "core/engine.h"
#include "core/lineproto.h"
#include "small_world.h"

#include <errno.h>

#define SECOND   UINT64_C(1000000000)
#define MINUTE   (60 * SECOND)
#define WALL0    INT64_C(1795219200000000000) /* 2026-11-21T00:00:00Z */
#define BOOT0    (5000 * SECOND)
#define MAX_RECS 4096
#define MAX_SEEN 16384

static const char conf_text[] = "gateway: {id: cq, data_dir: /tmp/x, language: zh}\n"
                                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                                "catalog: catalog.yaml\nalerts: {broker: main}\n"
                                "registry: {compounds: compounds.csv, devices: d.csv}\n";
static const char ls_conf_text[] =
    "gateway: {id: cq, data_dir: /tmp/x, language: zh, lane: life-safety}\n"
    "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
    "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
    "catalog: catalog.yaml\nregistry: {compounds: compounds.csv, devices: d.csv}\n";
static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "  smoke:\n    zh: 烟感\n    en: Smoke\n    life_safety: true\n    metrics:\n"
    "      alarm: {type: bool, zh: 火警, en: Alarm}\n";
static const char compounds_text[] =
    "compound,name,district,street,community,grid,firm\n"
    "qby,桥北苑,nanan,lmh,sxj,g1,f1\nc2,二村,nanan,lmh,sxj,g2,f2\n";
static const char devices_text[] =
    "device,kind,compound,building,expected_interval\n"
    "d1,sump,qby,3,1m\nd2,sump,qby,4,1m\nd3,sump,c2,1,1m\ns1,smoke,qby,3,1h\n";
static const char rules_text[] =
    "version: 1\ngroups:\n  - name: 排水\n    rules:\n"
    "      - id: sump-high\n        kind: sump\n        title: 集水井水位过高\n"
    "        action: 检查潜水泵与浮球\n        work: none\n"
    "        levels:\n"
    "          - {severity: major, when: level > 0.8, off: level < 0.6, for: 0s, off_for: 0s}\n"
    "          - {severity: critical, when: level > 1.2, off: level < 1.0, for: 0s, off_for: "
    "0s}\n"
    "        no_data: {after: 10m, policy: keep}\n"
    "        flapping: off\n"
    "      - id: pump-on\n        kind: sump\n        title: 水泵长时间运行\n"
    "        action: 查\n        work: ack\n        mode: hold\n        fresh: 1h\n"
    "        levels: [{severity: minor, when: pump_on, for: 5m}]\n"
    "        no_data: {after: 20m, policy: alert, severity: warning}\n"
    "      - id: fire\n        kind: smoke\n        title: 火警\n        action: 疏散\n"
    "        work: full\n"
    "        levels: [{severity: critical, when: alarm}]\n"
    "        no_data: {after: 25h, policy: keep}\n";

enum saw { SAW_POINT, SAW_TRANSITION, SAW_REPLY };

struct seen {
    enum saw what;
    struct position at;
    char *text; /* all bytes of it */
    enum case_change change;
    enum case_answer answer;
    char id[CASE_ID_MAX];
    bool deliver, closed, urgent;
};

struct kept { /* a record that can be given again */
    struct record r;
    char *topic, *body;
    const struct world *use; /* engine_use behind it */
};

struct bench {
    struct engine *e;
    struct world *w, *other; /* other: a generation that random tests change to and from */
    const struct world *now;
    struct seen seen[MAX_SEEN];
    size_t n;
    struct position at;
    bool in_step;
    struct kept recs[MAX_RECS];
    size_t n_recs;
    uint64_t ns, offset, messages;
    int64_t wall_shift;
};

static const char *compounds = compounds_text;

static inline struct world *world_of(const char *conf, const char *rows, const char *rules)
{
    struct world *w =
        small_world(&(struct small_world){conf, catalog_text, compounds, rows, .rules = rules});
    assert_non_null(w);
    return w;
}

static inline struct seen *see(struct bench *b, enum saw what, const char *text, size_t len)
{
    assert_true(b->in_step); /* nothing comes between steps */
    assert_true(b->n < MAX_SEEN);
    struct seen *s = &b->seen[b->n++];
    *s = (struct seen){.what = what, .at = b->at, .text = mem_strndup(text, len)};
    return s;
}

static inline void on_step(void *ctx, const struct position *at)
{
    struct bench *b = ctx;
    assert_false(b->in_step);
    assert_true(position_cmp(&b->at, at) < 0);
    b->at = *at;
    b->in_step = true;
}

static inline void on_step_end(void *ctx, const struct position *at)
{
    struct bench *b = ctx;
    assert_true(b->in_step);
    assert_int_equal(position_cmp(&b->at, at), 0);
    b->in_step = false;
}

static inline void on_point(void *ctx, const struct point *p)
{
    struct lineproto_refused refused = {0};
    struct buf line;
    buf_init(&line, 65536);
    assert_int_equal(lineproto_put(&line, LINEPROTO_INFLUX, p, &refused), 0);
    assert_true(strncmp(p->series, "gaihou_alert", 12) != 0 || p->class_ == POINT_KEEP);
    see(ctx, SAW_POINT, line.data, line.len - 1);
    buf_done(&line);
}

static inline void on_letter(void *ctx, const struct engine_letter *l)
{
    (void)ctx;
    assert_string_equal(l->reason, "unknown_device"); /* of another generation */
}

static inline void on_transition(void *ctx, const struct transition *t)
{
    struct seen *s = see(ctx, SAW_TRANSITION, t->json, t->json_len);
    s->change = t->change;
    s->deliver = t->deliver;
    s->closed = t->closed;
    s->urgent = t->urgent;
    snprintf(s->id, sizeof(s->id), "%s", t->case_id);
}

static inline void on_reply(void *ctx, const struct case_reply *r)
{
    see(ctx, SAW_REPLY, r->json, r->json_len)->answer = r->answer;
}

static inline struct engine *engine_of(struct bench *b)
{
    return engine_new(&(struct engine_out){.ctx = b,
                                           .point = on_point,
                                           .letter = on_letter,
                                           .step = on_step,
                                           .step_end = on_step_end,
                                           .transition = on_transition,
                                           .reply = on_reply});
}

static inline void forget_seen(struct bench *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->seen[i].text);
    b->n = 0;
}

/* -- records --------------------------------------------------------------------------------- */

static inline void give(struct bench *b, enum record_type type, const char *topic,
                        const void *body, size_t len, unsigned flags, uint64_t after_ns)
{
    assert_true(b->n_recs < MAX_RECS);
    struct kept *k = &b->recs[b->n_recs++];
    char *room = mem_zalloc(len + RECORD_READABLE);
    memcpy(room, body, len);
    b->ns += after_ns;
    *k = (struct kept){.topic = mem_strdup(topic), .body = room};
    k->r = (struct record){.type = type,
                           .flags = (uint8_t)flags,
                           .broker = type == RECORD_MESSAGE || type == RECORD_LINK_UP ? 0 : 255,
                           .packet_id =
                               type == RECORD_MESSAGE ? (uint16_t)(b->messages % 60000 + 1) : 0,
                           .engine_ns = b->ns,
                           .wall_ns = WALL0 + (int64_t)(b->ns - BOOT0) + b->wall_shift,
                           .messages = b->messages += type == RECORD_MESSAGE,
                           .topic = k->topic,
                           .topic_len = strlen(topic),
                           .body = k->body,
                           .body_len = len,
                           .offset = b->offset,
                           .end = b->offset + 256};
    b->offset += 256;
    engine_record(b->e, &k->r);
}

static inline void say(struct bench *b, const char *device, const char *body, uint64_t after_ns)
{
    char topic[64];
    snprintf(topic, sizeof(topic), "gaihou/v1/up/%s/%s",
             strcmp(device, "d3") == 0 ? "c2" : "qby", device);
    give(b, RECORD_MESSAGE, topic, body, strlen(body), 1, after_ns);
}

static inline void tick(struct bench *b, uint64_t after_ns)
{
    give(b, RECORD_TIME, "", "", 0, 0, after_ns);
}

static inline void order(struct bench *b, const char *topic, const char *payload,
                         const char *correlation, unsigned flags)
{
    struct buf body;
    struct case_command c = {.payload = payload,
                             .payload_len = strlen(payload),
                             .correlation = correlation,
                             .correlation_len = strlen(correlation)};
    buf_init(&body, 65536);
    assert_int_equal(case_command_put(&c, &body), 0);
    give(b, RECORD_COMMAND, topic, body.data, body.len, flags, SECOND);
    buf_done(&body);
}

static inline struct bench *bench_at(const char *conf, int64_t wall_shift)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    b->wall_shift = wall_shift;
    b->ns = BOOT0;
    b->offset = 4096;
    b->w = world_of(conf, devices_text, rules_text);
    b->e = engine_of(b);
    engine_use(b->e, b->w);
    b->now = b->w;
    give(b, RECORD_START, "", "", 0, 0, SECOND);
    give(b, RECORD_STREAM, "", "cq/all/7", 8, 0, SECOND);
    give(b, RECORD_LINK_UP, "", "\0", 1, 0, SECOND);
    return b;
}

static inline struct bench *bench_of(const char *conf)
{
    return bench_at(conf, 0);
}

static inline void bench_free(struct bench *b)
{
    forget_seen(b);
    for (size_t i = 0; i < b->n_recs; i++) {
        free(b->recs[i].topic);
        free(b->recs[i].body);
    }
    engine_free(b->e);
    world_free(b->w);
    world_free(b->other);
    free(b);
}

static inline const struct seen *last_of(const struct bench *b, enum saw what)
{
    for (size_t i = b->n; i-- > 0;)
        if (b->seen[i].what == what)
            return &b->seen[i];
    return NULL;
}

static inline size_t count_of(const struct bench *b, enum saw what, const char *with)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->seen[i].what == what && strstr(b->seen[i].text, with);
    return n;
}

/* -- at random, saved and compared ------------------------------------------------------------- */

static inline int append(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static inline void save(const struct engine *e, struct buf *out)
{
    buf_init(out, 64 << 20);
    assert_int_equal(engine_save(e, append, out), 0);
}

/* Another firm, another compound, no d2, a rule less, other limits. */
static inline struct world *another_world(void)
{
    char rules[4096];
    static const char rows[] = "device,kind,compound,building,expected_interval\n"
                               "d1,sump,qby,3,1m\nd3,sump,c2,1,1m\ns1,smoke,qby,3,1h\n";
    snprintf(rules, sizeof(rules), "%s", rules_text);
    memcpy(strstr(rules, "pump-on"), "pump-no", 7);
    memcpy(strstr(rules, "level > 0.8"), "level > 0.7", 11);
    compounds = "compound,name,firm,merged_into\nqby,桥北苑,f9,\nc2,二村,f2,qby\n";
    struct world *w = world_of(conf_text, rows, rules);
    compounds = compounds_text;
    return w;
}

static inline void random_record(struct bench *b, uint64_t *seed)
{
    static const char *const devices[] = {"d1", "d2", "d3", "s1"};
    static const char *const verbs[] = {"ack",      "accept",   "arrive",  "resolve",
                                        "confirm",  "feedback", "close",   "shelve",
                                        "unshelve", "reset",    "transfer"};
    char body[160], topic[300];
    uint64_t r = unit_random(seed), pause = (unit_random(seed) % 90 + 1) * SECOND;
    const char *d = devices[r % 4];
    const struct seen *t = last_of(b, SAW_TRANSITION);
    unsigned what = (unsigned)(r >> 8) % 100;
    if (what < 60) {
        if (d[0] == 's')
            snprintf(body, sizeof(body), "{\"alarm\":%s}", r >> 20 & 1 ? "true" : "false");
        else if (r >> 21 & 1)
            snprintf(body, sizeof(body), "{\"level\":%.2f,\"pump_on\":%s}",
                     (double)(r >> 24 & 0xff) / 160, r >> 22 & 1 ? "true" : "false");
        else
            snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":%.2f}",
                     (long long)((WALL0 + (int64_t)(b->ns + pause - BOOT0)) / 1000000) -
                         (long long)(r >> 32 & 0x3ffff),
                     (double)(r >> 24 & 0xff) / 160);
        say(b, d, body, pause);
    } else if (what < 75) {
        tick(b, pause * 4);
    } else if (what < 90 && t) {
        snprintf(topic, sizeof(topic), "%s/%s/%s/%s", r >> 20 & 1 ? "f1" : "-",
                 r >> 20 & 1 ? "qby" : "-", t->id, verbs[(r >> 30) % 11]);
        snprintf(body, sizeof(body), "{\"by\":\"p%d\",\"to\":\"x\"%s}", (int)(r >> 40 & 3),
                 r >> 45 & 1 ? ",\"for\":\"10m\"" : "");
        order(b, topic, body, r >> 50 & 1 ? "c" : "", 1);
    } else if (what < 92) {
        order(b, "-/-/compound/qby/test", "{\"for\":\"20m\"}", "", 1);
    } else if (what < 95) {
        give(b, RECORD_PRESENCE, "f1", r >> 20 & 1 ? "online" : "offline", r >> 20 & 1 ? 6 : 7,
             0, pause);
    } else if (what < 97) {
        give(b, RECORD_START, "", "", 0, 0, pause * 30 + 2 * SECOND);
        give(b, RECORD_LINK_UP, "", "\1", 1, 0, SECOND);
    } else if (what < 98) {
        give(b, RECORD_LINK_DOWN, "", "x", 1, 0, pause);
        give(b, RECORD_LINK_UP, "", "\1", 1, 0, pause * 8);
    } else if (what < 99) {
        give(b, RECORD_GENERATION, "", "world", 5, 0, pause);
        b->now = b->now == b->w ? b->other : b->w;
        b->recs[b->n_recs - 1].use = b->now;
        engine_use(b->e, b->now);
    } else {
        b->wall_shift += (int64_t)((r >> 20) % 7200) * 1000000000 - 3600 * (int64_t)SECOND;
        give(b, RECORD_STATS, "", "", 0, 0, pause);
    }
}

static inline void same_state(const struct engine *a, const struct engine *b)
{
    struct buf x, y;
    save(a, &x);
    save(b, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_done(&x);
    buf_done(&y);
}

#endif
