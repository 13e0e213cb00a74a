/* SPDX-License-Identifier: Apache-2.0 */
#include "core/unit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#ifdef HAVE_UDUNITS2
#include <udunits2.h>

/* Our reading of a code against udunits2's of the same unit in its own spelling, through base
 * SI. */
static void agrees_with_udunits(void **state)
{
    (void)state;
    static const struct {
        const char *ucum, *ud, *base;
        double to_si; /* our base (gram) to that base (kilogram) */
    } pairs[] = {
        {"Cel", "degC", "K", 1},
        {"[degF]", "degF", "K", 1},
        {"MPa", "MPa", "Pa", 1e-3},
        {"kPa", "kPa", "Pa", 1e-3},
        {"bar", "bar", "Pa", 1e-3},
        {"hPa", "hPa", "Pa", 1e-3},
        {"kW.h", "kW hour", "J", 1e-3},
        {"W.h", "W hour", "J", 1e-3},
        {"GJ", "GJ", "J", 1e-3},
        {"m3/h", "m3/hour", "m3/s", 1},
        {"L/s", "litre/second", "m3/s", 1},
        {"deg", "degree", "radian", 1},
        {"mm/s", "mm/s", "m/s", 1},
        {"mA", "mA", "A", 1},
        {"mV", "mV", "V", 1e-3},
        {"kW", "kW", "W", 1e-3},
        {"uT", "microtesla", "T", 1e-3},
        {"uS/cm", "microsiemens/cm", "S/m", 1e3},
        {"mg/L", "mg/litre", "kg/m3", 1e-3},
        {"ug/m3", "microgram/m3", "kg/m3", 1e-3},
        {"%", "percent", "1", 1},
        {"/min", "1/minute", "Hz", 1},
        {"d", "day", "s", 1},
        {"lx", "lux", "cd/m2", 1},
        {"kg", "kg", "kg", 1e-3},
        {"m/s2", "m/s2", "m/s2", 1},
        {"min", "minute", "s", 1},
    };
    ut_set_error_message_handler(ut_ignore);
    ut_system *sys = ut_read_xml(NULL);
    assert_non_null(sys);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        struct unit u;
        assert_int_equal(unit_parse(pairs[i].ucum, strlen(pairs[i].ucum), &u, NULL), 0);
        ut_unit *from = ut_parse(sys, pairs[i].ud, UT_UTF8);
        ut_unit *to = ut_parse(sys, pairs[i].base, UT_UTF8);
        if (!from || !to)
            fail_msg("udunits2 does not know %s or %s", pairs[i].ud, pairs[i].base);
        if (strcmp(pairs[i].ucum, "lx") != 0) { /* lm = cd sr: not comparable there */
            cv_converter *cv = ut_get_converter(from, to);
            assert_non_null(cv);
            for (double x = -3; x < 10; x += 2.5) {
                double want = cv_convert_double(cv, x);
                double have = (x * u.factor + u.offset) * pairs[i].to_si;
                if (fabs(want - have) > 1e-9 * fabs(want) + 1e-15)
                    fail_msg("%s: %g is %.17g, udunits2 says %.17g", pairs[i].ucum, x, have,
                             want);
            }
            cv_free(cv);
        }
        ut_free(from);
        ut_free(to);
    }
    ut_free_system(sys);
}
#endif

static void reads_codes(void **state)
{
    (void)state;
    static const char *const good[] = {"1",    "%",     "%{LEL}", "{NTU}", "dB{mW}", "[ppm]",
                                       "m3/h", "kW.h",  "/min",   "[pH]",  "m.s-2",  "dB",
                                       "Cel",  "{CNY}", "10.m",   "uS/cm"};
    static const char *const bad[] = {"",      "°C",   "kWh",  "mCel", "Cel/h", "m0",   "/",
                                      "m/",    "m//s", "{}x{", "[ppm", "m s",   "dB/m", "kh",
                                      "m.Cel", "{ a}", "0",    "dB2",  "{a",    "m33"};
    struct unit u, v;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (unit_parse(good[i], strlen(good[i]), &u, NULL) != 0)
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (unit_parse(bad[i], strlen(bad[i]), &u, NULL) == 0)
            fail_msg("\"%s\" is taken", bad[i]);
    assert_int_equal(unit_parse("kW.h", 4, &u, NULL), 0);
    assert_int_equal(unit_parse("GJ", 2, &v, NULL), 0);
    assert_true(unit_comparable(&u, &v));
    assert_true(fabs(u.factor / v.factor - 0.0036) < 1e-12);
    assert_int_equal(unit_parse("m3", 2, &v, NULL), 0);
    assert_false(unit_comparable(&u, &v));
    assert_int_equal(unit_parse("dB", 2, &u, NULL), 0);
    assert_int_equal(unit_parse("%", 1, &v, NULL), 0);
    assert_false(unit_comparable(&u, &v));
}

static void offers_the_usual_code(void **state)
{
    (void)state;
    assert_string_equal(unit_nearest("°C"), "Cel");
    assert_string_equal(unit_nearest("kWh"), "kW.h");
    assert_string_equal(unit_nearest("m³/h"), "m3/h");
    assert_null(unit_nearest("furlongs per fortnight"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_codes),
        cmocka_unit_test(offers_the_usual_code),
#ifdef HAVE_UDUNITS2
        cmocka_unit_test(agrees_with_udunits),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
