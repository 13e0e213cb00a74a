/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_REBIRTH_H
#define CORE_REBIRTH_H
/*
 * rebirth — the command that asks a Sparkplug edge node to tell its births again.
 *
 * Eclipse Sparkplug 3.0.0, 6.4.20 (NCMD): topic `spBv1.0/GROUP/NCMD/NODE`, QoS 0, not retained;
 * payload a protobuf with a timestamp and one metric, `Node Control/Rebirth`, Boolean, true. It
 * never changes but for the time, so it is written here by hand. Pure.
 */
#include <stddef.h>
#include <stdint.h>

#define REBIRTH_PAYLOAD_MAX 64
#define REBIRTH_TOPIC_MAX   512

/* The command's topic for the node that published on `topic` (spBv1.0/GROUP/TYPE/NODE, maybe with
 * /DEVICE), NUL-terminated. 0; -EINVAL when it is no such topic, or too long. */
int rebirth_topic(const char *topic, size_t len, char out[REBIRTH_TOPIC_MAX]);
/* How many bytes; `now_ms` is Unix time. */
size_t rebirth_payload(int64_t now_ms, uint8_t out[REBIRTH_PAYLOAD_MAX]);

#endif
