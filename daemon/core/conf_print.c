/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effective configuration as text, and the comparison of two of them. Both walk the table.
 */
#include "base/check.h"
#include "core/conf_parse.h"

#include <errno.h>
#include <string.h>

/* ---- values ---- */

struct unit {
    const char *name;
    uint64_t factor;
};

static int put_with_unit(struct buf *b, uint64_t v, const struct unit *u, size_t n)
{
    for (size_t i = 0; v && i < n; i++) {
        if (v % u[i].factor == 0)
            return buf_printf(b, "%llu%s", (unsigned long long)(v / u[i].factor), u[i].name);
    }
    return buf_printf(b, "%llu", (unsigned long long)v);
}

int conf_put_size(struct buf *b, uint64_t bytes)
{
    static const struct unit units[] = {
        {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}};
    return put_with_unit(b, bytes, units, sizeof(units) / sizeof(units[0]));
}

int conf_put_duration(struct buf *b, uint64_t ns)
{
    static const struct unit units[] = {{"d", 86400 * 1000000000ull},
                                        {"h", 3600 * 1000000000ull},
                                        {"m", 60 * 1000000000ull},
                                        {"s", 1000000000},
                                        {"ms", 1000000}};
    return put_with_unit(b, ns, units, sizeof(units) / sizeof(units[0]));
}

int conf_put_string(struct buf *b, const char *s)
{
    static const char *const taken[] = {"null", "Null", "NULL", "true", "false"};
    bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '/';
    for (const char *p = s; plain && *p; p++) {
        plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                (*p >= '0' && *p <= '9') || strchr("/._-", *p) ||
                (*p == ':' && p[1] && p[1] != ' ');
    }
    for (size_t i = 0; plain && i < sizeof(taken) / sizeof(taken[0]); i++)
        plain = strcmp(taken[i], s) != 0;
    if (plain)
        return buf_puts(b, s);
    buf_putc(b, '"');
    for (const char *p = s; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_putc(b, '\\');
        buf_putc(b, *p);
    }
    return buf_putc(b, '"');
}

static int put_list(struct buf *b, const struct conf_list *l, bool one)
{
    if (l->n == 0)
        return buf_puts(b, "null");
    if (l->n == 1 && one)
        return conf_put_string(b, l->items[0]);
    buf_putc(b, '[');
    for (size_t i = 0; i < l->n; i++) {
        buf_puts(b, i ? ", " : "");
        conf_put_string(b, l->items[i]);
    }
    return buf_putc(b, ']');
}

static int put_number(struct buf *b, enum conf_type type, uint64_t v)
{
    switch ((int)type) {
    case CONF_SIZE:
        return conf_put_size(b, v);
    case CONF_SECONDS:
        return conf_put_duration(b, v * 1000000000u);
    case CONF_NANOS:
        return conf_put_duration(b, v);
    default:
        return buf_printf(b, "%llu", (unsigned long long)v);
    }
}

int conf_put_value(struct buf *b, const struct conf_option *o, const void *base)
{
    const void *at = (const char *)base + o->offset;
    switch (o->type) {
    case CONF_BOOL:
        return buf_puts(b, *(const bool *)at ? "true" : "false");
    case CONF_ENUM:
        return buf_puts(b, o->words[(uint64_t) * (const int *)at - o->min]);
    case CONF_INT:
    case CONF_SIZE:
    case CONF_SECONDS:
    case CONF_NANOS:
        return put_number(b, o->type, *(const uint64_t *)at);
    case CONF_MQTT_URLS:
    case CONF_TOPICS:
    case CONF_GLOBS:
        return put_list(b, at, o->type == CONF_MQTT_URLS);
    case CONF_SECRET:
    case CONF_STRING:
    case CONF_CODE:
    case CONF_WORD:
    case CONF_PATH:
    case CONF_ZONE:
    case CONF_LISTEN:
    case CONF_HTTP_URL: {
        const char *s = *(const char *const *)at;
        return s ? conf_put_string(b, s) : buf_puts(b, "null");
    }
    }
    return -EINVAL;
}

int conf_put_range(struct buf *b, const struct conf_option *o)
{
    put_number(b, o->type, o->min);
    buf_puts(b, " to ");
    return put_number(b, o->type, o->max);
}

/* ---- the whole ---- */

static const void *item_base(const struct conf *c, enum conf_home home, size_t i)
{
    switch (home) {
    case CONF_IN_BROKER:
        return i < c->n_brokers ? &c->brokers[i] : NULL;
    case CONF_IN_SOURCE:
        return i < c->n_sources ? &c->sources[i] : NULL;
    case CONF_IN_SINK:
        return i < c->n_sinks ? &c->sinks[i] : NULL;
    case CONF_IN_ROOT:
        break;
    }
    return c;
}

