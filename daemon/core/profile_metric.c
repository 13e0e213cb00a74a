/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles and the catalogue: which metric a name is in which kind, and the way from a
 * profile's unit to the canonical one.
 *
 * Conversions are fractions of whole numbers wherever they can be: a value times 0.001 is
 * divided by 1000, and 219 tenths of a degree are 21.9 of them and nothing else.
 */
#include "base/mem.h"
#include "core/profile_private.h"
#include "core/text.h"
#include "core/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 9007199254740992.0 /* whole numbers up to here have exact doubles */

struct metric_table { /* by kind; shared by all mappings that come to the same */
    struct metric_table *next;
    struct profile_metric *list;
};

void plan_tables_free(struct profile_set *s)
{
    for (struct metric_table *t = s->tables, *next; t; t = next) {
        next = t->next;
        free(t->list);
        free(t);
    }
    s->tables = NULL;
}

/* The table with this content; takes `list`. */
static const struct profile_metric *share(struct profile_set *s, struct profile_metric *list)
{
    size_t bytes = catalog_kinds(s->catalog) * sizeof(*list);
    for (struct metric_table *t = s->tables; t; t = t->next) {
        if (memcmp(t->list, list, bytes) == 0) {
            free(list);
            return t->list;
        }
    }
    struct metric_table *t = mem_zalloc(sizeof(*t));
    *t = (struct metric_table){s->tables, list};
    s->tables = t;
    return list;
}

static void fill(struct profile_metric *to, const struct metric *m, const struct plan_linear *l)
{
    memset(to, 0, sizeof(*to)); /* padding too: tables are compared as bytes */
    to->metric = m;
    to->mul = l ? l->mul : 1;
    to->div = l ? l->div : 1;
    to->add = l ? l->add / l->div : 0;
    to->same = !l || l->same;
}

/* ---- kinds ---- */

/* By its name or what people call it, else all there are. */
static void unknown_kind(struct plan_build *b, const struct yaml_node *n, const char *s,
                         const char *const *names, size_t n_names)
{
    struct buf all;
    for (size_t i = 0; i < n_names; i++) {
        const struct kind *k = catalog_kind_at(b->set->catalog, i);
        if (strcmp(k->title_zh, s) == 0 || strcasecmp(k->title_en, s) == 0) {
            conf_error(b->notes, AT(n),
                       "the catalogue has no kind \"%.64s\", did you mean \"%s\"?", s,
                       names[i]);
            return;
        }
    }
    if (err_nearest(s, names, n_names)) {
        plan_unknown(b, n, "the catalogue has no kind", s, names, n_names);
        return;
    }
    buf_init(&all, 4096);
    for (size_t i = 0; i < n_names && all.len < 600; i++)
        (void)buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    conf_error(b->notes, AT(n), "the catalogue has no kind \"%.64s\", expected one of %s%s", s,
               buf_cstr(&all), all.len < 600 ? "" : " …");
    buf_done(&all);
}

bool plan_kinds(struct plan_build *b, const struct yaml_node *n, bool **out)
{
    const struct catalog *c = b->set->catalog;
    size_t count = catalog_kinds(c);
    const char *names[CATALOG_MAX_KINDS];
    bool *kinds = plan_take(b, count, sizeof(*kinds)), good = true;
    if (n->kind != YAML_LIST || !n->first) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n), "kinds is %s, expected a list of facility kinds",
                       n->kind == YAML_LIST ? "empty" : plan_kind_of(n));
        return false;
    }
    for (size_t i = 0; i < count; i++)
        names[i] = catalog_kind_at(c, i)->name;
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        const char *s = plan_scalar_text(b, v, "a kind");
        const struct kind *k = s ? catalog_kind(c, s, strlen(s)) : NULL;
        if (s && !k)
            unknown_kind(b, v, s, names, count);
        else if (k && kinds[k->index])
            conf_error(b->notes, AT(v), "kind \"%s\" is repeated", s);
        good = good && k;
        if (k)
            kinds[k->index] = true;
    }
    *out = kinds;
    return good;
}

static bool has_kind(const struct plan_build *b, const bool *kinds, size_t i)
{
    return (!b->p->kinds || b->p->kinds[i]) && (!kinds || kinds[i]);
}

/* ---- metrics ---- */

static const char *const type_names[] = {"float", "int", "bool", "string", "enum"};

