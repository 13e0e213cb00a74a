/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/registry_private.h"
#include "core/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICE, NAME, VALUE, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
    [DEVICE] = {"device", true}, [NAME] = {"name", true}, [VALUE] = {"value", true}};

static void begin(struct sheet *s)
{
    s->r->params = mem_zalloc_array(s->rows, sizeof(*s->r->params));
}

/* range.METRIC.min|max: the metric of this device's kind. */
static const struct metric *range_metric(const struct registry *r, const struct device *d,
                                         const char *name, bool *out_max)
{
    size_t n = strlen(name);
    if (n < 11 || strncmp(name, "range.", 6) != 0)
        return NULL;
    const char *end = name + n - 4;
    if (strcmp(end, ".min") != 0 && strcmp(end, ".max") != 0)
        return NULL;
    *out_max = end[2] == 'a';
    return catalog_metric(r->catalog, d->kind, name + 6, n - 10);
}

static bool check_name(const struct sheet *s, const struct device *d, const char *name)
{
    bool max;
    if (text_is_name(name, strlen(name)))
        return true;
    if (strncmp(name, "range.", 6) != 0) {
        sheet_error(s, NAME,
                    "name \"%.100s\", expected [a-z][a-z0-9_]* or range.METRIC.min or .max",
                    name);
        return false;
    }
    const struct metric *m = range_metric(s->r, d, name, &max);
    if (m && (m->type == METRIC_FLOAT || m->type == METRIC_INT))
        return true;
    if (m) {
        sheet_error(s, NAME, "metric \"%s\" is no number and has no range", m->name);
        return false;
    }
    const char *names[CATALOG_MAX_METRICS], *metric = name + 6;
    char word[80] = "";
    size_t n = strcspn(metric, ".");
    memcpy(word, metric, n < 79 ? n : 79);
    for (size_t i = 0; i < d->kind->n_metrics; i++)
        names[i] = d->kind->metrics[i].name;
    const char *near = err_nearest(word, names, d->kind->n_metrics);
    bool known = near && strcmp(near, word) == 0;
    if (known)
        sheet_error(s, NAME, "name \"%.100s\", expected range.%s.min or range.%s.max", name,
                    near, near);
    else
        sheet_error(s, NAME, "kind \"%s\" has no metric \"%s\"%s%s%s", d->kind->name, word,
                    near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return false;
}

static void on_row(struct sheet *s)
{
    struct registry *r = s->r;
    const char *code = sheet_text(s, DEVICE), *name = sheet_text(s, NAME),
               *value = sheet_text(s, VALUE);
    double v = 0;
    bool good = true;
    if (!text_double(value, strlen(value), &v)) {
        sheet_error(s, VALUE, "value \"%.40s\" is no number", value);
        good = false;
    }
    const struct device *d = registry_find(r, code, strlen(code));
    if (!d) {
        if (!r->devices_refused)
            sheet_error(s, DEVICE, "unknown device \"%.64s\"", code);
        return;
    }
    if (!check_name(s, d, name) || !good)
        return;
    if (r->n_params == s->rows) {
        sheet_error(s, DEVICE, "more than %d parameters", REGISTRY_MAX_PARAMS);
        return;
    }
    r->params[r->n_params++] = (struct param){.device = d->index,
                                              .line = (uint32_t)s->row->line,
                                              .name = sheet_keep(s, NAME),
                                              .value = v};
}

static int by_device_and_name(const void *pa, const void *pb)
{
    const struct param *a = pa, *b = pb;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->line > b->line) - (a->line < b->line);
}

static int by_device_and_metric(const void *pa, const void *pb)
{
    const struct range *a = pa, *b = pb;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return (a->metric > b->metric) - (a->metric < b->metric);
}

