/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_KINDS_H
#define CITY_KINDS_H
/*
 * kinds — how each kind of facility behaves. Inside the fleet only.
 *
 * `begin` draws a device's own character from its random numbers, `step` advances it and says
 * its values in the order of its metrics. Ranges in the tables are what the simulator may ever
 * say; a test holds every value to them.
 */
#include "city/fleet.h"

#include <math.h>

#define FIXED(name, decimals, low, high)                                                       \
    {                                                                                          \
        name, FLEET_FIXED, decimals, NULL, low, high, false                                    \
    }
#define RISING(name, decimals)                                                                 \
    {                                                                                          \
        name, FLEET_FIXED, decimals, NULL, 0, 1e12, true                                       \
    }
#define COUNT(name, low, high)                                                                 \
    {                                                                                          \
        name, FLEET_INT, 0, NULL, low, high, false                                             \
    }
#define COUNTER(name)                                                                          \
    {                                                                                          \
        name, FLEET_INT, 0, NULL, 0, 1e12, true                                                \
    }
#define FLAG(name)                                                                             \
    {                                                                                          \
        name, FLEET_BOOL, 0, NULL, 0, 1, false                                                 \
    }
#define CODE(name, texts)                                                                      \
    {                                                                                          \
        name, FLEET_TEXT, 0, texts, 0, sizeof(texts) / sizeof(*(texts)) - 1, false             \
    }

#define KIND_FUNCTIONS(kind)                                                                   \
    void kind##_begin(struct device_state *d);                                                 \
    void kind##_step(struct device_state *d, const struct sky *sky, double dt, double *v);     \
    extern const struct fleet_metric kind##_metrics[];                                         \
    extern const size_t kind##_n_metrics;

KIND_FUNCTIONS(elevator)
KIND_FUNCTIONS(sump)
KIND_FUNCTIONS(manhole)
KIND_FUNCTIONS(drain_gas)
KIND_FUNCTIONS(gas)
KIND_FUNCTIONS(smoke)
KIND_FUNCTIONS(electric_fire)
KIND_FUNCTIONS(water_supply)
KIND_FUNCTIONS(hydrant)
KIND_FUNCTIONS(pump)
KIND_FUNCTIONS(lamp)
KIND_FUNCTIONS(charger)
KIND_FUNCTIONS(ebike_shed)
KIND_FUNCTIONS(parking)
KIND_FUNCTIONS(heating)
KIND_FUNCTIONS(structure)
KIND_FUNCTIONS(leak)
KIND_FUNCTIONS(meter_water)
KIND_FUNCTIONS(meter_gas)
KIND_FUNCTIONS(meter_heat)
KIND_FUNCTIONS(meter_power)
KIND_FUNCTIONS(environment)
KIND_FUNCTIONS(waste)
KIND_FUNCTIONS(sos)
KIND_FUNCTIONS(access)
KIND_FUNCTIONS(power)
KIND_FUNCTIONS(uplink)

#define METRICS(kind, ...)                                                                     \
    const struct fleet_metric kind##_metrics[] = {__VA_ARGS__};                                \
    const size_t kind##_n_metrics = sizeof(kind##_metrics) / sizeof(*kind##_metrics);

static inline double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

static inline double between(struct device_state *d, double low, double high)
{
    return low + (high - low) * device_uniform(d);
}

/* Did something that happens `per_hour` times on average happen within dt seconds? */
static inline bool happens(struct device_state *d, double per_hour, double dt)
{
    return device_uniform(d) < 1 - exp(-per_hour * dt / 3600);
}

/* A battery goes down by about a percent a month; `*level` in %. */
static inline double battery_drain(float *level, double dt)
{
    *level = (float)clamp(*level - dt * 4e-7, 1, 100);
    return *level;
}

/* Radio strength in dBm around the device's own. */
static inline double radio(struct device_state *d, double own)
{
    return clamp(own + 3 * device_noise(d), -125, -40);
}

#endif
