/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_LOAD_H
#define APP_LOAD_H
/*
 * load — reads the configuration and all files it names into one bundle and one world.
 *
 * For the start, for --check and for a reload alike; all problems of all files in one pass, also when the
 * configuration itself is wrong, but for those that need a file which cannot be read or told, and nothing at all when there is one: never half.
 * Profiles that no source uses, and rules that concern no device, are checked like the others. May
 * run on a pool thread.
 */
#include "core/world.h"

struct loaded {
    /* May be set before: called once the configuration itself is good, before the files that it
     * names are read. They may turn out bad. */
    void (*begins)(void *ctx, const struct conf *c);
    void *ctx;
    struct world *world;
    struct conf *conf; /* the same configuration once more, with a life of its own */
    struct buf bundle; /* its content, for the generation store */
};

/* 0, or -EINVAL with the problems told; out->conf is there all the same if the configuration itself is
 * good, for what else it names. load_free in both cases. */
int load_all(const char *conf_path, struct problems *problems, struct loaded *out);
void load_free(struct loaded *l); /* what has been taken over is set to NULL first */

#endif
