/* SPDX-License-Identifier: Apache-2.0 */
/* Where two things meet: a level and an uplink, a reload and a count, silence and a window, a schedule
 * and life-safety. */
#include "alarm_rig.h"

#define UP RULE("up", "uplink", "no_data: {after: 3m, policy: alert}")
#define WET                                                                                    \
    RULE("wet", "sump",                                                                        \
         "levels: [{severity: minor, when: level > 0.8, off: level < 0.6}, {severity: major, " \
         "when: level > 1.2, off: level < 1.0}], no_data: {after: 5m, policy: alert}")
#define BEHIND RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"

/* -- what an uplink hides ------------------------------------------------------------------- */

static void an_uplink_hides_silence_and_no_level(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, BEHIND, RULES(WET UP));
    say(&r, 60 * S, "u1", "rssi=1");
    say(&r, 60 * S, "s1", "level=0.9");
    say(&r, 60 * S, "s2", "level=0.1");
    rig_to(&r, 400 * S);
    told(&r, "60 wet s1 activated active minor good\n"
             "240 up u1 activated active no_data stale\n"
             "360 wet s1 quality active minor stale\n"
             "360 wet s2 activated active no_data stale inhibited\n");
    rig_restart(&r);
    /* Both come back by another way, and the water has risen. */
    say(&r, 600 * S, "s1", "level=1.3");
    say(&r, 601 * S, "s2", "level=0.9");
    told(&r, "600 wet s1 level active major good\n"
             "601 wet s2 level active minor good\n");
    say(&r, 660 * S, "s1", "level=1.1");
    say(&r, 661 * S, "s2", "level=1.3");
    told(&r, "661 wet s2 level active major good\n");
    rig_to(&r, 2000 * S);
    told(&r, "960 wet s1 quality active major stale\n961 wet s2 quality active major stale\n");
    rig_end(&r);
}

#define GONE   RULE("gone", "sump", "no_data: {after: 5m, policy: alert}")
#define ANYONE RULE("gone", "\"*\"", "no_data: {after: 5m, policy: alert}")

/* The uplink and both behind it say something once. */
static void fall_silent(struct rig *r)
{
    rig_start(r, BEHIND, RULES(GONE UP));
    say(r, 60 * S, "u1", "rssi=1");
    say(r, 60 * S, "s1", "level=0.1");
    say(r, 60 * S, "s2", "level=0.1");
    rig_to(r, 400 * S);
}

/* Who is not behind it any more is told. */
static void a_silent_device_leaves_its_silent_uplink(void **state)
{
    (void)state;
    struct rig r;
    fall_silent(&r);
    told(&r, "240 up u1 activated active no_data stale\n"
             "360 gone s1 activated active no_data stale inhibited\n"
             "360 gone s2 activated active no_data stale inhibited\n");
    rig_reload(&r,
               RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,u1,\n",
               RULES(GONE UP));
    rig_to(&r, 500 * S);
    told(&r, "400 gone s1 inhibit active no_data stale\n");
    /* And back, where it is hidden again. */
    rig_reload(&r, BEHIND, RULES(GONE UP));
    rig_to(&r, 600 * S);
    told(&r, "500 gone s1 inhibit active no_data stale inhibited\n");
    rig_end(&r);
}

/* Nobody was behind it before; until it is heard of again. */
static void silent_devices_come_behind_a_silent_one(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\n",
              RULES(GONE UP));
    say(&r, 60 * S, "u1", "rssi=1");
    say(&r, 60 * S, "s1", "level=0.1");
    rig_to(&r, 400 * S);
    r.n_log = 0;
    rig_reload(&r, BEHIND, RULES(GONE UP));
    rig_to(&r, 500 * S);
    told(&r, "400 gone s1 inhibit active no_data stale inhibited\n"
             "400 gone s2 inhibit active no_data stale inhibited\n");
    rig_restart(&r);
    say(&r, 600 * S, "u1", "rssi=1");
    rig_to(&r, 700 * S);
    told(&r, "600 up u1 cleared normal no_data good\n"
             "660 gone s1 inhibit active no_data stale\n"
             "660 gone s2 inhibit active no_data stale\n");
    rig_end(&r);
}

/* The one that told for all does so no longer. */
static void an_uplink_that_is_told_no_more_hides_nobody(void **state)
{
    (void)state;
    struct rig r;
    fall_silent(&r);
    r.n_log = 0;
    rig_reload(&r, BEHIND, RULES(GONE));
    rig_to(&r, 600 * S);
    told(&r, "400 up u1 removed normal no_data stale rule_removed\n"
             "400 gone s1 inhibit active no_data stale\n"
             "400 gone s2 inhibit active no_data stale\n");
    rig_end(&r);
}

#define TIERS                                                                                  \
    RIG_HEAD "u1,uplink,c1,b1,60s,,\nd1,door,c1,b1,60s,u1,\ns1,sump,c1,b1,60s,d1,\n"           \
             "s2,sump,c1,b1,60s,d1,\ns3,sump,c1,b1,60s,d1,\n"

