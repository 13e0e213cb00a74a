/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stamp.h"
#include "core/decode.h"
#include "core/json.h"

#include <errno.h>
#include <string.h>

static int bad(const char **out_why, const char *why)
{
    *out_why = why;
    return -EBADMSG;
}

static int too_big(const char **out_why, const char *why)
{
    *out_why = why;
    return -E2BIG;
}

/* ts: null is as good as none: a device whose clock is not set says so. */
static int read_time(struct json_value v, struct decoded_sample *s, const char **out_why)
{
    int r = -EINVAL;
    switch (json_type(v)) {
    case JSON_NULL:
        return 0;
    case JSON_INT:
        r = stamp_from_epoch(json_int(v), &s->time_ms);
        break;
    case JSON_DOUBLE:
        r = stamp_from_epoch_double(json_double(v), &s->time_ms);
        break;
    case JSON_STRING: {
        size_t n;
        const char *text = json_text(v, &n);
        r = stamp_parse(text, n, &s->time_ms);
        break;
    }
    case JSON_UINT:
        r = -ERANGE;
        break;
    case JSON_BOOL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return bad(out_why, "\"ts\" is neither a number nor text: expected an epoch number or "
                            "RFC 3339 like \"2026-11-20T08:00:00+08:00\"");
    }
    if (r == -ERANGE)
        return bad(out_why,
                   "\"ts\" is out of range: expected an epoch number in s, ms, us or ns, "
                   "or a year from 0001 to 9999");
    if (r < 0)
        return bad(out_why,
                   "\"ts\" is no time: expected an epoch number or RFC 3339 with a zone "
                   "like \"2026-11-20T08:00:00+08:00\"");
    s->has_time = true;
    return 0;
}

static int read_value(struct json_value j, struct value *v, bool *is_null, const char **out_why)
{
    switch (json_type(j)) {
    case JSON_NULL:
        *is_null = true;
        return 0;
    case JSON_BOOL:
        *v = (struct value){.type = VALUE_BOOL, .b = json_bool(j)};
        return 0;
    case JSON_INT:
        *v = (struct value){.type = VALUE_INT, .i = json_int(j)};
        return 0;
    case JSON_UINT: {
        /* A double as far as 2^63 has no odd numbers: what fits must be a multiple of 2048. */
        if (json_uint(j) % 2048 != 0)
            return bad(out_why, "an integer above 9223372036854775807 that no double holds "
                                "exactly: send it as text");
        *v = (struct value){.type = VALUE_FLOAT, .f = json_double(j)};
        return 0;
    }
    case JSON_DOUBLE:
        *v = (struct value){.type = VALUE_FLOAT, .f = json_double(j)};
        return 0;
    case JSON_STRING:
        *v = (struct value){.type = VALUE_STRING};
        v->s.p = json_text(j, &v->s.n);
        return 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return bad(out_why,
               "a metric's value is an object or array: expected a number, true, false, "
               "text or null");
}

static int read_sample(struct json_value object, struct decoded *out, const char **out_why)
{
    if (json_type(object) != JSON_OBJECT)
        return bad(out_why, "an element of the array is no object: expected objects of metric "
                            "names to values");
    if (decoded_begin_sample(out) < 0)
        return too_big(out_why, "more than 4096 samples in one message");
    struct json_iter it;
    json_iter(object, &it);
    const char *key;
    size_t key_len;
    struct json_value j;
    bool timed = false;
    while (json_next(&it, &key, &key_len, &j)) {
        int r;
        if (key_len == 2 && memcmp(key, "ts", 2) == 0) {
            if (timed)
                return bad(out_why, "\"ts\" is given twice in one object");
            timed = true;
            r = read_time(j, &out->samples[out->n_samples - 1], out_why);
            if (r < 0)
                return r;
            continue;
        }
        struct value v = {.type = VALUE_FLOAT};
        bool is_null = false;
        r = read_value(j, &v, &is_null, out_why);
        if (r < 0)
            return r;
        if (decoded_add(out, key, key_len, v, is_null) < 0)
            return too_big(out_why, "more than 65536 values in one message");
    }
    if (out->samples[out->n_samples - 1].n == 0)
        return bad(out_why, "no metrics in the object");
    return 0;
}

static int read_root(struct json_value root, struct decoded *out, const char **out_why)
{
    if (json_type(root) == JSON_OBJECT)
        return read_sample(root, out, out_why);
    if (json_type(root) != JSON_ARRAY)
        return bad(out_why, "neither an object of metric names to values nor an array of such");
    struct json_iter it;
    json_iter(root, &it);
    struct json_value object;
    while (json_next(&it, NULL, NULL, &object)) {
        int r = read_sample(object, out, out_why);
        if (r < 0)
            return r;
    }
    return out->n_samples == 0 ? bad(out_why, "no metrics: the array is empty") : 0;
}

int native_decode(struct json *j, const char *payload, size_t len, struct decoded *out,
                  const char **out_why)
{
    decoded_clear(out);
    struct json_value root;
    int r = json_parse(j, payload, len, &root, out_why);
    if (r == 0)
        r = read_root(root, out, out_why);
    if (r < 0)
        decoded_clear(out);
    return r;
}
