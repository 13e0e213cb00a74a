/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker of alerts. It takes messages one by one in the order they were sent, keeps what is
 * retained, tells the listener, and acknowledges a while later; when the link breaks in between,
 * the sender does not know. Subscriptions get what is retained, and what firms say while the
 * gateway is away waits in its session.
 */
#include "sim/fake_alerts.h"
#include "base/check.h"
#include "base/mem.h"
#include "sim/fakes.h"
#include "sim/world.h"
#include "sim/own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 19, FILTERS = 8 };

struct letter { /* on its way to the broker, or to the gateway */
    struct letter *next;
    uint64_t id;
    char *topic, *payload, *response, *correlation;
    size_t len, correlation_len;
    bool retain, taken;
};

struct kept {
    char *topic, *payload;
    size_t len;
};

struct fake_alerts {
    struct mqtt_events e;
    struct mqtt_stats *stats;
    char *will_topic, *will;
    size_t will_len;
    bool wanted;
};

static struct {
    bool up, connected, subscribed;
    struct fake_alerts *client;
    char *will_topic, *will; /* of the connection: the broker's own copy */
    size_t will_len;
    char *filters[FILTERS];  /* of the session */
    char *asked[FILTERS];    /* that the client wants */
    struct letter *out, *in; /* from the gateway; to it */
    size_t n_out;
    struct kept *kept;
    size_t n_kept, cap_kept;
} b;

void (*fake_alerts_on_message)(const char *topic, const char *payload, size_t len, bool retain);

static void free_letter(struct letter *l)
{
    free(l->topic);
    free(l->payload);
    free(l->response);
    free(l->correlation);
    free(l);
}

static void append(struct letter **list, struct letter *l)
{
    while (*list)
        list = &(*list)->next;
    *list = l;
}

static void free_letters(struct letter **list)
{
    for (struct letter *l = *list, *next; l; l = next) {
        next = l->next;
        free_letter(l);
    }
    *list = NULL;
}

static char *text_of(const void *p, size_t len)
{
    return mem_strndup(p ? p : "", len);
}

/* -- what is kept ----------------------------------------------------------------------------- */

static struct kept *find(const char *topic)
{
    for (size_t i = 0; i < b.n_kept; i++)
        if (strcmp(b.kept[i].topic, topic) == 0)
            return &b.kept[i];
    return NULL;
}

static void drop_kept(struct kept *k)
{
    free(k->topic);
    free(k->payload);
    *k = b.kept[--b.n_kept];
}

static void keep(const char *topic, const char *payload, size_t len)
{
    struct kept *k = find(topic);
    if (k)
        drop_kept(k);
    if (len == 0)
        return;
    if (b.n_kept == b.cap_kept) {
        b.cap_kept = b.cap_kept ? b.cap_kept * 2 : 64;
        b.kept = mem_realloc_array(b.kept, b.cap_kept, sizeof(*b.kept));
    }
    b.kept[b.n_kept++] =
        (struct kept){.topic = mem_strdup(topic), .payload = text_of(payload, len), .len = len};
}

const char *fake_alerts_kept(const char *topic)
{
    const struct kept *k = find(topic);
    return k ? k->payload : NULL;
}

size_t fake_alerts_kept_count(void)
{
    return b.n_kept;
}

const char *fake_alerts_kept_at(size_t i, const char **out_payload)
{
    *out_payload = b.kept[i].payload;
    return b.kept[i].topic;
}

/* MQTT 5, 4.7. */
static bool fits(const char *filter, const char *topic)
{
    for (;;) {
        size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");
        if (f == 1 && *filter == '#')
            return true;
        if (!(f == 1 && *filter == '+') && (f != t || memcmp(filter, topic, f) != 0))
            return false;
        if (!filter[f] || !topic[t])
            return filter[f] == topic[t] || strcmp(filter + f, "/#") == 0;
        filter += f + 1;
        topic += t + 1;
    }
}

static bool subscribed_to(const char *topic)
{
    for (size_t i = 0; i < FILTERS; i++)
        if (b.filters[i] && fits(b.filters[i], topic))
            return true;
    return false;
}

/* -- to the gateway ---------------------------------------------------------------------------- */

static void hand_over(void *ctx)
{
    (void)ctx;
    struct letter *l = b.in;
    if (!b.connected || !l)
        return;
    struct fake_alerts *c = b.client;
    c->stats->messages++;
    sim_trace("alerts: deliver %s%s", l->topic, l->retain ? " (retained)" : "");
    c->e.on_message(c->e.ctx, &(struct mqtt_message){.topic = l->topic,
                                                     .topic_len = strlen(l->topic),
                                                     .payload = l->payload,
                                                     .payload_len = l->len,
                                                     .qos = 1,
                                                     .retain = l->retain,
                                                     .response_topic = l->response,
                                                     .response_topic_len =
                                                         l->response ? strlen(l->response) : 0,
                                                     .correlation = l->correlation,
                                                     .correlation_len = l->correlation_len});
    b.in = l->next; /* a process that died over it gets it again */
    free_letter(l);
    if (b.in)
        sim_after(sim_random(300000), hand_over, NULL, true);
}

