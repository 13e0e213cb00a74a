/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_STORE_H
#define IO_STORE_H
/*
 * store — what must be kept with transactions: dead letters, quarantine, the cursor (SQLite, WAL,
 * synchronous FULL), on a thread of its own. Faked in tests/sim.
 *
 * The loop hands over batches and gets their outcome back on the loop; batches commit in the
 * order they were handed over, and a batch is one transaction. A store that cannot commit is
 * final: the process stops (74). Numbered migrations; every released version stays readable.
 *
 * Ceilings: dead letters (messages and refused lines together) and quarantine have dead_bytes
 * each, and a source (the topic's first two levels, or a sink) 1 MiB a minute. When the dead
 * letters are full, the older half stays and the oldest of the newer half go. The quarantine is
 * a fixed table of devices, a quarter of it at most for one source, with the last 20 messages of
 * each. Whatever is not kept, or goes to make room, is counted by reason in the store itself
 * (STORE_COUNTS: not_kept), never silently gone.
 *
 * Every call with a callback gets exactly one answer on the loop, at the latest from within
 * store_close(); never from inside the call itself. All functions belong to the loop's thread.
 */
#include "base/buf.h"
#include "base/err.h"
#include "core/position.h"
#include "io/loop.h"

struct store;
struct store_batch;
struct transition; /* core/cases.h */
struct case_reply;

struct store_options {
    const char *path; /* …/store.db */
    uint64_t dead_bytes, quarantine_devices;
    uint64_t keep_s; /* history of alarms; 0: for ever */
    bool no_outbox;  /* nobody tells: transitions are numbered and kept, and wait for nobody */
};

struct store_opened { /* read at open */
    struct position cursor;
    bool fresh;          /* the store was created now */
    uint64_t epoch_from; /* of the last store_batch_no_epoch: only stream records at or above it
                            make an epoch known; 0: all do */
};

int store_open(struct loop *l, const struct store_options *o, struct err *err,
               struct store_opened *out_state, struct store **out);
/* -EBADMSG: damaged or not ours (left as it is); -EPROTONOSUPPORT: made by a newer gaihoud. */
void store_close(struct store *s); /* commits what was handed over */

struct
    store_letter { /* a message that could not be used (dead letter), or of an unknown device */
    struct position at;
    uint64_t record_offset; /* in the journal; with at.ordinal unique */
    int64_t wall_ns;
    uint64_t engine_ns;
    const char *reason; /* "bad_json", … */
    const char *detail; /* a sentence, may be NULL */
    const char *broker; /* id */
    const char *topic;
    size_t topic_len;
    const void *payload;
    size_t payload_len;
    uint8_t flags;      /* record flags */
    bool again;         /* taken up again: the message was counted when it came */
    const char *device; /* quarantine: what it called itself */
    size_t device_len;
    const char *compound; /* quarantine: the topic's compound, may be NULL */
};
struct store_line { /* a line that a database refused; unique by (sink, block, line) */
    const char *sink;
    uint64_t block;
    uint32_t line;
    int64_t wall_ns;
    const char *reason, *detail;
    int status;
    const char *text;
    size_t text_len;
};

struct store_batch *store_batch_new(void);
void store_batch_free(struct store_batch *b); /* only if it was not handed over */
size_t store_batch_bytes(const struct store_batch *b);
void store_batch_dead(struct store_batch *b, const struct store_letter *l); /* copies */
void store_batch_quarantine(struct store_batch *b, const struct store_letter *l);
void store_batch_line(struct store_batch *b, const struct store_line *l);
void store_batch_cursor(struct store_batch *b, const struct position *cursor);

/* Hands the batch over (it is the store's from then on). status 0 or -errno (final). */
typedef void store_fn(void *ctx, int status);
void store_commit(struct store *s, struct store_batch *b, store_fn *fn, void *ctx);
uint64_t store_waiting_bytes(const struct store *s); /* handed over, not committed */

