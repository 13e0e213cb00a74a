/* SPDX-License-Identifier: Apache-2.0 */
/* clock_fit: the rules of docs/time.md, one by one. */
#include "unit.h"

#include "core/clock_fit.h"

#define T0     INT64_C(1795219200000) /* 2026-11-21T00:00:00Z */
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct rig {
    struct clock_fit c;
    int64_t now, last;
};

/* A message received `after` the one before it, whose newest time is off by `off`. */
static void message(struct rig *r, int64_t after, int64_t off)
{
    r->now += after;
    clock_fit_take(&r->c, r->now + off, r->now, r->last ? r->now - r->last : INT64_MAX);
    r->last = r->now;
}

static void messages(struct rig *r, int n, int64_t after, int64_t off)
{
    for (int i = 0; i < n; i++)
        message(r, after, off - (i % 3) * 2 * SECOND); /* the way takes up to 4 s */
}

/* What becomes of a time that is off by `off` now. */
static enum clock_verdict stamp(const struct rig *r, int64_t off, int64_t *out_off)
{
    int64_t ms = 0;
    enum clock_verdict v = clock_fit_stamp(&r->c, r->now + off, r->now, &ms);
    *out_off = ms - r->now;
    return v;
}

static void expect(const struct rig *r, int64_t off, enum clock_verdict want, int64_t want_off)
{
    int64_t got = 1;
    assert_int_equal(stamp(r, off, &got), want);
    if (got < want_off - 250 || got > want_off + 250)
        fail_msg("stamped %lld ms from receipt, expected %lld", (long long)got,
                 (long long)want_off);
}

static void a_good_clock(void **state)
{
    (void)state;
    struct rig r = {.now = T0};
    messages(&r, 1, MINUTE, -3 * SECOND);
    assert_int_equal(r.c.state, CLOCK_AGREES);
    expect(&r, 0, CLOCK_TOLD, 0);
    expect(&r, 51 * SECOND, CLOCK_TOLD, 51 * SECOND); /* ahead of the platform, within bounds */
    expect(&r, 10 * MINUTE, CLOCK_TOLD, 10 * MINUTE);
    expect(&r, 10 * MINUTE + 1, CLOCK_REPLACED, 0);
    expect(&r, -6 * HOUR, CLOCK_TOLD, -6 * HOUR); /* back-fill is kept as told */
    expect(&r, -300 * DAY, CLOCK_TOLD, -300 * DAY);
    messages(&r, 50, MINUTE, -40 * SECOND);
    assert_in_range(-clock_fit_offset_ms(&r.c), 40 * SECOND, 44 * SECOND);
    message(&r, MINUTE, 20 * SECOND); /* the shortest way counts */
    assert_int_equal(clock_fit_offset_ms(&r.c), 20 * SECOND);
}

static void never_set(void **state)
{
    (void)state;
    struct rig r = {.now = T0};
    static const int64_t insane[] = {
        0,                        /* 1970 */
        INT64_C(946684800000),    /* 2000-01-01 */
        INT64_C(-62135596800000), /* 0001-01-01 */
        INT64_C(-27099532800000), /* 1111-04-01 */
        INT64_C(1420070399999),   /* the last moment of 2014 */
        INT64_C(253402300799999), /* 9999 */
        T0 + INT64_C(367) * 86400000,
        INT64_MIN,
    };
    for (int known = 0; known < 2; known++) {
        for (size_t i = 0; i < sizeof(insane) / sizeof(*insane); i++) {
            int64_t ms = 1;
            assert_false(clock_sane(insane[i], r.now));
            assert_int_equal(clock_fit_stamp(&r.c, insane[i], r.now, &ms), CLOCK_REPLACED);
            assert_true(ms == r.now);
        }
        message(&r, MINUTE, 0);
    }
    assert_true(clock_sane(CLOCK_MIN_MS, r.now));
}

/* Behind by 3 h, and by 46 days: first in doubt, then corrected. */
static void behind(void **state)
{
    (void)state;
    static const int64_t by[] = {3 * HOUR, 46 * DAY, 11 * MINUTE, 3000 * DAY};
    for (size_t i = 0; i < sizeof(by) / sizeof(*by); i++) {
        struct rig r = {.now = T0};
        messages(&r, 4, 4 * MINUTE, -by[i]);
        assert_int_equal(r.c.state, CLOCK_UNKNOWN);
        expect(&r, -by[i], CLOCK_DOUBTED, -by[i]);
        messages(&r, 3, 4 * MINUTE, -by[i]);
        assert_int_equal(r.c.state, CLOCK_OFF);
        expect(&r, -by[i], CLOCK_CORRECTED, 0);
        expect(&r, -by[i] - HOUR, CLOCK_CORRECTED, -HOUR); /* its back-fill, too */
        /* one constant: what is said twice falls on the same millisecond */
        int64_t offset = clock_fit_offset_ms(&r.c);
        messages(&r, 100, MINUTE, -by[i] - 20 * SECOND);
        assert_int_equal(clock_fit_offset_ms(&r.c), offset);
        message(&r, MINUTE, -SECOND); /* somebody has set it right */
        expect(&r, 0, CLOCK_TOLD, 0);
    }
}

