/* SPDX-License-Identifier: Apache-2.0 */
/* A reload makes a further point of a device its own, or its own one a further one. */
#include "alarm_rig.h"

#define POINTED(kind, point)                                                                   \
    "device,kind,compound,building,expected_interval,point\nx1," kind ",c1,b1,60s," point "\n"
#define HIGH                                                                                   \
    RULES(RULE("high", "sump",                                                                 \
               "levels: [{severity: minor, when: level > 0.8, off: level < 0.6}, "             \
               "{severity: critical, when: level > 2, off: level < 1.5}]"))
#define SLOW                                                                                   \
    RULES(RULE(                                                                                \
        "slow", "sump",                                                                        \
        "max_gap: 10m, levels: [{severity: minor, when: level > 0.8, for: 3m, off_for: 3m}]"))
#define FIRE RULES(RULE("fire", "smoke", "levels: [{severity: critical, when: alarm}]"))
#define WET                                                                                    \
    RULES(RULE("wet", "sump",                                                                  \
               "life_safety: true, levels: [{severity: minor, when: level > 0.8}, "            \
               "{severity: critical, when: level > 2}]"))
#define MEAN                                                                                   \
    RULES(RULE("mean", "sump", "levels: [{severity: minor, when: 'avg(level, 10m) > 0.8'}]"))

static void at(struct rig *r, uint64_t ns, const char *point, const char *what)
{
    rig_say(r, ns, "x1", what, (struct said){.point = point});
}

static void reload(struct rig *r, const char *devices, const char *rules)
{
    rig_reload(r, devices, rules);
    rig_restart(r);
    rig_to(r, r->now - BOOT + S);
}

static void forget(struct rig *r)
{
    r->n_log = 0;
    *r->log = '\0';
}

/* What is said at it is said at the device's own from then on. */
static void a_further_point_becomes_the_own(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), HIGH);
    at(&r, 50 * S, "", "level=0.1");
    at(&r, 60 * S, "b", "level=0.9");
    told(&r, "60 high x1@b activated active minor good\n");
    int64_t since = rig_look(&r, "high", "x1", "b").since_ms;
    reload(&r, POINTED("sump", "b"), HIGH);
    told(&r, "60 high x1 moved active minor good from b\n");
    assert_int_equal(rig_look(&r, "high", "x1", "").since_ms, since);
    at(&r, 90 * S, "", "level=2.5");
    told(&r, "90 high x1 level active critical good\n");
    at(&r, 120 * S, "", "level=0.1");
    told(&r, "120 high x1 cleared normal critical good\n");
    rig_end(&r);
}

static void what_endangers_life_goes_on_there(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("smoke", "a"), FIRE);
    at(&r, 60 * S, "b", "alarm=1");
    at(&r, 70 * S, "", "alarm=0"); /* newer, but of another place */
    told(&r, "60 fire x1@b activated active critical good\n");
    reload(&r, POINTED("smoke", "b"), FIRE);
    told(&r, "70 fire x1 moved active critical good from b\n");
    rig_to(&r, HOUR);
    told(&r, "250 fire x1 quality active critical stale\n");
    at(&r, HOUR, "", "alarm=0");
    told(&r, "3600 fire x1 cleared normal critical good\n");
    rig_end(&r);
}

/* The rule changes with it: each is told where it is known. */
static void its_rule_changes_too(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), WET);
    at(&r, 60 * S, "b", "level=0.9");
    told(&r, "60 wet x1@b activated active minor good\n");
    reload(&r, POINTED("sump", "b"),
           RULES(RULE("wet", "sump", "levels: [{severity: major, when: level > 3}]")));
    told(&r, "60 wet x1 moved active minor good from b\n"
             "60 wet x1 level active major good rule_changed\n");
    at(&r, 120 * S, "", "level=0.1");
    told(&r, "120 wet x1 cleared normal major good\n");
    rig_end(&r);
}

