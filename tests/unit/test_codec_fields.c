/* SPDX-License-Identifier: Apache-2.0 */
/* Types, scales, maps, check sums; fields within fields; modbus. */
#include "unit.h"
#include "codec_rig.h"
#include "base/num.h"
#include "core/codec_plan_private.h"

#include <math.h>

/* One field of that text over these bytes. */
static void field(const char *text, const char *hex, const char *json)
{
    char chain[512];
    (void)snprintf(chain, sizeof(chain), "[hex, {struct: [{%s}]}]", text);
    gives("", chain, hex, json);
}

static void whole_numbers(void **state)
{
    (void)state;
    field("name: a, type: u8", "ff", "{\"a\":255}");
    field("name: a, type: i8", "ff", "{\"a\":-1}");
    field("name: a, type: u16le", "0102", "{\"a\":513}");
    field("name: a, type: u16be", "0102", "{\"a\":258}");
    field("name: a, type: i16be", "8000", "{\"a\":-32768}");
    field("name: a, type: u24le", "010203", "{\"a\":197121}");
    field("name: a, type: i24be", "ffffff", "{\"a\":-1}");
    field("name: a, type: i24le", "000080", "{\"a\":-8388608}");
    field("name: a, type: u32be", "01020304", "{\"a\":16909060}");
    field("name: a, type: u32cdab", "03040102", "{\"a\":16909060}");
    field("name: a, type: u32badc", "02010403", "{\"a\":16909060}");
    field("name: a, type: i32cdab", "fffeffff", "{\"a\":-2}");
    field("name: a, type: u40le", "0100000001", "{\"a\":4294967297}");
    field("name: a, type: i48be", "fffffffffffe", "{\"a\":-2}");
    field("name: a, type: u64be", "ffffffffffffffff", "{\"a\":18446744073709551615}");
    field("name: a, type: i64le", "feffffffffffffff", "{\"a\":-2}");
    field("name: a, type: u64be", "0020000000000001", "{\"a\":9007199254740993}");
    field("name: a, type: uintbe, bytes: 3", "010203", "{\"a\":66051}");
    field("name: a, type: intle, bytes: rest", "feff", "{\"a\":-2}");
    field("name: a, type: bool", "02", "{\"a\":true}");
    field("name: a, type: uintbe, bytes: 9", "010203040506070809",
          "!ends within a, or its size is wrong");
}

static void floats(void **state)
{
    (void)state;
    field("name: a, type: f32be", "41ac0000", "{\"a\":21.5}");
    field("name: a, type: f32le", "0000ac41", "{\"a\":21.5}");
    field("name: a, type: f32cdab", "000041ac", "{\"a\":21.5}");
    field("name: a, type: f32badc", "ac410000", "{\"a\":21.5}");
    field("name: a, type: f32be", "41af3333", "{\"a\":21.9}"); /* what its maker meant */
    field("name: a, type: f32be", "4cebc79f", "{\"a\":123616504}");
    field("name: a, type: f32be", "00000001", "{\"a\":1e-45}");
    field("name: a, type: f64be", "3ff199999999999a", "{\"a\":1.1}");
    field("name: a, type: f16be", "3e00", "{\"a\":1.5}");
    field("name: a, type: f16le", "00c0", "{\"a\":-2}");
    field("name: a, type: f16be", "0001", "{\"a\":5.960464477539063e-8}");
    field("name: a, type: f32be", "7fc00000", "{\"a\":null}");
    field("name: a, type: f32be, scale: 2, offset: 1", "41ac0000", "{\"a\":44}");
}

