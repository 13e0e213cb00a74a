/* SPDX-License-Identifier: Apache-2.0 */
/* Silence of our own: while our link is down, and until who is there could have spoken again, no
 * condition takes it for silence of a device. */
#include "alarm_rig.h"

#include <errno.h>

#define GONE(delay)                                                                            \
    RULE("gone", "sump",                                                                       \
         "levels: [{severity: minor, when: \"absent(level, 30m)\", for: " delay "}]")
#define SUMPS RIG_HEAD "s1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\n"

static void link_to(struct rig *r, uint64_t ns, bool up)
{
    rig_to(r, ns);
    alarm_link(r->a, 0, up, r->now);
}

/* To that time, in steps, with a restart at each. */
static void go(struct rig *r, uint64_t ns, bool restarts)
{
    while (restarts && r->now + 7 * MIN < BOOT + ns) {
        rig_to(r, r->now - BOOT + 7 * MIN);
        rig_restart(r);
    }
    rig_to(r, ns);
}

static void absent_waits(bool restarts)
{
    struct rig r;
    rig_start(&r, SUMPS, RULES(GONE("0s")));
    say(&r, 1 * MIN, "s1", "level=0.1");
    go(&r, 20 * MIN, restarts);
    link_to(&r, 20 * MIN, false);
    go(&r, 5 * HOUR, restarts);
    link_to(&r, 5 * HOUR, true);
    go(&r, 5 * HOUR + 25 * MIN, restarts);
    told(&r, "");
    say(&r, 5 * HOUR + 25 * MIN, "s1", "level=0.1");
    go(&r, 5 * HOUR + 54 * MIN, restarts);
    told(&r, "19800 gone s2 activated active minor stale\n"); /* 30 minutes after the link */
    go(&r, 5 * HOUR + 56 * MIN, restarts);
    told(&r, "21300 gone s1 activated active minor stale\n");
    rig_end(&r);
}

static void absent_waits_for_the_link(void **state)
{
    (void)state;
    absent_waits(false);
}

static void absent_waits_for_the_link_over_restarts(void **state)
{
    (void)state;
    absent_waits(true);
}

static void what_was_absent_stays_so(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, SUMPS, RULES(GONE("0s")));
    say(&r, 1 * MIN, "s1", "level=0.1");
    say(&r, 25 * MIN, "s2", "level=0.1");
    rig_to(&r, 40 * MIN);
    told(&r, "1860 gone s1 activated active minor stale\n");
    for (unsigned i = 0; i < 20; i++) { /* more outages than are remembered */
        link_to(&r, (40 + i * 30) * MIN, false);
        rig_restart(&r);
        link_to(&r, (50 + i * 30) * MIN, true);
    }
    told(&r, ""); /* s2: never was it quiet for so long while it could be heard */
    say(&r, 10 * HOUR + 45 * MIN, "s1", "level=0.1");
    told(&r, "38700 gone s1 cleared normal minor good\n");
    rig_to(&r, 10 * HOUR + 49 * MIN);
    told(&r, "");
    rig_end(&r);
}

/* The delay of what was true already stands still, too. */
static void a_delay_does_not_run_while_the_link_is_down(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(GONE("20m")));
    say(&r, 1 * MIN, "s1", "level=0.1");
    link_to(&r, 41 * MIN, false); /* 10 of its 20 minutes are over */
    rig_to(&r, 90 * MIN);
    rig_restart(&r);
    link_to(&r, 101 * MIN, true);
    rig_to(&r, 111 * MIN);
    told(&r, "");
    rig_to(&r, 113 * MIN); /* an interval, and the other ten */
    told(&r, "6720 gone s1 activated active minor stale\n");
    rig_end(&r);
}

static void a_window_that_runs_empty_by_us_raises_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, SUMPS,
              RULES(RULE("mute", "sump",
                         "levels: [{severity: minor, when: \"count(level, 10m) < 1\"}]")));
    say(&r, 1 * MIN, "s1", "level=0.1");
    say(&r, 2 * MIN, "s2", "level=0.1");
    link_to(&r, 5 * MIN, false);
    rig_to(&r, 2 * HOUR);
    rig_restart(&r);
    link_to(&r, 2 * HOUR, true);
    say(&r, 2 * HOUR + 30 * S, "s1", "level=0.1");
    told(&r, "");
    rig_to(&r, 2 * HOUR + 5 * MIN);
    told(&r, "7260 mute s2 activated active minor stale\n");
    rig_end(&r);
}

