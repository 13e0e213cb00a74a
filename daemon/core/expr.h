/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_EXPR_H
#define CORE_EXPR_H
/*
 * expr — conditions of rules (gaihou-rules(5)): text → checked bytecode → a truth.
 *
 * Types and dimensions are checked when it is compiled: metrics of one kind, numbers with
 * units (core/unit.h), enumerations by name, parameters. Whatever compiles terminates, in time
 * bounded by its length. Three-valued (Kleene): an input that was never said, or is bad, is
 * unknown, and unknown is never false.
 *
 * Numbers: a bare one takes the unit of what it meets; `m` is metres, but minutes against a time;
 * constants are converted when it is compiled. Temperatures subtract to differences, which
 * compare with K or with degrees; what does not scale (temperatures, dB, pH) does not multiply.
 * A division by zero, and whatever else is not finite, is unknown.
 *
 * Windows: (now − length, now], in buckets of a 62nd of the length that leave with their newest
 * sample: every sample younger than the length is seen, none older than length and bucket; exact
 * while no bucket has two. A window not yet covered says what is there. Without samples all but
 * count and changes are unknown, and these two until the first sample ever; delta and rate need
 * two samples, stddev (of a sample, n − 1) too. changes counts samples that differ from the one
 * before. min, max, first, last of a bool are conditions, avg its share of samples.
 *
 * The condition of count_over reads metrics and constants only: nothing timed, no parameters.
 *
 * A compiled expression is immutable (once bound) and may be shared between threads; the state of its
 * windows is per instance, bounded (EXPR_BUCKETS buckets a window) and moved by samples in
 * their order. Times are engine time in ns (core/position.h); only hour(), weekday(),
 * workday() and between() look at wall time, in the zone they are given. Pure.
 */
#include "base/buf.h"
#include "base/zone.h"
#include "core/catalog.h"

#define EXPR_MAX_TEXT    4096 /* bytes */
#define EXPR_MAX_INPUTS  16
#define EXPR_MAX_WINDOWS 8
#define EXPR_MAX_COUNTS  4
#define EXPR_MAX_PARAMS  32
#define EXPR_BUCKETS     64

enum expr_truth { EXPR_FALSE, EXPR_TRUE, EXPR_UNKNOWN };

enum expr_area { /* what count_over counts in */
                 EXPR_BUILDING,
                 EXPR_COMPOUND,
                 EXPR_GRID,
                 EXPR_COMMUNITY,
                 EXPR_STREET,
                 EXPR_DISTRICT,
                 EXPR_POWER_DOMAIN,
                 EXPR_UPLINK,
                 EXPR_AREAS
};

struct expr_param {          /* `$name` */
    const char *name, *unit; /* unit: UCUM; NULL: takes that of what it meets */
    bool has_default;
    double def;
};

struct expr_calendar { /* days as days since 1970-01-01, sorted, without repeats */
    const int32_t *holidays, *workdays;
    size_t n_holidays, n_workdays;
};

struct expr_scope {
    const struct catalog *catalog;
    const struct kind *kind;
    const struct expr_param *params;
    size_t n_params;
};

struct expr_error {
    size_t at; /* byte of the text, from 0 */
    char text[320];
};

struct expr;

struct expr_input {
    const struct metric *metric;
    const char *point; /* NULL: the instance's own; "" the device's own */
};
struct expr_count {
    enum expr_area area;
    const struct kind *kind;
    const struct expr *condition; /* of that kind; has no counts itself */
};

/* 0, or -EINVAL with *out_error: what is wrong, what was expected, the nearest name. */
int expr_compile(const char *text, size_t len, const struct expr_scope *scope,
                 struct expr_error *out_error, struct expr **out);
void expr_free(struct expr *x);

size_t expr_inputs(const struct expr *x, const struct expr_input **out);
size_t expr_counts(const struct expr *x, const struct expr_count **out);
/* May what is said change when count_over of that index goes from one number to another? False only
 * where it is compared with constants that both are on the same side of. */
bool expr_count_matters(const struct expr *x, unsigned count, double from, double to);
uint64_t expr_window_ns(const struct expr *x); /* its longest window; 0: it has none */
bool expr_is_timed(const struct expr *x);      /* may change without a sample, by time alone */
bool expr_hears_silence(const struct expr *x); /* has age(), absent() or a window */
bool expr_reads_param(const struct expr *x, unsigned param); /* by index into scope.params */
/* Same meaning, whatever the spelling: the reload's diff and a lint. */
uint64_t expr_hash(const struct expr *x);
/* What follows when each input may be any value of its metric's plausible range: EXPR_FALSE
 * cannot fire, EXPR_TRUE always does, EXPR_UNKNOWN: either. A lint, so "either" when unsure. */
