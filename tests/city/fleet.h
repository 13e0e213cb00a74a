/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_FLEET_H
#define CITY_FLEET_H
/*
 * fleet — the devices of the simulated city and the order in which they speak.
 *
 * Deterministic: seed, number of compounds and devices, and the start give the same devices
 * saying the same things in the same order, whatever the wall clock does. Time is the simulated
 * one (Unix ms) and advances from report to report; who asks decides how fast. Every device
 * reports at its kind's own interval. 64 bytes of state a device. One thread.
 */
#include "city/sky.h"

#include <stddef.h>

#define FLEET_MAX_VALUES 16
#define FLEET_STATE      5

enum fleet_type { FLEET_FIXED, FLEET_INT, FLEET_BOOL, FLEET_TEXT };

/* One metric as the catalogue names it. */
struct fleet_metric {
    const char *name;
    enum fleet_type type;
    int decimals;             /* FLEET_FIXED */
    const char *const *texts; /* FLEET_TEXT: value is an index */
    double low, high;         /* what this simulator may ever say */
    bool rises;               /* never falls */
};

struct device_state {
    double total; /* what only rises: a meter, runs, energy */
    int64_t due_ms;
    int64_t last_ts;      /* of the last message; every (device, ts) is unique */
    float s[FLEET_STATE]; /* meaning by kind */
    uint32_t next;        /* in its slot of the wheel */
    uint32_t rng;
    uint32_t seq; /* reports so far */
    uint16_t compound;
    uint16_t number : 15; /* within compound and kind, from 1; wraps never (ceiling) */
    uint16_t on : 1;
    uint8_t kind;
    uint8_t flags; /* meaning by kind */
};

struct fleet_kind {
    const char *name;  /* in the catalogue */
    const char *code;  /* in device codes */
    const char *title; /* Chinese, for registry notes */
    unsigned interval_s, weight;
    bool life_safety, battery, yard; /* yard: belongs to no building */
    const struct fleet_metric *metrics;
    const size_t *n_metrics;
    void (*begin)(struct device_state *d);
    /* Advances by dt seconds and says the values, in the order of `metrics`; NaN: not said. */
    void (*step)(struct device_state *d, const struct sky *sky, double dt, double *v);
};

extern const struct fleet_kind fleet_kinds[];
extern const size_t fleet_n_kinds;

struct fault_order { /* one fault, by hand */
    char kind[32];   /* its name, or "silent" */
    char device[64]; /* code */
    double after_s;  /* of simulated time after the start */
};

struct fleet_options {
    uint64_t seed;
    uint32_t compounds, devices;
    int64_t start_ms;          /* simulated */
    unsigned clockless, batch; /* percent of devices without ts; of messages that are arrays */
    bool faults;               /* things break, and what is wrong is known (city/faults.h) */
    double fault_rate;         /* per device and simulated day; 0: only by order */
    const struct fault_order *orders;
    size_t n_orders;
};

/* Something was wrong with a device. Times as the messages claim them. */
struct fault_truth {
    uint32_t device;
    const char *name, *rule,
        *may; /* rule NULL: nobody need be told; may: with commas, or NULL */
    bool silence;
    int64_t from_ms; /* of the first message that shows it; silence: of the last one before */
    int64_t to_ms;   /* of the first one that does not; 0: it still lasts */
    /* In simulated ms: told so long after from_ms, if it lasts so long; over and done with, so
     * long after to_ms. */
    int64_t told_within, over_within;
    int64_t fades; /* so long before to_ms it may look like health; -1: not known */
};

struct fleet;
struct fleet *fleet_new(const struct fleet_options *o);
void fleet_free(struct fleet *f);
uint32_t fleet_devices(const struct fleet *f); /* how many */
const struct device_state *fleet_device(const struct fleet *f, uint32_t i);
/* Reports per simulated second, all devices together. */
double fleet_natural_rate(const struct fleet *f);
/* Who reports next, and its simulated time. */
uint32_t fleet_peek(struct fleet *f, int64_t *out_due_ms);

#define FLEET_MAX_BATCH 8
struct fleet_message {
    uint32_t device;
    uint32_t seq; /* of its last sample */
    unsigned n;   /* samples in it */
    bool clockless;
    int64_t ts[FLEET_MAX_BATCH]; /* as sent; nothing if clockless */
    size_t len;                  /* of the payload */
};
#define FLEET_MAX_PAYLOAD 8192

/* The next report in simulated order. ts_ms is the time it will claim (made unique per device);
 * 0: the simulated time. Writes ≤ FLEET_MAX_PAYLOAD bytes to `payload`. */
void fleet_next(struct fleet *f, int64_t ts_ms, char *payload, struct fleet_message *out);

/* The same turn as bare values, one sample: for who writes them in a vendor's words. */
struct fleet_sample {
    uint32_t device, seq;
    int64_t ts;
    double v[FLEET_MAX_VALUES]; /* in the order of the kind's metrics; NaN: not said */
};
void fleet_next_sample(struct fleet *f, int64_t ts_ms, struct fleet_sample *out);

/* With faults: the next truth that is known, in no order; and, at the end, what still lasts. */
bool fleet_take_truth(struct fleet *f, struct fault_truth *out);
void fleet_end_truths(struct fleet *f);
/* Is there such a fault for that device? */
bool fleet_knows_fault(const struct fleet *f, const struct fault_order *o);

/* Codes, as in the registry. Return the length; `out` of at least 64 bytes. */
size_t fleet_compound_code(const struct fleet *f, uint32_t compound, char *out);
size_t fleet_device_code(const struct fleet *f, uint32_t device, char *out);

/* Random numbers of one device. */
double device_uniform(struct device_state *d); /* [0, 1) */
double device_noise(struct device_state *d);   /* about normal, sd 1, within ±3.5 */

#endif
