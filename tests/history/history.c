/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history — are the alarms right? The simulated city through the real engine in virtual time.
 *
 *   history [--days D] [--devices N] [--compounds C] [--faults RATE] [--list]
 *           [--show DEVICE] SEED…
 *
 * The fleet's messages become journal records at the devices' own times; the engine has the
 * shipped catalogue and rules and the city's registry; an operator closes what is over. Then
 * what was told is compared with what was wrong (city/faults.h):
 *   missed  a fault lasted, and its rule did not tell it in time
 *   false   something was told that no fault explains
 *   stuck   an alarm did not clear when what caused it was over
 *   gone    an alarm cleared while what caused it went on
 * Each seed has its own season. Exit: 0 none of these, 1 some, 64 usage. Runs in the source's
 * top folder.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "city/city.h"
#include "core/engine.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BOOT_NS   UINT64_C(5000000000000)
#define DAY_MS    INT64_C(86400000)
#define START_MS  INT64_C(1767196800000) /* 2026-01-01 in Beijing */
#define TIDY_MS   INT64_C(3600000)       /* after clearing, until the operator closes it */
#define FILE_MAX  (1u << 24)
#define MAX_SHOWN 40
#define NOBODY    UINT32_MAX

struct told { /* an alarm that was told */
    char *rule, *device, *case_id;
    uint32_t index; /* of the device in the fleet */
    int64_t at_ms, cleared_ms;
    bool explained;
};
struct chore { /* the operator's */
    int64_t at_ms;
    char *case_id, *compound;
};

struct history {
    struct city_options o;
    double days;
    bool list;
    const char *show; /* a device whose transitions are printed; NULL */
    struct fleet *fleet;
    struct world *world;
    struct engine *engine;
    uint32_t *fleet_index; /* by index in the registry */
    uint64_t ns, offset, messages, letters, masked;
    int64_t now_ms, end_ms;
    struct told *told;
    size_t n_told, cap_told;
    struct chore *chores; /* in the order of time */
    size_t first_chore, n_chores, cap_chores;
    struct fault_truth *truths;
    size_t n_truths, cap_truths;
    unsigned shown;
    unsigned missed, wrong, stuck, gone, must;
};

/* -- the world -------------------------------------------------------------------------------- */

static const char conf[] = "gateway: {id: city, data_dir: /tmp/x, timezone: Asia/Shanghai}\n"
                           "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                           "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                           "catalog: catalog.yaml\n"
                           "registry: {compounds: compounds.csv, devices: devices.csv, "
                           "params: params.csv}\n";

static struct world_text read_text(const char *folder, const char *name)
{
    char *path = folder ? mem_printf("%s/%s", folder, name) : mem_strdup(name);
    char *text = mem_zalloc(FILE_MAX);
    FILE *f = fopen(path, "re");
    if (!f) {
        (void)fprintf(stderr, "history: %s: %s\n", path, strerror(errno));
        exit(64);
    }
    size_t len = fread(text, 1, FILE_MAX - 1, f);
    (void)fclose(f);
    return (struct world_text){path, text, len};
}

static void text_done(struct world_text *t)
{
    free((char *)t->file);
    free((char *)t->text);
}

/* What the city writes for a gateway. */
static void read_registry(struct history *h, struct world_text parts[WORLD_PARTS])
{
    static const char *const names[] = {"compounds.csv", "devices.csv", "params.csv"};
    char dir[] = "/tmp/gaihou-history.XXXXXX";
    struct err err;
    h->o.out = mkdtemp(dir);
    if (!h->o.out || city_registry(&h->o, &err) != 0) {
        (void)fprintf(stderr, "history: the registry cannot be written below /tmp\n");
        exit(64);
    }
    for (size_t i = 0; i < 3; i++) {
        parts[WORLD_COMPOUNDS + i] = read_text(dir, names[i]);
        (void)unlink(parts[WORLD_COMPOUNDS + i].file);
    }
    (void)rmdir(dir);
}

