/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said about conditions (hash, plausible, subject, limit, explanation), and what time
 * does to them.
 */
#include "core/expr_private.h"

#include <errno.h>
#include <math.h>

#include "unit.h"
#include "unit/expr_case.h"

static uint64_t hash_of(const char *text)
{
    struct expr *x = compiled(text);
    uint64_t h = expr_hash(x);
    expr_free(x);
    return h;
}

static void spelling_does_not_matter(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"level > 0.8 m", "level>80cm"},
        {"level > 0.8 m", "0.8 m < level"},
        {"level > 0.8 m", "((level)) > 0.8"},
        {"level > 0.8 m", "level > 0.4 m * 2"},
        {"level > 0.8 m", "not level <= 800 mm"},
        {"level >= 1", "not (level < 1)"},
        {"pump_on", "pump_on == true"},
        {"not pump_on", "pump_on == false"},
        {"pump_on", "not not pump_on"},
        {"pump_on and level > 1", "level > 1 and pump_on"},
        {"pump_on and (fault and level > 1)", "level > 1 and pump_on and fault"},
        {"pump_on or fault or level > 1", "fault or (level > 1 or pump_on)"},
        {"state in (open, broken)", "state == broken or state == open"},
        {"state in (open)", "state == open"},
        {"state == open", "open == state"},
        {"avg(level, 1h) > 1", "avg(level, 60m) > 100 cm"},
        {"level + flow * 1 h / 1 m / 1 m > 1", "1 h * flow / 1 m / 1 m + level > 1"},
        {"absent(level, 1h)", "age(level) >= 3600 s"},
        {"temperature > 333.15 K", "temperature > 60 Cel"},
        {"pump_on and true", "pump_on"},
        {"pump_on or false", "pump_on"},
    };
    static const char *const other[][2] = {
        {"level > 0.8 m", "level >= 0.8 m"},
        {"level > 0.8 m", "level > 0.81 m"},
        {"level > 0.8 m", "level < 0.8 m"},
        {"level > 0.8 m", "level@in > 0.8 m"},
        {"level > level@in", "level < level@in"},
        {"level@\"\" > 1", "level > 1"},
        {"pump_on and fault", "pump_on or fault"},
        {"pump_on and fault or fault", "pump_on and (fault or fault)"},
        {"avg(level, 1h) > 1", "avg(level, 2h) > 1"},
        {"avg(level, 1h) > 1", "max(level, 1h) > 1"},
        {"level > $limit", "level > 80 cm"},
        {"state == open", "state == broken"},
        {"state == open", "state != open"},
        {"level - level@in > 1", "level@in - level > 1"},
        {"count_over(building, smoke, alarm) > 1", "count_over(grid, smoke, alarm) > 1"},
        {"count_over(building, smoke, alarm) > 1",
         "count_over(building, smoke, not alarm) > 1"},
        {"between(\"22:00\", \"06:00\")", "between(\"22:00\", \"06:01\")"},
        {"hour() > 1", "weekday() > 1"},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
        if (hash_of(same[i][0]) != hash_of(same[i][1]))
            fail_msg("%s and %s differ", same[i][0], same[i][1]);
    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
        if (hash_of(other[i][0]) == hash_of(other[i][1]))
            fail_msg("%s and %s are the same", other[i][0], other[i][1]);
}

