/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_POOL_H
#define SIM_POOL_H
/*
 * pool — worlds, configurations and YAML that were read before, for many lives and seeds in one
 * process.
 *
 * Opening them is most of what a short life does, and the same text gives the same world. What a
 * life gives back, or has when it dies, is handed out again when the same text is opened; nothing
 * is ever handed out twice at a time, so that whoever compares generations by their address still
 * has two. Trees of YAML, which nobody changes, are shared by all. Off, everything is opened and
 * freed by the real functions (as under ASan, which is to see who uses what was freed).
 */
#include <stdbool.h>

void pool_reset(bool on); /* nobody has anything; keeps what there is, up to a limit */
bool pool_is_on(void);
void pool_died(void); /* the life that had what is out is over */

#endif