/* Queries for people, answered as JSON text on the loop (contracts of gaihou-http(7)). */
enum store_query {
    STORE_DEAD_LIST,
    STORE_DEAD_SHOW,
    STORE_DEAD_PURGE,
    STORE_QUARANTINE_LIST,
    STORE_QUARANTINE_SHOW,
    STORE_QUARANTINE_PURGE,
    STORE_COUNTS, /* what was not kept, by reason; so far asked by tests only */
};
struct store_filter {
    uint64_t id;                                /* show, purge, replay one; 0: all that match */
    const char *reason, *device, *topic_prefix; /* NULL: any */
    uint64_t limit;  /* lists: 0: 100, at most 1000; store_letters: 0: all */
    uint64_t before; /* lists: only ids below it (0: from the newest); the answer's "next" */
    bool
        lines; /* store_letters: of the dead, refused lines (payload: the line, device: its sink)
                        instead of messages; `device` picks a sink */
};
/* status 0; -ENOENT: show found nothing; -ECANCELED: closing; others: the store failed. */
typedef void store_json_fn(void *ctx, int status, const char *json, size_t len);
void store_ask(struct store *s, enum store_query q, const struct store_filter *f,
               store_json_fn *fn, void *ctx);
/* Raw messages to take up again, oldest first, in chunks: fn gets each letter (valid for the call)
 * on the loop, then done with how many; rows are marked replayed by store_mark_replayed: dead
 * letters stay as history, quarantined messages go, and their device with the last one. A line that is
 * marked for the first time is counted as retaken, in the same transaction. Rows that came after the
 * call, or were replayed already, are not handed out. */
typedef void store_letter_fn(void *ctx, uint64_t id, const struct store_letter *l);
typedef void store_letters_done_fn(void *ctx, int status, uint64_t n);
void store_letters(struct store *s, bool quarantine, const struct store_filter *f,
                   store_letter_fn *fn, store_letters_done_fn *done, void *ctx);
void store_mark_replayed(struct store *s, bool quarantine, const uint64_t *ids, size_t n,
                         store_fn *fn, void *ctx);

/* -- alarms (docs/alarms.md) ---------------------------------------------------------------
 *
 * A transition commits with the batch's cursor: history row, the case's row (its last told state,
 * its blob), and, if it is to be delivered, its `seq` – per (stream, firm, compound), from 1, without
 * gaps – and a row of the outbox. What is told once keeps its bytes for ever. A transition or
 * reply of a position (and place within it) that is there already changes nothing: all of one
 * position must be in one batch. Where a case's retained state lies is known here: when it is
 * told elsewhere, or ends masked, the row says what is to be emptied.
 *
 * The stream's epoch lives here: store_epoch is 0 in a store that has none yet, or none any
 * more. With another epoch than before, what waits in the outbox gets that epoch's stream and
 * numbers: a number of the old one may have been told as something else, and this store does not
 * know. So nothing of the outbox may be told while store_epoch is not the epoch agreed upon. */
void store_batch_transition(struct store_batch *b, const struct position *at,
                            const struct transition *t); /* copies */
/* Topic: to->reply_to, or reply/FIRM/COMPOUND. A reply of origin ≠ 0 is only remembered. All
 * replies are, with the command, as the audit of who did what. */
void store_batch_reply(struct store_batch *b, const struct position *at,
                       const struct case_reply *r, int64_t expires_wall_ms); /* io/clock.h's */
void store_batch_epoch(struct store_batch *b, uint64_t epoch);
/* The store was rolled back: what it says of the stream is not to be gone on with. store_epoch is
 * 0 from the commit on, also in later processes, until an epoch of a record at or above
 * until_offset is known; store_opened.epoch_from keeps that offset. */
void store_batch_no_epoch(struct store_batch *b, uint64_t until_offset);
uint64_t store_epoch(const struct store *s);
uint64_t store_epoch_last(const struct store *s); /* the highest ever; a new one is above it */

