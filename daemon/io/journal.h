/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_JOURNAL_H
#define IO_JOURNAL_H
/*
 * journal — the queue between brokers and engine, and the only truth (docs/journal.md).
 *
 * Preallocated segments, append-only, one append lock. A record is on the page cache when
 * journal_append returns (survives kill -9); `sync` decides about power loss. A write or sync
 * error is final: every later call fails, and the caller must stop the process, because Paho
 * acknowledges whatever its callback returns. A full disk or quota is not final: room heals it.
 *
 * Every start begins a new segment; what an earlier process wrote is never appended to. An
 * unclean end is cut at the first record above `known` that does not verify, whatever verifies
 * beyond it.
 *
 * Threads: journal_append, journal_tick, journal_end, journal_synced, journal_sync,
 * journal_prepare, journal_wants_prepare, journal_stats, journal_fetch from any thread; journal_release from
 * one at a time, beside them; readers from one thread.
 */
#include "base/err.h"
#include "core/conf.h"
#include "core/record.h"

struct journal;
struct journal_reader;

enum journal_copy {
    JOURNAL_COPY_AUTO, /* a mapping where file_can_map allows, else write() */
    JOURNAL_COPY_MAP,  /* the other two are for tests and measurements */
    JOURNAL_COPY_WRITE,
};

struct journal_options {
    const char *dir;
    uint64_t max_bytes;     /* ≥ 4 × segment_bytes */
    uint64_t segment_bytes; /* ≥ 16 KiB, rounded up to 4 KiB; bounds a record, see
                               journal_max_record */
    enum conf_sync sync;
    uint64_t known; /* highest offset that cursors, snapshots or blocks know; recovery never
                       cuts below it, and if it is beyond the journal's end a new segment begins
                       above it */
    uint64_t known_engine_ns; /* highest engine time that those know (0: none); time goes on
                                 above it */
    uint64_t known_messages;  /* message count at `known` (0: not known); keeps the ledger exact
                                 if the records before `known` are gone */
    bool read_only; /* tools, also beside a running gateway: recovers nothing, writes nothing */
    enum journal_copy copy;
};

enum journal_time { /* how engine time went on over the restart (recovery.md 15) */
                    JOURNAL_TIME_FRESH,   /* a new journal */
                    JOURNAL_TIME_BOOT,    /* same boot: CLOCK_BOOTTIME went on */
                    JOURNAL_TIME_WALL,    /* another boot: by the distance of synchronised wall
                                             times */
                    JOURNAL_TIME_UNKNOWN, /* another boot and no trusted distance: last + 1 ns.
                                             To be said. */
};

struct journal_recovery {           /* what open found and did */
    bool unclean;                   /* the last record is not RECORD_STOP */
    bool lost_known;                /* `known` was beyond the end */
    uint64_t cut_bytes, cut_offset; /* bytes thrown away behind the last record, if any */
    uint64_t segments, first, end;  /* end: where the next record goes */
    uint64_t unreadable;      /* segments whose header is lost: kept, read as one bad stretch */
    uint64_t damaged_headers; /* read from the header's copy, or a seal that does not verify */
    uint64_t missing;         /* holes between segments */
    uint64_t last_engine_ns;
    int64_t last_wall_ns;
    uint64_t messages;
    char boot_id[37]; /* of the last process */
    enum journal_time time;
    int64_t gap_ns; /* engine time from the last record to this open */
};

struct journal_stats {
    uint64_t first, end, synced, bytes, max_bytes, messages, segments;
    uint64_t appends, append_bytes, syncs, sync_ns_max, sync_ns_last;
    bool mapped;        /* records are copied into a mapping, else written */
    bool low_space;     /* above the high-water mark: leave the brokers */
    int prepare_failed; /* -errno of the last attempt to make a whole segment, 0 if it went well;
                           tried again each second */
    int failed;         /* -errno, final */
};

int journal_open(const struct journal_options *o, struct err *err,
                 struct journal_recovery *out_recovery, struct journal **out);
/* Seals, syncs and trims the last segment. Close the readers first. 0 or the error that means
 * that what was not synced may be gone. */
int journal_close(struct journal *j);

