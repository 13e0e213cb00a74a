/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk through the tree: sections and options are found by their path in the table; what is
 * not there is complained about with the nearest name.
 */
#include "core/conf.h"
#include "base/check.h"
#include "base/mem.h"
#include "core/conf_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH = 64, MAX_KEYS = 64, MAX_FILE_NAME = 4000 };
static const size_t arena_max = 64u << 20;

/* The next word of `path` below `prefix` ("" is the top), or NULL if it is not below it. */
static const char *word_below(const char *prefix, const char *path, size_t *out_len)
{
    size_t n = strlen(prefix);
    if (n) {
        if (strncmp(path, prefix, n) != 0 || path[n] != '.')
            return NULL;
        path += n + 1;
    }
    *out_len = strcspn(path, ".");
    return path;
}

/* The names that may stand below `prefix`, each once. */
static size_t names_below(const char *prefix, char names[][MAX_PATH], const char **list)
{
    size_t n = 0, len;
    for (size_t i = 0; i < conf_options_n; i++) {
        const char *w = word_below(prefix, conf_options[i].path, &len);
        if (!w || (n && strlen(names[n - 1]) == len && memcmp(names[n - 1], w, len) == 0))
            continue;
        ASSERT(n < MAX_KEYS && len < MAX_PATH);
        memcpy(names[n], w, len);
        names[n][len] = '\0';
        list[n] = names[n];
        n++;
    }
    return n;
}

static void note_lost(struct conf_ctx *x, const char *prefix)
{
    x->lost_root = x->lost_root || !*prefix;
    x->lost_registry = x->lost_registry || strcmp(prefix, "registry") == 0;
}

static void remember(struct conf_ctx *x, const void *base, const struct conf_option *o,
                     const struct yaml_node *n, bool refused)
{
    if (x->n_given == x->cap_given) {
        x->cap_given = x->cap_given ? x->cap_given * 2 : 64;
        x->given = mem_realloc_array(x->given, x->cap_given, sizeof(*x->given));
    }
    x->given[x->n_given++] = (struct conf_given){base, o, n->line, n->col, refused};
}

/* A key that is nearly the option's, or that of a section: it was given, and refused. That it is missing
 * would be said of the same word once more. */
static void note_meant(struct conf_ctx *x, const char *prefix, const void *base,
                       const char *near, const struct yaml_node *key)
{
    char path[2 * MAX_PATH];
    int n = snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", near);
    const struct conf_section *s = conf_section_find(path, (size_t)n);
    if (s && s->list)
        x->section_line[s->home] = -1;
    for (size_t i = 0; i < conf_options_n && !(s && s->list); i++) {
        const char *o = conf_options[i].path;
        if (strncmp(o, path, (size_t)n) == 0 && (o[n] == '\0' || o[n] == '.'))
            remember(x, base, &conf_options[i], key, true);
    }
}

static void refuse_key(struct conf_ctx *x, const char *prefix, const void *base,
                       const struct yaml_node *key)
{
    char names[MAX_KEYS][MAX_PATH];
    const char *list[MAX_KEYS] = {0};
    for (size_t i = 0; !*prefix && conf_later_keys[i]; i++) {
        if (strcmp(conf_later_keys[i], key->text) == 0) {
            conf_error(&x->notes, key->line, key->col,
                       "\"%s\" is not known to this version: remove it", key->text);
            return;
        }
    }
    note_lost(x, prefix);
    size_t n = names_below(prefix, names, list);
    const char *near = err_nearest(key->text, list, n);
    if (near) {
        conf_error(&x->notes, key->line, key->col,
                   "unknown key \"%.64s\"%s%s, did you mean \"%s\"?", key->text,
                   *prefix ? " in " : "", prefix, near);
        note_meant(x, prefix, base, near, key);
        return;
    }
    struct buf b;
    buf_init(&b, 1024);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%s", !i ? "" : i + 1 < n ? ", " : " or ", list[i]);
    conf_error(&x->notes, key->line, key->col, "unknown key \"%.64s\"%s%s, expected %s",
               key->text, *prefix ? " in " : "", prefix, buf_cstr(&b));
    buf_done(&b);
}

static void walk_map(struct conf_ctx *x, const char *prefix, void *base,
                     const struct yaml_node *map);

