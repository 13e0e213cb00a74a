/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a condition can be true or false at all, by trying: where it only compares numbers with
 * constants, its truth changes nowhere but there, so that a few values of each input stand for all, and so do
 * a few times of a week. Finds what intervals cannot: "level > 1 or level < 2", "hour() >= 22 and hour() < 6".
 */
#include "core/expr_private.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 128, MAX_TRIES = 4096, MAX_TIMES = 1024 };

struct values { /* of one input, that stand for all of them */
    double list[MAX_VALUES];
    size_t n;
};

static bool add(struct values *v, double value)
{
    if (v->n == MAX_VALUES)
        return false;
    v->list[v->n++] = value;
    return true;
}

/* The constants with which the program compares input `a`; false: it does something else with it. */
static bool limits_of(const struct expr *x, unsigned a, struct values *v)
{
    for (const struct expr_code *i = x->code; i->op != OP_END; i++) {
        bool compared = i->op >= OP_LAST_LT && i->op <= OP_LAST_NE;
        if ((!compared && i->op != OP_LAST) || i->a != a)
            continue;
        if (compared && !add(v, i->k))
            return false;
        if (!compared && i[1].op != OP_IN)
            return false;
        for (size_t k = 0; !compared && k < i[1].n; k++)
            if (!add(v, x->pool[(size_t)i[1].k + k]))
                return false;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One of each stretch between its limits, the limits and the ends, as far as they are plausible. */
static bool numbers_of(const struct expr *x, unsigned a, const struct metric *m,
                       struct values *v)
{
    struct values limits = {.n = 0};
    double lo = m->has_min ? m->min : -INFINITY, hi = m->has_max ? m->max : INFINITY;
    if (!limits_of(x, a, &limits) || limits.n == 0 || limits.n > MAX_VALUES / 2 - 4)
        return false;
    qsort(limits.list, limits.n, sizeof(*limits.list), by_value);
    double first = limits.list[0], last = limits.list[limits.n - 1];
    double tries[MAX_VALUES] = {lo, hi, first - 1 - fabs(first), last + 1 + fabs(last)};
    size_t n = 4;
    for (size_t i = 0; i < limits.n; i++) {
        tries[n++] = limits.list[i];
        if (i)
            tries[n++] = limits.list[i - 1] + (limits.list[i] - limits.list[i - 1]) / 2;
    }
    for (size_t i = 0; i < n; i++)
        if (isfinite(tries[i]) && tries[i] >= lo && tries[i] <= hi)
            (void)add(v, tries[i]);
    return v->n > 0;
}

static bool values_of(const struct expr *x, unsigned a, struct values *v)
{
    const struct metric *m = x->inputs[a].metric;
    if (m->type == METRIC_BOOL)
        return add(v, 0) && add(v, 1);
    if (m->type != METRIC_ENUM)
        return numbers_of(x, a, m, v);
    for (size_t i = 0; i < m->n_codes; i++)
        if (!add(v, (double)m->codes[i].code))
            return false;
    return v->n > 0;
}

/* Nothing but what its inputs say now, and the clock; holidays can be on any day. */
static bool is_of_values(const struct expr *x)
{
    if (x->n_windows || x->n_counts || x->n_params || (x->n_inputs == 0 && !x->timed))
        return false;
    for (const struct expr_code *i = x->code; i->op != OP_END; i++)
        if (i->op == OP_AGE || i->op == OP_WORKDAY)
            return false;
    for (size_t i = 0; i < x->n_inputs; i++)
        if (x->slots[i] >= EXPR_MAX_INPUTS)
            return false;
    return true;
}

struct times { /* minutes of a week in UTC, that stand for all of them */
    int minute[MAX_TIMES];
    size_t n;
};

static bool add_time(struct times *t, int minute)
{
    if (t->n == MAX_TIMES)
        return false;
    t->minute[t->n++] = minute;
    return true;
}

/* Each hour of each day, and where a span of the day begins and ends. */
static bool times_of(const struct expr *x, struct times *t)
{
    t->n = 0;
    if (!x->timed)
        return add_time(t, 0);
    bool good = true;
    for (int hour = 0; hour < 7 * 24; hour++)
        good = add_time(t, hour * 60);
    for (const struct expr_code *i = x->code; i->op != OP_END; i++)
        for (int day = 0; day < 7 && i->op == OP_BETWEEN; day++)
            good = good && add_time(t, day * 1440 + (int)i->k % 1440) &&
                   add_time(t, day * 1440 + (int)i->c % 1440);
    return good;
}

enum expr_truth expr_try_all(const struct expr *x)
{
    struct times times;
    struct values of[EXPR_MAX_INPUTS];
    struct expr_last last[EXPR_MAX_INPUTS] = {{0}};
    struct expr_env env = {.now_ns = 1, .since_ns = 1, .last = last};
    size_t tries = 1, seen[3] = {0};
    if (!is_of_values(x) || !times_of(x, &times))
        return EXPR_UNKNOWN;
    tries = times.n;
    for (unsigned i = 0; i < x->n_inputs; i++) {
        of[i].n = 0;
        if (!values_of(x, i, &of[i]) || of[i].n > MAX_TRIES / tries)
            return EXPR_UNKNOWN;
        tries *= of[i].n;
    }
    for (size_t t = 0; t < tries; t++) {
        env.wall_ms = (int64_t)times.minute[t % times.n] * 60000;
        for (size_t i = 0, rest = t / times.n; i < x->n_inputs; rest /= of[i].n, i++)
            last[x->slots[i]] = (struct expr_last){of[i].list[rest % of[i].n], 1};
        enum expr_truth truth = expr_eval(x, NULL, &env);
        seen[truth == EXPR_TRUE ? 1 : truth == EXPR_FALSE ? 0 : 2]++;
    }
    return seen[1] == tries ? EXPR_TRUE : seen[0] == tries ? EXPR_FALSE : EXPR_UNKNOWN;
}
