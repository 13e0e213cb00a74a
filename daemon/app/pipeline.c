/* SPDX-License-Identifier: Apache-2.0 */
#include "app/pipeline_private.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_NS     8000000u /* one turn of draining */
#define LINGER_MS    10
#define PATIENT_MS   40 /* at most, where no alarm waits */
#define PATIENT_N    160 /* messages that are worth a wake then: caches are warm by half of them */
#define BUSY_RATE    1000 /* messages a second above which we linger */
#define RETRY_MS     20
#define TICK_MS      1000
#define PLACE_MS     20
#define HANDOVER_MAX ((uint64_t)8 << 20)

void pipeline_fatal(struct pipeline *p, const char *what, int error)
{
    char why[512], name[128];
    (void)snprintf(why, sizeof(why), "%s: %s", what, strerror_r(-error, name, sizeof(name)));
    p->running = false;
    p->o.fatal(p->o.ctx, why);
}

/* -- the engine's output ------------------------------------------------------------------ */

static void on_step(void *ctx, const struct position *at)
{
    struct pipeline *p = ctx;
    p->emit_store = position_cmp(at, &p->o.store_cursor) > 0;
    for (size_t i = 0; i < p->o.n_sinks; i++)
        p->emit[i] = sink_wants(p->o.sinks[i], at);
}

static void on_point(void *ctx, const struct point *pt)
{
    struct pipeline *p = ctx;
    for (size_t i = 0; i < p->o.n_sinks; i++)
        if (p->emit[i])
            sink_point(p->o.sinks[i], pt);
}

static void on_step_end(void *ctx, const struct position *at)
{
    struct pipeline *p = ctx;
    for (size_t i = 0; i < p->o.n_sinks; i++)
        if (p->emit[i])
            sink_step_end(p->o.sinks[i], at, p->passing);
}

/* Those of a replay were asked for when they were new. */
static void on_rebirth(void *ctx, unsigned broker, const char *topic, size_t len)
{
    struct pipeline *p = ctx;
    if (p->read_to >= p->start_end && p->o.rebirth)
        p->o.rebirth(p->o.ctx, broker, topic, len);
}

/* -- draining ----------------------------------------------------------------------------- */

static bool stalls(struct pipeline *p)
{
    bool full = p->waiting_bytes + store_waiting_bytes(p->o.store) > HANDOVER_MAX;
    for (size_t i = 0; i < p->o.n_sinks && !full; i++)
        full = sink_stalls(p->o.sinks[i]);
    return full;
}

static void pass(struct pipeline *p, const struct record *r)
{
    struct err err;
    p->passing = r->end;
    p->passing_wall_ms = r->wall_ns / 1000000;
    engine_record(p->engine, r);
    if (r->type == RECORD_STREAM)
        pipeline_stream(p, r);
    p->read_to = r->end;
    if (r->type == RECORD_GENERATION && /* what was due before it belonged to the old one, and
                                         * what follows from it stands behind it */
        pipeline_switch(p, r, &err) != 0) {
        p->running = false;
        p->o.refused(p->o.ctx, err.text);
    }
}

/* As journal_read(), which is some records ahead: the engine fetches what they will look at. */
static int next_record(struct pipeline *p, struct record *out)
{
    int k = p->early_end;
    while (k == 1 && p->n_early < PIPELINE_AHEAD) {
        struct record *r = &p->early[(p->early_at + p->n_early) % PIPELINE_AHEAD];
        k = journal_read(p->reader, r);
        if (k == 1) {
            p->n_early++;
            engine_expect(p->engine, r);
        } else {
            p->early_bad = *r;
        }
    }
    p->early_end = 1;
    if (p->n_early > 0) {
        if (k < 0)
            p->early_end = k; /* its turn comes */
        *out = p->early[p->early_at];
        p->early_at = (p->early_at + 1) % PIPELINE_AHEAD;
        p->n_early--;
        return 1;
    }
    *out = p->early_bad;
    return k;
}

