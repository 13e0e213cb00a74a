/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write-ahead log moves into the database on a thread and a connection of their own. SQLite would
 * do it within the commit that makes the log long: a thousand pages written and two more syncs,
 * while an alarm waits for that commit. A checkpoint that is passive holds up no writer.
 */
#include "base/check.h"
#include "base/mem.h"
#include "io/store_impl.h"

#include <pthread.h>
#include <stdlib.h>

struct store_wal {
    sqlite3 *sql; /* the thread's; NULL: it could not be opened, the store's own must do */
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t cond;
    bool wanted, closing;
};

static void *run(void *arg)
{
    struct store_wal *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->wanted && !w->closing)
            pthread_cond_wait(&w->cond, &w->lock);
        if (w->closing)
            break;
        w->wanted = false;
        pthread_mutex_unlock(&w->lock);
        /* What it cannot move stays in the log: the next one tries again. */
        (void)sqlite3_wal_checkpoint_v2(w->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct store_wal *store_wal_open(const char *path)
{
    struct store_wal *w = mem_zalloc(sizeof(*w));
    if (sqlite3_open_v2(path, &w->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        sqlite3_close(w->sql);
        w->sql = NULL;
        return w;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->cond, NULL);
    ASSERT(pthread_create(&w->thread, NULL, run, w) == 0);
    pthread_setname_np(w->thread, "store-wal");
    return w;
}

bool store_wal_want(struct store_wal *w)
{
    if (!w->sql)
        return false;
    pthread_mutex_lock(&w->lock);
    w->wanted = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
    return true;
}

void store_wal_close(struct store_wal *w)
{
    if (!w)
        return;
    if (w->sql) {
        pthread_mutex_lock(&w->lock);
        w->closing = true;
        pthread_cond_signal(&w->cond);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
        pthread_cond_destroy(&w->cond);
        pthread_mutex_destroy(&w->lock);
        sqlite3_close(w->sql);
    }
    free(w);
}
