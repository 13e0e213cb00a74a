/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H
/*
 * audit — what devices were worth over a period: how long they were silent, how much of what they
 * said was bad, late or said twice. By device, and summed up by vendor and model.
 *
 * Fed in order of time by who runs an engine over a journal; decides nothing about values itself.
 * A device is watched from when the registry has it (not retired), or the period or the first
 * record begins, until the registry drops or retires it, or the end. It is silent from three
 * times its expected_interval after it last spoke (as `devices silent` says) until it speaks
 * again. What is our own fault does not count: while its broker's link or the gateway was down,
 * and for one interval after. Devices without expected_interval have no availability.
 *
 * Pure; times are Unix ms by the gateway's clock.
 */
#include "core/registry.h"

#define AUDIT_ALL 255u /* all brokers: the gateway itself was down */

struct audit;

struct audit_counts {
    uint64_t messages, values, bad, clock, duplicates;
};

struct audit_row {
    const char *vendor, *model, *device, *compound, *kind; /* "" what a sum does not have */
    uint64_t devices, spoke, rated; /* rated: with expected_interval, and watched at all */
    struct audit_counts n;
    uint64_t silences;
    int64_t silent_ms, watched_ms; /* of those rated */
    int64_t longest_ms;
};

struct audit *audit_new(int64_t from_ms, int64_t to_ms); /* to: exclusive */
void audit_free(struct audit *a);
/* The registry in force from now on; may be freed when the next one is given, or at audit_end. */
void audit_registry(struct audit *a, const struct registry *r, int64_t now_ms);
/* A broker's link, or the gateway (AUDIT_ALL), is down from now on, or up again. */
void audit_link(struct audit *a, unsigned broker, bool up, int64_t now_ms);
/* Up again after a moment in which nothing was lost: as if it had not been down. */
void audit_link_again(struct audit *a, unsigned broker);
/* The device spoke; what it said counts if it lies within the period. */
void audit_spoke(struct audit *a, const struct device *d, unsigned broker, int64_t now_ms,
                 const struct audit_counts *n);
void audit_end(struct audit *a, int64_t now_ms);

struct audit_filter { /* NULL: any */
    const char *vendor, *model, *compound;
    bool by_device; /* else a row for each vendor and model */
};
/* Rows by vendor, model (and device); after audit_end. Returns how many; *out is freed with
 * audit_free or the next call. */
size_t audit_rows(struct audit *a, const struct audit_filter *f, const struct audit_row **out);

#endif
