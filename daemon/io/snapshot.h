/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_SNAPSHOT_H
#define IO_SNAPSHOT_H
/*
 * snapshot — the engine's state at a position, as files: `snapshot-<16 hex of a serial>.bin`.
 *
 * Written temp → fsync → rename → fsync folder, with magic, version, position, length and
 * CRC32C. The two newest good ones are kept, so that a damaged one has an older one behind it;
 * the journal is released below the second-newest. Whether a snapshot may be written at all
 * (nothing derived outlives its cause) is the caller's to know. Blocking; pool job; not two at
 * once on one folder.
 */
#include "base/err.h"
#include "core/position.h"

#include <stdbool.h>
#include <stddef.h>

enum { SNAPSHOT_KEEP = 2 };
#define SNAPSHOT_MAX ((size_t)1 << 31) /* bytes of one state */

struct snapshot {
    struct position position;
    void *bytes; /* free() */
    size_t len;
    unsigned skipped; /* newer ones that were damaged or unreadable; told in `why` */
};

/* Written in pieces, because a state need not fit into memory twice: begin, put …, seal (on the
 * disk under a temporary name), then commit (the rename; the caller knows when it may) or
 * abort. Commit and abort end the writer. out_release: the offset of the second-newest good
 * snapshot of those that are not beyond this one, below which the journal may go; 0: nothing may.
 * Commit returns 1 if it went well, but one of those that are there cannot be read back. */
struct snapshot_writer;
int snapshot_begin(const char *dir, struct snapshot_writer **out);
int snapshot_put(struct snapshot_writer *w, const void *p, size_t n);
int snapshot_seal(struct snapshot_writer *w, const struct position *p);
int snapshot_commit(struct snapshot_writer *w, uint64_t *out_release);
void snapshot_abort(struct snapshot_writer *w); /* NULL is fine */
/* What a start finds. No file is read from the disk twice: what was read to verify it is mapped, and of
 * one that nobody asks for only its head is. One state at a time is in memory. */
struct snapshots;
int snapshots_open(const char *dir, struct snapshots **out);
void snapshots_close(struct snapshots *s); /* NULL is fine */
/* Is what the set found still what a new one would find? The folder is read again, and the heads. For
 * a set that was opened before the folder was this process's alone. */
bool snapshots_still(const struct snapshots *s);
/* The newest good one at or below `max` (NULL: any). -ENOENT: none. why: the last damage seen,
 * empty text if there was none. out->bytes are the set's, until another one is loaded. */
int snapshots_newest(struct snapshots *s, const struct position *max, struct err *why,
                     struct snapshot *out);
/* What those say of their positions that are not known to be damaged, newest first, at most n;
 * without reading them. Returns how many. */
size_t snapshots_told(const struct snapshots *s, struct position *out, size_t n);
/* Is there a good one beyond `p`? */
bool snapshots_beyond(struct snapshots *s, const struct position *p);
/* The same by itself; out->bytes are the caller's. */
int snapshot_load_newest(const char *dir, const struct position *max, struct err *why,
                         struct snapshot *out);
/* Positions of the files that verify, newest first, at most n. Returns how many, or -errno. A window
 * for the simulator and the tests, which look beside a gateway what it keeps. */
int snapshot_list(const char *dir, struct position *out, size_t n);

#endif
