/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing; json.h reads the values.
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

static_assert(JSON_TAPE_PAYLOAD == simdjson::internal::JSON_VALUE_MASK, "the tape's layout");
static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads past the end");

struct json {
    simdjson::dom::parser parser;
    size_t max_bytes;
    struct json_doc doc;

    explicit json(size_t max) : max_bytes(max), doc{nullptr, nullptr}
    {
    }
};

namespace
{

constexpr size_t max_depth = 64;
constexpr size_t first_capacity = 4096;

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
    j->doc.tape = j->parser.doc.tape.get();
    j->doc.strings = reinterpret_cast<const char *>(j->parser.doc.string_buf.get());
    *out_root = {&j->doc, 1}; /* word 0 is the document itself */
    return 0;
}

size_t json_count(struct json_value v)
{
    size_t n = (v.doc->tape[v.at] >> 32) & simdjson::internal::JSON_COUNT_MASK;
    if (n < simdjson::internal::JSON_COUNT_MASK)
        return n;
    struct json_iter it; /* the tape's count is saturated */
    struct json_value each;
    json_iter(v, &it);
    for (n = 0; json_next(&it, nullptr, nullptr, &each); n++)
        ;
    return n;
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
