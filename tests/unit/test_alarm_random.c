/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories: samples in and out of order, late, broken, repeated, retained; links, reloads,
 * steps of the wall clock. The same history with restarts at random places, and with time told
 * in other slices, is told the same; what is told is true; nothing recovers without a
 * good sample that says so; and it all ends as things are.
 */
#include "alarm_rig.h"

#include "core/alarm_private.h"

static const char devices[] = RIG_HEAD "u1,uplink,c1,b1,60s,,\n"
                                       "s1,sump,c1,b1,60s,u1,\n"
                                       "s2,sump,c1,b1,60s,u1,\n"
                                       "s3,sump,c1,b2,5m,u1,\n"
                                       "s4,sump,c2,b2,60s,u1,\n"
                                       "d1,door,c1,b1,,,\n"
                                       "d2,door,c2,b1,10m,,\n"
                                       "m1,smoke,c1,b1,1h,u1,\n"
                                       "m2,smoke,c1,b1,1h,,\n";
static const char devices2[] = RIG_HEAD "m2,smoke,c1,b1,1h,,\n"
                                        "u1,uplink,c1,b1,60s,,\n"
                                        "s1,sump,c1,b1,60s,u1,\n"
                                        "s3,sump,c1,b2,5m,,\n"
                                        "s4,sump,c2,b2,60s,u1,2026-01-01\n"
                                        "d1,door,c1,b1,,,\n"
                                        "d2,door,c2,b1,10m,,\n"
                                        "m1,smoke,c1,b1,1h,u1,\n"
                                        "s2,sump,c1,b2,60s,u1,\n";
static const char *const names[] = {"u1", "s1", "s2", "s3", "s4", "d1", "d2", "m1", "m2"};

#define TAIL                                                                                   \
    DAMPED("open", "door",                                                                     \
           "levels: [{severity: minor, when: open, off: not open, for: 3m, off_for: 1m}]")     \
    DAMPED("fire", "smoke", "levels: [{severity: critical, when: alarm, off: not alarm}]")     \
    RULE("offline", "\"*\"", "no_data: {after: 20m, policy: alert, severity: warning}")        \
    RULE("rising", "sump",                                                                     \
         "levels: [{severity: warning, when: \"delta(level, 10m) > 0.5\", off: "               \
         "\"delta(level, 10m) < 0.2\", for: 1m}]")                                             \
    RULE("dumb", "sump",                                                                       \
         "levels: [{severity: info, when: \"absent(level, 30m)\", off: \"not absent(level, "   \
         "30m)\"}]")                                                                           \
    RULE("many", "smoke",                                                                      \
         "levels: [{severity: critical, when: \"count_over(building, smoke, alarm) >= 2\", "   \
         "off: \"count_over(building, smoke, alarm) < 1\"}]")                                  \
    RULE("night", "door",                                                                      \
         "levels: [{severity: minor, when: open, off: not open}], schedule: {windows: "        \
         "[{days: [mon, tue, wed, thu, fri, sat, sun], from: \"09:00\", to: \"08:20\"}], "     \
         "on_close: resolve}")
static const char rules1[] = RULES(
    RULE("high", "sump",
         "levels: [{severity: major, when: level > 0.8, off: level < 0.6, for: 2m}, {severity: "
         "critical, when: level > 1.2, off: level < 1.0, for: 30s}], off_for: 90s, no_data: "
         "{after: 15m, policy: keep}")
        RULE("wet", "sump",
             "levels: [{severity: warning, when: level > 0.8, off: level < 0.6}], no_data: "
             "{after: 15m, policy: alert, severity: warning}, tolerate: {miss: 1, of: 4}")
            TAIL);
static const char rules2[] = RULES(
    RULE("wet", "sump",
         "levels: [{severity: warning, when: level > 0.8, off: level < 0.6}], no_data: {after: "
         "15m, policy: alert, severity: warning}, tolerate: {miss: 1, of: 4}")
        RULE("high", "sump",
             "levels: [{severity: critical, when: level > 1.2, off: level < 0.6, for: 1m}], "
             "off_for: 30s") TAIL);

/* What the firm would believe, and what was said. */
struct belief {
    char key[64];
    bool active, late;
    uint64_t since; /* said by then */
    enum severity severity;
};

struct truth {
    struct belief told[256];
    size_t n;
    uint64_t said;       /* samples */
    uint64_t well[9][2]; /* the last good one that says that all is well, by point */
};

