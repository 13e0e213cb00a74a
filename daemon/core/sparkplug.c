/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sparkplug.h"
#include "base/hash.h"
#include "core/sparkplug_private.h"

#include <stdlib.h>

bool sparkplug_is_signed(uint64_t datatype)
{
    return datatype >= SPARKPLUG_INT8 && datatype <= SPARKPLUG_INT64;
}

int64_t sparkplug_typed(uint64_t datatype, uint64_t v)
{
    switch (datatype) { /* some senders cut to the type's width, most to 32 bits */
    case SPARKPLUG_INT8:
        return v <= UINT8_MAX ? (int8_t)v : (int32_t)v;
    case SPARKPLUG_INT16:
        return v <= UINT16_MAX ? (int16_t)v : (int32_t)v;
    case SPARKPLUG_INT32:
        return (int32_t)v;
    default:
        return (int64_t)v;
    }
}

/* -- what is said ------------------------------------------------------------------------- */

enum kind { NBIRTH, NDATA, NDEATH, DBIRTH, DDATA, DDEATH, OTHER };

struct message {
    enum kind kind;
    char key[SPARKPLUG_MAX_NAME + 1]; /* GROUP/NODE */
    size_t key_len;
    const char *device;
    size_t device_len;
    struct json_value payload, metrics;
    bool has_metrics, has_seq, stamped;
    uint8_t seq;
    uint64_t hash;
};

static enum kind kind_of(const char *p, size_t n, bool device)
{
    static const char *const names[] = {"NBIRTH", "NDATA", "NDEATH",
                                        "DBIRTH", "DDATA", "DDEATH"};
    for (int k = device ? DBIRTH : NBIRTH; k <= (device ? (int)DDEATH : (int)NDEATH); k++)
        if (n == strlen(names[k]) && memcmp(p, names[k], n) == 0)
            return (enum kind)k;
    return OTHER;
}

/* spBv1.0 / GROUP / TYPE / NODE [/ DEVICE] */
static bool read_topic(const char *topic, size_t n, struct message *m)
{
    const char *part[5];
    size_t len[5], parts = 0;
    for (const char *p = topic, *end = topic + n;; p++) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        if (parts == 5)
            return false;
        part[parts] = p;
        len[parts++] = (size_t)((slash ? slash : end) - p);
        if (!slash)
            break;
        p = slash;
    }
    if (parts < 4 || len[0] != 7 || memcmp(part[0], "spBv1.0", 7) != 0 || len[1] == 0 ||
        len[3] == 0 || (parts == 5 && len[4] == 0))
        return false;
    m->kind = kind_of(part[2], len[2], parts == 5);
    m->device = parts == 5 ? part[4] : NULL;
    m->device_len = parts == 5 ? len[4] : 0;
    m->key_len = len[1] + 1 + len[3];
    if (m->kind == OTHER || m->key_len > SPARKPLUG_MAX_NAME)
        return false;
    memcpy(m->key, part[1], len[1]);
    m->key[len[1]] = '/';
    memcpy(m->key + len[1] + 1, part[3], len[3]);
    return true;
}

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    return hash64(h, p, n);
}

/* Of the content, wherever on which tape it is; the same in every replay. */
static uint64_t hash_of(struct json_value v, uint64_t h)
{
    enum json_type t = json_type(v);
    struct json_iter it;
    struct json_value c;
    const char *key;
    size_t n;
    uint64_t bits = t == JSON_BOOL ? json_bool(v) : 0;
    switch (t) {
    case JSON_STRING:
        key = json_text(v, &n);
        return mix(h + (uint64_t)t, key, n);
    case JSON_ARRAY:
    case JSON_OBJECT:
        json_iter(v, &it);
        h = mix(h, &t, sizeof(t));
        while (json_next(&it, &key, &n, &c))
            h = hash_of(c, key ? mix(h, key, n) : h);
        return h + 1;
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
        bits = json_uint(v);
        break;
    case JSON_NULL:
    case JSON_BOOL:
        break;
    }
    return mix(h + (uint64_t)t, &bits, sizeof(bits));
}

