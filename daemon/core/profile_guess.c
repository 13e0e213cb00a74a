/* SPDX-License-Identifier: Apache-2.0 */
#include "core/profile_guess.h"
#include "base/mem.h"
#include "core/profile_guess_private.h"
#include "core/text.h"
#include "core/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct guess {
    const struct profile_guess_sample *samples;
    size_t n;
    const struct catalog *catalog;
    const struct profile_guess_way *way;
    struct leaves leaves;
    const struct kind *kind;
    struct leaf *device, *time;
    const char *time_format;
    char topic[1024]; /* the pattern; "" not known */
    bool device_in_topic;
};

/* -- the kind, the roles -------------------------------------------------------------------- */

static void find_roles(struct guess *g)
{
    int device = 0, time = 0;
    for (size_t i = 0; i < g->leaves.n; i++) {
        struct leaf *l = &g->leaves.at[i];
        const char *format;
        if (l->path[0] == '=' || l->type == JSON_ARRAY)
            continue;
        /* an item's own device and time come before those of the whole message */
        int d = guess_is_device(l), t = guess_is_time(l, &format);
        d += d && l->in_item && d > 90 ? 200 : 0;
        t += t && l->in_item ? 200 : 0;
        if (d > device) {
            device = d;
            g->device = l;
        }
        if (t > time) {
            time = t;
            g->time = l;
            g->time_format = format;
        }
    }
    if (g->device)
        g->device->role = ROLE_DEVICE;
    if (g->time)
        g->time->role = ROLE_TIME;
}

static size_t matches(const struct guess *g, const struct kind *k)
{
    size_t n = 0;
    const char *unit;
    unsigned divide;
    for (size_t i = 0; i < g->leaves.n; i++)
        n += g->leaves.at[i].role == ROLE_NONE && g->leaves.at[i].type != JSON_ARRAY &&
             guess_metric(k, &g->leaves.at[i], &unit, &divide) != NULL;
    return n;
}

/* Of two kinds that know as much: what measures the air in general, else the one with less else.
 */
static bool is_simpler(const struct kind *a, const struct kind *b)
{
    bool general = strcmp(a->name, "environment") == 0;
    return general || (strcmp(b->name, "environment") != 0 && a->n_metrics < b->n_metrics);
}

static void find_kind(struct guess *g)
{
    size_t most = 0;
    for (size_t i = 0; i < catalog_kinds(g->catalog); i++) {
        const struct kind *k = catalog_kind_at(g->catalog, i);
        size_t n = matches(g, k);
        if (n > most || (n == most && n > 0 && is_simpler(k, g->kind))) {
            most = n;
            g->kind = k;
        }
    }
}

static bool taken(const struct guess *g, const struct metric *m)
{
    for (size_t i = 0; i < g->leaves.n; i++)
        if (g->leaves.at[i].metric == m)
            return true;
    return false;
}

static void find_values(struct guess *g)
{
    for (size_t i = 0; g->kind && i < g->leaves.n; i++) {
        struct leaf *l = &g->leaves.at[i];
        const char *unit;
        unsigned divide;
        if (l->role != ROLE_NONE || l->type == JSON_ARRAY)
            continue;
        const struct metric *m = guess_metric(g->kind, l, &unit, &divide);
        if (!m || taken(g, m))
            continue;
        l->role = ROLE_VALUE;
        l->metric = m;
        l->unit = unit;
        l->divide = divide;
    }
}

/* -- the topic -------------------------------------------------------------------------------- */

static size_t level(const char *topic, size_t i, const char **out)
{
    for (; i > 0; i--) {
        topic = strchr(topic, '/');
        if (!topic)
            return 0;
        topic++;
    }
    *out = topic;
    return strcspn(topic, "/");
}

static size_t levels(const char *topic)
{
    size_t n = 1;
    for (; *topic; topic++)
        n += *topic == '/';
    return n;
}

/* Does this level differ between the samples? */
static bool varies(const struct guess *g, size_t i)
{
    const char *a = NULL, *b = NULL;
    size_t n = level(g->samples[0].topic, i, &a);
    for (size_t s = 1; s < g->n; s++) {
        size_t m = g->samples[s].topic ? level(g->samples[s].topic, i, &b) : n;
        if (g->samples[s].topic && (m != n || memcmp(a, b, n) != 0))
            return true;
    }
    return false;
}

static bool same_shape(const struct guess *g)
{
    for (size_t s = 1; s < g->n; s++)
        if (g->samples[s].topic && levels(g->samples[s].topic) != levels(g->samples[0].topic))
            return false;
    return true;
}

/* The level that is the device: what the payload calls itself, else the last id among them. */
static size_t device_level(const struct guess *g)
{
    size_t found = SIZE_MAX;
    const char *p = NULL;
    for (size_t i = 0; i < levels(g->samples[0].topic); i++) {
        size_t n = level(g->samples[0].topic, i, &p);
        if (g->device && strlen(g->device->text) == n && memcmp(g->device->text, p, n) == 0)
            return i;
        if (n > 0 && guess_is_id(p, n))
            found = i;
    }
    for (size_t i = 0; found == SIZE_MAX && i < levels(g->samples[0].topic); i++)
        if (varies(g, i))
            found = i;
    /* nothing calls itself anything: a device there must be, and it is mostly the last level */
    return found == SIZE_MAX && !g->device ? levels(g->samples[0].topic) - 1 : found;
}

