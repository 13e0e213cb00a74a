/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of what goes on meanwhile: a firm that hears as docs/firms.md says knows in the end what is so. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "tell_rig.h"

#define CASES 12

/* What firm wk knows of each case: the bytes, or that it is closed or not its own (""). */
static struct {
    struct {
        char case_id[64], payload[160];
        bool doubted; /* not said again since the begin */
    } cases[CASES];
    size_t n, heard; /* messages */
    unsigned snapshots, cut;
    size_t states; /* of the snapshot that goes on */
} wk;

static void firm_takes(const char *case_id, const char *payload)
{
    size_t i = 0;
    while (i < wk.n && strcmp(wk.cases[i].case_id, case_id) != 0)
        i++;
    if (i == wk.n)
        wk.n++;
    assert_true(wk.n <= CASES);
    snprintf(wk.cases[i].case_id, sizeof(wk.cases[i].case_id), "%s", case_id);
    snprintf(wk.cases[i].payload, sizeof(wk.cases[i].payload), "%s", payload);
    wk.cases[i].doubted = false;
}

static const struct fake_out *row_of(const char *payload)
{
    size_t i = 0;
    while (i < db.n && strcmp(db.rows[i].payload, payload) != 0)
        i++;
    assert_true(i < db.n);
    return &db.rows[i];
}

static void firm_hears_frame(const char *payload)
{
    if (strstr(payload, "\"snapshot\":\"begin\"")) {
        wk.states = 0;
        for (size_t i = 0; i < wk.n; i++)
            wk.cases[i].doubted = true;
        return;
    }
    const char *n = strstr(payload, "\"cases\":");
    assert_non_null(n);
    assert_int_equal(strtoul(n + 8, NULL, 10), wk.states);
    wk.snapshots++;
    if (!strstr(payload, "\"complete\":true")) {
        wk.cut++;
        return;
    }
    for (size_t i = 0; i < wk.n; i++)
        if (wk.cases[i].doubted)
            wk.cases[i].payload[0] = '\0';
}

static void firm_hears(void)
{
    for (; wk.heard < mq.n; wk.heard++) {
        const struct sent *s = &mq.sent[wk.heard];
        if (strncmp(s->topic, P "events/wk/", 20) == 0) {
            const struct fake_out *o = row_of(s->payload);
            firm_takes(o->case_id, o->o.tell & TELL_CLOSE ? "" : o->payload);
        } else if (strncmp(s->topic, P "alerts/wk/", 20) == 0 && s->len == 0) {
            firm_takes(strrchr(s->topic, '/') + 1, "");
        } else if (strcmp(s->topic, P "reply/wk/snapshot") == 0) {
            if (strstr(s->payload, "\"snapshot\":")) {
                firm_hears_frame(s->payload);
            } else {
                wk.states++;
                firm_takes(row_of(s->payload)->case_id, s->payload);
            }
        }
    }
}

/* It knows what the store holds open, as it is, and nothing else. */
static void assert_firm_knows(void)
{
    firm_hears();
    for (size_t i = 0; i < db.n_cases; i++) {
        const struct fake_case *c = &db.cases[i];
        const char *known = "";
        for (size_t k = 0; k < wk.n; k++)
            if (strcmp(wk.cases[k].case_id, c->case_id) == 0)
                known = wk.cases[k].payload;
        assert_string_equal(known, c->open && strcmp(c->firm, "wk") == 0 ? c->payload : "");
    }
}

static void open_cases(unsigned n)
{
    memset(&wk, 0, sizeof(wk));
    start(1, 0);
    for (unsigned i = 0; i < n; i++) {
        char id[64];
        snprintf(id, sizeof(id), "cq.all.1.b.%u", i);
        commit("wk", "c1", id, TELL_STATE | TELL_EVENT, i + 1, "cq/all/1");
    }
    up();
    settle();
    mq.window = 3;
}

static void ask(void)
{
    message(P "snapshot/wk", "", false, NULL, NULL);
    run_ms(20);
}

