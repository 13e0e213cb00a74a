/* SPDX-License-Identifier: Apache-2.0 */
/* Building blocks; the bytes of headers and bodies are in block_codec.c. */
#include "core/block.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLACK       (1u << 20) /* the longest line */
#define FIRST_SLOTS 64

/* Shares of one open block: an array in order of appearance, found by the text's hash. */
struct tally {
    struct block_share *shares;
    size_t n, cap;
    uint32_t *slots; /* index + 1, 0 is free; a power of two, at most half full */
    size_t n_slots;
    struct block_share *last; /* messages come in runs of one compound */
};

struct open_block {
    struct buf raw;
    struct tally tally;
    uint32_t lines, unwritable, no_time;
    int64_t min_time_ms, max_time_ms;
    struct position from, to;
    bool placed;  /* from is set */
    bool touched; /* in the running step */
};

struct block_builder {
    struct block_rules rules;
    struct open_block open[2]; /* by class */
    struct block **parts;      /* closed in the middle of a step, all `more` */
    size_t n_parts, cap_parts;
    size_t first_running; /* parts from here on belong to the running step */
    uint64_t part_points;
    struct lineproto_refused left_out;
};

void block_free(struct block *b)
{
    if (!b)
        return;
    free(b->shares);
    free(b->body);
    free(b);
}

size_t block_memory(const struct block *b)
{
    return sizeof(*b) + (b->body ? b->info.body_bytes : 0) +
           b->info.n_shares * sizeof(*b->shares);
}

static void tally_init(struct tally *t)
{
    *t = (struct tally){.n_slots = FIRST_SLOTS};
    t->slots = mem_zalloc_array(t->n_slots, sizeof(*t->slots));
}

static void tally_done(struct tally *t)
{
    free(t->shares);
    free(t->slots);
    *t = (struct tally){0};
}

static void tally_clear(struct tally *t)
{
    memset(t->slots, 0, t->n_slots * sizeof(*t->slots));
    t->n = 0;
    t->last = NULL;
}

static size_t tally_place(const struct tally *t, const char *compound, size_t len)
{
    size_t mask = t->n_slots - 1;
    size_t at = (size_t)hash64(hash_seed(), compound, len) & mask;
    while (t->slots[at] && strcmp(t->shares[t->slots[at] - 1].compound, compound) != 0)
        at = (at + 1) & mask;
    return at;
}

static void tally_grow(struct tally *t)
{
    free(t->slots);
    t->n_slots *= 2;
    t->slots = mem_zalloc_array(t->n_slots, sizeof(*t->slots));
    for (size_t i = 0; i < t->n; i++) {
        const char *c = t->shares[i].compound;
        t->slots[tally_place(t, c, strlen(c))] = (uint32_t)i + 1;
    }
}

static struct block_share *tally_find(struct tally *t, const char *compound)
{
    if (t->last && strcmp(t->last->compound, compound) == 0)
        return t->last;
    char name[sizeof(t->last->compound)];
    size_t len = strlen(compound);
    if (len >= sizeof(name)) { /* codes are at most 64 long; never more than that is kept */
        len = sizeof(name) - 1;
        memcpy(name, compound, len);
        name[len] = '\0';
        compound = name;
    }
    size_t at = tally_place(t, compound, len);
    if (!t->slots[at]) {
        if (t->n == t->cap) {
            t->cap = t->cap ? t->cap * 2 : 16;
            t->shares = mem_realloc_array(t->shares, t->cap, sizeof(*t->shares));
        }
        struct block_share *s = &t->shares[t->n++];
        memset(s, 0, sizeof(*s));
        memcpy(s->compound, compound, len);
        t->slots[at] = (uint32_t)t->n;
        if (t->n * 2 > t->n_slots)
            tally_grow(t);
        t->last = s;
        return s;
    }
    return t->last = &t->shares[t->slots[at] - 1];
}

static void open_clear(struct open_block *o)
{
    buf_clear(&o->raw);
    tally_clear(&o->tally);
    o->lines = o->unwritable = o->no_time = 0;
    o->placed = false;
}

