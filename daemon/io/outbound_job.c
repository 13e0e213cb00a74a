/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's side of a log: appending, syncing, folding, giving space back. */
#include "io/outbound_log.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE        4096u
#define GAP_MOST    (1u << 20) /* blocks; a lost ledger leaves more */
#define WRITE_MOST  (512u << 20)
#define LEDGER_MOST (256u << 20)

void out_job_init(struct out_job *j, const char *dir, uint64_t segment_bytes)
{
    j->dir = dir;
    j->segment_bytes = segment_bytes;
    buf_init(&j->image, WRITE_MOST);
    out_ledger_init(&j->ledger);
}

static void drop_staged(struct out_job *j)
{
    for (size_t i = 0; i < j->n_staged; i++)
        free(j->staged[i].shares);
    j->n_staged = 0;
}

void out_job_done(struct out_job *j)
{
    drop_staged(j);
    free(j->staged);
    free(j->punches);
    file_close(j->active);
    buf_done(&j->image);
    out_ledger_done(&j->ledger);
}

int out_remove(const char *dir, uint64_t first_seq)
{
    /* the marks last: without its blocks nothing reads them, without them blocks count again */
    int rc = 0;
    static const char *const suffixes[] = {"blocks", "marks"};
    for (int i = 0; i < 2 && rc == 0; i++) {
        char *path = out_path(dir, first_seq, suffixes[i]);
        rc = file_unlink(path);
        if (rc == -ENOENT)
            rc = 0;
        free(path);
    }
    return rc;
}

int out_job_open(struct out_job *j, const struct outbound *ob, struct err *err)
{
    j->next_seq = ob->next_seq;
    j->synced_seq = ob->next_seq - 1;
    j->synced_made = j->made;
    j->end = j->synced_end = ob->end;
    if (ob->n_segments == 0)
        return 0;
    const struct out_segment *last = ob->segments[ob->n_segments - 1];
    uint64_t gap = j->next_seq - (last->first_seq + last->n);
    if (gap > 0) { /* of a lost ledger, or the ledger knows of blocks that have rotted */
        if (gap <= GAP_MOST)
            j->active_seq = last->first_seq; /* the new one tells how many lines those were */
        return 0;
    }
    char *path = out_path(j->dir, last->first_seq, "blocks");
    uint64_t size = 0;
    int rc = file_open(path, FILE_READ | FILE_WRITE, &j->active);
    if (rc == 0)
        rc = file_size(j->active, &size);
    if (rc == 0 && size > last->size)
        rc = file_truncate(j->active, last->size);
    if (rc == 0) /* what was only written before the stop is waited for from here on */
        rc = file_sync(j->active);
    if (rc != 0)
        (void)err_errno(err, rc, "cannot continue %s", path);
    free(path);
    j->active_seq = last->first_seq;
    j->size = j->synced_size = last->size;
    return rc;
}

/* -- writing ---------------------------------------------------------------------------------
 */

static int new_segment(struct out_job *j)
{
    if (j->active) {
        int rc = j->abandoned ? 0 : file_sync(j->active);
        if (rc != 0) {
            j->abandoned = true; /* all of it was synced before: nothing that counts is lost */
        }
        file_close(j->active);
        j->active = NULL;
    }
    char head[OUT_SEGMENT_HEADER];
    /* an abandoned file without a block is made anew under its own name */
    uint64_t before = j->active_seq < j->next_seq ? j->active_seq : j->before_seq;
    out_segment_header(j->next_seq, before, head);
    char *path = out_path(j->dir, j->next_seq, "blocks");
    int rc = file_open(path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &j->active);
    if (rc == 0)
        rc = file_write(j->active, 0, head, sizeof(head));
    if (rc == 0)
        rc = file_sync(j->active);
    if (rc == 0)
        rc = file_sync_dir(j->dir);
    if (rc != 0) {
        file_close(j->active);
        j->active = NULL;
        (void)file_unlink(path);
    } else {
        j->active_seq = j->next_seq;
        j->before_seq = before;
        j->size = j->synced_size = sizeof(head);
        j->abandoned = j->cut_first = false;
    }
    free(path);
    return rc;
}

