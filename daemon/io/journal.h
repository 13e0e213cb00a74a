/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_JOURNAL_H
#define IO_JOURNAL_H
/*
 * journal — the queue between brokers and engine, and the only truth (docs/journal.md).
 *
 * Preallocated segments, append-only, one append lock. A record is on the page cache when
 * journal_append returns (survives kill -9); `sync` decides about power loss. A write or sync
 * error is final: every later call fails, and the caller must stop the process, because Paho
 * acknowledges whatever its callback returns.
 *
 * Threads: journal_append, journal_end, journal_synced, journal_sync, journal_prepare from any
 * thread; readers and the rest from one thread.
 */
#include "base/err.h"
#include "core/conf.h"
#include "core/record.h"

struct journal;
struct journal_reader;

struct journal_options {
    const char *dir;
    uint64_t max_bytes, segment_bytes;
    enum conf_sync sync;
    uint64_t known; /* highest offset that cursors, snapshots or blocks know; recovery never cuts
                       below it, and if it is beyond the journal's end a new segment begins above it */
    bool read_only; /* tools on a stopped gateway's folder: recovers nothing, writes nothing */
};

struct journal_recovery { /* what open found and did */
    bool unclean, lost_known; /* lost_known: `known` was beyond the end */
    uint64_t cut_bytes, cut_offset, segments, first, end;
    uint64_t last_engine_ns;
    int64_t last_wall_ns;
    uint64_t messages;
    char boot_id[37];
};

struct journal_stats {
    uint64_t first, end, synced, bytes, max_bytes, messages, segments;
    uint64_t appends, append_bytes, syncs, sync_ns_max, sync_ns_last;
    bool mapped;    /* records are copied into a mapping, else written */
    bool low_space; /* above the high-water mark: leave the brokers */
    int failed;     /* -errno, final */
};

int journal_open(const struct journal_options *o, struct err *err,
                 struct journal_recovery *out_recovery, struct journal **out);
void journal_close(struct journal *j); /* syncs */

/* Stamps engine time, wall time and the message count (but for RECORD_REINJECT, whose wall time is
 * the caller's), and publishes. 0 and the record's end; -ENOSPC when the quota (but for control records
 * the last segment of it) or the disk is full; -EIO and others are final. With sync: always the record
 * is on the disk when it returns. */
int journal_append(struct journal *j, struct record *r, uint64_t *out_end);
/* A time for a live tick, taken under the append lock: everything below *out_end is earlier. */
void journal_tick(struct journal *j, uint64_t *out_engine_ns, uint64_t *out_end);

uint64_t journal_end(const struct journal *j);    /* acquire: records below it can be read */
uint64_t journal_synced(const struct journal *j);
int journal_sync(struct journal *j);    /* blocking; pool job */
int journal_prepare(struct journal *j); /* blocking; pool job: makes the next segment */
bool journal_wants_prepare(const struct journal *j);
void journal_stats(const struct journal *j, struct journal_stats *out);

/* Reading, in order. The record's memory is valid until its segment is released. */
int journal_reader_open(struct journal *j, uint64_t from, struct journal_reader **out); /* -ERANGE: released */
void journal_reader_close(struct journal_reader *r);
/* 1 and a record; 0 at the end; -EBADMSG: a rotten stretch was skipped: out->offset … out->end, and
 * out->messages is how many messages it held. Goes on after it. */
int journal_read(struct journal_reader *r, struct record *out);

/* Segments wholly below `offset` may go. Blocking; pool job. Archived first when archive_dir is given. */
int journal_release(struct journal *j, uint64_t offset, const char *archive_dir);

#endif
