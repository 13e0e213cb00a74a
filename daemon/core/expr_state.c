/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows as bytes and back. Little-endian words in the order of the ring; what is read back is
 * checked as anything from a disk is.
 */
#include "base/mem.h"
#include "core/expr_private.h"

#include <errno.h>
#include <string.h>

#define FORMAT UINT64_C(0x315778655f) /* "_exW1" */

static int put_word(struct buf *out, uint64_t word)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(word >> (8 * i));
    return buf_put(out, bytes, sizeof(bytes));
}

struct reader {
    const unsigned char *p;
    size_t left;
    bool bad;
};

static uint64_t get_word(struct reader *r)
{
    uint64_t word = 0;
    if (r->left < 8) {
        r->bad = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        word |= (uint64_t)r->p[i] << (8 * i);
    r->p += 8;
    r->left -= 8;
    return word;
}

int expr_state_save(const struct expr *x, const struct expr_state *s, struct buf *out)
{
    if (!s)
        return 0;
    (void)put_word(out, FORMAT);
    (void)put_word(out, x->window_hash);
    for (size_t i = 0; i < s->n; i++) {
        const struct expr_ring *r = &s->rings[i];
        (void)put_word(out, (uint64_t)r->n << 1 | r->seen);
        uint64_t prev;
        memcpy(&prev, &r->prev, sizeof(prev));
        (void)put_word(out, r->newest_ns);
        (void)put_word(out, prev);
        for (unsigned k = 0; k < r->n; k++)
            for (unsigned w = 0; w < r->words_each; w++)
                (void)put_word(out,
                               r->words[(size_t)((r->head + k) % r->cap) * r->words_each + w]);
    }
    return out->failed ? -ENOBUFS : 0;
}

/* Of what a ring can have become by samples. */
static bool bucket_good(const struct expr_window *w, const uint64_t *b, const uint64_t *before)
{
    uint64_t count = (uint32_t)b[WORD_COUNT], changes = b[WORD_COUNT] >> 32;
    if (count == 0 || changes > count)
        return false;
    if (before && b[WORD_AT] / w->width_ns <= before[WORD_AT] / w->width_ns)
        return false;
    for (int i = WORD_SUM; i < WORDS; i++) {
        double v;
        if (w->place[i] == UINT8_MAX)
            continue;
        memcpy(&v, &b[w->place[i]], sizeof(v));
        if (i == WORD_FIRST_AT ? b[w->place[i]] > b[WORD_AT] ||
                                     b[w->place[i]] / w->width_ns != b[WORD_AT] / w->width_ns
                               : isnan(v))
            return false;
    }
    return true;
}

static void load_ring(const struct expr_window *w, struct reader *in, struct expr_ring *r)
{
    uint64_t head = get_word(in);
    r->newest_ns = get_word(in);
    uint64_t prev = get_word(in);
    memcpy(&r->prev, &prev, sizeof(prev));
    uint64_t n = head >> 1;
    r->seen = head & 1;
    if (in->bad || n > EXPR_BUCKETS || in->left / 8 / w->words < n || !isfinite(r->prev) ||
        (n > 0 && !r->seen)) {
        in->bad = true;
        return;
    }
    unsigned cap = 4;
    while (cap < n)
        cap *= 2;
    if (n == 0)
        return;
    r->words = mem_zalloc_array((size_t)cap * w->words, sizeof(*r->words));
    r->cap = (uint8_t)cap;
    r->n = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        uint64_t *b = r->words + (size_t)i * w->words;
        for (unsigned k = 0; k < w->words; k++)
            b[k] = get_word(in);
        if (!bucket_good(w, b, i ? b - w->words : NULL))
            in->bad = true;
    }
    const uint64_t *oldest = r->words, *newest = oldest + (size_t)(n - 1) * w->words;
    if (newest[WORD_AT] != r->newest_ns ||
        r->newest_ns / w->width_ns - oldest[WORD_AT] / w->width_ns >= EXPR_BUCKETS)
        in->bad = true;
}

int expr_state_load(const struct expr *x, const char *bytes, size_t len,
                    struct expr_state **out)
{
    struct reader in = {(const unsigned char *)bytes, len, false};
    struct expr_state *s = expr_state_new(x);
    if (!s && len > 0)
        return -EBADMSG;
    if (s && (get_word(&in) != FORMAT || get_word(&in) != x->window_hash))
        in.bad = true;
    for (size_t i = 0; s && i < s->n && !in.bad; i++)
        load_ring(&x->windows[i], &in, &s->rings[i]);
    if (in.bad || in.left > 0) {
        expr_state_free(s);
        return -EBADMSG;
    }
    *out = s;
    return 0;
}
