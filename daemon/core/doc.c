/* SPDX-License-Identifier: Apache-2.0 */
#include "core/doc.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    FIRST_WORDS = 256,
    FIRST_BYTES = 2048,
    KEEP_WORDS = 64 * 1024, /* what one long message may leave allocated */
};

#define COUNT_MASK 0xffffffu /* simdjson's, saturated */

struct doc {
    struct json_doc view; /* what values point to; must not move */
    uint64_t *tape;
    char *strings;
    size_t words, cap_words, max_words;
    size_t bytes, cap_bytes, max_bytes;
    bool failed;
    unsigned depth;
    struct {
        uint32_t at;    /* of the word that begins it */
        uint32_t count; /* of values */
        char end;
    } open[DOC_MAX_DEPTH + 1]; /* 0 is the document itself */
};

struct doc *doc_new(size_t max_words)
{
    struct doc *d = mem_zalloc(sizeof(*d));
    if (max_words < FIRST_WORDS)
        max_words = FIRST_WORDS;
    if (max_words > UINT32_MAX)
        max_words = UINT32_MAX; /* what a container's word can point to */
    d->max_words = max_words;
    d->max_bytes = max_words * sizeof(uint64_t);
    doc_clear(d);
    return d;
}

void doc_free(struct doc *d)
{
    if (!d)
        return;
    free(d->tape);
    free(d->strings);
    free(d);
}

void doc_clear(struct doc *d)
{
    if (d->cap_words > KEEP_WORDS || d->cap_bytes > KEEP_WORDS * sizeof(uint64_t)) {
        free(d->tape);
        free(d->strings);
        d->tape = NULL;
        d->strings = NULL;
        d->cap_words = d->cap_bytes = 0;
    }
    d->words = 1; /* the root's word, as simdjson has one */
    d->bytes = 0;
    d->failed = false;
    d->depth = 0;
    d->open[0].at = 0;
    d->open[0].count = 0;
}

static int fail(struct doc *d)
{
    d->failed = true;
    return -E2BIG;
}

static int grow_tape(struct doc *d, size_t n)
{
    size_t cap = d->cap_words ? d->cap_words : FIRST_WORDS;
    if (d->failed || n > d->max_words - d->words)
        return fail(d);
    while (cap - d->words < n)
        cap *= 2;
    if (cap > d->max_words)
        cap = d->max_words;
    d->tape = mem_realloc_array(d->tape, cap, sizeof(*d->tape));
    d->cap_words = cap;
    return 0;
}

/* Room for n words more. A document that has failed never has room. */
static inline int need_words(struct doc *d, size_t n)
{
    if (d->cap_words >= d->words + n && !d->failed)
        return 0;
    return grow_tape(d, n);
}

static int grow_strings(struct doc *d, size_t n)
{
    size_t cap = d->cap_bytes ? d->cap_bytes : FIRST_BYTES;
    if (d->failed || n > d->max_bytes || d->bytes > d->max_bytes - n)
        return fail(d);
    while (cap - d->bytes < n + JSON_PADDING)
        cap *= 2;
    d->strings = mem_realloc_array(d->strings, cap, 1);
    d->cap_bytes = cap;
    return 0;
}

static inline void put_word(struct doc *d, char tag, uint64_t payload)
{
    d->tape[d->words++] = (uint64_t)(unsigned char)tag << 56 | payload;
}

/* Most strings are names: a call costs more than they are long. */
static inline void copy_short(char *to, const char *p, size_t n)
{
    uint64_t a, b;
    if (n < 8 || n > 16) {
        memcpy(to, p, n);
        return;
    }
    memcpy(&a, p, 8);
    memcpy(&b, p + n - 8, 8);
    memcpy(to, &a, 8);
    memcpy(to + n - 8, &b, 8);
}

static inline int put_string(struct doc *d, const char *p, size_t n)
{
    uint32_t len = (uint32_t)n;
    size_t all = sizeof(len) + n + 1;
    if (n > d->max_bytes)
        return fail(d);
    if (need_words(d, 1) < 0)
        return -E2BIG;
    if (d->cap_bytes < d->bytes + all + JSON_PADDING && grow_strings(d, all) < 0)
        return -E2BIG;
    put_word(d, '"', d->bytes);
    char *to = d->strings + d->bytes;
    memcpy(to, &len, sizeof(len));
    if (n)
        copy_short(to + sizeof(len), p, n);
    to[sizeof(len) + n] = '\0';
    d->bytes += all;
    return 0;
}

static int begin(struct doc *d, char tag, char end)
{
    if (d->depth == DOC_MAX_DEPTH)
        return fail(d);
    if (need_words(d, 2) < 0) /* its end's word, too: a small document cannot fail there */
        return -E2BIG;
    d->open[d->depth].count++;
    d->depth++;
    d->open[d->depth].at = (uint32_t)d->words;
    d->open[d->depth].count = 0;
    d->open[d->depth].end = end;
    put_word(d, tag, 0);
    return 0;
}

int doc_object(struct doc *d)
{
    return begin(d, '{', '}');
}

int doc_array(struct doc *d)
{
    return begin(d, '[', ']');
}

