/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values compared and numbers read with goodwill.
 */
#include "base/num.h"
#include "core/profile_private.h"

#include <math.h>
#include <string.h>

bool text_number(const char *p, size_t n, char decimal, struct value *out)
{
    char room[64];
    size_t len = 0;
    while (n && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }
    while (n && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r' || p[n - 1] == '\n'))
        n--;
    if (n == 0 || n > 48)
        return false;
    if (*p == '+' || *p == '-') {
        if (*p == '-')
            room[len++] = '-';
        p++;
        n--;
    }
    while (n > 1 && p[0] == '0' && p[1] >= '0' && p[1] <= '9') {
        p++;
        n--;
    }
    if (n == 0 || *p == '+' || *p == '-')
        return false;
    bool whole = true;
    for (size_t i = 0; i < n; i++) {
        char c = decimal && p[i] == decimal ? '.' : p[i];
        if (c == '.' && i == 0) { /* ".5", but not "." and ".e5" */
            if (n < 2 || p[1] < '0' || p[1] > '9')
                return false;
            room[len++] = '0';
        }
        if (c == '.' && i + 1 == n)
            break; /* "5." */
        whole = whole && c >= '0' && c <= '9';
        room[len++] = c;
    }
    *out = (struct value){.type = VALUE_INT};
    if (whole && num_get_i64(room, len, &out->i) == 0)
        return true;
    out->type = VALUE_FLOAT;
    return num_get_double(room, len, &out->f) == 0;
}

static bool number_equal(const struct plan_scalar *s, const struct value *v)
{
    if (v->type == VALUE_INT && s->is_int)
        return v->i == s->integer;
    return (v->type == VALUE_INT ? (double)v->i : v->f) == s->number;
}

bool scalar_equal_text(const struct plan_scalar *s, const char *p, size_t n)
{
    struct value v;
    if (n == s->len && bytes_same(p, s->text, n))
        return s->kind != SCALAR_NULL;
    return s->kind == SCALAR_NUMBER && text_number(p, n, 0, &v) && number_equal(s, &v);
}

bool scalar_equal_value(const struct plan_scalar *s, const struct value *v)
{
    char room[NUM_MAX];
    switch (v->type) {
    case VALUE_STRING:
        return scalar_equal_text(s, v->s.p, v->s.n);
    case VALUE_BOOL:
        if (s->kind == SCALAR_BOOL)
            return s->b == v->b;
        return s->kind == SCALAR_TEXT && s->len == (v->b ? 4u : 5u) &&
               memcmp(s->text, v->b ? "true" : "false", s->len) == 0;
    case VALUE_INT:
    case VALUE_FLOAT:
        break;
    }
    if (s->kind == SCALAR_NUMBER)
        return number_equal(s, v);
    if (s->kind != SCALAR_TEXT || (v->type == VALUE_FLOAT && !isfinite(v->f)))
        return false;
    size_t n = v->type == VALUE_INT ? num_put_i64(room, v->i) : num_put_double(room, v->f);
    return n == s->len && memcmp(room, s->text, n) == 0;
}

bool scalar_equal(const struct plan_scalar *s, struct json_value j)
{
    struct value v;
    if (json_type(j) == JSON_NULL)
        return s->kind == SCALAR_NULL;
    if (json_type(j) == JSON_UINT && s->is_uint)
        return json_uint(j) == s->natural;
    return scalar_value(j, &v) && scalar_equal_value(s, &v);
}

#define EXACT 9007199254740992.0 /* whole numbers below have exact doubles, and their sums */

static bool is_whole(double v)
{
    return v == floor(v) && fabs(v) < EXACT;
}

/* The decimal that v was written as, of up to nine places: whole ÷ ten. */
static bool as_decimal(double v, double *out_whole, double *out_ten)
{
    for (double ten = 10; ten <= 1e9 && fabs(v * ten) < 1e15; ten *= 10) {
        *out_whole = nearbyint(v * ten);
        *out_ten = ten;
        if (*out_whole / ten == v)
            return true;
    }
    return false;
}

/* 0.57 is no double: times 100 it would be 56.99999999999999. Its 57 hundredths are, and all that
 * is done with whole numbers; the one division at the end is rounded as reading the result's text
 * would be. */
double linear_apply(const struct plan_linear *l, double v)
{
    double whole = 0, ten = 1;
    if (!is_whole(v) && is_whole(l->mul) && is_whole(l->add) && is_whole(l->div) &&
        as_decimal(v, &whole, &ten)) {
        double product = whole * l->mul, add = l->add * ten, by = l->div * ten;
        if (fabs(product) < EXACT && fabs(add) < EXACT && fabs(product + add) < EXACT &&
            by < EXACT)
            return (product + add) / by;
    }
    return (v * l->mul + l->add) / l->div;
}
