/* SPDX-License-Identifier: Apache-2.0 */
#include "io/image.h"
#include "base/mem.h"
#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20)
#define ROOM       65536
#define PIECE      ((size_t)1 << 20)

/* What goes through the pipe: a length, then so many bytes; at the end LAST, then the result. */
#define LAST UINT32_MAX

struct piece { /* of a state that is kept in memory */
    struct piece *next;
    size_t n;
    char bytes[PIECE];
};

struct image {
    pid_t child; /* 0: there is none, the pieces have it */
    int from;    /* the pipe; -1: there is none */
    uint64_t began_ns;
    unsigned silent_ms, whole_ms;
    struct piece *first, *last;
    int result; /* of the save into memory */
};

/* -- in memory ------------------------------------------------------------------------------ */

static int put_memory(void *ctx, const void *p, size_t n)
{
    struct image *i = ctx;
    for (size_t at = 0, k; at < n; at += k) {
        if (!i->last || i->last->n == PIECE) {
            struct piece *next = malloc(sizeof(*next));
            if (!next) /* a snapshot less, not the end */
                return -ENOMEM;
            next->next = NULL;
            next->n = 0;
            *(i->last ? &i->last->next : &i->first) = next;
            i->last = next;
        }
        k = n - at < PIECE - i->last->n ? n - at : PIECE - i->last->n;
        memcpy(i->last->bytes + i->last->n, (const char *)p + at, k);
        i->last->n += k;
    }
    return 0;
}

static int read_memory(struct image *i, image_put_fn *put, void *ctx)
{
    int r = 0;
    while (i->first) {
        struct piece *p = i->first;
        r = r ? r : put(ctx, p->bytes, p->n);
        i->first = p->next;
        free(p);
    }
    i->last = NULL;
    return r ? r : i->result;
}

/* -- the child ------------------------------------------------------------------------------ */

static int put_pipe(void *ctx, const void *p, size_t n)
{
    int to = *(const int *)ctx;
    while (n > 0) {
        uint32_t len = n < ROOM ? (uint32_t)n : ROOM;
        struct iovec io[2] = {{&len, sizeof(len)}, {(void *)(uintptr_t)p, len}};
        struct iovec *at = io;
        int left = 2;
        while (left > 0) {
            ssize_t k = syscall(SYS_writev, to, at, left); /* not Paho's (io/mqtt_wire.c) */
            if (k < 0 && errno == EINTR)
                continue;
            if (k < 0)
                return -errno;
            for (; left > 0 && (size_t)k >= at->iov_len; left--)
                k -= (ssize_t)(at++)->iov_len;
            if (left > 0) {
                at->iov_base = (char *)at->iov_base + k;
                at->iov_len -= (size_t)k;
            }
        }
        p = (const char *)p + len;
        n -= len;
    }
    return 0;
}

static void write_small(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0) {
        /* then it is not preferred */
    }
    (void)close(fd);
}

/* The parent's lock on its folder, its sockets: they are gone with the parent, not with us. What a
 * failed assertion says goes where the parent's does. */
static void close_others(int keep)
{
    if (keep > STDERR_FILENO + 1)
        (void)close_range(STDERR_FILENO + 1, (unsigned)keep - 1, 0);
    if (close_range((unsigned)keep + 1, UINT_MAX, 0) == 0)
        return;
    for (int fd = STDERR_FILENO + 1, n = (int)sysconf(_SC_OPEN_MAX); fd < n; fd++)
        if (fd != keep)
            (void)syscall(SYS_close, fd); /* close() takes a lock (io/mqtt_wire.c) */
}

/* The engine waits for the copy: where other work fills the processors it would wait for its turn at them
 * several times over. Allowed to root, and where an administrator allows it (docs/operations.md); else all is
 * as it was. */
#define HURRY (-10)

static int hurry(void)
{
    struct rlimit most; /* getrlimit(2): 20 less the nice value */
    bool may = geteuid() == 0 ||
               (getrlimit(RLIMIT_NICE, &most) == 0 && most.rlim_cur >= (rlim_t)(20 - HURRY));
    errno = 0;
    int was = may ? getpriority(PRIO_PROCESS, 0) : HURRY; /* of this thread */
    if (errno != 0 || was <= HURRY)
        return HURRY;
    (void)setpriority(PRIO_PROCESS, 0, HURRY);
    return was;
}

