/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

static bool follows(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_char(const char *p, size_t len)
{
    const unsigned char *u = (const unsigned char *)p;
    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xc2 || u[0] > 0xf4 || len < 2 || !follows(u[1]))
        return 0;
    if (u[0] < 0xe0)
        return 2;
    if (len < 3 || !follows(u[2]))
        return 0;
    if (u[0] < 0xf0) {
        bool overlong = u[0] == 0xe0 && u[1] < 0xa0;
        bool surrogate = u[0] == 0xed && u[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    bool overlong = u[0] == 0xf0 && u[1] < 0x90;
    bool too_high = u[0] == 0xf4 && u[1] > 0x8f;
    return len < 4 || !follows(u[3]) || overlong || too_high ? 0 : 4;
}

bool utf8_valid(const char *p, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t w;
        if (len - i >= sizeof(w)) {
            memcpy(&w, p + i, sizeof(w));
            if (!(w & UINT64_C(0x8080808080808080))) {
                i += sizeof(w);
                continue;
            }
        }
        size_t n = utf8_char(p + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

int utf8_clean(struct buf *b, const char *p, size_t len)
{
    size_t start = b->len, i = 0;
    while (i < len) {
        size_t n = 0, step;
        while (i + n < len && (step = utf8_char(p + i + n, len - i - n)) > 0)
            n += step;
        int r = buf_put(b, p + i, n);
        i += n;
        if (r == 0 && i < len) {
            r = buf_puts(b, "\xef\xbf\xbd");
            i++;
        }
        if (r < 0) {
            b->len = start;
            return r;
        }
    }
    return 0;
}

void utf8_mend(char *s)
{
    size_t len = strlen(s), to = 0;
    if (utf8_valid(s, len))
        return;
    for (size_t i = 0; i < len;) {
        size_t n = utf8_char(s + i, len - i);
        memmove(s + to, s + i, n);
        to += n;
        i += n ? n : 1;
    }
    s[to] = '\0';
}
