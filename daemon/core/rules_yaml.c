/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the YAML of rules: mappings with known keys, single values, and where a condition's byte
 * stands in its file.
 */
#include "base/check.h"
#include "base/num.h"
#include "core/rules_private.h"
#include "core/text.h"

#include <string.h>

/* Every allocation is bounded by the files, which have a ceiling themselves. */
void *rules_take(struct rules_build *b, size_t n, size_t size)
{
    void *v = arena_alloc(&b->r->arena, n * size + 1);
    ASSERT(v);
    return v;
}

const char *rules_copy(struct rules_build *b, const char *s)
{
    char *v = arena_strdup(&b->r->arena, s);
    ASSERT(v);
    return v;
}

const char *rules_what(const struct yaml_node *n)
{
    return n->kind == YAML_LIST  ? "a list"
           : n->kind == YAML_MAP ? "a mapping"
           : n->kind == YAML_BAD ? "not readable"
           : yaml_is_null(n)     ? "empty"
                                 : "a single value";
}

size_t rules_count_items(const struct yaml_node *list)
{
    size_t n = 0;
    for (const struct yaml_node *i = list->first; i; i = i->next)
        n++;
    return n;
}

/* Signs of a Chinese keyboard, which look like YAML's. */
static bool is_full_width(const char *s)
{
    return strstr(s, "\uff1a") || strstr(s, "\uff0c");
}

bool rules_unknown(struct rules_build *b, const struct yaml_node *n, const char *what,
                   const char *const *names, size_t n_names)
{
    const char *near = err_nearest(n->text, names, n_names),
               *blank = text_odd_blank_in(n->text);
    if (blank) {
        conf_error(b->notes, AT(n), "%s \"%.64s\": a %s stands in it, expected a plain blank",
                   what, n->text, blank);
        return true;
    }
    if (is_full_width(n->text)) {
        conf_error(b->notes, AT(n),
                   "%s \"%.64s\": \uff1a and \uff0c are full-width, YAML knows : and ,", what,
                   n->text);
        return true;
    }
    if (near) {
        conf_error(b->notes, AT(n), "%s \"%.64s\", did you mean \"%s\"?", what, n->text, near);
        return true;
    }
    struct buf all;
    buf_init(&all, 1024);
    for (size_t i = 0; i < n_names; i++)
        (void)buf_printf(&all, "%s%s", !i ? "" : i + 1 < n_names ? ", " : " or ", names[i]);
    conf_error(b->notes, AT(n), "%s \"%.64s\", expected %s", what, n->text, buf_cstr(&all));
    buf_done(&all);
    return false;
}

bool rules_is_map(struct rules_build *b, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_MAP)
        return true;
    if (n->kind != YAML_BAD)
        conf_error(b->notes, AT(n), "%s is %s, expected a mapping", what, rules_what(n));
    return false;
}

bool rules_is_list(struct rules_build *b, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_LIST && n->first)
        return true;
    if (n->kind == YAML_LIST)
        conf_error(b->notes, AT(n), "%s is an empty list, expected at least one entry", what);
    else if (n->kind != YAML_BAD)
        conf_error(b->notes, AT(n), "%s is %s, expected a list%s", what, rules_what(n),
                   n->kind == YAML_MAP ? ": a dash and a blank before each entry" : "");
    return false;
}

/* A condition with a comma between { and } is cut there by YAML; what is behind it looks like a
 * key. A name has none of these signs. */
static bool is_cut_text(const struct yaml_node *v)
{
    return yaml_is_null(v) && strpbrk(v->key->text, "()<>=\"' ");
}

/* `when:level > 0.8` between { and }: YAML takes it for a key as a whole. True: said. */
static bool is_glued(struct rules_build *b, const struct yaml_node *key,
                     const char *const *names, size_t n)
{
    const char *colon = strchr(key->text, ':');
    for (size_t i = 0; colon && i < n; i++) {
        size_t len = strlen(names[i]);
        if (len != (size_t)(colon - key->text) || memcmp(key->text, names[i], len) != 0 ||
            text_odd_blank_in(key->text))
            continue;
        conf_error(b->notes, AT(key),
                   "\"%.64s\": a key ends with a colon and a blank, expected \"%s: %.64s\"",
                   key->text, names[i], colon + 1);
        return true;
    }
    return false;
}

static bool is_of_level(const char *key)
{
    return strcmp(key, "when") == 0 || strcmp(key, "off") == 0 || strcmp(key, "for") == 0 ||
           strcmp(key, "severity") == 0;
}

