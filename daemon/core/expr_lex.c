/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text into tokens. A number takes the unit behind it; a name takes its @point; and what a
 * Chinese keyboard or another language's habit puts in place of a sign is named, not guessed.
 */
#include "base/num.h"
#include "base/utf8.h"
#include "core/expr_grammar.h"
#include "core/expr_private.h"
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Without the bytes of characters that were cut. */
static void keep_utf8(char *s)
{
    size_t n = strlen(s), to = 0;
    for (size_t i = 0, k; i < n; i += k ? k : 1) {
        k = utf8_char(s + i, n - i);
        memmove(s + to, s + i, k);
        to += k;
    }
    s[to] = '\0';
}

void expr_fail(struct expr_compiler *c, size_t at, const char *fmt, ...)
{
    if (c->failed)
        return;
    c->failed = true;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->error->text, sizeof(c->error->text), fmt, ap);
    va_end(ap);
    keep_utf8(c->error->text);
    c->error->at = at;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const struct {
    const char *word;
    int token;
} keywords[] = {
    {"and", EXPR_AND}, {"or", EXPR_OR},    {"not", EXPR_NOT},
    {"in", EXPR_IN},   {"true", EXPR_YES}, {"false", EXPR_NO},
};

static int keyword_of(const char *s, size_t n)
{
    for (size_t i = 0; i < COUNT(keywords); i++)
        if (strlen(keywords[i].word) == n && memcmp(keywords[i].word, s, n) == 0)
            return keywords[i].token;
    return 0;
}

/* What people write in place of a sign of the language. */
static const struct {
    const char *wrong, *right;
} habits[] = {
    {"=>", ">="}, {"=<", "<="},  {"&&", "and"},   {"||", "or"},   {"!", "not"}, {"<>", "!="},
    {"=", "=="},  {"且", "and"}, {"并且", "and"}, {"或者", "or"}, {"或", "or"}, {"非", "not"},
    {"≥", ">="},  {"≤", "<="},   {"≠", "!="},     {"×", "*"},     {"÷", "/"},   {"−", "-"},
    {"–", "-"},   {"“", "\""},   {"”", "\""},     {"‘", "\""},    {"’", "\""},  {"。", "."},
    {"、", ","},  {"'", "\""},   {"【", "("},     {"】", ")"},    {"《", "<"},  {"》", ">"},
    {"‑", "-"},
};

/* The plain character of a full-width form (U+FF01 … U+FF5E), or 0. */
static char plain_of_wide(const char *s, size_t n)
{
    if (n < 3 || (unsigned char)s[0] != 0xEF)
        return 0;
    unsigned b = (unsigned char)s[1], d = (unsigned char)s[2];
    unsigned point = 0xF000u | (b & 0x3Fu) << 6 | (d & 0x3Fu);
    return point >= 0xFF01 && point <= 0xFF5E ? (char)(point - 0xFEE0) : 0;
}

/* What the catalogue calls a metric in Chinese, where its name is expected. True: said. */
static bool is_title(struct expr_compiler *c, const char *s, size_t left)
{
    const struct kind *k = c->scope->kind;
    size_t n = 0;
    while (n < left && ((unsigned char)s[n] & 0x80 || is_word(s[n])) &&
           !text_odd_blank(s + n, left - n) && !plain_of_wide(s + n, left - n))
        n++;
    for (size_t i = 0; i < k->n_metrics; i++) {
        const struct metric *m = &k->metrics[i];
        if (strlen(m->title_zh) != n || memcmp(m->title_zh, s, n) != 0)
            continue;
        expr_fail(c, c->pos, "%s has no metric \"%s\", expected \"%s\"?", k->name, m->title_zh,
                  m->name);
        return true;
    }
    return false;
}

static int fail_sign(struct expr_compiler *c)
{
    const char *s = c->text + c->pos;
    size_t left = c->len - c->pos;
    char plain = plain_of_wide(s, left);
    const char *blank = text_odd_blank(s, left);
    if (blank) {
        expr_fail(c, c->pos, "a %s has no meaning here, expected a plain blank", blank);
        return -1;
    }
    if (is_title(c, s, left))
        return -1;
    if (plain) {
        expr_fail(c, c->pos, "'%.3s' is full-width, expected the plain '%c'", s, plain);
        return -1;
    }
    for (size_t i = 0; i < COUNT(habits); i++) {
        size_t n = strlen(habits[i].wrong);
        if (n <= left && memcmp(s, habits[i].wrong, n) == 0) {
            expr_fail(c, c->pos, "'%.*s' is not a sign here, expected '%s'", (int)n, s,
                      habits[i].right);
            return -1;
        }
    }
    if (*s == '[' || *s == ']' || *s == '{' || *s == '}') {
        expr_fail(c, c->pos,
                  "'%c' has no meaning here, expected '%c': lists and groups stand in ( and )",
                  *s, *s == '[' || *s == '{' ? '(' : ')');
        return -1;
    }
    if (*s == ':') {
        expr_fail(c, c->pos,
                  "':' has no meaning here, expected times of day in quotes, as in "
                  "between(\"22:00\", \"06:00\")");
        return -1;
    }
    size_t n = utf8_char(s, left);
    if (n == 0 || (unsigned char)*s < ' ' || *s == 127)
        expr_fail(c, c->pos, "a byte 0x%02x, expected text in UTF-8", (unsigned char)*s);
    else
        expr_fail(c, c->pos,
                  "'%.*s' has no meaning here, expected a metric, a number, '(' or a function",
                  (int)n, s);
    return -1;
}

