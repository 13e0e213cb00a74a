/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions: `when:` run.
 */
#include "core/profile_private.h"

#include <math.h>
#include <string.h>

struct subject { /* what a condition looks at */
    bool there;
    bool unreadable; /* its document */
    bool is_text;    /* else a value of a document */
    const char *p;
    size_t n;
    struct json_value v;
};

static void look(struct profile_run *x, const struct plan_cond *c, struct subject *s)
{
    static const char *const words[] = {[SPARKPLUG_DATA] = "data",
                                        [SPARKPLUG_BIRTH] = "birth",
                                        [SPARKPLUG_DEATH] = "death",
                                        [SPARKPLUG_UNBORN] = "unborn"};
    const struct topic_capture *t;
    struct json_value root;
    *s = (struct subject){.is_text = true};
    switch (c->subject) {
    case SUBJECT_NODE:
        s->is_text = false;
        s->there = run_node(x, c->node, &s->v) && json_type(s->v) != JSON_NULL;
        if (!s->there && c->op == COND_TYPE) /* null is a type */
            s->there = run_node(x, c->node, &s->v);
        if (!s->there && (c->op == COND_EQUAL || c->op == COND_NOT))
            s->there = run_node(x, c->node, &s->v); /* `$.x: null`, and `not: null` */
        s->unreadable = !s->there && run_unreadable(x, c->node) != PLAN_NONE;
        return;
    case SUBJECT_CAPTURE:
        t = run_capture(x, c->capture);
        s->there = t != NULL;
        s->p = t ? t->p : "";
        s->n = t ? t->n : 0;
        return;
    case SUBJECT_PAYLOAD:
        s->there = true;
        s->p = x->in->payload;
        s->n = x->in->len;
        return;
    case SUBJECT_KEY:
        s->p = x->slots[c->slot].key;
        s->n = x->slots[c->slot].key_len;
        s->there = s->p != NULL;
        return;
    case SUBJECT_SPARKPLUG:
        if (x->message->doc != PLAN_NONE &&
            run_node(x, x->p->docs[x->message->doc].root, &root)) {
            s->p = x->sparkplug_result < sizeof(words) / sizeof(*words)
                       ? words[x->sparkplug_result]
                       : NULL;
            s->there = s->p != NULL; /* the others are not for profiles */
            s->n = s->p ? strlen(s->p) : 0;
        }
        return;
    }
}

static bool as_text(struct profile_run *x, struct subject *s)
{
    return s->is_text || run_scalar_text(x, s->v, &s->p, &s->n);
}

static bool as_number(const struct subject *s, struct value *out)
{
    size_t n = s->n;
    const char *p = s->p;
    if (!s->is_text) {
        switch (json_type(s->v)) {
        case JSON_INT:
            *out = (struct value){.type = VALUE_INT, .i = json_int(s->v)};
            return true;
        case JSON_UINT:
        case JSON_DOUBLE:
            *out = (struct value){.type = VALUE_FLOAT, .f = json_double(s->v)};
            return true;
        case JSON_STRING:
            p = json_text(s->v, &n);
            break;
        case JSON_NULL:
        case JSON_BOOL:
        case JSON_ARRAY:
        case JSON_OBJECT:
            return false;
        }
    }
    return text_number(p, n, 0, out);
}

static bool equal_any(const struct subject *s, const struct plan_scalars *list)
{
    if (!s->is_text && json_type(s->v) == JSON_INT && list->n == 1 && list->list[0].is_int)
        return json_int(s->v) == list->list[0].integer;
    for (size_t i = 0; i < list->n; i++)
        if (s->is_text ? scalar_equal_text(&list->list[i], s->p, s->n)
                       : scalar_equal(&list->list[i], s->v))
            return true;
    return false;
}

static bool length_is(struct profile_run *x, struct subject *s, const struct plan_scalars *list)
{
    size_t n;
    if (!s->is_text && json_type(s->v) == JSON_ARRAY) {
        n = json_count(s->v);
    } else {
        if (!s->is_text && json_type(s->v) == JSON_OBJECT)
            return false;
        if (!as_text(x, s))
            return false;
        n = s->n;
    }
    struct value v = {.type = VALUE_INT, .i = (int64_t)n};
    for (size_t i = 0; i < list->n; i++)
        if (scalar_equal_value(&list->list[i], &v))
            return true;
    return false;
}

static bool type_is(const struct subject *s, unsigned types)
{
    return types & 1u << (s->is_text ? JSON_STRING : json_type(s->v));
}

static bool is_there(struct profile_run *x, const struct plan_cond *c)
{
    struct json_value v;
    bool there = run_node(x, c->node, &v) && json_type(v) != JSON_NULL;
    if (c->op == COND_EXISTS)
        return there;
    return !there && run_unreadable(x, c->node) == PLAN_NONE;
}

