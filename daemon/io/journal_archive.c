/* SPDX-License-Identifier: Apache-2.0 */
/* The archive: released segments, whole files compressed by zstd; a header and a seal tell each
 * one's span. */
#include "base/mem.h"
#include "io/journal_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { CHUNK = 1 << 17, LEVEL = 3 };
static const char suffix[] = ".journal.zst";

/* -- putting in ---------------------------------------------------------------------------- */

static int compress_all(ZSTD_CCtx *z, struct file *from, uint64_t size, struct file *to)
{
    char *in = mem_zalloc(CHUNK), *out = mem_zalloc(CHUNK);
    uint64_t at = 0, put = 0;
    int e = 0;
    (void)ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    for (bool last = false; e == 0 && !last;) {
        size_t n, want = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        e = file_read(from, at, in, want, &n);
        if (e < 0)
            break;
        at += n;
        last = n < CHUNK || at == size;
        ZSTD_inBuffer src = {.src = in, .size = n};
        size_t left = 1;
        while (e == 0 && (last ? left != 0 : src.pos < src.size)) {
            ZSTD_outBuffer dst = {.dst = out, .size = CHUNK};
            left = ZSTD_compressStream2(z, &dst, &src, last ? ZSTD_e_end : ZSTD_e_continue);
            if (ZSTD_isError(left)) {
                e = -ENOMEM;
                break;
            }
            e = file_write(to, put, out, dst.pos);
            put += dst.pos;
        }
    }
    free(in);
    free(out);
    return e;
}

int journal_archive_segment(const struct journal_segment *s, const char *dir)
{
    struct file *from = NULL, *to = NULL;
    ZSTD_CCtx *z = NULL;
    char *path = mem_printf("%s/%016" PRIx64 "%s", dir, s->info.base, suffix);
    char *temp = mem_printf("%s.new", path);
    int e = file_make_dir(dir);
    if (e == 0)
        e = file_open(s->path, FILE_READ, &from);
    if (e == 0)
        e = file_open(temp, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &to);
    if (e < 0)
        goto out;
    z = ZSTD_createCCtx();
    e = z ? compress_all(z, from, s->disk, to) : -ENOMEM;
    if (e == 0)
        e = file_sync(to);
    if (e == 0)
        e = file_rename(temp, path);
    if (e == 0)
        e = file_sync_dir(dir);
    else
        (void)file_unlink(temp);
out:
    (void)ZSTD_freeCCtx(z);
    file_close(from);
    file_close(to);
    free(path);
    free(temp);
    return e;
}

/* -- looking ------------------------------------------------------------------------------- */

struct item {
    uint64_t base, end, bytes;
    int64_t first_wall_ns, last_wall_ns;
    bool readable;
    bool dated; /* last_wall_ns is known, or a time that is no earlier */
};
struct items {
    struct item *at;
    size_t n;
};

static void items_add(void *ctx, const char *name)
{
    struct items *all = ctx;
    uint64_t base;
    if (!journal_name_parse(name, suffix, &base))
        return;
    all->at = mem_realloc_array(all->at, all->n + 1, sizeof(*all->at));
    all->at[all->n++] = (struct item){.base = base, .end = base};
}

static int by_base(const void *a, const void *b)
{
    uint64_t x = ((const struct item *)a)->base, y = ((const struct item *)b)->base;
    return x < y ? -1 : x > y;
}

/* A segment, unpacked as far as it is read. */
struct unpacking {
    struct file *file;
    ZSTD_DCtx *z;
    char *in;
    ZSTD_inBuffer src;
    uint64_t at; /* of the file */
};

static void unpack_begin(struct unpacking *u, struct file *f)
{
    *u = (struct unpacking){.file = f, .z = ZSTD_createDCtx(), .in = mem_zalloc(CHUNK)};
}

static void unpack_end(struct unpacking *u)
{
    (void)ZSTD_freeDCtx(u->z);
    free(u->in);
}

