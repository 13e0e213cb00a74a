/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_SPEAK_PRIVATE_H
#define CITY_SPEAK_PRIVATE_H
/* For the families' files. */
#include "city/speak.h"
#include "city/text.h"

#include <math.h>

enum clock { CLOCK_GOOD, CLOCK_AHEAD, CLOCK_BEHIND, CLOCK_NEVER_SET, CLOCK_FAR };
enum odd { ODD_NOT, ODD_RANGE, ODD_SENTINEL, ODD_TYPE };

/* A device's turn. */
struct turn {
    struct speak *speak;
    const struct fleet_kind *kind;
    uint32_t device;
    uint32_t seq;
    char id[64]; /* what the vendor calls it; a stranger's own */
    char code[64], home[64];
    char compound[64]; /* as the topic says */
    int64_t ts;        /* as claimed */
    enum clock clock;
    enum odd odd; /* of one value that can be so; then ODD_NOT */
    uint64_t draw;
    const double *v;
    struct said *said;
    char *at; /* the payload's end */
};

/* Their name of a metric; NULL: told elsewhere. Ends with {NULL}. */
struct word {
    const char *metric, *key;
    double scale; /* of theirs; 0: 1 */
};

uint64_t turn_draw(struct turn *t, unsigned n);            /* 0 … n-1 */
uint64_t device_draw(const struct turn *t, unsigned what); /* steady for the device */
void say_topic(struct turn *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say(struct turn *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_bytes(struct turn *t, const void *p, size_t n);
/* RFC 3339 in UTC with milliseconds; a pattern of Y m d H M S in the zone of `hours` east. */
void say_time(struct turn *t);
void say_time_as(struct turn *t, const char *pattern, int hours);

/* A sample begins: its time has this resolution (ms); 0: it tells none. */
void truth_sample(struct turn *t, int64_t resolution);
void truth_end(struct turn *t);
void truth_number(struct turn *t, const char *metric, double v, int decimals, enum odd odd);
void truth_bool(struct turn *t, const char *metric, bool v);
void truth_text(struct turn *t, const char *metric, const char *v);
/* The value, or an odd one in its place if that is due and this metric has one. */
double odd_or(struct turn *t, const char *metric, double v, enum odd *out);
/* Metric i as a member of a JSON object, and its truth. */
void tell_one(struct turn *t, size_t i, const struct word *words);
void tell_all(struct turn *t, const struct word *words);
size_t metric_at(const struct turn *t, const char *name); /* must be there */
static inline double value_of(const struct turn *t, const char *name)
{
    return t->v[metric_at(t, name)];
}
/* No data: what must become of it. Truth and all. */
void say_ignored(struct turn *t, const char *reason);

#define FAMILY(name)                                                                           \
    void name##_data(struct turn *t);                                                          \
    bool name##_no_data(struct turn *t); /* false: the family has none */
FAMILY(native)
FAMILY(chirpstack)
FAMILY(milesight)
FAMILY(tts)
FAMILY(zigbee)
FAMILY(tasmota)
FAMILY(elevator_state)
FAMILY(alink)
FAMILY(tencent)
FAMILY(huawei)
FAMILY(ctwing)
FAMILY(hj212)
FAMILY(sparkplug)
FAMILY(modbus)
bool thingsboard_no_data(struct turn *t);
void thingsboard_child(struct turn *t, bool first);

/* Sparkplug: sequence of the node, and whether it was born (then the turn is its birth). */
bool sparkplug_birth(struct turn *t, uint8_t *out_seq);

#endif
