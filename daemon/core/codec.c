/* SPDX-License-Identifier: Apache-2.0 */
/* Running chains. */
#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "core/codec_plan_private.h"

#include <stdlib.h>

enum {
    KEEP_BYTES = 256 * 1024, /* what one long message may leave allocated */
    KEEP_DOCS = 8,           /* and how many documents */
};

/* ---- running ---- */

struct codec_run *codec_run_new(size_t max_message_bytes)
{
    struct codec_run *x = mem_zalloc(sizeof(*x));
    x->max_bytes = max_message_bytes;
    for (size_t i = 0; i < 2; i++)
        buf_init(&x->bufs[i], max_message_bytes + 2 * JSON_PADDING);
    buf_init(&x->text, 4 * max_message_bytes + 2 * JSON_PADDING);
    buf_init(&x->field, max_message_bytes + JSON_PADDING);
    return x;
}

void codec_run_free(struct codec_run *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < CODEC_MAX_DOCS; i++) {
        json_free(x->parsers[i]);
        doc_free(x->docs[i]);
    }
    json_free(x->scratch);
    for (size_t i = 0; i < 2; i++)
        buf_done(&x->bufs[i]);
    buf_done(&x->text);
    buf_done(&x->field);
    free(x->entries);
    codec_close_gb18030(x);
    free(x);
}

static void clear_buf(struct buf *b)
{
    if (b->cap > KEEP_BYTES)
        buf_done(b);
    buf_clear(b);
}

void codec_run_clear(struct codec_run *x)
{
    for (unsigned i = 0; i < x->used; i++) {
        if (i >= KEEP_DOCS) {
            json_free(x->parsers[i]);
            doc_free(x->docs[i]);
            x->parsers[i] = NULL;
            x->docs[i] = NULL;
        } else if (x->docs[i]) {
            doc_clear(x->docs[i]);
        }
    }
    x->used = 0;
    clear_buf(&x->bufs[0]);
    clear_buf(&x->bufs[1]);
    clear_buf(&x->text);
    clear_buf(&x->field);
    if (x->cap_entries * sizeof(*x->entries) > KEEP_BYTES) {
        free(x->entries);
        x->entries = NULL;
        x->cap_entries = 0;
    }
}

struct json *codec_scratch(struct codec_run *x)
{
    if (!x->scratch)
        x->scratch = json_new(x->max_bytes);
    return x->scratch;
}

bool codec_resolve(struct codec_range r, size_t n, size_t here, size_t *out_from,
                   size_t *out_to)
{
    int64_t all = (int64_t)n;
    int64_t from = r.from == CODEC_HERE ? (int64_t)here : r.from < 0 ? r.from + all : r.from;
    int64_t to = r.to == CODEC_END    ? all
                 : r.to == CODEC_HERE ? (int64_t)here
                 : r.to < 0           ? r.to + all
                                      : r.to;
    if (from < 0 || to < from || to > all)
        return false;
    *out_from = (size_t)from;
    *out_to = (size_t)to;
    return true;
}

int codec_put_key(struct codec_run *x, struct doc *d, const char *p, size_t n)
{
    if (utf8_valid(p, n))
        return doc_key(d, p, n);
    buf_clear(&x->text);
    if (utf8_clean(&x->text, p, n) < 0)
        return -E2BIG;
    return doc_key(d, x->text.data, x->text.len);
}

int codec_put_text(struct codec_run *x, struct doc *d, const char *p, size_t n)
{
    if (utf8_valid(p, n))
        return doc_text(d, p, n);
    buf_clear(&x->text);
    if (utf8_clean(&x->text, p, n) < 0)
        return -E2BIG;
    return doc_text(d, x->text.data, x->text.len);
}

int codec_put_hex(struct codec_run *x, struct doc *d, const char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    buf_clear(&x->text);
    char *to = buf_room(&x->text, 2 * n);
    if (!to)
        return -E2BIG;
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = digits[(unsigned char)p[i] >> 4];
        to[2 * i + 1] = digits[(unsigned char)p[i] & 15];
    }
    return doc_text(d, to, 2 * n);
}

/* JSON needs no doc of its own: the parser's tape is what a doc would be. */
static int run_json(struct codec_run *x, struct codec_span in, struct json_value *out_root,
                    struct codec_fault *f)
{
    struct json **j = &x->parsers[x->used];
    if (!*j)
        *j = json_new(x->max_bytes);
    int r = json_parse(*j, in.p, in.n, out_root, &f->why);
    if (r < 0)
        return r == -EMSGSIZE ? -E2BIG : r;
    x->used++;
    return 0;
}

static int run_value(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                     struct json_value *out_root, struct codec_fault *f)
{
    struct doc **d = &x->docs[x->used];
    if (!*d)
        *d = doc_new(2 * x->max_bytes + 4096);
    doc_clear(*d); /* what a run that failed has left */
    int r = op->to_value(op, x, in, *d, f);
    if (r == 0)
        r = doc_finish(*d, out_root);
    if (r == -E2BIG && !f->why)
        f->why = "its values take more than the limit";
    if (r == 0)
        x->used++;
    return r;
}

static bool is_within(const struct buf *b, struct codec_span s)
{
    return b->data && (uintptr_t)s.p >= (uintptr_t)b->data &&
           (uintptr_t)s.p <= (uintptr_t)b->data + b->cap;
}

int codec_chain_run(const struct codec_chain *c, struct codec_run *x, const char *p, size_t n,
                    struct json_value *out_root, struct codec_fault *out_fault)
{
    struct codec_span io = {p, n};
    struct codec_fault f = {.at = SIZE_MAX};
    int r = 0;
    ASSERT(c->state == CHAIN_SETTLED && x->used < CODEC_MAX_DOCS);
    if (n > x->max_bytes) {
        f.why = "longer than the limit of a message";
        r = -E2BIG;
    }
    for (unsigned i = 0; i < c->n_ops && r == 0; i++) {
        const struct codec_op *op = c->ops[i];
        f.step = i;
        if (op->to_bytes) {
            struct buf *out = &x->bufs[is_within(&x->bufs[0], io) ? 1 : 0];
            buf_clear(out);
            r = op->to_bytes(op, &io, out, &f);
        } else if (op->to_value == codec_json) {
            r = run_json(x, io, out_root, &f);
        } else {
            r = run_value(op, x, io, out_root, &f);
        }
    }
    if (r < 0)
        *out_fault = f;
    return r;
}

bool codec_chain_reads_within(const struct codec_chain *c)
{
    return c->n_ops > 0 &&
           (c->ops[0]->to_bytes == codec_base64 || c->ops[0]->to_bytes == codec_hex);
}

bool codec_chain_is_json(const struct codec_chain *c)
{
    return c->n_ops == 1 && c->ops[0]->to_value == codec_json;
}

bool codec_chain_is_sparkplug(const struct codec_chain *c)
{
    return c->n_ops > 0 && strcmp(c->ops[c->n_ops - 1]->name, "sparkplug-b") == 0;
}
