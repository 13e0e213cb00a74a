/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null_sub — the yardstick of `make bench`: a bare Paho subscriber that only counts.
 *
 * The same library, trace level, MQTT version and subscribe options as gaihoud's; clean start,
 * so that no earlier run's queue is counted. Always Debian's shared library, however gaihoud
 * was built. Prints one line of JSON: messages, seconds and its own CPU. The CPU is taken from
 * the first message on, so that connecting is not part of it; --count ends at that many
 * messages,
 * --seconds that long after the first, and either gives up after --patience without a message.
 */
#include "bench/null_mqtt.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

struct options {
    const char *url, *client_id, *filter, *build;
    long long count;
    double seconds, patience;
    int qos;
};

static atomic_llong messages;
static atomic_int subscribed; /* -1: failed */
static volatile sig_atomic_t stopped;
static double first_wall, first_cpu, last_wall; /* written by Paho's thread before `messages` */

static double cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

static int on_arrived(void *ctx, char *topic, int len, MQTTAsync_message *m)
{
    (void)ctx;
    (void)len;
    if (atomic_load_explicit(&messages, memory_order_relaxed) == 0) {
        first_wall = wall_s();
        first_cpu = cpu_s();
    }
    atomic_fetch_add_explicit(&messages, 1, memory_order_release);
    MQTTAsync_freeMessage(&m);
    MQTTAsync_free(topic);
    return 1;
}

static void on_subscribed(void *ctx, MQTTAsync_successData5 *d)
{
    (void)ctx;
    (void)d;
    atomic_store(&subscribed, 1);
    fputs("subscribed\n", stderr);
}

static void on_failed(void *ctx, MQTTAsync_failureData5 *d)
{
    fprintf(stderr, "null_sub: %s failed: %s (%d, reason %d)\n", (const char *)ctx,
            d && d->message ? d->message : "no text", d ? d->code : 0,
            d ? (int)d->reasonCode : 0);
    atomic_store(&subscribed, -1);
}

static MQTTAsync client;
static struct options opt;

static void on_connected(void *ctx, MQTTAsync_successData5 *d)
{
    (void)ctx;
    (void)d;
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    o.subscribeOptions.retainHandling = 1;
    o.onSuccess5 = on_subscribed;
    o.onFailure5 = on_failed;
    o.context = (void *)"subscribe";
    if (MQTTAsync_subscribe(client, opt.filter, opt.qos, &o) != MQTTASYNC_SUCCESS)
        atomic_store(&subscribed, -1);
}

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static int usage(void)
{
    fputs("usage: null_sub --url tcp://127.0.0.1:1883 --client-id ID --filter F "
          "(--count N | --seconds S) [--qos 0|1] [--patience S] [--build NAME]\n",
          stderr);
    return 64;
}

static bool parse(int argc, char **argv)
{
    opt = (struct options){.qos = 1, .patience = 60, .build = "shared"};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *k = argv[i], *v = argv[i + 1];
        if (strcmp(k, "--url") == 0)
            opt.url = v;
        else if (strcmp(k, "--client-id") == 0)
            opt.client_id = v;
        else if (strcmp(k, "--filter") == 0)
            opt.filter = v;
        else if (strcmp(k, "--build") == 0)
            opt.build = v;
        else if (strcmp(k, "--count") == 0)
            opt.count = (long long)strtod(v, NULL);
        else if (strcmp(k, "--seconds") == 0)
            opt.seconds = strtod(v, NULL);
        else if (strcmp(k, "--patience") == 0)
            opt.patience = strtod(v, NULL);
        else if (strcmp(k, "--qos") == 0)
            opt.qos = v[0] == '1';
        else
            return false;
    }
    return argc % 2 == 1 && opt.url && opt.client_id && opt.filter &&
           (opt.count > 0) != (opt.seconds > 0);
}

/* Polls 100 times a second: well below the cost of anything measured. */
static void wait_for_end(void)
{
    struct timespec nap = {.tv_nsec = 10000000};
    long long before = 0;
    double quiet_since = wall_s();
    while (!stopped && atomic_load(&subscribed) >= 0) {
        long long n = atomic_load_explicit(&messages, memory_order_acquire);
        double now = wall_s();
        if (n != before) {
            quiet_since = last_wall = now;
            before = n;
        }
        if ((opt.count && n >= opt.count) || now - quiet_since > opt.patience ||
            (opt.seconds > 0 && n && now - first_wall >= opt.seconds))
            return;
        nanosleep(&nap, NULL);
    }
}

int main(int argc, char **argv)
{
    if (!parse(argc, argv))
        return usage();
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    if (!null_start(&client, opt.url, opt.client_id, 0, on_arrived, on_connected, on_failed))
        return 1;
    wait_for_end();
    double cpu = cpu_s();
    long long n = atomic_load_explicit(&messages, memory_order_acquire);
    double seconds = n ? last_wall - first_wall : 0, used = n ? cpu - first_cpu : 0;
    printf("{\"program\":\"null\",\"build\":\"%s\",\"messages\":%lld,\"seconds\":%.6f,"
           "\"per_second\":%.1f,\"cpu_seconds\":%.6f,\"cpu_us_per_message\":%.4f}\n",
           opt.build, n, seconds, seconds > 0 ? (double)n / seconds : 0, used,
           n ? used * 1e6 / (double)n : 0);
    fflush(stdout);
    _exit(n && (!opt.count || n >= opt.count) ? 0
                                              : 1); /* nothing to tidy up, no race to lose */
}
