/* SPDX-License-Identifier: Apache-2.0 */
/* `parse:` of profiles: durations and OBIS lines. */
#include "core/profile_private.h"
#include "unit.h"

static void is(const char *text, double expected)
{
    double s = -1;
    if (!parse_duration(text, strlen(text), &s))
        fail_msg("\"%s\" is refused", text);
    if (s != expected)
        fail_msg("\"%s\" is %f s", text, s);
}

static void durations(void **state)
{
    (void)state;
    is("PT1H30M", 5400);
    is("P1DT2H", 93600);
    is("P2W", 1209600);
    is("PT0.5S", 0.5);
    is("P1D", 86400);
    is("0T00:12:33", 753);
    is("12T01:02:03", 12 * 86400 + 3723);
    is("1:02:03", 3723);
    is("90:00", 324000);
    is("00:00:01.250", 1.25);
    is("2 days, 3:04:05", 2 * 86400 + 11045);
    is("1 day", 86400);
    is("3h 5m 10s", 11110);
    is("3h5m", 11100);
    is("90min", 5400);
    is("1.5 h", 5400);
    is("250ms", 0.25);
    is("1小时20分", 4800);
    is("3天4小时5分钟6秒", 3 * 86400 + 4 * 3600 + 306);
    is(" 42 ", 42);
    is("12.5", 12.5);
}

static void no_durations(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "P",
                                        "PT",
                                        "P1Y",
                                        "P1M",
                                        "PT5",
                                        "P5H",
                                        "1:60",
                                        "5 mm",
                                        "1:2:3:4",
                                        "soon",
                                        "1.5:30",
                                        "-5s",
                                        "h",
                                        "P1DT",
                                        "5 h 6",
                                        "1T2",
                                        "5 parsecs",
                                        "1 2",
                                        "1:02 h",
                                        "1e5s",
                                        "1T02:03:04 d",
                                        "99999999999999999999999h"};
    double s = -1;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (parse_duration(texts[i], strlen(texts[i]), &s))
            fail_msg("\"%s\" is taken for %f s", texts[i], s);
    assert_false(parse_duration("PT5\0005H", 6, &s)); /* texts of JSON may hold a NUL */
    assert_false(parse_duration("P1\0001D", 5, &s));
    assert_true(s == -1);
}

/* Whatever it is, nothing beyond its end is read (ASan looks), and it ends. */
static void any_text(void **state)
{
    (void)state;
    static const char letters[] = "0123456789.:PTDHMSWdhms (*)kW,天";
    uint64_t seed = unit_seed();
    for (int i = 0; i < 200000; i++) {
        size_t n = unit_random(&seed) % 12, unit_len;
        char *p = malloc(n ? n : 1);
        struct value v;
        const char *unit;
        double s;
        for (size_t k = 0; k < n; k++)
            p[k] = letters[unit_random(&seed) % (sizeof(letters) - 1)];
        if (parse_duration(p, n, &s))
            assert_true(s >= 0 && s < 1e15);
        if (parse_obis(p, n, 0, &v, &unit, &unit_len))
            assert_true(unit >= p && unit + unit_len <= p + n);
        free(p);
    }
}

static void line(const char *text, double number, const char *unit)
{
    struct value v;
    const char *u;
    size_t n;
    if (!parse_obis(text, strlen(text), 0, &v, &u, &n))
        fail_msg("\"%s\" is refused", text);
    assert_true((v.type == VALUE_INT ? (double)v.i : v.f) == number);
    assert_int_equal(n, strlen(unit));
    assert_memory_equal(u, unit, n);
}

static void obis(void **state)
{
    (void)state;
    struct value v;
    const char *u;
    size_t n;
    line("1-0:1.8.0*255(001234.567*kWh)", 1234.567, "kWh");
    line("1.8.0(001234.567*kWh)\r\n", 1234.567, "kWh");
    line("0-1:24.2.1(101209112500W)(12785.123*m3)", 12785.123, "m3");
    line("32.7.0(229.8*V", 229.8, "V");
    line("(17)", 17, "");
    line("0012*Wh", 12, "Wh");
    line("-3.5", -3.5, "");
    assert_false(parse_obis("0.0.0(METER01)", 14, 0, &v, &u, &n));
    assert_false(parse_obis("1.8.0()", 7, 0, &v, &u, &n));
    assert_false(parse_obis("", 0, 0, &v, &u, &n));
    assert_true(parse_obis("1.8.0(12,5*kWh)", 15, ',', &v, &u, &n) && v.f == 12.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(no_durations),
        cmocka_unit_test(any_text),
        cmocka_unit_test(obis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
