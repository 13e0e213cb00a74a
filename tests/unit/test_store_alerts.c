/* SPDX-License-Identifier: Apache-2.0 */
/* store: transitions, what is told of them, and what a crash, a migration and years leave. */
/* tsan: yes */
#include "unit.h"

#include "core/cases.h"
#include "io/store_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WALL INT64_C(1795219200000)

struct told { /* a row of the outbox, copied */
    uint64_t id, seq;
    uint64_t offset;
    unsigned tell;
    bool urgent;
    char firm[32], compound[32], case_id[64], was_firm[32], was_compound[32], topic[64];
    char correlation[16], payload[512];
    int64_t expires;
};
struct kept {
    char case_id[64], firm[32], compound[32], payload[512], blob[64];
    uint64_t seq;
    bool told;
};
#define BENCH_OWN                                                                              \
    unsigned outbox_calls;                                                                     \
    bool no_outbox;                                                                            \
    struct told rows[64];                                                                      \
    size_t n_rows;                                                                             \
    bool more;                                                                                 \
    struct kept cases[64];                                                                     \
    size_t n_cases;                                                                            \
    uint64_t n_done;                                                                           \
    char *json;
#include "store_rig.h"

#include <time.h>

static int teardown(void **state)
{
    struct bench *b = *state;
    store_close(b->store); /* what it still answers, it answers now */
    b->store = NULL;
    free(b->json);
    return bench_end(b);
}

static void on_outbox(void *ctx)
{
    struct bench *b = ctx;
    b->outbox_calls++;
}

static void open_store(struct bench *b)
{
    struct err err = {""};
    struct store_options o = {b->path, 64u << 20, 1000, 400u * 86400u, b->no_outbox};
    int code = store_open(b->loop, &o, &err, &b->opened, &b->store);
    if (code)
        fail_msg("%s", err.text);
    store_on_outbox(b->store, on_outbox, b);
}

static void commit(struct bench *b, struct store_batch *batch)
{
    b->status = 0;
    commit_later(b, batch);
    wait_all(b);
    assert_int_equal(b->status, 0);
}

/* A state of which the number stands in the middle; `what` tells it from others. */
struct made {
    struct transition t;
    char json[256], blob[64];
};

static const struct transition *make(struct made *m, const char *case_id, const char *what)
{
    *m = (struct made){.t = {.change = CASE_ACTIVATED,
                             .stream = "gw/all/1",
                             .case_id = case_id,
                             .firm = "wy1",
                             .compound = "cq-1",
                             .rule = "sump-high",
                             .device = "sump-1",
                             .point = "",
                             .occurrence = 1,
                             .version = 1,
                             .severity = SEVERITY_MAJOR,
                             .deliver = true,
                             .wall_ms = WALL}};
    int at = snprintf(m->json, sizeof(m->json), "{\"v\":1,\"case\":\"%s\",\"seq\":", case_id);
    int n = snprintf(m->json + at, sizeof(m->json) - (size_t)at, ",\"what\":\"%s\"}", what);
    snprintf(m->blob, sizeof(m->blob), "blob of %s", what);
    m->t.json = m->json;
    m->t.json_len = (size_t)(at + n);
    m->t.seq_at = (size_t)at;
    m->t.blob = m->blob;
    m->t.blob_len = strlen(m->blob);
    return &m->t;
}

static void put_at(struct bench *b, uint64_t offset, const struct transition *t)
{
    struct store_batch *batch = store_batch_new();
    struct position at = {offset, 7, 1};
    store_batch_transition(batch, &at, t);
    store_batch_cursor(batch, &at);
    commit(b, batch);
}

static void copy(char *to, size_t size, const char *s)
{
    snprintf(to, size, "%s", s ? s : "");
}

static void on_out(void *ctx, const struct store_out *o)
{
    struct bench *b = ctx;
    assert_true(b->n_rows < 64);
    struct told *r = &b->rows[b->n_rows++];
    *r = (struct told){.id = o->id,
                       .seq = o->seq,
                       .offset = o->offset,
                       .tell = o->tell,
                       .urgent = o->urgent,
                       .expires = o->expires_wall_ms};
    copy(r->firm, sizeof(r->firm), o->firm);
    copy(r->compound, sizeof(r->compound), o->compound);
    copy(r->case_id, sizeof(r->case_id), o->case_id);
    copy(r->was_firm, sizeof(r->was_firm), o->was_firm);
    copy(r->was_compound, sizeof(r->was_compound), o->was_compound);
    copy(r->topic, sizeof(r->topic), o->topic);
    copy(r->correlation, sizeof(r->correlation), o->correlation);
    copy(r->payload, sizeof(r->payload), o->payload);
    assert_int_equal(strlen(r->payload), o->len);
}

static void on_outs(void *ctx, int status, uint64_t n, bool more)
{
    struct bench *b = ctx;
    assert_int_equal(status, 0);
    b->n_done = n;
    b->more = more;
    ended(b);
}

