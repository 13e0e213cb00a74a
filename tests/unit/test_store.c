/* SPDX-License-Identifier: Apache-2.0 */
/* store: what is kept, what is counted instead, and what a kill leaves behind. */
/* tsan: yes */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BENCH_OWN                                                                              \
    json_t *json;                                                                              \
    uint64_t ids[5000], n_letters;                                                             \
    char last_topic[64];
#include "store_rig.h"

static int teardown(void **state)
{
    struct bench *b = *state;
    store_close(b->store); /* what it still answers, it answers now */
    b->store = NULL;
    json_decref(b->json);
    return bench_end(b);
}

static int open_with(struct bench *b, uint64_t bytes, uint64_t devices, struct err *err)
{
    struct store_options o = {b->path, bytes, devices, 0, false};
    return store_open(b->loop, &o, err, &b->opened, &b->store);
}

static void open_store(struct bench *b)
{
    struct err err = {""};
    int code = open_with(b, 64u << 20, 1000, &err);
    if (code)
        fail_msg("%s", err.text);
}

static void on_json(void *ctx, int status, const char *json, size_t len)
{
    struct bench *b = ctx;
    b->status = status;
    json_decref(b->json);
    b->json = status ? NULL : json_loadb(json, len, 0, NULL);
    ended(b);
}

static json_t *ask(struct bench *b, enum store_query q, struct store_filter f)
{
    b->pending++;
    store_ask(b->store, q, &f, on_json, b);
    wait_all(b);
    return b->json;
}

static struct store_letter letter(uint64_t offset, const char *topic, const char *payload)
{
    return (struct store_letter){
        .at = {offset, 7, 0},
        .record_offset = offset,
        .wall_ns = 1800000000000000000 + (int64_t)offset * 1000000,
        .engine_ns = offset,
        .reason = "bad_json",
        .detail = "not JSON",
        .broker = "main",
        .topic = topic,
        .topic_len = strlen(topic),
        .payload = payload,
        .payload_len = strlen(payload),
        .flags = 1,
    };
}

static void put_dead(struct bench *b, uint64_t offset, const char *topic, const char *payload)
{
    struct store_batch *batch = store_batch_new();
    struct store_letter l = letter(offset, topic, payload);
    store_batch_dead(batch, &l);
    struct position at = {offset, 7, 0};
    store_batch_cursor(batch, &at);
    commit_later(b, batch);
}

static void put_unknown(struct bench *b, uint64_t offset, const char *topic, const char *device)
{
    struct store_batch *batch = store_batch_new();
    struct store_letter l = letter(offset, topic, "{\"v\":1}");
    l.reason = "unknown_device";
    l.device = device;
    l.device_len = strlen(device);
    l.compound = "cq-1";
    store_batch_quarantine(batch, &l);
    commit_later(b, batch);
}

static struct store_stats stats(struct bench *b)
{
    struct store_stats s;
    store_stats(b->store, &s);
    return s;
}

static int64_t lost(struct bench *b, const char *reason)
{
    int64_t n = 0;
    size_t i;
    json_t *v;
    json_array_foreach(
        json_object_get(ask(b, STORE_COUNTS, (struct store_filter){0}), "not_kept"), i, v)
    {
        if (strcmp(json_string_value(json_object_get(v, "reason")), reason) == 0)
            n += json_integer_value(json_object_get(v, "n"));
    }
    return n;
}

