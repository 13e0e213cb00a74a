/* SPDX-License-Identifier: Apache-2.0 */
/* sink: what becomes of its points, blocks and lines, whatever database and disk do. */
#include "sink_rig.h"
#include "app/sink_int.h"

/* -- what is told of the log ------------------------------------------------------------------ */

static int fold_error;
static unsigned broke, healed, turns_said;

int __wrap_outbound_fold_error(const struct outbound *ob);
int __wrap_outbound_fold_error(const struct outbound *ob)
{
    (void)ob;
    return fold_error;
}

static bool disk_full;

int __real_outbound_write(struct outbound *ob, struct block *const *blocks, size_t n);
int __wrap_outbound_write(struct outbound *ob, struct block *const *blocks, size_t n);
int __wrap_outbound_write(struct outbound *ob, struct block *const *blocks, size_t n)
{
    return disk_full && n > 0 ? -ENOSPC : __real_outbound_write(ob, blocks, n);
}

static int marks_fail; /* so many of the next */

int __real_outbound_done(struct outbound *ob, uint64_t seq, enum outbound_outcome outcome,
                         const struct outbound_refusal *refused, size_t n_refused);
int __wrap_outbound_done(struct outbound *ob, uint64_t seq, enum outbound_outcome outcome,
                         const struct outbound_refusal *refused, size_t n_refused);
int __wrap_outbound_done(struct outbound *ob, uint64_t seq, enum outbound_outcome outcome,
                         const struct outbound_refusal *refused, size_t n_refused)
{
    if (marks_fail == 0)
        return __real_outbound_done(ob, seq, outcome, refused, n_refused);
    marks_fail--;
    return -ENOSPC;
}

static uint64_t ahead_ns; /* the sink's clock, of the true one */

uint64_t __real_loop_now_ns(struct loop *l);
uint64_t __wrap_loop_now_ns(struct loop *l);
uint64_t __wrap_loop_now_ns(struct loop *l)
{
    return __real_loop_now_ns(l) + ahead_ns;
}

void __wrap_log_write(enum log_level level, const char *fmt, ...);
void __wrap_log_write(enum log_level level, const char *fmt, ...)
{
    broke += level == LOG_WARN_ && strstr(fmt, "cannot be given back");
    healed += level == LOG_NOTICE_ && strstr(fmt, "is given back again");
    turns_said += strstr(fmt, "cannot write to") || strstr(fmt, "writes to");
}

/* -- cases --------------------------------------------------------------------------------- */

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

/* A timer stands before the record whose time made it fire: a power cut must not take that one and
 * leave what follows from it. */
