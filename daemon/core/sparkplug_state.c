/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables: nodes, devices, and what their births said. All sizes are counted here.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/sparkplug_private.h"

#include <stdlib.h>

/* -- what a birth says -------------------------------------------------------------------- */

void sp_list_init(struct sp_list *l)
{
    *l = (struct sp_list){.n = 0};
    buf_init(&l->names, SPARKPLUG_MAX_METRICS * SPARKPLUG_MAX_NAME);
}

void sp_list_done(struct sp_list *l)
{
    free(l->metrics);
    l->metrics = NULL;
    l->n = l->cap = 0;
    buf_done(&l->names);
}

bool sp_list_add(struct sp_list *l, const char *name, size_t len, bool has_alias,
                 uint64_t alias, uint8_t datatype)
{
    if (l->n == SPARKPLUG_MAX_METRICS || len > SPARKPLUG_MAX_NAME)
        return false;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->metrics = mem_realloc_array(l->metrics, l->cap, sizeof(*l->metrics));
    }
    l->metrics[l->n++] = (struct sp_metric){.alias = has_alias ? alias : 0,
                                            .name_at = (uint32_t)l->names.len,
                                            .name_len = (uint16_t)len,
                                            .datatype = datatype,
                                            .has_alias = has_alias};
    ASSERT(buf_put(&l->names, name, len) == 0);
    return true;
}

static int by_alias(const void *a, const void *b)
{
    const struct sp_metric *x = a, *y = b;
    if (x->has_alias != y->has_alias)
        return x->has_alias ? -1 : 1;
    if (x->alias != y->alias)
        return x->alias < y->alias ? -1 : 1;
    return (x->name_at > y->name_at) - (x->name_at < y->name_at);
}

static int compare_names(const char *a, size_t na, const char *b, size_t nb)
{
    int c = memcmp(a, b, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct sp_birth *birth = ctx;
    const uint16_t i = *(const uint16_t *)a, j = *(const uint16_t *)b;
    const struct sp_metric *x = &birth->metrics[i], *y = &birth->metrics[j];
    int c = compare_names(birth->names + x->name_at, x->name_len, birth->names + y->name_at,
                          y->name_len);
    return c ? c : (i > j) - (i < j);
}

static void birth_clear(struct sparkplug *s, struct sp_birth *b)
{
    s->metrics -= b->n;
    s->text -= b->names_len;
    free(b->metrics);
    free(b->by_name);
    free(b->names);
    *b = (struct sp_birth){.n = 0};
}

static void birth_set(struct sparkplug *s, struct sp_birth *b, const struct sp_list *l)
{
    b->n = l->n;
    b->names_len = (uint32_t)l->names.len;
    s->metrics += b->n;
    s->text += b->names_len;
    if (b->n == 0)
        return;
    b->metrics = mem_dup(l->metrics, l->n * sizeof(*l->metrics));
    b->names = mem_dup(l->names.data ? l->names.data : "", l->names.len);
    b->by_name = mem_realloc_array(NULL, b->n, sizeof(*b->by_name));
    qsort(b->metrics, b->n, sizeof(*b->metrics), by_alias);
    for (uint32_t i = 0; i < b->n; i++)
        b->by_name[i] = (uint16_t)i;
    qsort_r(b->by_name, b->n, sizeof(*b->by_name), by_name, b);
}

const struct sp_metric *sp_by_alias(const struct sp_birth *b, uint64_t alias)
{
    uint32_t lo = 0, hi = b->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->metrics[mid].has_alias && b->metrics[mid].alias < alias)
            lo = mid + 1;
        else
            hi = mid;
    }
    const struct sp_metric *m = lo < b->n ? &b->metrics[lo] : NULL;
    return m && m->has_alias && m->alias == alias ? m : NULL;
}

