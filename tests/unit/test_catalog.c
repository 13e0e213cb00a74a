/* SPDX-License-Identifier: Apache-2.0 */
#include "core/catalog.h"

#include "unit/golden.h"

#include <time.h>

static struct catalog *shipped(void)
{
    size_t len;
    char *text = slurp("config/catalog.yaml", &len);
    struct problems *p = problems_new(100);
    struct catalog *c = NULL;
    int rc = catalog_parse(text, len, "catalog.yaml", p, &c);
    for (size_t i = 0; i < problems_count(p); i++)
        print_error("%s\n", problems_get(p, i));
    assert_int_equal(rc, 0);
    assert_int_equal(problems_count(p), 0);
    problems_free(p);
    free(text);
    return c;
}

static void shipped_catalogue_is_sound(void **state)
{
    (void)state;
    static const char *const kinds[] = {
        "elevator", "sump",   "manhole",   "gas",       "smoke",       "electric-fire",
        "hydrant",  "pump",   "lamp",      "charger",   "ebike-shed",  "parking",
        "heating",  "leak",   "meter",     "waste",     "sos",         "access",
        "power",    "uplink", "drain-gas", "structure", "environment", "water-supply"};
    struct catalog *c = shipped();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!catalog_kind(c, kinds[i], strlen(kinds[i])))
            fail_msg("no kind %s", kinds[i]);
    for (size_t i = 0; i < catalog_kinds(c); i++) {
        const struct kind *k = catalog_kind_at(c, i);
        assert_ptr_equal(catalog_kind(c, k->name, strlen(k->name)), k);
        assert_non_null(catalog_metric(c, k, "online", 6));
        for (size_t j = 0; j < k->n_metrics; j++) {
            const struct metric *m = &k->metrics[j];
            assert_ptr_equal(catalog_metric(c, k, m->name, m->name_len), m);
            assert_int_equal(m->index, j);
            assert_true(*m->title_zh && *m->title_en && *m->unit);
            for (size_t x = 0; x < m->n_codes; x++) {
                const struct metric_code *e = &m->codes[x];
                assert_ptr_equal(metric_code(m, e->name, strlen(e->name)), e);
                assert_ptr_equal(metric_code_by_number(m, e->code), e);
            }
        }
        assert_null(catalog_metric(c, k, "no_such_metric", 14));
        assert_null(catalog_metric(c, k, "", 0));
        assert_null(catalog_metric(c, k, "onlin", 5));
    }
    assert_null(catalog_kind(c, "elevato", 7));
    assert_null(catalog_kind(c, "elevator\0x", 10));
    const struct kind *lift = catalog_kind(c, "elevator", 8);
    assert_true(lift->life_safety);
    const struct metric *f = catalog_metric(c, lift, "fault_code", 10);
    for (int64_t code = 1; code <= 10; code++)
        assert_non_null(metric_code_by_number(f, code));
    assert_string_equal(metric_code_by_number(f, 37)->name, "ebike_in_car");
    assert_null(metric_code_by_number(f, 11));
    catalog_free(c);
}

static void golden(const char *name)
{
    char path[256];
    size_t len;
    (void)snprintf(path, sizeof(path), "tests/data/registry/%s.yaml", name);
    char *text = slurp(path, &len);
    struct problems *p = problems_new(100);
    struct catalog *c = NULL;
    assert_int_not_equal(catalog_parse(text, len, "catalog.yaml", p, &c), 0);
    assert_null(c);
    expect_problems(p, name);
    problems_free(p);
    free(text);
}

static void all_problems_in_one_pass(void **state)
{
    (void)state;
    golden("catalog-bad");
}

static void sets_and_their_replacement(void **state)
{
    (void)state;
    static const char text[] =
        "common:\n"
        "  a:\n"
        "    x: {type: int, unit: s, min: 1, max: 2, zh: 一, en: One}\n"
        "    y: {type: bool, zh: 二, en: Two}\n"
        "kinds:\n"
        "  k:\n"
        "    zh: 种\n"
        "    en: K\n"
        "    use: [a]\n"
        "    metrics:\n"
        "      x: {type: float, unit: m, sentinels: [-1, 9.5], zh: 三, en: T}\n"
        "      z: {type: string, zh: 四, en: F}\n";
    struct problems *p = problems_new(10);
    struct catalog *c = NULL;
    assert_int_equal(catalog_parse(text, sizeof(text) - 1, "c", p, &c), 0);
    const struct kind *k = catalog_kind(c, "k", 1);
    assert_int_equal(k->n_metrics, 3);
    const struct metric *x = catalog_metric(c, k, "x", 1);
    assert_int_equal(x->type, METRIC_FLOAT);
    assert_string_equal(x->unit, "m");
    assert_false(x->has_min || x->has_max);
    assert_int_equal(x->n_sentinels, 2);
    assert_true(x->sentinels[1] == 9.5);
    assert_int_equal(x->index, 0);
    catalog_free(c);
    problems_free(p);
}

/* Printed for people to compare; not asserted. */
static void look_up_time(void **state)
{
    (void)state;
    struct catalog *c = shipped();
    const struct kind *k = catalog_kind(c, "elevator", 8);
    struct timespec a, b;
    uintptr_t sum = 0;
    const int rounds = 200000;
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < rounds; i++)
        for (size_t j = 0; j < k->n_metrics; j++) {
            const struct metric *m = &k->metrics[j];
            sum += (uintptr_t)catalog_metric(c, k, m->name, m->name_len);
        }
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    print_message("catalog_metric: %.1f ns (%d)\n", ns / rounds / (double)k->n_metrics,
                  sum != 0);
    catalog_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_catalogue_is_sound),
        cmocka_unit_test(all_problems_in_one_pass),
        cmocka_unit_test(sets_and_their_replacement),
        cmocka_unit_test(look_up_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
