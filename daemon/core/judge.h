/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_JUDGE_H
#define CORE_JUDGE_H
/*
 * judge — from one decoded value to a field of its metric: is it believed, and if not, why.
 *
 * The one place where that is decided: the engine, the examples of profiles and `gaihouctl
 * decode` all ask here. Knows nothing of devices, times or messages. Pure.
 *
 * Values of vendors' profiles (decoded_value.from is set) are read with goodwill, because a
 * vendor's type is no error of the vendor: text that is a number ("+27.90", "071", " 48 ") is one
 * for numeric metrics and enumerations; true/false/on/off/0/1 in any case, and the numbers 0 and
 * 1, are truth values; numbers are text for text metrics, integers exactly. An empty text says
 * nothing. The native profile's types are strict, as its documentation says.
 *
 * What the decoder has judged already (a sentinel, a broken sensor, a contradiction) stays.
 * Otherwise a number is bad outside the plausible range or when it is one of the metric's
 * sentinels, and a value that cannot be of the metric's type is bad{type} or bad{enum} and keeps
 * its words: a text field METRIC_raw. Values that are sentinels, faults, or of no code are kept
 * as the device told them; all others are converted to the metric's canonical unit first.
 */
#include "core/profile.h"

#include <float.h>
#include <math.h>

/* Where the keys and words of bad values are kept until their point is out: there is room for all
 * metrics of a kind, each with the longest key ("…_raw") and the longest words. */
#define JUDGE_WORDS 256 /* bytes of a bad text that are kept */
struct judge_room {
    size_t n;
    char p[CATALOG_MAX_METRICS * (64 + 4 + JUDGE_WORDS)];
};

struct judged {
    struct field field;
    unsigned char quality; /* enum quality */
    unsigned char reason;  /* enum quality_reason; REASON_NONE if good */
};

const char *judge_reason(enum quality_reason r); /* "range" …; "" for none */

/* A profile_metric that converts nothing, for native values. */
static inline struct profile_metric judge_as_is(const struct metric *m)
{
    return (struct profile_metric){.metric = m, .mul = 1, .div = 1, .same = true};
}

/* Which metric of the kind a value is of, and the way to its unit: by its profile, or by its name.
 * False: the kind has none. */
bool judge_way(const struct catalog *c, const struct kind *k, const struct decoded_value *v,
               struct profile_metric *out);
/* min, max: the plausible range in the canonical unit, ±HUGE_VAL when open (registry_range, or
 * judge_range without a device). False: nothing was said (null, an empty text), or the room is
 * full; *out means nothing then. The field's key and text point into metric, message or room. */
bool judge_value(const struct decoded_value *v, const struct profile_metric *way, double min,
                 double max, struct judge_room *room, struct judged *out);
/* The same, in two places. */
bool judge_field(const struct decoded_value *v, const struct profile_metric *way, double min,
                 double max, struct judge_room *room, struct field *out,
                 enum quality *out_quality, enum quality_reason *out_reason);
static inline void judge_range(const struct metric *m, double *out_min, double *out_max)
{
    *out_min = m->has_min ? m->min : -HUGE_VAL;
    *out_max = m->has_max ? m->max : HUGE_VAL;
}

/* Nearly all values are numbers and truth values of the metric's own type and unit, and good: for
 * those, the same in a few instructions. False: ask judge_field. */
static inline bool judge_plain(const struct decoded_value *v, const struct metric *m,
                               double min, double max, struct field *out)
{
    double x;
    if (v->quality != QUALITY_GOOD || v->reason != REASON_NONE || v->is_null)
        return false;
    if (m->type == METRIC_FLOAT && v->v.type == VALUE_FLOAT)
        out->v.f = x = v->v.f;
    else if (m->type == METRIC_FLOAT && v->v.type == VALUE_INT)
        out->v.f = x = (double)v->v.i;
    else if (m->type == METRIC_INT && v->v.type == VALUE_INT)
        x = (double)(out->v.i = v->v.i);
    else if (m->type == METRIC_BOOL && v->v.type == VALUE_BOOL)
        out->v.b = v->v.b, x = 0;
    else
        return false;
    if (m->type != METRIC_BOOL && !(x >= min && x <= max && fabs(x) <= DBL_MAX))
        return false;
    for (size_t i = 0; i < m->n_sentinels; i++)
        if (m->sentinels[i] == x)
            return false;
    out->key = m->name;
    out->key_len = m->name_len;
    out->v.type = m->type == METRIC_FLOAT ? VALUE_FLOAT
                  : m->type == METRIC_INT ? VALUE_INT
                                          : VALUE_BOOL;
    out->has_code = false;
    return true;
}

#endif
