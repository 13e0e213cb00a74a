/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TELL_RIG_H
#define TESTS_TELL_RIG_H
/*
 * tell_rig — what test_tell stands on: loop, store, MQTT client and commands' words, played by the
 * test in one virtual time. Included by test_tell*.c only. Answers of the store come in order, a turn
 * later; the broker acknowledges when the test lets it.
 */
#include "unit.h"

#include "app/tell.h"
#include "base/check.h"
#include "base/mem.h"
#include "core/cases.h"
#include "core/registry.h"

#include <errno.h>

/* -- the loop ------------------------------------------------------------------------------- */

struct loop_timer {
    loop_fn *fn;
    void *ctx;
    uint64_t due, repeat;
    bool active;
};
struct loop_wake {
    loop_fn *fn;
    void *ctx;
    bool sent;
};
static struct loop_timer *timers[8];
static struct loop_wake *wakes[8];
static uint64_t now_ns;

struct job {
    struct job *next;
    void (*run)(struct job *j);
    uint64_t due;
};
static struct job *jobs, **jobs_end = &jobs;
static void later(struct job *j, void (*run)(struct job *j))
{
    j->run = run;
    j->next = NULL;
    j->due = 0;
    *jobs_end = j;
    jobs_end = &j->next;
}

uint64_t loop_now_ns(struct loop *l)
{
    (void)l;
    return now_ns;
}
struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *ctx)
{
    (void)l;
    struct loop_timer *t = mem_zalloc(sizeof(*t));
    *t = (struct loop_timer){fn, ctx, 0, 0, false};
    size_t i = 0;
    while (timers[i])
        i++;
    return timers[i] = t;
}
void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
    t->due = now_ns + after_ms * 1000000;
    t->repeat = repeat_ms * 1000000;
    t->active = true;
}
void loop_timer_stop(struct loop_timer *t)
{
    t->active = false;
}
bool loop_timer_active(const struct loop_timer *t)
{
    return t->active;
}
void loop_timer_free(struct loop_timer *t)
{
    for (size_t i = 0; i < 8; i++)
        if (t && timers[i] == t)
            timers[i] = NULL;
    free(t);
}
struct loop_wake *loop_wake_new(struct loop *l, loop_fn *fn, void *ctx)
{
    (void)l;
    struct loop_wake *w = mem_zalloc(sizeof(*w));
    *w = (struct loop_wake){fn, ctx, false};
    size_t i = 0;
    while (wakes[i])
        i++;
    return wakes[i] = w;
}
void loop_wake_send(struct loop_wake *w)
{
    w->sent = true;
}
void loop_wake_free(struct loop_wake *w)
{
    for (size_t i = 0; i < 8; i++)
        if (w && wakes[i] == w)
            wakes[i] = NULL;
    free(w);
}
struct work {
    struct job j;
    loop_fn *work, *done;
    void *ctx;
};
static void run_work(struct job *j)
{
    struct work w = *(struct work *)j;
    free(j);
    w.work(w.ctx);
    w.done(w.ctx);
}
void loop_work(struct loop *l, loop_fn *work, loop_fn *done, void *ctx)
{
    (void)l;
    struct work *w = mem_zalloc(sizeof(*w));
    *w = (struct work){.work = work, .done = done, .ctx = ctx};
    later(&w->j, run_work);
}

static void turn(void)
{
    struct job *j = jobs;
    if (j && j->due <= now_ns) {
        jobs = j->next;
        if (!jobs)
            jobs_end = &jobs;
        j->run(j);
    }
    for (size_t i = 0; i < 8; i++)
        if (wakes[i] && wakes[i]->sent) {
            wakes[i]->sent = false;
            wakes[i]->fn(wakes[i]->ctx);
        }
    for (size_t i = 0; i < 8; i++)
        if (timers[i] && timers[i]->active && timers[i]->due <= now_ns) {
            struct loop_timer *t = timers[i];
            t->active = t->repeat > 0;
            t->due = now_ns + t->repeat;
            t->fn(t->ctx);
        }
}

static bool busy(void)
{
    for (size_t i = 0; i < 8; i++)
        if (wakes[i] && wakes[i]->sent)
            return true;
    return jobs && jobs->due <= now_ns;
}

static void run_ms(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 10) {
        do
            turn();
        while (busy());
        now_ns += 10000000;
    }
}

/* -- the store ------------------------------------------------------------------------------ */