/* One slice. Returns how many records were passed; *out_more: there may be more. */
static size_t slice(struct pipeline *p, bool *out_more)
{
    uint64_t began = loop_hrtime_ns();
    size_t n = 0;
    *out_more = true;
    p->stalled = false;
    while (p->running) {
        if ((n & 31) == 0) {
            if (n > 0 && loop_hrtime_ns() - began > SLICE_NS)
                break;
            if (stalls(p)) {
                p->stalled = true;
                break;
            }
        }
        struct record r;
        int k = next_record(p, &r);
        if (k == 0) {
            p->read_to = journal_reader_at(p->reader);
            *out_more = false;
            break;
        }
        if ((k == 1 || k == -EBADMSG) && p->adopt && r.end > p->o.store_cursor.offset)
            pipeline_adopt(p);
        if (k == 1) {
            pass(p, &r);
        } else if (k == -EBADMSG) {
            log_error("journal: bytes %llu to %llu do not verify; %llu messages counted as "
                      "dead{corrupt}, the bytes stay in their segment",
                      (unsigned long long)r.offset, (unsigned long long)r.end,
                      (unsigned long long)r.messages);
            p->passing = r.end;
            engine_rot(p->engine, r.offset, r.end, r.messages);
            p->read_to = r.end;
        } else {
            pipeline_fatal(p, "journal: cannot be read", k);
            break;
        }
        n++;
    }
    uint64_t took = loop_hrtime_ns() - began;
    if (took > p->stats.drain_ns_max)
        p->stats.drain_ns_max = took;
    return n;
}

static void caught_up(struct pipeline *p)
{
    if (!p->stats.replaying || p->read_to < p->start_end)
        return;
    struct engine_stats s;
    engine_stats(p->engine, &s);
    p->stats.replaying = false;
    s.records -= p->start_records;
    p->stats.replayed = s.records;
    p->stats.replay_seconds = (double)(loop_hrtime_ns() - p->start_ns) / 1e9;
    if (s.records > 1000)
        log_info("journal: caught up, %llu records in %.1f s", (unsigned long long)s.records,
                 p->stats.replay_seconds);
}

/* Timers are due and no record comes that would make them fire: one of ours says how late it is. What
 * they give rise to waits for its sync like anything else, so that a life after this one finds the
 * same cause. A journal that has no room keeps them waiting, and is asked again each second; whoever
 * writes the record of our metrics says so. The mark of a clean stop stays the last record, and the
 * snapshot behind it has to be of the journal's end: what is due then fires behind the next start. */
static void live_tick(struct pipeline *p)
{
    uint64_t now, end, due = engine_next_due(p->engine);
    if (due == UINT64_MAX || p->adopt || p->stopping)
        return;
    journal_tick(p->o.journal, &now, &end);
    if (due > now || p->read_to != end)
        return;
    struct record r = {.type = RECORD_TIME, .broker = 255, .topic = "", .body = ""};
    p->tick_refused = journal_append(p->o.journal, &r, &end) != 0;
    if (!p->tick_refused)
        pipeline_drain(p);
}

/* The next timer, but not more often than PLACE_MS: those of places come in swarms. */
static void arm_tick(struct pipeline *p)
{
    uint64_t now, end, due = engine_next_due(p->engine), ms = TICK_MS;
    if (due != UINT64_MAX && !p->tick_refused) {
        journal_tick(p->o.journal, &now, &end);
        uint64_t wait = due > now ? (due - now) / 1000000 + 1 : 0;
        ms = wait < PLACE_MS ? PLACE_MS : wait < TICK_MS ? wait : TICK_MS;
    }
    uint64_t at = loop_hrtime_ns() + ms * 1000000;
    if (loop_timer_active(p->tick) && p->tick_at_ns <= at)
        return;
    p->tick_at_ns = at;
    loop_timer_start(p->tick, ms, 0);
}

uint64_t pipeline_linger_ms(uint64_t rate, bool alarms)
{
    uint64_t ms = rate ? PATIENT_N * 1000 / rate : PATIENT_MS;
    if (alarms || ms < LINGER_MS)
        return LINGER_MS;
    return ms < PATIENT_MS ? ms : PATIENT_MS;
}

