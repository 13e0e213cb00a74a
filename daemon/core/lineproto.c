/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lineproto.h"
#include "base/num.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MS INT64_C(9223372036854) /* int64 nanoseconds */

/* Bytes at most that cleaning and escaping make of one. */
#define GROWTH 3

enum part { MEASUREMENT, TAG, FIELD_KEY };

/* Printable ASCII that stands for itself in every name: no ' ' '"' ',' '=' '\'. */
static bool plain(unsigned char c)
{
    static const uint64_t set[4] = {
        UINT64_C(0xffffffff00000000) & ~(UINT64_C(1) << ' ' | UINT64_C(1) << '"' |
                                         UINT64_C(1) << ',' | UINT64_C(1) << '='),
        UINT64_C(0x7fffffffffffffff) & ~(UINT64_C(1) << ('\\' - 64)),
    };
    return set[c >> 6] >> (c & 63) & 1;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* One character of n ≥ 1 bytes, or U+FFFD for a byte that is none. */
static char *put_char(char *at, const char **p, const char *end)
{
    size_t n = utf8_char(*p, (size_t)(end - *p));
    if (n == 0) {
        memcpy(at, "\xef\xbf\xbd", 3);
        (*p)++;
        return at + 3;
    }
    memcpy(at, *p, n);
    *p += n;
    return at + n;
}

/* A name or tag value, cleaned; and escaped, unless it is wanted for comparing. */
static char *put_name(char *at, const char *p, size_t n, enum part part, bool escape)
{
    for (const char *end = p + n; p < end;) {
        char c = *p;
        if (plain((unsigned char)c)) {
            *at++ = c;
            p++;
            continue;
        }
        bool meant = p + 1 < end && p[1] != ',' && p[1] != '=' && p[1] != ' ' && p[1] != '\\';
        if (is_control((unsigned char)c) || (c == '\\' && !meant) ||
            (c == '"' && part == FIELD_KEY)) {
            *at++ = '_';
            p++;
            continue;
        }
        if (escape && (c == ' ' || c == ',' || (c == '=' && part != MEASUREMENT)))
            *at++ = '\\';
        at = put_char(at, &p, end);
    }
    return at;
}

/* -- series -------------------------------------------------------------------------------- */

struct sorted_tag {
    const char *key; /* cleaned, not escaped */
    size_t key_len, order;
    const struct lineproto_tag *tag;
};

static int by_key(const void *pa, const void *pb)
{
    const struct sorted_tag *a = pa, *b = pb;
    size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
    int r = memcmp(a->key, b->key, n);
    if (r != 0)
        return r;
    if (a->key_len != b->key_len)
        return a->key_len < b->key_len ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static bool same_key(const struct sorted_tag *a, const struct sorted_tag *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

static bool name_allowed(const char *p, size_t n)
{
    return n > 0 && p[0] != '#' && p[0] != '_' && !(n == 4 && memcmp(p, "time", 4) == 0);
}

static int append(struct buf *b, const char *text, enum part part, bool escape)
{
    size_t n = strlen(text);
    if (n > LINEPROTO_MAX_SERIES)
        return -EINVAL;
    char *at = buf_room(b, n * GROWTH);
    if (!at)
        return -ENOBUFS;
    buf_commit(b, (size_t)(put_name(at, text, n, part, escape) - at));
    return 0;
}

/* Ours are plain words and in their order: there is nothing to clean, to copy or to sort. */
static bool take_plain(const struct lineproto_tag *tags, size_t n_tags,
                       struct sorted_tag *sorted, size_t *out_n)
{
    size_t n = 0;
    for (size_t i = 0; i < n_tags; i++) {
        const struct lineproto_tag *t = &tags[i];
        size_t len = 0;
        if (!t->value || !t->value[0])
            continue;
        if (n == LINEPROTO_MAX_TAGS || !t->key)
            return false;
        while (plain((unsigned char)t->key[len]))
            len++;
        if (t->key[len] || !name_allowed(t->key, len))
            return false;
        sorted[n] = (struct sorted_tag){.key = t->key, .key_len = len, .order = n, .tag = t};
        if (n > 0 && by_key(&sorted[n - 1], &sorted[n]) >= 0)
            return false;
        n++;
    }
    *out_n = n;
    return true;
}

/* The tags that have a value, sorted, with their cleaned keys in *keys. */
static int sort_tags(struct buf *keys, const struct lineproto_tag *tags, size_t n_tags,
                     struct sorted_tag *sorted, size_t *out_n)
{
    size_t ends[LINEPROTO_MAX_TAGS], n = 0;
    for (size_t i = 0; i < n_tags; i++) {
        const struct lineproto_tag *t = &tags[i];
        if (!t->value || !t->value[0])
            continue;
        if (n == LINEPROTO_MAX_TAGS || !t->key || append(keys, t->key, TAG, false) < 0)
            return -EINVAL;
        ends[n] = keys->len;
        sorted[n] = (struct sorted_tag){.order = n, .tag = t};
        n++;
    }
    for (size_t i = 0; i < n; i++) { /* now that the buffer does not move any more */
        size_t start = i ? ends[i - 1] : 0;
        sorted[i].key = keys->data + start;
        sorted[i].key_len = ends[i] - start;
        if (!name_allowed(sorted[i].key, sorted[i].key_len))
            return -EINVAL;
    }
    bool in_order = true; /* as ours are */
    for (size_t i = 1; i < n && in_order; i++)
        in_order = by_key(&sorted[i - 1], &sorted[i]) < 0;
    if (!in_order)
        qsort(sorted, n, sizeof(*sorted), by_key);
    *out_n = n;
    return 0;
}

static int put_tags(struct buf *b, const struct sorted_tag *sorted, size_t n)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (i > 0 && same_key(&sorted[i - 1], &sorted[i]))
            continue;
        r = buf_putc(b, ',');
        if (r == 0)
            r = append(b, sorted[i].tag->key, TAG, true);
        if (r == 0)
            r = buf_putc(b, '=');
        if (r == 0)
            r = append(b, sorted[i].tag->value, TAG, true);
    }
    return r;
}

int lineproto_put_series(struct buf *b, const char *measurement,
                         const struct lineproto_tag *tags, size_t n_tags)
{
    size_t start = b->len, n;
    struct sorted_tag sorted[LINEPROTO_MAX_TAGS];
    struct buf keys;
    buf_init(&keys, (size_t)4 * LINEPROTO_MAX_SERIES);
    int r = append(b, measurement, MEASUREMENT, true);
    if (r == 0 && !name_allowed(b->data + start, b->len - start))
        r = -EINVAL;
    if (r == 0 && !take_plain(tags, n_tags, sorted, &n))
        r = sort_tags(&keys, tags, n_tags, sorted, &n);
    if (r == 0)
        r = put_tags(b, sorted, n);
    if (r == 0 && b->len - start > LINEPROTO_MAX_SERIES)
        r = -EINVAL;
    buf_done(&keys);
    if (r < 0)
        b->len = start;
    return r;
}

/* -- lines: everything below writes into room that was asked for once ------------------------
 */

struct line {
    char *start, *at;
    struct lineproto_refused *refused;
    enum lineproto_dialect dialect;
    uint64_t seen; /* a bit for each hash of a key: mostly there is nothing to compare */
    size_t n;
    struct {
        const char *p;
        size_t n;
    } keys[LINEPROTO_MAX_FIELDS];
};

/* The longest that the line can become. */
static size_t line_room(const struct point *p)
{
    size_t n = p->series_len + NUM_MAX + 16;
    for (size_t i = 0; i < p->n_fields; i++) {
        const struct field *f = &p->fields[i];
        size_t key = f->key_len <= LINEPROTO_MAX_KEY ? f->key_len : 0;
        bool text = f->v.type == VALUE_STRING && f->v.s.n <= LINEPROTO_MAX_STRING;
        n += key * GROWTH + NUM_MAX + 8 + (text ? f->v.s.n * GROWTH : 0);
    }
    return n;
}

static char *put_key(char *at, const struct field *f)
{
    for (size_t i = 0; i < f->key_len; i++) {
        if (!plain((unsigned char)f->key[i]))
            return put_name(at, f->key, f->key_len, FIELD_KEY, true);
        at[i] = f->key[i];
    }
    return at + f->key_len;
}

/* True when the key just written at l->at is new in this line; remembers it. */
static bool key_is_new(struct line *l, size_t n)
{
    const unsigned char *k = (const unsigned char *)l->at;
    uint64_t bit = UINT64_C(1) << ((n * 7 + k[0] * 5u + k[n / 2] * 3u + k[n - 1]) & 63);
    if (l->seen & bit) {
        for (size_t i = 0; i < l->n; i++)
            if (l->keys[i].n == n && memcmp(l->keys[i].p, l->at, n) == 0)
                return false;
    }
    l->seen |= bit;
    l->keys[l->n].p = l->at;
    l->keys[l->n].n = n;
    l->n++;
    return true;
}

static char *put_string(char *at, const struct value *v, struct lineproto_refused *refused)
{
    const char *p = v->s.p, *end = p + v->s.n;
    size_t escapes = 0;
    char *start = at + 1;
    *at++ = '"';
    while (p < end) {
        char c = *p;
        if (plain((unsigned char)c) || is_control((unsigned char)c)) {
            *at++ = is_control((unsigned char)c) ? ' ' : c;
            p++;
            continue;
        }
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            escapes++;
        }
        at = put_char(at, &p, end);
    }
    if ((size_t)(at - start) - escapes > LINEPROTO_MAX_STRING) {
        refused->too_long++;
        return NULL;
    }
    *at++ = '"';
    return at;
}

