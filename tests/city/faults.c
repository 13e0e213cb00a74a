/* SPDX-License-Identifier: Apache-2.0 */
#include "city/faults.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS  INT64_C(3600000)
#define DAY_MS   (24 * HOUR_MS)
#define LOCAL_MS (8 * HOUR_MS)
#define NEVER    INT64_MAX
#define NOBODY   UINT32_MAX
/* Quiet between two faults of one device, and between one of its own and its gateway's. */
#define APART_MS HOUR_MS
#define SLACK_MS INT64_C(1000) /* of what must be told at once */

enum { SILENT = -1, NOTHING = -2 };

struct planned {
    int kind; /* index of fault_kinds, SILENT or NOTHING */
    int64_t from, to;
};

/* What is wrong in health: a metric beyond a limit. */
struct natural {
    const char *code, *metric, *name, *rule;
    double limit;
    bool below;
    double delay, echo; /* s */
};
static const struct natural naturals[] = {
    {"leak", "leak", "roof-leaks", "leak-detected", 0.5, false, 30, 600},
    {"bin", "fill", "not-emptied", "waste-full", 90, false, 12 * 3600, 0},
    {NULL, "battery_pct", "battery-low", "device-battery-low", 20, true, 0, 0},
};
#define N_NATURAL (sizeof(naturals) / sizeof(*naturals))

struct suffering {
    struct planned now; /* the present fault, or the next one */
    uint32_t n;         /* how many were planned */
    uint32_t uplink;    /* the gateway before it; NOBODY: none */
    int64_t began;      /* claimed time of the first sample that showed it; 0: none yet */
    int64_t spoke;      /* claimed time of the last message */
    int64_t quiet;      /* … when it fell silent; 0: it is not */
    bool behind;        /* and its gateway is why */
    int64_t natural[N_NATURAL]; /* claimed time since when; 0: it is not */
    int64_t heard;              /* claimed time since when it has not been silent for long */
    double *frozen;
};

struct outages { /* of one gateway, as far as they have been looked for */
    struct planned *list;
    size_t n, cap;
    uint32_t planned;
    int64_t until; /* all that begin before are in the list */
    int64_t free_at;
};

struct faults {
    const struct fleet_options *o;
    const struct device_state *devices;
    struct suffering *of;
    struct outages *outages; /* by device; of gateways */
    struct fault_truth *truths;
    size_t n_truths, cap_truths;
};

static const struct fleet_kind *kind_of(const struct faults *f, uint32_t device)
{
    return &fleet_kinds[f->devices[device].kind];
}

/* A number in [0, 1) that belongs to (seed, device, which of its faults, what). */
static double chance(const struct faults *f, uint32_t device, uint32_t n, uint32_t what)
{
    uint32_t key[3] = {device, n, what};
    return (double)(hash64(f->o->seed ^ 0x6661756c74, key, sizeof(key)) >> 11) * 0x1p-53;
}

/* -- what comes next -------------------------------------------------------------------------- */

static int pick(const struct faults *f, uint32_t device, double at)
{
    size_t n = 1, k = 0; /* silence is always one of them */
    for (size_t i = 0; i < fault_n_kinds; i++)
        n += strcmp(fault_kinds[i].code, kind_of(f, device)->code) == 0;
    size_t nth = (size_t)(at * (double)n);
    for (size_t i = 0; i < fault_n_kinds; i++)
        if (strcmp(fault_kinds[i].code, kind_of(f, device)->code) == 0 && k++ == nth)
            return (int)i;
    return SILENT;
}

static int64_t lasts(const struct faults *f, uint32_t device, int kind, double at)
{
    double shortest, longest;
    if (kind == SILENT) {
        shortest =
            fault_silence_after(kind_of(f, device)) + 3.0 * kind_of(f, device)->interval_s;
        longest = shortest + 2 * 3600;
    } else {
        shortest = fault_kinds[kind].shortest;
        longest = fault_kinds[kind].longest;
    }
    return (int64_t)((shortest + (longest - shortest) * at) * 1000);
}

