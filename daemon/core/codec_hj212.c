/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HJ 212-2017 (and HJ/T 212-2005, whose packets look the same): what pollution and environment
 * loggers say. A packet is `##`, the data segment's length as four digits, the data segment, its
 * CRC as four hexadecimal digits (annex A), CR LF; a payload holds one or several. The last CR LF
 * may be missing: MQTT bridges cut it off.
 *
 * Written is an array, one object a packet:
 *   {"QN": text, "ST": 22, "CN": 2011, "MN": text, "Flag": 4, "PNUM": 2, "PNO": 1, …,
 *    "DataTime": "20191012133710", "CP": {every field of CP by its whole name, "a21001-Rtd": 25.4},
 *    "factors": [{"code": "a21001", "Rtd": 25.4, "Flag": "N"}, …]}
 * Fields come as the packet has them and are absent when it does not. DataTime is the one of CP.
 * A factor is what neighbouring fields say about one code (what is before the first '-'). Numbers
 * are numbers; text stay identifiers (QN, MN, PolId), times (…Time), data flags (Flag and EFlag of a
 * factor), and digits with a zero in front ("071"). PNUM and PNO say that the data are split
 * over packets; each is data by itself. Passwords (PW, NewPW) are not copied. What is not UTF-8,
 * as the standard demands, comes as null.
 */
#include "base/num.h"
#include "base/utf8.h"
#include "core/codec_plan_private.h"
#include "core/codec_private.h"

#include <errno.h>
#include <strings.h>

#define OVERHEAD 10 /* "##" and length before, CRC after the data segment */

struct span {
    const char *p;
    size_t n;
};

