/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CLOCK_FIT_H
#define CORE_CLOCK_FIT_H
/*
 * clock_fit — what is known of one device's clock, and what its times are worth (docs/time.md).
 *
 * A message's newest time, less its receipt, is the error of the device's clock less the way the
 * message took. Seen often enough, the two can be told apart: delays come and go, the error of a
 * clock stays. 16 bytes a device. Knows no clock of its own: receipt times are given. Pure.
 *
 *   - A clock within CLOCK_NEAR_MS of receipt agrees; its times are taken as told, also the old
 *     ones that come behind it (back-fill).
 *   - A clock is off when CLOCK_RUN messages in a row, over CLOCK_RUN_MS or more, are off by the
 *     same (within CLOCK_STEADY_MS). Ahead, nothing else can explain it. Behind, a device
 *     that reports seldom may just be late: so it must report at least twice as often as it is
 *     behind. Its times are then corrected by one constant until it is off by another.
 *   - Times before 2015 or more than CLOCK_FAR_MS ahead are of a clock that was never set.
 *     They are replaced by receipt and teach nothing.
 */
#include <stdbool.h>
#include <stdint.h>

#define CLOCK_MIN_MS    INT64_C(1420070400000) /* 2015-01-01T00:00:00Z */
#define CLOCK_FAR_MS    (INT64_C(366) * 86400000)
#define CLOCK_NEAR_MS   600000
#define CLOCK_STEADY_MS 60000
#define CLOCK_RUN       5
#define CLOCK_RUN_MS    600000

enum clock_state { CLOCK_UNKNOWN, CLOCK_AGREES, CLOCK_OFF };

struct clock_fit {     /* all zero: unknown */
    int32_t offset_q;  /* quarter seconds that the clock is ahead; what OFF corrects by */
    int32_t run_q;     /* of the run of like messages: the first one's */
    uint32_t run_from; /* its receipt, Unix seconds */
    int16_t run_up;    /* the largest of the run, less the first one's: the shortest way */
    uint8_t run_n;
    uint8_t state; /* enum clock_state */
};

enum clock_verdict {
    CLOCK_TOLD,      /* as told, good */
    CLOCK_DOUBTED,   /* as told, by a clock that nothing is known of: uncertain */
    CLOCK_CORRECTED, /* by the device's offset: uncertain */
    CLOCK_REPLACED   /* by the receipt: uncertain */
};

static inline bool clock_sane(int64_t time_ms, int64_t received_ms)
{
    return time_ms >= CLOCK_MIN_MS && time_ms <= received_ms + CLOCK_FAR_MS;
}

/* A message: the newest sane time it tells, its receipt, and how long the device had been silent
 * before it (INT64_MAX: never heard). */
void clock_fit_take(struct clock_fit *c, int64_t newest_ms, int64_t received_ms,
                    int64_t silent_ms);
/* The stamp of a sample that tells `time_ms`. */
enum clock_verdict clock_fit_stamp(const struct clock_fit *c, int64_t time_ms,
                                   int64_t received_ms, int64_t *out_ms);
/* Our own clock went ahead by `step_ms` (back: negative): the device's did not. */
void clock_fit_step(struct clock_fit *c, int64_t step_ms);
int64_t clock_fit_offset_ms(const struct clock_fit *c); /* 0 when unknown */

#endif
