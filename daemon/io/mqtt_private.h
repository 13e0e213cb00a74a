/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_MQTT_PRIVATE_H
#define IO_MQTT_PRIVATE_H
/*
 * mqtt_private — what the files of io/mqtt share. Included by them only.
 *
 *   mqtt.c            the public calls, the control thread, when to try again, the log lines
 *   mqtt_connect.c    Paho: handles, one attempt to connect, its callbacks, leaving
 *   mqtt_subscribe.c  filters: SUBSCRIBE in chunks, the codes of SUBACK, UNSUBSCRIBE
 *   mqtt_publish.c    words to devices: the few messages that nobody waits for
 *   mqtt_send.c       what the owner tells and wants to know the fate of
 *   mqtt_diagnose.c   why it does not work, in words
 *
 * Locks: `cb_lock` is held while a callback of the owner runs and guards `link_up`; `lock`
 * guards the rest below it and is never held while a callback or a Paho function runs. Where
 * both are needed cb_lock is taken first. Paho's own lock is taken before either (its
 * callbacks), so no Paho call is made while holding one of ours.
 */
#include "base/log.h"
#include "io/mqtt.h"

#include <MQTTAsync.h>
#include <pthread.h>
#include <stdatomic.h>

struct mqtt_url {
    const char *text; /* as configured */
    char host[256];
    char port[6];
    bool tls;
    MQTTAsync handle[2]; /* for MQTT 3.1.1, for 5; made when first needed; control thread */
};

struct mqtt_sub {
    char *filter; /* as on the wire, with $share */
    uint8_t qos;
    int code;  /* of its SUBACK on this connection; MQTT_CODE_NONE: to be asked, _SENT: asked */
    bool said; /* the log has said that it is refused, or granted less than asked */
    bool again; /* to be asked although its answer is known */
};
enum { MQTT_CODE_NONE = -1, MQTT_CODE_SENT = -2 };

enum mqtt_phase { MQTT_IDLE, MQTT_CONNECTING, MQTT_CONNECTED, MQTT_FAILED };

/* How an attempt or a connection ended. */
struct mqtt_end {
    int code;        /* CONNACK or DISCONNECT code, or 0 */
    bool connack;    /* code is from a CONNACK */
    bool no_connack; /* closed after our CONNECT was sent, without an answer */
    bool was_up;     /* it was connected before it ended */
    bool taken_over;
    char text[512];
};

struct mqtt {
    const struct conf_broker *broker;
    char *client_id, *password, *key_password;
    char *will_topic; /* NULL: no will */
    void *will;
    size_t will_len;
    bool will_retain, read_retained;
    unsigned send_window, retry_max_s;
    struct mqtt_events events;
    struct mqtt_url *urls;
    size_t n_urls;
    pthread_t thread;

    pthread_mutex_t cb_lock;
    bool link_up, muted;

    pthread_mutex_t lock;
    pthread_cond_t cond; /* any change below */
    bool closing, wanted, kick;
    bool done, detached; /* the control thread has finished; nobody joins it */
    bool looking_up;     /* a name: that alone may hang for longer than a close waits */
    char kick_why[256];  /* of leave or reconnect */
    enum mqtt_phase phase;
    bool disconnected; /* the answer to our MQTTAsync_disconnect */
    bool session_present;
    struct mqtt_end end;
    char tls_words[512]; /* OpenSSL's, of the attempt under way */
    struct mqtt_sub *subs;
    size_t n_subs;
    char **gone; /* wire filters to unsubscribe */
    size_t n_gone;
    bool asked, asking_unsub; /* a SUBSCRIBE (an UNSUBSCRIBE) is under way … */
    uint64_t asked_ns;        /* … since */
    unsigned
        subs_gen; /* counts connections and resubscriptions: answers from before are void */
    struct mqtt_outgoing *outgoing; /* first to last */
    size_t n_outgoing;
    struct mqtt_sending *sends, **sends_end; /* for Paho, first to last */
    struct mqtt_sending *flying;             /* Paho's, unanswered, newest first */
    size_t n_flying;
    bool handing;             /* somebody hands what waited to Paho */
    size_t n_sending, window; /* both together, and the most of this connection */
    size_t max_packet;        /* that the server takes; 0: any */
    struct mqtt_stats stats;

