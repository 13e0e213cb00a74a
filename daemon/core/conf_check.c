/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules between options, and the syntax of topics and addresses. Each says at the line of the
 * option that a person would change.
 */
#include "core/conf_parse.h"
#include "core/topic.h"

#include <string.h>

/* ---- syntax ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_capture(const char *s, size_t n)
{
    if (n < 3 || s[0] != '{' || s[n - 1] != '}')
        return false;
    for (size_t i = 1; i < n - 1; i++) {
        if (!is_alnum(s[i]) && s[i] != '_')
            return false;
    }
    return true;
}

bool conf_check_topic(const char *t, const char **out_why)
{
    if (strncmp(t, "$share/", 7) == 0 || strcmp(t, "$share") == 0) {
        *out_why = "a plain filter (share_group of the broker makes $share/…)";
        return false;
    }
    for (const char *level = t;;) {
        size_t n = strcspn(level, "/");
        bool last = level[n] == '\0';
        if (memchr(level, '#', n) && (n != 1 || !last)) {
            *out_why = "# alone and only as the last level";
            return false;
        }
        if (memchr(level, '+', n) && n != 1) {
            *out_why = "+ to be a level of its own";
            return false;
        }
        if ((memchr(level, '{', n) || memchr(level, '}', n)) && !is_capture(level, n)) {
            *out_why = "{name} to be a level of its own, the name of letters, digits and _";
            return false;
        }
        if (last)
            break;
        level += n + 1;
    }
    /* The pattern's own reader has the last word: its ceilings. */
    struct topic_pattern *pattern;
    const char *why;
    if (topic_compile(t, &pattern, &why) != 0) {
        *out_why = "at most 32 levels and 8 {captures}";
        return false;
    }
    topic_free(pattern);
    return true;
}

/* ":" PORT to the end; low is the smallest port allowed. */
static bool check_port(const char *s, unsigned low)
{
    unsigned v = 0;
    size_t n = 0;
    if (*s++ != ':')
        return false;
    for (; is_digit(s[n]) && n < 6; n++)
        v = v * 10 + (unsigned)(s[n] - '0');
    return n > 0 && n < 6 && !s[n] && v >= low && v <= 65535;
}

/* Length of "[v6]" at s; 0 if it is none. */
static size_t v6_length(const char *s)
{
    if (*s != '[')
        return 0;
    size_t n = strspn(s + 1, "0123456789abcdefABCDEF:.");
    return n >= 2 && s[1 + n] == ']' ? n + 2 : 0;
}

bool conf_check_url(const char *url, bool mqtt, const char **out_why)
{
    const char *plain = mqtt ? "mqtt://" : "http://", *tls = mqtt ? "mqtts://" : "https://";
    const char *s;
    if (strncmp(url, plain, strlen(plain)) == 0) {
        s = url + strlen(plain);
    } else if (strncmp(url, tls, strlen(tls)) == 0) {
        s = url + strlen(tls);
    } else {
        *out_why = mqtt ? "mqtt://HOST:PORT or mqtts://HOST:PORT" : "http:// or https://";
        return false;
    }
    size_t authority = strcspn(s, "/?#");
    if (memchr(s, '@', authority)) {
        *out_why = "no user and password in it: there are username and password_file";
        return false;
    }
    size_t host = v6_length(s);
    if (!host) {
        while (is_alnum(s[host]) || s[host] == '-' || s[host] == '.' || s[host] == '_')
            host++;
    }
    char port[16] = "";
    size_t rest = authority - host;
    if (rest < sizeof(port))
        memcpy(port, s + host, rest);
    if (host == 0 || s[0] == '-' || s[0] == '.' || rest >= sizeof(port) ||
        (rest && !check_port(port, 1))) {
        *out_why = "a host name or address, and a port from 1 to 65535";
        return false;
    }
    const char *path = s + authority;
    for (const char *p = path; *p; p++) {
        if (mqtt || (!is_alnum(*p) && !strchr("/-._~%", *p))) {
            *out_why = mqtt ? "nothing behind the port" : "a plain path behind the host";
            return false;
        }
    }
    return true;
}

