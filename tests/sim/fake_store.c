/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/store.h in memory. A batch is committed whole, some time after it was handed over, in
 * order; when the process dies, the first few of those under way may have been committed.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/store.h"
#include "sim/fake_store_alarm.h"
#include "sim/fakes.h"
#include "sim/world.h"
#include "sim/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rows {
    struct fake_row *r;
    size_t n, cap;
};
struct store_batch {
    struct fake_alarm_batch alarms; /* first: fake_store_alarm.c knows only this */
    struct rows rows;
    struct position cursor;
    bool has_cursor;
    size_t bytes;
    store_fn *fn;
    void *ctx;
};
struct store {
    struct fake_alarm_store alarms; /* first: the same */
    struct store_batch *queue[4096];
    size_t n;
    uint64_t bytes;
    struct store_stats stats;
};

static struct {
    struct rows rows, old_rows;
    struct position cursor, old_cursor;
    bool made, remembered;
} disk;
static struct store *open_store;

void (*fake_store_on_commit)(const struct position *cursor);

static void rows_free(struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->r[i].payload);
    free(r->r);
    *r = (struct rows){0};
}

static struct fake_row *rows_add(struct rows *r)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->r = mem_realloc_array(r->r, r->cap, sizeof(*r->r));
    }
    memset(&r->r[r->n], 0, sizeof(r->r[0]));
    return &r->r[r->n++];
}

static void rows_copy(struct rows *to, const struct rows *from)
{
    rows_free(to);
    for (size_t i = 0; i < from->n; i++) {
        struct fake_row *r = rows_add(to);
        *r = from->r[i];
        r->payload = mem_zalloc(r->len + 1);
        memcpy(r->payload, from->r[i].payload, r->len);
    }
}

void fake_store_reset(void)
{
    rows_free(&disk.rows);
    rows_free(&disk.old_rows);
    memset(&disk, 0, sizeof(disk));
    fake_alarm_reset();
    open_store = NULL;
}

struct position fake_store_cursor(void)
{
    return disk.cursor;
}

size_t fake_store_rows(const struct fake_row **out)
{
    *out = disk.rows.r;
    return disk.rows.n;
}

void fake_store_remember(void)
{
    rows_copy(&disk.old_rows, &disk.rows);
    disk.old_cursor = disk.cursor;
    disk.remembered = true;
    fake_alarm_remember();
}

void fake_store_remembered(struct position *out)
{
    *out = disk.old_cursor;
}

void fake_store_lose(void)
{
    rows_free(&disk.rows);
    disk.cursor = (struct position){0};
    disk.made = disk.remembered = false;
    fake_alarm_lose();
}

bool fake_store_restore(void)
{
    if (!disk.remembered)
        return false;
    rows_copy(&disk.rows, &disk.old_rows);
    disk.cursor = disk.old_cursor;
    fake_alarm_restore();
    return true;
}

/* -- batches ------------------------------------------------------------------------------- */

struct store_batch *store_batch_new(void)
{
    return mem_zalloc(sizeof(struct store_batch));
}

void store_batch_free(struct store_batch *b)
{
    if (b) {
        rows_free(&b->rows);
        fake_alarm_batch_free(&b->alarms);
    }
    free(b);
}

size_t store_batch_bytes(const struct store_batch *b)
{
    return b->bytes + b->alarms.bytes;
}

static struct fake_row *letter(struct store_batch *b, const struct store_letter *l)
{
    struct fake_row *r = rows_add(&b->rows);
    r->record_offset = l->record_offset;
    r->ordinal = l->at.ordinal;
    r->flags = l->flags;
    r->wall_ns = l->wall_ns;
    r->engine_ns = l->engine_ns;
    (void)snprintf(r->reason, sizeof(r->reason), "%s", l->reason);
    (void)snprintf(r->device, sizeof(r->device), "%.*s", (int)l->device_len,
                   l->device ? l->device : "");
    (void)snprintf(r->topic, sizeof(r->topic), "%.*s", (int)l->topic_len, l->topic);
    r->hash = hash64(hash64(1, l->topic, l->topic_len), l->payload, l->payload_len);
    r->payload = mem_zalloc(l->payload_len + 1);
    memcpy(r->payload, l->payload, l->payload_len);
    r->len = l->payload_len;
    b->bytes += 100 + l->payload_len;
    return r;
}

void store_batch_dead(struct store_batch *b, const struct store_letter *l)
{
    (void)letter(b, l);
}

