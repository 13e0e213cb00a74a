/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ENGINE_PRIVATE_H
#define CORE_ENGINE_PRIVATE_H
/*
 * engine_private — what the engine's files share; included by core/engine*.c only.
 */
#include "core/decode.h"
#include "core/engine.h"
#include "core/json.h"

#define RING 8 /* points a device remembers for dedupe */
/* How many deliveries back a redelivery is looked for. A broker should keep no more than Receive
 * Maximum under way, but mosquitto 2.0 was seen to repeat 7,000 after a kill; half of all packet
 * ids is the most that cannot be mistaken for the id's next use. */
#define REACH         32768
#define PACKET_IDS    65536
#define MAX_BROKERS   16
#define PLACE_STEP_NS 20000000u
#define PLACE_BATCH   256

/* One point that a device had: 16 bytes, because 100,000 devices have 8 of them. */
struct seen {
    uint64_t time_hash; /* time_ms << 16 | upper 16 bits of the hash */
    uint32_t mask;      /* metrics, by index modulo 32 */
    uint32_t hash;
};

struct device_state {
    struct seen ring[RING];
    int64_t last_seen_ms, last_time_ms;
    int64_t run_from_ms,
        run_to_ms; /* milliseconds handed out in a burst, beyond what the ring keeps */
    uint32_t messages;
    uint32_t row; /* of the ledger; follows from the world */
    uint8_t at;   /* next place in the ring */
    bool place_due;
};

struct delivery {  /* the last QoS 1 message that had a packet id */
    uint64_t hash; /* 0: none */
    uint32_t connection;
    uint32_t serial; /* of the broker's deliveries */
};

struct broker_state {
    char id[65];
    bool up;
    uint32_t connection;         /* counts link-ups */
    uint32_t n;                  /* deliveries ever, wraps */
    uint32_t valid;              /* of them since the session began, at most REACH */
    struct delivery *deliveries; /* by packet id */
};

struct engine {
    struct engine_out out;
    const struct world *world;
    struct json *json;
    struct decoded decoded;
    struct ledger *ledger;

    struct device_state *devices; /* by registry index */
    size_t n_devices;
    struct broker_state brokers[MAX_BROKERS];

    struct position at;
    uint64_t messages;
    int64_t wall_minus_engine_ns; /* of the last record that told both */
    bool wall_known;

    uint64_t place_next_ns; /* UINT64_MAX: nothing due */
    uint64_t rotate_next_ns;
    int64_t rotate_minute; /* of Unix time, last one done */
    size_t place_cursor;

    struct engine_stats stats;
    struct buf scratch; /* a series being built */
};

/* engine_points.c: the points of one decoded message; how many were made and how many
 * duplicates */
void engine_points(struct engine *e, const struct device *d, const struct record *r,
                   unsigned *out_made, unsigned *out_duplicates);
/* engine_place.c */
void engine_place_changed(struct engine *e, const struct world *before,
                          const struct world *now);
void engine_place_step(struct engine *e, uint64_t due_ns);
void engine_rotate_step(struct engine *e, uint64_t due_ns);
void engine_own_points(struct engine *e, const struct record *r);

#endif