static void tiers_fall_silent(struct rig *r, const char *rules)
{
    static const char *const sumps[] = {"s1", "s2", "s3"};
    rig_start(r, TIERS, rules);
    say(r, 60 * S, "u1", "rssi=1");
    for (unsigned i = 0; i < 3; i++)
        say(r, 60 * S, sumps[i], "level=0.1");
    rig_to(r, 599 * S);
    r->n_log = 0;
    say(r, 600 * S, "u1", "rssi=1");
}

/* Whom the uplink of an uplink hid is told when that is back, as who is right behind it. */
static void an_uplink_of_uplinks_hides_nobody_for_ever(void **state)
{
    (void)state;
    struct rig r;
    tiers_fall_silent(&r, RULES(GONE UP));
    say(&r, 601 * S, "s1", "level=0.1");
    rig_to(&r, 700 * S);
    told(&r, "600 up u1 cleared normal no_data good\n"
             "601 gone s1 cleared normal no_data good inhibited\n"
             "660 gone s2 inhibit active no_data stale\n"
             "660 gone s3 inhibit active no_data stale\n");
    rig_end(&r);
    /* What is between them is blamed, and not silent by its own patience yet. */
    tiers_fall_silent(
        &r, RULES(GONE UP RULE("slow", "door", "no_data: {after: 40m, policy: alert}")));
    rig_to(&r, 700 * S);
    told(&r, "600 up u1 cleared normal no_data good\n"
             "660 slow d1 inhibit active no_data stale\n");
    rig_end(&r);
}

/* -- counts and reloads --------------------------------------------------------------------- */

#define TWO_OF(area, more)                                                                     \
    RULE("many", "door",                                                                       \
         "levels: [{severity: major, when: \"count_over(" area ", door, open) >= 2\"}]" more)
#define DOORS RIG_HEAD "d1,door,c1,b1,,,\nd2,door,c1,b1,,,\nd3,door,c1,b1,,,\n"
#define OPEN                                                                                   \
    RULE("open", "door", "levels: [{severity: minor, when: open, off: not open, for: 1h}]")

static void two_open(struct rig *r, const char *rules)
{
    rig_start(r, DOORS, rules);
    say(r, 60 * S, "d1", "open=1");
    say(r, 61 * S, "d2", "open=1");
}

/* What was said before the rule came is counted. */
static void a_new_rule_counts_what_is_known(void **state)
{
    (void)state;
    struct rig r;
    two_open(&r, RULES(OPEN));
    rig_reload(&r, DOORS, RULES(OPEN TWO_OF("building", "")));
    rig_to(&r, 62 * S);
    told(&r, "61 many d1 activated active major good\n61 many d2 activated active major good\n"
             "61 many d3 activated active major good\n");
    /* Another way to say the same of the same doors. */
    rig_reload(&r, DOORS, RULES(OPEN TWO_OF("compound", "")));
    rig_to(&r, 63 * S);
    told(&r, "");
    say(&r, 64 * S, "d1", "open=0");
    told(&r, "64 many d1 cleared normal major good\n64 many d2 cleared normal major good\n"
             "64 many d3 cleared normal major good\n");
    rig_end(&r);
}

/* Those that count a device that went, or came, are looked at. */
static void a_device_that_moves_is_counted_where_it_is(void **state)
{
    (void)state;
    struct rig r;
    two_open(&r, RULES(TWO_OF("building", "")));
    r.n_log = 0;
    rig_reload(&r, RIG_HEAD "d1,door,c1,b1,,,\nd2,door,c1,b2,,,\nd3,door,c1,b1,,,\n",
               RULES(TWO_OF("building", "")));
    rig_to(&r, 62 * S);
    told(&r, "61 many d1 cleared normal major good\n61 many d2 cleared normal major good\n"
             "61 many d3 cleared normal major good\n");
    rig_reload(&r, DOORS, RULES(TWO_OF("building", "")));
    rig_to(&r, 63 * S);
    told(&r, "62 many d1 activated active major good\n62 many d2 activated active major good\n"
             "62 many d3 activated active major good\n");
    rig_reload(&r, RIG_HEAD "d2,door,c1,b1,,,\nd3,door,c1,b1,,,\n",
               RULES(TWO_OF("building", "")));
    rig_to(&r, 64 * S);
    told(&r, "63 many d1 removed normal major good device_removed\n"
             "63 many d2 cleared normal major good\n63 many d3 cleared normal major good\n");
    rig_end(&r);
    /* Life-safety waits until somebody there speaks. */
    two_open(&r, RULES(TWO_OF("building", ", life_safety: true")));
    r.n_log = 0;
    rig_reload(&r, RIG_HEAD "d2,door,c1,b1,,,\nd3,door,c1,b1,,,\n",
               RULES(TWO_OF("building", ", life_safety: true")));
    rig_to(&r, 64 * S);
    told(&r, "61 many d1 removed normal major good device_removed\n");
    say(&r, 65 * S, "d2", "open=1");
    told(&r, "65 many d2 cleared normal major good\n");
    rig_end(&r);
    /* So does what is life-safety only since it was raised. */
    two_open(&r, RULES(TWO_OF("building", ", life_safety: true")));
    r.n_log = 0;
    rig_reload(&r, RIG_HEAD "d2,door,c1,b1,,,\nd3,door,c1,b1,,,\n",
               RULES(TWO_OF("building", "")));
    rig_to(&r, 64 * S);
    told(&r, "61 many d1 removed normal major good device_removed\n");
    say(&r, 65 * S, "d2", "open=1");
    told(&r, "65 many d2 cleared normal major good\n");
    rig_end(&r);
}

