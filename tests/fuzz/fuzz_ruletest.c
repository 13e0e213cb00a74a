/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test files of rules. What is refused must have said why; what is accepted must make a world or
 * say why not, and run to its end, twice with the same outcome.
 */
#include "base/check.h"
#include "base/zone.h"
#include "core/ruletest_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORK = 20000 }; /* of one test: longer ones are not run */

static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "      mode: {type: enum, zh: 模式, en: Mode, codes: [{code: 0, name: auto, zh: 自动, en: "
    "Auto}, {code: 1, name: hand, zh: 手动, en: Hand}]}\n";
static const char rules_text[] =
    "version: 1\ngroups:\n  - name: g\n    rules:\n"
    "      - id: sump-high\n        kind: sump\n        title: 水位过高\n        action: 检查\n"
    "        levels:\n"
    "          - {severity: major, when: level > 0.8, off: level < 0.6, for: 60s}\n"
    "          - {severity: critical, when: level > 1.2, off: level < 1.0, for: 10s}\n"
    "        off_for: 2m\n        no_data: {after: 30m, policy: alert, severity: warning}\n"
    "      - id: pump\n        kind: sump\n        title: 水泵\n        action: 检查\n"
    "        latch: true\n        work: full\n"
    "        levels: [{severity: minor, when: pump_on, off: not pump_on}]\n";
static const char fewer_text[] =
    "version: 1\ngroups:\n  - name: g\n    rules:\n"
    "      - id: pump\n        kind: sump\n        title: 水泵\n        action: 检查\n"
    "        levels: [{severity: major, when: pump_on or mode == hand, off: not pump_on}]\n";

/* libfyaml 0.7.12 leaks a scan buffer when a quoted scalar ends in a syntax error (fuzz_conf.c). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static struct zone *zone;

static struct world *world_of(const struct ruletest *t, const char *rules)
{
    struct world_text catalog = {"catalog.yaml", catalog_text, strlen(catalog_text)};
    struct world_text text = {"rules.yaml", rules, strlen(rules)};
    struct problems *p = problems_new(50);
    struct world *w = NULL;
    int r = ruletest_world(t, &catalog, &text, 1, zone, p, &w);
    ASSERT((r == 0) == (w != NULL));
    ASSERT(r == 0 || problems_errors(p) > 0);
    problems_free(p);
    return w;
}

/* Messages and minutes that a test would take. */
static bool is_short(const struct ruletest *t, const struct test *x)
{
    double work = 0, last = x->end_ns > 0 ? (double)x->end_ns : 0;
    for (size_t i = 0; i < x->n_series; i++) {
        const struct series *s = &x->series[i];
        double length = (double)s->from_ns + (double)s->late_ns +
                        (double)s->interval_ns * (double)s->values.samples;
        work += (double)s->values.samples * (s->dup + 1) * (double)t->n_list;
        last = length > last ? length : last;
    }
    for (size_t i = 0; i < x->n_steps; i++) {
        double at = (double)x->steps[i].at_ns, shift = (double)x->steps[i].shift_ns;
        last = at > last ? at : last;
        if (shift > 3e18 || shift < -3e18 || x->steps[i].kind == STEP_CRASH)
            work *= 2;
    }
    for (size_t i = 0; i < x->n_expects; i++)
        if (x->expects[i].to_ns != INT64_MAX && (double)x->expects[i].to_ns > last)
            last = (double)x->expects[i].to_ns;
    return work + last / (double)NS_MINUTE < MAX_WORK && x->n_steps < 100;
}

static void run_twice(const struct ruletest *t, size_t i, const struct world *const *worlds)
{
    struct ruletest_cover *c = ruletest_cover_new();
    struct ruletest_options o = {.worlds = worlds, .cover = c, .whole = true};
    struct ruletest_result a, b;
    struct ruletest_branches n;
    struct buf text;
    ruletest_run(t, i, &o, &a);
    o.cover = NULL;
    ruletest_run(t, i, &o, &b);
    ASSERT(a.passed == b.passed && a.transitions == b.transitions && a.values == b.values &&
           a.records == b.records && a.text.len == b.text.len);
    ASSERT(a.text.len == 0 || memcmp(a.text.data, b.text.data, a.text.len) == 0);
    ASSERT(a.passed == (a.text.len == 0));
    ASSERT(!a.text.data || !strstr(buf_cstr(&a.text), ": the replay after the crash said"));
    ASSERT(!a.text.data || !strstr(buf_cstr(&a.text), ": the state, saved and read back"));
    buf_init(&text, 1 << 20);
    ruletest_cover_print(c, &text, &n);
    ASSERT(n.seen <= n.all);
    buf_done(&text);
    buf_done(&a.text);
    buf_done(&b.text);
    ruletest_cover_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems *p = problems_new(20);
    struct ruletest *t = NULL;
    if (!zone && zone_open("Asia/Shanghai", &zone) != 0)
        abort();
    int r = ruletest_parse((const char *)data, size, "t.yaml", p, &t);
    ASSERT((r == 0) == (problems_errors(p) == 0));
    ASSERT((r == 0) == (t != NULL));
    problems_free(p);
    if (!t)
        return 0;
    if (t->n_list <= 100 && ruletest_sets(t) <= 8) {
        const struct world *worlds[8] = {NULL};
        bool all = true;
        for (size_t i = 0; i < ruletest_sets(t); i++) {
            worlds[i] = all ? world_of(t, i % 2 ? fewer_text : rules_text) : NULL;
            all = all && worlds[i];
        }
        for (size_t i = 0; all && i < ruletest_tests(t) && i < 4; i++)
            if (is_short(t, &t->tests[i]))
                run_twice(t, i, worlds);
        for (size_t i = 0; i < ruletest_sets(t); i++)
            world_free((struct world *)(uintptr_t)worlds[i]);
    }
    ruletest_free(t);
    return 0;
}