static int put_block(struct out_job *j, const struct block *b, struct out_staged *out)
{
    size_t at = j->image.len;
    uint32_t crc;
    int rc = block_put_header(b, j->next_seq, j->made, j->synced_seq, &j->image, &crc);
    if (rc != 0)
        return rc;
    rc = block_get_header(j->image.data + at, j->image.len - at, &out->header);
    ASSERT(rc == 0);
    out->shares = block_get_shares(j->image.data + at, &out->header);
    const struct block_info *i = &b->info;
    static const char zero[BLOCK_ALIGN];
    size_t pad = (size_t)(block_span(&out->header) - out->header.header_bytes - i->body_bytes);
    if (buf_put(&j->image, b->body, i->body_bytes) != 0 || buf_put(&j->image, zero, pad) != 0) {
        free(out->shares);
        return -ENOBUFS;
    }
    out->first_seq = j->active_seq;
    out->entry = (struct out_entry){
        .wall_ns = i->closed_wall_ns,
        .offset = (uint32_t)(j->size + at),
        .header_bytes = out->header.header_bytes,
        .body_bytes = i->body_bytes,
        .lines = i->lines,
        .crc = crc,
        .state = b->shed || i->lines == 0 ? OUT_DONE : OUT_WAITING,
        .class_ = (uint8_t)i->class_,
    };
    j->next_seq++;
    j->made += out->header.made;
    if (position_cmp(&i->to, &j->end) > 0)
        j->end = i->to;
    return 0;
}

/* Back to what is on the disk. */
static void forget_written(struct out_job *j)
{
    drop_staged(j);
    j->next_seq = j->synced_seq + 1;
    j->made = j->synced_made;
    j->end = j->synced_end;
}

static int write_image(struct out_job *j)
{
    int rc = 0;
    if (j->cut_first)
        rc = file_truncate(j->active, j->size);
    if (rc != 0)
        return rc;
    j->cut_first = false;
    rc = file_write(j->active, j->size, j->image.data, j->image.len);
    if (rc != 0) {
        j->cut_first = file_truncate(j->active, j->size) != 0;
        return rc;
    }
    j->size += j->image.len;
    j->dirty = true;
    return 0;
}

int outbound_write(struct outbound *ob, struct block *const *blocks, size_t n)
{
    struct out_job *j = &ob->job;
    if (n == 0)
        return 0;
    ASSERT(!blocks[n - 1]->more); /* whole groups only */
    if (!j->active || j->abandoned || (j->size >= j->segment_bytes && !j->dirty)) {
        int rc = new_segment(j);
        if (rc != 0)
            return rc;
    }
    size_t first = j->n_staged;
    uint64_t seq = j->next_seq, made = j->made;
    struct position end = j->end;
    buf_clear(&j->image);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (j->n_staged == j->cap_staged) {
            j->cap_staged = j->cap_staged ? j->cap_staged * 2 : 16;
            j->staged = mem_realloc_array(j->staged, j->cap_staged, sizeof(*j->staged));
        }
        rc = put_block(j, blocks[i], &j->staged[j->n_staged]);
        j->n_staged += rc == 0;
    }
    if (rc == 0)
        rc = write_image(j);
    if (rc != 0) {
        while (j->n_staged > first)
            free(j->staged[--j->n_staged].shares);
        j->next_seq = seq;
        j->made = made;
        j->end = end;
    }
    if (j->image.cap > (8u << 20)) /* one huge step is no reason to keep its memory */
        buf_done(&j->image);
    return rc;
}

/* -- folding and giving back ------------------------------------------------------------------
 */

static bool same_files(const struct out_job *j, uint64_t first_seq)
{
    char *path = out_path(j->dir, first_seq, "blocks");
    struct file *f;
    int rc = file_open(path, FILE_READ, &f);
    free(path);
    if (rc == 0)
        file_close(f);
    return rc != -ENOENT;
}

static int store_ledger(struct out_job *j, struct out_ledger *next)
{
    struct buf b;
    buf_init(&b, LEDGER_MOST);
    int rc = out_ledger_put(next, &b);
    char *path = mem_printf("%s/ledger", j->dir);
    if (rc == 0)
        rc = file_store(path, b.data, b.len);
    free(path);
    buf_done(&b);
    if (rc == 0) {
        out_ledger_done(&j->ledger);
        j->ledger = *next;
    }
    return rc;
}

