/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: a firm's open cases, between a begin and an end, in the bytes that were last told.
 * One at a time, behind everything else; a lost link forgets them, whoever asked asks again.
 *
 * A state that waits for the window may be overtaken by rows of its case, which go first. Told behind them
 * it would stay at the firm as the newest for ever: it is left out.
 */
#include "app/tell_private.h"
#include "base/jsonw.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void snapshot_free(struct tell_snapshot *s)
{
    tell_items_clear(&s->items);
    tell_set_clear(&s->overtaken);
    free(s->firm);
    free(s->topic);
    free(s->correlation);
    free(s);
}

static struct tell_item *answer(const struct tell_snapshot *s, const void *payload, size_t len)
{
    struct tell_item *i = tell_item_new(s->topic, payload, len, false);
    if (s->correlation_len) {
        i->correlation = mem_dup(s->correlation, s->correlation_len);
        i->correlation_len = s->correlation_len;
    }
    return i;
}

/* The frame around the states: {"v":1,"snapshot":"begin",…} and "end". */
static struct tell_item *frame(const struct tell *t, const struct tell_snapshot *s, bool end)
{
    struct buf b;
    struct jsonw w;
    char at[32], *stream = mem_printf("%s%llu", t->stream_head, (unsigned long long)t->epoch);
    tell_stamp(t, at);
    buf_init(&b, 4096);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "v", 1);
    jsonw_str(&w, "snapshot", end ? "end" : "begin");
    jsonw_str(&w, "stream", stream);
    jsonw_str(&w, "firm", s->firm);
    jsonw_str(&w, "at", at);
    if (end) {
        jsonw_u64(&w, "cases", s->n);
        jsonw_bool(&w, "complete", !s->cut);
    }
    jsonw_end_object(&w);
    struct tell_item *i = answer(s, b.data, b.len);
    buf_done(&b);
    free(stream);
    return i;
}

static void on_case(void *ctx, const struct store_case *c)
{
    struct tell_snapshot *s = ctx;
    if (!s->t || !c->payload || c->seq == 0)
        return;
    s->bytes += c->len;
    s->cut |= s->bytes > TELL_SNAPSHOT_BYTES;
    if (s->cut)
        return;
    struct tell_item *i = answer(s, c->payload, c->len);
    i->case_hash = tell_topic_hash(c->case_id, strlen(c->case_id));
    tell_items_add(&s->items, i);
}

static void on_cases(void *ctx, int status, uint64_t n, bool more)
{
    struct tell_snapshot *s = ctx;
    struct tell *t = s->t;
    (void)n;
    (void)more;
    if (!t) {
        snapshot_free(s);
        return;
    }
    s->phase = SNAPSHOT_TELLS;
    s->cut |= status != 0; /* the store is closing, or the process stops */
    tell_pump(t);
}

void tell_snapshot_request(struct tell *t, struct tell_event *e)
{
    if (t->n_snapshots == TELL_SNAPSHOTS_MAX) {
        atomic_fetch_add_explicit(&t->refused, 1, memory_order_relaxed);
        return;
    }
    struct tell_snapshot *s = mem_zalloc(sizeof(*s));
    *s = (struct tell_snapshot){.t = t,
                                .firm = e->text,
                                .topic = e->topic,
                                .correlation = e->correlation,
                                .correlation_len = e->correlation_len};
    e->text = e->topic = e->correlation = NULL;
    tell_items_init(&s->items);
    *t->snapshots_end = s;
    t->snapshots_end = &s->next;
    t->n_snapshots++;
}

/* -- telling -------------------------------------------------------------------------------- */

/* What the firm hears on `events` after the begin is no older than what was read of that case, and goes for
 * what is not said again by the end. Who has lost the case hears nothing there: its topic is emptied. */
void tell_snapshot_overtaken(struct tell *t, const struct tell_row *r, unsigned step)
{
    struct tell_snapshot *s = t->snapshots;
    const char *whose = step & (TELL_EVENT | TELL_CLOSE) ? r->firm
                        : step == TELL_LEAVE             ? r->was_firm
                                                         : NULL;
    if (!s || (s->phase != SNAPSHOT_ASKS && s->phase != SNAPSHOT_TELLS) || !whose ||
        !r->case_id || strcmp(whose, s->firm) != 0)
        return;
    if (step == TELL_LEAVE && r->firm && strcmp(r->firm, s->firm) == 0)
        return; /* it has its event */
    tell_set_add(&s->overtaken, tell_topic_hash(r->case_id, strlen(r->case_id)));
    s->cut |= s->overtaken.n > TELL_OVERTAKEN_MAX;
}

/* A state of the snapshot that is being told. */
bool tell_snapshot_drops(const struct tell *t, const struct tell_item *i)
{
    const struct tell_snapshot *s = t->snapshots;
    return s->overtaken.n > TELL_OVERTAKEN_MAX || tell_set_has(&s->overtaken, i->case_hash);
}

/* What it had to send is on its way. */
static void go_on(struct tell *t, struct tell_snapshot *s)
{
    switch (s->phase) {
    case SNAPSHOT_WAITS:
        tell_items_add(&s->items, frame(t, s, false));
        s->phase = SNAPSHOT_BEGINS;
        break;
    case SNAPSHOT_BEGINS: /* read after it: what has been told before is in there */
        s->phase = SNAPSHOT_ASKS;
        store_open_cases(t->o.store, s->firm, on_case, on_cases, s);
        break;
    case SNAPSHOT_ASKS:
        break;
    case SNAPSHOT_TELLS:
        tell_items_add(&s->items, frame(t, s, true));
        s->phase = SNAPSHOT_ENDS;
        break;
    case SNAPSHOT_ENDS: /* so much is in memory for one alone */
        t->snapshots = s->next;
        if (!t->snapshots)
            t->snapshots_end = &t->snapshots;
        t->n_snapshots--;
        t->n.snapshots++;
        snapshot_free(s);
        break;
    }
}

int tell_snapshot_give(struct tell *t)
{
    struct tell_snapshot *s;
    int r = 0;
    while (r == 0 && (s = t->snapshots) && s->phase != SNAPSHOT_ASKS) {
        while (r == 0 && s->items.head) {
            bool is_state = s->items.head->case_hash;
            size_t under_way = t->n_flights;
            r = tell_give_item(t, &s->items);
            s->n += is_state && t->n_flights > under_way;
        }
        if (r == 0)
            go_on(t, s);
    }
    return r;
}

bool tell_snapshot_begun(const struct tell *t)
{
    return t->snapshots && t->snapshots->phase > SNAPSHOT_BEGINS;
}

void tell_snapshots_forget(struct tell *t)
{
    struct tell_snapshot *s = t->snapshots;
    for (struct tell_snapshot *next; s; s = next) {
        next = s->next;
        if (s->phase == SNAPSHOT_ASKS)
            s->t = NULL; /* the store's answer frees it */
        else
            snapshot_free(s);
    }
    t->snapshots = NULL;
    t->snapshots_end = &t->snapshots;
    t->n_snapshots = 0;
}