static size_t outbox(struct bench *b, uint64_t after, bool urgent)
{
    b->n_rows = 0;
    b->pending++;
    store_outbox(b->store, after, urgent, 1u << 20, on_out, on_outs, b);
    wait_all(b);
    assert_int_equal(b->n_rows, b->n_done);
    return b->n_rows;
}

static void on_case(void *ctx, const struct store_case *c)
{
    struct bench *b = ctx;
    assert_true(b->n_cases < 64);
    struct kept *k = &b->cases[b->n_cases++];
    *k = (struct kept){.seq = c->seq, .told = c->payload != NULL};
    copy(k->case_id, sizeof(k->case_id), c->case_id);
    copy(k->firm, sizeof(k->firm), c->firm);
    copy(k->compound, sizeof(k->compound), c->compound);
    copy(k->payload, sizeof(k->payload), c->payload);
    copy(k->blob, sizeof(k->blob), c->blob);
}

static size_t open_cases(struct bench *b, const char *firm)
{
    b->n_cases = 0;
    b->pending++;
    store_open_cases(b->store, firm, on_case, on_outs, b);
    wait_all(b);
    return b->n_cases;
}

static void on_json(void *ctx, int status, const char *json, size_t len)
{
    struct bench *b = ctx;
    b->status = status;
    free(b->json);
    b->json = mem_strndup(json, len);
    ended(b);
}

static const char *ask(struct bench *b, enum store_alert_query q, struct store_alert_filter f)
{
    b->pending++;
    store_ask_alerts(b->store, q, &f, on_json, b);
    wait_all(b);
    return b->json;
}

static bool says(const char *json, const char *part)
{
    bool there = strstr(json, part) != NULL;
    if (!there)
        print_message("not there: %s\nin: %s\n", part, json);
    return there;
}

static unsigned count(const char *json, const char *part)
{
    unsigned n = 0;
    for (const char *p = json; (p = strstr(p, part)); p++)
        n++;
    return n;
}

static struct store_stats stats(struct bench *b)
{
    struct store_stats s;
    store_stats(b->store, &s);
    return s;
}

/* -- what a transition leaves ---------------------------------------------------------------- */

static void tells_a_life(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    put_at(b, 100, make(&m, "c1", "one"));
    (void)make(&m, "c1", "masked");
    m.t.deliver = false;
    m.t.json = "{\"what\":\"masked\"}"; /* whole: it gets no number */
    m.t.json_len = strlen(m.t.json);
    m.t.seq_at = 0;
    put_at(b, 200, &m.t);
    make(&m, "c1", "two");
    m.t.change = CASE_ACKNOWLEDGED;
    m.t.urgent = true;
    put_at(b, 300, &m.t);
    assert_int_equal(b->outbox_calls, 2);
    assert_int_equal(open_cases(b, NULL), 1);
    assert_int_equal(b->cases[0].seq, 2);
    assert_string_equal(b->cases[0].payload,
                        "{\"v\":1,\"case\":\"c1\",\"seq\":2,\"what\":\"two\"}");
    assert_string_equal(b->cases[0].blob, "blob of two");
    make(&m, "c1", "end");
    m.t.change = CASE_CLOSED;
    m.t.closed = true;
    m.t.blob = NULL;
    m.t.blob_len = 0;
    put_at(b, 400, &m.t);
    assert_int_equal(outbox(b, 0, false), 3);
    assert_int_equal(b->rows[0].tell, TELL_STATE | TELL_EVENT);
    assert_string_equal(b->rows[0].payload,
                        "{\"v\":1,\"case\":\"c1\",\"seq\":1,\"what\":\"one\"}");
    assert_int_equal(b->rows[1].tell, TELL_URGENT | TELL_STATE | TELL_EVENT);
    assert_int_equal(b->rows[2].tell, TELL_EVENT | TELL_CLOSE);
    assert_int_equal(b->rows[2].seq, 3);
    assert_int_equal(outbox(b, 0, true), 1);
    assert_int_equal(b->rows[0].seq, 2);
    assert_int_equal(outbox(b, b->rows[0].id, false), 1);
    assert_int_equal(open_cases(b, NULL), 0);
    assert_true(says(ask(b, STORE_ALERT_HISTORY, (struct store_alert_filter){0}),
                     "\"state\":{\"what\":\"masked\"}"));
    struct store_stats s = stats(b);
    assert_int_equal(s.transitions, 4);
    assert_int_equal(s.outbox_rows, 3);
    assert_int_equal(s.open_cases, 0);
}

/* Only rows with a message on `urgent/` are counted as urgent: not life-safety that ends in the dark, nor a
 * record of it. */