static void texts(void **state)
{
    (void)state;
    field("name: a, type: bcd, bytes: 3", "123456", "{\"a\":\"123456\"}");
    field("name: a, type: bcdle, bytes: 3", "123456", "{\"a\":\"563412\"}");
    field("name: a, type: bcd, bytes: 3", "f12345", "{\"a\":\"12345\"}");
    field("name: a, type: bcd, bytes: 2", "ffff", "{\"a\":null}");
    field("name: a, type: bcd, bytes: 2", "1f23", "!a is not what it must be");
    field("name: a, type: bcd, bytes: 1", "1a", "!a is not what it must be");
    field("name: a, type: bcdnum, bytes: 3, divide: 100", "001234", "{\"a\":12.34}");
    field("name: a, type: bcdnumle, bytes: 2", "3412", "{\"a\":1234}");
    field("name: a, type: bcdnum, bytes: 11", "0000000000000000000255", "{\"a\":255}");
    field("name: a, type: bcdnum, bytes: 10", "09223372036854775807",
          "{\"a\":9223372036854775807}");
    field("name: a, type: bcdnum, bytes: 10", "09223372036854775808",
          "!a is not what it must be");
    field("name: a, type: bcd, bytes: 3, swap: true, digits: 5", "214365", "{\"a\":\"12345\"}");
    field("name: a, type: bcd, bytes: 2, swap: true", "21f3", "{\"a\":\"123\"}");
    field("name: a, type: hex, bytes: 2", "ABcd", "{\"a\":\"abcd\"}");
    field("name: a, type: ascii, bytes: 4", "41420043", "{\"a\":\"AB\"}");
    field("name: a, type: ascii, bytes: 4", "41422020", "{\"a\":\"AB\"}");
    field("name: a, type: utf8, bytes: 2", "41ff", "{\"a\":\"A\xef\xbf\xbd\"}");
    field("name: a, type: gb18030, bytes: 4", "beaeb8c7", "{\"a\":\"井盖\"}");
    field("name: a, type: ascii, until: 0x2c}, {name: b, type: ascii, bytes: rest", "41422c43",
          "{\"a\":\"AB\",\"b\":\"C\"}");
    field("name: a, type: ascii, until: 0", "4142", "!ends within a, or its size is wrong");
    field("name: a, type: ascii, bytes: 2, is: AB", "4142", "{\"a\":\"AB\"}");
    field("name: a, type: ascii, bytes: 2, is: [AC, AD]", "4142", "!a is not what it must be");
    field("name: a, type: ascii, bytes: 1, map: {A: 1, B: true}", "42", "{\"a\":true}");
}

static void scales(void **state)
{
    (void)state;
    field("name: a, type: u16be, divide: 10", "00db", "{\"a\":21.9}");
    field("name: a, type: u16be, scale: 0.1", "00db", "{\"a\":21.9}");
    field("name: a, type: u16be, scale: 0.01, offset: -40", "091d", "{\"a\":-16.67}");
    field("name: a, type: u8, offset: -40", "00", "{\"a\":-40}");
    field("name: a, type: u8, scale: 10", "07", "{\"a\":70}");
    field("name: a, type: u8, scale: 1e2", "07", "{\"a\":700}");
    field("name: a, type: u8, divide: -2", "07", "{\"a\":-3.5}");
    field("name: a, type: u8, scale: 0.5, divide: 0.25, offset: 0.1", "03", "{\"a\":6.1}");
    field("name: a, type: u64be, divide: 10", "ffffffffffffffff",
          "{\"a\":1844674407370955264}");
    field("name: a, type: u8, map: {0: off, 1: \"on\", 2: null, 3: 2.5, 4: false}}, "
          "{name: b, type: u8, map: {0: a}, default: other}, {name: c, type: u8, map: {0: a}",
          "030505", "{\"a\":2.5,\"b\":\"other\",\"c\":5}");
    field("name: a, type: i8, map: {-1: down, 0xf: up}", "ff", "{\"a\":\"down\"}");
}

/* Whatever is divided by a power of ten is the double that the decimal text reads as. */
static void scales_are_exact(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int i = 0; i < 200000; i++) {
        int digits = 1 + (int)(unit_random(&seed) % 6);
        int64_t v = (int64_t)(unit_random(&seed) % 2000000000) - 1000000000, whole = 0, d = 1;
        struct codec_scale s = {.a = 1, .exact = true, .scale = 1};
        char text[64];
        double want, got = 0;
        for (int k = 0; k < digits; k++)
            d *= 10;
        s.d = d;
        s.divide = (double)d;
        (void)snprintf(text, sizeof(text), "%lld.%0*lld", (long long)(v / d), digits,
                       (long long)(v < 0 ? -(v % d) : v % d));
        if (v < 0 && v / d == 0)
            (void)snprintf(text, sizeof(text), "-0.%0*lld", digits, (long long)-v);
        assert_int_equal(num_get_double(text, strlen(text), &want), 0);
        assert_int_equal(codec_scale_int(&s, v, &whole, &got), 0);
        if (memcmp(&got, &want, sizeof(got)) != 0 && v != 0)
            fail_msg("%lld / %lld is not %s", (long long)v, (long long)d, text);
    }
}

