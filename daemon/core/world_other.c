/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorded generation under other rules.
 */
#include "base/mem.h"
#include "core/world_private.h"

#include <stdlib.h>

int world_bundle_other(const char *bundle, size_t len, const struct world_text *catalog,
                       const struct world_text *rules, size_t n_rules, struct buf *out)
{
    struct world_unbundled *u = mem_zalloc(sizeof(*u));
    struct world_text parts[WORLD_PARTS];
    int r = world_unbundle(bundle, len, u);
    for (size_t i = 0; i < WORLD_PARTS; i++)
        parts[i] = u->parts[i];
    if (catalog)
        parts[WORLD_CATALOG] = *catalog;
    if (r == 0)
        r = world_bundle(parts, out);
    if (r == 0)
        r = world_bundle_profiles(u->profiles, u->n_profiles, out);
    if (r == 0)
        r = world_bundle_rules(rules, n_rules, out);
    world_unbundled_done(u);
    free(u);
    return r;
}
