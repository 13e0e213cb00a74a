/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages whose fate the owner wants to know. They wait in a list for the control thread,
 * then fly until Paho says what became of them, or until the connection ends.
 *
 * With a backlog they do not wait for it, but for the next answer: the callback hands them to Paho.
 * The control thread would be woken for some messages each time, and would want Paho's lock for each
 * of them while Paho writes the one before: a third of what such a message took were the switches.
 *
 * Paho, left alone, would keep unanswered publishes in the handle and send them again on the
 * next connection before anything of ours, while the owner, who has no answer, sends them, too:
 * twice the window, and the oldest state last. So the handle goes with a connection that leaves
 * something unanswered.
 */
#include "io/mqtt_private.h"
#include "io/mqtt_wire.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_OVERHEAD 64 /* more than the headers and properties of one message take */
#define BACKLOG         8  /* so many unanswered: the next ones go when an answer comes */

struct mqtt_sending {
    struct mqtt_sending *next;          /* of those that wait */
    struct mqtt_sending *newer, *older; /* of those that fly */
    struct mqtt *m;
    uint64_t id;
    char *payload, *correlation, *topic; /* in `bytes` */
    size_t len, correlation_len;
    uint32_t expiry_s;
    uint8_t qos;
    bool retain;
    char bytes[];
};

static char *put(char **at, const void *p, size_t n)
{
    char *to = *at;
    if (n > 0)
        memcpy(to, p, n);
    *at += n;
    return to;
}

/* One piece: it is freed on another thread. */
static struct mqtt_sending *make(struct mqtt *m, const struct mqtt_out *o)
{
    size_t topic_size = strlen(o->topic) + 1;
    struct mqtt_sending *s = mem_zalloc(sizeof(*s) + o->len + o->correlation_len + topic_size);
    *s = (struct mqtt_sending){.m = m,
                               .id = o->id,
                               .len = o->len,
                               .correlation_len = o->correlation_len,
                               .expiry_s = o->expiry_s,
                               .qos = o->qos,
                               .retain = o->retain};
    char *at = s->bytes;
    s->payload = put(&at, o->payload, o->len);
    s->correlation = put(&at, o->correlation, o->correlation_len);
    s->topic = put(&at, o->topic, topic_size);
    return s;
}

/* With lock held. */
static int may_send(const struct mqtt *m, const struct mqtt_out *o)
{
    size_t bytes = o->len + strlen(o->topic) + o->correlation_len + PACKET_OVERHEAD;
    if (m->phase != MQTT_CONNECTED)
        return -ENOTCONN;
    if (m->max_packet && bytes > m->max_packet)
        return -EMSGSIZE;
    return m->n_sending < m->window ? 0 : -EAGAIN;
}

/* With lock held. What waits goes without the control thread: who has an answer hands it over. */
static bool goes_by_itself(const struct mqtt *m)
{
    return m->handing || m->n_flying >= BACKLOG;
}

bool mqtt_send_idle(const struct mqtt *m)
{
    return !m->sends || goes_by_itself(m);
}

int mqtt_send(struct mqtt *m, const struct mqtt_out *o)
{
    pthread_mutex_lock(&m->lock);
    int r = may_send(m, o);
    pthread_mutex_unlock(&m->lock);
    if (r != 0)
        return r;
    struct mqtt_sending *s = make(m, o); /* not under the lock that every answer takes */
    pthread_mutex_lock(&m->lock);
    r = may_send(m, o);
    if (r == 0) {
        bool first = !m->sends;
        *(first ? &m->sends : m->sends_end) = s;
        m->sends_end = &s->next;
        m->n_sending++;
        if (first && !goes_by_itself(m)) /* it takes all that are there */
            pthread_cond_broadcast(&m->cond);
    }
    pthread_mutex_unlock(&m->lock);
    if (r != 0)
        free(s);
    return r;
}

/* Its end, told to the owner; from then on `s` is gone. */
static void finish(struct mqtt_sending *s, int status)
{
    struct mqtt *m = s->m;
    pthread_mutex_lock(&m->lock);
    if (m->flying == s || s->newer) { /* else it was never given to Paho */
        *(s->newer ? &s->newer->older : &m->flying) = s->older;
        if (s->older)
            s->older->newer = s->newer;
        m->n_flying--;
    }
    if (--m->n_sending == 0)
        mqtt_wire_none_queued();
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_lock(&m->cb_lock);
    if (m->events.on_sent && !m->muted)
        m->events.on_sent(m->events.ctx, s->id, status);
    pthread_mutex_unlock(&m->cb_lock);
    free(s);
}

/* The broker's answer, on a thread of Paho's that has its lock. */
static void answered(struct mqtt_sending *s, int status)
{
    struct mqtt *m = s->m;
    finish(s, status);
    mqtt_send_work(m);
}

static void on_done(void *ctx, MQTTAsync_successData *d)
{
    (void)d;
    answered(ctx, 0);
}

