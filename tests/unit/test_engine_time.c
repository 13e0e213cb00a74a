/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: the time of each sample (docs/time.md). Our own clock steps, devices' clocks are wrong,
 * old news arrive after an outage; and a replay of it all decides the same.
 */
#include "engine_rig.h"

#define MINUTE_NS (60u * (uint64_t)SECOND)
#define HOUR_MS   INT64_C(3600000)

static const char *fleet(void) /* d1 … d30 */
{
    static char text[4096];
    size_t n = (size_t)snprintf(text, sizeof(text), "device,kind,compound,building\n");
    for (int i = 1; i <= 30; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "d%d,sump,c1,3\n", i);
    return text;
}

/* True time of the next record; the wall clock's is wall_shift ahead of it. */
static int64_t true_ms(const struct rig *r)
{
    return (WALL0 + (int64_t)(r->ns + SECOND - BOOT0)) / 1000000;
}

static void tell(struct rig *r, unsigned device, int64_t ts_ms, double level, unsigned flags)
{
    char topic[64], body[128];
    (void)snprintf(topic, sizeof(topic), "gaihou/v1/up/c1/d%u", device);
    if (ts_ms)
        (void)snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":%.3f}", (long long)ts_ms,
                       level);
    else
        (void)snprintf(body, sizeof(body), "{\"level\":%.3f}", level);
    message(r, topic, body, flags, (unsigned)(r->messages % 60000) + 1);
}

static void last_is(const struct rig *r, int64_t ms, const char *uncertain)
{
    const char *text = r->seen->lines[r->seen->n - 1].text;
    char end[32], mark[48] = "";
    (void)snprintf(end, sizeof(end), " %lld000000", (long long)ms);
    if (uncertain)
        (void)snprintf(mark, sizeof(mark), ",uncertain=\"%s\"", uncertain);
    const char *at = strrchr(text, ' ');
    if (strcmp(at, end) != 0)
        fail_msg("\"%s\": expected %s", text, end);
    if (uncertain ? !strstr(text, mark) : strstr(text, "uncertain") != NULL)
        fail_msg("\"%s\": expected %s", text, uncertain ? mark : "no doubt");
}

static struct engine_stats stats(const struct rig *r)
{
    struct engine_stats s;
    engine_stats(r->e, &s);
    return s;
}

/* -- devices --------------------------------------------------------------------------------- */

static void a_device_that_is_behind(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    for (int i = 0; i < 6; i++) {
        r.ns += 3 * MINUTE_NS;
        int64_t t = true_ms(&r) - 3 * HOUR_MS;
        tell(&r, 1, t, i * 0.1, 0);
        if (i < 4)
            last_is(&r, t, "clock");
        else if (i == 5)
            last_is(&r, true_ms(&r) - 1000, "clock"); /* true_ms is the next record's */
        tell(&r, 2, true_ms(&r), i * 0.1, 0);         /* another device is none the worse */
        last_is(&r, true_ms(&r) - 1000, NULL);
    }
    int64_t t = true_ms(&r);
    tell(&r, 1, t - 5 * HOUR_MS, 1, 0); /* its back-fill goes where it belongs */
    last_is(&r, t - 2 * HOUR_MS, "clock");
    tell(&r, 1, t - 5 * HOUR_MS, 1, 0); /* and is known there */
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 1);
    struct engine_device d;
    engine_device(r.e, registry_find(r.w->registry, "d1", 2), &d);
    assert_true(d.clock_off && d.clock_offset_ms == -3 * HOUR_MS);
    assert_int_equal(stats(&r).clocks_off, 1);
    assert_int_equal(stats(&r).times_doubted, 4);
    balanced(&r);
    rig_done(&r);
}

static void back_fill_is_kept_as_told(void **state)
{
    (void)state;
    struct rig r;
    char body[4096];
    rig_begin(&r, fleet());
    r.ns += 3600 * (uint64_t)SECOND;
    size_t n = 0;
    int64_t t = true_ms(&r);
    for (int i = 47; i >= 0; i--)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "%s{\"ts\":%lld,\"level\":%d}",
                              i == 47 ? "[" : ",", (long long)(t - i * 900000), i % 4);
    (void)snprintf(body + n, sizeof(body) - n, "]");
    message(&r, "gaihou/v1/up/c1/d1", body, 0, 1);
    assert_int_equal(r.seen->n, 48);
    last_is(&r, t, NULL);
    assert_null(strstr(r.seen->lines[0].text, "uncertain")); /* the newest vouches for all */
    tell(&r, 1, t - 20 * HOUR_MS, 1, 0);                     /* out of order, later */
    last_is(&r, t - 20 * HOUR_MS, NULL);
    rig_done(&r);
}

