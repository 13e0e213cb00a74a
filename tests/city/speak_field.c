/* SPDX-License-Identifier: Apache-2.0 */
/* Field protocols: HJ 212 loggers, Sparkplug B edge nodes, Modbus registers by a DTU. */
#include "base/check.h"
#include "city/speak_private.h"

#include <stdio.h>

/* -- HJ 212-2017 -------------------------------------------------------------------------------- */

/* Annex A: the register's high byte meets each byte. */
static unsigned hj212_crc(const char *p, size_t n)
{
    unsigned crc = 0xffff;
    for (size_t i = 0; i < n; i++) {
        crc = crc >> 8 ^ (unsigned char)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    }
    return crc;
}

static void hj212_frame(struct turn *t, char *from)
{
    char digits[5];
    size_t n = (size_t)(t->at - from);
    (void)snprintf(digits, sizeof(digits), "%04u", (unsigned)n);
    memcpy(from - 4, digits, 4);
    say(t, "%04X\r\n", hj212_crc(from, n));
}

static void hj212_factor(struct turn *t, const char *code, const char *metric)
{
    const struct fleet_metric *m = &t->kind->metrics[metric_at(t, metric)];
    enum odd odd;
    if (t->odd == ODD_TYPE)
        t->odd = ODD_RANGE;
    double v = odd_or(t, metric, value_of(t, metric), &odd);
    say(t, "%s%s-Rtd=", t->at[-1] == ';' ? "" : ";", code);
    t->at = text_fixed(t->at, v, m->decimals);
    say(t, ",%s-Flag=N", code);
    truth_number(t, metric, v, m->decimals, odd);
}

static char *hj212_head(struct turn *t, int cn)
{
    say_topic(t, "hj212/%s", t->id);
    say(t, "##0000");
    char *from = t->at;
    say(t, "QN=");
    say_time_as(t, "YmdHMS", 8);
    say(t, "%03d;ST=22;CN=%d;PW=123456;MN=%s;Flag=5;CP=&&", (int)(t->ts % 1000), cn, t->id);
    return from;
}

void hj212_data(struct turn *t)
{
    char *from = hj212_head(t, 2011);
    say(t, "DataTime=");
    say_time_as(t, "YmdHMS", 8);
    truth_sample(t, 1000);
    hj212_factor(t, "a01001", "temperature");
    hj212_factor(t, "a01002", "humidity");
    hj212_factor(t, "a34004", "pm25");
    hj212_factor(t, "a34002", "pm10");
    hj212_factor(t, "LA", "noise");
    truth_end(t);
    say(t, "&&");
    hj212_frame(t, from);
}

bool hj212_no_data(struct turn *t)
{
    char *from = hj212_head(t, 9014);
    say(t, "&&");
    hj212_frame(t, from);
    say_ignored(t, "reply");
    return true;
}

/* -- Sparkplug B: protocol buffers by hand ------------------------------------------------------ */

enum { BIRTH_SEQ = 3, DOUBLE = 10, BOOLEAN = 11, UINT64 = 8 };

static unsigned char *put_varint(unsigned char *at, uint64_t v)
{
    for (; v > 127; v >>= 7)
        *at++ = (unsigned char)(v | 0x80);
    *at++ = (unsigned char)v;
    return at;
}

static unsigned char *put_number(unsigned char *at, unsigned field, uint64_t v)
{
    return put_varint(put_varint(at, field << 3), v);
}

static unsigned char *put_double(unsigned char *at, double v)
{
    at = put_varint(at, 13 << 3 | 1);
    memcpy(at, &v, 8); /* little endian, as this machine */
    return at + 8;
}

static void say_metric(struct turn *t, const unsigned char *p, size_t n)
{
    unsigned char head[12];
    unsigned char *at = put_varint(put_varint(head, 2 << 3 | 2), n);
    say_bytes(t, head, (size_t)(at - head));
    say_bytes(t, p, n);
}

/* Name and alias at birth, the alias alone later. */
static unsigned char *put_name(struct turn *t, unsigned char *at, const char *name,
                               unsigned alias, unsigned type, bool birth)
{
    if (birth) {
        size_t n = strlen(name);
        at = put_varint(put_varint(at, 1 << 3 | 2), n);
        memcpy(at, name, n);
        at += n;
    }
    if (alias)
        at = put_number(at, 2, alias);
    at = put_number(at, 3, (uint64_t)t->ts);
    return birth ? put_number(at, 4, type) : at;
}

