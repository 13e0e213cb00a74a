/* SPDX-License-Identifier: Apache-2.0 */
#include "lp_decode.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *p, *end;
    const char *why; /* NULL: well so far */
};

static int fail(struct reader *r, const char *why)
{
    if (!r->why)
        r->why = why;
    return -1;
}

static void *grow(void *p, size_t n, size_t size)
{
    p = reallocarray(p, n, size);
    if (!p)
        abort();
    return p;
}

static int at(const struct reader *r)
{
    return r->p < r->end ? (unsigned char)*r->p : -1;
}

static bool control(int c)
{
    return (c >= 0 && c < 0x20) || c == 0x7f;
}

/* RFC 3629, by the code points. */
static bool is_utf8(const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned c = (unsigned char)p[i++];
        size_t more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        unsigned lowest = more == 0 ? 0 : more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
        if ((c >= 0x80 && c < 0xc0) || c > 0xf7 || i + more > n)
            return false;
        unsigned point = more == 0 ? c : c & (0x3fu >> more);
        for (size_t k = 0; k < more; k++, i++) {
            if (((unsigned char)p[i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | ((unsigned char)p[i] & 0x3fu);
        }
        if (point < lowest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return false;
    }
    return true;
}

/* A name up to an unescaped character of `stop`; of `escapes`, a backslash makes plain ones. */
static int name(struct reader *r, const char *stop, const char *escapes, struct lp_text *out)
{
    out->p = grow(NULL, (size_t)(r->end - r->p) + 1, 1);
    out->n = 0;
    for (; at(r) >= 0 && !strchr(stop, at(r)); r->p++) {
        if (control(at(r)))
            break;
        if (at(r) == '\\' && r->p + 1 < r->end && r->p[1] && strchr(escapes, r->p[1]))
            r->p++;
        out->p[out->n++] = *r->p;
    }
    out->p[out->n] = '\0';
    if (out->n == 0)
        return fail(r, "empty name");
    if (!is_utf8(out->p, out->n))
        return fail(r, "name is not UTF-8");
    return out->p[out->n - 1] == '\\' ? fail(r, "name ends in a backslash") : 0;
}

static int string(struct reader *r, struct lp_text *out)
{
    out->p = grow(NULL, (size_t)(r->end - r->p) + 1, 1);
    out->n = 0;
    for (r->p++; at(r) != '"'; r->p++) {
        if (at(r) < 0)
            return fail(r, "string not closed");
        if (at(r) == '\\' && r->p + 1 < r->end && (r->p[1] == '"' || r->p[1] == '\\'))
            r->p++;
        out->p[out->n++] = *r->p;
    }
    out->p[out->n] = '\0';
    r->p++;
    return is_utf8(out->p, out->n) ? 0 : fail(r, "string is not UTF-8");
}

static size_t digits(const char **s)
{
    size_t n = 0;
    for (; **s >= '0' && **s <= '9'; (*s)++)
        n++;
    return n;
}

static int float_value(struct reader *r, const char *s, struct lp_field *f)
{
    const char *c = s + (*s == '-');
    size_t n = digits(&c);
    if (*c == '.') {
        c++;
        n += digits(&c);
    }
    if (n == 0)
        return fail(r, "value is no number");
    if (*c == 'e' || *c == 'E') {
        c++;
        c += *c == '-' || *c == '+';
        if (digits(&c) == 0)
            return fail(r, "exponent without digits");
    }
    if (*c)
        return fail(r, "bytes after the number");
    f->type = LP_FLOAT;
    f->f = strtod(s, NULL);
    return isfinite(f->f) ? 0 : fail(r, "number out of range");
}

static int whole_value(struct reader *r, char *s, size_t n, struct lp_field *f)
{
    bool is_unsigned = s[n - 1] == 'u';
    s[n - 1] = '\0';
    const char *c = s + (!is_unsigned && *s == '-');
    if (digits(&c) == 0 || *c)
        return fail(r, "integer is none");
    errno = 0;
    f->type = is_unsigned ? LP_UINT : LP_INT;
    if (is_unsigned)
        f->u = strtoull(s, NULL, 10);
    else
        f->i = strtoll(s, NULL, 10);
    return errno ? fail(r, "integer out of range") : 0;
}

static int bool_value(const char *s, struct lp_field *f)
{
    static const char *const names[] = {"t", "T", "true",  "True",  "TRUE",
                                        "f", "F", "false", "False", "FALSE"};
    for (size_t i = 0; i < 10; i++) {
        if (strcmp(s, names[i]) == 0) {
            f->type = LP_BOOL;
            f->b = i < 5;
            return 1;
        }
    }
    return 0;
}

static int value(struct reader *r, struct lp_field *f)
{
    if (at(r) == '"') {
        f->type = LP_STRING;
        return string(r, &f->s);
    }
    char text[512];
    size_t n = 0;
    for (; at(r) > ' ' && at(r) != ','; r->p++) {
        if (n == sizeof(text) - 1)
            return fail(r, "number too long");
        text[n++] = *r->p;
    }
    text[n] = '\0';
    if (n == 0)
        return fail(r, "no value");
    if (bool_value(text, f))
        return 0;
    if (n > 1 && (text[n - 1] == 'i' || text[n - 1] == 'u'))
        return whole_value(r, text, n, f);
    return float_value(r, text, f);
}

static int read_tags(struct reader *r, struct lp_point *pt)
{
    while (at(r) == ',') {
        r->p++;
        pt->tags = grow(pt->tags, pt->n_tags + 1, sizeof(*pt->tags));
        struct lp_tag *t = &pt->tags[pt->n_tags++];
        *t = (struct lp_tag){0};
        if (name(r, "=, \n\r", ",= ", &t->key) < 0)
            return -1;
        if (at(r) != '=')
            return fail(r, "expected = after the tag's key");
        r->p++;
        if (name(r, "=, \n\r", ",= ", &t->value) < 0)
            return -1;
        for (size_t i = 0; i + 1 < pt->n_tags; i++)
            if (pt->tags[i].key.n == t->key.n && !memcmp(pt->tags[i].key.p, t->key.p, t->key.n))
                return fail(r, "tag given twice");
    }
    return 0;
}

static int read_fields(struct reader *r, struct lp_point *pt)
{
    do {
        r->p += pt->n_fields > 0; /* the comma */
        pt->fields = grow(pt->fields, pt->n_fields + 1, sizeof(*pt->fields));
        struct lp_field *f = &pt->fields[pt->n_fields++];
        *f = (struct lp_field){0};
        if (name(r, "=, \n\r", ",= ", &f->key) < 0)
            return -1;
        if (at(r) != '=')
            return fail(r, "expected = after the field's key");
        r->p++;
        if (value(r, f) < 0)
            return -1;
    } while (at(r) == ',');
    return 0;
}

static int read_time(struct reader *r, struct lp_point *pt)
{
    char text[32];
    size_t n = 0;
    for (; at(r) > ' ' && n < sizeof(text) - 1; r->p++)
        text[n++] = *r->p;
    text[n] = '\0';
    if (n == 0)
        return 0;
    const char *c = text + (*text == '-');
    if (digits(&c) == 0 || *c)
        return fail(r, "timestamp is no integer");
    errno = 0;
    pt->time = strtoll(text, NULL, 10);
    pt->has_time = true;
    return errno ? fail(r, "timestamp out of range") : 0;
}

static size_t spaces(struct reader *r)
{
    size_t n = 0;
    for (; at(r) == ' '; r->p++)
        n++;
    return n;
}

static int end_of_line(struct reader *r)
{
    while (at(r) == '\r')
        r->p++;
    if (at(r) >= 0 && at(r) != '\n')
        return fail(r, "bytes after the point");
    r->p += at(r) == '\n';
    return 0;
}

static int read_point(struct reader *r, struct lp_point *pt)
{
    if (name(r, ", \n\r", ", ", &pt->measurement) < 0 || read_tags(r, pt) < 0)
        return -1;
    if (spaces(r) == 0)
        return fail(r, "expected a space before the fields");
    if (read_fields(r, pt) < 0)
        return -1;
    if (spaces(r) > 0 && read_time(r, pt) < 0)
        return -1;
    spaces(r);
    return end_of_line(r);
}

static int skip_comment(struct reader *r)
{
    for (; at(r) >= 0 && at(r) != '\n'; r->p++)
        if (control(at(r)) && at(r) != '\r')
            return fail(r, "control character in a comment");
    return 0;
}

int lp_decode(const char **p, const char *end, struct lp_point *out, const char **why)
{
    struct reader r = {.p = *p, .end = end};
    for (;;) {
        spaces(&r);
        if (at(&r) == '#' && skip_comment(&r) < 0) {
            *why = r.why;
            return -1;
        }
        while (at(&r) == '\r')
            r.p++;
        if (at(&r) < 0) {
            *p = r.p;
            return 0;
        }
        if (at(&r) != '\n')
            break;
        r.p++;
    }
    struct lp_point pt = {0};
    if (read_point(&r, &pt) < 0) {
        *why = r.why;
        lp_point_done(&pt);
        return -1;
    }
    *p = r.p;
    *out = pt;
    return 1;
}

void lp_point_done(struct lp_point *pt)
{
    free(pt->measurement.p);
    for (size_t i = 0; i < pt->n_tags; i++) {
        free(pt->tags[i].key.p);
        free(pt->tags[i].value.p);
    }
    for (size_t i = 0; i < pt->n_fields; i++) {
        free(pt->fields[i].key.p);
        free(pt->fields[i].s.p);
    }
    free(pt->tags);
    free(pt->fields);
    *pt = (struct lp_point){0};
}
