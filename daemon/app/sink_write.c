/* SPDX-License-Identifier: Apache-2.0 */
/* From closed blocks to the log: the hand-over queue, its pool job, quota and shedding. */
#include "app/sink_int.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAY_NS    (60 * (uint64_t)SECOND_NS)
#define SHED_TURN 64 /* blocks shed in one turn of the loop */

/* -- the queue
 * ----------------------------------------------------------------------------------- */

static void enqueue(struct sink *s, struct block *b)
{
    struct queued *q = mem_zalloc(sizeof(*q));
    q->b = b;
    q->cause = s->cause;
    if (s->queue_last)
        s->queue_last->next = q;
    else
        s->queue = q;
    s->queue_last = q;
    s->queue_blocks++;
    s->queue_bytes += block_memory(b);
}

static void dequeue(struct sink *s)
{
    struct queued *q = s->queue;
    s->queue = q->next;
    if (!s->queue)
        s->queue_last = NULL;
    s->queue_blocks--;
    s->queue_bytes -= block_memory(q->b);
    block_free(q->b);
    free(q);
}

/* Blocks given up in the queue only tell what was lost and how far the sink came: neighbours
 * become one. */
static void merge_shed(struct sink *s)
{
    for (struct queued *q = s->queue; q && q->next; q = q->next) {
        struct queued *n = q->next;
        while (n && q->b->shed && n->b->shed && !q->b->more && !n->b->more &&
               q->b->info.class_ == n->b->info.class_) {
            uint64_t was = block_memory(q->b) + block_memory(n->b);
            if (block_absorb(q->b, n->b) != 0)
                break;
            s->queue_bytes -= was - block_memory(q->b);
            s->queue_blocks--;
            q->cause = n->cause;
            q->next = n->next;
            if (s->queue_last == n)
                s->queue_last = q;
            block_free(n->b);
            free(n);
            n = q->next;
        }
    }
}

static void say_shed(struct sink *s, uint64_t lines, const char *why)
{
    uint64_t held;
    s->shed_unsaid += lines;
    if (!log_allowed(&s->shed_limit, loop_now_ns(s->loop), SAY_NS, &held))
        return;
    log_error("sink %s: %s: %llu of the oldest routine lines were given up (counted as shed)",
              s->conf->id, why, (unsigned long long)s->shed_unsaid);
    s->shed_unsaid = 0;
}

/* The log cannot be written and the queue is full: the oldest routine block goes, said and
 * counted, and its position moves on, so that a dead disk does not stop the engine. */
static void shed_queue(struct sink *s)
{
    uint64_t lines = 0;
    for (struct queued *q = s->queue; q && s->queue_bytes > SINK_QUEUE_BYTES; q = q->next) {
        if (q->b->shed || q->b->info.class_ != POINT_ROUTINE)
            continue;
        s->queue_bytes -= block_memory(q->b);
        block_shed(q->b);
        s->queue_bytes += block_memory(q->b);
        lines += q->b->info.lines;
    }
    if (lines == 0)
        return;
    merge_shed(s);
    say_shed(s, lines, "its log cannot be written");
    sink_kick(s);
}

void sink_close_block(struct sink *s)
{
    loop_timer_stop(s->age);
    s->aging = false;
    struct block **group;
    size_t n = block_builder_close(s->builder, clock_wall_ns(), &group);
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        enqueue(s, group[i]);
    free(group);
    if (s->write_failing && !s->writing && s->queue_bytes > SINK_QUEUE_BYTES)
        shed_queue(s);
    sink_kick(s);
}

/* -- writing
 * ------------------------------------------------------------------------------------- */

/* Whole groups from the head whose journal is on the disk. */
static size_t eligible(const struct sink *s)
{
    size_t n = 0, whole = 0;
    uint64_t bytes = 0;
    for (const struct queued *q = s->queue; q; q = q->next) {
        if (q->cause > s->synced_offset)
            break;
        n++;
        bytes += block_memory(q->b);
        if (q->b->more)
            continue;
        if (whole > 0 && bytes > SINK_WRITE_BYTES)
            break;
        whole = n;
    }
    return whole;
}

static void write_job(void *ctx)
{
    struct sink *s = ctx;
    s->write_rc = outbound_write(s->log, s->write_blocks, s->n_write);
    /* Also when it failed: what is done is given back there, and a full disk may have no other room
     * to come. */
    int rc = outbound_sync(s->log);
    if (s->write_rc == 0)
        s->write_rc = rc;
}

/* Nothing is lost by it, but the log grows. */
static void tell_fold(struct sink *s)
{
    int r = outbound_fold_error(s->log);
    if (r != 0 && log_broke(&s->fold_log))
        log_warn("sink %s: the room of what the database has cannot be given back in %s: %s; "
                 "nothing is lost, tried again at each write",
                 s->conf->id, s->dir, strerror(-r));
    else if (r == 0 && log_healed(&s->fold_log))
        log_notice("sink %s: the room of what the database has is given back again",
                   s->conf->id);
}

