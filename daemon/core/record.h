/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H
/*
 * record — the journal's records and segment headers as bytes (docs/journal.md).
 *
 * Pure: encodes into and decodes from memory, knows no files. A record's CRC32C is seeded by
 * its place (segment id and offset), so that old bytes never pass for new ones. Nothing here
 * trusts a byte that no checksum has covered.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_type {
    RECORD_MESSAGE = 1,   /* a message of a broker */
    RECORD_REINJECT = 2,  /* a message taken up again from quarantine or the dead letters: its
                             wall time is the original one's (history only), its engine time
                             this record's own */
    RECORD_LINK_UP = 3,   /* broker link; body: 1 byte session_present, 1 byte for how many
                             seconds it was down (255: more, or not known; may be left out) */
    RECORD_LINK_DOWN = 4, /* body: reason text */
    RECORD_START = 5,     /* body: version text */
    RECORD_STOP = 6,      /* clean stop */
    RECORD_CLOCK_STEP =
        7, /* body: 8 bytes int64 LE, ns that wall time moved against engine time */
    RECORD_GENERATION = 8, /* body: kind text, NUL, 32 hex digits of content hash */
    RECORD_STATS = 9,      /* our own metrics, once a minute: line protocol, no timestamps */
    RECORD_COMMAND = 10,   /* of a firm or an operator; topic and body: case_command_put */
    RECORD_STREAM = 11,    /* body: "gateway/lane/epoch": cases opened from here on carry it */
    RECORD_PRESENCE =
        12, /* topic: a firm; body: "online" or "offline". Topic RECORD_DELIVERY, which
                        is no firm's code: can life-safety alarms be delivered? Written as
                        "gaihou-delivery" before, which is that still unless a firm is called so */
    RECORD_TIME = 13, /* time went on with no other record, and timers were due */
    RECORD_END = 15,  /* seals a segment: read on in the next one. Readers never see it */
};

#define RECORD_MOMENT_S 60
#define RECORD_DELIVERY "/delivery"

#define RECORD_QOS(flags)  ((flags)&3u)
#define RECORD_RETAIN      4u
#define RECORD_DUP         8u
#define RECORD_CUT         32u /* larger than a record may be: the body is only its beginning */
#define RECORD_WALL_SYNCED 16u /* the kernel believed its clock; set by journal_append */

struct record {
    enum record_type type; /* may be a number that this version does not know */
    uint8_t flags;
    uint8_t broker;     /* index; 255 for records of no broker */
    uint16_t packet_id; /* QoS ≥ 1, else 0 */
    uint64_t engine_ns; /* strictly increasing along the journal */
    int64_t wall_ns;    /* Unix time */
    uint64_t messages;  /* RECORD_MESSAGE and _REINJECT records so far, this one included */
    const char *topic;
    size_t topic_len; /* ≤ 65535 */
    const char
        *body; /* payload; ≥ 64 bytes behind it are readable when it comes from a journal */
    size_t body_len;
    uint64_t offset, end; /* its place in the journal, and that of what follows it */
};

enum {
    RECORD_HEADER = 48,
    RECORD_ALIGN = 8,
    RECORD_READABLE = 64, /* behind every body in a segment */
    RECORD_BODY_MAX = 1 << 30,
    SEGMENT_HEADER = 4096, /* before the first record */
    SEGMENT_TAIL =
        RECORD_HEADER + RECORD_READABLE, /* always left: the end mark, and behind it */
    SEGMENT_VERSION = 1,
    SEGMENT_HEADER_COPY = 2048, /* places within the header */
    SEGMENT_SEAL = 1024,
    SEGMENT_SEAL_SIZE = 128,
};

static inline bool record_is_message(enum record_type t)
{
    return t == RECORD_MESSAGE || t == RECORD_REINJECT;
}

/* A link that is up again after a minute at most, its session kept: nothing was lost meanwhile. */
static inline bool record_was_moment(const struct record *r)
{
    return r->type == RECORD_LINK_UP && r->body_len >= 2 && r->body[0] != 0 &&
           (unsigned char)r->body[1] <= RECORD_MOMENT_S;
}

/* Bytes that the record takes (a multiple of RECORD_ALIGN), or 0 if topic or body are too long.
 */
size_t record_size(const struct record *r);
/* Writes record_size(r) bytes. id: the segment's; offset: the record's place in the journal. */
void record_encode(const struct record *r, uint64_t id, uint64_t offset, char *to);

/* A segment file in memory. */
struct segment_view {
    const char *p; /* the file's first byte */
    uint64_t id;
    uint64_t base; /* journal offset of the file's first byte */
    uint64_t size; /* readable bytes */
};
/* How many bytes the record that begins here says it takes, not verified; 4 bytes are read. */
uint32_t record_length(const char *p);
/* The record at `offset` (a multiple of RECORD_ALIGN at or above base + SEGMENT_HEADER). 0;
 * -ENODATA: length 0, or no room for a record; -EBADMSG: its header does not verify; -EILSEQ:
 * the header does, topic or body do not: *out is then filled, but must be used only for its
 * numbers. */
int record_decode(const struct segment_view *v, uint64_t offset, struct record *out);
/* The first offset ≥ from at which a whole record verifies, or `limit`. */
uint64_t record_resync(const struct segment_view *v, uint64_t from, uint64_t limit);

struct segment_info { /* written once, before the first record */
    uint64_t id;
    uint64_t base, size;
    uint64_t follows;   /* end of the segment before it: a smaller base + size is a hole */
    uint64_t messages;  /* counted when it was made: a lower bound for its first record */
    uint64_t engine_ns; /* when it was made */
    int64_t wall_ns;
    int64_t delta_ns; /* engine time minus CLOCK_BOOTTIME of the process that made it */
    char boot_id[37];
};
struct segment_seal {  /* written when everything in the segment had been synced; never after an
                          END  that is not on the disk */
    uint64_t end;      /* offset of the end mark: no record begins at or above it */
    uint64_t size;     /* of the file, trimmed; base + size is where the next one begins */
    uint64_t messages; /* up to its end */
    uint64_t before;   /* messages before its first record */
    uint64_t engine_ns; /* of its last record */
    int64_t wall_ns;
    uint8_t last_type; /* of its last record before the end mark; 0 if it has none */
    uint8_t last_flags;
    bool rolled; /* full, and the journal went on in the next at once */
};

/* page: SEGMENT_HEADER bytes, zeroed by encode; two copies of the header are in it. */
void segment_encode(const struct segment_info *s, char *page);
void segment_encode_as(const struct segment_info *s, uint32_t version, char *page);
/* 0; -EBADMSG: neither copy verifies; -ENOTSUP: made by a newer version. *out_rot: one copy is
 * bad. */
int segment_decode(const char *page, struct segment_info *out, bool *out_rot);
void segment_seal_encode(const struct segment_seal *s, uint64_t id,
                         char *to); /* SEGMENT_SEAL_SIZE */
int segment_seal_decode(const char *page, uint64_t id,
                        struct segment_seal *out); /* -ENODATA, -EBADMSG */

#endif
