/* SPDX-License-Identifier: Apache-2.0 */
/* What was counted, and the bytes of marks and ledger (docs/outbound.md). */
#include "io/outbound_int.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MARK_MAGIC   0x4d4f4847u /* "GHOM" */
#define LEDGER_MAGIC 0x4c4f4847u /* "GHOL" */
#define VERSION      1
#define MARK_FIXED   32
#define LEDGER_FIXED 72
#define MARK_MAX     (1u << 20)

/* The host is little-endian on every machine that is built for (asserted by the layout tests).
 */
static void put32(struct buf *b, uint32_t v)
{
    buf_put(b, &v, sizeof(v));
}

static void put64(struct buf *b, uint64_t v)
{
    buf_put(b, &v, sizeof(v));
}

static void put_text(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    buf_putc(b, (char)n);
    buf_put(b, s, n);
}

struct in {
    const char *p;
    size_t n, at;
    bool bad;
};

static void take(struct in *in, void *out, size_t n)
{
    if (in->bad || in->n - in->at < n) {
        in->bad = true;
        memset(out, 0, n);
        return;
    }
    memcpy(out, in->p + in->at, n);
    in->at += n;
}

static uint32_t get32(struct in *in)
{
    uint32_t v;
    take(in, &v, sizeof(v));
    return v;
}

static uint64_t get64(struct in *in)
{
    uint64_t v;
    take(in, &v, sizeof(v));
    return v;
}

static void get_text(struct in *in, char *out, size_t room)
{
    unsigned char n;
    take(in, &n, 1);
    if (n == 0 || n >= room)
        in->bad = true;
    if (in->bad)
        n = 0;
    take(in, out, n);
    out[n] = '\0';
    if (memchr(out, 0, n))
        in->bad = true;
}

/* -- totals ----------------------------------------------------------------------------------
 */

void out_totals_init(struct out_totals *t)
{
    *t = (struct out_totals){.n_slots = 64};
    t->slots = mem_zalloc_array(t->n_slots, sizeof(*t->slots));
}

void out_totals_done(struct out_totals *t)
{
    free(t->shares);
    free(t->slots);
    free(t->reasons);
    *t = (struct out_totals){0};
}

static size_t place(const struct out_totals *t, const char *compound)
{
    size_t at = (size_t)hash64(hash_seed(), compound, strlen(compound)) & (t->n_slots - 1);
    while (t->slots[at] && strcmp(t->shares[t->slots[at] - 1].compound, compound) != 0)
        at = (at + 1) & (t->n_slots - 1);
    return at;
}

struct outbound_share *out_totals_share(struct out_totals *t, const char *compound)
{
    size_t at = place(t, compound);
    if (t->slots[at])
        return &t->shares[t->slots[at] - 1];
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->shares = mem_realloc_array(t->shares, t->cap, sizeof(*t->shares));
    }
    struct outbound_share *s = &t->shares[t->n++];
    memset(s, 0, sizeof(*s));
    size_t len = strnlen(compound, sizeof(s->compound) - 1);
    memcpy(s->compound, compound, len);
    t->slots[at] = (uint32_t)t->n;
    if (t->n * 2 > t->n_slots) {
        free(t->slots);
        t->n_slots *= 2;
        t->slots = mem_zalloc_array(t->n_slots, sizeof(*t->slots));
        for (size_t i = 0; i < t->n; i++)
            t->slots[place(t, t->shares[i].compound)] = (uint32_t)i + 1;
    }
    return s;
}

void out_totals_reason(struct out_totals *t, const char *reason, uint64_t lines)
{
    if (lines == 0)
        return;
    for (size_t i = 0; i < t->n_reasons; i++)
        if (strcmp(t->reasons[i].reason, reason) == 0) {
            t->reasons[i].lines += lines;
            return;
        }
    if (t->n_reasons == t->cap_reasons) {
        t->cap_reasons = t->cap_reasons ? t->cap_reasons * 2 : 8;
        t->reasons = mem_realloc_array(t->reasons, t->cap_reasons, sizeof(*t->reasons));
    }
    struct outbound_reason *r = &t->reasons[t->n_reasons++];
    memset(r, 0, sizeof(*r));
    memcpy(r->reason, reason, strnlen(reason, sizeof(r->reason) - 1));
    r->lines = lines;
}

void out_totals_copy(struct out_totals *to, const struct out_totals *from)
{
    for (size_t i = 0; i < from->n; i++)
        *out_totals_share(to, from->shares[i].compound) = from->shares[i];
    for (size_t i = 0; i < from->n_reasons; i++)
        out_totals_reason(to, from->reasons[i].reason, from->reasons[i].lines);
}

