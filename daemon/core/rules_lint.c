/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lints: what is allowed and yet seldom meant. Said as warnings, when everything else is right.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/rules_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WEEK_MIN = 7 * 1440, MIX_FROM = 20, MAX_NAMED = 8, GAP_MIN = 5 };

struct lint {
    struct rules_build *b;
    struct rules *r;
    const struct rule *x; /* the present one */
    const struct rule_place *at;
};

static struct conf_notes *notes_of(struct lint *l, const struct rule_place *at)
{
    return &l->b->files[at->file].notes;
}

#define WARN(l, ...)                                                                           \
    conf_warn(notes_of(l, (l)->at), (l)->at->id_line, (l)->at->id_col, __VA_ARGS__)
#define WARN_LEVEL(l, i, ...)                                                                  \
    conf_warn(notes_of(l, (l)->at), (l)->at->line[i], (l)->at->col[i], __VA_ARGS__)

static bool is_number(const struct metric *m)
{
    return m && (m->type == METRIC_FLOAT || m->type == METRIC_INT);
}

/* -- limits -------------------------------------------------------------------------------- */

/* A condition of one value and nothing else: it can be tried out. */
static bool is_simple(const struct expr *e)
{
    const struct expr_input *inputs;
    const struct expr_count *counts;
    return e && expr_inputs(e, &inputs) == 1 && is_number(inputs[0].metric) &&
           expr_counts(e, &counts) == 0 && expr_window_ns(e) == 0 && !expr_is_timed(e);
}

static const struct metric *input_of(const struct expr *e)
{
    const struct expr_input *inputs;
    return expr_inputs(e, &inputs) ? inputs[0].metric : NULL;
}

struct trial {
    struct expr_last last;
    struct expr_env env;
    double params[EXPR_MAX_PARAMS];
};

static void begin_trial(struct trial *t, const struct rule *x)
{
    *t = (struct trial){.last = {.v = NAN, .at_ns = 1}};
    for (size_t i = 0; i < EXPR_MAX_PARAMS; i++)
        t->params[i] = i < x->n_params && x->params[i].has_default ? x->params[i].def : NAN;
    t->env =
        (struct expr_env){.now_ns = 1, .since_ns = 1, .last = &t->last, .params = t->params};
}

static enum expr_truth try_value(struct trial *t, const struct expr *e, double v)
{
    t->last.v = v;
    return expr_eval(e, NULL, &t->env);
}

/* Is there a value with which both are as wanted? Looked for at and around their limits. */
static bool can_be(struct trial *t, const struct expr *a, enum expr_truth want_a,
                   const struct expr *b, enum expr_truth want_b, double *out)
{
    double limits[] = {expr_limit(a, &t->env), expr_limit(b, &t->env)}, tries[7];
    double step = fabs(limits[0] - limits[1]) / 2;
    step = step > 0 ? step : fabs(limits[0]) / 1e6 + 1e-9;
    if (isnan(limits[0]) || isnan(limits[1]))
        return false;
    for (size_t i = 0; i < 2; i++) {
        tries[3 * i] = limits[i] - step;
        tries[3 * i + 1] = limits[i];
        tries[3 * i + 2] = limits[i] + step;
    }
    tries[6] = (limits[0] + limits[1]) / 2;
    for (size_t i = 0; i < 7; i++) {
        if (try_value(t, a, tries[i]) == want_a && try_value(t, b, tries[i]) == want_b) {
            *out = tries[i];
            return true;
        }
    }
    return false;
}

static bool comparable(const struct expr *a, const struct expr *b)
{
    return is_simple(a) && is_simple(b) && input_of(a) == input_of(b);
}

struct number { /* as text */
    char text[NUM_MAX + 1];
};

static const char *put_number(struct number *n, double v)
{
    double plain = nearbyint(v * 1e6) / 1e6; /* 0.85, not 0.8500000000000001 */
    if (fabs(plain - v) < 1e-9 * fabs(v))
        v = plain;
    n->text[num_put_double(n->text, v)] = '\0';
    return n->text;
}

/* -- parameters ---------------------------------------------------------------------------- */

