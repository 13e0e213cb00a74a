/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of the configuration: its text read by the option's type. What comes out of YAML's
 * own guesses is not used; `no`, `0x10` and `1e3` are what they look like to a person: text.
 */
#include "base/check.h"
#include "core/conf_parse.h"

#include <stdio.h>
#include <string.h>

/* ---- numbers with units ---- */

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit size_units[] = {{"KiB", 1ull << 10},
                                         {"MiB", 1ull << 20},
                                         {"GiB", 1ull << 30},
                                         {"TiB", 1ull << 40},
                                         {"B", 1}};
static const struct unit time_units[] = {{"ms", 1000000},
                                         {"s", 1000000000},
                                         {"m", 60 * 1000000000ull},
                                         {"h", 3600 * 1000000000ull},
                                         {"d", 86400 * 1000000000ull}};

/* Decimal digits at s; false without any, with a leading zero, or beyond 64 bits. */
static bool take_digits(const char **s, uint64_t *out)
{
    const char *p = *s;
    uint64_t v = 0;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return false;
    }
    *s = p;
    *out = v;
    return true;
}

static bool take_with_unit(const char *s, const struct unit *units, size_t n, bool bare,
                           uint64_t *out)
{
    uint64_t v;
    if (!take_digits(&s, &v))
        return false;
    if (!*s && (bare || v == 0)) {
        *out = v;
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s, units[i].name) == 0)
            return !__builtin_mul_overflow(v, units[i].factor, out);
    }
    return false;
}

static bool take_number(const struct conf_option *o, const char *text, uint64_t *out)
{
    const size_t n_size = sizeof(size_units) / sizeof(size_units[0]);
    const size_t n_time = sizeof(time_units) / sizeof(time_units[0]);
    uint64_t v;
    if (o->type == CONF_INT)
        return take_digits(&text, out) && !*text;
    if (o->type == CONF_SIZE)
        return take_with_unit(text, size_units, n_size, true, out);
    if (!take_with_unit(text, time_units, n_time, false, &v))
        return false;
    if (o->type == CONF_SECONDS) {
        if (v % 1000000000u)
            return false;
        v /= 1000000000u;
    }
    *out = v;
    return true;
}

/* ---- saying what is wrong ---- */

static void refuse(struct conf_ctx *x, const struct conf_option *o, const struct yaml_node *n,
                   const char *expected)
{
    /* A URL may carry a password, and secrets are never printed. */
    if ((o->type == CONF_HTTP_URL || o->type == CONF_MQTT_URLS) && strchr(n->text, '@')) {
        conf_error(&x->notes, n->line, n->col,
                   "%s: this URL (not shown) is not right, expected %s", o->path, expected);
        return;
    }
    conf_error(&x->notes, n->line, n->col, "%s: \"%.100s\" is not right, expected %s", o->path,
               n->text, expected);
}

static void refuse_number(struct conf_ctx *x, const struct conf_option *o,
                          const struct yaml_node *n)
{
    struct buf b;
    buf_init(&b, 1024);
    switch ((int)o->type) {
    case CONF_SIZE:
        buf_puts(&b, "a size such as 64KiB, 4GiB or plain bytes, ");
        break;
    case CONF_SECONDS:
        buf_puts(&b, "whole seconds such as 30s, 5m, 1h or 7d, ");
        break;
    case CONF_NANOS:
        buf_puts(&b, "a duration such as 200ms, 30s or 5m, ");
        break;
    default:
        buf_puts(&b, "a whole number, ");
    }
    conf_put_range(&b, o);
    refuse(x, o, n, buf_cstr(&b));
    buf_done(&b);
}

static size_t count_words(const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    return n;
}

static void refuse_word(struct conf_ctx *x, const struct conf_option *o,
                        const struct yaml_node *n)
{
    struct buf b;
    buf_init(&b, 1024);
    for (size_t i = 0; o->words[i]; i++)
        buf_printf(&b, "%s%s", !i ? "" : o->words[i + 1] ? ", " : " or ", o->words[i]);
    const char *near = err_nearest(n->text, o->words, count_words(o->words));
    if (near && o->words[1])
        buf_printf(&b, " (did you mean %s?)", near);
    refuse(x, o, n, buf_cstr(&b));
    buf_done(&b);
}

static bool is_list(const struct conf_option *o)
{
    return o->type == CONF_MQTT_URLS || o->type == CONF_TOPICS || o->type == CONF_GLOBS;
}

/* ---- text ---- */

static bool is_code(const char *s)
{
    return *s && *s != '.' &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               strlen(s);
}

static bool has_control(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    }
    return false;
}

static const char *keep(struct conf_ctx *x, const char *s, size_t n)
{
    const char *p = arena_strndup(x->arena, s, n);
    ASSERT(p); /* bounded: options × their ceilings is far below the arena's */
    return p;
}

