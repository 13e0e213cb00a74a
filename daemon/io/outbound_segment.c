/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a segment and its marks: at open and when it is folded, by the same rules. */
#include "io/outbound_int.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_MAGIC 0x534f4847u /* "GHOS" */
#define VERSION       1
#define WINDOW        16384
#define LOST_MOST     (1u << 20) /* more blocks than a segment holds */
#define MARKS_MAX     (256u << 20)

char *out_path(const char *dir, uint64_t first_seq, const char *suffix)
{
    return mem_printf("%s/%016llx.%s", dir, (unsigned long long)first_seq, suffix);
}

void out_segment_header(uint64_t first_seq, uint64_t before, char out[OUT_SEGMENT_HEADER])
{
    memset(out, 0, OUT_SEGMENT_HEADER);
    uint32_t magic = SEGMENT_MAGIC, version = VERSION;
    memcpy(out, &magic, 4);
    memcpy(out + 4, &version, 4);
    memcpy(out + 8, &first_seq, 8);
    memcpy(out + 16, &before, 8);
    uint32_t crc = crc32c(0, out, OUT_SEGMENT_HEADER - 4);
    memcpy(out + OUT_SEGMENT_HEADER - 4, &crc, 4);
}

static bool header_whole(const char *p, size_t n)
{
    uint32_t magic, crc;
    if (n < OUT_SEGMENT_HEADER)
        return false;
    memcpy(&magic, p, 4);
    memcpy(&crc, p + OUT_SEGMENT_HEADER - 4, 4);
    return magic == SEGMENT_MAGIC && crc32c(0, p, OUT_SEGMENT_HEADER - 4) == crc;
}

/* 0, or -EPROTO: written by a later version. A damaged header is not needed: the name tells. */
static int check_version(const char *p, size_t n)
{
    uint32_t version;
    if (!header_whole(p, n))
        return 0;
    memcpy(&version, p + 4, 4);
    return version > VERSION ? -EPROTO : 0;
}

uint64_t out_segment_made_before(const char *dir, uint64_t first_seq, uint64_t before)
{
    char *path = out_path(dir, first_seq, "blocks");
    struct file *f;
    uint64_t made = UINT64_MAX, told;
    if (file_open(path, FILE_READ, &f) == 0) {
        size_t got, room = OUT_SEGMENT_HEADER + BLOCK_HEADER_MAX;
        char *p = mem_realloc_array(NULL, room, 1);
        struct block_header h;
        if (file_read(f, 0, p, room, &got) == 0 && header_whole(p, got)) {
            memcpy(&told, p + 16, 8);
            if (told == before &&
                block_get_header(p + OUT_SEGMENT_HEADER, got - OUT_SEGMENT_HEADER, &h) == 0 &&
                h.info.seq == first_seq)
                made = h.made_before;
        }
        free(p);
        file_close(f);
    }
    free(path);
    return made;
}

void out_segment_free(struct out_segment *s)
{
    if (!s)
        return;
    free(s->entries);
    free(s);
}

void out_segment_add(struct out_segment *s, const struct out_entry *e)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->entries = mem_realloc_array(s->entries, s->cap, sizeof(*s->entries));
    }
    s->entries[s->n++] = *e;
    if (e->state == OUT_DONE) {
        s->done_bytes += e->body_bytes;
        return;
    }
    s->n_open++;
    s->n_waiting++;
    s->hi = s->n;
    if (s->n_waiting == 1)
        s->lo = s->n - 1;
}

/* -- a window over the file: headers are read, bodies only where they must be
 * ------------------- */

struct window {
    struct file *f;
    uint64_t size, at;
    struct buf buf;
};

/* n bytes from `at`, or fewer at the end. */
static int look(struct window *w, uint64_t at, size_t n, const char **out, size_t *out_n)
{
    if (at > w->size)
        at = w->size;
    if (n > w->size - at)
        n = (size_t)(w->size - at);
    if (at < w->at || at + n > w->at + w->buf.len) {
        size_t want = n > WINDOW ? n : WINDOW, got;
        buf_clear(&w->buf);
        char *room = buf_room(&w->buf, want);
        if (!room)
            return -ENOBUFS;
        int rc = file_read(w->f, at, room, want, &got);
        if (rc != 0)
            return rc;
        w->at = at;
        buf_commit(&w->buf, got);
        if (n > got)
            n = got;
    }
    *out = n > 0 ? w->buf.data + (at - w->at) : ""; /* nothing was read of an empty file */
    *out_n = n;
    return 0;
}

