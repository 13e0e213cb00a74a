/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows: rings of buckets, each of a 62nd of the window's length and aligned to engine time.
 * A bucket holds only the words that the window's functions need. It leaves when its newest
 * sample does, so a window sees every sample younger than its length, and no sample older than
 * its length and one bucket; with no more than one sample a bucket it is exact.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/expr_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHANGE_ONE ((uint64_t)1 << 32)

/* All there is to know of some samples. */
struct sum {
    uint64_t n, changes;
    double sum, m2, min, max, first, last;
    uint64_t first_at, last_at;
};

static void need(uint16_t *words, enum expr_win_func f)
{
    static const uint16_t needs[WIN_FUNCS] = {
        [WIN_AVG] = 1u << WORD_SUM,
        [WIN_MIN] = 1u << WORD_MIN,
        [WIN_MAX] = 1u << WORD_MAX,
        [WIN_SUM] = 1u << WORD_SUM,
        [WIN_STDDEV] = 1u << WORD_SUM | 1u << WORD_M2,
        [WIN_LAST] = 1u << WORD_LAST,
        [WIN_FIRST] = 1u << WORD_FIRST,
        [WIN_DELTA] = 1u << WORD_FIRST | 1u << WORD_LAST,
        [WIN_RATE] = 1u << WORD_FIRST | 1u << WORD_LAST | 1u << WORD_FIRST_AT,
    };
    *words |= needs[f];
}

void expr_window_layout(struct expr_window *w)
{
    uint16_t words = 1u << WORD_AT | 1u << WORD_COUNT;
    for (int f = 0; f < WIN_FUNCS; f++)
        if (w->functions >> f & 1)
            need(&words, (enum expr_win_func)f);
    w->words = 0;
    for (int i = 0; i < WORDS; i++)
        w->place[i] = words >> i & 1 ? w->words++ : UINT8_MAX;
}

static double as_double(uint64_t word)
{
    double v;
    memcpy(&v, &word, sizeof(v));
    return v;
}

static uint64_t as_word(double v)
{
    uint64_t word;
    memcpy(&word, &v, sizeof(word));
    return word;
}

static uint64_t *bucket(const struct expr_window *w, const struct expr_ring *r, unsigned i)
{
    return r->words + (size_t)((r->head + i) % r->cap) * w->words;
}

static bool has(const struct expr_window *w, int word)
{
    return w->place[word] != UINT8_MAX;
}

static double get(const struct expr_window *w, const uint64_t *b, int word)
{
    return has(w, word) ? as_double(b[w->place[word]]) : NAN;
}

static void set(const struct expr_window *w, uint64_t *b, int word, double v)
{
    if (has(w, word))
        b[w->place[word]] = as_word(v);
}

static struct sum sum_of(const struct expr_window *w, const uint64_t *b)
{
    uint64_t last_at = b[WORD_AT];
    return (struct sum){
        .n = (uint32_t)b[WORD_COUNT],
        .changes = b[WORD_COUNT] >> 32,
        .sum = get(w, b, WORD_SUM),
        .m2 = get(w, b, WORD_M2),
        .min = get(w, b, WORD_MIN),
        .max = get(w, b, WORD_MAX),
        .first = get(w, b, WORD_FIRST),
        .last = get(w, b, WORD_LAST),
        .first_at = has(w, WORD_FIRST_AT) ? b[w->place[WORD_FIRST_AT]] : 0,
        .last_at = last_at,
    };
}

/* b comes behind a; neither is empty. Deviations: Chan, Golub, LeVeque (1979). */
static void append(struct sum *a, const struct sum *b)
{
    double na = (double)a->n, nb = (double)b->n, d = b->sum / nb - a->sum / na;
    a->m2 += b->m2 + d * d * na * nb / (na + nb);
    a->n += b->n;
    a->changes += b->changes;
    a->sum += b->sum;
    a->min = b->min < a->min ? b->min : a->min;
    a->max = b->max > a->max ? b->max : a->max;
    a->last = b->last;
    a->last_at = b->last_at;
}

static bool left(const struct expr_window *w, uint64_t at_ns, uint64_t now_ns)
{
    return now_ns > at_ns && now_ns - at_ns >= w->len_ns;
}

static void expire(const struct expr_window *w, struct expr_ring *r, uint64_t now_ns)
{
    while (r->n > 0 && left(w, bucket(w, r, 0)[WORD_AT], now_ns)) {
        r->head = (uint8_t)((r->head + 1u) % r->cap);
        r->n--;
    }
}

static void grow(const struct expr_window *w, struct expr_ring *r)
{
    unsigned cap = r->cap ? 2u * r->cap : 4;
    uint64_t *words = mem_zalloc_array((size_t)cap * w->words, sizeof(*words));
    for (unsigned i = 0; i < r->n; i++)
        memcpy(words + (size_t)i * w->words, bucket(w, r, i), w->words * sizeof(*words));
    free(r->words);
    r->words = words;
    r->head = 0;
    r->cap = (uint8_t)cap;
}

