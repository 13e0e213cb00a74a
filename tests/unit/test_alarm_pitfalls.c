/* SPDX-License-Identifier: Apache-2.0 */
/* The pitfalls that concern conditions, each by the number it has in the design notes. */
#include "alarm_rig.h"

#define PLAIN                                                                                  \
    RULE("high", "sump",                                                                       \
         "levels: [{severity: major, when: level > 0.8, off: level < 0.6, "                    \
         "for: 5m}]")
#define AT_ONCE                                                                                \
    RULE("high", "sump", "levels: [{severity: major, when: level > 0.8, off: level < 0.6}]")
#define OPEN                                                                                   \
    RULE("open", "door", "levels: [{severity: minor, when: open, off: not open, for: 10m}]")

static void pitfall_03_one_missing_or_bad_sample_resets_no_delay(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(PLAIN));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 2 * MIN, "s1", "level=0.9");
    say(&r, 4 * MIN, "s1", "level=0.9"); /* the third minute is missing */
    say(&r, 5 * MIN, "s1", "!level");    /* and the fifth is broken: not counted */
    say(&r, 6 * MIN, "s1", "level=0.9");
    told(&r, "");
    say(&r, 7 * MIN, "s1", "level=0.9");
    told(&r, "420 high s1 activated active major good\n");
    rig_end(&r);
    /* A gap counts as long as a sample is worth something, and no longer. */
    rig_start(&r, rig_devices, RULES(PLAIN));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 30 * MIN, "s1", "level=0.9"); /* 3 intervals: 3 minutes */
    told(&r, "");
    say(&r, 31 * MIN, "s1", "level=0.9");
    say(&r, 32 * MIN, "s1", "level=0.9");
    told(&r, "1920 high s1 activated active major good\n");
    rig_end(&r);
}

static void pitfall_03_tolerates_so_many_of_so_many(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("high", "sump",
                         "tolerate: {miss: 1, of: 5}, levels: [{severity: major, "
                         "when: level > 0.8, off: level < 0.6, for: 5m}]")));
    const char *seen[] = {"0.9", "0.9", "0.5", "0.9", "0.9", "0.9"};
    for (unsigned i = 0; i < 6; i++) {
        char text[32];
        snprintf(text, sizeof(text), "level=%s", seen[i]);
        say(&r, (i + 1) * MIN, "s1", text);
    }
    told(&r, "360 high s1 activated active major good\n");
    rig_to(&r, 10 * MIN);
    told(&r, "540 high s1 quality active major stale\n");
    for (unsigned i = 12; i < 18; i++) /* two of five are too many */
        say(&r, (i + 1) * MIN, "s2", i == 13 || i == 15 ? "level=0.5" : "level=0.9");
    told(&r, "");
    rig_end(&r);
}

static void pitfall_04_a_missed_report_recovers_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(AT_ONCE));
    say(&r, 1 * MIN, "s1", "level=0.9");
    told(&r, "60 high s1 activated active major good\n");
    rig_to(&r, 3 * HOUR);
    told(&r, "240 high s1 quality active major stale\n");
    say(&r, 3 * HOUR + MIN, "s1", "level=0.9");
    told(&r, "10860 high s1 quality active major good\n");
    say(&r, 3 * HOUR + 2 * MIN, "s1", "!level");
    told(&r, "10920 high s1 quality active major bad\n");
    say(&r, 3 * HOUR + 3 * MIN, "s1", "battery_pct=50"); /* says nothing of the level */
    told(&r, "");
    say(&r, 3 * HOUR + 4 * MIN, "s1", "level=0.5");
    told(&r, "11040 high s1 cleared normal major good\n");
    rig_end(&r);
}

static void pitfall_05_17_a_restart_loses_nothing_and_clears_what_is_over(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(AT_ONCE));
    say(&r, 1 * MIN, "s1", "level=0.9");
    rig_restart(&r);
    alarm_link(r.a, 0, false, r.now); /* we were down for two hours */
    told(&r, "60 high s1 activated active major good\n");
    rig_to(&r, 2 * HOUR);
    alarm_link(r.a, 0, true, r.now);
    told(&r, "");
    say(&r, 2 * HOUR + 10 * S, "s1", "level=0.2");
    told(&r, "7210 high s1 cleared normal major good\n");
    rig_end(&r);
}

static void pitfall_09_a_reload_resets_no_delay(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(PLAIN));
    for (unsigned i = 1; i <= 5; i++)
        say(&r, i * MIN, "s1", "level=0.9");
    rig_reload(&r, rig_devices, RULES(OPEN PLAIN));
    say(&r, 6 * MIN, "s1", "level=0.9");
    told(&r, "360 high s1 activated active major good\n");
    rig_reload(&r, rig_devices, RULES(OPEN));
    told(&r, "360 high s1 removed normal major good rule_removed\n");
    rig_end(&r);
}

