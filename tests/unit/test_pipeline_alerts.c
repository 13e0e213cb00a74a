/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline: transitions and replies on their way to a real store, by a real journal. What the
 * engine would say is said by the test: a command's record makes one transition and one reply. */
#define RIG_OWN                                                                                \
    int replies, wanted_replies;                                                               \
    uint64_t asked_ns, answered_ns, rows, last_seq;                                            \
    int64_t expires_ms;
#include "pipeline_rig.h"
#include "io/clock.h"
#include "scratch.h"
#include "snapshot_write.h"

/* -- the engine, as far as it is played ------------------------------------------------------- */

static struct engine_out out;
static struct {
    char blobs[16][64];
    size_t n;
    int calls;
    struct position at;
    const char *differs;
} adopted;

struct engine *__real_engine_new(const struct engine_out *o);
struct engine *__wrap_engine_new(const struct engine_out *o);
struct engine *__wrap_engine_new(const struct engine_out *o)
{
    out = *o;
    return __real_engine_new(o);
}

static int64_t doubted_ms; /* our clock is ahead by so much of what the engine believes */

static void say(const struct record *r)
{
    char json[128], blob[64], id[32];
    (void)snprintf(id, sizeof(id), "%.*s", (int)r->topic_len, r->topic);
    int at = snprintf(json, sizeof(json), "{\"case\":\"%s\",\"seq\":", id);
    int n = snprintf(json + at, sizeof(json) - (size_t)at, ",\"said\":\"%.*s\"}",
                     (int)r->body_len, r->body);
    (void)snprintf(blob, sizeof(blob), "%s is %.*s", id, (int)r->body_len, r->body);
    struct transition t = {.stream = "g/all/1",
                           .case_id = id,
                           .firm = "wy1",
                           .compound = "c1",
                           .rule = "r",
                           .device = "d1",
                           .point = "",
                           .occurrence = 1,
                           .version = 1,
                           .deliver = true,
                           .wall_ms = r->wall_ns / 1000000,
                           .json = json,
                           .json_len = (size_t)(at + n),
                           .seq_at = (size_t)at,
                           .blob = blob,
                           .blob_len = strlen(blob)};
    bool by_firm =
        r->body_len == 4 && memcmp(r->body, "firm", 4) == 0; /* else it asks by HTTP */
    struct case_command c = {.firm = by_firm ? "wy1" : NULL,
                             .compound = "c1",
                             .case_id = id,
                             .verb = VERB_ACK,
                             .payload = "",
                             .origin = by_firm ? 0 : 77,
                             .engine_ns = r->engine_ns,
                             .wall_ms = r->wall_ns / 1000000 - doubted_ms};
    struct case_reply reply = {&c, ANSWER_DONE, "{\"result\":\"done\"}", 17, false};
    out.transition(out.ctx, &t);
    out.reply(out.ctx, &reply);
}

void __real_engine_record(struct engine *e, const struct record *r);
void __wrap_engine_record(struct engine *e, const struct record *r);
void __wrap_engine_record(struct engine *e, const struct record *r)
{
    if (r->type != RECORD_COMMAND) {
        __real_engine_record(e, r);
        return;
    }
    struct record plain = *r;
    plain.type = RECORD_CLOCK_STEP; /* a step, and nothing else */
    __real_engine_record(e, &plain);
    say(r);
}

int __wrap_engine_adopt_cases(struct engine *e, const char *const *blobs, const size_t *lens,
                              size_t n,
                              void (*differs)(void *ctx, const char *case_id, const char *how),
                              void *ctx);
int __wrap_engine_adopt_cases(struct engine *e, const char *const *blobs, const size_t *lens,
                              size_t n,
                              void (*differs)(void *ctx, const char *case_id, const char *how),
                              void *ctx)
{
    adopted.calls++;
    adopted.at = engine_position(e);
    for (size_t i = 0; i < n && i < 16; i++)
        (void)snprintf(adopted.blobs[adopted.n++], 64, "%.*s", (int)lens[i], blobs[i]);
    if (adopted.differs)
        differs(ctx, adopted.differs, "missing");
    return 0;
}

/* -- a timer that is due, and a journal that has no room for the record of the time ------------ */

