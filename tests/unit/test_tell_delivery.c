/* SPDX-License-Identifier: Apache-2.0 */
/* When it is an alarm of our own that life-safety is not delivered: only while a message on `urgent/` is
 * not with the broker, however long the rest of its row waits. And until when replies are told. */
#include "tell_rig.h"

#include "io/clock.h"

static bool refuse_routine, refuse_urgent;

/* The broker answers up to `most` of what is under way, every 10 ms; and a second is over. */
static void second(size_t most)
{
    for (unsigned i = 0; i < 100; i++) {
        size_t n = 0;
        for (size_t k = 0; k < mq.n && n < most; k++) {
            struct sent *s = &mq.sent[k];
            if (s->acked || s->connection != mq.connection)
                continue;
            bool urgent = strncmp(s->topic, P "urgent/", strlen(P "urgent/")) == 0;
            bool wk = strstr(s->topic, "/wk/") != NULL;
            ack_one(s, wk && (urgent ? refuse_urgent : refuse_routine) ? -EACCES : 0);
            n++;
        }
        run_ms(10);
    }
    tell_second(tell, "{}", 2);
}

static void seconds(unsigned n, size_t most)
{
    for (; n > 0; n--)
        second(most);
}

static unsigned seq;
static void row(const char *firm, const char *compound, unsigned steps)
{
    char id[32];
    seq++;
    snprintf(id, sizeof(id), "cq.all.1.%x.1", 1 + seq % 300);
    commit(firm, compound, id, steps, seq, "cq/all/1");
}

static void begin(void)
{
    seq = 0;
    refuse_routine = refuse_urgent = false;
    start(1, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":1}");
    db.commit_ns = 150000000;
    up();
    settle();
    seconds(2, 100);
}

/* How often the journal was told that life-safety is not delivered. */
static unsigned failures(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < n_records; i++)
        n += records[i].type == RECORD_PRESENCE && strcmp(records[i].topic, "/delivery") == 0 &&
             strcmp(records[i].body, "offline") == 0;
    return n;
}

static bool fails(void)
{
    for (size_t i = n_records; i > 0; i--)
        if (strcmp(records[i - 1].topic, "/delivery") == 0)
            return strcmp(records[i - 1].body, "offline") == 0;
    return false;
}

static size_t told_urgent(void)
{
    size_t n = 0;
    for (size_t i = 0; i < db.n; i++)
        n += db.rows[i].urgent_acked;
    return n;
}

/* The link is back after an outage, and what waited takes far longer than the 8 s. */
static void a_backlog_is_no_failure(void **state)
{
    (void)state;
    begin();
    db.chunk = 40;
    down(0);
    for (unsigned i = 1; i <= 2500; i++)
        row("wk", "c1", TELL_STATE | TELL_EVENT | (i == 2400 ? TELL_URGENT : 0));
    up();
    seconds(3, 2);
    assert_int_equal(told_urgent(), 1);
    for (unsigned i = 0; i < 20; i++) {
        second(2);
        assert_true(stats().waiting > 0);
        assert_int_equal(failures(), 0);
    }
    seconds(10, 100);
    assert_int_equal(stats().waiting, 0);
    assert_int_equal(failures(), 0);
    finish();
}

/* Marks are on their way to the store whenever one looks. */
static void a_backlog_of_life_safety_is_no_failure(void **state)
{
    (void)state;
    begin();
    down(0);
    for (unsigned i = 1; i <= 2000; i++)
        row("wk", "c1", TELL_EVENT | (i % 5 == 0 ? TELL_URGENT : 0));
    up();
    seconds(22, 1);
    assert_int_equal(told_urgent(), 400);
    assert_true(stats().waiting > 0);
    assert_int_equal(failures(), 0);
    finish();
}

