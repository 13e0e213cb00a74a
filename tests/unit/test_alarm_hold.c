/* SPDX-License-Identifier: Apache-2.0 */
/* A state that is held over a silence: what was seen of it counts, once, whoever says so first when the
 * device is heard of again. */
#include "alarm_rig.h"

#define DOOR(fresh, more)                                                                      \
    RULES(RULE("open", "door",                                                                 \
               "fresh: " fresh ", levels: [{severity: minor, when: open, off: not open, " more \
               "}]"))
#define HALF_HOUR DOOR("3m", "for: 30m")

static void kept(struct rig *r, uint64_t at, const char *point, const char *what, int from,
                 int to)
{
    for (int k = from; k < to; k++)
        rig_say(r, at, "d1", what, (struct said){.point = point, .order = (uint64_t)k * MIN});
}

static void heartbeats(struct rig *r, int from, int to)
{
    for (int k = from; k < to; k++) {
        rig_to(r, (uint64_t)k * MIN + 2 * S);
        alarm_alive(r->a, rig_device(r, "d1"), r->now);
    }
}

/* The pause counted until 4 and 26 min already. */
static void nothing_counts_twice(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, HALF_HOUR);
    say(&r, 1 * MIN, "d1", "open=1");
    rig_to(&r, HOUR);
    kept(&r, HOUR, "", "open=1", 2, 30);
    rig_to(&r, HOUR + 6 * S);
    told(&r, "");
    rig_end(&r);
    rig_start(&r, rig_devices, DOOR("25m", "for: 30m"));
    say(&r, 1 * MIN, "d1", "open=1");
    rig_to(&r, HOUR);
    kept(&r, HOUR, "", "open=1", 2, 9);
    kept(&r, HOUR, "", "open=0", 9, 10);
    rig_to(&r, 2 * HOUR);
    told(&r, "");
    rig_end(&r);
    rig_start(&r, rig_devices, DOOR("25m", "off_for: 30m"));
    say(&r, 1 * MIN, "d1", "open=1");
    say(&r, 2 * MIN, "d1", "open=0");
    rig_to(&r, HOUR);
    kept(&r, HOUR, "", "open=0", 3, 10);
    rig_to(&r, HOUR + 10 * S);
    told(&r, "60 open d1 activated active minor good\n");
    rig_end(&r);
}

/* A sign of life, or another point, may come before what was kept. */
static void what_was_kept_counts_whatever_comes_first(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct rig r;
        rig_start(&r, rig_devices, HALF_HOUR);
        say(&r, 1 * MIN, "d1", "open=1");
        rig_to(&r, HOUR);
        if (first)
            alarm_alive(r.a, rig_device(&r, "d1"), r.now);
        rig_to(&r, HOUR + S / 2);
        rig_restart(&r);
        kept(&r, HOUR + S, "", "open=1", 2, 60);
        heartbeats(&r, 61, 240);
        told(&r, "3606 open d1 activated active minor good late\n");
        rig_end(&r);
    }
    struct rig r;
    rig_start(&r, rig_devices, HALF_HOUR);
    kept(&r, 1 * MIN, "a", "open=1", 1, 2);
    kept(&r, 1 * MIN, "b", "open=1", 1, 2);
    rig_to(&r, HOUR);
    for (int k = 2; k < 60; k++) {
        kept(&r, HOUR, "a", "open=1", k, k + 1);
        kept(&r, HOUR, "b", "open=1", k, k + 1);
    }
    heartbeats(&r, 61, 240);
    told(&r, "3605 open d1@a activated active minor good late\n"
             "3605 open d1@b activated active minor good late\n");
    rig_end(&r);
}

/* One that comes when the clock goes on already neither stops it nor winds it up. */
static void what_was_kept_and_comes_late_stops_no_clock(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, HALF_HOUR);
    say(&r, 1 * MIN, "d1", "open=1");
    rig_to(&r, HOUR);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    kept(&r, HOUR + 10 * S, "", "open=1", 10, 11);
    heartbeats(&r, 61, 300);
    told(&r, "5230 open d1 activated active minor good late\n");
    rig_end(&r);
    rig_start(&r, rig_devices, DOOR("3m", "off_for: 30m"));
    say(&r, 1 * MIN, "d1", "open=1");
    say(&r, 2 * MIN, "d1", "open=0");
    rig_to(&r, 10 * HOUR);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    kept(&r, 10 * HOUR + 10 * S, "", "open=0", 10, 11);
    heartbeats(&r, 601, 1000);
    told(&r, "60 open d1 activated active minor good\n"
             "37630 open d1 cleared normal minor good late\n");
    rig_end(&r);
    /* A millisecond is left: not a timer for each of an hour. */
    struct alarm_stats before, after;
    rig_start(&r, rig_devices, DOOR("3m", "for: 6m"));
    say(&r, 1 * MIN, "d1", "open=1");
    rig_to(&r, 4 * MIN - S / 1000);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_to(&r, HOUR);
    alarm_stats(r.a, &before);
    kept(&r, HOUR, "", "open=1", 5, 6);
    rig_to(&r, HOUR + 2 * MIN);
    alarm_stats(r.a, &after);
    assert_in_range(after.evaluations - before.evaluations, 1, 4);
    rig_end(&r);
}

