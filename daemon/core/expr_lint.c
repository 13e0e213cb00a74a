/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said of a condition without a device: its meaning as a number, and whether it can
 * be true or false at all.
 */
#include "base/hash.h"
#include "core/expr_private.h"

#include <string.h>

#define HASH_DIGITS 12

/* -- hash: the same for what means the same, whatever the spelling ------------------------ */

struct meaning {
    enum expr_op op;
    uint64_t sum; /* of the members' hashes, of `and` and `or`; else the hash */
};

static uint64_t mix(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t words[2] = {a, b};
    return hash64(seed, words, sizeof(words));
}

static uint64_t mix_text(uint64_t seed, const char *s)
{
    return s ? hash64(seed, s, strlen(s)) : seed;
}

static uint64_t mix_double(uint64_t seed, double v)
{
    double r = expr_round(v, HASH_DIGITS) + 0.0; /* no negative zero */
    return hash64(seed, &r, sizeof(r));
}

static uint64_t whole(const struct meaning *m)
{
    return m->op == OP_AND || m->op == OP_OR ? mix(m->op, m->sum, 0) : m->sum;
}

static uint64_t hash_input(const struct expr *x, unsigned input)
{
    const struct expr_input *in = &x->inputs[input];
    uint64_t h = mix_text(in->point ? 2 : 1, in->metric->name);
    h = mix(h, (uint64_t)in->metric->type, 0);
    return mix_text(mix_text(h, in->metric->unit), in->point);
}

static uint64_t hash_count(const struct expr_count *c)
{
    return mix_text(mix(OP_COUNT, c->area, c->condition->hash), c->kind->name);
}

static uint64_t hash_window(const struct expr *x, const struct expr_window *w)
{
    return mix(OP_WINDOW, hash_input(x, w->input), w->len_ns);
}

static uint64_t hash_leaf(const struct expr *x, const struct expr_code *i)
{
    switch (i->op) {
    case OP_CONST:
        return mix_double(OP_CONST, i->k);
    case OP_LAST:
    case OP_TRUTH:
    case OP_AGE:
        return mix(i->op, hash_input(x, i->a), 0);
    case OP_PARAM:
        return mix_text(mix(OP_PARAM, i->a, 0), x->param_units[i->a]);
    case OP_COUNT:
        return hash_count(&x->counts[i->a]);
    case OP_WINDOW:
    case OP_WINTRUE:
        return mix(hash_window(x, &x->windows[i->a]), i->n, i->op);
    default:
        return mix_double(mix_double(i->op, i->k), i->c);
    }
}

static uint64_t hash_in(const struct expr *x, const struct expr_code *i, uint64_t of)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < i->n; k++)
        sum += mix(OP_EQ, 0, of + mix_double(OP_CONST, x->pool[(size_t)i->k + k]));
    return sum;
}

static struct meaning join(enum expr_op op, const struct meaning *a, const struct meaning *b)
{
    uint64_t ha = whole(a), hb = whole(b);
    switch ((int)op) {
    case OP_AND:
    case OP_OR: /* members, flattened, in any order */
        return (struct meaning){op, (a->op == op ? a->sum : ha) + (b->op == op ? b->sum : hb)};
    case OP_ADD:
    case OP_MUL:
    case OP_EQ:
    case OP_NE:
        return (struct meaning){op, mix(op, 0, ha + hb)};
    case OP_GT:
        return (struct meaning){OP_LT, mix(OP_LT, hb, ha)};
    case OP_GE:
        return (struct meaning){OP_LE, mix(OP_LE, hb, ha)};
    default:
        return (struct meaning){op, mix(op, ha, hb)};
    }
}

