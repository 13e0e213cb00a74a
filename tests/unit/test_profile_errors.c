/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in profiles: each is told with its place, and what was meant. */
#include "profile_rig.h"

static struct rig r;

/* The whole file, and all that is said of it. */
static void whole(const char *text, const char *expected)
{
    assert_false(rig_files(&r, &text, 1));
    assert_string_equal(r.all, expected);
}

#define HEAD                                                                                   \
    "version: 1\nprofile: t\nkinds: [sump, gas]\ntopics: [\"up/{dev}\"]\ndevice: "             \
    "\"{dev}\"\nmessages:\n"

/* Line 7 is the message; `expected` is what is said of it, or a part. */
static void message(const char *text, const char *expected)
{
    char *all = mem_printf(HEAD "  - %s\n", text);
    const char *p = all;
    if (rig_files(&r, &p, 1) || !strstr(r.all, expected)) {
        print_error("%s\n%s\nexpected: %s\n", text, r.all, expected);
        fail();
    }
    free(all);
}

static void test_file(void **state)
{
    (void)state;
    whole("", "p: error: the file is empty\n");
    whole("a: 1\n", "p:1:1: error: unknown key in a profile's file \"a\"\n"
                    "p:1:1: error: \"version: 1\" is missing\n"
                    "p:1:1: error: expected `profile: NAME`, `codecs:` or both\n");
    whole("- 1\n", "p:1:1: error: a profile is a list, expected a mapping\n");
    whole("version: 2\nprofile: T\n",
          "p:1:10: error: version 2, expected 1\n"
          "p:2:10: error: profile \"T\", expected [a-z][a-z0-9-]*, at most 64\n");
    whole("version: 1\nprofile: t\nmesages: []\n",
          "p:3:1: error: unknown key in a profile's file \"mesages\", did you mean "
          "\"messages\"?\n");
    whole("version: 1\nprofile: t\nmessages: []\nprofile: u\n",
          "p:3:11: error: messages is empty, expected a list\n"
          "p:4:1: error: \"profile\" is repeated, first in line 2\n");
    whole("version: 1\nprofile: gaihou-json\nmessages: [{ignore: log}]\n",
          "p:2:10: error: gaihou-json is the name of the native profile\n");
    whole("version: 1\nkinds: [sump]\ncodecs: {}\n",
          "p:2:1: error: \"kinds\" without `profile: NAME`\n");
    const char *const two[] = {"version: 1\nprofile: t\nmessages: [{ignore: log}]\n",
                               "version: 1\nprofile: t\nmessages: [{ignore: log}]\n"};
    assert_false(rig_files(&r, two, 2));
    assert_string_equal(r.all, "q:2:10: error: profile \"t\" is in p already\n");
}

/* What word processors make of quotation marks is read as part of the text: said, for it may be
 * meant. */
static void test_typographic_quotes(void **state)
{
    (void)state;
    const char *text =
        "version: 1\nprofile: t\ntitle: {zh: “甲”乙, en: e}\ntopics: [\"up/{dev}\"]\n"
        "device: “d1”\nmessages: [{ignore: log}]\n";
    assert_true(rig_files(&r, &text, 1));
    assert_string_equal(r.all,
                        "p:5:9: warning: “d1”: these quotation marks are part of the text, "
                        "those of YAML are the plain \" and '\n");
}

static void test_kinds_and_topics(void **state)
{
    (void)state;
    whole("version: 1\nprofile: t\nkinds: [sumpp, gas, gas]\ntopics: [a/#/b, \"a/{b}c\"]\n"
          "messages: [{ignore: log}]\n",
          "p:3:9: error: the catalogue has no kind \"sumpp\", did you mean \"sump\"?\n"
          "p:3:21: error: kind \"gas\" is repeated\n"
          "p:4:10: error: topic \"a/#/b\": # must be the last level\n"
          "p:4:18: error: topic \"a/{b}c\": a wildcard or a {capture} must be a whole level\n");
    whole("version: 1\nprofile: t\nkinds: [井盖]\nmessages: [{ignore: log}]\n",
          "p:3:9: error: the catalogue has no kind \"井盖\", expected one of sump, gas\n");
    whole("version: 1\nprofile: t\nkinds: [E]\nmessages: [{ignore: log}]\n", /* its title */
          "p:3:9: error: the catalogue has no kind \"E\", did you mean \"sump\"?\n");
}

