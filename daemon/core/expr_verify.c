/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a program is safe to run and to walk, whoever wrote it: nothing in here trusts the compiler,
 * or memory that was changed since. What is accepted ends, needs at most EXPR_MAX_STACK values,
 * reads only inputs, windows, parameters, counts and listed values that there are, and takes truths where
 * truths are wanted and numbers where numbers are. One pass, no more than the program is long.
 */
#include "core/expr_private.h"

#include <string.h>

enum sort { TRUTH = 1, NUMBER = 2, EITHER = 3 };

struct made {
    size_t begin; /* the first instruction of those that make it */
    unsigned sort;
};

struct verifying {
    const struct expr *x;
    struct made stack[EXPR_MAX_STACK];
    size_t depth;
    size_t jumps, joins; /* each jump belongs to one `and` or `or` */
};

static bool push(struct verifying *v, size_t begin, unsigned sort)
{
    if (v->depth == EXPR_MAX_STACK || !sort)
        return false;
    v->stack[v->depth++] = (struct made){begin, sort};
    return true;
}

static unsigned sort_of_metric(const struct expr *x, unsigned input)
{
    enum metric_type type = x->inputs[input].metric->type;
    return type == METRIC_BOOL ? TRUTH : type == METRIC_STRING ? 0 : NUMBER;
}

static bool reads_slot(const struct expr *x, const struct expr_code *i)
{
    return i->a < x->n_inputs && i->n == x->slots[i->a];
}

static bool has_minutes(double k)
{
    return k >= 0 && k <= 24 * 60 && k == floor(k);
}

/* What a window's function says; 0: there is no such window, or it does not keep what is wanted. */
static unsigned sort_of_window(const struct expr *x, const struct expr_code *i)
{
    if (i->a >= x->n_windows || i->n >= WIN_FUNCS || !(x->windows[i->a].functions >> i->n & 1))
        return 0;
    return i->op == OP_WINTRUE ? TRUTH : NUMBER;
}

/* Of an instruction that takes nothing; 0: it is none, or not a good one. */
static unsigned sort_of_leaf(const struct expr *x, const struct expr_code *i)
{
    switch (i->op) {
    case OP_CONST:
        return !isfinite(i->k) ? 0 : i->k == 0 || i->k == 1 ? EITHER : NUMBER;
    case OP_LAST:
        return reads_slot(x, i) ? sort_of_metric(x, i->a) & NUMBER : 0;
    case OP_TRUTH:
        return reads_slot(x, i) ? sort_of_metric(x, i->a) & TRUTH : 0;
    case OP_AGE:
        return reads_slot(x, i) ? NUMBER : 0;
    case OP_PARAM:
        return expr_reads_param(x, i->a) ? NUMBER : 0;
    case OP_COUNT:
        return i->a < x->n_counts ? NUMBER : 0;
    case OP_WINDOW:
    case OP_WINTRUE:
        return sort_of_window(x, i);
    case OP_HOUR:
    case OP_WEEKDAY:
        return NUMBER;
    case OP_WORKDAY:
        return TRUTH;
    case OP_BETWEEN:
        return has_minutes(i->k) && has_minutes(i->c) ? TRUTH : 0;
    default: /* OP_LAST_LT … */
        return reads_slot(x, i) && !isnan(i->k) && sort_of_metric(x, i->a) == NUMBER ? TRUTH
                                                                                     : 0;
    }
}

static bool is_listed(const struct expr *x, const struct expr_code *i)
{
    return i->n > 0 && i->k >= 0 && i->k <= EXPR_MAX_CODE && i->k == floor(i->k) &&
           (size_t)i->k + i->n <= x->n_pool;
}

/* Of one with one operand. */
static unsigned sort_of_unary(const struct expr *x, const struct expr_code *i, unsigned of)
{
    switch (i->op) {
    case OP_NEG:
        return of & NUMBER;
    case OP_SCALE: /* a unit's factor is positive */
        return i->k > 0 && isfinite(i->k) && isfinite(i->c) ? of & NUMBER : 0;
    case OP_IN:
        return is_listed(x, i) ? TRUTH : 0;
    default: /* OP_NOT */
        return of & TRUTH;
    }
}

