/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ENGINE_RECALL_H
#define CORE_ENGINE_RECALL_H
/*
 * engine_recall — the last values of a device, without keeping any: the engine notes of each
 * (device, point) which record made its last point, and that record is decoded once more.
 *
 * By what is in force now: the present world, and what is known now of the device's clock and of
 * Sparkplug's births. So what was configured differently when the message came may be told
 * otherwise, or not at all. Values and qualities are those of the point; its time is, too, but
 * for the milliseconds that a point was moved because another had its place. Changes nothing of
 * the engine. Pure; the engine's thread. Who reads the record is not its affair.
 */
#include "core/engine.h"

struct engine_told { /* one (device, point) that ever had a point */
    const char *point;
    bool own;        /* the device's own: `point` is the registry's, may be "" */
    bool late;       /* its broker was catching up when the message came */
    uint64_t offset; /* of the last message that made a point; 0: not known */
    int64_t time_ms; /* the newest of its last points */
};
#define ENGINE_MAX_TOLD (ENGINE_MAX_POINTS + 1)
/* How many; the device's own first, then in the order in which they were first told. */
size_t engine_told(const struct engine *e, const struct device *d,
                   struct engine_told out[ENGINE_MAX_TOLD]);

enum recalled_clock { /* whose clock the time is of */
                      RECALLED_DEVICE,
                      RECALLED_CORRECTED, /* the device's, less what it is off by */
                      RECALLED_RECEIPT,
};
struct recalled { /* one value; its texts live for the call */
    const struct metric *metric;
    struct value value;
    bool as_told; /* as the device told it, not in the metric's unit */
    bool has_code;
    int64_t code;
    enum quality quality;
    enum quality_reason reason;
    int64_t time_ms;
    enum recalled_clock clock;
};
typedef void recalled_fn(void *ctx, const struct recalled *v);

struct recall;
struct recall *recall_new(const struct engine *e);
void recall_free(struct recall *x);
/* Decodes a record that the engine passed; it stays where it is until the next one, or
 * recall_free. False: as things are now it is no message that says anything. */
bool recall_message(struct recall *x, const struct record *r);
int64_t recall_received_ms(const struct recall *x);
const char *recall_profile(const struct recall *x); /* by which it was read */
/* What the message says of that point of the device, in the catalogue's order: of each metric the
 * newest, the later said of two of one time. How many. */
size_t recall_values(struct recall *x, const struct device *d, const struct engine_told *t,
                     recalled_fn *fn, void *ctx);

#endif
