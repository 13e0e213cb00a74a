/* SPDX-License-Identifier: Apache-2.0 */
/* The input is cut into names and values of one point. Whatever they hold, the line is one
 * line, valid UTF-8, and reads back with as many fields as were not refused, the same numbers,
 * and text that encodes to the same bytes again (cleaning is idempotent). */
#include "base/check.h"
#include "base/utf8.h"
#include "core/lineproto.h"
#include "lp_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p, *end;
};

static unsigned take(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

/* Up to 63 bytes, NUL-terminated besides. */
static size_t take_text(struct input *in, char *out)
{
    size_t n = take(in) % 64;
    if (n > (size_t)(in->end - in->p))
        n = (size_t)(in->end - in->p);
    if (n)
        memcpy(out, in->p, n);
    out[n] = '\0';
    in->p += n;
    return n;
}

static void take_value(struct input *in, struct value *v, char *text)
{
    v->type = (enum value_type)(take(in) % 4);
    if (v->type == VALUE_STRING) {
        v->s.p = text;
        v->s.n = take_text(in, text);
        return;
    }
    if (v->type == VALUE_BOOL) {
        v->b = take(in) & 1;
        return;
    }
    v->i = 0;
    for (int i = 0; i < 8; i++)
        v->i = (int64_t)((uint64_t)v->i << 8 | take(in)); /* or the bits of the double */
}

static struct value value_of(const struct lp_field *f)
{
    struct value v = {.type = VALUE_STRING, .s = {f->s.p, f->s.n}};
    if (f->type == LP_FLOAT)
        v = (struct value){.type = VALUE_FLOAT, .f = f->f};
    else if (f->type == LP_INT)
        v = (struct value){.type = VALUE_INT, .i = f->i};
    else if (f->type == LP_BOOL)
        v = (struct value){.type = VALUE_BOOL, .b = f->b};
    return v;
}

/* What was read back, encoded again, is the same line. */
static void check_again(const struct lp_point *pt, const struct buf *line, int64_t time_ms)
{
    struct lineproto_tag tags[MAX];
    struct field fields[MAX];
    struct lineproto_refused refused = {0};
    struct buf series, again;
    ASSERT(pt->n_tags <= MAX && pt->n_fields <= MAX);
    for (size_t i = 0; i < pt->n_tags; i++)
        tags[i] = (struct lineproto_tag){pt->tags[i].key.p, pt->tags[i].value.p};
    for (size_t i = 0; i < pt->n_fields; i++)
        fields[i] = (struct field){.key = pt->fields[i].key.p,
                                   .key_len = pt->fields[i].key.n,
                                   .v = value_of(&pt->fields[i])};
    buf_init(&series, 1 << 16);
    buf_init(&again, 1 << 16);
    ASSERT(lineproto_put_series(&series, pt->measurement.p, tags, pt->n_tags) == 0);
    struct point p = {.series = series.data,
                      .series_len = series.len,
                      .time_ms = time_ms,
                      .fields = fields,
                      .n_fields = pt->n_fields};
    ASSERT(lineproto_put(&again, LINEPROTO_INFLUX, &p, &refused) == 0);
    ASSERT(again.len == line->len && memcmp(again.data, line->data, line->len) == 0);
    buf_done(&series);
    buf_done(&again);
}

static void check_line(const struct buf *b, const struct point *p, uint64_t n_fields)
{
    const char *at = b->data, *why;
    struct lp_point pt;
    ASSERT(utf8_valid(b->data, b->len));
    ASSERT(memchr(b->data, '\n', b->len) == b->data + b->len - 1);
    for (size_t i = 0; i + 1 < b->len; i++)
        ASSERT((unsigned char)b->data[i] >= 0x20 && b->data[i] != 0x7f);
    ASSERT(lp_decode(&at, b->data + b->len, &pt, &why) == 1 && at == b->data + b->len);
    ASSERT(pt.n_fields == n_fields && pt.has_time && pt.time == p->time_ms * 1000000);
    check_again(&pt, b, p->time_ms);
    lp_point_done(&pt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    char name[64], keys[MAX][64], values[MAX][64], fkeys[MAX][64], texts[MAX][64];
    struct lineproto_tag tags[MAX];
    struct field fields[MAX] = {0};
    struct buf series, b;
    unsigned n_tags = take(&in) % MAX, n_fields = take(&in) % (MAX + 1);
    int64_t time_ms = (int64_t)take(&in) << 32 | take(&in) << 8 | take(&in);
    take_text(&in, name);
    for (unsigned i = 0; i < n_tags; i++) {
        take_text(&in, keys[i]);
        take_text(&in, values[i]);
        tags[i] = (struct lineproto_tag){keys[i], values[i]};
    }
    for (unsigned i = 0; i < n_fields; i++) {
        fields[i].key = fkeys[i];
        fields[i].key_len = take_text(&in, fkeys[i]);
        take_value(&in, &fields[i].v, texts[i]);
        fields[i].has_code = take(&in) & 1;
    }
    buf_init(&series, 1 << 16);
    buf_init(&b, 1 << 16);
    if (lineproto_put_series(&series, name, tags, n_tags) == 0) {
        struct lineproto_refused r = {0};
        struct point p = {.series = series.data,
                          .series_len = series.len,
                          .time_ms = time_ms,
                          .fields = fields,
                          .n_fields = n_fields};
        int rc = lineproto_put(&b, LINEPROTO_INFLUX, &p, &r);
        uint64_t left = n_fields - r.bad_key - r.duplicate - r.not_finite;
        ASSERT(rc == 0 ? left > 0 : rc == -ENODATA && left == 0 && b.len == 0);
        ASSERT(r.string == 0 && r.too_long == 0);
        if (rc == 0)
            check_line(&b, &p, left);
        buf_clear(&b);
        rc = lineproto_put(&b, LINEPROTO_NUMBERS, &p, &r);
        ASSERT(rc == 0 ? !memchr(b.data + series.len, '"', b.len - series.len) : b.len == 0);
    }
    buf_done(&series);
    buf_done(&b);
    return 0;
}