static char *put_text(char *at, const char *text, size_t n)
{
    memcpy(at, text, n);
    return at + n;
}

static char *put_int(char *at, int64_t v, bool suffix)
{
    at += num_put_i64(at, v);
    if (suffix)
        *at++ = 'i';
    return at;
}

/* Behind the value, or NULL when it cannot be written (counted). */
static char *put_value(char *at, const struct line *l, const struct field *f)
{
    bool numbers = l->dialect == LINEPROTO_NUMBERS;
    switch (f->v.type) {
    case VALUE_FLOAT:
        if (isfinite(f->v.f))
            return at + num_put_double(at, f->v.f);
        l->refused->not_finite++;
        return NULL;
    case VALUE_INT:
        return put_int(at, f->v.i, !numbers);
    case VALUE_BOOL:
        if (numbers)
            return put_text(at, f->v.b ? "1" : "0", 1);
        return f->v.b ? put_text(at, "true", 4) : put_text(at, "false", 5);
    case VALUE_STRING:
        if (numbers && f->has_code)
            return put_int(at, f->code, false);
        if (numbers) {
            l->refused->string++;
            return NULL;
        }
        if (f->v.s.n <= LINEPROTO_MAX_STRING)
            return put_string(at, &f->v, l->refused);
        l->refused->too_long++;
        return NULL;
    }
    return NULL;
}