static void pitfall_09_a_changed_rule_is_tested_again(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(AT_ONCE));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 1 * MIN, "s2", "level=1.1");
    told(&r,
         "60 high s1 activated active major good\n60 high s2 activated active major good\n");
    rig_reload(&r, rig_devices,
               RULES(RULE("high", "sump",
                          "levels: [{severity: major, when: level > 1.0, off: level < 1.0}]")));
    told(&r, "");
    rig_to(&r, 1 * MIN + S);
    told(&r, "60 high s1 cleared normal major good\n");
    rig_end(&r);
    /* Life-safety waits for a good sample that says so. */
    rig_start(&r, rig_devices,
              RULES(RULE("high", "sump",
                         "life_safety: true, levels: [{severity: major, when: "
                         "level > 0.8, off: level < 0.6}]")));
    say(&r, 1 * MIN, "s1", "level=0.9");
    r.n_log = 0;
    rig_reload(&r, rig_devices,
               RULES(RULE("high", "sump",
                          "life_safety: true, levels: [{severity: major, when: "
                          "level > 1.0, off: level < 1.0}]")));
    rig_to(&r, 1 * MIN + 30 * S);
    assert_int_equal(r.n_log, 0);
    say(&r, 2 * MIN, "s1", "level=0.9");
    told(&r, "120 high s1 cleared normal major good\n");
    rig_end(&r);
}

static void pitfall_12_chatter_is_told_once(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(DAMPED("open", "door",
                           "levels: [{severity: minor, when: open, off: not open}]")));
    for (unsigned i = 0; i < 100; i++)
        say(&r, (60 + 20 * i) * S, "d1", i & 1 ? "open=0" : "open=1");
    told(&r, "60 open d1 activated active minor good\n80 open d1 cleared normal minor good\n"
             "100 open d1 activated active minor good\n120 open d1 cleared normal minor good\n"
             "140 open d1 activated active minor good\n"
             "140 open d1 flapping active minor good flapping\n");
    rig_restart(&r);
    rig_to(&r, 2 * HOUR);
    told(&r, "2640 open d1 settled normal minor good\n");
    rig_end(&r);
}

/* What somebody takes it to be who hears all that is told, and nothing else. */
struct heard {
    bool on, flaps;
    unsigned flapped, settled;
};

static void hear(struct rig *r, const struct alarm_event *e)
{
    struct heard *h = r->ctx;
    switch (e->change) {
    case ALARM_ACTIVATED:
        assert_false(h->on);
        h->on = true;
        break;
    case ALARM_CLEARED:
        assert_true(h->on && !h->flaps); /* what flaps is over when it has settled */
        h->on = false;
        break;
    case ALARM_FLAPPING:
        assert_false(h->flaps);
        h->on = h->flaps = true;
        h->flapped++;
        break;
    case ALARM_SETTLED:
        assert_true(h->flaps);
        h->flaps = false;
        h->on = e->condition == ALARM_ACTIVE;
        h->settled++;
        break;
    case ALARM_LEVEL:
    case ALARM_QUALITY:
    case ALARM_REMOVED:
    case ALARM_EPISODE:
    case ALARM_INHIBIT:
    case ALARM_MOVED:
        fail_msg("change %d is told", (int)e->change);
    }
    assert_int_equal(e->flapping, h->flaps);
}

/* Whatever the chatter, what is told at the end is what is: good, or (every third time) not. */
static void pitfall_14_a_recovery_is_not_lost_while_it_flaps(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    unsigned settled = 0;
    for (unsigned k = 0; k < 300; k++) {
        struct rig r;
        struct heard h = {0};
        bool bad = k % 3 == 2;
        rig_start(&r, rig_devices,
                  RULES(DAMPED("open", "door",
                               "levels: [{severity: minor, when: open, off: not open}]")));
        r.seen = hear;
        r.ctx = &h;
        uint64_t t = MIN;
        unsigned n = (unsigned)(unit_random(&seed) % 60);
        for (unsigned i = 0; i < n; i++) {
            t += (1 + unit_random(&seed) % 300) * S;
            say(&r, t, "d1", unit_random(&seed) & 1 ? "open=1" : "open=0");
            if (unit_random(&seed) % 8 == 0)
                rig_restart(&r);
        }
        for (unsigned i = 0; i < 60; i++)
            say(&r, t += MIN, "d1", bad ? "open=1" : "open=0");
        assert_int_equal(h.on, bad);
        assert_false(h.flaps);
        assert_int_equal(h.settled, h.flapped);
        settled += h.settled;
        struct alarm_event e = rig_look(&r, "open", "d1", "");
        assert_int_equal(e.condition, bad ? ALARM_ACTIVE : ALARM_NORMAL);
        struct alarm_stats st;
        alarm_stats(r.a, &st);
        assert_int_equal(st.active, bad);
        assert_int_equal(st.flapping + st.pending, 0);
        rig_end(&r);
    }
    assert_true(settled > 100); /* or it was no chatter */
}

