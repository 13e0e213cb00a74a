/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CASES_PRIVATE_H
#define CORE_CASES_PRIVATE_H
/*
 * cases_private — what the files of cases share; included by core/cases*.c only.
 */
#include "base/jsonw.h"
#include "core/cases.h"
#include "core/json.h"

#include <string.h>

#define CASES_WORK_N   (WORK_TRANSFERRED + 1)
#define CASES_BY_MAX   128 /* bytes, of what commands say */
#define CASES_NOTE_MAX 1024
#define CASES_TEXT_MAX 512 /* photo, summaries of our own */
#define CASES_NEVER    UINT64_MAX

enum case_mask { /* bits */
                 MASK_SHELVED = 1,
                 MASK_FLAPPING = 2,
                 MASK_INHIBITED = 4,
                 MASK_TEST = 8, /* marks, withholds nothing */
};

struct case_step { /* one step of the work, or the ack */
    int64_t ms;    /* 0: not made */
    char *by, *note, *photo, *to;
};

struct case_told { /* what the firm knows */
    bool any;
    uint32_t version;
    uint64_t facets; /* cases_facets() then */
};

struct case_open {
    struct case_open *prev, *next;        /* in the order in which they were linked */
    struct case_open *next_id, *next_key; /* of their buckets */
    uint64_t hash_id, hash_key;

    char *id, *rule, *device, *point; /* key: the last three; own alarms: device = gateway */
    char *firm, *compound;            /* worked with today */
    /* In the world in use; NULL: not there, or an alarm of our own. */
    const struct rule *r;
    const struct device *d;

    uint32_t occurrence, version, rework;
    enum alarm_condition condition;
    enum alarm_quality quality;
    enum severity severity;
    bool own, no_data, latch, life_safety, late;
    bool latched;
    bool tested; /* began in a test: nobody is dispatched, clearing ends it */
    bool lost;   /* the store did not have it: it is opened anew by a timer of its own */
    bool behind; /* the store had it as it was earlier: how it is, is told by such a timer */
    enum rule_work policy; /* of the rule as it was with the last event: cases_policy() */
    char *metric;          /* NULL: none */
    double value, limit;
    int64_t opened_ms, since_ms, discovered_ms, cleared_ms; /* cleared: 0 not */
    uint32_t members;
    char *summary; /* of our own alarms */

    enum case_work work;
    struct case_step ack;
    struct case_step steps[CASES_WORK_N];
    bool same_person;
    unsigned masks;
    uint64_t shelved_until; /* engine ns; of a shelved one */
    int64_t shelved_until_ms;
    bool one_shot;
    uint64_t serial; /* in the order in which they were linked */
    size_t due_at;   /* place among those that are shelved, from 1; 0: none */
    struct case_told told;
    int64_t stamp_from_ms, stamp_to_ms; /* of transitions: no two have the same */

    /* As what it is counted; NULL: it is not (yet) among the open ones. */
    struct case_row *row;
    bool counted_unacknowledged, counted_shelved, counted_test;
};

enum case_shelf_kind { SHELF_KEY, SHELF_DEVICE, SHELF_BUILDING, SHELF_COMPOUND };

/* What people masked that is no open case: tests, and shelved keys whose case closed. */
struct case_shelf {
    enum case_shelf_kind kind;
    char *scope; /* "RULE/DEVICE/POINT", or as the command says: "device/D" */
    uint64_t until;
    int64_t until_ms;
    int64_t since_ms; /* of a test: when it began, and who tests; NULL: nobody said */
    char *by;
};

struct case_memory { /* a reply, for repeats */
    uint64_t hi, lo; /* of firm, compound, case, verb, version, correlation */
    uint64_t engine_ns;
    enum case_answer answer;
    char *json;
    size_t len;
};

/* The times that the last case of a key has used. In a backlog the next one begins within the same
 * millisecond, and history tells points of a key by their time alone. */
struct case_ended {
    uint64_t key;
    int64_t from_ms, to_ms;
};
#define CASES_ENDED 1024 /* the newest; more do not end within a millisecond */

struct case_firm { /* how many open cases concern it */
    char *firm;
    uint64_t open;
};

struct case_row { /* of gaihou_open */
    char *compound, *firm;
    enum severity severity;
    uint64_t open, unacknowledged;
};

struct case_index {
    struct case_open **buckets;
    size_t cap;
};

struct cases {
    struct cases_out out;
    const struct world *world;
    char *stream;                   /* "gateway/lane/epoch" */
    struct case_open *first, *last; /* lost ones, and ones behind, before all others … */
    struct case_open *last_lost;    /* … up to here; NULL: there is none */
    size_t n;
    struct case_index by_id, by_key;
    struct case_firm *firms; /* sorted */
    size_t n_firms, cap_firms;
    struct case_row **rows; /* sorted by (compound, firm, severity); none without open cases */
    size_t n_rows, cap_rows;
    uint64_t n_shelved, n_test;
    struct case_open **due; /* a heap of the shelved ones */
    size_t n_due, cap_due;
    uint64_t serial, due_steps; /* steps: how much work it was */
    struct case_shelf *shelves; /* sorted by (kind, scope) */
    size_t n_shelves, cap_shelves;
    struct case_memory *memory; /* a ring of CASE_REPLIES_MAX; NULL: none yet */
    size_t memory_at, memory_n, memory_bytes;
    struct case_ended *ended; /* a ring of CASES_ENDED; NULL: none yet */
    size_t ended_at, ended_n;
    uint64_t id_offset; /* where cases were opened last, and how many there */
    uint32_t id_n;
    uint64_t next_due;
    bool unsettled; /* what came from the store is looked at by the next tick as by a reload */
    struct json *json;
    struct buf text, blob;
    struct cases_stats stats;
};

