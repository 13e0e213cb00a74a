/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline: generations of an earlier version that this one would not take any more. The later
 * version is played: it finds fault with one catalogue. */
#define RIG_OWN                                                                                \
    char why[1024];                                                                            \
    unsigned refusals;
#include "app/pipeline_private.h"
#include "pipeline_rig.h"

#include "io/content.h"

static enum { AS_IT_WAS, STRICTER, CANNOT } version;

int __real_world_open(const char *bundle, size_t len, struct problems *problems,
                      struct world **out);
int __wrap_world_open(const char *bundle, size_t len, struct problems *problems,
                      struct world **out);
int __wrap_world_open(const char *bundle, size_t len, struct problems *problems,
                      struct world **out)
{
    if (memmem(bundle, len, "of old", 6)) {
        problems_warn(problems, "/etc/t/catalog.yaml", 1, 1, "seldom meant");
        if (version == STRICTER)
            problems_verdict(problems, "/etc/t/catalog.yaml", 2, 3, "not so any more");
        else if (version == CANNOT)
            problems_add(problems, "/etc/t/catalog.yaml", 2, 3, "no such thing");
        if (problems_errors(problems))
            return -EINVAL;
    }
    return __real_world_open(bundle, len, problems, out);
}

static struct small_world texts(const char *catalog)
{
    return (struct small_world){.conf =
                                    "gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n"
                                    "sources: [{profile: gaihou-json, broker: a}]\n"
                                    "sinks: [{id: s, type: victoriametrics, url: http://h}]\n",
                                .catalog = catalog,
                                .compounds = "compound,name\nc1,一村\n",
                                .devices = "device,source_id,kind,compound\nd1,s1,sump,c1\n"};
}

#define CATALOG                                                                                \
    "kinds:\n  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"                         \
    "      level: {type: float, unit: m, zh: 水位, en: Level}\n"
static const char of_old[] = CATALOG "# of old\n", of_now[] = CATALOG;

static struct world *old_world(void)
{
    const struct small_world t = texts(of_old);
    struct world *w = small_world(&t);
    assert_non_null(w);
    return w;
}

static struct world *new_world(void)
{
    const struct small_world t = texts(of_now);
    struct world *w = small_world(&t);
    assert_non_null(w);
    return w;
}

static void keep_old(const struct rig *r, char hex[CONTENT_HEX + 1])
{
    const struct small_world t = texts(of_old);
    struct buf zone, b;
    buf_init(&zone, 1 << 20);
    buf_init(&b, 1 << 20);
    assert_int_equal(small_world_bundle(&t, &zone, &b), 0);
    assert_int_equal(content_put(r->contents, b.data, b.len, hex), 0);
    buf_done(&b);
    buf_done(&zone);
}

static void on_refused(void *ctx, const char *why)
{
    struct rig *r = ctx;
    (void)snprintf(r->why, sizeof(r->why), "%s", why);
    r->refusals++;
    loop_stop(r->loop);
}

static void stopped(void *ctx)
{
    loop_stop(((struct rig *)ctx)->loop);
}

static void message(struct rig *r, const char *id)
{
    char body[64];
    (void)snprintf(body, sizeof(body), "{\"id\":\"%s\",\"level\":%d.5}", id, *id - 'a');
    append(r, RECORD_MESSAGE, "gaihou/v1/up/c1/d1", body);
}

static void append_generation(struct rig *r, const char *hex)
{
    char body[6 + CONTENT_HEX];
    uint64_t end;
    memcpy(body, "world", 6);
    memcpy(body + 6, hex, CONTENT_HEX);
    struct record record = {.type = RECORD_GENERATION,
                            .broker = 255,
                            .topic = "",
                            .body = body,
                            .body_len = sizeof(body)};
    assert_int_equal(journal_append(r->journal, &record, &end), 0);
    pipeline_notify(r->pipeline);
}

/* A life under the old generation, with a clean end: its snapshot names it. */
static void live_then(struct rig *r, char hex[CONTENT_HEX + 1])
{
    version = AS_IT_WAS;
    r->conf.sync_interval_ns = 10000000;
    r->world = old_world;
    r->refused = on_refused;
    keep_old(r, hex);
    begin(r);
    start(r);
    append_generation(r, hex);
    message(r, "a");
    message(r, "b");
    pipeline_stop(r->pipeline, stopped, r);
    run_until(r, 10000);
    assert_false(r->too_late);
    end(r);
    r->world = new_world;
}

static uint64_t decoded(const struct rig *r)
{
    struct ledger_row total;
    ledger_total(engine_ledger(pipeline_engine(r->pipeline)), &total);
    return total.n[LEDGER_DECODED];
}

