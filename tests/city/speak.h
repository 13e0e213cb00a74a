/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_SPEAK_H
#define CITY_SPEAK_H
/*
 * speak — the city in its vendors' words, with the faults of the field at stated rates.
 *
 * Each device belongs to one family of messages that suits its kind. A turn of the fleet becomes
 * one message (ThingsBoard: several turns become one) and its truth: one line of JSON that says
 * what must become of it, from what was generated, not from any decoder:
 *
 *   {"n":7,"family":"alink","what":"data","must":"decoded","topic":"…","samples":[
 *     {"device":CODE,"kind":KIND,"compound":CODE,"ts":MS|null,"clock":CLOCK,
 *      "values":{METRIC:VALUE, METRIC:[VALUE,"range"]}}]}
 *
 * must: decoded, duplicate, ignored, quarantined, dead; the last three with "reason". what: data,
 * birth, repeat, no_data, malformed, stranger, elsewhere. ts null: the time of receipt. clock: good;
 * ahead, never_set or far (replaced by receipt, uncertain); behind (as told, uncertain). A value
 * with a word beside it is a bad one. "points_known": false: the message is known to be a
 * repeat before its samples are looked at.
 *
 * Deterministic by the fleet, the seed and the options. One thread.
 */
#include "base/buf.h"
#include "city/fleet.h"

enum family {
    FAMILY_NATIVE,
    FAMILY_CHIRPSTACK,
    FAMILY_MILESIGHT,
    FAMILY_TTS,
    FAMILY_ZIGBEE,
    FAMILY_TASMOTA,
    FAMILY_ELEVATOR,
    FAMILY_ALINK,
    FAMILY_TENCENT,
    FAMILY_HUAWEI,
    FAMILY_CTWING,
    FAMILY_THINGSBOARD,
    FAMILY_HJ212,
    FAMILY_SPARKPLUG,
    FAMILY_MODBUS,
    FAMILY_N
};

struct speak_options {
    uint32_t families; /* bit of each; 0: this module is not used */
    uint32_t compounds;
    /* percent: of the devices … */
    double clocks;
    /* … and of the messages */
    double repeats, odd, strangers, no_data, malformed, elsewhere;
};

struct said {
    char topic[256], payload[FLEET_MAX_PAYLOAD];
    size_t topic_len, len;
    uint32_t device; /* whose turn it was */
    struct buf truth;
};

/* Names of families, "all", or several with commas. False: none of that name. */
bool speak_families(const char *names, uint32_t *out);

struct speak;
/* The fleet must outlive it. */
struct speak *speak_new(const struct speak_options *o, uint64_t seed, struct fleet *fleet);
void speak_free(struct speak *s);
enum family speak_family(const struct speak *s, uint32_t device);
/* What the vendor calls the device: source_id in the registry. `out` of at least 64 bytes. */
size_t speak_source_id(const struct speak *s, uint32_t device, char *out);
/* The next message; ts_ms as of fleet_next_sample. */
void speak_next(struct speak *s, int64_t ts_ms, struct said *out);

#endif
