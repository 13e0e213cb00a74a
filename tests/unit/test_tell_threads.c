/* SPDX-License-Identifier: Apache-2.0 */
/* tell with its real neighbours: the loop, the store's thread, the client's threads, a mosquitto
 * that is stopped and started, and a firm that sends commands meanwhile. */
/* tsan: yes */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "mqtt_rig.h"

#include "app/tell.h"
#include "core/cases.h"

enum { ROWS = 400, CASES = 25, COMMANDS = 200, TURN_MS = 2 };

struct bench {
    struct broker broker;
    struct loop *loop;
    struct loop_timer *timer;
    struct store *store;
    struct conf *conf;
    struct world *world;
    struct tell *tell;
    struct client firm;
    unsigned turns, rows, sent, restarts;
    bool stopping;
    double began;
    pthread_mutex_t lock; /* what `append` notes, on any thread */
    unsigned commands[COMMANDS], presences, streams;
};

/* -- the site ----------------------------------------------------------------------------------- */

static const char catalog[] = "version: 1\nkinds:\n  sump:\n    zh: 集水井\n    en: Sump\n"
                              "    metrics:\n      level: {type: float, zh: 水位, en: Level}\n";

static void open_site(struct bench *b)
{
    struct problems *said = problems_new(9);
    struct buf bundle;
    char *conf = mem_printf("gateway: {id: gw, data_dir: %s}\n"
                            "brokers: [{id: main, url: mqtt://127.0.0.1:%d}]\n"
                            "sources: [{profile: gaihou-json, broker: main}]\n"
                            "catalog: catalog.yaml\nalerts: {broker: main}\n"
                            "registry: {compounds: compounds.csv, devices: devices.csv}\n",
                            dir, b->broker.port);
    const char *compounds = "compound,name,city,district,firm\nc1,One,cq,nan,wy1\n",
               *devices = "device,kind,compound\nd1,sump,c1\n";
    struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"/c/gaihou.yaml", conf, strlen(conf)},
        [WORLD_CATALOG] = {"/c/catalog.yaml", catalog, strlen(catalog)},
        [WORLD_COMPOUNDS] = {"/c/compounds.csv", compounds, strlen(compounds)},
        [WORLD_DEVICES] = {"/c/devices.csv", devices, strlen(devices)}};
    buf_init(&bundle, WORLD_MAX_BUNDLE);
    assert_int_equal(world_bundle(parts, &bundle), 0);
    int r = conf_parse(conf, strlen(conf), "/c/gaihou.yaml", said, &b->conf);
    r = r ? r : world_open(bundle.data, bundle.len, said, &b->world);
    if (r != 0)
        fail_msg("%s", problems_get(said, 0));
    problems_free(said);
    buf_done(&bundle);
    free(conf);
}

/* -- what is committed --------------------------------------------------------------------------- */

/* Cases come one after the other; one in three ends with its row. */
static void put_row(struct bench *b, struct store_batch *batch)
{
    char id[32], json[256], blob[16] = "state";
    unsigned n = ++b->rows;
    snprintf(id, sizeof(id), "gw.all.1.%u", n % CASES);
    int at = snprintf(json, sizeof(json), "{\"v\":1,\"seq\":");
    int len = at + snprintf(json + at, sizeof(json) - (size_t)at,
                            ",\"stream\":\"gw/all/1\",\"case\":\"%s\",\"row\":%u}", id, n);
    bool closed = n % 3 == 0;
    struct transition t = {.change = closed ? CASE_CLEARED : CASE_ACTIVATED,
                           .stream = "gw/all/1",
                           .case_id = id,
                           .firm = "wy1",
                           .compound = "c1",
                           .rule = "high",
                           .device = "d1",
                           .point = "",
                           .occurrence = n,
                           .version = 1,
                           .severity = SEVERITY_MAJOR,
                           .deliver = true,
                           .urgent = n % 10 == 0,
                           .closed = closed,
                           .wall_ms = INT64_C(1795219200000) + n,
                           .json = json,
                           .json_len = (size_t)len,
                           .seq_at = (size_t)at,
                           .blob = closed ? NULL : blob,
                           .blob_len = closed ? 0 : strlen(blob)};
    struct position pos = {n, n, 1};
    store_batch_transition(batch, &pos, &t);
    store_batch_cursor(batch, &pos);
}