static unsigned number_of(const char *code)
{
    for (unsigned i = 0; i < 9; i++)
        if (strcmp(names[i], code) == 0)
            return i;
    fail();
    return 0;
}

static struct belief *belief_of(struct truth *t, const struct alarm_event *e)
{
    char key[64];
    snprintf(key, sizeof(key), "%s/%s/%s", e->rule->id, e->device->code, e->point);
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->told[i].key, key) == 0)
            return &t->told[i];
    assert_true(t->n < 256);
    snprintf(t->told[t->n].key, sizeof(key), "%s", key);
    return &t->told[t->n++];
}

static void check_recovery(const struct truth *t, const struct belief *b,
                           const struct alarm_event *e)
{
    unsigned d = number_of(e->device->code);
    if (e->reason || b->late || e->no_data || strcmp(e->rule->id, "dumb") == 0 ||
        strcmp(e->rule->id, "many") == 0 || strcmp(e->rule->id, "rising") == 0)
        return;
    assert_true(t->well[d][*e->point != '\0'] > b->since);
}

/* What is believed of the one point goes for the other from now on. */
static void move(struct truth *t, const struct alarm_event *e, struct belief *to)
{
    struct alarm_event was = *e;
    was.point = e->was_point;
    struct belief *from = belief_of(t, &was);
    assert_true(from->active && !to->active);
    to->active = true;
    to->since = from->since;
    to->late = from->late;
    from->active = false;
}

static void judge(struct rig *r, const struct alarm_event *e)
{
    struct truth *t = r->ctx;
    struct belief *b = belief_of(t, e);
    bool is = e->condition == ALARM_ACTIVE || e->condition == ALARM_RECOVERING;
    switch (e->change) {
    case ALARM_ACTIVATED:
        assert_false(b->active);
        assert_true(is);
        b->since = t->said;
        b->late = e->late;
        break;
    case ALARM_LEVEL:
    case ALARM_QUALITY:
    case ALARM_INHIBIT:
        assert_true(b->active && is);
        break;
    case ALARM_FLAPPING:
        assert_true(b->active || e->life_safety);
        break;
    case ALARM_CLEARED:
        assert_true(b->active && !is);
        check_recovery(t, b, e);
        break;
    case ALARM_REMOVED:
        assert_true(b->active && !is && e->reason);
        break;
    case ALARM_EPISODE:
        assert_true(e->late && e->until_ms >= e->since_ms);
        return;
    case ALARM_MOVED:
        move(t, e, b);
        break;
    case ALARM_SETTLED:
        if (b->active && !is)
            check_recovery(t, b, e);
        break;
    }
    b->active = is;
    b->severity = e->severity;
}

/* What is believed is what is. */
static void compare(struct rig *r)
{
    struct truth *t = r->ctx;
    for (size_t i = 0; i < t->n; i++) {
        char key[64], *save = NULL;
        struct alarm_event e;
        snprintf(key, sizeof(key), "%s", t->told[i].key);
        const char *id = strtok_r(key, "/", &save), *code = strtok_r(NULL, "/", &save);
        const char *point = strtok_r(NULL, "/", &save);
        const struct rule *rule = rules_find(r->w->rules, id, strlen(id));
        bool there =
            rule && alarm_look(r->a, rule, rig_device(r, code), point ? point : "", &e);
        bool is = there && (e.condition == ALARM_ACTIVE || e.condition == ALARM_RECOVERING);
        if (is != t->told[i].active)
            print_message("%s: believed %d, is %d\n", t->told[i].key, t->told[i].active, is);
        assert_int_equal(is, t->told[i].active);
        if (is)
            assert_int_equal(e.severity, t->told[i].severity);
    }
}

static void note(struct truth *t, unsigned d, const char *what, bool inlet, bool counts)
{
    t->said++;
    if (counts && (strstr(what, "open=0") || strstr(what, "alarm=0") ||
                   (strncmp(what, "level=", 6) == 0 && strtod(what + 6, NULL) < 0.6)))
        t->well[d][inlet] = t->said;
}

