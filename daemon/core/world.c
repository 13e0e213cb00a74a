/* SPDX-License-Identifier: Apache-2.0 */
#include "core/world_private.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE_TOPIC "gaihou/v1/up/{compound}/{device}"

static unsigned broker_of(const struct conf *c, const char *id)
{
    for (size_t i = 0; i < c->n_brokers; i++)
        if (strcmp(c->brokers[i].id, id) == 0)
            return (unsigned)i;
    return 0; /* conf_parse has refused unknown ones */
}

static struct conf_place place_of(const struct world *w, unsigned index, const char *option)
{
    return conf_place(w->conf, &w->conf->sources[index], option);
}

/* -- sources ------------------------------------------------------------------------------ */

/* The profile's own topics stand in its file: of those it is the source that is told. */
__attribute__((format(printf, 4, 5))) static void bad_topic(const struct world *w,
                                                            unsigned index,
                                                            struct problems *problems,
                                                            const char *fmt, ...)
{
    const struct conf_place at = place_of(w, index, "sources.topics");
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    problems_add(problems, w->conf->file, at.line, at.col, "%s", text);
}

/* What the messages' device is taken from must be in the topic. */
static bool has_captures(const struct world *w, const struct world_source *t, const char *topic,
                         struct problems *problems)
{
    const struct conf_source *s = &w->conf->sources[t->index];
    const char *lacks = t->profile ? profile_missing_capture(t->profile, t->topic)
                        : strstr(topic, "{device}") ? NULL
                                                    : "device";
    if (lacks)
        bad_topic(w, t->index, problems,
                  "topic \"%s\" has no level {%s}, which profile %s needs", topic, lacks,
                  s->profile);
    return !lacks;
}

/* A compound in the topic is held against the device's: one firm's device cannot write into another's
 * history. A name that is written wrongly would leave that out, and nobody would see it. */
static bool has_real_names(const struct world *w, const struct world_source *t,
                           const char *topic, struct problems *problems)
{
    static const char *const compound[] = {"compound"};
    const char *name;
    for (size_t i = 0; (name = topic_capture_at(t->topic, i)); i++) {
        if (topic_has(t->topic, *compound) || !err_nearest(name, compound, 1) ||
            (t->profile && profile_uses_capture(t->profile, name)) ||
            problems_are_kept(problems))
            continue;
        bad_topic(w, t->index, problems, "topic \"%s\": nobody reads {%s}, did you mean {%s}?",
                  topic, name, *compound);
        return false;
    }
    return true;
}

static void add_topic(struct world *w, unsigned index, const struct profile *p,
                      const char *topic, struct problems *problems)
{
    const struct conf_source *s = &w->conf->sources[index];
    struct world_source t = {.profile = p,
                             .broker = broker_of(w->conf, s->broker),
                             .qos = (unsigned)s->qos,
                             .index = index};
    const char *why = NULL;
    if (topic_compile(topic, &t.topic, &why) != 0)
        bad_topic(w, index, problems, "topic \"%s\": %s", topic, why);
    else if (has_captures(w, &t, topic, problems) && has_real_names(w, &t, topic, problems))
        w->sources[w->n_sources++] = t;
    else
        topic_free(t.topic);
}

static void refuse_profile(const struct world *w, unsigned index, struct problems *problems)
{
    static const char *const native[] = {WORLD_NATIVE};
    const struct conf_source *s = &w->conf->sources[index];
    const struct conf_place at = place_of(w, index, "sources.profile");
    const char *near = profile_nearest(w->profiles, s->profile);
    if (!near)
        near = err_nearest(s->profile, native, 1);
    if (near)
        problems_add(problems, w->conf->file, at.line, at.col,
                     "sources.profile: there is no profile \"%s\", did you mean \"%s\"?",
                     s->profile, near);
    else
        problems_add(problems, w->conf->file, at.line, at.col,
                     "sources.profile: there is no profile \"%s\", expected " WORLD_NATIVE
                     " or one of the %zu in the files of profiles:",
                     s->profile, profile_set_count(w->profiles));
}

/* Told once, at the first source that uses it. */
static void warn_unverified(const struct world *w, unsigned index, const struct profile *p,
                            struct problems *problems)
{
    const struct conf_source *s = &w->conf->sources[index];
    for (unsigned i = 0; i < index; i++)
        if (strcmp(w->conf->sources[i].profile, s->profile) == 0)
            return;
    const struct conf_place at = place_of(w, index, "sources.profile");
    if (!profile_verified(p))
        problems_warn(problems, w->conf->file, at.line, at.col,
                      "profile %s is unverified: it was written from documents, not from "
                      "messages of a device; compare its first values with the device's own",
                      s->profile);
}

