/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What evaluating conditions costs, in nanoseconds of this thread's CPU: the median of nine
 * interleaved rounds.
 */
#include "base/mem.h"
#include "core/expr.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 9
#define N      400000
#define S      UINT64_C(1000000000)

static const char catalogue[] =
    "version: 1\n"
    "kinds:\n"
    "  sump:\n"
    "    zh: 集水井\n"
    "    en: Sump\n"
    "    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      flow: {type: float, unit: m3/h, min: 0, max: 100, zh: 流量, en: Flow}\n"
    "      pump_on: {type: bool, zh: 泵, en: Pump}\n"
    "      state: {type: enum, zh: 态, en: State, codes: [{code: 0, name: shut, zh: 关, en: "
    "Shut}, {code: 1, name: open, zh: 开, en: Open}]}\n";

static const struct {
    const char *name, *texts[4]; /* evaluated one after the other, each sample */
} cases[] = {
    {"level > 0.8 m", {"level > 0.8 m"}},
    {"pump_on and level > 0.8 m", {"pump_on and level > 0.8 m"}},
    {"flow / 2 > 3 L/s or state == open", {"flow / 2 > 3 L/s or state == open"}},
    {"avg(level, 10m) > 1 m, full window", {"avg(level, 10m) > 1 m"}},
    {"delta(level, 10m) and max(level, 1h)",
     {"delta(level, 10m) > -0.02 m or max(level, 1h) > 3 m"}},
    {"four plain rules a sample",
     {"level > 0.8 m", "level > 1.2 m", "flow > 50 m3/h", "pump_on and level > 0.6 m"}},
};

static double cpu(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint64_t seen[3]; /* so that nothing is left out as unused */

static double round_of(struct expr *const x[4], struct expr_state *const s[4], uint64_t *now)
{
    struct expr_last last[4] = {{0.5, 1}, {20, 1}, {1, 1}, {0, 1}};
    struct expr_env env = {.since_ns = 1, .last = last};
    double begin = cpu();
    for (unsigned i = 0; i < N; i++) {
        last[0].v = (double)(i & 15) * 0.1;
        *now += S;
        env.now_ns = *now;
        for (int k = 0; k < 4 && x[k]; k++) {
            if (s[k])
                expr_feed(x[k], s[k], 0, last[0].v, *now);
            seen[expr_eval(x[k], s[k], &env)]++;
        }
    }
    return (cpu() - begin) / N;
}

int main(void)
{
    enum { CASES = sizeof(cases) / sizeof(*cases) };
    struct problems *problems = problems_new(10);
    struct catalog *catalog;
    if (catalog_parse(catalogue, strlen(catalogue), "catalog.yaml", problems, &catalog) != 0)
        abort();
    struct expr_scope scope = {.catalog = catalog, .kind = catalog_kind(catalog, "sump", 4)};
    struct expr *x[CASES][4] = {0};
    struct expr_state *s[CASES][4] = {0};
    double took[CASES][ROUNDS];
    uint64_t now = 1000 * S;
    for (int c = 0; c < CASES; c++)
        for (int k = 0; k < 4 && cases[c].texts[k]; k++) {
            struct expr_error e;
            if (expr_compile(cases[c].texts[k], strlen(cases[c].texts[k]), &scope, &e,
                             &x[c][k]) != 0) {
                (void)fprintf(stderr, "%s: %s\n", cases[c].texts[k], e.text);
                return 1;
            }
            const struct expr_input *in;
            for (unsigned i = 0; i < expr_inputs(x[c][k], &in); i++)
                expr_bind(x[c][k], i, in[i].metric->index);
            s[c][k] = expr_state_new(x[c][k]);
        }
    for (int r = 0; r < ROUNDS; r++)
        for (int c = 0; c < CASES; c++)
            took[c][r] = round_of(x[c], s[c], &now);
    for (int c = 0; c < CASES; c++) {
        qsort(took[c], ROUNDS, sizeof(double), by_value);
        printf("%-40s %7.1f ns  %6.2f M/s\n", cases[c].name, took[c][ROUNDS / 2],
               1e3 / took[c][ROUNDS / 2]);
        for (int k = 0; k < 4; k++) {
            expr_state_free(s[c][k]);
            expr_free(x[c][k]);
        }
    }
    printf("%llu true\n", (unsigned long long)seen[EXPR_TRUE]);
    catalog_free(catalog);
    problems_free(problems);
    return 0;
}
