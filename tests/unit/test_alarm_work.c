/* SPDX-License-Identifier: Apache-2.0 */
/* How much work a step is when there are very many of something: counted, not timed. */
#include "alarm_rig.h"

#include "base/buf.h"
#include "core/alarm_private.h"

enum { MANY = 3000 };

/* So many of a kind, all of one district. */
static void start(struct rig *r, const char *kind, const char *interval, const char *rules)
{
    struct buf b;
    buf_init(&b, (size_t)1 << 20);
    assert_int_equal(buf_puts(&b, RIG_HEAD), 0);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(buf_printf(&b, "x%u,%s,c1,b%u,%s,,\n", i, kind, i % 100, interval), 0);
    rig_start(r, buf_cstr(&b), rules);
    buf_done(&b);
}

static uint64_t evaluations(const struct rig *r)
{
    struct alarm_stats s;
    alarm_stats(r->a, &s);
    return s.evaluations;
}

static void each_says(struct rig *r, uint64_t at, const char *what)
{
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "x%u", i);
        say(r, at + i * S / 100, name, what);
    }
}

/* Each count is read by the whole district, and changes with every sample: who reads it is looked at when
 * it crosses what a rule compares it with. */
static void a_storm_is_counted_in_linear_time(void **state)
{
    (void)state;
    struct rig r;
    start(&r, "smoke", "1h",
          RULES(RULE("storm", "smoke",
                     "levels: [{severity: major, when: "
                     "\"count_over(district, smoke, alarm) > 3\"}, {severity: critical, "
                     "when: \"1000 <= count_over(district, smoke, alarm)\"}]")));
    each_says(&r, MIN, "alarm=0");
    uint64_t before = evaluations(&r);
    each_says(&r, 2 * MIN, "alarm=1");
    rig_to(&r, 4 * MIN);
    assert_int_equal(r.events, 2 * MANY); /* all of them are told of both levels */
    assert_in_range(evaluations(&r) - before, 2 * MANY, 6 * MANY);
    rig_restart(&r);
    before = evaluations(&r);
    each_says(&r, 5 * MIN, "alarm=0");
    rig_to(&r, 7 * MIN);
    assert_int_equal(r.events, 4 * MANY);
    assert_in_range(evaluations(&r) - before, 2 * MANY, 6 * MANY);
    rig_end(&r);
}

/* Nor is it one step: the rest of the loop has its turn in between, and a restart, too. */
static void a_crossing_is_no_long_step(void **state)
{
    (void)state;
    struct rig r;
    start(&r, "smoke", "1h",
          RULES(RULE("storm", "smoke",
                     "levels: [{severity: major, when: "
                     "\"count_over(district, smoke, alarm) > 3\"}]")));
    each_says(&r, MIN, "alarm=0");
    for (unsigned on = 2; on-- > 0;) {
        uint64_t at = (on ? 2 : 3) * MIN, most = 0, all = r.events;
        for (unsigned i = 0; i < (on ? 4 : 1); i++) { /* the last one crosses it */
            char name[16];
            snprintf(name, sizeof(name), "x%u", i);
            say(&r, at + i * S, name, on ? "alarm=1" : "alarm=0");
        }
        for (uint64_t due; (due = alarm_next_due(r.a)) <= BOOT + at + 10 * S;) {
            uint64_t one = evaluations(&r);
            alarm_tick(r.a, due, rig_wall(&r, due));
            most = evaluations(&r) - one > most ? evaluations(&r) - one : most;
            if (r.events > all + MANY / 3 && r.events < all + MANY)
                rig_restart(&r);
        }
        assert_int_equal(r.events, all + MANY); /* of life-safety: it ends, too */
        assert_in_range(most, 1, SWEEP);
    }
    rig_end(&r);
}

/* A step of the clock, or a link, between two stretches: what the count ends is ended everywhere. */
static void a_crossing_outlives_a_step_of_the_clock(void **state)
{
    (void)state;
    struct rig r;
    start(&r, "smoke", "1h",
          RULES(RULE("storm", "smoke",
                     "levels: [{severity: major, when: "
                     "\"count_over(district, smoke, alarm) > 3\"}], schedule: {windows: "
                     "[{days: [mon, tue, wed, thu, fri, sat, sun], from: \"09:00\", to: "
                     "\"08:20\"}]}")));
    for (unsigned i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "x%u", i);
        say(&r, MIN + i * S, name, "alarm=1");
    }
    rig_to(&r, 2 * MIN);
    assert_int_equal(r.events, MANY);
    say(&r, 3 * MIN, "x0", "alarm=0");
    uint64_t due = alarm_next_due(r.a);
    alarm_tick(r.a, due, rig_wall(&r, due));
    assert_in_range(r.events, MANY + 1, 2 * MANY - 1);
    r.wall_shift_ms += 2000;
    rig_to(&r, 4 * MIN);
    assert_int_equal(r.events, 2 * MANY);
    rig_end(&r);
}

/* Timers that are set anew again and again leave dead ones behind: they go, a stretch at a time. */
static void dead_timers_go_in_stretches(void **state)
{
    (void)state;
    struct rig r;
    start(&r, "sump", "60s",
          RULES(RULE("high", "sump",
                     "mode: hold, fresh: 9h, levels: [{severity: major, when: level > 0.8, "
                     "for: 2h}]")));
    size_t most = 0, largest = 0;
    for (unsigned i = 0; i < 40; i++)
        for (unsigned k = 0; k < MANY; k++) {
            char name[16];
            snprintf(name, sizeof(name), "x%u", k);
            rig_to(&r, MIN + i * 30 * S + k * S / 200);
            size_t before = r.a->far.n + r.a->n_heap;
            say(&r, MIN + i * 30 * S + k * S / 200, name, i & 1 ? "level=0.1" : "level=0.9");
            size_t now = r.a->far.n + r.a->n_heap;
            most = before > now && before - now > most ? before - now : most;
            largest = now > largest ? now : largest;
        }
    assert_in_range(most, 100, 8 * FAR_CHUNK); /* they did go */
    assert_in_range(largest, MANY, 8 * MANY);
    struct alarm_stats s;
    alarm_stats(r.a, &s);
    assert_in_range(s.timers, MANY, 2 * MANY); /* and none that is alive */
    rig_restart(&r);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_is_counted_in_linear_time),
        cmocka_unit_test(a_crossing_is_no_long_step),
        cmocka_unit_test(a_crossing_outlives_a_step_of_the_clock),
        cmocka_unit_test(dead_timers_go_in_stretches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
