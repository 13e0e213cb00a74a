/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ALARM_PRIVATE_H
#define CORE_ALARM_PRIVATE_H
/*
 * alarm_private — what the files of alarm share; included by core/alarm*.c only.
 *
 * A *seat* is where a rule and a (device, point) meet: 8 bytes, in the block of its series,
 * behind the series' last values. What is worth more than a glance (a delay that runs, an
 * active alarm, windows, flapping) has an `act`. A generation (`gen`) is what follows
 * from one world: plans by kind, devices, series; the acts move from one to the next.
 */
#include "core/alarm.h"

/* Of the saved state: alarm_save.c writes this version, alarm_load.c reads it and those before. */
#define ALARM_STATE_MAGIC   0x314d4c4147494147u /* "GAIGALM1" */
#define ALARM_STATE_VERSION 5u

#define NEVER      UINT64_MAX
#define MS_NS      UINT64_C(1000000)
#define SECOND_NS  UINT64_C(1000000000)
#define SETTLE_NS  (5 * SECOND_NS)  /* without late samples, then the settled state is told */
#define HELD_NS    (60 * SECOND_NS) /* but for no longer than this */
#define RECHECK_NS (60 * SECOND_NS) /* an uplink that is blamed by its members */
#define GAP_NS     (15 * 60 * SECOND_NS) /* of a device whose interval is not known */
#define FRESH_NS   (25 * 3600 * SECOND_NS)
#define LATE_NS    (60 * SECOND_NS)
#define NEWS_NS    (600 * SECOND_NS) /* a clock that is off by less agrees (core/clock_fit.h) */
#define DISPLACED_NS                                                                           \
    (5 * SECOND_NS) /* what is taken so much later than it was said is no sample of a window */
#define SAME_NS     (SECOND_NS / 2000) /* places that lie so near are of one time */
#define MAX_BROKERS 64
#define MAX_POINTS  65 /* of one device; the engine refuses more */
#define NO_BROKER   255
#define NO_SLOT     255
#define MAX_UPS     8    /* uplinks of uplinks */
#define MAX_DEAF    8    /* spans of a link that are remembered one by one */
#define SWEEP       2048 /* devices of its kinds that a tick of a rule's sweep looks at */

/* What an act is, or was told as: a level, or one of these. */
enum { STATE_NORMAL = -2, STATE_SILENT = -1 };

/* -- from rules: by kind ------------------------------------------------------------------- */

struct plan_expr {
    const struct expr *x; /* NULL: there is none */
    const struct expr_input *inputs;
    uint64_t mask; /* slots that it reads of its own point */
    uint16_t counts[EXPR_MAX_COUNTS];
    uint8_t slots[EXPR_MAX_INPUTS]; /* by input */
    uint8_t n_inputs, n_counts;
    bool cross;   /* reads other points: its values are gathered */
    bool timed;   /* may change by time alone */
    bool windows; /* has windows */
    bool hears;   /* these, or age(): it takes silence for a word */
};

struct plan_rule {
    const struct rule *rule;
    const struct rule_level *levels;
    struct plan_expr on[RULE_MAX_LEVELS], off[RULE_MAX_LEVELS];
    uint64_t mask;
    bool cross, keeps; /* keeps: windows or time, so an act for good */
    bool counts;
    bool hears;      /* silence says something to it */
    uint8_t counted; /* its levels that count, by bit */
    bool plain;      /* its levels ask for nothing but last values of its own point */
};

/* What most samples need to know of a rule, side by side: rules are far apart. */
struct glance {
    uint64_t mask; /* of plan_rule */
    double lo, hi; /* from lo to hi at this slot: no level begins; lo > hi: not known */
    uint32_t slot;
};

/* A condition that count_over asks of the devices of this kind. */
struct plan_cond {
    struct plan_expr x;
    uint64_t hash;
};

/* Of one kind; or of its devices in some compounds, where rules ask for compounds, tiers or firms:
 * slots and conditions are those of the kind, rules only those that concern them. */
