/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of a log: what waits, what is done, what was counted. */
#include "io/outbound_log.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PUNCH_LEAST  32768      /* a smaller body is not worth a hole: its segment goes soon */
#define PUNCH_SHED   4096       /* but alarms may keep a segment for as long as all is shed */
#define PUNCH_WANTED (4u << 20) /* bytes of holes that are worth a job of their own */
#define HEADER_READ  4096

static struct out_segment *find_segment(const struct outbound *ob, uint64_t seq, size_t *out_i)
{
    size_t lo = 0, hi = ob->n_segments; /* the last with first_seq ≤ seq */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ob->segments[mid]->first_seq <= seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return NULL;
    struct out_segment *s = ob->segments[lo - 1];
    if (seq - s->first_seq >= s->n)
        return NULL;
    *out_i = (size_t)(seq - s->first_seq);
    return s;
}

void outbound_notes(const struct outbound *ob, struct outbound_notes *out)
{
    *out = ob->notes;
}

struct position outbound_end(const struct outbound *ob)
{
    return ob->end;
}

struct position outbound_durable(const struct outbound *ob)
{
    return ob->end;
}

uint64_t outbound_next_seq(const struct outbound *ob)
{
    return ob->next_seq;
}

uint64_t outbound_bytes(const struct outbound *ob)
{
    return ob->bytes;
}

uint64_t outbound_pending_lines(const struct outbound *ob)
{
    return ob->pending_lines;
}

uint64_t outbound_pending_blocks(const struct outbound *ob)
{
    return ob->pending_blocks;
}

uint64_t outbound_waiting_blocks(const struct outbound *ob)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ob->n_segments; i++)
        n += ob->segments[i]->n_waiting;
    return n;
}

int64_t outbound_oldest_wall_ns(const struct outbound *ob)
{
    for (size_t i = 0; i < ob->n_segments; i++) {
        const struct out_segment *s = ob->segments[i];
        for (size_t k = 0; s->n_open && k < s->n; k++)
            if (s->entries[k].state != OUT_DONE)
                return s->entries[k].wall_ns;
    }
    return 0;
}

size_t outbound_shares(const struct outbound *ob, const struct outbound_share **out)
{
    *out = ob->totals.shares;
    return ob->totals.n;
}

size_t outbound_reasons(const struct outbound *ob, const struct outbound_reason **out)
{
    *out = ob->totals.reasons;
    return ob->totals.n_reasons;
}

bool outbound_wants_sync(const struct outbound *ob)
{
    return ob->n_foldable > 0 || ob->punch_bytes >= PUNCH_WANTED || ob->job.n_left > 0;
}

int outbound_fold_error(const struct outbound *ob)
{
    return ob->fold_error;
}

/* -- taking ----------------------------------------------------------------------------------
 */

static void info_of(const struct out_segment *s, size_t i, struct block_info *out)
{
    const struct out_entry *e = &s->entries[i];
    *out = (struct block_info){.seq = s->first_seq + i,
                               .class_ = e->class_ == POINT_KEEP ? POINT_KEEP : POINT_ROUTINE,
                               .lines = e->lines,
                               .body_bytes = e->body_bytes,
                               .closed_wall_ns = e->wall_ns};
}

static void tighten(struct out_segment *s)
{
    while (s->hi > s->lo && s->entries[s->hi - 1].state != OUT_WAITING)
        s->hi--;
    while (s->lo < s->hi && s->entries[s->lo].state != OUT_WAITING)
        s->lo++;
}

bool outbound_take(struct outbound *ob, bool newest, struct block_info *out)
{
    for (size_t k = 0; k < ob->n_segments; k++) {
        struct out_segment *s = ob->segments[newest ? ob->n_segments - 1 - k : k];
        if (s->n_waiting == 0)
            continue;
        tighten(s);
        size_t i = newest ? s->hi - 1 : s->lo;
        ASSERT(s->lo < s->hi);
        s->entries[i].state = OUT_TAKEN;
        s->n_waiting--;
        info_of(s, i, out);
        return true;
    }
    return false;
}