static void put_indent(struct buf *b, size_t n)
{
    for (; n; n--)
        buf_puts(b, "  ");
}

/* Options [from, to) of one section or list item. `open` is how much of the path of the last
 * option printed is still open; a list item's first line begins with "- ". */
static void print_options(const void *base, size_t from, size_t to, bool item, struct buf *out)
{
    const char *last = item ? strchr(conf_options[from].path, '.') : NULL;
    size_t shared_top = last ? (size_t)(last - conf_options[from].path) : 0;
    const char *before = NULL;
    bool first = item;
    for (size_t i = from; i < to; i++) {
        const char *path = conf_options[i].path;
        size_t depth = item ? 1 : 0, start = shared_top ? shared_top + 1 : 0;
        for (const char *dot; (dot = strchr(path + start, '.'));) {
            size_t n = (size_t)(dot - path) + 1;
            if (!before || strncmp(before, path, n) != 0) {
                put_indent(out, depth + (item ? 1 : 0));
                buf_printf(out, "%.*s:\n", (int)(n - 1 - start), path + start);
            }
            start = n;
            depth++;
        }
        if (first) {
            buf_puts(out, "  - ");
        } else {
            put_indent(out, depth + (item ? 1 : 0));
        }
        first = false;
        buf_printf(out, "%s: ", path + start);
        conf_put_value(out, &conf_options[i], base);
        buf_putc(out, '\n');
        before = path;
    }
}

int conf_print(const struct conf *c, struct buf *out)
{
    for (size_t i = 0, to; i < conf_options_n; i = to) {
        const char *path = conf_options[i].path;
        enum conf_home home = conf_options[i].home;
        size_t top = strcspn(path, ".");
        for (to = i + 1; to < conf_options_n; to++) {
            if (strncmp(conf_options[to].path, path, top) != 0 ||
                conf_options[to].path[top] != '.')
                break;
        }
        if (home == CONF_IN_ROOT) {
            print_options(c, i, to, false, out);
            continue;
        }
        buf_printf(out, "%.*s:%s\n", (int)top, path, item_base(c, home, 0) ? "" : " []");
        const void *base;
        for (size_t n = 0; (base = item_base(c, home, n)); n++)
            print_options(base, i, to, true, out);
    }
    return out->failed ? -ENOBUFS : 0;
}

/* ---- what a reload cannot change ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_value(const struct conf_option *o, const void *a, const void *b)
{
    struct buf x, y;
    buf_init(&x, 1 << 20);
    buf_init(&y, 1 << 20);
    conf_put_value(&x, o, a);
    conf_put_value(&y, o, b);
    bool same = same_text(buf_cstr(&x), buf_cstr(&y));
    buf_done(&x);
    buf_done(&y);
    return same;
}

static const char *item_id(enum conf_home home, const void *base)
{
    return home == CONF_IN_BROKER ? ((const struct conf_broker *)base)->id
                                  : ((const struct conf_sink *)base)->id;
}

/* "sinks.influx.url" of the table's "sinks.url", in the arena of `next`. */
static const char *name_option(const struct conf *next, const struct conf_option *o,
                               const void *base)
{
    struct conf_owned *own = (struct conf_owned *)next;
    if (o->home == CONF_IN_ROOT)
        return o->path;
    struct buf b;
    buf_init(&b, 1024);
    size_t top = strcspn(o->path, ".");
    buf_printf(&b, "%.*s.%s%s", (int)top, o->path, item_id(o->home, base), o->path + top);
    const char *name = arena_strdup(&own->arena, buf_cstr(&b));
    buf_done(&b);
    return name ? name : o->path;
}

const char *conf_needs_restart(const struct conf *now, const struct conf *next)
{
    for (size_t i = 0; i < conf_options_n; i++) {
        const struct conf_option *o = &conf_options[i];
        if (o->flags & CONF_LIVE)
            continue;
        for (size_t n = 0;; n++) {
            const void *a = item_base(now, o->home, n), *b = item_base(next, o->home, n);
            if (!a && !b)
                break;
            if (!a || !b ||
                (o->home != CONF_IN_ROOT &&
                 !same_text(item_id(o->home, a), item_id(o->home, b))))
                return o->home == CONF_IN_BROKER ? "brokers" : "sinks";
            if (!same_value(o, a, b))
                return name_option(next, o, b);
            if (o->home == CONF_IN_ROOT)
                break;
        }
    }
    return NULL;
}