/* Stamps engine time, wall time and the message count (but for RECORD_REINJECT, whose wall time
 * is the caller's), and publishes. 0 and the record's end; -ENOSPC when the quota (but for
 * control records the last segment of it) or the disk is full; -EMSGSIZE above
 * journal_max_record; -EIO and others are final. With sync: always the record is on the disk
 * when it returns. */
int journal_append(struct journal *j, struct record *r, uint64_t *out_end);
/* The same; but before it says -ENOSPC it waits for room, `wait_ms` at the longest. For a thread
 * that may block. */
int journal_append_patient(struct journal *j, struct record *r, unsigned wait_ms,
                           uint64_t *out_end);
size_t journal_max_record(const struct journal *j); /* topic and body together, bytes */
/* The engine time now, taken under the append lock: everything below *out_end is earlier. */
void journal_tick(struct journal *j, uint64_t *out_engine_ns, uint64_t *out_end);

uint64_t journal_end(const struct journal *j); /* acquire: records below it can be read */
uint64_t journal_synced(const struct journal *j);
int journal_sync(struct journal *j); /* blocking; pool job */
/* Blocking; pool job: seals what is full and makes the next segment. -ENOSPC heals. */
int journal_prepare(struct journal *j);
bool journal_wants_prepare(struct journal *j);
void journal_stats(struct journal *j, struct journal_stats *out);

/* Reading, in order. The record's memory is valid until its segment is released. Every record
 * is verified each time it is read. From 0: the first that is there. */
/* -ERANGE: released, or beyond the end. */
int journal_reader_open(struct journal *j, uint64_t from, struct journal_reader **out);
void journal_reader_close(struct journal_reader *r);
/* 1 and a record; 0 at the end; -EBADMSG: a rotten or missing stretch was skipped: out->offset
 * … out->end, and out->messages is how many messages it held. Goes on after it. Other -errno:
 * an old segment cannot be opened now; may be called again. */
int journal_read(struct journal_reader *r, struct record *out);
/* Where it stands: everything below was read. At the journal's end it is journal_end, also when
 * that lies at the beginning of a segment and the last record far before. */
uint64_t journal_reader_at(const struct journal_reader *r);

/* One record by its place, out of order: read from its file and not from a mapping, so that a disk that
 * fails there is an error and no signal. Blocking; any thread. 0: *out points into *out_bytes
 * (free()). -ERANGE: not there any more, or not yet; -EBADMSG: no record begins there that
 * verifies; other -errno. */
int journal_fetch(struct journal *j, uint64_t offset, struct record *out, char **out_bytes);

/* Segments wholly below `offset` may go. Blocking; pool job. Archived first when archive_dir is
 * given (the folder is made); a segment that cannot be archived stays. */
int journal_release(struct journal *j, uint64_t offset, const char *archive_dir);

struct journal_segment_info {   /* for tools */
    uint64_t base, size, bytes; /* bytes: on the disk */
    uint64_t messages_before, messages;
    int64_t created_wall_ns, last_wall_ns;
    bool sealed, unreadable;
};
void journal_each_segment(struct journal *j,
                          void (*fn)(void *ctx, const struct journal_segment_info *s),
                          void *ctx);

/* The archive: `%016x.journal.zst`, one per released segment (zstd of the whole file). */
struct journal_archive {
    uint64_t segments, bytes;
    uint64_t first, end; /* offsets: of all of them, and of those that can be read */
    int64_t first_wall_ns, last_wall_ns; /* of those that can be read */
    uint64_t unreadable;                 /* now */
};
int journal_archive_span(const char *dir,
                         struct journal_archive *out); /* a missing folder is empty */
/* As journal_fetch, of what was released: unpacks its segment up to the record (some 0.1 s of a
 * processor for 64 MiB). -ERANGE: the archive does not have it. */
int journal_archive_fetch(const char *dir, uint64_t offset, struct record *out,
                          char **out_bytes);
/* Removes segments whose last record is older than now - keep_ns, and the oldest ones above
 * max_bytes (0: no such limit). One that cannot be read is as old as the beginning of the next. */
int journal_archive_prune(const char *dir, int64_t now_wall_ns, uint64_t keep_ns,
                          uint64_t max_bytes, uint64_t *out_removed);

/* A failing disk under a mapping comes as SIGBUS: one line on stderr and exit 74. */
void journal_sigbus_install(void);

#endif