static void what_is_only_judged_goes_on(void **state)
{
    struct rig *r = *state;
    char hex[CONTENT_HEX + 1];
    live_then(r, hex);
    version = STRICTER;
    begin(r);
    assert_string_equal(engine_world(pipeline_engine(r->pipeline))->hash, hex);
    assert_int_equal(decoded(r), 2); /* its state is there */
    end(r);
}

/* Neither is the state lost nor anything passed; the version before finds all as it left it. */
static void what_cannot_be_opened_is_left_alone(void **state)
{
    struct rig *r = *state;
    struct err err = {""};
    char hex[CONTENT_HEX + 1];
    live_then(r, hex);
    version = CANNOT;
    assert_int_equal(try_begin(r, &err), -EINVAL);
    if (!strstr(err.text, hex) ||
        !strstr(err.text, "/etc/t/catalog.yaml:2:3: error: no such thing") ||
        !strstr(err.text, r->contents))
        fail_msg("%s", err.text);
    end(r);

    version = AS_IT_WAS;
    begin(r);
    assert_string_equal(engine_world(pipeline_engine(r->pipeline))->hash, hex);
    assert_int_equal(decoded(r), 2);
    end(r);
}

/* A person's word that it may be passed under today's files. */
static void moved_away_it_is_gone(void **state)
{
    struct rig *r = *state;
    char hex[CONTENT_HEX + 1], *path;
    live_then(r, hex);
    version = CANNOT;
    path = mem_printf("%s/%s", r->contents, hex);
    assert_int_equal(unlink(path), 0);
    free(path);
    begin(r);
    assert_string_not_equal(engine_world(pipeline_engine(r->pipeline))->hash, hex);
    start(r);
    for (int i = 0; i < 600 && decoded(r) < 2; i++)
        run_until(r, 100);
    run_until(r, 100);
    assert_int_equal(decoded(r), 2); /* from the journal's beginning */
    end(r);
}

static void at_its_record_it_stops(void **state)
{
    struct rig *r = *state;
    char hex[CONTENT_HEX + 1];
    r->world = new_world;
    r->refused = on_refused;
    keep_old(r, hex);
    begin(r);
    start(r);
    message(r, "a");
    run_until(r, 100);
    version = CANNOT;
    append_generation(r, hex);
    message(r, "b");
    run_until(r, 10000);
    assert_int_equal(r->refusals, 1);
    assert_int_equal(decoded(r), 1); /* what stands behind it waits for who can read it */
    if (!strstr(r->why, "no such thing"))
        fail_msg("%s", r->why);
    end(r);
}

/* Where it is of. */
static uint64_t take_snapshot(struct rig *r)
{
    struct pipeline_stats s;
    pipeline_stats(r->pipeline, &s);
    uint64_t before = s.snapshots;
    pipeline_snapshot_begin(r->pipeline);
    for (int i = 0; i < 1000 && s.snapshots == before; i++) {
        run_until(r, 20);
        pipeline_stats(r->pipeline, &s);
    }
    assert_true(s.snapshots > before);
    return s.snapshot.offset;
}

/* A journal that has no room takes no mark of the stop: the last snapshot may be of its end already, and
 * then none follows that the stop could wait for. */
static void stops_where_the_last_snapshot_is(void **state)
{
    struct rig *r = *state;
    bool at_end = false;
    version = AS_IT_WAS;
    r->world = new_world;
    r->conf.sync_interval_ns = 10000000;
    begin(r);
    start(r);
    message(r, "a");
    run_until(r, 100);
    for (int i = 0; i < 50 && !at_end; i++) /* places that are due write records, too */
        at_end = take_snapshot(r) == journal_end(r->journal);
    assert_true(at_end);
    pipeline_stop(r->pipeline, stopped, r);
    run_until(r, 10000);
    assert_false(r->too_late);
    end(r);
}

/* The journal's folder is lost, the snapshot is not: it knows more messages than the journal does. */
static void nothing_is_unread_of_a_lost_journal(void **state)
{
    struct rig *r = *state;
    char hex[CONTENT_HEX + 1];
    struct pipeline_stats s;
    live_then(r, hex);
    char *cmd = mem_printf("rm -rf %s", r->journal_dir);
    assert_int_equal(system(cmd), 0);
    free(cmd);
    begin(r);
    assert_int_equal(engine_messages(pipeline_engine(r->pipeline)), 2);
    pipeline_stats(r->pipeline, &s);
    assert_int_equal(s.unread, 0);
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_only_judged_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(moved_away_it_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(at_its_record_it_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(stops_where_the_last_snapshot_is, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_unread_of_a_lost_journal, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
