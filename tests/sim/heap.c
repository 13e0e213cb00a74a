/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/heap.h"
#include "sim/own.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

enum { HEAD = 16, SMALL = 64, CLASSES = SMALL + 4 * 48 };
#define ROOM  ((size_t)1 << 36) /* of each; only addresses, until they are used */
#define LARGE ((size_t)262144)  /* from here on: given back to the system, and is zero again */
#define PLACE ((uintptr_t)1 << 44) /* far from programs, libraries and stacks */

struct head {             /* before each block */
    uint32_t class, back; /* back: from an aligned block to the true one */
    uint64_t pad;
};
struct spare {
    struct spare *next;
};
struct store {
    char *base, *at, *touched; /* behind `touched` all is zero */
    struct spare *spares[CLASSES];
};

_Static_assert(sizeof(struct head) == HEAD, "blocks are aligned by it");

enum { OWN, LIFE, LIFE_LARGE, STORES };
static struct store stores[STORES];
static bool alive, poisons;

/* 16 bytes apart, then four steps to each power of two. */
static unsigned class_of(size_t n)
{
    size_t k = (n + 15) / 16;
    if (k <= SMALL)
        return (unsigned)k;
    unsigned top = 63u - (unsigned)__builtin_clzll(k - 1);
    return SMALL + (top - 6) * 4 + (unsigned)((k - 1) >> (top - 2) & 3) + 1;
}

static size_t room_of(unsigned class)
{
    if (class <= SMALL)
        return class * (size_t)16;
    unsigned i = class - SMALL - 1;
    return ((size_t)(i % 4 + 5) << (i / 4 + 4)) * 16;
}

static struct head *head_of(void *p)
{
    struct head *h = (struct head *)(void *)((char *)p - HEAD);
    return h->back ? (struct head *)(void *)((char *)h - h->back) : h;
}

static struct store *store_of(const void *p)
{
    size_t i = (size_t)((const char *)p - stores[0].base) / ROOM;
    return &stores[i];
}

/* Always at the same address: igzip's body of level 1 (libisal 2.30) takes a hash of bits of its
 * stream's address where it means the input, so that one block in a thousand is packed otherwise,
 * and then a log is longer, elsewhere. */
static void open_stores(void)
{
    char *p = mmap((void *)PLACE, STORES * ROOM, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != (char *)PLACE) /* an old kernel takes the address for advice */
        abort();
    for (size_t i = 0; i < STORES; i++)
        stores[i].base = stores[i].at = stores[i].touched = p + i * ROOM;
}

static void *get(size_t n, bool *out_zero)
{
    if (!stores[0].base)
        open_stores();
    unsigned class = class_of(n);
    size_t room = room_of(class);
    struct store *s = &stores[!alive || sim_own ? OWN : room < LARGE ? LIFE : LIFE_LARGE];
    struct spare *f = s->spares[class];
    *out_zero = false;
    if (f) {
        s->spares[class] = f->next;
        return f;
    }
    struct head *h = (struct head *)(void *)s->at;
    if (s->at + HEAD + room > s->base + ROOM)
        return NULL;
    *out_zero = s->at >= s->touched;
    s->at += HEAD + room;
    if (s->at > s->touched)
        s->touched = s->at;
    h->class = class;
    h->back = 0;
    return (char *)h + HEAD;
}

void *malloc(size_t n)
{
    bool zero;
    void *p = n < ROOM / 2 ? get(n, &zero) : NULL;
    if (!p)
        errno = ENOMEM;
    return p;
}

void free(void *p)
{
    if (!p)
        return;
    struct head *h = head_of(p);
    struct spare *f = (struct spare *)(void *)((char *)h + HEAD);
    struct store *s = store_of(p);
    if (h->class == 0)
        return; /* of no bytes */
    f->next = s->spares[h->class];
    s->spares[h->class] = f;
}

void *calloc(size_t n, size_t size)
{
    size_t all;
    bool zero;
    void *p = NULL;
    if (!__builtin_mul_overflow(n, size, &all) && all < ROOM / 2)
        p = get(all, &zero);
    if (!p)
        errno = ENOMEM;
    else if (!zero)
        memset(p, 0, all);
    return p;
}

size_t malloc_usable_size(void *p)
{
    if (!p)
        return 0;
    struct head *h = head_of(p);
    return room_of(h->class) - (size_t)((char *)p - ((char *)h + HEAD));
}

void *realloc(void *p, size_t n)
{
    size_t had = malloc_usable_size(p);
    if (p && n <= had && had / 4 <= n)
        return p;
    void *to = malloc(n);
    if (to && p) {
        memcpy(to, p, n < had ? n : had);
        free(p);
    }
    return to;
}

void *memalign(size_t align, size_t n)
{
    char *p = malloc(n + align + HEAD), *to = p;
    if (!p || align <= 16)
        return p;
    to = p + HEAD + (align - (uintptr_t)(p + HEAD) % align) % align;
    struct head *h = (struct head *)(void *)(to - HEAD);
    *h = (struct head){.back = (uint32_t)(to - p)};
    return to;
}

void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    void *p = memalign(align, n);
    if (p)
        *out = p;
    return p ? 0 : ENOMEM;
}

const void *heap_place(void)
{
    if (!stores[0].base)
        open_stores();
    return stores[0].base;
}

void heap_poison(bool on)
{
    poisons = on;
}

void heap_life(bool begins)
{
    alive = begins;
    if (!begins || !stores[0].base)
        return;
    for (size_t i = LIFE; i < STORES; i++) {
        struct store *s = &stores[i];
        if (poisons)
            memset(s->base, 0xdb, (size_t)(s->at - s->base));
        if (i == LIFE_LARGE && s->at > s->base && !poisons) {
            (void)madvise(s->base, (size_t)(s->at - s->base), MADV_DONTNEED);
            s->touched = s->base;
        }
        s->at = s->base;
        memset(s->spares, 0, sizeof(s->spares));
    }
}

#else

const void *heap_place(void)
{
    return NULL;
}

void heap_poison(bool on)
{
    (void)on;
}

void heap_life(bool begins)
{
    (void)begins;
}

#endif
