/* SPDX-License-Identifier: Apache-2.0 */
/* What draws current, and what stands in the yard. */
#include "city/kinds.h"

/* -- electric fire: leakage and line temperature follow the load ------------------------------
 */

METRICS(electric_fire, FIXED("residual_current", 1, 0, 1000), FIXED("temp_a", 1, -40, 200),
        FIXED("current_a", 2, 0, 400), FIXED("voltage_a", 1, 0, 500), FLAG("arc"))

void electric_fire_begin(struct device_state *d)
{
    d->s[0] = (float)between(d, 25, 110); /* mA of natural leakage */
    d->s[1] = (float)between(d, 15, 60);  /* A at mean load */
    d->s[2] = 25;
}

void electric_fire_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double current = d->s[1] * sky->power * (1 + 0.05 * device_noise(d));
    double aim = sky->temp + 0.003 * current * current; /* below 70 C in the hottest evening */
    d->s[2] += (float)((aim - d->s[2]) * (1 - exp(-dt / 1200)));
    double wet = sky->rain > 0 ? 1.2 : 1;
    v[0] = clamp(d->s[0] * wet * (1 + 0.04 * device_noise(d)), 0, 1000);
    v[1] = clamp(d->s[2] + 0.3 * device_noise(d), -40, 200);
    v[2] = clamp(current, 0, 400);
    v[3] = 229 - 5 * sky->power + device_noise(d);
    v[4] = 0;
}

/* -- lamp: dusk to dawn, dimmed after eleven --------------------------------------------------
 */

enum { LAMP_WATTS, LAMP_EARLY };

METRICS(lamp, FLAG("on"), COUNT("dim", 0, 100), FIXED("voltage", 1, 0, 300),
        FIXED("current", 3, 0, 20), FIXED("power", 1, 0, 2000), FIXED("leakage", 2, 0, 1000),
        RISING("energy", 3))

void lamp_begin(struct device_state *d)
{
    static const float watts[] = {30, 45, 60, 90};
    d->s[LAMP_WATTS] = watts[(int)between(d, 0, 3.999)];
    d->s[LAMP_EARLY] =
        (float)between(d, -0.1, 0.2); /* hours: each sensor sees dusk its own way */
    d->total = floor(between(d, 10, 2000));
}

void lamp_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double h = sky->hour, early = d->s[LAMP_EARLY];
    d->on = h >= sky->sun_down - early || h < sky->sun_up + early;
    double dim = !d->on ? 0 : h >= 23 || h < 5.5 ? 50 : 100;
    double voltage = 230 - 4 * sky->power + device_noise(d);
    double power = d->on ? d->s[LAMP_WATTS] * dim / 100 * (1 + 0.01 * device_noise(d)) : 0;
    d->total += power * dt / 3.6e6;
    v[0] = d->on;
    v[1] = dim;
    v[2] = voltage;
    v[3] = power / voltage / 0.95;
    v[4] = power;
    v[5] = clamp(0.3 + (sky->rain > 0 ? 0.5 : 0) + 0.05 * device_noise(d), 0, 1000);
    v[6] = d->total;
}

/* -- charger: cars come home in the evening and charge by night -------------------------------
 */

enum { CHARGER_LEFT, CHARGER_AMPS, CHARGER_TEMP };
enum { CHARGER_FREE, CHARGER_BUSY, CHARGER_FULL };
static const char *const charger_state[] = {"available", "charging", "finishing", "faulted"};
static const char *const charger_error[] = {"no_error", "ground_failure"};

METRICS(charger, CODE("state", charger_state), FIXED("voltage", 1, 0, 500),
        FIXED("current", 2, 0, 300), FIXED("power", 1, 0, 200000), RISING("energy", 3),
        FIXED("temperature", 1, -40, 125), FIXED("residual_current", 2, 0, 100),
        CODE("error_code", charger_error))

void charger_begin(struct device_state *d)
{
    d->s[CHARGER_AMPS] = device_uniform(d) < 0.5 ? 16 : 32;
    d->s[CHARGER_TEMP] = 20;
    d->total = floor(between(d, 100, 20000)); /* kWh */
}

static double arrivals(const struct sky *sky)
{
    return sky->hour > 17 ? 0.35 : sky->hour < 6 ? 0.03 : 0.1; /* per hour and bay */
}

