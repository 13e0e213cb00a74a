/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of changes, work, verbs and answers; and a command as the body of a record.
 */
#include "core/cases_private.h"

#include <errno.h>

const char *case_change_name(enum case_change k)
{
    static const char *const names[] = {
#define X(name, word) word,
        CASE_CHANGES(X)
#undef X
    };
    return k < CASE_CHANGE_N ? names[k] : "";
}

const char *case_work_name(enum case_work k)
{
    static const char *const names[] = {"discovered", "dispatched", "accepted", "on_site",
                                        "resolved",   "confirmed",  "fed_back", "closed",
                                        "rejected",   "transferred"};
    return k < CASES_WORK_N ? names[k] : "";
}

const char *case_answer_name(enum case_answer k)
{
    static const char *const names[] = {"done",      "already", "stale", "unknown",
                                        "not_yours", "refused", "bad"};
    return k <= ANSWER_BAD ? names[k] : "";
}

static const char *const verbs[] = {"ack",      "accept", "arrive",   "resolve",  "confirm",
                                    "feedback", "close",  "reject",   "transfer", "rework",
                                    "reset",    "shelve", "unshelve", "test",     "untest"};

const char *case_verb_name(enum case_verb v)
{
    return v < VERBS ? verbs[v] : "";
}

int case_verb_parse(const char *s, size_t len, enum case_verb *out)
{
    for (int i = 0; i < VERBS; i++) {
        if (strlen(verbs[i]) == len && memcmp(verbs[i], s, len) == 0) {
            *out = (enum case_verb)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* -- records --------------------------------------------------------------------------------- */

/* The body: this, then reply_to, correlation and payload; little endian as all of the journal. Of a
 * case of a former epoch ("CMD2") the rest is FIRM/COMPOUND, where the broker keeps it. */
struct body_head {
    uint32_t magic;
    uint32_t reply_len; /* UINT32_MAX: none */
    uint32_t correlation_len, payload_len;
    uint64_t origin;
};
#define BODY_MAGIC   0x31444d43u /* "CMD1" */
#define FORMER_MAGIC 0x32444d43u /* "CMD2" */
#define TOPIC_MAX    65535

int case_command_put(const struct case_command *c, struct buf *out)
{
    size_t reply = c->reply_to ? strlen(c->reply_to) : 0;
    bool former = c->former_firm && c->former_compound;
    size_t firm = former ? strlen(c->former_firm) : 0;
    size_t compound = former ? strlen(c->former_compound) : 0;
    if (reply > TOPIC_MAX || c->correlation_len > TOPIC_MAX || c->payload_len > UINT32_MAX ||
        firm + compound > TOPIC_MAX)
        return -EMSGSIZE;
    struct body_head h = {.magic = former ? FORMER_MAGIC : BODY_MAGIC,
                          .reply_len = c->reply_to ? (uint32_t)reply : UINT32_MAX,
                          .correlation_len = (uint32_t)c->correlation_len,
                          .payload_len = (uint32_t)c->payload_len,
                          .origin = c->origin};
    size_t n = sizeof(h) + reply + c->correlation_len + c->payload_len +
               (former ? firm + 1 + compound : 0);
    char *at = buf_room(out, n);
    if (!at)
        return -ENOBUFS;
    memcpy(at, &h, sizeof(h));
    at += sizeof(h);
    if (reply)
        memcpy(at, c->reply_to, reply);
    at += reply;
    if (c->correlation_len)
        memcpy(at, c->correlation, c->correlation_len);
    at += c->correlation_len;
    if (c->payload_len)
        memcpy(at, c->payload, c->payload_len);
    at += c->payload_len;
    if (former) {
        memcpy(at, c->former_firm, firm);
        at[firm] = '/';
        memcpy(at + firm + 1, c->former_compound, compound);
    }
    buf_commit(out, n);
    return 0;
}

/* FIRM/COMPOUND/CASE/VERB, where CASE may have slashes (a test's scope). */
static int take_topic(const char *topic, size_t len, struct arena *a, struct case_command *out)
{
    const char *end = topic + len;
    if (len == 0 || memchr(topic, '\0', len))
        return -EBADMSG;
    const char *firm = memchr(topic, '/', len);
    const char *compound = firm ? memchr(firm + 1, '/', (size_t)(end - firm - 1)) : NULL;
    const char *verb =
        compound ? memrchr(compound + 1, '/', (size_t)(end - compound - 1)) : NULL;
    if (!verb || firm == topic || compound == firm + 1 || verb == compound + 1 ||
        case_verb_parse(verb + 1, (size_t)(end - verb - 1), &out->verb) != 0)
        return -EBADMSG;
    char *f = arena_strndup(a, topic, (size_t)(firm - topic));
    char *k = arena_strndup(a, firm + 1, (size_t)(compound - firm - 1));
    char *id = arena_strndup(a, compound + 1, (size_t)(verb - compound - 1));
    if (!f || !k || !id)
        return -EBADMSG;
    out->firm = strcmp(f, "-") == 0 ? NULL : f;
    out->compound = k;
    out->case_id = id;
    return 0;
}

/* "FIRM/COMPOUND" at p. */
static int take_former(const char *p, size_t n, struct arena *a, struct case_command *out)
{
    const char *slash = memchr(p, '/', n);
    size_t firm = slash ? (size_t)(slash - p) : 0, compound = slash ? n - firm - 1 : 0;
    if (firm == 0 || compound == 0 || memchr(p, '\0', n) || memchr(slash + 1, '/', compound))
        return -EBADMSG;
    out->former_firm = arena_strndup(a, p, firm);
    out->former_compound = arena_strndup(a, slash + 1, compound);
    return out->former_firm && out->former_compound ? 0 : -EBADMSG;
}

int case_command_get(const char *topic, size_t topic_len, const char *body, size_t body_len,
                     struct arena *a, struct case_command *out)
{
    struct case_command c = {0};
    struct body_head h;
    if (body_len < sizeof(h))
        return -EBADMSG;
    memcpy(&h, body, sizeof(h));
    size_t reply = h.reply_len == UINT32_MAX ? 0 : h.reply_len;
    bool former = h.magic == FORMER_MAGIC;
    if ((!former && h.magic != BODY_MAGIC) || reply > TOPIC_MAX ||
        h.correlation_len > TOPIC_MAX)
        return -EBADMSG;
    size_t rest = body_len - sizeof(h), known = reply + h.correlation_len + h.payload_len;
    if (former ? rest <= known || rest - known > TOPIC_MAX + 1 : rest != known)
        return -EBADMSG;
    const char *at = body + sizeof(h);
    if (memchr(at, '\0', reply))
        return -EBADMSG;
    int r = take_topic(topic, topic_len, a, &c);
    if (r == 0 && former)
        r = take_former(at + known, rest - known, a, &c);
    char *payload = r == 0 ? arena_alloc(a, h.payload_len + (size_t)JSON_PADDING) : NULL;
    char *to = arena_strndup(a, at, reply);
    if (!payload || !to)
        return -EBADMSG;
    if (h.reply_len != UINT32_MAX)
        c.reply_to = to;
    c.correlation = at + reply;
    c.correlation_len = h.correlation_len;
    memcpy(payload, at + reply + h.correlation_len, h.payload_len);
    c.payload = payload;
    c.payload_len = h.payload_len;
    c.origin = h.origin;
    *out = c;
    return 0;
}
