/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE ((uintptr_t)2 << 20)

void mem_exhausted(void)
{
    fputs("<2>out of memory\n", stderr);
    abort();
}

static void *must(void *p)
{
    if (p == NULL)
        mem_exhausted();
    return p;
}

void *mem_zalloc(size_t n)
{
    return must(calloc(1, n ? n : 1));
}

void *mem_zalloc_array(size_t n, size_t size)
{
    return must(calloc(n ? n : 1, size ? size : 1));
}

/* Whether the system follows the advice is its own affair. */
void *mem_zalloc_large(size_t n, size_t size)
{
    void *p = mem_zalloc_array(n, size);
    uintptr_t from = ((uintptr_t)p + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    uintptr_t to = ((uintptr_t)p + n * size) & ~(LARGE_PAGE - 1);
    if (n * size >= MEM_LARGE && from < to)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
    return p;
}

void *mem_realloc_array(void *p, size_t n, size_t size)
{
    if (n == 0 || size == 0)
        n = size = 1;
    return must(reallocarray(p, n, size));
}

void *mem_dup(const void *p, size_t n)
{
    void *d = must(malloc(n ? n : 1));
    if (n)
        memcpy(d, p, n);
    return d;
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t n)
{
    char *d = must(malloc(n + 1));
    if (n)
        memcpy(d, s, n);
    d[n] = '\0';
    return d;
}

char *mem_printf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return must(n < 0 ? NULL : s);
}
