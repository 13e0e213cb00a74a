/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms: the first byte chooses. A saved state of any bytes (what loads is saved to the same, and
 * goes on without harm); or a history of any samples, times, links, reloads: at each step one
 * that was restored from bytes tells and saves what the one that lived on does. */
#include "base/check.h"
#include "base/hash.h"
#include "core/alarm.h"
#include "small_world.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define S    UINT64_C(1000000000)
#define BOOT (UINT64_C(1000000) * S)
#define WALL INT64_C(1795219200000)

/* A save and a load take longer than a hundred samples: few of them, wherever the input wants. */
enum { STEPS = 24, RESTORES = 2, MAX_ARGS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A history has so many features that libFuzzer's books about how rare each is took two thirds of the
 * time: without them, unless the command line says otherwise. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char *args[MAX_ARGS + 2], entropic[] = "-entropic=0";
    if (*argc < 1 || *argc > MAX_ARGS)
        return 0;
    args[0] = (*argv)[0];
    args[1] = entropic;
    for (int i = 1; i < *argc; i++)
        args[i + 1] = (*argv)[i];
    ++*argc;
    *argv = args;
    return 0;
}

static const char conf_text[] = "gateway: {id: t, data_dir: /tmp/x, timezone: Asia/Shanghai}\n"
                                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                                "catalog: catalog.yaml\n"
                                "registry: {compounds: compounds.csv, devices: devices.csv}\n";
static const char catalog_text[] =
    "version: 1\nkinds:\n  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n";
static const char devices_text[] = "device,kind,compound,building,expected_interval,uplink\n"
                                   "u,sump,c1,b1,60s,\na,sump,c1,b1,60s,u\nb,sump,c1,b1,,u\n"
                                   "c,sump,c1,b1,5m,u\n";
static const char compounds_text[] = "compound,name,district\nc1,一村,yuzhong\n";
static const char rules_text[] =
    "version: 1\ngroups:\n  - name: g\n    rules:\n"
    "      - {id: high, kind: sump, title: t, action: a, levels: [{severity: major, when: "
    "level > "
    "0.8, off: level < 0.6, for: 60s}, {severity: critical, when: level > 1.2, off: level < "
    "1.0}],"
    " off_for: 2m, tolerate: {miss: 1, of: 3}, no_data: {after: 30m, policy: clear}}\n"
    "      - {id: rise, kind: sump, title: t, action: a, levels: [{severity: minor, when: "
    "\"delta(level, 10m) > 0.5\", off: \"delta(level, 10m) < 0.1\"}], no_data: {policy: "
    "alert}}\n"
    "      - {id: pump, kind: sump, title: t, action: a, life_safety: true, levels: "
    "[{severity: "
    "minor, when: pump_on, for: 3m}], schedule: {windows: [{days: [mon, tue, wed, thu, fri, "
    "sat, "
    "sun], from: \"08:00\", to: \"08:30\"}], on_close: resolve}}\n"
    "      - {id: two, kind: sump, title: t, action: a, levels: [{severity: minor, when: "
    "\"count_over(building, sump, pump_on) > 1\"}]}\n"
    "      - {id: gone, kind: sump, title: t, action: a, levels: [{severity: minor, when: "
    "\"absent(level, 20m)\"}]}\n";

static struct world *world;

static struct world *make_world(const char *rules)
{
    struct world *w = small_world(&(struct small_world){conf_text, catalog_text, compounds_text,
                                                        devices_text, .rules = rules});
    ASSERT(w != NULL);
    return w;
}

struct side {
    struct alarm *a;
    struct buf saved;
    uint64_t told; /* a hash of all that was told */
};

static uint64_t bits(double v)
{
    uint64_t u = 0;
    if (!isnan(v))
        memcpy(&u, &v, sizeof(u));
    return u;
}

static uint64_t hash_text(const char *s)
{
    return s ? hash64(2, s, strlen(s)) : 0;
}

static void on_event(void *ctx, const struct alarm_event *e)
{
    struct side *s = ctx;
    uint64_t parts[] = {s->told,
                        (uint64_t)e->change << 32 | (uint64_t)e->condition << 16 | e->quality,
                        (uint64_t)(e->level + 1) << 32 | e->severity,
                        (uint64_t)e->since_ms,
                        (uint64_t)e->time_ms,
                        e->engine_ns,
                        (uint64_t)e->device->index << 8 | (uint64_t)e->late |
                            (uint64_t)e->flapping << 1 | (uint64_t)e->inhibited << 2 |
                            (uint64_t)e->no_data << 3 | (uint64_t)e->life_safety << 4,
                        e->rule->index,
                        bits(e->value),
                        bits(e->limit),
                        (uint64_t)e->until_ms,
                        (uint64_t)e->wall_ms,
                        e->members,
                        hash_text(e->point),
                        hash_text(e->metric ? e->metric->name : NULL),
                        hash_text(e->reason)};
    s->told = hash64(1, parts, sizeof(parts));
    ASSERT(e->level >= -1 && e->level < RULE_MAX_LEVELS);
}