static void test_messages(void **state)
{
    (void)state;
    message("{}",
            "7:5: error: a message needs values, fields, pairs or parts, or else ignore or "
            "refuse");
    message("{ignore: hartbeat}",
            "7:14: error: unknown reason to ignore \"hartbeat\", did you mean \"heartbeat\"?");
    message("{ignore: log, values: {level: $.l}}",
            "\"values\" in a message that gives no data");
    message("{ignore: log, refuse: x}", "ignore and refuse: one of them is expected");
    message("{valeus: {}}", "unknown key in a message \"valeus\", did you mean \"values\"?");
    message("{device: \"{devv}\", values: {level: $.l}}",
            "7:15: error: there is no {devv} in the topic \"up/{dev}\"");
    message("{alive: maybe, values: {level: $.l}}",
            "alive is \"maybe\", expected true or false");
    message("{decode: jsn, values: {level: $.l}}", "7:14: error: ");
    message("{also: {x: {from: $.a}}, values: {level: $.l}}",
            "needs `from` (a path) and `decode`");
    message("{also: {x: {from: $x.a, decode: json}}, values: {level: $x.l}}",
            "7:23: error: $x is made of itself");
    message("{values: {level: $frame.l}}", "there is no document under `also` named \"frame\"");
    message("{parts: []}", "parts is empty, expected a list");
    message("{parts: [{device: x}]}", "a part needs values, fields or pairs");
    message("{values: {level: $.l}, values: {}}", "is repeated");
    whole("version: 1\nprofile: t\ntopics: [a/b]\nmessages:\n  - {values: {level: $.l}}\n",
          "p:5:5: error: \"device\" is missing: the text that names the device, like "
          "\"{$.devEui}\"\n");
}

static void test_names_of_messages(void **state)
{
    (void)state;
    whole(HEAD "  - {name: log, ignore: log}\n"
               "  - {ignore: test}\n"
               "  - {name: up, values: {level: $.l}}\n"
               "  - {name: log, ignore: other}\n"
               "  - {name: log, ignore: join}\n",
          "p:10:12: error: message \"log\" is repeated, first in line 7\n"
          "p:11:12: error: message \"log\" is repeated, first in line 7\n");
}

/* One mistake, one line: what follows from it is not told beside it. */
static void test_told_once(void **state)
{
    (void)state;
    static const char unknown[] = "error: unknown key in ";
    const struct {
        const char *text, *expected;
    } one[] = {
        {HEAD "  - {valeus: {level: $.l}}\n",
         "p:7:6: %sa message \"valeus\", did you mean \"values\"?\n"},
        {HEAD "  - {parts: [{valeus: {level: $.l}}]}\n",
         "p:7:15: %sa part \"valeus\", did you mean \"values\"?\n"},
        {HEAD "  - {values: {level: $.l}}\n"
              "examples: [{topic: up/a, payload: '{}', expct: []}]\n",
         "p:8:41: %san example \"expct\", did you mean \"expect\"?\n"},
        {HEAD "  - {values: {level: $.l}}\n"
              "examples: [{topc: up/a, payload: '{}', ignored: log}]\n",
         "p:8:13: %san example \"topc\", did you mean \"topic\"?\n"},
        {HEAD "  - {values: {level: $.l}}\n"
              "examples: [{topic: up/a, paylod: '{}', ignored: log}]\n",
         "p:8:26: %san example \"paylod\", did you mean \"payload\"?\n"},
        {"verion: 1\nprofile: t\nmessages: [{ignore: log}]\n",
         "p:1:1: %sa profile's file \"verion\", did you mean \"version\"?\n"},
        {"version: 1\nprofle: t\nmessages: [{ignore: log}]\n",
         "p:2:1: %sa profile's file \"profle\", did you mean \"profile\"?\n"},
        {"version: 1\nprofile: t\ntopcis: [\"up/{device}\"]\n"
         "messages: [{values: {level: $.l}}]\n",
         "p:3:1: %sa profile's file \"topcis\", did you mean \"topics\"?\n"},
        {"version: 1\nprofile: t\ntopics: [\"up/{device\"]\n"
         "messages: [{values: {level: $.l}}, {ignore: log, alive: true}]\n",
         "p:3:11: error: topic \"up/{device\": a wildcard or a {capture} must be a whole "
         "level\n"},
        {"version: 1\nprofile: t\nkinds: [sumpp]\ntopics: [\"up/{device}\"]\n"
         "messages: [{values: {level: $.l}}]\n",
         "p:3:9: error: the catalogue has no kind \"sumpp\", did you mean \"sump\"?\n"},
        /* what no kind has is wrong whichever was meant */
        {"version: 1\nprofile: t\nkinds: [sumpp]\ntopics: [\"up/{device}\"]\n"
         "messages: [{values: {levle: $.l}}]\n",
         "p:3:9: error: the catalogue has no kind \"sumpp\", did you mean \"sump\"?\n"
         "p:5:22: error: no kind of the catalogue has a metric \"levle\", did you mean "
         "\"level\"?\n"},
    };
    for (size_t i = 0; i < sizeof(one) / sizeof(*one); i++) {
        const char *at = strstr(one[i].expected, "%s");
        char *expected = at ? mem_printf("%.*s%s%s", (int)(at - one[i].expected),
                                         one[i].expected, unknown, at + 2)
                            : mem_printf("%s", one[i].expected);
        whole(one[i].text, expected);
        free(expected);
    }
}

