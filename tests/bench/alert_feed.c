/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alert_feed — says samples that each make one transition, and hears what is told of them.
 *
 * Devices a0 … a<N-1>, in compounds b0 … b<C-1>, say `level` in turns, all of them high, then
 * all low, and so on: with a rule of `level > 0.8` without delays each sample changes one case.
 * A second client hears the topic that is asked for and looks for the answer: the time from the
 * call that publishes the sample to the arrival of the message about it. A thread meanwhile
 * writes 4 KiB and calls fdatasync ten times a second, on the disk that is said, because an
 * alarm may not be told before its sample is on the disk. Prints one line of JSON.
 *
 * What is heard is also counted: transitions by kind, numbers (`seq`) that are missing in a
 * compound's stream, or come again.
 */
#include <MQTTAsync.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST_DEVICES   200000
#define MOST_COMPOUNDS 10000
#define MOST_TIMES     4000000

struct options {
    const char *url, *listen, *filter, *sync;
    unsigned devices, compounds, count, first;
    double rate, patience, delay;
};

struct device {
    double sent;
    unsigned wants; /* 0 nothing, 1 that it is active, 2 that it is clear */
};

struct times {
    double *v;
    size_t n;
};

static struct options opt;
static struct device devices[MOST_DEVICES];
static unsigned long long seqs[MOST_COMPOUNDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct times latencies, syncs;
static unsigned long long heard, activated, cleared, missing, again;
static double first_heard, last_heard; /* under `lock`, as all above */
static atomic_int ready, failed, under_way;
static atomic_bool over;
static volatile sig_atomic_t stopped;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void add(struct times *t, double v)
{
    if (t->n < MOST_TIMES)
        t->v[t->n++] = v;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorts; then in ms. */
static void print_times(const char *name, struct times *t)
{
    qsort(t->v, t->n, sizeof(double), ascending);
    double most = t->n ? t->v[t->n - 1] : 0;
    printf(",\"%s\":{\"n\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}", name, t->n,
           t->n ? t->v[t->n / 2] * 1e3 : 0, t->n ? t->v[t->n * 99 / 100] * 1e3 : 0, most * 1e3);
}

/* The text behind `key` in one of our own messages, which are written without blanks. */
static const char *member(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? at + strlen(key) : NULL;
}

static void note_seq(const char *topic, const char *text)
{
    const char *last = strrchr(topic, '/'), *seq = member(text, "\"seq\":");
    if (!last || last[1] != 'b' || !seq)
        return;
    unsigned long c = strtoul(last + 2, NULL, 10);
    unsigned long long n = strtoull(seq, NULL, 10);
    if (c >= MOST_COMPOUNDS)
        return;
    if (n <= seqs[c]) {
        again++;
        return;
    }
    missing += n - seqs[c] - 1;
    seqs[c] = n;
}

static void note(const char *topic, const char *text, double now)
{
    const char *d = member(text, "\"device\":\"a"), *change = member(text, "\"change\":\"");
    unsigned long i = d ? strtoul(d, NULL, 10) : MOST_DEVICES;
    if (i >= opt.devices || !change)
        return;
    heard++;
    first_heard = first_heard > 0 ? first_heard : now;
    last_heard = now;
    note_seq(topic, text);
    unsigned is = strncmp(change, "activated", 9) == 0 || strncmp(change, "recurred", 8) == 0
                      ? 1
                  : strncmp(change, "cleared", 7) == 0 ? 2
                                                       : 0;
    activated += is == 1;
    cleared += is == 2;
    if (is && devices[i].wants == is) {
        devices[i].wants = 0;
        add(&latencies, now - devices[i].sent);
    }
}

static int on_arrived(void *ctx, char *topic, int len, MQTTAsync_message *m)
{
    double now = now_s();
    char text[4096];
    size_t n = (size_t)m->payloadlen < sizeof(text) ? (size_t)m->payloadlen : sizeof(text) - 1;
    (void)ctx;
    (void)len;
    memcpy(text, m->payload, n);
    text[n] = 0;
    pthread_mutex_lock(&lock);
    note(topic, text, now);
    pthread_mutex_unlock(&lock);
    MQTTAsync_freeMessage(&m);
    MQTTAsync_free(topic);
    return 1;
}

/* -- the two clients -------------------------------------------------------------------------- */

static MQTTAsync speaker, listener;

static void on_ready(void *ctx, MQTTAsync_successData5 *d)
{
    (void)ctx;
    (void)d;
    atomic_fetch_add(&ready, 1);
}

static void on_failed(void *ctx, MQTTAsync_failureData5 *d)
{
    fprintf(stderr, "alert_feed: %s failed: %s\n", (const char *)ctx,
            d && d->message ? d->message : "no text");
    atomic_store(&failed, 1);
}

static void on_listening(void *ctx, MQTTAsync_successData5 *d)
{
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    (void)ctx;
    (void)d;
    o.onSuccess5 = on_ready;
    o.onFailure5 = on_failed;
    o.context = (void *)"subscribe";
    if (MQTTAsync_subscribe(listener, opt.filter, 1, &o) != MQTTASYNC_SUCCESS)
        atomic_store(&failed, 1);
}

static bool start(MQTTAsync *out, const char *at, const char *id, MQTTAsync_onSuccess5 *then)
{
    MQTTAsync_createOptions c = MQTTAsync_createOptions_initializer5;
    MQTTAsync_connectOptions o = MQTTAsync_connectOptions_initializer5;
    char url[300];
    const char *rest = strncmp(at, "mqtt://", 7) == 0 ? at + 7 : NULL;
    snprintf(url, sizeof(url), rest ? "tcp://%s" : "%s", rest ? rest : at);
    unsetenv("http_proxy");
    c.maxBufferedMessages = 65535;
    if (MQTTAsync_createWithOptions(out, url, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &c) !=
        MQTTASYNC_SUCCESS)
        return false;
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    MQTTAsync_setCallbacks(*out, NULL, NULL, on_arrived, NULL);
    o.keepAliveInterval = 60;
    o.cleanstart = 1;
    o.maxInflight = 1000;
    o.onSuccess5 = then;
    o.onFailure5 = on_failed;
    o.context = (void *)"connect";
    return MQTTAsync_connect(*out, &o) == MQTTASYNC_SUCCESS;
}

/* -- what it says ----------------------------------------------------------------------------- */

static void on_acked(void *ctx, MQTTAsync_successData5 *d)
{
    (void)ctx;
    (void)d;
    atomic_fetch_sub(&under_way, 1);
}

static bool say(unsigned k)
{
    MQTTAsync_message m = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    unsigned i = k % opt.devices;
    bool high = k / opt.devices % 2 == 0;
    char topic[100], text[100];
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(topic, sizeof(topic), "gaihou/v1/up/b%u/a%u", i % opt.compounds, i);
    snprintf(text, sizeof(text), "{\"ts\":%lld,\"level\":%s}",
             (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000, high ? "0.93" : "0.21");
    m.payload = text;
    m.payloadlen = (int)strlen(text);
    m.qos = 1;
    o.onSuccess5 = on_acked;
    o.onFailure5 = on_failed;
    o.context = (void *)"publish";
    pthread_mutex_lock(&lock);
    devices[i] = (struct device){.sent = now_s(), .wants = high ? 1 : 2};
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&under_way, 1);
    return MQTTAsync_sendMessage(speaker, topic, &m, &o) == MQTTASYNC_SUCCESS;
}

static void nap(double s)
{
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
    if (s > 0)
        nanosleep(&t, NULL);
}

static unsigned say_all(void)
{
    double began = now_s();
    unsigned k = 0;
    while (k < opt.count && !stopped && !atomic_load(&failed)) {
        nap(began + k / opt.rate - now_s());
        if (atomic_load(&under_way) < 1000 && say(opt.first + k))
            k++;
        else
            nap(0.001);
    }
    return k;
}

static void wait_for_answers(unsigned said)
{
    unsigned long long before = 0;
    double since = now_s();
    for (;;) {
        pthread_mutex_lock(&lock);
        unsigned long long n = heard, told = activated + cleared;
        pthread_mutex_unlock(&lock);
        since = n != before ? now_s() : since;
        before = n;
        if (told >= said || stopped || atomic_load(&failed) || now_s() - since > opt.patience)
            return;
        nap(0.02);
    }
}

/* -- the disk ----------------------------------------------------------------------------------- */

static void *sync_often(void *arg)
{
    static const char page[4096];
    int fd = open(opt.sync, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (off_t at = 0; fd >= 0 && !atomic_load(&over); at += (off_t)sizeof(page)) {
        double t = now_s();
        if (pwrite(fd, page, sizeof(page), at) < 0 || fdatasync(fd) != 0)
            break;
        add(&syncs, now_s() - t);
        nap(0.1);
    }
    if (fd >= 0)
        close(fd);
    return arg;
}

static bool parse(int argc, char **argv)
{
    opt = (struct options){.filter = "gaihou/v1/events/#",
                           .devices = 1000,
                           .compounds = 1,
                           .rate = 10,
                           .patience = 10};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *k = argv[i], *v = argv[i + 1];
        if (strcmp(k, "--url") == 0)
            opt.url = v;
        else if (strcmp(k, "--listen") == 0)
            opt.listen = v;
        else if (strcmp(k, "--delay") == 0)
            opt.delay = strtod(v, NULL);
        else if (strcmp(k, "--filter") == 0)
            opt.filter = v;
        else if (strcmp(k, "--sync") == 0)
            opt.sync = v;
        else if (strcmp(k, "--devices") == 0)
            opt.devices = (unsigned)strtod(v, NULL);
        else if (strcmp(k, "--compounds") == 0)
            opt.compounds = (unsigned)strtod(v, NULL);
        else if (strcmp(k, "--count") == 0)
            opt.count = (unsigned)strtod(v, NULL);
        else if (strcmp(k, "--first") == 0)
            opt.first = (unsigned)strtod(v, NULL);
        else if (strcmp(k, "--rate") == 0)
            opt.rate = strtod(v, NULL);
        else if (strcmp(k, "--patience") == 0)
            opt.patience = strtod(v, NULL);
        else
            return false;
    }
    return argc % 2 == 1 && opt.url && opt.count && opt.rate > 0 && opt.devices > 0 &&
           opt.devices <= MOST_DEVICES && opt.compounds > 0 && opt.compounds <= MOST_COMPOUNDS;
}

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

int main(int argc, char **argv)
{
    pthread_t disk;
    struct sigaction sa = {.sa_handler = on_signal};
    if (!parse(argc, argv)) {
        fputs("usage: alert_feed --url U --count SAMPLES [--rate R] [--devices N] [--compounds "
              "C] "
              "[--first K] [--filter F] [--listen URL] [--delay S] [--sync FILE] [--patience "
              "S]\n",
              stderr);
        return 64;
    }
    sigaction(SIGTERM, &sa, NULL);
    latencies.v = calloc(MOST_TIMES, sizeof(double));
    syncs.v = calloc(MOST_TIMES, sizeof(double));
    if (!latencies.v || !syncs.v || !start(&speaker, opt.url, "alert-feed", on_ready) ||
        !start(&listener, opt.listen ? opt.listen : opt.url, "alert-ear", on_listening))
        return 1;
    while (atomic_load(&ready) < 2 && !atomic_load(&failed) && !stopped)
        nap(0.01);
    bool disked = opt.sync && pthread_create(&disk, NULL, sync_often, NULL) == 0;
    fputs("ready\n", stderr);
    nap(opt.delay);
    double began = now_s();
    unsigned said = say_all();
    double said_s = now_s() - began;
    fputs("said\n", stderr);
    wait_for_answers(said);
    atomic_store(&over, true);
    if (disked)
        pthread_join(disk, NULL);
    pthread_mutex_lock(&lock);
    printf("{\"said\":%u,\"said_s\":%.3f,\"heard\":%llu,\"activated\":%llu,\"cleared\":%llu,"
           "\"missing\":%llu,\"again\":%llu,\"first_s\":%.3f,\"last_s\":%.3f",
           said, said_s, heard, activated, cleared, missing, again, first_heard - began,
           last_heard - began);
    print_times("latency", &latencies);
    print_times("sync", &syncs);
    puts("}");
    fflush(stdout);
    _exit(activated + cleared >= said ? 0 : 1); /* nothing to tidy up, no race to lose */
}