const struct sp_metric *sp_by_name(const struct sp_birth *b, const char *name, size_t len)
{
    uint32_t lo = 0, hi = b->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const struct sp_metric *m = &b->metrics[b->by_name[mid]];
        if (compare_names(b->names + m->name_at, m->name_len, name, len) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    const struct sp_metric *m = lo < b->n ? &b->metrics[b->by_name[lo]] : NULL;
    return m && compare_names(b->names + m->name_at, m->name_len, name, len) == 0 ? m : NULL;
}

/* -- devices ------------------------------------------------------------------------------ */

struct sp_device *sp_device_find(const struct sp_node *n, const char *id, size_t len)
{
    for (uint32_t i = 0; i < n->n_devices; i++)
        if (n->devices[i].id_len == len && memcmp(n->devices[i].id, id, len) == 0)
            return &n->devices[i];
    return NULL;
}

static void device_clear(struct sparkplug *s, struct sp_device *d)
{
    birth_clear(s, &d->birth);
    s->metrics--;
    s->text -= d->id_len;
    free(d->id);
}

void sp_device_remove(struct sparkplug *s, struct sp_node *n, struct sp_device *d)
{
    device_clear(s, d);
    n->n_devices--;
    memmove(d, d + 1, (size_t)(n->devices + n->n_devices - d) * sizeof(*d));
}

static size_t metrics_of(const struct sp_node *n)
{
    size_t sum = n->birth.n + n->n_devices;
    for (uint32_t i = 0; i < n->n_devices; i++)
        sum += n->devices[i].birth.n;
    return sum;
}

static bool fits(const struct sparkplug *s, const struct sp_node *n, size_t metrics,
                 size_t text)
{
    return metrics_of(n) + metrics <= SPARKPLUG_MAX_METRICS &&
           s->metrics + metrics <= SPARKPLUG_MAX_ALL && s->text + text <= SPARKPLUG_MAX_TEXT;
}

bool sp_device_born(struct sparkplug *s, struct sp_node *n, const char *id, size_t len,
                    struct sp_list *l)
{
    struct sp_device *d = sp_device_find(n, id, len);
    if (d)
        sp_device_remove(s, n, d);
    if (len > SPARKPLUG_MAX_NAME || !fits(s, n, l->n + (size_t)1, l->names.len + len))
        return false;
    n->devices = mem_realloc_array(n->devices, n->n_devices + (size_t)1, sizeof(*d));
    d = &n->devices[n->n_devices++];
    *d = (struct sp_device){.id = mem_dup(id, len), .id_len = (uint32_t)len};
    s->metrics++;
    s->text += len;
    birth_set(s, &d->birth, l);
    return true;
}

/* -- nodes -------------------------------------------------------------------------------- */

bool sp_node_born(struct sparkplug *s, struct sp_node *n, struct sp_list *l)
{
    sp_node_clear(s, n);
    if (!fits(s, n, l->n, l->names.len))
        return false;
    birth_set(s, &n->birth, l);
    return true;
}

void sp_node_clear(struct sparkplug *s, struct sp_node *n)
{
    birth_clear(s, &n->birth);
    for (uint32_t i = 0; i < n->n_devices; i++)
        device_clear(s, &n->devices[i]);
    free(n->devices);
    n->devices = NULL;
    n->n_devices = 0;
}

static void node_free(struct sparkplug *s, struct sp_node *n)
{
    sp_node_clear(s, n);
    free(n->key);
    free(n);
}

static uint64_t node_hash(uint32_t broker, const char *key, size_t len)
{
    return hash64(hash_seed() + broker, key, len);
}

struct sought {
    const struct sparkplug *s;
    uint32_t broker;
};

static bool same_node(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const struct sought *x = ctx;
    const struct sp_node *n = x->s->nodes[value];
    return n->broker == x->broker && n->key_len == len && memcmp(n->key, key, len) == 0;
}

struct sp_node *sp_node_find(const struct sparkplug *s, uint32_t broker, const char *key,
                             size_t len)
{
    struct sought x = {s, broker};
    uint32_t i = table_find(&s->index, node_hash(broker, key, len), same_node, &x, key, len);
    return i == UINT32_MAX ? NULL : s->nodes[i];
}

static void reindex(struct sparkplug *s)
{
    table_done(&s->index);
    table_init(&s->index, SPARKPLUG_MAX_NODES);
    for (uint32_t i = 0; i < s->n; i++)
        table_add(&s->index,
                  node_hash(s->nodes[i]->broker, s->nodes[i]->key, s->nodes[i]->key_len), i);
}

/* Drops the node that is gone longest. */
static bool make_room(struct sparkplug *s)
{
    uint32_t oldest = UINT32_MAX;
    for (uint32_t i = 0; i < s->n; i++)
        if (!s->nodes[i]->alive &&
            (oldest == UINT32_MAX || s->nodes[i]->died < s->nodes[oldest]->died))
            oldest = i;
    if (oldest == UINT32_MAX)
        return false;
    node_free(s, s->nodes[oldest]);
    s->nodes[oldest] = s->nodes[--s->n];
    reindex(s);
    return true;
}

struct sp_node *sp_node_add(struct sparkplug *s, uint32_t broker, const char *key, size_t len)
{
    if (len > SPARKPLUG_MAX_NAME || (s->n == SPARKPLUG_MAX_NODES && !make_room(s)))
        return NULL;
    if (s->n == 0)
        reindex(s); /* most sites have none: they need no table */
    struct sp_node *n = mem_zalloc(sizeof(*n));
    n->broker = broker;
    n->key = mem_dup(key, len);
    n->key_len = (uint32_t)len;
    s->nodes = mem_realloc_array(s->nodes, s->n + (size_t)1, sizeof(*s->nodes));
    s->nodes[s->n] = n;
    table_add(&s->index, node_hash(broker, key, len), s->n++);
    return n;
}

void sparkplug_renumber(struct sparkplug *s, const uint32_t *to, size_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct sp_node *node = s->nodes[i];
        node->broker = node->broker < n ? to[node->broker] : UINT32_MAX;
        if (node->broker == UINT32_MAX)
            node_free(s, node);
        else
            s->nodes[kept++] = node;
    }
    s->n = kept;
    reindex(s);
}

void sp_clear(struct sparkplug *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        node_free(s, s->nodes[i]);
    free(s->nodes);
    table_done(&s->index);
    *s = (struct sparkplug){.n = 0};
}

struct sparkplug *sparkplug_new(void)
{
    return mem_zalloc(sizeof(struct sparkplug));
}

void sparkplug_free(struct sparkplug *s)
{
    if (!s)
        return;
    sp_clear(s);
    free(s);
}
