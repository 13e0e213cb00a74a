/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in for libc's cannot be checked by it: its checking inlines have the same names. */
#undef _FORTIFY_SOURCE
#include "io/mqtt_wire.h"
#include "io/mqtt_pace.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    SOCKETS_MAX = 8, /* of Paho's, at once: one a client; more are read as ever */
    FD_MAX = 1024,
    ROOM = 32 * 1024,     /* a window of 100 messages */
    ROUNDS_UNASKED = 16,  /* answered from memory before the kernel is asked again … */
    UNASKED_NS = 1000000, /* … and no longer than this: a callback may wait for the disk */
    ACK = 4,              /* bytes of a PUBACK, as Paho writes it for MQTT 3.1.1 and 5 */
    ACKS_ROOM = 64 * ACK,
    RETRY_MS = 10,     /* while the kernel takes no acknowledgements */
    QUEUED_MAX = 1000, /* no window is larger: beyond, it was counted wrong */
};

/* A socket, as the receive thread sees it. */
struct in {
    int fd;
    unsigned closes; /* of that number, when we met it */
    bool writable;   /* said the kernel when it was asked last */
    unsigned came;   /* messages since it was read last */
    struct mqtt_pace pace;
    uint64_t next_ns; /* not read before; 0: whenever there is something */
    size_t from, to;  /* what is left of `bytes` */
    char bytes[ROOM];
};

struct reader {
    struct in *in[SOCKETS_MAX], *last; /* read from last */
    size_t n;
    unsigned unasked;  /* rounds that may still be answered from memory */
    bool asked;        /* the kernel was, this round … */
    uint64_t asked_ns; /* … or when, for what can be read */
};

/* What is held for a socket. */
struct out {
    int fd;
    unsigned closes;
    bool used;
    size_t rest; /* of a packet of Paho's of which the kernel took a part: it comes first */
    size_t n;
    char acks[ACKS_ROOM]; /* the first may have lost its first bytes: they are sent */
};

static _Thread_local struct reader *mine; /* NULL: not Paho's thread */
static atomic_uint closes[FD_MAX];
/* The kernel took not all of what was written last: its room is not answered for from memory, as Paho
 * reads nothing where something waits to be written. */
static atomic_bool full[FD_MAX];
static atomic_uint_fast64_t n_asked, n_read, n_acks, n_sent, n_more;
/* Messages that Paho was given, and PUBLISHes that it wrote: what is between is in its queue. */
static atomic_uint_fast64_t queued, written;
static atomic_bool behind; /* others are under way */
/* The number is of a socket that Paho polls: closes[] when it was met, and one. */
static atomic_uint met[FD_MAX];

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static struct out outs[SOCKETS_MAX];
/* Of that number there is one: who writes to another file takes no lock, so that a forked process may. */
static atomic_bool has_out[FD_MAX];
static atomic_uint n_outs;

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* A library compiled with _FORTIFY_SOURCE calls these instead, where it knows the size of its buffer. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room);
ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags);

