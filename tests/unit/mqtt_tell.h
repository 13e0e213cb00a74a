/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MQTT_TELL_H
#define TESTS_MQTT_TELL_H
/*
 * mqtt_tell — what test_mqtt_send and test_mqtt_torn share beside mqtt_rig. Included by them only.
 */
#include "mqtt_rig.h"

static size_t sents(struct log *l)
{
    pthread_mutex_lock(&l->lock);
    size_t n = l->n_sent;
    pthread_mutex_unlock(&l->lock);
    return n;
}

static struct mqtt_out text_out(uint64_t id, const char *topic, const char *text)
{
    return (struct mqtt_out){
        .id = id, .topic = topic, .payload = text, .len = strlen(text), .qos = 1};
}

static void open_at(struct client *c, int port, struct mqtt_options o)
{
    client_url(c, 0, "mqtt", "127.0.0.1", port);
    client_open(c, o);
}

#endif
