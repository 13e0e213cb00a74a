/* SPDX-License-Identifier: Apache-2.0 */
/* What each word of the profile language does. Mistakes in profiles: test_profile_errors.c. */
#include "profile_rig.h"

static struct rig r;

#define SAYS(payload, expected) assert_string_equal(rig_say(&r, payload), expected)

static void test_paths(void **state)
{
    (void)state;
    rig_message(&r, "    values:\n"
                    "      level: $.a.b\n"
                    "      temperature: $.list[1]\n"
                    "      starts: $.list[-1]\n"
                    "      firmware: '$[\"a key: \\\"x\\\" $.\\u00e9\"]'\n"
                    "      mixed: {from: \"$.a.c.d[0].e\", kinds: [sump]}\n");
    SAYS("{\"a\":{\"b\":1.5,\"c\":{\"d\":[{\"e\":7}]}},\"list\":[1,2,3],"
         "\"a key: \\\"x\\\" $.\xc3\xa9\":\"v1\"}",
         "d1 level=1.5 temperature=2 starts=3 firmware='v1' mixed=7");
    SAYS("{\"a\":{\"b\":null},\"list\":[],\"x\":1}", "d1");
    SAYS("{\"a\":[],\"list\":{\"1\":2}}", "d1");
    SAYS("[1,2]", "d1");
    SAYS("{\"a\":{\"b\":1,\"b\":2}}", "d1 level=1"); /* said twice: the first stands */
    SAYS("{\"list\":[5]}", "d1 starts=5");
    SAYS("{\"a\":", "bad_json: not JSON");
}

static void test_texts(void **state)
{
    (void)state;
    rig_open(&r, "version: 1\nprofile: t\nkinds: [sump]\ntopics: [\"up/{dev}\"]\nmessages:\n"
                 "  - device: \"{dev}-{$.n}/{$.eui|base64hex}\"\n"
                 "    point: [\"{$.absent}\", \"{$.p|after:_|before:.|upper}\", fixed]\n"
                 "    id: \"{$.id}\"\n"
                 "    compound: \"{$.c|hexlower}{{x}}\"\n"
                 "    values: {level: $.l}\n");
    SAYS("{\"n\":7,\"eui\":\"AgMEBQ==\",\"p\":\"a_bc.d\",\"c\":\"A1-b2:C3\",\"l\":1,\"id\":9}",
         "d1-7/02030405#BC in a1b2c3{x} id level=1");
    SAYS("{\"n\":-2.5,\"eui\":\"-_8\",\"p\":\"none\",\"l\":1}", "d1--2.5/fbff#fixed level=1");
    SAYS("{\"n\":1,\"l\":1}", "no_device: message \"\" does not name its device");
    SAYS("{\"n\":\"\",\"eui\":\"AA\",\"l\":1}",
         "no_device: message \"\" does not name its device");
    SAYS("{\"n\":1,\"eui\":\"A\",\"l\":1}", "no_device: message \"\" does not name its device");
}

static void test_numbers(void **state)
{
    (void)state;
    rig_message(&r, "    values:\n"
                    "      level: {from: $.l, decimal: \"_\"}\n"
                    "      temperature: {from: $.t, divide: 10, offset: -40}\n"
                    "      starts: $.n\n"
                    "      mixed: {from: $.m, scale: 0.1, kinds: [sump]}\n");
    SAYS("{\"l\":\"0_02\",\"t\":651,\"n\":9007199254740993,\"m\":219}",
         "d1 level=0.02 temperature=25.1 starts=9007199254740993 mixed=21.9");
    SAYS("{\"l\":\"+1_90\",\"t\":\" 0651 \",\"n\":\"071\",\"m\":\"+27.9\"}",
         "d1 level=1.9 temperature=25.1 starts=71 mixed=2.79");
    SAYS("{\"l\":\"\",\"t\":null,\"n\":\"9007199254740993\",\"m\":\"x\"}",
         "d1 starts=9007199254740993 mixed_raw='x'!type");
    SAYS("{\"l\":\"--1\",\"n\":1.5}", "d1 level_raw='--1'!type starts_raw='1.5'!type");
    SAYS("{\"l\":\"-_5\",\"t\":\".5\",\"m\":\"5.\"}",
         "d1 level=-0.5!range temperature=-39.95 mixed=0.5");
    SAYS("{\"l\":\"_\",\"t\":\".\",\"m\":\".e5\"}",
         "d1 level_raw='_'!type temperature_raw='.'!type mixed_raw='.e5'!type");
}

/* What has decimals is as exact as what has none. */
static void test_decimals(void **state)
{
    (void)state;
    rig_message(&r, "    values:\n"
                    "      starts: {from: $.n, scale: 3600}\n"
                    "      temperature: {from: $.t, scale: 100, offset: -50}\n"
                    "      mixed: {from: $.m, scale: 100, kinds: [sump]}\n");
    SAYS("{\"n\":1.1,\"t\":0.57,\"m\":0.29}", "d1 starts=3960 temperature=7 mixed=29");
    SAYS("{\"n\":\"0.07\",\"t\":-0.5e-5}", "d1 starts=252 temperature=-50.0005!range");
    SAYS("{\"m\":0.3333333333333333}", "d1 mixed=33.33333333333333");
}