static void urgent_rows(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    make(&m, "c1", "there");
    m.t.urgent = true;
    put_at(b, 100, &m.t);
    m.t.record = true;
    put_at(b, 200, &m.t);
    make(&m, "c1", "end in the dark");
    m.t.urgent = m.t.closed = true;
    m.t.deliver = false;
    put_at(b, 300, &m.t);
    assert_int_equal(outbox(b, 0, false), 3);
    assert_int_equal(b->rows[1].tell, TELL_EVENT);
    assert_int_equal(b->rows[2].tell, TELL_CLOSE);
    assert_int_equal(stats(b).outbox_urgent, 1);
    uint64_t ids[] = {b->rows[0].id, b->rows[1].id};
    assert_int_equal(outbox(b, 0, true), 1);
    store_outbox_done(b->store, ids, 2);
    reopen(b);
    assert_int_equal(outbox(b, 0, false), 1);
    assert_int_equal(stats(b).outbox_urgent, 0);
    assert_int_equal(stats(b).urgent_delivered, 0); /* by this process */
    make(&m, "c2", "there");
    m.t.urgent = true;
    put_at(b, 400, &m.t);
    assert_int_equal(outbox(b, 0, true), 1);
    store_outbox_done(b->store, &b->rows[0].id, 1);
    put_at(b, 500, make(&m, "c3", "any"));
    assert_int_equal(stats(b).outbox_urgent, 0);
    assert_int_equal(stats(b).urgent_delivered, 1);
}

/* Its further point became the device's own. */
static void a_point_changes(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    make(&m, "c1", "there");
    m.t.point = "b";
    put_at(b, 100, &m.t);
    assert_true(
        says(ask(b, STORE_ALERT_LIST, (struct store_alert_filter){0}), "\"point\":\"b\""));
    make(&m, "c1", "here");
    m.t.change = CASE_MOVED;
    put_at(b, 200, &m.t);
    assert_true(
        says(ask(b, STORE_ALERT_LIST, (struct store_alert_filter){0}), "\"point\":\"\""));
    const char *all = ask(b, STORE_ALERT_HISTORY, (struct store_alert_filter){0});
    assert_true(says(all, "\"point\":\"b\"") && says(all, "\"point\":\"\""));
}

static void records_and_moves(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    make(&m, "late", "episode");
    m.t.record = true;
    m.t.blob = NULL;
    m.t.blob_len = 0;
    put_at(b, 100, &m.t);
    assert_int_equal(open_cases(b, NULL), 0);
    put_at(b, 200, make(&m, "c2", "here"));
    make(&m, "c2", "moved in the dark"); /* masked: its retained state stays where it was */
    m.t.deliver = false;
    m.t.firm = "wy2";
    put_at(b, 300, &m.t);
    assert_int_equal(open_cases(b, "wy1"), 1);
    assert_int_equal(open_cases(b, "wy2"), 0);
    assert_string_equal(b->cases[0].blob, "blob of moved in the dark");
    assert_true(says(b->cases[0].payload, "\"what\":\"here\""));
    make(&m, "c2", "there");
    m.t.firm = "wy2";
    put_at(b, 400, &m.t);
    assert_int_equal(open_cases(b, "wy2"), 1);
    make(&m, "c2", "end in the dark");
    m.t.firm = "wy2";
    m.t.closed = true;
    m.t.deliver = false;
    put_at(b, 500, &m.t);
    make(&m, "c3", "never told");
    m.t.deliver = false;
    put_at(b, 600, &m.t);
    assert_int_equal(open_cases(b, NULL), 1);
    assert_false(b->cases[0].told);
    assert_int_equal(b->cases[0].seq, 0);
    m.t.closed = true;
    put_at(b, 700, &m.t);
    assert_int_equal(outbox(b, 0, false), 4);
    assert_int_equal(b->rows[0].tell, TELL_EVENT);
    assert_int_equal(b->rows[0].seq, 1);
    assert_int_equal(b->rows[0].offset, 100);
    assert_int_equal(b->rows[2].tell, TELL_STATE | TELL_EVENT | TELL_LEAVE);
    assert_string_equal(b->rows[2].was_firm, "wy1");
    assert_string_equal(b->rows[2].was_compound, "cq-1");
    assert_int_equal(b->rows[2].seq, 1); /* the other firm's own counter */
    assert_int_equal(b->rows[3].tell, TELL_CLOSE);
    assert_int_equal(b->rows[3].seq, 0);
    assert_int_equal(b->rows[3].offset, 500);
    assert_string_equal(b->rows[3].firm, "wy2");
}