static void what_is_said(uint64_t *seed, unsigned d, char out[64])
{
    unsigned k = (unsigned)(unit_random(seed) % 10);
    if (d == 0)
        snprintf(out, 64, "rssi=1");
    else if (d <= 4 && k == 0)
        snprintf(out, 64, "!level");
    else if (d <= 4 && k == 1)
        snprintf(out, 64, "battery_pct=50");
    else if (d <= 4)
        snprintf(out, 64, "level=%u.%u", (unsigned)(unit_random(seed) % 2),
                 (unsigned)(unit_random(seed) % 10));
    else if (d <= 6)
        snprintf(out, 64, k == 0 ? "!open" : "open=%u", (unsigned)(unit_random(seed) & 1));
    else
        snprintf(out, 64, k == 0 ? "!alarm" : "alarm=%u", (unsigned)(unit_random(seed) & 1));
}

struct newest {
    uint64_t any, of[2]; /* of what the point's rules look at, of its battery: the good ones */
};

static void say_something(struct rig *r, uint64_t *seed, uint64_t t, struct newest *newest)
{
    unsigned d = (unsigned)(unit_random(seed) % 9), how = (unsigned)(unit_random(seed) % 20);
    char what[64];
    struct said said = {.order = t};
    what_is_said(seed, d, what);
    if (how < 3) /* late, perhaps older than the newest */
        said.order = t - unit_random(seed) % (40 * MIN) * (t > HOUR);
    said.retained = how == 4;
    said.catch_up = how == 5;
    said.point = how == 6 && d ? "inlet" : "";
    bool own = *said.point == '\0' && !said.retained, other = strstr(what, "battery");
    bool is_new =
        said.order >= newest[d].any || (!said.catch_up && said.order > newest[d].of[other] &&
                                        newest[d].any - said.order <= 10 * MIN);
    if (own && said.order >= newest[d].any)
        newest[d].any = said.order;
    if (own && is_new && *what != '!') /* a bad value shuts no good one out */
        newest[d].of[other] = said.order;
    /* Before it is evaluated: what a recovery may rest upon. */
    rig_to(r, t);
    note(r->ctx, d, what, *said.point, !said.retained && (*said.point || is_new));
    rig_say(r, t, names[d], what, said);
}

/* What is counted as it changes is what is there. */
static void is_counted(const struct rig *r)
{
    struct alarm_stats st;
    uint64_t n[GAUGES] = {0};
    for (uint32_t i = 1; i <= r->a->n_acts; i++)
        for (unsigned k = 0; k < GAUGES && act_at(r->a, i)->used; k++)
            n[k] += act_gauge(act_at(r->a, i)) >> k & 1;
    alarm_stats(r->a, &st);
    assert_int_equal(st.active, n[GAUGE_ACTIVE]);
    assert_int_equal(st.pending, n[GAUGE_PENDING]);
    assert_int_equal(st.silent, n[GAUGE_SILENT]);
    assert_int_equal(st.flapping, n[GAUGE_FLAPPING]);
}

static void one_step(struct rig *r, uint64_t *seed, uint64_t t, struct newest *newest,
                     bool *second)
{
    unsigned k = (unsigned)(unit_random(seed) % 400);
    if (k < 380) {
        say_something(r, seed, t, newest);
        return;
    }
    rig_to(r, t);
    if (k < 386)
        alarm_link(r->a, 0, false, r->now);
    else if (k < 392)
        alarm_link(r->a, 0, true, r->now);
    else if (k < 394)
        r->wall_shift_ms += (int64_t)(unit_random(seed) % 7200000) - 3600000;
    else if (k < 397)
        alarm_alive(r->a, rig_device(r, names[unit_random(seed) % 9]), r->now);
    else {
        *second = !*second;
        rig_reload(r, *second ? devices2 : devices, *second ? rules2 : rules1);
    }
}

/* All is well, or all is wrong, for two hours, as told by healthy devices. */
static uint64_t live(struct rig *r, uint64_t t, bool wrong)
{
    alarm_link(r->a, 0, true, r->now);
    for (unsigned i = 0; i < 240; i++, t += 30 * S)
        for (unsigned d = 0; d < 9; d++) {
            const char *what = d == 0   ? "rssi=1"
                               : d <= 4 ? wrong ? "level=1.9" : "level=0.1"
                               : d <= 6 ? wrong ? "open=1" : "open=0"
                               : wrong  ? "alarm=1"
                                        : "alarm=0";
            rig_to(r, t);
            note(r->ctx, d, what, false, true);
            rig_say(r, t, names[d], what, (struct said){0});
            note(r->ctx, d, what, true, d);
            if (d)
                rig_say(r, t, names[d], what, (struct said){.point = "inlet"});
        }
    return t;
}