static const char *keep_path(struct conf_ctx *x, const char *s)
{
    while (s[0] == '.' && s[1] == '/') {
        s += 2;
        while (*s == '/')
            s++;
    }
    size_t n = strlen(s);
    while (n > 1 && s[n - 1] == '/') /* so that a lane's suffix can follow */
        n--;
    if (*s == '/')
        return keep(x, s, n);
    size_t nf = strlen(x->folder);
    char *p = arena_alloc(x->arena, nf + n + 1);
    ASSERT(p);
    memcpy(p, x->folder, nf);
    memcpy(p + nf, s, n);
    return p;
}

static const char *check_glob(const struct conf_option *o, const char *s)
{
    const char *name;
    (void)conf_glob(s, &name);
    if (!*name)
        return o->offset == offsetof(struct conf, rules)
                   ? "the name of a file, or a pattern of names such as " CONF_DEFAULT_RULES
                   : "the name of a file, or a pattern of names such as " CONF_DEFAULT_PROFILES;
    if (strcspn(s, "*?[") < (size_t)(name - s) || strchr(s, '\\'))
        return "* ? and [...] in the file's name only, and no backslash";
    return NULL;
}

/* NULL, or what was expected. */
static const char *check_text(const struct conf_option *o, const char *s)
{
    const char *why = NULL;
    if (!*s)
        return "something";
    if (has_control(s))
        return "one line without control characters";
    switch ((int)o->type) {
    case CONF_CODE:
        return is_code(s) ? NULL : "A-Z a-z 0-9 . _ - only, no dot at the beginning";
    case CONF_ZONE:
        if (*s == '/' || strstr(s, "..") ||
            strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") !=
                strlen(s))
            return "an IANA time zone such as Asia/Shanghai";
        return NULL;
    case CONF_HTTP_URL:
        return conf_check_url(s, false, &why) ? NULL : why;
    case CONF_MQTT_URLS:
        return conf_check_url(s, true, &why) ? NULL : why;
    case CONF_TOPICS:
        return conf_check_topic(s, &why) ? NULL : why;
    case CONF_LISTEN:
        return conf_check_listen(s, NULL, &why) ? NULL : why;
    case CONF_GLOBS:
        return check_glob(o, s);
    case CONF_PATH:
    case CONF_SECRET:
        return s[strlen(s) - 1] == '/' && o->offset != offsetof(struct conf, gateway.data_dir)
                   ? "a file, not a folder"
                   : NULL;
    default:
        return NULL;
    }
}

static bool take_text(struct conf_ctx *x, const struct conf_option *o,
                      const struct yaml_node *n, const char **out)
{
    size_t len = strlen(n->text);
    /* For lists `max` is the number of items. */
    size_t most = is_list(o) ? 512 : o->max;
    if (len > most) {
        conf_error(&x->notes, n->line, n->col, "%s: %zu bytes, expected at most %zu", o->path,
                   len, most);
        return false;
    }
    const char *expected = check_text(o, n->text);
    if (expected) {
        if (*n->text)
            refuse(x, o, n, expected);
        else
            conf_error(&x->notes, n->line, n->col, "%s: empty, expected %s", o->path, expected);
        return false;
    }
    if (o->type == CONF_PATH || o->type == CONF_GLOBS ||
        (o->type == CONF_SECRET && strchr(n->text, '/'))) {
        *out = keep_path(x, n->text);
        len = strlen(*out);
        if (o->offset == offsetof(struct conf, http.socket) && o->home == CONF_IN_ROOT &&
            len > o->max) {
            conf_error(&x->notes, n->line, n->col,
                       "%s: \"%.200s\" has %zu bytes, expected at most "
                       "%zu (a socket's name is short)",
                       o->path, *out, len, (size_t)o->max);
            return false;
        }
        return true;
    }
    if (o->type == CONF_HTTP_URL) {
        while (len && n->text[len - 1] == '/')
            len--;
    }
    *out = keep(x, n->text, len);
    return true;
}

/* ---- lists ---- */

