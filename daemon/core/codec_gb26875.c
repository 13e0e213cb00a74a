/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GB/T 26875.3-2011: what a user information transmission device says about a building's fire
 * systems. A frame is 40 40, serial (2), version (2), time (6), source (6), target (6), length (2),
 * command (1), the application data, their sum modulo 256 from serial to data (1), 23 23; all
 * numbers little endian, times as second, minute, hour, day, month, year - 2000 in plain binary,
 * local. A payload holds one or several frames and nothing else.
 *
 * Written is an array, one object a frame:
 *   {"serial": 0, "version": "1.1", "time": "2020-10-22T17:13:24" or null when it is none,
 *    "source": "060504030201" (hexadecimal, highest byte first), "target": the same,
 *    "command": 2, "type": 2, "count": 1, "objects": […]}
 * type, count and objects are missing where there are no data (acknowledgements). Objects by
 * type (clauses 8.3.1 to 8.3.2 of the standard; a number in front is the length of each):
 *   1  10 system_type, system_addr, state, bits, time
 *   2  46 system_type, system_addr, part_type, part_addr (integer), part_addr_hex ("000600d9"),
 *         part_state, bits, description, time
 *   3  16 system_type, system_addr, part_type, part_addr, part_addr_hex, analogue_type, raw,
 *         value (scaled; null for types that the standard does not know), unit (UCUM), name
 *         (count height temperature pressure pressure_kpa gas duration voltage current flow
 *         air_flow wind_speed), time
 *   4  10 system_type, system_addr, operation, bits, operator, time
 *   5   4 system_type, system_addr, software_version ("1.2")
 *   6  3+L system_type, system_addr, description
 *   7  38 system_type, system_addr, part_type, part_addr, part_addr_hex, description
 *   8   8 system_type, system_addr, time
 *   21  7 state, bits, time              24  8 operation, bits, operator, time
 *   25  2 software_version               26 1+L description                28 6 time
 * bits is an object of booleans, each bit that the standard names: see the tables below. Other
 * types, and whole frames of commands other than 2 (send) and 5 (answer), whose data are queries
 * and controls, have "data": hex instead of objects. Descriptions are GB18030, NUL padded;
 * what is no character becomes U+FFFD, half a one at the end goes, and all are null on a system
 * without GB18030.
 */
#include "base/mem.h"
#include "base/num.h"
#include "core/codec_private.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

enum {
    HEADER = 27, /* 40 40 to command */
    TRAILER = 3, /* sum, 23 23 */
    SUMMED = 2,  /* where the sum begins */
    DESCRIPTION = 31,
    TEXT_MAX = 255
};

static const char *const system_bits[] = {"normal",
                                          "fire",
                                          "fault",
                                          "shielded",
                                          "supervised",
                                          "started",
                                          "feedback",
                                          "delay",
                                          "main_power_fault",
                                          "backup_power_fault",
                                          "bus_fault",
                                          "manual",
                                          "configuration_changed",
                                          "reset",
                                          NULL};
static const char *const part_bits[] = {"normal",      "fire",    "fault",    "shielded",
                                        "supervised",  "started", "feedback", "delay",
                                        "power_fault", NULL};
static const char *const device_bits[] = {
    "normal",     "fire",       "fault", "main_power_fault", "backup_power_fault",
    "link_fault", "line_fault", NULL};
static const char *const system_operations[] = {
    "reset",     "silence",   "manual_alarm", "alarm_cancelled",
    "self_test", "confirmed", "test",         NULL};
static const char *const device_operations[] = {
    "reset",     "silence",       "manual_alarm", "alarm_cancelled",
    "self_test", "duty_answered", "test",         NULL};

