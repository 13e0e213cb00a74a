/* SPDX-License-Identifier: Apache-2.0 */
/* ruletest: how test files are read, and what a run of them tells. */
#include "unit.h"

#include "base/mem.h"
#include "base/zone.h"
#include "core/ruletest_private.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- notation -------------------------------------------------------------------------------- */

static void put_run(struct buf *b, const struct values_run *u)
{
    for (uint64_t i = 0; i < u->n; i++) {
        double v = u->a + u->step * (double)i;
        (void)buf_puts(b, b->len ? " " : "");
        if (u->kind == RUN_MISSING)
            (void)buf_puts(b, "_");
        else if (u->kind == RUN_NUMBER)
            (void)buf_printf(b, "%.3f", u->scale > 0 ? round(v * u->scale) / u->scale : v);
        else
            (void)buf_printf(b, "%s%s", u->kind == RUN_BOOL ? "!" : "", u->word);
    }
}

static void notation(const char *text, const char *wanted)
{
    struct arena a;
    struct values v;
    struct buf b;
    size_t at = 0;
    const char *why = "";
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 16);
    int r = ruletest_values(text, &a, &v, &at, &why);
    for (size_t i = 0; r == 0 && i < v.n; i++)
        put_run(&b, &v.runs[i]);
    if (r != 0)
        (void)buf_printf(&b, "%zu: %s", at, why);
    assert_string_equal(buf_cstr(&b), wanted);
    buf_done(&b);
    arena_done(&a);
}

static void test_notation(void **state)
{
    (void)state;
    notation("", "");
    notation("1", "1.000");
    notation("0.5x2", "0.500 0.500 0.500"); /* promtool: once, and twice more */
    notation("1+2x3", "1.000 3.000 5.000 7.000");
    notation("1-2x3", "1.000 -1.000 -3.000 -5.000");
    notation("-1+0.5x2", "-1.000 -0.500 0.000");
    notation("_ _x3 2", "_ _ _ _ 2.000");
    notation("1x0 5", "1.000 5.000");
    notation("0.1+0.1x2 1e-1", "0.100 0.200 0.300 0.100");
    notation("true falsex1 openx2", "!true !false !false open open open");
    notation("'two words' 'ax2'x1 max", "two words ax2 ax2 max");
    notation("  3\t4\n5 ", "3.000 4.000 5.000");
    notation("1+2", "3: a step needs xN behind it, like 0.5+0.1x4");
    notation("1+x3", "2: expected a number");
    notation("1x", "2: expected how often, a number up to 1,000,000,000, after x");
    notation("1x99999999999", "13: expected how often, a number up to 1,000,000,000, after x");
    notation("1x1000000000", "0: more than 1,000,000,000 values");
    notation("1,2", "1: expected a blank between values");
    notation("'open", "0: a word in quotes does not end");
    notation("- 1", "1: expected a number");
    notation("1e308+1e308x9", "13: the series grows beyond what a number can hold");
}

/* 0.5 + 3 × 0.1 is what people mean by it. */
static void test_decimals(void **state)
{
    struct arena a;
    struct values v;
    size_t at;
    const char *why;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(ruletest_values("0.5+0.1x4 1.25-0.5x1 2e1+0.5x1", &a, &v, &at, &why), 0);
    assert_true(v.runs[0].scale == 10);
    assert_true(v.runs[1].scale == 100);
    assert_true(v.runs[2].scale == 0);
    assert_true(v.samples == 9);
    arena_done(&a);
}

static void duration(const char *s, int64_t wanted)
{
    int64_t ns = INT64_MIN;
    bool ok = ruletest_duration(s, strlen(s), &ns);
    assert_int_equal(ok, wanted != INT64_MIN);
    assert_true(ns == wanted);
}

static void test_durations(void **state)
{
    (void)state;
    duration("0", 0);
    duration("90s", 90 * NS_SECOND);
    duration("1h30m", 90 * NS_MINUTE);
    duration("+1h", 60 * NS_MINUTE);
    duration("-5s", -5 * NS_SECOND);
    duration("200ms", 200 * NS_MS);
    duration("2d1s", 2 * 1440 * NS_MINUTE + NS_SECOND);
    duration("1w", 7 * 1440 * NS_MINUTE);
    duration("", INT64_MIN);
    duration("+", INT64_MIN);
    duration("5", INT64_MIN);
    duration("m", INT64_MIN);
    duration("5x", INT64_MIN);
    duration("99999d", INT64_MIN);
    duration("7320d7320d", INT64_MIN);
    struct buf b;
    buf_init(&b, 100);
    ruletest_put_time(&b, 90 * NS_MINUTE + 5 * NS_MS);
    (void)buf_putc(&b, ' ');
    ruletest_put_time(&b, -NS_MINUTE);
    (void)buf_putc(&b, ' ');
    ruletest_put_time(&b, 0);
    assert_string_equal(buf_cstr(&b), "1h30m5ms -1m 0s");
    buf_done(&b);
}