static bool has_rules(const struct pipeline *p)
{
    const struct world *w = engine_world(p->engine);
    return !w || rules_count(w->rules) > 0;
}

static void go_to_sleep(struct pipeline *p, size_t n)
{
    uint64_t now = loop_hrtime_ns(), gap = now - p->drained_ns;
    uint64_t rate = gap > 0 ? (uint64_t)n * 1000000000u / gap : 0;
    p->drained_ns = now;
    if (rate > BUSY_RATE) {
        loop_timer_start(p->linger, pipeline_linger_ms(rate, has_rules(p)), 0);
        return;
    }
    atomic_store(&p->asleep, 1);
    /* what was appended between the last read and the store above woke nobody */
    if (journal_end(p->o.journal) > p->read_to && atomic_exchange(&p->asleep, 0))
        loop_wake_send(p->wake);
}

/* A start on a full disk makes do with a smaller segment, and what cannot be made ahead may be
 * needed soon: both are known before the brokers have to be left. */
static void tell_ahead(struct pipeline *p)
{
    struct journal_stats j;
    journal_stats(p->o.journal, &j);
    if (j.failed != 0) /* who appends or syncs says so */
        return;
    if (j.prepare_failed == 0) {
        if (log_healed(&p->ahead))
            log_notice("journal: has room for a whole segment again");
    } else if (log_broke(&p->ahead)) {
        log_warn("journal: cannot make a whole segment (%llu bytes): %s; goes on in the one it "
                 "has, tried again each second",
                 (unsigned long long)p->o.conf->segment_bytes, strerror(-j.prepare_failed));
    }
}

static void prepared(void *ctx)
{
    struct pipeline *p = ctx;
    p->preparing = false;
    tell_ahead(p);
}

static void prepare_work(void *ctx)
{
    struct pipeline *p = ctx;
    (void)journal_prepare(p->o.journal); /* its stats keep how it went */
}

static void keep_ahead(struct pipeline *p)
{
    if (p->preparing || !journal_wants_prepare(p->o.journal))
        return;
    p->preparing = true;
    loop_work(p->o.loop, prepare_work, prepared, p);
}

static void tell_synced(struct pipeline *p)
{
    uint64_t synced = journal_synced(p->o.journal);
    if (synced == p->synced)
        return;
    p->synced = synced;
    for (size_t i = 0; i < p->o.n_sinks; i++)
        sink_journal_synced(p->o.sinks[i], synced);
    pipeline_release_batches(p);
}

static void stop_maybe(struct pipeline *p)
{
    if (!p->stopping || p->snap.state != SNAP_IDLE || p->read_to != journal_end(p->o.journal))
        return;
    if (position_cmp(&p->stats.snapshot, &(struct position){p->read_to, 0, 0}) < 0) {
        pipeline_snapshot_begin(p);
        return;
    }
    /* The last one has all of it: the journal had no room, not even for the mark of the stop. */
    p->running = false;
    p->stopped(p->stopped_ctx);
}

void pipeline_drain(struct pipeline *p)
{
    bool more = false;
    if (!p->running || p->loading)
        return;
    atomic_store(&p->asleep, 0);
    loop_timer_stop(p->linger);
    size_t n = slice(p, &more);
    p->stats.drains++;
    if (!p->running)
        return;
    caught_up(p);
    keep_ahead(p);
    pipeline_hurry(p);
    tell_synced(p);
    arm_tick(p);
    if (p->stalled)
        loop_timer_start(p->retry, RETRY_MS, 0);
    else if (more)
        loop_wake_send(p->wake);
    else
        go_to_sleep(p, n);
    pipeline_snapshot_maybe(p);
    if (!more)
        stop_maybe(p);
}

void pipeline_notify(struct pipeline *p)
{
    atomic_thread_fence(memory_order_seq_cst); /* the journal's new end before the flag */
    if (atomic_load_explicit(&p->asleep, memory_order_relaxed) &&
        atomic_exchange(&p->asleep, 0))
        loop_wake_send(p->wake);
}