/* Table of analogue types: what one step is worth. */
static const struct {
    const char *name, *unit;
    int divide;
} analogues[] = {
    {NULL, NULL, 0}, /* 0 is "not used" */
    {"count", "1", 1},       {"height", "m", 100},        {"temperature", "Cel", 10},
    {"pressure", "MPa", 10}, {"pressure_kpa", "kPa", 10}, {"gas", "%{LEL}", 10},
    {"duration", "s", 1},    {"voltage", "V", 10},        {"current", "A", 10},
    {"flow", "L/s", 10},     {"air_flow", "m3/min", 10},  {"wind_speed", "m/s", 1},
};

struct reader {
    const uint8_t *p;
    size_t n;
    struct doc *d;
    iconv_t gb18030; /* (iconv_t)-1: this system has none */
};

static void key(struct doc *d, const char *name)
{
    doc_key(d, name, strlen(name));
}

static void put_int(struct reader *r, const char *name, uint64_t v)
{
    key(r->d, name);
    doc_uint(r->d, v);
}

/* The next `bytes` bytes as a number; the caller has seen that they are there. */
static uint64_t number(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = bytes; i-- > 0;)
        v = v << 8 | r->p[i];
    r->p += bytes;
    r->n -= bytes;
    return v;
}

static void put_hex(struct doc *d, const char *name, const uint8_t *p, size_t n, bool reversed)
{
    static const char digits[] = "0123456789abcdef";
    char *text = mem_realloc_array(NULL, n + 1, 2); /* n is a frame's 16 bits at most */
    for (size_t i = 0; i < n; i++) {
        uint8_t b = reversed ? p[n - 1 - i] : p[i];
        text[2 * i] = digits[b >> 4];
        text[2 * i + 1] = digits[b & 15];
    }
    key(d, name);
    doc_text(d, text, 2 * n);
    free(text);
}

static size_t two(char *to, unsigned v)
{
    to[0] = (char)('0' + v / 10 % 10);
    to[1] = (char)('0' + v % 10);
    return 2;
}

static unsigned days_of(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && year % 4 == 0 ? 29 : days[month - 1]; /* 2000 to 2099 */
}

static void put_time(struct reader *r)
{
    const uint8_t *t = r->p;
    char text[] = "2000-00-00T00:00:00";
    key(r->d, "time");
    r->p += 6;
    r->n -= 6;
    if (t[0] > 59 || t[1] > 59 || t[2] > 23 || t[4] < 1 || t[4] > 12 || t[5] > 99 || t[3] < 1 ||
        t[3] > days_of(t[5], t[4])) {
        doc_null(r->d);
        return;
    }
    two(text + 2, t[5]);
    two(text + 5, t[4]);
    two(text + 8, t[3]);
    two(text + 11, t[2]);
    two(text + 14, t[1]);
    two(text + 17, t[0]);
    doc_text(r->d, text, sizeof(text) - 1);
}

static void put_bits(struct reader *r, const char *name, unsigned bytes,
                     const char *const *names)
{
    uint64_t v = number(r, bytes);
    put_int(r, name, v);
    key(r->d, "bits");
    doc_object(r->d);
    for (unsigned i = 0; names[i]; i++) {
        key(r->d, names[i]);
        doc_bool(r->d, v >> i & 1);
    }
    doc_end(r->d);
}

static void put_text(struct reader *r, const char *name, size_t bytes)
{
    char out[TEXT_MAX * 4], *to = out;
    char *from = (char *)(uintptr_t)r->p; /* iconv does not write there */
    const uint8_t *nul = memchr(r->p, 0, bytes);
    size_t in = nul ? (size_t)(nul - r->p) : bytes, room = sizeof(out);
    while (in > 0 && from[in - 1] == ' ')
        in--;
    key(r->d, name);
    r->p += bytes;
    r->n -= bytes;
    if (r->gb18030 == (iconv_t)-1) {
        doc_null(r->d);
        return;
    }
    (void)iconv(r->gb18030, NULL, NULL, NULL, NULL);
    while (in > 0 && iconv(r->gb18030, &from, &in, &to, &room) == (size_t)-1) {
        if (errno != EILSEQ)
            break; /* a character cut in half: 31 is an odd number */
        memcpy(to, "\xef\xbf\xbd", 3);
        to += 3;
        room -= 3;
        from++;
        in--;
    }
    doc_text(r->d, out, (size_t)(to - out));
}

