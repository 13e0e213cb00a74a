/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_UNIT_H
#define CORE_UNIT_H
/*
 * unit — what a UCUM code means: its dimension and the way to base units.
 *
 * Reads the part of UCUM (case sensitive, ucum.org) that facilities need: atoms of a built-in
 * table (core/unit.c), metric prefixes, `.` and `/`, exponents (`m3/h`, `kW.h`, `ug/m3`,
 * `/min`), annotations in braces (`%{LEL}`, `dB{mW}`), which carry no meaning. Degrees Celsius
 * (`Cel`), the decibel and pH do not scale by a factor alone and stand only by themselves.
 * value in base units (m, g, s, A, K, cd, mol, rad) = value × factor + offset.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNIT_DIMS = 8 }; /* m g s A K cd mol rad */

struct unit {
    int8_t dim[UNIT_DIMS];
    char scale; /* 0 linear; 'L' a logarithm (dB), 'H' pH: comparable only with its like */
    double factor, offset;
};

/* 0, or -EINVAL and the offset of what is not understood in *out_bad (NULL allowed). */
int unit_parse(const char *code, size_t len, struct unit *out, size_t *out_bad);
/* The same quantity: values can be converted. */
bool unit_comparable(const struct unit *a, const struct unit *b);
/* A code that is close, for messages, or NULL. */
const char *unit_nearest(const char *code);

#endif
