/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tell_private.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "core/cases.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS        100
#define STATUS_EVERY_S 60
#define STATUS_APART_S 3 /* a problem's text may change every second */
#define STUCK_NS       60000000000u
#define URGENT_NS      8000000000u /* looked at every second: known within the 10 s of the duty */
#define IDLE_NS        300000000u  /* nothing to tell for so long: a stop need not wait */
#define FAREWELL_NS    1000000000u /* at most for the last words */
#define CHANGES_S      5 /* of a firm's presence: what flickers is recorded when it stands */
#define PAYLOAD_PARSED ((size_t)1 << 20)

struct tell_asking *tell_ask(struct tell *t)
{
    struct tell_asking *k = mem_zalloc(sizeof(*k));
    k->t = t;
    return k;
}

struct tell *tell_answer(struct tell_asking *k)
{
    struct tell *t = k->t;
    free(k);
    return t;
}

/* -- own topics ------------------------------------------------------------------------------ */

void tell_stamp(const struct tell *t, char out[32])
{
    int64_t ms = clock_wall_ns() / 1000000;
    (void)stamp_format(out, ms, t->world ? zone_offset_at(t->world->zone, ms) : 0);
}

void tell_tick_soon(struct tell *t)
{
    if (!loop_timer_active(t->tick))
        loop_timer_start(t->tick, TICK_MS, TICK_MS);
}

static void say_own(struct tell *t, const char *topic, const char *payload)
{
    tell_items_add(&t->own, tell_item_new(topic, payload, strlen(payload), true));
}

/* The status object with its time in front. */
static void say_status(struct tell *t)
{
    char at[32];
    if (t->phase == TELL_AWAY || !t->status)
        return;
    tell_stamp(t, at);
    char *payload = mem_printf("{\"v\":1,\"at\":\"%s\"%s%.*s", at, t->status_len > 2 ? "," : "",
                               (int)t->status_len - 1, t->status + 1);
    say_own(t, t->status_topic, payload);
    free(payload);
    t->seconds_since_status = 0;
    t->status_changed = false;
    t->status_said = true;
}

static char *offline(const struct tell *t, const char *why)
{
    return mem_printf("{\"v\":1,\"state\":\"offline\",\"gateway\":\"%s\",\"lane\":\"%s\","
                      "\"reason\":\"%s\"}",
                      t->o.conf->gateway.id, t->lane, why);
}

/* -- presence -------------------------------------------------------------------------------- */

static bool firm_known(const struct tell *t, const char *firm)
{
    const struct registry *r = t->world->registry;
    for (size_t i = 0; i < registry_compounds(r); i++)
        if (strcmp(registry_compound_at(r, i)->firm, firm) == 0)
            return true;
    return false;
}

/* False: the journal is full; whoever wants it tries again every second. */
static bool append_presence(struct tell *t, const char *who, bool online)
{
    const char *body = online ? "online" : "offline";
    return t->o.append(t->o.ctx, &(struct record){.type = RECORD_PRESENCE,
                                                  .broker = 255,
                                                  .topic = who,
                                                  .topic_len = strlen(who),
                                                  .body = body,
                                                  .body_len = strlen(body)}) == 0;
}

static void record_presence(struct tell *t, struct tell_firm *f)
{
    if ((f->recorded && f->recorded_online == f->online) || f->changes >= CHANGES_S ||
        !append_presence(t, f->firm, f->online))
        return;
    f->changes++;
    f->recorded = true;
    f->recorded_online = f->online;
}

/* Life-safety has 10 s (GB/T 26875.1). When its messages on `urgent/` wait with none getting through, or
 * the broker refuses a firm's, that is an alarm of our own, which core/engine_alarm.c makes of this
 * record. It ends when one gets through, or none waits: that is said once in any case, because a
 * former process may have said the other. */
static void record_delivery(struct tell *t, uint64_t waiting, uint64_t now)
{
    bool through = t->n.urgent_told != t->last_urgent;
    t->last_urgent = t->n.urgent_told;
    if (waiting == 0 || through)
        t->urgent_since_ns = 0;
    if (waiting > 0 && t->urgent_since_ns == 0)
        t->urgent_since_ns = now;
    bool fails =
        waiting > 0 && (now - t->urgent_since_ns >= URGENT_NS || tell_holds_life(t, URGENT_NS));
    if ((!fails && waiting > 0 && !through) ||
        (t->delivery_recorded && t->delivery_fails == fails) ||
        !append_presence(t, RECORD_DELIVERY, !fails))
        return;
    t->delivery_recorded = true;
    t->delivery_fails = fails;
}