static void what_cannot_be_is_said(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"level > 6 m", F},
        {"level > 5 m", F},
        {"level >= 5 m", U},
        {"level < 0 m", F},
        {"level >= 0 m", T},
        {"level > -1 m", T},
        {"level <= 500 cm", T},
        {"level > 0.8 m", U},
        {"energy > 1e9 kW.h", U},
        {"energy > 1e+9 kW.h", U},
        {"energy < 0 kW.h", F},
        {"power < -1e9 W", U},
        {"2 * level > 10 m", F},
        {"level - level@in > 5 m", F},
        {"level - level@in >= -5 m", T},
        {"level / 2 > 3 m", F},
        {"level / level@in > 1", U},
        {"-level > 0 m", F},
        {"temperature > 200 Cel", F},
        {"temperature > 200 K", T},
        {"avg(level, 1h) > 5 m", F},
        {"sum(level, 1h) > 500 m", U},
        {"sum(level, 1h) < 0 m", F},
        {"delta(level, 1h) > 5 m", F},
        {"delta(level, 1h) > 4 m", U},
        {"count(level, 1h) < 0", F},
        {"stddev(level, 1h) > 5 m", F},
        {"rate(level, 1h) > 1 m/s", U},
        {"age(level) < 0 s", F},
        {"hour() > 23", F},
        {"hour() < 24", T},
        {"weekday() == 0", F},
        {"weekday() in (1, 2, 3, 4, 5, 6, 7)", T},
        {"weekday() in (8, 9)", F},
        {"workday()", U},
        {"level > $limit", U},
        {"pump_on", U},
        {"pump_on or true", T},
        {"fault and false", F},
        {"level > 6 m or level < 0 m", F},
        {"level > 1 m and level > 6 m", F},
        {"not (level > 6 m)", T},
        {"state == open", U},
        {"state in (shut, open, broken)", T},
        {"state in (shut, open)", U},
        {"state == open and state == shut", F},
        {"state != open or state != shut", T},
        {"level > 1 m or level < 2 m", T},
        {"level > 1 m or level < 1 m", U},
        {"level >= 1 m or level < 1 m", T},
        {"level > 1 m and level < 0.5 m", F},
        {"level > 1 m and level < 1.5 m", U},
        {"level > 4 m and not (level > 3 m)", F},
        {"level in (6, 7)", F},
        {"level > 4.999 m and level < 5.001 m", U},
        {"pump_on or not pump_on", T},
        {"pump_on and fault and not pump_on", F},
        {"pump_on == fault or level > 1 m", U},
        {"pump_on and level > 4 m or level <= 4 m or not pump_on", T},
        {"power > 1 W or power < 2 W", T},
        {"power > 1 W and power < 0 W", F},
        {"hour() > 1 or hour() < 2", T},
        {"hour() >= 22 and hour() < 6", F},
        {"level > $limit or level <= $limit", U},
        {"1 < 2", T},
        {"2 < 1", F},
        {"1 == 1", T},
        {"count_over(building, smoke, alarm) < 0", F},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct expr *x = compiled(rows[i].text);
        if (expr_plausible(x) != rows[i].expected)
            fail_msg("%s: %d, expected %d", rows[i].text, expr_plausible(x), rows[i].expected);
        expr_free(x);
    }
}

