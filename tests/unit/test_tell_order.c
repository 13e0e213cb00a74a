/* SPDX-License-Identifier: Apache-2.0 */
/* No case is left on the broker as it was before its last row, whatever a lost link or an earlier life left
 * unanswered, or marked. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "tell_rig.h"

/*
 * Who dies between two marks tells the rest again: if the newest row of a case had its mark and an
 * older one had not, the older state would be the last that the broker hears.
 */
static void test_marks_are_in_order(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 2, "cq/all/1");
    run_ms(20);
    for (size_t i = 0; i < mq.n; i++)
        if (!mq.sent[i].acked && strcmp(mq.sent[i].payload, db.rows[1].payload) == 0)
            ack_one(&mq.sent[i], 0);
    run_ms(20);
    assert_int_equal(stats().told, 1);
    assert_false(db.rows[1].done);
    ack(1);
    run_ms(20);
    assert_false(db.rows[0].done || db.rows[1].done);
    ack(1);
    run_ms(20);
    assert_true(db.rows[0].done && db.rows[1].done);
    finish();
}

/* The end of a case is with the broker, its beginning is not known to be: both are there to stay or
 * neither, whatever is said again. */
static void test_lost_link_between_answers(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    size_t from = mq.n;
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.1", TELL_EVENT | TELL_CLOSE, 2, "cq/all/1");
    run_ms(20);
    assert_int_equal(mq.n, from + 4);
    for (size_t i = 1; i < 4; i++)
        ack_one(&mq.sent[from + i], 0);
    run_ms(20);
    assert_int_equal(stats().told, 1);
    down(1);
    run_ms(50);
    from = mq.n;
    up();
    settle();
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.b.1"));
    assert_true(find_sent(P "events/wk/c1", from) == SIZE_MAX);
    assert_true(db.rows[0].done && db.rows[1].done);
    assert_int_equal(stats().told, 2);
    finish();
}

/* An earlier life had the end of a case marked and not its beginning, as after refusals. */
static void test_marks_of_an_earlier_life(void **state)
{
    (void)state;
    start(1, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":1}");
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.1", TELL_EVENT | TELL_CLOSE, 2, "cq/all/1")->done = true;
    up();
    settle();
    run_ms(5000);
    settle();
    assert_true(db.rows[0].done);
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.b.1"));
    assert_true(stats().reconciled);
    finish();
}

/* Likewise, and the link is lost after the first agreement, with the old row not answered yet: on the next
 * connection it is told anew, and still is older than what the store knows. */
static void test_lost_link_after_agreement(void **state)
{
    (void)state;
    start(1, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":1}");
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    struct fake_out *later =
        commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 2, "cq/all/1");
    later->done = true;
    up();
    run_ms(1600); /* it has agreed once, and compares again */
    assert_true(mq.in_flight > 0);
    assert_false(db.rows[0].done);
    down(0);
    run_ms(50);
    up();
    settle();
    run_ms(5000);
    settle();
    assert_true(db.rows[0].done);
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.b.1"), later->payload);
    assert_true(stats().reconciled);
    finish();
}

/* With a backlog, and its last stretch being read: what is committed meanwhile is not in that answer, which
 * says that there is no more. */
static void test_news_while_the_last_is_read(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    db.chunk = 1;
    db.lag_ns = 50000000;
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    run_ms(10);
    commit("wk", "c1", "cq.all.1.b.2", TELL_STATE | TELL_EVENT, 2, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.3", TELL_STATE | TELL_EVENT, 3, "cq/all/1");
    run_ms(120); /* the third is asked for */
    commit("wk", "c1", "cq.all.1.b.4", TELL_STATE | TELL_EVENT, 4, "cq/all/1");
    settle();
    assert_true(db.rows[3].done);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks_are_in_order),
        cmocka_unit_test(test_lost_link_between_answers),
        cmocka_unit_test(test_marks_of_an_earlier_life),
        cmocka_unit_test(test_lost_link_after_agreement),
        cmocka_unit_test(test_news_while_the_last_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
