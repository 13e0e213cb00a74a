/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"
#include "core/profile_guess_private.h"
#include "core/text.h"

#include <errno.h>
#include <stdio.h>

static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') || (s[i] >= '0' && s[i] <= '9') ||
              s[i] == '_' || s[i] == '-' || (unsigned char)s[i] >= 0x80))
            return false;
    return n > 0;
}

/* path + one name; false when it is too long, or holds what a path cannot quote simply. */
static bool path_add(char out[GUESS_PATH], const char *path, const char *key, size_t n)
{
    if (n > 60 || memchr(key, '"', n) || memchr(key, '\\', n) || !text_is_plain(key, n))
        return false;
    int k = snprintf(out, GUESS_PATH, is_plain(key, n) ? "%s.%.*s" : "%s[\"%.*s\"]", path,
                     (int)n, key);
    return k > 0 && k < GUESS_PATH;
}

static bool is_scalar(struct json_value v)
{
    return json_type(v) != JSON_ARRAY && json_type(v) != JSON_OBJECT;
}

static bool first_object(struct json_value array, struct json_value *out)
{
    struct json_iter it;
    if (json_type(array) != JSON_ARRAY)
        return false;
    json_iter(array, &it);
    return json_next(&it, NULL, NULL, out) && json_type(*out) == JSON_OBJECT;
}

static void leaf_value(struct leaf *l, struct json_value v)
{
    l->type = json_type(v);
    if (l->type == JSON_STRING) {
        size_t n;
        const char *t = json_text(v, &n);
        (void)snprintf(l->text, sizeof(l->text), "%.*s", (int)(n < 90 ? n : 90), t);
        l->text[text_utf8_valid(l->text, strlen(l->text))] = '\0'; /* cut inside a character */
        if (!text_is_plain(l->text, strlen(l->text)))              /* it goes into a comment */
            (void)snprintf(l->text, sizeof(l->text), "(not printable)");
        l->numeric = n < 30 && text_double(t, n, &l->number);
    } else if (l->type == JSON_BOOL) {
        (void)snprintf(l->text, sizeof(l->text), "%s", json_bool(v) ? "true" : "false");
    } else if (l->type == JSON_ARRAY) { /* nothing is made of it, but it is not passed over */
        struct json_value first;
        bool objects = first_object(v, &first);
        (void)snprintf(l->text, sizeof(l->text), "(a list of %zu: %s)", json_count(v),
                       objects ? "`each`, or `pairs` of name and value" : "[0] is its first");
    } else if (l->type != JSON_NULL) {
        l->numeric = true;
        l->number = json_double(v);
        l->text[num_put_double(l->text, l->number)] = '\0';
        if (l->type == JSON_INT)
            l->text[num_put_i64(l->text, json_int(v))] = '\0';
    }
}

static void add_leaf(struct leaves *all, const char *path, const char *key, size_t n,
                     struct json_value v, bool in_item)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->at[i].path, path) == 0)
            return;
    if (all->n == GUESS_MAX_LEAVES || json_type(v) == JSON_NULL)
        return;
    struct leaf *l = &all->at[all->n++];
    *l = (struct leaf){.in_item = in_item};
    (void)snprintf(l->path, sizeof(l->path), "%s", path);
    (void)snprintf(l->key, sizeof(l->key), "%.*s", (int)(n < 63 ? n : 63), key);
    leaf_value(l, v);
}

static void walk(struct leaves *all, const char *path, struct json_value object, bool in_item,
                 int depth)
{
    struct json_iter it;
    struct json_value v;
    const char *key;
    size_t n;
    char longer[GUESS_PATH];
    json_iter(object, &it);
    while (json_next(&it, &key, &n, &v)) {
        if (!path_add(longer, path, key, n))
            continue;
        if (is_scalar(v))
            add_leaf(all, longer, key, n, v, in_item);
        else if (json_type(v) == JSON_OBJECT && depth < GUESS_MAX_DEPTH)
            walk(all, longer, v, in_item, depth + 1);
        else if (json_type(v) == JSON_ARRAY && json_count(v) > 0)
            add_leaf(all, longer, key, n, v, in_item);
    }
}

