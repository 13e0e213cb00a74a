/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: what must stand at both ends, the check sum, the length. */
#include "core/codec_plan_private.h"

struct frame {
    struct codec_span head, tail;
    const struct codec_sum *sum; /* NULL: none */
    struct codec_range over;
    bool has_at, has_over;
    int64_t at;            /* of the check sum */
    bool big;              /* its order */
    bool ascii;            /* it is written in hexadecimal digits */
    bool keep, seek;       /* keep: the result is the whole */
    unsigned length_bytes; /* 0: no length field */
    bool length_little;
    int64_t length_at, length_add; /* its value + length_add is the length of the whole */
};

static uint64_t load(const unsigned char *p, unsigned n, bool little)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[little ? n - 1 - i : i];
    return v;
}

/* Cuts off what stands before the head, and behind the last tail. */
static void seek(const struct frame *t, struct codec_span *s)
{
    const char *p = t->head.n && s->n ? memmem(s->p, s->n, t->head.p, t->head.n) : NULL;
    if (p)
        *s = (struct codec_span){p, s->n - (size_t)(p - s->p)};
    size_t n = s->n;
    while (t->tail.n && n >= t->tail.n &&
           memcmp(s->p + n - t->tail.n, t->tail.p, t->tail.n) != 0)
        n--;
    if (t->tail.n && n >= t->tail.n)
        s->n = n;
}

static int check_ends(const struct frame *t, struct codec_span s, struct codec_fault *f)
{
    if (s.n < t->head.n || (t->head.n && memcmp(s.p, t->head.p, t->head.n) != 0))
        return codec_refuse(f, "does not begin as the frame must", 0);
    if (s.n < t->head.n + t->tail.n ||
        (t->tail.n && memcmp(s.p + s.n - t->tail.n, t->tail.p, t->tail.n) != 0))
        return codec_refuse(f, "does not end as the frame must", s.n);
    return 0;
}

static int check_length(const struct frame *t, struct codec_span *s, struct codec_fault *f)
{
    size_t from, to;
    if (!t->length_bytes)
        return 0;
    if (!codec_resolve((struct codec_range){t->length_at, CODEC_END}, s->n, 0, &from, &to) ||
        to - from < t->length_bytes)
        return codec_refuse(f, "too short for the frame", s->n);
    uint64_t v = load((const unsigned char *)s->p + from, t->length_bytes, t->length_little);
    int64_t n = (int64_t)v + t->length_add; /* at most 4 bytes: no overflow */
    if (t->seek && n > 0 && (uint64_t)n < s->n)
        s->n = (size_t)n;
    if (n < 0 || (uint64_t)n != s->n)
        return codec_refuse_sum(f, "the frame's length does not agree", from);
    return 0;
}

static bool load_ascii(const unsigned char *p, unsigned digits, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < digits; i++) {
        unsigned char l = p[i] | 0x20;
        if (!(p[i] >= '0' && p[i] <= '9') && !(l >= 'a' && l <= 'f'))
            return false;
        v = v << 4 | (uint64_t)(l <= '9' ? l - '0' : l - 'a' + 10);
    }
    *out = v;
    return true;
}

/* Checks the sum; *out_at: where it stands. */
static int check_sum(const struct frame *t, struct codec_span s, size_t *out_at,
                     struct codec_fault *f)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned width = t->sum->width * (t->ascii ? 2 : 1);
    int64_t at = t->has_at ? t->at : -(int64_t)(width + t->tail.n);
    size_t sum_at, end, from = t->head.n, to;
    if (!codec_resolve((struct codec_range){at, CODEC_END}, s.n, 0, &sum_at, &end) ||
        end - sum_at < width)
        return codec_refuse(f, "too short for the frame", s.n);
    to = sum_at;
    if (t->has_over ? !codec_resolve(t->over, s.n, sum_at, &from, &to) : from > to)
        return codec_refuse(f, "too short for the frame", s.n);
    uint64_t want = t->sum->of(t->sum, p + from, to - from), v;
    if (!t->ascii)
        v = load(p + sum_at, width, !t->big);
    else if (!load_ascii(p + sum_at, width, &v))
        return codec_refuse_sum(f, "the check sum is not hexadecimal", sum_at);
    if (v != want)
        return codec_refuse_sum_of(f, "the check sum does not agree", sum_at, t->sum, v, want,
                                   from, to);
    *out_at = sum_at;
    return 0;
}

