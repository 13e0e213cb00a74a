/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_SPARKPLUG_H
#define CORE_SPARKPLUG_H
/*
 * sparkplug — what births said: names and types behind aliases, per edge node and device
 * (Eclipse Sparkplug 3.0.0, sections 5 and 6.4), and the sequence each node is at.
 *
 * State of the engine: saved and restored with it, bounded (below; a birth beyond is refused:
 * its own values are given, its aliases stay unknown). A node that is gone keeps its place, for
 * its bdSeq, until the places are needed: then the one gone longest makes room. Moves by
 * messages only. Pure; one thread at a time.
 *
 * Sequence numbers: of 256, up to 192 ahead of the last is a gap, up to 63 behind is late (taken, no
 * gap) or, if it was had, a repeat: with the same content a duplicate, with other content a node
 * that began anew unnoticed, which counts as a gap. A birth with the content and time stamp of the
 * node's present one is a duplicate.
 */
#include "base/buf.h"
#include "core/doc.h"

#define SPARKPLUG_MAX_NODES   4096
#define SPARKPLUG_MAX_METRICS 2048       /* of a node with its devices, which count, too */
#define SPARKPLUG_MAX_ALL     262144     /* metrics of all nodes */
#define SPARKPLUG_MAX_TEXT    (16 << 20) /* bytes of their names */
#define SPARKPLUG_MAX_NAME    1024       /* of a metric; group and node; device */

struct sparkplug;

enum sparkplug_result {
    SPARKPLUG_DATA,  /* *out_root: the payload with every known alias replaced by its name */
    SPARKPLUG_BIRTH, /* the same; births carry values, too */
    SPARKPLUG_DEATH, /* of a node or device, current: *out_root as told */
    SPARKPLUG_STALE, /* a death whose bdSeq is not the birth's: of an earlier session */
    SPARKPLUG_DUPLICATE, /* the sequence number was had already, with the same content; or the
                            birth or death was */
    SPARKPLUG_UNBORN,    /* before any birth: what has a name is kept, aliases are not */
    SPARKPLUG_TOO_BIG,   /* `out` did not hold it (*out_root untouched); the state has moved */
    SPARKPLUG_OTHER      /* commands, STATE, a topic that is none (*out_root untouched) */
};

struct sparkplug_info {
    bool gap;          /* the sequence jumped: something was lost */
    bool want_rebirth; /* a gap, no birth, unknown aliases: a birth should be asked for. Not
                          when it would be refused again */
    bool refused;      /* a birth beyond the ceilings */
    unsigned unknown_aliases;
};

struct sparkplug *sparkplug_new(void);
void sparkplug_free(struct sparkplug *s);
/* `topic` is spBv1.0/GROUP/TYPE/NODE[/DEVICE]; `payload` as codec_sparkplug wrote it; the
 * resolved payload is written into `out` (cleared before, finished after):
 *   {"timestamp", "seq", "uuid", "skipped", …, as told,
 *    "metrics": [{"name" (or "alias" if it is not known), "timestamp", "datatype", "is_historical",
 *    "is_transient", "is_null", "value"}],
 *    "values": {NAME: value}}
 * Datatypes that data leave out are the birth's, and signs are right then. `values` has what is
 * named, has a value that is not null, and is not historical. */
enum sparkplug_result sparkplug_take(struct sparkplug *s, unsigned broker, const char *topic,
                                     size_t topic_len, struct json_value payload,
                                     struct doc *out, struct json_value *out_root,
                                     struct sparkplug_info *out_info);
/* What a message that was taken once said, by the births that are known now: nothing moves, and
 * nothing is late, a repeat or a gap. */
enum sparkplug_result sparkplug_look(const struct sparkplug *s, unsigned broker,
                                     const char *topic, size_t topic_len,
                                     struct json_value payload, struct doc *out,
                                     struct json_value *out_root);
/* What a message said that is taken up again, which is history: by the births that were taken up again
 * before it, else by those that the broker's node is known by now. The sessions of now do not move, and
 * it is late, a repeat or a gap in none. look: nor are births and deaths remembered for what follows. */
enum sparkplug_result sparkplug_again(struct sparkplug *s, unsigned broker, bool look,
                                      const char *topic, size_t topic_len,
                                      struct json_value payload, struct doc *out,
                                      struct json_value *out_root);
/* Brokers got other numbers: to[old], or UINT32_MAX to forget its nodes, as those ≥ n are. */
void sparkplug_renumber(struct sparkplug *s, const uint32_t *to, size_t n);
/* State as bytes, appended (b->failed when they do not fit); load: 0 or -EBADMSG (then s is as
 * new). Equal states give equal bytes. */
void sparkplug_save(const struct sparkplug *s, struct buf *out);
int sparkplug_load(struct sparkplug *s, const char *p, size_t n);

/* Data types (6.4.16) that this program asks for. */
enum { SPARKPLUG_INT8 = 1, SPARKPLUG_INT16, SPARKPLUG_INT32, SPARKPLUG_INT64 };
enum { SPARKPLUG_INT8_ARRAY = 22 };
bool sparkplug_is_signed(uint64_t datatype);
/* An integer as it travels (negative ones as uint32 or uint64) with the sign of its type. */
int64_t sparkplug_typed(uint64_t datatype, uint64_t v);

#endif
