/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_MQTT_H
#define IO_MQTT_H
/*
 * mqtt — one MQTT client: connection, subscriptions, messages in and out (Paho MQTTAsync).
 * Faked in tests/sim.
 *
 * MQTT 5, falling back to 3.1.1 (once that has worked, for the life of the client); clean start
 * false with a session expiry; resubscribes on every CONNACK and reads every SUBACK code; its own
 * reconnect with backoff (1 … 60 s) and jitter, each round trying the URLs from the top. The
 * session at the broker outlives leave and close.
 *
 * mqtt_send is for messages whose fate matters: at most a window of them is under way, below
 * the server's Receive Maximum (beyond it Paho sends some thirty a second). They leave in the
 * order they were given. Nothing is kept for the next connection: when one ends, what the
 * broker has not acknowledged comes back by on_sent, all of it before the next on_link(up), and
 * Paho's own copies go with its handle, so that nothing is sent behind the owner's back. A message
 * goes at once; behind eight that are unanswered it goes with the next answer, or after 10 ms.
 *
 * Names are looked up here, before Paho, whose look-up stalls every client of the process. For
 * mqtt:// Paho gets the address found; for mqtts:// it gets the name, which the certificate is
 * checked against, only after our look-up has succeeded, so its own is answered by the same
 * resolver at once in all but the unluckiest moment. All Paho calls are made by a thread of
 * this module's own, or from within a callback by Paho's, never by the loop.
 *
 * Writes the log lines about the link itself: one when it breaks, one when it heals, one per
 * refused filter. Does not judge whether what arrives is enough (the watchdog does, app/), and
 * does not check topics: they may hold anything, NUL included.
 *
 * Threads: the public calls may come from any one thread. on_message and on_link run on Paho's
 * thread (on_link also on our own), one at a time per client. When on_message returns, the
 * PUBACK leaves: so it must have kept the message, or not return. on_link(up) runs before the
 * first message of that connection, and each up is followed by exactly one down (mqtt_close
 * included). on_sent runs on Paho's thread or our own. Callbacks must not call mqtt_* of the
 * same client but mqtt_leave, mqtt_return, mqtt_reconnect.
 *
 * The process: mqtt_open removes http_proxy and https_proxy from the environment, because Paho
 * would send MQTT there; so the first mqtt_open comes before any thread that reads the
 * environment. Paho sets SIGPIPE to be ignored.
 */
#include "core/conf.h"

struct mqtt;

struct mqtt_message {
    const char *topic;
    size_t topic_len;
    const void *payload;
    size_t payload_len;
    uint16_t packet_id;
    uint8_t qos;
    bool retain, dup;
    /* MQTT 5; NULL: none */
    const char *response_topic;
    size_t response_topic_len;
    const void *correlation;
    size_t correlation_len;
};

struct mqtt_out { /* a message of ours; copied */
    uint64_t id;  /* for on_sent */
    const char *topic;
    const void *payload;
    size_t len;
    uint8_t qos;
    bool retain;
    const void *correlation; /* MQTT 5, else left out */
    size_t correlation_len;
    uint32_t expiry_s; /* MQTT 5; 0: none */
};
struct mqtt_will {
    const char *topic;
    const void *payload;
    size_t len;
    bool retain; /* QoS 1 */
};

enum mqtt_link_state { MQTT_UP, MQTT_DOWN };

struct mqtt_link {
    enum mqtt_link_state state;
    bool session_present; /* up */
    const char *reason;   /* down: a sentence */
    bool taken_over;      /* down: another client uses our client id */
};

struct mqtt_filter {
    const char *filter; /* with wildcards, without $share */
    uint8_t qos;
};

struct mqtt_events {
    void *ctx;
    void (*on_message)(void *ctx, const struct mqtt_message *m);
    void (*on_link)(void *ctx, const struct mqtt_link *l);
    /* What mqtt_send took: 0: the broker has it (QoS 1: PUBACK; QoS 0: it was written);
     * -ENOTCONN: it may or may not (the link was lost): send it again; -EACCES: the broker
     * refuses it (MQTT 5); -EINVAL: Paho does. Exactly once for each. NULL: fine. */
    void (*on_sent)(void *ctx, uint64_t id, int status);
};

struct mqtt_options {
    const struct conf_broker *broker; /* must outlive the client */
    const char *client_id;            /* with the lane's suffix */
    const char *password;             /* or NULL; copied and wiped at close */
    const char *key_password;
    const struct mqtt_filter *filters; /* copied */
    size_t n_filters;
    const struct mqtt_will *will; /* NULL: none; copied */
    unsigned send_window; /* most that mqtt_send has under way; 0: 16. The server's Receive
                                     Maximum, less one, goes before */
    unsigned retry_max_s; /* longest pause between two attempts to connect; 0: 60 */
    /* MQTT 5: retained messages come with every subscription that is made (a 3.1.1 broker does so
     * anyway); else only with one that is new to the session. */
    bool read_retained;
};

struct mqtt_stats { /* a snapshot; any thread */
    bool connected, wanted;
    unsigned version; /* 4 or 5; 0 not connected yet */
    uint64_t connects, losses, messages, bytes;
    uint64_t published;       /* handed to Paho */
    uint64_t refused_filters; /* now, of those named */
    bool subscribed;          /* every filter named has its answer on this connection */
    int64_t last_message_wall_ns, connected_wall_ns;
    char server[256];  /* URL in use, as configured */
    char problem[512]; /* what is wrong now, for people; "" if nothing */
};

/* Connects in the background. -EINVAL: an option that can never work (URL, no file behind a TLS
 * option). `broker` is only read while the client is open. */
int mqtt_open(const struct mqtt_options *o, const struct mqtt_events *e, struct err *err,
              struct mqtt **out);
/* Blocks until no callback runs any more, which takes ≤ ~5 s unless an on_message blocks, of this
 * client or of another: Paho has one thread for all. NULL is fine. If a name look-up hangs, a thread
 * of ours frees the rest when that returns. */
void mqtt_close(struct mqtt *m);
/* The rest does not block. */
void mqtt_leave(struct mqtt *m, const char *why); /* disconnect, keep the session */
void mqtt_return(struct mqtt *m);                 /* connect again */
/* Filters no longer named are unsubscribed after the new ones are there; what the broker refused is
 * asked for again, as it is every ten minutes. Always 0. */
int mqtt_resubscribe(struct mqtt *m, const struct mqtt_filter *filters, size_t n);
void mqtt_reconnect(struct mqtt *m, const char *why); /* the watchdog's */
/* Subscribes once more to what is subscribed: the broker's answer proves that the connection and
 * the subscriptions stand; without one the connection is given up after 30 s. */
void mqtt_ask(struct mqtt *m);
/* A word to a device (not retained), copied; sent by the client's own thread over the present
 * connection or not at all: nothing is kept for the next one. 0; -ENOTCONN; -ENOBUFS when 64
 * wait already. */
int mqtt_publish(struct mqtt *m, const char *topic, const void *payload, size_t len,
                 unsigned qos);
/* Takes a message for sending, in order, over the present connection. 0; -ENOTCONN; -EAGAIN: the
 * window is full (on_sent tells when to go on); -EMSGSIZE: larger than the server takes. */
int mqtt_send(struct mqtt *m, const struct mqtt_out *o);
void mqtt_stats(struct mqtt *m, struct mqtt_stats *out);

#endif