/* Its own has the same alarm already: that goes on, as the graver one. */
static void both_had_it(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), WET);
    at(&r, 50 * S, "", "level=0.9");
    at(&r, 60 * S, "b", "level=2.5");
    told(&r, "50 wet x1 activated active minor good\n"
             "60 wet x1@b activated active critical good\n");
    reload(&r, POINTED("sump", "b"), WET);
    told(&r, "60 wet x1@b removed normal critical good joined\n"
             "60 wet x1 level active critical good rule_changed\n");
    at(&r, 90 * S, "", "level=2.6");
    told(&r, "");
    at(&r, 120 * S, "", "level=0.1");
    told(&r, "120 wet x1 cleared normal critical good\n");
    rig_end(&r);

    rig_start(&r, POINTED("sump", "a"), WET); /* and its own is the graver one */
    at(&r, 50 * S, "", "level=2.5");
    at(&r, 60 * S, "b", "level=0.9");
    r.n_log = 0;
    reload(&r, POINTED("sump", "b"), WET);
    told(&r, "60 wet x1@b removed normal minor good joined\n");
    assert_int_equal(rig_look(&r, "wet", "x1", "").level, 1);
    rig_end(&r);
}

/* The device is silent as a whole, and told so: what its point said last is told there. */
static void its_own_is_silent(void **state)
{
    static const char rules[] =
        RULES(RULE("q", "sump",
                   "life_safety: true, levels: [{severity: critical, when: level > 0.8}], "
                   "no_data: {after: 3m, policy: alert, severity: warning}"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), rules);
    at(&r, 60 * S, "b", "level=0.9");
    rig_to(&r, 300 * S);
    told(&r, "60 q x1@b activated active critical good\n"
             "240 q x1@b quality active critical stale\n"
             "240 q x1 activated active no_data stale\n");
    reload(&r, POINTED("sump", "b"), rules);
    told(&r, "300 q x1@b removed normal critical stale joined\n"
             "300 q x1 level active critical stale rule_changed\n");
    at(&r, 360 * S, "", "level=0.9");
    told(&r, "360 q x1 quality active critical good\n");
    at(&r, 420 * S, "", "level=0.1");
    told(&r, "420 q x1 cleared normal critical good\n");
    rig_end(&r);
}

/* Clocks go on, of the beginning and of the end. */
static void its_clocks_run_on(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), SLOW);
    at(&r, 60 * S, "b", "level=0.9");
    at(&r, 120 * S, "b", "level=0.9");
    at(&r, 180 * S, "b", "level=0.9");
    reload(&r, POINTED("sump", "b"), SLOW);
    told(&r, "");
    at(&r, 240 * S, "", "level=0.9");
    told(&r, "240 slow x1 activated active minor good\n");
    at(&r, 300 * S, "", "level=0.1");
    at(&r, 400 * S, "", "level=0.1");
    reload(&r, POINTED("sump", "c"), SLOW);
    at(&r, 480 * S, "", "level=0.1");
    told(&r, "480 slow x1 cleared normal minor good\n");
    rig_end(&r);
}

static void its_windows_come_along(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), MEAN);
    at(&r, 50 * S, "", "level=0.1");
    at(&r, 60 * S, "b", "level=2");
    told(&r, "60 mean x1@b activated active minor good\n");
    reload(&r, POINTED("sump", "b"), MEAN);
    told(&r, "60 mean x1 moved active minor good from b\n");
    at(&r, 120 * S, "", "level=0.1");
    told(&r, ""); /* 1.05 */
    at(&r, 180 * S, "", "level=0.1");
    told(&r, "180 mean x1 cleared normal minor good\n");
    rig_end(&r);
}

/* What it says late is told when it has caught up, once. */
static void it_catches_up(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), HIGH);
    at(&r, 50 * S, "", "level=0.1");
    rig_say(&r, 1000 * S, "x1", "level=0.9", (struct said){.point = "b", .order = 600 * S});
    told(&r, "");
    reload(&r, POINTED("sump", "b"), HIGH);
    told(&r, "");
    rig_to(&r, 1010 * S);
    told(&r, "1005 high x1 activated active minor good late\n");
    rig_end(&r);
}

