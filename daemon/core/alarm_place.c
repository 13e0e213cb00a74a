/* SPDX-License-Identifier: Apache-2.0 */
/* Who is where: what reports through which uplink, and the groups that count_over counts in. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"
#include "core/alarm_private.h"

#include <stdlib.h>
#include <string.h>

/* -- uplinks ---------------------------------------------------------------------------------- */

/* Both of this lane: of the other's nobody hears here whether they speak. */
static const struct device *uplink_device(const struct gen *g, size_t i)
{
    const struct registry *r = g->world->registry;
    const struct device *d = registry_device_at(r, i);
    if (d->retired || !d->uplink || !*d->uplink || !world_serves(g->world, d))
        return NULL;
    const struct device *u = registry_find(r, d->uplink, strlen(d->uplink));
    return u && u != d && !u->retired && world_serves(g->world, u) ? u : NULL;
}

/* The rule that tells that an uplink is silent: the first that tells silence there, rather one that is always in force. */
static uint32_t rule_that_tells(const struct gen *g, uint32_t device)
{
    const struct device *d = registry_device_at(g->world->registry, device);
    const struct plan *p = gen_plan(g, d);
    const struct series *s = g->devs[device].series;
    uint32_t first = UINT32_MAX;
    for (size_t i = 0; s && i < p->n_rules; i++) {
        if (!tells_silence(p->rules[i].rule) || !(seats_of(p, s)[i].flags & SEAT_SILENCE))
            continue;
        if (p->rules[i].rule->n_windows == 0)
            return (uint32_t)i;
        first = first == UINT32_MAX ? (uint32_t)i : first;
    }
    return first;
}

/* uplink_of is by their devices for now, from 1: each is searched once. */
static void find_uplinks(struct gen *g)
{
    size_t n = 0;
    uint32_t *by = mem_zalloc_array(g->n_devs, sizeof(*by));
    for (size_t i = 0; i < g->n_devs; i++) {
        const struct device *u = uplink_device(g, i);
        by[i] = u ? u->index + 1 : 0;
        n += u != NULL;
    }
    if (n == 0) {
        free(by);
        return;
    }
    g->uplink_of = by;
    g->members = mem_zalloc_array(n, sizeof(*g->members));
    g->uplink_is = mem_zalloc_array(g->n_devs, sizeof(*g->uplink_is));
    for (size_t i = 0; i < g->n_devs; i++)
        if (by[i] && !g->uplink_is[by[i] - 1]++)
            g->n_uplinks++;
    g->uplinks = mem_zalloc_array(g->n_uplinks, sizeof(*g->uplinks));
    size_t at = 0;
    for (size_t i = 0; i < g->n_devs; i++)
        if (g->uplink_is[i]) {
            g->uplinks[at] = (struct uplink){.device = (uint32_t)i, .due = NEVER};
            g->uplink_is[i] = (uint32_t)++at;
        }
}

static void find_members(struct gen *g)
{
    uint32_t at = 0;
    for (size_t i = 0; i < g->n_devs && g->n_uplinks; i++)
        if (g->uplink_of[i]) {
            g->uplink_of[i] = g->uplink_is[g->uplink_of[i] - 1];
            g->uplinks[g->uplink_of[i] - 1].n++;
        }
    for (size_t i = 0; i < g->n_uplinks; i++) {
        struct uplink *u = &g->uplinks[i];
        u->first = at;
        at += u->n;
        u->n = 0;
        u->pos = rule_that_tells(g, u->device);
    }
    for (size_t i = 0; i < g->n_devs && g->n_uplinks; i++)
        if (g->uplink_of[i]) {
            struct uplink *u = &g->uplinks[g->uplink_of[i] - 1];
            g->members[u->first + u->n++] = (uint32_t)i;
        }
}

/* By a rule that is in force, or was when it told it; a blame is one rule's. What nobody tells of an
 * uplink hides nobody. */
bool uplink_tells(const struct alarm *a, const struct uplink *u)
{
    const struct gen *g = &a->g;
    const struct plan *p = gen_plan(g, registry_device_at(g->world->registry, u->device));
    const struct series *s = g->devs[u->device].series;
    for (uint32_t i = 0; s && i < p->n_rules; i++) {
        const struct seat *seat = &seats_of(p, s)[i];
        if (!tells_silence(p->rules[i].rule))
            continue;
        if (seat->act && act_at(a, seat->act)->silent)
            return true;
        if ((u->by_members ? i == u->pos : (seat->flags & SEAT_SILENT) != 0) &&
            g->rules[p->rules[i].rule->index].in_force)
            return true;
    }
    return false;
}

