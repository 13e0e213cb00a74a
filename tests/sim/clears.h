/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_CLEARS_H
#define SIM_CLEARS_H
/*
 * clears — why alarms of the model may end, told by the journal's records and the model's rules
 * alone: nothing is over because nobody speaks.
 */
#include "sim/fakes.h"

/* Of all that the store was told, in its order. Fails loudly. */
void clears_judge(const struct fake_alarm *const *all, size_t n);

#endif
