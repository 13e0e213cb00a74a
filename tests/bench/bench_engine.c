/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine alone costs for a native message, from the record to the point:
 * `bench_engine DEVICES MESSAGES [RULES [ELSEWHERE [alone]]]`, devices at random; so many rules concern each
 * of them, and so many only devices of a compound where there are none; `alone`: nothing is fetched ahead. Without a quiet machine, count instructions:
 * valgrind --tool=callgrind --toggle-collect=engine_record.
 */
#include "base/mem.h"
#include "core/engine.h"
#include "core/json.h"
#include "small_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY   (104 + JSON_PADDING)
#define ROUNDS 9
#define BOOT   5000000000000u
#define WALL   1795219200000000000

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
    "      flow: {type: float, unit: m3/h, min: 0, max: 500, zh: 流量, en: Flow}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "      starts: {type: int, unit: \"1\", zh: 启动, en: Starts}\n"
    "      current: {type: float, unit: A, zh: 电流, en: Current}\n";
static const char compounds_text[] =
    "compound,name,district\ncq-nanan-0017,一村,yuzhong\ncq-nanan-0018,二村,yuzhong\n";

static uint64_t sink;
static bool ahead;

static void on_point(void *ctx, const struct point *p)
{
    (void)ctx;
    sink += p->n_fields;
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    (void)ctx;
    fprintf(stderr, "%s %s\n", l->reason, l->detail ? l->detail : "");
    exit(1);
}

static void on_step(void *ctx, const struct position *at)
{
    (void)ctx;
    sink += at->tick;
}

/* Conditions of one or two values that hardly ever hold. */
static void put_rules(struct buf *out, unsigned n, unsigned elsewhere)
{
    (void)buf_puts(out, "version: 1\ngroups:\n  - name: g\n    rules:\n");
    for (unsigned i = 0; i < n + elsewhere; i++)
        (void)buf_printf(
            out,
            "      - {id: r%u, kind: sump, title: t, action: a, no_data: {after: 30m}, levels: "
            "[{severity: minor, when: level > 4.%03u%s, off: level < 3, for: 60s}, {severity: "
            "major, when: level > 4.9%03u, off: level < 4}]%s}\n",
            i, i % 1000, i % 5 == 4 ? " and pump_on" : "", i % 1000,
            i < n ? "" : ", only: {compounds: [elsewhere]}");
}

static struct world *world_of(unsigned devices, unsigned n_rules, unsigned elsewhere)
{
    struct buf csv, rules;
    buf_init(&csv, (size_t)64 << 20);
    buf_init(&rules, (size_t)1 << 20);
    put_rules(&rules, n_rules, elsewhere);
    (void)buf_puts(&csv, "device,source_id,kind,compound,building\n");
    for (unsigned i = 0; i < devices; i++)
        (void)buf_printf(&csv, "sump-%06u,eui-%06u,sump,cq-nanan-00%02u,b%02u\n", i, i,
                         17 + i % 2, i % 40);
    struct world *w = small_world(&(struct small_world){
        conf_text, catalog_text, compounds_text, .devices = buf_cstr(&csv),
        .rules = n_rules + elsewhere ? buf_cstr(&rules) : NULL});
    if (!w)
        exit(1);
    buf_done(&csv);
    buf_done(&rules);
    return w;
}

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Messages are read some records before they are passed, as the daemon does. */
static struct message {
    struct record r;
    char body[BODY], topic[96];
} ring[ENGINE_AHEAD + 1];

static void message(struct engine *e, unsigned device, uint64_t n)
{
    struct message *m = &ring[n % (ENGINE_AHEAD + 1)];
    uint64_t ns = BOOT + n * 1000000;
    int64_t wall = WALL + (int64_t)(ns - BOOT);
    if (m->r.topic)
        engine_record(e, &m->r);
    int len = snprintf(m->body, BODY,
                       "{\"ts\":%lld,\"level\":0.%02u,\"flow\":12.5,\"pump_on\":%s,"
                       "\"starts\":%u,\"current\":3.27}",
                       (long long)(wall / 1000000 - 300), (unsigned)(n % 89) + 10,
                       n & 1 ? "true" : "false", (unsigned)n);
    int topic_len = snprintf(m->topic, sizeof(m->topic),
                             "gaihou/v1/up/cq-nanan-00%02u/sump-%06u", 17 + device % 2, device);
    m->r = (struct record){.type = RECORD_MESSAGE,
                           .offset = 4096 + n * 256,
                           .end = 4096 + n * 256 + 256,
                           .engine_ns = ns,
                           .wall_ns = wall,
                           .topic = m->topic,
                           .topic_len = (size_t)topic_len,
                           .body = m->body,
                           .body_len = (size_t)len,
                           .flags = 1,
                           .packet_id = (uint16_t)(n % 100 + 1),
                           .messages = n};
    if (ahead)
        engine_expect(e, &m->r);
}

int main(int argc, char **argv)
{
    unsigned devices = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
    uint64_t messages = argc > 2 ? (uint64_t)atoll(argv[2]) : 200000;
    unsigned rules = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    struct world *w = world_of(devices, rules, argc > 4 ? (unsigned)atoi(argv[4]) : 0);
    ahead = argc <= 5;
    struct engine *e = engine_new(&(struct engine_out){
        .point = on_point, .letter = on_letter, .step = on_step, .step_end = on_step});
    struct engine_stats stats;
    double ns[ROUNDS];
    uint64_t n = 0, random = 88172645463325252u;
    engine_use(e, w);
    for (size_t round = 0; round < ROUNDS; round++) {
        double start = cpu_ns();
        for (uint64_t i = 0; i < messages / ROUNDS; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            message(e, (unsigned)(random % devices), ++n);
        }
        ns[round] = (cpu_ns() - start) / (double)(messages / ROUNDS);
    }
    engine_stats(e, &stats);
    qsort(ns, ROUNDS, sizeof(*ns), by_size);
    printf("%u devices, %llu messages, %llu points: %.0f ns a message, best %.0f\n", devices,
           (unsigned long long)n, (unsigned long long)stats.points, ns[ROUNDS / 2], ns[0]);
    engine_free(e);
    world_free(w);
    return sink == 0;
}
