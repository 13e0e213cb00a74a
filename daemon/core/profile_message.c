/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `messages:` compiled: each kind of message with its documents and parts.
 */
#include "base/mem.h"
#include "core/profile_private.h"
#include "core/text.h"

#include <string.h>

struct place_keys { /* what a profile, a message and a part may each say */
    const struct yaml_node *each, *device, *compound, *point, *id, *time, *alive;
    const struct yaml_node *values, *fields, *pairs, *quality, *when;
    const struct place_keys *common; /* the profile's, where it has several messages; NULL */
};
#define PLACE_KEYS(k)                                                                          \
    {"each", &(k).each}, {"device", &(k).device}, {"compound", &(k).compound},                 \
        {"point", &(k).point}, {"id", &(k).id}, {"time", &(k).time}, {"alive", &(k).alive},    \
        {"values", &(k).values}, {"fields", &(k).fields}, {"pairs", &(k).pairs},               \
        {"quality", &(k).quality},                                                             \
    {                                                                                          \
        "when", &(k).when                                                                      \
    }

struct message_keys {
    struct place_keys place;
    const struct yaml_node *name, *topic, *decode, *also, *ignore, *refuse, *parts;
    bool known; /* none of its keys is wrongly written */
};

struct defaults { /* of the profile */
    const struct yaml_node *decode, *also;
    struct place_keys place;
    bool several; /* messages that they are for */
};

/* ---- reasons ---- */

static const struct {
    const char *word;
    enum ledger_count count;
} ignored[] = {{"downlink", LEDGER_IGNORED_DOWNLINK}, {"reply", LEDGER_IGNORED_REPLY},
               {"log", LEDGER_IGNORED_LOG},           {"join", LEDGER_IGNORED_JOIN},
               {"birth", LEDGER_IGNORED_BIRTH},       {"config", LEDGER_IGNORED_CONFIG},
               {"test", LEDGER_IGNORED_TEST},         {"simulated", LEDGER_IGNORED_SIMULATED},
               {"status", LEDGER_IGNORED_STATUS},     {"heartbeat", LEDGER_IGNORED_HEARTBEAT},
               {"stale", LEDGER_IGNORED_STALE},       {"empty", LEDGER_IGNORED_EMPTY},
               {"other", LEDGER_IGNORED_OTHER}};
enum { N_IGNORED = sizeof(ignored) / sizeof(*ignored) };

bool plan_ignore_reason(const char *word, enum ledger_count *out)
{
    for (size_t i = 0; i < N_IGNORED; i++) {
        if (strcmp(ignored[i].word, word) == 0) {
            *out = ignored[i].count;
            return true;
        }
    }
    return false;
}

const char *const *plan_ignore_words(size_t *out_n)
{
    static const char *words[N_IGNORED];
    for (size_t i = 0; i < N_IGNORED; i++)
        words[i] = ignored[i].word;
    *out_n = N_IGNORED;
    return words;
}

/* ---- documents ---- */

static void bind_also(struct plan_build *b, const struct yaml_node *also)
{
    struct plan_scope *s = b->scope;
    if (!also || !plan_is_map(b, also, "also"))
        return;
    for (const struct yaml_node *v = also->first; v; v = v->next) {
        const struct yaml_node *from = NULL, *decode = NULL;
        const struct plan_key keys[] = {{"from", &from}, {"decode", &decode}};
        if (!text_is_name(v->key->text, strlen(v->key->text)))
            conf_error(b->notes, AT(v->key), "document \"%.64s\", expected [a-z][a-z0-9_]*",
                       v->key->text);
        if (!plan_is_map(b, v, "a document"))
            continue;
        plan_read_map(b, v, keys, 2, "a document of `also`");
        if (!from || !decode || from->kind != YAML_SCALAR) {
            conf_error(b->notes, AT(v->key), "a document needs `from` (a path) and `decode`");
            continue;
        }
        size_t i = 1;
        while (i < s->n_docs && strcmp(s->docs[i].name, v->key->text) != 0)
            i++;
        if (i == s->n_docs && i > PLAN_MAX_ALSO) {
            conf_error(b->notes, AT(v->key), "more than %d documents", PLAN_MAX_ALSO);
            return;
        }
        if (i == s->n_docs)
            s->n_docs++;
        s->docs[i] =
            (struct plan_binding){.name = plan_text_copy(b, v->key->text, strlen(v->key->text)),
                                  .decode = decode,
                                  .from = from,
                                  .at = v->key,
                                  .doc = -1};
    }
}

