/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions: `when:` compiled.
 */
#include "base/mem.h"
#include "core/json.h"
#include "core/profile_private.h"

#include <string.h>

enum { MAX_CONDS = 256, MAX_REMEMBERED = 1024 };

struct conds {
    struct plan_cond list[MAX_CONDS];
    struct plan_any any[16];
    size_t n, n_any;
};

static bool subject_of(struct plan_build *b, const struct yaml_node *key, struct plan_cond *c)
{
    const char *s = key->text;
    if (*s == '$' || *s == '@') {
        c->subject = SUBJECT_NODE;
        c->node = plan_path(b, key);
        return c->node != PLAN_NONE;
    }
    if (strncmp(s, "topic.", 6) == 0) {
        c->subject = SUBJECT_CAPTURE;
        return plan_capture(b, key, s + 6, strlen(s + 6), &c->capture);
    }
    if (strcmp(s, "payload") == 0) {
        c->subject = SUBJECT_PAYLOAD;
        return true;
    }
    if (strcmp(s, "sparkplug") == 0) {
        c->subject = SUBJECT_SPARKPLUG;
        return true;
    }
    size_t up = 0;
    while (s[up] == '^')
        up++;
    if (strcmp(s + up, "key") == 0) {
        c->subject = SUBJECT_KEY;
        if (plan_key_slot(b->scope, up, &c->slot))
            return true;
        conf_error(b->notes, AT(key), "\"%.16s\": no .* of `each` is there to have one", s);
        return false;
    }
    conf_error(b->notes, AT(key),
               "\"%.64s\" in `when`, expected a path ($.x), topic.NAME, payload, key, "
               "sparkplug or any",
               s);
    return false;
}

static bool types_of(struct plan_build *b, const struct yaml_node *n, unsigned *out)
{
    static const char *const names[] = {"null", "bool", "number", "text", "array", "object"};
    static const unsigned bits[] = {1u << JSON_NULL,
                                    1u << JSON_BOOL,
                                    1u << JSON_INT | 1u << JSON_UINT | 1u << JSON_DOUBLE,
                                    1u << JSON_STRING,
                                    1u << JSON_ARRAY,
                                    1u << JSON_OBJECT};
    struct plan_scalars s;
    if (!plan_scalars_of(b, n, "type", &s))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        size_t k = 0;
        while (k < 6 && strcmp(names[k], s.list[i].text) != 0)
            k++;
        if (k == 6) {
            plan_unknown(b, n, "type of value", s.list[i].text, names, 6);
            return false;
        }
        *out |= bits[k];
    }
    return true;
}

static bool hex_of(struct plan_build *b, const struct yaml_node *n, struct plan_cond *c)
{
    static const char digits[] = "0123456789abcdef";
    const char *s = plan_scalar_text(b, n, "hex_prefix");
    if (!s)
        return false;
    char *bytes = plan_take(b, strlen(s) / 2 + 1, 1);
    size_t nibbles = 0;
    for (; *s; s++) {
        if (*s == ' ')
            continue;
        char l = *s >= 'A' && *s <= 'F' ? (char)(*s + 32) : *s;
        const char *d = strchr(digits, l);
        if (!d)
            break;
        bytes[nibbles / 2] = (char)(bytes[nibbles / 2] << 4 | (d - digits));
        nibbles++;
    }
    if (*s || nibbles % 2 || nibbles == 0) {
        conf_error(b->notes, AT(n), "hex_prefix \"%.64s\", expected pairs of hex digits",
                   n->text);
        return false;
    }
    c->text = bytes;
    c->len = nibbles / 2;
    return true;
}

static bool text_of(struct plan_build *b, const struct yaml_node *n, const char *what,
                    struct plan_cond *c)
{
    const char *s = plan_scalar_text(b, n, what);
    if (!s)
        return false;
    c->len = strlen(s);
    c->text = plan_text_copy(b, s, c->len);
    return true;
}