static void put_version(struct reader *r, const char *name)
{
    char text[2 * NUM_MAX];
    size_t n = num_put_u64(text, number(r, 1));
    text[n++] = '.';
    n += num_put_u64(text + n, number(r, 1));
    key(r->d, name);
    doc_text(r->d, text, n);
}

static void put_system(struct reader *r)
{
    put_int(r, "system_type", number(r, 1));
    put_int(r, "system_addr", number(r, 1));
}

static void put_part(struct reader *r)
{
    put_system(r);
    put_int(r, "part_type", number(r, 1));
    put_hex(r->d, "part_addr_hex", r->p, 4, true);
    put_int(r, "part_addr", number(r, 4));
}

static void put_analogue(struct reader *r)
{
    put_part(r);
    uint64_t type = number(r, 1);
    int16_t raw = (int16_t)number(r, 2);
    bool known = type < sizeof(analogues) / sizeof(*analogues) && analogues[type].name;
    put_int(r, "analogue_type", type);
    key(r->d, "raw");
    doc_int(r->d, raw);
    key(r->d, "value");
    if (!known)
        doc_null(r->d);
    else if (analogues[type].divide == 1)
        doc_int(r->d, raw);
    else
        doc_double(r->d, (double)raw / analogues[type].divide);
    if (known) {
        key(r->d, "unit");
        doc_text(r->d, analogues[type].unit, strlen(analogues[type].unit));
        key(r->d, "name");
        doc_text(r->d, analogues[type].name, strlen(analogues[type].name));
    }
    put_time(r);
}

/* How long the object at r is; 0: a type that is not known, SIZE_MAX: cut off. */
static size_t object_size(const struct reader *r, unsigned type)
{
    size_t need;
    switch (type) {
    case 1:
    case 4:
        need = 10;
        break;
    case 2:
        need = 15 + DESCRIPTION;
        break;
    case 3:
        need = 16;
        break;
    case 5:
        need = 4;
        break;
    case 6:
        need = r->n >= 3 ? 3 + (size_t)r->p[2] : 3;
        break;
    case 7:
        need = 7 + DESCRIPTION;
        break;
    case 8:
    case 24:
        need = 8;
        break;
    case 21:
        need = 7;
        break;
    case 25:
        need = 2;
        break;
    case 26:
        need = r->n >= 1 ? 1 + (size_t)r->p[0] : 1;
        break;
    case 28:
        need = 6;
        break;
    default:
        return 0;
    }
    return need <= r->n ? need : SIZE_MAX;
}

static void put_object(struct reader *r, unsigned type)
{
    doc_object(r->d);
    if (type == 1 || (type >= 4 && type <= 6) || type == 8)
        put_system(r);
    if (type == 2 || type == 7)
        put_part(r);
    if (type == 1)
        put_bits(r, "state", 2, system_bits);
    else if (type == 2)
        put_bits(r, "part_state", 2, part_bits);
    else if (type == 21)
        put_bits(r, "state", 1, device_bits);
    else if (type == 4)
        put_bits(r, "operation", 1, system_operations);
    else if (type == 24)
        put_bits(r, "operation", 1, device_operations);
    if (type == 4 || type == 24)
        put_int(r, "operator", number(r, 1));
    if (type == 5 || type == 25)
        put_version(r, "software_version");
    if (type == 2 || type == 7)
        put_text(r, "description", DESCRIPTION);
    else if (type == 6 || type == 26)
        put_text(r, "description", number(r, 1));
    if (type == 3)
        put_analogue(r);
    else if (type == 1 || type == 2 || type == 4 || type == 8 || type == 21 || type == 24 ||
             type == 28)
        put_time(r);
    doc_end(r->d);
}

static int refuse(struct codec_fault *f, size_t at, bool checksum, const char *why)
{
    f->why = why;
    f->at = at;
    f->checksum = checksum;
    return -EBADMSG;
}