struct fake_out {
    struct store_out o;
    char payload[160];
    char case_id[64], firm[16], compound[16], was_firm[16], was_compound[16], topic[64];
    bool done;
    bool urgent_acked;  /* the broker has its message on `urgent/` */
    uint64_t marked_ns; /* 0: not by this life */
};
struct fake_case {
    char case_id[64], firm[16], compound[16], payload[160];
    uint64_t seq;
    bool open;
};
static struct {
    struct fake_out rows[4000];
    size_t n;
    struct fake_case cases[400];
    size_t n_cases;
    uint64_t epoch, epoch_last, alarm_offset;
    uint64_t journalled; /* the last epoch of the journal; settle() lets the store have it */
    loop_fn *on_outbox;
    void *ctx;
    unsigned reads, urgent_reads;
    size_t chunk; /* rows of an answer at most; 0: all */
    uint64_t
        lag_ns; /* until an answer of the outbox comes; it says what was when it was asked */
    uint64_t commit_ns; /* until a mark counts */
} db;

struct read_job {
    struct job j;
    size_t *rows, n;         /* of the outbox, as it was when it was asked */
    struct fake_case *cases; /* likewise */
    bool more;
    char firm[16];
    store_out_fn *fn;
    store_case_fn *case_fn;
    store_outs_done_fn *done;
    void *ctx;
};

static void run_outbox(struct job *j)
{
    struct read_job r = *(struct read_job *)j;
    free(j);
    for (size_t i = 0; i < r.n; i++)
        r.fn(r.ctx, &db.rows[r.rows[i]].o);
    free(r.rows);
    r.done(r.ctx, 0, r.n, r.more);
}

void store_outbox(struct store *s, uint64_t after_id, bool urgent_only, size_t max_bytes,
                  store_out_fn *fn, store_outs_done_fn *done, void *ctx)
{
    (void)s;
    (void)max_bytes;
    struct read_job *r = mem_zalloc(sizeof(*r));
    *r = (struct read_job){.fn = fn, .done = done, .ctx = ctx};
    r->rows = mem_zalloc_array(db.n, sizeof(*r->rows));
    for (size_t i = 0; i < db.n && !r->more; i++) {
        const struct fake_out *o = &db.rows[i];
        if (o->done || o->o.id <= after_id || (urgent_only && !o->o.urgent))
            continue;
        r->more = db.chunk && r->n == db.chunk;
        if (!r->more)
            r->rows[r->n++] = i;
    }
    db.reads += !urgent_only;
    db.urgent_reads += urgent_only;
    later(&r->j, run_outbox);
    r->j.due = now_ns + db.lag_ns;
}

static void run_cases(struct job *j)
{
    struct read_job r = *(struct read_job *)j;
    uint64_t n = 0;
    free(j);
    for (size_t i = 0; i < r.n; i++) {
        const struct fake_case *c = &r.cases[i];
        if (!c->open || (r.firm[0] && strcmp(r.firm, c->firm) != 0))
            continue;
        n++;
        r.case_fn(r.ctx, &(struct store_case){.case_id = c->case_id,
                                              .firm = c->firm,
                                              .compound = c->compound,
                                              .seq = c->seq,
                                              .payload = c->seq ? c->payload : NULL,
                                              .len = strlen(c->payload)});
    }
    free(r.cases);
    r.done(r.ctx, 0, n, false);
}

void store_open_cases(struct store *s, const char *firm, store_case_fn *fn,
                      store_outs_done_fn *done, void *ctx)
{
    (void)s;
    struct read_job *r = mem_zalloc(sizeof(*r));
    *r = (struct read_job){.case_fn = fn, .done = done, .ctx = ctx};
    (void)snprintf(r->firm, sizeof(r->firm), "%s", firm ? firm : "");
    r->n = db.n_cases;
    r->cases = mem_zalloc_array(r->n, sizeof(*r->cases));
    memcpy(r->cases, db.cases, r->n * sizeof(*r->cases));
    later(&r->j, run_cases);
    r->j.due = now_ns + db.lag_ns;
}