/* -- files ----------------------------------------------------------------------------------- */

static struct ruletest *parse(const char *text, struct buf *problems)
{
    struct ruletest *t = NULL;
    struct problems *p = problems_new(50);
    int r = ruletest_parse(text, strlen(text), "t.yaml", p, &t);
    assert_int_equal(r == 0, t != NULL);
    assert_int_equal(r != 0, problems_errors(p) > 0);
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(problems, "%s\n", problems_get(p, i));
    problems_free(p);
    return t;
}

static void refused(const char *text, const char *wanted)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    struct ruletest *t = parse(text, &b);
    assert_string_equal(buf_cstr(&b), wanted);
    ruletest_free(t);
    buf_done(&b);
}

#define HEAD                                                                                   \
    "version: 1\nrules: r.yaml\ndevices: [{device: s1, kind: sump}, {device: l1, kind: "       \
    "lamp}]\ntests:\n"

static void test_mistakes(void **state)
{
    (void)state;
    refused(
        "rules: r.yaml\nversion: 2\ntest: []\n",
        "t.yaml:2:10: error: version is \"2\", expected a whole number up to 1\n"
        "t.yaml:3:1: error: unknown key \"test\" in a test file, did you mean \"tests\"?\n");
    refused("version: 1\ngroups: [{name: g, rules: []}]\n",
            "t.yaml:2:9: error: this is a file of rules, expected one that tests them\n");
    /* What is misspelt is not missing, too. */
    refused("version: 1\nrule: r.yaml\ndevices: [{device: s1, knd: sump}]\ntests: [{nam: a}]\n",
            "t.yaml:2:1: error: unknown key \"rule\" in a test file, did you mean \"rules\"?\n"
            "t.yaml:3:24: error: unknown key \"knd\" in a device, did you mean \"kind\"?\n"
            "t.yaml:4:10: error: unknown key \"nam\" in a test, did you mean \"name\"?\n");
    refused("tests: []\n", "t.yaml:1:1: error: expected `version: 1`\n"
                           "t.yaml:1:1: error: expected `rules`: which rule files are tested\n"
                           "t.yaml:1:8: error: there are no `tests`\n");
    refused("version: 1\nrules: r.yaml\ndevices: [{device: s1}]\ntests: [{name: a}]\n",
            "t.yaml:3:11: error: a device needs `device` (its code) and `kind`\n");
    refused("version: 1\nrules: r.yaml\ndevices: [{device: s1, kind: sump, firm: f1},\n"
            "  {device: s2, kind: sump, firm: f2}]\ntests: [{name: a}]\n",
            "t.yaml:4:34: error: firm \"f2\": compound \"c1\" has \"f1\" already\n");
    refused(HEAD "  - {name: a, series: [{device: s2, metric: level, values: 1}]}\n",
            "t.yaml:5:33: error: there is no device \"s2\" in `devices`, did you "
            "mean \"s1\"?\n");
    refused(HEAD "  - {name: a, series: [{device: s1, metric: level, values: \"1 2+3\"}]}\n",
            "t.yaml:5:61: error: values: \"2+3\" (byte 6): a step needs xN behind it, like "
            "0.5+0.1x4\n");
    refused(
        HEAD "  - {name: a, expect: [{transition: activatd, rule: x}]}\n"
             "  - {name: a, interval: 0}\n",
        "t.yaml:5:24: error: a transition needs `at`\n"
        "t.yaml:5:37: error: transition \"activatd\", did you mean \"activated\"?, expected "
        "one of activated recurred raised lowered cleared stale fresh flapping settled record "
        "acknowledged accepted arrived resolved confirmed fed_back closed rejected "
        "transferred reworked reset shelved unshelved masked unmasked moved rule_removed\n"
        "t.yaml:6:12: error: test \"a\" is repeated, first in line 5\n"
        "t.yaml:6:25: error: interval is 0, expected more\n");
    refused(HEAD
            "  - {name: a, expect: [{at: 5x, open: []}, {at: 7m..5m, open: []}, {open: 3}]}\n",
            "t.yaml:5:29: error: at is \"5x\", expected a time like 90s or 5m, or a range like "
            "5m..7m\n"
            "t.yaml:5:49: error: at is \"7m..5m\", expected a time like 90s or 5m, or a range "
            "like 5m..7m\n"
            "t.yaml:5:75: error: open is a value, expected a list\n");
    refused(
        HEAD "  - name: a\n    steps:\n      - {at: 5m}\n      - {at: 6m, link: away}\n"
             "      - {at: 7m, command: {case: 1, verb: akc}}\n      - {restart: true}\n"
             "      - {at: 8m, restart: maybe}\n      - {at: 9m, clock: soon}\n"
             "      - {at: 9m, link: up, late: 3m}\n",
        "t.yaml:7:9: error: a step needs `at` and one of restart, reload, command, link, "
        "clock, presence, message\n"
        "t.yaml:8:24: error: link \"away\", expected one of down up\n"
        "t.yaml:9:43: error: verb \"akc\", expected ack accept arrive resolve confirm "
        "feedback close reject transfer rework reset shelve unshelve test untest\n"
        "t.yaml:10:9: error: a step needs `at` and one of restart, reload, command, link, "
        "clock, presence, message\n"
        "t.yaml:11:27: error: restart is \"maybe\", expected true or false\n"
        "t.yaml:11:27: error: restart: expected true, crash or {down: 5m}\n"
        "t.yaml:12:25: error: clock is \"soon\", expected a time like 90s, 5m or 1h30m, + or "
        "- before it\n"
        "t.yaml:13:28: error: \"late\" belongs to a series: {device: …, metric: …, values: …, "
        "late: …}\n");
}

