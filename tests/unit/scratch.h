/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_SCRATCH_H
#define UNIT_SCRATCH_H
/* scratch — a temporary folder of one's own (below TMPDIR or /tmp), gone with all in it. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int scratch_remove_one(const char *path, const struct stat *st, int type,
                              struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void scratch_remove(const char *dir)
{
    (void)nftw(dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *scratch_make(char *room, size_t n)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(room, n, "%s/gaihou-unit-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(room)) {
        perror(room);
        abort();
    }
    return room;
}

#endif