static void on_wake(void *ctx)
{
    struct pipeline *p = ctx;
    p->stats.wakes++;
    pipeline_drain(p);
}

static void on_timer_drain(void *ctx)
{
    pipeline_drain(ctx);
}

/* -- syncing ------------------------------------------------------------------------------ */

static void sync_work(void *ctx)
{
    struct pipeline *p = ctx;
    p->sync_result = journal_sync(p->o.journal);
}

static void sync_done(void *ctx)
{
    struct pipeline *p = ctx;
    bool again = p->sync_again;
    p->syncing = p->sync_again = false;
    if (p->sync_result != 0) {
        pipeline_fatal(p, "journal: cannot be synced", p->sync_result);
        return;
    }
    tell_synced(p);
    if (again)
        pipeline_sync(p);
}

void pipeline_sync(struct pipeline *p)
{
    if (p->syncing) {
        p->sync_again = true;
    } else if (p->running && journal_end(p->o.journal) != journal_synced(p->o.journal)) {
        p->syncing = true;
        loop_work(p->o.loop, sync_work, sync_done, p);
    }
}

/* With `never` the disk is asked only when something derived waits for it. */
static bool sync_wanted(const struct pipeline *p)
{
    if (journal_end(p->o.journal) == journal_synced(p->o.journal))
        return false;
    if (p->o.conf->sync == CONF_SYNC_INTERVAL || p->stopping || p->batches.first)
        return true;
    for (size_t i = 0; i < p->o.n_sinks; i++)
        if (sink_needs_sync(p->o.sinks[i]) > p->synced)
            return true;
    return p->snap.state == SNAP_FLUSHING;
}

static void on_sync_timer(void *ctx)
{
    struct pipeline *p = ctx;
    if (!p->running)
        return;
    pipeline_hand_batch(p, false);
    if (!p->syncing && sync_wanted(p))
        pipeline_sync(p);
    tell_synced(p);
    pipeline_snapshot_if_tight(p);
    pipeline_gather(p);
}

static void tell_clock(struct pipeline *p)
{
    double ahead = 0;
    if (!engine_clock_doubted(p->engine, &ahead)) {
        if (log_healed(&p->clock))
            log_notice("clock: our own is believed again");
    } else if (log_broke(&p->clock)) {
        log_warn("clock: our own made a step of %+.0f s and is not synchronised; points are "
                 "stamped as before it until it is, or until 20 devices agree with it",
                 ahead);
    }
}

/* What was passed before we began was told of then. */
static void tell_cases(struct pipeline *p)
{
    struct cases_stats c;
    cases_stats(engine_cases(p->engine), &c);
    bool more = c.not_opened > p->not_opened && p->not_opened != UINT64_MAX;
    p->not_opened = c.not_opened;
    if (more && log_broke(&p->cases))
        log_error(
            "alarms: %llu cases are open, no more can be: alarms are lost (life-safety has "
            "room for %d more); see why nobody closes them: gaihouctl alerts",
            (unsigned long long)c.open, CASES_LIFE_ROOM);
    else if (c.open < CASES_MAX_OPEN && log_healed(&p->cases))
        log_notice("alarms: there is room for new cases again");
}

static void tell_firms(struct pipeline *p)
{
    struct engine_stats e;
    engine_stats(p->engine, &e);
    bool more = e.firms_not_watched > p->not_watched && p->not_watched != UINT64_MAX;
    p->not_watched = e.firms_not_watched;
    if (more && log_broke(&p->firms))
        log_error("alarms: too many firms: that one of the others does not listen will not be "
                  "told (gaihou_beyond_ceiling_total)");
}

static void on_tick(void *ctx)
{
    struct pipeline *p = ctx;
    if (!p->running)
        return;
    live_tick(p);
    tell_clock(p);
    tell_cases(p);
    tell_firms(p);
    keep_ahead(p); /* with no record coming, room is found here */
    pipeline_snapshot_maybe(p);
    arm_tick(p);
}

