/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mqtt_private.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 50, /* filters in one SUBSCRIBE: well below any broker's limits */
    ANSWER_WAIT_S = 30,
    REFUSED_S =
        600, /* what was refused is asked for again: an ACL is mended without our knowing */
};

/* One SUBSCRIBE or UNSUBSCRIBE under way; freed by its answer, which may come as late as the
 * handle's end. Valid only while m->subs_gen is still `gen`. */
struct chunk {
    struct mqtt *m;
    unsigned gen;
    bool unsubscribe;
    size_t n;
    size_t index[CHUNK]; /* into m->subs */
};

/* -- the wanted set ---------------------------------------------------------------------------
 */

static struct mqtt_sub *find(struct mqtt_sub *subs, size_t n, const char *filter)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(subs[i].filter, filter) == 0)
            return &subs[i];
    return NULL;
}

static void forget_gone(struct mqtt *m)
{
    for (size_t i = 0; i < m->n_gone; i++)
        free(m->gone[i]);
    free(m->gone);
    m->gone = NULL;
    m->n_gone = 0;
}

static void add_gone(struct mqtt *m, char *filter)
{
    m->gone = mem_realloc_array(m->gone, m->n_gone + 1, sizeof(*m->gone));
    m->gone[m->n_gone++] = filter;
}

static void drop_gone(struct mqtt *m, const char *filter)
{
    for (size_t i = 0; i < m->n_gone; i++) {
        if (strcmp(m->gone[i], filter) == 0) {
            free(m->gone[i]);
            m->gone[i] = m->gone[--m->n_gone];
            return;
        }
    }
}

void mqtt_subs_set(struct mqtt *m, const struct mqtt_filter *filters, size_t n)
{
    const char *group = m->broker->share_group;
    struct mqtt_sub *subs = mem_zalloc_array(n, sizeof(*subs));
    size_t count = 0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < n; i++) {
        char *wire = group ? mem_printf("$share/%s/%s", group, filters[i].filter)
                           : mem_strdup(filters[i].filter);
        struct mqtt_sub *twice = find(subs, count, wire);
        if (twice) { /* two sources with one filter: one subscription, the higher QoS */
            if (filters[i].qos > twice->qos) {
                twice->qos = filters[i].qos;
                twice->code = MQTT_CODE_NONE;
            }
            free(wire);
            continue;
        }
        const struct mqtt_sub *old = find(m->subs, m->n_subs, wire);
        struct mqtt_sub *s = &subs[count++];
        *s = (struct mqtt_sub){.filter = wire, .qos = filters[i].qos, .code = MQTT_CODE_NONE};
        if (old && old->qos == s->qos) {
            s->code = old->code == MQTT_CODE_SENT ? MQTT_CODE_NONE : old->code;
            s->said = old->said;
            s->again = old->again || old->code >= 0x80; /* it may be allowed by now */
        }
        drop_gone(m, wire);
    }
    for (size_t i = 0; i < m->n_subs; i++) {
        if (find(subs, count, m->subs[i].filter))
            free(m->subs[i].filter);
        else
            add_gone(m, m->subs[i].filter);
    }
    free(m->subs);
    m->subs = subs;
    m->n_subs = count;
    m->subs_gen++;
    m->asked = m->asking_unsub = false;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

void mqtt_subs_begin(struct mqtt *m, bool session_present)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n_subs; i++) {
        m->subs[i].code = MQTT_CODE_NONE;
        m->subs[i].again = false;
    }
    if (!session_present)
        forget_gone(m);
    m->subs_gen++;
    m->asked = m->asking_unsub = false;
    pthread_mutex_unlock(&m->lock);
}

void mqtt_subs_again(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n_subs; i++)
        m->subs[i].again = true;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

void mqtt_subs_done(struct mqtt *m)
{
    for (size_t i = 0; i < m->n_subs; i++)
        free(m->subs[i].filter);
    free(m->subs);
    forget_gone(m);
}

/* -- answers (Paho's thread) ------------------------------------------------------------------
 */

/* codes NULL: the request failed as a whole with `one`. */
static void subscribed(struct chunk *c, const int *codes, size_t n, int one)
{
    struct mqtt *m = c->m;
    pthread_mutex_lock(&m->lock);
    if (c->gen == m->subs_gen) {
        for (size_t i = 0; i < c->n; i++)
            m->subs[c->index[i]].code = codes && i < n ? codes[i] : one;
        m->asked = false;
        pthread_cond_broadcast(&m->cond);
    }
    pthread_mutex_unlock(&m->lock);
    free(c);
}

