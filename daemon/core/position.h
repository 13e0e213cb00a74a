/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_POSITION_H
#define CORE_POSITION_H
/*
 * position — a place in the history that the engine has passed.
 *
 * The engine moves in steps: one journal record, or one timer that fires between two records.
 * After a step it stands at (offset, tick, ordinal): every record below `offset` is done,
 * timers ran up to engine time `tick`, and `ordinal` counts the steps made at that same
 * (offset, tick). Positions are totally ordered and the same in every replay; store cursor,
 * block ranges and snapshots are positions, and whatever is at or below one's own position is
 * not emitted again.
 */
#include <stdint.h>

struct position {
    uint64_t offset;  /* journal offset, bytes */
    uint64_t tick;    /* engine time, ns */
    uint64_t ordinal; /* steps made at this offset and tick */
};

static inline int position_cmp(const struct position *a, const struct position *b)
{
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->tick != b->tick)
        return a->tick < b->tick ? -1 : 1;
    if (a->ordinal != b->ordinal)
        return a->ordinal < b->ordinal ? -1 : 1;
    return 0;
}

#endif
