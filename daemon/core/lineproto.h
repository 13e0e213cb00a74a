/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_LINEPROTO_H
#define CORE_LINEPROTO_H
/*
 * lineproto — encodes points as InfluxDB line protocol that every supported server reads alike.
 *
 * What is emitted is the intersection that InfluxDB 1.x, 2.x, 3.x and VictoriaMetrics accept
 * with the same meaning: valid UTF-8, no control characters in names and tags, no trailing
 * backslash, no empty tags, tags sorted, no NaN or infinity, floats never ".5" or "5.",
 * integers with `i`, strings without raw newlines and shorter than 64 KiB, always a timestamp
 * in nanoseconds, one "\n" after every line. Sanitising is documented in gaihou-schema(7).
 * Pure; no state but the buffer that is passed.
 */
#include "base/buf.h"
#include "core/value.h"

enum lineproto_dialect {
    LINEPROTO_INFLUX,
    LINEPROTO_NUMBERS, /* VictoriaMetrics: numbers only; booleans as 1 and 0, enumerations as
                          their code, other strings refused */
};

/* What was left out of lines, by reason. */
struct lineproto_refused {
    uint64_t not_finite, string, too_long, bad_key;
};

struct lineproto_tag {
    const char *key, *value; /* NULL or empty value: the tag is left out */
};

/* Appends `measurement,tag=value,…` with the tags in the order of their keys.
 * 0, -EINVAL (a name that cannot be represented: empty, "time", begins with '#' or '_'),
 * -ENOBUFS. */
int lineproto_put_series(struct buf *b, const char *measurement,
                         const struct lineproto_tag *tags, size_t n_tags);

/* Appends one line. 0; -ENODATA when no field is left (nothing appended); -ENOBUFS (nothing
 * appended). Fields left out are counted in *refused. */
int lineproto_put(struct buf *b, enum lineproto_dialect dialect, const struct point *p,
                  struct lineproto_refused *refused);

#endif