/* Its clock tells seconds: on, off and on again are three words, said again by the broker or not. */
static void on_off_and_on_within_a_second(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    int64_t t = true_ms(&r);
    tell(&r, 1, t, 1, 0);
    tell(&r, 1, t, 0, 0);
    tell(&r, 1, t, 1, 0);
    assert_int_equal(r.seen->n, 3);
    last_is(&r, t + 2, NULL);
    tell(&r, 1, t, 1, 0); /* the newest, again */
    tell(&r, 1, t, 1, RECORD_DUP);
    tell(&r, 1, t, 0, RECORD_DUP);
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 3);
    tell(&r, 1, t + 1000, 0, 0);
    tell(&r, 1, t + 1000, 0, 0);
    tell(&r, 1, t, 1, 0); /* what was said later says nothing of that second */
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE), 5);
    balanced(&r);
    rig_done(&r);
}

static void ahead_and_leap_seconds(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    int64_t t = true_ms(&r);
    tell(&r, 1, t + 599000, 1, 0);
    last_is(&r, t + 599000, NULL);
    t = true_ms(&r);
    tell(&r, 1, t + 601000, 2, 0);
    last_is(&r, t, "clock");
    /* 23:59:60 is the last millisecond of its day, not the first of the next year */
    message(&r, "gaihou/v1/up/c1/d1", "{\"ts\":\"2016-12-31T23:59:60Z\",\"level\":3}", 0, 3);
    last_is(&r, 1483228799999, NULL);
    rig_done(&r);
}

/* -- our own clock --------------------------------------------------------------------------- */

static void a_small_step(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    tell(&r, 1, 0, 1, 0);
    r.wall_shift = 1800 * (int64_t)SECOND;
    int64_t t = true_ms(&r);
    tell(&r, 1, 0, 2, 0);
    last_is(&r, t + 1800000, NULL);
    assert_false(stats(&r).wall_held);
    rig_done(&r);
}

/* What nobody could use keeps the receipt that it would have been stamped with, not the wall time that was
 * not believed: it is stamped by it when it is taken up again. */
static void a_letter_keeps_its_receipt(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    tell(&r, 1, 0, 1, 0);
    r.wall_shift = 3650 * 24 * 3600 * (int64_t)SECOND;
    int64_t t = true_ms(&r);
    tell(&r, 99, 0, 2, 0);
    assert_true(stats(&r).wall_held);
    assert_int_equal(r.seen->n_letters, 1);
    assert_int_equal(r.seen->letters[0].wall_ns, t * 1000000);
    message(&r, "gaihou/v1/up/c1/d1", "{", 0, 3);
    assert_int_equal(r.seen->n_letters, 2);
    assert_int_equal(r.seen->letters[1].wall_ns, (t + 1000) * 1000000);
    rig_done(&r);
}

static void a_large_step_waits_for_the_kernel(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    tell(&r, 1, true_ms(&r), 1, 0);
    r.wall_shift = 3 * 3600 * (int64_t)SECOND;
    int64_t t = true_ms(&r);
    tell(&r, 1, 0, 2, RECORD_WALL_SYNCED); /* the kernel was asked before the step */
    last_is(&r, t, NULL);                  /* as if nothing had happened */
    assert_true(stats(&r).wall_held && stats(&r).wall_held_by_s == 3 * 3600);
    t = true_ms(&r);
    tell(&r, 1, t, 3, 0); /* devices are judged by the old one, too */
    last_is(&r, t, NULL);
    t = true_ms(&r);
    tell(&r, 1, 0, 4, RECORD_WALL_SYNCED);
    last_is(&r, t + 3 * HOUR_MS, NULL);
    assert_false(stats(&r).wall_held);
    assert_int_equal(stats(&r).wall_steps_held, 1);
    t = true_ms(&r) + 3 * HOUR_MS;
    tell(&r, 1, t - 3 * HOUR_MS, 5, 0); /* its clock did not step: it is off, now we know */
    last_is(&r, t, "clock");
    /* and back */
    r.wall_shift = 0;
    t = true_ms(&r) + 3 * HOUR_MS;
    tell(&r, 2, 0, 1, 0);
    last_is(&r, t, NULL);
    assert_true(stats(&r).wall_held);
    rig_done(&r);
}