static void find_topic(struct guess *g)
{
    size_t at = 0, others = 0;
    if (!g->samples[0].topic || !same_shape(g))
        return;
    size_t device = device_level(g);
    for (size_t i = 0; i < levels(g->samples[0].topic) && at < sizeof(g->topic) - 80; i++) {
        const char *p = NULL;
        size_t n = level(g->samples[0].topic, i, &p);
        if (i > 0)
            g->topic[at++] = '/';
        if (i == device) {
            memcpy(g->topic + at, "{device}", 8);
            at += 8;
            g->device_in_topic = true;
        } else if ((varies(g, i) || guess_is_id(p, n)) && others < TOPIC_MAX_CAPTURES - 1) {
            memcpy(g->topic + at, "{id", 3);
            g->topic[at + 3] = (char)('1' + others++);
            g->topic[at + 4] = '}';
            at += 5;
        } else if (n < sizeof(g->topic) - at - 80) {
            memcpy(g->topic + at, p, n);
            at += n;
        }
    }
    g->topic[at] = '\0';
}

/* What a broker may deliver is not always what a pattern may say. */
static int check_topics(const struct guess *g, struct err *err)
{
    for (size_t i = 0; i < g->n; i++) {
        const char *t = g->samples[i].topic;
        size_t n = t ? strlen(t) : 0;
        if (t && (n == 0 || n > 900 || text_utf8_valid(t, n) != n || !text_is_plain(t, n) ||
                  strpbrk(t, "{}+#") || levels(t) > TOPIC_MAX_LEVELS))
            return err_set(err, -EINVAL,
                           "sample %zu: its topic is none that a device publishes to", i + 1);
    }
    return 0;
}

/* -- the text --------------------------------------------------------------------------------- */

void profile_guess_quote(struct buf *out, const char *s, size_t n)
{
    (void)buf_putc(out, '\'');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\'')
            (void)buf_putc(out, '\'');
        (void)buf_putc(out, s[i]);
    }
    (void)buf_putc(out, '\'');
}

static void quote(struct buf *out, const char *s)
{
    profile_guess_quote(out, s, strlen(s));
}

static void put_head(const struct guess *g, const char *name, struct buf *out)
{
    (void)buf_printf(out,
                     "# A first draft from %zu sample message%s. Go through every \"review\".\n"
                     "version: 1\n"
                     "profile: %s\n"
                     "title: {zh: %s, en: %s}   # review\n"
                     "vendor: unknown   # review\n"
                     "source: \"\"   # review: the vendor's document and its edition\n"
                     "verified: false\n",
                     g->n, g->n == 1 ? "" : "s", name, name, name);
    if (g->kind)
        (void)buf_printf(out,
                         "kinds: [%s]   # review: %s fits best; leave it out for any kind\n",
                         g->kind->name, g->kind->title_en ? g->kind->title_en : g->kind->name);
    (void)buf_puts(out, "topics: [");
    quote(out, g->topic[0] ? g->topic : "review/{device}");
    (void)buf_puts(out, g->topic[0] ? "]   # review: what changes from device to device\n"
                                    : "]   # review: the topic was not given\n");
}

/* How the payload becomes the document that the paths below are of. */
static void put_way(const struct profile_guess_way *way, struct buf *out)
{
    if (way->codecs)
        (void)buf_puts(out, way->codecs);
    if (way->decode)
        (void)buf_printf(out, "decode: %s   # review\n", way->decode);
    if (!way->frame_decode)
        return;
    (void)buf_puts(out, "also:\n  frame: {from: ");
    quote(out, way->frame_from);
    (void)buf_printf(out, ", decode: %s}   # review\n", way->frame_decode);
}

static void put_place(const struct guess *g, struct buf *out)
{
    if (g->leaves.each[0]) {
        (void)buf_puts(out, "    each: ");
        quote(out, g->leaves.each);
        (void)buf_puts(out, "   # review: a sample for each item\n");
    }
    (void)buf_puts(out, "    device: ");
    if (g->device && (!g->device_in_topic || g->device->in_item))
        (void)buf_printf(out, "'{%s}'   # review: %s\n", g->device->path, g->device->text);
    else
        (void)buf_puts(out, "'{device}'   # review: of the topic\n");
    if (!g->time)
        return;
    (void)buf_puts(out, "    time: ");
    if (g->time_format) {
        (void)buf_puts(out, "{from: ");
        quote(out, g->time->path);
        (void)buf_puts(out, ", format: \"");
        (void)buf_puts(out, g->time_format);
        (void)buf_puts(out, "\"}");
    } else {
        quote(out, g->time->path);
    }
    (void)buf_printf(out, "   # review: %s\n", g->time->text);
}