/* Documents that the message does not change are the profile's, so that the first look at one
 * serves all messages that are tried. */
static void bind(struct plan_build *b, const struct defaults *d, const struct message_keys *k,
                 const struct plan_scope *of_profile)
{
    struct plan_scope *s = b->scope;
    *s = *of_profile;
    if (k->decode) {
        s->docs[0] =
            (struct plan_binding){.name = "", .decode = k->decode, .at = k->decode, .doc = -1};
        s->n_docs = 1;
        bind_also(b, d->also);
    }
    bind_also(b, k->also);
}

/* What hangs on the items of another part's `each` is compiled anew in this one. */
static void forget_items(struct plan_scope *s)
{
    for (size_t i = 0; i < s->n_docs; i++)
        if (s->docs[i].of_item)
            s->docs[i].doc = -1;
}

/* ---- parts ---- */

static const struct yaml_node *or_else(const struct yaml_node *a, const struct yaml_node *c)
{
    return a ? a : c;
}

static uint16_t text_or_none(struct plan_build *b, const struct yaml_node *n)
{
    return n && !yaml_is_null(n) ? plan_text(b, n) : PLAN_NONE;
}

/* A capture of that name stands in when nothing is said. */
static uint16_t text_or_capture(struct plan_build *b, const struct yaml_node *n,
                                const char *text)
{
    struct profile *p = b->p;
    struct yaml_node made = {.kind = YAML_SCALAR, .text = text};
    if (n)
        return text_or_none(b, n);
    bool there =
        b->scope->topic_index != PLAN_NONE && strstr(p->topics[b->scope->topic_index], text);
    if (!there)
        for (size_t i = 0; i < p->n_topics; i++)
            if (!strstr(p->topics[i], text))
                return PLAN_NONE;
    return there || p->n_topics ? plan_text(b, &made) : PLAN_NONE;
}

/* Is it the profile's, for several messages? What one of them does not have another may. */
static const struct yaml_node *whose(struct plan_build *b, const struct place_keys *k,
                                     const struct yaml_node *v)
{
    const struct place_keys *c = k->common;
    b->common = c && v && (v == c->device || v == c->point || v == c->id || v == c->time);
    return v;
}

static void part_of(struct plan_build *b, const struct yaml_node *at,
                    const struct place_keys *k, const struct plan_when *when,
                    struct plan_part *part)
{
    struct plan_scope *s = b->scope;
    *part = (struct plan_part){.when = when};
    s->n_levels = 0;
    forget_items(s);
    if (k->each && !yaml_is_null(k->each))
        (void)plan_each(b, k->each, part);
    if (k->when)
        part->when = plan_when(b, k->when);
    part->device = text_or_capture(b, whose(b, k, k->device), "{device}");
    if (part->device == PLAN_NONE && !k->device && !b->texts_refused)
        conf_error(b->notes, AT(at),
                   "\"device\" is missing: the text that names the device, "
                   "like \"{$.devEui}\"");
    b->common = false;
    part->compound = text_or_capture(b, k->compound, "{compound}");
    part->point = text_or_none(b, whose(b, k, k->point));
    part->id = text_or_none(b, whose(b, k, k->id));
    part->time = k->time ? plan_times(b, whose(b, k, k->time)) : NULL;
    b->common = false;
    part->not_alive = !plan_bool(b, k->alive, "alive", true);
    if (k->quality)
        plan_quality_of(b, k->quality, &part->quality, &part->n_quality);
    if (k->values)
        plan_values(b, k->values, part);
    plan_fields_of(b, k->fields, k->pairs, part);
    for (size_t i = 1; i < s->n_docs; i++) /* so that unused ones are checked, too */
        (void)plan_document(b, s->docs[i].at, s->docs[i].name, strlen(s->docs[i].name));
    s->n_levels = 0;
}

