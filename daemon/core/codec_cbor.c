/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CBOR (RFC 8949), one item. libcbor's streaming decoder only: it allocates nothing, whereas
 * cbor_load can be made to touch gigabytes by five bytes.
 *
 * Byte strings become lower hexadecimal text, undefined and other simple values null, keys that
 * are integers their decimal text; tags are passed over. Other keys are refused.
 */
#include "base/num.h"
#include "core/codec_plan_private.h"

#include <cbor.h>

struct open_item {
    bool map, endless, wants_key;
    uint64_t left; /* values, if not endless */
};

struct reader {
    struct codec_run *x;
    struct doc *d;
    struct codec_fault *f;
    int r;
    size_t at;
    unsigned depth;
    struct open_item open[DOC_MAX_DEPTH];
    char string; /* an endless one is open: 't'ext or 'b'ytes */
    bool done;
};

static void refuse(struct reader *c, const char *why)
{
    if (c->r == 0)
        c->r = codec_refuse(c->f, why, c->at);
}

/* A value has ended, and with it perhaps what it is in. */
static void ended(struct reader *c)
{
    while (c->r == 0 && c->depth > 0) {
        struct open_item *o = &c->open[c->depth - 1];
        o->wants_key = o->map;
        if (!o->endless)
            o->left--;
        if (o->endless || o->left > 0)
            return;
        c->r = doc_end(c->d);
        c->depth--;
    }
    c->done = c->depth == 0;
}

static bool is_key(const struct reader *c)
{
    return c->depth > 0 && c->open[c->depth - 1].wants_key;
}

/* What only a value can be. False: it must not stand here. */
static bool may_begin(struct reader *c)
{
    if (c->r == 0 && c->string)
        refuse(c, "not CBOR: a string in pieces of another type");
    if (c->r == 0 && is_key(c))
        refuse(c, "a key that is neither a text nor a whole number");
    return c->r == 0;
}

static void put_text(struct reader *c, const char *p, size_t n)
{
    if (c->r < 0)
        return;
    if (is_key(c)) {
        c->r = codec_put_key(c->x, c->d, p, n);
        c->open[c->depth - 1].wants_key = false;
        return;
    }
    c->r = codec_put_text(c->x, c->d, p, n);
    ended(c);
}

static void put_bytes(struct reader *c, const char *p, size_t n)
{
    if (c->r == 0 && is_key(c))
        refuse(c, "a key that is neither a text nor a whole number");
    if (c->r < 0)
        return;
    c->r = codec_put_hex(c->x, c->d, p, n);
    ended(c);
}

static void put_uint(struct reader *c, uint64_t v, bool negative)
{
    char text[NUM_MAX];
    if (c->r == 0 && c->string)
        refuse(c, "not CBOR: a string in pieces of another type");
    if (c->r < 0)
        return;
    if (is_key(c) && v > INT64_MAX && negative) {
        refuse(c, "a key beyond 64 bits");
    } else if (is_key(c)) {
        size_t n = negative ? num_put_i64(text, -1 - (int64_t)v) : num_put_u64(text, v);
        put_text(c, text, n);
    } else {
        c->r = !negative        ? doc_uint(c->d, v)
               : v <= INT64_MAX ? doc_int(c->d, -1 - (int64_t)v)
                                : doc_double(c->d, -1.0 - (double)v);
        ended(c);
    }
}

static void put_double(struct reader *c, double v)
{
    if (!may_begin(c))
        return;
    c->r = doc_double(c->d, v);
    ended(c);
}

static void begin(struct reader *c, bool map, bool endless, uint64_t n)
{
    if (!may_begin(c))
        return;
    c->r = map ? doc_object(c->d) : doc_array(c->d);
    if (c->r < 0 || c->depth == DOC_MAX_DEPTH) {
        c->r = -E2BIG;
        return;
    }
    if (!endless && n == 0) {
        c->r = doc_end(c->d);
        ended(c);
        return;
    }
    c->open[c->depth++] = (struct open_item){map, endless, map, n};
}

static void begin_string(struct reader *c, char kind)
{
    if (c->r == 0 && c->string)
        refuse(c, "not CBOR: a string within a string");
    c->string = kind;
    buf_clear(&c->x->field);
}

static void piece(struct reader *c, char kind, const unsigned char *p, size_t n)
{
    if (c->string && c->string != kind)
        refuse(c, "not CBOR: a string in pieces of another type");
    else if (c->string && buf_put(&c->x->field, p, n) < 0)
        c->r = -E2BIG;
    else if (!c->string && kind == 't')
        put_text(c, (const char *)p, n);
    else if (!c->string)
        put_bytes(c, (const char *)p, n);
}

