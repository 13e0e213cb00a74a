/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes stand in one array and are found by (parent, level) in one hash table, so that a topic's
 * level costs one look-up a node whatever stands beside it. Where a single pattern goes on, it has
 * no nodes of its own: its rest is kept as text and compared (most of ten thousand filters differ
 * in one level and are alone behind it). A node is reached by one way only: the work of a topic
 * is bounded by the nodes that there are, and by the levels it has.
 */
#include "core/route.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct value {
    const char *tail;     /* what of the pattern's filter has no node yet; NULL: nothing */
    uint32_t value, next; /* of the same place; NONE */
};

struct node {
    uint64_t hash;    /* of the level's text */
    const char *text; /* of a pattern's filter */
    uint32_t len, parent;
    uint32_t any;        /* the node below `+`, or NONE */
    uint32_t here, rest; /* values of patterns that end here, and here with `#` */
    uint32_t alone;      /* the only pattern that goes on below, by its tail; NONE */
    uint32_t below;      /* how many texts have a node below this one */
};

struct route {
    struct node *nodes;
    struct value *values;
    uint32_t *slots; /* power of two, at most half full; NONE */
    size_t n_nodes, cap_nodes, n_values, cap_values, n_slots;
};

struct level {
    const char *p;
    size_t n;
    uint64_t hash;
    bool hashed;
};

struct search {
    const struct route *r;
    struct level levels[TOPIC_MAX_LEVELS];
    size_t n;
    bool more; /* the topic has more levels than any pattern */
    uint32_t *out;
    size_t n_out;
};

static uint32_t add_node(struct route *r, uint32_t parent, const struct level *l)
{
    if (r->n_nodes == r->cap_nodes) {
        r->cap_nodes = r->cap_nodes ? r->cap_nodes * 2 : 16;
        r->nodes = mem_realloc_array(r->nodes, r->cap_nodes, sizeof(*r->nodes));
    }
    r->nodes[r->n_nodes] = (struct node){.hash = l->hash,
                                         .text = l->p,
                                         .len = (uint32_t)l->n,
                                         .parent = parent,
                                         .any = NONE,
                                         .here = NONE,
                                         .alone = NONE,
                                         .rest = NONE};
    return (uint32_t)r->n_nodes++;
}

struct route *route_new(void)
{
    struct route *r = mem_zalloc(sizeof(*r));
    (void)add_node(r, NONE, &(struct level){.p = ""});
    return r;
}

void route_free(struct route *r)
{
    if (!r)
        return;
    free(r->nodes);
    free(r->values);
    free(r->slots);
    free(r);
}

static size_t slot_of(const struct route *r, uint32_t parent, uint64_t hash)
{
    return (size_t)(hash ^ (parent * 0x9e3779b97f4a7c15u)) & (r->n_slots - 1);
}

static uint32_t find_child(const struct route *r, uint32_t parent, const struct level *l)
{
    if (r->nodes[parent].below == 0)
        return NONE;
    for (size_t i = slot_of(r, parent, l->hash); r->slots[i] != NONE;
         i = (i + 1) & (r->n_slots - 1)) {
        const struct node *n = &r->nodes[r->slots[i]];
        if (n->parent == parent && n->hash == l->hash && n->len == l->n &&
            memcmp(n->text, l->p, l->n) == 0)
            return r->slots[i];
    }
    return NONE;
}

static void put_slot(struct route *r, uint32_t node)
{
    size_t i = slot_of(r, r->nodes[node].parent, r->nodes[node].hash);
    while (r->slots[i] != NONE)
        i = (i + 1) & (r->n_slots - 1);
    r->slots[i] = node;
}

static bool is_text(const struct node *n)
{
    return n->parent != NONE && !(n->len == 1 && *n->text == '+');
}

static void grow_slots(struct route *r)
{
    if (r->n_slots > 2 * r->n_nodes)
        return;
    r->n_slots = r->n_slots ? r->n_slots * 2 : 64;
    r->slots = mem_realloc_array(r->slots, r->n_slots, sizeof(*r->slots));
    memset(r->slots, 0xff, r->n_slots * sizeof(*r->slots));
    for (uint32_t i = 0; i < r->n_nodes; i++)
        if (is_text(&r->nodes[i]))
            put_slot(r, i);
}

static uint32_t child_of(struct route *r, uint32_t parent, const struct level *l)
{
    bool any = l->n == 1 && *l->p == '+';
    uint32_t child = any ? r->nodes[parent].any : find_child(r, parent, l);
    if (child != NONE)
        return child;
    child = add_node(r, parent, l);
    if (any) {
        r->nodes[parent].any = child;
    } else {
        r->nodes[parent].below++;
        grow_slots(r);
        if (find_child(r, parent, l) == NONE) /* growing has put it there otherwise */
            put_slot(r, child);
    }
    return child;
}

/* The next level of s, which ends at `end`; where the one behind it begins, or NULL. */
static const char *take_level(const char *s, const char *end, struct level *out)
{
    const char *slash = s < end ? memchr(s, '/', (size_t)(end - s)) : NULL;
    out->p = s;
    out->n = (size_t)((slash ? slash : end) - s);
    out->hashed = false;
    return slash ? slash + 1 : NULL;
}