/* One entry of a map of operators. */
static bool operator_of(struct plan_build *b, const struct yaml_node *n, struct plan_cond *c)
{
    static const char *const names[] = {"exists",   "type", "prefix", "hex_prefix",
                                        "contains", "not",  "min",    "max",
                                        "length",   "bit",  "is"};
    static const enum cond_op ops[] = {COND_EXISTS,   COND_TYPE, COND_PREFIX, COND_HEX_PREFIX,
                                       COND_CONTAINS, COND_NOT,  COND_MIN,    COND_MAX,
                                       COND_LENGTH,   COND_BIT,  COND_EQUAL};
    size_t i = 0;
    while (i < 11 && strcmp(names[i], n->key->text) != 0)
        i++;
    if (i == 11) {
        plan_unknown(b, n->key, "unknown condition", n->key->text, names, 11);
        return false;
    }
    c->op = ops[i];
    switch (c->op) {
    case COND_EXISTS:
        if (!plan_bool(b, n, "exists", true))
            c->op = COND_MISSING;
        return true;
    case COND_TYPE:
        return types_of(b, n, &c->types);
    case COND_PREFIX:
    case COND_CONTAINS:
        return text_of(b, n, names[i], c);
    case COND_HEX_PREFIX:
        return hex_of(b, n, c);
    case COND_MIN:
    case COND_MAX:
        return plan_number(b, n, names[i], &c->number);
    case COND_BIT:
        if (!plan_number(b, n, "bit", &c->number))
            return false;
        if (c->number >= 0 && c->number < 64 && c->number == (double)(int)c->number)
            return true;
        conf_error(b->notes, AT(n), "bit %.64s, expected 0 to 63", n->text);
        return false;
    case COND_NOT:
    case COND_EQUAL:
    case COND_LENGTH:
    case COND_MISSING:
        break;
    }
    return plan_scalars_of(b, n, names[i], &c->values);
}

bool plan_same_scalars(const struct plan_scalars *a, const struct plan_scalars *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->list[i].kind != b->list[i].kind || a->list[i].len != b->list[i].len ||
            memcmp(a->list[i].text, b->list[i].text, a->list[i].len) != 0)
            return false;
    return true;
}

static bool same_cond(const struct plan_cond *a, const struct plan_cond *b)
{
    return a->subject == b->subject && a->op == b->op && a->node == b->node &&
           (a->capture == b->capture ||
            (a->capture && b->capture && strcmp(a->capture, b->capture) == 0)) &&
           plan_same_scalars(&a->values, &b->values) && a->len == b->len &&
           (a->len == 0 || memcmp(a->text, b->text, a->len) == 0) &&
           memcmp(&a->number, &b->number, sizeof(a->number)) == 0 && a->types == b->types;
}

/* Kinds of messages ask the same again and again: the answer of a message, or an item, is kept. */
static void remember(struct plan_build *b, struct plan_cond *c)
{
    struct profile *p = b->p;
    c->memo = PLAN_NONE;
    if (c->subject == SUBJECT_KEY || c->subject == SUBJECT_SPARKPLUG || c->op == COND_EXISTS ||
        c->op == COND_MISSING)
        return;
    if (c->subject == SUBJECT_NODE)
        c->slot = p->nodes[c->node].slot;
    size_t i = 0;
    while (i < p->n_conds && !same_cond(&b->conds[i], c))
        i++;
    if (i == MAX_REMEMBERED)
        return;
    if (i == p->n_conds) {
        if (p->n_conds == b->cap_conds) {
            b->cap_conds = b->cap_conds ? b->cap_conds * 2 : 32;
            b->conds = mem_realloc_array(b->conds, b->cap_conds, sizeof(*b->conds));
        }
        b->conds[p->n_conds++] = *c;
    }
    c->memo = (uint16_t)i;
}

static void add_cond(struct plan_build *b, const struct yaml_node *at, struct conds *x,
                     const struct plan_cond *c)
{
    if (x->n == MAX_CONDS) {
        conf_error(b->notes, AT(at), "more than %d conditions", MAX_CONDS);
        return;
    }
    x->list[x->n] = *c;
    remember(b, &x->list[x->n++]);
}