static void subject_and_limit(void **state)
{
    (void)state;
    static const struct {
        const char *text, *metric;
        double limit;
    } rows[] = {
        {"level > 0.8 m", "level", 0.8},
        {"80 cm < level", "level", 0.8},
        {"level > $limit", "level", 0.8},
        {"$limit < level", "level", 0.8},
        {"level > $plain", "level", 3},
        {"temperature > 300 K", "temperature", 26.85},
        {"temperature > $hot", "temperature", 60},
        {"pump_on and level > 0.8 m", "level", 0.8},
        {"pump_on and delta(level, 10m) > -0.02 m", "level", NAN},
        {"avg(level, 10m) > 1 m", "level", 1},
        {"pump_on", "pump_on", NAN},
        {"state == open", "state", 1},
        {"state in (open, broken)", "state", NAN},
        {"level > level@in", "level", NAN},
        {"level + 1 m > 2 m", "level", NAN},
        {"age(level) > 15m", "level", NAN},
        {"absent(flow, 15m) or level > 2 m", "level", 2},
        {"hour() > 3", NULL, NAN},
        {"hour() > 3 and level > 2 m", "level", 2},
        {"count_over(building, smoke, alarm) > 1", NULL, NAN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct expr *x = compiled(rows[i].text);
        struct expr_env env = env_at(S);
        unsigned input = 99;
        const struct metric *m = expr_subject(x, &input);
        if ((!m) != (!rows[i].metric) || (m && strcmp(m->name, rows[i].metric) != 0))
            fail_msg("%s shows %s", rows[i].text, m ? m->name : "nothing");
        const struct expr_input *in;
        if (m)
            assert_true(input < expr_inputs(x, &in) && in[input].metric == m);
        double limit = expr_limit(x, &env);
        if (isnan(limit) != isnan(rows[i].limit) || fabs(limit - rows[i].limit) > 1e-12)
            fail_msg("%s has limit %f", rows[i].text, limit);
        expr_free(x);
    }
}

static void explained(const char *text, const char *expected)
{
    static const struct said said[] = {{"level", 0.93}, {"level@in", 0.5},   {"pump_on", 1},
                                       {"state", 1},    {"temperature", 25}, {"fault", 0}};
    struct expr *x = compiled(text);
    struct expr_state *s = expr_state_new(x);
    fill(x, said, sizeof(said) / sizeof(*said), 100 * S);
    struct expr_env env = env_at(160 * S);
    for (unsigned i = 0; i < 3; i++)
        expr_feed(x, s, 0, 0.8 + 0.1 * i, (140 + 10 * i) * S);
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(expr_explain(x, s, &env, &b), 0);
    assert_string_equal(buf_cstr(&b), expected);
    buf_done(&b);
    expr_state_free(s);
    expr_free(x);
}

static void parts_are_explained(void **state)
{
    (void)state;
    explained("level > 0.8 m", "level > 0.8 m: 0.93 m, true\n");
    explained("level@gone > 0.8 m", "level@gone > 0.8 m: unknown, unknown\n");
    explained("pump_on", "pump_on: true\n");
    explained("not fault", "fault: false\n");
    explained("pump_on and level > $limit",
              "pump_on: true\nlevel > $limit: level = 0.93 m; $limit = 80 cm, true\n");
    explained("fault and\nlevel\n> 1", "fault: false\nlevel > 1: 0.93 m, false\n");
    explained("level - level@in > 0.4 m",
              "level - level@in > 0.4 m: level = 0.93 m; level@in = 0.5 m, true\n");
    explained("state in (open, broken)", "state in (open, broken): open, true\n");
    explained("state == broken", "state == broken: open, false\n");
    explained("delta(level, 10m) > 0.1 m", "delta(level, 10m) > 0.1 m: 0.2 m, true\n");
    explained("rate(level, 10m) > 0.1 m/h", "rate(level, 10m) > 0.1 m/h: 0.01 m/s, true\n");
    explained("count(level, 10m) > 5", "count(level, 10m) > 5: 3, false\n");
    explained("age(level) > 15m", "age(level) > 15m: 60 s, false\n");
    explained("absent(level, 15m)", "absent(level, 15m): 60 s, false\n");
    explained("hour() > 3 or workday()", "hour() > 3: 0, false\nworkday(): true\n");
    explained("pump_on == fault", "pump_on == fault: pump_on = true; fault = false, false\n");
    explained("count_over(building, smoke, alarm) > 1",
              "count_over(building, smoke, alarm) > 1: 2, true\n");
    explained("1 < 2", "always true\n");
    struct expr *x = compiled("level > 0.8 m");
    struct expr_env env = env_at(S);
    struct buf small;
    buf_init(&small, 4);
    assert_int_equal(expr_explain(x, NULL, &env, &small), -ENOBUFS);
    buf_done(&small);
    expr_free(x);
}

/* -- time -------------------------------------------------------------------------------- */

static enum expr_truth at_wall(const char *text, int64_t wall_ms, const struct zone *z,
                               const struct expr_calendar *c)
{
    struct expr *x = compiled(text);
    struct expr_env env = env_at(S);
    env.wall_ms = wall_ms;
    env.zone = z;
    env.calendar = c;
    enum expr_truth t = expr_eval(x, NULL, &env);
    expr_free(x);
    return t;
}

#define HOUR   INT64_C(3600000)
#define MINUTE INT64_C(60000)

static void the_clock_is_local(void **state)
{
    (void)state;
    struct zone *z;
    assert_int_equal(zone_open("Asia/Shanghai", &z), 0);
    int64_t day = INT64_C(1795219200000) - 8 * HOUR; /* Saturday 2026-11-21, 00:00 there */
    assert_int_equal(at_wall("hour() == 0", day, z, NULL), T);
    assert_int_equal(at_wall("hour() == 23", day - 1, z, NULL), T);
    assert_int_equal(at_wall("weekday() == 6", day, z, NULL), T);
    assert_int_equal(at_wall("weekday() == 5", day - 1, z, NULL), T);
    const char *night = "between(\"22:00\", \"06:00\")";
    assert_int_equal(at_wall(night, day, z, NULL), T); /* exactly midnight */
    assert_int_equal(at_wall(night, day + 6 * HOUR - 1, z, NULL), T);
    assert_int_equal(at_wall(night, day + 6 * HOUR, z, NULL), F);
    assert_int_equal(at_wall(night, day + 22 * HOUR - 1, z, NULL), F);
    assert_int_equal(at_wall(night, day + 22 * HOUR, z, NULL), T);
    const char *noon = "between(\"12:00\", \"24:00\")";
    assert_int_equal(at_wall(noon, day + 12 * HOUR - 1, z, NULL), F);
    assert_int_equal(at_wall(noon, day + 12 * HOUR, z, NULL), T);
    assert_int_equal(at_wall(noon, day + 24 * HOUR - 1, z, NULL), T);
    int32_t saturday = (int32_t)((day + 8 * HOUR) / (24 * HOUR));
    int32_t holidays[] = {saturday - 10, saturday + 2}, workdays[] = {saturday, saturday + 30};
    struct expr_calendar c = {holidays, workdays, 2, 2};
    assert_int_equal(at_wall("workday()", day, z, NULL), F);
    assert_int_equal(at_wall("workday()", day, z, &c), T);
    assert_int_equal(at_wall("workday()", day + 24 * HOUR, z, &c), F);
    assert_int_equal(at_wall("workday()", day + 48 * HOUR, z, NULL), T);
    assert_int_equal(at_wall("workday()", day + 48 * HOUR, z, &c), F);
    assert_int_equal(at_wall("workday()", day + 72 * HOUR, z, &c), T);
    assert_int_equal(at_wall("hour() == 23", -8 * HOUR - 1, z, NULL), T); /* before 1970 */
    zone_free(z);
}

static uint64_t wake(const char *text, uint64_t now, int64_t wall_ms, const struct zone *z)
{
    static const struct said said[] = {{"level", 1}};
    struct expr *x = compiled(text);
    struct expr_state *s = expr_state_new(x);
    fill(x, said, 1, 100 * S);
    for (unsigned i = 0; i < 3; i++)
        expr_feed(x, s, 0, i, (100 + 10 * i) * S);
    struct expr_env env = env_at(now);
    env.wall_ms = wall_ms;
    env.zone = z;
    uint64_t at = expr_wake_ns(x, s, &env);
    assert_int_equal(expr_is_timed(x), strstr(text, "(") && !strstr(text, "count_over"));
    expr_state_free(s);
    expr_free(x);
    return at;
}

static void time_alone_wakes(void **state)
{
    (void)state;
    uint64_t never = UINT64_MAX, now = 160 * S;
    struct zone *z;
    assert_int_equal(zone_open("Europe/Berlin", &z), 0);
    assert_true(wake("level > 1", now, 0, NULL) == never);
    assert_true(wake("count_over(grid, smoke, alarm) > 1", now, 0, NULL) == never);
    assert_true(wake("absent(level, 15m)", now, 0, NULL) == 1000 * S);
    assert_true(wake("age(level) > 15m", 1000 * S, 0, NULL) == 1000 * S + 1);
    assert_true(wake("age(level) > 15m", 1000 * S + 1, 0, NULL) == never);
    assert_true(wake("absent(note, 15m)", now, 0, NULL) == 901 * S); /* registered at 1 s */
    assert_true(wake("$wait < age(level)", 1000 * S, 0, NULL) == 1000 * S + 1);
    assert_true(wake("2 * age(level) >= 30m", now, 0, NULL) == 1000 * S);
    assert_true(wake("1000 s - age(level) < 100 s", 1000 * S, 0, NULL) == 1000 * S + 1);
    assert_true(wake("age(level) > age(note)", now, 0, NULL) == never);
    assert_true(wake("age(level) * age(note) > 1 s2", now, 0, NULL) == now + S);
    assert_true(wake("avg(level, 1m) > 1", 140 * S, 0, NULL) == 160 * S);
    assert_true(wake("avg(level, 1m) > 1", 160 * S, 0, NULL) == 170 * S);
    assert_true(wake("avg(level, 1m) > 1", 180 * S, 0, NULL) == never);
    assert_true(wake("hour() > 1", now, 10 * MINUTE, NULL) == now + 3000 * S);
    assert_true(wake("weekday() > 1", now, 0, NULL) == now + 86400 * S);
    assert_true(wake("workday()", now, 23 * HOUR, NULL) == now + 3600 * S);
    assert_true(wake("between(\"22:00\", \"06:00\")", now, 0, NULL) == now + 6 * 3600 * S);
    assert_true(wake("between(\"22:00\", \"06:00\")", now, 7 * HOUR, NULL) ==
                now + 15 * 3600 * S);
    assert_true(wake("absent(level, 15m) or hour() > 3", now, 59 * MINUTE, NULL) ==
                now + 60 * S);
    /* The clock goes back at 01:00 UTC on 2026-10-25, which is seen in time. */
    int64_t change = INT64_C(1792890000000);
    assert_true(wake("weekday() > 1", now, change - HOUR, z) == now + 3600 * S);
    zone_free(z);
}

/* When we could not hear, of the next hours. */
static size_t outages(uint64_t *random, struct expr_deaf *out, size_t n)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        at += 1 + unit_random(random) % (1200 * S);
        out[i].from_ns = at;
        at += 1 + unit_random(random) % (400 * S);
        out[i].to_ns = at;
    }
    return n;
}

