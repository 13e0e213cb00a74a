/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wall time in conditions: hours, days, working days, in the zone that is given.
 */
#include "core/expr_private.h"

#define DAY_MS    INT64_C(86400000)
#define MINUTE_MS 60000
#define HOUR_MS   3600000

static int64_t local_of(const struct expr_env *env)
{
    int64_t offset = env->zone ? zone_offset_at(env->zone, env->wall_ms) : 0;
    return env->wall_ms + offset * 1000;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t of_day(int64_t local)
{
    return local - floor_div(local, DAY_MS) * DAY_MS;
}

static int weekday_of(int64_t day) /* 1970-01-01 was a Thursday */
{
    int64_t w = (day + 3) % 7;
    return (int)(w < 0 ? w + 7 : w) + 1;
}

static bool has_day(const int32_t *days, size_t n, int64_t day)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (days[mid] < day)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && days[lo] == day;
}

int expr_clock_hour(const struct expr_env *env)
{
    return (int)(of_day(local_of(env)) / HOUR_MS);
}

int expr_clock_weekday(const struct expr_env *env)
{
    return weekday_of(floor_div(local_of(env), DAY_MS));
}

bool expr_clock_workday(const struct expr_env *env)
{
    int64_t day = floor_div(local_of(env), DAY_MS);
    const struct expr_calendar *c = env->calendar;
    if (c && has_day(c->workdays, c->n_workdays, day))
        return true;
    if (c && has_day(c->holidays, c->n_holidays, day))
        return false;
    return weekday_of(day) <= 5;
}

bool expr_clock_between(const struct expr_env *env, double from, double to)
{
    double minute = (double)of_day(local_of(env)) / MINUTE_MS;
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

/* The zone's next change of offset. */
static int64_t zone_changes(const struct expr_env *env)
{
    const struct zone *z = env->zone;
    size_t lo = 0, hi = z ? z->n : 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (z->changes[mid].from_s <= floor_div(env->wall_ms, 1000))
            lo = mid + 1;
        else
            hi = mid;
    }
    return z && lo < z->n ? z->changes[lo].from_s * 1000 : INT64_MAX;
}

int64_t expr_clock_next(const struct expr_env *env, const struct expr_code *i)
{
    int64_t now = of_day(local_of(env)), next = DAY_MS;
    if (i->op == OP_HOUR)
        next = (now / HOUR_MS + 1) * HOUR_MS;
    if (i->op == OP_BETWEEN) {
        int64_t edges[] = {(int64_t)i->k * MINUTE_MS, (int64_t)i->c * MINUTE_MS};
        for (int k = 0; k < 2; k++)
            if (edges[k] > now && edges[k] < next)
                next = edges[k];
    }
    int64_t change = zone_changes(env), wait = next - now;
    return change - env->wall_ms < wait ? change - env->wall_ms : wait;
}
