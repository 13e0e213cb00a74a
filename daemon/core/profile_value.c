/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mappings of values, compiled.
 */
#include "base/num.h"
#include "core/profile_private.h"
#include "core/text.h"

#include <math.h>
#include <string.h>

enum { MAX_VALUES = 1024 };

struct given { /* the keys of one mapping */
    const struct yaml_node *from, *text, *constant, *metric, *when, *kinds, *absent, *decimal;
    const struct yaml_node *after, *before, *bit, *bits, *sentinels, *fault, *map, *otherwise;
    const struct yaml_node *scale, *divide, *offset, *min, *max, *unit, *invert, *parse;
};

static bool is_number(const struct plan_map *m)
{
    return m->type == METRIC_FLOAT || m->type == METRIC_INT;
}

/* ---- map: what a code becomes ---- */

/* Codes differ from kind to kind; one of the kinds must have it. */
static bool enum_target(struct plan_build *b, const struct yaml_node *n,
                        const struct profile_metric *by_kind, const struct plan_scalar *s,
                        struct value *out)
{
    const char *names[256];
    const char *metric = "";
    size_t count = 0;
    for (size_t i = 0; i < catalog_kinds(b->set->catalog); i++) {
        const struct metric *m = by_kind[i].metric;
        if (!m)
            continue;
        if (metric_code(m, n->text, s->len)) {
            *out = (struct value){.type = VALUE_STRING, .s = {s->text, s->len}};
            return true;
        }
        if (s->kind == SCALAR_NUMBER && s->is_int && metric_code_by_number(m, s->integer)) {
            *out = (struct value){.type = VALUE_INT, .i = s->integer};
            return true;
        }
        metric = m->name;
        for (size_t k = 0; k < m->n_codes && count < 256; k++)
            names[count++] = m->codes[k].name;
    }
    char what[128] = "no code of ";
    size_t len = strlen(metric) < 80 ? strlen(metric) : 80;
    memcpy(what + 11, metric, len);
    what[11 + len] = '\0';
    plan_unknown(b, n, what, n->text, names, count);
    return false;
}

static bool target_of(struct plan_build *b, const struct yaml_node *n, const struct metric *any,
                      const struct profile_metric *by_kind, struct plan_target *out)
{
    static const char *const types[] = {"a number", "a whole number", "true or false", "a text",
                                        "a code"};
    if (n->kind != YAML_SCALAR) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n), "%s, expected %s", plan_kind_of(n), types[any->type]);
        return false;
    }
    struct plan_scalar s = plan_scalar_of(b, n);
    out->nothing = s.kind == SCALAR_NULL;
    if (out->nothing)
        return true;
    switch (any->type) {
    case METRIC_FLOAT:
    case METRIC_INT:
        if (s.kind != SCALAR_NUMBER || (any->type == METRIC_INT && s.number != floor(s.number)))
            break;
        out->v = s.is_int ? (struct value){.type = VALUE_INT, .i = s.integer}
                          : (struct value){.type = VALUE_FLOAT, .f = s.number};
        return true;
    case METRIC_BOOL:
        if (s.kind != SCALAR_BOOL)
            break;
        out->v = (struct value){.type = VALUE_BOOL, .b = s.b};
        return true;
    case METRIC_STRING:
        out->v = (struct value){.type = VALUE_STRING, .s = {s.text, s.len}};
        return true;
    case METRIC_ENUM:
        return enum_target(b, n, by_kind, &s, &out->v);
    }
    conf_error(b->notes, AT(n), "\"%.64s\", expected %s for metric \"%s\"", n->text,
               types[any->type], any->name);
    return false;
}

static void targets_of(struct plan_build *b, const struct given *g, const struct metric *any,
                       struct plan_map *m)
{
    if (g->map && plan_is_map(b, g->map, "map")) {
        size_t n = 0;
        struct plan_target *list = plan_take(b, plan_count(g->map), sizeof(*list));
        for (const struct yaml_node *v = g->map->first; v; v = v->next) {
            list[n].when = plan_scalar_of(b, v->key);
            for (size_t i = 0; i < n; i++)
                if (list[i].when.kind == list[n].when.kind &&
                    strcmp(list[i].when.text, list[n].when.text) == 0)
                    conf_error(b->notes, AT(v->key), "\"%.64s\" is repeated", v->key->text);
            n += target_of(b, v, any, m->raw.by_kind, &list[n]);
        }
        m->targets = list;
        m->n_targets = n;
        if (!g->map->first)
            conf_error(b->notes, AT(g->map), "map is empty");
    }
    if (g->otherwise) {
        struct plan_target *t = plan_take(b, 1, sizeof(*t));
        if (!g->map)
            conf_error(b->notes, AT(g->otherwise->key), "default is for `map` only");
        else if (target_of(b, g->otherwise, any, m->raw.by_kind, t))
            m->otherwise = t;
    }
}