static bool read_message(const char *topic, size_t n, struct json_value payload,
                         struct message *m)
{
    struct json_value v;
    m->has_metrics = m->has_seq = m->stamped = false;
    if (!read_topic(topic, n, m) || json_type(payload) != JSON_OBJECT)
        return false;
    m->payload = payload;
    m->has_metrics =
        json_member(payload, "metrics", &m->metrics) && json_type(m->metrics) == JSON_ARRAY;
    m->stamped = json_member(payload, "timestamp", &v);
    m->has_seq = json_member(payload, "seq", &v) && json_type(v) == JSON_INT &&
                 json_int(v) >= 0 && json_int(v) <= 255;
    m->seq = m->has_seq ? (uint8_t)json_int(v) : 0;
    m->hash = hash_of(payload, mix(0, topic, n));
    return true;
}

/* -- metrics ------------------------------------------------------------------------------ */

struct metric {
    const char *name; /* NULL: none known */
    size_t name_len;
    struct json_value value;
    uint64_t alias, datatype; /* 0: none known */
    bool has_alias, has_value, historical;
};

static uint64_t natural(struct json_value v)
{
    return json_type(v) == JSON_INT || json_type(v) == JSON_UINT ? json_uint(v) : 0;
}

static bool is(const char *key, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(key, word, n) == 0;
}

static void read_metric(struct json_value v, struct metric *m)
{
    struct json_iter it;
    struct json_value c;
    const char *key;
    size_t n;
    *m = (struct metric){.name = NULL};
    if (json_type(v) != JSON_OBJECT)
        return;
    json_iter(v, &it);
    while (json_next(&it, &key, &n, &c)) {
        if (is(key, n, "name") && json_type(c) == JSON_STRING) {
            m->name = json_text(c, &m->name_len);
        } else if (is(key, n, "alias")) {
            m->alias = natural(c);
            m->has_alias = true;
        } else if (is(key, n, "datatype")) {
            m->datatype = natural(c);
        } else if (is(key, n, "is_historical")) {
            m->historical = json_type(c) == JSON_BOOL && json_bool(c);
        } else if (is(key, n, "value")) {
            m->value = c;
            m->has_value = true;
        }
    }
}

/* Adds what the birth knows. False: an alias that it does not. */
static bool resolve(const struct sp_birth *b, struct metric *m)
{
    const struct sp_metric *known = NULL;
    if (b && m->name && m->name_len > 0)
        known = m->datatype ? NULL : sp_by_name(b, m->name, m->name_len);
    else if (b && m->has_alias)
        known = sp_by_alias(b, m->alias);
    if (m->name && m->name_len == 0)
        m->name = NULL; /* what some encoders send beside an alias */
    if (known && !m->name) {
        m->name = b->names + known->name_at;
        m->name_len = known->name_len;
    }
    if (known && !m->datatype)
        m->datatype = known->datatype;
    return m->name || !m->has_alias;
}

static void put_value(struct doc *d, const struct metric *m)
{
    enum json_type t = json_type(m->value);
    if ((t == JSON_INT || t == JSON_UINT) && sparkplug_is_signed(m->datatype) &&
        (t == JSON_UINT || json_int(m->value) >= 0))
        doc_int(d, sparkplug_typed(m->datatype, json_uint(m->value)));
    else
        doc_copy(d, m->value);
}

static void put_metric(struct doc *d, struct json_value v, const struct metric *m)
{
    struct json_iter it;
    struct json_value c;
    const char *key;
    size_t n;
    doc_object(d);
    if (m->name) {
        doc_key(d, "name", 4);
        doc_text(d, m->name, m->name_len);
    }
    if (m->datatype) {
        doc_key(d, "datatype", 8);
        doc_uint(d, m->datatype);
    }
    json_iter(v, &it);
    while (json_next(&it, &key, &n, &c)) {
        if (is(key, n, "name") || is(key, n, "datatype") || (m->name && is(key, n, "alias")))
            continue;
        doc_key(d, key, n);
        if (is(key, n, "value"))
            put_value(d, m);
        else
            doc_copy(d, c);
    }
    doc_end(d);
}

