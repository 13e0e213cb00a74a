/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/num.h"

#include <errno.h>
#include <math.h>

static const char *text_of(double v)
{
    static char out[NUM_MAX + 1];
    size_t n = num_put_double(out, v);
    assert_true(n <= NUM_MAX);
    out[n] = '\0';
    return out;
}

static void test_put_double(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } t[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1, "-1"},
        {0.5, "0.5"},
        {-0.5, "-0.5"},
        {5, "5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {23.45, "23.45"},
        {100, "100"},
        {1e5, "100000"},
        {220.0, "220"},
        {0.001, "0.001"},
        {1e-6, "0.000001"},
        {1e-7, "1e-7"},
        {1.5e-10, "1.5e-10"},
        {123456.789012, "123456.789012"},
        {1e14, "100000000000000"},
        {1e20, "1e20"},
        {1.25e100, "1.25e100"},
        {5e-324, "5e-324"},
        {9.95, "9.95"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {-2.5e-308, "-2.5e-308"},
        {999999999999999, "999999999999999"},
        {0.999999, "0.999999"},
        {1.05, "1.05"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        assert_string_equal(text_of(t[i].v), t[i].text);
}

/* What every server reads: -?digits(.digits)?(e-?digits)? without leading zeros of exponents.
 */
static void check_form(const char *s)
{
    s += *s == '-';
    assert_true(*s >= '0' && *s <= '9');
    s += strspn(s, "0123456789");
    if (*s == '.') {
        assert_in_range(strspn(s + 1, "0123456789"), 1, NUM_MAX);
        s += 1 + strspn(s + 1, "0123456789");
    }
    if (*s == 'e') {
        s += 1 + (s[1] == '-');
        assert_in_range(*s, '1', '9');
        s += strspn(s, "0123456789");
    }
    assert_int_equal(*s, '\0');
}

static size_t significant(const char *s)
{
    size_t n = 0, zeros = 0;
    for (; *s && *s != 'e'; s++) {
        if (*s < '0' || *s > '9' || (*s == '0' && n == 0))
            continue;
        zeros = *s == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

static void check_double(double v)
{
    const char *s = text_of(v);
    check_form(s);
    double back = strtod(s, NULL), ours = 1;
    assert_memory_equal(&back, &v, sizeof(v));
    assert_int_equal(num_get_double(s, strlen(s), &ours), 0);
    assert_memory_equal(&ours, &v, sizeof(v));
    /* No text with fewer digits reads back: one digit less than ours is another number. (Whole
     * numbers have all their digits: that is shorter than an exponent.) */
    size_t n = strpbrk(s, ".e") ? significant(s) : 0;
    if (n > 1) {
        char shorter[64];
        (void)snprintf(shorter, sizeof(shorter), "%.*e", (int)n - 2, v);
        assert_true(strtod(shorter, NULL) != v);
    }
}

static void test_put_double_random(void **state)
{
    (void)state;
    uint64_t rng = unit_seed();
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = unit_random(&rng);
        double v;
        memcpy(&v, &bits, sizeof(v));
        if (isfinite(v))
            check_double(v);
        int64_t whole = (int64_t)(unit_random(&rng) >> (8 + unit_random(&rng) % 50));
        check_double((double)whole / pow(10, (double)(unit_random(&rng) % 9)));
        check_double(-(double)whole * 0.001);
    }
    for (int i = 0; i < 1000000; i++) { /* sensors */
        double v = (double)i / 1000;
        char want[32];
        (void)snprintf(want, sizeof(want), "%.3f", v);
        char *end = want + strlen(want);
        while (end[-1] == '0')
            *--end = '\0';
        if (end[-1] == '.')
            end[-1] = '\0';
        if (strcmp(text_of(v), want) != 0)
            fail_msg("%s, expected %s", text_of(v), want);
    }
}

static void test_get_double(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "-",     "+1",  " 1",  "1 ",       "inf",
                                      "-inf", "nan",   "NaN", "0x1", "1e",       "e1",
                                      ".",    "1.2.3", "1,5", "--1", "Infinity", "1f"};
    double v = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (num_get_double(bad[i], strlen(bad[i]), &v) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_equal(num_get_double("1e400", 5, &v), -ERANGE);
    assert_int_equal(num_get_double("-1e400", 6, &v), -ERANGE);
    assert_int_equal(num_get_double("1e-400", 6, &v), -ERANGE);
    assert_true(v == 7);
    assert_int_equal(num_get_double("12.5xx", 4, &v), 0); /* by length */
    assert_true(v == 12.5);
    assert_int_equal(num_get_double("-1E3", 4, &v), 0);
    assert_true(v == -1000);
    assert_int_equal(num_get_double("0e400", 5, &v), 0);
    assert_true(v == 0);
}

static void test_whole(void **state)
{
    (void)state;
    int64_t i = 7;
    uint64_t u = 7;
    assert_int_equal(num_get_i64("-9223372036854775808", 20, &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(num_get_i64("9223372036854775808", 19, &i), -ERANGE);
    assert_int_equal(num_get_i64("9223372036854775808x", 20, &i), -EINVAL);
    assert_int_equal(num_get_u64("18446744073709551615", 20, &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(num_get_u64("18446744073709551616", 20, &u), -ERANGE);
    assert_int_equal(num_get_u64("-1", 2, &u), -EINVAL);
    assert_int_equal(num_get_i64("", 0, &i), -EINVAL);
    assert_int_equal(num_get_i64("+1", 2, &i), -EINVAL);
    assert_int_equal(num_get_i64("1.0", 3, &i), -EINVAL);
    char out[NUM_MAX];
    assert_int_equal(num_put_i64(out, INT64_MIN), 20);
    assert_memory_equal(out, "-9223372036854775808", 20);
    assert_int_equal(num_put_u64(out, UINT64_MAX), 20);
    assert_memory_equal(out, "18446744073709551615", 20);
    assert_int_equal(num_put_u64(out, 0), 1);
}

/* The double is the one that the float's own shortest text names, and goes back to it. */
static void test_of_float(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    assert_true(num_of_float(21.9f) == 21.9);
    assert_true(num_of_float(-0.1f) == -0.1);
    assert_true(num_of_float(16777216.0f) == 16777216.0);
    assert_true(num_of_float(123612408.0f) == 123612408.0);
    assert_true(num_of_float(3.4028235e38f) == (double)3.4028235e38f);
    assert_true(isinf(num_of_float(INFINITY)) && isnan(num_of_float(NAN)));
    assert_true(num_of_float(0.0f) == 0 && signbit(num_of_float(-0.0f)));
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)unit_random(&seed);
        float f;
        memcpy(&f, &bits, sizeof(f));
        if (isfinite(f))
            assert_true((float)num_of_float(f) == f);
    }
    for (int i = -50000; i < 50000; i++) { /* hundredths, as sensors have them */
        double d = i / 100.0;
        assert_true(num_of_float((float)d) == d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_double), cmocka_unit_test(test_put_double_random),
        cmocka_unit_test(test_of_float),   cmocka_unit_test(test_get_double),
        cmocka_unit_test(test_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
