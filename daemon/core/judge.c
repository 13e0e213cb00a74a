/* SPDX-License-Identifier: Apache-2.0 */
#include "core/judge.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

#define EXACT   9007199254740992.0 /* 2^53: integers beyond are no longer told apart */
#define MAX_NUM 64                 /* bytes of a text that may be a number */

static const char *const reasons[REASON_N] = {
#define X(name, word) [REASON_##name] = word,
    QUALITY_REASONS(X)
#undef X
};

const char *judge_reason(enum quality_reason r)
{
    return reasons[r];
}

bool judge_way(const struct catalog *c, const struct kind *k, const struct decoded_value *v,
               struct profile_metric *out)
{
    if (v->from) {
        const struct profile_metric *p = profile_metric(v, k);
        if (p)
            *out = *p;
        return p != NULL;
    }
    const struct metric *m = catalog_metric(c, k, v->key, v->key_len);
    *out = judge_as_is(m);
    return m != NULL;
}

/* -- goodwill for what vendors write --------------------------------------------------------- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* "+27.90", "071", " 48 ", "-007.5" as num.h wants them: no blanks, no '+', no zeros in front. */
static size_t plain_number(const char *p, size_t n, char out[MAX_NUM])
{
    size_t at = 0;
    while (n > 0 && blank(*p))
        p++, n--;
    while (n > 0 && blank(p[n - 1]))
        n--;
    if (n > 0 && (*p == '+' || *p == '-')) {
        if (*p == '-')
            out[at++] = '-';
        p++, n--;
    }
    while (n > 1 && p[0] == '0' && p[1] >= '0' && p[1] <= '9')
        p++, n--;
    if (n == 0 || n >= MAX_NUM - at || *p == '-')
        return 0;
    memcpy(out + at, p, n);
    return at + n;
}

static bool text_number(const struct value *v, struct value *out)
{
    char text[MAX_NUM];
    size_t n = plain_number(v->s.p, v->s.n, text);
    int64_t i;
    double f;
    if (n == 0)
        return false;
    if (num_get_i64(text, n, &i) == 0)
        *out = (struct value){.type = VALUE_INT, .i = i};
    else if (num_get_double(text, n, &f) == 0)
        *out = (struct value){.type = VALUE_FLOAT, .f = f};
    else
        return false;
    return true;
}

static bool word_is(const struct value *v, const char *word) /* `word` in lower case */
{
    size_t n = strlen(word);
    if (v->s.n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = v->s.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (c != word[i])
            return false;
    }
    return true;
}

static bool text_bool(const struct value *v, bool *out)
{
    *out = word_is(v, "true") || word_is(v, "on") || word_is(v, "1");
    return *out || word_is(v, "false") || word_is(v, "off") || word_is(v, "0");
}

/* -- into the metric's type ------------------------------------------------------------------ */

/* canonical = v × mul ÷ div + add. Adding takes away digits that the sum does not have: 298.45 K
 * are 25.3 °C, not 25.30000000000001. */
static double convert(double v, const struct profile_metric *way)
{
    double x = v * way->mul / way->div;
    if (way->add == 0)
        return x;
    x += way->add;
    return fabs(x) < 1e6 ? nearbyint(x * 1e9) / 1e9 : x;
}

static bool sentinel(const struct metric *m, double v)
{
    for (size_t i = 0; i < m->n_sentinels; i++)
        if (m->sentinels[i] == v)
            return true;
    return false;
}

/* A whole number that int64 holds, exactly. */
static bool whole(double x, int64_t *out)
{
    if (x != floor(x) || fabs(x) > EXACT)
        return false;
    *out = (int64_t)x;
    return true;
}

