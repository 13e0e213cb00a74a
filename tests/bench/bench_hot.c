/* SPDX-License-Identifier: Apache-2.0 */
/* What the words of the message's path cost, in nanoseconds of this thread's CPU: the median of
 * nine interleaved rounds. */
#include "core/decode.h"
#include "core/json.h"
#include "core/lineproto.h"
#include "base/num.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 9
#define N      200000

static struct json *json;
static struct decoded decoded;
static struct buf out;
static struct field fields[5];
static uint64_t sink;

static const char message[] =
    "{\"ts\":1795219200000,\"level\":0.83,\"flow\":12.5,\"pump_on\":true,"
    "\"starts\":1042,\"current\":3.27}"
    "                                                                ";

static void run_parse(int i)
{
    struct json_value root;
    const char *why;
    (void)i;
    sink +=
        (uint64_t)json_parse(json, message, sizeof(message) - 1 - JSON_PADDING, &root, &why);
}

static void run_decode(int i)
{
    const char *why;
    (void)i;
    sink += (uint64_t)native_decode(json, message, sizeof(message) - 1 - JSON_PADDING, &decoded,
                                    &why);
    sink += decoded.n_values;
}

static void run_line(int i)
{
    static const char series[] = "sump,building=b03,compound=cq-nanan-0017,device=sump-000123";
    struct lineproto_refused refused = {0};
    struct point p = {.series = series,
                      .series_len = sizeof(series) - 1,
                      .fields = fields,
                      .n_fields = 5,
                      .time_ms = 1795219200000 + i};
    if (out.len > 1 << 20)
        buf_clear(&out);
    sink += (uint64_t)lineproto_put(&out, LINEPROTO_INFLUX, &p, &refused);
}

static void run_decimal(int i)
{
    char text[NUM_MAX];
    sink += num_put_double(text, (double)i / 1000);
}

static void run_any(int i)
{
    char text[NUM_MAX];
    sink += num_put_double(text, (double)i * 1.0000000000000002 / 3);
}

static void run_printf(int i)
{
    char text[64];
    sink += (uint64_t)snprintf(text, sizeof(text), "%.17g", (double)i / 1000);
}

static void run_get(int i)
{
    double v = 0;
    (void)i;
    sink += (uint64_t)num_get_double("123.456", 7, &v);
}

static const struct {
    const char *name;
    void (*run)(int i);
} works[] = {
    {"json_parse, 104 bytes, 6 members", run_parse},
    {"native_decode of the same (parse included)", run_decode},
    {"lineproto_put, 5 fields", run_line},
    {"num_put_double, 3 decimals", run_decimal},
    {"num_put_double, 17 digits", run_any},
    {"snprintf %.17g, for comparison", run_printf},
    {"num_get_double, 7 bytes", run_get},
};
#define WORKS (sizeof(works) / sizeof(*works))

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int main(void)
{
    json = json_new(1 << 20);
    buf_init(&out, 2 << 20);
    const char *why = "";
    if (native_decode(json, message, sizeof(message) - 1 - JSON_PADDING, &decoded, &why) < 0) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    static const char *const names[] = {"level", "flow", "pump_on", "starts", "current"};
    for (size_t i = 0; i < 5; i++)
        fields[i] = (struct field){
            .key = names[i], .key_len = strlen(names[i]), .v = decoded.values[i].v};
    static double ns[WORKS][ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t w = 0; w < WORKS; w++) {
            double start = cpu_ns();
            for (int i = 0; i < N; i++)
                works[w].run(i);
            ns[w][round] = (cpu_ns() - start) / N;
        }
    }
    printf("%-46s %8s %8s\n", "ns per operation", "median", "best");
    for (size_t w = 0; w < WORKS; w++) {
        qsort(ns[w], ROUNDS, sizeof(double), by_size);
        printf("%-46s %8.1f %8.1f\n", works[w].name, ns[w][ROUNDS / 2], ns[w][0]);
    }
    json_free(json);
    decoded_done(&decoded);
    buf_done(&out);
    return sink == 0;
}
