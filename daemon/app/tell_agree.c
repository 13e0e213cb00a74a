/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agreement with the broker, once a connection: what it keeps of ours is read, the epoch decided
 * (once a process), then the open set is read from the store, and when the outbox has been told
 * as far as that set knows, the two are made equal.
 *
 * Topics that a row of the outbox has set on this connection are newer than both and left alone.
 * Not so where an earlier life, or a firm's refusals, may have marked rows out of their order: the first
 * of them that is told again is older than what the store knows. Then all is compared once more.
 */
#include "app/tell_private.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/cases.h"

#include <stdlib.h>
#include <string.h>

#define QUIET_NS       1000000000u  /* no retained topic for so long: there are no more */
#define QUIET_FRESH_NS 2000000000u  /* … when the epoch hangs on it */
#define READ_MAX_NS    60000000000u /* a broker that goes on for ever is not waited for */

uint64_t tell_topic_hash(const char *topic, size_t len)
{
    return hash64(hash_seed(), topic, len) | 1;
}

uint64_t tell_payload_hash(const void *p, size_t len)
{
    return hash64(hash_seed() + 1, p, len);
}

/* -- case ids -------------------------------------------------------------------------------- */

uint64_t tell_case_offset(const struct tell *t, const char *case_id)
{
    uint64_t offset = 0;
    return case_id_is_of(case_id, strlen(case_id), t->mine, &offset) ? offset : 0;
}

/* The last level of a topic. */
static const char *case_of(const char *topic)
{
    const char *slash = strrchr(topic, '/');
    return slash ? slash + 1 : topic;
}

/* -- reading --------------------------------------------------------------------------------- */

size_t tell_filters(const struct tell *t, bool alerts, char *names[8],
                    struct mqtt_filter filters[8])
{
    size_t n = 0;
    names[n++] = mem_printf("%scmd/+/+/+/+", t->prefix);
    names[n++] = mem_printf("%ssnapshot/+", t->prefix);
    names[n++] = mem_printf("%spresence/+", t->prefix);
    names[n++] = mem_strdup(t->epoch_topic);
    if (alerts)
        names[n++] = mem_printf("%salerts/#", t->prefix);
    for (size_t i = 0; i < n; i++)
        filters[i] = (struct mqtt_filter){names[i], 1};
    return n;
}

void tell_subscribe(struct tell *t, bool alerts)
{
    char *names[8];
    struct mqtt_filter filters[8];
    size_t n = tell_filters(t, alerts, names, filters);
    t->alerts_wanted = alerts;
    (void)mqtt_resubscribe(t->mqtt, filters, n);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
}

static void forget_retained(struct tell *t)
{
    for (size_t i = 0; i < t->n_retained; i++)
        free(t->retained[i].topic);
    free(t->retained);
    t->retained = NULL;
    t->n_retained = t->cap_retained = 0;
}

void tell_agree_up(struct tell *t)
{
    tell_agree_down(t);
    t->phase = TELL_READING;
    t->up_ns = t->last_retained_ns = loop_now_ns(t->o.loop);
    if (!t->alerts_wanted) /* asked twice, the broker tells twice */
        tell_subscribe(t, true);
    tell_tick_soon(t);
}

void tell_agree_down(struct tell *t)
{
    t->phase = TELL_AWAY;
    t->n.reconciled = false;
    if (t->asking)
        t->asking->t = NULL;
    t->asking = NULL;
    forget_retained(t);
    tell_set_clear(&t->touched);
    tell_set_clear(&t->open);
    tell_items_clear(&t->opens);
    tell_items_clear(&t->set); /* may have been set since: a comparison finds all anew */
    t->opens_bytes = 0;
}

void tell_agree_done(struct tell *t)
{
    tell_agree_down(t);
}

/* What is not remembered is told again if it is open, and stays if it is not. */
static void no_room(struct tell *t)
{
    t->n.retained_not_kept++;
    if (log_broke(&t->retained_room))
        log_error("alerts: the broker keeps more than %zu states of ours: those of the others "
                  "that are closed stay there",
                  t->most_retained);
}

