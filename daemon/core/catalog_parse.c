/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "core/catalog_private.h"
#include "core/conf_yaml.h"
#include "core/text.h"
#include "core/unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = 64, MAX_CODES = 256, MAX_SENTINELS = 32, MAX_TITLE = 128 };
static const size_t arena_max = 64u << 20;

struct set {
    const char *name;
    struct metric *metrics;
    size_t n;
};

struct parse {
    struct catalog *c;
    struct conf_notes notes;
    struct arena tree;
    struct set sets[MAX_SETS];
    size_t n_sets;
};

/* One allowed key of a mapping, and where what was found goes. */
struct slot {
    const char *name;
    const struct yaml_node **to;
};

#define AT(n) (n)->line, (n)->col

static const char *kind_of_node(const struct yaml_node *n)
{
    return n->kind == YAML_LIST ? "a list" : n->kind == YAML_MAP ? "a mapping" : "a value";
}

/* Every allocation is bounded by the tree, which has a ceiling itself. */
static void *take(struct parse *p, size_t n)
{
    void *v = arena_alloc(&p->c->arena, n);
    ASSERT(v);
    return v;
}

static const char *take_text(struct parse *p, const char *s)
{
    char *v = arena_strdup(&p->c->arena, s);
    ASSERT(v);
    return v;
}

static bool is_map(struct parse *p, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_MAP)
        return true;
    if (n->kind != YAML_BAD)
        conf_error(&p->notes, AT(n), "%s is %s, expected a mapping", what, kind_of_node(n));
    return false;
}

/* Sorts a mapping's entries into slots; says which are unknown or repeated. */
static void read_map(struct parse *p, const struct yaml_node *map, const struct slot *slots,
                     size_t n, const char *where)
{
    const char *names[16];
    ASSERT(n <= 16);
    for (size_t i = 0; i < n; i++)
        names[i] = slots[i].name;
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        size_t i = 0;
        while (i < n && strcmp(v->key->text, names[i]) != 0)
            i++;
        if (i == n) {
            const char *near = err_nearest(v->key->text, names, n);
            conf_error(&p->notes, AT(v->key), "unknown key \"%.64s\" in %s%s%s%s", v->key->text,
                       where, near ? ", did you mean \"" : "", near ? near : "",
                       near ? "\"?" : "");
        } else if (*slots[i].to) {
            conf_error(&p->notes, AT(v->key), "\"%s\" is repeated, first in line %d", names[i],
                       (*slots[i].to)->key->line);
        } else {
            *slots[i].to = v;
        }
    }
}

static const char *read_scalar(struct parse *p, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_SCALAR && !yaml_is_null(n))
        return n->text;
    if (n->kind != YAML_BAD)
        conf_error(&p->notes, AT(n), "%s is %s, expected a value", what,
                   n->kind == YAML_SCALAR ? "empty" : kind_of_node(n));
    return NULL;
}

static const char *read_title(struct parse *p, const struct yaml_node *n, const char *key,
                              const struct yaml_node *owner)
{
    if (!n) {
        conf_error(&p->notes, AT(owner), "title \"%s\" is missing", key);
        return "";
    }
    const char *s = read_scalar(p, n, "a title");
    if (s && (strlen(s) > MAX_TITLE || !text_is_plain(s, strlen(s)))) {
        conf_error(&p->notes, AT(n), "a title has at most %d bytes and no line ends",
                   MAX_TITLE);
        s = NULL;
    }
    return s ? take_text(p, s) : "";
}

static bool read_number(struct parse *p, const struct yaml_node *n, double *out)
{
    const char *s = read_scalar(p, n, "a number");
    if (s && text_double(s, strlen(s), out))
        return true;
    if (s)
        conf_error(&p->notes, AT(n), "\"%.64s\" is not a number", s);
    return false;
}

static bool read_bool(struct parse *p, const struct yaml_node *n)
{
    const char *s = read_scalar(p, n, "life_safety");
    if (s && (strcmp(s, "true") == 0 || strcmp(s, "false") == 0))
        return s[0] == 't';
    if (s)
        conf_error(&p->notes, AT(n), "\"%.64s\", expected true or false", s);
    return false;
}