/* We were three hours behind, all the devices were right; nobody is synchronised. */
static void a_jury_of_devices(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    r.wall_shift = -3 * 3600 * (int64_t)SECOND;
    tell(&r, 1, 0, 1, 0);
    r.wall_shift = 0;
    for (unsigned i = 1; i <= 19; i++) {
        tell(&r, i, true_ms(&r), 1, 0);
        tell(&r, i, true_ms(&r), 2, 0); /* each counts once */
        assert_true(stats(&r).wall_held);
    }
    tell(&r, 20, true_ms(&r), 1, 0);
    assert_false(stats(&r).wall_held);
    last_is(&r, true_ms(&r) - 1000, NULL); /* the one that settled it is stamped by it */
    rig_done(&r);
}

/* Behind by more than the year that a device's time may be ahead: the jury is heard all the same. */
static void a_jury_of_another_year(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    r.wall_shift = -3 * 365 * 24 * 3600 * (int64_t)SECOND;
    tell(&r, 1, 0, 1, 0);
    r.wall_shift = 0;
    for (unsigned i = 1; i <= 19; i++) {
        int64_t t = true_ms(&r);
        tell(&r, i, t, 1, 0);
        last_is(&r, t - 3 * 365 * 24 * HOUR_MS, "clock");
        assert_true(stats(&r).wall_held);
    }
    tell(&r, 20, true_ms(&r), 1, 0);
    assert_false(stats(&r).wall_held);
    last_is(&r, true_ms(&r) - 1000, NULL);
    tell(&r, 1, true_ms(&r), 3, 0); /* nothing wrong was learnt of whom it had heard */
    last_is(&r, true_ms(&r) - 1000, NULL);
    rig_done(&r);
}

static void a_jury_that_disagrees(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    tell(&r, 1, 0, 1, 0);
    r.wall_shift = 10 * 3600 * (int64_t)SECOND; /* the step is wrong */
    for (unsigned i = 1; i <= 30; i++)
        tell(&r, i, true_ms(&r), 1, 0);
    assert_true(stats(&r).wall_held);
    last_is(&r, true_ms(&r) - 1000, NULL);
    r.wall_shift = 60 * (int64_t)SECOND; /* it comes back, nearly */
    tell(&r, 1, 0, 3, 0);
    last_is(&r, true_ms(&r) - 1000 + 60000, NULL);
    assert_false(stats(&r).wall_held);
    rig_done(&r);
}

/* A gateway without a battery begins in 1970. */
static void never_set_itself(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    r.wall_shift = -(int64_t)WALL0;
    tell(&r, 1, 0, 1, 0);
    r.wall_shift = 0;
    tell(&r, 1, 0, 2, 0);
    last_is(&r, true_ms(&r) - 1000, NULL);
    assert_false(stats(&r).wall_held);
    rig_done(&r);
}

/* A machine without NTP was off for three hours: engine time stood still, the wall clock did not. */
static void switched_off(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    tell(&r, 1, 0, 1, 0);
    for (int i = 0; i < 2; i++) {
        r.wall_shift += (i ? -3 : 3) * 3600 * (int64_t)SECOND;
        struct record start = base(&r, RECORD_START);
        give(&r, &start);
        int64_t t = true_ms(&r);
        tell(&r, 1, 0, 2 + i, 0);
        last_is(&r, t + 3 * HOUR_MS, NULL); /* ahead is believed, back is not */
        assert_int_equal(stats(&r).wall_held, i);
    }
    rig_done(&r);
}

/* -- old news -------------------------------------------------------------------------------- */

static void later(struct rig *r, unsigned n, uint64_t every_ns, const char *uncertain)
{
    for (unsigned i = 0; i < n; i++) {
        r->ns += every_ns - SECOND;
        tell(r, 1 + i % 30, 0, i * 0.001, 0);
        if (uncertain || i + 1 == n)
            last_is(r, true_ms(r) - 1000, uncertain);
    }
}

