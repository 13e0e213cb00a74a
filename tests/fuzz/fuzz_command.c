/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the record of a command, and any sequence of commands on three open cases: each is
 * answered at most once, in JSON; versions of a case grow one by one; what closes is gone; a
 * condition that holds is never closed, life-safety never shelved, another firm's case never
 * touched; and the state, saved and loaded, is the same.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/cases.h"
#include "core/json.h"
#include "small_world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CASES 3

static struct world *world;
static char ids[CASES][CASE_ID_MAX];
static char *start;
static size_t start_len;
static uint32_t versions[CASES];
static bool closed[CASES];
static unsigned replies;
static struct json *json;
static const char *asking; /* the firm under way; NULL: an operator */

static int which(const char *id)
{
    for (int i = 0; i < CASES; i++)
        if (strcmp(ids[i], id) == 0)
            return i;
    return -1;
}

static void must_be_json(const char *text, size_t len)
{
    char *room = mem_zalloc(len + JSON_PADDING);
    struct json_value root;
    const char *why;
    memcpy(room, text, len);
    ASSERT(json_parse(json, room, len, &root, &why) == 0);
    free(room);
}

static void on_first(void *ctx, const struct transition *t)
{
    if (t->version == 1)
        (void)snprintf(ids[(*(int *)ctx)++], CASE_ID_MAX, "%s", t->case_id);
}

static void on_transition(void *ctx, const struct transition *t)
{
    int i = which(t->case_id);
    (void)ctx;
    ASSERT(i >= 0 && !closed[i]);
    ASSERT(t->version == ++versions[i]);
    ASSERT(!asking || strcmp(asking, t->firm) == 0);
    ASSERT(t->change != CASE_SHELVED || strcmp(t->rule, "fire-1") != 0);
    ASSERT(!t->closed || i == 2); /* the only one whose condition is over */
    ASSERT(t->deliver == (t->seq_at > 0));
    closed[i] = t->closed;
    char *whole = mem_printf("%.*s%s%.*s", (int)t->seq_at, t->json, t->deliver ? "1" : "",
                             (int)(t->json_len - t->seq_at), t->json + t->seq_at);
    must_be_json(whole, strlen(whole));
    free(whole);
}

static void on_reply(void *ctx, const struct case_reply *r)
{
    (void)ctx;
    replies++;
    must_be_json(r->json, r->json_len);
}