/* A rule that asks for the other point only has no place there. */
static void no_rule_is_for_it(void **state)
{
    static const char rules[] =
        RULES(RULE("p", "sump", "points: [b], levels: [{severity: minor, when: level > 0.8}]"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), rules);
    at(&r, 60 * S, "b", "level=0.9");
    told(&r, "60 p x1@b activated active minor good\n");
    reload(&r, POINTED("sump", "b"), rules);
    told(&r, "60 p x1 moved active minor good from b\n");
    reload(&r, POINTED("sump", "c"), rules); /* it was said by its name */
    told(&r, "61 p x1@b moved active minor good from own\n");
    reload(&r, POINTED("sump", "b"), rules);
    at(&r, 120 * S, "", "level=0.9"); /* it was not */
    told(&r, "62 p x1 moved active minor good from b\n");
    reload(&r, POINTED("sump", "c"), rules);
    told(&r, "120 p x1 removed normal minor good not_concerned\n");
    rig_end(&r);
}

/* -- and the other way ------------------------------------------------------------------------ */

static void by_name(struct rig *r, uint64_t ns, const char *what)
{
    rig_say(r, ns, "x1", what, (struct said){.named = true});
}

/* Of a device that names its points, each goes on as what it is. */
static void the_own_becomes_a_further_one(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("smoke", "a"), FIRE);
    by_name(&r, 60 * S, "alarm=1");
    at(&r, 70 * S, "b", "alarm=0");
    told(&r, "60 fire x1 activated active critical good\n");
    reload(&r, POINTED("smoke", "b"), FIRE);
    told(&r, "70 fire x1@a moved active critical good from own\n");
    by_name(&r, 120 * S, "alarm=0"); /* of b */
    at(&r, 130 * S, "a", "alarm=1");
    told(&r, "");
    reload(&r, POINTED("smoke", "a"), FIRE);
    told(&r, "130 fire x1 moved active critical good from a\n");
    reload(&r, POINTED("smoke", ""), FIRE); /* it has none of its own */
    told(&r, "131 fire x1@a moved active critical good from own\n");
    at(&r, 180 * S, "a", "alarm=0");
    told(&r, "180 fire x1@a cleared normal critical good\n");
    rig_end(&r);
}

/* Both burn: each stays what it is. */
static void both_change_places(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), WET);
    by_name(&r, 60 * S, "level=0.9");
    at(&r, 70 * S, "b", "level=2.5");
    told(&r, "60 wet x1 activated active minor good\n"
             "70 wet x1@b activated active critical good\n");
    reload(&r, POINTED("sump", "b"), WET);
    told(&r, "70 wet x1@a moved active minor good from own\n"
             "70 wet x1 moved active critical good from b\n");
    at(&r, 120 * S, "a", "level=0.1");
    by_name(&r, 130 * S, "level=0.9");
    told(&r, "120 wet x1@a cleared normal minor good\n"
             "130 wet x1 level active minor good\n");
    rig_end(&r);
}

/* A device that says no names is moved: nothing else changes. */
static void who_says_no_names_stays(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("smoke", "a"), FIRE);
    by_name(&r, 50 * S, "alarm=1");
    at(&r, 60 * S, "", "alarm=1");
    told(&r, "50 fire x1 activated active critical good\n");
    reload(&r, POINTED("smoke", "b"), FIRE);
    told(&r, "");
    at(&r, 120 * S, "", "alarm=0");
    told(&r, "120 fire x1 cleared normal critical good\n");
    rig_end(&r);
}

#define QUIET                                                                                  \
    RULES(RULE("q", "sump",                                                                    \
               "life_safety: true, levels: [{severity: critical, when: level > 0.8}], "        \
               "no_data: {after: 3m, policy: alert, severity: warning}"))