static void inherit(struct place_keys *k, const struct place_keys *from)
{
    k->each = or_else(k->each, from->each);
    k->device = or_else(k->device, from->device);
    k->compound = or_else(k->compound, from->compound);
    k->point = or_else(k->point, from->point);
    k->id = or_else(k->id, from->id);
    k->time = or_else(k->time, from->time);
    k->alive = or_else(k->alive, from->alive);
    k->quality = or_else(k->quality, from->quality);
}

static bool text_is_of_message(const struct profile *p, uint16_t text)
{
    for (; text != PLAN_NONE; text = p->texts[text].next)
        if (p->texts[text].slot)
            return false;
    return true;
}

static bool is_of_message(const struct profile *p, const struct plan_part *a)
{
    return text_is_of_message(p, a->device) && text_is_of_message(p, a->compound) &&
           text_is_of_message(p, a->point) && text_is_of_message(p, a->id) &&
           (!a->time || a->time->slot == 0);
}

static bool places_alike(const struct plan_part *a, const struct plan_part *b)
{
    return a->device == b->device && a->compound == b->compound && a->point == b->point &&
           a->id == b->id && a->time == b->time && a->not_alive == b->not_alive;
}

/* Which parts' samples are of one device and time, whatever they hold. */
static void find_alike(const struct profile *p, struct plan_part *list, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (!is_of_message(p, &list[i]))
            continue;
        for (size_t k = 0; k < i && !list[i].like; k++) {
            if (!places_alike(&list[i], &list[k]))
                continue;
            list[k].like = &list[k];
            list[i].like = &list[k];
        }
    }
}

static void parts_of(struct plan_build *b, const struct yaml_node *at,
                     const struct message_keys *k, struct plan_message *m)
{
    struct plan_part *list = plan_take(b, PLAN_MAX_PARTS + 1, sizeof(*list));
    size_t n = 0;
    bool own = k->place.values || k->place.fields || k->place.pairs;
    if (own) {
        struct place_keys mine = k->place;
        mine.when = NULL; /* the message's, held already */
        part_of(b, at, &mine, NULL, &list[n++]);
    }
    if (k->parts && (k->parts->kind != YAML_LIST || !k->parts->first)) {
        conf_error(b->notes, AT(k->parts), "parts is %s, expected a list",
                   k->parts->kind == YAML_LIST ? "empty" : plan_kind_of(k->parts));
    } else if (k->parts) {
        for (const struct yaml_node *v = k->parts->first; v; v = v->next) {
            struct place_keys mine = {0};
            const struct plan_key keys[] = {PLACE_KEYS(mine)};
            if (n == PLAN_MAX_PARTS) {
                conf_error(b->notes, AT(v), "more than %d parts", PLAN_MAX_PARTS);
                break;
            }
            if (!plan_is_map(b, v, "a part"))
                continue;
            bool known = plan_read_map(b, v, keys, 12, "a part");
            if (known && !mine.values && !mine.fields && !mine.pairs)
                conf_error(b->notes, AT(v), "a part needs values, fields or pairs");
            inherit(&mine, &k->place);
            mine.common = k->place.common;
            part_of(b, v, &mine, NULL, &list[n++]);
        }
    } else if (!own && k->known) {
        conf_error(b->notes, AT(at),
                   "a message needs values, fields, pairs or parts, or else ignore or refuse");
    }
    find_alike(b->p, list, n);
    m->parts = list;
    m->n_parts = n;
}

/* ---- messages ---- */

