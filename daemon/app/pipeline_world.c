/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations: which world the engine stands in. The newest is the one the rest of the process
 * lives by; a replay may pass through older ones, opened again from their bundles.
 */
#include "app/pipeline_private.h"
#include "base/check.h"
#include "base/log.h"
#include "io/content.h"

#include <stdlib.h>
#include <string.h>

int pipeline_load_world(struct pipeline *p, const char *hash, struct err *err,
                        struct world **out)
{
    char *bundle = NULL;
    size_t len = 0;
    int r = content_get(p->o.content_dir, hash, &bundle, &len);
    if (r != 0) {
        log_error("generation %s: its files are not kept any more (%s)", hash, strerror(-r));
        return -ENOENT;
    }
    struct problems *problems = problems_new_kept(8);
    r = world_open(bundle, len, problems, out);
    if (r != 0)
        (void)err_set(err, r,
                      "generation %s, which the journal was written under, cannot be opened by "
                      "this version: %s; nothing was changed: start the version that ran last, "
                      "correct it there, reload and stop, and come back; or, to pass what it "
                      "holds under other files and without its state, move %s/%s away",
                      hash, problems_get(problems, 0), p->o.content_dir, hash);
    problems_free(problems);
    free(bundle);
    return r;
}

static void forget_before(struct pipeline *p, size_t keep)
{
    for (size_t i = 0; i < keep; i++)
        world_free(p->worlds[i]);
    memmove(p->worlds, p->worlds + keep, (p->n_worlds - keep) * sizeof(p->worlds[0]));
    p->n_worlds -= keep;
}

void pipeline_stand_in(struct pipeline *p, struct world *w)
{
    struct world *old = p->replayed;
    engine_use(p->engine, w);
    pipeline_gather_again(p);
    p->replayed = NULL;
    if (old != w)
        world_free(old);
}

/* The engine is about to pass this generation record. Without its files the history goes
 * on under the generation before, and that was said; with files that this version cannot open it does
 * not go on at all. */
int pipeline_switch(struct pipeline *p, const struct record *g, struct err *err)
{
    static const char kind[] = "world";
    char hash[33] = "";
    if (g->body_len != sizeof(kind) + 32 || memcmp(g->body, kind, sizeof(kind)) != 0)
        return 0; /* of a later version */
    memcpy(hash, g->body + sizeof(kind), 32);
    if (strcmp(engine_world(p->engine)->hash, hash) == 0)
        return 0;
    for (size_t i = 0; i < p->n_worlds; i++) {
        if (strcmp(p->worlds[i]->hash, hash) == 0) {
            pipeline_stand_in(p, p->worlds[i]);
            forget_before(p, i);
            return 0;
        }
    }
    struct world *w;
    int r = pipeline_load_world(p, hash, err, &w);
    if (r == 0) {
        pipeline_stand_in(p, w);
        p->replayed = w;
    }
    return r == -ENOENT ? 0 : r;
}

void pipeline_offer(struct pipeline *p, struct world *w)
{
    ASSERT(p->n_worlds <
           MAX_WORLDS); /* the caller waits for the engine: one reload at a time */
    p->worlds[p->n_worlds++] = w;
}

const struct world *pipeline_newest(const struct pipeline *p)
{
    return p->worlds[p->n_worlds - 1];
}

bool pipeline_changing(const struct pipeline *p)
{
    return p->n_worlds > 1 || p->replayed;
}

void pipeline_free_worlds(struct pipeline *p)
{
    world_free(p->replayed);
    for (size_t i = 0; i < p->n_worlds; i++)
        world_free(p->worlds[i]);
}
