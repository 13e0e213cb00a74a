/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sixteen traps of the field: what vendors' messages were seen to say, and what must become of
 * it. Each with a small profile of its own, through the whole engine.
 */
#include "engine_rig.h"

#include <ctype.h>

static const char trap_catalog[] =
    "version: 1\nkinds:\n"
    "  probe:\n    zh: 探头\n    en: Probe\n    metrics:\n"
    "      temperature: {type: float, unit: Cel, min: -40, max: 85, zh: 温度, en: T}\n"
    "      humidity: {type: float, unit: \"%\", min: 0, max: 100, zh: 湿度, en: RH}\n"
    "      voltage: {type: float, unit: V, min: 0, max: 60, zh: 电压, en: U}\n"
    "      energy: {type: float, unit: kW.h, min: 0, zh: 电量, en: E}\n"
    "      gas: {type: float, unit: \"%\", min: 0, max: 100, zh: 气体, en: Gas}\n"
    "      distance: {type: float, unit: m, min: 0, max: 10, zh: 距离, en: Distance}\n"
    "      count: {type: int, unit: \"1\", zh: 数, en: N}\n"
    "      event: {type: int, unit: \"1\", zh: 事件, en: Event}\n"
    "      fault_id: {type: int, unit: \"1\", zh: 故障, en: Fault}\n"
    "      fault: {type: string, zh: 故障类型, en: Fault type}\n"
    "      note: {type: string, zh: 文字, en: Note}\n"
    "      open: {type: bool, zh: 开, en: Open}\n"
    "      online: {type: bool, zh: 在线, en: Online}\n"
    "      valve: {type: enum, zh: 阀, en: Valve, codes: [{code: 0, name: closed, zh: 关, en: "
    "Closed}, {code: 1, name: open, zh: 开, en: Open}]}\n";

#define HEAD                                                                                   \
    "version: 1\nprofile: trap\nkinds: [probe]\ntopics: [\"t/{device}\", "                     \
    "\"t/{device}/{what}\"]\ndevice: \"{device}\"\n"

static void trap(struct rig *r, const char *profile)
{
    rig_conf = "gateway: {id: t, data_dir: /tmp/x, timezone: Asia/Shanghai}\n"
               "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
               "sources:\n  - {profile: trap, broker: main}\n"
               "profiles: [trap.yaml]\n"
               "catalog: catalog.yaml\n"
               "registry: {compounds: compounds.csv, devices: devices.csv}\n";
    rig_catalog = trap_catalog;
    rig_profile = profile;
    rig_begin(r, "device,kind,compound\nd1,probe,c1\nd2,probe,c1\nd3,probe,c1\n");
    rig_conf = conf_text;
    rig_catalog = catalog_text;
    rig_profile = NULL;
}

static void say_to(struct rig *r, const char *topic, const char *payload, unsigned flags)
{
    r->seen->n = r->seen->n_letters = 0;
    message(r, topic, payload, flags, (unsigned)(r->messages % 60000) + 1);
    balanced(r);
}

static void say(struct rig *r, const char *payload)
{
    say_to(r, "t/d1", payload, 0);
}

/* The fields of line i; `bad`: the reason it must have, NULL for a good one. */
static void fields(const struct rig *r, size_t i, const char *bad, const char *want)
{
    char head[128];
    if (i >= r->seen->n)
        fail_msg("only %zu lines, expected \"%s\"%s%s", r->seen->n, want,
                 r->seen->n_letters ? "; letter: " : "",
                 r->seen->n_letters ? r->seen->letters[0].detail : "");
    const char *text = r->seen->lines[i].text, *sp = strchr(text, ' ');
    (void)snprintf(head, sizeof(head), "probe%s,compound=c1,device=d1%s%s", bad ? "_bad" : "",
                   bad ? ",reason=" : "", bad ? bad : "");
    assert_non_null(sp);
    if (strncmp(text, head, strlen(head)) != 0 || strncmp(sp + 1, want, strlen(want)) != 0 ||
        strrchr(text, ' ') != sp + 1 + strlen(want))
        fail_msg("line %zu is \"%s\", expected \"%s %s …\"", i, text, head, want);
}