static enum quality_reason number(const struct decoded_value *v,
                                  const struct profile_metric *way, bool as_told, double min,
                                  double max, struct field *out)
{
    const struct metric *m = way->metric;
    const struct value *n = &v->v;
    struct value read;
    if (n->type == VALUE_STRING && v->from && text_number(n, &read))
        n = &read;
    bool is_int = n->type == VALUE_INT;
    if (!is_int && (n->type != VALUE_FLOAT || !isfinite(n->f)))
        return REASON_TYPE;
    double x = is_int ? (double)n->i : n->f;
    if (!way->same && !as_told) {
        x = convert(x, way);
        is_int = false;
        if (!isfinite(x))
            return REASON_TYPE;
        if (m->type == METRIC_INT) /* 1,500 ms of a metric in whole seconds */
            x = nearbyint(x);
    }
    if (m->type == METRIC_FLOAT) {
        out->v.type = VALUE_FLOAT;
        out->v.f = x;
    } else {
        int64_t i;
        if (is_int)
            i = n->i;
        else if (!whole(x, &i))
            return REASON_TYPE;
        out->v.type = VALUE_INT;
        out->v.i = i;
    }
    if (sentinel(m, x))
        return REASON_SENTINEL;
    return x < min || x > max ? REASON_RANGE : REASON_NONE;
}

static enum quality_reason truth(const struct decoded_value *v, struct field *out)
{
    bool b = false;
    bool is = false;
    switch (v->v.type) {
    case VALUE_BOOL:
        is = true;
        b = v->v.b;
        break;
    case VALUE_INT:
        is = v->v.i == 0 || v->v.i == 1;
        b = v->v.i == 1;
        break;
    case VALUE_FLOAT:
        is = v->from && (v->v.f == 0.0 || v->v.f == 1.0);
        b = v->v.f == 1.0;
        break;
    case VALUE_STRING:
        is = v->from && text_bool(&v->v, &b);
        break;
    }
    if (!is)
        return REASON_TYPE;
    out->v = (struct value){.type = VALUE_BOOL, .b = b};
    return REASON_NONE;
}

static enum quality_reason enumeration(const struct decoded_value *v, const struct metric *m,
                                       struct field *out)
{
    const struct metric_code *c = NULL;
    struct value n = v->v;
    if (n.type == VALUE_STRING) {
        c = metric_code(m, n.s.p, n.s.n);
        if (!c && (!v->from || !text_number(&v->v, &n)))
            return REASON_ENUM;
    }
    if (!c && v->from && n.type == VALUE_FLOAT && n.f == floor(n.f) && fabs(n.f) <= EXACT)
        n = (struct value){.type = VALUE_INT, .i = (int64_t)n.f};
    if (!c && n.type != VALUE_INT)
        return v->v.type == VALUE_STRING ? REASON_ENUM : REASON_TYPE;
    if (!c)
        c = metric_code_by_number(m, n.i);
    if (!c)
        return REASON_ENUM;
    out->v = (struct value){.type = VALUE_STRING, .s = {c->name, strlen(c->name)}};
    out->code = c->code;
    out->has_code = true;
    return REASON_NONE;
}

/* -- words ----------------------------------------------------------------------------------- */

/* Any value as text, at most JUDGE_WORDS bytes, never ending inside a character. */
static size_t words_of(const struct value *v, char *at)
{
    size_t n = 0;
    switch (v->type) {
    case VALUE_STRING:
        n = v->s.n < JUDGE_WORDS ? v->s.n : JUDGE_WORDS;
        while (n < v->s.n && n > 0 && ((unsigned char)v->s.p[n] & 0xc0) == 0x80)
            n--;
        memcpy(at, v->s.p, n);
        return n;
    case VALUE_BOOL:
        n = v->b ? 4 : 5;
        memcpy(at, v->b ? "true" : "false", n);
        return n;
    case VALUE_INT:
        return num_put_i64(at, v->i);
    case VALUE_FLOAT:
        if (isfinite(v->f))
            return num_put_double(at, v->f);
        n = isnan(v->f) ? 3 : v->f > 0 ? 8 : 9;
        memcpy(at, isnan(v->f) ? "NaN" : v->f > 0 ? "Infinity" : "-Infinity", n);
        return n;
    }
    return n;
}

