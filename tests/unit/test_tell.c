/* SPDX-License-Identifier: Apache-2.0 */
/* app/tell over played parts: order, window, lost links, agreement with the broker, epochs. */
#include "tell_rig.h"

#include "base/hash.h"

/* -- epochs --------------------------------------------------------------------------------- */

static void test_first_epoch(void **state)
{
    (void)state;
    start(0, 0);
    assert_string_equal(mq.client_id, "gw-alerts");
    assert_string_equal(mq.will_topic, P "gateway/cq/status");
    commit("wk", "c1", "cq.all.1.a.0", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    up();
    run_ms(1500);
    assert_int_equal(mq.n, 0); /* nothing is told before it is known */
    assert_int_equal(n_records, 0);
    run_ms(1000);
    settle();
    assert_non_null(strstr(on_broker(P "gateway/cq/epoch"), "\"epoch\":1"));
    assert_true(find_sent(P "events/wk/c1", 0) != SIZE_MAX);
    assert_int_equal(count_records(RECORD_STREAM), 0); /* it stands there since the start */
    finish();
}

static void epoch_is(uint64_t stored, uint64_t cursor, const char *topic, const char *payload,
                     const char *expected)
{
    start(stored, cursor);
    if (topic)
        keep(topic, payload);
    up();
    settle();
    char given[32];
    snprintf(given, sizeof(given), "cq/all/%d", stored ? (int)stored : 1);
    bool new = strcmp(given, expected) != 0; /* else it stands in the journal since the start */
    assert_int_equal(count_records(RECORD_STREAM), new);
    if (new)
        assert_string_equal(last_body(RECORD_STREAM), expected);
    assert_int_equal(stats().epoch, atoi(expected + 7));
    down(0);
    up();
    settle();
    assert_int_equal(count_records(RECORD_STREAM), new); /* once a process */
    finish();
}

static void test_epochs(void **state)
{
    (void)state;
    static const char t[] = P "gateway/cq/epoch", a[] = P "alerts/wk/c1/cq.all.3.zz.0";
    epoch_is(0, 0, t, "{\"epoch\":4}", "cq/all/5");
    epoch_is(3, 9, t, "{\"epoch\":5}", "cq/all/6");
    epoch_is(3, 9, t, "{\"epoch\":3,\"offset\":9}", "cq/all/3");
    epoch_is(3, 9, t, "{\"epoch\":3,\"offset\":10}", "cq/all/4"); /* rolled back */
    epoch_is(3, 9, t, "{\"epoch\":2,\"offset\":900}", "cq/all/3");
    epoch_is(3, 9, NULL, NULL, "cq/all/3");
    epoch_is(3, 9, t, "nonsense", "cq/all/3");
    /* the life-safety process of a gateway "c" whose name reads like "cq" could be there */
    epoch_is(3, 9, t, "{\"stream\":\"cq/life-safety/7\",\"epoch\":7}", "cq/all/3");
    epoch_is(3, 9, t, "{\"stream\":\"cq/all/7\",\"epoch\":7}", "cq/all/8");
    epoch_is(0, 0, a, "{\"stream\":\"cq/all/7\"}", "cq/all/8");
    epoch_is(0, 0, a, "{\"stream\":\"cq/routine/7\"}", "cq/all/1"); /* another lane's */
    /* a case of a place that the store has not come to (zz is 1295) */
    epoch_is(3, 1294, a, "{\"stream\":\"cq/all/3\"}",
             "cq/all/3"); /* ... alone it says nothing */
    start(0, 0);          /* the highest that the store ever had is not used again */
    db.epoch_last = 6;
    keep(t, "{\"epoch\":5}");
    up();
    settle();
    assert_string_equal(last_body(RECORD_STREAM), "cq/all/7");
    finish();
    start(3, 9); /* a full journal: later */
    keep(t, "{\"epoch\":4}");
    append_result = -ENOSPC;
    up();
    run_ms(4000);
    assert_int_equal(mq.n, 0);
    append_result = 0;
    settle();
    assert_int_equal(count_records(RECORD_STREAM), 1);
    finish();
}

/* What waits has numbers of the new stream once the store has its epoch, and not before. */
static void test_numbers_first(void **state)
{
    (void)state;
    start(3, 9);
    keep(P "gateway/cq/epoch", "{\"epoch\":5}");
    commit("wk", "c1", "cq.all.3.b.1", TELL_URGENT | TELL_STATE | TELL_EVENT, 1, "cq/all/3");
    up();
    message(P "snapshot/wk", "", false, NULL, NULL);
    for (int i = 0; i < 500; i++) {
        ack(1000);
        run_ms(10);
    }
    assert_string_equal(last_body(RECORD_STREAM), "cq/all/6");
    assert_int_equal(stats().epoch, 6);
    for (size_t i = 0; i < mq.n; i++)
        assert_non_null(strstr(mq.sent[i].topic, "/gateway/cq/"));
    assert_false(stats().reconciled);
    char *payload = db.rows[0].payload;
    memcpy(strstr(payload, "cq/all/3"), "cq/all/6", 8); /* as the store does */
    db.rows[0].o.seq = 1;
    memcpy(db.cases[0].payload, payload, sizeof(db.cases[0].payload));
    settle();
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.3.b.1"), payload);
    for (size_t i = 0; i < mq.n; i++)
        assert_null(strstr(mq.sent[i].payload, "cq/all/3"));
    assert_true(find_sent(P "reply/wk/snapshot", 0) != SIZE_MAX);
    finish();
}

/* -- the outbox ----------------------------------------------------------------------------- */

static void test_order_and_window(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    size_t from = mq.n;
    for (unsigned i = 1; i <= 10; i++) {
        char id[32];
        snprintf(id, sizeof(id), "cq.all.1.b.%u", i);
        commit("wk", "c1", id, TELL_STATE | TELL_EVENT, i, "cq/all/1");
    }
    commit("wk", "c1", "cq.all.1.b.1", TELL_EVENT | TELL_CLOSE, 11, "cq/all/1");
    run_ms(50);
    assert_int_equal(mq.n - from, 5); /* the window */
    assert_int_equal(stats().waiting, 11);
    ack(1);
    run_ms(20);
    assert_int_equal(mq.n - from, 6);
    assert_false(db.rows[0].done); /* its event is not there yet */
    ack(1);
    run_ms(20);
    assert_true(db.rows[0].done);
    settle();
    assert_int_equal(mq.n - from, 22);
    for (size_t i = 0; i < 20; i += 2) {
        assert_string_equal(mq.sent[from + i].payload, db.rows[i / 2].payload);
        assert_true(mq.sent[from + i].retain);
        assert_string_equal(mq.sent[from + i + 1].topic, P "events/wk/c1");
        assert_string_equal(mq.sent[from + i + 1].payload, db.rows[i / 2].payload);
        assert_false(mq.sent[from + i + 1].retain);
    }
    assert_string_equal(mq.sent[from + 20].topic, P "events/wk/c1");
    assert_string_equal(mq.sent[from + 21].topic, P "alerts/wk/c1/cq.all.1.b.1");
    assert_int_equal(mq.sent[from + 21].len, 0);
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.b.1"));
    assert_non_null(on_broker(P "alerts/wk/c1/cq.all.1.b.2"));
    assert_int_equal(stats().told, 11);
    finish();
}

static void test_moved_case(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    settle();
    struct fake_out *o =
        commit("lh", "c3", "cq.all.1.b.1", TELL_STATE | TELL_EVENT | TELL_LEAVE, 1, "cq/all/1");
    snprintf(o->was_firm, sizeof(o->was_firm), "wk");
    snprintf(o->was_compound, sizeof(o->was_compound), "c1");
    o->o.was_firm = o->was_firm;
    o->o.was_compound = o->was_compound;
    settle();
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.b.1"));
    assert_string_equal(on_broker(P "alerts/lh/c3/cq.all.1.b.1"), o->payload);
    finish();
}

static void test_lost_link(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    for (unsigned i = 1; i <= 4; i++) {
        char id[32];
        snprintf(id, sizeof(id), "cq.all.1.b.%u", i);
        commit("wk", "c1", id, TELL_STATE | TELL_EVENT, i, "cq/all/1");
    }
    run_ms(20);
    ack(3); /* row 1, and the state of row 2 */
    down(1);
    run_ms(50);
    assert_int_equal(stats().waiting, 3);
    assert_false(stats().connected);
    size_t from = mq.n;
    up();
    run_ms(20);
    size_t first = find_sent(P "events/wk/c1", from);
    assert_string_equal(mq.sent[first].payload, db.rows[1].payload);
    size_t again = find_sent(P "alerts/wk/c1/cq.all.1.b.2", from);
    assert_true(again == SIZE_MAX || again > first);
    settle();
    for (size_t i = 0; i < 4; i++)
        assert_true(db.rows[i].done);
    assert_true(stats().resent > 0);
    assert_int_equal(stats().told, 4);
    finish();
}

static void test_urgent_goes_ahead(void **state)
{
    (void)state;
    start(1, 0);
    db.chunk = 3;
    up();
    settle();
    size_t from = mq.n;
    for (unsigned i = 1; i <= 20; i++) {
        char id[32];
        snprintf(id, sizeof(id), "cq.all.1.b.%u", i);
        unsigned urgent = i == 17 || i == 18 ? TELL_URGENT : 0;
        commit("wk", "c1", id, TELL_STATE | TELL_EVENT | urgent, i, "cq/all/1");
    }
    run_ms(20);
    ack(1);
    run_ms(20);
    ack(1);
    run_ms(20);
    size_t u = find_sent(P "urgent/wk/c1", from);
    assert_true(u != SIZE_MAX && u - from < 10);
    assert_string_equal(mq.sent[u].payload, db.rows[16].payload);
    settle();
    unsigned urgent = 0, seq = 0;
    for (size_t i = from; i < mq.n; i++) {
        urgent += strcmp(mq.sent[i].topic, P "urgent/wk/c1") == 0;
        if (strcmp(mq.sent[i].topic, P "events/wk/c1") == 0)
            assert_string_equal(mq.sent[i].payload, db.rows[seq++].payload);
    }
    assert_int_equal(urgent, 2);
    assert_int_equal(seq, 20);
    assert_int_equal(stats().urgent_told, 2);
    /* without a backlog, too */
    mq.window = 1;
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 21, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.2", TELL_STATE | TELL_EVENT, 22, "cq/all/1");
    run_ms(20);
    commit("wk", "c2", "cq.all.1.c.1", TELL_URGENT | TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    run_ms(20);
    from = mq.n;
    ack(1);
    run_ms(20);
    assert_string_equal(mq.sent[from].topic, P "urgent/wk/c2");
    settle();
    finish();
}

static void test_replies(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    struct fake_out *o = commit("wk", "c1", "cq.all.1.b.1", TELL_REPLY, 0, "cq/all/1");
    db.cases[0].open = false;
    snprintf(o->topic, sizeof(o->topic), "reply/wk/me");
    o->o.topic = o->topic;
    o->o.correlation = "c7";
    o->o.correlation_len = 2;
    o->o.expires_wall_ms = INT64_MAX / 2000;
    settle();
    size_t at = find_sent(P "reply/wk/me", 0);
    assert_true(at != SIZE_MAX);
    assert_string_equal(mq.sent[at].correlation, "c7");
    assert_true(mq.sent[at].expiry_s > 0 && !mq.sent[at].retain);
    o = commit("wk", "c1", "cq.all.1.b.1", TELL_REPLY, 0, "cq/all/1");
    db.cases[0].open = false;
    snprintf(o->topic, sizeof(o->topic), "reply/wk/late");
    o->o.topic = o->topic;
    o->o.expires_wall_ms = 1000; /* 1970 */
    settle();
    assert_int_equal(find_sent(P "reply/wk/late", 0), SIZE_MAX);
    assert_true(o->done);
    assert_int_equal(stats().expired, 1);
    finish();
}

static void test_refused_and_too_large(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    commit("wk", "c1", "cq.all.1.b.1", TELL_EVENT, 1, "cq/all/1");
    run_ms(20);
    ack_one(&mq.sent[mq.n - 1], -EACCES);
    size_t from = mq.n;
    run_ms(1000);
    assert_int_equal(mq.n, from);
    assert_true(strstr(stats().problem, "refuses") != NULL);
    run_ms(5000);
    assert_int_equal(mq.n, from + 1); /* again */
    settle();
    assert_true(db.rows[0].done);
    mq.max_len = 20;
    commit("wk", "c1", "cq.all.1.b.2", TELL_STATE | TELL_EVENT | TELL_CLOSE, 2, "cq/all/1");
    settle();
    assert_true(db.rows[1].done);
    assert_int_equal(stats().undeliverable, 2);
    finish();
}

static void test_stuck(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    commit("wk", "c1", "cq.all.1.b.1", TELL_EVENT, 1, "cq/all/1");
    for (int s = 0; s < 61; s++) {
        run_ms(1000);
        tell_second(tell, "{}", 2);
    }
    assert_true(stats().oldest_waiting_s >= 59);
    run_ms(2000);
    tell_second(tell, "{}", 2);
    assert_true(strstr(stats().problem, "nothing could be told") != NULL);
    settle();
    tell_second(tell, "{}", 2);
    assert_string_equal(stats().problem, "");
    assert_true(stats().oldest_waiting_s == 0);
    finish();
}

static void second(unsigned n)
{
    for (; n > 0; n--) {
        run_ms(1000);
        tell_second(tell, "{}", 2);
    }
}

/* That life-safety does not get through is an alarm of our own: core/engine_alarm.c makes it of these
 * records. */
static void test_urgent_is_not_delivered(void **state)
{
    (void)state;
    start(1, 0);
    second(1);
    assert_int_equal(count_records(RECORD_PRESENCE), 1); /* whatever a former process said */
    assert_string_equal(records[0].topic, "/delivery");  /* no firm's code */
    assert_string_equal(last_body(RECORD_PRESENCE), "online");
    commit("wk", "c1", "cq.all.1.b.1", TELL_EVENT, 1, "cq/all/1");
    second(70);
    assert_int_equal(count_records(RECORD_PRESENCE), 1); /* no life hangs on it */
    commit("wk", "c1", "cq.all.1.b.2", TELL_URGENT | TELL_EVENT, 2, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.3", TELL_URGENT | TELL_EVENT, 3, "cq/all/1");
    second(7);
    assert_int_equal(count_records(RECORD_PRESENCE), 1);
    append_result = -ENOSPC;
    second(2);
    append_result = 0;
    second(2);
    assert_int_equal(count_records(RECORD_PRESENCE),
                     2); /* the duty is 10 s; one was lost above */
    assert_string_equal(last_body(RECORD_PRESENCE), "offline");
    second(60);
    assert_int_equal(count_records(RECORD_PRESENCE), 2); /* once */
    up();
    settle();
    second(2);
    assert_int_equal(count_records(RECORD_PRESENCE), 5);
    assert_string_equal(records[2].topic, "wk"); /* the firms are not there */
    assert_string_equal(records[3].topic, "lh");
    assert_string_equal(last_body(RECORD_PRESENCE), "online");
    assert_int_equal(stats().urgent_told, 2);
    finish();
}

/* -- agreement ------------------------------------------------------------------------------ */

static void test_agreement(void **state)
{
    (void)state;
    start(2, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":2,\"offset\":1}");
    /* in the store: known and right, known and stale, known and missing, told elsewhere before */
    commit("wk", "c1", "cq.all.2.a.1", TELL_STATE, 1, "cq/all/2")->done = true;
    commit("wk", "c1", "cq.all.2.a.2", TELL_STATE, 2, "cq/all/2")->done = true;
    commit("wk", "c1", "cq.all.2.a.3", TELL_STATE, 3, "cq/all/2")->done = true;
    commit("lh", "c3", "cq.all.2.a.4", TELL_STATE, 1, "cq/all/2")->done = true;
    commit("lh", "c3", "cq.all.1.a.5", TELL_STATE, 2, "cq/all/1")->done =
        true; /* former epoch's */
    keep(P "alerts/wk/c1/cq.all.2.a.1", db.rows[0].payload);
    keep(P "alerts/wk/c1/cq.all.2.a.2", "{\"stream\":\"cq/all/2\",\"seq\":0}");
    keep(P "alerts/wk/c1/cq.all.2.a.4", "{\"stream\":\"cq/all/2\",\"seq\":1}");
    /* not in the store */
    keep(P "alerts/wk/c1/cq.all.2.b.1", "{\"stream\":\"cq/all/2\",\"seq\":9}");
    keep(P "alerts/wk/c1/cq.all.1.b.2", "{\"stream\":\"cq/all/1\",\"seq\":9}");
    keep(P "alerts/wk/c1/other.all.2.b.3", "{\"stream\":\"other/all/2\"}");
    keep(P "alerts/wk/c1/cq.life-safety.2.b.4", "{\"stream\":\"cq/life-safety/2\"}");
    keep(P "alerts/wk/c1/cq.all.2.b.5", "not JSON");
    keep(P "alerts/wk/c1/cq.all.2.b.6", "{\"stream\":\"cq/all/2x\"}");
    keep(P "alerts/wk", "{\"stream\":7}");
    up();
    settle();
    struct tell_stats s = stats();
    for (size_t i = 0; i < 5; i++) {
        char topic[128];
        snprintf(topic, sizeof(topic), P "alerts/%s/%s/%s", db.rows[i].firm,
                 db.rows[i].compound, db.rows[i].case_id);
        assert_non_null(on_broker(topic));
        assert_string_equal(on_broker(topic), db.rows[i].payload);
    }
    assert_null(on_broker(P "alerts/wk/c1/cq.all.2.a.4"));
    assert_null(on_broker(P "alerts/wk/c1/cq.all.2.b.1"));
    assert_non_null(on_broker(P "alerts/wk/c1/cq.all.1.b.2"));
    assert_non_null(on_broker(P "alerts/wk/c1/other.all.2.b.3"));
    assert_non_null(on_broker(P "alerts/wk/c1/cq.life-safety.2.b.4"));
    assert_non_null(on_broker(P "alerts/wk/c1/cq.all.2.b.5"));
    assert_non_null(on_broker(P "alerts/wk/c1/cq.all.2.b.6"));
    assert_non_null(on_broker(P "alerts/wk"));
    assert_int_equal(s.emptied, 2);
    assert_int_equal(s.orphaned, 1);
    assert_int_equal(s.foreign, 5);
    assert_int_equal(s.republished, 5);
    assert_int_equal(s.told, 0); /* that was no telling */
    assert_false(mq.alerts_filter);
    /* the broker loses all it has */
    down(0);
    mq.n_kept = 0;
    run_ms(50);
    assert_true(mq.alerts_filter);
    up();
    settle();
    for (size_t i = 0; i < 5; i++) {
        char topic[128];
        snprintf(topic, sizeof(topic), P "alerts/%s/%s/%s", db.rows[i].firm,
                 db.rows[i].compound, db.rows[i].case_id);
        assert_string_equal(on_broker(topic), db.rows[i].payload);
    }
    assert_non_null(on_broker(P "gateway/cq/epoch"));
    finish();
}

/* What is told while the retained topics are read is not overwritten with what was before. */
static void test_agreement_while_telling(void **state)
{
    (void)state;
    start(1, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":1}");
    commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1")->done = true;
    commit("wk", "c1", "cq.all.1.a.2", TELL_STATE | TELL_EVENT, 2, "cq/all/1")->done = true;
    keep(P "alerts/wk/c1/cq.all.1.a.1", db.rows[0].payload);
    keep(P "alerts/wk/c1/cq.all.1.a.2", db.rows[1].payload);
    up();
    run_ms(300);
    commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 3, "cq/all/1");
    commit("wk", "c1", "cq.all.1.a.2", TELL_EVENT | TELL_CLOSE, 4, "cq/all/1");
    run_ms(100);
    assert_true(find_sent(P "events/wk/c1", 0) != SIZE_MAX); /* telling does not wait for it */
    settle();
    assert_string_equal(on_broker(P "alerts/wk/c1/cq.all.1.a.1"), db.rows[2].payload);
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.a.2"));
    for (size_t i = 0; i < mq.n; i++)
        assert_string_not_equal(mq.sent[i].payload, db.rows[0].payload);
    finish();
}

/* -- what others say -------------------------------------------------------------------------- */

static void test_commands(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    size_t from = mq.n;
    message(P "cmd/wk/c1/cq.all.1.a.1/ack", "{\"by\":\"me\"}", false, NULL, NULL);
    assert_int_equal(count_records(RECORD_COMMAND), 1); /* before its PUBACK */
    assert_string_equal(records[n_records - 1].topic, "wk/c1/cq.all.1.a.1/ack");
    assert_string_equal(last_payload, "{\"by\":\"me\"}");
    assert_string_equal(last_reply_to, "-");
    message(P "cmd/wk/c1/cq.all.1.a.1/ack", "{}", false, P "reply/wk/me/1", "c");
    assert_string_equal(last_reply_to, "reply/wk/me/1");
    static const char *const not_theirs[] = {
        P "reply/lh/me", P "reply/wk", P "reply/wk/",      P "reply/wk/+",
        P "reply/wk/#",  "reply/wk/x", P "alerts/wk/c1/x", "gaihou/v1reply/wk/x"};
    for (size_t i = 0; i < sizeof(not_theirs) / sizeof(*not_theirs); i++) {
        message(P "cmd/wk/c1/cq.all.1.a.1/ack", "{}", false, not_theirs[i], "c");
        assert_string_equal(last_reply_to, "-");
    }
    size_t n = count_records(RECORD_COMMAND);
    assert_int_equal(n, 10);
    static const char *const refused[] = {
        P "cmd/-/c1/cq.all.1.a.1/ack", P "cmd/none/c1/cq.all.1.a.1/ack",
        P "cmd/wk/c 1/cq.all.1.a.1/ack", P "cmd/wk//cq.all.1.a.1/ack",
        P "cmd//c1/cq.all.1.a.1/ack"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        message(refused[i], "{}", false, NULL, NULL);
    message(P "cmd/wk/c1/cq.all.1.a.1/ack", "{}", true, NULL, NULL); /* retained */
    assert_int_equal(stats().commands_refused, 6);
    message(P "cmd/wk/c1/other.all.1.a.1/ack", "{}", false, NULL, NULL); /* in silence */
    message(P "cmd/wk/c1/cq.life-safety.1.a.1/ack", "{}", false, NULL, NULL);
    /* of gateways whose names begin with ours and our lane's */
    message(P "cmd/wk/c1/cq.all.all.1.a.1/ack", "{}", false, NULL, NULL);
    message(P "cmd/wk/c1/cq.all.routine.1.a.1.2/ack", "{}", false, NULL, NULL);
    message(P "cmd/wk/c1/cq.all.5.all.1.a.1/ack", "{}", false, NULL, NULL);
    assert_int_equal(count_records(RECORD_COMMAND), n);
    run_ms(50);
    assert_int_equal(stats().commands_refused, 6);
    assert_int_equal(mq.n, from); /* none of them is answered */
    /* these are, at once */
    message(P "cmd/wk/c1/cq.all.1.a.1/dance", "{}", false, P "reply/wk/me", "c9");
    static char large[9000];
    memset(large, ' ', sizeof(large) - 1);
    message(P "cmd/wk/c1/cq.all.1.a.1/ack", large, false, NULL, NULL);
    run_ms(50);
    assert_int_equal(count_records(RECORD_COMMAND), n);
    assert_int_equal(stats().commands, n);
    assert_int_equal(mq.n, from + 2);
    assert_string_equal(mq.sent[from].topic, P "reply/wk/me");
    assert_string_equal(mq.sent[from].correlation, "c9");
    assert_string_equal(mq.sent[from].payload,
                        "{\"v\":1,\"case\":\"cq.all.1.a.1\",\"verb\":\"dance\",\"result\":"
                        "\"bad\",\"reason\":\"there is no such verb\"}");
    assert_string_equal(mq.sent[from + 1].topic, P "reply/wk/c1");
    finish();
}

/* Each command is a record and a row of history: one firm does not fill the disk, nor hold up others. */
static void test_too_many_commands(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    for (int i = 0; i < 2500; i++)
        message(P "cmd/wk/c1/cq.all.1.a.1/ack", "{}", false, NULL, NULL);
    assert_in_range(count_records(RECORD_COMMAND), 2000, 2400);
    size_t from = mq.n;
    run_ms(50);
    settle();
    size_t i = find_sent(P "reply/wk/c1", from);
    assert_true(i != SIZE_MAX);
    assert_non_null(strstr(mq.sent[i].payload, "\"result\":\"refused\""));
    assert_non_null(strstr(mq.sent[i].payload, "too_many_commands"));
    size_t before = count_records(RECORD_COMMAND);
    message(P "cmd/lh/c3/cq.all.1.a.2/ack", "{}", false, NULL, NULL);
    assert_int_equal(count_records(RECORD_COMMAND), before + 1);
    finish();
}

/* Another whose name falls into the wild one's bucket does not suffer from it. */
static void test_a_shared_bucket(void **state)
{
    (void)state;
    enum { BUCKETS = 1024 };
    char other[16], topic[64];
    start(1, 0);
    up();
    settle();
    uint64_t wild = hash64(hash_seed(), "wk", 2), h = 0;
    for (int i = 0; i < 100000000; i++) {
        int n = snprintf(other, sizeof(other), "f%d", i);
        h = hash64(hash_seed(), other, (size_t)n);
        if (h % BUCKETS == wild % BUCKETS)
            break;
    }
    for (int i = 0; i < 2500; i++)
        message(P "cmd/wk/c1/cq.all.1.a.1/ack", "{}", false, NULL, NULL);
    size_t before = count_records(RECORD_COMMAND);
    snprintf(topic, sizeof(topic), P "cmd/%s/c3/cq.all.1.a.2/ack", other);
    message(topic, "{}", false, NULL, NULL);
    assert_int_equal(count_records(RECORD_COMMAND), before + 1);
    finish();
}

/* Nobody but us knows our epoch: an absurd one must not end the counting. */
static void test_absurd_epochs(void **state)
{
    (void)state;
    start(3, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":9223372036854775807,\"offset\":1}");
    keep(P "alerts/wk/c1/cq.all.1.a.9",
         "{\"stream\":\"cq/all/18446744073709551615\",\"case\":\"cq.all.1.a.9\"}");
    up();
    settle();
    assert_int_equal(stats().epoch, 3);
    assert_int_equal(stats().foreign, 1);
    assert_non_null(on_broker(P "alerts/wk/c1/cq.all.1.a.9"));
    finish();
}

/* Who did not say goodbye while we were away, or before we were there, is not there either. */
static void test_presence_not_kept(void **state)
{
    (void)state;
    start(1, 0);
    keep(P "presence/wk", "{\"state\":\"online\"}");
    up();
    settle();
    assert_int_equal(count_records(RECORD_PRESENCE), 2);
    assert_string_equal(records[1].topic,
                        "lh"); /* a former process may have known it as online */
    assert_string_equal(records[1].body, "offline");
    assert_int_equal(stats().presence_absent, 0); /* of those that ever said */
    down(0);
    keep(P "presence/wk", "");
    up();
    run_ms(500);
    assert_int_equal(count_records(RECORD_PRESENCE), 2); /* it may still come */
    settle();
    assert_int_equal(count_records(RECORD_PRESENCE), 3);
    assert_string_equal(records[2].topic, "wk");
    assert_string_equal(records[2].body, "offline");
    message(P "presence/wk", "{\"state\":\"online\"}", false, NULL, NULL);
    run_ms(50);
    assert_int_equal(count_records(RECORD_PRESENCE), 4);
    down(0);
    up(); /* without a word of it being kept … */
    settle();
    assert_int_equal(count_records(RECORD_PRESENCE), 5);
    finish();
}

static void test_presence(void **state)
{
    (void)state;
    start(1, 0);
    keep(P "presence/wk", "{\"state\":\"online\",\"client\":\"x\"}");
    keep(P "presence/lh", "{\"state\":\"offline\"}");
    up();
    settle();
    assert_int_equal(count_records(RECORD_PRESENCE), 2);
    assert_string_equal(records[0].topic, "wk");
    assert_string_equal(records[0].body, "online");
    assert_string_equal(records[1].body, "offline");
    down(0);
    up();
    settle();
    assert_int_equal(count_records(RECORD_PRESENCE), 2); /* no change */
    message(P "presence/wk", "{\"state\":\"offline\"}", false, NULL, NULL);
    message(P "presence/stranger", "{\"state\":\"online\"}", false, NULL, NULL);
    message(P "presence/lh", "garbage", false, NULL, NULL);
    run_ms(50);
    assert_int_equal(count_records(RECORD_PRESENCE), 3);
    assert_string_equal(last_body(RECORD_PRESENCE), "offline");
    assert_int_equal(stats().presence_absent, 2);
    append_result = -ENOSPC; /* the record follows when there is room */
    message(P "presence/wk", "{\"state\":\"online\"}", false, NULL, NULL);
    run_ms(50);
    append_result = 0;
    tell_second(tell, "{}", 2);
    assert_string_equal(last_body(RECORD_PRESENCE), "online");
    message(P "presence/wk", "", false, NULL, NULL); /* removed */
    run_ms(50);
    assert_string_equal(last_body(RECORD_PRESENCE), "offline");
    finish();
}

static void test_snapshot(void **state)
{
    (void)state;
    start(1, 0);
    commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    commit("lh", "c3", "cq.all.1.a.2", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    commit("wk", "c2", "cq.all.1.a.3", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    up();
    settle();
    size_t from = mq.n;
    message(P "snapshot/wk", "", false, NULL, NULL);
    message(P "snapshot/lh", "", false, P "reply/lh/here", "q1");
    message(P "snapshot/wk", "", true, NULL, NULL);
    message(P "snapshot/wk", "", false, P "reply/lh/here", NULL); /* not where it may listen */
    run_ms(50);
    settle();
    assert_int_equal(mq.n - from, 4 + 3 + 4);
    assert_string_equal(mq.sent[from].topic, P "reply/wk/snapshot");
    assert_non_null(strstr(mq.sent[from].payload, "\"snapshot\":\"begin\""));
    assert_non_null(strstr(mq.sent[from].payload, "\"stream\":\"cq/all/1\""));
    assert_string_equal(mq.sent[from + 1].payload, db.rows[0].payload);
    assert_string_equal(mq.sent[from + 2].payload, db.rows[2].payload);
    assert_non_null(strstr(mq.sent[from + 3].payload, "\"cases\":2,\"complete\":true"));
    assert_string_equal(mq.sent[from + 4].topic, P "reply/lh/here");
    assert_string_equal(mq.sent[from + 5].payload, db.rows[1].payload);
    assert_string_equal(mq.sent[from + 5].correlation, "q1");
    assert_string_equal(mq.sent[from + 7].topic, P "reply/wk/snapshot");
    assert_int_equal(stats().snapshots, 3);
    /* a lost link forgets it */
    message(P "snapshot/wk", "", false, NULL, NULL);
    down(0);
    run_ms(50);
    from = mq.n;
    up();
    settle();
    assert_int_equal(find_sent(P "reply/wk/snapshot", from), SIZE_MAX);
    finish();
}

static void test_status(void **state)
{
    (void)state;
    start(1, 0);
    static const char good[] = "{\"state\":\"online\"}", bad[] = "{\"state\":\"degraded\"}";
    tell_second(tell, good, strlen(good));
    up();
    settle();
    const char *s = on_broker(P "gateway/cq/status");
    assert_non_null(strstr(s, "\"state\":\"online\""));
    assert_non_null(strstr(s, "+08:00"));
    size_t from = mq.n;
    for (int i = 0; i < 50; i++)
        tell_second(tell, good, strlen(good));
    run_ms(20);
    assert_int_equal(mq.n, from);
    tell_second(tell, bad, strlen(bad));
    tell_second(tell, good, strlen(good)); /* not for every second of it */
    tell_second(tell, bad, strlen(bad));
    settle();
    assert_int_equal(mq.n, from + 1);
    assert_non_null(strstr(on_broker(P "gateway/cq/status"), "degraded"));
    for (int i = 0; i < 60; i++)
        tell_second(tell, bad, strlen(bad));
    settle();
    assert_int_equal(mq.n, from + 2);
    finish();
}

/* The link may be there before the first word about us: nobody reads "offline" for longer than
 * that. */
static void test_status_of_a_new_process(void **state)
{
    (void)state;
    start(1, 0);
    keep(P "gateway/cq/status", "{\"state\":\"offline\"}"); /* a killed one's will */
    assert_string_equal(stats().link, "connecting");
    assert_false(stats().ready);
    up();
    settle();
    second(1);
    settle();
    assert_null(strstr(on_broker(P "gateway/cq/status"), "offline"));
    assert_true(stats().ready);
    down(0);
    keep(P "gateway/cq/status", "{\"state\":\"offline\"}");
    run_ms(59000);
    assert_string_equal(stats().link, "reconnecting");
    assert_true(stats().ready);
    run_ms(2000);
    assert_string_equal(stats().link, "away");
    assert_false(stats().ready);
    up();
    settle();
    assert_null(strstr(on_broker(P "gateway/cq/status"), "offline"));
    finish();
}

/* What a restored machine must know of is on the broker within a second. */
static void test_how_far_was_told(void **state)
{
    (void)state;
    start(1, 0);
    up();
    settle();
    second(5);
    commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    commit("wk", "c1", "cq.all.1.a.1", TELL_EVENT | TELL_CLOSE, 2, "cq/all/1");
    settle();
    second(1);
    settle();
    assert_non_null(strstr(on_broker(P "gateway/cq/epoch"), "\"offset\":10"));
    size_t n = mq.n;
    second(3);
    for (size_t i = n; i < mq.n; i++)
        assert_null(strstr(mq.sent[i].topic, "/epoch"));
    finish();
}

/* Also of a case that began long ago, and of what a process told that died at once. */
static void test_how_far_an_old_case_was_told(void **state)
{
    (void)state;
    start(1, 30);
    up();
    settle();
    commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    struct fake_out *o =
        commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 2, "cq/all/1");
    o->o.offset = 25;
    settle();
    second(1);
    settle();
    assert_non_null(strstr(on_broker(P "gateway/cq/epoch"), "\"offset\":25"));
    finish();
    start(1, 40);
    db.alarm_offset = 35;
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":25}");
    up();
    settle();
    assert_non_null(strstr(on_broker(P "gateway/cq/epoch"), "\"offset\":35"));
    finish();
    start(7, 0); /* a new data folder: places of the stream before are of another journal */
    keep(P "gateway/cq/epoch", "{\"epoch\":6,\"offset\":9000}");
    up();
    settle();
    assert_non_null(strstr(on_broker(P "gateway/cq/epoch"), "\"epoch\":7,\"offset\":0"));
    finish();
}

static void on_stopped(void *ctx)
{
    *(bool *)ctx = true;
}

static void test_stop(void **state)
{
    (void)state;
    start(1, 0);
    tell_second(tell, "{\"state\":\"online\"}", 18);
    up();
    settle();
    commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    tell_stop(tell, 3000, on_stopped, &stopped);
    for (int i = 0; i < 100 && !stopped; i++) {
        run_ms(50);
        ack(100);
    }
    assert_true(stopped);
    assert_false(mq.open);
    assert_true(db.rows[0].done);
    assert_non_null(strstr(on_broker(P "gateway/cq/status"), "\"state\":\"offline\""));
    assert_non_null(strstr(on_broker(P "gateway/cq/epoch"), "\"offset\":10")); /* "a" */
    finish();
    /* the broker does not answer: within the time */
    start(1, 0);
    up();
    settle();
    commit("wk", "c1", "cq.all.1.a.1", TELL_STATE | TELL_EVENT, 1, "cq/all/1");
    tell_stop(tell, 500, on_stopped, &stopped);
    run_ms(1000);
    assert_false(stopped);
    run_ms(1000);
    assert_true(stopped);
    finish();
    /* nor is one waited for that is not there */
    start(1, 0);
    tell_stop(tell, 3000, on_stopped, &stopped);
    run_ms(200);
    assert_true(stopped);
    finish();
}

/* -- at random -------------------------------------------------------------------------------- */

/* Commits, acknowledgements, breaks and emptied brokers in any order: at the end the broker keeps
 * what the store holds open, and each event stream had every transition in order. */
static void random_run(uint64_t seed)
{
    uint64_t rnd = seed;
    unsigned seq[3] = {0}, next_case = 0, live = 0;
    char ids[60][32];
    unsigned where[60];
    random_start(&rnd);
    for (unsigned i = 0; i < 300; i++) {
        switch (unit_random(&rnd) % 10) {
        case 0:
            if (mq.connected)
                down(unit_random(&rnd) % 6);
            break;
        case 1:
            if (!mq.connected) {
                if (unit_random(&rnd) % 4 == 0)
                    mq.n_kept = 0; /* emptied */
                up();
            }
            break;
        case 2:
        case 3:
        case 4:
            if (live < 60 && (live == 0 || unit_random(&rnd) % 3 == 0)) {
                snprintf(ids[live], sizeof(ids[0]), "cq.all.1.k.%u", next_case++);
                where[live++] = (unsigned)(unit_random(&rnd) % 3);
            }
            unsigned c = (unsigned)(unit_random(&rnd) % live), w = where[c];
            bool end = unit_random(&rnd) % 4 == 0;
            unsigned urgent = unit_random(&rnd) % 5 == 0 ? TELL_URGENT : 0;
            commit(random_firms[w], random_compounds[w], ids[c],
                   urgent | TELL_EVENT | (end ? TELL_CLOSE : TELL_STATE), ++seq[w], "cq/all/1");
            if (end) {
                memcpy(ids[c], ids[--live], sizeof(ids[0]));
                where[c] = where[live];
            }
            break;
        default:
            if (mq.connected)
                ack(unit_random(&rnd) % 8);
        }
        if (unit_random(&rnd) % 3 == 0)
            run_ms((unsigned)(unit_random(&rnd) % 6 * 100));
        else
            turn();
    }
    if (!mq.connected)
        up();
    settle();
    run_ms(2000);
    settle();
    assert_all_told();
    assert_all_heard(seq);
    finish();
}

static void test_random(void **state)
{
    (void)state;
    random_runs(300, random_run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_epoch),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_numbers_first),
        cmocka_unit_test(test_order_and_window),
        cmocka_unit_test(test_moved_case),
        cmocka_unit_test(test_lost_link),
        cmocka_unit_test(test_urgent_goes_ahead),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_refused_and_too_large),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_urgent_is_not_delivered),
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_agreement_while_telling),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_too_many_commands),
        cmocka_unit_test(test_a_shared_bucket),
        cmocka_unit_test(test_absurd_epochs),
        cmocka_unit_test(test_presence_not_kept),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_status_of_a_new_process),
        cmocka_unit_test(test_how_far_was_told),
        cmocka_unit_test(test_how_far_an_old_case_was_told),
        cmocka_unit_test(test_stop),
        cmocka_unit_test_teardown(test_random, random_say_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