/* One message, one good line. */
static void gives(struct rig *r, const char *payload, const char *want)
{
    say(r, payload);
    fields(r, 0, NULL, want);
    assert_int_equal(r->seen->n, 1);
}

static void at_ms(const struct rig *r, int64_t ms)
{
    char end[40];
    (void)snprintf(end, sizeof(end), " %lld000000", (long long)ms);
    assert_true(r->seen->n > 0);
    const char *text = r->seen->lines[r->seen->n - 1].text, *sp = strrchr(text, ' ');
    if (strcmp(sp, end) != 0)
        fail_msg("\"%s\": expected time%s", text, end);
}

static void refused(struct rig *r, const char *payload, enum ledger_count c)
{
    uint64_t before = count(r, "c1", c) + count(r, "-", c);
    say(r, payload);
    assert_int_equal(r->seen->n, 0);
    assert_int_equal(r->seen->n_letters, 1);
    if (count(r, "c1", c) + count(r, "-", c) != before + 1)
        fail_msg("\"%s\" was refused as %s: %s", payload, r->seen->letters[0].reason,
                 r->seen->letters[0].detail);
}

static void ignored(struct rig *r, const char *topic, const char *payload, unsigned flags,
                    enum ledger_count c)
{
    uint64_t before = count(r, "c1", c) + count(r, "-", c);
    say_to(r, topic, payload, flags);
    assert_int_equal(r->seen->n, 0);
    if (r->seen->n_letters)
        fail_msg("\"%s\" made a letter: %s %s", payload, r->seen->letters[0].reason,
                 r->seen->letters[0].detail);
    assert_int_equal(count(r, "c1", c) + count(r, "-", c), before + 1);
}

static int64_t received_ms(const struct rig *r) /* of the last message */
{
    return (WALL0 + (int64_t)(r->ns - BOOT0)) / 1000000;
}

/* 1: "0_02", "+27.90", "071", "48", "", "undefined". */
static void trap_01(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "messages:\n"
                  "  - values:\n"
                  "      temperature: {from: $.t, decimal: \"_\"}\n"
                  "      humidity: $.h\n"
                  "      count: {from: $.n, absent: [\"undefined\"]}\n"
                  "      voltage: $.v\n");
    gives(&r, "{\"t\":\"0_02\",\"h\":\"+27.90\",\"n\":\"071\",\"v\":\"48\"}",
          "temperature=0.02,humidity=27.9,count=71i,voltage=48");
    gives(&r, "{\"t\":\"-3_5\",\"h\":\"\",\"n\":\"undefined\",\"v\":null}", "temperature=-3.5");
    say(&r, "{\"h\":\"\",\"n\":\"undefined\"}");
    assert_int_equal(r.seen->n, 0);
    assert_int_equal(count(&r, "c1", LEDGER_POINTS_REFUSED_EMPTY), 1);
    rig_done(&r);
}

/* 2: the same field is a number here and a text there. */
static void trap_02(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "messages:\n  - values: {fault: $.fault_type, event: $.event}\n");
    gives(&r, "{\"fault_type\":5,\"event\":1361}", "fault=\"5\",event=1361i");
    gives(&r, "{\"fault_type\":\"37\",\"event\":\"1361\"}", "fault=\"37\",event=1361i");
    rig_done(&r);
}

/* 3: identifiers above 2^53. */
static void trap_03(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "messages:\n  - values: {fault_id: $.faultId, note: $.batch}\n");
    gives(&r, "{\"faultId\":9007199254740993,\"batch\":1795219200000000001}",
          "fault_id=9007199254740993i,note=\"1795219200000000001\"");
    gives(&r, "{\"faultId\":\"9223372036854775807\",\"batch\":\"x\"}",
          "fault_id=9223372036854775807i,note=\"x\"");
    rig_done(&r);
}