void out_totals_block(struct out_totals *t, const struct block_header *h,
                      const struct block_share *shares)
{
    uint64_t unwritable = 0;
    for (size_t i = 0; i < h->info.n_shares; i++) {
        struct outbound_share *s = out_totals_share(t, shares[i].compound);
        s->made += (uint64_t)shares[i].lines + shares[i].unwritable;
        s->refused += shares[i].unwritable;
        unwritable += shares[i].unwritable;
        if (h->shed)
            s->shed += shares[i].lines;
    }
    out_totals_reason(t, OUT_REASON_NO_FIELD, unwritable - h->info.no_time);
    out_totals_reason(t, OUT_REASON_NO_TIME, h->info.no_time);
}

void out_totals_lost(struct out_totals *t, uint64_t lines)
{
    if (lines == 0)
        return;
    struct outbound_share *s = out_totals_share(t, OUT_UNKNOWN);
    s->made += lines;
    s->refused += lines;
    out_totals_reason(t, OUT_REASON_CORRUPT, lines);
}

void out_totals_mark(struct out_totals *t, const struct out_mark *m,
                     const struct block_header *h, const struct block_share *shares)
{
    for (size_t i = 0; i < h->info.n_shares; i++) {
        uint64_t refused = 0;
        for (size_t k = 0; k < m->n_refused; k++)
            if (strcmp(m->refused[k].compound, shares[i].compound) == 0)
                refused += m->refused[k].lines;
        if (refused > shares[i].lines)
            refused = shares[i].lines;
        struct outbound_share *s = out_totals_share(t, shares[i].compound);
        s->refused += refused;
        *(m->outcome == OUTBOUND_SHED ? &s->shed : &s->accepted) += shares[i].lines - refused;
    }
    for (size_t k = 0; k < m->n_refused; k++)
        out_totals_reason(t, m->refused[k].reason, m->refused[k].lines);
}

/* -- marks -----------------------------------------------------------------------------------
 */

int out_mark_put(const struct out_mark *m, struct buf *out)
{
    size_t start = out->len;
    put32(out, MARK_MAGIC);
    put32(out, 0); /* length */
    put32(out, 0); /* crc */
    put32(out, (uint32_t)m->outcome);
    put64(out, m->seq);
    put32(out, m->header_crc);
    put32(out, (uint32_t)m->n_refused);
    for (size_t i = 0; i < m->n_refused; i++) {
        put_text(out, m->refused[i].compound);
        put_text(out, m->refused[i].reason);
        put32(out, m->refused[i].lines);
    }
    while ((out->len - start) % 8 && !out->failed)
        buf_putc(out, 0);
    if (out->failed || out->len - start > MARK_MAX) {
        out->len = start;
        return -ENOBUFS;
    }
    uint32_t len = (uint32_t)(out->len - start);
    memcpy(out->data + start + 4, &len, 4);
    uint32_t crc = crc32c(0, out->data + start, len); /* its own bytes still zero */
    memcpy(out->data + start + 8, &crc, 4);
    return 0;
}

int out_mark_get(const char *p, size_t n, struct out_mark *m, size_t *out_used)
{
    struct in in = {.p = p, .n = n};
    if (n < MARK_FIXED || get32(&in) != MARK_MAGIC)
        return -EBADMSG;
    uint32_t len = get32(&in), crc = get32(&in);
    if (len < MARK_FIXED || len > n || len > MARK_MAX || len % 8)
        return -EBADMSG;
    static const char zero[4];
    uint32_t sum = crc32c(crc32c(crc32c(0, p, 8), zero, 4), p + 12, len - 12);
    if (sum != crc)
        return -EBADMSG;
    in.n = len;
    uint32_t outcome = get32(&in);
    struct out_mark r = {.outcome =
                             outcome == OUTBOUND_SHED ? OUTBOUND_SHED : OUTBOUND_ACCEPTED};
    r.seq = get64(&in);
    r.header_crc = get32(&in);
    r.n_refused = get32(&in);
    if (outcome > OUTBOUND_SHED || r.n_refused > len / 8)
        return -EBADMSG;
    r.refused = mem_zalloc_array(r.n_refused + 1, sizeof(*r.refused));
    for (size_t i = 0; i < r.n_refused; i++) {
        get_text(&in, r.refused[i].compound, sizeof(r.refused[i].compound));
        get_text(&in, r.refused[i].reason, sizeof(r.refused[i].reason));
        r.refused[i].lines = get32(&in);
    }
    if (in.bad || in.n - in.at >= 8) {
        free(r.refused);
        return -EBADMSG;
    }
    *m = r;
    *out_used = len;
    return 0;
}

