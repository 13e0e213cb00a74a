/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types and dimensions: every node gets its type; leaves become instructions; where a value
 * meets one in another unit, the conversion is put on the one that is easiest to convert.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/expr_private.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define MAX_DIM  32

static int span(const struct expr_node *n)
{
    int len = n->end - n->at;
    return len < 60 ? len : 60;
}

#define SPAN(c, n) span(n), (c)->text + (n)->at

const char *expr_sort_name(const struct expr_type *t, char *room, size_t size)
{
    switch (t->sort) {
    case SORT_TRUTH:
        return "a condition (true or false)";
    case SORT_NUMBER:
        if (t->bare)
            return "a number";
        (void)snprintf(room, size, "a number in %s", t->code);
        return room;
    case SORT_ENUM:
        (void)snprintf(room, size, "one of the codes of %s", t->metric->name);
        return room;
    case SORT_TEXT:
        break;
    }
    return "a word";
}

static bool fail_sort(struct expr_compiler *c, const struct expr_node *n, const char *expected)
{
    char room[128];
    expr_fail(c, n->at, "'%.*s' is %s, expected %s", SPAN(c, n),
              expr_sort_name(&n->type, room, sizeof(room)), expected);
    return false;
}

/* "water_level" is "level" with more words, and so is "temp" one of "room_temp". */
static const char *holds_or_held(const char *word, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((strlen(names[i]) >= 4 && strstr(word, names[i])) ||
            (strlen(word) >= 4 && strstr(names[i], word)))
            return names[i];
    return NULL;
}

