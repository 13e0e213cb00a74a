/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_CASES_RIG_H
#define UNIT_CASES_RIG_H
/* cases_rig — cases in a small world, fed with alarm events as core/alarm would say them, and a
 * store that believes nothing: it checks each transition against the ones before. */
#include "unit.h"

#include "base/mem.h"
#include "core/cases.h"
#include "core/json.h"
#include "small_world.h"

#include <errno.h>
#include <math.h>

#define SECOND_NS UINT64_C(1000000000)
#define WALL0_MS  INT64_C(1795219200000) /* 2026-11-21T08:00:00+08:00 */
#define ENGINE0   (1000 * SECOND_NS)
#define MAX_SEEN  4096

static const char rig_conf_text[] = "gateway: {id: cq, data_dir: /tmp/x, language: zh}\n"
                                    "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                    "sources:\n  - {profile: gaihou-json, broker: main}\n"
                                    "catalog: catalog.yaml\n"
                                    "registry: {compounds: compounds.csv, devices: d.csv}\n";
static const char rig_catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "      mode: {type: enum, zh: 模式, en: Mode, codes: [{code: 0, name: auto, zh: 自动, en: "
    "Auto}, {code: 1, name: hand, zh: 手动, en: Hand}]}\n"
    "  smoke:\n    zh: 烟感\n    en: Smoke\n    life_safety: true\n    metrics:\n"
    "      alarm: {type: bool, zh: 火警, en: Alarm}\n";
static const char rig_compounds_text[] =
    "compound,name,district,street,community,grid,firm\n"
    "qby,桥北苑,nanan,lmh,sxj,g1,f1\nc2,二村,nanan,lmh,sxj,g2,f2\n";
static const char rig_devices_text[] =
    "device,kind,compound,building,unit,room\n"
    "d1,sump,qby,3,,\nd2,sump,qby,3,2,301\nd3,sump,c2,B1,,\ns1,smoke,qby,3,,\n";
static const char rig_rules_text[] =
    "version: 1\ngroups:\n  - name: 排水\n    rules:\n"
    "      - {id: none-1, kind: sump, title: {zh: 集水井水位过高, en: Sump level high}, "
    "action: "
    "{zh: 检查潜水泵与浮球, en: Check pump and float}, class: flooding, work: none, levels: "
    "[{severity: major, when: level > 0.8, off: level < 0.6}], no_data: {after: 1h}}\n"
    "      - {id: ack-1, kind: sump, title: 水泵异常, action: 查, work: ack, levels: "
    "[{severity: "
    "minor, when: level > 0.9, off: level < 0.6}, {severity: critical, when: level > 1.2, off: "
    "level < 1.0}], no_data: {after: 1h}}\n"
    "      - {id: full-1, kind: sump, title: 水泵故障, action: 修, work: full, levels: "
    "[{severity: "
    "major, when: level > 0.7, off: level < 0.6}], no_data: {after: 1h}}\n"
    "      - {id: latch-1, kind: sump, title: 浸水, action: 查, work: none, latch: true, "
    "levels: "
    "[{severity: major, when: level > 2, off: level < 1}], no_data: {after: 1h}}\n"
    "      - {id: fire-1, kind: smoke, title: 火警, action: 疏散, work: ack, levels: "
    "[{severity: "
    "critical, when: alarm}], no_data: {after: 25h}}\n";

struct seen_transition {
    enum case_change change;
    char id[CASE_ID_MAX], firm[65], compound[65], was_firm[65], key[200];
    uint32_t version, occurrence;
    bool deliver, urgent, closed, record, test;
    int64_t wall_ms;
    char *json; /* with a seq if delivered */
    char *blob;
    size_t blob_len;
};

struct kept_case { /* what the store has */
    char id[CASE_ID_MAX], key[200];
    uint32_t version;
    bool told, told_active; /* by the delivered ones */
    char *blob;
    size_t blob_len;
    struct kept_case *next;
};

