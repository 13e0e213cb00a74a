/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SITE_H
#define SIM_SITE_H
/* site — the catalogue, the compounds and two profiles of the simulated ring: a vendor's gateway with
 * its children, and Sparkplug. */

static const char catalogue[] =
    "version: 1\n"
    "kinds:\n"
    "  sump:\n"
    "    zh: 集水井\n"
    "    en: Sump\n"
    "    metrics:\n"
    "      n: {type: int, zh: 号, en: Number}\n"
    "      level: {type: float, unit: m, min: 0, max: 1000, sentinels: [99.99], zh: 水位, en: "
    "Level}\n"
    "      mode: {type: enum, zh: 模式, en: Mode, codes: [{code: 0, name: auto, zh: 自动, en: "
    "Auto}, {code: 1, name: manual, zh: 手动, en: Manual}]}\n"
    "      text: {type: string, zh: 文字, en: Text}\n"
    "  smoke:\n"
    "    zh: 烟感\n"
    "    en: Smoke\n"
    "    life_safety: true\n"
    "    metrics:\n"
    "      n: {type: int, zh: 号, en: Number}\n"
    "      alarm: {type: bool, zh: 报警, en: Alarm}\n"
    "      level: {type: float, zh: 浓度, en: Level}\n";
static const char vendor[] __attribute__((unused)) =
    "version: 1\n"
    "profile: vendor\n"
    "kinds: [sump]\n"
    "topics: [\"v/{gw}/up\"]\n"
    "messages:\n"
    "  - name: up\n"
    "    each: $.rec[*]\n"
    "    device: \"{@.d}\"\n"
    "    point: \"{@.p}\"\n"
    "    time: \"@.t\"\n"
    "    id: \"{$.id}\"\n"
    "    values: {n: \"@.n\", level: \"@.level\"}\n";
static const char plug[] __attribute__((unused)) =
    "version: 1\n"
    "profile: plug\n"
    "kinds: [sump]\n"
    "topics: [\"spBv1.0/{group}/{type}/{node}\"]\n"
    "decode: sparkplug-b\n"
    "device: \"{group}{node}\"\n"
    "time: {from: $.timestamp, format: ms}\n"
    "messages:\n"
    "  - name: death\n"
    "    when: {sparkplug: death}\n"
    "    alive: false\n"
    "    values: {text: {const: gone}}\n"
    "  - name: birth\n"
    "    when: {sparkplug: birth}\n"
    "    values: {n: $.values.n, level: $.values.level, text: {const: born}}\n"
    "  - name: data\n"
    "    when: {sparkplug: [data, unborn]}\n"
    "    values: {n: $.values.n, level: $.values.level}\n";
static const char compounds[] = "compound,name,city,district\nc1,One,cq,nan\nc2,Two,cq,nan\n";

#endif