static void test_units(void **state)
{
    (void)state;
    rig_message(&r,
                "    values:\n"
                "      level: {from: $.l, scale: 0.1, unit: mm, min: 0, max: 900}\n"
                "      temperature: {from: $.t, unit: {from: $.u, map: {C: Cel, F: \"[degF]\", "
                "K: K}}}\n"
                "      battery_v: {from: $.b, unit: mV}\n");
    SAYS("{\"l\":830,\"t\":65,\"u\":\"F\",\"b\":3644}",
         "d1 level=0.083 temperature=18.333333333333332 ?battery_v");
    SAYS("{\"l\":\"8300\",\"t\":300.15,\"u\":\"K\"}", "d1 level=0.83 temperature=27");
    SAYS("{\"l\":9300,\"t\":21.5,\"u\":\"C\"}", "d1 level=0.93!range temperature=21.5");
    SAYS("{\"t\":21.5,\"u\":\"X\"}", "d1 temperature=21.5!other");
    rig_message(&r, "    values:\n"
                    "      uptime: {from: $.up, unit: ms}\n"
                    "      starts: {from: $.n, scale: 0.1}\n");
    SAYS("{\"up\":93784250,\"n\":30}", "d1 uptime=93784 starts=3"); /* whole in its own unit */
    SAYS("{\"up\":-93784250,\"n\":31}", "d1 uptime=-93784!range starts_raw='3.1'!type");
    rig_message(&r, "    values: {uptime: {from: $.up, parse: duration}}\n");
    SAYS("{\"up\":\"1T02:03:04.5\"}", "d1 uptime=93784");
    rig_message(
        &r, "    when: {$.id: [0x8000000000000001, 9223372036854775811]}\n"
            "    values: {state: {from: $.s, map: {0x8000000000000001: normal, 1: alarm}}}\n");
    SAYS("{\"id\":9223372036854775809,\"s\":1}", "d1 state='alarm'"); /* 64 bits, exactly */
    SAYS("{\"id\":9223372036854775811,\"s\":1}", "d1 state='alarm'");
    SAYS("{\"id\":9223372036854775810,\"s\":1}", "not mine");
    SAYS("{\"id\":9223372036854775811,\"s\":9223372036854775810}",
         "d1 state_raw='9223372036854775808'!enum");
    rig_message(&r, "    values:\n"
                    "      level: {from: $.l, scale: 0.1, unit: mm, min: 0, max: 900}\n"
                    "      temperature: {from: $.t, unit: Cel}\n"
                    "      battery_v: {from: $.b, unit: mV}\n");
    r.kind = "gas"; /* its level is in centimetres */
    SAYS("{\"l\":830,\"t\":65,\"b\":3644}", "d1 level=8.3 ?temperature battery_v=3.644");
    r.kind = "sump";
}

static void test_codes(void **state)
{
    (void)state;
    rig_message(&r,
                "    values:\n"
                "      state: {from: $.s, map: {1: alarm, \"on\": normal, 7: muted, 9: null}}\n"
                "      pump_on: {from: $.p, map: {5: true, \"37\": true}, default: false}\n"
                "      open: {from: $.contact, invert: true}\n"
                "      starts: {from: $.bits, bits: [4, 7]}\n"
                "      firmware: {from: $.f, before: \" \", after: \"v\"}\n"
                "      mixed: {const: 5, kinds: [sump]}\n");
    SAYS("{\"s\":1,\"p\":\"37\",\"contact\":true,\"bits\":165,\"f\":\"fw v2.1 x\"}",
         "d1 state='alarm' pump_on=true open=false starts=10 firmware='2.1' mixed=5");
    SAYS("{\"s\":\"1\",\"p\":37,\"contact\":\"OFF\",\"bits\":\"0\",\"f\":\"none\"}",
         "d1 state='alarm' pump_on=true open=true starts=0 mixed=5");
    SAYS("{\"s\":3,\"p\":0,\"contact\":0}", "d1 state_raw='3'!enum pump_on=false open=true "
                                            "mixed=5");
    SAYS("{\"s\":7,\"contact\":7}", "d1 state_raw='muted'!enum open_raw='7'!type mixed=5");
    SAYS("{\"s\":9}", "d1 mixed=5");
    SAYS("{\"contact\":1.0}", "d1 open=false mixed=5"); /* as Lua prints it */
    SAYS("{\"contact\":0.0}", "d1 open=true mixed=5");
}

static void test_bad(void **state)
{
    (void)state;
    rig_message(
        &r,
        "    values:\n"
        "      level: {from: $.l, divide: 10, sentinels: [65535, \"No Sensor\"], fault: "
        "[\"err\"], absent: [\"-\", undefined]}\n"
        "      temperature: $.t\n"
        "      pump_on: $.p\n"
        "    quality:\n"
        "      - {when: {$.f: {bit: 2}}, bad: fault, values: [temperature]}\n"
        "      - {when: {$.p: 1, $.t: {max: 0}}, uncertain: disagree, values: [pump_on]}\n");
    SAYS("{\"l\":65535,\"t\":20,\"f\":4}", "d1 level=65535!sentinel temperature=20!fault");
    SAYS("{\"l\":\"No Sensor\",\"f\":3}", "d1 level_raw='No Sensor'!sentinel");
    SAYS("{\"l\":\"err\"}", "d1 level_raw='err'!fault");
    SAYS("{\"l\":\"undefined\",\"t\":-1,\"p\":1}", "d1 temperature=-1 pump_on=true?disagree");
    SAYS("{\"l\":\"-\",\"t\":{\"v\":1}}", "d1 temperature_raw='{…}'!type");
    SAYS("{\"l\":51,\"t\":200}", "d1 level=5.1!range temperature=200!range");
}