enum expr_truth expr_plausible(const struct expr *x);
/* Values of one input with which it is false whatever the others are: from *out_lo to *out_hi, both
 * inside, of what env.last has at *out_slot, as it is bound now. False: none are known. */
bool expr_false_within(const struct expr *x, unsigned *out_slot, double *out_lo,
                       double *out_hi);
/* The metric to show in an alarm: the first that is compared, with the index of its input; and
 * the constant or parameter that it is compared with. NULL: none. */
const struct metric *expr_subject(const struct expr *x, unsigned *out_input);

/* -- evaluation -------------------------------------------------------------------------- */

struct expr_last {  /* the last good value of one input; bool 0/1, enum its code */
    double v;       /* NaN: unknown: never said, or the newest is bad */
    uint64_t at_ns; /* engine order time of the last good value; 0: never */
};

struct expr_deaf { /* from when until when nothing that was said could reach us */
    uint64_t from_ns, to_ns;
};

struct expr_env {
    uint64_t now_ns;
    int64_t wall_ms;   /* Unix time that belongs to now_ns */
    uint64_t since_ns; /* the device is known since: age() of what was never said */
    const struct zone *zone;
    const struct expr_calendar *calendar; /* NULL: weekdays are working days */
    const struct expr_last *last;         /* by slot (expr_bind) */
    const double *params; /* by index into scope.params, in the parameter's own unit; NaN: no
                             value: unknown. NULL when it reads none */
    const double *counts; /* by index of expr_counts */
    /* age() is the longest time that nothing was heard of it while we could hear: it stands still
     * within these spans, in the order of their beginnings, and once we hear again until the
     * silence since then is as long (and no shorter than `grace_ns`). */
    const struct expr_deaf *deaf;
    size_t n_deaf;
    uint64_t grace_ns;
};

/* Where input i is found in expr_env.last; i itself until bound. Before any evaluation. */
void expr_bind(struct expr *x, unsigned input, unsigned slot);

struct expr_state;                                       /* windows of one instance */
struct expr_state *expr_state_new(const struct expr *x); /* NULL: it has no windows */
void expr_state_free(struct expr_state *s);
/* A good sample of input i. Order times may only grow; older ones, and NaN, are ignored. s may be
 * NULL. */
void expr_feed(const struct expr *x, struct expr_state *s, unsigned input, double v,
               uint64_t at_ns);
/* Bytes, and back: -EBADMSG when they are not of such an expression. */
int expr_state_save(const struct expr *x, const struct expr_state *s, struct buf *out);
int expr_state_load(const struct expr *x, const char *bytes, size_t len,
                    struct expr_state **out);

/* A copy of what another compilation of the condition has seen: of each window that both have, wherever
 * in the text it stands. The others begin anew. NULL when it has no windows; s may be NULL. */
struct expr_state *expr_state_carry(const struct expr *from, const struct expr_state *s,
                                    const struct expr *to);

/* s: NULL when it has no windows; if it has, they are then unknown. Nothing in s changes by
 * looking, so now_ns may be any time. */
enum expr_truth expr_eval(const struct expr *x, struct expr_state *s,
                          const struct expr_env *env);
/* The engine time, after now_ns, at which the truth may change although nothing is said;
 * UINT64_MAX: never. It may be too early (then ask again), never too late, but that hour(),
 * weekday(), workday() and between() are known by the millisecond and as wall time runs now: ask
 * again when the clock is set. Products of times are looked at each second. */
uint64_t expr_wake_ns(const struct expr *x, const struct expr_state *s,
                      const struct expr_env *env);
/* What expr_subject itself (or its avg, min, max, first, last) is compared with, in the metric's
 * unit; NaN: nothing, or something else (a delta, another metric). */
double expr_limit(const struct expr *x, const struct expr_env *env);
/* The parts of a condition for people ("level > 0.8 m: 0.93 m, true"), one line each. */
int expr_explain(const struct expr *x, struct expr_state *s, const struct expr_env *env,
                 struct buf *out);

#endif
