/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of Eclipse Sparkplug 3.0.0 (section 6.4), Sparkplug B: a protocol buffer.
 *
 * The wire format is read by hand, against the field numbers of the specification. A generated
 * reader would be a copy of the whole payload on the heap, sized by the sender, and bring a
 * library and a compiler to every build; four wire types need neither, and reading in place is
 * bounded by the input.
 *
 * Written is one object, as it was said (core/sparkplug.h replaces aliases):
 *   {"timestamp": ms, "seq": 0…255, "uuid": text, "body": hex, "metrics": [{"name", "alias",
 *    "timestamp", "datatype": code, "is_historical": true, "is_transient": true, "is_null": true,
 *    "value"}], "skipped": 3}
 * Members that were not sent are missing. value by datatype: integers exactly and with their
 * sign (without a datatype, as data by alias may be: unsigned, see sparkplug_typed), DateTime as
 * ms, bytes and files as hex, arrays as arrays (without a datatype: hex); null if is_null, not
 * finite, or text that is not UTF-8. There is none for what has no scalar form: DataSet, Template,
 * extensions; `skipped` counts those, and metadata and property sets.
 */
#include "base/num.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "core/codec_private.h"
#include "core/sparkplug.h"

#include <errno.h>
#include <stdlib.h>

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

enum { /* of Payload */
       PAYLOAD_TIMESTAMP = 1,
       PAYLOAD_METRICS = 2,
       PAYLOAD_SEQ = 3,
       PAYLOAD_UUID = 4,
       PAYLOAD_BODY = 5
};

enum { /* of Metric */
       METRIC_NAME = 1,
       METRIC_ALIAS = 2,
       METRIC_TIMESTAMP = 3,
       METRIC_DATATYPE = 4,
       METRIC_HISTORICAL = 5,
       METRIC_TRANSIENT = 6,
       METRIC_NULL = 7,
       METRIC_METADATA = 8,
       METRIC_PROPERTIES = 9,
       METRIC_INT = 10,
       METRIC_LONG = 11,
       METRIC_FLOAT = 12,
       METRIC_DOUBLE = 13,
       METRIC_BOOL = 14,
       METRIC_STRING = 15,
       METRIC_BYTES = 16,
       METRIC_DATASET = 17,
       METRIC_TEMPLATE = 18,
       METRIC_EXTENSION = 19
};

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t v;       /* VARINT, FIXED64, FIXED32 */
    const uint8_t *p; /* BYTES */
    size_t n;
};

struct span {
    const uint8_t *p;
    size_t n;
};

struct metric {
    struct span name;
    uint64_t alias, timestamp, datatype;
    bool has_name, has_alias, has_timestamp, has_datatype, historical, transient, null;
    struct field value; /* number 0: none */
};

static int refuse(struct codec_fault *f, const char *why)
{
    f->why = why;
    f->at = SIZE_MAX;
    f->checksum = false;
    return -EBADMSG;
}

/* -- wire format -------------------------------------------------------------------------- */

static int read_varint(struct span *s, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 10 && i < s->n; i++) {
        uint8_t b = s->p[i];
        if (i == 9 && b > 1)
            return -EBADMSG;
        v |= (uint64_t)(b & 0x7f) << 7 * i;
        if (!(b & 0x80)) {
            s->p += i + 1;
            s->n -= i + 1;
            *out = v;
            return 0;
        }
    }
    return -EBADMSG;
}