/* -- life --------------------------------------------------------------------------------- */

int pipeline_open(const struct pipeline_options *o, struct err *err, struct pipeline **out)
{
    ASSERT(o->n_sinks <= sizeof(((struct pipeline *)0)->emit));
    struct pipeline *p = mem_zalloc(sizeof(*p));
    p->o = *o;
    p->not_opened = p->not_watched = UINT64_MAX;
    p->batches.last = &p->batches.first;
    p->handed.last = &p->handed.first;
    p->answers_end = &p->answers;
    p->epoch_from = o->epoch_from;
    p->early_end = 1;
    p->worlds[p->n_worlds++] = o->world;
    p->engine = engine_new(&(struct engine_out){.ctx = p,
                                                .point = on_point,
                                                .letter = pipeline_letter,
                                                .step = on_step,
                                                .step_end = on_step_end,
                                                .rebirth = on_rebirth,
                                                .transition = pipeline_transition,
                                                .reply = pipeline_reply});
    p->o.snapshots = NULL; /* the caller's */
    int r = pipeline_restore(p, o->snapshots, err);
    if (r != 0) {
        pipeline_close(p);
        return r;
    }
    pipeline_look_for_rollback(p, o->snapshots);
    p->wake = loop_wake_new(o->loop, on_wake, p);
    p->linger = loop_timer_new(o->loop, on_timer_drain, p);
    p->retry = loop_timer_new(o->loop, on_timer_drain, p);
    p->tick = loop_timer_new(o->loop, on_tick, p);
    p->sync = loop_timer_new(o->loop, on_sync_timer, p);
    p->synced = 0;
    *out = p;
    return 0;
}

void pipeline_start(struct pipeline *p)
{
    uint64_t sync_ms = p->o.conf->sync_interval_ns / 1000000;
    p->running = true;
    struct engine_stats s;
    engine_stats(p->engine, &s);
    p->start_records = s.records;
    p->start_ns = loop_hrtime_ns();
    p->start_end = journal_end(p->o.journal);
    p->stats.replaying = p->read_to < p->start_end;
    p->snap.last_ns = p->start_ns;
    tell_ahead(p);
    pipeline_load_cases(p);
    loop_timer_start(p->sync, sync_ms, sync_ms ? sync_ms : 1);
    arm_tick(p);
    loop_wake_send(p->wake);
}

void pipeline_stop(struct pipeline *p, loop_fn *done, void *ctx)
{
    p->stopped = done;
    p->stopped_ctx = ctx;
    p->stopping = true;
    atomic_store(&p->snap.no_gather, true);
    pipeline_drain(p);
}

void pipeline_close(struct pipeline *p)
{
    if (!p)
        return;
    loop_wake_free(p->wake);
    loop_timer_free(p->linger);
    loop_timer_free(p->retry);
    loop_timer_free(p->tick);
    loop_timer_free(p->sync);
    journal_reader_close(p->reader);
    engine_free(p->engine);
    pipeline_free_batches(p);
    pipeline_forget_cases(p);
    pipeline_free_worlds(p);
    free(p->snap.ends);
    free(p);
}

const struct engine *pipeline_engine(const struct pipeline *p)
{
    return p->engine;
}

void pipeline_stats(const struct pipeline *p, struct pipeline_stats *out)
{
    struct journal_stats j;
    journal_stats(p->o.journal, &j);
    *out = p->stats;
    out->at = engine_position(p->engine);
    out->lag_bytes = j.end - p->read_to;
    /* a journal that was lost counts from the beginning, until its first message is passed */
    uint64_t passed = engine_messages(p->engine);
    out->unread = j.messages > passed ? j.messages - passed : 0;
    out->lag_seconds = 0;
    if (out->unread > 0 && out->at.tick > 0) {
        uint64_t now, end;
        journal_tick(p->o.journal, &now, &end);
        out->lag_seconds = now > out->at.tick ? (double)(now - out->at.tick) / 1e9 : 0;
    }
}