struct plan {
    const struct kind *kind;
    uint32_t *of_compound; /* of a kind's: the plan, by compound; NULL: this one for all */
    bool restricted;       /* a rule may not concern a device */
    struct plan_rule *rules;
    struct glance *glances; /* by rule */
    struct plan_cond *conds;
    size_t n_rules, n_conds;
    uint64_t urgent;      /* conditions that life-safety counts */
    bool counts;          /* a rule counts */
    uint64_t cross_masks; /* any rule that reads other points */
    unsigned n_slots;
    size_t bytes; /* of a series' block */
    uint8_t slots[CATALOG_MAX_METRICS];
    const struct metric *metrics[CATALOG_MAX_METRICS]; /* by slot */
    char **chunks;
    size_t n_chunks, used, room; /* blocks of the last chunk */
};

/* -- devices ---------------------------------------------------------------------------------- */

enum { SEAT_LEVELS = 1, SEAT_SILENCE = 2, SEAT_SILENT = 4 };

struct seat {
    uint32_t act; /* from 1; 0: nothing is going on */
    uint8_t flags;
};

/* Each sample needs what stands from newest_ns on, and mostly nothing before it. */
struct series {
    uint64_t gap_ns, gap_to; /* old news between these is news */
    char *point;             /* NULL: the device's own */
    struct series *next;     /* of the same device */
    uint64_t truth;          /* of the conditions that are counted, by condition */
    uint32_t device;
    uint16_t ordinal;        /* of the device's points, from 0 */
    uint64_t newest_ns;      /* order time of its newest sample */
    uint64_t unread;         /* slots whose last word nobody has read: it came out of a queue */
    struct expr_last last[]; /* by slot; the seats come behind */
};

enum {
    DEV_SEEN = 1,
    DEV_SILENT = 2,
    DEV_WAITS = 4,
    DEV_CATCHING = 8,
    DEV_MISSED = 16,
    DEV_HEARD = 32,
    DEV_NAMED = 64
};
/* SILENT: for any rule, if only for the quality of what is active; MISSED: for one that tells;
 * HEARD: of late, which its timer has yet to see. NAMED: the newest word at its own point came by the
 * point's name. */

/* What each sample needs stands first, then what its timer needs. */
struct dev {
    struct series *series;
    uint64_t alive_ns;   /* last sign of life; since_ns until there is one */
    uint32_t patience_s; /* of its least patient rule, at most; 0: it is looked up */
    uint8_t broker;
    uint8_t flags;
    uint64_t queued;   /* silence */
    uint64_t since_ns; /* known since */
    struct rare *rare;
};

/* An alarm that was over before we heard of it. */
struct shadow {
    uint64_t from_ns;
    int64_t from_ms, last_ms;
    uint64_t last_ns;
    int8_t level;
    bool open;
};

struct past { /* old news of one series, evaluated apart */
    struct series *series;
    struct past *next;
    struct shadow *shadows; /* by rule of the kind */
    struct expr_last last[];
};

struct rare { /* of a device that catches up */
    uint64_t due, queued, from_ns;
    struct past *pasts;
};

struct uplink {
    uint32_t device;
    uint32_t first, n; /* of gen.members */
    uint32_t pos;      /* its rule that tells it */
    bool down, by_members;
    uint64_t due, queued;
    bool release; /* due is for those that are silent still */
};

/* -- counting ---------------------------------------------------------------------------- */

struct count {
    enum expr_area area;
    const struct kind *kind;
    unsigned cond; /* of the kind's plan */
    uint32_t *n;   /* by group */
};

struct area {          /* which group a device is in; the members of each */
    uint32_t *group;   /* by device; UINT32_MAX: none */
    uint32_t *members; /* by group, devices */
    uint32_t *first;   /* by group, and the end */
    uint32_t n;
};

/* -- what goes on ------------------------------------------------------------------------------ */

enum { DELAY_IDLE, DELAY_RUNS, DELAY_PAUSED };

struct delay { /* of a level: of its beginning while it is above, else of its end */
    uint64_t done_ns, last_ns;
    int64_t start_ms;
    uint32_t misses; /* bits, newest lowest: false samples since it began */
    uint8_t run;
};

