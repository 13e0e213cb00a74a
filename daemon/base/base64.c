/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <errno.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_put(struct buf *b, const void *p, size_t n)
{
    const unsigned char *u = p;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned v = (unsigned)u[i] << 16 | (left > 1 ? (unsigned)u[i + 1] << 8 : 0) |
                     (left > 2 ? u[i + 2] : 0u);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                        left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};
        if (buf_put(b, four, sizeof(four)) != 0)
            return -ENOBUFS;
    }
    return 0;
}

static int value_of(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Four characters into one to three bytes; 0 when they are none. */
static size_t quad(const char *s, bool last, unsigned char out[3])
{
    size_t n = !last ? 3 : s[3] != '=' ? 3 : s[2] != '=' ? 2 : 1;
    unsigned v = 0;
    for (size_t i = 0; i < 4; i++) {
        int d = i <= n ? value_of(s[i]) : 0;
        if (d < 0)
            return 0;
        v = v << 6 | (unsigned)d;
    }
    if (n < 3 && (v & ((1u << (8 * (3 - n))) - 1))) /* bits that say nothing must be zero */
        return 0;
    out[0] = (unsigned char)(v >> 16);
    out[1] = (unsigned char)(v >> 8);
    out[2] = (unsigned char)v;
    return n;
}

int base64_get(struct buf *b, const char *text, size_t n)
{
    size_t before = b->len;
    if (n % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i += 4) {
        unsigned char three[3];
        size_t k = quad(text + i, i + 4 == n, three);
        int r = k == 0 ? -EINVAL : buf_put(b, three, k);
        if (r != 0) {
            b->len = before;
            return r;
        }
    }
    return 0;
}
