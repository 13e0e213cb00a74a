/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "city/city.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "city — the simulated city\n"
    "\n"
    "  city registry --out DIR [--seed S] [--compounds N] [--devices M]\n"
    "      writes compounds.csv, devices.csv and params.csv for gaihoud\n"
    "  city run --url mqtt://HOST:PORT [--seed S] [--compounds N] [--devices M] …\n"
    "      publishes what the devices say, QoS 1; figures as JSON lines on stdout\n"
    "      --rate MSGS     messages a second, all devices together\n"
    "      --speed X       simulated time runs X times as fast (1)\n"
    "      --flat-out      as fast as the broker takes it\n"
    "      --start TIME    simulated time begins then (RFC 3339) and is what messages claim;\n"
    "                      otherwise it begins now and they claim the time of sending\n"
    "      --seconds T, --messages N, --stop-on-stdin-eof, SIGTERM, SIGINT\n"
    "                      ends the feed; then waits for the last acknowledgements\n"
    "      --drain T       at most so long (10 s)\n"
    "      --clockless P   percent of the devices that say no time (report_seq instead)\n"
    "      --no-ts         all of them\n"
    "      --batch P       percent of the messages that are back-filled arrays\n"
    "      --connections C (1)  --inflight K, unacknowledged messages of each (1000)\n"
    "      --truth FILE [--truth-payload]  a line for every acknowledged message\n"
    "      --progress T    a line of figures every T seconds\n"
    "      --username NAME --password-file FILE\n"
    "      --families all|NAME,…  vendors' messages, as suits each kind (native); the "
    "registry\n"
    "                      must be written with the same. Percent of the devices:\n"
    "      --clocks P      … with a clock that is hours off, was never set, or is years ahead\n"
    "                      percent of the messages:\n"
    "      --repeats P     … told again   --odd P  … with a value out of range, a sentinel, "
    "text\n"
    "      --strangers P   … of devices that nobody knows   --no-data P  … joins, replies, "
    "logs\n"
    "      --malformed P   … cut short or with a wrong sum   --elsewhere P  … that name "
    "another\n"
    "                      compound\n"
    "      --faults RATE   things break, so often per device and simulated day; what must be\n"
    "                      told of them is in the truth file (0: what goes wrong in health)\n"
    "      --fault KIND@DEVICE+SECONDS  this one, so long after the start (simulated)\n"
    "\n"
    "Exit: 0 every message was acknowledged, 1 some were not, 64 usage, 74 I/O.\n";

/* A decimal number, digits and at most one point; the whole text. */
static bool parse_number(const char *s, double max, double *out)
{
    double v = 0, place = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s == '.' && place == 0) {
            place = 1;
        } else if (*s >= '0' && *s <= '9') {
            v = v * 10 + (*s - '0');
            place *= 10;
        } else {
            return false;
        }
    }
    v = place > 1 ? v / place : v;
    if (v > max)
        return false;
    *out = v;
    return true;
}

/* 2026-11-20T08:00:00+08:00 or …Z, seconds only. */
static bool parse_time(const char *s, int64_t *out_ms)
{
    struct tm t = {0};
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S%z", &t);
    if (!rest || *rest)
        return false;
    long offset = t.tm_gmtoff;
    time_t at = timegm(&t) - offset;
    *out_ms = (int64_t)at * 1000;
    return at >= 0;
}

static bool parse_url(char *url, struct city_options *o)
{
    if (strncmp(url, "mqtt://", 7) != 0)
        return false;
    char *host = url + 7, *colon = strrchr(host, ':');
    o->port = "1883";
    if (colon) {
        *colon = 0;
        o->port = colon + 1;
    }
    char *slash = strchr(colon ? colon + 1 : host, '/');
    if (slash)
        *slash = 0;
    o->host = host;
    return *host && *o->port;
}