static void test_paths(void **state)
{
    (void)state;
    message("{values: {level: l}}", "path \"l\": expected $ (the payload)");
    message("{values: {level: $l}}", "there is no document under `also` named \"l\"");
    message("{values: {level: $.}}", "a name is expected after the dot");
    message("{values: {level: \"$.a b\"}}", "expected .name, [3] or [\"any key\"]");
    message("{values: {level: \"$.a[*]\"}}", "[*] and .* are for `each`");
    message("{values: {level: \"$[x]\"}}", "expected [3], [-1] or [\"key\"]");
    message("{values: {level: \"$[-0]\"}}", "[-0] is no place");
    message("{values: {level: '$[\"a'}}", "a quoted key must end in \"]");
    message("{values: {level: '$[\"\\x\"]'}}", "a bad escape in a quoted key");
    message("{values: {level: \"@.l\"}}",
            "@ is the item of `each`, and there is no `each` here");
    message("{each: \"$[*]\", values: {level: \"@^.l\"}}", "not so many levels above");
    message("{each: \"$[*][*][*][*]\", values: {level: \"@\"}}", "more than 3 levels");
    message("{values: {level: $.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a}}", "more than 16 steps");
    message("{values: {level: }}", "\"level\" has no place");
}

static void test_texts(void **state)
{
    (void)state;
    message("{point: \"{$.a\", values: {level: $.l}}", "a { without }");
    message("{point: \"a}\", values: {level: $.l}}", "a } without {");
    message("{point: \"{}\", values: {level: $.l}}", "{} is empty");
    message("{point: \"{$.a|lowr}\", values: {level: $.l}}",
            "unknown filter \"lowr\", did you mean \"lower\"?");
    message("{point: \"{$.a|before:}\", values: {level: $.l}}", "need a text behind the colon");
    message("{point: \"{key}\", values: {level: $.l}}", "there is no such .*");
    message("{point: \"{$.a}{$.a}{$.a}{$.a}{$.a}{$.a}{$.a}{$.a}{$.a}\", values: {level: $.l}}",
            "more than 8 pieces");
    message("{point: \"\", values: {level: $.l}}", "it is empty");
    const char *path = HEAD "  - {point: $.a.b, values: {level: $.l}}\n";
    (void)rig_files(&r, &path, 1); /* a verdict: kept generations may have it */
    assert_string_equal(r.all, "p:7:13: error: text \"$.a.b\": as it stands; the value at that "
                               "path is \"{$.a.b}\"\n");
}