static bool is(struct span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool ends(struct span s, const char *text)
{
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.p + s.n - n, text, n) == 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is before the next `by` and inside *rest, which moves behind it. */
static struct span cut(struct span *rest, char by)
{
    const char *at = memchr(rest->p, by, rest->n);
    struct span s = {rest->p, at ? (size_t)(at - rest->p) : rest->n};
    size_t step = at ? s.n + 1 : s.n;
    rest->p += step;
    rest->n -= step;
    return s;
}

static bool stays_text(struct span name)
{
    return ends(name, "Time") || is(name, "QN") || is(name, "MN") || is(name, "PolId");
}

/* Also where no logger should put one: as a field of a factor. */
static bool is_secret(struct span name)
{
    const char *dash = memchr(name.p, '-', name.n);
    struct span field = name;
    if (dash) {
        field.p = dash + 1;
        field.n = name.n - (size_t)(field.p - name.p);
    }
    return (field.n == 2 && strncasecmp(field.p, "PW", 2) == 0) ||
           (field.n == 5 && strncasecmp(field.p, "NewPW", 5) == 0);
}

static void put_number_or_text(struct doc *d, struct span v)
{
    int64_t i;
    double x;
    bool point = memchr(v.p, '.', v.n);
    struct span digits = v;
    if (v.n > 0 && v.p[0] == '-') {
        digits.p++;
        digits.n--;
    }
    bool led = digits.n > 1 && digits.p[0] == '0' && digits.p[1] != '.';
    for (size_t k = 0; k < digits.n; k++)
        if ((digits.p[k] < '0' || digits.p[k] > '9') && digits.p[k] != '.')
            led = true; /* exponents are not of this standard: "1E5" is some code */
    if (!led && !point && num_get_i64(v.p, v.n, &i) == 0)
        doc_int(d, i);
    else if (!led && point && num_get_double(v.p, v.n, &x) == 0)
        doc_double(d, x);
    else if (utf8_valid(v.p, v.n))
        doc_text(d, v.p, v.n);
    else
        doc_null(d);
}

static void put_field(struct doc *d, struct span name, struct span v, bool text)
{
    if (!utf8_valid(name.p, name.n))
        return;
    doc_key(d, name.p, name.n);
    if (text && utf8_valid(v.p, v.n))
        doc_text(d, v.p, v.n);
    else if (text)
        doc_null(d);
    else
        put_number_or_text(d, v);
}

/* The next `name=value` of CP; groups and fields are parted by ';' and ','. */
static bool next_field(struct span *cp, struct span *out_name, struct span *out_value)
{
    while (cp->n > 0) {
        size_t n = 0;
        while (n < cp->n && cp->p[n] != ';' && cp->p[n] != ',')
            n++;
        struct span v = {cp->p, n};
        size_t step = n < cp->n ? n + 1 : n;
        cp->p += step;
        cp->n -= step;
        const char *eq = memchr(v.p, '=', v.n);
        if (!eq || eq == v.p)
            continue; /* an empty field, as before the closing && */
        *out_name = cut(&v, '=');
        *out_value = v;
        if (!is_secret(*out_name))
            return true;
    }
    return false;
}

static bool is_flag(struct span field)
{
    return is(field, "Flag") || is(field, "EFlag");
}

static void put_cp(struct doc *d, struct span cp)
{
    struct span name, v, rest = cp;
    doc_key(d, "CP", 2);
    doc_object(d);
    while (next_field(&rest, &name, &v))
        put_field(d, name, v, stays_text(name) || ends(name, "-Flag") || ends(name, "-EFlag"));
    doc_end(d);
}

static void put_factors(struct doc *d, struct span cp)
{
    struct span name, v, code = {NULL, 0};
    doc_key(d, "factors", 7);
    doc_array(d);
    while (next_field(&cp, &name, &v)) {
        struct span field = name, of = cut(&field, '-');
        if (of.n == 0 || field.n == 0 || !utf8_valid(name.p, name.n))
            continue; /* DataTime and the like */
        if (!code.p || code.n != of.n || memcmp(code.p, of.p, of.n) != 0) {
            if (code.p)
                doc_end(d);
            code = of;
            doc_object(d);
            doc_key(d, "code", 4);
            doc_text(d, code.p, code.n);
        }
        put_field(d, field, v, stays_text(field) || is_flag(field));
    }
    if (code.p)
        doc_end(d);
    doc_end(d);
}

static void put_data_time(struct doc *d, struct span cp)
{
    struct span name, v;
    while (next_field(&cp, &name, &v)) {
        if (is(name, "DataTime")) {
            put_field(d, name, v, true);
            return;
        }
    }
}

static int packet_number(struct span v)
{
    int64_t i = -1;
    while (v.n > 1 && v.p[0] == '0') { /* "0002" */
        v.p++;
        v.n--;
    }
    return num_get_i64(v.p, v.n, &i) == 0 && i >= 0 && i <= 9999 ? (int)i : -1;
}

static int refuse(struct codec_fault *f, size_t at, bool checksum, const char *why)
{
    f->why = why;
    f->at = at;
    f->checksum = checksum;
    return -EBADMSG;
}

static int put_segment(struct doc *d, struct span data, size_t at, struct codec_fault *f)
{
    const char *begin = data.p;
    doc_object(d);
    while (data.n > 0) {
        if (data.n >= 5 && memcmp(data.p, "CP=&&", 5) == 0) {
            struct span cp = {data.p + 5, data.n - 5};
            const char *end = memmem(cp.p, cp.n, "&&", 2);
            if (!end)
                return refuse(f, at + (size_t)(cp.p - begin), false, "CP has no && at its end");
            cp.n = (size_t)(end - cp.p);
            put_data_time(d, cp);
            put_cp(d, cp);
            put_factors(d, cp);
            data.n -= (size_t)(end + 2 - data.p);
            data.p = end + 2;
            continue;
        }
        struct span v = cut(&data, ';');
        const char *field = v.p;
        if (v.n == 0)
            continue;
        if (!memchr(v.p, '=', v.n) || v.p[0] == '=')
            return refuse(f, at + (size_t)(field - begin), false, "a field is not NAME=VALUE");
        struct span name = cut(&v, '=');
        bool packet = is(name, "PNUM") || is(name, "PNO");
        if (is_secret(name))
            continue;
        if (packet && packet_number(v) >= 0) {
            doc_key(d, name.p, name.n);
            doc_int(d, packet_number(v));
        } else {
            put_field(d, name, v, stays_text(name));
        }
    }
    return doc_end(d);
}

/* The data segment of the packet at p[at], checked. */
static int take_packet(const char *p, size_t n, size_t at, struct span *out,
                       struct codec_fault *f)
{
    if (n - at < 2 || p[at] != '#' || p[at + 1] != '#')
        return refuse(f, at, false, "no ## where a packet begins");
    size_t len = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        if (i >= n || p[i] < '0' || p[i] > '9')
            return refuse(f, i < n ? i : n, true, "no four digits of length after ##");
        len = len * 10 + (size_t)(p[i] - '0');
    }
    if (n - at < OVERHEAD || n - at - OVERHEAD < len)
        return refuse(f, at + 2, true, "shorter than its length says");
    unsigned told = 0;
    const char *crc = p + at + 6 + len;
    for (int i = 0; i < 4; i++) {
        int v = hex_value(crc[i]);
        if (v < 0)
            return refuse(f, at + 6 + len, true, "no CRC where its length says");
        told = told << 4 | (unsigned)v;
    }
    const struct codec_sum *sum = codec_sum_find("crc16-hj212");
    if (told != sum->of(sum, (const unsigned char *)p + at + 6, len))
        return refuse(f, at + 6 + len, true, "CRC does not agree");
    *out = (struct span){p + at + 6, len};
    return 0;
}

int codec_hj212(const char *p, size_t n, struct doc *d, struct codec_fault *f)
{
    size_t at = 0;
    if (n == 0)
        return refuse(f, 0, false, "empty, expected a packet");
    doc_array(d);
    while (at < n) {
        struct span data;
        int rc = take_packet(p, n, at, &data, f);
        if (rc == 0)
            rc = put_segment(d, data, at + 6, f);
        if (rc != 0)
            return rc;
        at += OVERHEAD + data.n;
        if (at < n && p[at] == '\r')
            at++;
        if (at < n && p[at] == '\n')
            at++;
    }
    return doc_end(d);
}