static void on_u8(void *c, uint8_t v)
{
    put_uint(c, v, false);
}

static void on_u16(void *c, uint16_t v)
{
    put_uint(c, v, false);
}

static void on_u32(void *c, uint32_t v)
{
    put_uint(c, v, false);
}

static void on_u64(void *c, uint64_t v)
{
    put_uint(c, v, false);
}

static void on_n8(void *c, uint8_t v)
{
    put_uint(c, v, true);
}

static void on_n16(void *c, uint16_t v)
{
    put_uint(c, v, true);
}

static void on_n32(void *c, uint32_t v)
{
    put_uint(c, v, true);
}

static void on_n64(void *c, uint64_t v)
{
    put_uint(c, v, true);
}

static void on_bytes_start(void *c)
{
    begin_string(c, 'b');
}

static void on_text_start(void *c)
{
    begin_string(c, 't');
}

static void on_bytes(void *c, cbor_data p, size_t n)
{
    piece(c, 'b', p, n);
}

static void on_text(void *c, cbor_data p, size_t n)
{
    piece(c, 't', p, n);
}

static void on_array(void *c, size_t n)
{
    begin(c, false, false, n);
}

static void on_endless_array(void *c)
{
    begin(c, false, true, 0);
}

static void on_map(void *c, size_t n)
{
    begin(c, true, false, n);
}

static void on_endless_map(void *c)
{
    begin(c, true, true, 0);
}

static void on_tag(void *c, uint64_t tag)
{
    (void)c;
    (void)tag;
}

static void on_half(void *c, float v) /* encoders use it for what it holds exactly */
{
    put_double(c, (double)v);
}

static void on_float(void *c, float v)
{
    put_double(c, num_of_float(v));
}

static void on_double(void *c, double v)
{
    put_double(c, v);
}

static void on_null(void *ctx)
{
    struct reader *c = ctx;
    if (!may_begin(c))
        return;
    c->r = doc_null(c->d);
    ended(c);
}

static void on_bool(void *ctx, bool v)
{
    struct reader *c = ctx;
    if (!may_begin(c))
        return;
    c->r = doc_bool(c->d, v);
    ended(c);
}

static void on_break(void *ctx)
{
    struct reader *c = ctx;
    const struct open_item *o = c->depth ? &c->open[c->depth - 1] : NULL;
    if (c->r < 0)
        return;
    if (c->string) {
        char kind = c->string;
        c->string = 0;
        if (kind == 't')
            put_text(c, c->x->field.data, c->x->field.len);
        else
            put_bytes(c, c->x->field.data, c->x->field.len);
    } else if (o && o->endless && o->wants_key == o->map) {
        c->r = doc_end(c->d);
        c->depth--;
        ended(c);
    } else {
        refuse(c, "not CBOR: an end of nothing");
    }
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_u8,
    .uint16 = on_u16,
    .uint32 = on_u32,
    .uint64 = on_u64,
    .negint8 = on_n8,
    .negint16 = on_n16,
    .negint32 = on_n32,
    .negint64 = on_n64,
    .byte_string_start = on_bytes_start,
    .byte_string = on_bytes,
    .string_start = on_text_start,
    .string = on_text,
    .array_start = on_array,
    .indef_array_start = on_endless_array,
    .map_start = on_map,
    .indef_map_start = on_endless_map,
    .tag = on_tag,
    .float2 = on_half,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_null,
    .null = on_null,
    .boolean = on_bool,
    .indef_break = on_break,
};

int codec_cbor(const struct codec_op *op, struct codec_run *x, struct codec_span in,
               struct doc *d, struct codec_fault *f)
{
    struct reader c = {.x = x, .d = d, .f = f};
    (void)op;
    while (!c.done && c.r == 0) {
        struct cbor_decoder_result got =
            cbor_stream_decode((cbor_data)in.p + c.at, in.n - c.at, &callbacks, &c);
        if (got.status == CBOR_DECODER_NEDATA)
            return codec_refuse(f, "CBOR that is cut off", in.n);
        if (got.status != CBOR_DECODER_FINISHED)
            return codec_refuse(f, "not CBOR", c.at);
        c.at += got.read;
    }
    if (c.r == 0 && c.at < in.n)
        refuse(&c, "bytes after the CBOR");
    return c.r;
}