static struct world *open_world(struct history *h)
{
    struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {mem_strdup("gaihou.yaml"), mem_strdup(conf), strlen(conf)}};
    struct problems *said = problems_new(50);
    struct world *w = NULL;
    struct buf b;
    glob_t g;
    buf_init(&b, WORLD_MAX_BUNDLE);
    parts[WORLD_CATALOG] = read_text("config", "catalog.yaml");
    read_registry(h, parts);
    int rc = world_bundle(parts, &b);
    if (glob("config/rules/*.yaml", 0, NULL, &g) != 0)
        g.gl_pathc = 0;
    struct world_text *rules = mem_zalloc_array(g.gl_pathc + 1, sizeof(*rules));
    for (size_t i = 0; i < g.gl_pathc; i++)
        rules[i] = read_text(NULL, g.gl_pathv[i]);
    rc = rc ? rc : world_bundle_rules(rules, g.gl_pathc, &b);
    rc = rc ? rc : world_open(b.data, b.len, said, &w);
    for (size_t i = 0; i < problems_count(said) && rc != 0; i++)
        (void)fprintf(stderr, "%s\n", problems_get(said, i));
    for (size_t i = 0; i < g.gl_pathc; i++)
        text_done(&rules[i]);
    for (size_t i = 0; i < WORLD_PARTS; i++)
        text_done(&parts[i]);
    free(rules);
    if (g.gl_pathc)
        globfree(&g);
    problems_free(said);
    buf_done(&b);
    return w;
}

static void show(struct history *h, const char *what, const char *device, const char *rule,
                 const char *why, int64_t at_ms, int64_t until_ms)
{
    char from[32] = "", to[32] = "…";
    time_t a = (time_t)(at_ms / 1000) + 8 * 3600, b = (time_t)(until_ms / 1000) + 8 * 3600;
    struct tm tm;
    if (h->shown++ >= MAX_SHOWN && !h->show)
        return;
    (void)strftime(from, sizeof(from), "%m-%d %H:%M:%S", gmtime_r(&a, &tm));
    if (until_ms)
        (void)strftime(to, sizeof(to), "%m-%d %H:%M:%S", gmtime_r(&b, &tm));
    printf("%s: %s %s (%s) %s to %s\n", what, device, rule, why, from, to);
}

/* -- what is told ----------------------------------------------------------------------------- */

static struct told *open_alarm(struct history *h, const char *case_id)
{
    for (size_t i = h->n_told; i-- > 0;)
        if (!h->told[i].cleared_ms && strcmp(h->told[i].case_id, case_id) == 0)
            return &h->told[i];
    return NULL;
}

static void add_told(struct history *h, const struct transition *t)
{
    const struct device *d = registry_find(h->world->registry, t->device, strlen(t->device));
    if (h->n_told == h->cap_told) {
        h->cap_told = h->cap_told ? 2 * h->cap_told : 256;
        h->told = mem_realloc_array(h->told, h->cap_told, sizeof(*h->told));
    }
    h->told[h->n_told++] = (struct told){.rule = mem_strdup(t->rule),
                                         .device = mem_strdup(t->device),
                                         .case_id = mem_strdup(t->case_id),
                                         .index = d ? h->fleet_index[d->index] : NOBODY,
                                         .at_ms = t->wall_ms};
}

static void add_chore(struct history *h, const struct transition *t)
{
    if (h->n_chores == h->cap_chores) {
        h->cap_chores = h->cap_chores ? 2 * h->cap_chores : 256;
        h->chores = mem_realloc_array(h->chores, h->cap_chores, sizeof(*h->chores));
    }
    h->chores[h->n_chores++] = (struct chore){.at_ms = t->wall_ms + TIDY_MS,
                                              .case_id = mem_strdup(t->case_id),
                                              .compound = mem_strdup(t->compound)};
}