static uint16_t add_pattern(struct plan_build *b, const struct yaml_node *n)
{
    struct profile *p = b->p;
    const char *s = plan_scalar_text(b, n, "a topic"), *why = NULL;
    struct topic_pattern *t = NULL;
    if (!s)
        return PLAN_NONE;
    for (size_t i = p->n_topics; i < p->n_patterns; i++)
        if (strcmp(p->topics[i], s) == 0)
            return (uint16_t)i;
    if (p->n_patterns == PLAN_MAX_TOPICS + PLAN_MAX_MESSAGES) {
        conf_error(b->notes, AT(n), "too many topics");
        return PLAN_NONE;
    }
    if (topic_compile(s, &t, &why) < 0) {
        conf_error(b->notes, AT(n), "topic \"%.128s\": %s", s, why);
        b->texts_refused = true;
        return PLAN_NONE;
    }
    p->patterns[p->n_patterns] = t;
    p->topics[p->n_patterns] = plan_text_copy(b, s, strlen(s));
    return (uint16_t)p->n_patterns++;
}

static void topics_of(struct plan_build *b, const struct yaml_node *n)
{
    struct profile *p = b->p;
    if (n->kind != YAML_LIST || !n->first) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n), "topics is %s, expected a list",
                       n->kind == YAML_LIST ? "empty" : plan_kind_of(n));
        return;
    }
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        if (p->n_patterns == PLAN_MAX_TOPICS) {
            conf_error(b->notes, AT(v), "more than %d topics", PLAN_MAX_TOPICS);
            break;
        }
        (void)add_pattern(b, v);
    }
    p->n_topics = p->n_patterns;
}

static void nothing_of(struct plan_build *b, const struct yaml_node *at,
                       const struct message_keys *k, struct plan_message *m)
{
    const struct yaml_node *said[] = {k->place.values, k->place.fields,  k->place.pairs,
                                      k->parts,        k->place.quality, k->place.each};
    for (size_t i = 0; i < 6; i++)
        if (said[i])
            conf_error(b->notes, AT(said[i]->key), "\"%s\" in a message that gives no data",
                       said[i]->key->text);
    if (k->ignore && k->refuse)
        conf_error(b->notes, AT(at), "ignore and refuse: one of them is expected");
    m->alive = plan_bool(b, k->place.alive, "alive", false);
    if (k->refuse) {
        const char *s = plan_scalar_text(b, k->refuse, "refuse");
        m->refuse = plan_text_copy(b, s ? s : "", s ? strlen(s) : 0);
        return;
    }
    const char *s = plan_scalar_text(b, k->ignore, "ignore");
    size_t n;
    const char *const *words = plan_ignore_words(&n);
    m->ignore = true;
    if (s && !plan_ignore_reason(s, &m->reason))
        plan_unknown(b, k->ignore, "unknown reason to ignore", s, words, n);
    if (m->alive) {
        m->device = text_or_capture(b, k->place.device, "{device}");
        if (m->device == PLAN_NONE && !k->place.device && !b->texts_refused)
            conf_error(b->notes, AT(k->place.alive),
                       "alive: of which device? \"device\" is "
                       "missing");
    }
}

static void message_of(struct plan_build *b, const struct yaml_node *n,
                       const struct defaults *d, const struct plan_scope *of_profile,
                       struct plan_message *m)
{
    struct message_keys k = {0};
    const struct plan_key keys[] = {PLACE_KEYS(k.place),   {"name", &k.name},
                                    {"topic", &k.topic},   {"decode", &k.decode},
                                    {"also", &k.also},     {"ignore", &k.ignore},
                                    {"refuse", &k.refuse}, {"parts", &k.parts}};
    *m = (struct plan_message){.name = "", .topic = PLAN_NONE, .device = PLAN_NONE};
    k.known = plan_read_map(b, n, keys, 19, "a message");
    if (k.name) {
        const char *s = plan_scalar_text(b, k.name, "name");
        if (s)
            m->name = plan_text_copy(b, s, strlen(s) < 64 ? strlen(s) : 64);
    }
    bind(b, d, &k, of_profile);
    if (k.topic)
        m->topic = add_pattern(b, k.topic);
    b->scope->topic_index = m->topic;
    int doc = plan_document(b, n, "", 0);
    m->doc = doc >= 0 ? (uint16_t)doc : PLAN_NONE;
    m->sparkplug = doc >= 0 && b->p->docs[doc].sparkplug;
    if (k.place.when)
        m->when = plan_when(b, k.place.when);
    inherit(&k.place, &d->place);
    k.place.common = d->several ? &d->place : NULL;
    if (k.ignore || k.refuse) {
        k.place.each = NULL;
        nothing_of(b, n, &k, m);
    } else {
        parts_of(b, n, &k, m);
    }
}

