/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator alone: a million series, four rules each. Samples a second of one core (of its own
 * time, whatever else the machine does) over all rounds but the first, timers that fire between them
 * included, and what they take of memory; the last line is JSON.
 * `bench_alarm [devices] [rounds] [in-order|scattered] [alone]`: the order of arrivals is the
 * registry's, or has nothing to do with it; `alone`: nothing is fetched ahead. */
#include "base/mem.h"
#include "core/alarm.h"
#include "small_world.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define S    UINT64_C(1000000000)
#define BOOT (UINT64_C(1000000) * S)
#define WALL INT64_C(1795219200000)

static const char conf_text[] = "gateway: {id: t, data_dir: /tmp/x, timezone: Asia/Shanghai}\n"
                                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                                "catalog: catalog.yaml\n"
                                "registry: {compounds: compounds.csv, devices: devices.csv}\n";
static const char catalog_text[] =
    "version: 1\nkinds:\n  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n";
static const char rules_text[] =
    "version: 1\ngroups:\n  - name: g\n    rules:\n"
    "      - {id: high, kind: sump, title: t, action: a, levels: [{severity: major, when: "
    "level > "
    "0.8, off: level < 0.6, for: 60s}, {severity: critical, when: level > 1.2, off: level < "
    "1.0, "
    "for: 10s}], off_for: 2m, no_data: {after: 30m, policy: keep}}\n"
    "      - {id: low, kind: sump, title: t, action: a, levels: [{severity: minor, when: level "
    "< "
    "0.05, off: level > 0.1, for: 60s}]}\n"
    "      - {id: dry, kind: sump, title: t, action: a, levels: [{severity: minor, when: "
    "pump_on and "
    "level < 0.1, off: level > 0.2, for: 60s}]}\n"
    "      - {id: off, kind: sump, title: t, action: a, levels: [{severity: minor, when: not "
    "pump_on "
    "and level > 0.9, off: level < 0.9, for: 60s}], no_data: {after: 30m, policy: alert}}\n";

static uint64_t events;

static void on_event(void *ctx, const struct alarm_event *e)
{
    (void)ctx;
    (void)e;
    events++;
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct world *make_world(size_t n)
{
    struct buf d;
    buf_init(&d, (size_t)256 << 20);
    (void)buf_puts(&d, "device,kind,compound,building,expected_interval\n");
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&d, "s%zu,sump,c1,b%zu,60s\n", i, i / 100);
    struct world *w = small_world(&(struct small_world){
        conf_text, catalog_text, "compound,name,district\nc1,一村,yuzhong\n", buf_cstr(&d),
        .rules = rules_text});
    buf_done(&d);
    return w;
}

static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static uint64_t ticks;

static void to(struct alarm *a, uint64_t ns)
{
    for (uint64_t due; (due = alarm_next_due(a)) <= ns; ticks++)
        alarm_tick(a, due, WALL + (int64_t)((due - BOOT) / 1000000));
}

static void say(struct alarm *a, const struct device *d, uint64_t ns, double level)
{
    static const unsigned char metrics[] = {0, 1};
    struct field f[2] = {{.key = "level", .v = {.type = VALUE_FLOAT, .f = level}},
                         {.key = "pump_on", .v = {.type = VALUE_BOOL, .b = level > 0.5}}};
    struct alarm_sample s = {.device = d,
                             .point = "",
                             .fields = f,
                             .metrics = metrics,
                             .n = 2,
                             .order_ns = ns,
                             .engine_ns = ns,
                             .time_ms = WALL + (int64_t)((ns - BOOT) / 1000000),
                             .alive = true};
    s.received_ms = s.time_ms;
    alarm_sample(a, &s);
}

/* The order of arrivals has nothing to do with that of the registry. */
static size_t scattered(size_t i, size_t n)
{
    return (size_t)((uint64_t)i * 2654435761u % n);
}

/* What the engine does for it: it knows the device long before it has judged the values. Here: some
 * samples ahead. */
static void expect(struct alarm *a, const struct world *w, size_t i, size_t n, bool mixed)
{
    enum { FAR = 24, MIDDLE = 16, NEAR = 8 };
    size_t at[] = {i + FAR, i + MIDDLE, i + NEAR};
    for (size_t k = 0; k < 3; k++) {
        if (at[k] >= n)
            continue;
        const struct device *d =
            registry_device_at(w->registry, mixed ? scattered(at[k], n) : at[k]);
        if (k == 0)
            __builtin_prefetch(d);
        else
            alarm_expect(a, d, k == 2);
    }
}

static int null_put(void *ctx, const void *p, size_t n)
{
    (void)p;
    *(size_t *)ctx += n;
    return 0;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 6;
    bool mixed = argc <= 3 || strcmp(argv[3], "scattered") == 0, ahead = argc <= 4;
    struct world *w = make_world(n);
    if (!w)
        return 1;
    size_t before = in_use();
    double t0 = now_s();
    struct alarm *a = alarm_new(&(struct alarm_out){NULL, on_event});
    alarm_use(a, NULL, w, BOOT, WALL);
    alarm_link(a, 0, true, BOOT);
    printf("use: %.0f ms, %.1f MB, %.1f B a series\n", (now_s() - t0) * 1e3,
           (double)(in_use() - before) / 1e6, (double)(in_use() - before) / (double)n);
    double spent = 0;
    for (unsigned k = 0; k < rounds; k++) {
        double level = k % 6 >= 3 ? 0.9 : 0.3; /* a thousandth of them goes up and down */
        uint64_t timers = ticks, from = BOOT + (k + 1) * 60 * S;
        t0 = now_s();
        for (size_t i = 0; i < n; i++) {
            size_t d = mixed ? scattered(i, n) : i;
            uint64_t ns = from + i * 59 * S / n;
            if (i % 64 == 0)
                to(a, ns);
            if (ahead)
                expect(a, w, i, n, mixed);
            say(a, registry_device_at(w->registry, d), ns, d % 1000 == 0 ? level : 0.3);
        }
        double s = now_s() - t0;
        spent += k > 0 ? s : 0; /* in the first, nothing is due and nothing was said before */
        printf(
            "round %u, %s: %.2f M samples/s, %.0f ns each; %llu timers, %llu events, %.1f MB\n",
            k, mixed ? "scattered" : "in order", (double)n / s / 1e6, s / (double)n * 1e9,
            (unsigned long long)(ticks - timers), (unsigned long long)events,
            (double)(in_use() - before) / 1e6);
    }
    double megabytes = (double)(in_use() - before) / 1e6;
    struct alarm_stats st;
    alarm_stats(a, &st);
    size_t bytes = 0;
    t0 = now_s();
    (void)alarm_save(a, null_put, &bytes);
    double save_ms = (now_s() - t0) * 1e3;
    printf("active %llu, pending %llu; save: %.0f ms, %.1f MB\n", (unsigned long long)st.active,
           (unsigned long long)st.pending, save_ms, (double)bytes / 1e6);
    printf("{\"rate\":%.3f,\"megabytes\":%.1f,\"save_ms\":%.0f}\n",
           rounds > 1 ? (double)n * (rounds - 1) / spent / 1e6 : 0, megabytes, save_ms);
    alarm_free(a);
    world_free(w);
    return 0;
}