/* Between two samples a truth changes at no time before the one that was named. */
static void never_too_late(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "age(level) > 37 s",
        "absent(level, 2m) or age(flow) >= 45 s",
        "avg(level, 5m) > 1.5 m",
        "delta(level, 2m) > 0 and age(level) < 1m",
        "count(level, 100s) >= 3 or changes(level, 1h) == 2",
        "max(level, 3m) > 2 m and not min(flow, 1m) > 1",
        "hour() == 3 or between(\"00:10\", \"00:20\") or age(level) > $wait",
        "3 * age(level) - age(flow) > 90 s",
    };
    uint64_t random = unit_seed();
    for (size_t t = 0; t < sizeof(texts) / sizeof(*texts); t++) {
        struct expr *x = compiled(texts[t]);
        struct expr_state *s = expr_state_new(x);
        fill(x, NULL, 0, 0);
        const struct expr_input *in;
        size_t inputs = expr_inputs(x, &in), changed = 0;
        uint64_t now = S;
        struct expr_deaf deaf[200];
        size_t n_deaf = outages(&random, deaf, t & 1 ? 200 : 0);
        for (int i = 0; i < 3000; i++) {
            now += unit_random(&random) % (90 * S) / 1000000 * 1000000;
            unsigned k = (unsigned)(unit_random(&random) % inputs);
            last[k] = (struct expr_last){(double)(unit_random(&random) % 30) / 10, now};
            expr_feed(x, s, k, last[k].v, now);
            struct expr_env env = env_at(now);
            env.wall_ms = (int64_t)(now / 1000000);
            env.deaf = deaf;
            env.n_deaf = n_deaf;
            env.grace_ns = t & 2 ? 40 * S : 0;
            enum expr_truth first = expr_eval(x, s, &env);
            uint64_t wakes = expr_wake_ns(x, s, &env);
            assert_true(wakes > now);
            for (int look = 0; look < 8; look++) {
                uint64_t wait = wakes - now < 9000 * S ? wakes - now : 9000 * S;
                uint64_t at = now + (look ? unit_random(&random) % wait : wait - 1);
                env.now_ns = at;
                env.wall_ms = (int64_t)(at / 1000000);
                if (expr_eval(x, s, &env) != first)
                    fail_msg("%s: %llu, %llu before it wakes", texts[t], (unsigned long long)at,
                             (unsigned long long)wakes);
            }
            for (int again = 0; again < 3 && wakes != UINT64_MAX; again++) {
                env.now_ns = wakes;
                env.wall_ms = (int64_t)(wakes / 1000000);
                if (expr_eval(x, s, &env) != first) {
                    changed++;
                    break;
                }
                wakes = expr_wake_ns(x, s, &env);
            }
        }
        if (changed < 20)
            fail_msg("%s: %zu changes", texts[t], changed);
        expr_state_free(s);
        expr_free(x);
    }
}

