/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_STORE_RIG_H
#define UNIT_STORE_RIG_H
/* store_rig — a store in a folder of its own, and waiting for what it answers. The test says first
 * what else it keeps of a run: BENCH_OWN, members of struct bench. */
#include "unit.h"

#include "base/mem.h"
#include "io/store.h"

struct bench {
    char dir[64], path[128];
    struct loop *loop;
    struct store *store;
    struct store_opened opened;
    int pending, status;
    BENCH_OWN
};

static inline int setup(void **state)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->path, sizeof(b->path), "%s/store.db", b->dir);
    b->loop = loop_new();
    *state = b;
    return 0;
}

static inline int bench_end(struct bench *b)
{
    store_close(b->store);
    loop_free(b->loop);
    char *cmd = mem_printf("rm -rf %s", b->dir);
    int rc = system(cmd);
    free(cmd);
    free(b);
    return rc;
}

static void open_store(struct bench *b); /* the test's */

static inline void reopen(struct bench *b)
{
    store_close(b->store);
    b->store = NULL;
    open_store(b);
}

static inline void ended(struct bench *b)
{
    if (--b->pending == 0)
        loop_stop(b->loop);
}

static inline void wait_all(struct bench *b)
{
    if (b->pending)
        loop_run(b->loop);
    assert_int_equal(b->pending, 0);
}

/* The first failure stays. */
static inline void on_commit(void *ctx, int status)
{
    struct bench *b = ctx;
    if (status)
        b->status = status;
    ended(b);
}

static inline void commit_later(struct bench *b, struct store_batch *batch)
{
    b->pending++;
    store_commit(b->store, batch, on_commit, b);
}

#endif
