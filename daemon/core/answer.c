/* SPDX-License-Identifier: Apache-2.0 */
/* docs/sinks.md has the table with where each row comes from. */
#include "core/answer.h"

#include <string.h>

#define BODY_MOST 65536
#define SAME_MOST 3 /* equal refusals of the same bytes while others are taken */

enum { F1 = 1, F2 = 2, F3 = 4, VM = 8, ANY = 15 };

struct row {
    int from, to; /* status */
    int flavours;
    const char *text; /* in the body; NULL: any body */
    enum answer_class class_;
    const char *reason;
    bool certain;
};

/* First match decides. Texts come before bare statuses: they know more. */
static const struct row ROWS[] = {
    /* these echo what was sent, which may hold any of the texts below */
    {400, 400, ANY, "\"error\":\"unable to parse '", ANSWER_PARTIAL, "parse", true},
    {400, 400, ANY, "\"message\":\"unable to parse '", ANSWER_PARTIAL, "parse", true},
    {400, 400, ANY, "partial write: unable to parse '", ANSWER_PARTIAL, "parse", true},
    {400, 400, ANY, "partial write: field type conflict", ANSWER_PARTIAL, "field_type", true},
    {422, 422, ANY, "partial write: field type conflict", ANSWER_PARTIAL, "field_type", true},
    {400, 400, F3, "partial write of line protocol", ANSWER_PARTIAL, "parse", true},
    {400, 400, F3, "line protocol parsing error", ANSWER_PARTIAL, "parse", true},
    /* passing faults of the server or of the way there, whatever the status says */
    {400, 599, ANY, "no space left on device", ANSWER_RETRY, "disk_full", false},
    {400, 599, ANY, "read-only file system", ANSWER_RETRY, "read_only", false},
    {400, 599, ANY, "storage is in read-only mode", ANSWER_RETRY, "read_only", false},
    {400, 599, ANY, "too many open files", ANSWER_RETRY, "open_files", false},
    {400, 400, ANY, "gzip:", ANSWER_RETRY, "transport", false},
    {400, 400, ANY, "cannot read gzip", ANSWER_RETRY, "transport", false},
    {400, 400, ANY, "unexpected EOF", ANSWER_RETRY, "transport", false},
    /* an operator has to act */
    {400, 599, ANY, "retention policy not found", ANSWER_BLOCK, "no_retention_policy", false},
    {400, 599, ANY, "database is required", ANSWER_BLOCK, "no_database", false},
    {400, 599, ANY, "database not found", ANSWER_BLOCK, "no_database", false},
    {400, 599, ANY, "max-series-per-database", ANSWER_BLOCK, "series_limit", false},
    {400, 599, ANY, "max-values-per-tag", ANSWER_BLOCK, "tag_limit", false},
    {400, 400, VM, "unsupported path", ANSWER_BLOCK, "path", false},
    /* too large as it is */
    {400, 599, ANY, "too long line", ANSWER_SPLIT, "too_long", true},
    {400, 599, ANY, "cache-max-memory-size exceeded", ANSWER_SPLIT, "cache_full", false},
    {413, 413, ANY, NULL, ANSWER_SPLIT, "too_large", true},
    /* lines that are refused for what they are */
    {400, 400, ANY, "points beyond retention policy", ANSWER_PARTIAL, "retention", true},
    {422, 422, ANY, "points beyond retention policy", ANSWER_PARTIAL, "retention", true},
    {400, 400, ANY, "outside retention policy", ANSWER_PARTIAL, "retention", true},
    {422, 422, ANY, "outside retention policy", ANSWER_PARTIAL, "retention", true},
    {400, 400, ANY, "max key length exceeded", ANSWER_PARTIAL, "key_length", true},
    {422, 422, ANY, "max key length exceeded", ANSWER_PARTIAL, "key_length", true},
    {400, 400, ANY, "unable to parse", ANSWER_PARTIAL, "parse", true},
    {422, 422, ANY, "unable to parse", ANSWER_PARTIAL, "parse", true},
    {400, 400, ANY, "partial write", ANSWER_PARTIAL, "partial", true},
    {422, 422, ANY, "partial write", ANSWER_PARTIAL, "partial", true},
    {400, 400, VM, "cannot read influx line protocol", ANSWER_PARTIAL, "parse", true},
    /* bare statuses */
    {300, 399, ANY, NULL, ANSWER_BLOCK, "redirect", false},
    {401, 401, ANY, NULL, ANSWER_BLOCK, "auth", false},
    {403, 403, ANY, NULL, ANSWER_BLOCK, "auth", false},
    {404, 404, ANY, NULL, ANSWER_BLOCK, "not_found", false},
    {405, 405, ANY, NULL, ANSWER_BLOCK, "path", false},
    {415, 415, ANY, NULL, ANSWER_BLOCK, "encoding", false},
    {408, 408, ANY, NULL, ANSWER_RETRY, "timeout", false},
    {425, 425, ANY, NULL, ANSWER_RETRY, "too_early", false},
    {429, 429, ANY, NULL, ANSWER_RETRY, "throttled", false},
    {422, 422, F3, NULL, ANSWER_BLOCK, "limit", false},
    {400, 499, ANY, NULL, ANSWER_BLOCK, "refused", false},
    {500, 500, ANY, NULL, ANSWER_RETRY, "server_error", false},
    {502, 504, ANY, NULL, ANSWER_RETRY, "unavailable", false},
    {507, 507, ANY, NULL, ANSWER_RETRY, "disk_full", false},
    {501, 599, ANY, NULL, ANSWER_RETRY, "server_error", false},
};