/* The first time from `at` on that lies between the hours of the kind. */
static int64_t in_hours(const struct fault_kind *k, int64_t at, double share)
{
    if (k->from_hour == 0 && k->to_hour == 0)
        return at;
    int64_t local = at + LOCAL_MS, day = local - local % DAY_MS;
    int64_t low = (int64_t)(k->from_hour * 3600000), high = (int64_t)(k->to_hour * 3600000);
    if (local - day >= low && local - day < high)
        return at;
    day += local - day >= high ? DAY_MS : 0;
    return day + low + (int64_t)(share * (double)(high - low)) - LOCAL_MS;
}

static int64_t echo_ms(const struct faults *f, uint32_t device, int kind)
{
    /* a batch of a silent or slow device may take another interval to say so */
    int64_t intervals = 2000 * (int64_t)kind_of(f, device)->interval_s + SLACK_MS;
    double echo = kind >= 0 ? fault_kinds[kind].echo : fault_silence_echo(kind_of(f, device));
    return intervals + (int64_t)(echo * 1000);
}

static const struct fault_order *order_of(const struct faults *f, uint32_t device, uint32_t nth)
{
    char code[64];
    const struct device_state *d = &f->devices[device];
    if (f->o->n_orders == 0)
        return NULL;
    (void)snprintf(code, sizeof(code), "c%04u-%s-%04u", d->compound + 1u,
                   fleet_kinds[d->kind].code, (unsigned)d->number);
    for (size_t i = 0; i < f->o->n_orders; i++)
        if (strcmp(f->o->orders[i].device, code) == 0 && nth-- == 0)
            return &f->o->orders[i];
    return NULL;
}

static int kind_named(const struct faults *f, uint32_t device, const char *name)
{
    for (size_t i = 0; i < fault_n_kinds; i++)
        if (strcmp(fault_kinds[i].code, kind_of(f, device)->code) == 0 &&
            strcmp(fault_kinds[i].name, name) == 0)
            return (int)i;
    return SILENT;
}

/* The device's nth fault, not before `free_at`; its gateway's outages are not looked at. */
static struct planned plan(const struct faults *f, uint32_t device, uint32_t nth,
                           int64_t free_at)
{
    struct planned p = {.kind = NOTHING, .from = NEVER, .to = NEVER};
    const struct fault_order *order = order_of(f, device, nth);
    if (order) {
        int64_t at = f->o->start_ms + (int64_t)(order->after_s * 1000);
        p.kind = kind_named(f, device, order->kind);
        p.from = at > free_at ? at : free_at;
        p.to = p.from + lasts(f, device, p.kind, 0);
    } else if (f->o->fault_rate > 0) {
        double gap = -log(1 - chance(f, device, nth, 0)) / f->o->fault_rate;
        p.kind = pick(f, device, chance(f, device, nth, 1));
        p.from = free_at + APART_MS + (int64_t)(gap * (double)DAY_MS);
        if (p.kind >= 0)
            p.from = in_hours(&fault_kinds[p.kind], p.from, chance(f, device, nth, 2));
        p.to = p.from + lasts(f, device, p.kind, chance(f, device, nth, 3));
    }
    return p;
}

static int64_t free_after(const struct faults *f, uint32_t device, const struct planned *p)
{
    return p->to == NEVER ? NEVER : p->to + echo_ms(f, device, p->kind);
}

/* -- gateways that are down ------------------------------------------------------------------- */

static const struct outages *look_for_outages(struct faults *f, uint32_t uplink, int64_t until)
{
    struct outages *x = &f->outages[uplink];
    while (x->until <= until) {
        struct planned p = plan(f, uplink, x->planned++, x->free_at);
        x->until = p.from;
        x->free_at = free_after(f, uplink, &p);
        if (p.kind != SILENT)
            continue;
        if (x->n == x->cap) {
            x->cap = x->cap ? 2 * x->cap : 8;
            x->list = mem_realloc_array(x->list, x->cap, sizeof(*x->list));
        }
        x->list[x->n++] = p;
    }
    return x;
}

