/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_PLUG_H
#define SIM_PLUG_H
/*
 * plug — two Sparkplug nodes: births, data by alias and by name, deaths, sequence numbers with
 * gaps and repeats, data before any birth, births told twice.
 *
 * The serial number always travels with its name, so that it is there whatever became of the
 * birth; the level by its alias, so that what the engine remembers of births decides.
 */
#include "sim/fakes.h"

void plug_reset(void);
/* NULL: what was said has no serial number of its own; then *again is the one that was said once
 * more, if it was one. */
struct fake_message *plug_say(unsigned qos, int64_t wall_ms, uint64_t serial, uint64_t *again);

#endif