/* -- arrays --------------------------------------------------------------------------------- */

static bool one_of(struct json_value item, const char *const *names, size_t n, bool text,
                   const char **out)
{
    struct json_value v;
    for (size_t i = 0; i < n; i++) {
        if (json_member(item, names[i], &v) &&
            (text ? json_type(v) == JSON_STRING : is_scalar(v))) {
            *out = names[i];
            return true;
        }
    }
    return false;
}

/* An array of {name, value}: each is a leaf of its own, named by what it says. */
static bool pairs(struct leaves *all, const char *path, struct json_value array)
{
    static const char *const names[] = {"name", "n",    "key",  "code", "identifier", "id",
                                        "tag",  "名称", "参数", "属性", "点位"};
    static const char *const values[] = {"value", "v", "val", "data", "值", "数值"};
    struct json_value item, name, v;
    const char *a, *b;
    struct json_iter it;
    if (all->pairs[0] || !first_object(array, &item) ||
        !one_of(item, names, sizeof(names) / sizeof(*names), true, &a) ||
        !one_of(item, values, sizeof(values) / sizeof(*values), false, &b))
        return false;
    (void)snprintf(all->pairs, sizeof(all->pairs), "%s", path);
    (void)snprintf(all->pair_name, sizeof(all->pair_name), "%s", a);
    (void)snprintf(all->pair_value, sizeof(all->pair_value), "%s", b);
    json_iter(array, &it);
    while (json_next(&it, NULL, NULL, &item)) {
        char place[GUESS_PATH];
        size_t n;
        if (json_type(item) != JSON_OBJECT || !json_member(item, a, &name) ||
            !json_member(item, b, &v) || json_type(name) != JSON_STRING || !is_scalar(v))
            continue;
        const char *t = json_text(name, &n);
        if (path_add(place, "=", t, n)) /* no path: the name is its place */
            add_leaf(all, place, t, n, v, false);
    }
    return true;
}

/* The first array of objects, at most three levels deep. */
static void find_items(struct leaves *all, const char *path, struct json_value v, int depth)
{
    struct json_value item, m;
    struct json_iter it;
    const char *key;
    size_t n;
    char longer[GUESS_PATH];
    if (all->each[0] || all->pairs[0] || depth > 3)
        return;
    if (first_object(v, &item)) {
        if (pairs(all, path, v))
            return;
        if (snprintf(all->each, sizeof(all->each), "%s[*]", path) < GUESS_PATH)
            walk(all, "@", item, true, 0);
        return;
    }
    if (json_type(v) != JSON_OBJECT)
        return;
    json_iter(v, &it);
    while (json_next(&it, &key, &n, &m))
        if (!is_scalar(m) && path_add(longer, path, key, n))
            find_items(all, longer, m, depth + 1);
}

static int document(struct leaves *all, struct json *j, const char *name, const char *text,
                    size_t len, size_t number, struct err *err)
{
    struct json_value root;
    const char *why;
    if (json_parse(j, text, len, &root, &why) != 0)
        return err_set(err, -EINVAL,
                       "sample %zu is not JSON (%s): begin with a `codecs:` definition of "
                       "gaihou-profiles(5) for it",
                       number, why);
    if (json_type(root) == JSON_OBJECT)
        walk(all, name, root, false, 0);
    find_items(all, name, root, 0);
    return 0;
}

int guess_leaves(struct leaves *all, const struct profile_guess_sample *samples, size_t n,
                 struct err *err)
{
    struct json *j = json_new((size_t)64 << 20);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct profile_guess_sample *s = &samples[i];
        r = document(all, j, "$", s->payload, s->len, i + 1, err);
        if (r == 0 && s->frame)
            r = document(all, j, "$frame", s->frame, s->frame_len, i + 1, err);
    }
    json_free(j);
    if (r == 0 && all->n == 0)
        r = err_set(err, -EINVAL, "the samples hold no values");
    return r;
}
