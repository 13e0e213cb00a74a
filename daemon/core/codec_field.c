/* SPDX-License-Identifier: Apache-2.0 */
/* Reads fields: what struct, tlv and modbus are made of. */
#include "base/num.h"
#include "core/codec_plan_private.h"

#include <math.h>
#include <stdlib.h>

/* Whole numbers up to here are exact doubles, and the quotient of two such is rounded once:
 * 219 ÷ 10 is the double that "21.9" reads as. */
#define EXACT (INT64_C(1) << 53)

int codec_scale_int(const struct codec_scale *s, int64_t v, int64_t *out_i, double *out_f)
{
    int64_t t;
    if (s->exact && !__builtin_mul_overflow(v, s->a, &t) &&
        !__builtin_add_overflow(t, s->b, &t)) {
        if (s->d == 1) {
            *out_i = t;
            return 1;
        }
        if (t >= -EXACT && t <= EXACT && s->d <= EXACT) {
            *out_f = (double)t / (double)s->d;
            return 0;
        }
    }
    *out_f = codec_scale_double(s, (double)v);
    return 0;
}

double codec_scale_double(const struct codec_scale *s, double v)
{
    return v * s->scale / s->divide + s->offset;
}

int codec_put_const(struct doc *d, const struct codec_const *v)
{
    switch (v->type) {
    case JSON_BOOL:
        return doc_bool(d, v->b);
    case JSON_INT:
        return doc_int(d, v->i);
    case JSON_DOUBLE:
        return doc_double(d, v->f);
    case JSON_STRING:
        return doc_text(d, v->s.p, v->s.n);
    case JSON_NULL:
    case JSON_UINT:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return doc_null(d);
}

const struct codec_const *codec_map_int(const struct codec_map *m, int64_t v)
{
    size_t lo = 0, hi = m->n_ints;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->entries[mid].key < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < m->n_ints && m->entries[lo].key == v)
        return &m->entries[lo].to;
    return m->has_other ? &m->other : NULL;
}

const struct codec_const *codec_map_text(const struct codec_map *m, const char *p, size_t n)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct codec_map_entry *e = &m->entries[i];
        if (e->text.n == n && memcmp(e->text.p, p, n) == 0)
            return &e->to;
    }
    return m->has_other ? &m->other : NULL;
}

/* ---- one value ---- */

static int put_int(struct codec_cursor *c, const struct codec_map *m,
                   const struct codec_scale *s, int64_t v)
{
    const struct codec_const *to = m ? codec_map_int(m, v) : NULL;
    int64_t i;
    double f;
    if (!c->d)
        return 0;
    if (to)
        return codec_put_const(c->d, to);
    if (!s)
        return doc_int(c->d, v);
    return codec_scale_int(s, v, &i, &f) ? doc_int(c->d, i) : doc_double(c->d, f);
}

static int put_uint(struct codec_cursor *c, const struct codec_field *f, uint64_t v)
{
    if (v <= INT64_MAX)
        return put_int(c, f->map, f->scale, (int64_t)v);
    if (!c->d)
        return 0;
    if (f->map && f->map->has_other)
        return codec_put_const(c->d, &f->map->other);
    return f->scale ? doc_double(c->d, codec_scale_double(f->scale, (double)v))
                    : doc_uint(c->d, v);
}

static uint64_t load(const unsigned char *p, unsigned width, enum codec_order order)
{
    uint64_t v = 0;
    switch (order) {
    case ORDER_LE:
        if (width == 1)
            return p[0];
        if (width == 2)
            return (uint64_t)p[1] << 8 | p[0];
        for (unsigned i = width; i-- > 0;)
            v = v << 8 | p[i];
        return v;
    case ORDER_BE:
        if (width == 1)
            return p[0];
        for (unsigned i = 0; i < width; i++)
            v = v << 8 | p[i];
        return v;
    case ORDER_CDAB:
        return (uint64_t)p[2] << 24 | (uint64_t)p[3] << 16 | (uint64_t)p[0] << 8 | p[1];
    case ORDER_BADC:
        return (uint64_t)p[1] << 24 | (uint64_t)p[0] << 16 | (uint64_t)p[3] << 8 | p[2];
    }
    return v;
}

