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
#include <float.h>
#include <stdlib.h>
#include <string.h>

#define CHANGE_ONE ((uint64_t)1 << 32)

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
    return r->words + (size_t)((r->head + i) & (r->cap - 1u)) * w->words;
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

static bool left(const struct expr_window *w, uint64_t at_ns, uint64_t now_ns)
{
    return now_ns > at_ns && now_ns - at_ns >= w->len_ns;
}

static void expire(const struct expr_window *w, struct expr_ring *r, uint64_t now_ns)
{
    while (r->n > 0 && left(w, bucket(w, r, 0)[WORD_AT], now_ns)) {
        r->head = (uint8_t)((r->head + 1u) & (r->cap - 1u));
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

/* The sum of squares of deviations of two parts together (Chan, Golub, LeVeque 1979). */
static double deviations(double m2, double n, double sum, double m2_b, double n_b, double sum_b)
{
    double d = sum_b / n_b - sum / n;
    return m2 + m2_b + d * d * n * n_b / (n + n_b);
}

static void add(const struct expr_window *w, uint64_t *b, double v, uint64_t at_ns,
                bool changed)
{
    double n = (double)(uint32_t)b[WORD_COUNT];
    if (has(w, WORD_M2))
        set(w, b, WORD_M2, deviations(get(w, b, WORD_M2), n, get(w, b, WORD_SUM), 0, 1, v));
    if (has(w, WORD_SUM))
        set(w, b, WORD_SUM, get(w, b, WORD_SUM) + v);
    if (has(w, WORD_MIN) && v < get(w, b, WORD_MIN))
        set(w, b, WORD_MIN, v);
    if (has(w, WORD_MAX) && v > get(w, b, WORD_MAX))
        set(w, b, WORD_MAX, v);
    set(w, b, WORD_LAST, v);
    if ((uint32_t)b[WORD_COUNT] < UINT32_MAX) /* a wrapped count would be a lie */
        b[WORD_COUNT] += 1 + (changed ? CHANGE_ONE : 0);
    b[WORD_AT] = at_ns;
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

/* Live buckets are those from i on; there is at least one. */
static uint64_t count(const struct expr_window *w, const struct expr_ring *r, unsigned i)
{
    uint64_t n = 0;
    for (; i < r->n; i++)
        n += (uint32_t)bucket(w, r, i)[WORD_COUNT];
    return n;
}

static uint64_t changes(const struct expr_window *w, const struct expr_ring *r, unsigned i)
{
    uint64_t n = 0;
    for (; i < r->n; i++)
        n += bucket(w, r, i)[WORD_COUNT] >> 32;
    return n;
}

static double total(const struct expr_window *w, const struct expr_ring *r, unsigned i)
{
    double sum = 0;
    for (unsigned at = w->place[WORD_SUM]; i < r->n; i++)
        sum += as_double(bucket(w, r, i)[at]);
    return sum;
}

static double extreme(const struct expr_window *w, const struct expr_ring *r, unsigned i,
                      int word)
{
    unsigned at = w->place[word];
    double most = as_double(bucket(w, r, i)[at]);
    for (i++; i < r->n; i++) {
        double v = as_double(bucket(w, r, i)[at]);
        most = (word == WORD_MIN ? v < most : v > most) ? v : most;
    }
    return most;
}

static double deviation(const struct expr_window *w, const struct expr_ring *r, unsigned i)
{
    double n = 0, sum = 0, m2 = 0;
    for (; i < r->n; i++) {
        const uint64_t *b = bucket(w, r, i);
        double n_b = (double)(uint32_t)b[WORD_COUNT], sum_b = get(w, b, WORD_SUM);
        m2 = n == 0 ? get(w, b, WORD_M2)
                    : deviations(m2, n, sum, get(w, b, WORD_M2), n_b, sum_b);
        n += n_b;
        sum += sum_b;
    }
    if (n < 2)
        return NAN;
    /* Sums are rounded, so equal values deviate by as much as n of them are rounded: not at all. */
    double v = sqrt(m2 / (n - 1));
    return isfinite(v) && v <= fabs(sum) * DBL_EPSILON ? 0 : v;
}

/* last − first, or that per second. */
static double trend(const struct expr_window *w, const struct expr_ring *r, unsigned i,
                    bool per_second)
{
    const uint64_t *first = bucket(w, r, i), *newest = bucket(w, r, r->n - 1u);
    double d = get(w, newest, WORD_LAST) - get(w, first, WORD_FIRST);
    if (first == newest && (uint32_t)first[WORD_COUNT] < 2)
        return NAN;
    if (!per_second)
        return d;
    uint64_t ns = newest[WORD_AT] - first[w->place[WORD_FIRST_AT]];
    return ns == 0 ? NAN : d / ((double)ns / EXPR_NANOS);
}

double expr_window_value(const struct expr_window *w, const struct expr_ring *r,
                         enum expr_win_func f, uint64_t now_ns)
{
    unsigned i = 0;
    double v = NAN;
    while (i < r->n && left(w, bucket(w, r, i)[WORD_AT], now_ns))
        i++;
    if (i == r->n) /* nothing is known of what was never said, but silence is counted */
        return r->seen && (f == WIN_COUNT || f == WIN_CHANGES) ? 0 : NAN;
    switch (f) {
    case WIN_AVG:
        v = total(w, r, i) / (double)count(w, r, i);
        break;
    case WIN_MIN:
        return extreme(w, r, i, WORD_MIN);
    case WIN_MAX:
        return extreme(w, r, i, WORD_MAX);
    case WIN_SUM:
        v = total(w, r, i);
        break;
    case WIN_COUNT:
        return (double)count(w, r, i);
    case WIN_STDDEV:
        v = deviation(w, r, i);
        break;
    case WIN_LAST:
        return get(w, bucket(w, r, r->n - 1u), WORD_LAST);
    case WIN_FIRST:
        return get(w, bucket(w, r, i), WORD_FIRST);
    case WIN_DELTA:
    case WIN_RATE:
        v = trend(w, r, i, f == WIN_RATE);
        break;
    case WIN_CHANGES:
        return (double)changes(w, r, i);
    case WIN_FUNCS:
        break;
    }
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