static void on_transition(void *ctx, const struct transition *t)
{
    struct history *h = ctx;
    struct told *open = open_alarm(h, t->case_id);
    if (h->show && strcmp(h->show, t->device) == 0)
        show(h, case_change_name(t->change), t->device, t->rule, t->deliver ? "told" : "kept",
             t->wall_ms, 0);
    bool begins = t->change == CASE_ACTIVATED || t->change == CASE_RECURRED;
    if (begins || t->change == CASE_UNMASKED || t->record) {
        h->masked += begins && !t->deliver;
        if (t->deliver && !open)
            add_told(h, t);
        return;
    }
    if (t->change != CASE_CLEARED)
        return;
    if (open)
        open->cleared_ms = t->wall_ms;
    if (!t->closed)
        add_chore(h, t);
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    struct history *h = ctx;
    if (h->letters++ < 5)
        printf("  letter: %s %s\n", l->reason, l->detail ? l->detail : "");
}

static void on_point(void *ctx, const struct point *p)
{
    (void)ctx;
    (void)p;
}

static void on_step(void *ctx, const struct position *at)
{
    (void)ctx;
    (void)at;
}

/* -- records ---------------------------------------------------------------------------------- */

static void give(struct history *h, enum record_type type, const char *topic, size_t topic_len,
                 const char *body, size_t len, int64_t at_ms)
{
    uint64_t ns = BOOT_NS + (uint64_t)(at_ms - h->o.fleet.start_ms) * 1000000;
    h->ns = ns > h->ns ? ns : h->ns + 1;
    h->now_ms = at_ms;
    bool message = type == RECORD_MESSAGE;
    h->messages += message;
    struct record r = {.type = type,
                       .flags = (uint8_t)(RECORD_WALL_SYNCED | (message ? 1 : 0)),
                       .broker = message || type == RECORD_LINK_UP ? 0 : 255,
                       .packet_id = message ? (uint16_t)(h->messages % 65535 + 1) : 0,
                       .engine_ns = h->ns,
                       .wall_ns = h->o.fleet.start_ms * 1000000 + (int64_t)(h->ns - BOOT_NS),
                       .messages = h->messages,
                       .topic = topic,
                       .topic_len = topic_len,
                       .body = body,
                       .body_len = len,
                       .offset = h->offset};
    r.end = h->offset += record_size(&r);
    engine_record(h->engine, &r);
}

static void own(struct history *h, enum record_type type, const char *topic, const char *body,
                size_t len)
{
    char room[128] = {0};
    memcpy(room, body, len);
    give(h, type, topic, strlen(topic), room, len, h->now_ms);
}

/* As a gateway begins, and every firm listens. */
static void begin(struct history *h)
{
    const struct registry *g = h->world->registry;
    own(h, RECORD_START, "", "", 0);
    own(h, RECORD_LINK_UP, "", "", 1);
    own(h, RECORD_STREAM, "", "city/all/1", 10);
    for (size_t i = 0; i < registry_compounds(g); i++) {
        const char *firm = registry_compound_at(g, i)->firm;
        bool said = strcmp(firm, "none") == 0;
        for (size_t k = 0; k < i && !said; k++)
            said = strcmp(registry_compound_at(g, k)->firm, firm) == 0;
        if (!said)
            own(h, RECORD_PRESENCE, firm, "online", 6);
    }
}

static void command(struct history *h, const struct chore *c, enum case_verb verb)
{
    struct case_command cmd = {
        .verb = verb, .payload = "{\"by\":\"operator\"}", .payload_len = 17};
    struct buf body;
    char *topic = mem_printf("-/%s/%s/%s", c->compound, c->case_id, case_verb_name(verb));
    buf_init(&body, 4096);
    if (case_command_put(&cmd, &body) == 0) {
        size_t len = body.len;
        char *room = buf_room(&body, RECORD_READABLE);
        if (room)
            memset(room, 0, RECORD_READABLE);
        give(h, RECORD_COMMAND, topic, strlen(topic), body.data, len, c->at_ms);
    }
    buf_done(&body);
    free(topic);
}