/* 4: scaled integers come out as the decimals they are. */
static void trap_04(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "messages:\n"
                  "  - when: {$.k: 1}\n"
                  "    values: {temperature: {from: $.t, divide: 10}, humidity: {from: $.h, "
                  "scale: 0.1}, voltage: {from: $.v, unit: mV}}\n"
                  "  - when: {$.k: 2}\n"
                  "    values: {temperature: {from: $.t, divide: 100}, voltage: {from: $.v, "
                  "divide: 100}}\n");
    gives(&r, "{\"k\":1,\"t\":219,\"h\":530,\"v\":3644}",
          "temperature=21.9,humidity=53,voltage=3.644");
    gives(&r, "{\"k\":2,\"t\":2333,\"v\":3644}", "temperature=23.33,voltage=36.44");
    rig_done(&r);
}

/* 5: what devices say for "no value". */
static void trap_05(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "time: $.ts\n"
                  "messages:\n"
                  "  - values:\n"
                  "      temperature: {from: $.t, sentinels: [\"No Sensor\", 65535]}\n"
                  "      count: {from: $.n, sentinels: [4294967296, 10000]}\n");
    say(&r, "{\"t\":65535,\"n\":4294967296}");
    fields(&r, 0, "sentinel", "temperature=65535,count=4294967296i");
    say(&r, "{\"t\":\"No Sensor\",\"n\":10000}");
    fields(&r, 0, "sentinel", "temperature_raw=\"No Sensor\",count=10000i");
    say(&r, "{\"t\":\"+270.0\",\"n\":3}");
    fields(&r, 0, NULL, "count=3i");
    fields(&r, 1, "range", "temperature=270");
    static const char *const never[] = {"0001-01-01T00:00:00Z", "1111-11-11T11:11:11Z"};
    for (size_t i = 0; i < 2; i++) {
        char text[80];
        (void)snprintf(text, sizeof(text), "{\"n\":%zu,\"ts\":\"%s\"}", i, never[i]);
        say(&r, text);
        at_ms(&r, received_ms(&r));
        assert_non_null(strstr(r.seen->lines[0].text, "uncertain=\"clock\""));
    }
    rig_done(&r);
}

