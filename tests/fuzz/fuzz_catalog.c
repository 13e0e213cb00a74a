/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.yaml. What is accepted must be found again by name, keep its ceilings, and have units
 * that are read; what is refused must have said why.
 */
#include "base/check.h"
#include "core/catalog.h"
#include "core/unit.h"

#include <stdint.h>
#include <string.h>

/* As in fuzz_conf.c: libfyaml's own, on some syntax errors. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static void check_metric(const struct catalog *c, const struct kind *k, const struct metric *m)
{
    struct unit u;
    ASSERT(strlen(m->name) == m->name_len);
    ASSERT(catalog_metric(c, k, m->name, m->name_len) == m);
    ASSERT(unit_parse(m->unit, strlen(m->unit), &u, NULL) == 0);
    ASSERT(!m->has_min || !m->has_max || m->min <= m->max);
    ASSERT((m->type == METRIC_ENUM) == (m->n_codes > 0));
    for (size_t i = 0; i < m->n_codes; i++) {
        const struct metric_code *e = &m->codes[i];
        ASSERT(metric_code(m, e->name, strlen(e->name)) == e);
        ASSERT(metric_code_by_number(m, e->code) == e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems *p = problems_new(20);
    struct catalog *c = NULL;
    int rc = catalog_parse((const char *)data, size, "catalog.yaml", p, &c);
    ASSERT((rc == 0) == (problems_errors(p) == 0));
    ASSERT((rc == 0) == (c != NULL));
    for (size_t i = 0; c && i < catalog_kinds(c); i++) {
        const struct kind *k = catalog_kind_at(c, i);
        ASSERT(k->index == i && catalog_kind(c, k->name, strlen(k->name)) == k);
        ASSERT(k->n_metrics > 0 && k->n_metrics <= CATALOG_MAX_METRICS);
        for (size_t m = 0; m < k->n_metrics; m++) {
            ASSERT(k->metrics[m].index == m);
            check_metric(c, k, &k->metrics[m]);
        }
    }
    catalog_free(c);
    problems_free(p);
    return 0;
}
