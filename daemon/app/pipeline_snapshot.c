/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: an image of the engine is taken, and the engine goes on while a pool job writes it to a
 * temporary file; then sinks and store are made durable beyond it; only then is the file renamed
 * into place, and the journal below the second-newest snapshot released.
 */
#include "app/pipeline_private.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_NS      60000000000u
#define GATHER_NS     4000000000u /* behind what a start does at once */
#define TIGHT_NS      1000000000u
#define FIRST_RECORDS 64
#define MAX_SNAPSHOTS 8

/* -- taking one --------------------------------------------------------------------------- */

static const char *why_failed(int error)
{
    switch (error) {
    case -ECHILD:
        return "the process that copies the engine's state was killed, as the first where "
               "memory is short";
    case -ETIMEDOUT:
        return "the process that copies the engine's state took too long and was ended";
    default:
        return strerror(-error);
    }
}

static void retire(struct pipeline *p)
{
    p->snap.state = SNAP_IDLE;
    p->snap.last_ns = loop_hrtime_ns();
    p->snap.last_offset = p->snap.read_to;
    if (p->snap.failed) {
        p->stats.snapshots_failed++;
        p->stats.snapshots_failed_in_row++;
        (void)snprintf(p->stats.snapshot_problem, sizeof(p->stats.snapshot_problem), "%s",
                       why_failed(p->snap.failed));
        if (p->snap.failed_said != p->snap.failed) /* once a reason, not once a minute */
            log_error("snapshot: cannot be written: %s; the last one stays, the journal keeps "
                      "all since then",
                      p->stats.snapshot_problem);
        p->snap.failed_said = p->snap.failed;
        snapshot_abort(p->snap.writer);
    } else {
        if (p->snap.failed_said)
            log_notice("snapshot: is written again");
        p->snap.failed_said = 0;
        p->stats.snapshots_failed_in_row = 0;
        p->stats.snapshots++;
        p->stats.snapshot = p->snap.at;
        p->stats.snapshot_ns_last = p->snap.last_ns - p->snap.began_ns;
    }
    p->snap.writer = NULL;
    /* one that was begun before the last records came is not the last */
    if (p->stopping && p->running && p->read_to == journal_end(p->o.journal) &&
        (p->snap.failed || p->snap.read_to == p->read_to)) {
        p->running = false;
        p->stopped(p->stopped_ctx);
    }
}

/* Behind the engine's state: how far each sink's log came, so that one that was rolled back alone is
 * seen, and one that had nothing to write since is not mistaken for it. */
struct trailer_entry {
    char sink[72];
    struct position end;
};
struct trailer_foot {
    uint64_t entries, magic;
};
#define TRAILER_MAGIC 0x31444e45534b4e53u /* "SNKSEND1" */

static int put_trailer(struct pipeline *p)
{
    struct trailer_foot foot = {p->o.n_sinks, TRAILER_MAGIC};
    int r = 0;
    for (size_t i = 0; i < p->o.n_sinks && r == 0; i++)
        r = snapshot_put(p->snap.writer, &p->snap.ends[i], sizeof(p->snap.ends[i]));
    return r == 0 ? snapshot_put(p->snap.writer, &foot, sizeof(foot)) : r;
}

static void note_ends(struct pipeline *p)
{
    free(p->snap.ends);
    p->snap.ends = mem_zalloc_array(p->o.n_sinks, sizeof(*p->snap.ends));
    for (size_t i = 0; i < p->o.n_sinks; i++) {
        struct sink_stats s;
        sink_stats(p->o.sinks[i], &s);
        (void)snprintf(p->snap.ends[i].sink, sizeof(p->snap.ends[i].sink), "%s", s.id);
        p->snap.ends[i].end = sink_end(p->o.sinks[i]);
    }
}