struct flap {
    uint64_t last_ns; /* the newest change */
    bool on;
    bool up; /* the newest one went up */
    int8_t worst;
    uint16_t n, at, cap;
    uint64_t when[]; /* ring of changes that went the other way than the one before */
};

struct act {
    uint32_t device;
    uint32_t next; /* free ones */
    uint16_t ordinal, pos;
    int8_t level; /* -1: none */
    int8_t told;  /* level or STATE_ */
    int8_t peak;  /* highest level of this activation */
    uint8_t quality, told_quality;
    uint8_t gauge; /* what it is counted as: bits */
    bool used;
    bool silent; /* an alarm about silence */
    bool waits;  /* held, but the device is not fresh */
    bool late, held;
    bool inhibited;
    bool old_news;    /* its last sample was late */
    bool urgent;      /* life-safety since it was raised, whatever a reload says */
    bool retell;      /* within a reload: its level is of another severity now, */
    bool raised;      /* a graver one */
    uint64_t lag_ns;  /* receipt less order time, of the last sample */
    uint64_t eval_ns; /* newest time it was evaluated at */
    uint64_t due, queued;
    uint64_t wake_ns; /* its expressions' */
    int64_t since_ms, changed_ms;
    uint64_t since_ns;
    struct delay delays[RULE_MAX_LEVELS];
    struct flap *flap;
    struct expr_state **windows; /* 2 × level, + 1: of off */
};

enum { GAUGE_ACTIVE, GAUGE_PENDING, GAUGE_SILENT, GAUGE_FLAPPING, GAUGES };

#define ACT_CHUNK 256

struct rule_state {
    uint64_t boundary_ns; /* engine time of the next change of its schedule */
    uint64_t queued;
    uint64_t sweep_ns; /* a sweep began then */
    uint32_t cursor;   /* devices that it looked at; UINT32_MAX: no sweep */
    bool in_force;
    bool ends; /* what the sweep sees may end what endangers life, too: it is what others say */
    bool by_wall; /* scheduled or timed: a step of the wall clock concerns it */
    bool counts;
    bool hears;
    bool newcomers; /* within a reload: devices that it did not concern before, */
    bool params;    /* some for which a parameter has another value */
    bool newly;     /* the sweep is for them alone: what goes on elsewhere goes on as it did */
    bool graver;    /* within a reload: of life-safety, and was not before */
};

struct link {
    uint64_t up_ns;    /* since when, but for moments in which nothing was lost */
    uint64_t again_ns; /* the end of the last such moment; 0: none since up_ns */
    bool up;
    /* Down since, or before the last moment that lost nothing; of what is over, when it may have lost
     * something: ascending. Where there are too many, the two that are closest are one. */
    uint64_t lost_ns;
    size_t n_deaf;
    struct expr_deaf deaf[MAX_DEAF];
};

struct due {
    uint64_t ns;
    uint32_t device, sub;
};

/* Those that are not of the present span of time; core/alarm_due.c has how. */
enum { FAR_SHIFT = 27, FAR_PILES = 64 - FAR_SHIFT, FAR_CHUNK = 255 };
struct far_chunk {
    struct far_chunk *next;
    size_t n;
    struct due due[FAR_CHUNK];
};
struct far {
    struct far_chunk *piles[FAR_PILES], *spare;
    uint64_t some; /* piles with anything in them */
    uint64_t now;  /* the present span */
    size_t n, n_spare;
    struct far_chunk *tidy; /* taken out of tidy_pile, to be looked at for what is dead */
    unsigned tidy_pile;
    bool tidies;
};

/* due.sub: of a device, */
enum { DUE_SILENCE, DUE_CATCH, DUE_UPLINK, DUE_SEATS = 1 << 16 };
/* or (ordinal + 1) << 16 | position of the rule; */
/* of this device: the rule of that index. */
#define DUE_RULES UINT32_MAX

