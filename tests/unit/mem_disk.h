/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_MEM_DISK_H
#define UNIT_MEM_DISK_H
/*
 * mem_disk — io/file.h in memory, for tests that fail and crash at any operation. Include it in
 * one file of a test: it defines the functions themselves, so that the real ones are not
 * linked.
 *
 * disk.fail_at: the operation with this number (from 1) fails with disk.error, a write after a
 * part of it. disk.crash_at: from this operation on everything fails; then disk_restart(power)
 * gives what a new process finds: after a kill all that was written, after a power cut only
 * what was synced for certain, and of the rest any pages, any sizes, and of the names what
 * disk.names says.
 */
#include "base/mem.h"
#include "io/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inode {
    char *data, *safe;
    size_t size, safe_size;
};
struct file {
    struct inode *in;
};
struct name {
    char path[96];
    struct inode *in;
};
struct dir {
    struct name names[512];
    size_t n;
};

/* What a power cut leaves of the changes of names since the last sync of the folder. */
enum disk_names {
    DISK_NAMES_PREFIX,    /* the first so many */
    DISK_NAMES_ANY,       /* any: no file system promises their order */
    DISK_NAMES_UNDELETED, /* all but the removals */
};

static struct {
    struct dir now, safe;
    enum disk_names names;
    struct dir steps[64]; /* after each change since the last sync_dir */
    size_t n_steps;
    struct inode *inodes[65536];
    size_t n_inodes;
    uint64_t ops, fail_at, crash_at;
    int error;
    uint64_t seed;
} disk;

static uint64_t disk_random(void)
{
    disk.seed ^= disk.seed << 13;
    disk.seed ^= disk.seed >> 7;
    disk.seed ^= disk.seed << 17;
    return disk.seed;
}

static int disk_op(void)
{
    disk.ops++;
    if (disk.crash_at && disk.ops >= disk.crash_at)
        return -EIO;
    return disk.ops == disk.fail_at ? disk.error : 0;
}

static void disk_clear(void)
{
    for (size_t i = 0; i < disk.n_inodes; i++) {
        free(disk.inodes[i]->data);
        free(disk.inodes[i]->safe);
        free(disk.inodes[i]);
    }
    memset(&disk, 0, sizeof(disk));
    disk.seed = 88172645463325252u;
}

static const struct name *disk_find_in(const struct dir *d, const char *path)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->names[i].path, path) == 0)
            return &d->names[i];
    return NULL;
}

static bool disk_keeps_change(void)
{
    return disk.names == DISK_NAMES_UNDELETED || disk_random() & 1;
}

/* Each name by itself as it is, or as it was when the folder was last synced. */
static void disk_mix_names(void)
{
    static struct dir mixed;
    mixed.n = 0;
    for (size_t i = 0; i < disk.safe.n; i++) {
        const struct name *was = &disk.safe.names[i], *is = disk_find_in(&disk.now, was->path);
        if (is && is->in != was->in && disk_keeps_change())
            mixed.names[mixed.n++] = *is;
        else if (is || disk.names == DISK_NAMES_UNDELETED || !disk_keeps_change())
            mixed.names[mixed.n++] = *was;
    }
    for (size_t i = 0; i < disk.now.n; i++)
        if (!disk_find_in(&disk.safe, disk.now.names[i].path) && disk_keeps_change())
            mixed.names[mixed.n++] = disk.now.names[i];
    disk.now = mixed;
}

__attribute__((unused)) static void disk_restart(bool power)
{
    disk.crash_at = disk.fail_at = disk.ops = 0;
    if (!power)
        return;
    if (disk.n_steps && disk.names != DISK_NAMES_PREFIX) {
        disk_mix_names();
    } else if (disk.n_steps) {
        size_t k = (size_t)(disk_random() % (disk.n_steps + 1));
        disk.now = k ? disk.steps[k - 1] : disk.safe;
    }
    disk.safe = disk.now;
    disk.n_steps = 0;
    for (size_t i = 0; i < disk.n_inodes; i++) {
        struct inode *in = disk.inodes[i];
        size_t most = in->size > in->safe_size ? in->size : in->safe_size;
        size_t size = disk_random() & 1 ? in->size : in->safe_size;
        char *d = mem_zalloc(most + 1);
        for (size_t at = 0; at < most; at += 512) {
            bool fresh = disk_random() & 1;
            const char *src = fresh ? in->data : in->safe;
            size_t n = fresh ? in->size : in->safe_size;
            if (at < n)
                memcpy(d + at, src + at, n - at < 512 ? n - at : 512);
        }
        free(in->data);
        free(in->safe);
        in->data = d;
        in->size = in->safe_size = size;
        in->safe = mem_dup(d, size + 1);
    }
}

static struct name *disk_find(const char *path)
{
    const struct name *n = disk_find_in(&disk.now, path);
    return n ? &disk.now.names[n - disk.now.names] : NULL;
}

static void disk_changed(void)
{
    if (disk.n_steps < 64)
        disk.n_steps++;
    else
        memmove(&disk.steps[0], &disk.steps[1], 63 * sizeof(disk.steps[0]));
    disk.steps[disk.n_steps - 1] = disk.now;
}

