/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mqtt_private.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/mqtt_wire.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_S = 10, /* Paho looks every 3 s only, so up to 13 */
    ATTEMPT_S = 60,         /* Paho has had its say by then, or never has */
    DISCONNECT_WAIT_S = 3,
    ADDRESSES_MAX = 4, /* of one name, tried in the resolver's order */
};

/* Creating and destroying the last client starts and stops Paho's threads: one at a time. */
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;

/* -- URLs -----------------------------------------------------------------------------------
 */

static bool all_digits(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 5 && s[n] == '\0';
}

int mqtt_parse_url(const char *text, struct mqtt_url *out, struct err *err)
{
    struct mqtt_url u = {.text = text};
    const char *p = strstr(text, "://");
    size_t scheme = p ? (size_t)(p - text) : 0;
    if (scheme == 5 && strncmp(text, "mqtts", 5) == 0)
        u.tls = true;
    else if (scheme != 4 || strncmp(text, "mqtt", 4) != 0)
        goto bad;
    p += 3;
    size_t rest = strcspn(p, "/");
    if (p[rest] == '/' && p[rest + 1] != '\0')
        goto bad;
    const char *host = p, *end = p + rest, *colon;
    size_t host_len;
    if (*p == '[') {
        const char *close = memchr(p, ']', rest);
        if (!close)
            goto bad;
        host = p + 1;
        host_len = (size_t)(close - host);
        colon = close + 1;
    } else {
        colon = memchr(p, ':', rest);
        if (!colon)
            colon = end;
        host_len = (size_t)(colon - host);
    }
    if (host_len == 0 || host_len >= sizeof(u.host) || memchr(host, '@', host_len))
        goto bad;
    (void)snprintf(u.host, sizeof(u.host), "%.*s", (int)host_len, host);
    (void)snprintf(u.port, sizeof(u.port), "%s", u.tls ? "8883" : "1883");
    if (colon != end) {
        if (*colon != ':' || (size_t)(end - colon) > sizeof(u.port))
            goto bad;
        (void)snprintf(u.port, sizeof(u.port), "%.*s", (int)(end - colon - 1), colon + 1);
        if (!all_digits(u.port))
            goto bad;
    }
    *out = u;
    return 0;
bad:
    return err_set(
        err, -EINVAL,
        "\"%s\" is not a broker's URL, expected mqtt://host:port or mqtts://host:port", text);
}

/* -- what Paho tells -------------------------------------------------------------------------
 */

void mqtt_report_down(struct mqtt *m, const char *reason, bool taken_over)
{
    struct mqtt_link l = {.state = MQTT_DOWN, .reason = reason, .taken_over = taken_over};
    pthread_mutex_lock(&m->cb_lock);
    if (m->link_up && !m->muted)
        m->events.on_link(m->events.ctx, &l);
    m->link_up = false;
    pthread_mutex_unlock(&m->cb_lock);
}

/* A number that the server said in its CONNACK. */
static size_t property(MQTTProperties *props, enum MQTTPropertyCodes code, size_t otherwise)
{
    if (!props || !MQTTProperties_hasProperty(props, code))
        return otherwise;
    int64_t v = MQTTProperties_getNumericValue(props, code);
    /* Paho returns the 4 bytes of a Maximum Packet Size above 2^31 as a negative int. */
    return v > 0 ? (size_t)v : otherwise;
}