static bool is_behind(struct faults *f, uint32_t device, int64_t from, int64_t to,
                      int64_t *out_end)
{
    uint32_t uplink = f->of[device].uplink;
    if (uplink == NOBODY)
        return false;
    const struct outages *x = look_for_outages(f, uplink, to);
    for (size_t i = x->n; i-- > 0;)
        if (x->list[i].from <= to && x->list[i].to > from) {
            *out_end = x->list[i].to;
            return true;
        }
    return false;
}

/* The next fault, apart from the outages of the gateway before the device. */
static void plan_next(struct faults *f, uint32_t device, int64_t free_at)
{
    struct suffering *s = &f->of[device];
    int64_t end, apart = order_of(f, device, s->n) ? 0 : APART_MS;
    s->began = 0;
    s->now = plan(f, device, s->n++, free_at);
    while (s->now.kind != NOTHING &&
           is_behind(f, device, s->now.from - apart,
                     s->now.to + echo_ms(f, device, s->now.kind) + apart, &end)) {
        int64_t by = end + 2 * apart + 1 - s->now.from;
        s->now.from += by;
        s->now.to += by;
        if (s->now.kind >= 0) {
            int64_t at = in_hours(&fault_kinds[s->now.kind], s->now.from, 0);
            s->now.to += at - s->now.from;
            s->now.from = at;
        }
    }
}

/* -- truths ----------------------------------------------------------------------------------- */

static void add_truth(struct faults *f, const struct fault_truth *t)
{
    if (f->n_truths == f->cap_truths) {
        f->cap_truths = f->cap_truths ? 2 * f->cap_truths : 64;
        f->truths = mem_realloc_array(f->truths, f->cap_truths, sizeof(*f->truths));
    }
    f->truths[f->n_truths++] = *t;
}

bool faults_take(struct faults *f, struct fault_truth *out)
{
    if (f->n_truths == 0)
        return false;
    *out = f->truths[--f->n_truths];
    return true;
}

static int64_t interval_ms(const struct faults *f, uint32_t device)
{
    return 1000 * (int64_t)kind_of(f, device)->interval_s;
}

static void fault_over(struct faults *f, uint32_t device, int64_t to_ms)
{
    struct suffering *s = &f->of[device];
    const struct fault_kind *k = &fault_kinds[s->now.kind];
    /* a sample sees the condition up to an interval later than it holds, and the delay ends up to
     * an interval before the sample that shows it */
    int64_t sees = (k->cross > 0) + (k->delay > 0);
    add_truth(f, &(struct fault_truth){.device = device,
                                       .name = k->name,
                                       .rule = k->rule,
                                       .may = k->may,
                                       .from_ms = s->began,
                                       .to_ms = to_ms,
                                       .told_within = (int64_t)((k->cross + k->delay) * 1000) +
                                                      sees * interval_ms(f, device) + SLACK_MS,
                                       .over_within = echo_ms(f, device, s->now.kind),
                                       .fades = k->sudden ? -1
                                                          : (int64_t)(k->fall * 1000) +
                                                                interval_ms(f, device)});
}

/* A gateway that is down hides the silence of those behind it; not where lives depend on it. */
static void silence_over(struct faults *f, uint32_t device, int64_t to_ms)
{
    const struct suffering *s = &f->of[device];
    const struct fleet_kind *k = kind_of(f, device);
    const char *rule = fault_silence_rule(k);
    add_truth(f, &(struct fault_truth){
                     .device = device,
                     .name = s->behind ? "behind" : "silent",
                     .rule = s->behind && !k->life_safety ? NULL : rule,
                     .silence = true,
                     .from_ms = s->quiet,
                     .to_ms = to_ms,
                     .told_within = (int64_t)(fault_silence_after(k) * 1000) + SLACK_MS,
                     .over_within = SLACK_MS + (int64_t)(fault_silence_echo(k) * 1000)});
}

