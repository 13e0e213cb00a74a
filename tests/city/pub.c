/* SPDX-License-Identifier: Apache-2.0 */
#include "city/pub.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDS           65535u /* packet ids 1…65535 are used in turn */
#define OUT_MAX       (256u << 20)
#define FLUSH_AT      (64u << 10)
#define IN_SIZE       (64u << 10)
#define KEEPALIVE_S   60
#define MS            1000000ull
#define SECOND        (1000 * MS)
#define PING_AFTER    (20 * SECOND)
#define SILENT_AFTER  (45 * SECOND)
#define HELLO_TIMEOUT (10 * SECOND)

enum state { DOWN, CONNECTING, HELLO, UP };

struct slot {
    char *packet;
    size_t len, cap, payload_at;
    bool acked;
    char note[PUB_NOTE];
};

struct link {
    struct pub *pub;
    unsigned number;
    int fd;
    enum state state;
    uint64_t base, next; /* messages [base, next) are in the window; slot is n % inflight */
    struct slot *slots;
    struct buf out;
    size_t out_at;
    bool want_write;
    char *in;
    size_t in_len;
    uint64_t retry_at, since, heard, pinged;
    unsigned failures;
};

struct pub {
    struct pub_options o;
    struct addrinfo *address;
    int epoll;
    struct link *links;
    struct pub_stats stats;
    unsigned up;
    struct err trouble;
    uint64_t jitter;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* -- the connection
 * ---------------------------------------------------------------------------- */

static void link_drop(struct link *l, const char *why, int error)
{
    struct pub *p = l->pub;
    if (l->state == UP) {
        p->up--;
        p->stats.disconnects++;
    }
    if (error)
        err_errno(&p->trouble, -error, "broker %s:%s: %s", p->o.host, p->o.port, why);
    else
        err_set(&p->trouble, 0, "broker %s:%s: %s", p->o.host, p->o.port, why);
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->state = DOWN;
    buf_clear(&l->out);
    l->out_at = l->in_len = 0;
    l->want_write = false;
    /* 50 ms, doubling to 2 s, ± a quarter so that many do not come at once */
    uint64_t pause = (50 * MS) << (l->failures < 6 ? l->failures : 6);
    pause = pause > 2 * SECOND ? 2 * SECOND : pause;
    p->jitter = p->jitter * 6364136223846793005ull + 1442695040888963407ull;
    l->retry_at = now_ns() + pause * 3 / 4 + (p->jitter >> 33) % (pause / 2);
    l->failures++;
}

static void link_watch(struct link *l, bool write)
{
    if (l->want_write == write)
        return;
    l->want_write = write;
    struct epoll_event e = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = l};
    ASSERT(epoll_ctl(l->pub->epoll, EPOLL_CTL_MOD, l->fd, &e) == 0);
}

static void link_flush(struct link *l)
{
    while (l->fd >= 0 && l->out_at < l->out.len) {
        ssize_t n = send(l->fd, l->out.data + l->out_at, l->out.len - l->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            link_watch(l, true);
            return;
        }
        if (n < 0) {
            link_drop(l, "cannot send", errno);
            return;
        }
        l->out_at += (size_t)n;
    }
    if (l->fd < 0)
        return;
    buf_clear(&l->out);
    l->out_at = 0;
    if (l->state >= HELLO)
        link_watch(l, false);
}

static void put_text(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    buf_putc(b, (char)(n >> 8 & 0xff));
    buf_putc(b, (char)(n & 0xff));
    buf_put(b, s, n);
}

static size_t put_length(char *at, size_t n)
{
    size_t used = 0;
    do {
        at[used++] = (char)((n & 127) | (n > 127 ? 128 : 0));
        n >>= 7;
    } while (n > 0);
    return used;
}

static void link_hello(struct link *l)
{
    const struct pub_options *o = &l->pub->o;
    struct buf body;
    buf_init(&body, 4096);
    put_text(&body, "MQTT");
    buf_putc(&body, 4);
    buf_putc(&body,
             (char)((o->username ? 0x80 : 0) | (o->password ? 0x40 : 0))); /* session kept */
    buf_putc(&body, 0);
    buf_putc(&body, KEEPALIVE_S);
    char id[128];
    char *full = mem_printf("%s-%u", o->client_id, l->number);
    snprintf(id, sizeof(id), "%s", full);
    free(full);
    put_text(&body, id);
    if (o->username)
        put_text(&body, o->username);
    if (o->password)
        put_text(&body, o->password);
    char length[4];
    size_t n = put_length(length, body.len);
    buf_putc(&l->out, 0x10);
    buf_put(&l->out, length, n);
    buf_put(&l->out, body.data, body.len);
    buf_done(&body);
    l->state = HELLO;
    link_watch(l, false);
    link_flush(l);
}

