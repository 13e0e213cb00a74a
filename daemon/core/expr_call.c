/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions: how many arguments, of what, and what they become.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/expr_private.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

enum call { /* below WIN_FUNCS: a window */
            CALL_AGE = WIN_FUNCS,
            CALL_ABSENT,
            CALL_HOUR,
            CALL_WEEKDAY,
            CALL_WORKDAY,
            CALL_BETWEEN,
            CALL_COUNT_OVER,
            CALLS
};

static const struct {
    const char *name, *shape;
    unsigned arguments;
} calls[CALLS] = {
    [WIN_AVG] = {"avg", "avg(metric, 10m)", 2},
    [WIN_MIN] = {"min", "min(metric, 10m)", 2},
    [WIN_MAX] = {"max", "max(metric, 10m)", 2},
    [WIN_SUM] = {"sum", "sum(metric, 10m)", 2},
    [WIN_COUNT] = {"count", "count(metric, 10m)", 2},
    [WIN_STDDEV] = {"stddev", "stddev(metric, 10m)", 2},
    [WIN_LAST] = {"last", "last(metric, 10m)", 2},
    [WIN_FIRST] = {"first", "first(metric, 10m)", 2},
    [WIN_DELTA] = {"delta", "delta(metric, 10m)", 2},
    [WIN_RATE] = {"rate", "rate(metric, 10m)", 2},
    [WIN_CHANGES] = {"changes", "changes(metric, 10m)", 2},
    [CALL_AGE] = {"age", "age(metric)", 1},
    [CALL_ABSENT] = {"absent", "absent(metric, 30m)", 2},
    [CALL_HOUR] = {"hour", "hour()", 0},
    [CALL_WEEKDAY] = {"weekday", "weekday()", 0},
    [CALL_WORKDAY] = {"workday", "workday()", 0},
    [CALL_BETWEEN] = {"between", "between(\"22:00\", \"06:00\")", 2},
    [CALL_COUNT_OVER] = {"count_over", "count_over(building, kind, condition)", 3},
};

static const char *const areas[EXPR_AREAS] = {
    [EXPR_BUILDING] = "building",
    [EXPR_COMPOUND] = "compound",
    [EXPR_GRID] = "grid",
    [EXPR_COMMUNITY] = "community",
    [EXPR_STREET] = "street",
    [EXPR_DISTRICT] = "district",
    [EXPR_POWER_DOMAIN] = "power_domain",
    [EXPR_UPLINK] = "uplink",
};

static void number_type(struct expr_type *t, const char *code)
{
    *t = (struct expr_type){.sort = SORT_NUMBER, .code = code};
    (void)unit_parse(code, strlen(code), &t->unit, NULL);
}

/* A duration between a second and a year, in ns; 0 after an error. */
static uint64_t duration_of(struct expr_compiler *c, const struct expr_node *n)
{
    const char *unit = n->kind == NODE_NUMBER ? n->token.unit : NULL;
    struct unit u, second;
    (void)unit_parse("s", 1, &second, NULL);
    if (unit && strcmp(unit, "m") == 0)
        unit = "min";
    if (!unit || unit_parse(unit, strlen(unit), &u, NULL) != 0 ||
        !unit_comparable(&u, &second)) {
        int span = n->end - n->at;
        expr_fail(c, n->at, "'%.*s' is not a duration, expected one such as 90s, 10m, 2h, 7d",
                  span < 60 ? span : 60, c->text + n->at);
        return 0;
    }
    double ns = n->token.number * u.factor * EXPR_NANOS;
    if (!(ns >= (double)EXPR_MIN_WINDOW && ns <= (double)EXPR_MAX_WINDOW)) {
        expr_fail(c, n->at, "the duration '%.*s' is out of range, expected 1 s to 366 d",
                  n->end - n->at, c->text + n->at);
        return 0;
    }
    return (uint64_t)(ns + 0.5);
}

/* The metric of a function's first argument. */
static const struct metric *argument_metric(struct expr_compiler *c,
                                            const struct expr_node *call,
                                            const struct expr_node *n)
{
    const struct metric *m = expr_metric_of(c, n);
    if (m)
        return m;
    if (n->kind != NODE_NAME) {
        int span = n->end - n->at;
        expr_fail(c, n->at, "'%.*s' is not a metric, expected %s", span < 60 ? span : 60,
                  c->text + n->at, calls[call->op].shape);
        return NULL;
    }
    struct expr_node word = *n;
    word.token.point = ""; /* then it can be nothing but a metric */
    (void)expr_check_node(c, &word);
    return NULL;
}

