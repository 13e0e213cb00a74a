/* SPDX-License-Identifier: Apache-2.0 */
/* What all definitions are read with: mappings, numbers, bytes; and the table of words. */
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/codec_plan_private.h"

#include <stdarg.h>
#include <stdlib.h>

enum { MAX_KEYS = 24, MAX_HEX = 256 };

/* Every allocation is bounded by the definitions' text, which has a ceiling itself. */
void *codec_take(struct codec_parse *c, size_t n)
{
    void *p = arena_alloc(&c->set->arena, n);
    ASSERT(p);
    return p;
}

const char *codec_take_text(struct codec_parse *c, const char *s)
{
    const char *p = arena_strdup(&c->set->arena, s);
    ASSERT(p);
    return p;
}

const char *codec_take_words(struct codec_parse *c, const char *fmt, ...)
{
    struct buf b;
    va_list ap;
    buf_init(&b, 512);
    va_start(ap, fmt);
    (void)buf_vprintf(&b, fmt, ap);
    va_end(ap);
    const char *s = codec_take_text(c, buf_cstr(&b));
    buf_done(&b);
    return s;
}

bool codec_read_map(struct codec_parse *c, const struct yaml_node *map,
                    const struct codec_key *keys, size_t n, const char *where)
{
    const char *names[MAX_KEYS];
    bool good = true;
    ASSERT(n <= MAX_KEYS);
    if (map->kind != YAML_MAP) {
        if (map->kind != YAML_BAD)
            conf_error(c->notes, AT(map), "expected a mapping in %s", where);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        names[i] = keys[i].name;
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        size_t i = 0;
        while (i < n && strcmp(v->key->text, names[i]) != 0)
            i++;
        if (i < n && !*keys[i].to) {
            *keys[i].to = v;
            continue;
        }
        good = false;
        if (i < n) {
            conf_error(c->notes, AT(v->key), "\"%s\" is repeated, first in line %d", names[i],
                       (*keys[i].to)->key->line);
            continue;
        }
        const char *near = err_nearest(v->key->text, names, n);
        conf_error(c->notes, AT(v->key), "unknown key \"%.64s\" in %s%s%s%s", v->key->text,
                   where, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return good;
}

const char *codec_read_word(struct codec_parse *c, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_SCALAR && !yaml_is_null(n))
        return n->text;
    if (n->kind != YAML_BAD)
        conf_error(c->notes, AT(n), "%s: expected a value", what);
    return NULL;
}

bool codec_int_text(const char *s, int64_t *out)
{
    int64_t v = 0;
    if (s[0] != '0' || (s[1] | 0x20) != 'x')
        return num_get_i64(s, strlen(s), out) == 0;
    for (s += 2; *s; s++) {
        char ch = (char)(*s | 0x20);
        int digit = *s >= '0' && *s <= '9'   ? *s - '0'
                    : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
                                             : -1;
        if (digit < 0 || v > INT64_MAX >> 4)
            return false;
        v = v * 16 + digit;
    }
    if (s[-1] == 'x' || s[-1] == 'X')
        return false;
    *out = v;
    return true;
}

bool codec_read_int(struct codec_parse *c, const struct yaml_node *n, const char *what,
                    int64_t lo, int64_t hi, int64_t *out)
{
    int64_t v;
    const char *s = codec_read_word(c, n, what);
    if (!s)
        return false;
    if (!codec_int_text(s, &v)) {
        conf_error(c->notes, AT(n), "%s: \"%.64s\" is no whole number", what, s);
        return false;
    }
    if (v < lo || v > hi) {
        conf_error(c->notes, AT(n), "%s: %s is not within %lld to %lld", what, s, (long long)lo,
                   (long long)hi);
        return false;
    }
    *out = v;
    return true;
}

bool codec_read_bool(struct codec_parse *c, const struct yaml_node *n, const char *what,
                     bool *out)
{
    const char *s = codec_read_word(c, n, what);
    if (s && (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)) {
        *out = s[0] == 't';
        return true;
    }
    if (s)
        conf_error(c->notes, AT(n), "%s: \"%.64s\", expected true or false", what, s);
    return false;
}

bool codec_read_hex(struct codec_parse *c, const struct yaml_node *n, const char *what,
                    struct codec_span *out)
{
    struct buf b;
    struct codec_fault f = {0};
    const char *s = codec_read_word(c, n, what);
    if (!s)
        return false;
    struct codec_span io = {s, strlen(s)};
    buf_init(&b, MAX_HEX + JSON_PADDING);
    bool good = codec_hex(NULL, &io, &b, &f) == 0 && io.n > 0;
    if (good) {
        char *p = codec_take(c, io.n);
        memcpy(p, io.p, io.n);
        *out = (struct codec_span){p, io.n};
    } else {
        conf_error(c->notes, AT(n),
                   "%s: \"%.64s\", expected 1 to %d bytes in hexadecimal such as \"4040\"",
                   what, s, MAX_HEX);
    }
    buf_done(&b);
    return good;
}

static bool read_position(struct codec_parse *c, const struct yaml_node *n, const char *what,
                          int64_t *out)
{
    if (n->kind == YAML_SCALAR && strcmp(n->text, "here") == 0) {
        *out = CODEC_HERE;
        return true;
    }
    if (n->kind == YAML_SCALAR && strcmp(n->text, "end") == 0) {
        *out = CODEC_END;
        return true;
    }
    return codec_read_int(c, n, what, -1000000, 1000000, out);
}

bool codec_read_range(struct codec_parse *c, const struct yaml_node *n, const char *what,
                      struct codec_range *out)
{
    struct codec_range r;
    if (n->kind == YAML_BAD)
        return false;
    if (n->kind != YAML_LIST || codec_count(n) != 2) {
        conf_error(c->notes, AT(n),
                   "%s: expected [from, to], positions of bytes from 0; negative ones count "
                   "from the end, also \"end\"",
                   what);
        return false;
    }
    if (!read_position(c, n->first, what, &r.from) || !read_position(c, n->last, what, &r.to))
        return false;
    if (r.from >= 0 && r.to >= 0 && r.from > r.to) {
        conf_error(c->notes, AT(n), "%s: its end lies before its beginning", what);
        return false;
    }
    *out = r;
    return true;
}

int codec_read_choice(struct codec_parse *c, const struct yaml_node *n, const char *what,
                      const char *const *words, size_t n_words)
{
    const char *s = codec_read_word(c, n, what);
    if (!s)
        return -1;
    for (size_t i = 0; i < n_words; i++) {
        if (strcmp(s, words[i]) == 0)
            return (int)i;
    }
    struct buf list;
    buf_init(&list, 512);
    for (size_t i = 0; i < n_words; i++)
        (void)buf_printf(&list, "%s%s",
                         i == 0             ? ""
                         : i + 1 == n_words ? " or "
                                            : ", ",
                         words[i]);
    conf_error(c->notes, AT(n), "%s: \"%.64s\", expected %s", what, s, buf_cstr(&list));
    buf_done(&list);
    return -1;
}

size_t codec_count(const struct yaml_node *list)
{
    size_t n = 0;
    for (const struct yaml_node *i = list->first; i; i = i->next)
        n++;
    return n;
}

bool codec_is_list(struct codec_parse *c, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_LIST && n->first)
        return true;
    if (n->kind != YAML_BAD)
        conf_error(c->notes, AT(n), "%s: expected a list that is not empty", what);
    return false;
}