static void put_field(struct line *l, const struct field *f)
{
    if (f->key_len == 0 || f->key_len > LINEPROTO_MAX_KEY) {
        l->refused->bad_key++;
        return;
    }
    char *at = put_key(l->at, f);
    size_t n = (size_t)(at - l->at);
    if (l->at[0] == '_' || (n == 4 && memcmp(l->at, "time", 4) == 0)) {
        l->refused->bad_key++;
        return;
    }
    *at++ = '=';
    at = put_value(at, l, f);
    if (!at)
        return;
    if (!key_is_new(l, n)) {
        l->refused->duplicate++;
        return;
    }
    *at++ = ',';
    l->at = at;
}

int lineproto_put(struct buf *b, enum lineproto_dialect dialect, const struct point *p,
                  struct lineproto_refused *refused)
{
    if (p->time_ms > MAX_MS || p->time_ms < -MAX_MS ||
        (p->time_ms == 0 && dialect == LINEPROTO_NUMBERS))
        return -ERANGE;
    if (p->n_fields > LINEPROTO_MAX_FIELDS)
        return -E2BIG;
    struct line l;
    l.start = buf_room(b, line_room(p));
    if (!l.start)
        return -ENOBUFS;
    l.at = put_text(l.start, p->series, p->series_len);
    *l.at++ = ' ';
    l.refused = refused;
    l.dialect = dialect;
    l.seen = 0;
    l.n = 0;
    for (size_t i = 0; i < p->n_fields; i++)
        put_field(&l, &p->fields[i]);
    if (l.n == 0)
        return -ENODATA;
    l.at[-1] = ' '; /* the last comma */
    l.at = put_int(l.at, p->time_ms, false);
    if (p->time_ms != 0)
        l.at = put_text(l.at, "000000", 6);
    *l.at++ = '\n';
    buf_commit(b, (size_t)(l.at - l.start));
    return 0;
}