static void unsubscribed(struct chunk *c)
{
    struct mqtt *m = c->m;
    pthread_mutex_lock(&m->lock);
    if (c->gen == m->subs_gen) {
        size_t n = c->n < m->n_gone ? c->n : m->n_gone; /* the first n were asked for */
        for (size_t i = 0; i < n; i++)
            free(m->gone[i]);
        memmove(m->gone, m->gone + n, (m->n_gone - n) * sizeof(*m->gone));
        m->n_gone -= n;
        m->asking_unsub = false;
        pthread_cond_broadcast(&m->cond);
    }
    pthread_mutex_unlock(&m->lock);
    free(c);
}

static void on_done(void *ctx, MQTTAsync_successData *d)
{
    struct chunk *c = ctx;
    if (c->unsubscribe)
        unsubscribed(c);
    else if (c->n == 1)
        subscribed(c, NULL, 0, d->alt.qos);
    else
        subscribed(c, d->alt.qosList, c->n, 0x80);
}

static void on_done5(void *ctx, MQTTAsync_successData5 *d)
{
    struct chunk *c = ctx;
    int codes[CHUNK];
    size_t n = 0;
    if (c->unsubscribe) {
        unsubscribed(c);
        return;
    }
    if (d->alt.sub.reasonCodeCount == 1) { /* the array is there for more than one only */
        codes[n++] = (int)d->reasonCode;
    } else {
        size_t count = d->alt.sub.reasonCodeCount > 0 ? (size_t)d->alt.sub.reasonCodeCount : 0;
        for (; n < count && n < c->n; n++)
            codes[n] = (int)d->alt.sub.reasonCodes[n];
    }
    subscribed(c, codes, n, MQTTREASONCODE_UNSPECIFIED_ERROR);
}

/* A SUBACK that refuses the only filter asked for comes here, and so does the end of a
 * connection (code < 0): then the next one asks again, and until it does nothing is known. What is
 * gone stays so for it: the session may outlive this one. */
static void not_done(struct chunk *c, int code)
{
    if (c->unsubscribe && code < 0)
        free(c);
    else if (c->unsubscribe)
        unsubscribed(c);
    else
        subscribed(c, NULL, 0, code >= 0x80 ? code : MQTT_CODE_NONE);
}

static void on_not_done(void *ctx, MQTTAsync_failureData *d)
{
    not_done(ctx, d ? d->code : -1);
}

static void on_not_done5(void *ctx, MQTTAsync_failureData5 *d)
{
    not_done(ctx,
             d && d->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR ? (int)d->reasonCode : -1);
}

/* -- asking (control thread) ------------------------------------------------------------------
 */

struct request {
    struct chunk *chunk;
    char *filters[CHUNK]; /* copies: the set may change while Paho works */
    int qos[CHUNK];
};

/* What to ask for next; chunk stays NULL if there is nothing, or an answer is still awaited. */
static void next_request(struct mqtt *m, struct request *r)
{
    struct chunk *c = mem_zalloc(sizeof(*c));
    pthread_mutex_lock(&m->lock);
    if (m->phase == MQTT_CONNECTED && !m->asked && !m->asking_unsub) {
        for (size_t i = 0; i < m->n_subs && c->n < CHUNK; i++) {
            if (m->subs[i].code != MQTT_CODE_NONE && !m->subs[i].again)
                continue;
            if (m->subs[i].code == MQTT_CODE_NONE) /* else what is known holds until then */
                m->subs[i].code = MQTT_CODE_SENT;
            m->subs[i].again = false;
            r->filters[c->n] = mem_strdup(m->subs[i].filter);
            r->qos[c->n] = m->subs[i].qos;
            c->index[c->n++] = i;
        }
        c->unsubscribe = c->n == 0;
        while (c->unsubscribe && c->n < m->n_gone && c->n < CHUNK) {
            r->filters[c->n] = mem_strdup(m->gone[c->n]);
            c->n++;
        }
        m->asked = c->n > 0 && !c->unsubscribe;
        m->asking_unsub = c->n > 0 && c->unsubscribe;
        m->asked_ns = mqtt_now_ns();
    }
    c->m = m;
    c->gen = m->subs_gen;
    pthread_mutex_unlock(&m->lock);
    if (c->n)
        r->chunk = c;
    else
        free(c);
}

