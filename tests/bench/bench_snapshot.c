/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot of a million devices with four rules each, all of which have reported, costs whom:
 * how long the engine waits for its image, what messages cost while the image is read (their pages
 * are copied, and what was split is gathered) and what they cost otherwise, and how long a start
 * needs to come back to it. CPU time of this thread beside the time that passed, the worst of five
 * images. Devices as the argument.
 */
#include "base/mem.h"
#include "core/engine.h"
#include "io/image.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define ROUNDS   5
#define MESSAGES 20000 /* in each of them */

static const char conf[] = "gateway: {id: g}\n"
                           "brokers: [{id: a, url: mqtt://h}]\n"
                           "sinks: [{id: s, type: victoriametrics, url: http://h}]\n"
                           "sources: [{profile: gaihou-json, broker: a}]\n";
static const char catalog[] = "kinds:\n  sump:\n    zh: 井\n    en: Sump\n    metrics:\n"
                              "      level: {type: float, unit: m, zh: 位, en: Level}\n";
static const char rules[] =
    "version: 1\ngroups:\n  - name: g\n    rules:\n"
    "      - {id: r1, kind: sump, title: a, action: b, levels: [{severity: major, when: level "
    "> "
    "1.9, off: level < 1.8}], no_data: {after: 6h, policy: keep}}\n"
    "      - {id: r2, kind: sump, title: a, action: b, levels: [{severity: minor, when: level "
    "> "
    "1.6, off: level < 1.5, for: 1h}], no_data: {after: 6h, policy: keep}}\n"
    "      - {id: r3, kind: sump, title: a, action: b, levels: [{severity: minor, when: level "
    "< "
    "0.1, off: level > 0.2}], no_data: {after: 6h, policy: keep}}\n"
    "      - {id: r4, kind: sump, title: a, action: b, no_data: {after: 5h, policy: alert, "
    "severity: warning}}\n";

static unsigned devices;

static double ms_of(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* world_ms: to make a world of the files' text, which is what a start does. */
static struct world *open_world(double *world_ms)
{
    struct buf compounds, rows, bundle;
    buf_init(&compounds, 1 << 20);
    buf_init(&rows, 128 << 20);
    buf_init(&bundle, 256 << 20);
    buf_puts(&compounds, "compound,name,district,street\n");
    for (unsigned i = 0; i < 500; i++)
        buf_printf(&compounds, "cq-nanan-%04u,compound %u,nanan,street-%u\n", i, i, i % 20);
    buf_puts(&rows, "device,source_id,kind,compound,building,expected_interval\n");
    for (unsigned i = 0; i < devices; i++)
        buf_printf(&rows, "sump-%06u,%016x,sump,cq-nanan-%04u,b%02u,1h\n", i, 0x24e10000u + i,
                   i % 500, i % 90);
    const struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"/c/gaihou.yaml", conf, sizeof(conf) - 1},
        [WORLD_CATALOG] = {"/c/catalog.yaml", catalog, sizeof(catalog) - 1},
        [WORLD_COMPOUNDS] = {"/c/compounds.csv", compounds.data, compounds.len},
        [WORLD_DEVICES] = {"/c/devices.csv", rows.data, rows.len},
    };
    const struct world_text rule_text = {"/c/rules.yaml", rules, sizeof(rules) - 1};
    struct problems *problems = problems_new(5);
    struct world *w = NULL;
    double from = ms_of(CLOCK_THREAD_CPUTIME_ID);
    if (world_bundle(parts, &bundle) != 0 || world_bundle_rules(&rule_text, 1, &bundle) != 0 ||
        world_open(bundle.data, bundle.len, problems, &w) != 0) {
        fprintf(stderr, "%s\n", problems_get(problems, 0));
        exit(1);
    }
    *world_ms = ms_of(CLOCK_THREAD_CPUTIME_ID) - from;
    problems_free(problems);
    buf_done(&compounds);
    buf_done(&rows);
    buf_done(&bundle);
    return w;
}

struct watch {
    double cpu, passed;
};

static struct watch now(void)
{
    return (struct watch){ms_of(CLOCK_THREAD_CPUTIME_ID), ms_of(CLOCK_MONOTONIC)};
}

static struct watch since(struct watch from)
{
    struct watch t = now();
    return (struct watch){t.cpu - from.cpu, t.passed - from.passed};
}