struct block_builder *block_builder_new(const struct block_rules *r)
{
    struct block_builder *bb = mem_zalloc(sizeof(*bb));
    bb->rules = *r;
    ASSERT(r->bytes < BLOCK_BODY_MAX / 4);
    for (int c = 0; c < 2; c++) {
        buf_init(&bb->open[c].raw, r->bytes * 2 + SLACK);
        tally_init(&bb->open[c].tally);
    }
    return bb;
}

void block_builder_free(struct block_builder *bb)
{
    if (!bb)
        return;
    for (int c = 0; c < 2; c++) {
        buf_done(&bb->open[c].raw);
        tally_done(&bb->open[c].tally);
    }
    for (size_t i = 0; i < bb->n_parts; i++)
        block_free(bb->parts[i]);
    free(bb->parts);
    free(bb);
}

/* Body of the lines, compressed where that makes it smaller. */
static char *make_body(const struct block_builder *bb, const struct buf *raw,
                       struct block_info *i)
{
    i->raw_bytes = (uint32_t)raw->len;
    i->gzip = false;
    i->body_bytes = i->raw_bytes;
    if (bb->rules.gzip && raw->len > 0) {
        struct buf packed;
        buf_init(&packed, raw->len);
        if (block_pack(raw->data, raw->len, &packed) == 0) {
            i->gzip = true;
            i->body_bytes = (uint32_t)packed.len;
            char *body = mem_dup(packed.data, packed.len);
            buf_done(&packed);
            return body;
        }
        buf_done(&packed);
    }
    return mem_dup(raw->data, raw->len);
}

static void close_part(struct block_builder *bb, struct open_block *o, int class_)
{
    struct block *b = mem_zalloc(sizeof(*b));
    b->info = (struct block_info){
        .class_ = class_ == POINT_KEEP ? POINT_KEEP : POINT_ROUTINE,
        .from = o->placed ? o->from : (struct position){0}, /* then the running step's */
        .to = o->to,
        .min_time_ms = o->lines ? o->min_time_ms : 0,
        .max_time_ms = o->lines ? o->max_time_ms : 0,
        .lines = o->lines,
        .no_time = o->no_time,
        .n_shares = o->tally.n,
    };
    b->more = true;
    b->shares = mem_dup(o->tally.shares, o->tally.n * sizeof(*b->shares));
    b->info.shares = b->shares;
    b->body = make_body(bb, &o->raw, &b->info);
    if (bb->n_parts == bb->cap_parts) {
        bb->cap_parts = bb->cap_parts ? bb->cap_parts * 2 : 4;
        bb->parts = mem_realloc_array(bb->parts, bb->cap_parts, sizeof(struct block *));
    }
    bb->parts[bb->n_parts++] = b;
    bb->part_points += o->lines + o->unwritable;
    open_clear(o);
}

void block_builder_add(struct block_builder *bb, const struct point *p)
{
    struct open_block *o = &bb->open[p->class_ == POINT_KEEP];
    /* one step can be larger than any block: it goes on in the next block of the same group */
    if (o->raw.len >= bb->rules.bytes * 2 || o->tally.n >= BLOCK_SHARES_MAX - 1 ||
        o->lines >= UINT32_MAX / 2)
        close_part(bb, o, (int)p->class_);
    int rc = lineproto_put(&o->raw, bb->rules.dialect, p, &bb->left_out);
    if (rc == -ENOBUFS && o->raw.len > 0) {
        close_part(bb, o, (int)p->class_);
        rc = lineproto_put(&o->raw, bb->rules.dialect, p, &bb->left_out);
    }
    if (rc == -ENOBUFS)
        o->raw.failed = false; /* one line longer than all room: nothing was appended */
    o->touched = true;
    struct block_share *share = tally_find(&o->tally, p->compound);
    if (rc != 0) {
        share->unwritable++;
        o->unwritable++;
        o->no_time += rc == -ERANGE;
        return;
    }
    share->lines++;
    if (o->lines++ == 0) {
        o->min_time_ms = o->max_time_ms = p->time_ms;
    } else if (p->time_ms < o->min_time_ms) {
        o->min_time_ms = p->time_ms;
    } else if (p->time_ms > o->max_time_ms) {
        o->max_time_ms = p->time_ms;
    }
}