static void hash_level(struct level *l)
{
    if (!l->hashed)
        l->hash = hash64(0, l->p, l->n);
    l->hashed = true;
}

static bool is_one(const struct level *l, char c)
{
    return l->n == 1 && *l->p == c;
}

static void link_value(struct route *r, uint32_t *first, uint32_t v)
{
    r->values[v].next = *first;
    *first = v;
}

/* One level of the tail becomes a node below `node`, which is returned; `#` is none: NONE. */
static uint32_t step(struct route *r, uint32_t node, uint32_t v)
{
    struct level l;
    const char *s = r->values[v].tail;
    s = take_level(s, s + strlen(s), &l);
    r->values[v].tail = s;
    if (is_one(&l, '#')) {
        link_value(r, &r->nodes[node].rest, v);
        return NONE;
    }
    hash_level(&l);
    return child_of(r, node, &l);
}

static bool is_end(const struct node *n)
{
    return n->parent != NONE && n->below == 0 && n->any == NONE && n->rest == NONE &&
           n->alone == NONE;
}

static void place(struct route *r, uint32_t node, uint32_t v)
{
    while (node != NONE && r->values[v].tail) {
        if (is_end(&r->nodes[node])) {
            r->nodes[node].alone = v;
            return;
        }
        uint32_t other = r->nodes[node].alone;
        if (other != NONE) { /* not any more */
            r->nodes[node].alone = NONE;
            uint32_t child = step(r, node, other);
            if (child != NONE && r->values[other].tail)
                r->nodes[child].alone = other;
            else if (child != NONE)
                link_value(r, &r->nodes[child].here, other);
        }
        node = step(r, node, v);
    }
    if (node != NONE)
        link_value(r, &r->nodes[node].here, v);
}

void route_add(struct route *r, const struct topic_pattern *p, uint32_t value)
{
    if (r->n_values == r->cap_values) {
        r->cap_values = r->cap_values ? r->cap_values * 2 : 16;
        r->values = mem_realloc_array(r->values, r->cap_values, sizeof(*r->values));
    }
    r->values[r->n_values] = (struct value){topic_filter(p), value, NONE};
    place(r, 0, (uint32_t)r->n_values++);
}

/* The smallest ROUTE_MAX_HITS of all that are taken, ascending, each once. */
static void take_values(struct search *f, uint32_t at)
{
    for (; at != NONE; at = f->r->values[at].next) {
        uint32_t v = f->r->values[at].value;
        size_t i = f->n_out;
        while (i > 0 && f->out[i - 1] > v)
            i--;
        if (i == ROUTE_MAX_HITS || (i > 0 && f->out[i - 1] == v))
            continue;
        size_t behind = f->n_out - i;
        if (f->n_out < ROUTE_MAX_HITS)
            f->n_out++;
        else
            behind--;
        memmove(f->out + i + 1, f->out + i, behind * sizeof(*f->out));
        f->out[i] = v;
    }
}

/* A wildcard in the first level does not fit what begins with `$`. */
static bool hidden(const struct search *f, size_t level)
{
    return level == 0 && f->levels[0].n > 0 && *f->levels[0].p == '$';
}

/* Does the tail fit the topic from this level on? */
static bool tail_fits(const struct search *f, const char *tail, size_t level)
{
    const char *end = tail + strlen(tail);
    while (tail) {
        struct level l;
        tail = take_level(tail, end, &l);
        if (is_one(&l, '#'))
            return true;
        if (level == f->n)
            return false;
        const struct level *t = &f->levels[level++];
        if (!is_one(&l, '+') && (l.n != t->n || memcmp(l.p, t->p, l.n) != 0))
            return false;
    }
    return level == f->n && !f->more;
}

static void visit(struct search *f, uint32_t at, size_t level)
{
    const struct node *n = &f->r->nodes[at];
    if (n->rest != NONE && !hidden(f, level)) /* `#` fits the level above it, too */
        take_values(f, n->rest);
    if (n->alone != NONE && tail_fits(f, f->r->values[n->alone].tail, level))
        take_values(f, n->alone);
    if (level == f->n) {
        if (n->here != NONE && !f->more)
            take_values(f, n->here);
        return;
    }
    uint32_t child = NONE;
    if (n->below > 0) {
        hash_level(&f->levels[level]);
        child = find_child(f->r, at, &f->levels[level]);
    }
    if (child != NONE)
        visit(f, child, level + 1);
    if (n->any != NONE && !hidden(f, level))
        visit(f, n->any, level + 1);
}

size_t route_find(const struct route *r, const char *topic, size_t len,
                  uint32_t out_values[ROUTE_MAX_HITS])
{
    struct search f; /* its levels are written as far as they are read */
    f.r = r;
    f.out = out_values;
    f.n = f.n_out = 0;
    const char *s = topic, *end = topic + len;
    while (s && f.n < TOPIC_MAX_LEVELS)
        s = take_level(s, end, &f.levels[f.n++]);
    f.more = s != NULL;
    visit(&f, 0, 0);
    return f.n_out;
}
