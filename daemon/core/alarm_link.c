/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our links to the brokers. Who could not be heard did not say nothing: while the link is down no
 * silence grows, and once it is up whoever is quiet has as long as if it had spoken then. A moment
 * in which the broker kept everything is none, once that has come.
 */
#include "core/alarm_private.h"

#include <string.h>

#define KEPT_NS 60000000000u /* in which a broker hands over what it kept for a moment */

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Does what was kept for the last moment still come? */
static bool still_comes(const struct link *l, uint64_t now_ns)
{
    return l->again_ns && now_ns < l->again_ns + KEPT_NS;
}

static void remember(struct link *l, struct expr_deaf d)
{
    struct expr_deaf *last = l->n_deaf ? &l->deaf[l->n_deaf - 1] : NULL;
    if (last && d.from_ns <= last->to_ns) {
        last->to_ns = most(last->to_ns, d.to_ns);
        return;
    }
    if (l->n_deaf == MAX_DEAF) {
        size_t at = 0;
        for (size_t i = 1; i + 1 < MAX_DEAF; i++)
            if (l->deaf[i + 1].from_ns - l->deaf[i].to_ns <
                l->deaf[at + 1].from_ns - l->deaf[at].to_ns)
                at = i;
        l->deaf[at].to_ns = l->deaf[at + 1].to_ns;
        memmove(&l->deaf[at + 1], &l->deaf[at + 2], (MAX_DEAF - at - 2) * sizeof(l->deaf[0]));
        l->n_deaf--;
    }
    l->deaf[l->n_deaf++] = d;
}

/* What was taken for silence, or was not, is looked at. */
static void look_again(struct alarm *a, uint64_t engine_ns)
{
    for (unsigned i = 0; i < a->g.n_rules; i++)
        if (a->g.rules[i].hears)
            due_sweep(a, i, engine_ns);
    due_clean(a);
}

static void up(struct alarm *a, struct link *l, uint64_t engine_ns)
{
    if (engine_ns > l->lost_ns)
        remember(l, (struct expr_deaf){l->lost_ns, engine_ns});
    l->up = true;
    l->up_ns = engine_ns;
    l->again_ns = 0;
    look_again(a, engine_ns);
}

void alarm_link(struct alarm *a, unsigned broker, bool is_up, uint64_t engine_ns)
{
    if (broker >= MAX_BROKERS)
        return;
    struct link *l = &a->links[broker];
    a->now_ns = engine_ns;
    if (is_up && !l->up)
        up(a, l, engine_ns);
    if (!is_up && l->up && !still_comes(l, engine_ns))
        l->lost_ns = engine_ns;
    l->up = is_up;
}

void alarm_link_again(struct alarm *a, unsigned broker, uint64_t engine_ns)
{
    if (broker >= MAX_BROKERS)
        return;
    struct link *l = &a->links[broker];
    a->now_ns = engine_ns;
    if (!l->up && l->up_ns == 0) {
        up(a, l, engine_ns);
    } else if (!l->up) {
        l->again_ns = engine_ns;
        l->up = true;
        look_again(a, engine_ns);
    }
}

/* -- of a device ---------------------------------------------------------------------------- */

/* Nobody knows over which link it speaks before it did: then all of them do. */
static bool concerns(const struct alarm *a, const struct dev *v, size_t link)
{
    return v->broker < MAX_BROKERS ? v->broker == link : link < a->g.world->conf->n_brokers;
}

bool link_is_cut_off(const struct alarm *a, const struct dev *v)
{
    for (size_t i = 0; i < MAX_BROKERS; i++)
        if (concerns(a, v, i) && !a->links[i].up)
            return true;
    return false;
}

struct link_since link_since(const struct alarm *a, const struct dev *v)
{
    struct link_since s = {0};
    for (size_t i = 0; i < MAX_BROKERS; i++) {
        const struct link *l = &a->links[i];
        if (!concerns(a, v, i))
            continue;
        s.up_ns = most(s.up_ns, l->up_ns);
        s.kept_ns = most(s.kept_ns, l->again_ns ? l->again_ns + KEPT_NS : 0);
    }
    return s;
}

static size_t insert(struct expr_deaf *list, size_t n, struct expr_deaf d)
{
    size_t at = n;
    for (; at > 0 && list[at - 1].from_ns > d.from_ns; at--)
        list[at] = list[at - 1];
    list[at] = d;
    return n + 1;
}

static size_t add_link(const struct alarm *a, const struct link *l, struct expr_deaf *list,
                       size_t n)
{
    for (size_t i = 0; i < l->n_deaf; i++)
        n = insert(list, n, l->deaf[i]);
    if (!l->up)
        return insert(list, n, (struct expr_deaf){l->lost_ns, NEVER});
    if (still_comes(l, a->now_ns))
        n = insert(list, n, (struct expr_deaf){l->lost_ns, l->again_ns + KEPT_NS});
    return n;
}

void link_deaf(struct alarm *a, const struct whom *w, struct expr_env *out)
{
    const struct dev *v = w->dev;
    out->deaf = a->deaf;
    out->n_deaf = 0;
    out->grace_ns = interval_ns(w->device);
    const struct link *l = v->broker < MAX_BROKERS ? &a->links[v->broker] : NULL;
    if (l && l->up && !still_comes(l, a->now_ns)) { /* nearly always */
        out->deaf = l->deaf;
        out->n_deaf = l->n_deaf;
        return;
    }
    for (size_t i = 0; i < MAX_BROKERS; i++)
        if (concerns(a, v, i))
            out->n_deaf = add_link(a, &a->links[i], a->deaf, out->n_deaf);
}

static void widen(struct expr_deaf *d, uint64_t from_ns, uint64_t to_ns)
{
    if (to_ns > d->to_ns)
        *d = (struct expr_deaf){from_ns, to_ns};
}

bool link_is_deaf(const struct alarm *a, const struct whom *w, struct expr_deaf *out)
{
    uint64_t spoken = w->dev->alive_ns, grace = interval_ns(w->device);
    *out = (struct expr_deaf){0};
    for (size_t i = 0; i < MAX_BROKERS; i++) {
        const struct link *l = &a->links[i];
        if (!concerns(a, w->dev, i))
            continue;
        const struct expr_deaf *d = l->n_deaf ? &l->deaf[l->n_deaf - 1] : NULL;
        if (!l->up)
            widen(out, l->lost_ns, NEVER);
        else if (still_comes(l, a->now_ns) && spoken < l->again_ns)
            widen(out, l->lost_ns, l->again_ns + KEPT_NS);
        if (d && spoken < d->to_ns && a->now_ns < d->to_ns + grace)
            widen(out, d->from_ns, d->to_ns + grace);
    }
    return out->to_ns > 0;
}
