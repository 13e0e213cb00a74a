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
#include <string.h>

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
struct json_doc { /* private to this file and json.cc */
    const uint64_t *tape;
    const char *strings;
};
struct json_value { /* by value; opaque */
    const struct json_doc *doc;
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

static inline enum json_type json_type(struct json_value v);
static inline bool json_bool(struct json_value v);
static inline int64_t json_int(struct json_value v);
static inline uint64_t json_uint(struct json_value v);
static inline double json_double(struct json_value v); /* also of JSON_INT and JSON_UINT */
/* Unescaped; may hold NUL. */
static inline const char *json_text(struct json_value v, size_t *out_len);
size_t json_count(struct json_value v); /* elements or members */

static inline void json_iter(struct json_value array_or_object, struct json_iter *it);
/* The next element (key NULL) or member; false at the end. */
static inline bool json_next(struct json_iter *it, const char **out_key, size_t *out_key_len,
                             struct json_value *out);
/* The first member of that name; false if there is none. */
bool json_member(struct json_value object, const char *key, struct json_value *out);

/* -- how it is done ---------------------------------------------------------------------------
 * Values are read off the tape of simdjson's DOM (its doc/tape.md): words whose top byte is the
 * type and whose rest is, for a container, the index past its end and the number of its
 * members; for a string, its place in the string buffer (uint32 length, bytes, NUL); an integer
 * or double takes a second word. Each message takes some thirty such looks: they are inline. */

#define JSON_TAPE_PAYLOAD 0x00ffffffffffffffu

static inline char json_tag(struct json_value v)
{
    return (char)(v.doc->tape[v.at] >> 56);
}

static inline enum json_type json_type(struct json_value v)
{
    switch (json_tag(v)) {
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'l':
        return JSON_INT;
    case 'u':
        return JSON_UINT;
    case 'd':
        return JSON_DOUBLE;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

static inline bool json_bool(struct json_value v)
{
    return json_tag(v) == 't';
}

static inline int64_t json_int(struct json_value v)
{
    int64_t i;
    memcpy(&i, &v.doc->tape[v.at + 1], sizeof(i));
    return i;
}

static inline uint64_t json_uint(struct json_value v)
{
    return v.doc->tape[v.at + 1];
}

static inline double json_double(struct json_value v)
{
    double d;
    memcpy(&d, &v.doc->tape[v.at + 1], sizeof(d));
    switch (json_tag(v)) {
    case 'l':
        return (double)json_int(v);
    case 'u':
        return (double)json_uint(v);
    default:
        return d;
    }
}

static inline const char *json_text(struct json_value v, size_t *out_len)
{
    const char *at = v.doc->strings + (v.doc->tape[v.at] & JSON_TAPE_PAYLOAD);
    uint32_t n;
    memcpy(&n, at, sizeof(n));
    *out_len = n;
    return at + sizeof(n);
}

/* With few branches: what comes next is often foreseen wrongly. The tags' low five bits tell all
 * but '[' and '{' apart. */
#define JSON_TWO_WORDS (1u << ('l' & 31) | 1u << ('u' & 31) | 1u << ('d' & 31))

static inline size_t json_after(struct json_value v)
{
    uint64_t word = v.doc->tape[v.at];
    unsigned low = word >> 56 & 31;
    size_t next = v.at + 1 + (JSON_TWO_WORDS >> low & 1);
    return low == ('{' & 31) ? (uint32_t)word : next;
}

static inline void json_iter(struct json_value array_or_object, struct json_iter *it)
{
    it->next.doc = it->end.doc = array_or_object.doc;
    it->next.at = array_or_object.at + 1;
    it->end.at = json_after(array_or_object) - 1;
    it->object = json_tag(array_or_object) == '{';
}

static inline bool json_next(struct json_iter *it, const char **out_key, size_t *out_key_len,
                             struct json_value *out)
{
    const char *key = NULL;
    size_t key_len = 0;
    if (it->next.at >= it->end.at)
        return false;
    if (it->object) {
        key = json_text(it->next, &key_len);
        it->next.at++;
    }
    if (out_key) {
        *out_key = key;
        *out_key_len = key_len;
    }
    *out = it->next;
    it->next.at = json_after(it->next);
    return true;
}

#endif