static double load_float(uint64_t bits, unsigned width)
{
    if (width == 8) {
        double d;
        memcpy(&d, &bits, sizeof(d));
        return d;
    }
    if (width == 4) {
        uint32_t b = (uint32_t)bits;
        float f;
        memcpy(&f, &b, sizeof(f));
        return num_of_float(f);
    }
    unsigned exponent = (unsigned)(bits >> 10) & 31, mantissa = (unsigned)bits & 1023;
    double d = exponent == 31  ? (mantissa ? (double)NAN : (double)INFINITY)
               : exponent == 0 ? ldexp(mantissa, -24)
                               : ldexp(1024 + mantissa, (int)exponent - 25);
    return bits & 0x8000 ? -d : d;
}

/* Digits of n bytes into out, fillers (0xF) at both ends left out; their number, or -1. */
static int bcd_digits(const struct codec_field *f, const unsigned char *p, size_t n, char *out)
{
    size_t made = 0;
    bool ended = false;
    for (size_t i = 0; i < 2 * n; i++) {
        size_t at = f->order == ORDER_LE ? n - 1 - i / 2 : i / 2;
        unsigned nibble = (i & 1) != f->swap ? p[at] & 15u : p[at] >> 4;
        if (f->digits && i == f->digits)
            break;
        if (nibble == 15) {
            ended = made > 0;
            continue;
        }
        if (nibble > 9 || ended)
            return -1;
        out[made++] = (char)('0' + nibble);
    }
    return (int)made;
}

static int put_bcd(struct codec_cursor *c, const struct codec_field *f, const unsigned char *p,
                   size_t n, int64_t *out_raw)
{
    char *digits = buf_room((buf_clear(&c->x->text), &c->x->text), 2 * n);
    if (!digits)
        return -E2BIG;
    int made = bcd_digits(f, p, n, digits);
    if (made < 0)
        return codec_refuse(c->f, f->mismatch, c->base + (size_t)(p - c->p));
    int64_t v = 0;
    for (int i = 0; i < made && f->form == FORM_BCDNUM; i++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digits[i] - '0', &v))
            return codec_refuse(c->f, f->mismatch, c->base + (size_t)(p - c->p));
    }
    *out_raw = v;
    if (!c->d)
        return 0;
    if (made == 0) /* all fillers: nothing was measured */
        return doc_null(c->d);
    if (f->form == FORM_BCDNUM)
        return put_int(c, f->map, f->scale, v);
    const struct codec_const *to = f->map ? codec_map_text(f->map, digits, (size_t)made) : NULL;
    return to ? codec_put_const(c->d, to) : doc_text(c->d, digits, (size_t)made);
}

static bool is_one_of_texts(const struct codec_field *f, const char *p, size_t n)
{
    for (size_t i = 0; i < f->n_is_text; i++) {
        if (f->is_text[i].n == n && memcmp(f->is_text[i].p, p, n) == 0)
            return true;
    }
    return f->n_is_text == 0;
}

/* Text ends at its first NUL: what follows is padding; blanks at its end, too. */
static int put_text(struct codec_cursor *c, const struct codec_field *f, const unsigned char *b,
                    size_t n)
{
    const char *p = (const char *)b;
    const char *nul = n ? memchr(p, 0, n) : NULL;
    if (nul)
        n = (size_t)(nul - p);
    while (n && p[n - 1] == ' ')
        n--;
    if (!is_one_of_texts(f, p, n))
        return codec_refuse(c->f, f->mismatch, c->base + (size_t)(b - c->p));
    if (!c->d)
        return 0;
    const struct codec_const *to = f->map ? codec_map_text(f->map, p, n) : NULL;
    if (to)
        return codec_put_const(c->d, to);
    return f->form == FORM_GB18030 ? codec_put_gb18030(c->x, c->d, p, n)
                                   : codec_put_text(c->x, c->d, p, n);
}

/* ---- fields ---- */

static int put_name(struct codec_cursor *c, struct codec_span name, bool templated)
{
    char text[160];
    size_t n = 0;
    if (!templated)
        return doc_key(c->d, name.p, name.n);
    for (size_t i = 0; i < name.n && n < sizeof(text) - 4; i++) {
        if (name.n - i >= 3 && name.p[i] == '{' && name.p[i + 2] == '}') {
            unsigned v = c->key[name.p[i + 1] - '0']; /* 0 or 1: checked when compiled */
            if (v >= 100)
                text[n++] = (char)('0' + v / 100);
            if (v >= 10)
                text[n++] = (char)('0' + v / 10 % 10);
            text[n++] = (char)('0' + v % 10);
            i += 2;
        } else {
            text[n++] = name.p[i];
        }
    }
    return doc_key(c->d, text, n);
}