/* Those that are behind what is read into memory wait, too. */
static void a_failure_within_a_backlog(void **state)
{
    (void)state;
    begin();
    db.chunk = 5;
    mq.window = 5;
    for (unsigned i = 1; i <= 100; i++)
        row("wk", "c1", TELL_STATE | TELL_EVENT | (i == 90 ? TELL_URGENT : 0));
    seconds(10, 0); /* the broker answers nothing */
    assert_true(fails());
    seconds(20, 100);
    assert_false(fails());
    assert_int_equal(failures(), 1);
    finish();
}

/* A firm's other messages are refused, its life-safety is not. */
static void a_held_lane_is_no_failure(void **state)
{
    (void)state;
    begin();
    refuse_routine = true;
    for (unsigned i = 1; i <= 6; i++) {
        row("wk", "c1", TELL_URGENT | TELL_STATE | TELL_EVENT);
        seconds(5, 100);
    }
    seconds(20, 100);
    assert_int_equal(told_urgent(), 6);
    assert_int_equal(stats().waiting, 6);
    assert_int_equal(failures(), 0);
    /* Nor when the link is lost: the broker has them. */
    down(0);
    seconds(20, 0);
    assert_int_equal(failures(), 0);
    /* But that is one for what comes now. */
    row("lh", "c3", TELL_URGENT | TELL_STATE | TELL_EVENT);
    seconds(7, 0);
    assert_int_equal(failures(), 0);
    seconds(3, 0);
    assert_int_equal(failures(), 1);
    up();
    seconds(5, 100);
    assert_false(fails());
    assert_int_equal(told_urgent(), 7);
    /* As are those of the firm, when they are refused as well. */
    refuse_urgent = true;
    row("wk", "c1", TELL_URGENT | TELL_STATE | TELL_EVENT);
    seconds(10, 100);
    assert_true(fails());
    refuse_urgent = refuse_routine = false;
    seconds(70, 100);
    assert_false(fails());
    assert_int_equal(stats().waiting, 0);
    assert_int_equal(failures(), 2);
    finish();
}

/* -- replies ---------------------------------------------------------------------------------- */

static struct fake_out *reply(const char *topic, int64_t for_ms)
{
    struct fake_out *o = commit("wk", "c1", "cq.all.1.b.1", TELL_REPLY, 0, "cq/all/1");
    for (size_t i = 0; i < db.n_cases; i++)
        db.cases[i].open = false;
    snprintf(o->topic, sizeof(o->topic), "%s", topic);
    o->o.topic = o->topic;
    o->o.expires_wall_ms = clock_wall_ns() / 1000000 + for_ms;
    return o;
}

/* Our clock was set back since the store was told: ten minutes are what is left at most. */
static void a_reply_that_would_last_for_hours(void **state)
{
    (void)state;
    begin();
    (void)reply("reply/wk/now", INT64_C(7800000));
    second(100);
    size_t at = find_sent(P "reply/wk/now", 0);
    assert_true(at != SIZE_MAX);
    assert_in_range(mq.sent[at].expiry_s, 590, 601);
    /* nothing that is set changes how long one waits that is here */
    mq.window = 0;
    struct fake_out *late = reply("reply/wk/late", INT64_C(7800000));
    seconds(590, 0);
    assert_false(late->done);
    mq.window = 5;
    struct fake_out *soon = reply("reply/wk/soon", INT64_C(7800000));
    seconds(5, 100);
    assert_true(find_sent(P "reply/wk/late", 0) != SIZE_MAX);
    assert_true(mq.sent[find_sent(P "reply/wk/late", 0)].expiry_s <= 11);
    assert_true(late->done && soon->done);
    mq.window = 0;
    late = reply("reply/wk/never", INT64_C(7800000));
    seconds(610, 0);
    mq.window = 5;
    seconds(5, 100);
    assert_true(late->done);
    assert_int_equal(find_sent(P "reply/wk/never", 0), SIZE_MAX);
    assert_int_equal(stats().expired, 1);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_is_no_failure),
        cmocka_unit_test(a_backlog_of_life_safety_is_no_failure),
        cmocka_unit_test(a_failure_within_a_backlog),
        cmocka_unit_test(a_held_lane_is_no_failure),
        cmocka_unit_test(a_reply_that_would_last_for_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