static void read_unit(struct parse *p, const struct yaml_node *n, struct metric *m)
{
    struct unit u;
    const char *s = read_scalar(p, n, "unit");
    if (!s)
        return;
    if (unit_parse(s, strlen(s), &u, NULL) == 0) {
        m->unit = take_text(p, s);
        return;
    }
    const char *near = unit_nearest(s);
    if (near)
        conf_error(&p->notes, AT(n), "unit \"%.64s\" is no UCUM code, did you mean \"%s\"?", s,
                   near);
    else
        conf_error(&p->notes, AT(n),
                   "unit \"%.64s\" is no UCUM code that is known here, expected such as m, "
                   "Cel, %%, V, "
                   "kW.h or m3/h",
                   s);
}

static void read_range(struct parse *p, const struct yaml_node *min,
                       const struct yaml_node *max, struct metric *m)
{
    m->has_min = min && read_number(p, min, &m->min);
    m->has_max = max && read_number(p, max, &m->max);
    if (m->has_min && m->has_max && m->min > m->max)
        conf_error(&p->notes, AT(min), "min %s is above max %s", min->text, max->text);
    if (m->type != METRIC_INT)
        return;
    if (m->has_min && m->min != floor(m->min))
        conf_error(&p->notes, AT(min), "min %s of an int, expected a whole number", min->text);
    if (m->has_max && m->max != floor(m->max))
        conf_error(&p->notes, AT(max), "max %s of an int, expected a whole number", max->text);
}

static size_t count(const struct yaml_node *list)
{
    size_t n = 0;
    for (const struct yaml_node *i = list->first; i; i = i->next)
        n++;
    return n;
}

/* A list of 1 to `most` entries, or false. */
static bool is_list(struct parse *p, const struct yaml_node *n, const char *what, size_t most)
{
    if (n->kind != YAML_LIST) {
        if (n->kind != YAML_BAD)
            conf_error(&p->notes, AT(n), "%s is %s, expected a list", what, kind_of_node(n));
        return false;
    }
    size_t entries = count(n);
    if (entries >= 1 && entries <= most)
        return true;
    conf_error(&p->notes, AT(n), "%s has %zu entries, expected 1 to %zu", what, entries, most);
    return false;
}

static void read_sentinels(struct parse *p, const struct yaml_node *list, struct metric *m)
{
    if (!is_list(p, list, "sentinels", MAX_SENTINELS))
        return;
    double *s = take(p, count(list) * sizeof(*s));
    size_t n = 0;
    for (const struct yaml_node *i = list->first; i; i = i->next)
        if (read_number(p, i, &s[n]))
            n++;
    m->sentinels = s;
    m->n_sentinels = n;
}

static bool read_code(struct parse *p, const struct yaml_node *map, struct metric_code *out)
{
    const struct yaml_node *code = NULL, *name = NULL, *zh = NULL, *en = NULL;
    const struct slot slots[] = {{"code", &code}, {"name", &name}, {"zh", &zh}, {"en", &en}};
    if (!is_map(p, map, "a code"))
        return false;
    read_map(p, map, slots, 4, "a code");
    out->title_zh = read_title(p, zh, "zh", map);
    out->title_en = read_title(p, en, "en", map);
    double v = 0;
    if (!code || !name) {
        conf_error(&p->notes, AT(map), "\"%s\" is missing in a code", code ? "name" : "code");
        return false;
    }
    bool good = read_number(p, code, &v);
    if (good && (v != floor(v) || fabs(v) > 9007199254740992.0)) {
        conf_error(&p->notes, AT(code), "code %s, expected a whole number", code->text);
        good = false;
    }
    const char *s = read_scalar(p, name, "a code's name");
    if (s && !text_is_name(s, strlen(s)))
        conf_error(&p->notes, AT(name), "name \"%.64s\", expected [a-z][a-z0-9_]*, at most 64",
                   s);
    if (!good || !s)
        return false;
    out->code = (int64_t)v;
    out->name = take_text(p, s);
    return true;
}

