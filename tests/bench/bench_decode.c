/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages decoded and each value judged — as the engine does before it makes points — against
 * the parsing of their JSON alone, by the same parser: medians of many short rounds in turns,
 * nanoseconds of this thread's CPU.
 *
 *   bench_decode CATALOG PROFILE.yaml…     (chirpstack-v4 with its codecs must be among them)
 *
 * The profiles are the shipped ones, with all that they know of. Ends with a line of JSON.
 */
#include "base/mem.h"
#include "core/json.h"
#include "core/judge.h"
#include "core/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 91
#define N      1000

#define HEAD                                                                                   \
    "{\"deduplicationId\":\"3ac7e3c4-4401-4b8d-9386-a5c902f9202d\",\"time\":"                  \
    "\"2026-07-18T09:34:15.775+00:00\",\"deviceInfo\":{\"tenantId\":"                          \
    "\"52f14cd4-c6f1-4fbd-8f87-4025e1d49242\",\"tenantName\":\"Renovation\","                  \
    "\"applicationId\":\"17c82e96-be03-4f38-aef3-f83d48582d97\",\"applicationName\":"          \
    "\"drains\",\"deviceProfileId\":\"14855bf7-d10d-4aee-b618-ebfcb64dc7ad\","                 \
    "\"deviceProfileName\":\"climate\",\"deviceName\":\"yard 17\",\"devEui\":"                 \
    "\"24e124136b502217\",\"deviceClassEnabled\":\"CLASS_A\",\"tags\":{\"building\":\"7\","    \
    "\"room\":\"B1\"}},\"devAddr\":\"00189440\",\"adr\":true,\"dr\":1,\"fCnt\":1234,"          \
    "\"confirmed\":false,"
#define TAIL                                                                                   \
    "\"rxInfo\":[{\"gatewayId\":\"0016c001f153a14c\",\"uplinkId\":4217106255,\"nsTime\":"      \
    "\"2026-07-18T09:34:15.775023242+00:00\",\"timeSinceGpsEpoch\":\"1468402473.775s\","       \
    "\"rssi\":-36,\"snr\":10.5,\"channel\":2,\"rfChain\":1,\"location\":{\"latitude\":29.55,"  \
    "\"longitude\":106.57},\"context\":\"E3OWOQ==\",\"metadata\":{\"region_name\":"            \
    "\"cn470_10\",\"region_common_name\":\"CN470\"},\"crcStatus\":\"CRC_OK\"},"                \
    "{\"gatewayId\":\"0016c001f153a150\",\"uplinkId\":4217106256,\"rssi\":-91,\"snr\":3.25,"   \
    "\"channel\":2,\"context\":\"E3OWOR==\",\"metadata\":{\"region_name\":\"cn470_10\"},"      \
    "\"crcStatus\":\"CRC_OK\"}],\"txInfo\":{\"frequency\":486300000,\"modulation\":{"          \
    "\"lora\":{\"bandwidth\":125000,\"spreadingFactor\":11,\"codeRate\":\"CR_4_5\"}}},"        \
    "\"regionConfigId\":\"cn470_10\"}"

static const char native[] =
    "{\"ts\":1795219200000,\"level\":0.83,\"battery_pct\":87.5,\"pump_on\":true,"
    "\"report_seq\":1042,\"current\":3.27}";
static const char with_object[] =
    HEAD "\"fPort\":10,\"data\":\"AQIDBAUGBwg=\",\"object\":{\"temperature\":28.1,\"humidity\":"
         "58.0,\"battery\":97,\"pm25\":35,\"pm10\":48,\"noise\":51.5}," TAIL;
static const char with_bytes[] = HEAD "\"fPort\":85,\"data\":\"AXVcA2c0AQRoZQ==\"," TAIL;

struct work {
    const char *name, *text;
    const char *kind_name;
    const struct profile *profile; /* NULL: the native one */
    size_t values;                 /* that must come out good */
    const struct kind *kind;
    char payload[4096];
    size_t len;
    double parse[ROUNDS], all[ROUNDS];
};

static const char topic[] = "application/17c82e96/device/24e124136b502217/event/up";
static struct catalog *catalog;
static struct profile_run *run;
static struct json *json;
static struct decoded out;
static struct topic_match match;

static bool is_good(const struct work *w, const struct decoded_value *v,
                    struct judge_room *room)
{
    struct field f;
    enum quality quality;
    enum quality_reason reason;
    const struct profile_metric *way = v->from ? profile_metric(v, w->kind) : NULL;
    const struct metric *m = v->from ? (way ? way->metric : NULL)
                                     : catalog_metric(catalog, w->kind, v->key, v->key_len);
    double min, max;
    if (!m)
        return false;
    judge_range(m, &min, &max);
    if ((!way || way->same) && judge_plain(v, m, min, max, &f))
        return true;
    struct profile_metric as_is = judge_as_is(m);
    return judge_field(v, way ? way : &as_is, min, max, room, &f, &quality, &reason) &&
           quality == QUALITY_GOOD;
}

