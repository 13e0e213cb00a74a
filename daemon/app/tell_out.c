/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes out: as much as the window takes, in the order of importance, and what came back.
 */
#include "app/tell_private.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY_AGAIN_NS  3600000000000u
#define TOPIC_CEILING 2048
#define SET_AGAIN_NS  600000000000u /* a comparison reads all that is retained */

/* -- items ---------------------------------------------------------------------------------- */

struct tell_item *tell_item_new(const char *topic, const void *payload, size_t len, bool retain)
{
    struct tell_item *i = mem_zalloc(sizeof(*i));
    *i = (struct tell_item){.topic = mem_strdup(topic),
                            .payload = mem_dup(payload, len),
                            .len = len,
                            .retain = retain};
    return i;
}

void tell_item_free(struct tell_item *i)
{
    if (!i)
        return;
    free(i->topic);
    free(i->payload);
    free(i->correlation);
    free(i);
}

void tell_items_init(struct tell_items *l)
{
    *l = (struct tell_items){.tail = &l->head};
}

void tell_items_add(struct tell_items *l, struct tell_item *i)
{
    i->next = NULL;
    *l->tail = i;
    l->tail = &i->next;
    l->n++;
}

static struct tell_item *take(struct tell_items *l)
{
    struct tell_item *i = l->head;
    l->head = i->next;
    if (!l->head)
        l->tail = &l->head;
    l->n--;
    return i;
}

void tell_items_clear(struct tell_items *l)
{
    while (l->head)
        tell_item_free(take(l));
}

/* -- flights -------------------------------------------------------------------------------- */

static void fly(struct tell *t, struct tell_flight *f)
{
    f->token = t->token;
    t->flights[t->n_flights++] = *f;
}

static void say_undeliverable(struct tell *t, const char *topic, size_t len, int why)
{
    t->n.undeliverable++;
    log_error("alerts: a message of %zu bytes for %s can never be told: %s", len, topic,
              why == -EMSGSIZE ? "the broker takes none so large (max_packet_size)"
                               : "the client library refuses it");
}

/* 0: given, or given up; else the pump stops here. */
static int give(struct tell *t, struct tell_flight *f, struct mqtt_out *m)
{
    if (t->n_flights == TELL_WINDOW)
        return -EAGAIN;
    m->id = ++t->token;
    m->qos = 1;
    int r = mqtt_send(t->mqtt, m);
    if (r == 0) {
        fly(t, f);
        return 0;
    }
    if (r == -EMSGSIZE) {
        say_undeliverable(t, m->topic, m->len, r);
        return -EMSGSIZE;
    }
    return r;
}

int tell_give_item(struct tell *t, struct tell_items *l)
{
    struct tell_item *i = l->head;
    struct tell_flight f = {.kind = FLIGHT_ITEM, .item = i};
    struct mqtt_out m = {.topic = i->topic,
                         .payload = i->payload,
                         .len = i->len,
                         .retain = i->retain,
                         .correlation = i->correlation,
                         .correlation_len = i->correlation_len};
    /* What the comparison or a snapshot found, the outbox may have overtaken since. */
    if ((i->topic_hash && tell_set_has(&t->touched, i->topic_hash)) ||
        (i->case_hash && tell_snapshot_drops(t, i))) {
        tell_item_free(take(l));
        return 0;
    }
    int r = give(t, &f, &m);
    if (r == 0) {
        (void)take(l);
        if (i->topic_hash && i->len)
            t->n.republished++;
        else if (i->topic_hash)
            t->n.emptied++;
    } else if (r == -EMSGSIZE) {
        if (i->case_hash)
            t->snapshots->cut = true;
        tell_item_free(take(l));
        r = 0;
    }
    return r;
}

static int give_rows(struct tell *t, bool (*next)(struct tell *t, struct tell_flight *out,
                                                  struct buf *topic, struct mqtt_out *msg))
{
    struct buf topic;
    struct tell_flight f;
    struct mqtt_out m;
    int r = 0;
    buf_init(&topic, TOPIC_CEILING);
    while (r == 0 && next(t, &f, &topic, &m)) {
        r = give(t, &f, &m);
        if (r == 0) {
            tell_row_sent(t, &f);
            tell_snapshot_overtaken(t, f.row, f.step);
        } else if (r == -EMSGSIZE) { /* the rest of the row goes on without it */
            tell_row_sent(t, &f);
            tell_row_acked(t, &f);
            r = 0;
        }
        buf_clear(&topic);
    }
    buf_done(&topic);
    return r;
}

