/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rebirth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Tags of sparkplug_b.proto: field number × 8 + wire type. */
enum {
    PAYLOAD_TIMESTAMP = 1 << 3,
    PAYLOAD_METRICS = 2 << 3 | 2,
    METRIC_NAME = 1 << 3 | 2,
    METRIC_TIMESTAMP = 3 << 3,
    METRIC_DATATYPE = 4 << 3,
    METRIC_BOOLEAN = 14 << 3,
    TYPE_BOOLEAN = 11,
};

static const char name[] = "Node Control/Rebirth";

int rebirth_topic(const char *topic, size_t len, char out[REBIRTH_TOPIC_MAX])
{
    const char *level[5], *s = topic, *end = topic + len;
    size_t size[5], n = 0;
    while (s && n < 5) {
        const char *slash = s < end ? memchr(s, '/', (size_t)(end - s)) : NULL;
        level[n] = s;
        size[n++] = (size_t)((slash ? slash : end) - s);
        s = slash ? slash + 1 : NULL;
    }
    if (s || n < 4 || size[0] != 7 || memcmp(level[0], "spBv1.0", 7) != 0 || size[1] == 0 ||
        size[3] == 0 || memchr(topic, '\0', len) || memchr(level[1], '+', size[1]) ||
        memchr(level[1], '#', size[1]) || memchr(level[3], '+', size[3]) ||
        memchr(level[3], '#', size[3]) ||
        size[1] + size[3] + sizeof("spBv1.0//NCMD/") > REBIRTH_TOPIC_MAX)
        return -EINVAL;
    (void)snprintf(out, REBIRTH_TOPIC_MAX, "spBv1.0/%.*s/NCMD/%.*s", (int)size[1], level[1],
                   (int)size[3], level[3]);
    return 0;
}

static size_t put_varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

size_t rebirth_payload(int64_t now_ms, uint8_t out[REBIRTH_PAYLOAD_MAX])
{
    uint8_t time[10];
    size_t n_time = put_varint(time, (uint64_t)now_ms), n_name = sizeof(name) - 1, n = 0;
    out[n++] = PAYLOAD_TIMESTAMP;
    memcpy(out + n, time, n_time);
    n += n_time;
    out[n++] = PAYLOAD_METRICS;
    out[n++] = (uint8_t)(2 + n_name + 1 + n_time + 2 + 2);
    out[n++] = METRIC_NAME;
    out[n++] = (uint8_t)n_name;
    memcpy(out + n, name, n_name);
    n += n_name;
    out[n++] = METRIC_TIMESTAMP;
    memcpy(out + n, time, n_time);
    n += n_time;
    out[n++] = METRIC_DATATYPE;
    out[n++] = TYPE_BOOLEAN;
    out[n++] = METRIC_BOOLEAN;
    out[n++] = 1;
    return n;
}
