/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the last segment of a journal. The header's checksums are made good first, so that
 * what is behind them is reached, and so are those of records, where the input asks for it.
 * Opening and reading never crashes and ends; a tool sees what open then keeps; and what open kept is
 * read again the same after another open.
 */
#include "base/check.h"
#include "base/hash.h"
#include "core/record.h"
#include "io/file.h"
#include "io/journal.h"
#include "sim/fake_clock.h"
#include "sim/fake_file.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT = 16384, ID = 99 };

struct seen {
    uint64_t hash, records, messages_lost, stretches;
};

static struct seen read_all(struct journal *j, bool stop_at_own)
{
    struct journal_reader *r;
    struct record x;
    struct seen s = {0};
    uint64_t last = 0;
    ASSERT(journal_reader_open(j, 0, &r) == 0);
    for (int e; (e = journal_read(r, &x)) != 0;) {
        ASSERT(e == 1 || e == -EBADMSG);
        ASSERT(x.end > x.offset && x.offset >= last); /* always onward */
        last = x.end;
        if (e == -EBADMSG) {
            s.stretches++;
            continue;
        }
        if (stop_at_own && x.type == RECORD_START && x.topic_len == 3)
            continue;
        s.records++;
        s.hash = hash64(s.hash, &x.offset, sizeof(x.offset));
        s.hash = hash64(s.hash, x.body, x.body_len);
    }
    journal_reader_close(r);
    return s;
}

/* data: [flags][known low, high] then steps of records and raw bytes. */
static void write_segment(const uint8_t *data, size_t size)
{
    static char file[SEGMENT];
    memset(file, 0, sizeof(file));
    struct segment_info info = {.id = ID, .size = SEGMENT, .engine_ns = 5, .wall_ns = 6};
    segment_encode(&info, file);
    uint64_t at = SEGMENT_HEADER, n = 0, engine = 100;
    while (size >= 2 && at + SEGMENT_TAIL < SEGMENT) {
        size_t len = (size_t)data[1] * 4;
        uint8_t what = data[0];
        data += 2;
        size -= 2;
        len = len > size ? size : len;
        if (what & 1) {
            struct record r = {.type = (enum record_type)(what >> 4),
                               .body = (const char *)data,
                               .body_len = len,
                               .engine_ns = engine += 10};
            r.messages = n += record_is_message(r.type);
            if (at + record_size(&r) + SEGMENT_TAIL > SEGMENT)
                break;
            record_encode(&r, ID, at, file + at);
            if (what & 2)
                file[at + (what >> 2) % (RECORD_HEADER + len)] ^= 0x40;
            at += record_size(&r);
        } else {
            size_t room = SEGMENT - at < len ? (size_t)(SEGMENT - at) : len;
            memcpy(file + at, data, room);
            at += (room + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
        }
        data += len;
        size -= len;
    }
    if (size == 1 && (data[0] & 1)) { /* a seal that says anything */
        struct segment_seal seal = {.end = at, .size = SEGMENT, .messages = n};
        segment_seal_encode(&seal, ID, file + SEGMENT_SEAL);
    }
    struct file *f;
    ASSERT(file_open("j/0000000000000000.journal", FILE_WRITE | FILE_CREATE, &f) == 0);
    ASSERT(file_write(f, 0, file, size == 1 && (data[0] & 2) ? SEGMENT / 2 : SEGMENT) == 0);
    file_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct journal_recovery rec;
    struct journal *j;
    if (size < 3)
        return 0;
    fake_file_reset();
    struct journal_options o = {.dir = "j",
                                .max_bytes = 64 * SEGMENT,
                                .segment_bytes = SEGMENT,
                                .copy = data[0] & 1 ? JOURNAL_COPY_MAP : JOURNAL_COPY_WRITE,
                                .known = data[0] & 2 ? (uint64_t)(data[1] | data[2] << 8) : 0};
    if (data[0] & 4) { /* raw: the whole file is the input */
        struct file *f;
        ASSERT(file_open("j/0000000000000000.journal", FILE_WRITE | FILE_CREATE, &f) == 0);
        ASSERT(file_write(f, 0, data + 3, size - 3) == 0);
        file_close(f);
    } else {
        write_segment(data + 3, size - 3);
    }
    o.read_only = true;
    int e = journal_open(&o, &err, &rec, &j);
    ASSERT(e == 0 || e == -ENOTSUP);
    if (e < 0)
        return 0;
    struct seen tool = read_all(j, true);
    ASSERT(journal_close(j) == 0);
    o.read_only = false;
    struct seen kept[2];
    for (int i = 0; i < 2; i++) {
        ASSERT(journal_open(&o, &err, &rec, &j) == 0);
        kept[i] = read_all(j, true);
        struct record r = {.type = RECORD_START, .topic = "own", .topic_len = 3};
        uint64_t end;
        ASSERT(journal_append(j, &r, &end) == 0 && r.offset >= o.known);
        ASSERT(journal_close(j) == 0);
    }
    ASSERT(kept[0].hash == kept[1].hash && kept[0].records == kept[1].records);
    ASSERT(kept[0].hash == tool.hash && kept[0].stretches == tool.stretches);
    return 0;
}
