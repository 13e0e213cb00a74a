/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SINK_RIG_H
#define TESTS_SINK_RIG_H
/* A sink with the real loop, log and client, and a rude server with scripted answers. */
#include "rude.h"
#include "app/sink.h"
#include "base/log.h"
#include "io/file.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

/* -- the database: what it was sent, and what it takes ------------------------------------- */

static struct {
    int plan[64], n_plan, at;    /* statuses to answer first, whatever comes; 0: close */
    bool away, only_auth, named; /* 503 to all; 401 to all; InfluxDB 3's numbers */
    const char *unreadable;      /* lines with this are refused as VictoriaMetrics does it */
    int posts;
    char bodies[4096][64]; /* beginnings of what came, in order */
    uint64_t hashes[4096];
    char head[4096];
    int stored[20000]; /* how often line i was taken */
    int start;         /* vm_app_start_timestamp */
    int polls;
    bool hidden;      /* /metrics is not there */
    bool pairs;       /* two posts are answered together, when both are there */
    const char *hang; /* a post with this in it is never answered */
    int hung;
    const char *slow; /* the first post with this in it is answered after 8 s */
    uint64_t first_poll_ns, first_post_ns;
    const char *throttled; /* the first post with this in it is to come again after 3 s; until
                              then others are answered after 0.3 s */
    uint64_t throttled_ns, again_ns;
} db;
static struct rude server;
static pthread_cond_t another = PTHREAD_COND_INITIALIZER;

static uint64_t hash_of(const char *p, size_t n)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 1099511628211u;
    return h;
}

static void take_line(const char *line)
{
    const char *n = strstr(line, "n=");
    int i = n ? atoi(n + 2) : 0;
    if (i >= 0 && i < 20000)
        db.stored[i]++;
}

static void write_answer(const struct rude_request *r, struct rude_reply *out)
{
    bool bad = false, poison = strstr(r->text, "poison") != NULL;
    static char data[100000];
    size_t len = 0;
    int number = 0;
    char *copy = mem_strdup(r->text), *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        number++;
        if (strstr(l, db.unreadable ? db.unreadable : "bad") == NULL) {
            if (!poison)
                take_line(l);
            continue;
        }
        bad = true;
        len += (size_t)snprintf(data + len, sizeof(data) - len, "%s{\"line_number\":%d}",
                                len ? "," : "", number);
    }
    free(copy);
    static char text[110000];
    if (poison) {
        rude_say(out, 500, "", "Internal Server Error");
    } else if (bad && db.named) {
        (void)snprintf(text, sizeof(text),
                       "{\"error\":\"partial write of line protocol occurred\",\"data\":[%s]}",
                       data);
        rude_say(out, 400, "", text);
    } else if (bad && db.unreadable) {
        rude_say(out, 400, "", "cannot read influx line protocol data: too long line");
    } else if (bad) {
        rude_say(out, 400, "",
                 "{\"error\":\"partial write: field type conflict: x dropped=1\"}");
    } else {
        rude_say(out, 204, "", "");
    }
}

static void handler(void *ctx, const struct rude_request *r, struct rude_reply *out)
{
    (void)ctx;
    if (strncmp(r->head, "GET /metrics", 12) == 0) {
        char text[100];
        if (db.polls++ == 0)
            db.first_poll_ns = loop_hrtime_ns();
        (void)snprintf(text, sizeof(text), "a 1\nvm_app_start_timestamp %d\nz 2\n", db.start);
        rude_say(out, db.hidden ? 404 : 200, "", db.hidden ? "no such backend" : text);
        return;
    }
    if (db.posts < 4096) {
        (void)snprintf(db.bodies[db.posts], 64, "%s", r->text);
        db.hashes[db.posts] = hash_of(r->body, r->body_len);
    }
    int mine = db.posts++;
    if (mine == 0)
        db.first_post_ns = loop_hrtime_ns();
    if (db.slow && strstr(r->text, db.slow)) {
        out->delay_ms = 8000;
        db.slow = NULL;
    }
    if (db.throttled && strstr(r->text, db.throttled)) {
        if (db.throttled_ns == 0) {
            db.throttled_ns = loop_hrtime_ns();
            rude_say(out, 429, "Retry-After: 3", "");
            return;
        }
        db.again_ns = loop_hrtime_ns();
        db.throttled = NULL;
    } else if (db.throttled) {
        out->delay_ms = 300;
    }
    if (db.hang && strstr(r->text, db.hang)) {
        db.hung++;
        out->delay_ms = 2000; /* longer than anybody waits; then it closes */
        return;
    }
    if (db.pairs) {
        struct timespec end;
        (void)clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += 60;
        (void)pthread_cond_broadcast(&another);
        while (db.posts < mine / 2 * 2 + 2 && /* gives the server's lock away meanwhile */
               pthread_cond_timedwait(&another, &server.lock, &end) == 0)
            ;
    }
    (void)snprintf(db.head, sizeof(db.head), "%s", r->head);
    if (db.at < db.n_plan) {
        int status = db.plan[db.at++];
        if (status)
            rude_say(out, status, "", "");
        return;
    }
    if (db.away)
        rude_say(out, 503, "", "away");
    else if (db.only_auth)
        rude_say(out, 401, "", "{\"error\":\"authorization failed\"}");
    else
        write_answer(r, out);
}

