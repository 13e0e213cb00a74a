/* SPDX-License-Identifier: Apache-2.0 */
/* A sink as the engine sees it: points in, positions out; opening, closing, figures. */
#include "app/sink_int.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000

/* -- engine's side
 * ------------------------------------------------------------------------------- */

bool sink_wants(const struct sink *s, const struct position *step)
{
    return position_cmp(step, &s->skip_to) > 0;
}

void sink_point(struct sink *s, const struct point *p)
{
    s->in_step = true;
    block_builder_add(s->builder, p);
}

void sink_step_end(struct sink *s, const struct position *step, uint64_t cause)
{
    s->last_step = *step;
    if (!s->in_step)
        return;
    s->in_step = false;
    s->cause = cause;
    if (block_builder_step(s->builder, step)) {
        sink_close_block(s);
    } else if (!s->aging) {
        s->aging = true;
        loop_timer_start(s->age, s->conf->batch.age_ns / 1000000u + 1, 0);
    }
}

void sink_journal_synced(struct sink *s, uint64_t offset)
{
    if (offset <= s->synced_offset)
        return;
    s->synced_offset = offset;
    if (s->queue)
        sink_kick(s);
}

uint64_t sink_needs_sync(const struct sink *s)
{
    /* causes only grow: the last block waits for the most */
    uint64_t offset = s->queue_last ? s->queue_last->cause : 0;
    return offset > s->synced_offset ? offset : 0;
}

bool sink_stalls(const struct sink *s)
{
    return s->paused ||
           s->queue_bytes > (s->write_failing ? SINK_FAILING_BYTES : SINK_QUEUE_BYTES);
}

bool sink_paused(const struct sink *s)
{
    return s->paused;
}

bool sink_has_room(const struct sink *s)
{
    return s->conf->on_full != CONF_PAUSE || outbound_pending_blocks(s->log) == 0 ||
           outbound_bytes(s->log) <= s->conf->max_bytes / 2;
}

struct position sink_end(const struct sink *s)
{
    return outbound_end(s->log);
}

const struct outbound *sink_outbound(const struct sink *s)
{
    return s->log;
}

/* -- timers
 * -------------------------------------------------------------------------------------- */

static void on_age(void *ctx)
{
    struct sink *s = ctx;
    s->aging = false;
    if (!s->in_step) /* else the step's end starts it again */
        sink_close_block(s);
}

static bool drained(const struct sink *s)
{
    if (s->queue || s->writing || block_builder_points(s->builder) > 0)
        return false;
    if (s->state != SINK_WELL) /* it is away: what waits, waits in the log */
        return true;
    return s->n_jobs == 0 && outbound_waiting_blocks(s->log) == 0;
}

static void end_drain(struct sink *s)
{
    loop_fn *fn = s->drain_fn;
    s->drain_fn = NULL;
    loop_timer_stop(s->drain_timer);
    fn(s->drain_ctx);
}

static void end_drain_if_done(struct sink *s)
{
    if (s->drain_fn && drained(s))
        end_drain(s);
}

static void on_kick(void *ctx)
{
    struct sink *s = ctx;
    sink_check_quota(s);
    if (!s->write_failing)
        sink_pump_writes(s);
    sink_pump_posts(s);
    sink_check_waiters(s);
    end_drain_if_done(s);
}

static void on_wake(void *ctx)
{
    struct sink *s = ctx;
    sink_pump_posts(s);
    end_drain_if_done(s);
}

static void on_tick(void *ctx)
{
    struct sink *s = ctx;
    sink_check_quota(s);
    sink_pump_writes(s);
    sink_pump_posts(s);
    end_drain_if_done(s); /* marks are tried again here, and kick nobody */
}

static void on_drain_deadline(void *ctx)
{
    struct sink *s = ctx;
    if (s->drain_fn)
        end_drain(s);
}

void sink_drain(struct sink *s, uint64_t deadline_ms, loop_fn *done, void *ctx)
{
    ASSERT(!s->drain_fn && !s->in_step);
    sink_close_block(s);
    s->drain_fn = done;
    s->drain_ctx = ctx;
    loop_timer_start(s->drain_timer, deadline_ms, 0);
    sink_kick(s);
}

/* -- opening and closing
 * ------------------------------------------------------------------------- */

static void say_notes(const struct sink *s, const char *dir)
{
    struct outbound_notes n;
    outbound_notes(s->log, &n);
    if (n.torn_bytes)
        log_warn(
            "sink %s: %llu bytes at the end of its log in %s were not whole and are cut; they "
            "are made again from the journal",
            s->conf->id, (unsigned long long)n.torn_bytes, dir);
    if (n.rotten_blocks)
        log_error("sink %s: %llu blocks (%llu lines) of its log in %s do not verify and are "
                  "counted as refused{corrupt}; look at the disk",
                  s->conf->id, (unsigned long long)n.rotten_blocks,
                  (unsigned long long)n.rotten_lines, dir);
    if (n.bad_marks)
        log_warn(
            "sink %s: %llu done-marks of its log in %s did not verify: their blocks are sent "
            "again",
            s->conf->id, (unsigned long long)n.bad_marks, dir);
    if (n.ledger_lost)
        log_error(
            "sink %s: the ledger of its log in %s does not verify: kept as ledger.bad, the "
            "counts begin again",
            s->conf->id, dir);
}

