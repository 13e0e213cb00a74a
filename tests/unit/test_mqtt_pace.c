/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_pace: when a socket is read again. */
#include "unit.h"

#include "io/mqtt_pace.h"

#define MS UINT64_C(1000000)

struct feed {
    struct mqtt_pace pace;
    uint64_t now;    /* ns */
    double rate;     /* messages a second; 0: the sender waits for acknowledgements … */
    unsigned window; /* … after so many, and … */
    uint64_t trip;   /* … the next come so long behind one */
    uint64_t reads, messages, longest_wait;
    double owed;
};

/* Reads until `until`, as mqtt_wire does: not before it is due, and not before there is something. */
static void run(struct feed *f, uint64_t until)
{
    uint64_t last = f->now;
    while (f->now < until) {
        unsigned came;
        if (f->rate > 0) {
            f->owed += f->rate * (double)(f->now - last) / 1e9;
            last = f->now;
            if (f->owed < 1) {
                f->now += (uint64_t)((1 - f->owed) * 1e9 / f->rate) + 1;
                continue;
            }
            came = (unsigned)f->owed;
            f->owed -= came;
        } else {
            came = f->window;
        }
        f->reads++;
        f->messages += came;
        /* the messages of a read are counted when the next one comes, as in mqtt_wire */
        uint64_t next = mqtt_pace_next(&f->pace, came, f->now);
        uint64_t ready = f->rate > 0 ? f->now : f->now + f->trip;
        if (next && next - f->now > f->longest_wait)
            f->longest_wait = next - f->now;
        f->now = next > ready ? next : ready;
    }
}

static void test_few_are_read_at_once(void **state)
{
    (void)state;
    struct feed f = {.now = 1, .rate = 500};
    run(&f, 10000 * MS);
    assert_int_equal(f.longest_wait, 0);
    assert_in_range(f.messages, 4900, 5001);
}

static void test_many_come_together(void **state)
{
    (void)state;
    struct feed f = {.now = 1, .rate = 4000};
    run(&f, 10000 * MS);
    assert_in_range(f.messages, 39900, 40001);
    assert_in_range(f.longest_wait, 1, MQTT_PACE_MAX_US * UINT64_C(1000));
    assert_in_range(f.reads, 4000, 8500); /* 4,000 of the free tenths, 2,250 of the rest */
    struct feed slower = {.now = 1, .rate = 1500};
    run(&slower, 10000 * MS);
    assert_in_range(slower.longest_wait, 1, MQTT_PACE_MAX_US * UINT64_C(1000));
}

/* What the kernel has by itself is read as it comes. */
static void test_very_many_are_not_held(void **state)
{
    (void)state;
    struct feed f = {.now = 1, .window = 100, .trip = 2 * MS};
    run(&f, 10000 * MS);
    assert_int_equal(f.longest_wait, 0);
}

/* A sender with a small window waits for us: found out within a second, and left alone. */
static void test_small_window(void **state)
{
    (void)state;
    for (unsigned window = 1; window <= 24; window++) {
        struct feed free = {.now = 1, .window = window, .trip = MS / 5};
        double most = 60e9 / (double)free.trip * window;
        run(&free, 60000 * MS);
        if ((double)free.messages < most * 0.75)
            fail_msg("a window of %u: %.2f of what it could", window,
                     (double)free.messages / most);
    }
}

static void test_a_burst_is_over(void **state)
{
    (void)state;
    struct feed f = {.now = 1, .rate = 5000};
    run(&f, 3000 * MS);
    f.rate = 10;
    run(&f, 6000 * MS);
    f.longest_wait = 0;
    run(&f, 9000 * MS);
    assert_int_equal(f.longest_wait, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_read_at_once),
        cmocka_unit_test(test_many_come_together),
        cmocka_unit_test(test_very_many_are_not_held),
        cmocka_unit_test(test_small_window),
        cmocka_unit_test(test_a_burst_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
