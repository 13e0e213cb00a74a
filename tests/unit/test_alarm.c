/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions: levels, delays, silence, restarts, reloads; one step at a time. */
#include "alarm_rig.h"

#include <errno.h>

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

static void counts_devices_around(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("many", "smoke",
                         "levels: [{severity: critical, when: \"count_over(building, smoke, "
                         "alarm) >= 2\", off: \"count_over(building, smoke, alarm) < 1\"}]")));
    say(&r, 60 * S, "m1", "alarm=1");
    rig_say(&r, 61 * S, "m1", "alarm=1", (struct said){.point = "b"}); /* one device still */
    told(&r, "");
    rig_restart(&r);
    say(&r, 62 * S, "m2", "alarm=1");
    told(&r,
         "62 many m1 activated active critical good\n62 many m1@b activated active critical "
         "good\n62 many m2 activated active critical good\n");
    say(&r, 63 * S, "m2", "!alarm"); /* not known: not counted, and one is left */
    rig_reload(&r, rig_devices,
               RULES(RULE("many", "smoke",
                          "levels: [{severity: critical, when: \"count_over(building, smoke, "
                          "alarm) >= 2\", off: \"count_over(building, smoke, alarm) < "
                          "1\"}]") HIGH));
    say(&r, 64 * S, "m1", "alarm=0");
    told(&r, "");
    rig_say(&r, 65 * S, "m1", "alarm=0", (struct said){.point = "b"});
    told(&r, "65 many m1 cleared normal critical good\n65 many m1@b cleared normal critical "
             "good\n65 many m2 cleared normal critical good\n");
    rig_end(&r);
}

static void reads_other_points(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("drop", "sump",
                         "levels: [{severity: minor, when: \"level@inlet - level@outlet > "
                         "0.5\"}]")));
    rig_say(&r, 60 * S, "s1", "level=1.0", (struct said){.point = "inlet"});
    told(&r, "");
    rig_say(&r, 61 * S, "s1", "level=0.2", (struct said){.point = "outlet"});
    told(&r, "61 drop s1 activated active minor good\n");
    rig_restart(&r);
    rig_say(&r, 62 * S, "s1", "level=0.6", (struct said){.point = "inlet"});
    told(&r, "62 drop s1 cleared normal minor good\n");
    rig_end(&r);
}

/* What comes out of a queue of two points is read by the rule that reads both. */
static void two_points_that_catch_up(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("drop", "sump",
                         "levels: [{severity: minor, when: \"level@inlet - level@outlet > "
                         "0.5\"}]")));
    rig_say(&r, 60 * S, "s1", "level=2", (struct said){.point = "inlet", .catch_up = true});
    rig_say(&r, 61 * S, "s1", "level=1", (struct said){.point = "outlet", .catch_up = true});
    rig_to(&r, 80 * S);
    told(&r, "66 drop s1 activated active minor good late\n");
    rig_end(&r);
}

/* The uplink itself goes on talking; all behind it are gone. */
static void an_uplink_is_blamed_by_its_members(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r,
              RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                       "s3,sump,c1,b1,60s,u1,\nm1,smoke,c1,b1,60s,u1,\n",
              RULES(RULE("offline", "\"*\"", "no_data: {after: 10m, policy: alert}")));
    for (unsigned i = 1; i < 60; i++) {
        say(&r, i * MIN, "u1", "rssi=1");
        if (i < 5 || i > 40)
            for (unsigned k = 0; k < 3; k++)
                say(&r, i * MIN + k * S, (const char *[]){"s1", "s2", "s3"}[k], "level=0.1");
        if (i < 5 || i > 40)
            say(&r, i * MIN + 4 * S, "m1", "alarm=0");
    }
    told(&r, "840 offline u1 activated active no_data stale\n"
             "840 offline s1 activated active no_data stale inhibited\n"
             "841 offline s2 activated active no_data stale inhibited\n"
             "842 offline s3 activated active no_data stale inhibited\n"
             "844 offline m1 activated active no_data stale\n"
             "2460 offline s1 cleared normal no_data good inhibited\n"
             "2461 offline s2 cleared normal no_data good inhibited\n"
             "2462 offline u1 cleared normal no_data good\n"
             "2462 offline s3 cleared normal no_data good inhibited\n"
             "2464 offline m1 cleared normal no_data good\n");
    rig_end(&r);
}