static void test_values(void **state)
{
    (void)state;
    message("{values: {levle: $.l}}",
            "7:15: error: none of the kinds has a metric \"levle\", did you mean \"level\"?");
    message("{values: {mixed: $.l}}",
            "metric \"mixed\" is float in kind sump and int in kind gas: "
            "say which with `kinds`");
    message("{values: {level: {from: $.l, scael: 2}}}",
            "unknown key in a mapping \"scael\", did you mean \"scale\"?");
    message("{values: {level: {scale: 2}}}", "where from?");
    message("{values: {level: {from: $.l, const: 1}}}",
            "expected one of `from`, `text` and `const`");
    message("{values: {level: {from: $.l, unit: kPa}}}",
            "unit \"kPa\" cannot become \"m\", that of metric \"level\" in kind sump\n");
    message(
        "{values: {temperature: {from: $.l, unit: C}}}", /* the coulomb */
        "unit \"C\" cannot become \"Cel\", that of metric \"temperature\" in kind sump, did "
        "you mean \"Cel\"?\n");
    message("{values: {level: {from: $.l, unit: 毫米}}}",
            "unit \"毫米\" is no UCUM code that is known here, did you mean \"mm\"?");
    message("{values: {level: {from: $.l, unit: meter}}}", "unit \"meter\" is no UCUM code");
    message("{values: {level: {from: $.l, unit: zorkmid}}}",
            "that is known here, expected such as mV, Cel, %, mm or kPa");
    message("{device: {sn}, values: {level: $.l}}",
            "a text that has braces must stand in quotes: \"{sn}\"");
    message("{values: {level: {from: $.l[0].x}}}", "stands in quotes");
    message("{values: {level: {from: $.l\uff0cscale: 2}}}", "full-width");
    message("values:\n      level\uff1a{from: $.l}", "are full-width, YAML knows : and ,");
    message("{values: {temperature: {from: $.l, unit: \"℃\"}}}", "did you mean \"Cel\"?");
    message("{values: {level: {from: $.l, scale: x}}}", "scale is \"x\", expected a number");
    message("{values: {level: {from: $.l, divide: 0}}}",
            "divide is 0, expected another number");
    message("{values: {pump_on: {from: $.l, scale: 2}}}",
            "\"scale\" is for float and int metrics, \"pump_on\" is none");
    message("{values: {level: {from: $.l, invert: true}}}", "\"invert\" is for bool metrics");
    message("{values: {state: {from: $.l, map: {1: alrm}}}}",
            "no code of state \"alrm\", did you mean \"alarm\"?");
    message("{values: {pump_on: {from: $.l, map: {1: on}}}}",
            "\"on\", expected true or false for metric \"pump_on\"");
    message("{values: {level: {from: $.l, map: {1: 5, 1: 6}}}}", "\"1\" is repeated");
    message("{values: {level: {from: $.l, default: 5}}}", "default is for `map` only");
    message("{values: {starts: {from: $.l, bits: [7, 4]}}}", "expected the lower one first");
    message("{values: {starts: {from: $.l, bit: 64}}}", "bit 64, expected 0 to 63");
    message("{values: {level: {from: $.l, min: 5, max: 1}}}", "min 5 is above max 1");
    message("{values: {level: {from: $.l, decimal: \"__\"}}}", "the one character");
    message("{values: {level: {from: $.l, kinds: [pump]}}}",
            "the catalogue has no kind \"pump\"");
    message("{values: {level: {from: $.l, unit: {from: $.u}}}}", "unit needs `from`");
    message("{values: {level: $.a, level: $.b}}",
            "metric \"level\" is repeated, first in line 7");
}