static void connected(struct mqtt *m, bool session_present, unsigned version,
                      MQTTProperties *props)
{
    struct mqtt_link l = {.state = MQTT_UP, .session_present = session_present};
    mqtt_wire_begin();
    pthread_mutex_lock(&m->cb_lock);
    m->link_up = true;
    if (!m->muted)
        m->events.on_link(m->events.ctx, &l);
    pthread_mutex_unlock(&m->cb_lock);

    mqtt_subs_begin(m, session_present);
    pthread_mutex_lock(&m->lock);
    m->phase = MQTT_CONNECTED;
    m->session_present = session_present;
    m->max_packet = property(props, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, 0);
    /* One below it: at the limit itself Paho waits for its own timer. */
    size_t most = property(props, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, UINT16_MAX);
    m->window = m->send_window < most ? m->send_window : most > 1 ? most - 1 : 1;
    m->stats.connects++;
    m->stats.version = version;
    m->stats.connected_wall_ns = clock_wall_ns();
    m->stats.problem[0] = '\0';
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

static void on_success(void *ctx, MQTTAsync_successData *d)
{
    connected(ctx, d->alt.connect.sessionPresent != 0, 4, NULL);
}

static void on_success5(void *ctx, MQTTAsync_successData5 *d)
{
    connected(ctx, d->alt.connect.sessionPresent != 0, 5, &d->properties);
}

/* Paho says little: its message tells how far it came, the code is a CONNACK's or its own. */
static void failed(struct mqtt *m, int code, const char *message)
{
    const char *text = message ? message : "";
    pthread_mutex_lock(&m->lock);
    struct mqtt_end *e = &m->end;
    if (m->phase == MQTT_CONNECTING) {
        e->connack = code > 0 && strcmp(text, "CONNACK return code") == 0;
        e->code = e->connack ? code : 0;
        e->no_connack = strcmp(text, "TCP connect completion failure") == 0 ||
                        strcmp(text, "socket error") == 0;
        (void)snprintf(e->text, sizeof(e->text), "%s",
                       strcmp(text, "TCP connect timeout") == 0
                           ? "no answer within 10 s"
                           : (*text ? text : "cannot connect"));
        m->phase = MQTT_FAILED;
        pthread_cond_broadcast(&m->cond);
    }
    pthread_mutex_unlock(&m->lock);
}

static void on_failure(void *ctx, MQTTAsync_failureData *d)
{
    failed(ctx, d ? d->code : 0, d ? d->message : NULL);
}

static void on_failure5(void *ctx, MQTTAsync_failureData5 *d)
{
    int code = d ? (d->reasonCode > 0 ? (int)d->reasonCode : d->code) : 0;
    failed(ctx, code, d ? d->message : NULL);
}

static void lost(struct mqtt *m, int code, const char *text)
{
    bool taken_over = code == MQTTREASONCODE_SESSION_TAKEN_OVER;
    pthread_mutex_lock(&m->lock);
    bool news = m->phase == MQTT_CONNECTED;
    pthread_mutex_unlock(&m->lock);
    if (!news) /* our own leaving, or told already */
        return;
    mqtt_report_down(m, text, taken_over);
    pthread_mutex_lock(&m->lock);
    m->end = (struct mqtt_end){.code = code, .was_up = true, .taken_over = taken_over};
    (void)snprintf(m->end.text, sizeof(m->end.text), "%s", text);
    m->phase = MQTT_FAILED;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

static void on_lost(void *ctx, char *cause)
{
    (void)cause; /* always NULL */
    lost(ctx, 0, "the connection broke (closed by the broker, or no answer to a ping)");
}

/* MQTT 5: the broker says why it hangs up; connectionLost does not always follow. */
static void on_disconnected(void *ctx, MQTTProperties *props, enum MQTTReasonCodes code)
{
    char text[400], said[128] = "";
    if (props && MQTTProperties_hasProperty(props, MQTTPROPERTY_CODE_REASON_STRING)) {
        MQTTProperty *p = MQTTProperties_getProperty(props, MQTTPROPERTY_CODE_REASON_STRING);
        if (p && p->value.data.len > 0)
            (void)snprintf(said, sizeof(said), ": %.*s", p->value.data.len, p->value.data.data);
    }
    (void)snprintf(text, sizeof(text), "the broker ended the connection: %s (0x%02X)%s",
                   mqtt_code_text(5, (int)code, false), (unsigned)code, said);
    lost(ctx, (int)code, text);
}

/* A property's bytes, or NULL. */
static const char *text_of(MQTTProperties *props, enum MQTTPropertyCodes code, size_t *out_len)
{
    MQTTProperty *p = MQTTProperties_getProperty(props, code);
    if (!p || p->value.data.len < 0)
        return NULL;
    *out_len = (size_t)p->value.data.len;
    return p->value.data.data ? p->value.data.data : "";
}

static int on_arrived(void *ctx, char *topic, int topic_len, MQTTAsync_message *a)
{
    struct mqtt *m = ctx;
    mqtt_wire_message();
    /* Paho documents 0 for "ends at the NUL" and passes the length in practice. */
    size_t len = topic_len > 0 ? (size_t)topic_len : strlen(topic);
    struct mqtt_message msg = {
        .topic = topic,
        .topic_len = len,
        .payload = a->payload,
        .payload_len = a->payloadlen > 0 ? (size_t)a->payloadlen : 0,
        .packet_id = (uint16_t)a->msgid,
        .qos = (uint8_t)a->qos,
        .retain = a->retained != 0,
        .dup = a->dup != 0,
    };
    if (a->struct_version >= 1) {
        msg.response_topic =
            text_of(&a->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, &msg.response_topic_len);
        msg.correlation =
            text_of(&a->properties, MQTTPROPERTY_CODE_CORRELATION_DATA, &msg.correlation_len);
    }
    pthread_mutex_lock(&m->cb_lock);
    if (!m->muted) /* only while Paho has no connection, so nothing is acknowledged unkept */
        m->events.on_message(m->events.ctx, &msg);
    pthread_mutex_unlock(&m->cb_lock);
    atomic_fetch_add_explicit(&m->messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->bytes, msg.topic_len + msg.payload_len, memory_order_relaxed);
    atomic_store_explicit(&m->last_message_wall_ns, clock_wall_ns(), memory_order_relaxed);
    MQTTAsync_freeMessage(&a);
    MQTTAsync_free(topic);
    return 1;
}

static int on_tls_word(const char *s, size_t len, void *ctx)
{
    struct mqtt *m = ctx;
    pthread_mutex_lock(&m->lock);
    size_t n = strlen(m->tls_words);
    (void)snprintf(m->tls_words + n, sizeof(m->tls_words) - n, "%s%.*s", n ? "; " : "",
                   (int)len, s);
    pthread_mutex_unlock(&m->lock);
    return 1;
}

/* -- handles ---------------------------------------------------------------------------------
 */

static int get_handle(struct mqtt *m, struct mqtt_url *u, MQTTAsync *out)
{
    MQTTAsync *h = &u->handle[m->version == 5];
    if (!*h) {
        MQTTAsync_createOptions o = MQTTAsync_createOptions_initializer;
        o.MQTTVersion = m->version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
        o.maxBufferedMessages = UINT16_MAX; /* ours is the window of mqtt_send */
        pthread_mutex_lock(&life);
        /* The URL here only says TLS or not; each attempt brings its own address. */
        int rc =
            MQTTAsync_createWithOptions(h, u->tls ? "ssl://localhost" : "tcp://localhost",
                                        m->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &o);
        MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR); /* formatting traces costs a third */
        pthread_mutex_unlock(&life);
        if (rc != MQTTASYNC_SUCCESS)
            return rc;
        (void)MQTTAsync_setCallbacks(*h, m, on_lost, on_arrived, NULL);
        (void)MQTTAsync_setDisconnected(*h, m, on_disconnected);
    }
    *out = *h;
    return 0;
}

static void destroy_handle(MQTTAsync *h)
{
    if (!*h)
        return;
    pthread_mutex_lock(&life);
    MQTTAsync_destroy(h);
    pthread_mutex_unlock(&life);
    *h = NULL;
}

void mqtt_drop_handle(struct mqtt *m)
{
    destroy_handle(&m->current->handle[m->version == 5]);
}

void mqtt_destroy_handles(struct mqtt *m)
{
    for (size_t i = 0; i < m->n_urls; i++)
        for (size_t v = 0; v < 2; v++)
            destroy_handle(&m->urls[i].handle[v]);
}

/* -- one attempt -----------------------------------------------------------------------------
 */

static uint32_t at_most(uint64_t v, uint32_t max)
{
    return v > max ? max : (uint32_t)v;
}

static void add_properties(const struct conf_broker *b, MQTTProperties *props)
{
    MQTTProperty p = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL};
    p.value.integer4 = at_most(b->session_expiry_s, UINT32_MAX);
    (void)MQTTProperties_add(props, &p);
    if (b->receive_maximum) {
        p = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_RECEIVE_MAXIMUM};
        p.value.integer2 = (unsigned short)at_most(b->receive_maximum, UINT16_MAX);
        (void)MQTTProperties_add(props, &p);
    }
    if (b->max_packet_bytes) {
        p = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE};
        p.value.integer4 = at_most(b->max_packet_bytes, UINT32_MAX);
        (void)MQTTProperties_add(props, &p);
    }
}

