/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles what turns a raw number into a value: scales and maps. */
#include "base/num.h"
#include "core/codec_plan_private.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_MAP = 1024, MAX_DIGITS = 17 };

/* ---- scales ---- */

struct decimal { /* m × 10^e */
    int64_t m;
    int e;
    double value;
};

static bool decimal_of(const char *s, struct decimal *out)
{
    struct decimal d = {.m = 0};
    const char *p = s;
    int digits = 0, sign = 1;
    bool point = false;
    if (num_get_double(s, strlen(s), &d.value) < 0)
        return false;
    if (*p == '-') {
        sign = -1;
        p++;
    }
    for (; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        d.m = d.m * 10 + (*p - '0');
        d.e -= point;
        if (d.m && ++digits > MAX_DIGITS)
            return false;
    }
    if (*p) { /* an exponent */
        int64_t e;
        p += p[1] == '+' ? 2 : 1;
        if (num_get_i64(p, strlen(p), &e) < 0 || e < -18 || e > 18)
            return false;
        d.e += (int)e;
    }
    d.m *= sign;
    *out = d;
    return true;
}

static bool read_decimal(struct codec_parse *c, const struct yaml_node *n, const char *what,
                         struct decimal *out)
{
    const char *s;
    if (!n)
        return true;
    if (!(s = codec_read_word(c, n, what)))
        return false;
    if (decimal_of(s, out))
        return true;
    conf_error(c->notes, AT(n), "%s: \"%.64s\" is no decimal number of at most %d digits", what,
               s, MAX_DIGITS);
    return false;
}

static bool times_ten(int64_t *v, int e)
{
    for (; e > 0; e--) {
        if (__builtin_mul_overflow(*v, 10, v))
            return false;
    }
    return true;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* v × S ÷ D + O with S, D and O decimals, over the common denominator. */
static bool make_exact(struct decimal scale, struct decimal divide, struct decimal offset,
                       struct codec_scale *s)
{
    int se = scale.e - divide.e, k = least(least(se, offset.e), 0);
    if (offset.m == 0)
        k = least(se, 0);
    s->a = scale.m;
    s->d = divide.m;
    if (!times_ten(&s->a, se - k) || !times_ten(&s->d, -k))
        return false;
    s->b = 0;
    if (offset.m) {
        if (__builtin_mul_overflow(offset.m, divide.m, &s->b) ||
            !times_ten(&s->b, offset.e - k))
            return false;
    }
    if (s->d < 0) {
        s->a = -s->a;
        s->b = -s->b;
        s->d = -s->d;
    }
    return true;
}

bool codec_parse_scale(struct codec_parse *c, const struct yaml_node *scale,
                       const struct yaml_node *divide, const struct yaml_node *offset,
                       const struct codec_scale **out)
{
    struct decimal sc = {1, 0, 1}, di = {1, 0, 1}, of = {0, 0, 0};
    if (!scale && !divide && !offset)
        return true;
    if (!read_decimal(c, scale, "scale", &sc) || !read_decimal(c, divide, "divide", &di) ||
        !read_decimal(c, offset, "offset", &of))
        return false;
    if (di.m == 0 || sc.m == 0) {
        conf_error(c->notes, AT(di.m == 0 ? divide : scale), "expected a number other than 0");
        return false;
    }
    struct codec_scale *s = codec_take(c, sizeof(*s));
    s->exact = make_exact(sc, di, of, s);
    s->scale = sc.value;
    s->divide = di.value;
    s->offset = of.value;
    *out = s;
    return true;
}

/* ---- maps ---- */

static bool read_const(struct codec_parse *c, const struct yaml_node *n,
                       struct codec_const *out)
{
    if (n->kind != YAML_SCALAR) {
        if (n->kind != YAML_BAD)
            conf_error(c->notes, AT(n), "expected a text, a number, true, false or null");
        return false;
    }
    if (yaml_is_null(n)) {
        out->type = JSON_NULL;
    } else if (n->plain && (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)) {
        out->type = JSON_BOOL;
        out->b = n->text[0] == 't';
    } else if (n->plain && codec_int_text(n->text, &out->i)) {
        out->type = JSON_INT;
    } else if (n->plain && num_get_double(n->text, strlen(n->text), &out->f) == 0) {
        out->type = JSON_DOUBLE;
    } else {
        out->type = JSON_STRING;
        out->s = (struct codec_span){codec_take_text(c, n->text), strlen(n->text)};
    }
    return true;
}

static int by_key(const void *pa, const void *pb)
{
    const struct codec_map_entry *a = pa, *b = pb;
    if (a->is_int != b->is_int)
        return a->is_int ? -1 : 1;
    if (!a->is_int)
        return strcmp(a->text.p, b->text.p);
    return a->key < b->key ? -1 : a->key > b->key;
}

bool codec_parse_map(struct codec_parse *c, const struct yaml_node *map,
                     const struct yaml_node *other, const struct codec_map **out)
{
    bool good = true;
    if (!map && !other)
        return true;
    if (!map || map->kind != YAML_MAP || codec_count(map) > MAX_MAP) {
        const struct yaml_node *n = map ? map : other;
        if (n->kind != YAML_BAD)
            conf_error(c->notes, AT(n),
                       map ? "map: expected a mapping of raw values to values"
                           : "default: only with map, or of a switch");
        return false;
    }
    struct codec_map *m = codec_take(c, sizeof(*m));
    m->entries = codec_take(c, (codec_count(map) + 1) * sizeof(*m->entries));
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        struct codec_map_entry *e = &m->entries[m->n++];
        e->is_int = v->key->plain && codec_int_text(v->key->text, &e->key);
        e->text = (struct codec_span){codec_take_text(c, v->key->text), strlen(v->key->text)};
        m->n_ints += e->is_int;
        good = read_const(c, v, &e->to) && good;
    }
    qsort(m->entries, m->n, sizeof(*m->entries), by_key);
    for (size_t i = 1; i < m->n; i++) {
        if (by_key(&m->entries[i - 1], &m->entries[i]) == 0) {
            conf_error(c->notes, AT(map), "map: %s is there twice", m->entries[i].text.p);
            good = false;
        }
    }
    m->has_other = other != NULL;
    if (other && !read_const(c, other, &m->other))
        return false;
    *out = m;
    return good;
}
