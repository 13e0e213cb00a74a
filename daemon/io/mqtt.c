/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mqtt_private.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ULL
#define LINGER                                                                                 \
    10000000ULL /* what waits for an answer of the broker to go with waits no longer */

enum {
    BACKOFF_MAX_S = 60,
    TAKEN_OVER_WAIT_S = 60,
    SHORT_LIFE_S =
        30,        /* lost so early, three times in a row: perhaps taken by a second client */
    STEADY_S = 30, /* one that lasted so long starts the backoff anew */
    SAY_AGAIN_S = 60, /* a new reason for a link that is down is logged no more often */
    CLOSE_WAIT_S = 5, /* for a look-up that hangs */
    CLOSE_LOOK_MS = 100,
    SEND_WINDOW = 16,
};

uint64_t mqtt_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* what the condition variable waits on */
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

bool mqtt_wait(struct mqtt *m, uint64_t until_ns)
{
    struct timespec t = {.tv_sec = (time_t)(until_ns / SECOND),
                         .tv_nsec = (long)(until_ns % SECOND)};
    return pthread_cond_timedwait(&m->cond, &m->lock, &t) != ETIMEDOUT;
}

void mqtt_set_problem(struct mqtt *m, const char *text)
{
    pthread_mutex_lock(&m->lock);
    (void)snprintf(m->stats.problem, sizeof(m->stats.problem), "%s", text);
    pthread_mutex_unlock(&m->lock);
}

/* -- log lines ------------------------------------------------------------------------------
 */

static void duration_text(uint64_t ns, char *out, size_t size)
{
    uint64_t s = ns / SECOND;
    if (s < 120)
        (void)snprintf(out, size, "%llu s", (unsigned long long)s);
    else if (s < 7200)
        (void)snprintf(out, size, "%llu min", (unsigned long long)(s / 60));
    else
        (void)snprintf(out, size, "%llu h", (unsigned long long)(s / 3600));
}

/* The first failure is said at once; a different reason later, now and then. */
static void say_down(struct mqtt *m, const char *what, const char *reason)
{
    uint64_t now = mqtt_now_ns();
    mqtt_set_problem(m, reason);
    bool first = log_broke(&m->link_log);
    if (first)
        m->down_since_ns = now;
    else if (strcmp(m->last_said, reason) == 0 ||
             (m->last_said_ns && now - m->last_said_ns < SAY_AGAIN_S * SECOND))
        return;
    m->last_said_ns = now;
    (void)snprintf(m->last_said, sizeof(m->last_said), "%s", reason);
    log_error("broker %s: %s: %s%s", m->broker->id, what, reason,
              first ? "; trying again" : "");
}

static void say_up(struct mqtt *m, bool session_present)
{
    char version[8], ago[64];
    (void)snprintf(version, sizeof(version), "%s", m->version == 5 ? "5" : "3.1.1");
    const char *session = session_present ? "session kept" : "new session";
    if (log_healed(&m->link_log)) {
        duration_text(mqtt_now_ns() - m->down_since_ns, ago, sizeof(ago));
        log_notice("broker %s: connected again to %s after %s (MQTT %s, %s)", m->broker->id,
                   m->current->text, ago, version,
                   session_present
                       ? session
                       : "new session: what was published meanwhile is not delivered");
    } else {
        log_info("broker %s: connected to %s (MQTT %s, %s)", m->broker->id, m->current->text,
                 version, session);
    }
    m->last_said[0] = '\0';
}

/* -- the control thread ---------------------------------------------------------------------
 */

static bool stop_trying(const struct mqtt *m)
{
    return m->closing || !m->wanted;
}

/* Sleeps unless something that matters happens. */
static void pause_for(struct mqtt *m, uint64_t ns)
{
    uint64_t until = mqtt_now_ns() + ns;
    pthread_mutex_lock(&m->lock);
    while (!stop_trying(m) && !m->kick && mqtt_wait(m, until)) {
    }
    m->kick = false;
    pthread_mutex_unlock(&m->lock);
}

/* A number in [0, ns): jitter, so that gateways do not come back in step. */
static uint64_t jitter(const struct mqtt *m, uint64_t ns)
{
    uint64_t now = mqtt_now_ns();
    return ns ? hash64(hash_seed() ^ (uintptr_t)m, &now, sizeof(now)) % ns : 0;
}

static uint64_t backoff_ns(struct mqtt *m)
{
    unsigned shift = m->rounds < 7 ? m->rounds : 6;
    m->rounds++;
    uint64_t s = 1ULL << shift;
    if (s > m->retry_max_s)
        s = m->retry_max_s;
    return s * SECOND * 3 / 4 + jitter(m, s * SECOND / 4);
}

