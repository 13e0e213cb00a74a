/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H
/*
 * engine — the one pass from journal records to points, letters and counts.
 *
 * It moves by records, in journal order, and has no clock: timers due before a record's engine
 * time fire before the record, and where none comes a time record is written. So replay after a
 * crash, a test and live running are one code path with one result. Everything it remembers
 * (dedupe rings, redelivery windows, link states, the ledger, place rotation) is saved by
 * engine_save with the position reached, and restored by engine_load.
 *
 * What it decides per message: which source and device, duplicate or not, the time of each
 * sample, good or bad values, the points. What it emits goes through struct engine_out, in
 * order, between steps never. Pure; one thread at a time. A message that brings several letters
 * makes a step for each.
 *
 * Samples of one message may speak for several devices and points. Each makes its own points, in
 * its device's compound; the message counts once, in that of the first device known.
 *
 * Times (docs/time.md): a device's own time if its clock is known to be sane, corrected if it is
 * known to be off, else the receipt's, in milliseconds. Receipt is engine time plus the last
 * wall offset that was believed. One series' points of one time: the same fields and values are
 * a duplicate; other fields merge; other values of the same fields take the next free
 * millisecond. The series' last 8 points are compared; a longer burst goes on behind itself,
 * so that nothing is overwritten.
 */
#include "core/cases.h"
#include "core/decode.h"
#include "core/ledger.h"
#include "core/position.h"
#include "core/record.h"
#include "core/value.h"
#include "core/world.h"

#define ENGINE_MAX_POINTS 64         /* further points of one device */
#define ENGINE_ALL_POINTS (1u << 20) /* of all */

struct engine;

struct engine_letter { /* a message that could not be used; memory of the record */
    bool quarantine;   /* an unknown device, else a dead letter */
    const char *reason, *detail;
    const struct record *record; /* NULL for a rotten stretch */
    uint64_t offset;
    int64_t wall_ns;    /* receipt, as stamps have it: kept when it is taken up again */
    const char *device; /* quarantine: what it calls itself */
    size_t device_len;
    char compound[65]; /* quarantine: as the topic says, "" if it does not */
};

struct engine_out {
    void *ctx;
    void (*point)(void *ctx, const struct point *p);
    void (*letter)(void *ctx, const struct engine_letter *l);
    void (*step)(void *ctx, const struct position *at); /* before a step's emissions */
    void (*step_end)(void *ctx, const struct position *at);
    /* A Sparkplug node whose births are not known, or of which something was lost: it should be
     * asked for a birth (core/rebirth.h). `topic` is the message's. May come for every message;
     * in a replay, too: who can ask decides whether to. NULL: nobody can. */
    void (*rebirth)(void *ctx, unsigned broker, const char *topic, size_t len);
    /* A case changed; a command was answered. NULL: nobody wants to know (rules still run). */
    void (*transition)(void *ctx, const struct transition *t);
    void (*reply)(void *ctx, const struct case_reply *r);
};

struct engine_stats { /* ever: part of the state, as the ledger is; what is "now" aside */
    uint64_t records, points, fields_unknown, fields_bad, times_replaced, times_moved;
    uint64_t devices_seen;
    uint64_t values_bad[REASON_N];       /* by enum quality_reason; their sum is fields_bad */
    uint64_t values_uncertain[REASON_N]; /* in good lines */
    uint64_t times_corrected;            /* by the device's known offset */
    uint64_t times_doubted;              /* old, by a clock that nothing is known of */
    uint64_t times_unread;               /* there was a time, and it could not be read */
    uint64_t repeated_ids;               /* samples known by the vendor's message id */
    uint64_t strangers_not_told;         /* unknown devices beyond MAX_TOLD of one message */
    uint64_t rebirths;                   /* wished for */
    uint64_t commands_unread;            /* records of commands that cannot be taken apart */
    uint64_t clocks_off;                 /* devices whose clock is corrected, now */
    uint64_t points_known;               /* further (device, point) pairs, now */
    uint64_t firms_not_watched;          /* changes of firms for whom there was no room */
    uint64_t wall_steps_held;            /* steps of our clock that were not believed at once */
    bool wall_held;                      /* and one is not believed now … */
    double wall_held_by_s;               /* … that goes ahead by so much */
};

struct strange; /* core/strange.h */

struct engine_device {    /* for people */
    int64_t last_seen_ms; /* wall time of its last message; 0: never */
    int64_t last_time_ms; /* newest point's time */
    uint64_t messages;
    int64_t clock_offset_ms; /* its clock is ahead by; 0 while unknown */
    bool clock_off;          /* and its times are corrected by it */
    unsigned points;         /* further points */
};

struct engine *engine_new(const struct engine_out *out);
void engine_free(struct engine *e);
/* The generation in force from here on; the old one may be freed afterwards. State follows
 * devices and compounds by their codes. `w` must outlive its use. Devices whose place is new or
 * changed get a gaihou_place point. */
void engine_use(struct engine *e, const struct world *w);
const struct world *engine_world(const struct engine *e);

void engine_record(struct engine *e, const struct record *r);
/* Optional, for each record ENGINE_AHEAD records before it is passed: what its message will look at is
 * fetched meanwhile. Changes nothing. */
#define ENGINE_AHEAD 4
void engine_expect(struct engine *e, const struct record *r);
/* A rotten stretch of the journal that held `messages` messages. */
void engine_rot(struct engine *e, uint64_t offset, uint64_t end, uint64_t messages);
/* Timers due at or before `engine_ns` fire, behind the last record: as a record of that time would make
 * them, for who keeps no journal. */
void engine_tick(struct engine *e, uint64_t engine_ns);
uint64_t engine_next_due(const struct engine *e); /* engine ns; UINT64_MAX: nothing waits */

struct position engine_position(const struct engine *e); /* after the last step */
uint64_t
engine_messages(const struct engine *e); /* messages passed, as the journal counts them */
/* Live messages that a source (of conf->sources) took since its world is in use. */
uint64_t engine_heard(const struct engine *e, size_t source);
const struct ledger *engine_ledger(const struct engine *e);
const struct alarm *engine_alarm(const struct engine *e);
const struct cases *engine_cases(const struct engine *e);
/* cases_adopt, when the replay has come to the store's cursor. */
int engine_adopt_cases(struct engine *e, const char *const *blobs, const size_t *lens, size_t n,
                       cases_differs_fn *differs, void *ctx);
void engine_stats(const struct engine *e, struct engine_stats *out);
/* The names that are counted in fields_unknown, since this generation came into force; NULL: none
 * was met. */
const struct strange *engine_strange(const struct engine *e);
/* A step of our own clock that is not believed (yet): stamps go on from before it. */
bool engine_clock_doubted(const struct engine *e, double *out_seconds_ahead);
void engine_device(const struct engine *e, const struct device *d, struct engine_device *out);

/* State as bytes. put: 0, or -errno which ends the save and is returned. engine_load needs the
 * world of the state's generation in use (engine_saved_hash tells which); -EBADMSG when the
 * bytes are not good: the engine is then as new. */
typedef int engine_put_fn(void *ctx, const void *p, size_t n);
int engine_save(const struct engine *e, engine_put_fn *put, void *ctx);
int engine_saved_hash(const char *bytes, size_t len, char out_hash[33]);
int engine_load(struct engine *e, const char *bytes, size_t len);

#endif
