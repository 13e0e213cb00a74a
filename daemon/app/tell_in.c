/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the client's callbacks bring, on Paho's threads. A command is appended to the journal
 * here, because its PUBACK leaves on return; the rest is handed to the loop in one list, in the
 * order in which it came.
 */
#include "app/tell_private.h"
#include "base/hash.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "core/cases.h"
#include "io/clock.h"
#include "io/stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS        6
#define CODE_MAX      64
#define RETAINED_SIZE ((size_t)256 << 10) /* of a state that is looked into */
#define EPOCH_MAX     (UINT64_C(1) << 53) /* seconds, as a rule: who says more is not us */
#define EVENTS_MAX    10000 /* that others' messages may cause between two turns */

struct level {
    const char *p;
    size_t n;
};

void tell_event_free(struct tell_event *e)
{
    if (!e)
        return;
    free(e->topic);
    free(e->text);
    free(e->correlation);
    free(e);
}

static void push(struct tell *t, struct tell_event *e)
{
    struct tell_event *head = atomic_load(&t->events);
    do
        e->next = head;
    while (!atomic_compare_exchange_weak(&t->events, &head, e));
}

static void hand_over(struct tell *t, struct tell_event *e)
{
    if (e->kind >= TELL_PRESENCE && atomic_fetch_add(&t->n_events, 1) >= EVENTS_MAX) {
        atomic_fetch_add_explicit(&t->refused, 1, memory_order_relaxed);
        tell_event_free(e);
        return;
    }
    push(t, e);
    loop_wake_send(t->wake);
}

static struct tell_event *event(enum tell_event_kind kind)
{
    struct tell_event *e = mem_zalloc(sizeof(*e));
    e->kind = kind;
    return e;
}

