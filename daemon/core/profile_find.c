/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places found and texts made, each once a message or once an item.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/profile_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16384, TEXT_TOTAL = 4 << 20 };

struct text_chunk {
    struct text_chunk *next;
    char p[CHUNK];
};

/* ---- room for texts ---- */

char *run_room(struct profile_run *x, size_t n)
{
    if (n > CHUNK || x->text_total + n > TEXT_TOTAL)
        return NULL;
    if (!x->chunk || x->text_used + n > CHUNK) {
        struct text_chunk *next = x->chunk ? x->chunk->next : x->chunks;
        if (!next) {
            next = mem_zalloc(sizeof(*next));
            if (x->chunk)
                x->chunk->next = next;
            else
                x->chunks = next;
        }
        x->chunk = next;
        x->text_used = 0;
    }
    char *p = x->chunk->p + x->text_used;
    x->text_used += n;
    x->text_total += n;
    return p;
}

/* Everything behind `end`, which is in the room given last or before it, is given back. */
static void room_ends(struct profile_run *x, const char *end)
{
    if (!x->chunk || end < x->chunk->p || end > x->chunk->p + x->text_used)
        return; /* another chunk has been begun: let it be */
    size_t keep = (size_t)(end - x->chunk->p);
    x->text_total -= x->text_used - keep;
    x->text_used = keep;
}