void outbound_put_back(struct outbound *ob, uint64_t seq)
{
    size_t i;
    struct out_segment *s = find_segment(ob, seq, &i);
    ASSERT(s && s->entries[i].state == OUT_TAKEN);
    s->entries[i].state = OUT_WAITING;
    if (s->n_waiting++ == 0) {
        s->lo = i;
        s->hi = i + 1;
        return;
    }
    if (i < s->lo)
        s->lo = i;
    if (i >= s->hi)
        s->hi = i + 1;
}

bool outbound_oldest_routine(struct outbound *ob, uint64_t *out_seq)
{
    for (size_t k = 0; k < ob->n_segments; k++) {
        struct out_segment *s = ob->segments[k];
        if (s->n_waiting == 0)
            continue;
        tighten(s);
        for (size_t i = s->lo; i < s->hi; i++)
            if (s->entries[i].state == OUT_WAITING && s->entries[i].class_ == POINT_ROUTINE) {
                *out_seq = s->first_seq + i;
                return true;
            }
    }
    return false;
}

/* -- reading ---------------------------------------------------------------------------------
 */

static int reader(struct outbound *ob, const struct out_segment *s, struct file **out)
{
    if (ob->reader && ob->reader_seq == s->first_seq) {
        *out = ob->reader;
        return 0;
    }
    char *path = out_path(ob->dir, s->first_seq, "blocks");
    struct file *f;
    int rc = file_open(path, FILE_READ, &f);
    free(path);
    if (rc != 0)
        return rc;
    file_close(ob->reader);
    ob->reader = f;
    ob->reader_seq = s->first_seq;
    *out = f;
    return 0;
}

/* The header that the index knows, into ob->scratch. -EBADMSG: not that any more. */
static int read_header(struct outbound *ob, const struct out_segment *s,
                       const struct out_entry *e, size_t more, struct block_header *out)
{
    struct file *f;
    int rc = reader(ob, s, &f);
    if (rc != 0)
        return rc;
    size_t want = e->header_bytes + more, got;
    buf_clear(&ob->scratch);
    char *p = buf_room(&ob->scratch, want);
    ASSERT(p);
    rc = file_read(f, e->offset, p, want, &got);
    if (rc != 0)
        return rc;
    buf_commit(&ob->scratch, got);
    rc = block_get_header(p, got < e->header_bytes ? got : e->header_bytes, out);
    if (rc == 0 && (out->header_crc != e->crc || out->header_bytes != e->header_bytes))
        rc = -EBADMSG;
    return rc == -EAGAIN ? -EBADMSG : rc;
}

/* -- done ------------------------------------------------------------------------------------
 */

static int write_mark(struct outbound *ob, struct out_segment *s, const struct out_mark *m)
{
    buf_clear(&ob->mark);
    int rc = out_mark_put(m, &ob->mark);
    if (rc != 0)
        return rc;
    if (!ob->marks || ob->marks_seq != s->first_seq) {
        char *path = out_path(ob->dir, s->first_seq, "marks");
        struct file *f;
        rc = file_open(path, FILE_WRITE | FILE_CREATE, &f);
        free(path);
        if (rc != 0)
            return rc;
        file_close(ob->marks);
        ob->marks = f;
        ob->marks_seq = s->first_seq;
    }
    rc = file_write(ob->marks, s->marks_size, ob->mark.data, ob->mark.len);
    if (rc != 0) {
        (void)file_truncate(ob->marks,
                            s->marks_size); /* a half record does not verify anyway */
        return rc;
    }
    s->marks_size += ob->mark.len;
    return 0;
}

static void note_punch(struct outbound *ob, const struct out_segment *s,
                       const struct out_entry *e, uint32_t least)
{
    if (e->body_bytes < least)
        return;
    if (ob->n_punches == ob->cap_punches) {
        ob->cap_punches = ob->cap_punches ? ob->cap_punches * 2 : 64;
        ob->punches = mem_realloc_array(ob->punches, ob->cap_punches, sizeof(*ob->punches));
    }
    ob->punches[ob->n_punches++] = (struct out_punch){
        .first_seq = s->first_seq, .at = e->offset + e->header_bytes, .n = e->body_bytes};
    ob->punch_bytes += e->body_bytes;
}

