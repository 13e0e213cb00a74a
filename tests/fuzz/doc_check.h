/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_DOC_CHECK_H
#define TESTS_FUZZ_DOC_CHECK_H
/* doc_check — what holds for every document that a codec writes: texts are UTF-8, numbers finite,
 * and the same bytes give the same document, or the same refusal. */
#include "base/check.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "core/codec_private.h"

#include <errno.h>
#include <math.h>

typedef int codec_fn(const char *p, size_t n, struct doc *d, struct codec_fault *f);

static inline uint64_t doc_check_value(struct json_value v, uint64_t h, unsigned depth)
{
    struct json_iter it;
    struct json_value c;
    const char *text;
    size_t n, count = 0;
    enum json_type t = json_type(v);
    ASSERT(depth <= DOC_MAX_DEPTH);
    h = hash64(h, &t, sizeof(t));
    if (t == JSON_STRING) {
        text = json_text(v, &n);
        ASSERT(utf8_valid(text, n) && text[n] == '\0');
        return hash64(h, text, n);
    }
    if (t == JSON_ARRAY || t == JSON_OBJECT) {
        json_iter(v, &it);
        for (; json_next(&it, &text, &n, &c); count++) {
            ASSERT((t == JSON_OBJECT) == (text != NULL));
            ASSERT(!text || utf8_valid(text, n));
            h = doc_check_value(c, text ? hash64(h, text, n) : h, depth + 1);
        }
        ASSERT(json_count(v) == count || count >= 0xffffff);
        return h;
    }
    ASSERT(t != JSON_DOUBLE || isfinite(json_double(v)));
    uint64_t bits = t == JSON_BOOL ? json_bool(v) : t == JSON_NULL ? 0 : json_uint(v);
    return hash64(h, &bits, sizeof(bits));
}

/* 0 and the root, or the refusal. */
static inline int doc_check_run(codec_fn *codec, const uint8_t *data, size_t size,
                                struct doc *d, struct json_value *out, struct codec_fault *f)
{
    uint64_t hash[2] = {0, 0};
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        *f = (struct codec_fault){.why = NULL, .at = 0};
        doc_clear(d);
        rc = codec((const char *)data, size, d, f);
        ASSERT(rc == 0 || rc == -EBADMSG || rc == -E2BIG);
        ASSERT(rc != -EBADMSG || (f->why && (f->at <= size || f->at == SIZE_MAX)));
        if (rc == 0)
            rc = doc_finish(d, out);
        if (rc == 0)
            hash[i] = doc_check_value(*out, 7, 1);
    }
    ASSERT(hash[0] == hash[1]);
    return rc;
}

#endif