/* The run of bytes behind a number that may be a unit: everything but blanks and signs. */
static size_t unit_run(const char *s, size_t n)
{
    size_t i = 0;
    char closes = 0;
    for (; i < n && !is_blank(s[i]); i++) {
        if (closes) {
            closes = s[i] == closes ? 0 : closes;
        } else if (s[i] == '[' || s[i] == '{') {
            closes = s[i] == '[' ? ']' : '}';
        } else if (text_odd_blank(s + i, n - i) ||
                   (plain_of_wide(s + i, n - i) && plain_of_wide(s + i, n - i) != '%')) {
            break;
        } else if (s[i] == '-') { /* an exponent: m.s-2 */
            if (i == 0 || !is_letter(s[i - 1]) || i + 1 >= n || !is_digit(s[i + 1]))
                break;
        } else if (!is_word(s[i]) && !strchr("%./", s[i]) && !((unsigned char)s[i] & 0x80)) {
            break;
        }
    }
    while (i > 0 && (s[i - 1] == '/' || s[i - 1] == '.'))
        i--;
    return i;
}

/* A word behind a number that is no unit, and meant as something else. True: said. */
static bool is_habit(struct expr_compiler *c, size_t at, const char *s, size_t n)
{
    static const char *const written[] = {"and", "or", "not", "in"};
    for (size_t i = 0; i < COUNT(written); i++) {
        if (strlen(written[i]) != n || strncasecmp(s, written[i], n) != 0)
            continue;
        expr_fail(c, at, "'%.*s' is not a word here, expected '%s' in small letters", (int)n, s,
                  written[i]);
        return true;
    }
    if (n == 3 && memcmp(s, "for", 3) == 0) {
        expr_fail(c, at,
                  "how long it must hold is no part of the condition, expected `for: 5m` "
                  "beside `when`");
        return true;
    }
    return false;
}

/* Is there a unit behind the number at s? Its length; 0: none; -1 after an error. */
static int unit_behind(struct expr_compiler *c, size_t at, bool blank)
{
    const char *s = c->text + at;
    size_t n = unit_run(s, c->len - at);
    if (n == 0)
        return 0;
    struct unit u;
    size_t word = 0;
    while (word < n && is_word(s[word]))
        word++;
    if (blank && keyword_of(s, word))
        return 0;
    if (n <= 64 && unit_parse(s, n, &u, NULL) == 0)
        return (int)n;
    if (*s == '/' || *s == '.') /* not "per something": a division */
        return 0;
    if (blank && is_habit(c, at, s, word))
        return -1;
    char code[65];
    (void)snprintf(code, sizeof(code), "%.*s", (int)(n < 64 ? n : 64), s);
    const char *near = unit_nearest(code);
    if ((unsigned char)*s & 0x80 && !near && !plain_of_wide(s, n)) /* `且` and the like */
        return 0;
    char sign = plain_of_wide(s, n);
    if (sign == '%')
        expr_fail(c, at, "'%.3s' is full-width, expected the plain '%%'", s);
    else
        expr_fail(c, at, "\"%s\" is not a unit, expected a UCUM code%s%s%s", code,
                  near ? ": \"" : " such as m, %, kPa, m3/h", near ? near : "",
                  near ? "\"?" : "");
    return -1;
}

static int lex_number(struct expr_compiler *c, struct expr_token *t)
{
    const char *s = c->text;
    size_t i = c->pos;
    while (i < c->len && is_digit(s[i]))
        i++;
    if (i + 1 < c->len && s[i] == '.' && is_digit(s[i + 1]))
        for (i++; i < c->len && is_digit(s[i]); i++)
            ;
    if (i + 1 < c->len && (s[i] == 'e' || s[i] == 'E')) {
        size_t k = i + 1 + (s[i + 1] == '-' || s[i + 1] == '+');
        if (k < c->len && is_digit(s[k]))
            for (i = k; i < c->len && is_digit(s[i]); i++)
                ;
    }
    if (num_get_double(s + c->pos, i - c->pos, &t->number) != 0) {
        expr_fail(c, c->pos, "the number %.*s is out of range",
                  (int)(i - c->pos < 40 ? i - c->pos : 40), s + c->pos);
        return -1;
    }
    size_t at = i;
    while (at < c->len && is_blank(s[at]))
        at++;
    int n = at < c->len ? unit_behind(c, at, at > i) : 0;
    if (n < 0)
        return -1;
    if (n > 0) {
        t->unit = arena_strndup(&c->arena, s + at, (size_t)n);
        i = at + (size_t)n;
    }
    t->n = (uint16_t)(i - c->pos);
    c->pos = i;
    return EXPR_NUMBER;
}