static void sums(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t check; /* of "123456789" */
    } known[] = {
        {"sum8", 0xdd},           {"sum16", 0x01dd},
        {"xor8", 0x31},           {"crc8", 0xf4},
        {"crc16-modbus", 0x4b37}, {"crc16-arc", 0xbb3d},
        {"crc16-ccitt", 0x2189},  {"crc16-ccitt-false", 0x29b1},
        {"crc16-x25", 0x906e},    {"crc16-xmodem", 0x31c3},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct codec_sum *s = codec_sum_find(known[i].name);
        assert_non_null(s);
        uint32_t got = s->of(s, (const unsigned char *)"123456789", 9);
        if (got != known[i].check)
            fail_msg("%s: %x, expected %x", known[i].name, got, known[i].check);
    }
    /* HJ 212-2017 appendix A: the example's data segment and its CRC */
    static const char hj[] =
        "QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;"
        "CP=&&RtdInterval=30&&";
    const struct codec_sum *s = codec_sum_find("crc16-hj212");
    assert_int_equal(s->of(s, (const unsigned char *)hj, sizeof(hj) - 1), 0x1c80);
    const char *defs =
        "codecs:\n"
        "  c:\n"
        "    struct:\n"
        "      - {name: a, type: u16be}\n"
        "      - {name: crc, type: u16le, checksum: crc16-modbus, over: [0, here]}\n"
        "      - {type: u8, checksum: xor8, over: [0, 2]}\n";
    gives(defs, "[hex, c]", "0102 81e1 03", "{\"a\":258,\"crc\":57729}");
    refuses(defs, "[hex, c]", "0102 81e0 03", "sum: crc: check sum does not agree");
    refuses(defs, "[hex, c]", "0102 81e1 04", "sum: line 6: check sum does not agree");
}

static void nesting(void **state)
{
    (void)state;
    const char *defs =
        "codecs:\n"
        "  outer:\n"
        "    struct:\n"
        "      - {name: kind, type: u8}\n"
        "      - {name: len, type: u8}\n"
        "      - {name: body, bytes: len, decode: inner}\n"
        "      - {bytes: -1, decode: inner}\n"
        "      - {name: end, type: u8}\n"
        "  inner:\n"
        "    tlv:\n"
        "      key: u8\n"
        "      length: u8\n"
        "      unknown: skip\n"
        "      items:\n"
        "        - {key: 1, name: t, type: intbe, divide: 10}\n"
        "        - {key: 2, name: text, type: ascii}\n"
        "        - {key: 3, name: list, list: true, type: u8}\n"
        "        - {key: 4, fields: [{name: x, type: u8}, {name: y, type: u8, bits: {b: 0}}]}\n"
        "        - {key: 5, name: o, fields: [{name: x, type: u8}]}\n"
        "        - {key: 6, name: deep, decode: leaf}\n"
        "    rest: allow\n"
        "  leaf: {tlv: {key: u8, length: u8, items: [{key: 1, name: t, type: intbe, divide: "
        "10}]}}\n"
        "  exact: {tlv: {key: u8, length: u8, items: [{key: 1, name: t, type: u16be}]}}\n"
        "  placed: {tlv: {key: u8, length: u8, items: [{key: 1, fields: [{at: 0, name: t, "
        "type: "
        "i16be}, {at: 2, name: h, type: u8}]}]}}\n"
        "  longer: {tlv: {key: u8, length: u8, items: [{key: 1, name: t, type: u16be}]}, rest: "
        "allow}\n"
        "  groups:\n"
        "    struct:\n"
        "      - {name: n, type: u8, bits: {low: [0, 3]}}\n"
        "      - {name: g, repeat: low, fields: [{name: k, type: u8},"
        " {name: h, repeat: k, fields: [{name: v, type: u8}]}]}\n"
        "      - {name: rest, repeat: rest, fields: [{name: w, type: u16be}]}\n";
    gives(defs, "[hex, outer]", "09 05 0102ff9c0900 0103 0302 4142 ff",
          "!ends within the length of a record");
    gives(defs, "[hex, outer]",
          "09 06 0102ff9c0900 02024142 030107 03020800 04020301 050105 "
          "0603 010107 ff",
          "{\"kind\":9,\"len\":6,\"body\":{\"t\":-10},\"text\":\"AB\",\"x\":3,\"y\":1,"
          "\"b\":true,\"o\":{\"x\":5},\"deep\":{\"t\":0.7},\"list\":[7,8],\"end\":255}");
    refuses(defs, "[hex, outer]", "09 07 0102", "ends within body, or its size is wrong");
    refuses(defs, "[hex, exact]", "01 02 0008 01 03 0007ff",
            "a record is longer than its field");
    gives(defs, "[hex, placed]", "01 03 00d732", "{\"t\":215,\"h\":50}");
    refuses(defs, "[hex, placed]", "01 04 00d732ff", "a record is longer than its field");
    gives(defs, "[hex, longer]", "01 03 0007ff", "{\"t\":7}");
    gives(defs, "[hex, groups]", "f2 01 aa 02 bb cc 0001 0002",
          "{\"n\":242,\"low\":2,\"g\":[{\"k\":1,\"h\":[{\"v\":170}]},"
          "{\"k\":2,\"h\":[{\"v\":187},{\"v\":204}]}],\"rest\":[{\"w\":1},{\"w\":2}]}");
    refuses(defs, "[hex, groups]", "02 01 aa 05 bb", "ends within h, or its size is wrong");
    refuses(defs, "[hex, groups]", "00 01", "ends within w, or its size is wrong");
}