bool uplink_hides(const struct alarm *a, uint32_t device)
{
    const struct gen *g = &a->g;
    for (unsigned ups = 0; g->uplink_of && g->uplink_of[device] && ups < MAX_UPS; ups++) {
        const struct uplink *u = &g->uplinks[g->uplink_of[device] - 1];
        if (u->release || (u->down && uplink_tells(a, u)))
            return true;
        device = u->device;
    }
    return false;
}

/* -- groups ----------------------------------------------------------------------------------- */

struct names { /* of groups, as they are found */
    struct table table;
    char **list;
    size_t n, cap;
};

static bool same_name(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const struct names *n = ctx;
    return strlen(n->list[value]) == len && memcmp(n->list[value], key, len) == 0;
}

static uint32_t name_of(struct names *n, const char *name, size_t len)
{
    uint64_t h = hash64(hash_seed(), name, len);
    uint32_t i = table_find(&n->table, h, same_name, n, name, len);
    if (i != UINT32_MAX)
        return i;
    if (n->n == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 64;
        n->list = mem_realloc_array(n->list, n->cap, sizeof(*n->list));
    }
    n->list[n->n] = mem_strndup(name, len);
    table_add(&n->table, h, (uint32_t)n->n);
    return (uint32_t)n->n++;
}

/* The parts that name the group; the last one empty: it is in none. */
static bool area_name(const struct gen *g, const struct device *d, enum expr_area area,
                      struct buf *out)
{
    const struct compound *c = registry_compound_now(g->world->registry, d->compound);
    const char *own = "";
    buf_clear(out);
    switch (area) {
    case EXPR_BUILDING:
        own = d->building;
        (void)buf_puts(out, c->code);
        break;
    case EXPR_COMPOUND:
        own = c->code;
        break;
    case EXPR_GRID:
        own = c->grid;
        (void)buf_printf(out, "%s\n%s\n%s", c->district, c->street, c->community);
        break;
    case EXPR_COMMUNITY:
        own = c->community;
        (void)buf_printf(out, "%s\n%s", c->district, c->street);
        break;
    case EXPR_STREET:
        own = c->street;
        (void)buf_puts(out, c->district);
        break;
    case EXPR_DISTRICT:
        own = c->district;
        break;
    case EXPR_POWER_DOMAIN:
        own = d->power_domain;
        break;
    case EXPR_UPLINK:
        own = d->uplink;
        break;
    case EXPR_AREAS:
        break;
    }
    (void)buf_putc(out, '\n');
    (void)buf_puts(out, own);
    return own && *own && !out->failed;
}

static void build_area(struct gen *g, enum expr_area area)
{
    struct area *x = &g->areas[area];
    struct names names = {0};
    struct buf name;
    if (x->group)
        return;
    buf_init(&name, 4096);
    table_init(&names.table, g->n_devs);
    x->group = mem_zalloc_array(g->n_devs, sizeof(*x->group));
    for (size_t i = 0; i < g->n_devs; i++) {
        const struct device *d = registry_device_at(g->world->registry, i);
        x->group[i] = !d->retired && area_name(g, d, area, &name)
                          ? name_of(&names, name.data, name.len)
                          : UINT32_MAX;
    }
    x->n = (uint32_t)names.n;
    x->first = mem_zalloc_array((size_t)x->n + 2, sizeof(*x->first));
    x->members = mem_zalloc_array(g->n_devs, sizeof(*x->members));
    for (size_t i = 0; i < g->n_devs; i++)
        if (x->group[i] != UINT32_MAX)
            x->first[x->group[i] + 2]++;
    for (uint32_t i = 2; i < x->n + 2; i++)
        x->first[i] += x->first[i - 1];
    for (size_t i = 0; i < g->n_devs; i++)
        if (x->group[i] != UINT32_MAX)
            x->members[x->first[x->group[i] + 1]++] = (uint32_t)i;
    for (size_t i = 0; i < names.n; i++)
        free(names.list[i]);
    free(names.list);
    table_done(&names.table);
    buf_done(&name);
}

void gen_places(struct gen *g)
{
    find_uplinks(g);
    find_members(g);
    for (size_t i = 0; i < g->n_counts; i++) {
        build_area(g, g->counts[i].area);
        g->counts[i].n = mem_zalloc_array(g->areas[g->counts[i].area].n, sizeof(uint32_t));
    }
}

void gen_places_done(struct gen *g)
{
    for (size_t i = 0; i < g->n_counts; i++)
        free(g->counts[i].n);
    for (unsigned i = 0; i < EXPR_AREAS; i++) {
        free(g->areas[i].group);
        free(g->areas[i].members);
        free(g->areas[i].first);
    }
    free(g->counts);
    free(g->uplinks);
    free(g->uplink_of);
    free(g->uplink_is);
    free(g->members);
}
