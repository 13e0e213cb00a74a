/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_FAULTS_H
#define CITY_FAULTS_H
/*
 * faults — what breaks in the city, and what must be told of it.
 *
 * A fault has a beginning, a hold and an end: it lies over what its device would say in health
 * and fades in and out, so that the values really go back. No device has two at once. Silence is
 * a fault: of one device, or of a radio gateway and everything behind it. Faults come at random
 * at a rate, and by order.
 *
 * Some things go wrong in the healthy city, too: a bad roof leaks in heavy rain, a bin is not
 * emptied, a battery runs down. They are truths like the others.
 *
 * Which rule of config/rules must tell a fault, and how soon, stands here in its own words, not
 * derived from the rules. Deterministic by the seed; the devices' own random numbers are not
 * touched, so a device says in health what it says in a city without faults. Inside the fleet.
 */
#include "city/fleet.h"

#define FAULT_EFFECTS 6

enum fault_act { FAULT_SET, FAULT_ADD, FAULT_FREEZE };
struct fault_effect {
    const char *metric; /* NULL: no more */
    enum fault_act act;
    double to; /* flags: 0, 1; texts: the index */
    double at; /* flags and texts: from which strength on (0 … 1); 0: from the beginning */
};

/* Times in seconds of the city. */
struct fault_kind {
    const char *code; /* of the kind of device: struct fleet_kind */
    const char *name;
    const char *rule, *may; /* must be told; may be told as well, with commas, NULL: none */
    double rise, cross; /* until it is whole; until the rule's condition holds at the latest */
    double delay;       /* the rule's own `for` */
    double fall, shortest, longest;
    bool sudden; /* the rule tells how it begins, and clears while it lasts */
    double echo; /* after the end, until nothing of it is left: off_for, windows */
    double from_hour, to_hour; /* begins only between these local hours; both 0: always */
    struct fault_effect effects[FAULT_EFFECTS];
};
extern const struct fault_kind fault_kinds[];
extern const size_t fault_n_kinds;

/* What the silence of such a device must raise; NULL: nobody is told. */
const char *fault_silence_rule(const struct fleet_kind *k);
double fault_silence_after(const struct fleet_kind *k);
/* How long the alarm may outlast it: a gateway is blamed until those behind it speak again. */
double fault_silence_echo(const struct fleet_kind *k);

struct faults;
struct faults *faults_new(const struct fleet_options *o, const struct device_state *devices);
void faults_free(struct faults *f);
/* Does the device keep silent at that simulated time? */
bool faults_silent(struct faults *f, uint32_t device, int64_t at_ms);
/* Lays what is wrong at that time over `v`; `claimed_ms` is what the message says of its time. */
void faults_apply(struct faults *f, uint32_t device, int64_t at_ms, int64_t claimed_ms,
                  double *v);
/* The next truth that is known, in no order. */
bool faults_take(struct faults *f, struct fault_truth *out);
/* What still lasts becomes known, without an end. */
void faults_finish(struct faults *f);

#endif