static void pitfall_14_life_safety_is_flagged_and_never_held(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(DAMPED("fire", "smoke",
                           "levels: [{severity: critical, when: alarm, off: not alarm}]")));
    for (unsigned i = 0; i < 8; i++)
        say(&r, (60 + 20 * i) * S, "m1", i & 1 ? "alarm=0" : "alarm=1");
    told(
        &r,
        "60 fire m1 activated active critical good\n80 fire m1 cleared normal critical good\n"
        "100 fire m1 activated active critical good\n120 fire m1 cleared normal critical good\n"
        "140 fire m1 activated active critical good\n"
        "140 fire m1 flapping active critical good flapping\n"
        "160 fire m1 cleared normal critical good flapping\n"
        "180 fire m1 activated active critical good flapping\n"
        "200 fire m1 cleared normal critical good flapping\n");
    rig_to(&r, HOUR);
    told(&r, "800 fire m1 settled normal critical good\n");
    rig_end(&r);
}

#define OFFLINE                                                                                \
    RULE("offline", "\"*\"", "no_data: {after: 30m, policy: alert, severity: warning}")

static void pitfall_18_who_never_spoke_is_missed(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\n", RULES(OFFLINE));
    for (unsigned i = 1; i < 40; i++)
        say(&r, i * MIN, "s1", "level=0.1");
    told(&r, "1800 offline s2 activated active no_data stale\n");
    rig_restart(&r);
    say(&r, 40 * MIN, "s2", "level=0.1");
    told(&r, "2400 offline s2 cleared normal no_data good\n");
    rig_end(&r);
}

static void pitfall_19_late_points_are_signs_of_life(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(OFFLINE));
    for (unsigned i = 50; i < 200; i += 20)
        rig_say(&r, i * MIN, "s1", "level=0.1", (struct said){.order = (i - 45) * MIN});
    char *text = strstr(r.log, "activated");
    assert_non_null(text);                               /* of the first 50 minutes */
    assert_non_null(strstr(text, "offline s1 cleared")); /* heard, whatever it tells of */
    assert_null(strstr(text + 1, "activated"));
    rig_end(&r);
}

static void pitfall_20_silence_has_its_own_patience(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(OFFLINE));
    say(&r, 1 * MIN, "s1", "level=0.1");
    rig_to(&r, 31 * MIN - 1);
    told(&r, "");
    rig_to(&r, 31 * MIN);
    told(&r, "1860 offline s1 activated active no_data stale\n");
    rig_end(&r);
}

static void pitfall_21_one_silent_device_of_ten_is_told(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r,
              RIG_HEAD "s0,sump,c1,b1,60s,,\ns1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\n"
                       "s3,sump,c1,b1,60s,,\ns4,sump,c1,b1,60s,,\ns5,sump,c1,b1,60s,,\n"
                       "s6,sump,c1,b1,60s,,\ns7,sump,c1,b1,60s,,\ns8,sump,c1,b1,60s,,\n"
                       "s9,sump,c1,b1,60s,,\n",
              RULES(OFFLINE));
    for (unsigned i = 1; i < 60; i++)
        for (char d = '0'; d <= '9'; d++)
            if (d != '7' || i < 5)
                say(&r, i * MIN, (char[]){'s', d, '\0'}, "level=0.1");
    told(&r, "2040 offline s7 activated active no_data stale\n");
    rig_end(&r);
}

static void pitfall_22_an_uplink_that_drops_resolves_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r,
              RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                       "s3,sump,c1,b1,60s,u1,\ns4,sump,c1,b1,60s,u1,\n",
              RULES(OFFLINE AT_ONCE));
    const char *all[] = {"s1", "s2", "s3", "s4"};
    for (unsigned i = 1; i <= 5; i++) {
        say(&r, i * MIN, "u1", "rssi=1");
        for (unsigned k = 0; k < 4; k++)
            say(&r, i * MIN + (k + 1) * S, all[k], k == 0 ? "level=0.9" : "level=0.1");
    }
    told(&r, "61 high s1 activated active major good\n");
    rig_to(&r, 2 * HOUR);
    told(&r, "481 high s1 quality active major stale\n"
             "2100 offline u1 activated active no_data stale\n"
             "2101 offline s1 activated active no_data stale inhibited\n"
             "2102 offline s2 activated active no_data stale inhibited\n"
             "2103 offline s3 activated active no_data stale inhibited\n"
             "2104 offline s4 activated active no_data stale inhibited\n");
    rig_restart(&r);
    say(&r, 2 * HOUR + MIN, "u1", "rssi=1");
    for (unsigned k = 0; k < 3; k++)
        say(&r, 2 * HOUR + MIN + (k + 1) * S, all[k], k == 0 ? "level=0.9" : "level=0.1");
    rig_to(&r, 2 * HOUR + 10 * MIN);
    /* s4 stays silent: told, once its uplink is not to blame any more. */
    told(&r, "7261 high s1 quality active major good\n"
             "7261 offline s1 cleared normal no_data good inhibited\n"
             "7262 offline s2 cleared normal no_data good inhibited\n"
             "7263 offline u1 cleared normal no_data good\n"
             "7263 offline s3 cleared normal no_data good inhibited\n"
             "7323 offline s4 inhibit active no_data stale\n"
             "7441 high s1 quality active major stale\n"); /* silent again */
    rig_end(&r);
}