/* A batch that comes again, and one of which a part is there. */
static void not_twice(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    for (int again = 0; again < 2; again++) {
        struct store_batch *batch = store_batch_new();
        struct position at = {100, 7, 1}, next = {100, 9, 1};
        store_batch_transition(batch, &at, make(&m, "c1", "a"));
        store_batch_transition(batch, &at, make(&m, "c2", "b"));
        store_batch_transition(batch, &next, make(&m, "c1", "c"));
        if (again)
            store_batch_transition(batch, &next, make(&m, "c2", "d"));
        commit(b, batch);
    }
    assert_int_equal(outbox(b, 0, false), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(b->rows[i].seq, i + 1);
    assert_int_equal(stats(b).repeated, 3);
    assert_true(says(ask(b, STORE_ALERT_HISTORY, (struct store_alert_filter){.id = "c2"}),
                     "\"what\":\"d\""));
}

static void nobody_tells(void **state)
{
    struct bench *b = *state;
    struct made m;
    b->no_outbox = true;
    open_store(b);
    put_at(b, 100, make(&m, "c1", "a"));
    assert_int_equal(outbox(b, 0, false), 0);
    assert_int_equal(open_cases(b, NULL), 1);
    assert_int_equal(b->cases[0].seq, 1);
    b->no_outbox = false;
    reopen(b);
    put_at(b, 200, make(&m, "c1", "b"));
    assert_int_equal(outbox(b, 0, false), 1);
    assert_int_equal(b->rows[0].seq, 2);
}

static void marks(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    for (uint64_t i = 1; i <= 3; i++)
        put_at(b, i * 100, make(&m, "c1", "a"));
    outbox(b, 0, false);
    uint64_t ids[] = {b->rows[1].id, b->rows[0].id, 999};
    store_outbox_done(b->store, ids, 1);
    assert_int_equal(outbox(b, 0, false), 3); /* not yet */
    put_at(b, 400, make(&m, "c1", "b"));      /* takes the mark with it */
    assert_int_equal(outbox(b, 0, false), 3);
    store_outbox_done(b->store, ids + 1, 2);
    reopen(b); /* and so does the end */
    assert_int_equal(outbox(b, 0, false), 2);
    assert_true(says(b->rows[0].payload, "\"seq\":3"));
    const char *json = ask(b, STORE_ALERT_SHOW, (struct store_alert_filter){.id = "c1"});
    assert_int_equal(count(json, "\"told\":null"), 2);
    assert_true(says(json, "\"waiting\":true"));
    uint64_t last[] = {b->rows[0].id, b->rows[1].id};
    store_outbox_done(b->store, last, 2);
    struct store_stats s;
    for (int i = 0; i < 10000; i++) { /* and time alone */
        outbox(b, 0, false);
        s = stats(b);
        if (s.outbox_rows == 0)
            break;
        usleep(2000);
    }
    assert_int_equal(s.outbox_rows, 0);
    assert_int_equal(s.delivered, 2);
}

/* The end of a backlog is marked without waiting for more. */
static void many_marks(void **state)
{
    struct bench *b = *state;
    struct made m;
    enum { MANY = 300, ROUNDS = 5 };
    uint64_t last = 0, quickest = UINT64_MAX;
    open_store(b);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t ids[MANY];
        struct store_batch *batch = store_batch_new();
        for (int i = 0; i < MANY; i++) {
            struct position at = {++last, 7, 1};
            ids[i] = last;
            store_batch_transition(batch, &at, make(&m, "c1", "a"));
        }
        commit(b, batch);
        assert_int_equal(stats(b).outbox_rows, MANY);
        uint64_t begin = loop_hrtime_ns();
        store_outbox_done(b->store, ids, MANY);
        while (stats(b).outbox_rows > 0)
            assert_int_equal(outbox(b, last, false), 0); /* the loop turns */
        uint64_t took = loop_hrtime_ns() - begin;
        quickest = took < quickest ? took : quickest;
    }
    assert_true(quickest < 100000000);
}

static void replies(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    put_at(b, 100, make(&m, "c1", "a"));
    struct case_command c = {.firm = "wy1",
                             .compound = "cq-1",
                             .case_id = "c1",
                             .verb = VERB_ACK,
                             .payload = "{\"by\":\"李工\"}",
                             .payload_len = strlen("{\"by\":\"李工\"}"),
                             .correlation = "abc",
                             .correlation_len = 3,
                             .wall_ms = WALL};
    struct case_reply r = {&c, ANSWER_DONE, "{\"result\":\"done\"}", 17, false};
    for (int again = 0; again < 2; again++) {
        struct store_batch *batch = store_batch_new();
        struct position at = {200, 7, 1};
        make(&m, "c1", "acked");
        m.t.change = CASE_ACKNOWLEDGED;
        store_batch_transition(batch, &at, &m.t);
        store_batch_reply(batch, &at, &r, WALL + 60000);
        commit(b, batch);
    }
    c.origin = 5; /* an operator: remembered, not told */
    c.firm = NULL;
    c.reply_to = "reply/wy1/mine";
    struct store_batch *batch = store_batch_new();
    struct position at = {300, 7, 1};
    store_batch_reply(batch, &at, &r, 0);
    c.origin = 0;
    c.firm = "wy1";
    store_batch_reply(batch, &at, &r, 0);
    commit(b, batch);
    assert_int_equal(outbox(b, 0, false), 4);
    assert_int_equal(b->rows[2].tell, TELL_REPLY);
    assert_string_equal(b->rows[2].topic, "reply/wy1/cq-1");
    assert_string_equal(b->rows[2].correlation, "abc");
    assert_string_equal(b->rows[2].payload, "{\"result\":\"done\"}");
    assert_int_equal(b->rows[2].expires, WALL + 60000);
    assert_string_equal(b->rows[3].topic, "reply/wy1/mine");
    const char *json = ask(b, STORE_ALERT_SHOW, (struct store_alert_filter){.id = "c1"});
    assert_int_equal(count(json, "\"verb\":\"ack\""), 3);
    assert_true(says(json, "李工"));
    assert_true(says(json, "\"by_operator\":true"));
    assert_true(says(json, "\"acknowledged\":\"2026-11-21T"));
}