/* The header at `at`: 0, -EBADMSG, or another error of the disk. *out_p: its bytes. */
static int look_header(struct window *w, uint64_t at, struct block_header *h,
                       const char **out_p)
{
    size_t n;
    int rc = look(w, at, BLOCK_HEADER_MIN, out_p, &n);
    if (rc != 0)
        return rc;
    rc = block_get_header(*out_p, n, h);
    if (rc == -EAGAIN) {
        rc = look(w, at, h->header_bytes, out_p, &n);
        if (rc == 0)
            rc = block_get_header(*out_p, n, h);
    }
    if (rc == -EAGAIN || (rc == 0 && at + block_span(h) > w->size))
        rc = -EBADMSG;
    return rc;
}

/* -- marks -----------------------------------------------------------------------------------
 */

struct marks {
    struct out_mark *m;
    size_t n, cap;
    uint64_t end;  /* after the last record that verifies */
    uint64_t size; /* of the file */
};

static int by_seq(const void *a, const void *b)
{
    const struct out_mark *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void marks_done(struct marks *ms)
{
    for (size_t i = 0; i < ms->n; i++)
        free(ms->m[i].refused);
    free(ms->m);
}

static int marks_read(const char *dir, uint64_t first_seq, struct marks *out,
                      struct outbound_notes *notes)
{
    *out = (struct marks){0};
    char *path = out_path(dir, first_seq, "marks"), *text = NULL;
    size_t len = 0;
    int rc = file_load(path, MARKS_MAX, &text, &len);
    free(path);
    if (rc == -ENOENT)
        return 0;
    if (rc != 0)
        return rc;
    bool bad = false;
    out->size = len;
    for (size_t at = 0; at < len;) {
        struct out_mark m;
        size_t used;
        if (out_mark_get(text + at, len - at, &m, &used) != 0) {
            bad = true; /* a page that did not reach the disk: the next record stands alone */
            at += 8;
            continue;
        }
        if (bad)
            notes->bad_marks++;
        bad = false;
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 64;
            out->m = mem_realloc_array(out->m, out->cap, sizeof(*out->m));
        }
        out->m[out->n++] = m;
        at += used;
        out->end = at;
    }
    if (bad)
        notes->bad_marks++;
    free(text);
    if (out->n)
        qsort(out->m, out->n, sizeof(*out->m), by_seq);
    return 0;
}

/* The mark of this very block, or NULL. */
static const struct out_mark *marks_find(const struct marks *ms, uint64_t seq, uint32_t crc)
{
    size_t lo = 0, hi = ms->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ms->m[mid].seq < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < ms->n && ms->m[lo].seq == seq; lo++)
        if (ms->m[lo].header_crc == crc)
            return &ms->m[lo];
    return NULL;
}

/* -- blocks ----------------------------------------------------------------------------------
 */

struct reading {
    struct window w;
    const struct out_where *where;
    struct marks marks;
    struct out_totals *totals;
    struct outbound_notes *notes;
    struct out_segment *seg;
    uint64_t seq, made; /* of the next block; made UINT64_MAX: not known */
    uint64_t synced;    /* blocks up to here were on the disk */
    size_t marks_used;
    bool unreadable; /* bytes are left that are no blocks */
};

/* The first block at or after `at` that verifies and can follow. 0, -ENOENT, or an error. */
static int resync(struct reading *r, uint64_t at, struct block_header *h, uint64_t *out_at)
{
    for (uint64_t off = (at + 7) & ~(uint64_t)7; off + BLOCK_HEADER_MIN <= r->w.size;
         off += 8) {
        const char *p;
        size_t n;
        int rc = look(&r->w, off, 4, &p, &n);
        if (rc != 0)
            return rc;
        if (n < 4 || memcmp(p, "GHOB", 4) != 0)
            continue;
        rc = look_header(&r->w, off, h, &p);
        if (rc != 0 && rc != -EBADMSG)
            return rc;
        /* a gap cannot hold more blocks than its bytes can */
        if (rc == 0 && h->info.seq >= r->seq && h->info.seq < r->where->seq_limit &&
            h->info.seq - r->seq <= (off - at) / BLOCK_HEADER_MIN + 1 &&
            (r->made == UINT64_MAX || h->made_before >= r->made)) {
            *out_at = off;
            return 0;
        }
    }
    return -ENOENT;
}

