/* SPDX-License-Identifier: Apache-2.0 */
/* What has to do with water: cellars, drains, supply, hydrants, pumps, heating, leaks. */
#include "city/kinds.h"

/* -- sump: rain and ground water run in, the pump takes it out between two floats -------------
 */

enum { SUMP_LEVEL, SUMP_SEEP, SUMP_CATCH, SUMP_PUMP };
#define SUMP_START 0.8
#define SUMP_STOP  0.3
#define SUMP_HIGH  1.2
#define SUMP_DEPTH 2.0

METRICS(sump, FIXED("level", 3, 0, 2), FLAG("pump_on"), FLAG("pump_fault"), FLAG("float_high"),
        FIXED("current", 2, 0, 20))

void sump_begin(struct device_state *d)
{
    d->s[SUMP_LEVEL] = (float)between(d, SUMP_STOP, SUMP_START);
    d->s[SUMP_SEEP] = (float)between(d, 2e-5, 1.5e-4); /* m/s of level */
    d->s[SUMP_CATCH] = (float)between(d, 2e-5, 8e-5);  /* m/s of level per mm/h of rain */
    d->s[SUMP_PUMP] = (float)between(d, 2.5e-3, 5e-3); /* m/s of level */
}

void sump_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double inflow = d->s[SUMP_SEEP] * (1 + sky->ground / 40) + d->s[SUMP_CATCH] * sky->rain;
    double level = d->s[SUMP_LEVEL];
    int steps = (int)clamp(ceil(dt / 5), 1, 64);
    for (int i = 0; i < steps; i++) {
        level += (inflow - (d->on ? d->s[SUMP_PUMP] : 0)) * dt / steps;
        level = clamp(level, 0.05, SUMP_DEPTH);
        if (level >= SUMP_START)
            d->on = 1;
        else if (level <= SUMP_STOP)
            d->on = 0;
    }
    d->s[SUMP_LEVEL] = (float)level;
    v[0] = clamp(level + 0.002 * device_noise(d), 0, SUMP_DEPTH);
    v[1] = d->on;
    v[2] = 0;
    v[3] = level > SUMP_HIGH;
    v[4] = d->on ? 4.2 + 0.1 * device_noise(d) : 0;
}

/* -- manhole: level follows the rain ----------------------------------------------------------
 */

enum { HOLE_LEVEL, HOLE_BATTERY, HOLE_RADIO, HOLE_TILT };

METRICS(manhole, FIXED("level", 3, 0, 5), FIXED("tilt", 1, 0, 90), FLAG("cover_open"),
        FIXED("ch4", 1, 0, 100), FIXED("h2s", 1, 0, 100), FIXED("battery_pct", 1, 0, 100),
        COUNT("rssi", -130, -30))

void manhole_begin(struct device_state *d)
{
    d->s[HOLE_LEVEL] = (float)between(d, 0.1, 0.4);
    d->s[HOLE_BATTERY] = (float)between(d, 55, 100);
    d->s[HOLE_RADIO] = (float)between(d, -110, -80);
    d->s[HOLE_TILT] = (float)between(d, 0.2, 1.5);
}

void manhole_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double aim = 0.15 + 0.12 * sky->water + 0.06 * sky->rain + 0.004 * sky->ground;
    double level = d->s[HOLE_LEVEL];
    level += (aim - level) * (1 - exp(-dt / 1200));
    d->s[HOLE_LEVEL] = (float)clamp(level, 0.02, 4.5);
    v[0] = clamp(level + 0.01 * device_noise(d), 0, 5);
    v[1] = clamp(d->s[HOLE_TILT] + 0.1 * device_noise(d), 0, 90);
    v[2] = 0;
    v[3] = clamp(0.8 + 0.4 * device_noise(d), 0, 100);
    v[4] = clamp(0.3 + 0.3 * device_noise(d), 0, 100);
    v[5] = battery_drain(&d->s[HOLE_BATTERY], dt);
    v[6] = radio(d, d->s[HOLE_RADIO]);
}

/* -- drain gas -------------------------------------------------------------------------------
 */

METRICS(drain_gas, FIXED("h2s", 1, 0, 100), FIXED("ch4", 1, 0, 100), FIXED("o2", 1, 0, 25),
        FIXED("co", 1, 0, 500))

void drain_gas_begin(struct device_state *d)
{
    d->s[0] = (float)between(d, 0.2, 1.5);
}

