/* SPDX-License-Identifier: Apache-2.0 */
/* cases: what is opened, told, masked, worked on and closed. All that is told on the way is kept in
 * build/cases-samples.jsonl (states, and replies: those have a `result`), for the schemas. */
#include "cases_rig.h"

static void told_once(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    assert_int_equal(r->n, 1);
    const struct seen_transition *t = rig_last(r);
    assert_int_equal(t->change, CASE_ACTIVATED);
    assert_true(t->deliver && !t->closed && !t->urgent);
    assert_string_equal(t->firm, "f1");
    assert_string_equal(t->compound, "qby");
    assert_non_null(strstr(t->json, "桥北苑 3号楼 集水井水位过高：水位 0.93 m（限值 0.8 m）"));
    assert_non_null(strstr(t->json, "\"title_en\":\"Sump level high\""));
    assert_non_null(strstr(t->json, "\"work\":\"dispatched\""));
    assert_non_null(strstr(t->json, "\"since\":\"2026-11-21T07:59:00.000+08:00\""));
    assert_non_null(strstr(t->json, "\"stream\":\"cq/all/1\",\"case\":\"cq.all.1."));
    assert_non_null(strstr(t->json, "\"seq\":1,\"version\":1"));
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    assert_int_equal(r->n, 2);
    assert_true(rig_last(r)->closed && rig_last(r)->deliver);
    assert_non_null(strstr(rig_last(r)->json, "\"open\":false"));
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

static void what_closes(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_false(rig_last(r)->closed);
    assert_int_equal(rig_do(r, VERB_ACK, "{\"by\":\"张三\"}"), ANSWER_DONE);
    assert_true(rig_last(r)->closed);
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_int_equal(rig_do(r, VERB_ACK, ""), ANSWER_DONE);
    assert_false(rig_last(r)->closed);
    assert_int_equal(rig_do(r, VERB_ACK, ""), ANSWER_ALREADY);
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_true(rig_last(r)->closed);
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

static void the_whole_work(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_int_equal(rig_do(r, VERB_ARRIVE, "{}"), ANSWER_REFUSED);
    assert_int_equal(rig_do(r, VERB_ACCEPT, "{\"by\":\"李\"}"), ANSWER_DONE);
    assert_non_null(strstr(rig_last(r)->json, "\"ack\":{\"at\":"));
    assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_ALREADY);
    assert_int_equal(rig_do(r, VERB_ARRIVE, "{\"by\":\"李\"}"), ANSWER_DONE);
    assert_int_equal(rig_do(r, VERB_RESOLVE, "{\"by\":\"李\",\"photo\":\"p/1.jpg\"}"),
                     ANSWER_DONE);
    assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_REFUSED);
    assert_non_null(strstr(r->reply, "condition_active"));
    rig_say(r, ALARM_CLEARED, "full-1", "d1");
    assert_false(rig_last(r)->closed);
    assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_REFUSED);
    assert_non_null(strstr(r->reply, "not_confirmed"));
    assert_int_equal(rig_do(r, VERB_CONFIRM, "{\"by\":\"李\"}"), ANSWER_DONE);
    assert_non_null(strstr(rig_last(r)->json, "\"same_person\":true"));
    assert_int_equal(rig_do(r, VERB_REWORK, "{\"photo\":\"p/2.jpg\"}"), ANSWER_DONE);
    assert_non_null(strstr(rig_last(r)->json, "\"rework\":1"));
    assert_non_null(strstr(rig_last(r)->json, "\"photo\":\"p/2.jpg\""));
    assert_int_equal(rig_do(r, VERB_RESOLVE, "{\"by\":\"李\"}"), ANSWER_DONE);
    assert_int_equal(rig_do(r, VERB_CONFIRM, "{\"by\":\"王\"}"), ANSWER_DONE);
    assert_null(strstr(rig_last(r)->json, "same_person"));
    assert_int_equal(rig_do(r, VERB_FEEDBACK, "{}"), ANSWER_DONE);
    assert_true(rig_last(r)->closed);
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

static void reject_and_transfer(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_int_equal(rig_do(r, VERB_REJECT, "{\"note\":\"不归我们\"}"), ANSWER_DONE);
    assert_non_null(strstr(rig_last(r)->json, "\"work\":\"rejected\""));
    assert_non_null(strstr(rig_last(r)->json, "\"note\":\"不归我们\""));
    assert_int_equal(rig_do(r, VERB_REJECT, "{}"), ANSWER_ALREADY);
    assert_int_equal(rig_do(r, VERB_TRANSFER, "{}"), ANSWER_REFUSED);
    assert_int_equal(rig_do(r, VERB_TRANSFER, "{\"to\":\"水务\"}"), ANSWER_DONE);
    assert_non_null(strstr(rig_last(r)->json, "\"work\":\"transferred\""));
    assert_non_null(strstr(rig_last(r)->json, "\"to\":\"水务\""));
    assert_int_equal(rig_do(r, VERB_REJECT, "{}"), ANSWER_DONE);
    assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_DONE);
    rig_free(r);
}

