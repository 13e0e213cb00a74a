/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions: names, several files, and what is said about wrong ones. */
#include "unit.h"
#include "codec_rig.h"

static void names_and_chains(void **state)
{
    (void)state;
    const char *defs = "codecs:\n"
                       "  late: [base64, early]\n"
                       "  alias: late\n"
                       "  early: [hex, {csv: {separator: \";\"}}]\n";
    gives(defs, "alias", "MzEzYjMy", "[\"1\",\"2\"]");
    gives(defs, "[{slice: [1, end]}, late]", "xMzEzYjMy", "[\"1\",\"2\"]");
    complains(defs, "[alias, json]",
              "chain:1:17: error: nothing can come after csv, which gives values\n");
    complains(defs, "erly",
              "chain:1:9: error: there is no codec \"erly\", did you mean \"early\"?\n");
    complains(defs, "bas64",
              "chain:1:9: error: there is no codec \"bas64\", did you mean \"base64\"?\n");
}

static void several_files(void **state)
{
    (void)state;
    static const char *const files[] = {"codecs:\n  a: [hex, b]\n  c: b\n",
                                        "codecs:\n  b: text\n  a: json\n  d: nope\n"};
    struct codec_set *s = codec_set_new();
    struct problems *p = problems_new(10);
    struct arena a;
    arena_init(&a, 1 << 20);
    for (int i = 0; i < 2; i++) {
        struct conf_notes notes = {0};
        struct yaml_node *root = yaml_parse(files[i], strlen(files[i]), &a, &notes);
        assert_non_null(root);
        assert_int_equal(codec_set_add(s, root->first, i ? "2.yaml" : "1.yaml", &notes),
                         i ? -EINVAL : 0);
        conf_notes_hand_over(&notes, i ? "2.yaml" : "1.yaml", p);
        conf_notes_done(&notes);
    }
    assert_int_equal(codec_set_settle(s, p), -EINVAL);
    assert_int_equal(problems_count(p), 2);
    assert_string_equal(problems_get(p, 0),
                        "2.yaml:3:3: error: a is defined already: 1.yaml:2");
    assert_string_equal(problems_get(p, 1), "2.yaml:4:6: error: there is no codec \"nope\"");
    problems_free(p);
    arena_done(&a);
    codec_set_free(s);
    codec_set_free(NULL);
}

static void many_names(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_puts(&b, "codecs:\n");
    for (int i = 0; i < 2000; i++)
        buf_printf(&b, "  n%d: %s\n", i, i % 100 == 99 ? "hex" : "text");
    gives(buf_cstr(&b), "n1999", "ab", "\"ab\"");
    buf_done(&b);
}

static void cycles(void **state)
{
    (void)state;
    complains("codecs:\n  a: b\n  b: [hex, c]\n  c: a\n", NULL,
              "x.yaml:4:6: error: a is defined by itself\n");
    complains("codecs:\n  a: {struct: [{name: x, bytes: rest, decode: a}]}\n", NULL,
              "x.yaml:2:47: error: this codec is defined by itself\n");
    struct buf b; /* however the chain is ordered, it is as deep as it is */
    buf_init(&b, 1 << 16);
    for (int up = 0; up < 2; up++) {
        buf_clear(&b);
        buf_puts(&b, "codecs:\n  l0: text\n");
        for (int k = 1; k <= 30; k++) {
            int i = up ? k : 31 - k;
            buf_printf(&b, "  l%d: {struct: [{name: x, bytes: rest, decode: l%d}]}\n", i,
                       i - 1);
        }
        struct codec_set *s = codec_set_new();
        struct arena a;
        struct buf said;
        arena_init(&a, 16 << 20);
        buf_init(&said, 1 << 16);
        (void)rig_compile(s, &a, buf_cstr(&b), NULL, &said);
        assert_non_null(strstr(buf_cstr(&said), "deep"));
        buf_done(&said);
        arena_done(&a);
        codec_set_free(s);
    }
    buf_done(&b);
}

static void wrong_steps(void **state)
{
    (void)state;
    complains(
        "codecs:\n"
        "  json: hex\n"
        "  Bad_Name: hex\n"
        "  a: []\n"
        "  b: {strukt: []}\n"
        "  c: tlv\n"
        "  d: {hex: 1}\n"
        "  e: [hex, [hex]]\n"
        "  f: [hex,hex,hex,hex,hex,hex,hex,hex,hex]\n"
        "  g: {slice: [3, 1]}\n"
        "  h: {frame: {hed: \"40\", tail: \"4g\", checksum: crc61}}\n"
        "  i: {frame: {tail: \"4g\"}}\n"
        "  j: {frame: {checksum: crc61}}\n",
        NULL,
        "x.yaml:2:3: error: json is built in and cannot be defined\n"
        "x.yaml:3:3: error: \"Bad_Name\" is no name of a codec, expected a-z, 0-9 and -\n"
        "x.yaml:4:6: error: an empty list, expected steps of decoding\n"
        "x.yaml:5:6: error: \"strukt\" is no step of decoding, did you mean \"struct\"?\n"
        "x.yaml:6:6: error: tlv needs to be told more: \"tlv: …\"\n"
        "x.yaml:7:7: error: hex takes no options, write it alone\n"
        "x.yaml:8:12: error: expected a step of decoding: a name such as base64, or one "
        "with options such as slice: [2, -1]\n"
        "x.yaml:9:39: error: more than 8 steps\n"
        "x.yaml:10:14: error: slice: its end lies before its beginning\n"
        "x.yaml:11:15: error: unknown key \"hed\" in a frame, did you mean \"head\"?\n"
        "x.yaml:11:33: error: tail: \"4g\", expected 1 to 256 bytes in hexadecimal such as "
        "\"4040\"\n"
        "x.yaml:11:48: error: checksum: \"crc61\", expected sum8, sum16, xor8, crc8, "
        "crc16-modbus, crc16-arc, crc16-ccitt, crc16-ccitt-false, crc16-x25, crc16-xmodem or "
        "crc16-hj212\n"
        "x.yaml:12:22: error: tail: \"4g\", expected 1 to 256 bytes in hexadecimal such as "
        "\"4040\"\n"
        "x.yaml:13:25: error: checksum: \"crc61\", expected sum8, sum16, xor8, crc8, "
        "crc16-modbus, crc16-arc, crc16-ccitt, crc16-ccitt-false, crc16-x25, crc16-xmodem "
        "or crc16-hj212\n");
}