/* 6: times in every dress, and clocks ahead and behind. */
static void trap_06(void **state)
{
    (void)state;
    struct rig r;
    static const struct {
        const char *time, *says;
        int64_t ms;
    } t[] = {
        {"{from: $.t, format: s}", "1795219170", 1795219170000},
        {"{from: $.t, format: ms}", "1795219170123", 1795219170123},
        {"{from: $.t, format: s}", "1795219170.5", 1795219170500},
        {"{from: $.t, format: ns}", "1795219170123456789", 1795219170123},
        {"$.t", "1795219170123", 1795219170123},
        {"$.t", "\"2026-11-21T00:00:00.5+08:00\"", 1795190400500},
        {"{from: $.t, zone: site}", "\"2026-11-21T00:00:00\"", 1795190400000},
        {"{from: $.t, format: \"yyyy-MM-dd HH:mm:ss\"}", "\"2026-11-21 00:00:00\"",
         1795190400000},
        {"{from: $.t, format: \"yyyyMMdd'T'HHmmss'Z'\", zone: UTC}", "\"20261120T155930Z\"",
         1795190370000},
        {"{from: $.t, format: yyMMddHHmmss, zone: site}", "\"261120235930\"", 1795190370000},
        {"{from: $.t, format: ssmmHHddMMyy, zone: \"+08:00\"}", "\"305923201126\"",
         1795190370000},
        {"{from: $.t, format: s, epoch: \"2018-09-10T00:00:00+08:00\"}", "258680000",
         1536508800000 + 258680000000},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        char profile[1024], payload[128];
        (void)snprintf(profile, sizeof(profile),
                       HEAD "time: %s\nmessages:\n  - values: {count: $.n}\n", t[i].time);
        trap(&r, profile);
        (void)snprintf(payload, sizeof(payload), "{\"n\":1,\"t\":%s}", t[i].says);
        say(&r, payload);
        at_ms(&r, t[i].ms);
        rig_done(&r);
    }
    trap(&r, HEAD "time: {text: \"{$.t|after:@|before:s}\", format: ago_s}\n"
                  "messages:\n  - values: {count: $.n}\n");
    say(&r, "{\"n\":1,\"t\":\"@0.07s\"}");
    at_ms(&r, received_ms(&r) - 70);
    rig_done(&r);
    trap(&r, HEAD "time: $.t\nmessages:\n  - values: {count: $.n}\n");
    static const struct {
        const char *device;
        int64_t off_ms;
    } clocks[] = {{"t/d1", 51000}, {"t/d2", -3 * 3600000}, {"t/d3", -46ll * 86400000}};
    for (int i = 0; i < 8; i++) {
        r.ns += 120u * (uint64_t)SECOND;
        for (size_t k = 0; k < 3; k++) {
            char payload[128];
            int64_t now = received_ms(&r) + 1000;
            (void)snprintf(payload, sizeof(payload), "{\"n\":%d,\"t\":%lld}", i,
                           (long long)(now + clocks[k].off_ms));
            say_to(&r, clocks[k].device, payload, 0);
            if (k == 0) /* in bounds: as told */
                at_ms(&r, now + 51000);
            else if (i == 7) /* known to be off: corrected */
                at_ms(&r, now);
            if (k > 0)
                assert_non_null(strstr(r.seen->lines[0].text, "uncertain=\"clock\""));
        }
    }
    rig_done(&r);
}

/* 7: ids, repeats, back-fill, disorder. */
static void trap_07(void **state)
{
    (void)state;
    struct rig r;
    char payload[4096];
    trap(&r, HEAD "id: \"{$.id}\"\nmessages:\n"
                  "  - when: {$.records: {exists: true}}\n"
                  "    each: $.records[*]\n    time: \"@.t\"\n    values: {count: \"@.n\"}\n"
                  "  - time: $.t\n    values: {count: $.n}\n");
    gives(&r, "{\"id\":\"a-1\",\"n\":1}", "count=1i");
    ignored(&r, "t/d1", "{\"id\":\"a-1\",\"n\":1}", 0, LEDGER_DUPLICATE);
    gives(&r, "{\"id\":\"a-1\",\"n\":2}", "count=2i"); /* the same id, other content */
    int64_t now = received_ms(&r);
    size_t n = (size_t)snprintf(payload, sizeof(payload), "{\"id\":\"b\",\"records\":[");
    for (int i = 0; i < 48; i++)
        n += (size_t)snprintf(payload + n, sizeof(payload) - n, "%s{\"t\":%lld,\"n\":%d}",
                              i ? "," : "", (long long)(now - (47 - i) * 1800000), i);
    (void)snprintf(payload + n, sizeof(payload) - n, "]}");
    say(&r, payload);
    assert_int_equal(r.seen->n, 48);
    assert_null(strstr(r.seen->lines[0].text, "uncertain"));
    ignored(&r, "t/d1", payload, 0, LEDGER_DUPLICATE);
    (void)snprintf(payload, sizeof(payload), "{\"id\":\"c\",\"n\":5,\"t\":%lld}",
                   (long long)(now - 3600000 * 50));
    gives(&r, payload, "count=5i"); /* older than all before, and where it belongs */
    at_ms(&r, now - 3600000 * 50);
    rig_done(&r);
}

