/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules: golden files (tests/data/rules: NAME.yaml gives exactly NAME.txt: the problems, then the rules
 * if there are any), the shipped rules, lints, and schedules against a plain reading of the clock.
 * Run from the top of the tree. GOLDEN_WRITE=1 writes the .txt files anew.
 */
#include "base/mem.h"
#include "core/rules.h"
#include "unit/golden.h"

#include <errno.h>
#include <time.h>

static const char catalog_text[] =
    "version: 1\n"
    "kinds:\n"
    "  sump:\n"
    "    zh: 集水井\n"
    "    en: Sump\n"
    "    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: z, en: e}\n"
    "      pump_on: {type: bool, zh: z, en: e}\n"
    "      fault: {type: bool, zh: z, en: e}\n"
    "      battery_pct: {type: float, unit: \"%\", min: 0, max: 100, zh: z, en: e}\n"
    "  smoke:\n"
    "    zh: 烟感\n"
    "    en: Smoke\n"
    "    life_safety: true\n"
    "    metrics:\n"
    "      alarm: {type: bool, zh: z, en: e}\n"
    "      battery_pct: {type: float, unit: \"%\", min: 0, max: 100, zh: z, en: e}\n"
    "      state: {type: enum, zh: z, en: e, codes: [{code: 0, name: normal, zh: z, en: e}, "
    "{code: 1, name: alarm, zh: z, en: e}]}\n"
    "  pump:\n"
    "    zh: 水泵\n"
    "    en: Pump\n"
    "    metrics:\n"
    "      \"on\": {type: bool, zh: z, en: e}\n"
    "      fault: {type: bool, zh: z, en: e}\n"
    "      pressure: {type: float, unit: MPa, min: 0, max: 2, zh: z, en: e}\n";

static struct catalog *catalog;

static int set_up(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    int r = catalog_parse(catalog_text, sizeof(catalog_text) - 1, "c", p, &catalog);
    problems_free(p);
    return r;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_free(catalog);
    return 0;
}

/* -- parsing in the test's words ----------------------------------------------------------- */

static uint32_t every_minute(void *ctx, const struct kind *k)
{
    (void)ctx;
    return strcmp(k->name, "sump") == 0 ? 60 : 0;
}

static struct rules *parse(const char *const *texts, size_t n, struct buf *said)
{
    static const char *const names[] = {"a.yaml", "b.yaml", "c.yaml"};
    struct rules_text files[3];
    struct problems *p = problems_new(500);
    struct rules *r = NULL;
    for (size_t i = 0; i < n; i++) {
        /* Exactly as long: ASan sees a byte too far. */
        char *copy = malloc(strlen(texts[i]) + 1);
        assert_non_null(copy);
        memcpy(copy, texts[i], strlen(texts[i]) + 1);
        files[n - 1 - i] = (struct rules_text){names[i], copy, strlen(copy)};
    }
    int rc = rules_parse(files, n, catalog, every_minute, NULL, p, &r);
    assert_int_equal(rc == 0, r != NULL);
    assert_int_equal(rc, problems_errors(p) ? -EINVAL : 0);
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(said, "%s\n", problems_get(p, i));
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)files[i].text);
    problems_free(p);
    return r;
}

static struct rules *good(const char *text)
{
    struct buf said;
    buf_init(&said, 1 << 20);
    struct rules *r = parse(&text, 1, &said);
    if (!r)
        fail_msg("%s", buf_cstr(&said));
    buf_done(&said);
    return r;
}

static void says(const char *text, const char *want)
{
    struct buf said;
    buf_init(&said, 1 << 20);
    struct rules *r = parse(&text, 1, &said);
    if (strcmp(buf_cstr(&said), want) != 0)
        fail_msg("%s\nsaid:\n%s\nexpected:\n%s", text, buf_cstr(&said), want);
    buf_done(&said);
    rules_free(r);
}

#define HEAD  "version: 1\ngroups:\n- name: g\n  rules:\n"
#define RULE  "  - {id: r, kind: sump, title: t, action: a, no_data: {policy: alert}, "
#define BARE  "  - {id: r, kind: sump, title: t, action: a, "
#define LEVEL "levels: [{severity: minor, when: level > 1, off: level < 0.9}]"

/* -- golden files --------------------------------------------------------------------------- */

static void put_rule(struct buf *b, const struct rule *x)
{
    static const char *const works[] = {"none", "ack", "full"};
    static const char *const silence[] = {"keep", "alert", "clear"};
    (void)buf_printf(b, "%u %s (%s, line %d) %s/%s | %s/%s\n", x->index, x->id, x->group,
                     x->line, x->title_zh, x->title_en, x->action_zh, x->action_en);
    (void)buf_printf(b, "  class %s work %s%s%s%s%s\n", x->class_, works[x->work],
                     x->latch ? " latch" : "", x->life_safety ? " life-safety" : "",
                     x->unverified ? " unverified" : "", *x->source ? " source" : "");
    for (size_t k = 0; k < catalog_kinds(catalog); k++) {
        const struct kind *kind = catalog_kind_at(catalog, k);
        const struct rule_level *l = rule_levels(x, kind);
        for (size_t i = 0; l && i < x->n_levels; i++)
            (void)buf_printf(b, "  %s: %s when %s off %s for %llu off_for %llu\n", kind->name,
                             severity_name(l[i].severity), l[i].on_text,
                             l[i].off_text ? l[i].off_text : "-",
                             (unsigned long long)(l[i].for_ns / 1000000),
                             (unsigned long long)(l[i].off_for_ns / 1000000));
    }
    (void)buf_printf(b, "  %s gap %llu fresh %llu miss %u/%u unknown %d",
                     x->mode == RULE_HOLD ? "hold" : "samples",
                     (unsigned long long)(x->max_gap_ns / 1000000),
                     (unsigned long long)(x->fresh_ns / 1000000), x->miss, x->miss_of,
                     x->unknown);
    if (x->has_no_data)
        (void)buf_printf(b, " no_data %s %s after %llu", silence[x->no_data],
                         severity_name(x->no_data_severity),
                         (unsigned long long)(x->no_data_after_ns / 1000000));
    if (x->damps)
        (void)buf_printf(b, " flapping %u/%llu/%llu", x->flap_changes,
                         (unsigned long long)(x->flap_within_ns / 1000000),
                         (unsigned long long)(x->flap_settle_ns / 1000000));
    for (size_t i = 0; i < x->n_windows; i++)
        (void)buf_printf(b, " window %03x %u-%u", x->windows[i].days, x->windows[i].from_min,
                         x->windows[i].to_min);
    (void)buf_puts(b, x->resolve_on_close ? " resolve\n" : "\n");
    for (size_t i = 0; i < x->n_points; i++)
        (void)buf_printf(b, "  point %s\n", x->points[i]);
    for (size_t i = 0; i < x->n_compounds; i++)
        (void)buf_printf(b, "  compound %s\n", x->compounds[i]);
    for (size_t i = 0; i < x->n_tiers; i++)
        (void)buf_printf(b, "  tier %s\n", x->tiers[i]);
    for (size_t i = 0; i < x->n_firms; i++)
        (void)buf_printf(b, "  firm %s\n", x->firms[i]);
    for (size_t i = 0; i < x->n_params; i++)
        (void)buf_printf(b, "  $%s %s %s\n", x->params[i].name,
                         x->params[i].unit ? x->params[i].unit : "-",
                         x->params[i].has_default ? "default" : "none");
}