struct gen {
    const struct world *world;
    struct plan *plans; /* by kind index; behind them those of some compounds */
    size_t n_plans;
    struct dev *devs; /* none where there are no rules */
    uint8_t *kind_of; /* by device: its kind's index */
    size_t n_devs;
    uint64_t n_instances;     /* seats where anything is watched */
    struct rule_state *rules; /* by rule index */
    size_t n_rules;
    struct uplink *uplinks;
    size_t n_uplinks;
    uint32_t *uplink_of, *uplink_is; /* by device, from 1; NULL: there are none */
    uint32_t *members;
    struct count *counts;
    size_t n_counts;
    struct area areas[EXPR_AREAS];
};

struct alarm {
    struct alarm_out out;
    struct gen g;
    struct act **chunks;
    uint32_t n_acts, cap_acts, free_act; /* free_act: from 1 */
    struct due *heap;                    /* of the present span; when it is empty, so is far */
    size_t n_heap, cap_heap, n_stale;
    struct far far;
    struct link links[MAX_BROKERS];
    int64_t wall_off_ms; /* wall time less engine time */
    bool wall_known;
    uint64_t now_ns; /* of the step under way */
    struct alarm_stats stats;
    uint64_t gauges[GAUGES]; /* acts, now */
    struct dirty *dirty;     /* groups whose counts changed in this step */
    size_t n_dirty, cap_dirty;
    bool due_changed; /* the heap's first may be dead */
    bool bare;        /* as new, but for what waits: alarm_load does the rest */
    struct expr_last scratch[CATALOG_MAX_METRICS];
    double params[EXPR_MAX_PARAMS];
    double counts[EXPR_MAX_COUNTS];
    struct expr_deaf deaf[MAX_BROKERS * (MAX_DEAF + 1)];
};

struct dirty {
    uint32_t count, group;
    uint32_t was; /* before this step */
};

/* Whom a look concerns. */
struct whom {
    struct plan *plan;
    struct dev *dev;
    const struct device *device;
    struct series *series;
};

/* When and by what. */
struct moment {
    uint64_t engine_ns, order_ns;
    int64_t wall_ms, stamp_ms;
    uint64_t carried, bad;     /* slots */
    const struct series *from; /* of the sample; NULL: time, a reload, a count */
    bool late;
    bool displaced; /* it is taken much later than it was said: no sample of a window */
    bool apart;     /* each slot was said at its own time, not at order_ns */
    bool keeps;     /* no level of life-safety ends by this */
};

static inline struct seat *seats_of(const struct plan *p, const struct series *s)
{
    return (struct seat *)(void *)((char *)(uintptr_t)s->last +
                                   p->n_slots * sizeof(struct expr_last));
}

static inline struct act *act_at(const struct alarm *a, uint32_t i)
{
    return &a->chunks[(i - 1) / ACT_CHUNK][(i - 1) % ACT_CHUNK];
}

static inline int act_state(const struct act *t)
{
    return t->level >= 0 ? t->level : t->silent ? STATE_SILENT : STATE_NORMAL;
}

static inline uint64_t interval_ns(const struct device *d)
{
    return d->expected_interval_s * SECOND_NS;
}

static inline bool is_urgent(const struct rule *r, const struct device *d)
{
    return r->life_safety || d->life_safety;
}

/* Of what goes on: it stays life-safety until it is over. */
static inline bool endangers(const struct rule *r, const struct device *d, const struct act *t)
{
    return t->urgent || is_urgent(r, d);
}

/* How long such a device may be silent: 0: for ever. */
static inline uint64_t silence_ns(const struct rule *r, const struct device *d)
{
    return r->has_no_data && r->no_data_after_ns ? r->no_data_after_ns : 3 * interval_ns(d);
}

static inline bool tells_silence(const struct rule *r)
{
    return r->has_no_data && (r->no_data == RULE_SILENCE_ALERT || r->n_levels == 0);
}

