/* SPDX-License-Identifier: Apache-2.0 */
#include "city/sky.h"
#include "base/hash.h"

#include <math.h>

#define HOUR_MS  3600000LL
#define DAY_MS   (24 * HOUR_MS)
#define LOCAL_MS (8 * HOUR_MS)
#define TAU      6.283185307179586

/* A number in [0, 1) that belongs to (seed, what, when). */
static double chance(uint64_t seed, uint32_t what, int64_t when)
{
    int64_t key[2] = {(int64_t)what, when};
    return (double)(hash64(seed, key, sizeof(key)) >> 11) * 0x1p-53;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* A hump of height 1 around `centre`, on the 24 hour circle. */
static double hump(double hour, double centre, double width)
{
    double d = fabs(hour - centre);
    d = d > 12 ? 24 - d : d;
    return exp(-d * d / (2 * width * width));
}

static double year_angle(int64_t local_ms)
{
    return TAU * (fmod((double)floor_div(local_ms, DAY_MS), 365.25) - 15) / 365.25;
}

double sky_temperature(uint64_t seed, int64_t unix_ms)
{
    int64_t local = unix_ms + LOCAL_MS;
    int64_t day = floor_div(local, DAY_MS);
    double hour = (double)(local - day * DAY_MS) / (double)HOUR_MS;
    double share = hour / 24;
    double mood = chance(seed, 1, day) * (1 - share) + chance(seed, 1, day + 1) * share;
    return 17.5 - 10.5 * cos(year_angle(local)) + 3.5 * cos(TAU * (hour - 15) / 24) +
           6 * (mood - 0.5);
}

/* Showers begin in blocks of three hours and fade in and out within their block. */
static double rain_at(uint64_t seed, int64_t local)
{
    int64_t block = floor_div(local, 3 * HOUR_MS);
    if (chance(seed, 2, block) > 0.18)
        return 0;
    double peak = -6 * log(1 - 0.98 * chance(seed, 3, block));
    double part = (double)(local - block * 3 * HOUR_MS) / (3.0 * (double)HOUR_MS);
    return peak * sin(part * TAU / 2);
}

static void people(struct sky *s)
{
    double h = s->hour, late = s->weekend ? 1.5 : 0;
    s->water = 0.25 + 1.6 * hump(h, 7.2 + late, 1.1) + 0.7 * hump(h, 12, 1.2) +
               2.0 * hump(h, 18.7, 1.4) + 0.6 * hump(h, 22, 1);
    s->power =
        0.45 + 0.5 * hump(h, 8 + late, 1.5) + 0.5 * hump(h, 12, 1.5) + 1.3 * hump(h, 19.5, 2);
    double morning = hump(h, 7.8 + late, 0.9), evening = hump(h, 18.2, 1.3);
    s->traffic = 2 + 45 * morning + 40 * evening + 16 * hump(h, 13, 4);
    s->outward = 0.5 + 0.38 * morning - 0.38 * evening;
}

void sky_at(uint64_t seed, int64_t unix_ms, struct sky *out)
{
    int64_t local = unix_ms + LOCAL_MS;
    int64_t day = floor_div(local, DAY_MS);
    struct sky s = {.at_ms = unix_ms};
    s.hour = (double)(local - day * DAY_MS) / (double)HOUR_MS;
    int64_t weekday = ((day % 7) + 7) % 7; /* 0: a Thursday */
    s.weekend = weekday == 2 || weekday == 3;
    double half_day = 6 - 0.95 * cos(year_angle(local) + 0.43); /* latitude of Chongqing */
    s.sun_up = 13.0 - half_day; /* Beijing time is about an hour ahead of the sun there */
    s.sun_down = 13.0 + half_day;
    s.dark = s.hour < s.sun_up || s.hour >= s.sun_down;
    s.temp = sky_temperature(seed, unix_ms);
    s.rain = rain_at(seed, local);
    for (int i = 0; i < 24; i++)
        s.ground += rain_at(seed, local - i * HOUR_MS) * (1 - i / 24.0);
    double wet = s.rain > 0 ? 22 : fmin(12, s.ground);
    s.humidity = fmin(99, fmax(30, 70 + wet - 1.2 * (s.temp - 17)));
    s.dust = fmax(5, 55 + 60 * (chance(seed, 4, day) - 0.5) - 2 * s.rain - s.ground * 0.4);
    people(&s);
    *out = s;
}