static void test_when_and_time(void **state)
{
    (void)state;
    message("{when: {fPort: 1}, ignore: log}", "\"fPort\" in `when`, expected a path");
    message("{when: {$.a: {exist: true}}, ignore: log}",
            "unknown condition \"exist\", did you mean \"exists\"?");
    message("{when: {$.a: {type: int}}, ignore: log}", "type of value \"int\"");
    message("{when: {$.a: 1, $.a: 2}, ignore: log}", "\"$.a\" is repeated");
    message("{when: {topic.x: 1}, ignore: log}", "there is no {x} in the topic");
    message("{when: {payload: {hex_prefix: abc}}, ignore: log}",
            "expected pairs of hex digits");
    message("{when: {any: 5}, ignore: log}", "any: expected a list of conditions");
    message("{when: {sparkplug: dead}, ignore: log}", "did you mean \"death\"?");
    message("{when: {key: a}, ignore: log}", "no .* of `each` is there");
    message("{time: {form: $.t}, values: {level: $.l}}", "did you mean \"from\"?");
    message("{time: {from: $.t, format: sec}, values: {level: $.l}}",
            "time format, expected auto");
    message("{time: {from: $.t, zone: Asia}, values: {level: $.l}}",
            "expected UTC, site or like");
    message("{time: {from: $.t, epoch: x}, values: {level: $.l}}", "expected RFC 3339");
    message(
        "{time: {from: $.t, format: rfc3339, epoch: \"2018-09-10T00:00:00Z\"}, values: {level: "
        "$.l}}",
        "epoch is for the formats s, ms, us and ns");
    message("{time: {from: $.t, add: 1.5}, values: {level: $.l}}", "whole milliseconds");
}

static void test_fields(void **state)
{
    (void)state;
    message("{fields: {names: {a: level}}}", "fields need `in`");
    message("{fields: {in: $.a}}", "fields need `names`");
    message("{pairs: {in: $.a, same: true, name: n}}", "pairs need `value`");
    message("{pairs: {in: $.a, same: true, value: n}}", "pairs need `name`");
    message("{fields: {in: $.a, names: {a: leve}}}", "did you mean \"level\"?");
    message("{fields: {in: $.a, names: {a: {divide: 10}}}}", "\"metric\" is missing");
    message("{fields: {in: $.a, names: {a: level, a: level}}}", "\"a\" is repeated");
    message("{fields: {in: $.a, name: n, same: true}}", "unknown key in fields \"name\"");
    message("{quality: {when: {$.a: 1}}, values: {level: $.l}}", "expected `bad: REASON`");
    message("{quality: {bad: falt}, values: {level: $.l}}",
            "\"falt\", did you mean \"fault\"?");
    message("{quality: {bad: fault, values: [lvl]}, values: {level: $.l}}",
            "none of the kinds has a metric \"lvl\"");
}

static void test_examples(void **state)
{
    (void)state;
#define EXAMPLE(e) HEAD "  - {values: {level: $.l}}\nexamples:\n  - " e "\n"
    whole(EXAMPLE("{topic: up/a, payload: x}"),
          "p:9:5: error: an example needs `expect`, `ignored` or `refused`\n");
    whole(EXAMPLE("{ignored: logs, payload_hex: 0g}"),
          "p:9:5: error: an example needs the `topic` on which it comes\n"
          "p:9:15: error: unknown reason \"logs\", did you mean \"log\"?\n"
          "p:9:34: error: payload_hex: 'g' is no hex digit\n");
    whole(EXAMPLE("{topic: up/a, ignored: log, kind: x, payload: a, payload_base64: YQ==}"),
          "p:9:5: error: an example needs `payload`, `payload_hex` or `payload_base64`\n"
          "p:9:39: error: the catalogue has no kind \"x\"\n");
}