static uint64_t little(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static int read_field(struct span *s, struct field *out)
{
    uint64_t tag, n;
    if (read_varint(s, &tag) != 0 || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return -EBADMSG;
    *out = (struct field){.number = (uint32_t)(tag >> 3), .wire = (enum wire)(tag & 7)};
    switch (tag & 7) {
    case VARINT:
        return read_varint(s, &out->v);
    case FIXED64:
    case FIXED32:
        n = (tag & 7) == FIXED64 ? 8 : 4;
        if (s->n < n)
            return -EBADMSG;
        out->v = little(s->p, n);
        break;
    case BYTES:
        if (read_varint(s, &n) != 0 || s->n < n)
            return -EBADMSG;
        out->p = s->p;
        out->n = n;
        break;
    default: /* groups, which protocol buffers gave up */
        return -EBADMSG;
    }
    s->p += n;
    s->n -= n;
    return 0;
}

/* The wire type that a known field must have; VARINT for all others of the two messages. */
static enum wire wire_of(bool metric, uint32_t number)
{
    if (!metric)
        return number == PAYLOAD_METRICS || number == PAYLOAD_UUID || number == PAYLOAD_BODY
                   ? BYTES
                   : VARINT;
    switch (number) {
    case METRIC_FLOAT:
        return FIXED32;
    case METRIC_DOUBLE:
        return FIXED64;
    case METRIC_NAME:
    case METRIC_METADATA:
    case METRIC_PROPERTIES:
    case METRIC_STRING:
    case METRIC_BYTES:
    case METRIC_DATASET:
    case METRIC_TEMPLATE:
    case METRIC_EXTENSION:
        return BYTES;
    default:
        return VARINT;
    }
}

static int read_metric(struct span s, struct metric *m, unsigned *skipped)
{
    struct field f;
    *m = (struct metric){.has_name = false};
    while (s.n > 0) {
        if (read_field(&s, &f) != 0)
            return -EBADMSG;
        if (f.number > METRIC_EXTENSION)
            continue; /* of a later edition */
        if (f.wire != wire_of(true, f.number))
            return -EBADMSG;
        if (f.number == METRIC_NAME) {
            m->name = (struct span){f.p, f.n};
            m->has_name = true;
        } else if (f.number == METRIC_ALIAS) {
            m->alias = f.v;
            m->has_alias = true;
        } else if (f.number == METRIC_TIMESTAMP) {
            m->timestamp = f.v;
            m->has_timestamp = true;
        } else if (f.number == METRIC_DATATYPE) {
            m->datatype = f.v;
            m->has_datatype = f.v != 0; /* 0 is "unknown" */
        } else if (f.number == METRIC_HISTORICAL) {
            m->historical = f.v != 0;
        } else if (f.number == METRIC_TRANSIENT) {
            m->transient = f.v != 0;
        } else if (f.number == METRIC_NULL) {
            m->null = f.v != 0;
        } else if (f.number == METRIC_METADATA || f.number == METRIC_PROPERTIES) {
            ++*skipped;
        } else {
            m->value = f;
        }
    }
    return 0;
}

/* -- values ------------------------------------------------------------------------------- */

static void key(struct doc *d, const char *name)
{
    doc_key(d, name, strlen(name));
}

static void put_text(struct doc *d, const uint8_t *p, size_t n)
{
    if (utf8_valid((const char *)p, n))
        doc_text(d, (const char *)p, n);
    else
        doc_null(d);
}

static void put_hex(struct doc *d, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text = mem_realloc_array(NULL, n + 1, 2); /* n is within the input */
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[p[i] >> 4];
        text[2 * i + 1] = digits[p[i] & 15];
    }
    doc_text(d, text, 2 * n);
    free(text);
}

static double float_of(uint64_t bits)
{
    uint32_t b = (uint32_t)bits;
    float x;
    memcpy(&x, &b, sizeof(x));
    return num_of_float(x);
}

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static void put_integer(struct doc *d, uint64_t datatype, uint64_t v)
{
    if (sparkplug_is_signed(datatype))
        doc_int(d, sparkplug_typed(datatype, v));
    else
        doc_uint(d, v);
}

/* Arrays are packed little endian (6.4.17); booleans are bits, highest first, behind their
 * number; texts end with NUL. False when the bytes are no such array. */
static bool put_bool_array(struct doc *d, const uint8_t *p, size_t n)
{
    uint64_t count = n >= 4 ? little(p, 4) : UINT64_MAX;
    if (n < 4 || (count + 7) / 8 > n - 4)
        return false;
    doc_array(d);
    for (uint64_t i = 0; i < count; i++)
        doc_bool(d, p[4 + i / 8] >> (7 - i % 8) & 1);
    doc_end(d);
    return true;
}

static bool put_text_array(struct doc *d, const uint8_t *p, size_t n)
{
    if (n > 0 && p[n - 1] != 0)
        return false;
    doc_array(d);
    while (n > 0) {
        size_t len = strnlen((const char *)p, n);
        put_text(d, p, len);
        p += len + 1;
        n -= len + 1;
    }
    doc_end(d);
    return true;
}

static bool put_array(struct doc *d, uint64_t datatype, const uint8_t *p, size_t n)
{
    enum { FIRST = SPARKPLUG_INT8_ARRAY, FLOATS = 30, DOUBLES, BOOLS, TEXTS, TIMES };
    static const uint8_t widths[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 0, 0, 8};
    if (datatype < FIRST || datatype > TIMES)
        return false;
    if (datatype == BOOLS)
        return put_bool_array(d, p, n);
    if (datatype == TEXTS)
        return put_text_array(d, p, n);
    size_t width = widths[datatype - FIRST];
    if (n % width != 0)
        return false;
    doc_array(d);
    for (size_t i = 0; i < n; i += width) {
        uint64_t v = little(p + i, width);
        if (datatype == FLOATS)
            doc_double(d, float_of(v));
        else if (datatype == DOUBLES)
            doc_double(d, double_of(v));
        else
            put_integer(d, datatype - FIRST + SPARKPLUG_INT8, v);
    }
    doc_end(d);
    return true;
}

static void put_value(struct doc *d, const struct metric *m, unsigned *skipped)
{
    const struct field *f = &m->value;
    if (f->number >= METRIC_DATASET) {
        ++*skipped;
        return;
    }
    if (f->number == 0 && !m->null)
        return;
    key(d, "value");
    if (m->null)
        doc_null(d);
    else if (f->number == METRIC_INT || f->number == METRIC_LONG)
        put_integer(d, m->datatype, f->v);
    else if (f->number == METRIC_FLOAT)
        doc_double(d, float_of(f->v));
    else if (f->number == METRIC_DOUBLE)
        doc_double(d, double_of(f->v));
    else if (f->number == METRIC_BOOL)
        doc_bool(d, f->v != 0);
    else if (f->number == METRIC_STRING)
        put_text(d, f->p, f->n);
    else if (!put_array(d, m->datatype, f->p, f->n))
        put_hex(d, f->p, f->n);
}

static void put_uint(struct doc *d, const char *name, uint64_t v)
{
    key(d, name);
    doc_uint(d, v);
}

static void put_flag(struct doc *d, const char *name, bool on)
{
    if (!on)
        return;
    key(d, name);
    doc_bool(d, true);
}

static int put_metric(struct doc *d, struct span s, unsigned *skipped, struct codec_fault *f)
{
    struct metric m;
    if (read_metric(s, &m, skipped) != 0)
        return refuse(f, "a metric is no Sparkplug B metric, or is cut off");
    if (m.has_name && !utf8_valid((const char *)m.name.p, m.name.n))
        return refuse(f, "a metric's name is not UTF-8");
    doc_object(d);
    if (m.has_name) {
        key(d, "name");
        doc_text(d, (const char *)m.name.p, m.name.n);
    }
    if (m.has_alias)
        put_uint(d, "alias", m.alias);
    if (m.has_timestamp)
        put_uint(d, "timestamp", m.timestamp);
    if (m.has_datatype)
        put_uint(d, "datatype", m.datatype);
    put_flag(d, "is_historical", m.historical);
    put_flag(d, "is_transient", m.transient);
    put_flag(d, "is_null", m.null);
    put_value(d, &m, skipped);
    doc_end(d);
    return 0;
}

/* What is said once. Fields may come in any order, metrics in between. */
static int put_head(struct doc *d, struct span s, struct codec_fault *f)
{
    struct field x;
    while (s.n > 0) {
        if (read_field(&s, &x) != 0)
            return refuse(f, "no protocol buffer, or one that is cut off");
        if (x.number > PAYLOAD_BODY)
            continue;
        if (x.wire != wire_of(false, x.number))
            return refuse(f, "no Sparkplug B payload: a field has another type");
        if (x.number == PAYLOAD_TIMESTAMP) {
            put_uint(d, "timestamp", x.v);
        } else if (x.number == PAYLOAD_SEQ) {
            if (x.v > 255)
                return refuse(f, "seq is above 255");
            put_uint(d, "seq", x.v);
        } else if (x.number == PAYLOAD_UUID) {
            static const char compressed[] = "SPBV1.0_COMPRESSED";
            if (x.n == sizeof(compressed) - 1 && memcmp(x.p, compressed, x.n) == 0)
                return refuse(f, "a compressed payload, which is not supported");
            key(d, "uuid");
            put_text(d, x.p, x.n);
        } else if (x.number == PAYLOAD_BODY) {
            key(d, "body");
            put_hex(d, x.p, x.n);
        }
    }
    return 0;
}

int codec_sparkplug(const char *p, size_t n, struct doc *d, struct codec_fault *f)
{
    struct span s = {(const uint8_t *)p, n};
    struct field x;
    unsigned skipped = 0;
    doc_object(d);
    int rc = put_head(d, s, f);
    if (rc != 0)
        return rc;
    key(d, "metrics");
    doc_array(d);
    while (s.n > 0 && rc == 0 && read_field(&s, &x) == 0)
        if (x.number == PAYLOAD_METRICS)
            rc = put_metric(d, (struct span){x.p, x.n}, &skipped, f);
    if (rc != 0)
        return rc;
    doc_end(d);
    if (skipped)
        put_uint(d, "skipped", skipped);
    return doc_end(d);
}