static void count(atomic_uint_fast64_t *c)
{
    atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

static bool numbered(int fd)
{
    return fd >= 0 && fd < FD_MAX;
}

/* -- a thread begins and ends ---------------------------------------------------------------- */

static pthread_key_t ends;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;

static void end(void *p)
{
    struct reader *r = p;
    mine = NULL;
    for (size_t i = 0; i < r->n; i++)
        free(r->in[i]);
    free(r);
}

static void make_key(void)
{
    have_key = pthread_key_create(&ends, end) == 0;
}

void mqtt_wire_begin(void)
{
    if (mine || pthread_once(&once, make_key) != 0 || !have_key)
        return;
    struct reader *r = calloc(1, sizeof(*r));
    if (r && pthread_setspecific(ends, r) == 0)
        mine = r;
    else
        free(r);
}

void mqtt_wire_message(void)
{
    mqtt_wire_begin();
    if (mine && mine->last)
        mine->last->came++;
}

void mqtt_wire_stats(struct mqtt_wire_stats *out)
{
    *out = (struct mqtt_wire_stats){
        .asked = atomic_load_explicit(&n_asked, memory_order_relaxed),
        .read = atomic_load_explicit(&n_read, memory_order_relaxed),
        .acks = atomic_load_explicit(&n_acks, memory_order_relaxed),
        .sent = atomic_load_explicit(&n_sent, memory_order_relaxed),
        .more = atomic_load_explicit(&n_more, memory_order_relaxed),
    };
}

/* -- sockets that are read ---------------------------------------------------------------------- */

static struct in *find(const struct reader *r, int fd)
{
    for (size_t i = 0; numbered(fd) && i < r->n; i++)
        if (r->in[i]->fd == fd)
            return r->in[i]->closes == atomic_load(&closes[fd]) ? r->in[i] : NULL;
    return NULL;
}

/* For a socket not met yet: the place of its number, or of one that is closed, or a new one. */
static struct in *vacant(struct reader *r, int fd)
{
    struct in *closed = NULL;
    for (size_t i = 0; i < r->n; i++) {
        struct in *s = r->in[i];
        if (s->fd == fd)
            return s;
        if (s->closes != atomic_load(&closes[s->fd]))
            closed = s;
    }
    if (closed || r->n == SOCKETS_MAX)
        return closed;
    struct in *s = malloc(sizeof(*s));
    if (s)
        r->in[r->n++] = s;
    return s;
}

static void meet(struct reader *r, int fd)
{
    if (!numbered(fd) || find(r, fd))
        return;
    unsigned now = atomic_load(&closes[fd]);
    struct in *s = vacant(r, fd);
    if (!s)
        return;
    /* Or a message waits until the broker's kernel has acknowledged the one before: 40 ms at worst.
     * Errors: it is no TCP, in a test. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    s->fd = fd;
    s->closes = now;
    atomic_store(&met[fd], now + 1);
    s->writable = false;
    s->came = 0;
    s->pace = (struct mqtt_pace){0};
    s->next_ns = 0;
    s->from = s->to = 0;
}

static bool something_left(const struct reader *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->in[i]->from < r->in[i]->to && find(r, r->in[i]->fd))
            return true;
    return false;
}

/* -- acknowledgements --------------------------------------------------------------------------- */

/* With out_lock, as the rest of this part. What is held for the socket that has the number now. */
static struct out *find_out(int fd)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct out *o = &outs[i];
        if (!o->used)
            continue;
        if (o->closes != atomic_load(&closes[o->fd])) {
            o->used = false;
            atomic_fetch_sub(&n_outs, 1);
        } else if (o->fd == fd) {
            return o;
        }
    }
    return NULL;
}

/* Paho writes an acknowledgement only to a socket with nothing half written: a good time to begin. */
static struct out *make_out(int fd)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (!outs[i].used) {
            outs[i] = (struct out){.fd = fd, .closes = atomic_load(&closes[fd]), .used = true};
            atomic_store(&has_out[fd], true);
            atomic_fetch_add(&n_outs, 1);
            return &outs[i];
        }
    return NULL;
}

/* Sends what is held, as far as the kernel takes it. An error is Paho's to find, where it reads:
 * what is not acknowledged comes again. */