static void link_connect(struct link *l)
{
    const struct addrinfo *a = l->pub->address;
    l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        link_drop(l, "no socket", errno);
        return;
    }
    int one = 1;
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    l->since = l->heard = l->pinged = now_ns();
    if (connect(l->fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) {
        link_drop(l, "cannot connect", errno);
        return;
    }
    l->state = CONNECTING;
    l->want_write = true;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = l};
    ASSERT(epoll_ctl(l->pub->epoll, EPOLL_CTL_ADD, l->fd, &e) == 0);
}

/* -- what the broker says
 * ---------------------------------------------------------------------- */

static void link_resend(struct link *l)
{
    for (uint64_t n = l->base; n < l->next; n++) {
        struct slot *s = &l->slots[n % l->pub->o.inflight];
        if (s->acked)
            continue;
        s->packet[0] |= 0x08; /* dup */
        ASSERT(buf_put(&l->out, s->packet, s->len) == 0);
        l->pub->stats.resent++;
    }
}

static void link_accepted(struct link *l)
{
    l->state = UP;
    l->failures = 0;
    l->pub->up++;
    l->pub->stats.connects++;
    if (l->pub->up == l->pub->o.connections)
        l->pub->trouble.text[0] = 0;
    link_resend(l);
}

static void link_acked(struct link *l, unsigned id)
{
    unsigned inflight = l->pub->o.inflight;
    uint64_t offset = (id + IDS - 1 - l->base % IDS) % IDS;
    if (id == 0 || offset >= l->next - l->base)
        return; /* a second PUBACK for a message sent twice */
    struct slot *s = &l->slots[(l->base + offset) % inflight];
    if (s->acked)
        return;
    s->acked = true;
    l->pub->stats.acked++;
    l->pub->o.acked(l->pub->o.ctx, s->note, s->packet + s->payload_at, s->len - s->payload_at);
    while (l->base < l->next && l->slots[l->base % inflight].acked)
        l->base++;
}

/* Handles one packet at `p`; false if it is not one that a publisher can get. */
static bool link_packet(struct link *l, const unsigned char *p)
{
    if (p[0] == 0x40 && p[1] == 2 && l->state == UP)
        link_acked(l, (unsigned)p[2] << 8 | p[3]);
    else if (p[0] == 0x20 && p[1] == 2 && l->state == HELLO && p[3] == 0)
        link_accepted(l);
    else if (p[0] == 0x20 && p[1] == 2)
        return false;
    else
        return p[0] == 0xd0 && p[1] == 0;
    return true;
}

static void link_read(struct link *l)
{
    for (;;) {
        ssize_t n = recv(l->fd, l->in + l->in_len, IN_SIZE - l->in_len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            link_drop(l, n ? "cannot read" : "closed the connection", n ? errno : 0);
            return;
        }
        size_t room = IN_SIZE - l->in_len;
        l->in_len += (size_t)n;
        size_t at = 0;
        while (l->in_len - at >= 2) {
            const unsigned char *p = (const unsigned char *)l->in + at;
            size_t len = 2 + (size_t)p[1];
            if (l->in_len - at < len && len <= 4)
                break;
            if (len > 4 || !link_packet(l, p)) {
                link_drop(l,
                          p[0] == 0x20 ? "refuses the connection (user name, password?)"
                                       : "sent what is no answer to a publisher",
                          0);
                return;
            }
            at += len;
        }
        memmove(l->in, l->in + at, l->in_len - at);
        l->in_len -= at;
        if ((size_t)n < room)
            return;
    }
}