static int window_of(struct expr_compiler *c, int input, uint64_t len_ns, enum expr_win_func f,
                     size_t at)
{
    struct expr *x = c->x;
    size_t i = 0;
    while (i < x->n_windows && (x->windows[i].input != input || x->windows[i].len_ns != len_ns))
        i++;
    if (i == EXPR_MAX_WINDOWS) {
        expr_fail(c, at, "more than %d windows, expected a simpler condition",
                  EXPR_MAX_WINDOWS);
        return -1;
    }
    if (i == x->n_windows) {
        x->n_windows++;
        x->windows[i].input = (uint8_t)input;
        x->windows[i].len_ns = len_ns;
        /* Two fewer, so that a window that begins and ends within buckets has room. */
        x->windows[i].width_ns = len_ns / (EXPR_BUCKETS - 2) + 1;
    }
    x->windows[i].functions |= (uint16_t)(1u << f);
    return (int)i;
}

static void window_type(struct expr_compiler *c, struct expr_node *n, const struct metric *m,
                        enum expr_win_func f)
{
    if (f == WIN_COUNT || f == WIN_CHANGES) {
        number_type(&n->type, "1");
        return;
    }
    bool keeps = f == WIN_LAST || f == WIN_FIRST || f == WIN_MIN || f == WIN_MAX;
    if (m->type == METRIC_BOOL && keeps) {
        n->op = OP_WINTRUE;
        n->type = (struct expr_type){.sort = SORT_TRUTH};
        return;
    }
    if (m->type == METRIC_ENUM) {
        n->type = (struct expr_type){.sort = SORT_ENUM, .metric = m};
        return;
    }
    number_type(&n->type, m->type == METRIC_BOOL ? "1" : m->unit);
    if (f == WIN_DELTA || f == WIN_STDDEV)
        n->type.difference = true;
    if (f == WIN_RATE) {
        char code[EXPR_UNIT_TEXT];
        bool one = strcmp(m->unit, "1") == 0;
        (void)snprintf(code, sizeof(code), "%.40s/s", one ? "" : m->unit);
        n->type.code = arena_strdup(&c->arena, code);
        ASSERT(n->type.code);
        n->type.unit.offset = 0;
        n->type.unit.dim[2] = (int8_t)(n->type.unit.dim[2] - 1);
        n->type.difference = true;
    }
}

static bool check_window(struct expr_compiler *c, struct expr_node *n, enum expr_win_func f)
{
    const struct metric *m = argument_metric(c, n, n->l);
    if (!m)
        return false;
    bool picks = f == WIN_LAST || f == WIN_FIRST || f == WIN_CHANGES || f == WIN_COUNT;
    bool of_bool = f == WIN_AVG || f == WIN_MIN || f == WIN_MAX || f == WIN_SUM;
    if (m->type == METRIC_STRING || (m->type == METRIC_ENUM && !picks) ||
        (m->type == METRIC_BOOL && !picks && !of_bool)) {
        static const char *const sorts[] = {[METRIC_STRING] = "text",
                                            [METRIC_ENUM] = "an enumeration",
                                            [METRIC_BOOL] = "true or false"};
        expr_fail(c, n->l->at, "%s is %s, %s() expected a number", m->name, sorts[m->type],
                  calls[f].name);
        return false;
    }
    if (f == WIN_SUM && m->type != METRIC_BOOL) {
        struct unit u;
        if (unit_parse(m->unit, strlen(m->unit), &u, NULL) == 0 && (u.offset != 0 || u.scale)) {
            expr_fail(c, n->l->at, "%s in %s has no sum, expected avg(), min() or max()",
                      m->name, m->unit);
            return false;
        }
    }
    uint64_t len_ns = duration_of(c, n->l->next);
    if (len_ns == 0)
        return false;
    int input = expr_input_of(c, m, n->l->token.point, n->l->at);
    int window = input < 0 ? -1 : window_of(c, input, len_ns, f, n->at);
    if (window < 0)
        return false;
    n->op = OP_WINDOW;
    n->a = (uint8_t)window;
    n->n = (uint16_t)f;
    window_type(c, n, m, f);
    c->x->timed = true;
    return true;
}