/* -- ledger ----------------------------------------------------------------------------------
 */

void out_ledger_init(struct out_ledger *l)
{
    *l = (struct out_ledger){.next_seq = 1};
    out_totals_init(&l->totals);
}

void out_ledger_done(struct out_ledger *l)
{
    out_totals_done(&l->totals);
    free(l->folded);
    l->folded = NULL;
}

int out_ledger_put(const struct out_ledger *l, struct buf *b)
{
    size_t start = b->len;
    put32(b, LEDGER_MAGIC);
    put32(b, VERSION);
    put32(b, 0); /* length */
    put32(b, 0); /* crc */
    put64(b, l->end.offset);
    put64(b, l->end.tick);
    put64(b, l->end.ordinal);
    put64(b, l->next_seq);
    put64(b, l->made);
    put32(b, (uint32_t)l->totals.n);
    put32(b, (uint32_t)l->totals.n_reasons);
    put32(b, (uint32_t)l->n_folded);
    put32(b, 0);
    for (size_t i = 0; i < l->totals.n; i++) {
        const struct outbound_share *s = &l->totals.shares[i];
        put_text(b, s->compound);
        put64(b, s->made);
        put64(b, s->accepted);
        put64(b, s->shed);
        put64(b, s->refused);
    }
    for (size_t i = 0; i < l->totals.n_reasons; i++) {
        put_text(b, l->totals.reasons[i].reason);
        put64(b, l->totals.reasons[i].lines);
    }
    for (size_t i = 0; i < l->n_folded; i++)
        put64(b, l->folded[i]);
    if (b->failed) {
        b->len = start;
        return -ENOBUFS;
    }
    uint32_t len = (uint32_t)(b->len - start);
    memcpy(b->data + start + 8, &len, 4);
    uint32_t crc = crc32c(0, b->data + start, len);
    memcpy(b->data + start + 12, &crc, 4);
    return 0;
}

static int get_ledger_lists(struct in *in, uint32_t n_shares, uint32_t n_reasons,
                            uint32_t n_folded, struct out_ledger *l)
{
    char text[65], reason[32];
    for (uint32_t i = 0; i < n_shares && !in->bad; i++) {
        get_text(in, text, sizeof(text));
        if (in->bad)
            return -EBADMSG;
        struct outbound_share *s = out_totals_share(&l->totals, text);
        s->made = get64(in);
        s->accepted = get64(in);
        s->shed = get64(in);
        s->refused = get64(in);
    }
    for (uint32_t i = 0; i < n_reasons && !in->bad; i++) {
        get_text(in, reason, sizeof(reason));
        uint64_t lines = get64(in);
        if (!in->bad)
            out_totals_reason(&l->totals, reason, lines);
    }
    l->folded = mem_zalloc_array(n_folded + 1u, sizeof(*l->folded));
    for (l->n_folded = 0; l->n_folded < n_folded && !in->bad; l->n_folded++)
        l->folded[l->n_folded] = get64(in);
    return in->bad || in->at != in->n ? -EBADMSG : 0;
}

int out_ledger_get(const char *p, size_t n, struct out_ledger *out)
{
    struct in in = {.p = p, .n = n};
    if (n < LEDGER_FIXED || get32(&in) != LEDGER_MAGIC || get32(&in) != VERSION ||
        get32(&in) != n)
        return -EBADMSG;
    uint32_t crc = get32(&in);
    static const char zero[4];
    if (crc32c(crc32c(crc32c(0, p, 12), zero, 4), p + 16, n - 16) != crc)
        return -EBADMSG;
    struct out_ledger l;
    out_ledger_init(&l);
    l.end = (struct position){.offset = get64(&in)};
    l.end.tick = get64(&in);
    l.end.ordinal = get64(&in);
    l.next_seq = get64(&in);
    l.made = get64(&in);
    uint32_t n_shares = get32(&in), n_reasons = get32(&in), n_folded = get32(&in);
    (void)get32(&in);
    int rc = l.next_seq == 0 || n_shares > n / 33 || n_reasons > n / 9 || n_folded > n / 8
                 ? -EBADMSG
                 : get_ledger_lists(&in, n_shares, n_reasons, n_folded, &l);
    if (rc != 0) {
        out_ledger_done(&l);
        return rc;
    }
    out_ledger_done(out);
    *out = l;
    return 0;
}
