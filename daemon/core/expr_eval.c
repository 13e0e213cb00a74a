/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program, run. A truth is 0, 1 or NaN (unknown), so that unknown numbers make unknown
 * comparisons without a test of their own.
 */
#include "core/expr_private.h"

double expr_compare(enum expr_op op, double a, double b)
{
    if (isunordered(a, b))
        return NAN;
    switch ((int)op) {
    case OP_LT:
        return a < b;
    case OP_LE:
        return a <= b;
    case OP_GT:
        return a > b;
    case OP_GE:
        return a >= b;
    case OP_EQ:
        return a == b;
    default:
        return a != b;
    }
}

static double known(double v)
{
    return isfinite(v) ? v : NAN;
}

static double and (double a, double b)
{
    if (a == 0 || b == 0)
        return 0;
    return isunordered(a, b) ? NAN : 1;
}

static double or (double a, double b)
{
    if (a == 1 || b == 1)
        return 1;
    return isunordered(a, b) ? NAN : 0;
}

static double listed(const struct expr *x, const struct expr_code *i, double v)
{
    if (isnan(v))
        return NAN;
    const double *list = x->pool + (size_t)i->k;
    for (size_t k = 0; k < i->n; k++)
        if (list[k] == v)
            return 1;
    return 0;
}

static double truth(double v)
{
    return isnan(v) ? NAN : v != 0;
}

/* A stretch in which we could hear and heard nothing; not the first one, it counts only when who is
 * there should have spoken. */
static uint64_t stretch(const struct expr_env *env, uint64_t since, uint64_t from, uint64_t to)
{
    uint64_t ns = to > from ? to - from : 0;
    return from == since || ns >= env->grace_ns ? ns : 0;
}

struct expr_age expr_age_of(const struct expr_env *env, unsigned slot)
{
    uint64_t since = env->last[slot].at_ns ? env->last[slot].at_ns : env->since_ns;
    uint64_t from = since, now = env->now_ns, most = 0;
    for (size_t i = 0; i < env->n_deaf && env->deaf[i].from_ns <= now; i++) {
        const struct expr_deaf *d = &env->deaf[i];
        if (d->to_ns <= from)
            continue;
        uint64_t ns = stretch(env, since, from, d->from_ns);
        most = ns > most ? ns : most;
        from = d->to_ns;
    }
    if (from > now && from > since)
        return (struct expr_age){most, from};
    uint64_t ns = stretch(env, since, from, now);
    if (from == since || (ns >= most && ns > 0))
        return (struct expr_age){ns > most ? ns : most, 0};
    uint64_t behind = most > env->grace_ns ? most : env->grace_ns;
    return (struct expr_age){most, from > UINT64_MAX - behind ? UINT64_MAX : from + behind};
}

double expr_apply(const struct expr *x, const struct expr_code *i, double a, double b)
{
    switch (i->op) {
    case OP_NEG:
        return -b;
    case OP_SCALE:
        return known(b * i->k + i->c);
    case OP_ADD:
        return known(a + b);
    case OP_SUB:
        return known(a - b);
    case OP_MUL:
        return known(a * b);
    case OP_DIV:
        return known(a / b);
    case OP_IN:
        return listed(x, i, b);
    case OP_NOT:
        return 1 - b;
    case OP_AND:
        return and(a, b);
    case OP_OR:
        return or (a, b);
    default:
        return expr_compare((enum expr_op)i->op, a, b);
    }
}

double expr_leaf_value(const struct expr *x, const struct expr_state *s,
                       const struct expr_env *env, const struct expr_code *i)
{
    double v;
    switch (i->op) {
    case OP_CONST:
        return i->k;
    case OP_LAST:
        return env->last[i->n].v;
    case OP_TRUTH:
        return truth(env->last[i->n].v);
    case OP_PARAM:
        return env->params[i->a];
    case OP_COUNT:
        return env->counts[i->a];
    case OP_AGE:
        return (double)expr_age_of(env, i->n).ns / EXPR_NANOS;
    case OP_WINDOW:
    case OP_WINTRUE:
        if (!s)
            return NAN;
        v = expr_window_value(&x->windows[i->a], &s->rings[i->a], (enum expr_win_func)i->n,
                              env->now_ns);
        return i->op == OP_WINDOW ? v : truth(v);
    case OP_HOUR:
        return expr_clock_hour(env);
    case OP_WEEKDAY:
        return expr_clock_weekday(env);
    case OP_WORKDAY:
        return expr_clock_workday(env);
    case OP_BETWEEN:
        return expr_clock_between(env, i->k, i->c);
    default: /* OP_LAST_LT … */
        return expr_compare((enum expr_op)(i->op - OP_LAST_LT + OP_LT), env->last[i->n].v,
                            i->k);
    }
}

