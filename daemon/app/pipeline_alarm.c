/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine says of alarms, on its way to the store; and what the store knows of them, when
 * a replay comes to where it stands.
 */
#include "app/pipeline_private.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "io/snapshot.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TOLD 100 /* differing cases that are told one by one */

/* -- to the store ------------------------------------------------------------------------- */

static void began(struct pipeline *p)
{
    if (p->batch_began_ns == 0)
        p->batch_began_ns = loop_hrtime_ns();
}

void pipeline_transition(void *ctx, const struct transition *t)
{
    struct pipeline *p = ctx;
    if (!p->emit_store)
        return;
    struct position at = engine_position(p->engine);
    store_batch_transition(pipeline_batch(p), &at, t);
    p->stats.transitions++;
    began(p);
}

/* When it expires is compared with our clock as it is, so it is not counted from the command's wall_ms,
 * which is of the clock that we believe; and from the record, so that a replay gives it no more time. */
void pipeline_reply(void *ctx, const struct case_reply *r)
{
    struct pipeline *p = ctx;
    if (!p->emit_store)
        return;
    struct position at = engine_position(p->engine);
    store_batch_reply(pipeline_batch(p), &at, r, p->passing_wall_ms + CASE_REPLY_S * 1000);
    p->stats.replies++;
    began(p);
    if (r->to->origin == 0 || !p->o.reply)
        return;
    struct answered *a = mem_zalloc(sizeof(*a) + r->json_len);
    a->origin = r->to->origin;
    a->answer = r->answer;
    a->len = r->json_len;
    memcpy(a->json, r->json, r->json_len);
    *p->answers_end = a;
    p->answers_end = &a->next;
}

/* "gateway/lane/epoch": from here on the stream has that epoch. One from before the store was
 * rolled back is of a stream that is over. */
void pipeline_stream(struct pipeline *p, const struct record *r)
{
    uint64_t epoch;
    const char *slash = memrchr(r->body, '/', r->body_len);
    if (!p->emit_store || !slash || r->offset < p->epoch_from)
        return;
    slash++;
    if (num_get_u64(slash, r->body_len - (size_t)(slash - (const char *)r->body), &epoch) != 0)
        return;
    store_batch_epoch(pipeline_batch(p), epoch);
    began(p);
}

void pipeline_hurry(struct pipeline *p)
{
    if (p->batch_began_ns == 0)
        return;
    pipeline_hand_batch(p, false);
    if (p->batches.first)
        pipeline_sync(p);
}

/* -- a store that is older than we are ------------------------------------------------------- */

/* Where such a store came, its word went over ours (pipeline_adopt). Who passes the journal from before that
 * place does so without, and what followed may get other numbers than it was told with, should the store be
 * put back once more, to a copy that was made since. */
static bool passes_it_again(const struct pipeline *p)
{
    return p->o.epoch_from > 0 && p->stats.snapshot.offset <= p->o.epoch_from;
}

/* A snapshot is never beyond the store's cursor, and a journal never older than its store. */
void pipeline_look_for_rollback(struct pipeline *p, struct snapshots *snapshots)
{
    struct journal_stats j;
    journal_stats(p->o.journal, &j);
    p->stats.rolled_back = passes_it_again(p) || (p->o.store_fresh && j.segments > 1) ||
                           snapshots_beyond(snapshots, &p->o.store_cursor);
    if (p->stats.rolled_back && j.end > p->epoch_from)
        p->epoch_from = j.end;
}

/* -- the store's open cases ------------------------------------------------------------------ */

static void adopted_free(struct adopted *a)
{
    for (size_t i = 0; a && i < a->n; i++)
        free(a->blobs[i]);
    if (a) {
        free(a->blobs);
        free(a->lens);
    }
    free(a);
}

static void on_case(void *ctx, const struct store_case *c)
{
    struct adopted *a = ctx;
    if (!a->p || !c->blob)
        return;
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 64;
        a->blobs = mem_realloc_array(a->blobs, a->cap, sizeof(*a->blobs));
        a->lens = mem_realloc_array(a->lens, a->cap, sizeof(*a->lens));
    }
    a->blobs[a->n] = mem_strndup(c->blob, c->blob_len);
    a->lens[a->n++] = c->blob_len;
}

static void on_cases(void *ctx, int status, uint64_t n, bool more)
{
    struct adopted *a = ctx;
    struct pipeline *p = a->p;
    (void)n;
    (void)more;
    if (!p) { /* closed meanwhile */
        adopted_free(a);
        return;
    }
    p->loading = false;
    if (status != 0)
        pipeline_fatal(p, "store: its open cases cannot be read", status);
    else
        pipeline_drain(p);
}

/* Nothing is committed before the replay has passed the cursor: what is read now is what was so
 * there. A store that knows no place yet, knows no cases either: those of a snapshot go on. */
void pipeline_load_cases(struct pipeline *p)
{
    if (p->stats.rolled_back) {
        struct store_batch *b = store_batch_new();
        store_batch_no_epoch(b, p->epoch_from);
        store_commit(p->o.store, b, NULL, NULL);
        log_warn("store: %s; the stream of alarms gets a new epoch",
                 passes_it_again(p)
                     ? "it was restored or lost, and no snapshot was written since"
                     : "it is older than the snapshots, or new: it was restored or lost");
    }
    if (p->o.store_cursor.offset == 0)
        return;
    p->adopt = mem_zalloc(sizeof(*p->adopt));
    p->adopt->p = p;
    p->loading = true;
    store_open_cases(p->o.store, NULL, on_case, on_cases, p->adopt);
}

static void differs(void *ctx, const char *case_id, const char *how)
{
    struct pipeline *p = ctx;
    if (p->stats.adopt_differs++ < MAX_TOLD)
        log_warn("alarms: case %s after the replay: %s; the store's word goes", case_id, how);
}

/* Engine and store stand at the same place. */
void pipeline_adopt(struct pipeline *p)
{
    struct adopted *a = p->adopt;
    p->adopt = NULL;
    int e =
        engine_adopt_cases(p->engine, (const char *const *)a->blobs, a->lens, a->n, differs, p);
    if (e != 0)
        log_error("alarms: open cases of the store cannot be taken over: %s", strerror(-e));
    if (p->stats.adopt_differs > MAX_TOLD)
        log_warn("alarms: %llu cases were other than the store says",
                 (unsigned long long)p->stats.adopt_differs);
    adopted_free(a);
}

void pipeline_forget_cases(struct pipeline *p)
{
    if (p->adopt && p->loading)
        p->adopt->p = NULL; /* the store still answers, and what comes then frees it */
    else
        adopted_free(p->adopt);
}
