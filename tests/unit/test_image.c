/* SPDX-License-Identifier: Apache-2.0 */
/* image: a process that says what was there, while what is there goes on. */
#include "unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "io/image.h"
#include "io/lock.h"
#include "scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int fork_fails, nice_at_fork;
pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    nice_at_fork = getpriority(PRIO_PROCESS, 0);
    if (!fork_fails)
        return __real_fork();
    errno = fork_fails;
    return -1;
}

/* 24 MiB: far more than a pipe holds, so that the child is at work while they change. */
#define WORDS ((size_t)3 << 20)
static uint64_t *words;

static int save_words(const void *what, image_put_fn *put, void *ctx)
{
    const uint64_t *w = *(uint64_t *const *)what;
    for (size_t at = 0; at < WORDS;) {
        size_t n = (at * 7 + 1) % 30000; /* of all lengths, also above 64 KiB */
        n = WORDS - at < n ? WORDS - at : n;
        int r = put(ctx, w + at, n * sizeof(*w));
        if (r != 0)
            return r;
        at += n;
    }
    return 0;
}

static int keep(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void is_as_it_was(struct image *i)
{
    struct buf b;
    buf_init(&b, WORDS * 16);
    assert_int_equal(image_read(i, keep, &b), 0);
    assert_int_equal(b.len, WORDS * sizeof(*words));
    for (size_t k = 0; k < WORDS; k++) {
        uint64_t v;
        memcpy(&v, b.data + k * sizeof(v), sizeof(v));
        assert_true(v == k);
    }
    buf_done(&b);
}

static void change_all(void)
{
    for (size_t k = 0; k < WORDS; k++)
        words[k] = ~words[k];
}

static struct image *take(int expect_why)
{
    struct image *i = NULL;
    int why = 1;
    for (size_t k = 0; k < WORDS; k++)
        words[k] = k;
    assert_int_equal(image_take(save_words, &words, &why, &i), 0);
    assert_int_equal(why, expect_why);
    return i;
}

static void nobody_is_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void stands_still(void **state)
{
    (void)state;
    struct image *i = take(0);
    change_all();
    is_as_it_was(i);
    image_free(i);
    nobody_is_left();
}

static atomic_int over;

static void *allocates(void *ctx)
{
    (void)ctx;
    while (!atomic_load(&over)) {
        void *p[64];
        for (size_t k = 0; k < 64; k++)
            p[k] = mem_zalloc(k * 97 + 1);
        for (size_t k = 0; k < 64; k++)
            free(p[k]);
    }
    return NULL;
}

static int save_with_memory(const void *what, image_put_fn *put, void *ctx)
{
    (void)what;
    for (size_t k = 1; k < 200; k++) {
        char *p = mem_zalloc(k * 1000);
        int r = put(ctx, p, k);
        free(p);
        if (r != 0)
            return r;
    }
    return 0;
}

/* Whatever lock of the allocator another thread holds at that moment. glibc's takes its own before a
 * fork and lets go of them behind it; those of the sanitizers do not. */
static void among_threads(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    pthread_t t[3];
    atomic_store(&over, 0);
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(pthread_create(&t[k], NULL, allocates, NULL), 0);
    for (int round = 0; round < 50; round++) {
        struct image *i = NULL;
        struct buf b;
        int why;
        buf_init(&b, 1 << 20);
        assert_int_equal(image_take(save_with_memory, NULL, &why, &i), 0);
        assert_int_equal(why, 0);
        assert_int_equal(image_read(i, keep, &b), 0);
        assert_int_equal(b.len, 199 * 200 / 2);
        image_free(i);
        buf_done(&b);
    }
    atomic_store(&over, 1);
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(pthread_join(t[k], NULL), 0);
    nobody_is_left();
}

static void without_a_process(void **state)
{
    (void)state;
    fork_fails = EAGAIN;
    struct image *i = take(-EAGAIN);
    fork_fails = 0;
    nobody_is_left();
    change_all();
    is_as_it_was(i);
    image_free(i);
    fork_fails = ENOMEM;
    image_free(take(-ENOMEM)); /* never read */
    fork_fails = 0;
}

/* -- what goes wrong ------------------------------------------------------------------------ */

static int save_nice(const void *what, image_put_fn *put, void *ctx)
{
    int nice = getpriority(PRIO_PROCESS, 0);
    (void)what;
    return put(ctx, &nice, sizeof(nice));
}

static int keep_nice(void *ctx, const void *p, size_t n)
{
    assert_int_equal(n, sizeof(int));
    memcpy(ctx, p, n);
    return 0;
}

/* Only the copying hurries, where that is allowed: neither who made it nor the copy afterwards. */
static void the_copying_hurries(void **state)
{
    (void)state;
    int why, copy = 99, was = getpriority(PRIO_PROCESS, 0);
    struct rlimit r;
    struct image *i = NULL;
    assert_int_equal(getrlimit(RLIMIT_NICE, &r), 0);
    for (int fails = 0; fails < 2; fails++) {
        fork_fails = fails ? EAGAIN : 0;
        assert_int_equal(image_take(save_nice, NULL, &why, &i), 0);
        fork_fails = 0;
        assert_int_equal(image_read(i, keep_nice, &copy), 0);
        image_free(i);
        assert_int_equal(copy, was);
        assert_int_equal(getpriority(PRIO_PROCESS, 0), was);
        bool may = geteuid() == 0 || r.rlim_cur >= 30; /* setrlimit(2): 20 - nice */
        assert_int_equal(nice_at_fork, may && was > -10 ? -10 : was);
    }
}

static int save_fails(const void *what, image_put_fn *put, void *ctx)
{
    (void)what;
    (void)put(ctx, "half", 4);
    return -ENOBUFS;
}

static int save_dies(const void *what, image_put_fn *put, void *ctx)
{
    (void)what;
    (void)put(ctx, "half", 4);
    (void)raise(SIGKILL);
    return 0;
}

static int refuse(void *ctx, const void *p, size_t n)
{
    (void)ctx;
    (void)p;
    (void)n;
    return -ENOSPC;
}

static int read_of(image_save_fn *save, const void *what, image_put_fn *put)
{
    struct image *i = NULL;
    struct buf b;
    int why;
    buf_init(&b, WORDS * 16);
    assert_int_equal(image_take(save, what, &why, &i), 0);
    int r = image_read(i, put, &b);
    image_free(i);
    buf_done(&b);
    nobody_is_left();
    return r;
}

static void failures_are_told(void **state)
{
    (void)state;
    assert_int_equal(read_of(save_fails, NULL, keep), -ENOBUFS);
    assert_int_equal(read_of(save_dies, NULL, keep), -ECHILD);
    assert_int_equal(read_of(save_words, &words, refuse), -ENOSPC);
    fork_fails = EAGAIN;
    assert_int_equal(read_of(save_fails, NULL, keep), -ENOBUFS);
    assert_int_equal(read_of(save_words, &words, refuse), -ENOSPC);
    fork_fails = 0;
    image_free(take(0)); /* never read: the child, in the middle of it, goes */
    nobody_is_left();
    image_free(NULL);
}

static int save_for_ever(const void *what, image_put_fn *put, void *ctx)
{
    const useconds_t *pause_us = what;
    for (;;) {
        int r = put(ctx, "x", 1);
        if (r != 0)
            return r;
        (void)usleep(*pause_us);
    }
}

/* How much it had said when it was given up. */
static size_t given_up(useconds_t pause_us, unsigned silent_ms, unsigned whole_ms)
{
    struct image *i = NULL;
    struct buf b;
    int why;
    buf_init(&b, 1 << 20);
    assert_int_equal(image_take(save_for_ever, &pause_us, &why, &i), 0);
    image_limits(i, silent_ms, whole_ms);
    assert_int_equal(image_read(i, keep, &b), -ETIMEDOUT);
    size_t n = b.len;
    image_free(i); /* and the child ends: this does not wait for it */
    nobody_is_left();
    buf_done(&b);
    return n;
}

/* On a busy machine a second may be over before its first word: then it is given more. */
static void is_given_up(useconds_t pause_us, unsigned silent_ms, unsigned whole_ms)
{
    size_t n = 0;
    for (unsigned more = 1; n == 0 && more < 60; more *= 4)
        n = given_up(pause_us, silent_ms * more, whole_ms * more);
    assert_true(n > 0);
}

/* A child that says nothing more, and one that always says something and never all. */
static void a_slow_one_is_given_up(void **state)
{
    (void)state;
    is_given_up(3600000000u, 1000, 600000);
    is_given_up(1000, 600000, 1000);
}

static useconds_t slow_us;

static int slowly(void *ctx, const void *p, size_t n)
{
    (void)usleep(slow_us);
    return keep(ctx, p, n);
}

static size_t read_slowly(unsigned whole_ms)
{
    struct image *i = take(0);
    struct buf b;
    buf_init(&b, WORDS * 16);
    slow_us = 20 * whole_ms; /* all of it takes seven times as long as it may */
    image_limits(i, 600000, whole_ms);
    assert_int_equal(image_read(i, slowly, &b), -ETIMEDOUT);
    size_t n = b.len;
    image_free(i);
    nobody_is_left();
    buf_done(&b);
    return n;
}

/* It is the disk that is slow: the child's pages are there twice all the same. */
static void so_is_one_that_is_read_slowly(void **state)
{
    (void)state;
    size_t n = 0;
    for (unsigned whole_ms = 1000; n == 0 && whole_ms < 60000; whole_ms *= 4) /* as above */
        n = read_slowly(whole_ms);
    assert_true(n > 0 && n < WORDS * sizeof(*words));
}

static int save_without_end(const void *what, image_put_fn *put, void *ctx)
{
    int r = 0;
    while (r == 0)
        r = put(ctx, what, 1 << 20);
    return r;
}

/* Neither a process nor memory: said, and nothing is left behind. In a process of its own, because
 * its memory is to be short. */
static void with_neither(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    int status;
    pid_t pid = __real_fork();
    if (pid == 0) {
        struct image *i = NULL;
        int why = 0;
        struct rlimit none = {1 << 20, 1 << 20}; /* what is mapped already stays */
        fork_fails = ENOMEM;
        if (setrlimit(RLIMIT_AS, &none) != 0)
            _exit(2);
        _exit(image_take(save_without_end, words, &why, &i) == -ENOMEM && !i ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* -- the parent's things ---------------------------------------------------------------------- */

/* Its lock is its own: let go of, or with it gone, the next one gets it while the child lives. */
static void has_nothing_of_the_parent(void **state)
{
    (void)state;
    char dir[128], path[160];
    scratch_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    int fd = lock_take(path);
    assert_true(fd >= 0);
    struct image *i = take(0);
    /* once a byte has come it has let go; the rest does not fit into the pipe, so it lives */
    assert_int_equal(image_read(i, refuse, NULL), -ENOSPC);
    lock_release(fd);
    fd = lock_take(path);
    assert_true(fd >= 0);
    lock_release(fd);
    image_free(i);
    scratch_remove(dir);
}

static int save_pid_and_wait(const void *what, image_put_fn *put, void *ctx)
{
    (void)what;
    pid_t me = getpid();
    int r = put(ctx, &me, sizeof(me));
    for (;;)
        (void)pause();
    return r;
}

static int tell_pid_and_die(void *ctx, const void *p, size_t n)
{
    assert_true(write(*(int *)ctx, p, n) == (ssize_t)n);
    (void)raise(SIGKILL);
    return 0;
}

static void dies_with_the_parent(void **state)
{
    (void)state;
    int ends[2], status;
    pid_t grandchild = 0;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans become ours */
    assert_int_equal(pipe(ends), 0);
    pid_t child = __real_fork();
    if (child == 0) {
        struct image *i = NULL;
        int why;
        if (image_take(save_pid_and_wait, NULL, &why, &i) == 0)
            (void)image_read(i, tell_pid_and_die, &ends[1]);
        _exit(1);
    }
    assert_true(read(ends[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(waitpid(grandchild, &status, 0), grandchild);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static volatile sig_atomic_t handled;

static void handle(int sig)
{
    (void)sig;
    handled++;
}

static int save_under_signals(const void *what, image_put_fn *put, void *ctx)
{
    (void)what;
    (void)raise(SIGTERM);
    int n = handled;
    return put(ctx, &n, sizeof(n));
}

/* systemd stops all processes of a unit with SIGTERM: the snapshot goes on, the handlers of the
 * parent do not run here. */
static void takes_no_signals(void **state)
{
    (void)state;
    struct image *i = NULL;
    struct buf b;
    int why, n = 1;
    sigset_t mask;
    handled = 0;
    (void)signal(SIGTERM, handle);
    buf_init(&b, 64);
    assert_int_equal(image_take(save_under_signals, NULL, &why, &i), 0);
    assert_int_equal(image_read(i, keep, &b), 0);
    memcpy(&n, b.data, sizeof(n));
    assert_int_equal(n, 0);
    (void)raise(SIGTERM); /* ours are as they were */
    assert_int_equal(handled, 1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
    (void)signal(SIGTERM, SIG_DFL);
    image_free(i);
    buf_done(&b);
}

/* Of the range that holds `p`, in KiB; -1 where the system does not say. */
static long in_smaps(const void *p, const char *what)
{
    char line[512];
    bool here = false;
    long kib = -1;
    FILE *f = fopen("/proc/self/smaps", "re");
    while (f && kib < 0 && fgets(line, sizeof(line), f)) {
        uintptr_t from, to;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            here = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (here && strncmp(line, what, strlen(what)) == 0)
            kib = strtol(line + strlen(what), NULL, 10);
    }
    if (f)
        (void)fclose(f);
    return kib;
}

#define RANGE ((size_t)32 << 20)
/* Kept apart from its neighbours: adjacent ranges are one to the kernel. */
static unsigned char *range(void)
{
    unsigned char *p = mmap(NULL, RANGE + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    assert_int_equal(mprotect(p + 4096, RANGE, PROT_READ | PROT_WRITE), 0);
    return p + 4096;
}

static void fill(unsigned char *p, size_t step)
{
    for (size_t at = 0; at < RANGE; at += step)
        p[at] = (unsigned char)(at / 4096 % 251 + 1);
}

static atomic_bool never; /* stops */

/* In small pages, however the system makes them by itself. */
static unsigned char *small(size_t step)
{
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    unsigned char *p = range();
    fill(p, step);
    (void)prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
    return p;
}

static void give_back(unsigned char *p)
{
    (void)munmap(p - 4096, RANGE + 8192);
}

/* Are there large pages here, enough of them, and may they be taken? */
static void needs_large_pages(void)
{
    char word[128] = "[never]";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    unsigned char *p = small(4096);
    uintptr_t at = ((uintptr_t)p + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1);
    bool can = f && fgets(word, sizeof(word), f) && !strstr(word, "[never]") &&
               madvise((void *)at, 2 << 20, 25 /* MADV_COLLAPSE */) == 0 &&
               in_smaps(p, "AnonHugePages:") == 2048;
    if (f)
        (void)fclose(f);
    give_back(p);
    if (!can)
        skip();
}

/* Changes no byte; what is nearly all there is in large pages behind it, what is mostly not there takes no
 * more memory than before, be it that it was read. */
static void gathers_what_is_there(void **state)
{
    (void)state;
    needs_large_pages();
    unsigned char *full = small(4096), *thin = small(4096 * 2), *looked_at = small(2 << 20);
    unsigned sum = 0;
    for (size_t at = 0; at < RANGE; at += 4096)
        sum += looked_at[at];
    assert_int_not_equal(sum, 0);
    long before = in_smaps(thin, "Rss:"), written = in_smaps(looked_at, "Rss:");
    assert_int_equal(in_smaps(full, "AnonHugePages:"), 0);
    image_gather(&never);
    for (size_t at = 0; at < RANGE; at += 4096)
        assert_int_equal(full[at], at / 4096 % 251 + 1);
    assert_true(in_smaps(full, "AnonHugePages:") >= (long)(RANGE >> 10) - 4096);
    assert_int_equal(in_smaps(thin, "Rss:"), before);
    assert_int_equal(in_smaps(looked_at, "Rss:"), written);
    give_back(full);
    give_back(thin);
    give_back(looked_at);
}

static int save_for_long(const void *what, image_put_fn *put, void *ctx)
{
    int r = put(ctx, what, 1);
    (void)usleep(20000000); /* until it is ended */
    return r;
}

/* While an image has the pages, a large one would be a copy of them. */
static void leaves_alone_what_an_image_has(void **state)
{
    (void)state;
    needs_large_pages();
    unsigned char *p = small(4096);
    struct image *i = NULL;
    int why = 1;
    assert_int_equal(image_take(save_for_long, p, &why, &i), 0);
    assert_int_equal(why, 0);
    image_gather(&never);
    assert_int_equal(in_smaps(p, "AnonHugePages:"), 0);
    image_free(i);
    image_gather(&never);
    assert_int_not_equal(in_smaps(p, "AnonHugePages:"), 0);
    give_back(p);
}

static void stops_when_told(void **state)
{
    (void)state;
    needs_large_pages();
    atomic_bool stop = true;
    unsigned char *p = small(4096);
    image_gather(&stop);
    assert_int_equal(in_smaps(p, "AnonHugePages:"), 0);
    give_back(p);
}

/* Beside a thread that writes into what is moved. */
static void *write_on(void *ctx)
{
    unsigned char *p = ctx;
    bool good = true;
    for (unsigned round = 1; round <= 40; round++)
        for (size_t at = 0; at < RANGE; at += 4096) {
            good &= p[at + 64] == (unsigned char)(round - 1);
            p[at + 64] = (unsigned char)round;
        }
    return good ? p : NULL;
}

static void gathers_beside_a_writer(void **state)
{
    (void)state;
    needs_large_pages();
    unsigned char *p = small(4096);
    void *good = NULL;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, write_on, p), 0);
    for (int i = 0; i < 10; i++) {
        image_gather(&never);
        (void)mprotect(p + RANGE / 2, 4096,
                       PROT_READ | PROT_WRITE | (i % 2 ? PROT_EXEC : 0)); /* splits one */
    }
    (void)pthread_join(t, &good);
    assert_ptr_equal(good, p);
    for (size_t at = 0; at < RANGE; at += 4096)
        assert_int_equal(p[at], at / 4096 % 251 + 1);
    assert_int_not_equal(in_smaps(p, "AnonHugePages:"), 0);
    give_back(p);
}

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

static void pays_for_large_ones_only(void **state)
{
    (void)state;
    size_t n = (size_t)160 << 20;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                         \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer)
    assert_false(image_gather_pays());
#endif
    unsigned char *p = mem_zalloc(n);
    for (size_t at = 0; at < n; at += 4096)
        p[at] = 1;
    assert_true(image_gather_pays());
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stands_still),
        cmocka_unit_test(among_threads),
        cmocka_unit_test(without_a_process),
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(a_slow_one_is_given_up),
        cmocka_unit_test(so_is_one_that_is_read_slowly),
        cmocka_unit_test(with_neither),
        cmocka_unit_test(has_nothing_of_the_parent),
        cmocka_unit_test(dies_with_the_parent),
        cmocka_unit_test(takes_no_signals),
        cmocka_unit_test(gathers_what_is_there),
        cmocka_unit_test(leaves_alone_what_an_image_has),
        cmocka_unit_test(stops_when_told),
        cmocka_unit_test(gathers_beside_a_writer),
        cmocka_unit_test(pays_for_large_ones_only),
        cmocka_unit_test(the_copying_hurries),
    };
    words = mem_zalloc_array(WORDS, sizeof(*words));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(words);
    return failed;
}
