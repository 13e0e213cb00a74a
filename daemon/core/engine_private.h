/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ENGINE_PRIVATE_H
#define CORE_ENGINE_PRIVATE_H
/*
 * engine_private — what the engine's files share; included by core/engine*.c only.
 */
#include "base/table.h"
#include "core/clock_fit.h"
#include "core/decode.h"
#include "core/engine.h"
#include "core/json.h"
#include "core/strange.h"

#define RING 8 /* points a series remembers for dedupe */
/* How many deliveries back a redelivery is looked for. A broker should keep no more than Receive
 * Maximum under way, but mosquitto 2.0 was seen to repeat 7,000 after a kill; half of all packet
 * ids is the most that cannot be mistaken for the id's next use. */
#define REACH         32768
#define PACKET_IDS    65536
#define MAX_BROKERS   16
#define PLACE_STEP_NS 20000000u
#define PLACE_BATCH   256
#define IDS           4  /* vendor's message ids a device remembers */
#define VOTES         64 /* device clocks asked about a step of ours */
#define MAX_MESSAGE   ((size_t)64 << 20)
#define MAX_TOLD      16 /* unknown devices told of one message */
#define AFTER_KINDS   64 /* kinds whose metrics' order is remembered apart */
#define TOLD_BITS     ((UINT64_C(1) << 54) - 1)

/* One point that a series had: 16 bytes, because 100,000 devices have 8 of them. */
struct seen {
    uint64_t time_hash; /* time_ms << 16 | upper 16 bits of the hash */
    uint32_t mask;      /* metrics, by index modulo 32 */
    uint32_t hash;
};

/* The newest points of one (device, point). */
struct series {
    struct seen ring[RING];
    /* milliseconds handed out in a burst, beyond what the ring keeps */
    int64_t run_from_ms, run_to_ms;
    uint64_t at : 8; /* next place in the ring */
    /* For people (core/engine_recall.h): the last message that made a point here, by its place in
     * the journal (0: none, or not known), and did its broker catch up? Where padding would be. */
    uint64_t told_late : 1;
    uint64_t told : 54;
};

struct device_state {
    struct series series; /* of the registry's own point */
    int64_t last_seen_ms, last_time_ms;
    struct clock_fit clock;
    uint32_t messages;
    uint32_t row;    /* of the ledger; follows from the world */
    uint32_t points; /* the first of its further points in engine.points, 1-based; 0: none */
    uint32_t ids;    /* place in engine.ids, 1-based; 0: it never sent one */
    uint16_t said;   /* while a message is passed: its first sample, 1-based */
    uint8_t n_points;
    uint8_t ids_at; /* next place among its ids */
};

/* All that is kept of it for saving, but the ring and the burst. */
static inline uint64_t series_marks(const struct series *s)
{
    return (uint64_t)s->told << 9 | (uint64_t)s->told_late << 8 | s->at;
}

static inline void series_mark(struct series *s, uint64_t marks)
{
    s->at = marks & 0xff;
    s->told_late = marks >> 8 & 1;
    s->told = marks >> 9 & TOLD_BITS;
}

/* A further (device, point). */
struct point_state {
    struct series series;
    uint32_t device; /* registry index */
    uint32_t next;   /* of the same device, 1-based */
    char *name;
};

struct id_ring { /* hash of id << 32 | hash of content; 0: none */
    uint64_t id[IDS];
};

struct delivery {  /* the last QoS 1 message that had a packet id */
    uint64_t hash; /* 0: none */
    uint32_t connection;
    uint32_t serial; /* of the broker's deliveries */
};

struct broker_state {
    char id[65];
    bool up;
    bool catch_up;               /* what arrives may be old news (docs/time.md) */
    uint32_t connection;         /* counts link-ups */
    uint32_t n;                  /* deliveries ever, wraps */
    uint32_t valid;              /* of them since the session began, at most REACH */
    uint32_t window_n;           /* messages in the window */
    uint32_t normal;             /* messages in 1,000 s, when nothing is caught up with */
    uint64_t catch_up_from_ns;   /* engine time, as the next two */
    uint64_t window_from_ns;     /* when the window began */
    uint64_t last_ns;            /* the last message */
    struct delivery *deliveries; /* by packet id */
    uint32_t cap_deliveries;     /* no id from there on has been seen */
};

/* What a device's clock says of ours. */
struct vote {
    uint32_t device;         /* registry index */
    int64_t minus_engine_ms; /* its time less engine time */
};