/* -- silence and windows ---------------------------------------------------------------------- */

#define CHATTERS                                                                               \
    RULE("chatters", "sump",                                                                   \
         "no_data: {after: 20m, policy: keep}, levels: [{severity: minor, when: "              \
         "\"changes(pump_on, 10m) > 2\", off: \"changes(pump_on, 10m) < 1\"}]")

/* A window that ran empty in silence ends its alarm when the device is heard of, whatever it says. */
static void what_silence_held_ends_when_it_is_heard_of(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(CHATTERS));
    for (unsigned i = 0; i < 6; i++)
        say(&r, (60 + i) * S, "s1", i & 1 ? "pump_on=0" : "pump_on=1");
    told(&r, "63 chatters s1 activated active minor good\n");
    rig_to(&r, 2 * HOUR);
    told(&r, "1265 chatters s1 quality active minor stale\n");
    rig_restart(&r);
    say(&r, 2 * HOUR + MIN, "s1", "level=0.1"); /* the pump rests, so nothing is said of it */
    rig_to(&r, 2 * HOUR + 2 * MIN);
    told(&r, "7260 chatters s1 quality active minor good\n"
             "7260 chatters s1 cleared normal minor good\n");
    rig_end(&r);
}

/* Its patience is long, but four reports are missing: that is no recovery either. */
static void a_window_ends_nothing_while_reports_are_missing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, RIG_HEAD "s1,sump,c1,b1,60s,,\n",
        RULES(RULE("moves", "sump",
                   "no_data: {after: 30m, policy: keep}, levels: [{severity: major, when: "
                   "\"max(level, 5m) - min(level, 5m) > 0.5 m\", off: \"max(level, 5m) - "
                   "min(level, 5m) < 0.3 m\"}]")));
    say(&r, 60 * S, "s1", "level=0.1");
    say(&r, 120 * S, "s1", "level=0.9");
    rig_to(&r, 20 * MIN);
    told(&r, "120 moves s1 activated active major good\n");
    alarm_alive(r.a, rig_device(&r, "s1"), r.now); /* it lives, and has nothing to say of it */
    rig_to(&r, 21 * MIN);
    told(&r, ""); /* what is known now is not enough: the window is empty */
    say(&r, 21 * MIN, "s1", "level=0.9");
    told(&r, "1260 moves s1 cleared normal major good\n");
    rig_end(&r);
}

/* What begins while the device is silent is seen to be old. */
static void what_begins_in_silence_is_stale(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "d1,door,c1,b1,60s,,\n",
              RULES(RULE("open", "door",
                         "fresh: 1h, no_data: {after: 2m, policy: keep}, levels: [{severity: "
                         "minor, when: open, off: not open, for: 10m}]")));
    say(&r, 60 * S, "d1", "open=1");
    rig_to(&r, 20 * MIN);
    told(&r, "660 open d1 activated active minor stale\n");
    say(&r, 20 * MIN, "d1", "open=1");
    told(&r, "1200 open d1 quality active minor good\n");
    rig_end(&r);
}

/* A level that waits for its device holds none up that does not. */
static void one_level_waits_and_another_does_not(void **state)
{
    (void)state;
    struct rig r;
    two_open(&r,
             RULES(RULE("open", "door",
                        "fresh: 5m, levels: [{severity: minor, when: open, for: 6m}, "
                        "{severity: major, when: \"count_over(building, door, open) >= 2\", "
                        "for: 10m}]")));
    rig_to(&r, HOUR);
    told(&r,
         "661 open d1 activated active major good\n661 open d2 activated active major good\n"
         "661 open d3 activated active major good\n");
    rig_end(&r);
}

/* Bad until it is said to be good, whatever else is said. */
static void a_broken_value_stays_broken(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("both", "sump",
                         "levels: [{severity: major, when: level > 0.8 or pump_on}]")));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 2 * MIN, "s1", "!level pump_on=1");
    told(&r, "60 both s1 activated active major good\n120 both s1 quality active major bad\n");
    say(&r, 3 * MIN, "s1", "pump_on=1");
    told(&r, "");
    say(&r, 4 * MIN, "s1", "level=0.9");
    told(&r, "240 both s1 quality active major good\n");
    rig_end(&r);
}

/* -- catching up ------------------------------------------------------------------------------ */

/* A point that had nothing to do with it is not read again. */
static void what_was_read_is_not_read_again(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("twice", "sump",
                         "levels: [{severity: minor, when: \"count(level, 1h) >= 2\"}]")));
    rig_say(&r, 60 * S, "s1", "level=0.1", (struct said){.point = "b"});
    rig_say(&r, 120 * S, "s1", "level=0.1", (struct said){.catch_up = true});
    rig_to(&r, 180 * S);
    told(&r, "");
    rig_say(&r, 200 * S, "s1", "level=0.1", (struct said){.catch_up = true});
    rig_to(&r, 300 * S);
    told(&r, "205 twice s1 activated active minor good late\n");
    rig_end(&r);
    /* Life-safety has read it already. */
    rig_start(&r, rig_devices,
              RULES(RULE("twice", "smoke",
                         "levels: [{severity: minor, when: \"count(alarm, 1h) >= 2\"}]")));
    rig_say(&r, 60 * S, "m1", "alarm=0", (struct said){.catch_up = true});
    rig_to(&r, 180 * S);
    told(&r, "");
    rig_end(&r);
}

