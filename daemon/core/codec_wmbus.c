/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wM-Bus and M-Bus telegrams (EN 13757-2/-3/-4/-7, OMS volume 2) as receivers hand them on: from the
 * length byte, the link layer's CRCs removed; or the long frame of wired M-Bus (68 L L 68 …). Data
 * must be plain or decrypted (2F 2F in front); what is encrypted is refused, for there are no keys
 * here. Of the extended link layers 8C and 8E are stepped over, 8D and 8F if not encrypted.
 *
 * Written is one object:
 *   {"manufacturer": "DME", "id": "70644664", "version": 112, "medium": "water", "medium_code": 7,
 *    "access": 237, "status_code": 0, "status": "OK", "records": […], "manufacturer_data": hex,
 *    "more_follow": true, and every record's value under its own name}
 * manufacturer to medium are the meter's when the long header names it, else the sender's.
 * access and the two of status are missing in telegrams without header. status tells the bits
 * that the standard defines, joined by a blank: OK, or BUSY | ERROR | ALARM, POWER_LOW,
 * PERMANENT_ERROR, TEMPORARY_ERROR; the three upper bits of status_code are the manufacturer's.
 * A record is {"name": "volume_m3", "value", "unit" (UCUM, if there is one), "function":
 * instantaneous | maximum | minimum | error, "storage": 0, "tariff": 0, "subunit": 0, "vif": hex,
 * "error": text (why value is null)}.
 * Names are told in codec_wmbus_tables.c: quantity, then unit in small letters (energy_kwh,
 * volume_m3, flow_temperature_c, power_w); behind it what extensions say (_base, _l1, _positive;
 * _vife_HEX for those without a name here: then the unit is left out, and the value unscaled
 * unless it is a rate). A VIF in plain text is text_NAME, an unknown one vif_HEX. The name
 * directly in the object goes on with _max, _min, _error; _storage_N; _tariff_N; _subunit_N, where these
 * are not instantaneous or 0. If two records share a name, the first counts.
 * Numbers are decimally exact. Dates are "yyyy-MM-dd", with time "yyyy-MM-ddTHH:mm:ss", local;
 * null with error "invalid" when the meter marks them so, as are BCD with letters and the most
 * negative integer.
 */
#include "core/codec_wmbus_private.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/codec_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    MORE = 0x80, /* an extension follows */
    MOST_EXTENSIONS = 10,
    NAME_MAX_LEN = 192,
    IDLE = 0x2f
};

struct name {
    char text[NAME_MAX_LEN];
    size_t n;
};

struct record {
    unsigned function, data; /* of DIF */
    uint64_t storage;
    unsigned tariff, subunit;
    const uint8_t *vib; /* VIF and its extensions, without a plain text */
    size_t vib_len;
    struct name name;
    const char *unit, *error;
    enum wmbus_kind kind;
    bool unscaled;
    int exp;
    const uint8_t *value;
    size_t len;
    unsigned lvar;
};

struct telegram {
    const uint8_t *p; /* the records */
    size_t n;
    const uint8_t *address; /* id 4, then version, medium */
    unsigned manufacturer;
    bool has_status;
    uint8_t access, status;
    bool wired_order; /* id before manufacturer, as in the long header */
};

struct reader {
    const uint8_t *p;
    size_t n;
};

static int refuse(struct codec_fault *f, size_t at, bool checksum, const char *why)
{
    f->why = why;
    f->at = at;
    f->checksum = checksum;
    return -EBADMSG;
}

/* -- words -------------------------------------------------------------------------------- */

static void add(struct name *to, const char *p, size_t n)
{
    if (n > NAME_MAX_LEN - to->n)
        n = NAME_MAX_LEN - to->n;
    memcpy(to->text + to->n, p, n);
    to->n += n;
}

static void add_word(struct name *to, const char *word)
{
    if (to->n)
        add(to, "_", 1);
    add(to, word, strlen(word));
}

static void add_number(struct name *to, const char *word, uint64_t v)
{
    char text[NUM_MAX];
    add_word(to, word);
    add(to, "_", 1);
    add(to, text, num_put_u64(text, v));
}