/* Version 5 refused, or the CONNECT answered by hanging up twice before it ever worked. */
static bool should_change_version(struct mqtt *m)
{
    const struct mqtt_end *e = &m->end;
    if (e->connack && (e->code == 1 || e->code == MQTTREASONCODE_UNSUPPORTED_PROTOCOL_VERSION))
        return m->version == 5 || m->version_works;
    m->early_closes = e->no_connack ? m->early_closes + 1 : 0;
    return m->version == 5 && !m->version_works && m->early_closes >= 2;
}

/* It was not the version: so does a proxy, or a container's port, whose broker is not there yet. */
static void hung_up_on_both(struct mqtt *m)
{
    if (m->version != 4 || m->version_works || !m->end.no_connack)
        return;
    m->version = 5;
    m->early_closes = 0;
}

static bool try_url(struct mqtt *m, struct mqtt_url *u)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        pthread_mutex_lock(&m->lock);
        (void)snprintf(m->stats.server, sizeof(m->stats.server), "%s", u->text);
        pthread_mutex_unlock(&m->lock);
        m->current = u;
        int rc = mqtt_connect(m, u);
        if (rc == 0)
            return true;
        if (rc == -ECANCELED)
            return false;
        bool first_close =
            m->end.no_connack && !m->version_works && m->version == 5 && m->early_closes == 0;
        if (should_change_version(m)) {
            m->version = m->version == 5 ? 4 : 5;
            m->version_works = false;
            m->early_closes = 0;
            if (m->end.connack || !m->link_log.broken) /* else it is one more attempt of many */
                log_notice("broker %s: %s does not take MQTT %s (%s); using %s", m->broker->id,
                           u->text, m->version == 4 ? "5" : "3.1.1", m->end.text,
                           m->version == 4 ? "3.1.1" : "5");
            continue;
        }
        if (first_close)
            continue; /* once more: it decides about the version */
        hung_up_on_both(m);
        char what[300];
        (void)snprintf(what, sizeof(what), "cannot connect to %s", u->text);
        say_down(m, what, m->end.text);
        return false;
    }
    return false;
}

static bool connect_round(struct mqtt *m)
{
    for (size_t i = 0; i < m->n_urls; i++) {
        pthread_mutex_lock(&m->lock);
        bool stop = stop_trying(m);
        pthread_mutex_unlock(&m->lock);
        if (stop)
            return false;
        if (try_url(m, &m->urls[i]))
            return true;
    }
    return false;
}

enum leave_for { STAY, LEAVE_WANTED, LEAVE_KICKED, LEAVE_LOST, LEAVE_SILENT };

/* While connected: subscriptions, until something ends it. */
static enum leave_for stay_connected(struct mqtt *m)
{
    enum leave_for why = STAY;
    while (why == STAY) {
        bool answers = mqtt_subs_work(m);
        mqtt_subs_report(m);
        mqtt_publish_work(m);
        mqtt_send_work(m);
        pthread_mutex_lock(&m->lock);
        if (m->phase != MQTT_CONNECTED)
            why = LEAVE_LOST;
        else if (stop_trying(m))
            why = LEAVE_WANTED;
        else if (m->kick)
            why = LEAVE_KICKED;
        else if (!answers)
            why = LEAVE_SILENT;
        else if (!m->outgoing && mqtt_send_idle(m))
            (void)mqtt_wait(m, mqtt_now_ns() + (m->n_sending > 0 ? LINGER : SECOND));
        pthread_mutex_unlock(&m->lock);
    }
    mqtt_publish_forget(m);
    return why;
}

/* The connection was lost without our doing. Returns how long to wait before trying again. */
static uint64_t after_loss(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    struct mqtt_end end = m->end;
    m->stats.losses++;
    pthread_mutex_unlock(&m->lock);
    uint64_t lived = mqtt_now_ns() - m->up_since_ns;
    if (lived < SHORT_LIFE_S * SECOND)
        m->short_lives++;
    char what[400], lasted[64];
    duration_text(lived, lasted, sizeof(lasted));
    (void)snprintf(what, sizeof(what), "connection to %s lost after %s", m->current->text,
                   lasted);
    if (end.taken_over) {
        say_down(m, what, end.text);
        log_error(
            "broker %s: another client uses our client id \"%s\"; waiting %d s before coming "
            "back, so as not to fight with it",
            m->broker->id, m->client_id, TAKEN_OVER_WAIT_S);
        return TAKEN_OVER_WAIT_S * SECOND + jitter(m, 5 * SECOND);
    }
    if (m->short_lives >= 3) {
        char text[sizeof(end.text) + 600];
        (void)snprintf(
            text, sizeof(text),
            "%s; this was the third time within %d s of connecting: another client may "
            "be using our client id \"%s\"",
            end.text, SHORT_LIFE_S, m->client_id);
        if (m->unanswered[0]) {
            size_t n = strlen(text);
            (void)snprintf(text + n, sizeof(text) - n,
                           ", or the broker (its ACL) does not let us publish to %s",
                           m->unanswered);
        }
        m->last_said_ns = 0; /* this is news, whatever was said before */
        say_down(m, what, text);
        /* It may as well be a broker that crashes, or a bad line: who must not wait does not. */
        uint64_t s = m->retry_max_s < TAKEN_OVER_WAIT_S ? m->retry_max_s : TAKEN_OVER_WAIT_S;
        return s * SECOND + jitter(m, s * SECOND / 12);
    }
    say_down(m, what, end.text);
    return lived >= STEADY_S * SECOND ? jitter(m, SECOND) : backoff_ns(m);
}