/* -- the store: only what a sink asks of it ------------------------------------------------ */

struct store_batch {
    int n;
    struct {
        uint64_t block;
        uint32_t line;
        char reason[32], text[128];
    } lines[64];
};
static struct store_batch kept;

struct store_batch *store_batch_new(void)
{
    return mem_zalloc(sizeof(struct store_batch));
}

void store_batch_line(struct store_batch *b, const struct store_line *l)
{
    assert_true(b->n < 64);
    b->lines[b->n].block = l->block;
    b->lines[b->n].line = l->line;
    (void)snprintf(b->lines[b->n].reason, 32, "%s", l->reason);
    (void)snprintf(b->lines[b->n++].text, 128, "%.*s", (int)l->text_len, l->text);
}

struct pending {
    store_fn *fn;
    void *ctx;
    struct loop_timer *t;
};

static void commit_later(void *ctx)
{
    struct pending *p = ctx;
    loop_timer_free(p->t);
    p->fn(p->ctx, 0);
    free(p);
}

static struct loop *loop;

void store_commit(struct store *s, struct store_batch *b, store_fn *fn, void *ctx)
{
    (void)s;
    for (int i = 0; i < b->n && kept.n < 64; i++)
        kept.lines[kept.n++] = b->lines[i];
    free(b);
    struct pending *p = mem_zalloc(sizeof(*p));
    *p = (struct pending){fn, ctx, loop_timer_new(loop, commit_later, p)};
    loop_timer_start(p->t, 1, 0);
}

/* Refused lines that it keeps, from id 1 on; and which of them were marked. */
static struct {
    const char *lines[2100];
    bool marked[2100];
    store_letter_fn *letter;
    store_letters_done_fn *done;
    store_fn *fn;
    void *ctx;
    struct loop_timer *t;
} letters;

static void letters_later(void *ctx)
{
    uint64_t n = 0;
    (void)ctx;
    loop_timer_free(letters.t);
    for (size_t i = 0; i < 2100 && letters.lines[i]; i++) {
        struct store_letter l = {.payload = letters.lines[i],
                                 .payload_len = strlen(letters.lines[i])};
        if (!letters.marked[i]) {
            letters.letter(letters.ctx, i + 1, &l);
            n++;
        }
    }
    letters.done(letters.ctx, 0, n);
}

void store_letters(struct store *s, bool quarantine, const struct store_filter *f,
                   store_letter_fn *fn, store_letters_done_fn *done, void *ctx)
{
    (void)s;
    assert_true(!quarantine && f->lines && strcmp(f->device, "influx") == 0);
    letters.letter = fn;
    letters.done = done;
    letters.ctx = ctx;
    letters.t = loop_timer_new(loop, letters_later, NULL);
    loop_timer_start(letters.t, 1, 0);
}

static void marked_later(void *ctx)
{
    (void)ctx;
    loop_timer_free(letters.t);
    letters.fn(letters.ctx, 0);
}

void store_mark_replayed(struct store *s, bool quarantine, const uint64_t *ids, size_t n,
                         store_fn *fn, void *ctx)
{
    (void)s;
    (void)quarantine;
    for (size_t i = 0; i < n; i++)
        letters.marked[ids[i] - 1] = true;
    letters.fn = fn;
    letters.ctx = ctx;
    letters.t = loop_timer_new(loop, marked_later, NULL);
    loop_timer_start(letters.t, 1, 0);
}

