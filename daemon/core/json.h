/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_JSON_H
#define CORE_JSON_H
/*
 * json — reads a JSON text (simdjson's DOM behind a C header).
 *
 * Strict: one document, valid UTF-8, no trailing bytes, depth ≤ 64, size ≤ the ceiling given to
 * json_new. Integers within int64 are exact; larger ones come as JSON_UINT up to 2^64-1, then
 * the text is refused, as is a number that is not finite. Values are valid until the next
 * parse. Never the On-Demand API: 3.0.1 returns wrong numbers silently (simdjson issue 2093).
 * A struct json belongs to one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_PADDING                                                                           \
    64 /* bytes that must be readable after the text; their content is no matter */

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_UINT,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json;
struct json_value { /* by value; opaque */
    const void *doc;
    size_t at;
};
struct json_iter {
    struct json_value next, end;
    bool object;
};

struct json *json_new(size_t max_bytes);
void json_free(struct json *j);
/* 0 and the root; -EBADMSG with *out_why (static text) when it is not JSON; -EMSGSIZE. */
int json_parse(struct json *j, const char *text, size_t len, struct json_value *out_root,
               const char **out_why);

enum json_type json_type(struct json_value v);
bool json_bool(struct json_value v);
int64_t json_int(struct json_value v);
uint64_t json_uint(struct json_value v);
double json_double(struct json_value v); /* also of JSON_INT and JSON_UINT */
const char *json_string(struct json_value v, size_t *out_len); /* unescaped; may hold NUL */
size_t json_count(struct json_value v);                        /* elements or members */

void json_iter(struct json_value array_or_object, struct json_iter *it);
/* The next element (key NULL) or member; false at the end. */
bool json_next(struct json_iter *it, const char **out_key, size_t *out_key_len,
               struct json_value *out);
/* The first member of that name; false if there is none. */
bool json_member(struct json_value object, const char *key, struct json_value *out);

#endif
