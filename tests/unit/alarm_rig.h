/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_ALARM_RIG_H
#define UNIT_ALARM_RIG_H
/* alarm_rig — alarms in a small world: what is said at which second, and what is told of it. */
#include "unit.h"

#include "base/mem.h"
#include "core/alarm.h"
#include "small_world.h"

#include <math.h>

#define S     UINT64_C(1000000000)
#define MIN   (60 * S)
#define HOUR  (60 * MIN)
#define BOOT  (UINT64_C(1000000) * S)
#define WALL0 INT64_C(1795219200000) /* 2026-11-21T00:00:00Z, a Saturday: 08:00 in Shanghai */

static const char rig_conf[] = "gateway: {id: t, data_dir: /tmp/x, timezone: Asia/Shanghai}\n"
                               "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                               "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                               "catalog: catalog.yaml\n"
                               "registry: {compounds: compounds.csv, devices: devices.csv}\n";
static const char rig_catalog[] =
    "version: 1\n"
    "common:\n"
    "  battery:\n"
    "    battery_pct: {type: float, unit: \"%\", min: 0, max: 100, zh: 电量, en: Battery}\n"
    "kinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    use: [battery]\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "  smoke:\n    zh: 烟感\n    en: Smoke\n    life_safety: true\n    use: [battery]\n"
    "    metrics:\n      alarm: {type: bool, zh: 报警, en: Alarm}\n"
    "  door:\n    zh: 门\n    en: Door\n    metrics:\n"
    "      open: {type: bool, zh: 开, en: Open}\n"
    "  uplink:\n    zh: 网关\n    en: Uplink\n    metrics:\n"
    "      rssi: {type: float, unit: \"1\", zh: 信号, en: Signal}\n";
static const char rig_compounds[] = "compound,name,district,firm,tier\n"
                                    "c1,一村,yuzhong,f1,standard\nc2,二村,yuzhong,f2,basic\n";
#define RIG_HEAD "device,kind,compound,building,expected_interval,uplink,retired\n"
static const char rig_devices[] = RIG_HEAD "s1,sump,c1,b1,60s,,\n"
                                           "s2,sump,c1,b1,60s,,\n"
                                           "d1,door,c1,b1,,,\n"
                                           "m1,smoke,c1,b1,1h,,\n"
                                           "m2,smoke,c1,b1,1h,,\n";

struct rig {
    struct alarm *a;
    struct world *w, *before;
    uint64_t now;
    int64_t wall_shift_ms;
    char *log; /* a line an event since the last look */
    size_t n_log, cap_log;
    uint64_t events;
    /* Told, by (rule, device, point), so that lines can be judged as they come. */
    void (*seen)(struct rig *r, const struct alarm_event *e);
    void *ctx;
};

static inline struct world *rig_world(const char *devices, const char *rules)
{
    struct world *w = small_world(
        &(struct small_world){rig_conf, rig_catalog, rig_compounds, devices, .rules = rules});
    assert_non_null(w);
    return w;
}

static inline int64_t rig_wall(const struct rig *r, uint64_t ns)
{
    return WALL0 + (int64_t)((ns - BOOT) / 1000000) + r->wall_shift_ms;
}

static inline void rig_event(void *ctx, const struct alarm_event *e)
{
    static const char *const change[] = {"activated", "level",   "cleared", "quality",
                                         "flapping",  "settled", "removed", "episode",
                                         "inhibit",   "moved"};
    static const char *const condition[] = {"normal", "pending", "active", "recovering"};
    static const char *const quality[] = {"good", "stale", "bad", "unknown"};
    struct rig *r = ctx;
    r->events++;
    if (r->cap_log - r->n_log < 512) {
        r->cap_log = r->cap_log ? r->cap_log * 2 : 4096;
        r->log = mem_realloc_array(r->log, r->cap_log, 1);
    }
    int n = snprintf(r->log + r->n_log, 512, "%lld %s %s%s%s %s %s %s %s%s%s%s%s%s%s",
                     (long long)((e->engine_ns - BOOT) / S), e->rule->id, e->device->code,
                     *e->point ? "@" : "", e->point, change[e->change], condition[e->condition],
                     e->no_data ? "no_data" : severity_name(e->severity), quality[e->quality],
                     e->late ? " late" : "", e->flapping ? " flapping" : "",
                     e->inhibited ? " inhibited" : "", e->reason ? " " : "",
                     e->reason ? e->reason : "", "");
    r->n_log += (size_t)n;
    if (e->change == ALARM_EPISODE)
        r->n_log += (size_t)snprintf(r->log + r->n_log, 64, " %lld..%lld",
                                     (long long)(e->since_ms - WALL0) / 1000,
                                     (long long)(e->until_ms - WALL0) / 1000);
    if (e->change == ALARM_MOVED)
        r->n_log += (size_t)snprintf(r->log + r->n_log, 64, " from %s",
                                     *e->was_point ? e->was_point : "own");
    r->log[r->n_log++] = '\n';
    r->log[r->n_log] = '\0';
    if (r->seen)
        r->seen(r, e);
}

static inline void rig_start(struct rig *r, const char *devices, const char *rules)
{
    *r = (struct rig){.now = BOOT};
    r->w = rig_world(devices, rules);
    r->a = alarm_new(&(struct alarm_out){r, rig_event});
    alarm_use(r->a, NULL, r->w, r->now, rig_wall(r, r->now));
    alarm_link(r->a, 0, true, r->now);
}