static int key_of(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    return c->d && keyed && f->name.n ? put_name(c, f->name, f->templated) : 0;
}

static bool work(struct codec_cursor *c, size_t n)
{
    if (*c->work < n) {
        c->f->why = "its fields take more work than its length allows";
        return false;
    }
    *c->work -= n;
    return true;
}

/* How many bytes the field takes; refuses when there are fewer. */
static int size_of(struct codec_cursor *c, const struct codec_field *f, size_t *out)
{
    int64_t left = (int64_t)(c->n - c->at), n = 0;
    switch (f->size.kind) {
    case AMOUNT_NONE:
        n = f->width;
        break;
    case AMOUNT_FIXED:
        n = f->size.n;
        break;
    case AMOUNT_SLOT:
        n = c->slots[*f->size.slot];
        break;
    case AMOUNT_REST:
        n = left - f->size.n;
        break;
    case AMOUNT_UNTIL: {
        const unsigned char *p =
            left ? memchr(c->p + c->at, (int)f->size.n, (size_t)left) : NULL;
        n = p ? p - (c->p + c->at) : left + 1;
        break;
    }
    }
    if (n < 0 || n > left)
        return codec_refuse(c->f, f->short_of, c->base + c->n);
    *out = (size_t)n;
    return 0;
}

static int check_sum(struct codec_cursor *c, const struct codec_field *f, uint64_t v, size_t at)
{
    size_t from, to;
    if (!codec_resolve(f->check->over, c->n, at, &from, &to))
        return codec_refuse(c->f, f->short_of, c->base + c->n);
    if (!work(c, to - from))
        return -E2BIG;
    uint64_t made = f->check->sum->of(f->check->sum, c->p + from, to - from);
    if (made != v)
        return codec_refuse_sum_of(c->f, f->mismatch, c->base + at, f->check->sum, v, made,
                                   c->base + from, c->base + to);
    return 0;
}

static int put_bits(struct codec_cursor *c, const struct codec_field *f, uint64_t v)
{
    int r = 0;
    for (size_t i = 0; i < f->n_bits && r == 0; i++) {
        const struct codec_bits *b = &f->bits[i];
        uint64_t part = v >> b->lo;
        if (b->hi - b->lo < 63)
            part &= (UINT64_C(1) << (b->hi - b->lo + 1)) - 1;
        if (b->slot >= 0)
            c->slots[b->slot] = (int64_t)part;
        if (!c->d)
            continue;
        r = put_name(c, b->name, f->templated);
        if (r == 0)
            r = b->one && !b->map && !b->scale ? doc_bool(c->d, part != 0)
                                               : put_int(c, b->map, b->scale, (int64_t)part);
    }
    return r;
}

static bool is_one_of(const struct codec_field *f, int64_t v)
{
    for (size_t i = 0; i < f->n_is; i++) {
        if (f->is[i] == v)
            return true;
    }
    return f->n_is == 0;
}

static int run_number(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    size_t at = c->at, width;
    int r = size_of(c, f, &width);
    if (r < 0)
        return r;
    if (width < 1 || width > 8)
        return codec_refuse(c->f, f->short_of, c->base + at);
    uint64_t v = load(c->p + at, (unsigned)width, f->order);
    if (f->form == FORM_INT && width < 8 && v >> (8 * width - 1))
        v |= ~UINT64_C(0) << (8 * width);
    c->at += width;
    if (f->slot >= 0)
        c->slots[f->slot] = (int64_t)v;
    if (!is_one_of(f, (int64_t)v))
        return codec_refuse(c->f, f->mismatch, c->base + at);
    if (f->check && (r = check_sum(c, f, v, at)) < 0)
        return r;
    if (f->name.n && ((r = key_of(c, f, keyed)) < 0))
        return r;
    if (f->name.n || !keyed)
        r = f->form == FORM_INT ? put_int(c, f->map, f->scale, (int64_t)v) : put_uint(c, f, v);
    return r < 0 || !f->n_bits ? r : put_bits(c, f, v);
}

static int run_float(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    if (c->n - c->at < f->width)
        return codec_refuse(c->f, f->short_of, c->base + c->n);
    double v = load_float(load(c->p + c->at, f->width, f->order), f->width);
    c->at += f->width;
    if (f->scale)
        v = codec_scale_double(f->scale, v);
    if (!c->d)
        return 0;
    int r = key_of(c, f, keyed);
    return r < 0 ? r : doc_double(c->d, v);
}

