/* SPDX-License-Identifier: Apache-2.0 */
/* A device's own value of a parameter is another after a reload: what was said is looked at by it, as by a rule
 * that changed. */
#include "alarm_rig.h"

#define SUMPS  RIG_HEAD "s1,sump,c1,b1,60s,,\ns2,sump,c1,b1,60s,,\nd1,door,c1,b1,,,\n"
#define PARAMS "device,name,value\n"
#define HIGH(more)                                                                             \
    RULE("high", "sump",                                                                       \
         "params: {start: {default: 2, unit: m}}, " more                                       \
         "levels: [{severity: minor, when: level > $start, for: 10m}]")
#define AT_ONCE(more)                                                                          \
    RULE("high", "sump",                                                                       \
         "params: {start: {default: 2, unit: m}}, " more                                       \
         "levels: [{severity: minor, when: level > $start}]")

static void reload(struct rig *r, const char *rules, const char *params)
{
    rig_use(r, small_world(&(struct small_world){rig_conf, rig_catalog, rig_compounds, SUMPS,
                                                 .rules = rules, .params = params}));
}

static void another_value_is_looked_at(void **state)
{
    (void)state;
    static const char *const modes[] = {RULES(AT_ONCE("mode: hold, ")), RULES(AT_ONCE(""))};
    for (unsigned i = 0; i < 2; i++) {
        struct rig r;
        rig_start(&r, SUMPS, modes[i]);
        say(&r, 60 * S, "s1", "level=1.5");
        say(&r, 60 * S, "s2", "level=1.5");
        rig_to(&r, 70 * S);
        reload(&r, modes[i], PARAMS "s1,start,1\n"); /* that was the rule's own */
        rig_restart(&r);
        rig_to(&r, 80 * S);
        told(&r, "70 high s1 activated active minor good\n");
        reload(&r, modes[i], PARAMS "s1,start,1.6\ns2,start,1.2\n");
        rig_to(&r, 90 * S);
        told(&r, "80 high s1 cleared normal minor good\n"
                 "80 high s2 activated active minor good\n");
        reload(&r, modes[i], NULL);
        rig_to(&r, 100 * S);
        told(&r, "90 high s2 cleared normal minor good\n");
        rig_end(&r);
    }
}

/* Clocks begin and end by it; those of others run on. */
static void clocks_go_by_the_new_value(void **state)
{
    (void)state;
    static const char rules[] = RULES(HIGH("mode: hold, fresh: 2h, "));
    struct rig r;
    rig_start(&r, SUMPS, rules);
    say(&r, 60 * S, "s1", "level=2.5");
    say(&r, 60 * S, "s2", "level=2.5");
    rig_to(&r, 300 * S);
    reload(&r, rules, PARAMS "s1,start,3\n");
    rig_to(&r, 600 * S);
    reload(&r, rules, PARAMS "s1,start,1\n");
    rig_to(&r, 1300 * S);
    told(&r, "660 high s2 activated active minor stale\n"
             "1200 high s1 activated active minor stale\n");
    rig_end(&r);
}

/* Nor does a value make anything of what was said long ago. */
static void no_value_ends_anything_of_the_silent(void **state)
{
    (void)state;
    static const char *const modes[] = {RULES(AT_ONCE("mode: hold, ")), RULES(AT_ONCE(""))};
    for (unsigned i = 0; i < 2; i++) {
        struct rig r;
        rig_start(&r, SUMPS, modes[i]);
        say(&r, 60 * S, "s1", "level=2.5");
        say(&r, 60 * S, "s2", "level=1.5");
        rig_to(&r, HOUR);
        told(&r, "60 high s1 activated active minor good\n"
                 "240 high s1 quality active minor stale\n");
        reload(&r, modes[i], PARAMS "s1,start,3\ns2,start,1\n");
        rig_to(&r, 2 * HOUR);
        told(&r, "");
        say(&r, 2 * HOUR, "s1", "level=2.5");
        say(&r, 2 * HOUR, "s2", "level=1.5");
        told(&r, "7200 high s1 cleared normal minor good\n"
                 "7200 high s2 activated active minor good\n");
        rig_end(&r);
    }
}

/* Nor where another level counts what others say. */
static void no_value_raises_what_was_said_long_ago(void **state)
{
    (void)state;
    static const char rules[] =
        RULES(RULE("high", "sump",
                   "params: {start: {default: 2, unit: m}}, levels: [{severity: minor, when: "
                   "level > $start}, {severity: major, when: \"count_over(building, door, "
                   "open) >= 1\", for: 8h}]"));
    for (unsigned i = 0; i < 2; i++) {
        struct rig r;
        rig_start(&r, SUMPS, rules);
        say(&r, 60 * S, "s1", "level=1.5");
        say(&r, HOUR, "d1", i ? "open=1" : "open=0"); /* it has a clock that runs, or nothing */
        reload(&r, rules, PARAMS "s1,start,1\n");
        rig_to(&r, 2 * HOUR);
        told(&r, "");
        say(&r, 2 * HOUR, "s1", "level=1.5");
        told(&r, "7200 high s1 activated active minor good\n");
        rig_end(&r);
    }
}