static void as_before(int was)
{
    if (was > HURRY)
        (void)setpriority(PRIO_PROCESS, 0, was);
}

static _Noreturn void child(image_save_fn *save, const void *what, int to, pid_t parent,
                            int was)
{
    as_before(was);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    (void)prctl(PR_SET_NAME, "gaihou-image");
    write_small("/proc/self/oom_score_adj", "1000");
    close_others(to);
    int32_t result = save(what, put_pipe, &to);
    uint32_t last = LAST;
    char end[sizeof(last) + sizeof(result)];
    memcpy(end, &last, sizeof(last));
    memcpy(end + sizeof(last), &result, sizeof(result));
    for (size_t at = 0; at < sizeof(end);) {
        ssize_t k = write(to, end + at, sizeof(end) - at);
        if (k < 0 && errno != EINTR)
            break;
        at += k > 0 ? (size_t)k : 0;
    }
    _exit(0);
}

/* With all signals blocked: what is meant for the parent must not run its handlers here, and they
 * stay blocked in the child. */
static int start(struct image *i, image_save_fn *save, const void *what)
{
    int ends[2];
    sigset_t all, before;
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int was = hurry();
    pid_t pid = fork();
    int failed = pid < 0 ? -errno : 0;
    if (pid == 0)
        child(save, what, ends[1], parent, was);
    as_before(was);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(ends[1]);
    if (failed) {
        (void)close(ends[0]);
        return failed;
    }
    i->child = pid;
    i->from = ends[0];
    return 0;
}

/* -- the parent ----------------------------------------------------------------------------- */

void image_limits(struct image *i, unsigned silent_ms, unsigned whole_ms)
{
    i->silent_ms = silent_ms;
    i->whole_ms = whole_ms;
}

int image_take(image_save_fn *save, const void *what, int *out_why, struct image **out)
{
    struct image *i = mem_zalloc(sizeof(*i));
    i->from = -1;
    i->began_ns = clock_boot_ns();
    image_limits(i, IMAGE_SILENT_MS, IMAGE_WHOLE_MS);
    int why = start(i, save, what);
    if (why)
        i->result = save(what, put_memory, i);
    if (i->result == -ENOMEM) {
        image_free(i);
        return -ENOMEM;
    }
    *out_why = why;
    *out = i;
    return 0;
}

/* How long its next byte may take; 0: it has had its time. */
static int patience_ms(const struct image *i)
{
    uint64_t passed = (clock_boot_ns() - i->began_ns) / 1000000u;
    uint64_t left = passed < i->whole_ms ? i->whole_ms - passed : 0;
    return (int)(left < i->silent_ms ? left : i->silent_ms);
}

static int get(const struct image *i, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct pollfd f = {.fd = i->from, .events = POLLIN};
        int patience = patience_ms(i);
        int ready = patience > 0 ? poll(&f, 1, patience) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready < 0 ? -errno : -ETIMEDOUT;
        ssize_t k = read(i->from, (char *)p + at, n - at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        if (k == 0)
            return -ECHILD;
        at += (size_t)k;
    }
    return 0;
}

int image_read(struct image *i, image_put_fn *put, void *ctx)
{
    if (i->from < 0)
        return read_memory(i, put, ctx);
    char *room = mem_realloc_array(NULL, ROOM, 1);
    uint32_t len = 0;
    int32_t result = 0;
    int r = get(i, &len, sizeof(len));
    while (r == 0 && len <= ROOM) {
        r = get(i, room, len);
        r = r ? r : put(ctx, room, len);
        r = r ? r : get(i, &len, sizeof(len));
    }
    r = r ? r : get(i, &result, sizeof(result));
    free(room);
    return r ? r : result;
}

/* -- large pages ---------------------------------------------------------------------------- */

#define PAGE_LARGE ((uintptr_t)2 << 20)
#define PAGES      512
#define DENSE      480 /* of them: what a large page adds to the process is a sixteenth at most */
#define LARGE_FROM ((uintptr_t)128 << 20)
#define LONGEST    ((uint64_t)16 << 30) /* longer ones are set aside by a sanitizer, not memory */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; before, nothing is gathered */
#endif

