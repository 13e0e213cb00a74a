/* SPDX-License-Identifier: Apache-2.0 */
/* Levels of one rule that live by different things: that one is about what others say takes from none
 * what protects it from silence. */
#include "alarm_rig.h"

#define DEVICES                                                                                \
    RIG_HEAD "s1,sump,c1,b1,60s,,\ns2,sump,c1,b1,,,\nd1,door,c1,b1,60s,,\nd2,door,c1,b1,60s,," \
             "\n"
#define MANY  "{severity: major, when: \"count_over(building, door, open) >= 2\", for: 1h}"
#define HIGH  "{severity: minor, when: level > 0.8, for: 10m}"
#define NIGHT "between(\\\"22:00\\\", \\\"06:00\\\")"

/* Two doors are open for a minute: rules that count are looked at twice. */
static void cross(struct rig *r, uint64_t ns)
{
    say(r, ns, "d1", "open=1");
    say(r, ns, "d2", "open=1");
    say(r, ns + MIN, "d2", "open=0");
}

/* A clock of samples runs by what the device says, whenever others speak. */
static void what_others_say_moves_no_clock_of_samples(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, DEVICES,
              RULES(RULE("mixed", "sump", "levels: [" HIGH ", " MANY "]")
                        RULE("plain", "sump", "levels: [" HIGH "]")));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 1 * MIN, "s2", "level=0.9"); /* its gap is a quarter of an hour */
    for (unsigned i = 0; i < 14; i++)
        cross(&r, (2 + i * 4) * MIN);
    told(&r, "");
    for (unsigned i = 60; i < 70; i++) /* a gap has counted for both */
        say(&r, i * MIN, "s1", "level=0.9");
    told(&r, "4020 mixed s1 activated active minor good\n"
             "4020 plain s1 activated active minor good\n");
    rig_end(&r);
}

/* Nor does it end anything. */
static void what_others_say_ends_no_level_of_samples(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, DEVICES,
              RULES(RULE("mixed", "sump",
                         "levels: [{severity: minor, when: level > 0.8, off: level < 0.6, "
                         "off_for: 10m}, " MANY "]")));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 1 * MIN, "s2", "level=0.9");
    told(&r,
         "60 mixed s1 activated active minor good\n60 mixed s2 activated active minor good\n");
    say(&r, 2 * MIN, "s1", "level=0.1");
    say(&r, 2 * MIN, "s2", "level=0.1");
    for (unsigned i = 0; i < 14; i++)
        cross(&r, (3 + i * 4) * MIN);
    told(&r, "300 mixed s1 quality active minor stale\n");
    rig_end(&r);
}

/* On the way down from what others raised and ended, the levels below are as they were last said, long ago,
 * by whom nobody misses. */
static void what_others_end_is_over(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, DEVICES,
              RULES(RULE("mixed", "sump",
                         "levels: [{severity: minor, when: level > 0.8}, {severity: major, "
                         "when: \"count_over(building, door, open) >= 2\"}]")));
    say(&r, 1 * MIN, "s2", "level=0.1");
    for (unsigned i = 58; i <= 61; i++)
        say(&r, i * MIN, "s1", "level=0.1");
    cross(&r, 61 * MIN);
    told(
        &r,
        "3660 mixed s1 activated active major good\n3660 mixed s2 activated active major good\n"
        "3720 mixed s1 cleared normal major good\n3720 mixed s2 cleared normal major good\n");
    rig_end(&r);
}

/* The hour decides nothing about what was said long ago, whatever another level counts. */
static void an_hour_makes_no_alarm_of_what_is_old(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, DEVICES,
        RULES(RULE("night", "sump",
                   "no_data: {after: 48h, policy: keep}, levels: [{severity: minor, "
                   "when: \"level > 0.8 and " NIGHT "\", for: 5m}, " MANY "]")
                  RULE("door", "door",
                       "mode: hold, fresh: 10m, no_data: {after: 48h, policy: keep}, "
                       "levels: [{severity: minor, when: \"open and " NIGHT "\"}, " MANY "]")));
    say(&r, HOUR, "s1", "level=0.9"); /* 09:00 */
    say(&r, HOUR, "d1", "open=1");
    rig_to(&r, 15 * HOUR); /* 23:00 */
    told(&r, "");
    rig_restart(&r);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now); /* it lives: what it said holds */
    rig_to(&r, 15 * HOUR + S);
    told(&r, "54000 door d1 activated active minor good\n");
    for (unsigned i = 1; i <= 6; i++)
        say(&r, 15 * HOUR + i * MIN, "s1", "level=0.9");
    told(&r, "54360 night s1 activated active minor good\n");
    rig_end(&r);
}

/* A level that counts needs no word of its device, whatever time says. */
static void what_counts_goes_by_what_others_say(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, DEVICES,
              RULES(RULE("night", "sump",
                         "no_data: {after: 48h, policy: keep}, levels: [{severity: minor, "
                         "when: \"level > 0.8 and " NIGHT "\", for: 5m}, {severity: major, "
                         "when: \"level > 0.5 and " NIGHT
                         " and count_over(building, door, open) >= 2\"}]")));
    say(&r, HOUR, "s1", "level=0.9"); /* 09:00 */
    say(&r, 15 * HOUR, "d1", "open=1");
    told(&r, "");
    say(&r, 15 * HOUR, "d2", "open=1");
    told(&r, "54000 night s1 activated active major good\n");
    rig_end(&r);
    /* Its clock, too. */
    rig_start(&r, DEVICES,
              RULES(RULE("many", "sump",
                         "mode: samples, levels: [{severity: minor, when: "
                         "\"count_over(building, door, open) "
                         ">= 1\", for: 5m}, " MANY "]")));
    say(&r, HOUR, "d1", "open=1");
    say(&r, HOUR + 6 * MIN, "d2", "open=1");
    told(&r, "3960 many s2 activated active minor good\n"); /* of s1 a gap, which is less */
    rig_end(&r);
}