/* ---- the table of words ---- */

#define NATIVE(fn)                                                                             \
    static int run_##fn(const struct codec_op *op, struct codec_run *x, struct codec_span in,  \
                        struct doc *d, struct codec_fault *f)                                  \
    {                                                                                          \
        (void)op;                                                                              \
        (void)x;                                                                               \
        return fn(in.p, in.n, d, f);                                                           \
    }

NATIVE(codec_hj212)
NATIVE(codec_gb26875)
NATIVE(codec_wmbus)
NATIVE(codec_sparkplug)

const struct codec_word codec_words[] = {
    {.op = {.name = "hex", .to_bytes = codec_hex}},
    {.op = {.name = "base64", .to_bytes = codec_base64}},
    {.op = {.name = "reverse", .to_bytes = codec_reverse}},
    {.op = {.name = "slice"}, .parse = codec_parse_slice},
    {.op = {.name = "frame"}, .parse = codec_parse_frame},
    {.op = {.name = "json", .to_value = codec_json}},
    {.op = {.name = "jsonl", .to_value = codec_jsonl}},
    {.op = {.name = "text", .to_value = codec_text, .gives = codec_gives_scalar},
     .parse = codec_parse_text},
    {.op = {.name = "number", .to_value = codec_number, .gives = codec_gives_scalar}},
    {.op = {.name = "bytes", .to_value = codec_bytes, .gives = codec_gives_scalar}},
    {.op = {.name = "csv", .to_value = codec_csv, .gives = codec_csv_gives},
     .parse = codec_parse_csv},
    {.op = {.name = "keyvalue", .to_value = codec_keyvalue}, .parse = codec_parse_keyvalue},
    {.op = {.name = "cbor", .to_value = codec_cbor}},
    {.op = {.name = "bcd", .to_value = codec_bcd, .gives = codec_gives_scalar}},
    {.op = {.name = "pattern"}, .parse = codec_parse_pattern},
    {.op = {.name = "struct"}, .parse = codec_parse_struct},
    {.op = {.name = "tlv"}, .parse = codec_parse_tlv},
    {.op = {.name = "modbus"}, .parse = codec_parse_modbus},
    {.op = {.name = "hj212", .to_value = run_codec_hj212}},
    {.op = {.name = "gb26875", .to_value = run_codec_gb26875}},
    {.op = {.name = "wmbus", .to_value = run_codec_wmbus}},
    {.op = {.name = "sparkplug-b", .to_value = run_codec_sparkplug}},
};
const size_t codec_n_words = sizeof(codec_words) / sizeof(codec_words[0]);