static void say(const char *name, const char *text, size_t len, struct buf *out)
{
    struct rules_text t = {name, text, len};
    struct problems *p = problems_new(1000);
    struct rules *r = NULL;
    int rc = rules_parse(&t, 1, catalog, NULL, NULL, p, &r);
    assert_int_equal(rc == 0, problems_errors(p) == 0);
    put_problems(out, p);
    for (size_t i = 0; r && i < rules_count(r); i++)
        put_rule(out, rules_at(r, i));
    rules_free(r);
    problems_free(p);
}

static void golden_files(void **state)
{
    (void)state;
    expect_folder("tests/data/rules", 6, say);
}

/* -- sets ----------------------------------------------------------------------------------- */

static void no_files_are_an_empty_set(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    struct rules *r = NULL;
    const struct rule *const *list;
    assert_int_equal(rules_parse(NULL, 0, catalog, NULL, NULL, p, &r), 0);
    assert_int_equal(rules_count(r), 0);
    assert_int_equal(rules_of_kind(r, catalog_kind_at(catalog, 0), &list), 0);
    assert_null(rules_find(r, "x", 1));
    assert_int_equal(rules_calendar(r)->n_holidays, 0);
    rules_free(r);
    rules_free(NULL);
    problems_free(p);
}

static void files_make_one_set(void **state)
{
    (void)state;
    /* Handed over in the wrong order: the names' order counts. */
    const char *const texts[] = {
        "version: 1\ncalendar: {holidays: [\"2026-10-01..2026-10-03\"]}\n"
        "groups: [{name: a, rules: [{id: z, kind: pump, title: t, no_data: {}},\n"
        "  {id: y, kinds: [sump, pump], title: t, no_data: {}}]}]\n",
        "version: 1\ncalendar: {holidays: [2026-10-02, 2027-01-01], workdays: [2026-10-10]}\n"
        "groups: [{name: b, rules: [{id: x, kind: \"*\", title: t, no_data: {}}]}]\n",
    };
    struct buf said;
    buf_init(&said, 1 << 16);
    struct rules *r = parse(texts, 2, &said);
    const struct rule *const *list;
    assert_non_null(r);
    assert_int_equal(rules_count(r), 3);
    assert_string_equal(rules_at(r, 0)->id, "z");
    assert_string_equal(rules_at(r, 0)->file, "a.yaml");
    assert_string_equal(rules_at(r, 2)->id, "x");
    assert_string_equal(rules_at(r, 2)->group, "b");
    assert_ptr_equal(rules_find(r, "y", 1), rules_at(r, 1));
    assert_null(rules_find(r, "yy", 2));
    assert_null(rules_find(r, "", 0));
    assert_int_equal(rules_of_kind(r, catalog_kind(catalog, "smoke", 5), &list), 1);
    assert_string_equal(list[0]->id, "x");
    assert_int_equal(rules_of_kind(r, catalog_kind(catalog, "pump", 4), &list), 3);
    assert_string_equal(list[0]->id, "z");
    assert_string_equal(list[2]->id, "x");
    const struct expr_calendar *c = rules_calendar(r);
    assert_int_equal(c->n_holidays, 4);
    assert_int_equal(c->n_workdays, 1);
    assert_int_equal(c->holidays[0], 20727); /* 2026-10-01 */
    assert_int_equal(c->holidays[3], 20819); /* 2027-01-01 */
    assert_int_equal(c->workdays[0], 20736);
    rules_free(r);
    buf_done(&said);
}

static void a_name_is_there_once(void **state)
{
    (void)state;
    const char *const texts[] = {
        "version: 1\ngroups: [{name: a, rules: [{id: x, kind: pump, title: t, no_data: "
        "{}}]}]\n",
        "version: 1\ngroups: [{name: a, rules: [{id: x, kind: pump, title: t, no_data: "
        "{}}]}]\n",
    };
    struct buf said;
    buf_init(&said, 1 << 16);
    assert_null(parse(texts, 2, &said));
    assert_string_equal(
        buf_cstr(&said),
        "b.yaml:2:33: error: rule \"x\" is there already, in line 2 of a.yaml\n");
    buf_done(&said);
}

static uint64_t hash_of(const char *rest)
{
    char *text = mem_printf(HEAD RULE "%s}\n", rest);
    struct rules *r = good(text);
    uint64_t h = rules_at(r, 0)->hash;
    rules_free(r);
    free(text);
    return h;
}

