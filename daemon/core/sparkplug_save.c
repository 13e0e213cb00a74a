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
#include "core/state.h"

#include <errno.h>
#include <stdlib.h>

static const char magic[4] = {'S', 'P', 'B', 1};

enum { ALIVE = 1, HAS_BDSEQ = 2, STAMPED = 4, INCOMPLETE = 8, FLAGS = 15 };

/* -- writing ------------------------------------------------------------------------------ */

static void put_text(struct state_writer *w, const char *p, size_t n)
{
    state_put_uint(w, n, 2);
    state_put(w, p, n);
}

static void save_birth(const struct sp_birth *birth, struct state_writer *w)
{
    state_put_uint(w, birth->n, 4);
    for (uint32_t i = 0; i < birth->n; i++) {
        const struct sp_metric *m = &birth->metrics[i];
        state_put_u64(w, m->alias);
        state_put_uint(w, m->has_alias, 1);
        state_put_uint(w, m->datatype, 1);
        put_text(w, birth->names + m->name_at, m->name_len);
    }
}

static void save_node(const struct sp_node *n, struct state_writer *w)
{
    state_put_uint(w, n->broker, 4);
    put_text(w, n->key, n->key_len);
    state_put_uint(w,
                   (n->alive ? ALIVE : 0u) | (n->has_bdseq ? HAS_BDSEQ : 0u) |
                       (n->stamped ? STAMPED : 0u) | (n->incomplete ? INCOMPLETE : 0u),
                   1);
    state_put_uint(w, n->seq, 1);
    state_put_u64(w, n->bdseq);
    state_put_u64(w, n->birth_hash);
    state_put_u64(w, n->died);
    state_put_u64(w, n->had);
    for (unsigned i = 0; i < SP_WINDOW; i++)
        if (n->had >> i & 1)
            state_put_uint(w, n->hashes[i], 4);
    save_birth(&n->birth, w);
    state_put_uint(w, n->n_devices, 4);
    for (uint32_t i = 0; i < n->n_devices; i++) {
        put_text(w, n->devices[i].id, n->devices[i].id_len);
        save_birth(&n->devices[i].birth, w);
    }
}

void sparkplug_save(const struct sparkplug *s, struct buf *out)
{
    struct state_writer w;
    state_writer_into(&w, out);
    state_put(&w, magic, sizeof(magic));
    state_put_u64(&w, s->deaths);
    state_put_uint(&w, s->n, 4);
    for (uint32_t i = 0; i < s->n; i++)
        save_node(s->nodes[i], &w);
}

/* -- reading ------------------------------------------------------------------------------ */

static const char *get_text(struct state_reader *r, size_t *out_len)
{
    size_t n = state_get_uint(r, 2);
    state_expect(r, n <= SPARKPLUG_MAX_NAME);
    const char *p = state_get_bytes(r, n);
    *out_len = p ? n : 0;
    return p;
}

static bool load_list(struct state_reader *r, struct sp_list *l)
{
    uint64_t n = state_get_uint(r, 4);
    sp_list_init(l);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        size_t len;
        uint64_t alias = state_get_u64(r), has_alias = state_get_uint(r, 1),
                 datatype = state_get_uint(r, 1);
        const char *name = get_text(r, &len);
        if (r->failed || has_alias > 1 || len == 0 || (!has_alias && alias) ||
            !sp_list_add(l, name, len, has_alias, alias, (uint8_t)datatype))
            return false;
    }
    return !r->failed;
}

static bool load_births(struct sparkplug *s, struct sp_node *n, struct state_reader *r)
{
    struct sp_list l;
    size_t len;
    bool ok = load_list(r, &l) && sp_node_born(s, n, &l);
    sp_list_done(&l);
    uint64_t devices = state_get_uint(r, 4);
    for (uint64_t i = 0; i < devices && ok && !r->failed; i++) {
        const char *id = get_text(r, &len);
        ok = len > 0 && !sp_device_find(n, id, len) && load_list(r, &l);
        ok = ok && sp_device_born(s, n, id, len, &l);
        sp_list_done(&l);
    }
    return ok && !r->failed;
}

static bool load_node(struct sparkplug *s, struct state_reader *r)
{
    size_t len;
    uint32_t broker = (uint32_t)state_get_uint(r, 4);
    const char *key = get_text(r, &len);
    if (r->failed || len == 0 || s->n == SPARKPLUG_MAX_NODES ||
        (s->n > 0 && sp_node_find(s, broker, key, len)))
        return false;
    struct sp_node *n = sp_node_add(s, broker, key, len);
    uint64_t flags = state_get_uint(r, 1);
    n->alive = flags & ALIVE;
    n->has_bdseq = flags & HAS_BDSEQ;
    n->stamped = flags & STAMPED;
    n->incomplete = flags & INCOMPLETE;
    n->seq = (uint8_t)state_get_uint(r, 1);
    n->bdseq = state_get_u64(r);
    n->birth_hash = state_get_u64(r);
    n->died = state_get_u64(r);
    n->had = state_get_u64(r);
    for (unsigned i = 0; i < SP_WINDOW; i++)
        if (n->had >> i & 1)
            n->hashes[i] = (uint32_t)state_get_uint(r, 4);
    return !r->failed && flags <= FLAGS && load_births(s, n, r);
}

int sparkplug_load(struct sparkplug *s, const char *p, size_t n)
{
    struct state_reader r = {.p = p, .end = p + n};
    sp_clear(s);
    const char *head = state_get_bytes(&r, sizeof(magic));
    if (!head || memcmp(head, magic, sizeof(magic)) != 0)
        return -EBADMSG;
    s->deaths = state_get_u64(&r);
    uint64_t nodes = state_get_uint(&r, 4);
    bool ok = !r.failed;
    for (uint64_t i = 0; i < nodes && ok; i++)
        ok = load_node(s, &r);
    if (ok && state_all_read(&r))
        return 0;
    sp_clear(s);
    return -EBADMSG;
}