struct fixed { /* a kind's levels with the defaults written in, where there are any */
    struct rule_level levels[RULE_MAX_LEVELS];
    struct expr *own[2 * RULE_MAX_LEVELS];
    size_t n_own;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

static void put_default(struct buf *b, const struct expr_param *p)
{
    struct number n;
    n.text[num_put_double(n.text, p->def)] = '\0';
    (void)buf_printf(b, "(%s%s%s)", n.text, p->unit ? " " : "", p->unit ? p->unit : "");
}

/* False: there is none, or one without a default. */
static bool put_defaults(struct buf *b, const struct rule *x, const char *text)
{
    bool any = false;
    for (const char *s = text; *s;) {
        size_t n = 0, i = 0;
        if (*s != '$') {
            (void)buf_putc(b, *s++);
            continue;
        }
        while (is_word(s[1 + n]))
            n++;
        while (i < x->n_params &&
               (strlen(x->params[i].name) != n || memcmp(x->params[i].name, s + 1, n) != 0))
            i++;
        if (i == x->n_params || !x->params[i].has_default)
            return false;
        put_default(b, &x->params[i]);
        s += 1 + n;
        any = true;
    }
    return any;
}

/* The condition with them, or as it is. */
static struct expr *fix(struct lint *l, struct fixed *f, const struct kind *k, const char *text,
                        struct expr *e)
{
    struct expr_scope scope = {l->r->catalog, k, NULL, 0};
    struct expr_error error;
    struct expr *own = NULL;
    struct buf b;
    buf_init(&b, 2 * EXPR_MAX_TEXT);
    if (e && text && put_defaults(&b, l->x, text) &&
        expr_compile(buf_cstr(&b), b.len, &scope, &error, &own) == 0)
        f->own[f->n_own++] = own;
    buf_done(&b);
    return own ? own : e;
}

static void fixed_make(struct lint *l, const struct rule_level *levels, const struct kind *k,
                       struct fixed *f)
{
    f->n_own = 0;
    for (size_t i = 0; i < l->x->n_levels; i++) {
        f->levels[i] = levels[i];
        f->levels[i].on = fix(l, f, k, levels[i].on_text, levels[i].on);
        f->levels[i].off = fix(l, f, k, levels[i].off_text, levels[i].off);
    }
}

/* A parameter with both bounds may be a switch, whose default says "not here". */
static bool may_switch(const struct rule *x, const struct expr *e)
{
    for (size_t i = 0; i < x->n_params; i++)
        if (e && expr_reads_param(e, (unsigned)i) && isfinite(x->param_ranges[i].min) &&
            isfinite(x->param_ranges[i].max))
            return true;
    return false;
}

static void fixed_done(struct fixed *f)
{
    while (f->n_own > 0)
        expr_free(f->own[--f->n_own]);
}

/* -- limits again: pairs of them ------------------------------------------------------------ */

static void lint_crossed(struct lint *l, const struct rule_level *levels)
{
    struct number text;
    struct trial t;
    double v;
    begin_trial(&t, l->x);
    for (size_t i = 0; i < l->x->n_levels; i++) {
        if (levels[i].off && comparable(levels[i].on, levels[i].off) &&
            can_be(&t, levels[i].on, EXPR_TRUE, levels[i].off, EXPR_TRUE, &v))
            WARN_LEVEL(l, i, "when and off are both true, e.g. at %s: off must lie beyond when",
                       put_number(&text, v));
        if (i && comparable(levels[i - 1].on, levels[i].on) &&
            can_be(&t, levels[i].on, EXPR_TRUE, levels[i - 1].on, EXPR_FALSE, &v))
            WARN_LEVEL(l, i, "levels cross: at %s it is %s, but not %s, the level below",
                       put_number(&text, v), severity_name(levels[i].severity),
                       severity_name(levels[i - 1].severity));
    }
}

static void lint_hysteresis(struct lint *l, const struct rule_level *levels)
{
    for (size_t i = 0; i < l->x->n_levels; i++) {
        unsigned input;
        const struct metric *m = expr_subject(levels[i].on, &input);
        if (!levels[i].off && is_number(m))
            WARN_LEVEL(l, i,
                       "no off: %s has no hysteresis, a value at its limit comes and goes",
                       m->name);
    }
}

static bool is_by_clock(const struct expr *e)
{
    return expr_is_timed(e) && !expr_hears_silence(e);
}

static void lint_plausible(struct lint *l, const struct rule_level *levels,
                           const struct kind *k)
{
    for (size_t i = 0; i < l->x->n_levels; i++) {
        enum expr_truth t = expr_plausible(levels[i].on);
        if (t == EXPR_FALSE && is_by_clock(levels[i].on))
            WARN_LEVEL(l, i,
                       "can never be true, at no hour of the week: over midnight, expected "
                       "between(\"22:00\", \"06:00\")");
        else if (t == EXPR_FALSE)
            WARN_LEVEL(l, i,
                       "can never be true: the plausible ranges of %s in the catalogue leave "
                       "no such value",
                       k->name);
        else if (t == EXPR_TRUE)
            WARN_LEVEL(
                l, i,
                "is always true: all values in the plausible ranges of %s in the catalogue fit",
                k->name);
        else if (levels[i].off && expr_plausible(levels[i].off) == EXPR_FALSE)
            WARN_LEVEL(
                l, i,
                "off can never be true: the plausible ranges of %s in the catalogue leave "
                "no such value, and what began does not end",
                k->name);
    }
}

/* -- times --------------------------------------------------------------------------------- */

static void lint_for(struct lint *l, const struct rule_level *levels, const struct kind *k)
{
    uint32_t every = l->b->expected ? l->b->expected(l->b->ctx, k) : 0;
    for (size_t i = 0; every && l->x->mode == RULE_SAMPLES && i < l->x->n_levels; i++) {
        if (levels[i].for_ns && levels[i].for_ns < every * RULES_SECOND)
            WARN_LEVEL(
                l, i,
                "for is shorter than the %lu s between two reports of kind %s: it is one "
                "report more, not longer",
                (unsigned long)every, k->name);
    }
}

static bool has_delay(const struct lint *l, const struct rule_level *levels)
{
    for (size_t i = 0; i < l->x->n_levels; i++)
        if (levels[i].for_ns || levels[i].off_for_ns)
            return true;
    return false;
}

/* Silence that is shorter than the pause between two reports is none. */
static void lint_pauses(struct lint *l, const struct rule_level *levels, const struct kind *k)
{
    uint64_t every = (l->b->expected ? l->b->expected(l->b->ctx, k) : 0) * RULES_SECOND;
    const struct rule *x = l->x;
    if (x->has_no_data && x->no_data_after_ns && x->no_data_after_ns < every)
        WARN(l,
             "no_data: after is shorter than the %llu s between two reports of kind %s: a "
             "healthy "
             "device is silent each time",
             (unsigned long long)(every / RULES_SECOND), k->name);
    if (x->mode == RULE_SAMPLES && x->max_gap_ns && x->max_gap_ns < every &&
        has_delay(l, levels))
        WARN(l,
             "max_gap is shorter than the %llu s between two reports of kind %s: no time is "
             "counted "
             "between them",
             (unsigned long long)(every / RULES_SECOND), k->name);
}

/* Minutes of a week in which a window is open, by days of the week alone. */
static void paint(const struct rule_window *w, unsigned char *week)
{
    int len = (w->to_min > w->from_min ? 0 : 1440) + w->to_min - w->from_min;
    for (int day = 0; day < 7; day++) {
        if (!(w->days & 1u << day))
            continue;
        for (int i = 0; i < len; i++)
            week[(day * 1440 + w->from_min + i) % WEEK_MIN] = 1;
    }
}

/* Days of the calendar may fill what days of the week leave open. */
static bool is_by_week(const struct rule *x)
{
    for (size_t i = 0; i < x->n_windows; i++)
        if (x->windows[i].days & 0x180)
            return false;
    return x->n_windows > 0;
}

/* Nobody wants a rule to rest for a minute: `to` was taken for inclusive. */
static void lint_gaps(struct lint *l, const unsigned char *week)
{
    static const char *const days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};
    for (size_t i = 0; i < WEEK_MIN; i++) {
        size_t n = 0;
        if (week[i] || !week[(i + WEEK_MIN - 1) % WEEK_MIN])
            continue;
        while (n <= GAP_MIN && !week[(i + n) % WEEK_MIN])
            n++;
        if (n > GAP_MIN)
            continue;
        WARN(
            l,
            "schedule: between two windows it rests for %zu min, first on %s at %02zu:%02zu: a "
            "window ends before the minute in `to`",
            n, days[i / 1440], i % 1440 / 60, i % 60);
        return;
    }
}