/* Nor does it break a clock that tolerates a miss; not by the look that life-safety has after each word. */
static void what_others_say_spends_no_tolerance(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, DEVICES,
        RULES(RULE(
            "mixed", "sump",
            "tolerate: {miss: 1, of: 5}, levels: [{severity: minor, when: level > 0.8, for: "
            "5m}, " MANY "]")
                  RULE("danger", "sump",
                       "life_safety: true, tolerate: {miss: 1, of: 5}, levels: [{severity: "
                       "minor, "
                       "when: level > 0.5}, {severity: major, when: level > 0.8, for: 5m}, "
                       "{severity: critical, when: \"count_over(building, door, open) >= 2\", "
                       "for: 1h}]")));
    for (unsigned i = 1; i <= 7; i++) {
        say(&r, i * MIN, "s1", i == 4 ? "level=0.6" : "level=0.9");
        if (i == 4) {
            say(&r, 4 * MIN + 10 * S, "d1", "open=1");
            say(&r, 4 * MIN + 20 * S, "d2", "open=1");
            say(&r, 4 * MIN + 30 * S, "d2", "open=0");
            rig_restart(&r);
        }
    }
    told(&r, "60 danger s1 activated active minor good\n"
             "360 mixed s1 activated active minor good\n"
             "360 danger s1 level active major good\n");
    rig_end(&r);
}

/* What others raised and ended leaves no level behind that its device never said. */
static void no_level_stays_that_was_never_said(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, RIG_HEAD "m1,smoke,c1,b1,1h,,\nd1,door,c1,b1,,,\nd2,door,c1,b1,,,\n",
        RULES(RULE("m", "smoke",
                   "mode: hold, levels: [{severity: minor, when: alarm}, {severity: major, "
                   "when: \"count_over(building, door, open) >= 2\"}]")));
    say(&r, 1 * MIN, "m1", "alarm=0");
    say(&r, 2 * MIN, "d1", "open=1");
    say(&r, 3 * MIN, "d2", "open=1");
    say(&r, 4 * MIN, "d2", "open=0");
    rig_to(&r, 50 * MIN);
    told(&r, "180 m m1 activated active major good\n240 m m1 cleared normal major good\n");
    rig_end(&r);
    rig_start(
        &r, RIG_HEAD "s1,sump,c1,b1,,,\nd1,door,c1,b1,,,\nd2,door,c1,b1,,,\n",
        RULES(RULE("m", "sump",
                   "mode: hold, fresh: 10m, levels: [{severity: minor, when: pump_on}, "
                   "{severity: major, when: \"count_over(building, door, open) >= 2\"}]")));
    say(&r, 1 * MIN, "s1", "pump_on=0");
    say(&r, HOUR, "d1", "open=1");
    say(&r, HOUR + MIN, "d2", "open=1");
    say(&r, HOUR + 2 * MIN, "d2", "open=0");
    rig_to(&r, 5 * HOUR);
    told(&r, "3660 m s1 activated active major good\n3720 m s1 cleared normal major good\n");
    rig_end(&r);
}

/* With max_gap a level that looks at the clock goes by the age of what it reads: another metric, heard
 * just then, makes it no younger. */
static void an_event_ends_whatever_else_is_heard(void **state)
{
    (void)state;
    static const unsigned beats[] = {10, 8000, 8400, 8500, 8501, 9900};
    for (unsigned i = 0; i < sizeof(beats) / sizeof(*beats); i++) {
        struct rig r;
        rig_start(
            &r, RIG_HEAD "d1,sump,c1,b1,60s,,\n",
            RULES(RULE(
                "call", "sump",
                "mode: samples, max_gap: 1s, unknown: false, levels: [{severity: "
                "major, when: pump_on, off: \"not pump_on or age(pump_on) > 298.5 s\"}]")));
        say(&r, 60 * S, "d1", "pump_on=1");
        for (uint64_t k = 0; k < 360; k++) {
            uint64_t at = 60 * S + beats[i] * (S / 1000) + k * 10 * S;
            say(&r, at, "d1", "battery_pct=50");
        }
        say(&r, 3660 * S, "d1", "pump_on=1");
        rig_to(&r, 3670 * S);
        told(&r, "60 call d1 activated active major good\n"
                 "358 call d1 cleared normal major good\n"
                 "3660 call d1 activated active major good\n");
        rig_end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_say_spends_no_tolerance),
        cmocka_unit_test(no_level_stays_that_was_never_said),
        cmocka_unit_test(an_event_ends_whatever_else_is_heard),
        cmocka_unit_test(what_others_say_moves_no_clock_of_samples),
        cmocka_unit_test(what_others_say_ends_no_level_of_samples),
        cmocka_unit_test(what_others_end_is_over),
        cmocka_unit_test(what_counts_goes_by_what_others_say),
        cmocka_unit_test(an_hour_makes_no_alarm_of_what_is_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
