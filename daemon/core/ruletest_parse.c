/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test file: its head, and of each test the series.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "core/ruletest_private.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DUP = 1000,
    MAX_NAME = 200,
    MAX_POINT = 64,
    ARENA_MAX = 256 << 20,
    TREE_MAX = 64 << 20
};
static const char default_start[] = "2026-11-20T08:00:00+08:00";

/* -- which rules ----------------------------------------------------------------------------- */

static void add_patterns(struct ruletest_parse *p, const struct yaml_node *n,
                         struct ruletest_set *set)
{
    if (n->kind == YAML_SCALAR && !yaml_is_null(n)) {
        const char **one = ruletest_take(p, 1, sizeof(*one));
        one[0] = ruletest_copy(p, n, "rules");
        set->patterns = one;
        set->n = 1;
        return;
    }
    size_t count = ruletest_list(p, n, "rules");
    const char **list = ruletest_take(p, count, sizeof(*list));
    for (const struct yaml_node *i = count ? n->first : NULL; i; i = i->next) {
        const char *s = ruletest_copy(p, i, "a rule file");
        if (s)
            list[set->n++] = s;
    }
    set->patterns = list;
}

unsigned ruletest_add_set(struct ruletest_parse *p, const struct yaml_node *n)
{
    struct ruletest *t = p->t;
    struct ruletest_set set = {0};
    if (n) {
        set.line = n->line;
        set.col = n->col;
        add_patterns(p, n, &set);
    }
    if (t->n_sets == t->cap_sets) {
        t->cap_sets = t->cap_sets ? 2 * t->cap_sets : 8;
        t->sets = mem_realloc_array(t->sets, t->cap_sets, sizeof(*t->sets));
    }
    t->sets[t->n_sets] = set;
    return (unsigned)t->n_sets++;
}

/* -- series ---------------------------------------------------------------------------------- */