/* Between two words that are further apart than `fresh` nothing is known, kept or not. */
static void a_kept_word_bridges_no_gap(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct rig r;
        rig_start(&r, rig_devices, HALF_HOUR);
        say(&r, 1 * MIN, "d1", "open=1");
        rig_to(&r, HOUR);
        if (k > 0)
            kept(&r, HOUR, "", "open=1", k == 1 ? 2 : 5, k == 1 ? 3 : 6);
        if (k > 2)
            kept(&r, HOUR, "", "open=1", 50, 51);
        say(&r, HOUR + S, "d1", "open=1");
        rig_to(&r, HOUR + 5 * MIN);
        told(&r, "");
        rig_end(&r);
    }
}

/* What a reload brings during a silence waits for what was kept, too. */
static void what_a_reload_brings_in_a_silence_has_its_moment(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, HALF_HOUR);
    say(&r, 1 * MIN, "d1", "open=1");
    rig_to(&r, HOUR);
    rig_reload(&r, rig_devices, DOOR("4m", "for: 1s"));
    rig_to(&r, 65 * MIN);
    rig_restart(&r);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_to(&r, 65 * MIN + 2 * S);
    kept(&r, 65 * MIN + 2 * S, "", "open=0", 2, 3);
    rig_to(&r, 2 * HOUR);
    told(&r, "");
    rig_end(&r);
}

/* A limit that a reload moved ends no danger of a device that nobody hears: a word of its own does. */
static void a_reload_in_a_silence_ends_no_danger(void **state)
{
    (void)state;
#define HIGH(limits)                                                                           \
    RULES(                                                                                     \
        RULE("high", "sump",                                                                   \
             "mode: hold, fresh: 3m, life_safety: true, levels: [{severity: critical, " limits \
             "}]"))
    struct rig r;
    rig_start(&r, rig_devices, HIGH("when: level > 0.8, off: level < 0.6"));
    say(&r, 1 * MIN, "s1", "level=0.9");
    rig_to(&r, HOUR);
    rig_reload(&r, rig_devices, HIGH("when: level > 0.95, off: level < 0.92"));
    for (int k = 60; k < 120; k++) {
        rig_to(&r, (uint64_t)k * MIN + S);
        alarm_alive(r.a, rig_device(&r, "s1"), r.now);
    }
    told(&r, "60 high s1 activated active critical good\n"
             "240 high s1 quality active critical stale\n"
             "3601 high s1 quality active critical good\n");
    say(&r, 2 * HOUR, "s1", "level=0.9");
    told(&r, "7200 high s1 cleared normal critical good\n");
    rig_end(&r);
}

/* Each level has its own clock, and all go by one axis: a late word starts none in what another has
 * counted already, and winds none up. */
static void a_late_word_starts_no_clock_in_the_past(void **state)
{
    (void)state;
#define THREE                                                                                  \
    RULES(RULE("high", "sump",                                                                 \
               "mode: hold, fresh: 5m, levels: [{severity: minor, when: level > 0.8, for: "    \
               "18m}, {severity: major, when: level > 0.9, for: 5h}, {severity: critical, "    \
               "when: level > 1.6, for: 15m}]"))
    struct rig r;
    rig_start(&r, rig_devices, THREE);
    say(&r, 1 * MIN, "s1", "level=1");
    for (int k = 2; k < 20; k++) {
        rig_to(&r, (uint64_t)k * MIN);
        alarm_alive(r.a, rig_device(&r, "s1"), r.now);
    }
    rig_say(&r, 20 * MIN, "s1", "level=1.9", (struct said){.order = 2 * MIN});
    for (int k = 60; k < 63; k++) {
        rig_to(&r, (uint64_t)k * MIN);
        alarm_alive(r.a, rig_device(&r, "s1"), r.now);
    }
    told(&r, "1140 high s1 activated active minor good\n"
             "1380 high s1 quality active minor stale\n"
             "3600 high s1 quality active minor good\n");
    rig_end(&r);
    rig_start(
        &r, rig_devices,
        RULES(RULE("high", "sump",
                   "mode: hold, fresh: 60m, levels: [{severity: minor, when: level > 0.8, "
                   "for: 19m}, {severity: major, when: level > 0.9, for: 25m}]")));
    say(&r, 1 * MIN, "s1", "level=1");
    for (int k = 2; k < 22; k++) {
        rig_to(&r, (uint64_t)k * MIN);
        alarm_alive(r.a, rig_device(&r, "s1"), r.now);
    }
    rig_say(&r, 21 * MIN, "s1", "level=1", (struct said){.order = 2 * MIN});
    rig_to(&r, HOUR);
    told(&r, "1200 high s1 activated active minor good\n"
             "1440 high s1 quality active minor stale\n"
             "1620 high s1 level active major stale late\n");
    rig_end(&r);
}