static struct tell_firm *find_firm(const struct tell *t, const char *name)
{
    for (size_t i = 0; i < t->n_firms; i++)
        if (strcmp(t->firms[i].firm, name) == 0)
            return &t->firms[i];
    return NULL;
}

/* NULL: there are too many. */
static struct tell_firm *add_firm(struct tell *t, const char *name)
{
    if (t->n_firms == t->most_firms) {
        t->n.firms_not_kept++;
        if (log_broke(&t->firms_room))
            log_error("alerts: more than %zu firms: whether the others listen is not recorded "
                      "(firm %s is the first), and they may be told of as absent",
                      t->most_firms, name);
        return NULL;
    }
    t->firms = mem_realloc_array(t->firms, t->n_firms + 1, sizeof(*t->firms));
    struct tell_firm *f = &t->firms[t->n_firms++];
    *f = (struct tell_firm){0};
    (void)snprintf(f->firm, sizeof(f->firm), "%s", name);
    return f;
}

static void on_presence(struct tell *t, const struct tell_event *e)
{
    struct tell_firm *f = find_firm(t, e->text);
    if (!f && firm_known(t, e->text)) /* else of another gateway on this broker, or of nobody */
        f = add_firm(t, e->text);
    if (!f)
        return;
    f->online = e->online;
    f->said = f->seen = true;
    record_presence(t, f);
}

/* Also of those that only a former process may have known. */
void tell_presence_read(struct tell *t)
{
    const struct registry *r = t->world->registry;
    for (size_t i = 0; i < registry_compounds(r); i++) {
        const char *firm = registry_compound_at(r, i)->firm;
        if (strcmp(firm, "none") != 0 && !find_firm(t, firm))
            (void)add_firm(t, firm);
    }
    for (size_t i = 0; i < t->n_firms; i++) {
        struct tell_firm *f = &t->firms[i];
        f->online &= f->seen;
        record_presence(t, f);
    }
}

/* -- events ---------------------------------------------------------------------------------- */

static void on_down(struct tell *t, struct tell_event *e)
{
    free(t->down_why);
    t->down_why = e->text;
    e->text = NULL;
    if (t->n.connected)
        t->lost_ns = loop_now_ns(t->o.loop);
    t->n.connected = false;
    t->status_said = false;
    tell_lost(t);
    tell_agree_down(t);
    tell_snapshots_forget(t);
    if (!t->alerts_wanted)
        tell_subscribe(t, true); /* for the next connection, from its beginning */
}

static void on_up(struct tell *t)
{
    t->n.connected = true;
    for (size_t i = 0; i < t->n_firms; i++)
        t->firms[i].seen = false;
    tell_lost(t);
    t->differing = false;
    tell_agree_up(t);
    if (t->epoch > 0)
        tell_say_epoch(t);
    say_status(t);
}

static void on_direct(struct tell *t, struct tell_event *e)
{
    if (t->phase == TELL_AWAY || t->direct.n >= TELL_DIRECT_MAX)
        return;
    struct tell_item *i = tell_item_new(e->topic, e->text, strlen(e->text), false);
    i->correlation = e->correlation;
    i->correlation_len = e->correlation_len;
    e->correlation = NULL;
    tell_items_add(&t->direct, i);
}

static void on_event(struct tell *t, struct tell_event *e)
{
    switch (e->kind) {
    case TELL_UP:
        on_up(t);
        break;
    case TELL_DOWN:
        on_down(t, e);
        break;
    case TELL_SENT:
        tell_answered(t, e->id, e->status);
        break;
    case TELL_RETAINED:
        tell_agree_retained(t, e);
        break;
    case TELL_EPOCH:
        tell_agree_epoch(t, e);
        break;
    case TELL_PRESENCE:
        on_presence(t, e);
        break;
    case TELL_SNAPSHOT:
        tell_snapshot_request(t, e);
        break;
    case TELL_DIRECT:
        on_direct(t, e);
        break;
    }
}