void run_free_room(struct profile_run *x)
{
    for (struct text_chunk *c = x->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
}

bool run_scalar_text(struct profile_run *x, struct json_value v, const char **out_p,
                     size_t *out_n)
{
    char *p;
    switch (json_type(v)) {
    case JSON_STRING:
        *out_p = json_text(v, out_n);
        return true;
    case JSON_NULL:
        *out_p = "";
        *out_n = 0;
        return true;
    case JSON_BOOL:
        *out_p = json_bool(v) ? "true" : "false";
        *out_n = json_bool(v) ? 4 : 5;
        return true;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return false;
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
        break;
    }
    p = run_room(x, NUM_MAX);
    x->too_big = x->too_big || !p;
    if (!p)
        return false;
    *out_p = p;
    *out_n = json_type(v) == JSON_INT    ? num_put_i64(p, json_int(v))
             : json_type(v) == JSON_UINT ? num_put_u64(p, json_uint(v))
                                         : num_put_double(p, json_double(v));
    return true;
}

/* ---- documents ---- */

static int sparkplug_read(struct profile_run *x, const struct plan_doc *d,
                          struct json_value *root, struct codec_fault *fault)
{
    struct json_value payload;
    if (x->sparkplug_taken) { /* for another kind of message: its seq counts once */
        *root = x->sparkplug_root;
        return 0;
    }
    int r = codec_chain_run(d->chain, x->codec, x->in->payload, x->in->len, &payload, fault);
    if (r < 0)
        return r;
    if (!x->own && !x->in->sparkplug)
        x->own = sparkplug_new();
    struct sparkplug *births = x->in->sparkplug ? x->in->sparkplug : x->own;
    doc_clear(x->resolved);
    x->sparkplug_root = payload; /* commands are not resolved */
    if (x->in->again)
        x->sparkplug_result =
            sparkplug_again(births, x->in->broker, x->in->look, x->in->topic, x->in->topic_len,
                            payload, x->resolved, &x->sparkplug_root);
    else if (x->in->look)
        x->sparkplug_result =
            sparkplug_look(births, x->in->broker, x->in->topic, x->in->topic_len, payload,
                           x->resolved, &x->sparkplug_root);
    else
        x->sparkplug_result =
            sparkplug_take(births, x->in->broker, x->in->topic, x->in->topic_len, payload,
                           x->resolved, &x->sparkplug_root, &x->sparkplug_info);
    x->sparkplug_taken = true;
    *root = x->sparkplug_root;
    return 0;
}

/* What most chains read must have readable bytes behind it: texts of documents are copied. */
static int chain_read(struct profile_run *x, const struct plan_doc *d, const char *p, size_t n,
                      struct json_value *root, struct codec_fault *fault)
{
    if (!d->of_payload && !codec_chain_reads_within(d->chain)) {
        char *room = NULL;
        if (n + JSON_PADDING <= CHUNK)
            room = run_room(x, n + JSON_PADDING);
        if (!room) {
            if (x->cap_large < n + JSON_PADDING) {
                x->cap_large = n + JSON_PADDING;
                x->large = mem_realloc_array(x->large, x->cap_large, 1);
            }
            room = x->large;
        }
        memcpy(room, p, n);
        memset(room + n, 0, JSON_PADDING);
        p = room;
    }
    return codec_chain_run(d->chain, x->codec, p, n, root, fault);
}

uint16_t run_unreadable(const struct profile_run *x, uint16_t node)
{
    const struct plan_node *n = &x->p->nodes[node];
    while (n->parent != PLAN_NONE)
        n = &x->p->nodes[n->parent];
    return n->kind == NODE_DOC && x->docs[n->doc].error < 0 ? n->doc : PLAN_NONE;
}

static bool read_document(struct profile_run *x, uint16_t doc, struct json_value *root)
{
    const struct plan_doc *d = &x->p->docs[doc];
    struct doc_state *s = &x->docs[doc];
    struct json_value from;
    const char *p = x->in->payload, *why = NULL;
    size_t n = x->in->len;
    s->fault = (struct codec_fault){.at = SIZE_MAX};
    s->error = 0;
    s->absent = false;
    s->guilty = doc;
    if (d->of_payload && d->json) {
        s->error = json_parse(x->json, p, n, root, &why);
        s->fault.why = why;
        return s->error == 0;
    }
    if (!d->of_payload) {
        s->absent = !run_node(x, d->from, &from) || json_type(from) == JSON_NULL;
        uint16_t within = s->absent ? run_unreadable(x, d->from) : PLAN_NONE;
        if (within != PLAN_NONE) { /* of what cannot be read nobody can say what it has not */
            s->error = x->docs[within].error;
            s->fault = x->docs[within].fault;
            s->guilty = x->docs[within].guilty;
        }
        if (s->absent)
            return false;
        if (json_type(from) >= JSON_ARRAY && d->json) { /* the platform parsed it already */
            *root = from;
            return true;
        }
        if (json_type(from) == JSON_STRING && json_text(from, &n) && n == 0) {
            s->absent = true;
            return false;
        }
        if (!run_scalar_text(x, from, &p, &n)) {
            s->error = -EBADMSG;
            s->fault.why = "an object or array, expected text";
            return false;
        }
    }
    if (x->codec_reads == 0)
        codec_run_clear(x->codec);
    if (x->codec_reads == CODEC_MAX_DOCS) { /* the values of all of them live until the end */
        s->error = -E2BIG;
        s->fault.why = "more than 256 documents in one message";
        return false;
    }
    s->error = d->sparkplug ? sparkplug_read(x, d, root, &s->fault)
                            : chain_read(x, d, p, n, root, &s->fault);
    x->codec_reads += s->error == 0;
    return s->error == 0;
}

/* Not part of run_find, whose every call would pay for the room that this needs. */
__attribute__((noinline)) static void open_document(struct profile_run *x, uint16_t doc,
                                                    struct plan_memo *m)
{
    struct doc_state *s = &x->docs[doc];
    bool of_message = x->p->nodes[x->p->docs[doc].root].slot == 0;
    if (of_message &&
        s->message == x->began) { /* looked at again for a later kind of message */
        m->found = s->error == 0 && !s->absent;
        m->v = s->root;
    } else {
        m->found = read_document(x, doc, &m->v);
        s->message = of_message ? x->began : 0;
        s->root = m->v;
    }
    if (!m->found && s->error < 0 && x->doc_failed < 0) {
        x->doc_failed = doc;
        x->failed = *s;
    }
}

/* ---- nodes ---- */

/* Notes which of an object's members that somebody wants are there; how many. */
static uint16_t find_kids(struct plan_memo *memo, const struct plan_kids *k, uint64_t epoch,
                          struct json_value object)
{
    struct json_iter it;
    struct json_value v;
    const char *key;
    size_t n, missing = k->n, mask = k->mask;
    uint64_t sieve = k->sieve;
    const struct plan_kid *slots = k->slots;
    json_iter(object, &it);
    while (missing && json_next(&it, &key, &n, &v)) {
        if (!(sieve >> kid_bit(n, key[0]) & 1)) /* behind a text stands a NUL */
            continue;
        const struct plan_kid *kid = &slots[key_hash(key, n) & mask];
        while (kid->node != PLAN_NONE && (kid->key_len != n || !bytes_same(kid->key, key, n)))
            kid = &slots[(size_t)(kid - slots + 1) & mask];
        if (kid->node == PLAN_NONE)
            continue;
        struct plan_memo *m = &memo[kid->node];
        if (m->epoch != epoch) { /* said twice: the first stands */
            m->epoch = epoch;
            m->found = true;
            m->v = v;
            missing--;
        }
    }
    return (uint16_t)(k->n - missing);
}

/* Not part of run_find: most members that are asked for have been looked for before. */
__attribute__((noinline)) static void walk(struct profile_run *x, uint16_t node, uint64_t epoch)
{
    struct plan_memo *m = &x->memo[node];
    struct json_value v;
    bool found = run_node(x, node, &v);
    m->walked = epoch;
    m->kids = 0;
    if (found && json_type(v) == JSON_OBJECT)
        m->kids = find_kids(x->memo, x->p->nodes[node].kids, epoch, v);
}

static bool find_index(struct json_value array, int32_t index, struct json_value *out)
{
    struct json_iter it;
    if (json_type(array) != JSON_ARRAY)
        return false;
    size_t want = (size_t)index;
    if (index < 0) {
        size_t count = json_count(array);
        if ((size_t)-index > count)
            return false;
        want = count - (size_t)-index;
    }
    json_iter(array, &it);
    for (size_t i = 0; json_next(&it, NULL, NULL, out); i++)
        if (i == want)
            return true;
    return false;
}

__attribute__((noinline)) static void find_other(struct profile_run *x,
                                                 const struct plan_node *n, struct plan_memo *m,
                                                 uint64_t epoch)
{
    struct json_value parent;
    if (n->kind == NODE_DOC)
        open_document(x, n->doc, m);
    else /* or an item, outside its `each` */
        m->found = n->kind == NODE_INDEX && run_node(x, n->parent, &parent) &&
                   find_index(parent, n->index, &m->v);
    m->epoch = epoch;
}

void run_find(struct profile_run *x, uint16_t node, struct plan_memo *m)
{
    uint64_t epoch = x->slots[x->slot_of[node]].epoch;
    const struct plan_node *n = &x->p->nodes[node];
    if (n->kind != NODE_MEMBER) {
        find_other(x, n, m, epoch);
        return;
    }
    if (x->memo[n->parent].walked != epoch)
        walk(x, n->parent, epoch);
    if (m->epoch != epoch) {
        m->epoch = epoch;
        m->found = false;
    }
}

void run_begin_item(struct profile_run *x, uint16_t slot, uint16_t item, struct json_value v)
{
    x->slots[slot].epoch = ++x->epoch;
    struct plan_memo *m = &x->memo[item];
    m->epoch = x->epoch;
    m->v = v;
    m->found = true;
}

/* ---- topics ---- */

bool run_topic(struct profile_run *x, uint16_t pattern)
{
    struct topic_memo *m = &x->topics[pattern];
    if (m->epoch != x->slots[0].epoch) {
        m->epoch = x->slots[0].epoch;
        if (!x->has_levels)
            topic_split(x->in->topic, x->in->topic_len, &x->levels);
        x->has_levels = true;
        m->fits = topic_matches_end(x->p->patterns[pattern], &x->levels, &m->match);
    }
    return m->fits;
}

const struct topic_capture *run_capture(struct profile_run *x, const char *name)
{
    const struct topic_capture *c = NULL;
    uint16_t own = x->message ? x->message->topic : PLAN_NONE;
    if (own != PLAN_NONE && run_topic(x, own))
        c = topic_get(&x->topics[own].match, name);
    return c || !x->in->match ? c : topic_get(x->in->match, name);
}

/* ---- texts ---- */

static const char *find_text(const char *p, size_t n, const struct plan_filter *f)
{
    return memmem(p, n, f->arg, f->len);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* "24-E1:24 13" → "24e12413"; anything else is no hex. */
static bool hex_lower(const char *p, size_t n, char *to, size_t *out_n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        int d = hex_digit(p[i]);
        if (d >= 0)
            to[k++] = "0123456789abcdef"[d];
        else if (p[i] != ':' && p[i] != '-' && p[i] != ' ')
            return false;
    }
    *out_n = k;
    return true;
}

static int base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

static bool base64_hex(const char *p, size_t n, char *to, size_t *out_n)
{
    unsigned bits = 0, have = 0;
    size_t k = 0;
    while (n && p[n - 1] == '=')
        n--;
    if (n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        int d = base64_digit(p[i]);
        if (d < 0)
            return false;
        bits = (bits << 6 | (unsigned)d) & 0xffff;
        have += 6;
        while (have >= 8) {
            have -= 8;
            to[k++] = "0123456789abcdef"[bits >> (have + 4) & 15];
            to[k++] = "0123456789abcdef"[bits >> have & 15];
        }
    }
    *out_n = k;
    return true;
}

/* Of eight characters: ASCII letters from `first` on change their case. */
static void change_eight(unsigned char first, const char *p, char *to)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), top = ones << 7;
    uint64_t w;
    memcpy(&w, p, 8);
    uint64_t low = w & ~top;
    uint64_t from = low + ones * (128u - first), past = low + ones * (128u - 26 - first);
    w ^= ((from ^ past) & ~w & top) >> 2;
    memcpy(to, &w, 8);
}

