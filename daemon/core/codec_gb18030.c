/* SPDX-License-Identifier: Apache-2.0 */
/* GB18030 text (and GBK and GB2312, which it contains) as UTF-8. */
#include "core/codec_plan_private.h"

#include <iconv.h>
#include <stdint.h>

static int convert(iconv_t cd, struct buf *out, const char *p, size_t n)
{
    char *in = (char *)(uintptr_t)p; /* iconv does not write there */
    while (n) {
        size_t room = 4 * n; /* a byte may become U+FFFD, four bytes one of four */
        char *to = buf_room(out, room), *at = to;
        if (!to)
            return -E2BIG;
        size_t r = iconv(cd, &in, &n, &at, &room);
        buf_commit(out, (size_t)(at - to));
        if (r == (size_t)-1 && n) { /* a byte that belongs to no character */
            if (buf_puts(out, "\xef\xbf\xbd") < 0)
                return -E2BIG;
            in++;
            n--;
            (void)iconv(cd, NULL, NULL, NULL, NULL);
        }
    }
    return 0;
}

int codec_put_gb18030(struct codec_run *x, struct doc *d, const char *p, size_t n)
{
    if (!x->gb18030_open) {
        x->gb18030 = iconv_open("UTF-8", "GB18030");
        x->gb18030_open = true;
    }
    if (x->gb18030 == (iconv_t)-1) /* a libc without it: at least the ASCII */
        return codec_put_text(x, d, p, n);
    buf_clear(&x->text);
    int r = convert(x->gb18030, &x->text, p, n);
    return r < 0 ? r : doc_text(d, x->text.data, x->text.len);
}

void codec_close_gb18030(struct codec_run *x)
{
    if (x->gb18030_open && x->gb18030 != (iconv_t)-1)
        (void)iconv_close(x->gb18030);
}