static void let_go(struct out *o)
{
    if (o->n == 0 || o->rest > 0)
        return;
    ssize_t k = send(o->fd, o->acks, o->n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (k < 0 && errno != EAGAIN && errno != EINTR)
        k = (ssize_t)o->n;
    if (k <= 0)
        return;
    count(&n_sent);
    o->n -= (size_t)k;
    memmove(o->acks, o->acks + k, o->n);
}

/* Before the receive thread turns to the kernel. True if something has to wait. */
static bool let_all_go(void)
{
    bool waits = false;
    if (atomic_load(&n_outs) == 0)
        return false;
    int saved = errno;
    pthread_mutex_lock(&out_lock);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (outs[i].used && find_out(outs[i].fd) == &outs[i]) {
            let_go(&outs[i]);
            waits = waits || outs[i].n > 0;
        }
    pthread_mutex_unlock(&out_lock);
    errno = saved;
    return waits;
}

static size_t length_of(const struct iovec *v, int n)
{
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += v[i].iov_len;
    return len;
}

static bool hold_ack(struct out *o, const struct iovec *v, int n)
{
    if (o->n + ACK > sizeof(o->acks))
        return false;
    for (int i = 0; i < n; i++) {
        memcpy(o->acks + o->n, v[i].iov_base, v[i].iov_len);
        o->n += v[i].iov_len;
    }
    count(&n_acks);
    return true;
}

/* -- messages ------------------------------------------------------------------------------------ */

void mqtt_wire_queued(int n, bool backlog)
{
    atomic_store(&behind, backlog);
    if (n > 0)
        atomic_fetch_add(&queued, 1);
    else
        atomic_fetch_sub(&queued, 1);
}

void mqtt_wire_none_queued(void)
{
    atomic_store(&written, atomic_load(&queued));
}

/* MSG_MORE for a PUBLISH that another will follow at once: Paho's sending thread goes on while there are any
 * in its queue, and whoever puts one there has said so a moment before. Should that take longer, the next
 * acknowledgement of what is under way sends it: so only with others before it. The rest of a packet
 * may look like one more: then less is said to follow than does, until all is answered. */
static int flags_of(int fd, const struct iovec *v, int n)
{
    if (atomic_load(&met[fd]) != atomic_load(&closes[fd]) + 1 || n <= 0 || v[0].iov_len == 0 ||
        (*(unsigned char *)v[0].iov_base & 0xf0) != 0x30)
        return MSG_NOSIGNAL;
    uint64_t mine_is = atomic_fetch_add(&written, 1) + 1, last = atomic_load(&queued);
    if (last <= mine_is || last - mine_is > QUEUED_MAX || !atomic_load(&behind))
        return MSG_NOSIGNAL;
    count(&n_more);
    return MSG_NOSIGNAL | MSG_MORE;
}

static ssize_t write_out(int fd, const struct iovec *v, int n, int flags)
{
    struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
    return sendmsg(fd, &m, flags);
}

static ssize_t write_through(int fd, const struct iovec *v, int n, int flags)
{
    return flags & MSG_MORE ? write_out(fd, v, n, flags) : syscall(SYS_writev, fd, v, n);
}

/* A packet of Paho's, or the rest of one, behind what is held. */
static ssize_t write_behind(struct out *o, const struct iovec *v, int n, int flags)
{
    let_go(o);
    if (o->n > 0 && o->rest == 0) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t k = write_out(o->fd, v, n, flags);
    if (k > 0)
        o->rest = length_of(v, n) - (size_t)k;
    return k;
}

/* It looks like an acknowledgement of a socket that Paho's thread reads. */
static bool is_ack(int fd, const struct iovec *v, int n)
{
    return mine && n > 0 && v[0].iov_len > 0 && *(unsigned char *)v[0].iov_base == 0x40 &&
           length_of(v, n) == ACK && find(mine, fd);
}

static ssize_t write_held(int fd, const struct iovec *v, int n, bool ack, int flags)
{
    pthread_mutex_lock(&out_lock);
    struct out *o = find_out(fd);
    if (!o && ack)
        o = make_out(fd);
    /* if four bytes are missing, these are they: Paho acknowledges nothing before */
    bool held = o && ack && o->rest != ACK && hold_ack(o, v, n);
    ssize_t k = held ? ACK : o ? write_behind(o, v, n, flags) : 0;
    int saved = errno;
    pthread_mutex_unlock(&out_lock);
    errno = saved;
    return o ? k : write_through(fd, v, n, flags);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    if (!numbered(fd))
        return syscall(SYS_writev, fd, v, n);
    bool ack = is_ack(fd, v, n);
    int flags = ack ? MSG_NOSIGNAL : flags_of(fd, v, n);
    ssize_t k = ack || atomic_load(&has_out[fd]) ? write_held(fd, v, n, ack, flags)
                                                 : write_through(fd, v, n, flags);
    if (k < 0 || (size_t)k < length_of(v, n))
        atomic_store(&full[fd], true);
    return k;
}

/* -- poll -------------------------------------------------------------------------------------- */

static int ask(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    struct timespec t = {.tv_sec = timeout_ms / 1000,
                         .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    return ppoll(fds, n, timeout_ms < 0 ? NULL : &t, NULL);
}

/* Waits for the other sockets until the first that is paced is due. The number of others that have
 * something, or what poll() failed with. */
static int wait_for_others(const struct reader *r, struct pollfd *fds, nfds_t n)
{
    struct pollfd others[SOCKETS_MAX];
    uint64_t now = 0, until = UINT64_MAX;
    if (n > SOCKETS_MAX)
        return 0;
    for (nfds_t i = 0; i < n; i++) {
        const struct in *s = find(r, fds[i].fd);
        others[i] = fds[i];
        if (!s || s->next_ns == 0)
            continue;
        now = now ? now : now_ns();
        if (s->next_ns <= now)
            return 0;
        others[i].fd = -1;
        until = s->next_ns < until ? s->next_ns : until;
    }
    if (now == 0)
        return 0;
    struct timespec t = {.tv_nsec = (long)(until - now)};
    int rc = ppoll(others, n, &t, NULL);
    for (nfds_t i = 0; rc > 0 && i < n; i++)
        fds[i].revents = others[i].revents;
    return rc;
}

static bool all_writable(const struct reader *r, const struct pollfd *fds, nfds_t n)
{
    for (nfds_t i = 0; i < n; i++) {
        const struct in *s = find(r, fds[i].fd);
        if (!s || !s->writable || atomic_load(&full[s->fd]))
            return false;
    }
    return true;
}

/* "Which can be written to?" begins a round. That they could a moment ago is as good an answer:
 * whose buffer has filled since takes a part or nothing of what is written, which Paho expects. */
static int poll_writes(struct reader *r, struct pollfd *fds, nfds_t n)
{
    if (r->unasked > 0 && something_left(r) && all_writable(r, fds, n) &&
        now_ns() - r->asked_ns < UNASKED_NS) {
        r->unasked--;
        r->asked = false;
        for (nfds_t i = 0; i < n; i++)
            fds[i].revents = POLLOUT;
        return (int)n;
    }
    r->unasked = ROUNDS_UNASKED;
    r->asked = true;
    (void)let_all_go();
    for (nfds_t i = 0; i < n; i++) /* before: who writes from here on counts again */
        if (numbered(fds[i].fd))
            atomic_store(&full[fds[i].fd], false);
    int rc = ask(fds, n, 0);
    for (nfds_t i = 0; i < n; i++) {
        struct in *s = find(r, fds[i].fd);
        if (s)
            s->writable = rc > 0 && fds[i].revents == POLLOUT;
    }
    return rc;
}

/* Not "nothing has come" before its time: Paho sleeps for 100 ms upon that. */
static int ask_until(struct reader *r, struct pollfd *fds, nfds_t n, int timeout_ms, bool waits)
{
    int rc = timeout_ms != 0 ? wait_for_others(r, fds, n) : 0;
    while (rc == 0 && waits && (timeout_ms < 0 || timeout_ms > RETRY_MS)) {
        rc = ask(fds, n, RETRY_MS);
        timeout_ms -= timeout_ms < 0 ? 0 : RETRY_MS;
        waits = let_all_go();
    }
    return rc != 0 ? rc : ask(fds, n, timeout_ms);
}

/* What the kernel says; without asking it where what is left will do. */
static int ask_reads(struct reader *r, struct pollfd *fds, nfds_t n, int timeout_ms)
{
    bool left = something_left(r), may_skip = !r->asked && all_writable(r, fds, n);
    r->asked = true; /* whoever asks twice in a round wants to know */
    if (left && may_skip) {
        for (nfds_t i = 0; i < n; i++)
            fds[i].revents = 0;
        return 0;
    }
    bool waits = let_all_go();
    int rc = left ? ask(fds, n, 0) : ask_until(r, fds, n, timeout_ms, waits);
    r->asked_ns = now_ns();
    return rc;
}

static int poll_reads(struct reader *r, struct pollfd *fds, nfds_t n, int timeout_ms)
{
    int rc = ask_reads(r, fds, n, timeout_ms);
    for (nfds_t i = 0; rc >= 0 && i < n; i++) {
        if (!(fds[i].events & POLLIN))
            continue;
        meet(r, fds[i].fd);
        const struct in *s = find(r, fds[i].fd);
        if (!s || s->from == s->to)
            continue;
        rc += fds[i].revents == 0;
        fds[i].revents |= POLLIN;
    }
    return rc;
}

static bool any_reads(const struct pollfd *fds, nfds_t n)
{
    for (nfds_t i = 0; i < n; i++)
        if (fds[i].events & POLLIN)
            return true;
    return false;
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (!mine || n == 0)
        return ask(fds, n, timeout_ms);
    if (any_reads(fds, n))
        return poll_reads(mine, fds, n, timeout_ms);
    return timeout_ms == 0 ? poll_writes(mine, fds, n) : ask(fds, n, timeout_ms);
}

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room)
{
    if (n > room / sizeof(*fds))
        abort();
    return poll(fds, n, timeout_ms);
}

/* -- sleeping ----------------------------------------------------------------------------------- */

static struct timespec of_us(useconds_t us)
{
    return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
}

/* The sockets whose next word Paho would take at once. What one says already it does not want now. */
static nfds_t quiet_ones(const struct reader *r, struct pollfd *fds)
{
    nfds_t n = 0, quiet = 0;
    for (size_t i = 0; i < r->n; i++)
        if (find(r, r->in[i]->fd) && r->in[i]->writable && !atomic_load(&full[r->in[i]->fd]))
            fds[n++] = (struct pollfd){.fd = r->in[i]->fd, .events = POLLIN};
    if (n == 0 || ask(fds, n, 0) < 0)
        return 0;
    for (nfds_t i = 0; i < n; i++)
        if (fds[i].revents == 0)
            fds[quiet++] = fds[i];
    return quiet;
}

/* Paho sleeps for 100 ms when nothing has come for a second: until something comes is enough. */
int usleep(useconds_t us)
{
    struct pollfd fds[SOCKETS_MAX];
    struct timespec t = of_us(us);
    nfds_t n = mine ? quiet_ones(mine, fds) : 0;
    if (n == 0)
        return nanosleep(&t, NULL);
    (void)let_all_go();
    (void)ppoll(fds, n, &t, NULL);
    return 0;
}

/* -- recv and close ---------------------------------------------------------------------------- */

static size_t hand_out(struct in *s, char *to, size_t n)
{
    size_t left = s->to - s->from;
    if (n > left)
        n = left;
    memcpy(to, s->bytes + s->from, n);
    s->from += n;
    return n;
}

/* One read, straight to `to` if that is as large as our room. */
static ssize_t fetch(struct in *s, char *to, size_t n)
{
    (void)let_all_go();
    s->next_ns = mqtt_pace_next(&s->pace, s->came, now_ns());
    s->came = 0;
    bool straight = n >= sizeof(s->bytes);
    ssize_t k = recvfrom(s->fd, straight ? to : s->bytes, straight ? n : sizeof(s->bytes), 0,
                         NULL, NULL);
    if (k > 0)
        count(&n_read);
    if (k <= 0 || straight)
        return k;
    s->from = 0;
    s->to = (size_t)k;
    return (ssize_t)hand_out(s, to, n);
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    struct in *s = mine && flags == 0 && n > 0 ? find(mine, fd) : NULL;
    if (!s)
        return recvfrom(fd, to, n, flags, NULL, NULL);
    mine->last = s;
    size_t took = hand_out(s, to, n);
    ssize_t more = took < n ? fetch(s, (char *)to + took, n - took) : 0;
    if (more < 0 && took == 0)
        return more;
    if (more > 0) /* else it is there the next time, or the end is */
        took += (size_t)more;
    if (took > 0)
        count(&n_asked);
    return (ssize_t)took;
}

ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags)
{
    if (n > room)
        abort();
    return recv(fd, to, n, flags);
}

int close(int fd)
{
    /* where something may be held, nobody is sending it when the number is free */
    bool ours = numbered(fd) && atomic_load(&has_out[fd]);
    if (ours)
        pthread_mutex_lock(&out_lock);
    if (numbered(fd)) {
        atomic_fetch_add(&closes[fd], 1);
        atomic_store(&has_out[fd], false);
    }
    if (ours)
        pthread_mutex_unlock(&out_lock);
    return (int)syscall(SYS_close, fd);
}
