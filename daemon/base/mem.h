/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEM_H
#define BASE_MEM_H
/*
 * mem — allocation that cannot fail.
 *
 * Running out of memory aborts (restart is cheap: the journal holds everything). Whatever is
 * sized by input goes through `buf` or `arena` with a ceiling instead of relying on this.
 * Thread-safe like malloc. Free with free().
 */
#include <stddef.h>

void *mem_zalloc(size_t n);                    /* n zeroed bytes, n may be 0 */
void *mem_zalloc_array(size_t n, size_t size); /* overflow aborts */
/* The same for tables that stay and are touched all over: where they are very large and the system
 * has large pages, in those. They are quicker to get and to find, and a process that is copied
 * (io/image.h) has one entry to copy for each instead of 512. */
#define MEM_LARGE ((size_t)8 << 20) /* bytes; below, what is not touched would count */
void *mem_zalloc_large(size_t n, size_t size);
void *mem_realloc_array(void *p, size_t n, size_t size); /* new bytes are not zeroed */
void *mem_dup(const void *p, size_t n);
char *mem_strdup(const char *s);                    /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n);         /* always NUL-terminated */
void mem_exhausted(void) __attribute__((noreturn)); /* what the others do when there is none */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