static void put_conversion(const struct leaf *l, struct buf *out)
{
    if (l->divide)
        (void)buf_printf(out, ", divide: %u", l->divide);
    if (l->unit)
        (void)buf_printf(out, ", unit: \"%s\"", l->unit);
}

static void put_values(const struct guess *g, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < g->leaves.n; i++) {
        const struct leaf *l = &g->leaves.at[i];
        if (l->role != ROLE_VALUE || l->path[0] == '=')
            continue;
        if (!any)
            (void)buf_puts(out, "    values:\n");
        any = true;
        (void)buf_printf(out, "      \"%s\": {from: ", l->metric->name);
        quote(out, l->path);
        put_conversion(l, out);
        (void)buf_printf(out, "}   # review: %s (%s, %s)\n", l->text,
                         l->metric->title_en ? l->metric->title_en : "", l->metric->unit);
    }
}

static void put_pairs(const struct guess *g, struct buf *out)
{
    bool any = false;
    if (!g->leaves.pairs[0])
        return;
    (void)buf_puts(out, "    pairs:\n      in: ");
    quote(out, g->leaves.pairs);
    (void)buf_printf(out, "\n      name: '@.%s'\n      value: '@.%s'\n      names:%s\n",
                     g->leaves.pair_name, g->leaves.pair_value, "");
    for (size_t i = 0; i < g->leaves.n; i++) {
        const struct leaf *l = &g->leaves.at[i];
        if (l->role != ROLE_VALUE || l->path[0] != '=')
            continue;
        any = true;
        (void)buf_puts(out, "        ");
        quote(out, l->key);
        (void)buf_printf(out, ": {metric: %s", l->metric->name);
        put_conversion(l, out);
        (void)buf_printf(out, "}   # review: %s (%s)\n", l->text, l->metric->unit);
    }
    if (!any)
        (void)buf_puts(out, "        {}   # review: none of the names was understood\n");
}

/* The list that `each` or `pairs` goes through. */
static bool is_used_list(const struct guess *g, const struct leaf *l)
{
    size_t n = strlen(l->path);
    return l->type == JSON_ARRAY && (strcmp(l->path, g->leaves.pairs) == 0 ||
                                     (strncmp(l->path, g->leaves.each, n) == 0 &&
                                      strcmp(g->leaves.each + n, "[*]") == 0));
}

static void put_rest(const struct guess *g, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < g->leaves.n; i++) {
        const struct leaf *l = &g->leaves.at[i];
        if (l->role != ROLE_NONE || is_used_list(g, l))
            continue;
        if (!any)
            (void)buf_puts(out, "    # review: not mapped, no metric was understood:\n");
        any = true;
        char text[GUESS_TEXT];
        memcpy(text, l->text, sizeof(text));
        for (char *c = text; *c; c++)
            *c = (unsigned char)*c < 0x20 ? ' ' : *c;
        (void)buf_printf(out, "    #   %s = %s\n", l->path, text);
    }
}

static size_t count_values(const struct guess *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->leaves.n; i++)
        n += g->leaves.at[i].role == ROLE_VALUE;
    return n;
}

int profile_guess(const char *name, const struct profile_guess_sample *samples, size_t n,
                  const struct catalog *catalog, struct buf *out, const struct kind **out_kind,
                  struct err *err)
{
    struct profile_guess_result result;
    int r = profile_guess_by(name, samples, n, &(struct profile_guess_way){.decode = NULL},
                             catalog, out, &result, err);
    if (r == 0)
        *out_kind = result.kind;
    return r;
}

int profile_guess_by(const char *name, const struct profile_guess_sample *samples, size_t n,
                     const struct profile_guess_way *way, const struct catalog *catalog,
                     struct buf *out, struct profile_guess_result *result, struct err *err)
{
    struct guess g = {.samples = samples, .n = n, .catalog = catalog, .way = way};
    size_t values = 0;
    g.leaves.at = mem_zalloc_array(GUESS_MAX_LEAVES, sizeof(*g.leaves.at));
    int r = check_topics(&g, err);
    if (r == 0)
        r = guess_leaves(&g.leaves, samples, n, err);
    if (r == 0) {
        find_roles(&g);
        find_kind(&g);
        find_values(&g);
        find_topic(&g);
    }
    if (r == 0)
        values = count_values(&g);
    if (r == 0 && values == 0 && !way->decode && !way->frame_decode)
        r = err_set(err, -EINVAL,
                    "none of the names in the samples is understood as a metric of the "
                    "catalogue; write the profile by hand (gaihou-profiles(5))");
    if (r == 0) {
        put_head(&g, name, out);
        put_way(way, out);
        (void)buf_puts(out, "messages:\n  - name: up   # review\n");
        put_place(&g, out);
        put_values(&g, out);
        if (values == 0)
            (void)buf_puts(out, "    values: {}   # review: none was understood\n");
        put_pairs(&g, out);
        put_rest(&g, out);
        *result = (struct profile_guess_result){g.kind, values};
        r = out->failed ? err_set(err, -ENOBUFS, "the profile would be too large") : 0;
    }
    free(g.leaves.at);
    return r;
}