static bool check_age(struct expr_compiler *c, struct expr_node *n)
{
    bool absent = n->op == CALL_ABSENT;
    const struct metric *m = argument_metric(c, n, n->l);
    if (!m)
        return false;
    uint64_t ns = absent ? duration_of(c, n->l->next) : 0;
    if (absent && ns == 0)
        return false;
    int input = expr_input_of(c, m, n->l->token.point, n->l->at);
    if (input < 0)
        return false;
    n->op = OP_AGE;
    n->a = (uint8_t)input;
    n->n = (uint16_t)input;
    number_type(&n->type, "s");
    if (absent) { /* age(metric) >= ns, made when it is emitted */
        n->k = (double)ns / EXPR_NANOS;
        n->type = (struct expr_type){.sort = SORT_TRUTH};
    }
    c->x->timed = true;
    return true;
}

/* "22:00" in minutes; 24:00 is the end of the day. */
static int minutes_of(struct expr_compiler *c, const struct expr_node *n)
{
    const char *s = n->kind == NODE_STRING ? n->token.name : "";
    bool shaped = strlen(s) == 5 && s[2] == ':';
    for (int i = 0; i < 5 && shaped; i++)
        shaped = i == 2 || (s[i] >= '0' && s[i] <= '9');
    int minutes =
        shaped ? ((s[0] - '0') * 10 + s[1] - '0') * 60 + (s[3] - '0') * 10 + s[4] - '0' : -1;
    if (minutes < 0 || minutes > 24 * 60 || s[3] > '5') {
        int span = n->end - n->at;
        expr_fail(c, n->at, "'%.*s' is not a time of day, expected one such as \"22:00\"",
                  span < 60 ? span : 60, c->text + n->at);
        return -1;
    }
    return minutes;
}

static bool check_clock(struct expr_compiler *c, struct expr_node *n, enum call call)
{
    c->x->timed = true;
    n->op = call == CALL_HOUR      ? OP_HOUR
            : call == CALL_WEEKDAY ? OP_WEEKDAY
            : call == CALL_WORKDAY ? OP_WORKDAY
                                   : OP_BETWEEN;
    if (call == CALL_HOUR || call == CALL_WEEKDAY) {
        number_type(&n->type, "1");
        return true;
    }
    n->type = (struct expr_type){.sort = SORT_TRUTH};
    if (call == CALL_WORKDAY)
        return true;
    int from = minutes_of(c, n->l), to = from < 0 ? -1 : minutes_of(c, n->l->next);
    if (to < 0)
        return false;
    if (from == to) {
        expr_fail(c, n->l->next->at,
                  "between() begins and ends at the same time, expected a "
                  "span such as \"22:00\", \"06:00\"");
        return false;
    }
    n->k = from;
    n->c = to;
    return true;
}

static bool find_kind(struct expr_compiler *c, const struct expr_node *n,
                      const struct kind **out)
{
    const struct catalog *catalog = c->scope->catalog;
    const char *name = n->kind == NODE_NAME || n->kind == NODE_STRING ? n->token.name : "";
    *out = catalog_kind(catalog, name, strlen(name));
    if (*out)
        return true;
    const char *names[CATALOG_MAX_KINDS];
    size_t known = catalog_kinds(catalog);
    for (size_t i = 0; i < known && i < COUNT(names); i++)
        names[i] = catalog_kind_at(catalog, i)->name;
    const char *near = err_nearest(name, names, known < COUNT(names) ? known : COUNT(names));
    expr_fail(c, n->at, "no kind \"%.64s\" in the catalogue, expected %s%s%s", name,
              near ? "\"" : "the name of a kind", near ? near : "", near ? "\"?" : "");
    return false;
}

