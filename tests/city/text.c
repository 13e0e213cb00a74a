/* SPDX-License-Identifier: Apache-2.0 */
#include "city/text.h"

#include <math.h>

char *text_padded(char *at, uint64_t v, int width)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (; width > n; width--)
        *at++ = '0';
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

char *text_int(char *at, int64_t v)
{
    if (v >= 0)
        return text_padded(at, (uint64_t)v, 1);
    *at++ = '-';
    return text_padded(at, -(uint64_t)v, 1);
}

char *text_hex16(char *at, uint64_t v)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[v >> shift & 15];
    return at;
}

char *text_fixed(char *at, double v, int decimals)
{
    static const double scales[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
    int64_t n = llround(v * scales[decimals]);
    if (n < 0) {
        *at++ = '-';
        n = -n;
    }
    uint64_t scale = (uint64_t)scales[decimals];
    at = text_padded(at, (uint64_t)n / scale, 1);
    if (decimals == 0)
        return at;
    *at++ = '.';
    return text_padded(at, (uint64_t)n % scale, decimals);
}
