/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the inside of a segment: nothing is read beyond them, what decodes lies within
 * them, and what decodes, encoded again at its place, gives the same bytes. And a record made of
 * the input survives the way there and back.
 */
#include "base/check.h"
#include "core/record.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void any_bytes(const uint8_t *data, size_t size)
{
    struct segment_view v = {.p = (const char *)data, .id = 77, .base = 4096, .size = size};
    struct record r;
    for (uint64_t at = 4096; at < 4096 + size; at += RECORD_ALIGN) {
        int e = record_decode(&v, at, &r);
        ASSERT(e == 0 || e == -ENODATA || e == -EBADMSG || e == -EILSEQ);
        if (e == 0 || e == -EILSEQ) {
            ASSERT(r.end > at && r.body + r.body_len + RECORD_READABLE <= v.p + size);
            ASSERT(r.end == at + record_size(&r));
        }
    }
    struct segment_info info;
    struct segment_seal seal;
    bool rot;
    if (size >= SEGMENT_HEADER) {
        (void)segment_decode((const char *)data, &info, &rot);
        (void)segment_seal_decode((const char *)data, 77, &seal);
    }
    (void)record_resync(&v, 4096, 4096 + size);
}

static void there_and_back(const uint8_t *data, size_t size)
{
    if (size < 32)
        return;
    size_t topic = (size_t)(data[0] | (data[1] & 15) << 8) % (size - 31),
           body = size - 32 - topic;
    struct record r = {.type = (enum record_type)data[2],
                       .flags = data[3],
                       .broker = data[4],
                       .packet_id = (uint16_t)(data[5] << 8 | data[6]),
                       .topic = (const char *)data + 32,
                       .topic_len = topic,
                       .body = (const char *)data + 32 + topic,
                       .body_len = body},
                  d;
    memcpy(&r.engine_ns, data + 8, 8);
    memcpy(&r.wall_ns, data + 16, 8);
    memcpy(&r.messages, data + 24, 8);
    uint64_t id = r.engine_ns ^ 5, base = (r.messages >> 2) & ~(uint64_t)4095;
    size_t n = record_size(&r), room = n + RECORD_READABLE + RECORD_HEADER;
    char *file = malloc(room), *again = malloc(n);
    ASSERT(file && again);
    memset(file, 0xee, room);
    struct segment_view v = {.p = file, .id = id, .base = base, .size = room};
    record_encode(&r, id, base, file);
    ASSERT(record_decode(&v, base, &d) == 0);
    ASSERT(d.type == r.type && d.flags == r.flags && d.broker == r.broker);
    ASSERT(d.packet_id == r.packet_id && d.engine_ns == r.engine_ns && d.wall_ns == r.wall_ns);
    ASSERT(d.messages == r.messages && d.topic_len == topic && d.body_len == body);
    ASSERT(memcmp(d.topic, r.topic, topic) == 0 && memcmp(d.body, r.body, body) == 0);
    record_encode(&d, id, base, again);
    ASSERT(memcmp(file, again, n) == 0);
    size_t bit = (r.messages % ((RECORD_HEADER + topic + body) * 8)); /* any one bit */
    file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
    ASSERT(record_decode(&v, base, &d) != 0);
    free(file);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    any_bytes(data, size);
    there_and_back(data, size);
    return 0;
}
