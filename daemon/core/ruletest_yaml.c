/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers of a test file share: mappings with known keys, and single values.
 */
#include "base/check.h"
#include "base/num.h"
#include "core/ruletest_private.h"
#include "core/text.h"

#include <string.h>

/* Bounded by the tree, which has a ceiling itself. */
void *ruletest_take(struct ruletest_parse *p, size_t n, size_t size)
{
    void *v = arena_alloc(&p->t->arena, n * size + 1);
    ASSERT(v);
    return v;
}

static const char *kind_of(const struct yaml_node *n)
{
    return n->kind == YAML_LIST                        ? "a list"
           : n->kind == YAML_MAP                       ? "a mapping"
           : n->kind == YAML_SCALAR && yaml_is_null(n) ? "empty"
                                                       : "a value";
}

/* What happens to samples is written beside them. */
static bool is_of_series(const char *key)
{
    return strcmp(key, "late") == 0 || strcmp(key, "dup") == 0 || strcmp(key, "skew") == 0;
}

/* With the nearest one, or all that there are. */
static void unknown_key(struct ruletest_parse *p, const struct yaml_node *key,
                        const char *const *names, size_t n, const char *where)
{
    const char *near = err_nearest(key->text, names, n);
    struct buf list;
    if (strcmp(where, "a step") == 0 && is_of_series(key->text)) {
        conf_error(&p->notes, AT(key),
                   "\"%s\" belongs to a series: {device: …, metric: …, values: …, %s: …}",
                   key->text, key->text);
        return;
    }
    p->known = p->known && !near;
    buf_init(&list, 4096);
    for (size_t i = 0; i < n && !near; i++)
        (void)buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", names[i]);
    if (near)
        conf_error(&p->notes, AT(key), "unknown key \"%.64s\" in %s, did you mean \"%s\"?",
                   key->text, where, near);
    else
        conf_error(&p->notes, AT(key), "unknown key \"%.64s\" in %s, expected %s", key->text,
                   where, buf_cstr(&list));
    buf_done(&list);
}

static void put_in_slot(struct ruletest_parse *p, const struct yaml_node *v,
                        const struct slot *slots, const char *const *names, size_t n,
                        const char *where)
{
    size_t i = 0;
    while (i < n && strcmp(v->key->text, names[i]) != 0)
        i++;
    if (i == n) {
        unknown_key(p, v->key, names, n, where);
    } else if (*slots[i].to) {
        conf_error(&p->notes, AT(v->key), "\"%s\" is repeated, first in line %d", names[i],
                   (*slots[i].to)->key->line);
    } else {
        *slots[i].to = v;
    }
}

bool ruletest_map(struct ruletest_parse *p, const struct yaml_node *n, const struct slot *slots,
                  size_t n_slots, const char *where)
{
    const char *names[48];
    ASSERT(n_slots <= 48);
    if (n->kind != YAML_MAP) {
        if (n->kind != YAML_BAD)
            conf_error(&p->notes, AT(n), "%s is %s, expected a mapping", where, kind_of(n));
        return false;
    }
    p->known = true;
    for (size_t i = 0; i < n_slots; i++)
        names[i] = slots[i].name;
    for (const struct yaml_node *v = n->first; v; v = v->next)
        put_in_slot(p, v, slots, names, n_slots, where);
    return true;
}

size_t ruletest_list(struct ruletest_parse *p, const struct yaml_node *n, const char *what)
{
    size_t count = 0;
    if (!n || n->kind == YAML_BAD)
        return 0;
    if (n->kind != YAML_LIST) {
        if (!yaml_is_null(n))
            conf_error(&p->notes, AT(n), "%s is %s, expected a list", what, kind_of(n));
        return 0;
    }
    for (const struct yaml_node *i = n->first; i; i = i->next)
        count++;
    return count;
}

const char *ruletest_scalar(struct ruletest_parse *p, const struct yaml_node *n,
                            const char *what)
{
    if (n->kind == YAML_SCALAR && !yaml_is_null(n))
        return n->text;
    if (n->kind != YAML_BAD)
        conf_error(&p->notes, AT(n), "%s is %s, expected a value", what, kind_of(n));
    return NULL;
}

const char *ruletest_copy(struct ruletest_parse *p, const struct yaml_node *n, const char *what)
{
    const char *s = n ? ruletest_scalar(p, n, what) : NULL;
    if (!s)
        return NULL;
    char *copy = arena_strdup(&p->t->arena, s);
    ASSERT(copy);
    return copy;
}

bool ruletest_bool(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                   bool *out)
{
    const char *s = n ? ruletest_scalar(p, n, what) : NULL;
    if (!s)
        return false;
    if (text_bool(s, strlen(s), out))
        return true;
    conf_error(&p->notes, AT(n), "%s is \"%.64s\", expected true or false", what, s);
    return false;
}

bool ruletest_count(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                    uint64_t max, uint64_t *out)
{
    uint64_t v;
    const char *s = n ? ruletest_scalar(p, n, what) : NULL;
    if (!s)
        return false;
    if (num_get_u64(s, strlen(s), &v) == 0 && v <= max) {
        *out = v;
        return true;
    }
    conf_error(&p->notes, AT(n), "%s is \"%.64s\", expected a whole number up to %llu", what, s,
               (unsigned long long)max);
    return false;
}

bool ruletest_time(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                   bool negative, int64_t *out_ns)
{
    int64_t ns;
    const char *s = n ? ruletest_scalar(p, n, what) : NULL;
    if (!s)
        return false;
    if (ruletest_duration(s, strlen(s), &ns) && (negative || ns >= 0)) {
        *out_ns = ns;
        return true;
    }
    conf_error(&p->notes, AT(n), "%s is \"%.64s\", expected a time like 90s, 5m or 1h30m%s",
               what, s, negative ? ", + or - before it" : "");
    return false;
}

int ruletest_word(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                  const char *const *names, size_t n_names)
{
    const char *s = n ? ruletest_scalar(p, n, what) : NULL;
    if (!s)
        return -1;
    for (size_t i = 0; i < n_names; i++)
        if (strcmp(names[i], s) == 0)
            return (int)i;
    const char *near = err_nearest(s, names, n_names);
    struct buf all;
    buf_init(&all, 1024);
    for (size_t i = 0; i < n_names; i++)
        (void)buf_printf(&all, "%s%s", i ? " " : "", names[i]);
    conf_error(&p->notes, AT(n), "%s \"%.64s\"%s%s%s, expected one of %s", what, s,
               near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "",
               buf_cstr(&all));
    buf_done(&all);
    return -1;
}

bool ruletest_means(const char *pattern, const char *code)
{
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, code, n - 1) == 0;
    return strcmp(pattern, code) == 0;
}
