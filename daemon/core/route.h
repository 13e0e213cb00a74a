/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ROUTE_H
#define CORE_ROUTE_H
/*
 * route — from a topic to the sources whose pattern it fits, among thousands, by one trie.
 *
 * A level of the topic is looked up once per node, by hash; `{capture}` and `+` are one edge, `#`
 * another (MQTT 5, 4.7; `$`-topics are not matched by a wildcard in the first level). Built
 * once, then immutable. Pure.
 */
#include "core/topic.h"

#include <stdint.h>

#define ROUTE_MAX_HITS 16

struct route;

struct route *route_new(void);
void route_free(struct route *r);
/* The pattern must outlive the route. Values are what the caller numbers its sources by. */
void route_add(struct route *r, const struct topic_pattern *p, uint32_t value);
/* The values of all patterns that fit, ascending, at most ROUTE_MAX_HITS; how many. */
size_t route_find(const struct route *r, const char *topic, size_t len,
                  uint32_t out_values[ROUTE_MAX_HITS]);

#endif