/* What came, and then what goes: there is room for it only when answers were looked at. */
static void work(struct tell *t)
{
    if (!t->started || t->closed)
        return;
    for (struct tell_event *e = tell_take_events(t), *next; e; e = next) {
        next = e->next;
        on_event(t, e);
        tell_event_free(e);
    }
    tell_pump(t);
}

static void on_wake(void *ctx)
{
    work(ctx);
}

static void on_outbox(void *ctx)
{
    struct tell *t = ctx;
    t->news = true;
    work(t);
}

/* -- stopping -------------------------------------------------------------------------------- */

static void close_client(void *ctx)
{
    struct tell *t = ctx;
    mqtt_close(t->mqtt);
}

static void client_closed(void *ctx)
{
    struct tell *t = ctx;
    t->mqtt = NULL;
    if (t->stopped)
        t->stopped(t->stopped_ctx);
}

static void finish_stop(struct tell *t)
{
    t->closed = true;
    loop_timer_stop(t->tick);
    tell_lost(t);
    tell_agree_down(t);
    tell_snapshots_forget(t);
    loop_work(t->o.loop, close_client, client_closed, t);
}

/* Is there nothing left to tell? For a while: what the engine is about may still come. */
static bool nothing_left(struct tell *t, uint64_t now)
{
    struct store_stats s;
    store_stats(t->o.store, &s);
    bool idle = s.outbox_rows == 0 && t->n_flights == 0 && !t->direct.head && !t->set.head &&
                !tell_snapshot_begun(t) && (!t->o.idle || t->o.idle(t->o.ctx));
    if (!idle)
        t->idle_since_ns = now;
    return idle && now - t->idle_since_ns >= IDLE_NS;
}

static void stop_tick(struct tell *t)
{
    uint64_t now = loop_now_ns(t->o.loop);
    if (t->phase == TELL_AWAY) {
        finish_stop(t); /* its will says that we are away */
        return;
    }
    if (!t->said_offline && (now >= t->stop_deadline_ns || nothing_left(t, now))) {
        char *payload = offline(t, "stopped");
        t->said_offline = true;
        t->stop_deadline_ns = now + FAREWELL_NS;
        if (t->epoch > 0 && t->told_offset != t->epoch_said)
            tell_say_epoch(t);
        say_own(t, t->status_topic, payload);
        free(payload);
        tell_pump(t);
    } else if (t->said_offline &&
               ((!t->own.head && t->n_flights == 0) || now >= t->stop_deadline_ns)) {
        finish_stop(t);
    }
}

static void on_tick(void *ctx)
{
    struct tell *t = ctx;
    if (t->closed)
        return;
    work(t);
    tell_agree_tick(t);
    tell_holds_tick(t);
    if (t->phase == TELL_AGREED && !t->set.head)
        tell_set_clear(&t->touched);
    if (t->stopping)
        stop_tick(t);
    else if (t->phase == TELL_AWAY ||
             (t->phase == TELL_AGREED && !t->set.head && t->n_holds == 0 && !t->compare &&
              !t->set_refused && loop_now_ns(t->o.loop) >= t->hold_until_ns))
        loop_timer_stop(t->tick);
}

void tell_stop(struct tell *t, unsigned ms, loop_fn *done, void *ctx)
{
    uint64_t now = loop_now_ns(t->o.loop);
    t->stopping = true;
    t->stopped = done;
    t->stopped_ctx = ctx;
    t->stop_deadline_ns = now + (uint64_t)ms * 1000000u;
    t->idle_since_ns = now;
    tell_tick_soon(t);
}

/* -- the second ------------------------------------------------------------------------------ */

static void say_stuck(struct tell *t, uint64_t waiting)
{
    struct mqtt_stats m;
    mqtt_stats(t->mqtt, &m);
    if (t->n.oldest_waiting_s < STUCK_NS / 1e9 || !log_broke(&t->stuck))
        return;
    log_error("alerts: nothing could be told for %.0f s, %llu messages wait: %s",
              t->n.oldest_waiting_s, (unsigned long long)waiting,
              m.problem[0]         ? m.problem
              : !m.connected       ? "the broker is not connected"
              : t->refused_what[0] ? "the broker refuses what we publish"
              : t->epoch == 0      ? "the broker has not been read yet"
              : !t->numbered       ? "the stream's new epoch is not in the store yet"
                                   : "the broker does not acknowledge");
}

