/* SPDX-License-Identifier: Apache-2.0 */
/* What comes out of a broker's queue, of devices without a clock: what is read of it, and when. */
#include "alarm_rig.h"

static void queued(struct rig *r, uint64_t ns, const char *device, const char *what)
{
    rig_say(r, ns, device, what, (struct said){.catch_up = true});
}

/* -- all of it is read ------------------------------------------------------------------------ */

#define PUMPS                                                                                  \
    RULES(RULE("pumps", "sump",                                                                \
               "levels: [{severity: major, when: \"count_over(building, sump, pump_on) >= "    \
               "1\"}]"))

/* A metric's last word counts, whatever else came out behind it; and so does that it is broken. */
static void each_metric_is_counted(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, PUMPS);
    queued(&r, 60 * S, "s1", "pump_on=1");
    queued(&r, 61 * S, "s1", "level=0.1");
    rig_restart(&r);
    rig_to(&r, 70 * S);
    told(&r, "66 pumps s1 activated active major good late\n"
             "66 pumps s2 activated active major good\n");
    queued(&r, 120 * S, "s1", "!pump_on");
    queued(&r, 121 * S, "s1", "level=0.1");
    rig_to(&r, 130 * S);
    told(&r, "126 pumps s1 cleared normal major good late\n"
             "126 pumps s2 cleared normal major good\n");
    rig_end(&r);
}

#define WINDOW(when) RULES(RULE("w", "sump", "levels: [{severity: minor, when: \"" when "\"}]"))

static void windows_have_each_last_word(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, WINDOW("count(pump_on, 1h) >= 1"));
    queued(&r, 60 * S, "s1", "pump_on=1");
    queued(&r, 61 * S, "s1", "level=0.1");
    rig_restart(&r);
    rig_to(&r, 70 * S);
    told(&r, "66 w s1 activated active minor good late\n");
    rig_end(&r);
    /* Of the time at which it came, not of what came last. */
    rig_start(&r, rig_devices, WINDOW("count(pump_on, 30s) >= 1"));
    queued(&r, 60 * S, "s1", "pump_on=1");
    for (unsigned i = 1; i <= 10; i++)
        queued(&r, (60 + i * 4) * S, "s1", "level=0.1");
    rig_to(&r, 120 * S);
    told(&r, "");
    rig_end(&r);
}

/* What was said and read meanwhile is in no window twice. */
static void what_is_live_is_read_once(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, WINDOW("count(level, 1h) >= 2"));
    queued(&r, 60 * S, "s1", "pump_on=1");
    say(&r, 62 * S, "s1", "level=0.1");
    rig_to(&r, 80 * S);
    told(&r, "");
    rig_end(&r);
    rig_start(&r, rig_devices, WINDOW("count(level, 1h) >= 2"));
    queued(&r, 60 * S, "s1", "level=0.1");
    say(&r, 62 * S, "s1", "level=0.1");
    rig_to(&r, 80 * S);
    told(&r, "");
    rig_end(&r);
}

#define BOTH                                                                                   \
    RULES(RULE("both", "sump", "levels: [{severity: major, when: level > 0.8 or pump_on}]"))

static void what_breaks_in_a_queue_is_bad(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, rig_devices, BOTH);
    say(&r, 60 * S, "s1", "level=0.9");
    queued(&r, 90 * S, "s1", "!level");
    queued(&r, 91 * S, "s1", "battery_pct=50");
    rig_restart(&r);
    rig_to(&r, 100 * S);
    told(&r, "60 both s1 activated active major good\n"
             "96 both s1 quality active major bad\n");
    rig_end(&r);
    /* But of what was broken before nothing is said in it. */
    rig_start(&r, rig_devices, BOTH);
    say(&r, 40 * S, "s1", "pump_on=0");
    say(&r, 50 * S, "s1", "!pump_on");
    say(&r, 60 * S, "s1", "level=0.9");
    queued(&r, 90 * S, "s1", "level=0.9");
    queued(&r, 91 * S, "s1", "battery_pct=50");
    rig_to(&r, 100 * S);
    told(&r, "60 both s1 activated active major good\n");
    rig_end(&r);
}

/* -- a reload makes it life-safety ------------------------------------------------------------ */

#define MARKED(yes)                                                                            \
    "device,kind,compound,building,expected_interval,life_safety\nd1,door,c1,b1,1h," yes "\n"
#define OPEN(more)                                                                             \
    DAMPED("open", "door", "levels: [{severity: minor, when: open, off: not open" more "}]")

