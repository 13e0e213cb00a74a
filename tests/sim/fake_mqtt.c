/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/mqtt.h with a broker behind it. The broker keeps a session: it numbers QoS 1 messages, has
 * at most WINDOW of them under way, forgets one when its PUBACK arrives, and sends the rest
 * again with dup = 1 and the same packet id on the next connection.
 */
#include "base/check.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/mqtt.h"
#include "sim/fake_alerts.h"
#include "sim/fakes.h"
#include "sim/world.h"
#include "sim/own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 20 };

struct mqtt {
    struct mqtt_events e;
    bool wanted, connected;
    struct mqtt_stats stats;
    struct fake_alerts *alerts; /* it is the alerts' client, which is all there */
};

struct flight {
    struct fake_message *m;
    uint16_t packet_id;
    bool sent; /* on this connection */
    bool sent_ever;
    bool returned; /* on_message has: its PUBACK is under way */
};

static struct {
    struct fake_message **all; /* every message ever */
    size_t n_all, cap_all;
    size_t next; /* the first that is still queued */
    struct flight flights[WINDOW];
    size_t n_flights;
    uint16_t packet_id;
    bool up, session, delivering;
    bool deaf; /* it has lost the subscriptions of a connection that stands */
    struct mqtt *client;
    uint64_t connection;
} broker;

bool fake_mqtt_acks_lost;
void (*fake_mqtt_on_ack)(struct fake_message *m);

static void deliver(void *ctx);

void fake_mqtt_reset(void)
{
    for (size_t i = 0; i < broker.n_all; i++) {
        free(broker.all[i]->topic);
        free(broker.all[i]->payload);
        free(broker.all[i]);
    }
    struct fake_message **all = broker.all;
    size_t cap = broker.cap_all;
    memset(&broker, 0, sizeof(broker));
    broker.all = all;
    broker.cap_all = cap;
    broker.up = true;
    fake_mqtt_acks_lost = false;
    fake_alerts_reset();
}

static bool connected(void)
{
    return broker.client && broker.client->connected;
}

bool fake_mqtt_connected(void)
{
    return connected();
}

bool fake_mqtt_wanted(void)
{
    return broker.client && broker.client->wanted;
}

size_t fake_mqtt_waiting(void)
{
    return broker.n_flights + (broker.n_all - broker.next);
}

static void keep_delivering(void)
{
    if (!connected() || broker.delivering)
        return;
    broker.delivering = true;
    sim_after(sim_random(sim_chance(20) ? 20000000 : 300000), deliver, NULL, true);
}

struct fake_message *fake_mqtt_publish(const char *topic, const void *payload, size_t len,
                                       unsigned qos, bool retain)
{
    struct fake_message *m = mem_zalloc(sizeof(*m));
    *m = (struct fake_message){.id = broker.n_all,
                               .topic = mem_strdup(topic),
                               .payload = mem_zalloc(len + 1),
                               .len = len,
                               .qos = (uint8_t)qos,
                               .retain = retain};
    memcpy(m->payload, payload, len);
    if (broker.n_all == broker.cap_all) {
        broker.cap_all = broker.cap_all ? broker.cap_all * 2 : 256;
        broker.all = mem_realloc_array(broker.all, broker.cap_all, sizeof(*broker.all));
    }
    broker.all[broker.n_all++] = m;
    if (broker.deaf || (!connected() && (!broker.session || qos == 0)))
        m->lost = true; /* nobody has subscribed, or nobody keeps it */
    keep_delivering();
    return m;
}

/* -- delivering ---------------------------------------------------------------------------- */

static void acked(void *ctx)
{
    uint64_t packet_id = (uint64_t)(uintptr_t)ctx & 0xffff,
             connection = (uint64_t)(uintptr_t)ctx >> 16;
    if (connection != broker.connection)
        return;
    for (size_t i = 0; i < broker.n_flights; i++) {
        if (broker.flights[i].packet_id != packet_id)
            continue;
        memmove(&broker.flights[i], &broker.flights[i + 1],
                (broker.n_flights - i - 1) * sizeof(broker.flights[0]));
        broker.n_flights--;
        break;
    }
    keep_delivering();
}