static void *item_base(struct conf_ctx *x, enum conf_home home, size_t i)
{
    switch (home) {
    case CONF_IN_BROKER:
        return &x->c->brokers[i];
    case CONF_IN_SOURCE:
        return &x->c->sources[i];
    case CONF_IN_SINK:
        return &x->c->sinks[i];
    case CONF_IN_ROOT:
        break;
    }
    return x->c;
}

static void take_defaults(struct conf_ctx *x, enum conf_home home, void *base)
{
    for (size_t i = 0; i < conf_options_n; i++) {
        if (conf_options[i].home == home)
            conf_take_default(x, &conf_options[i], base);
    }
}

static void make_items(struct conf_ctx *x, const struct conf_section *s, size_t n)
{
    struct conf *c = x->c;
    size_t size = s->home == CONF_IN_BROKER   ? sizeof(*c->brokers)
                  : s->home == CONF_IN_SOURCE ? sizeof(*c->sources)
                                              : sizeof(*c->sinks);
    void *items = arena_alloc(x->arena, n * size);
    ASSERT(items);
    x->at[s->home] = mem_zalloc_array(n, sizeof(*x->at[s->home]));
    if (s->home == CONF_IN_BROKER) {
        c->brokers = items;
        c->n_brokers = n;
    } else if (s->home == CONF_IN_SOURCE) {
        c->sources = items;
        c->n_sources = n;
    } else {
        c->sinks = items;
        c->n_sinks = n;
    }
    for (size_t i = 0; i < n; i++)
        take_defaults(x, s->home, item_base(x, s->home, i));
}

static void walk_list(struct conf_ctx *x, const struct conf_section *s,
                      const struct yaml_node *list)
{
    size_t n = 0, i = 0;
    for (const struct yaml_node *it = list->first; it; it = it->next)
        n++;
    if (n > s->max) {
        x->section_line[s->home] = -1;
        conf_error(&x->notes, list->line, list->col, "%s: %zu entries, expected at most %zu",
                   s->path, n, s->max);
        return;
    }
    if (n == 0)
        return;
    make_items(x, s, n);
    for (const struct yaml_node *it = list->first; it; it = it->next, i++) {
        void *base = item_base(x, s->home, i);
        x->at[s->home][i].line = it->line;
        x->at[s->home][i].col = it->col;
        if (s->home == CONF_IN_BROKER)
            x->c->brokers[i].line = it->line;
        else if (s->home == CONF_IN_SOURCE)
            x->c->sources[i].line = it->line;
        else
            x->c->sinks[i].line = it->line;
        if (it->kind == YAML_MAP)
            walk_map(x, s->path, base, it);
        else
            x->at[s->home][i].line = 0; /* nothing more to say about it */
        if (it->kind != YAML_MAP && it->kind != YAML_BAD)
            conf_error(&x->notes, it->line, it->col,
                       "%s: expected a mapping, such as {id: …}, for each entry", s->path);
    }
}

static void walk_section(struct conf_ctx *x, const struct conf_section *s, void *base,
                         const struct yaml_node *n)
{
    if (s->list)
        x->section_line[s->home] = n->key->line;
    if (n->kind == YAML_BAD)
        note_lost(x, s->path);
    if (n->kind == YAML_BAD || yaml_is_null(n))
        return;
    if (n->kind != (s->list ? YAML_LIST : YAML_MAP)) {
        note_lost(x, s->path);
        if (s->list)
            x->section_line[s->home] = -1;
        conf_error(&x->notes, n->line, n->col, "%s: expected a %s", s->path,
                   s->list ? "list of mappings (lines that begin with -)" : "mapping");
        return;
    }
    if (s->list)
        walk_list(x, s, n);
    else
        walk_map(x, s->path, base, n);
}

/* True if an earlier entry of the mapping has the same key. Only known keys are asked about, so
 * a mapping of thousands of unknown ones is no work. */
static bool is_repeated(const struct yaml_node *map, const struct yaml_node *n, int *out_line)
{
    for (const struct yaml_node *o = map->first; o != n; o = o->next) {
        if (strcmp(o->key->text, n->key->text) == 0) {
            *out_line = o->key->line;
            return true;
        }
    }
    return false;
}

