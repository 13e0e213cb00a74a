/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are read off the tape of simdjson's DOM (its doc/tape.md): words whose top byte is the
 * type and whose rest is, for a container, the index past its end and the number of its
 * members; for a string, its place in the string buffer (uint32 length, bytes, NUL); an integer
 * or double takes a second word. This spares a call through dom::element for each value, and
 * lets a value be two words that C can hold.
 */
#include <cerrno>
#include <cstring>
#include <new>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#include <simdjson.h>
#pragma GCC diagnostic pop

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* json_iter names a struct and a function */
extern "C" {
#include "base/mem.h"
#include "core/json.h"
}
#pragma GCC diagnostic pop

static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads past the end");

struct json {
    simdjson::dom::parser parser;
    size_t max_bytes;
    const uint64_t *tape;
    const uint8_t *strings;

    explicit json(size_t max) : max_bytes(max), tape(nullptr), strings(nullptr)
    {
    }
};

namespace
{

constexpr size_t max_depth = 64;
constexpr size_t first_capacity = 4096;
constexpr uint64_t payload_mask = simdjson::internal::JSON_VALUE_MASK;

const struct json *doc_of(struct json_value v)
{
    return static_cast<const struct json *>(v.doc);
}

uint64_t word(struct json_value v)
{
    return doc_of(v)->tape[v.at];
}

char tag(struct json_value v)
{
    return static_cast<char>(word(v) >> 56);
}

template <typename T> T second_word(struct json_value v)
{
    T t;
    std::memcpy(&t, &doc_of(v)->tape[v.at + 1], sizeof(t));
    return t;
}

size_t after(struct json_value v)
{
    switch (tag(v)) {
    case '{':
    case '[':
        return static_cast<uint32_t>(word(v));
    case 'l':
    case 'u':
    case 'd':
        return v.at + 2;
    default:
        return v.at + 1;
    }
}

const char *why(simdjson::error_code e)
{
    switch (e) {
    case simdjson::EMPTY:
        return "empty message: expected JSON";
    case simdjson::UTF8_ERROR:
        return "not valid UTF-8";
    case simdjson::DEPTH_ERROR:
        return "JSON nested deeper than 64";
    case simdjson::NUMBER_ERROR:
        return "not JSON: a number is malformed, infinite or an integer beyond 64 bits";
    case simdjson::STRING_ERROR:
    case simdjson::UNCLOSED_STRING:
    case simdjson::UNESCAPED_CHARS:
        return "not JSON: a string is not closed, or has a bad escape or a control character";
    default:
        return "not JSON";
    }
}

/* Capacity grows by doubling, so that messages of rising size do not allocate each time. */
simdjson::error_code reserve(struct json *j, size_t len)
{
    if (j->parser.capacity() >= len && j->parser.capacity() > 0)
        return simdjson::SUCCESS;
    size_t capacity = first_capacity;
    while (capacity < len)
        capacity *= 2;
    simdjson::error_code e = j->parser.allocate(capacity, max_depth);
    return e ? e : j->parser.doc.allocate(capacity);
}

} // namespace

struct json *json_new(size_t max_bytes)
{
    struct json *j = new (std::nothrow) json(max_bytes);
    if (!j)
        mem_exhausted();
    return j;
}

void json_free(struct json *j)
{
    delete j;
}

int json_parse(struct json *j, const char *text, size_t len, struct json_value *out_root,
               const char **out_why)
{
    if (len > j->max_bytes) {
        *out_why = "message longer than the limit";
        return -EMSGSIZE;
    }
    simdjson::error_code e = reserve(j, len);
    if (e == simdjson::SUCCESS)
        e = j->parser.parse(reinterpret_cast<const uint8_t *>(text), len, false).error();
    if (e == simdjson::MEMALLOC)
        mem_exhausted();
    if (e != simdjson::SUCCESS) {
        *out_why = why(e);
        return -EBADMSG;
    }
    j->tape = j->parser.doc.tape.get();
    j->strings = j->parser.doc.string_buf.get();
    *out_root = {j, 1}; /* word 0 is the document itself */
    return 0;
}

enum json_type json_type(struct json_value v)
{
    switch (tag(v)) {
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

bool json_bool(struct json_value v)
{
    return tag(v) == 't';
}

int64_t json_int(struct json_value v)
{
    return second_word<int64_t>(v);
}

uint64_t json_uint(struct json_value v)
{
    return second_word<uint64_t>(v);
}

double json_double(struct json_value v)
{
    switch (tag(v)) {
    case 'l':
        return static_cast<double>(json_int(v));
    case 'u':
        return static_cast<double>(json_uint(v));
    default:
        return second_word<double>(v);
    }
}

const char *json_string(struct json_value v, size_t *out_len)
{
    const uint8_t *at = doc_of(v)->strings + (word(v) & payload_mask);
    uint32_t n;
    std::memcpy(&n, at, sizeof(n));
    *out_len = n;
    return reinterpret_cast<const char *>(at + sizeof(n));
}

size_t json_count(struct json_value v)
{
    size_t n = (word(v) >> 32) & simdjson::internal::JSON_COUNT_MASK;
    if (n < simdjson::internal::JSON_COUNT_MASK)
        return n;
    struct json_iter it; /* the tape's count is saturated */
    struct json_value each;
    json_iter(v, &it);
    for (n = 0; json_next(&it, nullptr, nullptr, &each); n++)
        ;
    return n;
}

void json_iter(struct json_value array_or_object, struct json_iter *it)
{
    it->next = {array_or_object.doc, array_or_object.at + 1};
    it->end = {array_or_object.doc, after(array_or_object) - 1};
    it->object = tag(array_or_object) == '{';
}

bool json_next(struct json_iter *it, const char **out_key, size_t *out_key_len,
               struct json_value *out)
{
    if (it->next.at >= it->end.at)
        return false;
    const char *key = nullptr;
    size_t key_len = 0;
    if (it->object) {
        key = json_string(it->next, &key_len);
        it->next.at++;
    }
    if (out_key) {
        *out_key = key;
        *out_key_len = key_len;
    }
    *out = it->next;
    it->next.at = after(it->next);
    return true;
}

bool json_member(struct json_value object, const char *key, struct json_value *out)
{
    size_t len = std::strlen(key), n;
    const char *name;
    struct json_iter it;
    struct json_value v;
    json_iter(object, &it);
    while (json_next(&it, &name, &n, &v)) {
        if (n == len && std::memcmp(name, key, len) == 0) {
            *out = v;
            return true;
        }
    }
    return false;
}
