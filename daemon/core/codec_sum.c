/* SPDX-License-Identifier: Apache-2.0 */
/* The check sums of field protocols. The CRCs are those of the catalogue of parametrised CRC
 * algorithms under these names; each is checked in the tests with "123456789". */
#include "base/err.h"
#include "core/codec_plan_private.h"

static uint32_t sum8(const struct codec_sum *s, const unsigned char *p, size_t n)
{
    uint32_t v = 0;
    (void)s;
    for (size_t i = 0; i < n; i++)
        v += p[i];
    return v & 0xff;
}

static uint32_t sum16(const struct codec_sum *s, const unsigned char *p, size_t n)
{
    uint32_t v = 0;
    (void)s;
    for (size_t i = 0; i < n; i++)
        v += p[i];
    return v & 0xffff;
}

static uint32_t xor8(const struct codec_sum *s, const unsigned char *p, size_t n)
{
    uint32_t v = 0;
    (void)s;
    for (size_t i = 0; i < n; i++)
        v ^= p[i];
    return v;
}

static uint32_t crc8(const struct codec_sum *s, const unsigned char *p, size_t n)
{
    unsigned v = s->init;
    for (size_t i = 0; i < n; i++) {
        v ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            v = v & 0x80 ? (v << 1 ^ s->poly) & 0xff : v << 1;
    }
    return v ^ s->xorout;
}

/* Bit by bit: frames are some dozens of bytes. */
static uint32_t crc16(const struct codec_sum *s, const unsigned char *p, size_t n)
{
    unsigned v = s->init;
    for (size_t i = 0; i < n; i++) {
        v ^= s->reflected ? p[i] : (unsigned)p[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            if (s->reflected)
                v = v & 1 ? v >> 1 ^ s->poly : v >> 1;
            else
                v = (v & 0x8000 ? v << 1 ^ s->poly : v << 1) & 0xffff;
        }
    }
    return v ^ s->xorout;
}

/* HJ 212-2017 appendix A: the byte is XORed to the high byte of the register, shifted right. */
static uint32_t crc16_hj212(const struct codec_sum *s, const unsigned char *p, size_t n)
{
    unsigned v = s->init;
    for (size_t i = 0; i < n; i++) {
        v = v >> 8 ^ p[i];
        for (int bit = 0; bit < 8; bit++)
            v = v & 1 ? v >> 1 ^ s->poly : v >> 1;
    }
    return v;
}

static const struct codec_sum sums[] = {
    {.name = "sum8", .width = 1, .of = sum8},
    {.name = "sum16", .width = 2, .of = sum16},
    {.name = "xor8", .width = 1, .of = xor8},
    {.name = "crc8", .width = 1, .of = crc8, .poly = 0x07},
    {.name = "crc16-modbus",
     .width = 2,
     .of = crc16,
     .poly = 0xa001,
     .init = 0xffff,
     .reflected = true},
    {.name = "crc16-arc", .width = 2, .of = crc16, .poly = 0xa001, .reflected = true},
    {.name = "crc16-ccitt", .width = 2, .of = crc16, .poly = 0x8408, .reflected = true},
    {.name = "crc16-ccitt-false", .width = 2, .of = crc16, .poly = 0x1021, .init = 0xffff},
    {.name = "crc16-x25",
     .width = 2,
     .of = crc16,
     .poly = 0x8408,
     .init = 0xffff,
     .xorout = 0xffff,
     .reflected = true},
    {.name = "crc16-xmodem", .width = 2, .of = crc16, .poly = 0x1021},
    {.name = "crc16-hj212", .width = 2, .of = crc16_hj212, .poly = 0xa001, .init = 0xffff},
};
enum { N_SUMS = sizeof(sums) / sizeof(sums[0]) };

const struct codec_sum *codec_sum_find(const char *name)
{
    for (size_t i = 0; i < N_SUMS; i++) {
        if (strcmp(sums[i].name, name) == 0)
            return &sums[i];
    }
    return NULL;
}

int codec_refuse_sum_of(struct codec_fault *f, const char *why, size_t at,
                        const struct codec_sum *sum, uint64_t told, uint64_t made, size_t from,
                        size_t to)
{
    f->sum = sum->name;
    f->sum_width = sum->width;
    f->sum_told = told;
    f->sum_made = made;
    f->sum_from = from;
    f->sum_to = to;
    return codec_refuse_sum(f, why, at);
}

int codec_sum_read(struct codec_parse *c, const struct yaml_node *n,
                   const struct codec_sum **out)
{
    const char *names[N_SUMS];
    for (size_t i = 0; i < N_SUMS; i++)
        names[i] = sums[i].name;
    int i = codec_read_choice(c, n, "checksum", names, N_SUMS);
    if (i < 0)
        return -EINVAL;
    *out = &sums[i];
    return 0;
}