static int send_request(struct mqtt *m, struct request *r)
{
    struct chunk *c = r->chunk;
    MQTTAsync h = m->current->handle[m->version == 5];
    MQTTSubscribe_options each[CHUNK];
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    MQTTSubscribe_options sub = MQTTSubscribe_options_initializer;
    o.context = c;
    if (m->version == 5) {
        /* Only what the broker delivers from its store is flagged: with 1, a live message that its
         * device published as retained could not be told from an old one. */
        sub.retainAsPublished = 0;
        /* 1: only for a subscription that is new to the session */
        sub.retainHandling = m->read_retained ? 0 : 1;
        for (size_t i = 0; i < c->n; i++)
            each[i] = sub;
        o.onSuccess5 = on_done5;
        o.onFailure5 = on_not_done5;
        if (!c->unsubscribe) {
            o.subscribeOptions = sub;
            o.subscribeOptionsList = each;
            o.subscribeOptionsCount = (int)c->n;
        }
    } else {
        o.onSuccess = on_done;
        o.onFailure = on_not_done;
    }
    return c->unsubscribe ? MQTTAsync_unsubscribeMany(h, (int)c->n, r->filters, &o)
                          : MQTTAsync_subscribeMany(h, (int)c->n, r->filters, r->qos, &o);
}

static void ask_refused(struct mqtt *m)
{
    uint64_t now = mqtt_now_ns();
    if (now - m->refused_asked_ns < REFUSED_S * 1000000000ULL)
        return;
    m->refused_asked_ns = now;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n_subs; i++)
        m->subs[i].again |= m->subs[i].code >= 0x80;
    pthread_mutex_unlock(&m->lock);
}

bool mqtt_subs_work(struct mqtt *m)
{
    struct request r = {0};
    ask_refused(m);
    next_request(m, &r);
    if (!r.chunk) {
        pthread_mutex_lock(&m->lock);
        bool late = (m->asked || m->asking_unsub) &&
                    mqtt_now_ns() - m->asked_ns > ANSWER_WAIT_S * 1000000000ULL;
        pthread_mutex_unlock(&m->lock);
        return !late;
    }
    size_t n = r.chunk->n;
    mqtt_send_work(m); /* given before this was asked for: what is retained is read behind it */
    int rc = send_request(m, &r);
    if (rc != MQTTASYNC_SUCCESS) {
        /* No callback follows. Not connected: that is on its way to us. Anything else is a
         * filter that Paho finds malformed. */
        if (r.chunk->unsubscribe)
            not_done(r.chunk, rc == MQTTASYNC_DISCONNECTED ? rc : 0);
        else
            subscribed(r.chunk, NULL, 0,
                       rc == MQTTASYNC_DISCONNECTED ? MQTT_CODE_SENT
                                                    : MQTTREASONCODE_TOPIC_FILTER_INVALID);
    }
    for (size_t i = 0; i < n; i++)
        free(r.filters[i]);
    return true;
}

/* -- telling ----------------------------------------------------------------------------------
 */

static void say(struct mqtt *m, const struct mqtt_sub *s, bool healed)
{
    if (healed)
        log_notice("broker %s: subscribed to \"%s\" now", m->broker->id, s->filter);
    else if (s->code >= 0x80)
        log_error("broker %s: refuses the subscription to \"%s\": %s (0x%02X); nothing arrives "
                  "from there",
                  m->broker->id, s->filter, mqtt_code_text(m->version, s->code, false),
                  (unsigned)s->code);
    else
        log_warn(
            "broker %s: grants only QoS %d of %u for \"%s\": messages may be lost on the way",
            m->broker->id, s->code, s->qos, s->filter);
}

void mqtt_subs_report(struct mqtt *m)
{
    size_t refused = 0;
    char first[300] = "", problem[512] = "";
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n_subs; i++) {
        struct mqtt_sub *s = &m->subs[i];
        if (s->code < 0)
            continue;
        bool bad = s->code >= 0x80 || s->code < (int)s->qos;
        if (s->code >= 0x80 && refused++ == 0)
            (void)snprintf(first, sizeof(first), "\"%.200s\": %s", s->filter,
                           mqtt_code_text(m->version, s->code, false));
        if (bad != s->said) {
            s->said = bad;
            say(m, s, !bad);
        }
    }
    m->stats.refused_filters = refused;
    if (m->phase == MQTT_CONNECTED) {
        if (refused == 1)
            (void)snprintf(problem, sizeof(problem),
                           "the broker refuses the subscription to %s", first);
        else if (refused > 1)
            (void)snprintf(problem, sizeof(problem),
                           "the broker refuses %zu subscriptions, the first to %s", refused,
                           first);
        (void)snprintf(m->stats.problem, sizeof(m->stats.problem), "%s", problem);
    }
    pthread_mutex_unlock(&m->lock);
}
