/* SPDX-License-Identifier: Apache-2.0 */
#include "app/pipeline_private.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void list_add(struct batch_list *l, struct waiting_batch *w)
{
    w->next = NULL;
    *l->last = w;
    l->last = &w->next;
}

static struct waiting_batch *list_take(struct batch_list *l)
{
    struct waiting_batch *w = l->first;
    if (!w)
        return NULL;
    l->first = w->next;
    if (!l->first)
        l->last = &l->first;
    return w;
}

static const char *broker_id(const struct pipeline *p, const struct record *r)
{
    const struct conf *c = engine_world(p->engine)->conf;
    return r && r->broker < c->n_brokers ? c->brokers[r->broker].id : "";
}

struct store_batch *pipeline_batch(struct pipeline *p)
{
    if (!p->batch)
        p->batch = store_batch_new();
    p->batch_rows++;
    return p->batch;
}

void pipeline_letter(void *ctx, const struct engine_letter *l)
{
    struct pipeline *p = ctx;
    if (!p->emit_store)
        return;
    const struct record *r = l->record;
    struct store_letter s = {.at = engine_position(p->engine),
                             .record_offset = l->offset,
                             .wall_ns = l->wall_ns,
                             .engine_ns = r ? r->engine_ns : 0,
                             .reason = l->reason,
                             .detail = l->detail,
                             .broker = broker_id(p, r),
                             .topic = r ? r->topic : "",
                             .topic_len = r ? r->topic_len : 0,
                             .payload = r ? r->body : "",
                             .payload_len = r ? r->body_len : 0,
                             .flags = r ? r->flags : 0,
                             .again = r && r->type == RECORD_REINJECT,
                             .device = l->device,
                             .device_len = l->device_len,
                             .compound = l->compound[0] ? l->compound : NULL};
    if (l->quarantine)
        store_batch_quarantine(pipeline_batch(p), &s);
    else
        store_batch_dead(pipeline_batch(p), &s);
}

/* Closes the open batch with the engine's position as its cursor; it goes to the store once the
 * journal is synced past it. */
void pipeline_hand_batch(struct pipeline *p, bool for_snapshot)
{
    struct position at = engine_position(p->engine);
    if (!for_snapshot && p->batch_rows == 0)
        return;
    if (!p->batch)
        p->batch = store_batch_new();
    if (position_cmp(&at, &p->o.store_cursor) > 0) /* replay must not take it back */
        store_batch_cursor(p->batch, &at);
    struct waiting_batch *w = mem_zalloc(sizeof(*w));
    *w = (struct waiting_batch){.p = p,
                                .batch = p->batch,
                                .offset = at.offset,
                                .began_ns = p->batch_began_ns,
                                .answers = p->answers,
                                .for_snapshot = for_snapshot};
    list_add(&p->batches, w);
    p->waiting_bytes += store_batch_bytes(w->batch);
    p->batch = NULL;
    p->batch_rows = 0;
    p->batch_began_ns = 0;
    p->answers = NULL;
    p->answers_end = &p->answers;
    pipeline_release_batches(p);
}

static void free_answers(struct answered *a)
{
    for (struct answered *next; a; a = next) {
        next = a->next;
        free(a);
    }
}

static void tell_committed(struct pipeline *p, const struct waiting_batch *w)
{
    if (w->began_ns) {
        p->stats.alarm_ns_last = loop_hrtime_ns() - w->began_ns;
        if (p->stats.alarm_ns_last > p->stats.alarm_ns_max)
            p->stats.alarm_ns_max = p->stats.alarm_ns_last;
    }
    for (const struct answered *a = w->answers; a && p->o.reply; a = a->next)
        p->o.reply(p->o.ctx, a->origin, a->answer, a->json, a->len);
}

static void committed(void *ctx, int status)
{
    struct waiting_batch *w = ctx;
    struct pipeline *p = w->p;
    if (p) {
        ASSERT(list_take(&p->handed) == w); /* in the order in which they were handed over */
        if (status == 0)
            tell_committed(p, w);
        else if (p->running)
            pipeline_fatal(p, "store: cannot commit", status);
        if (status == 0 && w->for_snapshot)
            pipeline_snapshot_flushed(p);
    }
    free_answers(w->answers);
    free(w);
}

void pipeline_release_batches(struct pipeline *p)
{
    while (p->batches.first && p->batches.first->offset <= journal_synced(p->o.journal)) {
        struct waiting_batch *w = list_take(&p->batches);
        p->waiting_bytes -= store_batch_bytes(w->batch);
        list_add(&p->handed, w);
        p->handed_to = w->offset;
        store_commit(p->o.store, w->batch, committed, w);
    }
}

/* The store does one thing after another: it is enough that it was asked. */
bool pipeline_has_stored(struct pipeline *p, uint64_t *offset)
{
    if (*offset == 0)
        *offset = journal_end(p->o.journal);
    bool nothing_waits = !p->batches.first && p->batch_rows == 0;
    if (p->read_to >= *offset && (nothing_waits || p->handed_to >= *offset))
        return true;
    pipeline_hand_batch(p, false);
    pipeline_sync(p);
    return false;
}

/* Those handed over are the store's; it answers when it is closed, after us. */
void pipeline_free_batches(struct pipeline *p)
{
    struct waiting_batch *w;
    if (p->batch)
        store_batch_free(p->batch);
    free_answers(p->answers);
    while ((w = list_take(&p->batches))) {
        store_batch_free(w->batch);
        free_answers(w->answers);
        free(w);
    }
    while ((w = list_take(&p->handed)))
        w->p = NULL;
}
