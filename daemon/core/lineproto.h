/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_LINEPROTO_H
#define CORE_LINEPROTO_H
/*
 * lineproto — encodes points as InfluxDB line protocol that every supported server reads alike.
 *
 * What is emitted is the intersection that InfluxDB 1.x, 2.x, 3.x and VictoriaMetrics accept
 * with the same meaning: valid UTF-8, no control characters, no trailing backslash, no empty
 * tags, tags sorted, no NaN or infinity, floats never ".5" or "5.", integers with `i`, strings
 * shorter than 64 KiB, always a timestamp in nanoseconds, one "\n" after every line and in no
 * other place.
 *
 * What cannot be said that way is changed, the same way every time (gaihou-schema(7)):
 *   - bytes that are not UTF-8 become U+FFFD each, everywhere;
 *   - control characters (0x00-0x1f, 0x7f) become '_' in names and tag values, and a blank in
 *     strings;
 *   - '\' before ',' '=' ' ' '\' or at the end of a name or tag value becomes '_' (the servers
 *     disagree on what it would mean), and so does '"' in a field's key (VictoriaMetrics would
 *     take it for the beginning of a string).
 * Of fields (or tags) whose names are the same after that, the first that can be written counts
 * and the others are left out: InfluxDB 3 refuses a line with two.
 * Pure; no state but the buffer that is passed.
 */
#include "base/buf.h"
#include "core/value.h"

enum lineproto_dialect {
    LINEPROTO_INFLUX,
    LINEPROTO_NUMBERS, /* VictoriaMetrics: numbers only, without `i`; booleans as 1 and 0,
                          enumerations as their code, other strings refused */
};

#define LINEPROTO_MAX_TAGS   30    /* VictoriaMetrics drops more without a word */
#define LINEPROTO_MAX_SERIES 65535 /* bytes; InfluxDB 1.x refuses more */
#define LINEPROTO_MAX_FIELDS 256   /* of one point */
#define LINEPROTO_MAX_KEY    255   /* bytes of a field's key */
#define LINEPROTO_MAX_STRING 65535 /* bytes of a string after cleaning */

/* Fields left out of lines, by reason. Of the engine's points only `string` and `too_long` can
 * be: judging lets finite numbers through only (core/judge.c), names of metrics are words of at
 * most 64 bytes, none of them ours (core/catalog_parse.c), a point has each at most once
 * (core/engine_points.c), and what we say of ourselves keeps to the same. */
struct lineproto_refused {
    uint64_t not_finite;
    uint64_t string;    /* a string for a database of numbers */
    uint64_t too_long;  /* a string over LINEPROTO_MAX_STRING */
    uint64_t bad_key;   /* empty, too long, "time", or beginning with '_' */
    uint64_t duplicate; /* a field of that name stands in the line already */
};

struct lineproto_tag {
    const char *key, *value; /* NULL or empty value: the tag is left out */
};

/* Appends `measurement,tag=value,…` with the tags in the order of their keys.
 * 0; -EINVAL (a measurement or tag key that is empty, "time", or begins with '#' or '_'; too
 * many tags; too long); -ENOBUFS. Nothing is appended on failure. */
int lineproto_put_series(struct buf *b, const char *measurement,
                         const struct lineproto_tag *tags, size_t n_tags);

/* Appends one line. 0; -ENODATA when no field is left; -ERANGE when the time is beyond what
 * int64 nanoseconds hold (years 1677 to 2262), or 0 for VictoriaMetrics, which reads it as
 * "now"; -E2BIG for more than LINEPROTO_MAX_FIELDS; -ENOBUFS. Nothing is appended on failure.
 * Room is asked for the longest the line could become (three bytes for each of a string), so
 * that -ENOBUFS can come a little early. Fields left out are counted in *refused. */
int lineproto_put(struct buf *b, enum lineproto_dialect dialect, const struct point *p,
                  struct lineproto_refused *refused);

#endif
