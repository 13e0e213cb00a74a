/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox in memory: a stretch of its rows, from the oldest that is not told, each with the
 * messages that it means. With a backlog in the store the life-safety rows behind that stretch are
 * read apart, and their message on `urgent/` goes ahead. Rows of a firm that is held (tell_hold.c)
 * are left in the store.
 */
#include "app/tell_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "core/cases.h"
#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DONE_BATCH 256
#define RETAINED                                                                               \
    (TELL_STATE | TELL_CLOSE | TELL_LEAVE) /* steps: what a case leaves on the broker */

static const unsigned steps[] = {TELL_URGENT, TELL_STATE, TELL_EVENT,
                                 TELL_CLOSE,  TELL_LEAVE, TELL_REPLY};

static void list_init(struct tell_rows *l)
{
    *l = (struct tell_rows){.tail = &l->head};
}

static void row_free(struct tell_row *r)
{
    char *all[] = {r->firm,         r->compound, r->case_id, r->was_firm,
                   r->was_compound, r->topic,    r->payload, r->correlation};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    free(r);
}

/* By id; nearly always it is the last one. */
static struct tell_row **list_insert(struct tell_rows *l, struct tell_row *r)
{
    struct tell_row **at = l->last_id < r->id ? l->tail : &l->head;
    while (*at && (*at)->id < r->id)
        at = &(*at)->next;
    r->next = *at;
    *at = r;
    if (!r->next) {
        l->tail = &r->next;
        l->last_id = r->id;
    }
    l->n++;
    l->bytes += r->len;
    return at;
}

static struct tell_row *list_take(struct tell_rows *l, struct tell_row **at)
{
    struct tell_row *r = *at;
    *at = r->next;
    if (!r->next) {
        l->tail = at;
        l->last_id = UINT64_MAX; /* not known: looked for from the head */
    }
    if (!l->head)
        l->last_id = 0;
    l->n--;
    l->bytes -= r->len;
    return r;
}

static void list_pop(struct tell_rows *l)
{
    row_free(list_take(l, &l->head));
}

void tell_rows_init(struct tell *t)
{
    list_init(&t->rows);
    list_init(&t->urgent);
    t->read_back = UINT64_MAX;
}

void tell_rows_done(struct tell *t)
{
    while (t->rows.head)
        list_pop(&t->rows);
    while (t->urgent.head)
        list_pop(&t->urgent);
    if (t->reading)
        t->reading->t = NULL;
    if (t->reading_urgent)
        t->reading_urgent->t = NULL;
    if (t->trial)
        t->trial->t = NULL;
    free(t->holds);
    free(t->parts);
    free(t->done);
    tell_set_clear(&t->told);
}

/* -- rows that are told in part, and not in memory ------------------------------------------- */

