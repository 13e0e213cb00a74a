/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_WORLD_H
#define CORE_WORLD_H
/*
 * world — one generation of everything people configure, as the engine sees it.
 *
 * A generation is a bundle: the texts of configuration, catalogue and registry in one piece,
 * addressed by the hash of its content. The journal records which generation was in force from
 * where; a replay opens the same bundle and gets the same world. Immutable once open; opening
 * may run on any thread. Cross-checks that need more than one file are made here.
 */
#include "core/catalog.h"
#include "core/conf.h"
#include "core/registry.h"
#include "core/topic.h"

struct world_source {
    struct topic_pattern *topic;
    unsigned broker; /* index into conf->brokers */
    unsigned qos;
    const char *profile;
};

struct world {
    char hash[33]; /* XXH3-128 of the bundle, 32 hex digits: its address */
    struct conf *conf;
    struct catalog *catalog;
    struct registry *registry;
    struct world_source *sources;
    size_t n_sources;
};

enum world_part {
    WORLD_CONF,
    WORLD_CATALOG,
    WORLD_COMPOUNDS,
    WORLD_DEVICES,
    WORLD_PARAMS,
    WORLD_PARTS
};

struct world_text {
    const char *file; /* NULL: not there */
    const char *text;
    size_t len;
};

/* The ceiling of one file and of the bundle, bytes. */
#define WORLD_MAX_FILE   ((size_t)128 << 20)
#define WORLD_MAX_BUNDLE ((size_t)256 << 20)

int world_bundle(const struct world_text parts[WORLD_PARTS],
                 struct buf *out); /* 0 or -ENOBUFS */
/* 0; -EINVAL with every problem told. */
int world_open(const char *bundle, size_t len, struct problems *problems, struct world **out);
void world_free(struct world *w);
/* Subscriptions of one broker; returns how many, fills at most `max`. */
size_t world_filters(const struct world *w, unsigned broker, const char **out_filters,
                     unsigned *out_qos, size_t max);

#endif