static struct timer_rig {
    bool due, full, again; /* again: as one of a swarm, however often it fires */
    unsigned refused, taken;
} timer;

uint64_t __real_engine_next_due(const struct engine *e);
uint64_t __wrap_engine_next_due(const struct engine *e);
uint64_t __wrap_engine_next_due(const struct engine *e)
{
    return timer.due && (timer.again || timer.taken == 0) ? 0 : __real_engine_next_due(e);
}

int __real_journal_append(struct journal *j, struct record *r, uint64_t *out_end);
int __wrap_journal_append(struct journal *j, struct record *r, uint64_t *out_end);
int __wrap_journal_append(struct journal *j, struct record *r, uint64_t *out_end)
{
    if (r->type == RECORD_TIME && timer.full) {
        timer.refused++;
        return -ENOSPC;
    }
    timer.taken += r->type == RECORD_TIME;
    return __real_journal_append(j, r, out_end);
}

/* -- what comes back ---------------------------------------------------------------------------- */

static void on_reply(void *ctx, uint64_t origin, enum case_answer answer, const char *json,
                     size_t len)
{
    struct rig *r = ctx;
    assert_int_equal(origin, 77);
    assert_int_equal(answer, ANSWER_DONE);
    assert_int_equal(len, 17);
    assert_memory_equal(json, "{\"result\":\"done\"}", 17);
    r->answered_ns = loop_hrtime_ns();
    if (++r->replies == r->wanted_replies)
        loop_stop(r->loop);
}

static void begin_alerts(struct rig *r)
{
    memset(&adopted, 0, sizeof(adopted));
    r->reply = on_reply;
    begin(r);
}

static void on_out(void *ctx, const struct store_out *o)
{
    struct rig *r = ctx;
    r->rows++;
    r->last_seq = o->seq;
    r->expires_ms = o->expires_wall_ms;
}

static void on_outs(void *ctx, int status, uint64_t n, bool more)
{
    struct rig *r = ctx;
    (void)n;
    (void)more;
    assert_int_equal(status, 0);
    loop_stop(r->loop);
}

static uint64_t outbox_rows(struct rig *r)
{
    r->rows = 0;
    store_outbox(r->store, 0, false, 1 << 20, on_out, on_outs, r);
    run_until(r, 5000);
    return r->rows;
}

/* -- cases -------------------------------------------------------------------------------------- */

/* With a sync_interval of a minute: nothing of this waits for it. */
static void at_once(void **state)
{
    struct rig *r = *state;
    struct pipeline_stats s;
    uint64_t worst = 0, sum = 0;
    begin_alerts(r);
    start(r);
    run_until(r, 50);
    for (int i = 0; i < 20; i++) {
        r->wanted_replies = r->replies + 1;
        r->asked_ns = loop_hrtime_ns();
        append(r, RECORD_COMMAND, "k1", "there");
        run_until(r, 10000);
        assert_false(r->too_late);
        uint64_t took = r->answered_ns - r->asked_ns;
        sum += took;
        worst = took > worst ? took : worst;
    }
    print_message("from the record to the commit: %.1f ms, at worst %.1f ms\n",
                  (double)sum / 20e6, (double)worst / 1e6);
    assert_int_equal(outbox_rows(r), 20);
    assert_int_equal(r->last_seq, 20);
    pipeline_stats(r->pipeline, &s);
    assert_int_equal(s.transitions, 20);
    assert_int_equal(s.replies, 20);
    assert_true(s.alarm_ns_max > 0);
    assert_false(s.rolled_back);
    end(r);
}

/* A burst shares syncs and commits. */
static void in_groups(void **state)
{
    struct rig *r = *state;
    struct journal_stats j;
    struct store_stats s;
    begin_alerts(r);
    start(r);
    run_until(r, 50);
    journal_stats(r->journal, &j);
    uint64_t before = j.syncs;
    r->wanted_replies = 3000;
    for (int i = 0; i < 3000; i++)
        append(r, RECORD_COMMAND, "k1", "there");
    run_until(r, 20000);
    assert_false(r->too_late);
    journal_stats(r->journal, &j);
    store_stats(r->store, &s);
    print_message("3000 records: %d syncs, %d commits\n", (int)(j.syncs - before),
                  (int)s.commits);
    assert_true(j.syncs - before < 300);
    assert_true(s.commits < 300);
    end(r);
}

