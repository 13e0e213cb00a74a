/* SPDX-License-Identifier: Apache-2.0 */
#include "app/ingest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "core/quiet.h"
#include "core/rebirth.h"
#include "io/clock.h"
#include "io/stop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_BYTES    65536 /* of a message that no record can hold */
#define SAY_NS       UINT64_C(60000000000)
#define LASTS_NS     UINT64_C(5000000000)
#define ROOM_MS      5000 /* a message waits so long for room in the journal */
#define REBIRTH_NS   60000000000u
#define REBIRTH_SETS 1024
#define REBIRTH_WAYS 8
#define OTHERS_S     30.0 /* a broker is heard if something came within */
#define LATE_S       5.0 /* an engine that is behind by more does not tell when messages came */

struct rebirth {             /* a node that was asked */
    uint64_t node, asked_ns; /* node: hash of broker and topic; 0: none */
};

/* What the journal has not been told of the link yet, for want of room: that it went down, then that it
 * is up. A message waits behind it. */
struct owed {
    bool down, up;
    bool lost; /* the session, with a connection that the journal knows nothing of */
    unsigned char body[2];
    char reason[512];
};

struct ingest_broker {
    struct ingest *in;
    const struct conf_broker *conf;
    struct mqtt *mqtt;
    char *client_id;
    uint8_t index;
    atomic_uint_fast64_t heard; /* messages, but for retained ones: those prove nothing */
    struct quiet quiet;
    struct log_state silent;
    uint64_t down_ns;   /* when the link went down, of this process; 0: never */
    struct mutex owing; /* guards owed: of Paho's threads and the loop */
    struct owed owed;
    atomic_bool owes;
    uint64_t rebirths;
};

struct ingest_source { /* one of the configuration in use */
    struct quiet quiet;
    struct log_state silent;
};

struct ingest {
    struct ingest_options o;
    struct ingest_source *sources;
    size_t n_sources;
    char world[33]; /* whose they are */
    struct ingest_broker *brokers;
    size_t n;
    char *held;
    uint64_t held_ns;
    bool held_said;
    struct log_limit hold_limit;
    struct rebirth (*asked)[REBIRTH_WAYS]; /* REBIRTH_SETS, made when first needed */
    atomic_uint_fast64_t appends;
};

/* -- Paho's threads ----------------------------------------------------------------------- */

/* The journal cannot take a record whose PUBACK would leave on return: stop before it does. A
 * message is waited with first: leaving the brokers takes its time, and one that empties a long
 * queue may fill the last segment meanwhile, while the snapshot that makes room is on its way. */
static void cannot_keep(int error)
{
    stop_now(74,
             "journal: cannot take a record: %s; stopping before it is acknowledged, the "
             "broker keeps it",
             strerror(-error));
}

static int put_link(struct ingest_broker *b, enum record_type type, const void *body,
                    size_t len, unsigned wait_ms)
{
    uint64_t end;
    struct record r = {
        .type = type, .broker = b->index, .topic = "", .body = body, .body_len = len};
    return journal_append_patient(b->in->o.journal, &r, wait_ms, &end);
}

/* With `owing` held. */
static int pay(struct ingest_broker *b, unsigned wait_ms)
{
    struct owed *o = &b->owed;
    int k = 0;
    if (o->down) {
        k = put_link(b, RECORD_LINK_DOWN, o->reason, strlen(o->reason), wait_ms);
        o->down = k != 0;
        o->reason[0] = '\0'; /* it fits as soon as the record of a timer does */
    }
    if (o->up && k == 0) {
        k = put_link(b, RECORD_LINK_UP, o->body, sizeof(o->body), wait_ms);
        o->up = k != 0;
        o->lost = o->lost && k != 0;
    }
    atomic_store(&b->owes, k != 0);
    return k;
}