int sink_open(const struct sink_options *o, struct err *err, struct sink **out)
{
    const struct conf_sink *c = o->conf;
    struct sink *s = mem_zalloc(sizeof(*s));
    s->conf = c;
    s->loop = o->loop;
    s->httpc = o->httpc;
    s->store = o->store;
    s->random = (loop_hrtime_ns() ^ hash64(hash_seed(), c->id, strlen(c->id))) | 1;
    s->dir = mem_strdup(o->dir);
    struct outbound_options lo = {.dir = o->dir};
    int rc = outbound_open(&lo, err, &s->log);
    if (rc == 0)
        rc = sink_make_urls(s, o, err);
    if (rc != 0) {
        sink_destroy(s);
        return rc;
    }
    say_notes(s, o->dir);
    s->skip_to = s->last_step = outbound_end(s->log);
    struct block_rules rules = {.dialect = c->type == CONF_VICTORIAMETRICS ? LINEPROTO_NUMBERS
                                                                           : LINEPROTO_INFLUX,
                                .gzip = c->gzip,
                                .lines = c->batch.lines,
                                .bytes = c->batch.bytes};
    s->builder = block_builder_new(&rules);
    s->age = loop_timer_new(s->loop, on_age, s);
    s->kick = loop_timer_new(s->loop, on_kick, s);
    s->tick = loop_timer_new(s->loop, on_tick, s);
    s->wake = loop_timer_new(s->loop, on_wake, s);
    s->drain_timer = loop_timer_new(s->loop, on_drain_deadline, s);
    loop_timer_start(s->tick, TICK_MS, TICK_MS);
    sink_hold_start(s);
    sink_kick(s); /* what an earlier life left */
    *out = s;
    return 0;
}

void sink_destroy(struct sink *s)
{
    while (s->queue) {
        struct queued *q = s->queue;
        s->queue = q->next;
        block_free(q->b);
        free(q);
    }
    while (s->waiters) {
        struct waiter *w = s->waiters;
        s->waiters = w->next;
        free(w);
    }
    block_builder_free(s->builder);
    outbound_close(s->log);
    free(s->open_shares);
    free(s->dir);
    free(s->url);
    free(s->metrics_url);
    if (s->auth_header)
        explicit_bzero(s->auth_header, strlen(s->auth_header));
    free(s->auth_header);
    free(s->username);
    if (s->password)
        explicit_bzero(s->password, strlen(s->password));
    free(s->password);
    free(s);
}

void sink_close(struct sink *s)
{
    if (!s)
        return;
    s->closing = true;
    sink_retake_cancel(s);
    httpc_cancel(s->poll);
    sink_cancel_jobs(s);
    loop_timer_free(s->age);
    loop_timer_free(s->kick);
    loop_timer_free(s->tick);
    loop_timer_free(s->wake);
    loop_timer_free(s->drain_timer);
    loop_timer_free(s->poll_timer);
    if (!s->writing) /* else the write's end does it */
        sink_destroy(s);
}

/* -- figures
 * ------------------------------------------------------------------------------------- */

void sink_stats(const struct sink *s, struct sink_stats *out)
{
    static const char *const types[] = {"influxdb1", "influxdb2", "influxdb3",
                                        "victoriametrics"};
    *out = s->stats;
    out->id = s->conf->id;
    out->type = types[s->conf->type];
    out->open_lines = block_builder_points(s->builder);
    out->left_out = *block_builder_left_out(s->builder);
    out->queued_blocks = s->queue_blocks;
    out->pending_lines = outbound_pending_lines(s->log);
    out->pending_blocks = outbound_pending_blocks(s->log);
    out->log_bytes = outbound_bytes(s->log);
    out->max_bytes = s->conf->max_bytes;
    out->oldest_pending_wall_ns = outbound_oldest_wall_ns(s->log);
    const struct outbound_share *sh;
    size_t n = outbound_shares(s->log, &sh);
    out->made = out->open_lines;
    for (size_t i = 0; i < n; i++) {
        out->made += sh[i].made;
        out->accepted += sh[i].accepted;
        out->refused += sh[i].refused;
        out->shed += sh[i].shed;
    }
    for (const struct queued *q = s->queue; q; q = q->next)
        for (size_t i = 0; i < q->b->info.n_shares; i++)
            out->made += (uint64_t)q->b->shares[i].lines + q->b->shares[i].unwritable;
    for (const struct queued *q = s->queue; q; q = q->next)
        out->pending_lines += q->b->info.lines; /* closed, not in the log yet: they wait too */
    static const char *const states[] = {"ok", "retrying", "blocked"};
    bool idle = s->state == SINK_WELL && s->oks == 0;
    (void)strncpy(out->state, idle ? "idle" : states[s->state], sizeof(out->state) - 1);
    const char *problem = s->write_failing ? strerror(-s->write_rc) : s->problem;
    memcpy(out->problem, problem,
           strnlen(problem, sizeof(out->problem) - 1)); /* zeroed above */
}

static void add_share(void *ctx, const struct block_share *from)
{
    struct sink *s = ctx;
    if (s->n_open_shares == s->cap_open_shares) {
        s->cap_open_shares = s->cap_open_shares ? s->cap_open_shares * 2 : 64;
        s->open_shares =
            mem_realloc_array(s->open_shares, s->cap_open_shares, sizeof(*s->open_shares));
    }
    s->open_shares[s->n_open_shares++] = *from;
}

size_t sink_open_shares(struct sink *s, const struct block_share **out)
{
    s->n_open_shares = 0;
    block_builder_shares(s->builder, add_share, s);
    for (const struct queued *q = s->queue; q; q = q->next)
        for (size_t i = 0; i < q->b->info.n_shares; i++)
            add_share(s, &q->b->shares[i]);
    *out = s->open_shares;
    return s->n_open_shares;
}