/* ---- bits, texts, scales ---- */

static bool bit_number(struct plan_build *b, const struct yaml_node *n, unsigned *out)
{
    double v;
    if (!plan_number(b, n, "a bit", &v))
        return false;
    if (!(v >= 0 && v < 64 && v == floor(v))) {
        conf_error(b->notes, AT(n), "bit %.64s, expected 0 to 63", n->text);
        return false;
    }
    *out = (unsigned)v;
    return true;
}

static void bits_of(struct plan_build *b, const struct given *g, struct plan_map *m)
{
    if (g->bit) {
        m->has_bits = m->one_bit = bit_number(b, g->bit, &m->bit_lo);
        m->bit_hi = m->bit_lo;
    }
    if (!g->bits)
        return;
    const struct yaml_node *lo = g->bits->kind == YAML_LIST ? g->bits->first : NULL;
    const struct yaml_node *hi = lo ? lo->next : NULL;
    if (!hi || hi->next || g->bit) {
        conf_error(b->notes, AT(g->bits->key),
                   "expected `bit: N` or `bits: [LOW, HIGH]`, one of them");
        return;
    }
    if (!bit_number(b, lo, &m->bit_lo) || !bit_number(b, hi, &m->bit_hi))
        return;
    m->has_bits = m->bit_lo <= m->bit_hi;
    if (!m->has_bits)
        conf_error(b->notes, AT(lo), "bits [%u, %u], expected the lower one first", m->bit_lo,
                   m->bit_hi);
}

static const char *cut_of(struct plan_build *b, const struct yaml_node *n, const char *what,
                          size_t *out_len)
{
    const char *s = n ? plan_scalar_text(b, n, what) : NULL;
    if (!s || !*s)
        return NULL;
    *out_len = strlen(s);
    return plan_text_copy(b, s, *out_len);
}

static void texts_of(struct plan_build *b, const struct given *g, struct plan_map *m)
{
    if (g->absent)
        (void)plan_scalars_of(b, g->absent, "absent", &m->absent);
    if (g->sentinels)
        (void)plan_scalars_of(b, g->sentinels, "sentinels", &m->sentinels);
    if (g->fault)
        (void)plan_scalars_of(b, g->fault, "fault", &m->faults);
    m->after = cut_of(b, g->after, "after", &m->after_len);
    m->before = cut_of(b, g->before, "before", &m->before_len);
    if (g->decimal) {
        const char *s = plan_scalar_text(b, g->decimal, "decimal");
        if (s && (strlen(s) != 1 || (*s >= '0' && *s <= '9')))
            conf_error(
                b->notes, AT(g->decimal),
                "decimal \"%.16s\", expected the one character that stands for the point", s);
        else if (s)
            m->decimal = *s;
    }
}

static bool fraction(struct plan_build *b, const struct yaml_node *n, const char *what,
                     double *num, double *den)
{
    const char *s = plan_scalar_text(b, n, what);
    if (!s)
        return false;
    if (plan_decimal(s, strlen(s), num, den))
        return true;
    conf_error(b->notes, AT(n), "%s is \"%.64s\", expected a number", what, s);
    return false;
}

static void linear_of(struct plan_build *b, const struct given *g, struct plan_map *m)
{
    double mul = 1, div = 1, num = 0, den = 1;
    if (g->scale && fraction(b, g->scale, "scale", &num, &den)) {
        if (num == 0)
            conf_error(b->notes, AT(g->scale), "scale 0 makes everything 0");
        mul *= num;
        div *= den;
    }
    if (g->divide && fraction(b, g->divide, "divide", &num, &den)) {
        if (num == 0)
            conf_error(b->notes, AT(g->divide), "divide is 0, expected another number");
        else {
            div *= num;
            mul *= den;
        }
    }
    num = 0;
    den = 1;
    if (g->offset)
        (void)fraction(b, g->offset, "offset", &num, &den);
    m->scale = plan_linear_make(mul * den, num * div, div * den);
    m->linear = m->scale;
    m->has_min = g->min && plan_number(b, g->min, "min", &m->min);
    m->has_max = g->max && plan_number(b, g->max, "max", &m->max);
    if (m->has_min && m->has_max && m->min > m->max)
        conf_error(b->notes, AT(g->min), "min %.32s is above max %.32s", g->min->text,
                   g->max->text);
}

