/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any topic and payload through profiles that use every word of the language. Input: topic, a
 * line end, payload. The payload stands at the end of its allocation but for the padding; all
 * that comes out is read; a second run says the same; the trace is taken.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/json.h"
#include "core/profile.h"

#include <stdlib.h>
#include <string.h>

static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump: {zh: z, en: e, metrics: {level: {type: float, unit: m, min: 0, max: 5, zh: z, en: "
    "e}, "
    "temperature: {type: float, unit: Cel, zh: z, en: e}, pump_on: {type: bool, zh: z, en: e}, "
    "starts: {type: int, zh: z, en: e}, firmware: {type: string, zh: z, en: e}, state: {type: "
    "enum, zh: z, en: e, codes: [{code: 0, name: normal, zh: z, en: e}]}, up: {type: float, "
    "unit: "
    "s, zh: z, en: e}}}\n";

static const char profile_text[] =
    "version: 1\n"
    "profile: t\n"
    "topics: [\"a/{device}/#\", \"b/{device}\"]\n"
    "time: [{from: $.ts, absent: [0]}, {from: $.time, format: yyyyMMddHHmmss}, {text: "
    "\"{$.d}T{$.h}\"}, {from: $.ago, format: ago_s}, {from: $.ns, format: ns, add: 5}]\n"
    "also:\n"
    "  hex: {from: $.hex, decode: [hex, {struct: [{name: n, type: u8}, {name: list, repeat: n, "
    "fields: [{name: v, type: i16le, divide: 10}, {name: s, type: ascii, bytes: 3}]}]}]}\n"
    "  b64: {from: $.b64, decode: [base64, {tlv: {key: [u8, u8], items: [{key: [1, 2], name: "
    "t, "
    "type: i16be}, {key: [1, \"*\"], name: \"x_{1}\", type: u8}], unknown: stop}}]}\n"
    "  inner: {from: $.inner, decode: json}\n"
    "messages:\n"
    "  - {name: lwt, topic: \"{device}/LWT\", decode: text, when: {$: [Online, Offline]}, "
    "alive: "
    "false, values: {firmware: $}}\n"
    "  - {name: beat, when: {payload: {hex_prefix: \"40 40\", length: 4}}, ignore: heartbeat, "
    "alive: true}\n"
    "  - {name: cut, when: {$.err: {exists: true, not: [0, \"\", null]}}, refuse: it says so}\n"
    "  - name: kids\n"
    "    when: {$.kids: {type: [object, array]}}\n"
    "    each: \"$.kids.*[*].v\"\n"
    "    device: [\"{@.id|hexlower}\", \"{@^.eui|base64hex}\", "
    "\"{device}:{key|upper|before:_}\"]\n"
    "    point: \"{key|after:_}{$.p}\"\n"
    "    id: \"{$.id}{@.id}\"\n"
    "    also: {each: {from: \"@.j\", decode: json}}\n"
    "    values:\n"
    "      level: [{from: \"@.l\", unit: mm, min: 0, max: 900, sentinels: [65535], fault: "
    "[err]}, "
    "$each.l, {from: [\"@.m.value\", \"@.m\"], decimal: \"_\"}]\n"
    "      pump_on: {from: \"@.p\", invert: true, map: {1: true, \"off\": false}, default: "
    "null}\n"
    "      starts: {from: \"@.bits\", bits: [3, 9]}\n"
    "      up: [{from: \"@.up\", parse: duration}, {from: \"@.obis\", parse: obis, decimal: "
    "\",\"}]\n"
    "      temperature: {from: \"@.t\", unit: {from: \"@.u\", map: {C: Cel, F: \"[degF]\"}, "
    "default: K}}\n"
    "      firmware: {text: \"{@.a}-{@^.b}\", after: x, before: \" \"}\n"
    "    quality: [{when: {\"@.q\": {bit: 1}}, bad: fault, values: [level]}, {when: {any: "
    "[{key: "
    "a}, {\"@.q\": {min: 5, max: 9}}]}, uncertain: disagree}]\n"
    "  - name: list\n"
    "    when: {$.list: {exists: true}}\n"
    "    pairs: {in: $.list, name: [n, m], value: [v, w], time: t, error: e, ok: [200], same: "
    "true, names: {7: {metric: temperature, divide: 10}, s: [{metric: pump_on, bit: 0}, "
    "{metric: "
    "starts, bits: [1, 4]}], no: null}, quality: {when: {\"@.q\": N}, bad: other}}\n"
    "  - name: rest\n"
    "    fields:\n"
    "      - {in: $.o, value: value, time: time, same: true, prefix: s_}\n"
    "      - {in: $, same: true, names: {st: {metric: state, map: {1: normal}}}}\n"
    "    values: {level: \"$hex.list[-1].v\", temperature: $b64.t, starts: $b64.x_9, firmware: "
    "\"$inner[\\\"a b\\\"][0]\"}\n";

struct seen {
    size_t n_samples, n_values;
    uint64_t hash;
};

static struct seen look(const struct decoded *d, const struct profile_verdict *v)
{
    struct seen s = {d->n_samples, d->n_values, (uint64_t)v->outcome};
    size_t at = 0;
    for (size_t i = 0; i < d->n_samples; i++) {
        const struct decoded_sample *o = &d->samples[i];
        ASSERT(o->first == at);
        at += o->n;
        ASSERT(at <= d->n_values);
        s.hash = hash64(s.hash, o->device, o->device_len);
        s.hash = hash64(s.hash, o->point, o->point_len);
        s.hash = hash64(s.hash, &o->time_ms, o->has_time ? sizeof(o->time_ms) : 0);
    }
    ASSERT(at == d->n_values);
    for (size_t i = 0; i < d->n_values; i++) {
        const struct decoded_value *o = &d->values[i];
        s.hash = hash64(s.hash, o->key, o->key_len);
        ASSERT(o->quality <= QUALITY_BAD && o->reason < REASON_N);
        ASSERT((o->quality == QUALITY_GOOD) == (o->reason == REASON_NONE));
        if (o->v.type == VALUE_STRING)
            s.hash = hash64(s.hash, o->v.s.p, o->v.s.n);
        else
            ASSERT(o->v.type != VALUE_FLOAT || o->v.f - o->v.f == 0); /* finite */
    }
    return s;
}

static struct profile_set *open_set(void)
{
    struct problems *p = problems_new(50);
    struct catalog *c;
    struct profile_set *s = NULL;
    struct profile_text file = {"f", profile_text, sizeof(profile_text) - 1};
    ASSERT(catalog_parse(catalog_text, sizeof(catalog_text) - 1, "c", p, &c) == 0);
    if (profile_set_open(&file, 1, c, NULL, p, &s) < 0)
        for (size_t i = 0; i < problems_count(p); i++)
            check_failed(problems_get(p, i), __FILE__, __LINE__);
    problems_free(p);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct profile_set *set;
    static struct profile_run *x;
    static struct decoded out;
    static struct topic_pattern *patterns[2];
    struct topic_match match = {.n = 0};
    struct profile_verdict v;
    if (!set) {
        const char *why;
        set = open_set();
        x = profile_run_new(65536);
        for (size_t i = 0; i < 2; i++)
            ASSERT(topic_compile(profile_topic(profile_set_at(set, 0), i), &patterns[i],
                                 &why) == 0);
    }
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    size_t topic_len = line ? (size_t)(line - data) : 0, at = line ? topic_len + 1 : 0;
    char *topic = mem_dup(data, topic_len);
    char *payload = mem_zalloc(size - at + JSON_PADDING);
    memcpy(payload, data + at, size - at);
    if (!topic_matches(patterns[0], topic, topic_len, &match))
        (void)topic_matches(patterns[1], topic, topic_len, &match);
    struct profile_input in = {.topic = topic,
                               .topic_len = topic_len,
                               .match = &match,
                               .payload = payload,
                               .len = size - at,
                               .received_ms = 1767225600000};
    const struct profile *p = profile_set_at(set, 0);
    profile_run_trace(x, false);
    profile_decode(p, x, &in, &out, &v);
    ASSERT(v.outcome == PROFILE_SAMPLES || (out.n_samples == 0 && out.n_values == 0));
    struct seen first = look(&out, &v);
    profile_run_trace(x, true);
    profile_decode(p, x, &in, &out, &v);
    struct seen second = look(&out, &v);
    ASSERT(memcmp(&first, &second, sizeof(first)) == 0);
    for (size_t i = 0; i < out.n_values; i++) {
        struct profile_trace t;
        ASSERT(profile_trace_value(x, i, &t));
        ASSERT(strlen(t.path) < sizeof(t.path) && strlen(t.raw) < sizeof(t.raw));
    }
    free(topic);
    free(payload);
    return 0;
}