static void add_hex(struct name *to, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        add(to, &digits[p[i] >> 4], 1);
        add(to, &digits[p[i] & 15], 1);
    }
}

static void key(struct doc *d, const char *name)
{
    doc_key(d, name, strlen(name));
}

static void put_text(struct doc *d, const char *name, const char *text)
{
    key(d, name);
    doc_text(d, text, strlen(text));
}

static void put_uint(struct doc *d, const char *name, uint64_t v)
{
    key(d, name);
    doc_uint(d, v);
}

static void put_hex_value(struct doc *d, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text = mem_realloc_array(NULL, n + 1, 2);
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[p[i] >> 4];
        text[2 * i + 1] = digits[p[i] & 15];
    }
    doc_text(d, text, 2 * n);
    free(text);
}

/* -- one record's head -------------------------------------------------------------------- */

static int take(struct reader *r, uint8_t *out)
{
    if (r->n == 0)
        return -EBADMSG;
    *out = *r->p++;
    r->n--;
    return 0;
}

static int read_dif(struct reader *r, struct record *c)
{
    uint8_t b;
    if (take(r, &b) != 0)
        return -EBADMSG;
    c->data = b & 15;
    c->function = b >> 4 & 3;
    c->storage = b >> 6 & 1;
    for (unsigned i = 0; b & MORE; i++) {
        if (i == MOST_EXTENSIONS || take(r, &b) != 0)
            return -EBADMSG;
        c->storage |= (uint64_t)(b & 15) << (1 + 4 * i);
        c->tariff |= (b >> 4 & 3u) << 2 * i;
        c->subunit |= (b >> 6 & 1u) << i;
    }
    return 0;
}

/* A VIF in plain text: its letters in transmission order, that is reversed. */
static int read_plain_vif(struct reader *r, struct record *c)
{
    uint8_t n;
    if (take(r, &n) != 0 || r->n < n)
        return -EBADMSG;
    add_word(&c->name, "text");
    add(&c->name, "_", 1);
    for (size_t i = n; i-- > 0;) {
        char ch = (char)r->p[i];
        if (ch >= 'A' && ch <= 'Z')
            ch = (char)(ch | 0x20);
        if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'))
            add(&c->name, &ch, 1);
    }
    r->p += n;
    r->n -= n;
    return 0;
}

static void name_vif(struct record *c, enum wmbus_table table, uint8_t code)
{
    static const char *const spans[] = {"s", "min", "h", "d"};
    const struct wmbus_vif *v = wmbus_vif(table, code);
    c->kind = WMBUS_UNSIGNED;
    if (!v) {
        add_word(&c->name, table == WMBUS_FB   ? "vif_fb"
                           : table == WMBUS_FD ? "vif_fd"
                                               : "vif_");
        add_hex(&c->name, &code, 1);
        return;
    }
    unsigned nth = (unsigned)code - v->first;
    c->kind = (enum wmbus_kind)v->kind;
    c->exp = v->spans ? 0 : v->kind == WMBUS_SCALED ? v->exp + (int)nth : 0;
    c->unit = v->spans ? spans[nth] : v->unit;
    add_word(&c->name, v->name);
    if (v->spans || v->suffix)
        add_word(&c->name, v->spans ? spans[nth] : v->suffix);
}

static void apply(struct record *c, const struct wmbus_vife *v, const uint8_t *code, size_t n)
{
    switch ((enum wmbus_effect)v->effect) {
    case WMBUS_ERROR:
        c->error = v->name;
        return;
    case WMBUS_SHIFT:
        c->exp += v->exp;
        return;
    case WMBUS_RATE:
        c->unit = NULL;
        break;
    case WMBUS_DATES:
        c->unit = NULL;
        c->kind = WMBUS_DATE;
        break;
    case WMBUS_OTHER:
        c->unit = NULL;
        c->unscaled = true;
        break;
    case WMBUS_SAME:
        break;
    }
    if (v->name && *v->name) {
        add_word(&c->name, v->name);
    } else if (!v->name) {
        add_word(&c->name, "vife_");
        add_hex(&c->name, code, n);
    }
}