static void look_whether_stuck(struct tell *t)
{
    struct store_stats s;
    uint64_t now = loop_now_ns(t->o.loop);
    store_stats(t->o.store, &s);
    if (s.outbox_rows == 0 || t->n.told != t->last_told || t->stuck_since_ns == 0)
        t->stuck_since_ns = now;
    record_delivery(t, tell_urgent_waiting(t, &s), now);
    t->n.oldest_waiting_s = s.outbox_rows ? (double)(now - t->stuck_since_ns) / 1e9 : 0;
    say_stuck(t, s.outbox_rows);
    if ((s.outbox_rows == 0 || t->n.told != t->last_told) && log_healed(&t->stuck))
        log_notice("alerts: firms are told again");
    t->last_told = t->n.told;
}

void tell_second(struct tell *t, const char *status_json, size_t len)
{
    if (t->closed || t->stopping)
        return;
    look_whether_stuck(t);
    for (size_t i = 0; i < t->n_firms; i++) {
        t->firms[i].changes = 0;
        record_presence(t, &t->firms[i]);
    }
    bool changed =
        len != t->status_len || !t->status || memcmp(status_json, t->status, len) != 0;
    if (changed) {
        free(t->status);
        t->status = mem_dup(status_json, len);
        t->status_len = len;
        t->status_changed = true;
    }
    t->seconds_since_status++;
    if (!t->status_said ||
        t->seconds_since_status >= (t->status_changed ? STATUS_APART_S : STATUS_EVERY_S))
        say_status(t);
    /* A machine that is restored to a minute ago must see that more was told since. */
    if (t->epoch > 0 && t->told_offset != t->epoch_said && t->phase != TELL_AWAY)
        tell_say_epoch(t);
    work(t);
}

/* What the comparison found is on its way. */
static bool sets(const struct tell *t)
{
    bool any = t->set.head != NULL;
    for (size_t i = 0; i < t->n_flights && !any; i++)
        any = t->flights[i].kind == FLIGHT_ITEM && t->flights[i].item->topic_hash;
    return any;
}

void tell_stats(const struct tell *t, struct tell_stats *out)
{
    struct store_stats s;
    struct mqtt_stats m = {0};
    *out = t->n;
    out->ready =
        t->n.connected || (t->lost_ns > 0 && loop_now_ns(t->o.loop) - t->lost_ns < STUCK_NS);
    out->link = t->n.connected    ? "connected"
                : out->ready      ? "reconnecting"
                : t->lost_ns == 0 ? "connecting"
                                  : "away";
    store_stats(t->o.store, &s);
    out->waiting = s.outbox_rows;
    out->reconciled = out->reconciled && !t->compare && !t->set_refused && !sets(t);
    out->held = tell_holds_count(t);
    out->commands = atomic_load_explicit(&t->commands, memory_order_relaxed);
    out->commands_refused = atomic_load_explicit(&t->refused, memory_order_relaxed);
    for (size_t i = 0; i < t->n_firms; i++) {
        out->presence_online += t->firms[i].online;
        out->presence_absent += t->firms[i].said && !t->firms[i].online;
    }
    if (t->mqtt && !t->closed)
        mqtt_stats(t->mqtt, &m);
    if (m.problem[0])
        (void)snprintf(out->problem, sizeof(out->problem), "%s", m.problem);
    else if (out->held > 0 || t->hold_until_ns > loop_now_ns(t->o.loop))
        (void)snprintf(out->problem, sizeof(out->problem), "the broker refuses a message: %s",
                       t->refused_what);
    else if (t->stuck.broken)
        (void)snprintf(out->problem, sizeof(out->problem), "nothing could be told for %.0f s",
                       t->n.oldest_waiting_s);
}

/* -- life ------------------------------------------------------------------------------------ */

static const struct conf_broker *find_broker(const struct conf *c)
{
    for (size_t i = 0; i < c->n_brokers; i++)
        if (c->alerts.broker && strcmp(c->brokers[i].id, c->alerts.broker) == 0)
            return &c->brokers[i];
    return NULL;
}

