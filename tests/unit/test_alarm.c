/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions: levels, delays, silence, restarts, reloads; one step at a time. */
#include "alarm_rig.h"

#define HIGH                                                                                   \
    RULE("high", "sump",                                                                       \
         "levels: [{severity: major, when: level > 0.8, off: level < 0.6, for: 60s},"          \
         " {severity: critical, when: level > 1.2, off: level < 1.0, for: 10s}], off_for: 2m")

static void levels_rise_and_fall(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(HIGH));
    say(&r, 60 * S, "s1", "level=0.5");
    say(&r, 120 * S, "s1", "level=0.9");
    assert_int_equal(rig_look(&r, "high", "s1", "").condition, ALARM_PENDING);
    told(&r, "");
    say(&r, 180 * S, "s1", "level=0.9");
    told(&r, "180 high s1 activated active major good\n");
    struct alarm_event e = rig_look(&r, "high", "s1", "");
    assert_int_equal(e.since_ms, WALL0 + 120000);
    assert_true(e.value == 0.9 && e.limit == 0.8);
    say(&r, 240 * S, "s1", "level=1.3");
    told(&r, "");
    say(&r, 300 * S, "s1", "level=1.3");
    told(&r, "300 high s1 level active critical good\n");
    say(&r, 360 * S, "s1", "level=1.1"); /* between on and off */
    say(&r, 420 * S, "s1", "level=0.95");
    assert_int_equal(rig_look(&r, "high", "s1", "").condition, ALARM_RECOVERING);
    say(&r, 480 * S, "s1", "level=0.95");
    told(&r, "");
    say(&r, 540 * S, "s1", "level=0.95");
    told(&r, "540 high s1 level active major good\n");
    for (uint64_t t = 600; t <= 720; t += 60)
        say(&r, t * S, "s1", "level=0.5");
    told(&r, "720 high s1 cleared normal major good\n");
    rig_end(&r);
}

static void straight_down_from_the_top(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(HIGH));
    for (uint64_t t = 60; t <= 240; t += 60)
        say(&r, t * S, "s1", "level=1.5");
    told(&r, "120 high s1 activated active critical good\n");
    for (uint64_t t = 300; t <= 420; t += 60)
        say(&r, t * S, "s1", "level=0.3");
    told(&r, "420 high s1 cleared normal critical good\n");
    rig_end(&r);
}

static void restart_keeps_everything(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(HIGH));
    say(&r, 60 * S, "s1", "level=0.9");
    rig_restart(&r);
    say(&r, 120 * S, "s1", "level=0.9");
    rig_restart(&r);
    told(&r, "120 high s1 activated active major good\n");
    rig_restart(&r);
    say(&r, 180 * S, "s1", "level=0.5");
    say(&r, 240 * S, "s1", "level=0.5");
    rig_restart(&r);
    say(&r, 300 * S, "s1", "level=0.5");
    told(&r, "300 high s1 cleared normal major good\n");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_rise_and_fall),
        cmocka_unit_test(straight_down_from_the_top),
        cmocka_unit_test(restart_keeps_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
