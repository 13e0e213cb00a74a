/* SPDX-License-Identifier: Apache-2.0 */
#include "io/ahead.h"
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct ahead {
    pthread_t thread;
    void (*fn)(void *ctx);
    void *ctx;
};

static void *run(void *p)
{
    struct ahead *a = p;
    a->fn(a->ctx);
    return NULL;
}

struct ahead *ahead_begin(void (*fn)(void *ctx), void *ctx)
{
    struct ahead *a = mem_zalloc(sizeof(*a));
    sigset_t all, before;
    a->fn = fn;
    a->ctx = ctx;
    (void)sigfillset(&all); /* signals are the caller's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&a->thread, NULL, run, a);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        return a;
    free(a);
    return NULL;
}

void ahead_end(struct ahead *a)
{
    if (a)
        (void)pthread_join(a->thread, NULL);
    free(a);
}
