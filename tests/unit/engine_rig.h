/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_ENGINE_RIG_H
#define UNIT_ENGINE_RIG_H
/* engine_rig — an engine in a small world, the records it is given, and what it emits. */
#include "unit.h"

#include "base/mem.h"
#include "core/engine.h"
#include "core/lineproto.h"
#include "small_world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000u
#define WALL0  1795219200000000000 /* 2026-11-21T00:00:00Z */
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
static const char *rig_conf = conf_text; /* of the next world */
static const char *rig_catalog = catalog_text;
static const char *rig_profile; /* NULL: none */
static const char *rig_profile2;
static bool rig_expect_refused;
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
        char reason[32], device[65], detail[160];
        bool quarantine;
        int64_t wall_ns;
        struct position at;
    } letters[64];
    size_t n_letters;
    struct position at;
    bool places; /* keep gaihou_place too */
};

static inline void on_step(void *ctx, const struct position *at)
{
    struct seen_all *s = ctx;
    assert_true(position_cmp(&s->at, at) < 0); /* positions only go forward */
    s->at = *at;
}

static inline void on_step_end(void *ctx, const struct position *at)
{
    assert_int_equal(position_cmp(&((struct seen_all *)ctx)->at, at), 0);
}

static inline void on_point(void *ctx, const struct point *p)
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

static inline void on_letter(void *ctx, const struct engine_letter *l)
{
    struct seen_all *s = ctx;
    assert_true(s->n_letters < 64);
    snprintf(s->letters[s->n_letters].reason, 32, "%s", l->reason);
    snprintf(s->letters[s->n_letters].device, 65, "%.*s", (int)l->device_len,
             l->device ? l->device : "");
    snprintf(s->letters[s->n_letters].detail, 160, "%s", l->detail ? l->detail : "");
    s->letters[s->n_letters].at = s->at;
    s->letters[s->n_letters].wall_ns = l->wall_ns;
    s->letters[s->n_letters++].quarantine = l->quarantine;
}

static inline struct world *world_of(const char *devices)
{
    struct world *w =
        small_world(&(struct small_world){rig_conf, rig_catalog, compounds_text, devices,
                                          .profile = rig_profile, .profile2 = rig_profile2});
    assert_true(rig_expect_refused ? !w : w != NULL);
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

static inline void rig_engine(struct rig *r)
{
    r->e = engine_new(&(struct engine_out){.ctx = r->seen,
                                           .point = on_point,
                                           .letter = on_letter,
                                           .step = on_step,
                                           .step_end = on_step_end});
    if (r->w)
        engine_use(r->e, r->w);
}

static inline void rig_begin(struct rig *r, const char *devices)
{
    *r = (struct rig){.ns = BOOT0, .offset = 4096};
    r->seen = mem_zalloc(sizeof(*r->seen));
    r->room = mem_zalloc(1 << 20);
    r->w = world_of(devices);
    rig_engine(r);
}

static inline void rig_init(struct rig *r)
{
    rig_begin(r, devices_text);
}

static inline void rig_done(struct rig *r)
{
    engine_free(r->e);
    world_free(r->w);
    free(r->seen);
    free(r->room);
}

static inline struct record base(struct rig *r, enum record_type type)
{
    r->ns += SECOND;
    return (struct record){.type = type,
                           .engine_ns = r->ns,
                           .wall_ns = WALL0 + (int64_t)(r->ns - BOOT0) + r->wall_shift,
                           .topic = "",
                           .body = "",
                           .broker = 255};
}

static inline void give(struct rig *r, struct record *rec)
{
    rec->offset = r->offset;
    rec->end = r->offset += 256;
    engine_record(r->e, rec);
}

static inline void message(struct rig *r, const char *topic, const char *body, unsigned flags,
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

static inline void link_up(struct rig *r, char session_present)
{
    struct record rec = base(r, RECORD_LINK_UP);
    rec.broker = 0;
    rec.body = &session_present;
    rec.body_len = 1;
    give(r, &rec);
}

static inline uint64_t count(const struct rig *r, const char *compound, enum ledger_count c)
{
    const struct ledger *l = engine_ledger(r->e);
    for (size_t i = 0; i < ledger_rows(l); i++)
        if (strcmp(ledger_at(l, i)->compound, compound) == 0)
            return ledger_at(l, i)->n[c];
    return 0;
}

static inline void balanced(const struct rig *r)
{
    const struct ledger *l = engine_ledger(r->e);
    for (size_t i = 0; i < ledger_rows(l); i++)
        assert_true(ledger_balanced(ledger_at(l, i)));
}

#endif