/* Four numbers of 0 … 255; its length, or 0. */
static size_t v4_length(const char *s)
{
    const char *p = s;
    for (int i = 0; i < 4; i++) {
        unsigned v = 0;
        size_t n = 0;
        for (; is_digit(p[n]) && n < 4; n++)
            v = v * 10 + (unsigned)(p[n] - '0');
        if (n == 0 || n > 3 || v > 255 || (i < 3 && p[n] != '.'))
            return 0;
        p += n + (i < 3);
    }
    return (size_t)(p - s);
}

bool conf_check_listen(const char *s, bool *out_loopback, const char **out_why)
{
    size_t v4 = v4_length(s), v6 = v6_length(s), n = v4 ? v4 : v6;
    if (n == 0 || !check_port(s + n, 0)) {
        if (out_why)
            *out_why = "ADDRESS:PORT such as 127.0.0.1:9690 or [::1]:9690";
        return false;
    }
    if (out_loopback)
        *out_loopback = v4 ? strncmp(s, "127.", 4) == 0 : strncmp(s, "[::1]", 5) == 0;
    return true;
}

/* ---- where ---- */

static const struct conf_given *find_given(const struct conf_ctx *x, const void *base,
                                           const char *path)
{
    for (size_t i = 0; path && i < x->n_given; i++) {
        if (x->given[i].base == base && strcmp(x->given[i].o->path, path) == 0)
            return &x->given[i];
    }
    return NULL;
}

static void where_is(const struct conf_ctx *x, const void *base, const char *path,
                     int *out_line, int *out_col)
{
    const struct conf_given *given = find_given(x, base, path);
    if (given) {
        *out_line = given->line;
        *out_col = given->col;
        return;
    }
    *out_line = *out_col = 0;
    const struct conf *c = x->c;
    for (size_t i = 0; i < c->n_brokers; i++) {
        if (base == &c->brokers[i]) {
            *out_line = x->at[CONF_IN_BROKER][i].line;
            *out_col = x->at[CONF_IN_BROKER][i].col;
        }
    }
    for (size_t i = 0; i < c->n_sources; i++) {
        if (base == &c->sources[i]) {
            *out_line = x->at[CONF_IN_SOURCE][i].line;
            *out_col = x->at[CONF_IN_SOURCE][i].col;
        }
    }
    for (size_t i = 0; i < c->n_sinks; i++) {
        if (base == &c->sinks[i]) {
            *out_line = x->at[CONF_IN_SINK][i].line;
            *out_col = x->at[CONF_IN_SINK][i].col;
        }
    }
}

/* At the place of an option. Of a kept configuration only what it listens to counts. */
#define SAY_BY(tell, x, base, path, ...)                                                       \
    do {                                                                                       \
        int line_, col_;                                                                       \
        where_is((x), (base), (path), &line_, &col_);                                          \
        tell(&(x)->notes, line_, col_, __VA_ARGS__);                                           \
    } while (0)
#define SAY(x, base, path, ...)  SAY_BY(conf_verdict, x, base, path, __VA_ARGS__)
#define FAIL(x, base, path, ...) SAY_BY(conf_error, x, base, path, __VA_ARGS__)

/* ---- gateway, journal, http ---- */

static void check_journal(struct conf_ctx *x)
{
    const struct conf_journal *j = &x->c->journal;
    if (j->segment_bytes % 4096)
        SAY(x, x->c, "journal.segment_bytes",
            "journal.segment_bytes: %llu bytes, expected a multiple of 4096",
            (unsigned long long)j->segment_bytes);
    if (j->max_bytes / 4 < j->segment_bytes) {
        struct buf b;
        buf_init(&b, 64);
        conf_put_size(&b, 4 * j->segment_bytes);
        SAY(x, x->c, "journal.max_bytes",
            "journal.max_bytes: too small, expected at least 4 times journal.segment_bytes "
            "(%s)",
            buf_cstr(&b));
        buf_done(&b);
    }
}