void drain_gas_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    (void)dt;
    double warm = clamp((sky->temp - 10) / 20, 0, 1.5); /* warmth makes it rot */
    v[0] = clamp(d->s[0] * (0.5 + warm) + 0.2 * device_noise(d), 0, 100);
    v[1] = clamp(d->s[0] * warm + 0.3 * device_noise(d), 0, 100);
    v[2] = clamp(20.7 - 0.2 * warm + 0.05 * device_noise(d), 0, 25);
    v[3] = clamp(1 + 0.5 * device_noise(d), 0, 500);
}

/* -- secondary water supply: pressure sags at supper ------------------------------------------
 */

enum { SUPPLY_INLET, SUPPLY_OUTLET, SUPPLY_TANK, SUPPLY_SCALE };

METRICS(water_supply, FIXED("inlet_pressure", 3, 0, 1.6), FIXED("outlet_pressure", 3, 0, 1.6),
        FIXED("tank_level", 3, 0, 5), FIXED("flow", 2, 0, 200),
        FIXED("pump_current", 2, 0, 100), FIXED("turbidity", 2, 0, 10),
        FIXED("chlorine", 3, 0, 4), FIXED("ph", 2, 0, 14))

void water_supply_begin(struct device_state *d)
{
    d->s[SUPPLY_INLET] = (float)between(d, 0.26, 0.34);
    d->s[SUPPLY_OUTLET] = (float)between(d, 0.42, 0.55);
    d->s[SUPPLY_TANK] = (float)between(d, 1.6, 2.4);
    d->s[SUPPLY_SCALE] = (float)between(d, 6, 18); /* m³/h at mean demand */
}

void water_supply_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double flow = d->s[SUPPLY_SCALE] * sky->water * (1 + 0.05 * device_noise(d));
    double tank = d->s[SUPPLY_TANK];
    /* a float valve fills the faster the lower it stands; 25 m² of tank */
    double in = d->s[SUPPLY_SCALE] * clamp((2.6 - tank) * 2, 0, 2.2);
    tank += (in - flow) / 25 * dt / 3600;
    d->s[SUPPLY_TANK] = (float)clamp(tank, 0.2, 2.8);
    double sag = 0.035 * sky->water;
    v[0] = clamp(d->s[SUPPLY_INLET] - sag + 0.003 * device_noise(d), 0, 1.6);
    v[1] = clamp(d->s[SUPPLY_OUTLET] - sag + 0.004 * device_noise(d), 0, 1.6);
    v[2] = clamp(d->s[SUPPLY_TANK] + 0.003 * device_noise(d), 0, 5);
    v[3] = clamp(flow, 0, 200);
    v[4] = clamp(6 + 9 * sky->water + 0.3 * device_noise(d), 0, 100);
    v[5] = clamp(0.25 + 0.004 * sky->ground + 0.03 * device_noise(d), 0, 10);
    v[6] = clamp(0.28 - 0.003 * (sky->temp - 17) + 0.01 * device_noise(d), 0, 4);
    v[7] = clamp(7.3 + 0.05 * device_noise(d), 0, 14);
}

/* -- hydrant ----------------------------------------------------------------------------------
 */

enum { HYDRANT_PRESSURE, HYDRANT_BATTERY, HYDRANT_RADIO };

METRICS(hydrant, FIXED("pressure", 3, 0, 1.6), FLAG("valve_open"), FLAG("tamper"),
        FIXED("battery_pct", 1, 0, 100), COUNT("rssi", -130, -30))

void hydrant_begin(struct device_state *d)
{
    d->s[HYDRANT_PRESSURE] = (float)between(d, 0.24, 0.36);
    d->s[HYDRANT_BATTERY] = (float)between(d, 60, 100);
    d->s[HYDRANT_RADIO] = (float)between(d, -108, -75);
}

void hydrant_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    v[0] = clamp(d->s[HYDRANT_PRESSURE] - 0.03 * sky->water + 0.003 * device_noise(d), 0, 1.6);
    v[1] = 0;
    v[2] = 0;
    v[3] = battery_drain(&d->s[HYDRANT_BATTERY], dt);
    v[4] = radio(d, d->s[HYDRANT_RADIO]);
}

/* -- pump: runs when water is wanted; hours only rise -----------------------------------------
 */

enum { PUMP_RATED, PUMP_HEAT };

METRICS(pump, FLAG("on"), FLAG("fault"), FIXED("current", 2, 0, 200),
        FIXED("outlet_pressure", 3, 0, 1.6), FIXED("motor_temp", 1, -20, 125),
        RISING("run_hours", 3), COUNTER("starts"))

