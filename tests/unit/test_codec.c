/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "codec_rig.h"

static void simple_steps(void **state)
{
    (void)state;
    gives("", "[hex, text]", "41 42\r\n43", "\"ABC\"");
    gives("", "[hex, text]", "0x4142", "\"AB\"");
    gives("", "[hex, bytes]", "FF00aB", "\"ff00ab\"");
    gives("", "hex", "FF00aB", "\"ff00ab\"");
    refuses("", "[hex, text]", "414", "hexadecimal with half a byte at its end");
    refuses("", "[hex, text]", "41g2", "not hexadecimal");
    gives("", "[base64, text]", "SGVsbG8=", "\"Hello\"");
    gives("", "[base64, text]", "SGVsbG8", "\"Hello\"");
    gives("", "[base64, bytes]", "-_-_", "\"fbffbf\"");
    gives("", "[base64, bytes]", "+/+/\n+w==", "\"fbffbffb\"");
    gives("", "[base64, bytes]", "", "\"\"");
    refuses("", "[base64, bytes]", "SGVsb", "base64 that is cut off");
    refuses("", "[base64, bytes]", "SG=Vs", "not base64");
    refuses("", "[base64, bytes]", "SGVsbG8==", "base64 that is cut off");
    gives("", "[hex, reverse, bytes]", "010203", "\"030201\"");
    gives("", "[hex, {slice: [1, -1]}, bytes]", "01020304", "\"0203\"");
    gives("", "[{slice: [1, -1]}, hex, reverse, {slice: [1, end]}, bytes]", "x010203x",
          "\"0201\"");
    refuses("", "[{slice: [3, -1]}, bytes]", "abc", "too short for the slice");
    gives("", "bcd", "\x12\x34", "\"1234\"");
    gives("", "text", "漏水", "\"漏水\"");
    refuses("", "text", "ab\xff", "not valid UTF-8");
}

static void scalars(void **state)
{
    (void)state;
    gives("", "number", " 21.5\n", "21.5");
    gives("", "number", "9007199254740993", "9007199254740993");
    gives("", "number", "18446744073709551615", "18446744073709551615");
    gives("", "number", "true", "true");
    gives("", "number", "\"a\\u0041\"", "\"aA\"");
    gives("", "number", "\"a", "\"\\\"a\"");
    gives("", "number", "Online", "\"Online\"");
    gives("", "number", "", "\"\"");
    gives("", "number", "null", "null");
    gives("", "number", "+27.90", "\"+27.90\"");
}

static void json_texts(void **state)
{
    (void)state;
    gives("", "json", "{\"a\": [1, 2.5, \"x\", null]}", "{\"a\":[1,2.5,\"x\",null]}");
    refuses("", "json", "{\"a\": 1,}", "not JSON");
    gives("", "jsonl", "{\"a\":1}{\"b\":\"}\\\"{\"}", "[{\"a\":1},{\"b\":\"}\\\"{\"}]");
    gives("", "jsonl", "{\"a\":1}\r\n[2]\n3 true \"x\"\n", "[{\"a\":1},[2],3,true,\"x\"]");
    gives("", "jsonl", "", "[]");
    refuses("", "jsonl", "{\"a\":1}{", "not JSON");
    refuses("", "jsonl", "{\"a\":1}}", "not JSON");
}

static void structs(void **state)
{
    (void)state;
    const char *defs =
        "codecs:\n"
        "  one:\n"
        "    struct:\n"
        "      - {name: magic, type: u16be, is: 0x5055}\n"
        "      - {name: cmd, type: u8}\n"
        "      - {skip: 1}\n"
        "      - {name: imei, type: bcd, bytes: 2}\n"
        "      - {name: flags, type: u8, bits: {alarm: 0, low: 1, level: [4, 7]}}\n"
        "      - {name: t, type: i16le, divide: 10}\n"
        "      - {name: n, type: u8}\n"
        "      - {name: samples, repeat: n, fields: [{name: v, type: u8}]}\n"
        "      - {switch: cmd, cases: {8: [{name: x, type: u8}], 6: []}}\n"
        "      - {name: text, type: ascii, bytes: 4}\n"
        "      - {at: 2, name: again, type: u8}\n";
    gives(defs, "[hex, one]", "5055 08 00 1234 f1 ff00 02 0a0b 07 41420000",
          "{\"magic\":20565,\"cmd\":8,\"imei\":\"1234\",\"flags\":241,\"alarm\":true,"
          "\"low\":false,\"level\":15,\"t\":25.5,\"n\":2,\"samples\":[{\"v\":10},{\"v\":11}],"
          "\"x\":7,\"text\":\"AB\",\"again\":8}");
    refuses(defs, "[hex, one]", "5054 08", "magic is not what it must be");
    refuses(defs, "[hex, one]", "5055 08 00 12", "ends within imei, or its size is wrong");
    refuses(defs, "[hex, one]", "5055 07 00 1234 f1 ff00 00", "cmd has no case for it");
    refuses(defs, "[hex, one]", "5055 06 00 1234 f1 ff00 00 41420000 00",
            "bytes are left over after the last field");
    refuses(defs, "[hex, one]", "5055 06 00 1234 f1 ff00 ff 41420000",
            "ends within samples, or its size is wrong");
}

static void tlvs(void **state)
{
    (void)state;
    const char *defs =
        "codecs:\n"
        "  m:\n"
        "    tlv:\n"
        "      key: [u8, u8]\n"
        "      items:\n"
        "        - {key: [0x01, 0x75], name: battery, type: u8}\n"
        "        - {key: [0x03, 0x67], name: temperature, type: i16le, divide: 10}\n"
        "        - {key: [0x04, 0x68], name: humidity, type: u8, divide: 2}\n"
        "        - {key: [0x20, 0xce], name: history, list: true,\n"
        "           fields: [{name: ts, type: u32le}, {name: t, type: i16le, divide: 10}]}\n"
        "        - {key: [\"*\", 0xc8], name: \"pulse_{0}\", type: u32le}\n"
        "        - {key: [0x07, \"*\"], name: \"any_{1}\", type: u8, map: {0: \"off\", 1: "
        "\"on\"}}\n"
        "      unknown: stop\n";
    gives(defs, "[hex, m]", "017564 0367ff00 04687b",
          "{\"battery\":100,\"temperature\":25.5,\"humidity\":61.5}");
    gives(defs, "[base64, m]",
          "AXVcA2c0AQRoZQ==", "{\"battery\":92,\"temperature\":30.8,\"humidity\":50.5}");
    gives(defs, "[hex, m]", "20ce0100000064002 0ce02000000 6500 017564",
          "{\"battery\":100,\"history\":[{\"ts\":1,\"t\":10},{\"ts\":2,\"t\":10.1}]}");
    gives(defs, "[hex, m]", "05c801000000 070301 07c800",
          "{\"pulse_5\":1,\"any_3\":\"on\",\"any_200\":\"off\"}");
    gives(defs, "[hex, m]", "017564 ffee0102", "{\"battery\":100,\"_unknown\":\"ffee0102\"}");
    refuses(defs, "[hex, m]", "017564 0367", "ends within temperature, or its size is wrong");
    refuses(defs, "[hex, m]", "017564 03", "ends within the type of a record");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_steps), cmocka_unit_test(scalars), cmocka_unit_test(json_texts),
        cmocka_unit_test(structs),      cmocka_unit_test(tlvs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
