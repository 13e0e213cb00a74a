/* SPDX-License-Identifier: Apache-2.0 */
#include "core/audit.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SILENT_AFTER = 3 }; /* expected intervals */

struct account {
    char *vendor, *model, *device, *compound, *kind;
    struct audit_counts n;
    int64_t begin_ms; /* watched since; -1: not now */
    int64_t last_ms;  /* spoke, or the watch began */
    int64_t watched_ms, silent_ms, longest_ms;
    uint64_t silences;
    uint32_t expected_s;
    unsigned broker;
};

struct outage {
    unsigned broker;
    int64_t from_ms, to_ms; /* INT64_MAX: not over */
};

struct audit {
    int64_t from_ms, to_ms;
    struct account **all; /* stay where they are */
    size_t n, cap;
    const struct registry *registry;
    struct account **at; /* by registry index */
    struct outage *outages;
    size_t n_outages;
    struct audit_row *rows;
};

struct audit *audit_new(int64_t from_ms, int64_t to_ms)
{
    struct audit *a = mem_zalloc(sizeof(*a));
    a->from_ms = from_ms;
    a->to_ms = to_ms;
    return a;
}

static void forget_words(struct account *c)
{
    free(c->vendor);
    free(c->model);
    free(c->compound);
    free(c->kind);
}

void audit_free(struct audit *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++) {
        forget_words(a->all[i]);
        free(a->all[i]->device);
        free(a->all[i]);
    }
    free(a->all);
    free(a->at);
    free(a->outages);
    free(a->rows);
    free(a);
}

/* -- silence -------------------------------------------------------------------------------- */

/* How much of from … to nobody but us is to blame for. */
static int64_t excused(const struct audit *a, const struct account *c, int64_t from, int64_t to)
{
    int64_t sum = 0, done = from; /* outages overlap: each moment counts once */
    for (size_t i = 0; i < a->n_outages; i++) {
        const struct outage *o = &a->outages[i];
        if (o->broker != AUDIT_ALL && o->broker != c->broker)
            continue;
        int64_t b = o->from_ms > done ? o->from_ms : done;
        int64_t e = o->to_ms == INT64_MAX ? to : o->to_ms + (int64_t)c->expected_s * 1000;
        e = e < to ? e : to;
        if (e > b) {
            sum += e - b;
            done = e;
        }
    }
    return sum;
}

/* The span from when it last spoke to now, as far as it lies in the period. */
static void settle(const struct audit *a, struct account *c, int64_t now_ms)
{
    if (c->begin_ms < 0 || c->expected_s == 0)
        return;
    int64_t from = c->last_ms + (int64_t)c->expected_s * 1000 * SILENT_AFTER;
    int64_t to = now_ms < a->to_ms ? now_ms : a->to_ms;
    from = from > a->from_ms ? from : a->from_ms;
    int64_t silent = to > from ? to - from - excused(a, c, from, to) : 0;
    if (silent <= 0)
        return;
    c->silences++;
    c->silent_ms += silent;
    if (silent > c->longest_ms)
        c->longest_ms = silent;
}

static void begin(struct account *c, int64_t now_ms)
{
    c->begin_ms = c->last_ms = now_ms;
}

static void end(struct audit *a, struct account *c, int64_t now_ms)
{
    if (c->begin_ms < 0)
        return;
    settle(a, c, now_ms);
    int64_t from = c->begin_ms > a->from_ms ? c->begin_ms : a->from_ms;
    int64_t to = now_ms < a->to_ms ? now_ms : a->to_ms;
    if (to > from)
        c->watched_ms += to - from;
    c->begin_ms = -1;
}

/* -- the registry --------------------------------------------------------------------------- */

static struct account *account_new(struct audit *a, const struct device *d)
{
    struct account *c = mem_zalloc(sizeof(*c));
    c->device = mem_strdup(d->code);
    c->begin_ms = -1;
    c->broker = AUDIT_ALL;
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 1024;
        a->all = mem_realloc_array(a->all, a->cap, sizeof(*a->all));
    }
    a->all[a->n++] = c;
    return c;
}

static void know(struct account *c, const struct device *d)
{
    forget_words(c);
    c->vendor = mem_strdup(d->vendor);
    c->model = mem_strdup(d->model);
    c->compound = mem_strdup(d->compound->code);
    c->kind = mem_strdup(d->kind->name);
    c->expected_s = d->expected_interval_s;
}

static struct account **take_over(struct audit *a, const struct registry *r)
{
    size_t n = registry_devices(r);
    struct account **at = mem_zalloc_array(n, sizeof(struct account *));
    for (size_t i = 0; i < n; i++) {
        const struct device *d = registry_device_at(r, i);
        const struct device *old =
            a->registry ? registry_find(a->registry, d->code, strlen(d->code)) : NULL;
        at[i] = old ? a->at[old->index] : account_new(a, d);
        if (old)
            a->at[old->index] = NULL;
    }
    return at;
}

