/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/message.h"
#include "base/base64.h"
#include "base/mem.h"
#include "core/json.h"
#include "core/judge.h"
#include "core/world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_MESSAGE ((size_t)64 << 20)

void message_init(struct message *m)
{
    *m = (struct message){.json = json_new(MAX_MESSAGE),
                          .run = profile_run_new(MAX_MESSAGE),
                          .sparkplug = sparkplug_new()};
}

void message_done(struct message *m)
{
    json_free(m->json);
    profile_run_free(m->run);
    sparkplug_free(m->sparkplug);
    topic_free(m->pattern);
    decoded_done(&m->decoded);
}

static bool try_pattern(struct message *m, const char *pattern, const char *topic)
{
    struct topic_pattern *p;
    const char *why;
    if (topic_compile(pattern, &p, &why) != 0)
        return false;
    if (!topic_matches(p, topic, strlen(topic), &m->match)) {
        topic_free(p);
        return false;
    }
    topic_free(m->pattern);
    m->pattern = p; /* captures' names are the pattern's */
    return true;
}

static bool match_topic(struct message *m, const struct message_in *in)
{
    m->match.n = 0;
    if (!in->topic)
        return true;
    if (in->compiled)
        return topic_matches(in->compiled, in->topic, in->topic_len, &m->match);
    if (in->pattern)
        return try_pattern(m, in->pattern, in->topic);
    if (!in->profile)
        return try_pattern(m, "gaihou/v1/up/{compound}/{device}", in->topic);
    for (size_t i = 0; i < profile_topics(in->profile); i++)
        if (try_pattern(m, profile_topic(in->profile, i), in->topic))
            return true;
    return false;
}

static void decode_native(struct message *m, const struct message_in *in)
{
    const char *why = "not JSON";
    struct profile_verdict *v = &m->verdict;
    if (in->len == 0) {
        *v =
            (struct profile_verdict){.outcome = PROFILE_IGNORED, .count = LEDGER_IGNORED_EMPTY};
        return;
    }
    int r = native_decode(m->json, in->payload, in->len, &m->decoded, &why);
    if (r == 0)
        return;
    v->outcome = PROFILE_REFUSED;
    v->count = r == -E2BIG ? LEDGER_DEAD_TOO_MANY : LEDGER_DEAD_BAD_JSON;
    (void)snprintf(v->detail, sizeof(v->detail), "%s", why);
}

bool message_decode(struct message *m, const struct message_in *in)
{
    decoded_clear(&m->decoded);
    m->verdict = (struct profile_verdict){.outcome = PROFILE_SAMPLES, .message = ""};
    if (!match_topic(m, in)) {
        m->verdict.outcome = PROFILE_NOT_MINE;
        (void)snprintf(m->verdict.detail, sizeof(m->verdict.detail),
                       "no topic of the profile fits \"%.200s\"", in->topic);
        return false;
    }
    if (!in->profile) {
        decode_native(m, in);
        return true;
    }
    struct profile_input input = {.topic = in->topic ? in->topic : "",
                                  .topic_len = in->compiled ? in->topic_len
                                               : in->topic  ? strlen(in->topic)
                                                            : 0,
                                  .match = &m->match,
                                  .payload = in->payload,
                                  .len = in->len,
                                  .received_ms = in->received_ms,
                                  .sparkplug = m->sparkplug};
    profile_decode(in->profile, m->run, &input, &m->decoded, &m->verdict);
    return true;
}

const struct kind *message_kind(const struct catalog *c, const struct message *m)
{
    const struct kind *best = NULL;
    size_t most = 0;
    bool alone = false;
    for (size_t i = 0; i < catalog_kinds(c); i++) {
        const struct kind *k = catalog_kind_at(c, i);
        struct profile_metric way;
        size_t n = 0;
        for (size_t v = 0; v < m->decoded.n_values; v++)
            n += judge_way(c, k, &m->decoded.values[v], &way);
        alone = n == most ? false : n > most ? true : alone;
        if (n > most) {
            most = n;
            best = k;
        }
    }
    return alone ? best : NULL;
}

/* -- bytes as text ---------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool message_hex(const char *p, size_t n, struct buf *out)
{
    int high = -1;
    for (size_t i = 0; i < n; i++) {
        int v = hex_digit(p[i]);
        if (v < 0 && strchr(" \t\r\n:", p[i]) && high < 0)
            continue;
        if (v < 0)
            return false;
        if (high >= 0)
            (void)buf_putc(out, (char)(high << 4 | v));
        high = high >= 0 ? -1 : v;
    }
    return high < 0;
}

bool message_base64(const char *p, size_t n, struct buf *out)
{
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r' || p[n - 1] == ' '))
        n--;
    return base64_get(out, p, n) == 0;
}