/* The slow one's patience ends when its uplink is back, and before its next report. */
static void pitfall_22_a_slow_member_has_an_interval_when_its_uplink_is_back(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r,
              RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,60s,u1,\n"
                       "s3,sump,c1,b1,60s,u1,\ns4,sump,c1,b1,15m,u1,\n",
              RULES(RULE("up", "uplink", "no_data: {after: 5m, policy: alert}")
                        RULE("off", "sump", "no_data: {after: 40m, policy: alert}")));
    const char *all[] = {"s1", "s2", "s3"};
    for (unsigned i = 1; i <= 92; i++) {
        if (i >= 60 && i < 80) /* nobody is heard */
            continue;
        if (i % 15 == 2) /* at 47 and at 92 */
            say(&r, i * MIN, "s4", "level=0.1");
        say(&r, i * MIN + 30 * S, "u1", "rssi=1");
        for (unsigned k = 0; k < 3; k++)
            say(&r, i * MIN + (31 + k) * S, all[k], "level=0.1");
    }
    told(&r, "3870 up u1 activated active no_data stale\n"
             "4890 up u1 cleared normal no_data good\n"
             "5220 off s4 activated active no_data stale inhibited\n" /* 47 min + 40 min */
             "5520 off s4 cleared normal no_data good inhibited\n");
    rig_end(&r);
}

static void pitfall_22_a_link_that_is_down_silences_nobody(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\n", RULES(OFFLINE));
    say(&r, 1 * MIN, "s1", "level=0.1");
    alarm_link(r.a, 0, false, r.now);
    rig_to(&r, 10 * HOUR - 7 * MIN); /* in the midst of anybody's patience */
    alarm_link(r.a, 0, true, r.now);
    rig_to(&r, 10 * HOUR + 22 * MIN);
    told(&r, "");
    say(&r, 10 * HOUR + 22 * MIN, "s1", "level=0.1");
    rig_to(&r, 10 * HOUR + 24 * MIN);
    told(&r, "37380 offline s2 activated active no_data stale\n");
    rig_end(&r);
}

/* A link that breaks for a moment now and then, its session kept, hides nobody's silence; and what
 * the broker kept for that moment comes before anybody is told to be silent. */
static void pitfall_22_a_link_that_blinks_hides_nobody(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,15m,,\ns2,sump,c1,b1,15m,,\n",
              RULES(RULE("off", "sump", "no_data: {after: 45m, policy: alert}")));
    for (unsigned i = 1; i <= 300; i++) {
        if (i % 15 == 0 && i <= 240)
            say(&r, i * MIN, "s1", "level=0.1");
        if (i == 15)
            say(&r, i * MIN, "s2", "level=0.1");
        if (i % 20 == 19) {
            rig_to(&r, i * MIN);
            alarm_link(r.a, 0, false, r.now);
            rig_to(&r, i * MIN + 30 * S);
            alarm_link_again(r.a, 0, r.now);
            rig_restart(&r);
        }
    }
    /* 15 + 45 minutes; 240 + 45, no blink near it */
    told(&r, "3630 off s2 activated active no_data stale\n"
             "17100 off s1 activated active no_data stale\n");
    rig_end(&r);
    /* due within the blink: what was kept has a minute to come, and comes */
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,15m,,\n",
              RULES(RULE("off", "sump", "no_data: {after: 45m, policy: alert}")));
    say(&r, 10 * MIN, "s1", "level=0.1");
    rig_to(&r, 55 * MIN - 10 * S);
    alarm_link(r.a, 0, false, r.now);
    rig_to(&r, 55 * MIN + 10 * S);
    alarm_link_again(r.a, 0, r.now);
    say(&r, 55 * MIN + 20 * S, "s1", "level=0.1");
    rig_to(&r, 90 * MIN);
    told(&r, "");
    rig_end(&r);
}

/* Both of what is wrong and of what was fine when it was last heard. */
static void pitfall_24_what_is_kept_is_seen_to_be_old(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\n",
              RULES(RULE("high", "sump",
                         "levels: [{severity: major, when: level > 0.8, off: level < 0.6}], "
                         "no_data: {after: 10m, policy: keep}")));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 2 * MIN, "s2", "level=0.1");
    rig_to(&r, 5 * MIN);
    assert_int_equal(rig_look(&r, "high", "s1", "").quality, ALARM_GOOD);
    assert_int_equal(rig_look(&r, "high", "s2", "").quality, ALARM_GOOD);
    rig_to(&r, 2 * HOUR);
    told(&r,
         "60 high s1 activated active major good\n660 high s1 quality active major stale\n");
    for (int again = 0; again < 2; again++) {
        assert_int_equal(rig_look(&r, "high", "s1", "").condition, ALARM_ACTIVE);
        assert_int_equal(rig_look(&r, "high", "s1", "").quality, ALARM_STALE);
        assert_int_equal(rig_look(&r, "high", "s2", "").condition, ALARM_NORMAL);
        assert_int_equal(rig_look(&r, "high", "s2", "").quality, ALARM_STALE);
        rig_restart(&r);
    }
    rig_end(&r);
}

