/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct file {
    int fd;
};

static int open_fd(const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int file_open(const char *path, int flags, struct file **out)
{
    int o = flags & FILE_WRITE ? O_RDWR : O_RDONLY;
    if (flags & FILE_CREATE)
        o |= O_CREAT;
    if (flags & FILE_EXCLUSIVE)
        o |= O_EXCL;
    if (flags & FILE_TRUNCATE)
        o |= O_TRUNC;
    int fd = open_fd(path, o, 0640);
    if (fd < 0)
        return fd;
    struct file *f = mem_zalloc(sizeof(*f));
    f->fd = fd;
    *out = f;
    return 0;
}

void file_close(struct file *f)
{
    if (!f)
        return;
    (void)close(f->fd); /* whoever needs to know whether data arrived has called file_sync */
    free(f);
}

int file_lock(struct file *f)
{
    while (flock(f->fd, LOCK_EX | LOCK_NB) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int file_size(struct file *f, uint64_t *out)
{
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return -errno;
    *out = (uint64_t)st.st_size;
    return 0;
}

int file_allocate(struct file *f, uint64_t size)
{
    int r;
    do
        r = posix_fallocate(f->fd, 0, (off_t)size);
    while (r == EINTR);
    return -r;
}

int file_truncate(struct file *f, uint64_t size)
{
    while (ftruncate(f->fd, (off_t)size) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int file_read(struct file *f, uint64_t at, void *p, size_t n, size_t *out_n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(f->fd, (char *)p + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    *out_n = got;
    return 0;
}

int file_write(struct file *f, uint64_t at, const void *p, size_t n)
{
    size_t put = 0;
    while (put < n) {
        ssize_t r = pwrite(f->fd, (const char *)p + put, n - put, (off_t)(at + put));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            return -EIO;
        put += (size_t)r;
    }
    return 0;
}

int file_sync(struct file *f)
{
    /* EINTR: nothing was reported as written or lost yet, so asking again is not a retry */
    while (fdatasync(f->fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int sync_range(struct file *f, uint64_t from, uint64_t n, unsigned how)
{
    while (sync_file_range(f->fd, (off_t)from, (off_t)n, how) != 0) {
        if (errno == EINTR)
            continue;
        /* others mean that this file system or system call filter knows no such thing */
        return errno == EIO || errno == ENOSPC || errno == EDQUOT ? -errno : 0;
    }
    return 0;
}

int file_write_behind(struct file *f, uint64_t from, uint64_t to)
{
    int r = sync_range(f, from, to - from, SYNC_FILE_RANGE_WRITE);
    if (r == 0 && from > 0) /* n of 0 would be up to the end */
        r = sync_range(f, 0, from,
                       SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                           SYNC_FILE_RANGE_WAIT_AFTER);
    return r;
}

int file_punch(struct file *f, uint64_t at, uint64_t n)
{
    while (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n) !=
           0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int file_map(struct file *f, uint64_t size, bool writable, void **out)
{
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *p = mmap(NULL, (size_t)size, prot, MAP_SHARED, f->fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    *out = p;
    return 0;
}

void file_unmap(void *p, uint64_t size)
{
    if (p)
        (void)munmap(p, (size_t)size);
}

void file_map_forget(void *p, uint64_t from, uint64_t to)
{
    const uint64_t page = 4096; /* a larger one makes this a failure, which costs nothing */
    from = (from + page - 1) & ~(page - 1);
    to &= ~(page - 1);
    if (from < to)
        (void)madvise((char *)p + from, (size_t)(to - from), MADV_DONTNEED);
}

bool file_can_map(const char *dir)
{
    struct statfs s;
    if (statfs(dir, &s) != 0)
        return false;
    return s.f_type == EXT4_SUPER_MAGIC || s.f_type == XFS_SUPER_MAGIC;
}

static int sync_parent(const char *path)
{
    char *dir = mem_strdup(path);
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        dir[--n] = '\0';
    char *slash = strrchr(dir, '/');
    if (slash == dir)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    int r = file_sync_dir(slash ? dir : ".");
    free(dir);
    return r;
}

int file_make_dir(const char *path)
{
    if (mkdir(path, 0750) == 0)
        return sync_parent(path);
    int e = errno;
    struct stat st;
    if (e == EEXIST && stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return e == EEXIST ? 0 : -e;
}

int file_unlink(const char *path)
{
    return unlink(path) == 0 ? 0 : -errno;
}

int file_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : -errno;
}

int file_sync_dir(const char *path)
{
    int fd = open_fd(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int r = 0;
    while (fsync(fd) != 0) {
        if (errno == EINTR)
            continue;
        r = -errno;
        break;
    }
    (void)close(fd);
    return r;
}

int file_list(const char *dir, void (*fn)(void *ctx, const char *name), void *ctx)
{
    DIR *d = opendir(dir);
    if (!d)
        return -errno;
    int r = 0;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e) {
            r = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            fn(ctx, e->d_name);
    }
    (void)closedir(d);
    return r;
}