/* Nor where the rule counts, in another level or in the same: what is counted is heard all the same. */
static void a_rule_that_counts_takes_our_silence_for_none(void **state)
{
    (void)state;
    static const char devices[] = SUMPS "d1,door,c1,b1,,,\nd2,door,c1,b1,,,\n";
    struct rig r;
    rig_start(
        &r, devices,
        RULES(RULE("mute", "sump",
                   "mode: hold, levels: [{severity: minor, when: \"count(level, 10m) < 1\"}, "
                   "{severity: major, when: \"count_over(building, door, open) >= 2\", for: "
                   "10m}]") RULE("both", "sump",
                                 "levels: [{severity: minor, when: \"count(level, 10m) < 1 and "
                                 "count_over(building, door, open) < 9\"}]")));
    say(&r, 1 * MIN, "s1", "level=0.1");
    say(&r, 2 * MIN, "s2", "level=0.1");
    link_to(&r, 5 * MIN, false);
    say(&r, 100 * MIN, "d1", "open=1"); /* read only now */
    say(&r, 100 * MIN, "d2", "open=1");
    rig_restart(&r);
    told(&r, "");
    rig_to(&r, 2 * HOUR);
    told(&r, "6600 mute s1 activated active major stale\n"
             "6600 mute s2 activated active major stale\n");
    link_to(&r, 2 * HOUR, true);
    say(&r, 2 * HOUR + 30 * S, "s1", "level=0.1");
    say(&r, 2 * HOUR + 40 * S, "d1", "open=0");
    told(&r, "7230 mute s1 quality active major good\n"
             "7240 mute s1 cleared normal major good\n"
             "7240 mute s2 level active minor stale\n"); /* nobody knows yet that it is not */
    rig_to(&r, 2 * HOUR + 5 * MIN);
    told(&r, "7260 both s2 activated active minor stale\n");
    rig_end(&r);
}

/* A moment in which the broker kept everything is no outage. */
static void a_blink_stops_no_age(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,15m,,\n", RULES(GONE("0s")));
    say(&r, 15 * MIN, "s1", "level=0.1");
    for (unsigned i = 1; i <= 11; i++) {
        rig_to(&r, i * 5 * MIN - MIN);
        alarm_link(r.a, 0, false, r.now);
        rig_to(&r, i * 5 * MIN - 30 * S);
        alarm_link_again(r.a, 0, r.now);
        rig_restart(&r);
    }
    /* After 30 minutes, when what was kept for the blink before has come. */
    told(&r, "2730 gone s1 activated active minor good\n");
    rig_end(&r);
}

/* One blink within the minute in which what was kept for the one before still comes, and this time the
 * session is lost: nothing was heard for sure since the first. */
static void two_blinks_are_one_outage(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n",
              RULES(RULE("gone", "sump",
                         "levels: [{severity: minor, when: \"absent(level, 570s)\"}]")));
    say(&r, 1 * MIN, "s1", "level=0.1");
    link_to(&r, 10 * MIN, false);
    rig_to(&r, 10 * MIN + 20 * S);
    alarm_link_again(r.a, 0, r.now);
    link_to(&r, 10 * MIN + 40 * S, false);
    rig_restart(&r);
    link_to(&r, 5 * HOUR, true);
    rig_to(&r, 5 * HOUR + 9 * MIN);
    told(&r, ""); /* 540 s, not 580 */
    rig_to(&r, 5 * HOUR + 10 * MIN);
    told(&r, "18570 gone s1 activated active minor stale\n");
    rig_end(&r);
}

/* One is dead; the others behind that uplink report by the hour, and were not heard while we could not
 * hear them: that is nobody's fault. */
static void an_uplink_is_not_blamed_for_our_outage(void **state)
{
    (void)state;
    static const char *const all[] = {"u1", "s1", "s2", "s3", "s4"};
    struct rig r;
    rig_start(&r,
              RIG_HEAD "u1,uplink,c1,b1,60s,,\ns1,sump,c1,b1,60s,u1,\ns2,sump,c1,b1,1h,u1,\n"
                       "s3,sump,c1,b1,1h,u1,\ns4,sump,c1,b1,1h,u1,\n",
              RULES(RULE("off", "\"*\"", "no_data: {policy: alert}")));
    for (unsigned i = 0; i < 5; i++)
        say(&r, 1 * MIN, all[i], i ? "level=0.1" : "rssi=1");
    link_to(&r, 2 * MIN, false);
    link_to(&r, 3 * HOUR, true);
    for (unsigned i = 1; i <= 10; i++)
        say(&r, 3 * HOUR + i * MIN, "u1", "rssi=1");
    told(&r, "10980 off s1 activated active no_data stale\n");
    rig_end(&r);
}