/* What comes out of a queue, without a time of its own, is not counted one by one. */
static void only_the_last_of_a_queue_is_counted(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, DOORS, RULES(TWO_OF("building", "")));
    say(&r, 60 * S, "d1", "open=1");
    rig_say(&r, 61 * S, "d2", "open=1", (struct said){.catch_up = true});
    rig_say(&r, 62 * S, "d2", "open=0", (struct said){.catch_up = true});
    rig_say(&r, 62 * S, "d3", "open=0", (struct said){.catch_up = true});
    rig_say(&r, 63 * S, "d3", "open=1", (struct said){.catch_up = true});
    rig_to(&r, 64 * S);
    told(&r, "");
    rig_to(&r, 80 * S);
    told(&r,
         "68 many d3 activated active major good late\n"
         "68 many d1 activated active major good\n68 many d2 activated active major good\n");
    rig_end(&r);
}

/* -- the hour and what was said long ago ------------------------------------------------------ */

static void an_hour_makes_no_alarm_of_what_is_old(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, RIG_HEAD "s1,sump,c1,b1,60s,,\nd1,door,c1,b1,60s,,\n",
        RULES(RULE("night", "sump",
                   "no_data: {after: 48h, policy: keep}, levels: [{severity: minor, when: "
                   "\"level > 0.8 and between(\\\"22:00\\\", \\\"06:00\\\")\", for: 5m}]")
                  RULE("door", "door",
                       "fresh: 10m, no_data: {after: 48h, policy: keep}, levels: "
                       "[{severity: minor, when: \"open and between(\\\"22:00\\\", "
                       "\\\"06:00\\\")\"}]")));
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

/* -- reloads ---------------------------------------------------------------------------------- */

#define AT_ONCE                                                                                \
    RULE("high", "sump", "levels: [{severity: major, when: level > 0.8, off: level < 0.6}]")
#define OTHER   RULE("dry", "sump", "levels: [{severity: minor, when: level < 0.01}]")
#define EARLIER RULE("aa", "sump", "levels: [{severity: minor, when: battery_pct < 1}]")

/* What is read back of the past is not lost by a reload, nor by what else came with it. */
static void a_reload_forgets_no_open_episode(void **state)
{
    (void)state;
    enum { NOTHING, MORE_RULES, FEWER, CHANGED, HOW };
    static const char *const rules[HOW] = {
        RULES(AT_ONCE OTHER), RULES(EARLIER AT_ONCE OTHER), RULES(AT_ONCE),
        RULES(RULE("high", "sump", "levels: [{severity: major, when: level > 0.85}]") OTHER)};
    for (unsigned how = 0; how < HOW; how++) {
        struct rig r;
        rig_start(&r, rig_devices, RULES(AT_ONCE OTHER));
        say(&r, 1 * MIN, "s1", "level=0.1");
        say(&r, 60 * MIN, "s1", "level=0.1");
        for (unsigned i = 2; i < 60; i++) {
            rig_say(&r, 61 * MIN, "s1", i >= 10 && i < 20 ? "level=0.9" : "level=0.1",
                    (struct said){.order = i * MIN});
            if (i == 14) {
                rig_reload(&r, rig_devices, rules[how]);
                rig_restart(&r);
            }
        }
        rig_to(&r, 62 * MIN);
        told(&r, how == CHANGED ? "3660 high s1 episode normal major good late 900..1200\n"
                                : "3660 high s1 episode normal major good late 600..1200\n");
        rig_end(&r);
    }
}

/* What is saved behind a reload can be read, although what waited has no place any more. */
static void what_a_reload_left_can_be_loaded(void **state)
{
    (void)state;
    struct rig r;
#define WAITING                                                                                \
    RULE("open", "door", "fresh: 2m, levels: [{severity: minor, when: open, for: 5m}]")
    rig_start(&r, rig_devices, RULES(AT_ONCE WAITING));
    say(&r, 60 * S, "d1", "open=1");
    rig_to(&r, 10 * MIN); /* it waits for the door to be heard of */
    rig_reload(&r, rig_devices, RULES(AT_ONCE));
    rig_restart(&r);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_to(&r, 11 * MIN);
    rig_restart(&r);
    told(&r, "");
    rig_end(&r);
    /* The rule is not for its point any more, which was high and chattered a little. */
#define POINT(name)                                                                            \
    "device,kind,compound,building,expected_interval,point\ns1,sump,c1,b1,1h," name "\n"
#define AT_POINT                                                                               \
    DAMPED("high", "sump",                                                                     \
           "points: [a], levels: [{severity: major, when: level > 0.8, off: level < 0.6}]")
    rig_start(&r, POINT("a"), RULES(AT_POINT));
    say(&r, 60 * S, "s1", "level=0.9");
    say(&r, 70 * S, "s1", "level=0.1");
    told(&r, "60 high s1 activated active major good\n70 high s1 cleared normal major good\n");
    rig_reload(&r, POINT("b"), RULES(AT_POINT));
    rig_restart(&r);
    rig_to(&r, 30 * MIN);
    struct alarm_stats st;
    alarm_stats(r.a, &st);
    assert_int_equal(st.active + st.pending, 0);
    rig_end(&r);
}