/* What lies in our own deafness is no part of a danger's end. */
static void a_danger_does_not_end_while_we_are_deaf(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, rig_devices,
        RULES(RULE("rise", "sump",
                   "mode: hold, fresh: 10m, life_safety: true, levels: [{severity: critical, "
                   "when: \"delta(level, 10m) > 0.5\", off: \"delta(level, 10m) < 0.2\", "
                   "off_for: 50s}]")));
    say(&r, 3600 * S, "s1", "level=1");
    say(&r, 3660 * S, "s1", "level=1.9");
    rig_to(&r, 4080 * S);
    alarm_link(r.a, 0, false, r.now);
    say(&r, 4320 * S, "s1", "level=1.9");
    say(&r, 4322 * S, "s1", "level=1.9");
    rig_to(&r, 4325 * S);
    alarm_link(r.a, 0, true, r.now);
    rig_to(&r, 4434 * S);
    told(&r, "3660 rise s1 activated active critical good\n"
             "3840 rise s1 quality active critical stale\n"
             "4320 rise s1 quality active critical good\n");
    rig_to(&r, 4440 * S);
    told(&r, "4435 rise s1 cleared normal critical good\n");
    rig_end(&r);
}

/* Where nothing is on its way the clock runs on from the sign of life, also one that comes seldom. */
static void a_sign_of_life_is_enough(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, HALF_HOUR);
    say(&r, 1 * MIN, "d1", "open=1");
    heartbeats(&r, 60, 240);
    told(&r, "5227 open d1 activated active minor good\n");
    rig_end(&r);
    rig_start(&r, rig_devices, DOOR("4s", "for: 9s"));
    say(&r, 1 * MIN, "d1", "open=1");
    heartbeats(&r, 2,
               60); /* two seconds of each minute's four, behind the half that it waits */
    told(&r, "245 open d1 activated active minor good\n");
    rig_end(&r);
}

/* What came to be while the device was silent is looked at when it is heard of again. */
static void what_a_silence_hides_is_not_forgotten(void **state)
{
    (void)state;
    struct rig r;
    for (int off = 0; off < 2; off++) {
        rig_start(&r, rig_devices, DOOR("3m", "for: 10m, off_for: 10m"));
        say(&r, 1 * MIN, "d1", "open=1");
        if (off) {
            heartbeats(&r, 2, 20);
            say(&r, 20 * MIN, "d1", "open=0");
        }
        rig_to(&r, HOUR);
        rig_reload(&r, rig_devices, DOOR("3m", "for: 9m, off_for: 9m"));
        rig_to(&r, HOUR + MIN);
        heartbeats(&r, 62, 240);
        told(&r, off ? "660 open d1 activated active minor good\n"
                       "4267 open d1 cleared normal minor good\n"
                     : "4267 open d1 activated active minor good\n");
        rig_end(&r);
    }
    rig_start(&r, rig_devices,
              RULES(RULE("night", "door",
                         "fresh: 5m, levels: [{severity: minor, when: open, off: not open, "
                         "for: 10m}], schedule: {windows: [{days: [sat], from: \"12:00\", to: "
                         "\"23:00\"}]}")));
    say(&r, 3 * HOUR, "d1", "open=1"); /* Saturday, 11:00 */
    rig_to(&r, 4 * HOUR + 5 * MIN);
    heartbeats(&r, 250, 500);
    told(&r, "15607 night d1 activated active minor good\n");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_counts_twice),
        cmocka_unit_test(what_was_kept_counts_whatever_comes_first),
        cmocka_unit_test(what_was_kept_and_comes_late_stops_no_clock),
        cmocka_unit_test(a_kept_word_bridges_no_gap),
        cmocka_unit_test(what_a_reload_brings_in_a_silence_has_its_moment),
        cmocka_unit_test(a_reload_in_a_silence_ends_no_danger),
        cmocka_unit_test(a_late_word_starts_no_clock_in_the_past),
        cmocka_unit_test(a_danger_does_not_end_while_we_are_deaf),
        cmocka_unit_test(a_sign_of_life_is_enough),
        cmocka_unit_test(what_a_silence_hides_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