static void no_value_ends_danger(void **state)
{
    (void)state;
    static const char *const modes[] = {RULES(AT_ONCE("mode: hold, life_safety: true, ")),
                                        RULES(AT_ONCE("life_safety: true, "))};
    for (unsigned i = 0; i < 2; i++) {
        struct rig r;
        rig_start(&r, SUMPS, modes[i]);
        say(&r, 60 * S, "s1", "level=2.5");
        say(&r, 60 * S, "s2", "level=1.5");
        rig_to(&r, 70 * S);
        reload(&r, modes[i], PARAMS "s1,start,3\ns2,start,1\n");
        alarm_alive(r.a, rig_device(&r, "s1"), r.now);
        rig_to(&r, 90 * S);
        told(&r, "60 high s1 activated active minor good\n"
                 "70 high s2 activated active minor good\n");
        say(&r, 90 * S, "s1", "level=2.5");
        told(&r, "90 high s1 cleared normal minor good\n");
        rig_end(&r);
    }
}

/* Nobody is looked at for what no rule reads, nor for another way to say the same. */
static void what_nobody_reads_is_not_looked_at(void **state)
{
    (void)state;
    static const char rules[] = RULES(AT_ONCE("no_data: {after: 48h, policy: keep}, "));
    struct rig r;
    rig_start(&r, SUMPS, rules);
    say(&r, 60 * S, "s1", "level=1.5");
    reload(&r, rules, PARAMS "s1,other,7\ns1,range.level.max,4\ns1,start,2\ns2,start,1\n");
    assert_int_equal(alarm_next_due(r.a), r.now + 1);
    rig_to(&r, 70 * S);
    reload(&r, rules, PARAMS "s2,start,1\ns1,other,8\ns1,a,1\n"); /* 2 is the rule's own */
    assert_true(alarm_next_due(r.a) > r.now + HOUR);
    told(&r, "");
    rig_end(&r);
}

/* Nor does the word of another, afterwards. */
static void no_value_lets_others_end_life_safety(void **state)
{
    (void)state;
    static const char rules[] = RULES(
        RULE("high", "sump",
             "life_safety: true, params: {start: {default: 2, unit: m}}, levels: [{severity: "
             "minor, when: level > $start}, {severity: major, when: \"count_over(building, "
             "door, open) >= 1\", for: 1h}]"));
    struct rig r;
    rig_start(&r, SUMPS, rules);
    say(&r, 60 * S, "s1", "level=2.5");
    rig_to(&r, 70 * S);
    reload(&r, rules, PARAMS "s1,start,3\n");
    say(&r, 85 * S, "d1", "open=1");
    rig_to(&r, 90 * S);
    told(&r, "60 high s1 activated active minor good\n");
    say(&r, 100 * S, "s1", "level=2.5");
    told(&r, "100 high s1 cleared normal minor good\n");
    rig_end(&r);
}

/* What silence ended is not begun again because another device has another value. */
static void no_value_of_another_raises_what_silence_cleared(void **state)
{
    (void)state;
    static const char rules[] = RULES(
        RULE("high", "sump",
             "mode: hold, fresh: 25h, params: {start: {default: 2, unit: m}}, no_data: {after: "
             "10m, policy: clear}, levels: [{severity: minor, when: level > $start}]"));
    struct rig r;
    rig_start(&r, SUMPS, rules);
    say(&r, 60 * S, "s1", "level=2.5");
    rig_to(&r, HOUR);
    reload(&r, rules, PARAMS "s2,start,1\n");
    rig_to(&r, HOUR + MIN);
    told(&r, "60 high s1 activated active minor good\n"
             "660 high s1 cleared normal minor stale no_data\n");
    say(&r, HOUR + 2 * MIN, "s1", "level=2.5");
    told(&r, "3720 high s1 activated active minor good\n");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_value_lets_others_end_life_safety),
        cmocka_unit_test(no_value_of_another_raises_what_silence_cleared),
        cmocka_unit_test(another_value_is_looked_at),
        cmocka_unit_test(clocks_go_by_the_new_value),
        cmocka_unit_test(no_value_ends_anything_of_the_silent),
        cmocka_unit_test(no_value_raises_what_was_said_long_ago),
        cmocka_unit_test(no_value_ends_danger),
        cmocka_unit_test(what_nobody_reads_is_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
