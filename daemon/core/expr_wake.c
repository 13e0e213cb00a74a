/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When may time alone change a truth? The program is walked with values that are lines in
 * time: an age grows by one a second, the rest stands still until a sample leaves a window or
 * the clock reaches an edge. Two lines compared meet at one time at most.
 */
#include "core/expr_private.h"

#define POLL_NS 1e9 /* what is no line in time is looked at so often */

struct line {
    double at, slope; /* value now, and per second */
};

struct waking {
    const struct expr *x;
    const struct expr_env *env;
    uint64_t at;
};

static void wake_at(struct waking *w, uint64_t at)
{
    if (at > w->env->now_ns && at < w->at)
        w->at = at;
}

static void wake_in(struct waking *w, double ns)
{
    if (ns < 0)
        return;
    /* One past the meeting, for < and >; ages of many days are coarser than a nanosecond. */
    double past = floor(ns) + 1;
    if (past < (double)(UINT64_MAX / 4))
        wake_at(w, w->env->now_ns + (uint64_t)past);
}

static void meet(struct waking *w, struct line a, struct line b)
{
    double gap = b.at - a.at, closing = a.slope - b.slope;
    if (isnan(gap) || closing == 0)
        return;
    double ns = gap / closing * EXPR_NANOS;
    if (ns > 1) /* and just before, for <= and ==, whatever rounding does */
        wake_at(w, w->env->now_ns + (ns < 9e18 ? (uint64_t)ns : UINT64_MAX / 4));
    wake_in(w, ns);
}

static struct line curve(struct waking *w, double at)
{
    wake_in(w, POLL_NS - 1);
    return (struct line){at, 0};
}

static struct line leaf(struct waking *w, const struct expr_state *s, const struct expr_code *i)
{
    const struct expr *x = w->x;
    if (i->op == OP_WINDOW || i->op == OP_WINTRUE) {
        if (s)
            wake_at(w, expr_window_leaves(&x->windows[i->a], &s->rings[i->a], w->env->now_ns));
    } else if (i->op >= OP_HOUR && i->op <= OP_BETWEEN) {
        int64_t ms = expr_clock_next(w->env, i);
        if (ms > 0 && ms < INT64_MAX / 2000000)
            wake_at(w, w->env->now_ns + (uint64_t)ms * 1000000);
    }
    double slope = 0;
    if (i->op == OP_AGE) {
        uint64_t stands_to = expr_age_of(w->env, i->n).stands_to;
        slope = stands_to == 0;
        if (stands_to != UINT64_MAX)
            wake_at(w, stands_to);
    }
    return (struct line){expr_leaf_value(x, s, w->env, i), slope};
}

static struct line branch(struct waking *w, const struct expr_code *i, struct line a,
                          struct line b)
{
    double v = expr_apply(w->x, i, a.at, b.at);
    switch (i->op) {
    case OP_NEG:
        return (struct line){v, -b.slope};
    case OP_SCALE:
        return (struct line){v, b.slope * i->k};
    case OP_ADD:
        return (struct line){v, a.slope + b.slope};
    case OP_SUB:
        return (struct line){v, a.slope - b.slope};
    case OP_MUL:
        if (a.slope != 0 && b.slope != 0)
            return curve(w, v);
        return (struct line){v, a.slope * b.at + b.slope * a.at};
    case OP_DIV:
        if (b.slope != 0)
            return curve(w, v);
        return (struct line){v, a.slope / b.at};
    case OP_IN:
        return b.slope != 0 ? curve(w, v) : (struct line){v, 0};
    case OP_NOT:
    case OP_AND:
    case OP_OR:
        return (struct line){v, 0};
    default:
        meet(w, a, b);
        return (struct line){v, 0};
    }
}

uint64_t expr_wake_ns(const struct expr *x, const struct expr_state *s,
                      const struct expr_env *env)
{
    struct waking w = {x, env, UINT64_MAX};
    struct line stack[EXPR_MAX_STACK];
    size_t n = 0;
    if (!x->timed)
        return UINT64_MAX;
    for (const struct expr_code *i = x->code; i->op != OP_END; i++) {
        struct line b = n > 0 ? stack[n - 1] : (struct line){0, 0};
        if (i->op == OP_IF_FALSE || i->op == OP_IF_TRUE)
            continue;
        switch (expr_arity((enum expr_op)i->op)) {
        case 0:
            stack[n++] = leaf(&w, s, i);
            break;
        case 1:
            stack[n - 1] = branch(&w, i, b, b);
            break;
        default:
            n--;
            stack[n - 1] = branch(&w, i, stack[n - 1], b);
        }
    }
    return w.at;
}