/* It is the device that is silent, not its point. */
static void silence_stays_with_the_device(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), QUIET);
    by_name(&r, 60 * S, "level=0.1");
    rig_to(&r, 300 * S);
    told(&r, "240 q x1 activated active no_data stale\n");
    reload(&r, POINTED("sump", "b"), QUIET);
    told(&r, "");
    at(&r, 360 * S, "a", "level=0.1");
    told(&r, "360 q x1 cleared normal no_data good\n");
    rig_end(&r);

    rig_start(&r, POINTED("sump", "a"), QUIET); /* and a level besides */
    by_name(&r, 60 * S, "level=0.9");
    rig_to(&r, 300 * S);
    told(&r, "60 q x1 activated active critical good\n"
             "240 q x1 quality active critical stale\n");
    reload(&r, POINTED("sump", "b"), QUIET);
    told(&r, "300 q x1@a moved active critical stale from own\n"
             "300 q x1 activated active no_data stale\n");
    by_name(&r, 360 * S, "level=0.1");
    told(&r, "360 q x1 cleared normal no_data good\n"
             "360 q x1@a quality active critical good\n");
    at(&r, 420 * S, "a", "level=0.1");
    told(&r, "420 q x1@a cleared normal critical good\n");
    rig_end(&r);
}

/* What counts and what reads several points is the device's; a rule for one point has its own. */
static void rules_find_their_points(void **state)
{
    static const char rules[] =
        RULES(RULE("p", "sump", "points: [a], levels: [{severity: minor, when: level > 0.8}]")
                  RULE("both", "sump",
                       "levels: [{severity: minor, when: level@a > 0.8 and level@b > 0.8}]")
                      RULE("many", "uplink",
                           "levels: [{severity: minor, when: 'count_over(compound, sump, level "
                           "> 0.8) >= 1'}]"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a") "u1,uplink,c1,b1,,\n", rules);
    by_name(&r, 60 * S, "level=0.9");
    at(&r, 70 * S, "b", "level=0.9");
    told(&r, "60 p x1 activated active minor good\n"
             "60 many u1 activated active minor good\n"
             "70 both x1 activated active minor good\n");
    reload(&r, POINTED("sump", "b") "u1,uplink,c1,b1,,\n", rules);
    told(&r, "70 p x1@a moved active minor good from own\n");
    at(&r, 120 * S, "a", "level=0.1");
    told(&r, "120 p x1@a cleared normal minor good\n"
             "120 both x1 cleared normal minor good\n");
    by_name(&r, 130 * S, "level=0.1");
    told(&r, "130 many u1 cleared normal minor good\n");
    rig_end(&r);
}

/* As many as there may be: none of them ends for want of room. */
static void there_is_no_room(void **state)
{
    (void)state;
    struct rig r;
    char name[8];
    rig_start(&r, POINTED("smoke", "a"), FIRE);
    for (unsigned i = 1; i <= 64; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        at(&r, 20 * S + i * S / 10, name, i == 64 ? "alarm=1" : "alarm=0");
    }
    by_name(&r, 60 * S, "alarm=1");
    told(&r, "26 fire x1@p64 activated active critical good\n"
             "60 fire x1 activated active critical good\n");
    reload(&r, POINTED("smoke", "b"), FIRE);
    told(&r, "");
    by_name(&r, 70 * S, "alarm=0");
    at(&r, 70 * S, "p64", "alarm=0");
    told(&r, "70 fire x1 cleared normal critical good\n"
             "70 fire x1@p64 cleared normal critical good\n");
    rig_end(&r);
}

/* -- where both had it ------------------------------------------------------------------------ */

/* A graver level was on its way at either of them: it comes. */
static void what_is_graver_still_comes(void **state)
{
    static const char rules[] = RULES(
        RULE("h", "sump",
             "mode: hold, fresh: 1h, levels: [{severity: minor, when: level > 0.8}, {severity: "
             "critical, when: level > 2, for: 5m}]")),
                      silent[] = RULES(
                          RULE("h", "sump",
                               "mode: hold, fresh: 1h, levels: [{severity: critical, when: "
                               "level > 2, for: 10m}], no_data: {after: 3m, policy: alert}"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), rules);
    at(&r, 50 * S, "", "level=0.9");
    at(&r, 60 * S, "b", "level=2.5");
    told(&r, "50 h x1 activated active minor good\n"
             "60 h x1@b activated active minor good\n");
    reload(&r, POINTED("sump", "b"), rules);
    told(&r, "60 h x1@b removed normal minor good joined\n");
    rig_to(&r, 400 * S);
    told(&r, "240 h x1 quality active minor stale\n"
             "360 h x1 level active critical stale\n");
    rig_end(&r);

    rig_start(&r, POINTED("sump", "a"), rules); /* of what is said no longer it does not */
    at(&r, 50 * S, "b", "level=2.5");
    at(&r, 60 * S, "", "level=0.9");
    forget(&r);
    reload(&r, POINTED("sump", "b"), rules);
    told(&r, "60 h x1@b removed normal minor good joined\n");
    rig_to(&r, 400 * S);
    told(&r, "240 h x1 quality active minor stale\n");
    rig_end(&r);

    rig_start(&r, POINTED("sump", "a"), silent); /* and its own is silent */
    at(&r, 60 * S, "b", "level=2.5");
    rig_to(&r, 300 * S);
    told(&r, "240 h x1 activated active no_data stale\n");
    reload(&r, POINTED("sump", "b"), silent);
    told(&r, "");
    rig_to(&r, 700 * S);
    told(&r, "660 h x1 level active critical stale\n");
    rig_end(&r);
}

/* What its values come from, its windows come from. */
static void windows_are_of_whose_values_are(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), MEAN);
    at(&r, 50 * S, "", "level=0.9");
    at(&r, 60 * S, "b", "level=2");
    forget(&r);
    reload(&r, POINTED("sump", "b"), MEAN);
    told(&r, "60 mean x1@b removed normal minor good joined\n");
    at(&r, 120 * S, "", "level=0.1");
    told(&r, ""); /* 1.05 */
    at(&r, 180 * S, "", "level=0.1");
    told(&r, "180 mean x1 cleared normal minor good\n");
    rig_end(&r);
}