static void written(void *ctx)
{
    struct sink *s = ctx;
    s->writing = false;
    outbound_settle(s->log);
    size_t n = s->n_write;
    free(s->write_blocks);
    s->write_blocks = NULL;
    s->n_write = 0;
    if (s->closing) {
        sink_destroy(s);
        return;
    }
    if (s->write_rc == 0) {
        while (n-- > 0)
            dequeue(s);
        s->write_failing = false;
        if (log_healed(&s->write_log))
            log_notice("sink %s: its log can be written again", s->conf->id);
        tell_fold(s);
    } else {
        s->write_failing = true;
        if (log_broke(&s->write_log))
            log_error("sink %s: cannot write its log in %s: %s; tried again each second",
                      s->conf->id, s->dir, strerror(-s->write_rc));
        if (s->queue_bytes > SINK_QUEUE_BYTES)
            shed_queue(s);
    }
    sink_check_quota(s);
    if (s->write_rc == 0)
        sink_pump_writes(s);
    sink_check_waiters(s);
    sink_kick(s);
}

void sink_pump_writes(struct sink *s)
{
    if (s->writing || s->closing)
        return;
    size_t n = eligible(s);
    if (n == 0 && !outbound_wants_sync(s->log))
        return;
    s->write_blocks = mem_zalloc_array(n + 1, sizeof(struct block *));
    size_t i = 0;
    for (struct queued *q = s->queue; q && i < n; q = q->next)
        s->write_blocks[i++] = q->b;
    s->n_write = n;
    s->writing = true;
    loop_work(s->loop, write_job, written, s);
}

/* -- quota ------------------------------------------------------------------------------------ */

void sink_check_quota(struct sink *s)
{
    uint64_t max = s->conf->max_bytes, bytes = outbound_bytes(s->log);
    if (s->conf->on_full == CONF_PAUSE) {
        bool waits =
            outbound_pending_blocks(s->log) > 0; /* else no room would ever come of it */
        if (!s->paused && bytes > max && waits) {
            s->paused = true;
            log_error("sink %s: its log is full (%llu bytes) and on_full is pause: the gateway "
                      "leaves its brokers",
                      s->conf->id, (unsigned long long)bytes);
        } else if (s->paused && (bytes < max - max / 10 || !waits)) {
            s->paused = false;
            log_notice("sink %s: its log has room again", s->conf->id);
        }
        return;
    }
    uint64_t lines = 0, seq;
    int turn = 0;
    while (outbound_bytes(s->log) > max && turn++ < SHED_TURN &&
           outbound_oldest_routine(s->log, &seq)) {
        uint64_t before = outbound_pending_lines(s->log);
        if (outbound_done(s->log, seq, OUTBOUND_SHED, NULL, 0) != 0)
            break; /* tried again at the next tick */
        lines += before - outbound_pending_lines(s->log);
    }
    if (lines == 0) {
        if (bytes < max - max / 10 && log_healed(&s->full_log))
            log_notice("sink %s: its log has room again", s->conf->id);
        return;
    }
    (void)log_broke(&s->full_log);
    say_shed(s, lines, "its log is full");
    if (outbound_bytes(s->log) > max)
        sink_kick(s);
}

/* -- flush
 * --------------------------------------------------------------------------------------- */

struct position sink_durable(const struct sink *s)
{
    struct position at = outbound_durable(s->log);
    const struct queued *q = s->queue;
    struct position moved = at;
    /* what was given up at the head is behind us, whole groups at a time */
    for (; q && q->b->shed && s->write_failing; q = q->next)
        if (!q->b->more && position_cmp(&q->b->info.to, &moved) > 0) {
            moved = q->b->info.to;
            at = moved;
        }
    if (!s->queue && block_builder_points(s->builder) == 0 &&
        position_cmp(&s->last_step, &at) > 0)
        at = s->last_step;
    return at;
}

void sink_check_waiters(struct sink *s)
{
    struct position at = sink_durable(s);
    while (s->waiters && position_cmp(&s->waiters->target, &at) <= 0) {
        struct waiter *w = s->waiters;
        s->waiters = w->next;
        loop_fn *fn = w->fn;
        void *ctx = w->ctx;
        free(w);
        fn(ctx);
    }
}

void sink_flush(struct sink *s, loop_fn *done, void *ctx)
{
    ASSERT(!s->in_step);
    sink_close_block(s);
    struct waiter *w = mem_zalloc(sizeof(*w)), **p = &s->waiters;
    *w = (struct waiter){.target = s->last_step, .fn = done, .ctx = ctx};
    while (*p)
        p = &(*p)->next;
    *p = w;
    sink_kick(s);
}