static void read_codes(struct parse *p, const struct yaml_node *list, struct metric *m)
{
    if (!is_list(p, list, "codes", MAX_CODES))
        return;
    struct metric_code *codes = take(p, count(list) * sizeof(*codes));
    size_t n = 0;
    for (const struct yaml_node *i = list->first; i; i = i->next) {
        struct metric_code *c = &codes[n];
        if (!read_code(p, i, c))
            continue;
        m->codes = codes;
        m->n_codes = n;
        if (metric_code_by_number(m, c->code))
            conf_error(&p->notes, AT(i), "code %lld is repeated", (long long)c->code);
        else if (metric_code(m, c->name, strlen(c->name)))
            conf_error(&p->notes, AT(i), "code name \"%s\" is repeated", c->name);
        else
            n++;
    }
    m->codes = codes;
    m->n_codes = n;
}

static bool read_type(struct parse *p, const struct yaml_node *n, const struct yaml_node *owner,
                      enum metric_type *out)
{
    static const char *const types[] = {"float", "int", "bool", "string", "enum"};
    if (!n) {
        conf_error(&p->notes, AT(owner),
                   "type is missing, expected float, int, bool, string or enum");
        return false;
    }
    const char *s = read_scalar(p, n, "type");
    for (size_t i = 0; s && i < 5; i++)
        if (strcmp(types[i], s) == 0) {
            *out = (enum metric_type)i;
            return true;
        }
    if (s) {
        const char *near = err_nearest(s, types, 5);
        conf_error(&p->notes, AT(n),
                   "type \"%.64s\", expected float, int, bool, string or enum%s%s%s", s,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return false;
}

static void refuse(struct parse *p, const struct yaml_node *n, const char *types)
{
    if (n)
        conf_error(&p->notes, AT(n->key), "\"%s\" is only for %s", n->key->text, types);
}

static void read_metric(struct parse *p, const struct yaml_node *map, struct metric *m)
{
    const struct yaml_node *type = NULL, *unit = NULL, *min = NULL, *max = NULL;
    const struct yaml_node *sentinels = NULL, *codes = NULL, *zh = NULL, *en = NULL;
    const struct slot slots[] = {
        {"type", &type},           {"unit", &unit},   {"min", &min}, {"max", &max},
        {"sentinels", &sentinels}, {"codes", &codes}, {"zh", &zh},   {"en", &en}};
    m->unit = "1";
    m->title_zh = m->title_en = "";
    if (!is_map(p, map, "a metric"))
        return;
    read_map(p, map, slots, 8, "a metric");
    m->title_zh = read_title(p, zh, "zh", map->key);
    m->title_en = read_title(p, en, "en", map->key);
    if (!read_type(p, type, map->key, &m->type))
        return;
    if (m->type == METRIC_FLOAT || m->type == METRIC_INT) {
        if (unit)
            read_unit(p, unit, m);
        read_range(p, min, max, m);
        if (sentinels)
            read_sentinels(p, sentinels, m);
    } else {
        refuse(p, unit, "float and int");
        refuse(p, min, "float and int");
        refuse(p, max, "float and int");
        refuse(p, sentinels, "float and int");
    }
    if (m->type != METRIC_ENUM)
        refuse(p, codes, "enum");
    else if (codes)
        read_codes(p, codes, m);
    else
        conf_error(&p->notes, AT(map->key), "an enum without codes");
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static void check_metric_name(struct parse *p, const struct yaml_node *key)
{
    const char *s = key->text;
    if (!text_is_name(s, strlen(s)))
        conf_error(&p->notes, AT(key), "metric \"%.64s\", expected [a-z][a-z0-9_]*, at most 64",
                   s);
    else if (strcmp(s, "time") == 0 || strcmp(s, "ts") == 0 || strcmp(s, "uncertain") == 0 ||
             ends_with(s, "_bad") || ends_with(s, "_raw"))
        conf_error(&p->notes, AT(key),
                   "metric \"%s\" is our own: time, ts and names ending in _bad or _raw", s);
}

static struct metric *find(struct metric *m, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(m[i].name, name) == 0)
            return &m[i];
    return NULL;
}

/* The metrics of a mapping, added to the *n that are there: those replace an inherited one
 * (index below `inherited`), and may not repeat one of their own. */
static void read_metrics(struct parse *p, const struct yaml_node *map, struct metric *metrics,
                         size_t *n, size_t inherited)
{
    if (!is_map(p, map, "metrics"))
        return;
    bool replaced[CATALOG_MAX_METRICS] = {false};
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        check_metric_name(p, v->key);
        struct metric *m = find(metrics, *n, v->key->text);
        size_t at = m ? (size_t)(m - metrics) : *n;
        if (m && (at >= inherited || replaced[at])) {
            conf_error(&p->notes, AT(v->key), "metric \"%s\" is repeated", v->key->text);
            continue;
        }
        if (at == CATALOG_MAX_METRICS) {
            conf_error(&p->notes, AT(v->key), "more than %d metrics", CATALOG_MAX_METRICS);
            return;
        }
        replaced[at] = true;
        metrics[at] = (struct metric){.name = take_text(p, v->key->text),
                                      .name_len = strlen(v->key->text)};
        read_metric(p, v, &metrics[at]);
        if (!m)
            ++*n;
    }
}

static void read_common(struct parse *p, const struct yaml_node *map)
{
    if (!is_map(p, map, "common"))
        return;
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        const char *name = v->key->text;
        if (!text_is_kind(name, strlen(name)))
            conf_error(&p->notes, AT(v->key), "set \"%.64s\", expected [a-z][a-z0-9-]*", name);
        for (size_t i = 0; i < p->n_sets; i++)
            if (strcmp(p->sets[i].name, name) == 0)
                conf_error(&p->notes, AT(v->key), "set \"%.64s\" is repeated", name);
        if (p->n_sets == MAX_SETS) {
            conf_error(&p->notes, AT(v->key), "more than %d sets", MAX_SETS);
            return;
        }
        struct set *s = &p->sets[p->n_sets++];
        s->name = take_text(p, name);
        s->metrics = take(p, CATALOG_MAX_METRICS * sizeof(*s->metrics));
        read_metrics(p, v, s->metrics, &s->n, 0);
    }
}

