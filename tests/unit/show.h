/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SHOW_H
#define TESTS_SHOW_H
/* show — a value as JSON text, so that a test can say what it expects in one line. */
#include "base/buf.h"
#include "base/check.h"
#include "base/jsonw.h"
#include "base/num.h"
#include "core/doc.h"

/* `told`: a whole double stays told from an integer. */
static inline void show_into(struct jsonw *w, const char *key, struct json_value v, bool told)
{
    struct json_iter it;
    struct json_value c;
    const char *name, *text;
    char named[256];
    size_t n;
    switch (json_type(v)) {
    case JSON_NULL:
        jsonw_null(w, key);
        break;
    case JSON_BOOL:
        jsonw_bool(w, key, json_bool(v));
        break;
    case JSON_INT:
        jsonw_i64(w, key, json_int(v));
        break;
    case JSON_UINT:
        jsonw_u64(w, key, json_uint(v));
        break;
    case JSON_DOUBLE:
        n = num_put_double(named, json_double(v));
        if (told && !memchr(named, '.', n) && !memchr(named, 'e', n)) {
            memcpy(named + n, ".0", 2);
            n += 2;
        }
        jsonw_raw(w, key, named, n);
        break;
    case JSON_STRING:
        text = json_text(v, &n);
        jsonw_strn(w, key, text, n);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        if (json_type(v) == JSON_ARRAY)
            jsonw_array(w, key);
        else
            jsonw_object(w, key);
        json_iter(v, &it);
        while (json_next(&it, &name, &n, &c)) {
            if (name) {
                ASSERT(n < sizeof(named));
                memcpy(named, name, n);
                named[n] = '\0';
            }
            show_into(w, name ? named : NULL, c, told);
        }
        if (json_type(v) == JSON_ARRAY)
            jsonw_end_array(w);
        else
            jsonw_end_object(w);
        break;
    }
}

/* Valid until the next call. */
static inline const char *show(struct json_value v)
{
    static struct buf b;
    static bool ready;
    struct jsonw w;
    if (!ready)
        buf_init(&b, 1 << 24);
    ready = true;
    buf_clear(&b);
    jsonw_init(&w, &b);
    show_into(&w, NULL, v, true);
    return buf_cstr(&b);
}

#endif
