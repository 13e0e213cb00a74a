/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stamp.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#define DAY_MS INT64_C(86400000)

/* Days since 1970-01-01 of a date of the Gregorian calendar, and back: the year is taken to
 * begin in March, so that the leap day is its last, and eras of 400 years have 146097 days each
 * (H. Hinnant, chrono-Compatible Low-Level Date Algorithms). Years from 0 on. */
static int64_t days_of(int y, int m, int d)
{
    y -= m <= 2;
    int era = (y >= 0 ? y : y - 399) / 400;
    int of_era = y - era * 400;
    int of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

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

static int days_in(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days[m - 1] + (m == 2 && leap);
}

/* What is left to read; a failed read leaves it short of the end for good. */
struct cursor {
    const char *p, *end;
    bool bad;
};

static int digits(struct cursor *c, int n)
{
    int v = 0;
    for (; n > 0; n--, c->p++) {
        if (c->bad || c->p == c->end || *c->p < '0' || *c->p > '9') {
            c->bad = true;
            return 0;
        }
        v = v * 10 + (*c->p - '0');
    }
    return v;
}

static bool take(struct cursor *c, char a, char b)
{
    if (c->bad || c->p == c->end || (*c->p != a && *c->p != b))
        return false;
    c->p++;
    return true;
}

static void need(struct cursor *c, char a, char b)
{
    c->bad = !take(c, a, b);
}

static int fraction_ms(struct cursor *c)
{
    if (!take(c, '.', '.'))
        return 0;
    int ms = 0, place = 100;
    const char *start = c->p;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, place /= 10)
        ms += (*c->p - '0') * place; /* place 0 from the fourth decimal on */
    c->bad |= c->p == start;
    return ms;
}

static int offset_minutes(struct cursor *c)
{
    if (take(c, 'Z', 'z'))
        return 0;
    int sign = take(c, '-', '-') ? -1 : 1;
    if (sign > 0)
        need(c, '+', '+');
    int h = digits(c, 2);
    need(c, ':', ':');
    int m = digits(c, 2);
    c->bad |= h > 23 || m > 59;
    return sign * (h * 60 + m);
}

int stamp_parse(const char *p, size_t len, int64_t *out_ms)
{
    struct cursor c = {.p = p, .end = p + len};
    int year = digits(&c, 4);
    need(&c, '-', '-');
    int month = digits(&c, 2);
    need(&c, '-', '-');
    int day = digits(&c, 2);
    if (!take(&c, ' ', ' '))
        need(&c, 'T', 't');
    int hour = digits(&c, 2);
    need(&c, ':', ':');
    int minute = digits(&c, 2);
    need(&c, ':', ':');
    int second = digits(&c, 2);
    int ms = fraction_ms(&c);
    int offset = offset_minutes(&c);
    if (c.bad || c.p != c.end || month < 1 || month > 12 || day < 1 ||
        day > days_in(year, month) || hour > 23 || minute > 59 || second > 60)
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
