/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/stamp.h"
#include "base/zone.h"

#include <errno.h>
#include <math.h>
#include <time.h>

static int64_t parsed(const char *s)
{
    int64_t ms = 77;
    int r = stamp_parse(s, strlen(s), &ms);
    if (r < 0)
        fail_msg("'%s' was refused: %d", s, r);
    return ms;
}

static void test_parse(void **state)
{
    (void)state;
    assert_true(parsed("1970-01-01T00:00:00Z") == 0);
    assert_true(parsed("2026-11-20T08:00:00+08:00") == 1795132800000);
    assert_true(parsed("2026-11-20 08:00:00.5+08:00") == 1795132800500);
    assert_true(parsed("2026-11-20t00:00:00.123456789z") == 1795132800123);
    assert_true(parsed("1969-12-31T23:59:59.9999Z") == -1);
    assert_true(parsed("2000-02-29T00:00:00-00:00") == 951782400000);
    assert_true(parsed("0001-01-01T00:00:00Z") == STAMP_MIN_MS);
    assert_true(parsed("9999-12-31T23:59:59.999Z") == STAMP_MAX_MS);
    assert_true(parsed("2016-12-31T23:59:60Z") == parsed("2016-12-31T23:59:59.999Z"));
    assert_true(parsed("2017-01-01T07:59:60.25+08:00") == parsed("2016-12-31T23:59:59.999Z"));
}

static void test_refuse(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-20",
        "2026-11-20T08:00:00",
        "2026-11-20T08:00:00+0800",
        "2026-11-20T08:00Z",
        "2026-11-20T08:00:00.Z",
        "2026-11-20T08:00:00Z ",
        " 2026-11-20T08:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-04-00T00:00:00Z",
        "2026-04-01T24:00:00Z",
        "2026-04-01T00:60:00Z",
        "2026-04-01T00:00:61Z",
        "2026-04-01T00:00:60Z",
        "2026-04-01T00:00:00+24:00",
        "2026-04-01T00:00:00+08:60",
        "26-04-01T00:00:00Z",
        "2026/04/01T00:00:00Z",
        "2026-04-01T00:00:00,5Z",
        "+2026-04-01T00:00:00Z",
        "2026-04-01T00:00:00+8:00",
        "2026-04-01T00:00:00Z\n",
    };
    int64_t ms = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (stamp_parse(bad[i], strlen(bad[i]), &ms) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_equal(stamp_parse("0000-12-31T00:00:00Z", 20, &ms), -ERANGE);
    assert_int_equal(stamp_parse("0001-01-01T00:00:00+00:01", 25, &ms), -ERANGE);
    assert_int_equal(stamp_parse("9999-12-31T23:59:59-00:01", 25, &ms), -ERANGE);
    assert_true(ms == 77);
}

static void test_format(void **state)
{
    (void)state;
    char s[STAMP_SIZE];
    assert_int_equal(stamp_format(s, 1795132800123, 28800), 29);
    assert_string_equal(s, "2026-11-20T08:00:00.123+08:00");
    stamp_format(s, -1, 0);
    assert_string_equal(s, "1969-12-31T23:59:59.999Z");
    stamp_format(s, 0, -12600);
    assert_string_equal(s, "1969-12-31T20:30:00.000-03:30");
    stamp_format(s, 0, 29143); /* Shanghai before 1901: +08:05:43 */
    assert_string_equal(s, "1970-01-01T08:05:00.000+08:05");
    stamp_format(s, INT64_MAX, 86399);
    assert_string_equal(s, "9999-12-31T23:59:59.999+23:59");
    stamp_format(s, INT64_MIN, INT32_MIN);
    assert_string_equal(s, "0001-01-01T00:00:00.000-23:59");
}

/* Against the C library's calendar, and back. */
static void test_round_trip(void **state)
{
    (void)state;
    uint64_t rng = unit_seed();
    for (int i = 0; i < 200000; i++) {
        uint64_t span = (uint64_t)(STAMP_MAX_MS - STAMP_MIN_MS - 2 * 86400000);
        int64_t ms = STAMP_MIN_MS + 86400000 + (int64_t)(unit_random(&rng) % span);
        int32_t offset = (int32_t)(unit_random(&rng) % 1680 - 840) * 60;
        char s[STAMP_SIZE], want[64];
        size_t n = stamp_format(s, ms, offset);
        assert_int_equal(n, strlen(s));
        assert_true(parsed(s) == ms);
        int64_t local = ms + (int64_t)offset * 1000;
        time_t t = (time_t)(local / 1000 - (local % 1000 < 0));
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        (void)snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_memory_equal(s, want, 19);
    }
}