int doc_end(struct doc *d)
{
    if (need_words(d, 1) < 0)
        return -E2BIG;
    ASSERT(d->depth > 0);
    uint32_t at = d->open[d->depth].at, n = d->open[d->depth].count;
    put_word(d, d->open[d->depth].end, at);
    d->tape[at] |= (uint64_t)(n > COUNT_MASK ? COUNT_MASK : n) << 32 | (uint32_t)d->words;
    d->depth--;
    return 0;
}

int doc_key(struct doc *d, const char *p, size_t n)
{
    return put_string(d, p, n);
}

static int put_plain(struct doc *d, char tag)
{
    if (need_words(d, 1) < 0)
        return -E2BIG;
    d->open[d->depth].count++;
    put_word(d, tag, 0);
    return 0;
}

static int put_number(struct doc *d, char tag, uint64_t bits)
{
    if (need_words(d, 2) < 0)
        return -E2BIG;
    d->open[d->depth].count++;
    put_word(d, tag, 0);
    d->tape[d->words++] = bits;
    return 0;
}

int doc_null(struct doc *d)
{
    return put_plain(d, 'n');
}

int doc_bool(struct doc *d, bool v)
{
    return put_plain(d, v ? 't' : 'f');
}

int doc_int(struct doc *d, int64_t v)
{
    return put_number(d, 'l', (uint64_t)v);
}

int doc_uint(struct doc *d, uint64_t v)
{
    return put_number(d, v <= INT64_MAX ? 'l' : 'u', v);
}

int doc_double(struct doc *d, double v)
{
    uint64_t bits;
    if (!isfinite(v))
        return doc_null(d);
    memcpy(&bits, &v, sizeof(bits));
    return put_number(d, 'd', bits);
}

/* A name and a number where there is room for both; false: nothing is written. */
static inline bool put_pair(struct doc *d, const char *p, size_t n, char tag, uint64_t bits)
{
    uint32_t len = (uint32_t)n;
    size_t all = sizeof(len) + n + 1;
    if (d->failed || d->cap_words < d->words + 3 ||
        d->cap_bytes < d->bytes + all + JSON_PADDING)
        return false;
    uint64_t *word = d->tape + d->words;
    char *to = d->strings + d->bytes;
    word[0] = (uint64_t)(unsigned char)'"' << 56 | d->bytes;
    word[1] = (uint64_t)(unsigned char)tag << 56;
    word[2] = bits;
    memcpy(to, &len, sizeof(len));
    if (n)
        copy_short(to + sizeof(len), p, n);
    to[sizeof(len) + n] = '\0';
    d->words += 3;
    d->bytes += all;
    d->open[d->depth].count++;
    return true;
}

int doc_key_int(struct doc *d, const char *p, size_t n, int64_t v)
{
    if (put_pair(d, p, n, 'l', (uint64_t)v))
        return 0;
    int r = put_string(d, p, n);
    return r < 0 ? r : put_number(d, 'l', (uint64_t)v);
}

int doc_key_double(struct doc *d, const char *p, size_t n, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    if (isfinite(v) && put_pair(d, p, n, 'd', bits))
        return 0;
    int r = put_string(d, p, n);
    return r < 0 ? r : doc_double(d, v);
}

int doc_text(struct doc *d, const char *p, size_t n)
{
    if (put_string(d, p, n) < 0)
        return -E2BIG;
    d->open[d->depth].count++;
    return 0;
}

static int copy_scalar(struct doc *d, struct json_value v)
{
    switch (json_type(v)) {
    case JSON_BOOL:
        return doc_bool(d, json_bool(v));
    case JSON_INT:
        return doc_int(d, json_int(v));
    case JSON_UINT:
        return put_number(d, 'u', json_uint(v));
    case JSON_DOUBLE:
        return doc_double(d, json_double(v));
    case JSON_STRING: {
        size_t n;
        const char *p = json_text(v, &n);
        return doc_text(d, p, n);
    }
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return doc_null(d);
}

/* Iterative: how deep the other document is, is its writer's affair. */
int doc_copy(struct doc *d, struct json_value v)
{
    struct json_iter stack[DOC_MAX_DEPTH];
    unsigned depth = 0;
    const char *key;
    size_t key_len;
    for (;;) {
        enum json_type t = json_type(v);
        if (t == JSON_OBJECT || t == JSON_ARRAY) {
            if (begin(d, t == JSON_OBJECT ? '{' : '[', t == JSON_OBJECT ? '}' : ']') < 0)
                return -E2BIG;
            json_iter(v, &stack[depth++]); /* begin() was the check of the depth */
        } else if (copy_scalar(d, v) < 0) {
            return -E2BIG;
        }
        while (depth > 0 && !json_next(&stack[depth - 1], &key, &key_len, &v)) {
            if (doc_end(d) < 0)
                return -E2BIG;
            depth--;
        }
        if (depth == 0)
            return 0;
        if (key && doc_key(d, key, key_len) < 0)
            return -E2BIG;
    }
}

int doc_finish(struct doc *d, struct json_value *out_root)
{
    if (d->failed)
        return -E2BIG;
    ASSERT(d->depth == 0 && d->open[0].count == 1);
    d->tape[0] = (uint64_t)'r' << 56 | d->words;
    d->view.tape = d->tape;
    d->view.strings = d->strings;
    *out_root = (struct json_value){&d->view, 1};
    return 0;
}