bool rules_read_map(struct rules_build *b, const struct yaml_node *map,
                    const struct rules_key *keys, size_t n, const char *where)
{
    const char *names[40];
    char what[96] = "unknown key in ";
    ASSERT(n <= 40);
    bool known = true;
    b->cut = false;
    for (size_t i = 0; i < n; i++)
        names[i] = keys[i].name;
    size_t k = strlen(where) < 64 ? strlen(where) : 64;
    memcpy(what + 15, where, k + 1 < 81 ? k + 1 : 80);
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        size_t i = 0;
        if (v->key->kind != YAML_SCALAR)
            continue;
        while (i < n && strcmp(v->key->text, names[i]) != 0)
            i++;
        if (i == n && is_glued(b, v->key, names, n)) {
            known = false;
        } else if (i == n && is_cut_text(v) && !text_odd_blank_in(v->key->text)) {
            b->cut = true;
            conf_error(b->notes, AT(v->key),
                       "\"%.64s\" is cut off at a comma: a text with a comma between { and "
                       "} stands in quotes, or the mapping is written with a line for each key",
                       v->key->text);
        } else if (i == n && strcmp(where, "a rule") == 0 && is_of_level(v->key->text)) {
            known = false;
            conf_error(b->notes, AT(v->key),
                       "\"%s\" belongs to a level: levels: [{severity: …, when: …, for: …}]",
                       v->key->text);
        } else if (i == n) {
            known = !rules_unknown(b, v->key, what, names, n) && known;
        } else if (*keys[i].to) {
            conf_error(b->notes, AT(v->key), "\"%s\" is repeated, first in line %d", names[i],
                       (*keys[i].to)->key->line);
        } else {
            *keys[i].to = v;
        }
    }
    return known;
}

const char *rules_text(struct rules_build *b, const struct yaml_node *n, const char *what)
{
    if (!n)
        return NULL;
    if (n->kind == YAML_SCALAR && !yaml_is_null(n))
        return n->text;
    if (n->kind != YAML_BAD)
        conf_error(b->notes, AT(n), "%s is %s, expected a value", what, rules_what(n));
    return NULL;
}

const char *rules_line(struct rules_build *b, const struct yaml_node *n, const char *what,
                       size_t max)
{
    const char *s = rules_text(b, n, what);
    if (!s)
        return "";
    if (strlen(s) > max) {
        conf_error(b->notes, AT(n),
                   "%s has %zu bytes, expected at most %zu (Chinese characters have 3 each)",
                   what, strlen(s), max);
        return "";
    }
    if (!text_is_plain(s, strlen(s))) {
        conf_error(b->notes, AT(n),
                   "%s has a line end or a control character, expected one line", what);
        return "";
    }
    return rules_copy(b, s);
}

bool rules_bool(struct rules_build *b, const struct yaml_node *n, const char *what,
                bool otherwise)
{
    const char *s = rules_text(b, n, what);
    if (s && (strcmp(s, "true") == 0 || strcmp(s, "false") == 0))
        return s[0] == 't';
    if (s)
        conf_error(b->notes, AT(n), "%s is \"%.64s\", expected true or false", what, s);
    return otherwise;
}

bool rules_number(struct rules_build *b, const struct yaml_node *n, const char *what,
                  double *out)
{
    const char *s = rules_text(b, n, what);
    if (s && text_double(s, strlen(s), out))
        return true;
    if (s)
        conf_error(b->notes, AT(n), "%s is \"%.64s\", expected a number", what, s);
    return false;
}

bool rules_uint(struct rules_build *b, const struct yaml_node *n, const char *what,
                unsigned min, unsigned max, unsigned *out)
{
    uint64_t v;
    const char *s = rules_text(b, n, what);
    if (!s)
        return false;
    if (num_get_u64(s, strlen(s), &v) != 0 || v < min || v > max) {
        conf_error(b->notes, AT(n), "%s is \"%.64s\", expected a whole number from %u to %u",
                   what, s, min, max);
        return false;
    }
    *out = (unsigned)v;
    return true;
}

static bool read_duration(const char *s, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ms", 1000000},
                 {"s", RULES_SECOND},
                 {"m", 60 * RULES_SECOND},
                 {"h", 3600 * RULES_SECOND},
                 {"d", RULES_DAY}};
    uint64_t v;
    size_t digits = strspn(s, "0123456789");
    if (digits == 0 || digits > 12 || num_get_u64(s, digits, &v) != 0)
        return false;
    if (!s[digits] && v == 0) {
        *out = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(s + digits, units[i].name) == 0 && v <= UINT64_MAX / 2 / units[i].ns) {
            *out = v * units[i].ns;
            return true;
        }
    }
    return false;
}