/* What made a transition, for its payload. */
struct case_cause {
    int64_t wall_ms;
    const char *by, *note, *photo, *to, *reason;
    const char *was_firm, *was_compound;
    bool record;            /* late history */
    int64_t from_ms, to_ms; /* of the record */
};

/* cases.c */
struct case_open *cases_find(const struct cases *c, const char *id);
/* The same key's, or NULL. */
struct case_open *cases_of(const struct cases *c, const char *rule, const char *device,
                           const char *point);
void cases_link(struct cases *c, struct case_open *o);
void cases_unlink(struct cases *c, struct case_open *o);
void case_free(struct case_open *o);
void case_unshelve(struct case_open *o); /* the heap of ends is the caller's */
void cases_bind(struct cases *c, struct case_open *o);
/* A reload made its point the device's own, or another: it goes on under that key, which is free. */
void cases_set_point(struct cases *c, struct case_open *o, const char *point, int64_t wall_ms);
bool cases_is_unsettled(const struct cases *c, const struct case_open *o);
void cases_emit(struct cases *c, struct case_open *o, enum case_change change,
                const struct case_cause *why, bool closes);
/* The same, and the case is no more if it closes. */
void cases_emit_end(struct cases *c, struct case_open *o, enum case_change change,
                    const struct case_cause *why, bool closes, uint64_t engine_ns);
bool cases_withheld(const struct case_open *o);    /* by a mask */
bool cases_told_active(const struct case_open *o); /* the firm knows of a problem */
uint64_t cases_facets(const struct case_open *o);
bool cases_holds(const struct case_open *o); /* the condition */
enum rule_work cases_policy(const struct case_open *o);
bool cases_done(const struct case_open *o);                         /* by its policy */
void cases_stamps_keep(struct cases *c, const struct case_open *o); /* it ends */
void cases_stamps_take(const struct cases *c, struct case_open *o,  /* it is new */
                       const struct case_open *live);
void cases_finish(struct cases *c, struct case_open *o, uint64_t engine_ns);
void cases_set(char **where, const char *s);
void case_step_set(struct case_step *s, int64_t ms, const struct case_cause *why);
void case_step_clear(struct case_step *s);

/* cases_due.c: the case was shelved, or is no longer. */
void cases_due_renew(struct cases *c, struct case_open *o);
void cases_due_drop(struct cases *c, struct case_open *o);
void cases_reckon_due(struct cases *c);

/* cases_event.c */
void cases_again(struct case_open *o); /* the problem came back */
char *cases_new_id(struct cases *c, const struct position *at);
const struct compound *cases_place(const struct cases *c, const struct device *d);
void cases_removed(struct cases *c, struct case_open *o, const char *reason, int64_t wall_ms,
                   uint64_t engine_ns);

/* cases_mask.c */
/* Of a new one; opens: the shelf goes over to it. */
unsigned cases_shelf_masks(struct cases *c, struct case_open *o, bool opens);
struct case_shelf *cases_shelf(struct cases *c, int kind, const char *scope);
struct case_shelf *cases_shelf_add(struct cases *c, int kind, const char *scope);
void cases_shelf_drop(struct cases *c, struct case_shelf *s);
char *cases_key_scope(const char *rule, const char *device, const char *point);
/* The test that a case stands in, the smallest one; NULL: none. */
const struct case_shelf *cases_in_test(const struct cases *c, const struct case_open *o);
/* Tests began or ended: what is open is marked, or no longer. */
void cases_retest(struct cases *c, const struct case_cause *why, uint64_t engine_ns);
/* 0, or -ENOENT: no such thing in the registry, -EINVAL: no scope. */
int cases_scope(const struct cases *c, const char *scope, int *out_kind);

void cases_count_firm(struct cases *c, const char *firm, bool more);

/* cases_count.c: a case is one of those counted; what it is counted as may have changed. */
void cases_tally_add(struct cases *c, struct case_open *o);
void cases_tally_drop(struct cases *c, struct case_open *o);
void cases_tally_renew(struct cases *c, struct case_open *o);
void cases_tally_free(struct cases *c);

/* cases_text.c */
/* change CASE_CHANGE_N: none is said. Returns where the seq goes, 0 if none. */
size_t cases_render(const struct cases *c, const struct case_open *o, enum case_change change,
                    const struct case_cause *why, bool deliver, bool closes, struct buf *out);
void cases_time(const struct cases *c, struct jsonw *w, const char *key, int64_t ms);

/* cases_save.c */
void cases_encode(const struct case_open *o, struct buf *out);

#endif