    atomic_uint_fast64_t messages, bytes;
    atomic_int_fast64_t last_message_wall_ns;

    /* control thread only */
    int version;           /* to ask for: 5, or 4 */
    bool version_works;    /* it has connected once */
    unsigned early_closes; /* answers to CONNECT by closing, in a row */
    unsigned rounds;       /* failed, since the last good connection */
    unsigned short_lives;  /* connections lost within seconds, in a row */
    struct log_state link_log;
    uint64_t down_since_ns, up_since_ns;
    uint64_t refused_asked_ns; /* when refused filters were asked for again, or we connected */
    char last_said[512];
    char unanswered[200]; /* topic of the oldest message that a lost connection left so */
    uint64_t last_said_ns;
    struct mqtt_url *current;
};

/* mqtt.c */
uint64_t mqtt_now_ns(void); /* monotonic */
bool mqtt_wait(struct mqtt *m,
               uint64_t until_ns); /* with lock held; false when the time is over */
void mqtt_set_problem(struct mqtt *m, const char *text); /* takes lock */

/* mqtt_connect.c: control thread only */
int mqtt_parse_url(const char *text, struct mqtt_url *out, struct err *err);
/* One attempt on one URL. 0, or a negative errno and the reason in m->end. -ECANCELED: closing,
 * or no longer wanted. */
int mqtt_connect(struct mqtt *m, struct mqtt_url *u);
void mqtt_disconnect(struct mqtt *m, const char *why); /* returns when Paho has finished */
/* The present handle and all that Paho remembers in it: unanswered requests fail from within. */
void mqtt_drop_handle(struct mqtt *m);
void mqtt_destroy_handles(struct mqtt *m);
void mqtt_report_down(struct mqtt *m, const char *reason, bool taken_over); /* any thread */

/* mqtt_subscribe.c */
void mqtt_subs_set(struct mqtt *m, const struct mqtt_filter *filters,
                   size_t n);                               /* takes lock */
void mqtt_subs_begin(struct mqtt *m, bool session_present); /* a new connection; takes lock */
void mqtt_subs_again(struct mqtt *m);                       /* all once more; takes lock */
/* Sends what is to be sent; false if the broker has not answered for too long. Control thread.
 */
bool mqtt_subs_work(struct mqtt *m);
void mqtt_subs_report(
    struct mqtt *m); /* log lines and problem of what SUBACKs said; control thread */
void mqtt_subs_done(struct mqtt *m);

/* mqtt_publish.c */
void mqtt_publish_work(struct mqtt *m);   /* sends what waits; control thread, connected */
void mqtt_publish_forget(struct mqtt *m); /* at the end of a connection */

/* mqtt_send.c: control thread, but where it says otherwise */
/* Hands what waits to Paho, unless that is going on; also on Paho's threads. */
void mqtt_send_work(struct mqtt *m);
/* With lock held. Nothing waits, or it goes without the control thread. */
bool mqtt_send_idle(const struct mqtt *m);
/* At the end of a connection: whatever is unanswered comes back to the owner. */
void mqtt_send_forget(struct mqtt *m);

/* mqtt_diagnose.c */
const char *mqtt_code_text(int version, int code, bool connack);
/* After an attempt that failed without words: tries TCP and TLS by hand, for ≤ ~ 6 s, and
 * writes what is wrong. False if nothing was found wrong. */
bool mqtt_diagnose(struct mqtt *m, const struct mqtt_url *u, const char *address, char *out,
                   size_t size);

#endif