/* The combinable extensions; behind 7F or a manufacturer's VIF they are the manufacturer's. */
static int read_vifes(struct reader *r, struct record *c, uint8_t vif)
{
    bool vendor = (vif & 0x7f) == 0x7f;
    for (unsigned i = 0; vif & MORE; i++) {
        const uint8_t *at = r->p;
        if (i == MOST_EXTENSIONS || take(r, &vif) != 0)
            return -EBADMSG;
        if ((vif & 0x7f) == 0x7f)
            vendor = true;
        if (vif == 0xfc && !vendor) {
            if (take(r, &vif) != 0)
                return -EBADMSG;
            apply(c, wmbus_vife2(vif & 0x7f), at, 2);
        } else {
            static const struct wmbus_vife theirs = {.effect = WMBUS_OTHER};
            apply(c, vendor ? &theirs : wmbus_vife(vif & 0x7f), at, 1);
        }
    }
    return 0;
}

static int read_vib(struct reader *r, struct record *c)
{
    uint8_t vif, code;
    int rc = 0;
    c->vib = r->p;
    if (take(r, &vif) != 0)
        return -EBADMSG;
    if (vif == 0xfb || vif == 0xfd) {
        if (take(r, &code) != 0)
            return -EBADMSG;
        name_vif(c, vif == 0xfb ? WMBUS_FB : WMBUS_FD, code & 0x7f);
        vif = (uint8_t)(code & MORE);
    } else if ((vif & 0x7f) == 0x7c) {
        c->kind = WMBUS_SCALED;
        rc = read_plain_vif(r, c);
    } else {
        name_vif(c, WMBUS_PRIMARY, vif & 0x7f);
    }
    if (rc == 0)
        rc = read_vifes(r, c, vif);
    c->vib_len = (size_t)(r->p - c->vib);
    return rc;
}

/* How many bytes the value takes; -EBADMSG for what cannot be in an answer. */
static int read_length(struct reader *r, struct record *c)
{
    static const int8_t lengths[] = {0, 1, 2, 3, 4, 4, 6, 8, -1, 1, 2, 3, 4, 0, 6, -1};
    int n = lengths[c->data];
    if (c->data == 13) {
        uint8_t b;
        if (take(r, &b) != 0)
            return -EBADMSG;
        c->lvar = b;
        n = b <= 0xbf                ? b
            : b <= 0xc9              ? b - 0xc0
            : b >= 0xd0 && b <= 0xd9 ? b - 0xd0
            : b >= 0xe0 && b <= 0xef ? b - 0xe0
            : b >= 0xf0 && b <= 0xf4 ? 4 * (b - 0xec)
            : b == 0xf5              ? 48
            : b == 0xf6              ? 64
                                     : -1;
    }
    if (n < 0 || (size_t)n > r->n)
        return -EBADMSG;
    c->value = r->p;
    c->len = (size_t)n;
    r->p += n;
    r->n -= (size_t)n;
    return 0;
}

/* 1: a record; 0: the end (rest of r: the manufacturer's, or nothing); -EBADMSG. */
static int next_record(struct reader *r, struct record *c, bool *out_more, bool *out_vendor)
{
    while (r->n > 0 && *r->p == IDLE) {
        r->p++;
        r->n--;
    }
    if (r->n == 0)
        return 0;
    if (*r->p == 0x0f || *r->p == 0x1f) {
        *out_vendor = true;
        *out_more = *r->p == 0x1f;
        r->p++;
        r->n--;
        return 0;
    }
    *c = (struct record){.unit = NULL};
    if (read_dif(r, c) != 0 || c->data == 15 || c->data == 8 || read_vib(r, c) != 0 ||
        read_length(r, c) != 0)
        return -EBADMSG;
    return 1;
}

/* -- one record's value ------------------------------------------------------------------- */

