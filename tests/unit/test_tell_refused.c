/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that refuses what we publish to some firms: nobody else waits for that, life-safety least of
 * all. */
#include "tell_rig.h"

#include "app/tell_private.h"

enum { WK_ROUTINE = 1, WK_URGENT = 2, LH_ROUTINE = 4, LH_URGENT = 8 };

static bool is_below(const char *topic, const char *head)
{
    return strncmp(topic, head, strlen(head)) == 0;
}

static bool is_refused(const char *topic, unsigned refuses)
{
    bool urgent = is_below(topic, P "urgent/"), wk = strstr(topic, "/wk/"),
         lh = strstr(topic, "/lh/");
    unsigned what = urgent ? WK_URGENT : WK_ROUTINE;
    return (wk && refuses & what) || (lh && refuses & what << 2);
}

/* What is under way of a row, on this topic. */
static struct sent *under_way(const char *topic, const struct fake_out *o)
{
    for (size_t i = 0; i < mq.n; i++) {
        struct sent *s = &mq.sent[i];
        if (!s->acked && s->connection == mq.connection && strcmp(s->topic, topic) == 0 &&
            strcmp(s->payload, o->payload) == 0)
            return s;
    }
    fail_msg("nothing of row %d is under way on %s", (int)o->o.id, topic);
    return NULL;
}

/* The broker answers all that is under way. */
static size_t answer(unsigned refuses)
{
    size_t n = 0;
    for (size_t i = 0; i < mq.n; i++) {
        if (mq.sent[i].acked || mq.sent[i].connection != mq.connection)
            continue;
        bool no = is_refused(mq.sent[i].topic, refuses);
        ack_one(&mq.sent[i], no ? -EACCES : 0);
        n += no;
    }
    return n;
}

static void run(unsigned ms, unsigned refuses)
{
    for (unsigned i = 0; i < ms; i += 10) {
        (void)answer(refuses);
        run_ms(10);
    }
}

static size_t sent(const char *topic, size_t from)
{
    size_t n = 0;
    for (size_t i = from; i < mq.n; i++)
        n += strcmp(mq.sent[i].topic, topic) == 0;
    return n;
}

static void rows(const char *firm, const char *compound, unsigned first, unsigned n,
                 unsigned tell_steps)
{
    for (unsigned i = first; i < first + n; i++) {
        char id[32];
        snprintf(id, sizeof(id), "cq.all.1.%s.%x", firm, i);
        commit(firm, compound, id, tell_steps, i, "cq/all/1");
    }
}

static bool all_done(const char *firm)
{
    for (size_t i = 0; i < db.n; i++)
        if (strcmp(db.rows[i].firm, firm) == 0 && !db.rows[i].done)
            return false;
    return true;
}

static void nobody_waits_for_another_firm(void **state)
{
    (void)state;
    start(1, 0);
    db.chunk = 7;
    up();
    settle();
    rows("wk", "c1", 1, 40, TELL_STATE | TELL_EVENT);
    run(200, WK_ROUTINE);
    assert_int_equal(stats().held, 1);
    assert_non_null(strstr(stats().problem, "refuses"));
    size_t from = mq.n;
    for (unsigned i = 1; i <= 20; i++) {
        rows("lh", "c3", i, 1, TELL_STATE | TELL_EVENT);
        run(60, WK_ROUTINE);
        assert_true(all_done("lh"));
    }
    assert_int_equal(tell->rows.n, 0); /* what waits takes nobody's room */
    rows("wk", "c1", 41, 40, TELL_STATE | TELL_EVENT);
    run(3000, WK_ROUTINE);
    assert_int_equal(sent(P "events/wk/c1", from), 0);
    /* One is tried after 5 s, and after 10 more. */
    run(2000, WK_ROUTINE);
    size_t tried = sent(P "alerts/wk/c1/cq.all.1.wk.1", from);
    assert_int_equal(tried, 1);
    run(8000, WK_ROUTINE);
    assert_int_equal(sent(P "alerts/wk/c1/cq.all.1.wk.1", from), 1);
    run(3000, WK_ROUTINE);
    assert_int_equal(sent(P "alerts/wk/c1/cq.all.1.wk.1", from), 2);
    assert_int_equal(sent(P "events/wk/c1", from), 2); /* with it */
    assert_true(stats().refused >= 3);
    /* It is put right: all of them, in their order. */
    from = mq.n;
    run(25000, 0);
    assert_true(all_done("wk"));
    unsigned next = 1;
    for (size_t i = from; i < mq.n; i++) {
        if (strcmp(mq.sent[i].topic, P "events/wk/c1") != 0)
            continue;
        assert_string_equal(mq.sent[i].payload,
                            db.rows[next > 40 ? next + 19 : next - 1].payload);
        next++;
    }
    assert_int_equal(next, 81);
    assert_int_equal(stats().held, 0);
    assert_string_equal(stats().problem, "");
    finish();
}