static bool contains(const char *body, size_t n, const char *text)
{
    return memmem(body, n, text, strlen(text)) != NULL;
}

static int flavour_bit(enum conf_sink_type t)
{
    switch (t) {
    case CONF_INFLUXDB1:
        return F1;
    case CONF_INFLUXDB2:
        return F2;
    case CONF_INFLUXDB3:
        return F3;
    case CONF_VICTORIAMETRICS:
        return VM;
    }
    return F1;
}

/* -- InfluxDB 3 names its refused lines
 * --------------------------------------------------------- */

struct scan {
    const char *p, *end;
};

/* Passes a JSON string whose opening quote is at p; its text without the quotes. */
static bool scan_string(struct scan *s, const char **out, size_t *out_n)
{
    const char *q = s->p + 1;
    while (q < s->end && *q != '"')
        q += *q == '\\' ? 2 : 1;
    if (q >= s->end)
        return false;
    *out = s->p + 1;
    *out_n = (size_t)(q - *out);
    s->p = q + 1;
    return true;
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool scan_line_number(struct scan *s, unsigned *out)
{
    skip_space(s);
    if (s->p >= s->end || *s->p != ':')
        return false;
    s->p++;
    skip_space(s);
    unsigned v = 0;
    int digits = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9' && digits < 9; digits++)
        v = v * 10 + (unsigned)(*s->p++ - '0');
    *out = v;
    return digits > 0;
}

/* Keeps refused[] ascending and without doubles; false when there is no room. */
static bool add_line(struct answer *a, unsigned line)
{
    size_t i = a->n_refused;
    while (i > 0 && a->refused[i - 1] > line)
        i--;
    if (i > 0 && a->refused[i - 1] == line)
        return true;
    if (a->n_refused == ANSWER_LINES_MAX)
        return false;
    memmove(&a->refused[i + 1], &a->refused[i], (a->n_refused - i) * sizeof(a->refused[0]));
    a->refused[i] = line;
    a->n_refused++;
    return true;
}

/* {"error":"partial write of line protocol occurred","data":[{…"line_number":2…},…]}
 * Only a whole list of possible numbers is believed; else they are searched for. */
static void find_lines(const struct answer_in *in, struct answer *out)
{
    struct scan s = {in->body, in->body + in->body_len};
    const char *text;
    size_t n;
    int depth = 0;
    bool whole = false, list = false;
    while (s.p < s.end) {
        char c = *s.p;
        if (c == '"') {
            if (!scan_string(&s, &text, &n))
                break;
            unsigned line;
            if (n == 4 && memcmp(text, "data", 4) == 0 && depth == 1) {
                skip_space(&s);
                if (s.p < s.end && *s.p == ':')
                    s.p++;
                skip_space(&s);
                list = s.p < s.end && *s.p == '[';
            } else if (n == 11 && memcmp(text, "line_number", 11) == 0 && depth == 3) {
                if (!scan_line_number(&s, &line) || line == 0 || line > in->lines ||
                    !add_line(out, line))
                    break;
            }
            continue;
        }
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        s.p++;
        if (depth == 0 && (c == '}' || c == ']')) {
            whole = true;
            break;
        }
    }
    if (!whole || !list)
        out->n_refused = 0;
}

/* -- classes ---------------------------------------------------------------------------------
 */

static void set(struct answer *out, enum answer_class c, const char *reason, bool certain)
{
    out->class_ = c;
    out->reason = reason;
    out->certain = certain;
}

static void success(const struct answer_in *in, struct answer *out)
{
    const char *p = in->body, *end = p + in->body_len;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    if (in->status == 204)
        set(out, ANSWER_OK, "ok", true);
    else if (in->status == 200 && p < end && *p == '<')
        set(out, ANSWER_RETRY, "not_a_database", false); /* a portal or a proxy's page */
    else if (in->status == 200)
        set(out, ANSWER_OK, "ok", true);
    else if (in->status == 201 && in->flavour == CONF_INFLUXDB3 &&
             (p == end || contains(p, (size_t)(end - p), "\"error\":\"\"") ||
              !contains(p, (size_t)(end - p), "\"error\"")))
        set(out, ANSWER_OK, "ok", true);
    else
        set(out, ANSWER_RETRY, "odd_success", false);
}

/* No answer, or none that can be read. */
static bool transport(const struct answer_in *in, struct answer *out)
{
    switch (in->transport) {
    case TRANSPORT_OK:
        return false;
    case TRANSPORT_FAILED:
        set(out, ANSWER_RETRY, "no_answer", false);
        return true;
    case TRANSPORT_TIMEOUT:
        set(out, ANSWER_RETRY, "timeout", false);
        return true;
    case TRANSPORT_TLS:
        set(out, ANSWER_BLOCK, "tls", false);
        return true;
    case TRANSPORT_WEIRD:
        /* influxd echoes a refused line in a header; a NUL in it is what curl chokes on. A
         * status that was read says that it was a database that spoke. */
        if (in->status >= 400 && in->status < 500)
            set(out, ANSWER_SPLIT, "weird_answer", false);
        else
            set(out, ANSWER_RETRY, "weird_answer", false);
        return true;
    }
    return false;
}

/* The same refusal again and again, while others are taken: it is the batch, not the server. */
static bool guilty(const struct answer_in *in, const struct answer *a)
{
    return in->same_before >= SAME_MOST &&
           (strcmp(a->reason, "server_error") == 0 || strcmp(a->reason, "refused") == 0 ||
            strcmp(a->reason, "weird_answer") == 0 || strcmp(a->reason, "timeout") == 0 ||
            strcmp(a->reason, "no_answer") == 0);
}

void answer_classify(const struct answer_in *in, struct answer *out)
{
    struct answer_in it = *in;
    memset(out, 0, sizeof(*out));
    if (!it.body)
        it.body_len = 0;
    if (it.body_len > BODY_MOST)
        it.body_len = BODY_MOST;
    set(out, ANSWER_RETRY, "odd_status", false);
    if (transport(&it, out)) {
        /* below */
    } else if (it.status >= 200 && it.status < 300) {
        success(&it, out);
    } else {
        int bit = flavour_bit(it.flavour);
        for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
            const struct row *r = &ROWS[i];
            if (it.status < r->from || it.status > r->to || !(r->flavours & bit) ||
                (r->text && !contains(it.body, it.body_len, r->text)))
                continue;
            set(out, r->class_, r->reason, r->certain);
            break;
        }
    }
    if (out->class_ == ANSWER_PARTIAL && it.flavour == CONF_INFLUXDB3)
        find_lines(&it, out);
    if (guilty(&it, out))
        out->class_ = ANSWER_SPLIT;
    /* alone and still refused */
    if (it.lines == 1 && (out->class_ == ANSWER_PARTIAL || out->class_ == ANSWER_SPLIT)) {
        if (strcmp(out->reason, "cache_full") == 0 || it.transport == TRANSPORT_FAILED ||
            it.transport == TRANSPORT_TIMEOUT)
            /* no line is too large for a cache: it is full; and silence condemns nothing */
            out->class_ = ANSWER_RETRY;
        else
            out->class_ = ANSWER_POISON;
        out->n_refused = 0;
    }
}

const char *answer_class_name(enum answer_class c)
{
    static const char *const names[] = {"ok", "retry", "block", "split", "partial", "poison"};
    return (size_t)c < sizeof(names) / sizeof(names[0]) ? names[c] : "?";
}
