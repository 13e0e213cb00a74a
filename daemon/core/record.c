/* SPDX-License-Identifier: Apache-2.0 */
#include "core/record.h"
#include "base/check.h"
#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* Places in a record's header. The header checksum covers 8 … 43, the record's 8 … len - 1 with
 * the header checksum itself inside; the length is held by topic and body length, which are
 * covered. */
enum {
    AT_LEN = 0,
    AT_CRC = 4,
    AT_ENGINE = 8,
    AT_WALL = 16,
    AT_MESSAGES = 24,
    AT_TYPE = 32,
    AT_FLAGS = 33,
    AT_BROKER = 34,
    AT_VERSION = 35,
    AT_PACKET_ID = 36,
    AT_TOPIC_LEN = 38,
    AT_BODY_LEN = 40,
    AT_HEADER_CRC = 44,
    RECORD_VERSION = 1,
};

static void put16(char *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof(v));
}

static void put32(char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const char *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static uint32_t get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static uint32_t seed_of(uint64_t id, uint64_t offset)
{
    return (uint32_t)(((id ^ offset) * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static uint64_t align_up(uint64_t n)
{
    return (n + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

size_t record_size(const struct record *r)
{
    if (r->topic_len > UINT16_MAX || r->body_len > RECORD_BODY_MAX)
        return 0;
    return (size_t)align_up(RECORD_HEADER + r->topic_len + r->body_len);
}

void record_encode(const struct record *r, uint64_t id, uint64_t offset, char *to)
{
    size_t len = RECORD_HEADER + r->topic_len + r->body_len;
    size_t size = record_size(r);
    ASSERT(size > 0);
    if (r->topic_len > 0)
        memcpy(to + RECORD_HEADER, r->topic, r->topic_len);
    if (r->body_len > 0)
        memcpy(to + RECORD_HEADER + r->topic_len, r->body, r->body_len);
    memset(to + len, 0, size - len);
    put64(to + AT_ENGINE, r->engine_ns);
    put64(to + AT_WALL, (uint64_t)r->wall_ns);
    put64(to + AT_MESSAGES, r->messages);
    to[AT_TYPE] = (char)r->type;
    to[AT_FLAGS] = (char)r->flags;
    to[AT_BROKER] = (char)r->broker;
    to[AT_VERSION] = RECORD_VERSION;
    put16(to + AT_PACKET_ID, r->packet_id);
    put16(to + AT_TOPIC_LEN, (uint16_t)r->topic_len);
    put32(to + AT_BODY_LEN, (uint32_t)r->body_len);
    uint32_t crc = crc32c(seed_of(id, offset), to + AT_ENGINE, AT_HEADER_CRC - AT_ENGINE);
    put32(to + AT_HEADER_CRC, crc);
    crc = crc32c(crc, to + AT_HEADER_CRC, len - AT_HEADER_CRC);
    put32(to + AT_CRC, crc);
    put32(to + AT_LEN, (uint32_t)len);
}

uint32_t record_length(const char *p)
{
    return get32(p + AT_LEN);
}

int record_decode(const struct segment_view *v, uint64_t offset, struct record *out)
{
    ASSERT(offset >= v->base && offset % RECORD_ALIGN == 0);
    uint64_t at = offset - v->base;
    if (at > v->size || v->size - at < SEGMENT_TAIL)
        return -ENODATA;
    const char *p = v->p + at;
    uint32_t len = get32(p + AT_LEN);
    if (len == 0)
        return -ENODATA;
    uint32_t crc = crc32c(seed_of(v->id, offset), p + AT_ENGINE, AT_HEADER_CRC - AT_ENGINE);
    if (crc != get32(p + AT_HEADER_CRC) || p[AT_VERSION] != RECORD_VERSION)
        return -EBADMSG;
    struct record r = {
        .type = (enum record_type)(uint8_t)p[AT_TYPE],
        .flags = (uint8_t)p[AT_FLAGS],
        .broker = (uint8_t)p[AT_BROKER],
        .packet_id = get16(p + AT_PACKET_ID),
        .engine_ns = get64(p + AT_ENGINE),
        .wall_ns = (int64_t)get64(p + AT_WALL),
        .messages = get64(p + AT_MESSAGES),
        .topic = p + RECORD_HEADER,
        .topic_len = get16(p + AT_TOPIC_LEN),
        .body_len = get32(p + AT_BODY_LEN),
        .offset = offset,
    };
    uint64_t total = RECORD_HEADER + (uint64_t)r.topic_len + r.body_len;
    if (total > v->size - at - RECORD_READABLE)
        return -EBADMSG; /* a header that verifies but reaches beyond the file: cut off behind
                            it */
    r.body = r.topic + r.topic_len;
    r.end = offset + align_up(total);
    *out = r;
    if (len != total ||
        crc32c(crc, p + AT_HEADER_CRC, total - AT_HEADER_CRC) != get32(p + AT_CRC))
        return -EILSEQ;
    return 0;
}

uint64_t record_resync(const struct segment_view *v, uint64_t from, uint64_t limit)
{
    struct record r;
    for (uint64_t at = from; at < limit; at += RECORD_ALIGN)
        if (record_decode(v, at, &r) == 0)
            return at;
    return limit;
}

/* ------------------------------------------------------------------------------------------ */

static const char header_magic[8] = "GAIHOUJ\n", seal_magic[8] = "GAIHOUS\n";
enum { HEADER_SIZE = 128 };

void segment_encode(const struct segment_info *s, char *page)
{
    segment_encode_as(s, SEGMENT_VERSION, page);
}

void segment_encode_as(const struct segment_info *s, uint32_t version, char *page)
{
    memset(page, 0, SEGMENT_HEADER);
    memcpy(page, header_magic, sizeof(header_magic));
    put32(page + 8, version);
    put64(page + 16, s->id);
    put64(page + 24, s->base);
    put64(page + 32, s->size);
    put64(page + 40, s->follows);
    put64(page + 48, s->messages);
    put64(page + 56, s->engine_ns);
    put64(page + 64, (uint64_t)s->wall_ns);
    put64(page + 72, (uint64_t)s->delta_ns);
    memcpy(page + 80, s->boot_id, 36);
    put32(page + HEADER_SIZE - 4, crc32c(0, page, HEADER_SIZE - 4));
    memcpy(page + SEGMENT_HEADER_COPY, page, HEADER_SIZE);
}

static int header_decode(const char *p, struct segment_info *out)
{
    if (memcmp(p, header_magic, sizeof(header_magic)) != 0 ||
        get32(p + HEADER_SIZE - 4) != crc32c(0, p, HEADER_SIZE - 4))
        return -EBADMSG;
    if (get32(p + 8) != SEGMENT_VERSION)
        return -ENOTSUP;
    *out = (struct segment_info){
        .id = get64(p + 16),
        .base = get64(p + 24),
        .size = get64(p + 32),
        .follows = get64(p + 40),
        .messages = get64(p + 48),
        .engine_ns = get64(p + 56),
        .wall_ns = (int64_t)get64(p + 64),
        .delta_ns = (int64_t)get64(p + 72),
    };
    memcpy(out->boot_id, p + 80, 36);
    return 0;
}

int segment_decode(const char *page, struct segment_info *out, bool *out_rot)
{
    struct segment_info other;
    int first = header_decode(page, out);
    int copy = header_decode(page + SEGMENT_HEADER_COPY, first == 0 ? &other : out);
    *out_rot = first == -EBADMSG || copy == -EBADMSG;
    if (first == -ENOTSUP || copy == -ENOTSUP)
        return -ENOTSUP;
    return first == 0 ? 0 : copy;
}

void segment_seal_encode(const struct segment_seal *s, uint64_t id, char *to)
{
    memset(to, 0, SEGMENT_SEAL_SIZE);
    memcpy(to, seal_magic, sizeof(seal_magic));
    put64(to + 8, s->end);
    put64(to + 16, s->size);
    put64(to + 24, s->messages);
    put64(to + 32, s->before);
    put64(to + 40, s->engine_ns);
    put64(to + 48, (uint64_t)s->wall_ns);
    to[56] = (char)s->last_type;
    to[57] = (char)s->last_flags;
    to[58] = s->rolled;
    uint32_t crc = crc32c(seed_of(id, 0), to, SEGMENT_SEAL_SIZE - 4);
    put32(to + SEGMENT_SEAL_SIZE - 4, crc);
}

int segment_seal_decode(const char *page, uint64_t id, struct segment_seal *out)
{
    const char *p = page + SEGMENT_SEAL;
    static const char none[SEGMENT_SEAL_SIZE];
    if (memcmp(p, none, sizeof(none)) == 0)
        return -ENODATA;
    if (memcmp(p, seal_magic, sizeof(seal_magic)) != 0 ||
        get32(p + SEGMENT_SEAL_SIZE - 4) != crc32c(seed_of(id, 0), p, SEGMENT_SEAL_SIZE - 4))
        return -EBADMSG;
    *out = (struct segment_seal){
        .end = get64(p + 8),
        .size = get64(p + 16),
        .messages = get64(p + 24),
        .before = get64(p + 32),
        .engine_ns = get64(p + 40),
        .wall_ns = (int64_t)get64(p + 48),
        .last_type = (uint8_t)p[56],
        .last_flags = (uint8_t)p[57],
        .rolled = p[58] != 0,
    };
    return 0;
}