/* One comparison of one input is most rules: it does not leave this function. */
#define INPUT_COMPARED(op)                                                                     \
    v = env->last[i->n].v;                                                                     \
    *sp++ = isnan(v) ? NAN : v op i->k;                                                        \
    break

bool expr_count_matters(const struct expr *x, unsigned count, double from, double to)
{
    for (const struct expr_code *i = x->code; i->op != OP_END; i++) {
        const struct expr_code *k = i + 1, *op = i + 2;
        if (i->op != OP_COUNT || i->a != count)
            continue;
        bool behind = i > x->code && i[-1].op == OP_CONST; /* 3 < count_over(…) */
        if (behind && k->op >= OP_LT && k->op <= OP_NE) {
            if (expr_compare((enum expr_op)k->op, i[-1].k, from) !=
                expr_compare((enum expr_op)k->op, i[-1].k, to))
                return true;
        } else if (k->op == OP_CONST && op->op >= OP_LT && op->op <= OP_NE) {
            if (expr_compare((enum expr_op)op->op, from, k->k) !=
                expr_compare((enum expr_op)op->op, to, k->k))
                return true;
        } else {
            return true;
        }
    }
    return false;
}

/* If that is false, so is all: nothing but ends of `and` come behind it. */
static bool decides(const struct expr_code *i)
{
    for (i++; i->op == OP_IF_FALSE;)
        i += i->n;
    return i->op == OP_END;
}

bool expr_false_within(const struct expr *x, unsigned *out_slot, double *out_lo, double *out_hi)
{
    const struct expr_code *i = x->code;
    double lo = -INFINITY, hi = INFINITY;
    switch ((int)i->op) {
    case OP_LAST_LT:
        lo = i->k;
        break;
    case OP_LAST_LE:
        lo = nextafter(i->k, INFINITY);
        break;
    case OP_LAST_GT:
        hi = i->k;
        break;
    case OP_LAST_GE:
        hi = nextafter(i->k, -INFINITY);
        break;
    case OP_LAST_NE:
        lo = hi = i->k;
        break;
    case OP_LAST:
    case OP_TRUTH:
        lo = hi = 0;
        break;
    default:
        return false;
    }
    if (!isfinite(i->k) || !decides(i))
        return false;
    *out_slot = i->n;
    *out_lo = lo;
    *out_hi = hi;
    return true;
}

enum expr_truth expr_eval(const struct expr *x, struct expr_state *s,
                          const struct expr_env *env)
{
    double stack[EXPR_MAX_STACK], *sp = stack, v;
    for (const struct expr_code *i = x->code;; i++) {
        switch ((enum expr_op)i->op) {
        case OP_END:
            return EXPR_TRUTH_OF(stack[0]);
        case OP_LAST_LT:
            INPUT_COMPARED(<);
        case OP_LAST_LE:
            INPUT_COMPARED(<=);
        case OP_LAST_GT:
            INPUT_COMPARED(>);
        case OP_LAST_GE:
            INPUT_COMPARED(>=);
        case OP_LAST_EQ:
            INPUT_COMPARED(==);
        case OP_LAST_NE:
            INPUT_COMPARED(!=);
        case OP_LAST:
            *sp++ = env->last[i->n].v;
            break;
        case OP_CONST:
            *sp++ = i->k;
            break;
        case OP_IF_FALSE:
            if (sp[-1] == 0)
                i += i->n - 1;
            break;
        case OP_IF_TRUE:
            if (sp[-1] == 1)
                i += i->n - 1;
            break;
        case OP_NEG:
        case OP_SCALE:
        case OP_IN:
        case OP_NOT:
            sp[-1] = expr_apply(x, i, 0, sp[-1]);
            break;
        case OP_ADD:
        case OP_SUB:
        case OP_MUL:
        case OP_DIV:
        case OP_LT:
        case OP_LE:
        case OP_GT:
        case OP_GE:
        case OP_EQ:
        case OP_NE:
        case OP_AND:
        case OP_OR:
            sp--;
            sp[-1] = expr_apply(x, i, sp[-1], *sp);
            break;
        case OP_TRUTH:
        case OP_PARAM:
        case OP_COUNT:
        case OP_AGE:
        case OP_WINDOW:
        case OP_WINTRUE:
        case OP_HOUR:
        case OP_WEEKDAY:
        case OP_WORKDAY:
        case OP_BETWEEN:
        case OPS:
            *sp++ = expr_leaf_value(x, s, env, i);
            break;
        }
    }
}
