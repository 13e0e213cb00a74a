/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: a firm's open cases, between a begin and an end, in the bytes that were last told.
 * One at a time, behind everything else; a lost link forgets them, whoever asked asks again.
 */
#include "app/tell_private.h"
#include "base/jsonw.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void snapshot_free(struct tell_snapshot *s)
{
    tell_items_clear(&s->states);
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
    tell_items_add(&s->states, answer(s, c->payload, c->len));
    s->n++;
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
    t->snapshots = s->next;
    if (!t->snapshots)
        t->snapshots_end = &t->snapshots;
    t->n_snapshots--;
    t->snapshot_asked = false;
    if (status == 0) {
        tell_items_add(&t->direct, frame(t, s, false));
        if (s->states.head) {
            *t->direct.tail = s->states.head;
            t->direct.tail = s->states.tail;
            t->direct.n += s->states.n;
            tell_items_init(&s->states);
        }
        tell_items_add(&t->direct, frame(t, s, true));
        t->n.snapshots++;
    }
    snapshot_free(s);
    tell_pump(t);
    tell_snapshot_work(t);
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
    tell_items_init(&s->states);
    *t->snapshots_end = s;
    t->snapshots_end = &s->next;
    t->n_snapshots++;
    tell_snapshot_work(t);
}

/* The next request, when the one before has left: so much is in memory for one alone. */
void tell_snapshot_work(struct tell *t)
{
    if (!t->snapshots || t->snapshot_asked || t->direct.n > TELL_DIRECT_MAX ||
        !tell_may_tell(t) || t->closed)
        return;
    t->snapshot_asked = true;
    store_open_cases(t->o.store, t->snapshots->firm, on_case, on_cases, t->snapshots);
}

void tell_snapshots_forget(struct tell *t)
{
    struct tell_snapshot *s = t->snapshots;
    for (struct tell_snapshot *next; s; s = next) {
        next = s->next;
        if (t->snapshot_asked && s == t->snapshots)
            s->t = NULL; /* the store's answer frees it */
        else
            snapshot_free(s);
    }
    t->snapshots = NULL;
    t->snapshots_end = &t->snapshots;
    t->n_snapshots = 0;
    t->snapshot_asked = false;
}