/* ASCII letters only, and without branches. */
static void change_case(bool lower, const char *p, size_t n, char *to)
{
    unsigned char first = lower ? 'A' : 'a';
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        change_eight(first, p + i, to + i);
    for (; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        to[i] = (char)(c ^ ((unsigned char)(c - first) < 26 ? 0x20 : 0));
    }
}

static bool apply(const struct plan_filter *f, char room[PLAN_MAX_TEXT * 2], const char **p,
                  size_t *n)
{
    const char *at;
    size_t k = 0;
    if (f->kind == FILTER_BEFORE || f->kind == FILTER_AFTER) {
        at = find_text(*p, *n, f);
        if (f->kind == FILTER_BEFORE && at)
            *n = (size_t)(at - *p);
        if (f->kind == FILTER_AFTER && at) {
            *n -= (size_t)(at - *p) + f->len;
            *p = at + f->len;
        }
        return at || f->kind == FILTER_BEFORE;
    }
    if (*n > PLAN_MAX_TEXT)
        return false;
    if (f->kind == FILTER_HEXLOWER || f->kind == FILTER_BASE64HEX) {
        char made[PLAN_MAX_TEXT * 2];
        if (!(f->kind == FILTER_HEXLOWER ? hex_lower : base64_hex)(*p, *n, made, &k))
            return false;
        memcpy(room, made, k);
    } else {
        k = *n;
        change_case(f->kind == FILTER_LOWER, *p, k, room);
    }
    *p = room;
    *n = k;
    return true;
}