/* What comes out otherwise is told at its place, too. */
static void test_examples_run(void **state)
{
    (void)state;
    rig_open(
        &r, HEAD
        "  - {when: {$.x: 1}, ignore: log}\n"
        "  - {when: {$.x: 2}, refuse: it is two}\n"
        "  - {when: {$.x: {not: 3}}, time: $.t, values: {level: $.l, starts: $.n}}\n"
        "examples:\n"
        "  - {name: a, topic: up/d, payload: '{\"l\":1}', expect: [{device: d, level: 1, "
        "time: received}]}\n"
        "  - {name: b, topic: up/d, payload: '{\"x\":1}', ignored: log}\n"
        "  - {name: c, topic: up/d, payload: '{\"x\":2}', refused: two}\n"
        "  - {name: d, topic: up/d, payload: '{\"l\":9}', expect: [{level: {bad: range, value: "
        "9}}]}\n"
        "  - {name: e, topic: up/d, payload: '{\"l\":1,\"n\":2,\"t\":5}', expect: [{device: e, "
        "level: 2, temperature: 1, time: received}]}\n"
        "  - {name: f, topic: up/d, payload: '{\"x\":1}', expect: []}\n"
        "  - {name: g, topic: up/d, payload: '{\"x\":3}', refused: a}\n"
        "  - {name: h, topic: down/d, payload: '{}', ignored: log}\n"
        "  - {name: i, topic: up/d, payload: '{', ignored: log}\n"
        "  - {name: j, topic: up/d, payload: '{\"l\":9}', expect: [{level: 9}]}\n"
        "  - {topic: up/d, payload: '{\"x\":1}', expect: []}\n");
    struct problems *p = problems_new(100);
    assert_int_equal(profile_check_examples(r.set, NULL, p), -22);
    static const char *const expected[] = {
        "p:15:69: error: example \"e\": device is \"d\", expected \"e\"",
        ("p:15:69: error: example \"e\": time is 1970-01-01T00:00:05.000Z, expected that of "
         "receipt"),
        "p:15:88: error: example \"e\": level is 1, expected 2",
        "p:15:69: error: example \"e\": starts came out, too: 2",
        "p:15:104: error: example \"e\": temperature did not come out",
        "p:16:5: error: example \"f\": ignored log, expected samples",
        "p:17:5: error: example \"g\": no message of the profile fits, expected refused: a",
        "p:18:5: error: example \"h\": topic \"down/d\" fits none of the profile's topics",
        "p:19:5: error: example \"i\": refused (bad_json: not JSON), expected ignored log",
        "p:20:65: error: example \"j\": level is bad{range} (value 9), expected good",
        "p:21:5: error: this example: ignored log, expected samples"};
    for (size_t i = 0; i < problems_count(p); i++)
        assert_string_equal(problems_get(p, i), i < 11 ? expected[i] : "");
    assert_int_equal(problems_count(p), 11);
    problems_free(p);
}

#define TEN_NUMBERS  "{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}"
#define MANY_NUMBERS TEN_NUMBERS TEN_NUMBERS
#define TEN_ONES     "1111111111"

/* What follows "decode:" in the message, whose next lines are given; what is warned of. */
static void reaches(const char *message, const char *expected)
{
    char *text = mem_printf(
        "version: 1\nprofile: t\nkinds: [sump, gas]\ntopics: [\"up/{dev}\"]\ndevice: "
        "\"{dev}\"\ncodecs:\n  tl: {tlv: {key: [u8], unknown: stop, items: [\n    {key: [1], "
        "name: level, type: u8, bits: {low: 0, rest: [1, 7]}},\n    {key: [2], name: hist, "
        "list: true, fields: [{name: v, type: u8}, {name: t, type: u8}]},\n    {key: [3], "
        "name: \"n{0}0\", type: u8}, {key: [4], name: \"z" MANY_NUMBERS "\", type: u8}, {key: "
        "[\"*\"], name: \"ch{0}\", type: u8}]}}\n  st: "
        "{struct: [{name: kind, type: u8}, {switch: kind, "
        "cases: {1: [{name: one, type: u8}], 2: [{name: two, fields: [{name: in, type: "
        "u8}]}]}}, {name: all, repeat: rest, fields: [{name: x, type: u8}]}, {decode: tl, "
        "bytes: rest}]}\n  pt: {pattern: \"{name:4},{_},{value}\"}\n  cs: {csv: {names: [a, "
        "null, c]}}\n  mb: {modbus: {registers: [{at: 0, name: r, type: u16be}]}}\nmessages:\n "
        " - name: m\n%s",
        message);
    const char *p = text;
    bool good = rig_files(&r, &p, 1);
    if (!good || strcmp(r.all, expected) != 0) {
        print_error("%s\n%s\nexpected: %s\n", message, r.all, expected);
        fail();
    }
    free(text);
}