/* What happens while its states wait for the window goes ahead of them. */
static void test_events_overtake(void **state)
{
    (void)state;
    open_cases(8);
    ask();
    commit("wk", "c1", "cq.all.1.b.5", TELL_EVENT | TELL_CLOSE, 9, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.6", TELL_STATE | TELL_EVENT, 10, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.8", TELL_STATE | TELL_EVENT, 11, "cq/all/1");
    struct fake_out *o =
        commit("lh", "c3", "cq.all.1.b.7", TELL_STATE | TELL_EVENT | TELL_LEAVE, 1, "cq/all/1");
    snprintf(o->was_firm, sizeof(o->was_firm), "wk");
    snprintf(o->was_compound, sizeof(o->was_compound), "c1");
    o->o.was_firm = o->was_firm;
    o->o.was_compound = o->was_compound;
    settle();
    assert_firm_knows();
    assert_int_equal(wk.snapshots, 1);
    assert_int_equal(wk.cut, 0);
    finish();
}

/* A request may wait for the window itself: what is told before its begin is in it. */
static void test_told_before_the_begin(void **state)
{
    (void)state;
    open_cases(4);
    mq.window = 1;
    commit("wk", "c1", "cq.all.1.b.1", TELL_STATE | TELL_EVENT, 5, "cq/all/1");
    ask();
    commit("wk", "c1", "cq.all.1.b.2", TELL_EVENT | TELL_CLOSE, 6, "cq/all/1");
    settle();
    assert_firm_knows();
    assert_int_equal(wk.snapshots, 1);
    assert_int_equal(wk.states, 3);
    assert_int_equal(wk.cut, 0);
    finish();
}

/* The oldest under way is answered, a quarter of a second long; events of firm wk with `status`. The firm
 * hears nothing of what is refused. */
static void answer_events(int status)
{
    for (unsigned i = 0; i < 25; i++) {
        size_t k = 0;
        while (k < mq.n && mq.sent[k].acked)
            k++;
        if (k < mq.n) {
            bool is_event = strncmp(mq.sent[k].topic, P "events/wk/", 20) == 0;
            if (is_event && status != 0)
                snprintf(mq.sent[k].topic, sizeof(mq.sent[k].topic), "refused");
            ack_one(&mq.sent[k], is_event ? status : 0);
        }
        run_ms(10);
    }
}

static void assert_cut(unsigned cut)
{
    settle();
    assert_firm_knows();
    assert_int_equal(wk.snapshots, 1);
    assert_int_equal(wk.cut, cut);
    finish();
}

/* What went for a state of the snapshot was refused. */
static void test_event_refused(void **state)
{
    (void)state;
    open_cases(8);
    ask();
    commit("wk", "c1", "cq.all.1.b.7", TELL_STATE | TELL_EVENT, 9, "cq/all/1");
    answer_events(-EACCES);
    firm_hears();
    assert_int_equal(wk.snapshots, 1);
    assert_int_equal(wk.states, 7);
    assert_true(wk.cases[7].payload[0]); /* open, as it was */
    assert_cut(1);
}

/* Nothing else waits for the window: its end waits for what it counts on. */
static void test_refused_late(void **state)
{
    (void)state;
    open_cases(8);
    ask();
    commit("wk", "c1", "cq.all.1.b.7", TELL_EVENT, 9, "cq/all/1");
    run_ms(20);
    ack(1);
    run_ms(20);
    mq.window = 50;
    ack(1);
    run_ms(500);
    for (size_t i = find_sent(P "events/wk/c1", mq.n - 8); i < mq.n; i++)
        assert_false(mq.sent[i].acked);
    answer_events(-EACCES);
    assert_cut(1);
}

/* A firm misses seq 9, which the broker refused, but not seq 10, and asks. When it hears 9 after all, 10 is
 * still what is so. */
static void test_older_again(void **state)
{
    (void)state;
    open_cases(8);
    mq.window = 9;
    commit("wk", "c1", "cq.all.1.b.7", TELL_STATE | TELL_EVENT, 9, "cq/all/1");
    commit("wk", "c1", "cq.all.1.b.7", TELL_STATE | TELL_EVENT, 10, "cq/all/1");
    run_ms(20);
    size_t event = find_sent(P "events/wk/c1", mq.n - 4);
    assert_string_equal(mq.sent[event].payload, db.rows[8].payload);
    snprintf(mq.sent[event].topic, sizeof(mq.sent[event].topic), "refused");
    ack_one(&mq.sent[event], -EACCES);
    ack(100);
    run_ms(4900);
    mq.window = 2;
    ack(100);
    ask();
    ack(1); /* the begin: the store is asked */
    run_ms(1000);
    assert_false(db.rows[8].done);
    assert_true(db.rows[9].done);
    assert_cut(0);
}

