/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firms to whom the broker refuses what we publish. A refusal is tried again after a pause, and no
 * other firm waits for that: the firm's rows leave memory, so that they take nobody's room, and when
 * the pause is over the first of them is read and tried alone. If the broker takes it the others are
 * read again, in their order. Messages on `urgent/` and the rest have a hold of their own each:
 * neither waits for the other.
 */
#include "app/tell_private.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS    UINT64_C(1000000000)
#define SAY_AGAIN_NS (60 * SECOND_NS)
#define PAUSE_S      5
#define PAUSE_MAX_S  60 /* doubled up to this; life-safety is tried every 5 s */

enum { ROUTINE = TELL_STATE | TELL_EVENT | TELL_CLOSE | TELL_LEAVE };

static const char *firm_of(const struct tell_row *r)
{
    return r->firm ? r->firm : "";
}

struct tell_hold *tell_hold_of(const struct tell *t, const char *firm)
{
    for (size_t i = 0; i < t->n_holds; i++)
        if (strcmp(t->holds[i].firm, firm ? firm : "") == 0)
            return &t->holds[i];
    return NULL;
}

static struct tell_hold *hold_new(struct tell *t, const char *firm)
{
    if (t->n_holds == TELL_HOLDS_MAX)
        return NULL;
    t->holds = mem_realloc_array(t->holds, t->n_holds + 1, sizeof(*t->holds));
    struct tell_hold *h = &t->holds[t->n_holds++];
    *h = (struct tell_hold){0};
    (void)snprintf(h->firm, sizeof(h->firm), "%s", firm);
    return h;
}

unsigned tell_hold_allows(const struct tell *t, const struct tell_row *r)
{
    const struct tell_hold *h = t->n_holds ? tell_hold_of(t, r->firm) : NULL;
    unsigned may = ~0u;
    if (h && h->lanes[TELL_ROUTINE].held && !(r->trial >> TELL_ROUTINE & 1))
        may &= ~(unsigned)ROUTINE;
    if (h && h->lanes[TELL_LIFE].held && !(r->trial >> TELL_LIFE & 1))
        may &= ~(unsigned)TELL_URGENT;
    return may;
}

/* -- rows that leave memory ----------------------------------------------------------------- */

static bool is_under_way(const struct tell *t, const struct tell_row *r)
{
    for (size_t i = 0; i < t->n_flights; i++)
        if (t->flights[i].kind != FLIGHT_ITEM && t->flights[i].row == r)
            return true;
    return false;
}

static void note(struct tell_lane *l, uint64_t id)
{
    if (l->from_id == 0 || id < l->from_id)
        l->from_id = id;
}

bool tell_hold_park(struct tell *t, struct tell_hold *h, struct tell_row **at)
{
    struct tell_row *r = *at;
    unsigned left = r->tell & ~r->acked;
    if (r->done || left == 0 || (left & tell_hold_allows(t, r) & ~(unsigned)TELL_URGENT) ||
        is_under_way(t, r))
        return false;
    if (!(left & ROUTINE) && left & tell_hold_allows(t, r)) /* its urgent message alone */
        return false;
    if (left & ROUTINE)
        note(&h->lanes[TELL_ROUTINE], r->id);
    if (left & TELL_URGENT && h->lanes[TELL_LIFE].held)
        note(&h->lanes[TELL_LIFE], r->id);
    bool ahead = left & TELL_URGENT & tell_hold_allows(t, r);
    tell_row_park(t, at, ahead);
    return true;
}

static void park_urgent(struct tell *t, struct tell_hold *h)
{
    struct tell_row **at = &t->urgent.head;
    while (*at) {
        struct tell_row *r = *at;
        if (strcmp(firm_of(r), h->firm) != 0 || r->trial || r->acked || is_under_way(t, r)) {
            at = &r->next;
            continue;
        }
        note(&h->lanes[TELL_LIFE], r->id);
        tell_urgent_park(t, at);
    }
}

void tell_hold_settle(struct tell *t, const char *firm)
{
    struct tell_hold *h = t->n_holds ? tell_hold_of(t, firm) : NULL;
    if (!h)
        return;
    if (h->lanes[TELL_LIFE].held)
        park_urgent(t, h);
    for (struct tell_row **at = &t->rows.head; *at;)
        if (strcmp(firm_of(*at), h->firm) != 0 || !tell_hold_park(t, h, at))
            at = &(*at)->next;
}

/* -- refused, and taken again ----------------------------------------------------------------- */