static void catching_up(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, fleet());
    link_up(&r, 0); /* a new session: nothing was kept */
    later(&r, 100, SECOND / 10 + SECOND, NULL);
    r.seen->n = 0;
    later(&r, 300, SECOND / 2, NULL); /* two a second is normal */
    r.seen->n = 0;
    r.ns += 7200 * (uint64_t)SECOND;
    link_up(&r, 1);
    later(&r, 500, SECOND / 200, "catch_up"); /* two hundred a second are not */
    tell(&r, 1, true_ms(&r) - 60000, 2, 0);   /* who has a clock needs no mercy */
    last_is(&r, true_ms(&r) - 61000, NULL);
    later(&r, 40, SECOND / 2, NULL); /* back to normal */
    assert_in_range(stats(&r).values_uncertain[REASON_CATCH_UP], 500, 505);
    r.seen->n = 0;
    link_up(&r, 1);
    later(&r, 20, SECOND / 200, "catch_up");
    r.ns += 5 * (uint64_t)SECOND; /* five seconds of nothing */
    later(&r, 300, SECOND / 200, NULL);
    rig_done(&r);
}

/* -- replay ---------------------------------------------------------------------------------- */

static int keep(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void drive(struct rig *r, uint64_t *seed, int n)
{
    for (int i = 0; i < n; i++) {
        uint64_t x = unit_random(seed);
        static const int64_t steps[] = {0, 2, -2, 1800, -1800, 4 * 3600, -4 * 3600, 50 * 3600};
        if (x % 61 == 0)
            r->wall_shift = steps[x / 61 % 8] * (int64_t)SECOND;
        if (x % 67 == 0)
            link_up(r, x / 67 % 2);
        if (x % 17 == 0)
            r->ns += x % 1000 * (uint64_t)SECOND;
        else
            r->ns -= SECOND - SECOND / 100;
        unsigned device = 1 + (unsigned)(x >> 20 & 31) % 30;
        int64_t ts = true_ms(r);
        if (device % 5 == 1)
            ts -= 3 * HOUR_MS;
        else if (device % 5 == 2)
            ts += 8 * HOUR_MS;
        else if (device % 5 == 3)
            ts = 0;
        if (ts && (x >> 30 & 7) == 0)
            ts -= (int64_t)(x >> 33 & 0xffffff);
        tell(r, device, ts, (double)(x >> 40 & 3), x % 97 == 0 ? RECORD_WALL_SYNCED : 0);
    }
}

static void a_replay_decides_the_same(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int round = 0; round < 30; round++) {
        struct rig whole, half;
        struct buf b;
        uint64_t a = seed + (uint64_t)round, c = a;
        rig_begin(&whole, fleet());
        rig_begin(&half, fleet());
        drive(&whole, &a, 800);
        for (int i = 0; i < 8; i++) {
            drive(&half, &c, 100);
            buf_init(&b, 4 << 20);
            assert_int_equal(engine_save(half.e, keep, &b), 0);
            engine_free(half.e);
            rig_engine(&half);
            assert_int_equal(engine_load(half.e, b.data, b.len), 0);
            buf_done(&b);
        }
        assert_int_equal(whole.seen->n, half.seen->n);
        for (size_t i = 0; i < whole.seen->n; i++)
            assert_string_equal(whole.seen->lines[i].text, half.seen->lines[i].text);
        rig_done(&whole);
        rig_done(&half);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_is_behind),
        cmocka_unit_test(back_fill_is_kept_as_told),
        cmocka_unit_test(on_off_and_on_within_a_second),
        cmocka_unit_test(ahead_and_leap_seconds),
        cmocka_unit_test(a_small_step),
        cmocka_unit_test(a_letter_keeps_its_receipt),
        cmocka_unit_test(a_large_step_waits_for_the_kernel),
        cmocka_unit_test(a_jury_of_devices),
        cmocka_unit_test(a_jury_of_another_year),
        cmocka_unit_test(a_jury_that_disagrees),
        cmocka_unit_test(never_set_itself),
        cmocka_unit_test(switched_off),
        cmocka_unit_test(catching_up),
        cmocka_unit_test(a_replay_decides_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