/* Neither waits for the other. */
static void life_safety_has_a_lane_of_its_own(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 3, TELL_STATE | TELL_EVENT);
    run(200, WK_ROUTINE);
    for (unsigned i = 4; i < 24; i++) {
        size_t from = mq.n;
        rows("wk", "c1", i, 1, TELL_URGENT | TELL_STATE | TELL_EVENT);
        run(60, WK_ROUTINE);
        assert_int_equal(sent(P "urgent/wk/c1", from), 1);
    }
    size_t all = sent(P "urgent/wk/c1", 0);
    run(70000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(sent(P "urgent/wk/c1", 0), all); /* once each */
    assert_int_equal(stats().urgent_told, 20);
    /* and the other way round */
    size_t from = mq.n;
    rows("wk", "c1", 24, 20, TELL_URGENT | TELL_STATE | TELL_EVENT);
    run(1000, WK_URGENT);
    assert_int_equal(sent(P "events/wk/c1", from), 20);
    assert_false(all_done("wk"));
    assert_int_equal(tell->rows.n, 0);
    size_t tries = sent(P "urgent/wk/c1", from);
    run(30000, WK_URGENT);
    assert_in_range(sent(P "urgent/wk/c1", from) - tries, 5, 6); /* every 5 s */
    run(7000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(sent(P "events/wk/c1", from), 20);
    assert_int_equal(stats().urgent_told, 40);
    finish();
}

/* That others' life-safety gets through does not hide that a firm's does not. */
static void a_refused_firm_is_an_alarm_of_our_own(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    tell_second(tell, "{}", 2);
    size_t before = count_records(RECORD_PRESENCE);
    rows("wk", "c1", 1, 1, TELL_URGENT | TELL_STATE | TELL_EVENT);
    for (unsigned i = 1; i <= 10; i++) {
        rows("lh", "c3", i, 1, TELL_URGENT | TELL_STATE | TELL_EVENT);
        run(1000, WK_URGENT);
        assert_true(all_done("lh"));
        tell_second(tell, "{}", 2);
    }
    assert_int_equal(count_records(RECORD_PRESENCE), before + 1);
    assert_string_equal(last_body(RECORD_PRESENCE), "offline");
    run(6000, 0);
    tell_second(tell, "{}", 2);
    tell_second(tell, "{}", 2);
    assert_string_equal(last_body(RECORD_PRESENCE), "online");
    finish();
}

/* Until a message that is tried is under way; nothing is answered meanwhile. */
static void until_tried(void)
{
    for (int i = 0; i < 1000 && mq.in_flight == 0; i++)
        run_ms(10);
    assert_true(mq.in_flight > 0);
}

/* The broker takes a firm's messages again while the store is being asked for what is new: that does not
 * go ahead of what was left in the store. */
static void what_is_new_waits_for_what_was_held(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 3, TELL_STATE | TELL_EVENT);
    run(200, WK_ROUTINE);
    assert_int_equal(stats().held, 1);
    size_t from = mq.n;
    until_tried();
    db.lag_ns = 50000000;
    rows("wk", "c1", 4, 1, TELL_STATE | TELL_EVENT);
    run_ms(10); /* it is asked for */
    run(1000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(stats().held, 0);
    unsigned next = 0;
    for (size_t i = from; i < mq.n; i++)
        if (strcmp(mq.sent[i].topic, P "events/wk/c1") == 0)
            assert_string_equal(mq.sent[i].payload, db.rows[next++].payload);
    assert_int_equal(next, 4);
    finish();
}

/* What is told while the store looks up what was held is in its answer, and is not told again. */
static void what_is_told_meanwhile_is_told_once(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 1, TELL_URGENT | TELL_STATE | TELL_EVENT);
    run(200, WK_URGENT);
    assert_int_equal(stats().held, 1);
    until_tried();
    struct sent *tried = &mq.sent[mq.n - 1];
    rows("wk", "c1", 2, 1, TELL_STATE | TELL_EVENT);
    run_ms(20);
    assert_int_equal(mq.in_flight, 3);
    size_t from = mq.n;
    db.lag_ns = 50000000;
    ack_one(tried, 0);
    run_ms(10); /* what was held is asked for */
    run(1000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(mq.n, from);
    finish();
}

/* The broker has a later state of a case already when it takes the one that it had refused: what it
 * keeps is put right. */
static void a_later_state_stands_in_the_end(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    size_t from = mq.n;
    commit("wk", "c1", "cq.all.1.wk.1", TELL_STATE, 1, "cq/all/1");
    struct fake_out *later = commit("wk", "c1", "cq.all.1.wk.1", TELL_STATE, 2, "cq/all/1");
    run_ms(20);
    assert_int_equal(mq.n, from + 2);
    ack_one(&mq.sent[from], -EACCES);
    ack_one(&mq.sent[from + 1], 0);
    run(20000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(stats().held, 0);
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.wk.1"), later->payload);
    finish();
}

/* So is what a comparison wanted to set and was refused, once the firm's messages are taken again. */
static void a_refused_comparison_is_made_again(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 1, TELL_STATE | TELL_EVENT);
    run(200, 0);
    down(0);
    kept(P "alerts/wk/c1/cq.all.1.wk.1")->there = false; /* the broker lost it */
    run_ms(100);
    up();
    run(5000, WK_ROUTINE);
    assert_true(stats().refused > 0);
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.wk.1"));
    rows("wk", "c1", 2, 1, TELL_STATE | TELL_EVENT);
    run(200, WK_ROUTINE);
    assert_int_equal(stats().held, 1);
    run(20000, 0);
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.wk.1"), db.rows[0].payload);
    finish();
}

static unsigned sent_to(const char *topic)
{
    unsigned n = 0;
    for (size_t i = 0; i < mq.n; i++)
        n += strcmp(mq.sent[i].topic, topic) == 0;
    return n;
}

/* Also when nothing new happens to the firm. Others hear nothing again that they have. */
static void a_refused_comparison_waits_for_no_row(void **state)
{
    (void)state;
    start(2, 0);
    up();
    settle();
    rows("wk", "c1", 1, 1, TELL_STATE | TELL_EVENT);
    rows("lh", "c2", 1, 1, TELL_STATE | TELL_EVENT);
    run(200, 0);
    static const char other[] = P "alerts/lh/c2/cq.all.1.lh.1";
    down(0);
    kept(P "alerts/wk/c1/cq.all.1.wk.1")->there = false; /* the broker lost it */
    run_ms(100);
    up();
    run(5000, WK_ROUTINE);
    assert_int_equal(stats().held, 0);
    run(60000, 0);
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.wk.1")); /* not all the time */
    assert_int_equal(sent_to(other), 2); /* and again on the new connection */
    assert_false(stats().reconciled);
    run(560000, 0);
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.wk.1"), db.rows[0].payload);
    assert_int_equal(sent_to(other), 2);
    assert_true(stats().reconciled);
    size_t from = mq.n;
    run(1300000, 0);
    assert_int_equal(mq.n, from); /* and only as long as it is refused */
    finish();
}

/* An earlier life had a later state marked. The first one is refused, but what is compared meanwhile is
 * not: it is told last, and compared with once more. */
static void an_earlier_life_marked_a_later_state(void **state)
{
    (void)state;
    start(1, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":1}");
    rows("wk", "c1", 1, 1, TELL_STATE | TELL_EVENT);
    struct fake_out *later =
        commit("wk", "c1", "cq.all.1.wk.1", TELL_STATE | TELL_EVENT, 2, "cq/all/1");
    later->done = true;
    up();
    run(800, WK_ROUTINE);
    assert_int_equal(stats().held, 1);
    run(30000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(stats().held, 0);
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.wk.1"), later->payload);
    assert_true(stats().reconciled);
    finish();
}

/* The broker is slow: what a firm was refused is told again only while the retained topics are compared
 * because of it. A later state that it has taken before stands all the same. */
static void what_is_told_while_it_compares(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 1, TELL_STATE | TELL_EVENT);
    const struct fake_out *other = &db.rows[0],
                          *older = commit("wk", "c1", "cq.all.1.wk.2", TELL_STATE | TELL_EVENT,
                                          2, "cq/all/1"),
                          *newer =
                              commit("wk", "c1", "cq.all.1.wk.2", TELL_STATE, 3, "cq/all/1");
    run_ms(20);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.1", other), -EACCES);
    ack_one(under_way(P "events/wk/c1", other), -EACCES);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.2", older), -EACCES);
    ack_one(under_way(P "events/wk/c1", older), -EACCES);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.2", newer), 0);
    run(4500, 0);
    assert_true(newer->done);
    assert_int_equal(mq.in_flight, 0);
    until_tried();
    rows("lh", "c3", 1, 10, TELL_STATE | TELL_EVENT); /* there is no room for anything else */
    run_ms(20);
    assert_int_equal(mq.in_flight, mq.window);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.1", other), 0);
    run_ms(300);
    assert_false(stats().reconciled);
    run(15000, 0);
    assert_true(all_done("wk") && all_done("lh"));
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.wk.2"), newer->payload);
    assert_true(stats().reconciled);
    finish();
}

/* The broker takes its time to refuse what was sent with the first one: nothing is tried before it is
 * known, or what goes back to the store behind the trial would stay there. */
static void none_is_left_behind_a_trial(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 2, TELL_STATE | TELL_EVENT);
    run_ms(20);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.1", &db.rows[0]), -EACCES);
    run_ms(20);
    rows("wk", "c1", 3, 1, TELL_STATE | TELL_EVENT);
    run_ms(6000);
    size_t from = mq.n;
    ack_one(under_way(P "events/wk/c1", &db.rows[0]), -EACCES);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.2", &db.rows[1]), -EACCES);
    ack_one(under_way(P "events/wk/c1", &db.rows[1]), -EACCES);
    run(20000, 0);
    assert_true(all_done("wk"));
    unsigned next = 0;
    for (size_t i = from; i < mq.n; i++)
        if (strcmp(mq.sent[i].topic, P "events/wk/c1") == 0)
            assert_string_equal(mq.sent[i].payload, db.rows[next++].payload);
    assert_int_equal(next, 3);
    finish();
}

