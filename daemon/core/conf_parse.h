/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONF_PARSE_H
#define CORE_CONF_PARSE_H
/*
 * conf_parse — what the parts of conf's parser share: the configuration being made, the notes,
 * and where each option was given. Internal to conf.
 */
#include "core/conf_table.h"
#include "core/conf_yaml.h"

struct conf_given { /* one option of one section item, as the file gives it */
    const void *base;
    const struct conf_option *o;
    int line, col;
    bool refused; /* its value was not right; said already */
};

struct conf_owned { /* what conf_parse returns: the rest goes with it */
    struct conf c;
    struct arena arena;
    struct conf_given *given;
    size_t n_given;
};

struct conf_ctx {
    struct conf *c;
    struct arena *arena;
    struct conf_notes notes;
    const char *folder; /* of the file, with its slash; "" when its name has none */
    struct conf_given *given;
    size_t n_given, cap_given;
    struct { /* where an item of a list section stands; line 0: it is no mapping */
        int line, col;
    } * at[4];                     /* by enum conf_home */
    bool lost_root, lost_registry; /* something there cannot be told */
    int section_line[4]; /* where "brokers:" … stands; 0: not given, -1: not usable */
};

/* Reads one value into base + o->offset; complains in notes. True if it was taken. */
bool conf_take_value(struct conf_ctx *x, const struct conf_option *o, void *base,
                     const struct yaml_node *n);
void conf_take_default(struct conf_ctx *x, const struct conf_option *o, void *base);

/* Syntax of single values; on failure *out_why is a sentence's end ("…, expected …"). */
bool conf_check_topic(const char *t, const char **out_why);
bool conf_check_url(const char *url, bool mqtt, const char **out_why);
bool conf_check_listen(const char *s, bool *out_loopback, const char **out_why);

/* Rules between options. */
void conf_check(struct conf_ctx *x);

#endif
