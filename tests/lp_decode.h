/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LP_DECODE_H
#define TESTS_LP_DECODE_H
/*
 * lp_decode — reads line protocol, strictly, for tests.
 *
 * Follows the grammar of influxdata/line-protocol (v2). Written apart from the encoder it
 * checks: shares no code with daemon/, needs libc only (numbers by strtod and strtoll).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_text {
    char *p; /* unescaped, NUL-terminated, may hold NUL */
    size_t n;
};

struct lp_tag {
    struct lp_text key, value;
};

enum lp_type { LP_FLOAT, LP_INT, LP_UINT, LP_BOOL, LP_STRING };

struct lp_field {
    struct lp_text key;
    enum lp_type type;
    double f;
    int64_t i;
    uint64_t u;
    bool b;
    struct lp_text s;
};

struct lp_point {
    struct lp_text measurement;
    struct lp_tag *tags;
    struct lp_field *fields;
    size_t n_tags, n_fields;
    bool has_time;
    int64_t time; /* as written */
};

/* Decodes the next point at *p and moves *p behind its line. 1; 0 when only blank lines and
 * comments are left; -1 with *why when it is malformed. Free each 1 with lp_point_done. */
int lp_decode(const char **p, const char *end, struct lp_point *out, const char **why);
void lp_point_done(struct lp_point *pt);

#endif