static size_t part_place(const struct tell *t, uint64_t id)
{
    size_t from = 0, to = t->n_parts;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (t->parts[mid].id < id)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static void part_add(struct tell *t, uint64_t id, unsigned has)
{
    size_t at = part_place(t, id);
    if (at < t->n_parts && t->parts[at].id == id) {
        t->parts[at].steps |= has;
        return;
    }
    if (t->n_parts == t->cap_parts) {
        t->cap_parts = t->cap_parts ? t->cap_parts * 2 : 64;
        t->parts = mem_realloc_array(t->parts, t->cap_parts, sizeof(*t->parts));
    }
    memmove(&t->parts[at + 1], &t->parts[at], (t->n_parts - at) * sizeof(t->parts[0]));
    t->parts[at] = (struct tell_part){id, has};
    t->n_parts++;
}

/* What the broker has of it; it is remembered no longer. */
static unsigned part_take(struct tell *t, uint64_t id)
{
    size_t at = part_place(t, id);
    if (at == t->n_parts || t->parts[at].id != id)
        return 0;
    unsigned has = t->parts[at].steps;
    memmove(&t->parts[at], &t->parts[at + 1], (--t->n_parts - at) * sizeof(t->parts[0]));
    return has;
}

/* The row of that id in a list, or NULL. */
static struct tell_row *find(const struct tell_rows *l, uint64_t id)
{
    struct tell_row *r = l->head;
    while (r && r->id < id)
        r = r->next;
    return r && r->id == id ? r : NULL;
}

/* -- reading ---------------------------------------------------------------------------------- */

/* From here on nothing that is done to our clock counts. If it was set back since the reply was made,
 * what is left may seem to be hours. */
static uint64_t expires(const struct tell *t, const struct store_out *o)
{
    if (o->expires_wall_ms == 0)
        return 0;
    int64_t ms = o->expires_wall_ms - clock_wall_ns() / 1000000, most = CASE_REPLY_S * 1000;
    ms = ms < 0 ? 0 : ms > most ? most : ms;
    return loop_now_ns(t->o.loop) + (uint64_t)ms * 1000000;
}

static struct tell_row *copy(const struct tell *t, const struct store_out *o)
{
    struct tell_row *r = mem_zalloc(sizeof(*r));
    *r = (struct tell_row){.id = o->id,
                           .seq = o->seq,
                           .offset = o->offset,
                           .tell = o->tell,
                           .firm = mem_strdup(o->firm),
                           .compound = mem_strdup(o->compound),
                           .case_id = mem_strdup(o->case_id),
                           .was_firm = mem_strdup(o->was_firm),
                           .was_compound = mem_strdup(o->was_compound),
                           .topic = mem_strdup(o->topic),
                           .payload = mem_dup(o->payload, o->len),
                           .len = o->len,
                           .correlation = mem_dup(o->correlation, o->correlation_len),
                           .correlation_len = o->correlation_len,
                           .until_ns = expires(t, o)};
    return r;
}

static struct tell_row **take(struct tell *t, struct tell_row *r)
{
    r->sent = r->acked = part_take(t, r->id) & r->tell;
    if (r->tell & ~r->acked & TELL_URGENT) {
        if (find(&t->urgent, r->id))
            r->sent |= TELL_URGENT; /* its own row there answers for it */
        else
            t->urgent_unsent++;
    }
    if (!t->cursor || r->id < t->cursor->id)
        t->cursor = r;
    return list_insert(&t->rows, r);
}

static void on_row(void *ctx, const struct store_out *o)
{
    struct tell *t = ((struct tell_asking *)ctx)->t;
    if (!t || o->id <= t->read_to)
        return; /* the same again, as after an answer that was cut short */
    bool again = o->id <= t->read_high;
    t->read_to = o->id;
    if (!again)
        t->read_high = o->id;
    struct tell_hold *h = t->n_holds ? tell_hold_of(t, o->firm) : NULL;
    if (h && o->id > t->read_back) { /* what goes before it is read next, and it once more */
        h->high = o->id > h->high ? o->id : h->high;
        return;
    }
    if (again && (!h || find(&t->rows, o->id) || tell_set_has(&t->told, o->id)))
        return; /* of others, who have been told meanwhile, or it is here, or was */
    struct tell_row **at = take(t, copy(t, o));
    if (h)
        (void)tell_hold_park(t, h, at);
}

void tell_row_try(struct tell *t, const struct store_out *o, bool urgent)
{
    struct tell_row *r = find(urgent ? &t->urgent : &t->rows, o->id);
    if (!r && urgent) {
        r = copy(t, o);
        r->tell = TELL_URGENT;
        (void)list_insert(&t->urgent, r);
        struct tell_row *own = find(&t->rows, o->id);
        if (own && own->tell & ~own->sent & TELL_URGENT) { /* it answers for that one, too */
            own->sent |= TELL_URGENT;
            t->urgent_unsent--;
        }
    } else if (!r) {
        r = copy(t, o);
        (void)take(t, r);
    }
    r->trial |= (uint8_t)(1u << (urgent ? TELL_LIFE : TELL_ROUTINE));
}

void tell_row_park(struct tell *t, struct tell_row **at, bool ahead)
{
    struct tell_row *r = *at;
    if (t->cursor == r)
        t->cursor = r->next;
    if (r->tell & ~r->sent & TELL_URGENT)
        t->urgent_unsent--;
    (void)list_take(&t->rows, at);
    if (r->acked)
        part_add(t, r->id, r->acked);
    if (!ahead || find(&t->urgent, r->id)) {
        row_free(r);
        return;
    }
    r->tell = TELL_URGENT;
    r->sent = r->acked = r->trial = 0;
    (void)list_insert(&t->urgent, r);
}

void tell_urgent_park(struct tell *t, struct tell_row **at)
{
    struct tell_row *own = find(&t->rows, (*at)->id);
    if (own && own->sent & ~own->acked & TELL_URGENT) {
        own->sent &= ~(unsigned)TELL_URGENT;
        t->urgent_unsent++;
    }
    row_free(list_take(&t->urgent, at));
}

static void on_urgent_row(void *ctx, const struct store_out *o)
{
    struct tell *t = ((struct tell_asking *)ctx)->t;
    if (!t || o->id <= t->urgent_read_to)
        return;
    t->urgent_read_to = o->id;
    if (o->id <= t->read_high || !(o->tell & TELL_URGENT))
        return; /* `rows` has it, or had */
    struct tell_row *r = copy(t, o);
    r->tell = TELL_URGENT;
    if (tell_hold_allows(t, r) & TELL_URGENT)
        (void)list_insert(&t->urgent, r);
    else
        row_free(r); /* it comes with its row */
}

static void on_read(void *ctx, int status, uint64_t n, bool more)
{
    struct tell *t = tell_answer(ctx);
    (void)n;
    if (!t)
        return;
    t->reading = NULL;
    t->urgent_again |= more && !t->more;
    if (status == 0 && !more && t->read_to < t->read_high)
        t->read_to = t->read_high; /* nothing else is there */
    t->more = status == 0 && more;
    if (t->read_back < t->read_to) {
        t->read_to = t->read_back;
        t->more = true;
    }
    t->read_back = UINT64_MAX;
    tell_holds_read(t);
    if (status == 0 && !t->closed)
        tell_pump(t);
}

static void on_read_urgent(void *ctx, int status, uint64_t n, bool more)
{
    struct tell *t = tell_answer(ctx);
    (void)n;
    if (!t)
        return;
    t->reading_urgent = NULL;
    t->urgent_again |= more;
    if (status == 0 && !t->closed)
        tell_pump(t);
}

void tell_read(struct tell *t)
{
    if (t->closed || !tell_may_tell(t))
        return;
    bool behind = t->more || t->rows.bytes >= TELL_ROWS_BYTES;
    if ((t->news || t->urgent_again) && behind && !t->reading_urgent &&
        t->urgent.bytes < TELL_ROWS_BYTES) {
        t->reading_urgent = tell_ask(t);
        t->urgent_again = false;
        if (t->urgent_read_to < t->read_to)
            t->urgent_read_to = t->read_to;
        store_outbox(t->o.store, t->urgent_read_to, true, TELL_ROWS_BYTES, on_urgent_row,
                     on_read_urgent, t->reading_urgent);
        t->more = true;       /* the rows themselves come in their turn */
        t->news = t->reading; /* its answer may be of before, and say that there is no more */
    }
    if (!t->reading && (t->news || t->more) && t->rows.bytes < TELL_ROWS_BYTES) {
        t->reading = tell_ask(t);
        t->news = false;
        tell_set_clear(&t->told);
        store_outbox(t->o.store, t->read_to, false, TELL_ROWS_BYTES, on_row, on_read,
                     t->reading);
    }
}

bool tell_rows_drained(const struct tell *t)
{
    return !t->news && !t->more && !t->reading && !t->cursor;
}

/* -- messages --------------------------------------------------------------------------------- */

static void state_topic(const struct tell *t, struct buf *b, const char *firm,
                        const char *compound, const char *case_id)
{
    (void)buf_printf(b, "%salerts/%s/%s/%s", t->prefix, firm, compound, case_id);
}

/* Seconds until a reply is of no use; 0: never; negative: it is. */
static int64_t remaining_s(const struct tell *t, const struct tell_row *r)
{
    uint64_t now = loop_now_ns(t->o.loop);
    if (r->until_ns == 0)
        return 0;
    return r->until_ns <= now ? -1 : (int64_t)((r->until_ns - now) / 1000000000u) + 1;
}

static void compose(const struct tell *t, const struct tell_row *r, unsigned step,
                    struct buf *topic, struct mqtt_out *m)
{
    *m = (struct mqtt_out){.payload = r->payload, .len = r->len};
    switch (step) {
    case TELL_URGENT:
        (void)buf_printf(topic, "%surgent/%s/%s", t->prefix, r->firm, r->compound);
        break;
    case TELL_STATE:
    case TELL_CLOSE:
        state_topic(t, topic, r->firm, r->compound, r->case_id);
        m->retain = true;
        break;
    case TELL_LEAVE:
        state_topic(t, topic, r->was_firm, r->was_compound, r->case_id);
        m->retain = true;
        break;
    case TELL_EVENT:
        (void)buf_printf(topic, "%sevents/%s/%s", t->prefix, r->firm, r->compound);
        break;
    default:
        (void)buf_printf(topic, "%s%s", t->prefix, r->topic);
        m->correlation = r->correlation;
        m->correlation_len = r->correlation_len;
        m->expiry_s = (uint32_t)remaining_s(t, r);
    }
    if (step == TELL_CLOSE || step == TELL_LEAVE)
        m->len = 0;
    m->topic = buf_cstr(topic);
}

static bool next_of(struct tell *t, struct tell_row *r, unsigned step, struct tell_flight *out,
                    struct buf *topic, struct mqtt_out *m)
{
    *out = (struct tell_flight){.kind = FLIGHT_ROW, .row = r, .step = step};
    compose(t, r, step, topic, m);
    return true;
}

bool tell_next_urgent(struct tell *t, struct tell_flight *out, struct buf *topic,
                      struct mqtt_out *m)
{
    for (struct tell_row *r = t->rows.head; r && t->urgent_unsent > 0; r = r->next)
        if (r->tell & ~r->sent & TELL_URGENT & tell_hold_allows(t, r))
            return next_of(t, r, TELL_URGENT, out, topic, m);
    for (struct tell_row *r = t->urgent.head; r; r = r->next)
        if (!r->sent && tell_hold_allows(t, r) & TELL_URGENT) {
            (void)next_of(t, r, TELL_URGENT, out, topic, m);
            out->kind = FLIGHT_URGENT;
            return true;
        }
    return false;
}

static void finished(struct tell *t, struct tell_row *r);

bool tell_next_row(struct tell *t, struct tell_flight *out, struct buf *topic,
                   struct mqtt_out *m)
{
    while (t->cursor) {
        struct tell_row *r = t->cursor;
        unsigned left = r->tell & ~r->sent;
        if (left & TELL_REPLY && remaining_s(t, r) < 0) {
            r->sent |= TELL_REPLY;
            r->acked |= TELL_REPLY;
            r->tell &= ~(unsigned)TELL_REPLY;
            t->n.expired++;
            left = r->tell & ~r->sent;
        }
        left &= tell_hold_allows(t, r);
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
            if (left & steps[i])
                return next_of(t, r, steps[i], out, topic, m);
        t->cursor = r->next;
        if (!r->done && (r->tell & ~r->acked) == 0)
            finished(t, r);
    }
    return false;
}

static void touch(struct tell *t, const struct tell_row *r, unsigned step)
{
    struct buf topic;
    struct mqtt_out m;
    if (!(step & RETAINED) || (t->phase == TELL_AGREED && !t->set.head))
        return; /* nothing is left that might come behind it */
    buf_init(&topic, 2048);
    compose(t, r, step, &topic, &m);
    tell_set_add(&t->touched, tell_topic_hash(topic.data, topic.len));
    buf_done(&topic);
}

void tell_row_sent(struct tell *t, const struct tell_flight *f)
{
    f->row->sent |= f->step;
    if (f->kind == FLIGHT_ROW && f->step == TELL_URGENT)
        t->urgent_unsent--;
    touch(t, f->row, f->step);
}

/* -- what the broker has ---------------------------------------------------------------------- */

static void mark(struct tell *t, uint64_t id)
{
    if (t->n_done == t->cap_done) {
        t->cap_done = t->cap_done ? t->cap_done * 2 : DONE_BATCH;
        t->done = mem_realloc_array(t->done, t->cap_done, sizeof(*t->done));
    }
    t->done[t->n_done++] = id;
    if (t->reading && id > t->read_to) /* it may be in the answer all the same */
        tell_set_add(&t->told, id);
}

/*
 * In the order of the rows, never in that of their answers: what a crash leaves to be told again
 * then ends with the newest, and no case is left on the broker as it was before its last row.
 */
void tell_flush_done(struct tell *t)
{
    while (t->rows.head && t->rows.head->done && t->rows.head != t->cursor) {
        mark(t, t->rows.head->id);
        t->urgent_marked += (t->rows.head->tell & TELL_URGENT) != 0;
        list_pop(&t->rows);
    }
    if (t->n_done > 0)
        store_outbox_done(t->o.store, t->done, t->n_done);
    t->n_done = 0;
}

/* The store counts a row until all of it is told and that is committed; its message on `urgent/` went
 * ahead, maybe long ago. */
uint64_t tell_urgent_waiting(const struct tell *t, const struct store_stats *s)
{
    /* Marks on their way; of rows that an older build called urgent the store counts more. */
    uint64_t has =
        t->urgent_marked > s->urgent_delivered ? t->urgent_marked - s->urgent_delivered : 0;
    for (const struct tell_row *r = t->rows.head; r; r = r->next)
        has += (r->tell & r->acked & TELL_URGENT) != 0;
    for (size_t i = 0; i < t->n_parts; i++)
        has += (t->parts[i].steps & TELL_URGENT) != 0;
    return s->outbox_urgent > has ? s->outbox_urgent - has : 0;
}

/* Every message of the row is with the broker (or can never be). */
static void finished(struct tell *t, struct tell_row *r)
{
    r->done = true; /* and keeps its place until those before it are, too */
    if (!r->counted) {
        t->n.told += r->tell != 0;
        t->n.replies += (r->tell & TELL_REPLY) != 0;
    }
    r->counted = true;
    /* Not the place where its case began: what an old case did since was told, too. */
    if (r->offset > t->told_offset)
        t->told_offset = r->offset;
}

void tell_row_acked(struct tell *t, const struct tell_flight *f)
{
    struct tell_row *r = f->row;
    r->acked |= f->step;
    if (f->step == TELL_LEAVE && t->n.orphaned > 0)
        tell_orphans_emptied(t, r);
    tell_hold_passed(t, r, f->step);
    if (f->step == TELL_URGENT)
        t->n.urgent_told++;
    if (f->kind == FLIGHT_URGENT) {
        uint64_t id = r->id;
        struct tell_row *own = find(&t->rows, id);
        if (own) {
            own->acked |= TELL_URGENT;
        } else {
            part_add(t, id, TELL_URGENT);
        }
        while (t->urgent.head && t->urgent.head->acked)
            list_pop(&t->urgent);
        r = own;
    }
    if (r && !r->done && (r->tell & ~r->acked) == 0 && t->cursor != r)
        finished(t, r);
}

static bool is_of_case(const struct tell_row *r, const struct tell_row *other)
{
    return r->case_id && other->case_id && strcmp(r->case_id, other->case_id) == 0;
}

bool tell_row_overtaken(const struct tell_row *r)
{
    if (!(r->tell & ~r->sent & RETAINED))
        return false;
    for (const struct tell_row *later = r->next; later; later = later->next)
        if (later->sent & RETAINED && is_of_case(later, r))
            return true;
    return false;
}

void tell_rows_restate(struct tell *t)
{
    for (struct tell_row *r = t->rows.head; r; r = r->next)
        for (struct tell_row *later = r->next; later && r->tell & ~r->sent & RETAINED;
             later = later->next)
            if (later->sent & RETAINED && is_of_case(later, r)) {
                later->sent &= ~(unsigned)RETAINED;
                later->acked &= ~(unsigned)RETAINED;
                later->done = false;
            }
}

void tell_row_back(struct tell *t, const struct tell_flight *f)
{
    struct tell_row *r = f->row;
    r->sent &= ~f->step;
    if (f->kind == FLIGHT_URGENT)
        return;
    if (f->step == TELL_URGENT)
        t->urgent_unsent++;
    if (!t->cursor || r->id < t->cursor->id)
        t->cursor = r;
}