void tell_agree_retained(struct tell *t, struct tell_event *e)
{
    t->last_retained_ns = loop_now_ns(t->o.loop);
    if (e->id > t->seen_epoch)
        t->seen_epoch = e->id;
    uint64_t offset = tell_case_offset(t, case_of(e->topic));
    if (e->id == t->o.epoch && offset > t->broker_offset && t->epoch == 0)
        t->broker_offset = offset;
    if (t->phase == TELL_AGREED)
        return;
    if (t->n_retained == t->most_retained) {
        no_room(t);
        return;
    }
    if (t->n_retained == t->cap_retained) {
        t->cap_retained = t->cap_retained ? t->cap_retained * 2 : 64;
        t->retained = mem_realloc_array(t->retained, t->cap_retained, sizeof(*t->retained));
    }
    t->retained[t->n_retained++] =
        (struct tell_retained){.topic = e->topic, .epoch = e->id, .hash = e->hash};
    e->topic = NULL;
}

void tell_agree_epoch(struct tell *t, const struct tell_event *e)
{
    if (t->epoch > 0)
        return; /* our own, coming back */
    if (e->id > t->broker_epoch)
        t->broker_epoch = e->id;
    if (e->id == t->o.epoch && e->offset > t->broker_offset) /* others are of another journal */
        t->broker_offset = e->offset;
}

/* -- the epoch ------------------------------------------------------------------------------- */

void tell_say_epoch(struct tell *t)
{
    char *payload =
        mem_printf("{\"v\":1,\"gateway\":\"%s\",\"lane\":\"%s\",\"stream\":\"%s%llu\","
                   "\"epoch\":%llu,\"offset\":%llu}",
                   t->o.conf->gateway.id, t->lane, t->stream_head, (unsigned long long)t->epoch,
                   (unsigned long long)t->epoch, (unsigned long long)t->told_offset);
    tell_items_add(&t->own, tell_item_new(t->epoch_topic, payload, strlen(payload), true));
    t->epoch_said = t->told_offset;
    free(payload);
}

/* Why the epoch that the stream was given will not do; NULL: it will. */
static const char *why_new(const struct tell *t, uint64_t stored)
{
    if (t->broker_epoch > stored || t->seen_epoch > stored)
        return "the broker knows a later one: the store was restored";
    if (t->broker_epoch == stored && t->broker_offset > t->o.cursor)
        return "more was told than the store knows: it was restored";
    return NULL;
}

/* How far this stream may have been told: who died within a second of telling has not said so. */
static uint64_t told_before(const struct tell *t)
{
    struct store_stats s;
    store_stats(t->o.store, &s);
    return s.alarm_offset > t->broker_offset ? s.alarm_offset : t->broker_offset;
}

static bool decide_epoch(struct tell *t)
{
    uint64_t stored = t->o.epoch, most = store_epoch_last(t->o.store);
    const char *why = why_new(t, stored);
    if (t->broker_epoch > most)
        most = t->broker_epoch;
    if (t->seen_epoch > most)
        most = t->seen_epoch;
    if (stored > most)
        most = stored;
    uint64_t epoch = why ? most + 1 : stored;
    char *stream = mem_printf("%s%llu", t->stream_head, (unsigned long long)epoch);
    int r = 0; /* what the stream was given stands in the journal since the start */
    if (why)
        r = t->o.append(t->o.ctx, &(struct record){.type = RECORD_STREAM,
                                                   .broker = 255,
                                                   .topic = "",
                                                   .body = stream,
                                                   .body_len = strlen(stream)});
    if (r == 0) {
        if (why)
            log_notice("alerts: a new epoch %llu begins: %s", (unsigned long long)epoch, why);
        t->epoch = t->n.epoch = epoch;
        t->told_offset = why ? 0 : told_before(t);
        t->news = true;
        tell_say_epoch(t);
    }
    free(stream);
    return r == 0; /* else the journal is full: asked again at the next tick */
}

bool tell_may_tell(struct tell *t)
{
    if (!t->numbered && t->epoch > 0)
        t->numbered = store_epoch(t->o.store) == t->epoch;
    return t->numbered;
}

/* -- comparing ------------------------------------------------------------------------------- */

