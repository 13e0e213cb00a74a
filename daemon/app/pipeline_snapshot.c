/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: the engine pauses while a pool job writes its state to a temporary file; then
 * sinks and store are made durable beyond it; only then is the file renamed into place, and the
 * journal below the second-newest snapshot released.
 */
#include "app/pipeline_private.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_NS      60000000000u
#define FIRST_RECORDS 64

/* -- taking one --------------------------------------------------------------------------- */

static void retire(struct pipeline *p)
{
    p->snap.state = SNAP_IDLE;
    p->snap.last_ns = loop_hrtime_ns();
    p->snap.last_offset = p->snap.at.offset;
    if (p->snap.failed) {
        log_error("snapshot: cannot be written: %s; the last one stays, the journal keeps all "
                  "since then",
                  strerror(-p->snap.failed));
        snapshot_abort(p->snap.writer);
    } else {
        p->stats.snapshots++;
        p->stats.snapshot = p->snap.at;
        p->stats.snapshot_ns_last = p->snap.last_ns - p->snap.began_ns;
    }
    p->snap.writer = NULL;
    if (p->stopping && p->running && p->read_to == journal_end(p->o.journal)) {
        p->running = false;
        p->stopped(p->stopped_ctx);
    }
}

static void commit_work(void *ctx)
{
    struct pipeline *p = ctx;
    uint64_t release = 0;
    p->snap.failed = snapshot_commit(p->snap.writer, &release);
    if (p->snap.failed == 0 && release > 0)
        (void)journal_release(p->o.journal, release, p->o.archive_dir); /* told by its stats */
}

static void commit_done(void *ctx)
{
    retire(ctx);
}

void pipeline_snapshot_flushed(void *ctx)
{
    struct pipeline *p = ctx;
    if (p->snap.state != SNAP_FLUSHING || --p->snap.flushes > 0)
        return;
    p->snap.state = SNAP_COMMITTING;
    loop_work(p->o.loop, commit_work, commit_done, p);
}

static int put_state(void *ctx, const void *bytes, size_t n)
{
    return snapshot_put(ctx, bytes, n);
}

static void save_work(void *ctx)
{
    struct pipeline *p = ctx;
    int r = snapshot_begin(p->o.snapshot_dir, &p->snap.writer);
    if (r == 0)
        r = engine_save(p->engine, put_state, p->snap.writer);
    if (r == 0)
        r = snapshot_seal(p->snap.writer, &p->snap.at);
    p->snap.failed = r;
}

static void save_done(void *ctx)
{
    struct pipeline *p = ctx;
    if (p->snap.failed) {
        retire(p);
    } else {
        p->snap.state = SNAP_FLUSHING;
        p->snap.flushes = (unsigned)p->o.n_sinks + 1;
        pipeline_hand_batch(p, true);
        for (size_t i = 0; i < p->o.n_sinks; i++)
            sink_flush(p->o.sinks[i], pipeline_snapshot_flushed, p);
    }
    pipeline_drain(p);
}

void pipeline_snapshot_begin(struct pipeline *p)
{
    p->snap.state = SNAP_SAVING;
    p->snap.at = engine_position(p->engine);
    p->snap.began_ns = loop_hrtime_ns();
    loop_work(p->o.loop, save_work, save_done, p);
}

void pipeline_snapshot_maybe(struct pipeline *p)
{
    if (p->snap.state != SNAP_IDLE || !p->running || p->read_to == p->snap.last_offset)
        return;
    bool due = loop_hrtime_ns() - p->snap.last_ns > EVERY_NS;
    bool far = p->read_to - p->snap.last_offset > p->o.conf->max_bytes / 8;
    if (due || far)
        pipeline_snapshot_begin(p);
}

/* -- coming back to one ------------------------------------------------------------------- */

/* Nothing derived may be behind the snapshot: not the store, nor any sink that has a log at all
 * (a new one begins here). */
static struct position newest_that_fits(const struct pipeline *p)
{
    struct position max = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    if (p->o.store_cursor.offset > 0)
        max = p->o.store_cursor;
    for (size_t i = 0; i < p->o.n_sinks; i++) {
        struct position end = sink_end(p->o.sinks[i]);
        if (end.offset > 0 && position_cmp(&end, &max) < 0)
            max = end;
    }
    return max;
}

static int try_snapshot(struct pipeline *p, const char *bytes, size_t len)
{
    char hash[33];
    int r = engine_saved_hash(bytes, len, hash);
    if (r != 0)
        return r;
    struct world *w = p->o.world;
    if (strcmp(hash, w->hash) != 0) {
        w = pipeline_load_world(p, hash);
        if (!w)
            return -ENOENT;
        p->replayed = w;
    }
    engine_use(p->engine, w);
    return engine_load(p->engine, bytes, len);
}

static int open_reader(struct pipeline *p, uint64_t from, struct err *err)
{
    struct journal_stats j;
    journal_stats(p->o.journal, &j);
    if (from < j.first) {
        if (from > 0 || j.first > SEGMENT_HEADER)
            log_warn(
                "journal: begins at %llu, the newest fitting snapshot is at %llu: what lies "
                "between was released and is not passed again",
                (unsigned long long)j.first, (unsigned long long)from);
        from = j.first;
    }
    int r = journal_reader_open(p->o.journal, from, &p->reader);
    if (r != 0)
        return err_errno(err, r, "journal: cannot be read from %llu", (unsigned long long)from);
    p->read_to = from;
    p->snap.last_offset = from;
    return 0;
}

/* Without a snapshot the history begins under the generation that its first records name, not
 * under the one of today. */
static void stand_at_the_beginning(struct pipeline *p)
{
    struct journal_reader *reader;
    struct record r;
    engine_use(p->engine, p->o.world);
    if (journal_reader_open(p->o.journal, 0, &reader) != 0)
        return;
    for (int i = 0; i < FIRST_RECORDS && journal_read(reader, &r) == 1; i++) {
        if (r.type != RECORD_GENERATION)
            continue;
        pipeline_switch(p, &r);
        break;
    }
    journal_reader_close(reader);
}

int pipeline_restore(struct pipeline *p, struct err *err)
{
    struct position max = newest_that_fits(p), at = {0};
    for (;;) {
        struct snapshot one;
        struct err why;
        int r = snapshot_load_newest(p->o.snapshot_dir, &max, &why, &one);
        if (why.text[0])
            log_warn("snapshot: %s", why.text);
        if (r != 0)
            break;
        at = one.position;
        r = try_snapshot(p, one.bytes, one.len);
        free(one.bytes);
        if (r == 0) {
            p->stats.snapshot = at;
            return open_reader(p, at.offset, err);
        }
        log_warn("snapshot: the one at %llu cannot be used (%s), trying an older one",
                 (unsigned long long)at.offset, strerror(-r));
        if (at.offset == 0)
            break;
        max = (struct position){at.offset - 1, UINT64_MAX, UINT64_MAX};
    }
    stand_at_the_beginning(p);
    return open_reader(p, 0, err);
}