static struct meaning meaning_of(const struct expr *x, const struct expr_code *i,
                                 struct meaning *top)
{
    if (i->op >= OP_LAST_LT && i->op <= OP_LAST_NE) {
        struct meaning input = {OP_LAST, mix(OP_LAST, hash_input(x, i->a), 0)};
        struct meaning limit = {OP_CONST, mix_double(OP_CONST, i->k)};
        return join((enum expr_op)(i->op - OP_LAST_LT + OP_LT), &input, &limit);
    }
    switch (expr_arity((enum expr_op)i->op)) {
    case 0:
        return (struct meaning){(enum expr_op)i->op, hash_leaf(x, i)};
    case 1:
        if (i->op == OP_IN && i->n > 1)
            return (struct meaning){OP_OR, hash_in(x, i, whole(top))};
        if (i->op == OP_IN)
            return (struct meaning){OP_EQ, hash_in(x, i, whole(top))};
        return (struct meaning){(enum expr_op)i->op,
                                mix_double(mix_double(mix(i->op, whole(top), 0), i->k), i->c)};
    default:
        return join((enum expr_op)i->op, top - 1, top);
    }
}

void expr_hash_make(struct expr *x)
{
    struct meaning stack[EXPR_MAX_STACK];
    size_t n = 0;
    for (const struct expr_code *i = x->code; i->op != OP_END; i++) {
        if (i->op == OP_IF_FALSE || i->op == OP_IF_TRUE)
            continue;
        struct meaning m = meaning_of(x, i, n > 0 ? &stack[n - 1] : NULL);
        n -= (size_t)expr_arity((enum expr_op)i->op);
        stack[n++] = m;
    }
    x->hash = whole(&stack[0]);
    x->window_hash = 0;
    for (size_t i = 0; i < x->n_windows; i++) {
        const struct expr_window *w = &x->windows[i];
        x->window_hash = mix(x->window_hash, hash_input(x, w->input), w->len_ns);
        x->window_hash = mix(x->window_hash, w->functions, 0);
    }
}

/* -- plausible: intervals ------------------------------------------------------------------ */

struct range {
    double lo, hi;
};

static const struct range anything = {-INFINITY, INFINITY};
static const struct range either = {0, 1};

static struct range range_of_metric(const struct metric *m)
{
    if (m->type == METRIC_BOOL)
        return either;
    struct range r = anything;
    if (m->type == METRIC_ENUM) {
        for (size_t i = 0; i < m->n_codes; i++) {
            double code = (double)m->codes[i].code;
            r.lo = i == 0 || code < r.lo ? code : r.lo;
            r.hi = i == 0 || code > r.hi ? code : r.hi;
        }
        return r;
    }
    r.lo = m->has_min ? m->min : r.lo;
    r.hi = m->has_max ? m->max : r.hi;
    return r;
}

static struct range range_of_window(const struct expr *x, const struct expr_code *i)
{
    struct range r = range_of_metric(x->inputs[x->windows[i->a].input].metric);
    switch ((enum expr_win_func)i->n) {
    case WIN_AVG:
    case WIN_MIN:
    case WIN_MAX:
    case WIN_LAST:
    case WIN_FIRST:
        return r;
    case WIN_COUNT:
    case WIN_CHANGES:
        return (struct range){0, INFINITY};
    case WIN_SUM: /* of one sample or more */
        return (struct range){r.lo >= 0 ? r.lo : -INFINITY, r.hi <= 0 ? r.hi : INFINITY};
    case WIN_STDDEV:
        return (struct range){0, r.hi - r.lo};
    case WIN_DELTA:
        return (struct range){r.lo - r.hi, r.hi - r.lo};
    case WIN_RATE:
    case WIN_FUNCS:
        break;
    }
    return anything;
}

static struct range compared(enum expr_op op, struct range a, struct range b)
{
    struct range not_either = {0, 0}, always = {1, 1};
    switch ((int)op) {
    case OP_LT:
        return a.hi < b.lo ? always : a.lo >= b.hi ? not_either : either;
    case OP_LE:
        return a.hi <= b.lo ? always : a.lo > b.hi ? not_either : either;
    case OP_GT:
        return compared(OP_LT, b, a);
    case OP_GE:
        return compared(OP_LE, b, a);
    case OP_EQ:
        if (a.lo == a.hi && b.lo == b.hi && a.lo == b.lo)
            return always;
        return a.hi < b.lo || a.lo > b.hi ? not_either : either;
    default:
        if (a.lo == a.hi && b.lo == b.hi && a.lo == b.lo)
            return not_either;
        return a.hi < b.lo || a.lo > b.hi ? always : either;
    }
}

