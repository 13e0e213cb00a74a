/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_EXPR_PRIVATE_H
#define CORE_EXPR_PRIVATE_H
/*
 * What the files of expr share. A condition passes expr_lex.c (text → tokens), expr_grammar.y
 * (tokens → nodes), expr_check.c (types, dimensions, names), expr_emit.c (nodes → a program in
 * postfix order, folded), expr_verify.c (safe to run?). expr_eval.c, expr_window.c and expr_clock.c run it; expr_lint.c,
 * expr_wake.c and expr_explain.c walk the same program with other values on their stack.
 */
#include "base/arena.h"
#include "core/expr.h"
#include "core/unit.h"

#include <math.h>

#define EXPR_MAX_DEPTH  200 /* of nodes: the checks recurse */
#define EXPR_MAX_CODE   1024
#define EXPR_MAX_STACK  64
#define EXPR_MAX_LIST   64
#define EXPR_MIN_WINDOW UINT64_C(1000000000)
#define EXPR_MAX_WINDOW (UINT64_C(366) * 86400 * UINT64_C(1000000000))
#define EXPR_UNIT_TEXT  48
#define EXPR_NANOS      1e9
#define EXPR_NO_SUBJECT UINT8_MAX

/* -- compiling --------------------------------------------------------------------------- */

struct expr_token {
    const char *s;
    uint16_t at, n;          /* of the text; n: what is shown */
    const char *name, *unit; /* arena: name, parameter, string; unit of a number or NULL */
    const char *point;       /* name@point, else NULL */
    double number;
};

enum expr_node_kind {
    NODE_NUMBER,
    NODE_STRING,
    NODE_TRUE,
    NODE_FALSE,
    NODE_NAME,
    NODE_PARAM,
    NODE_CALL,
    NODE_IN,
    NODE_NOT,
    NODE_NEG,
    NODE_ADD,
    NODE_SUB,
    NODE_MUL,
    NODE_DIV,
    NODE_LT,
    NODE_LE,
    NODE_GT,
    NODE_GE,
    NODE_EQ,
    NODE_NE,
    NODE_AND,
    NODE_OR
};

enum expr_sort { SORT_TRUTH, SORT_NUMBER, SORT_ENUM, SORT_TEXT };

/* What a value is. A bare number or a parameter without unit takes the unit of what it meets. A
 * difference has the unit's size but not its zero (5 K between two temperatures). */
struct expr_type {
    enum expr_sort sort;
    bool bare, constant, difference;
    bool minutes; /* written "m": metres, but minutes where a time is expected */
    struct unit unit;
    const char *code;            /* the unit for people */
    const struct metric *metric; /* SORT_ENUM */
};

enum expr_win_func {
    WIN_AVG,
    WIN_MIN,
    WIN_MAX,
    WIN_SUM,
    WIN_COUNT,
    WIN_STDDEV,
    WIN_LAST,
    WIN_FIRST,
    WIN_DELTA,
    WIN_RATE,
    WIN_CHANGES,
    WIN_FUNCS
};

struct expr_node {
    enum expr_node_kind kind;
    uint16_t at, end, op_at; /* span of the text; the operator's place */
    uint16_t depth;
    struct expr_node *l, *r, *next; /* l: also the first of a list, linked by next */
    struct expr_token token;
    struct expr_type type;
    /* by check: */
    uint8_t op, a; /* of a leaf: its instruction */
    uint16_t n;
    double k, c;
    double scale, shift; /* value × scale + shift is what the parent wants */
};

struct expr_compiler {
    const char *text;
    size_t len, pos;
    const struct expr_scope *scope;
    struct expr_error *error;
    bool failed;
    struct arena arena;
    struct expr_node *root;
    struct expr *x;
    /* for messages about syntax */
    struct expr_token last;
    int last_kind;
    unsigned parens;
    uint16_t paren_at[EXPR_MAX_DEPTH];
    int kind_in;         /* tokens until a kind's name, which may have dashes */
    const char *counted; /* kind inside count_over, else NULL */
};

