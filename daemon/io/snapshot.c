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
enum { HEADER = 48, VERSION = 1, MOST = 64 };
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

/* Reads and verifies one file. */
static int load(const char *dir, uint64_t serial, struct err *why, struct snapshot *out)
{
    char *path = path_of(dir, serial), *p = NULL;
    size_t n;
    int e = file_load(path, SNAPSHOT_MAX + HEADER, &p, &n);
    if (e < 0) {
        err_errno(why, e, "%s", path);
        goto out;
    }
    e = -EBADMSG;
    if (n < HEADER || memcmp(p, magic, sizeof(magic)) != 0)
        err_set(why, e, "%s is not a snapshot", path);
    else if (get32(p + 8) != VERSION)
        err_set(why, e, "%s has version %" PRIu32 ", this program reads %d", path, get32(p + 8),
                VERSION);
    else if (get64(p + 16) != n - HEADER ||
             crc32c(crc32c(0, p + HEADER, n - HEADER), p + 16, HEADER - 16) != get32(p + 12))
        err_set(why, e, "%s is damaged: its checksum does not fit", path);
    else
        e = 0;
    if (e < 0)
        goto out;
    out->position = (struct position){get64(p + 24), get64(p + 32), get64(p + 40)};
    out->len = n - HEADER;
    memmove(p, p + HEADER, n - HEADER + 1); /* with the NUL that file_load put behind */
    out->bytes = p;
    p = NULL;
out:
    free(p);
    free(path);
    return e;
}

/* Verifies one file in pieces: a large state is not held in memory for that. */
static int check(const char *dir, uint64_t serial, struct position *out)
{
    enum { PIECE = 65536 };
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
        *out = (struct position){get64(head + 24), get64(head + 32), get64(head + 40)};
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

/* What is kept: the newest good ones. */
struct kept {
    struct position at[SNAPSHOT_KEEP];
    unsigned n;
    bool bad; /* one that stays does not verify, or cannot be read now */
};

static int prune(const char *dir, const struct serials *s, struct kept *out)
{
    bool any = false;
    int e = 0;
    for (size_t i = 0; e == 0 && i < s->n; i++) {
        if (out->n < SNAPSHOT_KEEP) {
            bool fine = check(dir, s->at[i], &out->at[out->n]) == 0;
            out->n += fine;
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
    uint64_t behind; /* up to there it is on its way to the disk */
    uint32_t crc;    /* of the pieces; the header's part is put before it at the end */
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
        e = prune(w->dir, &s, &kept);
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

int snapshot_write(const char *dir, const struct position *p, const void *bytes, size_t len)
{
    struct snapshot_writer *w = NULL;
    uint64_t release;
    int e = snapshot_begin(dir, &w);
    if (e < 0)
        return e;
    e = snapshot_put(w, bytes, len);
    if (e == 0)
        e = snapshot_seal(w, p);
    if (e == 0)
        e = snapshot_commit(w, &release);
    else
        snapshot_abort(w);
    return e < 0 ? e : 0;
}

int snapshot_load_newest(const char *dir, const struct position *max, struct err *why,
                         struct snapshot *out)
{
    struct serials s;
    struct snapshot one = {0};
    if (why)
        why->text[0] = '\0';
    int e = serials_list(dir, &s);
    for (size_t i = 0; e == 0 && i < s.n; i++) {
        if (load(dir, s.at[i], why, &one) < 0) {
            one.skipped++;
        } else if (max && position_cmp(&one.position, max) > 0) {
            free(one.bytes);
        } else {
            *out = one;
            return 0;
        }
    }
    return e < 0 ? e : -ENOENT;
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

int snapshot_discard(const char *dir, const struct position *max)
{
    struct serials s;
    bool any = false;
    int e = serials_list(dir, &s);
    for (size_t i = 0; e == 0 && i < s.n; i++) {
        struct position at;
        if (max && check(dir, s.at[i], &at) == 0 && position_cmp(&at, max) <= 0)
            continue;
        e = unlink_serial(dir, s.at[i]);
        any = true;
    }
    return e == 0 && any ? file_sync_dir(dir) : e;
}
