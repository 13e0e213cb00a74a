/* SPDX-License-Identifier: Apache-2.0 */
/* What a reload that changes only a rule's `work` or `latch` does to its open cases. */
#include "cases_rig.h"

#define RULE(id, work)                                                                         \
    "version: 1\ngroups:\n  - name: 排水\n    rules:\n"                                      \
    "      - {id: " id ", kind: sump, title: 水位, action: 查, " work ", levels: "             \
    "[{severity: major, when: level > 0.7, off: level < 0.6}], no_data: {after: 1h}}\n"

static void use_rules(struct cases_rig *r, const char *rules)
{
    struct world *next = rig_world(rig_conf_text, rig_compounds_text, rig_devices_text, rules);
    cases_use(r->c, r->w, next, r->ns, r->wall_ms);
    world_free(r->w);
    r->w = next;
    rig_pass(r, 1);
}

static struct cases_rig *rig_with(const char *rules)
{
    struct cases_rig *r = rig_new();
    use_rules(r, rules);
    assert_int_equal(r->n, 0);
    return r;
}

static void no_difference(void *ctx, const char *case_id, const char *how)
{
    (void)ctx;
    fail_msg("%s is %s", case_id, how);
}

/* Its snapshot, and the store's word of what the last transitions said. */
static void restart(struct cases_rig *r)
{
    struct buf b;
    const char *list[8];
    size_t lens[8], n = 0, told = r->n;
    for (const struct kept_case *k = r->open; k; k = k->next, n++) {
        assert_true(n < 8);
        list[n] = k->blob;
        lens[n] = k->blob_len;
    }
    buf_init(&b, 1 << 20);
    assert_int_equal(cases_save(r->c, rig_append, &b), 0);
    cases_free(r->c);
    r->c = rig_cases(r);
    assert_int_equal(cases_load(r->c, b.data, b.len), 0);
    assert_int_equal(cases_adopt(r->c, list, lens, n, no_difference, NULL), 0);
    rig_pass(r, 1);
    assert_int_equal(r->n, told);
    buf_done(&b);
}

static void assert_closed_by_reload(const struct cases_rig *r)
{
    const struct seen_transition *t = rig_last(r);
    assert_int_equal(t->change, CASE_CLOSED);
    assert_true(t->deliver && t->closed);
    assert_true(rig_says(t->json, "\"reason\":\"rule_changed\""));
    assert_true(rig_says(t->json, "\"quality\":\"good\""));
    assert_int_equal(rig_open(r), 0);
}

static void what_waited_for_no_more_is_closed(void **state)
{
    (void)state;
    struct cases_rig *r = rig_with(RULE("a", "work: full"));
    rig_say(r, ALARM_ACTIVATED, "a", "d1");
    rig_say(r, ALARM_CLEARED, "a", "d1");
    rig_say(r, ALARM_ACTIVATED, "a", "d2"); /* holds */
    assert_int_equal(rig_open(r), 2);
    size_t n = r->n;
    use_rules(r, RULE("a", "work: none"));
    assert_int_equal(r->n, n + 1);
    assert_true(rig_says(rig_last(r)->key, "a/d1/"));
    assert_int_equal(rig_open(r), 1);
    restart(r);
    rig_say(r, ALARM_CLEARED, "a", "d2");
    assert_true(rig_last(r)->closed);
    rig_free(r);

    r = rig_with(RULE("a", "work: full"));
    rig_say(r, ALARM_ACTIVATED, "a", "d1");
    rig_say(r, ALARM_CLEARED, "a", "d1");
    use_rules(r, RULE("a", "work: none"));
    assert_closed_by_reload(r);
    use_rules(r, RULE("a", "work: full"));
    restart(r);
    rig_free(r);
}

/* What is acknowledged has all that `ack` asks; what is not waits, and nobody hears of it. */
static void what_still_waits_waits_for_less(void **state)
{
    (void)state;
    struct cases_rig *r = rig_with(RULE("a", "work: full"));
    rig_say(r, ALARM_ACTIVATED, "a", "d2");
    assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_DONE);
    rig_say(r, ALARM_CLEARED, "a", "d2");
    rig_say(r, ALARM_ACTIVATED, "a", "d1");
    rig_say(r, ALARM_CLEARED, "a", "d1");
    assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_REFUSED);
    assert_true(rig_says(r->reply, "not_confirmed"));
    size_t n = r->n;
    char id[CASE_ID_MAX];
    snprintf(id, sizeof(id), "%s", rig_last(r)->id);
    uint32_t version = rig_last(r)->version;
    use_rules(r, RULE("a", "work: ack"));
    assert_int_equal(r->n, n + 1);
    assert_true(rig_last(r)->closed && rig_says(rig_last(r)->key, "a/d2/"));
    restart(r);
    char payload[64];
    snprintf(payload, sizeof(payload), "{\"version\":%u}", version); /* it did not go on */
    assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_CLOSE, payload, NULL), ANSWER_DONE);
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