/* Of whole numbers however they are written, as `bit:` of a mapping takes them: Lua says 8.0. */
static bool bit_is(const struct subject *s, const struct value *v, unsigned bit)
{
    if (v->type == VALUE_INT)
        return (uint64_t)v->i >> bit & 1;
    if (!s->is_text && json_type(s->v) == JSON_UINT)
        return json_uint(s->v) >> bit & 1;
    return v->f == floor(v->f) && fabs(v->f) < 9.2e18 && (uint64_t)(int64_t)v->f >> bit & 1;
}

static bool ask(struct profile_run *x, const struct plan_cond *c)
{
    struct subject s;
    struct value v;
    look(x, c, &s);
    if (s.unreadable)
        return false;
    switch (c->op) {
    case COND_EQUAL:
        return s.there && equal_any(&s, &c->values);
    case COND_NOT:
        return !s.there || !equal_any(&s, &c->values);
    case COND_EXISTS:
        return s.there;
    case COND_MISSING:
        return !s.there;
    case COND_TYPE:
        return s.there && type_is(&s, c->types);
    case COND_PREFIX:
    case COND_HEX_PREFIX:
        return s.there && as_text(x, &s) && s.n >= c->len && memcmp(s.p, c->text, c->len) == 0;
    case COND_CONTAINS:
        if (!s.there || !as_text(x, &s))
            return false;
        run_work(x, s.n / SEARCHED);
        return memmem(s.p, s.n, c->text, c->len) != NULL;
    case COND_LENGTH:
        return s.there && length_is(x, &s, &c->values);
    case COND_MIN:
    case COND_MAX:
    case COND_BIT:
        break;
    }
    if (!s.there || !as_number(&s, &v))
        return false;
    double number = v.type == VALUE_INT ? (double)v.i : v.f;
    if (c->op == COND_MIN)
        return number >= c->number;
    if (c->op == COND_MAX)
        return number <= c->number;
    return bit_is(&s, &v, (unsigned)c->number);
}

static uint16_t topic_of(const struct profile_run *x)
{
    return x->message ? x->message->topic : PLAN_NONE;
}

__attribute__((noinline)) static bool
ask_and_keep(struct profile_run *x, const struct plan_cond *c, struct cond_memo *m)
{
    m->holds = ask(x, c);
    m->topic = topic_of(x);
    m->epoch = x->slots[c->slot].epoch;
    return m->holds;
}

static inline bool holds(struct profile_run *x, const struct plan_cond *c)
{
    if (c->memo == PLAN_NONE) {
        if (c->subject == SUBJECT_NODE && (c->op == COND_EXISTS || c->op == COND_MISSING))
            return is_there(x, c);
        return ask(x, c);
    }
    struct cond_memo *m = &x->conds[c->memo];
    if (m->epoch != x->slots[c->slot].epoch ||
        (c->subject == SUBJECT_CAPTURE && m->topic != topic_of(x)))
        return ask_and_keep(x, c, m);
    return m->holds;
}

static bool member_there(struct profile_run *x, const struct plan_any *any)
{
    struct json_value v;
    const struct plan_node *n = &x->p->nodes[any->members[0]];
    uint64_t epoch = x->slots[n->slot].epoch;
    if (x->memo[n->parent].walked != epoch)
        (void)run_node(x, any->members[0], &v);
    for (size_t i = 0; i < any->n && x->memo[n->parent].kids; i++) {
        const struct plan_memo *m = &x->memo[any->members[i]];
        if (m->epoch == epoch && m->found && json_type(m->v) != JSON_NULL)
            return true;
    }
    return false;
}

static bool any_holds(struct profile_run *x, const struct plan_any *any)
{
    if (any->members)
        return member_there(x, any);
    for (size_t i = 0; i < any->n; i++)
        if (run_when(x, any->alternatives[i]))
            return true;
    return false;
}

bool run_when(struct profile_run *x, const struct plan_when *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!holds(x, &w->conds[i]))
            return false;
    for (size_t i = 0; i < w->n_any; i++)
        if (!any_holds(x, &w->any[i]))
            return false;
    return true;
}

/* ---- what can be asked before an item is there ---- */

static bool of_message(const struct profile_run *x, const struct plan_cond *c)
{
    if (c->subject == SUBJECT_NODE)
        return x->p->nodes[c->node].slot == 0;
    return c->subject != SUBJECT_KEY;
}

static bool all_of_message(const struct profile_run *x, const struct plan_when *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!of_message(x, &w->conds[i]))
            return false;
    for (size_t i = 0; i < w->n_any; i++)
        for (size_t k = 0; k < w->any[i].n; k++)
            if (!all_of_message(x, w->any[i].alternatives[k]))
                return false;
    return true;
}

bool run_when_message(struct profile_run *x, const struct plan_when *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (of_message(x, &w->conds[i]) && !holds(x, &w->conds[i]))
            return false;
    for (size_t i = 0; i < w->n_any; i++) {
        bool open = false, held = false;
        for (size_t k = 0; k < w->any[i].n && !open && !held; k++) {
            open = !all_of_message(x, w->any[i].alternatives[k]);
            held = !open && run_when(x, w->any[i].alternatives[k]);
        }
        if (!open && !held)
            return false;
    }
    return true;
}
