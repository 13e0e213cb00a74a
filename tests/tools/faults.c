/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults — a library to preload: one of the file system calls of a process below one folder
 * fails, or does only a part of what it was asked.
 *
 *   FAULTS_DIR   the folder (absolute); calls on other files are passed on
 *   FAULTS_LOG   a file outside of it: a line for each call that counts ("N call path"), or with
 *                FAULTS_AT only for the one that was hit
 *   FAULTS_AT    which call fails: counted from 1 over all threads; none: nothing fails
 *   FAULTS_CALL  only calls of this name count
 *   FAULTS_KIND  EIO ENOSPC EINTR, or SHORT (half of the bytes are really moved)
 *   FAULTS_ON    1: every later counted call fails too, as a disk that stays bad
 *
 * A debugger's injection counts per thread and its "short write" writes nothing; here the count
 * is the process's and what is returned is true. Calls inside the C library (opendir) pass.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic long counted;
static const char *dir, *call_only, *kind;
static long at;
static bool on;
static int log_fd = -1;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("FAULTS_AT"), *log = getenv("FAULTS_LOG");
    dir = getenv("FAULTS_DIR");
    call_only = getenv("FAULTS_CALL");
    kind = getenv("FAULTS_KIND");
    at = text ? atol(text) : 0;
    on = getenv("FAULTS_ON") != NULL;
    if (log)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log,
                              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static bool below(const char *path)
{
    return dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

static void path_of(int fd, char *out, size_t size)
{
    char link[64];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
}

enum verdict { PASS, FAIL, HALF };

static enum verdict judge(const char *call, const char *path)
{
    char line[4600];
    if (!below(path) || (call_only && strcmp(call, call_only) != 0))
        return PASS;
    long n = atomic_fetch_add(&counted, 1) + 1;
    bool hit = at && (n == at || (on && n > at));
    if (log_fd >= 0 && (!at || n == at)) {
        int len = snprintf(line, sizeof(line), "%ld %s %s\n", n, call, path);
        (void)!syscall(SYS_write, log_fd, line, (size_t)len);
    }
    if (!hit)
        return PASS;
    if (strcmp(kind, "SHORT") == 0)
        return HALF;
    errno = strcmp(kind, "EIO") == 0 ? EIO : strcmp(kind, "ENOSPC") == 0 ? ENOSPC : EINTR;
    return FAIL;
}

static enum verdict judge_fd(const char *call, int fd)
{
    char path[4096];
    int saved = errno;
    if (!dir)
        return PASS;
    path_of(fd, path, sizeof(path));
    errno = saved;
    return judge(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define TRANSFER(name, args, pass, half)                                                       \
    ssize_t name args                                                                          \
    {                                                                                          \
        enum verdict v = judge_fd(#name, fd);                                                  \
        if (v == FAIL)                                                                         \
            return -1;                                                                         \
        if (v == HALF && n > 1)                                                                \
            return REAL(name) half;                                                            \
        return REAL(name) pass;                                                                \
    }
TRANSFER(write, (int fd, const void *p, size_t n), (fd, p, n), (fd, p, n / 2))
TRANSFER(read, (int fd, void *p, size_t n), (fd, p, n), (fd, p, n / 2))
TRANSFER(pwrite, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o), (fd, p, n / 2, o))
TRANSFER(pwrite64, (int fd, const void *p, size_t n, off64_t o), (fd, p, n, o),
         (fd, p, n / 2, o))
TRANSFER(pread, (int fd, void *p, size_t n, off_t o), (fd, p, n, o), (fd, p, n / 2, o))
TRANSFER(pread64, (int fd, void *p, size_t n, off64_t o), (fd, p, n, o), (fd, p, n / 2, o))

ssize_t __pread_chk(int fd, void *p, size_t n, off_t o, size_t room);
ssize_t __pread_chk(int fd, void *p, size_t n, off_t o, size_t room)
{
    (void)room;
    return pread(fd, p, n, o);
}
ssize_t __pread64_chk(int fd, void *p, size_t n, off64_t o, size_t room);
ssize_t __pread64_chk(int fd, void *p, size_t n, off64_t o, size_t room)
{
    (void)room;
    return pread64(fd, p, n, o);
}
ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
ssize_t __read_chk(int fd, void *p, size_t n, size_t room)
{
    (void)room;
    return read(fd, p, n);
}

/* A call on a descriptor that cannot be done by half. */
#define PLAIN(name, args, pass)                                                                \
    int name args                                                                              \
    {                                                                                          \
        return judge_fd(#name, fd) == FAIL ? -1 : REAL(name) pass;                             \
    }
PLAIN(fdatasync, (int fd), (fd))
PLAIN(fsync, (int fd), (fd))
PLAIN(ftruncate, (int fd, off_t n), (fd, n))
PLAIN(ftruncate64, (int fd, off64_t n), (fd, n))
PLAIN(fallocate, (int fd, int mode, off_t o, off_t n), (fd, mode, o, n))
PLAIN(fallocate64, (int fd, int mode, off64_t o, off64_t n), (fd, mode, o, n))

/* These return the error instead of setting errno. */
int posix_fallocate(int fd, off_t o, off_t n)
{
    return judge_fd("posix_fallocate", fd) == FAIL ? errno : REAL(posix_fallocate)(fd, o, n);
}
int posix_fallocate64(int fd, off64_t o, off64_t n)
{
    return judge_fd("posix_fallocate", fd) == FAIL ? errno : REAL(posix_fallocate64)(fd, o, n);
}

void *mmap(void *p, size_t n, int prot, int flags, int fd, off_t o)
{
    if (fd >= 0 && judge_fd("mmap", fd) == FAIL)
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, p, n, prot, flags, fd, o);
}
void *mmap64(void *p, size_t n, int prot, int flags, int fd, off64_t o)
{
    return mmap(p, n, prot, flags, fd, o);
}

#define NAMED(name, args, path, pass)                                                          \
    int name args                                                                              \
    {                                                                                          \
        return judge(#name, path) == FAIL ? -1 : REAL(name) pass;                              \
    }
NAMED(rename, (const char *from, const char *to), from, (from, to))
NAMED(unlink, (const char *path), path, (path))
NAMED(mkdir, (const char *path, mode_t mode), path, (path, mode))

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    if (judge("open", path) == FAIL)
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}
#define OPEN(name, first, folder)                                                              \
    int name(first const char *path, int flags, ...)                                           \
    {                                                                                          \
        va_list a;                                                                             \
        va_start(a, flags);                                                                    \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(a, mode_t) : 0;                 \
        va_end(a);                                                                             \
        return open_any(folder, path, flags, mode);                                            \
    }
#define NO_FIRST
#define A_FOLDER int folder,
OPEN(open, NO_FIRST, AT_FDCWD)
OPEN(open64, NO_FIRST, AT_FDCWD)
OPEN(openat, A_FOLDER, folder)
OPEN(openat64, A_FOLDER, folder)
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
