/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_FAKE_ALERTS_H
#define SIM_FAKE_ALERTS_H
/*
 * fake_alerts — the broker that firms listen at, behind the part of io/mqtt.h that tells. What
 * fake_mqtt.c finds to be an alerts' client (it has a will) comes here.
 */
#include "io/mqtt.h"

struct fake_alerts; /* one client */

struct fake_alerts *fake_alerts_open(const struct mqtt_options *o, const struct mqtt_events *e,
                                     struct mqtt_stats *stats);
void fake_alerts_close(struct fake_alerts *c);
void fake_alerts_filters(struct fake_alerts *c, const struct mqtt_filter *f, size_t n);
void fake_alerts_want(struct fake_alerts *c, bool wanted);
int fake_alerts_send(struct fake_alerts *c, const struct mqtt_out *o);

#endif