/* Of one with two. */
static unsigned sort_of_binary(const struct expr_code *i, unsigned a, unsigned b)
{
    unsigned same = a & b;
    if (i->op >= OP_ADD && i->op <= OP_DIV)
        return same & NUMBER;
    if (i->op == OP_EQ || i->op == OP_NE)
        return same ? TRUTH : 0;
    if (i->op == OP_AND || i->op == OP_OR)
        return same & TRUTH;
    return same & NUMBER ? TRUTH : 0;
}

/* `and` and `or` are jumped over from before their second operand to behind them, else it would not be known
 * how many values there are. */
static bool is_joined(struct verifying *v, size_t at, const struct made *b)
{
    const struct expr_code *i = &v->x->code[at];
    if (i->op != OP_AND && i->op != OP_OR)
        return true;
    if (b->begin == 0)
        return false;
    const struct expr_code *jump = &v->x->code[b->begin - 1];
    v->joins++;
    return jump->op == (i->op == OP_AND ? OP_IF_FALSE : OP_IF_TRUE) &&
           jump->n == at + 1 - (b->begin - 1);
}

static bool step(struct verifying *v, size_t at)
{
    const struct expr *x = v->x;
    const struct expr_code *i = &x->code[at];
    if (i->op >= OP_END || i->at > x->len || i->len > x->len - i->at)
        return false;
    size_t arity = (size_t)expr_arity((enum expr_op)i->op);
    if (arity > v->depth)
        return false;
    if (arity == 0)
        return push(v, at, sort_of_leaf(x, i));
    struct made *b = &v->stack[v->depth - 1], *a = b - (arity - 1);
    if (i->op == OP_IF_FALSE || i->op == OP_IF_TRUE) {
        v->jumps++;
        return (b->sort & TRUTH) != 0; /* it stays there; the operand behind it begins anew */
    }
    if (arity == 1) {
        b->sort = sort_of_unary(x, i, b->sort);
        return b->sort != 0;
    }
    a->sort = is_joined(v, at, b) ? sort_of_binary(i, a->sort, b->sort) : 0;
    v->depth--;
    return a->sort != 0;
}

static bool windows_good(const struct expr *x)
{
    for (size_t i = 0; i < x->n_windows; i++) {
        const struct expr_window *w = &x->windows[i];
        struct expr_window laid = *w;
        if (w->input >= x->n_inputs || w->functions >> WIN_FUNCS || w->len_ns == 0 ||
            w->width_ns != w->len_ns / (EXPR_BUCKETS - 2) + 1)
            return false;
        expr_window_layout(&laid);
        if (laid.words != w->words || memcmp(laid.place, w->place, sizeof(laid.place)) != 0)
            return false;
    }
    return true;
}

/* What is said about the program beside it. */
static bool frame_good(const struct expr *x)
{
    bool timed = x->n_windows > 0;
    if (x->n_code < 2 || x->n_code > EXPR_MAX_CODE + 1 || x->code[x->n_code - 1].op != OP_END ||
        x->n_inputs > EXPR_MAX_INPUTS || x->n_counts > EXPR_MAX_COUNTS ||
        x->n_params > EXPR_MAX_PARAMS || x->n_windows > EXPR_MAX_WINDOWS)
        return false;
    for (size_t i = 0; i < x->n_code; i++)
        timed = timed || (x->code[i].op >= OP_HOUR && x->code[i].op <= OP_BETWEEN) ||
                x->code[i].op == OP_AGE;
    return (x->timed || !timed) &&
           (x->subject < x->n_inputs || x->subject == EXPR_NO_SUBJECT) &&
           (x->limit_param < 0 || expr_reads_param(x, (unsigned)x->limit_param)) &&
           windows_good(x);
}

bool expr_verify(const struct expr *x)
{
    struct verifying v = {.x = x};
    if (!frame_good(x))
        return false;
    for (size_t i = 0; i + 1 < x->n_code; i++)
        if (!step(&v, i))
            return false;
    return v.depth == 1 && (v.stack[0].sort & TRUTH) && v.jumps == v.joins;
}
