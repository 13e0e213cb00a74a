/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_PIPELINE_H
#define APP_PIPELINE_H
/*
 * pipeline — drives the engine along the journal, on the loop, and hands its output on.
 *
 * Owns: the journal's reader, the engine, the worlds the engine stands in, the batch for the
 * store, when the journal is synced, when a snapshot is taken. Promises: nothing turns more
 * than ~10 ms at a time; nothing derived is written before the journal is synced past its
 * cause; what sinks and store already have is not emitted to them again; a snapshot is renamed
 * into place only when every sink's log and the store's cursor are durable beyond it.
 * Transitions and replies wait for no timer: the journal is synced at once (one sync at a time; what
 * comes meanwhile shares the next) and their batch commits behind it. Where the replay comes to
 * the store's cursor, the open cases become what the store says, each difference told.
 *
 * Threads: pipeline_notify from any thread, everything else on the loop.
 */
#include "app/sink.h"
#include "core/engine.h"
#include "io/journal.h"
#include "io/loop.h"
#include "io/snapshot.h"
#include "io/store.h"

struct pipeline;

struct pipeline_options {
    struct loop *loop;
    struct journal *journal;
    struct store *store;
    struct position store_cursor;
    bool store_fresh;    /* of store_opened */
    uint64_t epoch_from; /* the same */
    struct sink **sinks;
    size_t n_sinks;
    struct snapshots *snapshots; /* those that are there; for pipeline_open only */
    const char *snapshot_dir, *content_dir, *archive_dir; /* archive_dir NULL: no archive */
    const struct conf_journal *conf;
    struct world *world;                       /* the newest one; becomes the pipeline's */
    void (*fatal)(void *ctx, const char *why); /* journal or store cannot go on: stop (74) */
    /* The journal has records of a generation that this version cannot open: stop (78). */
    void (*refused)(void *ctx, const char *why);
    /* The engine's, of messages that this process received; never in a replay. */
    void (*rebirth)(void *ctx, unsigned broker, const char *topic, size_t len);
    /* The engine's answer to a command of origin ≠ 0, when its effect is committed. May be of an
     * earlier process. NULL: nobody asks. */
    void (*reply)(void *ctx, uint64_t origin, enum case_answer answer, const char *json,
                  size_t len);
    void *ctx;
};

struct pipeline_stats {
    struct position at;
    uint64_t lag_bytes, unread; /* of the journal beyond the engine */
    double lag_seconds;         /* age of the oldest unread record, by wall time; 0 when none */
    uint64_t drains, wakes, drain_ns_max, snapshots, snapshot_ns_last;
    uint64_t snapshot_pause_ns_max; /* the longest that the engine waited for its image */
    uint64_t snapshots_unforked;    /* copied in memory: no process could be made */
    uint64_t snapshots_failed, snapshots_failed_in_row; /* … since the last good one */
    char snapshot_problem[160];                         /* of the last that failed */
    struct position snapshot;
    uint64_t snapshot_bytes;
    bool replaying;    /* not yet at the place where this process began */
    uint64_t replayed; /* records, in the first catch-up */
    double replay_seconds;
    uint64_t transitions, replies; /* handed to the store */
    uint64_t adopt_differs;        /* open cases that were other than the store says */
    /* From the engine's word to the commit, of batches with transitions or replies. */
    uint64_t alarm_ns_last, alarm_ns_max;
    bool
        rolled_back; /* the store was restored to an older state, or lost: the stream must get a
                         new epoch (store_epoch is 0 soon) */
};

/* Loads the newest good snapshot that fits, and opens the reader behind it. Nothing runs yet. -EINVAL:
 * what is kept was made under a generation that this version cannot open; nothing was changed.
 */
int pipeline_open(const struct pipeline_options *o, struct err *err, struct pipeline **out);
/* Whether what the records below that offset gave the store is there for who asks it next; if not, it
 * is hurried along. An offset of 0 becomes the journal's end. */
bool pipeline_has_stored(struct pipeline *p, uint64_t *offset);
void pipeline_start(struct pipeline *p);
void pipeline_notify(struct pipeline *p); /* records were appended; any thread, cheap */
/* A world for the generation whose record is about to be appended. */
void pipeline_offer(struct pipeline *p, struct world *w);
const struct world *pipeline_newest(const struct pipeline *p);
bool pipeline_changing(
    const struct pipeline *p); /* the engine has not reached the newest yet */
/* Drains what the journal holds, flushes sinks and store, takes a snapshot; then done(ctx). */
void pipeline_stop(struct pipeline *p, loop_fn *done, void *ctx);
void pipeline_close(struct pipeline *p);

const struct engine *pipeline_engine(const struct pipeline *p);
void pipeline_stats(const struct pipeline *p, struct pipeline_stats *out);

#endif