/* A device that is fine costs no event, however often it reports. */
static void pitfall_25_no_state_is_written_for_what_does_not_change(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(AT_ONCE));
    for (unsigned i = 1; i < 1000; i++)
        say(&r, i * MIN, "s1", i % 2 ? "level=0.1" : "level=0.2");
    assert_int_equal(r.events, 0);
    for (unsigned i = 1000; i < 2000; i++)
        say(&r, i * MIN, "s1", "level=0.9");
    assert_int_equal(r.events, 1);
    rig_end(&r);
}

static void pitfall_26_no_delay_is_over_before_its_time(void **state)
{
    (void)state;
    struct rig r;
    /* One sample, uploaded 20 minutes late: the door has been seen open once. */
    rig_start(&r, rig_devices, RULES(OPEN));
    rig_say(&r, 30 * MIN, "d1", "open=1", (struct said){.order = 10 * MIN});
    rig_to(&r, 40 * MIN - 1);
    told(&r, "");
    rig_to(&r, 40 * MIN);
    told(&r, "2400 open d1 activated active minor good late\n");
    rig_end(&r);
    /* Two that prove ten minutes: told when the device has caught up. */
    rig_start(&r, rig_devices, RULES(OPEN));
    rig_say(&r, 30 * MIN, "d1", "open=1", (struct said){.order = 10 * MIN});
    rig_say(&r, 30 * MIN + S, "d1", "open=1", (struct said){.order = 21 * MIN});
    rig_to(&r, 31 * MIN);
    told(&r, "1806 open d1 activated active minor good late\n");
    assert_int_equal(rig_look(&r, "open", "d1", "").since_ms, WALL0 + 600000);
    rig_end(&r);
    /* The lag of the sample is not forgotten between two timers. */
    rig_start(&r, rig_devices,
              RULES(RULE("open", "door",
                         "levels: [{severity: minor, when: open, for: 10m}, {severity: major, "
                         "when: open, for: 15m}]")));
    rig_say(&r, 30 * MIN, "d1", "open=1", (struct said){.order = 10 * MIN});
    rig_to(&r, 2 * HOUR);
    told(&r, "2400 open d1 activated active minor good late\n"
             "2700 open d1 level active major good late\n");
    rig_end(&r);
    /* In samples mode nothing fires between samples. */
    rig_start(&r, rig_devices, RULES(PLAIN));
    say(&r, 1 * MIN, "s1", "level=0.9");
    rig_to(&r, 5 * HOUR);
    told(&r, "");
    rig_end(&r);
}

static void hold_needs_no_sample_but_a_living_device(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("open", "door",
                         "fresh: 5m, levels: [{severity: minor, when: open, off: "
                         "not open, for: 10m, off_for: 10m}]")));
    say(&r, 1 * MIN, "d1", "open=1");
    rig_to(&r, 30 * MIN);
    told(&r, ""); /* not heard of for long */
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_to(&r, 30 * MIN + 1);
    told(&r, ""); /* five of the ten minutes were seen */
    rig_to(&r, 34 * MIN);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_to(&r, 36 * MIN);
    told(&r, "2105 open d1 activated active minor good\n");
    say(&r, 36 * MIN, "d1", "open=0");
    rig_to(&r, 43 * MIN);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_restart(&r);
    rig_to(&r, 47 * MIN);
    alarm_alive(r.a, rig_device(&r, "d1"), r.now);
    rig_to(&r, 2 * HOUR);
    told(&r, "2885 open d1 cleared normal minor good\n");
    rig_end(&r);
}

/* The same at both ends of a silence says nothing of what lies between; but what a device kept and says
 * later, with its times, does. */
static void hold_does_not_count_what_nobody_saw(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct rig r;
        rig_start(&r, rig_devices,
                  RULES(RULE("open", "door",
                             "fresh: 3m, levels: [{severity: minor, when: open, off: "
                             "not open, for: 30m}]")));
        say(&r, 1 * MIN, "d1", "open=1");
        rig_to(&r, 40 * MIN);
        rig_restart(&r);
        rig_to(&r, HOUR);
        for (int k = 2; kept && k < 60; k++)
            rig_say(&r, HOUR, "d1", "open=1", (struct said){.order = (uint64_t)k * MIN});
        say(&r, HOUR, "d1", "open=1");
        rig_to(&r, HOUR + 2 * MIN);
        told(&r, kept ? "3605 open d1 activated active minor good late\n" : "");
        for (int k = 63; !kept && k <= 90; k++)
            say(&r, (uint64_t)k * MIN, "d1", "open=1");
        rig_to(&r, 2 * HOUR);
        told(&r, kept ? "" : "5220 open d1 activated active minor good\n");
        rig_end(&r);
    }
}