void store_outbox_done(struct store *s, const uint64_t *ids, size_t n)
{
    (void)s;
    for (size_t i = 0; i < n; i++) {
        struct fake_out *o = &db.rows[ids[i] - 1];
        assert_false(o->done);
        o->done = true;
        o->marked_ns = now_ns;
    }
}
void store_on_outbox(struct store *s, loop_fn *fn, void *ctx)
{
    (void)s;
    db.on_outbox = fn;
    db.ctx = ctx;
}
uint64_t store_epoch(const struct store *s)
{
    (void)s;
    return db.epoch;
}
uint64_t store_epoch_last(const struct store *s)
{
    (void)s;
    return db.epoch_last;
}
void store_stats(const struct store *s, struct store_stats *out)
{
    (void)s;
    *out = (struct store_stats){.alarm_offset = db.alarm_offset};
    for (size_t i = 0; i < db.n; i++) {
        const struct fake_out *o = &db.rows[i];
        bool there = !o->done || (o->marked_ns && now_ns < o->marked_ns + db.commit_ns);
        out->outbox_rows += there;
        out->outbox_urgent += there && o->o.urgent;
        out->urgent_delivered += !there && o->marked_ns && o->o.urgent;
    }
}

/* A transition of case `id`: state and event, or its end. */
/* Where a case with such an id began: "gateway.lane.epoch.PLACE.n", to base 36. */
static uint64_t place(const char *id)
{
    for (int dots = 0; *id && dots < 3; id++)
        dots += *id == '.';
    return strtoull(id, NULL, 36);
}

static struct fake_out *commit(const char *firm, const char *compound, const char *id,
                               unsigned tell, uint64_t seq, const char *stream)
{
    struct fake_out *o = &db.rows[db.n++];
    assert_true(db.n < sizeof(db.rows) / sizeof(db.rows[0]));
    memset(o, 0, sizeof(*o));
    snprintf(o->case_id, sizeof(o->case_id), "%s", id);
    snprintf(o->firm, sizeof(o->firm), "%s", firm);
    snprintf(o->compound, sizeof(o->compound), "%s", compound);
    snprintf(o->payload, sizeof(o->payload),
             "{\"stream\":\"%s\",\"case\":\"%s\",\"seq\":%d,\"n\":%d}", stream, id, (int)seq,
             (int)db.n);
    o->o = (struct store_out){.id = db.n,
                              .tell = tell,
                              .urgent = (tell & TELL_URGENT) != 0,
                              .firm = o->firm,
                              .compound = o->compound,
                              .case_id = o->case_id,
                              .seq = seq,
                              .offset = place(id),
                              .payload = o->payload,
                              .len = strlen(o->payload)};
    size_t i = 0;
    while (i < db.n_cases && strcmp(db.cases[i].case_id, id) != 0)
        i++;
    if (i == db.n_cases)
        db.n_cases++;
    struct fake_case *c = &db.cases[i];
    snprintf(c->case_id, sizeof(c->case_id), "%s", id);
    snprintf(c->firm, sizeof(c->firm), "%s", firm);
    snprintf(c->compound, sizeof(c->compound), "%s", compound);
    memcpy(c->payload, o->payload, sizeof(c->payload));
    c->seq = seq;
    c->open = !(tell & TELL_CLOSE);
    if (db.on_outbox)
        db.on_outbox(db.ctx);
    return o;
}

/* -- commands -------------------------------------------------------------------------------- */

static char last_reply_to[128], last_payload[64], last_former[128];

int case_command_put(const struct case_command *c, struct buf *out_body)
{
    snprintf(last_reply_to, sizeof(last_reply_to), "%s", c->reply_to ? c->reply_to : "-");
    snprintf(last_payload, sizeof(last_payload), "%.*s", (int)c->payload_len, c->payload);
    snprintf(last_former, sizeof(last_former), "%s/%s", c->former_firm ? c->former_firm : "-",
             c->former_compound ? c->former_compound : "-");
    assert_int_equal(c->origin, 0);
    return buf_puts(out_body, "body");
}
int case_verb_parse(const char *s, size_t len, enum case_verb *out)
{
    if (len != 3 || memcmp(s, "ack", 3) != 0)
        return -EINVAL;
    *out = VERB_ACK;
    return 0;
}
const char *case_answer_name(enum case_answer a)
{
    return a == ANSWER_BAD ? "bad" : a == ANSWER_REFUSED ? "refused" : "?";
}

/* -- MQTT ------------------------------------------------------------------------------------ */

struct sent {
    uint64_t id;
    char topic[128], payload[400], correlation[32];
    size_t len;
    bool retain, acked;
    uint32_t expiry_s;
    unsigned connection;
};
struct retained {
    char topic[128], payload[400];
    bool there;
};
static struct {
    struct mqtt_events e;
    bool open, connected, subscribed, alerts_filter;
    unsigned connection, window;
    size_t in_flight, max_len;
    struct sent sent[20000];
    size_t n;
    struct retained kept[1000]; /* the broker's */
    size_t n_kept;
    char will_topic[128], client_id[64], problem[64];
    unsigned losses;
} mq;