static void keeps_and_tells(void **state)
{
    struct bench *b = *state;
    open_store(b);
    assert_true(b->opened.fresh);
    for (uint64_t i = 1; i <= 5; i++)
        put_dead(b, i * 100, "gaihou/v1/x", i == 3 ? "\xff\x01" : "水位");
    put_dead(b, 500, "gaihou/v1/x", "again"); /* a replayed batch: not twice */
    struct store_batch *batch = store_batch_new();
    struct store_line line = {"influx", 9,     2, 1800000000000000000, "parse", "no field",
                              400,      "a b", 3};
    store_batch_line(batch, &line);
    store_batch_line(batch, &line);
    commit_later(b, batch);
    wait_all(b);
    assert_int_equal(b->status, 0);
    assert_int_equal(stats(b).dead_rows, 6);
    assert_int_equal(store_waiting_bytes(b->store), 0);
    reopen(b);
    assert_false(b->opened.fresh);
    assert_int_equal(b->opened.cursor.offset, 500);
    assert_int_equal(b->opened.cursor.tick, 7);
    json_t *rows = json_object_get(ask(b, STORE_DEAD_LIST, (struct store_filter){0}), "dead");
    assert_int_equal(json_array_size(rows), 6);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "kind")),
                        "line");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "payload")),
                        "水位");
    json_t *one = ask(b, STORE_DEAD_SHOW, (struct store_filter){.id = 3});
    assert_true(json_is_null(json_object_get(one, "payload")));
    assert_string_equal(json_string_value(json_object_get(one, "payload_base64")), "/wE=");
    ask(b, STORE_DEAD_SHOW, (struct store_filter){.id = 99});
    assert_int_equal(b->status, -ENOENT);
    assert_int_equal(stats(b).failed, 0);
    json_t *page = ask(b, STORE_DEAD_LIST, (struct store_filter){.limit = 2, .before = 3});
    assert_int_equal(json_array_size(json_object_get(page, "dead")), 2);
    json_t *some = ask(b, STORE_DEAD_PURGE, (struct store_filter){.reason = "parse"});
    assert_int_equal(json_integer_value(json_object_get(some, "purged")), 1);
    some = ask(b, STORE_DEAD_PURGE, (struct store_filter){.topic_prefix = "gaihou/v1/"});
    assert_int_equal(json_integer_value(json_object_get(some, "purged")), 5);
    assert_int_equal(stats(b).dead_bytes, 0);
}

static void dead_ceiling(void **state)
{
    struct bench *b = *state;
    struct err err;
    assert_int_equal(open_with(b, 100000, 10, &err), 0);
    char *payload = mem_zalloc(1001), topic[32];
    memset(payload, 'x', 1000);
    for (uint64_t i = 1; i <= 300; i++) {
        snprintf(topic, sizeof(topic), "a/%d/t", (int)(i % 10));
        put_dead(b, i, topic, payload);
    }
    wait_all(b);
    free(payload);
    struct store_stats s = stats(b);
    assert_true(s.dead_bytes <= 100000 && s.dead_bytes > 95000);
    assert_int_equal(s.dead_rows + s.dead_not_kept, 300);
    ask(b, STORE_DEAD_SHOW, (struct store_filter){.id = 1}); /* the oldest stay */
    assert_int_equal(b->status, 0);
    ask(b, STORE_DEAD_SHOW, (struct store_filter){.id = 300}); /* and the newest */
    assert_int_equal(b->status, 0);
    assert_int_equal(lost(b, "bad_json"), s.dead_not_kept);
}

static void dead_rate(void **state)
{
    struct bench *b = *state;
    open_store(b);
    char *payload = mem_zalloc(10001);
    memset(payload, 'x', 10000);
    for (uint64_t i = 1; i <= 300; i++)
        put_dead(b, i, "loud/source/a", payload);
    put_dead(b, 400, "calm/source/a", payload);
    wait_all(b);
    free(payload);
    struct store_stats s = stats(b);
    assert_true(s.dead_bytes < (1u << 20) + 20000);
    assert_true(s.dead_not_kept > 150);
    assert_int_equal(s.dead_rows + s.dead_not_kept, 301);
    json_t *calm = ask(b, STORE_DEAD_LIST, (struct store_filter){.topic_prefix = "calm/"});
    assert_int_equal(json_array_size(json_object_get(calm, "dead")), 1);
}