/* The kernel's own, small letters; *at goes behind it. */
static uintptr_t number(const char **at, unsigned base)
{
    uintptr_t v = 0;
    for (;; (*at)++) {
        char c = **at;
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : base;
        if (d >= base)
            return v;
        v = v * base + d;
    }
}

bool image_gather_pays(void)
{
    char line[128] = ""; /* proc(5), /proc/pid/statm: size, resident, of files, in pages */
    const char *at = line;
    uintptr_t pages[3];
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && !fgets(line, sizeof(line), f))
        line[0] = '\0';
    if (f)
        (void)fclose(f);
    for (size_t i = 0; i < 3; i++, at += *at == ' ')
        pages[i] = number(&at, 10);
    return pages[1] > pages[2] &&
           (pages[1] - pages[2]) * (uintptr_t)sysconf(_SC_PAGESIZE) >= LARGE_FROM;
}

/* The administrator's word: MADV_COLLAPSE itself does not ask for it. */
static bool may_be_large(void)
{
    char line[128] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    bool may = f && fgets(line, sizeof(line), f) && !strstr(line, "[never]");
    if (f)
        (void)fclose(f);
    return may && sysconf(_SC_PAGESIZE) * PAGES == (long)PAGE_LARGE;
}

/* Pages that are there and nobody else's: not the zero page, which is read but was never written, nor
 * what an image still has (a large page would be a copy of it). proc(5), /proc/pid/pagemap. */
static bool dense(int pagemap, uintptr_t at)
{
    const uint64_t present_and_own = UINT64_C(1) << 63 | UINT64_C(1) << 56;
    uint64_t page[PAGES];
    unsigned n = 0;
    off_t from = (off_t)(at / (PAGE_LARGE / PAGES) * sizeof(*page));
    if (pread(pagemap, page, sizeof(page), from) != (ssize_t)sizeof(page))
        return false;
    for (size_t i = 0; i < PAGES; i++)
        n += (page[i] & present_and_own) == present_and_own;
    return n >= DENSE;
}

/* False: there is no room for large pages (man 2 madvise), and the next stretch would only make the
 * system look for some again. */
static bool gather_range(int pagemap, uintptr_t from, uintptr_t to, const atomic_bool *stop)
{
    uintptr_t at = (from + PAGE_LARGE - 1) & ~(PAGE_LARGE - 1);
    for (; at < to && to - at >= PAGE_LARGE && !atomic_load(stop); at += PAGE_LARGE)
        if (dense(pagemap, at) && madvise((void *)at, PAGE_LARGE, MADV_COLLAPSE) != 0 &&
            (errno == ENOMEM || errno == EBUSY))
            return false;
    return true;
}

/* proc(5), /proc/pid/maps: "from-to rw-p offset device inode path". Is it memory, and no file's? */
static bool memory_of(const char *at, uintptr_t *from, uintptr_t *to)
{
    *from = number(&at, 16);
    at += *at == '-';
    *to = number(&at, 16);
    if (strncmp(at, " rw-p ", 6) != 0)
        return false;
    for (int i = 0; i < 3 && at; i++)
        at = strchr(at + 1, ' ');
    return at && strncmp(at, " 0 ", 3) == 0 && *from < *to && *to - *from <= LONGEST;
}

/* The list may be older than what it tells of by then: gathering does no harm to anything. */
void image_gather(const atomic_bool *stop)
{
    FILE *f = may_be_large() ? fopen("/proc/self/maps", "re") : NULL;
    int pagemap = f ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1;
    char line[512];
    uintptr_t from, to;
    bool more = pagemap >= 0;
    while (more && fgets(line, sizeof(line), f))
        if (memory_of(line, &from, &to))
            more = gather_range(pagemap, from, to, stop) && !atomic_load(stop);
    if (pagemap >= 0)
        (void)close(pagemap);
    if (f)
        (void)fclose(f);
}

void image_free(struct image *i)
{
    if (!i)
        return;
    if (i->from >= 0)
        (void)close(i->from);
    if (i->child > 0) {
        (void)kill(i->child, SIGKILL); /* it has ended, or nobody reads it */
        while (waitpid(i->child, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    while (i->first) {
        struct piece *p = i->first;
        i->first = p->next;
        free(p);
    }
    free(i);
}