/* What 64 bits of ones are written as, and the greatest with a sign. */
static void test_long_sentinels(void **state)
{
    (void)state;
    rig_message(&r,
                "    values:\n"
                "      starts: {from: $.n, sentinels: [0x7fffffffffffffff, "
                "0xFFFFFFFFFFFFFFFF]}\n"
                "      mixed: {from: $.m, sentinels: [0xffffffffffffffff], kinds: [sump]}\n");
    SAYS("{\"n\":9223372036854775807}", "d1 starts=9223372036854775807!sentinel");
    SAYS("{\"n\":9223372036854775806}", "d1 starts=9223372036854775806");
    assert_non_null(strstr(rig_say(&r, "{\"m\":18446744073709551615}"), "!sentinel"));
    assert_null(strstr(rig_say(&r, "{\"m\":9223372036854775807}"), "!sentinel"));
}

/* Numbers of the profile are written with a point, whatever the device writes. */
static void test_bad_with_another_point(void **state)
{
    (void)state;
    rig_message(&r, "    values:\n"
                    "      temperature: {from: $.t, decimal: \",\", sentinels: [-9.9], fault: "
                    "[12.5]}\n"
                    "      state: {from: $.s, decimal: \",\", map: {0.5: alarm}}\n");
    SAYS("{\"t\":\"-9,9\"}", "d1 temperature_raw='-9,9'!sentinel");
    SAYS("{\"t\":\"-9,90\"}", "d1 temperature_raw='-9,90'!sentinel");
    SAYS("{\"t\":\"12,5\"}", "d1 temperature_raw='12,5'!fault");
    SAYS("{\"t\":\"9,9\",\"s\":\"0,5\"}", "d1 temperature=9.9 state='alarm'");
}

/* Who compares a frame with the vendor's document needs both sums, and of which bytes. */
static void test_sums_that_do_not_agree(void **state)
{
    (void)state;
    rig_open(&r, "version: 1\nprofile: t\ntopics: [\"up/{dev}\"]\ndevice: \"{dev}\"\n"
                 "also:\n"
                 "  f: {from: $.f, decode: [hex, {frame: {head: \"aa55\", checksum: sum8}}, "
                 "{struct: [{name: l, type: u8}]}]}\n"
                 "  c: {from: $.c, decode: [hex, {struct: [{name: l, type: u8}, "
                 "{name: s, type: u16be, checksum: crc16-modbus, over: [0, here]}]}]}\n"
                 "  m: {from: $.m, decode: [hex, {modbus: {crc: true, registers: [{name: l, "
                 "type: u16be}]}}]}\n"
                 "messages:\n  - values: {level: [$f.l, $c.l, $m.l]}\n");
    SAYS("{\"f\":\"aa550303\"}", "d1 level=3");
    SAYS("{\"f\":\"aa550302\"}", "bad_checksum: document $f: the check sum does not agree (at "
                                 "byte 3 of step 2): 0x02 stands "
                                 "there, sum8 of bytes 2 to 2 is 0x03");
    SAYS("{\"c\":\"030000\"}",
         "bad_checksum: document $c: s: check sum does not agree (at byte 1 "
         "of step 2): 0x0000 stands "
         "there, crc16-modbus of bytes 0 to 0 is 0x41FF");
    SAYS(
        "{\"m\":\"01030200050001\"}",
        "bad_checksum: document $m: the check sum does not agree (at byte 5 of step 2): 0x0100 "
        "stands there, crc16-modbus of bytes 0 to 4 is 0x4778");
}

static void test_when(void **state)
{
    (void)state;
    rig_open(&r,
             "version: 1\nprofile: t\ntopics: [\"up/{dev}\"]\ndevice: \"{dev}\"\nmessages:\n"
             "  - {when: {payload: {hex_prefix: \"4040\", length: 3}}, ignore: heartbeat, "
             "alive: true}\n"
             "  - {when: {payload: [Online, offline]}, ignore: status}\n"
             "  - {when: {$.type: {exists: false}}, refuse: no type}\n"
             "  - {when: {$.type: 5}, ignore: log}\n"
             "  - {when: {$.type: \"6\"}, ignore: join}\n"
             "  - {when: {$.type: [a, b], topic.dev: {prefix: d}}, ignore: birth}\n"
             "  - {when: {$.type: {min: 10, max: 19, not: [11, 12]}}, ignore: config}\n"
             "  - {when: {$.type: {type: [object, array]}}, ignore: test}\n"
             "  - {when: {$.type: null}, ignore: empty}\n"
             "  - {when: {$.type: {contains: xy, length: 4}}, ignore: simulated}\n"
             "  - {when: {any: [{$.type: 20}, {$.type: 21, $.y: true}], $.z: {not: 1}}, "
             "ignore: reply}\n"
             "  - {when: {$.type: {bit: 7}}, ignore: downlink}\n");
    SAYS("@@x", "ignored heartbeat alive d1");
    SAYS("offline", "ignored status");
    SAYS("{}", "refused: no type");
    SAYS("{\"type\":5.0}", "ignored log");
    SAYS("{\"type\":\"05\"}", "ignored log");
    SAYS("{\"type\":6}", "ignored join");
    SAYS("{\"type\":\"6\"}", "ignored join");
    SAYS("{\"type\":\"6.0\"}", "not mine");
    SAYS("{\"type\":\"b\"}", "ignored birth");
    SAYS("{\"type\":\"13\"}", "ignored config");
    SAYS("{\"type\":11}", "not mine");
    SAYS("{\"type\":[]}", "ignored test");
    SAYS("{\"type\":\"axyb\"}", "ignored simulated");
    SAYS("{\"type\":20}", "ignored reply");
    SAYS("{\"type\":20,\"z\":1}", "not mine");
    SAYS("{\"type\":21}", "not mine");
    SAYS("{\"type\":21,\"y\":true}", "ignored reply");
    SAYS("{\"type\":128}", "ignored downlink");
    SAYS("{\"type\":128.0}", "ignored downlink");
    SAYS("{\"type\":\"128.0\"}", "ignored downlink");
    SAYS("{\"type\":9223372036854775936}", "ignored downlink"); /* 2^63 + 2^7 */
    SAYS("{\"type\":128.5}", "not mine");
    SAYS("garbage", "bad_json: not JSON");
    assert_string_equal(rig_bytes(&r, "up/x", "{\"type\":\"b\"}", 12), "not mine");
}