/* Redelivery is told apart by the links: what came over one does not stand before it. */
static void pay_before_message(struct ingest_broker *b)
{
    if (!atomic_load(&b->owes))
        return;
    mutex_lock(&b->owing);
    int k = pay(b, ROOM_MS);
    mutex_unlock(&b->owing);
    if (k != 0)
        cannot_keep(k);
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
    struct ingest_broker *b = ctx;
    uint64_t end;
    pay_before_message(b);
    struct record r = {.type = RECORD_MESSAGE,
                       .flags = (uint8_t)(m->qos | (m->retain ? RECORD_RETAIN : 0) |
                                          (m->dup ? RECORD_DUP : 0)),
                       .broker = b->index,
                       .packet_id = m->packet_id,
                       .topic = m->topic,
                       .topic_len = m->topic_len,
                       .body = m->payload,
                       .body_len = m->payload_len};
    int k = journal_append_patient(b->in->o.journal, &r, ROOM_MS, &end);
    if (k == -EMSGSIZE) { /* a 3.1.1 broker heeds no maximum: a dead letter, never a stop */
        r.flags |= RECORD_CUT;
        r.body_len = CUT_BYTES;
        k = journal_append_patient(b->in->o.journal, &r, ROOM_MS, &end);
    }
    if (k != 0)
        cannot_keep(k);
    atomic_fetch_add_explicit(&b->in->appends, 1, memory_order_relaxed);
    if (!m->retain)
        atomic_fetch_add_explicit(&b->heard, 1, memory_order_relaxed);
    pipeline_notify(b->in->o.pipeline);
}

/* In whole seconds, more than 254 of them and what is not known as 255. */
static unsigned char down_for(const struct ingest_broker *b)
{
    uint64_t s = b->down_ns ? (clock_boot_ns() - b->down_ns + 999999999u) / 1000000000u : 255;
    return (unsigned char)(s < 255 ? s : 255);
}

/* A full disk is no reason to end: nothing is acknowledged by it, and who leaves the brokers because
 * the journal has no room left comes here. */
static void on_link(void *ctx, const struct mqtt_link *l)
{
    struct ingest_broker *b = ctx;
    struct owed *o = &b->owed;
    mutex_lock(&b->owing);
    if (l->state == MQTT_UP) {
        o->up = true;
        o->body[0] = l->session_present && !o->lost;
        o->body[1] = down_for(b);
    } else if (o->up) { /* nothing came over it: the journal need not know of it */
        o->up = false;
        o->lost = !o->body[0];
    } else {
        o->down = true;
        (void)snprintf(o->reason, sizeof(o->reason), "%s", l->reason ? l->reason : "");
        b->down_ns = clock_boot_ns();
    }
    int k = pay(b, ROOM_MS);
    mutex_unlock(&b->owing);
    if (k != 0 && k != -ENOSPC)
        cannot_keep(k);
    pipeline_notify(b->in->o.pipeline);
}

/* -- the loop ----------------------------------------------------------------------------- */

static size_t filters_of(const struct world *w, unsigned broker, struct mqtt_filter **out)
{
    size_t n = world_filters(w, broker, NULL, NULL, 0);
    const char **names = mem_zalloc_array(n, sizeof(*names));
    unsigned *qos = mem_zalloc_array(n, sizeof(*qos));
    struct mqtt_filter *f = mem_zalloc_array(n, sizeof(*f));
    (void)world_filters(w, broker, names, qos, n);
    for (size_t i = 0; i < n; i++)
        f[i] = (struct mqtt_filter){names[i], (uint8_t)qos[i]};
    free(names);
    free(qos);
    *out = f;
    return n;
}

static int open_broker(struct ingest *in, size_t i, const struct world *w, struct err *err)
{
    struct ingest_broker *b = &in->brokers[i];
    const struct conf *c = in->o.conf;
    struct mqtt_filter *filters = NULL;
    b->in = in;
    b->conf = &c->brokers[i];
    b->index = (uint8_t)i;
    mutex_init(&b->owing);
    b->client_id = mem_printf("%s%s", b->conf->client_id,
                              c->gateway.lane == CONF_LANE_LIFE_SAFETY ? "-ls" : "");
    size_t n = filters_of(w, (unsigned)i, &filters);
    int r = mqtt_open(&(struct mqtt_options){.broker = b->conf,
                                             .client_id = b->client_id,
                                             .password = in->o.passwords[i],
                                             .key_password = in->o.key_passwords[i],
                                             .filters = filters,
                                             .n_filters = n},
                      &(struct mqtt_events){b, on_message, on_link, NULL}, err, &b->mqtt);
    free(filters);
    return r;
}