/* Numbers of another stream or compound say nothing of what is newer. */
static void test_other_numbers(void **state)
{
    (void)state;
    open_cases(8);
    commit("wk", "c1", "cq.all.1.b.6", TELL_STATE | TELL_EVENT, 50, "cq/all/0");
    settle();
    mq.window = 3;
    ask();
    commit("wk", "c1", "cq.all.1.b.6", TELL_STATE | TELL_EVENT, 9, "cq/all/1");
    struct fake_out *o =
        commit("wk", "c2", "cq.all.1.b.7", TELL_STATE | TELL_EVENT | TELL_LEAVE, 1, "cq/all/1");
    o->o.was_firm = "wk";
    o->o.was_compound = "c1";
    settle();
    firm_hears();
    assert_int_equal(wk.states, 6);
    assert_int_equal(wk.cut, 0);
    finish();
}

static void test_state_too_large(void **state)
{
    (void)state;
    open_cases(8);
    struct fake_case *c = &db.cases[3];
    size_t len = strlen(c->payload);
    memset(c->payload + len, ' ', sizeof(c->payload) - 1 - len);
    mq.max_len = sizeof(c->payload) - 2;
    ask();
    settle();
    firm_hears();
    assert_int_equal(wk.states, 7);
    assert_int_equal(wk.snapshots, 1);
    assert_int_equal(wk.cut, 1);
    finish();
}

/* A case of them at random opens, changes, closes or moves; of some ends nobody hears but by its topic. */
static void random_change(uint64_t *rnd, unsigned seq[2])
{
    char id[64];
    size_t at = 0;
    snprintf(id, sizeof(id), "cq.all.1.b.%d", (int)(unit_random(rnd) % CASES));
    while (at < db.n_cases && strcmp(db.cases[at].case_id, id) != 0)
        at++;
    bool known = at < db.n_cases, open = known && db.cases[at].open;
    bool was_wk = !known || strcmp(db.cases[at].firm, "wk") == 0;
    bool moves = open && unit_random(rnd) % 4 == 0, is_wk = was_wk != moves;
    bool closes = open && !moves && unit_random(rnd) % 3 == 0;
    bool unheard = closes && unit_random(rnd) % 3 == 0;
    if (known && !open)
        return; /* for ever */
    unsigned steps = (closes ? TELL_CLOSE : TELL_STATE) | (unheard ? 0 : TELL_EVENT) |
                     (moves ? TELL_LEAVE : 0);
    struct fake_out *o =
        commit(is_wk ? "wk" : "lh", is_wk ? "c1" : "c3", id, steps, ++seq[!is_wk], "cq/all/1");
    if (moves) {
        o->o.was_firm = was_wk ? "wk" : "lh";
        o->o.was_compound = was_wk ? "c1" : "c3";
    }
}

/* Changes between requests, with a store and a broker that take their time. Short: a later change would
 * put right what was told wrongly. */
static void random_run(uint64_t seed)
{
    uint64_t rnd = seed;
    unsigned seq[2] = {6, 0}, asked = 0;
    open_cases(6);
    mq.window = 1 + (unsigned)(unit_random(&rnd) % 5);
    db.chunk = unit_random(&rnd) % 4;
    db.lag_ns = unit_random(&rnd) % 3 * 10000000;
    for (uint64_t i = 10 + unit_random(&rnd) % 30; i > 0; i--) {
        uint64_t what = unit_random(&rnd) % 8;
        if (what < 2) {
            random_change(&rnd, seq);
        } else if (what == 2) {
            message(P "snapshot/wk", "", false, NULL, NULL);
            asked++;
        } else if (what < 6) {
            run_ms(10);
        } else {
            ack(1 + unit_random(&rnd) % 3);
        }
    }
    settle();
    assert_firm_knows();
    assert_true(wk.snapshots == asked);
    assert_int_equal(wk.cut, 0);
    finish();
}

static void test_at_random(void **state)
{
    (void)state;
    random_runs(3000, random_run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_overtake),
        cmocka_unit_test(test_told_before_the_begin),
        cmocka_unit_test(test_event_refused),
        cmocka_unit_test(test_refused_late),
        cmocka_unit_test(test_older_again),
        cmocka_unit_test(test_other_numbers),
        cmocka_unit_test(test_state_too_large),
        cmocka_unit_test_teardown(test_at_random, random_say_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
