/* SPDX-License-Identifier: Apache-2.0 */
#include "core/world.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC        "gaihou-bundle 1\n"
#define NATIVE_TOPIC "gaihou/v1/up/{compound}/{device}"

static const char *const part_names[WORLD_PARTS] = {"config", "catalog", "compounds", "devices",
                                                    "params"};

int world_bundle(const struct world_text parts[WORLD_PARTS], struct buf *out)
{
    (void)buf_puts(out, MAGIC);
    for (size_t i = 0; i < WORLD_PARTS; i++) {
        if (!parts[i].file)
            continue;
        (void)buf_printf(out, "%s %zu %s\n", part_names[i], parts[i].len, parts[i].file);
        (void)buf_put(out, parts[i].text, parts[i].len);
        (void)buf_putc(out, '\n');
    }
    return out->failed ? -ENOBUFS : 0;
}

/* One "name length file\n" line; returns what follows it, or NULL. */
static const char *unbundle_head(const char *s, const char *end, char name[16], size_t *out_len,
                                 char **out_file)
{
    const char *nl = memchr(s, '\n', (size_t)(end - s));
    const char *sp = nl ? memchr(s, ' ', (size_t)(nl - s)) : NULL;
    const char *sp2 = sp ? memchr(sp + 1, ' ', (size_t)(nl - sp - 1)) : NULL;
    uint64_t len;
    if (!sp2 || sp - s > 15 || num_get_u64(sp + 1, (size_t)(sp2 - sp - 1), &len) != 0)
        return NULL;
    if (len >= (uint64_t)(end - nl - 1)) /* the text and its newline */
        return NULL;
    memcpy(name, s, (size_t)(sp - s));
    name[sp - s] = '\0';
    *out_len = (size_t)len;
    *out_file = mem_strndup(sp2 + 1, (size_t)(nl - sp2 - 1));
    return nl + 1;
}

static int unbundle(const char *bundle, size_t len, struct world_text parts[WORLD_PARTS],
                    char *files[WORLD_PARTS])
{
    const char *s = bundle, *end = bundle + len;
    if (len < strlen(MAGIC) || memcmp(s, MAGIC, strlen(MAGIC)) != 0)
        return -EINVAL;
    s += strlen(MAGIC);
    while (s < end) {
        char name[16], *file = NULL;
        size_t n = 0, i = 0;
        s = unbundle_head(s, end, name, &n, &file);
        if (!s)
            return -EINVAL;
        while (i < WORLD_PARTS && strcmp(name, part_names[i]) != 0)
            i++;
        if (i == WORLD_PARTS || files[i]) {
            free(file);
            return -EINVAL;
        }
        files[i] = file;
        parts[i] = (struct world_text){file, s, n};
        s += n + 1;
    }
    return 0;
}

static unsigned broker_of(const struct conf *c, const char *id)
{
    for (size_t i = 0; i < c->n_brokers; i++)
        if (strcmp(c->brokers[i].id, id) == 0)
            return (unsigned)i;
    return 0; /* conf_parse has refused unknown ones */
}

static void add_source(struct world *w, const struct conf_source *s, const char *topic,
                       struct problems *problems)
{
    struct world_source *t = &w->sources[w->n_sources];
    const char *why = NULL;
    if (topic_compile(topic, &t->topic, &why) != 0) {
        problems_add(problems, w->conf->file, s->line, 0, "topic \"%s\": %s", topic, why);
        return;
    }
    if (!strstr(topic, "{device}")) {
        problems_add(problems, w->conf->file, s->line, 0,
                     "topic \"%s\" does not say where the device is, expected a level {device}",
                     topic);
        topic_free(t->topic);
        t->topic = NULL;
        return;
    }
    t->broker = broker_of(w->conf, s->broker);
    t->qos = (unsigned)s->qos;
    t->profile = s->profile;
    w->n_sources++;
}