/* m × 10^exp, the double nearest to it; an integer if the exponent leaves one. */
static void put_decimal(struct doc *d, int64_t m, int exp)
{
    char text[2 * NUM_MAX];
    double x;
    int64_t whole = m;
    int left = exp;
    while (left > 0 && !__builtin_mul_overflow(whole, 10, &whole))
        left--;
    if (left == 0) {
        doc_int(d, whole);
        return;
    }
    size_t n = num_put_i64(text, m);
    text[n++] = 'e';
    n += num_put_i64(text + n, exp);
    if (num_get_double(text, n, &x) == 0)
        doc_double(d, x);
    else
        doc_null(d);
}

static int64_t integer(const uint8_t *p, size_t n, bool is_signed)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    if (is_signed && n > 0 && n < 8 && p[n - 1] & 0x80)
        v |= ~UINT64_C(0) << 8 * n;
    return (int64_t)v;
}

/* BCD, lowest digits first; F as the highest digit is a minus. Up to 18 digits. */
static int bcd(const uint8_t *p, size_t n, int64_t *out)
{
    int64_t v = 0;
    bool minus = n > 0 && p[n - 1] >> 4 == 15;
    for (size_t i = 2 * n - minus; i-- > 0;) {
        int digit = p[i / 2] >> (i & 1 ? 4 : 0) & 15;
        if (digit > 9)
            return -EINVAL;
        v = v * 10 + digit;
    }
    *out = minus ? -v : v;
    return 0;
}

static void two(char *to, unsigned v)
{
    to[0] = (char)('0' + v / 10 % 10);
    to[1] = (char)('0' + v % 10);
}

