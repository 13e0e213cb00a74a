/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_PIPELINE_PRIVATE_H
#define APP_PIPELINE_PRIVATE_H
/*
 * pipeline_private — what the pipeline's files share; included by app/pipeline*.c only.
 */
#include "app/pipeline.h"
#include "base/log.h"
#include "io/image.h"
#include "io/snapshot.h"

#include <stdatomic.h>

#define MAX_WORLDS     8
#define PIPELINE_AHEAD (ENGINE_AHEAD + 1)

struct answered { /* a command's answer, told when its effect is committed */
    struct answered *next;
    uint64_t origin;
    enum case_answer answer;
    size_t len;
    char json[];
};

struct
    waiting_batch { /* for the store, until the journal is synced past it; then handed over */
    struct pipeline *p; /* NULL: closed before the store answered */
    struct store_batch *batch;
    uint64_t offset;
    uint64_t began_ns; /* of its first transition or reply; 0: none */
    struct answered *answers;
    bool for_snapshot; /* the snapshot waits for its commit */
    struct waiting_batch *next;
};

struct batch_list {
    struct waiting_batch *first, **last;
};

struct adopted { /* the store's open cases, until the replay comes to its cursor */
    struct pipeline *p;
    char **blobs;
    size_t *lens;
    size_t n, cap;
};

enum snap_state { SNAP_IDLE, SNAP_GATHERING, SNAP_SAVING, SNAP_FLUSHING, SNAP_COMMITTING };

struct snap {
    enum snap_state state;
    struct image *image;   /* while it is saved */
    bool gathered;         /* what was built last is in large pages */
    uint64_t turns;        /* of the sync timer since then */
    atomic_bool no_gather; /* it stops: large pages are for those that come after */
    struct snapshot_writer *writer;
    struct position at;
    uint64_t read_to;           /* the reader's place then */
    struct trailer_entry *ends; /* per sink, as of the commit */
    int failed;
    int failed_said;  /* since the last good one; 0: nothing */
    unsigned flushes; /* sinks not durable yet, plus one for the store */
    uint64_t began_ns, last_ns, last_offset;
    uint64_t release; /* the journal may go below this: the second-newest snapshot */
    int kept;         /* -errno: old segments could not be archived or removed */
    bool unsure;      /* a snapshot that is kept does not verify */
    struct log_state kept_log, unsure_log, image_log;
};

struct pipeline {
    struct pipeline_options o;
    struct engine *engine;
    struct journal_reader *reader;
    uint64_t read_to;                    /* what was passed; the reader is ahead of it */
    struct record early[PIPELINE_AHEAD]; /* read and not passed yet: a ring */
    size_t early_at, n_early;
    int early_end;           /* 1; or how journal_read() failed behind them, */
    struct record early_bad; /* and where */

    struct world
        *worlds[MAX_WORLDS]; /* oldest first; [0] may be in use, the last is the newest */
    size_t n_worlds;
    struct world *replayed; /* an old generation, opened for replay; NULL once past them */

    struct loop_wake *wake;
    struct loop_timer *linger, *retry, *tick, *sync;
    atomic_int asleep;
    bool running, stopping, stalled;
    uint64_t drained_ns; /* when the last drain ended */
    uint64_t tick_at_ns; /* when `tick` is due */
    bool tick_refused;   /* the journal had no room for our record of the time */

    uint64_t
        passing; /* end of the record that is passed: what follows from it waits for its sync */
    int64_t passing_wall_ms; /* when it was written, as our clock said then, believed or not */
    bool emit_store;         /* of the running step */
    bool emit[64];           /* per sink, of the running step */

    bool syncing, sync_again;
    int sync_result;
    uint64_t synced;
    bool preparing;
    struct log_state ahead;           /* a whole segment can be made */
    struct log_state clock;           /* our wall clock is believed */
    struct log_state cases;           /* there is room for more open ones */
    struct log_state firms;           /* there is room for all that should listen */
    uint64_t not_opened, not_watched; /* as they were a moment ago */

    struct store_batch *batch; /* open */
    size_t batch_rows;
    uint64_t batch_began_ns; /* its first transition or reply; 0: none */
    struct answered *answers, **answers_end;
    struct batch_list batches, handed;
    uint64_t waiting_bytes;
    uint64_t handed_to; /* the last batch that the store was given ended here */

    struct adopted *adopt; /* NULL: done, or there was nothing to take over */
    bool loading;          /* the store has not said all of them yet */
    uint64_t epoch_from;   /* stream records below it are of a stream that is over */

    struct snap snap;
    loop_fn *stopped;
    void *stopped_ctx;

    struct pipeline_stats stats;
    uint64_t start_end, start_ns; /* the journal's end when this process began */
    uint64_t start_records;       /* that the snapshot had passed */
};

/* pipeline.c */
void pipeline_drain(struct pipeline *p);
/* How long messages may gather before the next drain, at so many a second. A wake costs as much as
 * some ten of them, its caches being cold; points wait for their block anyway, but alarms wait for us. */
uint64_t pipeline_linger_ms(uint64_t rate, bool alarms);
void pipeline_fatal(struct pipeline *p, const char *what, int error);
void pipeline_sync(struct pipeline *p); /* now, or behind the one under way */
/* pipeline_alarm.c: transitions, replies, the stream, the store's open cases */
void pipeline_transition(void *ctx, const struct transition *t);
void pipeline_reply(void *ctx, const struct case_reply *r);
void pipeline_stream(struct pipeline *p, const struct record *r);
void pipeline_hurry(struct pipeline *p); /* what the engine just said of alarms goes its way */
void pipeline_look_for_rollback(struct pipeline *p, struct snapshots *snapshots);
void pipeline_load_cases(struct pipeline *p);
void pipeline_adopt(struct pipeline *p);
void pipeline_forget_cases(struct pipeline *p);
/* pipeline_store.c: letters, cursor, the gate */
void pipeline_letter(void *ctx, const struct engine_letter *l);
struct store_batch *pipeline_batch(struct pipeline *p); /* the open one; one row more */
void pipeline_hand_batch(struct pipeline *p, bool for_snapshot); /* then also when empty */
void pipeline_release_batches(struct pipeline *p);
void pipeline_free_batches(struct pipeline *p);
/* pipeline_snapshot.c */
void pipeline_snapshot_maybe(struct pipeline *p);
/* What a start or a generation has built is in small pages, too, and the first image behind it should not
 * be the slowest: called with each turn of the sync timer, a job gathers it once, a few seconds later. */
void pipeline_gather(struct pipeline *p);
void pipeline_gather_again(struct pipeline *p);      /* the engine has its tables anew */
void pipeline_snapshot_if_tight(struct pipeline *p); /* beside it, a few times a second */
void pipeline_snapshot_begin(struct pipeline *p);
void pipeline_snapshot_flushed(void *ctx);
int pipeline_restore(struct pipeline *p, struct snapshots *snapshots, struct err *err);
/* pipeline_world.c */
/* Both: -EINVAL, with its text: this version cannot open it. pipeline_load_world: -ENOENT, logged. */
int pipeline_switch(struct pipeline *p, const struct record *generation, struct err *err);
/* The engine goes on with w; one that was read for the past is freed behind it. */
void pipeline_stand_in(struct pipeline *p, struct world *w);
int pipeline_load_world(struct pipeline *p, const char *hash, struct err *err,
                        struct world **out);
void pipeline_free_worlds(struct pipeline *p);

#endif