static void quarantine_table(void **state)
{
    struct bench *b = *state;
    struct err err;
    assert_int_equal(open_with(b, 64u << 20, 100, &err), 0);
    char device[200];
    uint64_t at = 1;
    for (int i = 0; i < 50; i++)
        put_unknown(b, at++, "p/q/tele", "pump-1");
    for (int i = 0; i < 60; i++) { /* one source may fill a quarter */
        snprintf(device, sizeof(device), "flood-%d", i);
        put_unknown(b, at++, "evil/one/t", device);
    }
    memset(device, 'd', 199);
    device[199] = '\0';
    put_unknown(b, at++, "p/q/tele", device);   /* cut to 128 bytes */
    put_unknown(b, at - 1, "p/q/tele", device); /* replayed */
    wait_all(b);
    struct store_stats s = stats(b);
    assert_int_equal(s.quarantine_devices, 1 + 25 + 1);
    assert_int_equal(s.quarantine_rows, 20 + 25 + 1);
    assert_int_equal(s.quarantine_not_kept, 30 + 35);
    assert_int_equal(lost(b, "older_sample"), 30);
    assert_int_equal(lost(b, "source_full"), 35);
    json_t *d = ask(b, STORE_QUARANTINE_SHOW, (struct store_filter){.device = "pump-1"});
    assert_int_equal(json_integer_value(json_object_get(d, "messages")), 50);
    json_t *samples = json_object_get(d, "samples");
    assert_int_equal(json_array_size(samples), 20);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(samples, 0), "offset")),
                     50);
    d = ask(b, STORE_QUARANTINE_PURGE, (struct store_filter){.topic_prefix = "evil/"});
    assert_int_equal(json_integer_value(json_object_get(d, "purged")), 25);
    assert_int_equal(stats(b).quarantine_devices, 2);
    put_unknown(b, at++, "evil/one/t", "flood-99"); /* its share is free again */
    wait_all(b);
    assert_int_equal(stats(b).quarantine_devices, 3);
}

static void on_letter(void *ctx, uint64_t id, const struct store_letter *l)
{
    struct bench *b = ctx;
    assert_true(b->n_letters == 0 || id > b->ids[b->n_letters - 1]);
    assert_string_equal(l->broker, "main");
    assert_int_equal(l->payload_len, 7);
    b->ids[b->n_letters++] = id;
}

static void on_letters(void *ctx, int status, uint64_t n)
{
    struct bench *b = ctx;
    b->status = status;
    assert_int_equal(n, b->n_letters);
    ended(b);
}

static void letters(struct bench *b, bool quarantine, struct store_filter f)
{
    b->n_letters = 0;
    b->pending++;
    store_letters(b->store, quarantine, &f, on_letter, on_letters, b);
    wait_all(b);
}

static void replays(void **state)
{
    struct bench *b = *state;
    open_store(b);
    struct store_batch *batch = store_batch_new();
    for (uint64_t i = 1; i <= 2500; i++) { /* several chunks */
        struct store_letter l = letter(i, "a/b/c", "{\"v\":1}");
        store_batch_dead(batch, &l);
    }
    commit_later(b, batch);
    put_unknown(b, 9000, "p/q", "pump-1");
    put_unknown(b, 9001, "p/q", "pump-2");
    wait_all(b);
    letters(b, false, (struct store_filter){.limit = 1500}); /* ends within a chunk */
    assert_int_equal(b->n_letters, 1500);
    letters(b, false, (struct store_filter){0});
    assert_int_equal(b->n_letters, 2500);
    b->pending++;
    store_mark_replayed(b->store, false, b->ids, 2400, on_commit, b);
    wait_all(b);
    letters(b, false, (struct store_filter){.limit = 60});
    assert_int_equal(b->n_letters, 60);
    letters(b, false, (struct store_filter){0});
    assert_int_equal(b->n_letters, 100);
    letters(b, true, (struct store_filter){.device = "pump-2"});
    assert_int_equal(b->n_letters, 1);
    b->pending++;
    store_mark_replayed(b->store, true, b->ids, 1, on_commit, b);
    wait_all(b);
    assert_int_equal(b->status, 0);
    assert_int_equal(stats(b).quarantine_devices, 1);
    assert_int_equal(stats(b).quarantine_rows, 1);
}

