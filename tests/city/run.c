/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "city/city.h"
#include "city/pub.h"
#include "city/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define MS     1000000ull
#define TICK   (1 * MS)    /* pause between batches when messages come fast */
#define LINGER (500000ull) /* … and flat out, so that PUBACKs are read many at a time */
#define TOPIC  "gaihou/v1/up/"

struct note { /* kept with each message until it is acknowledged */
    uint64_t sent_ns;
    int64_t ts[FLEET_MAX_BATCH];
    uint32_t device, seq;
    uint8_t n;
    bool clockless;
    uint64_t number; /* of its truth, when families are spoken */
};
_Static_assert(sizeof(struct note) <= PUB_NOTE, "the publisher has room for it");

struct run {
    const struct city_options *o;
    struct fleet *fleet;
    struct speak *speak; /* NULL: all speak the native way */
    char **truths;       /* by message, until it is acknowledged */
    size_t n_truths, cap_truths;
    struct pub *pub;
    int truth;
    bool truth_failed;
    int truth_error;
    struct buf lines;
    uint64_t wall_ns;              /* of this round */
    uint64_t began, paced, halted; /* monotonic; `paced` moves on while the broker is away */
    uint64_t paced_sent;
    int64_t paced_due;
    uint64_t shown, shown_acked;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static uint64_t clock_now(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* -- the truth file
 * ---------------------------------------------------------------------------- */

static void put_hex(struct buf *b, const char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *at = buf_room(b, 2 * n);
    for (size_t i = 0; at && i < n; i++) {
        at[2 * i] = digits[(unsigned char)p[i] >> 4];
        at[2 * i + 1] = digits[p[i] & 15];
    }
    if (at)
        buf_commit(b, 2 * n);
}

static void put_must(struct run *r, const struct note *note, const char *payload, size_t len)
{
    char *truth = r->truths[note->number];
    (void)buf_printf(&r->lines, "must:\t%llu\t%llu\t%s", (unsigned long long)note->sent_ns,
                     (unsigned long long)clock_now(CLOCK_REALTIME), truth);
    if (r->o->truth_payload) {
        (void)buf_puts(&r->lines, "\t");
        put_hex(&r->lines, payload, len);
    }
    (void)buf_puts(&r->lines, "\n");
    free(truth);
    r->truths[note->number] = NULL;
}

static void on_acked(void *ctx, const void *p, const char *payload, size_t len)
{
    struct run *r = ctx;
    if (r->truth < 0)
        return;
    struct note note;
    memcpy(&note, p, sizeof(note));
    if (r->speak) {
        put_must(r, &note, payload, len);
        return;
    }
    size_t room = 512 + (r->o->truth_payload ? len : 0);
    char *begin = buf_room(&r->lines, room);
    if (!begin)
        return; /* the write of this round failed already and is told */
    char *at = begin + fleet_device_code(r->fleet, note.device, begin);
    *at++ = '\t';
    at = text_int(at, note.seq);
    *at++ = '\t';
    if (note.clockless)
        *at++ = '-';
    for (unsigned i = 0; i < note.n && !note.clockless; i++) {
        if (i > 0)
            *at++ = ',';
        at = text_int(at, note.ts[i]);
    }
    *at++ = '\t';
    at = text_int(at, (int64_t)note.sent_ns);
    *at++ = '\t';
    at = text_int(at, (int64_t)clock_now(CLOCK_REALTIME));
    *at++ = '\t';
    at = text_hex16(at, hash64(0, payload, len));
    if (r->o->truth_payload) {
        *at++ = '\t';
        memcpy(at, payload, len);
        at += len;
    }
    *at++ = '\n';
    buf_commit(&r->lines, (size_t)(at - begin));
}

/* After every round of PUBACKs, before anything else: who kills this process sees them all. */
static void truth_write(struct run *r)
{
    size_t at = 0;
    while (at < r->lines.len && !r->truth_failed) {
        ssize_t n = write(r->truth, r->lines.data + at, r->lines.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r->truth_failed = true;
            r->truth_error = errno;
        } else {
            at += (size_t)n;
        }
    }
    buf_clear(&r->lines);
}

static int truth_open(struct run *r, struct err *err)
{
    if (!r->o->truth)
        return 0;
    r->truth = open(r->o->truth, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (r->truth < 0)
        return err_errno(err, -errno, "%s", r->o->truth);
    buf_printf(&r->lines, "# gaihou-city truth 1 seed=%llu compounds=%u devices=%u\n",
               (unsigned long long)r->o->fleet.seed, r->o->fleet.compounds,
               r->o->fleet.devices);
    truth_write(r);
    return r->truth_failed ? err_errno(err, -r->truth_error, "%s", r->o->truth) : 0;
}

/* -- what is wrong in the city
 * ------------------------------------------------------------------ */

/* Simulated time on the clock that messages claim. */
static int64_t claimed(const struct run *r, int64_t simulated_ms)
{
    bool paced = !r->o->simulated_ts && !r->o->flat_out && r->o->rate == 0;
    return paced ? (int64_t)((double)simulated_ms / r->o->speed) : simulated_ms;
}

static void put_truths(struct run *r)
{
    struct fault_truth t;
    while (fleet_take_truth(r->fleet, &t)) {
        char device[64], to[24] = "-", over[24] = "-";
        device[fleet_device_code(r->fleet, t.device, device)] = 0;
        if (t.to_ms) {
            *text_int(to, t.to_ms) = 0;
            *text_int(over, t.to_ms + claimed(r, t.over_within)) = 0;
        }
        if (r->truth >= 0)
            (void)buf_printf(&r->lines, "%s:\t%s\t-\t%s\t%lld\t%s\t%s\t%lld\t%s\t%s\n",
                             t.silence ? "silence" : "fault", device, t.name,
                             (long long)t.from_ms, to, t.rule ? t.rule : "-",
                             (long long)(t.from_ms + claimed(r, t.told_within)),
                             t.may ? t.may : "-", over);
    }
}

/* -- the feed
 * ---------------------------------------------------------------------------------- */

static void keep_truth(struct run *r, const struct buf *truth)
{
    if (r->n_truths == r->cap_truths) {
        r->cap_truths = r->cap_truths ? 2 * r->cap_truths : 1024;
        r->truths = mem_realloc_array(r->truths, r->cap_truths, sizeof(*r->truths));
    }
    r->truths[r->n_truths++] = r->truth < 0 ? NULL : mem_strndup(truth->data, truth->len);
}

static void speak_one(struct run *r, unsigned connection)
{
    static struct said said;
    char note_room[PUB_NOTE] = {0};
    if (!said.truth.max)
        buf_init(&said.truth, 1u << 20);
    speak_next(r->speak, r->o->simulated_ts ? 0 : (int64_t)(r->wall_ns / MS), &said);
    struct note note = {.sent_ns = r->wall_ns, .device = said.device, .number = r->n_truths};
    keep_truth(r, &said.truth);
    memcpy(note_room, &note, sizeof(note));
    pub_send(r->pub, connection, said.topic, said.topic_len, said.payload, said.len, note_room);
}

static void say_one(struct run *r, unsigned connection)
{
    if (r->speak) {
        speak_one(r, connection);
        return;
    }
    static char payload[FLEET_MAX_PAYLOAD];
    struct fleet_message m;
    fleet_next(r->fleet, r->o->simulated_ts ? 0 : (int64_t)(r->wall_ns / MS), payload, &m);
    char topic[192];
    char *at = text_str(topic, TOPIC);
    at += fleet_compound_code(r->fleet, fleet_device(r->fleet, m.device)->compound, at);
    *at++ = '/';
    at += fleet_device_code(r->fleet, m.device, at);
    char note_room[PUB_NOTE] = {0};
    struct note note = {.sent_ns = r->wall_ns,
                        .device = m.device,
                        .seq = m.seq,
                        .n = (uint8_t)m.n,
                        .clockless = m.clockless};
    memcpy(note.ts, m.ts, sizeof(note.ts));
    memcpy(note_room, &note, sizeof(note));
    pub_send(r->pub, connection, topic, (size_t)(at - topic), payload, m.len, note_room);
}

/* Begins counting afresh: at the start, and after a time in which no broker took the feed,
 * which then goes on where it was instead of catching up in a burst. */
static void pace_from(struct run *r, uint64_t now)
{
    r->paced = now;
    r->paced_sent = pub_stats(r->pub)->sent;
    fleet_peek(r->fleet, &r->paced_due);
}

/* Nanoseconds until the next message is due; 0: now. */
static uint64_t until_due(struct run *r, uint64_t now, int64_t due_ms)
{
    double at;
    if (r->o->flat_out)
        return 0;
    if (r->o->rate > 0)
        at = (double)(pub_stats(r->pub)->sent - r->paced_sent) / r->o->rate * 1e9;
    else
        at = (double)(due_ms - r->paced_due) / r->o->speed * 1e6;
    double left = at - (double)(now - r->paced);
    if (left < -1e9) { /* a second behind */
        pace_from(r, now);
        r->halted++;
    }
    return left <= 0 ? 0 : (uint64_t)left;
}

/* Sends what is due and fits; returns how long to wait, *out_full if for room in the window. */
static uint64_t say_due(struct run *r, uint64_t now, bool *out_full)
{
    const struct pub_stats *stats = pub_stats(r->pub);
    *out_full = false;
    for (unsigned n = 0; n < 20000; n++) {
        put_truths(r);
        if (r->o->messages && stats->sent >= r->o->messages)
            return 10 * MS;
        int64_t due;
        uint32_t device = fleet_peek(r->fleet, &due);
        uint64_t wait = until_due(r, now, due);
        if (wait > 0)
            return wait;
        unsigned connection = device % r->o->connections;
        if (!pub_ready(r->pub, connection)) {
            *out_full = true;
            return 10 * MS;
        }
        say_one(r, connection);
    }
    return 0;
}

static bool over(struct run *r, uint64_t now)
{
    if (stop || r->truth_failed)
        return true;
    if (r->o->seconds > 0 && (double)(now - r->began) >= r->o->seconds * 1e9)
        return true;
    if (r->o->messages && pub_stats(r->pub)->sent >= r->o->messages)
        return true;
    if (!r->o->stop_on_stdin)
        return false;
    static uint64_t looked;
    if (now - looked < 100 * MS)
        return false;
    looked = now;
    struct pollfd p = {.fd = 0, .events = POLLIN};
    char c[64];
    return poll(&p, 1, 0) > 0 && read(0, c, sizeof(c)) <= 0;
}

static void figures(struct run *r, uint64_t now, const char *what)
{
    const struct pub_stats *s = pub_stats(r->pub);
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    double span = (double)(now - r->shown) / 1e9;
    printf("{\"%s\":true,\"sent\":%llu,\"acked\":%llu,\"resent\":%llu,\"unacked\":%zu,"
           "\"bytes\":%llu,\"connects\":%llu,\"disconnects\":%llu,\"pauses\":%llu,"
           "\"seconds\":%.3f,\"rate\":%.1f,\"cpu_seconds\":%.3f}\n",
           what, (unsigned long long)s->sent, (unsigned long long)s->acked,
           (unsigned long long)s->resent, pub_unacked(r->pub), (unsigned long long)s->bytes,
           (unsigned long long)s->connects, (unsigned long long)s->disconnects,
           (unsigned long long)r->halted, (double)(now - r->began) / 1e9,
           span > 0 ? (double)(s->acked - r->shown_acked) / span : 0, cpu);
    fflush(stdout);
    r->shown = now;
    r->shown_acked = s->acked;
}

static void round_trip(struct run *r, uint64_t wait)
{
    pub_wait(r->pub, wait);
    r->wall_ns = clock_now(CLOCK_REALTIME);
    truth_write(r);
}

static void feed(struct run *r)
{
    uint64_t now = clock_now(CLOCK_MONOTONIC);
    pace_from(r, now);
    while (!over(r, now)) {
        bool full;
        uint64_t wait = say_due(r, now, &full);
        /* A short pause instead of a wake-up per PUBACK, when messages come fast. */
        uint64_t pause = r->o->flat_out ? (full && r->o->inflight >= 100 ? LINGER : 0)
                                        : (!full && wait < 2 * MS ? TICK : 0);
        wait = wait > 100 * MS ? 100 * MS : wait;
        if (pause && pub_connected(r->pub) == r->o->connections) {
            pub_wait(r->pub, 0);
            struct timespec t = {.tv_nsec = (long)pause};
            nanosleep(&t, NULL);
            wait = 0;
        }
        round_trip(r, wait);
        now = clock_now(CLOCK_MONOTONIC);
        if (r->o->progress > 0 && (double)(now - r->shown) >= r->o->progress * 1e9)
            figures(r, now, "progress");
    }
}

/* Until the first connection is there; a broker that is only starting is waited for. */
static int come_up(struct run *r, struct err *err)
{
    uint64_t began = clock_now(CLOCK_MONOTONIC);
    while (pub_connected(r->pub) < r->o->connections) {
        if (stop)
            return err_set(err, -EINTR, "stopped before the broker answered");
        if (clock_now(CLOCK_MONOTONIC) - began > 30 * SECOND)
            return err_set(err, -ETIMEDOUT, "no connection within 30 s: %s",
                           pub_trouble(r->pub));
        round_trip(r, 100 * MS);
    }
    return 0;
}

static int finish(struct run *r, struct err *err)
{
    uint64_t end = clock_now(CLOCK_MONOTONIC);
    fleet_end_truths(r->fleet);
    put_truths(r);
    while (pub_unacked(r->pub) > 0 && !r->truth_failed &&
           (double)(clock_now(CLOCK_MONOTONIC) - end) < r->o->drain * 1e9)
        round_trip(r, 10 * MS);
    truth_write(r);
    pub_disconnect(r->pub);
    r->shown = r->began;
    r->shown_acked = 0;
    figures(r, clock_now(CLOCK_MONOTONIC), "summary");
    if (r->truth_failed)
        return err_errno(err, -r->truth_error, "%s", r->o->truth);
    return pub_unacked(r->pub) > 0;
}

int city_run(const struct city_options *o, struct err *err)
{
    struct run r = {.o = o, .truth = -1};
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    buf_init(&r.lines, 256u << 20);
    char *id = mem_printf("gaihou-city-%llu", (unsigned long long)o->fleet.seed);
    struct pub_options po = {.host = o->host,
                             .port = o->port,
                             .client_id = id,
                             .username = o->username,
                             .password = o->password,
                             .connections = o->connections,
                             .inflight = o->inflight,
                             .acked = on_acked,
                             .ctx = &r};
    r.fleet = fleet_new(&o->fleet);
    if (o->speak.families)
        r.speak = speak_new(&o->speak, o->fleet.seed, r.fleet);
    int rc = truth_open(&r, err);
    if (rc == 0)
        rc = pub_new(&po, &r.pub, err);
    if (rc == 0)
        rc = come_up(&r, err);
    if (rc == 0) {
        r.began = r.shown = clock_now(CLOCK_MONOTONIC);
        feed(&r);
        rc = finish(&r, err);
    }
    pub_free(r.pub);
    for (size_t i = 0; i < r.n_truths; i++)
        free(r.truths[i]);
    free(r.truths);
    speak_free(r.speak);
    fleet_free(r.fleet);
    buf_done(&r.lines);
    if (r.truth >= 0)
        close(r.truth);
    free(id);
    return rc;
}
