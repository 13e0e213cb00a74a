/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_TOPIC_H
#define CORE_TOPIC_H
/*
 * topic — patterns of MQTT topics with {captures}, as sources and profiles write them.
 *
 * `gaihou/v1/up/{compound}/{device}`: a capture stands for one level, `+` and `#` are MQTT's
 * own (MQTT 5, section 4.7). The filter that is subscribed has `+` where a capture stands.
 * Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define TOPIC_MAX_LEVELS   32
#define TOPIC_MAX_CAPTURES 8

struct topic_pattern;

struct topic_capture {
    const char *name; /* of the pattern */
    const char *p;    /* into the matched topic */
    size_t n;
};
struct topic_match {
    struct topic_capture captures[TOPIC_MAX_CAPTURES];
    size_t n;
};

/* 0; -EINVAL with *out_why (static text). */
int topic_compile(const char *pattern, struct topic_pattern **out, const char **out_why);
void topic_free(struct topic_pattern *p);
const char *topic_filter(const struct topic_pattern *p); /* for SUBSCRIBE */
/* Does every topic that fits `p` fit `by`, too? */
bool topic_covered(const struct topic_pattern *p, const struct topic_pattern *by);
/* A topic that begins with `$` fits no pattern whose first level is a wildcard or capture. The
 * captures point into the topic. */
bool topic_matches(const struct topic_pattern *p, const char *topic, size_t len,
                   struct topic_match *out);
/* Has the pattern a capture of that name? */
bool topic_has(const struct topic_pattern *p, const char *name);
/* The names of its captures, in order; NULL when there is none more. */
const char *topic_capture_at(const struct topic_pattern *p, size_t i);
/* Which level the capture of that name is, counted from the last one (0); -1: there is none, or more
 * levels may follow. */
int topic_level(const struct topic_pattern *p, const char *name);
/* A topic cut into levels, so that many patterns can be tried on it. */
struct topic_levels {
    size_t n; /* TOPIC_MAX_LEVELS + 1: more than any pattern has */
    struct topic_level {
        const char *p;
        size_t n;
    } levels[TOPIC_MAX_LEVELS];
};
void topic_split(const char *topic, size_t len, struct topic_levels *out);
/* As topic_matches, but only the last levels of the topic need to fit: what a bridge puts before
 * a topic does not matter. A pattern that ends in # has to fit from the beginning. */
bool topic_matches_end(const struct topic_pattern *p, const struct topic_levels *t,
                       struct topic_match *out);
/* The capture of that name, or NULL. */
static inline const struct topic_capture *topic_get(const struct topic_match *m,
                                                    const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->captures[i].name[0] == name[0] && strcmp(m->captures[i].name, name) == 0)
            return &m->captures[i];
    return NULL;
}

#endif
