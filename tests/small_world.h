/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SMALL_WORLD_H
#define TESTS_SMALL_WORLD_H
/* small_world — a world of texts, bundled and opened as the daemon does it; for unit tests, fuzz
 * targets and benches. Why a world is refused is printed. */
#include "base/buf.h"
#include "base/zone.h"
#include "core/world.h"

#include <stdio.h>
#include <string.h>

struct small_world {
    const char *conf, *catalog, *compounds, *devices;
    const char *profile, *rules; /* one file of each; NULL: none */
    const char *profile2;        /* beside `profile` */
    const char *params;          /* params.csv; NULL: none */
    bool shanghai;               /* with the time zone's own transitions */
};

static inline int small_world_bundle(const struct small_world *t, struct buf *zone,
                                     struct buf *out)
{
    struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"/etc/t/gaihou.yaml", t->conf, strlen(t->conf)},
        [WORLD_CATALOG] = {"/etc/t/catalog.yaml", t->catalog, strlen(t->catalog)},
        [WORLD_COMPOUNDS] = {"/etc/t/compounds.csv", t->compounds, strlen(t->compounds)},
        [WORLD_DEVICES] = {"/etc/t/devices.csv", t->devices, strlen(t->devices)},
    };
    if (t->params)
        parts[WORLD_PARAMS] =
            (struct world_text){"/etc/t/params.csv", t->params, strlen(t->params)};
    struct zone *z = NULL;
    if (t->shanghai && (zone_open("Asia/Shanghai", &z) != 0 || world_zone_text(z, zone) != 0)) {
        zone_free(z);
        return -1;
    }
    zone_free(z);
    if (t->shanghai)
        parts[WORLD_ZONE] = (struct world_text){"Asia/Shanghai", zone->data, zone->len};
    int r = world_bundle(parts, out);
    if (r == 0 && t->profile) {
        struct world_text two[2] = {{"/etc/t/trap.yaml", t->profile, strlen(t->profile)}};
        if (t->profile2)
            two[1] = (struct world_text){"/etc/t/two.yaml", t->profile2, strlen(t->profile2)};
        r = world_bundle_profiles(two, t->profile2 ? 2 : 1, out);
    }
    if (r == 0 && t->rules) {
        struct world_text text = {"/etc/t/rules.yaml", t->rules, strlen(t->rules)};
        r = world_bundle_rules(&text, 1, out);
    }
    return r;
}

/* NULL if it is refused. */
static inline struct world *small_world(const struct small_world *t)
{
    struct problems *problems = problems_new(50);
    struct world *w = NULL;
    struct buf zone, b;
    buf_init(&zone, 1 << 20);
    buf_init(&b, (size_t)256 << 20);
    if (small_world_bundle(t, &zone, &b) != 0)
        (void)fputs("the world's files cannot be bundled\n", stderr);
    else if (world_open(b.data, b.len, problems, &w) != 0)
        for (size_t i = 0; i < problems_count(problems); i++)
            (void)fprintf(stderr, "%s\n", problems_get(problems, i));
    buf_done(&b);
    buf_done(&zone);
    problems_free(problems);
    return w;
}

#endif