static void the_hash_is_of_what_alarms(void **state)
{
    (void)state;
    static const char *const other[] = {
        LEVEL ", mode: hold",
        LEVEL ", max_gap: 5m",
        LEVEL ", tolerate: {miss: 1, of: 5}",
        LEVEL ", unknown: \"false\"",
        LEVEL ", flapping: off",
        LEVEL ", latch: true",
        LEVEL ", life_safety: true",
        LEVEL ", points: a",
        LEVEL ", only: {firms: f}",
        LEVEL ", schedule: {windows: [{from: \"01:00\"}]}",
        LEVEL ", schedule: {windows: [{from: \"01:00\", days: mon}]}",
        LEVEL ", params: {p: 1}",
        LEVEL ", off_for: 1s",
        "levels: [{severity: major, when: level > 1, off: level < 0.9}]",
        "levels: [{severity: minor, when: level > 1.1, off: level < 0.9}]",
        "levels: [{severity: minor, when: level > 1, off: level < 0.8}]",
        "levels: [{severity: minor, when: level > 1}]",
        "levels: [{severity: minor, when: level > 1, off: level < 0.9, for: 1s}]",
    };
    uint64_t hashes[20] = {hash_of(LEVEL)};
    size_t n = 1;
    assert_true(hashes[0] ==
                hash_of(LEVEL ", work: full, source: s, class: c, unverified: true"));
    assert_true(hashes[0] ==
                hash_of("levels: [{severity: minor, when: 'level  >  1 m', off: level<0.9}]"));
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        hashes[n] = hash_of(other[i]);
        for (size_t k = 0; k < n; k++)
            if (hashes[k] == hashes[n])
                fail_msg("%s has the hash of %s", other[i], k ? other[k - 1] : LEVEL);
        n++;
    }
}

static void a_star_takes_the_kinds_that_can(void **state)
{
    (void)state;
    struct rules *r =
        good(HEAD "  - {id: r, kind: \"*\", title: t, levels: [{severity: info, when: "
                  "battery_pct < 20 %, off: battery_pct > 30 %}]}\n");
    const struct rule *x = rules_at(r, 0);
    const struct rule *const *list;
    assert_non_null(rule_levels(x, catalog_kind(catalog, "sump", 4)));
    assert_non_null(rule_levels(x, catalog_kind(catalog, "smoke", 5)));
    assert_null(rule_levels(x, catalog_kind(catalog, "pump", 4)));
    assert_int_equal(rules_of_kind(r, catalog_kind(catalog, "pump", 4), &list), 0);
    assert_int_equal(rules_of_kind(r, catalog_kind(catalog, "smoke", 5), &list), 1);
    rules_free(r);
}

/* -- lints ---------------------------------------------------------------------------------- */

static void lints_are_warnings(void **state)
{
    (void)state;
    says(HEAD RULE LEVEL "}\n", "");
    says(HEAD "  - {id: r, kind: sump, title: t, action: a, " LEVEL "}\n",
         "a.yaml:5:10: warning: no rule of kind sump has no_data with policy alert: nobody is "
         "told when such a "
         "device is silent\n");
    says(HEAD "  - {id: r, kind: sump, title: t, action: a, no_data: {policy: keep}, " LEVEL
              "}\n",
         "a.yaml:5:10: warning: no rule of kind sump has no_data with policy alert: nobody is "
         "told when such a device is silent\n");
    says(HEAD "  - {id: r, kind: sump, title: t, no_data: {}}\n",
         "a.yaml:5:10: warning: no action: who is told does not know what to do\n");
    says(HEAD RULE "levels: [{severity: minor, when: level > 1}]}\n",
         "a.yaml:5:105: warning: no off: level has no hysteresis, a value at its limit comes "
         "and "
         "goes\n");
    says(HEAD RULE "levels: [{severity: minor, when: level > 1, off: level < 1.2}]}\n",
         "a.yaml:5:105: warning: when and off are both true, e.g. at 1.1: off must lie beyond "
         "when\n");
    says(HEAD RULE "levels: [{severity: minor, when: level > 2, off: level < 1}, {severity: "
                   "major, when: level > 1.5, off: level < 1}]}\n",
         "a.yaml:5:157: warning: levels cross: at 1.75 it is major, but not minor, the level "
         "below\n");
    says(
        HEAD RULE "levels: [{severity: minor, when: level > 1, off: level < 0.9, for: 30s}]}\n",
        "a.yaml:5:105: warning: for is shorter than the 60 s between two reports of kind sump: "
        "it is one report more, not longer\n");
    says(HEAD RULE "levels: [{severity: minor, when: level > 5.5, off: level < 5}]}\n",
         "a.yaml:5:105: warning: can never be true: the plausible ranges of sump in the "
         "catalogue "
         "leave no such value\n");
    says(HEAD RULE "levels: [{severity: minor, when: level > -1, off: level < -2}]}\n",
         "a.yaml:5:105: warning: is always true: all values in the plausible ranges of sump in "
         "the catalogue fit\n");
    says(HEAD RULE "levels: [{severity: minor, when: level > 1 or level < 2, off: pump_on}]}\n",
         "a.yaml:5:105: warning: is always true: all values in the plausible ranges of sump in "
         "the catalogue fit\n");
    says(HEAD RULE
         "levels: [{severity: minor, when: level > 2 and level < 1, off: pump_on}]}\n",
         "a.yaml:5:105: warning: can never be true: the plausible ranges of sump in the "
         "catalogue leave no such value\n");
    says(HEAD RULE "levels: [{severity: minor, when: level > 2, off: level < 0}]}\n",
         "a.yaml:5:105: warning: off can never be true: the plausible ranges of sump in the "
         "catalogue leave no such value, and what began does not end\n");
    says(HEAD RULE LEVEL ", schedule: {windows: [{days: [mon, tue], from: \"22:00\", to: "
                         "\"23:59\"}, {days: [tue, wed], from: \"00:00\", to: \"06:00\"}]}}\n",
         "a.yaml:5:10: warning: schedule: between two windows it rests for 1 min, first on "
         "Monday "
         "at 23:59: a window ends before the minute in `to`\n");
    says(HEAD RULE LEVEL ", schedule: {windows: [{days: mon, from: \"22:00\", to: \"23:00\"}, "
                         "{days: mon, from: \"23:30\", to: \"24:00\"}]}}\n",
         "");
    says(HEAD RULE LEVEL ", schedule: {windows: [{from: \"06:00\", to: \"06:00\"}]}}\n",
         "a.yaml:5:10: warning: schedule: the windows leave nothing out, it is always in "
         "force\n");
    says(HEAD RULE LEVEL
         ", schedule: {windows: [{days: mon}, {days: [mon], to: \"24:00\"}]}}\n",
         "a.yaml:5:10: warning: schedule: window 2 is the same as window 1\n");
    says(HEAD RULE LEVEL "}\n  - {id: s, kind: sump, title: t, action: a, levels: [{severity: "
                         "major, when: level>1 m, off: level < 0.8}]}\n",
         "a.yaml:6:79: warning: the same condition as that of rule \"r\"\n");
    says(HEAD
         "  - {id: r, kind: smoke, title: t, action: a, life_safety: true, no_data: {policy: "
         "clear}, levels: [{severity: critical, when: alarm}]}\n",
         "a.yaml:5:10: warning: no_data: clear in a rule of life-safety: silence ends its "
         "alarms\n"
         "a.yaml:5:10: warning: no rule of kind smoke has no_data with policy alert: nobody is "
         "told when such a device is silent\n");
    says(HEAD RULE LEVEL ", unverified: true}\n",
         "a.yaml: warning: unverified limits, compare them with your devices and rules: r\n");
}