/* The operator resets what is latched and closes what has cleared; what holds again is refused. */
static void tidy(struct history *h, int64_t upto_ms)
{
    while (h->first_chore < h->n_chores && h->chores[h->first_chore].at_ms <= upto_ms) {
        struct chore c = h->chores[h->first_chore++];
        command(h, &c, VERB_RESET);
        command(h, &c, VERB_CLOSE);
        free(c.case_id);
        free(c.compound);
    }
}

static void take_truths(struct history *h)
{
    struct fault_truth t;
    while (fleet_take_truth(h->fleet, &t)) {
        if (h->n_truths == h->cap_truths) {
            h->cap_truths = h->cap_truths ? 2 * h->cap_truths : 256;
            h->truths = mem_realloc_array(h->truths, h->cap_truths, sizeof(*h->truths));
        }
        h->truths[h->n_truths++] = t;
    }
}

static void live(struct history *h)
{
    static char payload[FLEET_MAX_PAYLOAD + RECORD_READABLE];
    int64_t due;
    begin(h);
    for (;;) {
        (void)fleet_peek(h->fleet, &due);
        if (due >= h->end_ms)
            break;
        struct fleet_message m;
        char topic[192] = "gaihou/v1/up/";
        tidy(h, due);
        fleet_next(h->fleet, 0, payload, &m);
        memset(payload + m.len, 0, RECORD_READABLE);
        char *at = topic + strlen(topic);
        at += fleet_compound_code(h->fleet, fleet_device(h->fleet, m.device)->compound, at);
        *at++ = '/';
        at += fleet_device_code(h->fleet, m.device, at);
        give(h, RECORD_MESSAGE, topic, (size_t)(at - topic), payload, m.len, due);
        take_truths(h);
    }
    engine_tick(h->engine, BOOT_NS + (uint64_t)(h->end_ms - h->o.fleet.start_ms) * 1000000);
    fleet_end_truths(h->fleet);
    take_truths(h);
}

/* -- the comparison --------------------------------------------------------------------------- */

static int by_device(const void *a, const void *b)
{
    const struct told *x = a, *y = b;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

static int by_place(const void *a, const void *b)
{
    const struct fault_truth *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->from_ms > y->from_ms) - (x->from_ms < y->from_ms);
}

static bool names(const char *list, const char *rule)
{
    size_t n = strlen(rule);
    for (const char *at = list; at && *at; at += *at == ',') {
        size_t len = strcspn(at, ",");
        if (len == n && memcmp(at, rule, n) == 0)
            return true;
        at += len;
    }
    return false;
}

static void judge_truth(struct history *h, const struct fault_truth *t, const struct told *a,
                        size_t n)
{
    int64_t by = t->from_ms + t->told_within;
    int64_t to = t->to_ms ? t->to_ms : h->end_ms;
    bool told = false;
    char device[64];
    if (!t->rule || by > to)
        return;
    h->must++;
    for (size_t i = 0; i < n && !told; i++)
        told = strcmp(a[i].rule, t->rule) == 0 && a[i].at_ms <= by &&
               (!a[i].cleared_ms || a[i].cleared_ms > t->from_ms);
    device[fleet_device_code(h->fleet, t->device, device)] = 0;
    if (!told) {
        h->missed++;
        show(h, "WRONG missed", device, t->rule, t->name, t->from_ms, t->to_ms);
    }
}

/* Nobody says that it is over while it lasts. */
static void judge_gone(struct history *h, const struct fault_truth *t, const struct told *a,
                       size_t n)
{
    int64_t until = (t->to_ms ? t->to_ms : h->end_ms) - t->fades;
    for (size_t i = 0; i < n && t->rule && t->fades >= 0; i++) {
        if (strcmp(a[i].rule, t->rule) != 0 || a[i].at_ms < t->from_ms || !a[i].cleared_ms ||
            a[i].cleared_ms >= until)
            continue;
        h->gone++;
        show(h, "WRONG gone", a[i].device, a[i].rule, t->name, a[i].at_ms, a[i].cleared_ms);
    }
}

