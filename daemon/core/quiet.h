/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_QUIET_H
#define CORE_QUIET_H
/*
 * quiet — is a connected subscription silent for longer than is usual for it?
 *
 * Fed once a second with the number of messages so far. It learns the usual rate (an average
 * over about ten minutes) and the usual silence: the second longest of about a week, because
 * meters that all report on the hour and quiet nights come again, and one outage does not make a
 * habit. Unusual is a silence longer than a minute, thirty usual gaps and half as long again as
 * the usual silence. Below one message in ten minutes it says nothing.
 *
 * What to do about it: first ask the broker whether it still has our subscriptions, which harms
 * nothing; connect anew only when the silence has become eight times as long, and then each time
 * it has doubled. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

enum quiet_advice { QUIET_FINE, QUIET_ASK, QUIET_RECONNECT };

struct quiet {
    double rate; /* messages a second, usual */
    uint64_t messages;
    double silent_s, away_s;
    double gaps_s[2]; /* the longest silences, fading */
    double next_s;    /* the silence at which to connect anew; 0: not asked yet */
    bool begun;
};

/* seconds: since the last call. Each advice once per silence (but for the doubling). */
enum quiet_advice quiet_feed(struct quiet *q, uint64_t messages, double seconds,
                             bool connected);

#endif
