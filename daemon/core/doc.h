/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_DOC_H
#define CORE_DOC_H
/*
 * doc — writes values as core/json.h reads them, so that whatever a device speaks (CSV, TLV,
 * registers, protobuf) is looked at like JSON.
 *
 * It writes simdjson's tape (its doc/tape.md): see the end of core/json.h. Append only, in
 * document order: begin, keys and values, end. Past the ceiling every call returns -E2BIG and
 * doc_finish does too, so that callers may check once. Strings are copied and may hold any
 * bytes. Values live until doc_clear. Pure; one thread at a time.
 */
#include "core/json.h"

#define DOC_MAX_DEPTH 72 /* what json reads (64), and something around it */

struct doc;

/* max_words: the ceiling of the tape in 8-byte words; strings may take 8 bytes a word more. */
struct doc *doc_new(size_t max_words);
void doc_free(struct doc *d);
void doc_clear(struct doc *d); /* also gives back the memory that a large document took */

int doc_object(struct doc *d); /* begin; -E2BIG also when deeper than DOC_MAX_DEPTH */
int doc_array(struct doc *d);
int doc_end(struct doc *d); /* of the innermost object or array */
int doc_key(struct doc *d, const char *p, size_t n);
/* A key and its number. */
int doc_key_int(struct doc *d, const char *p, size_t n, int64_t v);
int doc_key_double(struct doc *d, const char *p, size_t n, double v);
int doc_null(struct doc *d);
int doc_bool(struct doc *d, bool v);
int doc_int(struct doc *d, int64_t v);
int doc_uint(struct doc *d, uint64_t v); /* as JSON_INT when it fits */
int doc_double(struct doc *d, double v); /* not finite: null, as JSON has no such number */
int doc_text(struct doc *d, const char *p, size_t n);
int doc_copy(struct doc *d, struct json_value v); /* a whole value of another document */

/* The root, once all that was begun has ended; 0 or -E2BIG. Its texts have JSON_PADDING readable
 * bytes after them, so that one may be given to a codec. */
int doc_finish(struct doc *d, struct json_value *out_root);

#endif