/* What is null is one of `not: [null, 0]`, as it is one of `[null, 0]`. */
static void test_not_null(void **state)
{
    (void)state;
    rig_message(&r, "    values: {level: $.l}\n"
                    "    quality: {when: {$.e: {not: [null, 0]}}, bad: fault}\n");
    SAYS("{\"l\":1,\"e\":null}", "d1 level=1");
    SAYS("{\"l\":1,\"e\":0}", "d1 level=1");
    SAYS("{\"l\":1,\"e\":7}", "d1 level=1!fault");
    SAYS("{\"l\":1}", "d1 level=1!fault"); /* absent: holds */
}

/* A document within one that cannot be read cannot be read either: it is not absent. */
static void test_conditions_on_broken(void **state)
{
    (void)state;
    rig_open(&r,
             "version: 1\nprofile: t\nkinds: [sump]\ntopics: [\"up/{dev}\"]\n"
             "device: \"{dev}\"\nalso: {f: {from: $.data, decode: json}, g: {from: $f.more, "
             "decode: json}}\nmessages:\n"
             "  - {when: {$f.l: {exists: false}}, ignore: heartbeat}\n"
             "  - {when: {$g.type: {not: 1}}, ignore: log}\n"
             "  - {values: {level: $f.l}}\n");
    SAYS("{}", "ignored heartbeat");
    SAYS("{\"data\":{\"l\":1}}", "ignored log");
    SAYS("{\"data\":{\"l\":1,\"more\":{\"type\":1}}}", "d1 level=1");
    SAYS("{\"data\":", "bad_json: not JSON");
    assert_non_null(strstr(rig_say(&r, "{\"data\":\"{\"}"), "bad_payload: document $f: "));
}

static void test_each(void **state)
{
    (void)state;
    rig_open(&r, "version: 1\nprofile: t\ntopics: [\"up/{gw}\"]\nmessages:\n"
                 "  - when: {$.kids: {exists: true}}\n"
                 "    each: $.kids.*[*].values\n"
                 "    device: \"{gw}/{key}\"\n"
                 "    point: \"{@^.p}\"\n"
                 "    time: \"@^.ts\"\n"
                 "    values: {level: \"@.l\", temperature: $.t}\n"
                 "  - when: {$.list: {exists: true}}\n"
                 "    each: $.list[*]\n"
                 "    device: \"{@.d}\"\n"
                 "    parts:\n"
                 "      - {values: {level: \"@.l\"}}\n"
                 "      - {when: {\"@.t\": {exists: true}}, point: b, values: {temperature: "
                 "\"@.t\"}}\n");
    SAYS("{\"t\":5,\"kids\":{\"a\":[{\"ts\":1767225600,\"p\":1,\"values\":{\"l\":1}},"
         "{\"ts\":1767225601,\"values\":{\"l\":2}}],\"b "
         "c\":[{\"values\":{\"l\":3}},{\"x\":1}]}}",
         "d1/a#1 2026-01-01T00:00:00.000Z~ level=1 temperature=5 | "
         "d1/a 2026-01-01T00:00:01.000Z~ level=2 temperature=5 | "
         "d1/b c level=3 temperature=5");
    SAYS("{\"list\":[{\"d\":\"x\",\"l\":1,\"t\":2},{\"d\":\"y\"},{\"l\":4}]}",
         "x level=1 |  level=4 | x#b temperature=2");
    SAYS("{\"list\":[]}", "ignored empty");
    SAYS("{\"list\":[{\"d\":\"y\"}]}", "y");
    SAYS("{\"list\":[{\"l\":1}]}", "no_device: message \"\" does not name its device");
}

static void test_fields(void **state)
{
    (void)state;
    rig_message(&r, "    time: $.ts\n"
                    "    fields:\n"
                    "      - in: $.a\n"
                    "        names:\n"
                    "          L: level\n"
                    "          skip: null\n"
                    "          status: [{metric: pump_on, bit: 0}, {metric: open, bit: 1}]\n"
                    "          T: {metric: temperature, divide: 10}\n"
                    "      - {in: $.b, same: true, prefix: s_, names: {fw: firmware}}\n"
                    "      - {in: $.c, value: value, time: time, same: true}\n");
    SAYS("{\"a\":{\"L\":1,\"skip\":2,\"status\":2,\"T\":219,\"other\":1,\"more\":{}}}",
         "d1 level=1 pump_on=false open=true temperature=21.9 unknown 2: other more");
    SAYS("{\"b\":{\"level\":9,\"s_level\":1,\"s_fw\":3,\"s_nothing\":4}}",
         "d1 level=1 firmware='3' ?nothing");
    SAYS("{\"ts\":1767225600000,\"c\":{\"level\":{\"value\":1,\"time\":1767225601000},"
         "\"temperature\":2,\"starts\":{\"value\":3,\"time\":1767225601000},\"open\":{"
         "\"value\":null},"
         "\"mixed\":{\"value\":4,\"time\":1767225602000}}}",
         "d1 2026-01-01T00:00:01.000Z level=1 starts=3 | "
         "d1 2026-01-01T00:00:00.000Z temperature=2 | d1 2026-01-01T00:00:02.000Z mixed=4");
}