static bool explains(const struct fault_truth *t, const struct told *a)
{
    return ((t->rule && strcmp(t->rule, a->rule) == 0) || names(t->may, a->rule)) &&
           t->from_ms <= a->at_ms && (!t->to_ms || a->at_ms <= t->to_ms + t->over_within);
}

/* When what caused the alarm is over, together with what took its place; INT64_MAX: it is not. */
static int64_t over_at(const struct fault_truth *t, size_t n, const struct told *a)
{
    int64_t over = 0;
    for (size_t i = 0; i < n; i++) {
        bool same = (t[i].rule && strcmp(t[i].rule, a->rule) == 0) || names(t[i].may, a->rule);
        int64_t end = t[i].to_ms ? t[i].to_ms + t[i].over_within : INT64_MAX;
        if (explains(&t[i], a) || (same && over && t[i].from_ms <= over))
            over = end > over ? end : over;
    }
    return over;
}

static void judge_told(struct history *h, const struct told *a, const struct fault_truth *t,
                       size_t n)
{
    int64_t over = over_at(t, n, a);
    if (over == 0) {
        h->wrong++;
        show(h, "WRONG false", a->device, a->rule, "nothing explains it", a->at_ms,
             a->cleared_ms);
    } else if ((a->cleared_ms ? a->cleared_ms : h->end_ms) > over) {
        h->stuck++;
        show(h, "WRONG stuck", a->device, a->rule, "not cleared when it was over", a->at_ms,
             a->cleared_ms);
    }
}

static void judge(struct history *h)
{
    size_t a = 0, t = 0;
    if (h->n_told > 0)
        qsort(h->told, h->n_told, sizeof(*h->told), by_device);
    if (h->n_truths > 0)
        qsort(h->truths, h->n_truths, sizeof(*h->truths), by_place);
    for (uint32_t i = 0; i < h->o.fleet.devices; i++) {
        size_t a0 = a, t0 = t;
        while (a < h->n_told && h->told[a].index == i)
            a++;
        while (t < h->n_truths && h->truths[t].device == i)
            t++;
        for (size_t k = t0; k < t; k++)
            judge_truth(h, &h->truths[k], h->told + a0, a - a0);
        for (size_t k = t0; k < t; k++)
            judge_gone(h, &h->truths[k], h->told + a0, a - a0);
        for (size_t k = a0; k < a; k++)
            judge_told(h, &h->told[k], h->truths + t0, t - t0);
    }
    for (; a < h->n_told; a++)
        judge_told(h, &h->told[a], NULL, 0);
}

/* Names and how many of each. */
static void tally(const struct history *h)
{
    for (size_t i = 0; i < h->n_truths; i++) {
        const struct fault_truth *t = &h->truths[i];
        const char *kind = fleet_kinds[fleet_device(h->fleet, t->device)->kind].code;
        size_t n = 0;
        bool first = true;
        for (size_t k = 0; k < h->n_truths; k++) {
            const struct fault_truth *x = &h->truths[k];
            const char *other = fleet_kinds[fleet_device(h->fleet, x->device)->kind].code;
            if (strcmp(kind, other) != 0 || strcmp(t->name, x->name) != 0)
                continue;
            first = first && k >= i;
            n++;
        }
        if (first)
            printf("  %-7s %-18s %6zu  %s\n", kind, t->name, n, t->rule ? t->rule : "-");
    }
}

/* -- a run ------------------------------------------------------------------------------------ */