void store_batch_quarantine(struct store_batch *b, const struct store_letter *l)
{
    letter(b, l)->quarantine = true;
}

void store_batch_line(struct store_batch *b, const struct store_line *l)
{
    struct fake_row *r = rows_add(&b->rows);
    r->is_line = true;
    sim_trace("line %u of block %llu of %s refused (%s, %d): %.*s", l->line,
              (unsigned long long)l->block, l->sink, l->reason, l->status, (int)l->text_len,
              l->text);
    r->record_offset = l->block;
    r->ordinal = l->line;
    (void)snprintf(r->sink, sizeof(r->sink), "%s", l->sink);
    (void)snprintf(r->reason, sizeof(r->reason), "%s", l->reason);
    r->hash = fake_db_hash(l->text, l->text_len);
    r->payload = mem_zalloc(l->text_len + 1);
    memcpy(r->payload, l->text, l->text_len);
    r->len = l->text_len;
    b->bytes += 100 + l->text_len;
}

void store_batch_cursor(struct store_batch *b, const struct position *cursor)
{
    b->cursor = *cursor;
    b->has_cursor = true;
}

/* -- committing ---------------------------------------------------------------------------- */

static bool is_there(const struct fake_row *r)
{
    for (size_t i = disk.rows.n; i > 0; i--) {
        const struct fake_row *d = &disk.rows.r[i - 1];
        if (d->is_line == r->is_line && d->record_offset == r->record_offset &&
            d->ordinal == r->ordinal && strcmp(d->sink, r->sink) == 0)
            return true;
    }
    return false;
}

static void commit(struct store_batch *b)
{
    if (b->has_cursor && position_cmp(&b->cursor, &disk.cursor) < 0)
        sim_fail("store: the cursor goes back from %llu to %llu",
                 (unsigned long long)disk.cursor.offset, (unsigned long long)b->cursor.offset);
    if (fake_store_on_commit && b->has_cursor)
        fake_store_on_commit(&b->cursor);
    b->alarms.told = fake_alarm_commit(&b->alarms);
    for (size_t i = 0; i < b->rows.n; i++) {
        struct fake_row *r = &b->rows.r[i];
        if (!is_there(r)) {
            *rows_add(&disk.rows) = *r;
            r->payload = NULL;
        } else if (!r->is_line) {
            sim_fail("store: the letter of record %llu comes twice",
                     (unsigned long long)r->record_offset);
        }
    }
    if (b->has_cursor)
        disk.cursor = b->cursor;
}

static void commit_one(void *ctx)
{
    struct store *s = ctx;
    struct store_batch *b = s->queue[0];
    commit(b);
    memmove(s->queue, s->queue + 1, --s->n * sizeof(s->queue[0]));
    s->bytes -= store_batch_bytes(b);
    s->stats.commits++;
    if (s->n > 0)
        sim_after(sim_random(10000000), commit_one, s, true);
    if (b->fn)
        b->fn(b->ctx, 0);
    if (b->alarms.told && s->alarms.on_outbox)
        s->alarms.on_outbox(s->alarms.on_outbox_ctx);
    store_batch_free(b);
}

void store_commit(struct store *s, struct store_batch *b, store_fn *fn, void *ctx)
{
    ASSERT(s->n < sizeof(s->queue) / sizeof(s->queue[0]));
    b->fn = fn;
    b->ctx = ctx;
    fake_alarm_take_marks(&s->alarms, &b->alarms);
    s->bytes += store_batch_bytes(b);
    s->queue[s->n++] = b;
    if (s->n == 1)
        sim_after(sim_random(10000000), commit_one, s, true);
}

void fake_store_died(void)
{
    struct store *s = open_store;
    size_t n = s && s->n ? sim_random(s->n + 1) : 0;
    for (size_t i = 0; i < n; i++)
        commit(s->queue[i]);
    open_store = NULL;
}

uint64_t store_waiting_bytes(const struct store *s)
{
    return s->bytes;
}

int store_open(struct loop *l, const struct store_options *o, struct err *err,
               struct store_opened *out_state, struct store **out)
{
    (void)l;
    (void)o;
    (void)err;
    open_store = mem_zalloc(sizeof(*open_store));
    *out_state = (struct store_opened){
        .cursor = disk.cursor, .fresh = !disk.made, .epoch_from = fake_alarm_epoch_from()};
    disk.made = true;
    *out = open_store;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    fake_alarm_close(&s->alarms);
    for (size_t i = 0; i < s->n; i++) {
        commit(s->queue[i]);
        store_batch_free(s->queue[i]);
    }
    if (open_store == s)
        open_store = NULL;
    free(s);
}