/* What is written and not looked at is a promise that the test does not keep. */
static void test_said_in_vain(void **state)
{
    (void)state;
    refused(
        HEAD "  - name: a\n    expect:\n"
             "      - {at: 8m, open: [], rule: high}\n"
             "      - {messages: {topic: event/f1/c1, count: 0}, device: s1}\n"
             "      - {at: 5m, is: pending, rule: high, device: s1, work: closed, value: x}\n"
             "      - {reply: done, rule: high}\n"
             "      - {at: 6m, transition: cleared, verb: ack, case: 0, quality: god}\n"
             "      - {at: 5m..6m, open: []}\n"
             "      - {no_more: false, at: 5m}\n"
             "      - {at: 6m, transition: cleared, device: s3}\n",
        "t.yaml:7:28: error: `rule` says nothing beside `open`\n"
        "t.yaml:8:28: error: topic \"event/f1/c1\" begins with none of alerts, events, "
        "urgent: the prefix is left out\n"
        "t.yaml:8:52: error: `device` says nothing beside `messages`\n"
        "t.yaml:9:55: error: `work` says nothing beside `is`\n"
        "t.yaml:9:76: error: value is \"x\", expected a number\n"
        "t.yaml:10:23: error: `rule` says nothing beside `reply`\n"
        "t.yaml:11:39: error: `verb` belongs to `reply`\n"
        "t.yaml:11:56: error: case is 0, expected 1 for the first opened\n"
        "t.yaml:11:68: error: quality \"god\", did you mean \"good\"?, expected one of good "
        "stale bad unknown\n"
        "t.yaml:12:14: error: a range of times is for transitions and replies\n"
        "t.yaml:13:9: error: `no_more` stands alone\n"
        "t.yaml:14:47: error: there is no device \"s3\" in `devices`, did you mean \"s1\"?\n");
    refused(HEAD "  - name: a\n    end: 5m\n"
                 "    steps: [{at: 6m, link: down}, {at: 4m, restart: {down: 2m}},\n"
                 "      {at: 1m, link: up, synced: true},\n"
                 "      {at: 1m, command: {case: 1, verb: ack, payload: '{}', by: x}}]\n"
                 "    expect: [{at: 7m, open: []}]\n"
                 "    series: [{device: s1, metric: level, values: \"\"}]\n",
            "t.yaml:7:13: error: the test ends before this step\n"
            "t.yaml:7:35: error: the test ends before this step\n"
            "t.yaml:8:26: error: `synced` belongs to `clock`\n"
            "t.yaml:9:46: error: `payload` is the whole payload: by, note and the like belong "
            "into it\n"
            "t.yaml:10:19: error: at is \"7m\", and the test ends before\n"
            "t.yaml:11:51: error: values is empty, expected at least one\n");
}

