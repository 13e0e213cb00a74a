/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_PUB_H
#define CITY_PUB_H
/*
 * pub — a QoS 1 publisher for MQTT 3.1.1 that costs next to nothing.
 *
 * It is part of a measuring instrument: one copy into the window, one into the output buffer,
 * one write for many messages, PUBACKs parsed in place. Each connection keeps up to `inflight`
 * unacknowledged messages; when the broker goes away it connects again with growing pauses and
 * sends those again, in order, with dup=1 and their packet ids, into the same session. A
 * message is reported acknowledged once, after its PUBACK was read. One thread; no blocking
 * call but pub_wait, and the name look-up in pub_new.
 */
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define PUB_NOTE 96 /* bytes of the caller's, kept with each message */

struct pub_options {
    const char *host, *port;
    const char *client_id;           /* each connection appends its number */
    const char *username, *password; /* NULL: none */
    unsigned connections, inflight;
    void (*acked)(void *ctx, const void *note, const char *payload, size_t len);
    void *ctx;
};

struct pub_stats {
    uint64_t sent, acked, resent, bytes, connects, disconnects;
};

struct pub;
int pub_new(const struct pub_options *o, struct pub **out, struct err *err);
void pub_free(struct pub *p);

/* Is there room in that connection's window? False while it is not connected. */
bool pub_ready(const struct pub *p, unsigned connection);
unsigned pub_connected(const struct pub *p); /* connections with a session */
/* Takes a message (copies it). pub_ready must have said yes. */
void pub_send(struct pub *p, unsigned connection, const char *topic, size_t topic_len,
              const char *payload, size_t len, const void *note);
/* Writes what was taken; then waits at most that long for something to happen and handles it.
 */
void pub_wait(struct pub *p, uint64_t ns);
size_t pub_unacked(const struct pub *p);
void pub_disconnect(struct pub *p); /* says DISCONNECT: the end of a clean run */
const struct pub_stats *pub_stats(const struct pub *p);
/* Why there is no connection; "" if all is well. */
const char *pub_trouble(const struct pub *p);

#endif
