/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ALARM_H
#define CORE_ALARM_H
/*
 * alarm — is something wrong: the condition of each (rule, device, point), by samples and time.
 *
 * Owns the instances: condition (normal, pending, active, recovering), quality, level, clocks,
 * windows, flapping, silence. Promises: an instance says each change once, in order, as an
 * alarm_event; silence, unknown and retained values never recover anything; everything follows
 * from records and engine time, so a replay says the same. Does not know cases, work, masks by
 * people, recipients (core/cases.h does).
 *
 * Moved by the engine, which calls alarm_tick for all that is due before each record. State
 * follows rules (by id), devices and points by name over generations and restarts. Bounded: an
 * instance exists only where a rule and a registered device meet. Pure; one thread at a time.
 *
 * Who is silent is known by devices, not by points: the alarm about silence is that of the
 * device's own point. An uplink is blamed by the first rule that tells silence there (kind `*`
 * is the usual one); without such a rule its members are told one by one. A kind's devices can
 * be counted by at most RULES_MAX_CONDS different conditions, as rules_parse sees to.
 *
 * docs/alarms.md has the semantics.
 */
#include "core/position.h"
#include "core/rules.h"
#include "core/value.h"
#include "core/world.h"

enum alarm_condition { ALARM_NORMAL, ALARM_PENDING, ALARM_ACTIVE, ALARM_RECOVERING };
enum alarm_quality { ALARM_GOOD, ALARM_STALE, ALARM_BAD, ALARM_UNKNOWN };

enum alarm_change {
    ALARM_ACTIVATED, /* NORMAL or PENDING → ACTIVE */
    ALARM_LEVEL,     /* raised or lowered while active */
    ALARM_CLEARED,   /* really fine again */
    ALARM_QUALITY,   /* of an active one: stale, fresh, bad */
    /* Begins: told once, behind the ACTIVATED if that made it flap. Until SETTLED, ACTIVATED and
     * CLEARED are not told (of life-safety they are), LEVEL only if it is worse than all before. */
    ALARM_FLAPPING,
    ALARM_SETTLED, /* flapping ended; the event has the settled condition */
    ALARM_REMOVED, /* its rule, device or point is gone: closes with `reason` */
    ALARM_EPISODE, /* late news of an episode wholly in the past: a record, not an alarm */
    ALARM_INHIBIT, /* active, but a node above (its uplink) is told instead; or no longer */
    /* Its point is the device's own by a reload, or no longer: the alarm goes on as if nothing else had
     * happened. */
    ALARM_MOVED,
};

struct alarm_event {
    enum alarm_change change;
    const struct rule *rule; /* of the present generation; REMOVED, MOVED: of the one before */
    const struct device *device;
    const char *point;     /* "" the device's own */
    const char *was_point; /* MOVED: until now; else NULL */
    enum alarm_condition condition;
    enum alarm_quality quality;
    bool no_data;                /* it is an alarm about silence */
    int level;                   /* index into the rule's levels; -1: none (no_data, normal) */
    enum severity severity;      /* present; of the worst level while flapping */
    const struct metric *metric; /* shown; NULL: none */
    double value, limit;         /* NaN: none */
    int64_t since_ms;            /* stamp of the first true sample of this activation */
    int64_t time_ms;             /* stamp of what changed now */
    int64_t until_ms;            /* EPISODE: its end */
    uint64_t engine_ns;          /* of this step */
    int64_t wall_ms;             /* believed wall time of this step */
    bool late;                   /* by samples that were late */
    bool flapping, inhibited;
    bool life_safety; /* of the rule or the device: never held back */
    unsigned members; /* silent members of an uplink */
    /* REMOVED: "rule_removed", "not_concerned" (the rule does not ask for this device any
     * more), "joined" (its point is the device's own now, whose alarm goes on for both),
     * "device_removed", "device_retired", "device_changed" (of another kind); CLEARED by
     * policy and not by a sample: "schedule", "no_data"; LEVEL by a reload: "rule_changed". */
    const char *reason;
};