static void test_pairs(void **state)
{
    (void)state;
    rig_message(&r, "    pairs:\n"
                    "      in: $.list\n"
                    "      name: n\n"
                    "      value: [v, w]\n"
                    "      time: t\n"
                    "      error: e\n"
                    "      ok: [200]\n"
                    "      same: true\n"
                    "      names: {7: temperature, fw: firmware}\n"
                    "      quality: {when: {\"@.q\": N}, bad: other}\n");
    SAYS("{\"list\":[{\"n\":\"level\",\"v\":1,\"e\":200},{\"n\":7,\"w\":20,\"q\":\"N\"},{\"v\":"
         "1},"
         "{\"n\":\"starts\",\"v\":3,\"e\":1}]}",
         "d1 level=1 temperature=20!other starts=3!fault");
    SAYS("{\"list\":[{\"n\":\"level\",\"e\":2014},{\"n\":\"fw\",\"v\":\"1\",\"t\":1767225600},"
         "{\"n\":\"level\",\"v\":2,\"e\":0}]}",
         "d1 level=2014!fault level=2 | d1 2026-01-01T00:00:00.000Z~ firmware='1'");
    SAYS(
        "{\"list\":[{\"n\":\"level\",\"v\":1,\"e\":0.0},{\"n\":\"starts\",\"v\":3,\"e\":0.5}]}",
        "d1 level=1 starts=3!fault");
    SAYS("{\"list\":{}}", "d1");
}

static void test_alternatives(void **state)
{
    (void)state;
    rig_message(
        &r, "    values:\n"
            "      level: [{from: $.mm, unit: mm}, {from: $.cm, unit: cm, when: {$.ok: true}}, "
            "$.m]\n"
            "      temperature: {from: [$.t.value, $.t]}\n"
            "      starts: [{from: $.n, kinds: [sump]}]\n"
            "      firmware: {text: \"{$.a}.{$.b}\"}\n");
    SAYS("{\"mm\":1500,\"cm\":1}", "d1 level=1.5");
    SAYS("{\"cm\":10,\"m\":3}", "d1 level=3");
    SAYS("{\"cm\":10,\"m\":3,\"ok\":true,\"t\":5,\"a\":1,\"b\":2}",
         "d1 level=0.1 temperature=5 firmware='1.2'");
    SAYS("{\"t\":{\"value\":6},\"a\":1}", "d1 temperature=6");
    SAYS("{\"t\":{\"other\":6}}", "d1");
    SAYS("{\"n\":6}", "d1 starts=6");
}

static void test_also(void **state)
{
    (void)state;
    rig_message(&r,
                "    also:\n"
                "      frame: {from: $.data, decode: [base64, {struct: [{name: t, type: i16be, "
                "divide: 10}]}]}\n"
                "      inner: {from: $.json, decode: json}\n"
                "      deep: {from: $inner.json, decode: json}\n"
                "    values:\n"
                "      temperature: $frame.t\n"
                "      level: $inner.level\n"
                "      starts: $deep.n\n");
    SAYS("{\"data\":\"ANs=\"}", "d1 temperature=21.9");
    SAYS("{\"data\":\"\",\"json\":{\"level\":1}}", "d1 level=1");
    SAYS("{\"json\":\"{\\\"level\\\":2,\\\"json\\\":\\\"{\\\\\\\"n\\\\\\\":3}\\\"}\"}",
         "d1 level=2 starts=3");
    SAYS("{\"data\":null}", "d1");
    assert_non_null(strstr(rig_say(&r, "{\"data\":\"AN\"}"), "bad_payload: document $frame: "));
    assert_non_null(strstr(rig_say(&r, "{\"json\":\"{\"}"), "bad_payload: document $inner: "));
    assert_non_null(strstr(rig_say(&r, "{\"data\":[1]}"), "bad_payload: document $frame: "));
}

static void test_items_documents(void **state)
{
    (void)state;
    rig_message(&r, "    also: {x: {from: \"@.j\", decode: json}}\n"
                    "    each: $.list[*]\n"
                    "    values: {level: $x.l}\n");
    SAYS(
        "{\"list\":[{\"j\":\"{\\\"l\\\":1}\"},{\"j\":\"{\\\"l\\\":2}\"},{\"j\":{\"l\":3}},{}]}",
        "d1 level=1 | d1 level=2 | d1 level=3");
}

/* The values of all documents live until the message's end: their number has a ceiling, and none
 * is read twice because another one was broken. */