/* Times that no machine's 64 bits hold. */
static void test_eternity(void **state)
{
    (void)state;
    refused(HEAD "  - name: a\n    series:\n"
                 "      - {device: s1, metric: level, interval: 5000d, values: 1x1000}\n"
                 "      - {device: s1, metric: level, point: \"\", values: 1}\n"
                 "    steps: [{at: 1m, clock: +7000d}, {at: 2m, clock: -7000d}]\n",
            "t.yaml:7:9: error: the series lasts for more than 20 years\n"
            "t.yaml:8:45: error: point: expected a name of one line, at most 64 bytes\n"
            "t.yaml:9:12: error: the clock is set by more than 20 years\n");
}

static void test_devices(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 1 << 16);
    struct ruletest *t = parse("version: 1\nrules: [a.yaml, b/*.yaml]\n"
                               "defaults: {kind: sump, expected_interval: 60, grid: g1}\n"
                               "compounds: [{compound: c9, name: 一村, firm: f9}]\n"
                               "devices:\n"
                               "  - {device: s1}\n"
                               "  - {device: s2, compound: c9, params: {alarm_level: 1.1}}\n"
                               "  - {device: p, count: 2, note: \"a \\\"b\\\"\"}\n"
                               "tests:\n"
                               "  - {name: a, steps: [{at: 1m, reload: c.yaml}]}\n",
                               &b);
    assert_string_equal(buf_cstr(&b), "");
    assert_non_null(t);
    assert_int_equal(ruletest_sets(t), 2);
    assert_int_equal(ruletest_set(t, 0)->n, 2);
    assert_string_equal(ruletest_set(t, 0)->patterns[1], "b/*.yaml");
    assert_string_equal(ruletest_set(t, 1)->patterns[0], "c.yaml");
    assert_string_equal(ruletest_name(t, 0), "a");
    const char *devices = buf_cstr(&t->devices);
    assert_non_null(
        strstr(devices, "\n\"s1\",\"\",\"sump\",\"c1\",\"\",\"\",\"\",\"\",\"60\","));
    assert_non_null(strstr(devices, "\n\"p-2\",\"\",\"sump\",\"c1\""));
    assert_non_null(strstr(devices, "\"a \"\"b\"\"\""));
    assert_non_null(strstr(buf_cstr(&t->compounds), "\"c9\",\"一村\""));
    assert_non_null(strstr(buf_cstr(&t->compounds), "\"g1\",\"f1\"")); /* c1's */
    assert_non_null(strstr(buf_cstr(&t->params), "\"s2\",\"alarm_level\",\"1.1\"\n"));
    ruletest_free(t);
    buf_done(&b);
}
/* -- runs ------------------------------------------------------------------------------------ */

static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "      mode: {type: enum, zh: 模式, en: Mode, codes: [{code: 0, name: auto, zh: 自动, en: "
    "Auto}, {code: 1, name: hand, zh: 手动, en: Hand}]}\n"
    "  lamp:\n    zh: 灯\n    en: Lamp\n    metrics:\n"
    "      on: {type: bool, zh: 亮, en: On}\n"
    "      label: {type: string, zh: 标签, en: Label}\n";
static const char rules_text[] =
    "version: 1\ngroups:\n  - name: g\n    rules:\n"
    "      - id: high\n        kind: sump\n        title: 水位过高\n        action: 检查\n"
    "        levels: [{severity: major, when: level > 0.8, off: level < 0.6, for: 60s, "
    "off_for: "
    "2m}]\n"
    "        no_data: {after: 30m, policy: keep}\n";
static const char none_text[] =
    "version: 1\ngroups:\n  - name: g\n    rules:\n"
    "      - {id: pump, kind: sump, title: 泵, action: 看, no_data: {after: 9d, policy: keep}, "
    "levels: [{severity: info, when: pump_on}]}\n";

static struct world *world_of(const struct ruletest *t, const char *rules)
{
    struct world_text catalog = {"catalog.yaml", catalog_text, strlen(catalog_text)};
    struct world_text text = {"r.yaml", rules, strlen(rules)};
    struct problems *p = problems_new(50);
    struct zone *z = NULL;
    struct world *w = NULL;
    assert_int_equal(zone_open("Asia/Shanghai", &z), 0);
    if (ruletest_world(t, &catalog, &text, 1, z, p, &w) != 0)
        for (size_t i = 0; i < problems_count(p); i++)
            printf("%s\n", problems_get(p, i));
    assert_non_null(w);
    zone_free(z);
    problems_free(p);
    return w;
}

