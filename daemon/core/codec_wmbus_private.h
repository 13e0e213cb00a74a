/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CODEC_WMBUS_PRIVATE_H
#define CORE_CODEC_WMBUS_PRIVATE_H
/*
 * codec_wmbus_private — the tables of EN 13757-3 that codec_wmbus.c decodes with: what a value
 * information field means, what its extensions change, what a medium is called. Included by
 * core/codec_wmbus*.c only. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

enum wmbus_kind {
    WMBUS_SCALED,   /* raw × 10^exp, in unit */
    WMBUS_UNSIGNED, /* counters and versions: binary data have no sign */
    WMBUS_DATE,     /* date, or date and time, by the data's length */
    WMBUS_DIGITS,   /* identifiers: text even when the data are BCD */
    WMBUS_SECRET    /* passwords and access codes: never copied */
};

struct wmbus_vif {
    uint8_t first, last; /* of the codes; exp grows by one with each */
    int8_t exp;
    uint8_t kind;
    bool spans; /* s, min, h, d: the unit changes with each instead */
    const char *name, *suffix, *unit;
};

enum wmbus_table { WMBUS_PRIMARY, WMBUS_FB, WMBUS_FD };

/* NULL when the standard has no meaning for it, or none that this program uses. */
const struct wmbus_vif *wmbus_vif(enum wmbus_table table, uint8_t code);

enum wmbus_effect {
    WMBUS_SAME,  /* the same quantity, looked at otherwise */
    WMBUS_RATE,  /* scaled as before, but the unit is another */
    WMBUS_DATES, /* when, not how much */
    WMBUS_OTHER, /* neither scale nor unit are known */
    WMBUS_SHIFT, /* × 10^exp */
    WMBUS_ERROR  /* why there is no value */
};

struct wmbus_vife {
    uint8_t first, last;
    uint8_t effect;
    int8_t exp;
    const char *name; /* NULL: nothing is added to the name, or the code is */
};

const struct wmbus_vife *wmbus_vife(uint8_t code);  /* never NULL */
const struct wmbus_vife *wmbus_vife2(uint8_t code); /* behind FC; never NULL */
const char *wmbus_medium(uint8_t code);             /* never NULL */

#endif