bool block_builder_step(struct block_builder *bb, const struct position *at)
{
    for (int c = 0; c < 2; c++) {
        struct open_block *o = &bb->open[c];
        if (!o->touched)
            continue;
        o->touched = false;
        o->to = *at;
        if (!o->placed)
            o->from = *at;
        o->placed = true;
    }
    for (; bb->first_running < bb->n_parts; bb->first_running++) {
        struct block *b = bb->parts[bb->first_running];
        static const struct position none;
        b->info.to = *at;
        if (position_cmp(&b->info.from, &none) == 0)
            b->info.from = *at;
    }
    return bb->n_parts > 0 || bb->open[0].lines + bb->open[1].lines >= bb->rules.lines ||
           bb->open[0].raw.len + bb->open[1].raw.len >= bb->rules.bytes ||
           bb->open[0].tally.n >= BLOCK_SHARES_MAX / 2 ||
           bb->open[1].tally.n >= BLOCK_SHARES_MAX / 2;
}

const struct lineproto_refused *block_builder_left_out(const struct block_builder *bb)
{
    return &bb->left_out;
}

uint64_t block_builder_points(const struct block_builder *bb)
{
    uint64_t n = bb->part_points;
    for (int c = 0; c < 2; c++)
        n += bb->open[c].lines + bb->open[c].unwritable;
    return n;
}

size_t block_builder_close(struct block_builder *bb, int64_t wall_ns,
                           struct block ***out_blocks)
{
    /* what may never be shed first, so that it is the older one of the two */
    for (int c = 1; c >= 0; c--)
        if (bb->open[c].lines + bb->open[c].unwritable > 0)
            close_part(bb, &bb->open[c], c);
    size_t n = bb->n_parts;
    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        bb->parts[i]->info.closed_wall_ns = wall_ns;
    bb->parts[n - 1]->more = false;
    *out_blocks = bb->parts;
    bb->parts = NULL;
    bb->n_parts = bb->cap_parts = bb->first_running = 0;
    bb->part_points = 0;
    return n;
}

void block_builder_shares(const struct block_builder *bb, block_share_fn *fn, void *ctx)
{
    for (int c = 0; c < 2; c++)
        for (size_t i = 0; i < bb->open[c].tally.n; i++)
            fn(ctx, &bb->open[c].tally.shares[i]);
    for (size_t i = 0; i < bb->n_parts; i++)
        for (size_t k = 0; k < bb->parts[i]->info.n_shares; k++)
            fn(ctx, &bb->parts[i]->shares[k]);
}

/* -- shed before the log ---------------------------------------------------------------------
 */

void block_shed(struct block *b)
{
    free(b->body);
    b->body = NULL;
    b->shed = true;
    b->info.body_bytes = b->info.raw_bytes = 0;
    b->info.gzip = false;
}

int block_absorb(struct block *into, const struct block *b)
{
    ASSERT(into->shed && b->shed);
    struct tally t;
    tally_init(&t);
    const struct block *both[] = {into, b};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < both[k]->info.n_shares; i++) {
            const struct block_share *from = &both[k]->shares[i];
            struct block_share *s = tally_find(&t, from->compound);
            s->lines += from->lines;
            s->unwritable += from->unwritable;
        }
    uint64_t lines = (uint64_t)into->info.lines + b->info.lines;
    if (t.n > BLOCK_SHARES_MAX || lines > UINT32_MAX / 2) {
        tally_done(&t);
        return -ENOBUFS;
    }
    struct block_info *i = &into->info;
    if (b->info.lines > 0) {
        bool first = i->lines == 0;
        if (first || b->info.min_time_ms < i->min_time_ms)
            i->min_time_ms = b->info.min_time_ms;
        if (first || b->info.max_time_ms > i->max_time_ms)
            i->max_time_ms = b->info.max_time_ms;
    }
    i->lines = (uint32_t)lines;
    i->no_time += b->info.no_time;
    if (position_cmp(&b->info.to, &i->to) > 0)
        i->to = b->info.to;
    free(into->shares);
    into->shares = t.shares;
    i->shares = t.shares;
    i->n_shares = t.n;
    t.shares = NULL;
    tally_done(&t);
    return 0;
}
