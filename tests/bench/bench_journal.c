/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_journal N — what appending costs: N records of 250 bytes into a journal whose segments
 * are mapped and into one that is written with write(), in turns, each seven times; CPU of the
 * whole process, as another thread syncs every 200 ms and makes the segments. One line of JSON
 * with the medians in microseconds a record.
 */
#include "base/mem.h"
#include "io/journal.h"

#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS  7
#define SYNC_US 200000

static atomic_int over;

static double cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void *keeper(void *ctx)
{
    struct journal *j = ctx;
    uint64_t at = 0;
    while (!atomic_load(&over)) {
        struct timespec nap = {.tv_nsec = 5000000};
        (void)nanosleep(&nap, NULL);
        if (journal_wants_prepare(j))
            (void)journal_prepare(j);
        if (++at % (SYNC_US / 5000) == 0)
            (void)journal_sync(j);
    }
    return NULL;
}

static double one(const char *dir, enum journal_copy copy, long n)
{
    struct journal_options o = {.dir = dir,
                                .max_bytes = (uint64_t)4 << 30,
                                .segment_bytes = (uint64_t)64 << 20,
                                .sync = CONF_SYNC_INTERVAL,
                                .copy = copy};
    struct journal_recovery rec;
    struct journal *j = NULL;
    struct err err = {0};
    char body[170];
    pthread_t t;
    memset(body, '7', sizeof(body));
    if (journal_open(&o, &err, &rec, &j) != 0)
        exit(74);
    atomic_store(&over, 0);
    if (pthread_create(&t, NULL, keeper, j) != 0)
        exit(71);
    double from = cpu_us();
    for (long i = 0; i < n; i++) {
        struct record r = {.type = RECORD_MESSAGE,
                           .topic = "gaihou/v1/up/cq-nanan-0001/sump-01",
                           .topic_len = 34,
                           .body = body,
                           .body_len = sizeof(body)};
        uint64_t end;
        if (journal_append(j, &r, &end) != 0)
            exit(74);
    }
    double took = (cpu_us() - from) / (double)n;
    atomic_store(&over, 1);
    (void)pthread_join(t, NULL);
    (void)journal_close(j);
    return took;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    (void)remove(path);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? (long)strtod(argv[1], NULL) : 200000;
    char top[] = "/var/tmp/gaihou-bench-XXXXXX";
    double us[2][ROUNDS];
    if (n <= 0 || !mkdtemp(top))
        return 64;
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < 2; k++) {
            char *dir = mem_printf("%s/%d-%d", top, i, k);
            us[k][i] = one(dir, k == 0 ? JOURNAL_COPY_MAP : JOURNAL_COPY_WRITE, n);
            (void)nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS);
            free(dir);
        }
    }
    (void)rmdir(top);
    for (int k = 0; k < 2; k++)
        qsort(us[k], ROUNDS, sizeof(double), by_size);
    printf("{\"mapped_us\":%.4f,\"written_us\":%.4f,\"records\":%ld,\"runs\":%d}\n",
           us[0][ROUNDS / 2], us[1][ROUNDS / 2], n, ROUNDS);
    return 0;
}
