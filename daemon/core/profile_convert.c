/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mapping, run: from what stands at a place to a value of a metric.
 *
 * What can be judged without the device is judged here (sentinels, faults, codes, the profile's
 * own range); a bad value stays as the device told it. Text is left as text where no
 * arithmetic needs a number: core/judge.h reads it with goodwill.
 */
#include "base/num.h"
#include "base/mem.h"
#include "core/profile_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

struct step { /* a value on its way */
    struct value v;
    unsigned char quality, reason;
    bool is_container;
    const struct profile_value *from;
    const char *unit; /* told with the number (parse: obis); not NUL-terminated */
    size_t unit_len;
};

static void trace(struct profile_run *x, uint16_t node, const struct plan_map *map)
{
    size_t i = x->out->n_values - 1;
    if (i >= x->cap_trace) {
        x->cap_trace = x->cap_trace ? x->cap_trace * 2 : 256;
        x->trace = mem_realloc_array(x->trace, x->cap_trace, sizeof(*x->trace));
    }
    struct value_trace *t = &x->trace[i];
    *t = (struct value_trace){.node = node, .map = map};
    if (node != PLAN_NONE)
        t->has_raw = run_node(x, node, &t->raw);
    for (size_t k = 0; k < x->n_open; k++) {
        const struct slot_state *s = &x->slots[x->open[k]];
        t->slot[k] = x->open[k];
        t->index[k] = s->index;
        t->key[k] = s->key;
        t->key_len[k] = s->key_len;
    }
    t->n_levels = x->n_open;
}

void run_add_long(struct profile_run *x, const char *key, size_t key_len, const struct value *v,
                  const struct profile_value *from, unsigned char quality, unsigned char reason,
                  uint16_t node)
{
    struct decoded *d = x->out;
    if (decoded_add(d, key, key_len, *v, false) < 0) {
        x->too_big = true;
        return;
    }
    struct decoded_value *o = &d->values[d->n_values - 1];
    o->from = from;
    o->quality = quality;
    o->reason = reason;
    if (x->tracing)
        trace(x, node, from ? from->map : NULL);
}

/* False: nothing stands there. */
static bool value_of(struct json_value j, struct step *s)
{
    if (scalar_value(j, &s->v))
        return s->v.type != VALUE_STRING || s->v.s.n > 0;
    if (json_type(j) == JSON_NULL)
        return false;
    s->v = (struct value){.type = VALUE_STRING};
    s->v.s.p = json_type(j) == JSON_ARRAY ? "[…]" : "{…}";
    s->v.s.n = strlen(s->v.s.p);
    s->is_container = true;
    return true;
}

static bool among(const struct plan_scalars *list, const struct value *v)
{
    for (size_t i = 0; i < list->n; i++)
        if (scalar_equal_value(&list->list[i], v))
            return true;
    return false;
}

static bool source(struct profile_run *x, const struct plan_map *m, struct step *s,
                   uint16_t *out_node)
{
    struct json_value j;
    if (m->constant) {
        s->v = *m->constant;
        return true;
    }
    if (m->text != PLAN_NONE) {
        s->v.type = VALUE_STRING;
        s->v.s.p = run_text(x, m->text, &s->v.s.n);
        return s->v.s.p && s->v.s.n && !among(&m->absent, &s->v);
    }
    for (size_t i = 0; i < m->n_from; i++) {
        if (!run_node(x, m->from[i], &j) || !value_of(j, s))
            continue;
        if (s->is_container && m->n_from > 1) { /* bare, or {value, time} */
            s->is_container = false;
            continue;
        }
        if (among(&m->absent, &s->v))
            continue;
        *out_node = m->from[i];
        return true;
    }
    return false;
}

static bool cut(const struct plan_map *m, struct value *v)
{
    const char *at;
    if (v->type != VALUE_STRING)
        return true;
    if (m->after) {
        at = memmem(v->s.p, v->s.n, m->after, m->after_len);
        if (!at)
            return false;
        v->s.n -= (size_t)(at - v->s.p) + m->after_len;
        v->s.p = at + m->after_len;
    }
    if (m->before && (at = memmem(v->s.p, v->s.n, m->before, m->before_len)))
        v->s.n = (size_t)(at - v->s.p);
    return v->s.n > 0;
}

static bool to_number(const struct plan_map *m, struct value *v)
{
    struct value n;
    if (v->type != VALUE_STRING)
        return v->type != VALUE_BOOL;
    if (!text_number(v->s.p, v->s.n, m->decimal, &n))
        return false;
    *v = n;
    return true;
}