static int lex_string(struct expr_compiler *c, struct expr_token *t)
{
    const char *begin = c->text + c->pos + 1;
    const char *end = memchr(begin, '"', c->len - c->pos - 1);
    if (!end) {
        expr_fail(c, c->pos, "the text has no end, expected '\"'");
        return -1;
    }
    t->name = arena_strndup(&c->arena, begin, (size_t)(end - begin));
    if (!text_is_plain(begin, (size_t)(end - begin)) ||
        !utf8_valid(begin, (size_t)(end - begin))) {
        expr_fail(c, c->pos, "the text has a control character or is not UTF-8");
        return -1;
    }
    t->n = (uint16_t)((size_t)(end - begin) + 2);
    c->pos += t->n;
    return EXPR_STRING;
}

/* @point behind a name: a code, or anything in quotation marks. */
static bool lex_point(struct expr_compiler *c, struct expr_token *t)
{
    size_t at = c->pos++;
    if (c->pos < c->len && c->text[c->pos] == '"') {
        struct expr_token point = {0};
        if (lex_string(c, &point) < 0)
            return false;
        t->point = point.name;
        return true;
    }
    size_t i = c->pos;
    while (i < c->len && (is_word(c->text[i]) || c->text[i] == '.' || c->text[i] == '-'))
        i++;
    if (i == c->pos) {
        expr_fail(c, at, "nothing behind '@', expected the name of a point");
        return false;
    }
    t->point = arena_strndup(&c->arena, c->text + c->pos, i - c->pos);
    c->pos = i;
    return true;
}

static int lex_word(struct expr_compiler *c, struct expr_token *t)
{
    const char *s = c->text;
    size_t begin = c->pos, i = begin;
    bool param = s[i] == '$';
    i += param;
    size_t word = i;
    while (i < c->len && (is_word(s[i]) || (c->kind_in == 1 && s[i] == '-')))
        i++;
    if (param && i == word) {
        expr_fail(c, begin, "nothing behind '$', expected the name of a parameter");
        return -1;
    }
    int token = param ? EXPR_PARAM : keyword_of(s + word, i - word);
    t->name = arena_strndup(&c->arena, s + word, i - word);
    c->pos = i;
    if (!token) {
        token = EXPR_NAME;
        if (i < c->len && s[i] == '@' && !lex_point(c, t))
            return -1;
        if (strcmp(t->name, "count_over") == 0)
            c->kind_in = 5;
    }
    t->n = (uint16_t)(c->pos - begin);
    return token;
}

static int lex_sign(struct expr_compiler *c, struct expr_token *t)
{
    static const struct {
        const char *sign;
        int token;
    } signs[] = {
        {"<=", EXPR_LE},    {">=", EXPR_GE},  {"==", EXPR_EQ},   {"!=", EXPR_NE},
        {"<", EXPR_LT},     {">", EXPR_GT},   {"(", EXPR_LP},    {")", EXPR_RP},
        {",", EXPR_COMMA},  {"+", EXPR_PLUS}, {"-", EXPR_MINUS}, {"*", EXPR_TIMES},
        {"/", EXPR_DIVIDE},
    };
    const char *s = c->text + c->pos;
    size_t left = c->len - c->pos;
    if (left >= 2 && s[0] == '<' && s[1] == '>')
        return fail_sign(c);
    for (size_t i = 0; i < COUNT(signs); i++) {
        size_t n = strlen(signs[i].sign);
        if (n <= left && memcmp(s, signs[i].sign, n) == 0) {
            t->n = (uint16_t)n;
            c->pos += n;
            return signs[i].token;
        }
    }
    return fail_sign(c);
}

int expr_lex(struct expr_compiler *c, struct expr_token *out)
{
    while (c->pos < c->len && is_blank(c->text[c->pos]))
        c->pos++;
    *out = (struct expr_token){.s = c->text + c->pos, .at = (uint16_t)c->pos};
    if (c->kind_in > 0)
        c->kind_in--;
    if (c->pos == c->len)
        return 0;
    char first = c->text[c->pos];
    if (is_digit(first))
        return lex_number(c, out);
    if (is_letter(first) || first == '_' || first == '$')
        return lex_word(c, out);
    if (first == '"')
        return lex_string(c, out);
    if (first == '.' && c->pos + 1 < c->len && is_digit(c->text[c->pos + 1])) {
        expr_fail(c, c->pos, "a number begins with '.', expected a digit before it: 0.5");
        return -1;
    }
    return lex_sign(c, out);
}

bool expr_lex_ends_value(int token)
{
    return token == EXPR_NUMBER || token == EXPR_STRING || token == EXPR_NAME ||
           token == EXPR_PARAM || token == EXPR_YES || token == EXPR_NO || token == EXPR_RP;
}