/* What asks for more now asks it of those that wait and of those that hold. */
static void what_is_open_waits_for_more(void **state)
{
    (void)state;
    struct cases_rig *r = rig_with(RULE("a", "work: ack"));
    rig_say(r, ALARM_ACTIVATED, "a", "d1");
    rig_say(r, ALARM_CLEARED, "a", "d1");
    size_t n = r->n;
    use_rules(r, RULE("a", "work: full"));
    restart(r);
    assert_int_equal(r->n, n);
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
    assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_REFUSED);
    assert_int_equal(rig_open(r), 1);
    rig_free(r);
}

/* Not by their clearing was it over, then: a store of before the reload, and nothing else is left. */
static void what_the_store_has_is_closed(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct cases_rig *r = rig_with(RULE("a", "work: full"));
        rig_say(r, ALARM_ACTIVATED, "a", "d1");
        rig_say(r, ALARM_CLEARED, "a", "d1");
        assert_non_null(r->open);
        const char *blob = r->open->blob;
        size_t len = r->open->blob_len;
        cases_free(r->c);
        world_free(r->w);
        r->w = rig_world(rig_conf_text, rig_compounds_text, rig_devices_text,
                         RULE("a", "work: none"));
        r->c =
            early ? cases_new(&(struct cases_out){r, rig_transition, rig_reply}) : rig_cases(r);
        assert_int_equal(cases_adopt(r->c, &blob, &len, 1, NULL, NULL), 0);
        if (early)
            cases_use(r->c, NULL, r->w, r->ns, r->wall_ms);
        rig_pass(r, 1);
        assert_true(rig_last(r)->closed);
        assert_int_equal(rig_open(r), 0);
        assert_int_equal(cases_next_due(r->c), UINT64_MAX);
        rig_free(r);
    }
}

/* What is latched, a masked one too, waits for its reset whatever the work. */
static void what_is_latched_stays(void **state)
{
    (void)state;
    struct cases_rig *r = rig_with(RULE("a", "work: full, latch: true"));
    rig_say(r, ALARM_ACTIVATED, "a", "d1");
    rig_say(r, ALARM_CLEARED, "a", "d1");
    size_t n = r->n;
    use_rules(r, RULE("a", "work: none"));
    assert_int_equal(r->n, n);
    restart(r);
    assert_int_equal(rig_do(r, VERB_RESET, "{}"), ANSWER_DONE);
    assert_true(rig_last(r)->closed);
    rig_free(r);
}

static void a_latch_holds_what_is_active(void **state)
{
    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        struct cases_rig *r = rig_with(RULE("a", "work: none"));
        rig_say(r, ALARM_ACTIVATED, "a", "d1");
        use_rules(r, RULE("a", "work: none, latch: true"));
        if (restarts)
            restart(r);
        rig_say(r, ALARM_CLEARED, "a", "d1");
        assert_int_equal(rig_last(r)->change, CASE_CLEARED);
        assert_false(rig_last(r)->closed);
        assert_true(rig_says(rig_last(r)->json, "\"latched\":true"));
        assert_int_equal(rig_do(r, VERB_CLOSE, "{}"), ANSWER_REFUSED);
        assert_int_equal(rig_do(r, VERB_RESET, "{}"), ANSWER_DONE);
        assert_true(rig_last(r)->closed);
        rig_free(r);
    }
}

/* Released while nobody knew how it was, by people who went there: its end latches it no more. */
static void a_reset_is_not_undone(void **state)
{
    (void)state;
    struct cases_rig *r = rig_with(RULE("a", "work: none, latch: true"));
    rig_say(r, ALARM_ACTIVATED, "a", "d1");
    struct alarm_event ev = rig_event(r, ALARM_QUALITY, "a", "d1");
    ev.quality = ALARM_UNKNOWN;
    rig_give(r, &ev);
    assert_int_equal(rig_do(r, VERB_RESET, "{}"), ANSWER_DONE);
    use_rules(r, RULE("a", "work: none, latch: true"));
    rig_say(r, ALARM_CLEARED, "a", "d1");
    assert_true(rig_last(r)->closed);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waited_for_no_more_is_closed),
        cmocka_unit_test(what_still_waits_waits_for_less),
        cmocka_unit_test(what_is_open_waits_for_more),
        cmocka_unit_test(what_the_store_has_is_closed),
        cmocka_unit_test(what_is_latched_stays),
        cmocka_unit_test(a_latch_holds_what_is_active),
        cmocka_unit_test(a_reset_is_not_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
