/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_PIPELINE_RIG_H
#define UNIT_PIPELINE_RIG_H
/* pipeline_rig — a gateway without brokers and sinks: a pipeline between a real journal and a real
 * store, in a folder of its own. The test says first what else it keeps of a run: RIG_OWN, members of
 * struct rig. */
#include "unit.h"

#include "app/pipeline.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/snapshot.h"
#include "small_world.h"

#include <stdlib.h>
#include <unistd.h>

struct rig {
    char dir[64], journal_dir[96], snapshots[96], contents[96], store_path[96];
    struct conf_journal conf;
    struct loop *loop;
    struct journal *journal;
    struct store *store;
    struct store_opened opened;
    struct pipeline *pipeline;
    struct loop_timer *late;
    void (*reply)(void *ctx, uint64_t origin, enum case_answer answer, const char *json,
                  size_t len);
    bool too_late;
    const char *fatal;
    struct world *(*world)(void); /* NULL: make_world */
    void (*refused)(void *ctx, const char *why);
    RIG_OWN
};

static inline struct world *make_world(void)
{
    static const char conf[] = "gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n"
                               "sources: [{profile: gaihou-json, broker: a}]\n"
                               "sinks: [{id: s, type: victoriametrics, url: http://h}]\n";
    static const char catalog[] =
        "kinds:\n  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
        "      level: {type: float, unit: m, zh: 水位, en: Level}\n";
    static const char compounds[] = "compound,name\nc1,一村\n";
    static const char devices[] = "device,source_id,kind,compound\nd1,s1,sump,c1\n";
    struct world *w =
        small_world(&(struct small_world){conf, catalog, compounds, .devices = devices});
    assert_non_null(w);
    return w;
}

static inline void on_fatal(void *ctx, const char *why)
{
    struct rig *r = ctx;
    print_message("fatal: %s\n", why);
    r->fatal = "yes";
    loop_stop(r->loop);
}

static inline void on_late(void *ctx)
{
    struct rig *r = ctx;
    r->too_late = true;
    loop_stop(r->loop);
}

/* Seconds only bound a hang: a busy machine has more. Less than that is how long it runs. */
static inline void run_until(struct rig *r, uint64_t ms)
{
    r->too_late = false;
    loop_timer_start(r->late, ms >= 5000 ? 6 * ms : ms, 0);
    loop_run(r->loop);
    loop_timer_stop(r->late);
}

/* Returns its end. */
static inline uint64_t append(struct rig *r, enum record_type type, const char *topic,
                              const char *body)
{
    uint64_t end;
    struct record record = {.type = type,
                            .broker = type == RECORD_MESSAGE ? 0 : 255,
                            .topic = topic,
                            .topic_len = strlen(topic),
                            .body = body,
                            .body_len = strlen(body)};
    assert_int_equal(journal_append(r->journal, &record, &end), 0);
    if (r->pipeline)
        pipeline_notify(r->pipeline);
    return end;
}

/* As pipeline_open says. */
static inline int try_begin(struct rig *r, struct err *out_err)
{
    struct err err = {""};
    struct journal_recovery rec;
    struct store_options so = {r->store_path, 1 << 20, 100, 0, false};
    r->loop = loop_new();
    r->late = loop_timer_new(r->loop, on_late, r);
    assert_int_equal(store_open(r->loop, &so, &err, &r->opened, &r->store), 0);
    struct journal_options jo = {.dir = r->journal_dir,
                                 .max_bytes = 64 << 20,
                                 .segment_bytes = 1 << 20,
                                 .sync = CONF_SYNC_INTERVAL,
                                 .known = r->opened.cursor.offset,
                                 .known_engine_ns = r->opened.cursor.tick};
    assert_int_equal(journal_open(&jo, &err, &rec, &r->journal), 0);
    struct snapshots *snapshots = NULL;
    assert_int_equal(snapshots_open(r->snapshots, &snapshots), 0);
    struct pipeline_options po = {.loop = r->loop,
                                  .journal = r->journal,
                                  .store = r->store,
                                  .store_cursor = r->opened.cursor,
                                  .store_fresh = r->opened.fresh,
                                  .epoch_from = r->opened.epoch_from,
                                  .snapshots = snapshots,
                                  .snapshot_dir = r->snapshots,
                                  .content_dir = r->contents,
                                  .conf = &r->conf,
                                  .world = r->world ? r->world() : make_world(),
                                  .fatal = on_fatal,
                                  .refused = r->refused,
                                  .reply = r->reply,
                                  .ctx = r};
    int e = pipeline_open(&po, out_err, &r->pipeline);
    snapshots_close(snapshots);
    return e;
}

static inline void begin(struct rig *r)
{
    struct err err = {""};
    if (try_begin(r, &err) != 0)
        fail_msg("%s", err.text);
}

static inline void start(struct rig *r)
{
    append(r, RECORD_START, "", "");
    pipeline_start(r->pipeline);
}

/* As if it had been killed: nothing is flushed but what the store has. */
static inline void end(struct rig *r)
{
    pipeline_close(r->pipeline);
    r->pipeline = NULL;
    store_close(r->store);
    assert_int_equal(journal_close(r->journal), 0);
    loop_timer_free(r->late);
    loop_free(r->loop);
    r->loop = NULL;
    assert_null(r->fatal);
}

static inline int setup(void **state)
{
    struct rig *r = mem_zalloc(sizeof(*r));
    (void)snprintf(r->dir, sizeof(r->dir), "/tmp/test_pipeline.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->journal_dir, sizeof(r->journal_dir), "%s/journal", r->dir);
    (void)snprintf(r->snapshots, sizeof(r->snapshots), "%s/snapshots", r->dir);
    (void)snprintf(r->contents, sizeof(r->contents), "%s/contents", r->dir);
    (void)snprintf(r->store_path, sizeof(r->store_path), "%s/store.db", r->dir);
    assert_int_equal(file_make_dir(r->journal_dir), 0);
    assert_int_equal(file_make_dir(r->snapshots), 0);
    assert_int_equal(file_make_dir(r->contents), 0);
    r->conf = (struct conf_journal){.max_bytes = 64 << 20,
                                    .segment_bytes = 1 << 20,
                                    .sync = CONF_SYNC_INTERVAL,
                                    .sync_interval_ns = UINT64_C(60000000000)};
    *state = r;
    return 0;
}

static inline int teardown(void **state)
{
    struct rig *r = *state;
    char *cmd = mem_printf("rm -rf %s", r->dir);
    int rc = system(cmd);
    free(cmd);
    free(r);
    return rc;
}

#endif
