/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/history.h"
#include "base/mem.h"
#include "core/engine.h"
#include "ctl/exit.h"
#include "ctl/site.h"
#include "io/content.h"
#include "io/file.h"
#include "io/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define PACKED ".journal.zst"
#define PLAIN  ".journal"
#define CHUNK  ((size_t)1 << 17)
#define DAY_MS 86400000
#define DIGITS 16 /* of a segment's name, which is its place: in their order is time */
#define PASSES 16

static bool is_segment(const char *name, const char *end)
{
    return strspn(name, "0123456789abcdef") == DIGITS && strcmp(name + DIGITS, end) == 0;
}

static int told(const char *path, int error)
{
    (void)fprintf(stderr, "gaihouctl: %s: %s\n", path, strerror(-error));
    return CTL_REFUSED;
}

/* -- unpacking --------------------------------------------------------------------------------- */

/* Over before from_ms, as its seal tells? */
static bool is_over(const char *page, size_t n, int64_t from_ms)
{
    struct segment_info info;
    struct segment_seal seal;
    bool rot;
    return n >= SEGMENT_HEADER && segment_decode(page, &info, &rot) == 0 &&
           segment_seal_decode(page, info.id, &seal) == 0 &&
           seal.wall_ns / 1000000 < from_ms - DAY_MS;
}

/* 1: it is over and was left out. */
static int unpack_stream(struct file *from, struct file *to, int64_t from_ms)
{
    char *in = mem_zalloc(CHUNK), *out = mem_zalloc(CHUNK);
    ZSTD_DCtx *z = ZSTD_createDCtx();
    uint64_t at = 0, put = 0;
    int r = z ? 0 : -ENOMEM;
    for (size_t n = CHUNK; r == 0 && n == CHUNK;) {
        r = file_read(from, at, in, CHUNK, &n);
        at += n;
        ZSTD_inBuffer src = {.src = in, .size = n};
        while (r == 0 && src.pos < src.size) {
            ZSTD_outBuffer dst = {.dst = out, .size = CHUNK};
            if (ZSTD_isError(ZSTD_decompressStream(z, &dst, &src)))
                r = -EBADMSG;
            else if (put == 0 && is_over(out, dst.pos, from_ms))
                r = 1;
            else
                r = file_write(to, put, out, dst.pos);
            put += dst.pos;
        }
    }
    (void)ZSTD_freeDCtx(z);
    free(in);
    free(out);
    return r;
}

struct work {
    struct history *h;
    int64_t from_ms;
    char newest[DIGITS + 1]; /* of the archive, in this pass */
    char (*names)[DIGITS + sizeof(PACKED)];
    size_t n, cap;
    int code;
};

static void note_packed(void *ctx, const char *name)
{
    struct work *w = ctx;
    if (!is_segment(name, PACKED) || memcmp(name, w->h->newest, DIGITS) <= 0)
        return;
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->names = mem_realloc_array(w->names, w->cap, sizeof(*w->names));
    }
    memcpy(w->names[w->n], name, DIGITS);
    (void)snprintf(w->names[w->n++] + DIGITS, sizeof(*w->names) - DIGITS, "%s", PACKED);
}

static int in_order(const void *a, const void *b)
{
    return memcmp(a, b, DIGITS);
}

static void unpack(struct work *w, const char *name)
{
    struct file *from = NULL, *to = NULL;
    memcpy(w->newest, name, DIGITS);
    char *source = mem_printf("%s/%s", w->h->archive_dir, name);
    char *target = mem_printf("%s/%.*s" PLAIN, w->h->temp, DIGITS, name);
    (void)file_unlink(target); /* a link to what was live in the pass before */
    int r = file_open(source, FILE_READ, &from);
    if (r == 0)
        r = file_open(target, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &to);
    if (r == 0)
        r = unpack_stream(from, to, w->from_ms);
    file_close(from);
    file_close(to);
    if (r != 0)
        (void)file_unlink(target);
    if (r < 0 && r != -ENOENT) /* pruned meanwhile */
        w->code = told(source, r);
    free(source);
    free(target);
}

