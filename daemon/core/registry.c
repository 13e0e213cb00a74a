/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups. The files are read in registry_parse.c and what it calls.
 */
#include "core/registry.h"
#include "base/check.h"
#include "base/hash.h"
#include "core/registry_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint64_t registry_hash(const char *s, size_t n)
{
    return hash64(hash_seed(), s, n);
}

static bool equal(const char *have, const char *key, size_t len)
{
    return strlen(have) == len && memcmp(have, key, len) == 0;
}

bool registry_same_code(const void *ctx, uint32_t value, const void *key, size_t len)
{
    return equal(((const struct registry *)ctx)->devices[value].code, key, len);
}

bool registry_same_source(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const struct device *d = &((const struct registry *)ctx)->devices[value];
    return !d->source_given && equal(d->source_id, key, len);
}

bool registry_same_name(const void *ctx, uint32_t value, const void *key, size_t len)
{
    return equal(((const struct registry *)ctx)->compounds[value].code, key, len);
}

size_t registry_devices(const struct registry *r)
{
    return r->n_devices;
}

const struct device *registry_device_at(const struct registry *r, size_t i)
{
    ASSERT(i < r->n_devices);
    return &r->devices[i];
}

size_t registry_compounds(const struct registry *r)
{
    return r->n_compounds;
}

const struct compound *registry_compound_at(const struct registry *r, size_t i)
{
    ASSERT(i < r->n_compounds);
    return &r->compounds[i];
}

const struct device *registry_find(const struct registry *r, const char *code, size_t len)
{
    uint32_t i =
        table_find(&r->by_code, registry_hash(code, len), registry_same_code, r, code, len);
    return i == UINT32_MAX ? NULL : &r->devices[i];
}

const struct device *registry_find_source(const struct registry *r, const char *id, size_t len)
{
    uint32_t i =
        table_find(&r->by_source, registry_hash(id, len), registry_same_source, r, id, len);
    return i == UINT32_MAX ? NULL : &r->devices[i];
}

uint64_t registry_expect(const struct registry *r, const char *code, size_t len)
{
    uint64_t hash = registry_hash(code, len);
    table_expect(&r->by_code, hash);
    return hash;
}

uint32_t registry_expected(const struct registry *r, uint64_t expected)
{
    uint32_t i = table_guess(&r->by_code, expected);
    if (i != UINT32_MAX) {
        __builtin_prefetch(&r->devices[i]);
        __builtin_prefetch((const char *)&r->devices[i] + 63);
    }
    return i;
}

const struct device *registry_find_said(const struct registry *r, const char *id, size_t len)
{
    const struct device *d = registry_find(r, id, len);
    if (d && !d->retired)
        return d;
    const struct device *by_source = registry_find_source(r, id, len);
    return by_source ? by_source : d;
}

/* Kinds are words in which nothing is escaped: only their measurement differs. */
int device_put_series_bad(const struct device *d, struct buf *b)
{
    size_t n = strlen(d->kind->name);
    int e = buf_put(b, d->series, n);
    if (e == 0)
        e = buf_put(b, "_bad", 4);
    return e == 0 ? buf_put(b, d->series + n, d->series_len - n) : e;
}

const struct compound *registry_compound(const struct registry *r, const char *code, size_t len)
{
    uint32_t i =
        table_find(&r->by_compound, registry_hash(code, len), registry_same_name, r, code, len);
    return i == UINT32_MAX ? NULL : &r->compounds[i];
}

/* Circles were refused when the file was read, so this ends. */
static uint32_t resolve(const struct registry *r, uint32_t i)
{
    while (r->merged[i] != UINT32_MAX)
        i = r->merged[i];
    return i;
}

const struct compound *registry_compound_resolve(const struct registry *r, const char *code,
                                                 size_t len)
{
    const struct compound *c = registry_compound(r, code, len);
    return c ? &r->compounds[resolve(r, c->index)] : NULL;
}

const struct compound *registry_compound_now(const struct registry *r, const struct compound *c)
{
    return &r->compounds[resolve(r, c->index)];
}

bool registry_same_compound(const struct registry *r, const struct device *d, const char *code,
                            size_t len)
{
    if (equal(d->compound->code, code, len)) /* nearly always, and without a hash */
        return true;
    const struct compound *c = registry_compound(r, code, len);
    if (!c)
        return false;
    uint32_t said = resolve(r, c->index), own = resolve(r, d->compound->index);
    if (said == own)
        return true;
    for (uint32_t i = d->compound->index; r->split[i] != UINT32_MAX;) {
        i = r->split[i];
        if (i == c->index || resolve(r, i) == said)
            return true;
    }
    return false;
}

const struct device *registry_admit(const struct registry *r, const char *id, size_t len,
                                    const char *compound, size_t compound_len,
                                    const char **out_why)
{
    const struct device *d = registry_find_said(r, id, len);
    if (!d)
        *out_why = "unknown_device";
    else if (d->retired)
        *out_why = "retired_device";
    else if (compound && !registry_same_compound(r, d, compound, compound_len))
        *out_why = "other_compound"; /* a publisher of one compound speaks for another's */
    else
        return d;
    return NULL;
}

bool registry_param_at(const struct registry *r, size_t i, const struct device **out_device,
                       const char **out_name, int *out_line)
{
    if (i >= r->n_params)
        return false;
    *out_device = &r->devices[r->params[i].device];
    *out_name = r->params[i].name;
    *out_line = (int)r->params[i].line;
    return true;
}

static size_t params_of(const struct registry *r, const struct device *d,
                        const struct param **out)
{
    *out = r->param_at ? &r->params[r->param_at[d->index]] : NULL;
    return r->param_at ? r->param_at[d->index + 1] - r->param_at[d->index] : 0;
}

bool registry_same_params(const struct registry *r, const struct device *d,
                          const struct registry *other, const struct device *its)
{
    const struct param *a, *b;
    size_t n = params_of(r, d, &a), m = params_of(other, its, &b);
    for (size_t i = 0; n == m && i < n; i++)
        if (a[i].value != b[i].value || strcmp(a[i].name, b[i].name) != 0)
            return false;
    return n == m;
}

bool registry_param(const struct registry *r, const struct device *d, const char *name,
                    double *out)
{
    const struct param *list;
    size_t low = 0, high = params_of(r, d, &list);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct param *p = &list[mid];
        int order = strcmp(p->name, name);
        if (order == 0) {
            *out = p->value;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

void registry_range(const struct registry *r, const struct device *d, const struct metric *m,
                    double *out_min, double *out_max)
{
    *out_min = m->has_min ? m->min : -HUGE_VAL;
    *out_max = m->has_max ? m->max : HUGE_VAL;
    size_t low = 0, high = d->has_range ? r->n_ranges : 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct range *g = &r->ranges[mid];
        if (g->device == d->index && g->metric == m->index) {
            *out_min = isnan(g->min) ? *out_min : g->min;
            *out_max = isnan(g->max) ? *out_max : g->max;
            return;
        }
        if (g->device < d->index || (g->device == d->index && g->metric < m->index))
            low = mid + 1;
        else
            high = mid;
    }
}

const char *registry_remark(const struct registry *r, size_t i)
{
    return i < r->n_remarks ? r->remarks[i] : NULL;
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    free(r->compounds);
    free(r->devices);
    free(r->params);
    free(r->param_at);
    free(r->ranges);
    free(r->merged);
    free(r->split);
    table_done(&r->by_compound);
    table_done(&r->by_code);
    table_done(&r->by_source);
    arena_done(&r->pool);
    free(r);
}