static void test_documents_ceiling(void **state)
{
    (void)state;
    rig_message(
        &r, "    also: {x: {from: \"@.h\", decode: [hex, {struct: [{name: l, type: u8}]}]}}\n"
            "    each: $.list[*]\n"
            "    values: {level: $x.l}\n");
    for (unsigned n = 255; n <= 257; n++) {
        char text[257 * 12 + 20] = "{\"list\":[";
        size_t at = strlen(text);
        for (unsigned i = 0; i < n; i++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s{\"h\":\"01\"}",
                                   i ? "," : "");
        snprintf(text + at, sizeof(text) - at, "]}");
        const char *said = rig_say(&r, text);
        if (n > 256)
            assert_string_equal(
                said, "bad_payload: document $x: more than 256 documents in one message");
        else
            assert_int_equal(r.out.n_samples, n);
    }
    SAYS("{\"list\":[{\"h\":\"02\"}]}", "d1 level=2");
    SAYS("{\"list\":[{\"h\":\"zz\"},{\"h\":\"01\"}]}",
         "bad_payload: document $x: not hexadecimal (at byte 0 of step 1)");
    rig_message(
        &r,
        "    also: {bad: {from: $.bad, decode: hex}, a: {from: $.h, decode: [hex, number]},\n"
        "      b: {from: $.h, decode: [hex, number]}, c: {from: $.h, decode: [hex, number]},\n"
        "      d: {from: $.h, decode: [hex, number]}, e: {from: $.h, decode: [hex, number]}}\n"
        "    when: {any: [{$a: 9}, {$b: 9}, {$c: 9}, {$d: 9}, {$e: 9}, {$bad: 1}]}\n"
        "    ignore: log\n"
        "  - values: {level: [$x.none, $.l]}\n"
        "    also: {x: {from: $.h, decode: [hex, number]}}\n");
    SAYS("{\"h\":\"31\",\"bad\":\"zz\",\"l\":3}", "d1 level=3");
}

static void test_doc_fallback(void **state)
{
    (void)state;
    rig_open(&r,
             "version: 1\nprofile: t\ntopics: [\"up/{dev}\"]\ndevice: \"{dev}\"\nmessages:\n"
             "  - {when: {$.a: 1}, ignore: log}\n"
             "  - {decode: text, when: {$: {prefix: hello}}, ignore: heartbeat}\n"
             "  - {name: last, when: {topic.dev: d2}, values: {level: $.l}}\n");
    SAYS("{\"a\":1}", "ignored log");
    SAYS("hello there", "ignored heartbeat");
    SAYS("what", "bad_json: not JSON");
    assert_string_equal(rig_bytes(&r, "up/d2", "what", 4), "bad_json: not JSON");
    assert_string_equal(rig_bytes(&r, "up/d2", "{\"l\":1}", 7), "d2 level=1");
}

static void test_topics(void **state)
{
    (void)state;
    rig_open(
        &r,
        "version: 1\nprofile: t\ntopics: [\"tele/{compound}/{device}/#\"]\nmessages:\n"
        "  - {topic: \"{x}/{device}/STATE\", ignore: status, alive: true}\n"
        "  - {topic: \"{device}/{chan}/SENSOR\", point: \"{chan}\", values: {level: $.l}}\n");
    assert_string_equal(rig_bytes(&r, "tele/c1/d9/STATE", "x", 1), "ignored status alive d9");
    assert_string_equal(rig_bytes(&r, "tele/c1/d9/2/SENSOR", "{\"l\":1}", 7),
                        "d9#2 in c1 level=1");
    assert_string_equal(rig_bytes(&r, "tele/c1/d9/x", "{}", 2), "not mine");
    struct topic_pattern *t;
    const char *why;
    const struct profile *p = profile_set_at(r.set, 0);
    assert_int_equal(topic_compile("site/+/{device}/#", &t, &why), 0);
    assert_string_equal(profile_missing_capture(p, t), "compound");
    topic_free(t);
    assert_int_equal(topic_compile("site/{compound}/#", &t, &why), 0);
    assert_null(profile_missing_capture(p, t)); /* device: the messages' own */
    topic_free(t);
}

static void test_trace(void **state)
{
    (void)state;
    struct profile_trace t;
    rig_message(&r, "    each: $.list.*[*]\n"
                    "    fields: {in: \"@.values\", same: true, value: v}\n"
                    "    values: {level: \"@.l\", starts: {const: 1}}\n");
    profile_run_trace(r.run, true);
    SAYS("{\"list\":{\"a b\":[{\"l\":1},{\"l\":\"2\",\"values\":{\"mixed\":{\"v\":7}}}]}}",
         "d1 level=1 starts=1 | d1 level=2 starts=1 mixed=7");
    assert_true(profile_trace_value(r.run, 0, &t));
    assert_string_equal(t.path, "$.list[\"a b\"][0].l");
    assert_string_equal(t.raw, "1");
    assert_string_equal(t.metric, "level");
    assert_int_equal(t.line, 10);
    assert_true(profile_trace_value(r.run, 2, &t));
    assert_string_equal(t.path, "$.list[\"a b\"][1].l");
    assert_string_equal(t.raw, "\"2\"");
    assert_true(profile_trace_value(r.run, 3, &t));
    assert_string_equal(t.path, "");
    assert_true(profile_trace_value(r.run, 4, &t));
    assert_string_equal(t.path, "$.list[\"a b\"][1].values.mixed.v");
    assert_int_equal(t.line, 0);
    assert_false(profile_trace_value(r.run, 5, &t));
    profile_run_trace(r.run, false);
}

static void test_ceilings(void **state)
{
    (void)state;
    struct buf b;
    rig_message(&r, "    each: $[*]\n    values: {level: \"@\"}\n");
    buf_init(&b, 1 << 20);
    (void)buf_putc(&b, '[');
    for (int i = 0; i < 4097; i++)
        (void)buf_puts(&b, i ? ",1" : "1");
    (void)buf_putc(&b, ']');
    assert_string_equal(rig_bytes(&r, "up/d1", b.data, b.len),
                        "too_many_points: more than 4096 samples, 65536 values or 4 MiB of "
                        "texts in one message");
    assert_int_equal(r.out.n_samples, 0);
    b.len -= 3;
    (void)buf_putc(&b, ']');
    (void)rig_bytes(&r, "up/d1", b.data, b.len);
    assert_int_equal(r.v.outcome, PROFILE_SAMPLES);
    assert_int_equal(r.out.n_samples, 4096);
    /* an object that is walked once an item of a list, and gives nothing */
    rig_message(&r, "    each: $.list[*]\n    values: {level: \"@.l\"}\n"
                    "    fields: {in: $.all, names: {T: temperature}}\n");
    buf_clear(&b);
    (void)buf_puts(&b, "{\"list\":[0");
    for (int i = 0; i < 3000; i++)
        (void)buf_puts(&b, ",0");
    (void)buf_puts(&b, "],\"all\":{\"\":0");
    for (int i = 0; i < 2000; i++)
        (void)buf_puts(&b, ",\"\":0");
    (void)buf_puts(&b, "}}");
    assert_string_equal(rig_bytes(&r, "up/d1", b.data, b.len),
                        "too_many_points: message \"m\" looks at more than 4194304 elements: a "
                        "list in a list?");
    SAYS("{\"list\":[{\"l\":1}],\"all\":{\"T\":2}}", "d1 level=1 temperature=2");
    buf_done(&b);
}

static const char *node_says(const char *type, const char *bytes, size_t n)
{
    char *topic = mem_printf("spBv1.0/g/%s/n1", type);
    const char *said = rig_bytes(&r, topic, bytes, n);
    free(topic);
    return said;
}

/* Payload: 1 timestamp, 2 metric, 3 seq; metric: 1 name, 2 alias, 4 datatype, 11 long, 13 double. */
static void test_sparkplug(void **state)
{
    (void)state;
    static const char birth[] =
        "\x08\x01\x12\x0b\x0a\x05"
        "bdSeq\x20\x08\x58\x01"
        "\x12\x10\x0a\x01T\x10\x05\x20\x0a\x69\0\0\0\0\0\x80\x35\x40\x18\0";
    static const char data[] =
        "\x08\x02\x12\x0d\x10\x05\x20\x0a\x69\0\0\0\0\0\x80\x36\x40\x18\x01";
    static const char later[] =
        "\x08\x02\x12\x0d\x10\x05\x20\x0a\x69\0\0\0\0\0\x80\x36\x40\x18\x07";
    static const char death[] = "\x12\x0b\x0a\x05"
                                "bdSeq\x20\x08\x58\x01";
    static const char stale[] = "\x12\x0b\x0a\x05"
                                "bdSeq\x20\x08\x58\x09";
    rig_open(
        &r,
        "version: 1\nprofile: t\ntopics: [\"spBv1.0/{group}/{type}/{device}\"]\n"
        "decode: sparkplug-b\nmessages:\n"
        "  - {when: {sparkplug: death}, alive: false, values: {pump_on: {const: false}}}\n"
        "  - {when: {sparkplug: birth}, values: {pump_on: {const: true}}}\n"
        "  - {pairs: {in: $.metrics, name: name, value: value, names: {T: temperature}}}\n");
    assert_string_equal(node_says("NDATA", data, sizeof(data) - 1), "n1");
    assert_true(r.v.want_rebirth);
    assert_string_equal(node_says("NBIRTH", birth, sizeof(birth) - 1), "n1 pump_on=true");
    assert_string_equal(node_says("NDATA", data, sizeof(data) - 1), "n1 temperature=22.5");
    assert_false(r.v.want_rebirth);
    assert_string_equal(node_says("NDATA", data, sizeof(data) - 1), "duplicate ");
    assert_string_equal(node_says("NCMD", data, sizeof(data) - 1), "ignored downlink");
    assert_string_equal(node_says("NDATA", later, sizeof(later) - 1), "n1 temperature=22.5");
    assert_true(r.v.want_rebirth);
    assert_string_equal(node_says("NDEATH", stale, sizeof(stale) - 1), "ignored stale");
    assert_string_equal(node_says("NDEATH", death, sizeof(death) - 1), "n1 dead pump_on=false");
    assert_non_null(strstr(node_says("NDATA", "\x12\x7f", 2), "bad_payload: "));
    /* another document is broken, and another kind of message decodes for itself: the payload's
     * seq still counts once */
    rig_open(
        &r,
        "version: 1\nprofile: t\ntopics: [\"spBv1.0/{group}/{type}/{device}\"]\n"
        "decode: sparkplug-b\nalso: {x: {from: \"$.metrics[0].name\", decode: "
        "json}}\nmessages:\n"
        "  - {when: {sparkplug: death}, values: {pump_on: {const: false}}}\n"
        "  - {when: {$x.none: 1}, ignore: log}\n"
        "  - {decode: sparkplug-b, when: {sparkplug: birth}, values: {pump_on: {const: "
        "true}}}\n"
        "  - {pairs: {in: $.metrics, name: name, value: value, names: {T: temperature}}}\n");
    assert_string_equal(rig_bytes(&r, "spBv1.0/g/NBIRTH/n2", birth, sizeof(birth) - 1),
                        "n2 pump_on=true");
    assert_string_equal(rig_bytes(&r, "spBv1.0/g/NDATA/n2", data, sizeof(data) - 1),
                        "n2 temperature=22.5");
    assert_false(r.v.want_rebirth);
}

static void test_alive(void **state)
{
    (void)state;
    rig_message(&r, "    alive: false\n    values: {level: $.l}\n");
    SAYS("{\"l\":1}", "d1 dead level=1");
    assert_string_equal(r.v.message, "m");
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

/* A condition is asked once a message, or once an item, and a capture is that of the kind of
 * message that is tried. */
static void test_remembered(void **state)
{
    (void)state;
    rig_open(&r,
             "version: 1\nprofile: t\nkinds: [sump]\ntopics: [\"up/{dev}\"]\nmessages:\n"
             "  - {name: one, topic: \"{k}/d1\", when: {topic.k: d1, $.x: 1}, ignore: test}\n"
             "  - name: two\n"
             "    topic: \"up/{k}\"\n"
             "    when: {topic.k: d1, $.x: 1}\n"
             "    device: \"{k}\"\n"
             "    parts:\n"
             "      - values: {level: $.l}\n"
             "      - {each: \"$.i[*]\", when: {\"@.on\": true, $.x: 1}, point: \"{@.p}\", "
             "values: {starts: \"@.n\"}}\n"
             "  - {name: three, topic: \"{k}/d1\", when: {topic.k: up, $.x: {not: 1}}, "
             "device: \"{k}\", values: {level: $.l}}\n");
    SAYS("{\"x\":1,\"l\":2,\"i\":[{\"on\":true,\"p\":\"a\",\"n\":1},{\"p\":\"b\",\"n\":2},"
         "{\"on\":true,\"p\":\"c\",\"n\":3},{\"on\":false,\"p\":\"d\",\"n\":4}]}",
         "d1 level=2 | d1#a starts=1 | d1#c starts=3");
    SAYS("{\"x\":2,\"l\":2}", "up level=2");
    SAYS("{\"x\":1,\"l\":3}", "d1 level=3");
}

/* Parts that say the same device, point, id and time have them read once; others have their own. */
static void test_parts_of_one_device(void **state)
{
    (void)state;
    rig_open(
        &r,
        "version: 1\nprofile: t\nkinds: [sump]\ntopics: [\"up/{dev}\"]\n"
        "device: \"{$.dev}\"\ntime: $.t\nmessages:\n"
        "  - {name: one, when: {$.one: true}, parts: [{when: {$.l: {exists: true}}, values: "
        "{level: $.l}}, {values: {starts: $.n}}, {point: \"{$.p}\", values: {starts: $.m}}, "
        "{each: \"$.i[*]\", values: {starts: \"@.n\"}}, {each: \"$.i[*]\", device: "
        "\"{@.d}\", values: {level: \"@.n\"}}]}\n"
        "  - {name: two, device: \"{dev}\", parts: [{values: {level: $.l}}, "
        "{values: {starts: $.n}}]}\n");
    SAYS("{\"one\":true,\"dev\":\"a\",\"t\":1784367255,\"l\":1,\"n\":2,\"p\":\"q\",\"m\":3,"
         "\"i\":[{\"n\":4,\"d\":\"b\"},{\"n\":5}]}",
         "a 2026-07-18T09:34:15.000Z~ level=1 | a 2026-07-18T09:34:15.000Z~ starts=2 | "
         "a#q 2026-07-18T09:34:15.000Z~ starts=3 | a 2026-07-18T09:34:15.000Z~ starts=4 | "
         "a 2026-07-18T09:34:15.000Z~ starts=5 | b 2026-07-18T09:34:15.000Z~ level=4 | "
         " 2026-07-18T09:34:15.000Z~ level=5");
    SAYS("{\"one\":true,\"dev\":\"c\",\"n\":2,\"m\":3}", "c starts=2 | c starts=3");
    SAYS("{\"dev\":\"a\",\"l\":1,\"n\":2}", "d1 level=1 | d1 starts=2");
}

/* Members that are nearly what somebody wants, and names of no and of few characters. */
static void test_strangers(void **state)
{
    (void)state;
    rig_message(&r, "    values:\n"
                    "      level: '$[\"\"]'\n"
                    "      temperature: $.t\n"
                    "      starts: $.state_3\n"
                    "      mixed: {from: $.state_4, kinds: [sump]}\n"
                    "      firmware: $.a_long_name_of_firmware_1\n"
                    "      pump_on: $.a_long_name_of_firmware_2\n");
    SAYS("{\"u\":9,\"tt\":9,\"state_5\":9,\"stage_3\":9,\"a_long_name_0f_firmware_1\":\"9\","
         "\"a_long_name_of_f1rmware_2\":false,\"\":1,\"t\":2,\"state_4\":4,\"state_3\":3,"
         "\"a_long_name_of_firmware_1\":\"v\",\"a_long_name_of_firmware_2\":true}",
         "d1 level=1 temperature=2 starts=3 mixed=4 firmware='v' pump_on=true");
    SAYS("{\"\\u0000\":9,\"T\":9,\"s\":9}", "d1");
}

/* Whether one of an object's members is there. */
static void test_any_member(void **state)
{
    (void)state;
    rig_open(&r, "version: 1\nprofile: t\nkinds: [sump]\ntopics: [\"up/{dev}\"]\n"
                 "also: {b: {from: $.b, decode: json}}\nmessages:\n"
                 "  - {when: {any: [{$.o.a: {exists: true}}, {'$.o[\"b c\"]': {exists: true}}, "
                 "{$.o.d: {exists: true}}]}, device: \"{dev}\", values: {level: $.l}}\n"
                 "  - {when: {any: [{$b.a: {exists: true}}, {$b.c: {exists: true}}]}, "
                 "device: \"{dev}\", values: {starts: $.l}}\n"
                 "  - {ignore: test}\n");
    SAYS("{\"o\":{\"d\":0},\"l\":1}", "d1 level=1");
    SAYS("{\"o\":{\"x\":1,\"b c\":{},\"a\":null},\"l\":1}", "d1 level=1");
    SAYS("{\"o\":{\"a\":null,\"a\":1},\"l\":1}", "ignored test"); /* said twice */
    SAYS("{\"o\":[1],\"l\":1}", "ignored test");
    SAYS("{\"l\":1}", "ignored test");
    SAYS("{\"b\":\"{\\\"c\\\":0}\",\"l\":1}", "d1 starts=1");
    SAYS("{\"b\":\"{\\\"d\\\":0}\",\"l\":1}", "ignored test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_remembered),
        cmocka_unit_test(test_parts_of_one_device),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_any_member),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bad_with_another_point),
        cmocka_unit_test(test_long_sentinels),
        cmocka_unit_test(test_sums_that_do_not_agree),
        cmocka_unit_test(test_when),
        cmocka_unit_test(test_not_null),
        cmocka_unit_test(test_conditions_on_broken),
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_alternatives),
        cmocka_unit_test(test_also),
        cmocka_unit_test(test_items_documents),
        cmocka_unit_test(test_documents_ceiling),
        cmocka_unit_test(test_doc_fallback),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_alive),
        cmocka_unit_test(test_sparkplug),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