void charger_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    if (d->flags == CHARGER_FREE && happens(d, arrivals(sky), dt)) {
        d->flags = CHARGER_BUSY;
        d->s[CHARGER_LEFT] = (float)between(d, 8, 45); /* kWh */
    } else if (d->flags == CHARGER_FULL &&
               happens(d, sky->hour > 6 && sky->hour < 10 ? 1.5 : 0.1, dt)) {
        d->flags = CHARGER_FREE;
    }
    double voltage = 229 - 5 * sky->power + device_noise(d);
    double current =
        d->flags == CHARGER_BUSY ? d->s[CHARGER_AMPS] * (1 + 0.01 * device_noise(d)) : 0;
    double kwh = current * voltage * dt / 3.6e6;
    d->total += kwh;
    d->s[CHARGER_LEFT] -= (float)kwh;
    if (d->flags == CHARGER_BUSY && d->s[CHARGER_LEFT] <= 0)
        d->flags = CHARGER_FULL;
    double aim = sky->temp + current * 0.7;
    d->s[CHARGER_TEMP] += (float)((aim - d->s[CHARGER_TEMP]) * (1 - exp(-dt / 900)));
    v[0] = d->flags;
    v[1] = voltage;
    v[2] = current;
    v[3] = current * voltage;
    v[4] = d->total;
    v[5] = clamp(d->s[CHARGER_TEMP] + 0.2 * device_noise(d), -40, 125);
    v[6] = clamp(0.4 + current * 0.03 + 0.05 * device_noise(d), 0, 100);
    v[7] = 0;
}

/* -- e-bike shed ------------------------------------------------------------------------------
 */

METRICS(ebike_shed, COUNT("ports_in_use", 0, 64), FIXED("power", 1, 0, 20000),
        FIXED("temperature", 1, -40, 125), FLAG("smoke"), FIXED("longest_charge", 2, 0, 72),
        RISING("energy", 3))

void ebike_shed_begin(struct device_state *d)
{
    d->s[0] = (float)floor(between(d, 0, 4));   /* in use */
    d->s[1] = (float)floor(between(d, 10, 40)); /* ports */
    d->total = floor(between(d, 10, 9000));
}

void ebike_shed_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    double aim = d->s[1] * (sky->hour > 18 || sky->hour < 1 ? 0.7 : sky->hour < 7 ? 0.3 : 0.1);
    if (happens(d, 3 + fabs(aim - d->s[0]) * 2, dt))
        d->s[0] = (float)clamp(d->s[0] + (aim > (double)d->s[0] ? 1 : -1), 0, d->s[1]);
    d->s[2] = d->s[0] > 0 ? (float)clamp(d->s[2] + dt / 3600, 0, 7.8) : 0;
    double power = d->s[0] * between(d, 140, 180);
    d->total += power * dt / 3.6e6;
    v[0] = d->s[0];
    v[1] = power;
    v[2] = clamp(sky->temp + 2 + d->s[0] * 0.15 + 0.2 * device_noise(d), -40, 125);
    v[3] = 0;
    v[4] = d->s[2];
    v[5] = d->total;
}

/* -- parking: full at night -------------------------------------------------------------------
 */

enum { PARK_BATTERY, PARK_RADIO, PARK_FIELD };

METRICS(parking, FLAG("occupied"), FIXED("battery_pct", 1, 0, 100), COUNT("rssi", -130, -30),
        FIXED("field_z", 1, -2000, 2000))

void parking_begin(struct device_state *d)
{
    d->s[PARK_BATTERY] = (float)between(d, 40, 100);
    d->s[PARK_RADIO] = (float)between(d, -110, -75);
    d->s[PARK_FIELD] = (float)between(d, -60, 60); /* µT */
    d->on = device_uniform(d) < 0.7;
}

void parking_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    bool day = sky->hour > 8 && sky->hour < 17.5 && !sky->weekend;
    double come = day ? 0.15 : 0.8, go = day                                ? 0.35
                                         : sky->hour > 6.5 && sky->hour < 9 ? 0.9
                                                                            : 0.05;
    if (happens(d, d->on ? go : come, dt))
        d->on = !d->on;
    v[0] = d->on;
    v[1] = battery_drain(&d->s[PARK_BATTERY], dt);
    v[2] = radio(d, d->s[PARK_RADIO]);
    v[3] = d->s[PARK_FIELD] + (d->on ? 220 : 0) + device_noise(d);
}

/* -- environment ------------------------------------------------------------------------------
 */

METRICS(environment, FIXED("temperature", 1, -40, 60), FIXED("humidity", 1, 0, 100),
        FIXED("pm25", 0, 0, 1000), FIXED("pm10", 0, 0, 1000), FIXED("noise", 1, 20, 130))