static void settle_done(struct outbound *ob, struct out_segment *s, size_t i, uint32_t least)
{
    struct out_entry *e = &s->entries[i];
    if (e->state == OUT_WAITING)
        s->n_waiting--;
    e->state = OUT_DONE;
    s->n_open--;
    s->done_bytes += e->body_bytes;
    ob->bytes -= e->body_bytes;
    ob->pending_blocks--;
    ob->pending_lines -= e->lines;
    if (s->n_open == 0 && s != ob->segments[ob->n_segments - 1])
        ob->n_foldable++;
    else
        note_punch(ob, s, e, least);
}

/* Refusals as they can be true: no compound has more of them than lines. */
static struct out_refusal *fit(const struct block_header *h, const struct block_share *shares,
                               const struct outbound_refusal *refused, size_t n, size_t *out_n)
{
    struct out_refusal *r = mem_zalloc_array(n + h->info.n_shares + 1, sizeof(*r));
    uint32_t *left = mem_zalloc_array(h->info.n_shares + 1, sizeof(*left));
    size_t k = 0, cap = n + h->info.n_shares + 1;
    for (size_t s = 0; s < h->info.n_shares; s++)
        left[s] = shares[s].lines;
    for (size_t i = 0; i < n; i++) {
        uint32_t lines = refused[i].lines;
        /* first its own compound, then any that has lines left */
        for (int any = 0; any < 2; any++)
            for (size_t s = 0; s < h->info.n_shares && lines > 0; s++) {
                if (left[s] == 0 || k == cap ||
                    (!any && strcmp(shares[s].compound, refused[i].compound) != 0))
                    continue;
                uint32_t take = lines < left[s] ? lines : left[s];
                memcpy(r[k].compound, shares[s].compound, sizeof(r[k].compound));
                memcpy(r[k].reason, refused[i].reason,
                       strnlen(refused[i].reason, sizeof(r[k].reason) - 1));
                r[k++].lines = take;
                left[s] -= take;
                lines -= take;
            }
    }
    free(left);
    *out_n = k;
    return r;
}

static int mark_done(struct outbound *ob, struct out_segment *s, size_t i,
                     enum outbound_outcome outcome, const struct outbound_refusal *refused,
                     size_t n_refused)
{
    struct block_header h;
    int rc = read_header(ob, s, &s->entries[i], 0, &h);
    if (rc != 0)
        return rc;
    struct block_share *shares = block_get_shares(ob->scratch.data, &h);
    struct out_mark m = {
        .seq = s->first_seq + i, .header_crc = h.header_crc, .outcome = outcome};
    m.refused = fit(&h, shares, refused, n_refused, &m.n_refused);
    rc = write_mark(ob, s, &m);
    if (rc == 0) {
        out_totals_mark(&ob->totals, &m, &h, shares);
        settle_done(ob, s, i, outcome == OUTBOUND_SHED ? PUNCH_SHED : PUNCH_LEAST);
    }
    free(m.refused);
    free(shares);
    return rc;
}

/* A body that does not verify: all its lines are refused{corrupt}, by the header if that is
 * whole. A header that went bad since open is found again at the next open and counted there.
 */
static void give_up(struct outbound *ob, struct out_segment *s, size_t i,
                    const struct block_header *h)
{
    ob->notes.rotten_blocks++;
    ob->notes.rotten_lines += s->entries[i].lines;
    if (!h) {
        struct outbound_share *q = out_totals_share(&ob->totals, OUT_UNKNOWN);
        q->refused += s->entries[i].lines;
        out_totals_reason(&ob->totals, OUT_REASON_CORRUPT, s->entries[i].lines);
        settle_done(ob, s, i, PUNCH_LEAST);
        return;
    }
    struct block_share *shares = block_get_shares(ob->scratch.data, h);
    struct outbound_refusal *r = mem_zalloc_array(h->info.n_shares + 1, sizeof(*r));
    for (size_t k = 0; k < h->info.n_shares; k++)
        r[k] =
            (struct outbound_refusal){shares[k].compound, OUT_REASON_CORRUPT, shares[k].lines};
    size_t n = h->info.n_shares;
    if (mark_done(ob, s, i, OUTBOUND_ACCEPTED, r, n) != 0)
        s->entries[i].state =
            OUT_TAKEN; /* the mark could not be written: stays with the caller */
    free(r);
    free(shares);
}