static inline void rig_end(struct rig *r)
{
    alarm_free(r->a);
    world_free(r->w);
    free(r->log);
}

/* Everything due up to BOOT + ns fires. */
static inline void rig_to(struct rig *r, uint64_t ns)
{
    unsigned n = 0;
    for (uint64_t due; (due = alarm_next_due(r->a)) <= BOOT + ns; n++) {
        assert_true(n < 10000000);
        alarm_tick(r->a, due, rig_wall(r, due));
    }
    r->now = BOOT + ns;
}

static inline const struct device *rig_device(const struct rig *r, const char *code)
{
    const struct device *d = registry_find(r->w->registry, code, strlen(code));
    assert_non_null(d);
    return d;
}

struct said { /* how a sample comes */
    const char *point;
    uint64_t order; /* since BOOT; 0: as received */
    bool retained, catch_up, dead, named;
};

/* "level=0.9 pump_on=1 !battery_pct" at second ns / S. */
static inline void rig_say(struct rig *r, uint64_t ns, const char *device, const char *what,
                           struct said how)
{
    struct field fields[8];
    unsigned char metrics[8], bad[8];
    const struct device *d = rig_device(r, device);
    char text[256], *save = NULL;
    rig_to(r, ns);
    struct alarm_sample s = {.device = d,
                             .point = how.point ? how.point : "",
                             .fields = fields,
                             .metrics = metrics,
                             .bad = bad,
                             .order_ns = how.order ? BOOT + how.order : r->now,
                             .engine_ns = r->now,
                             .received_ms = rig_wall(r, r->now),
                             .retained = how.retained,
                             .catch_up = how.catch_up,
                             .alive = !how.dead && !how.retained,
                             .named = how.named};
    s.time_ms = rig_wall(r, s.order_ns);
    snprintf(text, sizeof(text), "%s", what);
    for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(t, '=');
        const char *name = *t == '!' ? t + 1 : t;
        const struct metric *m = catalog_metric(r->w->catalog, d->kind, name,
                                                eq ? (size_t)(eq - name) : strlen(name));
        assert_non_null(m);
        if (*t == '!') {
            bad[s.n_bad++] = (unsigned char)m->index;
            continue;
        }
        assert_non_null(eq);
        double v = strtod(eq + 1, NULL);
        fields[s.n] = (struct field){.key = m->name, .key_len = m->name_len};
        if (m->type == METRIC_BOOL)
            fields[s.n].v = (struct value){.type = VALUE_BOOL, .b = v != 0};
        else
            fields[s.n].v = (struct value){.type = VALUE_FLOAT, .f = v};
        metrics[s.n++] = (unsigned char)m->index;
    }
    alarm_heard(r->a, d, 0);
    alarm_sample(r->a, &s);
}

static inline void say(struct rig *r, uint64_t ns, const char *device, const char *what)
{
    rig_say(r, ns, device, what, (struct said){0});
}

/* What was told since the last look is exactly this. */
static inline void told(struct rig *r, const char *expected)
{
    assert_string_equal(r->log ? r->log : "", expected);
    r->n_log = 0;
    if (r->log)
        *r->log = '\0';
}

struct rig_bytes {
    char *p;
    size_t n, cap;
};

static inline int rig_put(void *ctx, const void *p, size_t n)
{
    struct rig_bytes *b = ctx;
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->p = mem_realloc_array(b->p, b->cap, 1);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

/* Another process goes on from what this one saved; and saves the same. */
static inline void rig_restart(struct rig *r)
{
    struct rig_bytes one = {0}, two = {0};
    assert_int_equal(alarm_save(r->a, rig_put, &one), 0);
    uint64_t due = alarm_next_due(r->a);
    alarm_free(r->a);
    r->a = alarm_new(&(struct alarm_out){r, rig_event});
    alarm_use(r->a, NULL, r->w, BOOT, WALL0);
    assert_int_equal(alarm_load(r->a, one.p, one.n), 0);
    assert_int_equal(alarm_save(r->a, rig_put, &two), 0);
    assert_int_equal(one.n, two.n);
    assert_memory_equal(one.p, two.p, one.n);
    assert_int_equal(alarm_next_due(r->a), due);
    free(one.p);
    free(two.p);
}

static inline void rig_use(struct rig *r, struct world *w)
{
    struct world *before = r->w;
    assert_non_null(w);
    r->w = w;
    alarm_use(r->a, before, r->w, r->now, rig_wall(r, r->now));
    world_free(before);
}

static inline void rig_reload(struct rig *r, const char *devices, const char *rules)
{
    rig_use(r, rig_world(devices, rules));
}

static inline const struct rule *rig_rule(const struct rig *r, const char *id)
{
    const struct rule *rule = rules_find(r->w->rules, id, strlen(id));
    assert_non_null(rule);
    return rule;
}

static inline struct alarm_event rig_look(const struct rig *r, const char *rule,
                                          const char *device, const char *point)
{
    struct alarm_event e;
    assert_true(alarm_look(r->a, rig_rule(r, rule), rig_device(r, device), point, &e));
    return e;
}

#define RULES(text) "version: 1\ngroups:\n  - name: g\n    rules:\n" text
#define RULE(id, kind, rest)                                                                   \
    "      - {id: " id ", kind: " kind ", title: " id ", action: look, flapping: off, " rest   \
    "}\n"
#define DAMPED(id, kind, rest)                                                                 \
    "      - {id: " id ", kind: " kind ", title: " id ", action: look, " rest "}\n"

#endif
