/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in and on the houses: lifts, detectors, walls, meters, people. */
#include "city/kinds.h"

/* -- elevator: stops, doors and trips; busy in the morning and in the evening -----------------
 */

enum { LIFT_FLOOR, LIFT_AIM, LIFT_PEOPLE, LIFT_TOP, LIFT_TEMP };
enum { LIFT_DOOR_OPEN = 1, LIFT_ARRIVED = 2 };

static const char *const lift_direction[] = {"stop", "up", "down"};
static const char *const lift_door[] = {"closed", "open"};
static const char *const lift_state[] = {"normal", "stopped"};
static const char *const lift_fault[] = {"none", "entrapment_at_level", "overspeed",
                                         "ebike_in_car"};

METRICS(elevator, COUNT("floor", -3, 60), CODE("direction", lift_direction),
        CODE("door", lift_door), COUNT("people", 0, 20), FIXED("speed", 2, -3, 3),
        FIXED("car_temp", 1, -20, 70), CODE("fault_code", lift_fault), COUNTER("run_count"),
        COUNTER("door_count"), CODE("state", lift_state))

void elevator_begin(struct device_state *d)
{
    d->s[LIFT_TOP] = (float)floor(between(d, 6, 19));
    d->s[LIFT_FLOOR] = d->s[LIFT_AIM] = (float)floor(between(d, 1, d->s[LIFT_TOP] + 1));
    d->s[LIFT_TEMP] = 22;
    d->total = floor(between(d, 1e4, 6e5)); /* runs */
}

static void lift_call(struct device_state *d, const struct sky *sky)
{
    double up = floor(between(d, 2, d->s[LIFT_TOP] + 1));
    bool down = device_uniform(d) < sky->outward;
    double aim = down ? 1 : up;
    if (aim == (double)d->s[LIFT_FLOOR])
        aim = aim > 1 ? 1 : up;
    d->s[LIFT_AIM] = (float)aim;
    d->s[LIFT_PEOPLE] = (float)floor(between(d, 0, 1 + sky->traffic / 8));
    d->total += 1;
}

void elevator_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double from = d->s[LIFT_FLOOR], left = d->s[LIFT_AIM] - from, moved = 0;
    if (left != 0 && !(d->flags & LIFT_DOOR_OPEN)) {
        moved = clamp(left, -floor(dt * 0.5 + 1), floor(dt * 0.5 + 1)); /* 2 s a floor */
        d->s[LIFT_FLOOR] = (float)(from + moved);
        if (d->s[LIFT_FLOOR] == d->s[LIFT_AIM])
            d->flags |= LIFT_ARRIVED;
    } else if (d->flags & LIFT_ARRIVED) {
        d->flags = LIFT_DOOR_OPEN;
    } else {
        if (d->flags & LIFT_DOOR_OPEN)
            d->s[LIFT_PEOPLE] = 0;
        d->flags = 0;
        if (happens(d, sky->traffic, dt))
            lift_call(d, sky);
    }
    d->s[LIFT_TEMP] +=
        (float)((sky->temp * 0.5 + 12 - d->s[LIFT_TEMP]) * (1 - exp(-dt / 3600)));
    bool moving = moved != 0;
    v[0] = d->s[LIFT_FLOOR];
    v[1] = !moving ? 0 : moved > 0 ? 1 : 2;
    v[2] = d->flags & LIFT_DOOR_OPEN;
    v[3] = clamp(d->s[LIFT_PEOPLE], 0, 13);
    v[4] = !moving ? 0 : (moved > 0 ? 1 : -1) * (1.5 + 0.02 * device_noise(d));
    v[5] = d->s[LIFT_TEMP] + 0.1 * device_noise(d);
    v[6] = 0;
    v[7] = d->total;
    v[8] = d->total * 2;
    v[9] = 0;
}

/* -- gas, smoke: near zero with noise, the cooking is seen ------------------------------------
 */

