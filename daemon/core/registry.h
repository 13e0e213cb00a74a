/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H
/*
 * registry — which compounds and devices there are, from CSV files that people edit
 * (compounds.csv, devices.csv, params.csv; gaihou.conf(5)).
 *
 * UTF-8 with or without BOM, or GB18030 (what Chinese Excel and WPS save), recognised and said.
 * All problems in one pass, by line and column. Immutable after parsing; freely shared between
 * threads. Each device carries its series key ready escaped, so that encoding a point is a
 * copy.
 *
 * Columns go by name, in any order. Required: `compound` of compounds.csv; `device`, `kind` and
 * `compound` of devices.csv; all three of params.csv. `source_id` defaults to `device`, `name`
 * to `compound`, `firm` to `none`, `life_safety` to what the catalogue says of the kind. A date
 * in `retired` makes a device retired, whatever day it is: it is still known and named.
 *
 * For life (docs/registry.md). Merging compounds never forks a series: the tag `compound` is the
 * code that the device's row says, and stays. A compound that is merged into another keeps its
 * row and says so in `merged_into`; registry_compound_resolve() leads from the old code to the
 * one that is worked with today. A compound that was cut out of another says so in `split_from`.
 * registry_same_compound() takes a topic with any of these codes. A device that takes another's
 * place names it in `replaces`, and the other is retired; the source_id of a retired device may
 * be given to another one.
 */
#include "base/buf.h"
#include "base/err.h"
#include "core/catalog.h"

struct compound {
    const char *code, *name, *city, *district, *street, *community, *grid, *firm;
    const char *model, *tier; /* canonical: "professional|community|resident",
                                 "standard|basic|safety-net"; "" unknown */
    double lon, lat;          /* as given; NaN if not */
    const char *datum;
    const char *merged_into; /* "" if not */
    const char *split_from;  /* "" if not */
    const char *valid_from;  /* as written; "" if not. Of a merged one: the day of the merge */
    unsigned index;          /* ledger index, from 0 */
    unsigned n_devices;      /* of its rows, retired ones too */
};

struct device {
    /* What every message asks for, together: 56 bytes. */
    const char *code;   /* our own stable id */
    const char *series; /* "kind,building=…,compound=…,device=…[,point=…]", escaped */
    const char *point;
    const struct kind *kind;
    const struct compound *compound;
    uint32_t index; /* from 0, dense */
    uint16_t series_len;
    bool life_safety, retired;
    bool has_range;               /* params.csv says something about its ranges */
    bool source_given;            /* retired, and its source_id is another device's now */
    uint32_t expected_interval_s; /* 0 unknown */
    const char *source_id, *building, *unit, *room, *uplink, *power_domain, *note;
    const char *vendor, *model;                  /* "" unknown */
    const struct device *replaces, *replaced_by; /* NULL: none */
};

struct registry_input { /* one file's text; text NULL: the file is not configured */
    const char *file;
    const char *text;
    size_t len;
};

#define REGISTRY_MAX_BYTES     ((size_t)256 << 20) /* of a file */
#define REGISTRY_MAX_DEVICES   2000000
#define REGISTRY_MAX_COMPOUNDS 10000
#define REGISTRY_MAX_PARAMS    2000000

struct registry;
/* 0 or -EINVAL. Without a file of compounds no device can be admitted; without one of devices
 * the registry is empty. */
int registry_parse(const struct registry_input *compounds, const struct registry_input *devices,
                   const struct registry_input *params, const struct catalog *catalog,
                   struct problems *problems, struct registry **out);
void registry_free(struct registry *r);

size_t registry_devices(const struct registry *r);
const struct device *registry_device_at(const struct registry *r, size_t i);
size_t registry_compounds(const struct registry *r);
const struct compound *registry_compound_at(const struct registry *r, size_t i);
/* By our own code, or by the vendor's source_id; NULL if unknown. */
const struct device *registry_find(const struct registry *r, const char *code, size_t len);
const struct device *registry_find_source(const struct registry *r, const char *id, size_t len);
/* Whom a message means by this id: the code goes before the source_id, but what is retired only
 * where nobody else has it (new hardware may have the old one's code as its source_id). */
const struct device *registry_find_said(const struct registry *r, const char *id, size_t len);
/* For who looks a code up soon: its place in the index is fetched; later, with what that returned, the
 * device, whose number is a guess (UINT32_MAX: there is none). */
uint64_t registry_expect(const struct registry *r, const char *code, size_t len);
uint32_t registry_expected(const struct registry *r, uint64_t expected);
/* The series of its bad points, "kind_bad,…" and then the same: the encoder appends ",reason=…" (sorts
 * last). 0, or -ENOBUFS. */
int device_put_series_bad(const struct device *d, struct buf *b);
const struct compound *registry_compound(const struct registry *r, const char *code,
                                         size_t len);
/* The same, followed along merged_into to its end. */
const struct compound *registry_compound_resolve(const struct registry *r, const char *code,
                                                 size_t len);
/* The compound that is worked with today: c itself, or what it was merged into. */
const struct compound *registry_compound_now(const struct registry *r,
                                             const struct compound *c);
/* Does `code`, as a topic says it, name this device's compound: its own code, one that was
 * merged, on either side, or one that it was split from? Old codes in topics go on resolving. */
bool registry_same_compound(const struct registry *r, const struct device *d, const char *code,
                            size_t len);
/* The device that a message means by `id`, if it may speak: NULL and *out_why otherwise, in
 * quarantine's words (unknown_device, retired_device, other_compound). compound: as the topic or the
 * message says it; NULL: neither does. */
const struct device *registry_admit(const struct registry *r, const char *id, size_t len,
                                    const char *compound, size_t compound_len,
                                    const char **out_why);
/* A parameter of a device; false if it has none of that name. */
bool registry_param(const struct registry *r, const struct device *d, const char *name,
                    double *out);
/* Has a device the same parameters, with the same values, as another of another registry? */
bool registry_same_params(const struct registry *r, const struct device *d,
                          const struct registry *other, const struct device *its);
/* Number i of all parameters, by device and name; false: there are no more. line: of params.csv. */
bool registry_param_at(const struct registry *r, size_t i, const struct device **out_device,
                       const char **out_name, int *out_line);
/* The plausible range of a metric for this device (params.csv range.METRIC.min|max over the
 * catalogue's). */
void registry_range(const struct registry *r, const struct device *d, const struct metric *m,
                    double *out_min, double *out_max); /* ±HUGE_VAL when open */
/* Said once after a load: e.g. "devices.csv: read as GB18030". NULL when there is nothing. */
const char *registry_remark(const struct registry *r, size_t i);

#endif
