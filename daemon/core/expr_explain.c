/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a condition for people: each comparison, or truth that stands alone, with what
 * it reads now and what follows.
 */
#include "base/num.h"
#include "core/expr_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIGITS 6

struct part { /* of the stack: the instructions from which its top came */
    double v;
    size_t begin;
};

static void put_number(struct buf *out, double v, const char *unit)
{
    char room[NUM_MAX];
    (void)buf_put(out, room, num_put_double(room, expr_round(v, DIGITS)));
    if (unit && strcmp(unit, "1") != 0)
        (void)buf_printf(out, " %s", unit);
}

static void put_metric(struct buf *out, const struct metric *m, double v)
{
    const struct metric_code *code =
        m->type == METRIC_ENUM && fabs(v) < 9e15 ? metric_code_by_number(m, (int64_t)v) : NULL;
    if (code)
        (void)buf_puts(out, code->name);
    else if (m->type == METRIC_BOOL)
        (void)buf_puts(out, v != 0 ? "true" : "false");
    else
        put_number(out, v, m->unit);
}

static void put_window(struct buf *out, const struct metric *m, enum expr_win_func f, double v)
{
    char unit[EXPR_UNIT_TEXT];
    bool counts = f == WIN_COUNT || f == WIN_CHANGES;
    bool picks = f == WIN_LAST || f == WIN_FIRST || f == WIN_MIN || f == WIN_MAX;
    (void)snprintf(unit, sizeof(unit), "%.40s/s",
                   m->unit && strcmp(m->unit, "1") != 0 ? m->unit : "");
    if (picks)
        put_metric(out, m, v);
    else
        put_number(out, v,
                   counts || m->type == METRIC_BOOL ? NULL
                   : f == WIN_RATE                  ? unit
                                                    : m->unit);
}

static void put_value(const struct expr *x, const struct expr_code *i, double v,
                      struct buf *out)
{
    if (isnan(v)) {
        (void)buf_puts(out, "unknown");
        return;
    }
    switch (i->op) {
    case OP_PARAM:
        put_number(out, v, x->param_units[i->a]);
        break;
    case OP_AGE:
        put_number(out, v, "s");
        break;
    case OP_WINDOW:
    case OP_WINTRUE:
        put_window(out, x->inputs[x->windows[i->a].input].metric, (enum expr_win_func)i->n, v);
        break;
    case OP_COUNT:
    case OP_HOUR:
    case OP_WEEKDAY:
        put_number(out, v, NULL);
        break;
    case OP_WORKDAY:
    case OP_BETWEEN:
        (void)buf_puts(out, v != 0 ? "true" : "false");
        break;
    default:
        put_metric(out, x->inputs[i->a].metric, v);
    }
}

static bool is_input_compared(const struct expr_code *i)
{
    return i->op >= OP_LAST_LT && i->op <= OP_LAST_NE;
}

static void put_text(const struct expr *x, size_t at, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) { /* a condition may be written over several lines */
        char c = x->text[at + i];
        (void)buf_putc(out, c == '\n' || c == '\r' || c == '\t' ? ' ' : c);
    }
}

static void put_line(const struct expr *x, struct expr_state *s, const struct expr_env *env,
                     size_t begin, size_t end, double v, struct buf *out)
{
    const struct expr_code *root = &x->code[end];
    size_t leaves = 0, said = 0;
    for (size_t i = begin; i <= end; i++)
        leaves += expr_arity((enum expr_op)x->code[i].op) == 0 && x->code[i].op != OP_CONST;
    bool reads = leaves > 0 && (root->op != OP_TRUTH && root->op != OP_WINTRUE &&
                                root->op != OP_WORKDAY && root->op != OP_BETWEEN);
    put_text(x, root->at, root->len, out);
    (void)buf_puts(out, ": ");
    for (size_t i = begin; reads && i <= end; i++) {
        const struct expr_code *k = &x->code[i];
        if (expr_arity((enum expr_op)k->op) != 0 || k->op == OP_CONST)
            continue;
        struct expr_code leaf = *k;
        if (is_input_compared(k))
            leaf.op = OP_LAST;
        (void)buf_puts(out, said++ ? "; " : "");
        if (leaves > 1) {
            put_text(x, k->at, k->len, out);
            (void)buf_puts(out, " = ");
        }
        put_value(x, &leaf, expr_leaf_value(x, s, env, &leaf), out);
    }
    (void)buf_puts(out, reads ? ", " : "");
    (void)buf_puts(out, isnan(v) ? "unknown\n" : v != 0 ? "true\n" : "false\n");
}

/* A comparison, or a truth that no comparison takes in. */
static bool is_part(const struct expr_code *i)
{
    return (i->op >= OP_LT && i->op <= OP_IN) || is_input_compared(i);
}

static bool is_lone(const struct expr_code *i)
{
    return i->op == OP_TRUTH || i->op == OP_WINTRUE || i->op == OP_WORKDAY ||
           i->op == OP_BETWEEN;
}

/* Which values a comparison takes in: they are not parts of their own. */
static void mark_compared(const struct expr *x, bool compared[EXPR_MAX_CODE])
{
    uint16_t stack[EXPR_MAX_STACK];
    size_t n = 0;
    for (size_t i = 0; x->code[i].op != OP_END; i++) {
        size_t arity = (size_t)expr_arity((enum expr_op)x->code[i].op);
        if (x->code[i].op == OP_IF_FALSE || x->code[i].op == OP_IF_TRUE)
            continue;
        for (size_t k = 0; k < arity; k++)
            compared[stack[n - 1 - k]] = is_part(&x->code[i]);
        n -= arity;
        stack[n++] = (uint16_t)i;
    }
}

int expr_explain(const struct expr *x, struct expr_state *s, const struct expr_env *env,
                 struct buf *out)
{
    struct part stack[EXPR_MAX_STACK];
    bool compared[EXPR_MAX_CODE] = {false};
    size_t n = 0;
    mark_compared(x, compared);
    if (x->n_code == 2 && x->code[0].op == OP_CONST)
        (void)buf_printf(out, "always %s\n", x->code[0].k != 0 ? "true" : "false");
    for (size_t i = 0; x->code[i].op != OP_END; i++) {
        const struct expr_code *k = &x->code[i];
        int arity = expr_arity((enum expr_op)k->op);
        if (k->op == OP_IF_FALSE || k->op == OP_IF_TRUE)
            continue;
        struct part *b = arity > 0 ? &stack[n - 1] : NULL, *a = arity == 2 ? b - 1 : b;
        size_t begin = a ? a->begin : i;
        double v = arity == 0 ? expr_leaf_value(x, s, env, k) : expr_apply(x, k, a->v, b->v);
        n -= (size_t)arity;
        stack[n++] = (struct part){v, begin};
        if (is_part(k) || (is_lone(k) && !compared[i]))
            put_line(x, s, env, begin, i, v, out);
    }
    return out->failed ? -ENOBUFS : 0;
}
