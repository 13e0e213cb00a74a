/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What open does with the segments that it finds (recovery.md 12, 13, 15).
 *
 * A segment whose seal verifies was on the disk as a whole: nothing is cut from it or before
 * it. Those after the last seal are scanned. The first record above `known` that does not
 * verify ends the journal, even if whole records follow: the disk may have taken a later page
 * and not an earlier one. Segments beyond the cut are removed before the end mark is written,
 * so that a second crash on the way finds the same cut again.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/journal_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    struct journal *j;
    struct err *err;
    struct journal_recovery *rec;
    uint64_t known;
    uint64_t content_end; /* what may be known without anything being lost */
    uint8_t last_type, last_flags;
    bool any; /* a record was seen */
};

/* -- finding ------------------------------------------------------------------------------- */

struct names {
    uint64_t *bases;
    size_t n;
    char **stale; /* half-made segments */
    size_t n_stale;
};

bool journal_name_parse(const char *name, const char *suffix, uint64_t *out_base)
{
    if (strlen(name) != 16 + strlen(suffix) || strcmp(name + 16, suffix) != 0)
        return false;
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, name[i]);
        if (!d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    *out_base = v;
    return true;
}

static void names_add(void *ctx, const char *name)
{
    struct names *all = ctx;
    uint64_t base;
    if (journal_name_parse(name, ".journal", &base)) {
        all->bases = mem_realloc_array(all->bases, all->n + 1, sizeof(*all->bases));
        all->bases[all->n++] = base;
    } else if (journal_name_parse(name, ".journal.new", &base)) {
        all->stale = mem_realloc_array(all->stale, all->n_stale + 1, sizeof(*all->stale));
        all->stale[all->n_stale++] = mem_strdup(name);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* 0 and *out NULL: it is gone (released by a running gateway meanwhile). */
static int segment_load(struct scan *sc, uint64_t base, struct journal_segment **out)
{
    struct journal *j = sc->j;
    struct journal_segment *s = mem_zalloc(sizeof(*s));
    char page[SEGMENT_HEADER] = {0};
    size_t n = 0;
    uint64_t bytes = 0;
    bool rot = false;
    *out = NULL;
    s->path = journal_segment_path(j->dir, base);
    int r = file_open(s->path, j->o.read_only ? FILE_READ : FILE_WRITE, &s->file);
    if (r == -ENOENT) {
        journal_segment_free(s);
        return 0;
    }
    if (r == 0)
        r = file_size(s->file, &bytes);
    if (r == 0)
        r = file_read(s->file, 0, page, sizeof(page), &n);
    if (r < 0) {
        err_errno(sc->err, r, "%s", s->path);
        journal_segment_free(s);
        return r;
    }
    r = n == sizeof(page) ? segment_decode(page, &s->info, &rot) : -EBADMSG;
    if (r == -ENOTSUP) {
        err_set(sc->err, r, "%s was written by a newer version of gaihoud", s->path);
        journal_segment_free(s);
        return r;
    }
    uint64_t least = (bytes + SEGMENT_HEADER - 1) & ~(uint64_t)(SEGMENT_HEADER - 1);
    if (least == 0)
        least = SEGMENT_HEADER;
    s->disk = bytes;
    if (r < 0 || s->info.base != base || s->info.size < SEGMENT_HEADER + SEGMENT_TAIL ||
        base > INT64_MAX || s->info.size > INT64_MAX - base) {
        s->unreadable = s->full = s->sealed = true;
        s->info = (struct segment_info){.base = base, .size = least};
        s->size = least;
        sc->rec->unreadable++;
    } else {
        s->size = s->info.size;
        int e = segment_seal_decode(page, s->info.id, &s->seal);
        s->sealed = s->full = e == 0;
        if (rot || e == -EBADMSG)
            sc->rec->damaged_headers++;
        if (s->sealed && s->seal.size < s->size && s->seal.size >= SEGMENT_HEADER)
            s->size = s->seal.size;
    }
    /* what a running gateway releases while a tool reads is there to its end */
    if (j->o.read_only && s->sealed && !s->unreadable)
        (void)journal_segment_map(s, false);
    if (s->sealed) { /* nothing is written into it any more, and there may be thousands */
        file_close(s->file);
        s->file = NULL;
    }
    j->chain = hash64(j->chain, &s->info.id, sizeof(s->info.id));
    *out = s;
    return 0;
}

static int segments_load(struct scan *sc)
{
    struct journal *j = sc->j;
    struct names all = {0};
    int r = file_list(j->dir, names_add, &all);
    if (r < 0) {
        err_errno(sc->err, r, "journal: cannot read folder %s", j->dir);
        goto out;
    }
    for (size_t i = 0; i < all.n_stale && !j->o.read_only; i++) {
        char *path = mem_printf("%s/%s", j->dir, all.stale[i]);
        (void)file_unlink(path); /* only space is lost if it stays */
        free(path);
    }
    if (all.n > 1)
        qsort(all.bases, all.n, sizeof(*all.bases), by_value);
    struct journal_segment **tail = &j->first, *last = NULL;
    for (size_t i = 0; i < all.n && r == 0; i++) {
        struct journal_segment *s;
        r = segment_load(sc, all.bases[i], &s);
        if (r < 0 || !s)
            continue;
        if (last && last->unreadable && !s->unreadable && s->info.follows > last->info.base)
            last->size = s->info.follows - last->info.base; /* its own word is not to be had */
        if (last && journal_segment_end(last) > s->info.base)
            last->size = s->info.base - last->info.base;
        if (last && !s->unreadable && journal_segment_end(last) < s->info.follows)
            s->hole_before = true;
        if (last && s->unreadable && journal_segment_end(last) < s->info.base)
            s->hole_before = true;
        *tail = last = s;
        tail = &s->next;
    }
out:
    for (size_t i = 0; i < all.n_stale; i++)
        free(all.stale[i]);
    free(all.stale);
    free(all.bases);
    return r;
}

/* -- scanning ------------------------------------------------------------------------------ */

static void seen(struct scan *sc, struct journal_segment *s, const struct record *r)
{
    struct journal *j = sc->j;
    s->seal.messages = r->messages;
    s->seal.engine_ns = r->engine_ns;
    if (r->type != RECORD_REINJECT)
        s->seal.wall_ns = r->wall_ns;
    s->seal.last_type = (uint8_t)r->type;
    s->seal.last_flags = r->flags;
    if (r->engine_ns > j->last_engine_ns)
        j->last_engine_ns = r->engine_ns;
}

/* Reads an unsealed segment. *out_cut: it ends without an end mark; *out_end: where. */
static void segment_scan(struct scan *sc, struct journal_segment *s, uint64_t known,
                         uint64_t *out_end, bool *out_cut)
{
    struct segment_view v = journal_segment_view(s);
    uint64_t at = journal_segment_first(s), stop = journal_segment_end(s) - SEGMENT_TAIL;
    struct record r;
    *out_cut = true;
    while (at <= stop) {
        int e = record_decode(&v, at, &r);
        if (e == 0 && r.type == RECORD_END) {
            *out_cut = false;
            break;
        }
        if (e == 0 && at == journal_segment_first(s))
            s->seal.before = r.messages - record_is_message(r.type);
        if (e == 0)
            seen(sc, s, &r);
        else if (at >= known)
            break;
        if (e == 0 || e == -EILSEQ)
            at = r.end;
        else
            at = record_resync(&v, at + RECORD_ALIGN, known < stop ? known : stop + 1);
    }
    *out_end = at;
    if (at > stop) { /* all of it is below `known`, its end mark rotten: nothing to cut */
        *out_end = stop;
        *out_cut = false;
    }
}

/* How many bytes behind `from` are not zero, up to the last such byte. */
static uint64_t leftover(const struct journal_segment *s, uint64_t from)
{
    if (!s->map || from - s->info.base >= s->map_size)
        return 0;
    const char *p = s->map + (from - s->info.base);
    uint64_t n = s->map_size - (from - s->info.base);
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p + n - 8, 8);
        if (word != 0)
            break;
        n -= 8;
    }
    while (n > 0 && p[n - 1] == 0)
        n--;
    return n;
}