/* What is left of a former epoch goes with the answer; for an operator, who has it elsewhere, alone. */
static void replies_that_empty(void **state)
{
    struct bench *b = *state;
    struct case_command c = {.firm = "wy1",
                             .compound = "cq-1",
                             .case_id = "old",
                             .verb = VERB_CLOSE,
                             .former_firm = "wy1",
                             .former_compound = "cq-1",
                             .wall_ms = WALL};
    struct case_reply r = {&c, ANSWER_DONE, "{}", 2, true};
    open_store(b);
    for (unsigned i = 0; i < 2; i++) {
        struct store_batch *batch = store_batch_new();
        struct position at = {200 + i, 7, 1};
        store_batch_reply(batch, &at, &r, WALL + 60000);
        commit(b, batch);
        c.origin = 5;
        c.firm = NULL;
    }
    assert_int_equal(outbox(b, 0, false), 2);
    assert_int_equal(b->rows[0].tell, TELL_REPLY | TELL_LEAVE);
    assert_int_equal(b->rows[1].tell, TELL_LEAVE);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(b->rows[i].was_firm, "wy1");
        assert_string_equal(b->rows[i].was_compound, "cq-1");
        assert_string_equal(b->rows[i].case_id, "old");
    }
}

static void epochs(void **state)
{
    struct bench *b = *state;
    open_store(b);
    assert_int_equal(store_epoch(b->store), 0);
    struct store_batch *batch = store_batch_new();
    store_batch_epoch(batch, 3);
    commit(b, batch);
    assert_int_equal(store_epoch(b->store), 3);
    reopen(b);
    assert_int_equal(store_epoch(b->store), 3);
    assert_int_equal(b->opened.epoch_from, 0);
    batch = store_batch_new();
    store_batch_no_epoch(batch, 5000);
    commit(b, batch);
    assert_int_equal(store_epoch(b->store), 0);
    reopen(b);
    assert_int_equal(store_epoch(b->store), 0);
    assert_int_equal(store_epoch_last(b->store), 3);
    assert_int_equal(b->opened.epoch_from, 5000);
}

/* A state as core/cases_text.c writes it, with a note that looks like its own head. */
static const struct transition *make_whole(struct made *m, const char *case_id,
                                           const char *note)
{
    make(m, case_id, note);
    int at = snprintf(
        m->json, sizeof(m->json),
        "{\"v\":1,\"stream\":\"gw/all/1\",\"case\":\"%s\",\"count\":1,\"seq\":", case_id);
    int n = snprintf(m->json + at, sizeof(m->json) - (size_t)at,
                     ",\"note\":\"%s \\\"stream\\\":\\\"gw/all/1\\\",\\\"seq\\\":2\"}", note);
    m->t.json_len = (size_t)(at + n);
    m->t.seq_at = (size_t)at;
    return &m->t;
}

static void new_epoch(struct bench *b, uint64_t epoch)
{
    struct store_batch *batch = store_batch_new();
    store_batch_epoch(batch, epoch);
    commit(b, batch);
}

/* What waits when the epoch becomes another one may have numbers that were told as something else:
 * it gets new ones, in its order. What was told keeps its own. */
static void another_epoch(void **state)
{
    struct bench *b = *state;
    struct made m;
    open_store(b);
    new_epoch(b, 1);
    put_at(b, 100, make_whole(&m, "c-1", "one"));
    outbox(b, 0, false);
    store_outbox_done(b->store, &b->rows[0].id, 1);
    put_at(b, 200, make_whole(&m, "c-2", "two"));
    put_at(b, 300, make_whole(&m, "c-2", "three"));
    make_whole(&m, "c-3", "four");
    m.t.firm = "wy2";
    put_at(b, 400, &m.t);
    m.t.deliver = false;
    m.t.seq_at = 0;
    put_at(b, 500, &m.t);
    new_epoch(b, 1); /* as with each start: nothing changes */
    assert_int_equal(outbox(b, 0, false), 3);
    assert_int_equal(b->rows[0].seq, 2);
    struct store_batch *batch = store_batch_new(); /* restored: none, and then a new one */
    store_batch_no_epoch(batch, 600);
    commit(b, batch);
    assert_int_equal(b->rows[1].seq, 3);
    new_epoch(b, 9);
    assert_int_equal(outbox(b, 0, false), 3);
    assert_int_equal(b->rows[0].seq, 1);
    assert_int_equal(b->rows[1].seq, 2);
    assert_int_equal(b->rows[2].seq, 1); /* of another firm */
    assert_string_equal(
        b->rows[0].payload,
        "{\"v\":1,\"stream\":\"gw/all/9\",\"case\":\"c-2\",\"count\":1,\"seq\":1,"
        "\"note\":\"two \\\"stream\\\":\\\"gw/all/1\\\",\\\"seq\\\":2\"}");
    assert_non_null(strstr(b->rows[2].payload, "\"stream\":\"gw/all/9\""));
    assert_int_equal(open_cases(b, NULL), 3);
    assert_int_equal(b->cases[0].seq, 1);
    assert_non_null(strstr(b->cases[0].payload, "\"stream\":\"gw/all/1\",\"case\":\"c-1\""));
    assert_int_equal(b->cases[1].seq, 2);
    assert_string_equal(b->cases[1].payload, b->rows[1].payload);
    assert_int_equal(b->cases[2].seq, 1);
    assert_string_equal(b->cases[2].payload, b->rows[2].payload);
    make_whole(&m, "c-2", "five");
    m.t.stream = "gw/all/9";
    put_at(b, 700, &m.t);
    reopen(b);
    assert_int_equal(outbox(b, 0, false), 4);
    assert_int_equal(b->rows[3].seq, 3); /* and so on, without a gap */
}