static void latch_and_reset(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "latch-1", "d1");
    assert_int_equal(rig_do(r, VERB_RESET, "{}"), ANSWER_REFUSED);
    rig_say(r, ALARM_CLEARED, "latch-1", "d1");
    assert_false(rig_last(r)->closed);
    assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_REFUSED);
    assert_int_equal(rig_do(r, VERB_RESET, "{}"), ANSWER_DONE);
    assert_true(rig_last(r)->closed);
    rig_free(r);
}

/* -- pitfalls of alert engines (see docs/alarms.md) -------------------------------------------- */

/* One noisy rule must not take the room of another: there is no limit per rule. */
static void pitfall_02(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    for (int i = 0; i < MAX_SEEN; i++) {
        char point[16];
        struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
        snprintf(point, sizeof(point), "p%d", i);
        ev.point = point;
        rig_give(r, &ev);
        assert_true(rig_last(r)->deliver);
    }
    assert_int_equal(rig_open(r), MAX_SEEN);
    rig_free(r);
}

/* Restart: what was told is told no more, and the end is told. */
static void pitfall_05_restart(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct buf b;
    buf_init(&b, 1 << 20);
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    assert_int_equal(cases_save(r->c, rig_append, &b), 0);
    cases_free(r->c);
    r->c = rig_cases(r);
    assert_int_equal(cases_load(r->c, b.data, b.len), 0);
    assert_int_equal(r->n, 1); /* nothing again */
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    assert_int_equal(r->n, 2);
    assert_true(rig_last(r)->deliver && rig_last(r)->closed);
    buf_done(&b);
    rig_free(r);
}

static void swap_world(struct cases_rig *r, const char *compounds, const char *devices,
                       const char *rules)
{
    struct world *next = rig_world(rig_conf_text, compounds, devices, rules);
    cases_use(r->c, r->w, next, r->ns, r->wall_ms);
    world_free(r->w);
    r->w = next;
    rig_pass(r, 1);
}

/* A backlog: a case and the next two of its key within one millisecond, a restart between them. */
static void no_two_times_of_a_key(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 6; i++) {
        struct alarm_event ev =
            rig_event(r, i % 2 ? ALARM_CLEARED : ALARM_ACTIVATED, "none-1", "d1");
        ev.wall_ms = WALL0_MS;
        rig_give(r, &ev);
        if (i != 3)
            continue;
        assert_int_equal(cases_save(r->c, rig_append, &b), 0);
        cases_free(r->c);
        r->c = rig_cases(r);
        assert_int_equal(cases_load(r->c, b.data, b.len), 0);
    }
    assert_int_equal(r->n, 6);
    for (size_t i = 0; i < r->n; i++)
        assert_int_equal(r->seen[i].wall_ms, WALL0_MS + (int64_t)i);
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1"); /* later: as it is */
    assert_int_equal(rig_last(r)->wall_ms, WALL0_MS + 6000);
    buf_done(&b);
    rig_free(r);
}

/* A reload that changes nothing of it tells nothing again; masks stay over it. */
static void pitfall_07_reload(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d2");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":\"1h\"}"), ANSWER_DONE);
    size_t n = r->n;
    swap_world(r, rig_compounds_text, rig_devices_text, rig_rules_text);
    assert_int_equal(r->n, n);
    rig_say(r, ALARM_LEVEL, "ack-1", "d2");
    assert_false(rig_last(r)->deliver);
    rig_free(r);
}

/* Titles are no part of what an alarm is. */
static void pitfall_08_texts(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    char rules[4096];
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    snprintf(rules, sizeof(rules), "%s", rig_rules_text);
    char *title = strstr(rules, "Sump level high");
    memcpy(title, "Well level high", 15);
    swap_world(r, rig_compounds_text, rig_devices_text, rules);
    assert_int_equal(r->n, 1);
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    assert_string_equal(r->seen[0].id, r->seen[1].id);
    assert_non_null(strstr(rig_last(r)->json, "Well level high"));
    rig_free(r);
}

/* Flapping is told once, and its end, too. */
static void pitfall_11_flapping(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    struct alarm_event ev = rig_event(r, ALARM_FLAPPING, "none-1", "d1");
    ev.flapping = true;
    rig_give(r, &ev);
    assert_true(rig_last(r)->deliver);
    assert_non_null(strstr(rig_last(r)->json, "\"masked\":[\"flapping\"]"));
    ev = rig_event(r, ALARM_LEVEL, "none-1", "d1");
    ev.flapping = true;
    rig_give(r, &ev);
    assert_false(rig_last(r)->deliver);
    ev = rig_event(r, ALARM_SETTLED, "none-1", "d1");
    ev.condition = ALARM_NORMAL;
    rig_give(r, &ev);
    assert_true(rig_last(r)->deliver && rig_last(r)->closed);
    rig_free(r);
}