/* An integer with bits to look at. */
static bool take_bits(const struct plan_map *m, struct value *v)
{
    struct value n = *v;
    if (n.type == VALUE_BOOL)
        n = (struct value){.type = VALUE_INT, .i = v->b};
    if (!to_number(m, &n))
        return false;
    if (n.type == VALUE_FLOAT) {
        if (n.f != floor(n.f) || !(fabs(n.f) < 9.2e18))
            return false;
        n = (struct value){.type = VALUE_INT, .i = (int64_t)n.f};
    }
    unsigned width = m->bit_hi - m->bit_lo + 1;
    uint64_t bits = (uint64_t)n.i >> m->bit_lo;
    if (width < 64)
        bits &= ((uint64_t)1 << width) - 1;
    *v = m->one_bit && m->type == METRIC_BOOL
             ? (struct value){.type = VALUE_BOOL, .b = bits != 0}
             : (struct value){.type = VALUE_INT, .i = (int64_t)bits};
    return true;
}

static void set_bad(struct step *s, const struct plan_map *m, enum quality_reason why)
{
    s->quality = QUALITY_BAD;
    s->reason = (unsigned char)why;
    s->from = &m->raw;
}

/* Is it what the profile calls so? "-99,9" is -99.9 where a comma stands for the point. */
static bool is_called(const struct plan_map *m, const struct plan_scalar *name,
                      const struct value *v)
{
    struct value n;
    return scalar_equal_value(name, v) ||
           (m->decimal && v->type == VALUE_STRING && name->kind == SCALAR_NUMBER &&
            text_number(v->s.p, v->s.n, m->decimal, &n) && scalar_equal_value(name, &n));
}

static bool among_told(const struct plan_map *m, const struct plan_scalars *list,
                       const struct value *v)
{
    for (size_t i = 0; i < list->n; i++)
        if (is_called(m, &list->list[i], v))
            return true;
    return false;
}

/* The code of `map:`; false: this one stands for nothing. */
static bool take_target(const struct plan_map *m, struct step *s)
{
    const struct plan_target *t = m->otherwise;
    for (size_t i = 0; i < m->n_targets; i++) {
        if (m->targets[i].when.is_uint && s->v.type == VALUE_FLOAT)
            continue; /* a double does not tell it from its neighbours: better none than a wrong one */
        if (is_called(m, &m->targets[i].when, &s->v)) {
            t = &m->targets[i];
            break;
        }
    }
    if (!t) {
        set_bad(s, m, REASON_ENUM);
        return true;
    }
    s->v = t->v;
    return !t->nothing;
}

/* `parse:`; false: that is no such text. */
static bool parse(const struct plan_map *m, struct step *s)
{
    if (s->v.type != VALUE_STRING) /* seconds, or the bare number */
        return s->v.type != VALUE_BOOL;
    const char *p = s->v.s.p;
    size_t n = s->v.s.n;
    struct value v = {.type = VALUE_FLOAT};
    bool good = m->parse == PARSE_OBIS
                    ? parse_obis(p, n, m->decimal, &v, &s->unit, &s->unit_len)
                    : parse_duration(p, n, &v.f);
    if (good && m->parse == PARSE_DURATION && m->type == METRIC_INT && m->linear.same)
        v.f = nearbyint(v.f); /* as where a unit is converted */
    if (good)
        s->v = v;
    return good;
}

/* The unit that stands behind the number; without one it is the mapping's. */
static bool obis_unit(const struct plan_map *m, struct step *s,
                      const struct plan_linear **linear)
{
    for (size_t i = 0; i < m->n_units; i++) {
        const struct plan_unit *u = &m->units[i];
        if (!scalar_equal_text(&u->when, s->unit, s->unit_len))
            continue;
        s->from = &u->out;
        *linear = &u->linear;
        return true;
    }
    set_bad(s, m, REASON_OTHER);
    return false;
}

static bool told_unit(struct profile_run *x, const struct plan_map *m, struct step *s,
                      const struct plan_linear **linear)
{
    struct json_value j;
    const struct plan_unit *u = m->unit_otherwise;
    if (run_node(x, m->unit_from, &j)) {
        for (size_t i = 0; i < m->n_units; i++) {
            if (scalar_equal(&m->units[i].when, j)) {
                u = &m->units[i];
                break;
            }
        }
    }
    if (!u) {
        set_bad(s, m, REASON_OTHER);
        return false;
    }
    s->from = &u->out;
    *linear = &u->linear;
    return true;
}

static double plain(const struct value *v)
{
    return v->type == VALUE_INT ? (double)v->i : v->f;
}

static bool by_unit(const struct plan_map *m, const struct plan_linear *linear)
{
    return linear->mul != m->scale.mul || linear->div != m->scale.div ||
           linear->add != m->scale.add;
}