#define NIGHT                                                                                  \
    RULE("night", "door",                                                                      \
         "levels: [{severity: minor, when: open, off: not open, for: 10m}], schedule: "        \
         "{windows: [{days: [sat], from: \"22:00\", to: \"06:00\"}, "                          \
         "{days: [sat], from: \"12:00\", to: \"13:00\"}], on_close: resolve}")

static void pitfall_27_a_schedule_opens_without_a_sample(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(NIGHT));
    say(&r, 1 * MIN, "d1", "open=1"); /* Saturday, 08:01 */
    rig_to(&r, 4 * HOUR);
    told(&r, "");
    rig_to(&r, 14 * HOUR + 5 * MIN); /* 22:05 */
    rig_restart(&r);
    rig_to(&r, 30 * HOUR);
    told(&r, "15000 night d1 activated active minor good\n"
             "18000 night d1 cleared normal minor good schedule\n"
             "51000 night d1 activated active minor good\n"
             "79200 night d1 cleared normal minor good schedule\n");
    rig_end(&r);
}

static void pitfall_28_every_window_counts_and_midnight_is_no_hole(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("night", "door",
                         "levels: [{severity: minor, when: open, off: not open}], schedule: "
                         "{windows: [{days: [sat], from: \"22:00\", to: \"06:00\"}, "
                         "{days: [sat], from: \"12:00\", to: \"13:00\"}], on_close: keep}")));
    uint64_t midnight = 16 * HOUR; /* 00:00:00.000 on Sunday */
    say(&r, midnight, "d1", "open=1");
    told(&r, "57600 night d1 activated active minor good\n");
    say(&r, midnight + MIN, "d1", "open=0");
    say(&r, midnight + 20 * HOUR, "d1", "open=1"); /* Sunday has no window */
    told(&r, "57660 night d1 cleared normal minor good\n");
    say(&r, midnight + 23 * HOUR, "d1", "open=0");
    say(&r, midnight + (24 * 6 + 12) * HOUR, "d1", "open=1"); /* Saturday's second window */
    told(&r, "619200 night d1 activated active minor good\n");
    rig_to(&r, midnight + (24 * 6 + 14) * HOUR); /* kept when it closes */
    told(&r, "");
    say(&r, midnight + (24 * 6 + 15) * HOUR, "d1", "open=0");
    told(&r, "630000 night d1 cleared normal minor good\n");
    rig_end(&r);
}

/* The last moment before midnight, midnight and the next one: of one window that goes through it, and of
 * two that meet there. */
static void pitfall_28_no_moment_between_two_days_is_lost(void **state)
{
    (void)state;
    static const char *const rules[] = {
        RULES(RULE("night", "door",
                   "levels: [{severity: minor, when: open, off: not open}], schedule: "
                   "{windows: [{days: [sat], from: \"22:00\", to: \"06:00\"}], on_close: "
                   "resolve}")),
        RULES(RULE("night", "door",
                   "levels: [{severity: minor, when: open, off: not open}], schedule: "
                   "{windows: [{days: [sat], from: \"22:00\", to: \"24:00\"}, "
                   "{days: [sun], from: \"00:00\", to: \"06:00\"}], on_close: resolve}"))};
    for (size_t i = 0; i < 12; i++) {
        struct rig r;
        uint64_t midnight = 16 * HOUR, at = midnight + i % 3 * S / 1000 - S / 1000;
        rig_start(&r, rig_devices, rules[i / 6]);
        rig_to(&r, at);
        if (i / 3 % 2) /* or what began at 22:00 would stand */
            rig_reload(&r, rig_devices, rules[i / 6]);
        say(&r, at, "d1", "open=1");
        told(&r, i % 3 ? "57600 night d1 activated active minor good\n"
                       : "57599 night d1 activated active minor good\n");
        rig_to(&r, midnight + 7 * HOUR);
        told(&r, "79200 night d1 cleared normal minor good schedule\n");
        rig_end(&r);
    }
}

static void pitfall_29_repeated_and_merged_messages_make_one_alarm(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(AT_ONCE));
    for (unsigned i = 0; i < 5; i++)
        rig_say(&r, MIN + i * S, "s1", "level=0.9", (struct said){.order = MIN});
    rig_say(&r, MIN + 6 * S, "s1", "battery_pct=4", (struct said){.order = MIN});
    told(&r, "60 high s1 activated active major good\n");
    rig_end(&r);
}