static void lints_put_the_defaults_in(void **state)
{
    (void)state;
    says(HEAD RULE
         "params: {hi: {default: 100, unit: cm}}, levels: [{severity: minor, when: level > "
         "$hi, off: level < $hi + 20}]}\n",
         "a.yaml:5:145: warning: when and off are both true, e.g. at 1.1: off must lie beyond "
         "when\n");
    says(HEAD RULE
         "params: {hi: {default: 1, unit: m}, lo: {default: 0.5}}, levels: [{severity: "
         "minor, when: level > $hi + 0, off: level < 0.4}, {severity: major, when: level > "
         "$lo + 0, off: level < 0.3}]}\n",
         "a.yaml:5:222: warning: levels cross: at 0.75 it is major, but not minor, the level "
         "below\n");
    says(HEAD RULE "params: {hi: {default: 5000, unit: m}}, levels: [{severity: minor, when: "
                   "level > $hi, off: level < 1}]}\n",
         "a.yaml:5:145: warning: can never be true: the plausible ranges of sump in the "
         "catalogue leave no such value\n");
    /* a switch: its default says "not here" */
    says(HEAD RULE
         "params: {here: {default: 0, min: 0, max: 1}}, levels: [{severity: minor, when: "
         "pump_on and $here == 1}]}\n",
         "");
    says(HEAD RULE
         "params: {hi: {unit: m}}, levels: [{severity: minor, when: level > $hi, off: "
         "level < $hi - 0.1}]}\n",
         "");
    says(HEAD RULE
         "params: {hi: {default: 2, unit: m}}, levels: [{severity: minor, when: level > $hi, "
         "off: level < 1}]}\n"
         "  - {id: s, kind: sump, title: t, action: a, params: {top: {default: 3, unit: m}}, "
         "levels: [{severity: major, when: level > $top, off: level < 1}]}\n",
         "");
}

static void lints_know_the_clock(void **state)
{
    (void)state;
    says(HEAD RULE
         "levels: [{severity: minor, when: hour() >= 22 and hour() < 6 and level > 1, off: "
         "level < 0.5}]}\n",
         "a.yaml:5:105: warning: can never be true, at no hour of the week: over midnight, "
         "expected between(\"22:00\", \"06:00\")\n");
    says(HEAD RULE
         "levels: [{severity: minor, when: 'hour() >= 22 or hour() < 6', off: level < "
         "0.5}]}\n",
         "");
    says(HEAD RULE
         "levels: [{severity: minor, when: 'between(\"22:00\", \"06:00\") and hour() == "
         "5 and weekday() == 7', off: level < 0.5}]}\n",
         "");
    says(HEAD RULE "levels: [{severity: minor, when: 'between(\"22:00\", \"22:30\") and not "
                   "between(\"22:00\", \"22:29\")', off: level < 0.5}]}\n",
         "");
    says(
        HEAD BARE LEVEL
        ", no_data: {after: 30s, policy: alert, severity: minor}, off_for: 1m, max_gap: 40s}\n",
        "a.yaml:5:10: warning: no_data: after is shorter than the 60 s between two reports of "
        "kind sump: a healthy device is silent each time\n"
        "a.yaml:5:10: warning: max_gap is shorter than the 60 s between two reports of kind "
        "sump: no time is counted between them\n");
    says(HEAD BARE LEVEL
         ", no_data: {after: 60s, policy: alert, severity: minor}, max_gap: 60s}\n",
         "");
}

static void too_much_that_is_grave(void **state)
{
    (void)state;
    struct buf text, said;
    buf_init(&text, 1 << 16);
    (void)buf_puts(&text, HEAD);
    for (int i = 0; i < 20; i++)
        (void)buf_printf(
            &text,
            "  - {id: r%d, kind: sump, title: t, action: a, no_data: {policy: alert}, levels: "
            "[{severity: %s, when: level > 1.%02d, off: level < 0.9}]}\n",
            i,
            i < 2   ? "critical"
            : i < 5 ? "major"
                    : "minor",
            i);
    buf_init(&said, 1 << 16);
    const char *t = buf_cstr(&text);
    struct rules *r = parse(&t, 1, &said);
    assert_string_equal(
        buf_cstr(&said),
        "a.yaml: warning: of 20 levels of rules other than life-safety 2 are critical and 3 "
        "major, expected about 5 and 15 in a hundred: what is always grave is soon not read\n");
    rules_free(r);
    buf_done(&said);
    buf_done(&text);
}