/* Likewise life-safety: an earlier row's own messages are under way when a later one is tried, and it goes
 * back to the store before the broker takes that. */
static void no_urgent_message_is_left_behind_a_trial(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 2, TELL_URGENT | TELL_STATE | TELL_EVENT);
    const struct fake_out *earlier = &db.rows[0], *later = &db.rows[1];
    run_ms(20);
    ack_one(under_way(P "urgent/wk/c1", earlier), -EACCES);
    ack_one(under_way(P "urgent/wk/c1", later), -EACCES);
    run_ms(20);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.2", later), 0);
    ack_one(under_way(P "events/wk/c1", later), 0);
    run_ms(6000); /* it is tried */
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.1", earlier), 0);
    ack_one(under_way(P "events/wk/c1", earlier), 0);
    run_ms(20);
    ack_one(under_way(P "urgent/wk/c1", later), 0);
    run(7000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(stats().held, 0);
    assert_int_equal(stats().urgent_told, 2);
    finish();
}

/* An urgent message is tried alone while its row has the others under way: it is told once, and nothing of
 * it is on the way when its row goes. */
static void a_trial_answers_for_its_row(void **state)
{
    const unsigned both = WK_ROUTINE | WK_URGENT;
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 1, TELL_STATE | TELL_EVENT);
    run(50, both);
    run_ms(300); /* so that they are tried one after the other */
    rows("wk", "c1", 2, 1, TELL_URGENT | TELL_STATE | TELL_EVENT);
    run(100, both);
    const struct fake_out *first = &db.rows[0], *urgent = &db.rows[1];
    assert_int_equal(tell->n_holds, 1);
    assert_true(tell->holds[0].lanes[TELL_ROUTINE].held);
    assert_true(tell->holds[0].lanes[TELL_LIFE].held);
    size_t from = mq.n;
    until_tried();
    mq.window = 2;
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.1", first), 0);
    run_ms(1000);
    assert_int_equal(mq.in_flight, 2); /* the first one's event, and the urgent one's state … */
    assert_int_equal(tell->urgent.n, 1); /* … and its urgent message waits for room */
    ack_one(under_way(P "events/wk/c1", first), 0);
    run_ms(20);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.2", urgent), 0);
    run_ms(20);
    ack_one(under_way(P "urgent/wk/c1", urgent), 0);
    run_ms(20);
    ack_one(under_way(P "events/wk/c1", urgent), 0);
    run_ms(20);
    run(3000, 0);
    assert_true(all_done("wk"));
    assert_int_equal(sent(P "urgent/wk/c1", from), 1);
    assert_int_equal(tell->urgent_unsent, 0);
    finish();
}