/* Keeps the first error. */
void expr_fail(struct expr_compiler *c, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The next token's code of expr_grammar.h, 0 at the end; -1 after an error. */
int expr_lex(struct expr_compiler *c, struct expr_token *out);
bool expr_lex_ends_value(int token);
void expr_parse(struct expr_compiler *c); /* c->root, or an error */
struct expr_node *expr_leaf(struct expr_compiler *c, enum expr_node_kind kind,
                            const struct expr_token *t);
struct expr_node *expr_branch(struct expr_compiler *c, enum expr_node_kind kind,
                              const struct expr_token *op, struct expr_node *l,
                              struct expr_node *r);
void expr_syntax_error(struct expr_compiler *c, int token, const struct expr_token *t);
bool expr_check(struct expr_compiler *c);
bool expr_check_call(struct expr_compiler *c, struct expr_node *n);
/* Is there a function of that name, and does it take nothing? */
bool expr_is_function(const char *name, bool *out_bare);
bool expr_check_node(struct expr_compiler *c, struct expr_node *n);
const char *expr_sort_name(const struct expr_type *t, char *room, size_t size);
int expr_input_of(struct expr_compiler *c, const struct metric *m, const char *point,
                  size_t at);
const struct metric *expr_metric_of(struct expr_compiler *c, const struct expr_node *n);
void expr_emit(struct expr_compiler *c);
/* Is it safe to run and to walk, whoever wrote it? What the compiler makes is refused when it is not. */
bool expr_verify(const struct expr *x);
void expr_hash_make(struct expr *x);
/* counted: the kind when it is the condition of a count_over, else NULL. */
int expr_compile_part(const char *text, size_t len, const struct expr_scope *scope,
                      const char *counted, struct expr_error *out_error, struct expr **out);
/* Without the dust of a conversion: 80 cm are 0.8 m. */
double expr_round(double v, int digits);

/* -- the program ------------------------------------------------------------------------- */

enum expr_op {
    OP_CONST,   /* k */
    OP_LAST,    /* input a, at slot n of env.last */
    OP_TRUTH,   /* the same, of a bool */
    OP_PARAM,   /* a */
    OP_COUNT,   /* count_over a */
    OP_AGE,     /* input a, slot n: seconds */
    OP_WINDOW,  /* window a, function n */
    OP_WINTRUE, /* the same, of a bool */
    OP_HOUR,
    OP_WEEKDAY,
    OP_WORKDAY,
    OP_BETWEEN, /* k, c: minutes of the day */
    OP_NEG,
    OP_SCALE, /* × k + c */
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_EQ,
    OP_NE,
    OP_IN, /* n constants of the pool from k */
    OP_NOT,
    OP_IF_TRUE,  /* true: n instructions on, leaving it there */
    OP_IF_FALSE, /* false: the same */
    OP_AND,
    OP_OR,
    /* input a, slot n, compared with k */
    OP_LAST_LT,
    OP_LAST_LE,
    OP_LAST_GT,
    OP_LAST_GE,
    OP_LAST_EQ,
    OP_LAST_NE,
    OP_END,
    OPS
};

struct expr_code {
    uint8_t op, a;
    uint16_t n;
    uint16_t at, len; /* span of the text, for explanations */
    double k, c;
};

enum {             /* words of a bucket, in this order, as far as the window needs them */
       WORD_AT,    /* of its newest sample */
       WORD_COUNT, /* low half: samples; high half: changes */
       WORD_SUM,
       WORD_M2, /* sum of squares of deviations from the bucket's mean */
       WORD_MIN,
       WORD_MAX,
       WORD_FIRST,
       WORD_FIRST_AT,
       WORD_LAST,
       WORDS
};

struct expr_window {
    uint8_t input, words;
    uint8_t place[WORDS]; /* of each word; UINT8_MAX: not kept */
    uint16_t functions;   /* bits of expr_win_func */
    uint64_t len_ns, width_ns;
};

struct expr {
    struct expr_code *code; /* ends with OP_END */
    size_t n_code;
    double *pool;
    size_t n_pool;
    char *text;
    size_t len;
    struct expr_input inputs[EXPR_MAX_INPUTS];
    char *points[EXPR_MAX_INPUTS];
    uint16_t slots[EXPR_MAX_INPUTS];
    size_t n_inputs;
    struct expr_count counts[EXPR_MAX_COUNTS];
    size_t n_counts;
    uint8_t params[EXPR_MAX_PARAMS];
    char *param_units[EXPR_MAX_PARAMS]; /* by index into scope.params; NULL: none */
    size_t n_params;
    struct expr_window windows[EXPR_MAX_WINDOWS];
    size_t n_windows;
    bool timed;
    uint8_t subject; /* input, or EXPR_NO_SUBJECT */
    /* what it is compared with: a constant, or parameter × scale + shift */
    int limit_param; /* -1: limit is it */
    double limit, limit_shift;
    uint64_t hash, window_hash;
};

#define EXPR_TRUTH_OF(v) (isnan(v) ? EXPR_UNKNOWN : (v) != 0 ? EXPR_TRUE : EXPR_FALSE)

struct expr_ring {
    uint64_t *words;
    uint64_t newest_ns;
    double prev;
    uint8_t head, n, cap, words_each;
    bool seen;
};

struct expr_state {
    size_t n;
    struct expr_ring rings[];
};

static inline int expr_arity(enum expr_op op)
{
    if ((op >= OP_ADD && op <= OP_NE) || op == OP_AND || op == OP_OR)
        return 2;
    return op == OP_NEG || op == OP_SCALE || op == OP_IN || op == OP_NOT || op == OP_IF_TRUE ||
           op == OP_IF_FALSE;
}

/* The age of the input in that slot. */
struct expr_age {
    uint64_t ns;
    uint64_t stands_to; /* it does not grow until then; 0: it grows; UINT64_MAX: nobody knows */
};
struct expr_age expr_age_of(const struct expr_env *env, unsigned slot);

/* expr_plausible, of conditions that only compare values with constants; EXPR_UNKNOWN of others. */
enum expr_truth expr_try_all(const struct expr *x);

/* One instruction that takes nothing from the stack. */
double expr_leaf_value(const struct expr *x, const struct expr_state *s,
                       const struct expr_env *env, const struct expr_code *i);
/* One with one or two operands (b is the last); not a jump. */
double expr_apply(const struct expr *x, const struct expr_code *i, double a, double b);
double expr_compare(enum expr_op op, double a, double b); /* 0, 1, NaN */

double expr_window_value(const struct expr_window *w, const struct expr_ring *r,
                         enum expr_win_func f, uint64_t now_ns);
/* When the next sample leaves; UINT64_MAX: none is there. */
uint64_t expr_window_leaves(const struct expr_window *w, const struct expr_ring *r,
                            uint64_t now_ns);
void expr_window_layout(struct expr_window *w);

int expr_clock_hour(const struct expr_env *env);
int expr_clock_weekday(const struct expr_env *env);
bool expr_clock_workday(const struct expr_env *env);
bool expr_clock_between(const struct expr_env *env, double from, double to);
/* Wall ms until the answer of such an instruction may change. */
int64_t expr_clock_next(const struct expr_env *env, const struct expr_code *i);

#endif