/* -- schedules ------------------------------------------------------------------------------ */

static struct rules *scheduled(const char *windows)
{
    char *text = mem_printf(
        "version: 1\ncalendar: {holidays: [\"2026-10-01..2026-10-07\"], workdays: "
        "[2026-10-10]}\ngroups: [{name: g, rules: [{id: r, kind: sump, title: t, no_data: {},\n"
        "  schedule: {windows: %s}}]}]\n",
        windows);
    struct rules *r = good(text);
    free(text);
    return r;
}

static int64_t utc(int y, int m, int d, int h, int min, int s)
{
    struct tm t = {.tm_year = y - 1900,
                   .tm_mon = m - 1,
                   .tm_mday = d,
                   .tm_hour = h,
                   .tm_min = min,
                   .tm_sec = s};
    return (int64_t)timegm(&t) * 1000;
}

static struct zone *zone(const char *name)
{
    struct zone *z;
    assert_int_equal(zone_open(name, &z), 0);
    return z;
}

/* 2026-11-23 is a Monday. Times are those of Shanghai. */
static void a_window_belongs_to_the_day_it_starts(void **state)
{
    (void)state;
    struct rules *r = scheduled("[{days: [mon], from: \"22:00\", to: \"06:00\"}]");
    struct zone *z = zone("Asia/Shanghai");
    const struct rule *x = rules_at(r, 0);
    const struct expr_calendar *c = rules_calendar(r);
    int64_t monday = utc(2026, 11, 22, 16, 0, 0); /* its midnight */
    const int64_t hour = 3600000;
    static const struct {
        int64_t at_ms; /* after Monday's midnight */
        bool open;
    } cases[] = {
        {0, false}, /* of Sunday's night: not Monday's */
        {6 * 3600000 - 1, false},
        {22 * 3600000 - 1, false},
        {22 * 3600000, true},
        {24 * 3600000 - 1, true},
        {24 * 3600000, true}, /* Tuesday 00:00:00.000 is inside */
        {24 * 3600000 + 1, true},
        {30 * 3600000 - 1, true},
        {30 * 3600000, false}, /* 06:00:00.000 is not */
        {46 * 3600000, false}, /* Tuesday 22:00 */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (rule_in_force(x, c, z, monday + cases[i].at_ms) != cases[i].open)
            fail_msg("case %zu", i);
    assert_int_equal(rule_next_boundary(x, c, z, monday), monday + 22 * hour);
    assert_int_equal(rule_next_boundary(x, c, z, monday + 22 * hour), monday + 30 * hour);
    assert_int_equal(rule_next_boundary(x, c, z, monday + 30 * hour - 1), monday + 30 * hour);
    assert_int_equal(rule_next_boundary(x, c, z, monday + 30 * hour),
                     monday + (7 * 24 + 22) * hour);
    zone_free(z);
    rules_free(r);
}

static void the_second_window_of_a_day_counts(void **state)
{
    (void)state;
    struct rules *r =
        scheduled("[{days: [mon], from: \"08:00\", to: \"12:00\"}, {days: [mon], "
                  "from: \"12:00\", to: \"18:00\"}, {days: mon, from: \"20:00\"}]");
    struct zone *z = zone("Asia/Shanghai");
    const struct rule *x = rules_at(r, 0);
    int64_t monday = utc(2026, 11, 22, 16, 0, 0);
    const int64_t hour = 3600000;
    assert_true(rule_in_force(x, NULL, z, monday + 12 * hour));
    assert_true(rule_in_force(x, NULL, z, monday + 17 * hour));
    assert_false(rule_in_force(x, NULL, z, monday + 18 * hour));
    assert_true(rule_in_force(x, NULL, z, monday + 24 * hour - 1));
    assert_false(rule_in_force(x, NULL, z, monday + 24 * hour));
    /* Two windows that meet are no boundary. */
    assert_int_equal(rule_next_boundary(x, NULL, z, monday + 8 * hour), monday + 18 * hour);
    zone_free(z);
    rules_free(r);
}

static void holidays_and_moved_days(void **state)
{
    (void)state;
    struct rules *r = scheduled("[{days: [workday], from: \"08:00\", to: \"18:00\"}]");
    struct rules *h = scheduled("[{days: [holiday], from: \"08:00\", to: \"18:00\"}]");
    struct zone *z = zone("Asia/Shanghai");
    const struct rule *w = rules_at(r, 0), *o = rules_at(h, 0);
    const struct expr_calendar *c = rules_calendar(r);
    static const struct {
        int month, day;
        bool work;
    } days[] = {{9, 30, true},   {10, 1, false}, {10, 7, false},
                {10, 8, true},   {10, 9, true},  {10, 10, true}, /* a Saturday that is worked */
                {10, 11, false}, {10, 12, true}};
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        int64_t noon = utc(2026, days[i].month, days[i].day, 4, 0, 0);
        assert_int_equal(rule_in_force(w, c, z, noon), days[i].work);
        assert_int_equal(rule_in_force(o, c, z, noon), !days[i].work);
    }
    /* From the last working evening over the holidays to 8 October. */
    assert_int_equal(rule_next_boundary(w, c, z, utc(2026, 9, 30, 10, 0, 0)),
                     utc(2026, 10, 8, 0, 0, 0));
    zone_free(z);
    rules_free(r);
    rules_free(h);
}