static void ahead(void **state)
{
    (void)state;
    struct rig r = {.now = T0};
    messages(&r, 2, 5 * MINUTE, 8 * HOUR); /* local time told as UTC */
    expect(&r, 8 * HOUR, CLOCK_REPLACED, 0);
    messages(&r, 4, 5 * MINUTE, 8 * HOUR);
    expect(&r, 8 * HOUR, CLOCK_CORRECTED, 0);
    expect(&r, 8 * HOUR - 30 * MINUTE, CLOCK_CORRECTED, -30 * MINUTE);
    expect(&r, 9 * HOUR, CLOCK_REPLACED, 0); /* beyond its own error */
    /* also a device that reports once a day: only a wrong clock is ahead */
    r = (struct rig){.now = T0};
    messages(&r, 5, DAY, 8 * HOUR);
    expect(&r, 8 * HOUR, CLOCK_CORRECTED, 0);
}

/* Seldom and late is not wrong: a meter that tells its midnight values at two every night. */
static void late_is_not_wrong(void **state)
{
    (void)state;
    struct rig r = {.now = T0};
    messages(&r, 40, DAY, -2 * HOUR);
    assert_int_equal(r.c.state, CLOCK_UNKNOWN);
    expect(&r, -2 * HOUR, CLOCK_DOUBTED, -2 * HOUR);
}

/* What a broker kept comes in a burst: each message is late by less than the one before. */
static void a_backlog(void **state)
{
    (void)state;
    struct rig r = {.now = T0};
    message(&r, MINUTE, 0);
    r.now += 2 * HOUR;
    for (int i = 0; i < 720; i++) /* every 10 s, told within seconds */
        message(&r, 5, -2 * HOUR + i * 10 * SECOND);
    assert_int_equal(r.c.state, CLOCK_AGREES);
    expect(&r, -2 * HOUR, CLOCK_TOLD, -2 * HOUR);
    for (int i = 0; i < 100; i++) { /* slowly, twice as fast as it came */
        message(&r, 30 * SECOND, -2 * HOUR + i * 30 * SECOND);
        assert_int_equal(r.c.state, CLOCK_AGREES);
    }
}

static void a_clock_that_jumps(void **state)
{
    (void)state;
    struct rig r = {.now = T0};
    messages(&r, 20, MINUTE, 0);
    messages(&r, 5, MINUTE, 3 * HOUR); /* ahead: at once not believed */
    expect(&r, 3 * HOUR, CLOCK_REPLACED, 0);
    messages(&r, 10, MINUTE, 3 * HOUR);
    expect(&r, 3 * HOUR, CLOCK_CORRECTED, 0);
    messages(&r, 20, MINUTE, 5 * HOUR);
    expect(&r, 5 * HOUR, CLOCK_CORRECTED, 0);
    messages(&r, 20, MINUTE, -5 * HOUR);
    expect(&r, -5 * HOUR, CLOCK_CORRECTED, 0);
}

static void our_own_step(void **state)
{
    (void)state;
    struct rig r = {.now = T0};
    messages(&r, 20, MINUTE, 0);
    r.now += 3 * HOUR; /* we were behind: so the device's clock is, too */
    clock_fit_step(&r.c, 3 * HOUR);
    assert_int_equal(r.c.state, CLOCK_OFF);
    expect(&r, -3 * HOUR, CLOCK_CORRECTED, 0);
    r.now -= 3 * HOUR;
    clock_fit_step(&r.c, -3 * HOUR);
    expect(&r, 0, CLOCK_TOLD, 0);
    struct clock_fit none = {0};
    clock_fit_step(&none, HOUR);
    assert_int_equal(none.state, CLOCK_UNKNOWN);
}

/* Whatever is told: a stamp is never further ahead than allowed, nor before 2015. */
static void bounds(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int i = 0; i < 2000; i++) {
        struct rig r = {.now = T0};
        for (int k = 0; k < 50; k++) {
            static const int64_t scale[] = {SECOND, MINUTE, HOUR, DAY, 400 * DAY};
            int64_t unit = scale[unit_random(&seed) % 5];
            int64_t off = (int64_t)(unit_random(&seed) % 40) * unit - 20 * unit, ms = 0;
            r.now += (int64_t)(unit_random(&seed) % 1000) * SECOND;
            if (clock_sane(r.now + off, r.now))
                clock_fit_take(&r.c, r.now + off, r.now,
                               (int64_t)(unit_random(&seed) % 1000) * SECOND);
            int64_t t = r.now + off - (int64_t)(unit_random(&seed) % 100) * MINUTE;
            enum clock_verdict v = clock_fit_stamp(&r.c, t, r.now, &ms);
            assert_true(ms >= CLOCK_MIN_MS && ms <= r.now + CLOCK_NEAR_MS);
            assert_true(v != CLOCK_REPLACED || ms == r.now);
            assert_true((v != CLOCK_TOLD && v != CLOCK_DOUBTED) || ms == t);
            if (unit_random(&seed) % 20 == 0)
                clock_fit_step(&r.c, off);
        }
    }
    assert_int_equal(sizeof(struct clock_fit), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_clock),
        cmocka_unit_test(never_set),
        cmocka_unit_test(behind),
        cmocka_unit_test(ahead),
        cmocka_unit_test(late_is_not_wrong),
        cmocka_unit_test(a_backlog),
        cmocka_unit_test(a_clock_that_jumps),
        cmocka_unit_test(our_own_step),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