/* Types F, G, I and J of EN 13757-3 annex A, told apart by their length. */
static bool date_text(const uint8_t *p, size_t n, char out[20], size_t *out_len)
{
    memcpy(out, "0000-00-00T00:00:00", 20);
    unsigned second = 0, minute = 0, hour = 0, century = 0;
    const uint8_t *day = p;
    if (n == 3 || n == 6) { /* J: time of day; I: with the date behind it */
        second = p[0] & 63;
        minute = p[1] & 63;
        hour = p[2] & 31;
        day = p + 3;
    } else if (n == 4) {
        minute = p[0] & 63;
        hour = p[1] & 31;
        century = p[1] >> 5 & 3;
        day = p + 2;
    } else if (n != 2) {
        return false;
    }
    if (second > 59 || minute > 59 || hour > 23 || (n == 4 && p[0] & 0x80) ||
        (n == 6 && p[1] & 0x80))
        return false;
    two(out + 11, hour);
    two(out + 14, minute);
    two(out + 17, second);
    if (n == 3) {
        memmove(out, out + 11, 9);
        *out_len = 8;
        return true;
    }
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned d = day[0] & 31, m = day[1] & 15, y = (day[0] >> 5) + 8u * (day[1] >> 4);
    if (m < 1 || m > 12 || d < 1 || d > days[m - 1] || y > 99)
        return false;
    y += 1900 + (n == 4 && century ? 100 * century : y <= 80 ? 100u : 0);
    if (m == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
        return false;
    two(out, y / 100);
    two(out + 2, y % 100);
    two(out + 5, m);
    two(out + 8, d);
    *out_len = n == 2 ? 10 : 19;
    return true;
}

static void put_real(struct doc *d, const struct record *c)
{
    float f;
    uint32_t bits = (uint32_t)integer(c->value, 4, false);
    memcpy(&f, &bits, sizeof(f));
    double x = num_of_float(f);
    int exp = c->unscaled ? 0 : c->exp;
    /* NaN becomes null */
    doc_double(d, exp < 0 ? x / pow(10, -exp) : x * pow(10, exp));
}

static void put_bcd(struct doc *d, struct record *c, bool negative)
{
    char text[20];
    int64_t v;
    if (c->kind == WMBUS_DIGITS) {
        size_t n = 0;
        for (size_t i = 2 * c->len; i-- > 0 && n < sizeof(text);)
            text[n++] = "0123456789ABCDEF"[c->value[i / 2] >> (i & 1 ? 4 : 0) & 15];
        doc_text(d, text, n);
    } else if (bcd(c->value, c->len, &v) != 0) {
        c->error = "invalid";
        doc_null(d);
    } else {
        put_decimal(d, negative ? -v : v, c->unscaled ? 0 : c->exp);
    }
}

/* ISO 8859-1, last character first. */
static void put_string(struct doc *d, const struct record *c)
{
    char text[2 * 0xbf];
    size_t n = 0;
    for (size_t i = c->len; i-- > 0;) {
        uint8_t b = c->value[i];
        if (b >= 0x80) {
            text[n++] = (char)(0xc0 | b >> 6);
            b = 0x80 | (b & 0x3f);
        }
        text[n++] = (char)b;
    }
    doc_text(d, text, n);
}

static void put_integer(struct doc *d, struct record *c)
{
    bool is_signed = c->kind == WMBUS_SCALED;
    int64_t v = integer(c->value, c->len, is_signed);
    bool most_negative = c->value[c->len - 1] == 0x80;
    for (size_t i = 0; i + 1 < c->len; i++)
        most_negative = most_negative && c->value[i] == 0;
    if (is_signed && most_negative) {
        c->error = "invalid";
        doc_null(d);
    } else if (!is_signed) {
        doc_uint(d, (uint64_t)v);
    } else {
        put_decimal(d, v, c->unscaled ? 0 : c->exp);
    }
}

static void put_value(struct doc *d, struct record *c)
{
    char text[20];
    size_t n;
    if (c->error || c->data == 0 || c->kind == WMBUS_SECRET) {
        doc_null(d);
    } else if (c->kind == WMBUS_DATE && c->data != 13) {
        if (date_text(c->value, c->len, text, &n)) {
            doc_text(d, text, n);
        } else {
            c->error = "invalid";
            doc_null(d);
        }
    } else if (c->data == 5) {
        put_real(d, c);
    } else if (c->data >= 9 && c->data != 13) {
        put_bcd(d, c, false);
    } else if (c->data != 13) {
        put_integer(d, c);
    } else if (c->lvar <= 0xbf) {
        put_string(d, c);
    } else if (c->lvar <= 0xd9 && c->len == 0) {
        doc_null(d); /* a number without digits is not 0 */
    } else if (c->lvar <= 0xd9) {
        put_bcd(d, c, c->lvar >= 0xd0);
    } else if (c->len > 0 && c->len <= 8) {
        put_integer(d, c);
    } else {
        put_hex_value(d, c->value, c->len);
    }
}

/* -- the document ------------------------------------------------------------------------- */

static void put_record(struct doc *d, struct record *c)
{
    static const char *const functions[] = {"instantaneous", "maximum", "minimum", "error"};
    doc_object(d);
    key(d, "name");
    doc_text(d, c->name.text, c->name.n);
    key(d, "value");
    put_value(d, c);
    if (c->unit)
        put_text(d, "unit", c->unit);
    put_text(d, "function", functions[c->function]);
    put_uint(d, "storage", c->storage);
    put_uint(d, "tariff", c->tariff);
    put_uint(d, "subunit", c->subunit);
    key(d, "vif");
    put_hex_value(d, c->vib, c->vib_len);
    if (c->error)
        put_text(d, "error", c->error);
    doc_end(d);
}

static void put_flat(struct doc *d, struct record *c)
{
    static const char *const functions[] = {"", "max", "min", "error"};
    if (c->function)
        add_word(&c->name, functions[c->function]);
    if (c->storage)
        add_number(&c->name, "storage", c->storage);
    if (c->tariff)
        add_number(&c->name, "tariff", c->tariff);
    if (c->subunit)
        add_number(&c->name, "subunit", c->subunit);
    doc_key(d, c->name.text, c->name.n);
    put_value(d, c);
}

static void put_status(struct doc *d, uint8_t status)
{
    static const char *const states[] = {NULL, "BUSY", "ERROR", "ALARM"};
    static const char *const bits[] = {"POWER_LOW", "PERMANENT_ERROR", "TEMPORARY_ERROR"};
    struct name text = {.n = 0};
    if (states[status & 3])
        add_word(&text, states[status & 3]);
    for (unsigned i = 0; i < 3; i++) {
        if (!(status >> (2 + i) & 1))
            continue;
        if (text.n)
            add(&text, " ", 1);
        add(&text, bits[i], strlen(bits[i]));
    }
    put_uint(d, "status_code", status);
    key(d, "status");
    doc_text(d, text.n ? text.text : "OK", text.n ? text.n : 2);
}

static void put_head(struct doc *d, const struct telegram *t)
{
    struct name id = {.n = 0};
    char letters[3];
    for (unsigned i = 0; i < 3; i++)
        letters[i] = (char)('@' + (t->manufacturer >> (10 - 5 * i) & 31));
    for (unsigned i = 4; i-- > 0;)
        add_hex(&id, t->address + i, 1);
    key(d, "manufacturer");
    doc_text(d, letters, 3);
    key(d, "id");
    doc_text(d, id.text, id.n);
    unsigned version_at = t->wired_order ? 6 : 4;
    put_uint(d, "version", t->address[version_at]);
    put_text(d, "medium", wmbus_medium(t->address[version_at + 1]));
    put_uint(d, "medium_code", t->address[version_at + 1]);
    if (t->has_status) {
        put_uint(d, "access", t->access);
        put_status(d, t->status);
    }
}

static int put_telegram(struct doc *d, const struct telegram *t, const uint8_t *begin,
                        struct codec_fault *f)
{
    struct reader r = {t->p, t->n};
    struct record c;
    bool more = false, vendor = false;
    int rc;
    doc_object(d);
    put_head(d, t);
    key(d, "records");
    doc_array(d);
    const uint8_t *at = r.p;
    while ((rc = next_record(&r, &c, &more, &vendor)) > 0) {
        put_record(d, &c);
        at = r.p;
    }
    if (rc < 0)
        return refuse(f, (size_t)(at - begin), false,
                      "a record that is cut off, or that cannot be in an answer");
    doc_end(d);
    if (vendor) {
        key(d, "manufacturer_data");
        put_hex_value(d, r.p, r.n);
    }
    if (more) {
        key(d, "more_follow");
        doc_bool(d, true);
    }
    r = (struct reader){t->p, t->n};
    while (next_record(&r, &c, &more, &vendor) > 0)
        put_flat(d, &c);
    return doc_end(d);
}

/* -- headers ------------------------------------------------------------------------------ */

/* The configuration word: which mode of encryption, and whether it was undone. */
static int open_body(struct telegram *t, struct reader *r, unsigned config, size_t at,
                     struct codec_fault *f)
{
    unsigned mode = config >> 8 & 31, blocks = config >> 4 & 15;
    size_t skip = 0;
    if (mode == 7 && r->n >= 3 && r->p[1] == IDLE && r->p[2] == IDLE)
        skip = 1; /* the configuration's extension */
    bool open = r->n >= 2 + skip && r->p[skip] == IDLE && r->p[skip + 1] == IDLE;
    if (mode != 0 && !open && !(mode == 5 && blocks == 0))
        return refuse(f, at, false, "encrypted: expected plain or decrypted data (2F 2F)");
    t->p = r->p + skip;
    t->n = r->n - skip;
    return 0;
}

static int skip(struct reader *r, size_t n)
{
    if (r->n < n)
        return -EBADMSG;
    r->p += n;
    r->n -= n;
    return 0;
}

/* Extended link layer and authentication layer: stepped over, when they hide nothing. */
static int skip_layers(struct reader *r, const uint8_t *begin, struct codec_fault *f)
{
    for (int layers = 0; layers < 3 && r->n > 0; layers++) {
        uint8_t ci = *r->p;
        size_t n = ci == 0x8c               ? 3
                   : ci == 0x8d             ? 9
                   : ci == 0x8e             ? 11
                   : ci == 0x8f             ? 17
                   : ci == 0x90 && r->n > 1 ? 2 + (size_t)r->p[1]
                                            : 0;
        if (n == 0)
            return 0;
        /* session number: its three upper bits are the encryption */
        bool hidden = (ci == 0x8d && r->n >= 9 && r->p[6] >> 5 != 0) ||
                      (ci == 0x8f && r->n >= 17 && r->p[14] >> 5 != 0);
        if (hidden)
            return refuse(f, (size_t)(r->p - begin), false,
                          "encrypted in the extended link layer: expected decrypted data");
        if (skip(r, n) != 0)
            return refuse(f, (size_t)(r->p - begin), true, "cut off inside a header");
    }
    return 0;
}

static int read_header(struct reader r, const uint8_t *begin, struct telegram *t,
                       struct codec_fault *f)
{
    enum { LONG = 0x72, SHORT = 0x7a, NONE = 0x78 };
    uint8_t ci;
    int rc = skip_layers(&r, begin, f);
    size_t at = (size_t)(r.p - begin);
    if (rc != 0)
        return rc;
    if (take(&r, &ci) != 0)
        return refuse(f, at, true, "cut off before the CI field");
    if (ci == NONE) {
        t->p = r.p;
        t->n = r.n;
        return 0;
    }
    if (ci == 0x79 || ci == 0x69 || ci == 0x6a || ci == 0x6b)
        return refuse(f, at, false, "a compact frame: its format is not in the telegram");
    if (ci != LONG && ci != SHORT)
        return refuse(f, at, false, "CI is none of 72, 78 and 7A: no data records");
    if (r.n < (ci == LONG ? 12u : 4u))
        return refuse(f, at, true, "cut off inside a header");
    if (ci == LONG) {
        t->address = r.p;
        t->manufacturer = (unsigned)(r.p[4] | r.p[5] << 8);
        t->wired_order = true;
        (void)skip(&r, 8);
    }
    t->has_status = true;
    t->access = r.p[0];
    t->status = r.p[1];
    unsigned config = (unsigned)(r.p[2] | r.p[3] << 8);
    (void)skip(&r, 4);
    return open_body(t, &r, config, (size_t)(r.p - begin), f);
}

/* 68 L L 68 C A CI … sum 16: the part from CI on. */
static int open_wired(const uint8_t *p, size_t n, struct reader *out, struct codec_fault *f)
{
    size_t len = p[1];
    uint8_t sum = 0;
    if (n != len + 6 || len < 3)
        return refuse(f, 1, true, "length does not agree");
    for (size_t i = 4; i < 4 + len; i++)
        sum = (uint8_t)(sum + p[i]);
    if (sum != p[n - 2] || p[n - 1] != 0x16)
        return refuse(f, n - 2, true, "sum or 16 at the end does not agree");
    *out = (struct reader){p + 6, len - 2};
    return 0;
}

int codec_wmbus(const char *bytes, size_t n, struct doc *d, struct codec_fault *f)
{
    enum { LINK = 10 }; /* L, C, manufacturer 2, id 4, version, medium */
    const uint8_t *p = (const uint8_t *)bytes;
    struct telegram t = {.n = 0};
    struct reader r;
    int rc;
    if (n >= 6 && p[0] == 0x68 && p[3] == 0x68 && p[1] == p[2]) {
        rc = open_wired(p, n, &r, f);
        if (rc == 0)
            rc = read_header(r, p, &t, f);
        if (rc == 0 && !t.address)
            return refuse(f, 6, false, "no long header (CI 72), so nobody is named");
    } else {
        if (n < LINK + 1)
            return refuse(f, n, true, "too short for a telegram");
        if (p[0] != n - 1)
            return refuse(f, 0, true,
                          "length does not agree: expected a telegram from its L "
                          "field on, without link CRCs");
        t.manufacturer = (unsigned)(p[2] | p[3] << 8);
        t.address = p + 4;
        r = (struct reader){p + LINK, n - LINK};
        rc = read_header(r, p, &t, f);
    }
    return rc != 0 ? rc : put_telegram(d, &t, p, f);
}