static void queue(const char *topic, const char *payload, size_t len, bool retain,
                  const char *response, const char *correlation)
{
    struct letter *l = mem_zalloc(sizeof(*l));
    *l = (struct letter){.topic = mem_strdup(topic),
                         .payload = text_of(payload, len),
                         .len = len,
                         .retain = retain,
                         .response = mem_strdup(response),
                         .correlation = mem_strdup(correlation),
                         .correlation_len = correlation ? strlen(correlation) : 0};
    bool first = !b.in;
    append(&b.in, l);
    if (first && b.connected)
        sim_after(sim_random(300000), hand_over, NULL, true);
}

static bool has_filter(const char *filter)
{
    for (size_t i = 0; i < FILTERS; i++)
        if (b.filters[i] && strcmp(b.filters[i], filter) == 0)
            return true;
    return false;
}

static void take_filters(void)
{
    for (size_t i = 0; i < FILTERS; i++) {
        free(b.filters[i]);
        b.filters[i] = mem_strdup(b.asked[i]);
    }
}

/* SUBACK, and what is retained behind it: of all filters on a new connection, else of new ones. */
static void answer_filters(void *ctx)
{
    bool news[FILTERS] = {false};
    (void)ctx;
    if (!b.connected)
        return;
    for (size_t i = 0; i < FILTERS; i++)
        news[i] = b.asked[i] && (!b.subscribed || !has_filter(b.asked[i]));
    take_filters();
    for (size_t i = 0; i < FILTERS; i++)
        for (size_t k = 0; news[i] && k < b.n_kept; k++)
            if (fits(b.filters[i], b.kept[k].topic))
                queue(b.kept[k].topic, b.kept[k].payload, b.kept[k].len, true, NULL, NULL);
    b.subscribed = b.client->stats->subscribed = true;
}

void fake_alerts_filters(struct fake_alerts *c, const struct mqtt_filter *f, size_t n)
{
    bool news = !b.subscribed;
    ASSERT(n <= FILTERS);
    for (size_t i = 0; i < n; i++)
        news |= !has_filter(f[i].filter);
    for (size_t i = 0; i < FILTERS; i++) {
        free(b.asked[i]);
        b.asked[i] = i < n ? mem_strdup(f[i].filter) : NULL;
    }
    if (!b.connected)
        return;
    sim_cancel(answer_filters, NULL);
    if (news) {
        c->stats->subscribed = false;
        sim_after(1000000 + sim_random(5000000), answer_filters, NULL, true);
    } else {
        take_filters();
    }
}

/* -- from the gateway ---------------------------------------------------------------------------- */

static void finish(struct letter *l, int status)
{
    struct letter **at = &b.out;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    b.n_out--;
    struct fake_alerts *c = b.client;
    uint64_t id = l->id;
    free_letter(l);
    c->e.on_sent(c->e.ctx, id, status);
}

static void acknowledge(void *ctx)
{
    if (b.connected)
        finish(ctx, 0);
}

static void publish(const char *topic, const char *payload, size_t len, bool retain)
{
    sim_trace("alerts: %s %.*s%s", topic, (int)len, payload, retain ? " (retained)" : "");
    if (retain)
        keep(topic, payload, len);
    if (fake_alerts_on_message)
        fake_alerts_on_message(topic, payload, len, retain);
    if (b.connected && subscribed_to(topic))
        queue(topic, payload, len, false, NULL, NULL);
}

static void take(void *ctx)
{
    (void)ctx;
    struct letter *l = b.out;
    while (l && l->taken)
        l = l->next;
    if (!b.connected || !l)
        return;
    l->taken = true;
    publish(l->topic, l->payload, l->len, l->retain);
    sim_after(sim_random(2000000), acknowledge, l, true);
    if (l->next)
        sim_after(sim_random(200000), take, NULL, true);
}

int fake_alerts_send(struct fake_alerts *c, const struct mqtt_out *o)
{
    if (b.client != c || !b.connected)
        return -ENOTCONN;
    if (b.n_out == WINDOW)
        return -EAGAIN;
    struct letter *l = mem_zalloc(sizeof(*l)), *last = b.out;
    *l = (struct letter){.id = o->id,
                         .topic = mem_strdup(o->topic),
                         .payload = text_of(o->payload, o->len),
                         .len = o->len,
                         .retain = o->retain};
    while (last && last->next)
        last = last->next;
    append(&b.out, l);
    b.n_out++;
    c->stats->published++;
    if (!last || last->taken)
        sim_after(sim_random(200000), take, NULL, true);
    return 0;
}