/* One of two behind it is dead: that it is heard again ends its own silence, and the dead one is told. */
static void an_uplink_that_is_heard_is_not_blamed_by_few(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r,
              RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n",
              RULES(RULE("offline", "\"*\"", "no_data: {after: 10m, policy: alert}")));
    for (unsigned i = 1; i < 60; i++) {
        if (i >= 5 && i < 30)
            continue;
        say(&r, i * MIN, "u1", "rssi=1");
        say(&r, i * MIN + 1 * S, "s1", "level=0.1");
        if (i < 5)
            say(&r, i * MIN + 2 * S, "s2", "level=0.1");
    }
    told(&r, "840 offline u1 activated active no_data stale\n"
             "841 offline s1 activated active no_data stale inhibited\n"
             "842 offline s2 activated active no_data stale inhibited\n"
             "1800 offline u1 cleared normal no_data good\n"
             "1801 offline s1 cleared normal no_data good inhibited\n"
             "1860 offline s2 inhibit active no_data stale\n");
    rig_end(&r);
}

/* Silence is about hearing: it ends when it is heard, however old what is heard may be. */
static void end_of_silence(struct rig *r, const struct alarm_event *e)
{
    if (e->change == ALARM_CLEARED && e->no_data)
        *(int64_t *)r->ctx = e->time_ms;
}

static void silence_ends_when_it_is_heard(void **state)
{
    (void)state;
    struct rig r;
    int64_t ended = 0;
    rig_start(&r, rig_devices,
              RULES(RULE("gone", "sump", "no_data: {after: 5m, policy: alert}")));
    r.seen = end_of_silence;
    r.ctx = &ended;
    say(&r, 60 * S, "s1", "level=0.1");
    rig_to(&r, 20 * MIN);
    rig_say(&r, 21 * MIN, "s1", "level=0.1", (struct said){.order = 3 * MIN});
    rig_to(&r, 30 * MIN);
    assert_int_equal(ended, WALL0 + 21 * 60000);
    rig_end(&r);
}

#define SOON        RULE("soon", "\"*\"", "no_data: {after: 10m, policy: alert}")
#define LATE(after) RULE("late", "\"*\"", "no_data: {after: " after ", policy: alert}")

/* Blamed in the name of a patient rule, then found silent itself by one that is not: a reload is no
 * word of anybody. */
static void who_was_blamed_and_is_silent_is_not_well(void **state)
{
    (void)state;
    static const char devices[] =
        RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                 "s3,sump,c1,b1,60s,u1,\n";
    struct rig r;
    rig_start(&r, devices, RULES(LATE("40m") SOON));
    for (unsigned i = 1; i <= 15; i++) {
        say(&r, i * MIN, "u1", "rssi=1");
        for (unsigned k = 0; k < 3 && i < 5; k++)
            say(&r, i * MIN + k * S, (const char *[]){"s1", "s2", "s3"}[k], "level=0.1");
    }
    assert_int_equal(rig_look(&r, "late", "u1", "").condition, ALARM_ACTIVE);
    rig_to(&r, 30 * MIN);
    assert_int_equal(rig_look(&r, "soon", "u1", "").condition, ALARM_ACTIVE);
    rig_reload(&r, devices, RULES(LATE("41m") SOON));
    rig_to(&r, 31 * MIN);
    assert_int_equal(rig_look(&r, "late", "u1", "").condition, ALARM_ACTIVE);
    say(&r, 32 * MIN, "u1", "rssi=1");
    for (unsigned k = 0; k < 3; k++)
        say(&r, 32 * MIN + k * S, (const char *[]){"s1", "s2", "s3"}[k], "level=0.1");
    assert_int_equal(rig_look(&r, "late", "u1", "").condition, ALARM_NORMAL);
    assert_int_equal(rig_look(&r, "soon", "u1", "").condition, ALARM_NORMAL);
    rig_end(&r);
}

static void devices_go_and_stay(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(HIGH));
    for (uint64_t t = 60; t <= 180; t += 60) {
        say(&r, t * S, "s1", "level=0.9");
        say(&r, t * S, "s2", "level=0.9");
    }
    r.n_log = 0;
    rig_reload(&r, RIG_HEAD "m1,smoke,c1,b1,1h,,\ns2,sump,c2,b7,60s,,\n", RULES(HIGH));
    told(&r, "180 high s1 removed normal major good device_removed\n");
    rig_reload(&r, RIG_HEAD "s2,sump,c2,b7,60s,,2026-11-01\n", RULES(HIGH));
    told(&r, "180 high s2 removed normal major good device_retired\n");
    rig_end(&r);
}