static void test_what_codecs_never_give(void **state)
{
    (void)state;
    reaches(
        "    decode: tl\n    values: {level: $.level, starts: $.rest, temperature: $.ch12}\n",
        "");
    reaches("    decode: tl\n    values: {level: $.level}\n  - name: n\n    decode: text\n"
            "    ignore: log\n  - name: o\n    decode: text\n    when: {payload: \"on\"}\n"
            "    values: {level: {const: 1}}\ntime: [{from: $.rest}]\n",
            ""); /* what is the profile's some of its messages may lack */
    reaches("    decode: tl\n    values: {level: $.n30}\n",
            ""); /* {0}, and a digit of its own */
    reaches("    decode: tl\n    values: {level: $.z" TEN_ONES TEN_ONES TEN_ONES "}\n", "");
    reaches("    decode: tl\n    values: {level: $.z" TEN_ONES TEN_ONES TEN_ONES TEN_ONES
            "x}\n", /* without trying each way to share the digits out */
            "p:18:21: warning: its codec never gives \"z" TEN_ONES TEN_ONES TEN_ONES TEN_ONES
            "x\", nothing comes of it\n");
    reaches("    decode: tl\n    values: {level: $._unknown, starts: \"$.hist[0].t\"}\n", "");
    reaches("    decode: tl\n    values: {level: $.levl}\n",
            "p:18:21: warning: its codec never gives \"levl\", nothing comes of it; did you "
            "mean \"level\"?\n");
    reaches("    decode: tl\n    values: {level: $.level.deep, starts: $.chx}\n",
            "p:18:21: warning: its codec never gives \"deep\", nothing comes of it\np:18:43: "
            "warning: its codec never gives \"chx\", nothing comes of it\n");
    reaches("    decode: tl\n    each: \"$.hist[*]\"\n    values: {level: \"@.v\", starts: "
            "\"@.w\"}\n",
            "p:19:37: warning: its codec never gives \"w\", nothing comes of it\n");
    reaches("    decode: tl\n    values: {level: \"$.level[0]\"}\n",
            "p:18:22: warning: its codec never gives a list there, nothing comes of it\n");
    reaches("    decode: tl\n    fields: {in: $, names: {level: level, lvl: starts}}\n",
            "p:18:43: warning: its codec never gives \"lvl\", nothing comes of it; did you "
            "mean \"low\"?\n");
    reaches("    decode: [hex, st]\n    values: {level: $.kind, starts: $.one, temperature: "
            "$.two.in}\n",
            "");
    reaches("    decode: st\n    values: {level: $.ch3, starts: \"$.all[1].x\", temperature: "
            "$.two.out}\n",
            "p:18:63: warning: its codec never gives \"out\", nothing comes of it\n");
    reaches("    also: {f: {from: $.data, decode: [base64, mb]}}\n    values: {level: $f.r, "
            "starts: $f.unit, temperature: $f.q}\n",
            "p:18:57: warning: its codec never gives \"q\", nothing comes of it\n");
    reaches("    decode: pt\n    values: {level: $.value, starts: $._}\n",
            "p:18:38: warning: its codec never gives \"_\", nothing comes of it\n");
    reaches("    decode: cs\n    values: {level: $.a, starts: $.4, temperature: $.b}\n",
            "p:18:52: warning: its codec never gives \"b\", nothing comes of it\n");
    reaches("    decode: csv\n    values: {level: \"$[2]\", starts: $.a}\n",
            "p:18:37: warning: its codec never gives \"a\", nothing comes of it\n");
    reaches("    decode: text\n    values: {firmware: $, level: $.x}\n",
            "p:18:34: warning: its codec never gives \"x\", nothing comes of it\n");
    reaches("    decode: cbor\n    values: {level: $.whatever}\n", "");
    reaches("    values: {level: \"$.whatever[3].deep\"}\n", "");
}

static int setup(void **state)
{
    (void)state;
    rig_init(&r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_typographic_quotes),
        cmocka_unit_test(test_kinds_and_topics),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_names_of_messages),
        cmocka_unit_test(test_told_once),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_when_and_time),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_examples_run),
        cmocka_unit_test(test_what_codecs_never_give),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