/* Its end is told also where it ends no case: over, and still there at another level. */
static void pitfall_11_what_settled_is_told(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct cases_rig *r = rig_new();
        rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
        struct alarm_event ev = rig_event(r, ALARM_FLAPPING, "ack-1", "d1");
        ev.flapping = true;
        ev.severity = SEVERITY_CRITICAL;
        rig_give(r, &ev);
        ev = rig_event(r, ALARM_SETTLED, "ack-1", "d1");
        if (over)
            ev.condition = ALARM_NORMAL;
        rig_give(r, &ev);
        assert_int_equal(rig_last(r)->change, CASE_SETTLED);
        assert_true(rig_last(r)->deliver && !rig_last(r)->closed);
        assert_non_null(strstr(rig_last(r)->json, "\"masked\":[]"));
        assert_non_null(strstr(rig_last(r)->json,
                               over ? "\"condition\":\"normal\"" : "\"condition\":\"active\""));
        rig_free(r);
    }
}

/* That nobody is told of better news does not stop the state from getting better. */
static void pitfall_15_withheld_recovery(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":60}"), ANSWER_DONE);
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_false(rig_last(r)->deliver);
    assert_non_null(strstr(rig_last(r)->json, "\"condition\":\"normal\""));
    rig_pass(r, 120);
    assert_int_equal(rig_last(r)->change, CASE_UNSHELVED);
    assert_true(rig_last(r)->deliver);
    assert_non_null(strstr(rig_last(r)->json, "\"condition\":\"normal\""));
    rig_free(r);
}

/* The same key, whatever the alarm is about: silence meets the same masks and the same case. */
static void pitfall_23_same_key(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":\"1h\"}"), ANSWER_DONE);
    struct alarm_event ev = rig_event(r, ALARM_QUALITY, "ack-1", "d1");
    ev.quality = ALARM_STALE;
    ev.no_data = true;
    rig_give(r, &ev);
    assert_string_equal(r->seen[0].id, rig_last(r)->id);
    assert_false(rig_last(r)->deliver);
    rig_free(r);
}

/* One open case per key, whatever comes twice. */
static void pitfall_29_one_case(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    rig_say(r, ALARM_CLEARED, "full-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_int_equal(rig_open(r), 1);
    assert_int_equal(rig_last(r)->occurrence, 3);
    assert_int_equal(rig_last(r)->change, CASE_RECURRED);
    rig_free(r);
}

/* A closed case is over: the next time is another one. */
static void pitfall_30_new_case(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_DONE);
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_int_equal(rig_last(r)->change, CASE_ACTIVATED);
    assert_string_not_equal(r->seen[0].id, rig_last(r)->id);
    rig_free(r);
}

/* An acknowledged case that comes back is news, and wants an ack of its own. */
static void pitfall_31_ack_per_occurrence(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
    rig_say(r, ALARM_CLEARED, "full-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_true(rig_last(r)->deliver);
    assert_non_null(strstr(rig_last(r)->json, "\"ack\":null"));
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
    rig_free(r);
}

/* Severity may fall, and only a rise asks for another ack. */
static void pitfall_32_severity(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
    ev.severity = SEVERITY_CRITICAL;
    rig_give(r, &ev);
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
    ev = rig_event(r, ALARM_LEVEL, "ack-1", "d1");
    ev.severity = SEVERITY_MINOR;
    rig_give(r, &ev);
    assert_int_equal(rig_last(r)->change, CASE_LOWERED);
    assert_non_null(strstr(rig_last(r)->json, "\"severity\":\"minor\""));
    assert_null(strstr(rig_last(r)->json, "\"ack\":null"));
    ev.severity = SEVERITY_CRITICAL;
    ev.wall_ms = r->wall_ms;
    rig_give(r, &ev);
    assert_int_equal(rig_last(r)->change, CASE_RAISED);
    assert_non_null(strstr(rig_last(r)->json, "\"ack\":null"));
    rig_free(r);
}

/* Device time in `since`, ours in `discovered` and `at`: never mixed. */
static void pitfall_34_times(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "none-1", "d1");
    ev.since_ms = WALL0_MS - 3600000;
    ev.time_ms = WALL0_MS - 60000;
    ev.late = true;
    rig_give(r, &ev);
    const char *j = rig_last(r)->json;
    assert_non_null(strstr(j, "\"since\":\"2026-11-21T07:00:00.000+08:00\""));
    assert_non_null(strstr(j, "\"discovered\":\"2026-11-21T08:00:00.000+08:00\""));
    assert_non_null(strstr(j, "\"at\":\"2026-11-21T08:00:00.000+08:00\""));
    assert_non_null(strstr(j, "\"late\":true"));
    rig_free(r);
}

