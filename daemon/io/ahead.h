/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_AHEAD_H
#define IO_AHEAD_H
/*
 * ahead — one thing done on a thread of its own while the caller does another: for a start, which has no
 * loop yet, and so no pool. What fn touches is the thread's until ahead_end() has returned.
 */

struct ahead;
/* NULL: no thread can be made, fn does not run. It may be put off by that, never fail. */
struct ahead *ahead_begin(void (*fn)(void *ctx), void *ctx);
/* Waits until fn has returned. NULL is fine. */
void ahead_end(struct ahead *a);

#endif
