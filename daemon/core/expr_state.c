/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows as bytes and back. Little-endian words in the order of the ring; what is read back is
 * checked as anything from a disk is.
 */
#include "base/mem.h"
#include "core/expr_private.h"
#include "core/state.h"

#include <errno.h>
#include <string.h>

#define FORMAT UINT64_C(0x315778655f) /* "_exW1" */

int expr_state_save(const struct expr *x, const struct expr_state *s, struct buf *out)
{
    if (!s)
        return 0;
    struct state_writer to;
    state_writer_into(&to, out);
    state_put_u64(&to, FORMAT);
    state_put_u64(&to, x->window_hash);
    for (size_t i = 0; i < s->n; i++) {
        const struct expr_ring *r = &s->rings[i];
        state_put_u64(&to, (uint64_t)r->n << 1 | r->seen);
        uint64_t prev;
        memcpy(&prev, &r->prev, sizeof(prev));
        state_put_u64(&to, r->newest_ns);
        state_put_u64(&to, prev);
        for (unsigned k = 0; k < r->n; k++)
            for (unsigned w = 0; w < r->words_each; w++)
                state_put_u64(&to,
                              r->words[(size_t)((r->head + k) % r->cap) * r->words_each + w]);
    }
    return state_writer_done(&to);
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

static void load_ring(const struct expr_window *w, struct state_reader *in, struct expr_ring *r)
{
    uint64_t head = state_get_u64(in);
    r->newest_ns = state_get_u64(in);
    uint64_t prev = state_get_u64(in);
    memcpy(&r->prev, &prev, sizeof(prev));
    uint64_t n = head >> 1;
    r->seen = head & 1;
    if (in->failed || n > EXPR_BUCKETS || state_left(in) / 8 / w->words < n ||
        !isfinite(r->prev) || (n > 0 && !r->seen)) {
        in->failed = true;
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
            b[k] = state_get_u64(in);
        if (!bucket_good(w, b, i ? b - w->words : NULL))
            in->failed = true;
    }
    const uint64_t *oldest = r->words, *newest = oldest + (size_t)(n - 1) * w->words;
    if (newest[WORD_AT] != r->newest_ns ||
        r->newest_ns / w->width_ns - oldest[WORD_AT] / w->width_ns >= EXPR_BUCKETS)
        in->failed = true;
}

int expr_state_load(const struct expr *x, const char *bytes, size_t len,
                    struct expr_state **out)
{
    struct state_reader in = {.p = bytes, .end = len ? bytes + len : bytes};
    struct expr_state *s = expr_state_new(x);
    if (!s && len > 0)
        return -EBADMSG;
    if (s && (state_get_u64(&in) != FORMAT || state_get_u64(&in) != x->window_hash))
        in.failed = true;
    for (size_t i = 0; s && i < s->n && !in.failed; i++)
        load_ring(&x->windows[i], &in, &s->rings[i]);
    if (!state_all_read(&in)) {
        expr_state_free(s);
        return -EBADMSG;
    }
    *out = s;
    return 0;
}

/* -- into another spelling ----------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_window(const struct expr *x, const struct expr_window *a, const struct expr *y,
                        const struct expr_window *b)
{
    const struct expr_input *i = &x->inputs[a->input], *k = &y->inputs[b->input];
    return a->len_ns == b->len_ns && a->functions == b->functions &&
           same_text(i->metric->name, k->metric->name) && i->metric->type == k->metric->type &&
           same_text(i->metric->unit, k->metric->unit) && same_text(i->point, k->point);
}

static void copy_ring(struct expr_ring *to, const struct expr_ring *from)
{
    *to = *from;
    if (from->words)
        to->words =
            mem_dup(from->words, (size_t)from->cap * from->words_each * sizeof(*from->words));
}

struct expr_state *expr_state_carry(const struct expr *from, const struct expr_state *s,
                                    const struct expr *to)
{
    struct expr_state *out = expr_state_new(to);
    for (size_t i = 0; out && s && i < out->n; i++)
        for (size_t k = 0; k < s->n; k++)
            if (same_window(from, &from->windows[k], to, &to->windows[i])) {
                copy_ring(&out->rings[i], &s->rings[k]);
                break;
            }
    return out;
}