void audit_registry(struct audit *a, const struct registry *r, int64_t now_ms)
{
    size_t before = a->registry ? registry_devices(a->registry) : 0;
    struct account **at = take_over(a, r);
    for (size_t i = 0; i < before; i++)
        if (a->at[i])
            end(a, a->at[i], now_ms);
    free(a->at);
    a->at = at;
    a->registry = r;
    for (size_t i = 0; i < registry_devices(r); i++) {
        const struct device *d = registry_device_at(r, i);
        if (d->retired || at[i]->expected_s != d->expected_interval_s)
            end(a, at[i], now_ms);
        know(at[i], d);
        if (!d->retired && at[i]->begin_ms < 0)
            begin(at[i], now_ms);
    }
}

void audit_link(struct audit *a, unsigned broker, bool up, int64_t now_ms)
{
    for (size_t i = a->n_outages; i-- > 0;) {
        struct outage *o = &a->outages[i];
        if (o->broker == broker && o->to_ms == INT64_MAX) {
            if (up)
                o->to_ms = now_ms;
            return;
        }
    }
    if (up)
        return;
    a->outages = mem_realloc_array(a->outages, a->n_outages + 1, sizeof(*a->outages));
    a->outages[a->n_outages++] = (struct outage){broker, now_ms, INT64_MAX};
}

void audit_link_again(struct audit *a, unsigned broker)
{
    for (size_t i = a->n_outages; i-- > 0;) {
        struct outage *o = &a->outages[i];
        if (o->broker != broker || o->to_ms != INT64_MAX)
            continue;
        memmove(o, o + 1, (--a->n_outages - i) * sizeof(*o));
        return;
    }
}

void audit_spoke(struct audit *a, const struct device *d, unsigned broker, int64_t now_ms,
                 const struct audit_counts *n)
{
    struct account *c = a->at[d->index];
    if (broker != AUDIT_ALL)
        c->broker = broker;
    if (n->messages > 0) {
        settle(a, c, now_ms);
        c->last_ms = now_ms;
    }
    if (now_ms < a->from_ms || now_ms >= a->to_ms)
        return;
    c->n.messages += n->messages;
    c->n.values += n->values;
    c->n.bad += n->bad;
    c->n.clock += n->clock;
    c->n.duplicates += n->duplicates;
}

void audit_end(struct audit *a, int64_t now_ms)
{
    for (size_t i = 0; a->registry && i < registry_devices(a->registry); i++)
        end(a, a->at[i], now_ms);
    a->registry = NULL;
}

/* -- rows ------------------------------------------------------------------------------------ */

static bool fits(const struct account *c, const struct audit_filter *f)
{
    return (!f->vendor || strcmp(c->vendor, f->vendor) == 0) &&
           (!f->model || strcmp(c->model, f->model) == 0) &&
           (!f->compound || strcmp(c->compound, f->compound) == 0) &&
           (c->watched_ms > 0 || c->n.messages > 0);
}

static int by_words(const void *pa, const void *pb)
{
    const struct audit_row *a = pa, *b = pb;
    int order = strcmp(a->vendor, b->vendor);
    order = order ? order : strcmp(a->model, b->model);
    return order ? order : strcmp(a->device, b->device);
}

static void row_add(struct audit_row *r, const struct audit_row *x)
{
    r->devices += x->devices;
    r->spoke += x->spoke;
    r->rated += x->rated;
    r->n.messages += x->n.messages;
    r->n.values += x->n.values;
    r->n.bad += x->n.bad;
    r->n.clock += x->n.clock;
    r->n.duplicates += x->n.duplicates;
    r->silences += x->silences;
    r->silent_ms += x->silent_ms;
    r->watched_ms += x->watched_ms;
    if (x->longest_ms > r->longest_ms)
        r->longest_ms = x->longest_ms;
}

size_t audit_rows(struct audit *a, const struct audit_filter *f, const struct audit_row **out)
{
    size_t n = 0;
    free(a->rows);
    a->rows = mem_zalloc_array(a->n + 1, sizeof(*a->rows));
    for (size_t i = 0; i < a->n; i++) {
        const struct account *c = a->all[i];
        if (!fits(c, f))
            continue;
        bool rated = c->expected_s > 0 && c->watched_ms > 0;
        a->rows[n++] = (struct audit_row){.vendor = c->vendor,
                                          .model = c->model,
                                          .device = f->by_device ? c->device : "",
                                          .compound = f->by_device ? c->compound : "",
                                          .kind = f->by_device ? c->kind : "",
                                          .devices = 1,
                                          .spoke = c->n.messages > 0,
                                          .rated = rated,
                                          .n = c->n,
                                          .silences = c->silences,
                                          .silent_ms = rated ? c->silent_ms : 0,
                                          .watched_ms = rated ? c->watched_ms : 0,
                                          .longest_ms = c->longest_ms};
    }
    qsort(a->rows, n, sizeof(*a->rows), by_words);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && by_words(&a->rows[kept - 1], &a->rows[i]) == 0)
            row_add(&a->rows[kept - 1], &a->rows[i]);
        else
            a->rows[kept++] = a->rows[i];
    }
    *out = a->rows;
    return kept;
}