static void put_metrics(struct doc *d, const struct sp_birth *b, struct json_value metrics,
                        struct sparkplug_info *info)
{
    struct json_iter it;
    struct json_value v;
    struct metric m;
    doc_key(d, "metrics", 7);
    doc_array(d);
    json_iter(metrics, &it);
    while (json_next(&it, NULL, NULL, &v)) {
        read_metric(v, &m);
        if (json_type(v) != JSON_OBJECT)
            continue;
        if (!resolve(b, &m))
            info->unknown_aliases++;
        put_metric(d, v, &m);
    }
    doc_end(d);
    doc_key(d, "values", 6);
    doc_object(d);
    json_iter(metrics, &it);
    while (json_next(&it, NULL, NULL, &v)) {
        read_metric(v, &m);
        (void)resolve(b, &m);
        if (!m.name || !m.has_value || m.historical || json_type(m.value) == JSON_NULL)
            continue;
        doc_key(d, m.name, m.name_len);
        put_value(d, &m);
    }
    doc_end(d);
}

static bool put_resolved(struct doc *d, const struct sp_birth *b, const struct message *msg,
                         struct json_value *out_root, struct sparkplug_info *info)
{
    struct json_iter it;
    struct json_value v;
    const char *key;
    size_t n;
    doc_clear(d);
    doc_object(d);
    json_iter(msg->payload, &it);
    while (json_next(&it, &key, &n, &v)) {
        if (is(key, n, "metrics"))
            continue;
        doc_key(d, key, n);
        doc_copy(d, v);
    }
    if (msg->has_metrics)
        put_metrics(d, b, msg->metrics, info);
    doc_end(d);
    return doc_finish(d, out_root) == 0;
}

/* -- sessions ----------------------------------------------------------------------------- */

static bool read_bdseq(const struct message *msg, uint64_t *out)
{
    struct json_iter it;
    struct json_value v;
    struct metric m;
    if (!msg->has_metrics)
        return false;
    json_iter(msg->metrics, &it);
    while (json_next(&it, NULL, NULL, &v)) {
        read_metric(v, &m);
        if (!m.name || !is(m.name, m.name_len, "bdSeq") || !m.has_value ||
            (json_type(m.value) != JSON_INT && json_type(m.value) != JSON_UINT))
            continue;
        *out = json_uint(m.value);
        return true;
    }
    return false;
}

static bool list_births(const struct message *msg, struct sp_list *l)
{
    struct json_iter it;
    struct json_value v;
    struct metric m;
    sp_list_init(l);
    if (!msg->has_metrics)
        return true;
    json_iter(msg->metrics, &it);
    while (json_next(&it, NULL, NULL, &v)) {
        read_metric(v, &m);
        uint8_t type = m.datatype <= UINT8_MAX ? (uint8_t)m.datatype : 0;
        if (m.name && m.name_len > 0 &&
            !sp_list_add(l, m.name, m.name_len, m.has_alias, m.alias, type))
            return false;
    }
    return true;
}

enum step { NEXT, GAP, LATE, REPEAT };

/* The number is had from now on. */
static enum step step_to(struct sp_node *n, uint8_t seq, uint32_t hash)
{
    uint8_t ahead = (uint8_t)(seq - n->seq), behind = (uint8_t)(n->seq - seq);
    unsigned slot = seq % SP_WINDOW;
    uint64_t bit = UINT64_C(1) << slot;
    enum step step = ahead == 1 ? NEXT : GAP;
    if (behind < SP_WINDOW) {
        if (n->had & bit && n->hashes[slot] == hash)
            return REPEAT;
        if (n->had & bit)
            n->had = 0; /* begun anew */
        else
            step = LATE;
    } else {
        for (unsigned i = 1; i <= ahead && i <= SP_WINDOW; i++)
            n->had &= ~(UINT64_C(1) << (uint8_t)(n->seq + i) % SP_WINDOW);
    }
    n->had |= bit;
    n->hashes[slot] = hash;
    if (step != LATE)
        n->seq = seq;
    return step;
}