/* Hands the attempt to Paho. `uri` is copied by it. */
static int start_connect(struct mqtt *m, struct mqtt_url *u, MQTTAsync h, char *uri)
{
    const struct conf_broker *b = m->broker;
    MQTTAsync_connectOptions o3 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions o5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions o = m->version == 5 ? o5 : o3;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTProperties props = MQTTProperties_initializer;
    char *const uris[1] = {uri};
    o.keepAliveInterval = (int)at_most(b->keepalive_s, UINT16_MAX);
    o.connectTimeout = CONNECT_TIMEOUT_S;
    o.username = b->username;
    o.password = m->password;
    o.serverURIcount = 1;
    o.serverURIs = uris;
    o.context = m;
    if (m->will_topic) {
        will.topicName = m->will_topic;
        will.payload.data = m->will;
        will.payload.len = (int)m->will_len;
        will.retained = m->will_retain;
        will.qos = 1;
        o.will = &will;
    }
    if (m->version == 5) {
        o.cleanstart = 0;
        add_properties(b, &props);
        o.connectProperties = &props;
        o.onSuccess5 = on_success5;
        o.onFailure5 = on_failure5;
    } else {
        o.cleansession = 0;
        o.MQTTVersion = MQTTVERSION_3_1_1;
        o.onSuccess = on_success;
        o.onFailure = on_failure;
    }
    if (u->tls) {
        /* The default version is "what OpenSSL allows", which at its security level 1 is 1.2
         * up. */
        ssl.enableServerCertAuth = 1;
        ssl.verify = 1;
        ssl.trustStore = b->tls.ca_file;
        ssl.keyStore = b->tls.cert_file;
        ssl.privateKey = b->tls.key_file;
        ssl.privateKeyPassword = m->key_password;
        ssl.ssl_error_cb = on_tls_word;
        ssl.ssl_error_context = m;
        o.ssl = &ssl;
    }
    int rc = MQTTAsync_connect(h, &o);
    MQTTProperties_free(&props);
    return rc;
}

