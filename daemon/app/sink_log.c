/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the open block into the outbound log: closed groups wait until the journal is synced past them, a
 * pool job writes and syncs them, and they count once that has ended. A log that cannot be written keeps
 * them here, up to a bound, then gives up the oldest routine lines, counted.
 */
#include "app/sink_private.h"
#include "base/mem.h"
#include "io/clock.h"

#include <stdlib.h>
#include <string.h>

#define JOB_BYTES  ((uint64_t)4 << 20)
#define REWRITE_MS 1000
#define SAY_NS     60000000000u

static void enqueue(struct sink *s, struct block **blocks, size_t n, const struct position *to)
{
    struct queued *q = mem_zalloc(sizeof(*q));
    *q = (struct queued){.blocks = blocks, .n = n, .to = *to};
    for (size_t i = 0; i < n; i++)
        q->bytes += block_memory(blocks[i]);
    *s->queue_end = q;
    s->queue_end = &q->next;
    s->queue_bytes += q->bytes;
}

void sink_close_open(struct sink *s)
{
    struct block **blocks = NULL;
    loop_timer_stop(s->age);
    size_t n = block_builder_close(s->bb, clock_wall_ns(), &blocks);
    if (n == 0)
        return;
    size_t last = 0; /* the block that came furthest need not be the last of its group */
    for (size_t i = 1; i < n; i++)
        if (position_cmp(&blocks[i]->info.to, &blocks[last]->info.to) > 0)
            last = i;
    enqueue(s, blocks, n, &blocks[last]->info.to);
    sink_try_write(s);
}

/* -- the job -------------------------------------------------------------------------------- */

static void write_work(void *ctx)
{
    struct sink *s = ctx;
    int r = s->n_job_blocks ? outbound_write(s->ob, s->job_blocks, s->n_job_blocks) : 0;
    s->job_result = r == 0 ? outbound_sync(s->ob) : r;
}

static void drop_written(struct sink *s)
{
    for (size_t k = 0; k < s->n_job_groups; k++) {
        struct queued *q = s->queue;
        s->queue = q->next;
        if (!s->queue)
            s->queue_end = &s->queue;
        s->queue_bytes -= q->bytes;
        for (size_t i = 0; i < q->n; i++)
            block_free(q->blocks[i]);
        free(q->blocks);
        free(q);
    }
}

static void say_shed(struct sink *s, uint64_t lines, const char *why)
{
    uint64_t suppressed;
    s->shed_unsaid += lines;
    if (!log_allowed(&s->shed_log, loop_now_ns(s->loop), SAY_NS, &suppressed))
        return;
    log_error("sink %s: %llu of the oldest routine lines shed: %s", s->conf->id,
              (unsigned long long)s->shed_unsaid, why);
    s->shed_unsaid = 0;
}

/* The log cannot be written and the queue is at its bound. */
static void shed_queued(struct sink *s)
{
    for (struct queued *q = s->queue; q && s->queue_bytes > SINK_QUEUE_MAX; q = q->next) {
        for (size_t i = 0; i < q->n; i++) {
            struct block *b = q->blocks[i];
            if (b->shed || b->info.class_ != POINT_ROUTINE)
                continue;
            uint64_t before = block_memory(b);
            say_shed(s, b->info.lines, "its outbound log cannot be written");
            block_shed(b);
            uint64_t less = before - block_memory(b);
            q->bytes -= less;
            s->queue_bytes -= less;
        }
    }
}

static void write_failed(struct sink *s)
{
    if (log_broke(&s->write_log))
        log_error("sink %s: its outbound log cannot be written: %s; trying again each second",
                  s->conf->id, strerror(-s->job_result));
    shed_queued(s);
    loop_timer_start(s->rewrite, REWRITE_MS, 0);
}