/* Removes everything behind `s`, newest first: a crash on the way leaves no hole. */
static int remove_behind(struct scan *sc, struct journal_segment *s)
{
    struct journal *j = sc->j;
    int r = 0;
    bool any = false;
    while (s->next && r == 0) {
        struct journal_segment **p = &s->next;
        while ((*p)->next)
            p = &(*p)->next;
        struct journal_segment *gone = *p;
        if (!gone->unreadable && journal_segment_map(gone, false) == 0)
            sc->rec->cut_bytes += leftover(gone, journal_segment_first(gone));
        if (!j->o.read_only)
            r = file_unlink(gone->path);
        if (r < 0)
            return err_errno(sc->err, r, "journal: cannot remove %s", gone->path);
        *p = NULL;
        journal_segment_free(gone);
        any = true;
    }
    if (any && !j->o.read_only)
        r = file_sync_dir(j->dir);
    return r < 0 ? err_errno(sc->err, r, "journal: folder %s", j->dir) : 0;
}

static int remove_from(struct scan *sc, struct journal_segment *s)
{
    struct journal_segment *before = sc->j->first;
    while (before->next != s)
        before = before->next;
    return remove_behind(sc, before);
}

/* Ends an unsealed segment at `end` for good, or removes it if it holds nothing that is known.
 */
