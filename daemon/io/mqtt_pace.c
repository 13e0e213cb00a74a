/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mqtt_pace.h"

static void phase_over(struct mqtt_pace *p, uint64_t now_ns)
{
    uint64_t rate = p->came * UINT64_C(1000000000) / (now_ns - p->since_ns);
    if (!p->paced)
        p->free_rate = rate > UINT32_MAX ? UINT32_MAX : (unsigned)rate;
    else if (p->harmed > 0)
        p->harmed--;
    else if (rate * 5 < (uint64_t)p->free_rate * 4)
        p->harmed = MQTT_PACE_HARM_ROUNDS;
    p->paced = !p->paced;
    p->came = 0;
    p->since_ns = now_ns;
}

uint64_t mqtt_pace_next(struct mqtt_pace *p, unsigned came, uint64_t now_ns)
{
    p->came += came;
    if (p->since_ns == 0)
        p->since_ns = now_ns;
    uint64_t length_ms = p->paced ? MQTT_PACE_ROUND_MS - MQTT_PACE_FREE_MS : MQTT_PACE_FREE_MS;
    if (now_ns - p->since_ns >= length_ms * 1000000)
        phase_over(p, now_ns);
    /* more at once than were wished for: they gather by themselves, while we are at work */
    bool gathered = came >= MQTT_PACE_WISH + MQTT_PACE_WISH / 4;
    if (!p->paced || p->harmed > 0 || p->free_rate < MQTT_PACE_FROM || gathered)
        return 0;
    uint64_t us = UINT64_C(1000000) * MQTT_PACE_WISH / p->free_rate;
    return now_ns + (us < MQTT_PACE_MAX_US ? us : MQTT_PACE_MAX_US) * 1000;
}