static unsigned rig_changes, rig_answers; /* bits: what was told, what was answered */

struct cases_rig {
    struct cases *c;
    struct world *w;
    struct seen_transition seen[MAX_SEEN];
    size_t n, base; /* seen[i - base]: random tests empty it */
    uint64_t seq;
    struct kept_case *open;
    enum case_answer answer;
    bool empties; /* with it */
    char reply[4096];
    unsigned replies;
    uint64_t ns;
    int64_t wall_ms;
    struct position at;
    FILE *samples;
};

static inline struct world *rig_world(const char *conf, const char *compounds,
                                      const char *devices, const char *rules)
{
    struct world *w = small_world(&(struct small_world){
        conf, rig_catalog_text, compounds, devices, .rules = rules, .shanghai = true});
    assert_non_null(w);
    return w;
}

static inline struct kept_case **rig_kept(struct cases_rig *r, const char *id)
{
    struct kept_case **k = &r->open;
    while (*k && strcmp((*k)->id, id) != 0)
        k = &(*k)->next;
    return k;
}

static inline bool rig_says(const char *json, const char *what)
{
    return strstr(json, what) != NULL;
}

/* What every transition must be, whatever happened. */
static inline void rig_check(struct cases_rig *r, const struct transition *t, const char *key,
                             const char *json)
{
    struct kept_case **k = rig_kept(r, t->case_id);
    assert_true(strlen(t->case_id) < CASE_ID_MAX);
    assert_int_equal(strspn(t->case_id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789._-"),
                     strlen(t->case_id));
    assert_true((t->seq_at > 0) == t->deliver);
    assert_true((t->blob == NULL) == (t->closed || t->record) || t->record);
    assert_true(t->record || rig_says(json, t->closed ? "\"open\":false" : "\"open\":true"));
    if (t->record) {
        assert_null(*k);
        return;
    }
    if (*k) {
        assert_int_equal(t->version, (*k)->version + 1);     /* versions grow one by one */
        size_t same = (size_t)(strrchr(key, '/') - key) + 1; /* all but the point */
        if (t->change != CASE_MOVED || strncmp((*k)->key, key, same) != 0)
            assert_string_equal((*k)->key, key);
    } else {
        assert_int_equal(t->version, 1);
    }
    for (struct kept_case *o = r->open; o; o = o->next)
        assert_true(o == *k || strcmp(o->key, key) != 0); /* one open case a key */
    bool told_active = *k && (*k)->told_active;
    if (t->deliver && (t->change == CASE_CLEARED || t->change == CASE_LOWERED))
        assert_true(*k && (*k)->told); /* no better news without the worse */
    if (t->deliver && t->change == CASE_CLEARED)
        assert_true(told_active);
    if (t->closed && t->deliver)
        assert_true(*k && (*k)->told);
}

static inline void rig_keep(struct cases_rig *r, const struct transition *t, const char *key,
                            const char *json)
{
    struct kept_case **k = rig_kept(r, t->case_id);
    if (t->record)
        return;
    if (!*k) {
        *k = mem_zalloc(sizeof(**k));
        snprintf((*k)->id, sizeof((*k)->id), "%s", t->case_id);
        snprintf((*k)->key, sizeof((*k)->key), "%s", key);
    }
    struct kept_case *o = *k;
    snprintf(o->key, sizeof(o->key), "%s", key);
    o->version = t->version;
    free(o->blob);
    o->blob = t->closed ? NULL : mem_dup(t->blob, t->blob_len);
    o->blob_len = t->blob_len;
    if (t->deliver) {
        o->told = true;
        o->told_active = rig_says(json, "\"condition\":\"active\"") ||
                         rig_says(json, "\"condition\":\"recovering\"");
    }
    if (t->closed) {
        *k = o->next;
        free(o);
    }
}

static inline void rig_transition(void *ctx, const struct transition *t)
{
    struct cases_rig *r = ctx;
    char number[24] = "", key[200];
    int n =
        t->deliver ? snprintf(number, sizeof(number), "%llu", (unsigned long long)++r->seq) : 0;
    size_t len = t->json_len + (size_t)n;
    char *json = mem_zalloc(len + JSON_PADDING);
    memcpy(json, t->json, t->seq_at);
    memcpy(json + t->seq_at, number, (size_t)n);
    memcpy(json + t->seq_at + n, t->json + t->seq_at, t->json_len - t->seq_at);
    struct json *j = json_new(1 << 20);
    struct json_value root;
    const char *why = NULL;
    if (json_parse(j, json, len, &root, &why) != 0)
        fail_msg("%s in %s", why, json);
    json_free(j);
    json[len] = '\0';
    snprintf(key, sizeof(key), "%s/%s/%s", t->rule, t->device, t->point);
    rig_changes |= t->deliver ? 1u << t->change : 0;
    rig_check(r, t, key, json);
    rig_keep(r, t, key, json);
    if (r->samples && t->deliver)
        fprintf(r->samples, "%s\n", json);
    assert_true(r->n < MAX_SEEN);
    struct seen_transition *s = &r->seen[r->n++];
    *s = (struct seen_transition){.change = t->change,
                                  .version = t->version,
                                  .occurrence = t->occurrence,
                                  .deliver = t->deliver,
                                  .urgent = t->urgent,
                                  .closed = t->closed,
                                  .record = t->record,
                                  .test = t->test,
                                  .wall_ms = t->wall_ms,
                                  .json = json};
    snprintf(s->id, sizeof(s->id), "%s", t->case_id);
    snprintf(s->firm, sizeof(s->firm), "%s", t->firm);
    snprintf(s->compound, sizeof(s->compound), "%s", t->compound);
    snprintf(s->was_firm, sizeof(s->was_firm), "%s", t->was_firm ? t->was_firm : "");
    snprintf(s->key, sizeof(s->key), "%s", key);
}

static inline void rig_reply(void *ctx, const struct case_reply *a)
{
    struct cases_rig *r = ctx;
    rig_answers |= 1u << a->answer;
    r->answer = a->answer;
    r->empties = a->empties;
    r->replies++;
    assert_true(a->json_len < sizeof(r->reply));
    memcpy(r->reply, a->json, a->json_len);
    r->reply[a->json_len] = '\0';
    if (r->samples)
        fprintf(r->samples, "%s\n", r->reply);
}

static inline void rig_forget_seen(struct cases_rig *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->seen[i].json);
    r->n = 0;
}

