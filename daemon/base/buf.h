/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H
/*
 * buf — a growable byte buffer born with its ceiling.
 *
 * Embedded (init/done). Growth past `max` fails with -ENOBUFS and leaves the content as it was;
 * `failed` stays set until buf_clear(), so that a run of puts can be checked once at its end.
 * The data is not NUL-terminated unless buf_cstr() is used. Not thread-safe.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len, cap, max;
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees, keeps max; usable again */
void buf_clear(struct buf *b);

/* Room for n (may be 0) more bytes at the returned place, or NULL (and failed). buf_commit(n)
 * takes them. */
char *buf_room(struct buf *b, size_t n);
static inline void buf_commit(struct buf *b, size_t n)
{
    b->len += n;
}

int buf_put(struct buf *b, const void *p, size_t n); /* 0 or -ENOBUFS */
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
const char *buf_cstr(struct buf *b); /* valid until the next change; the NUL is beyond max */

#endif
