/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_DECODE_H
#define CORE_DECODE_H
/*
 * decode — what one message says, before anyone believes it: samples of raw values.
 *
 * Every decoder (the native gaihou-json here; vendor profiles later) fills a struct decoded.
 * A sample is what one device said at one time. Keys and strings point into the message or the
 * decoder and live until its next call. Everything has a ceiling: more than DECODE_MAX_SAMPLES
 * samples or DECODE_MAX_VALUES values is -E2BIG.
 */
#include "core/value.h"

#define DECODE_MAX_SAMPLES 4096
#define DECODE_MAX_VALUES  65536

struct decoded_value {
    const char *key;
    size_t key_len;
    struct value v;
    bool is_null; /* JSON null: said, but no value */
};

struct decoded_sample {
    bool has_time;
    int64_t time_ms; /* device's own time, Unix ms, not judged yet */
    size_t first, n; /* its values */
};

struct decoded {
    struct decoded_sample *samples;
    struct decoded_value *values;
    size_t n_samples, n_values, cap_samples, cap_values;
};

void decoded_done(struct decoded *d);
void decoded_clear(struct decoded *d);
int decoded_begin_sample(struct decoded *d); /* 0 or -E2BIG */
int decoded_add(struct decoded *d, const char *key, size_t key_len, struct value v,
                bool is_null);

/* The native profile. Payload: one object of metric names to values, `ts` optional (RFC 3339
 * text or epoch number whose unit is told by its magnitude), or an array of such objects (a
 * back-filled batch). Nested values, and more than that, are -EBADMSG with *out_why.
 * `payload` must have JSON_PADDING readable bytes after it. */
struct json;
int native_decode(struct json *j, const char *payload, size_t len, struct decoded *out,
                  const char **out_why);

#endif