enum { DETECTOR_BASE, DETECTOR_LIFE, DETECTOR_RADIO };
static const char *const detector_state[] = {"normal", "alarm"};

METRICS(gas, FIXED("lel", 2, 0, 100), FLAG("valve_open"), CODE("state", detector_state),
        COUNT("life_left", 0, 3650))

void gas_begin(struct device_state *d)
{
    d->s[DETECTOR_BASE] = (float)between(d, 0, 0.3);
    d->s[DETECTOR_LIFE] = (float)between(d, 300, 1800); /* days */
}

void gas_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    d->s[DETECTOR_LIFE] = (float)clamp(d->s[DETECTOR_LIFE] - dt / 86400, 0, 3650);
    double cooking = sky->water > 1.5 && device_uniform(d) < 0.1 ? between(d, 0, 1.2) : 0;
    v[0] = clamp(d->s[DETECTOR_BASE] + cooking + 0.08 * device_noise(d), 0, 100);
    v[1] = 1;
    v[2] = 0;
    v[3] = floor(d->s[DETECTOR_LIFE]);
}

METRICS(smoke, CODE("state", detector_state), FIXED("concentration", 3, 0, 10),
        FIXED("temperature", 1, -40, 85), FIXED("battery_pct", 1, 0, 100), FLAG("tamper"),
        COUNT("rssi", -130, -30))

void smoke_begin(struct device_state *d)
{
    d->s[DETECTOR_BASE] = (float)between(d, 0, 0.02);
    d->s[DETECTOR_LIFE] = (float)between(d, 50, 100); /* battery */
    d->s[DETECTOR_RADIO] = (float)between(d, -105, -65);
}

void smoke_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    v[0] = 0;
    v[1] = clamp(d->s[DETECTOR_BASE] + 0.004 * device_noise(d), 0, 10);
    v[2] = 12 + 0.5 * sky->temp + 0.2 * device_noise(d);
    v[3] = battery_drain(&d->s[DETECTOR_LIFE], dt);
    v[4] = 0;
    v[5] = radio(d, d->s[DETECTOR_RADIO]);
}

/* -- structure: drifts by hundredths of a degree a year ---------------------------------------
 */

enum { WALL_TILT, WALL_CRACK, WALL_DRIFT, WALL_SETTLE, WALL_BATTERY };

METRICS(structure, FIXED("tilt", 3, -90, 90), FIXED("crack", 3, 0, 50),
        FIXED("settlement", 2, -500, 500), FIXED("vibration", 3, 0, 100),
        FIXED("battery_pct", 1, 0, 100))

void structure_begin(struct device_state *d)
{
    d->s[WALL_TILT] = (float)between(d, -0.3, 0.3);
    d->s[WALL_CRACK] = (float)between(d, 0.1, 2.5);
    d->s[WALL_DRIFT] = (float)between(d, 0, 3e-9); /* °/s */
    d->s[WALL_SETTLE] = (float)between(d, -4, 0);
    d->s[WALL_BATTERY] = (float)between(d, 60, 100);
}

void structure_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    d->s[WALL_TILT] += (float)(d->s[WALL_DRIFT] * dt);
    double warm = (sky->temp - 17) / 100; /* walls and cracks breathe with the warmth */
    v[0] = d->s[WALL_TILT] + 0.05 * warm + 0.002 * device_noise(d);
    v[1] = clamp(d->s[WALL_CRACK] - 0.3 * warm + 0.003 * device_noise(d), 0, 50);
    v[2] = d->s[WALL_SETTLE] + 0.05 * device_noise(d);
    v[3] = fabs(0.15 + 0.08 * sky->power * device_noise(d));
    v[4] = battery_drain(&d->s[WALL_BATTERY], dt);
}

/* -- meters: what they count only rises, with the demand of the house ------------------------- */

enum { METER_SCALE, METER_BATTERY };

METRICS(meter_water, RISING("water", 3), FIXED("flow", 3, 0, 10),
        FIXED("battery_pct", 1, 0, 100))