static bool take_list(struct conf_ctx *x, const struct conf_option *o, struct conf_list *out,
                      const struct yaml_node *n)
{
    bool ok = true;
    size_t count = 0;
    *out = (struct conf_list){0}; /* a default may be there */
    if (n->kind == YAML_SCALAR) { /* one instead of a list of one */
        out->items = arena_alloc(x->arena, sizeof(*out->items));
        ASSERT(out->items);
        if (!take_text(x, o, n, &out->items[0]))
            return false;
        out->n = 1;
        return true;
    }
    for (const struct yaml_node *i = n->first; i; i = i->next)
        count++;
    if (count > o->max) {
        conf_error(&x->notes, n->line, n->col, "%s: %zu entries, expected at most %zu", o->path,
                   count, (size_t)o->max);
        return false;
    }
    if (count == 0) {
        conf_error(&x->notes, n->line, n->col, "%s: an empty list, expected at least one entry",
                   o->path);
        return false;
    }
    out->items = arena_alloc(x->arena, count * sizeof(*out->items));
    ASSERT(out->items);
    for (const struct yaml_node *i = n->first; i; i = i->next) {
        if (i->kind == YAML_BAD) {
            ok = false;
        } else if (i->kind != YAML_SCALAR || yaml_is_null(i)) {
            conf_error(&x->notes, i->line, i->col, "%s: expected a text", o->path);
            ok = false;
        } else if (take_text(x, o, i, &out->items[out->n])) {
            for (size_t k = 0; k < out->n; k++) {
                if (strcmp(out->items[k], out->items[out->n]) == 0)
                    conf_error(&x->notes, i->line, i->col, "%s: \"%.100s\" stands there twice",
                               o->path, out->items[k]);
            }
            out->n++;
        } else {
            ok = false;
        }
    }
    return ok;
}

/* ---- any value ---- */

static bool take_null(struct conf_ctx *x, const struct conf_option *o, void *base,
                      const struct yaml_node *n)
{
    bool may = (o->flags & CONF_NULLABLE) || (!(o->flags & CONF_REQUIRED) && !o->def);
    if (!may) {
        conf_error(&x->notes, n->line, n->col, "%s: empty, expected %s", o->path, o->help);
        return false;
    }
    void *at = (char *)base + o->offset;
    if (is_list(o))
        *(struct conf_list *)at = (struct conf_list){0};
    else
        *(const char **)at = NULL;
    return true;
}

static bool take_bool(struct conf_ctx *x, const struct conf_option *o, bool *out,
                      const struct yaml_node *n)
{
    if (strcmp(n->text, "true") != 0 && strcmp(n->text, "false") != 0) {
        refuse(x, o, n, "true or false");
        return false;
    }
    *out = *n->text == 't';
    return true;
}

static bool take_word(struct conf_ctx *x, const struct conf_option *o, void *at,
                      const struct yaml_node *n)
{
    for (size_t i = 0; o->words[i]; i++) {
        if (strcmp(o->words[i], n->text) == 0) {
            if (o->type == CONF_ENUM)
                *(int *)at = (int)(o->min + i);
            else
                *(const char **)at = o->words[i];
            return true;
        }
    }
    refuse_word(x, o, n);
    return false;
}

static bool take_uint(struct conf_ctx *x, const struct conf_option *o, uint64_t *out,
                      const struct yaml_node *n)
{
    uint64_t v;
    if (o->home == CONF_IN_SOURCE && o->type == CONF_INT && strcmp(n->text, "2") == 0) {
        refuse(x, o, n, "0 or 1: with duplicates recognised here, 1 is exactly as safe as 2");
        return false;
    }
    if (!take_number(o, n->text, &v) || v < o->min || v > o->max) {
        refuse_number(x, o, n);
        return false;
    }
    *out = v;
    return true;
}

bool conf_take_value(struct conf_ctx *x, const struct conf_option *o, void *base,
                     const struct yaml_node *n)
{
    void *at = (char *)base + o->offset;
    if (n->kind == YAML_BAD)
        return false;
    if (yaml_is_null(n))
        return take_null(x, o, base, n);
    if (is_list(o) && n->kind != YAML_MAP)
        return take_list(x, o, at, n);
    if (n->kind != YAML_SCALAR) {
        conf_error(&x->notes, n->line, n->col, "%s: a %s, expected one value: %s", o->path,
                   n->kind == YAML_LIST ? "list" : "mapping", o->help);
        return false;
    }
    switch (o->type) {
    case CONF_BOOL:
        return take_bool(x, o, at, n);
    case CONF_ENUM:
    case CONF_WORD:
        return take_word(x, o, at, n);
    case CONF_INT:
    case CONF_SIZE:
    case CONF_SECONDS:
    case CONF_NANOS:
        return take_uint(x, o, at, n);
    case CONF_STRING:
    case CONF_CODE:
    case CONF_PATH:
    case CONF_SECRET:
    case CONF_ZONE:
    case CONF_LISTEN:
    case CONF_HTTP_URL:
    case CONF_MQTT_URLS:
    case CONF_TOPICS:
    case CONF_GLOBS:
        return take_text(x, o, n, at);
    }
    return false;
}

void conf_take_default(struct conf_ctx *x, const struct conf_option *o, void *base)
{
    struct yaml_node n = {.kind = YAML_SCALAR, .text = o->def};
    if (o->def)
        ASSERT(conf_take_value(x, o, base, &n));
}
