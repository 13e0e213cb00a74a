/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading in order, and letting go of what was read.
 *
 * A reader stands in one segment, which cannot be released meanwhile, and knows how many
 * messages were counted up to its place; so a stretch that does not verify is measured by the
 * next count that does: that of a whole record, of the segment's seal, or of the journal's end.
 */
#include "base/check.h"
#include "base/mem.h"
#include "io/journal_priv.h"

#include <errno.h>
#include <stdlib.h>

enum {
    FETCH_AHEAD = 1024, /* bytes: some four messages */
    FETCH_BYTES = 256,  /* of one */
};

struct journal_reader {
    struct journal *j;
    struct journal_segment *s; /* NULL: nothing to stand in yet (read only, empty) */
    struct segment_view view;
    uint64_t at;       /* of the next record */
    uint64_t limit;    /* records below it can be read; at ≤ limit */
    uint64_t messages; /* up to `at` */
    bool counted;      /* `messages` is known: not at once when opened within a segment */
};

static void lock(struct journal *j)
{
    ASSERT(pthread_mutex_lock(&j->lock) == 0);
}

static void unlock(struct journal *j)
{
    ASSERT(pthread_mutex_unlock(&j->lock) == 0);
}

/* Stands in `s` (held already) at its first record or at `at`. */
static int stand(struct journal_reader *r, struct journal_segment *s, uint64_t at)
{
    int e = s->unreadable ? 0 : journal_segment_map(s, false);
    if (e < 0)
        return e;
    r->s = s;
    r->view = journal_segment_view(s);
    uint64_t first = s->unreadable ? s->info.base : journal_segment_first(s);
    r->at = r->limit =
        at > first ? (at + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1) : first;
    return 0;
}

int journal_reader_open(struct journal *j, uint64_t from, struct journal_reader **out)
{
    struct journal_reader *r = mem_zalloc(sizeof(*r));
    r->j = j;
    lock(j);
    struct journal_segment *s = j->first;
    while (s && s->going)
        s = s->next;
    int e = from != 0 && (from > journal_end(j) || (s && from < s->info.base)) ? -ERANGE : 0;
    while (e == 0 && s && s->next && journal_segment_end(s) <= from &&
           s->next->info.base <= from)
        s = s->next;
    if (e == 0 && s)
        s->readers++;
    unlock(j);
    if (e == 0 && s) {
        e = stand(r, s, from);
        if (e < 0) {
            lock(j);
            s->readers--;
            unlock(j);
        } else if (r->at <= journal_segment_first(s)) {
            r->messages = s->seal.before;
            r->counted = true;
        }
    }
    if (e < 0)
        free(r);
    else
        *out = r;
    return e;
}

void journal_reader_close(struct journal_reader *r)
{
    if (!r)
        return;
    lock(r->j);
    if (r->s)
        r->s->readers--;
    unlock(r->j);
    free(r);
}

/* Messages up to r->at, when the reader began within a segment: what its records say. */
static void count(struct journal_reader *r)
{
    struct record rec;
    const struct journal_segment *s = r->s;
    if (r->counted)
        return;
    r->counted = true;
    lock(r->j);
    bool behind = s->full && r->at >= s->seal.end;
    r->messages = behind ? s->seal.messages : s->seal.before;
    unlock(r->j);
    for (uint64_t at = journal_segment_first(s); !behind && at < r->at;) {
        int e = record_decode(&r->view, at, &rec);
        if (e == 0)
            r->messages = rec.messages;
        at = e == 0 || e == -EILSEQ ? rec.end
                                    : record_resync(&r->view, at + RECORD_ALIGN, r->at);
    }
}

static int report(struct journal_reader *r, struct record *out, uint64_t from, uint64_t to,
                  uint64_t messages)
{
    *out = (struct record){.broker = 255, .offset = from, .end = to};
    out->messages = messages > r->messages ? messages - r->messages : 0;
    r->messages = messages > r->messages ? messages : r->messages;
    return -EBADMSG;
}

/* Skips what does not verify, from r->at. `messages` is the count at r->limit. */
static int skip(struct journal_reader *r, struct record *out, uint64_t messages)
{
    struct record rec;
    uint64_t from = r->at, at = from;
    count(r);
    while (at < r->limit) {
        int e = record_decode(&r->view, at, &rec);
        if (e == 0) {
            messages = rec.messages - record_is_message(rec.type);
            break;
        }
        at = e == -EILSEQ ? rec.end : record_resync(&r->view, at + RECORD_ALIGN, r->limit);
    }
    r->at = at < r->limit ? at : r->limit;
    return report(r, out, from, r->at, messages);
}

