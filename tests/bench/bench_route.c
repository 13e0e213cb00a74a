/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What finding a topic's source costs among 10,000 filters and among 10, in nanoseconds of this
 * thread's CPU: the median of nine interleaved rounds. Both are asked for the topics of the
 * same ten sources, and the ten thousand for topics of all of them, too.
 */
#include "base/mem.h"
#include "core/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 9
#define N      200000
#define MANY   10000
#define FEW    10

static const char *const shapes[] = {
    "application/site-%d/device/{eui}/event/up",
    "v1/devices/%d/{device}/telemetry",
    "spBv1.0/plant-%d/{type}/{node}/{device}",
    "/sys/{product}/firm%d/thing/event/property/post",
    "tele/%d/{device}/SENSOR",
};

struct set {
    struct route *route;
    char **topics;
    struct topic_pattern **patterns;
    int n;
};

static struct set set_new(int n)
{
    struct set s = {route_new(), mem_zalloc_array((size_t)n, sizeof(char *)),
                    mem_zalloc_array((size_t)n, sizeof(struct topic_pattern *)), n};
    for (int i = 0; i < n; i++) {
        const char *shape = shapes[i % 5], *number = strstr(shape, "%d"), *why = "";
        char *pattern = mem_printf("%.*s%d%s", (int)(number - shape), shape, i, number + 2);
        if (topic_compile(pattern, &s.patterns[i], &why) != 0)
            abort();
        route_add(s.route, s.patterns[i], (uint32_t)i);
        /* A topic that fits: each capture is some word. */
        char *topic = mem_zalloc(strlen(pattern) + 1), *to = topic;
        for (const char *p = pattern; *p; p++)
            if (*p != '{' && *p != '}')
                *to++ = *p;
        s.topics[i] = topic;
        free(pattern);
    }
    return s;
}

static void set_free(struct set *s)
{
    route_free(s->route);
    for (int i = 0; i < s->n; i++) {
        free(s->topics[i]);
        topic_free(s->patterns[i]);
    }
    free(s->topics);
    free(s->patterns);
}

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double run(const struct set *s, int topics, uint64_t *sink)
{
    uint32_t hits[ROUTE_MAX_HITS];
    double start = cpu_ns();
    for (unsigned i = 0; i < N; i++) {
        const char *t = s->topics[i * 7919u % (unsigned)topics];
        /* A message's topic has just come from the network: it is in the cache. */
        __builtin_prefetch(s->topics[(i + 8) * 7919u % (unsigned)topics]);
        if (route_find(s->route, t, strlen(t), hits) != 1)
            abort();
        *sink += hits[0];
    }
    return (cpu_ns() - start) / N;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int main(void)
{
    struct set few = set_new(FEW), many = set_new(MANY);
    static double ns[3][ROUNDS];
    uint64_t sink = 0;
    for (int round = 0; round < ROUNDS; round++) {
        ns[0][round] = run(&few, FEW, &sink);
        ns[1][round] = run(&many, FEW, &sink);
        ns[2][round] = run(&many, MANY, &sink);
    }
    static const char *const names[] = {"topic -> source among 10",
                                        "among 10,000, the same topics",
                                        "among 10,000, topics of all"};
    printf("%-46s %8s %8s\n", "ns per operation", "median", "best");
    for (int i = 0; i < 3; i++) {
        qsort(ns[i], ROUNDS, sizeof(double), by_size);
        printf("%-46s %8.1f %8.1f\n", names[i], ns[i][ROUNDS / 2], ns[i][0]);
    }
    double same = ns[1][ROUNDS / 2] / ns[0][ROUNDS / 2],
           all = ns[2][ROUNDS / 2] / ns[0][ROUNDS / 2];
    printf("ratio, the same topics: %.2f (goal 1.50); topics of all: %.2f\n", same, all);
    set_free(&few);
    set_free(&many);
    return sink == 0;
}