/* -- queries ------------------------------------------------------------------------------- */

struct query {
    struct store *s;
    bool quarantine, lines;
    uint64_t id;
    char reason[32], device[65], topic[128];
    store_letter_fn *fn;
    store_letters_done_fn *done;
    store_json_fn *json;
    store_fn *marked;
    void *ctx;
};

void store_ask(struct store *s, enum store_query q, const struct store_filter *f,
               store_json_fn *fn, void *ctx)
{
    (void)s;
    (void)q;
    (void)f;
    fn(ctx, 0, "{}", 2);
}

static bool wanted(const struct query *q, const struct fake_row *r, uint64_t id)
{
    return r->is_line == q->lines && !r->replayed && r->quarantine == q->quarantine &&
           (q->id == 0 || q->id == id) &&
           (!q->reason[0] || strcmp(q->reason, r->reason) == 0) &&
           (!q->device[0] || strcmp(q->device, q->lines ? r->sink : r->device) == 0) &&
           strncmp(q->topic, r->topic, strlen(q->topic)) == 0;
}

static void answer_letters(void *ctx)
{
    struct query q = *(struct query *)ctx;
    uint64_t n = 0;
    free(ctx);
    for (size_t i = 0; i < disk.rows.n; i++) {
        const struct fake_row *r = &disk.rows.r[i];
        if (!wanted(&q, r, i + 1))
            continue;
        struct store_letter l = {.record_offset = r->record_offset,
                                 .wall_ns = r->wall_ns,
                                 .engine_ns = r->engine_ns,
                                 .reason = r->reason,
                                 .broker = "",
                                 .topic = r->topic,
                                 .topic_len = strlen(r->topic),
                                 .payload = r->payload,
                                 .payload_len = r->len,
                                 .flags = r->flags,
                                 .device = q.lines ? r->sink : r->device,
                                 .device_len = strlen(q.lines ? r->sink : r->device)};
        q.fn(q.ctx, i + 1, &l);
        n++;
    }
    q.done(q.ctx, 0, n);
}

void store_letters(struct store *s, bool quarantine, const struct store_filter *f,
                   store_letter_fn *fn, store_letters_done_fn *done, void *ctx)
{
    struct query *q = mem_zalloc(sizeof(*q));
    *q = (struct query){
        .s = s, .quarantine = quarantine, .id = f->id, .fn = fn, .done = done, .ctx = ctx};
    q->lines = f->lines;
    (void)snprintf(q->reason, sizeof(q->reason), "%s", f->reason ? f->reason : "");
    (void)snprintf(q->device, sizeof(q->device), "%s", f->device ? f->device : "");
    (void)snprintf(q->topic, sizeof(q->topic), "%s", f->topic_prefix ? f->topic_prefix : "");
    sim_after(sim_random(1000000), answer_letters, q, true);
}

static void answer_marked(void *ctx)
{
    struct query q = *(struct query *)ctx;
    free(ctx);
    if (q.marked)
        q.marked(q.ctx, 0);
}

void store_mark_replayed(struct store *s, bool quarantine, const uint64_t *ids, size_t n,
                         store_fn *fn, void *ctx)
{
    struct query *q = mem_zalloc(sizeof(*q));
    (void)quarantine;
    for (size_t i = 0; i < n; i++)
        disk.rows.r[ids[i] - 1].replayed = true;
    *q = (struct query){.s = s, .marked = fn, .ctx = ctx};
    sim_after(sim_random(1000000), answer_marked, q, true);
}

static void count_retaken(struct store_stats *out, const struct fake_row *r)
{
    size_t i = 0;
    while (out->retaken[i].sink[0] && strcmp(out->retaken[i].sink, r->sink) != 0)
        i++;
    (void)snprintf(out->retaken[i].sink, sizeof(out->retaken[i].sink), "%s", r->sink);
    out->retaken[i].lines++;
}

void store_stats(const struct store *s, struct store_stats *out)
{
    *out = s->stats;
    fake_alarm_stats(out);
    for (size_t i = 0; i < disk.rows.n; i++) {
        out->dead_rows += !disk.rows.r[i].quarantine;
        out->quarantine_rows += disk.rows.r[i].quarantine;
        if (disk.rows.r[i].is_line && disk.rows.r[i].replayed)
            count_retaken(out, &disk.rows.r[i]);
    }
}