static struct range range_of_leaf(const struct expr *x, const struct expr_code *i)
{
    switch (i->op) {
    case OP_CONST:
        return (struct range){i->k, i->k};
    case OP_LAST:
    case OP_TRUTH:
        return range_of_metric(x->inputs[i->a].metric);
    case OP_COUNT:
    case OP_AGE:
        return (struct range){0, INFINITY};
    case OP_WINDOW:
    case OP_WINTRUE:
        return range_of_window(x, i);
    case OP_HOUR:
        return (struct range){0, 23};
    case OP_WEEKDAY:
        return (struct range){1, 7};
    case OP_WORKDAY:
    case OP_BETWEEN:
        return either;
    case OP_PARAM:
        return anything;
    default:
        return compared((enum expr_op)(i->op - OP_LAST_LT + OP_LT),
                        range_of_metric(x->inputs[i->a].metric), (struct range){i->k, i->k});
    }
}

static struct range around(const double corners[4])
{
    struct range r = {corners[0], corners[0]};
    for (int i = 0; i < 4; i++) {
        if (isnan(corners[i]))
            return anything;
        r.lo = corners[i] < r.lo ? corners[i] : r.lo;
        r.hi = corners[i] > r.hi ? corners[i] : r.hi;
    }
    return r;
}

static struct range product(struct range a, struct range b)
{
    const double corners[] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
    return around(corners);
}

static struct range quotient(struct range a, struct range b)
{
    const double corners[] = {a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi};
    return b.lo <= 0 && b.hi >= 0 ? anything : around(corners);
}

static struct range listed(const struct expr *x, const struct expr_code *i, struct range a)
{
    struct range r = {0, 0};
    for (size_t k = 0; k < i->n; k++) {
        double v = x->pool[(size_t)i->k + k];
        struct range one = compared(OP_EQ, a, (struct range){v, v});
        r.lo = one.lo > r.lo ? one.lo : r.lo;
        r.hi = one.hi > r.hi ? one.hi : r.hi;
    }
    return r;
}

static struct range range_of(const struct expr *x, const struct expr_code *i, struct range a,
                             struct range b)
{
    switch (i->op) {
    case OP_NEG:
        return (struct range){-b.hi, -b.lo};
    case OP_SCALE: /* a unit's factor is positive */
        return (struct range){b.lo * i->k + i->c, b.hi * i->k + i->c};
    case OP_ADD:
        return (struct range){a.lo + b.lo, a.hi + b.hi};
    case OP_SUB:
        return (struct range){a.lo - b.hi, a.hi - b.lo};
    case OP_MUL:
        return product(a, b);
    case OP_DIV:
        return quotient(a, b);
    case OP_IN:
        return listed(x, i, b);
    case OP_NOT:
        return (struct range){1 - b.hi, 1 - b.lo};
    case OP_AND:
        return (struct range){fmin(a.lo, b.lo), fmin(a.hi, b.hi)};
    case OP_OR:
        return (struct range){fmax(a.lo, b.lo), fmax(a.hi, b.hi)};
    default:
        return compared((enum expr_op)i->op, a, b);
    }
}

enum expr_truth expr_plausible(const struct expr *x)
{
    struct range stack[EXPR_MAX_STACK];
    size_t n = 0;
    for (const struct expr_code *i = x->code; i->op != OP_END; i++) {
        int arity = expr_arity((enum expr_op)i->op);
        if (i->op == OP_IF_FALSE || i->op == OP_IF_TRUE)
            continue;
        struct range r = arity == 0   ? range_of_leaf(x, i)
                         : arity == 1 ? range_of(x, i, stack[n - 1], stack[n - 1])
                                      : range_of(x, i, stack[n - 2], stack[n - 1]);
        if (isnan(r.lo) || isnan(r.hi))
            r = anything;
        n -= (size_t)arity;
        stack[n++] = r;
    }
    return stack[0].lo == 1   ? EXPR_TRUE
           : stack[0].hi == 0 ? EXPR_FALSE
                              : expr_try_all(x); /* each input by itself was not enough */
}