static void make_ranges(struct sheet *s)
{
    struct registry *r = s->r;
    size_t n = 0;
    r->ranges = mem_zalloc_array(r->n_params, sizeof(*r->ranges));
    for (size_t i = 0; i < r->n_params; i++) {
        const struct param *p = &r->params[i];
        bool max;
        const struct metric *m = range_metric(r, &r->devices[p->device], p->name, &max);
        if (!m)
            continue;
        /* sorted by name: .max comes before .min of the same metric, with no other between */
        struct range *g = n ? &r->ranges[n - 1] : NULL;
        if (!g || g->device != p->device || g->metric != m->index) {
            g = &r->ranges[n++];
            *g =
                (struct range){.device = p->device, .metric = m->index, .min = NAN, .max = NAN};
        }
        *(max ? &g->max : &g->min) = p->value;
        r->devices[p->device].has_range = true;
    }
    r->n_ranges = n;
    qsort(r->ranges, n, sizeof(*r->ranges), by_device_and_metric);
}

/* Where each device's begin: a reload asks all of them for theirs. */
static void find_firsts(struct registry *r)
{
    if (r->n_params == 0)
        return;
    r->param_at = mem_zalloc_array(r->n_devices + 1, sizeof(*r->param_at));
    for (size_t i = 0; i < r->n_params; i++)
        r->param_at[r->params[i].device + 1]++;
    for (size_t i = 0; i < r->n_devices; i++)
        r->param_at[i + 1] += r->param_at[i];
}

/* min ≤ max, whatever of both comes from the catalogue; the n lines give one range. */
static void check_range(struct sheet *s, const struct param *p, size_t n)
{
    struct registry *r = s->r;
    const struct device *d = &r->devices[p->device];
    bool is_max, given[2] = {false, false};
    uint32_t line = 0;
    double min, max;
    const struct metric *m = NULL;
    for (size_t i = 0; i < n; i++) {
        m = range_metric(r, d, p[i].name, &is_max);
        given[is_max] = true;
        line = p[i].line > line ? p[i].line : line;
    }
    registry_range(r, d, m, &min, &max);
    if (min > max) {
        char a[NUM_MAX + 1], b[NUM_MAX + 1];
        a[num_put_double(a, min)] = '\0';
        b[num_put_double(b, max)] = '\0';
        problems_add(s->problems, s->file, (int)line, 0,
                     "range.%s of device \"%s\" is from %s%s to %s%s, expected min below max",
                     m->name, d->code, a, given[0] ? "" : " (the catalogue's)", b,
                     given[1] ? "" : " (the catalogue's)");
    }
}

/* Sorted by name: what is of one range stands together. */
static void check_ranges(struct sheet *s)
{
    const struct registry *r = s->r;
    bool max;
    for (size_t i = 0, n; i < r->n_params; i += n) {
        const struct param *p = &r->params[i];
        const struct device *d = &r->devices[p->device];
        const struct metric *m = range_metric(r, d, p->name, &max);
        n = 1;
        while (m && i + n < r->n_params && p[n].device == p->device &&
               range_metric(r, d, p[n].name, &max) == m)
            n++;
        if (m)
            check_range(s, p, n);
    }
}

static void finish(struct sheet *s, bool complete)
{
    (void)complete;
    struct registry *r = s->r;
    qsort(r->params, r->n_params, sizeof(*r->params), by_device_and_name);
    for (size_t i = 1; i < r->n_params; i++) {
        const struct param *a = &r->params[i - 1], *b = &r->params[i];
        if (a->device == b->device && strcmp(a->name, b->name) == 0)
            problems_add(s->problems, s->file, (int)b->line, 0,
                         "%s of device \"%s\" is repeated, first in line %u", b->name,
                         r->devices[b->device].code, a->line);
    }
    find_firsts(r);
    make_ranges(s);
    check_ranges(s);
}

const struct sheet_kind params_sheet = {.columns = columns,
                                        .n_columns = N_COLUMNS,
                                        .rows = REGISTRY_MAX_PARAMS,
                                        .begin = begin,
                                        .on_row = on_row,
                                        .finish = finish};
