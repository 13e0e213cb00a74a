/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_OUTBOUND_INT_H
#define IO_OUTBOUND_INT_H
/*
 * outbound_int — what the files of io/outbound share: totals, the ledger's and marks' bytes,
 * reading a segment. Nothing outside of io/outbound*.c and its tests includes it.
 */
#include "io/file.h"
#include "io/outbound.h"

/* -- totals: counts per compound and per reason ----------------------------------------------
 */
struct out_totals {
    struct outbound_share *shares;
    size_t n, cap;
    uint32_t *slots; /* index + 1 by hash */
    size_t n_slots;
    struct outbound_reason *reasons;
    size_t n_reasons, cap_reasons;
};

#define OUT_REASON_NO_FIELD "no_field"
#define OUT_REASON_NO_TIME  "no_time"
#define OUT_REASON_CORRUPT  "corrupt"
#define OUT_UNKNOWN         "?"

void out_totals_init(struct out_totals *t);
void out_totals_done(struct out_totals *t);
void out_totals_copy(struct out_totals *to,
                     const struct out_totals *from); /* to: initialised */
struct outbound_share *out_totals_share(struct out_totals *t, const char *compound);
void out_totals_reason(struct out_totals *t, const char *reason, uint64_t lines);
/* A block was written: made, and at once refused{no_field}, refused{no_time} or shed where it says so. */
void out_totals_block(struct out_totals *t, const struct block_header *h,
                      const struct block_share *shares);
/* Lines whose header is gone. */
void out_totals_lost(struct out_totals *t, uint64_t lines);

/* -- marks -----------------------------------------------------------------------------------
 */
struct out_refusal {
    char compound[65], reason[32];
    uint32_t lines;
};
struct out_mark {
    uint64_t seq;
    uint32_t header_crc;
    enum outbound_outcome outcome;
    struct out_refusal *refused;
    size_t n_refused;
};
int out_mark_put(const struct out_mark *m, struct buf *out);
/* 0 with *out_used; -EBADMSG. m->refused is allocated. */
int out_mark_get(const char *p, size_t n, struct out_mark *m, size_t *out_used);
void out_totals_mark(struct out_totals *t, const struct out_mark *m,
                     const struct block_header *h, const struct block_share *shares);

/* -- ledger ----------------------------------------------------------------------------------
 */
struct out_ledger {
    struct out_totals totals;
    struct position end;
    uint64_t next_seq, made;
    uint64_t *folded; /* segments that are in the totals and may still be on the disk */
    size_t n_folded;
};
void out_ledger_init(struct out_ledger *l);
void out_ledger_done(struct out_ledger *l);
int out_ledger_put(const struct out_ledger *l, struct buf *out);
int out_ledger_get(const char *p, size_t n,
                   struct out_ledger *out); /* into an initialised one */

/* -- segments --------------------------------------------------------------------------------
 */
enum out_state { OUT_WAITING, OUT_TAKEN, OUT_DONE };
struct out_entry { /* one block in memory: what an outage of hours multiplies */
    int64_t wall_ns;
    uint32_t offset, header_bytes, body_bytes, lines, crc;
    uint8_t state, class_;
};
struct out_segment {
    uint64_t first_seq;
    uint64_t made_before; /* of its first block; UINT64_MAX: not known */
    uint64_t made_end;    /* after its last */
    uint64_t size, done_bytes, marks_size;
    struct position end;
    struct out_entry *entries;
    size_t n, cap, n_open, n_waiting;
    size_t lo, hi;   /* no entry below lo or at or above hi waits */
    bool marks_torn; /* the marks' file is longer than what verifies */
};
struct out_where {
    uint64_t first_seq;
    uint64_t seq_limit;   /* the next segment's first; UINT64_MAX: it is the last */
    uint64_t made_before; /* UINT64_MAX: not known */
    uint64_t made_end;    /* UINT64_MAX: not known */
};

#define OUT_SEGMENT_HEADER 64
char *out_path(const char *dir, uint64_t first_seq, const char *suffix);
/* `before`: the segment before it, 0 if there is none. */
void out_segment_header(uint64_t first_seq, uint64_t before, char out[OUT_SEGMENT_HEADER]);
/* Lines and unwritable points before this segment; UINT64_MAX: not known, or `before` was not
 * the one before it (what stood between was folded). */
uint64_t out_segment_made_before(const char *dir, uint64_t first_seq, uint64_t before);
void out_segment_free(struct out_segment *s);
void out_segment_add(struct out_segment *s, const struct out_entry *e);
/* Reads blocks and marks into a new segment, and what they count into totals. A last segment's
 * tail is not cut on disk: out->size says where it should end. */
int out_segment_read(const char *dir, const struct out_where *w, struct out_totals *totals,
                     struct outbound_notes *notes, struct out_segment **out);

#endif