static void pitfall_32_severity_falls_by_each_levels_own_end(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("hot", "sump",
                         "levels: [{severity: info, when: level > 0.6, off: level < 0.5}, "
                         "{severity: warning, when: level > 0.7, off: level < 0.6}, "
                         "{severity: critical, when: level > 0.8, off: level < 0.7}]")));
    say(&r, 1 * MIN, "s1", "level=0.9");
    say(&r, 2 * MIN, "s1", "level=0.62"); /* critical is over, warning is not */
    told(&r,
         "60 hot s1 activated active critical good\n120 hot s1 level active warning good\n");
    say(&r, 3 * MIN, "s1", "level=0.75");
    say(&r, 4 * MIN, "s1", "level=0.55");
    say(&r, 5 * MIN, "s1", "level=0.2");
    told(&r, "240 hot s1 level active info good\n300 hot s1 cleared normal info good\n");
    rig_end(&r);
}

static void pitfall_33_a_rule_may_clear_what_is_not_seen_again(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n",
              RULES(RULE("high", "sump",
                         "levels: [{severity: major, when: level > 0.8, off: level < 0.6}], "
                         "no_data: {after: 10m, policy: clear}")));
    say(&r, 1 * MIN, "s1", "level=0.9");
    rig_to(&r, 2 * HOUR);
    told(&r, "60 high s1 activated active major good\n660 high s1 cleared normal major stale "
             "no_data\n"); /* nobody has seen that it is good */
    say(&r, 2 * HOUR + MIN, "s1", "level=0.9");
    told(&r, "7260 high s1 activated active major good\n");
    rig_end(&r);
}

static void pitfall_33_nor_is_it_good_for_having_settled(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n",
              RULES(DAMPED("high", "sump",
                           "flapping: {changes: 5, within: 10m, settle: 10m}, "
                           "levels: [{severity: major, when: level > 0.8}], "
                           "no_data: {after: 3m, policy: clear}")));
    for (unsigned i = 1; i <= 5; i++)
        say(&r, i * MIN, "s1", i & 1 ? "level=0.9" : "level=0.1");
    rig_to(&r, 7 * MIN);
    r.n_log = 0;
    *r.log = '\0';
    rig_to(&r, 30 * MIN);
    told(&r, "1080 high s1 settled normal major stale\n");
    rig_end(&r);
}

static void pitfall_34_its_times_are_the_samples(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices,
              RULES(RULE("fire", "smoke", "levels: [{severity: critical, when: alarm}]")));
    rig_say(&r, 10 * HOUR, "m1", "alarm=1", (struct said){.order = 5 * HOUR});
    told(&r, "36000 fire m1 activated active critical good late\n"); /* life-safety: at once */
    assert_int_equal(rig_look(&r, "fire", "m1", "").since_ms, WALL0 + 5 * 3600 * 1000);
    rig_end(&r);
}

static void pitfall_36_late_news_is_neither_dropped_nor_taken_for_now(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(AT_ONCE));
    say(&r, 1 * MIN, "s1", "level=0.1");
    say(&r, 60 * MIN, "s1", "level=0.1");
    for (unsigned i = 2; i < 60; i++) /* what it could not say in between */
        rig_say(&r, 61 * MIN, "s1", i >= 10 && i < 20 ? "level=0.9" : "level=0.1",
                (struct said){.order = i * MIN});
    told(&r, "3660 high s1 episode normal major good late 600..1200\n");
    rig_to(&r, 62 * MIN);
    for (unsigned i = 2; i < 60; i++) /* and says again */
        rig_say(&r, 63 * MIN, "s1", i >= 10 && i < 20 ? "level=0.9" : "level=0.1",
                (struct said){.order = i * MIN});
    told(&r, "");
    struct alarm_stats st;
    alarm_stats(r.a, &st);
    assert_int_equal(st.late, 115);
    /* A time in the future is that of its receipt, and poisons nothing. */
    rig_say(&r, 70 * MIN, "s1", "level=0.1", (struct said){.order = 500 * HOUR});
    say(&r, 71 * MIN, "s1", "level=0.9");
    told(&r, "4260 high s1 activated active major good\n");
    rig_end(&r);
}

static void while_it_catches_up_only_the_settled_state_is_told(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, RULES(AT_ONCE));
    say(&r, 1 * MIN, "s1", "level=0.1");
    for (unsigned i = 2; i < 50; i++) {
        rig_say(&r, 61 * MIN + i * S / 10, "s1", i / 10 % 2 ? "level=0.9" : "level=0.1",
                (struct said){.order = i * MIN});
        if (i == 33)
            rig_restart(&r);
    }
    rig_to(&r, 65 * MIN);
    told(&r, "3662 high s1 episode normal major good late 600..1200\n"
             "3664 high s1 episode normal major good late 1800..2400\n");
    for (unsigned i = 62; i < 64; i++)
        rig_say(&r, 70 * MIN + i * S, "s1", "level=0.9", (struct said){.order = i * MIN});
    rig_to(&r, 72 * MIN);
    told(&r, "4268 high s1 activated active major good late\n");
    rig_end(&r);
}

