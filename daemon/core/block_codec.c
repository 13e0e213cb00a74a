/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a block: docs/outbound.md has the layout. */
#include "core/block.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC   0x424f4847u /* "GHOB" */
#define VERSION 1
#define CRC_AT  12

enum { FLAG_GZIP = 1, FLAG_KEEP = 2, FLAG_MORE = 4, FLAG_SHED = 8, FLAG_ALL = 15 };

static void put32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (8 * i));
}

static void put64(char *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const unsigned char *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static size_t padded(size_t n)
{
    return (n + BLOCK_ALIGN - 1) & ~(size_t)(BLOCK_ALIGN - 1);
}

/* Header checksum: over all of it, its own four bytes as zero. */
static uint32_t header_crc(const void *p, size_t n)
{
    static const char zero[4];
    const char *c = p;
    uint32_t crc = crc32c(0, c, CRC_AT);
    crc = crc32c(crc, zero, sizeof(zero));
    return crc32c(crc, c + CRC_AT + 4, n - CRC_AT - 4);
}

static void put_fixed(char *p, const struct block *b, uint64_t seq, uint64_t made_before,
                      uint64_t synced_seq, uint64_t made)
{
    const struct block_info *i = &b->info;
    uint32_t flags = (i->gzip ? FLAG_GZIP : 0u) | (i->class_ == POINT_KEEP ? FLAG_KEEP : 0u) |
                     (b->more ? FLAG_MORE : 0u) | (b->shed ? FLAG_SHED : 0u);
    put32(p + 16, flags);
    put32(p + 20, crc32c(0, b->body, i->body_bytes));
    put32(p + 24, i->body_bytes);
    put32(p + 28, i->raw_bytes);
    put32(p + 32, i->lines);
    put32(p + 36, (uint32_t)i->n_shares);
    put64(p + 40, seq);
    put64(p + 48, made_before);
    put64(p + 56, made);
    put64(p + 64, synced_seq);
    const struct position *at[] = {&i->from, &i->to};
    for (size_t k = 0; k < 2; k++) {
        put64(p + 72 + 24 * k, at[k]->offset);
        put64(p + 80 + 24 * k, at[k]->tick);
        put64(p + 88 + 24 * k, at[k]->ordinal);
    }
    put64(p + 120, (uint64_t)i->min_time_ms);
    put64(p + 128, (uint64_t)i->max_time_ms);
    put64(p + 136, (uint64_t)i->closed_wall_ns);
    put32(p + 144, i->no_time);
    memset(p + 148, 0, BLOCK_HEADER_MIN - 148); /* for later versions */
}

int block_put_header(const struct block *b, uint64_t seq, uint64_t made_before,
                     uint64_t synced_seq, struct buf *out, uint32_t *out_crc)
{
    const struct block_info *i = &b->info;
    ASSERT(i->n_shares <= BLOCK_SHARES_MAX);
    size_t n = BLOCK_HEADER_MIN;
    uint64_t made = 0;
    for (size_t k = 0; k < i->n_shares; k++) {
        n += 9 + strlen(b->shares[k].compound);
        made += (uint64_t)b->shares[k].lines + b->shares[k].unwritable;
    }
    n = padded(n);
    char *p = buf_room(out, n);
    if (!p)
        return -ENOBUFS;
    put32(p, MAGIC);
    put32(p + 4, VERSION);
    put32(p + 8, (uint32_t)n);
    put_fixed(p, b, seq, made_before, synced_seq, made);
    char *q = p + BLOCK_HEADER_MIN;
    for (size_t k = 0; k < i->n_shares; k++) {
        const struct block_share *s = &b->shares[k];
        size_t len = strlen(s->compound);
        *q = (char)len;
        memcpy(q + 1, s->compound, len);
        put32(q + 1 + len, s->lines);
        put32(q + 5 + len, s->unwritable);
        q += 9 + len;
    }
    memset(q, 0, (size_t)(p + n - q));
    uint32_t crc = header_crc(p, n);
    put32(p + CRC_AT, crc);
    buf_commit(out, n);
    *out_crc = crc;
    return 0;
}

/* The shares' text: lengths in order, sums equal to what the header says. */
static bool shares_good(const unsigned char *p, const struct block_header *h)
{
    const unsigned char *q = p + BLOCK_HEADER_MIN, *end = p + h->header_bytes;
    uint64_t lines = 0, made = 0;
    for (size_t k = 0; k < h->info.n_shares; k++) {
        if (end - q < 9)
            return false;
        size_t len = q[0];
        if (len == 0 || len > 64 || (size_t)(end - q) < 9 + len || memchr(q + 1, 0, len))
            return false;
        lines += get32(q + 1 + len);
        made += (uint64_t)get32(q + 1 + len) + get32(q + 5 + len);
        q += 9 + len;
    }
    return end - q < BLOCK_ALIGN && lines == h->info.lines && made == h->made &&
           h->info.no_time <= made - lines;
}

static struct position get_position(const unsigned char *p)
{
    return (struct position){get64(p), get64(p + 8), get64(p + 16)};
}

int block_get_header(const void *bytes, size_t n, struct block_header *out)
{
    const unsigned char *p = bytes;
    if (n < BLOCK_HEADER_MIN || get32(p) != MAGIC || get32(p + 4) != VERSION)
        return -EBADMSG;
    struct block_header h = {.header_bytes = get32(p + 8), .header_crc = get32(p + CRC_AT)};
    if (h.header_bytes < BLOCK_HEADER_MIN || h.header_bytes > BLOCK_HEADER_MAX ||
        h.header_bytes % BLOCK_ALIGN != 0)
        return -EBADMSG;
    if (h.header_bytes > n) {
        *out = h;
        return -EAGAIN;
    }
    if (header_crc(p, h.header_bytes) != h.header_crc)
        return -EBADMSG;
    uint32_t flags = get32(p + 16);
    h.more = flags & FLAG_MORE;
    h.shed = flags & FLAG_SHED;
    h.body_crc = get32(p + 20);
    h.made_before = get64(p + 48);
    h.made = get64(p + 56);
    h.synced_seq = get64(p + 64);
    h.info = (struct block_info){
        .seq = get64(p + 40),
        .class_ = flags & FLAG_KEEP ? POINT_KEEP : POINT_ROUTINE,
        .from = get_position(p + 72),
        .to = get_position(p + 96),
        .min_time_ms = (int64_t)get64(p + 120),
        .max_time_ms = (int64_t)get64(p + 128),
        .closed_wall_ns = (int64_t)get64(p + 136),
        .lines = get32(p + 32),
        .raw_bytes = get32(p + 28),
        .body_bytes = get32(p + 24),
        .gzip = flags & FLAG_GZIP,
        .n_shares = get32(p + 36),
        .no_time = get32(p + 144),
    };
    if ((flags & ~(uint32_t)FLAG_ALL) || h.info.seq == 0 || h.synced_seq >= h.info.seq ||
        h.info.n_shares > BLOCK_SHARES_MAX || h.info.body_bytes > BLOCK_BODY_MAX ||
        h.info.raw_bytes > BLOCK_BODY_MAX || (h.shed && h.info.body_bytes != 0) ||
        (!h.info.gzip && h.info.raw_bytes != h.info.body_bytes) || !shares_good(p, &h))
        return -EBADMSG;
    *out = h;
    return 0;
}

struct block_share *block_get_shares(const void *p, const struct block_header *h)
{
    struct block_share *out = mem_zalloc_array(h->info.n_shares + 1, sizeof(*out));
    const unsigned char *q = (const unsigned char *)p + BLOCK_HEADER_MIN;
    for (size_t k = 0; k < h->info.n_shares; k++) {
        size_t len = q[0];
        memcpy(out[k].compound, q + 1, len);
        out[k].lines = get32(q + 1 + len);
        out[k].unwritable = get32(q + 5 + len);
        q += 9 + len;
    }
    return out;
}

bool block_body_good(const struct block_header *h, const void *body)
{
    return crc32c(0, body, h->info.body_bytes) == h->body_crc;
}

uint64_t block_span(const struct block_header *h)
{
    return h->header_bytes + (uint64_t)padded(h->info.body_bytes);
}

/* -- gzip ------------------------------------------------------------------------------------
 */

int block_pack(const void *raw, size_t n, struct buf *out)
{
    ASSERT(n <= BLOCK_BODY_MAX);
    size_t before = out->len;
    struct isal_zstream *z = malloc(sizeof(*z) + ISAL_DEF_LVL1_DEFAULT);
    ASSERT(z);
    isal_deflate_init(z);
    z->level = 1;
    z->level_buf = (uint8_t *)(z + 1);
    z->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    z->gzip_flag = IGZIP_GZIP;
    z->end_of_stream = 1;
    z->flush = NO_FLUSH;
    union { /* the library promises not to write through it */
        const void *in;
        uint8_t *next;
    } u = {.in = raw};
    z->next_in = u.next;
    z->avail_in = (uint32_t)n;
    int rc = 0;
    while (z->internal_state.state != ZSTATE_END) {
        size_t step = n / 4 + 1024;
        if (out->len + step > out->max)
            step = out->max > out->len ? out->max - out->len : 0;
        char *room = step ? buf_room(out, step) : NULL;
        if (!room) {
            rc = -ENOBUFS;
            break;
        }
        z->next_out = (uint8_t *)room;
        z->avail_out = (uint32_t)step;
        if (isal_deflate(z) != COMP_OK) {
            rc = -ENOBUFS;
            break;
        }
        buf_commit(out, step - z->avail_out);
    }
    if (rc != 0)
        out->len = before;
    free(z);
    return rc;
}

int block_unpack(const struct block_info *info, const void *body, struct buf *out)
{
    if (!info->gzip) {
        if (info->raw_bytes != info->body_bytes)
            return -EBADMSG;
        return buf_put(out, body, info->body_bytes);
    }
    /* one byte more, to see a stream that is longer than it says */
    char *room = buf_room(out, (size_t)info->raw_bytes + 1);
    if (!room)
        return -ENOBUFS;
    struct inflate_state *s = malloc(sizeof(*s));
    ASSERT(s);
    isal_inflate_init(s);
    s->crc_flag = ISAL_GZIP;
    union {
        const void *in;
        uint8_t *next;
    } u = {.in = body};
    s->next_in = u.next;
    s->avail_in = info->body_bytes;
    s->next_out = (uint8_t *)room;
    s->avail_out = info->raw_bytes + 1;
    int rc = isal_inflate(s);
    bool good = rc == ISAL_DECOMP_OK && s->block_state == ISAL_BLOCK_FINISH &&
                s->total_out == info->raw_bytes;
    free(s);
    if (!good)
        return -EBADMSG;
    buf_commit(out, info->raw_bytes);
    return 0;
}
