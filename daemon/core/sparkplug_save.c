/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state as bytes, little endian:
 *   "SPB" version (1) · deaths u64 · nodes u32 · each node
 *   node:   broker u32 · key · flags u8 · seq u8 · bdseq u64 · birth hash u64 · died u64 · had u64 ·
 *           hash u32 of each bit of had · birth · devices u32 · each: id, birth
 *   birth:  n u32 · each: alias u64, has alias u8, datatype u8, name
 *   a text: length u16, bytes
 */
#include "core/sparkplug_private.h"

#include <errno.h>
#include <stdlib.h>

static const char magic[4] = {'S', 'P', 'B', 1};

enum { ALIVE = 1, HAS_BDSEQ = 2, STAMPED = 4, INCOMPLETE = 8, FLAGS = 15 };

/* -- writing ------------------------------------------------------------------------------ */

static void put(struct buf *b, uint64_t v, unsigned bytes)
{
    char text[8];
    for (unsigned i = 0; i < bytes; i++)
        text[i] = (char)(v >> 8 * i);
    (void)buf_put(b, text, bytes);
}

static void put_text(struct buf *b, const char *p, size_t n)
{
    put(b, n, 2);
    (void)buf_put(b, p, n);
}

static void save_birth(const struct sp_birth *birth, struct buf *b)
{
    put(b, birth->n, 4);
    for (uint32_t i = 0; i < birth->n; i++) {
        const struct sp_metric *m = &birth->metrics[i];
        put(b, m->alias, 8);
        put(b, m->has_alias, 1);
        put(b, m->datatype, 1);
        put_text(b, birth->names + m->name_at, m->name_len);
    }
}

static void save_node(const struct sp_node *n, struct buf *b)
{
    put(b, n->broker, 4);
    put_text(b, n->key, n->key_len);
    put(b,
        (n->alive ? ALIVE : 0u) | (n->has_bdseq ? HAS_BDSEQ : 0u) |
            (n->stamped ? STAMPED : 0u) | (n->incomplete ? INCOMPLETE : 0u),
        1);
    put(b, n->seq, 1);
    put(b, n->bdseq, 8);
    put(b, n->birth_hash, 8);
    put(b, n->died, 8);
    put(b, n->had, 8);
    for (unsigned i = 0; i < SP_WINDOW; i++)
        if (n->had >> i & 1)
            put(b, n->hashes[i], 4);
    save_birth(&n->birth, b);
    put(b, n->n_devices, 4);
    for (uint32_t i = 0; i < n->n_devices; i++) {
        put_text(b, n->devices[i].id, n->devices[i].id_len);
        save_birth(&n->devices[i].birth, b);
    }
}

void sparkplug_save(const struct sparkplug *s, struct buf *out)
{
    (void)buf_put(out, magic, sizeof(magic));
    put(out, s->deaths, 8);
    put(out, s->n, 4);
    for (uint32_t i = 0; i < s->n; i++)
        save_node(s->nodes[i], out);
}

/* -- reading ------------------------------------------------------------------------------ */

struct reader {
    const char *p;
    size_t n;
    bool failed;
};

static uint64_t get(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;
    if (r->n < bytes) {
        r->failed = true;
        r->n = 0;
        return 0;
    }
    for (unsigned i = bytes; i-- > 0;)
        v = v << 8 | (unsigned char)r->p[i];
    r->p += bytes;
    r->n -= bytes;
    return v;
}

static const char *get_text(struct reader *r, size_t *out_len)
{
    size_t n = get(r, 2);
    const char *p = r->p;
    if (r->n < n || n > SPARKPLUG_MAX_NAME) {
        r->failed = true;
        n = 0;
    }
    r->p += n;
    r->n -= n;
    *out_len = n;
    return p;
}

static bool load_list(struct reader *r, struct sp_list *l)
{
    uint64_t n = get(r, 4);
    sp_list_init(l);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        size_t len;
        uint64_t alias = get(r, 8), has_alias = get(r, 1), datatype = get(r, 1);
        const char *name = get_text(r, &len);
        if (r->failed || has_alias > 1 || len == 0 || (!has_alias && alias) ||
            !sp_list_add(l, name, len, has_alias, alias, (uint8_t)datatype))
            return false;
    }
    return !r->failed;
}

static bool load_births(struct sparkplug *s, struct sp_node *n, struct reader *r)
{
    struct sp_list l;
    size_t len;
    bool ok = load_list(r, &l) && sp_node_born(s, n, &l);
    sp_list_done(&l);
    uint64_t devices = get(r, 4);
    for (uint64_t i = 0; i < devices && ok && !r->failed; i++) {
        const char *id = get_text(r, &len);
        ok = len > 0 && !sp_device_find(n, id, len) && load_list(r, &l);
        ok = ok && sp_device_born(s, n, id, len, &l);
        sp_list_done(&l);
    }
    return ok && !r->failed;
}

static bool load_node(struct sparkplug *s, struct reader *r)
{
    size_t len;
    uint32_t broker = (uint32_t)get(r, 4);
    const char *key = get_text(r, &len);
    if (r->failed || len == 0 || s->n == SPARKPLUG_MAX_NODES ||
        (s->n > 0 && sp_node_find(s, broker, key, len)))
        return false;
    struct sp_node *n = sp_node_add(s, broker, key, len);
    uint64_t flags = get(r, 1);
    n->alive = flags & ALIVE;
    n->has_bdseq = flags & HAS_BDSEQ;
    n->stamped = flags & STAMPED;
    n->incomplete = flags & INCOMPLETE;
    n->seq = (uint8_t)get(r, 1);
    n->bdseq = get(r, 8);
    n->birth_hash = get(r, 8);
    n->died = get(r, 8);
    n->had = get(r, 8);
    for (unsigned i = 0; i < SP_WINDOW; i++)
        if (n->had >> i & 1)
            n->hashes[i] = (uint32_t)get(r, 4);
    return !r->failed && flags <= FLAGS && load_births(s, n, r);
}

int sparkplug_load(struct sparkplug *s, const char *p, size_t n)
{
    struct reader r = {p, n, false};
    sp_clear(s);
    if (n < sizeof(magic) || memcmp(p, magic, sizeof(magic)) != 0)
        return -EBADMSG;
    (void)get(&r, sizeof(magic));
    s->deaths = get(&r, 8);
    uint64_t nodes = get(&r, 4);
    bool ok = !r.failed;
    for (uint64_t i = 0; i < nodes && ok; i++)
        ok = load_node(s, &r);
    if (ok && r.n == 0)
        return 0;
    sp_clear(s);
    return -EBADMSG;
}