/* A live segment is read where it lies, unless the archive had the same one already: that is here, and
 * the live one may go at any time. */
static void link_live(void *ctx, const char *name)
{
    struct work *w = ctx;
    struct stat st;
    if (!is_segment(name, PLAIN))
        return;
    char *source = mem_printf("%s/%s", w->h->journal_dir, name);
    char *target = mem_printf("%s/%s", w->h->temp, name), *real = realpath(source, NULL);
    bool is_here = lstat(target, &st) == 0 && S_ISREG(st.st_mode);
    if (real && !is_here) {
        (void)file_unlink(target);
        if (symlink(real, target) != 0)
            w->code = told(target, -errno);
    }
    free(real);
    free(source);
    free(target);
}

static int make_temp(struct history *h)
{
    const char *tmp = getenv("TMPDIR");
    h->temp = mem_printf("%s/gaihouctl-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(h->temp))
        return CTL_DONE;
    int code = told(h->temp, -errno);
    free(h->temp);
    h->temp = NULL;
    return code;
}

static int gather(struct history *h, int64_t from_ms)
{
    struct work w = {.h = h, .from_ms = from_ms, .code = h->temp ? CTL_DONE : make_temp(h)};
    if (w.code != CTL_DONE)
        return w.code;
    memcpy(w.newest, h->newest, sizeof(w.newest));
    /* The names first: a segment that comes while others are unpacked might be passed by, and newer ones not. */
    int r = file_list(h->archive_dir, note_packed, &w);
    if (w.n > 0)
        qsort(w.names, w.n, sizeof(*w.names), in_order);
    for (size_t i = 0; i < w.n && r == 0 && w.code == CTL_DONE; i++)
        unpack(&w, w.names[i]);
    free(w.names);
    if (r == 0 && w.code == CTL_DONE)
        r = file_list(h->journal_dir, link_live, &w);
    memcpy(h->newest, w.newest, sizeof(h->newest));
    return r < 0 ? told(h->journal_dir, r) : w.code;
}

struct look {
    const struct history *h;
    bool further;
};

static void look_at(void *ctx, const char *name)
{
    struct look *l = ctx;
    l->further |= is_segment(name, PACKED) && memcmp(name, l->h->newest, DIGITS) > 0;
}

/* Has the archive segments that were not looked at? */
static bool is_behind(const struct history *h)
{
    struct look l = {.h = h};
    (void)file_list(h->archive_dir, look_at, &l);
    return l.further;
}

/* -- reading ----------------------------------------------------------------------------------- */

static int open_journal(struct history *h)
{
    struct journal_options o = {.dir = h->temp ? h->temp : h->journal_dir, .read_only = true};
    struct err err;
    if (journal_open(&o, &err, &h->recovery, &h->journal) == 0)
        return CTL_DONE;
    (void)fprintf(stderr, "gaihouctl: %s\n", err.text);
    return CTL_REFUSED;
}

/* A running gateway moves segments from the journal to the archive: one that was moved between the look
 * at the one and at the other would be in neither. It is in the archive then, behind those that were
 * there; what was opened stays. */
static int open_all(struct history *h, int64_t from_ms)
{
    int code = CTL_DONE;
    for (int pass = 1; code == CTL_DONE; pass++) {
        if (is_behind(h))
            code = gather(h, from_ms);
        if (code == CTL_DONE)
            code = open_journal(h);
        if (code != CTL_DONE || pass == PASSES || !is_behind(h))
            break;
        (void)journal_close(h->journal);
        h->journal = NULL;
    }
    return code;
}

int history_open(struct history *h, const char *dir, int64_t from_ms)
{
    *h = (struct history){.dir = dir,
                          .journal_dir = mem_printf("%s/journal", dir),
                          .archive_dir = mem_printf("%s/archive", dir),
                          .content_dir = mem_printf("%s/generations", dir),
                          .snapshot_dir = mem_printf("%s/snapshots", dir)};
    int code = open_all(h, from_ms);
    if (code != CTL_DONE)
        return code;
    int r = journal_reader_open(h->journal, 0, &h->reader);
    return r < 0 ? told(h->journal_dir, r) : CTL_DONE;
}

int history_read(struct history *h, struct record *out)
{
    return journal_read(h->reader, out);
}

static void remove_one(void *ctx, const char *name)
{
    char *path = mem_printf("%s/%s", (const char *)ctx, name);
    (void)file_unlink(path);
    free(path);
}

void history_close(struct history *h)
{
    if (h->reader)
        journal_reader_close(h->reader);
    if (h->journal)
        (void)journal_close(h->journal);
    if (h->temp) {
        (void)file_list(h->temp, remove_one, h->temp);
        (void)rmdir(h->temp);
    }
    free(h->journal_dir);
    free(h->archive_dir);
    free(h->content_dir);
    free(h->snapshot_dir);
    free(h->temp);
    *h = (struct history){0};
}

/* -- worlds ------------------------------------------------------------------------------------ */

static struct world *open_world(const struct history *h, const char *hash)
{
    char *bundle = NULL;
    size_t len = 0;
    struct world *w = NULL;
    int r = content_get(h->content_dir, hash, &bundle, &len);
    if (r != 0) {
        (void)fprintf(stderr,
                      "gaihouctl: generation %s: its files are not kept any more (%s)\n", hash,
                      strerror(-r));
        return NULL;
    }
    struct problems *p = problems_new_kept(8);
    if (world_open(bundle, len, p, &w) != 0)
        (void)site_tell(p);
    problems_free(p);
    free(bundle);
    return w;
}

static bool hash_of(const struct record *r, char hash[33])
{
    static const char kind[] = "world";
    if (r->type != RECORD_GENERATION || r->body_len != sizeof(kind) + 32 ||
        memcmp(r->body, kind, sizeof(kind)) != 0)
        return false;
    memcpy(hash, r->body + sizeof(kind), 32);
    hash[32] = '\0';
    return true;
}

struct world *history_world(struct history *h, const struct record *r)
{
    char hash[33];
    return hash_of(r, hash) ? open_world(h, hash) : NULL;
}

/* The gateway notes from where on which one was in force: that reaches back behind what is read. */
static bool was_in_force(const struct history *h, uint64_t offset, char hash[33])
{
    char used[CONTENT_HEX + 1];
    if (content_used(h->content_dir, offset, used) != 0)
        return false;
    char *path = mem_printf("%s/%s", h->content_dir, used);
    bool there = access(path, R_OK) == 0;
    free(path);
    if (there)
        memcpy(hash, used, sizeof(used));
    return there;
}

/* The one noted for the first record; else that of the first generation record, unless a snapshot stands
 * before it: that one's. */
struct world *history_first_world(struct history *h)
{
    struct journal_reader *reader;
    struct record r;
    struct snapshot s;
    struct err why;
    char hash[33] = "";
    uint64_t begins = UINT64_MAX, first = UINT64_MAX;
    int e = journal_reader_open(h->journal, 0, &reader);
    while (e == 0 && !hash[0]) {
        int got = journal_read(reader, &r);
        if (got == 0 || (got < 0 && got != -EBADMSG))
            break;
        if (got == 1 && begins == UINT64_MAX)
            begins = r.offset;
        if (got == 1 && hash_of(&r, hash))
            first = r.offset;
    }
    if (e == 0)
        journal_reader_close(reader);
    struct position max = {first, UINT64_MAX, UINT64_MAX};
    if (!was_in_force(h, begins, hash) &&
        snapshot_load_newest(h->snapshot_dir, &max, &why, &s) == 0) {
        (void)engine_saved_hash(s.bytes, s.len, hash);
        free(s.bytes);
    }
    if (!hash[0]) {
        (void)fprintf(stderr,
                      "gaihouctl: %s: neither journal nor snapshots say which registry "
                      "was in force\n",
                      h->dir);
        return NULL;
    }
    return open_world(h, hash);
}
