/* SPDX-License-Identifier: Apache-2.0 */
#include "core/quiet.h"

#define AVERAGE_S  600.0
#define LEAST_S    60.0
#define GAPS       30.0
#define LEAST_RATE (1.0 / 600.0)

bool quiet_feed(struct quiet *q, uint64_t messages, double seconds, bool connected)
{
    uint64_t n = messages - q->messages;
    q->messages = messages;
    if (!q->begun) {
        *q = (struct quiet){.messages = messages, .patience = 1, .begun = true};
        return false;
    }
    if (!connected) {
        q->silent_s = 0;
        return false;
    }
    if (n > 0) {
        double over = seconds + q->silent_s; /* the time in which these came */
        double share = over / (AVERAGE_S + over);
        q->rate += share * ((double)n / over - q->rate);
        q->silent_s = 0;
        q->patience = 1;
        return false;
    }
    q->silent_s += seconds;
    if (q->rate < LEAST_RATE)
        return false;
    double limit = GAPS / q->rate > LEAST_S ? GAPS / q->rate : LEAST_S;
    if (q->silent_s < limit * q->patience)
        return false;
    q->patience = q->patience < 64 ? q->patience * 2 : 64;
    q->silent_s = q->patience >= 64 ? 0 : q->silent_s;
    return true;
}
