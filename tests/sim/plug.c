/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plug.h"
#include "sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NODES = 2, INT64 = 4, BD_SEQ_ALIAS = 1, LEVEL_ALIAS = 7 };

static struct {
    unsigned seq, bd_seq;
} nodes[NODES];

static struct {
    char p[512];
    size_t n;
    uint64_t serial;
} last; /* what was said last, to be said again */
static char last_topic[64];

struct bytes {
    char p[512];
    size_t n;
};

void plug_reset(void)
{
    memset(nodes, 0, sizeof(nodes));
    last.n = 0;
}

/* -- protobuf ------------------------------------------------------------------------------- */

static void varint(struct bytes *b, uint64_t v)
{
    for (; v > 127; v >>= 7)
        b->p[b->n++] = (char)(v | 128);
    b->p[b->n++] = (char)v;
}

static void number(struct bytes *b, unsigned field, uint64_t v)
{
    varint(b, field << 3);
    varint(b, v);
}

static void bytes(struct bytes *b, unsigned field, const char *p, size_t n)
{
    varint(b, field << 3 | 2);
    varint(b, n);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

/* name NULL: by alias only, and the type is the birth's; alias 0: by name only. */
static void metric(struct bytes *b, const char *name, unsigned alias, uint64_t v)
{
    struct bytes m = {.n = 0};
    if (name)
        bytes(&m, 1, name, strlen(name));
    if (alias)
        number(&m, 2, alias);
    if (name)
        number(&m, 4, INT64);
    number(&m, 11, v);
    bytes(b, 2, m.p, m.n);
}

/* -- what nodes say --------------------------------------------------------------------------- */

static struct fake_message *send(const char *topic, const struct bytes *b, unsigned qos,
                                 uint64_t serial)
{
    last.serial = serial;
    memcpy(last.p, b->p, b->n);
    last.n = b->n;
    (void)snprintf(last_topic, sizeof(last_topic), "%s", topic);
    struct fake_message *m = fake_mqtt_publish(topic, b->p, b->n, qos, false);
    sim_trace("publish %" PRIu64 " %s, %zu bytes", m->id, topic, b->n);
    return m;
}

static struct fake_message *birth_or_data(unsigned node, bool birth, unsigned qos,
                                          int64_t wall_ms, uint64_t serial)
{
    char topic[64];
    struct bytes b = {.n = 0};
    if (birth)
        nodes[node].seq = 0;
    else if (sim_chance(8))
        nodes[node].seq += (unsigned)sim_random(4); /* 0: the number that was had */
    else
        nodes[node].seq++;
    number(&b, 1, (uint64_t)wall_ms);
    number(&b, 3, nodes[node].seq & 255);
    if (birth)
        metric(&b, "bdSeq", BD_SEQ_ALIAS, nodes[node].bd_seq);
    metric(&b, "n", 0, serial);
    metric(&b, birth || sim_chance(10) ? "level" : NULL, LEVEL_ALIAS, sim_random(9));
    (void)snprintf(topic, sizeof(topic), "spBv1.0/s/%s/%u", birth ? "NBIRTH" : "NDATA", node);
    return send(topic, &b, qos, serial);
}

static void death(unsigned node, unsigned qos, int64_t wall_ms)
{
    char topic[64];
    struct bytes b = {.n = 0};
    unsigned stale = sim_chance(20);
    number(&b, 1, (uint64_t)wall_ms);
    metric(&b, "bdSeq", 0, (nodes[node].bd_seq - stale) & 255);
    (void)snprintf(topic, sizeof(topic), "spBv1.0/s/NDEATH/%u", node);
    (void)send(topic, &b, qos, UINT64_MAX);
    nodes[node].bd_seq = (nodes[node].bd_seq + 1) & 255;
}

struct fake_message *plug_say(unsigned qos, int64_t wall_ms, uint64_t serial, uint64_t *again)
{
    unsigned node = (unsigned)sim_random(NODES);
    uint64_t what = sim_random(20);
    if (what == 0) {
        death(node, qos, wall_ms);
        return NULL;
    }
    if (what == 1 && last.n) { /* once more, as a gateway that saw no answer does */
        *again = last.serial;
        (void)fake_mqtt_publish(last_topic, last.p, last.n, qos, false);
        return NULL;
    }
    return birth_or_data(node, what < 5, qos, wall_ms, serial);
}