static void no_metric(struct plan_build *b, const struct yaml_node *at, const char *name,
                      const bool *kinds)
{
    const struct catalog *c = b->set->catalog;
    size_t n = 0, len = strlen(name);
    for (size_t i = 0; i < catalog_kinds(c) && b->kinds_refused; i++)
        if (catalog_metric(c, catalog_kind_at(c, i), name, len))
            return; /* it may be that of the kind that was meant */
    const char **names =
        mem_zalloc_array(catalog_kinds(c) * CATALOG_MAX_METRICS + 1, sizeof(*names));
    for (size_t i = 0; i < catalog_kinds(c); i++) {
        const struct kind *k = catalog_kind_at(c, i);
        bool meant = b->kinds_refused || has_kind(b, kinds, i);
        for (size_t m = 0; m < k->n_metrics && meant; m++)
            names[n++] = k->metrics[m].name;
    }
    plan_unknown(b, at,
                 (b->p->kinds || kinds) && !b->kinds_refused
                     ? "none of the kinds has a metric"
                     : "no kind of the catalogue has a metric",
                 name, names, n);
    free(names);
}

bool plan_metric(struct plan_build *b, const struct yaml_node *at, const char *name,
                 const bool *kinds, struct plan_metric *out)
{
    const struct catalog *c = b->set->catalog;
    size_t count = catalog_kinds(c), len = strlen(name);
    struct profile_metric *list = mem_zalloc_array(count + 1, sizeof(*list));
    const struct metric *any = NULL;
    const char *first = "";
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const struct kind *k = catalog_kind_at(c, i);
        const struct metric *m = has_kind(b, kinds, i) ? catalog_metric(c, k, name, len) : NULL;
        if (!m)
            continue;
        if (any && m->type != any->type) {
            conf_error(b->notes, AT(at),
                       "metric \"%s\" is %s in kind %s and %s in kind %s: say which with "
                       "`kinds`",
                       name, type_names[any->type], first, type_names[m->type], k->name);
            good = false;
            break;
        }
        if (!any) {
            any = m;
            first = k->name;
        }
        fill(&list[i], m, NULL);
    }
    if (!any)
        no_metric(b, at, name, kinds);
    if (!any || !good) {
        free(list);
        return false;
    }
    *out = (struct plan_metric){any, share(b->set, list)};
    return true;
}

/* ---- fractions ---- */

bool plan_decimal(const char *s, size_t n, double *out_num, double *out_den)
{
    double v, num = 0, den = 1;
    bool point = false, minus = n && *s == '-';
    if (!text_double(s, n, &v))
        return false;
    for (size_t i = minus; i < n; i++) {
        if (s[i] == '.') {
            point = true;
            continue;
        }
        if (s[i] < '0' || s[i] > '9' || num > 1e14 || den > 1e14) { /* 1e-7, or very long */
            *out_num = v;
            *out_den = 1;
            return true;
        }
        num = num * 10 + (s[i] - '0');
        den *= point ? 10 : 1;
    }
    *out_num = minus ? -num : num;
    *out_den = den;
    return true;
}

static bool is_whole(double v)
{
    return v == nearbyint(v) && fabs(v) < EXACT;
}

static double common(double a, double c) /* greatest common divisor of whole numbers */
{
    a = fabs(a);
    c = fabs(c);
    while (c > 0) {
        double r = fmod(a, c);
        a = c;
        c = r;
    }
    return a;
}

struct plan_linear plan_linear_make(double mul, double add, double div)
{
    if (div < 0) {
        mul = -mul;
        add = -add;
        div = -div;
    }
    if (is_whole(mul) && is_whole(add) && is_whole(div)) {
        double g = common(common(mul, add), div);
        if (g > 1) {
            mul /= g;
            add /= g;
            div /= g;
        }
    }
    return (struct plan_linear){mul, add, div, mul == 1 && add == 0 && div == 1};
}

static bool near(double v, double *out)
{
    *out = nearbyint(v);
    return *out != 0 && fabs(*out) < 1e15 && fabs(v - *out) <= 1e-11 * fabs(*out);
}

/* A ratio of two units as a fraction: 1/1000, 5/9, 36/10. */
static void ratio_of(double r, double *out_num, double *out_den)
{
    static const double dens[] = {1, 9, 3, 7, 24, 60, 3600, 86400};
    for (double ten = 1; ten <= 1e12; ten *= 10) {
        for (size_t i = 0; i < sizeof(dens) / sizeof(*dens); i++) {
            if (near(r * dens[i] * ten, out_num)) {
                *out_den = dens[i] * ten;
                return;
            }
        }
    }
    for (double ten = 1; ten <= 1e9; ten *= 10) {
        if (near(ten / r, out_den)) {
            *out_num = ten;
            return;
        }
    }
    *out_num = r;
    *out_den = 1;
}