static int put(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void side_init(struct side *s)
{
    *s = (struct side){0};
    buf_init(&s->saved, 1 << 24);
    s->a = alarm_new(&(struct alarm_out){s, on_event});
    alarm_use(s->a, NULL, world, BOOT, WALL);
}

static void side_done(struct side *s)
{
    alarm_free(s->a);
    buf_done(&s->saved);
}

static void save(struct side *s)
{
    buf_clear(&s->saved);
    ASSERT(alarm_save(s->a, put, &s->saved) == 0);
}

static int64_t wall(uint64_t ns)
{
    return WALL + (int64_t)(ns / 1000000) - (int64_t)(BOOT / 1000000);
}

static void go(struct side *s, uint64_t ns)
{
    uint64_t due, last = 0;
    unsigned same = 0;
    for (unsigned n = 0; n < 2000 && (due = alarm_next_due(s->a)) <= ns; n++) {
        same = due == last ? same + 1 : 0;
        ASSERT(same < 200); /* what is due is done, once */
        last = due;
        alarm_tick(s->a, due, wall(due));
    }
}

static void say(struct side *s, unsigned device, uint64_t ns, uint64_t order, unsigned how,
                double level)
{
    static const unsigned char metrics[] = {0, 1};
    const struct device *d = registry_device_at(world->registry, device);
    struct field f[2] = {{.key = "level", .v = {.type = VALUE_FLOAT, .f = level}},
                         {.key = "pump_on", .v = {.type = VALUE_BOOL, .b = how & 1}}};
    struct alarm_sample x = {.device = d,
                             .point = how & 2 ? "p" : "",
                             .fields = f,
                             .metrics = metrics,
                             .n = how & 4 ? 1 : 2,
                             .bad = metrics + 1,
                             .n_bad = how & 4 ? how >> 3 & 1 : 0,
                             .order_ns = order,
                             .engine_ns = ns,
                             .time_ms = wall(order),
                             .received_ms = wall(ns),
                             .retained = (how & 0x70) == 0x70,
                             .catch_up = (how & 0x70) == 0x60,
                             .alive = (how & 0x70) != 0x50};
    alarm_heard(s->a, d, 0);
    alarm_sample(s->a, &x);
}

static void loads(const uint8_t *data, size_t size)
{
    struct side s;
    side_init(&s);
    int rc = alarm_load(s.a, (const char *)data, size);
    ASSERT(rc == 0 || rc == -EBADMSG);
    save(&s);
    /* versions 1 to 4 are read, and written as 5 */
    bool as_is = size > 8 && data[8] == 5;
    ASSERT(rc != 0 || !as_is || (s.saved.len == size && memcmp(s.saved.data, data, size) == 0));
    for (unsigned i = 0; i < 12; i++) {
        uint64_t ns = BOOT + (i + 1) * 300 * S;
        go(&s, ns);
        say(&s, i % 4, ns, ns - (i % 7) * 60 * S, i * 37 % 128, (i % 5) * 0.4);
    }
    struct alarm_stats st;
    alarm_stats(s.a, &st);
    side_done(&s);
}

struct step {
    unsigned what, device, how;
    uint64_t by, back;
    double level;
};

static void one_step(struct side *s, const struct step *x, uint64_t *now)
{
    uint64_t to = *now + x->by;
    go(s, to);
    switch (x->what) {
    case 0:
        alarm_link(s->a, 0, x->how & 1, to);
        break;
    case 1:
        alarm_alive(s->a, registry_device_at(world->registry, x->device), to);
        break;
    default:
        say(s, x->device, to, to - x->back, x->how, x->level);
    }
    *now = to;
}

static void both(const uint8_t *data, size_t size)
{
    struct side a, b;
    uint64_t now[2] = {BOOT + 4000 * S, BOOT + 4000 * S};
    side_init(&a);
    side_init(&b);
    alarm_link(a.a, 0, true, BOOT);
    alarm_link(b.a, 0, true, BOOT);
    unsigned restored = 0;
    for (size_t i = 0; i + 4 <= size && i < 4 * STEPS; i += 4) {
        struct step x = {.what = data[i] >> 4,
                         .device = data[i] & 3,
                         .how = data[i + 1] & 127,
                         .by = (data[i + 2] & 15u) * (uint64_t)(data[i + 2] >> 4) * 10 * S + 1,
                         .back = data[i + 1] & 128 ? (uint64_t)(data[i + 3] >> 4) * 100 * S : 0,
                         .level = (data[i + 3] & 15) * 0.12};
        one_step(&a, &x, &now[0]);
        one_step(&b, &x, &now[1]);
        ASSERT(a.told == b.told);
        if (data[i] & 4 && restored < RESTORES) {
            restored++;
            save(&a);
            alarm_free(b.a); /* nothing of it but what was saved goes on */
            b.a = alarm_new(&(struct alarm_out){&b, on_event});
            alarm_use(b.a, NULL, world, BOOT, WALL);
            ASSERT(alarm_load(b.a, a.saved.data, a.saved.len) == 0);
            save(&b);
            ASSERT(a.saved.len == b.saved.len &&
                   memcmp(a.saved.data, b.saved.data, a.saved.len) == 0);
        }
        ASSERT(alarm_next_due(a.a) == alarm_next_due(b.a));
    }
    save(&a);
    save(&b);
    ASSERT(a.saved.len == b.saved.len && memcmp(a.saved.data, b.saved.data, a.saved.len) == 0);
    side_done(&a);
    side_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!world)
        world = make_world(rules_text);
    if (size == 0)
        return 0;
    if (data[0] & 1)
        loads(data + 1, size - 1);
    else
        both(data + 1, size - 1);
    return 0;
}