static int append(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void activate(struct cases *c, const char *rule, const char *device, bool over)
{
    const struct device *d = registry_find(world->registry, device, strlen(device));
    struct alarm_event ev = {.change = ALARM_ACTIVATED,
                             .rule = rules_find(world->rules, rule, strlen(rule)),
                             .device = d,
                             .point = "",
                             .condition = ALARM_ACTIVE,
                             .severity = SEVERITY_MAJOR,
                             .metric = &d->kind->metrics[0],
                             .value = 1,
                             .limit = NAN,
                             .since_ms = 1795219200000,
                             .time_ms = 1795219200000,
                             .engine_ns = 1000000000000,
                             .wall_ms = 1795219200000,
                             .life_safety = d->life_safety};
    struct position at = {4096, 1000000000000, 0};
    cases_event(c, &at, &ev);
    ev.change = ALARM_CLEARED;
    ev.condition = ALARM_NORMAL;
    if (over)
        cases_event(c, &at, &ev);
}

static struct world *open_world(void)
{
    static const char conf[] =
        "gateway: {id: g, data_dir: /tmp/x}\n"
        "brokers:\n  - {id: m, url: mqtt://127.0.0.1}\n"
        "sources:\n  - {profile: gaihou-json, broker: m}\n"
        "catalog: c.yaml\nregistry: {compounds: c.csv, devices: d.csv}\n";
    static const char catalog[] =
        "version: 1\nkinds:\n  sump:\n    zh: a\n    en: a\n    metrics:\n"
        "      level: {type: float, unit: m, zh: b, en: b}\n"
        "  smoke:\n    zh: a\n    en: a\n    life_safety: true\n    metrics:\n"
        "      alarm: {type: bool, zh: b, en: b}\n";
    static const char compounds[] = "compound,firm\nc1,f1\nc2,f2\n";
    static const char devices[] = "device,kind,compound,building\nd1,sump,c1,3\nd2,sump,c2,4\n"
                                  "s1,smoke,c1,3\n";
    static const char rules[] =
        "version: 1\ngroups:\n  - name: x\n    rules:\n"
        "      - {id: ack-1, kind: sump, title: t, action: a, work: ack, levels: [{severity: "
        "major, when: level > 1 m, off: level < 0.5 m}]}\n"
        "      - {id: full-1, kind: sump, title: t, action: a, work: full, levels: [{severity: "
        "major, when: level > 2 m, off: level < 0.5 m}]}\n"
        "      - {id: fire-1, kind: smoke, title: t, action: a, work: none, levels: "
        "[{severity: "
        "critical, when: alarm}]}\n";
    struct world *w =
        small_world(&(struct small_world){conf, catalog, compounds, devices, .rules = rules});
    ASSERT(w != NULL);
    return w;
}

static void begin(void)
{
    int n = 0;
    struct buf b;
    world = open_world();
    json = json_new(1 << 20);
    struct cases *c = cases_new(&(struct cases_out){&n, on_first, NULL});
    cases_use(c, NULL, world, 1000000000000, 1795219200000);
    cases_stream(c, "g/all/1");
    activate(c, "fire-1", "s1", false);
    activate(c, "ack-1", "d2", false);
    activate(c, "full-1", "d1", true);
    buf_init(&b, 1 << 20);
    ASSERT(cases_save(c, append, &b) == 0);
    start = mem_dup(b.data, b.len);
    start_len = b.len;
    buf_done(&b);
    cases_free(c);
}

/* As a record: whatever is taken apart, put together gives the same bytes. */
static void as_record(const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    size--;
    size_t topic = data[size] <= size ? data[size] : 0;
    struct case_command c, again;
    struct arena a;
    struct buf b;
    const char *body = (const char *)data + topic;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    if (case_command_get((const char *)data, topic, body, size - topic, &a, &c) == 0) {
        ASSERT(case_command_put(&c, &b) == 0);
        ASSERT(b.len == size - topic && memcmp(b.data, body, b.len) == 0);
        ASSERT(case_command_get((const char *)data, topic, b.data, b.len, &a, &again) == 0);
        ASSERT(strcmp(again.case_id, c.case_id) == 0 && again.verb == c.verb);
    }
    arena_done(&a);
    buf_done(&b);
}

static void same_again(const struct cases *c)
{
    struct buf x, y;
    struct cases *d = cases_new(&(struct cases_out){NULL, NULL, NULL});
    buf_init(&x, 16 << 20);
    buf_init(&y, 16 << 20);
    cases_use(d, NULL, world, 0, 0);
    ASSERT(cases_save(c, append, &x) == 0);
    ASSERT(cases_load(d, x.data, x.len) == 0);
    ASSERT(cases_save(d, append, &y) == 0);
    ASSERT(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
    cases_free(d);
    buf_done(&x);
    buf_done(&y);
}

/* verb, what else, length of the payload; payload; … */
static void as_commands(const uint8_t *data, size_t size)
{
    static const char *const others[] = {"device/d1", "building/c1/3", "compound/c2", "nope"};
    static const char *const firms[] = {NULL, "f1", "f2", "x"};
    struct cases *c = cases_new(&(struct cases_out){NULL, on_transition, on_reply});
    struct position at = {8192, 2000000000000, 0};
    int64_t wall_ms = 1795219300000;
    cases_use(c, NULL, world, at.tick, wall_ms);
    ASSERT(cases_load(c, start, start_len) == 0);
    versions[0] = versions[1] = 1;
    versions[2] = 2;
    memset(closed, 0, sizeof(closed));
    while (size >= 4) {
        size_t len = (size_t)(data[2] | data[3] << 8) % 9000;
        uint8_t what = data[1];
        enum case_verb verb = (enum case_verb)(data[0] % VERBS);
        data += 4;
        size -= 4;
        len = len < size ? len : size;
        char *payload = mem_zalloc(len + JSON_PADDING);
        memcpy(payload, data, len);
        asking = firms[what & 3];
        struct case_command cmd = {.firm = asking,
                                   .compound = what & 4 ? "c1" : "c2",
                                   .case_id = (what >> 3 & 3) < CASES ? ids[what >> 3 & 3]
                                                                      : others[what >> 5 & 3],
                                   .verb = verb,
                                   .payload = payload,
                                   .payload_len = len,
                                   .correlation = payload,
                                   .correlation_len = what & 128 ? 1 : 0,
                                   .engine_ns = at.tick,
                                   .wall_ms = wall_ms};
        unsigned before = replies;
        cases_command(c, &at, &cmd);
        ASSERT(replies == before + 1); /* none of them is another gateway's */
        asking = NULL;
        free(payload);
        data += len;
        size -= len;
        at.tick += 60000000000u;
        at.offset += 64;
        wall_ms += 60000;
        while (cases_next_due(c) <= at.tick)
            cases_tick(c, &at, cases_next_due(c), wall_ms);
    }
    same_again(c);
    cases_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!world)
        begin();
    as_record(data, size);
    as_commands(data, size);
    return 0;
}
