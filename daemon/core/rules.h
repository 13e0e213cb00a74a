/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RULES_H
#define CORE_RULES_H
/*
 * rules — the rule files (gaihou-rules(5)): what is an alarm, how grave, and what closes it.
 *
 * Owns the texts and compiled conditions of all rules of one generation. All problems of all
 * files in one pass, `file:line:col` (of a condition: of its letter), lints as warnings when all
 * else is right. Immutable once made; shared between threads. Knows no devices (a rule names
 * kinds) and no state; what rules ask of configuration and registry is core/world_rules.c's.
 */
#include "core/conf_yaml.h"
#include "core/expr.h"

enum severity { /* ascending */
                SEVERITY_INFO,
                SEVERITY_WARNING,
                SEVERITY_MINOR,
                SEVERITY_MAJOR,
                SEVERITY_CRITICAL,
                SEVERITIES
};
enum rule_mode { RULE_SAMPLES, RULE_HOLD };
enum rule_unknown { RULE_UNKNOWN_KEEP, RULE_UNKNOWN_FALSE, RULE_UNKNOWN_TRUE };
enum rule_work { RULE_WORK_NONE, RULE_WORK_ACK, RULE_WORK_FULL };
enum rule_no_data { RULE_SILENCE_KEEP, RULE_SILENCE_ALERT, RULE_SILENCE_CLEAR };

#define RULES_MAX        10000
#define RULES_MAX_CONDS  64 /* different conditions of count_over by which one kind is counted */
#define RULE_MAX_LEVELS  5
#define RULE_MAX_KINDS   32
#define RULE_MAX_WINDOWS 16
#define RULES_MAX_FILE   ((size_t)1 << 20)
#define RULES_MAX_FILES  256

struct rule_level {
    enum severity severity;
    struct expr *on;  /* of a rule on every kind: NULL where the kind lacks a metric of it */
    struct expr *off; /* NULL: off is "not on", and unknown stays unknown */
    const char *on_text, *off_text;
    uint64_t for_ns, off_for_ns;
};

struct rule_param { /* what a device's value of it may be; ±HUGE_VAL: open */
    double min, max;
};

struct rule_window { /* belongs to the day on which it starts; end exclusive */
    uint16_t days;   /* bits 0 (Monday) … 6; 7: working days; 8: holidays and days off */
    uint16_t from_min, to_min; /* of the day; to ≤ from: into the next day */
};

struct rule {
    const char *id, *group, *file;
    int line;
    const char *title_zh, *title_en, *action_zh, *action_en; /* en falls back to zh; "" none */
    const char *class_, *source;
    bool unverified;
    /* n_kinds 0: every kind that has what the conditions name; ask rule_levels, rules_of_kind */
    const struct kind *kinds[RULE_MAX_KINDS];
    size_t n_kinds;
    /* Conditions are compiled once per kind, because metrics are a kind's: levels[k][l] belongs
     * to kinds[k], without kinds to that of the catalogue's index k. Through rule_levels. */
    struct rule_level (*levels)[RULE_MAX_LEVELS];
    size_t n_levels; /* 0: only no_data */
    enum rule_mode mode;
    uint64_t max_gap_ns, fresh_ns; /* 0: by the device's expected interval */
    unsigned miss, miss_of;        /* tolerate; 0: none */
    enum rule_unknown unknown;
    bool has_no_data;
    enum rule_no_data no_data;
    enum severity no_data_severity;
    uint64_t no_data_after_ns; /* 0: 3 × the device's expected interval */
    bool damps;                /* flapping is looked for */
    unsigned flap_changes;
    uint64_t flap_within_ns, flap_settle_ns;
    struct rule_window windows[RULE_MAX_WINDOWS];
    size_t n_windows; /* 0: always in force */
    bool resolve_on_close;
    bool latch, life_safety; /* life_safety: also for devices that are not so marked */
    enum rule_work work;
    const char *const *points; /* n_points 0: all */
    const char *const *compounds, *const *tiers, *const *firms;
    size_t n_points, n_compounds, n_tiers, n_firms;
    const struct expr_param *params;
    const struct rule_param *param_ranges; /* by index, in the unit of its parameter */
    size_t n_params;
    uint64_t hash;  /* of everything that decides when it alarms (not of titles) */
    unsigned index; /* from 0, in the order of the files' names and within them */
};

struct rules_text {
    const char *file, *text;
    size_t len;
};

struct rules;
/* 0, or -EINVAL; no files: an empty set. `expected` (NULL allowed) is asked by a lint: the
 * usual interval of a kind's devices, seconds, 0 unknown. */
int rules_parse(const struct rules_text *texts, size_t n, const struct catalog *catalog,
                uint32_t (*expected)(void *ctx, const struct kind *k), void *ctx,
                struct problems *problems, struct rules **out);
void rules_free(struct rules *r);
size_t rules_count(const struct rules *r);
const struct rule *rules_at(const struct rules *r, size_t i);
const struct rule *rules_find(const struct rules *r, const char *id, size_t len);
/* The rules that may concern a device of this kind, ascending by index. */
size_t rules_of_kind(const struct rules *r, const struct kind *k,
                     const struct rule *const **out);
const struct expr_calendar *rules_calendar(const struct rules *r);
/* The levels of a rule for a device's kind; NULL: none. */
const struct rule_level *rule_levels(const struct rule *r, const struct kind *k);
/* At a wall time, Unix ms, by the clock's face in z: where the clock is changed, a window is as
 * long as the face says. c: NULL: no holidays. */
bool rule_in_force(const struct rule *r, const struct expr_calendar *c, const struct zone *z,
                   int64_t wall_ms);
/* The next wall time after wall_ms at which rule_in_force changes; INT64_MAX: never. */
int64_t rule_next_boundary(const struct rule *r, const struct expr_calendar *c,
                           const struct zone *z, int64_t wall_ms);
const char *severity_name(enum severity s);                        /* "major" */
int severity_parse(const char *s, size_t len, enum severity *out); /* 0 or -EINVAL */

#endif