void tell_pump(struct tell *t)
{
    tell_flush_done(t);
    if (t->phase == TELL_AWAY || t->closed)
        return;
    bool may_tell = tell_may_tell(t) && loop_now_ns(t->o.loop) >= t->hold_until_ns;
    int r = may_tell ? give_rows(t, tell_next_urgent) : 0;
    while (r == 0 && t->own.head)
        r = tell_give_item(t, &t->own);
    if (r == 0 && may_tell)
        r = give_rows(t, tell_next_row);
    while (r == 0 && t->set.head)
        r = tell_give_item(t, &t->set);
    while (r == 0 && t->direct.head)
        r = tell_give_item(t, &t->direct);
    if (r == 0 && tell_may_tell(t))
        (void)tell_snapshot_give(t);
    tell_flush_done(t); /* rows that ended without a message */
    if (may_tell)
        tell_read(t);
    tell_await_answers(t);
}

/* -- answers -------------------------------------------------------------------------------- */

static void refused(struct tell *t, const struct tell_flight *f)
{
    uint64_t held;
    const char *what = f->kind == FLIGHT_ITEM ? f->item->topic : f->row->case_id;
    t->n.refused++;
    if (f->kind == FLIGHT_ITEM ? f->item->topic_hash != 0 : f->step == TELL_LEAVE) {
        if (!t->set_refused) /* from the first on, or others' refusals put it off for ever */
            t->set_again_ns = loop_now_ns(t->o.loop) + SET_AGAIN_NS;
        t->set_refused = true;
    }
    (void)snprintf(t->refused_what, sizeof(t->refused_what), "%s", what ? what : "a reply");
    tell_tick_soon(t);
    if (f->kind == FLIGHT_ITEM &&
        log_allowed(&t->refusal, loop_now_ns(t->o.loop), SAY_AGAIN_NS, &held))
        log_error("alerts: the broker refuses a message (%s): what may our user publish there "
                  "(its ACL)?",
                  what);
}

/* Of no order, and not worth a firm's alarms: who asked asks again, and a place that a case has left is
 * emptied by the next comparison. */
static bool is_given_up(const struct tell_flight *f, int status)
{
    return status == -EACCES && f->step & (TELL_REPLY | TELL_LEAVE);
}

void tell_answered(struct tell *t, uint64_t token, int status)
{
    size_t i = 0;
    while (i < t->n_flights && t->flights[i].token != token)
        i++;
    if (i == t->n_flights)
        return; /* of a connection that is over */
    struct tell_flight f = t->flights[i];
    memmove(&t->flights[i], &t->flights[i + 1], (--t->n_flights - i) * sizeof(t->flights[0]));
    if (status == -EACCES)
        refused(t, &f);
    if (status != 0)
        tell_snapshot_missed(t, &f);
    if (f.kind == FLIGHT_ITEM) {
        tell_item_free(f.item);
        return;
    }
    char firm[65];
    (void)snprintf(firm, sizeof(firm), "%s", f.row->firm ? f.row->firm : "");
    if (status == -EINVAL)
        say_undeliverable(t, f.row->case_id, f.row->len, status);
    if (status == 0 || status == -EINVAL || is_given_up(&f, status)) {
        tell_row_acked(t, &f);
    } else {
        tell_row_back(t, &f);
        t->n.resent++;
        if (tell_row_overtaken(f.row)) {
            t->compare = t->recheck = true; /* it may be told again only while that compares */
            tell_tick_soon(t);
        }
        if (status == -EACCES)
            tell_hold_refused(t, &f);
    }
    tell_hold_settle(t, firm);
}

void tell_lost(struct tell *t)
{
    for (size_t i = 0; i < t->n_flights; i++) {
        struct tell_flight *f = &t->flights[i];
        if (f->kind == FLIGHT_ITEM) {
            tell_item_free(f->item);
        } else {
            tell_row_back(t, f);
            t->n.resent++;
        }
    }
    t->n_flights = 0;
    tell_rows_restate(t);
    t->recheck |= t->rows.head && t->rows.head->id <= t->doubt;
    tell_holds_lift(t);
    tell_items_clear(&t->own);
    tell_items_clear(&t->set);
    tell_items_clear(&t->direct);
}