static void play(uint64_t seed, unsigned steps, bool restarts, struct rig_bytes *log,
                 struct rig_bytes *state)
{
    struct rig r;
    struct truth t = {0};
    uint64_t other = seed ^ 0x5555, now = HOUR;
    struct newest newest[9] = {0};
    bool second = false;
    rig_start(&r, devices, rules1);
    r.seen = judge;
    r.ctx = &t;
    for (unsigned i = 0; i < steps; i++) {
        uint64_t pause = unit_random(&seed) % 20 == 0 ? 30 * MIN : 40 * S;
        now += 1 + unit_random(&seed) % pause;
        if (restarts)
            for (unsigned k = 0; k < 3; k++) /* time in slices */
                rig_to(&r, r.now - BOOT + (now - (r.now - BOOT)) / 3);
        one_step(&r, &seed, now, newest, &second);
        is_counted(&r);
        if (restarts && unit_random(&other) % 50 == 0)
            rig_restart(&r);
    }
    (void)rig_put(log, r.log, r.n_log);
    assert_int_equal(alarm_save(r.a, rig_put, state), 0);
    rig_reload(&r, devices, rules1);
    now = live(&r, r.now - BOOT + HOUR, false);
    rig_to(&r, now + MIN);
    compare(&r);
    struct alarm_stats st;
    alarm_stats(r.a, &st);
    assert_int_equal(st.active + st.pending + st.flapping + st.silent, 0);
    now = live(&r, now + MIN, true);
    compare(&r);
    alarm_stats(r.a, &st);
    assert_true(st.active >= 4 * 2 * 2 + 2 + 2);
    now = live(&r, now + MIN, false);
    compare(&r);
    rig_end(&r);
}

static void the_same_history_is_told_the_same(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    const char *n = getenv("RUNS");
    unsigned runs = n ? (unsigned)strtoul(n, NULL, 10) : 30;
    for (unsigned i = 0; i < runs; i++) {
        struct rig_bytes log[2] = {{0}}, saved[2] = {{0}};
        uint64_t one = unit_random(&seed);
        if (n)
            print_message("run %u: %llu\n", i, (unsigned long long)one);
        for (unsigned k = 0; k < 2; k++)
            play(one, 1500, k, &log[k], &saved[k]);
        assert_int_equal(log[0].n, log[1].n);
        assert_memory_equal(log[0].p, log[1].p, log[0].n);
        assert_int_equal(saved[0].n, saved[1].n);
        assert_memory_equal(saved[0].p, saved[1].p, saved[0].n);
        for (unsigned k = 0; k < 2; k++) {
            free(log[k].p);
            free(saved[k].p);
        }
    }
}

/* Timers that nobody waits for any more go; those that somebody waits for stay. */
static void dead_timers_leave(void **state)
{
    (void)state;
    enum { DEVICES = 3000 };
    struct rig r;
    const size_t room = DEVICES * 32 + 128;
    char *text = mem_zalloc(room), code[16];
    size_t at = (size_t)snprintf(text, room, RIG_HEAD);
    uint64_t t = HOUR, worst = 0;
    for (int i = 0; i < DEVICES; i++)
        at += (size_t)snprintf(text + at, room - at, "s%d,sump,c1,b1,60s,,\n", i);
    rig_start(&r, text,
              RULES(RULE("high", "sump",
                         "levels: [{severity: major, when: level > 0.8, off: level < 0.6, for: "
                         "6h}], no_data: {after: 3h, policy: alert, severity: warning}")));
    for (int round = 0; round < 24; round++)
        for (int i = 0; i < DEVICES; i++) {
            (void)snprintf(code, sizeof(code), "s%d", i);
            rig_say(&r, t += S / 100, code, round & 1 ? "level=0.1" : "level=1.0",
                    (struct said){0});
            if (r.a->n_heap + r.a->far.n > worst)
                worst = r.a->n_heap + r.a->far.n;
        }
    assert_true(worst < 5 * DEVICES); /* of 36,000 that were set */
    for (int i = 0; i < DEVICES; i++) {
        (void)snprintf(code, sizeof(code), "s%d", i);
        rig_say(&r, t += S / 100, code, "level=1.0", (struct said){0});
    }
    r.events = 0;
    rig_to(&r, t + 4 * HOUR);
    assert_int_equal(r.events, DEVICES); /* each is silent, once */
    rig_end(&r);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_history_is_told_the_same),
                                       cmocka_unit_test(dead_timers_leave)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