static void open_bucket(const struct expr_window *w, struct expr_ring *r, double v,
                        uint64_t at_ns, bool changed)
{
    if (r->n == r->cap)
        grow(w, r);
    ASSERT(r->n < EXPR_BUCKETS);
    uint64_t *b = bucket(w, r, r->n++);
    b[WORD_AT] = at_ns;
    b[WORD_COUNT] = 1 + (changed ? CHANGE_ONE : 0);
    static const int values[] = {WORD_SUM, WORD_MIN, WORD_MAX, WORD_FIRST, WORD_LAST};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        set(w, b, values[i], v);
    set(w, b, WORD_M2, 0);
    if (has(w, WORD_FIRST_AT))
        b[w->place[WORD_FIRST_AT]] = at_ns;
}

static void add(const struct expr_window *w, uint64_t *b, double v, uint64_t at_ns,
                bool changed)
{
    struct sum s = sum_of(w, b);
    struct sum one = {.n = 1, .sum = v, .min = v, .max = v, .last = v, .last_at = at_ns};
    append(&s, &one);
    if ((uint32_t)b[WORD_COUNT] < UINT32_MAX) /* a wrapped count would be a lie */
        b[WORD_COUNT] += 1 + (changed ? CHANGE_ONE : 0);
    b[WORD_AT] = at_ns;
    set(w, b, WORD_SUM, s.sum);
    set(w, b, WORD_M2, s.m2);
    set(w, b, WORD_MIN, s.min);
    set(w, b, WORD_MAX, s.max);
    set(w, b, WORD_LAST, v);
}

static void feed(const struct expr_window *w, struct expr_ring *r, double v, uint64_t at_ns)
{
    if (r->seen && at_ns < r->newest_ns)
        return;
    bool changed = r->seen && v != r->prev;
    expire(w, r, at_ns);
    uint64_t *newest = r->n > 0 ? bucket(w, r, r->n - 1u) : NULL;
    if (newest && newest[WORD_AT] / w->width_ns == at_ns / w->width_ns)
        add(w, newest, v, at_ns, changed);
    else
        open_bucket(w, r, v, at_ns, changed);
    r->seen = true;
    r->newest_ns = at_ns;
    r->prev = v;
}

void expr_feed(const struct expr *x, struct expr_state *s, unsigned input, double v,
               uint64_t at_ns)
{
    if (!s || !isfinite(v))
        return;
    for (size_t i = 0; i < x->n_windows; i++)
        if (x->windows[i].input == input)
            feed(&x->windows[i], &s->rings[i], v, at_ns);
}

static double of_sum(const struct sum *s, enum expr_win_func f)
{
    double n = (double)s->n;
    switch (f) {
    case WIN_AVG:
        return s->sum / n;
    case WIN_MIN:
        return s->min;
    case WIN_MAX:
        return s->max;
    case WIN_SUM:
        return s->sum;
    case WIN_COUNT:
        return n;
    case WIN_STDDEV:
        return s->n < 2 ? NAN : sqrt(s->m2 / (n - 1));
    case WIN_LAST:
        return s->last;
    case WIN_FIRST:
        return s->first;
    case WIN_DELTA:
        return s->n < 2 ? NAN : s->last - s->first;
    case WIN_RATE:
        return s->last_at == s->first_at
                   ? NAN
                   : (s->last - s->first) / ((double)(s->last_at - s->first_at) / EXPR_NANOS);
    case WIN_CHANGES:
        return (double)s->changes;
    case WIN_FUNCS:
        break;
    }
    return NAN;
}

double expr_window_value(const struct expr_window *w, const struct expr_ring *r,
                         enum expr_win_func f, uint64_t now_ns)
{
    unsigned i = 0;
    while (i < r->n && left(w, bucket(w, r, i)[WORD_AT], now_ns))
        i++;
    if (i == r->n) /* nothing is known of what was never said, but silence is counted */
        return r->seen && (f == WIN_COUNT || f == WIN_CHANGES) ? 0 : NAN;
    struct sum all = sum_of(w, bucket(w, r, i));
    for (i++; i < r->n; i++) {
        struct sum next = sum_of(w, bucket(w, r, i));
        append(&all, &next);
    }
    double v = of_sum(&all, f);
    return isfinite(v) ? v : NAN;
}

uint64_t expr_window_leaves(const struct expr_window *w, const struct expr_ring *r,
                            uint64_t now_ns)
{
    for (unsigned i = 0; i < r->n; i++) {
        uint64_t at = bucket(w, r, i)[WORD_AT];
        if (!left(w, at, now_ns))
            return at > UINT64_MAX - w->len_ns ? UINT64_MAX : at + w->len_ns;
    }
    return UINT64_MAX;
}

struct expr_state *expr_state_new(const struct expr *x)
{
    if (x->n_windows == 0)
        return NULL;
    struct expr_state *s = mem_zalloc(sizeof(*s) + x->n_windows * sizeof(s->rings[0]));
    s->n = x->n_windows;
    for (size_t i = 0; i < s->n; i++)
        s->rings[i].words_each = x->windows[i].words;
    return s;
}

void expr_state_free(struct expr_state *s)
{
    for (size_t i = 0; s && i < s->n; i++)
        free(s->rings[i].words);
    free(s);
}

size_t expr_state_bytes(const struct expr_state *s)
{
    size_t n = s ? sizeof(*s) + s->n * sizeof(s->rings[0]) : 0;
    for (size_t i = 0; s && i < s->n; i++)
        n += (size_t)s->rings[i].cap * s->rings[i].words_each * sizeof(uint64_t);
    return n;
}
