/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock_fit.h"

#define QUARTER_MS 250
#define STEADY_Q   (CLOCK_STEADY_MS / QUARTER_MS)

static int32_t quarters(int64_t ms)
{
    int64_t q = ms / QUARTER_MS;
    return q > INT32_MAX ? INT32_MAX : q < -INT32_MAX ? -INT32_MAX : (int32_t)q;
}

static bool near(int64_t ms)
{
    return ms >= -CLOCK_NEAR_MS && ms <= CLOCK_NEAR_MS;
}

static bool steady(int64_t a_q, int64_t b_q)
{
    return a_q - b_q >= -STEADY_Q && a_q - b_q <= STEADY_Q;
}

static void run_on(struct clock_fit *c, int32_t q, int64_t received_ms)
{
    if (c->run_n == 0 || !steady(q, c->run_q)) {
        c->run_q = q;
        c->run_from = (uint32_t)(received_ms / 1000);
        c->run_up = 0;
        c->run_n = 1;
        return;
    }
    if (q - c->run_q > c->run_up)
        c->run_up = (int16_t)(q - c->run_q);
    if (c->run_n < UINT8_MAX)
        c->run_n++;
}

/* The clock is near: its offset follows the shortest way at once, and slowly what is longer. */
static void agree(struct clock_fit *c, int32_t q)
{
    if (c->state != CLOCK_AGREES || q > c->offset_q)
        c->offset_q = q;
    else
        c->offset_q -= (c->offset_q - q + 15) / 16;
    c->state = CLOCK_AGREES;
}

static bool established(const struct clock_fit *c, int64_t off_ms, int64_t received_ms,
                        int64_t silent_ms)
{
    if (c->run_n < CLOCK_RUN || received_ms - (int64_t)c->run_from * 1000 < CLOCK_RUN_MS)
        return false;
    return off_ms > 0 || silent_ms <= -off_ms / 2;
}

void clock_fit_take(struct clock_fit *c, int64_t newest_ms, int64_t received_ms,
                    int64_t silent_ms)
{
    int64_t off_ms = newest_ms - received_ms;
    int32_t q = quarters(off_ms);
    run_on(c, q, received_ms);
    if (near(off_ms)) {
        agree(c, q);
        return;
    }
    if (!established(c, off_ms, received_ms, silent_ms))
        return;
    int32_t now = c->run_q + c->run_up;
    if (c->state == CLOCK_OFF && steady(now, c->offset_q))
        return; /* one constant as long as it will do: what is said twice must fall together */
    c->offset_q = now;
    c->state = CLOCK_OFF;
}

enum clock_verdict clock_fit_stamp(const struct clock_fit *c, int64_t time_ms,
                                   int64_t received_ms, int64_t *out_ms)
{
    *out_ms = received_ms;
    if (!clock_sane(time_ms, received_ms))
        return CLOCK_REPLACED;
    int64_t t = c->state == CLOCK_OFF ? time_ms - clock_fit_offset_ms(c) : time_ms;
    if (t < CLOCK_MIN_MS || t > received_ms + CLOCK_NEAR_MS)
        return CLOCK_REPLACED;
    *out_ms = t;
    if (c->state == CLOCK_OFF)
        return CLOCK_CORRECTED;
    return c->state == CLOCK_UNKNOWN && t < received_ms - CLOCK_NEAR_MS ? CLOCK_DOUBTED
                                                                        : CLOCK_TOLD;
}

void clock_fit_step(struct clock_fit *c, int64_t step_ms)
{
    int64_t offset = clock_fit_offset_ms(c) - step_ms;
    c->run_n = 0;
    if (c->state == CLOCK_UNKNOWN)
        return;
    c->offset_q = quarters(offset);
    c->state = near(offset) ? CLOCK_AGREES : CLOCK_OFF;
}

int64_t clock_fit_offset_ms(const struct clock_fit *c)
{
    return (int64_t)c->offset_q * QUARTER_MS;
}