static void natural_over(struct faults *f, uint32_t device, size_t i, int64_t to_ms)
{
    const struct natural *x = &naturals[i];
    const struct suffering *s = &f->of[device];
    /* nobody can know what lasted through a silence */
    int64_t unseen = s->heard > s->natural[i] ? s->heard - s->natural[i] : 0;
    add_truth(f, &(struct fault_truth){.device = device,
                                       .name = x->name,
                                       .rule = x->rule,
                                       .from_ms = s->natural[i],
                                       .to_ms = to_ms,
                                       .told_within = unseen + (int64_t)(x->delay * 1000) +
                                                      interval_ms(f, device) + SLACK_MS,
                                       .over_within = (int64_t)(x->echo * 1000) +
                                                      2 * interval_ms(f, device) + SLACK_MS,
                                       .fades = -1});
}

void faults_finish(struct faults *f)
{
    for (uint32_t i = 0; i < f->o->devices; i++) {
        struct suffering *s = &f->of[i];
        if (s->began)
            fault_over(f, i, 0);
        if (s->quiet)
            silence_over(f, i, 0);
        for (size_t n = 0; n < N_NATURAL; n++)
            if (s->natural[n])
                natural_over(f, i, n, 0);
    }
}

/* -- under way -------------------------------------------------------------------------------- */

bool faults_silent(struct faults *f, uint32_t device, int64_t at_ms)
{
    struct suffering *s = &f->of[device];
    int64_t end;
    bool own = s->now.kind == SILENT && at_ms >= s->now.from && at_ms < s->now.to;
    bool behind = !own && is_behind(f, device, at_ms, at_ms, &end);
    if (!own && !behind)
        return false;
    if (!s->quiet && s->spoke) {
        s->quiet = s->spoke;
        s->behind = behind;
    }
    return true;
}

static double strength(const struct fault_kind *k, const struct planned *p, int64_t at_ms)
{
    double in = (double)(at_ms - p->from) / 1000, left = (double)(p->to - at_ms) / 1000;
    double w = k->rise > 0 ? in / k->rise : 1;
    w = k->fall > 0 && left < k->fall && left / k->fall < w ? left / k->fall : w;
    return w > 1 ? 1 : w;
}

static void change(const struct fleet_metric *m, const struct fault_effect *e, double w,
                   double frozen, double *v)
{
    bool steps = m->type == FLEET_BOOL || m->type == FLEET_TEXT;
    if (e->act == FAULT_FREEZE)
        *v = frozen;
    else if (steps)
        *v = w > 0 && w >= e->at ? e->to : *v;
    else if (e->act == FAULT_ADD)
        *v += w * e->to;
    else
        *v += w * (e->to - *v);
    if (m->type != FLEET_TEXT && *v < m->low && !m->rises)
        *v = m->low;
}

static void suffer(struct faults *f, uint32_t device, int64_t at_ms, int64_t claimed_ms,
                   double *v)
{
    struct suffering *s = &f->of[device];
    const struct fault_kind *k = &fault_kinds[s->now.kind];
    const struct fleet_kind *kind = kind_of(f, device);
    if (!s->frozen)
        s->frozen = mem_zalloc_array(FLEET_MAX_VALUES, sizeof(*s->frozen));
    if (!s->began) {
        s->began = claimed_ms;
        memcpy(s->frozen, v, *kind->n_metrics * sizeof(*v));
    }
    double w = strength(k, &s->now, at_ms);
    for (const struct fault_effect *e = k->effects; e < k->effects + FAULT_EFFECTS && e->metric;
         e++)
        for (size_t i = 0; i < *kind->n_metrics; i++)
            if (strcmp(kind->metrics[i].name, e->metric) == 0)
                change(&kind->metrics[i], e, w, s->frozen[i], &v[i]);
}