/* 8: envelopes in envelopes. */
static void trap_08(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD
         "codecs:\n"
         "  small:\n    tlv:\n      key: [u8, u8]\n      items:\n"
         "        - {key: [0x01, 0x75], name: battery, type: u8}\n"
         "        - {key: [0x03, 0x67], name: temperature, type: i16le, divide: 10}\n"
         "messages:\n"
         "  - when: {$.k: 1}\n    also: {in: {from: $.msg, decode: json}}\n"
         "    values: {temperature: $in.t}\n"
         "  - when: {$.k: 2}\n    also: {in: {from: $.msg, decode: [base64, small]}}\n"
         "    values: {temperature: $in.temperature}\n"
         "  - when: {$.k: 3}\n    also: {a: {from: $.msg, decode: [base64, json]}, b: {from: "
         "$a.body, decode: json}}\n    values: {temperature: $b.t}\n"
         "  - when: {$.k: 4}\n    also: {in: {from: $.msg, decode: [hex, small]}}\n"
         "    values: {temperature: $in.temperature}\n"
         "  - when: {$.k: 5}\n    also: {in: {from: $.msg, decode: [base64, text]}}\n"
         "    values: {temperature: $in}\n");
    gives(&r, "{\"k\":1,\"msg\":\"{\\\"t\\\":21.5}\"}", "temperature=21.5");
    gives(&r, "{\"k\":2,\"msg\":\"AXVkA2fbAA==\"}", "temperature=21.9");
    gives(&r, "{\"k\":3,\"msg\":\"eyJib2R5Ijoie1widFwiOjIyfSJ9\"}", "temperature=22");
    gives(&r, "{\"k\":4,\"msg\":\"0175640367DB00\"}", "temperature=21.9");
    gives(&r, "{\"k\":5,\"msg\":\"MjMuNQ==\"}", "temperature=23.5");
    rig_done(&r);
}

/* 9: odd keys. */
static void trap_09(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "messages:\n"
                  "  - when: {$.list: {exists: true}}\n"
                  "    each: $.list[*]\n"
                  "    values: {temperature: \"@.t\", humidity: \"@.h\"}\n"
                  "  - values:\n"
                  "      temperature: '$[\"Temp (°C)\"]'\n"
                  "      humidity: '$[\"a:b\"]'\n"
                  "      voltage: '$[\"$u\"]'\n"
                  "      count: '$[\"x.y\"][\" lead\"]'\n"
                  "      event: $.event\n"
                  "      note: $.data.event\n");
    gives(&r,
          "{\"Temp (°C)\":20.5,\"a:b\":50,\"$u\":3.6,\"x.y\":{\" lead\":7},\"event\":1,"
          "\"data\":{\"event\":\"inner\"}}",
          "temperature=20.5,humidity=50,voltage=3.6,count=7i,event=1i,note=\"inner\"");
    say(&r, "{\"list\":[{\"t\":20.5},{\"h\":50}]}");
    fields(&r, 0, NULL, "temperature=20.5");
    fields(&r, 1, NULL, "humidity=50");
    rig_done(&r);
}

/* 10: units in a key beside, in the key's name, doubled, absent. */
static void trap_10(void **state)
{
    (void)state;
    struct rig r;
    trap(&r,
         HEAD "messages:\n"
              "  - parts:\n"
              "      - when: {$.u: {exists: true}}\n"
              "        values: {temperature: {from: $.t, unit: {from: $.u, map: {C: Cel, F: "
              "\"[degF]\"}}}}\n"
              "      - when: {$.tC: {exists: true}}\n"
              "        values: {temperature: $.tC}\n"
              "      - when: {$.distance_mm: {exists: true}}\n"
              "        values: {distance: {from: $.distance_mm, unit: mm}}\n"
              "      - when: {$.energy: {exists: true}}\n"
              "        values: {energy: {from: $.energy, unit: W.h}}\n");
    gives(&r, "{\"t\":68,\"u\":\"F\"}", "temperature=20");
    gives(&r, "{\"t\":20.5,\"u\":\"C\"}", "temperature=20.5");
    gives(&r, "{\"tC\":21,\"tF\":69.8}", "temperature=21");
    gives(&r, "{\"distance_mm\":830}", "distance=0.83");
    gives(&r, "{\"energy\":1500}", "energy=1.5");
    rig_done(&r);
    /* a unit of another dimension is refused when the profile is loaded */
    static const char wrong[] = HEAD "messages:\n  - values: {energy: {from: $.e, unit: kW}}\n";
    rig_expect_refused = true;
    trap(&r, wrong);
    rig_expect_refused = false;
    assert_null(r.w);
    rig_done(&r);
}

