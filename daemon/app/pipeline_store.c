/* SPDX-License-Identifier: Apache-2.0 */
#include "app/pipeline_private.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *broker_id(const struct pipeline *p, const struct record *r)
{
    const struct conf *c = engine_world(p->engine)->conf;
    return r && r->broker < c->n_brokers ? c->brokers[r->broker].id : "";
}

void pipeline_letter(void *ctx, const struct engine_letter *l)
{
    struct pipeline *p = ctx;
    if (!p->emit_store)
        return;
    const struct record *r = l->record;
    struct store_letter s = {.at = engine_position(p->engine),
                             .record_offset = l->offset,
                             .wall_ns = r ? r->wall_ns : 0,
                             .engine_ns = r ? r->engine_ns : 0,
                             .reason = l->reason,
                             .detail = l->detail,
                             .broker = broker_id(p, r),
                             .topic = r ? r->topic : "",
                             .topic_len = r ? r->topic_len : 0,
                             .payload = r ? r->body : "",
                             .payload_len = r ? r->body_len : 0,
                             .flags = r ? r->flags : 0,
                             .device = l->device,
                             .device_len = l->device_len,
                             .compound = l->compound[0] ? l->compound : NULL};
    if (!p->batch)
        p->batch = store_batch_new();
    if (l->quarantine)
        store_batch_quarantine(p->batch, &s);
    else
        store_batch_dead(p->batch, &s);
    p->batch_rows++;
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
    *w = (struct waiting_batch){
        .batch = p->batch, .offset = at.offset, .for_snapshot = for_snapshot};
    *p->batches_end = w;
    p->batches_end = &w->next;
    p->waiting_bytes += store_batch_bytes(w->batch);
    p->batch = NULL;
    p->batch_rows = 0;
    pipeline_release_batches(p);
}

static void committed(void *ctx, int status)
{
    struct pipeline *p = ctx;
    if (status != 0 && p->running)
        pipeline_fatal(p, "store: cannot commit", status);
}

static void committed_for_snapshot(void *ctx, int status)
{
    committed(ctx, status);
    if (status == 0)
        pipeline_snapshot_flushed(ctx);
}

void pipeline_release_batches(struct pipeline *p)
{
    while (p->batches && p->batches->offset <= journal_synced(p->o.journal)) {
        struct waiting_batch *w = p->batches;
        p->batches = w->next;
        if (!p->batches)
            p->batches_end = &p->batches;
        p->waiting_bytes -= store_batch_bytes(w->batch);
        store_commit(p->o.store, w->batch, w->for_snapshot ? committed_for_snapshot : committed,
                     p);
        free(w);
    }
}

void pipeline_free_batches(struct pipeline *p)
{
    if (p->batch)
        store_batch_free(p->batch);
    while (p->batches) {
        struct waiting_batch *w = p->batches;
        p->batches = w->next;
        store_batch_free(w->batch);
        free(w);
    }
}