/* -- fixture ------------------------------------------------------------------------------- */

static struct httpc *http;
static char dir[64], url[64];
static struct conf_sink conf;
static struct sink *sink;
static uint64_t offset;
static int number;

static bool (*until)(void);
static uint64_t give_up_ns;
static bool gave_up;

static void on_check(void *ctx)
{
    (void)ctx;
    gave_up = loop_hrtime_ns() > give_up_ns;
    if (gave_up || until())
        loop_stop(loop);
}

static void run_until(bool (*fn)(void), unsigned seconds)
{
    struct loop_timer *t = loop_timer_new(loop, on_check, NULL);
    until = fn;
    give_up_ns = loop_hrtime_ns() + 6 * seconds * 1000000000ull; /* only bounds a hang */
    loop_timer_start(t, 1, 5);
    loop_run(loop);
    loop_timer_free(t);
    if (gave_up) {
        struct sink_stats st;
        sink_stats(sink, &st);
        fail_msg("waited too long: state %s, %s; pending %lu posts %d", st.state, st.problem,
                 (unsigned long)st.pending_lines, db.posts);
    }
}

static struct sink_stats stats(void)
{
    struct sink_stats st;
    sink_stats(sink, &st);
    return st;
}

static bool all_done(void)
{
    struct sink_stats st = stats();
    return st.made > 0 && st.made == st.accepted + st.refused + st.shed;
}

static void open_sink(void)
{
    struct sink_options o = {.conf = &conf,
                             .dir = dir,
                             .loop = loop,
                             .httpc = http,
                             .store = (struct store *)(uintptr_t)1,
                             .token = conf.type == CONF_INFLUXDB3 ? "secret" : NULL,
                             .password = "pw"};
    struct err err;
    assert_int_equal(sink_open(&o, &err, &sink), 0);
}

static bool settled(void)
{
    struct sink_stats st = stats();
    return st.queued_blocks == 0 && st.in_flight == 0;
}

static void shut_sink(void)
{
    sink_close(sink);
    sink = NULL;
}

static int begin(void **state)
{
    (void)state;
    memset(&db, 0, sizeof(db));
    memset(&kept, 0, sizeof(kept));
    memset(&letters, 0, sizeof(letters));
    db.start = 100;
    offset = 0;
    number = 0;
    loop = loop_new();
    http = httpc_new(loop);
    rude_start(&server, handler, NULL, 0);
    (void)snprintf(dir, sizeof(dir), "/tmp/gaihou-sink-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
    conf = (struct conf_sink){.id = "influx",
                              .url = url,
                              .database = "gai hou",
                              .type = CONF_INFLUXDB1,
                              .batch = {.lines = 100, .bytes = 1 << 20, .age_ns = 20000000},
                              .gzip = true,
                              .in_flight = 2,
                              .timeout_ns = 60000000000u, /* a busy server is not away */
                              .max_bytes = 1 << 30,
                              .on_full = CONF_SHED};
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static int end(void **state)
{
    (void)state;
    sink_close(sink);
    sink = NULL;
    httpc_free(http);
    rude_stop(&server);
    loop_free(loop);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static int cause_behind; /* how far behind the step the record ends that it follows from */

/* A step with `n` points; text goes into a string field. */
static void step(int n, const char *text, enum point_class c)
{
    struct position at = {offset += 10, 1, 0};
    if (!sink_wants(sink, &at)) {
        number += n;
        return;
    }
    for (int i = 0; i < n; i++) {
        struct field f[2] = {
            {.key = "n", .key_len = 1, .v = {.type = VALUE_INT, .i = number++}},
            {.key = "t", .key_len = 1, .v = {.type = VALUE_STRING, .s = {text, strlen(text)}}}};
        struct point p = {.series = "sump,compound=nanan,device=d",
                          .series_len = 28,
                          .compound = "nanan",
                          .class_ = c,
                          .time_ms = 1700000000000 + number,
                          .fields = f,
                          .n_fields = conf.type == CONF_VICTORIAMETRICS ? 1 : 2};
        sink_point(sink, &p);
    }
    sink_step_end(sink, &at, at.offset + (uint64_t)cause_behind);
}

static void check_once(int from, int to)
{
    for (int i = from; i < to; i++)
        if (db.stored[i] < 1)
            fail_msg("line %d was never taken", i);
}

#endif
