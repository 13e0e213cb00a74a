/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_TELL_H
#define APP_TELL_H
/*
 * tell — tells firms and desks about cases over MQTT, and takes their commands (gaihou-mqtt(7)).
 *
 * Owns the alerts' MQTT client (<client_id>[-ls]-alerts), what is under way of the outbox, the
 * comparison of retained topics on each connection, presence of firms, snapshots, the gateway's
 * status and epoch topics. Promises: rows of one (firm, compound) leave in order; of a
 * life-safety row the message on `urgent/` goes before everything that waits (its state and
 * event keep their place, or seq would come out of order); a row is marked done only when the
 * broker has all of it, and what a lost link left unanswered is sent again, the same bytes; on
 * every connection the open set is published again (same seq, same bytes) and retained topics of
 * our own stream that the store does not know are emptied, foreign ones never, and those of former
 * epochs (orphaned) when a command closes them. Decides nothing about cases: commands and presence become journal records, a
 * command before its PUBACK.
 *
 * The epoch: the stream has one before anything can happen in it. If the store turns out to be
 * older than what was told (the retained epoch topic names a higher epoch, or a place of the
 * journal beyond the store's cursor), it gets a new one, above all that were seen. Nothing is told
 * before that is decided, which needs the broker once, nor before the store has that epoch and has
 * given its numbers to what waits: else one number could mean two things.
 *
 * A missing broker stops nothing but the telling. When something waits and nothing gets through
 * for 60 s, it is said once, and once when it is over; a message on `urgent/` that waits is an alarm
 * of our own within 10 s. What the broker refuses to a firm is tried again after 5 s, then more rarely
 * (not life-safety); other firms do not wait for it.
 *
 * All on the loop, but for the client's callbacks, which hand over to it; they append commands
 * to the journal themselves.
 */
#include "core/conf.h"
#include "core/record.h"
#include "core/world.h"
#include "io/loop.h"
#include "io/mqtt.h"
#include "io/store.h"

struct tell;

struct tell_options {
    struct loop *loop;
    struct store *store;
    const struct conf *conf; /* `alerts`, `gateway`, and the broker that alerts.broker names;
                              * outlives it */
    const char *password, *key_password;
    const char *gateway; /* id with the lane's suffix: topics gateway/<id>[-ls]/…; copied */
    uint64_t cursor;     /* the store's, as it was opened: its offset in the journal */
    uint64_t epoch;      /* that the stream has been given, and may have had before */
    /* Appends to the journal (any record; sets times): 0 or -errno; and wakes the pipeline. Any
     * thread. */
    int (*append)(void *ctx, const struct record *r);
    /* Has everything that came in been passed, and what it led to been committed? For a stop that
     * leaves nothing untold; NULL: not known. */
    bool (*idle)(void *ctx);
    void *ctx;
};

struct tell_stats {
    /* One of "connecting" (never yet), "connected", "reconnecting" (lost, less than 60 s ago), "away". */
    const char *link;
    bool ready; /* connected or reconnecting */
    bool connected,
        reconciled;       /* on this connection the retained set was compared, and mended */
    uint64_t epoch;       /* 0: not decided yet */
    uint64_t waiting;     /* rows of the outbox, now */
    uint64_t told;        /* rows that the broker has, replies among them */
    uint64_t urgent_told; /* messages on `urgent/` */
    uint64_t republished, emptied,
        resent; /* messages: of the open set, retained topics, again */
    uint64_t foreign,
        orphaned; /* retained topics left alone at the last comparison: of others or
                                 * unreadable; of former epochs of ours */
    uint64_t commands, commands_refused; /* journalled; not even that */
    uint64_t snapshots, replies,
        expired;            /* requests answered; replies told; too late to tell */
    uint64_t undeliverable; /* messages that the broker can never take: too large */
    uint64_t refused,
        held; /* messages that the broker did not take; firms that wait for that, now */
    /* Times that there was no room: for a firm, whose presence is not recorded; for a retained topic of
     * ours, which the comparison does not see. */
    uint64_t firms_not_kept, retained_not_kept;
    uint64_t presence_online, presence_absent; /* firms, now, of those that ever said */
    double oldest_waiting_s; /* how long something waits without anything getting through */
    char problem[512];       /* what is wrong now, for people; "" if nothing */
};

int tell_open(const struct tell_options *o, struct err *err, struct tell **out);
/* Connects. The stream's epoch is asked at the broker first (the retained epoch topic), then
 * decided; if it is to be a new one, tell appends its RECORD_STREAM. Nothing is told before it is
 * known, and the store has it. */
void tell_start(struct tell *t, const struct world *w);
void tell_world(struct tell *t, const struct world *w); /* after a reload */
/* Once a second. The gateway's status, an object without its time: published when it changes, and
 * once a minute. */
void tell_second(struct tell *t, const char *status_json, size_t len);
/* Publishes what it can within `ms`, says offline, closes; done(ctx) then. */
void tell_stop(struct tell *t, unsigned ms, loop_fn *done, void *ctx);
void tell_close(struct tell *t);
void tell_stats(const struct tell *t, struct tell_stats *out);
/* Does the broker keep a state of this case from a former epoch, of which the store knows nothing (as
 * the last comparison found)? Then where; the caller frees them. */
bool tell_orphan(struct tell *t, const char *case_id, char **out_firm, char **out_compound);
typedef void tell_orphan_fn(void *ctx, const char *place); /* FIRM/COMPOUND/CASE */
void tell_orphans_each(struct tell *t, size_t most, tell_orphan_fn *fn, void *ctx);

#endif
