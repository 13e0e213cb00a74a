/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set: files are read, codecs defined, profiles compiled; and the simple questions.
 */
#include "core/profile.h"
#include "base/check.h"
#include "base/mem.h"
#include "core/profile_private.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 1024 };
static const size_t arena_max = (size_t)1 << 30;

struct file { /* being read */
    struct conf_notes notes;
    struct arena tree;
    struct yaml_node *root;
    const struct yaml_node *version, *profile, *codecs, *title, *vendor, *source, *verified;
    const struct yaml_node *kinds, *topics, *messages, *examples;
    const struct yaml_node *others[9]; /* defaults: core/profile_message.c reads them */
    bool known;                        /* none of its keys is wrongly written */
};

static void read_title(struct plan_build *b, const struct yaml_node *n)
{
    const struct yaml_node *zh = NULL, *en = NULL;
    const struct plan_key keys[] = {{"zh", &zh}, {"en", &en}};
    if (!plan_is_map(b, n, "title"))
        return;
    plan_read_map(b, n, keys, 2, "title");
    const char *z = zh ? plan_scalar_text(b, zh, "zh") : NULL;
    const char *e = en ? plan_scalar_text(b, en, "en") : NULL;
    b->p->title_zh = plan_text_copy(b, z ? z : "", z ? strlen(z) : 0);
    b->p->title_en = plan_text_copy(b, e ? e : "", e ? strlen(e) : 0);
}

static const char *short_text(struct plan_build *b, const struct yaml_node *n, const char *what)
{
    const char *s = n ? plan_scalar_text(b, n, what) : NULL;
    if (s && (strlen(s) > 512 || !text_is_plain(s, strlen(s)))) {
        conf_error(b->notes, AT(n), "%s has more than 512 bytes or a line end", what);
        s = NULL;
    }
    return plan_text_copy(b, s ? s : "", s ? strlen(s) : 0);
}

static void read_version(struct file *f)
{
    if (!f->version && f->known)
        conf_error(&f->notes, f->root->line, f->root->col, "\"version: 1\" is missing");
    else if (f->version &&
             (f->version->kind != YAML_SCALAR || strcmp(f->version->text, "1") != 0))
        conf_error(&f->notes, AT(f->version), "version %.16s, expected 1", f->version->text);
}

static void read_file(struct file *f, const struct profile_text *t, struct plan_build *b)
{
    static const char *const defaults[] = {"decode",   "also",  "time", "device",
                                           "compound", "point", "id"};
    arena_init(&f->tree, (size_t)64 << 20);
    f->root = yaml_parse(t->text, t->len, &f->tree, &f->notes);
    b->notes = &f->notes;
    if (!f->root || !plan_is_map(b, f->root, "a profile")) {
        f->root = NULL;
        return;
    }
    struct plan_key keys[32] = {
        {"version", &f->version},   {"profile", &f->profile},  {"codecs", &f->codecs},
        {"title", &f->title},       {"vendor", &f->vendor},    {"source", &f->source},
        {"verified", &f->verified}, {"kinds", &f->kinds},      {"topics", &f->topics},
        {"messages", &f->messages}, {"examples", &f->examples}};
    size_t n = 11;
    for (size_t i = 0; i < 7; i++, n++)
        keys[n] = (struct plan_key){defaults[i], &f->others[i]};
    f->known = plan_read_map(b, f->root, keys, n, "a profile's file");
    read_version(f);
    if (!f->profile && !f->codecs && f->known)
        conf_error(&f->notes, AT(f->root), "expected `profile: NAME`, `codecs:` or both");
    if (f->codecs && plan_is_map(b, f->codecs, "codecs"))
        (void)codec_set_add(b->set->codecs, f->codecs, t->file, &f->notes);
}

static bool name_of(struct plan_build *b, const struct file *f, const char **out)
{
    const char *s = plan_scalar_text(b, f->profile, "profile");
    if (!s)
        return false;
    if (!text_is_kind(s, strlen(s))) {
        conf_error(b->notes, AT(f->profile),
                   "profile \"%.64s\", expected [a-z][a-z0-9-]*, at most 64", s);
        return false;
    }
    const struct profile *other = profile_find(b->set, s);
    if (strcmp(s, "gaihou-json") == 0)
        conf_error(b->notes, AT(f->profile), "gaihou-json is the name of the native profile");
    else if (other)
        conf_error(b->notes, AT(f->profile), "profile \"%s\" is in %s already", s, other->file);
    *out = plan_text_copy(b, s, strlen(s));
    return true;
}

static void check_verified(struct profile *p, struct plan_build *b, const struct file *f)
{
    p->verified = plan_bool(b, f->verified, "verified", true);
}

