/* SPDX-License-Identifier: Apache-2.0 */
#include "core/strange.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, SETS = STRANGE_NAMES / WAYS };

/* Each name has its set of a few places, so that to find it, and to make room for it, is cheap even
 * when every message brings new ones. */
struct strange {
    uint64_t hash[SETS][WAYS]; /* 0: free */
    struct strange_name names[SETS][WAYS];
    uint64_t gone;
};

struct strange *strange_new(void)
{
    return mem_zalloc(sizeof(struct strange));
}

void strange_free(struct strange *s)
{
    free(s);
}

void strange_clear(struct strange *s)
{
    memset(s, 0, sizeof(*s));
}

static void put(char to[STRANGE_TEXT + 1], const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && n < STRANGE_TEXT) { /* a NUL would end what people read */
        to[n] = text[n] ? text[n] : ' ';
        n++;
    }
    to[n] = '\0';
    utf8_mend(to);
}

static void put_word(char to[STRANGE_TEXT + 1], const char *text)
{
    put(to, text ? text : "", text ? strlen(text) : 0);
}

/* A free place, or that of the name which is missed least. */
static size_t place_in(struct strange *s, size_t set)
{
    size_t best = 0;
    for (size_t i = 0; i < WAYS; i++) {
        const struct strange_name *n = &s->names[set][i], *b = &s->names[set][best];
        if (s->hash[set][i] == 0)
            return i;
        if (n->count < b->count || (n->count == b->count && n->last_ms < b->last_ms))
            best = i;
    }
    s->gone++;
    return best;
}

static uint64_t mix(uint64_t seed, const char *word)
{
    return word ? hash64(seed, word, strlen(word) + 1) : seed;
}

void strange_note(struct strange *s, const char *profile, const char *kind, const char *name,
                  size_t len, const char *device, int64_t at_ms)
{
    uint64_t h = mix(mix(hash64(11, name, len), profile), kind) | 1;
    size_t set = (size_t)(h >> 32) % SETS, i = 0;
    while (i < WAYS && s->hash[set][i] != h)
        i++;
    if (i == WAYS) {
        i = place_in(s, set);
        struct strange_name *n = &s->names[set][i];
        s->hash[set][i] = h;
        *n = (struct strange_name){.first_ms = at_ms};
        put_word(n->profile, profile);
        put_word(n->kind, kind);
        put(n->name, name, len);
    }
    struct strange_name *n = &s->names[set][i];
    n->count++;
    n->last_ms = at_ms;
    if (device)
        put_word(n->device, device);
}

static int by_count(const void *a, const void *b)
{
    const struct strange_name *x = *(const struct strange_name *const *)a,
                              *y = *(const struct strange_name *const *)b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    int k = strcmp(x->profile, y->profile);
    k = k ? k : strcmp(x->name, y->name);
    return k ? k : strcmp(x->kind, y->kind);
}

size_t strange_list(const struct strange *s, const struct strange_name *out[STRANGE_NAMES])
{
    size_t n = 0;
    for (size_t i = 0; s && i < SETS; i++)
        for (size_t k = 0; k < WAYS; k++)
            if (s->hash[i][k])
                out[n++] = &s->names[i][k];
    qsort(out, n, sizeof(*out), by_count);
    return n;
}

uint64_t strange_gone(const struct strange *s)
{
    return s ? s->gone : 0;
}
