/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MUTEX_H
#define BASE_MUTEX_H
/*
 * mutex — one lock, for who has callbacks of several threads and no other business with threads.
 *
 * Not recursive; held for as short as may be. Does not fail: of the default kind POSIX has no error but
 * those of a wrong program.
 */
#include <pthread.h>
#include <stdbool.h>

struct mutex {
    pthread_mutex_t m;
};

static inline void mutex_init(struct mutex *x)
{
    (void)pthread_mutex_init(&x->m, NULL);
}
static inline void mutex_done(struct mutex *x)
{
    (void)pthread_mutex_destroy(&x->m);
}
static inline void mutex_lock(struct mutex *x)
{
    (void)pthread_mutex_lock(&x->m);
}
/* False: somebody has it. */
static inline bool mutex_try(struct mutex *x)
{
    return pthread_mutex_trylock(&x->m) == 0;
}
static inline void mutex_unlock(struct mutex *x)
{
    (void)pthread_mutex_unlock(&x->m);
}

#endif
