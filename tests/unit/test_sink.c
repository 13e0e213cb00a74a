/* SPDX-License-Identifier: Apache-2.0 */
/* sink: the real loop, log and client against a rude server with scripted answers. */
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

/* -- the database: what it was sent, and what it takes
 * ------------------------------------------ */

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
    bool pairs;       /* two posts are answered together, when both are there */
    const char *hang; /* a post with this in it is never answered */
    int hung;
    const char *slow; /* the first post with this in it is answered after 8 s */
    uint64_t first_poll_ns, first_post_ns;
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
        rude_say(out, 200, "", text);
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
    if (db.hang && strstr(r->text, db.hang)) {
        db.hung++;
        out->delay_ms = 2000; /* longer than anybody waits; then it closes */
        return;
    }
    if (db.pairs) {
        struct timespec end;
        (void)clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += 5;
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

/* -- the store: only what a sink asks of it
 * ------------------------------------------------------- */

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
    const char *lines[8];
    bool marked[8];
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
    for (size_t i = 0; i < 8 && letters.lines[i]; i++) {
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

/* -- fixture
 * -------------------------------------------------------------------------------------- */

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
    give_up_ns = loop_hrtime_ns() + seconds * 1000000000ull;
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
                              .timeout_ns = 5000000000u,
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
    sink_step_end(sink, &at);
}

static void check_once(int from, int to)
{
    for (int i = from; i < to; i++)
        if (db.stored[i] < 1)
            fail_msg("line %d was never taken", i);
}

/* -- cases
 * ---------------------------------------------------------------------------------------- */

static bool a_moment(void)
{
    static int n;
    return ++n % 40 == 0;
}

static void test_points_arrive(void **state)
{
    (void)state;
    open_sink();
    for (int i = 0; i < 250; i++)
        step(1, "x", POINT_ROUTINE);
    assert_int_equal(sink_needs_sync(sink), 2000); /* two blocks are full */
    run_until(a_moment, 10);
    assert_int_equal(db.posts, 0);                 /* the journal is not on the disk yet */
    assert_int_equal(sink_needs_sync(sink), 2500); /* by age */
    assert_int_equal(sink_durable(sink).offset, 0);
    sink_journal_synced(sink, offset);
    run_until(all_done, 10);
    check_once(0, 250);
    struct sink_stats st = stats();
    assert_int_equal(st.accepted, 250);
    assert_int_equal(st.pending_blocks, 0);
    assert_string_equal(st.state, "ok");
    assert_true(st.backfill_from_ms == 1700000000001 && st.backfill_to_ms == 1700000000250);
    assert_non_null(strstr(db.head, "POST /write?db=gai%20hou HTTP/1.1"));
    assert_non_null(strstr(db.head, "Content-Type: text/plain; charset=utf-8"));
    assert_non_null(strstr(db.head, "Content-Encoding: gzip"));
    assert_int_equal(sink_durable(sink).offset, 2500);
    assert_int_equal(sink_end(sink).offset, 2500);
}

static void test_the_same_bytes_again(void **state)
{
    (void)state;
    db.plan[0] = 503;
    db.plan[1] = 0; /* closes */
    db.plan[2] = 429;
    db.n_plan = 3;
    open_sink();
    step(5, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_done, 20);
    assert_int_equal(db.posts, 4);
    for (int i = 1; i < 4; i++)
        assert_true(db.hashes[i] == db.hashes[0]);
    /* a kept connection that closes is tried once more by curl itself */
    assert_in_range(stats().answers[ANSWER_RETRY], 2, 3);
    assert_string_equal(stats().problem, "");
}

static void test_refused_lines_are_found(void **state)
{
    (void)state;
    open_sink();
    for (int i = 0; i < 90; i++)
        step(1, i == 17 || i == 60 ? "bad" : "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_done, 10);
    assert_int_equal(stats().refused, 2);
    assert_int_equal(stats().accepted, 88);
    assert_int_equal(kept.n, 2);
    assert_int_equal(kept.lines[0].line, 18);
    assert_int_equal(kept.lines[1].line, 61);
    assert_int_equal(kept.lines[0].block, 1);
    assert_string_equal(kept.lines[0].reason, "field_type");
    assert_non_null(strstr(kept.lines[0].text, "n=17i"));
    check_once(0, 17);
    check_once(61, 90);
    const struct outbound_share *sh;
    assert_int_equal(outbound_shares(sink_outbound(sink), &sh), 1);
    assert_string_equal(sh[0].compound, "nanan");
    assert_int_equal(sh[0].refused, 2);
}

static void test_lines_named_by_influxdb3(void **state)
{
    (void)state;
    conf.type = CONF_INFLUXDB3;
    db.named = true;
    open_sink();
    for (int i = 0; i < 90; i++)
        step(1, i == 17 || i == 60 ? "bad" : "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_done, 10);
    assert_int_equal(db.posts, 1);
    assert_int_equal(kept.n, 2);
    assert_int_equal(kept.lines[1].line, 61);
    assert_non_null(
        strstr(db.head, "POST /api/v3/write_lp?db=gai%20hou&precision=nanosecond HTTP"));
    assert_non_null(strstr(db.head, "Authorization: Bearer secret"));
}

static void more(void *ctx)
{
    (void)ctx;
    if (number < 2000) {
        step(1, "x", POINT_ROUTINE);
        sink_journal_synced(sink, offset);
    }
}

static bool poison_found(void)
{
    return stats().refused == 1;
}

static void test_a_poisoned_line_does_not_stop_others(void **state)
{
    (void)state;
    open_sink();
    for (int i = 0; i < 50; i++)
        step(1, i == 33 ? "poison" : "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    struct loop_timer *t = loop_timer_new(loop, more, NULL);
    loop_timer_start(t, 100, 100);
    run_until(poison_found, 60);
    loop_timer_free(t);
    assert_int_equal(kept.n, 1);
    assert_int_equal(kept.lines[0].line, 34);
    assert_string_equal(kept.lines[0].reason, "server_error");
    run_until(all_done, 20);
    check_once(0, 33);
    check_once(34, number);
}

static void test_a_dead_server_condemns_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        db.plan[db.n_plan++] = 500;
    open_sink();
    step(20, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_done, 30);
    assert_int_equal(stats().refused, 0);
    check_once(0, 20);
}

static bool blocked(void)
{
    return strcmp(stats().state, "blocked") == 0;
}

static void test_an_operator_is_needed(void **state)
{
    (void)state;
    db.only_auth = true;
    open_sink();
    for (int i = 0; i < 250; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(blocked, 10);
    run_until(settled, 10);
    run_until(a_moment, 10);
    assert_true(db.posts <= 2); /* then one each 30 s */
    assert_non_null(strstr(stats().problem, "authorization failed"));
    assert_int_equal(stats().pending_lines, 250);
    shut_sink();
    db.only_auth = false; /* the operator did, and started the gateway again */
    open_sink();
    offset = 0;
    number = 0;
    for (int i = 0; i < 300; i++) /* replay: what the log has is skipped */
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_done, 20);
    assert_int_equal(stats().accepted, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(db.stored[i], 1);
}

static void test_newest_first(void **state)
{
    (void)state;
    db.away = true;
    open_sink();
    for (int i = 0; i < 1000; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(settled, 10);
    shut_sink();
    int port = server.port;
    rude_stop(&server); /* requests may be under way: they end with it and are not counted */
    memset(&db, 0, sizeof(db));
    db.pairs = true;
    rude_start(&server, handler, NULL, port);
    open_sink();
    run_until(all_done, 20);
    assert_int_equal(db.posts, 10);
    /* two slots: the newest and the oldest of what is left, in either order */
    for (int i = 0; i < 10; i += 2) {
        char newest[32], oldest[32];
        (void)snprintf(newest, sizeof(newest), " n=%di,", 900 - 50 * i);
        (void)snprintf(oldest, sizeof(oldest), " n=%di,", 50 * i);
        int n = strstr(db.bodies[i], newest) ? i : i + 1;
        assert_non_null(strstr(db.bodies[n], newest));
        assert_non_null(strstr(db.bodies[n ^ 1], oldest));
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(db.stored[i], 1);
}

static bool shed_some(void)
{
    return stats().shed > 0 && stats().queued_blocks == 0 &&
           stats().log_bytes <= conf.max_bytes;
}

static void test_full_log_sheds_the_oldest_routine(void **state)
{
    (void)state;
    db.away = true;
    conf.gzip = false;
    conf.max_bytes = 60000;
    open_sink();
    step(50, "alarm", POINT_KEEP);
    for (int i = 0; i < 2000; i++)
        step(1, "0123456789", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(shed_some, 20);
    assert_false(sink_stalls(sink));
    db.away = false;
    run_until(all_done, 20);
    check_once(0, 50);      /* never shed */
    check_once(1990, 2050); /* nor the newest */
    struct sink_stats st = stats();
    assert_int_equal(st.made, 2050);
    assert_int_equal(st.accepted + st.shed, 2050);
}

static void test_pause(void **state)
{
    (void)state;
    db.away = true;
    conf.gzip = false;
    conf.max_bytes = 30000;
    conf.on_full = CONF_PAUSE;
    open_sink();
    for (int i = 0; i < 2000; i++)
        step(1, "0123456789", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(settled, 10);
    assert_true(sink_paused(sink) && sink_stalls(sink));
    db.away = false;
    run_until(all_done, 20);
    assert_false(sink_paused(sink));
    check_once(0, 2000);
}

static bool all_held(void)
{
    return stats().held == 3;
}

static bool sent_again(void)
{
    for (int i = 0; i < 300; i++)
        if (db.stored[i] < 2)
            return false;
    return true;
}

static void test_victoriametrics_restarts(void **state)
{
    (void)state;
    conf.type = CONF_VICTORIAMETRICS;
    open_sink();
    for (int i = 0; i < 300; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_held, 10);
    assert_int_equal(stats().pending_lines, 300);
    assert_int_equal(stats().accepted, 0);
    pthread_mutex_lock(&server.lock);
    db.start = 200;
    pthread_mutex_unlock(&server.lock);
    run_until(sent_again, 15);
    assert_int_equal(stats().pending_lines, 300); /* and held again */
}

static bool all_but_bad(void)
{
    for (int i = 0; i < 300; i++)
        if (i != 150 && db.stored[i] < 1)
            return false;
    return true;
}

static bool refused_held(void)
{
    return stats().held == 3;
}

/* Also the lines of a block whose other lines were refused may be lost by a restart. */
static void test_victoriametrics_refuses_and_restarts(void **state)
{
    (void)state;
    conf.type = CONF_VICTORIAMETRICS;
    db.unreadable = "n=150 ";
    open_sink();
    for (int i = 0; i < 300; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(refused_held, 10);
    assert_int_equal(kept.n, 0); /* it is decided when the rest is */
    assert_int_equal(db.stored[150], 0);
    pthread_mutex_lock(&server.lock);
    memset(db.stored, 0, sizeof(db.stored));
    db.start = 200;
    pthread_mutex_unlock(&server.lock);
    run_until(all_but_bad, 15);
    run_until(refused_held, 10);
    assert_int_equal(stats().pending_lines, 300);
    assert_int_equal(kept.n, 0);
}

static bool taken(void)
{
    return db.posts > 0;
}

/* A start is told in seconds: what is posted in the second of the start could be lost by a
 * restart in the same second, which cannot be seen. */
static void test_victoriametrics_just_started(void **state)
{
    (void)state;
    conf.type = CONF_VICTORIAMETRICS;
    open_sink();
    step(5, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(taken, 10);
    assert_true(db.first_post_ns - db.first_poll_ns >= 1000000000u);
}

static bool one_held(void)
{
    return stats().held == 1 && db.posts == 2;
}

static bool slow_sent_again(void)
{
    for (int i = 0; i < 200; i++)
        if (db.stored[i] < 2)
            return false;
    return stats().held == 2;
}

/* The dead server's answer is read after its successor was seen. */
static void test_victoriametrics_restarts_under_way(void **state)
{
    (void)state;
    conf.type = CONF_VICTORIAMETRICS;
    conf.timeout_ns = 20000000000u;
    db.slow = "n=100 ";
    open_sink();
    for (int i = 0; i < 200; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(one_held, 10);
    pthread_mutex_lock(&server.lock);
    db.start = 200;
    pthread_mutex_unlock(&server.lock);
    run_until(slow_sent_again, 25);
}

static bool others_taken(void)
{
    for (int i = 0; i < 1000; i++)
        if ((i < 100 || i >= 200) && db.stored[i] < 1)
            return false;
    return db.hung > 1 && stats().accepted >= 900; /* and the answers were read */
}

static bool later_taken(void)
{
    return stats().accepted == 1200;
}

/* A line that makes its server fall silent: its block is kept and tried again, others go. */
static void hangs(unsigned in_flight)
{
    conf.in_flight = in_flight;
    conf.timeout_ns = 300000000u;
    db.hang = "hang";
    open_sink();
    for (int i = 0; i < 1000; i++)
        step(1, i == 133 ? "hang" : "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(others_taken, 60);
    assert_int_equal(stats().refused, 0);
    assert_int_equal(stats().accepted, 900);
    int asked = db.hung;
    for (int i = 0; i < 300; i++) /* and what comes later goes as well */
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(later_taken, 60);
    assert_true(db.hung >= asked);
    assert_int_equal(stats().pending_lines, 100);
}

static void test_a_hanging_line(void **state)
{
    (void)state;
    hangs(2);
}

static void test_a_hanging_line_and_one_slot(void **state)
{
    (void)state;
    hangs(1);
}

static int flushed;
static void on_flushed(void *ctx)
{
    (void)ctx;
    flushed++;
}
static bool is_flushed(void)
{
    return flushed > 0;
}

static void test_flush_and_drain(void **state)
{
    (void)state;
    conf.batch.age_ns = 3600000000000u;
    open_sink();
    flushed = 0;
    sink_flush(sink, on_flushed, NULL); /* nothing there */
    assert_int_equal(flushed, 0);
    run_until(is_flushed, 5);
    step(7, "x", POINT_ROUTINE);
    flushed = 0;
    sink_flush(sink, on_flushed, NULL);
    run_until(a_moment, 5);
    assert_int_equal(flushed, 0); /* the journal first */
    sink_journal_synced(sink, offset);
    run_until(is_flushed, 5);
    assert_int_equal(sink_durable(sink).offset, offset);
    step(3, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    flushed = 0;
    sink_drain(sink, 5000, on_flushed, NULL);
    run_until(is_flushed, 6);
    assert_int_equal(stats().accepted, 10);
    db.away = true;
    step(3, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    flushed = 0;
    uint64_t t0 = loop_hrtime_ns();
    sink_drain(sink, 3000, on_flushed, NULL);
    run_until(is_flushed, 6);
    assert_true(loop_hrtime_ns() - t0 < 4000000000u);
    assert_int_equal(stats().pending_lines, 3); /* waits in the log */
}

static void test_a_log_that_cannot_be_written(void **state)
{
    (void)state;
    open_sink();
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* its folder is gone */
    step(100, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(a_moment, 5);
    assert_int_equal(stats().queued_blocks, 1);
    assert_true(stats().problem[0] != '\0');
    assert_int_equal(sink_durable(sink).offset, 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    run_until(all_done, 10); /* tried again each second */
    check_once(0, 100);
}

/* -- refused lines, once more ---------------------------------------------------------------- */

static struct sink_retaken retaken;
static int answered;

static void on_retaken(void *ctx, const struct sink_retaken *r)
{
    assert_ptr_equal(ctx, &answered);
    retaken = *r;
    answered++;
}

static bool was_answered(void)
{
    return answered > 0;
}

static void retake(void)
{
    answered = 0;
    assert_int_equal(sink_retake(sink, 0, NULL, 0, on_retaken, &answered), 0);
    assert_int_equal(sink_retake(sink, 0, NULL, 0, on_retaken, &answered), -EBUSY);
    run_until(was_answered, 10);
}

static void lines_go_once_more(void **state)
{
    (void)state;
    static const char *const lines[] = {"m n=1i 1", "m bad=1 2", "m n=3i 3", "m n=4i 4"};
    memcpy(letters.lines, lines, sizeof(lines));
    open_sink();
    db.away = true;
    retake();
    assert_true(retaken.taken == 0 && retaken.refused == 0 && retaken.lines == 4);
    assert_non_null(strstr(retaken.problem, "unavailable"));
    db.away = false;
    retake();
    assert_true(retaken.taken == 3 && retaken.refused == 1);
    assert_string_equal(retaken.problem, "");
    assert_true(letters.marked[0] && !letters.marked[1] && letters.marked[2]);
    assert_true(db.stored[1] && db.stored[3] && db.stored[4]);
    retake(); /* only what was not marked */
    assert_true(retaken.lines == 1 && retaken.taken == 0 && retaken.refused == 1);
    db.unreadable = "nothing at all"; /* mended */
    retake();
    assert_true(retaken.lines == 1 && retaken.taken == 1 && letters.marked[1]);
    assert_int_equal(stats().made, 0); /* the log and its account know nothing of it */
}

/* Whatever it waits for when the sink is closed, who asked is told once. */
static void closed_meanwhile(void **state)
{
    (void)state;
    static const char *const lines[] = {"m n=1i 1", "m hang=1 2"};
    memcpy(letters.lines, lines, sizeof(lines));
    db.hang = "hang";
    open_sink();
    answered = 0;
    assert_int_equal(sink_retake(sink, 0, NULL, 0, on_retaken, &answered), 0);
    shut_sink(); /* before the store has answered */
    assert_int_equal(answered, 1);
    assert_string_equal(retaken.problem, "the gateway stops");
    open_sink();
    run_until(settled, 10);
    assert_int_equal(sink_retake(sink, 0, NULL, 0, on_retaken, &answered), 0);
    while (db.hung == 0)
        run_until(settled, 10);
    shut_sink(); /* while the database has it */
    assert_int_equal(answered, 2);
    assert_false(letters.marked[0] || letters.marked[1]);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    log_set_level(LOG_ERROR_);
    const struct CMUnitTest tests[] = {
        CASE(lines_go_once_more),
        CASE(closed_meanwhile),
        CASE(test_points_arrive),
        CASE(test_the_same_bytes_again),
        CASE(test_refused_lines_are_found),
        CASE(test_lines_named_by_influxdb3),
        CASE(test_a_poisoned_line_does_not_stop_others),
        CASE(test_a_dead_server_condemns_nothing),
        CASE(test_an_operator_is_needed),
        CASE(test_newest_first),
        CASE(test_full_log_sheds_the_oldest_routine),
        CASE(test_pause),
        CASE(test_victoriametrics_restarts),
        CASE(test_victoriametrics_refuses_and_restarts),
        CASE(test_victoriametrics_just_started),
        CASE(test_victoriametrics_restarts_under_way),
        CASE(test_a_hanging_line),
        CASE(test_a_hanging_line_and_one_slot),
        CASE(test_flush_and_drain),
        CASE(test_a_log_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
