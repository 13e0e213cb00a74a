/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's files, separated by form feeds: compounds, devices, params. What is accepted
 * must be found again: every device by code and by source, every compound, with a series that
 * says its kind and device; what is refused must have said why.
 */
#include "base/check.h"
#include "core/registry.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const char catalogue[] =
    "kinds:\n"
    "  smoke:\n"
    "    zh: 烟感\n"
    "    en: Smoke\n"
    "    metrics:\n"
    "      alarm: {type: bool, zh: 报警, en: Alarm}\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 位, en: Level}\n"
    "  lamp: {zh: 灯, en: Lamp, metrics: {power: {type: int, unit: W, zh: 功率, en: Power}}}\n";

static struct catalog *catalog;

static void check_device(const struct registry *r, const struct device *d)
{
    ASSERT(registry_find(r, d->code, strlen(d->code)) == d);
    const struct device *by_source =
        registry_find_source(r, d->source_id, strlen(d->source_id));
    ASSERT(by_source == d || (d->source_given && d->retired));
    if (d->replaces)
        ASSERT(d->replaces->replaced_by == d && d->replaces->retired && d->replaces != d);
    const struct compound *now = registry_compound_now(r, d->compound);
    ASSERT(!*now->merged_into && registry_same_compound(r, d, now->code, strlen(now->code)));
    if (*d->compound->split_from)
        ASSERT(registry_same_compound(r, d, d->compound->split_from,
                                      strlen(d->compound->split_from)));
    ASSERT(registry_compound(r, d->compound->code, strlen(d->compound->code)) == d->compound);
    ASSERT(registry_same_compound(r, d, d->compound->code, strlen(d->compound->code)));
    ASSERT(strlen(d->series) == d->series_len);
    size_t n = strlen(d->kind->name);
    ASSERT(strncmp(d->series, d->kind->name, n) == 0 && d->series[n] == ',');
    struct buf bad;
    buf_init(&bad, 1 << 20);
    ASSERT(device_put_series_bad(d, &bad) == 0 && bad.len == d->series_len + 4u);
    ASSERT(strncmp(bad.data, d->kind->name, n) == 0 && strncmp(bad.data + n, "_bad", 4) == 0);
    ASSERT(strcmp(buf_cstr(&bad) + n + 4, d->series + n) == 0);
    buf_done(&bad);
    ASSERT(strstr(d->series, ",device=") && !strchr(d->series, '\n'));
    if (*d->uplink)
        ASSERT(registry_find(r, d->uplink, strlen(d->uplink)));
    for (size_t i = 0; i < d->kind->n_metrics; i++) {
        double min, max;
        registry_range(r, d, &d->kind->metrics[i], &min, &max);
        ASSERT(min <= max);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems *p = problems_new(20);
    if (!catalog)
        ASSERT(catalog_parse(catalogue, sizeof(catalogue) - 1, "c", p, &catalog) == 0);
    struct registry_input in[3] = {
        {"compounds.csv", NULL, 0}, {"devices.csv", NULL, 0}, {"params.csv", NULL, 0}};
    const char *at = (const char *)data, *end = at + size;
    for (int i = 0; i < 3 && at; i++) {
        const char *next = i < 2 && at < end ? memchr(at, '\f', (size_t)(end - at)) : NULL;
        in[i].text = at;
        in[i].len = (size_t)((next ? next : end) - at);
        at = next ? next + 1 : NULL;
    }
    struct registry *r = NULL;
    int rc = registry_parse(&in[0], &in[1], &in[2], catalog, p, &r);
    ASSERT((rc == 0) == (problems_errors(p) == 0));
    ASSERT((rc == 0) == (r != NULL));
    for (size_t i = 0; i < problems_count(p); i++)
        ASSERT(!strchr(problems_get(p, i), '\n'));
    for (size_t i = 0; r && i < registry_devices(r); i++) {
        ASSERT(registry_device_at(r, i)->index == i);
        check_device(r, registry_device_at(r, i));
    }
    for (size_t i = 0; r && i < registry_compounds(r); i++) {
        const struct compound *c = registry_compound_at(r, i);
        ASSERT(registry_compound(r, c->code, strlen(c->code)) == c);
        const struct compound *to = registry_compound_resolve(r, c->code, strlen(c->code));
        ASSERT(to && !*to->merged_into);
    }
    registry_free(r);
    problems_free(p);
    return 0;
}