static inline struct cases *rig_cases(struct cases_rig *r)
{
    struct cases *c = cases_new(&(struct cases_out){r, rig_transition, rig_reply});
    cases_use(c, NULL, r->w, r->ns, r->wall_ms);
    cases_stream(c, "cq/all/1");
    return c;
}

static FILE *rig_samples; /* of rigs made from here on; NULL: not kept */

static inline struct cases_rig *rig_new(void)
{
    struct cases_rig *r = mem_zalloc(sizeof(*r));
    r->samples = rig_samples;
    r->ns = ENGINE0;
    r->wall_ms = WALL0_MS;
    r->at = (struct position){4096, ENGINE0, 0};
    r->w = rig_world(rig_conf_text, rig_compounds_text, rig_devices_text, rig_rules_text);
    r->c = rig_cases(r);
    return r;
}

static inline void rig_free(struct cases_rig *r)
{
    rig_forget_seen(r);
    while (r->open) {
        struct kept_case *k = r->open;
        r->open = k->next;
        free(k->blob);
        free(k);
    }
    cases_free(r->c);
    world_free(r->w);
    free(r);
}

/* Time goes on; due timers fire as the engine fires them. */
static inline void rig_pass(struct cases_rig *r, uint64_t seconds)
{
    uint64_t to = r->ns + seconds * SECOND_NS;
    int64_t minus = r->wall_ms - (int64_t)(r->ns / 1000000);
    for (uint64_t due = cases_next_due(r->c); due <= to; due = cases_next_due(r->c)) {
        uint64_t tick = due > r->at.tick ? due : r->at.tick;
        bool same = tick == r->at.tick;
        r->at = (struct position){r->at.offset, tick, same ? r->at.ordinal + 1 : 0};
        cases_tick(r->c, &r->at, due, (int64_t)(tick / 1000000) + minus);
    }
    r->ns = to;
    r->wall_ms += (int64_t)seconds * 1000;
    r->at = (struct position){r->at.offset + 64, to, 0};
}

