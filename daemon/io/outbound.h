/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_OUTBOUND_H
#define IO_OUTBOUND_H
/*
 * outbound — one sink's log of blocks that wait for their database (docs/outbound.md).
 *
 * Blocks are appended in order, each with its checksums; a done-mark is written when the database
 * has taken a block, or when it was shed. What was counted (made, accepted, refused by reason, shed)
 * is kept per compound, exactly, over any crash: segments whose blocks are all done are folded into a
 * ledger file (written by rename) and then removed, in any order. At open a torn tail is cut, and a
 * rotten block in the middle is refused{corrupt}, counted by its header if that is whole.
 *
 * Threads: outbound_write and outbound_sync block and run as pool jobs (one at a time per log);
 * everything else belongs to the loop and may run beside them.
 */
#include "base/err.h"
#include "core/block.h"

struct outbound;
struct block; /* core/block.h: closed, in memory */

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

int outbound_open(const struct outbound_options *o, struct err *err, struct outbound **out);
void outbound_close(struct outbound *ob);
/* End of the newest block: what replay must not emit again. Durable: as of the last outbound_sync. */
struct position outbound_end(const struct outbound *ob);
struct position outbound_durable(const struct outbound *ob);
uint64_t outbound_next_seq(const struct outbound *ob);

int outbound_write(struct outbound *ob, struct block *const *blocks, size_t n); /* all or none */
int outbound_sync(struct outbound *ob);

/* Blocks not done and not taken. Taking is in memory only: after a restart all that is not done
 * waits again. */
bool outbound_take(struct outbound *ob, bool newest, struct block_info *out); /* shares not filled */
void outbound_put_back(struct outbound *ob, uint64_t seq);
int outbound_load(struct outbound *ob, uint64_t seq, struct buf *body, struct block_info *out);
/* `refused` lines by (compound, reason); the rest has the outcome. 0 or -errno (then it is not done). */
struct outbound_refusal {
    const char *compound, *reason;
    uint32_t lines;
};
int outbound_done(struct outbound *ob, uint64_t seq, enum outbound_outcome outcome,
                  const struct outbound_refusal *refused, size_t n_refused);
/* Oldest routine block that waits and is not taken; false when there is none. */
bool outbound_oldest_routine(struct outbound *ob, uint64_t *out_seq);

uint64_t outbound_bytes(const struct outbound *ob); /* on disk */
uint64_t outbound_pending_lines(const struct outbound *ob);
uint64_t outbound_pending_blocks(const struct outbound *ob);
int64_t outbound_oldest_wall_ns(const struct outbound *ob); /* of what waits; 0: nothing */
size_t outbound_shares(const struct outbound *ob, const struct outbound_share **out);
size_t outbound_reasons(const struct outbound *ob, const struct outbound_reason **out);

#endif
