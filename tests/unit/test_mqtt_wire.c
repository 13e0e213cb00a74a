/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_wire: the bytes of a socket through the recv(), poll(), writev() and close() that Paho gets. */
/* tsan: yes */
#include "unit.h"

#include "io/mqtt_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* A socket of "Paho's" and the broker's end of it. */
struct pair {
    int paho, broker;
};

static struct pair pair_new(void)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    return (struct pair){fd[0], fd[1]};
}

static void pair_end(struct pair *p)
{
    close(p->paho);
    close(p->broker);
}

/* The two questions of a round, as Paho asks them. revents of the sockets for reading in `reads`. */
static int ask_round(const int *fds, size_t n, int timeout_ms, short *reads)
{
    struct pollfd r[8], w[8];
    for (size_t i = 0; i < n; i++) {
        r[i] = (struct pollfd){.fd = fds[i], .events = POLLIN | POLLNVAL};
        w[i] = (struct pollfd){.fd = fds[i], .events = POLLOUT};
    }
    assert_true(poll(w, n, 0) >= 0);
    int rc = poll(r, n, timeout_ms);
    for (size_t i = 0; i < n; i++)
        reads[i] = r[i].revents;
    return rc;
}

static bool readable(int fd, int timeout_ms)
{
    short r;
    return ask_round(&fd, 1, timeout_ms, &r) > 0 && (r & POLLIN);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void hear(int fd, const char *expected)
{
    char got[256];
    size_t n = strlen(expected);
    assert_int_equal(recv(fd, got, n, 0), n);
    assert_memory_equal(got, expected, n);
}

static struct mqtt_wire_stats stats(void)
{
    struct mqtt_wire_stats s;
    mqtt_wire_stats(&s);
    return s;
}

/* -- reading --------------------------------------------------------------------------------- */

static void one_read(void)
{
    struct pair p = pair_new();
    struct mqtt_wire_stats before = stats();
    say(p.broker, "0123456789");
    assert_true(readable(p.paho, 1000));
    hear(p.paho, "0");
    hear(p.paho, "12");
    assert_true(readable(p.paho, 1000)); /* the kernel has nothing any more */
    hear(p.paho, "3456789");
    assert_int_equal(stats().read - before.read, 1);
    assert_int_equal(stats().asked - before.asked, 3);
    assert_false(readable(p.paho, 0));
    char c;
    assert_int_equal(recv(p.paho, &c, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    say(p.broker, "abc"); /* a read that takes the rest of one and the start of the next */
    assert_true(readable(p.paho, 1000));
    hear(p.paho, "a");
    say(p.broker, "def");
    hear(p.paho, "bcdef");
    close(p.broker);
    assert_true(readable(p.paho, 1000));
    assert_int_equal(recv(p.paho, &c, 1, 0), 0);
    close(p.paho);
}

static void what_came_before_the_end(void)
{
    struct pair p = pair_new();
    char got[8];
    say(p.broker, "abc");
    assert_true(readable(p.paho, 1000));
    hear(p.paho, "a");
    close(p.broker);
    assert_true(readable(p.paho, 1000));
    assert_int_equal(recv(p.paho, got, 8, 0), 2);
    assert_int_equal(recv(p.paho, got, 8, 0), 0);
    close(p.paho);
}

static void nobody_polls_for_it(void)
{
    struct pair p = pair_new();
    struct mqtt_wire_stats before = stats();
    char got[4];
    say(p.broker, "abcd");
    hear(p.paho, "a");
    assert_int_equal(stats().asked, before.asked);
    assert_true(readable(p.paho, 1000));
    assert_int_equal(recv(p.paho, got, 3, MSG_PEEK), 3); /* the kernel has them */
    hear(p.paho, "bcd");
    pair_end(&p);
}

static void a_number_used_again(void)
{
    struct pair p = pair_new(), next;
    say(p.broker, "old");
    assert_true(readable(p.paho, 1000));
    hear(p.paho, "o");
    close(p.paho);
    next = pair_new();
    assert_int_equal(next.paho, p.paho); /* the lowest free number */
    assert_false(readable(next.paho, 0));
    say(next.broker, "new");
    assert_true(readable(next.paho, 1000));
    hear(next.paho, "new");
    pair_end(&next);
    close(p.broker);
}

static struct pair tcp_pair(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int door = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, len), 0);
    struct pair p = {fd, accept(door, NULL, NULL)};
    assert_true(p.broker >= 0);
    close(door);
    return p;
}

/* A message does not wait for the acknowledgement of the packet before it. */
static void no_delay(void)
{
    socklen_t size = sizeof(int);
    int on = 0;
    struct pair p = tcp_pair();
    assert_false(readable(p.paho, 0));
    assert_int_equal(getsockopt(p.paho, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    assert_true(on);
    pair_end(&p);
}

static void others_are_seen(void)
{
    struct pair a = pair_new(), b = pair_new();
    int fds[2] = {a.paho, b.paho};
    short r[2];
    char c;
    assert_int_equal(ask_round(fds, 2, 0, r), 0);
    for (int i = 0; i < 100; i++)
        say(a.broker, "x");
    assert_int_equal(ask_round(fds, 2, 1000, r), 1);
    assert_int_equal(recv(a.paho, &c, 1, 0), 1);
    say(b.broker, "y");
    unsigned rounds = 0;
    for (; rounds < 50; rounds++) {
        assert_true(ask_round(fds, 2, 1000, r) >= 1);
        assert_true(r[0] & POLLIN);
        if (r[1] & POLLIN)
            break;
        assert_int_equal(recv(a.paho, &c, 1, 0), 1);
    }
    assert_in_range(rounds, 1, 17);
    hear(b.paho, "y");
    pair_end(&a);
    pair_end(&b);
}

/* Nor while each message takes its time: a callback may wait for the disk. */
static void others_are_seen_in_time(void)
{
    struct pair a = pair_new(), b = pair_new();
    int fds[2] = {a.paho, b.paho};
    short r[2];
    char c;
    assert_int_equal(ask_round(fds, 2, 0, r), 0);
    say(a.broker, "xxxxxxxxxxxxxxxx");
    assert_int_equal(ask_round(fds, 2, 1000, r), 1);
    assert_int_equal(recv(a.paho, &c, 1, 0), 1);
    say(b.broker, "y");
    assert_int_equal(poll(NULL, 0, 2), 0);
    assert_int_equal(ask_round(fds, 2, 1000, r), 2);
    hear(b.paho, "y");
    pair_end(&a);
    pair_end(&b);
}

#define STREAM (4U << 20)

static uint64_t step(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void *say_stream(void *ctx)
{
    int fd = *(int *)ctx;
    uint64_t x = 88172645463325252U;
    static char bytes[STREAM];
    for (size_t i = 0; i < STREAM; i++)
        bytes[i] = (char)(i * 31 + (i >> 8));
    for (size_t at = 0; at < STREAM;) {
        size_t n = step(&x) % 5000 + 1;
        if (n > STREAM - at)
            n = STREAM - at;
        ssize_t k = send(fd, bytes + at, n, 0);
        if (k > 0)
            at += (size_t)k;
        else
            (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
    }
    return NULL;
}

static void a_long_stream(void)
{
    struct pair p = pair_new();
    pthread_t t;
    uint64_t x = 362436069;
    static char got[70000];
    assert_int_equal(pthread_create(&t, NULL, say_stream, &p.broker), 0);
    for (size_t at = 0; at < STREAM;) {
        size_t n = step(&x) % 8 ? step(&x) % 300 + 1 : step(&x) % sizeof(got) + 1;
        if (step(&x) % 3 == 0)
            assert_true(readable(p.paho, 10000));
        ssize_t k = recv(p.paho, got, n, 0);
        if (k < 0)
            assert_int_equal(errno, EAGAIN);
        for (ssize_t i = 0; i < k; i++, at++)
            if (got[i] != (char)(at * 31 + (at >> 8)))
                fail_msg("byte %zu is wrong", at);
        if (step(&x) % 50 == 0)
            mqtt_wire_message();
    }
    assert_int_equal(pthread_join(t, NULL), 0);
    pair_end(&p);
}

/* -- messages -------------------------------------------------------------------------------- */

static void publish(int fd, const char *body)
{
    struct iovec v[2] = {{"\x32\x05", 2}, {(void *)body, strlen(body)}};
    assert_int_equal(writev(fd, v, 2), 2 + strlen(body));
}

static bool has_come(int fd)
{
    struct pollfd f = {.fd = fd, .events = POLLIN};
    return ppoll(&f, 1, &(struct timespec){.tv_nsec = 50000000}, NULL) > 0;
}

/* What Paho has more of goes together, in its order; the last of them goes at once. */
static void messages_go_together(void)
{
    struct pair p = tcp_pair();
    struct mqtt_wire_stats before = stats();
    char got[64];
    assert_false(readable(p.paho, 0));
    for (int i = 0; i < 3; i++)
        mqtt_wire_queued(1, true);
    publish(p.paho, "aaaaa");
    publish(p.paho, "bbbbb");
    assert_false(has_come(p.broker));
    publish(p.paho, "ccccc");
    assert_true(has_come(p.broker));
    assert_int_equal(recv(p.broker, got, sizeof(got), MSG_DONTWAIT), 21);
    assert_memory_equal(got,
                        "\x32\x05"
                        "aaaaa\x32\x05"
                        "bbbbb\x32\x05"
                        "ccccc",
                        21);
    assert_int_equal(stats().more - before.more, 2);
    /* one that Paho did not take after all, and ones that it never wrote */
    mqtt_wire_queued(1, true);
    mqtt_wire_queued(1, true);
    mqtt_wire_queued(-1, true);
    publish(p.paho, "ddddd");
    assert_true(has_come(p.broker));
    for (int i = 0; i < 3; i++)
        mqtt_wire_queued(1, true);
    mqtt_wire_none_queued();
    mqtt_wire_queued(1, true);
    publish(p.paho, "eeeee");
    assert_int_equal(recv(p.broker, got, 7, MSG_WAITALL), 7);
    assert_true(has_come(p.broker));
    /* what was never counted, and another packet, wait for nothing */
    publish(p.paho, "fffff");
    mqtt_wire_none_queued();
    mqtt_wire_queued(1, true);
    mqtt_wire_queued(1, true);
    assert_int_equal(recv(p.broker, got, 14, MSG_WAITALL), 14);
    struct iovec ping = {"\xc0\x00", 2};
    assert_int_equal(writev(p.paho, &ping, 1), 2);
    assert_true(has_come(p.broker));
    mqtt_wire_none_queued();
    /* with nothing before it each goes alone; and what is no socket of Paho's is none of ours */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    mqtt_wire_queued(1, false);
    mqtt_wire_queued(1, false);
    assert_int_equal(recv(p.broker, got, 2, MSG_WAITALL), 2);
    publish(p.paho, "ggggg");
    assert_true(has_come(p.broker));
    mqtt_wire_queued(1, true);
    mqtt_wire_queued(1, true);
    publish(ends[1], "hhhhh");
    assert_int_equal(read(ends[0], got, sizeof(got)), 7);
    close(ends[0]);
    close(ends[1]);
    mqtt_wire_none_queued();
    assert_int_equal(stats().more - before.more, 2);
    pair_end(&p);
}

/* Where Paho does not go on, the kernel does. */
static void nothing_is_kept_back(void)
{
    struct pair p = tcp_pair();
    char got[8];
    assert_false(readable(p.paho, 0));
    mqtt_wire_queued(1, true);
    mqtt_wire_queued(1, true);
    publish(p.paho, "aaaaa");
    assert_int_equal(recv(p.broker, got, 7, MSG_WAITALL), 7);
    mqtt_wire_none_queued();
    pair_end(&p);
}

/* -- acknowledgements -------------------------------------------------------------------------- */

static ssize_t write_two(int fd, const void *a, size_t a_len, const void *b, size_t b_len)
{
    struct iovec v[2] = {{(void *)a, a_len}, {(void *)b, b_len}};
    return writev(fd, v, 2);
}

static void ack(int fd, unsigned id)
{
    unsigned char body[2] = {(unsigned char)(id >> 8), (unsigned char)id};
    assert_int_equal(write_two(fd, "\x40\x02", 2, body, 2), 4);
}

/* The broker has got the acknowledgements from..to, and nothing else. */
static void acked(int broker, unsigned from, unsigned to)
{
    unsigned char got[1024];
    size_t n = ((size_t)to - from + 1) * 4;
    assert_int_equal(recvfrom(broker, got, sizeof(got), 0, NULL, NULL), n);
    for (unsigned i = 0; i <= to - from; i++) {
        assert_int_equal(got[4 * i], 0x40);
        assert_int_equal(got[4 * i + 2] << 8 | got[4 * i + 3], from + i);
    }
}

static void not_acked(int broker)
{
    char c;
    assert_int_equal(recvfrom(broker, &c, 1, 0, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static void acks_go_together(void)
{
    struct pair p = pair_new();
    struct mqtt_wire_stats before = stats();
    assert_false(readable(p.paho, 0));
    say(p.broker, "abc");
    assert_true(readable(p.paho, 1000));
    hear(p.paho, "a");
    ack(p.paho, 1);
    assert_true(readable(p.paho, 1000)); /* of what is left: no turn to the kernel */
    hear(p.paho, "b");
    ack(p.paho, 2);
    not_acked(p.broker);
    hear(p.paho, "c");
    ack(p.paho, 3);
    assert_false(readable(p.paho, 0));
    acked(p.broker, 1, 3);
    assert_int_equal(stats().acks - before.acks, 3);
    assert_int_equal(stats().sent - before.sent, 1);
    pair_end(&p);
}

static void acks_go_before_a_packet(void)
{
    struct pair p = pair_new();
    char got[16];
    assert_false(readable(p.paho, 0));
    ack(p.paho, 7);
    assert_int_equal(write_two(p.paho, "\xC0", 1, "\x00", 1), 2);
    assert_int_equal(recvfrom(p.broker, got, sizeof(got), 0, NULL, NULL), 6);
    assert_memory_equal(got, "\x40\x02\x00\x07\xC0\x00", 6);
    pair_end(&p);
}

/* As many as fit are held; none is lost when one more comes. */
static void more_acks_than_room(void)
{
    struct pair p = pair_new();
    assert_false(readable(p.paho, 0));
    for (unsigned id = 1; id <= 70; id++)
        ack(p.paho, id);
    assert_false(readable(p.paho, 0));
    acked(p.broker, 1, 70);
    pair_end(&p);
}

/* More sockets than there is room for are read, and acknowledged, as ever. */
static void more_sockets_than_room(void)
{
    struct pair p[9];
    int fds[9];
    for (size_t i = 0; i < 9; i++) {
        p[i] = pair_new();
        fds[i] = p[i].paho;
    }
    for (unsigned round = 1; round <= 3; round++) {
        struct pollfd r[9];
        for (size_t i = 0; i < 9; i++) {
            say(p[i].broker, "ab");
            r[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        }
        assert_int_equal(poll(r, 9, 1000), 9);
        for (size_t i = 0; i < 9; i++) {
            hear(fds[i], "a");
            hear(fds[i], "b");
            ack(fds[i], round);
        }
        assert_int_equal(poll(r, 9, 0), 0);
        for (size_t i = 0; i < 9; i++)
            acked(p[i].broker, round, round);
    }
    for (size_t i = 0; i < 9; i++)
        pair_end(&p[i]);
}

static size_t stuff(int fd, char *bytes, size_t len)
{
    ssize_t k = write_two(fd, "P", 1, bytes, len);
    assert_true(k > 0 && (size_t)k < len);
    return (size_t)k;
}

static size_t drain(int fd)
{
    static char got[1 << 16];
    size_t n = 0;
    for (ssize_t k; (k = recvfrom(fd, got, sizeof(got), 0, NULL, NULL)) > 0;)
        n += (size_t)k;
    return n;
}

/* Not between the halves of a packet. */
static void acks_wait_for_the_rest_of_a_packet(void)
{
    struct pair p = pair_new();
    size_t len = 8U << 20;
    char *bytes = calloc(1, len);
    assert_non_null(bytes);
    assert_false(readable(p.paho, 0));
    ack(p.paho, 1); /* known from here on */
    assert_false(readable(p.paho, 0));
    acked(p.broker, 1, 1);
    size_t at = stuff(p.paho, bytes, len - 1);
    ack(p.paho, 2);
    while (at < len) {
        assert_false(readable(p.paho, 0));
        assert_true(drain(p.broker) > 0);
        assert_false(readable(p.paho, 0));
        not_acked(p.broker);
        ssize_t k = write_two(p.paho, bytes, len - at, NULL, 0);
        at += k > 0 ? (size_t)k : 0;
    }
    (void)drain(p.broker);
    assert_false(readable(p.paho, 0));
    acked(p.broker, 2, 2);
    free(bytes);
    pair_end(&p);
}

/* Of a socket with a packet half written Paho reads nothing: others are seen at once. */
static void others_are_seen_beside_a_full_one(void)
{
    struct pair a = pair_new(), b = pair_new();
    int fds[2] = {a.paho, b.paho};
    short r[2];
    char c, *bytes = calloc(1, 8U << 20);
    assert_non_null(bytes);
    assert_int_equal(ask_round(fds, 2, 0, r), 0);
    say(a.broker, "xxx");
    assert_int_equal(ask_round(fds, 2, 1000, r), 1);
    assert_int_equal(recv(a.paho, &c, 1, 0), 1);
    assert_int_equal(ask_round(fds, 2, 1000, r), 1);
    (void)stuff(a.paho, bytes, 8U << 20);
    say(b.broker, "y");
    assert_int_equal(ask_round(fds, 2, 1000, r), 2);
    hear(b.paho, "y");
    free(bytes);
    pair_end(&a);
    pair_end(&b);
}

/* The last four bytes of a packet are no acknowledgement, whatever they begin with. */
static void a_rest_like_an_ack(void)
{
    struct pair p = pair_new(), same = pair_new();
    char *bytes = calloc(1, 8U << 20), got[16];
    assert_non_null(bytes);
    size_t room = stuff(same.paho, bytes, 8U << 20);
    assert_false(readable(p.paho, 0));
    ack(p.paho, 1);
    assert_false(readable(p.paho, 0));
    acked(p.broker, 1, 1);
    assert_int_equal(stuff(p.paho, bytes, room + 3), room); /* four are missing */
    (void)drain(p.broker);
    assert_int_equal(write_two(p.paho, "@a", 2, "bc", 2), 4);
    assert_int_equal(recvfrom(p.broker, got, sizeof(got), 0, NULL, NULL), 4);
    assert_memory_equal(got, "@abc", 4);
    free(bytes);
    pair_end(&p);
    pair_end(&same);
}

/* When the socket has room again: all that was said before the acknowledgement, and not that. */
struct drainer {
    int fd;
    size_t n;
};

static void *drain_later(void *ctx)
{
    struct drainer *d = ctx;
    char got[256];
    (void)poll(NULL, 0, 50);
    while (d->n > 0) {
        ssize_t k = recvfrom(d->fd, got, d->n < 256 ? d->n : 256, 0, NULL, NULL);
        if (k <= 0)
            return NULL;
        d->n -= (size_t)k;
    }
    return d;
}

/* The kernel takes nothing: acknowledgements wait for it, and so does what comes behind them. */
static void acks_wait_for_room(void)
{
    struct pair p = pair_new();
    struct drainer d = {.fd = p.broker};
    static char one;
    pthread_t t;
    void *drained;
    assert_false(readable(p.paho, 0));
    ack(p.paho, 1);
    assert_false(readable(p.paho, 0));
    acked(p.broker, 1, 1);
    while (write_two(p.paho, "P", 1, NULL, 0) == 1) /* whole packets, until none fits */
        d.n++;
    assert_int_equal(errno, EAGAIN);
    ack(p.paho, 2);
    assert_int_equal(write_two(p.paho, &one, 1, NULL, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(pthread_create(&t, NULL, drain_later, &d), 0);
    assert_false(
        readable(p.paho, 1000)); /* tries again meanwhile, and does not come back before */
    assert_int_equal(pthread_join(t, &drained), 0);
    assert_non_null(drained);
    acked(p.broker, 2, 2);
    pair_end(&p);
}

static void acks_of_a_closed_socket(void)
{
    struct pair p = pair_new(), next;
    assert_false(readable(p.paho, 0));
    ack(p.paho, 9);
    close(p.paho);
    next = pair_new();
    assert_int_equal(next.paho, p.paho);
    assert_false(readable(next.paho, 0));
    not_acked(next.broker);
    ack(next.paho, 1);
    assert_false(readable(next.paho, 0));
    acked(next.broker, 1, 1);
    pair_end(&next);
    close(p.broker);
}

/* Paho's other thread writes while the one that reads acknowledges. */
struct writer {
    int fd;
    atomic_bool stop;
    size_t packets;
};

static void *write_packets(void *ctx)
{
    struct writer *w = ctx;
    while (!atomic_load(&w->stop)) {
        w->packets += write_two(w->fd, "\x31\x06", 2, "xxxxxx", 6) == 8;
        sched_yield(); /* a lock is not fair */
    }
    return NULL;
}

static void two_threads_write(void)
{
    struct pair p = pair_new();
    struct writer w = {.fd = p.paho};
    pthread_t t;
    size_t acks = 0, packets = 0, n = 0;
    static unsigned char got[1 << 16];
    assert_false(readable(p.paho, 0));
    ack(p.paho, 0);
    assert_int_equal(pthread_create(&t, NULL, write_packets, &w), 0);
    for (unsigned id = 1; id <= 20000 || n > 0; id++) {
        if (id <= 20000)
            ack(p.paho, id);
        if (id >= 20000)
            atomic_store(&w.stop, true);
        (void)readable(p.paho, 0);
        ssize_t k = recvfrom(p.broker, got + n, sizeof(got) - n, 0, NULL, NULL);
        n += k > 0 ? (size_t)k : 0;
        size_t at = 0;
        while (at < n && at + (got[at] == 0x40 ? 4 : 8) <= n) {
            if (got[at] == 0x40) {
                assert_int_equal(got[at + 2] << 8 | got[at + 3], acks & 0xFFFF);
                acks++;
                at += 4;
            } else {
                assert_memory_equal(got + at, "\x31\x06xxxxxx", 8);
                packets++;
                at += 8;
            }
        }
        memmove(got, got + at, n - at);
        n -= at;
    }
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(acks, 20001);
    while (packets < w.packets) {
        ssize_t k = recvfrom(p.broker, got, 8, 0, NULL, NULL);
        assert_int_equal(k, 8);
        packets++;
    }
    pair_end(&p);
}

/* -- sleeping ------------------------------------------------------------------------------------ */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void *say_later(void *fd)
{
    (void)poll(NULL, 0, 50);
    return send(*(int *)fd, "x", 1, 0) == 1 ? fd : NULL;
}

static void sleep_ends_when_something_comes(void)
{
    struct pair p = pair_new();
    pthread_t t;
    void *said;
    assert_false(readable(p.paho, 0));
    assert_false(readable(p.paho, 0)); /* can be written to, says the kernel */
    uint64_t began = now_ms();
    assert_int_equal(pthread_create(&t, NULL, say_later, &p.broker), 0);
    assert_int_equal(usleep(30000000), 0);
    assert_true(now_ms() - began < 20000);
    assert_int_equal(pthread_join(t, &said), 0);
    assert_non_null(said);
    began = now_ms(); /* it does not want that now, and would come back at once for ever */
    assert_int_equal(usleep(60000), 0);
    assert_true(now_ms() - began >= 59);
    hear(p.paho, "x");
    pair_end(&p);
}

/* -- everybody else ---------------------------------------------------------------------------- */

static void test_other_threads(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mqtt_wire_stats before = stats();
    say(p.broker, "abcd");
    assert_true(readable(p.paho, 1000));
    hear(p.paho, "a");
    assert_true(readable(p.paho, 1000)); /* the kernel has the rest */
    hear(p.paho, "bcd");
    assert_false(readable(p.paho, 0));
    ack(p.paho, 1);
    acked(p.broker, 1, 1);
    assert_int_equal(stats().asked, before.asked);
    assert_int_equal(stats().acks, before.acks);
    assert_int_equal(close(-1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(poll(NULL, 0, 1), 0);
    assert_int_equal(usleep(1000), 0);
    pair_end(&p);
}

/* What was read ahead and nobody asked for goes with its thread (the sanitizer looks for it). */
static void *begin_and_end(void *fd)
{
    char c;
    mqtt_wire_begin();
    bool ok = poll(&(struct pollfd){.fd = *(int *)fd, .events = POLLIN}, 1, 1000) == 1 &&
              recv(*(int *)fd, &c, 1, 0) == 1;
    return ok ? fd : NULL;
}

static void test_a_thread_ends(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mqtt_wire_stats before = stats();
    pthread_t t;
    void *ok;
    say(p.broker, "abcd");
    assert_int_equal(pthread_create(&t, NULL, begin_and_end, &p.paho), 0);
    assert_int_equal(pthread_join(t, &ok), 0);
    assert_non_null(ok);
    assert_int_equal(stats().asked - before.asked, 1);
    pair_end(&p);
}

/* From the first of these on this thread is Paho's. */
#define AS_PAHO(name)                                                                          \
    static void test_##name(void **state)                                                      \
    {                                                                                          \
        (void)state;                                                                           \
        mqtt_wire_begin();                                                                     \
        name();                                                                                \
    }
AS_PAHO(one_read)
AS_PAHO(what_came_before_the_end)
AS_PAHO(nobody_polls_for_it)
AS_PAHO(a_number_used_again)
AS_PAHO(no_delay)
AS_PAHO(others_are_seen)
AS_PAHO(others_are_seen_in_time)
AS_PAHO(a_long_stream)
AS_PAHO(messages_go_together)
AS_PAHO(nothing_is_kept_back)
AS_PAHO(acks_go_together)
AS_PAHO(acks_go_before_a_packet)
AS_PAHO(more_acks_than_room)
AS_PAHO(more_sockets_than_room)
AS_PAHO(acks_wait_for_the_rest_of_a_packet)
AS_PAHO(others_are_seen_beside_a_full_one)
AS_PAHO(a_rest_like_an_ack)
AS_PAHO(acks_wait_for_room)
AS_PAHO(acks_of_a_closed_socket)
AS_PAHO(two_threads_write)
AS_PAHO(sleep_ends_when_something_comes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_threads),
        cmocka_unit_test(test_a_thread_ends),
        cmocka_unit_test(test_one_read),
        cmocka_unit_test(test_what_came_before_the_end),
        cmocka_unit_test(test_nobody_polls_for_it),
        cmocka_unit_test(test_a_number_used_again),
        cmocka_unit_test(test_no_delay),
        cmocka_unit_test(test_others_are_seen),
        cmocka_unit_test(test_others_are_seen_in_time),
        cmocka_unit_test(test_a_long_stream),
        cmocka_unit_test(test_messages_go_together),
        cmocka_unit_test(test_nothing_is_kept_back),
        cmocka_unit_test(test_acks_go_together),
        cmocka_unit_test(test_acks_go_before_a_packet),
        cmocka_unit_test(test_more_acks_than_room),
        cmocka_unit_test(test_more_sockets_than_room),
        cmocka_unit_test(test_acks_wait_for_the_rest_of_a_packet),
        cmocka_unit_test(test_others_are_seen_beside_a_full_one),
        cmocka_unit_test(test_a_rest_like_an_ack),
        cmocka_unit_test(test_acks_wait_for_room),
        cmocka_unit_test(test_acks_of_a_closed_socket),
        cmocka_unit_test(test_two_threads_write),
        cmocka_unit_test(test_sleep_ends_when_something_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
