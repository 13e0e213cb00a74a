/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes into the program: postfix order, constants folded, conversions folded into constants,
 * `and` and `or` with jumps forward over what no longer matters. An operand's instructions are
 * contiguous, and the last of them is its root: the folding leans on that.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/expr_private.h"

#include <stdlib.h>
#include <string.h>

struct emitter {
    struct expr_compiler *c;
    struct expr_code *code;
    size_t n;
    double pool[EXPR_MAX_CODE];
    size_t n_pool;
    unsigned depth, deepest;
};

double expr_round(double v, int digits)
{
    if (v == 0 || !isfinite(v))
        return v;
    int e = digits - 1 - (int)floor(log10(fabs(v)));
    if (e > 22 || e < -22) /* powers of ten beyond are not exact */
        return v;
    double p = pow(10, e < 0 ? -e : e);
    return e < 0 ? round(v / p) * p : round(v * p) / p;
}

static struct expr_code *put(struct emitter *e, const struct expr_node *n, enum expr_op op)
{
    if (e->n == EXPR_MAX_CODE) {
        expr_fail(e->c, n->at, "a condition of more than %d steps, expected a simpler one",
                  EXPR_MAX_CODE);
        e->n--; /* goes on, to no end */
    }
    struct expr_code *k = &e->code[e->n++];
    *k = (struct expr_code){.op = (uint8_t)op, .at = n->at, .len = (uint16_t)(n->end - n->at)};
    return k;
}

static void put_const(struct emitter *e, const struct expr_node *n, double v)
{
    put(e, n, OP_CONST)->k = v;
}

/* The only instruction since `begin` is a constant. */
static bool is_const(const struct emitter *e, size_t begin)
{
    return e->n == begin + 1 && e->code[begin].op == OP_CONST;
}

static void emit(struct emitter *e, const struct expr_node *n);

/* The operand, in the unit its parent wants. */
static void emit_scaled(struct emitter *e, const struct expr_node *n)
{
    size_t begin = e->n;
    emit(e, n);
    if (n->scale == 1 && n->shift == 0)
        return;
    if (is_const(e, begin)) {
        e->code[begin].k = expr_round(e->code[begin].k * n->scale + n->shift, 15);
        return;
    }
    struct expr_code *k = put(e, n, OP_SCALE);
    k->k = n->scale;
    k->c = n->shift;
}

static void check_finite(struct emitter *e, const struct expr_node *n, double v)
{
    if (!isfinite(v))
        expr_fail(e->c, n->op_at, "the constant '%.*s' has no finite value, expected one",
                  n->end - n->at < 60 ? n->end - n->at : 60, e->c->text + n->at);
}

static void emit_arithmetic(struct emitter *e, const struct expr_node *n, enum expr_op op)
{
    size_t l = e->n;
    emit_scaled(e, n->l);
    size_t r = e->n;
    emit_scaled(e, n->r);
    if (r == l + 1 && is_const(e, r) && e->code[l].op == OP_CONST) {
        struct expr_code k = {.op = (uint8_t)op};
        double v = expr_apply(e->c->x, &k, e->code[l].k, e->code[r].k);
        check_finite(e, n, v);
        e->n = l;
        put_const(e, n, v);
        return;
    }
    if (op == OP_DIV && is_const(e, r) && e->code[r].k == 0)
        expr_fail(e->c, n->op_at, "a division by 0 has no value, expected another divisor");
    put(e, n, op);
}

static enum expr_op mirrored(enum expr_op op)
{
    return op == OP_LT   ? OP_GT
           : op == OP_LE ? OP_GE
           : op == OP_GT ? OP_LT
           : op == OP_GE ? OP_LE
                         : op;
}

static bool reads_input(const struct expr_code *k)
{
    return k->op == OP_LAST || k->op == OP_TRUTH || k->op == OP_WINDOW || k->op == OP_WINTRUE ||
           (k->op >= OP_LAST_LT && k->op <= OP_LAST_NE);
}

static uint8_t input_of(const struct expr *x, const struct expr_code *k)
{
    return k->op == OP_WINDOW || k->op == OP_WINTRUE ? x->windows[k->a].input : k->a;
}

static bool find_subject(struct emitter *e, size_t begin)
{
    struct expr *x = e->c->x;
    for (size_t i = begin; i < e->n && x->subject == EXPR_NO_SUBJECT; i++)
        if (reads_input(&e->code[i]))
            x->subject = input_of(x, &e->code[i]);
    return x->subject != EXPR_NO_SUBJECT;
}