static void check_http(struct conf_ctx *x)
{
    bool loopback = true;
    const char *listen = x->c->http.listen;
    if (listen && conf_check_listen(listen, &loopback, NULL) && !loopback &&
        !x->c->http.token_file)
        SAY(x, x->c, "http.listen",
            "http.listen: %s is reachable from outside, expected a loopback address or "
            "http.token_file",
            listen);
}

/* ---- brokers ---- */

static bool is_tls(const char *url)
{
    return strncmp(url, "mqtts:", 6) == 0 || strncmp(url, "https:", 6) == 0;
}

static void check_tls(struct conf_ctx *x, const struct conf_broker *b)
{
    const struct conf_tls *t = &b->tls;
    bool any = false;
    for (size_t i = 0; i < b->url.n; i++)
        any = any || is_tls(b->url.items[i]);
    const struct {
        const char *value, *path;
    } files[] = {{t->ca_file, "brokers.tls.ca_file"},
                 {t->cert_file, "brokers.tls.cert_file"},
                 {t->key_file, "brokers.tls.key_file"},
                 {t->key_password_file, "brokers.tls.key_password_file"}};
    for (size_t i = 0; !any && b->url.n && i < 4; i++) {
        if (files[i].value) {
            SAY(x, b, files[i].path,
                "%s: the broker's URL is mqtt:// without TLS, expected mqtts://",
                files[i].path);
            return;
        }
    }
    if (t->cert_file && !t->key_file)
        SAY(x, b, "brokers.tls.cert_file",
            "brokers.tls.cert_file: without its private key, expected key_file beside it");
    if (t->key_file && !t->cert_file)
        SAY(x, b, "brokers.tls.key_file",
            "brokers.tls.key_file: without a certificate, expected cert_file beside it");
    if (t->key_password_file && !t->key_file)
        SAY(x, b, "brokers.tls.key_password_file",
            "brokers.tls.key_password_file: without key_file there is nothing to open");
}

static bool shares_url(const struct conf_broker *a, const struct conf_broker *b)
{
    for (size_t i = 0; i < a->url.n; i++) {
        for (size_t k = 0; k < b->url.n; k++) {
            if (strcmp(a->url.items[i], b->url.items[k]) == 0)
                return true;
        }
    }
    return false;
}

static void check_broker(struct conf_ctx *x, size_t n)
{
    const struct conf *c = x->c;
    const struct conf_broker *b = &c->brokers[n];
    if (b->password_file && !b->username)
        SAY(x, b, "brokers.password_file",
            "brokers.password_file: a password without username");
    check_tls(x, b);
    if (b->max_packet_bytes > c->journal.segment_bytes / 4) {
        struct buf most;
        buf_init(&most, 64);
        conf_put_size(&most, c->journal.segment_bytes / 4);
        SAY(x, b, "brokers.max_packet_bytes",
            "brokers.max_packet_bytes: more than a quarter of journal.segment_bytes, expected "
            "at "
            "most %s",
            buf_cstr(&most));
        buf_done(&most);
    }
    for (size_t i = 0; i < n; i++) {
        const struct conf_broker *a = &c->brokers[i];
        if (a->id && b->id && strcmp(a->id, b->id) == 0)
            SAY(x, b, "brokers.id", "brokers.id: \"%s\" is already the broker of line %d",
                b->id, a->line);
        if (strcmp(a->client_id, b->client_id) == 0 && shares_url(a, b))
            SAY(x, b, "brokers.client_id",
                "brokers: the same URL and client id as the broker of line %d: each would "
                "throw "
                "the other off, expected another client_id",
                a->line);
    }
    if (!b->id || x->section_line[CONF_IN_SOURCE] < 0)
        return;
    if (c->alerts.broker && strcmp(c->alerts.broker, b->id) == 0)
        return;
    for (size_t i = 0; i < c->n_sources; i++) {
        if (c->sources[i].broker && strcmp(c->sources[i].broker, b->id) == 0)
            return;
    }
    int line, col;
    where_is(x, b, "brokers.id", &line, &col);
    conf_warn(&x->notes, line, col, "brokers: no source uses \"%s\"", b->id);
}

