/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CATALOG_H
#define CORE_CATALOG_H
/*
 * catalog — the kinds of facilities and what they measure (catalog.yaml, gaihou-schema(7)).
 *
 * A kind is a measurement of the database; a metric is one of its fields, with one fixed type,
 * canonical unit (UCUM code), plausible range, sentinels and titles in Chinese and English.
 * Immutable after parsing; freely shared between threads. All problems of a file are reported
 * in one pass.
 *
 *   version: 1
 *   common:                      # sets of metrics that kinds pull in by `use`
 *     battery:
 *       battery_pct: {type: float, unit: "%", min: 0, max: 100, zh: 电池电量, en: Battery level}
 *   kinds:
 *     sump:
 *       zh: 集水井
 *       en: Sump
 *       life_safety: false
 *       use: [battery]
 *       metrics:
 *         level: {type: float, unit: m, min: 0, max: 5, sentinels: [99.99], zh: 水位, en: Level}
 *         mode: {type: enum, zh: 模式, en: Mode, codes: [{code: 0, name: auto, zh: 自动, en: Automatic}]}
 *
 * A kind's own metric of the same name replaces that of a set. Names of metrics and codes are
 * [a-z][a-z0-9_]*, of kinds and sets [a-z][a-z0-9-]*. `time`, `ts`, `uncertain`, names ending in `_bad` or
 * `_raw` and kinds beginning with `gaihou` or ending in `-bad` are our own.
 */
#include "base/err.h"
#include "core/value.h"

enum metric_type { METRIC_FLOAT, METRIC_INT, METRIC_BOOL, METRIC_STRING, METRIC_ENUM };

struct metric_code {
    const char *name; /* what the field says, e.g. "up" */
    int64_t code;
    const char *title_zh, *title_en;
};

struct metric {
    const char *name;
    size_t name_len;
    enum metric_type type;
    const char *unit; /* UCUM; "1" for none */
    bool has_min, has_max;
    double min, max; /* plausible range, canonical unit, inclusive */
    const double *sentinels;
    size_t n_sentinels;
    const struct metric_code *codes;
    size_t n_codes;
    const char *title_zh, *title_en;
    unsigned index; /* within its kind, from 0 */
};

struct kind {
    const char *name;
    const char *title_zh, *title_en;
    const struct metric *metrics;
    size_t n_metrics; /* ≤ CATALOG_MAX_METRICS */
    bool life_safety;
    unsigned index;
};

#define CATALOG_MAX_KINDS   256
#define CATALOG_MAX_METRICS 64

struct catalog;
int catalog_parse(const char *text, size_t len, const char *file, struct problems *problems,
                  struct catalog **out); /* 0 or -EINVAL */
void catalog_free(struct catalog *c);
size_t catalog_kinds(const struct catalog *c);
const struct kind *catalog_kind_at(const struct catalog *c, size_t i);
const struct kind *catalog_kind(const struct catalog *c, const char *name, size_t len);
/* Hot path: a hash look-up. */
const struct metric *catalog_metric(const struct catalog *c, const struct kind *k,
                                    const char *name, size_t len);
const struct metric_code *metric_code(const struct metric *m, const char *name, size_t len);
const struct metric_code *metric_code_by_number(const struct metric *m, int64_t code);

#endif