static void explains_itself(void **state)
{
    (void)state;
    struct rig r;
    struct buf b;
    rig_start(&r, rig_devices, RULES(HIGH));
    say(&r, 60 * S, "s1", "level=0.9");
    buf_init(&b, 1 << 16);
    assert_int_equal(alarm_explain(r.a, rig_rule(&r, "high"), rig_device(&r, "s1"), "", &b), 0);
    const char *text = buf_cstr(&b);
    assert_non_null(strstr(text, "\"condition\":\"pending\""));
    assert_non_null(strstr(text, "\"value\":0.9"));
    assert_non_null(strstr(text, "\"delay\":\"running\""));
    assert_int_equal(alarm_explain(r.a, rig_rule(&r, "high"), rig_device(&r, "m1"), "", &b),
                     -ENOENT);
    buf_done(&b);
    rig_end(&r);
}

/* A rule without levels: a change of it that is remembered for flapping made states that nobody
 * could read back. */
static void silence_alone_is_read_back(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(DAMPED("offline", "\"*\"", "no_data: {after: 10m, policy: alert}")));
    say(&r, 60 * S, "s1", "level=0.9");
    rig_to(&r, 1000 * S);
    rig_restart(&r);
    assert_int_equal(rig_look(&r, "offline", "s1", "").condition, ALARM_ACTIVE);
    for (uint64_t t = 1060; t < 6000; t += 700) { /* flapping, in the end */
        say(&r, t * S, "s1", "level=0.9");
        rig_restart(&r);
        rig_to(&r, (t + 650) * S);
        rig_restart(&r);
    }
    rig_end(&r);
}

/* Cut anywhere, or with any byte changed, it is refused or harmless; and refused is as new. */
static void half_a_state_is_none(void **state)
{
    (void)state;
    struct rig r;
    struct rig_bytes saved = {0}, fresh = {0}, after = {0};
    rig_start(&r, rig_devices, RULES(HIGH));
    say(&r, 60 * S, "s1", "level=0.9");
    say(&r, 120 * S, "s1", "level=0.9");
    assert_int_equal(alarm_save(r.a, rig_put, &saved), 0);
    for (size_t i = 0; i < saved.n; i++)
        assert_int_equal(alarm_load(r.a, saved.p, i), -EBADMSG);
    assert_int_equal(alarm_save(r.a, rig_put, &fresh), 0);
    for (size_t i = 0; i < saved.n; i++) {
        saved.p[i] ^= 0x55;
        int rc = alarm_load(r.a, saved.p, saved.n);
        assert_true(rc == 0 || rc == -EBADMSG);
        saved.p[i] ^= 0x55;
    }
    assert_int_equal(alarm_load(r.a, saved.p, saved.n), 0);
    assert_int_equal(alarm_save(r.a, rig_put, &after), 0);
    assert_int_equal(after.n, saved.n);
    assert_memory_equal(after.p, saved.p, saved.n);
    free(saved.p);
    free(fresh.p);
    free(after.p);
    rig_end(&r);
}

/* Before the machine's beginning there is no order time: it is 0, and the value is one. */
static void what_was_said_at_zero_is_kept(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, rig_devices,
        RULES(RULE(
            "both", "sump",
            "levels: [{severity: major, when: level > 0.8 and pump_on, off: not pump_on}]")));
    rig_say(&r, 1 * S, "s1", "level=0.9", (struct said){.order = 0 - BOOT});
    rig_restart(&r);
    say(&r, 60 * S, "s1", "pump_on=1");
    told(&r, "60 both s1 activated active major good\n");
    rig_end(&r);
}

/* What moved a minute ago has not come to rest because nobody speaks any more. */
static void a_window_that_runs_out_in_silence_ends_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("moves", "sump",
                         "no_data: {after: 2m, policy: keep}, levels: [{severity: major, when: "
                         "\"max(level, 5m) - min(level, 5m) > 0.5 m\", off: \"max(level, 5m) - "
                         "min(level, 5m) < 0.3 m\"}]")));
    say(&r, 60 * S, "s1", "level=0.1");
    say(&r, 120 * S, "s1", "level=0.9");
    told(&r, "120 moves s1 activated active major good\n");
    rig_to(&r, 240 * S + 1);
    told(&r, "240 moves s1 quality active major stale\n");
    rig_to(&r, 1200 * S);
    told(&r, "");
    say(&r, 1260 * S, "s1", "level=0.9");
    told(&r, "1260 moves s1 cleared normal major good\n");
    rig_end(&r);
}

