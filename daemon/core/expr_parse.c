/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as the grammar makes them, what a syntax error says, and the way from text to a
 * compiled condition.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/expr_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)16 << 20) /* more than EXPR_MAX_TEXT can fill */

static struct expr_node *node_new(struct expr_compiler *c, enum expr_node_kind kind)
{
    struct expr_node *n = arena_alloc(&c->arena, sizeof(*n));
    ASSERT(n);
    n->kind = kind;
    n->scale = 1;
    return n;
}

struct expr_node *expr_leaf(struct expr_compiler *c, enum expr_node_kind kind,
                            const struct expr_token *t)
{
    if (c->failed)
        return NULL;
    struct expr_node *n = node_new(c, kind);
    n->token = *t;
    n->at = n->op_at = t->at;
    n->end = (uint16_t)(t->at + t->n);
    n->depth = 1;
    return n;
}

struct expr_node *expr_branch(struct expr_compiler *c, enum expr_node_kind kind,
                              const struct expr_token *op, struct expr_node *l,
                              struct expr_node *r)
{
    bool one = kind == NODE_NOT || kind == NODE_NEG;
    if (c->failed || !l || (!r && !one))
        return NULL;
    struct expr_node *n = node_new(c, kind);
    n->token = *op;
    n->op_at = op->at;
    n->l = l;
    n->r = r;
    n->at = one && op->at < l->at ? op->at : l->at;
    n->end = r && r->end > l->end ? r->end : l->end;
    n->depth = l->depth;
    for (struct expr_node *i = r; i; i = kind == NODE_IN ? i->next : NULL)
        if (i->depth > n->depth)
            n->depth = i->depth;
    if (++n->depth > EXPR_MAX_DEPTH) {
        expr_fail(c, op->at, "nested too deeply, expected a shorter condition");
        return NULL;
    }
    return n;
}

/* Is the innermost open parenthesis one of a list: of a function, or behind `in`? */
static bool in_list(const struct expr_compiler *c)
{
    size_t to = c->parens > 0 ? c->paren_at[c->parens - 1] : 0, at;
    while (to > 0 && strchr(" \t\r\n", c->text[to - 1]))
        to--;
    for (at = to; at > 0 && strchr("abcdefghijklmnopqrstuvwxyz_", c->text[at - 1]); at--)
        ;
    size_t n = to - at;
    const char *s = c->text + at;
    return n > 0 && !(n == 3 && (memcmp(s, "and", 3) == 0 || memcmp(s, "not", 3) == 0)) &&
           !(n == 2 && memcmp(s, "or", 2) == 0);
}

void expr_syntax_error(struct expr_compiler *c, int token, const struct expr_token *t)
{
    bool after = expr_lex_ends_value(c->last_kind);
    bool opens = t->n > 0 && strchr("(\"$_", *t->s);
    bool word = t->n > 0 && ((*t->s >= 'a' && *t->s <= 'z') || (*t->s >= 'A' && *t->s <= 'Z'));
    int n = t->n < 40 ? t->n : 40;
    if (c->len == 0 || (token == 0 && c->last_kind == 0))
        expr_fail(c, 0, "an empty condition, expected one such as level > 0.8 m");
    else if (token == 0 && after && c->parens > 0)
        expr_fail(c, c->paren_at[c->parens - 1],
                  "'(' is not closed, expected ')' before the condition ends");
    else if (token == 0)
        expr_fail(c, t->at, "the condition ends behind '%.*s', expected a value",
                  c->last.n < 40 ? c->last.n : 40, c->last.s);
    else if (after && *t->s == ')' && c->parens == 0)
        expr_fail(c, t->at, "')' closes nothing, expected an operator or the end");
    else if (after && (opens || word || (*t->s >= '0' && *t->s <= '9')))
        expr_fail(c, t->at,
                  "'%.*s' follows a value, expected an operator such as and, or, <, +%s", n,
                  t->s, in_list(c) ? ", or ','" : "");
    else if (after)
        expr_fail(c, t->at, "'%.*s' does not fit here, expected an operator or the end", n,
                  t->s);
    else if (c->last.n == 2 && memcmp(c->last.s, "in", 2) == 0)
        expr_fail(c, t->at, "'%.*s' follows in, expected '(', as in state in (shut, open)", n,
                  t->s);
    else
        expr_fail(c, t->at,
                  "'%.*s' does not fit here, expected a metric, a number, '(' or a "
                  "function",
                  n, t->s);
}