/* An ack that crosses the end opens nothing. */
static void pitfall_39_late_ack(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    size_t n = r->n;
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_UNKNOWN);
    assert_int_equal(r->n, n);
    assert_int_equal(rig_open(r), 0);
    /* and one that means an earlier state of an open case changes nothing */
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    n = r->n;
    assert_int_equal(rig_do(r, VERB_ACK, "{\"version\":1}"), ANSWER_STALE);
    assert_int_equal(r->n, n);
    assert_non_null(strstr(r->reply, "\"version\":3"));
    assert_int_equal(rig_do(r, VERB_ACK, "{\"version\":9}"), ANSWER_REFUSED);
    assert_int_equal(rig_do(r, VERB_ACK, "{\"version\":3}"), ANSWER_DONE);
    rig_free(r);
}

/* What still fires cannot be closed by hand, so nothing new rises from it. */
static void pitfall_40_close_refused(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_REFUSED);
    assert_non_null(strstr(r->reply, "\"reason\":\"condition_active\""));
    assert_int_equal(rig_open(r), 1);
    assert_int_equal(rig_ask(r, NULL, "-", r->seen[0].id, VERB_CLOSE, "{}", NULL),
                     ANSWER_REFUSED);
    rig_free(r);
}

/* -- masks ------------------------------------------------------------------------------------- */

static void shelf_outlives_case(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":\"1h\",\"by\":\"a\"}"), ANSWER_DONE);
    assert_non_null(
        strstr(rig_last(r)->json, "\"masked\":[\"shelved\"],\"shelved_until\":\"2026"));
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    assert_true(rig_last(r)->closed && rig_last(r)->deliver); /* its topic is emptied */
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    assert_false(rig_last(r)->deliver);
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    assert_true(rig_last(r)->closed && !rig_last(r)->deliver);
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    rig_pass(r, 3600);
    assert_int_equal(rig_last(r)->change, CASE_UNSHELVED);
    assert_true(rig_last(r)->deliver); /* it holds, and nobody knew */
    rig_free(r);
}

static void one_shot(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{}"), ANSWER_DONE);
    assert_non_null(strstr(rig_last(r)->json, "\"shelved_until\":null"));
    rig_say(r, ALARM_LEVEL, "full-1", "d1");
    assert_false(rig_last(r)->deliver);
    rig_say(r, ALARM_CLEARED, "full-1", "d1");
    assert_true(rig_last(r)->deliver);
    assert_non_null(strstr(rig_last(r)->json, "\"masked\":[]"));
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_true(rig_last(r)->deliver);
    rig_free(r);
}

static void shelve_refused(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "fire-1", "s1");
    assert_true(rig_last(r)->urgent);
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":60}"), ANSWER_REFUSED);
    assert_non_null(strstr(r->reply, "life_safety"));
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":\"31d\"}"), ANSWER_REFUSED);
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"until\":\"2020-01-01T00:00:00Z\"}"),
                     ANSWER_REFUSED);
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"until\":\"tomorrow\"}"), ANSWER_BAD);
    assert_int_equal(rig_do(r, VERB_UNSHELVE, "{}"), ANSWER_ALREADY);
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"until\":\"2026-11-21T09:00:00+08:00\"}"),
                     ANSWER_DONE);
    assert_int_equal(rig_do(r, VERB_UNSHELVE, "{}"), ANSWER_DONE);
    assert_true(rig_last(r)->deliver);
    rig_free(r);
}

static void life_safety_is_never_masked(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "fire-1", "s1");
    ev.flapping = ev.inhibited = true;
    rig_give(r, &ev);
    assert_true(rig_last(r)->deliver && rig_last(r)->urgent);
    ev = rig_event(r, ALARM_CLEARED, "fire-1", "s1");
    ev.flapping = true;
    rig_give(r, &ev);
    assert_true(rig_last(r)->deliver);
    rig_free(r);
}

static void inhibited(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
    ev.inhibited = true;
    rig_give(r, &ev);
    assert_false(rig_last(r)->deliver);
    rig_say(r, ALARM_CLEARED, "ack-1", "d1"); /* a member that clears does so in silence */
    assert_true(rig_last(r)->closed && !rig_last(r)->deliver);
    ev.wall_ms = r->wall_ms;
    rig_give(r, &ev);
    rig_say(r, ALARM_INHIBIT, "ack-1", "d1"); /* still active when the uplink is back */
    assert_int_equal(rig_last(r)->change, CASE_UNMASKED);
    assert_true(rig_last(r)->deliver);
    rig_free(r);
}

/* Told as over; what came back under a mask was not told, nor is that it is over again. */
static void recovery_only_where_the_problem_was(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_true(rig_last(r)->deliver && !rig_last(r)->closed);
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
    ev.inhibited = true;
    rig_give(r, &ev);
    assert_int_equal(rig_last(r)->change, CASE_RECURRED);
    assert_false(rig_last(r)->deliver);
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_int_equal(rig_last(r)->change, CASE_CLEARED);
    assert_false(rig_last(r)->deliver || rig_last(r)->closed);
    rig_free(r);
}

static void put_test(void *ctx, const struct case_test *t)
{
    (void)buf_printf(ctx, "%s %s %d\n", t->scope, t->by ? t->by : "-",
                     (int)((t->until_ms - t->since_ms) / 1000));
}