static void walk_map(struct conf_ctx *x, const char *prefix, void *base,
                     const struct yaml_node *map)
{
    size_t seen = 0;
    for (const struct yaml_node *n = map->first; n; n = n->next) {
        char path[2 * MAX_PATH];
        int first;
        if (n->key->kind != YAML_SCALAR) {
            note_lost(x, prefix);
            continue;
        }
        if (++seen > MAX_KEYS * 4) {
            conf_error(&x->notes, n->key->line, n->key->col,
                       "too many keys in one mapping: the rest is not looked at");
            note_lost(x, prefix);
            return;
        }
        int len =
            snprintf(path, sizeof(path), "%s%s%.64s", prefix, *prefix ? "." : "", n->key->text);
        const struct conf_section *s = conf_section_find(path, (size_t)len);
        const struct conf_option *o = conf_option_find(path, (size_t)len);
        if ((!s && !o) || strchr(n->key->text, '.')) {
            refuse_key(x, prefix, base, n->key);
        } else if (is_repeated(map, n, &first)) {
            conf_error(&x->notes, n->key->line, n->key->col,
                       "%s stands there twice, first in line %d", path, first);
        } else if (s) {
            walk_section(x, s, base, n);
        } else {
            bool taken = conf_take_value(x, o, base, n);
            /* A refused value was given all the same: what is wrong is said once. */
            if (!taken || !yaml_is_null(n))
                remember(x, base, o, n, !taken);
        }
    }
}

static bool is_given(const struct conf_ctx *x, const void *base, const struct conf_option *o)
{
    for (size_t i = 0; i < x->n_given; i++) {
        if (x->given[i].base == base && x->given[i].o == o)
            return true;
    }
    return false;
}

static void require(struct conf_ctx *x, enum conf_home home, const void *base, int line,
                    int col)
{
    for (size_t i = 0; i < conf_options_n && (line || home == CONF_IN_ROOT); i++) {
        const struct conf_option *o = &conf_options[i];
        if (o->home == home && (o->flags & CONF_REQUIRED) && !is_given(x, base, o))
            conf_error(&x->notes, line, col, "%s is missing, expected %s", o->path, o->help);
    }
}

static void require_all(struct conf_ctx *x)
{
    const struct conf *c = x->c;
    require(x, CONF_IN_ROOT, c, 0, 0);
    for (size_t i = 0; i < c->n_brokers; i++)
        require(x, CONF_IN_BROKER, &c->brokers[i], x->at[CONF_IN_BROKER][i].line,
                x->at[CONF_IN_BROKER][i].col);
    for (size_t i = 0; i < c->n_sources; i++)
        require(x, CONF_IN_SOURCE, &c->sources[i], x->at[CONF_IN_SOURCE][i].line,
                x->at[CONF_IN_SOURCE][i].col);
    for (size_t i = 0; i < c->n_sinks; i++)
        require(x, CONF_IN_SINK, &c->sinks[i], x->at[CONF_IN_SINK][i].line,
                x->at[CONF_IN_SINK][i].col);
}

/* Defaults that depend on other options. */
static void derive(struct conf_ctx *x)
{
    struct conf *c = x->c;
    size_t n = (c->gateway.id ? strlen(c->gateway.id) : 0) + sizeof("gaihou-");
    char *id = arena_alloc(x->arena, n);
    ASSERT(id);
    (void)snprintf(id, n, "gaihou-%s", c->gateway.id ? c->gateway.id : "");
    for (size_t i = 0; i < c->n_brokers; i++) {
        if (!c->brokers[i].client_id)
            c->brokers[i].client_id = id;
    }
}

static void walk_root(struct conf_ctx *x, const struct yaml_node *root)
{
    take_defaults(x, CONF_IN_ROOT, x->c);
    if (root->kind != YAML_MAP) {
        if (root->kind != YAML_BAD)
            conf_error(&x->notes, root->line, root->col,
                       "expected a mapping: gateway, brokers, sources, sinks …");
        return;
    }
    walk_map(x, "", x->c, root);
    require_all(x);
    derive(x);
    conf_check(x);
}

static bool is_refused(const struct conf_ctx *x, const char *path)
{
    for (size_t i = 0; i < x->n_given; i++)
        if (x->given[i].base == x->c && strcmp(x->given[i].o->path, path) == 0)
            return x->given[i].refused;
    return x->lost_root; /* the default need not be what was meant */
}