static void commit_work(void *ctx)
{
    struct pipeline *p = ctx;
    uint64_t release = 0;
    int r = put_trailer(p);
    if (r == 0)
        r = snapshot_seal(p->snap.writer, &p->snap.at);
    p->snap.failed = r;
    if (r != 0)
        return; /* aborted on the loop */
    r = snapshot_commit(p->snap.writer, &release);
    p->snap.failed = r < 0 ? r : 0;
    p->snap.unsure = r == 1;
    p->snap.writer = NULL;
    p->snap.kept = 0;
    if (r < 0)
        return;
    p->snap.release = release;
    if (release > 0)
        p->snap.kept = journal_release(p->o.journal, release, p->o.archive_dir);
    uint64_t pruned;
    if (p->o.archive_dir)
        r = journal_archive_prune(p->o.archive_dir, clock_wall_ns(),
                                  p->o.conf->archive.keep_s * 1000000000u,
                                  p->o.conf->archive.max_bytes, &pruned);
    if (p->snap.kept == 0 && r < 0)
        p->snap.kept = r;
}

/* What does not go although it may: nothing is lost by it, but the room is. */
static void tell_release(struct pipeline *p)
{
    if (p->snap.failed)
        return;
    if (p->snap.unsure && log_broke(&p->snap.unsure_log))
        log_warn("snapshot: one of those on the disk cannot be read back; the journal keeps "
                 "all that is above two good ones");
    else if (!p->snap.unsure && log_healed(&p->snap.unsure_log))
        log_notice("snapshot: all on the disk can be read back again");
    if (p->snap.kept < 0 && log_broke(&p->snap.kept_log))
        log_warn("journal: old segments cannot be %s: %s; they stay, tried again after each "
                 "snapshot",
                 p->o.archive_dir ? "archived and removed" : "removed",
                 strerror(-p->snap.kept));
    else if (p->snap.kept == 0 && log_healed(&p->snap.kept_log))
        log_notice("journal: old segments can be removed again");
}

static void commit_done(void *ctx)
{
    struct pipeline *p = ctx;
    tell_release(p);
    retire(p);
    if (p->stopping)
        pipeline_drain(p);
}

void pipeline_snapshot_flushed(void *ctx)
{
    struct pipeline *p = ctx;
    if (p->snap.state != SNAP_FLUSHING || --p->snap.flushes > 0)
        return;
    p->snap.state = SNAP_COMMITTING;
    note_ends(p);
    loop_work(p->o.loop, commit_work, commit_done, p);
}

static int save_engine(const void *engine, image_put_fn *put, void *ctx)
{
    return engine_save(engine, put, ctx);
}

static int put_state(void *ctx, const void *bytes, size_t n)
{
    return snapshot_put(ctx, bytes, n);
}