/* Our own silence is nobody's age, and ends nothing either. */
static void age_stands_still_while_we_hear_nothing(void **state)
{
    (void)state;
    uint64_t random = unit_seed();
    struct expr *x = compiled("age(level) > $wait");
    double wait[4] = {0, 0, 0, 0};
    for (int run = 0; run < 200; run++) {
        struct expr_deaf deaf[20];
        struct expr_env env = env_at(0);
        env.params = wait;
        env.deaf = deaf;
        env.n_deaf = outages(&random, deaf, 20);
        env.grace_ns = unit_random(&random) % 100 * S;
        uint64_t said = unit_random(&random) % (2000 * S), before = 0;
        fill(x, NULL, 0, 0);
        last[0] = (struct expr_last){1, said + 1};
        for (uint64_t now = said + 1; now < said + 4000 * S; now += 7 * S) {
            env.now_ns = now;
            uint64_t age = expr_age_of(&env, 0).ns, silent = now - said - 1;
            bool could_hear = true;
            for (size_t i = 0; i < env.n_deaf; i++)
                could_hear &= now < deaf[i].from_ns || now - 7 * S >= deaf[i].to_ns;
            assert_true(age >= before && age <= silent);
            if (now > said + 8 * S && !could_hear)
                assert_true(age <= before + 14 * S || age <= env.grace_ns + 7 * S);
            for (size_t i = 0; i < env.n_deaf; i++)
                if (now >= deaf[i].from_ns + 7 * S && now < deaf[i].to_ns && now > said + 8 * S)
                    assert_true(age == before);
            before = age;
        }
    }
    expr_free(x);
}