/* -- connections ----------------------------------------------------------------------------------- */

static void connect_now(void *ctx);

static void try_again(struct fake_alerts *c)
{
    sim_cancel(connect_now, c);
    if (c->wanted && !b.connected)
        sim_after(1000000 + sim_random(500000000), connect_now, c, true);
}

/* The connection is gone; its client too, if it died. */
static void broken(bool will)
{
    b.connected = b.subscribed = false;
    sim_cancel(take, NULL);
    sim_cancel(hand_over, NULL);
    sim_cancel(answer_filters, NULL);
    for (struct letter *l = b.out; l; l = l->next)
        sim_cancel(acknowledge, l);
    struct letter **at = &b.in; /* retained ones come again with the next subscription */
    while (*at) {
        struct letter *l = *at;
        if (l->retain) {
            *at = l->next;
            free_letter(l);
        } else {
            at = &l->next;
        }
    }
    if (will && b.will_topic)
        publish(b.will_topic, b.will, b.will_len, true);
}

static void disconnect(struct fake_alerts *c, const char *why, bool will)
{
    if (!b.connected)
        return;
    broken(will);
    c->stats->connected = c->stats->subscribed = false;
    c->stats->losses++;
    c->e.on_link(c->e.ctx, &(struct mqtt_link){.state = MQTT_DOWN, .reason = why});
    while (b.out)
        finish(b.out, -ENOTCONN);
}

static void connect_now(void *ctx)
{
    struct fake_alerts *c = ctx;
    if (!c->wanted || b.connected)
        return;
    if (!b.up) {
        try_again(c);
        return;
    }
    b.connected = true;
    free(b.will_topic);
    free(b.will);
    b.will_topic = mem_strdup(c->will_topic);
    b.will = text_of(c->will, c->will_len);
    b.will_len = c->will_len;
    c->stats->connected = true;
    c->stats->version = 5;
    c->stats->connects++;
    sim_trace("alerts: connected");
    c->e.on_link(c->e.ctx, &(struct mqtt_link){.state = MQTT_UP, .session_present = true});
    c->stats->subscribed = false;
    sim_after(1000000 + sim_random(5000000), answer_filters, NULL, true);
    if (b.in)
        sim_after(sim_random(300000), hand_over, NULL, true);
}

struct fake_alerts *fake_alerts_open(const struct mqtt_options *o, const struct mqtt_events *e,
                                     struct mqtt_stats *stats)
{
    struct fake_alerts *c = mem_zalloc(sizeof(*c));
    ASSERT(!b.client);
    *c = (struct fake_alerts){.e = *e,
                              .stats = stats,
                              .will_topic = mem_strdup(o->will->topic),
                              .will = text_of(o->will->payload, o->will->len),
                              .will_len = o->will->len,
                              .wanted = true};
    b.client = c;
    fake_alerts_filters(c, o->filters, o->n_filters);
    try_again(c);
    return c;
}

void fake_alerts_close(struct fake_alerts *c)
{
    c->wanted = false;
    sim_cancel(connect_now, c);
    disconnect(c, "closing", false);
    b.client = NULL;
    free(c->will_topic);
    free(c->will);
    free(c);
}

void fake_alerts_want(struct fake_alerts *c, bool wanted)
{
    c->wanted = wanted;
    if (wanted)
        try_again(c);
    else
        disconnect(c, "leaving", false);
}

/* -- scenarios --------------------------------------------------------------------------------------- */

void fake_alerts_empty(void)
{
    if (b.client)
        disconnect(b.client, "the broker lost all it had", false);
    while (b.n_kept > 0)
        drop_kept(&b.kept[0]);
    free_letters(&b.in);
    for (size_t i = 0; i < FILTERS; i++) {
        free(b.filters[i]);
        b.filters[i] = NULL;
    }
    if (b.client)
        try_again(b.client);
}

void fake_alerts_reset(void)
{
    b.client = NULL;
    b.connected = false;
    fake_alerts_empty();
    free_letters(&b.out);
    b.n_out = 0;
    free(b.will_topic);
    free(b.will);
    b.will_topic = b.will = NULL;
    b.up = true;
}

void fake_alerts_died(void)
{
    if (b.connected)
        broken(true);
    b.client = NULL;
    free_letters(&b.out);
    b.n_out = 0;
}

void fake_alerts_broker(bool up)
{
    b.up = up;
    if (!b.client)
        return;
    if (!up)
        disconnect(b.client, "the broker went away", false);
    else
        try_again(b.client);
}

bool fake_alerts_connected(void)
{
    return b.connected;
}

void fake_alerts_say(const char *topic, const char *payload, bool retain, const char *response,
                     const char *correlation)
{
    size_t len = strlen(payload);
    if (retain)
        keep(topic, payload, len);
    if (subscribed_to(topic))
        queue(topic, payload, len, false, response, correlation);
}
