/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fields` and `pairs`, run: values by the names that the message gives them.
 */
#include "base/mem.h"
#include "core/profile_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { NEAR = 64 }; /* samples among which one of the same time is looked for */

static const struct plan_name *name_find(const struct plan_fields *f, const char *p, size_t n)
{
    if (!f->n_names)
        return NULL;
    for (size_t at = key_hash(p, n);; at++) {
        uint16_t i = f->table[at & f->mask];
        if (i == PLAN_NONE)
            return NULL;
        if (f->names[i].len == n && bytes_same(f->names[i].name, p, n))
            return &f->names[i];
    }
}

/* False: a container, which is no value. */
static inline bool add_same(struct profile_run *x, const char *name, size_t n,
                            struct json_value j, uint16_t node)
{
    struct value v;
    if (!scalar_value(j, &v))
        return json_type(j) == JSON_NULL;
    if ((v.type == VALUE_STRING && v.s.n == 0) || (v.type == VALUE_FLOAT && !isfinite(v.f)))
        return true;
    run_add(x, name, n, &v, NULL, QUALITY_GOOD, REASON_NONE, node);
    return true;
}

/* A value under its own name: a metric of the device's kind, if it has one of that name. False:
 * there is none that a metric could take. */
static bool take_same(struct profile_run *x, const struct plan_fields *f, const char *name,
                      size_t n)
{
    struct json_value j;
    for (size_t i = 0; i < f->n_value; i++)
        if (run_node(x, f->value[i], &j) && add_same(x, name, n, j, f->value[i]))
            return true;
    return false;
}

static bool is_error(struct profile_run *x, const struct plan_fields *f, struct json_value *out)
{
    if (f->error == PLAN_NONE || !run_node(x, f->error, out))
        return false;
    for (size_t i = 0; i < f->ok.n; i++)
        if (scalar_equal(&f->ok.list[i], *out))
            return false;
    size_t n;
    const char *p;
    switch (json_type(*out)) {
    case JSON_NULL:
        return false;
    case JSON_BOOL:
        return json_bool(*out);
    case JSON_INT:
        return json_int(*out) != 0;
    case JSON_STRING:
        p = json_text(*out, &n);
        return n > 0 && !(n == 1 && *p == '0');
    case JSON_DOUBLE:
        return json_double(*out) != 0; /* 0.0 */
    case JSON_UINT:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return true;
}

/* What came with an error is bad{fault}: the value, or else the error itself. */
static void take_error(struct profile_run *x, const struct plan_name *known, const char *name,
                       size_t n, struct json_value error, size_t from)
{
    struct value v = {.type = VALUE_STRING};
    for (size_t i = from; i < x->out->n_values; i++) {
        x->out->values[i].quality = QUALITY_BAD;
        x->out->values[i].reason = REASON_FAULT;
    }
    if (from < x->out->n_values)
        return;
    if (json_type(error) == JSON_INT)
        v = (struct value){.type = VALUE_INT, .i = json_int(error)};
    else if (!run_scalar_text(x, error, &v.s.p, &v.s.n))
        return;
    run_add(x, name, n, &v, known ? &known->map->raw : NULL, QUALITY_BAD, REASON_FAULT,
            PLAN_NONE);
}

static void take_field(struct profile_run *x, const struct plan_fields *f, const char *name,
                       size_t n)
{
    struct json_value error;
    if (f->prefix) {
        if (n < f->prefix_len || memcmp(name, f->prefix, f->prefix_len) != 0)
            return;
        name += f->prefix_len;
        n -= f->prefix_len;
    }
    if (f->when && !run_when(x, f->when))
        return;
    const struct plan_name *known = name_find(f, name, n);
    if (known && !known->map)
        return; /* skipped on purpose */
    if (!known && !f->same) {
        decoded_unknown(x->out, name, n);
        return;
    }
    size_t from = x->out->n_values;
    bool strange = false;
    if (known)
        (void)run_map(x, known->map, name, n);
    else
        strange = !take_same(x, f, name, n);
    if (is_error(x, f, &error))
        take_error(x, known, name, n, error, from);
    else if (strange)
        decoded_unknown(x->out, name, n);
    if (f->n_quality)
        run_quality(x, f->quality, f->n_quality, from, x->out->n_values);
}

/* ---- elements with times of their own ----
 * Values of distinct times are samples of their own. The values of a sample must stand together:
 * each one's sample is noted, and if times alternated the values are sorted by it. */

static void *larger(void *list, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap)
        return list;
    *cap = n * 2;
    return mem_realloc_array(list, *cap, size);
}

static void timed_begin(struct profile_run *x)
{
    struct decoded *d = x->out;
    x->of_sample = larger(x->of_sample, &x->cap_of_sample, d->n_values, sizeof(*x->of_sample));
    for (size_t i = x->base_sample; i < d->n_samples; i++)
        for (size_t k = 0; k < d->samples[i].n; k++)
            x->of_sample[d->samples[i].first + k] = (uint32_t)i;
}

/* The sample that has the element's time, or a new one. */
static size_t sample_of(struct profile_run *x, const struct plan_fields *f)
{
    struct decoded *d = x->out;
    struct decoded_sample s = x->as_message;
    run_set_time(x, f->time, &s);
    if (!s.has_time && !s.time_unread) /* none of its own */
        s = x->as_message;
    size_t n = d->n_samples, base = x->base_sample;
    for (size_t i = n > base + NEAR ? n - NEAR : base; i < n; i++) {
        const struct decoded_sample *o = &d->samples[i];
        if (o->n && o->has_time == s.has_time && o->time_ms == s.time_ms &&
            o->time_unread == s.time_unread)
            return i;
    }
    if (d->samples[base].n > 0) {
        if (decoded_begin_sample(d) < 0) {
            x->too_big = true;
            return base;
        }
        base = d->n_samples - 1;
    }
    s.first = d->samples[base].first;
    s.n = 0;
    d->samples[base] = s;
    return base;
}

/* The values since `from` are the element's. */
static void timed_place(struct profile_run *x, const struct plan_fields *f, size_t from)
{
    struct decoded *d = x->out;
    size_t n = d->n_values - from;
    d->samples[d->n_samples - 1].n -= n; /* decoded_add counted them there */
    size_t to = sample_of(x, f);
    d->samples[to].n += n;
    x->of_sample = larger(x->of_sample, &x->cap_of_sample, d->n_values, sizeof(*x->of_sample));
    for (size_t i = from; i < d->n_values; i++)
        x->of_sample[i] = (uint32_t)to;
}

static void sort_values(struct profile_run *x, size_t start)
{
    struct decoded *d = x->out;
    size_t n = d->n_values - start;
    x->sorted = larger(x->sorted, &x->cap_sorted, n, sizeof(*x->sorted));
    if (x->tracing)
        x->sorted_trace =
            larger(x->sorted_trace, &x->cap_sorted_trace, n, sizeof(*x->sorted_trace));
    for (size_t i = start; i < d->n_values; i++) { /* `first` is a cursor here */
        size_t to = d->samples[x->of_sample[i]].first++ - start;
        x->sorted[to] = d->values[i];
        if (x->tracing)
            x->sorted_trace[to] = x->trace[i];
    }
    memcpy(&d->values[start], x->sorted, n * sizeof(*x->sorted));
    if (x->tracing)
        memcpy(&x->trace[start], x->sorted_trace, n * sizeof(*x->sorted_trace));
    for (size_t i = x->base_sample; i < d->n_samples; i++)
        d->samples[i].first -= d->samples[i].n;
}

static void timed_end(struct profile_run *x)
{
    struct decoded *d = x->out;
    size_t start = x->as_message.first, at = start;
    for (size_t i = x->base_sample; i < d->n_samples; i++) {
        d->samples[i].first = at;
        at += d->samples[i].n;
    }
    for (size_t i = start + 1; i < d->n_values; i++) {
        if (x->of_sample[i] < x->of_sample[i - 1]) {
            sort_values(x, start);
            return;
        }
    }
}

/* Members of which most are values under their own names, and nobody looks at the items of those. */
static void bare_fields(struct profile_run *x, const struct plan_fields *f,
                        struct json_value object)
{
    struct json_value v;
    struct json_iter it;
    const char *key;
    size_t n;
    struct slot_state *s = &x->slots[f->slot];
    json_iter(object, &it);
    while (!x->too_big && json_next(&it, &key, &n, &v)) {
        const struct plan_name *known = name_find(f, key, n);
        run_work(x, 1);
        if (!known) {
            if (!add_same(x, key, n, v, f->item))
                decoded_unknown(x->out, key, n);
        } else if (known->map) {
            run_begin_item(x, f->slot, f->item, v);
            s->key = key;
            s->key_len = n;
            (void)run_map(x, known->map, key, n);
        }
    }
}

void run_fields(struct profile_run *x, const struct plan_fields *f)
{
    struct json_value in, v;
    struct json_iter it;
    const char *key;
    size_t n;
    if (!run_node(x, f->in, &in) || json_type(in) != (f->pairs ? JSON_ARRAY : JSON_OBJECT))
        return;
    struct slot_state *s = &x->slots[f->slot];
    s->key = NULL;
    if (f->bare && !x->tracing) {
        bare_fields(x, f, in);
        return;
    }
    x->open[x->n_open++] = f->slot;
    if (f->time)
        timed_begin(x);
    json_iter(in, &it);
    for (uint32_t i = 0; !x->too_big && json_next(&it, &key, &n, &v); i++) {
        size_t from = x->out->n_values;
        run_work(x, 1);
        run_begin_item(x, f->slot, f->item, v);
        s->index = i;
        if (!f->pairs) {
            s->key = key;
            s->key_len = n;
        } else if (!(key = run_text(x, f->name, &n))) {
            continue;
        }
        take_field(x, f, key, n);
        if (f->time && x->out->n_values > from)
            timed_place(x, f, from);
    }
    if (f->time)
        timed_end(x);
    x->n_open--;
}
