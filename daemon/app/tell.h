/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_TELL_H
#define APP_TELL_H
/*
 * tell — tells firms and desks about cases over MQTT, and takes their commands (gaihou-mqtt(7)).
 *
 * Owns the alerts' MQTT client (<client_id>-alerts), what is under way of the outbox, the
 * comparison of retained topics on each connection, presence of firms, snapshots, the gateway's
 * status and epoch topics. Promises: rows of one (firm, compound) leave in order, life-safety
 * before all; a row is marked done only when the broker has it; on every connection the open set
 * is published again (same seq, same bytes) and retained topics of our own stream that the store
 * does not know are emptied, foreign ones never. Decides nothing about cases: commands and
 * presence become journal records.
 *
 * All on the loop, but for the client's callbacks, which hand over to it.
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
    const struct conf *conf; /* `alerts`, `gateway`, and the broker that alerts.broker names */
    const char *password, *key_password;
    const char *gateway; /* id with the lane's suffix: topics gateway/<id>[-ls]/… */
    /* Appends to the journal (any record; sets times): 0 or -errno; and wakes the pipeline. */
    int (*append)(void *ctx, const struct record *r);
    void *ctx;
};

struct tell_stats {
    bool connected, reconciled; /* the retained set of this connection was compared */
    uint64_t waiting, told, republished, emptied, foreign, commands, commands_refused;
    uint64_t snapshots, replies, presence_online, presence_absent;
    uint64_t urgent_told;
    double oldest_waiting_s;
    char problem[512];
};

int tell_open(const struct tell_options *o, struct err *err, struct tell **out);
/* The stream's epoch: 0 is asked at the broker first (the retained epoch topic), then decided; tell
 * appends RECORD_STREAM and tells nothing before it is known. */
void tell_start(struct tell *t, const struct world *w);
void tell_world(struct tell *t, const struct world *w); /* after a reload */
void tell_second(struct tell *t, const char *status_json,
                 size_t len); /* the gateway's status */
/* Publishes what it can within `ms`, says offline, closes; done(ctx) then. */
void tell_stop(struct tell *t, unsigned ms, loop_fn *done, void *ctx);
void tell_close(struct tell *t);
void tell_stats(const struct tell *t, struct tell_stats *out);

#endif