/* alarm_gen.c */
void gen_build(struct gen *g, const struct world *w, uint64_t engine_ns, int64_t wall_ms);
void gen_done(struct gen *g);
/* The series of a device's point; made when `make`. NULL: there is none, or no rule there. */
struct series *gen_series(struct gen *g, const struct device *d, const char *point, bool make);
struct whom gen_whom(struct gen *g, uint32_t device, unsigned ordinal); /* series may be NULL */
static inline struct plan *gen_plan(const struct gen *g, const struct device *d)
{
    struct plan *p = &g->plans[d->kind->index];
    return p->of_compound ? &g->plans[p->of_compound[d->compound->index]] : p;
}

/* alarm_place.c */
void gen_places(struct gen *g); /* uplinks, areas */
void gen_places_done(struct gen *g);

/* alarm_act.c */
struct act *act_new(struct alarm *a, const struct whom *w, unsigned pos);
void act_free(struct alarm *a, struct act *t);
void act_empty(struct act *t, const struct plan_rule *r); /* its windows, its flapping */
/* What is kept of it may go, and its timer is set. */
void act_settle(struct alarm *a, const struct whom *w, const struct plan_rule *r,
                struct act *t);
void acts_free(struct alarm *a);
unsigned act_gauge(const struct act *t); /* what it is now */
void acts_count(struct alarm *a);        /* all of them, anew */

/* alarm_due.c */
void due_set(struct alarm *a, uint64_t *queued, uint64_t ns, uint32_t device, uint32_t sub);
void due_pop(struct alarm *a);
void due_drop(struct alarm *a, uint64_t *queued);
void due_clean(struct alarm *a); /* the first one is alive */
void due_rebuild(struct alarm *a);
void due_clear(struct alarm *a);
void due_done(struct alarm *a);
uint64_t *due_queued(struct alarm *a, uint32_t device, uint32_t sub); /* NULL: not there */
int64_t alarm_wall(const struct alarm *a, uint64_t engine_ns);
void alarm_wall_take(struct alarm *a, uint64_t engine_ns, int64_t wall_ms);
void due_rule(struct alarm *a, unsigned index, uint64_t engine_ns, int64_t wall_ms);
void due_sweep(struct alarm *a, unsigned index, uint64_t engine_ns);
void due_sweep_count(struct alarm *a, unsigned index, uint64_t engine_ns);

/* alarm_eval.c */
void alarm_eval(struct alarm *a, const struct moment *m, const struct whom *w, unsigned pos);
/* The rules that read what was said; `urgent`: only those of life-safety. */
void eval_said(struct alarm *a, const struct moment *m, struct whom *w, bool urgent);
void eval_env(struct alarm *a, const struct whom *w, const struct rule *r, uint64_t now_ns,
              int64_t wall_ms, struct expr_env *out);
/* The last values as x wants them, in *env; old: they are no witness, but for their age. */
void eval_aim(struct alarm *a, const struct whom *w, const struct plan_expr *x, bool old,
              struct expr_env *env);
static inline struct expr_state *act_windows(const struct act *t, size_t level, bool off)
{
    return t && t->windows ? t->windows[level * 2 + off] : NULL;
}
/* Is the level that it has true now? */
enum expr_truth eval_level(struct alarm *a, const struct moment *m, const struct whom *w,
                           const struct plan_rule *r, const struct act *t);
void eval_feed(const struct plan_expr *x, struct expr_state *s, const struct whom *w,
               const struct moment *m);

/* alarm_tell.c: the act was in state `before`; what it is now is told, if and as it should. */
void tell(struct alarm *a, const struct moment *m, const struct whom *w,
          const struct plan_rule *r, struct act *t, int before, const char *reason);
void tell_quality(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t);
void tell_settled(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t); /* flapping ended */
void tell_inhibit(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t, bool inhibited);
void tell_episode(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, const struct shadow *s);
void tell_removed(struct alarm *a, const struct moment *m, const struct whom *w,
                  const struct plan_rule *r, struct act *t, const char *reason);
/* A reload made its point the device's own, or another: it is `to` from now on. */
void tell_moved(struct alarm *a, const struct moment *m, const struct whom *w,
                const struct plan_rule *r, const struct act *t, const char *to);