/* -- questions ---------------------------------------------------------------------------------- */

/* The same code on every level: each filter looks at its own. */
static void places_of_cases(void **state)
{
    struct bench *b = *state;
    struct made m;
    const char *json;
    open_store(b);
    static const char *const places[STORE_PLACES] = STORE_PLACE_NAMES;
    for (int i = 0; i < STORE_PLACES; i++) { /* the same code on every level */
        char id[16], words[80];
        (void)snprintf(id, sizeof(id), "p%d", i);
        (void)snprintf(words, sizeof(words), "x\",\"place\":{\"%s\":\"g-7\"},\"y\":\"",
                       places[i]);
        make(&m, id, words);
        put_at(b, 1010 + (uint64_t)i, &m.t);
    }
    for (int i = 0; i < STORE_PLACES; i++) {
        char want[24];
        struct store_alert_filter f = {0};
        f.place[i] = "g-7";
        (void)snprintf(want, sizeof(want), "\"case\":\"p%d\"", i);
        json = ask(b, STORE_ALERT_LIST, f);
        assert_int_equal(count(json, "\"opened\":"), 1);
        assert_true(says(json, want));
        json = ask(b, STORE_ALERT_HISTORY, f);
        assert_int_equal(count(json, "\"waiting\":"), 1);
    }
}

static void questions(void **state)
{
    struct bench *b = *state;
    struct made m;
    char id[16];
    open_store(b);
    for (uint64_t i = 0; i < 30; i++) {
        snprintf(id, sizeof(id), "k%02d", (int)i);
        make(&m, id, "x");
        m.t.compound = i % 3 ? "cq-1" : "cq-2";
        m.t.severity = i % 2 ? SEVERITY_CRITICAL : SEVERITY_INFO;
        m.t.device = i == 7 ? "sump-7" : "sump-1";
        m.t.wall_ms = WALL + (int64_t)i * 1000;
        put_at(b, 100 + i * 10, &m.t);
        if (i < 10) {
            m.t.closed = true;
            put_at(b, 105 + i * 10, &m.t);
        }
    }
    const char *json = ask(b, STORE_ALERT_LIST, (struct store_alert_filter){.state = "open"});
    assert_int_equal(count(json, "\"open\":true"), 20);
    assert_int_equal(count(json, "\"open\":false"), 0);
    json = ask(b, STORE_ALERT_LIST,
               (struct store_alert_filter){.compound = "cq-2", .severity = "critical"});
    assert_int_equal(count(json, "\"opened\":"), 5);
    json = ask(b, STORE_ALERT_LIST, (struct store_alert_filter){.device = "sump-7"});
    assert_int_equal(count(json, "\"opened\":"), 1);
    json = ask(b, STORE_ALERT_LIST, (struct store_alert_filter){.limit = 12});
    assert_int_equal(count(json, "\"opened\":"), 12);
    assert_true(says(json, "\"next\":19"));
    json = ask(b, STORE_ALERT_LIST, (struct store_alert_filter){.limit = 12, .before = 19});
    assert_true(says(json, "\"case\":\"k17\""));
    make(&m, "k30", "x\",\"place\":{\"building\":\"3\"},\"y\":\"");
    put_at(b, 1000, &m.t);
    make(&m, "k31", "x\",\"place\":{\"building\":\"13\"},\"y\":\"");
    put_at(b, 1001, &m.t);
    json = ask(b, STORE_ALERT_LIST, (struct store_alert_filter){.place[STORE_BUILDING] = "3"});
    assert_int_equal(count(json, "\"opened\":"), 1);
    assert_true(says(json, "\"case\":\"k30\""));
    json = ask(b, STORE_ALERT_HISTORY,
               (struct store_alert_filter){.place[STORE_BUILDING] = "13", .compound = "cq-1"});
    assert_int_equal(count(json, "\"waiting\":"), 1);
    assert_true(says(json, "\"case\":\"k31\""));
    json = ask(b, STORE_ALERT_LIST, (struct store_alert_filter){.state = "odd"});
    assert_int_equal(b->status, -EINVAL);
    json = ask(b, STORE_ALERT_HISTORY,
               (struct store_alert_filter){.from_ms = WALL + 5000, .to_ms = WALL + 8000});
    assert_int_equal(count(json, "\"change\":"), 6);
    json = ask(b, STORE_ALERT_SHOW, (struct store_alert_filter){.id = "k05"});
    assert_int_equal(count(json, "\"change\":\"activated\""),
                     3); /* the case's last, two rows */
    assert_true(says(json, "\"closed\":\"2026-11-21T00:00:05.000Z\""));
    ask(b, STORE_ALERT_SHOW, (struct store_alert_filter){.id = "nobody"});
    assert_int_equal(b->status, -ENOENT);
    assert_int_equal(stats(b).failed, 0);
}

