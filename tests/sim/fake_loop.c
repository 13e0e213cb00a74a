/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/loop.h in virtual time: timers, wakes and pool jobs are events of the world. A pool job
 * runs as one event, some time after it was asked for, and is done some time after that.
 */
#include "base/check.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/loop.h"
#include "sim/fakes.h"
#include "sim/world.h"

#include <stdlib.h>

struct loop {
    bool stop;
    unsigned jobs;
};
struct loop_timer {
    loop_fn *fn;
    void *ctx;
    uint64_t repeat_ns;
    bool active;
};
struct loop_wake {
    loop_fn *fn;
    void *ctx;
    bool sent;
};
struct job {
    struct loop *loop;
    loop_fn *work, *done;
    void *ctx;
};

static struct {
    loop_fn *fn;
    void *ctx;
} signals[32];

uint64_t fake_loop_job_ns = 5000000;

void loop_pool(unsigned threads)
{
    (void)threads;
}

struct loop *loop_new(void)
{
    return mem_zalloc(sizeof(struct loop));
}

void loop_free(struct loop *l)
{
    free(l);
}

void loop_run(struct loop *l)
{
    while (!l->stop || l->jobs > 0)
        if (!sim_turn())
            sim_fail("nothing will ever happen again");
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}

uint64_t loop_now_ns(struct loop *l)
{
    (void)l;
    return clock_boot_ns();
}

uint64_t loop_hrtime_ns(void)
{
    return clock_boot_ns();
}

/* -- timers -------------------------------------------------------------------------------- */

static void fire(void *ctx)
{
    struct loop_timer *t = ctx;
    t->active = t->repeat_ns > 0;
    if (t->active)
        sim_after(t->repeat_ns, fire, t, true);
    t->fn(t->ctx);
    sim_elapse(sim_random(20000));
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *ctx)
{
    struct loop_timer *t = mem_zalloc(sizeof(*t));
    (void)l;
    *t = (struct loop_timer){.fn = fn, .ctx = ctx};
    return t;
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
    loop_timer_stop(t);
    t->active = true;
    t->repeat_ns = repeat_ms * 1000000;
    sim_after(after_ms * 1000000 + sim_random(1000000), fire, t, true);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->active)
        sim_cancel(fire, t);
    t->active = false;
}

bool loop_timer_active(const struct loop_timer *t)
{
    return t->active;
}

void loop_timer_free(struct loop_timer *t)
{
    if (t)
        loop_timer_stop(t);
    free(t);
}

/* -- wakes --------------------------------------------------------------------------------- */

static void woken(void *ctx)
{
    struct loop_wake *w = ctx;
    w->sent = false;
    w->fn(w->ctx);
    sim_elapse(sim_random(20000));
}

struct loop_wake *loop_wake_new(struct loop *l, loop_fn *fn, void *ctx)
{
    struct loop_wake *w = mem_zalloc(sizeof(*w));
    (void)l;
    *w = (struct loop_wake){fn, ctx, false};
    return w;
}

void loop_wake_send(struct loop_wake *w)
{
    if (w->sent)
        return;
    w->sent = true;
    sim_after(sim_random(100000), woken, w, true);
}

void loop_wake_free(struct loop_wake *w)
{
    if (w && w->sent)
        sim_cancel(woken, w);
    free(w);
}

/* -- pool jobs ----------------------------------------------------------------------------- */

static void job_done(void *ctx)
{
    struct job j = *(struct job *)ctx;
    free(ctx);
    j.loop->jobs--;
    if (j.done)
        j.done(j.ctx);
    sim_elapse(sim_random(20000));
}

static void job_work(void *ctx)
{
    struct job *j = ctx;
    j->work(j->ctx);
    sim_after(sim_random(fake_loop_job_ns), job_done, j, true);
}

void loop_work(struct loop *l, loop_fn *work, loop_fn *done, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){l, work, done, ctx};
    l->jobs++;
    uint64_t slow = sim_chance(5) ? 20 : 1;
    sim_after(sim_random(fake_loop_job_ns * slow), job_work, j, true);
}

/* -- signals, descriptors ------------------------------------------------------------------ */

void loop_signal(struct loop *l, int signum, loop_fn *fn, void *ctx)
{
    (void)l;
    ASSERT(signum < 32);
    signals[signum].fn = fn;
    signals[signum].ctx = ctx;
}

void fake_loop_signal(int signum)
{
    ASSERT(sim_alive() && signals[signum].fn);
    signals[signum].fn(signals[signum].ctx);
}

/* Nothing in the simulation has a descriptor. */
struct loop_poll *loop_poll_new(struct loop *l, int fd, loop_poll_fn *fn, void *ctx)
{
    (void)l;
    (void)fd;
    (void)fn;
    (void)ctx;
    ASSERT(false); /* nothing here has one */
    return NULL;
}

void loop_poll_start(struct loop_poll *p, int events)
{
    (void)p;
    (void)events;
}

void loop_poll_free(struct loop_poll *p)
{
    (void)p;
}