static void slots_are_bound(void **state)
{
    (void)state;
    struct expr *x = compiled("flow > 1 m3/h and level < 2 and pump_on and age(flow) < 1h");
    const struct expr_input *in;
    assert_int_equal(expr_inputs(x, &in), 3);
    assert_string_equal(in[0].metric->name, "flow");
    assert_null(in[0].point);
    struct expr_last many[300];
    for (size_t i = 0; i < 300; i++)
        many[i] = (struct expr_last){NAN, 0};
    expr_bind(x, 0, 299);
    expr_bind(x, 1, 0); /* what was input 0 is not bound again */
    expr_bind(x, 2, 7);
    many[299] = (struct expr_last){5, S};
    many[0] = (struct expr_last){1, S};
    many[7] = (struct expr_last){1, S};
    struct expr_env env = env_at(2 * S);
    env.last = many;
    assert_int_equal(expr_eval(x, NULL, &env), T);
    many[299].v = 0;
    assert_int_equal(expr_eval(x, NULL, &env), F);
    expr_free(x);
    x = compiled("level@in > 1 and level@\"\" > 1 and level > $limit and starts > $plain");
    assert_int_equal(expr_inputs(x, &in), 4);
    assert_string_equal(in[0].point, "in");
    assert_string_equal(in[1].point, "");
    assert_true(expr_window_ns(x) == 0);
    expr_free(x);
    x = compiled("avg(level, 10m) > 1 or max(flow, 2h) > 3 or "
                 "count_over(uplink, water-meter, leak) > 3");
    const struct expr_count *counts;
    assert_true(expr_window_ns(x) == 7200 * S);
    assert_int_equal(expr_counts(x, &counts), 1);
    assert_int_equal(counts[0].area, EXPR_UPLINK);
    assert_string_equal(counts[0].kind->name, "water-meter");
    assert_int_equal(expr_inputs(counts[0].condition, &in), 1);
    assert_string_equal(in[0].metric->name, "leak");
    expr_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spelling_does_not_matter),
        cmocka_unit_test(what_cannot_be_is_said),
        cmocka_unit_test(subject_and_limit),
        cmocka_unit_test(parts_are_explained),
        cmocka_unit_test(the_clock_is_local),
        cmocka_unit_test(time_alone_wakes),
        cmocka_unit_test(never_too_late),
        cmocka_unit_test(slots_are_bound),
        cmocka_unit_test(age_stands_still_while_we_hear_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