void expr_free(struct expr *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < x->n_inputs; i++)
        free(x->points[i]);
    for (size_t i = 0; i < x->n_counts; i++)
        expr_free((struct expr *)x->counts[i].condition);
    for (size_t i = 0; i < EXPR_MAX_PARAMS; i++)
        free(x->param_units[i]);
    free(x->code);
    free(x->pool);
    free(x->text);
    free(x);
}

int expr_compile_part(const char *text, size_t len, const struct expr_scope *scope,
                      const char *counted, struct expr_error *out_error, struct expr **out)
{
    struct expr_compiler c = {
        .text = text, .len = len, .scope = scope, .error = out_error, .counted = counted};
    arena_init(&c.arena, ARENA_MAX);
    c.x = mem_zalloc(sizeof(*c.x));
    c.x->subject = EXPR_NO_SUBJECT;
    c.x->limit_param = -1;
    c.x->limit = NAN;
    c.x->text = mem_strndup(text, len);
    c.x->len = len;
    expr_parse(&c);
    if (!c.failed && expr_check(&c))
        expr_emit(&c);
    arena_done(&c.arena);
    if (c.failed) {
        expr_free(c.x);
        return -EINVAL;
    }
    *out = c.x;
    return 0;
}

int expr_compile(const char *text, size_t len, const struct expr_scope *scope,
                 struct expr_error *out_error, struct expr **out)
{
    if (len > EXPR_MAX_TEXT) {
        struct expr_compiler c = {.error = out_error};
        expr_fail(&c, EXPR_MAX_TEXT, "a condition of %zu bytes, expected at most %d", len,
                  EXPR_MAX_TEXT);
        return -EINVAL;
    }
    return expr_compile_part(text, len, scope, NULL, out_error, out);
}

size_t expr_inputs(const struct expr *x, const struct expr_input **out)
{
    *out = x->inputs;
    return x->n_inputs;
}

size_t expr_counts(const struct expr *x, const struct expr_count **out)
{
    *out = x->counts;
    return x->n_counts;
}

uint64_t expr_window_ns(const struct expr *x)
{
    uint64_t most = 0;
    for (size_t i = 0; i < x->n_windows; i++)
        if (x->windows[i].len_ns > most)
            most = x->windows[i].len_ns;
    return most;
}

bool expr_is_timed(const struct expr *x)
{
    return x->timed;
}

bool expr_hears_silence(const struct expr *x)
{
    bool hears = x->n_windows > 0;
    for (const struct expr_code *i = x->code; !hears && i->op != OP_END; i++)
        hears = i->op == OP_AGE;
    return hears;
}

bool expr_reads_param(const struct expr *x, unsigned param)
{
    for (size_t i = 0; i < x->n_params; i++)
        if (x->params[i] == param)
            return true;
    return false;
}

uint64_t expr_hash(const struct expr *x)
{
    return x->hash;
}

const struct metric *expr_subject(const struct expr *x, unsigned *out_input)
{
    if (x->subject == EXPR_NO_SUBJECT)
        return NULL;
    if (out_input)
        *out_input = x->subject;
    return x->inputs[x->subject].metric;
}

double expr_limit(const struct expr *x, const struct expr_env *env)
{
    if (x->limit_param < 0)
        return x->limit;
    return env->params[x->limit_param] * x->limit + x->limit_shift;
}

void expr_bind(struct expr *x, unsigned input, unsigned slot)
{
    ASSERT(input < x->n_inputs && slot <= UINT16_MAX);
    x->slots[input] = (uint16_t)slot;
    for (size_t i = 0; i < x->n_code; i++) {
        struct expr_code *k = &x->code[i];
        bool reads = k->op == OP_LAST || k->op == OP_TRUTH || k->op == OP_AGE ||
                     (k->op >= OP_LAST_LT && k->op <= OP_LAST_NE);
        if (reads && k->a == input)
            k->n = (uint16_t)slot;
    }
}