int outbound_done(struct outbound *ob, uint64_t seq, enum outbound_outcome outcome,
                  const struct outbound_refusal *refused, size_t n_refused)
{
    size_t i;
    struct out_segment *s = find_segment(ob, seq, &i);
    if (!s || s->entries[i].state == OUT_DONE)
        return -EINVAL;
    int rc = mark_done(ob, s, i, outcome, refused, n_refused);
    if (rc != -EBADMSG)
        return rc;
    /* No mark can be made of it. Left waiting, it would be asked for again for ever: the oldest one
     * would end all shedding. */
    give_up(ob, s, i, NULL);
    return 0;
}

int outbound_load(struct outbound *ob, uint64_t seq, struct buf *body, struct block_info *out)
{
    size_t i;
    struct out_segment *s = find_segment(ob, seq, &i);
    if (!s || s->entries[i].state != OUT_TAKEN)
        return -EINVAL;
    struct out_entry *e = &s->entries[i];
    struct block_header h;
    buf_clear(body);
    int rc = read_header(ob, s, e, e->body_bytes, &h);
    if (rc == -EBADMSG) {
        give_up(ob, s, i, NULL);
        return rc;
    }
    if (rc != 0)
        return rc;
    const char *p = ob->scratch.data + e->header_bytes;
    if (ob->scratch.len < (size_t)e->header_bytes + e->body_bytes || !block_body_good(&h, p)) {
        give_up(ob, s, i, &h);
        return e->state == OUT_DONE ? -EBADMSG : -EIO;
    }
    rc = buf_put(body, p, e->body_bytes);
    if (rc == 0)
        *out = h.info;
    return rc;
}

/* -- after a job -----------------------------------------------------------------------------
 */

static void add_segment(struct outbound *ob, struct out_segment *s)
{
    if (ob->n_segments == ob->cap_segments) {
        ob->cap_segments = ob->cap_segments ? ob->cap_segments * 2 : 16;
        ob->segments =
            mem_realloc_array(ob->segments, ob->cap_segments, sizeof(struct out_segment *));
    }
    if (ob->n_segments && ob->segments[ob->n_segments - 1]->n_open == 0)
        ob->n_foldable++; /* the one before is no longer the last */
    ob->segments[ob->n_segments++] = s;
}

static void settle_blocks(struct outbound *ob)
{
    struct out_job *j = &ob->job;
    for (size_t k = 0; k < j->n_staged; k++) {
        struct out_staged *st = &j->staged[k];
        struct out_segment *s = ob->n_segments ? ob->segments[ob->n_segments - 1] : NULL;
        if (!s || s->first_seq != st->first_seq) {
            s = mem_zalloc(sizeof(*s));
            s->first_seq = st->first_seq;
            s->made_before = s->made_end = st->header.made_before;
            s->size = OUT_SEGMENT_HEADER;
            ob->bytes += s->size;
            add_segment(ob, s);
        }
        ASSERT(st->header.info.seq == s->first_seq + s->n);
        out_segment_add(s, &st->entry);
        uint64_t span = block_span(&st->header);
        s->size += span;
        s->made_end = st->header.made_before + st->header.made;
        ob->bytes += span;
        if (st->entry.state == OUT_DONE)
            ob->bytes -= st->entry.body_bytes;
        else {
            ob->pending_blocks++;
            ob->pending_lines += st->entry.lines;
        }
        if (position_cmp(&st->header.info.to, &s->end) > 0)
            s->end = st->header.info.to;
        if (position_cmp(&st->header.info.to, &ob->end) > 0)
            ob->end = st->header.info.to;
        ob->next_seq = st->header.info.seq + 1;
        out_totals_block(&ob->totals, &st->header, st->shares);
        free(st->shares);
    }
    j->n_staged = 0;
}

