/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tools: where a value stood, as text. The path is that of the profile, with the items of
 * each that it was found in.
 */
#include "base/num.h"
#include "core/profile_private.h"

#include <stdio.h>
#include <string.h>

struct writer {
    char *p;
    size_t n, max;
};

static void put(struct writer *w, const char *s, size_t n)
{
    for (size_t i = 0; i < n && w->n + 1 < w->max; i++)
        w->p[w->n++] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i];
    w->p[w->n] = '\0';
}

static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '-' && (unsigned char)c < 0x80)
            return false;
    }
    return n > 0;
}

static void put_key(struct writer *w, const char *s, size_t n)
{
    if (is_plain(s, n)) {
        put(w, ".", 1);
        put(w, s, n);
    } else {
        put(w, "[\"", 2);
        put(w, s, n);
        put(w, "\"]", 2);
    }
}

static void put_index(struct writer *w, int64_t i)
{
    char room[NUM_MAX];
    put(w, "[", 1);
    put(w, room, num_put_i64(room, i));
    put(w, "]", 1);
}

/* The node of `in` of the level that has this slot, and how its items are named. */
static uint16_t level_of(const struct profile *p, uint16_t slot)
{
    for (size_t m = 0; m < p->n_messages; m++) {
        for (size_t k = 0; k < p->messages[m].n_parts; k++) {
            const struct plan_part *part = &p->messages[m].parts[k];
            for (size_t i = 0; i < part->n_levels; i++)
                if (part->levels[i].slot == slot)
                    return part->levels[i].in;
            for (size_t i = 0; i < part->n_fields; i++)
                if (part->fields[i].slot == slot)
                    return part->fields[i].in;
        }
    }
    return PLAN_NONE;
}

static bool is_one(const struct profile *p, uint16_t slot)
{
    for (size_t m = 0; m < p->n_messages; m++)
        for (size_t k = 0; k < p->messages[m].n_parts; k++)
            for (size_t i = 0; i < p->messages[m].parts[k].n_levels; i++)
                if (p->messages[m].parts[k].levels[i].slot == slot)
                    return p->messages[m].parts[k].levels[i].kind == LEVEL_ONE;
    return false;
}

static void put_node(struct writer *w, const struct profile *p, const struct value_trace *t,
                     uint16_t node)
{
    const struct plan_node *n = &p->nodes[node];
    switch (n->kind) {
    case NODE_DOC:
        put(w, "$", 1);
        put(w, p->docs[n->doc].name, strlen(p->docs[n->doc].name));
        return;
    case NODE_MEMBER:
        put_node(w, p, t, n->parent);
        put_key(w, n->key, n->key_len);
        return;
    case NODE_INDEX:
        put_node(w, p, t, n->parent);
        put_index(w, n->index);
        return;
    case NODE_ITEM:
        break;
    }
    uint16_t in = level_of(p, n->slot);
    if (in == PLAN_NONE)
        put(w, "@", 1);
    else
        put_node(w, p, t, in);
    if (is_one(p, n->slot))
        return;
    for (size_t i = 0; i < t->n_levels; i++) {
        if (t->slot[i] != n->slot)
            continue;
        if (t->key[i])
            put_key(w, t->key[i], t->key_len[i]);
        else
            put_index(w, t->index[i]);
    }
}

static void put_raw(struct writer *w, struct json_value v)
{
    char room[NUM_MAX];
    const char *p;
    size_t n;
    switch (json_type(v)) {
    case JSON_NULL:
        put(w, "null", 4);
        return;
    case JSON_BOOL:
        put(w, json_bool(v) ? "true" : "false", json_bool(v) ? 4 : 5);
        return;
    case JSON_INT:
        put(w, room, num_put_i64(room, json_int(v)));
        return;
    case JSON_UINT:
        put(w, room, num_put_u64(room, json_uint(v)));
        return;
    case JSON_DOUBLE:
        if (json_double(v) - json_double(v) == 0)
            put(w, room, num_put_double(room, json_double(v)));
        else
            put(w, "NaN", 3);
        return;
    case JSON_STRING:
        p = json_text(v, &n);
        put(w, "\"", 1);
        put(w, p, n);
        put(w, "\"", 1);
        return;
    case JSON_ARRAY:
        put(w, "[…]", strlen("[…]"));
        return;
    case JSON_OBJECT:
        put(w, "{…}", strlen("{…}"));
        return;
    }
}

bool profile_trace_value(const struct profile_run *x, size_t i, struct profile_trace *out)
{
    if (!x->tracing || i >= x->cap_trace || i >= x->out->n_values)
        return false;
    const struct value_trace *t = &x->trace[i];
    struct writer path = {out->path, 0, sizeof(out->path)};
    struct writer raw = {out->raw, 0, sizeof(out->raw)};
    out->path[0] = out->raw[0] = '\0';
    if (t->node != PLAN_NONE)
        put_node(&path, x->p, t, t->node);
    if (t->has_raw)
        put_raw(&raw, t->raw);
    out->line = t->map ? t->map->line : 0;
    out->metric = t->map ? t->map->metric : NULL;
    return true;
}