static void retained_proves_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(AT_ONCE OFFLINE));
    rig_say(&r, 1 * MIN, "s1", "level=0.9", (struct said){.retained = true});
    told(&r, "");
    say(&r, 2 * MIN, "s1", "level=0.9");
    rig_say(&r, 3 * MIN, "s1", "level=0.1", (struct said){.retained = true});
    rig_say(&r, 31 * MIN, "s1", "level=0.1", (struct said){.retained = true});
    rig_to(&r, 33 * MIN);
    told(&r, "120 high s1 activated active major good\n"
             "300 high s1 quality active major stale\n"
             "1920 offline s1 activated active no_data stale\n");
    rig_end(&r);
}

/* A queue says nothing of what is not in it: the gap of the pump's word stays a gap. */
static void a_queue_is_no_word_of_other_metrics(void **state)
{
    (void)state;
    struct rig r;
    rig_start(
        &r, rig_devices,
        RULES(RULE("pump", "sump",
                   "mode: samples, levels: [{severity: minor, when: pump_on, for: 5m}, "
                   "{severity: major, when: pump_on and battery_pct < 5}]")
                  RULE("high", "sump", "levels: [{severity: minor, when: level > 0.8}]")));
    say(&r, 60 * S, "s1", "pump_on=1 level=0.1");
    rig_say(&r, 300 * S, "s1", "level=0.9", (struct said){.catch_up = true});
    say(&r, 700 * S, "s1", "pump_on=1"); /* of ten minutes an interval counts, three times */
    told(&r, "305 high s1 activated active minor good late\n"
             "480 high s1 quality active minor stale late\n"
             "700 high s1 quality active minor good late\n");
    /* But all that is in it is read, not only what came last. */
    rig_say(&r, 800 * S, "s1", "level=0.1", (struct said){.catch_up = true});
    rig_say(&r, 801 * S, "s1", "pump_on=0", (struct said){.catch_up = true});
    rig_to(&r, 900 * S);
    told(&r, "806 high s1 cleared normal minor good late\n");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitfall_03_one_missing_or_bad_sample_resets_no_delay),
        cmocka_unit_test(pitfall_03_tolerates_so_many_of_so_many),
        cmocka_unit_test(pitfall_04_a_missed_report_recovers_nothing),
        cmocka_unit_test(pitfall_05_17_a_restart_loses_nothing_and_clears_what_is_over),
        cmocka_unit_test(pitfall_09_a_reload_resets_no_delay),
        cmocka_unit_test(pitfall_09_a_changed_rule_is_tested_again),
        cmocka_unit_test(pitfall_12_chatter_is_told_once),
        cmocka_unit_test(pitfall_14_a_recovery_is_not_lost_while_it_flaps),
        cmocka_unit_test(pitfall_14_life_safety_is_flagged_and_never_held),
        cmocka_unit_test(pitfall_18_who_never_spoke_is_missed),
        cmocka_unit_test(pitfall_19_late_points_are_signs_of_life),
        cmocka_unit_test(pitfall_20_silence_has_its_own_patience),
        cmocka_unit_test(pitfall_21_one_silent_device_of_ten_is_told),
        cmocka_unit_test(pitfall_22_an_uplink_that_drops_resolves_nothing),
        cmocka_unit_test(pitfall_22_a_slow_member_has_an_interval_when_its_uplink_is_back),
        cmocka_unit_test(pitfall_22_a_link_that_is_down_silences_nobody),
        cmocka_unit_test(pitfall_22_a_link_that_blinks_hides_nobody),
        cmocka_unit_test(pitfall_24_what_is_kept_is_seen_to_be_old),
        cmocka_unit_test(pitfall_25_no_state_is_written_for_what_does_not_change),
        cmocka_unit_test(pitfall_26_no_delay_is_over_before_its_time),
        cmocka_unit_test(hold_needs_no_sample_but_a_living_device),
        cmocka_unit_test(hold_does_not_count_what_nobody_saw),
        cmocka_unit_test(pitfall_27_a_schedule_opens_without_a_sample),
        cmocka_unit_test(pitfall_28_every_window_counts_and_midnight_is_no_hole),
        cmocka_unit_test(pitfall_28_no_moment_between_two_days_is_lost),
        cmocka_unit_test(pitfall_29_repeated_and_merged_messages_make_one_alarm),
        cmocka_unit_test(pitfall_32_severity_falls_by_each_levels_own_end),
        cmocka_unit_test(pitfall_33_a_rule_may_clear_what_is_not_seen_again),
        cmocka_unit_test(pitfall_33_nor_is_it_good_for_having_settled),
        cmocka_unit_test(pitfall_34_its_times_are_the_samples),
        cmocka_unit_test(pitfall_36_late_news_is_neither_dropped_nor_taken_for_now),
        cmocka_unit_test(while_it_catches_up_only_the_settled_state_is_told),
        cmocka_unit_test(retained_proves_nothing),
        cmocka_unit_test(a_queue_is_no_word_of_other_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