static int64_t last_seen(const struct rig *r, const char *code)
{
    struct engine_device d;
    engine_device(r->e, registry_find(r->w->registry, code, strlen(code)), &d);
    return d.last_seen_ms;
}

/* 11: who is alive. */
static void trap_11(void **state)
{
    (void)state;
    struct rig r;
    trap(&r,
         HEAD "messages:\n"
              "  - name: will\n    topic: \"t/{device}/{what}\"\n    when: {topic.what: lwt}\n"
              "    decode: text\n    alive: false\n"
              "    values: {online: {from: $, map: {Online: true, Offline: false}}}\n"
              "  - name: uplink\n    topic: \"t/{device}\"\n    when: {$.fPort: 0}\n"
              "    ignore: heartbeat\n    alive: true\n"
              "  - name: sleep\n    topic: \"t/{device}\"\n    when: {$.sleep: true}\n"
              "    ignore: status\n    alive: true\n"
              "  - name: data\n    topic: \"t/{device}\"\n    values: {count: $.n}\n");
    ignored(&r, "t/d1/lwt", "Online", RECORD_RETAIN, LEDGER_IGNORED_RETAINED);
    assert_true(last_seen(&r, "d1") == 0);
    say_to(&r, "t/d1/lwt", "Offline", 0); /* news, but told by the broker: nobody lives */
    fields(&r, 0, NULL, "online=false");
    assert_true(last_seen(&r, "d1") == 0);
    ignored(&r, "t/d1", "", 0, LEDGER_IGNORED_EMPTY);
    ignored(&r, "t/d1", "{\"fPort\":0}", 0, LEDGER_IGNORED_HEARTBEAT);
    assert_true(last_seen(&r, "d1") == received_ms(&r));
    ignored(&r, "t/d1", "{\"sleep\":true}", 0, LEDGER_IGNORED_STATUS);
    assert_true(last_seen(&r, "d1") == received_ms(&r));
    gives(&r, "{\"n\":1}", "count=1i");
    rig_done(&r);
}

/* 12: the other way round. */
static void trap_12(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "messages:\n"
                  "  - values:\n"
                  "      open: {from: $.contact, invert: true}\n"
                  "      online: {from: $.payload_on, invert: true}\n"
                  "      valve: {from: $.valve, map: {1: open, 2: closed}}\n");
    gives(&r, "{\"contact\":true,\"payload_on\":false,\"valve\":1}",
          "open=false,online=true,valve=\"open\"");
    gives(&r, "{\"contact\":false,\"valve\":2}", "open=true,valve=\"closed\"");
    say(&r, "{\"valve\":3}");
    fields(&r, 0, "enum", "valve_raw=\"3\"");
    rig_done(&r);
}

/* 13: state and value disagree. */
static void trap_13(void **state)
{
    (void)state;
    struct rig r;
    trap(&r,
         HEAD "messages:\n"
              "  - values: {gas: $.value, open: $.state, temperature: {from: $.raw, divide: "
              "10}}\n"
              "    quality:\n"
              "      - {when: {$.state: 1, $.value: 0}, bad: disagree, values: [gas, open]}\n");
    say(&r, "{\"state\":1,\"value\":0,\"raw\":200}");
    fields(&r, 0, NULL, "temperature=20");
    fields(&r, 1, "disagree", "gas=0,open=true");
    gives(&r, "{\"state\":1,\"value\":12,\"raw\":200}", "gas=12,open=true,temperature=20");
    rig_done(&r);
}

