/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->data && n <= b->cap - b->len)
        return b->data + b->len;
    if (n > b->max || b->len > b->max - n) {
        b->failed = true;
        return NULL;
    }
    size_t cap = b->cap ? b->cap : b->max < 256 ? b->max : 256;
    while (cap < b->len + n)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    b->data = mem_realloc_array(b->data, cap + 1, 1); /* and a NUL for buf_cstr */
    b->cap = cap;
    return b->data + b->len;
}

int buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return 0;
    char *at = buf_room(b, n);
    if (!at)
        return -ENOBUFS;
    memcpy(at, p, n);
    b->len += n;
    return 0;
}

int buf_puts(struct buf *b, const char *s)
{
    return buf_put(b, s, strlen(s));
}

int buf_putc(struct buf *b, char c)
{
    if (!b->data || b->len == b->cap)
        return buf_put(b, &c, 1);
    b->data[b->len++] = c;
    return 0;
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    size_t left = b->data ? b->cap - b->len : 0; /* and the NUL's place */
    va_copy(again, ap);
    int n = vsnprintf(b->data ? b->data + b->len : NULL, b->data ? left + 1 : 0, fmt, again);
    va_end(again);
    if (n < 0)
        return -EINVAL;
    if (!b->data || (size_t)n > left) {
        char *at = buf_room(b, (size_t)n);
        if (!at)
            return -ENOBUFS;
        (void)vsnprintf(at, (size_t)n + 1, fmt, ap);
    }
    b->len += (size_t)n;
    return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return r;
}

const char *buf_cstr(struct buf *b)
{
    if (!b->data)
        return "";
    b->data[b->len] = '\0';
    return b->data;
}