/* -- schedules -------------------------------------------------------------------------------- */

#define MORNING(more)                                                                          \
    RULE("pump", "door",                                                                       \
         "levels: [{severity: minor, when: open, off: not open}], schedule: {windows: "        \
         "[{days: [sat], from: \"08:00\", to: \"08:30\"}], on_close: resolve}" more)

static void a_schedule_ends_nothing_that_endangers_life(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(MORNING(", life_safety: true")));
    say(&r, 60 * S, "d1", "open=1");
    rig_to(&r, 40 * MIN);
    say(&r, 41 * MIN, "d1", "open=1"); /* and a sample does not end it either */
    told(&r, "60 pump d1 activated active minor good\n");
    say(&r, 42 * MIN, "d1", "open=0");
    told(&r, "2520 pump d1 cleared normal minor good\n");
    say(&r, 43 * MIN, "d1", "open=1");
    told(&r, "");
    rig_end(&r);
    rig_start(&r, rig_devices, RULES(MORNING("")));
    say(&r, 60 * S, "d1", "open=1");
    rig_to(&r, 40 * MIN);
    told(&r, "60 pump d1 activated active minor good\n"
             "1800 pump d1 cleared normal minor good schedule\n");
    rig_end(&r);
}

#define GUARD                                                                                  \
    RULE("mute", "sump",                                                                       \
         "life_safety: true, no_data: {after: 5m, policy: alert}, schedule: {windows: "        \
         "[{days: [sat], from: \"08:00\", to: \"08:30\"}], on_close: resolve}")

/* Who is silent then is so still. */
static void a_schedule_ends_no_silence_that_endangers_life(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(GUARD));
    say(&r, 60 * S, "s1", "level=0.1");
    rig_to(&r, 40 * MIN);
    told(&r, "360 mute s1 activated active no_data stale\n");
    say(&r, 41 * MIN, "s1", "level=0.1");
    told(&r, "2460 mute s1 cleared normal no_data good\n");
    rig_end(&r);
}

#define SHIFT                                                                                  \
    RULE("wet", "sump",                                                                        \
         "levels: [{severity: minor, when: level > 0.8, off: level < 0.6}], schedule: "        \
         "{windows: [{days: [sat], from: \"08:00\", to: \"08:30\"}], on_close: resolve}")

/* What ends with its window says how well that is known: of whom nobody has heard it is stale. So live,
 * after a restart or a reload within the window, and when nobody was there as it closed. */
static void what_a_schedule_ends_is_stale_of_the_silent_only(void **state)
{
    (void)state;
    enum { LIVE, RESTART, RELOAD, LATER, HOW };
    for (unsigned how = 0; how < HOW; how++) {
        struct rig r;
        rig_start(&r, rig_devices, RULES(SHIFT));
        for (unsigned i = 1; i < 30; i++) {
            say(&r, i * MIN, "s1", "level=0.9");
            if (i <= 10)
                say(&r, i * MIN, "s2", "level=0.9");
            if (i == 20 && how == RESTART)
                rig_restart(&r);
            if (i == 20 && how == RELOAD)
                rig_reload(&r, rig_devices, RULES(SHIFT OTHER));
        }
        told(&r,
             "60 wet s1 activated active minor good\n60 wet s2 activated active minor good\n"
             "780 wet s2 quality active minor stale\n");
        if (how == LATER) {
            rig_restart(&r);
            r.now = BOOT + 31 * MIN;
            rig_reload(&r, rig_devices, RULES(SHIFT));
        }
        rig_to(&r, 32 * MIN);
        if (how == LATER)
            told(&r, "1860 wet s1 cleared normal minor good schedule\n"
                     "1860 wet s2 cleared normal minor stale schedule\n");
        else
            told(&r, "1800 wet s1 cleared normal minor good schedule\n"
                     "1800 wet s2 cleared normal minor stale schedule\n");
        rig_end(&r);
    }
}

/* A holiday in another age is a change that time never reaches. */
static void a_far_holiday_is_far(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, rig_devices,
        "version: 1\ncalendar: {holidays: [\"9998-12-31\"]}\ngroups:\n  - name: g\n"
        "    rules:\n" RULE("open", "door",
                            "levels: [{severity: minor, when: open, off: not open}], "
                            "schedule: {windows: [{days: [workday]}, {days: [sat, sun]}]}"));
    rig_to(&r, HOUR);
    say(&r, HOUR, "d1", "open=1");
    rig_to(&r, 90 * 24 * HOUR);
    told(&r, "3600 open d1 activated active minor good\n");
    rig_end(&r);
}

/* -- a changed rule --------------------------------------------------------------------------- */

#define ONLY(severity, on, off, more)                                                          \
    RULE("high", "sump",                                                                       \
         "levels: [{severity: " severity ", when: level > " on ", off: level < " off           \
         "}]" more)

