/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of patterns up to an empty one, then lines of topics (which may hold anything else). What
 * the trie finds is what trying every pattern finds; what a pattern captures is a level of the
 * topic; and a pattern's filter, made a pattern, fits the same topics.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/route.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATTERNS 64
#define MAX_TOPICS   64

static struct topic_pattern *patterns[MAX_PATTERNS], *filters[MAX_PATTERNS];
static size_t n_patterns;

static void check_captures(const struct topic_match *m, const char *topic, size_t len)
{
    ASSERT(m->n <= TOPIC_MAX_CAPTURES);
    for (size_t i = 0; i < m->n; i++) {
        const struct topic_capture *c = &m->captures[i];
        ASSERT(c->p >= topic && c->p + c->n <= topic + len);
        ASSERT(!memchr(c->p, '/', c->n));
        ASSERT(c->p == topic || c->p[-1] == '/');
        ASSERT(c->p + c->n == topic + len || c->p[c->n] == '/');
        ASSERT(topic_get(m, c->name));
    }
}

static void check_topic(const struct route *r, const char *topic, size_t len)
{
    uint32_t got[ROUTE_MAX_HITS];
    size_t n = route_find(r, topic, len, got), at = 0;
    for (uint32_t i = 0; i < n_patterns; i++) {
        struct topic_match m, again;
        bool fits = topic_matches(patterns[i], topic, len, &m);
        ASSERT(topic_matches(filters[i], topic, len, &again) == fits);
        if (!fits)
            continue;
        check_captures(&m, topic, len);
        if (at < ROUTE_MAX_HITS)
            ASSERT(at < n && got[at] == i);
        at++;
    }
    ASSERT(n == (at < ROUTE_MAX_HITS ? at : ROUTE_MAX_HITS));
}

static void add_pattern(struct route *r, const char *s, size_t n)
{
    char *text = mem_strndup(s, n);
    const char *why = NULL;
    struct topic_pattern *p = NULL;
    if (topic_compile(text, &p, &why) == 0) {
        ASSERT(topic_compile(topic_filter(p), &filters[n_patterns], &why) == 0);
        ASSERT(strcmp(topic_filter(filters[n_patterns]), topic_filter(p)) == 0);
        route_add(r, p, (uint32_t)n_patterns);
        patterns[n_patterns++] = p;
    } else {
        ASSERT(why);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct route *r = route_new();
    const char *s = (const char *)data, *end = s + size;
    bool topics = false;
    size_t n_topics = 0;
    while (s < end && n_topics < MAX_TOPICS) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((nl ? nl : end) - s);
        if (!topics && (n == 0 || n_patterns == MAX_PATTERNS)) {
            topics = true;
        } else if (!topics) {
            add_pattern(r, s, n);
        } else { /* of its own memory, so that reading past it is seen */
            char *topic = malloc(n ? n : 1);
            ASSERT(topic);
            memcpy(topic, s, n);
            check_topic(r, topic, n);
            free(topic);
            n_topics++;
        }
        s += n + 1;
    }
    route_free(r);
    for (size_t i = 0; i < n_patterns; i++) {
        topic_free(patterns[i]);
        topic_free(filters[i]);
    }
    n_patterns = 0;
    return 0;
}