/* The process takes the message, or dies over it. */
static void hand_over(struct fake_message *m, uint16_t packet_id, bool dup)
{
    struct mqtt *c = broker.client;
    struct mqtt_message msg = {.topic = m->topic,
                               .topic_len = strlen(m->topic),
                               .payload = m->payload,
                               .payload_len = m->len,
                               .packet_id = packet_id,
                               .qos = m->qos,
                               .retain = m->retain,
                               .dup = dup};
    sim_trace("deliver message %llu pid %u%s", (unsigned long long)m->id, packet_id,
              dup ? " dup" : "");
    c->stats.messages++;
    c->stats.bytes += m->len;
    c->stats.last_message_wall_ns = clock_wall_ns();
    c->e.on_message(c->e.ctx, &msg);
    if (m->qos > 0)
        m->acked = true;
    if (m->qos > 0 && fake_mqtt_on_ack)
        fake_mqtt_on_ack(m);
}

static bool next_flight(struct flight **out)
{
    for (size_t i = 0; i < broker.n_flights; i++)
        if (!broker.flights[i].sent) {
            *out = &broker.flights[i];
            return true;
        }
    while (broker.next < broker.n_all && broker.all[broker.next]->lost)
        broker.next++;
    if (broker.next == broker.n_all || broker.n_flights == WINDOW)
        return false;
    struct fake_message *m = broker.all[broker.next++];
    if (m->qos == 0) {
        static struct flight once;
        once = (struct flight){.m = m};
        *out = &once;
        return true;
    }
    if (++broker.packet_id == 0)
        broker.packet_id = 1;
    *out = &broker.flights[broker.n_flights++];
    **out = (struct flight){.m = m, .packet_id = broker.packet_id};
    return true;
}

static void deliver(void *ctx)
{
    struct flight *f;
    (void)ctx;
    broker.delivering = false;
    if (!connected() || !next_flight(&f))
        return;
    bool dup = f->sent_ever;
    uint16_t packet_id = f->packet_id;
    uint64_t connection = broker.connection;
    f->sent = f->sent_ever = true;
    hand_over(f->m, packet_id, dup);
    if (packet_id && !fake_mqtt_acks_lost)
        sim_after(sim_random(2000000), acked, (void *)(uintptr_t)(connection << 16 | packet_id),
                  false);
    keep_delivering();
}

/* -- connections --------------------------------------------------------------------------- */

static void broken(void)
{
    broker.connection++;
    broker.delivering = false;
    sim_cancel(deliver, NULL);
    for (size_t i = 0; i < broker.n_flights; i++)
        broker.flights[i].sent = false;
    while (broker.next < broker.n_all && broker.all[broker.next]->qos == 0)
        broker.next++; /* nobody keeps those */
}

static void connect_now(void *ctx);

static void disconnect(struct mqtt *m, const char *why)
{
    if (!m->connected)
        return;
    m->connected = m->stats.connected = false;
    m->stats.losses++;
    broken();
    m->e.on_link(m->e.ctx, &(struct mqtt_link){.state = MQTT_DOWN, .reason = why});
}

static void want(struct mqtt *m)
{
    sim_cancel(connect_now, m);
    if (m->wanted && !m->connected)
        sim_after(1000000 + sim_random(500000000), connect_now, m, true);
}

static void connect_now(void *ctx)
{
    struct mqtt *m = ctx;
    if (!m->wanted || m->connected)
        return;
    if (!broker.up) {
        want(m);
        return;
    }
    bool present = broker.session;
    broker.deaf = false;
    m->connected = m->stats.connected = true;
    m->stats.version = 5;
    m->stats.connects++;
    m->stats.connected_wall_ns = clock_wall_ns();
    broker.session = true;
    broker.connection++;
    if (!present)
        broker.packet_id = 0;
    sim_trace("connected, session %s", present ? "present" : "new");
    m->e.on_link(m->e.ctx, &(struct mqtt_link){.state = MQTT_UP, .session_present = present});
    keep_delivering();
}