/* As it is said: rounded. */
static double said(const struct fleet_metric *m, double v)
{
    double scale = pow(10, m->decimals);
    return m->type == FLEET_FIXED ? round(v * scale) / scale : v;
}

static void look_at_health(struct faults *f, uint32_t device, int64_t claimed_ms,
                           const double *v)
{
    struct suffering *s = &f->of[device];
    const struct fleet_kind *kind = kind_of(f, device);
    for (size_t n = 0; n < N_NATURAL; n++) {
        const struct natural *x = &naturals[n];
        if (x->code && strcmp(x->code, kind->code) != 0)
            continue;
        for (size_t i = 0; i < *kind->n_metrics; i++) {
            if (strcmp(kind->metrics[i].name, x->metric) != 0)
                continue;
            double value = said(&kind->metrics[i], v[i]);
            bool wrong = x->below ? value <= x->limit : value > x->limit;
            if (!wrong && s->natural[n])
                natural_over(f, device, n, claimed_ms);
            if (!wrong)
                s->natural[n] = 0;
            else if (!s->natural[n])
                s->natural[n] = claimed_ms;
        }
    }
}

void faults_apply(struct faults *f, uint32_t device, int64_t at_ms, int64_t claimed_ms,
                  double *v)
{
    struct suffering *s = &f->of[device];
    if (s->quiet) {
        silence_over(f, device, claimed_ms);
        s->heard = claimed_ms;
    }
    s->quiet = 0;
    look_at_health(f, device, claimed_ms, v);
    if (at_ms >= s->now.to) {
        if (s->began)
            fault_over(f, device, claimed_ms);
        plan_next(f, device, free_after(f, device, &s->now));
    }
    if (s->now.kind >= 0 && at_ms >= s->now.from && at_ms < s->now.to)
        suffer(f, device, at_ms, claimed_ms, v);
    s->spoke = claimed_ms;
}

/* -- life ------------------------------------------------------------------------------------- */

struct faults *faults_new(const struct fleet_options *o, const struct device_state *devices)
{
    struct faults *f = mem_zalloc(sizeof(*f));
    f->o = o;
    f->devices = devices;
    f->of = mem_zalloc_array(o->devices, sizeof(*f->of));
    f->outages = mem_zalloc_array(o->devices, sizeof(*f->outages));
    uint32_t *uplinks = mem_zalloc_array(o->compounds, sizeof(*uplinks));
    memset(uplinks, 0xff, o->compounds * sizeof(*uplinks));
    for (uint32_t i = 0; i < o->devices; i++) { /* as the registry has it: the last one */
        f->outages[i].free_at = f->outages[i].until = o->start_ms;
        if (strcmp(kind_of(f, i)->code, "uplink") == 0)
            uplinks[devices[i].compound] = i;
    }
    for (uint32_t i = 0; i < o->devices; i++)
        f->of[i].uplink = kind_of(f, i)->battery ? uplinks[devices[i].compound] : NOBODY;
    free(uplinks);
    for (uint32_t i = 0; i < o->devices; i++)
        plan_next(f, i, o->start_ms);
    return f;
}

void faults_free(struct faults *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->o->devices; i++) {
        free(f->of[i].frozen);
        free(f->outages[i].list);
    }
    free(f->of);
    free(f->outages);
    free(f->truths);
    free(f);
}

bool fleet_knows_fault(const struct fleet *f, const struct fault_order *o)
{
    char code[64];
    for (uint32_t i = 0; i < fleet_devices(f); i++) {
        code[fleet_device_code(f, i, code)] = 0;
        if (strcmp(code, o->device) != 0)
            continue;
        const struct fleet_kind *kind = &fleet_kinds[fleet_device(f, i)->kind];
        for (size_t k = 0; k < fault_n_kinds; k++)
            if (strcmp(fault_kinds[k].code, kind->code) == 0 &&
                strcmp(fault_kinds[k].name, o->kind) == 0)
                return true;
        return strcmp(o->kind, "silent") == 0;
    }
    return false;
}
