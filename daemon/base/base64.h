/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H
/*
 * base64 — bytes as text and back (RFC 4648 section 4, with padding). Pure.
 */
#include "base/buf.h"

int base64_put(struct buf *b, const void *p, size_t n); /* 0 or -ENOBUFS */
/* Appends the bytes. Strict: no blanks, full padding. 0, -EINVAL (nothing appended), -ENOBUFS. */
int base64_get(struct buf *b, const char *text, size_t n);

#endif
