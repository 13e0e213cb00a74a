/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null_pub — the yardstick of a burst of alarms: a bare Paho publisher with a window.
 *
 * The same library, MQTT version, QoS 1 and in-flight window as gaihoud's client for alerts, and
 * the same kinds of messages: the retained state of a case, an event of the firm, another one,
 * and the state's topic emptied.
 * All there is to do is to hand over the next message when one is acknowledged. Prints one line
 * of JSON: messages a second, from the first call to the last PUBACK.
 */
#include "bench/null_mqtt.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

static struct {
    const char *url;
    unsigned count, window, size, firms;
} opt = {.count = 40000, .window = 100, .size = 700, .firms = 100};

static sem_t window;
static atomic_int connected, acked; /* connected: 1, or -1 */
static MQTTAsync client;

static void on_connected(void *ctx, MQTTAsync_successData5 *d)
{
    (void)ctx;
    (void)d;
    atomic_store(&connected, 1);
}

static void on_failed(void *ctx, MQTTAsync_failureData5 *d)
{
    (void)d;
    fprintf(stderr, "null_pub: %s failed\n", (const char *)ctx);
    _exit(1);
}

static void on_acked(void *ctx, MQTTAsync_successData5 *d)
{
    (void)ctx;
    (void)d;
    atomic_fetch_add(&acked, 1);
    sem_post(&window);
}

static bool start(void)
{
    /* the window is ours */
    return null_start(&client, opt.url, "null-pub", 65535, NULL, on_connected, on_failed);
}

static bool publish(unsigned i, char *text)
{
    MQTTAsync_message m = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    char topic[120];
    unsigned f = i / 4 % opt.firms;
    bool state = i % 4 == 0 || i % 4 == 3;
    if (state)
        snprintf(topic, sizeof(topic), "null/v1/alerts/f%u/b%u/null.all.1.%u", f, f, i / 4);
    else
        snprintf(topic, sizeof(topic), "null/v1/events/f%u/b%u", f, f);
    m.payload = text;
    m.payloadlen = i % 4 == 3 ? 0 : (int)opt.size;
    m.qos = 1;
    m.retained = state;
    o.onSuccess5 = on_acked;
    o.onFailure5 = on_failed;
    o.context = (void *)"publish";
    sem_wait(&window);
    return MQTTAsync_sendMessage(client, topic, &m, &o) == MQTTASYNC_SUCCESS;
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *k = argv[i], *v = argv[i + 1];
        unsigned n = (unsigned)strtod(v, NULL);
        if (strcmp(k, "--url") == 0)
            opt.url = v;
        else if (strcmp(k, "--count") == 0)
            opt.count = n;
        else if (strcmp(k, "--window") == 0)
            opt.window = n;
        else if (strcmp(k, "--size") == 0)
            opt.size = n;
        else if (strcmp(k, "--firms") == 0)
            opt.firms = n;
        else
            return false;
    }
    return argc % 2 == 1 && opt.url && opt.count && opt.window && opt.firms;
}

int main(int argc, char **argv)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    if (!parse(argc, argv)) {
        fputs("usage: null_pub --url U [--count N] [--window W] [--size BYTES] [--firms F]\n",
              stderr);
        return 64;
    }
    char *text = malloc(opt.size + 1);
    if (!text || sem_init(&window, 0, opt.window) != 0 || !start())
        return 1;
    memset(text, 'x', opt.size);
    while (atomic_load(&connected) == 0)
        nanosleep(&nap, NULL);
    double began = wall_s();
    for (unsigned i = 0; i < opt.count; i++)
        if (!publish(i, text))
            return 1;
    while ((unsigned)atomic_load(&acked) < opt.count)
        nanosleep(&nap, NULL);
    double took = wall_s() - began;
    printf("{\"program\":\"null_pub\",\"messages\":%u,\"seconds\":%.4f,\"per_second\":%.1f}\n",
           opt.count, took, opt.count / took);
    fflush(stdout);
    _exit(0); /* nothing to tidy up, no race to lose */
}