int file_open(const char *path, int flags, struct file **out)
{
    int rc = disk_op();
    if (rc != 0)
        return rc;
    struct name *n = disk_find(path);
    if (!n) {
        if (!(flags & FILE_CREATE))
            return -ENOENT;
        n = &disk.now.names[disk.now.n++];
        (void)snprintf(n->path, sizeof(n->path), "%s", path);
        n->in = mem_zalloc(sizeof(*n->in));
        n->in->data = mem_zalloc(1);
        n->in->safe = mem_zalloc(1);
        disk.inodes[disk.n_inodes++] = n->in;
        disk_changed();
    } else if (flags & FILE_EXCLUSIVE) {
        return -EEXIST;
    }
    if (flags & FILE_TRUNCATE)
        n->in->size = 0;
    struct file *f = mem_zalloc(sizeof(*f));
    f->in = n->in;
    *out = f;
    return 0;
}

void file_close(struct file *f)
{
    free(f);
}

int file_size(struct file *f, uint64_t *out)
{
    *out = f->in->size;
    return 0;
}

int file_truncate(struct file *f, uint64_t size)
{
    int rc = disk_op();
    if (rc != 0)
        return rc;
    if (size > f->in->size) {
        f->in->data = mem_realloc_array(f->in->data, size + 1, 1);
        memset(f->in->data + f->in->size, 0, size - f->in->size);
    }
    f->in->size = size;
    return 0;
}

int file_read(struct file *f, uint64_t at, void *p, size_t n, size_t *out_n)
{
    int rc = disk_op();
    if (rc != 0)
        return rc;
    if (at >= f->in->size)
        n = 0;
    else if (n > f->in->size - at)
        n = f->in->size - at;
    if (n)
        memcpy(p, f->in->data + at, n);
    *out_n = n;
    return 0;
}

int file_write(struct file *f, uint64_t at, const void *p, size_t n)
{
    int rc = disk_op();
    if (rc != 0)
        n = n ? (size_t)(disk_random() % n) : 0; /* a part of it got there */
    if (at + n > f->in->size) {
        f->in->data = mem_realloc_array(f->in->data, at + n + 1, 1);
        memset(f->in->data + f->in->size, 0, at + n - f->in->size);
        f->in->size = at + n;
    }
    if (n)
        memcpy(f->in->data + at, p, n);
    return rc;
}

int file_sync(struct file *f)
{
    int rc = disk_op();
    if (rc != 0)
        return rc;
    free(f->in->safe);
    f->in->safe = mem_dup(f->in->data, f->in->size + 1);
    f->in->safe_size = f->in->size;
    return 0;
}

int file_punch(struct file *f, uint64_t at, uint64_t n)
{
    int rc = disk_op();
    if (rc == 0 && at + n <= f->in->size)
        memset(f->in->data + at, 0, n);
    return rc;
}

int file_make_dir(const char *path)
{
    (void)path;
    return disk_op();
}

int file_unlink(const char *path)
{
    int rc = disk_op();
    if (rc != 0)
        return rc;
    struct name *n = disk_find(path);
    if (!n)
        return -ENOENT;
    *n = disk.now.names[--disk.now.n];
    disk_changed();
    return 0;
}

int file_rename(const char *from, const char *to)
{
    int rc = disk_op();
    if (rc != 0)
        return rc;
    struct name *a = disk_find(from);
    if (!a)
        return -ENOENT;
    struct inode *in = a->in;
    struct name *b = disk_find(to);
    if (b) {
        b->in = in;
        *a = disk.now.names[--disk.now.n];
    } else {
        (void)snprintf(a->path, sizeof(a->path), "%s", to);
    }
    disk_changed();
    return 0;
}

int file_sync_dir(const char *path)
{
    (void)path;
    int rc = disk_op();
    if (rc != 0)
        return rc;
    disk.safe = disk.now;
    disk.n_steps = 0;
    return 0;
}

int file_list(const char *dir, void (*fn)(void *ctx, const char *name), void *ctx)
{
    int rc = disk_op();
    if (rc != 0)
        return rc;
    size_t n = strlen(dir);
    for (size_t i = 0; i < disk.now.n; i++)
        if (strncmp(disk.now.names[i].path, dir, n) == 0 && disk.now.names[i].path[n] == '/')
            fn(ctx, disk.now.names[i].path + n + 1);
    return 0;
}

/* the same steps as the real ones take */
int file_load(const char *path, size_t max, char **out, size_t *out_len)
{
    struct file *f;
    int rc = file_open(path, FILE_READ, &f);
    if (rc != 0)
        return rc;
    size_t n = f->in->size;
    char *p = mem_zalloc(n + 1);
    rc = n > max ? -EFBIG : file_read(f, 0, p, n, &n);
    file_close(f);
    if (rc != 0) {
        free(p);
        return rc;
    }
    *out = p;
    *out_len = n;
    return 0;
}

int file_store(const char *path, const void *p, size_t n)
{
    char temp[128];
    (void)snprintf(temp, sizeof(temp), "%s.new", path);
    struct file *f;
    int rc = file_open(temp, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &f);
    if (rc != 0)
        return rc;
    rc = file_write(f, 0, p, n);
    if (rc == 0)
        rc = file_sync(f);
    file_close(f);
    if (rc == 0)
        rc = file_rename(temp, path);
    return rc == 0 ? file_sync_dir("") : rc;
}

#endif