static void read_profile(struct file *f, const struct profile_text *t, struct plan_build *b)
{
    struct profile_set *s = b->set;
    const char *name = NULL;
    const struct yaml_node *only[] = {f->title, f->vendor, f->source,   f->verified,
                                      f->kinds, f->topics, f->messages, f->examples};
    if (!f->profile) {
        for (size_t i = 0; i < 8 && f->known; i++)
            if (only[i])
                conf_error(&f->notes, AT(only[i]->key), "\"%s\" without `profile: NAME`",
                           only[i]->key->text);
        return;
    }
    if (!name_of(b, f, &name))
        return;
    struct profile *p = mem_zalloc(sizeof(*p));
    b->p = p;
    p->set = s;
    p->name = name;
    p->file = plan_text_copy(b, t->file, strlen(t->file));
    p->line = f->profile->line;
    p->title_zh = p->title_en = "";
    if (f->title)
        read_title(b, f->title);
    p->vendor = short_text(b, f->vendor, "vendor");
    p->source = short_text(b, f->source, "source");
    check_verified(p, b, f);
    b->kinds_refused = f->kinds && !plan_kinds(b, f->kinds, &p->kinds);
    if (f->kinds && !b->kinds_refused)
        p->first_kind =
            catalog_kind(s->catalog, f->kinds->first->text, strlen(f->kinds->first->text));
    b->texts_refused = !f->known;
    if (f->messages)
        plan_messages(b, f->root, f->messages);
    else if (f->known)
        conf_error(&f->notes, AT(f->profile->key), "\"messages\" is missing");
    plan_finish_nodes(b);
    struct plan_capture *c = plan_take(b, b->n_captures, sizeof(*c));
    if (b->n_captures)
        memcpy(c, b->captures, b->n_captures * sizeof(*c));
    p->captures = c;
    p->n_captures = b->n_captures;
    free(b->captures);
    free(b->items);
    free(b->conds);
    if (f->examples)
        plan_examples(b, f->examples);
    s->profiles[s->n++] = p;
}

int profile_set_open(const struct profile_text *files, size_t n, const struct catalog *catalog,
                     const struct zone *zone, struct problems *problems,
                     struct profile_set **out)
{
    if (n > MAX_FILES) {
        problems_add(problems, files[MAX_FILES].file, 0, 0, "more than %d files of profiles",
                     MAX_FILES);
        return -EINVAL;
    }
    struct profile_set *s = mem_zalloc(sizeof(*s));
    struct file *f = mem_zalloc_array(n + 1, sizeof(*f));
    size_t errors = 0;
    arena_init(&s->arena, arena_max);
    s->catalog = catalog;
    s->zone = zone;
    s->codecs = codec_set_new();
    s->profiles = mem_zalloc_array(n + 1, sizeof(*s->profiles));
    for (size_t i = 0; i < n; i++) {
        struct plan_build b = {.set = s};
        read_file(&f[i], &files[i], &b);
    }
    bool settled = codec_set_settle(s->codecs, problems) == 0;
    for (size_t i = 0; i < n; i++) {
        struct plan_build b = {.set = s, .notes = &f[i].notes};
        if (f[i].root)
            read_profile(&f[i], &files[i], &b);
    }
    for (size_t i = 0; i < n; i++) {
        errors += f[i].notes.errors;
        conf_notes_hand_over(&f[i].notes, files[i].file, problems);
        conf_notes_done(&f[i].notes);
        arena_done(&f[i].tree);
    }
    free(f);
    if (errors || !settled) {
        profile_set_free(s);
        return -EINVAL;
    }
    *out = s;
    return 0;
}

static void profile_free(struct profile *p)
{
    for (size_t i = 0; i < p->n_patterns; i++)
        topic_free(p->patterns[i]);
    free(p->nodes);
    free(p->docs);
    free(p->texts);
    free(p);
}

struct codec_set *profile_set_codecs(struct profile_set *s)
{
    return s->codecs;
}

void profile_set_free(struct profile_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        profile_free(s->profiles[i]);
    free(s->profiles);
    plan_tables_free(s);
    codec_set_free(s->codecs);
    arena_done(&s->arena);
    free(s);
}

size_t profile_set_count(const struct profile_set *s)
{
    return s->n;
}

const struct profile *profile_set_at(const struct profile_set *s, size_t i)
{
    return s->profiles[i];
}

const struct profile *profile_find(const struct profile_set *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->profiles[i]->name, name) == 0)
            return s->profiles[i];
    return NULL;
}

const char *profile_nearest(const struct profile_set *s, const char *name)
{
    const char **names = mem_zalloc_array(s->n + 1, sizeof(*names));
    for (size_t i = 0; i < s->n; i++)
        names[i] = s->profiles[i]->name;
    const char *near = err_nearest(name, names, s->n);
    free(names);
    return near;
}

const char *profile_name(const struct profile *p)
{
    return p->name;
}

const char *profile_vendor(const struct profile *p)
{
    return p->vendor;
}

bool profile_verified(const struct profile *p)
{
    return p->verified;
}

size_t profile_topics(const struct profile *p)
{
    return p->n_topics;
}

const char *profile_topic(const struct profile *p, size_t i)
{
    ASSERT(i < p->n_topics);
    return p->topics[i];
}

bool profile_uses_capture(const struct profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_captures; i++)
        if (p->captures[i].topic == PLAN_NONE && strcmp(p->captures[i].name, name) == 0)
            return true;
    return false;
}

const char *profile_missing_capture(const struct profile *p, const struct topic_pattern *t)
{
    for (size_t i = 0; i < p->n_captures; i++)
        if (p->captures[i].topic == PLAN_NONE && !topic_has(t, p->captures[i].name))
            return p->captures[i].name;
    return NULL;
}
