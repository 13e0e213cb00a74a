/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSONW_H
#define BASE_JSONW_H
/*
 * jsonw — writes JSON into a buf: commas, quotes and escapes are its business.
 *
 * Calls must nest properly (begin/end); a NULL key is for array elements and the root. Strings
 * are taken as UTF-8; what is not valid UTF-8 becomes U+FFFD. Not-finite numbers become null.
 */
#include "base/buf.h"

#include <stdint.h>

struct jsonw {
    struct buf *out;
    bool comma;
};

void jsonw_init(struct jsonw *w, struct buf *out);
void jsonw_object(struct jsonw *w, const char *key);
void jsonw_end_object(struct jsonw *w);
void jsonw_array(struct jsonw *w, const char *key);
void jsonw_end_array(struct jsonw *w);
void jsonw_str(struct jsonw *w, const char *key, const char *s); /* NULL: null */
void jsonw_strn(struct jsonw *w, const char *key, const char *s, size_t n);
void jsonw_u64(struct jsonw *w, const char *key, uint64_t v);
void jsonw_i64(struct jsonw *w, const char *key, int64_t v);
void jsonw_double(struct jsonw *w, const char *key, double v);
void jsonw_bool(struct jsonw *w, const char *key, bool v);
void jsonw_null(struct jsonw *w, const char *key);
void jsonw_raw(struct jsonw *w, const char *key, const char *json,
               size_t n); /* is JSON already */

#endif