enum store_tell { /* what is published for a row, in this order */
                  TELL_URGENT = 1,
                  TELL_STATE = 2, /* retained */
                  TELL_EVENT = 4,
                  TELL_CLOSE = 8,  /* the retained topic is emptied, after the event */
                  TELL_LEAVE = 16, /* … and that below was_firm/was_compound */
                  TELL_REPLY = 32,
};
struct store_out { /* a row of the outbox; valid for the call */
    uint64_t id;   /* ascending; the order within a (firm, compound) */
    unsigned tell;
    bool urgent; /* TELL_URGENT is in it */
    const char *firm, *compound, *case_id, *was_firm, *was_compound;
    uint64_t seq;
    uint64_t offset;   /* the place in the journal that the transition came of; 0: a reply */
    const char *topic; /* replies: whole below the prefix */
    const void *correlation;
    size_t correlation_len;
    int64_t expires_wall_ms; /* replies; 0: never */
    const char *payload;
    size_t len;
};
typedef void store_out_fn(void *ctx, const struct store_out *o);
typedef void store_outs_done_fn(void *ctx, int status, uint64_t n, bool more);
/* Rows above after_id that are not done, oldest first, up to max_bytes of payload. */
void store_outbox(struct store *s, uint64_t after_id, bool urgent_only, size_t max_bytes,
                  store_out_fn *fn, store_outs_done_fn *done, void *ctx);
/* The broker has them: marked with the next commit, at the latest after 150 ms; order is free.
 * What a crash leaves unmarked is told again, the same bytes. */
void store_outbox_done(struct store *s, const uint64_t *ids, size_t n);
/* Called on the loop after commits that put rows into the outbox, behind the commits' own
 * callbacks. */
void store_on_outbox(struct store *s, loop_fn *fn, void *ctx);

struct store_case { /* an open case; valid for the call */
    const char *case_id;
    const char *firm, *compound; /* below which it was told; if never: whose it is */
    uint64_t seq;                /* of the last told state; 0: never told */
    const char *payload;         /* the last told state, with its seq; NULL: never told */
    size_t len;
    const char *blob; /* of its last transition, told or not */
    size_t blob_len;
};
typedef void store_case_fn(void *ctx, const struct store_case *c);
/* All open cases (firm NULL: of all), in chunks on the loop, then done(status, n, false). */
void store_open_cases(struct store *s, const char *firm, store_case_fn *fn,
                      store_outs_done_fn *done, void *ctx);

enum store_place { /* of a case, as its state says: where it was then */
                   STORE_DISTRICT,
                   STORE_STREET,
                   STORE_COMMUNITY,
                   STORE_GRID,
                   STORE_BUILDING,
                   STORE_PLACES
};
#define STORE_PLACE_NAMES                                                                      \
    {                                                                                          \
        "district", "street", "community", "grid", "building"                                  \
    }
struct store_alert_filter {                                              /* NULL or 0: any */
    const char *id, *compound, *firm, *device, *rule, *severity, *state; /* "open", "closed" */
    const char *place[STORE_PLACES];
    int64_t from_ms, to_ms;
    uint64_t limit, before; /* as in store_filter */
    bool test;              /* of history: only what was marked as a test */
};
enum store_alert_query { STORE_ALERT_LIST, STORE_ALERT_SHOW, STORE_ALERT_HISTORY };
/* status also: -EINVAL: `state` is no such word. */
void store_ask_alerts(struct store *s, enum store_alert_query q,
                      const struct store_alert_filter *f, store_json_fn *fn, void *ctx);

#define STORE_SINKS 64
struct store_retaken { /* lines that a database had refused and took later, ever */
    char sink[72];
    uint64_t lines;
};
struct store_stats {
    uint64_t open_cases, outbox_rows, outbox_urgent; /* now; urgent: rows with TELL_URGENT */
    uint64_t alarm_offset; /* the highest place in the journal that a transition came of, as the
                            * store was opened: no more was told */
    /* Since the process began. repeated: transitions that were there already; delivered: rows
     * of the outbox that were marked done, urgent_delivered: urgent ones of them; pruned: rows of
     * old history. */
    uint64_t transitions, repeated, delivered, urgent_delivered, pruned;
    uint64_t commits, commit_ns_last, commit_ns_max;
    uint64_t dead_rows, dead_bytes, dead_not_kept, quarantine_devices, quarantine_rows,
        quarantine_not_kept;
    struct store_retaken retaken[STORE_SINKS]; /* sink "": none further */
    int failed;                                /* -errno, final */
    char problem[256];
};
void store_stats(const struct store *s, struct store_stats *out);

#endif