/* `n` blocks are unreadable, up to where `made` stood afterwards (UINT64_MAX: not known). */
static void lose(struct reading *r, uint64_t n, uint64_t made)
{
    uint64_t lines =
        made != UINT64_MAX && r->made != UINT64_MAX && made > r->made ? made - r->made : 0;
    r->notes->rotten_blocks += n;
    r->notes->rotten_lines += lines;
    out_totals_lost(r->totals, lines);
    for (uint64_t i = 0; i < n; i++) {
        struct out_entry e = {.state = OUT_DONE};
        out_segment_add(r->seg, &e);
    }
    r->seq += n;
    if (made != UINT64_MAX)
        r->made = made;
}

static void accept(struct reading *r, const struct block_header *h, const char *p, uint64_t at)
{
    struct block_share *shares = block_get_shares(p, h);
    out_totals_block(r->totals, h, shares);
    struct out_entry e = {
        .wall_ns = h->info.closed_wall_ns,
        .offset = (uint32_t)at,
        .header_bytes = h->header_bytes,
        .body_bytes = h->info.body_bytes,
        .lines = h->info.lines,
        .crc = h->header_crc,
        .state = h->shed || h->info.lines == 0 ? OUT_DONE : OUT_WAITING,
        .class_ = (uint8_t)h->info.class_,
    };
    const struct out_mark *m = marks_find(&r->marks, h->info.seq, h->header_crc);
    if (m && e.state == OUT_WAITING) {
        out_totals_mark(r->totals, m, h, shares);
        e.state = OUT_DONE;
        r->marks_used++;
    }
    out_segment_add(r->seg, &e);
    if (position_cmp(&h->info.to, &r->seg->end) > 0)
        r->seg->end = h->info.to;
    r->seq = h->info.seq + 1;
    r->made = h->made_before + h->made;
    free(shares);
}

/* Where a last segment ends: every block up to `synced` reached the disk, above it the first
 * one that does not verify is the tear, whatever stands beyond; and a group is whole or not. */
static int find_end(struct reading *r, uint64_t *out_end)
{
    const char *p;
    size_t n;
    struct block_header h;
    uint64_t at = OUT_SEGMENT_HEADER, seq = r->where->first_seq - 1, end = at, group = at;
    struct reading probe = *r; /* resync() looks at seq and made */
    probe.made = UINT64_MAX;
    /* first: how far was it synced? */
    for (uint64_t off = at; resync(&probe, off, &h, &off) == 0; off += block_span(&h)) {
        if (h.synced_seq > r->synced)
            r->synced = h.synced_seq;
        probe.seq = h.info.seq + 1;
    }
    r->w = probe.w; /* the buffer is shared */
    while (at < r->w.size) {
        int rc = look_header(&r->w, at, &h, &p);
        if (rc == 0 && h.info.seq != seq + 1)
            rc = -EBADMSG;
        /* a marked block was on the disk before it was posted, and its body may be a hole */
        if (rc == 0 && h.info.seq > r->synced && h.info.body_bytes > 0 &&
            !marks_find(&r->marks, h.info.seq, h.header_crc)) {
            rc = look(&r->w, at + h.header_bytes, h.info.body_bytes, &p, &n);
            if (rc == 0 && (n < h.info.body_bytes || !block_body_good(&h, p)))
                rc = -EBADMSG;
        }
        if (rc != 0 && rc != -EBADMSG)
            return rc;
        if (rc == -EBADMSG) {
            if (seq + 1 > r->synced)
                break;
            probe = *r;
            probe.seq = seq + 1;
            probe.made = UINT64_MAX;
            uint64_t next;
            rc = resync(&probe, at + 8, &h, &next);
            r->w = probe.w;
            if (rc == -ENOENT)
                break;
            if (rc != 0)
                return rc;
            at = next;
            seq = h.info.seq - 1;
            continue;
        }
        at += block_span(&h);
        seq = h.info.seq;
        end = at;
        if (!h.more)
            group = at;
    }
    *out_end = end == group ? end : group;
    return 0;
}