static void begin_session(struct sp_node *n, const struct message *msg)
{
    n->alive = true;
    n->incomplete = false;
    n->has_bdseq = read_bdseq(msg, &n->bdseq);
    if (!n->has_bdseq)
        n->bdseq = 0;
    n->birth_hash = msg->hash;
    n->stamped = msg->stamped;
    n->had = 0;
    n->seq = (uint8_t)(msg->seq - 1); /* has none: 0, as births begin */
    memset(n->hashes, 0, sizeof(n->hashes));
    (void)step_to(n, msg->seq, (uint32_t)msg->hash);
}

static enum sparkplug_result node_birth(struct sparkplug *s, unsigned broker,
                                        const struct message *msg, struct sp_node **node,
                                        struct sparkplug_info *info)
{
    struct sp_list l;
    struct sp_node *n = *node;
    if (n && n->birth_hash == msg->hash && n->stamped && msg->stamped)
        return SPARKPLUG_DUPLICATE;
    if (!n)
        n = *node = sp_node_add(s, broker, msg->key, msg->key_len);
    if (!n) {
        info->refused = true;
        return SPARKPLUG_BIRTH;
    }
    begin_session(n, msg);
    bool listed = list_births(msg, &l);
    sp_node_clear(s, n);
    if (!listed || !sp_node_born(s, n, &l))
        n->incomplete = info->refused = true;
    sp_list_done(&l);
    return SPARKPLUG_BIRTH;
}

static enum sparkplug_result node_death(struct sparkplug *s, const struct message *msg,
                                        struct sp_node *n)
{
    uint64_t bdseq;
    if (!n)
        return SPARKPLUG_DEATH;
    if (n->has_bdseq && read_bdseq(msg, &bdseq) && bdseq != n->bdseq)
        return SPARKPLUG_STALE;
    if (!n->alive)
        return SPARKPLUG_DUPLICATE;
    n->alive = false;
    n->died = ++s->deaths;
    sp_node_clear(s, n);
    return SPARKPLUG_DEATH;
}

static void device_birth(struct sparkplug *s, const struct message *msg, struct sp_node *n,
                         struct sparkplug_info *info)
{
    struct sp_list l;
    struct sp_device *old = sp_device_find(n, msg->device, msg->device_len);
    if (old)
        sp_device_remove(s, n, old);
    if (!list_births(msg, &l) || !sp_device_born(s, n, msg->device, msg->device_len, &l))
        n->incomplete = info->refused = true;
    sp_list_done(&l);
}

/* Data, and what devices' births and deaths say, within a session. */
static enum sparkplug_result in_session(struct sparkplug *s, const struct message *msg,
                                        struct sp_node *n, struct sparkplug_info *info)
{
    enum step step = msg->has_seq ? step_to(n, msg->seq, (uint32_t)msg->hash) : NEXT;
    if (step == REPEAT)
        return SPARKPLUG_DUPLICATE;
    info->gap = step == GAP;
    info->want_rebirth = info->gap;
    struct sp_device *d = msg->device ? sp_device_find(n, msg->device, msg->device_len) : NULL;
    if (msg->kind == DBIRTH) {
        device_birth(s, msg, n, info);
        return SPARKPLUG_BIRTH;
    }
    if (msg->kind == DDEATH) {
        if (d)
            sp_device_remove(s, n, d);
        return SPARKPLUG_DEATH;
    }
    if (msg->kind == DDATA && !d) {
        info->want_rebirth |= !n->incomplete;
        return SPARKPLUG_UNBORN;
    }
    return SPARKPLUG_DATA;
}