static int unpack_more(struct unpacking *u)
{
    size_t n;
    int e = file_read(u->file, u->at, u->in, CHUNK, &n);
    if (e < 0)
        return e;
    u->at += n;
    u->src = (ZSTD_inBuffer){.src = u->in, .size = n};
    return n > 0 ? 0 : -EBADMSG;
}

static int unpack(struct unpacking *u, char *to, size_t n)
{
    ZSTD_outBuffer dst = {.dst = to, .size = n};
    int e = u->z ? 0 : -ENOMEM;
    while (e == 0 && dst.pos < dst.size) {
        size_t before = dst.pos; /* there may be some of what was read already */
        if (ZSTD_isError(ZSTD_decompressStream(u->z, &dst, &u->src)))
            e = -EBADMSG;
        else if (dst.pos == before && u->src.pos == u->src.size)
            e = unpack_more(u);
    }
    return e;
}

/* The first page of the segment inside. */
static int first_page(struct file *f, char *page)
{
    struct unpacking u;
    unpack_begin(&u, f);
    int e = unpack(&u, page, SEGMENT_HEADER);
    unpack_end(&u);
    return e;
}

static void item_read(const char *dir, struct item *i)
{
    char page[SEGMENT_HEADER];
    char *path = mem_printf("%s/%016" PRIx64 "%s", dir, i->base, suffix);
    struct file *f;
    struct segment_info info;
    struct segment_seal seal;
    bool rot;
    if (file_open(path, FILE_READ, &f) == 0) {
        (void)file_size(f, &i->bytes);
        if (first_page(f, page) == 0 && segment_decode(page, &info, &rot) == 0 &&
            segment_seal_decode(page, info.id, &seal) == 0) {
            i->end = info.base + seal.size;
            i->first_wall_ns = info.wall_ns;
            i->last_wall_ns = seal.wall_ns;
            i->readable = i->dated = true;
        }
        file_close(f);
    }
    free(path);
}

/* What cannot be read ended before the next one began: it is no younger, and so goes with it. */
static void date_unreadable(struct items *all)
{
    const struct item *next = NULL;
    for (size_t i = all->n; i-- > 0;) {
        struct item *x = &all->at[i];
        if (x->readable) {
            next = x;
        } else if (next) {
            x->last_wall_ns = next->first_wall_ns;
            x->dated = true;
        }
    }
}

static int items_list(const char *dir, struct items *all)
{
    *all = (struct items){0};
    int e = file_list(dir, items_add, all);
    if (e == -ENOENT)
        return 0;
    if (e < 0) {
        free(all->at);
        return e;
    }
    if (all->n > 1)
        qsort(all->at, all->n, sizeof(*all->at), by_base);
    for (size_t i = 0; i < all->n; i++)
        item_read(dir, &all->at[i]);
    date_unreadable(all);
    return 0;
}

int journal_archive_span(const char *dir, struct journal_archive *out)
{
    struct items all;
    int e = items_list(dir, &all);
    if (e < 0)
        return e;
    struct journal_archive a = {.segments = all.n};
    bool any = false;
    if (all.n > 0) /* its name says so; and who cannot be opened now may be another time */
        a.first = all.at[0].base;
    for (size_t i = 0; i < all.n; i++) {
        const struct item *s = &all.at[i];
        a.bytes += s->bytes;
        a.unreadable += !s->readable;
        if (!s->readable)
            continue;
        if (!any)
            a.first_wall_ns = s->first_wall_ns;
        any = true;
        a.end = s->end;
        a.last_wall_ns = s->last_wall_ns;
    }
    free(all.at);
    *out = a;
    return 0;
}

/* -- one record ----------------------------------------------------------------------------- */

struct sought {
    uint64_t offset, base;
    bool found;
};

static void find_base(void *ctx, const char *name)
{
    struct sought *x = ctx;
    uint64_t base;
    if (!journal_name_parse(name, suffix, &base) || base > x->offset ||
        (x->found && base < x->base))
        return;
    x->base = base;
    x->found = true;
}

