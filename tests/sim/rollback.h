/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_ROLLBACK_H
#define SIM_ROLLBACK_H
/*
 * rollback — parts of the data folder that are put back to an older state: one alone (store, one
 * sink's log, snapshots), or all of it. Only where docs/design.md promises that nothing is lost: what
 * lies between can still be passed again.
 */
#include <stdbool.h>
#include <stdint.h>

enum roll { ROLL_NOTHING, ROLL_STORE, ROLL_SINK, ROLL_SNAPSHOTS, ROLL_ALL };

void rollback_reset(enum roll kind, unsigned sink); /* which sink, for ROLL_SINK */
bool rollback_wanted(void);
void rollback_copy(void);               /* somebody makes a copy now */
void rollback_put_back(void);           /* if there is one, and it may; the gateway is down */
void rollback_releases(uint64_t below); /* the journal is about to let segments go */
void rollback_damage(void);             /* the newest snapshot does not verify any more, once */

#endif