/* Its own flaps: what is worse is told when the other has caught up, not hidden by that. */
static void what_is_worse_is_told_while_it_flaps(void **state)
{
    static const char rules[] =
        RULES(DAMPED("high", "sump",
                     "levels: [{severity: minor, when: level > 0.8, off: level < 0.6}, "
                     "{severity: critical, when: level > 2, off: level < 1.5}]"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), rules);
    for (unsigned i = 0; i < 6; i++)
        at(&r, (900 + i * 15) * S, "", i % 2 ? "level=0.1" : "level=0.9");
    assert_true(rig_look(&r, "high", "x1", "").flapping);
    rig_say(&r, 1000 * S, "x1", "level=2.5", (struct said){.point = "b", .order = 600 * S});
    forget(&r);
    reload(&r, POINTED("sump", "b"), rules);
    told(&r, "");
    rig_to(&r, 1010 * S);
    told(&r, "1005 high x1 level active critical good late flapping\n");
    rig_end(&r);
}

/* The rule reads both from now on, so it is the device's own: what was at the other joins it. */
static void its_rule_reads_both_now(void **state)
{
    static const char both[] =
        RULES(RULE("wet", "sump",
                   "life_safety: true, levels: [{severity: minor, when: level@a > 0.8 or "
                   "level@b > 0.8}, {severity: critical, when: level@a > 2 or level@b > 2}]"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), WET);
    by_name(&r, 60 * S, "level=0.9");
    at(&r, 70 * S, "b", "level=2.5");
    forget(&r);
    reload(&r, POINTED("sump", "b"), both);
    told(&r, "70 wet x1@b removed normal critical good joined\n"
             "70 wet x1 level active critical good rule_changed\n");
    by_name(&r, 120 * S, "level=0.1");
    told(&r, "120 wet x1 level active minor good\n");
    rig_end(&r);
}

/* -- what is known where --------------------------------------------------------------------- */

/* The new own one has not spoken yet: it is silent since the reload, not for ever. */
static void who_begins_now_is_not_old(void **state)
{
    static const char rules[] =
        RULES(RULE("old", "sump", "levels: [{severity: minor, when: age(level) > 1h}]"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), rules);
    for (unsigned i = 1; i <= 6; i++)
        by_name(&r, i * 30 * MIN, "level=0.1");
    reload(&r, POINTED("sump", "c"), rules);
    told(&r, "");
    for (unsigned i = 7; i <= 10; i++)
        at(&r, i * 30 * MIN, "a", "level=0.1");
    assert_non_null(strstr(r.log, "14400 old x1 activated"));
    assert_null(strstr(r.log, "x1@a"));
    forget(&r);
    by_name(&r, 301 * MIN, "level=0.1");
    told(&r, "18060 old x1 cleared normal minor good\n");
    rig_end(&r);
}