void fake_mqtt_died(void)
{
    fake_alerts_died();
    if (connected())
        broken();
    broker.client = NULL;
    broker.delivering = false;
}

void fake_mqtt_broker(bool up)
{
    broker.up = up;
    if (!up && broker.client)
        disconnect(broker.client, "the broker went away");
    if (up && broker.client)
        want(broker.client);
}

void fake_mqtt_lose_session(void)
{
    if (broker.client)
        disconnect(broker.client, "the broker restarted");
    for (size_t i = 0; i < broker.n_flights; i++)
        broker.flights[i].m->lost = true;
    for (size_t i = broker.next; i < broker.n_all; i++)
        broker.all[i]->lost = true;
    broker.n_flights = 0;
    broker.next = broker.n_all;
    broker.session = false;
    if (broker.client)
        want(broker.client);
}

void fake_mqtt_lose_subscriptions(void)
{
    broker.deaf = true;
}

/* -- io/mqtt.h ----------------------------------------------------------------------------- */

int mqtt_open(const struct mqtt_options *o, const struct mqtt_events *e, struct err *err,
              struct mqtt **out)
{
    struct mqtt *m = mem_zalloc(sizeof(*m));
    (void)err;
    m->e = *e;
    m->wanted = true;
    (void)snprintf(m->stats.server, sizeof(m->stats.server), "%s", o->broker->url.items[0]);
    *out = m;
    if (o->will) {
        m->alerts = fake_alerts_open(o, e, &m->stats);
        return 0;
    }
    ASSERT(!broker.client && o->n_filters > 0);
    broker.client = m;
    want(m);
    return 0;
}

static void leave_now(void *ctx)
{
    struct mqtt *m = ctx;
    if (!m->wanted)
        disconnect(m, "leaving");
}

void mqtt_close(struct mqtt *m)
{
    if (!m)
        return;
    if (m->alerts) {
        fake_alerts_close(m->alerts);
        free(m);
        return;
    }
    m->wanted = false;
    sim_cancel(connect_now, m);
    sim_cancel(leave_now, m);
    disconnect(m, "closing");
    if (broker.client == m)
        broker.client = NULL;
    free(m);
}

void mqtt_leave(struct mqtt *m, const char *why)
{
    (void)why;
    m->wanted = false;
    if (m->alerts)
        fake_alerts_want(m->alerts, false);
    else
        sim_after(sim_random(5000000), leave_now, m, true);
}

void mqtt_return(struct mqtt *m)
{
    m->wanted = true;
    if (m->alerts)
        fake_alerts_want(m->alerts, true);
    else
        want(m);
}

int mqtt_resubscribe(struct mqtt *m, const struct mqtt_filter *filters, size_t n)
{
    ASSERT(n > 0);
    if (m->alerts)
        fake_alerts_filters(m->alerts, filters, n);
    return 0;
}

static void reconnect_now(void *ctx)
{
    struct mqtt *m = ctx;
    disconnect(m, "connecting anew");
    want(m);
}

int mqtt_publish(struct mqtt *m, const char *topic, const void *payload, size_t len,
                 unsigned qos)
{
    (void)payload;
    (void)qos;
    if (!m->connected)
        return -ENOTCONN;
    m->stats.published++;
    sim_trace("published %zu bytes on %s", len, topic);
    return 0;
}

int mqtt_send(struct mqtt *m, const struct mqtt_out *o)
{
    ASSERT(m->alerts);
    return fake_alerts_send(m->alerts, o);
}

void mqtt_reconnect(struct mqtt *m, const char *why)
{
    (void)why;
    sim_after(sim_random(1000000), reconnect_now, m, true);
}

void mqtt_ask(struct mqtt *m)
{
    sim_trace("asked whether the subscriptions of %p stand", (void *)m);
    if (!m->alerts)
        broker.deaf = false;
}

void mqtt_stats(struct mqtt *m, struct mqtt_stats *out)
{
    *out = m->stats;
    out->wanted = m->wanted;
}
