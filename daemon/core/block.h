/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_BLOCK_H
#define CORE_BLOCK_H
/*
 * block — a batch of lines for one database, as it stands in an outbound log
 * (docs/outbound.md).
 *
 * Built once by the engine pass (block_builder), compressed once, then only posted: retries
 * send identical bytes. Its header tells the range of positions it was made from, the number of
 * lines, the lines per compound (for the ledger), the span of time stamps and the checksums.
 * Pure: memory only. One thread at a time per object.
 *
 * A builder keeps two open blocks, one per point class, because routine points may be shed and
 * the others never. Both close together, at the end of a step: what closes together is a group,
 * which reaches the log whole or not at all (`more` is set on all blocks of it but the last),
 * so that one position is true for both classes after any crash.
 */
#include "base/buf.h"
#include "core/lineproto.h"
#include "core/position.h"

struct block_share {   /* lines of one compound */
    char compound[65]; /* "-": our own metrics and what has no compound */
    uint32_t lines;
    uint32_t
        unwritable; /* points that no line of this dialect can say: made, and refused at once */
};

struct block_info {
    uint64_t seq; /* from 1, per sink; gaps only where a damaged log was given up */
    enum point_class class_;
    struct position from, to; /* after the first and the last step it holds lines of */
    int64_t min_time_ms, max_time_ms, closed_wall_ns;
    uint32_t lines, raw_bytes, body_bytes;
    uint32_t no_time; /* of the unwritable points: their time is beyond what it can say */
    bool gzip;
    const struct block_share *shares;
    size_t n_shares;
};

/* -- a closed block in memory ----------------------------------------------------------------
 */
struct block {
    struct block_info info;     /* seq 0: the log gives it */
    struct block_share *shares; /* owned; info.shares points here */
    char *body;                 /* owned; info.body_bytes of it */
    bool more;                  /* its group goes on with the next block */
    bool shed;                  /* its lines were given up before they reached the log */
};

void block_free(struct block *b); /* NULL is fine */
size_t block_memory(const struct block *b);
/* Gives the body up: from then on it only tells what was shed, and how far the sink came. */
void block_shed(struct block *b);
/* Adds the counts of `b` (shed, later) to `into` (shed). -ENOBUFS: too many compounds;
 * unchanged. */
int block_absorb(struct block *into, const struct block *b);

/* -- building --------------------------------------------------------------------------------
 */
struct block_builder;
struct block_rules {
    enum lineproto_dialect dialect;
    bool gzip;
    uint64_t lines, bytes; /* full at either, counted raw over both classes */
};

struct block_builder *block_builder_new(const struct block_rules *r);
void block_builder_free(struct block_builder *bb);
/* A point of the running step. */
void block_builder_add(struct block_builder *bb, const struct point *p);
/* The step ended and stands at `at`. True: full, close it now. */
bool block_builder_step(struct block_builder *bb, const struct position *at);
/* Fields that stand in no line of this builder's, by reason, since it was made. Of a point that
 * lost all its fields they are counted too, and the point as unwritable; of one whose time cannot be
 * said they are not. */
const struct lineproto_refused *block_builder_left_out(const struct block_builder *bb);
/* Lines and unwritable points of the open blocks, mid-step parts included. */
uint64_t block_builder_points(const struct block_builder *bb);
/* Closes what is open into a group: *out_blocks (free the array and each block), *out_n ≥ 1;
 * nothing was open: 0. Never between two points of a step. */
size_t block_builder_close(struct block_builder *bb, int64_t wall_ns,
                           struct block ***out_blocks);
/* What is open, by compound: to be read at once. */
typedef void block_share_fn(void *ctx, const struct block_share *s);
void block_builder_shares(const struct block_builder *bb, block_share_fn *fn, void *ctx);

/* -- bodies ----------------------------------------------------------------------------------
 */
/* gzip, level 1; the same input gives the same bytes. 0 or -ENOBUFS. Appends. */
int block_pack(const void *raw, size_t n, struct buf *out);
/* The lines of a body; exactly info->raw_bytes are appended, or -EBADMSG and nothing. */
int block_unpack(const struct block_info *info, const void *body, struct buf *out);

/* -- header codec ----------------------------------------------------------------------------
 */
#define BLOCK_HEADER_MIN 184
#define BLOCK_HEADER_MAX (1u << 20)
#define BLOCK_SHARES_MAX 8192
#define BLOCK_BODY_MAX   (256u << 20)
#define BLOCK_ALIGN      8

struct block_header {
    struct block_info info; /* shares NULL, n_shares set */
    bool more, shed;
    /* Lines and unwritable points of all blocks before this one: tells how many are missing
     * when a header between two others is rotten. */
    uint64_t made_before;
    /* Every block up to here was on the disk when this one was written: a bad block at or below
     * it is rot, the first bad one above it is where a power cut tore the log. */
    uint64_t synced_seq;
    uint64_t made; /* this block's lines and unwritable points */
    uint32_t header_bytes, header_crc, body_crc;
};

/* Appends the header, padded to BLOCK_ALIGN. 0 or -ENOBUFS. *out_crc: the header's. */
int block_put_header(const struct block *b, uint64_t seq, uint64_t made_before,
                     uint64_t synced_seq, struct buf *out, uint32_t *out_crc);
/* 0; -EAGAIN: out->header_bytes are needed (a plausible beginning); -EBADMSG: no whole header.
 */
int block_get_header(const void *p, size_t n, struct block_header *out);
/* The shares of a header that block_get_header() took: h->info.n_shares, free(). */
struct block_share *block_get_shares(const void *p, const struct block_header *h);
bool block_body_good(const struct block_header *h, const void *body);
/* Bytes in the log: header and body, padded. */
uint64_t block_span(const struct block_header *h);

#endif