/* u1 speaks, and the three behind it do not: it is blamed after 14 minutes. */
static void is_blamed(struct rig *r, const char *devices, const char *rules)
{
    rig_start(r, devices, rules);
    for (unsigned i = 1; i <= 15; i++) {
        say(r, i * MIN, "u1", "rssi=1");
        for (unsigned k = 0; k < 3 && i < 5; k++)
            say(r, i * MIN + k * S, (const char *[]){"s1", "s2", "s3"}[k], "level=0.1");
    }
    r->n_log = 0;
}

/* Nobody is behind it any more who could say that it is well; and the rule that tells it may be another. */
static void a_reload_leaves_no_blame_behind(void **state)
{
    (void)state;
    static const char before[] =
        RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                 "s3,sump,c1,b1,60s,u1,\n";
    struct rig r;
    is_blamed(&r, before, RULES(SOON));
    rig_reload(&r,
               RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\n"
                        "s3,sump,c1,b1,60s,,\n",
               RULES(SOON));
    rig_to(&r, 901 * S);
    told(&r, "900 soon u1 cleared normal no_data good\n"
             "900 soon s1 inhibit active no_data stale\n"
             "900 soon s2 inhibit active no_data stale\n"
             "900 soon s3 inhibit active no_data stale\n");
    rig_end(&r);
    is_blamed(&r, before, RULES(LATE("40m") SOON));
    rig_reload(&r, before, RULES(SOON LATE("40m")));
    rig_to(&r, 901 * S);
    rig_restart(&r);
    told(&r, "900 soon u1 activated active no_data stale\n"
             "900 late u1 cleared normal no_data good\n");
    rig_end(&r);
}

/* Blamed in one rule's name, and then found silent itself by another, which is taken away: a reload is no
 * word of anybody, nor is who is heard behind it a word of its own. */
static void who_was_blamed_and_is_silent_is_so_after_a_reload(void **state)
{
    (void)state;
#define KEEP                                                                                   \
    RULE("weak", "uplink",                                                                     \
         "levels: [{severity: minor, when: rssi > 5, off: rssi < 4}], no_data: {after: 9m, "   \
         "policy: keep}")
    static const char devices[] =
        RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                 "s3,sump,c1,b1,60s,u1,\n";
    static const char gone[] =
        "1500 soon u1 removed normal no_data stale rule_removed\n"
        "1500 soon s1 removed normal no_data stale inhibited rule_removed\n"
        "1500 soon s2 removed normal no_data stale inhibited rule_removed\n"
        "1500 soon s3 removed normal no_data stale inhibited rule_removed\n";
    for (int patient = 0; patient < 2; patient++) {
        struct rig r;
        is_blamed(&r, devices, RULES(LATE("40m") SOON KEEP));
        rig_to(&r, 1500 * S); /* it is silent itself, says the other */
        r.n_log = 0;
        rig_reload(&r, devices, patient ? RULES(LATE("41m") KEEP) : RULES(LATE("7m") KEEP));
        told(&r, gone);
        for (unsigned i = 0; i < 4; i++) {
            rig_restart(&r);
            say(&r, 1510 * S + i * 40 * S, "s1", "level=0.1");
            say(&r, 1511 * S + i * 40 * S, "s2", "level=0.1");
            say(&r, 1512 * S + i * 40 * S, "s3", "level=0.1");
        }
        /* by a patience of 41 minutes it is not silent itself */
        told(&r, patient ? "1560 late u1 cleared normal no_data stale\n"
                         : "1500 late s1 activated active no_data stale inhibited\n"
                           "1500 late s2 activated active no_data stale inhibited\n"
                           "1500 late s3 activated active no_data stale inhibited\n"
                           "1510 late s1 cleared normal no_data good inhibited\n"
                           "1511 late s2 cleared normal no_data good inhibited\n"
                           "1512 late s3 cleared normal no_data good inhibited\n");
        say(&r, 1640 * S, "u1", "rssi=1");
        told(&r, patient ? "" : "1640 late u1 cleared normal no_data good\n");
        rig_end(&r);
    }
}