static struct plan_linear between(const struct unit *from, const struct unit *to)
{
    double num, den, whole;
    ratio_of(from->factor / to->factor, &num, &den);
    double add = (from->offset - to->offset) / to->factor * den;
    if (fabs(add) < 1e-9)
        add = 0;
    else if (near(add * 100, &whole) && fabs(whole / 100 - add) < 1e-6) {
        num *= 100; /* 273.15 K are 27315 hundredths */
        den *= 100;
        add = whole;
    }
    return plan_linear_make(num, add, den);
}

/* b after a: ((v·m1 + a1)/d1 · m2 + a2)/d2 */
static struct plan_linear chain(const struct plan_linear *a, const struct plan_linear *b)
{
    return plan_linear_make(a->mul * b->mul, a->add * b->mul + b->add * a->div,
                            a->div * b->div);
}

static bool parse_unit(struct plan_build *b, const struct yaml_node *at, const char *code,
                       struct unit *out)
{
    if (unit_parse(code, strlen(code), out, NULL) == 0)
        return true;
    const char *near_code = unit_nearest(code);
    conf_error(b->notes, AT(at), "unit \"%.64s\" is no UCUM code that is known here%s%s%s",
               code,
               near_code ? ", did you mean \"" : ", expected such as mV, Cel, %, mm or kPa",
               near_code ? near_code : "", near_code ? "\"?" : "");
    return false;
}

bool plan_unit_fits(const struct plan_build *b, const char *code, const char *metric,
                    const bool *kinds)
{
    const struct catalog *c = b->set->catalog;
    struct unit from, to;
    bool any = false;
    if (unit_parse(code, strlen(code), &from, NULL) < 0)
        return false;
    for (size_t i = 0; i < catalog_kinds(c); i++) {
        const struct kind *k = catalog_kind_at(c, i);
        const struct metric *m =
            has_kind(b, kinds, i) ? catalog_metric(c, k, metric, strlen(metric)) : NULL;
        if (!m || unit_parse(m->unit, strlen(m->unit), &to, NULL) < 0)
            continue;
        if (!unit_comparable(&from, &to))
            return false;
        any = true;
    }
    return any;
}

bool plan_unit_of(struct plan_build *b, const struct yaml_node *at, const char *code,
                  const char *metric, const bool *kinds, const struct plan_linear *scale,
                  struct plan_linear *out_linear, const struct profile_metric **out_by_kind)
{
    const struct catalog *c = b->set->catalog;
    size_t count = catalog_kinds(c);
    struct unit from, to;
    if (!parse_unit(b, at, code, &from))
        return false;
    struct profile_metric *list = mem_zalloc_array(count + 1, sizeof(*list));
    struct plan_linear way = {1, 0, 1, true}, first = way;
    bool any = false, good = true, alike = true;
    for (size_t i = 0; i < count; i++) {
        const struct kind *k = catalog_kind_at(c, i);
        const struct metric *m =
            has_kind(b, kinds, i) ? catalog_metric(c, k, metric, strlen(metric)) : NULL;
        if (!m || unit_parse(m->unit, strlen(m->unit), &to, NULL) < 0)
            continue;
        if (!unit_comparable(&from, &to)) {
            struct unit other; /* C is the coulomb */
            const char *meant = unit_nearest(code);
            if (meant && (unit_parse(meant, strlen(meant), &other, NULL) < 0 ||
                          !unit_comparable(&other, &to)))
                meant = NULL;
            conf_error(
                b->notes, AT(at),
                "unit \"%.64s\" cannot become \"%s\", that of metric \"%s\" in kind %s%s%s%s",
                code, m->unit, metric, k->name, meant ? ", did you mean \"" : "",
                meant ? meant : "", meant ? "\"?" : "");
            good = false;
            break;
        }
        way = between(&from, &to);
        first = any ? first : way;
        alike = alike && way.mul == first.mul && way.add == first.add && way.div == first.div;
        any = true;
        fill(&list[i], m, &way);
    }
    if (!good) {
        free(list);
        return false;
    }
    *out_linear = *scale;
    if (alike) { /* then it is one sum, done at once */
        *out_linear = chain(scale, &first);
        for (size_t i = 0; i < count; i++)
            if (list[i].metric)
                fill(&list[i], list[i].metric, NULL);
    }
    *out_by_kind = share(b->set, list);
    return true;
}
