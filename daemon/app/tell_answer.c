/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: a firm's open cases, between a begin and an end, in the bytes that were last told.
 * One at a time, behind everything else; a lost link forgets them, whoever asked asks again.
 *
 * A state that waits for the window may be overtaken by rows of its case, which go first. Told behind them
 * it would stay at the firm as the newest for ever: it is left out. If such a row is refused then, the
 * snapshot is not complete; its end waits for that.
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
    tell_set_clear(&s->told);
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

static uint64_t case_hash(const char *case_id)
{
    return tell_topic_hash(case_id, strlen(case_id));
}

/* Numbers of one case below one compound can be compared. */
static uint64_t place_hash(const char *case_id, const char *compound)
{
    char *place = mem_printf("%s/%s", compound ? compound : "", case_id);
    uint64_t hash = case_hash(place);
    free(place);
    return hash;
}

/* A restored store says what it knew in the bytes of the stream of then. */
static bool is_of_stream(const struct tell *t, const char *payload, size_t len)
{
    char *mark =
        mem_printf("\"stream\":\"%s%llu\"", t->stream_head, (unsigned long long)t->epoch);
    bool is = memmem(payload, len, mark, strlen(mark));
    free(mark);
    return is;
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
    i->case_hash = case_hash(c->case_id);
    i->place_hash = place_hash(c->case_id, c->compound);
    i->seq = is_of_stream(s->t, c->payload, c->len) ? c->seq : 0;
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

/* May that message go for a state of the snapshot that is being told? Who has lost the case hears nothing
 * on `events`: its topic is emptied. */
static bool is_of_snapshot(const struct tell_snapshot *s, const struct tell_row *r,
                           unsigned step)
{
    const char *whose = step & (TELL_EVENT | TELL_CLOSE) ? r->firm
                        : step == TELL_LEAVE             ? r->was_firm
                                                         : NULL;
    if (!s || (s->phase != SNAPSHOT_ASKS && s->phase != SNAPSHOT_TELLS) || !whose ||
        !r->case_id || strcmp(whose, s->firm) != 0)
        return false;
    return step != TELL_LEAVE || !r->firm ||
           strcmp(r->firm, s->firm) != 0; /* or it has its event */
}

static bool is_too_much(const struct tell_snapshot *s)
{
    return s->overtaken.n > TELL_OVERTAKEN_MAX || s->told.n > TELL_OVERTAKEN_MAX;
}

/* What the firm hears on `events` after the begin goes for what is not said again by the end, if it is not
 * older: a row that was refused is told again behind later ones. A case that moved has other numbers. */
void tell_snapshot_overtaken(struct tell *t, const struct tell_row *r, unsigned step)
{
    struct tell_snapshot *s = t->snapshots;
    if (!is_of_snapshot(s, r, step))
        return;
    if (step == TELL_EVENT && r->seq > 0 && !(r->tell & TELL_LEAVE))
        tell_set_raise(&s->told, place_hash(r->case_id, r->compound), r->seq);
    else
        tell_set_add(&s->overtaken, case_hash(r->case_id));
    s->cut |= is_too_much(s);
}

void tell_snapshot_missed(struct tell *t, const struct tell_flight *f)
{
    struct tell_snapshot *s = t->snapshots;
    if (f->kind == FLIGHT_ITEM ? s && f->item->case_hash : is_of_snapshot(s, f->row, f->step))
        s->cut = true;
}

/* A state of the snapshot that is being told. */
bool tell_snapshot_drops(struct tell *t, const struct tell_item *i)
{
    struct tell_snapshot *s = t->snapshots;
    bool drops = is_too_much(s) || tell_set_has(&s->overtaken, i->case_hash) ||
                 tell_set_value(&s->told, i->place_hash) > i->seq;
    if (drops)
        s->dropped = t->token;
    return drops;
}

/* Is not answered yet what a state was left out for? */
static bool is_awaited(const struct tell *t, const struct tell_snapshot *s)
{
    for (size_t i = 0; i < t->n_flights; i++) {
        const struct tell_flight *f = &t->flights[i];
        if (f->token <= s->dropped && f->kind == FLIGHT_ROW &&
            is_of_snapshot(s, f->row, f->step))
            return true;
    }
    return false;
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
        if (r == 0 && is_awaited(t, s))
            return -EAGAIN;
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