/* Its own values, so that a limit of this is a limit of the metric. */
static bool is_plain(const struct expr_code *k)
{
    return k->op == OP_LAST ||
           (k->op == OP_WINDOW && (k->n == WIN_AVG || k->n == WIN_MIN || k->n == WIN_MAX ||
                                   k->n == WIN_LAST || k->n == WIN_FIRST));
}

/* What the subject is compared with, when that is a constant or a parameter. */
static void find_limit(struct emitter *e, size_t l, size_t r)
{
    struct expr *x = e->c->x;
    size_t ln = r - l, rn = e->n - r, other = r, n = rn;
    if (ln != 1 || !is_plain(&e->code[l])) {
        if (rn != 1 || !is_plain(&e->code[r]))
            return;
        other = l;
        n = ln;
    }
    const struct expr_code *k = &e->code[other];
    if (n == 1 && k->op == OP_CONST)
        x->limit = k->k;
    bool scaled = n == 2 && k[1].op == OP_SCALE;
    if (k->op != OP_PARAM || (n != 1 && !scaled))
        return;
    x->limit_param = k->a;
    x->limit = scaled ? k[1].k : 1;
    x->limit_shift = scaled ? k[1].c : 0;
}

static void emit_comparison(struct emitter *e, const struct expr_node *n, enum expr_op op)
{
    struct expr *x = e->c->x;
    size_t l = e->n;
    emit_scaled(e, n->l);
    size_t r = e->n;
    emit_scaled(e, n->r);
    bool cl = r == l + 1 && e->code[l].op == OP_CONST, cr = is_const(e, r);
    if (x->subject == EXPR_NO_SUBJECT && find_subject(e, l))
        find_limit(e, l, r);
    if (cl && cr) {
        double v = expr_compare(op, e->code[l].k, e->code[r].k);
        e->n = l;
        put_const(e, n, v);
    } else if (n->l->type.sort == SORT_TRUTH && (cl || cr)) { /* alarm == true */
        bool same = (e->code[cl ? l : r].k != 0) == (op == OP_EQ);
        if (cl)
            memmove(&e->code[l], &e->code[r], (e->n - r) * sizeof(*e->code));
        e->n--;
        if (!same)
            put(e, n, OP_NOT);
    } else if (cr && r == l + 1 && e->code[l].op == OP_LAST) {
        e->n--;
        e->code[l].op = (uint8_t)(OP_LAST_LT + (op - OP_LT));
        e->code[l].k = e->code[r].k;
        e->code[l].at = n->at;
        e->code[l].len = (uint16_t)(n->end - n->at);
    } else if (cl && e->n == r + 1 && e->code[r].op == OP_LAST) {
        double limit = e->code[l].k;
        e->n--;
        e->code[l] = e->code[r];
        e->code[l].op = (uint8_t)(OP_LAST_LT + (mirrored(op) - OP_LT));
        e->code[l].k = limit;
        e->code[l].at = n->at;
        e->code[l].len = (uint16_t)(n->end - n->at);
    } else {
        put(e, n, op);
    }
}

static void emit_not(struct emitter *e, const struct expr_node *n)
{
    static const uint8_t opposite[OPS] = {
        [OP_LT] = OP_GE,           [OP_LE] = OP_GT,           [OP_GT] = OP_LE,
        [OP_GE] = OP_LT,           [OP_EQ] = OP_NE,           [OP_NE] = OP_EQ,
        [OP_LAST_LT] = OP_LAST_GE, [OP_LAST_LE] = OP_LAST_GT, [OP_LAST_GT] = OP_LAST_LE,
        [OP_LAST_GE] = OP_LAST_LT, [OP_LAST_EQ] = OP_LAST_NE, [OP_LAST_NE] = OP_LAST_EQ,
    };
    size_t begin = e->n;
    emit(e, n->l);
    struct expr_code *last = &e->code[e->n - 1];
    if (is_const(e, begin)) {
        last->k = last->k == 0;
    } else if (last->op == OP_NOT) {
        e->n--;
        return;
    } else if (opposite[last->op]) {
        last->op = opposite[last->op];
    } else {
        put(e, n, OP_NOT);
        return;
    }
    last->at = n->at;
    last->len = (uint16_t)(n->end - n->at);
}

static void emit_logic(struct emitter *e, const struct expr_node *n, bool is_and)
{
    size_t l = e->n;
    double decides = is_and ? 0 : 1;
    emit(e, n->l);
    if (is_const(e, l)) {
        if (e->code[l].k == decides)
            return;
        e->n = l;
        emit(e, n->r);
        return;
    }
    size_t jump = e->n;
    put(e, n, is_and ? OP_IF_FALSE : OP_IF_TRUE);
    size_t r = e->n;
    emit(e, n->r);
    if (is_const(e, r)) {
        double v = e->code[r].k;
        e->n = v == decides ? l : jump;
        if (v == decides)
            put_const(e, n, v);
        return;
    }
    put(e, n, is_and ? OP_AND : OP_OR);
    e->code[jump].n = (uint16_t)(e->n - jump);
}

