/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_JOURNAL_PRIV_H
#define IO_JOURNAL_PRIV_H
/* journal_priv — what the files io/journal*.c share; nobody else includes it. */
#include "io/file.h"
#include "io/journal.h"

#include <pthread.h>
#include <stdatomic.h>

struct journal_segment {
    struct journal_segment *next; /* in order of base; guarded by journal.lock */
    struct segment_info info;
    struct segment_seal seal; /* kept up to date while the segment is active; end and messages
                                 mean something once `full` */
    char *path;
    struct file *file; /* open from its making until it is sealed: see recovery.md 13 */
    char *map;         /* whole, or NULL: not mapped yet */
    uint64_t map_size; /* readable bytes of map; what decode may touch */
    uint64_t size;     /* base + size is where the next one begins (if nothing is missing) */
    uint64_t disk;     /* bytes of quota it takes */
    bool full;         /* nothing more is appended: seal.end is final */
    bool sealed;       /* … and it is all on the disk */
    bool unreadable;   /* header lost: id unknown, nothing in it verifies */
    bool hole_before;  /* segments are missing between the one before it and this one */
    bool going;        /* being released */
    unsigned readers;
};

struct journal {
    char *dir;
    struct journal_options o;
    bool mapped;
    uint64_t chain; /* makes ids of segments differ */
    struct file *lock_file;

    pthread_mutex_t lock;      /* the append lock: everything below unless said otherwise */
    pthread_cond_t made;       /* `making` became false */
    pthread_cond_t room;       /* a segment was made or released */
    pthread_mutex_t sync_lock; /* one fdatasync pass at a time; taken before `lock` */
    struct journal_segment *first, *active; /* active: NULL when read only */
    struct journal_segment *prepared;       /* the next one, or NULL */
    bool making;
    char *scratch; /* one record, when not mapped */
    size_t scratch_size;

    uint64_t last_engine_ns, messages;
    int64_t delta_ns, last_wall_ns;
    bool wall_synced;
    uint64_t wall_asked_ns; /* boot time of the last look at wall_synced */
    int prepare_failed;
    uint64_t prepare_failed_ns;
    uint64_t used; /* disk bytes of the list, without `prepared` */
    uint64_t segments, appends, append_bytes, syncs, sync_ns_max, sync_ns_last;

    _Atomic uint64_t end, synced;
    _Atomic int failed;
};

/* journal_segment.c */
char *journal_segment_path(const char *dir, uint64_t base);
/* A new file, header on the disk, mapped, open. Called without the lock; touches only constants
 * of j. */
int journal_segment_make(struct journal *j, const struct segment_info *info,
                         struct journal_segment **out);
int journal_segment_map(struct journal_segment *s, bool writable); /* if it is not */
void journal_segment_free(struct journal_segment *s);
struct segment_view journal_segment_view(const struct journal_segment *s);
static inline uint64_t journal_segment_end(const struct journal_segment *s)
{
    return s->info.base + s->size;
}
static inline uint64_t journal_segment_first(const struct journal_segment *s)
{
    return s->info.base + SEGMENT_HEADER;
}
/* Encodes at `offset`, into the mapping or by write. 0 or -errno (-EDQUOT comes as -ENOSPC). */
int journal_segment_put(struct journal *j, struct journal_segment *s, const struct record *r,
                        uint64_t offset);
int journal_segment_seal(
    struct journal_segment *s); /* writes the seal; the data must be synced */
/* Ends a segment that stays short: end mark at `end`, zeroes, trims, syncs, seals, syncs. */
int journal_segment_finish(struct journal *j, struct journal_segment *s, uint64_t end);

/* journal_recover.c: reads the folder into j->first …, recovers, sets times and counts. */
int journal_recover(struct journal *j, struct err *err, struct journal_recovery *out);

/* journal_fetch.c: a record that stands alone in `bytes`, with SEGMENT_TAIL readable ones behind it.
 * 0 or -EBADMSG. */
int journal_record_alone(const char *bytes, size_t len, uint64_t id, uint64_t offset,
                         struct record *out);

/* journal_archive.c */
int journal_archive_segment(const struct journal_segment *s, const char *dir);
/* "0123456789abcdef" + suffix. */
bool journal_name_parse(const char *name, const char *suffix, uint64_t *out_base);

/* journal.c */
uint64_t journal_stamp(struct journal *j); /* the next engine time; lock held */
bool journal_heals(int e);                 /* an error that goes away by itself */

#endif