static void assert_tests(struct cases_rig *r, const char *wanted)
{
    struct buf b;
    buf_init(&b, 4096);
    cases_tests(r->c, put_test, &b);
    assert_string_equal(buf_cstr(&b), wanted);
    buf_done(&b);
}

static void test_mode(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    assert_int_equal(rig_ask(r, "f1", "qby", "device/s1", VERB_TEST, "{}", NULL),
                     ANSWER_NOT_YOURS);
    assert_int_equal(rig_ask(r, NULL, "-", "device/zz", VERB_TEST, "{}", NULL), ANSWER_UNKNOWN);
    assert_int_equal(rig_ask(r, NULL, "-", "zz", VERB_TEST, "{}", NULL), ANSWER_BAD);
    assert_int_equal(rig_ask(r, NULL, "-", "building/qby/9", VERB_TEST, "{}", NULL),
                     ANSWER_UNKNOWN);
    assert_int_equal(rig_ask(r, NULL, "-", "building/qby/3", VERB_TEST,
                             "{\"for\":\"30m\",\"by\":\"王工\"}", NULL),
                     ANSWER_DONE);
    assert_tests(r, "building/qby/3 王工 1800\n");
    rig_say(r, ALARM_ACTIVATED, "fire-1", "s1");
    const struct seen_transition *t = rig_last(r);
    assert_true(t->deliver && t->test && !t->urgent);
    assert_non_null(strstr(t->json, "\"work\":\"discovered\""));
    assert_non_null(strstr(t->json, "【测试】"));
    assert_non_null(strstr(t->json, "\"test\":true,\"tester\":\"王工\""));
    struct buf b; /* a restart knows who tests, and until when */
    buf_init(&b, 1 << 20);
    assert_int_equal(cases_save(r->c, rig_append, &b), 0);
    assert_int_equal(cases_load(r->c, b.data, b.len), 0);
    buf_done(&b);
    assert_tests(r, "building/qby/3 王工 1800\n");
    rig_say(r, ALARM_CLEARED, "fire-1", "s1");
    assert_true(rig_last(r)->closed); /* without an ack: nobody was sent */
    rig_say(r, ALARM_ACTIVATED, "fire-1", "s1");
    rig_pass(r, 1800);
    t = rig_last(r); /* the test is over, and it still burns */
    assert_int_equal(t->change, CASE_UNMASKED);
    assert_true(t->deliver && !t->test && t->urgent);
    assert_non_null(strstr(t->json, "\"work\":\"dispatched\""));
    assert_null(strstr(t->json, "tester"));
    assert_tests(r, "");
    assert_int_equal(rig_ask(r, NULL, "-", "building/qby/3", VERB_UNTEST, "{}", NULL),
                     ANSWER_ALREADY);
    rig_free(r);
}

/* -- commands ---------------------------------------------------------------------------------- */

static void whose(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    const char *id = r->seen[0].id;
    assert_int_equal(rig_ask(r, "f2", "qby", id, VERB_ACK, "{}", NULL), ANSWER_NOT_YOURS);
    assert_int_equal(rig_ask(r, "f2", "c2", id, VERB_ACK, "{}", NULL), ANSWER_NOT_YOURS);
    assert_int_equal(rig_ask(r, "f1", "c2", id, VERB_ACK, "{}", NULL), ANSWER_NOT_YOURS);
    assert_int_equal(rig_ask(r, "f1", "qby", "nope", VERB_ACK, "{}", NULL), ANSWER_UNKNOWN);
    assert_int_equal(rig_ask(r, "f1", "qby", "cq.all.1.zz.0", VERB_ACK, "{}", NULL),
                     ANSWER_UNKNOWN);
    /* another gateway's, or another lane's: its owner answers */
    assert_int_equal(rig_ask(r, "f1", "qby", "cq.life-safety.1.a.0", VERB_ACK, "{}", NULL), 99);
    assert_int_equal(rig_ask(r, "f1", "qby", "other.all.1.a.0", VERB_ACK, "{}", NULL), 99);
    assert_int_equal(r->n, 1);
    assert_int_equal(rig_ask(r, NULL, "-", id, VERB_ACK, "{\"by\":\"值班\"}", NULL),
                     ANSWER_DONE);
    rig_free(r);
}

static void bad_payloads(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]",
                                      "{",
                                      "1",
                                      "{\"by\":1}",
                                      "{\"version\":-1}",
                                      "{\"version\":\"1\"}",
                                      "{\"for\":\"soon\"}",
                                      "{\"for\":1,\"until\":\"2027-01-01T00:00:00Z\"}",
                                      "{\"note\":\"\\u0000\"}"};
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rig_do(r, VERB_SHELVE, bad[i]), ANSWER_BAD);
    char *big = mem_zalloc(CASE_PAYLOAD_MAX + 100);
    memset(big, ' ', CASE_PAYLOAD_MAX + 50);
    assert_int_equal(rig_do(r, VERB_ACK, big), ANSWER_BAD);
    free(big);
    assert_int_equal(r->n, 1);
    assert_int_equal(rig_do(r, VERB_ACK, "{\"new_key\":[1],\"by\":null}"), ANSWER_DONE);
    rig_free(r);
}