static int64_t epoch(int64_t v)
{
    int64_t ms = 0;
    assert_int_equal(stamp_from_epoch(v, &ms), 0);
    return ms;
}

static int64_t epoch_double(double v)
{
    int64_t ms = 0;
    assert_int_equal(stamp_from_epoch_double(v, &ms), 0);
    return ms;
}

static void test_epoch(void **state)
{
    (void)state;
    const int64_t ms = 1795219200123;
    assert_true(epoch(1795219200) == 1795219200000);
    assert_true(epoch(ms) == ms);
    assert_true(epoch(ms * 1000 + 999) == ms);
    assert_true(epoch(ms * 1000000 + 999999) == ms);
    assert_true(epoch(0) == 0);
    assert_true(epoch(99999999999) == 99999999999000); /* the boundaries */
    assert_true(epoch(100000000000) == 100000000000);
    assert_true(epoch(99999999999999) == 99999999999999);
    assert_true(epoch(100000000000000) == 100000000000);
    assert_true(epoch(99999999999999999) == 99999999999999);
    assert_true(epoch(100000000000000000) == 100000000000);
    assert_true(epoch(-99999999999) == -99999999999000);
    assert_true(epoch(-100000000000) == -100000000000);
    assert_true(epoch(INT64_MAX) == 9223372036854);
    assert_true(epoch(INT64_MIN) == -9223372036855);
    assert_true(epoch_double(1795219200.123) == ms);
    assert_true(epoch_double(1795219200123.0) == ms);
    assert_true(epoch_double(1795219200123.9) == ms);
    assert_true(epoch_double(1795219200123456.0) == ms);
    assert_true(epoch_double(-0.5) == -500);
    int64_t v = 77;
    assert_int_equal(stamp_from_epoch_double(1e30, &v), -ERANGE);
    assert_int_equal(stamp_from_epoch_double(0x1p63, &v), -ERANGE);
    assert_int_equal(stamp_from_epoch_double((double)NAN, &v), -EINVAL);
    assert_int_equal(stamp_from_epoch_double((double)INFINITY, &v), -EINVAL);
    assert_true(v == 77);
}

static void test_zone(void **state)
{
    (void)state;
    struct zone *z = NULL;
    static const char *const none[] = {"",      "Asia/Peking-on-Sea", "asia/shanghai",
                                       "Asia",  "../../etc/passwd",   "/etc/localtime",
                                       "+08:00"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(zone_open(none[i], &z), -ENOENT);
    assert_null(z);
    assert_int_equal(zone_open("Asia/Shanghai", &z), 0);
    assert_int_equal(zone_offset_at(z, 1795132800000), 28800);
    assert_int_equal(zone_offset_at(z, 0), 28800);
    assert_int_equal(zone_offset_at(z, INT64_MIN), 28800);
    assert_int_equal(zone_offset_at(z, 4102444800000), 28800);
    assert_int_equal(zone_offset_at(z, parsed("1988-07-01T00:00:00Z")),
                     32400); /* summer time */
    zone_free(z);
    assert_int_equal(zone_open("Europe/Berlin", &z), 0);
    int64_t change = parsed("2026-03-29T01:00:00Z");
    assert_int_equal(zone_offset_at(z, change - 1), 3600);
    assert_int_equal(zone_offset_at(z, change), 7200);
    zone_free(z);
    assert_int_equal(zone_open("UTC", &z), 0);
    assert_int_equal(zone_offset_at(z, 0), 0);
    zone_free(z);
    zone_free(NULL);
}

/* A century of Shanghai and others against the C library. */
static void test_zone_against_libc(void **state)
{
    (void)state;
    static const char *const names[] = {"Asia/Shanghai", "Asia/Urumqi", "Asia/Hong_Kong",
                                        "America/New_York", "Australia/Lord_Howe"};
    uint64_t rng = unit_seed();
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        struct zone *z;
        assert_int_equal(zone_open(names[k], &z), 0);
        assert_int_equal(setenv("TZ", names[k], 1), 0);
        tzset();
        for (int i = 0; i < 20000; i++) {
            time_t t = (time_t)(unit_random(&rng) % 2114380800); /* to 2037 */
            struct tm tm;
            assert_non_null(localtime_r(&t, &tm));
            assert_int_equal(zone_offset_at(z, (int64_t)t * 1000 + 999), tm.tm_gmtoff);
        }
        zone_free(z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_epoch),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_zone_against_libc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