static size_t words_room(const struct value *v)
{
    if (v->type == VALUE_STRING)
        return v->s.n < JUDGE_WORDS ? v->s.n : JUDGE_WORDS;
    return NUM_MAX;
}

static bool text(const struct decoded_value *v, struct judge_room *room, struct field *out,
                 enum quality_reason *out_reason)
{
    *out_reason = REASON_NONE;
    if (v->v.type == VALUE_STRING) {
        out->v = v->v;
        return true;
    }
    if (!v->from || (v->v.type == VALUE_FLOAT && !isfinite(v->v.f))) {
        *out_reason = REASON_TYPE;
        return true;
    }
    if (room->n + NUM_MAX > sizeof(room->p))
        return false;
    char *at = room->p + room->n;
    size_t n = words_of(&v->v, at);
    room->n += n;
    out->v = (struct value){.type = VALUE_STRING, .s = {at, n}};
    return true;
}

/* A value that is not of the metric's type keeps its words: field METRIC_raw, a text. */
static bool keep_words(const struct metric *m, const struct value *v, struct judge_room *room,
                       struct field *out)
{
    if (room->n + m->name_len + 4 + words_room(v) > sizeof(room->p))
        return false;
    char *key = room->p + room->n;
    memcpy(key, m->name, m->name_len);
    memcpy(key + m->name_len, "_raw", 4);
    char *at = key + m->name_len + 4;
    size_t n = words_of(v, at);
    *out = (struct field){
        .key = key, .key_len = m->name_len + 4, .v = {.type = VALUE_STRING, .s = {at, n}}};
    room->n += m->name_len + 4 + n;
    return true;
}

/* Of the metric's type, or why not; false: the room is full. */
static bool into_type(const struct decoded_value *v, const struct profile_metric *way,
                      bool as_told, double min, double max, struct judge_room *room,
                      struct field *out, enum quality_reason *out_found)
{
    switch (way->metric->type) {
    case METRIC_FLOAT:
    case METRIC_INT:
        *out_found = number(v, way, as_told, min, max, out);
        break;
    case METRIC_BOOL:
        *out_found = truth(v, out);
        break;
    case METRIC_ENUM:
        *out_found = enumeration(v, way->metric, out);
        break;
    case METRIC_STRING:
        return text(v, room, out, out_found);
    }
    return true;
}

bool judge_field(const struct decoded_value *v, const struct profile_metric *way, double min,
                 double max, struct judge_room *room, struct field *out,
                 enum quality *out_quality, enum quality_reason *out_reason)
{
    const struct metric *m = way->metric;
    if (v->is_null || (v->from && v->v.type == VALUE_STRING && v->v.s.n == 0))
        return false;
    enum quality_reason told = (enum quality_reason)v->reason;
    bool bad = v->quality == QUALITY_BAD;
    bool as_told = bad && (told == REASON_SENTINEL || told == REASON_FAULT ||
                           told == REASON_ENUM || told == REASON_TYPE);
    out->key = m->name;
    out->key_len = m->name_len;
    out->has_code = false;
    enum quality_reason found = REASON_NONE;
    if (!into_type(v, way, as_told, min, max, room, out, &found))
        return false;
    if ((found == REASON_TYPE || found == REASON_ENUM) && !keep_words(m, &v->v, room, out))
        return false;
    if (bad) {
        *out_quality = QUALITY_BAD;
        *out_reason = told != REASON_NONE ? told : REASON_OTHER;
    } else if (found != REASON_NONE) {
        *out_quality = QUALITY_BAD;
        *out_reason = found;
    } else {
        *out_quality = (enum quality)v->quality;
        *out_reason = told;
    }
    return true;
}

bool judge_value(const struct decoded_value *v, const struct profile_metric *way, double min,
                 double max, struct judge_room *room, struct judged *out)
{
    enum quality quality;
    enum quality_reason reason;
    if (!judge_field(v, way, min, max, room, &out->field, &quality, &reason))
        return false;
    out->quality = (unsigned char)quality;
    out->reason = (unsigned char)reason;
    return true;
}
