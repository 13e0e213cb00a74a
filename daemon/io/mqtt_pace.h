/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_MQTT_PACE_H
#define IO_MQTT_PACE_H
/*
 * mqtt_pace — when a socket on which messages come fast is to be read again.
 *
 * Whoever reads each message the moment it comes wakes up for each: at some thousands a second that is
 * most of what receiving costs. A socket that brings more than MQTT_PACE_FROM messages a second is read
 * so seldom that some sixteen come together, at least every MQTT_PACE_MAX_US; one that brings less, at once.
 *
 * It may not hold up a sender that waits for our acknowledgements (a window of few messages): of each
 * second the first tenth is not paced, and if clearly more came then, nothing is paced for ten seconds.
 *
 * Pure: the time is an argument (monotonic, nanoseconds). Threads: the caller's.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
    MQTT_PACE_FROM = 1000, /* messages a second */
    MQTT_PACE_WISH = 16,   /* messages for one read; mosquitto's window is 20 */
    MQTT_PACE_MAX_US = 4000,
    MQTT_PACE_FREE_MS = 100, /* of each … */
    MQTT_PACE_ROUND_MS = 1000,
    MQTT_PACE_HARM_ROUNDS = 10,
};

struct mqtt_pace {
    uint64_t since_ns;  /* the phase's begin; 0: none yet */
    unsigned came;      /* messages in it */
    bool paced;         /* it is the second of its round */
    unsigned free_rate; /* a second, in the last one that was not paced */
    unsigned harmed;    /* rounds still to be left alone */
};

/* The socket is read at now, `came` messages after it was read last. The time before which it need
 * not be read again; 0: whenever there is something. */
uint64_t mqtt_pace_next(struct mqtt_pace *p, unsigned came, uint64_t now_ns);

#endif