static void link_event(struct link *l, uint32_t events)
{
    l->heard = events & EPOLLIN ? now_ns() : l->heard;
    if (l->state == CONNECTING) {
        int error = 0;
        socklen_t n = sizeof(error);
        getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        if (error)
            link_drop(l, "cannot connect", error);
        else if (events & EPOLLOUT)
            link_hello(l);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        link_read(l);
    if (l->fd >= 0 && events & EPOLLOUT)
        link_flush(l);
}

static void link_tick(struct link *l, uint64_t now)
{
    if (l->state == DOWN) {
        if (now >= l->retry_at)
            link_connect(l);
        return;
    }
    if (l->state < UP && now - l->since > HELLO_TIMEOUT) {
        link_drop(l, "does not answer", 0);
        return;
    }
    if (l->state < UP || now - l->heard < PING_AFTER)
        return;
    if (now - l->heard > SILENT_AFTER) {
        link_drop(l, "went silent", 0);
    } else if (now - l->pinged > PING_AFTER) {
        l->pinged = now;
        buf_put(&l->out, "\xc0", 2);
    }
}

/* -- the interface
 * ----------------------------------------------------------------------------- */

int pub_new(const struct pub_options *o, struct pub **out, struct err *err)
{
    ASSERT(o->connections > 0 && o->inflight > 0 && o->inflight < IDS / 2);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
    int rc = getaddrinfo(o->host, o->port, &hints, &address);
    if (rc)
        return err_set(err, -EHOSTUNREACH, "broker %s:%s: %s", o->host, o->port,
                       gai_strerror(rc));
    struct pub *p = mem_zalloc(sizeof(*p));
    p->o = *o;
    p->address = address;
    p->jitter = now_ns();
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    ASSERT(p->epoll >= 0);
    p->links = mem_zalloc_array(o->connections, sizeof(*p->links));
    for (unsigned i = 0; i < o->connections; i++) {
        struct link *l = &p->links[i];
        l->pub = p;
        l->number = i;
        l->fd = -1;
        l->slots = mem_zalloc_array(o->inflight, sizeof(*l->slots));
        l->in = mem_zalloc(IN_SIZE);
        buf_init(&l->out, OUT_MAX);
    }
    *out = p;
    return 0;
}

void pub_free(struct pub *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->o.connections; i++) {
        struct link *l = &p->links[i];
        if (l->fd >= 0)
            close(l->fd);
        for (unsigned s = 0; s < p->o.inflight; s++)
            free(l->slots[s].packet);
        free(l->slots);
        free(l->in);
        buf_done(&l->out);
    }
    free(p->links);
    close(p->epoll);
    freeaddrinfo(p->address);
    free(p);
}

bool pub_ready(const struct pub *p, unsigned connection)
{
    const struct link *l = &p->links[connection];
    return l->state == UP && l->next - l->base < p->o.inflight;
}

unsigned pub_connected(const struct pub *p)
{
    return p->up;
}

void pub_send(struct pub *p, unsigned connection, const char *topic, size_t topic_len,
              const char *payload, size_t len, const void *note)
{
    struct link *l = &p->links[connection];
    uint64_t n = l->next++;
    struct slot *s = &l->slots[n % p->o.inflight];
    size_t rest = 2 + topic_len + 2 + len;
    if (s->cap < rest + 5) {
        s->cap = (rest + 5 + 255) & ~(size_t)255;
        s->packet = mem_realloc_array(s->packet, s->cap, 1);
    }
    char *at = s->packet;
    *at++ = 0x32; /* PUBLISH, QoS 1 */
    at += put_length(at, rest);
    *at++ = (char)(topic_len >> 8);
    *at++ = (char)(topic_len & 0xff);
    memcpy(at, topic, topic_len);
    at += topic_len;
    unsigned id = (unsigned)(n % IDS) + 1;
    *at++ = (char)(id >> 8);
    *at++ = (char)(id & 0xff);
    s->payload_at = (size_t)(at - s->packet);
    memcpy(at, payload, len);
    s->len = s->payload_at + len;
    s->acked = false;
    memcpy(s->note, note, PUB_NOTE);
    ASSERT(buf_put(&l->out, s->packet, s->len) == 0);
    p->stats.sent++;
    p->stats.bytes += s->len;
    if (l->out.len - l->out_at >= FLUSH_AT && !l->want_write)
        link_flush(l);
}

void pub_wait(struct pub *p, uint64_t ns)
{
    uint64_t now = now_ns();
    for (unsigned i = 0; i < p->o.connections; i++) {
        struct link *l = &p->links[i];
        link_tick(l, now);
        if (l->state >= HELLO && l->out.len > 0 && !l->want_write)
            link_flush(l);
        if (l->state == DOWN) { /* wake up to try again */
            uint64_t until = l->retry_at > now ? l->retry_at - now : 0;
            ns = until < ns ? until : ns;
        }
    }
    struct epoll_event events[64];
    struct timespec t = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
    int n = epoll_pwait2(p->epoll, events, 64, &t, NULL);
    for (int i = 0; i < n; i++)
        link_event(events[i].data.ptr, events[i].events);
}

size_t pub_unacked(const struct pub *p)
{
    return (size_t)(p->stats.sent - p->stats.acked);
}

void pub_disconnect(struct pub *p)
{
    for (unsigned i = 0; i < p->o.connections; i++) {
        struct link *l = &p->links[i];
        if (l->state != UP)
            continue;
        buf_put(&l->out, "\xe0", 2);
        link_flush(l);
    }
}

const struct pub_stats *pub_stats(const struct pub *p)
{
    return &p->stats;
}

const char *pub_trouble(const struct pub *p)
{
    return p->trouble.text;
}