static int settle(struct scan *sc, struct journal_segment *s, uint64_t end, bool cut)
{
    struct journal *j = sc->j;
    int r = 0;
    s->full = true;
    s->seal.end = end;
    if (j->o.read_only) { /* of a running gateway, all the same: what is there now */
        if (cut)
            s->size = end - s->info.base;
        return 0;
    }
    if (cut && end == journal_segment_first(s) && s != j->first && sc->known <= end)
        return remove_from(sc, s);
    if (cut) {
        r = journal_segment_finish(j, s, end);
    } else {
        s->seal.rolled = s->size == s->info.size;
        r = file_sync(s->file);
        if (r == 0)
            r = journal_segment_seal(s);
        s->sealed = r == 0;
    }
    return r < 0 ? err_errno(sc->err, r, "journal: cannot seal %s", s->path) : 0;
}

static void note(struct scan *sc, const struct journal_segment *s, bool cut, uint64_t end)
{
    struct journal *j = sc->j;
    if (s->seal.messages > j->messages)
        j->messages = s->seal.messages;
    if (s->seal.engine_ns > j->last_engine_ns)
        j->last_engine_ns = s->seal.engine_ns;
    if (s->info.engine_ns > j->last_engine_ns)
        j->last_engine_ns = s->info.engine_ns;
    if (s->seal.last_type != 0) {
        j->last_wall_ns = s->seal.wall_ns;
        sc->last_type = s->seal.last_type;
        sc->last_flags = s->seal.last_flags;
        sc->any = true;
    } else if (!sc->any) {
        j->last_wall_ns = s->info.wall_ns;
        sc->last_flags = 0;
    }
    memcpy(sc->rec->boot_id, s->info.boot_id, sizeof(sc->rec->boot_id));
    j->delta_ns = s->info.delta_ns;
    sc->content_end = cut || !s->seal.rolled ? end : journal_segment_end(s) + SEGMENT_HEADER;
}

/* 0; 1: the journal ends here, what followed is gone, and perhaps `s` itself. */
static int segment_recover(struct scan *sc, struct journal_segment *s, bool proven)
{
    struct journal *j = sc->j;
    if (s->unreadable) {
        s->seal.before = s->seal.messages = j->messages;
        s->seal.wall_ns = j->last_wall_ns;
        sc->content_end = journal_segment_end(s);
        return 0;
    }
    if (s->sealed) {
        uint64_t most = journal_segment_end(s), end = s->seal.end;
        if (end > most || end < journal_segment_first(s) || end % RECORD_ALIGN != 0)
            s->seal.end = most;
        note(sc, s, false, s->seal.end);
        return 0;
    }
    s->seal = (struct segment_seal){0};
    s->seal.before = j->messages > s->info.messages ? j->messages : s->info.messages;
    s->seal.messages = s->seal.before;
    s->seal.engine_ns = s->info.engine_ns;
    s->seal.wall_ns = s->info.wall_ns;
    int r = journal_segment_map(s, false);
    if (r < 0)
        return err_errno(sc->err, r, "journal: cannot map %s", s->path);
    uint64_t end;
    bool cut;
    segment_scan(sc, s, proven ? UINT64_MAX : sc->known, &end, &cut);
    note(sc, s, cut, end);
    if (cut) {
        r = remove_behind(sc, s);
        uint64_t lost = leftover(s, end);
        if (lost > 0 || sc->rec->cut_bytes > 0) {
            sc->rec->cut_bytes += lost;
            sc->rec->cut_offset = end;
        }
        if (r < 0)
            return r;
    }
    r = settle(sc, s, end, cut);
    return r < 0 ? r : cut;
}

