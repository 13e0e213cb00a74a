/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the owner wants published: waits in a short queue for the control thread, which alone
 * talks to Paho, and goes with the connection it was meant for.
 */
#include "io/mqtt_private.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 64 };

struct mqtt_outgoing {
    struct mqtt_outgoing *next;
    char *topic;
    void *payload;
    size_t len;
    uint8_t qos;
};

static void free_one(struct mqtt_outgoing *o)
{
    free(o->topic);
    free(o->payload);
    free(o);
}

int mqtt_publish(struct mqtt *m, const char *topic, const void *payload, size_t len,
                 unsigned qos)
{
    struct mqtt_outgoing *o = mem_zalloc(sizeof(*o));
    *o = (struct mqtt_outgoing){
        .topic = mem_strdup(topic), .payload = mem_dup(payload, len), .len = len};
    o->qos = (uint8_t)qos;
    int r = 0;
    pthread_mutex_lock(&m->lock);
    if (m->phase != MQTT_CONNECTED) {
        r = -ENOTCONN;
    } else if (m->n_outgoing == QUEUE_MAX) {
        r = -ENOBUFS;
    } else {
        struct mqtt_outgoing **end = &m->outgoing;
        while (*end)
            end = &(*end)->next;
        *end = o;
        m->n_outgoing++;
        pthread_cond_broadcast(&m->cond);
    }
    pthread_mutex_unlock(&m->lock);
    if (r != 0)
        free_one(o);
    return r;
}

/* The queue, taken; the caller frees it. */
static struct mqtt_outgoing *take_all(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    struct mqtt_outgoing *all = m->outgoing;
    m->outgoing = NULL;
    m->n_outgoing = 0;
    pthread_mutex_unlock(&m->lock);
    return all;
}

void mqtt_publish_work(struct mqtt *m)
{
    MQTTAsync h = m->current->handle[m->version == 5];
    for (struct mqtt_outgoing *o = take_all(m), *next; o; o = next) {
        MQTTAsync_message msg = MQTTAsync_message_initializer;
        msg.payload = o->payload;
        msg.payloadlen = (int)o->len;
        msg.qos = o->qos;
        /* A failure is the end of the connection, which is on its way to us. */
        bool sent = MQTTAsync_sendMessage(h, o->topic, &msg, NULL) == MQTTASYNC_SUCCESS;
        pthread_mutex_lock(&m->lock);
        m->stats.published += sent;
        pthread_mutex_unlock(&m->lock);
        next = o->next;
        free_one(o);
    }
}

void mqtt_publish_forget(struct mqtt *m)
{
    for (struct mqtt_outgoing *o = take_all(m), *next; o; o = next) {
        next = o->next;
        free_one(o);
    }
}