static void remove_segment(struct outbound *ob, uint64_t first_seq)
{
    for (size_t i = 0; i < ob->n_segments; i++) {
        struct out_segment *s = ob->segments[i];
        if (s->first_seq != first_seq)
            continue;
        ob->bytes -= s->size - s->done_bytes;
        if (ob->reader && ob->reader_seq == first_seq) {
            file_close(ob->reader);
            ob->reader = NULL;
        }
        if (ob->marks && ob->marks_seq == first_seq) {
            file_close(ob->marks);
            ob->marks = NULL;
        }
        out_segment_free(s);
        memmove(&ob->segments[i], &ob->segments[i + 1],
                (ob->n_segments - i - 1) * sizeof(struct out_segment *));
        ob->n_segments--;
        return;
    }
}

/* What the next job is to fold: sealed segments that are done. */
static void plan_folds(struct outbound *ob)
{
    struct out_job *j = &ob->job;
    j->n_folds = 0;
    if (ob->n_foldable == 0)
        return;
    for (size_t i = 0; i + 1 < ob->n_segments && j->n_folds < OUT_FOLDS; i++) {
        const struct out_segment *s = ob->segments[i], *next = ob->segments[i + 1];
        if (s->n_open == 0)
            j->folds[j->n_folds++] = (struct out_where){.first_seq = s->first_seq,
                                                        .seq_limit = s->first_seq + s->n,
                                                        .made_before = s->made_before,
                                                        .made_end = s->made_end};
        ASSERT(s->first_seq + s->n <= next->first_seq);
    }
}

void outbound_settle(struct outbound *ob)
{
    struct out_job *j = &ob->job;
    if (j->synced)
        settle_blocks(ob);
    j->synced = false;
    for (size_t i = 0; i < j->n_removed; i++) {
        remove_segment(ob, j->removed[i]);
        ob->n_foldable--;
    }
    j->n_removed = 0;
    ob->fold_error = j->fold_error;
    plan_folds(ob);
    if (j->n_punches == 0) { /* taken over when the last ones are made */
        struct out_punch *spare = j->punches;
        size_t cap = j->cap_punches;
        j->punches = ob->punches;
        j->n_punches = ob->n_punches;
        j->cap_punches = ob->cap_punches;
        ob->punches = spare;
        ob->cap_punches = cap;
        ob->n_punches = 0;
        ob->punch_bytes = 0;
    }
}

/* -- opening ---------------------------------------------------------------------------------
 */

void outbound_close(struct outbound *ob)
{
    if (!ob)
        return;
    out_job_done(&ob->job);
    file_close(ob->reader);
    file_close(ob->marks);
    for (size_t i = 0; i < ob->n_segments; i++)
        out_segment_free(ob->segments[i]);
    free(ob->segments);
    free(ob->punches);
    out_totals_done(&ob->totals);
    buf_done(&ob->scratch);
    buf_done(&ob->mark);
    free(ob->dir);
    free(ob);
}

struct names {
    uint64_t *seqs;
    size_t n, cap;
};
struct listing {
    struct names blocks, marks;
};