static void changes(struct rig *r, const char *before, const char *after, const char *expected)
{
    rig_start(r, rig_devices, before);
    say(r, 60 * S, "s1", "level=0.9");
    r->n_log = 0;
    rig_reload(r, rig_devices, after);
    rig_to(r, 61 * S);
    told(r, expected);
}

static void a_changed_rule_raises_nothing_that_is_not_true(void **state)
{
    (void)state;
    struct rig r;
    /* The same limit is graver now. */
    changes(&r, RULES(ONLY("minor", "0.8", "0.6", "")),
            RULES(ONLY("critical", "0.8", "0.6", "")),
            "60 high s1 level active critical good rule_changed\n");
    rig_end(&r);
    /* Only what is graver, and is not there, is left. */
    changes(&r, RULES(ONLY("minor", "0.8", "0.6", "")),
            RULES(ONLY("critical", "1.2", "0.6", "")),
            "60 high s1 cleared normal critical good rule_changed\n");
    say(&r, 120 * S, "s1", "level=0.9");
    told(&r, "");
    rig_end(&r);
    /* Life-safety stays. */
    changes(&r, RULES(ONLY("minor", "0.8", "0.6", ", life_safety: true")),
            RULES(ONLY("critical", "1.2", "0.6", ", life_safety: true")),
            "60 high s1 level active critical good rule_changed\n");
    say(&r, 120 * S, "s1", "level=0.5");
    told(&r, "120 high s1 cleared normal critical good\n");
    rig_end(&r);
}

/* The delay of its other level goes on, although nobody says anything. */
static void a_changed_rule_of_life_safety_still_rises(void **state)
{
    (void)state;
    struct rig r;
#define TWO(off)                                                                               \
    RULE("open", "door",                                                                       \
         "life_safety: true, levels: [{severity: minor, when: open, off: " off                 \
         "}, {severity: major, when: open, for: 10m}]")
    rig_start(&r, rig_devices, RULES(TWO("not open")));
    say(&r, 60 * S, "d1", "open=1");
    told(&r, "60 open d1 activated active minor good\n");
    rig_reload(&r, rig_devices, RULES(TWO("\"not open or hour() >= 0\"")));
    rig_to(&r, 12 * MIN);
    told(&r, "660 open d1 level active major good\n");
    rig_end(&r);
}

#define DANGER(yes, limits)                                                                    \
    RULE("wet", "sump",                                                                        \
         "life_safety: " yes ", levels: [{severity: major, " limits                            \
         "}], no_data: {after: 5m}, "                                                          \
         "schedule: {windows: [{days: [sat], from: \"08:00\", to: \"08:04\"}], on_close: "     \
         "resolve}")

/* What was raised as life-safety stays so: neither the reload nor the schedule ends it, the next good
 * sample does. What is raised after that is what the rule says now. */
static void life_safety_is_never_demoted(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(DANGER("true", "when: level > 0.8, off: level < 0.6")));
    say(&r, 60 * S, "s1", "level=0.9");
    told(&r, "60 wet s1 activated active major good\n");
    rig_reload(&r, rig_devices, RULES(DANGER("false", "when: level > 1.8, off: level < 1.6")));
    rig_to(&r, 90 * S);
    told(&r, "");
    assert_true(rig_look(&r, "wet", "s1", "").life_safety);
    rig_restart(&r);
    rig_to(&r, 300 * S); /* its window closes */
    told(&r, "");
    assert_true(rig_look(&r, "wet", "s1", "").life_safety);
    say(&r, 310 * S, "s1", "level=0.9");
    told(&r, "310 wet s1 cleared normal major good\n");
    assert_false(rig_look(&r, "wet", "s1", "").life_safety);
    rig_end(&r);
}

/* What hides others hides it no longer, and people hear of it at once. */
static void what_becomes_life_safety_is_told(void **state)
{
    (void)state;
    struct rig r;
#define SILENT(yes)                                                                            \
    RULE("gone", "sump", "life_safety: " yes ", no_data: {after: 5m, policy: alert}")
    rig_start(&r, BEHIND, RULES(SILENT("false") UP));
    say(&r, 60 * S, "u1", "rssi=1");
    say(&r, 60 * S, "s1", "level=0.1");
    say(&r, 60 * S, "s2", "level=0.1");
    rig_to(&r, 400 * S);
    told(&r, "240 up u1 activated active no_data stale\n"
             "360 gone s1 activated active no_data stale inhibited\n"
             "360 gone s2 activated active no_data stale inhibited\n");
    rig_reload(&r, BEHIND, RULES(SILENT("true") UP));
    rig_to(&r, 500 * S);
    told(&r, "400 gone s1 inhibit active no_data stale rule_changed\n"
             "400 gone s2 inhibit active no_data stale rule_changed\n");
    rig_restart(&r);
    rig_reload(&r, BEHIND, RULES(SILENT("true") UP));
    rig_to(&r, 600 * S);
    told(&r, "");
    rig_end(&r);
}

#define MARKED(yes)                                                                            \
    "device,kind,compound,building,expected_interval,life_safety\nd1,door,c1,b1,1h," yes "\n"
#define CHATTER                                                                                \
    DAMPED("open", "door",                                                                     \
           "flapping: {changes: 3, within: 10m, settle: 30m}, levels: [{severity: minor, "     \
           "when: open, off: not open}]")