static void use_set(struct parse *p, const struct yaml_node *ref, struct metric *metrics,
                    size_t *n)
{
    const char *name = read_scalar(p, ref, "a set's name"), *names[MAX_SETS];
    if (!name)
        return;
    size_t i = 0;
    for (size_t k = 0; k < p->n_sets; k++)
        names[k] = p->sets[k].name;
    while (i < p->n_sets && strcmp(names[i], name) != 0)
        i++;
    if (i == p->n_sets) {
        const char *near = err_nearest(name, names, p->n_sets);
        conf_error(&p->notes, AT(ref), "there is no set \"%.64s\" in common%s%s%s", name,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return;
    }
    for (size_t k = 0; k < p->sets[i].n; k++) {
        const struct metric *m = &p->sets[i].metrics[k];
        if (find(metrics, *n, m->name)) {
            conf_error(&p->notes, AT(ref), "metric \"%s\" of set \"%s\" is there already",
                       m->name, name);
        } else if (*n == CATALOG_MAX_METRICS) {
            conf_error(&p->notes, AT(ref), "more than %d metrics", CATALOG_MAX_METRICS);
            return;
        } else {
            metrics[(*n)++] = *m;
        }
    }
}

static void check_kind_name(struct parse *p, const struct yaml_node *key)
{
    const char *s = key->text;
    if (!text_is_kind(s, strlen(s)))
        conf_error(&p->notes, AT(key), "kind \"%.64s\", expected [a-z][a-z0-9-]*, at most 64",
                   s);
    else if (strncmp(s, "gaihou", 6) == 0 || ends_with(s, "-bad"))
        conf_error(&p->notes, AT(key),
                   "kind \"%s\" is our own: names beginning with gaihou or ending in -bad", s);
    for (size_t i = 0; i < p->c->n_kinds; i++)
        if (strcmp(p->c->kinds[i].name, s) == 0)
            conf_error(&p->notes, AT(key), "kind \"%.64s\" is repeated", s);
}

static void read_kind(struct parse *p, const struct yaml_node *map)
{
    const struct yaml_node *zh = NULL, *en = NULL, *ls = NULL, *use = NULL, *metrics = NULL;
    const struct slot slots[] = {
        {"zh", &zh}, {"en", &en}, {"life_safety", &ls}, {"use", &use}, {"metrics", &metrics}};
    check_kind_name(p, map->key);
    struct kind *k = &p->c->kinds[p->c->n_kinds];
    *k = (struct kind){.name = take_text(p, map->key->text),
                       .index = (unsigned)p->c->n_kinds,
                       .title_zh = "",
                       .title_en = ""};
    p->c->n_kinds++;
    if (!is_map(p, map, "a kind"))
        return;
    read_map(p, map, slots, 5, "a kind");
    k->title_zh = read_title(p, zh, "zh", map->key);
    k->title_en = read_title(p, en, "en", map->key);
    k->life_safety = ls && read_bool(p, ls);
    struct metric all[CATALOG_MAX_METRICS];
    size_t n = 0;
    if (use && is_list(p, use, "use", MAX_SETS))
        for (const struct yaml_node *ref = use->first; ref; ref = ref->next)
            use_set(p, ref, all, &n);
    if (metrics)
        read_metrics(p, metrics, all, &n, n);
    if (n == 0)
        conf_error(&p->notes, AT(map->key), "kind \"%.64s\" has no metrics", k->name);
    for (size_t i = 0; i < n; i++)
        all[i].index = (unsigned)i;
    struct metric *kept = take(p, n * sizeof(*kept));
    if (n)
        memcpy(kept, all, n * sizeof(*kept));
    k->metrics = kept;
    k->n_metrics = n;
}

static void read_root(struct parse *p, const struct yaml_node *root)
{
    const struct yaml_node *version = NULL, *common = NULL, *kinds = NULL;
    const struct slot slots[] = {{"version", &version}, {"common", &common}, {"kinds", &kinds}};
    if (!is_map(p, root, "a catalogue"))
        return;
    read_map(p, root, slots, 3, "a catalogue");
    if (version && (version->kind != YAML_SCALAR || strcmp(version->text, "1") != 0))
        conf_error(&p->notes, AT(version), "version of another catalogue format, expected 1");
    if (common)
        read_common(p, common);
    if (!kinds) {
        conf_error(&p->notes, AT(root), "\"kinds\" is missing");
        return;
    }
    if (!is_map(p, kinds, "kinds"))
        return;
    size_t n = count(kinds);
    if (n == 0 || n > CATALOG_MAX_KINDS) {
        conf_error(&p->notes, AT(kinds), "%zu kinds, expected 1 to %d", n, CATALOG_MAX_KINDS);
        return;
    }
    p->c->kinds = take(p, n * sizeof(*p->c->kinds));
    for (const struct yaml_node *v = kinds->first; v; v = v->next)
        read_kind(p, v);
}

int catalog_parse(const char *text, size_t len, const char *file, struct problems *problems,
                  struct catalog **out)
{
    struct parse *p = mem_zalloc(sizeof(*p));
    p->c = mem_zalloc(sizeof(*p->c));
    arena_init(&p->c->arena, arena_max);
    arena_init(&p->tree, arena_max);
    const struct yaml_node *root = yaml_parse(text, len, &p->tree, &p->notes);
    if (root)
        read_root(p, root);
    int rc = !root || p->notes.errors ? -EINVAL : 0;
    conf_notes_hand_over(&p->notes, file, problems);
    if (rc == 0) {
        catalog_index(p->c);
        *out = p->c;
    } else {
        catalog_free(p->c);
    }
    conf_notes_done(&p->notes);
    arena_done(&p->tree);
    free(p);
    return rc;
}