static void check_broker_id(struct conf_ctx *x, const void *base, const char *path,
                            const char *broker)
{
    const struct conf *c = x->c;
    const char *ids[16];
    size_t n = 0;
    if (c->n_brokers == 0)
        return; /* told: none is there, or what is there is no list */
    for (size_t i = 0; i < c->n_brokers; i++) {
        if (!c->brokers[i].id)
            return; /* refused: it may be this one's */
        if (strcmp(c->brokers[i].id, broker) == 0)
            return;
        ids[n++] = c->brokers[i].id;
    }
    const char *near = err_nearest(broker, ids, n);
    if (near)
        FAIL(x, base, path, "%s: there is no broker \"%s\", did you mean \"%s\"?", path, broker,
             near);
    else
        FAIL(x, base, path,
             "%s: there is no broker \"%s\", expected the id of one under brokers", path,
             broker);
}

/* ---- gateway, alerts ---- */

/* The life-safety process of gateway "a" is "a-ls" among the gateways of a broker. */
static void check_gateway(struct conf_ctx *x)
{
    const char *id = x->c->gateway.id;
    size_t n = id ? strlen(id) : 0;
    if (n >= 3 && memcmp(id + n - 3, "-ls", 3) == 0)
        SAY(x, x->c, "gateway.id",
            "gateway.id: \"%s\" is what the life-safety process of gateway \"%.*s\" calls "
            "itself, expected an id that does not end with -ls",
            id, (int)n - 3, id);
}

static void check_alerts(struct conf_ctx *x)
{
    const char *prefix = x->c->alerts.prefix;
    size_t n = strlen(prefix);
    if (strpbrk(prefix, "+#") || *prefix == '/' || *prefix == '$' || n == 0 ||
        prefix[n - 1] == '/' || strstr(prefix, "//"))
        SAY(x, x->c, "alerts.prefix",
            "alerts.prefix: \"%s\" is not right, expected levels of a topic such as gaihou/v1",
            prefix);
    if (x->c->alerts.broker)
        check_broker_id(x, x->c, "alerts.broker", x->c->alerts.broker);
}

/* ---- sources ---- */

static bool same_topics(const struct conf_source *a, const struct conf_source *b)
{
    if (a->topics.n != b->topics.n)
        return false;
    for (size_t i = 0; i < a->topics.n; i++) {
        if (strcmp(a->topics.items[i], b->topics.items[i]) != 0)
            return false;
    }
    return true;
}

static void check_source(struct conf_ctx *x, size_t n)
{
    const struct conf *c = x->c;
    const struct conf_source *s = &c->sources[n];
    if (s->broker)
        check_broker_id(x, s, "sources.broker", s->broker);
    if (s->qos == 0 && c->gateway.lane == CONF_LANE_LIFE_SAFETY) {
        SAY(x, s, "sources.qos", "sources.qos: 0 in the life-safety lane, expected 1");
    } else if (s->qos == 0) {
        int line, col;
        where_is(x, s, "sources.qos", &line, &col);
        conf_warn(&x->notes, line, col,
                  "sources.qos: 0 promises nothing before the journal, the source is marked "
                  "unproven");
    }
    const struct conf_given *topics = find_given(x, s, "sources.topics");
    if (!s->profile || !s->broker || (topics && topics->refused))
        return;
    for (size_t i = 0; i < n; i++) {
        const struct conf_source *a = &c->sources[i];
        if (a->profile && a->broker && strcmp(a->profile, s->profile) == 0 &&
            strcmp(a->broker, s->broker) == 0 && same_topics(a, s)) {
            SAY(x, s, NULL, "sources: the same profile, broker and topics as in line %d",
                a->line);
            return;
        }
    }
}

/* ---- sinks ---- */

/* What belongs to which type: R needed, o may be there, - refused. In the order of sink
 * types.
 */
static const struct {
    const char *path, *types;
} sink_fields[] = {
    {"sinks.database", "R-R-"},   {"sinks.retention_policy", "o---"},
    {"sinks.org", "-R--"},        {"sinks.bucket", "-R--"},
    {"sinks.username", "o--o"},   {"sinks.password_file", "o--o"},
    {"sinks.token_file", "-Roo"},
};