void ruletest_check_device(struct ruletest_parse *p, const struct yaml_node *n,
                           const char *pattern)
{
    const char *names[64];
    size_t n_names = 0;
    for (size_t i = 0; i < p->t->n_list; i++) {
        if (ruletest_means(pattern, p->t->list[i].code))
            return;
        if (n_names < 64)
            names[n_names++] = p->t->list[i].code;
    }
    const char *near = err_nearest(pattern, names, n_names);
    conf_error(&p->notes, AT(n), "there is no device \"%.64s\" in `devices`%s%s%s", pattern,
               near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void read_values(struct ruletest_parse *p, const struct yaml_node *n, struct series *s)
{
    size_t at = 0;
    const char *why = "", *text = ruletest_scalar(p, n, "values");
    if (!text)
        return;
    if (ruletest_values(text, &p->t->arena, &s->values, &at, &why) == 0) {
        if (s->values.samples == 0)
            conf_error(&p->notes, AT(n), "values is empty, expected at least one");
        return;
    }
    size_t from = at;
    while (from > 0 && !strchr(" \t\r\n", text[from - 1]))
        from--;
    size_t word = strcspn(text + from, " \t\r\n");
    conf_error(&p->notes, AT(n), "values: \"%.*s\" (byte %zu): %s",
               (int)(word > 40 ? 40 : word), text + from, at + 1, why);
}

static bool is_metric(const char *s)
{
    return text_is_name(s, strlen(s));
}

static void read_point(struct ruletest_parse *p, const struct yaml_node *n, struct series *s)
{
    const char *point = ruletest_copy(p, n, "point");
    if (!point)
        return;
    s->point = point;
    if (!*point || strlen(point) > MAX_POINT || !text_is_plain(point, strlen(point)))
        conf_error(&p->notes, AT(n), "point: expected a name of one line, at most %d bytes",
                   MAX_POINT);
}

/* Of everything that is sampled, arrives, or is the time of a device's clock. */
static void check_length(struct ruletest_parse *p, const struct yaml_node *n,
                         const struct series *s)
{
    double length = (double)s->from_ns + (double)s->late_ns +
                    (double)s->interval_ns * (double)s->values.samples;
    if (length > (double)RULETEST_MAX_TIME)
        conf_error(&p->notes, AT(n), "the series lasts for more than 20 years");
}

static bool one_series(struct ruletest_parse *p, const struct yaml_node *n,
                       const struct test *x, struct series *s)
{
    const struct yaml_node *device = NULL, *metric = NULL, *values = NULL, *from = NULL,
                           *interval = NULL, *late = NULL, *skew = NULL, *dup = NULL,
                           *retained = NULL, *clock = NULL, *point = NULL;
    const struct slot slots[] = {
        {"device", &device}, {"metric", &metric},     {"values", &values}, {"from", &from},
        {"point", &point},   {"interval", &interval}, {"late", &late},     {"skew", &skew},
        {"dup", &dup},       {"retained", &retained}, {"clock", &clock}};
    uint64_t again = 0;
    bool has_clock = true;
    *s = (struct series){
        .point = "", .interval_ns = x->interval_ns, .line = n->line, .col = n->col};
    if (!ruletest_map(p, n, SLOTS(slots), "a series"))
        return false;
    if (!device || !metric || !values) {
        if (p->known)
            conf_error(&p->notes, AT(n), "a series needs `device`, `metric` and `values`");
        return false;
    }
    s->device = ruletest_copy(p, device, "device");
    s->metric = ruletest_copy(p, metric, "metric");
    if (s->device)
        ruletest_check_device(p, device, s->device);
    read_point(p, point, s);
    if (s->metric && !is_metric(s->metric))
        conf_error(&p->notes, AT(metric), "\"%.64s\" is no name of a metric", s->metric);
    read_values(p, values, s);
    (void)ruletest_time(p, from, "from", false, &s->from_ns);
    if (ruletest_time(p, interval, "interval", false, &s->interval_ns) && s->interval_ns <= 0)
        conf_error(&p->notes, AT(interval), "interval is 0, expected more");
    (void)ruletest_time(p, late, "late", false, &s->late_ns);
    (void)ruletest_time(p, skew, "skew", true, &s->skew_ns);
    (void)ruletest_count(p, dup, "dup", MAX_DUP, &again);
    (void)ruletest_bool(p, retained, "retained", &s->retained);
    (void)ruletest_bool(p, clock, "clock", &has_clock);
    s->dup = (unsigned)again;
    s->no_time = !has_clock;
    check_length(p, n, s);
    return s->device && s->metric;
}

static void read_series(struct ruletest_parse *p, const struct yaml_node *n, struct test *x)
{
    size_t count = ruletest_list(p, n, "series");
    x->series = ruletest_take(p, count, sizeof(*x->series));
    for (const struct yaml_node *i = count ? n->first : NULL; i; i = i->next)
        x->n_series += one_series(p, i, x, &x->series[x->n_series]);
}

/* -- tests ----------------------------------------------------------------------------------- */

static void read_start(struct ruletest_parse *p, const struct yaml_node *n, struct test *x)
{
    const char *s = n ? ruletest_scalar(p, n, "start") : NULL;
    (void)stamp_parse(default_start, strlen(default_start), &x->start_ms);
    if (s && (stamp_parse(s, strlen(s), &x->start_ms) != 0 || x->start_ms < 0 ||
              x->start_ms > INT64_C(4102444800000)))
        conf_error(&p->notes, AT(n),
                   "start is \"%.64s\", expected a time of 1970 to 2099 like %s", s,
                   default_start);
}

static void one_test(struct ruletest_parse *p, const struct yaml_node *n, struct test *x)
{
    const struct yaml_node *name = NULL, *start = NULL, *interval = NULL, *end = NULL,
                           *series = NULL, *steps = NULL, *expect = NULL;
    const struct slot slots[] = {
        {"name", &name},     {"start", &start}, {"interval", &interval}, {"end", &end},
        {"series", &series}, {"steps", &steps}, {"expect", &expect}};
    *x = (struct test){
        .name = "", .interval_ns = NS_MINUTE, .end_ns = -1, .line = n->line, .col = n->col};
    if (!ruletest_map(p, n, SLOTS(slots), "a test"))
        return;
    const char *s = ruletest_copy(p, name, "name");
    if ((!s && (name || p->known)) ||
        (s && (strlen(s) > MAX_NAME || !text_is_plain(s, strlen(s)))))
        conf_error(&p->notes, AT(name ? name : n),
                   "a test needs a `name` of one line, at most %d bytes", MAX_NAME);
    else if (s)
        x->name = s;
    for (const struct test *o = p->t->tests; o < x; o++)
        if (*x->name && strcmp(o->name, x->name) == 0)
            conf_error(&p->notes, AT(name), "test \"%.64s\" is repeated, first in line %d",
                       x->name, o->line);
    read_start(p, start, x);
    if (ruletest_time(p, interval, "interval", false, &x->interval_ns) && x->interval_ns <= 0)
        conf_error(&p->notes, AT(interval), "interval is 0, expected more");
    (void)ruletest_time(p, end, "end", false, &x->end_ns);
    read_series(p, series, x);
    ruletest_parse_steps(p, steps, x);
    ruletest_parse_expects(p, expect, x);
}

static void check_version(struct ruletest_parse *p, const struct yaml_node *root,
                          const struct yaml_node *n)
{
    uint64_t v = 1;
    if (!n && p->known)
        conf_error(&p->notes, AT(root), "expected `version: 1`");
    else if (n && ruletest_count(p, n, "version", 1, &v) && v != 1)
        conf_error(&p->notes, AT(n), "version is 0, expected 1");
}

static void read_root(struct ruletest_parse *p, const struct yaml_node *root)
{
    const struct yaml_node *version = NULL, *rules = NULL, *catalog = NULL, *timezone = NULL,
                           *compounds = NULL, *devices = NULL, *defaults = NULL, *tests = NULL;
    const struct slot slots[] = {{"version", &version},     {"rules", &rules},
                                 {"catalog", &catalog},     {"timezone", &timezone},
                                 {"compounds", &compounds}, {"devices", &devices},
                                 {"defaults", &defaults},   {"tests", &tests}};
    struct ruletest *t = p->t;
    const struct yaml_node *first = root->kind == YAML_MAP ? root->first : NULL;
    for (; first; first = first->next)
        if (first->key && strcmp(first->key->text, "groups") == 0) {
            conf_error(&p->notes, AT(first),
                       "this is a file of rules, expected one that tests them");
            return;
        }
    if (!ruletest_map(p, root, SLOTS(slots), "a test file"))
        return;
    bool known = p->known;
    check_version(p, root, version);
    if (!rules && known)
        conf_error(&p->notes, AT(root), "expected `rules`: which rule files are tested");
    (void)ruletest_add_set(p, rules);
    t->catalog = ruletest_copy(p, catalog, "catalog");
    if (timezone)
        t->timezone = ruletest_copy(p, timezone, "timezone");
    if (!t->timezone || strspn(t->timezone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
                                            "yz0123456789_+-/") != strlen(t->timezone)) {
        conf_error(&p->notes, AT(timezone ? timezone : root),
                   "timezone: expected a name like Asia/Shanghai");
        t->timezone = "Asia/Shanghai";
    }
    ruletest_parse_devices(p, compounds, devices, defaults);
    size_t count = ruletest_list(p, tests, "tests");
    if (count > RULETEST_MAX_TESTS) {
        conf_error(&p->notes, AT(tests), "more than %d tests", RULETEST_MAX_TESTS);
        return;
    }
    t->tests = ruletest_take(p, count, sizeof(*t->tests));
    if (count == 0 && (tests ? tests->kind != YAML_BAD : known))
        conf_error(&p->notes, AT(tests ? tests : root), "there are no `tests`");
    for (const struct yaml_node *i = count ? tests->first : NULL; i; i = i->next)
        one_test(p, i, &t->tests[t->n_tests++]);
}

int ruletest_parse(const char *text, size_t len, const char *file, struct problems *problems,
                   struct ruletest **out)
{
    struct ruletest *t = mem_zalloc(sizeof(*t));
    struct ruletest_parse p = {.t = t};
    arena_init(&t->arena, ARENA_MAX);
    arena_init(&p.tree, TREE_MAX);
    t->timezone = "Asia/Shanghai";
    t->file = arena_strdup(&t->arena, file);
    ASSERT(t->file);
    buf_init(&t->compounds, RULETEST_MAX_CSV);
    buf_init(&t->devices, RULETEST_MAX_CSV);
    buf_init(&t->params, RULETEST_MAX_CSV);
    const struct yaml_node *root = yaml_parse(text, len, &p.tree, &p.notes);
    if (root)
        read_root(&p, root);
    size_t errors = p.notes.errors;
    conf_notes_hand_over(&p.notes, file, problems);
    conf_notes_done(&p.notes);
    arena_done(&p.tree);
    if (errors || !root) {
        ruletest_free(t);
        return -EINVAL;
    }
    *out = t;
    return 0;
}

void ruletest_free(struct ruletest *t)
{
    if (!t)
        return;
    buf_done(&t->compounds);
    buf_done(&t->devices);
    buf_done(&t->params);
    free(t->list);
    free(t->compound_rows);
    free(t->param_rows);
    free(t->sets);
    arena_done(&t->arena);
    free(t);
}

const char *ruletest_file(const struct ruletest *t)
{
    return t->file;
}

const char *ruletest_catalog(const struct ruletest *t)
{
    return t->catalog;
}

const char *ruletest_timezone(const struct ruletest *t)
{
    return t->timezone;
}

size_t ruletest_sets(const struct ruletest *t)
{
    return t->n_sets;
}

const struct ruletest_set *ruletest_set(const struct ruletest *t, size_t i)
{
    return &t->sets[i];
}

size_t ruletest_tests(const struct ruletest *t)
{
    return t->n_tests;
}

const char *ruletest_name(const struct ruletest *t, size_t test)
{
    return t->tests[test].name;
}
