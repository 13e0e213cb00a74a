/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vendors' messages: decoded and judged, against the parsing of their JSON alone. The ratios are
 * what counts: goal 2.5 for both.
 */
#include "base/mem.h"
#include "core/json.h"
#include "core/judge.h"
#include "core/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump: {zh: z, en: e, metrics: {level: {type: float, unit: m, min: 0, max: 5, zh: z, en: "
    "e}, "
    "temperature: {type: float, unit: Cel, zh: z, en: e}, humidity: {type: float, unit: '%', "
    "zh: "
    "z, en: e}, battery_pct: {type: float, unit: '%', zh: z, en: e}, rssi: {type: float, unit: "
    "'dB{mW}', zh: z, en: e}, snr: {type: float, unit: dB, zh: z, en: e}, pump_on: {type: "
    "bool, "
    "zh: z, en: e}, starts: {type: int, zh: z, en: e}}}\n";

static const char profile_text[] =
    "version: 1\n"
    "profile: chirpstack\n"
    "kinds: [sump]\n"
    "topics: [\"application/{app}/device/{eui}/event/{type}\"]\n"
    "device: \"{$.deviceInfo.devEui}\"\n"
    "time: $.time\n"
    "id: \"{$.deduplicationId}\"\n"
    "messages:\n"
    "  - {name: join, topic: \"application/{app}/device/{eui}/event/join\", ignore: join}\n"
    "  - {name: log, topic: \"application/{app}/device/{eui}/event/log\", ignore: log}\n"
    "  - name: object\n"
    "    topic: \"application/{app}/device/{eui}/event/up\"\n"
    "    when: {$.object: {type: object}}\n"
    "    values: {rssi: \"$.rxInfo[0].rssi\", snr: \"$.rxInfo[0].snr\", temperature: "
    "$.object.temperature, humidity: $.object.humidity, battery_pct: $.object.battery, level: "
    "{from: $.object.distance, unit: mm}, pump_on: {from: $.object.pump, map: {on: true, off: "
    "false}}, starts: $.object.starts}\n"
    "  - name: raw\n"
    "    topic: \"application/{app}/device/{eui}/event/up\"\n"
    "    also: {frame: {from: $.data, decode: [base64, {tlv: {key: [u8, u8], items: [{key: [1, "
    "117], name: battery, type: u8}, {key: [3, 103], name: temperature, type: i16le, divide: "
    "10}, "
    "{key: [4, 104], name: humidity, type: u8, divide: 2}, {key: [5, 130], name: distance, "
    "type: "
    "u16le}]}}]}}\n"
    "    values: {rssi: \"$.rxInfo[0].rssi\", snr: \"$.rxInfo[0].snr\", temperature: "
    "$frame.temperature, humidity: $frame.humidity, battery_pct: $frame.battery, level: {from: "
    "$frame.distance, unit: mm}}\n";

#define ENVELOPE                                                                               \
    "{\"deduplicationId\":\"3ac7e3c4-4401-4b8d-9386-a5c902f9202d\",\"time\":"                  \
    "\"2026-07-18T09:34:15.775023242+00:00\",\"deviceInfo\":{\"tenantId\":"                    \
    "\"52f14cd4-c6f1-4fbd-8f87-4025e1d49242\",\"tenantName\":\"Renovation\","                  \
    "\"applicationId\":"                                                                       \
    "\"17c82e96-be03-4f38-aef3-f83d48582d97\",\"applicationName\":\"sumps\","                  \
    "\"deviceProfileId\":"                                                                     \
    "\"14855bf7-d10d-4aee-b618-ebfcb64dc7ad\",\"deviceProfileName\":\"sump sensor\","          \
    "\"deviceName\":\"sump 17\",\"devEui\":\"24e124136b502217\",\"tags\":{\"building\":\"7\"," \
    "\"room\":\"B1\"}},\"devAddr\":\"00189440\",\"dr\":1,\"fCnt\":1234,\"fPort\":85,"          \
    "\"confirmed\":false,\"adr\":true,\"data\":\"AXVkA2cZAQRodAWCUgM=\",%s\"rxInfo\":["        \
    "{\"gatewayId\":\"0016c001f153a14c\",\"uplinkId\":4217106255,\"time\":"                    \
    "\"2026-07-18T09:34:15.775023242+00:00\",\"rssi\":-36,\"snr\":10.5,\"channel\":2,"         \
    "\"rfChain\":1,\"location\":{\"latitude\":31.2304,\"longitude\":121.4737},\"context\":"    \
    "\"E3OWOQ==\",\"metadata\":{\"region_name\":\"cn470\",\"region_common_name\":\"CN470\"}}," \
    "{\"gatewayId\":\"0016c001f153a150\",\"uplinkId\":4217106256,\"rssi\":-91,\"snr\":3.25,"   \
    "\"channel\":2,\"context\":\"E3OWOR==\",\"metadata\":{\"region_name\":\"cn470\"}}],"       \
    "\"txInfo\":{\"frequency\":486300000,\"modulation\":{\"lora\":{\"bandwidth\":125000,"      \
    "\"spreadingFactor\":11,\"codeRate\":\"CR_4_5\"}}}}"
