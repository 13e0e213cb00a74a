/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_QUIET_H
#define CORE_QUIET_H
/*
 * quiet — is a connected subscription silent for longer than is usual for it?
 *
 * Fed once a second with the number of messages so far. It learns the usual rate (an average
 * over about ten minutes) and calls a silence unusual when it is longer than a minute and
 * thirty times the usual gap. Below one message in ten minutes it says nothing. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

struct quiet {
    double rate; /* messages a second, usual */
    uint64_t messages;
    double silent_s;
    double patience; /* doubles with each false alarm, 1 … 64 */
    bool begun;
};

/* seconds: since the last call. True once per unusual silence (and again after twice as long).
 */
bool quiet_feed(struct quiet *q, uint64_t messages, double seconds, bool connected);

#endif