static const struct yaml_node *name_of(const struct yaml_node *message)
{
    const struct yaml_node *v = message->kind == YAML_MAP ? message->first : NULL;
    while (v && strcmp(v->key->text, "name") != 0)
        v = v->next;
    return v && v->kind == YAML_SCALAR && !yaml_is_null(v) ? v : NULL;
}

/* Names are what people are told of a message by: one name, one message. */
static void check_names(struct plan_build *b, const struct yaml_node *messages)
{
    for (const struct yaml_node *v = messages->first; v; v = v->next) {
        const struct yaml_node *name = name_of(v), *first = NULL;
        for (const struct yaml_node *w = messages->first; name && w != v && !first;
             w = w->next) {
            first = name_of(w);
            if (first && strcmp(first->text, name->text) != 0)
                first = NULL;
        }
        if (first)
            conf_error(b->notes, AT(name), "message \"%.64s\" is repeated, first in line %d",
                       name->text, first->line);
    }
}

/* Values, fields, pairs or parts may stand at the profile itself: it then has one message. */
void plan_messages(struct plan_build *b, const struct yaml_node *root,
                   const struct yaml_node *messages)
{
    struct defaults d = {0};
    const struct yaml_node *topics = NULL;
    for (const struct yaml_node *v = root->first; v; v = v->next) {
        const struct {
            const char *name;
            const struct yaml_node **to;
        } wanted[] = {{"topics", &topics},         {"decode", &d.decode},
                      {"also", &d.also},           {"time", &d.place.time},
                      {"device", &d.place.device}, {"compound", &d.place.compound},
                      {"point", &d.place.point},   {"id", &d.place.id}};
        for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
            if (!*wanted[i].to && strcmp(v->key->text, wanted[i].name) == 0)
                *wanted[i].to = v;
    }
    struct profile *p = b->p;
    struct plan_scope scope = {.n_docs = 1, .topic_index = PLAN_NONE}, of_profile;
    b->scope = &scope;
    p->topics = plan_take(b, PLAN_MAX_TOPICS + PLAN_MAX_MESSAGES, sizeof(*p->topics));
    p->patterns = plan_take(b, PLAN_MAX_TOPICS + PLAN_MAX_MESSAGES, sizeof(*p->patterns));
    if (topics)
        topics_of(b, topics);
    p->n_slots = 1; /* the message itself */
    scope.docs[0] =
        (struct plan_binding){.name = "", .decode = d.decode, .at = root, .doc = -1};
    (void)plan_document(b, root, "", 0);
    bind_also(b, d.also);
    for (size_t i = 1; i < scope.n_docs; i++) /* those that hang on items: later */
        if (*scope.docs[i].from->text == '$')
            (void)plan_document(b, scope.docs[i].at, scope.docs[i].name,
                                strlen(scope.docs[i].name));
    of_profile = scope;
    d.several = messages->kind == YAML_LIST && messages->first && messages->first->next;
    struct plan_message *list = plan_take(b, PLAN_MAX_MESSAGES, sizeof(*list));
    if (messages->kind != YAML_LIST || !messages->first) {
        if (messages->kind != YAML_BAD)
            conf_error(b->notes, AT(messages), "messages is %s, expected a list",
                       messages->kind == YAML_LIST ? "empty" : plan_kind_of(messages));
        return;
    }
    for (const struct yaml_node *v = messages->first; v; v = v->next) {
        if (p->n_messages == PLAN_MAX_MESSAGES) {
            conf_error(b->notes, AT(v), "more than %d messages", PLAN_MAX_MESSAGES);
            break;
        }
        if (plan_is_map(b, v, "a message"))
            message_of(b, v, &d, &of_profile, &list[p->n_messages++]);
    }
    if (plan_count(messages) <= PLAN_MAX_MESSAGES)
        check_names(b, messages);
    p->messages = list;
    b->scope = NULL;
}