static void add_sources(struct world *w, struct problems *problems)
{
    size_t n = 0;
    for (size_t i = 0; i < w->conf->n_sources; i++)
        n += w->conf->sources[i].topics.n ? w->conf->sources[i].topics.n : 1;
    w->sources = mem_zalloc_array(n, sizeof(*w->sources));
    for (size_t i = 0; i < w->conf->n_sources; i++) {
        const struct conf_source *s = &w->conf->sources[i];
        if (s->topics.n == 0)
            add_source(w, s, NATIVE_TOPIC, problems);
        for (size_t k = 0; k < s->topics.n; k++)
            add_source(w, s, s->topics.items[k], problems);
    }
}

/* QoS 0 begins its accounting at the append: for life-safety devices that is not enough
 * (they may be lost before, unseen). */
static void check_life_safety(const struct world *w, struct problems *problems)
{
    const struct device *ls = NULL;
    for (size_t i = 0; i < registry_devices(w->registry) && !ls; i++)
        if (registry_device_at(w->registry, i)->life_safety)
            ls = registry_device_at(w->registry, i);
    for (size_t i = 0; ls && i < w->conf->n_sources; i++)
        if (w->conf->sources[i].qos == 0)
            problems_add(problems, w->conf->file, w->conf->sources[i].line, 0,
                         "qos: 0 while the registry has life-safety devices (\"%s\"), "
                         "expected qos: 1",
                         ls->code);
}

static int open_parts(const struct world_text parts[WORLD_PARTS], struct problems *problems,
                      struct world **out)
{
    struct world *w = mem_zalloc(sizeof(*w));
    size_t before = problems_errors(problems);
    const struct world_text *c = &parts[WORLD_CONF], *k = &parts[WORLD_CATALOG];
    if (c->file)
        (void)conf_parse(c->text, c->len, c->file, problems, &w->conf);
    if (k->file)
        (void)catalog_parse(k->text, k->len, k->file, problems, &w->catalog);
    if (w->catalog) {
        struct registry_input in[3];
        for (size_t i = 0; i < 3; i++) {
            const struct world_text *t = &parts[WORLD_COMPOUNDS + i];
            in[i] = (struct registry_input){t->file, t->text, t->len};
        }
        (void)registry_parse(&in[0], &in[1], &in[2], w->catalog, problems, &w->registry);
    }
    if (w->conf)
        add_sources(w, problems);
    if (w->conf && w->registry)
        check_life_safety(w, problems);
    if (!w->conf || !w->catalog || !w->registry || problems_errors(problems) != before) {
        world_free(w);
        return -EINVAL;
    }
    *out = w;
    return 0;
}

int world_open(const char *bundle, size_t len, struct problems *problems, struct world **out)
{
    struct world_text parts[WORLD_PARTS] = {{0}};
    char *files[WORLD_PARTS] = {0};
    struct world *w = NULL;
    int r = unbundle(bundle, len, parts, files);
    if (r != 0)
        problems_add(problems, "bundle", 0, 0, "not a bundle that this version can read");
    else
        r = open_parts(parts, problems, &w);
    for (size_t i = 0; i < WORLD_PARTS; i++)
        free(files[i]);
    if (r != 0)
        return r;
    struct hash128 h = hash128(bundle, len);
    (void)snprintf(w->hash, sizeof(w->hash), "%016llx%016llx", (unsigned long long)h.hi,
                   (unsigned long long)h.lo);
    *out = w;
    return 0;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_sources; i++)
        topic_free(w->sources[i].topic);
    free(w->sources);
    registry_free(w->registry);
    catalog_free(w->catalog);
    conf_free(w->conf);
    free(w);
}

size_t world_filters(const struct world *w, unsigned broker, const char **out_filters,
                     unsigned *out_qos, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_sources; i++) {
        if (w->sources[i].broker != broker)
            continue;
        if (n < max) {
            out_filters[n] = topic_filter(w->sources[i].topic);
            out_qos[n] = w->sources[i].qos;
        }
        n++;
    }
    return n;
}
