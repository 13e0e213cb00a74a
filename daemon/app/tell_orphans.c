/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of former epochs that the broker keeps: the store knows nothing of their cases, so that
 * nothing that comes in will ever end them. Which they are is known from the last comparison; who
 * takes a command puts that into its record, and a `close` empties the topic through the outbox.
 * All on the loop but tell_orphans_has, which is Paho's threads'.
 */
#include "app/tell_private.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS_BELOW "alerts/" /* FIRM/COMPOUND/CASE */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* FIRM/COMPOUND/CASE of a whole topic; NULL: it is not of that form. */
static const char *place_of(const struct tell *t, const char *topic)
{
    size_t prefix = strlen(t->prefix);
    const char *p = topic + prefix;
    if (strncmp(topic, t->prefix, prefix) != 0 ||
        strncmp(p, LEVELS_BELOW, strlen(LEVELS_BELOW)) != 0)
        return NULL;
    p += strlen(LEVELS_BELOW);
    const char *compound = strchr(p, '/'), *id = compound ? strchr(compound + 1, '/') : NULL;
    bool whole = id && compound > p && id > compound + 1 && id[1] && !strchr(id + 1, '/');
    return whole ? p : NULL;
}

/* Its slot, or the free one where it would be; NULL: there is neither. */
static atomic_uint_fast64_t *slot_of(struct tell_orphans *o, const char *place, uint64_t *hash)
{
    *hash = tell_topic_hash(place, strlen(place)) | 2; /* odd, and not 1 */
    for (size_t i = 0; i < TELL_ORPHAN_SLOTS; i++) {
        atomic_uint_fast64_t *at = &o->slots[((*hash >> 2) + i) % TELL_ORPHAN_SLOTS];
        uint64_t v = atomic_load_explicit(at, memory_order_relaxed);
        if (v == *hash || v == 0)
            return at;
    }
    return NULL;
}

void tell_orphans_clear(struct tell *t)
{
    struct tell_orphans *o = &t->orphans;
    for (size_t i = 0; i < o->n; i++)
        free(o->places[i]);
    free(o->places);
    o->places = NULL;
    o->n = o->cap = 0;
    for (size_t i = 0; i < TELL_ORPHAN_SLOTS; i++)
        atomic_store_explicit(&o->slots[i], 0, memory_order_relaxed);
}

void tell_orphans_add(struct tell *t, const char *topic)
{
    struct tell_orphans *o = &t->orphans;
    const char *place = place_of(t, topic);
    if (!place || o->n >= TELL_ORPHANS_MAX)
        return; /* counted all the same; the next comparison finds them when others are gone */
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 16;
        o->places = mem_realloc_array(o->places, o->cap, sizeof(*o->places));
    }
    o->places[o->n++] = mem_strdup(place);
}

void tell_orphans_sort(struct tell *t)
{
    struct tell_orphans *o = &t->orphans;
    uint64_t hash;
    if (o->n > 0)
        qsort(o->places, o->n, sizeof(*o->places), by_text);
    for (size_t i = 0; i < o->n; i++) {
        atomic_uint_fast64_t *at = slot_of(o, o->places[i], &hash);
        if (at)
            atomic_store_explicit(at, hash, memory_order_relaxed);
    }
}

static char **find(struct tell_orphans *o, const char *place)
{
    return o->n ? bsearch(&place, o->places, o->n, sizeof(*o->places), by_text) : NULL;
}

bool tell_orphans_has(struct tell *t, const char *firm, const char *compound,
                      const char *case_id)
{
    uint64_t hash;
    char *place = mem_printf("%s/%s/%s", firm, compound, case_id);
    const atomic_uint_fast64_t *at = slot_of(&t->orphans, place, &hash);
    bool has = at && atomic_load_explicit(at, memory_order_relaxed) == hash;
    free(place);
    return has;
}

void tell_orphans_emptied(struct tell *t, const struct tell_row *r)
{
    struct tell_orphans *o = &t->orphans;
    uint64_t hash;
    char *place = mem_printf("%s/%s/%s", r->was_firm, r->was_compound, r->case_id);
    char **at = find(o, place);
    if (at) {
        atomic_uint_fast64_t *slot = slot_of(o, place, &hash);
        if (slot && atomic_load_explicit(slot, memory_order_relaxed) == hash)
            atomic_store_explicit(slot, 1, memory_order_relaxed); /* others lie behind it */
        free(*at);
        memmove(at, at + 1, (size_t)(o->places + o->n - at - 1) * sizeof(*at));
        o->n--;
        t->n.orphaned--;
    }
    free(place);
}

bool tell_orphan(struct tell *t, const char *case_id, char **out_firm, char **out_compound)
{
    struct tell_orphans *o = &t->orphans;
    bool found = false;
    for (size_t i = 0; i < o->n && !found; i++) {
        const char *compound = strchr(o->places[i], '/') + 1, *id = strchr(compound, '/') + 1;
        if (strcmp(id, case_id) != 0)
            continue;
        *out_firm = mem_strndup(o->places[i], (size_t)(compound - o->places[i]) - 1);
        *out_compound = mem_strndup(compound, (size_t)(id - compound) - 1);
        found = true;
    }
    return found;
}

void tell_orphans_each(struct tell *t, size_t most, tell_orphan_fn *fn, void *ctx)
{
    struct tell_orphans *o = &t->orphans;
    for (size_t i = 0; i < o->n && i < most; i++)
        fn(ctx, o->places[i]);
}