bool rules_duration(struct rules_build *b, const struct yaml_node *n, const char *what,
                    uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v;
    const char *s = rules_text(b, n, what);
    if (!s)
        return false;
    if (!read_duration(s, &v)) {
        conf_error(b->notes, AT(n),
                   "%s is \"%.64s\", expected a duration: a whole number with ms, s, m, h or d",
                   what, s);
        return false;
    }
    if (v < min || v > max) {
        conf_error(b->notes, AT(n), "%s is %.64s, expected %llu s to %llu d", what, s,
                   (unsigned long long)((min + RULES_SECOND - 1) / RULES_SECOND),
                   (unsigned long long)(max / RULES_DAY));
        return false;
    }
    *out = v;
    return true;
}

int rules_word(struct rules_build *b, const struct yaml_node *n, const char *what,
               const char *const *words, size_t n_words)
{
    const char *s = rules_text(b, n, what);
    for (size_t i = 0; s && i < n_words; i++) {
        if (strcmp(words[i], s) == 0)
            return (int)i;
    }
    if (s)
        rules_unknown(b, n, what, words, n_words);
    return -1;
}

bool rules_codes(struct rules_build *b, const struct yaml_node *n, const char *what,
                 bool (*right)(const char *s, size_t n), const char *expected,
                 const char *const **out, size_t *out_n)
{
    const struct yaml_node *first = n->kind == YAML_LIST ? n->first : n;
    size_t count = 0, errors = b->notes->errors;
    if (n->kind == YAML_LIST && !rules_is_list(b, n, what))
        return false;
    for (const struct yaml_node *v = first; v; v = n->kind == YAML_LIST ? v->next : NULL)
        count++;
    if (count > RULES_MAX_LIST) {
        conf_error(b->notes, AT(n), "%s has %zu entries, expected at most %d", what, count,
                   RULES_MAX_LIST);
        return false;
    }
    const char **list = rules_take(b, count, sizeof(*list));
    count = 0;
    for (const struct yaml_node *v = first; v; v = n->kind == YAML_LIST ? v->next : NULL) {
        const char *s = rules_text(b, v, what);
        if (!s)
            continue;
        if (!right(s, strlen(s)))
            conf_error(b->notes, AT(v), "%s \"%.64s\", expected %s", what, s, expected);
        for (size_t i = 0; i < count; i++) {
            if (strcmp(list[i], s) == 0)
                conf_error(b->notes, AT(v), "%s \"%.64s\" is repeated", what, s);
        }
        list[count++] = rules_copy(b, s);
    }
    *out = list;
    *out_n = count;
    return b->notes->errors == errors;
}

/* ---- a condition's byte in its file ---- */

struct place {
    const char *s, *end;
    int line, col;
};

static void step(struct place *p)
{
    if (*p->s == '\n') {
        p->line++;
        p->col = 0;
    }
    p->s++;
    while (p->s < p->end && ((unsigned char)*p->s & 0xc0) == 0x80)
        p->s++;
    p->col++;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One character of the text as the file writes it, in quotes. */
static void step_quoted(struct place *p, char quote)
{
    bool pair = quote == '"' ? *p->s == '\\' : *p->s == '\'';
    if (pair && p->s + 1 < p->end)
        step(p);
    if (p->s < p->end)
        step(p);
}

/* Blanks may be folded, so characters that are none are counted. Escapes longer than \" are not
 * taken apart: no condition needs them. */
void rules_place_of(const struct rules_file *f, const struct yaml_node *n, size_t at,
                    int *out_line, int *out_col)
{
    struct place p = {f->text, f->text + f->len, 1, 1};
    if (f->len >= 3 && memcmp(f->text, "\xef\xbb\xbf", 3) == 0)
        p.s += 3;
    *out_line = n->line;
    *out_col = n->col;
    if (*n->text == '\0') /* "": there is nothing behind its beginning */
        return;
    while (p.s < p.end && (p.line < n->line || (p.line == n->line && p.col < n->col)))
        step(&p);
    if (p.s == p.end || p.line != n->line)
        return;
    char quote = 0;
    /* The reader's mark of a quoted text is its first character or the quote before it. */
    if (!n->plain && (*p.s == '"' || *p.s == '\'')) {
        quote = *p.s;
        step(&p);
    } else if (!n->plain && (*p.s == '|' || *p.s == '>')) {
        while (p.s < p.end && *p.s != '\n')
            step(&p);
    }
    size_t len = strlen(n->text), left = 0;
    bool blank = at >= len || is_blank(n->text[at]);
    for (size_t i = 0; i < len && i < at; i++)
        left += !is_blank(n->text[i]) && ((unsigned char)n->text[i] & 0xc0) != 0x80;
    while (p.s < p.end) {
        if (!is_blank(*p.s) && left == 0)
            break;
        if (is_blank(*p.s)) {
            step(&p);
            continue;
        }
        left--;
        if (quote)
            step_quoted(&p, quote);
        else
            step(&p);
        if (left == 0 && blank)
            break;
    }
    *out_line = p.line;
    *out_col = p.col;
}