static void put_rows(struct bench *b, unsigned n)
{
    struct store_batch *batch = store_batch_new();
    if (b->rows == 0)
        store_batch_epoch(batch, 1);
    while (n-- > 0 && b->rows < ROWS)
        put_row(b, batch);
    store_commit(b->store, batch, NULL, NULL);
}

/* -- what tell appends --------------------------------------------------------------------------- */

static int append(void *ctx, const struct record *r)
{
    struct bench *b = ctx;
    unsigned n = 0;
    pthread_mutex_lock(&b->lock);
    if (r->type == RECORD_COMMAND) {
        char topic[64];
        snprintf(topic, sizeof(topic), "%.*s", (int)r->topic_len, r->topic);
        if (sscanf(topic, "wy1/c1/gw.all.1.%u/ack", &n) == 1 && n < COMMANDS)
            b->commands[n]++;
    }
    b->presences += r->type == RECORD_PRESENCE;
    b->streams += r->type == RECORD_STREAM;
    pthread_mutex_unlock(&b->lock);
    return 0;
}

static unsigned commands_there(struct bench *b)
{
    unsigned n = 0;
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < COMMANDS; i++)
        n += b->commands[i] > 0;
    pthread_mutex_unlock(&b->lock);
    return n;
}

/* -- what happens -------------------------------------------------------------------------------- */

static int say(struct bench *b, const char *topic, const char *payload, bool retain)
{
    struct mqtt_out o = {
        .topic = topic, .payload = payload, .len = strlen(payload), .qos = 1, .retain = retain};
    return mqtt_send(b->firm.m, &o);
}

static int say_command(struct bench *b, unsigned i)
{
    char topic[80];
    snprintf(topic, sizeof(topic), "gaihou/v1/cmd/wy1/c1/gw.all.1.%u/ack", i);
    return say(b, topic, "{}", false);
}

static void firm_speaks(struct bench *b)
{
    if (b->sent % 20 == 7) {
        (void)say(b, "gaihou/v1/presence/wy1",
                  b->sent % 40 == 7 ? "{\"state\":\"online\"}" : "{\"state\":\"offline\"}",
                  true);
        (void)say(b, "gaihou/v1/snapshot/wy1", "", false);
    }
    b->sent += say_command(b, b->sent) == 0;
}

/* What was under way when the broker went, and never came to its answer. */
static void firm_repeats(struct bench *b)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        pthread_mutex_lock(&b->lock);
        bool there = b->commands[i] > 0;
        pthread_mutex_unlock(&b->lock);
        if (!there)
            say_command(b, i);
    }
}

static bool is_over(struct bench *b)
{
    struct store_stats s;
    struct tell_stats t;
    store_stats(b->store, &s);
    tell_stats(b->tell, &t);
    return b->rows == ROWS && b->sent == COMMANDS && s.outbox_rows == 0 && t.reconciled &&
           store_waiting_bytes(b->store) == 0 && commands_there(b) == COMMANDS;
}

static void stopped(void *ctx)
{
    struct bench *b = ctx;
    loop_timer_stop(b->timer);
    loop_stop(b->loop);
}

static void turn(void *ctx)
{
    struct bench *b = ctx;
    struct tell_stats t;
    tell_stats(b->tell, &t);
    if (now_s() - b->began > 60 * PATIENCE)
        fail_msg("%u rows of %u told, %u commands sent, %s", (unsigned)t.told, b->rows, b->sent,
                 t.problem);
    if (b->turns++ % 100 == 0)
        tell_second(b->tell, b->turns % 200 == 1 ? "{\"a\":1}" : "{\"a\":2}", 7);
    if (b->stopping)
        return;
    if (b->rows < ROWS && b->turns % 4 == 0)
        put_rows(b, 5);
    if (b->sent < COMMANDS && t.reconciled && stats(b->firm.m).subscribed)
        firm_speaks(b);
    if (b->sent == COMMANDS && b->turns % 200 == 0)
        firm_repeats(b);
    if (b->sent == COMMANDS / 2 && b->restarts == 0) { /* with messages under way */
        b->restarts++;
        broker_kill(&b->broker, SIGTERM);
        broker_run(&b->broker);
    }
    if (is_over(b)) {
        b->stopping = true;
        tell_stop(b->tell, 5000, stopped, b);
    }
}

