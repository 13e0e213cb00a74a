/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of former epochs that the broker keeps: the store knows nothing of their cases, so that
 * nothing that comes in will ever end them. Which they are is known from the last comparison; who
 * takes a command puts that into its record, and a `close` empties the topic through the outbox.
 * Looked at by Paho's threads, too.
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

static void forget(struct tell_orphans *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->places[i]);
    free(o->places);
    o->places = NULL;
    o->n = o->cap = 0;
}

void tell_orphans_clear(struct tell *t)
{
    pthread_mutex_lock(&t->orphans.lock);
    forget(&t->orphans);
    pthread_mutex_unlock(&t->orphans.lock);
}

void tell_orphans_add(struct tell *t, const char *topic)
{
    struct tell_orphans *o = &t->orphans;
    const char *place = place_of(t, topic);
    if (!place || o->n >= TELL_ORPHANS_MAX)
        return; /* counted all the same; the next comparison finds them when others are gone */
    pthread_mutex_lock(&o->lock);
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 16;
        o->places = mem_realloc_array(o->places, o->cap, sizeof(*o->places));
    }
    o->places[o->n++] = mem_strdup(place);
    pthread_mutex_unlock(&o->lock);
}

void tell_orphans_sort(struct tell *t)
{
    pthread_mutex_lock(&t->orphans.lock);
    if (t->orphans.n > 0)
        qsort(t->orphans.places, t->orphans.n, sizeof(*t->orphans.places), by_text);
    pthread_mutex_unlock(&t->orphans.lock);
}

static char **find(struct tell_orphans *o, const char *place)
{
    return o->n ? bsearch(&place, o->places, o->n, sizeof(*o->places), by_text) : NULL;
}

bool tell_orphans_has(struct tell *t, const char *firm, const char *compound,
                      const char *case_id)
{
    char *place = mem_printf("%s/%s/%s", firm, compound, case_id);
    pthread_mutex_lock(&t->orphans.lock);
    bool has = find(&t->orphans, place);
    pthread_mutex_unlock(&t->orphans.lock);
    free(place);
    return has;
}

void tell_orphans_emptied(struct tell *t, const struct tell_row *r)
{
    struct tell_orphans *o = &t->orphans;
    char *place = mem_printf("%s/%s/%s", r->was_firm, r->was_compound, r->case_id);
    pthread_mutex_lock(&o->lock);
    char **at = find(o, place);
    if (at) {
        free(*at);
        memmove(at, at + 1, (size_t)(o->places + o->n - at - 1) * sizeof(*at));
        o->n--;
        t->n.orphaned--;
    }
    pthread_mutex_unlock(&o->lock);
    free(place);
}

bool tell_orphan(struct tell *t, const char *case_id, char **out_firm, char **out_compound)
{
    struct tell_orphans *o = &t->orphans;
    bool found = false;
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < o->n && !found; i++) {
        const char *compound = strchr(o->places[i], '/') + 1, *id = strchr(compound, '/') + 1;
        if (strcmp(id, case_id) != 0)
            continue;
        *out_firm = mem_strndup(o->places[i], (size_t)(compound - o->places[i]) - 1);
        *out_compound = mem_strndup(compound, (size_t)(id - compound) - 1);
        found = true;
    }
    pthread_mutex_unlock(&o->lock);
    return found;
}

void tell_orphans_each(struct tell *t, size_t most, tell_orphan_fn *fn, void *ctx)
{
    struct tell_orphans *o = &t->orphans;
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < o->n && i < most; i++)
        fn(ctx, o->places[i]);
    pthread_mutex_unlock(&o->lock);
}
