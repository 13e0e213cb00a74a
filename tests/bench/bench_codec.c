/* SPDX-License-Identifier: Apache-2.0 */
/* A sensor's TLV in base64 in a network server's JSON, against the JSON's parse alone: the
 * median of nine interleaved rounds, nanoseconds of this thread's CPU. */
#include "base/buf.h"
#include "core/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 9
#define N      50000

static struct codec_set *set;
static struct codec_chain *tlv, *plain;
static struct codec_run *run;
static struct json *json;
static uint64_t sink;

static const char message[] =
    "{\"applicationID\":1,\"applicationName\":\"cloud\",\"data\":\"AXVcA2c0AQRoZQ==\","
    "\"devEUI\":\"24e124136b502217\",\"deviceName\":\"EM300-TH\",\"fCnt\":1042,\"fPort\":85,"
    "\"rxInfo\":[{\"altitude\":0,\"latitude\":0,\"loRaSNR\":13.8,\"longitude\":0,"
    "\"mac\":\"24e124fffef5d7a1\",\"name\":\"Local Gateway\",\"rssi\":-54,"
    "\"time\":\"2026-11-20T08:00:00.123456Z\"}],\"time\":\"2026-11-20T08:00:00.123456Z\","
    "\"txInfo\":{\"adr\":true,\"codeRate\":\"4/5\",\"dataRate\":{\"bandwidth\":125,"
    "\"modulation\":\"LORA\",\"spreadFactor\":7},\"frequency\":868300000}}"
    "                                                                ";
enum { LEN = sizeof(message) - 1 - JSON_PADDING };

static struct codec_chain *chain_of(const char *text, struct arena *a, struct conf_notes *notes)
{
    struct yaml_node *root = yaml_parse(text, strlen(text), a, notes);
    struct codec_chain *c = root ? codec_chain_parse(set, root->first, notes) : NULL;
    if (!c)
        abort();
    return c;
}

static void set_up(void)
{
    struct arena a;
    struct conf_notes notes = {0};
    struct problems *p = problems_new(10);
    struct buf b;
    set = codec_set_new();
    arena_init(&a, 16 << 20);
    buf_init(&b, 1 << 20);
    (void)buf_puts(&b, "m:\n  tlv:\n    key: [u8, u8]\n    items:\n");
    for (int i = 0; i < 300; i++) /* as many as a vendor's whole range of sensors has */
        (void)buf_printf(&b, "      - {key: [%d, 0x%x], name: filler_%d, type: u8}\n",
                         10 + i % 30, i / 30, i);
    (void)buf_puts(&b,
                   "      - {key: [0x01, 0x75], name: battery, type: u8}\n"
                   "      - {key: [0x03, 0x67], name: temperature, type: i16le, divide: 10}\n"
                   "      - {key: [0x04, 0x68], name: humidity, type: u8, divide: 2}\n");
    struct yaml_node *root = yaml_parse(b.data, b.len, &a, &notes);
    if (!root || codec_set_add(set, root, "m", &notes) < 0 || codec_set_settle(set, p) < 0)
        abort();
    tlv = chain_of("decode: [base64, m]\n", &a, &notes);
    plain = chain_of("decode: json\n", &a, &notes);
    run = codec_run_new(1 << 20);
    json = json_new(1 << 20);
    buf_done(&b);
    problems_free(p);
    arena_done(&a);
}

static void run_parse(void)
{
    struct json_value root;
    const char *why;
    sink += (uint64_t)json_parse(json, message, LEN, &root, &why);
}

static void run_chain(void)
{
    struct json_value root, data, frame, v;
    struct codec_fault f;
    size_t n;
    codec_run_clear(run);
    if (codec_chain_run(plain, run, message, LEN, &root, &f) < 0 ||
        !json_member(root, "data", &data))
        abort();
    const char *p = json_text(data, &n);
    if (codec_chain_run(tlv, run, p, n, &frame, &f) < 0 ||
        !json_member(frame, "temperature", &v))
        abort();
    sink += (uint64_t)json_double(v);
    if (json_member(frame, "humidity", &v))
        sink += (uint64_t)json_double(v);
}

static double round_of(void (*fn)(void))
{
    struct timespec a, b;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    for (int i = 0; i < N; i++)
        fn();
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / N;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int main(void)
{
    double parse[ROUNDS], chain[ROUNDS];
    set_up();
    for (int i = 0; i < ROUNDS; i++) {
        parse[i] = round_of(run_parse);
        chain[i] = round_of(run_chain);
    }
    qsort(parse, ROUNDS, sizeof(double), by_size);
    qsort(chain, ROUNDS, sizeof(double), by_size);
    printf("%-50s %8.0f ns\n", "json_parse, 600 bytes", parse[ROUNDS / 2]);
    printf("%-50s %8.0f ns  %.2f\n", "the same, base64 and tlv of 3 records in it",
           chain[ROUNDS / 2], chain[ROUNDS / 2] / parse[ROUNDS / 2]);
    codec_run_free(run);
    codec_set_free(set);
    json_free(json);
    return sink == 0;
}