static inline struct alarm_event rig_event(struct cases_rig *r, enum alarm_change change,
                                           const char *rule, const char *device)
{
    const struct rule *u = rules_find(r->w->rules, rule, strlen(rule));
    const struct device *d = registry_find(r->w->registry, device, strlen(device));
    assert_non_null(u);
    assert_non_null(d);
    bool clear = change == ALARM_CLEARED;
    return (struct alarm_event){.change = change,
                                .rule = u,
                                .device = d,
                                .point = "",
                                .condition = clear ? ALARM_NORMAL : ALARM_ACTIVE,
                                .quality = ALARM_GOOD,
                                .level = clear ? -1 : 0,
                                .severity = SEVERITY_MAJOR,
                                .metric = &d->kind->metrics[0],
                                .value = clear ? 0.5 : 0.93,
                                .limit = 0.8,
                                .since_ms = r->wall_ms - 60000,
                                .time_ms = r->wall_ms,
                                .engine_ns = r->ns,
                                .wall_ms = r->wall_ms,
                                .life_safety = d->life_safety || u->life_safety};
}

static inline void rig_give(struct cases_rig *r, const struct alarm_event *ev)
{
    cases_event(r->c, &r->at, ev);
    rig_pass(r, 1);
}

static inline void rig_say(struct cases_rig *r, enum alarm_change change, const char *rule,
                           const char *device)
{
    struct alarm_event ev = rig_event(r, change, rule, device);
    rig_give(r, &ev);
}

static inline enum case_answer rig_ask(struct cases_rig *r, const char *firm,
                                       const char *compound, const char *id,
                                       enum case_verb verb, const char *payload,
                                       const char *correlation)
{
    char *room = mem_zalloc(strlen(payload) + JSON_PADDING + 1);
    memcpy(room, payload, strlen(payload));
    struct case_command cmd = {.firm = firm,
                               .compound = compound,
                               .case_id = id,
                               .verb = verb,
                               .payload = room,
                               .payload_len = strlen(payload),
                               .correlation = correlation,
                               .correlation_len = correlation ? strlen(correlation) : 0,
                               .engine_ns = r->ns,
                               .wall_ms = r->wall_ms};
    unsigned before = r->replies;
    cases_command(r->c, &r->at, &cmd);
    assert_true(r->replies <= before + 1);
    if (r->replies == before)
        r->answer = (enum case_answer)99; /* silence */
    free(room);
    rig_pass(r, 1);
    return r->answer;
}

/* A command of f1 in qby about the newest transition's case. */
static inline enum case_answer rig_do(struct cases_rig *r, enum case_verb verb,
                                      const char *payload)
{
    char id[CASE_ID_MAX];
    snprintf(id, sizeof(id), "%s", r->seen[r->n - 1].id);
    return rig_ask(r, "f1", "qby", id, verb, payload, NULL);
}

static inline const struct seen_transition *rig_last(const struct cases_rig *r)
{
    assert_true(r->n > 0);
    return &r->seen[r->n - 1];
}

static inline int rig_append(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static inline uint64_t rig_open(const struct cases_rig *r)
{
    struct cases_stats s;
    cases_stats(r->c, &s);
    return s.open;
}

#endif