/* A state whose first link has these outages: how it is loaded. */
static int load_outages(const struct rig *r, const struct rig_bytes *b, uint64_t n,
                        const uint64_t *ends, size_t given)
{
    enum { COUNT = 33 + 25 }; /* head; up, again, up or not, lost */
    struct rig_bytes x = {0};
    uint64_t had;
    memcpy(&had, b->p + COUNT, sizeof(had));
    size_t behind = COUNT + sizeof(had) + had * 2 * sizeof(*ends);
    (void)rig_put(&x, b->p, COUNT);
    (void)rig_put(&x, &n, sizeof(n));
    (void)rig_put(&x, ends, given * 2 * sizeof(*ends));
    (void)rig_put(&x, b->p + behind, b->n - behind);
    struct alarm *a = alarm_new(&(struct alarm_out){(void *)(uintptr_t)r, rig_event});
    alarm_use(a, NULL, r->w, BOOT, WALL0);
    int k = alarm_load(a, x.p, x.n);
    alarm_free(a);
    free(x.p);
    return k;
}

static void outages_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct rig r;
    struct rig_bytes b = {0};
    uint64_t ends[18];
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(GONE("0s")));
    assert_int_equal(alarm_save(r.a, rig_put, &b), 0);
    for (uint64_t i = 0; i < 18; i++)
        ends[i] = BOOT + i * MIN;
    assert_int_equal(load_outages(&r, &b, 0, ends, 0), 0);
    assert_int_equal(load_outages(&r, &b, 8, ends, 8), 0);
    assert_int_equal(load_outages(&r, &b, 9, ends, 9), -EBADMSG); /* more than there is room */
    assert_int_equal(load_outages(&r, &b, UINT64_MAX, ends, 8), -EBADMSG);
    ends[2] = ends[1] - 1; /* before the first is over */
    assert_int_equal(load_outages(&r, &b, 8, ends, 8), -EBADMSG);
    ends[2] = ends[3] + 1; /* ends before it begins */
    assert_int_equal(load_outages(&r, &b, 8, ends, 8), -EBADMSG);
    free(b.p);
    rig_end(&r);
}

/* What version 2 wrote knows no outages. */
static void an_older_state_is_read(void **state)
{
    (void)state;
    enum { HEAD = 33, LINKS = 64, OLD = 17, NEW = 33, SPAN = 16 };
    struct rig r;
    struct rig_bytes b = {0};
    rig_start(&r, RIG_HEAD "s1,sump,c1,b1,60s,,\n", RULES(GONE("0s")));
    say(&r, 1 * MIN, "s1", "level=0.1");
    link_to(&r, 10 * MIN, false);
    assert_int_equal(alarm_save(r.a, rig_put, &b), 0);
    char *to = b.p + HEAD, *from = b.p + HEAD;
    for (unsigned i = 0; i < LINKS; i++) {
        uint64_t n;
        memmove(to, from, OLD);
        memcpy(&n, from + OLD + 8, sizeof(n));
        to += OLD;
        from += NEW + n * SPAN;
    }
    memmove(to, from, (size_t)(b.p + b.n - from));
    b.n -= (size_t)(from - to);
    b.p[8] = 2;
    alarm_free(r.a);
    r.a = alarm_new(&(struct alarm_out){&r, rig_event});
    alarm_use(r.a, NULL, r.w, BOOT, WALL0);
    assert_int_equal(alarm_load(r.a, b.p, b.n), 0);
    rig_to(&r, 3 * HOUR);
    told(&r, "");
    link_to(&r, 3 * HOUR, true);
    rig_to(&r, 4 * HOUR);
    told(&r, "12600 gone s1 activated active minor stale\n");
    free(b.p);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_waits_for_the_link),
        cmocka_unit_test(absent_waits_for_the_link_over_restarts),
        cmocka_unit_test(what_was_absent_stays_so),
        cmocka_unit_test(a_delay_does_not_run_while_the_link_is_down),
        cmocka_unit_test(a_window_that_runs_empty_by_us_raises_nothing),
        cmocka_unit_test(a_rule_that_counts_takes_our_silence_for_none),
        cmocka_unit_test(a_blink_stops_no_age),
        cmocka_unit_test(two_blinks_are_one_outage),
        cmocka_unit_test(an_uplink_is_not_blamed_for_our_outage),
        cmocka_unit_test(outages_that_cannot_be_are_refused),
        cmocka_unit_test(an_older_state_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