/* It moves besides: rules of there look at what was said at the point that it left. */
static void who_is_left_is_new_elsewhere(void **state)
{
    static const char rules[] =
        RULES(RULE("p", "sump",
                   "only: {compounds: [c2]}, points: [a], levels: "
                   "[{severity: minor, when: level > 0.8}]")
                  RULE("all", "sump", "levels: [{severity: minor, when: level > 4}]"));
    (void)state;
    struct rig r;
    rig_start(&r, POINTED("sump", "a"), rules);
    by_name(&r, 60 * S, "level=0.9");
    told(&r, "");
    reload(&r,
           "device,kind,compound,building,expected_interval,point\n"
           "x1,sump,c2,b1,60s,c\n",
           rules);
    told(&r, "60 p x1@a activated active minor good\n");
    rig_end(&r);
}

/* For want of room it stayed where it is, as whose it is not: it does not go with the next name. */
static void who_stayed_has_no_name(void **state)
{
    (void)state;
    struct rig r;
    char name[8];
    rig_start(&r, POINTED("smoke", "a"), FIRE);
    for (unsigned i = 1; i <= 64; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        at(&r, 20 * S + i * S / 10, name, "alarm=0");
    }
    by_name(&r, 60 * S, "alarm=1");
    told(&r, "60 fire x1 activated active critical good\n");
    reload(&r, POINTED("smoke", "b"), FIRE);
    reload(&r, POINTED("smoke", "p1"), FIRE);
    reload(&r, POINTED("smoke", "c"), FIRE);
    told(&r, "");
    rig_end(&r);
}

/* What a rule of several points looks at is not what the rules behind it look at. */
static void behind_a_rule_of_several_points(void **state)
{
    (void)state;
    static const char rules[] =
        RULES(RULE("both", "sump",
                   "levels: [{severity: minor, when: level@a > 3 and "
                   "level@b > 3}]") RULE("high", "sump",
                                         "life_safety: true, levels: [{severity: "
                                         "critical, when: level > 0.8}]"));
    struct rig r;
    rig_start(&r, POINTED("sump", "own"), rules);
    at(&r, 50 * S, "", "level=0.1");
    at(&r, 60 * S, "b", "level=3.5");
    told(&r, "60 high x1@b activated active critical good\n");
    at(&r, 70 * S, "a", "level=3.5");
    told(&r, "70 both x1 activated active minor good\n"
             "70 high x1@a activated active critical good\n");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_further_point_becomes_the_own),
        cmocka_unit_test(what_endangers_life_goes_on_there),
        cmocka_unit_test(its_rule_changes_too),
        cmocka_unit_test(both_had_it),
        cmocka_unit_test(its_own_is_silent),
        cmocka_unit_test(its_clocks_run_on),
        cmocka_unit_test(its_windows_come_along),
        cmocka_unit_test(it_catches_up),
        cmocka_unit_test(no_rule_is_for_it),
        cmocka_unit_test(the_own_becomes_a_further_one),
        cmocka_unit_test(both_change_places),
        cmocka_unit_test(who_says_no_names_stays),
        cmocka_unit_test(silence_stays_with_the_device),
        cmocka_unit_test(rules_find_their_points),
        cmocka_unit_test(there_is_no_room),
        cmocka_unit_test(what_is_graver_still_comes),
        cmocka_unit_test(windows_are_of_whose_values_are),
        cmocka_unit_test(what_is_worse_is_told_while_it_flaps),
        cmocka_unit_test(its_rule_reads_both_now),
        cmocka_unit_test(who_begins_now_is_not_old),
        cmocka_unit_test(who_is_left_is_new_elsewhere),
        cmocka_unit_test(who_stayed_has_no_name),
        cmocka_unit_test(behind_a_rule_of_several_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