static void lint_schedule(struct lint *l)
{
    unsigned char all[WEEK_MIN] = {0};
    const struct rule *x = l->x;
    for (size_t i = 0; i < x->n_windows; i++) {
        for (size_t k = 0; k < i; k++) {
            if (x->windows[i].days == x->windows[k].days &&
                x->windows[i].from_min == x->windows[k].from_min &&
                x->windows[i].to_min == x->windows[k].to_min)
                WARN(l, "schedule: window %zu is the same as window %zu", i + 1, k + 1);
        }
        paint(&x->windows[i], all);
        if (!(x->windows[i].days & 0x1ff))
            WARN(l, "schedule: window %zu is open on no day", i + 1);
    }
    if (x->n_windows && !memchr(all, 0, sizeof(all)))
        WARN(l, "schedule: the windows leave nothing out, it is always in force");
    if (is_by_week(x))
        lint_gaps(l, all);
}

/* -- pairs and the whole ------------------------------------------------------------------- */

struct same { /* a condition, somewhere */
    uint64_t hash;
    const struct rule *x;
    const struct kind *k;
    size_t level;
};

static int by_hash(const void *a, const void *b)
{
    const struct same *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (x->k != y->k)
        return x->k->index < y->k->index ? -1 : 1;
    return x->x->index < y->x->index ? -1 : x->x->index > y->x->index;
}