/* Words for the failure; `address` and u->port are where we tried. */
static void explain(struct mqtt *m, const struct mqtt_url *u, const char *address)
{
    struct mqtt_end *e =
        &m->end; /* Paho is done with this attempt: nobody else writes it now */
    const char *user = m->broker->username ? m->broker->username : "";
    if (e->connack) {
        const char *text = mqtt_code_text(m->version, e->code, true);
        bool credentials = m->version == 5
                               ? e->code == MQTTREASONCODE_BAD_USER_NAME_OR_PASSWORD ||
                                     e->code == MQTTREASONCODE_NOT_AUTHORIZED
                               : e->code == 4 || e->code == 5;
        if (credentials)
            (void)snprintf(
                e->text, sizeof(e->text),
                "the broker refuses user name \"%s\" with the password given (%s); check "
                "username and password_file of this broker in the configuration, and restart",
                user, text);
        else
            (void)snprintf(e->text, sizeof(e->text),
                           "the broker refuses the connection: %s (%d)", text, e->code);
        return;
    }
    char words[sizeof(e->text)];
    if (mqtt_diagnose(m, u, address, words, sizeof(words))) {
        (void)snprintf(e->text, sizeof(e->text), "%s", words);
        e->no_connack = false;
        return;
    }
    pthread_mutex_lock(&m->lock);
    (void)snprintf(words, sizeof(words), "%.400s", m->tls_words);
    pthread_mutex_unlock(&m->lock);
    if (*words)
        (void)snprintf(e->text, sizeof(e->text), "TLS: %.480s", words);
    else if (e->no_connack)
        (void)snprintf(e->text, sizeof(e->text),
                       "the broker closed the connection instead of answering CONNECT");
}

/* Of an attempt whose handle is gone. The CONNACK may have come while we waited for Paho to let go of
 * it, and with it what was given to be sent. */
static void give_up(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    m->phase = MQTT_IDLE;
    pthread_mutex_unlock(&m->lock);
    mqtt_report_down(m, "left while connecting", false);
    mqtt_publish_forget(m);
    mqtt_send_forget(m);
}

/* Paho says nothing any more: what it holds of this attempt may be stuck, so another handle goes on. */
static int no_word(struct mqtt *m, struct mqtt_url *u)
{
    destroy_handle(&u->handle[m->version == 5]);
    give_up(m);
    m->end = (struct mqtt_end){0};
    (void)snprintf(m->end.text, sizeof(m->end.text), "no end of the attempt within %d s",
                   ATTEMPT_S);
    return -ETIMEDOUT;
}

static int attempt(struct mqtt *m, struct mqtt_url *u, char *uri, const char *address)
{
    uint64_t until = mqtt_now_ns() + ATTEMPT_S * 1000000000ULL;
    pthread_mutex_lock(&m->lock);
    m->phase = MQTT_CONNECTING;
    m->end = (struct mqtt_end){0};
    m->tls_words[0] = '\0';
    pthread_mutex_unlock(&m->lock);
    MQTTAsync h = NULL;
    int rc = get_handle(m, u, &h);
    if (rc == 0)
        rc = start_connect(m, u, h, uri);
    pthread_mutex_lock(&m->lock);
    if (rc != MQTTASYNC_SUCCESS) {
        m->phase = MQTT_FAILED;
        const char *text = MQTTAsync_strerror(rc);
        (void)snprintf(m->end.text, sizeof(m->end.text), "Paho: %s (%d)", text ? text : "error",
                       rc);
    }
    bool late = false;
    while (m->phase == MQTT_CONNECTING && !m->closing && m->wanted && !late)
        late = !mqtt_wait(m, until);
    enum mqtt_phase phase = m->phase;
    late = late && !m->closing && m->wanted;
    pthread_mutex_unlock(&m->lock);
    if (phase == MQTT_CONNECTED || m->end.was_up) /* or lost at once, which the caller finds */
        return 0;
    if (phase == MQTT_CONNECTING && late)
        return no_word(m, u);
    if (phase == MQTT_CONNECTING) {
        /* Paho cannot disconnect what is not connected, so the handle has to go. */
        destroy_handle(&u->handle[m->version == 5]);
        give_up(m);
        return -ECANCELED;
    }
    explain(m, u, address);
    return -ECONNREFUSED;
}

