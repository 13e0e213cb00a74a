/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MQTT_RIG_H
#define TESTS_MQTT_RIG_H
/*
 * mqtt_rig — what test_mqtt and test_mqtt_send stand on: a private mosquitto, raw MQTT clients, a
 * client under test and what it told. Included by them only.
 */
#include "base/log.h"
#include "base/mem.h"
#include "io/mqtt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static const char *mosquitto;

/* -- waiting --------------------------------------------------------------------------------
 */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void nap(void)
{
    (void)poll(NULL, 0, 10);
}

/* Times are those of an idle machine; what must not take longer says so. */
#define PATIENCE            6
#define WAIT(cond, seconds) WAIT_EXACTLY(cond, (seconds)*PATIENCE)
#define WAIT_EXACTLY(cond, seconds)                                                            \
    do {                                                                                       \
        double until_ = now_s() + (seconds);                                                   \
        while (!(cond) && now_s() < until_)                                                    \
            nap();                                                                             \
        if (!(cond))                                                                           \
            fail_msg("not within %g s: %s", (double)(seconds), #cond);                         \
    } while (0)

/* -- what the client tells -------------------------------------------------------------------
 */

struct seen {
    char topic[64];
    size_t topic_len, payload_len;
    char payload[64], response[64], correlation[64];
    uint16_t id;
    uint8_t qos;
    bool retain, dup, while_up;
};

struct log {
    pthread_mutex_t lock;
    int ups, downs;
    bool up, session_present, taken_over, out_of_order;
    char reason[512];
    struct seen seen[4000];
    size_t n;
    bool hold; /* block in on_message: never acknowledge */
    struct {
        uint64_t id;
        int status, ups;
    } sent[4000];
    size_t n_sent;
};

static struct log *log_new(void)
{
    struct log *l = mem_zalloc(sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
    struct log *l = ctx;
    pthread_mutex_lock(&l->lock);
    if (l->n < 4000) {
        struct seen *s = &l->seen[l->n++];
        size_t t = m->topic_len < 63 ? m->topic_len : 63;
        size_t p = m->payload_len < 63 ? m->payload_len : 63;
        *s = (struct seen){.topic_len = m->topic_len,
                           .payload_len = m->payload_len,
                           .id = m->packet_id,
                           .qos = m->qos,
                           .retain = m->retain,
                           .dup = m->dup,
                           .while_up = l->up};
        memcpy(s->topic, m->topic, t);
        if (p)
            memcpy(s->payload, m->payload, p);
        if (m->response_topic && m->response_topic_len < 63)
            memcpy(s->response, m->response_topic, m->response_topic_len);
        if (m->correlation && m->correlation_len < 63)
            memcpy(s->correlation, m->correlation, m->correlation_len);
    }
    bool hold = l->hold;
    pthread_mutex_unlock(&l->lock);
    while (hold)
        pause();
}

static void on_link(void *ctx, const struct mqtt_link *k)
{
    struct log *l = ctx;
    pthread_mutex_lock(&l->lock);
    bool up = k->state == MQTT_UP;
    if (up == l->up)
        l->out_of_order = true;
    l->up = up;
    if (up) {
        l->ups++;
        l->session_present = k->session_present;
    } else {
        l->downs++;
        l->taken_over = k->taken_over;
        snprintf(l->reason, sizeof(l->reason), "%s", k->reason);
    }
    pthread_mutex_unlock(&l->lock);
}

static void on_sent(void *ctx, uint64_t id, int status)
{
    struct log *l = ctx;
    pthread_mutex_lock(&l->lock);
    assert_true(l->n_sent < sizeof(l->sent) / sizeof(l->sent[0]));
    l->sent[l->n_sent].id = id;
    l->sent[l->n_sent].status = status;
    l->sent[l->n_sent++].ups = l->ups;
    pthread_mutex_unlock(&l->lock);
}

static size_t count(struct log *l)
{
    pthread_mutex_lock(&l->lock);
    size_t n = l->n;
    pthread_mutex_unlock(&l->lock);
    return n;
}

static int ups(struct log *l)
{
    pthread_mutex_lock(&l->lock);
    int n = l->ups;
    pthread_mutex_unlock(&l->lock);
    return n;
}

static int downs(struct log *l)
{
    pthread_mutex_lock(&l->lock);
    int n = l->downs;
    pthread_mutex_unlock(&l->lock);
    return n;
}

static struct mqtt_stats stats(struct mqtt *m)
{
    struct mqtt_stats s;
    mqtt_stats(m, &s);
    return s;
}

static bool problem_has(struct mqtt *m, const char *word)
{
    return strstr(stats(m).problem, word) != NULL;
}

/* -- brokers ---------------------------------------------------------------------------------
 */

static int listen_free(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

/* One that nobody listens on, of those that the kernel gives to nobody by itself. While this process
 * lasts a name says that it is ours: neither before a broker listens nor while it is down may another
 * test take it (tests/integ/conftest.py does the same). */
static int free_port(void)
{
    static unsigned seed;
    if (!seed)
        seed = (unsigned)getpid() ^ ((unsigned)time(NULL) << 16);
    for (;;) {
        int port = 10000 + rand_r(&seed) % 22000;
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int n =
            snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "gaihou-test-port-%d", port);
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
        int mark = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        bool ours = bind(mark, (struct sockaddr *)&name, len) == 0 &&
                    bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
        close(fd);
        if (ours)
            return port;
        close(mark);
    }
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval t = {.tv_sec = 60};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

struct broker {
    pid_t pid;
    int port;
    char conf[128];
};

static void write_file(const char *path, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void write_file(const char *path, const char *fmt, ...)
{
    FILE *f = fopen(path, "we");
    va_list ap;
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fclose(f);
}

static pid_t run(const char *out, const char *const *argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static void broker_run(struct broker *b)
{
    char out[160];
    snprintf(out, sizeof(out), "%s.log", b->conf);
    b->pid = run(out, (const char *const[]){mosquitto, "-c", b->conf, NULL});
    int fd = -1;
    WAIT((fd = dial(b->port)) >= 0, 10);
    close(fd);
}

static void broker_start(struct broker *b, const char *more)
{
    static int serial;
    b->port = free_port();
    char data[112];
    snprintf(data, sizeof(data), "%s/b%d", dir, serial++);
    mkdir(data, 0700);
    snprintf(b->conf, sizeof(b->conf), "%s/conf", data);
    const char *user = getuid() == 0 ? "user root\n" : "";
    write_file(b->conf,
               "listener %d 127.0.0.1\n%spersistence true\npersistence_location %s/\n"
               "autosave_interval 1\nautosave_on_changes true\nmax_inflight_messages 0\n"
               "max_queued_messages 0\n%s%s",
               b->port, user, data,
               more && strstr(more, "allow_") ? "" : "allow_anonymous true\n",
               more ? more : "");
    broker_run(b);
}

static void broker_kill(struct broker *b, int sig)
{
    kill(b->pid, sig);
    waitpid(b->pid, NULL, 0);
}

/* A client by hand: 3.1.1, QoS 0 or 1. */
static int raw_connect(int port, const char *id)
{
    uint8_t p[128] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60};
    size_t n = strlen(id);
    p[12] = 0;
    p[13] = (uint8_t)n;
    memcpy(p + 14, id, n);
    p[1] = (uint8_t)(12 + n);
    int fd = dial(port);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, p, 14 + n, MSG_NOSIGNAL), 14 + n);
    uint8_t r[4];
    assert_int_equal(recv(fd, r, 4, MSG_WAITALL), 4);
    assert_int_equal(r[3], 0);
    return fd;
}

static void raw_publish(int fd, const char *topic, const char *payload, int qos, bool retain)
{
    uint8_t p[256];
    size_t t = strlen(topic), l = strlen(payload), n = 0;
    p[n++] = (uint8_t)(0x30 | (qos << 1) | retain);
    p[n++] = (uint8_t)(2 + t + (qos ? 2 : 0) + l);
    p[n++] = 0;
    p[n++] = (uint8_t)t;
    memcpy(p + n, topic, t);
    n += t;
    if (qos) {
        p[n++] = 0;
        p[n++] = 9;
    }
    memcpy(p + n, payload, l);
    n += l;
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
    if (qos) {
        uint8_t r[4];
        assert_int_equal(recv(fd, r, 4, MSG_WAITALL), 4);
        assert_int_equal(r[0], 0x40);
    }
}

static void publish(int port, const char *topic, const char *payload, int qos, bool retain)
{
    int fd = raw_connect(port, "feed");
    raw_publish(fd, topic, payload, qos, retain);
    if (!qos) { /* so that it is taken before we hang up */
        uint8_t r[2];
        (void)!send(fd, "\xc0\0", 2, MSG_NOSIGNAL);
        assert_int_equal(recv(fd, r, 2, MSG_WAITALL), 2);
    }
    (void)!send(fd, "\xe0\0", 2, MSG_NOSIGNAL);
    close(fd);
}

/* -- opening ---------------------------------------------------------------------------------
 */

struct client {
    struct conf_broker conf;
    const char *urls[4];
    char url[4][128];
    char id[32];
    struct log *log;
    struct mqtt *m;
};

static void client_open(struct client *c, struct mqtt_options o)
{
    static int serial;
    c->conf.id = "main";
    c->conf.url.items = c->urls;
    for (c->conf.url.n = 0; c->conf.url.n < 4 && c->url[c->conf.url.n][0]; c->conf.url.n++)
        c->urls[c->conf.url.n] = c->url[c->conf.url.n];
    if (!c->id[0])
        snprintf(c->id, sizeof(c->id), "gw-%d", serial++);
    if (!c->conf.session_expiry_s)
        c->conf.session_expiry_s = 3600;
    c->conf.keepalive_s = 30;
    c->conf.receive_maximum = 100;
    c->conf.max_packet_bytes = 1 << 20;
    if (!c->log)
        c->log = log_new();
    static const struct mqtt_filter all = {.filter = "t/#", .qos = 1};
    o.broker = &c->conf;
    o.client_id = c->id;
    if (!o.filters) {
        o.filters = &all;
        o.n_filters = 1;
    }
    struct mqtt_events e = {
        .ctx = c->log, .on_message = on_message, .on_link = on_link, .on_sent = on_sent};
    struct err err = {0};
    if (mqtt_open(&o, &e, &err, &c->m))
        fail_msg("%s", err.text);
}

static void client_url(struct client *c, int i, const char *scheme, const char *host, int port)
{
    snprintf(c->url[i], sizeof(c->url[i]), "%s://%s:%d", scheme, host, port);
}

static void client_close(struct client *c)
{
    double t = now_s();
    mqtt_close(c->m);
    assert_true(now_s() - t < 6 * PATIENCE);
    assert_int_equal(c->log->ups, c->log->downs); /* exactly one down per up */
    assert_false(c->log->out_of_order);
    pthread_mutex_destroy(&c->log->lock);
    free(c->log);
}

static bool last_is(struct log *l, const char *payload)
{
    pthread_mutex_lock(&l->lock);
    bool is = l->n > 0 && strcmp(l->seen[l->n - 1].payload, payload) == 0;
    pthread_mutex_unlock(&l->lock);
    return is;
}

/* Connected and every filter answered: a message of ours comes through. */
static void wait_subscribed(struct client *c, int port)
{
    WAIT(stats(c->m).connected, 15);
    size_t before = count(c->log);
    double until = now_s() + 10 * PATIENCE;
    char probe[16];
    for (int n = 0; count(c->log) == before && now_s() < until; n++) {
        snprintf(probe, sizeof(probe), "? %d", n);
        publish(port, "t/probe", probe, 0, false);
        for (int i = 0; i < 10 && count(c->log) == before; i++)
            nap();
    }
    assert_true(count(c->log) > before);
    WAIT(last_is(c->log, probe), 10); /* the others came before it */
    pthread_mutex_lock(&c->log->lock);
    c->log->n = 0;
    pthread_mutex_unlock(&c->log->lock);
}

/* -- a group of tests ------------------------------------------------------------------------ */

static inline int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_mqtt.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    if (access("/usr/sbin/mosquitto", X_OK) == 0)
        mosquitto = "/usr/sbin/mosquitto";
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    pid_t pid = run("/dev/null", (const char *const[]){"rm", "-rf", dir, NULL});
    waitpid(pid, NULL, 0);
    return 0;
}

#endif