static bool is_restricted(const struct rule *x)
{
    return x->n_points || x->n_compounds || x->n_tiers || x->n_firms || x->n_windows;
}

/* Of two rules: a parameter is another one when its name or what it is by default differs. */
static uint64_t hash_with_params(const struct rule *x, const struct expr *e)
{
    uint64_t h = expr_hash(e);
    for (size_t i = 0; i < x->n_params; i++) {
        const struct expr_param *p = &x->params[i];
        if (!expr_reads_param(e, (unsigned)i))
            continue;
        h = hash64(h, p->name, strlen(p->name));
        h = hash64(h, &p->def, p->has_default ? sizeof(p->def) : 0);
    }
    return h;
}

static void lint_same(struct lint *l)
{
    size_t most = 0, n = 0;
    for (size_t i = 0; i < l->r->n; i++)
        most += rules_kinds(l->r, &l->r->list[i]) * l->r->list[i].n_levels;
    struct same *all = mem_zalloc_array(most + 1, sizeof(*all));
    for (size_t i = 0; i < l->r->n; i++) {
        const struct rule *x = &l->r->list[i];
        for (size_t k = 0; k < rules_kinds(l->r, x) && !is_restricted(x); k++)
            for (size_t v = 0; v < x->n_levels; v++)
                if (x->levels[k][v].on)
                    all[n++] = (struct same){hash_with_params(x, x->levels[k][v].on), x,
                                             rules_kind(l->r, x, k), v};
    }
    qsort(all, n, sizeof(*all), by_hash);
    for (size_t i = 1; i < n; i++) {
        const struct same *a = &all[i - 1], *b = &all[i];
        if (a->hash != b->hash || a->k != b->k || a->x == b->x)
            continue;
        l->x = b->x;
        l->at = &l->r->places[b->x->index];
        WARN_LEVEL(l, b->level, "the same condition as that of rule \"%s\"", a->x->id);
    }
    free(all);
}

static bool is_silence_seen(const struct rules *r, const struct kind *k,
                            const struct rule **out)
{
    const struct rule *const *list;
    size_t n = rules_of_kind(r, k, &list);
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        *out = *out || list[i]->n_kinds == 0 ? *out : list[i];
        if (list[i]->has_no_data &&
            (list[i]->no_data == RULE_SILENCE_ALERT || list[i]->n_levels == 0))
            return true;
    }
    return false;
}

/* Somebody has to notice that a device is silent; one rule of its kind is enough. */
static void lint_silence(struct lint *l)
{
    for (size_t k = 0; k < catalog_kinds(l->r->catalog); k++) {
        const struct kind *kind = catalog_kind_at(l->r->catalog, k);
        const struct rule *first;
        if (is_silence_seen(l->r, kind, &first) || !first)
            continue;
        l->x = first;
        l->at = &l->r->places[first->index];
        WARN(l,
             "no rule of kind %s has no_data with policy alert: nobody is told when such a "
             "device is silent",
             kind->name);
    }
}

static void lint_mix(struct lint *l)
{
    size_t levels = 0, critical = 0, major = 0;
    for (size_t i = 0; i < l->r->n; i++) {
        const struct rule *x = &l->r->list[i];
        for (size_t v = 0; v < x->n_levels && !x->life_safety; v++) {
            enum severity s = x->levels[0][v].severity;
            levels++;
            critical += s == SEVERITY_CRITICAL;
            major += s == SEVERITY_MAJOR;
        }
    }
    if (levels < MIX_FROM || (critical * 20 <= levels && (critical + major) * 5 <= levels))
        return;
    l->at = &l->r->places[0];
    conf_warn(notes_of(l, l->at), 0, 0,
              "of %zu levels of rules other than life-safety %zu are critical and %zu major, "
              "expected about 5 and 15 in a hundred: what is always grave is soon not read",
              levels, critical, major);
}

