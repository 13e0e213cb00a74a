/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a codec can give, without any bytes: whether a place may ever be in its documents, and which
 * names are. For profiles whose paths lead nowhere.
 */
#include "core/codec_plan_private.h"

static bool in_fields(const struct codec_look *l, const struct codec_layout *in, size_t at);

static void say(const struct codec_look *l, struct codec_span name)
{
    if (l->name && name.n)
        l->name(l->ctx, name.p, name.n);
}

/* {0} and {1} of a tlv's names are a byte each, in decimal: one to three digits, and what follows may
 * be digits, too. So all places of the key are kept to which what was read so far may reach: bit i
 * is the i-th. A key that is longer is taken for one of them: nobody is told of what may be right. */
static bool fits(struct codec_span name, bool templated, const char *key, size_t n)
{
    uint64_t at = 1, digits = 0;
    if (!templated || n > 63)
        return templated || (name.n == n && memcmp(name.p, key, n) == 0);
    for (size_t i = 0; i < n; i++)
        digits |= (uint64_t)(key[i] >= '0' && key[i] <= '9') << i;
    for (size_t i = 0; i < name.n && at; i++) {
        uint64_t next = 0;
        if (name.n - i >= 3 && name.p[i] == '{' && name.p[i + 2] == '}') {
            for (unsigned k = 0; k < 3; k++)
                next |= at = (at & digits) << 1;
            i += 2;
        } else {
            for (size_t k = 0; k < n; k++)
                next |= (at >> k & (key[k] == name.p[i])) << (k + 1);
        }
        at = next;
    }
    return at >> n & 1;
}

bool codec_look_name(const struct codec_look *l, struct codec_span name, bool templated,
                     size_t at)
{
    const struct codec_step *s = &l->steps[at];
    if (at == l->n) {
        say(l, name);
        return true;
    }
    return name.n && (s->kind == CODEC_ANY_MEMBER ||
                      (s->kind == CODEC_MEMBER && fits(name, templated, s->key, s->len)));
}

bool codec_look_element(const struct codec_look *l, size_t *at)
{
    if (*at == l->n || l->steps[*at].kind != CODEC_ELEMENT)
        return false;
    ++*at;
    return true;
}

/* The value of the field stands at step `at`. */
static bool in_value(const struct codec_look *l, const struct codec_field *f, size_t at)
{
    if (f->list && !codec_look_element(l, &at))
        return at == l->n;
    if (f->form == FORM_DECODE)
        return codec_op_gives(l, f->chain->ops[0], at);
    if (f->form != FORM_GROUP)
        return at == l->n;
    if (f->repeat.kind != AMOUNT_NONE && !codec_look_element(l, &at))
        return at == l->n;
    return in_fields(l, &f->inner, at);
}

/* The field is a member, or gives some, of the object at step `at`. */
static bool in_field(const struct codec_look *l, const struct codec_field *f, size_t at)
{
    bool found = false;
    for (size_t i = 0; i < f->n_bits; i++)
        if (codec_look_name(l, f->bits[i].name, f->templated, at))
            found = found || at + 1 >= l->n;
    if (f->form == FORM_SWITCH) {
        for (size_t i = 0; i < f->n_cases; i++)
            found = in_fields(l, &f->cases[i].layout, at) || found;
        return in_fields(l, &f->inner, at) || found;
    }
    if (f->name.n) {
        if (at == l->n)
            say(l, f->name);
        else if (codec_look_name(l, f->name, f->templated, at))
            found = in_value(l, f, at + 1) || found;
        return found;
    }
    if (f->form == FORM_GROUP)
        return in_fields(l, &f->inner, at) || found;
    if (f->form == FORM_DECODE)
        return codec_op_gives(l, f->chain->ops[0], at) || found;
    return found;
}

static bool in_fields(const struct codec_look *l, const struct codec_layout *in, size_t at)
{
    bool found = at == l->n;
    for (size_t i = 0; i < in->n; i++)
        found = in_field(l, &in->fields[i], at) || found;
    return found;
}

bool codec_look_fields(const struct codec_look *l, const struct codec_layout *in, size_t at)
{
    return in_fields(l, in, at);
}

bool codec_look_field(const struct codec_look *l, const struct codec_field *f, size_t at)
{
    return in_field(l, f, at);
}

bool codec_gives_scalar(const struct codec_op *op, const struct codec_look *l, size_t at)
{
    (void)op;
    return at == l->n;
}

bool codec_op_gives(const struct codec_look *l, const struct codec_op *op, size_t at)
{
    return !op->gives || op->gives(op, l, at); /* nothing is known of it: anything */
}

static bool look(const struct codec_chain *c, const struct codec_look *l)
{
    return c->state != CHAIN_SETTLED || c->n_ops == 0 ||
           codec_op_gives(l, c->ops[c->n_ops - 1], 0);
}

bool codec_chain_gives(const struct codec_chain *c, const struct codec_step *steps, size_t n)
{
    return look(c, &(struct codec_look){.steps = steps, .n = n});
}

void codec_chain_names(const struct codec_chain *c, const struct codec_step *steps, size_t n,
                       void (*name)(void *ctx, const char *name, size_t len), void *ctx)
{
    (void)look(c, &(struct codec_look){.steps = steps, .n = n, .name = name, .ctx = ctx});
}
