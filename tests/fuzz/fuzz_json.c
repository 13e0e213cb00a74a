/* SPDX-License-Identifier: Apache-2.0 */
/* Native decode: a refusal has a reason and leaves nothing; what is taken is within the
 * ceilings, made of valid UTF-8 and finite numbers, and says the same when it is written as
 * JSON again. */
#include "base/check.h"
#include "base/num.h"
#include "base/stamp.h"
#include "base/utf8.h"
#include "core/decode.h"
#include "core/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_text(struct buf *b, const char *p, size_t n)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)p[i] < 0x20)
            buf_printf(b, "\\u%04x", (unsigned)p[i]);
        else if (p[i] == '"' || p[i] == '\\')
            buf_printf(b, "\\%c", p[i]);
        else
            buf_putc(b, p[i]);
    }
    buf_putc(b, '"');
}

static void put_value(struct buf *b, const struct decoded_value *v)
{
    char text[NUM_MAX];
    if (v->is_null)
        buf_puts(b, "null");
    else if (v->v.type == VALUE_BOOL)
        buf_puts(b, v->v.b ? "true" : "false");
    else if (v->v.type == VALUE_STRING)
        put_text(b, v->v.s.p, v->v.s.n);
    else if (v->v.type == VALUE_INT)
        buf_put(b, text, num_put_i64(text, v->v.i));
    else {
        size_t n = num_put_double(text, v->v.f);
        buf_put(b, text, n);
        if (!memchr(text, '.', n) && !memchr(text, 'e', n))
            buf_puts(b, ".0"); /* stay a double */
    }
}

static void put_all(struct buf *b, const struct decoded *d)
{
    for (size_t i = 0; i < d->n_samples; i++) {
        const struct decoded_sample *s = &d->samples[i];
        char ts[STAMP_SIZE];
        buf_puts(b, i ? ",{" : "[{");
        if (s->has_time && s->time_ms >= STAMP_MIN_MS && s->time_ms <= STAMP_MAX_MS) {
            stamp_format(ts, s->time_ms, 0);
            buf_printf(b, "\"ts\":\"%s\",", ts);
        }
        for (size_t k = 0; k < s->n; k++) {
            const struct decoded_value *v = &d->values[s->first + k];
            if (k)
                buf_putc(b, ',');
            put_text(b, v->key, v->key_len);
            buf_putc(b, ':');
            put_value(b, v);
        }
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void check_taken(const struct decoded *d)
{
    size_t next = 0;
    ASSERT(d->n_samples > 0 && d->n_samples <= DECODE_MAX_SAMPLES);
    for (size_t i = 0; i < d->n_samples; i++) {
        ASSERT(d->samples[i].first == next && d->samples[i].n > 0);
        next += d->samples[i].n;
    }
    ASSERT(next == d->n_values && next <= DECODE_MAX_VALUES);
    for (size_t i = 0; i < d->n_values; i++) {
        const struct decoded_value *v = &d->values[i];
        ASSERT(utf8_valid(v->key, v->key_len));
        ASSERT(v->is_null || v->v.type != VALUE_STRING || utf8_valid(v->v.s.p, v->v.s.n));
        ASSERT(v->is_null || v->v.type != VALUE_FLOAT || isfinite(v->v.f));
    }
}

static void parse_padded(struct json *j, const char *p, size_t n, struct decoded *d, int *out_r)
{
    char *text = malloc(n + JSON_PADDING);
    if (!text)
        abort();
    memcpy(text, p, n);
    memset(text + n, '"', JSON_PADDING); /* what stands there must not matter */
    const char *why = NULL;
    *out_r = native_decode(j, text, n, d, &why);
    free(text); /* nothing may point into the message afterwards */
    ASSERT(*out_r == 0 || (why && d->n_samples == 0 && d->n_values == 0));
    ASSERT(*out_r == 0 || *out_r == -EBADMSG || *out_r == -E2BIG || *out_r == -EMSGSIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json *json;
    static struct decoded d;
    if (!json)
        json = json_new(1 << 20);
    int r;
    parse_padded(json, (const char *)data, size, &d, &r);
    if (r < 0)
        return 0;
    check_taken(&d);
    struct buf once, again;
    buf_init(&once, 64 << 20);
    buf_init(&again, 64 << 20);
    put_all(&once, &d);
    if (once.len <= 1 << 20) {
        parse_padded(json, once.data, once.len, &d, &r);
        ASSERT(r == 0);
        put_all(&again, &d);
        ASSERT(once.len == again.len && memcmp(once.data, again.data, once.len) == 0);
    }
    buf_done(&once);
    buf_done(&again);
    return 0;
}