static void a_far_holiday_is_found(void **state)
{
    (void)state;
    /* In force always but on days off that the calendar names: no day of the week is one. */
    const char *text =
        "version: 1\ncalendar: {holidays: [2030-05-01]}\ngroups: [{name: g, rules: "
        "[{id: r, kind: sump, title: t, no_data: {}, schedule: {windows: [{days: "
        "[workday, sat, sun]}]}}]}]\n";
    struct rules *r = good(text);
    struct zone *z = zone("Asia/Shanghai");
    const struct rule *x = rules_at(r, 0);
    const struct expr_calendar *c = rules_calendar(r);
    int64_t from = utc(2030, 4, 30, 16, 0, 0);
    assert_int_equal(rule_next_boundary(x, c, z, utc(2026, 1, 1, 0, 0, 0)), from);
    assert_int_equal(rule_next_boundary(x, c, z, from), from + 86400000);
    assert_int_equal(rule_next_boundary(x, c, z, from + 86400000), INT64_MAX);
    assert_int_equal(rule_next_boundary(x, NULL, z, from), INT64_MAX);
    zone_free(z);
    rules_free(r);
}

/* Holidays of a month end on a Friday: what comes next is Monday's, days behind the last of them. */
static void behind_long_holidays_a_week_begins(void **state)
{
    (void)state;
    static const char text[] = "version: 1\ncalendar: {holidays: "
                               "[\"2026-07-01..2026-07-31\"]}\ngroups: [{name: g, rules: "
                               "[{id: r, kind: sump, title: t, no_data: {}, schedule: "
                               "{windows: [{days: [workday], from: "
                               "\"22:00\", to: \"06:00\"}]}}]}]\n";
    struct rules *r = good(text);
    struct zone *z = zone("Asia/Shanghai");
    const struct rule *x = rules_at(r, 0);
    const struct expr_calendar *c = rules_calendar(r);
    int64_t opens = utc(2026, 8, 3, 14, 0, 0);
    assert_false(rule_in_force(x, c, z, opens - 1));
    assert_true(rule_in_force(x, c, z, opens));
    assert_int_equal(rule_next_boundary(x, c, z, utc(2026, 7, 2, 0, 0, 0)), opens);
    assert_int_equal(rule_next_boundary(x, c, z, utc(2026, 6, 30, 22, 0, 0)), opens);
    zone_free(z);
    rules_free(r);
}

static void the_clock_is_changed(void **state)
{
    (void)state;
    struct rules *r = scheduled("[{from: \"02:30\", to: \"03:30\"}]");
    struct zone *z = zone("Europe/Berlin");
    const struct rule *x = rules_at(r, 0);
    /* 2026-03-29: 02:00 CET is 03:00 CEST, so it opens with the change and is half as long. */
    int64_t change = utc(2026, 3, 29, 1, 0, 0);
    assert_false(rule_in_force(x, NULL, z, change - 1));
    assert_true(rule_in_force(x, NULL, z, change));
    assert_int_equal(rule_next_boundary(x, NULL, z, change - 3600000), change);
    assert_int_equal(rule_next_boundary(x, NULL, z, change), change + 1800000);
    /* 2026-10-25: 03:00 CEST is 02:00 CET: the half hour from 02:30 comes twice. */
    int64_t back = utc(2026, 10, 25, 1, 0, 0);
    assert_int_equal(rule_next_boundary(x, NULL, z, back - 3600000), back - 1800000);
    assert_int_equal(rule_next_boundary(x, NULL, z, back - 1800000), back);
    assert_int_equal(rule_next_boundary(x, NULL, z, back), back + 1800000);
    assert_int_equal(rule_next_boundary(x, NULL, z, back + 1800000), back + 5400000);
    zone_free(z);
    rules_free(r);
}

/* What a person would do with a wall calendar and a clock. */
static bool plain_in_force(const struct rule *x, const struct zone *z, int64_t ms)
{
    time_t local = (time_t)(ms / 1000 + zone_offset_at(z, ms));
    struct tm t;
    (void)gmtime_r(&local, &t);
    unsigned now = (unsigned)(t.tm_hour * 60 + t.tm_min), today = (unsigned)(t.tm_wday + 6) % 7;
    unsigned yesterday = (today + 6) % 7;
    for (size_t i = 0; i < x->n_windows; i++) {
        const struct rule_window *w = &x->windows[i];
        unsigned end = w->to_min > w->from_min ? w->to_min : w->to_min + 1440u;
        if ((w->days >> today & 1) && now >= w->from_min && now < end)
            return true;
        if ((w->days >> yesterday & 1) && now + 1440 >= w->from_min && now + 1440 < end)
            return true;
    }
    return false;
}

static void random_schedules(void **state)
{
    (void)state;
    static const char *const zones[] = {"Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe",
                                        "America/St_Johns", "Pacific/Apia"};
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    uint64_t seed = unit_seed();
    for (int round = 0; round < 200; round++) {
        struct buf b;
        buf_init(&b, 4096);
        (void)buf_putc(&b, '[');
        for (size_t i = 0, n = 1 + unit_random(&seed) % 3; i < n; i++)
            (void)buf_printf(
                &b, "%s{days: %s, from: \"%02u:%02u\", to: \"%02u:%02u\"}", i ? ", " : "",
                names[unit_random(&seed) % 7], (unsigned)(unit_random(&seed) % 24),
                (unsigned)(unit_random(&seed) % 60), (unsigned)(unit_random(&seed) % 24),
                (unsigned)(unit_random(&seed) % 60));
        (void)buf_putc(&b, ']');
        struct rules *r = scheduled(buf_cstr(&b));
        struct zone *z = zone(zones[unit_random(&seed) % 5]);
        const struct rule *x = rules_at(r, 0);
        /* Around the changes of clocks of both halves of the globe; Apia lost a day in 2011. */
        static const int64_t starts[] = {1774656000000, 1775260800000, 1792886400000,
                                         1325152800000};
        int64_t at =
            starts[unit_random(&seed) % 4] + (int64_t)(unit_random(&seed) % 172800) * 1000;
        bool now = plain_in_force(x, z, at);
        int64_t next = rule_next_boundary(x, NULL, z, at), found = INT64_MAX;
        assert_int_equal(rule_in_force(x, NULL, z, at), now);
        for (int64_t t = at - at % 60000 + 60000; t < at + 15 * INT64_C(86400000); t += 60000) {
            if (plain_in_force(x, z, t) != now) {
                found = t;
                break;
            }
        }
        if (found != next)
            fail_msg("%s from %lld: %lld, expected %lld", buf_cstr(&b), (long long)at,
                     (long long)next, (long long)found);
        zone_free(z);
        rules_free(r);
        buf_done(&b);
    }
}

