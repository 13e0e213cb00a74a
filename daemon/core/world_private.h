/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_WORLD_PRIVATE_H
#define CORE_WORLD_PRIVATE_H
/*
 * world_private — what the world's files share; included by core/world*.c only.
 */
#include "core/world.h"

/* A bundle in its parts; the texts point into it. */
struct world_unbundled {
    struct world_text parts[WORLD_PARTS];
    struct world_text profiles[WORLD_MAX_PROFILES];
    struct world_text rules[RULES_MAX_FILES];
    size_t n_profiles, n_rules;
};

int world_unbundle(const char *bundle, size_t len,
                   struct world_unbundled *out); /* or -EINVAL */
void world_unbundled_done(struct world_unbundled *u);
int world_zone_read(const char *text, size_t len, struct zone **out); /* or -EINVAL */
/* world->rules from the bundle; and what they ask of the other files. */
void world_open_rules(struct world *w, const struct world_unbundled *u,
                      struct problems *problems);
/* all: these are all that the gateway would have. */
void world_check_rules(const struct world *w, bool all, struct problems *problems);

#endif