static bool words_known(struct plan_build *b, const struct yaml_node *n,
                        const struct plan_cond *c)
{
    static const char *const words[] = {"data", "birth", "death", "unborn"};
    if (c->subject != SUBJECT_SPARKPLUG)
        return true;
    for (size_t i = 0; i < c->values.n; i++) {
        size_t k = 0;
        while (k < 4 && strcmp(words[k], c->values.list[i].text) != 0)
            k++;
        if (k == 4) {
            plan_unknown(b, n, "sparkplug message", c->values.list[i].text, words, 4);
            return false;
        }
    }
    return true;
}

static void entry_of(struct plan_build *b, const struct yaml_node *n, struct conds *x)
{
    struct plan_cond c = {.op = COND_EQUAL};
    if (n->kind == YAML_BAD || !subject_of(b, n->key, &c))
        return;
    if (n->kind == YAML_MAP) {
        if (!n->first)
            conf_error(b->notes, AT(n->key), "no condition for \"%.64s\"", n->key->text);
        for (const struct yaml_node *v = n->first; v; v = v->next) {
            struct plan_cond one = c;
            if (operator_of(b, v, &one) && words_known(b, v, &one))
                add_cond(b, v, x, &one);
        }
        return;
    }
    if (plan_scalars_of(b, n, n->key->text, &c.values) && words_known(b, n, &c))
        add_cond(b, n, x, &c);
}

/* Is one of an object's members there? One walk over the object tells; NULL: something else is
 * asked. */
static const uint16_t *members_of(struct plan_build *b, const struct plan_when *const *list,
                                  size_t n)
{
    const struct plan_node *nodes = b->p->nodes, *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (list[i]->n != 1 || list[i]->n_any || list[i]->conds->op != COND_EXISTS ||
            list[i]->conds->subject != SUBJECT_NODE)
            return NULL;
        const struct plan_node *node = &nodes[list[i]->conds->node];
        first = first ? first : node;
        if (node->kind != NODE_MEMBER || node->parent != first->parent)
            return NULL;
    }
    uint16_t *members = plan_take(b, n, sizeof(*members));
    for (size_t i = 0; i < n; i++)
        members[i] = list[i]->conds->node;
    return members;
}

static void any_of(struct plan_build *b, const struct yaml_node *n, struct conds *x)
{
    if (n->kind != YAML_LIST || !n->first || x->n_any == 16) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n->key), "any: expected a list of conditions%s",
                       x->n_any == 16 ? ", at most 16 times" : "");
        return;
    }
    const struct plan_when **list = plan_take(b, plan_count(n), sizeof(struct plan_when *));
    size_t count = 0;
    for (const struct yaml_node *v = n->first; v; v = v->next)
        list[count++] = plan_when(b, v);
    x->any[x->n_any++] = (struct plan_any){list, count, members_of(b, list, count)};
}

static void *copy(struct plan_build *b, const void *list, size_t n, size_t size)
{
    void *v = plan_take(b, n, size);
    memcpy(v, list, n * size);
    return v;
}

const struct plan_when *plan_when(struct plan_build *b, const struct yaml_node *n)
{
    struct plan_when *w = plan_take(b, 1, sizeof(*w));
    if (!plan_is_map(b, n, "when"))
        return w;
    struct conds *x = plan_take(b, 1, sizeof(*x));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        for (const struct yaml_node *o = n->first; o != v; o = o->next) {
            if (strcmp(o->key->text, v->key->text) == 0) {
                conf_error(b->notes, AT(v->key), "\"%.64s\" is repeated, first in line %d",
                           v->key->text, o->key->line);
                break;
            }
        }
        if (strcmp(v->key->text, "any") == 0)
            any_of(b, v, x);
        else
            entry_of(b, v, x);
    }
    w->conds = copy(b, x->list, x->n, sizeof(*x->list));
    w->n = x->n;
    w->any = copy(b, x->any, x->n_any, sizeof(*x->any));
    w->n_any = x->n_any;
    return w;
}
