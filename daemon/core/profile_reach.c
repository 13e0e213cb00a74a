/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places that a profile's codecs can never give: a path to a record that the tlv does not have leads
 * nowhere, in silence, for ever. Said as a warning: what was written for another firmware's frame is
 * no reason to refuse the rest.
 */
#include "core/profile_private.h"

#include <stdio.h>
#include <string.h>

enum { MAX_STEPS = PLAN_MAX_STEPS * (PLAN_MAX_STARS + 3), MAX_OFFERED = 128, NAME = 65 };

static const struct plan_item *item_of(const struct plan_build *b, uint16_t node)
{
    for (size_t i = b->n_items; i-- > 0;)
        if (b->items[i].item == node)
            return &b->items[i];
    return NULL;
}

struct way { /* from the document's root, the last step first */
    struct codec_step steps[MAX_STEPS];
    size_t n;
};

static bool add(struct way *w, struct codec_step s)
{
    if (w->n == MAX_STEPS)
        return false;
    w->steps[w->n++] = s;
    return true;
}

/* One step up; PLAN_NONE: it is not known where it hangs. */
static uint16_t up(const struct plan_build *b, uint16_t node, struct way *w)
{
    const struct plan_node *n = &b->p->nodes[node];
    const struct plan_item *item;
    switch (n->kind) {
    case NODE_MEMBER:
        return add(w, (struct codec_step){CODEC_MEMBER, n->key, n->key_len}) ? n->parent
                                                                             : PLAN_NONE;
    case NODE_INDEX:
        return add(w, (struct codec_step){.kind = CODEC_ELEMENT}) ? n->parent : PLAN_NONE;
    case NODE_ITEM:
        item = item_of(b, node);
        if (!item || (item->kind == LEVEL_ELEMENTS &&
                      !add(w, (struct codec_step){.kind = CODEC_ELEMENT})))
            return PLAN_NONE;
        if (item->kind == LEVEL_MEMBERS &&
            !add(w, (struct codec_step){.kind = CODEC_ANY_MEMBER}))
            return PLAN_NONE;
        return item->in;
    case NODE_DOC:
        break;
    }
    return PLAN_NONE;
}

/* The chain of the document that it is in, with the way there in order; NULL. */
static const struct codec_chain *way_to(const struct plan_build *b, uint16_t node,
                                        struct way *w)
{
    while (node != PLAN_NONE && b->p->nodes[node].kind != NODE_DOC)
        node = up(b, node, w);
    if (node == PLAN_NONE || b->p->nodes[node].doc >= b->p->n_docs)
        return NULL;
    for (size_t i = 0; i < w->n / 2; i++) {
        struct codec_step s = w->steps[i];
        w->steps[i] = w->steps[w->n - 1 - i];
        w->steps[w->n - 1 - i] = s;
    }
    return b->p->docs[b->p->nodes[node].doc].chain;
}

struct offered {
    char names[MAX_OFFERED][NAME];
    const char *list[MAX_OFFERED];
    size_t n;
};

static void offer(void *ctx, const char *name, size_t len)
{
    struct offered *o = ctx;
    if (o->n == MAX_OFFERED || len >= NAME)
        return;
    memcpy(o->names[o->n], name, len);
    o->names[o->n][len] = '\0';
    o->list[o->n] = o->names[o->n];
    o->n++;
}

static void say(struct plan_build *b, const struct yaml_node *at, const struct codec_chain *c,
                const struct way *w)
{
    const struct codec_step *last = &w->steps[w->n - 1];
    char word[NAME];
    if (last->kind != CODEC_MEMBER) {
        conf_warn(b->notes, AT(at), "its codec never gives a list there, nothing comes of it");
        return;
    }
    struct offered o = {.n = 0};
    (void)snprintf(word, sizeof(word), "%.*s", (int)(last->len < 64 ? last->len : 64),
                   last->key);
    codec_chain_names(c, w->steps, w->n - 1, offer, &o);
    const char *near = err_nearest(word, o.list, o.n);
    conf_warn(b->notes, AT(at), "its codec never gives \"%s\", nothing comes of it%s%s%s", word,
              near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

void plan_reach(struct plan_build *b, const struct yaml_node *at, uint16_t node,
                const char *key, size_t len)
{
    struct way w = {.n = 0};
    if (key && !add(&w, (struct codec_step){CODEC_MEMBER, key, len}))
        return;
    const struct codec_chain *c = way_to(b, node, &w);
    if (!c || !at || b->common || w.n == 0 || codec_chain_gives(c, w.steps, w.n))
        return;
    /* the first step that is wrong has been told where it was made */
    if (codec_chain_gives(c, w.steps, w.n - 1))
        say(b, at, c, &w);
}