struct tell_event *tell_take_events(struct tell *t)
{
    atomic_store(&t->n_events, 0);
    atomic_store(&t->n_answers, 0); /* before they are taken: at worst it wakes too early */
    struct tell_event *newest = atomic_exchange(&t->events, NULL), *oldest = NULL;
    while (newest) {
        struct tell_event *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void tell_on_link(void *ctx, const struct mqtt_link *l)
{
    struct tell *t = ctx;
    struct tell_event *e = event(l->state == MQTT_UP ? TELL_UP : TELL_DOWN);
    if (l->state == MQTT_UP)
        atomic_store_explicit(&t->seen_foreign, 0, memory_order_relaxed);
    e->text = mem_strdup(l->state == MQTT_DOWN ? l->reason : NULL);
    hand_over(t, e);
}

void tell_on_sent(void *ctx, uint64_t id, int status)
{
    struct tell *t = ctx;
    struct tell_event *e = event(TELL_SENT);
    e->id = id;
    e->status = status;
    push(t, e);
    size_t n = atomic_fetch_add(&t->n_answers, 1) + 1;
    if (status != 0 || n >= atomic_load(&t->wake_at))
        loop_wake_send(t->wake);
}

void tell_await_answers(struct tell *t)
{
    size_t n = t->n_flights / 4;
    atomic_store(&t->wake_at, n > 0 ? n : 1);
    if (atomic_load(&t->n_answers) >= (n > 0 ? n : 1)) /* came while more were waited for */
        loop_wake_send(t->wake);
}

/* -- messages ------------------------------------------------------------------------------- */

static bool is(const struct level *l, const char *word)
{
    return l->n == strlen(word) && memcmp(l->p, word, l->n) == 0;
}

/* More than LEVELS come back as LEVELS + 1. */
static size_t split(const char *p, size_t n, struct level out[LEVELS])
{
    size_t count = 0;
    for (;;) {
        const char *slash = memchr(p, '/', n);
        size_t len = slash ? (size_t)(slash - p) : n;
        if (count == LEVELS)
            return LEVELS + 1;
        out[count++] = (struct level){p, len};
        if (!slash)
            return count;
        p += len + 1;
        n -= len + 1;
    }
}

static bool is_code(const struct level *l, size_t max)
{
    for (size_t i = 0; i < l->n; i++) {
        char c = l->p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return l->n > 0 && l->n <= max;
}

/* Whom a topic can prove: a firm, neither nobody's cases nor the operators' mark. */
static bool is_firm(const struct level *l)
{
    return is_code(l, CODE_MAX) && !is(l, "-") && !is(l, "none");
}

/* Where the requester wants its answer, below the prefix, if that is its own place; else NULL. */
static char *reply_topic(const struct tell *t, const struct mqtt_message *m,
                         const struct level *firm)
{
    size_t prefix = strlen(t->prefix);
    char *own = mem_printf("reply/%.*s/", (int)firm->n, firm->p), *topic = NULL;
    const char *p = m->response_topic;
    size_t n = m->response_topic_len;
    if (p && n > prefix && memcmp(p, t->prefix, prefix) == 0) {
        p += prefix;
        n -= prefix;
        if (n > strlen(own) && n <= TELL_TOPIC_MAX && memcmp(p, own, strlen(own)) == 0 &&
            !memchr(p, '\0', n) && !memchr(p, '+', n) && !memchr(p, '#', n) && utf8_valid(p, n))
            topic = mem_strndup(p, n);
    }
    free(own);
    return topic;
}

static void refuse(struct tell *t)
{
    atomic_fetch_add_explicit(&t->refused, 1, memory_order_relaxed);
}

static void add_correlation(struct tell_event *e, const struct mqtt_message *m)
{
    if (!m->correlation || m->correlation_len == 0)
        return;
    e->correlation = mem_dup(m->correlation, m->correlation_len);
    e->correlation_len = m->correlation_len;
}

/* Takes so many tokens of the firm's buckets, if one has them. */
static bool affords(struct tell *t, const struct level *firm, size_t tokens)
{
    const uint64_t token_ns = 1000000000u / TELL_TOKENS_S;
    uint64_t h = hash64(hash_seed(), firm->p, firm->n), now = clock_boot_ns();
    const uint64_t places[] = {h % TELL_BUCKETS, h / TELL_BUCKETS % TELL_BUCKETS};
    bool has = false;
    for (size_t i = 0; i < 2; i++) {
        struct tell_bucket *b = &t->buckets[places[i]];
        uint64_t full = (b->full_ns > now ? b->full_ns : now) + tokens * token_ns;
        if (full - now > TELL_TOKENS_MAX * token_ns || (i > 0 && places[i] == places[0]))
            continue;
        b->full_ns = full;
        has = true;
    }
    return has;
}

/* An answer that needs no state: the command never reaches the journal. */
static void answer_now(struct tell *t, const struct mqtt_message *m, const struct level l[5],
                       enum case_answer answer, const char *reason)
{
    struct tell_event *e = event(TELL_DIRECT);
    struct buf json;
    struct jsonw w;
    refuse(t);
    buf_init(&json, 4096);
    jsonw_init(&w, &json);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "v", 1);
    jsonw_strn(&w, "case", l[3].p, l[3].n);
    jsonw_strn(&w, "verb", l[4].p, l[4].n < CODE_MAX ? l[4].n : CODE_MAX);
    jsonw_str(&w, "result", case_answer_name(answer));
    jsonw_str(&w, "reason", reason);
    jsonw_end_object(&w);
    e->text = mem_strdup(buf_cstr(&json));
    buf_done(&json);
    char *asked = reply_topic(t, m, &l[1]);
    e->topic = asked ? mem_printf("%s%s", t->prefix, asked)
                     : mem_printf("%sreply/%.*s/%.*s", t->prefix, (int)l[1].n, l[1].p,
                                  (int)l[2].n, l[2].p);
    free(asked);
    add_correlation(e, m);
    hand_over(t, e);
}

/* The journal cannot take what would be acknowledged on return: stop before it is. */
static void cannot_keep(int error)
{
    stop_now(74,
             "journal: cannot take a command: %s; stopping before it is acknowledged, the "
             "broker keeps it",
             strerror(-error));
}

static void journal_command(struct tell *t, const struct mqtt_message *m,
                            const struct level l[5], enum case_verb verb)
{
    char *firm = mem_strndup(l[1].p, l[1].n), *compound = mem_strndup(l[2].p, l[2].n),
         *id = mem_strndup(l[3].p, l[3].n), *reply = reply_topic(t, m, &l[1]);
    char *payload = mem_zalloc(m->payload_len + JSON_PADDING);
    struct buf body;
    if (m->payload_len)
        memcpy(payload, m->payload, m->payload_len);
    buf_init(&body, CASE_PAYLOAD_MAX + 4096);
    struct case_command c = {.firm = firm,
                             .compound = compound,
                             .case_id = id,
                             .verb = verb,
                             .payload = payload,
                             .payload_len = m->payload_len,
                             .reply_to = reply,
                             .correlation = m->correlation_len ? m->correlation : NULL,
                             .correlation_len = m->correlation_len};
    if (tell_orphans_has(t, firm, compound, id)) {
        c.former_firm = firm;
        c.former_compound = compound;
    }
    int r = case_command_put(&c, &body);
    const char *place = l[1].p; /* FIRM/COMPOUND/CASE/VERB */
    if (r == 0)
        r = t->o.append(t->o.ctx,
                        &(struct record){.type = RECORD_COMMAND,
                                         .flags = (uint8_t)m->qos,
                                         .broker = 255,
                                         .packet_id = 0,
                                         .topic = place,
                                         .topic_len = (size_t)(m->topic + m->topic_len - place),
                                         .body = body.data,
                                         .body_len = body.len});
    if (r != 0)
        cannot_keep(r);
    atomic_fetch_add_explicit(&t->commands, 1, memory_order_relaxed);
    buf_done(&body);
    free(payload);
    free(reply);
    free(id);
    free(compound);
    free(firm);
}

static void on_command(struct tell *t, const struct mqtt_message *m, const struct level l[5])
{
    enum case_verb verb;
    size_t mine = strlen(t->mine);
    if (m->retain || !is_firm(&l[1]) || !is_code(&l[2], CODE_MAX) ||
        !is_code(&l[3], CASE_ID_MAX - 1) || m->correlation_len > TELL_CORRELATION_MAX) {
        refuse(t); /* what is retained was not meant now, the rest proves nobody */
        return;
    }
    if (l[3].n <= mine || memcmp(l[3].p, t->mine, mine) != 0 ||
        (!case_id_is_of(l[3].p, l[3].n, t->mine, NULL) && case_id_is_whole(l[3].p, l[3].n)))
        return; /* another gateway's or lane's: left to its owner in silence */
    if (case_verb_parse(l[4].p, l[4].n, &verb) != 0)
        answer_now(t, m, l, ANSWER_BAD, "there is no such verb");
    else if (m->payload_len > CASE_PAYLOAD_MAX)
        answer_now(t, m, l, ANSWER_BAD, "the payload is larger than 8192 bytes");
    else if (!affords(t, &l[1], 1 + m->payload_len / TELL_TOKEN_BYTES))
        answer_now(t, m, l, ANSWER_REFUSED, "too_many_commands");
    else
        journal_command(t, m, l, verb);
}

static void on_snapshot(struct tell *t, const struct mqtt_message *m, const struct level *firm)
{
    if (m->retain || !is_firm(firm) || m->correlation_len > TELL_CORRELATION_MAX ||
        !affords(t, firm, TELL_TOKENS_SNAPSHOT)) {
        refuse(t);
        return;
    }
    struct tell_event *e = event(TELL_SNAPSHOT);
    char *asked = reply_topic(t, m, firm);
    e->text = mem_strndup(firm->p, firm->n);
    e->topic = asked ? mem_printf("%s%s", t->prefix, asked)
                     : mem_printf("%sreply/%s/snapshot", t->prefix, e->text);
    free(asked);
    add_correlation(e, m);
    hand_over(t, e);
}

/* The payload as JSON; 0 or negative. */
static int parse(struct tell *t, const struct mqtt_message *m, struct json_value *out)
{
    const char *why;
    if (m->payload_len > RETAINED_SIZE)
        return -EMSGSIZE;
    char *text = mem_zalloc(m->payload_len + JSON_PADDING);
    if (m->payload_len)
        memcpy(text, m->payload, m->payload_len);
    int r = json_parse(t->json, text, m->payload_len, out, &why);
    free(text); /* values live in the parser */
    return r == 0 && json_type(*out) == JSON_OBJECT ? 0 : -EBADMSG;
}

static bool text_member(struct json_value v, const char *key, const char **out, size_t *out_n)
{
    struct json_value m;
    if (!json_member(v, key, &m) || json_type(m) != JSON_STRING)
        return false;
    *out = json_text(m, out_n);
    return true;
}

static void on_presence(struct tell *t, const struct mqtt_message *m, const struct level *firm)
{
    struct json_value v;
    const char *state = "";
    size_t n = 0;
    if (!is_firm(firm))
        return;
    if (m->payload_len > 0 && (parse(t, m, &v) != 0 || !text_member(v, "state", &state, &n))) {
        refuse(t);
        return;
    }
    struct tell_event *e = event(TELL_PRESENCE);
    e->text = mem_strndup(firm->p, firm->n);
    e->online = n == 6 && memcmp(state, "online", 6) == 0;
    hand_over(t, e);
}

/* A state that the broker kept: ours, a former epoch's, or somebody else's. */
static void on_retained(struct tell *t, const struct mqtt_message *m)
{
    struct json_value v;
    const char *stream;
    size_t n, head = strlen(t->stream_head);
    uint64_t epoch = 0;
    if (parse(t, m, &v) != 0 || !text_member(v, "stream", &stream, &n) || n <= head ||
        memcmp(stream, t->stream_head, head) != 0 ||
        num_get_u64(stream + head, n - head, &epoch) != 0 || epoch == 0 || epoch > EPOCH_MAX) {
        atomic_fetch_add_explicit(&t->seen_foreign, 1, memory_order_relaxed);
        return;
    }
    struct tell_event *e = event(TELL_RETAINED);
    e->topic = mem_strndup(m->topic, m->topic_len);
    e->id = epoch;
    e->hash = tell_payload_hash(m->payload, m->payload_len);
    hand_over(t, e);
}

static uint64_t number_member(struct json_value v, const char *key)
{
    struct json_value m;
    if (!json_member(v, key, &m) || json_type(m) != JSON_INT || json_int(m) < 0)
        return 0;
    return (uint64_t)json_int(m);
}

static void on_epoch(struct tell *t, const struct mqtt_message *m)
{
    struct json_value v;
    const char *stream;
    size_t n, head = strlen(t->stream_head);
    if (parse(t, m, &v) != 0)
        return;
    if (text_member(v, "stream", &stream, &n) &&
        (n <= head || memcmp(stream, t->stream_head, head) != 0))
        return; /* of a gateway whose name with its lane reads like ours */
    struct tell_event *e = event(TELL_EPOCH);
    e->id = number_member(v, "epoch");
    if (e->id > EPOCH_MAX)
        e->id = 0;
    e->offset = number_member(v, "offset");
    hand_over(t, e);
}

void tell_on_message(void *ctx, const struct mqtt_message *m)
{
    struct tell *t = ctx;
    struct level l[LEVELS];
    size_t prefix = strlen(t->prefix);
    if (m->topic_len <= prefix || memcmp(m->topic, t->prefix, prefix) != 0)
        return;
    size_t n = split(m->topic + prefix, m->topic_len - prefix, l);
    if (n == 5 && is(&l[0], "cmd"))
        on_command(t, m, l);
    else if (n == 2 && is(&l[0], "snapshot"))
        on_snapshot(t, m, &l[1]);
    else if (n == 2 && is(&l[0], "presence"))
        on_presence(t, m, &l[1]);
    else if (n >= 2 && is(&l[0], "alerts") && m->retain && m->payload_len > 0)
        on_retained(t, m); /* what is not retained is our own, coming back */
    else if (n == 3 && is(&l[0], "gateway") && is(&l[2], "epoch") && m->payload_len > 0)
        on_epoch(t, m);
}
