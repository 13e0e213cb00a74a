/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/json_place.h"

#include <string.h>

#define MAX_DEPTH 256

struct scan {
    const char *p;
    size_t n, at;
    const char *why;
    int depth;
    const char *key; /* looked for in the outermost object */
    size_t from, to; /* where its value is; to 0: not found */
};

void json_place(const char *text, size_t at, int *out_line, int *out_col)
{
    int line = 1, col = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            col = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            col++;
        }
    }
    *out_line = line;
    *out_col = col;
}

static bool fault(struct scan *s, const char *why)
{
    if (!s->why)
        s->why = why;
    return false;
}

static void blanks(struct scan *s)
{
    while (s->at < s->n && memchr(" \t\r\n", s->p[s->at], 4))
        s->at++;
}

static bool at_char(const struct scan *s, char c)
{
    return s->at < s->n && s->p[s->at] == c;
}

static bool digits(struct scan *s)
{
    size_t from = s->at;
    while (s->at < s->n && s->p[s->at] >= '0' && s->p[s->at] <= '9')
        s->at++;
    return s->at > from;
}

static bool number(struct scan *s)
{
    s->at += at_char(s, '-');
    bool zero = at_char(s, '0');
    size_t from = s->at;
    if (!digits(s))
        return fault(s, "expected a value");
    if (zero && s->at > from + 1)
        return fault(s, "a number begins with 0");
    if (at_char(s, '.')) {
        s->at++;
        if (!digits(s))
            return fault(s, "expected a digit after the point");
    }
    if (at_char(s, 'e') || at_char(s, 'E')) {
        s->at++;
        s->at += at_char(s, '+') || at_char(s, '-');
        if (!digits(s))
            return fault(s, "expected an exponent");
    }
    return true;
}

static bool text(struct scan *s)
{
    for (s->at++; s->at < s->n; s->at++) {
        unsigned char c = (unsigned char)s->p[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return fault(s, "a control character in a text");
        if (c == '\\') {
            s->at++;
            if (s->at >= s->n || !strchr("\"\\/bfnrtu", s->p[s->at]))
                return fault(s, "no such escape");
        }
    }
    return fault(s, "a text does not end");
}

static bool word(struct scan *s, const char *w)
{
    size_t n = strlen(w);
    if (s->n - s->at < n || memcmp(s->p + s->at, w, n) != 0)
        return fault(s, "expected a value");
    s->at += n;
    return true;
}

static bool value(struct scan *s);

static bool member(struct scan *s)
{
    size_t key = s->at;
    if (!at_char(s, '"'))
        return fault(s, "expected a name in quotes");
    if (!text(s))
        return false;
    size_t n = s->at - key - 2;
    bool wanted = s->key && s->depth == 1 && !s->to && strlen(s->key) == n &&
                  memcmp(s->key, s->p + key + 1, n) == 0;
    blanks(s);
    if (!at_char(s, ':'))
        return fault(s, "expected a colon");
    s->at++;
    blanks(s);
    size_t from = s->at;
    if (!value(s))
        return false;
    if (wanted) {
        s->from = from;
        s->to = s->at;
    }
    return true;
}

static bool list(struct scan *s, char end)
{
    if (++s->depth > MAX_DEPTH)
        return fault(s, "nested too deep");
    s->at++;
    blanks(s);
    for (bool first = true; !(first && at_char(s, end)); first = false) {
        if (end == '}' ? !member(s) : !value(s))
            return false;
        blanks(s);
        if (at_char(s, end))
            break;
        if (!at_char(s, ','))
            return fault(s, end == '}' ? "expected a comma or }" : "expected a comma or ]");
        s->at++;
        blanks(s);
    }
    s->at++;
    s->depth--;
    return true;
}

static bool value(struct scan *s)
{
    switch (s->at < s->n ? s->p[s->at] : '\0') {
    case '{':
        return list(s, '}');
    case '[':
        return list(s, ']');
    case '"':
        return text(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    case '\0':
        return fault(s, s->at < s->n ? "a NUL byte" : "the text ends here");
    default:
        return number(s);
    }
}

static bool whole(struct scan *s)
{
    blanks(s);
    if (!value(s))
        return false;
    blanks(s);
    return s->at == s->n || fault(s, "something stands behind the value");
}

bool json_fault(const char *p, size_t len, size_t *out_at, const char **out_why)
{
    struct scan s = {.p = p, .n = len};
    if (whole(&s))
        return false;
    *out_at = s.at;
    *out_why = s.why;
    return true;
}

bool json_raw(const char *p, size_t len, const char *key, struct buf *out)
{
    struct scan s = {.p = p, .n = len, .key = key};
    return whole(&s) && s.to > 0 && buf_put(out, p + s.from, s.to - s.from) == 0;
}

/* One step of a path: `.name`, `["name"]` or `[3]`. False: it is none. */
static bool next_step(const char **path, const char **name, size_t *n, size_t *index)
{
    const char *p = *path;
    *name = NULL;
    *index = 0;
    if (*p == '.') {
        *name = ++p;
        *n = strcspn(p, ".[");
        *path = p + *n;
        return *n > 0;
    }
    if (p[0] == '[' && p[1] == '"') {
        const char *end = strstr(p + 2, "\"]");
        *name = p + 2;
        *n = end ? (size_t)(end - p - 2) : 0;
        *path = end ? end + 2 : p;
        return end != NULL;
    }
    if (*p != '[')
        return false;
    for (p++; *p >= '0' && *p <= '9' && *index < 1000000; p++)
        *index = *index * 10 + (size_t)(*p - '0');
    *path = *p == ']' ? p + 1 : p;
    return *p == ']';
}

/* From the beginning of an object or array to the value that the step names. */
static bool go(struct scan *s, const char *name, size_t n, size_t index)
{
    char open = name ? '{' : '[', end = name ? '}' : ']';
    if (!at_char(s, open))
        return false;
    s->at++;
    for (size_t i = 0;; i++) {
        blanks(s);
        if (s->at >= s->n || at_char(s, end))
            return false;
        size_t key = s->at;
        if (name) {
            if (!text(s))
                return false;
            size_t len = s->at - key - 2;
            blanks(s);
            s->at++;
            blanks(s);
            if (len == n && memcmp(s->p + key + 1, name, n) == 0)
                return true;
        } else if (i == index) {
            return true;
        }
        if (!value(s))
            return false;
        blanks(s);
        s->at += at_char(s, ',');
    }
}

bool json_find(const char *p, size_t len, const char *path, size_t *out_at)
{
    struct scan s = {.p = p, .n = len};
    const char *name;
    size_t n, index;
    if (*path++ != '$' || json_fault(p, len, &n, &name))
        return false;
    blanks(&s);
    while (*path)
        if (!next_step(&path, &name, &n, &index) || !go(&s, name, n, index))
            return false;
    *out_at = s.at;
    return true;
}
