/* SPDX-License-Identifier: Apache-2.0 */
/* One segment file: made, mapped, written into, sealed. */
#include "base/check.h"
#include "base/mem.h"
#include "io/journal_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

char *journal_segment_path(const char *dir, uint64_t base)
{
    return mem_printf("%s/%016" PRIx64 ".journal", dir, base);
}

void journal_segment_free(struct journal_segment *s)
{
    if (!s)
        return;
    file_unmap(s->map, s->map_size);
    file_close(s->file);
    free(s->path);
    free(s);
}

struct segment_view journal_segment_view(const struct journal_segment *s)
{
    return (struct segment_view){
        .p = s->map, .id = s->info.id, .base = s->info.base, .size = s->map_size};
}

int journal_segment_make(struct journal *j, const struct segment_info *info,
                         struct journal_segment **out)
{
    struct journal_segment *s = mem_zalloc(sizeof(*s));
    char page[SEGMENT_HEADER];
    s->info = *info;
    s->path = journal_segment_path(j->dir, info->base);
    s->size = s->disk = info->size;
    s->seal = (struct segment_seal){.end = info->base + SEGMENT_HEADER,
                                    .size = info->size,
                                    .messages = info->messages,
                                    .before = info->messages,
                                    .engine_ns = info->engine_ns,
                                    .wall_ns = info->wall_ns};
    segment_encode(info, page);
    char *temp = mem_printf("%s.new", s->path);
    bool named = false;
    int r = file_unlink(temp); /* behind a power cut it may be another segment's second name */
    if (r == 0 || r == -ENOENT)
        r = file_open(temp, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &s->file);
    if (r < 0)
        goto out;
    r = file_allocate(s->file, info->size);
    if (r == 0)
        r = file_write(s->file, 0, page, sizeof(page));
    if (r == 0)
        r = journal_segment_map(s, j->mapped);
    if (r == 0)
        r = file_sync(s->file);
    if (r == 0)
        r = file_rename(temp, s->path);
    if (r == 0) {
        named = true;
        r = file_sync_dir(j->dir);
    }
out:
    if (r < 0) {
        (void)file_unlink(named ? s->path
                                : temp); /* if it stays: empty, removed at next open */
        journal_segment_free(s);
    } else {
        *out = s;
    }
    free(temp);
    return r == -EDQUOT ? -ENOSPC : r;
}

int journal_segment_map(struct journal_segment *s, bool writable)
{
    if (s->map)
        return 0;
    struct file *f = s->file;
    int r = f ? 0 : file_open(s->path, FILE_READ, &f);
    if (r < 0)
        return r;
    uint64_t bytes;
    void *map;
    r = file_size(f, &bytes);
    if (r == 0 && bytes > s->size)
        bytes = s->size;
    if (r == 0)
        r = file_map(f, bytes, writable, &map);
    if (r == 0) {
        s->map = map;
        s->map_size = bytes;
    }
    if (f != s->file)
        file_close(f);
    return r;
}

int journal_segment_put(struct journal *j, struct journal_segment *s, const struct record *r,
                        uint64_t offset)
{
    uint64_t at = offset - s->info.base;
    size_t size = record_size(r);
    ASSERT(size > 0 && at + size + RECORD_READABLE <= s->info.size);
    if (j->mapped) {
        record_encode(r, s->info.id, offset, s->map + at);
        return 0;
    }
    if (size > j->scratch_size) {
        j->scratch = mem_realloc_array(j->scratch, size, 1);
        j->scratch_size = size;
    }
    record_encode(r, s->info.id, offset, j->scratch);
    int e = file_write(s->file, at, j->scratch, size);
    return e == -EDQUOT ? -ENOSPC : e;
}

int journal_segment_seal(struct journal_segment *s)
{
    char seal[SEGMENT_SEAL_SIZE];
    s->seal.size = s->size;
    segment_seal_encode(&s->seal, s->info.id, seal);
    return file_write(s->file, SEGMENT_SEAL, seal, sizeof(seal));
}

static int write_end(struct journal *j, struct journal_segment *s, uint64_t end, uint64_t size)
{
    struct record r = {.type = RECORD_END,
                       .broker = 255,
                       .engine_ns = j->last_engine_ns,
                       .wall_ns = s->seal.wall_ns,
                       .messages = s->seal.messages};
    uint64_t at = end - s->info.base, n = size - at;
    char *tail =
        mem_zalloc(n); /* the end mark, and zeroes up to the end of its page or the next */
    record_encode(&r, s->info.id, end, tail);
    int e = file_write(s->file, at, tail, n);
    free(tail);
    return e;
}

int journal_segment_finish(struct journal *j, struct journal_segment *s, uint64_t end)
{
    uint64_t size = end - s->info.base + SEGMENT_TAIL;
    size = (size + SEGMENT_HEADER - 1) & ~(uint64_t)(SEGMENT_HEADER - 1);
    file_unmap(s->map, s->map_size); /* whoever reads on maps what is left of it */
    s->map = NULL;
    s->map_size = 0;
    int e = write_end(j, s, end, size);
    if (e < 0)
        return e;
    /* What lay beyond is gone with the file's end; should the power go before this is on the
     * disk, the end mark or, without it, the same cut stands for it. */
    e = file_truncate(s->file, size);
    if (e == 0)
        e = file_sync(s->file);
    if (e < 0)
        return e;
    s->size = s->disk = size;
    s->seal.end = end;
    s->full = true;
    e = journal_segment_seal(s);
    if (e == 0)
        e = file_sync(s->file);
    if (e == 0)
        s->sealed = true;
    return e;
}