static bool check_count_over(struct expr_compiler *c, struct expr_node *n)
{
    const struct expr_node *area = n->l, *kind = area->next, *condition = kind->next;
    struct expr *x = c->x;
    if (c->counted) {
        expr_fail(c, n->at, "count_over inside count_over, expected a condition of %s",
                  c->counted);
        return false;
    }
    size_t a = 0;
    const char *word = area->kind == NODE_NAME ? area->token.name : "";
    while (a < EXPR_AREAS && strcmp(areas[a], word) != 0)
        a++;
    if (a == EXPR_AREAS) {
        const char *near = err_nearest(word, areas, EXPR_AREAS);
        expr_fail(c, area->at, "\"%.64s\" is not an area, expected %s%s", word,
                  near ? near
                       : "building, compound, grid, community, street, district, power_domain "
                         "or uplink",
                  near ? "?" : "");
        return false;
    }
    struct expr_count count = {.area = (enum expr_area)a};
    if (!find_kind(c, kind, &count.kind))
        return false;
    struct expr_scope scope = {.catalog = c->scope->catalog, .kind = count.kind};
    struct expr_error error;
    struct expr *inner;
    if (expr_compile_part(c->text + condition->at, (size_t)(condition->end - condition->at),
                          &scope, count.kind->name, &error, &inner) != 0) {
        expr_fail(c, condition->at + error.at, "%s", error.text);
        return false;
    }
    n->op = OP_COUNT;
    number_type(&n->type, "1");
    size_t i = 0;
    while (i < x->n_counts &&
           (x->counts[i].area != count.area || x->counts[i].kind != count.kind ||
            expr_hash(x->counts[i].condition) != expr_hash(inner)))
        i++;
    n->a = (uint8_t)i;
    count.condition = inner;
    bool timed = expr_is_timed(inner);
    if (i < x->n_counts)
        expr_free(inner);
    else if (i < EXPR_MAX_COUNTS)
        x->counts[x->n_counts++] = count;
    if (i == EXPR_MAX_COUNTS) {
        expr_free(inner);
        expr_fail(c, n->at, "more than %d count_over, expected a simpler condition",
                  EXPR_MAX_COUNTS);
    } else if (timed) {
        expr_fail(c, condition->at,
                  "the condition of count_over depends on time, expected only "
                  "metrics and constants there");
    }
    return !c->failed;
}

/* What other languages call them; "" for what there is not, so that nothing near is offered. */
static const char *expr_function_meant(const char *name, const char *const *names, size_t n)
{
    static const char *const others[][2] = {{"mean", "avg"},
                                            {"average", "avg"},
                                            {"std", "stddev"},
                                            {"stdev", "stddev"},
                                            {"minimum", "min"},
                                            {"maximum", "max"},
                                            {"total", "sum"},
                                            {"increase", "delta"},
                                            {"diff", "delta"},
                                            {"deriv", "rate"},
                                            {"time", "hour"},
                                            {"day", "weekday"},
                                            {"missing", "absent"},
                                            {"nodata", "absent"},
                                            {"abs", ""},
                                            {"sqrt", ""},
                                            {"if", ""},
                                            {"pow", ""},
                                            {"log", ""},
                                            {"len", ""}};
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(others[i][0], name) == 0)
            return *others[i][1] ? others[i][1] : NULL;
    return err_nearest(name, names, n);
}

bool expr_is_function(const char *name, bool *out_bare)
{
    for (size_t i = 0; i < CALLS; i++)
        if (strcmp(calls[i].name, name) == 0) {
            *out_bare = calls[i].arguments == 0;
            return true;
        }
    return false;
}

bool expr_check_call(struct expr_compiler *c, struct expr_node *n)
{
    const char *names[CALLS], *name = n->token.name;
    size_t call = 0;
    for (size_t i = 0; i < CALLS; i++)
        names[i] = calls[i].name;
    while (call < CALLS && strcmp(names[call], name) != 0)
        call++;
    if (call == CALLS) {
        const char *near = expr_function_meant(name, names, CALLS);
        expr_fail(c, n->at, "no function %.64s(), expected %s%s", name,
                  near ? near : "one such as avg(), age(), between()", near ? "()?" : "");
        return false;
    }
    if (n->token.point) {
        expr_fail(c, n->at,
                  "%s@ is not a function: the point belongs to the metric, as in "
                  "avg(level@inlet, 10m)",
                  name);
        return false;
    }
    unsigned given = 0;
    for (const struct expr_node *i = n->l; i; i = i->next)
        given++;
    if (given != calls[call].arguments) {
        expr_fail(c, n->at, "%s() has %u argument%s, expected %s", name, given,
                  given == 1 ? "" : "s", calls[call].shape);
        return false;
    }
    n->op = (uint8_t)call;
    if (call < WIN_FUNCS)
        return check_window(c, n, (enum expr_win_func)call);
    if (call == CALL_AGE || call == CALL_ABSENT)
        return check_age(c, n);
    if (call == CALL_COUNT_OVER)
        return check_count_over(c, n);
    return check_clock(c, n, (enum call)call);
}