static bool one_unit(struct plan_build *b, const struct yaml_node *n, const bool *kinds,
                     const struct plan_map *m, struct plan_unit *u)
{
    const char *code = plan_scalar_text(b, n, "a unit");
    u->out.map = m;
    u->out.limited = kinds != NULL;
    return code &&
           plan_unit_of(b, n, code, m->metric, kinds, &m->scale, &u->linear, &u->out.by_kind);
}

/* unit: {from: PATH, map: {C: Cel, F: "[degF]"}, default: Cel} */
static void told_unit(struct plan_build *b, const struct yaml_node *n, const bool *kinds,
                      struct plan_map *m)
{
    const struct yaml_node *from = NULL, *map = NULL, *otherwise = NULL;
    const struct plan_key keys[] = {{"from", &from}, {"map", &map}, {"default", &otherwise}};
    plan_read_map(b, n, keys, 3, "unit");
    if (!from || !map) {
        conf_error(b->notes, AT(n), "unit needs `from` (a path) and `map` (their word: UCUM)");
        return;
    }
    if (!plan_is_map(b, map, "map"))
        return;
    m->unit_from = plan_path(b, from);
    size_t count = 0;
    struct plan_unit *list = plan_take(b, plan_count(map), sizeof(*list));
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        list[count].when = plan_scalar_of(b, v->key);
        count += one_unit(b, v, kinds, m, &list[count]);
    }
    m->units = list;
    m->n_units = count;
    if (otherwise) {
        struct plan_unit *u = plan_take(b, 1, sizeof(*u));
        if (one_unit(b, otherwise, kinds, m, u))
            m->unit_otherwise = u;
    }
}

static void refuse_for_type(struct plan_build *b, const struct yaml_node *n, const char *metric,
                            const char *types)
{
    if (n)
        conf_error(b->notes, AT(n->key), "\"%s\" is for %s metrics, \"%s\" is none",
                   n->key->text, types, metric);
}

static void check_types(struct plan_build *b, const struct given *g, const struct plan_map *m)
{
    if (!is_number(m)) {
        refuse_for_type(b, g->scale, m->metric, "float and int");
        refuse_for_type(b, g->divide, m->metric, "float and int");
        refuse_for_type(b, g->offset, m->metric, "float and int");
        refuse_for_type(b, g->min, m->metric, "float and int");
        refuse_for_type(b, g->max, m->metric, "float and int");
        refuse_for_type(b, g->unit, m->metric, "float and int");
        refuse_for_type(b, g->parse, m->metric, "float and int");
    }
    if (m->type != METRIC_BOOL)
        refuse_for_type(b, g->invert, m->metric, "bool");
}

/* ---- one mapping ---- */

static void source_of(struct plan_build *b, const struct yaml_node *n, const struct given *g,
                      const uint16_t *from, size_t n_from, const struct metric *any,
                      struct plan_map *m)
{
    int said = (g->from != NULL) + (g->text != NULL) + (g->constant != NULL);
    if (said > 1) {
        conf_error(b->notes, AT(n), "expected one of `from`, `text` and `const`");
    } else if (g->from) {
        m->n_from = plan_paths(b, g->from, m->from);
    } else if (g->text) {
        m->text = plan_text(b, g->text);
    } else if (g->constant) {
        struct plan_target t = {0};
        if (target_of(b, g->constant, any, m->raw.by_kind, &t) && !t.nothing) {
            struct value *v = plan_take(b, 1, sizeof(*v));
            *v = t.v;
            m->constant = v;
        }
    } else if (n_from) {
        memcpy(m->from, from, n_from * sizeof(*from));
        m->n_from = n_from;
    } else {
        conf_error(b->notes, AT(n), "where from? expected `from` (a path), `text` or `const`");
    }
}

static void read_given(struct plan_build *b, const struct yaml_node *n, bool named,
                       struct given *g)
{
    const struct plan_key keys[] = {
        {"from", &g->from},       {"text", &g->text},     {"const", &g->constant},
        {"when", &g->when},       {"kinds", &g->kinds},   {"absent", &g->absent},
        {"decimal", &g->decimal}, {"after", &g->after},   {"before", &g->before},
        {"bit", &g->bit},         {"bits", &g->bits},     {"sentinels", &g->sentinels},
        {"fault", &g->fault},     {"map", &g->map},       {"default", &g->otherwise},
        {"scale", &g->scale},     {"divide", &g->divide}, {"offset", &g->offset},
        {"min", &g->min},         {"max", &g->max},       {"unit", &g->unit},
        {"invert", &g->invert},   {"parse", &g->parse},   {"metric", &g->metric}};
    plan_read_map(b, n, keys, named ? 23 : 24, "a mapping");
}