/* The first test of HEAD + text; what it says when it fails. */
static void run(const char *text, const char *wanted, struct ruletest_result *out)
{
    struct buf b;
    struct ruletest_result r;
    const struct world *worlds[4];
    buf_init(&b, 1 << 16);
    char *whole = mem_printf("%s%s", HEAD, text);
    struct ruletest *t = parse(whole, &b);
    if (!t)
        printf("%s", buf_cstr(&b));
    assert_non_null(t);
    for (size_t i = 0; i < ruletest_sets(t); i++)
        worlds[i] = world_of(t, i ? none_text : rules_text);
    ruletest_run(t, 0, &(struct ruletest_options){.worlds = worlds}, &r);
    assert_string_equal(buf_cstr(&r.text), wanted);
    assert_int_equal(r.passed, *wanted == '\0');
    buf_done(&r.text);
    for (size_t i = 0; i < ruletest_sets(t); i++)
        world_free((struct world *)(uintptr_t)worlds[i]);
    ruletest_free(t);
    free(whole);
    buf_done(&b);
    if (out)
        *out = r;
}

#define RISE "    series: [{device: s1, metric: level, values: \"0.5x4 0.9x3 0.5x5\"}]\n"
#define BOTH                                                                                   \
    "      - {at: 6m, transition: activated, rule: high, device: s1, value: 0.9}\n"            \
    "      - {at: 11m, transition: cleared, rule: high}\n"

static void test_run(void **state)
{
    struct ruletest_result r;
    (void)state;
    run("  - name: a\n" RISE "    expect:\n" BOTH
        "      - {at: 5m59s, open: []}\n      - {at: 6m, open: [{rule: high}]}\n"
        "      - {at: 5m, is: pending, rule: high, device: s1}\n"
        "      - {messages: {topic: \"events/+/c1\", count: 2}}\n",
        "", &r);
    assert_int_equal(r.values, 15);
    assert_int_equal(r.messages, 15);
    assert_int_equal(r.transitions, 2);
    assert_true(r.virtual_ns >= 14u * (uint64_t)NS_MINUTE &&
                r.virtual_ns < 14u * (uint64_t)NS_MINUTE + (uint64_t)NS_MS);
    /* whatever happens to the gateway on the way, the same; the replay of a crash checks itself */
    run("  - name: a\n" RISE
        "    steps: [{at: 330s, restart: true}, {at: 390s, restart: crash}, "
        "{at: 7m, restart: crash}, {at: 10m, restart: {down: 30s}}]\n    expect:\n" BOTH,
        "", NULL);
    run("  - name: a\n" RISE
        "    steps: [{at: 330s, link: down}, {at: 331s, link: up}, {at: 7m, "
        "clock: +2s}]\n    expect:\n" BOTH,
        "", NULL);
}