static int skip(struct unpacking *u, uint64_t n)
{
    char *room = mem_zalloc(CHUNK);
    int e = 0;
    for (size_t k; n > 0 && e == 0; n -= k) {
        k = n < CHUNK ? (size_t)n : CHUNK;
        e = unpack(u, room, k);
    }
    free(room);
    return e;
}

static int unpack_record(struct unpacking *u, uint64_t base, uint64_t offset,
                         struct record *out, char **out_bytes)
{
    char page[SEGMENT_HEADER], head[RECORD_HEADER];
    struct segment_info info;
    struct segment_seal seal;
    bool rot;
    int e = unpack(u, page, sizeof(page));
    if (e < 0)
        return e;
    if (segment_decode(page, &info, &rot) != 0 || info.base != base ||
        segment_seal_decode(page, info.id, &seal) != 0)
        return -EBADMSG;
    if (offset < base + SEGMENT_HEADER || offset >= seal.end)
        return -ERANGE;
    e = skip(u, offset - base - SEGMENT_HEADER);
    e = e == 0 ? unpack(u, head, sizeof(head)) : e;
    uint32_t len = record_length(head);
    if (e < 0)
        return e;
    if (len < sizeof(head) || len > seal.end - offset)
        return -EBADMSG;
    char *bytes = mem_zalloc((size_t)len + SEGMENT_TAIL);
    memcpy(bytes, head, sizeof(head));
    e = unpack(u, bytes + sizeof(head), len - sizeof(head));
    if (e == 0)
        e = journal_record_alone(bytes, len, info.id, offset, out);
    if (e == 0)
        *out_bytes = bytes;
    else
        free(bytes);
    return e;
}

int journal_archive_fetch(const char *dir, uint64_t offset, struct record *out,
                          char **out_bytes)
{
    struct sought x = {.offset = offset};
    struct unpacking u;
    struct file *f = NULL;
    int e = file_list(dir, find_base, &x);
    if (e < 0 || !x.found || offset % RECORD_ALIGN != 0)
        return e < 0 && e != -ENOENT ? e : -ERANGE;
    char *path = mem_printf("%s/%016" PRIx64 "%s", dir, x.base, suffix);
    e = file_open(path, FILE_READ, &f);
    free(path);
    if (e < 0)
        return e == -ENOENT ? -ERANGE : e;
    unpack_begin(&u, f);
    e = unpack_record(&u, x.base, offset, out, out_bytes);
    unpack_end(&u);
    file_close(f);
    return e;
}

/* -- letting go ------------------------------------------------------------------------------- */

int journal_archive_prune(const char *dir, int64_t now_wall_ns, uint64_t keep_ns,
                          uint64_t max_bytes, uint64_t *out_removed)
{
    struct items all;
    int e = items_list(dir, &all);
    if (e < 0)
        return e;
    uint64_t bytes = 0, removed = 0;
    for (size_t i = 0; i < all.n; i++)
        bytes += all.at[i].bytes;
    for (size_t i = 0; i < all.n && e == 0; i++) {
        const struct item *s = &all.at[i];
        /* a clock that stands before the segment's end proves nothing about its age */
        bool old = s->dated && now_wall_ns > s->last_wall_ns &&
                   (uint64_t)(now_wall_ns - s->last_wall_ns) > keep_ns;
        if (!old && (max_bytes == 0 || bytes <= max_bytes))
            continue;
        char *path = mem_printf("%s/%016" PRIx64 "%s", dir, s->base, suffix);
        e = file_unlink(path);
        free(path);
        if (e == 0) {
            bytes -= s->bytes;
            removed++;
        }
    }
    free(all.at);
    if (removed > 0) {
        int d = file_sync_dir(dir);
        e = e < 0 ? e : d;
    }
    *out_removed = removed;
    return e;
}
