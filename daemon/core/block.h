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
 * Pure: memory only.
 */
#include "base/buf.h"
#include "core/lineproto.h"
#include "core/position.h"

struct block_share {   /* lines of one compound */
    char compound[65]; /* "-": our own metrics and what has no compound */
    uint32_t lines;
    uint32_t
        unwritable; /* points that had no field for this dialect: made, and refused at once */
};

struct block_info {
    uint64_t seq; /* from 1, per sink, without gaps */
    enum point_class class_;
    struct position from, to; /* after the first and the last step it holds lines of … */
    int64_t min_time_ms, max_time_ms, closed_wall_ns;
    uint32_t lines, raw_bytes, body_bytes;
    bool gzip;
    const struct block_share *shares;
    size_t n_shares;
};

#endif