static int run_bytes(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    size_t n;
    int64_t raw = 0;
    const unsigned char *p = c->p + c->at;
    int r = size_of(c, f, &n);
    if (r < 0)
        return r;
    c->at += n;
    if (f->size.kind == AMOUNT_UNTIL)
        c->at++;
    if (!work(c, n))
        return -E2BIG;
    if (f->form == FORM_SKIP)
        return 0;
    if ((r = key_of(c, f, keyed)) < 0)
        return r;
    if (f->form == FORM_BCD || f->form == FORM_BCDNUM) {
        r = put_bcd(c, f, p, n, &raw);
        if (f->slot >= 0)
            c->slots[f->slot] = raw;
        return r;
    }
    if (f->form == FORM_TEXT || f->form == FORM_GB18030)
        return put_text(c, f, p, n);
    if (!c->d)
        return 0;
    return f->form == FORM_HEX ? codec_put_hex(c->x, c->d, (const char *)p, n)
                               : doc_bool(c->d, *p != 0);
}

/* ---- fields within fields ---- */

static int run_one_group(struct codec_cursor *c, const struct codec_field *f, bool braces)
{
    int r = 0;
    if (c->d && braces && (r = doc_object(c->d)) < 0)
        return r;
    r = codec_fields_run(c, &f->inner);
    return r == 0 && c->d && braces ? doc_end(c->d) : r;
}

static int run_repeat(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    const struct codec_amount *times = &f->repeat;
    size_t left = c->n - c->at;
    int64_t n = times->kind == AMOUNT_FIXED  ? times->n
                : times->kind == AMOUNT_SLOT ? c->slots[*times->slot]
                                             : INT64_MAX;
    int r;
    if (times->kind != AMOUNT_REST && (n < 0 || n > CODEC_MAX_TIMES || (size_t)n > left))
        return codec_refuse(c->f, f->short_of, c->base + c->at);
    if ((r = key_of(c, f, keyed)) < 0 || (c->d && (r = doc_array(c->d)) < 0))
        return r;
    for (int64_t i = 0; i < n; i++) {
        size_t before = c->at;
        if (times->kind == AMOUNT_REST && (int64_t)(c->n - c->at) <= times->n)
            break;
        if (i == CODEC_MAX_TIMES)
            return codec_refuse(c->f, "a group is repeated too often", c->base + c->at);
        if ((r = run_one_group(c, f, true)) < 0)
            return r;
        if (times->kind == AMOUNT_REST && c->at == before)
            return codec_refuse(c->f, "a repeated group takes no bytes", c->base + c->at);
    }
    return c->d ? doc_end(c->d) : 0;
}

static int run_group(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    int r;
    if (f->repeat.kind != AMOUNT_NONE)
        return run_repeat(c, f, keyed);
    if ((r = key_of(c, f, keyed)) < 0)
        return r;
    return run_one_group(c, f, f->name.n || !keyed);
}

static int run_switch(struct codec_cursor *c, const struct codec_field *f)
{
    int64_t v = c->slots[*f->on];
    for (size_t i = 0; i < f->n_cases; i++) {
        if (f->cases[i].value == v)
            return codec_fields_run(c, &f->cases[i].layout);
    }
    if (f->has_default)
        return codec_fields_run(c, &f->inner);
    return codec_refuse(c->f, f->mismatch, c->base + c->at);
}

static int run_decode(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    const struct codec_op *op = f->chain->ops[0];
    struct codec_span in = {(const char *)c->p + c->at, 0};
    size_t base = c->base + c->at;
    int r = size_of(c, f, &in.n);
    if (r < 0)
        return r;
    if (!work(c, in.n + 64))
        return -E2BIG;
    c->at += in.n;
    if (!c->d)
        return 0;
    if ((r = key_of(c, f, keyed)) < 0)
        return r;
    r = f->name.n || !keyed ? op->to_value(op, c->x, in, c->d, c->f)
                            : op->to_members(op, c->x, in, c->d, c->f);
    if (r < 0 && c->f->at != SIZE_MAX)
        c->f->at += base;
    return r;
}

