/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages whose fate the owner wants to know. They wait in a list for the control thread,
 * then fly until Paho says what became of them, or until the connection ends.
 *
 * Paho, left alone, would keep unanswered publishes in the handle and send them again on the
 * next connection before anything of ours, while the owner, who has no answer, sends them, too:
 * twice the window, and the oldest state last. So the handle goes with a connection that leaves
 * something unanswered.
 */
#include "io/mqtt_private.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_OVERHEAD 64 /* more than the headers and properties of one message take */

struct mqtt_sending {
    struct mqtt_sending *next;          /* of those that wait */
    struct mqtt_sending *newer, *older; /* of those that fly */
    struct mqtt *m;
    uint64_t id;
    char *topic;
    void *payload, *correlation;
    size_t len, correlation_len;
    uint32_t expiry_s;
    uint8_t qos;
    bool retain;
};

static void free_one(struct mqtt_sending *s)
{
    free(s->topic);
    free(s->payload);
    free(s->correlation);
    free(s);
}

static struct mqtt_sending *make(struct mqtt *m, const struct mqtt_out *o)
{
    struct mqtt_sending *s = mem_zalloc(sizeof(*s));
    *s = (struct mqtt_sending){.m = m,
                               .id = o->id,
                               .topic = mem_strdup(o->topic),
                               .payload = mem_dup(o->payload, o->len),
                               .len = o->len,
                               .correlation = mem_dup(o->correlation, o->correlation_len),
                               .correlation_len = o->correlation_len,
                               .expiry_s = o->expiry_s,
                               .qos = o->qos,
                               .retain = o->retain};
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

int mqtt_send(struct mqtt *m, const struct mqtt_out *o)
{
    pthread_mutex_lock(&m->lock);
    int r = may_send(m, o);
    if (r == 0) {
        struct mqtt_sending *s = make(m, o);
        bool first = !m->sends;
        *(first ? &m->sends : m->sends_end) = s;
        m->sends_end = &s->next;
        m->n_sending++;
        if (first) /* it takes all that are there */
            pthread_cond_broadcast(&m->cond);
    }
    pthread_mutex_unlock(&m->lock);
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
    }
    m->n_sending--;
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_lock(&m->cb_lock);
    if (m->events.on_sent && !m->muted)
        m->events.on_sent(m->events.ctx, s->id, status);
    pthread_mutex_unlock(&m->cb_lock);
    free_one(s);
}

static void on_done(void *ctx, MQTTAsync_successData *d)
{
    (void)d;
    finish(ctx, 0);
}

static void on_done5(void *ctx, MQTTAsync_successData5 *d)
{
    finish(ctx, d && d->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR ? -EACCES : 0);
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
    finish(ctx, refused ? -EACCES : -ENOTCONN);
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

/* All that wait, as flying ones. */
static struct mqtt_sending *take_all(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    struct mqtt_sending *all = m->phase == MQTT_CONNECTED ? m->sends : NULL;
    if (all)
        m->sends = NULL;
    for (struct mqtt_sending *s = all; s; s = s->next) {
        s->older = m->flying;
        if (m->flying)
            m->flying->newer = s;
        m->flying = s;
        m->stats.published++;
    }
    pthread_mutex_unlock(&m->lock);
    return all;
}

void mqtt_send_work(struct mqtt *m)
{
    struct mqtt_sending *s, *next;
    while ((s = take_all(m))) {
        for (; s; s = next) {
            next = s->next; /* Paho's answer may come, and free it, before we are back */
            int rc = hand_over(m, s);
            if (rc != MQTTASYNC_SUCCESS) /* not connected any more: that is on its way to us */
                finish(s, rc == MQTTASYNC_DISCONNECTED ? -ENOTCONN : -EINVAL);
        }
    }
}

void mqtt_send_forget(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
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