static void on_refused_line(void *ctx, uint64_t id, const struct store_letter *l)
{
    struct bench *b = ctx;
    assert_int_equal(l->payload_len, 7);
    assert_memory_equal(l->payload, "a b=1 2", 7);
    assert_int_equal(l->device_len, 6);
    assert_memory_equal(l->device, "influx", 6);
    b->ids[b->n_letters++] = id;
}

static void lines_of(struct bench *b, struct store_filter f)
{
    f.lines = true;
    b->n_letters = 0;
    b->pending++;
    store_letters(b->store, false, &f, on_refused_line, on_letters, b);
    wait_all(b);
    assert_int_equal(b->status, 0);
}

static void mark(struct bench *b, const uint64_t *ids, size_t n)
{
    b->pending++;
    store_mark_replayed(b->store, false, ids, n, on_commit, b);
    wait_all(b);
    assert_int_equal(b->status, 0);
}

/* A line is counted as retaken once, however often it is marked, and over a restart. */
static void lines_are_taken_again(void **state)
{
    struct bench *b = *state;
    open_store(b);
    struct store_batch *batch = store_batch_new();
    struct store_line line = {"influx", 9,         1, 1800000000000000000, "field_type", "no",
                              400,      "a b=1 2", 7};
    struct store_letter l = letter(1, "a/b/c", "{\"v\":1}");
    for (line.line = 1; line.line <= 5; line.line++)
        store_batch_line(batch, &line);
    line.sink = "other";
    store_batch_line(batch, &line);
    store_batch_dead(batch, &l);
    commit_later(b, batch);
    wait_all(b);
    assert_int_equal(stats(b).retaken[0].lines, 0);
    lines_of(b, (struct store_filter){.device = "influx"});
    assert_int_equal(b->n_letters, 5);
    lines_of(b, (struct store_filter){.device = "influx", .reason = "parse"});
    assert_int_equal(b->n_letters, 0);
    lines_of(b, (struct store_filter){.device = "influx", .limit = 2});
    assert_int_equal(b->n_letters, 2);
    uint64_t ids[2] = {b->ids[0], b->ids[1]};
    mark(b, ids, 2);
    mark(b, ids, 2); /* as after a crash between the database and the mark */
    assert_string_equal(stats(b).retaken[0].sink, "influx");
    assert_int_equal(stats(b).retaken[0].lines, 2);
    lines_of(b, (struct store_filter){.device = "influx"});
    assert_int_equal(b->n_letters, 3);
    lines_of(b, (struct store_filter){.device = "influx", .id = ids[0]});
    assert_int_equal(b->n_letters, 0);
    reopen(b);
    assert_int_equal(stats(b).retaken[0].lines, 2);
    letters(b, false, (struct store_filter){0}); /* messages are another thing */
    assert_int_equal(b->n_letters, 1);
    mark(b, b->ids, 1);
    assert_string_equal(stats(b).retaken[1].sink, "");
    (void)ask(b, STORE_DEAD_PURGE, (struct store_filter){0});
    assert_int_equal(stats(b).retaken[0].lines, 2); /* what happened, happened */
}

/* A block's number comes again when its sink's log is lost or put back. */
static void another_line_of_that_name(void **state)
{
    struct bench *b = *state;
    static const struct store_line lines[] = {
        {"influx", 9, 1, 1800000000000000000, "field_type", "no", 400, "a b=1 2", 7},
        {"influx", 9, 1, 1800000000000000000, "field_type", "no", 400, "a b=3 4", 7}};
    open_store(b);
    for (unsigned i = 0; i < 4; i++) { /* each twice, as after a crash */
        struct store_batch *batch = store_batch_new();
        store_batch_line(batch, &lines[i / 2]);
        commit_later(b, batch);
        wait_all(b);
        assert_int_equal(b->status, 0);
        assert_int_equal(stats(b).dead_rows, i / 2 + 1);
    }
    assert_int_equal(stats(b).dead_not_kept, 0);
}

