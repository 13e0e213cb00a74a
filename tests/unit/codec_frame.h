/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CODEC_FRAME_H
#define TESTS_CODEC_FRAME_H
/* codec_frame — one codec of frames by itself: bytes in, JSON or why not out. */
#include "core/codec_private.h"
#include "show.h"
#include "unit.h"

#include <errno.h>

typedef int frame_codec(const char *p, size_t n, struct doc *d, struct codec_fault *f);

static struct doc *d;
static struct codec_fault fault;
static struct json_value root;

/* Valid until the next call. */
static inline const char *frame_says(frame_codec *codec, const void *p, size_t n)
{
    fault = (struct codec_fault){.why = NULL};
    doc_clear(d);
    int rc = codec(p, n, d, &fault);
    if (rc != 0) {
        assert_int_equal(rc, -EBADMSG);
        assert_non_null(fault.why);
        assert_true(fault.at <= n);
        return fault.why;
    }
    assert_int_equal(doc_finish(d, &root), 0);
    return show(root);
}

static inline size_t unhex(const char *hex, uint8_t *to)
{
    size_t n = 0;
    for (unsigned v; *hex; hex += 2, n++) {
        assert_int_equal(sscanf(hex, "%2x", &v), 1);
        to[n] = (uint8_t)v;
    }
    return n;
}

#endif