#define DUTY                                                                                   \
    RULE("ups", "uplink",                                                                      \
         "no_data: {after: 5m, policy: alert}, schedule: {windows: [{days: [sat], from: "      \
         "\"08:00\", to: \"08:30\"}], on_close: resolve}")                                     \
    RULE("mute", "sump", "no_data: {after: 6m, policy: alert}")

/* An uplink of which nobody is told, because its rule is not in force, hides nobody. */
static void an_uplink_that_is_not_told_hides_nobody(void **state)
{
    (void)state;
    static const char devices[] =
        RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                 "s3,sump,c1,b1,60s,u1,\n";
    struct rig r;
    rig_start(&r, devices, RULES(DUTY));
    for (unsigned k = 0; k < 4; k++)
        say(&r, 60 * S, (const char *[]){"s1", "s2", "s3", "u1"}[k],
            k < 3 ? "level=0.1" : "rssi=1");
    rig_to(&r, 20 * MIN);
    rig_restart(&r);
    rig_to(&r, 29 * MIN);
    told(&r, "360 ups u1 activated active no_data stale\n"
             "420 mute s1 activated active no_data stale inhibited\n"
             "420 mute s2 activated active no_data stale inhibited\n"
             "420 mute s3 activated active no_data stale inhibited\n");
    rig_to(&r, 31 * MIN);
    told(&r, "1800 ups u1 cleared normal no_data stale schedule\n"
             "1800 mute s1 inhibit active no_data stale\n"
             "1800 mute s2 inhibit active no_data stale\n"
             "1800 mute s3 inhibit active no_data stale\n");
    say(&r, 32 * MIN, "u1", "rssi=1");
    for (unsigned i = 0; i < 20;
         i++) { /* it speaks, and nobody behind it: no time to blame it */
        say(&r, (33 + i) * MIN, "u1", "rssi=1");
        for (unsigned k = 0; k < 3 && i == 2; k++)
            say(&r, (33 + i) * MIN, (const char *[]){"s1", "s2", "s3"}[k], "level=0.1");
    }
    told(&r, "2100 mute s1 cleared normal no_data good\n"
             "2100 mute s2 cleared normal no_data good\n"
             "2100 mute s3 cleared normal no_data good\n"
             "2460 mute s1 activated active no_data stale\n"
             "2460 mute s2 activated active no_data stale\n"
             "2460 mute s3 activated active no_data stale\n");
    /* Next Saturday it is told again, and hides them. */
    rig_to(&r, 7 * 24 * 60 * MIN + MIN);
    rig_restart(&r);
    told(&r, "604800 ups u1 activated active no_data stale\n"
             "604800 mute s1 inhibit active no_data stale inhibited\n"
             "604800 mute s2 inhibit active no_data stale inhibited\n"
             "604800 mute s3 inhibit active no_data stale inhibited\n");
    rig_end(&r);
}

/* A blame is told by a rule that is always in force, if there is one. */
static void a_blame_is_told_by_who_is_awake(void **state)
{
    (void)state;
    static const char devices[] =
        RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                 "s3,sump,c1,b1,60s,u1,\n";
    struct rig r;
    rig_start(&r, devices,
              RULES(DUTY RULE("always", "uplink", "no_data: {after: 30m, policy: alert}")));
    for (unsigned i = 1; i < 60; i++) {
        say(&r, i * MIN, "u1", "rssi=1");
        for (unsigned k = 0; k < 3 && i < 40; k++)
            say(&r, i * MIN + k * S, (const char *[]){"s1", "s2", "s3"}[k], "level=0.1");
    }
    told(&r, "2700 always u1 activated active no_data stale\n"
             "2700 mute s1 activated active no_data stale inhibited\n"
             "2701 mute s2 activated active no_data stale inhibited\n"
             "2702 mute s3 activated active no_data stale inhibited\n");
    rig_end(&r);
}

/* Nor does it hide who falls silent when it is back. */
static void an_uplink_that_was_not_told_is_back(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r,
              RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,24h,u1,\n",
              RULES(DUTY));
    rig_to(&r, 32 * MIN); /* u1 and the others are silent, and nobody has spoken yet */
    for (unsigned i = 33; i < 60; i++) {
        if (i == 33 || i > 42)
            say(&r, i * MIN, "u1", "rssi=1");
        if (i <= 43)
            say(&r, i * MIN + S, "s1", "level=0.1");
        if (i == 33)
            r.n_log = 0;
    }
    told(&r, "2941 mute s1 activated active no_data stale\n");
    rig_end(&r);
}