static void test_differences(void **state)
{
    (void)state;
    run("  - name: a\n" RISE "    expect:\n"
        "      - {at: 6m, transition: activated, severity: minor, state: {ack: null, rule: "
        "low}}\n"
        "      - {at: 11m, transition: cleared, rule: high}\n",
        "t.yaml:8:9: a: other transitions than expected (- expected, + came)\n"
        "    - {at: 6m, transition: activated, severity: minor, state: {ack: null, rule: "
        "low}}\n"
        "      severity: expected minor, was major\n"
        "      rule: expected low, was high\n"
        "    + {at: 6m, transition: activated, rule: high, device: s1, severity: major, value: "
        "0.9, condition: active, quality: good, work: dispatched}\n"
        "      {at: 11m, transition: cleared, rule: high, device: s1, severity: major, value: "
        "0.5, condition: normal, quality: good, work: dispatched}\n",
        NULL);
    run("  - name: a\n" RISE "    expect:\n" BOTH
        "      - {at: 8m, open: [{rule: high, device: l1}]}\n"
        "      - {at: 7m, is: normal, rule: high, device: s1, value: 1}\n"
        "      - {messages: {topic: urgent/#, count: 1}}\n"
        "      - {at: 1m, is: normal, rule: high, device: l1}\n",
        "t.yaml:13:9: a: the rule does not concern a device of this kind\n"
        "t.yaml:11:9: a: the alarm's condition is another one\n"
        "    - {at: 7m, is: normal, rule: high, device: s1, value: 1}\n"
        "    + active, quality good, severity major, value 0.9\n"
        "t.yaml:10:9: a: other cases are open (- expected, + open)\n"
        "    - {rule: high, device: l1}\n"
        "    + {at: 6m, transition: activated, rule: high, device: s1, severity: major, value: "
        "0.9, condition: active, quality: good, work: dispatched}\n"
        "t.yaml:12:9: a: another number of messages\n    - 1 on urgent/#\n    + 0\n",
        NULL);
    run("  - name: a\n" RISE "    expect:\n"
        "      - {at: 6m, transition: activated, rule: hihg}\n"
        "      - {at: 11m, transition: cleared, rule: high, urgent: true, test: true, firm: "
        "f2}\n",
        "t.yaml:8:9: a: there is no such rule\n"
        "      rule: \"hihg\", did you mean \"high\"?\n"
        "t.yaml:8:9: a: other transitions than expected (- expected, + came)\n"
        "    - {at: 6m, transition: activated, rule: hihg}\n"
        "    + {at: 6m, transition: activated, rule: high, device: s1, severity: major, value: "
        "0.9, condition: active, quality: good, work: dispatched}\n"
        "    - {at: 11m, transition: cleared, rule: high, firm: f2, test: true, urgent: true}\n"
        "      firm: expected f2, was f1\n"
        "      urgent: expected true, was false\n"
        "      test: expected true, was false\n"
        "    + {at: 11m, transition: cleared, rule: high, device: s1, severity: major, value: "
        "0.5, condition: normal, quality: good, work: dispatched}\n",
        NULL);
    run("  - name: a\n    series:\n      - {device: s1, metric: levl, values: 1}\n"
        "      - {device: s1, metric: mode, values: hant}\n",
        "t.yaml:7:9: a: the device's kind has no metric \"levl\", did you mean \"level\"?\n"
        "t.yaml:8:9: a: the metric has no code \"hant\", did you mean \"hand\"?\n",
        NULL);
    run("  - name: a\n    end: 9m\n    steps:\n"
        "      - {at: 5m, command: {case: 1, verb: ack}}\n"
        "      - {at: 6m, restart: {down: 2m}}\n"
        "      - {at: 7m, link: down}\n",
        "t.yaml:8:9: a: there is no such case: not so many were opened\n"
        "t.yaml:10:9: a: the gateway is down at that time\n",
        NULL);
}

static void test_said_wrongly(void **state)
{
    (void)state;
    run("  - name: a\n    expect: []\n",
        "t.yaml:5:5: a: nothing is said and nothing expected, expected series or steps\n",
        NULL);
    run("  - name: a\n    series: [{device: s1, metric: level, values: \"900x3 -30x2\"}]\n"
        "    expect: []\n",
        "t.yaml:5:5: a: no value is good: all are outside their metric's plausible range\n",
        NULL);
    run("  - name: a\n    steps: [{at: 1m, message: {topic: a/b, payload: \"{}\"}}]\n",
        "t.yaml:5:5: a: no source reads topic \"a/b\", expected gaihou/v1/up/COMPOUND/DEVICE\n",
        NULL);
}

/* Commands are meant to be done, where nothing else is expected of them. */
static void test_commands_not_done(void **state)
{
    (void)state;
#define CLOSE "    steps: [{at: 7m, command: {case: 1, verb: close, by: x}}]\n    expect:\n"
    run("  - name: a\n" RISE CLOSE BOTH "      - {at: 7m, reply: refused, verb: close}\n", "",
        NULL);
    struct buf b;
    struct ruletest_result r;
    const struct world *worlds[1];
    buf_init(&b, 1 << 16);
    struct ruletest *t = parse(HEAD "  - name: a\n" RISE CLOSE BOTH, &b);
    assert_non_null(t);
    worlds[0] = world_of(t, rules_text);
    ruletest_run(t, 0, &(struct ruletest_options){.worlds = worlds}, &r);
    assert_false(r.passed);
    assert_non_null(
        strstr(buf_cstr(&r.text),
               "t.yaml:5:5: a: a command was not done, and no reply is expected\n"));
    assert_non_null(strstr(buf_cstr(&r.text), "\"result\":\"refused\""));
    buf_done(&r.text);
    world_free((struct world *)(uintptr_t)worlds[0]);
    ruletest_free(t);
    buf_done(&b);
}

