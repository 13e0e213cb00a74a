/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_OUTBOUND_LOG_H
#define IO_OUTBOUND_LOG_H
/*
 * outbound_log — the two sides of a log: the loop's (struct outbound) and the job's
 * (struct out_job), which run beside each other and meet only in outbound_settle. Private to
 * io/outbound*.c.
 */
#include "io/outbound_int.h"

#define OUT_FOLDS 16 /* segments that one job folds at most */

struct out_punch { /* a body that is done, in a segment that is not */
    uint64_t first_seq, at;
    uint32_t n;
};
struct out_staged {     /* a block that was written */
    uint64_t first_seq; /* its segment */
    struct block_header header;
    struct block_share *shares;
    struct out_entry entry;
};

struct out_job { /* the pool's, between two settles */
    const char *dir;
    uint64_t segment_bytes;
    struct file *active;             /* the newest segment; NULL: the next write makes one */
    uint64_t active_seq, before_seq; /* 0: none */
    uint64_t size, synced_size;
    bool dirty;     /* written since the last sync */
    bool cut_first; /* a failed write left bytes that could not be cut */
    bool abandoned; /* a sync failed: this file takes nothing more */
    uint64_t next_seq, made, synced_seq, synced_made;
    struct position end, synced_end;
    struct out_staged *staged; /* written; visible after sync and settle */
    size_t n_staged, cap_staged;
    bool synced;
    struct buf image;

    struct out_ledger ledger; /* as on disk */
    struct out_where folds[OUT_FOLDS];
    size_t n_folds;
    uint64_t removed[OUT_FOLDS];
    size_t n_removed;
    size_t n_left; /* files of folded segments that could not be removed yet */
    int fold_error;
    struct out_punch *punches;
    size_t n_punches, cap_punches;
};

struct outbound {
    char *dir;
    struct out_job job;
    struct out_segment **segments; /* by first_seq; the last one may still grow */
    size_t n_segments, cap_segments;
    size_t n_foldable; /* done, and not the last */
    struct out_totals totals;
    struct outbound_notes notes;
    struct position end;
    uint64_t next_seq, bytes, pending_lines, pending_blocks;
    struct file *reader, *marks; /* of the segments last used */
    uint64_t reader_seq, marks_seq;
    struct buf scratch, mark;
    struct out_punch *punches; /* for the next job */
    size_t n_punches, cap_punches;
    uint64_t punch_bytes;
    int fold_error;
};

void out_job_init(struct out_job *j, const char *dir, uint64_t segment_bytes);
void out_job_done(struct out_job *j);
/* Takes over where the segments that were read end; cuts a torn tail. */
int out_job_open(struct out_job *j, const struct outbound *ob, struct err *err);
int out_remove(const char *dir, uint64_t first_seq); /* both files; not there is fine */

#endif