static void name_things(struct tell *t, const struct conf_broker *b)
{
    const struct conf *c = t->o.conf;
    t->lane = mem_strdup(conf_lane_name(c->gateway.lane));
    t->gateway = mem_strdup(t->o.gateway);
    t->broker_id = mem_printf("%s (alerts)", b->id);
    t->client_id = mem_printf("%s%s-alerts", b->client_id,
                              c->gateway.lane == CONF_LANE_LIFE_SAFETY ? "-ls" : "");
    t->mine = mem_printf("%s.%s.", c->gateway.id, t->lane);
    t->stream_head = mem_printf("%s/%s/", c->gateway.id, t->lane);
    t->prefix = mem_printf("%s/", c->alerts.prefix);
    t->status_topic = mem_printf("%sgateway/%s/status", t->prefix, t->gateway);
    t->epoch_topic = mem_printf("%sgateway/%s/epoch", t->prefix, t->gateway);
    t->will = offline(t, "connection lost");
    t->broker = *b;
    t->broker.id = t->broker_id;
    t->broker.share_group =
        NULL; /* commands are for this gateway, whoever shares its sources */
}

static int open_client(struct tell *t, struct err *err)
{
    char *names[8];
    struct mqtt_filter filters[8];
    size_t n = tell_filters(t, true, names, filters);
    t->alerts_wanted = true;
    int r = mqtt_open(
        &(struct mqtt_options){
            .broker = &t->broker,
            .client_id = t->client_id,
            .password = t->o.password,
            .key_password = t->o.key_password,
            .filters = filters,
            .n_filters = n,
            .will = &(struct mqtt_will){t->status_topic, t->will, strlen(t->will), true},
            .send_window = TELL_WINDOW,
            .retry_max_s = TELL_RETRY_MAX_S,
            .read_retained = true},
        &(struct mqtt_events){t, tell_on_message, tell_on_link, tell_on_sent}, err, &t->mqtt);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    t->o.password = t->o.key_password = NULL;
    return r;
}

int tell_open(const struct tell_options *o, struct err *err, struct tell **out)
{
    const struct conf_broker *b = find_broker(o->conf);
    if (!b)
        return err_set(err, -EINVAL, "alerts.broker: there is no broker \"%s\"",
                       o->conf->alerts.broker ? o->conf->alerts.broker : "");
    struct tell *t = mem_zalloc(sizeof(*t));
    t->o = *o;
    t->recheck = true;
    t->most_firms = TELL_FIRMS_MAX;
    t->most_retained = TELL_RETAINED_MAX;
    name_things(t, b);
    t->snapshots_end = &t->snapshots;
    tell_rows_init(t);
    struct tell_items *lists[] = {&t->own, &t->set, &t->direct, &t->opens};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        tell_items_init(lists[i]);
    t->json = json_new(PAYLOAD_PARSED);
    t->wake = loop_wake_new(o->loop, on_wake, t);
    t->tick = loop_timer_new(o->loop, on_tick, t);
    store_on_outbox(o->store, on_outbox, t);
    int r = open_client(t, err);
    if (r != 0) {
        tell_close(t);
        return r;
    }
    *out = t;
    return 0;
}

void tell_start(struct tell *t, const struct world *w)
{
    t->world = w;
    t->started = true;
    loop_wake_send(t->wake); /* what came already */
}

void tell_world(struct tell *t, const struct world *w)
{
    t->world = w;
}

void tell_close(struct tell *t)
{
    if (!t)
        return;
    t->closed = true;
    store_on_outbox(t->o.store, NULL, NULL);
    mqtt_close(t->mqtt);
    tell_lost(t);
    tell_agree_done(t);
    tell_snapshots_forget(t);
    for (struct tell_event *e = tell_take_events(t), *next; e; e = next) {
        next = e->next;
        tell_event_free(e);
    }
    tell_flush_done(t);
    tell_rows_done(t);
    tell_orphans_clear(t);
    loop_wake_free(t->wake);
    loop_timer_free(t->tick);
    json_free(t->json);
    char *all[] = {t->client_id,   t->broker_id,   t->gateway,  t->lane,
                   t->mine,        t->stream_head, t->prefix,   t->status_topic,
                   t->epoch_topic, t->will,        t->down_why, t->status};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    free(t->firms);
    free(t);
}