static void work_is_bounded(void **state)
{
    (void)state;
    /* groups that take no bytes, within each other: 1,024 ^ 3 */
    const char *defs =
        "codecs:\n"
        "  z:\n"
        "    struct:\n"
        "      - {name: a, repeat: 1024, fields: [{name: b, repeat: 1024, fields: "
        "[{name: c, repeat: 1024, fields: [{at: 0, name: d, type: u8}]}]}]}\n"
        "    rest: allow\n"
        "  y:\n"
        "    struct:\n"
        "      - {name: a, repeat: rest, fields: [{at: 0, name: d, type: u8}]}\n"
        "  x:\n"
        "    struct:\n"
        "      - {name: a, repeat: rest, fields: [{type: u8, name: b},"
        " {at: 0, type: u8, checksum: sum8, over: [0, end]}]}\n";
    char zeros[3000] = {0};
    gives_n(defs, "z", zeros, sizeof(zeros), "!its values take more than the limit");
    gives_n(defs, "y", zeros, 10, "!a repeated group takes no bytes");
    gives_n(defs, "x", zeros, sizeof(zeros),
            "!its fields take more work than its length allows");
}

static void modbus(void **state)
{
    (void)state;
    const char *defs =
        "codecs:\n"
        "  th:\n"
        "    modbus:\n"
        "      unit: any\n"
        "      function: 3\n"
        "      registers:\n"
        "        - {at: 0, name: humidity, type: u16be, divide: 10}\n"
        "        - {at: 1, name: temperature, type: i16be, divide: 10}\n"
        "  one:\n"
        "    modbus: {unit: 2, crc: false, registers: [{at: 0, name: a, type: u16be}]}\n"
        "  ip:\n"
        "    modbus: {tcp: true, registers: [{at: 1, name: a, type: u16be}]}\n"
        "  deep:\n"
        "    modbus:\n"
        "      crc: false\n"
        "      registers:\n"
        "        - {at: 0, name: kind, type: u16be}\n"
        "        - switch: kind\n"
        "          cases: {1: [{at: 2, name: a, type: u16be}]}\n"
        "          default: [{at: 1, name: b, type: u16be}]\n"
        "        - {name: g, fields: [{at: 2, name: c, type: u16be}]}\n";
    gives(defs, "[hex, deep]", "01 03 06 0001 0002 0003",
          "{\"unit\":1,\"function\":3,\"kind\":1,\"a\":3,\"g\":{\"c\":3}}");
    gives(defs, "[hex, deep]", "01 03 06 0000 0002 0003",
          "{\"unit\":1,\"function\":3,\"kind\":0,\"b\":2,\"g\":{\"c\":3}}");
    gives(defs, "[hex, th]", "01 03 04 0227 ff9b", "!sum: the check sum does not agree");
    gives(defs, "[hex, th]", "0103040227ff9b 4bdb",
          "{\"unit\":1,\"function\":3,\"humidity\":55.1,\"temperature\":-10.1}");
    refuses(defs, "[hex, th]", "018302 c0f1", "the device answers: illegal data address");
    refuses(defs, "[hex, th]", "010402 0227 3816", "sum: the check sum does not agree");
    gives(defs, "[hex, one]", "02 03 02 0001", "{\"unit\":2,\"function\":3,\"a\":1}");
    refuses(defs, "[hex, one]", "03 03 02 0001", "the reply of another unit");
    refuses(defs, "[hex, one]", "02 01 02 0001", "the reply to another function");
    refuses(defs, "[hex, one]", "02 03 04 0001", "sum: the number of bytes does not agree");
    gives(defs, "[hex, ip]", "0001 0000 0007 01 04 04 0001 0002",
          "{\"unit\":1,\"function\":4,\"a\":2}");
    refuses(defs, "[hex, ip]", "0001 0000 0008 01 04 04 0001 0002",
            "sum: the length in the MBAP header does not agree");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(floats),
        cmocka_unit_test(texts),
        cmocka_unit_test(scales),
        cmocka_unit_test(scales_are_exact),
        cmocka_unit_test(sums),
        cmocka_unit_test(nesting),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(modbus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
