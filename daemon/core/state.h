/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STATE_H
#define CORE_STATE_H
/*
 * state — how the engine's parts write what they know for a snapshot, and read it again.
 *
 * Little endian, one after the other, nothing in between: numbers of one to eight bytes, names
 * behind one byte of length, texts behind four, doubles as their bits (one NaN is like another),
 * structs as they lie in memory. The same state gives the same bytes. What stands where, and from
 * which version on, is the part's own business (docs/snapshot.md).
 *
 * The writer hands its bytes on in pieces or leaves them in a buffer. It remembers the first
 * failure and hands nothing on any more: who writes asks once, at the end.
 *
 * The reader trusts nothing. It never leaves its bytes, remembers that something was not as it has
 * to be, and from then on gives zeros and empty texts: who reads may go on to the next place where
 * it matters, and must do so before memory is sized, or an index used, by what was read.
 *
 * Embedded; no threads of its own.
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they lie");

/* -- writing ------------------------------------------------------------------------------- */

#define STATE_NAME_MAX 255

/* 0, or -errno, which is remembered. */
typedef int state_put_fn(void *ctx, const void *p, size_t n);

struct state_writer {
    struct buf *b;     /* where the next bytes go */
    state_put_fn *put; /* NULL: there they stay */
    void *ctx;
    struct buf room; /* b, if they do not */
    int failed;
};

/* To `put`, in pieces of at most 64 KiB. w must not move until it is done. */
void state_writer_init(struct state_writer *w, state_put_fn *put, void *ctx);
/* All of it behind what is in b, which is the caller's and stays when the writer is done. */
void state_writer_into(struct state_writer *w, struct buf *b);
/* The last piece. 0, or the first failure: put's, or -ENOBUFS. */
int state_writer_done(struct state_writer *w);

void state_put_far(struct state_writer *w, const void *p, size_t n); /* is state_put's */
static inline void state_put(struct state_writer *w, const void *p, size_t n)
{
    struct buf *b = w->b;
    if (n > 0 && n <= b->cap - b->len) { /* so it has memory */
        memcpy(b->data + b->len, p, n);
        b->len += n;
    } else {
        state_put_far(w, p, n);
    }
}

static inline void state_put_u64(struct state_writer *w, uint64_t v)
{
    state_put(w, &v, sizeof(v));
}

/* The lower `bytes` (1 to 8) of v. */
static inline void state_put_uint(struct state_writer *w, uint64_t v, unsigned bytes)
{
    state_put(w, &v, bytes);
}

static inline void state_put_u8(struct state_writer *w, unsigned v)
{
    state_put_uint(w, v, 1);
}

void state_put_double(struct state_writer *w, double v);
void state_put_name(struct state_writer *w, const char *s); /* cut at STATE_NAME_MAX */
void state_put_text(struct state_writer *w, const char *s); /* NULL is another than "" */

/* -- reading ------------------------------------------------------------------------------- */

struct state_reader {
    const char *p, *end;
    bool failed;
    uint64_t version; /* the caller's, for parts that read more than one */
};

static inline void state_expect(struct state_reader *r, bool good)
{
    r->failed |= !good;
}

static inline size_t state_left(const struct state_reader *r)
{
    return (size_t)(r->end - r->p);
}

/* Was all of it read, and was it good? */
static inline bool state_all_read(const struct state_reader *r)
{
    return !r->failed && r->p == r->end;
}

/* The next n bytes where they lie; NULL: there are fewer. */
static inline const char *state_get_bytes(struct state_reader *r, uint64_t n)
{
    const char *p = r->p;
    if (r->failed || n > state_left(r)) {
        r->failed = true;
        return NULL;
    }
    r->p += n;
    return p;
}

/* A copy of them; zeros. */
static inline void state_get(struct state_reader *r, void *out, size_t n)
{
    const char *p = state_get_bytes(r, n);
    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}

static inline uint64_t state_get_u64(struct state_reader *r)
{
    uint64_t v;
    state_get(r, &v, sizeof(v));
    return v;
}

static inline uint64_t state_get_uint(struct state_reader *r, unsigned bytes) /* 1 to 8 */
{
    uint64_t v = 0;
    state_get(r, &v, bytes);
    return v;
}

static inline unsigned state_get_u8(struct state_reader *r)
{
    return (unsigned)state_get_uint(r, 1);
}

/* Good if it is not above `most`. */
static inline uint64_t state_get_up_to(struct state_reader *r, uint64_t most)
{
    uint64_t v = state_get_u64(r);
    state_expect(r, v <= most);
    return r->failed ? 0 : v;
}

double state_get_double(struct state_reader *r); /* any, NaN and infinities too */
/* Good if there is no NUL in it. */
void state_get_name(struct state_reader *r, char out[STATE_NAME_MAX + 1]);
/* free(). Good if it is UTF-8 of at most `max` bytes without NUL. NULL: it was; not good if it is
 * needed. */
char *state_get_text(struct state_reader *r, size_t max, bool needed);

#endif