/* The link is lost when some of a firm's messages were refused and others are not answered: they are told
 * in their order, and the newest state is the last. */
static void a_lost_link_keeps_their_order(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    const struct fake_out *older = commit("wk", "c1", "cq.all.1.wk.1", TELL_STATE | TELL_EVENT,
                                          1, "cq/all/1"),
                          *newer = commit("wk", "c1", "cq.all.1.wk.1", TELL_STATE | TELL_EVENT,
                                          2, "cq/all/1");
    run_ms(20);
    ack_one(under_way(P "alerts/wk/c1/cq.all.1.wk.1", older), -EACCES);
    ack_one(under_way(P "events/wk/c1", older), -EACCES);
    run_ms(20);
    down(0);
    run_ms(50);
    size_t from = mq.n;
    up();
    run(8000, 0);
    assert_true(all_done("wk"));
    size_t first = find_sent(P "events/wk/c1", from);
    assert_true(first != SIZE_MAX);
    assert_string_equal(mq.sent[first].payload, older->payload);
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.wk.1"), newer->payload);
    finish();
}

/* A case goes to another firm, which is told; what the first one was refused is told after that, and does
 * not stay. */
static void a_case_moved_from_a_refused_firm(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    rows("wk", "c1", 1, 1, TELL_STATE | TELL_EVENT);
    run(200, WK_ROUTINE);
    assert_int_equal(stats().held, 1);
    struct fake_out *o = commit("lh", "c3", "cq.all.1.wk.1",
                                TELL_STATE | TELL_EVENT | TELL_LEAVE, 1, "cq/all/1");
    snprintf(o->was_firm, sizeof(o->was_firm), "wk");
    snprintf(o->was_compound, sizeof(o->was_compound), "c1");
    o->o.was_firm = o->was_firm;
    o->o.was_compound = o->was_compound;
    run(1000, 0);
    assert_true(o->done && !all_done("wk"));
    run(20000, 0);
    assert_true(all_done("wk"));
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.wk.1"));
    assert_string_equal(on_broker(P "alerts/lh/c3/cq.all.1.wk.1"), o->payload);
    finish();
}

