/* SPDX-License-Identifier: Apache-2.0 */
/* core/quiet: what is unusual silence, and what is not. */
#include "core/quiet.h"

#include "unit.h"

struct line {
    struct quiet q;
    uint64_t messages;
    unsigned asked, reconnected; /* in the last span */
};

/* So many seconds with so many messages each; what was advised meanwhile. */
static void go(struct line *l, unsigned seconds, unsigned each)
{
    l->asked = l->reconnected = 0;
    for (unsigned i = 0; i < seconds; i++) {
        l->messages += each;
        enum quiet_advice a = quiet_feed(&l->q, l->messages, 1, true);
        l->asked += a == QUIET_ASK;
        l->reconnected += a == QUIET_RECONNECT;
    }
}

static void dead_after_a_steady_feed(void **state)
{
    (void)state;
    struct line l = {.messages = 7};
    go(&l, 3600, 10);
    assert_int_equal(l.asked, 0);
    go(&l, 59, 0);
    assert_int_equal(l.asked, 0);
    go(&l, 1, 0); /* within a minute; asking harms nothing */
    assert_int_equal(l.asked, 1);
    go(&l, 8 * 60 - 61, 0);
    assert_int_equal(l.asked + l.reconnected, 0);
    go(&l, 86400, 0); /* rarer and rarer */
    assert_int_equal(l.asked, 0);
    assert_in_range(l.reconnected, 5, 9);
}

static void slow_feeds_have_longer_patience(void **state)
{
    (void)state;
    struct line l = {0};
    for (unsigned i = 0; i < 100; i++) { /* one a minute */
        go(&l, 59, 0);
        assert_int_equal(l.asked, 0);
        go(&l, 1, 1);
    }
    go(&l, 1700, 0);
    assert_int_equal(l.asked, 0);
    go(&l, 400, 0);
    assert_int_equal(l.asked, 1);
    struct line rare = {0}; /* one in twenty minutes: nothing can be said */
    for (unsigned i = 0; i < 20; i++) {
        go(&rare, 1199, 0);
        go(&rare, 1, 1);
    }
    go(&rare, 86400, 0);
    assert_int_equal(rare.asked + rare.reconnected, 0);
}

/* All report on the hour, within ten seconds: after two hours that is how it is. */
static void bursts_are_learned(void **state)
{
    (void)state;
    struct line l = {0};
    unsigned asked = 0, reconnected = 0;
    for (unsigned hour = 0; hour < 48; hour++) {
        go(&l, 10, 100);
        go(&l, 3590, 0);
        asked += l.asked;
        reconnected += l.reconnected;
    }
    assert_int_equal(asked, 2);
    assert_in_range(reconnected, 0, 6);
    go(&l, 10, 100);
    go(&l, 2 * 3600, 0); /* and still, an hour that is left out is noticed */
    assert_int_equal(l.asked, 1);
}

static void nights_are_learned_and_one_outage_is_not(void **state)
{
    (void)state;
    struct line l = {0};
    for (unsigned day = 0; day < 7; day++) {
        go(&l, 16 * 3600, 2);
        assert_int_equal(l.asked, 0);
        go(&l, 8 * 3600, 0);
        assert_int_equal(l.asked, day < 2);
        assert_true(day < 2 || l.reconnected == 0);
    }
    struct line once = {0};
    go(&once, 3600, 2);
    go(&once, 8 * 3600, 0);
    go(&once, 3600, 2);
    go(&once, 120, 0);
    assert_int_equal(once.asked, 1);
}

/* Connecting anew is the same silence; a link that was really away begins another. */
static void our_own_moment_away(void **state)
{
    (void)state;
    struct line l = {0};
    go(&l, 3600, 10);
    go(&l, 481, 0);
    assert_int_equal(l.asked, 1);
    assert_int_equal(l.reconnected, 1);
    assert_int_equal(quiet_feed(&l.q, l.messages, 1, false), QUIET_FINE);
    go(&l, 400, 0);
    assert_int_equal(l.asked + l.reconnected, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(quiet_feed(&l.q, l.messages, 1, false), QUIET_FINE);
    go(&l, 61, 0);
    assert_int_equal(l.asked, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_after_a_steady_feed),
        cmocka_unit_test(slow_feeds_have_longer_patience),
        cmocka_unit_test(bursts_are_learned),
        cmocka_unit_test(nights_are_learned_and_one_outage_is_not),
        cmocka_unit_test(our_own_moment_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