static void on_done5(void *ctx, MQTTAsync_successData5 *d)
{
    answered(ctx, d && d->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR ? -EACCES : 0);
}

static void on_not_done(void *ctx, MQTTAsync_failureData *d)
{
    (void)d;
    finish(ctx, -ENOTCONN);
}

/* A code of Paho's own is negative; of a write that breaks in its middle it then leaves the reason
 * as it lay on its stack. */
static void on_not_done5(void *ctx, MQTTAsync_failureData5 *d)
{
    bool refused = d && d->code == 0 && d->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR;
    if (refused)
        answered(ctx, -EACCES);
    else
        finish(ctx, -ENOTCONN);
}

static void add_properties(const struct mqtt_sending *s, MQTTProperties *props)
{
    MQTTProperty p = {.identifier = MQTTPROPERTY_CODE_CORRELATION_DATA};
    if (s->correlation_len) {
        p.value.data.data = s->correlation;
        p.value.data.len = (int)s->correlation_len;
        (void)MQTTProperties_add(props, &p);
    }
    if (s->expiry_s) {
        p = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL};
        p.value.integer4 = s->expiry_s;
        (void)MQTTProperties_add(props, &p);
    }
}

/* The answer may come before this returns, and `s` be gone: only a refusal leaves it ours. */
static int hand_over(struct mqtt *m, struct mqtt_sending *s)
{
    MQTTAsync_message msg = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    MQTTProperties props = MQTTProperties_initializer;
    msg.payload = s->payload;
    msg.payloadlen = (int)s->len;
    msg.qos = s->qos;
    msg.retained = s->retain;
    o.context = s;
    if (m->version == 5) {
        add_properties(s, &props);
        msg.properties = props;
        o.onSuccess5 = on_done5;
        o.onFailure5 = on_not_done5;
    } else {
        o.onSuccess = on_done;
        o.onFailure = on_not_done;
    }
    int rc = MQTTAsync_sendMessage(m->current->handle[m->version == 5], s->topic, &msg, &o);
    MQTTProperties_free(&props);
    return rc;
}

/* All that wait, as flying ones; NULL: none, or another thread is at it. Who got some comes back for
 * more until there are none: two at once would break their order. */
static struct mqtt_sending *take_all(struct mqtt *m, bool again, bool *out_backlog)
{
    pthread_mutex_lock(&m->lock);
    bool mine = again || !m->handing, connected = m->phase == MQTT_CONNECTED;
    struct mqtt_sending *all = mine && connected ? m->sends : NULL;
    if (mine)
        m->handing = all != NULL;
    if (mine && !connected)
        pthread_cond_broadcast(&m->cond); /* mqtt_send_forget may wait for that */
    if (all)
        m->sends = NULL;
    *out_backlog = m->n_flying >= BACKLOG;
    for (struct mqtt_sending *s = all; s; s = s->next) {
        s->older = m->flying;
        if (m->flying)
            m->flying->newer = s;
        m->flying = s;
        m->n_flying++;
        m->stats.published++;
    }
    pthread_mutex_unlock(&m->lock);
    return all;
}

void mqtt_send_work(struct mqtt *m)
{
    struct mqtt_sending *s, *next;
    bool backlog;
    for (bool again = false; (s = take_all(m, again, &backlog)); again = true) {
        for (; s; s = next) {
            next = s->next; /* Paho's answer may come, and free it, before we are back */
            mqtt_wire_queued(1, backlog); /* before: its answer may end the count */
            int rc = hand_over(m, s);
            if (rc != MQTTASYNC_SUCCESS) {
                /* not connected any more: that is on its way to us */
                mqtt_wire_queued(-1, backlog);
                finish(s, rc == MQTTASYNC_DISCONNECTED ? -ENOTCONN : -EINVAL);
            }
        }
    }
}

void mqtt_send_forget(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    while (m->handing) /* a thread of Paho's is about to find the link gone */
        pthread_cond_wait(&m->cond, &m->lock);
    bool with_paho = m->flying != NULL;
    const struct mqtt_sending *oldest = m->flying;
    while (oldest && oldest->older)
        oldest = oldest->older;
    /* Paho 1.3.12 hangs up on a PUBACK of three bytes, which is how mosquitto refuses. */
    (void)snprintf(m->unanswered, sizeof(m->unanswered), "%s", oldest ? oldest->topic : "");
    pthread_mutex_unlock(&m->lock);
    if (with_paho)
        mqtt_drop_handle(m); /* answers them, or will never */
    for (;;) {
        pthread_mutex_lock(&m->lock);
        struct mqtt_sending *s = m->flying ? m->flying : m->sends;
        if (s && !m->flying)
            m->sends = s->next;
        pthread_mutex_unlock(&m->lock);
        if (!s)
            return;
        finish(s, -ENOTCONN);
    }
}
