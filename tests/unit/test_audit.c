/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/mem.h"
#include "core/audit.h"

#include <stdlib.h>
#include <string.h>

#define MIN 60000

static const char catalog_text[] = "version: 1\nkinds:\n  lamp:\n    zh: 灯\n    en: Lamp\n"
                                   "    metrics:\n      on: {type: bool, zh: 亮, en: On}\n";

static struct catalog *catalog;

static struct registry *registry_of(const char *devices)
{
    struct problems *p = problems_new(10);
    struct registry *r = NULL;
    struct registry_input in[] = {{"c", "compound\na\nb\n", 13},
                                  {"d", devices, strlen(devices)}};
    if (!catalog)
        assert_int_equal(catalog_parse(catalog_text, strlen(catalog_text), "k", p, &catalog),
                         0);
    if (registry_parse(&in[0], &in[1], NULL, catalog, p, &r) != 0)
        print_error("%s\n", problems_get(p, 0));
    assert_non_null(r);
    problems_free(p);
    return r;
}

static const char devices[] = "device,kind,compound,expected_interval,vendor,model\n"
                              "d1,lamp,a,60s,V,X\nd2,lamp,a,60s,V,X\nd3,lamp,b,,V,Y\n"
                              "d4,lamp,b,60s,W,\n";

static void speak(struct audit *a, const struct registry *r, const char *code, int64_t ms)
{
    static const struct audit_counts one = {1, 10, 2, 1, 3};
    audit_spoke(a, registry_find(r, code, strlen(code)), 0, ms, &one);
}

static void silence_is_what_exceeds_three_intervals(void **state)
{
    (void)state;
    struct registry *r = registry_of(devices);
    struct audit *a = audit_new(0, 100 * MIN);
    const struct audit_row *rows;
    audit_registry(a, r, 0);
    for (int i = 1; i <= 100; i++) {
        if (i <= 20 || i > 40)
            speak(a, r, "d1", i * MIN); /* silent from 23 to 41 */
        speak(a, r, "d2", i * MIN);
    }
    speak(a, r, "d3", 1);
    audit_end(a, 100 * MIN);
    size_t n = audit_rows(a, &(struct audit_filter){.by_device = true}, &rows);
    assert_int_equal(n, 4);
    assert_string_equal(rows[0].device, "d1");
    assert_int_equal(rows[0].silent_ms, 18 * MIN);
    assert_int_equal(rows[0].silences, 1);
    assert_int_equal(rows[0].longest_ms, 18 * MIN);
    assert_int_equal(rows[0].watched_ms, 100 * MIN);
    assert_int_equal(rows[0].n.messages, 79); /* that at minute 100 is behind the period */
    assert_int_equal(rows[1].silent_ms, 0);
    assert_int_equal(rows[2].rated, 0);            /* no expected_interval */
    assert_int_equal(rows[3].silent_ms, 97 * MIN); /* never a word */
    assert_int_equal(rows[3].spoke, 0);
    n = audit_rows(a, &(struct audit_filter){0}, &rows);
    assert_int_equal(n, 3);
    assert_string_equal(rows[0].model, "X");
    assert_int_equal(rows[0].devices, 2);
    assert_int_equal(rows[0].n.bad, 2 * (79 + 99));
    assert_int_equal(audit_rows(a, &(struct audit_filter){.vendor = "W"}, &rows), 1);
    assert_int_equal(
        audit_rows(a, &(struct audit_filter){.vendor = "V", .compound = "b"}, &rows), 1);
    audit_free(a);
    registry_free(r);
}

/* A link that breaks for seconds now and then excuses nobody. */
static void moments_are_no_outages(void **state)
{
    (void)state;
    struct registry *r = registry_of(devices);
    struct audit *a = audit_new(0, 100 * MIN);
    const struct audit_row *rows;
    audit_registry(a, r, 0);
    for (int i = 1; i <= 100; i++) {
        if (i <= 20 || i > 40)
            speak(a, r, "d1", i * MIN);
        audit_link(a, 0, false, i * MIN + 1000);
        audit_link_again(a, 0);
    }
    audit_end(a, 100 * MIN);
    (void)audit_rows(a, &(struct audit_filter){.by_device = true}, &rows);
    assert_int_equal(rows[0].silent_ms, 18 * MIN);
    audit_free(a);
    registry_free(r);
}

static void our_own_outages_are_not_theirs(void **state)
{
    (void)state;
    struct registry *r = registry_of(devices);
    struct audit *a = audit_new(0, 100 * MIN);
    const struct audit_row *rows;
    audit_registry(a, r, 0);
    for (int i = 1; i <= 100; i++) {
        if (i == 20)
            audit_link(a, 0, false, 20 * MIN);
        if (i == 30)
            audit_link(a, 1, false, 30 * MIN); /* another broker's */
        if (i == 39) {
            audit_link(a, 0, true, 39 * MIN);
            audit_link(a, 1, true, 39 * MIN);
        }
        if (i <= 20 || i > 40)
            speak(a, r, "d1", i * MIN); /* 23 to 41, excused to 39 and one interval more */
        if (i <= 60)
            speak(a, r, "d2", i * MIN);
    }
    audit_link(a, AUDIT_ALL, false, 80 * MIN); /* the gateway stops, until the end */
    audit_end(a, 100 * MIN);
    (void)audit_rows(a, &(struct audit_filter){.by_device = true}, &rows);
    assert_int_equal(rows[0].silent_ms, MIN);
    assert_int_equal(rows[1].silent_ms, (80 - 63) * MIN);
    audit_free(a);
    registry_free(r);
}

static void devices_come_and_go(void **state)
{
    (void)state;
    struct registry *r = registry_of(devices);
    struct registry *next =
        registry_of("device,kind,compound,expected_interval,retired,vendor,model\n"
                    "d1,lamp,a,60s,2026-01-01,V,X\nd5,lamp,b,60s,,V,X\nd2,lamp,b,60s,,V,Z\n");
    struct audit *a = audit_new(10 * MIN, 100 * MIN);
    const struct audit_row *rows;
    audit_registry(a, r, 0);
    for (int i = 1; i <= 50; i++)
        speak(a, r, "d2", i * MIN);
    audit_registry(a, next, 50 * MIN);
    registry_free(r);
    for (int i = 51; i <= 100; i++)
        speak(a, next, "d2", i * MIN);
    audit_end(a, 100 * MIN);
    size_t n = audit_rows(a, &(struct audit_filter){.by_device = true}, &rows);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        const struct audit_row *x = &rows[i];
        if (strcmp(x->device, "d1") == 0) { /* retired at 50: watched and silent until then */
            assert_int_equal(x->watched_ms, 40 * MIN);
            assert_int_equal(x->silent_ms, 40 * MIN);
        } else if (strcmp(x->device, "d5") == 0) {
            assert_int_equal(x->watched_ms, 50 * MIN);
            assert_int_equal(x->silent_ms, 47 * MIN);
        } else if (strcmp(x->device, "d2") == 0) {
            assert_string_equal(x->model, "Z");
            assert_int_equal(x->watched_ms, 90 * MIN);
            assert_int_equal(x->silent_ms, 0);
            assert_int_equal(x->n.messages, 90);
        }
    }
    audit_free(a);
    registry_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_what_exceeds_three_intervals),
        cmocka_unit_test(moments_are_no_outages),
        cmocka_unit_test(our_own_outages_are_not_theirs),
        cmocka_unit_test(devices_come_and_go),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    catalog_free(catalog);
    return r;
}
