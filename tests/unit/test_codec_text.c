/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "codec_rig.h"

static void csv(void **state)
{
    (void)state;
    gives("", "csv", "1,\"a,\"\"b\"\"\", x y ,,2\r\n",
          "[\"1\",\"a,\\\"b\\\"\",\"x y\",\"\",\"2\"]");
    gives("", "{csv: {names: [a, null, c]}}", "1,2,3,4,5",
          "{\"a\":\"1\",\"c\":\"3\",\"4\":\"4\",\"5\":\"5\"}");
    gives("", "{csv: {names: [a, b, c]}}", "1", "{\"a\":\"1\"}");
    gives("", "{csv: {separator: \"||\"}}", "1||2|3||", "[\"1\",\"2|3\",\"\"]");
    gives("", "{csv: {separator: \"\\t\"}}", "1\t\"2\"\t3", "[\"1\",\"2\",\"3\"]");
    gives("", "{csv: {separator: \"\\t\", names: [a, b, c]}}", " \t21.5\t48\r\n",
          "{\"a\":\"\",\"b\":\"21.5\",\"c\":\"48\"}");
    gives("", "{csv: {separator: \"\\t\", lines: true}}", "1\t2\n\t3\n",
          "[[\"1\",\"2\"],[\"\",\"3\"]]");
    gives("", "{csv: {separator: \" \"}}", "  1 2\n", "[\"1\",\"2\"]");
    gives("", "{csv: {lines: true}}", "1,2\n\n3,4", "[[\"1\",\"2\"],[\"3\",\"4\"]]");
    gives("", "{csv: {lines: true, names: [a]}}", "1\r\n2\r\n",
          "[{\"a\":\"1\"},{\"a\":\"2\"}]");
    gives("", "csv", "", "[\"\"]");
    gives("", "csv", "a\xff", "[\"a\xef\xbf\xbd\"]");
    refuses("", "csv", "1,\"2", "a quote that is not closed");
}

static void keyvalue(void **state)
{
    (void)state;
    gives("", "keyvalue", "a=1; b = 2 ;c=;;d=x=y",
          "{\"a\":\"1\",\"b\":\"2\",\"c\":\"\",\"d\":\"x=y\"}");
    gives("", "{keyvalue: {pair: \",\", is: \": \"}}", "T: 21.5, H: 40",
          "{\"T\":\"21.5\",\"H\":\"40\"}");
    gives("", "{keyvalue: {pair: \"\\n\", is: \":\"}}", "T:21.5\r\nH:40\r\n",
          "{\"T\":\"21.5\",\"H\":\"40\"}");
    gives("", "keyvalue", "", "{}");
    refuses("", "keyvalue", "a=1;b", "a piece that is no pair of key and value");
}

static void pattern(void **state)
{
    (void)state;
    gives("", "{pattern: \"N{model:3}V{fw:2}I{imei:4}\"}", "N123V45I6789\r\n",
          "{\"model\":\"123\",\"fw\":\"45\",\"imei\":\"6789\"}");
    gives("", "{pattern: \"{a}:{_}/{b}\"}", "x:y/z/", "{\"a\":\"x\",\"b\":\"z/\"}");
    gives("", "{pattern: \"{{{a:1}}}{b}\"}", "{1}2", "{\"a\":\"1\",\"b\":\"2\"}");
    gives("", "{pattern: OK}", "OK", "{}");
    refuses("", "{pattern: OK}", "OKAY", "longer than the pattern");
    refuses("", "{pattern: \"N{a:3}\"}", "N12", "shorter than the pattern");
    refuses("", "{pattern: \"N{a:3}\"}", "M123", "does not follow the pattern");
    refuses("", "{pattern: \"{a}:{b}\"}", "12", "does not follow the pattern");
    complains(
        "", "{pattern: \"{a}{b}\"}",
        "chain:1:20: error: pattern: a value without a width needs fixed text after it\n");
    complains(
        "", "{pattern: \"{a\"}",
        "chain:1:20: error: pattern: a brace is not closed; for a brace itself write {{\n");
}

