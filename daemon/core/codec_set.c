/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of definitions: names, chains as they are written, and settling them. */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/codec_plan_private.h"
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_NAMES_OFFERED = 1024 };
static const size_t arena_max = (size_t)1 << 30;

struct codec_set *codec_set_new(void)
{
    struct codec_set *s = mem_zalloc(sizeof(*s));
    arena_init(&s->arena, arena_max);
    s->cap_defs = 64;
    s->defs = mem_zalloc_array(s->cap_defs, sizeof(*s->defs));
    table_init(&s->names, s->cap_defs);
    return s;
}

void codec_set_free(struct codec_set *s)
{
    if (!s)
        return;
    table_done(&s->names);
    free(s->defs);
    arena_done(&s->arena);
    free(s);
}

static uint64_t hash_of(const char *name)
{
    return hash64(hash_seed(), name, strlen(name));
}

static bool same_name(const void *ctx, uint32_t value, const void *key, size_t key_len)
{
    const char *name = ((const struct codec_set *)ctx)->defs[value].name;
    return strlen(name) == key_len && memcmp(name, key, key_len) == 0;
}

static struct codec_def *find(struct codec_set *s, const char *name)
{
    uint32_t i = table_find(&s->names, hash_of(name), same_name, s, name, strlen(name));
    return i == UINT32_MAX ? NULL : &s->defs[i];
}

static void add(struct codec_set *s, struct codec_def def)
{
    if (s->n_defs == s->cap_defs) {
        s->cap_defs *= 2;
        s->defs = mem_realloc_array(s->defs, s->cap_defs, sizeof(*s->defs));
        table_done(&s->names);
        table_init(&s->names, s->cap_defs);
        for (size_t i = 0; i < s->n_defs; i++)
            table_add(&s->names, hash_of(s->defs[i].name), (uint32_t)i);
    }
    s->defs[s->n_defs] = def;
    table_add(&s->names, hash_of(def.name), (uint32_t)s->n_defs++);
}

static const struct codec_word *word_of(const char *name)
{
    for (size_t i = 0; i < codec_n_words; i++) {
        if (strcmp(codec_words[i].op.name, name) == 0)
            return &codec_words[i];
    }
    return NULL;
}

/* The nearest among steps (and definitions); NULL. */
static const char *nearest(const struct codec_set *s, const char *name, bool defs)
{
    const char *names[MAX_NAMES_OFFERED];
    size_t n = 0;
    for (size_t i = 0; i < codec_n_words; i++)
        names[n++] = codec_words[i].op.name;
    for (size_t i = 0; defs && i < s->n_defs && n < MAX_NAMES_OFFERED; i++)
        names[n++] = s->defs[i].name;
    return err_nearest(name, names, n);
}

/* ---- chains as they are written ---- */

/* The word that a mapping defines a step with. */
static const struct yaml_node *step_key(const struct yaml_node *map)
{
    for (const struct yaml_node *v = map->first; v; v = v->next) {
        if (word_of(v->key->text))
            return v;
    }
    return NULL;
}

static bool parse_map_step(struct codec_parse *c, const struct yaml_node *n,
                           struct codec_link *link)
{
    const struct yaml_node *v = step_key(n);
    if (!v) {
        const char *first = n->first ? n->first->key->text : "";
        const char *near = nearest(c->set, first, false);
        conf_error(c->notes, AT(n), "\"%.64s\" is no step of decoding, %s%s%s", first,
                   near ? "did you mean \"" : "expected one such as struct, tlv, csv or frame",
                   near ? near : "", near ? "\"?" : "");
        return false;
    }
    const struct codec_word *w = word_of(v->key->text);
    struct codec_op *op = codec_take(c, sizeof(*op));
    *op = w->op;
    struct codec_parse inner = *c;
    inner.op = op;
    inner.n_slots = 0;
    link->op = op;
    if (!w->parse) {
        conf_error(c->notes, AT(v->key), "%s takes no options, write it alone", op->name);
        return false;
    }
    return w->parse(&inner, v, n, op);
}

static bool parse_word_step(struct codec_parse *c, const struct yaml_node *n,
                            struct codec_link *link)
{
    const struct codec_word *w = word_of(n->text);
    if (w && !w->op.to_bytes && !w->op.to_value) {
        conf_error(c->notes, AT(n), "%s needs to be told more: \"%s: …\"", n->text, n->text);
        return false;
    }
    if (w)
        link->op = &w->op;
    else
        link->name = codec_take_text(c, n->text);
    return true;
}