static void add_source(struct world *w, unsigned index, struct problems *problems)
{
    const struct conf_source *s = &w->conf->sources[index];
    const struct profile *p = NULL;
    bool native = strcmp(s->profile, WORLD_NATIVE) == 0;
    if (!native) {
        p = profile_find(w->profiles, s->profile);
        if (!p) {
            refuse_profile(w, index, problems);
            return;
        }
        warn_unverified(w, index, p, problems);
    }
    for (size_t k = 0; k < s->topics.n; k++)
        add_topic(w, index, p, s->topics.items[k], problems);
    if (s->topics.n)
        return;
    if (native)
        add_topic(w, index, NULL, NATIVE_TOPIC, problems);
    else if (profile_topics(p) == 0)
        bad_topic(w, index, problems,
                  "sources.topics is missing: profile %s has no topics of its own", s->profile);
    for (size_t k = 0; !native && k < profile_topics(p); k++)
        add_topic(w, index, p, profile_topic(p, k), problems);
}

static size_t topics_of(const struct world *w, const struct conf_source *s)
{
    const struct profile *p = profile_find(w->profiles, s->profile);
    return s->topics.n ? s->topics.n : p ? profile_topics(p) : 1;
}

static void add_sources(struct world *w, struct problems *problems)
{
    size_t n = 0;
    for (size_t i = 0; i < w->conf->n_sources; i++)
        n += topics_of(w, &w->conf->sources[i]);
    w->sources = mem_zalloc_array(n, sizeof(*w->sources));
    for (unsigned i = 0; i < w->conf->n_sources; i++)
        add_source(w, i, problems);
    if (profile_find(w->profiles, WORLD_NATIVE))
        problems_verdict(problems, w->conf->file, 0, 0,
                         "profiles: one calls itself " WORLD_NATIVE
                         ", which is built in, expected another name");
}

static void add_routes(struct world *w)
{
    size_t n = w->conf->n_brokers;
    w->routes = mem_zalloc_array(n + 1, sizeof(*w->routes));
    for (size_t i = 0; i <= n; i++)
        w->routes[i] = route_new();
    for (uint32_t i = 0; i < w->n_sources; i++) {
        route_add(w->routes[w->sources[i].broker], w->sources[i].topic, i);
        route_add(w->routes[n], w->sources[i].topic, i);
    }
}

size_t world_route(const struct world *w, unsigned broker, const char *topic, size_t len,
                   uint32_t out_sources[ROUTE_MAX_HITS])
{
    size_t n = w->conf->n_brokers;
    return route_find(w->routes[broker < n ? broker : n], topic, len, out_sources);
}

/* QoS 0 begins its accounting at the append: for life-safety devices that is not enough
 * (they may be lost before, unseen). */
static void check_life_safety(const struct world *w, struct problems *problems)
{
    const struct device *ls = NULL;
    for (size_t i = 0; i < registry_devices(w->registry) && !ls; i++)
        if (registry_device_at(w->registry, i)->life_safety)
            ls = registry_device_at(w->registry, i);
    for (unsigned i = 0; ls && i < w->conf->n_sources; i++) {
        const struct conf_place at = place_of(w, i, "sources.qos");
        if (w->conf->sources[i].qos == 0)
            problems_verdict(problems, w->conf->file, at.line, at.col,
                             "qos: 0 while the registry has life-safety devices (\"%s\"), "
                             "expected qos: 1",
                             ls->code);
    }
}

/* -- opening ------------------------------------------------------------------------------ */

/* Bundles of 0.1 have no zone, and nothing that asks for one. */
static void open_zone(struct world *w, const struct world_text *t, struct problems *problems)
{
    static const char utc[] = "-9223372036854775808 0\n";
    if (t->file && world_zone_read(t->text, t->len, &w->zone) != 0)
        problems_add(problems, "bundle", 0, 0, "its time zone cannot be read");
    else if (!t->file && (!w->conf || zone_open(w->conf->gateway.timezone, &w->zone) != 0))
        (void)world_zone_read(utc, strlen(utc), &w->zone);
}

static void open_profiles(struct world *w, const struct world_unbundled *u,
                          struct problems *problems)
{
    struct profile_text *texts = mem_zalloc_array(u->n_profiles, sizeof(*texts));
    for (size_t i = 0; i < u->n_profiles; i++)
        texts[i] =
            (struct profile_text){u->profiles[i].file, u->profiles[i].text, u->profiles[i].len};
    (void)profile_set_open(texts, u->n_profiles, w->catalog, w->zone, problems, &w->profiles);
    free(texts);
}