void pump_begin(struct device_state *d)
{
    d->s[PUMP_RATED] = (float)between(d, 9, 24); /* A */
    d->s[PUMP_HEAT] = (float)between(d, 20, 35);
    d->total = floor(between(d, 100, 9000));
    d->s[2] = (float)floor(d->total * between(d, 1, 3)); /* starts */
}

void pump_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    bool want = device_uniform(d) < clamp(sky->water / 2, 0.05, 0.95);
    if (happens(d, 12, dt) && want != d->on) {
        d->on = want;
        d->s[2] += (float)want;
    }
    if (d->on)
        d->total += dt / 3600;
    double aim = sky->temp + (d->on ? 38 : 4);
    d->s[PUMP_HEAT] += (float)((aim - d->s[PUMP_HEAT]) * (1 - exp(-dt / 900)));
    v[0] = d->on;
    v[1] = 0;
    v[2] = d->on ? d->s[PUMP_RATED] * (1 + 0.02 * device_noise(d)) : 0;
    v[3] = clamp((d->on ? 0.48 : 0.30) + 0.004 * device_noise(d), 0, 1.6);
    v[4] = clamp(d->s[PUMP_HEAT] + 0.2 * device_noise(d), -20, 125);
    v[5] = d->total;
    v[6] = d->s[2];
}

/* -- heating: supply follows the weather, return and rooms follow the supply ------------------
 */

enum { HEAT_RETURN, HEAT_ROOM, HEAT_SCALE };

METRICS(heating, FIXED("supply_temp", 1, -10, 130), FIXED("return_temp", 1, -10, 130),
        FIXED("pressure", 3, 0, 1.6), FIXED("room_temp", 1, -10, 45), FIXED("flow", 2, 0, 200),
        RISING("heat", 3))

void heating_begin(struct device_state *d)
{
    d->s[HEAT_RETURN] = (float)between(d, 30, 38);
    d->s[HEAT_ROOM] = (float)between(d, 19, 22);
    d->s[HEAT_SCALE] = (float)between(d, 3, 9); /* m³/h */
    d->total = floor(between(d, 40, 3000));     /* GJ */
}

void heating_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    bool season = sky->temp < 16;
    double supply = season ? clamp(62 - 1.4 * sky->temp, 40, 75) : clamp(sky->temp + 3, 15, 40);
    double back = season ? supply - 11 : supply - 1;
    double room = season ? 20.5 + 0.05 * (supply - 50) : clamp(sky->temp + 1, 18, 34);
    d->s[HEAT_RETURN] += (float)((back - d->s[HEAT_RETURN]) * (1 - exp(-dt / 1800)));
    d->s[HEAT_ROOM] += (float)((room - d->s[HEAT_ROOM]) * (1 - exp(-dt / 7200)));
    double drop = clamp(supply - d->s[HEAT_RETURN], 0, 40);
    double flow = season ? d->s[HEAT_SCALE] : 0;
    d->total += flow * drop * 0.0041868 * dt / 3600;
    v[0] = supply + 0.2 * device_noise(d);
    v[1] = d->s[HEAT_RETURN] + 0.2 * device_noise(d);
    /* By and by: a jump would look like a burst, or hide one. */
    double fill = 0.36 + clamp((16 - sky->temp) * 0.02, -0.06, 0.06);
    v[2] = clamp(fill + 0.003 * device_noise(d), 0, 1.6);
    v[3] = d->s[HEAT_ROOM] + 0.1 * device_noise(d);
    v[4] = clamp(flow * (1 + 0.02 * device_noise(d)), 0, 200);
    v[5] = d->total;
}

/* -- leak: dry, but for heavy rain under a bad roof -------------------------------------------
 */

enum { LEAK_BATTERY, LEAK_RADIO, LEAK_BAD };

METRICS(leak, FLAG("leak"), FIXED("position", 1, 0, 500), FIXED("battery_pct", 1, 0, 100),
        COUNT("rssi", -130, -30))

void leak_begin(struct device_state *d)
{
    d->s[LEAK_BATTERY] = (float)between(d, 60, 100);
    d->s[LEAK_RADIO] = (float)between(d, -105, -70);
    d->s[LEAK_BAD] =
        device_uniform(d) < 0.06 ? (float)between(d, 2, 30) : 0; /* m along the rope */
}

void leak_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    if (d->s[LEAK_BAD] > 0)
        d->on = sky->rain > 8 || (d->on && sky->ground > 10);
    v[0] = d->on;
    v[1] = d->on ? (double)d->s[LEAK_BAD] : 0;
    v[2] = battery_drain(&d->s[LEAK_BATTERY], dt);
    v[3] = radio(d, d->s[LEAK_RADIO]);
}