/* Killed before or after the commit: told once, and what the store has open comes back. */
static void comes_back(void **state)
{
    struct rig *r = *state;
    begin_alerts(r);
    start(r);
    r->wanted_replies = 2;
    append(r, RECORD_COMMAND, "k1", "one");
    append(r, RECORD_COMMAND, "k2", "two");
    run_until(r, 10000);
    assert_int_equal(r->replies, 2);
    append(r, RECORD_COMMAND, "k1", "three"); /* journalled, never passed */
    end(r);

    begin_alerts(r);
    assert_true(r->opened.cursor.offset > 0);
    adopted.differs = "k9";
    r->wanted_replies = 3;
    start(r);
    run_until(r, 10000);
    assert_int_equal(r->replies, 3);
    assert_int_equal(adopted.calls, 1);
    assert_int_equal(position_cmp(&adopted.at, &r->opened.cursor), 0);
    assert_int_equal(adopted.n, 2);
    assert_string_equal(adopted.blobs[0], "k1 is one");
    assert_string_equal(adopted.blobs[1], "k2 is two");
    assert_int_equal(outbox_rows(r), 3);
    assert_int_equal(r->last_seq, 3);
    struct pipeline_stats s;
    pipeline_stats(r->pipeline, &s);
    assert_int_equal(s.adopt_differs, 1);
    assert_int_equal(s.transitions, 1);
    end(r);
}

static void by_a_firm(struct rig *r)
{
    begin_alerts(r);
    start(r);
    run_until(r, 50);
    append(r, RECORD_COMMAND, "k1", "firm");
    r->wanted_replies = r->replies + 1;
    append(r, RECORD_COMMAND, "k2", "there"); /* behind it */
    run_until(r, 10000);
    assert_false(r->too_late);
    assert_int_equal(outbox_rows(r), 3);
}

static int64_t expiry_of(struct rig *r, uint64_t after_id)
{
    r->expires_ms = 0;
    store_outbox(r->store, after_id, false, 1, on_out, on_outs, r);
    run_until(r, 5000);
    return r->expires_ms;
}

/* Our clock is hours ahead, or back, and nobody believes it: a reply is told for ten minutes by that same
 * clock. One that a replay makes again has no more time than it had. */
static void replies_expire_by_our_clock(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 2; i++) {
        int64_t from = clock_wall_ns() / 1000000, at;
        doubted_ms = i == 0 ? 7200000 : -7200000;
        by_a_firm(r);
        at = expiry_of(r, 1);
        assert_in_range(at, from + 600000, clock_wall_ns() / 1000000 + 600000);
        end(r);
        assert_int_equal(unlink(r->store_path), 0); /* it has to be made again */
        begin_alerts(r);
        start(r);
        run_until(r, 500);
        assert_int_equal(expiry_of(r, 1), at);
        end(r);
        scratch_remove(r->journal_dir);
        assert_int_equal(file_make_dir(r->journal_dir), 0);
        assert_int_equal(unlink(r->store_path), 0);
    }
    doubted_ms = 0;
}

static void stopped(void *ctx)
{
    loop_stop(((struct rig *)ctx)->loop);
}

/* The journal is passed again from before the place where an older store's word was taken, until there is a
 * snapshot behind it. */