static struct retained *kept(const char *topic)
{
    for (size_t i = 0; i < mq.n_kept; i++)
        if (strcmp(mq.kept[i].topic, topic) == 0)
            return &mq.kept[i];
    struct retained *r = &mq.kept[mq.n_kept++];
    assert_true(mq.n_kept < 1000);
    snprintf(r->topic, sizeof(r->topic), "%s", topic);
    r->there = false;
    return r;
}
static void keep(const char *topic, const char *payload)
{
    struct retained *r = kept(topic);
    snprintf(r->payload, sizeof(r->payload), "%s", payload);
    r->there = payload[0] != '\0';
}
static const char *on_broker(const char *topic)
{
    struct retained *r = kept(topic);
    return r->there ? r->payload : NULL;
}

static bool has_alerts(const struct mqtt_filter *f, size_t n)
{
    bool has = false;
    for (size_t i = 0; i < n; i++)
        has |= strcmp(f[i].filter, "gaihou/v1/alerts/#") == 0;
    return has;
}

int mqtt_open(const struct mqtt_options *o, const struct mqtt_events *e, struct err *err,
              struct mqtt **out)
{
    (void)err;
    mq.e = *e;
    mq.open = true;
    mq.alerts_filter = has_alerts(o->filters, o->n_filters);
    snprintf(mq.will_topic, sizeof(mq.will_topic), "%s", o->will->topic);
    snprintf(mq.client_id, sizeof(mq.client_id), "%s", o->client_id);
    assert_null(o->broker->share_group);
    assert_true(o->read_retained);
    *out = (struct mqtt *)&mq;
    return 0;
}

static void message(const char *topic, const char *payload, bool retain, const char *response,
                    const char *correlation)
{
    mq.e.on_message(mq.e.ctx, &(struct mqtt_message){
                                  .topic = topic,
                                  .topic_len = strlen(topic),
                                  .payload = payload,
                                  .payload_len = strlen(payload),
                                  .qos = 1,
                                  .retain = retain,
                                  .response_topic = response,
                                  .response_topic_len = response ? strlen(response) : 0,
                                  .correlation = correlation,
                                  .correlation_len = correlation ? strlen(correlation) : 0});
}

static bool fits(const char *topic)
{
    return (mq.alerts_filter && strncmp(topic, "gaihou/v1/alerts/", 17) == 0) ||
           strncmp(topic, "gaihou/v1/presence/", 19) == 0 ||
           (strncmp(topic, "gaihou/v1/gateway/cq", 20) == 0 && strstr(topic, "/epoch")) ||
           strncmp(topic, "gaihou/v1/cmd/", 14) == 0;
}

static void up(void)
{
    assert_false(mq.connected);
    mq.connected = mq.subscribed = true;
    mq.connection++;
    mq.in_flight = 0;
    mq.e.on_link(mq.e.ctx, &(struct mqtt_link){.state = MQTT_UP, .session_present = true});
    for (size_t i = 0; i < mq.n_kept; i++)
        if (mq.kept[i].there && fits(mq.kept[i].topic))
            message(mq.kept[i].topic, mq.kept[i].payload, true, NULL, NULL);
}

static void ack_one(struct sent *s, int status)
{
    s->acked = true;
    mq.in_flight--;
    if (status == 0 && s->retain) /* the broker has it */
        keep(s->topic, s->payload);
    if (status == 0 && strncmp(s->topic, "gaihou/v1/urgent/", 17) == 0)
        for (size_t i = 0; i < db.n; i++)
            db.rows[i].urgent_acked |= strcmp(db.rows[i].payload, s->payload) == 0;
    mq.e.on_sent(mq.e.ctx, s->id, status);
}

static void ack(size_t most)
{
    for (size_t i = 0; i < mq.n && most > 0; i++)
        if (!mq.sent[i].acked && mq.sent[i].connection == mq.connection) {
            ack_one(&mq.sent[i], 0);
            most--;
        }
}

/* The link breaks; the broker had taken `taken` of what was under way, unanswered. */
static void down(size_t taken)
{
    mq.connected = mq.subscribed = false;
    mq.losses++;
    mq.e.on_link(mq.e.ctx, &(struct mqtt_link){.state = MQTT_DOWN, .reason = "test"});
    for (size_t i = 0; i < mq.n; i++) {
        struct sent *s = &mq.sent[i];
        if (s->acked || s->connection != mq.connection)
            continue;
        if (taken > 0 && s->retain)
            keep(s->topic, s->payload);
        if (taken > 0)
            taken--;
        s->acked = true;
        mq.e.on_sent(mq.e.ctx, s->id, -ENOTCONN);
    }
    mq.in_flight = 0;
}