static bool piece_text(struct profile_run *x, const struct plan_piece *piece, const char **p,
                       size_t *n)
{
    struct json_value v;
    const struct topic_capture *c;
    switch (piece->kind) {
    case PIECE_FIXED:
        *p = piece->text;
        *n = piece->len;
        return true;
    case PIECE_CAPTURE:
        c = run_capture(x, piece->text);
        if (!c)
            return false;
        *p = c->p;
        *n = c->n;
        break;
    case PIECE_KEY:
        *p = x->slots[piece->slot].key;
        *n = x->slots[piece->slot].key_len;
        break;
    case PIECE_NODE:
        if (!run_node(x, piece->node, &v) || !run_scalar_text(x, v, p, n))
            return false;
        break;
    }
    return *p && *n;
}

static bool filtered(struct profile_run *x, const struct plan_piece *piece, const char **p,
                     size_t *n)
{
    if (!piece->n_filters)
        return true;
    run_work(x, *n / SEARCHED);
    char *room = run_room(x, PLAN_MAX_TEXT * 2);
    x->too_big = x->too_big || !room;
    if (!room)
        return false;
    for (size_t i = 0; i < piece->n_filters; i++) /* in place is right for all of them */
        if (!apply(&piece->filters[i], room, p, n) || *n == 0)
            return false;
    return true;
}

static void make_text(struct profile_run *x, const struct plan_text *t, struct text_memo *m)
{
    const char *p;
    size_t n;
    m->p = NULL;
    m->n = 0;
    m->hash = 0;
    if (t->n == 1) { /* most are one capture or one path: nothing is copied */
        if (piece_text(x, &t->pieces[0], &p, &n) && filtered(x, &t->pieces[0], &p, &n)) {
            m->p = p;
            m->n = n;
            if (t->pieces[0].n_filters)
                room_ends(x, p + n);
        }
        return;
    }
    char *room = run_room(x, PLAN_MAX_TEXT);
    size_t len = 0;
    x->too_big = x->too_big || !room;
    for (size_t i = 0; room && i < t->n; i++) {
        if (!piece_text(x, &t->pieces[i], &p, &n) || !filtered(x, &t->pieces[i], &p, &n) ||
            len + n > PLAN_MAX_TEXT) {
            room_ends(x, room);
            return;
        }
        memcpy(room + len, p, n);
        len += n;
    }
    m->p = room;
    m->n = len;
    if (room)
        room_ends(x, room + len);
}

static const char *one_text(struct profile_run *x, uint16_t text, size_t *out_len)
{
    struct text_memo *m = &x->texts[text];
    const struct plan_text *t = &x->p->texts[text];
    uint64_t epoch = x->slots[t->slot].epoch;
    /* A capture may be another message's, too: those are not kept from one try to the next. */
    if (m->epoch != epoch || m->message != x->message) {
        m->epoch = epoch;
        m->message = x->message;
        make_text(x, t, m);
    }
    *out_len = m->n;
    return m->p;
}

uint64_t run_id(struct profile_run *x, uint16_t text)
{
    size_t n;
    const char *p = NULL;
    for (; text != PLAN_NONE; text = x->p->texts[text].next) {
        struct text_memo *m = &x->texts[text];
        if (!(p = one_text(x, text, &n)))
            continue;
        if (!m->hash) {
            m->hash = hash64(11, p, n);
            m->hash += m->hash == 0;
        }
        return m->hash;
    }
    return 0;
}

const char *run_text(struct profile_run *x, uint16_t text, size_t *out_len)
{
    const char *p = NULL;
    for (*out_len = 0; text != PLAN_NONE && !p; text = x->p->texts[text].next)
        p = one_text(x, text, out_len);
    return p;
}