static int run_form(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    switch (f->form) {
    case FORM_UINT:
    case FORM_INT:
        return run_number(c, f, keyed);
    case FORM_FLOAT:
        return run_float(c, f, keyed);
    case FORM_BOOL:
    case FORM_BCD:
    case FORM_BCDNUM:
    case FORM_HEX:
    case FORM_TEXT:
    case FORM_GB18030:
    case FORM_SKIP:
        return run_bytes(c, f, keyed);
    case FORM_GROUP:
        return run_group(c, f, keyed);
    case FORM_SWITCH:
        return run_switch(c, f);
    case FORM_DECODE:
        break;
    }
    return run_decode(c, f, keyed);
}

/* Apart, so that only scaled ones pay for the room that the results need. */
static int put_scaled(struct doc *d, const struct codec_field *f, int64_t v)
{
    int64_t i;
    double x;
    return codec_scale_int(f->scale, v, &i, &x) ? doc_key_int(d, f->name.p, f->name.n, i)
                                                : doc_key_double(d, f->name.p, f->name.n, x);
}

/* The same as run_number, without questions whose answers are known. */
static int run_plain(struct codec_cursor *c, const struct codec_field *f)
{
    unsigned bits = 8 * f->width;
    if (c->n - c->at < f->width)
        return codec_refuse(c->f, f->short_of, c->base + c->n);
    int64_t v = (int64_t)load(c->p + c->at, f->width, f->order);
    if (f->form == FORM_INT && v >> (bits - 1))
        v -= INT64_C(1) << bits;
    c->at += f->width;
    return f->scale ? put_scaled(c->d, f, v) : doc_key_int(c->d, f->name.p, f->name.n, v);
}

int codec_field_run(struct codec_cursor *c, const struct codec_field *f, bool keyed)
{
    size_t back = c->at;
    if (!work(c, 1))
        return -E2BIG;
    if (f->plain && keyed && c->d && f->slot < 0 && !f->templated)
        return run_plain(c, f);
    if (!f->has_at)
        return run_form(c, f, keyed);
    size_t from, to;
    if (!codec_resolve((struct codec_range){f->at, CODEC_END}, c->n, 0, &from, &to))
        return codec_refuse(c->f, f->short_of, c->base + c->n);
    c->at = from;
    int r = run_form(c, f, keyed);
    c->most = c->at > c->most ? c->at : c->most;
    c->at = back;
    return r;
}

int codec_fields_run(struct codec_cursor *c, const struct codec_layout *l)
{
    int r = 0;
    for (size_t i = 0; i < l->n && r == 0; i++)
        r = codec_field_run(c, &l->fields[i], true);
    return r;
}

/* ---- struct ---- */

static int struct_members(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                          struct doc *d, struct codec_fault *f)
{
    const struct codec_struct *s = op->arg;
    size_t left = codec_work(in.n);
    struct codec_cursor c;
    codec_begin(&c, in, 0, s->n_slots);
    c.x = x;
    c.d = d;
    c.f = f;
    c.work = &left;
    int r = codec_fields_run(&c, &s->layout);
    if (r == 0 && c.at < c.n && !s->rest)
        r = codec_refuse(f, "bytes are left over after the last field", c.at);
    return r;
}

static int struct_value(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                        struct doc *d, struct codec_fault *f)
{
    int r = doc_object(d);
    if (r == 0)
        r = struct_members(op, x, in, d, f);
    return r == 0 ? doc_end(d) : r;
}

static bool struct_gives(const struct codec_op *op, const struct codec_look *l, size_t at)
{
    return codec_look_fields(l, &((const struct codec_struct *)op->arg)->layout, at);
}

bool codec_parse_struct(struct codec_parse *c, const struct yaml_node *n,
                        const struct yaml_node *map, struct codec_op *op)
{
    static const char *const words[] = {"refuse", "allow"};
    const struct yaml_node *list = NULL, *rest = NULL;
    struct codec_struct *s = codec_take(c, sizeof(*s));
    const struct codec_key keys[] = {{"struct", &list}, {"rest", &rest}};
    op->to_value = struct_value;
    op->to_members = struct_members;
    op->gives = struct_gives;
    op->arg = s;
    bool good = codec_read_map(c, map, keys, 2, "a struct");
    int choice = rest ? codec_read_choice(c, rest, "rest", words, 2) : 0;
    s->rest = choice == 1;
    good = codec_parse_layout(c, n, NULL, &s->layout) && good && choice >= 0;
    s->n_slots = c->n_slots;
    return good;
}