static void open_registry(struct world *w, const struct world_unbundled *u,
                          struct problems *problems)
{
    struct registry_input in[3];
    for (size_t i = 0; i < 3; i++) {
        const struct world_text *t = &u->parts[WORLD_COMPOUNDS + i];
        in[i] = (struct registry_input){t->file, t->text, t->len};
    }
    (void)registry_parse(&in[0], &in[1], &in[2], w->catalog, problems, &w->registry);
}

/* By the hash of its code: spread over the day, and the same in each generation. */
static void spread_over_day(struct world *w)
{
    size_t n = registry_devices(w->registry);
    uint16_t *minute = mem_zalloc_array(n, sizeof(*minute));
    uint32_t at[WORLD_DAY];
    for (size_t i = 0; i < n; i++) {
        const char *code = registry_device_at(w->registry, i)->code;
        minute[i] = (uint16_t)(hash64(7, code, strlen(code)) % WORLD_DAY);
        w->minutes[minute[i] + 1]++;
    }
    for (size_t m = 0; m < WORLD_DAY; m++) {
        w->minutes[m + 1] += w->minutes[m];
        at[m] = w->minutes[m];
    }
    w->by_minute = mem_zalloc_array(n, sizeof(*w->by_minute));
    for (uint32_t i = 0; i < n; i++)
        w->by_minute[at[minute[i]]++] = i;
    free(minute);
}

static int open_parts(const struct world_unbundled *u, bool all_rules,
                      struct problems *problems, struct world **out)
{
    struct world *w = mem_zalloc(sizeof(*w));
    size_t before = problems_errors(problems);
    const struct world_text *c = &u->parts[WORLD_CONF], *k = &u->parts[WORLD_CATALOG];
    if (c->file)
        (void)conf_parse(c->text, c->len, c->file, problems, &w->conf);
    if (k->file)
        (void)catalog_parse(k->text, k->len, k->file, problems, &w->catalog);
    open_zone(w, &u->parts[WORLD_ZONE], problems);
    if (w->catalog && w->zone)
        open_profiles(w, u, problems);
    if (w->catalog)
        open_registry(w, u, problems);
    if (w->catalog)
        world_open_rules(w, u, problems);
    if (w->conf && w->profiles)
        add_sources(w, problems);
    if (w->conf && w->registry)
        check_life_safety(w, problems);
    if (w->conf && w->registry && w->rules)
        world_check_rules(w, all_rules, problems);
    if (!w->conf || !w->catalog || !w->registry || !w->profiles || !w->rules ||
        problems_errors(problems) != before) {
        world_free(w);
        return -EINVAL;
    }
    add_routes(w);
    spread_over_day(w);
    *out = w;
    return 0;
}

static int open_bundle(const char *bundle, size_t len, bool all_rules,
                       struct problems *problems, struct world **out)
{
    struct world_unbundled *u = mem_zalloc(sizeof(*u));
    struct world *w = NULL;
    int r = world_unbundle(bundle, len, u);
    if (r != 0)
        problems_add(problems, "bundle", 0, 0, "not a bundle that this version can read");
    else
        r = open_parts(u, all_rules, problems, &w);
    world_unbundled_done(u);
    free(u);
    if (r != 0)
        return r;
    struct hash128 h = hash128(bundle, len);
    (void)snprintf(w->hash, sizeof(w->hash), "%016llx%016llx", (unsigned long long)h.hi,
                   (unsigned long long)h.lo);
    *out = w;
    return 0;
}

int world_open(const char *bundle, size_t len, struct problems *problems, struct world **out)
{
    return open_bundle(bundle, len, true, problems, out);
}

int world_open_some_rules(const char *bundle, size_t len, struct problems *problems,
                          struct world **out)
{
    return open_bundle(bundle, len, false, problems, out);
}

/* -- the generation before ---------------------------------------------------------------- */

struct world_link {
    char before[33];         /* its hash */
    uint32_t *older, *newer; /* by index: the other's index, or NONE */
};

#define NONE UINT32_MAX

static uint32_t *look_up(const struct registry *of, const struct registry *in)
{
    size_t n = registry_devices(of);
    uint32_t *map = mem_zalloc_array(n, sizeof(*map));
    for (size_t i = 0; i < n; i++) {
        const char *code = registry_device_at(of, i)->code;
        const struct device *d = registry_find(in, code, strlen(code));
        map[i] = d ? d->index : NONE;
    }
    return map;
}

static void link_free(struct world_link *l)
{
    if (!l)
        return;
    free(l->older);
    free(l->newer);
    free(l);
}