/* One sample that made a point: judged, placed in time, not a duplicate. */
struct alarm_sample {
    const struct device *device;
    const char *point;            /* "" the device's own */
    const struct field *fields;   /* good and uncertain ones */
    const unsigned char *metrics; /* fields[i] is of metric metrics[i] of the kind */
    size_t n;
    const unsigned char *bad; /* indexes of metrics whose value was bad */
    size_t n_bad;
    uint64_t order_ns;   /* order time (recovery: when it was true, on engine time's axis) */
    uint64_t engine_ns;  /* of the record */
    int64_t time_ms;     /* stamp */
    int64_t received_ms; /* believed wall time of the record */
    bool retained;       /* proves nothing */
    bool catch_up;       /* old news of a device without a clock */
    bool alive;          /* a sign of life */
    bool named;          /* of the device's own point: it said the point's name */
};

struct alarm_out {
    void *ctx;
    void (*event)(void *ctx, const struct alarm_event *ev); /* within the engine's step */
};

struct alarm_stats {
    uint64_t instances, active, pending, silent, flapping; /* now */
    uint64_t samples, evaluations, unknown, late, events;  /* ever: see alarm_counted */
    uint64_t timers;                                       /* waiting now */
};

struct alarm;
struct alarm *alarm_new(const struct alarm_out *out);
void alarm_free(struct alarm *a);
/* The rules and devices in force from here on; what vanished is told as REMOVED in this call (so
 * within a step). `before` is the world until now, NULL the first time; both stay valid for the
 * call. engine_ns, wall_ms: of the step. */
void alarm_use(struct alarm *a, const struct world *before, const struct world *now,
               uint64_t engine_ns, int64_t wall_ms);
/* A sample of the device is on its way: what alarm_sample will need begins to come from memory. Changes
 * nothing and may be left out; `near` once the first call has had some time, as its way is in two
 * steps. Worth it where something else is done meanwhile. */
void alarm_expect(const struct alarm *a, const struct device *d, bool near);
void alarm_sample(struct alarm *a, const struct alarm_sample *s);
/* The device gave a sign of life, with or without a sample. What follows from it comes with a timer
 * of the next nanosecond, so that a sample of the same record goes first. */
void alarm_alive(struct alarm *a, const struct device *d, uint64_t engine_ns);
/* Links are down until they are told to be up. Broker link, by the device's last broker: no-data waits while it is down and one interval
 * after. A start after an unclean end is a link that was down since the last record. */
void alarm_link(struct alarm *a, unsigned broker, bool up, uint64_t engine_ns);
/* Up again after a moment, and the broker kept what was said meanwhile: nobody's patience begins
 * anew, or a link that breaks every hour would hide who is silent for ever. What was kept has a
 * minute to come. */
void alarm_link_again(struct alarm *a, unsigned broker, uint64_t engine_ns);
void alarm_heard(struct alarm *a, const struct device *d, unsigned broker); /* last broker */
uint64_t alarm_next_due(const struct alarm *a); /* engine ns; UINT64_MAX: nothing */
/* Exactly one timer, the first that is due at or before `due`. wall_ms belongs to due. */
void alarm_tick(struct alarm *a, uint64_t due, int64_t wall_ms);
void alarm_stats(const struct alarm *a, struct alarm_stats *out);
/* Counting goes on from these: alarm_save leaves them to who saves. */
void alarm_counted(struct alarm *a, const struct alarm_stats *s);

/* Does the rule ask for that (device, point) in that world, whichever lane hears it? */
bool alarm_concerns(const struct world *w, const struct rule *r, const struct device *d,
                    const char *point);
/* The instance's present state as an event (change is meaningless). False: no such instance. */
bool alarm_look(const struct alarm *a, const struct rule *r, const struct device *d,
                const char *point, struct alarm_event *out);
/* For people: the condition's parts, last samples, clocks (gaihouctl rules explain). JSON. */
int alarm_explain(const struct alarm *a, const struct rule *r, const struct device *d,
                  const char *point, struct buf *out);

/* As alarm_use of a new alarm, for alarm_load to come next: nothing is armed until then. */
void alarm_stand(struct alarm *a, const struct world *w, uint64_t engine_ns, int64_t wall_ms);
/* As engine_save and engine_load. Load needs the same world in use, or stood in; -EBADMSG: not
 * good, the alarm is then as new, in that world. */
int alarm_save(const struct alarm *a, int (*put)(void *ctx, const void *p, size_t n),
               void *ctx);
int alarm_load(struct alarm *a, const char *bytes, size_t len);

#endif