/* -- crashes ------------------------------------------------------------------------------------ */

/* A process that commits and tells and dies in between; the next one goes on from the cursor, as a
 * replay would. Together: every transition once, numbers without gaps, the same bytes. */
enum { CRASH_TRANSITIONS = 120 };

static const struct transition *nth(struct made *m, char id[16], uint64_t i)
{
    char what[32];
    snprintf(id, 16, "c%d", (int)(i % 7));
    snprintf(what, sizeof(what), "no %d", (int)i);
    make(m, id, what);
    m->t.firm = i % 2 ? "wy1" : "wy2";
    m->t.case_id = id;
    m->t.deliver = i % 5 != 0;
    return &m->t;
}

static void ignore_commit(void *ctx, int status)
{
    struct bench *b = ctx;
    assert_int_equal(status, 0);
    ended(b);
}

static void live_and_die(struct bench *b, unsigned seed)
{
    struct made m;
    char id[16];
    open_store(b);
    for (uint64_t i = b->opened.cursor.offset + 1; i <= CRASH_TRANSITIONS;) {
        struct store_batch *batch = store_batch_new();
        struct position at = {0};
        for (unsigned n = (unsigned)rand_r(&seed) % 4 + 1; n > 0 && i <= CRASH_TRANSITIONS;
             n--, i++) {
            at = (struct position){i, 0, 0};
            store_batch_transition(batch, &at, nth(&m, id, i));
        }
        store_batch_cursor(batch, &at);
        b->pending++;
        store_commit(b->store, batch, ignore_commit, b);
        if (rand_r(&seed) % 3 == 0)
            wait_all(b);
        if (rand_r(&seed) % 6 == 0)
            break;
    }
    for (volatile unsigned spin = (unsigned)rand_r(&seed) % 300000; spin > 0; spin--)
        ;
    (void)kill(getpid(), SIGKILL);
}

static void crashes(void **state)
{
    struct bench *b = *state;
    unsigned seed = (unsigned)getpid(), lives = 0;
    print_message("seed %u\n", seed);
    for (uint64_t reached = 0; reached < CRASH_TRANSITIONS; lives++) {
        assert_true(lives < 500);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            b->loop = loop_new();
            live_and_die(b, seed + lives);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        open_store(b);
        reached = b->opened.cursor.offset;
        store_close(b->store);
        b->store = NULL;
    }
    open_store(b);
    struct made m;
    char id[16], number[16];
    uint64_t seq[2] = {0}, after = 0, i = 0;
    do {
        b->n_rows = 0;
        b->pending++;
        store_outbox(b->store, after, false, 500, on_out, on_outs, b);
        wait_all(b);
        for (size_t k = 0; k < b->n_rows; k++) {
            do
                nth(&m, id, ++i);
            while (!m.t.deliver);
            snprintf(number, sizeof(number), "%d", (int)++seq[i % 2]);
            char *want =
                mem_printf("%.*s%s%s", (int)m.t.seq_at, m.json, number, m.json + m.t.seq_at);
            assert_string_equal(b->rows[k].payload, want);
            after = b->rows[k].id;
            free(want);
        }
    } while (b->more);
    assert_int_equal(seq[0] + seq[1], CRASH_TRANSITIONS / 5 * 4);
    assert_int_equal(open_cases(b, NULL), 7);
    print_message("%u lives\n", lives);
}

/* -- versions, size, age ------------------------------------------------------------------------ */

static void migrates(void **state)
{
    struct bench *b = *state;
    struct made m;
    char *cmd = mem_printf("cp tests/data/store/version-1.db %s", b->path);
    assert_int_equal(system(cmd), 0);
    free(cmd);
    open_store(b);
    assert_false(b->opened.fresh);
    assert_int_equal(b->opened.cursor.offset, 300);
    assert_int_equal(b->opened.cursor.tick, 8);
    assert_int_equal(b->opened.cursor.ordinal, 1);
    struct store_stats s = stats(b);
    assert_int_equal(s.dead_rows, 2);
    assert_int_equal(s.quarantine_rows, 1);
    assert_int_equal(s.open_cases, 0);
    put_at(b, 400, make(&m, "c1", "a"));
    reopen(b);
    assert_int_equal(stats(b).dead_rows, 2);
    assert_int_equal(outbox(b, 0, false), 1);
}