static void emit_in(struct emitter *e, const struct expr_node *n)
{
    emit_scaled(e, n->l);
    size_t first = e->n_pool;
    for (const struct expr_node *i = n->r; i; i = i->next) {
        size_t begin = e->n;
        emit_scaled(e, i);
        if (e->n_pool == EXPR_MAX_CODE) {
            expr_fail(e->c, i->at, "more than %d listed values, expected fewer", EXPR_MAX_CODE);
            return;
        }
        ASSERT(e->c->failed || is_const(e, begin));
        e->pool[e->n_pool++] = e->code[begin].k;
        e->n = begin;
    }
    struct expr_code *k = put(e, n, OP_IN);
    k->n = (uint16_t)(e->n_pool - first);
    k->k = (double)first;
}

static void emit_leaf(struct emitter *e, const struct expr_node *n)
{
    struct expr_code *k = put(e, n, (enum expr_op)n->op);
    k->a = n->a;
    k->n = n->n;
    k->k = n->k;
    k->c = n->c;
    if (n->op == OP_AGE && n->type.sort == SORT_TRUTH) { /* absent */
        put_const(e, n, n->k);
        put(e, n, OP_GE);
    }
}

static void emit(struct emitter *e, const struct expr_node *n)
{
    if (e->c->failed) { /* one instruction, so that what is behind it holds */
        put_const(e, n, 0);
        return;
    }
    size_t begin = e->n;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_TRUE:
    case NODE_FALSE:
    case NODE_NAME:
    case NODE_PARAM:
    case NODE_CALL:
        emit_leaf(e, n);
        break;
    case NODE_IN:
        emit_in(e, n);
        break;
    case NODE_NOT:
        emit_not(e, n);
        break;
    case NODE_NEG:
        emit(e, n->l);
        if (is_const(e, begin))
            e->code[begin].k = -e->code[begin].k;
        else
            put(e, n, OP_NEG);
        break;
    case NODE_ADD:
    case NODE_SUB:
    case NODE_MUL:
    case NODE_DIV:
        emit_arithmetic(e, n, (enum expr_op)(OP_ADD + (n->kind - NODE_ADD)));
        break;
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE:
    case NODE_EQ:
    case NODE_NE:
        emit_comparison(e, n, (enum expr_op)(OP_LT + (n->kind - NODE_LT)));
        break;
    case NODE_AND:
    case NODE_OR:
        emit_logic(e, n, n->kind == NODE_AND);
        break;
    }
}

/* Every jump goes forward to a place of the same depth, so one pass finds the deepest. */
static unsigned deepest_of(const struct emitter *e)
{
    unsigned depth = 0, deepest = 0;
    for (size_t i = 0; i < e->n; i++) {
        int arity = expr_arity((enum expr_op)e->code[i].op);
        ASSERT(depth >= (unsigned)arity);
        if (e->code[i].op == OP_END)
            break;
        depth += 1u - (unsigned)arity;
        if (depth > deepest)
            deepest = depth;
    }
    ASSERT(depth == 1);
    return deepest;
}

void expr_emit(struct expr_compiler *c)
{
    struct emitter *e = mem_zalloc(sizeof(*e));
    struct expr *x = c->x;
    e->c = c;
    e->code = mem_zalloc_array(EXPR_MAX_CODE + 1, sizeof(*e->code));
    emit(e, c->root);
    if (!c->failed) {
        (void)find_subject(e, 0);
        for (size_t i = 0; i < e->n && x->subject == EXPR_NO_SUBJECT; i++)
            if (e->code[i].op == OP_AGE)
                x->subject = e->code[i].a;
        if (deepest_of(e) > EXPR_MAX_STACK)
            expr_fail(c, c->root->at, "nested too deeply, expected a simpler condition");
    }
    if (!c->failed) {
        e->code[e->n++].op = OP_END;
        x->code = mem_dup(e->code, e->n * sizeof(*e->code));
        x->n_code = e->n;
        if (e->n_pool > 0)
            x->pool = mem_dup(e->pool, e->n_pool * sizeof(*e->pool));
        x->n_pool = e->n_pool;
        for (size_t i = 0; i < x->n_windows; i++)
            expr_window_layout(&x->windows[i]);
        if (expr_verify(x))
            expr_hash_make(x);
        else
            expr_fail(c, c->root->at,
                      "the condition's program is not safe to run: a fault of gaihou, please "
                      "report the condition");
    }
    free(e->code);
    free(e);
}