static char *read_line(const char *path)
{
    static char line[1024];
    FILE *f = fopen(path, "re");
    if (!f)
        return NULL;
    size_t n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = 0;
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

static int wrong(const char *what, const char *value, const char *expected)
{
    fprintf(stderr, "city: --%s %s: expected %s\n", what, value, expected);
    return 64;
}

enum {
    URL = 1,
    SEED,
    COMPOUNDS,
    DEVICES,
    OUT,
    RATE,
    SPEED,
    FLAT,
    SECONDS,
    MESSAGES,
    CLOCKLESS,
    NOTS,
    BATCH,
    CONNECTIONS,
    INFLIGHT,
    TRUTH,
    PAYLOAD,
    START,
    USERNAME,
    PASSWORD,
    STDIN,
    DRAIN,
    PROGRESS,
    FAMILIES,
    CLOCKS,
    REPEATS,
    ODD,
    STRANGERS,
    NO_DATA,
    MALFORMED,
    ELSEWHERE,
    FAULTS,
    FAULT,
    HELP
};

static const struct option options[] = {{"url", 1, NULL, URL},
                                        {"seed", 1, NULL, SEED},
                                        {"compounds", 1, NULL, COMPOUNDS},
                                        {"devices", 1, NULL, DEVICES},
                                        {"out", 1, NULL, OUT},
                                        {"rate", 1, NULL, RATE},
                                        {"speed", 1, NULL, SPEED},
                                        {"flat-out", 0, NULL, FLAT},
                                        {"seconds", 1, NULL, SECONDS},
                                        {"messages", 1, NULL, MESSAGES},
                                        {"clockless", 1, NULL, CLOCKLESS},
                                        {"no-ts", 0, NULL, NOTS},
                                        {"batch", 1, NULL, BATCH},
                                        {"connections", 1, NULL, CONNECTIONS},
                                        {"inflight", 1, NULL, INFLIGHT},
                                        {"truth", 1, NULL, TRUTH},
                                        {"truth-payload", 0, NULL, PAYLOAD},
                                        {"start", 1, NULL, START},
                                        {"username", 1, NULL, USERNAME},
                                        {"password-file", 1, NULL, PASSWORD},
                                        {"stop-on-stdin-eof", 0, NULL, STDIN},
                                        {"drain", 1, NULL, DRAIN},
                                        {"progress", 1, NULL, PROGRESS},
                                        {"families", 1, NULL, FAMILIES},
                                        {"clocks", 1, NULL, CLOCKS},
                                        {"repeats", 1, NULL, REPEATS},
                                        {"odd", 1, NULL, ODD},
                                        {"strangers", 1, NULL, STRANGERS},
                                        {"no-data", 1, NULL, NO_DATA},
                                        {"malformed", 1, NULL, MALFORMED},
                                        {"elsewhere", 1, NULL, ELSEWHERE},
                                        {"faults", 1, NULL, FAULTS},
                                        {"fault", 1, NULL, FAULT},
                                        {"help", 0, NULL, HELP},
                                        {0}};

/* Rates of faults, in percent. */
static double *rate_of(struct speak_options *o, int option)
{
    switch (option) {
    case CLOCKS:
        return &o->clocks;
    case REPEATS:
        return &o->repeats;
    case ODD:
        return &o->odd;
    case STRANGERS:
        return &o->strangers;
    case NO_DATA:
        return &o->no_data;
    case MALFORMED:
        return &o->malformed;
    case ELSEWHERE:
        return &o->elsewhere;
    default:
        return NULL;
    }
}

/* Options that are numbers: where they go and up to what. */
static bool set_number(struct city_options *o, int option, double v, bool whole)
{
    bool natural = whole && v >= 1;
    double *rate = rate_of(&o->speak, option);
    if (rate) {
        *rate = v;
        return v <= 100;
    }
    switch (option) {
    case SEED:
        o->fleet.seed = (uint64_t)v;
        return whole;
    case COMPOUNDS:
        o->fleet.compounds = (uint32_t)v;
        return natural && v <= 9999;
    case DEVICES:
        o->fleet.devices = (uint32_t)v;
        return natural && v <= 2e6;
    case RATE:
        o->rate = v;
        return v > 0;
    case SPEED:
        o->speed = v;
        return v > 0;
    case SECONDS:
        o->seconds = v;
        return v > 0;
    case MESSAGES:
        o->messages = (uint64_t)v;
        return natural;
    case CLOCKLESS:
        o->fleet.clockless = (unsigned)v;
        return whole && v <= 100;
    case BATCH:
        o->fleet.batch = (unsigned)v;
        return whole && v <= 100;
    case CONNECTIONS:
        o->connections = (unsigned)v;
        return natural && v <= 1000;
    case INFLIGHT:
        o->inflight = (unsigned)v;
        return natural && v <= 32000;
    case DRAIN:
        o->drain = v;
        return true;
    case PROGRESS:
        o->progress = v;
        return true;
    case FAULTS:
        o->fleet.faults = true;
        o->fleet.fault_rate = v;
        return v <= 100;
    default:
        return false;
    }
}

/* KIND@DEVICE+SECONDS */
static bool add_order(struct city_options *o, const char *s)
{
    static struct fault_order orders[1000];
    const char *at = strchr(s, '@'), *plus = at ? strrchr(at, '+') : NULL;
    struct fault_order *x = &orders[o->fleet.n_orders];
    if (!plus || at == s || (size_t)(at - s) >= sizeof(x->kind) ||
        (size_t)(plus - at) > sizeof(x->device) || o->fleet.n_orders == 1000 ||
        !parse_number(plus + 1, 1e9, &x->after_s))
        return false;
    memcpy(x->kind, s, (size_t)(at - s));
    memcpy(x->device, at + 1, (size_t)(plus - at) - 1);
    o->fleet.faults = true;
    o->fleet.orders = orders;
    o->fleet.n_orders++;
    return true;
}

/* Only the plain feed says everything that can break; every fault ordered is one. */
static const char *wrong_faults(const struct city_options *o)
{
    if (!o->fleet.faults)
        return NULL;
    if (o->speak.families)
        return "--faults and --fault are for the native family";
    struct fleet *f = fleet_new(&o->fleet);
    bool known = true;
    for (size_t i = 0; i < o->fleet.n_orders && known; i++)
        known = fleet_knows_fault(f, &o->fleet.orders[i]);
    fleet_free(f);
    return known ? NULL : "--fault: no such device, or no such fault of its kind";
}

static int set_option(struct city_options *o, int option, const char *name)
{
    double v;
    switch (option) {
    case URL:
        return parse_url(optarg, o) ? 0 : wrong(name, optarg, "mqtt://HOST:PORT");
    case OUT:
        o->out = optarg;
        return 0;
    case FLAT:
        o->flat_out = true;
        return 0;
    case NOTS:
        o->fleet.clockless = 100;
        return 0;
    case TRUTH:
        o->truth = optarg;
        return 0;
    case PAYLOAD:
        o->truth_payload = true;
        return 0;
    case USERNAME:
        o->username = optarg;
        return 0;
    case FAMILIES:
        if (strcmp(optarg, "native") == 0)
            return 0; /* the plain feed */
        return speak_families(optarg, &o->speak.families)
                   ? 0
                   : wrong(name, optarg, "all, or names of families with commas");
    case STDIN:
        o->stop_on_stdin = true;
        return 0;
    case FAULT:
        return add_order(o, optarg) ? 0 : wrong(name, optarg, "KIND@DEVICE+SECONDS");
    case PASSWORD:
        o->password = read_line(optarg);
        return o->password ? 0 : wrong(name, optarg, "a file that can be read");
    case START:
        o->simulated_ts = true;
        return parse_time(optarg, &o->fleet.start_ms)
                   ? 0
                   : wrong(name, optarg, "a time like 2026-11-20T08:00:00+08:00");
    default:
        if (!parse_number(optarg, 9e15, &v) ||
            !set_number(o, option, v, v == (double)(uint64_t)v))
            return wrong(name, optarg, "a number in range");
        return 0;
    }
}

int main(int argc, char **argv)
{
    struct city_options o = {.fleet = {.seed = 1, .compounds = 6, .devices = 300},
                             .speed = 1,
                             .connections = 1,
                             .inflight = 1000,
                             .drain = 10};
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? 64 : 0;
    }
    const char *command = argv[1];
    bool run = strcmp(command, "run") == 0;
    if (!run && strcmp(command, "registry") != 0) {
        fprintf(stderr, "city: no command %s; expected registry or run\n", command);
        return 64;
    }
    int c, index = 0;
    optind = 2;
    while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (c == HELP) {
            fputs(usage, stdout);
            return 0;
        }
        int rc = c == '?' ? 64 : set_option(&o, c, options[index].name);
        if (rc)
            return rc;
    }
    const char *missing = run ? (o.host ? NULL : "--url") : (o.out ? NULL : "--out");
    if (missing || optind < argc) {
        fprintf(stderr, "city: %s %s\n", missing ? missing : argv[optind],
                missing ? "is missing" : "is too much");
        return 64;
    }
    if (o.fleet.devices / o.fleet.compounds > 100000) {
        fprintf(stderr, "city: at most 100000 devices a compound; give more --compounds\n");
        return 64;
    }
    const char *mistake = wrong_faults(&o);
    if (mistake) {
        fprintf(stderr, "city: %s\n", mistake);
        return 64;
    }
    if (!o.fleet.start_ms)
        o.fleet.start_ms = (int64_t)time(NULL) * 1000;
    o.speak.compounds = o.fleet.compounds;
    struct err err = {""};
    int rc = run ? city_run(&o, &err) : city_registry(&o, &err);
    if (rc < 0)
        fprintf(stderr, "city: %s\n", err.text);
    return rc < 0 ? 74 : rc;
}
