/* SPDX-License-Identifier: Apache-2.0 */
/* Pitfalls of alert engines that ask for very many cases, or for what no event shows: by the number that they have
 * in docs/testing.md. */
#include "cases_rig.h"

#include "core/cases_private.h"

/* At the limit, which is of all cases and of no rule: what is open stays open and goes on being told, to its
 * end; what finds no room is counted, and is opened when it speaks again and there is some. */
static void pitfall_01_02_the_limit_ends_nothing(void **state)
{
    (void)state;
    enum { OTHERS = CASES_MAX_OPEN - 2 };
    struct cases_stats s;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    r->c->n += OTHERS;
    rig_say(r, ALARM_ACTIVATED, "none-1", "d2"); /* the same rule's, */
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1"); /* and another one's */
    assert_int_equal(r->n, 2);
    cases_stats(r->c, &s);
    assert_int_equal(s.not_opened, 2);
    assert_int_equal(s.open, CASES_MAX_OPEN);
    struct alarm_event ev = rig_event(r, ALARM_LEVEL, "ack-1", "d1");
    ev.severity = SEVERITY_CRITICAL;
    rig_give(r, &ev);
    assert_int_equal(rig_last(r)->change, CASE_RAISED);
    assert_true(rig_last(r)->deliver);
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    assert_true(rig_last(r)->closed && rig_last(r)->deliver);
    assert_string_equal(rig_last(r)->id, r->seen[0].id);
    ev = rig_event(r, ALARM_QUALITY, "full-1", "d1"); /* there is room for one */
    rig_give(r, &ev);
    assert_int_equal(rig_last(r)->change, CASE_ACTIVATED);
    assert_string_equal(rig_last(r)->key, "full-1/d1/");
    assert_true(rig_last(r)->deliver);
    r->c->n -= OTHERS;
    assert_int_equal(rig_open(r), 2);
    rig_free(r);
}

static void add_open(void *ctx, const char *compound, const char *firm, enum severity severity,
                     uint64_t open, uint64_t unacknowledged)
{
    uint64_t *sums = ctx;
    (void)compound;
    (void)firm;
    (void)severity;
    sums[0] += open;
    sums[1] += unacknowledged;
}

/* How many are open is known, whoever asks and however often: no case is looked at for it. */
static void pitfall_42_no_case_is_looked_at_to_count_them(void **state)
{
    (void)state;
    struct cases_stats s;
    struct cases_rig *r = rig_new();
    for (unsigned i = 0; i < 100; i++) {
        struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, i % 2 ? "ack-1" : "full-1", "d1");
        char point[16];
        snprintf(point, sizeof(point), "p%u", i);
        ev.point = point;
        ev.severity = i % 4 ? SEVERITY_MINOR : SEVERITY_CRITICAL;
        rig_give(r, &ev);
        if (i % 5 == 0)
            assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
        if (i % 10 == 0)
            assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":\"9h\"}"), ANSWER_DONE);
    }
    struct cases blind = *r->c; /* has none of them */
    blind.first = blind.last = blind.last_lost = NULL;
    blind.by_id = blind.by_key = (struct case_index){0};
    blind.due = NULL;
    uint64_t sums[2] = {0};
    cases_count(&blind, add_open, sums);
    cases_stats(&blind, &s);
    assert_int_equal(sums[0], 100);
    assert_int_equal(sums[1], 80);
    assert_int_equal(s.open, 100);
    assert_int_equal(s.unacknowledged, 80);
    assert_int_equal(s.shelved, 10);
    assert_int_equal(s.by_severity[SEVERITY_CRITICAL], 25);
    assert_int_equal(s.by_severity[SEVERITY_MINOR], 75);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitfall_01_02_the_limit_ends_nothing),
        cmocka_unit_test(pitfall_42_no_case_is_looked_at_to_count_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
