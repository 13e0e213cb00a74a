/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_DECODE_H
#define CORE_DECODE_H
/*
 * decode — what one message says, before anyone believes it: samples of raw values.
 *
 * Every decoder (the native gaihou-json here; vendors' by core/profile.h) fills a struct decoded.
 * A sample is what one device said at one time. Keys and strings point into the message or the
 * decoder and live until its next call. Everything has a ceiling: more than DECODE_MAX_SAMPLES
 * samples or DECODE_MAX_VALUES values is -E2BIG.
 */
#include "core/value.h"

#include <errno.h>

#define DECODE_MAX_SAMPLES 4096
#define DECODE_MAX_VALUES  65536
#define DECODE_MAX_UNKNOWN 32 /* names of them */

enum quality { QUALITY_GOOD, QUALITY_UNCERTAIN, QUALITY_BAD };

/* Why a value is not good: the tag `reason` of a bad point. */
#define QUALITY_REASONS(X)                                                                     \
    X(NONE, "")                                                                                \
    X(RANGE, "range")       /* outside what is plausible */                                    \
    X(SENTINEL, "sentinel") /* what the device says for "no value" */                          \
    X(TYPE, "type")         /* not of the metric's type */                                     \
    X(ENUM, "enum")         /* no code of the enumeration */                                   \
    X(FAULT, "fault")       /* the device says its sensor is broken */                         \
    X(DISAGREE, "disagree") /* state and value contradict each other */                        \
    X(CLOCK, "clock")       /* the time had to be guessed or corrected */                      \
    X(CATCH_UP, "catch_up") /* old news of a device without a clock */                         \
    X(OTHER, "other")

enum quality_reason {
#define X(name, word) REASON_##name,
    QUALITY_REASONS(X)
#undef X
        REASON_N
};

struct profile_value; /* core/profile.h: which metric, which unit */

struct decoded_value {
    const char *key; /* native: the metric's name; profiles: their own name, for people */
    size_t key_len;
    struct value v;
    bool is_null;                     /* JSON null: said, but no value */
    unsigned char quality;            /* enum quality, as far as the decoder can tell */
    unsigned char reason;             /* enum quality_reason */
    const struct profile_value *from; /* NULL: `key` is the metric */
};

struct decoded_sample {
    bool has_time;
    int64_t time_ms; /* device's own time, Unix ms, not judged yet */
    size_t first, n; /* its values */
    /* of profiles; NULL: as the topic's captures say */
    const char *device, *compound, *point;
    size_t device_len, compound_len, point_len;
    uint64_t id;         /* hash of the vendor's message id; 0: none */
    bool not_alive;      /* no sign of life: the broker told a will */
    bool time_unread;    /* there was a time, and it could not be read */
    bool time_is_coarse; /* whole seconds or worse */
};

struct decoded {
    struct decoded_sample *samples;
    struct decoded_value *values;
    size_t n_samples, n_values, cap_samples, cap_values;
    unsigned unknown; /* names that no mapping knows … */
    struct decoded_name {
        const char *p;
        size_t n;
    } unknown_names[DECODE_MAX_UNKNOWN]; /* … the first of them */
};

/* A name that no mapping knows: counted, and told as far as there is room. */
static inline void decoded_unknown(struct decoded *d, const char *name, size_t n)
{
    if (d->unknown < DECODE_MAX_UNKNOWN)
        d->unknown_names[d->unknown] = (struct decoded_name){name, n};
    d->unknown++;
}

void decoded_done(struct decoded *d);
void decoded_clear(struct decoded *d);
int decoded_begin_sample(struct decoded *d); /* 0 or -E2BIG */
int decoded_grow(struct decoded *d);         /* room for values is used up: 0 or -E2BIG */
/* A value of the newest sample: 0 or -E2BIG. Here, because every value comes this way. */
static inline int decoded_add(struct decoded *d, const char *key, size_t key_len,
                              struct value v, bool is_null)
{
    if (d->n_values == d->cap_values && decoded_grow(d) < 0)
        return -E2BIG;
    d->values[d->n_values++] =
        (struct decoded_value){.key = key, .key_len = key_len, .v = v, .is_null = is_null};
    d->samples[d->n_samples - 1].n++;
    return 0;
}

/* The native profile. Payload: one object of metric names to values, `ts` optional (RFC 3339
 * text or epoch number whose unit is told by its magnitude), or an array of such objects (a
 * back-filled batch). Nested values, and more than that, are -EBADMSG with *out_why.
 * `payload` must have JSON_PADDING readable bytes after it. */
struct json;
int native_decode(struct json *j, const char *payload, size_t len, struct decoded *out,
                  const char **out_why);

#endif