static void save_work(void *ctx)
{
    struct pipeline *p = ctx;
    if (p->snap.failed) /* there is no image */
        return;
    int r = snapshot_begin(p->o.snapshot_dir, &p->snap.writer);
    if (r == 0)
        r = image_read(p->snap.image, put_state, p->snap.writer);
    p->snap.failed = r;
    image_free(p->snap.image);
    p->snap.image = NULL;
    /* What changed while both had it is in small pages now, each of them one more entry for the next
     * one to copy. */
    if (image_gather_pays())
        image_gather(&p->snap.no_gather);
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

/* All that the engine waits for. */
static int take_image(struct pipeline *p)
{
    int why = 0;
    int r = image_take(save_engine, p->engine, &why, &p->snap.image);
    p->stats.snapshots_unforked += r == 0 && why != 0;
    if (r == 0 && why && log_broke(&p->snap.image_log))
        log_warn("snapshot: no process can be made to write it: %s; the engine waits until its "
                 "state is copied",
                 strerror(-why));
    else if (r == 0 && !why && log_healed(&p->snap.image_log))
        log_notice("snapshot: is written by a process of its own again");
    return r;
}

void pipeline_snapshot_begin(struct pipeline *p)
{
    p->snap.at = engine_position(p->engine);
    p->snap.read_to = p->read_to;
    p->snap.began_ns = loop_hrtime_ns();
    p->snap.state = SNAP_SAVING;
    p->snap.failed = take_image(p);
    uint64_t took = loop_hrtime_ns() - p->snap.began_ns;
    if (took > p->stats.snapshot_pause_ns_max)
        p->stats.snapshot_pause_ns_max = took;
    loop_work(p->o.loop, save_work, save_done, p);
}

static void gather_work(void *ctx)
{
    struct pipeline *p = ctx;
    image_gather(&p->snap.no_gather);
}

static void gather_done(void *ctx)
{
    (void)ctx;
}

void pipeline_gather(struct pipeline *p)
{
    uint64_t turns = GATHER_NS / p->o.conf->sync_interval_ns + 1;
    if (p->snap.gathered || p->stats.replaying || p->snap.state != SNAP_IDLE || p->stopping ||
        ++p->snap.turns < turns)
        return;
    p->snap.gathered = true;
    if (image_gather_pays())
        loop_work(p->o.loop, gather_work, gather_done, p);
}

void pipeline_gather_again(struct pipeline *p)
{
    p->snap.gathered = false;
    p->snap.turns = 0;
}

static void ready_done(void *ctx)
{
    struct pipeline *p = ctx;
    p->snap.state = SNAP_IDLE;
    if (p->stopping)
        pipeline_drain(p); /* which makes the last one */
    else if (p->running)
        pipeline_snapshot_begin(p);
}

/* What grew since the last one is in small pages: each is an entry that the process which writes the next
 * one copies while the engine waits. */
static void begin_gathered(struct pipeline *p)
{
    if (p->stopping ||
        !image_gather_pays()) { /* who stops waits for no more than the snapshot */
        pipeline_snapshot_begin(p);
        return;
    }
    p->snap.state = SNAP_GATHERING;
    loop_work(p->o.loop, gather_work, ready_done, p);
}

void pipeline_snapshot_maybe(struct pipeline *p)
{
    if (p->snap.state != SNAP_IDLE || !p->running || p->read_to == p->snap.last_offset)
        return;
    bool due = loop_hrtime_ns() - p->snap.last_ns > EVERY_NS;
    bool far = p->read_to - p->snap.last_offset > p->o.conf->max_bytes / 8;
    if (due || far)
        begin_gathered(p);
}

/* Off the brokers for lack of room nothing arrives that would make the next snapshot due, and only
 * snapshots make room: two of them, because the journal goes below the second-newest. */
void pipeline_snapshot_if_tight(struct pipeline *p)
{
    struct journal_stats j;
    uint64_t pause = p->snap.failed ? EVERY_NS : TIGHT_NS;
    if (p->snap.state != SNAP_IDLE || !p->running || p->stopping ||
        p->snap.release >= engine_position(p->engine).offset ||
        loop_hrtime_ns() - p->snap.last_ns < pause)
        return;
    journal_stats(p->o.journal, &j);
    if (j.low_space)
        pipeline_snapshot_begin(p);
}

/* -- coming back to one ------------------------------------------------------------------- */

/* Takes the trailer off. False: a sink's log is behind what the snapshot knew of it. A log that has
 * nothing at all is a new one, and begins here. */
static bool sinks_fit(struct pipeline *p, const char *bytes, size_t *len)
{
    struct trailer_foot foot;
    struct trailer_entry e;
    if (*len < sizeof(foot))
        return false;
    memcpy(&foot, bytes + *len - sizeof(foot), sizeof(foot));
    if (foot.magic != TRAILER_MAGIC || foot.entries > (*len - sizeof(foot)) / sizeof(e))
        return false;
    *len -= sizeof(foot) + foot.entries * sizeof(e);
    for (uint64_t k = 0; k < foot.entries; k++) {
        memcpy(&e, bytes + *len + k * sizeof(e), sizeof(e));
        for (size_t i = 0; i < p->o.n_sinks; i++) {
            struct sink_stats s;
            struct position end = sink_end(p->o.sinks[i]);
            sink_stats(p->o.sinks[i], &s);
            if (strcmp(s.id, e.sink) == 0 && end.offset > 0 && position_cmp(&end, &e.end) < 0)
                return false;
        }
    }
    return true;
}

static const char *why_unfit(int error)
{
    switch (error) {
    case -ESTALE:
        return "a sink's log ends before what it knew of it, as if an older one was put back";
    case -ENOENT:
        return "the configuration it was made under is not in generations any more";
    case -EBADMSG:
        return "its state cannot be read: of a newer version, or damaged";
    default:
        return strerror(-error);
    }
}

/* -EINVAL, with its text: no older one is tried, because its state would be lost. */
static int try_snapshot(struct pipeline *p, const char *bytes, size_t len, struct err *err)
{
    char hash[33];
    if (!sinks_fit(p, bytes, &len))
        return -ESTALE;
    int r = engine_saved_hash(bytes, len, hash);
    if (r != 0)
        return r;
    struct world *w = p->o.world;
    if (strcmp(hash, w->hash) != 0) {
        r = pipeline_load_world(p, hash, err, &w);
        if (r != 0)
            return r;
    }
    pipeline_stand_in(p, w);
    if (w != p->o.world)
        p->replayed = w;
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
static int stand_at_the_beginning(struct pipeline *p, struct err *err)
{
    struct journal_reader *reader = NULL;
    struct record r;
    engine_use(p->engine, p->o.world);
    int e = journal_reader_open(p->o.journal, 0, &reader);
    for (int i = 0; i < FIRST_RECORDS && e == 0; i++) {
        int k = journal_read(reader, &r);
        if (k == 0)
            break;
        if (k < 0 && k != -EBADMSG) /* a rotten stretch is passed, and told when it is read */
            e = k;
        if (k != 1 || r.type != RECORD_GENERATION)
            continue;
        if (pipeline_switch(p, &r, err) != 0) {
            journal_reader_close(reader);
            return -EINVAL;
        }
        break;
    }
    journal_reader_close(reader);
    return e == 0 ? 0 : err_errno(err, e, "journal: its first records cannot be read");
}

/* The store is older than every snapshot, and the journal does not reach back to it: what lies between
 * is in neither. To begin without a state would lose the devices' and the accounts, too. */
static int restore_beyond_store(struct pipeline *p, struct snapshots *snapshots,
                                struct err *err, struct position *out_at)
{
    struct position seen[MAX_SNAPSHOTS];
    size_t n = snapshots_told(snapshots, seen, MAX_SNAPSHOTS);
    int r = -ENOENT;
    while (r != 0 && r != -EINVAL && n-- > 0) { /* the oldest loses least */
        struct snapshot one;
        if (snapshots_newest(snapshots, &seen[n], NULL, &one) != 0 ||
            position_cmp(&one.position, &seen[n]) != 0)
            continue; /* damaged */
        *out_at = one.position;
        r = try_snapshot(p, one.bytes, one.len, err);
    }
    if (r == 0)
        log_warn("store: it knows nothing above %llu, the oldest snapshot is at %llu, and the "
                 "journal does not reach back: letters and alarms of what lies between are "
                 "lost to it",
                 (unsigned long long)p->o.store_cursor.offset,
                 (unsigned long long)out_at->offset);
    return r;
}

static bool reaches_back(const struct pipeline *p)
{
    struct journal_stats j;
    journal_stats(p->o.journal, &j);
    return j.first <= SEGMENT_HEADER;
}

int pipeline_restore(struct pipeline *p, struct snapshots *snapshots, struct err *err)
{
    /* not beyond what the store knows; a fresh store knows nothing of any, and that is said */
    struct position max = {UINT64_MAX, UINT64_MAX, UINT64_MAX}, at = {0};
    struct err said = {.text = ""};
    if (p->o.store_cursor.offset > 0)
        max = p->o.store_cursor;
    for (;;) {
        struct snapshot one;
        struct err why;
        int r = snapshots_newest(snapshots, &max, &why, &one);
        if (why.text[0] && strcmp(why.text, said.text) != 0) /* it is met each time */
            log_warn("snapshot: %s", why.text);
        said = why;
        if (r != 0)
            break;
        at = one.position;
        r = try_snapshot(p, one.bytes, one.len, err);
        if (r == 0) {
            p->stats.snapshot = at;
            return open_reader(p, at.offset, err);
        }
        if (r == -EINVAL)
            return r;
        log_warn("snapshot: the one at %llu cannot be used (%s), trying an older one",
                 (unsigned long long)at.offset, why_unfit(r));
        if (at.offset == 0)
            break;
        max = (struct position){at.offset - 1, UINT64_MAX, UINT64_MAX};
    }
    if (p->o.store_cursor.offset > 0 && !reaches_back(p)) {
        int r = restore_beyond_store(p, snapshots, err, &at);
        if (r == 0) {
            p->stats.snapshot = at;
            return open_reader(p, at.offset, err);
        }
        if (r == -EINVAL)
            return r;
    }
    int e = stand_at_the_beginning(p, err);
    return e == 0 ? open_reader(p, 0, err) : e;
}