/* What the message under way says, sample by sample: whom it speaks for. */
struct speech {
    const struct device *device; /* NULL: nobody of ours */
    int64_t newest_ms;           /* at the device's first sample: the newest such time */
    uint32_t first;              /* that sample's number */
    /* at first: any time that can teach, any sign of life, anything not told before; by its own id */
    bool timed, alive, news, repeated;
};

/* A message that comes: how far what it needs is fetched (core/engine_ahead.c). */
struct ahead {
    uint64_t hash;   /* of its device's code */
    uint32_t device; /* registry index, from step 2 on */
    unsigned step;   /* 0: none */
};

struct listener; /* core/engine_alarm_private.h */
struct open_row;

/* What stands between the engine and its alarms; apart, because their callbacks hold on to it. */
struct engine_alarms {
    struct engine *e;
    struct alarm *alarm;
    struct cases *cases;
    const struct world *world; /* they stand in; NULL until the time of day is known */
    bool wanted;               /* there are rules: samples and signs of life are told */
    bool lazy, began;          /* a step begins with what it emits */
    bool touched;              /* a listener is */
    struct listener *listeners;
    size_t n_listeners;
    uint64_t listener_due; /* the first that is absent too long */
    struct open_row *rows; /* of gaihou_open that were not 0 a minute ago */
    size_t n_rows;
    bool clock_told; /* the doubt about our clock */
};

struct engine {
    struct engine_out out;
    struct engine_alarms *alarms;
    const struct world *world;
    struct json *json;
    struct profile_run *run;     /* NULL until a profile is used */
    struct sparkplug *sparkplug; /* likewise */
    struct decoded decoded;
    uint64_t *heard; /* by source: live messages */
    struct speech *speeches;
    size_t cap_speeches;
    struct ledger *ledger;

    struct device_state *devices;    /* by registry index */
    uint64_t *place_due;             /* bits by registry index: a gaihou_place point is due */
    size_t n_devices, n_seen, n_off; /* of them heard of, with a clock that is off */
    struct point_state *points;
    size_t n_points, cap_points;
    struct table by_point;
    struct id_ring *ids;
    size_t n_ids, cap_ids;
    struct broker_state brokers[MAX_BROKERS];

    struct position at;
    bool used; /* not as engine_new made it and the first world found it */
    uint64_t messages;
    int64_t wall_minus_engine_ns; /* the last that was believed: all stamps come from it */
    bool wall_known;
    bool wall_held;               /* the wall clock made a step that is not believed yet … */
    int64_t held_minus_engine_ns; /* … to here … */
    uint64_t held_since_ns;       /* … since this engine time */
    struct vote votes[VOTES];
    uint32_t n_votes, vote_at;
    int64_t order_shift_ms; /* ours was set ahead by so much: devices' times only look old */

    uint64_t place_next_ns; /* UINT64_MAX: nothing due */
    uint64_t rotate_next_ns;
    int64_t rotate_minute; /* of Unix time, last one done */
    size_t place_cursor;

    struct ahead ahead[ENGINE_AHEAD];
    unsigned ahead_at;
    int ahead_level; /* of a topic, from its end, that names the device; -1: not known */

    struct engine_stats stats;
    struct strange *strange; /* NULL until there is one */
    size_t speaking;         /* whose message it is: of world->conf->sources */
    struct buf scratch;      /* a series being built */
    /* By kind, and by metric (from 1; 0: the first of a sample): the metric that was said after it
     * the last time. A guess that is checked: nothing depends on it, and it is not saved. */
    uint8_t after[AFTER_KINDS][CATALOG_MAX_METRICS + 1];
};

static inline bool engine_place_due(const struct engine *e, size_t i)
{
    return e->place_due[i / 64] >> i % 64 & 1;
}

static inline void engine_place_want(struct engine *e, size_t i, bool due)
{
    uint64_t bit = UINT64_C(1) << i % 64;
    e->place_due[i / 64] = due ? e->place_due[i / 64] | bit : e->place_due[i / 64] & ~bit;
}

/* How a message's samples came out, in points and in samples that made none. */
struct outcome {
    const struct device *first; /* the first known device that it speaks for, of any lane */
    unsigned made, duplicates, refused;
    unsigned too_many, other_lane, unknown, nameless; /* samples */
};

/* engine.c */
void engine_step_begin(struct engine *e, uint64_t offset, uint64_t tick);
void engine_step_end(struct engine *e);
bool engine_note_delivery(struct engine *e, const struct record *r);
struct delivery *engine_delivery(struct broker_state *b, uint16_t packet_id);
/* What is counted of devices, anew: after a load, a reload. */
void engine_count_devices(struct engine *e);
/* engine_ahead.c: a new world; what a device's message needs, now that the device is known */
void engine_ahead_use(struct engine *e);
void engine_ahead_fetch(const struct engine *e, const struct device *d);
/* engine_message.c */
void engine_message(struct engine *e, const struct record *r);
/* A name that nobody uses; kind NULL: its profile does not name it. */
void engine_note_strange(struct engine *e, const struct record *r, const char *kind,
                         const char *name, size_t len, const struct device *d);