static unsigned newest_heard(struct log *l)
{
    unsigned seq = 0, newest = 0;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n; i++)
        if (sscanf(l->seen[i].payload, "{\"v\":1,\"seq\":%u,", &seq) == 1 && seq > newest)
            newest = seq;
    pthread_mutex_unlock(&l->lock);
    return newest;
}

/* Each number was heard, in order but for repeats, and what was sent twice was the same. */
static void judge_events(struct log *l)
{
    static char heard[ROWS + 1][64];
    unsigned next = 1;
    pthread_mutex_lock(&l->lock); /* answers may still come */
    for (size_t i = 0; i < l->n; i++) {
        unsigned seq = 0;
        const struct seen *s = &l->seen[i];
        if (strncmp(s->topic, "gaihou/v1/events/", 17) != 0)
            continue;
        assert_int_equal(sscanf(s->payload, "{\"v\":1,\"seq\":%u,", &seq), 1);
        assert_true(seq >= 1 && seq <= next);
        if (seq < next) {
            assert_string_equal(heard[seq], s->payload);
            continue;
        }
        memcpy(heard[next++], s->payload, sizeof(s->payload));
    }
    pthread_mutex_unlock(&l->lock);
    assert_int_equal(next, ROWS + 1);
}

static void test_everything_at_once(void **state)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    struct store_opened opened;
    struct err err = {{0}};
    static const struct mqtt_filter events[] = {{"gaihou/v1/events/#", 1},
                                                {"gaihou/v1/reply/#", 1}};
    char *path = mem_printf("%s/store.db", dir);
    (void)state;
    pthread_mutex_init(&b->lock, NULL);
    broker_start(&b->broker, NULL);
    open_site(b);
    b->began = now_s();
    b->loop = loop_new();
    struct store_options o = {path, 64u << 20, 1000, 400u * 86400u, false};
    if (store_open(b->loop, &o, &err, &opened, &b->store) != 0)
        fail_msg("%s", err.text);
    struct tell_options t = {.loop = b->loop,
                             .store = b->store,
                             .conf = b->conf,
                             .gateway = "gw",
                             .epoch = 1,
                             .append = append,
                             .ctx = b};
    if (tell_open(&t, &err, &b->tell) != 0)
        fail_msg("%s", err.text);
    tell_start(b->tell, b->world);
    client_url(&b->firm, 0, "mqtt", "127.0.0.1", b->broker.port);
    client_open(&b->firm, (struct mqtt_options){.filters = events, .n_filters = 2});
    WAIT(stats(b->firm.m).subscribed, 15);
    b->timer = loop_timer_new(b->loop, turn, b);
    loop_timer_start(b->timer, TURN_MS, TURN_MS);
    loop_run(b->loop);
    WAIT(newest_heard(b->firm.log) == ROWS, 10);
    tell_close(b->tell);
    store_close(b->store);
    loop_timer_free(b->timer);
    loop_free(b->loop);
    judge_events(b->firm.log);
    client_close(&b->firm);
    assert_int_equal(commands_there(b), COMMANDS);
    assert_true(b->presences > 0);
    assert_int_equal(b->streams, 0); /* the epoch of the store stays: nothing new to record */
    assert_int_equal(b->restarts, 1);
    broker_kill(&b->broker, SIGKILL);
    world_free(b->world);
    conf_free(b->conf);
    pthread_mutex_destroy(&b->lock);
    free(path);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_at_once)};
    if (access("/usr/sbin/mosquitto", X_OK) != 0) {
        print_message("mosquitto is not installed: skipped\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
