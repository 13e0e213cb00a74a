/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
/*
 * utf8 — is it valid, and what to do when it is not.
 *
 * Valid as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is valid.
 * Pure and thread-safe.
 */
#include "base/buf.h"

/* Fast for text that is mostly ASCII. */
bool utf8_valid(const char *p, size_t len);

/* The length (1 to 4) of the valid character at p, or 0; len ≥ 1. */
size_t utf8_char(const char *p, size_t len);

/* Appends the text, each byte that belongs to no valid character replaced by U+FFFD.
 * 0, or -ENOBUFS with b as it was. */
int utf8_clean(struct buf *b, const char *p, size_t len);

/* Takes out of a text, in place, what belongs to no valid character: a "%.64s" may have cut one. */
void utf8_mend(char *s);

#endif