static void arithmetic(struct profile_run *x, const struct plan_map *m, struct step *s)
{
    const struct plan_linear *linear = &m->linear;
    if (m->unit_from != PLAN_NONE && !told_unit(x, m, s, &linear))
        return;
    if (s->unit_len && !obis_unit(m, s, &linear))
        return;
    if (linear->same && !m->has_min && !m->has_max && !m->decimal)
        return; /* text stays, and 64-bit integers are exact */
    if (!to_number(m, &s->v)) {
        set_bad(s, m, REASON_TYPE);
        return;
    }
    double raw = plain(&s->v);
    if (m->has_min || m->has_max) {
        double scaled = linear_apply(&m->scale, raw);
        if ((m->has_min && scaled < m->min) || (m->has_max && scaled > m->max)) {
            s->quality = QUALITY_BAD;
            s->reason = REASON_RANGE;
        }
    }
    if (linear->same)
        return;
    double v = linear_apply(linear, raw);
    /* 93,784,250 ms are 93,784 s: the metric is whole, not the device wrong */
    if (m->type == METRIC_INT && by_unit(m, linear))
        v = nearbyint(v);
    if (!isfinite(v))
        set_bad(s, m, REASON_TYPE);
    else if (m->type == METRIC_INT && v == floor(v) && fabs(v) <= 9007199254740992.0)
        s->v = (struct value){.type = VALUE_INT, .i = (int64_t)v};
    else
        s->v = (struct value){.type = VALUE_FLOAT, .f = v};
}

static bool word_is(const struct value *v, const char *a, const char *b, const char *c)
{
    const char *words[] = {a, b, c};
    for (size_t i = 0; i < 3; i++)
        if (strlen(words[i]) == v->s.n && strncasecmp(words[i], v->s.p, v->s.n) == 0)
            return true;
    return false;
}

static void invert(struct step *s)
{
    bool yes;
    if (s->v.type == VALUE_BOOL)
        yes = s->v.b;
    else if (s->v.type == VALUE_STRING && word_is(&s->v, "true", "on", "1"))
        yes = true;
    else if (s->v.type == VALUE_STRING && word_is(&s->v, "false", "off", "0"))
        yes = false;
    else if (s->v.type == VALUE_INT && (s->v.i == 0 || s->v.i == 1))
        yes = s->v.i == 1;
    else if (s->v.type == VALUE_FLOAT && (s->v.f == 0.0 || s->v.f == 1.0))
        yes = s->v.f == 1.0; /* core/judge.c takes them for truth values, too */
    else
        return; /* judged as of the wrong type */
    s->v = (struct value){.type = VALUE_BOOL, .b = !yes};
}

__attribute__((noinline)) static bool one_map(struct profile_run *x, const struct plan_map *m,
                                              const char *key, size_t key_len)
{
    struct step s = {.from = &m->out};
    uint16_t node = PLAN_NONE;
    if ((m->when && !run_when(x, m->when)) || !source(x, m, &s, &node))
        return false;
    if (s.is_container) {
        set_bad(&s, m, REASON_TYPE);
        goto add;
    }
    if ((m->after || m->before) && s.v.type == VALUE_STRING)
        run_work(x, s.v.s.n / SEARCHED);
    if (!cut(m, &s.v))
        return false;
    if (m->parse && !parse(m, &s)) {
        set_bad(&s, m, REASON_TYPE);
        goto add;
    }
    if (m->has_bits && !take_bits(m, &s.v)) {
        set_bad(&s, m, REASON_TYPE);
        goto add;
    }
    if (m->sentinels.n && among_told(m, &m->sentinels, &s.v)) {
        set_bad(&s, m, REASON_SENTINEL);
        goto add;
    }
    if (m->faults.n && among_told(m, &m->faults, &s.v)) {
        set_bad(&s, m, REASON_FAULT);
        goto add;
    }
    if ((m->n_targets || m->otherwise) && !take_target(m, &s))
        return false;
    if (s.quality == QUALITY_BAD)
        goto add;
    if (m->type == METRIC_FLOAT || m->type == METRIC_INT)
        arithmetic(x, m, &s);
    else if (m->invert)
        invert(&s);
add:
    if (s.v.type == VALUE_FLOAT && !isfinite(s.v.f)) { /* of binary codecs: NaN says nothing */
        set_bad(&s, m, REASON_FAULT);
        s.v = (struct value){.type = VALUE_STRING, .s = {"NaN", 3}};
    }
    run_add(x, key ? key : m->metric, key ? key_len : m->metric_len, &s.v, s.from, s.quality,
            s.reason, node);
    return true;
}

/* The same of a mapping that only says where the value stands: most do. */
static bool plain_map(struct profile_run *x, const struct plan_map *m, const char *key,
                      size_t key_len)
{
    struct json_value j;
    struct value v;
    if (!run_node(x, m->from[0], &j))
        return false;
    if (!scalar_value(j, &v) || v.type == VALUE_STRING ||
        (v.type == VALUE_FLOAT && !isfinite(v.f)))
        return one_map(x, m, key, key_len);
    run_add(x, key ? key : m->metric, key ? key_len : m->metric_len, &v, &m->out, QUALITY_GOOD,
            REASON_NONE, m->from[0]);
    return true;
}

bool run_map(struct profile_run *x, const struct plan_map *m, const char *key, size_t key_len)
{
    bool gave = false;
    for (; m && !x->too_big; m = m->next) {
        bool one = m->plain ? plain_map(x, m, key, key_len) : one_map(x, m, key, key_len);
        gave = gave || one;
        if (one && !m->go_on)
            break;
    }
    return gave;
}