/* Nor does its chatter hide it any longer; what is over at that moment is told when it settles, or comes
 * again. */
static void what_becomes_life_safety_while_it_flaps_is_told(void **state)
{
    (void)state;
    for (unsigned open = 0; open < 2; open++) {
        struct rig r;
        rig_start(&r, MARKED("no"), RULES(CHATTER));
        for (unsigned i = 0; i < 6 + open; i++)
            say(&r, (60 + i * 10) * S, "d1", i % 2 ? "open=0" : "open=1");
        told(&r, "60 open d1 activated active minor good\n"
                 "70 open d1 cleared normal minor good\n"
                 "80 open d1 activated active minor good\n"
                 "80 open d1 flapping active minor good flapping\n");
        rig_reload(&r, MARKED("yes"), RULES(CHATTER));
        rig_restart(&r);
        rig_to(&r, 200 * S);
        told(&r, open ? "120 open d1 inhibit active minor good flapping rule_changed\n" : "");
        rig_reload(&r, MARKED("yes"), RULES(CHATTER));
        rig_to(&r, 210 * S);
        told(&r, "");
        rig_end(&r);
    }
}

/* What was held back while it caught up has been read by nobody yet. */
static void what_becomes_life_safety_while_it_catches_up_is_told(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, MARKED("no"), RULES(CHATTER));
    rig_say(&r, 60 * S, "d1", "open=1", (struct said){.catch_up = true});
    rig_to(&r, 61 * S);
    told(&r, "");
    rig_reload(&r, MARKED("yes"), RULES(CHATTER));
    rig_restart(&r);
    rig_to(&r, 70 * S);
    told(&r, "61 open d1 activated active minor good late\n");
    rig_end(&r);
}

/* Nobody expected it to speak before: its silence counts from then on. */
static void who_comes_back_is_not_silent_at_once(void **state)
{
    (void)state;
    struct rig r;
#define MISSED RULE("mute", "sump", "no_data: {after: 5m, policy: alert}")
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,2026-01-01\n", RULES(MISSED));
    rig_to(&r, HOUR);
    rig_reload(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(MISSED));
    rig_restart(&r);
    rig_to(&r, HOUR + 6 * MIN);
    told(&r, "3900 mute s1 activated active no_data stale\n");
    rig_end(&r);
}

/* -- rules that are not there ----------------------------------------------------------------- */

#define NONE "version: 1\ncalendar: {holidays: [\"2026-10-01\"]}\n"

static void without_rules_nothing_is_kept(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, DOORS, NONE);
    say(&r, 60 * S, "d1", "open=1");
    rig_restart(&r);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_reload(&r, DOORS, RULES(TWO_OF("building", "") OPEN));
    say(&r, 120 * S, "d1", "open=1");
    say(&r, 121 * S, "d2", "open=1");
    rig_restart(&r);
    rig_reload(&r, DOORS, NONE);
    told(&r,
         "121 many d1 activated active major good\n121 many d2 activated active major good\n"
         "121 many d3 activated active major good\n"
         "121 many d1 removed normal major good rule_removed\n"
         "121 many d2 removed normal major good rule_removed\n"
         "121 many d3 removed normal major good rule_removed\n");
    rig_restart(&r);
    struct alarm_stats st;
    alarm_stats(r.a, &st);
    assert_int_equal(st.timers + st.active + st.instances, 0);
    rig_end(&r);
}

#define SOME(id, only) RULE(id, "door", "levels: [{severity: minor, when: open}], only: " only)

static void a_rule_for_some_compounds_concerns_no_others(void **state)
{
    (void)state;
    struct rig r;
#define THEIRS                                                                                 \
    SOME("one", "{compounds: [c1]}")                                                           \
    SOME("two", "{compounds: [c2]}")                                                           \
    SOME("basic", "{tiers: [basic]}")                                                          \
    SOME("firm", "{firms: [f1]}") SOME("both", "{firms: [f1, f2]}")
    rig_start(&r, RIG_HEAD "a,door,c1,b1,,,\nb,door,c2,b1,,,\n", RULES(THEIRS));
    say(&r, 60 * S, "a", "open=1");
    say(&r, 61 * S, "b", "open=1");
    rig_restart(&r);
    told(&r, "60 one a activated active minor good\n60 firm a activated active minor good\n"
             "60 both a activated active minor good\n61 two b activated active minor good\n"
             "61 basic b activated active minor good\n61 both b activated active minor good\n");
    struct alarm_stats st;
    struct alarm_event e;
    alarm_stats(r.a, &st);
    assert_int_equal(st.instances, 6);
    assert_false(alarm_look(r.a, rig_rule(&r, "two"), rig_device(&r, "a"), "", &e));
    rig_reload(&r, RIG_HEAD "a,door,c2,b1,,,\nb,door,c2,b1,,,\n", RULES(THEIRS));
    rig_to(&r, 62 * S);
    told(&r, "61 one a removed normal minor good not_concerned\n"
             "61 firm a removed normal minor good not_concerned\n"
             "61 two a activated active minor good\n61 basic a activated active minor good\n");
    say(&r, 63 * S, "a", "open=1");
    told(&r, "");
    rig_end(&r);
}