/* A reply that is refused is given up; it holds nobody's alarms. */
static void a_refused_reply_holds_nothing(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    struct fake_out *o = commit("wk", "c1", "cq.all.1.b.1", TELL_REPLY, 0, "cq/all/1");
    db.cases[0].open = false;
    snprintf(o->topic, sizeof(o->topic), "reply/wk/me");
    o->o.topic = o->topic;
    o->o.expires_wall_ms = INT64_MAX / 2000;
    run(100, WK_ROUTINE);
    assert_true(o->done);
    assert_true(find_sent(P "reply/wk/me", 0) != SIZE_MAX);
    assert_int_equal(stats().held, 0);
    rows("wk", "c1", 1, 1, TELL_STATE | TELL_EVENT);
    run(100, 0);
    assert_true(all_done("wk"));
    finish();
}

/* More firms than are told apart: then all of them wait. */
static void very_many_firms(void **state)
{
    (void)state;
    start(1, 0);
    mq.window = 100;
    up();
    settle();
    for (unsigned i = 0; i < 300; i++) {
        char firm[16];
        snprintf(firm, sizeof(firm), "f%u", i);
        rows(firm, "c1", i, 1, TELL_EVENT);
    }
    for (unsigned i = 0; i < 100; i++) {
        for (size_t k = 0; k < mq.n; k++)
            if (!mq.sent[k].acked)
                ack_one(&mq.sent[k], -EACCES);
        run_ms(10);
    }
    assert_int_equal(stats().held, 256);
    settle();
    for (size_t i = 0; i < db.n; i++)
        assert_true(db.rows[i].done);
    finish();
}

/* What tell takes to wait on `urgent/`, against what the broker acknowledged; settled: also the answers of
 * the last moments are known. */