static void always_in_force_has_no_boundary(void **state)
{
    (void)state;
    struct rules *r = scheduled("[{from: \"00:00\", to: \"24:00\"}]");
    struct rules *n = good(HEAD RULE LEVEL "}\n");
    struct zone *z = zone("Europe/Berlin");
    assert_true(rule_in_force(rules_at(r, 0), NULL, z, 0));
    assert_int_equal(rule_next_boundary(rules_at(r, 0), NULL, z, 0), INT64_MAX);
    assert_true(rule_in_force(rules_at(n, 0), NULL, z, 0));
    assert_int_equal(rule_next_boundary(rules_at(n, 0), NULL, z, 0), INT64_MAX);
    zone_free(z);
    rules_free(r);
    rules_free(n);
}

/* -- what ships ----------------------------------------------------------------------------- */

static void shipped_rules_are_good(void **state)
{
    (void)state;
    struct problems *p = problems_new(200);
    struct rules_text texts[64];
    struct catalog *c = NULL;
    struct rules *r = NULL;
    size_t n = 0, len = 0;
    char *catalog_file = slurp("config/catalog.yaml", &len);
    assert_non_null(catalog_file);
    assert_int_equal(catalog_parse(catalog_file, len, "catalog", p, &c), 0);
    DIR *d = opendir("config/rules");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[400];
        size_t name = strlen(e->d_name);
        if (e->d_name[0] == '.' || name < 5 || strcmp(e->d_name + name - 5, ".yaml") != 0)
            continue; /* config/rules/tests is a folder */
        (void)snprintf(path, sizeof(path), "config/rules/%s", e->d_name);
        texts[n].file = mem_strdup(e->d_name);
        texts[n].text = slurp(path, &texts[n].len);
        n++;
    }
    (void)closedir(d);
    int rc = rules_parse(texts, n, c, NULL, NULL, p, &r);
    for (size_t i = 0; i < problems_count(p); i++)
        if (!strstr(problems_get(p, i), ": warning: unverified limits"))
            fail_msg("%s", problems_get(p, i));
    assert_int_equal(rc, 0);
    for (size_t i = 0; i < catalog_kinds(c); i++) {
        const struct rule *const *list;
        const struct kind *k = catalog_kind_at(c, i);
        size_t rules = rules_of_kind(r, k, &list), own = 0;
        for (size_t j = 0; j < rules; j++)
            own += list[j]->n_kinds == 1;
        bool only_profiles = strcmp(k->name, "tracker") == 0 || strcmp(k->name, "valve") == 0 ||
                             strcmp(k->name, "io") == 0;
        if (!own && !only_profiles)
            fail_msg("kind %s has no rule of its own", k->name);
    }
    for (size_t i = 0; i < rules_count(r); i++) {
        const struct rule *x = rules_at(r, i);
        bool chinese = false;
        for (const char *s = x->title_zh; *s; s++)
            chinese = chinese || (unsigned char)*s >= 0xe4;
        if (!chinese || !*x->action_zh || !*x->source ||
            strcmp(x->title_zh, x->title_en) == 0 || strcmp(x->action_zh, x->action_en) == 0)
            fail_msg("%s: title, action or source", x->id);
        if (x->life_safety && x->work != RULE_WORK_FULL)
            fail_msg("%s: life-safety without work: full", x->id);
        if (strstr(x->source, "经验值") && !x->unverified)
            fail_msg("%s: a guess that is not marked unverified", x->id);
    }
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)texts[i].file);
        free((char *)(uintptr_t)texts[i].text);
    }
    rules_free(r);
    catalog_free(c);
    problems_free(p);
    free(catalog_file);
}

/* Every text between `begin` and `end` that starts as a file of rules; without warnings other than
 * of what is unverified, and of silence, which another file tells. */
static size_t run_blocks(const char *page, const char *begin, const char *end,
                         const struct catalog *c)
{
    size_t len, n = 0;
    char *text = slurp(page, &len);
    if (!text)
        fail_msg("no %s", page);
    for (char *s = text; (s = strstr(s, begin));) {
        s += strlen(begin);
        char *stop = strstr(s, end);
        assert_non_null(stop);
        if (strncmp(s, "version: 1\n", 11) != 0)
            continue;
        struct problems *p = problems_new(100);
        struct rules_text t = {page, s, (size_t)(stop - s)};
        struct rules *r = NULL;
        (void)rules_parse(&t, 1, c, NULL, NULL, p, &r);
        for (size_t i = 0; i < problems_count(p); i++)
            if (!strstr(problems_get(p, i), ": warning: unverified limits") &&
                !strstr(problems_get(p, i),
                        "with policy alert: nobody")) /* devices.yaml does */
                fail_msg("block %zu: %s", n + 1, problems_get(p, i));
        assert_non_null(r);
        rules_free(r);
        problems_free(p);
        n++;
    }
    free(text);
    return n;
}

static void pages_work_as_they_stand(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    struct catalog *c = NULL;
    size_t len = 0;
    char *text = slurp("config/catalog.yaml", &len);
    assert_int_equal(catalog_parse(text, len, "catalog", p, &c), 0);
    assert_int_equal(run_blocks("docs/rules.md", "```yaml\n", "```", c), 3);
    assert_int_equal(run_blocks("docs/rules.zh-CN.md", "```yaml\n", "```", c), 3);
    assert_int_equal(
        run_blocks("daemon/man/gaihou-rules.5", ".Bd -literal -offset indent\n", ".Ed", c), 1);
    catalog_free(c);
    problems_free(p);
    free(text);
}

