/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_DESK_H
#define SIM_DESK_H
/*
 * desk — what somebody who listens to every firm's topics hears over all lives of the gateway, and
 * what must be true of it: nothing without a known stream, a number means one thing and one thing
 * has one number, numbers have no gaps and come in order, what is kept is what is open, and
 * nothing clears without its device having spoken.
 */
#include <stdbool.h>

void desk_reset(void); /* and listen */
/* A backup of the whole was put back: what was heard is of another history, only what is the
 * store's own is still judged. */
void desk_leave(void);
/* All is told. Fails loudly. kept: the broker's retained topics are judged, too. */
void desk_judge(bool told);
void desk_judge_told(void); /* only that: what was told is what the store says */

#endif