/* What was counted before a journal that begins with unreadable segments: as the first readable
 * one says, so that none of them counts as the whole history. */
static void count_leading(struct journal *j)
{
    const struct journal_segment *r = j->first;
    while (r && r->unreadable)
        r = r->next;
    for (struct journal_segment *s = j->first; r && s != r; s = s->next)
        s->seal.before = s->seal.messages = r->seal.before;
}

static int segments_recover(struct scan *sc)
{
    struct journal *j = sc->j;
    struct journal_segment *sealed = NULL;
    for (struct journal_segment *s = j->first; s; s = s->next)
        if (s->sealed && !s->unreadable)
            sealed = s;
    bool proven = sealed != NULL;
    for (struct journal_segment *s = j->first; s; s = s->next) {
        if (s->hole_before && !proven && s->info.base >= sc->known) {
            /* whole records behind a hole are behind a bad record */
            sc->rec->cut_offset = sc->content_end;
            return remove_from(sc, s);
        }
        if (s->hole_before)
            sc->rec->missing++;
        if (s == sealed)
            proven = false;
        int r = segment_recover(sc, s, proven);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    return 0;
}

/* -- time ---------------------------------------------------------------------------------- */

static void time_go_on(struct scan *sc)
{
    static const int64_t longest = INT64_C(400) * 86400 * 1000000000; /* 400 days */
    struct journal *j = sc->j;
    uint64_t boot = clock_boot_ns();
    int64_t wall = clock_wall_ns(), gap = wall - j->last_wall_ns;
    const char *id = clock_boot_id();
    j->wall_synced = clock_synchronised();
    j->wall_asked_ns = boot;
    sc->rec->last_engine_ns = j->last_engine_ns;
    sc->rec->last_wall_ns = j->last_wall_ns;
    if (j->o.known_engine_ns > j->last_engine_ns)
        j->last_engine_ns = j->o.known_engine_ns;
    if (!j->first) {
        sc->rec->time = JOURNAL_TIME_FRESH;
        j->delta_ns = j->last_engine_ns > boot ? (int64_t)(j->last_engine_ns - boot) : 0;
    } else if (id[0] && strcmp(id, sc->rec->boot_id) == 0) {
        sc->rec->time = JOURNAL_TIME_BOOT;
    } else if (gap > 0 && gap < longest && j->wall_synced &&
               (sc->last_flags & RECORD_WALL_SYNCED)) {
        sc->rec->time = JOURNAL_TIME_WALL;
        j->delta_ns = (int64_t)(j->last_engine_ns + (uint64_t)gap - boot);
    } else {
        sc->rec->time = JOURNAL_TIME_UNKNOWN;
        j->delta_ns = (int64_t)(j->last_engine_ns + 1 - boot);
    }
    uint64_t now = boot + (uint64_t)j->delta_ns;
    if ((int64_t)(now - j->last_engine_ns) < 1)
        now = j->last_engine_ns + 1;
    sc->rec->gap_ns = j->first ? (int64_t)(now - j->last_engine_ns) : 0;
}

int journal_recover(struct journal *j, struct err *err, struct journal_recovery *out)
{
    struct scan sc = {.j = j, .err = err, .rec = out};
    *out = (struct journal_recovery){0};
    sc.known = (j->o.known + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
    int r = segments_load(&sc);
    if (r == 0)
        r = segments_recover(&sc);
    if (r < 0)
        return r;
    count_leading(j);
    uint64_t end = 0;
    for (struct journal_segment *s = j->first; s; s = s->next) {
        out->segments++;
        j->used += s->disk;
        end = j->o.read_only && !s->unreadable ? s->seal.end : journal_segment_end(s);
        if (s->sealed || j->o.read_only) {
            file_close(s->file);
            s->file = NULL;
        }
    }
    out->unclean = sc.any && sc.last_type != RECORD_STOP;
    out->lost_known = j->o.known > (j->first ? sc.content_end : SEGMENT_HEADER);
    if (j->o.known_messages > j->messages)
        j->messages = j->o.known_messages;
    out->messages = j->messages;
    out->first = j->first ? journal_segment_first(j->first) : 0;
    out->end = end;
    time_go_on(&sc);
    return 0;
}