/* Counts what is done into the ledger; only then its files go. The ledger names what may still
 * be there, so that nothing is counted twice. */
static int fold(struct out_job *j)
{
    if (j->n_folds == 0 && j->n_left == 0)
        return 0;
    /* A name is left out of the next ledger only when its removal is on the disk: a power cut may
     * keep the new ledger and bring the old files back, and they would be counted again. */
    int rc = j->ledger.n_folded > 0 ? file_sync_dir(j->dir) : 0;
    if (rc != 0)
        return rc;
    struct out_ledger next;
    out_ledger_init(&next);
    out_totals_copy(&next.totals, &j->ledger.totals);
    next.end = j->synced_end;
    next.next_seq = j->synced_seq + 1;
    next.made = j->synced_made;
    next.folded = mem_zalloc_array(j->ledger.n_folded + j->n_folds + 1, sizeof(*next.folded));
    for (size_t i = 0; i < j->ledger.n_folded; i++)
        if (same_files(j, j->ledger.folded[i]))
            next.folded[next.n_folded++] = j->ledger.folded[i];
    for (size_t i = 0; i < j->n_folds && rc == 0; i++) {
        struct outbound_notes ignored = {0};
        struct out_segment *s = NULL;
        rc = out_segment_read(j->dir, &j->folds[i], &next.totals, &ignored, &s);
        if (rc == 0 && (s->n_open > 0 || s->n != j->folds[i].seq_limit - s->first_seq))
            rc = -EIO; /* it cannot be read as it was: it stays as it is */
        if (rc == 0)
            next.folded[next.n_folded++] = j->folds[i].first_seq;
        out_segment_free(s);
    }
    if (rc == 0)
        rc = store_ledger(j, &next);
    if (rc != 0) {
        out_ledger_done(&next);
        return rc;
    }
    j->n_left = 0;
    for (size_t i = 0; i < j->ledger.n_folded; i++)
        if (out_remove(j->dir, j->ledger.folded[i]) != 0)
            j->n_left++;
    for (size_t i = 0; i < j->n_folds; i++)
        j->removed[j->n_removed++] = j->folds[i].first_seq;
    j->n_folds = 0;
    return 0;
}

/* Holes where done bodies were. A mark must be on the disk before its body goes, or a power cut
 * would leave a block that waits and is empty. */
static void punch(struct out_job *j)
{
    struct file *f = NULL;
    uint64_t open = 0;
    for (size_t i = 0; i < j->n_punches; i++) {
        const struct out_punch *p = &j->punches[i];
        if (!f || open != p->first_seq) {
            file_close(f);
            f = NULL;
            char *path = out_path(j->dir, p->first_seq, "marks");
            int rc = file_open(path, FILE_READ | FILE_WRITE, &f);
            if (rc == 0)
                rc = file_sync(f);
            if (rc == 0) /* and the file's name */
                rc = file_sync_dir(j->dir);
            file_close(f);
            f = NULL;
            free(path);
            path = out_path(j->dir, p->first_seq, "blocks");
            if (rc == 0)
                rc = file_open(path, FILE_READ | FILE_WRITE, &f);
            free(path);
            if (rc != 0)
                continue; /* folding takes the whole file later */
            open = p->first_seq;
        }
        uint64_t from = (p->at + PAGE - 1) / PAGE * PAGE, to = (p->at + p->n) / PAGE * PAGE;
        if (to > from)
            (void)file_punch(f, from, to - from);
    }
    file_close(f);
    j->n_punches = 0;
}

int outbound_sync(struct outbound *ob)
{
    struct out_job *j = &ob->job;
    if (j->dirty) {
        int rc = file_sync(j->active);
        j->dirty = false;
        if (rc != 0) {
            /* what the kernel could not write may be gone, and asking again would say "fine":
             * the same blocks go to a new file */
            j->abandoned = true;
            (void)file_truncate(j->active, j->synced_size);
            forget_written(j);
            return rc;
        }
        j->synced_size = j->size;
        j->synced_seq = j->next_seq - 1;
        j->synced_made = j->made;
        j->synced_end = j->end;
        j->synced = true;
    }
    j->fold_error = fold(j);
    punch(j);
    return 0;
}