static void cbor(void **state)
{
    (void)state;
    /* RFC 8949 appendix A */
    gives("", "[hex, cbor]", "1bffffffffffffffff", "18446744073709551615");
    gives("", "[hex, cbor]", "3863", "-100");
    gives("", "[hex, cbor]", "3b7fffffffffffffff", "-9223372036854775808");
    gives("", "[hex, cbor]", "f93e00", "1.5");
    gives("", "[hex, cbor]", "fb3ff199999999999a", "1.1");
    gives("", "[hex, cbor]", "f97e00", "null");
    gives("", "[hex, cbor]", "c11a514b67b0", "1363896240");
    gives("", "[hex, cbor]", "4401020304", "\"01020304\"");
    gives("", "[hex, cbor]", "62c3bc", "\"ü\"");
    gives("", "[hex, cbor]", "8301820203820405", "[1,[2,3],[4,5]]");
    gives("", "[hex, cbor]", "a201020304", "{\"1\":2,\"3\":4}");
    gives("", "[hex, cbor]", "a26161016162820203", "{\"a\":1,\"b\":[2,3]}");
    gives("", "[hex, cbor]", "80", "[]");
    gives("", "[hex, cbor]", "a0", "{}");
    gives("", "[hex, cbor]", "5f42010243030405ff", "\"0102030405\"");
    gives("", "[hex, cbor]", "7f657374726561646d696e67ff", "\"streaming\"");
    gives("", "[hex, cbor]", "9f018202039f0405ffff", "[1,[2,3],[4,5]]");
    gives("", "[hex, cbor]", "bf6346756ef563416d7421ff", "{\"Fun\":true,\"Amt\":-2}");
    gives("", "[hex, cbor]", "f7", "null");
    refuses("", "[hex, cbor]", "8301", "CBOR that is cut off");
    refuses("", "[hex, cbor]", "", "CBOR that is cut off");
    refuses("", "[hex, cbor]", "0101", "bytes after the CBOR");
    refuses("", "[hex, cbor]", "ff", "not CBOR: an end of nothing");
    refuses("", "[hex, cbor]", "bf6161ff", "not CBOR: an end of nothing");
    refuses("", "[hex, cbor]", "5f6161ff", "not CBOR: a string in pieces of another type");
    refuses("", "[hex, cbor]", "a1f501", "a key that is neither a text nor a whole number");
    refuses("", "[hex, cbor]", "9bffffffffffffffff01", "CBOR that is cut off");
    refuses("", "[hex, cbor]", "5bffffffffffffffff01", "CBOR that is cut off");
    char deep[200];
    memset(deep, 0x81, sizeof(deep));
    gives_n("", "cbor", deep, sizeof(deep), "!its values take more than the limit");
}

static void gb18030(void **state)
{
    (void)state;
    gives("", "{text: gb18030}", "\xbe\xae\xb8\xc7 1", "\"井盖 1\"");
    gives("", "{text: gb18030}", "\x81\x30\x84\x36", "\"¥\"");
    gives("", "{text: gb18030}",
          "a\xff"
          "b\xbe",
          "\"a\xef\xbf\xbd"
          "b\xef\xbf\xbd\"");
}

static void frames(void **state)
{
    (void)state;
    gives("", "[hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8}}, bytes]",
          "4040 010203 06 2323", "\"010203\"");
    gives("", "[hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8, keep: true}}]",
          "4040 010203 06 2323", "\"4040010203062323\"");
    refuses("", "[hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8}}, bytes]",
            "4040 010203 07 2323", "sum: the check sum does not agree");
    refuses("", "[hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8}}, bytes]",
            "00 4040 010203 06 2323", "does not begin as the frame must");
    refuses("", "[hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8}}, bytes]",
            "4040 010203 06 2324", "does not end as the frame must");
    refuses("", "[hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8}}, bytes]",
            "4040 2323", "too short for the frame");
    gives("", "[hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8, seek: true}}]",
          "0d0a 4040 010203 06 2323 0d0a", "\"010203\"");
    gives("", "[hex, {frame: {checksum: crc16-modbus}}]", "0103020117 f9da", "\"0103020117\"");
    gives("", "[hex, {frame: {checksum: xor8, at: 0, over: [1, end]}}]", "03 0102",
          "\"030102\"");
    gives("",
          "[{frame: {head: \"24\", checksum: xor8, at: -2, over: [1, -3], ascii: true}}, text]",
          "$GPTXT,1*52", "\"GPTXT,1*\"");
    gives("", "[hex, {frame: {length: {at: 1, type: u8, add: 2}}}]", "aa 02 0102",
          "\"aa020102\"");
    refuses("", "[hex, {frame: {length: {at: 1, type: u8, add: 2}}}]", "aa 02 01",
            "sum: the frame's length does not agree");
    complains("", "[{frame: {seek: true}}]",
              "chain:1:25: error: seek: only with a head to look for\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv),  cmocka_unit_test(keyvalue), cmocka_unit_test(pattern),
        cmocka_unit_test(cbor), cmocka_unit_test(gb18030),  cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
