/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PROFILE_GUESS_PRIVATE_H
#define CORE_PROFILE_GUESS_PRIVATE_H
/* What the files of profile_guess share: profile_guess.c (the text), _leaves.c (what the samples
 * hold), _words.c (what names mean). */
#include "core/json.h"
#include "core/profile_guess.h"

enum { GUESS_MAX_LEAVES = 400, GUESS_PATH = 256, GUESS_TEXT = 96, GUESS_MAX_DEPTH = 6 };

enum guess_role { ROLE_NONE, ROLE_DEVICE, ROLE_TIME, ROLE_VALUE };

struct leaf {
    char path[GUESS_PATH]; /* from $ or @ */
    char key[64];          /* its last name */
    char text[GUESS_TEXT]; /* as people read it */
    enum json_type type;
    double number;
    bool numeric; /* a number, or text that is one */
    bool in_item; /* of `each` */
    enum guess_role role;
    const struct metric *metric;
    const char *unit; /* UCUM; NULL: the metric's own */
    unsigned divide;  /* 0, 10, 100, 1000 */
};

struct leaves {
    struct leaf *at;
    size_t n;
    char each[GUESS_PATH];                                 /* "$.records[*]" or "" */
    char pairs[GUESS_PATH], pair_name[64], pair_value[64]; /* an array of {name, value} */
};

/* What all samples hold: the leaves of the first item stand for all items. */
int guess_leaves(struct leaves *all, const struct profile_guess_sample *samples, size_t n,
                 struct err *err);
/* The metric of a kind that a leaf most likely is, with unit and divide; NULL. */
const struct metric *guess_metric(const struct kind *k, const struct leaf *l,
                                  const char **out_unit, unsigned *out_divide);
/* How much a leaf looks like a device's id, like a time: 0 not at all. */
int guess_is_device(const struct leaf *l);
int guess_is_time(const struct leaf *l, const char **out_format);
/* Is a level of a topic an id? */
bool guess_is_id(const char *s, size_t n);
/* Lower case, without what is neither letter nor digit. */
void guess_normal(const char *s, size_t n, char *out, size_t room);

#endif