static size_t take(struct work *w)
{
    struct judge_room room;
    struct profile_verdict v;
    const char *why;
    size_t good = 0;
    room.n = 0;
    const struct profile_input in = {.topic = topic,
                                     .topic_len = sizeof(topic) - 1,
                                     .match = &match,
                                     .payload = w->payload,
                                     .len = w->len,
                                     .received_ms = 1795219200000};
    if (w->profile)
        profile_decode(w->profile, run, &in, &out, &v);
    else if (native_decode(json, w->payload, w->len, &out, &why) < 0)
        abort();
    for (size_t i = 0; i < out.n_values; i++)
        good += is_good(w, &out.values[i], &room);
    return good;
}

static double round_of(struct work *w, bool all)
{
    struct timespec a, b;
    struct json_value root;
    const char *why;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    for (int i = 0; i < N; i++)
        if (all ? take(w) != w->values : json_parse(json, w->payload, w->len, &root, &why) < 0)
            abort();
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / N;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static char *read_file(const char *path, size_t *out_len)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(66);
    }
    char *p = mem_zalloc(4u << 20);
    *out_len = fread(p, 1, 4u << 20, f);
    fclose(f);
    return p;
}

static struct profile_set *open_all(int n, char **paths)
{
    struct problems *p = problems_new(20);
    struct profile_set *s = NULL;
    size_t len;
    char *text = read_file(paths[0], &len);
    struct profile_text *files = mem_zalloc_array((size_t)n, sizeof(*files));
    for (int i = 1; i < n; i++) {
        files[i - 1].file = paths[i];
        files[i - 1].text = read_file(paths[i], &files[i - 1].len);
    }
    if (catalog_parse(text, len, paths[0], p, &catalog) == 0)
        (void)profile_set_open(files, (size_t)n - 1, catalog, NULL, p, &s);
    for (size_t i = 0; i < problems_count(p); i++)
        fprintf(stderr, "%s\n", problems_get(p, i));
    problems_free(p);
    for (int i = 0; i < n - 1; i++)
        free((char *)files[i].text);
    free(files);
    free(text);
    return s;
}

int main(int argc, char **argv)
{
    static struct work works[] = {
        {"native", native, "sump", NULL, 5, NULL, {0}, 0, {0}, {0}},
        {"object", with_object, "environment", NULL, 9, NULL, {0}, 0, {0}, {0}},
        {"milesight", with_bytes, "environment", NULL, 6, NULL, {0}, 0, {0}, {0}},
    };
    const char *why;
    struct topic_pattern *pattern;
    struct profile_set *set = argc > 2 ? open_all(argc - 1, argv + 1) : NULL;
    const struct profile *chirpstack = set ? profile_find(set, "chirpstack-v4") : NULL;
    if (!chirpstack || topic_compile(profile_topic(chirpstack, 0), &pattern, &why) < 0 ||
        !topic_matches(pattern, topic, sizeof(topic) - 1, &match))
        return 64;
    run = profile_run_new(1 << 20);
    json = json_new(1 << 20);
    for (size_t i = 0; i < 3; i++) {
        struct work *w = &works[i];
        w->profile = i ? chirpstack : NULL;
        w->kind = catalog_kind(catalog, w->kind_name, strlen(w->kind_name));
        w->len = strlen(w->text);
        memcpy(w->payload, w->text, w->len);
        if (take(w) != w->values) {
            fprintf(stderr, "%s: %zu good values, expected %zu\n", w->name, take(w), w->values);
            return 1;
        }
    }
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < 3; i++) {
            works[i].parse[round] = round_of(&works[i], false);
            works[i].all[round] = round_of(&works[i], true);
        }
    for (size_t i = 0; i < 3; i++) {
        qsort(works[i].parse, ROUNDS, sizeof(double), by_size);
        qsort(works[i].all, ROUNDS, sizeof(double), by_size);
    }
    for (size_t i = 0; i < 3; i++) {
        const struct work *w = &works[i];
        double parse = w->parse[ROUNDS / 2], all = w->all[ROUNDS / 2];
        printf("%s\"%s\":{\"bytes\":%zu,\"values\":%zu,\"parse_ns\":%.0f,\"all_ns\":%.0f,"
               "\"ratio\":%.3f}",
               i ? "," : "{", w->name, w->len, w->values, parse, all, all / parse);
    }
    puts("}");
    topic_free(pattern);
    profile_run_free(run);
    json_free(json);
    decoded_done(&out);
    profile_set_free(set);
    catalog_free(catalog);
    return 0;
}