static int read_blocks(struct reading *r, uint64_t end)
{
    const char *p;
    struct block_header h;
    uint64_t at = OUT_SEGMENT_HEADER;
    r->w.size = end;
    while (at < end && r->seq < r->where->seq_limit) {
        int rc = look_header(&r->w, at, &h, &p);
        if (rc == 0 && h.info.seq >= r->where->seq_limit)
            break; /* left by a write that did not count */
        bool fits = rc == 0 && h.info.seq == r->seq &&
                    (r->made == UINT64_MAX || h.made_before == r->made);
        if (rc != 0 && rc != -EBADMSG)
            return rc;
        if (!fits) {
            /* one that verifies may stand behind blocks that are gone: it is none of them */
            uint64_t next;
            rc = resync(r, rc == 0 ? at : at + 8, &h, &next);
            if (rc == -ENOENT) {
                r->unreadable = true;
                break;
            }
            if (rc != 0)
                return rc;
            lose(r, h.info.seq - r->seq, h.made_before);
            at = next;
            continue;
        }
        accept(r, &h, p, at);
        at += block_span(&h);
    }
    return 0;
}

/* Blocks between the last one read and the next segment's first. How many they were only a next
 * segment can tell that says that it follows this one; else what stands there may be folded. */
static void lose_tail(struct reading *r, const struct out_where *where)
{
    bool told = where->made_end != UINT64_MAX;
    if (r->seq >= where->seq_limit || (!told && !r->unreadable && r->seg->n > 0))
        return;
    uint64_t n = told ? where->seq_limit - r->seq : 1;
    lose(r, n <= LOST_MOST ? n : 1, where->made_end);
}

int out_segment_read(const char *dir, const struct out_where *where, struct out_totals *totals,
                     struct outbound_notes *notes, struct out_segment **out)
{
    struct reading r = {.where = where,
                        .totals = totals,
                        .notes = notes,
                        .seq = where->first_seq,
                        .made = where->made_before};
    buf_init(&r.w.buf, BLOCK_BODY_MAX + BLOCK_HEADER_MAX);
    r.seg = mem_zalloc(sizeof(*r.seg));
    r.seg->first_seq = where->first_seq;
    r.seg->made_before = where->made_before;
    char *path = out_path(dir, where->first_seq, "blocks");
    int rc = file_open(path, FILE_READ, &r.w.f);
    free(path);
    if (rc != 0)
        goto out_seg;
    rc = file_size(r.w.f, &r.w.size);
    if (rc != 0)
        goto out_file;
    if (r.w.size > UINT32_MAX) {
        rc = -EFBIG;
        goto out_file;
    }
    rc = marks_read(dir, where->first_seq, &r.marks, notes);
    if (rc != 0)
        goto out_file;
    const char *p;
    size_t n;
    rc = look(&r.w, 0, OUT_SEGMENT_HEADER, &p, &n);
    if (rc == 0)
        rc = check_version(p, n);
    uint64_t end = r.w.size, size = r.w.size;
    bool last = where->seq_limit == UINT64_MAX;
    if (rc == 0 && last)
        rc = size < OUT_SEGMENT_HEADER ? (end = 0, 0) : find_end(&r, &end);
    if (rc == 0)
        rc = read_blocks(&r, end);
    if (rc != 0)
        goto out_marks;
    if (last)
        notes->torn_bytes += size - end;
    else
        lose_tail(&r, where);
    notes->bad_marks += r.marks.n - r.marks_used;
    r.seg->size = end;
    r.seg->made_end = r.made;
    r.seg->marks_size = r.marks.end;
    r.seg->marks_torn = r.marks.size > r.marks.end;
    *out = r.seg;
    r.seg = NULL;
out_marks:
    marks_done(&r.marks);
out_file:
    file_close(r.w.f);
out_seg:
    buf_done(&r.w.buf);
    out_segment_free(r.seg);
    return rc;
}