/* 14: downlinks and replies under the same prefix. */
static void trap_14(void **state)
{
    (void)state;
    struct rig r;
    trap(&r,
         HEAD "messages:\n"
              "  - {topic: \"t/{device}/{what}\", when: {topic.what: set}, ignore: downlink}\n"
              "  - {when: {$.cmd: {exists: true}}, ignore: downlink}\n"
              "  - {when: {$.result: {exists: true}}, ignore: reply}\n"
              "  - {when: {$.n: {exists: true}}, values: {count: $.n}}\n");
    ignored(&r, "t/d1/set", "{\"n\":1}", 0, LEDGER_IGNORED_DOWNLINK);
    ignored(&r, "t/d1", "{\"cmd\":\"reboot\",\"n\":1}", 0, LEDGER_IGNORED_DOWNLINK);
    ignored(&r, "t/d1", "{\"result\":0,\"n\":1}", 0, LEDGER_IGNORED_REPLY);
    gives(&r, "{\"n\":1}", "count=1i");
    refused(&r, "{\"what\":1}", LEDGER_DEAD_NO_MESSAGE);
    rig_done(&r);
}

/* 15: simulated and test messages. */
static void trap_15(void **state)
{
    (void)state;
    struct rig r;
    trap(&r, HEAD "messages:\n"
                  "  - {when: {$.simulated: true}, ignore: simulated}\n"
                  "  - {when: {$.text: {prefix: testing}}, ignore: test}\n"
                  "  - values: {count: $.n}\n");
    ignored(&r, "t/d1", "{\"simulated\":true,\"n\":1}", 0, LEDGER_IGNORED_SIMULATED);
    ignored(&r, "t/d1", "{\"text\":\"testing alarm\",\"n\":1}", 0, LEDGER_IGNORED_TEST);
    gives(&r, "{\"simulated\":false,\"n\":1}", "count=1i");
    rig_done(&r);
}

/* 16: broken frames. */
static void trap_16(void **state)
{
    (void)state;
    struct rig r;
    trap(&r,
         HEAD "codecs:\n  two:\n    struct:\n      - {name: t, type: i16be, divide: 10}\n"
              "decode: [hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8, over: "
              "[0, -3], at: -3}}, two]\n"
              "messages:\n  - values: {temperature: $.t}\n");
    gives(&r, "404000DB5B2323", "temperature=21.9");
    refused(&r, "404000DB", LEDGER_DEAD_BAD_PAYLOAD);
    refused(&r, "404000DB5C2323", LEDGER_DEAD_BAD_CHECKSUM);
    refused(&r, "404000DB5B2324", LEDGER_DEAD_BAD_PAYLOAD);
    refused(&r, "00404000DB5B2323", LEDGER_DEAD_BAD_PAYLOAD);
    refused(&r, "404000DB5B23", LEDGER_DEAD_BAD_PAYLOAD);
    refused(&r, "zz", LEDGER_DEAD_BAD_PAYLOAD);
    rig_done(&r);
    trap(&r, HEAD "messages:\n  - values: {count: $.n}\n");
    refused(&r, "{\"n\":1}{\"n\":2}", LEDGER_DEAD_BAD_JSON);
    refused(&r, "{\"n\":", LEDGER_DEAD_BAD_JSON);
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trap_01), cmocka_unit_test(trap_02), cmocka_unit_test(trap_03),
        cmocka_unit_test(trap_04), cmocka_unit_test(trap_05), cmocka_unit_test(trap_06),
        cmocka_unit_test(trap_07), cmocka_unit_test(trap_08), cmocka_unit_test(trap_09),
        cmocka_unit_test(trap_10), cmocka_unit_test(trap_11), cmocka_unit_test(trap_12),
        cmocka_unit_test(trap_13), cmocka_unit_test(trap_14), cmocka_unit_test(trap_15),
        cmocka_unit_test(trap_16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
