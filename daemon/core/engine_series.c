/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Further points of devices, and the vendors' message ids: state that only few devices have, found
 * from them and bounded (docs/design.md).
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/engine_private.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64

/* -- points ---------------------------------------------------------------------------------- */

struct point_key {
    uint32_t device;
    const char *name;
};

static bool same_point(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const struct point_state *p = &((const struct engine *)ctx)->points[value];
    const struct point_key *k = key;
    return p->device == k->device && strlen(p->name) == len &&
           memcmp(p->name, k->name, len) == 0;
}

static uint64_t point_hash(uint32_t device, const char *name, size_t len)
{
    return hash64(hash_seed() ^ device, name, len);
}

static void index_points(struct engine *e)
{
    table_done(&e->by_point);
    table_init(&e->by_point, e->cap_points);
    for (uint32_t i = 0; i < e->n_points; i++) {
        const struct point_state *p = &e->points[i];
        table_add(&e->by_point, point_hash(p->device, p->name, strlen(p->name)), i);
    }
}

struct point_state *engine_point_add(struct engine *e, uint32_t device, const char *name,
                                     size_t len)
{
    struct device_state *s = &e->devices[device];
    if (s->n_points == ENGINE_MAX_POINTS || e->n_points == ENGINE_ALL_POINTS)
        return NULL;
    if (e->n_points == e->cap_points) {
        e->cap_points = e->cap_points ? e->cap_points * 2 : FIRST_ROOM;
        e->points = mem_realloc_array(e->points, e->cap_points, sizeof(*e->points));
        index_points(e);
    }
    struct point_state *p = &e->points[e->n_points];
    *p = (struct point_state){
        .device = device, .next = s->points, .name = mem_strndup(name, len)};
    table_add(&e->by_point, point_hash(device, name, len), (uint32_t)e->n_points++);
    s->points = (uint32_t)e->n_points;
    s->n_points++;
    return p;
}

struct series *engine_series(struct engine *e, const struct device *d, const char *point,
                             size_t len, const struct point_state **out_further)
{
    *out_further = NULL;
    if (len == 0 || (strlen(d->point) == len && memcmp(d->point, point, len) == 0))
        return &e->devices[d->index].series;
    struct point_state *p = NULL;
    if (e->devices[d->index].n_points > 0) {
        struct point_key key = {d->index, point};
        uint32_t i = table_find(&e->by_point, point_hash(d->index, point, len), same_point, e,
                                &key, len);
        p = i == UINT32_MAX ? NULL : &e->points[i];
    }
    if (!p)
        p = engine_point_add(e, d->index, point, len);
    *out_further = p;
    return p ? &p->series : NULL;
}

/* -- message ids ----------------------------------------------------------------------------- */

struct id_ring *engine_ids_of(struct engine *e, struct device_state *s)
{
    if (s->ids)
        return &e->ids[s->ids - 1];
    if (e->n_ids == e->cap_ids) {
        e->cap_ids = e->cap_ids ? e->cap_ids * 2 : FIRST_ROOM;
        e->ids = mem_realloc_array(e->ids, e->cap_ids, sizeof(*e->ids));
    }
    e->ids[e->n_ids] = (struct id_ring){{0}};
    s->ids = (uint32_t)++e->n_ids;
    return &e->ids[e->n_ids - 1];
}

bool engine_id_seen(struct engine *e, const struct device *d, uint64_t id, uint64_t content)
{
    struct device_state *s = &e->devices[d->index];
    struct id_ring *r = engine_ids_of(e, s);
    uint64_t v = id << 32 | (content & 0xffffffff);
    v = v ? v : 1;
    for (size_t i = 0; i < IDS; i++)
        if (r->id[i] == v)
            return true;
    r->id[s->ids_at++ % IDS] = v;
    return false;
}

/* -- generations ----------------------------------------------------------------------------- */

/* Points and ids of devices that are still there, under their new numbers; e->devices are the new
 * ones already, e->world the old one. */
void engine_series_move(struct engine *e, const struct world *now)
{
    struct point_state *points = e->points;
    struct id_ring *ids = e->ids;
    size_t n = e->n_points;
    e->points = NULL;
    e->ids = NULL;
    e->n_points = e->cap_points = e->n_ids = e->cap_ids = 0;
    for (size_t i = 0; i < e->n_devices; i++) {
        struct device_state *s = &e->devices[i];
        s->points = 0;
        s->n_points = 0;
        if (s->ids) {
            const struct id_ring old = ids[s->ids - 1];
            s->ids = 0;
            *engine_ids_of(e, s) = old;
        }
    }
    for (size_t i = 0; i < n; i++) {
        const struct device *was = registry_device_at(e->world->registry, points[i].device);
        const struct device *d = registry_find(now->registry, was->code, strlen(was->code));
        struct point_state *p =
            d ? engine_point_add(e, d->index, points[i].name, strlen(points[i].name)) : NULL;
        if (p)
            p->series = points[i].series;
        free(points[i].name);
    }
    free(points);
    free(ids);
    if (e->n_points == 0)
        table_done(&e->by_point);
}

void engine_series_free(struct engine *e)
{
    for (size_t i = 0; i < e->n_points; i++)
        free(e->points[i].name);
    free(e->points);
    free(e->ids);
    table_done(&e->by_point);
}