/* The application data: type, count, objects. `at` is where they begin in the payload. */
static int put_data(struct reader *r, unsigned command, size_t at, struct codec_fault *f)
{
    enum { SEND = 2, ANSWER = 5 };
    const uint8_t *begin = r->p;
    if (r->n < 2) {
        if (r->n > 0)
            put_hex(r->d, "data", r->p, r->n, false);
        return 0;
    }
    unsigned type = r->p[0], count = r->p[1];
    put_int(r, "type", number(r, 1));
    put_int(r, "count", number(r, 1));
    if ((command != SEND && command != ANSWER) || object_size(r, type) == 0) {
        put_hex(r->d, "data", r->p, r->n, false);
        return 0;
    }
    key(r->d, "objects");
    doc_array(r->d);
    for (unsigned i = 0; i < count; i++) {
        if (object_size(r, type) == SIZE_MAX)
            return refuse(f, at + (size_t)(r->p - begin), false,
                          "the data end within an object: the count says more");
        put_object(r, type);
    }
    if (r->n > 0)
        return refuse(f, at + (size_t)(r->p - begin), false, "more data than the count says");
    return doc_end(r->d);
}

/* The frame at p[at], checked, and its length. */
static int take_frame(const uint8_t *p, size_t n, size_t at, size_t *out_len,
                      struct codec_fault *f)
{
    size_t left = n - at;
    if (p[at] != 0x40 || (left > 1 && p[at + 1] != 0x40))
        return refuse(f, at, false, "no 40 40 where a frame begins");
    if (left < HEADER + TRAILER)
        return refuse(f, n, true, "cut off inside the header");
    size_t data = p[at + 24] | (size_t)p[at + 25] << 8;
    if (left - HEADER - TRAILER < data)
        return refuse(f, at + 24, true, "shorter than its length says");
    size_t sum_at = at + HEADER + data;
    uint8_t sum = 0;
    for (size_t i = at + SUMMED; i < sum_at; i++)
        sum = (uint8_t)(sum + p[i]);
    if (p[sum_at + 1] != 0x23 || p[sum_at + 2] != 0x23)
        return refuse(f, sum_at + 1, true, "no 23 23 where its length says that it ends");
    if (sum != p[sum_at])
        return refuse(f, sum_at, true, "sum does not agree");
    *out_len = HEADER + data + TRAILER;
    return 0;
}

static int put_frame(struct reader *r, size_t len, size_t at, struct codec_fault *f)
{
    struct reader frame = *r;
    struct reader *h = &frame;
    h->n = len - TRAILER;
    h->p += SUMMED;
    h->n -= SUMMED;
    doc_object(h->d);
    put_int(h, "serial", number(h, 2));
    put_version(h, "version");
    put_time(h);
    put_hex(h->d, "source", h->p, 6, true);
    (void)number(h, 6);
    put_hex(h->d, "target", h->p, 6, true);
    (void)number(h, 6);
    (void)number(h, 2);
    unsigned command = (unsigned)number(h, 1);
    put_int(h, "command", command);
    int rc = put_data(h, command, at + HEADER, f);
    return rc != 0 ? rc : doc_end(h->d);
}

int codec_gb26875(const char *p, size_t n, struct doc *d, struct codec_fault *f)
{
    struct reader r = {.p = (const uint8_t *)p, .n = n, .d = d};
    size_t at = 0, len = 0;
    int rc = 0;
    if (n == 0)
        return refuse(f, 0, false, "empty, expected a frame");
    r.gb18030 = iconv_open("UTF-8", "GB18030");
    doc_array(d);
    while (at < n && rc == 0) {
        rc = take_frame((const uint8_t *)p, n, at, &len, f);
        if (rc == 0) {
            rc = put_frame(&r, len, at, f);
            at += len;
            r.p += len;
        }
    }
    if (r.gb18030 != (iconv_t)-1)
        (void)iconv_close(r.gb18030);
    return rc != 0 ? rc : doc_end(d);
}