static void say(struct tell *t, struct tell_lane *l, const char *firm, uint64_t now)
{
    uint64_t held;
    l->said = log_allowed(&t->refusal, now, SAY_AGAIN_NS, &held);
    if (l->said)
        log_error("alerts: the broker refuses a message for firm %s (%s): what may our user "
                  "publish there (its ACL)? Trying again; other firms do not wait for it (%llu "
                  "refusals since the last such line were not said)",
                  firm, t->refused_what, (unsigned long long)held);
}

void tell_hold_refused(struct tell *t, const struct tell_flight *f)
{
    uint64_t now = loop_now_ns(t->o.loop);
    char firm[65];
    (void)snprintf(firm, sizeof(firm), "%s", firm_of(f->row));
    struct tell_hold *h = tell_hold_of(t, firm);
    if (!h && !(h = hold_new(t, firm))) { /* so many: it is no firm's fault */
        t->hold_until_ns = now + PAUSE_S * SECOND_NS;
        return;
    }
    enum tell_lane_kind kind = f->step == TELL_URGENT ? TELL_LIFE : TELL_ROUTINE;
    struct tell_lane *l = &h->lanes[kind];
    if (!l->held) {
        *l = (struct tell_lane){
            .held = true, .since_ns = now, .pause_s = PAUSE_S, .from_id = l->from_id};
        say(t, l, firm, now);
    } else if (f->row->trial >> TELL_ROUTINE & 1 && kind == TELL_ROUTINE) {
        l->pause_s = l->pause_s * 2 < PAUSE_MAX_S ? l->pause_s * 2 : PAUSE_MAX_S;
    }
    /* Whether a later state of one of its cases was taken is not always seen here: not what an
     * earlier life marked, nor another firm's rows of a case that moved. */
    h->disorder |= kind == TELL_ROUTINE;
    l->trying = false;
    l->until_ns = now + l->pause_s * SECOND_NS;
    f->row->trial &= (uint8_t) ~(1u << kind);
    tell_hold_settle(t, firm);
}

/* What was left in the store is read again, from there on. */
static void read_again(struct tell *t, struct tell_hold *h, uint64_t after_id)
{
    h->high = t->read_high;
    if (t->reading && after_id < t->read_back)
        t->read_back = after_id;
    else if (!t->reading && after_id < t->read_to)
        t->read_to = after_id;
    t->more = true;
}

static void lift(struct tell *t, struct tell_hold *h, enum tell_lane_kind kind,
                 uint64_t after_id)
{
    struct tell_lane *l = &h->lanes[kind];
    if (l->said)
        log_notice("alerts: the broker takes messages for firm %s again", h->firm);
    if (l->from_id)
        read_again(t, h, after_id);
    *l = (struct tell_lane){0};
    if (t->rows.head)
        t->cursor = t->rows.head; /* what it kept from being sent */
}

void tell_hold_passed(struct tell *t, struct tell_row *r, unsigned step)
{
    enum tell_lane_kind kind = step == TELL_URGENT ? TELL_LIFE : TELL_ROUTINE;
    struct tell_hold *h = t->n_holds ? tell_hold_of(t, r->firm) : NULL;
    if (!h || !h->lanes[kind].held || !(step & (ROUTINE | TELL_URGENT)) ||
        !(r->trial >> kind & 1))
        return;
    r->trial &= (uint8_t) ~(1u << kind);
    /* An urgent message's own row is still to come, and what was left in the store meanwhile. */
    uint64_t after_id = kind == TELL_LIFE ? r->id - 1 : r->id, from_id = h->lanes[kind].from_id;
    lift(t, h, kind, from_id > 0 && from_id < r->id ? from_id - 1 : after_id);
}

/* Those of which everything is in memory again, or told. */
void tell_holds_read(struct tell *t)
{
    for (size_t i = 0; i < t->n_holds && t->read_back == UINT64_MAX;) {
        const struct tell_hold *h = &t->holds[i];
        if (h->lanes[TELL_ROUTINE].held || h->lanes[TELL_LIFE].held || t->read_to < h->high) {
            i++;
        } else {
            t->compare |= h->disorder || t->set_refused;
            t->recheck |= h->disorder; /* the others of its rows may come while it compares */
            t->set_refused = false;
            t->holds[i] = t->holds[--t->n_holds];
        }
    }
}

/* Another connection may have other rights. What was under way goes back to the store, or it would go
 * before what is there already. */
