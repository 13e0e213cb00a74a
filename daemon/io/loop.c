/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/num.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#define MAX_SIGNALS 8

struct loop_signal {
    uv_signal_t uv;
    loop_fn *fn;
    void *ctx;
};

struct loop {
    uv_loop_t uv;
    struct loop_signal signals[MAX_SIGNALS];
    unsigned n_signals;
    unsigned jobs; /* under way */
};

struct loop_timer {
    uv_timer_t uv;
    loop_fn *fn;
    void *ctx;
};

struct loop_wake {
    uv_async_t uv;
    loop_fn *fn;
    void *ctx;
};

struct loop_poll {
    uv_poll_t uv;
    loop_poll_fn *fn;
    void *ctx;
};

struct loop_job {
    uv_work_t uv;
    struct loop *loop;
    loop_fn *work, *done;
    void *ctx;
};

void loop_pool(unsigned threads)
{
    char text[24];
    text[num_put_u64(text, threads)] = '\0';
    (void)setenv("UV_THREADPOOL_SIZE", text, 1); /* libuv's only way; it has 4 else */
}

struct loop *loop_new(void)
{
    struct loop *l = mem_zalloc(sizeof(*l));
    ASSERT(uv_loop_init(&l->uv) == 0);
    return l;
}

static void signal_closed(uv_handle_t *h)
{
    (void)h;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    for (unsigned i = 0; i < l->n_signals; i++) {
        int signum = l->signals[i].uv.signum;
        uv_close((uv_handle_t *)&l->signals[i].uv, signal_closed);
        (void)signal(signum, SIG_IGN); /* it ends already, with an exit code of its own */
    }
    uv_run(&l->uv, UV_RUN_DEFAULT); /* close callbacks */
    ASSERT(uv_loop_close(&l->uv) == 0);
    free(l);
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
    while (l->jobs > 0) /* what they work on is freed next */
        uv_run(&l->uv, UV_RUN_ONCE);
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

uint64_t loop_now_ns(struct loop *l)
{
    return uv_now(&l->uv) * 1000000u;
}

uint64_t loop_hrtime_ns(void)
{
    return uv_hrtime();
}

static void handle_free(uv_handle_t *h)
{
    free(h->data);
}

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *t = uv->data;
    t->fn(t->ctx);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *ctx)
{
    struct loop_timer *t = mem_zalloc(sizeof(*t));
    ASSERT(uv_timer_init(&l->uv, &t->uv) == 0);
    t->uv.data = t;
    t->fn = fn;
    t->ctx = ctx;
    return t;
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
    uv_update_time(t->uv.loop);
    ASSERT(uv_timer_start(&t->uv, on_timer, after_ms, repeat_ms) == 0);
}

void loop_timer_stop(struct loop_timer *t)
{
    uv_timer_stop(&t->uv);
}

bool loop_timer_active(const struct loop_timer *t)
{
    return uv_is_active((const uv_handle_t *)&t->uv) != 0;
}

void loop_timer_free(struct loop_timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->uv, handle_free);
}

static void on_wake(uv_async_t *uv)
{
    struct loop_wake *w = uv->data;
    w->fn(w->ctx);
}

struct loop_wake *loop_wake_new(struct loop *l, loop_fn *fn, void *ctx)
{
    struct loop_wake *w = mem_zalloc(sizeof(*w));
    ASSERT(uv_async_init(&l->uv, &w->uv, on_wake) == 0);
    w->uv.data = w;
    w->fn = fn;
    w->ctx = ctx;
    return w;
}

void loop_wake_send(struct loop_wake *w)
{
    /* libuv 1.44's uv_async_send begins with a plain read of its pending flag: without a full
     * fence before it, what the sender published may not be seen by the call it leans on */
    atomic_thread_fence(memory_order_seq_cst);
    uv_async_send(&w->uv);
}

void loop_wake_free(struct loop_wake *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->uv, handle_free);
}

static void on_work(uv_work_t *uv)
{
    struct loop_job *j = uv->data;
    j->work(j->ctx);
}

static void after_work(uv_work_t *uv, int status)
{
    (void)status; /* jobs are never cancelled */
    struct loop_job *j = uv->data;
    loop_fn *done = j->done;
    void *ctx = j->ctx;
    j->loop->jobs--;
    free(j);
    if (done)
        done(ctx);
}

void loop_work(struct loop *l, loop_fn *work, loop_fn *done, void *ctx)
{
    struct loop_job *j = mem_zalloc(sizeof(*j));
    *j = (struct loop_job){.loop = l, .work = work, .done = done, .ctx = ctx};
    j->uv.data = j;
    l->jobs++;
    ASSERT(uv_queue_work(&l->uv, &j->uv, on_work, after_work) == 0);
}

static void on_signal(uv_signal_t *uv, int signum)
{
    (void)signum;
    struct loop_signal *s = uv->data;
    s->fn(s->ctx);
}

void loop_signal(struct loop *l, int signum, loop_fn *fn, void *ctx)
{
    ASSERT(l->n_signals < MAX_SIGNALS);
    struct loop_signal *s = &l->signals[l->n_signals++];
    *s = (struct loop_signal){.fn = fn, .ctx = ctx};
    ASSERT(uv_signal_init(&l->uv, &s->uv) == 0);
    s->uv.data = s;
    ASSERT(uv_signal_start(&s->uv, on_signal, signum) == 0);
    uv_unref((uv_handle_t *)&s->uv); /* waiting for a signal alone keeps no loop alive */
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_poll *p = uv->data;
    int e = ((events & UV_READABLE) ? LOOP_READABLE : 0) |
            ((events & UV_WRITABLE) ? LOOP_WRITABLE : 0);
    p->fn(p->ctx, status, e);
}

struct loop_poll *loop_poll_new(struct loop *l, int fd, loop_poll_fn *fn, void *ctx)
{
    struct loop_poll *p = mem_zalloc(sizeof(*p));
    p->uv.data = p;
    p->fn = fn;
    p->ctx = ctx;
    if (uv_poll_init(&l->uv, &p->uv, fd) != 0) { /* not a descriptor that can be polled */
        free(p);
        return NULL;
    }
    return p;
}

void loop_poll_start(struct loop_poll *p, int events)
{
    int e = ((events & LOOP_READABLE) ? UV_READABLE : 0) |
            ((events & LOOP_WRITABLE) ? UV_WRITABLE : 0);
    if (e == 0)
        uv_poll_stop(&p->uv);
    else
        ASSERT(uv_poll_start(&p->uv, e, on_poll) == 0);
}

void loop_poll_free(struct loop_poll *p)
{
    if (p)
        uv_close((uv_handle_t *)&p->uv, handle_free);
}