static void rolled_back(void **state)
{
    struct rig *r = *state;
    struct pipeline_stats s;
    begin_alerts(r);
    start(r);
    append(r, RECORD_STREAM, "", "g/all/4");
    r->wanted_replies = 1;
    append(r, RECORD_COMMAND, "k1", "one");
    run_until(r, 10000);
    assert_int_equal(r->replies, 1);
    assert_int_equal(store_epoch(r->store), 4);
    append(r, RECORD_STREAM, "", "g/all/5"); /* what an older store does not know */
    end(r);

    struct position beyond = {1u << 19, 1, 1};
    assert_int_equal(snapshot_write(r->snapshots, &beyond, "not one of ours", 15), 0);
    begin_alerts(r);
    pipeline_stats(r->pipeline, &s);
    assert_true(s.rolled_back);
    start(r);
    r->wanted_replies = 2;
    append(r, RECORD_COMMAND, "k2", "two");
    run_until(r, 10000);
    assert_int_equal(r->replies, 2);
    assert_int_equal(store_epoch(r->store), 0); /* 5 is of the stream that is over */
    assert_int_equal(store_epoch_last(r->store), 4);
    append(r, RECORD_STREAM, "", "g/all/6");
    r->wanted_replies = 3;
    append(r, RECORD_COMMAND, "k3", "three");
    run_until(r, 10000);
    assert_int_equal(store_epoch(r->store), 6);
    end(r);

    scratch_remove(r->snapshots);
    assert_int_equal(file_make_dir(r->snapshots), 0);
    begin_alerts(r);
    assert_true(r->opened.epoch_from > 0);
    assert_int_equal(store_epoch(r->store), 6);
    pipeline_stats(r->pipeline, &s);
    assert_true(s.rolled_back);
    start(r);
    run_until(r, 100);
    assert_int_equal(store_epoch(r->store), 0);
    append(r, RECORD_STREAM, "", "g/all/7");
    r->wanted_replies = 4;
    append(r, RECORD_COMMAND, "k4", "four");
    run_until(r, 10000);
    assert_int_equal(r->replies, 4);
    assert_int_equal(store_epoch(r->store), 7);
    pipeline_stop(r->pipeline, stopped, r); /* with a snapshot */
    run_until(r, 10000);
    assert_false(r->too_late);
    end(r);

    begin_alerts(r);
    assert_true(r->opened.epoch_from > 0);
    assert_int_equal(store_epoch(r->store), 7);
    pipeline_stats(r->pipeline, &s);
    assert_false(s.rolled_back);
    start(r);
    run_until(r, 100);
    assert_int_equal(store_epoch(r->store), 7);
    end(r);

    assert_int_equal(unlink(r->store_path), 0); /* and one that is lost altogether */
    begin_alerts(r);
    pipeline_stats(r->pipeline, &s);
    assert_true(s.rolled_back);
    start(r);
    run_until(r, 300);
    assert_int_equal(store_epoch(r->store), 0);
    assert_int_equal(adopted.calls, 0);
    end(r);
}

/* It is asked again each second and not as often as timers may fire, and they fire when it has room. */
static void no_room_for_the_time(void **state)
{
    struct rig *r = *state;
    begin_alerts(r);
    start(r);
    run_until(r, 50);
    timer = (struct timer_rig){.due = true, .full = true};
    run_until(r, 1500);
    assert_in_range(timer.refused, 1, 3);
    timer.full = false;
    for (int i = 0; i < 60 && timer.taken == 0; i++)
        run_until(r, 500);
    run_until(r, 1500);
    assert_int_equal(timer.taken, 1);
    end(r);
}

/* Its snapshot waits for a sync of the journal, and meanwhile timers are due: their records would come
 * behind the mark of the stop, and each would want a snapshot of its own. */
static void stops_while_timers_are_due(void **state)
{
    struct rig *r = *state;
    struct pipeline_stats s;
    r->conf.sync_interval_ns = 300000000;
    begin_alerts(r);
    start(r);
    run_until(r, 50);
    uint64_t end_at = append(r, RECORD_STOP, "", "");
    timer = (struct timer_rig){.due = true, .again = true};
    pipeline_stop(r->pipeline, stopped, r);
    run_until(r, 10000);
    assert_false(r->too_late);
    assert_int_equal(timer.taken, 0);
    assert_int_equal(journal_end(r->journal), end_at);
    pipeline_stats(r->pipeline, &s);
    assert_int_equal(s.snapshots, 1);
    timer = (struct timer_rig){0};
    end(r);
}

static void closed_early(void **state)
{
    struct rig *r = *state;
    begin_alerts(r);
    start(r);
    r->wanted_replies = 1;
    append(r, RECORD_COMMAND, "k1", "one");
    run_until(r, 10000);
    end(r);
    begin_alerts(r);
    start(r);
    append(r, RECORD_COMMAND, "k1", "two");
    end(r); /* the store has not answered yet */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(at_once),
                                       TEST(in_groups),
                                       TEST(comes_back),
                                       TEST(replies_expire_by_our_clock),
                                       TEST(rolled_back),
                                       TEST(no_room_for_the_time),
                                       TEST(stops_while_timers_are_due),
                                       TEST(closed_early)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