void world_link(struct world *w, const struct world *before)
{
    link_free(w->link);
    w->link = mem_zalloc(sizeof(*w->link));
    memcpy(w->link->before, before->hash, sizeof(w->link->before));
    w->link->older = look_up(w->registry, before->registry);
    w->link->newer = look_up(before->registry, w->registry);
}

static bool is_linked(const struct world *w, const struct world *before)
{
    return w->link && memcmp(w->link->before, before->hash, sizeof(w->link->before)) == 0;
}

const struct device *world_device_before(const struct world *w, const struct world *before,
                                         const struct device *d)
{
    if (!is_linked(w, before))
        return registry_find(before->registry, d->code, strlen(d->code));
    uint32_t i = w->link->older[d->index];
    return i == NONE ? NULL : registry_device_at(before->registry, i);
}

const struct device *world_device_after(const struct world *w, const struct world *before,
                                        const struct device *old)
{
    if (!is_linked(w, before))
        return registry_find(w->registry, old->code, strlen(old->code));
    uint32_t i = w->link->newer[old->index];
    return i == NONE ? NULL : registry_device_at(w->registry, i);
}

bool world_serves(const struct world *w, const struct device *d)
{
    switch ((enum conf_lane)w->conf->gateway.lane) {
    case CONF_LANE_ROUTINE:
        return !d->life_safety;
    case CONF_LANE_LIFE_SAFETY:
        return d->life_safety;
    case CONF_LANE_ALL:
        break;
    }
    return true;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    link_free(w->link);
    for (size_t i = 0; w->routes && i <= w->conf->n_brokers; i++)
        route_free(w->routes[i]);
    free(w->routes);
    free(w->by_minute);
    for (size_t i = 0; i < w->n_sources; i++)
        topic_free(w->sources[i].topic);
    free(w->sources);
    rules_free(w->rules);
    profile_set_free(w->profiles);
    zone_free(w->zone);
    registry_free(w->registry);
    catalog_free(w->catalog);
    conf_free(w->conf);
    free(w);
}

struct filters {
    const char **filters;
    const struct topic_pattern **patterns;
    unsigned *qos;
    size_t n;
};

/* Read as a topic, a filter fits every pattern that covers it: few are left to be compared. */
static bool is_covered(const struct world *w, unsigned broker, const struct filters *f,
                       size_t i)
{
    uint32_t hits[ROUTE_MAX_HITS];
    size_t n = world_route(w, broker, f->filters[i], strlen(f->filters[i]), hits);
    for (size_t k = 0; k < n; k++) {
        const struct world_source *s = &w->sources[hits[k]];
        if (s->qos >= f->qos[i] && strcmp(topic_filter(s->topic), f->filters[i]) != 0 &&
            topic_covered(f->patterns[i], s->topic))
            return true;
    }
    return false;
}

static bool same_filter(const void *ctx, uint32_t value, const void *key, size_t key_len)
{
    const struct filters *f = ctx;
    return strlen(f->filters[value]) == key_len && memcmp(f->filters[value], key, key_len) == 0;
}

size_t world_filters(const struct world *w, unsigned broker, const char **out_filters,
                     unsigned *out_qos, size_t max)
{
    struct filters f = {mem_zalloc_array(w->n_sources, sizeof(*f.filters)),
                        mem_zalloc_array(w->n_sources, sizeof(*f.patterns)),
                        mem_zalloc_array(w->n_sources, sizeof(*f.qos)), 0};
    struct table seen;
    table_init(&seen, w->n_sources);
    for (size_t i = 0; i < w->n_sources; i++) {
        const struct world_source *s = &w->sources[i];
        if (s->broker != broker)
            continue;
        const char *filter = topic_filter(s->topic);
        size_t len = strlen(filter);
        uint64_t hash = hash64(hash_seed(), filter, len);
        uint32_t at = table_find(&seen, hash, same_filter, &f, filter, len);
        if (at == UINT32_MAX) {
            at = (uint32_t)f.n++;
            f.filters[at] = filter;
            f.patterns[at] = s->topic;
            table_add(&seen, hash, at);
        }
        if (s->qos > f.qos[at])
            f.qos[at] = s->qos;
    }
    size_t n = 0;
    for (size_t i = 0; i < f.n; i++) {
        if (is_covered(w, broker, &f, i))
            continue;
        if (n < max) {
            out_filters[n] = f.filters[i];
            out_qos[n] = f.qos[i];
        }
        n++;
    }
    table_done(&seen);
    free(f.filters);
    free(f.patterns);
    free(f.qos);
    return n;
}