static bool parse_step(struct codec_parse *c, const struct yaml_node *n,
                       struct codec_link *link)
{
    link->line = n->line;
    link->col = n->col;
    switch (n->kind) {
    case YAML_MAP:
        return parse_map_step(c, n, link);
    case YAML_SCALAR:
        if (!yaml_is_null(n))
            return parse_word_step(c, n, link);
        break;
    case YAML_LIST:
        break;
    case YAML_BAD:
        return false;
    }
    conf_error(c->notes, AT(n),
               "expected a step of decoding: a name such as base64, or one "
               "with options such as slice: [2, -1]");
    return false;
}

struct codec_chain *codec_parse_chain(struct codec_parse *c, const struct yaml_node *n)
{
    struct codec_chain *chain = codec_take(c, sizeof(*chain));
    bool good = true;
    chain->file = c->file;
    const struct yaml_node *step = n->kind == YAML_LIST ? n->first : n;
    if (!step) {
        conf_error(c->notes, AT(n), "an empty list, expected steps of decoding");
        return NULL;
    }
    while (step) {
        if (chain->n_links == CODEC_MAX_STEPS) {
            conf_error(c->notes, AT(step), "more than %d steps", CODEC_MAX_STEPS);
            return NULL;
        }
        good = parse_step(c, step, &chain->links[chain->n_links++]) && good;
        step = n->kind == YAML_LIST ? step->next : NULL;
    }
    if (!good)
        return NULL;
    chain->next = c->set->chains;
    c->set->chains = chain;
    return chain;
}

struct codec_chain *codec_parse_sub(struct codec_parse *c, const struct yaml_node *n, bool flat)
{
    struct codec_chain *chain = codec_parse_chain(c, n);
    if (!chain)
        return NULL;
    struct codec_sub *sub = codec_take(c, sizeof(*sub));
    *sub = (struct codec_sub){
        .chain = chain, .flat = flat, .line = n->line, .col = n->col, .next = c->op->subs};
    c->op->subs = sub;
    return chain;
}

/* ---- definitions ---- */

static void parse_def(struct codec_parse *c, const struct yaml_node *n)
{
    const char *name = n->key->text;
    const struct codec_def *old = find(c->set, name);
    if (!text_is_kind(name, strlen(name))) {
        conf_error(c->notes, AT(n->key),
                   "\"%.64s\" is no name of a codec, expected a-z, 0-9 and -", name);
        return;
    }
    if (word_of(name)) {
        conf_error(c->notes, AT(n->key), "%s is built in and cannot be defined", name);
        return;
    }
    if (old) {
        conf_error(c->notes, AT(n->key), "%s is defined already: %s:%d", name, old->file,
                   old->line);
        return;
    }
    struct codec_def def = {.name = codec_take_text(c, name),
                            .file = c->file,
                            .line = n->key->line,
                            .chain = codec_parse_chain(c, n)};
    add(c->set, def);
}

int codec_set_add(struct codec_set *s, const struct yaml_node *map, const char *file,
                  struct conf_notes *notes)
{
    size_t before = notes->errors;
    struct codec_parse c = {.set = s, .notes = notes};
    ASSERT(!s->settled);
    c.file = codec_take_text(&c, file);
    if (map->kind == YAML_MAP) {
        for (const struct yaml_node *n = map->first; n; n = n->next)
            parse_def(&c, n);
    } else if (map->kind != YAML_BAD) {
        conf_error(notes, AT(map), "codecs: expected a mapping of names to definitions");
    }
    return notes->errors == before ? 0 : -EINVAL;
}

/* ---- settling ---- */

struct settle {
    struct codec_set *set;
    struct problems *problems; /* one of the two */
    struct conf_notes *notes;
};

