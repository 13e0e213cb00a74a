/* SPDX-License-Identifier: Apache-2.0 */
#include "core/topic.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum level_sort { LEVEL_TEXT, LEVEL_CAPTURE, LEVEL_ANY, LEVEL_REST };

struct level {
    enum level_sort sort;
    const char *text; /* LEVEL_TEXT: the level; LEVEL_CAPTURE: its name */
    size_t len;
};

struct topic_pattern {
    struct level levels[TOPIC_MAX_LEVELS];
    size_t n;
    char *text; /* what the levels point into */
    char *filter;
};

static const char *compile_level(struct level *l, char *s, size_t n)
{
    *l = (struct level){.sort = LEVEL_TEXT, .text = s, .len = n};
    if (n == 1 && s[0] == '+') {
        l->sort = LEVEL_ANY;
    } else if (n == 1 && s[0] == '#') {
        l->sort = LEVEL_REST;
    } else if (n > 2 && s[0] == '{' && s[n - 1] == '}') {
        l->sort = LEVEL_CAPTURE;
        l->text = s + 1;
        l->len = n - 2;
        s[n - 1] = '\0';
    }
    if (l->sort == LEVEL_TEXT && strcspn(s, "+#{}") < n)
        return "a wildcard or a {capture} must be a whole level";
    return NULL;
}

static const char *compile(struct topic_pattern *p)
{
    size_t captures = 0;
    char *s = p->text;
    for (;;) {
        if (p->n == TOPIC_MAX_LEVELS)
            return "more than 32 levels";
        if (p->n > 0 && p->levels[p->n - 1].sort == LEVEL_REST)
            return "# must be the last level";
        size_t n = strcspn(s, "/");
        bool last = s[n] == '\0';
        s[n] = '\0';
        const char *why = compile_level(&p->levels[p->n], s, n);
        if (why)
            return why;
        if (p->levels[p->n++].sort == LEVEL_CAPTURE && ++captures > TOPIC_MAX_CAPTURES)
            return "more than 8 captures";
        if (last)
            return NULL;
        s += n + 1;
    }
}

static char *filter_of(const struct topic_pattern *p, size_t max)
{
    char *f = mem_zalloc(max + 1), *at = f;
    for (size_t i = 0; i < p->n; i++) {
        const struct level *l = &p->levels[i];
        if (i > 0)
            *at++ = '/';
        if (l->sort == LEVEL_TEXT) {
            memcpy(at, l->text, l->len);
            at += l->len;
        } else {
            *at++ = l->sort == LEVEL_REST ? '#' : '+';
        }
    }
    return f;
}

int topic_compile(const char *pattern, struct topic_pattern **out, const char **out_why)
{
    size_t len = strlen(pattern);
    if (len == 0 || len > 65535) {
        *out_why = "empty, or longer than 65535 bytes";
        return -EINVAL;
    }
    struct topic_pattern *p = mem_zalloc(sizeof(*p));
    p->text = mem_strdup(pattern);
    const char *why = compile(p);
    if (why) {
        *out_why = why;
        topic_free(p);
        return -EINVAL;
    }
    p->filter = filter_of(p, len);
    *out = p;
    return 0;
}

void topic_free(struct topic_pattern *p)
{
    if (!p)
        return;
    free(p->text);
    free(p->filter);
    free(p);
}

const char *topic_filter(const struct topic_pattern *p)
{
    return p->filter;
}

bool topic_covered(const struct topic_pattern *p, const struct topic_pattern *by)
{
    const struct level *a = p->levels, *b = by->levels;
    if (b[0].sort != LEVEL_TEXT && a[0].sort == LEVEL_TEXT && a[0].len > 0 && *a[0].text == '$')
        return false;
    for (size_t i = 0; i < by->n; i++) {
        if (b[i].sort == LEVEL_REST)
            return true;
        if (i >= p->n || a[i].sort == LEVEL_REST)
            return false;
        if (b[i].sort == LEVEL_TEXT && (a[i].sort != LEVEL_TEXT || a[i].len != b[i].len ||
                                        memcmp(a[i].text, b[i].text, b[i].len) != 0))
            return false;
    }
    return p->n == by->n;
}

bool topic_matches(const struct topic_pattern *p, const char *topic, size_t len,
                   struct topic_match *out)
{
    const char *s = topic, *end = topic + len;
    out->n = 0;
    if (len > 0 && *topic == '$' && p->levels[0].sort != LEVEL_TEXT)
        return false; /* wildcards leave $SYS and its like alone */
    for (size_t i = 0; i < p->n; i++) {
        const struct level *l = &p->levels[i];
        if (l->sort == LEVEL_REST)
            return true;
        if (s > end)
            return false; /* the topic has fewer levels */
        const char *slash = memchr(s, '/', (size_t)(end - s));
        size_t n = (size_t)((slash ? slash : end) - s);
        if (l->sort == LEVEL_TEXT && (n != l->len || memcmp(s, l->text, n) != 0))
            return false;
        if (l->sort == LEVEL_CAPTURE)
            out->captures[out->n++] = (struct topic_capture){l->text, s, n};
        s += n + 1;
    }
    return s == end + 1;
}

void topic_split(const char *topic, size_t len, struct topic_levels *out)
{
    const char *s = topic, *end = topic + len;
    out->n = 0;
    for (;;) {
        if (out->n == TOPIC_MAX_LEVELS) {
            out->n++;
            return;
        }
        const char *slash = memchr(s, '/', (size_t)(end - s));
        out->levels[out->n].p = s;
        out->levels[out->n++].n = (size_t)((slash ? slash : end) - s);
        if (!slash)
            return;
        s = slash + 1;
    }
}

bool topic_matches_end(const struct topic_pattern *p, const struct topic_levels *t,
                       struct topic_match *out)
{
    bool rest = p->levels[p->n - 1].sort == LEVEL_REST;
    size_t n = p->n - rest;
    if (t->n < n || t->n > TOPIC_MAX_LEVELS)
        return false;
    const struct topic_level *at = &t->levels[rest ? 0 : t->n - n];
    for (size_t i = n; i-- > 0;) { /* the last level is where topics differ */
        const struct level *l = &p->levels[i];
        if (l->sort == LEVEL_TEXT &&
            (l->len != at[i].n || memcmp(l->text, at[i].p, l->len) != 0))
            return false;
    }
    out->n = 0;
    for (size_t i = 0; i < n; i++)
        if (p->levels[i].sort == LEVEL_CAPTURE)
            out->captures[out->n++] =
                (struct topic_capture){p->levels[i].text, at[i].p, at[i].n};
    return true;
}

bool topic_has(const struct topic_pattern *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->levels[i].sort == LEVEL_CAPTURE && strcmp(p->levels[i].text, name) == 0)
            return true;
    return false;
}

const char *topic_capture_at(const struct topic_pattern *p, size_t i)
{
    for (size_t k = 0; k < p->n; k++)
        if (p->levels[k].sort == LEVEL_CAPTURE && i-- == 0)
            return p->levels[k].text;
    return NULL;
}

int topic_level(const struct topic_pattern *p, const char *name)
{
    if (p->levels[p->n - 1].sort == LEVEL_REST)
        return -1;
    for (size_t i = 0; i < p->n; i++)
        if (p->levels[i].sort == LEVEL_CAPTURE && strcmp(p->levels[i].text, name) == 0)
            return (int)(p->n - 1 - i);
    return -1;
}
