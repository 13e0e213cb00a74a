/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H
/*
 * record — the journal's records and segment headers as bytes (docs/journal.md).
 *
 * Pure: encodes into and decodes from memory, knows no files. A record's CRC32C is seeded by
 * its place (segment id and offset), so that old bytes never pass for new ones.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_type {
    RECORD_MESSAGE = 1,   /* a message of a broker */
    RECORD_REINJECT = 2,  /* a message taken up again from quarantine or the dead letters: its
                             own engine and wall times are the original ones' (history only) */
    RECORD_LINK_UP = 3,   /* broker link; body: 1 byte session_present */
    RECORD_LINK_DOWN = 4, /* body: reason text */
    RECORD_START = 5, /* body: 8 bytes uint64 LE, engine time up to which live ticks ran before
                         (0: not known), then the program's version as text */
    RECORD_STOP = 6,  /* clean stop */
    RECORD_CLOCK_STEP =
        7, /* body: 8 bytes int64 LE, ns that wall time moved against engine time */
    RECORD_GENERATION = 8, /* body: kind text, NUL, 32 hex digits of content hash */
    RECORD_STATS = 9,      /* our own metrics, once a minute: line protocol, no timestamps */
    RECORD_END = 15,       /* seals a segment: read on in the next one */
};

#define RECORD_QOS(flags) ((flags)&3u)
#define RECORD_RETAIN     4u
#define RECORD_DUP        8u

struct record {
    enum record_type type;
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

#endif