static int run_frame(const struct codec_op *op, struct codec_span *io, struct buf *out,
                     struct codec_fault *f)
{
    const struct frame *t = op->arg;
    struct codec_span s = *io;
    size_t sum_at = SIZE_MAX;
    int r;
    (void)out;
    if (t->seek)
        seek(t, &s);
    if ((r = check_length(t, &s, f)) < 0 || (r = check_ends(t, s, f)) < 0 ||
        (t->sum && (r = check_sum(t, s, &sum_at, f)) < 0))
        return r;
    if (!t->keep) { /* the inside: without ends, and without the sum if it is the last */
        size_t to = s.n - t->tail.n, width = t->sum ? t->sum->width * (t->ascii ? 2 : 1) : 0;
        if (t->sum && sum_at + width == to && sum_at >= t->head.n)
            to = sum_at;
        s = (struct codec_span){s.p + t->head.n, to - t->head.n};
    }
    *io = s;
    return 0;
}

static bool read_length(struct codec_parse *c, const struct yaml_node *n, struct frame *t)
{
    static const char *const words[] = {"u8", "u16be", "u16le", "u32be", "u32le"};
    const struct yaml_node *at = NULL, *type = NULL, *add = NULL;
    const struct codec_key keys[] = {{"at", &at}, {"type", &type}, {"add", &add}};
    if (!codec_read_map(c, n, keys, 3, "the length of a frame"))
        return false;
    if (!at || !type) {
        conf_error(c->notes, AT(n), "length: expected {at: 2, type: u16be, add: 6}");
        return false;
    }
    int i = codec_read_choice(c, type, "type", words, 5);
    t->length_bytes = i == 0 ? 1 : i < 3 ? 2 : 4;
    t->length_little = i == 2 || i == 4;
    return i >= 0 && codec_read_int(c, at, "at", -65536, 65536, &t->length_at) &&
           (!add || codec_read_int(c, add, "add", -65536, 65536, &t->length_add));
}

static bool read_flags(struct codec_parse *c, const struct yaml_node *endian,
                       const struct yaml_node *keep, const struct yaml_node *seek_,
                       const struct yaml_node *ascii, struct frame *t)
{
    static const char *const words[] = {"le", "be"};
    int i = endian ? codec_read_choice(c, endian, "endian", words, 2) : 0;
    t->big = i == 1;
    return i >= 0 && (!keep || codec_read_bool(c, keep, "keep", &t->keep)) &&
           (!seek_ || codec_read_bool(c, seek_, "seek", &t->seek)) &&
           (!ascii || codec_read_bool(c, ascii, "ascii", &t->ascii));
}

bool codec_parse_frame(struct codec_parse *c, const struct yaml_node *n,
                       const struct yaml_node *map, struct codec_op *op)
{
    const struct yaml_node *frame = NULL, *head = NULL, *tail = NULL, *sum = NULL, *over = NULL,
                           *at = NULL, *endian = NULL, *keep = NULL, *seek_ = NULL,
                           *length = NULL, *ascii = NULL;
    const struct codec_key outer[] = {{"frame", &frame}};
    const struct codec_key keys[] = {{"head", &head},  {"tail", &tail},  {"checksum", &sum},
                                     {"over", &over},  {"at", &at},      {"endian", &endian},
                                     {"keep", &keep},  {"seek", &seek_}, {"length", &length},
                                     {"ascii", &ascii}};
    struct frame *t = codec_take(c, sizeof(*t));
    op->to_bytes = run_frame;
    op->arg = t;
    bool good = codec_read_map(c, map, outer, 1, "a frame");
    good = codec_read_map(c, n, keys, sizeof(keys) / sizeof(keys[0]), "a frame") && good;
    if (!sum && (over || at || endian || ascii)) {
        conf_error(c->notes, AT(n), "over, at, endian and ascii: only with checksum");
        good = false;
    }
    if (seek_ && !head) {
        conf_error(c->notes, AT(seek_), "seek: only with a head to look for");
        good = false;
    }
    t->has_at = at != NULL;
    t->has_over = over != NULL;
    good = (!head || codec_read_hex(c, head, "head", &t->head)) && good;
    good = (!tail || codec_read_hex(c, tail, "tail", &t->tail)) && good;
    good = (!sum || codec_sum_read(c, sum, &t->sum) == 0) && good;
    good = (!over || codec_read_range(c, over, "over", &t->over)) && good;
    good = (!at || codec_read_int(c, at, "at", -65536, 65536, &t->at)) && good;
    good = (!length || read_length(c, length, t)) && good;
    return read_flags(c, endian, keep, seek_, ascii, t) && good;
}