/* Learns how far the segment can be read and what was counted up to there. */
static uint64_t look(struct journal_reader *r)
{
    lock(r->j);
    const struct journal_segment *s = r->s;
    uint64_t messages = s->seal.messages;
    r->limit = s->full ? s->seal.end : journal_end(r->j);
    if (r->limit < r->at)
        r->limit = r->at;
    unlock(r->j);
    return messages;
}

/* To the segment behind. 1: there; 0: there is none; -EBADMSG: something between them is lost.
 */
static int move(struct journal_reader *r, struct record *out)
{
    struct journal *j = r->j;
    struct journal_segment *old = r->s, *s;
    uint64_t from = r->at, missing_to = 0, before = 0;
    bool hole = false;
    lock(j);
    bool full = old->full;
    if (old->unreadable) { /* all of it is one stretch, with what follows it */
        hole = true;
        missing_to = journal_segment_end(old);
    }
    s = full ? old->next : NULL;
    while (s && s->unreadable && s->next) {
        hole = true;
        s = s->next;
    }
    if (s) {
        s->readers++;
        hole = hole || s->hole_before;
        before = s->seal.before;
    }
    unlock(j);
    if (!s) {
        if (!hole || r->at >= missing_to)
            return 0;
        r->at = r->limit = missing_to;
        return report(r, out, from, missing_to, r->messages);
    }
    count(r);
    int e = stand(r, s, 0);
    lock(j);
    (e < 0 ? s : old)->readers--;
    unlock(j);
    if (e < 0)
        return e;
    /* a deliberate jump over offsets that were known and lost may have cost messages too */
    if (!hole && before <= r->messages)
        return 1;
    return report(r, out, from, r->at, before);
}

/* Another processor wrote what comes next: it is on its way while this record is looked at. */
static void fetch_ahead(const struct journal_reader *r)
{
    uint64_t at = r->at + FETCH_AHEAD;
    if (at + FETCH_AHEAD > r->limit)
        return;
    for (uint64_t i = 0; i < FETCH_BYTES; i += 64)
        __builtin_prefetch(r->view.p + (at - r->view.base) + i);
}

int journal_read(struct journal_reader *r, struct record *out)
{
    for (;;) {
        if (!r->s)
            return 0;
        if (r->at < r->limit) {
            if (record_decode(&r->view, r->at, out) == 0 && out->end <= r->limit) {
                r->at = out->end;
                r->messages = out->messages;
                r->counted = true;
                fetch_ahead(r);
                return 1;
            }
            return skip(r, out, look(r));
        }
        uint64_t end = journal_end(r->j);
        if (end == r->at && !r->s->unreadable)
            return 0;
        (void)look(r);
        if (r->at < r->limit && !r->s->unreadable)
            continue;
        int e = move(r, out);
        if (e != 1)
            return e;
    }
}

uint64_t journal_reader_at(const struct journal_reader *r)
{
    return r->at;
}

/* -- letting go ---------------------------------------------------------------------------- */

/* The oldest segment if it may go, marked as going. */
static struct journal_segment *claim(struct journal *j, uint64_t offset)
{
    lock(j);
    struct journal_segment *s = j->first;
    /* The one before an active segment of which nothing is on the disk yet stays: it has the
     * last time and count. */
    bool keep = s && s->next && s->next == j->active &&
                journal_synced(j) <= journal_segment_first(j->active);
    if (!s || !s->sealed || s == j->active || keep || s->readers > 0 ||
        journal_segment_end(s) > offset)
        s = NULL;
    if (s)
        s->going = true;
    unlock(j);
    return s;
}

int journal_release(struct journal *j, uint64_t offset, const char *archive_dir)
{
    struct journal_segment *s;
    bool any = false;
    int e = 0;
    ASSERT(!j->o.read_only);
    while (e == 0 && (s = claim(j, offset))) {
        if (archive_dir)
            e = journal_archive_segment(s, archive_dir);
        if (e == 0)
            e = file_unlink(s->path);
        lock(j);
        s->going = false;
        if (e == 0) {
            j->first = s->next;
            j->used -= s->disk;
            j->segments--;
            ASSERT(pthread_cond_broadcast(&j->room) == 0);
        }
        unlock(j);
        if (e == 0) {
            any = true;
            journal_segment_free(s);
        }
    }
    if (any) {
        int d = file_sync_dir(j->dir);
        e = e < 0 ? e : d;
    }
    return e;
}
