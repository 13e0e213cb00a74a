/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_RULES_PAST_H
#define CTL_RULES_PAST_H
/*
 * rules_past — the records of a data folder (ctl/history.h) through an engine, with the rules that
 * were in force or with others.
 *
 * Messages are decoded by the generation that was in force when they came. The engine begins with
 * nothing: `warm_ms` before the period, so that windows and silence are as they would have been.
 */
#include "core/engine.h"
#include "ctl/history.h"

struct past_run { /* one engine; several may go along one another */
    struct engine *engine;
    struct world *world;
    /* The rules instead of the recorded ones; NULL: those. catalog: likewise. */
    const struct world_text *rules, *catalog;
    size_t n_rules;
    void *ctx;
    void (*transition)(void *ctx, const struct transition *t);
    void (*point)(void *ctx, const struct point *p);
    struct position at; /* of the running step */
    int64_t wall_ms;
};

struct past {
    struct history h;
    int64_t from_ms, to_ms;     /* the period */
    int64_t begins_ms, ends_ms; /* what the folder has of it */
    uint64_t records, messages;
    bool gone; /* a generation's files were not there */
};

/* T: RFC 3339, a day (2026-11-20), or an age (30d, 6h) before the newest record. NULL: the
 * beginning, or the end, of what there is. 0 or an
 * exit code, told; needs past_close in either
 * case. */
int past_open(struct past *p, const char *dir, const char *from, const char *to,
              int64_t warm_ms);
/* All records from the beginning on through these engines (made here). */
int past_walk(struct past *p, struct past_run *runs, size_t n);
void past_run_done(struct past_run *x);
/* Back to the beginning. */
int past_rewind(struct past *p);
void past_close(struct past *p);
/* "2026-11-20 08:00:00" in the zone. */
const char *past_time(char room[32], const struct zone *z, int64_t ms);

#endif