/* The words that a wrong one is answered with stand in the manual page. */
static void the_manual_has_every_word(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "qqqqqqqqqqqqqqqqqqqq: 1\n",
        "version: 1\ncalendar: {qqqqqqqqqqqqqqqqqqqq: 1}\n",
        HEAD "  - {qqqqqqqqqqqqqqqqqqqq: 1}\n",
        HEAD RULE "levels: [{qqqqqqqqqqqqqqqqqqqq: 1}]}\n",
        HEAD RULE "mode: qqqqqqqqqqqqqqqqqqqq}\n",
        HEAD RULE "unknown: qqqqqqqqqqqqqqqqqqqq}\n",
        HEAD RULE "work: qqqqqqqqqqqqqqqqqqqq}\n",
        HEAD RULE "only: {qqqqqqqqqqqqqqqqqqqq: 1}}\n",
        HEAD RULE "params: {p: {qqqqqqqqqqqqqqqqqqqq: 1}}}\n",
        HEAD RULE "flapping: {qqqqqqqqqqqqqqqqqqqq: 1}}\n",
        HEAD RULE "tolerate: {qqqqqqqqqqqqqqqqqqqq: 1}}\n",
        HEAD RULE "schedule: {qqqqqqqqqqqqqqqqqqqq: 1}}\n",
        HEAD RULE "schedule: {windows: [{qqqqqqqqqqqqqqqqqqqq: 1}]}}\n",
        HEAD RULE "schedule: {windows: [{days: qqqqqqqqqqqqqqqqqqqq}]}}\n",
        HEAD RULE "schedule: {on_close: qqqqqqqqqqqqqqqqqqqq}}\n",
        HEAD "  - {no_data: {qqqqqqqqqqqqqqqqqqqq: 1}}\n",
        HEAD "  - {no_data: {policy: qqqqqqqqqqqqqqqqqqqq}}\n",
        HEAD "  - {no_data: {severity: qqqqqqqqqqqqqqqqqqqq}}\n",
    };
    size_t len, words = 0;
    char *page = slurp("daemon/man/gaihou-rules.5", &len);
    assert_non_null(page);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct buf said;
        buf_init(&said, 1 << 16);
        assert_null(parse(&wrong[i], 1, &said));
        char *line = strstr(said.data, "qqqq\", expected ");
        if (!line)
            fail_msg("%s: no list of words in:\n%s", wrong[i], said.data);
        line += strlen("qqqq\", expected ");
        *strchr(line, '\n') = '\0';
        for (char *save = NULL, *w = strtok_r(line, ", ", &save); w;
             w = strtok_r(NULL, ", ", &save)) {
            char needle[80];
            (void)snprintf(needle, sizeof(needle), " %s", w);
            if (strcmp(w, "or") != 0 && !strstr(page, needle))
                fail_msg("gaihou-rules(5) lacks \"%s\"", w);
            words++;
        }
        buf_done(&said);
    }
    assert_true(words > 80);
    free(page);
}

static void severities_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < SEVERITIES; i++) {
        enum severity s;
        const char *name = severity_name((enum severity)i);
        assert_int_equal(severity_parse(name, strlen(name), &s), 0);
        assert_int_equal(s, i);
    }
    enum severity s;
    assert_int_equal(severity_parse("maj", 3, &s), -EINVAL);
}

/* The 65th would never be counted, and its rule never fire. */
static void conditions_of_counts(void **state)
{
    (void)state;
    for (int n = 64; n <= 66; n++) {
        struct buf text, said;
        buf_init(&text, 1 << 20);
        buf_init(&said, 1 << 20);
        (void)buf_puts(&text, "version: 1\ngroups:\n  - name: g\n    rules:\n");
        for (int i = 0; i <= n; i++) /* two say the same */
            (void)buf_printf(&text,
                             "      - {id: r%d, kind: pump, title: t, action: a, levels: "
                             "[{severity: minor, when: 'count_over(building, sump, level > "
                             "0.%02d%s) >= 2'}]}\n",
                             i, i ? i : 1, i ? "" : "0");
        const char *all = buf_cstr(&text);
        struct rules *r = parse(&all, 1, &said);
        assert_int_equal(r != NULL, n == 64);
        const char *first = strstr(buf_cstr(&said), "error: ");
        if (n > 64) {
            assert_non_null(first);
            assert_non_null(strstr(first, "count_over: kind sump is counted by more than 64"));
            assert_null(strstr(first + 1, "error: ")); /* once */
            assert_non_null(strstr(buf_cstr(&said), "a.yaml:70:"));
        }
        rules_free(r);
        buf_done(&text);
        buf_done(&said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files),
        cmocka_unit_test(no_files_are_an_empty_set),
        cmocka_unit_test(files_make_one_set),
        cmocka_unit_test(a_name_is_there_once),
        cmocka_unit_test(the_hash_is_of_what_alarms),
        cmocka_unit_test(a_star_takes_the_kinds_that_can),
        cmocka_unit_test(lints_are_warnings),
        cmocka_unit_test(lints_put_the_defaults_in),
        cmocka_unit_test(lints_know_the_clock),
        cmocka_unit_test(too_much_that_is_grave),
        cmocka_unit_test(a_window_belongs_to_the_day_it_starts),
        cmocka_unit_test(the_second_window_of_a_day_counts),
        cmocka_unit_test(holidays_and_moved_days),
        cmocka_unit_test(a_far_holiday_is_found),
        cmocka_unit_test(behind_long_holidays_a_week_begins),
        cmocka_unit_test(the_clock_is_changed),
        cmocka_unit_test(random_schedules),
        cmocka_unit_test(always_in_force_has_no_boundary),
        cmocka_unit_test(shipped_rules_are_good),
        cmocka_unit_test(pages_work_as_they_stand),
        cmocka_unit_test(the_manual_has_every_word),
        cmocka_unit_test(severities_have_names),
        cmocka_unit_test(conditions_of_counts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