/* Its end may come to nothing, and then there is nothing to tell: what was told must still be right. */
static void on_its_way_to_the_end_it_is_told_as_active(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, RIG_HEAD "s1,sump,c1,b1,60s,,\n",
        RULES(RULE("wet", "sump",
                   "levels: [{severity: minor, when: level > 0.8, off: level < 0.6, off_for: "
                   "2m}, {severity: major, when: level > 1.2, off: level < 1.0, off_for: "
                   "1m}]")));
    say(&r, 60 * S, "s1", "level=1.3");
    say(&r, 120 * S, "s1", "level=0.9");
    say(&r, 180 * S, "s1", "level=0.1");
    told(&r, "60 wet s1 activated active major good\n"
             "180 wet s1 level active minor good\n");
    say(&r, 240 * S, "s1", "level=0.9");
    told(&r, "");
    rig_end(&r);
}

/* Who comes is looked at; who was there before goes on as if nothing had happened. */
static void a_newcomer_moves_nobody_else(void **state)
{
    (void)state;
    struct rig r;
#define LASTING                                                                                \
    RULE("high", "sump",                                                                       \
         "levels: [{severity: minor, when: level > 0.8, for: 5m}], only: {compounds: [c1]}")   \
    RULE("full", "sump",                                                                       \
         "levels: [{severity: major, when: level > 0.8}], only: {compounds: "                  \
         "[c1]}")                                                                              \
    RULE("all", "sump", "levels: [{severity: minor, when: level > 2}]")
#define S2_IN(c) RIG_HEAD "s1,sump,c1,b1,60s,,\ns2,sump," c ",b1,60s,,\n"
    rig_start(&r, S2_IN("c2"), RULES(LASTING));
    for (unsigned i = 1; i <= 5; i++) {
        say(&r, i * 60 * S, "s1", "level=0.9");
        say(&r, i * 60 * S, "s2", "level=0.9");
    }
    told(&r, "60 full s1 activated active major good\n");
    rig_to(&r, 361 * S);
    rig_reload(&r, S2_IN("c1"), RULES(LASTING));
    rig_restart(&r);
    say(&r, 362 * S, "s1", "level=0.1");
    told(&r,
         "361 full s2 activated active major good\n362 full s1 cleared normal major good\n");
    rig_end(&r);
}

/* Where no rule is for it, it is the place that ended its case, and no rule that went. */
static void where_no_rule_is_for_it_none_was_removed(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "a,door,c1,b1,,,\n", RULES(SOME("one", "{compounds: [c1]}")));
    say(&r, 60 * S, "a", "open=1");
    rig_reload(&r, RIG_HEAD "a,door,c2,b1,,,\n", RULES(SOME("one", "{compounds: [c1]}")));
    told(&r, "60 one a activated active minor good\n"
             "60 one a removed normal minor good not_concerned\n");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_uplink_hides_silence_and_no_level),
        cmocka_unit_test(a_silent_device_leaves_its_silent_uplink),
        cmocka_unit_test(silent_devices_come_behind_a_silent_one),
        cmocka_unit_test(an_uplink_that_is_told_no_more_hides_nobody),
        cmocka_unit_test(an_uplink_of_uplinks_hides_nobody_for_ever),
        cmocka_unit_test(a_new_rule_counts_what_is_known),
        cmocka_unit_test(a_device_that_moves_is_counted_where_it_is),
        cmocka_unit_test(what_silence_held_ends_when_it_is_heard_of),
        cmocka_unit_test(a_window_ends_nothing_while_reports_are_missing),
        cmocka_unit_test(what_begins_in_silence_is_stale),
        cmocka_unit_test(one_level_waits_and_another_does_not),
        cmocka_unit_test(a_broken_value_stays_broken),
        cmocka_unit_test(what_was_read_is_not_read_again),
        cmocka_unit_test(only_the_last_of_a_queue_is_counted),
        cmocka_unit_test(an_hour_makes_no_alarm_of_what_is_old),
        cmocka_unit_test(a_reload_forgets_no_open_episode),
        cmocka_unit_test(what_a_reload_left_can_be_loaded),
        cmocka_unit_test(a_schedule_ends_nothing_that_endangers_life),
        cmocka_unit_test(a_schedule_ends_no_silence_that_endangers_life),
        cmocka_unit_test(what_a_schedule_ends_is_stale_of_the_silent_only),
        cmocka_unit_test(a_far_holiday_is_far),
        cmocka_unit_test(a_changed_rule_raises_nothing_that_is_not_true),
        cmocka_unit_test(a_changed_rule_of_life_safety_still_rises),
        cmocka_unit_test(life_safety_is_never_demoted),
        cmocka_unit_test(what_becomes_life_safety_is_told),
        cmocka_unit_test(what_becomes_life_safety_while_it_flaps_is_told),
        cmocka_unit_test(what_becomes_life_safety_while_it_catches_up_is_told),
        cmocka_unit_test(who_comes_back_is_not_silent_at_once),
        cmocka_unit_test(without_rules_nothing_is_kept),
        cmocka_unit_test(a_rule_for_some_compounds_concerns_no_others),
        cmocka_unit_test(a_newcomer_moves_nobody_else),
        cmocka_unit_test(where_no_rule_is_for_it_none_was_removed),
        cmocka_unit_test(on_its_way_to_the_end_it_is_told_as_active),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