/* Its level hid that it was silent; then nobody expects it to speak any more. */
static void who_need_not_speak_is_not_silent(void **state)
{
    (void)state;
#define FULL                                                                                   \
    RULE("wet", "sump",                                                                        \
         "levels: [{severity: minor, when: level > 0.8, off: level < 0.6}], no_data: "         \
         "{policy: alert}")
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(FULL));
    say(&r, 60 * S, "s1", "level=0.9");
    rig_to(&r, 300 * S);
    told(&r, "60 wet s1 activated active minor good\n"
             "240 wet s1 quality active minor stale\n");
    rig_reload(&r, RIG_HEAD "s1,sump,c1,b1,,,\n", RULES(FULL));
    say(&r, 310 * S, "s1", "level=0.1");
    told(&r, "310 wet s1 cleared normal minor good\n");
    rig_end(&r);
}

/* A site whose registry is filled later: what waits there can be loaded again. */
static void rules_without_devices(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD,
              RULES(RULE("gone", "sump",
                         "levels: [{severity: minor, when: \"absent(level, 30m)\"}]")));
    rig_restart(&r); /* its first sweep has not begun */
    rig_to(&r, HOUR);
    rig_restart(&r);
    told(&r, "");
    rig_end(&r);
}

/* What is written in another order is the same rule, and its windows are not empty. */
static void windows_stay_when_a_condition_is_written_anew(void **state)
{
    (void)state;
    struct rig r;
#define OFTEN(when, off)                                                                       \
    RULE("often", "sump",                                                                      \
         "levels: [{severity: minor, when: \"" when "\", off: \"" off "\"}], no_data: {}")
    rig_start(&r, rig_devices,
              RULES(OFTEN("changes(pump_on, 1h) >= 2 or avg(level, 1h) > 4",
                          "changes(pump_on, 1h) < 2 and avg(level, 1h) < 3")));
    say(&r, 60 * S, "s1", "pump_on=0 level=1");
    say(&r, 120 * S, "s1", "pump_on=1 level=1");
    say(&r, 180 * S, "s1", "pump_on=0 level=1");
    told(&r, "180 often s1 activated active minor good\n");
    rig_reload(&r, rig_devices,
               RULES(OFTEN("avg(level, 1h) > 4 or changes(pump_on, 1h) >= 2",
                           "avg(level, 1h) < 3 and changes(pump_on, 1h) < 2")));
    say(&r, 240 * S, "s1", "pump_on=0 level=1");
    told(&r, "");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_rise_and_fall),
        cmocka_unit_test(straight_down_from_the_top),
        cmocka_unit_test(restart_keeps_everything),
        cmocka_unit_test(counts_devices_around),
        cmocka_unit_test(reads_other_points),
        cmocka_unit_test(two_points_that_catch_up),
        cmocka_unit_test(an_uplink_is_blamed_by_its_members),
        cmocka_unit_test(an_uplink_that_is_heard_is_not_blamed_by_few),
        cmocka_unit_test(a_reload_leaves_no_blame_behind),
        cmocka_unit_test(who_was_blamed_and_is_silent_is_so_after_a_reload),
        cmocka_unit_test(an_uplink_that_is_not_told_hides_nobody),
        cmocka_unit_test(a_blame_is_told_by_who_is_awake),
        cmocka_unit_test(an_uplink_that_was_not_told_is_back),
        cmocka_unit_test(who_need_not_speak_is_not_silent),
        cmocka_unit_test(silence_ends_when_it_is_heard),
        cmocka_unit_test(who_was_blamed_and_is_silent_is_not_well),
        cmocka_unit_test(devices_go_and_stay),
        cmocka_unit_test(explains_itself),
        cmocka_unit_test(silence_alone_is_read_back),
        cmocka_unit_test(half_a_state_is_none),
        cmocka_unit_test(what_was_said_at_zero_is_kept),
        cmocka_unit_test(a_window_that_runs_out_in_silence_ends_nothing),
        cmocka_unit_test(rules_without_devices),
        cmocka_unit_test(windows_stay_when_a_condition_is_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