static void open_all(struct history *h)
{
    struct engine_out out = {.ctx = h,
                             .point = on_point,
                             .letter = on_letter,
                             .step = on_step,
                             .step_end = on_step,
                             .transition = on_transition};
    h->o.fleet.start_ms = START_MS + (int64_t)(h->o.fleet.seed % 12) * 30 * DAY_MS;
    h->now_ms = h->o.fleet.start_ms;
    h->end_ms = h->now_ms + (int64_t)(h->days * (double)DAY_MS);
    h->offset = SEGMENT_HEADER;
    h->ns = BOOT_NS - 1;
    h->world = open_world(h);
    if (!h->world)
        exit(64);
    h->fleet = fleet_new(&h->o.fleet);
    h->fleet_index = mem_zalloc_array(h->o.fleet.devices, sizeof(*h->fleet_index));
    for (uint32_t i = 0; i < h->o.fleet.devices; i++) {
        char code[64];
        size_t n = fleet_device_code(h->fleet, i, code);
        h->fleet_index[registry_find(h->world->registry, code, n)->index] = i;
    }
    h->engine = engine_new(&out);
    engine_use(h->engine, h->world);
}

static void close_all(struct history *h)
{
    engine_free(h->engine);
    world_free(h->world);
    fleet_free(h->fleet);
    for (size_t i = 0; i < h->n_told; i++) {
        free(h->told[i].rule);
        free(h->told[i].device);
        free(h->told[i].case_id);
    }
    for (size_t i = h->first_chore; i < h->n_chores; i++) {
        free(h->chores[i].case_id);
        free(h->chores[i].compound);
    }
    free(h->told);
    free(h->chores);
    free(h->truths);
    free(h->fleet_index);
}

static bool run(const struct history *options)
{
    struct history h = *options;
    open_all(&h);
    live(&h);
    judge(&h);
    bool right = !h.missed && !h.wrong && !h.stuck && !h.gone && !h.letters;
    if (h.list)
        tally(&h);
    printf("%s seed %llu: %.4g days of %u devices, %llu messages, %zu truths, %u to be told; "
           "%zu told, %llu masked; %u missed, %u false, %u stuck, %u gone\n",
           right ? "ok" : "WRONG", (unsigned long long)h.o.fleet.seed, h.days,
           h.o.fleet.devices, (unsigned long long)h.messages, h.n_truths, h.must, h.n_told,
           (unsigned long long)h.masked, h.missed, h.wrong, h.stuck, h.gone);
    (void)fflush(stdout);
    close_all(&h);
    return right;
}

static bool number(const char *s, double low, double high, double *out)
{
    char *end;
    double v = strtod(s, &end);
    if (*end || end == s || !(v >= low && v <= high))
        return false;
    *out = v;
    return true;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"days", 1, NULL, 'd'},
                                            {"devices", 1, NULL, 'n'},
                                            {"compounds", 1, NULL, 'c'},
                                            {"faults", 1, NULL, 'f'},
                                            {"list", 0, NULL, 'l'},
                                            {"show", 1, NULL, 's'},
                                            {0}};
    struct history h = {.o.fleet = {.compounds = 6, .devices = 300, .faults = true}, .days = 2};
    bool right = true, usage = false;
    double v = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool plain = c == 'l' || c == 's';
        usage |= c == '?' || (!plain && !number(optarg, c == 'f' ? 0 : 0.01, 2e6, &v));
        if (c == 'd')
            h.days = v;
        else if (c == 'n')
            h.o.fleet.devices = (uint32_t)v;
        else if (c == 'c')
            h.o.fleet.compounds = (uint32_t)v;
        else if (c == 'f')
            h.o.fleet.fault_rate = v;
        else if (c == 's')
            h.show = optarg;
        else
            h.list = true;
    }
    if (usage || optind == argc || h.o.fleet.devices < 1 || h.o.fleet.compounds < 1) {
        (void)fputs("usage: history [--days D] [--devices N] [--compounds C] [--faults RATE] "
                    "[--list] [--show DEVICE] SEED...\n",
                    stderr);
        return 64;
    }
    for (int i = optind; i < argc; i++) {
        if (!number(argv[i], 0, 1e15, &v))
            return 64;
        h.o.fleet.seed = (uint64_t)v;
        right = run(&h) && right;
    }
    return right ? 0 : 1;
}