static bool is_plain(const struct plan_map *m)
{
    return m->n_from == 1 && !m->when && !m->constant && m->text == PLAN_NONE && !m->absent.n &&
           !m->sentinels.n && !m->faults.n && !m->parse && !m->has_bits && !m->n_targets &&
           !m->otherwise && !m->invert && !m->decimal && !m->has_min && !m->has_max &&
           m->linear.same && m->unit_from == PLAN_NONE;
}

static struct plan_map *one_mapping(struct plan_build *b, const struct yaml_node *n,
                                    const struct yaml_node *metric, const uint16_t *from,
                                    size_t n_from)
{
    struct given g = {0};
    bool *kinds = NULL;
    if (n->kind == YAML_MAP)
        read_given(b, n, metric != NULL, &g);
    else if (n->kind == YAML_SCALAR && metric)
        g.from = n;
    else if (n->kind != YAML_SCALAR)
        return NULL;
    const struct yaml_node *at = metric ? metric : g.metric ? g.metric : n;
    if (n->kind == YAML_MAP && !metric && !g.metric) {
        conf_error(b->notes, AT(n), "\"metric\" is missing");
        return NULL;
    }
    const char *name = plan_scalar_text(b, at, "a metric");
    struct plan_metric pm;
    if (!name || (g.kinds && !plan_kinds(b, g.kinds, &kinds)) ||
        !plan_metric(b, at, name, kinds, &pm))
        return NULL;
    struct plan_map *m = plan_take(b, 1, sizeof(*m));
    *m = (struct plan_map){.metric = pm.any->name,
                           .metric_len = pm.any->name_len,
                           .type = pm.any->type,
                           .text = PLAN_NONE,
                           .unit_from = PLAN_NONE,
                           .go_on = kinds != NULL,
                           .line = n->line};
    m->out = m->raw = (struct profile_value){pm.same, m, kinds != NULL};
    source_of(b, n, &g, from, n_from, pm.any, m);
    if (g.when)
        m->when = plan_when(b, g.when);
    texts_of(b, &g, m);
    bits_of(b, &g, m);
    targets_of(b, &g, pm.any, m);
    linear_of(b, &g, m);
    check_types(b, &g, m);
    m->invert = plan_bool(b, g.invert, "invert", false);
    if (g.parse)
        plan_parse(b, g.parse, g.unit, kinds, m);
    if (g.unit && g.unit->kind == YAML_MAP) {
        told_unit(b, g.unit, kinds, m);
    } else if (g.unit && is_number(m)) {
        struct plan_unit u = {0};
        if (one_unit(b, g.unit, kinds, m, &u)) {
            m->linear = u.linear;
            m->out.by_kind = u.out.by_kind;
        }
    }
    m->plain = is_plain(m);
    return m;
}

const struct plan_map *plan_mapping(struct plan_build *b, const struct yaml_node *n,
                                    const struct yaml_node *metric, const uint16_t *from,
                                    size_t n_from)
{
    if (n->kind != YAML_LIST)
        return one_mapping(b, n, metric, from, n_from);
    if (!n->first)
        conf_error(b->notes, AT(n), "an empty list, expected mappings");
    struct plan_map *first = NULL, **link = &first;
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        struct plan_map *m = NULL;
        if (v->kind == YAML_LIST)
            conf_error(b->notes, AT(v), "a list in a list, expected a mapping or a path");
        else
            m = one_mapping(b, v, metric, from, n_from);
        if (!m)
            continue;
        /* Of a metric's mappings the first that gives a value counts; those of one of their
         * names are for several metrics, as are those for some kinds. */
        m->go_on = m->go_on || !metric;
        *link = m;
        link = &m->next;
    }
    return first;
}

void plan_values(struct plan_build *b, const struct yaml_node *n, struct plan_part *part)
{
    if (!plan_is_map(b, n, "values"))
        return;
    const struct plan_map **list = plan_take(b, plan_count(n), sizeof(struct plan_map *));
    size_t count = 0;
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        for (const struct yaml_node *o = n->first; o != v; o = o->next) {
            if (strcmp(o->key->text, v->key->text) == 0) {
                conf_error(b->notes, AT(v->key),
                           "metric \"%.64s\" is repeated, first in line %d", v->key->text,
                           o->key->line);
                break;
            }
        }
        if (yaml_is_null(v)) {
            conf_error(b->notes, AT(v->key),
                       "\"%.64s\" has no place, expected a path or a mapping", v->key->text);
            continue;
        }
        if (count == MAX_VALUES) {
            conf_error(b->notes, AT(v), "more than %d values", MAX_VALUES);
            break;
        }
        list[count] = plan_mapping(b, v, v->key, NULL, 0);
        count += list[count] != NULL;
    }
    part->values = list;
    part->n_values = count;
}
