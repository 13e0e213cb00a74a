/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stamp.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#define DAY_MS INT64_C(86400000)

static bool is_leap(unsigned y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 16 == 0);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar, years from 0 on (which is a leap
 * year): those of the years before it, of the months before it, its own. */
static int64_t days_of(unsigned y, unsigned m, unsigned d)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    unsigned leaps = (y + 3) / 4 - (y + 99) / 100 + (y + 399) / 400;
    return (int64_t)(365 * y + leaps + before[m - 1] + (m > 2 && is_leap(y)) + d - 1) - 719528;
}

/* And back: the year is taken to begin in March, so that the leap day is its last, and eras of 400
 * years have 146097 days each (H. Hinnant, chrono-Compatible Low-Level Date Algorithms). */
static void date_of(int64_t days, int *y, int *m, int *d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int of_era = (int)(days - era * 146097);
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153;
    *d = of_year - (153 * month + 2) / 5 + 1;
    *m = month + (month < 10 ? 3 : -9);
    *y = year + (int)(era * 400) + (*m <= 2);
}

static unsigned days_in(unsigned y, unsigned m)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[m - 1] + (unsigned)(m == 2 && is_leap(y));
}

static uint64_t pair_of(const char *p)
{
    return (uint64_t)((unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8);
}

/* Four pairs of digits, the first the lowest, into four numbers of 16 bits; anything else makes
 * *bad not 0 and the numbers whatever they are. */
static uint64_t four_pairs(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t *bad)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x = a | b << 16 | c << 32 | d << 48;
    *bad |= ((x + ones * (0x7f - '9')) | (x - ones * '0')) & ones << 7;
    x -= ones * '0';
    return (x * 10 + (x >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
}

/* Two digits; anything else makes *bad true and the number whatever it is. */
static int two(const char *p, unsigned *bad)
{
    unsigned a = (unsigned char)p[0] - (unsigned)'0', b = (unsigned char)p[1] - (unsigned)'0';
    *bad |= a > 9 || b > 9;
    return (int)(a * 10 + b);
}

/* ".5" and so on, whose digits end at *at; without any it is *bad. */
static int fraction_ms(const char *p, size_t len, size_t *at, unsigned *bad)
{
    size_t n = 0;
    unsigned ms = 0, digit;
    for (p += *at, len -= *at; n < len && (digit = (unsigned char)p[n] - (unsigned)'0') <= 9;
         n++)
        ms = n < 3 ? ms * 10 + digit : ms;
    *at += n;
    *bad |= n == 0;
    return (int)(n == 1 ? ms * 100 : n == 2 ? ms * 10 : ms);
}

static int offset_minutes(const char *p, size_t n, unsigned *bad)
{
    if (n == 1 && (*p | 0x20) == 'z')
        return 0;
    if (n != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':') {
        *bad = 1;
        return 0;
    }
    int h = two(p + 1, bad), m = two(p + 4, bad);
    *bad |= h > 23 || m > 59;
    return p[0] == '-' ? -(h * 60 + m) : h * 60 + m;
}

int stamp_parse(const char *p, size_t len, int64_t *out_ms)
{
    unsigned bad = 0;
    uint64_t strange = 0;
    if (len < sizeof("2026-07-18T09:34:15Z") - 1 || p[4] != '-' || p[7] != '-' ||
        (p[10] != ' ' && (p[10] | 0x20) != 't') || p[13] != ':' || p[16] != ':')
        return -EINVAL;
    uint64_t date =
        four_pairs(pair_of(p), pair_of(p + 2), pair_of(p + 5), pair_of(p + 8), &strange);
    uint64_t time =
        four_pairs(pair_of(p + 11), pair_of(p + 14), pair_of(p + 17), pair_of("00"), &strange);
    if (strange)
        return -EINVAL;
    unsigned year = (unsigned)(date & 0xff) * 100 + (unsigned)(date >> 16 & 0xff);
    unsigned month = (unsigned)(date >> 32 & 0xff), day = (unsigned)(date >> 48);
    int hour = (int)(time & 0xff), minute = (int)(time >> 16 & 0xff),
        second = (int)(time >> 32);
    size_t at = 20;
    int ms = p[19] == '.' ? fraction_ms(p, len, &at, &bad) : 0;
    if (p[19] != '.')
        at = 19;
    int offset = offset_minutes(p + at, len - at, &bad);
    if (bad || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
        minute > 59 || second > 60)
        return -EINVAL;

    int64_t minutes = days_of(year, month, day) * 1440 + hour * 60 + minute - offset;
    if (second == 60) {
        if (((minutes % 1440) + 1440) % 1440 != 1439)
            return -EINVAL;
        second = 59;
        ms = 999;
    }
    int64_t v = (minutes * 60 + second) * 1000 + ms;
    if (v < STAMP_MIN_MS || v > STAMP_MAX_MS)
        return -ERANGE;
    *out_ms = v;
    return 0;
}

static char *put(char *at, int v, int width, char after)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        at[i] = (char)('0' + v % 10);
    at[width] = after;
    return at + width + 1;
}

static int64_t within(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

size_t stamp_format(char out[STAMP_SIZE], int64_t ms, int32_t offset_s)
{
    int offset = (int)within(offset_s / 60, -1439, 1439);
    int64_t shift = (int64_t)offset * 60000;
    int64_t local =
        within(within(ms, STAMP_MIN_MS, STAMP_MAX_MS) + shift, STAMP_MIN_MS, STAMP_MAX_MS);
    int64_t days = local / DAY_MS - (local % DAY_MS < 0);
    int of_day = (int)(local - days * DAY_MS);
    int y, m, d;
    date_of(days, &y, &m, &d);
    char *at = put(out, y, 4, '-');
    at = put(at, m, 2, '-');
    at = put(at, d, 2, 'T');
    at = put(at, of_day / 3600000, 2, ':');
    at = put(at, of_day / 60000 % 60, 2, ':');
    at = put(at, of_day / 1000 % 60, 2, '.');
    at = put(at, of_day % 1000, 3, offset == 0 ? 'Z' : offset < 0 ? '-' : '+');
    if (offset != 0) {
        int o = offset < 0 ? -offset : offset;
        at = put(at, o / 60, 2, ':');
        at = put(at, o % 60, 2, '\0') - 1;
    }
    *at = '\0';
    return (size_t)(at - out);
}

static int64_t floor_div(int64_t v, int64_t by)
{
    return v / by - (v % by < 0);
}

int stamp_from_epoch(int64_t v, int64_t *out_ms)
{
    const int64_t s = INT64_C(100000000000), ms = s * 1000, us = ms * 1000;
    if (v > -s && v < s)
        *out_ms = v * 1000;
    else if (v > -ms && v < ms)
        *out_ms = v;
    else if (v > -us && v < us)
        *out_ms = floor_div(v, 1000);
    else
        *out_ms = floor_div(v, 1000000);
    return 0;
}

int stamp_from_epoch_double(double v, int64_t *out_ms)
{
    if (!isfinite(v))
        return -EINVAL;
    double a = fabs(v);
    if (a >= 0x1p63)
        return -ERANGE;
    if (a < 1e11)
        *out_ms = (int64_t)floor(v * 1000 + 0.5);
    else if (a < 1e14)
        *out_ms = (int64_t)floor(v);
    else if (a < 1e17)
        *out_ms = (int64_t)floor(v / 1e3);
    else
        *out_ms = (int64_t)floor(v / 1e6);
    return 0;
}
