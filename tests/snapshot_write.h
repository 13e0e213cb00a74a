/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SNAPSHOT_WRITE_H
#define TESTS_SNAPSHOT_WRITE_H
/* snapshot_write — a snapshot at once, as the gateway makes one in pieces. 0 or -errno. */
#include "io/snapshot.h"

static inline int snapshot_write(const char *dir, const struct position *p, const void *bytes,
                                 size_t len)
{
    struct snapshot_writer *w = NULL;
    uint64_t release;
    int e = snapshot_begin(dir, &w);
    if (e < 0)
        return e;
    e = snapshot_put(w, bytes, len);
    if (e == 0)
        e = snapshot_seal(w, p);
    if (e == 0)
        e = snapshot_commit(w, &release);
    else
        snapshot_abort(w);
    return e < 0 ? e : 0;
}

#endif
