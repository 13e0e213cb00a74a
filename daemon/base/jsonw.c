/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonw.h"

#include "base/num.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

void jsonw_init(struct jsonw *w, struct buf *out)
{
    *w = (struct jsonw){.out = out};
}

/* Bytes that stand in a string as they are: all but a few do, so they are copied in runs. */
static size_t plain(const char *s, size_t n, bool valid)
{
    size_t i = 0;
    for (; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\' || c < 0x20 || c == 0x7f || (c >= 0x80 && !valid))
            break;
    }
    return i;
}

static void put_string(struct buf *b, const char *s, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    bool valid = utf8_valid(s, n);
    (void)buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        size_t run = plain(s + i, n - i, valid);
        (void)buf_put(b, s + i, run);
        i += run;
        if (i == n)
            break;
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') {
            (void)buf_putc(b, '\\');
            (void)buf_putc(b, (char)c);
        } else if (c == '\n') {
            (void)buf_puts(b, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            (void)buf_put(b, u, sizeof(u));
        } else {
            (void)buf_puts(b, "\xef\xbf\xbd");
        }
    }
    (void)buf_putc(b, '"');
}

static void begin(struct jsonw *w, const char *key)
{
    if (w->comma)
        (void)buf_putc(w->out, ',');
    w->comma = true;
    if (key) {
        put_string(w->out, key, strlen(key));
        (void)buf_putc(w->out, ':');
    }
}

void jsonw_object(struct jsonw *w, const char *key)
{
    begin(w, key);
    (void)buf_putc(w->out, '{');
    w->comma = false;
}

void jsonw_end_object(struct jsonw *w)
{
    (void)buf_putc(w->out, '}');
    w->comma = true;
}

void jsonw_array(struct jsonw *w, const char *key)
{
    begin(w, key);
    (void)buf_putc(w->out, '[');
    w->comma = false;
}

void jsonw_end_array(struct jsonw *w)
{
    (void)buf_putc(w->out, ']');
    w->comma = true;
}

void jsonw_str(struct jsonw *w, const char *key, const char *s)
{
    if (s)
        jsonw_strn(w, key, s, strlen(s));
    else
        jsonw_null(w, key);
}

void jsonw_strn(struct jsonw *w, const char *key, const char *s, size_t n)
{
    begin(w, key);
    put_string(w->out, s, n);
}

void jsonw_u64(struct jsonw *w, const char *key, uint64_t v)
{
    char text[24];
    begin(w, key);
    (void)buf_put(w->out, text, num_put_u64(text, v));
}

void jsonw_i64(struct jsonw *w, const char *key, int64_t v)
{
    char text[24];
    begin(w, key);
    (void)buf_put(w->out, text, num_put_i64(text, v));
}

void jsonw_double(struct jsonw *w, const char *key, double v)
{
    begin(w, key);
    char text[40];
    if (isfinite(v))
        (void)buf_put(w->out, text, num_put_double(text, v));
    else
        (void)buf_puts(w->out, "null");
}

void jsonw_bool(struct jsonw *w, const char *key, bool v)
{
    begin(w, key);
    (void)buf_puts(w->out, v ? "true" : "false");
}

void jsonw_null(struct jsonw *w, const char *key)
{
    begin(w, key);
    (void)buf_puts(w->out, "null");
}

void jsonw_raw(struct jsonw *w, const char *key, const char *json, size_t n)
{
    begin(w, key);
    (void)buf_put(w->out, json, n);
}
