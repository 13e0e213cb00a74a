/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_SKY_H
#define CITY_SKY_H
/*
 * sky — what all devices of the city share at one moment: weather, daylight, and what people
 * do.
 *
 * A pure function of the seed and the simulated time (Unix ms, read as Beijing time, UTC+8), so
 * that a run can begin anywhere and two runs agree. Hardly cheap: made once per ten simulated
 * seconds by the fleet, not per device.
 */
#include <stdbool.h>
#include <stdint.h>

struct sky {
    int64_t at_ms;
    double hour; /* local, 0 ≤ hour < 24 */
    bool weekend;
    double sun_up, sun_down; /* local hours of sunrise and sunset */
    bool dark;               /* lamps are on */
    double temp;             /* °C outdoors */
    double humidity;         /* % */
    double rain;             /* mm/h now */
    double ground;           /* mm: rain of the last day still in the ground */
    double water;            /* demand, 1 = daily mean; peaks at breakfast and supper */
    double power;            /* demand, 1 = daily mean */
    double traffic;          /* lift trips per lift and hour */
    double outward;          /* share of trips that go down and out, 0…1 */
    double dust;             /* PM2.5 µg/m³ */
};

void sky_at(uint64_t seed, int64_t unix_ms, struct sky *out);
double sky_temperature(uint64_t seed, int64_t unix_ms);

#endif
