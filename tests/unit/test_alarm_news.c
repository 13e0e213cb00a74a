/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of one point whose times come out of their order. */
#include "alarm_rig.h"

#define FIRE RULES(RULE("fire", "smoke", "levels: [{severity: critical, when: alarm}]"))
#define HIGH                                                                                   \
    RULES(RULE("high", "sump",                                                                 \
               "levels: [{severity: major, when: level > 0.8, off: level < "                   \
               "0.6}]"))
#define LASTING                                                                                \
    RULES(RULE("high", "sump",                                                                 \
               "max_gap: 5m, levels: [{severity: major, when: level > 0.8, for: 2m}]"))

/* Its clock is two minutes behind; its heartbeat has no time of its own. */
static void an_alarm_behind_a_heartbeat(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, FIRE);
    say(&r, 10 * MIN, "m1", "battery_pct=90");
    rig_say(&r, 10 * MIN + 30 * S, "m1", "alarm=1", (struct said){.order = 8 * MIN + 30 * S});
    told(&r, "630 fire m1 activated active critical good\n");
    assert_int_equal(rig_look(&r, "fire", "m1", "").since_ms, WALL0 + 510 * 1000);
    say(&r, 11 * MIN, "m1", "battery_pct=90");
    rig_say(&r, 11 * MIN + 5 * S, "m1", "alarm=1", (struct said){.order = 9 * MIN + 5 * S});
    told(&r, "");
    rig_say(&r, 12 * MIN, "m1", "alarm=0", (struct said){.order = 10 * MIN});
    told(&r, "720 fire m1 cleared normal critical good\n");
    rig_end(&r);
}

/* The heartbeat's own metric in the alarm's message is the older one and moves nothing. */
static void only_what_is_new_of_it(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("wet", "sump", "levels: [{severity: major, when: level > 0.8}]")
                        RULE("runs", "sump", "levels: [{severity: minor, when: pump_on}]")));
    say(&r, 10 * MIN, "s1", "pump_on=0");
    rig_say(&r, 10 * MIN + 5 * S, "s1", "level=0.9 pump_on=1",
            (struct said){.order = 9 * MIN + 30 * S});
    told(&r, "605 wet s1 activated active major good\n");
    rig_say(&r, 10 * MIN + 6 * S, "s1", "level=0.1 pump_on=1",
            (struct said){.order = 9 * MIN + 20 * S}); /* older than both */
    told(&r, "");
    rig_end(&r);
}

/* What is newer of the same metric stands, and so does that it is broken. */
static void what_is_older_moves_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, HIGH);
    say(&r, 9 * MIN, "s1", "level=0.1");
    say(&r, 10 * MIN, "s1", "level=0.1");
    say(&r, 10 * MIN + 4 * S, "s1", "pump_on=1");
    rig_say(&r, 10 * MIN + 5 * S, "s1", "level=0.9", (struct said){.order = 9 * MIN + 30 * S});
    rig_say(&r, 10 * MIN + 6 * S, "s1", "level=0.9", (struct said){.order = 10 * MIN});
    told(&r, "");
    rig_end(&r);
}

/* Of a bad value no time is kept: what is good and newer than the last good one is news. */
static void what_was_bad_may_be_good(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, FIRE);
    rig_say(&r, 9 * MIN, "m1", "alarm=0", (struct said){.order = 7 * MIN});
    say(&r, 10 * MIN, "m1", "battery_pct=90");
    rig_say(&r, 10 * MIN + 30 * S, "m1", "!alarm", (struct said){.order = 8 * MIN + 30 * S});
    say(&r, 12 * MIN, "m1", "battery_pct=90");
    rig_say(&r, 12 * MIN + 5 * S, "m1", "alarm=1", (struct said){.order = 10 * MIN + 5 * S});
    told(&r, "725 fire m1 activated active critical good\n");
    rig_end(&r);
}

/* Said once more, after more than anybody remembers, it is neither news nor the past. */
static void said_again_it_is_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, HIGH);
    say(&r, 10 * MIN, "s1", "pump_on=1");
    for (int again = 0; again < 2; again++) {
        rig_say(&r, 10 * MIN + 10 * S, "s1", "level=0.9", (struct said){.order = 570 * S});
        rig_say(&r, 10 * MIN + 20 * S, "s1", "level=0.1", (struct said){.order = 580 * S});
        told(&r, again ? ""
                       : "610 high s1 activated active major good\n"
                         "620 high s1 cleared normal major good\n");
    }
    rig_end(&r);
}

/* Nine minutes of values, taken at once: no window has them. */
static void no_window_has_them(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("leak", "sump",
                         "levels: [{severity: minor, when: 'delta(level, 5m) > 0.3'}]")));
    say(&r, 9 * MIN, "s1", "level=0.1");
    say(&r, 10 * MIN, "s1", "pump_on=1");
    for (unsigned i = 1; i < 10; i++) {
        char text[32];
        snprintf(text, sizeof(text), "level=0.%u5", i);
        rig_say(&r, 10 * MIN + i * S / 2, "s1", text,
                (struct said){.order = (540 + i * 5) * S});
    }
    told(&r, "");
    say(&r, 10 * MIN + 30 * S, "s1", "level=0.95");
    told(&r, "630 leak s1 activated active minor good\n"); /* 0.1 at 9, 0.95 now */
    rig_end(&r);
}

/* Of more than ten minutes ago it is the past. */
static void what_is_long_ago_is_history(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, HIGH);
    say(&r, 10 * MIN, "s1", "pump_on=1");
    say(&r, 60 * MIN, "s1", "pump_on=1");
    rig_say(&r, 60 * MIN + 5 * S, "s1", "level=0.9", (struct said){.order = 49 * MIN});
    rig_say(&r, 60 * MIN + 6 * S, "s1", "level=0.1", (struct said){.order = 49 * MIN + 30 * S});
    rig_to(&r, 65 * MIN);
    told(&r, "3606 high s1 episode normal major good late 2940..2970\n");
    rig_say(&r, 66 * MIN, "s1", "level=0.9", (struct said){.order = 49 * MIN + 45 * S});
    rig_to(&r, 70 * MIN);
    told(
        &r,
        "3965 high s1 episode normal major good late 2985..2985\n"); /* how it went on is unknown */
    rig_end(&r);
}

/* Late as it is, its clock runs as time goes by for the point. */
static void its_clock_runs(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, LASTING);
    for (unsigned i = 0; i < 4; i++) {
        say(&r, (10 + i) * MIN, "s1", "pump_on=1");
        rig_say(&r, (10 + i) * MIN + 10 * S, "s1", "level=0.9",
                (struct said){.order = (9 + i) * MIN + 10 * S});
        told(&r, i == 2 ? "730 high s1 activated active major good\n" : "");
    }
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_behind_a_heartbeat),
        cmocka_unit_test(only_what_is_new_of_it),
        cmocka_unit_test(what_is_older_moves_nothing),
        cmocka_unit_test(what_was_bad_may_be_good),
        cmocka_unit_test(said_again_it_is_nothing),
        cmocka_unit_test(no_window_has_them),
        cmocka_unit_test(what_is_long_ago_is_history),
        cmocka_unit_test(its_clock_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