int ingest_open(const struct ingest_options *o, const struct world *w, struct err *err,
                struct ingest **out)
{
    struct ingest *in = mem_zalloc(sizeof(*in));
    in->o = *o;
    in->brokers = mem_zalloc_array(o->conf->n_brokers, sizeof(*in->brokers));
    for (; in->n < o->conf->n_brokers; in->n++) {
        int r = open_broker(in, in->n, w, err);
        if (r != 0) {
            in->n++;
            ingest_close(in);
            return r;
        }
    }
    *out = in;
    return 0;
}

void ingest_use(struct ingest *in, const struct world *w)
{
    for (size_t i = 0; i < in->n; i++) {
        struct mqtt_filter *filters = NULL;
        size_t n = filters_of(w, (unsigned)i, &filters);
        (void)mqtt_resubscribe(in->brokers[i].mqtt, filters, n); /* what is refused it tells */
        free(filters);
    }
}

/* With a small quota and a long backlog we leave and come back many times a minute: that is said once
 * a minute, and when it lasts. */
static void say_hold(struct ingest *in, const char *why)
{
    uint64_t held = 0, now = loop_hrtime_ns();
    bool say = in->held ? !in->held_said && now - in->held_ns > LASTS_NS
                        : log_allowed(&in->hold_limit, now, SAY_NS, &held);
    if (!say)
        return;
    in->held_said = true;
    char again[64] = "";
    if (held)
        (void)snprintf(again, sizeof(again), " (and %llu times since that was said last)",
                       (unsigned long long)held);
    log_error("leaving the brokers: %s%s; they keep what comes meanwhile, as far as they can",
              why, again);
}

void ingest_hold(struct ingest *in, const char *why)
{
    if (why && in->held)
        say_hold(in, why);
    if ((why == NULL) == (in->held == NULL))
        return;
    if (why) {
        in->held_ns = loop_hrtime_ns();
        in->held_said = false;
        say_hold(in, why);
    } else if (in->held_said) {
        log_notice("coming back to the brokers: %s is over", in->held);
    }
    for (size_t i = 0; i < in->n; i++) {
        if (why)
            mqtt_leave(in->brokers[i].mqtt, why);
        else
            mqtt_return(in->brokers[i].mqtt);
    }
    free(in->held);
    in->held = mem_strdup(why);
}

const char *ingest_held(const struct ingest *in)
{
    return in->held;
}

void ingest_links(struct ingest *in)
{
    for (size_t i = 0; i < in->n; i++) {
        struct ingest_broker *b = &in->brokers[i];
        /* who has the lock waits for room himself */
        if (!atomic_load(&b->owes) || !mutex_try(&b->owing))
            continue;
        int k = pay(b, 0);
        mutex_unlock(&b->owing);
        if (k == 0)
            pipeline_notify(in->o.pipeline);
    }
}

static void nudge(struct ingest_broker *b, enum quiet_advice advice)
{
    if (advice == QUIET_ASK && log_broke(&b->silent))
        log_warn("broker %s: connected, but nothing has come for %.0f s where %.2f messages a "
                 "second are usual; asking it for the subscriptions once more",
                 b->conf->id, b->quiet.silent_s, b->quiet.rate);
    if (advice == QUIET_ASK)
        mqtt_ask(b->mqtt);
    else if (advice == QUIET_RECONNECT)
        mqtt_reconnect(b->mqtt, "unusual silence");
}

/* A source that is silent beside others of its broker: the engine tells which took what. What it
 * passes late says nothing of how often messages come. */
static void listen_to(struct ingest *in, size_t i, const struct world *w, double seconds,
                      bool live)
{
    struct ingest_source *s = &in->sources[i];
    const struct conf_source *c = &w->conf->sources[i];
    uint64_t heard = engine_heard(pipeline_engine(in->o.pipeline), i);
    const struct ingest_broker *b = NULL;
    for (size_t k = 0; k < in->n; k++)
        if (strcmp(in->brokers[k].conf->id, c->broker) == 0)
            b = &in->brokers[k];
    bool others = b && live && b->quiet.silent_s < OTHERS_S && b->quiet.away_s == 0;
    bool news = heard != s->quiet.messages;
    if (!live)
        s->quiet.messages = heard;
    enum quiet_advice advice = quiet_feed(&s->quiet, heard, seconds, others);
    if (b && advice == QUIET_ASK && log_broke(&s->silent)) {
        log_warn(
            "source %zu (%s of broker %s): nothing has come for %.0f s where %.2f messages "
            "a second are usual, though the broker's others are heard; asking it for the "
            "subscriptions once more",
            i + 1, c->profile, c->broker, s->quiet.silent_s, s->quiet.rate);
        mqtt_ask(b->mqtt);
    }
    if (news && log_healed(&s->silent))
        log_info("source %zu (%s of broker %s): messages come again", i + 1, c->profile,
                 c->broker);
}