/* A word where a number is meant, or the other way round, is no value and a test of nothing. */
static void test_types(void **state)
{
    (void)state;
    run("  - name: a\n    series:\n"
        "      - {device: s1, metric: level, values: \"0.5 high\"}\n"
        "      - {device: s1, metric: pump_on, values: \"on\"}\n"
        "      - {device: s1, metric: mode, values: \"true\"}\n"
        "      - {device: l1, metric: label, values: \"12\"}\n"
        "      - {device: \"*\", metric: pump_on, values: \"1 0 true\"}\n",
        "t.yaml:7:9: a: level is a number, expected that and not \"high\"\n"
        "t.yaml:8:9: a: pump_on is true or false, expected that and not \"on\"\n"
        "t.yaml:9:9: a: mode is one of its codes, expected that and not \"true\"\n"
        "t.yaml:10:9: a: label is a word, expected that and not \"12\"\n"
        "t.yaml:11:9: a: the device's kind has no metric \"pump_on\"\n",
        NULL);
    struct buf b;
    buf_init(&b, 1 << 16);
    (void)buf_puts(&b, "  - name: a\n    series: [{device: l1, metric: label, values: \"'");
    for (int i = 0; i < 5000; i++)
        (void)buf_putc(&b, 'x');
    (void)buf_puts(&b, "'\"}]\n");
    run(buf_cstr(&b), "t.yaml:6:14: a: a message of more than 8192 bytes\n", NULL);
    buf_done(&b);
}

/* A test that ends within a delay passes whatever the rule does. */
static void test_end_within_a_delay(void **state)
{
#define PART "    series: [{device: s1, metric: level, values: \"0.5x4 0.9\"}]\n"
    (void)state;
    run("  - name: a\n" PART "    expect: []\n",
        "t.yaml:5:5: a: ends, at 5m, while high of s1 is pending: `end` later, to see what "
        "becomes of it, or right then\n",
        NULL);
    run("  - name: a\n    end: 5m\n" PART "    expect: []\n", "", NULL);
    run("  - name: a\n" PART "    expect: [{at: 5m, is: pending, rule: high, device: s1}]\n",
        "", NULL);
}

/* Several points of a device: an alarm each, whatever the gateway goes through. */
static void test_points(void **state)
{
#define POINTS                                                                                 \
    "    series:\n"                                                                            \
    "      - {device: s1, point: 东池, metric: level, values: \"0.5x4 0.9x3 0.5x5\"}\n"      \
    "      - {device: s1, point: b/2, metric: level, values: \"0.5x6 0.95x6\", clock: "        \
    "false}\n"                                                                                 \
    "      - {device: s1, metric: level, values: \"0.5x12\"}\n"                                \
    "      - {device: s1, metric: pump_on, values: \"truex12\"}\n"
#define POINTS_EXPECTED                                                                        \
    "      - {at: 6m, transition: activated, rule: high, device: s1, point: 东池, value: "   \
    "0.9}\n"                                                                                   \
    "      - {at: 8m, transition: activated, rule: high, point: b/2, value: 0.95}\n"           \
    "      - {at: 11m, transition: cleared, rule: high, point: 东池}\n"                      \
    "      - {at: 7m, is: active, rule: high, device: s1, point: 东池}\n"                    \
    "      - {at: 7m, is: normal, rule: high, device: s1}\n"                                   \
    "      - {at: 9m, open: [{rule: high, point: 东池}, {point: b/2}]}\n"
    struct ruletest_result r;
    (void)state;
    run("  - name: a\n" POINTS "    expect:\n" POINTS_EXPECTED, "", &r);
    assert_int_equal(r.messages,
                     15 + 14 + 13); /* the device's own two values are one message */
    assert_int_equal(r.values, 15 + 14 + 13 + 13);
    run("  - name: a\n" POINTS
        "    steps: [{at: 330s, restart: true}, {at: 7m, restart: crash}, {at: 8m10s, link: "
        "down}, {at: 8m50s, link: up}]\n    expect:\n" POINTS_EXPECTED,
        "", NULL);
    run("  - name: a\n" POINTS "    expect: [{no_more: false}, {at: 6m, transition: activated, "
        "point: c}]\n",
        "t.yaml:11:32: a: other transitions than expected (- expected, + came)\n"
        "    - {at: 6m, transition: activated, point: c}\n"
        "      point: expected c, was 东池\n"
        "    ~ {at: 6m, transition: activated, rule: high, device: s1, point: 东池, severity: "
        "major, value: 0.9, condition: active, quality: good, work: dispatched}\n"
        "    ~ {at: 8m, transition: activated, rule: high, device: s1, point: b/2, severity: "
        "major, value: 0.95, condition: active, quality: good, work: dispatched}\n"
        "    ~ {at: 11m, transition: cleared, rule: high, device: s1, point: 东池, severity: "
        "major, value: 0.5, condition: normal, quality: good, work: dispatched}\n",
        NULL);
}