static void assert_urgent(bool settled)
{
    uint64_t n = 0;
    struct store_stats s;
    store_stats(NULL, &s);
    for (size_t i = 0; i < db.n; i++)
        n += db.rows[i].o.urgent && !db.rows[i].urgent_acked;
    assert_in_range(tell_urgent_waiting(tell, &s), n, settled ? n : UINT64_MAX);
}

static void at_random(uint64_t seed)
{
    uint64_t rnd = seed;
    unsigned refuses = 0, seq[3] = {0};
    uint64_t down_at = 0;
    struct store_stats s;
    bool unseen = false; /* a link that was lost and back at once: an answer may be of no use */
    random_start(&rnd);
    db.lag_ns = unit_random(&rnd) % 4 * 10000000;
    db.commit_ns = unit_random(&rnd) % 2 * 150000000;
    up();
    for (unsigned i = 0; i < 300; i++) {
        unsigned w = (unsigned)(unit_random(&rnd) % 3);
        char id[32];
        switch (unit_random(&rnd) % 12) {
        case 0:
            refuses = (unsigned)unit_random(&rnd) % 16;
            break;
        case 1:
            refuses = 0;
            break;
        case 2:
            if (mq.connected)
                down(unit_random(&rnd) % 6);
            down_at = now_ns;
            break;
        case 3:
            unseen |= now_ns == down_at;
            if (!mq.connected)
                up();
            break;
        case 4:
        case 5:
        case 6:
            snprintf(id, sizeof(id), "cq.all.1.%u.%x", w, (unsigned)(unit_random(&rnd) % 6));
            commit(random_firms[w], random_compounds[w], id,
                   TELL_EVENT | (unit_random(&rnd) % 4 == 0 ? TELL_CLOSE : TELL_STATE) |
                       (unit_random(&rnd) % 3 == 0 ? TELL_URGENT : 0),
                   ++seq[w], "cq/all/1");
            break;
        default:
            if (mq.connected)
                (void)answer(refuses);
        }
        unsigned ms = (unsigned)(unit_random(&rnd) % 8 * (unit_random(&rnd) % 20 ? 20 : 1000));
        run_ms(ms);
        assert_urgent(ms >= 1000 && !unseen);
    }
    if (!mq.connected)
        up();
    run(130000, 0);
    if (tell->set_refused) { /* of a comparison, and no firm is held: it is made again by the clock */
        assert_false(stats().reconciled);
        assert_true(tell->set_again_ns <= now_ns + UINT64_C(600000000000));
        run(600000, 0);
    }
    settle();
    store_stats(NULL, &s);
    assert_int_equal(tell->urgent_marked, s.urgent_delivered);
    assert_all_told();
    assert_int_equal(stats().held, 0);
    assert_int_equal(tell->n_holds, 0);
    assert_int_equal(tell->n_parts, 0);
    assert_all_heard(seq);
    finish();
}

static void whatever_is_refused_is_told_in_the_end(void **state)
{
    (void)state;
    at_random(UINT64_C(12361918135073760867)); /* what is refused last is a comparison */
    random_runs(100, at_random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_for_another_firm),
        cmocka_unit_test(life_safety_has_a_lane_of_its_own),
        cmocka_unit_test(a_refused_firm_is_an_alarm_of_our_own),
        cmocka_unit_test(what_is_new_waits_for_what_was_held),
        cmocka_unit_test(what_is_told_meanwhile_is_told_once),
        cmocka_unit_test(a_later_state_stands_in_the_end),
        cmocka_unit_test(a_refused_comparison_is_made_again),
        cmocka_unit_test(a_refused_comparison_waits_for_no_row),
        cmocka_unit_test(an_earlier_life_marked_a_later_state),
        cmocka_unit_test(what_is_told_while_it_compares),
        cmocka_unit_test(none_is_left_behind_a_trial),
        cmocka_unit_test(no_urgent_message_is_left_behind_a_trial),
        cmocka_unit_test(a_trial_answers_for_its_row),
        cmocka_unit_test(a_lost_link_keeps_their_order),
        cmocka_unit_test(a_case_moved_from_a_refused_firm),
        cmocka_unit_test(a_refused_reply_holds_nothing),
        cmocka_unit_test(very_many_firms),
        cmocka_unit_test_teardown(whatever_is_refused_is_told_in_the_end, random_say_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