static void test_a_timer_waits_for_its_record(void **state)
{
    (void)state;
    open_sink();
    cause_behind = 100;
    step(1, "x", POINT_ROUTINE);
    cause_behind = 0;
    sink_journal_synced(sink, offset);
    run_until(a_moment, 10);
    assert_int_equal(sink_needs_sync(sink), offset + 100);
    assert_int_equal(sink_end(sink).offset, 0);
    sink_journal_synced(sink, offset + 99);
    run_until(a_moment, 10);
    assert_int_equal(sink_end(sink).offset, 0);
    sink_journal_synced(sink, offset + 100);
    run_until(all_done, 10);
    assert_int_equal(sink_end(sink).offset, offset);
    assert_int_equal(sink_needs_sync(sink), 0);
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

/* Another block is taken meanwhile: that does not shorten the time that was asked for. */
static void test_not_before_it_was_asked_to(void **state)
{
    (void)state;
    db.throttled = " n=0i,";
    open_sink();
    for (int i = 0; i < 200; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_done, 20);
    assert_true(db.throttled_ns > 0);
    assert_true(db.again_ns - db.throttled_ns >= 2900000000u);
    check_once(0, 200);
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
    rude_stop(&server); /* requests may be under way: they end with it and are not counted */
    memset(&db, 0, sizeof(db));
    db.pairs = true;
    rude_start(&server, handler, NULL, 0);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
    conf.timeout_ns = 120000000000u; /* longer than the second of two is waited for */
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

static void rot(const char *text)
{
    char path[128], *bytes;
    size_t n;
    struct file *f;
    (void)snprintf(path, sizeof(path), "%s/%016x.blocks", dir, 1u);
    assert_int_equal(file_load(path, 1u << 20, &bytes, &n), 0);
    const char *at = memmem(bytes, n, text, strlen(text));
    assert_non_null(at);
    assert_int_equal(file_open(path, FILE_WRITE, &f), 0);
    assert_int_equal(file_write(f, (uint64_t)(at - bytes), "?", 1), 0);
    file_close(f);
    free(bytes);
}

/* A held block rots: the log gives it up when it is read for its refused line, and nothing of it is
 * left to be held, or put back at the end. */
static void test_victoriametrics_holds_what_rots(void **state)
{
    (void)state;
    conf.type = CONF_VICTORIAMETRICS;
    conf.gzip = false;
    db.unreadable = "n=150 ";
    open_sink();
    for (int i = 0; i < 300; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(refused_held, 10);
    rot("n=150 ");
    ahead_ns = 31000000000u;
    run_until(all_done, 10);
    shut_sink();
    open_sink();
    ahead_ns = 0;
    assert_int_equal(stats().refused, 100);
    assert_int_equal(stats().accepted, 200);
    assert_int_equal(kept.n, 0);
}

static int polls_wanted;

static bool polled(void)
{
    return db.polls >= polls_wanted;
}

/* While the server is away a proxy answers for it: that look has not found the same server. */
static void test_victoriametrics_is_hidden_meanwhile(void **state)
{
    (void)state;
    conf.type = CONF_VICTORIAMETRICS;
    open_sink();
    for (int i = 0; i < 300; i++)
        step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_held, 10);
    pthread_mutex_lock(&server.lock);
    db.hidden = true;
    polls_wanted = db.polls + 2;
    pthread_mutex_unlock(&server.lock);
    ahead_ns = 31000000000u;
    run_until(polled, 20);
    assert_int_equal(stats().held, 3);
    assert_int_equal(stats().accepted, 0);
    pthread_mutex_lock(&server.lock);
    db.hidden = false;
    db.start = 200;
    pthread_mutex_unlock(&server.lock);
    run_until(sent_again, 20);
    pthread_mutex_lock(&server.lock);
    db.hidden = true; /* and for good: then nothing can be done about it */
    polls_wanted = db.polls + 2;
    pthread_mutex_unlock(&server.lock);
    run_until(polled, 20);
    ahead_ns = 700000000000u;
    run_until(all_done, 20);
    ahead_ns = 0;
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

static int wanted;

static bool hung_so_often(void)
{
    ahead_ns += SECOND_NS; /* nobody waits for a backoff */
    sink_kick(sink);
    return db.hung >= wanted;
}

static bool so_many_taken(void)
{
    ahead_ns += SECOND_NS;
    sink_kick(sink);
    return stats().accepted == (uint64_t)wanted;
}

static void steps_until(int n, const char *text, bool (*fn)(void), int want)
{
    for (int i = 0; i < n; i++)
        step(1, text, POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    wanted = want;
    run_until(fn, 60);
}

/* More blocks with such a line than may be under way, at once and in time: what comes later goes all the
 * same. */
static void test_many_hanging_lines(void **state)
{
    (void)state;
    conf.in_flight = 1;
    conf.batch.lines = 1;
    conf.timeout_ns = 100000000u;
    db.hang = "hang";
    open_sink();
    steps_until(9, "hang", hung_so_often, 18);
    steps_until(30, "x", so_many_taken, 30);
    steps_until(3, "hang", hung_so_often, db.hung + 12);
    steps_until(3, "x", so_many_taken, 33);
    ahead_ns = 0;
    assert_int_equal(stats().refused, 0);
    assert_int_equal(stats().pending_lines, 12);
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
    sink_drain(sink, 60000, on_flushed, NULL); /* it ends when all is there */
    run_until(is_flushed, 12);
    assert_int_equal(stats().accepted, 10);
    db.away = true;
    step(3, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    flushed = 0;
    uint64_t t0 = loop_hrtime_ns();
    sink_drain(sink, 3000, on_flushed, NULL);
    run_until(is_flushed, 10);
    assert_true(loop_hrtime_ns() - t0 < 60000000000u); /* it would try for ever */
    assert_int_equal(stats().pending_lines, 3);        /* waits in the log */
}

/* The last mark is written when the sink looks by itself: nothing else happens then. */
static void test_a_drain_ends_with_a_late_mark(void **state)
{
    (void)state;
    open_sink();
    step(3, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    flushed = 0;
    marks_fail = 1;
    sink_drain(sink, 600000, on_flushed, NULL);
    run_until(is_flushed, 10);
    assert_int_equal(marks_fail, 0);
    assert_int_equal(stats().accepted, 3);
}

static bool is_in_trouble(void)
{
    return stats().problem[0] != '\0';
}

static void test_a_log_that_cannot_be_written(void **state)
{
    (void)state;
    open_sink();
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* its folder is gone */
    step(100, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(is_in_trouble, 10);
    assert_int_equal(stats().queued_blocks, 1);
    assert_int_equal(sink_durable(sink).offset, 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    run_until(all_done, 10); /* tried again each second */
    check_once(0, 100);
}

static void count_segment(void *ctx, const char *name)
{
    *(int *)ctx += strstr(name, ".blocks") != NULL;
}

static int segments(void)
{
    int n = 0;
    assert_int_equal(file_list(dir, count_segment, &n), 0);
    return n;
}

static bool one_segment(void)
{
    return segments() == 1;
}

/* The room of what the database has may be all that a full disk lacks: it is given back though
 * nothing can be written. */
static void test_a_full_disk_gives_back_what_is_done(void **state)
{
    (void)state;
    static char text[10001];
    memset(text, 'x', sizeof(text) - 1);
    conf.gzip = false;
    db.away = true;
    open_sink();
    for (int i = 0; i < 25; i++) /* a megabyte each; a segment is full with sixteen */
        step(100, text, POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(settled, 20);
    assert_int_equal(segments(), 2);
    disk_full = true;
    step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    db.away = false;
    run_until(one_segment, 20);
    assert_int_equal(stats().queued_blocks, 1);
    disk_full = false;
    run_until(all_done, 20);
    check_once(0, 2501);
}

/* What the database has stays in the log: told, once, and that it is over. */
static void test_a_log_that_cannot_be_folded(void **state)
{
    (void)state;
    open_sink();
    broke = healed = 0;
    fold_error = -EIO;
    for (int i = 0; i < 3; i++) {
        step(100, "x", POINT_ROUTINE);
        sink_journal_synced(sink, offset);
        run_until(all_done, 10);
    }
    assert_true(broke == 1 && healed == 0);
    fold_error = 0;
    step(100, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    run_until(all_done, 10);
    assert_true(broke == 1 && healed == 1);
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
    memset(&letters, 0, sizeof(letters));
    for (int i = 0; i < 2050; i++)
        letters.lines[i] = "m n=1i 1";
    int posts = db.posts;
    db.away = true;
    retake();
    assert_true(retaken.lines == 2000 && retaken.more && db.posts == posts + 1);
    db.away = false;
    retake();
    assert_true(retaken.taken == 2000 && db.posts == posts + 5);
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

static bool so_many_taken_in_turn(void)
{
    ahead_ns += SECOND_NS / 20;
    sink_kick(sink);
    return stats().accepted == (uint64_t)wanted;
}

/* A balancer with one server that is away: not two lines for each post, and an outage is said again. */
static void test_what_comes_and_goes_is_not_said_for_ever(void **state)
{
    (void)state;
    conf.in_flight = 1;
    conf.batch.lines = 1;
    for (db.n_plan = 0; db.n_plan < 60; db.n_plan++)
        db.plan[db.n_plan] = db.n_plan % 2 ? 204 : 503;
    open_sink();
    turns_said = 0;
    steps_until(30, "x", so_many_taken_in_turn, 30);
    assert_true(turns_said >= 2 && turns_said <= 30);
    turns_said = 0;
    db.away = true;
    step(1, "x", POINT_ROUTINE);
    sink_journal_synced(sink, offset);
    int asked = db.posts;
    while (db.posts < asked + 8) {
        ahead_ns += 6 * (uint64_t)SECOND_NS;
        run_until(a_moment, 10);
    }
    assert_true(turns_said >= 1);
    ahead_ns = 0;
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
        CASE(test_a_timer_waits_for_its_record),
        CASE(test_the_same_bytes_again),
        CASE(test_not_before_it_was_asked_to),
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
        CASE(test_victoriametrics_holds_what_rots),
        CASE(test_victoriametrics_is_hidden_meanwhile),
        CASE(test_victoriametrics_just_started),
        CASE(test_victoriametrics_restarts_under_way),
        CASE(test_a_hanging_line),
        CASE(test_a_hanging_line_and_one_slot),
        CASE(test_many_hanging_lines),
        CASE(test_what_comes_and_goes_is_not_said_for_ever),
        CASE(test_flush_and_drain),
        CASE(test_a_drain_ends_with_a_late_mark),
        CASE(test_a_log_that_cannot_be_written),
        CASE(test_a_log_that_cannot_be_folded),
        CASE(test_a_full_disk_gives_back_what_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
