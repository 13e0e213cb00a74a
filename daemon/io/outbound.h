/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_OUTBOUND_H
#define IO_OUTBOUND_H
/*
 * outbound — one sink's log of blocks that wait for their database (docs/outbound.md).
 *
 * Blocks are appended in order, each with its checksums; a done-mark is written when the
 * database has taken a block, or when it was shed. What was counted (made, accepted, refused by
 * reason, shed) is kept per compound, exactly, over any crash: segments whose blocks are all
 * done are folded into a ledger file (written by rename) and then removed, in any order. At
 * open a torn tail is cut, and a rotten block in the middle is refused{corrupt}, counted by its
 * header if that is whole, else by its neighbours' under the compound "?".
 *
 * Threads: outbound_write and outbound_sync block and run as pool jobs (one at a time per log);
 * everything else belongs to the loop and may run beside them. What a job wrote becomes visible
 * (made, waiting, end) by outbound_settle on the loop, after the job: nothing is posted that is
 * not on the disk, and the counts never change under a reader.
 */
#include "base/err.h"
#include "core/block.h"

struct outbound;

struct outbound_options {
    const char *dir;
    uint64_t segment_bytes; /* 16 MiB when 0 */
};

struct outbound_share { /* one compound's totals since the log was made */
    char compound[65];
    uint64_t made, accepted, shed;
    uint64_t refused; /* all reasons */
};
struct outbound_reason {
    char reason[32];
    uint64_t lines;
};
enum outbound_outcome { OUTBOUND_ACCEPTED, OUTBOUND_SHED };

/* What open and later reading found damaged; 0 everywhere in a healthy log. */
struct outbound_notes {
    uint64_t torn_bytes;    /* cut at the end */
    uint64_t rotten_blocks; /* bad in the middle: refused{corrupt} */
    uint64_t rotten_lines;
    uint64_t bad_marks; /* records that do not verify, or of blocks that are not there */
    bool ledger_lost;   /* did not verify: kept as ledger.bad, totals began again */
};

int outbound_open(const struct outbound_options *o, struct err *err, struct outbound **out);
void outbound_close(struct outbound *ob); /* no job may run; syncs nothing */
void outbound_notes(const struct outbound *ob, struct outbound_notes *out);
/* End of the newest block: what replay must not emit again. Both are of what is settled, and
 * that is on the disk. */
struct position outbound_end(const struct outbound *ob);
struct position outbound_durable(const struct outbound *ob);
uint64_t outbound_next_seq(const struct outbound *ob); /* a window for the tests */

/* Appends whole groups (core/block.h), all of them or none: 0 or -errno. Call with a few MiB at
 * most: one call goes to one segment. The blocks stay the caller's; until outbound_sync has
 * returned 0 they must be kept and, after an error of either, written again. */
int outbound_write(struct outbound *ob, struct block *const *blocks, size_t n);
/* 0: what was written is on the disk. -errno: none of it may be trusted, none of it counts.
 * Also folds, removes and gives back what is done. */
int outbound_sync(struct outbound *ob);
/* On the loop, after the job with outbound_write or outbound_sync has ended. */
void outbound_settle(struct outbound *ob);
/* There is something to fold or give back: run an outbound_sync even if nothing was written. */
bool outbound_wants_sync(const struct outbound *ob);
/* Why the last fold failed; 0. Nothing is lost by it: it is tried again at the next sync. */
int outbound_fold_error(const struct outbound *ob);

/* Blocks not done and not taken. Taking is in memory only: after a restart all that is not done
 * waits again. Filled: seq, class_, lines, body_bytes, closed_wall_ns. */
bool outbound_take(struct outbound *ob, bool newest, struct block_info *out);
void outbound_put_back(struct outbound *ob, uint64_t seq);
/* Reads a taken block's body (buf is cleared first). -EBADMSG: it is rotten, was marked
 * refused{corrupt} and is done. */
int outbound_load(struct outbound *ob, uint64_t seq, struct buf *body, struct block_info *out);
/* `refused` lines by (compound, reason); the rest has the outcome. 0 or -errno (then it is not
 * done). Lines under a compound the block does not have count under one that it has. A block whose
 * header has rotted is done, too: refused{corrupt}, as the next open will find it. */
struct outbound_refusal {
    const char *compound, *reason;
    uint32_t lines;
};
int outbound_done(struct outbound *ob, uint64_t seq, enum outbound_outcome outcome,
                  const struct outbound_refusal *refused, size_t n_refused);
/* Oldest routine block that waits and is not taken; false when there is none. It may be passed
 * to outbound_done (OUTBOUND_SHED) without being taken. */
bool outbound_oldest_routine(struct outbound *ob, uint64_t *out_seq);

/* On disk, without the bodies of done blocks (the next sync gives those back). */
uint64_t outbound_bytes(const struct outbound *ob);
uint64_t outbound_pending_lines(const struct outbound *ob);
uint64_t outbound_pending_blocks(const struct outbound *ob);
uint64_t outbound_waiting_blocks(const struct outbound *ob); /* pending and not taken */
int64_t outbound_oldest_wall_ns(const struct outbound *ob);  /* of what waits; 0: nothing */
/* Valid until the next call that changes the log. In order of appearance. */
size_t outbound_shares(const struct outbound *ob, const struct outbound_share **out);
size_t outbound_reasons(const struct outbound *ob, const struct outbound_reason **out);

#endif
