/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader of rules: any text is either refused with reasons or makes a set that answers every
 * question: the same again gives the same hashes, indexes agree, and the next boundary of a
 * schedule is the first place where it changes.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/rules.h"

#include <stdlib.h>
#include <string.h>

/* As in fuzz_conf.c: libfyaml's own, on some syntax errors. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump: {zh: z, en: e, metrics: {level: {type: float, unit: m, min: 0, max: 5, zh: z, en: "
    "e}, temperature: {type: float, unit: Cel, zh: z, en: e}, pump_on: {type: bool, zh: z, en: "
    "e}, starts: {type: int, zh: z, en: e}, firmware: {type: string, zh: z, en: e}, state: "
    "{type: enum, zh: z, en: e, codes: [{code: 0, name: normal, zh: z, en: e}, {code: 1, name: "
    "alarm, zh: z, en: e}]}}}\n"
    "  smoke: {zh: z, en: e, life_safety: true, metrics: {alarm: {type: bool, zh: z, en: "
    "e}}}\n";

static uint32_t expected(void *ctx, const struct kind *k)
{
    (void)ctx;
    return k->index ? 0 : 60;
}

static void ask_schedule(const struct rules *r, const struct rule *x, const struct zone *z)
{
    const struct expr_calendar *c = rules_calendar(r);
    int64_t at = INT64_C(1774656000000); /* the clocks of Europe change a day later */
    for (int i = 0; i < 3; i++) {
        bool now = rule_in_force(x, c, z, at);
        int64_t next = rule_next_boundary(x, c, z, at);
        ASSERT(next > at);
        if (next == INT64_MAX)
            return;
        ASSERT(rule_in_force(x, c, z, next) != now);
        ASSERT(rule_in_force(x, c, z, next - 1) == now);
        int64_t middle = at + (next - at) / 2;
        ASSERT(rule_in_force(x, c, z, middle) == now);
        at = next;
    }
}

static void ask(const struct rules *r, const struct catalog *c, const struct zone *z)
{
    for (size_t i = 0; i < rules_count(r); i++) {
        const struct rule *x = rules_at(r, i);
        ASSERT(x->index == i && rules_find(r, x->id, strlen(x->id)) == x);
        ASSERT(x->title_zh && x->title_en && x->action_zh && x->class_ && x->group &&
               x->source);
        ASSERT(x->n_levels <= RULE_MAX_LEVELS && x->n_windows <= RULE_MAX_WINDOWS);
        ASSERT(x->n_levels || x->has_no_data);
        for (size_t k = 0; k < catalog_kinds(c); k++) {
            const struct kind *kind = catalog_kind_at(c, k);
            const struct rule_level *l = rule_levels(x, kind);
            const struct rule *const *list;
            size_t n = rules_of_kind(r, kind, &list), found = 0;
            for (size_t j = 0; j < n; j++) {
                found += list[j] == x;
                ASSERT(j == 0 || list[j]->index > list[j - 1]->index);
            }
            ASSERT(found <= 1 && (!l || found));
            for (size_t v = 0; l && v < x->n_levels; v++)
                ASSERT(l[v].on && l[v].on_text &&
                       (v == 0 || l[v].severity > l[v - 1].severity));
        }
        ask_schedule(r, x, z);
    }
    const struct expr_calendar *days = rules_calendar(r);
    for (size_t i = 1; i < days->n_holidays; i++)
        ASSERT(days->holidays[i] > days->holidays[i - 1]);
}

static struct rules *parse(const char *text, size_t size, const struct catalog *c)
{
    struct problems *p = problems_new(50);
    struct rules_text file = {"f", text, size};
    struct rules *r = NULL;
    int e = rules_parse(&file, 1, c, expected, NULL, p, &r);
    ASSERT((e == 0) == (problems_errors(p) == 0) && (e == 0) == (r != NULL));
    problems_free(p);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct catalog *c;
    static struct zone *z;
    if (!c) {
        struct problems *p = problems_new(50);
        ASSERT(catalog_parse(catalog_text, sizeof(catalog_text) - 1, "c", p, &c) == 0);
        ASSERT(zone_open("Europe/Berlin", &z) == 0);
        problems_free(p);
    }
    char *text = mem_strndup((const char *)data, size); /* exactly as long: ASan sees the end */
    struct rules *r = parse(text, size, c);
    if (r) {
        struct rules *again = parse(text, size, c);
        ask(r, c, z);
        for (size_t i = 0; i < rules_count(r); i++)
            ASSERT(rules_at(again, i)->hash == rules_at(r, i)->hash);
        rules_free(again);
    }
    rules_free(r);
    free(text);
    return 0;
}
