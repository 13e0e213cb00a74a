/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_LOOP_H
#define IO_LOOP_H
/*
 * loop — the one loop thread (libuv), timers, pool jobs, wake-ups and signals. Faked in tests/sim.
 *
 * Everything here belongs to the loop's thread, but for loop_wake_send(). Callbacks run on the
 * loop, never from inside the call that registered them. A freed timer or wake never calls back.
 * A pool job touches nothing but its argument.
 */
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_wake;
struct loop_poll;
typedef void loop_fn(void *ctx);

/* How many pool jobs run at a time, of all loops; before the first job. With fewer than may be under way
 * one waits behind another that the disk keeps busy. */
void loop_pool(unsigned threads);
struct loop *loop_new(void);
/* All handles must have been freed: asserted. Its signals are ignored from here on. */
void loop_free(struct loop *l);
void loop_run(struct loop *l); /* until loop_stop, and the pool jobs under way are done */
void loop_stop(struct loop *l);
uint64_t loop_now_ns(struct loop *l); /* monotonic, cached for the turn */
uint64_t loop_hrtime_ns(void);        /* monotonic, now */

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *ctx);
void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine */

struct loop_wake *loop_wake_new(struct loop *l, loop_fn *fn, void *ctx);
void loop_wake_send(struct loop_wake *w); /* any thread; several sends may give one call */
void loop_wake_free(struct loop_wake *w);

/* work on a pool thread, then done on the loop. */
void loop_work(struct loop *l, loop_fn *work, loop_fn *done, void *ctx);

/* The numbers of signal(7). */
enum { LOOP_HUP = 1, LOOP_INT = 2, LOOP_TERM = 15 };
void loop_signal(struct loop *l, int signum, loop_fn *fn, void *ctx);

enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };
typedef void loop_poll_fn(void *ctx, int status, int events); /* status 0 or -errno */
struct loop_poll *loop_poll_new(struct loop *l, int fd, loop_poll_fn *fn, void *ctx);
void loop_poll_start(struct loop_poll *p, int events);
void loop_poll_free(struct loop_poll *p);

#endif