static void sparkplug_values(struct turn *t, bool birth)
{
    for (size_t i = 0; i < *t->kind->n_metrics; i++) {
        const struct fleet_metric *m = &t->kind->metrics[i];
        unsigned char p[128], *at;
        bool flag = m->type == FLEET_BOOL;
        enum odd odd = ODD_NOT;
        at = put_name(t, p, m->name, (unsigned)i + 1, flag ? BOOLEAN : DOUBLE, birth);
        if (flag) {
            at = put_number(at, 14, t->v[i] != 0);
            truth_bool(t, m->name, t->v[i] != 0);
        } else {
            static const double scales[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
            double scale = scales[m->decimals];
            double v = odd_or(t, m->name, round(t->v[i] * scale) / scale, &odd);
            at = put_double(at, v);
            truth_number(t, m->name, v, m->decimals, odd);
        }
        say_metric(t, p, (size_t)(at - p));
    }
}

static void sparkplug_stamp(struct turn *t)
{
    unsigned char p[16];
    say_bytes(t, p, (size_t)(put_number(p, 1, (uint64_t)t->ts) - p));
}

static void sparkplug_bdseq(struct turn *t, uint64_t seq)
{
    unsigned char p[64];
    unsigned char *at = put_name(t, p, "bdSeq", 0, UINT64, true);
    at = put_number(at, 11, seq);
    say_metric(t, p, (size_t)(at - p));
}

void sparkplug_data(struct turn *t)
{
    uint8_t seq;
    unsigned char p[16];
    bool birth = sparkplug_birth(t, &seq);
    if (t->odd == ODD_TYPE)
        t->odd = ODD_RANGE;
    say_topic(t, "spBv1.0/yard/%s/%s", birth ? "NBIRTH" : "NDATA", t->code);
    sparkplug_stamp(t);
    truth_sample(t, 1);
    if (birth)
        truth_bool(t, "online", true);
    truth_number(t, "report_seq", seq, 0, ODD_NOT);
    truth_end(t);
    truth_sample(t, 1);
    if (birth) {
        sparkplug_bdseq(t, BIRTH_SEQ);
        truth_number(t, "birth_seq", BIRTH_SEQ, 0, ODD_NOT);
    }
    sparkplug_values(t, birth);
    truth_end(t);
    say_bytes(t, p, (size_t)(put_number(p, 3, seq) - p));
}

bool sparkplug_no_data(struct turn *t)
{
    bool stale = turn_draw(t, 2);
    say_topic(t, "spBv1.0/yard/%s/%s", stale ? "NDEATH" : "NCMD", t->code);
    sparkplug_stamp(t);
    if (stale) /* the will of a session before this one */
        sparkplug_bdseq(t, BIRTH_SEQ - 1);
    say_ignored(t, stale ? "stale" : "downlink");
    return true;
}

/* -- Modbus: the reply of a PLC, as hexadecimal text ---------------------------------------------- */

static unsigned modbus_crc(const unsigned char *p, size_t n)
{
    unsigned crc = 0xffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    }
    return crc;
}

static unsigned char *put_register(unsigned char *at, long v)
{
    at[0] = (unsigned char)(v >> 8);
    at[1] = (unsigned char)v;
    return at + 2;
}

static unsigned char *put_pressure(struct turn *t, unsigned char *at, const char *metric)
{
    enum odd odd;
    double v = odd_or(t, metric, value_of(t, metric), &odd);
    truth_number(t, metric, v, 3, odd);
    return put_register(at, lround(v * 1000));
}

void modbus_data(struct turn *t)
{
    unsigned char p[64] = {0x01, 0x03, 14}, *at = p + 3;
    float flow = (float)(round(value_of(t, "flow") * 64) / 64); /* exact in a float */
    uint32_t bits;
    if (t->odd == ODD_TYPE)
        t->odd = ODD_RANGE;
    truth_sample(t, 0);
    at = put_pressure(t, at, "inlet_pressure");
    at = put_pressure(t, at, "outlet_pressure");
    at = put_register(at, 420);
    truth_number(t, "set_pressure", 0.42, 2, ODD_NOT);
    long level = lround(value_of(t, "tank_level") * 100);
    at = put_register(at, level);
    truth_number(t, "tank_level", (double)level / 100, 2, ODD_NOT);
    memcpy(&bits, &flow, 4);
    at = put_register(put_register(at, bits >> 16), bits & 0xffff);
    truth_number(t, "flow", (double)flow, 6, ODD_NOT);
    bool on = flow > 0;
    at = put_register(at, on);
    truth_bool(t, "pump_on", on);
    static const char *const no[] = {"pump_fault", "pump_manual", "door_open", "leak"};
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        truth_bool(t, no[i], false);
    truth_end(t);
    unsigned crc = modbus_crc(p, (size_t)(at - p));
    *at++ = (unsigned char)crc;
    *at++ = (unsigned char)(crc >> 8);
    say_topic(t, "pumpstation/%s/modbus", t->id);
    for (const unsigned char *b = p; b < at; b++)
        say(t, "%02X", *b);
}

bool modbus_no_data(struct turn *t)
{
    (void)t;
    return false;
}