/* A connection that lasted proves the broker and the way to it, however it ends; but one that ends
 * because SUBSCRIBE is not answered has lasted for nothing. */
static void after_life(struct mqtt *m, enum leave_for why)
{
    uint64_t lived = mqtt_now_ns() - m->up_since_ns;
    if (lived >= SHORT_LIFE_S * SECOND)
        m->short_lives = 0;
    if (lived >= STEADY_S * SECOND && why != LEAVE_SILENT)
        m->rounds = 0;
}

static void live(struct mqtt *m)
{
    m->up_since_ns = m->refused_asked_ns = mqtt_now_ns();
    m->version_works = true;
    m->early_closes = 0;
    say_up(m, m->session_present);
    char why[256] = "";
    enum leave_for leave = stay_connected(m);
    after_life(m, leave);
    pthread_mutex_lock(&m->lock);
    bool closing = m->closing;
    if (leave == LEAVE_WANTED || leave == LEAVE_KICKED)
        (void)snprintf(why, sizeof(why), "%s", closing ? "the gateway stops" : m->kick_why);
    m->kick = false;
    pthread_mutex_unlock(&m->lock);
    switch (leave) {
    case LEAVE_LOST:
        mqtt_send_forget(m);
        pause_for(m, after_loss(m));
        break;
    case LEAVE_WANTED:
        mqtt_disconnect(m, why);
        mqtt_send_forget(m);
        log_info("broker %s: left: %s", m->broker->id, why);
        break;
    case LEAVE_SILENT:
        (void)snprintf(why, sizeof(why), "the broker does not answer SUBSCRIBE");
        __attribute__((fallthrough));
    case LEAVE_KICKED:
        mqtt_disconnect(m, why);
        mqtt_send_forget(m);
        say_down(m, "connection given up", why);
        if (leave == LEAVE_SILENT)
            pause_for(m, backoff_ns(m));
        break;
    case STAY:
        break;
    }
}

static void free_all(struct mqtt *m)
{
    mqtt_subs_done(m);
    mqtt_publish_forget(m);
    free(m->will_topic);
    free(m->will);
    for (char *p = m->password; p && *p; p++)
        *(volatile char *)p = '\0';
    for (char *p = m->key_password; p && *p; p++)
        *(volatile char *)p = '\0';
    free(m->password);
    free(m->key_password);
    free(m->client_id);
    free(m->urls);
    pthread_cond_destroy(&m->cond);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->cb_lock);
    free(m);
}

static void *control(void *arg)
{
    struct mqtt *m = arg;
    (void)pthread_setname_np(pthread_self(), "mqtt");
    for (;;) {
        pthread_mutex_lock(&m->lock);
        while (!m->closing && !m->wanted)
            pthread_cond_wait(&m->cond, &m->lock);
        bool closing = m->closing;
        m->kick = false;
        pthread_mutex_unlock(&m->lock);
        if (closing)
            break;
        if (connect_round(m))
            live(m);
        else
            pause_for(m, backoff_ns(m));
    }
    mqtt_destroy_handles(m);
    pthread_mutex_lock(&m->lock);
    m->done = true;
    bool detached = m->detached;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
    if (detached)
        free_all(m);
    return NULL;
}

/* -- public ---------------------------------------------------------------------------------
 */

static void forget_proxies(void)
{
    (void)unsetenv("http_proxy");
    (void)unsetenv("https_proxy");
}

static int check_file(const struct conf_broker *b, const char *option, const char *file,
                      struct err *err)
{
    if (!file || access(file, R_OK) == 0)
        return 0;
    int rc = -errno;
    return err_errno(err, rc, "broker %s: cannot read tls.%s %s", b->id, option, file);
}

static int check_options(const struct mqtt_options *o, struct err *err)
{
    const struct conf_broker *b = o->broker;
    int rc = check_file(b, "ca_file", b->tls.ca_file, err);
    if (rc == 0)
        rc = check_file(b, "cert_file", b->tls.cert_file, err);
    if (rc == 0)
        rc = check_file(b, "key_file", b->tls.key_file, err);
    if (rc == 0 && b->url.n == 0)
        rc = err_set(err, -EINVAL, "broker %s: no url", b->id);
    return rc;
}