static void repeats(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    char first[4096];
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    const char *id = r->seen[0].id;
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_ACK, "{\"version\":1}", "k1"),
                     ANSWER_DONE);
    snprintf(first, sizeof(first), "%s", r->reply);
    rig_say(r, ALARM_CLEARED, "none-1", "d1"); /* closed meanwhile */
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_ACK, "{\"version\":1}", "k1"),
                     ANSWER_DONE);
    assert_string_equal(r->reply, first);
    /* not the same: other correlation, other firm */
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_ACK, "{\"version\":1}", "k2"),
                     ANSWER_UNKNOWN);
    assert_int_equal(rig_ask(r, "f2", "qby", id, VERB_ACK, "{\"version\":1}", "k1"),
                     ANSWER_UNKNOWN);
    rig_pass(r, CASE_REPLIES_S + 10);
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_ACK, "{\"version\":1}", "k1"),
                     ANSWER_UNKNOWN);
    rig_free(r);
}

/* Without a sign that it is a repeat, each is a command of its own. */
static void no_repeats_without_a_name(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":60}"), ANSWER_DONE);
    rig_pass(r, 100);
    assert_int_equal(rig_last(r)->change, CASE_UNSHELVED);
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":60}"), ANSWER_DONE);
    assert_int_equal(rig_last(r)->change, CASE_SHELVED);
    rig_free(r);
}

/* What the firm was not told of may have made possible what was refused to the same version. */
static void refused_is_looked_at_anew(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    const char *id = r->seen[0].id;
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":600}"),
                     ANSWER_DONE); /* told: version 2 */
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_CLOSE, "{\"version\":2}", NULL),
                     ANSWER_REFUSED);
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_CLOSE, "{\"version\":2}", "k1"),
                     ANSWER_REFUSED);
    rig_say(r, ALARM_CLEARED, "ack-1", "d1"); /* not told */
    assert_false(rig_last(r)->deliver);
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_CLOSE, "{\"version\":2}", "k1"),
                     ANSWER_REFUSED); /* the same question */
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_CLOSE, "{\"version\":2}", NULL),
                     ANSWER_DONE);
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_CLOSE, "{\"version\":2}", NULL),
                     ANSWER_DONE); /* once */
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

/* -- generations ------------------------------------------------------------------------------- */

static void moves(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_DONE);
    swap_world(r, "compound,name,firm\nqby,桥北苑,f9\nc2,二村,f2\n", rig_devices_text,
               rig_rules_text);
    const struct seen_transition *t = rig_last(r);
    assert_int_equal(t->change, CASE_MOVED);
    assert_true(t->deliver);
    assert_string_equal(t->firm, "f9");
    assert_string_equal(t->was_firm, "f1");
    assert_non_null(strstr(t->json, "\"work\":\"dispatched\""));
    assert_non_null(strstr(t->json, "\"was\":{\"firm\":\"f1\",\"compound\":\"qby\"}"));
    assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_NOT_YOURS);
    assert_int_equal(rig_ask(r, "f9", "qby", r->seen[0].id, VERB_ACCEPT, "{}", NULL),
                     ANSWER_DONE);
    /* merged: the compound that is worked with; its old code still names it */
    swap_world(r, "compound,name,firm,merged_into\nqby,桥北苑,f9,c2\nc2,二村,f2,\n",
               rig_devices_text, rig_rules_text);
    assert_string_equal(rig_last(r)->compound, "c2");
    assert_string_equal(rig_last(r)->firm, "f2");
    assert_int_equal(rig_ask(r, "f2", "qby", r->seen[0].id, VERB_ACK, "{}", NULL), ANSWER_DONE);
    assert_int_equal(rig_open(r), 1);
    rig_free(r);
}

static void rule_and_device_go(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    char rules[4096];
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "full-1", "d2");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d3");
    snprintf(rules, sizeof(rules), "%s", rig_rules_text);
    memcpy(strstr(rules, "none-1"), "none-2", 6);
    struct alarm_event ev = rig_event(r, ALARM_REMOVED, "ack-1", "d3");
    ev.reason = "device_retired";
    rig_give(r, &ev);
    assert_true(rig_last(r)->closed);
    assert_non_null(strstr(rig_last(r)->json, "\"reason\":\"device_retired\""));
    swap_world(r, rig_compounds_text, "device,kind,compound,building\nd1,sump,qby,3\n", rules);
    assert_int_equal(r->n, 6);
    assert_int_equal(r->seen[4].change, CASE_RULE_REMOVED);
    assert_true(r->seen[4].closed && r->seen[4].deliver);
    assert_non_null(strstr(r->seen[4].json, "集水井水位过高"));           /* as it was called */
    assert_non_null(strstr(r->seen[4].json, "\"condition\":\"active\"")); /* no recovery */
    assert_non_null(strstr(r->seen[5].json, "\"reason\":\"device_removed\""));
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