static const struct tell_retained *on_broker(const struct tell *t, const char *topic)
{
    size_t low = 0, high = t->n_retained;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strcmp(t->retained[mid].topic, topic);
        if (c == 0)
            return &t->retained[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int by_topic(const void *a, const void *b)
{
    const struct tell_retained *x = a, *y = b;
    return strcmp(x->topic, y->topic);
}

static void on_open_case(void *ctx, const struct store_case *c)
{
    struct tell_asking *k = ctx;
    struct tell *t = k->t;
    if (!t || !c->payload || c->seq == 0)
        return; /* never told: nothing of it belongs on the broker */
    char *topic = mem_printf("%salerts/%s/%s/%s", t->prefix, c->firm, c->compound, c->case_id);
    uint64_t hash = tell_topic_hash(topic, strlen(topic));
    const struct tell_retained *r = on_broker(t, topic);
    bool same = r && r->hash == tell_payload_hash(c->payload, c->len);
    tell_set_add(&t->open, hash);
    if (!same || (!t->differing && t->opens_bytes < TELL_OPEN_BYTES)) {
        struct tell_item *i = tell_item_new(topic, c->payload, c->len, true);
        i->topic_hash = hash;
        tell_items_add(&t->opens, i);
        t->opens_bytes += c->len;
    }
    free(topic);
}

static void on_open_cases(void *ctx, int status, uint64_t n, bool more)
{
    struct tell *t = tell_answer(ctx);
    (void)n;
    (void)more;
    if (!t)
        return;
    t->asking = NULL;
    if (status != 0)
        return; /* the store is closing, or the process stops */
    t->phase = TELL_CATCHING;
    t->news = true; /* rows that were committed before the answer, and not told of yet */
    tell_pump(t);
    tell_agree_tick(t);
}

static void ask(struct tell *t)
{
    if (t->n_retained > 0)
        qsort(t->retained, t->n_retained, sizeof(*t->retained), by_topic);
    t->phase = TELL_ASKING;
    t->asking = tell_ask(t);
    store_open_cases(t->o.store, NULL, on_open_case, on_open_cases, t->asking);
}

/* Retained topics of this stream that belong to no open case are emptied; former epochs' stay until
 * somebody closes them. */
static void empty_unknown(struct tell *t)
{
    t->n.orphaned = 0;
    tell_orphans_clear(t);
    for (size_t i = 0; i < t->n_retained; i++) {
        const struct tell_retained *r = &t->retained[i];
        uint64_t hash = tell_topic_hash(r->topic, strlen(r->topic));
        if (tell_set_has(&t->open, hash) || tell_set_has(&t->touched, hash))
            continue;
        if (r->epoch != t->epoch) {
            t->n.orphaned++;
            tell_orphans_add(t, r->topic);
            continue;
        }
        struct tell_item *e = tell_item_new(r->topic, "", 0, true);
        e->topic_hash = hash;
        tell_items_add(&t->set, e);
    }
    tell_orphans_sort(t);
}

static void agree(struct tell *t)
{
    empty_unknown(t);
    if (t->opens.head) {
        *t->set.tail = t->opens.head;
        t->set.tail = t->opens.tail;
        t->set.n += t->opens.n;
        tell_items_init(&t->opens);
    }
    t->n.foreign = atomic_load_explicit(&t->seen_foreign, memory_order_relaxed);
    t->compare |= t->recheck && t->touched.n > 0;
    if (t->recheck)
        t->doubt = t->read_high; /* until they are answered a lost link begins that anew */
    t->recheck = false;
    if (t->n_retained < t->most_retained && log_healed(&t->retained_room))
        log_notice("alerts: all states that the broker keeps are compared again");
    forget_retained(t);
    tell_set_clear(&t->open);
    t->phase = TELL_AGREED;
    t->n.reconciled = true;
    tell_subscribe(t, false); /* or everything that we tell would come back */
    tell_pump(t);
}

static bool retained_are_here(const struct tell *t)
{
    struct mqtt_stats m;
    uint64_t now = loop_now_ns(t->o.loop), quiet = t->epoch == 0 ? QUIET_FRESH_NS : QUIET_NS;
    mqtt_stats(t->mqtt, &m);
    return m.subscribed && (now - t->last_retained_ns >= quiet || now - t->up_ns > READ_MAX_NS);
}

void tell_agree_tick(struct tell *t)
{
    if (t->phase == TELL_READING) {
        struct mqtt_stats m;
        mqtt_stats(t->mqtt, &m);
        if (!m.subscribed) /* quiet is counted from the broker's answer on */
            t->last_retained_ns = loop_now_ns(t->o.loop);
        /* The broker confirms what the store says: nothing else matters, and telling begins. */
        if (t->epoch == 0 && t->broker_epoch == t->o.epoch && m.subscribed &&
            !why_new(t, t->o.epoch))
            (void)decide_epoch(t);
        if (!retained_are_here(t) || (t->epoch == 0 && !decide_epoch(t)) || !tell_may_tell(t))
            return;
        tell_presence_read(t);
        ask(t);
    }
    if (t->phase == TELL_CATCHING && tell_rows_drained(t))
        agree(t);
}