static json_int_t messages_of_first(struct bench *b)
{
    json_t *devices =
        json_object_get(ask(b, STORE_QUARANTINE_LIST, (struct store_filter){0}), "devices");
    return json_integer_value(json_object_get(json_array_get(devices, 0), "messages"));
}

static void put_again(struct bench *b, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++) {
        struct store_batch *batch = store_batch_new();
        struct store_letter l = letter(i, "p/q", "{\"v\":1}");
        l.reason = "unknown_device";
        l.device = "pump-1";
        l.device_len = 6;
        l.again = true;
        store_batch_quarantine(batch, &l);
        commit_later(b, batch);
    }
    wait_all(b);
}

/* A message that is tried again was not said again. */
static void quarantine_counts_messages_once(void **state)
{
    struct bench *b = *state;
    open_store(b);
    for (uint64_t i = 1; i <= 30; i++) /* of which 20 are kept */
        put_unknown(b, i, "p/q", "pump-1");
    wait_all(b);
    letters(b, true, (struct store_filter){.device = "pump-1"});
    assert_int_equal(b->n_letters, 20);
    b->pending++;
    store_mark_replayed(b->store, true, b->ids, 10, on_commit, b);
    wait_all(b);
    put_again(b, 101, 110);
    assert_int_equal(messages_of_first(b), 30);
    letters(b, true, (struct store_filter){.device = "pump-1"});
    b->pending++;
    store_mark_replayed(b->store, true, b->ids, b->n_letters, on_commit, b); /* all: it goes */
    wait_all(b);
    put_again(b, 201, 205);
    assert_int_equal(messages_of_first(b), 5); /* those that are known of */
}

static void close_answers_all(void **state)
{
    struct bench *b = *state;
    open_store(b);
    for (uint64_t i = 1; i <= 200; i++)
        put_dead(b, i, "a/b", "x");
    b->pending += 2;
    store_ask(b->store, STORE_COUNTS, &(struct store_filter){0}, on_json, b);
    store_letters(b->store, true, NULL, on_letter, on_letters, b);
    store_close(b->store);
    b->store = NULL;
    assert_int_equal(b->pending, 0);
    loop_run(b->loop); /* takes up the stop that the last answer asked for */
    open_store(b);
    assert_int_equal(b->opened.cursor.offset, 200);
    assert_int_equal(stats(b).dead_rows, 200);
}

static void write_file(const char *path, const char *mode, long at, const void *p, size_t n)
{
    FILE *f = fopen(path, mode);
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static void refuses(struct bench *b, int code, const char *word)
{
    struct err err = {""};
    assert_int_equal(open_with(b, 1000, 10, &err), code);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" lacks \"%s\"", err.text, word);
    b->store = NULL;
}

