/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CATALOG_PRIVATE_H
#define CORE_CATALOG_PRIVATE_H
/*
 * What catalog.c and catalog_parse.c share.
 */
#include "base/arena.h"
#include "core/catalog.h"

#define CATALOG_KIND_SLOTS   512 /* twice the most there can be, a power of two */
#define CATALOG_METRIC_SLOTS 128

struct catalog {
    struct arena arena;
    struct kind *kinds;
    size_t n_kinds;
    uint16_t kind_slots[CATALOG_KIND_SLOTS]; /* index + 1, 0 empty */
    uint8_t metric_slots[CATALOG_MAX_KINDS][CATALOG_METRIC_SLOTS];
};

/* Fills the slots when the kinds are complete. */
void catalog_index(struct catalog *c);

#endif
