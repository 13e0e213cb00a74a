/* SPDX-License-Identifier: Apache-2.0 */
#include "io/snapshot.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/file.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* magic 8, version u32, crc u32 (over the bytes, then over what follows of the header), length
 * u64, offset u64, tick u64, ordinal u64; then the bytes. All little endian. */
enum { HEADER = 48, VERSION = 1, MOST = 64, PIECE = 65536 };
#define BEHIND ((uint64_t)4 << 20) /* no more than twice so much waits to reach the disk */

static const char magic[8] = "GAIHOUE\n", prefix[] = "snapshot-", suffix[] = ".bin";

struct serials {
    uint64_t at[MOST];
    size_t n;
};

static bool name_parse(const char *name, uint64_t *out)
{
    size_t k = sizeof(prefix) - 1;
    uint64_t v = 0;
    if (strlen(name) != k + 16 + sizeof(suffix) - 1 || strncmp(name, prefix, k) != 0 ||
        strcmp(name + k + 16, suffix) != 0)
        return false;
    for (size_t i = k; i < k + 16; i++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, name[i]);
        if (!d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    *out = v;
    return true;
}

static void serials_add(void *ctx, const char *name)
{
    struct serials *s = ctx;
    uint64_t v;
    if (!name_parse(name, &v))
        return;
    size_t i = s->n < MOST ? s->n++ : MOST - 1; /* newest first; the oldest fall off */
    if (i == MOST - 1 && s->at[i] > v)
        return;
    for (; i > 0 && s->at[i - 1] < v; i--)
        s->at[i] = s->at[i - 1];
    s->at[i] = v;
}

static int serials_list(const char *dir, struct serials *out)
{
    *out = (struct serials){0};
    int e = file_list(dir, serials_add, out);
    return e == -ENOENT ? 0 : e;
}

static char *path_of(const char *dir, uint64_t serial)
{
    return mem_printf("%s/%s%016" PRIx64 "%s", dir, prefix, serial, suffix);
}

static void put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static void put32(char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static uint32_t get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static struct position position_in(const char *head)
{
    return (struct position){get64(head + 24), get64(head + 32), get64(head + 40)};
}

static int refuse(struct err *why, const char *path, const char *how)
{
    return err_set(why, -EBADMSG, "%s %s", path, how);
}

/* The head of a file that says it is a snapshot as long as it is. */
static int read_head(struct file *f, const char *path, struct err *why, char head[HEADER])
{
    uint64_t size = 0;
    size_t n = 0;
    int e = file_size(f, &size);
    if (e == 0)
        e = file_read(f, 0, head, HEADER, &n);
    if (e < 0)
        return err_errno(why, e, "%s", path);
    if (n < HEADER || memcmp(head, magic, sizeof(magic)) != 0)
        return refuse(why, path, "is not a snapshot");
    if (get32(head + 8) != VERSION)
        return err_set(why, -EBADMSG, "%s has version %" PRIu32 ", this program reads %d", path,
                       get32(head + 8), VERSION);
    if (get64(head + 16) != size - HEADER || size - HEADER > SNAPSHOT_MAX)
        return refuse(why, path, "is damaged: it is not as long as it says");
    return 0;
}

/* Reads the rest in pieces, `len` bytes, and verifies all of it. keep: where it is all to be, or NULL. */
static int read_state(struct file *f, const char *path, const char *head, struct err *why,
                      char *keep)
{
    size_t len = (size_t)get64(head + 16), n = 0;
    char *piece = keep ? NULL : mem_realloc_array(NULL, PIECE, 1);
    uint32_t crc = 0;
    int e = 0;
    for (size_t at = 0; at < len && e == 0; at += n) {
        char *to = keep ? keep + at : piece;
        e = file_read(f, HEADER + at, to, len - at < PIECE ? len - at : PIECE, &n);
        if (e == 0 && n == 0)
            e = -EIO; /* shorter than a moment ago */
        crc = e == 0 ? crc32c(crc, to, n) : crc;
    }
    free(piece);
    if (e < 0)
        return err_errno(why, e, "%s", path);
    if (crc32c(crc, head + 16, HEADER - 16) != get32(head + 12))
        return refuse(why, path, "is damaged: its checksum does not fit");
    return 0;
}

/* A state in memory: the file's own pages, or where they cannot be had a copy. */
struct held {
    void *map; /* of the whole file */
    char *bytes;
    size_t len;
};

static void held_free(struct held *h)
{
    if (h->map)
        file_unmap(h->map, HEADER + h->len);
    else
        free(h->bytes);
    *h = (struct held){0};
}

/* Verified by reading, so that a disk that cannot is told as such, and then looked at where it lies: a copy
 * of a million devices is a third of a gigabyte that a start would only give back again. A file is never
 * changed once it has its name; who cuts one off in this second ends the process (SIGBUS), and the
 * next start finds it damaged. */
static int hold(const char *path, const char *head, struct err *why, struct held *out)
{
    struct held h = {.len = (size_t)get64(head + 16)};
    struct file *f = NULL;
    int e = file_open(path, FILE_READ, &f);
    if (e < 0)
        return err_errno(why, e, "%s", path);
    e = read_state(f, path, head, why, NULL);
    if (e == 0 && file_map(f, HEADER + h.len, false, &h.map) == 0) {
        h.bytes = (char *)h.map + HEADER;
    } else if (e == 0) {
        h.bytes = mem_zalloc_large(h.len + 1, 1);
        e = read_state(f, path, head, why, h.bytes);
    }
    file_close(f);
    if (e == 0)
        *out = h;
    else
        held_free(&h);
    return e;
}

/* Verifies one file in pieces: a large state is not held in memory for that. */
static int check(const char *dir, uint64_t serial, struct position *out)
{
    char head[HEADER], *path = path_of(dir, serial);
    char *piece = mem_realloc_array(NULL, PIECE, 1);
    struct file *f = NULL;
    uint64_t at = HEADER;
    uint32_t crc = 0;
    size_t n = 0;
    int e = file_open(path, FILE_READ, &f);
    if (e == 0)
        e = file_read(f, 0, head, HEADER, &n);
    if (e == 0 && (n < HEADER || memcmp(head, magic, sizeof(magic)) != 0))
        e = -EBADMSG;
    while (e == 0 && n > 0) {
        e = file_read(f, at, piece, PIECE, &n);
        if (e == 0)
            crc = crc32c(crc, piece, n);
        at += e == 0 ? n : 0;
    }
    if (e == 0 && (get32(head + 8) != VERSION || get64(head + 16) != at - HEADER ||
                   crc32c(crc, head + 16, HEADER - 16) != get32(head + 12)))
        e = -EBADMSG;
    if (e == 0)
        *out = position_in(head);
    file_close(f);
    free(piece);
    free(path);
    return e;
}

static int unlink_serial(const char *dir, uint64_t serial)
{
    char *path = path_of(dir, serial);
    int e = file_unlink(path);
    free(path);
    return e;
}

/* What is kept: the newest good ones, none of them beyond the one that was just written. */
struct kept {
    struct position at[SNAPSHOT_KEEP];
    unsigned n;
    bool bad; /* one that stays does not verify, or cannot be read now */
};

/* One from beyond `now` was refused at the start (its store or a log was put back, its files are gone):
 * the engine came from before it, and a start after this one needs the journal down to there. It goes
 * when there are two others. */
static int prune(const char *dir, const struct serials *s, const struct position *now,
                 struct kept *out)
{
    bool any = false;
    int e = 0;
    for (size_t i = 0; e == 0 && i < s->n; i++) {
        if (out->n < SNAPSHOT_KEEP) {
            struct position at = {0};
            bool fine = check(dir, s->at[i], &at) == 0;
            if (fine && position_cmp(&at, now) <= 0)
                out->at[out->n++] = at;
            out->bad = out->bad || !fine;
            continue; /* a damaged one is kept for the eyes until it is the oldest */
        }
        e = unlink_serial(dir, s->at[i]);
        any = true;
    }
    return e == 0 && any ? file_sync_dir(dir) : e;
}

struct snapshot_writer {
    char *dir, *temporary, *path;
    struct file *file;
    uint64_t at;
    uint64_t behind;          /* up to there it is on its way to the disk */
    uint32_t crc;             /* of the pieces; the header's part is put before it at the end */
    struct position position; /* once it is sealed */
};

static void writer_free(struct snapshot_writer *w)
{
    file_close(w->file);
    free(w->dir);
    free(w->temporary);
    free(w->path);
    free(w);
}

int snapshot_begin(const char *dir, struct snapshot_writer **out)
{
    struct serials s;
    int e = file_make_dir(dir);
    if (e == 0)
        e = serials_list(dir, &s);
    if (e < 0)
        return e;
    struct snapshot_writer *w = mem_zalloc(sizeof(*w));
    w->dir = mem_strdup(dir);
    w->path = path_of(dir, s.n ? s.at[0] + 1 : 1);
    w->temporary = mem_printf("%s/snapshot.tmp", dir);
    w->at = HEADER;
    /* A power cut in the middle of a rename may leave both names to one file: that one is not written over. */
    e = file_unlink(w->temporary);
    if (e == 0 || e == -ENOENT)
        e = file_open(w->temporary, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &w->file);
    if (e < 0) {
        writer_free(w);
        return e;
    }
    *out = w;
    return 0;
}

int snapshot_put(struct snapshot_writer *w, const void *p, size_t n)
{
    if (w->at + n > SNAPSHOT_MAX)
        return -EFBIG;
    int e = file_write(w->file, w->at, p, n);
    if (e < 0)
        return e;
    w->at += n;
    w->crc = crc32c(w->crc, p, n);
    if (w->at - w->behind >= BEHIND) {
        e = file_write_behind(w->file, w->behind, w->at);
        w->behind = w->at;
    }
    return e;
}

int snapshot_seal(struct snapshot_writer *w, const struct position *p)
{
    char head[HEADER];
    w->position = *p;
    memcpy(head, magic, sizeof(magic));
    put32(head + 8, VERSION);
    put64(head + 16, w->at - HEADER);
    put64(head + 24, p->offset);
    put64(head + 32, p->tick);
    put64(head + 40, p->ordinal);
    put32(head + 12, crc32c(w->crc, head + 16, HEADER - 16));
    int e = file_write(w->file, 0, head, HEADER);
    return e == 0 ? file_sync(w->file) : e;
}

int snapshot_commit(struct snapshot_writer *w, uint64_t *out_release)
{
    struct serials s;
    struct kept kept = {.n = 0};
    int e = file_rename(w->temporary, w->path);
    if (e == 0)
        e = file_sync_dir(w->dir);
    if (e == 0)
        e = serials_list(w->dir, &s);
    if (e == 0)
        e = prune(w->dir, &s, &w->position, &kept);
    writer_free(w);
    if (e < 0)
        return e;
    *out_release = kept.n == SNAPSHOT_KEEP ? kept.at[SNAPSHOT_KEEP - 1].offset : 0;
    return kept.bad;
}

void snapshot_abort(struct snapshot_writer *w)
{
    if (!w)
        return;
    (void)file_unlink(w->temporary);
    writer_free(w);
}

/* -- what a start finds -------------------------------------------------------------------- */

struct found {
    uint64_t serial;
    char head[HEADER];
    bool good, bad;   /* neither: its head looks like one, nobody has asked further */
    struct held held; /* of a good one, until another one is loaded */
    struct err why;   /* it is bad */
};

struct snapshots {
    char *dir;
    size_t n;
    struct found at[MOST]; /* newest first */
};

static void look_at(struct snapshots *s, struct found *f)
{
    char *path = path_of(s->dir, f->serial);
    struct file *file = NULL;
    int e = file_open(path, FILE_READ, &file);
    if (e < 0)
        (void)err_errno(&f->why, e, "%s", path);
    else
        e = read_head(file, path, &f->why, f->head);
    f->bad = e < 0;
    file_close(file);
    free(path);
}

int snapshots_open(const char *dir, struct snapshots **out)
{
    struct serials serials;
    int e = serials_list(dir, &serials);
    if (e < 0)
        return e;
    struct snapshots *s = mem_zalloc(sizeof(*s));
    s->dir = mem_strdup(dir);
    for (size_t i = 0; i < serials.n; i++) {
        s->at[s->n].serial = serials.at[i];
        look_at(s, &s->at[s->n++]);
    }
    *out = s;
    return 0;
}

/* A file is never changed once it has its name, and its head has its checksum. One that was bad then may
 * be better now. */
bool snapshots_still(const struct snapshots *s)
{
    struct snapshots *now;
    if (snapshots_open(s->dir, &now) < 0)
        return false;
    bool same = now->n == s->n;
    for (size_t i = 0; same && i < s->n; i++)
        same = !s->at[i].bad && !now->at[i].bad && s->at[i].serial == now->at[i].serial &&
               memcmp(s->at[i].head, now->at[i].head, HEADER) == 0;
    snapshots_close(now);
    return same;
}

static void let_go(struct snapshots *s)
{
    for (size_t i = 0; i < s->n; i++)
        held_free(&s->at[i].held);
}

void snapshots_close(struct snapshots *s)
{
    if (!s)
        return;
    let_go(s);
    free(s->dir);
    free(s);
}

static bool load(struct snapshots *s, struct found *f)
{
    if (f->bad || f->held.bytes)
        return !f->bad;
    let_go(s);
    char *path = path_of(s->dir, f->serial);
    int e = hold(path, f->head, &f->why, &f->held);
    f->good = e == 0;
    f->bad = e < 0;
    free(path);
    return f->good;
}

int snapshots_newest(struct snapshots *s, const struct position *max, struct err *why,
                     struct snapshot *out)
{
    unsigned skipped = 0;
    if (why)
        why->text[0] = '\0';
    for (size_t i = 0; i < s->n; i++) {
        struct found *f = &s->at[i];
        struct position at = position_in(f->head);
        if (!f->bad && max && position_cmp(&at, max) > 0)
            continue;
        if (load(s, f)) {
            *out = (struct snapshot){at, f->held.bytes, f->held.len, skipped};
            return 0;
        }
        skipped++;
        if (why)
            *why = f->why;
    }
    return -ENOENT;
}

size_t snapshots_told(const struct snapshots *s, struct position *out, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < s->n && k < n; i++)
        if (!s->at[i].bad)
            out[k++] = position_in(s->at[i].head);
    return k;
}

/* In pieces: the one that is in memory stays. */
static bool is_good(struct snapshots *s, struct found *f)
{
    struct position at;
    if (f->good || f->bad)
        return f->good;
    int e = check(s->dir, f->serial, &at);
    f->good = e == 0;
    f->bad = e < 0;
    if (f->bad)
        (void)err_errno(&f->why, e, "%s/%s%016" PRIx64 "%s", s->dir, prefix, f->serial, suffix);
    return f->good;
}

bool snapshots_beyond(struct snapshots *s, const struct position *p)
{
    for (size_t i = 0; i < s->n; i++) {
        struct found *f = &s->at[i];
        struct position at = position_in(f->head);
        if (!f->bad && position_cmp(&at, p) > 0 && is_good(s, f))
            return true;
    }
    return false;
}

int snapshot_load_newest(const char *dir, const struct position *max, struct err *why,
                         struct snapshot *out)
{
    struct snapshots *s;
    if (why)
        why->text[0] = '\0';
    int e = snapshots_open(dir, &s);
    if (e < 0)
        return e;
    e = snapshots_newest(s, max, why, out);
    if (e == 0)
        out->bytes = mem_dup(out->bytes, out->len);
    snapshots_close(s);
    return e;
}

int snapshot_list(const char *dir, struct position *out, size_t n)
{
    struct serials s;
    size_t k = 0;
    int e = serials_list(dir, &s);
    for (size_t i = 0; e == 0 && i < s.n && k < n; i++) {
        struct position at;
        if (check(dir, s.at[i], &at) == 0)
            out[k++] = at;
    }
    return e < 0 ? e : (int)k;
}
