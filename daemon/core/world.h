/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_WORLD_H
#define CORE_WORLD_H
/*
 * world — one generation of everything people configure, as the engine sees it.
 *
 * A generation is a bundle: the texts of configuration, catalogue, registry, profiles and rules in
 * one piece, addressed by the hash of its content. The journal records which generation was in force
 * from where; a replay opens the same bundle and gets the same world. Immutable once open;
 * opening may run on any thread. Cross-checks that need more than one file are made here.
 *
 * The time zone is in the bundle as the table of its changes, so that a replay under another
 * tzdata gives the same times. Bundles of 0.1 have neither zone nor profiles nor rules: the system
 * is asked for the zone then (nothing in them reads local times).
 */
#include "base/zone.h"
#include "core/catalog.h"
#include "core/conf.h"
#include "core/profile.h"
#include "core/registry.h"
#include "core/route.h"
#include "core/rules.h"

#define WORLD_NATIVE "gaihou-json" /* the profile that is not a file */

#define WORLD_DAY 1440 /* minutes */

struct world_source { /* one topic of a source: what a route's values count */
    struct topic_pattern *topic;
    const struct profile *profile; /* NULL: the native one */
    unsigned broker;               /* index into conf->brokers */
    unsigned qos;
    unsigned index; /* into conf->sources */
};

struct world {
    char hash[33]; /* XXH3-128 of the bundle, 32 hex digits: its address */
    struct conf *conf;
    struct catalog *catalog;
    struct registry *registry;
    struct zone *zone; /* gateway.timezone; always there */
    struct profile_set *profiles;
    struct rules *rules; /* always there; may be empty */
    struct world_source *sources;
    size_t n_sources;
    /* conf->n_brokers + 1: by broker, and the last one of all brokers, for reinjected messages,
     * which may come from one that is no longer there. */
    struct route **routes;
    /* Devices by the minute of the day of their daily point: those of minute m stand in by_minute from
     * minutes[m] to minutes[m + 1], in the registry's order. */
    uint32_t *by_minute, minutes[WORLD_DAY + 1];
    struct world_link *link; /* to the generation before; NULL: not made */
};

enum world_part {
    WORLD_CONF,
    WORLD_CATALOG,
    WORLD_COMPOUNDS,
    WORLD_DEVICES,
    WORLD_PARAMS,
    WORLD_ZONE, /* what world_zone_text wrote */
    WORLD_PARTS
};

struct world_text {
    const char *file; /* NULL: not there */
    const char *text;
    size_t len;
};

/* The ceiling of one file, which gaihou-registry(5) promises, and of the bundle, bytes. */
#define WORLD_MAX_FILE   REGISTRY_MAX_BYTES
#define WORLD_MAX_BUNDLE ((size_t)256 << 20)
/* Of profiles, bytes and files. */
#define WORLD_MAX_PROFILE  ((size_t)1 << 20)
#define WORLD_MAX_PROFILES 256

int world_bundle(const struct world_text parts[WORLD_PARTS],
                 struct buf *out); /* 0 or -ENOBUFS */
/* The same piece by piece, the parts in their order; the text of a large one is not held twice when it is
 * read into the room for it, exactly `len` bytes (NULL: -ENOBUFS). */
int world_bundle_begin(struct buf *out);
int world_bundle_part(enum world_part i, const struct world_text *t, struct buf *out);
char *world_bundle_room(enum world_part i, const char *file, size_t len, struct buf *out);
void world_bundle_filled(size_t len, struct buf *out);
/* The profiles, behind what world_bundle wrote; in the order of their names, whatever they come
 * in. 0 or -ENOBUFS. */
int world_bundle_profiles(const struct world_text *profiles, size_t n, struct buf *out);
/* The rule files, behind the profiles; likewise. At most RULES_MAX_FILES of RULES_MAX_FILE bytes. */
int world_bundle_rules(const struct world_text *rules, size_t n, struct buf *out);
/* A bundle like this one, but with these rule files, and with this catalogue (NULL: its own): what
 * a past generation would have been under other rules. 0, -EINVAL: it is no bundle, -ENOBUFS. */
int world_bundle_other(const char *bundle, size_t len, const struct world_text *catalog,
                       const struct world_text *rules, size_t n_rules, struct buf *out);
int world_zone_text(const struct zone *z, struct buf *out); /* 0 or -ENOBUFS */
/* 0; -EINVAL with every problem told, also of the other parts of a bundle without WORLD_CONF. Of a bundle that was in force once, with problems_new_kept:
 * what a later version judges more strictly is taken as it was taken then. */
int world_open(const char *bundle, size_t len, struct problems *problems, struct world **out);
/* The same, with some of the gateway's rules only (who wrote one tries it): that none of them reads
 * a parameter of params.csv is no news. */
int world_open_some_rules(const char *bundle, size_t len, struct problems *problems,
                          struct world **out);
void world_free(struct world *w);
/* Looks every device of `w` up in the generation before and the other way round, so that the
 * change-over, which the loop makes, need not: for the pool, before `w` is offered. */
void world_link(struct world *w, const struct world *before);
/* The device of the same code in the other generation, or NULL; with a link or without. */
const struct device *world_device_before(const struct world *w, const struct world *before,
                                         const struct device *d);
const struct device *world_device_after(const struct world *w, const struct world *before,
                                        const struct device *old);
/* Is the device of this process's lane (gateway.lane)? */
bool world_serves(const struct world *w, const struct device *d);
/* The sources whose topic fits, as indexes into `sources`, ascending: the order in which they are
 * asked. broker ≥ conf->n_brokers: of any broker. */
size_t world_route(const struct world *w, unsigned broker, const char *topic, size_t len,
                   uint32_t out_sources[ROUTE_MAX_HITS]);
/* Subscriptions of one broker, each filter once at its highest QoS, and none whose topics all fit
 * another one: a broker delivers a message once for each subscription that it fits. Returns how
 * many, fills at most `max`. */
size_t world_filters(const struct world *w, unsigned broker, const char **out_filters,
                     unsigned *out_qos, size_t max);

#endif