static void episode_is_a_record(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct alarm_event ev = rig_event(r, ALARM_EPISODE, "none-1", "d1");
    ev.late = true;
    ev.until_ms = r->wall_ms - 1000;
    rig_give(r, &ev);
    assert_true(rig_last(r)->record && rig_last(r)->deliver);
    assert_non_null(strstr(rig_last(r)->json, "\"change\":\"record\""));
    assert_non_null(strstr(rig_last(r)->json, "\"record\":true"));
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

/* A transition is a point of gaihou_alert, whose series are finer than keys, but do not tell one case
 * of a key from the next: within one millisecond the later point would be written over the earlier. */
static void one_key_one_time(void **state)
{
    static const enum alarm_change changes[] = {
        ALARM_EPISODE, ALARM_EPISODE,   ALARM_ACTIVATED, ALARM_QUALITY, ALARM_CLEARED,
        ALARM_EPISODE, ALARM_ACTIVATED, ALARM_CLEARED,   ALARM_EPISODE, ALARM_ACTIVATED};
    (void)state;
    struct cases_rig *r = rig_new();
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        for (int d = 0; d < 2; d++) {
            struct alarm_event ev = rig_event(r, changes[i], "none-1", d ? "d1" : "d2");
            if (changes[i] == ALARM_QUALITY)
                ev.quality = ALARM_STALE;
            ev.until_ms = r->wall_ms - 1000;
            cases_event(r->c, &r->at, &ev);
        }
        buf_clear(&b); /* a restart gives the same times */
        assert_int_equal(cases_save(r->c, rig_append, &b), 0);
        assert_int_equal(cases_load(r->c, b.data, b.len), 0);
    }
    assert_int_equal(r->n, 20);
    for (size_t i = 0; i < r->n; i++)
        assert_int_equal(r->seen[i].wall_ms, WALL0_MS + (int64_t)i / 2);
    rig_pass(r, 1);
    struct alarm_event ev = rig_event(r, ALARM_CLEARED, "none-1", "d1");
    rig_give(r, &ev); /* and then it is the right time again */
    assert_int_equal(rig_last(r)->wall_ms, WALL0_MS + 1000);
    buf_done(&b);
    rig_free(r);
}

static void our_own(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    cases_own(r->c, &r->at, "gaihou-firm-absent", "f1", true, SEVERITY_MAJOR,
              "物业公司 f1 不在线", r->ns, r->wall_ms);
    cases_own(r->c, &r->at, "gaihou-firm-absent", "f1", true, SEVERITY_MAJOR, "again", r->ns,
              r->wall_ms);
    assert_int_equal(r->n, 1);
    assert_string_equal(rig_last(r)->firm, "none");
    assert_string_equal(rig_last(r)->compound, "-");
    assert_true(rig_last(r)->deliver);
    assert_false(cases_concern(r->c, "f1"));
    cases_own(r->c, &r->at, "gaihou-firm-absent", "f1", false, SEVERITY_MAJOR, "", r->ns,
              r->wall_ms);
    assert_true(rig_last(r)->closed);
    rig_free(r);
}

struct counted {
    unsigned rows;
    uint64_t open, unacknowledged;
    char first[64];
};

static void take_count(void *ctx, const char *compound, const char *firm,
                       enum severity severity, uint64_t open, uint64_t unacknowledged)
{
    struct counted *n = ctx;
    if (n->rows++ == 0)
        snprintf(n->first, sizeof(n->first), "%s/%s/%s", compound, firm,
                 severity_name(severity));
    n->open += open;
    n->unacknowledged += unacknowledged;
}

static void counts_and_show(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct counted n = {0};
    struct buf b;
    buf_init(&b, 65536);
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d3");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d2");
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
    cases_count(r->c, take_count, &n);
    assert_int_equal(n.rows, 2);
    assert_int_equal(n.open, 3);
    assert_int_equal(n.unacknowledged, 2);
    assert_string_equal(n.first, "c2/f2/major");
    assert_true(cases_concern(r->c, "f2"));
    assert_int_equal(cases_show(r->c, r->seen[0].id, &b), 0);
    assert_non_null(strstr(buf_cstr(&b), "\"device\":\"d3\""));
    assert_null(strstr(buf_cstr(&b), "\"change\""));
    assert_int_equal(cases_show(r->c, "x", &b), -ENOENT);
    buf_done(&b);
    rig_free(r);
}

static void quality_and_masks_told(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_give(r, &ev);
    ev.change = ALARM_QUALITY;
    ev.quality = ALARM_STALE;
    rig_give(r, &ev);
    assert_int_equal(rig_last(r)->change, CASE_STALE);
    ev.quality = ALARM_GOOD;
    rig_give(r, &ev);
    assert_int_equal(rig_last(r)->change, CASE_FRESH);
    assert_int_equal(rig_ask(r, NULL, "-", "device/d1", VERB_TEST, "", NULL), ANSWER_DONE);
    assert_int_equal(rig_last(r)->change, CASE_MASKED); /* a real one: marked from here on */
    assert_true(rig_last(r)->deliver && rig_last(r)->test);
    assert_int_equal(rig_ask(r, NULL, "-", "device/d1", VERB_UNTEST, "", NULL), ANSWER_DONE);
    assert_int_equal(rig_last(r)->change, CASE_UNMASKED);
    rig_free(r);
}

