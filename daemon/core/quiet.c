/* SPDX-License-Identifier: Apache-2.0 */
#include "core/quiet.h"

#include <math.h>

#define AVERAGE_S  600.0
#define LEAST_S    60.0
#define GAPS       30.0
#define LEAST_RATE (1.0 / 600.0)
#define HALF_S     604800.0 /* in which a silence that was had counts half */
#define MARGIN     1.5
#define LONGER     8.0
#define MOMENT_S   60.0 /* away no longer than this (to connect anew), it is the same silence */

static void learn_gap(struct quiet *q, double gap)
{
    if (gap > q->gaps_s[0]) {
        q->gaps_s[1] = q->gaps_s[0];
        q->gaps_s[0] = gap;
    } else if (gap > q->gaps_s[1]) {
        q->gaps_s[1] = gap;
    }
}

static void fade(struct quiet *q, double seconds)
{
    double left = exp2(-seconds / HALF_S);
    q->gaps_s[0] *= left;
    q->gaps_s[1] *= left;
}

static void heard(struct quiet *q, uint64_t n, double seconds)
{
    double over = seconds + q->silent_s; /* the time in which these came */
    double share = over / (AVERAGE_S + over);
    q->rate += share * ((double)n / over - q->rate);
    if (q->silent_s >= LEAST_S)
        learn_gap(q, over);
    q->silent_s = q->next_s = 0;
}

static double limit(const struct quiet *q)
{
    double s = fmax(LEAST_S, GAPS / q->rate);
    return fmax(s, MARGIN * q->gaps_s[1]);
}

enum quiet_advice quiet_feed(struct quiet *q, uint64_t messages, double seconds, bool connected)
{
    uint64_t n = messages - q->messages;
    q->messages = messages;
    if (!q->begun) {
        *q = (struct quiet){.messages = messages, .begun = true};
        return QUIET_FINE;
    }
    fade(q, seconds);
    q->away_s = connected ? 0 : q->away_s + seconds;
    if (q->away_s > MOMENT_S)
        q->silent_s = q->next_s = 0;
    if (!connected && n == 0)
        return QUIET_FINE;
    if (n > 0) {
        heard(q, n, seconds);
        return QUIET_FINE;
    }
    q->silent_s += seconds;
    if (q->rate < LEAST_RATE)
        return QUIET_FINE;
    if (q->next_s == 0 && q->silent_s >= limit(q)) {
        q->next_s = LONGER * q->silent_s;
        return QUIET_ASK;
    }
    if (q->next_s > 0 && q->silent_s >= q->next_s) {
        q->next_s *= 2;
        return QUIET_RECONNECT;
    }
    return QUIET_FINE;
}