/* Something goes on there: only its chatter, or a clock. */
static void what_goes_on_hides_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, MARKED("no"), RULES(OPEN("")));
    say(&r, 50 * S, "d1", "open=1");
    say(&r, 55 * S, "d1", "open=0");
    queued(&r, 60 * S, "d1", "open=1");
    rig_to(&r, 61 * S);
    told(&r, "50 open d1 activated active minor good\n55 open d1 cleared normal minor good\n");
    rig_reload(&r, MARKED("yes"), RULES(OPEN("")));
    rig_restart(&r);
    rig_to(&r, 70 * S);
    told(&r, "61 open d1 activated active minor good late\n");
    rig_end(&r);
    /* A clock runs since before. */
    rig_start(&r, MARKED("no"), RULES(OPEN(", for: 20s, off_for: 10s")));
    say(&r, 30 * S, "d1", "open=1");
    queued(&r, 60 * S, "d1", "open=0");
    rig_to(&r, 61 * S);
    told(&r, "50 open d1 activated active minor good\n");
    rig_reload(&r, MARKED("yes"), RULES(OPEN(", for: 20s, off_for: 10s")));
    rig_to(&r, 80 * S);
    told(&r, "61 open d1 inhibit active minor good rule_changed\n"
             "71 open d1 cleared normal minor good late\n");
    rig_end(&r);
}

/* A value that is higher still, where a lower level is told, or would be. */
static void nor_does_a_lower_level(void **state)
{
    (void)state;
#define TANK(yes)                                                                              \
    "device,kind,compound,building,expected_interval,life_safety\ns1,sump,c1,b1,1h," yes "\n"
#define LEVELS(more)                                                                           \
    RULES(RULE("wet", "sump",                                                                  \
               "levels: [{severity: minor, when: level > 0.8" more "}, {severity: major, "     \
               "when: level > 1.2}]"))
    struct rig r;
    for (unsigned pending = 0; pending < 2; pending++) {
        const char *rules = pending ? LEVELS(", for: 10m") : LEVELS("");
        rig_start(&r, TANK("no"), rules);
        say(&r, 50 * S, "s1", "level=0.9");
        queued(&r, 60 * S, "s1", "level=1.3");
        queued(&r, 61 * S, "s1", "pump_on=1");
        rig_to(&r, 62 * S);
        told(&r, pending ? "" : "50 wet s1 activated active minor good\n");
        rig_restart(&r);
        rig_reload(&r, TANK("yes"), rules);
        rig_to(&r, 63 * S);
        told(&r, pending ? "62 wet s1 activated active major good late\n"
                         : "62 wet s1 inhibit active minor good rule_changed\n"
                           "62 wet s1 level active major good late\n");
        rig_to(&r, 70 * S);
        told(&r, "");
        rig_end(&r);
    }
}

/* A rule that becomes life-safety: no sample says again what the queue said. */
static void it_may_be_the_rule_that_is_marked(void **state)
{
    (void)state;
#define LIFE(yes)                                                                              \
    RULES(DAMPED("open", "door",                                                               \
                 "life_safety: " yes                                                           \
                 ", levels: [{severity: minor, when: open, off: not open}]"))
    struct rig r;
    rig_start(&r, MARKED("no"), LIFE("false"));
    say(&r, 50 * S, "d1", "open=1");
    queued(&r, 60 * S, "d1", "open=0");
    rig_to(&r, 61 * S);
    told(&r, "50 open d1 activated active minor good\n");
    rig_reload(&r, MARKED("no"), LIFE("true"));
    rig_restart(&r);
    told(&r, "61 open d1 inhibit active minor good rule_changed\n"
             "61 open d1 cleared normal minor good late\n");
    rig_to(&r, 80 * S);
    told(&r, "");
    rig_end(&r);
}

/* What has a time of its own was read when it came, and is only held back. */
static void what_was_held_is_told(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, MARKED("no"), RULES(OPEN("")));
    say(&r, 60 * S, "d1", "open=0");
    rig_say(&r, 3 * HOUR, "d1", "open=1", (struct said){.order = 90 * S});
    rig_to(&r, 3 * HOUR + S);
    told(&r, "");
    rig_reload(&r, MARKED("yes"), RULES(OPEN("")));
    told(&r, "10801 open d1 activated active minor good late\n");
    rig_to(&r, 3 * HOUR + 10 * S);
    told(&r, "");
    rig_end(&r);
}

/* -- life-safety that counts others ----------------------------------------------------------- */

#define DOORS RIG_HEAD "d1,door,c1,b1,,,\nd2,door,c1,b1,,,\nd3,door,c1,b1,,,\n"
#define TWO(yes)                                                                               \
    RULES(RULE("many", "door",                                                                 \
               "life_safety: " yes                                                             \
               ", levels: [{severity: major, when: \"count_over(building, "                    \
               "door, open) >= 2\"}]"))

