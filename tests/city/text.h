/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_TEXT_H
#define CITY_TEXT_H
/*
 * text — writing numbers quickly. The feed is a measuring instrument: what it spends on printf
 * would be missing from what it measures. Each returns the place after the last byte; nothing
 * is NUL-terminated; the caller has the room (20 bytes a number).
 */
#include <stdint.h>
#include <string.h>

static inline char *text_str(char *at, const char *s)
{
    size_t n = strlen(s);
    memcpy(at, s, n);
    return at + n;
}

char *text_int(char *at, int64_t v);
char *text_padded(char *at, uint64_t v, int width); /* zeros in front */
char *text_hex16(char *at, uint64_t v);
char *text_fixed(char *at, double v, int decimals); /* 0 to 6; |v| < 1e12 */

#endif