void mqtt_close(struct mqtt *m)
{
    if (!m)
        return;
    if (mq.connected)
        down(0);
    mq.open = false;
}
int mqtt_resubscribe(struct mqtt *m, const struct mqtt_filter *filters, size_t n)
{
    (void)m;
    bool had = mq.alerts_filter;
    mq.alerts_filter = has_alerts(filters, n);
    for (size_t i = 0; i < mq.n_kept && !had && mq.alerts_filter && mq.connected; i++)
        if (mq.kept[i].there && strncmp(mq.kept[i].topic, "gaihou/v1/alerts/", 17) == 0)
            message(mq.kept[i].topic, mq.kept[i].payload, true, NULL, NULL);
    return 0;
}
int mqtt_send(struct mqtt *m, const struct mqtt_out *o)
{
    (void)m;
    if (!mq.connected)
        return -ENOTCONN;
    if (mq.max_len && o->len > mq.max_len)
        return -EMSGSIZE;
    if (mq.in_flight >= mq.window)
        return -EAGAIN;
    assert_true(mq.n < sizeof(mq.sent) / sizeof(mq.sent[0]));
    struct sent *s = &mq.sent[mq.n++];
    *s = (struct sent){.id = o->id,
                       .len = o->len,
                       .retain = o->retain,
                       .expiry_s = o->expiry_s,
                       .connection = mq.connection};
    assert_int_equal(o->qos, 1);
    snprintf(s->topic, sizeof(s->topic), "%s", o->topic);
    snprintf(s->payload, sizeof(s->payload), "%.*s", (int)o->len,
             o->len ? (const char *)o->payload : "");
    if (o->correlation_len)
        memcpy(s->correlation, o->correlation, o->correlation_len);
    mq.in_flight++;
    return 0;
}
void mqtt_stats(struct mqtt *m, struct mqtt_stats *out)
{
    (void)m;
    *out = (struct mqtt_stats){.connected = mq.connected, .subscribed = mq.subscribed};
    snprintf(out->problem, sizeof(out->problem), "%s", mq.problem);
}

/* -- what is looked at ----------------------------------------------------------------------- */

#define P "gaihou/v1/"

static struct tell *tell;
static struct world world;
static struct conf conf;
static struct conf_broker broker;
static struct {
    enum record_type type;
    char topic[128], body[64];
} records[4000];
static size_t n_records;
static int append_result;
static bool stopped;

static int append(void *ctx, const struct record *r)
{
    (void)ctx;
    if (append_result != 0)
        return append_result;
    assert_true(n_records < 4000);
    records[n_records].type = r->type;
    const char *slash = memrchr(r->body, '/', r->body_len);
    if (r->type == RECORD_STREAM && slash)
        db.journalled = strtoull(slash + 1, NULL, 10);
    snprintf(records[n_records].topic, 128, "%.*s", (int)r->topic_len, r->topic);
    snprintf(records[n_records++].body, 64, "%.*s", (int)r->body_len, r->body);
    return 0;
}

static inline size_t count_records(enum record_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < n_records; i++)
        n += records[i].type == type;
    return n;
}

static inline const char *last_body(enum record_type type)
{
    for (size_t i = n_records; i > 0; i--)
        if (records[i - 1].type == type)
            return records[i - 1].body;
    return NULL;
}

static void make_world(void)
{
    static const char compounds[] = "compound,firm\nc1,wk\nc2,wk\nc3,lh\nc4,none\n";
    static const char kinds[] = "version: 1\nkinds:\n  lamp:\n    zh: 灯\n    en: Lamp\n"
                                "    metrics:\n      on: {type: bool, zh: 亮, en: On}\n";
    struct problems *p = problems_new(10);
    struct registry_input in[] = {{"c", compounds, strlen(compounds)}, {"d", NULL, 0}};
    if (world.registry)
        goto out;
    assert_int_equal(catalog_parse(kinds, strlen(kinds), "k", p, &world.catalog), 0);
    assert_int_equal(registry_parse(&in[0], &in[1], NULL, world.catalog, p, &world.registry),
                     0);
    assert_int_equal(zone_open("Asia/Shanghai", &world.zone), 0);
out:
    problems_free(p);
}