static void listen_to_sources(struct ingest *in, double seconds)
{
    const struct world *w = engine_world(pipeline_engine(in->o.pipeline));
    struct pipeline_stats p;
    if (!w)
        return;
    if (strcmp(in->world, w->hash) != 0) {
        free(in->sources);
        in->n_sources = w->conf->n_sources;
        in->sources = mem_zalloc_array(in->n_sources, sizeof(*in->sources));
        memcpy(in->world, w->hash, sizeof(in->world));
    }
    pipeline_stats(in->o.pipeline, &p);
    bool live = !p.replaying && p.lag_seconds < LATE_S;
    for (size_t i = 0; i < in->n_sources; i++)
        listen_to(in, i, w, seconds, live);
}

void ingest_tick(struct ingest *in, double seconds)
{
    for (size_t i = 0; i < in->n; i++) {
        struct ingest_broker *b = &in->brokers[i];
        struct mqtt_stats s;
        mqtt_stats(b->mqtt, &s);
        uint64_t heard = atomic_load_explicit(&b->heard, memory_order_relaxed);
        bool news = heard != b->quiet.messages;
        nudge(b, quiet_feed(&b->quiet, heard, seconds, s.connected));
        if (news && log_healed(&b->silent))
            log_info("broker %s: messages come again", b->conf->id);
    }
    listen_to_sources(in, seconds);
}

/* -- births ------------------------------------------------------------------------------- */

/* Where to note that the node is asked now; NULL when it was within the minute, or when so many
 * others were that there is no room to know. */
static struct rebirth *may_ask(struct ingest *in, uint64_t node, uint64_t now)
{
    if (!in->asked)
        in->asked = mem_zalloc_array(REBIRTH_SETS, sizeof(*in->asked));
    struct rebirth *set = in->asked[(node >> 32) % REBIRTH_SETS], *oldest = &set[0];
    for (size_t i = 0; i < REBIRTH_WAYS; i++) {
        if (set[i].node == node)
            return now - set[i].asked_ns >= REBIRTH_NS ? &set[i] : NULL;
        if (set[i].asked_ns < oldest->asked_ns)
            oldest = &set[i];
    }
    return !oldest->node || now - oldest->asked_ns >= REBIRTH_NS ? oldest : NULL;
}

void ingest_rebirth(struct ingest *in, unsigned broker, const char *topic, size_t len)
{
    char command[REBIRTH_TOPIC_MAX];
    uint8_t payload[REBIRTH_PAYLOAD_MAX];
    if (broker >= in->n || rebirth_topic(topic, len, command) != 0)
        return;
    struct ingest_broker *b = &in->brokers[broker];
    uint64_t now = clock_boot_ns(),
             node = hash64(hash_seed() + broker, command, strlen(command)) | 1;
    struct rebirth *r = may_ask(in, node, now);
    if (!r)
        return;
    size_t n = rebirth_payload(clock_wall_ns() / 1000000, payload);
    if (mqtt_publish(b->mqtt, command, payload, n, 0) != 0)
        return;
    *r = (struct rebirth){node, now};
    b->rebirths++;
}

uint64_t ingest_rebirths(const struct ingest *in, size_t broker)
{
    return in->brokers[broker].rebirths;
}

size_t ingest_brokers(const struct ingest *in)
{
    return in->n;
}

void ingest_stats(const struct ingest *in, size_t broker, struct mqtt_stats *out)
{
    mqtt_stats(in->brokers[broker].mqtt, out);
}

uint64_t ingest_appends(const struct ingest *in)
{
    return atomic_load_explicit(&in->appends, memory_order_relaxed);
}

void ingest_close(struct ingest *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->n; i++) {
        mqtt_close(in->brokers[i].mqtt);
        mutex_done(&in->brokers[i].owing);
        free(in->brokers[i].client_id);
    }
    free(in->brokers);
    free(in->held);
    free(in->asked);
    free(in->sources);
    free(in);
}