static bool type_is_known(const struct conf_ctx *x, const struct conf_sink *k)
{
    /* The value was refused or is missing: nothing more can be said about it. */
    const struct conf_given *given = find_given(x, k, "sinks.type");
    return given && !given->refused;
}

static void check_sink_fields(struct conf_ctx *x, const struct conf_sink *k)
{
    for (size_t i = 0; i < sizeof(sink_fields) / sizeof(sink_fields[0]); i++) {
        const struct conf_option *o =
            conf_option_find(sink_fields[i].path, strlen(sink_fields[i].path));
        const char *value = *(const char *const *)((const char *)k + o->offset);
        char rule = sink_fields[i].types[k->type];
        const struct conf_given *given = find_given(x, k, o->path);
        int line, col;
        where_is(x, k, o->path, &line, &col);
        if (rule == 'R' && !given)
            conf_verdict(&x->notes, line, col, "%s is missing, an %s needs it", o->path,
                         conf_sink_type_name(k->type));
        else if (rule == '-' && value)
            conf_verdict(&x->notes, line, col, "%s does not belong to type %s", o->path,
                         conf_sink_type_name(k->type));
    }
}

static void check_sink(struct conf_ctx *x, size_t n)
{
    const struct conf *c = x->c;
    const struct conf_sink *k = &c->sinks[n];
    for (size_t i = 0; i < n; i++) {
        if (k->id && c->sinks[i].id && strcmp(k->id, c->sinks[i].id) == 0)
            SAY(x, k, "sinks.id", "sinks.id: \"%s\" is already the sink of line %d", k->id,
                c->sinks[i].line);
    }
    if (type_is_known(x, k))
        check_sink_fields(x, k);
    if (k->username && !k->password_file)
        SAY(x, k, "sinks.username",
            "sinks.username: without a password, expected password_file");
    if (k->password_file && !k->username)
        SAY(x, k, "sinks.password_file", "sinks.password_file: a password without username");
    if (k->username && k->token_file)
        SAY(x, k, "sinks.token_file",
            "sinks.token_file: beside username, expected one of the two");
    const char *end = k->url ? strrchr(k->url, '/') : NULL;
    if (end && (strcmp(end, "/write") == 0 || strcmp(end, "/write_lp") == 0))
        SAY(x, k, "sinks.url",
            "sinks.url: \"%.100s\" ends in %s, expected the URL without: the type says what is "
            "behind it",
            k->url, end);
    if (k->ca_file && k->url && !is_tls(k->url))
        SAY(x, k, "sinks.ca_file",
            "sinks.ca_file: the URL is http:// without TLS, expected "
            "https://");
    if (k->max_bytes / 8 < k->batch.bytes)
        SAY(x, k, "sinks.max_bytes",
            "sinks.max_bytes: too small, expected at least 8 times batch.bytes");
}

static void check_any(struct conf_ctx *x, enum conf_home home, size_t n, const char *what)
{
    int line = x->section_line[home];
    if (n == 0 && line >= 0)
        conf_error(&x->notes, line, 0, "%ss%s, expected at least one %s", what,
                   line ? ": an empty list" : " is missing", what);
}

void conf_check(struct conf_ctx *x)
{
    struct conf *c = x->c;
    check_gateway(x);
    check_journal(x);
    check_http(x);
    check_alerts(x);
    check_any(x, CONF_IN_BROKER, c->n_brokers, "broker");
    check_any(x, CONF_IN_SOURCE, c->n_sources, "source");
    if (c->n_sinks == 0 && x->section_line[CONF_IN_SINK] >= 0)
        conf_warn(&x->notes, x->section_line[CONF_IN_SINK], 0,
                  "sinks: none, so nothing is written to a database");
    for (size_t i = 0; i < c->n_brokers; i++)
        check_broker(x, i);
    for (size_t i = 0; i < c->n_sources; i++)
        check_source(x, i);
    for (size_t i = 0; i < c->n_sinks; i++)
        check_sink(x, i);
}