static void most(struct watch *of, struct watch t)
{
    of->cpu = t.cpu > of->cpu ? t.cpu : of->cpu;
    of->passed = t.passed > of->passed ? t.passed : of->passed;
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

static struct engine *engine(void)
{
    return engine_new(&(struct engine_out){
        .point = no_point, .letter = no_letter, .step = no_step, .step_end = no_step});
}

static void hear(struct engine *e, const struct world *w, size_t i, uint64_t n)
{
    static const char body[] = "{\"level\":1.5}";
    char topic[256];
    const struct device *d = registry_device_at(w->registry, i);
    int len = snprintf(topic, sizeof(topic), "gaihou/v1/up/%s/%s", d->compound->code, d->code);
    struct record r = {.type = RECORD_MESSAGE,
                       .flags = 1,
                       .packet_id = (uint16_t)(n % 65535 + 1),
                       .offset = 4096 + n * 128,
                       .end = 4096 + (n + 1) * 128,
                       .engine_ns = 1000000000u + n * 10000,
                       .wall_ns = 1795219200000000000 + (int64_t)n * 10000,
                       .messages = n,
                       .topic = topic,
                       .topic_len = (size_t)len,
                       .body = body,
                       .body_len = sizeof(body) - 1};
    engine_record(e, &r);
}

static size_t next_device(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1;
    return (size_t)((*seed >> 33) % devices);
}

static int save(const void *what, image_put_fn *put, void *ctx)
{
    return engine_save(what, put, ctx);
}

/* Into a file in memory: bytes of our own would be copied with the next image. */
static int keep(void *ctx, const void *p, size_t n)
{
    return fwrite(p, 1, n, ctx) == n ? 0 : -1;
}

struct reader {
    double gathered_ms;
    struct image *image;
    FILE *to;
    int result;
};

static void *read_all(void *ctx)
{
    struct reader *r = ctx;
    rewind(r->to);
    r->result = image_read(r->image, keep, r->to);
    (void)fflush(r->to);
    image_free(r->image);
    struct watch at = now();
    image_gather(&(atomic_bool){false});
    r->gathered_ms = since(at).cpu;
    return NULL;
}

int main(int argc, char **argv)
{
    devices = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20); /* as gaihoud has it */
    struct watch at, pause = {0, 0}, during = {0, 0}, plain = {0, 0}, whole = {0, 0};
    double gathered_ms = 0, longest = 0, world_ms;
    struct world *w = open_world(&world_ms);
    struct engine *e = engine();
    uint64_t n = 0, seed = 1;
    FILE *file = fdopen(memfd_create("state", 0), "w+");
    if (!file)
        return 1;
    engine_use(e, w);
    for (size_t i = 0; i < devices; i++)
        hear(e, w, i, n++);
    image_gather(&(atomic_bool){false});
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct reader r = {.to = file};
        pthread_t t;
        int why = 0;
        at = now();
        if (image_take(save, e, &why, &r.image) != 0 || why != 0)
            return 1;
        most(&pause, since(at));
        printf("%.1f (%.1f) ", since(at).passed, since(at).cpu);
        struct watch began = at;
        if (pthread_create(&t, NULL, read_all, &r) != 0)
            return 1;
        at = now();
        for (unsigned k = 0; k < MESSAGES; k++) {
            double one = ms_of(CLOCK_MONOTONIC);
            hear(e, w, next_device(&seed), n++);
            one = ms_of(CLOCK_MONOTONIC) - one;
            longest = one > longest ? one : longest;
        }
        most(&during, since(at));
        (void)pthread_join(t, NULL);
        gathered_ms = r.gathered_ms > gathered_ms ? r.gathered_ms : gathered_ms;
        most(&whole, since(began));
        if (r.result != 0)
            return 1;
        at = now();
        for (unsigned k = 0; k < MESSAGES; k++)
            hear(e, w, next_device(&seed), n++);
        most(&plain, since(at));
    }
    long len = ftell(file);
    printf("ms each\nimage of %u devices: the engine waits %.1f ms (%.1f of CPU), all read "
           "after %.0f "
           "ms, %.1f MB\n",
           devices, pause.passed, pause.cpu, whole.passed, (double)len / 1e6);
    printf("scattered messages meanwhile %.1f us of CPU (one at most %.1f ms), "
           "otherwise %.1f us; gathering %.0f ms\n",
           during.cpu * 1e3 / MESSAGES, longest, plain.cpu * 1e3 / MESSAGES, gathered_ms);
    engine_free(e);
    e = engine();
    char *bytes = mem_zalloc((size_t)len);
    rewind(file);
    if (fread(bytes, 1, (size_t)len, file) != (size_t)len)
        return 1;
    at = now();
    engine_use(e, w);
    if (engine_load(e, bytes, (size_t)len) != 0)
        return 1;
    struct watch load = since(at);
    printf("reading the files %.0f ms of CPU, the state %.0f ms\n", world_ms, load.cpu);
    engine_free(e);
    world_free(w);
    free(bytes);
    (void)fclose(file);
    return 0;
}
