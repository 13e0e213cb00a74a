/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_NULL_MQTT_H
#define BENCH_NULL_MQTT_H
/* null_mqtt — a bare Paho client as the yardsticks have it: the library, trace level and MQTT
 * version of gaihoud's clients, clean start, nothing else. */
#include <MQTTAsync.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double wall_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Connecting goes on behind it: `connected` or `failed` (context "connect") is called. */
static inline bool null_start(MQTTAsync *client, const char *url, const char *id,
                              int max_inflight, MQTTAsync_messageArrived *arrived,
                              MQTTAsync_onSuccess5 *connected, MQTTAsync_onFailure5 *failed)
{
    MQTTAsync_createOptions c = MQTTAsync_createOptions_initializer5;
    MQTTAsync_connectOptions o = MQTTAsync_connectOptions_initializer5;
    char text[300];
    const char *rest = strncmp(url, "mqtt://", 7) == 0 ? url + 7 : NULL;
    (void)snprintf(text, sizeof(text), rest ? "tcp://%s" : "%s", rest ? rest : url);
    (void)unsetenv("http_proxy");
    if (MQTTAsync_createWithOptions(client, text, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &c) !=
        MQTTASYNC_SUCCESS)
        return false;
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    (void)MQTTAsync_setCallbacks(*client, NULL, NULL, arrived, NULL);
    o.keepAliveInterval = 60;
    o.cleanstart = 1;
    if (max_inflight)
        o.maxInflight = max_inflight;
    o.onSuccess5 = connected;
    o.onFailure5 = failed;
    o.context = (void *)"connect";
    return MQTTAsync_connect(*client, &o) == MQTTASYNC_SUCCESS;
}

#endif