/* A reload gave its level another severity. */
void tell_again(struct alarm *a, const struct moment *m, const struct whom *w,
                const struct plan_rule *r, struct act *t);
/* A reload made it one of life-safety: what hid it hides it no longer. */
void tell_graver(struct alarm *a, const struct moment *m, const struct whom *w,
                 const struct plan_rule *r, struct act *t);
void tell_fill(struct alarm *a, const struct moment *m, const struct whom *w,
               const struct plan_rule *r, const struct act *t, struct alarm_event *out);

/* alarm_silence.c */
void silence_due(struct alarm *a, uint32_t device, const struct moment *m);
void silence_arm(struct alarm *a, uint32_t device);
void silence_over(struct alarm *a, const struct moment *m, struct whom *w);
void silence_again(struct alarm *a, const struct moment *m, const struct whom *w,
                   unsigned pos); /* the rule came into or out of force */
/* A reload moved it: of its own point. */
void silence_moved(struct alarm *a, const struct moment *m, const struct whom *w, unsigned pos);
void uplink_due(struct alarm *a, uint32_t device, const struct moment *m);
bool uplink_hides(const struct alarm *a, uint32_t device);
bool uplink_tells(const struct alarm *a,
                  const struct uplink *u); /* that it is down, somebody is told */
bool uplink_is_told(const struct alarm *a, uint32_t device, unsigned pos);
unsigned uplink_silent(const struct alarm *a, uint32_t device);

/* alarm_link.c */
/* When nothing that the device says can have reached us, as age() wants it. */
void link_deaf(struct alarm *a, const struct whom *w, struct expr_env *out);
/* Can it not be heard now, or not have been heard since it can? Then since when, and until when (NEVER:
 * nobody knows). */
bool link_is_deaf(const struct alarm *a, const struct whom *w, struct expr_deaf *out);
bool link_is_cut_off(const struct alarm *a, const struct dev *v);
/* The link of the device's broker: since when it is up. */
struct link_since {
    uint64_t up_ns,
        kept_ns; /* kept: what was kept for a moment has come by then; 0: there was none */
};
struct link_since link_since(const struct alarm *a, const struct dev *v);

/* alarm_late.c */
void late_hold(struct alarm *a, const struct moment *m, const struct whom *w);
void late_due(struct alarm *a, uint32_t device, const struct moment *m);
void late_old(struct alarm *a, const struct moment *m, const struct whom *w,
              const struct alarm_sample *s);
/* What a reload makes life-safety waits no longer for the end of catching up. */
void late_graver(struct alarm *a, uint32_t device, const struct moment *m);
void rare_free(struct rare *r);
struct past *late_past(struct rare *r, const struct whom *w); /* made if it is not there */
/* What was read back of a series, for the same series of another generation, unless that has a past: rules
 * that are the same go on, others begin anew. */
void late_move(const struct whom *old, const struct whom *now);

/* alarm.c */
double alarm_value(const struct field *f);
unsigned plan_find(const struct plan *p, const struct rule *r); /* UINT32_MAX: not there */
/* As new, in that world; but for what waits. */
void alarm_reset(struct alarm *a, const struct world *w, uint64_t engine_ns, int64_t wall_ms);
void alarm_reset_bare(struct alarm *a, const struct world *w, uint64_t engine_ns,
                      int64_t wall_ms);

/* alarm_count.c */
/* urgent: only what life-safety counts. */
void count_sample(struct alarm *a, const struct moment *m, const struct whom *w, bool urgent);
void count_flush(struct alarm *a, const struct moment *m);
void count_spared(struct alarm *a, const struct moment *m, const struct whom *w);
void count_again(struct alarm *a); /* all, from the series' truths */
/* The truths of conditions that plan p has and `before` (NULL: nothing) had not, from what is known. */
void count_seen(struct alarm *a, struct plan *p, const struct plan *before,
                const struct moment *m);
double count_of(const struct alarm *a, unsigned count, uint32_t device);
void gen_counts(struct gen *g); /* finds what is counted; before blocks are sized */

#endif