void environment_begin(struct device_state *d)
{
    d->s[0] = (float)between(d, -0.8, 0.8);
    d->s[1] = (float)between(d, 0.85, 1.2);
}

void environment_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    (void)dt;
    double dust = sky->dust * d->s[1] * (1 + 0.03 * device_noise(d));
    v[0] = sky->temp + d->s[0] + 0.1 * device_noise(d);
    v[1] = clamp(sky->humidity + device_noise(d), 5, 100);
    v[2] = clamp(dust, 1, 1000);
    v[3] = clamp(dust * 1.4, 1, 1000);
    v[4] = clamp(38 + 9 * sky->power + 2 * device_noise(d), 20, 130);
}

/* -- waste: fills by day, emptied before dawn -------------------------------------------------
 */

enum { BIN_FILL, BIN_RATE, BIN_BATTERY };

METRICS(waste, FIXED("fill", 0, 0, 100), FIXED("temperature", 1, -40, 125), FLAG("smoke"),
        FIXED("nh3", 1, 0, 100), FIXED("h2s", 2, 0, 100), FIXED("battery_pct", 1, 0, 100))

void waste_begin(struct device_state *d)
{
    d->s[BIN_FILL] = (float)between(d, 5, 40);
    d->s[BIN_RATE] = (float)between(d, 2, 6); /* % per hour */
    d->s[BIN_BATTERY] = (float)between(d, 40, 100);
}

void waste_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    d->s[BIN_FILL] += (float)(d->s[BIN_RATE] * sky->water * dt / 3600);
    if (d->s[BIN_FILL] > 98)
        d->s[BIN_FILL] = 98;
    if (sky->hour > 4.5 && sky->hour < 6 && d->s[BIN_FILL] > 20 && happens(d, 2, dt))
        d->s[BIN_FILL] = 2;
    double smell = d->s[BIN_FILL] / 100 * clamp(sky->temp / 20, 0.2, 2);
    v[0] = d->s[BIN_FILL];
    v[1] = clamp(sky->temp + 3 * smell + 0.2 * device_noise(d), -40, 125);
    v[2] = 0;
    v[3] = clamp(2 * smell + 0.2 * device_noise(d), 0, 100);
    v[4] = clamp(0.3 * smell + 0.03 * device_noise(d), 0, 100);
    v[5] = battery_drain(&d->s[BIN_BATTERY], dt);
}

/* -- power: the compound's three phases -------------------------------------------------------
 */

METRICS(power, FLAG("present"), FIXED("voltage_a", 1, 0, 500), FIXED("voltage_b", 1, 0, 500),
        FIXED("voltage_c", 1, 0, 500), FIXED("current", 1, 0, 1000), FIXED("power", 0, 0, 1e6),
        FIXED("frequency", 2, 45, 55), RISING("energy", 2))

void power_begin(struct device_state *d)
{
    for (int phase = 0; phase < 3; phase++)
        d->s[phase] = (float)between(d, 30, 100); /* A at mean load */
    d->total = floor(between(d, 1e4, 2e6));
}

void power_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    v[0] = 1;
    v[4] = v[5] = 0;
    for (int phase = 0; phase < 3; phase++) {
        double current = d->s[phase] * sky->power * (1 + 0.03 * device_noise(d));
        v[1 + phase] = 230 - 5 * sky->power + 0.5 * device_noise(d);
        v[4] += current;
        v[5] += v[1 + phase] * current * 0.94;
    }
    d->total += v[5] * dt / 3.6e6;
    v[6] = clamp(50 + 0.015 * device_noise(d), 49.5, 50.5);
    v[7] = d->total;
}

/* -- uplink: the radio gateway of a compound --------------------------------------------------
 */

METRICS(uplink, FLAG("online"), COUNT("rssi", -130, -30), FIXED("snr", 1, -30, 30),
        COUNT("children", 0, 10000), COUNTER("uptime"))

void uplink_begin(struct device_state *d)
{
    d->s[0] = (float)between(d, -95, -60);
    d->s[1] = (float)floor(between(d, 20, 200));
    d->total = floor(between(d, 1000, 3e6));
}

void uplink_step(struct device_state *d, const struct sky *sky, double dt, double *v)
{
    (void)sky;
    d->total += dt;
    v[0] = 1;
    v[1] = radio(d, d->s[0]);
    v[2] = clamp(9 + 2 * device_noise(d), -20, 20);
    v[3] = d->s[1];
    v[4] = floor(d->total);
}
