/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of conditions, for lemon. Tokens: expr_lex.c; what nodes mean: expr_check.c. */
%name expr_grammar
%token_prefix EXPR_
%token_type {struct expr_token}
%default_type {struct expr_node *}
%extra_context {struct expr_compiler *c}
%stack_size 200
%start_symbol start

%include {
#include "core/expr_grammar.h"
#include "core/expr_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NDEBUG
#define YYNOERRORRECOVERY 1
#define expr_grammar_ENGINEALWAYSONSTACK 1

/* What lemon defines for the outside is ours alone. */
static void expr_grammarInit(void *parser, struct expr_compiler *c);
static void expr_grammarFinalize(void *parser);
static void expr_grammar(void *parser, int token, struct expr_token value);
__attribute__((unused)) static int expr_grammarFallback(int token);
}

%syntax_error { expr_syntax_error(c, yymajor, &yyminor); }
%stack_overflow { expr_fail(c, c->last.at, "nested too deeply, expected a shorter condition"); }

%left OR.
%left AND.
%right NOT.
%left LT LE GT GE EQ NE IN.
%left PLUS MINUS.
%left TIMES DIVIDE.
%right UMINUS.

start ::= expr(A). { c->root = A; }

expr(A) ::= expr(L) OR(O) expr(R). { A = expr_branch(c, NODE_OR, &O, L, R); }
expr(A) ::= expr(L) AND(O) expr(R). { A = expr_branch(c, NODE_AND, &O, L, R); }
expr(A) ::= NOT(O) expr(R). { A = expr_branch(c, NODE_NOT, &O, R, NULL); }
expr(A) ::= expr(L) LT(O) expr(R). { A = expr_branch(c, NODE_LT, &O, L, R); }
expr(A) ::= expr(L) LE(O) expr(R). { A = expr_branch(c, NODE_LE, &O, L, R); }
expr(A) ::= expr(L) GT(O) expr(R). { A = expr_branch(c, NODE_GT, &O, L, R); }
expr(A) ::= expr(L) GE(O) expr(R). { A = expr_branch(c, NODE_GE, &O, L, R); }
expr(A) ::= expr(L) EQ(O) expr(R). { A = expr_branch(c, NODE_EQ, &O, L, R); }
expr(A) ::= expr(L) NE(O) expr(R). { A = expr_branch(c, NODE_NE, &O, L, R); }
expr(A) ::= expr(L) IN(O) LP list(R) RP(E). {
    A = expr_branch(c, NODE_IN, &O, L, R);
    if (A)
        A->end = (uint16_t)(E.at + 1);
}
expr(A) ::= expr(L) NOT(N) IN(O) LP list(R) RP(E). [IN] {
    A = expr_branch(c, NODE_IN, &O, L, R);
    if (A)
        A->end = (uint16_t)(E.at + 1);
    A = expr_branch(c, NODE_NOT, &N, A, NULL);
}
expr(A) ::= expr(L) PLUS(O) expr(R). { A = expr_branch(c, NODE_ADD, &O, L, R); }
expr(A) ::= expr(L) MINUS(O) expr(R). { A = expr_branch(c, NODE_SUB, &O, L, R); }
expr(A) ::= expr(L) TIMES(O) expr(R). { A = expr_branch(c, NODE_MUL, &O, L, R); }
expr(A) ::= expr(L) DIVIDE(O) expr(R). { A = expr_branch(c, NODE_DIV, &O, L, R); }
expr(A) ::= MINUS(O) expr(R). [UMINUS] { A = expr_branch(c, NODE_NEG, &O, R, NULL); }
expr(A) ::= LP(B) expr(X) RP(E). {
    A = X;
    if (A) {
        A->at = B.at;
        A->end = (uint16_t)(E.at + 1);
    }
}
expr(A) ::= NUMBER(T). { A = expr_leaf(c, NODE_NUMBER, &T); }
expr(A) ::= STRING(T). { A = expr_leaf(c, NODE_STRING, &T); }
expr(A) ::= YES(T). { A = expr_leaf(c, NODE_TRUE, &T); }
expr(A) ::= NO(T). { A = expr_leaf(c, NODE_FALSE, &T); }
expr(A) ::= PARAM(T). { A = expr_leaf(c, NODE_PARAM, &T); }
expr(A) ::= NAME(T). { A = expr_leaf(c, NODE_NAME, &T); }
expr(A) ::= NAME(T) LP RP(E). {
    A = expr_leaf(c, NODE_CALL, &T);
    if (A)
        A->end = (uint16_t)(E.at + 1);
}
expr(A) ::= NAME(T) LP list(L) RP(E). {
    A = expr_leaf(c, NODE_CALL, &T);
    if (A) {
        A->l = L;
        A->end = (uint16_t)(E.at + 1);
        for (struct expr_node *n = L; n; n = n->next)
            if (n->depth >= A->depth)
                A->depth = (uint16_t)(n->depth + 1);
    }
}

/* Built backwards and turned when it is complete, so that its length costs no stack. */
list(A) ::= items(B). {
    A = NULL;
    while (B) {
        struct expr_node *next = B->next;
        B->next = A;
        A = B;
        B = next;
    }
}
items(A) ::= expr(X). { A = X; }
items(A) ::= items(B) COMMA expr(X). {
    A = X;
    if (A)
        A->next = B;
}

%code {
void expr_parse(struct expr_compiler *c)
{
    yyParser parser;
    expr_grammarInit(&parser, c);
    while (!c->failed) {
        struct expr_token t;
        int token = expr_lex(c, &t);
        if (token < 0)
            break;
        if (token == EXPR_LP) {
            if (c->parens == EXPR_MAX_DEPTH) {
                expr_fail(c, t.at, "nested too deeply, expected a shorter condition");
                break;
            }
            c->paren_at[c->parens++] = t.at;
        }
        expr_grammar(&parser, token, t);
        if (token == EXPR_RP && c->parens > 0)
            c->parens--;
        c->last = t;
        c->last_kind = token;
        if (token == 0)
            break;
    }
    expr_grammarFinalize(&parser);
}
}
