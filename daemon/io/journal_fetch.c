/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record by its place, for who asks about the past. Nothing is held meanwhile: the segment may
 * be released while it is read, and is then read to its end, or not there.
 */
#include "base/check.h"
#include "base/mem.h"
#include "io/journal_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Where the segment is that has that place. */
static int find(struct journal *j, uint64_t offset, struct segment_view *out)
{
    int e = -ERANGE;
    ASSERT(pthread_mutex_lock(&j->lock) == 0);
    struct journal_segment *s = offset < journal_end(j) ? j->first : NULL;
    /* one that is going has its file until the archive has all of it */
    while (s && journal_segment_end(s) <= offset)
        s = s->next;
    if (s && offset >= journal_segment_first(s)) {
        *out = (struct segment_view){.id = s->info.id, .base = s->info.base, .size = s->size};
        e = s->unreadable ? -EBADMSG : 0;
    }
    ASSERT(pthread_mutex_unlock(&j->lock) == 0);
    return e;
}

int journal_record_alone(const char *bytes, size_t len, uint64_t id, uint64_t offset,
                         struct record *out)
{
    const struct segment_view view = {
        .p = bytes, .id = id, .base = offset, .size = (uint64_t)len + SEGMENT_TAIL};
    return record_decode(&view, offset, out) == 0 ? 0 : -EBADMSG;
}

static int read_record(struct file *f, const struct segment_view *s, uint64_t offset,
                       struct record *out, char **out_bytes)
{
    char head[RECORD_HEADER] = {0};
    size_t n;
    int e = file_read(f, offset - s->base, head, sizeof(head), &n);
    uint32_t len = record_length(head);
    if (e < 0)
        return e;
    if (len < RECORD_HEADER || len > s->size)
        return -EBADMSG;
    char *bytes = mem_zalloc((size_t)len + SEGMENT_TAIL); /* what decode may touch behind it */
    e = file_read(f, offset - s->base, bytes, len, &n);
    if (e == 0)
        e = n < len ? -EBADMSG : journal_record_alone(bytes, len, s->id, offset, out);
    if (e == 0)
        *out_bytes = bytes;
    else
        free(bytes);
    return e;
}

int journal_fetch(struct journal *j, uint64_t offset, struct record *out, char **out_bytes)
{
    struct segment_view s;
    struct file *f = NULL;
    if (offset % RECORD_ALIGN != 0)
        return -EBADMSG;
    int e = find(j, offset, &s);
    if (e < 0)
        return e;
    char *path = journal_segment_path(j->dir, s.base);
    e = file_open(path, FILE_READ, &f);
    free(path);
    if (e < 0)
        return e == -ENOENT ? -ERANGE : e;
    e = read_record(f, &s, offset, out, out_bytes);
    file_close(f);
    return e;
}
