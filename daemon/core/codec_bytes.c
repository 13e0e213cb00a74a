/* SPDX-License-Identifier: Apache-2.0 */
/* Steps from bytes to bytes: hex, base64, reverse, slice. */
#include "core/codec_plan_private.h"

static inline bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline int hex_digit(unsigned char c)
{
    unsigned char l = c | 0x20;
    return c >= '0' && c <= '9' ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Either case, blanks between digits, 0x before the first. */
int codec_hex(const struct codec_op *op, struct codec_span *io, struct buf *out,
              struct codec_fault *f)
{
    const unsigned char *p = (const unsigned char *)io->p;
    size_t n = io->n, i = 0, made = 0;
    int high = -1;
    (void)op;
    char *to = buf_room(out, n / 2 + JSON_PADDING);
    if (!to)
        return -E2BIG;
    while (i < n && is_blank(p[i]))
        i++;
    if (n - i >= 2 && p[i] == '0' && (p[i + 1] | 0x20) == 'x')
        i += 2;
    for (; i < n; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0 && is_blank(p[i]))
            continue;
        if (digit < 0)
            return codec_refuse(f, "not hexadecimal", i);
        if (high < 0) {
            high = digit;
        } else {
            to[made++] = (char)(high << 4 | digit);
            high = -1;
        }
    }
    if (high >= 0)
        return codec_refuse(f, "hexadecimal with half a byte at its end", n);
    buf_commit(out, made);
    *io = (struct codec_span){to, made};
    return 0;
}

/* RFC 4648 sections 4 and 5: value of a character + 1, so that what is not named is 0. */

#define B4(c, v) [c] = (v) + 1, [(c) + 1] = (v) + 2, [(c) + 2] = (v) + 3, [(c) + 3] = (v) + 4
static const uint8_t b64[256] = {
    B4('A', 0),  B4('E', 4),  B4('I', 8),  B4('M', 12), B4('Q', 16), B4('U', 20),
    ['Y'] = 25,  ['Z'] = 26,  B4('a', 26), B4('e', 30), B4('i', 34), B4('m', 38),
    B4('q', 42), B4('u', 46), ['y'] = 51,  ['z'] = 52,  B4('0', 52), B4('4', 56),
    ['8'] = 61,  ['9'] = 62,  ['+'] = 63,  ['/'] = 64,  ['-'] = 63,  ['_'] = 64,
};

/* Whole groups of four without anything special; how many characters were taken. */
static size_t b64_groups(const unsigned char *p, size_t n, char *to)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4, to += 3) {
        unsigned a = b64[p[i]], b = b64[p[i + 1]], c = b64[p[i + 2]], d = b64[p[i + 3]];
        if (((a - 1) | (b - 1) | (c - 1) | (d - 1)) > 63) /* one of them is 0 */
            break;
        uint32_t v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        to[0] = (char)(v >> 16);
        to[1] = (char)(v >> 8);
        to[2] = (char)v;
    }
    return i;
}

/* A last group as most end, "xx==" or "xxx="; how many bytes it makes, 0: it is another. */
static size_t b64_end(const unsigned char *p, char *to)
{
    unsigned a = b64[p[0]], b = b64[p[1]], c = b64[p[2]];
    if (!a || !b || (!c && p[2] != '=') || p[3] != '=')
        return 0;
    to[0] = (char)((a - 1) << 2 | (b - 1) >> 4);
    if (!c)
        return 1;
    to[1] = (char)((b - 1) << 4 | (c - 1) >> 2);
    return 2;
}

/* Both alphabets, blanks anywhere, padding or none. */
int codec_base64(const struct codec_op *op, struct codec_span *io, struct buf *out,
                 struct codec_fault *f)
{
    const unsigned char *p = (const unsigned char *)io->p;
    size_t n = io->n, pads = 0;
    uint32_t v = 0;
    unsigned have = 0; /* characters of the group */
    (void)op;
    char *to = buf_room(out, n / 4 * 3 + 3 + JSON_PADDING);
    if (!to)
        return -E2BIG;
    size_t i = b64_groups(p, n, to), made = i / 4 * 3;
    size_t end = n - i == 4 ? b64_end(p + i, to + made) : 0;
    if (end) {
        made += end;
        i = n;
    }
    for (; i < n; i++) {
        if (is_blank(p[i]))
            continue;
        if (p[i] == '=') {
            if (++pads > 2)
                return codec_refuse(f, "base64 with too much padding", i);
            continue;
        }
        if (!b64[p[i]] || pads)
            return codec_refuse(f, "not base64", i);
        v = v << 6 | (b64[p[i]] - 1u);
        if (++have == 4) {
            to[made++] = (char)(v >> 16);
            to[made++] = (char)(v >> 8);
            to[made++] = (char)v;
            have = 0;
            v = 0;
        }
    }
    if (have == 1 || (pads && have + pads != 4))
        return codec_refuse(f, "base64 that is cut off", n);
    if (have >= 2)
        to[made++] = (char)(have == 2 ? v >> 4 : v >> 10);
    if (have == 3)
        to[made++] = (char)(v >> 2);
    buf_commit(out, made);
    *io = (struct codec_span){to, made};
    return 0;
}

int codec_reverse(const struct codec_op *op, struct codec_span *io, struct buf *out,
                  struct codec_fault *f)
{
    (void)op;
    (void)f;
    char *to = buf_room(out, io->n + JSON_PADDING);
    if (!to)
        return -E2BIG;
    for (size_t i = 0; i < io->n; i++)
        to[i] = io->p[io->n - 1 - i];
    buf_commit(out, io->n);
    io->p = to;
    return 0;
}

static int slice(const struct codec_op *op, struct codec_span *io, struct buf *out,
                 struct codec_fault *f)
{
    const struct codec_range *r = op->arg;
    size_t from, to;
    (void)out;
    if (!codec_resolve(*r, io->n, 0, &from, &to))
        return codec_refuse(f, "too short for the slice", io->n);
    *io = (struct codec_span){io->p + from, to - from};
    return 0;
}

bool codec_parse_slice(struct codec_parse *c, const struct yaml_node *n,
                       const struct yaml_node *map, struct codec_op *op)
{
    const struct yaml_node *range = NULL;
    struct codec_range *r = codec_take(c, sizeof(*r));
    const struct codec_key keys[] = {{"slice", &range}};
    op->to_bytes = slice;
    op->arg = r;
    return codec_read_map(c, map, keys, 1, "a slice") && codec_read_range(c, n, "slice", r);
}
