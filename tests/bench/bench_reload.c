/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a reload with 100,000 devices holds the loop up: the engine changes over to the new
 * generation, and the old one is freed. One device in a thousand has moved, and some are new.
 * Reading and checking the files is the pool's. CPU time of this thread, the worst of nine; a
 * second line says what the same machine needs to touch some memory, so that figures of two
 * machines can be compared.
 */
#include "base/mem.h"
#include "core/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICES 100000
#define ROUNDS  9

static const char conf[] = "gateway: {id: g}\n"
                           "brokers: [{id: a, url: mqtt://h}]\n"
                           "sinks: [{id: s, type: victoriametrics, url: http://h}]\n"
                           "sources: [{profile: gaihou-json, broker: a}]\n";
static const char catalog[] = "kinds:\n  sump:\n    zh: 井\n    en: Sump\n    metrics:\n"
                              "      level: {type: float, unit: m, zh: 位, en: Level}\n";

static struct world *open_world(unsigned round)
{
    struct buf compounds, devices, bundle;
    buf_init(&compounds, 1 << 20);
    buf_init(&devices, 64 << 20);
    buf_init(&bundle, 128 << 20);
    buf_puts(&compounds, "compound,name,district,street\n");
    for (unsigned i = 0; i < 500; i++)
        buf_printf(&compounds, "cq-nanan-%04u,compound %u,nanan,street-%u\n", i, i, i % 20);
    buf_puts(&devices, "device,source_id,kind,compound,building\n");
    for (unsigned i = 0; i < DEVICES; i++) /* one in a thousand moves, and as many are new */
        buf_printf(&devices, "sump-%06u%s,%016x,sump,cq-nanan-%04u,b%02u\n", i,
                   i % 2000 == round ? "-new" : "", 0x24e10000u + i, i % 500,
                   i % 2000 == 100 + round ? round % 90 : i % 90);
    const struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"/c/gaihou.yaml", conf, sizeof(conf) - 1},
        [WORLD_CATALOG] = {"/c/catalog.yaml", catalog, sizeof(catalog) - 1},
        [WORLD_COMPOUNDS] = {"/c/compounds.csv", compounds.data, compounds.len},
        [WORLD_DEVICES] = {"/c/devices.csv", devices.data, devices.len},
    };
    struct problems *problems = problems_new(5);
    struct world *w = NULL;
    if (world_bundle(parts, &bundle) != 0 ||
        world_open(bundle.data, bundle.len, problems, &w) != 0) {
        fprintf(stderr, "%s\n", problems_get(problems, 0));
        exit(1);
    }
    problems_free(problems);
    buf_done(&compounds);
    buf_done(&devices);
    buf_done(&bundle);
    return w;
}

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void no_point(void *ctx, const struct point *p)
{
    (void)ctx;
    (void)p;
}

static void no_letter(void *ctx, const struct engine_letter *l)
{
    (void)ctx;
    (void)l;
}

static void no_step(void *ctx, const struct position *at)
{
    (void)ctx;
    (void)at;
}

/* Every device has said something, so that it has a state to move. */
static void hear_all(struct engine *e, const struct world *w)
{
    static char body[64] = "{\"level\":1.5}";
    char topic[256];
    for (size_t i = 0; i < registry_devices(w->registry); i++) {
        const struct device *d = registry_device_at(w->registry, i);
        int n =
            snprintf(topic, sizeof(topic), "gaihou/v1/up/%s/%s", d->compound->code, d->code);
        struct record r = {.type = RECORD_MESSAGE,
                           .flags = 1,
                           .packet_id = (uint16_t)(i % 65535 + 1),
                           .offset = 4096 + i * 128,
                           .end = 4096 + (i + 1) * 128,
                           .engine_ns = 1000000000u + i * 1000,
                           .wall_ns = 1795219200000000000 + (int64_t)i * 1000,
                           .messages = i,
                           .topic = topic,
                           .topic_len = (size_t)n,
                           .body = body,
                           .body_len = strlen(body)};
        engine_record(e, &r);
    }
}

int main(void)
{
    struct engine *e = engine_new(&(struct engine_out){
        .point = no_point, .letter = no_letter, .step = no_step, .step_end = no_step});
    struct world *w = open_world(0);
    engine_use(e, w);
    hear_all(e, w);
    double use = 0, free_ = 0, touch = 0;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        struct world *next = open_world(round);
        world_link(next, w);
        double a = now_ms();
        engine_use(e, next);
        double b = now_ms();
        world_free(w);
        double c = now_ms();
        w = next;
        char *memory = mem_zalloc((size_t)DEVICES * 256);
        memset(memory, (int)round, (size_t)DEVICES * 256);
        double d = now_ms();
        free(memory);
        use = b - a > use ? b - a : use;
        free_ = c - b > free_ ? c - b : free_;
        touch = d - c > touch ? d - c : touch;
    }
    printf("a reload of %d devices, worst of %d: changing over %.1f ms, freeing the old world "
           "%.1f ms (goal for each turn of the loop: 50 ms)\n",
           DEVICES, ROUNDS, use, free_);
    printf("touching 256 bytes a device: %.1f ms\n", touch);
    engine_free(e);
    world_free(w);
    return use > 250 || free_ > 250; /* far beyond any slow machine: something is wrong */
}
