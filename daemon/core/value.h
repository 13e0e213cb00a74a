/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_VALUE_H
#define CORE_VALUE_H
/*
 * value — one value of a message or a field, and the point that carries fields to a database.
 *
 * Nothing here owns memory: strings point into the message being decoded, or into registry and
 * catalogue, and live as long as the call they are passed to.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type { VALUE_FLOAT, VALUE_INT, VALUE_BOOL, VALUE_STRING };

struct value {
    enum value_type type;
    union {
        double f;
        int64_t i;
        bool b;
        struct {
            const char *p;
            size_t n;
        } s;
    };
};

struct field {
    const char *key; /* not escaped */
    size_t key_len;
    struct value v;
    int64_t code; /* for strings of an enumeration: its code (VictoriaMetrics) */
    bool has_code;
};

/* Who may be shed when a database stays away: routine points, oldest first. */
enum point_class { POINT_ROUTINE, POINT_KEEP };

/* One line for a database. */
struct point {
    const char *series; /* measurement and tags, ready escaped (lineproto_put_series) */
    size_t series_len;
    const char *compound; /* its code, for the ledger; "-" for our own metrics. Stays as long as
                             the registry generation */
    enum point_class class_;
    int64_t time_ms; /* Unix time, milliseconds */
    const struct field *fields;
    size_t n_fields;
};

#endif