static void start(uint64_t epoch, uint64_t cursor)
{
    make_world();
    static const char *url = "mqtt://x";
    broker = (struct conf_broker){
        .id = "main", .client_id = "gw", .share_group = "g", .url = {&url, 1}};
    conf = (struct conf){.gateway = {.id = "cq", .lane = CONF_LANE_ALL},
                         .brokers = &broker,
                         .n_brokers = 1,
                         .alerts = {"main", "gaihou/v1"}};
    memset(&db, 0, sizeof(db));
    memset(&mq, 0, sizeof(mq));
    n_records = 0;
    append_result = 0;
    stopped = false;
    db.epoch = db.epoch_last = epoch;
    db.journalled = epoch ? epoch : 1;
    mq.window = 5;
    struct err err;
    assert_int_equal(tell_open(&(struct tell_options){.conf = &conf,
                                                      .gateway = "cq",
                                                      .cursor = cursor,
                                                      .epoch = epoch ? epoch : 1,
                                                      .append = append},
                               &err, &tell),
                     0);
    tell_start(tell, &world);
}

static void finish(void)
{
    run_ms(100);
    tell_close(tell);
    tell = NULL;
    run_ms(50);
    assert_null(jobs);
}

static struct tell_stats stats(void)
{
    struct tell_stats s;
    tell_stats(tell, &s);
    return s;
}

/* Until everything is told and compared; the broker acknowledges everything. */
static void settle(void)
{
    for (int i = 0; i < 1000; i++) {
        db.epoch = db.journalled;
        ack(1000);
        run_ms(10);
        if (stats().reconciled && stats().waiting == 0 && mq.in_flight == 0 && i > 20) {
            run_ms(100);
            if (mq.in_flight == 0)
                return;
        }
    }
    fail_msg("does not settle: waiting %d, reconciled %d", (int)stats().waiting,
             stats().reconciled);
}

static size_t find_sent(const char *topic, size_t from)
{
    for (size_t i = from; i < mq.n; i++)
        if (strcmp(mq.sent[i].topic, topic) == 0)
            return i;
    return SIZE_MAX;
}

/* -- at random: three compounds of two firms ------------------------------------------------- */

static const char *const random_firms[] = {"wk", "wk", "lh"}, *const random_compounds[] = {
                                                                  "c1", "c2", "c3"};

static inline void random_start(uint64_t *rnd)
{
    start(1, 1 << 20);
    keep(P "gateway/cq/epoch", "{\"epoch\":1,\"offset\":1}");
    mq.window = 1 + (unsigned)(unit_random(rnd) % 7);
    db.chunk = 1 + unit_random(rnd) % 6;
}

/* Every row is done, and the broker keeps what the store holds open. */
static inline void assert_all_told(void)
{
    for (size_t i = 0; i < db.n; i++)
        assert_true(db.rows[i].done);
    for (size_t i = 0; i < db.n_cases; i++) {
        char topic[128];
        snprintf(topic, sizeof(topic), P "alerts/%s/%s/%s", db.cases[i].firm,
                 db.cases[i].compound, db.cases[i].case_id);
        const char *has = on_broker(topic);
        if (db.cases[i].open)
            assert_string_equal(has ? has : "nothing", db.cases[i].payload);
        else
            assert_null(has);
    }
}

/* Every transition reached its firm, in order, as it sees them when it drops what it knows. */
static inline void assert_all_heard(const unsigned seq[3])
{
    for (unsigned w = 0; w < 3; w++) {
        char topic[64];
        unsigned known = 0;
        snprintf(topic, sizeof(topic), P "events/%s/%s", random_firms[w], random_compounds[w]);
        for (size_t i = 0; i < mq.n; i++) {
            const char *at = strstr(mq.sent[i].payload, "\"seq\":");
            if (strcmp(mq.sent[i].topic, topic) != 0)
                continue;
            unsigned got = (unsigned)strtoul(at + 6, NULL, 10);
            assert_true(got <= known + 1);
            known = got > known ? got : known;
        }
        assert_int_equal(known, seq[w]);
    }
}

static uint64_t random_last; /* the seed of the last run, said when the test ends */

static inline int random_say_seed(void **state)
{
    (void)state;
    print_message("last run's own seed: %llu\n", (unsigned long long)random_last);
    return 0;
}

static inline void random_runs(unsigned n, void (*run)(uint64_t seed))
{
    uint64_t seed = unit_seed();
    for (unsigned i = 0; i < n; i++) {
        random_last = unit_random(&seed);
        run(random_last);
    }
}

#endif