static const struct sp_birth *birth_of(const struct message *msg, const struct sp_node *n)
{
    if (!n || !n->alive)
        return NULL;
    if (!msg->device)
        return &n->birth;
    const struct sp_device *d = sp_device_find(n, msg->device, msg->device_len);
    return d ? &d->birth : NULL;
}

enum sparkplug_result sparkplug_take(struct sparkplug *s, unsigned broker, const char *topic,
                                     size_t topic_len, struct json_value payload,
                                     struct doc *out, struct json_value *out_root,
                                     struct sparkplug_info *out_info)
{
    struct message msg;
    struct sparkplug_info info = {.gap = false};
    enum sparkplug_result r;
    *out_info = info;
    if (!read_message(topic, topic_len, payload, &msg))
        return SPARKPLUG_OTHER;
    struct sp_node *n = sp_node_find(s, broker, msg.key, msg.key_len);
    if (msg.kind == NBIRTH) {
        r = node_birth(s, broker, &msg, &n, &info);
    } else if (msg.kind == NDEATH) {
        r = node_death(s, &msg, n);
    } else if (n && n->alive) {
        r = in_session(s, &msg, n, &info);
    } else {
        r = msg.kind == DDEATH ? SPARKPLUG_DEATH : SPARKPLUG_UNBORN;
        info.want_rebirth = msg.kind != DDEATH && (n || s->n < SPARKPLUG_MAX_NODES);
    }
    if (!put_resolved(out, birth_of(&msg, n), &msg, out_root, &info))
        r = SPARKPLUG_TOO_BIG;
    if (info.unknown_aliases > 0 && r == SPARKPLUG_DATA)
        info.want_rebirth |= !n->incomplete;
    *out_info = info;
    return r;
}

enum sparkplug_result sparkplug_look(const struct sparkplug *s, unsigned broker,
                                     const char *topic, size_t topic_len,
                                     struct json_value payload, struct doc *out,
                                     struct json_value *out_root)
{
    struct message msg;
    struct sparkplug_info info = {.gap = false};
    if (!read_message(topic, topic_len, payload, &msg))
        return SPARKPLUG_OTHER;
    const struct sp_node *n = sp_node_find(s, broker, msg.key, msg.key_len);
    const struct sp_birth *birth = birth_of(&msg, n);
    if (!put_resolved(out, birth, &msg, out_root, &info))
        return SPARKPLUG_TOO_BIG;
    if (msg.kind == NBIRTH || msg.kind == DBIRTH)
        return SPARKPLUG_BIRTH;
    if (msg.kind == NDEATH || msg.kind == DDEATH)
        return SPARKPLUG_DEATH;
    return birth ? SPARKPLUG_DATA : SPARKPLUG_UNBORN;
}

/* Nodes of what is taken up again stand beside those of all brokers. */
#define HISTORY 255u

enum sparkplug_result sparkplug_again(struct sparkplug *s, unsigned broker, bool look,
                                      const char *topic, size_t topic_len,
                                      struct json_value payload, struct doc *out,
                                      struct json_value *out_root)
{
    struct sparkplug_info info;
    enum sparkplug_result r =
        sparkplug_look(s, HISTORY, topic, topic_len, payload, out, out_root);
    if (r == SPARKPLUG_UNBORN)
        return sparkplug_look(s, broker, topic, topic_len, payload, out, out_root);
    if (look || (r != SPARKPLUG_BIRTH && r != SPARKPLUG_DEATH))
        return r;
    r = sparkplug_take(s, HISTORY, topic, topic_len, payload, out, out_root, &info);
    if (r == SPARKPLUG_STALE)
        return r;
    /* also what was taken up again before: its points are known, or they are not */
    return sparkplug_look(s, HISTORY, topic, topic_len, payload, out, out_root);
}