static bool is_among(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

/* What people write who know other languages; NULL: nothing known. */
static const char *meant_by(const char *word)
{
    static const char *const truths[] = {"yes",  "no",    "on",   "off",
                                         "True", "False", "TRUE", "FALSE"};
    static const char *const nothing[] = {"null", "none", "nil",    "nan",
                                          "NULL", "None", "unknown"};
    static const char *const days[] = {"mon",      "tue",    "wed",      "thu",     "fri",
                                       "sat",      "sun",    "monday",   "tuesday", "wednesday",
                                       "thursday", "friday", "saturday", "sunday"};
    bool bare;
    if (expr_is_function(word, &bare))
        return bare ? "a function's name with (), such as weekday()"
                    : "a function's name with what it looks at, such as avg(level, 10m)";
    if (is_among(word, truths, sizeof(truths) / sizeof(*truths)))
        return "true or false";
    if (is_among(word, nothing, sizeof(nothing) / sizeof(*nothing)))
        return "absent(metric, 30m) for what is not said";
    if (is_among(word, days, sizeof(days) / sizeof(*days)))
        return "a number: weekday() is 1 on Monday and 7 on Sunday";
    return NULL;
}

/* A word that is neither metric nor code where it stands. */
static bool fail_word(struct expr_compiler *c, const struct expr_node *n)
{
    if (n->kind == NODE_STRING) {
        expr_fail(c, n->at,
                  "a text in quotation marks has no meaning here, expected a metric "
                  "or a number");
        return false;
    }
    const struct kind *k = c->scope->kind;
    const char *names[CATALOG_MAX_METRICS], *meant = meant_by(n->token.name);
    if (meant) {
        expr_fail(c, n->at, "%s has no metric \"%.64s\", expected %s", k->name, n->token.name,
                  meant);
        return false;
    }
    for (size_t i = 0; i < k->n_metrics; i++)
        names[i] = k->metrics[i].name;
    const char *near = err_nearest(n->token.name, names, k->n_metrics);
    near = near ? near : holds_or_held(n->token.name, names, k->n_metrics);
    if (near) {
        expr_fail(c, n->at, "%s has no metric \"%.64s\", expected \"%s\"?", k->name,
                  n->token.name, near);
        return false;
    }
    struct buf all;
    buf_init(&all, 1024);
    for (size_t i = 0; i < k->n_metrics && all.len < 140; i++)
        (void)buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    expr_fail(c, n->at, "%s has no metric \"%.64s\", expected one of its metrics (%s%s)",
              k->name, n->token.name, buf_cstr(&all), all.len < 140 ? "" : " …");
    buf_done(&all);
    return false;
}

static bool expect(struct expr_compiler *c, struct expr_node *n, enum expr_sort sort,
                   const char *expected)
{
    if (n->type.sort == SORT_TEXT)
        return fail_word(c, n);
    return n->type.sort == sort || fail_sort(c, n, expected);
}

const struct metric *expr_metric_of(struct expr_compiler *c, const struct expr_node *n)
{
    if (n->kind != NODE_NAME)
        return NULL;
    return catalog_metric(c->scope->catalog, c->scope->kind, n->token.name,
                          strlen(n->token.name));
}

int expr_input_of(struct expr_compiler *c, const struct metric *m, const char *point, size_t at)
{
    struct expr *x = c->x;
    for (size_t i = 0; i < x->n_inputs; i++) {
        const char *p = x->inputs[i].point;
        if (x->inputs[i].metric == m && (p == point || (p && point && strcmp(p, point) == 0)))
            return (int)i;
    }
    if (x->n_inputs == EXPR_MAX_INPUTS) {
        expr_fail(c, at, "more than %d inputs, expected a simpler condition", EXPR_MAX_INPUTS);
        return -1;
    }
    x->inputs[x->n_inputs].metric = m;
    if (point)
        x->inputs[x->n_inputs].point = x->points[x->n_inputs] = mem_strdup(point);
    x->slots[x->n_inputs] = (uint16_t)x->n_inputs;
    return (int)x->n_inputs++;
}

static void type_of_unit(struct expr_type *t, const char *code)
{
    t->sort = SORT_NUMBER;
    t->code = code;
    if (unit_parse(code, strlen(code), &t->unit, NULL) != 0)
        t->unit = (struct unit){.factor = 1}; /* the catalogue's check has said it */
}

static bool check_number(struct expr_node *n)
{
    n->op = OP_CONST;
    n->k = n->token.number;
    type_of_unit(&n->type, n->token.unit ? n->token.unit : "1");
    n->type.bare = !n->token.unit;
    n->type.constant = true;
    n->type.minutes = n->token.unit && strcmp(n->token.unit, "m") == 0;
    return true;
}

static bool check_name(struct expr_compiler *c, struct expr_node *n)
{
    const struct metric *m = expr_metric_of(c, n);
    if (!m) {
        n->type = (struct expr_type){.sort = SORT_TEXT, .constant = true};
        return n->token.point ? fail_word(c, n) : true;
    }
    if (m->type == METRIC_STRING) {
        expr_fail(c, n->at,
                  "%s is text and cannot be compared, expected a number, a bool or an "
                  "enum (or age(), absent())",
                  m->name);
        return false;
    }
    int input = expr_input_of(c, m, n->token.point, n->at);
    if (input < 0)
        return false;
    n->op = m->type == METRIC_BOOL ? OP_TRUTH : OP_LAST;
    n->a = (uint8_t)input;
    n->n = (uint16_t)input;
    if (m->type == METRIC_BOOL)
        n->type.sort = SORT_TRUTH;
    else if (m->type == METRIC_ENUM)
        n->type = (struct expr_type){.sort = SORT_ENUM, .metric = m};
    else
        type_of_unit(&n->type, m->unit);
    return true;
}

static bool check_param(struct expr_compiler *c, struct expr_node *n)
{
    const struct expr_scope *s = c->scope;
    size_t i = 0;
    while (i < s->n_params && strcmp(s->params[i].name, n->token.name) != 0)
        i++;
    if (c->counted) {
        expr_fail(c, n->at, "$%.64s inside count_over, expected metrics and constants there",
                  n->token.name);
        return false;
    }
    if (i == s->n_params) {
        const char *names[EXPR_MAX_PARAMS];
        size_t known = s->n_params < EXPR_MAX_PARAMS ? s->n_params : EXPR_MAX_PARAMS;
        for (size_t k = 0; k < known; k++)
            names[k] = s->params[k].name;
        const char *near = err_nearest(n->token.name, names, known);
        expr_fail(c, n->at, "no parameter $%.64s, expected %s%s%s", n->token.name,
                  near ? "$" : "one of the rule's params", near ? near : "", near ? "?" : "");
        return false;
    }
    if (i >= EXPR_MAX_PARAMS) {
        expr_fail(c, n->at, "$%.64s is beyond the first %d parameters", n->token.name,
                  EXPR_MAX_PARAMS);
        return false;
    }
    const char *unit = s->params[i].unit;
    n->op = OP_PARAM;
    n->a = (uint8_t)i;
    type_of_unit(&n->type, unit ? unit : "1");
    n->type.bare = !unit;
    struct expr *x = c->x;
    for (size_t k = 0; k < x->n_params; k++)
        if (x->params[k] == i)
            return true;
    x->params[x->n_params++] = (uint8_t)i;
    x->param_units[i] = mem_strdup(unit);
    return true;
}

/* How willingly it is converted: constants first, parameters next. */
static int rank(const struct expr_node *n)
{
    return n->type.constant ? 0 : n->kind == NODE_PARAM ? 1 : 2;
}

static void convert(struct expr_node *n, const struct expr_type *to, bool sizes)
{
    const struct unit *from = &n->type.unit;
    double zero = sizes ? 0 : from->offset - to->unit.offset;
    n->scale = from->factor / to->unit.factor;
    n->shift = zero / to->unit.factor;
    if (from->factor == to->unit.factor)
        n->scale = 1;
}

/* "m" of a literal is minutes where the other side is a time. */
static void read_minutes(struct expr_node *n, const struct expr_type *other)
{
    struct unit second;
    (void)unit_parse("s", 1, &second, NULL);
    if (n->type.minutes && !other->bare && unit_comparable(&other->unit, &second)) {
        type_of_unit(&n->type, "min");
        n->type.minutes = false;
    }
}

static const char *said(const struct expr_node *n)
{
    return strcmp(n->type.code, "1") == 0 ? "1 (none)" : n->type.code;
}

static bool fail_units(struct expr_compiler *c, const struct expr_node *n,
                       const struct expr_node *l, const struct expr_node *r)
{
    expr_fail(
        c, n->op_at,
        "'%.*s' is in %s and '%.*s' in %s: not the same quantity, expected a unit like %s",
        SPAN(c, l), said(l), SPAN(c, r), said(r), said(rank(l) < rank(r) ? r : l));
    return false;
}

/* Both numbers in one unit, that of n. sizes: what is compared are differences. */
static bool fit(struct expr_compiler *c, struct expr_node *n, bool sizes)
{
    struct expr_node *l = n->l, *r = n->r;
    read_minutes(l, &r->type);
    read_minutes(r, &l->type);
    n->type = l->type.bare ? r->type : l->type;
    if (l->type.bare || r->type.bare)
        return true;
    if (!unit_comparable(&l->type.unit, &r->type.unit))
        return fail_units(c, n, l, r);
    struct expr_node *turned = rank(l) < rank(r) ? l : r;
    struct expr_node *kept = turned == l ? r : l;
    convert(turned, &kept->type, sizes);
    n->type = kept->type;
    return true;
}

static bool has_zero(const struct expr_type *t) /* a temperature, not a difference */
{
    return !t->bare && !t->difference && t->unit.offset != 0;
}

static bool check_sum(struct expr_compiler *c, struct expr_node *n)
{
    struct expr_node *l = n->l, *r = n->r;
    if (!expect(c, l, SORT_NUMBER, "a number") || !expect(c, r, SORT_NUMBER, "a number"))
        return false;
    bool minus = n->kind == NODE_SUB, constant = l->type.constant && r->type.constant;
    /* 5 Cel added to a temperature are five degrees. */
    bool zl = has_zero(&l->type), zr = has_zero(&r->type);
    if (zl && zr && !minus) {
        if (!r->type.constant && !l->type.constant) {
            expr_fail(c, n->op_at,
                      "'%.*s' and '%.*s' in %s cannot be added: two temperatures have a "
                      "difference, not a sum",
                      SPAN(c, l), SPAN(c, r), l->type.code);
            return false;
        }
        if (r->type.constant)
            r->type.difference = true;
        else
            l->type.difference = true;
        zl = has_zero(&l->type);
        zr = has_zero(&r->type);
    }
    bool sizes = zl != zr || l->type.difference || r->type.difference;
    bool both_points = !l->type.bare && !r->type.bare && minus && zl == zr;
    bool was_l = l->type.difference;
    if (zr && !zl && minus && !l->type.bare) {
        expr_fail(c, n->op_at,
                  "'%.*s' in %s is taken from a difference in %s, expected a "
                  "difference",
                  SPAN(c, r), r->type.code, l->type.code);
        return false;
    }
    /* The sum of a temperature and a difference stays in the temperature's unit. */
    struct expr_type point = zl ? l->type : r->type;
    if (!fit(c, n, sizes))
        return false;
    if (zl != zr && !l->type.bare && !r->type.bare) {
        struct expr_node *size = zl ? r : l, *at = zl ? l : r;
        at->scale = 1;
        at->shift = 0;
        convert(size, &point, true);
        n->type = point;
    }
    n->type.difference = both_points || (was_l && r->type.difference) ||
                         (!zl && !zr && (l->type.difference || r->type.difference));
    n->type.constant = constant;
    n->type.minutes = false;
    n->type.bare = l->type.bare && r->type.bare;
    return true;
}

static bool check_product(struct expr_compiler *c, struct expr_node *n)
{
    struct expr_node *l = n->l, *r = n->r, *parts[] = {l, r};
    for (int i = 0; i < 2; i++) {
        if (!expect(c, parts[i], SORT_NUMBER, "a number"))
            return false;
        if (has_zero(&parts[i]->type) || parts[i]->type.unit.scale) {
            expr_fail(c, n->op_at,
                      "'%.*s' in %s does not multiply or divide, expected a quantity whose "
                      "zero is nothing",
                      SPAN(c, parts[i]), parts[i]->type.code);
            return false;
        }
    }
    int sign = n->kind == NODE_DIV ? -1 : 1;
    struct unit u = l->type.unit;
    u.offset = 0;
    u.factor = sign > 0 ? u.factor * r->type.unit.factor : u.factor / r->type.unit.factor;
    for (int i = 0; i < UNIT_DIMS; i++) {
        int d = l->type.unit.dim[i] + sign * r->type.unit.dim[i];
        if (d > MAX_DIM || d < -MAX_DIM) {
            expr_fail(c, n->op_at, "the exponent of a unit is beyond %d", MAX_DIM);
            return false;
        }
        u.dim[i] = (int8_t)d;
    }
    if (!isfinite(u.factor) || u.factor == 0) {
        expr_fail(c, n->op_at, "the unit of '%.*s' is out of range", SPAN(c, n));
        return false;
    }
    bool bare = l->type.bare && r->type.bare;
    char code[EXPR_UNIT_TEXT];
    if (r->type.bare || strcmp(r->type.code, "1") == 0)
        (void)snprintf(code, sizeof(code), "%.47s", l->type.code);
    else if (l->type.bare || strcmp(l->type.code, "1") == 0)
        (void)snprintf(code, sizeof(code), "%s%.46s", sign < 0 ? "/" : "", r->type.code);
    else
        (void)snprintf(code, sizeof(code), "%.22s%c%.22s", l->type.code, sign < 0 ? '/' : '.',
                       r->type.code);
    n->type = (struct expr_type){.sort = SORT_NUMBER,
                                 .bare = bare,
                                 .constant = l->type.constant && r->type.constant,
                                 .unit = u,
                                 .code = arena_strdup(&c->arena, code)};
    n->type.difference = l->type.difference || r->type.difference;
    ASSERT(n->type.code);
    return true;
}

static const char *list_codes(const struct metric *m, char *room, size_t size)
{
    size_t used = (size_t)snprintf(room, size, "one of ");
    for (size_t i = 0; i < m->n_codes && used + strlen(m->codes[i].name) + 8 < size; i++)
        used +=
            (size_t)snprintf(room + used, size - used, "%s%s", i ? ", " : "", m->codes[i].name);
    return room;
}

/* A name or text that the other side's enumeration knows becomes its number. */
static bool take_code(struct expr_compiler *c, struct expr_node *n, const struct metric *m)
{
    const char *word = n->token.name;
    if ((n->kind != NODE_NAME && n->kind != NODE_STRING) || n->token.point)
        return true;
    const struct metric_code *code = metric_code(m, word, strlen(word));
    if (code) {
        n->kind = NODE_NUMBER;
        n->op = OP_CONST;
        n->k = (double)code->code;
        n->type = (struct expr_type){.sort = SORT_ENUM, .constant = true, .metric = m};
        return true;
    }
    if (n->kind == NODE_NAME && expr_metric_of(c, n))
        return true;
    const char *names[64];
    size_t known = m->n_codes < COUNT(names) ? m->n_codes : COUNT(names);
    for (size_t i = 0; i < known; i++)
        names[i] = m->codes[i].name;
    const char *near = err_nearest(word, names, known);
    char list[160];
    expr_fail(c, n->at, "%s has no code \"%.64s\", expected %s%s", m->name, word,
              near ? near : list_codes(m, list, sizeof(list)), near ? "?" : "");
    return false;
}

/* A name that is no metric of the kind, or a text. */
static bool is_word(struct expr_compiler *c, const struct expr_node *n)
{
    return n->kind == NODE_STRING ||
           (n->kind == NODE_NAME && !n->token.point && !expr_metric_of(c, n));
}

/* Checks n, which stands against an already checked `other`: a code of its enumeration (even if
 * a metric has the same name), or anything else. */
static bool check_against(struct expr_compiler *c, struct expr_node *n,
                          const struct expr_node *other)
{
    if (other->type.sort == SORT_ENUM) {
        if (!take_code(c, n, other->type.metric))
            return false;
        if (n->type.sort == SORT_ENUM && n->type.constant)
            return true;
    }
    return expr_check_node(c, n);
}

static bool check_sides(struct expr_compiler *c, struct expr_node *l, struct expr_node *r)
{
    if (is_word(c, l))
        return expr_check_node(c, r) && check_against(c, l, r);
    return expr_check_node(c, l) && check_against(c, r, l);
}

static bool same_enum(const struct metric *a, const struct metric *b)
{
    if (a == b)
        return true;
    if (a->n_codes != b->n_codes)
        return false;
    for (size_t i = 0; i < a->n_codes; i++)
        if (a->codes[i].code != b->codes[i].code ||
            strcmp(a->codes[i].name, b->codes[i].name) != 0)
            return false;
    return true;
}

static bool check_numbers(struct expr_compiler *c, struct expr_node *n)
{
    struct expr_node *l = n->l, *r = n->r;
    bool sizes = l->type.difference || r->type.difference;
    struct expr_node *points[] = {l, r};
    for (int i = 0; i < 2 && sizes; i++)
        if (has_zero(&points[i]->type) && !points[i]->type.constant) {
            expr_fail(c, n->op_at,
                      "'%.*s' in %s is compared with a difference, expected a difference",
                      SPAN(c, points[i]), points[i]->type.code);
            return false;
        }
    return fit(c, n, sizes);
}

static bool fail_sides(struct expr_compiler *c, const struct expr_node *n)
{
    const struct expr_node *l = n->l, *r = n->r;
    char one[160], two[128];
    const struct expr_node *code = l->type.sort == SORT_ENUM ? l : r;
    if (l->kind >= NODE_LT && l->kind <= NODE_NE && n->kind < NODE_EQ)
        expr_fail(c, n->op_at, "a comparison is compared again, expected two: a < b and b < c");
    else if (code->type.sort == SORT_ENUM)
        expr_fail(c, n->op_at, "'%.*s' is compared with '%.*s', expected %s", SPAN(c, code),
                  SPAN(c, code == l ? r : l), list_codes(code->type.metric, one, sizeof(one)));
    else
        expr_fail(c, n->op_at, "'%.*s' is %s and '%.*s' is %s, expected the same on both sides",
                  SPAN(c, l), expr_sort_name(&l->type, one, sizeof(one)), SPAN(c, r),
                  expr_sort_name(&r->type, two, sizeof(two)));
    return false;
}

static bool check_comparison(struct expr_compiler *c, struct expr_node *n)
{
    struct expr_node *l = n->l, *r = n->r;
    if (!check_sides(c, l, r))
        return false;
    if (l->type.sort == SORT_TEXT)
        return fail_word(c, l);
    if (r->type.sort == SORT_TEXT)
        return fail_word(c, r);
    if (l->type.sort != r->type.sort)
        return fail_sides(c, n);
    bool equality = n->kind == NODE_EQ || n->kind == NODE_NE;
    if (l->type.sort == SORT_TRUTH && !equality) {
        expr_fail(c, n->op_at,
                  "conditions have no order, expected == or != (a < b < c is "
                  "written a < b and b < c)");
        return false;
    }
    if (l->type.sort == SORT_ENUM && !equality) {
        expr_fail(c, n->op_at, "the codes of %s have no order, expected ==, != or in",
                  l->type.metric->name);
        return false;
    }
    if (l->type.sort == SORT_ENUM && !same_enum(l->type.metric, r->type.metric)) {
        expr_fail(c, n->op_at, "%s and %s have different codes, expected the same enumeration",
                  l->type.metric->name, r->type.metric->name);
        return false;
    }
    if (l->type.sort == SORT_NUMBER && !check_numbers(c, n))
        return false;
    n->type = (struct expr_type){.sort = SORT_TRUTH,
                                 .constant = l->type.constant && r->type.constant};
    return true;
}

static bool check_in(struct expr_compiler *c, struct expr_node *n)
{
    struct expr_node *l = n->l;
    if (!expr_check_node(c, l))
        return false;
    if (l->type.sort == SORT_TEXT)
        return fail_word(c, l);
    if (l->type.sort == SORT_TRUTH)
        return fail_sort(c, l, "an enumeration or a number before in");
    size_t items = 0;
    for (struct expr_node *i = n->r; i; i = i->next) {
        if (++items > EXPR_MAX_LIST) {
            expr_fail(c, i->at, "a list of more than %d, expected fewer", EXPR_MAX_LIST);
            return false;
        }
        struct expr_node pair = {.kind = NODE_EQ, .l = l, .r = i, .at = n->at, .end = n->end};
        pair.op_at = i->at;
        if (!check_against(c, i, l))
            return false;
        if (i->type.sort == SORT_TEXT)
            return fail_word(c, i);
        if (!i->type.constant) {
            expr_fail(c, i->at, "'%.*s' may change, expected constants in the list",
                      SPAN(c, i));
            return false;
        }
        if (i->type.sort != l->type.sort) {
            char room[128];
            return fail_sort(c, i, expr_sort_name(&l->type, room, sizeof(room)));
        }
        if (l->type.sort == SORT_NUMBER && !l->type.constant && !check_numbers(c, &pair))
            return false;
    }
    if (l->type.constant) {
        expr_fail(c, l->at, "'%.*s' never changes, expected a metric before in", SPAN(c, l));
        return false;
    }
    n->type = (struct expr_type){.sort = SORT_TRUTH};
    return true;
}

static bool check_logic(struct expr_compiler *c, struct expr_node *n)
{
    struct expr_node *parts[] = {n->l, n->r};
    for (int i = 0; i < 2 && parts[i]; i++)
        if (!expr_check_node(c, parts[i]) ||
            !expect(c, parts[i], SORT_TRUTH, "a condition such as level > 0.8 m"))
            return false;
    n->type = (struct expr_type){.sort = SORT_TRUTH};
    return true;
}

bool expr_check_node(struct expr_compiler *c, struct expr_node *n)
{
    switch (n->kind) {
    case NODE_NUMBER:
        return check_number(n);
    case NODE_STRING:
        n->type = (struct expr_type){.sort = SORT_TEXT, .constant = true};
        return true;
    case NODE_TRUE:
    case NODE_FALSE:
        n->op = OP_CONST;
        n->k = n->kind == NODE_TRUE;
        n->type = (struct expr_type){.sort = SORT_TRUTH, .constant = true};
        return true;
    case NODE_NAME:
        return check_name(c, n);
    case NODE_PARAM:
        return check_param(c, n);
    case NODE_CALL:
        return expr_check_call(c, n);
    case NODE_IN:
        return check_in(c, n);
    case NODE_NOT:
    case NODE_AND:
    case NODE_OR:
        return check_logic(c, n);
    case NODE_NEG:
        if (!expr_check_node(c, n->l) || !expect(c, n->l, SORT_NUMBER, "a number behind -"))
            return false;
        n->type = n->l->type;
        if (has_zero(&n->type) && !n->type.constant) {
            expr_fail(c, n->op_at, "'%.*s' in %s has no opposite, expected a difference",
                      SPAN(c, n->l), n->type.code);
            return false;
        }
        return true;
    case NODE_ADD:
    case NODE_SUB:
        return expr_check_node(c, n->l) && expr_check_node(c, n->r) && check_sum(c, n);
    case NODE_MUL:
    case NODE_DIV:
        return expr_check_node(c, n->l) && expr_check_node(c, n->r) && check_product(c, n);
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE:
    case NODE_EQ:
    case NODE_NE:
        return check_comparison(c, n);
    }
    return false;
}

bool expr_check(struct expr_compiler *c)
{
    return expr_check_node(c, c->root) &&
           expect(c, c->root, SORT_TRUTH, "a condition such as level > 0.8 m");
}