static void write_done(void *ctx)
{
    struct sink *s = ctx;
    s->writing = false;
    outbound_settle(s->ob);
    if (s->job_result == 0)
        drop_written(s);
    free(s->job_blocks);
    s->job_blocks = NULL;
    s->n_job_blocks = s->n_job_groups = 0;
    if (s->job_result != 0) {
        write_failed(s);
        return;
    }
    if (log_healed(&s->write_log))
        log_notice("sink %s: its outbound log can be written again", s->conf->id);
    sink_check_quota(s);
    sink_flush_maybe(s);
    sink_pump(s);
    sink_try_write(s);
}

void sink_on_rewrite(void *ctx)
{
    sink_try_write(ctx);
}

void sink_try_write(struct sink *s)
{
    uint64_t bytes = 0;
    size_t blocks = 0, groups = 0;
    if (s->writing || s->closing || loop_timer_active(s->rewrite))
        return;
    for (const struct queued *q = s->queue; q && q->to.offset <= s->synced; q = q->next) {
        if (groups > 0 && bytes + q->bytes > JOB_BYTES)
            break;
        bytes += q->bytes;
        blocks += q->n;
        groups++;
    }
    if (groups == 0 && !outbound_wants_sync(s->ob))
        return;
    s->job_blocks = mem_zalloc_array(blocks, sizeof(*s->job_blocks));
    s->n_job_groups = groups;
    const struct queued *q = s->queue;
    for (size_t k = 0; k < groups; k++, q = q->next)
        for (size_t i = 0; i < q->n; i++)
            s->job_blocks[s->n_job_blocks++] = q->blocks[i];
    s->writing = true;
    loop_work(s->loop, write_work, write_done, s);
}

/* -- the quota ------------------------------------------------------------------------------ */

void sink_check_quota(struct sink *s)
{
    uint64_t max = s->conf->max_bytes, seq, before = outbound_pending_lines(s->ob);
    if (s->conf->on_full == CONF_PAUSE) {
        if (outbound_bytes(s->ob) > max)
            s->paused = true;
        else if (outbound_bytes(s->ob) < max / 10 * 9)
            s->paused = false;
        return;
    }
    while (outbound_bytes(s->ob) > max && outbound_oldest_routine(s->ob, &seq))
        if (outbound_done(s->ob, seq, OUTBOUND_SHED, NULL, 0) != 0)
            break;
    if (outbound_pending_lines(s->ob) < before)
        say_shed(s, before - outbound_pending_lines(s->ob), "its outbound log is full");
}

/* -- flush ---------------------------------------------------------------------------------- */

/* Where no line tells how far the sink came, an empty block does. */
static void enqueue_place(struct sink *s)
{
    struct block *b = mem_zalloc(sizeof(*b));
    struct block **one = mem_zalloc(sizeof(*one));
    b->info.from = b->info.to = s->last_step;
    b->info.closed_wall_ns = clock_wall_ns();
    b->shed = true;
    one[0] = b;
    enqueue(s, one, 1, &s->last_step);
}

void sink_flush_maybe(struct sink *s)
{
    struct position durable = outbound_durable(s->ob);
    if (!s->flushing || position_cmp(&durable, &s->flush_to) < 0)
        return;
    s->flushing = false;
    s->flushed(s->flushed_ctx);
}

static void flush_nothing(void *ctx)
{
    (void)ctx;
}

static void flush_later(void *ctx)
{
    sink_flush_maybe(ctx);
}

void sink_flush(struct sink *s, loop_fn *done, void *ctx)
{
    struct position end;
    sink_close_open(s);
    end = s->queue ? (struct position){0} : outbound_end(s->ob);
    for (const struct queued *q = s->queue; q; q = q->next)
        end = q->to;
    if (position_cmp(&end, &s->last_step) < 0)
        enqueue_place(s);
    s->flushing = true;
    s->flush_to = s->last_step;
    s->flushed = done;
    s->flushed_ctx = ctx;
    sink_try_write(s);
    if (!s->queue)
        loop_work(s->loop, flush_nothing, flush_later, s); /* never from inside this call */
}
