/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_NEIGHBOUR_H
#define SIM_NEIGHBOUR_H
/*
 * neighbour — others on the alerts' broker: a second gateway whose id begins like ours, and the
 * other lane of our own. They keep cases, epochs and status topics there as we do, firms command
 * them, and they judge that we leave all of it alone.
 */
#include <stdbool.h>

void neighbour_reset(const char *lane); /* ours */
void neighbour_acts(void);              /* one of them does something */
void neighbour_emptied(void);           /* the broker lost what it kept: they say it again */
/* Of a message of ours, as it comes. */
void neighbour_judge_message(const char *topic);
/* At the end: all that they keep is there, and none of their commands is in our journal. */
void neighbour_judge(void);

#endif