/* engine_points.c: the points of the decoded message, whose speeches are prepared */
void engine_points(struct engine *e, const struct record *r, int64_t received_ms,
                   struct outcome *o);
/* The same of its only sample, which is the device's and not repeated; needs no speeches. */
void engine_point(struct engine *e, const struct record *r, const struct device *d,
                  int64_t received_ms, struct outcome *o);
/* engine_series.c. find: NULL when the device or the table has no room for one more point;
 * *out_further: NULL for the device's own. */
struct series *engine_series(struct engine *e, const struct device *d, const char *point,
                             size_t len, const struct point_state **out_further);
/* Was this id with this content told before? Remembered from now on. */
bool engine_id_seen(struct engine *e, const struct device *d, uint64_t id, uint64_t content);
void engine_series_move(struct engine *e, const struct world *now);
void engine_series_free(struct engine *e);
struct point_state *engine_point_add(struct engine *e, uint32_t device, const char *name,
                                     size_t len);
struct id_ring *engine_ids_of(struct engine *e, struct device_state *s);
/* engine_clock.c */
int64_t engine_stamp_ns(const struct engine *e, const struct record *r);
int64_t engine_stamp_ms(const struct engine *e, const struct record *r);
void engine_learn_time(struct engine *e, const struct record *r);
void engine_link_up(struct broker_state *b, const struct record *r);
void engine_arrival(struct engine *e, const struct record *r);
bool engine_catching_up(const struct engine *e, const struct record *r);
/* By so much the device's times look old for no other reason than that ours was set ahead. */
int64_t engine_order_shift_ms(const struct engine *e, const struct device *d);
/* Can this time teach anything, of the device's clock or of ours? */
bool engine_clock_hears(const struct engine *e, int64_t time_ms, int64_t received_ms);
/* A device told its time: what its clock is worth, and ours. silent_ms: before this message. */
void engine_clock_told(struct engine *e, const struct device *d, const struct record *r,
                       int64_t newest_ms, int64_t silent_ms);
/* engine_alarm.c */
struct engine_alarms *engine_alarms_new(struct engine *e);
void engine_alarms_free(struct engine_alarms *a);
/* The world of the engine becomes the alarms': within a record's step, or in a step of its own. */
void engine_alarms_use(struct engine *e);
void engine_alarms_ready(struct engine *e, uint64_t engine_ns); /* … once the time is known */
/* The same, for what was saved to come into it: nothing waits in it yet. */
void engine_alarms_stand(struct engine *e, uint64_t engine_ns);
void engine_alarms_sample(struct engine *e, const struct alarm_sample *s);
/* One comes: soon, or (near) next. */
void engine_alarms_expect(const struct engine *e, const struct device *d, bool near);
void engine_alarms_alive(struct engine *e, const struct record *r, const struct device *d);
void engine_alarms_link(struct engine *e, unsigned broker, bool up, uint64_t engine_ns);
void engine_alarms_link_again(struct engine *e, unsigned broker, uint64_t engine_ns);
/* The gateway was down, since then. */
void engine_alarms_down(struct engine *e, uint64_t since_ns, uint64_t now_ns);
void engine_alarms_record(struct engine *e, const struct record *r); /* a command, … */
void engine_alarms_clock(struct engine *e, uint64_t engine_ns);
void engine_alarms_minute(struct engine *e, uint64_t due_ns); /* gaihou_open */
uint64_t engine_alarms_due(const struct engine *e);
void engine_alarms_fire(struct engine *e, uint64_t due_ns); /* exactly one timer */
/* engine_alarm_save.c */
int engine_alarms_save(const struct engine *e, engine_put_fn *put, void *ctx);
/* Of an engine whose alarms have no world yet. */
int engine_alarms_load(struct engine *e, const char *bytes, size_t len);
/* engine_place.c */
int64_t engine_wall_ms(const struct engine *e, uint64_t engine_ns);
/* A point of our own, made in this step. */
void engine_own_point(struct engine *e, const struct point *p);
void engine_place_changed(struct engine *e, const struct world *before,
                          const struct world *now);
void engine_place_step(struct engine *e, uint64_t due_ns);
void engine_rotate_step(struct engine *e, uint64_t due_ns);
void engine_own_points(struct engine *e, const struct record *r);

#endif