static void lint_unverified(struct lint *l, size_t file)
{
    struct buf names;
    size_t n = 0;
    buf_init(&names, 4096);
    for (size_t i = 0; i < l->r->n; i++) {
        if (l->r->places[i].file != file || !l->r->list[i].unverified)
            continue;
        if (n < MAX_NAMED)
            (void)buf_printf(&names, "%s%s", n ? ", " : "", l->r->list[i].id);
        n++;
    }
    if (n)
        conf_warn(&l->b->files[file].notes, 0, 0,
                  "unverified limits, compare them with your devices and rules: %s%s",
                  buf_cstr(&names), n > MAX_NAMED ? " and more" : "");
    buf_done(&names);
}

/* -- counts -------------------------------------------------------------------------------- */

struct conds { /* by which conditions a kind is counted */
    uint64_t hash[RULES_MAX_CONDS];
    size_t n;
    bool said;
};

/* False: of one more than there is room for. */
static bool note_cond(struct conds *k, uint64_t hash)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->hash[i] == hash)
            return true;
    if (k->n == RULES_MAX_CONDS)
        return false;
    k->hash[k->n++] = hash;
    return true;
}

static void check_conds(struct lint *l, struct conds *all, const struct expr *e, size_t level)
{
    const struct expr_count *list = NULL;
    size_t n = e ? expr_counts(e, &list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct conds *k = &all[list[i].kind->index];
        if (note_cond(k, expr_hash(list[i].condition)) || k->said)
            continue;
        k->said = true;
        conf_error(notes_of(l, l->at), l->at->line[level], l->at->col[level],
                   "count_over: kind %s is counted by more than %d different conditions, "
                   "expected some of them alike: this one would be unknown for ever",
                   list[i].kind->name, RULES_MAX_CONDS);
    }
}

/* What could never fire is no rule: the one error that needs all files. */
static void check_counts(struct lint *l)
{
    struct conds *all = mem_zalloc_array(catalog_kinds(l->r->catalog), sizeof(*all));
    for (size_t i = 0; i < l->r->n; i++) {
        l->x = &l->r->list[i];
        l->at = &l->r->places[i];
        for (size_t k = 0; k < rules_kinds(l->r, l->x) && l->x->n_levels; k++)
            for (size_t n = 0; n < l->x->n_levels; n++) {
                check_conds(l, all, l->x->levels[k][n].on, n);
                check_conds(l, all, l->x->levels[k][n].off, n);
            }
    }
    free(all);
}

static void lint_rule(struct lint *l)
{
    if (!*l->x->action_zh)
        WARN(l, "no action: who is told does not know what to do");
    if (l->x->life_safety && l->x->has_no_data && l->x->no_data == RULE_SILENCE_CLEAR)
        WARN(l, "no_data: clear in a rule of life-safety: silence ends its alarms");
    lint_schedule(l);
    for (size_t i = 0; i < rules_kinds(l->r, l->x) && l->x->n_levels; i++) {
        const struct rule_level *levels = l->x->levels[i];
        const struct kind *k = rules_kind(l->r, l->x, i);
        struct fixed f;
        if (!levels[0].on)
            continue;
        fixed_make(l, levels, k, &f);
        lint_hysteresis(l, levels);
        lint_crossed(l, f.levels);
        for (size_t n = 0; n < l->x->n_levels; n++) /* is anything left that it can be? */
            if (may_switch(l->x, levels[n].on) || may_switch(l->x, levels[n].off)) {
                f.levels[n].on = levels[n].on;
                f.levels[n].off = levels[n].off;
            }
        lint_plausible(l, f.levels, k);
        lint_for(l, levels, k);
        if (l->x->n_kinds)
            lint_pauses(l, levels, k);
        fixed_done(&f);
    }
}

void rules_lint(struct rules_build *b)
{
    struct lint l = {.b = b, .r = b->r};
    for (size_t i = 0; i < b->r->n; i++) {
        l.x = &b->r->list[i];
        l.at = &b->r->places[i];
        lint_rule(&l);
    }
    if (b->r->n == 0)
        return;
    check_counts(&l);
    lint_same(&l);
    lint_silence(&l);
    lint_mix(&l);
    for (size_t i = 0; i < b->n_files; i++)
        lint_unverified(&l, i);
}
