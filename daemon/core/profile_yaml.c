/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parsers of profiles share: mappings with known keys, single values, and the notes
 * about what is wrong with them.
 */
#include "base/check.h"
#include "base/num.h"
#include "core/profile_private.h"
#include "core/text.h"

#include <string.h>

/* Every allocation is bounded by the file, which has a ceiling itself, and by the PLAN_MAX_…s. */
void *plan_take(struct plan_build *b, size_t n, size_t size)
{
    void *v = arena_alloc(&b->set->arena, n * size + 1);
    ASSERT(v);
    return v;
}

const char *plan_text_copy(struct plan_build *b, const char *s, size_t n)
{
    char *v = arena_strndup(&b->set->arena, s, n);
    ASSERT(v);
    return v;
}

const char *plan_kind_of(const struct yaml_node *n)
{
    return n->kind == YAML_LIST ? "a list" : n->kind == YAML_MAP ? "a mapping" : "a value";
}

size_t plan_count(const struct yaml_node *list)
{
    size_t n = 0;
    for (const struct yaml_node *i = list->first; i; i = i->next)
        n++;
    return n;
}

bool plan_unknown(struct plan_build *b, const struct yaml_node *n, const char *what,
                  const char *word, const char *const *names, size_t n_names)
{
    const char *near = err_nearest(word, names, n_names);
    if (strstr(word, "\uff1a") || strstr(word, "\uff0c")) { /* of a Chinese keyboard */
        conf_error(b->notes, AT(n),
                   "%s \"%.64s\": \uff1a and \uff0c are full-width, YAML knows : and ,", what,
                   word);
        return true;
    }
    conf_error(b->notes, AT(n), "%s \"%.64s\"%s%s%s", what, word,
               near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return near != NULL;
}

bool plan_is_map(struct plan_build *b, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_MAP)
        return true;
    if (n->kind != YAML_BAD)
        conf_error(b->notes, AT(n), "%s is %s, expected a mapping", what, plan_kind_of(n));
    return false;
}

bool plan_read_map(struct plan_build *b, const struct yaml_node *map,
                   const struct plan_key *keys, size_t n, const char *where)
{
    const char *names[32];
    char what[96];
    bool known = true;
    ASSERT(n <= 32);
    for (size_t i = 0; i < n; i++)
        names[i] = keys[i].name;
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        size_t i = 0;
        while (i < n && strcmp(v->key->text, names[i]) != 0)
            i++;
        if (i == n) {
            size_t k = strlen(where) < 64 ? strlen(where) : 64;
            memcpy(what, "unknown key in ", 15);
            memcpy(what + 15, where, k);
            what[15 + k] = '\0';
            known = !plan_unknown(b, v->key, what, v->key->text, names, n) && known;
        } else if (*keys[i].to) {
            conf_error(b->notes, AT(v->key), "\"%s\" is repeated, first in line %d", names[i],
                       (*keys[i].to)->key->line);
        } else {
            *keys[i].to = v;
        }
    }
    return known;
}

const char *plan_scalar_text(struct plan_build *b, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_SCALAR && !yaml_is_null(n))
        return n->text;
    bool braces = n->kind == YAML_MAP && n->first && !n->first->next && yaml_is_null(n->first);
    if (braces) /* {sn} is YAML's own, too */
        conf_error(b->notes, AT(n), "%s that has braces must stand in quotes: \"{%.64s}\"",
                   what, n->first->key->text);
    else if (n->kind != YAML_BAD)
        conf_error(b->notes, AT(n), "%s is %s, expected a value", what,
                   n->kind == YAML_SCALAR ? "empty" : plan_kind_of(n));
    return NULL;
}

bool plan_bool(struct plan_build *b, const struct yaml_node *n, const char *what,
               bool otherwise)
{
    if (!n)
        return otherwise;
    const char *s = plan_scalar_text(b, n, what);
    if (s && (strcmp(s, "true") == 0 || strcmp(s, "false") == 0))
        return s[0] == 't';
    if (s)
        conf_error(b->notes, AT(n), "%s is \"%.64s\", expected true or false", what, s);
    return otherwise;
}

bool plan_number(struct plan_build *b, const struct yaml_node *n, const char *what, double *out)
{
    const char *s = plan_scalar_text(b, n, what);
    if (s && text_double(s, strlen(s), out))
        return true;
    if (s)
        conf_error(b->notes, AT(n), "%s is \"%.64s\", expected a number", what, s);
    return false;
}

struct plan_scalar plan_scalar_of(struct plan_build *b, const struct yaml_node *n)
{
    struct plan_scalar s = {.kind = SCALAR_TEXT};
    s.len = strlen(n->text);
    s.text = plan_text_copy(b, n->text, s.len);
    if (yaml_is_null(n)) {
        s.kind = SCALAR_NULL;
    } else if (n->plain && (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)) {
        s.kind = SCALAR_BOOL;
        s.b = n->text[0] == 't';
    } else if (n->plain && text_double(n->text, s.len, &s.number)) {
        s.kind = SCALAR_NUMBER;
        s.is_int = num_get_i64(n->text, s.len, &s.integer) == 0;
        s.is_uint = !s.is_int && num_get_u64(n->text, s.len, &s.natural) == 0;
    } else if (n->plain && s.len > 2 && s.len <= 18 && n->text[0] == '0' && n->text[1] == 'x') {
        uint64_t v = 0; /* of 16 digits: all of 64 bits */
        size_t i = 2;
        for (; i < s.len; i++) {
            const char *digits = "0123456789abcdef";
            char c =
                n->text[i] >= 'A' && n->text[i] <= 'F' ? (char)(n->text[i] + 32) : n->text[i];
            const char *d = c ? strchr(digits, c) : NULL;
            if (!d)
                break;
            v = v * 16 + (uint64_t)(d - digits);
        }
        if (i == s.len) {
            s.kind = SCALAR_NUMBER;
            s.is_int = v <= INT64_MAX;
            s.is_uint = !s.is_int;
            s.natural = v;
            s.integer = s.is_int ? (int64_t)v : 0;
            s.number = (double)v;
        }
    }
    return s;
}

bool plan_scalars_of(struct plan_build *b, const struct yaml_node *n, const char *what,
                     struct plan_scalars *out)
{
    if (n->kind == YAML_MAP || n->kind == YAML_BAD) {
        if (n->kind == YAML_MAP)
            conf_error(b->notes, AT(n), "%s is a mapping, expected a value or a list", what);
        return false;
    }
    size_t count = n->kind == YAML_LIST ? plan_count(n) : 1, i = 0;
    struct plan_scalar *list = plan_take(b, count, sizeof(*list));
    if (n->kind == YAML_SCALAR) {
        list[i++] = plan_scalar_of(b, n);
    } else {
        for (const struct yaml_node *v = n->first; v; v = v->next) {
            if (v->kind == YAML_SCALAR)
                list[i++] = plan_scalar_of(b, v);
            else if (v->kind != YAML_BAD)
                conf_error(b->notes, AT(v), "%s holds %s, expected single values", what,
                           plan_kind_of(v));
        }
    }
    if (count == 0)
        conf_error(b->notes, AT(n), "%s is an empty list", what);
    *out = (struct plan_scalars){list, i};
    return i > 0;
}