/* Begins a look-up, or ends it; true: nobody wants what it is for. */
static bool look_up(struct mqtt *m, bool now)
{
    pthread_mutex_lock(&m->lock);
    m->looking_up = now;
    bool stop = m->closing || !m->wanted;
    pthread_mutex_unlock(&m->lock);
    return stop;
}

int mqtt_connect(struct mqtt *m, struct mqtt_url *u)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV},
                    *list = NULL;
    char address[NI_MAXHOST], uri[NI_MAXHOST + 32];
    (void)look_up(m, true);
    int rc = getaddrinfo(u->host, u->port, &hints, &list);
    /* after a hanging look-up the owner may be gone: touch nothing of theirs */
    if (look_up(m, false)) {
        if (rc == 0)
            freeaddrinfo(list);
        return -ECANCELED;
    }
    if (rc) {
        m->end = (struct mqtt_end){0};
        (void)snprintf(m->end.text, sizeof(m->end.text), "the name %s cannot be looked up: %s",
                       u->host, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return -EHOSTUNREACH;
    }
    rc = -EHOSTUNREACH;
    int tried = 0;
    for (struct addrinfo *a = list; a && tried < ADDRESSES_MAX && rc && rc != -ECANCELED;
         a = a->ai_next, tried++) {
        if (getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof(address), NULL, 0,
                        NI_NUMERICHOST))
            continue;
        const char *host = u->tls ? u->host : address;
        (void)snprintf(uri, sizeof(uri), strchr(host, ':') ? "%s://[%s]:%s" : "%s://%s:%s",
                       u->tls ? "ssl" : "tcp", host, u->port);
        rc = attempt(m, u, uri, address);
        if (u->tls || m->end.connack || m->end.no_connack)
            break;
    }
    freeaddrinfo(list);
    return rc;
}

/* -- leaving ---------------------------------------------------------------------------------
 */

static void left(struct mqtt *m)
{
    pthread_mutex_lock(&m->lock);
    m->disconnected = true;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

static void on_left(void *ctx, MQTTAsync_successData *d)
{
    (void)d;
    left(ctx);
}

static void on_left5(void *ctx, MQTTAsync_successData5 *d)
{
    (void)d;
    left(ctx);
}

static void on_not_left(void *ctx, MQTTAsync_failureData *d)
{
    (void)d;
    left(ctx);
}

static void on_not_left5(void *ctx, MQTTAsync_failureData5 *d)
{
    (void)d;
    left(ctx);
}

void mqtt_disconnect(struct mqtt *m, const char *why)
{
    MQTTAsync *h = &m->current->handle[m->version == 5];
    MQTTAsync_disconnectOptions o3 = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions o5 = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnectOptions o = m->version == 5 ? o5 : o3;
    o.context = m;
    if (m->version == 5) {
        o.onSuccess5 = on_left5;
        o.onFailure5 = on_not_left5;
    } else {
        o.onSuccess = on_left;
        o.onFailure = on_not_left;
    }
    pthread_mutex_lock(&m->lock);
    m->disconnected = false;
    pthread_mutex_unlock(&m->lock);
    bool gone = MQTTAsync_disconnect(*h, &o) != MQTTASYNC_SUCCESS; /* not connected any more */
    uint64_t until = mqtt_now_ns() + DISCONNECT_WAIT_S * 1000000000ULL;
    pthread_mutex_lock(&m->lock);
    while (!gone && !m->disconnected && m->phase == MQTT_CONNECTED && mqtt_wait(m, until)) {
    }
    bool clean = gone || m->disconnected || m->phase != MQTT_CONNECTED;
    pthread_mutex_unlock(&m->lock);
    if (!clean)
        destroy_handle(h);
    pthread_mutex_lock(&m->lock);
    m->phase = MQTT_IDLE;
    pthread_mutex_unlock(&m->lock);
    mqtt_publish_forget(m); /* what came while we waited */
    mqtt_report_down(m, why, false);
}
