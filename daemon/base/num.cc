/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <system_error>

namespace
{

constexpr double exact_limit = 1e15; /* decimals of up to 15 digits name one double each */
constexpr double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
constexpr uint64_t whole_power[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
constexpr int most_decimals = 6;

size_t put_digits(char *out, uint64_t v)
{
    return static_cast<size_t>(std::to_chars(out, out + 20, v).ptr - out);
}

/* A decimal r / 10^d of at most 15 digits whose nearest double is v. Both parts are exact
 * doubles, so that the division below rounds as reading the text would, and no other decimal of
 * 15 digits or less has the same nearest double: the smallest d gives the shortest text. */
size_t put_decimal(char *out, double a)
{
    for (int d = 0; d <= most_decimals; d++) {
        double scaled = a * power[d];
        if (!(scaled < exact_limit))
            return 0;
        uint64_t r = static_cast<uint64_t>(scaled + 0.5);
        if (static_cast<double>(r) / power[d] != a)
            continue;
        if (d == 0)
            return put_digits(out, r);
        size_t n = put_digits(out, r / whole_power[d]);
        out[n++] = '.';
        uint64_t rest = r % whole_power[d];
        for (int i = d - 1; i >= 0; i--) {
            out[n + static_cast<size_t>(i)] = static_cast<char>('0' + rest % 10);
            rest /= 10;
        }
        return n + static_cast<size_t>(d);
    }
    return 0;
}

/* "1e+20" and "1e-07" as "1e20" and "1e-7". */
size_t tidy_exponent(char *out, size_t n)
{
    char *e = static_cast<char *>(std::memchr(out, 'e', n));
    if (!e)
        return n;
    char *from = e + 1, *to = e + 1, *end = out + n;
    if (*from == '-')
        to++, from++;
    else if (*from == '+')
        from++;
    while (from + 1 < end && *from == '0')
        from++;
    std::memmove(to, from, static_cast<size_t>(end - from));
    return static_cast<size_t>(to - out) + static_cast<size_t>(end - from);
}

template <typename T> int get(const char *p, size_t len, T *out)
{
    T v;
    auto [end, ec] = std::from_chars(p, p + len, v);
    if (ec == std::errc::invalid_argument || end != p + len)
        return -EINVAL;
    if (ec != std::errc())
        return -ERANGE;
    *out = v;
    return 0;
}

} // namespace

size_t num_put_double(char *out, double v)
{
    size_t sign = 0;
    if (std::signbit(v)) {
        out[sign++] = '-';
        v = -v;
    }
    size_t n = put_decimal(out + sign, v);
    if (n > 0)
        return sign + n;
    char *end = std::to_chars(out + sign, out + NUM_MAX, v).ptr;
    return tidy_exponent(out, static_cast<size_t>(end - out));
}

size_t num_put_i64(char *out, int64_t v)
{
    return static_cast<size_t>(std::to_chars(out, out + NUM_MAX, v).ptr - out);
}

size_t num_put_u64(char *out, uint64_t v)
{
    return put_digits(out, v);
}

double num_of_float(float v)
{
    char text[NUM_MAX];
    double out = static_cast<double>(v);
    if (!std::isfinite(v) || v == std::floor(v))
        return out;
    char *end = std::to_chars(text, text + NUM_MAX, v).ptr;
    (void)std::from_chars(text, end, out);
    return out;
}

int num_get_double(const char *p, size_t len, double *out)
{
    size_t digit = len > 0 && p[0] == '-';
    if (digit >= len || !((p[digit] >= '0' && p[digit] <= '9') || p[digit] == '.'))
        return -EINVAL; /* from_chars reads "inf" and "nan" */
    return get(p, len, out);
}

int num_get_i64(const char *p, size_t len, int64_t *out)
{
    return get(p, len, out);
}

int num_get_u64(const char *p, size_t len, uint64_t *out)
{
    return get(p, len, out);
}