/* A delay that ends with a sample does so, whoever else falls silent meanwhile. */
static void test_company(void **state)
{
    (void)state;
    run("  - name: a\n    series:\n"
        "      - {device: s1, point: a, metric: level, values: \"0.5x3\"}\n"
        "      - {device: s1, point: b, metric: level, values: \"0.5x4\"}\n"
        "      - {device: s1, point: c, metric: level, values: \"0.5x3 0.9x2\"}\n"
        "    expect: [{at: 5m, transition: activated, rule: high, point: c}]\n",
        "", NULL);
}

/* What is recorded and not told has a state, too. */
static void test_not_told(void **state)
{
    (void)state;
    run("  - name: a\n" RISE
        "    steps: [{at: 7m, command: {case: 1, verb: shelve, firm: \"-\", by: x, for: 1h}}]\n"
        "    expect:\n"
        "      - {at: 6m, transition: activated, rule: high}\n"
        "      - {at: 7m, transition: shelved, rule: high, state: {by: x}}\n"
        "      - {at: 11m, transition: cleared, rule: high, told: false, condition: normal, "
        "value: 0.5, state: {masked: shelved}}\n",
        "", NULL);
}

/* Devices that the registry refuses are told where the test file has them. */
static void test_refused_devices(void **state)
{
    struct buf b;
    struct zone *z = NULL;
    struct world *w = NULL;
    (void)state;
    buf_init(&b, 1 << 16);
    struct ruletest *t =
        parse("version: 1\nrules: r.yaml\n"
              "compounds:\n  - {compound: c1}\n  - {compound: c2, tier: best}\n"
              "devices:\n  - {device: s1, kind: sump}\n"
              "  - {device: s2, kind: sumpf, count: 2}\n"
              "  - device: s3\n    kind: sump\n    params:\n"
              "      a: 1\n      high: much\n"
              "tests: [{name: a}]\n",
              &b);
    assert_non_null(t);
    assert_int_equal(zone_open("Asia/Shanghai", &z), 0);
    struct world_text catalog = {"catalog.yaml", catalog_text, strlen(catalog_text)};
    struct world_text text = {"r.yaml", rules_text, strlen(rules_text)};
    struct problems *p = problems_new(50);
    assert_int_equal(ruletest_world(t, &catalog, &text, 1, z, p, &w), -EINVAL);
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(&b, "%s\n", problems_get(p, i));
    assert_non_null(strstr(buf_cstr(&b), "t.yaml:5:5: error: "));
    assert_non_null(strstr(buf_cstr(&b), "t.yaml:8:5: error: "));
    assert_non_null(strstr(buf_cstr(&b), "t.yaml:13:13: error: "));
    assert_null(strstr(buf_cstr(&b), "of the test"));
    problems_free(p);
    zone_free(z);
    ruletest_free(t);
    buf_done(&b);
}

/* One device, several paces: what is of one time is one message. */
static void test_messages(void **state)
{
    struct ruletest_result r;
    (void)state;
    run("  - name: a\n    series:\n"
        "      - {device: s1, metric: level, values: \"0.5x9\"}\n"
        "      - {device: s*, metric: pump_on, values: \"true _ falsex3\"}\n"
        "      - {device: s1, metric: mode, values: \"autox1\", interval: 5m}\n"
        "      - {device: s1, metric: level, values: \"0.4x1\", from: 30s, dup: 2, late: 1m}\n",
        "", &r);
    assert_int_equal(r.values, 10 + 5 + 2 + 2);
    assert_int_equal(r.messages, 10 + 2 + 2 * 3);
}

static void test_reload(void **state)
{
    (void)state;
    run("  - name: a\n" RISE "    steps: [{at: 8m, reload: none.yaml}]\n    expect:\n"
        "      - {at: 6m, transition: activated, rule: high}\n"
        "      - {at: 8m, transition: rule_removed, rule: high, work: closed}\n"
        "      - {open: []}\n",
        "", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notation),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_said_in_vain),
        cmocka_unit_test(test_eternity),
        cmocka_unit_test(test_said_wrongly),
        cmocka_unit_test(test_commands_not_done),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_end_within_a_delay),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_not_told),
        cmocka_unit_test(test_refused_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