static void wrong_fields(void **state)
{
    (void)state;
    complains(
        "codecs:\n"
        "  a:\n"
        "    struct:\n"
        "      - {name: a, type: u16}\n"
        "      - {name: count, type: u8}\n"
        "      - {name: c, repeat: cuont, fields: []}\n"
        "      - {type: u8}\n"
        "      - {name: d, type: f32le, bits: {x: 1}}\n"
        "      - {name: e, type: u8, bits: {x: 8}}\n"
        "      - {name: f, type: hex}\n"
        "      - {name: g, type: u8, bytes: 2}\n"
        "      - {name: h, type: u8, divide: 0}\n"
        "      - {name: i, type: u8, scale: abc}\n"
        "      - {name: j, type: u8, map: {1: a, 0x1: b}}\n"
        "      - {name: k, skip: 2}\n"
        "      - {switch: count, cases: {1: [], 1x: []}}\n"
        "      - {switch: count}\n"
        "      - {repeat: 2, fields: []}\n"
        "      - {name: l, type: u8, checksum: crc16-modbus}\n"
        "      - {name: m, type: u8, key: 1}\n"
        "      - {name: n}\n"
        "      - {name: o, type: ascii, bytes: 2, divide: 10}\n",
        NULL,
        "x.yaml:4:25: error: type: in which order are its bytes? expected u16le or u16be\n"
        "x.yaml:6:27: error: repeat: no whole number named \"cuont\" is read before this, "
        "did you mean \"count\"?\n"
        "x.yaml:7:9: error: a field without a name\n"
        "x.yaml:8:38: error: bits: only of an unsigned number\n"
        "x.yaml:9:39: error: bit: 8 is not within 0 to 7\n"
        "x.yaml:10:25: error: how many? expected bytes: (a number, a name or rest)\n"
        "x.yaml:11:36: error: this type has its own width\n"
        "x.yaml:12:37: error: expected a number other than 0\n"
        "x.yaml:13:36: error: scale: \"abc\" is no decimal number of at most 17 digits\n"
        "x.yaml:14:34: error: map: 0x1 is there twice\n"
        "x.yaml:15:10: error: \"name\" does not belong to a skip\n"
        "x.yaml:16:40: error: a case: \"1x\" is no whole number\n"
        "x.yaml:17:18: error: a switch without cases\n"
        "x.yaml:18:18: error: a repeated group needs a name\n"
        "x.yaml:19:25: error: crc16-modbus takes 2 bytes, this field has 1\n"
        "x.yaml:20:34: error: key and list: only in the items of a tlv\n"
        "x.yaml:21:9: error: a field without a type: expected type, fields, switch, decode "
        "or skip\n"
        "x.yaml:22:25: error: scale, divide and offset: only of numbers\n");
}

static void wrong_tlvs(void **state)
{
    (void)state;
    complains(
        "codecs:\n"
        "  a: {tlv: {key: [u8, u8], items: [{key: [1, 2], name: a, type: u8},"
        " {key: [1, 2], name: b, type: u8}]}}\n"
        "  b: {tlv: {key: [u8, u8], items: [{key: [1], name: a, type: u8}]}}\n"
        "  c: {tlv: {key: u8, items: [{key: 300, name: a, type: u8}]}}\n"
        "  d: {tlv: {key: u8, unknown: skip, items: [{key: 3, name: a, type: u8}]}}\n"
        "  e: {tlv: {key: u8, items: [{key: 3, name: \"a{1}\", type: u8}]}}\n"
        "  f: {tlv: {key: u8, items: [{name: a, type: u8}]}}\n"
        "  g: {tlv: {items: []}}\n"
        "  h: {tlv: {key: u8, items: []}}\n"
        "  i: {tlv: {key: u8, items: [{key: \"*\", name: \"a{0}\", list: true, type: u8}]}}\n"
        "  j: {tlv: {key: [u16], items: [{key: 1, name: a, type: u8}]}}\n",
        NULL,
        "x.yaml:2:76: error: this key is there already, in line 2\n"
        "x.yaml:3:42: error: key: expected 2 bytes, as key of the tlv says\n"
        "x.yaml:4:36: error: key: 300 is not within 0 to 255\n"
        "x.yaml:5:31: error: unknown: skip needs a length, or nobody knows how far\n"
        "x.yaml:6:30: error: name: {0} is the first byte of the key, {1} the second\n"
        "x.yaml:7:30: error: a record without a key, expected such as key: [0x01, 0x75]\n"
        "x.yaml:8:12: error: a tlv needs key: [u8, u8] and items:\n"
        "x.yaml:9:29: error: items: expected a list that is not empty\n"
        "x.yaml:10:61: error: list: needs a name without {0}, and no bits\n"
        "x.yaml:11:18: error: key: expected [u8] or [u8, u8]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_chains), cmocka_unit_test(several_files),
        cmocka_unit_test(many_names),       cmocka_unit_test(cycles),
        cmocka_unit_test(wrong_steps),      cmocka_unit_test(wrong_fields),
        cmocka_unit_test(wrong_tlvs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