/* Who is counted is not marked; the rule is. */
static void who_is_counted_by_life_safety_is_heard_at_once(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, DOORS, TWO("true"));
    say(&r, 60 * S, "d1", "open=1");
    queued(&r, 61 * S, "d2", "open=1");
    told(&r, "61 many d1 activated active major good\n61 many d2 activated active major good\n"
             "61 many d3 activated active major good\n");
    rig_to(&r, 80 * S);
    told(&r, "");
    rig_end(&r);
    /* Others wait until all is said. */
    rig_start(&r, DOORS, TWO("false"));
    say(&r, 60 * S, "d1", "open=1");
    queued(&r, 61 * S, "d2", "open=1");
    rig_to(&r, 62 * S);
    told(&r, "");
    /* Then the rule is marked. */
    rig_reload(&r, DOORS, TWO("true"));
    rig_to(&r, 63 * S);
    told(&r, "62 many d1 activated active major good\n62 many d2 activated active major good\n"
             "62 many d3 activated active major good\n");
    rig_end(&r);
}

/* A device that reads the count is marked, and not the one that is counted. */
static void nor_need_the_rule_be_marked(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r,
              "device,kind,compound,building,expected_interval,life_safety\n"
              "d1,door,c1,b1,1h,yes\nd2,door,c1,b1,1h,no\n",
              TWO("false"));
    say(&r, 60 * S, "d1", "open=1");
    queued(&r, 61 * S, "d2", "open=1");
    told(&r, "61 many d1 activated active major good\n");
    rig_to(&r, 80 * S);
    told(&r, "66 many d2 activated active major good\n");
    rig_end(&r);
    /* Or who is counted is, while it catches up. */
    rig_start(&r, DOORS, TWO("false"));
    say(&r, 60 * S, "d1", "open=1");
    queued(&r, 61 * S, "d2", "open=1");
    rig_to(&r, 62 * S);
    rig_reload(&r,
               "device,kind,compound,building,life_safety\n"
               "d1,door,c1,b1,no\nd2,door,c1,b1,yes\nd3,door,c1,b1,no\n",
               TWO("false"));
    rig_restart(&r);
    rig_to(&r, 80 * S);
    told(&r, "62 many d1 activated active major good\n62 many d2 activated active major good\n"
             "62 many d3 activated active major good\n");
    rig_end(&r);
}

/* -- states of before ------------------------------------------------------------------------- */

/* As version 4 saved it: that something is unread, and not what. One device of one point. */
static void as_version_4(struct rig_bytes *b, uint64_t from_ns)
{
    char *mask = NULL; /* behind from_ns, at its last place, and that there is one */
    for (size_t i = 0; i + sizeof(from_ns) + 9 <= b->n; i++)
        if (memcmp(b->p + i, &from_ns, sizeof(from_ns)) == 0)
            mask = b->p + i + sizeof(from_ns) + 1;
    assert_non_null(mask);
    assert_int_equal(mask[-1], 1);
    assert_int_equal(mask[0], 1);
    memmove(mask, mask + 8, b->n - (size_t)(mask + 8 - b->p));
    b->n -= 8;
    assert_int_equal(b->p[8], 5);
    b->p[8] = 4;
}

static void what_version_4_left_unread_is_read(void **state)
{
    (void)state;
    struct rig r;
    struct rig_bytes b = {0};
    rig_start(&r, MARKED("no"), RULES(OPEN("")));
    queued(&r, 60 * S, "d1", "open=1");
    rig_to(&r, 61 * S);
    assert_int_equal(alarm_save(r.a, rig_put, &b), 0);
    as_version_4(&b, BOOT + 60 * S);
    assert_int_equal(alarm_load(r.a, b.p, b.n), 0);
    rig_to(&r, 70 * S);
    told(&r, "65 open d1 activated active minor good late\n");
    free(b.p);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_metric_is_counted),
        cmocka_unit_test(windows_have_each_last_word),
        cmocka_unit_test(what_is_live_is_read_once),
        cmocka_unit_test(what_breaks_in_a_queue_is_bad),
        cmocka_unit_test(what_goes_on_hides_nothing),
        cmocka_unit_test(nor_does_a_lower_level),
        cmocka_unit_test(it_may_be_the_rule_that_is_marked),
        cmocka_unit_test(what_was_held_is_told),
        cmocka_unit_test(who_is_counted_by_life_safety_is_heard_at_once),
        cmocka_unit_test(nor_need_the_rule_be_marked),
        cmocka_unit_test(what_version_4_left_unread_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