/* -- commands as records ----------------------------------------------------------------------- */

static void command_records(void **state)
{
    (void)state;
    struct buf b;
    struct arena a;
    struct case_command c = {.firm = "f1",
                             .compound = "qby",
                             .case_id = "cq.all.1.a.0",
                             .verb = VERB_ACK,
                             .payload = "{\"by\":\"a\"}",
                             .payload_len = 10,
                             .reply_to = "reply/f1/x",
                             .correlation = "\0\1",
                             .correlation_len = 2,
                             .origin = 7},
                        d;
    buf_init(&b, 1 << 20);
    arena_init(&a, 1 << 20);
    assert_int_equal(case_command_put(&c, &b), 0);
    const char topic[] = "f1/qby/cq.all.1.a.0/ack";
    assert_int_equal(case_command_get(topic, strlen(topic), b.data, b.len, &a, &d), 0);
    assert_string_equal(d.firm, "f1");
    assert_string_equal(d.case_id, "cq.all.1.a.0");
    assert_int_equal(d.verb, VERB_ACK);
    assert_string_equal(d.reply_to, "reply/f1/x");
    assert_int_equal(d.correlation_len, 2);
    assert_memory_equal(d.payload, c.payload, 10);
    assert_int_equal(d.origin, 7);
    const char scope[] = "-/-/building/qby/3/test";
    assert_int_equal(case_command_get(scope, strlen(scope), b.data, b.len, &a, &d), 0);
    assert_null(d.firm);
    assert_string_equal(d.case_id, "building/qby/3");
    static const char *const bad[] = {
        "",           "f1",        "f1/qby",     "f1/qby/x", "f1/qby/x/nope",
        "/qby/x/ack", "f1//x/ack", "f1/qby//ack"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(case_command_get(bad[i], strlen(bad[i]), b.data, b.len, &a, &d),
                         -EBADMSG);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(case_command_get(topic, strlen(topic), b.data, n, &a, &d), -EBADMSG);
    buf_done(&b);
    arena_done(&a);
}

static void all_is_sampled(void **state)
{
    (void)state;
    assert_int_equal(rig_changes, (1u << CASE_CHANGE_N) - 1);
    assert_int_equal(rig_answers, (1u << (ANSWER_BAD + 1)) - 1);
    if (rig_samples)
        fclose(rig_samples);
}

int main(void)
{
    rig_samples = fopen("build/cases-samples.jsonl", "we");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_once),
        cmocka_unit_test(what_closes),
        cmocka_unit_test(the_whole_work),
        cmocka_unit_test(reject_and_transfer),
        cmocka_unit_test(latch_and_reset),
        cmocka_unit_test(pitfall_02),
        cmocka_unit_test(pitfall_05_restart),
        cmocka_unit_test(no_two_times_of_a_key),
        cmocka_unit_test(pitfall_07_reload),
        cmocka_unit_test(pitfall_08_texts),
        cmocka_unit_test(pitfall_11_flapping),
        cmocka_unit_test(pitfall_11_what_settled_is_told),
        cmocka_unit_test(pitfall_15_withheld_recovery),
        cmocka_unit_test(pitfall_23_same_key),
        cmocka_unit_test(pitfall_29_one_case),
        cmocka_unit_test(pitfall_30_new_case),
        cmocka_unit_test(pitfall_31_ack_per_occurrence),
        cmocka_unit_test(pitfall_32_severity),
        cmocka_unit_test(pitfall_34_times),
        cmocka_unit_test(pitfall_39_late_ack),
        cmocka_unit_test(pitfall_40_close_refused),
        cmocka_unit_test(shelf_outlives_case),
        cmocka_unit_test(one_shot),
        cmocka_unit_test(shelve_refused),
        cmocka_unit_test(life_safety_is_never_masked),
        cmocka_unit_test(inhibited),
        cmocka_unit_test(recovery_only_where_the_problem_was),
        cmocka_unit_test(test_mode),
        cmocka_unit_test(whose),
        cmocka_unit_test(bad_payloads),
        cmocka_unit_test(repeats),
        cmocka_unit_test(no_repeats_without_a_name),
        cmocka_unit_test(refused_is_looked_at_anew),
        cmocka_unit_test(moves),
        cmocka_unit_test(rule_and_device_go),
        cmocka_unit_test(episode_is_a_record),
        cmocka_unit_test(one_key_one_time),
        cmocka_unit_test(our_own),
        cmocka_unit_test(counts_and_show),
        cmocka_unit_test(command_records),
        cmocka_unit_test(quality_and_masks_told),
        cmocka_unit_test(all_is_sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
