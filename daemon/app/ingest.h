/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_INGEST_H
#define APP_INGEST_H
/*
 * ingest — the brokers: what they deliver goes into the journal, and nowhere else.
 *
 * A message is acknowledged when its callback returns, so the callback returns only when the
 * journal has it; when the journal cannot take it, the process stops (74) instead. Before that
 * point the gateway leaves the brokers: when the journal runs low, or a sink that says `pause`
 * is full; it comes back by itself. Of a broker, or a
 * source, that falls silent against its habit the subscriptions are asked for once more
 * (core/quiet.h). The one thing that is published is the request for a Sparkplug node's births.
 *
 * Threads: callbacks of io/mqtt run on Paho's threads and only append; the rest is the loop's.
 */
#include "app/pipeline.h"
#include "io/mqtt.h"

struct ingest;

struct ingest_options {
    struct loop *loop;
    struct journal *journal;
    struct pipeline *pipeline;
    const struct conf *conf;                             /* outlives it: brokers */
    const char *const *passwords, *const *key_passwords; /* per broker, NULL: none; copied */
};

int ingest_open(const struct ingest_options *o, const struct world *w, struct err *err,
                struct ingest **out);
/* Topics of a new world: subscribed and unsubscribed while connected. */
void ingest_use(struct ingest *in, const struct world *w);
/* Leave the brokers for that reason (told once), or come back when it is NULL. */
void ingest_hold(struct ingest *in, const char *why);
const char *ingest_held(const struct ingest *in); /* NULL: not held */
/* Ten times a second: that a link went up or down, where the journal had no room for it when it did. */
void ingest_links(struct ingest *in);
void ingest_tick(struct ingest *in,
                 double seconds); /* once a second: the watchdog of silence */
size_t ingest_brokers(const struct ingest *in);
void ingest_stats(const struct ingest *in, size_t broker, struct mqtt_stats *out);
/* Asks the Sparkplug node that published on `topic` for its births, at most once a minute; a
 * broker that is away is not waited for, the node's next message asks again. */
void ingest_rebirth(struct ingest *in, unsigned broker, const char *topic, size_t len);
uint64_t ingest_rebirths(const struct ingest *in, size_t broker); /* that went out */
uint64_t ingest_appends(const struct ingest *in); /* messages appended; any thread */
void ingest_close(struct ingest *in);

#endif
