/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_SPARKPLUG_H
#define CORE_SPARKPLUG_H
/*
 * sparkplug — what births said: names and types behind aliases, per edge node and device
 * (Eclipse Sparkplug 3.0.0, sections 6.4 and 5.x), and the sequence each node is at.
 *
 * State of the engine: saved and restored with it, bounded (SPARKPLUG_MAX_NODES nodes,
 * SPARKPLUG_MAX_METRICS metrics each; beyond that births are refused and counted). Moves by
 * messages only. Pure.
 */
#include "base/buf.h"
#include "core/doc.h"

#define SPARKPLUG_MAX_NODES   4096
#define SPARKPLUG_MAX_METRICS 2048

struct sparkplug;

enum sparkplug_result {
    SPARKPLUG_DATA,  /* *out_root: the payload with every known alias replaced by its name */
    SPARKPLUG_BIRTH, /* the same; births carry values, too */
    SPARKPLUG_DEATH, /* of a node or device, current: *out_root as told */
    SPARKPLUG_STALE, /* a death whose bdSeq is not the birth's: of an earlier session */
    SPARKPLUG_DUPLICATE, /* the sequence number was had already, with the same content */
    SPARKPLUG_UNBORN,    /* data before any birth: what has a name is kept, aliases are not */
    SPARKPLUG_OTHER      /* commands, STATE, a topic that is none */
};

struct sparkplug_info {
    bool gap; /* the sequence jumped: something was lost, a birth should be asked for */
    bool want_rebirth;
    unsigned unknown_aliases;
};

struct sparkplug *sparkplug_new(void);
void sparkplug_free(struct sparkplug *s);
/* `topic` is spBv1.0/GROUP/TYPE/NODE[/DEVICE]; `payload` as codec_sparkplug wrote it; the
 * resolved payload is written into `out`. */
enum sparkplug_result sparkplug_take(struct sparkplug *s, unsigned broker, const char *topic,
                                     size_t topic_len, struct json_value payload,
                                     struct doc *out, struct json_value *out_root,
                                     struct sparkplug_info *out_info);
/* State as bytes, appended; 0 or -EBADMSG (then s is as new). */
void sparkplug_save(const struct sparkplug *s, struct buf *out);
int sparkplug_load(struct sparkplug *s, const char *p, size_t n);

#endif