#define OBJECT                                                                                 \
    "\"object\":{\"temperature\":28.1,\"humidity\":58.0,\"battery\":100,\"distance\":850,"     \
    "\"pump\":\"on\",\"starts\":77,\"firmware\":\"v1.12\",\"position\":\"normal\"},"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bench {
    const struct profile *p;
    const struct kind *kind;
    struct profile_run *run;
    struct json *json;
    struct decoded out;
    char payload[4096];
    size_t len;
    struct topic_match match;
    const char *topic;
};

static size_t judge_all(struct bench *b)
{
    struct profile_verdict v;
    struct profile_input in = {.topic = b->topic,
                               .topic_len = strlen(b->topic),
                               .match = &b->match,
                               .payload = b->payload,
                               .len = b->len,
                               .received_ms = 1767225600000};
    size_t good = 0;
    struct judge_room room;
    room.n = 0;
    profile_decode(b->p, b->run, &in, &b->out, &v);
    for (size_t i = 0; i < b->out.n_values; i++) {
        struct judged j;
        const struct profile_metric *m = profile_metric(&b->out.values[i], b->kind);
        good += m && judge_value(&b->out.values[i], m, -1e9, 1e9, &room, &j) &&
                j.quality == QUALITY_GOOD;
    }
    return good;
}

enum { ROUNDS = 200, TIMES = 1000 };

static double one_round(struct bench *b, bool decode)
{
    double from = now();
    for (int i = 0; i < TIMES; i++) {
        struct json_value root;
        const char *why;
        if (decode)
            (void)judge_all(b);
        else if (json_parse(b->json, b->payload, b->len, &root, &why) < 0)
            abort();
    }
    return (now() - from) / TIMES * 1e9;
}

/* In turns, the best of each: what else the machine does meets both alike. */
static void measure(struct bench *b, double *out_parse, double *out_all)
{
    *out_parse = *out_all = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double parse = one_round(b, false), all = one_round(b, true);
        *out_parse = parse < *out_parse ? parse : *out_parse;
        *out_all = all < *out_all ? all : *out_all;
    }
}

int main(void)
{
    struct problems *p = problems_new(20);
    struct catalog *c;
    struct profile_set *s;
    struct profile_text file = {"bench", profile_text, sizeof(profile_text) - 1};
    if (catalog_parse(catalog_text, sizeof(catalog_text) - 1, "catalog", p, &c) < 0 ||
        profile_set_open(&file, 1, c, NULL, p, &s) < 0) {
        for (size_t i = 0; i < problems_count(p); i++)
            fprintf(stderr, "%s\n", problems_get(p, i));
        return 1;
    }
    struct bench b = {.p = profile_set_at(s, 0), .kind = catalog_kind(c, "sump", 4)};
    struct topic_pattern *t;
    const char *why;
    b.topic = "application/17c82e96/device/24e124136b502217/event/up";
    b.run = profile_run_new(1 << 20);
    b.json = json_new(1 << 20);
    if (topic_compile(profile_topic(b.p, 0), &t, &why) < 0 ||
        !topic_matches(t, b.topic, strlen(b.topic), &b.match))
        return 1;
    for (int i = 0; i < 2; i++) {
        b.len = (size_t)snprintf(b.payload, sizeof(b.payload), ENVELOPE, i ? "" : OBJECT);
        size_t good = judge_all(&b);
        double parse, all;
        measure(&b, &parse, &all);
        printf("%-40s %5zu bytes %2zu values  parse %6.0f ns  all %6.0f ns  ratio %.2f\n",
               i ? "Milesight TLV in base64 in JSON" : "ChirpStack v4 with object", b.len, good,
               parse, all, all / parse);
    }
    topic_free(t);
    profile_run_free(b.run);
    json_free(b.json);
    decoded_done(&b.out);
    profile_set_free(s);
    catalog_free(c);
    problems_free(p);
    return 0;
}