static void many_at_once(void **state)
{
    struct bench *b = *state;
    struct made m;
    char id[16], compound[16];
    enum { MANY = 20000 };
    open_store(b);
    struct store_batch *batch = store_batch_new();
    struct position at = {1000, 7, 1};
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        snprintf(compound, sizeof(compound), "cq-%d", i % 100);
        make(&m, id,
             "a longer state, as it is in life: where, what, since when, by whom, with "
             "what value of which metric, and what to do about it");
        m.t.compound = compound;
        store_batch_transition(batch, &at, &m.t);
    }
    store_batch_cursor(batch, &at);
    clock_t begin = clock(); /* what else runs here does not count */
    commit(b, batch);
    double took = (double)(clock() - begin) / CLOCKS_PER_SEC;
    print_message("%d transitions in one batch: %.3f s, %.0f a second\n", MANY, took,
                  MANY / took);
    struct store_stats s = stats(b);
    assert_int_equal(s.outbox_rows, MANY);
    assert_int_equal(s.open_cases, MANY);
    assert_true(took < 30);
    /* And all of them are listed, each once, a page after the other. */
    uint64_t n = 0, before = UINT64_MAX >> 1;
    for (begin = clock(); before > 0;) {
        const char *json =
            ask(b, STORE_ALERT_LIST,
                (struct store_alert_filter){.state = "open", .limit = 1000, .before = before});
        for (const char *p = json; (p = strstr(p, "{\"id\":")); n++) {
            uint64_t row = strtoull(p += strlen("{\"id\":"), NULL, 10);
            assert_true(row < before);
            before = row;
        }
        before = strstr(json, "\"next\":null") ? 0 : before;
    }
    took = (double)(clock() - begin) / CLOCKS_PER_SEC;
    print_message("%d cases listed: %.3f s\n", (int)n, took);
    assert_int_equal(n, MANY);
    assert_true(took < 30);
}

static int prune(struct store_db *db, unsigned *out_bites)
{
    bool more = true;
    int code = 0;
    for (*out_bites = 0; more && !code; (*out_bites)++)
        code = store_db_prune(db, &more);
    return code;
}

static void old_history_goes(void **state)
{
    struct bench *b = *state;
    struct made m;
    char id[16];
    const int64_t day = INT64_C(86400000);
    uint64_t at = 100;
    open_store(b);
    put_at(b, at++, make(&m, "open", "first"));
    put_at(b, at++, make(&m, "open", "last"));
    struct store_batch *batch = store_batch_new();
    for (int i = 0; i < 700; i++) {
        snprintf(id, sizeof(id), "o%d", i);
        make(&m, id, "x");
        m.t.closed = true;
        struct position p = {at++, 0, 0};
        store_batch_transition(batch, &p, &m.t);
    }
    commit(b, batch);
    uint64_t *ids = mem_zalloc_array(702, sizeof(*ids));
    for (uint64_t i = 0; i < 702; i++)
        ids[i] = i + 1;
    store_outbox_done(b->store, ids, 701); /* the last one was never told */
    free(ids);
    make(&m, "new", "x");
    m.t.wall_ms = WALL + 500 * day;
    put_at(b, at++, &m.t);
    store_close(b->store);
    b->store = NULL;
    struct store_db db = {
        .max_bytes = 1u << 20, .max_devices = 10, .keep_ms = 400 * 86400000ull};
    struct err err;
    struct store_opened opened;
    unsigned bites;
    assert_int_equal(store_db_open(&db, b->path, &err, &opened), 0);
    assert_int_equal(prune(&db, &bites), 0);
    assert_true(bites >= 2);
    store_db_close(&db);
    open_store(b);
    const char *json = ask(b, STORE_ALERT_HISTORY, (struct store_alert_filter){0});
    assert_int_equal(count(json, "\"change\":"), 3);
    assert_true(says(json, "\"what\":\"last\""));
    assert_true(says(json, "\"case\":\"o699\""));
    assert_int_equal(open_cases(b, NULL), 2);
    assert_true(says(b->cases[0].payload, "\"what\":\"last\""));
    assert_int_equal(outbox(b, 0, false), 2);
    json = ask(b, STORE_ALERT_LIST, (struct store_alert_filter){.state = "closed"});
    assert_int_equal(count(json, "\"opened\":"), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_a_life),    TEST(records_and_moves),  TEST(urgent_rows),
        TEST(not_twice),       TEST(nobody_tells),       TEST(marks),
        TEST(replies),         TEST(replies_that_empty), TEST(epochs),
        TEST(another_epoch),   TEST(questions),          TEST(places_of_cases),
        TEST(crashes),         TEST(migrates),           TEST(many_at_once),
        TEST(a_point_changes), TEST(old_history_goes),   TEST(many_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