int mqtt_open(const struct mqtt_options *o, const struct mqtt_events *e, struct err *err,
              struct mqtt **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, forget_proxies);
    int rc = check_options(o, err);
    if (rc)
        return rc;
    struct mqtt *m = mem_zalloc(sizeof(*m));
    m->broker = o->broker;
    m->events = *e;
    m->client_id = mem_strdup(o->client_id);
    m->password = mem_strdup(o->password);
    m->key_password = mem_strdup(o->key_password);
    if (o->will) {
        m->will_topic = mem_strdup(o->will->topic);
        m->will = mem_dup(o->will->payload, o->will->len);
        m->will_len = o->will->len;
        m->will_retain = o->will->retain;
    }
    m->read_retained = o->read_retained;
    m->send_window = o->send_window ? o->send_window : SEND_WINDOW;
    m->retry_max_s = o->retry_max_s ? o->retry_max_s : BACKOFF_MAX_S;
    m->version = 5;
    m->wanted = true;
    m->n_urls = o->broker->url.n;
    m->urls = mem_zalloc_array(m->n_urls, sizeof(*m->urls));
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->cb_lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->cond, &attr);
    pthread_condattr_destroy(&attr);
    for (size_t i = 0; i < m->n_urls && rc == 0; i++)
        rc = mqtt_parse_url(o->broker->url.items[i], &m->urls[i], err);
    if (rc)
        goto out;
    mqtt_subs_set(m, o->filters, o->n_filters);
    rc = -pthread_create(&m->thread, NULL, control, m);
    if (rc) {
        (void)err_errno(err, rc, "broker %s: cannot start a thread", m->broker->id);
        goto out;
    }
    *out = m;
    return 0;
out:
    free_all(m);
    return rc;
}

void mqtt_close(struct mqtt *m)
{
    if (!m)
        return;
    uint64_t until = mqtt_now_ns() + CLOSE_WAIT_S * SECOND;
    pthread_mutex_lock(&m->lock);
    m->closing = true;
    pthread_cond_broadcast(&m->cond);
    /* Where there may be a connection, who is not called any more would acknowledge what nobody has
     * kept: a callback that blocks, of any client, is waited for. */
    while (!m->done && (!m->looking_up || mqtt_now_ns() < until))
        (void)mqtt_wait(m, mqtt_now_ns() + CLOSE_LOOK_MS * (SECOND / 1000));
    bool done = m->done;
    pthread_mutex_unlock(&m->lock);
    if (done) {
        (void)pthread_join(m->thread, NULL);
        free_all(m);
        return;
    }
    /* The name look-up hangs: nothing of Paho's is under way, and when it returns the thread finds
     * `closing` set and cleans up. */
    mqtt_report_down(m, "the gateway stops", false);
    pthread_mutex_lock(&m->cb_lock);
    m->muted = true;
    pthread_mutex_unlock(&m->cb_lock);
    pthread_mutex_lock(&m->lock);
    done = m->done;
    m->detached = !done;
    if (!done)
        (void)pthread_detach(m->thread);
    pthread_mutex_unlock(&m->lock);
    if (done) {
        (void)pthread_join(m->thread, NULL);
        free_all(m);
    }
}

void mqtt_leave(struct mqtt *m, const char *why)
{
    pthread_mutex_lock(&m->lock);
    m->wanted = false;
    (void)snprintf(m->kick_why, sizeof(m->kick_why), "%s", why);
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

void mqtt_return(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    m->wanted = true;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

void mqtt_reconnect(struct mqtt *m, const char *why)
{
    pthread_mutex_lock(&m->lock);
    m->kick = true;
    (void)snprintf(m->kick_why, sizeof(m->kick_why), "%s", why);
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

void mqtt_ask(struct mqtt *m)
{
    mqtt_subs_again(m);
}

int mqtt_resubscribe(struct mqtt *m, const struct mqtt_filter *filters, size_t n)
{
    mqtt_subs_set(m, filters, n);
    return 0;
}

void mqtt_stats(struct mqtt *m, struct mqtt_stats *out)
{
    pthread_mutex_lock(&m->lock);
    *out = m->stats;
    out->wanted = m->wanted;
    out->connected = out->subscribed = m->phase == MQTT_CONNECTED;
    for (size_t i = 0; i < m->n_subs; i++)
        out->subscribed &= m->subs[i].code >= 0;
    pthread_mutex_unlock(&m->lock);
    out->messages = atomic_load_explicit(&m->messages, memory_order_relaxed);
    out->bytes = atomic_load_explicit(&m->bytes, memory_order_relaxed);
    out->last_message_wall_ns =
        atomic_load_explicit(&m->last_message_wall_ns, memory_order_relaxed);
}