static void leave_files(const struct conf_ctx *x)
{
    struct conf *c = x->c;
    if (is_refused(x, "gateway.timezone"))
        c->gateway.timezone = NULL;
    if (is_refused(x, "catalog"))
        c->catalog = NULL;
    if (is_refused(x, "profiles"))
        c->profiles = (struct conf_list){0};
    if (is_refused(x, "rules"))
        c->rules = (struct conf_list){0};
    if (x->lost_registry || is_refused(x, "registry.compounds") ||
        is_refused(x, "registry.devices") ||
        (c->registry.params && is_refused(x, "registry.params")))
        memset(&c->registry, 0, sizeof(c->registry));
}

/* files: what it says of them, though there are errors; NULL then, if it says nothing. */
static struct conf_owned *parse(const char *text, size_t len, const char *file, bool files,
                                struct problems *problems)
{
    struct conf_owned *own = mem_zalloc(sizeof(*own));
    struct arena tree_arena;
    arena_init(&own->arena, arena_max);
    arena_init(&tree_arena, arena_max);
    struct conf_ctx x = {.c = &own->c, .arena = &own->arena};

    bool read = false;
    const char *slash = strrchr(file, '/');
    x.folder = arena_strndup(&own->arena, file, slash ? (size_t)(slash - file) + 1 : 0);
    own->c.file = arena_strdup(&own->arena, file);
    if (strlen(file) > MAX_FILE_NAME) {
        conf_error(&x.notes, 0, 0, "the file's name is too long");
    } else {
        const struct yaml_node *root = yaml_parse(text, len, &tree_arena, &x.notes);
        if (root)
            walk_root(&x, root);
        read = root && root->kind == YAML_MAP;
    }
    if (files && read)
        leave_files(&x);
    bool kept = problems_are_kept(problems);
    size_t errors = x.notes.errors + (kept ? 0 : x.notes.verdicts);
    conf_notes_hand_over(&x.notes, file, problems);
    conf_notes_done(&x.notes);
    for (size_t i = 0; i < sizeof(x.at) / sizeof(x.at[0]); i++)
        free(x.at[i]);
    own->given = x.given;
    own->n_given = x.n_given;
    arena_done(&tree_arena);
    if (files ? read : errors == 0)
        return own;
    conf_free(&own->c);
    return NULL;
}

int conf_parse(const char *text, size_t len, const char *file, struct problems *problems,
               struct conf **out)
{
    struct conf_owned *own = parse(text, len, file, false, problems);
    if (!own)
        return -EINVAL;
    *out = &own->c;
    return 0;
}

struct conf *conf_parse_files(const char *text, size_t len, const char *file)
{
    struct problems *told = problems_new(1);
    struct conf_owned *own = parse(text, len, file, true, told);
    problems_free(told);
    return own ? &own->c : NULL;
}

void conf_free(struct conf *c)
{
    struct conf_owned *own = (struct conf_owned *)c; /* c is its first member */
    if (!c)
        return;
    arena_done(&own->arena);
    free(own->given);
    free(own);
}

struct conf_place conf_place(const struct conf *c, const void *item, const char *path)
{
    const struct conf_owned *own = (const struct conf_owned *)c;
    for (size_t i = 0; i < own->n_given; i++) {
        const struct conf_given *g = &own->given[i];
        if (g->base == (item ? item : c) && strcmp(g->o->path, path) == 0)
            return (struct conf_place){g->line, g->col};
    }
    for (size_t i = 0; i < c->n_brokers; i++)
        if (item == &c->brokers[i])
            return (struct conf_place){c->brokers[i].line, 0};
    for (size_t i = 0; i < c->n_sources; i++)
        if (item == &c->sources[i])
            return (struct conf_place){c->sources[i].line, 0};
    for (size_t i = 0; i < c->n_sinks; i++)
        if (item == &c->sinks[i])
            return (struct conf_place){c->sinks[i].line, 0};
    return (struct conf_place){0, 0};
}

bool conf_glob(const char *pattern, const char **out_name)
{
    const char *slash = strrchr(pattern, '/');
    *out_name = slash ? slash + 1 : pattern;
    return strpbrk(*out_name, "*?[") != NULL;
}

bool conf_is_default_glob(const struct conf *c, const char *pattern)
{
    const char *slash = strrchr(c->file, '/');
    size_t n = slash ? (size_t)(slash + 1 - c->file) : 0;
    return strncmp(pattern, c->file, n) == 0 &&
           (strcmp(pattern + n, CONF_DEFAULT_PROFILES) == 0 ||
            strcmp(pattern + n, CONF_DEFAULT_RULES) == 0);
}