void tell_holds_lift(struct tell *t)
{
    if (t->trial)
        t->trial->t = NULL;
    t->trial = NULL;
    for (struct tell_row *r = t->rows.head; r; r = r->next)
        r->trial = 0;
    for (struct tell_row *r = t->urgent.head; r; r = r->next)
        r->trial = 0;
    for (size_t i = 0; i < t->n_holds; i++) {
        t->recheck |= t->holds[i].disorder;
        tell_hold_settle(t, t->holds[i].firm);
        for (unsigned k = 0; k < TELL_LANES; k++) {
            t->holds[i].lanes[k].said = false;
            lift(t, &t->holds[i], (enum tell_lane_kind)k, t->holds[i].lanes[k].from_id - 1);
        }
    }
    tell_holds_read(t);
    t->compare = t->set_refused = false; /* the next connection begins with that */
}

/* -- trials ----------------------------------------------------------------------------------- */

static void on_trial_row(void *ctx, const struct store_out *o)
{
    struct tell *t = ((struct tell_asking *)ctx)->t;
    struct tell_hold *h = t ? tell_hold_of(t, t->trial_firm) : NULL;
    if (!h || t->trial_found || !o->firm || strcmp(o->firm, h->firm) != 0 ||
        h->lanes[t->trial_kind].from_id != o->id)
        return;
    t->trial_found = true;
    tell_row_try(t, o, t->trial_kind == TELL_LIFE);
}

static void on_trial(void *ctx, int status, uint64_t n, bool more)
{
    struct tell *t = tell_answer(ctx);
    (void)n;
    (void)more;
    if (!t)
        return;
    t->trial = NULL;
    struct tell_hold *h = tell_hold_of(t, t->trial_firm);
    if (status == 0 && h && !t->trial_found) /* it was told, or is too late */
        lift(t, h, t->trial_kind, h->lanes[t->trial_kind].from_id - 1);
    if (t->closed)
        return;
    tell_holds_tick(t); /* the next one */
    tell_pump(t);
}

static void try(struct tell *t, struct tell_hold *h, enum tell_lane_kind kind)
{
    struct tell_lane *l = &h->lanes[kind];
    if (l->from_id == 0) {
        lift(t, h, kind, 0);
        return;
    }
    (void)snprintf(t->trial_firm, sizeof(t->trial_firm), "%s", h->firm);
    t->trial_kind = kind;
    t->trial_found = false;
    l->trying = true;
    t->trial = tell_ask(t);
    store_outbox(t->o.store, l->from_id - 1, false, 1, on_trial_row, on_trial, t->trial);
}

/* Before its answer it is not known which row is the first that was refused. */
static bool is_awaited(const struct tell *t, const struct tell_hold *h,
                       enum tell_lane_kind kind)
{
    for (size_t i = 0; i < t->n_flights; i++) {
        const struct tell_flight *f = &t->flights[i];
        bool may_wait = kind == TELL_LIFE ? f->step == TELL_URGENT
                                          : f->kind == FLIGHT_ROW && f->step != TELL_REPLY;
        if (may_wait && strcmp(firm_of(f->row), h->firm) == 0)
            return true;
    }
    return false;
}

/* Life-safety first; one question at a time. */
void tell_holds_tick(struct tell *t)
{
    uint64_t now = loop_now_ns(t->o.loop);
    if (t->closed || t->phase == TELL_AWAY || !tell_may_tell(t))
        return;
    for (unsigned k = TELL_LANES; k-- > 0;)
        for (size_t i = 0; i < t->n_holds && !t->trial; i++) {
            const struct tell_lane *l = &t->holds[i].lanes[k];
            if (l->held && !l->trying && now >= l->until_ns &&
                !is_awaited(t, &t->holds[i], (enum tell_lane_kind)k))
                try(t, &t->holds[i], (enum tell_lane_kind)k);
        }
    tell_holds_read(t);
    if (t->set_refused && now >= t->set_again_ns) {
        t->compare = true; /* no row of that firm may come for weeks */
        t->set_refused = false;
    }
    /* What the one before found goes out first, or many firms' in turn would keep each from its end. */
    if (t->compare && t->phase == TELL_AGREED && !t->set.head) {
        t->compare = false;
        t->differing = true; /* all of it has been told on this connection */
        tell_agree_up(t);
    }
}

bool tell_holds_life(const struct tell *t, uint64_t for_ns)
{
    uint64_t now = loop_now_ns(t->o.loop);
    for (size_t i = 0; i < t->n_holds; i++) {
        const struct tell_lane *l = &t->holds[i].lanes[TELL_LIFE];
        if (l->held && now - l->since_ns >= for_ns)
            return true;
    }
    return false;
}

size_t tell_holds_count(const struct tell *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_holds; i++)
        n += t->holds[i].lanes[TELL_ROUTINE].held || t->holds[i].lanes[TELL_LIFE].held;
    return n;
}