METRICS(meter_gas, RISING("gas", 3), FIXED("flow", 3, 0, 10), FIXED("battery_pct", 1, 0, 100))
METRICS(meter_heat, RISING("heat", 1), FIXED("heat_power", 2, 0, 100),
        FIXED("battery_pct", 1, 0, 100))
METRICS(meter_power, RISING("energy", 2), FIXED("power", 0, 0, 50000),
        FIXED("voltage", 1, 0, 300))

static void meter_begin(struct device_state *d)
{
    d->s[METER_SCALE] = (float)between(d, 0.5, 1.6);
    d->s[METER_BATTERY] = (float)between(d, 60, 100);
    d->total = floor(between(d, 5, 3000));
}

/* Counts on; returns what flows an hour. */
static double meter_count(struct device_state *d, double per_day, double demand, double dt)
{
    double per_hour = per_day / 24 * d->s[METER_SCALE] * demand * between(d, 0, 2);
    d->total += per_hour * dt / 3600;
    return per_hour;
}

void meter_water_begin(struct device_state *d)
{
    meter_begin(d);
}

void meter_water_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    v[1] = meter_count(d, 0.4, sky->water, dt); /* m³ */
    v[0] = d->total;
    v[2] = battery_drain(&d->s[METER_BATTERY], dt);
}

void meter_gas_begin(struct device_state *d)
{
    meter_begin(d);
}

void meter_gas_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    v[1] = meter_count(d, 0.5, sky->water, dt); /* m³: cooking follows the water */
    v[0] = d->total;
    v[2] = battery_drain(&d->s[METER_BATTERY], dt);
}

void meter_heat_begin(struct device_state *d)
{
    meter_begin(d);
}

void meter_heat_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    v[1] = meter_count(d, 20, sky->temp < 16 ? 1.6 : 0.1, dt); /* kWh */
    v[0] = d->total;
    v[2] = battery_drain(&d->s[METER_BATTERY], dt);
}

void meter_power_begin(struct device_state *d)
{
    meter_begin(d);
}

void meter_power_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    v[1] = 1000 * meter_count(d, 7, sky->power, dt); /* kWh */
    v[0] = d->total;
    v[2] = 229 - 5 * sky->power + device_noise(d);
}

/* -- sos: worn by a person; the heart is faster by day ---------------------------------------
 */

enum { SOS_BATTERY, SOS_HEART, SOS_RADIO };

METRICS(sos, FLAG("button"), FLAG("fall"), COUNT("heart_rate", 30, 220),
        FIXED("battery_pct", 1, 0, 100), COUNT("rssi", -130, -30))

void sos_begin(struct device_state *d)
{
    d->s[SOS_BATTERY] = (float)between(d, 30, 100);
    d->s[SOS_HEART] = (float)between(d, 60, 78);
    d->s[SOS_RADIO] = (float)between(d, -100, -60);
}

void sos_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double awake = sky->hour > 6 && sky->hour < 21.5 ? 8 : -6;
    v[0] = 0;
    v[1] = 0;
    v[2] = clamp(d->s[SOS_HEART] + awake + 4 * device_noise(d), 45, 130);
    v[3] = battery_drain(&d->s[SOS_BATTERY], dt * 50);
    if (d->s[SOS_BATTERY] < 15)
        d->s[SOS_BATTERY] = 100; /* charged overnight by the family */
    v[4] = radio(d, d->s[SOS_RADIO]);
}

/* -- access: a door of a stairwell ------------------------------------------------------------
 */

METRICS(access, FLAG("open"), COUNTER("passes"), FLAG("forced"))

void access_begin(struct device_state *d)
{
    d->total = floor(between(d, 100, 90000));
}

void access_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double passes = sky->traffic * 1.5;
    double n = floor(passes * dt / 3600 + device_uniform(d));
    d->total += n;
    d->on = n > 0 && device_uniform(d) < 0.3;
    v[0] = d->on;
    v[1] = d->total;
    v[2] = 0;
}