static void sql(struct bench *b, const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void damaged_and_foreign(void **state)
{
    struct bench *b = *state;
    char garbage[8192];
    memset(garbage, 'g', sizeof(garbage));
    write_file(b->path, "w", 0, garbage, sizeof(garbage));
    refuses(b, -EBADMSG, "damaged");
    assert_int_equal(access(b->path, F_OK), 0); /* left as it is */
    unlink(b->path);
    sql(b, "CREATE TABLE theirs(x)");
    refuses(b, -EBADMSG, "not a store of gaihou");
    unlink(b->path);
    open_store(b);
    put_dead(b, 1, "a/b", "x");
    wait_all(b);
    store_close(b->store);
    b->store = NULL;
    sql(b, "PRAGMA user_version=999");
    refuses(b, -EPROTONOSUPPORT, "newer");
    sql(b, "PRAGMA user_version=1");
    write_file(b->path, "r+", 100, garbage, 3000); /* the schema's page */
    refuses(b, -EBADMSG, "damaged");
    unlink(b->path);
    char wal[160];
    snprintf(wal, sizeof(wal), "%s-wal", b->path);
    write_file(wal, "w", 0, garbage, 100);
    refuses(b, -EBADMSG, "is gone");
    assert_int_equal(access(wal, F_OK), 0);
    snprintf(b->path, sizeof(b->path), "%s/nowhere/store.db", b->dir);
    refuses(b, -EACCES, "No such file");
}

/* The child writes down each commit that was answered; whatever it was told must be there. */
static void child_commits(struct bench *b, int fd, uint64_t from)
{
    struct err err;
    if (open_with(b, 1u << 30, 100, &err))
        _exit(3);
    for (uint64_t i = from;; i++) {
        struct store_batch *batch = store_batch_new();
        for (uint64_t k = 0; k < 4; k++) {
            struct store_letter l = letter(i * 10 + k, "a/b", "payload");
            store_batch_dead(batch, &l);
        }
        struct position at = {i, i, i};
        store_batch_cursor(batch, &at);
        commit_later(b, batch);
        wait_all(b);
        if (b->status || write(fd, &i, sizeof(i)) != sizeof(i))
            _exit(4);
    }
}

static void survives_kill(void **state)
{
    struct bench *b = *state;
    unsigned seed = (unsigned)getpid();
    printf("seed %u\n", seed);
    uint64_t told = 0;
    for (int round = 0; round < 12; round++) {
        int fds[2];
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0) {
            loop_free(b->loop); /* libuv's loop does not survive a fork */
            b->loop = loop_new();
            child_commits(b, fds[1], told + 1);
        }
        close(fds[1]);
        uint64_t want = told + 1 + (uint64_t)rand_r(&seed) % 20, got;
        while (told < want && read(fds[0], &got, sizeof(got)) == sizeof(got))
            told = got;
        usleep((useconds_t)rand_r(&seed) % 3000); /* somewhere inside a commit */
        kill(pid, SIGKILL);
        while (read(fds[0], &got, sizeof(got)) == sizeof(got))
            told = got;
        close(fds[0]);
        waitpid(pid, NULL, 0);
        open_store(b);
        uint64_t at = b->opened.cursor.offset;
        assert_true(at >= told && at <= told + 1);
        assert_int_equal(stats(b).dead_rows, at * 4);
        told = at;
        store_close(b->store);
        b->store = NULL;
    }
}

static void full_disk(void **state)
{
    struct bench *b = *state;
    char dir[96];
    snprintf(dir, sizeof(dir), "%s/small", b->dir);
    mkdir(dir, 0700);
    if (mount("none", dir, "tmpfs", 0, "size=1m") < 0)
        skip();
    snprintf(b->path, sizeof(b->path), "%s/store.db", dir);
    open_store(b);
    char *payload = mem_zalloc(50001);
    memset(payload, 'x', 50000);
    int ok = 0;
    for (uint64_t i = 1; i <= 100 && !b->status; i++) {
        put_dead(b, i, "a/b", payload);
        wait_all(b);
        ok += b->status == 0;
    }
    free(payload);
    assert_int_equal(b->status, -ENOSPC);
    assert_int_equal(stats(b).failed, -ENOSPC);
    assert_true(strlen(stats(b).problem) > 10);
    put_dead(b, 1000, "a/b", "x"); /* final, even if it would fit */
    wait_all(b);
    assert_int_equal(b->status, -ENOSPC);
    store_close(b->store);
    char cmd[160];
    b->store = NULL;
    open_store(b); /* what was told as committed is there */
    assert_int_equal(b->opened.cursor.offset, ok);
    store_close(b->store);
    b->store = NULL;
    snprintf(cmd, sizeof(cmd), "umount %s", dir);
    assert_int_equal(system(cmd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_and_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_ceiling, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_are_taken_again, setup, teardown),
        cmocka_unit_test_setup_teardown(another_line_of_that_name, setup, teardown),
        cmocka_unit_test_setup_teardown(quarantine_counts_messages_once, setup, teardown),
        cmocka_unit_test_setup_teardown(quarantine_table, setup, teardown),
        cmocka_unit_test_setup_teardown(replays, setup, teardown),
        cmocka_unit_test_setup_teardown(close_answers_all, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_and_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