static bool hex16(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *d = s[i] ? strchr(digits, s[i]) : NULL;
        if (!d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    *out = v;
    return true;
}

static void on_name(void *ctx, const char *name)
{
    struct listing *ls = ctx;
    uint64_t seq;
    if (!hex16(name, &seq) || seq == 0)
        return;
    bool blocks = strcmp(name + 16, ".blocks") == 0;
    if (!blocks && strcmp(name + 16, ".marks") != 0)
        return;
    struct names *ns = blocks ? &ls->blocks : &ls->marks;
    if (ns->n == ns->cap) {
        ns->cap = ns->cap ? ns->cap * 2 : 64;
        ns->seqs = mem_realloc_array(ns->seqs, ns->cap, sizeof(*ns->seqs));
    }
    ns->seqs[ns->n++] = seq;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int open_ledger(struct outbound *ob, struct err *err)
{
    char *path = mem_printf("%s/ledger", ob->dir), *text = NULL;
    size_t len;
    int rc = file_load(path, 1u << 30, &text, &len);
    if (rc == 0 && out_ledger_get(text, len, &ob->job.ledger) != 0) {
        char *bad = mem_printf("%s/ledger.bad", ob->dir);
        rc = file_rename(path, bad);
        if (rc != 0)
            (void)err_errno(err, rc, "cannot put the damaged %s aside", path);
        free(bad);
        ob->notes.ledger_lost = true;
    } else if (rc == -ENOENT) {
        rc = 0;
    } else if (rc != 0) {
        (void)err_errno(err, rc, "cannot read %s", path);
    }
    free(text);
    free(path);
    return rc;
}

static bool was_folded(const struct out_ledger *l, uint64_t first_seq)
{
    for (size_t i = 0; i < l->n_folded; i++)
        if (l->folded[i] == first_seq)
            return true;
    return false;
}

static int remove_files(struct outbound *ob, uint64_t first_seq, struct err *err)
{
    int rc = out_remove(ob->dir, first_seq);
    if (rc != 0)
        (void)err_errno(err, rc, "cannot remove segment %016llx of %s",
                        (unsigned long long)first_seq, ob->dir);
    return rc;
}

/* A half record at the end goes for good before anything is written over it: after another
 * power cut its old half could stand beside fitting bytes, and the mark of a block that waited
 * again would rise. */
static int cut_marks(struct outbound *ob, const struct out_segment *s)
{
    char *path = out_path(ob->dir, s->first_seq, "marks");
    struct file *f;
    int rc = file_open(path, FILE_READ | FILE_WRITE, &f);
    free(path);
    if (rc != 0)
        return rc;
    rc = file_truncate(f, s->marks_size);
    if (rc == 0)
        rc = file_sync(f);
    file_close(f);
    return rc;
}

static int open_segment(struct outbound *ob, const struct out_where *w, struct err *err)
{
    struct out_segment *s;
    int rc = out_segment_read(ob->dir, w, &ob->totals, &ob->notes, &s);
    if (rc == -EPROTO)
        return err_set(err, rc, "%s/%016llx.blocks was written by a later version of gaihoud",
                       ob->dir, (unsigned long long)w->first_seq);
    if (rc != 0)
        return err_errno(err, rc, "cannot read %s/%016llx.blocks", ob->dir,
                         (unsigned long long)w->first_seq);
    if (s->n == 0 && w->seq_limit == UINT64_MAX) { /* torn at birth: made again when needed */
        out_segment_free(s);
        rc = remove_files(ob, w->first_seq, err);
        if (rc != 0)
            return rc;
        /* its name says that the one before ends there: it must not come back */
        rc = file_sync_dir(ob->dir);
        return rc == 0 ? 0 : err_errno(err, rc, "cannot sync %s", ob->dir);
    }
    if (s->marks_torn) {
        rc = cut_marks(ob, s);
        if (rc != 0) {
            (void)err_errno(err, rc, "cannot cut %s/%016llx.marks", ob->dir,
                            (unsigned long long)s->first_seq);
            out_segment_free(s);
            return rc;
        }
    }
    ob->bytes += s->size - s->done_bytes;
    for (size_t i = 0; i < s->n; i++)
        if (s->entries[i].state != OUT_DONE) {
            ob->pending_blocks++;
            ob->pending_lines += s->entries[i].lines;
        }
    if (position_cmp(&s->end, &ob->end) > 0)
        ob->end = s->end;
    if (s->first_seq + s->n > ob->next_seq)
        ob->next_seq = s->first_seq + s->n;
    if (s->made_end != UINT64_MAX && s->made_end > ob->job.made)
        ob->job.made = s->made_end;
    add_segment(ob, s);
    return 0;
}

/* Marks whose blocks were removed and which were not, because the process ended in between. */
static void remove_orphans(struct outbound *ob, const struct listing *ls)
{
    for (size_t i = 0; i < ls->marks.n; i++) {
        const struct names *b = &ls->blocks;
        if (b->n && bsearch(&ls->marks.seqs[i], b->seqs, b->n, sizeof(*b->seqs), by_number))
            continue;
        char *path = out_path(ob->dir, ls->marks.seqs[i], "marks");
        (void)file_unlink(path); /* harmless if it stays */
        free(path);
    }
}

/* A segment without a block can be the last one once a damaged one behind it is gone. Nothing may
 * be appended to it: it has no header. */
static int drop_empty(struct outbound *ob, struct err *err)
{
    bool dropped = false;
    while (ob->n_segments > 0 && ob->segments[ob->n_segments - 1]->n == 0) {
        struct out_segment *s = ob->segments[--ob->n_segments];
        int rc = remove_files(ob, s->first_seq, err);
        ob->bytes -= s->size;
        out_segment_free(s);
        if (ob->n_segments > 0 && ob->segments[ob->n_segments - 1]->n_open == 0)
            ob->n_foldable--; /* the last again */
        if (rc != 0)
            return rc;
        dropped = true;
    }
    int rc = dropped ? file_sync_dir(ob->dir) : 0;
    return rc == 0 ? 0 : err_errno(err, rc, "cannot sync %s", ob->dir);
}

static int open_segments(struct outbound *ob, struct listing *ls, struct err *err)
{
    struct out_ledger *l = &ob->job.ledger;
    struct names *ns = &ls->blocks;
    int rc = file_list(ob->dir, on_name, ls);
    if (rc != 0)
        return err_errno(err, rc, "cannot list %s", ob->dir);
    /* The ledger that was read may be in the page cache only, its name not yet on the disk: what it
     * has counted must not go before it. */
    rc = file_sync_dir(ob->dir);
    if (rc != 0)
        return err_errno(err, rc, "cannot sync %s", ob->dir);
    if (ns->n)
        qsort(ns->seqs, ns->n, sizeof(*ns->seqs), by_number);
    remove_orphans(ob, ls);
    size_t kept = 0;
    for (size_t i = 0; i < ns->n; i++) {
        if (!was_folded(l, ns->seqs[i])) {
            ns->seqs[kept++] = ns->seqs[i];
            continue;
        }
        rc = remove_files(ob, ns->seqs[i], err);
        if (rc != 0)
            return rc;
    }
    for (size_t i = 0; i < kept; i++) {
        const struct out_segment *before =
            ob->n_segments ? ob->segments[ob->n_segments - 1] : NULL;
        struct out_where w = {.first_seq = ns->seqs[i],
                              .seq_limit = UINT64_MAX,
                              .made_before = UINT64_MAX,
                              .made_end = UINT64_MAX};
        if (before && before->first_seq + before->n == w.first_seq)
            w.made_before = before->made_end;
        else if (w.first_seq == 1)
            w.made_before = 0;
        if (i + 1 < kept) {
            w.seq_limit = ns->seqs[i + 1];
            w.made_end = out_segment_made_before(ob->dir, w.seq_limit, w.first_seq);
        }
        rc = open_segment(ob, &w, err);
        if (rc != 0)
            return rc;
    }
    return drop_empty(ob, err);
}

int outbound_open(const struct outbound_options *o, struct err *err, struct outbound **out)
{
    struct outbound *ob = mem_zalloc(sizeof(*ob));
    struct listing ls = {0};
    ob->dir = mem_strdup(o->dir);
    buf_init(&ob->scratch, BLOCK_HEADER_MAX + BLOCK_BODY_MAX);
    buf_init(&ob->mark, 1u << 20);
    out_totals_init(&ob->totals);
    out_job_init(&ob->job, ob->dir, o->segment_bytes ? o->segment_bytes : 16u << 20);
    int rc = file_make_dir(ob->dir);
    if (rc != 0)
        (void)err_errno(err, rc, "cannot make %s", ob->dir);
    if (rc == 0)
        rc = open_ledger(ob, err);
    if (rc != 0)
        goto out;
    struct out_ledger *l = &ob->job.ledger;
    out_totals_copy(&ob->totals, &l->totals);
    ob->end = l->end;
    ob->next_seq = l->next_seq;
    ob->job.made = l->made;
    rc = open_segments(ob, &ls, err);
    if (rc != 0)
        goto out;
    /* block numbers name rows elsewhere: one that was used is never used again */
    if (ob->notes.ledger_lost)
        ob->next_seq += (uint64_t)1 << 32;
    rc = out_job_open(&ob->job, ob, err);
    if (rc != 0)
        goto out;
    plan_folds(ob);
    *out = ob;
    ob = NULL;
out:
    free(ls.blocks.seqs);
    free(ls.marks.seqs);
    outbound_close(ob);
    return rc;
}