static void complain(struct settle *t, const struct codec_chain *c, int line, int col,
                     const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void complain(struct settle *t, const struct codec_chain *c, int line, int col,
                     const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (t->notes)
        conf_error(t->notes, line, col, "%s", text);
    else
        problems_add(t->problems, c->file, line, col, "%s", text);
}

static bool settle_chain(struct settle *t, struct codec_chain *c, unsigned depth);

/* How deep runs of this chain nest, so that the order of settling is no matter. */
static bool raise(struct settle *t, struct codec_chain *c, int line, int col, unsigned height)
{
    if (height > CODEC_MAX_NEST) {
        complain(t, c, line, col, "codecs within codecs deeper than %d", CODEC_MAX_NEST);
        return false;
    }
    if (height > c->height)
        c->height = height;
    return true;
}

static bool settle_subs(struct settle *t, struct codec_chain *c, const struct codec_op *op,
                        unsigned depth)
{
    bool good = true;
    for (const struct codec_sub *s = op->subs; s; s = s->next) {
        if (!settle_chain(t, s->chain, depth + 1)) {
            good = false;
        } else if (s->chain->n_ops != 1 || s->chain->ops[0]->to_bytes) {
            complain(t, c, s->line, s->col,
                     "decode of a field is one step to values, expected such as tlv or struct");
            good = false;
        } else if (s->flat && !s->chain->ops[0]->to_members) {
            complain(t, c, s->line, s->col,
                     "a field without a name can be decoded by struct and tlv only: give it "
                     "a name");
            good = false;
        } else {
            good = raise(t, c, s->line, s->col, s->chain->height + 1) && good;
        }
    }
    return good;
}

static struct codec_chain *look_up(struct settle *t, const struct codec_chain *c,
                                   const struct codec_link *l)
{
    struct codec_def *def = find(t->set, l->name);
    if (def)
        return def->chain; /* NULL: wrong itself, told already */
    const char *near = nearest(t->set, l->name, true);
    complain(t, c, l->line, l->col, "there is no codec \"%.64s\"%s%s%s", l->name,
             near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

static bool append(struct settle *t, struct codec_chain *c, const struct codec_link *l,
                   const struct codec_op *const *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (c->n_ops == CODEC_MAX_STEPS) {
            complain(t, c, l->line, l->col, "more than %d steps in all", CODEC_MAX_STEPS);
            return false;
        }
        if (c->n_ops && !c->ops[c->n_ops - 1]->to_bytes) {
            complain(t, c, l->line, l->col, "nothing can come after %s, which gives values",
                     c->ops[c->n_ops - 1]->name);
            return false;
        }
        c->ops[c->n_ops++] = ops[i];
    }
    return true;
}

static bool settle_link(struct settle *t, struct codec_chain *c, const struct codec_link *l,
                        unsigned depth)
{
    if (l->op)
        return settle_subs(t, c, l->op, depth) && append(t, c, l, &l->op, 1);
    struct codec_chain *inner = look_up(t, c, l);
    if (!inner)
        return false;
    if (inner->state == CHAIN_OPEN) {
        complain(t, c, l->line, l->col, "%s is defined by itself", l->name);
        return false;
    }
    return settle_chain(t, inner, depth + 1) && raise(t, c, l->line, l->col, inner->height) &&
           append(t, c, l, inner->ops, inner->n_ops);
}

static bool settle_chain(struct settle *t, struct codec_chain *c, unsigned depth)
{
    if (c->state == CHAIN_SETTLED || c->state == CHAIN_WRONG)
        return c->state == CHAIN_SETTLED;
    if (c->state == CHAIN_OPEN || depth > CODEC_MAX_NEST) {
        complain(t, c, c->links[0].line, c->links[0].col,
                 c->state == CHAIN_OPEN ? "this codec is defined by itself"
                                        : "codecs within codecs too deep");
        return false;
    }
    bool good = true;
    c->state = CHAIN_OPEN;
    for (unsigned i = 0; i < c->n_links; i++)
        good = settle_link(t, c, &c->links[i], depth) && good;
    c->state = good ? CHAIN_SETTLED : CHAIN_WRONG;
    return good;
}

/* In the order of the files: the list has the last first. */
int codec_set_settle(struct codec_set *s, struct problems *problems)
{
    struct settle t = {.set = s, .problems = problems};
    struct codec_chain *in_order = NULL, *next;
    bool good = true;
    for (struct codec_chain *c = s->chains; c; c = next) {
        next = c->next;
        c->next = in_order;
        in_order = c;
    }
    for (struct codec_chain *c = in_order; c; c = c->next)
        good = settle_chain(&t, c, 0) && good;
    s->chains = NULL; /* what comes later is settled when it is parsed */
    s->settled = true;
    return good ? 0 : -EINVAL;
}

static const struct codec_op *bytes_op(void)
{
    return &word_of("bytes")->op;
}

struct codec_chain *codec_chain_parse(struct codec_set *s, const struct yaml_node *n,
                                      struct conf_notes *notes)
{
    struct codec_parse c = {.set = s, .notes = notes, .file = ""};
    struct settle t = {.set = s, .notes = notes};
    ASSERT(s->settled);
    struct codec_chain *chain = codec_parse_chain(&c, n);
    if (!chain || !settle_chain(&t, chain, 0))
        return NULL;
    if (chain->ops[chain->n_ops - 1]->to_bytes) {
        const struct codec_op *op = bytes_op();
        if (!append(&t, chain, &chain->links[chain->n_links - 1], &op, 1))
            return NULL;
    }
    return chain;
}
