/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash model: the whole gateway in the simulated machine, with random messages, clock
 * steps, outages, reloads, kills and power cuts. In the end everything heals and drains, and what
 * the databases, the store and the ledger hold must be what one engine gives that passes the
 * same journal without ever dying.
 *
 *   model [--seeds A..B] [--jobs N] [--verbose SEED] [--steps N]
 *   model --where (its memory lies)
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/zone.h"
#include "sim/desk.h"
#include "sim/fake_clock.h"
#include "sim/fake_file.h"
#include "sim/gateway.h"
#include "sim/heap.h"
#include "sim/neighbour.h"
#include "sim/plug.h"
#include "sim/pool.h"
#include "sim/rollback.h"
#include "sim/site.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 100, MOST_MESSAGES = 4096 };

#ifdef __SANITIZE_ADDRESS__
enum { POOLED = false };
#else
enum { POOLED = true };
#endif

#define SECOND_NS 1000000000u

static struct {
    unsigned steps, step;
    unsigned done_steps;
    bool healing, finished, restart_first, small_sinks;
    bool tells;
    bool restart_now;
    unsigned kill_weight, n_sinks;
    uint64_t heal_by, serials;
    unsigned generation;
    struct { /* by serial number: messages whose one point must be there once */
        struct fake_message *m;
        unsigned seen;
        bool unique, repeated;
        bool elsewhere; /* of a device of the other lane */
    } told[MOST_MESSAGES];
} model;

/* -- the machine's files ---------------------------------------------------------------------- */

/* What differs from seed to seed is put into the configuration when it was read, so that its text,
 * and with it most generations, are few and can be kept (sim/pool.h). */
static unsigned sink_type[2];
static struct conf_sink patch_sink[2];
static struct conf_journal patch_journal;

static void patch(struct conf *c)
{
    c->journal = patch_journal;
    for (size_t i = 0; i < c->n_sinks; i++) {
        struct conf_sink s = patch_sink[i];
        s.id = c->sinks[i].id;
        s.url = c->sinks[i].url;
        s.on_full = c->sinks[i].on_full;
        s.alarms_may_stop = c->sinks[i].alarms_may_stop;
        s.line = c->sinks[i].line;
        c->sinks[i] = s;
    }
}

static struct conf_sink random_sink(unsigned type)
{
    struct conf_sink s = {.type = (int)type, .timeout_ns = 2ull * SECOND_NS};
    bool v2 = type == CONF_INFLUXDB2;
    s.database = type == CONF_INFLUXDB1 || type == CONF_INFLUXDB3 ? "d" : NULL;
    s.org = v2 ? "o" : NULL;
    s.bucket = v2 ? "b" : NULL;
    s.token_file = v2 ? "/conf/token" : NULL;
    s.batch.lines = 1 + sim_random(sim_chance(50) ? 5 : 100);
    s.batch.bytes = 4096;
    s.batch.age_ns = (20 + sim_random(3000)) * 1000000;
    s.gzip = sim_chance(50);
    s.in_flight = 1 + sim_random(4);
    s.max_bytes = model.small_sinks ? 65536 : 1ull << 30;
    return s;
}

static void put_conf(void)
{
    static const enum conf_sync sync[] = {CONF_SYNC_ALWAYS, CONF_SYNC_INTERVAL,
                                          CONF_SYNC_INTERVAL, CONF_SYNC_NEVER};
    char text[4096];
    patch_journal = (struct conf_journal){.segment_bytes = 16384ull << sim_random(3),
                                          .sync = (int)sync[sim_random(4)],
                                          .sync_interval_ns = (10 + sim_random(300)) * 1000000};
    patch_journal.max_bytes = patch_journal.segment_bytes * (8 + sim_random(60));
    int n =
        snprintf(text, sizeof(text),
                 "gateway: {id: sim, data_dir: /data, lane: %s}\n"
                 "brokers: [{id: a, url: mqtt://broker}]\n"
                 "sources: [{profile: gaihou-json, broker: a}, {profile: vendor, broker: a}, "
                 "{profile: plug, broker: a}]\n"
                 "profiles: [vendor.yaml, plug.yaml]\n"
                 "catalog: catalog.yaml\n"
                 "registry: {compounds: compounds.csv, devices: devices.csv}\n"
                 "rules: [rules.yaml]\n%s"
                 "http: {listen: null, socket: null}\n"
                 "sinks:\n",
                 gateway_lane, model.tells ? "alerts: {broker: a}\n" : "");
    for (unsigned i = 0; i < model.n_sinks; i++) {
        sink_type[i] = (unsigned)sim_random(4);
        patch_sink[i] = random_sink(sink_type[i]);
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "  - {id: s%u, type: influxdb1, url: \"http://db%u\", database: d}\n", i,
                      i);
    }
    fake_file_put("/conf/gaihou.yaml", text);
}

/* Rules whose limits lie among what is published; they change with the generation. */
static void put_rules(void)
{
    char text[4096];
    unsigned g = model.generation;
    (void)snprintf(
        text, sizeof(text),
        "version: 1\ngroups:\n  - name: sim\n    rules:\n"
        "      - id: high\n        kind: sump\n        title: high\n        action: look\n"
        "        work: %s\n"
        "        levels:\n"
        "          - {severity: major, when: level > %u m, off: level < 3 m}\n"
        "          - {severity: critical, when: level > 6 m, off: level < 5 m, for: 2s}\n"
        "        no_data: {after: %us, policy: alert, severity: warning}\n"
        "%s"
        "      - id: manual\n        kind: sump\n        title: manual\n        action: look\n"
        "        work: ack\n        flapping: off\n        no_data: {policy: keep}\n"
        "        levels: [{severity: info, when: mode == manual, for: 1s}]\n"
        "      - id: held\n        kind: sump\n        title: held\n        action: look\n"
        "        work: none\n        mode: hold\n        fresh: %us\n        latch: %s\n"
        "        no_data: {after: 90s, policy: keep}\n"
        "        levels: [{severity: minor, when: level > 3 m, off: level < 2 m, for: 15s, "
        "off_for: 8s}]\n"
        "      - id: slow\n        kind: sump\n        title: slow\n        action: look\n"
        "        work: none\n        max_gap: 30s\n        tolerate: {miss: 1, of: 4}\n"
        "        no_data: {after: 4m, policy: clear}\n"
        "        levels: [{severity: warning, when: level >= 1 m, off: level < 0.5 m, for: "
        "%us}]\n"
        "      - id: trend\n        kind: sump\n        title: trend\n        action: look\n"
        "        work: none\n        no_data: {policy: keep}\n"
        "        levels: [{severity: minor, when: \"max(level, 1m) - min(level, 1m) > 5 m\", "
        "off: "
        "\"max(level, 1m) - min(level, 1m) < 3 m\"}]\n"
        "      - id: many\n        kind: sump\n        title: many\n        action: look\n"
        "        work: none\n        no_data: {policy: keep}\n"
        "        levels: [{severity: minor, when: \"count_over(building, sump, level > 4 m) >= "
        "2\", "
        "off: \"count_over(building, sump, level > 4 m) == 0\"}]\n"
        "%s",
        g % 2 ? "none" : "full", 4 + g % 3, 20 + g % 2 * 60,
        g % 4 == 3
            ? ""
            : "      - id: fire\n        kind: smoke\n        title: fire\n"
              "        action: run\n        work: ack\n        no_data: {policy: keep}\n"
              "        levels: [{severity: critical, when: level > 5, off: level < 4}]\n",
        g % 3 ? 120 : 20, g % 3 == 2 ? "true" : "false", 12 + g % 2 * 20,
        g % 3 == 1 ? ""
                   : "      - {id: mute, kind: sump, title: mute, action: look, work: none, "
                     "no_data: {after: 45s, policy: alert, severity: info}}\n");
    fake_file_put("/conf/rules.yaml", text);
}

static void put_devices(void)
{
    char text[1024];
    unsigned g = model.generation;
    (void)snprintf(text, sizeof(text),
                   "device,kind,compound,building,room,expected_interval,uplink\n"
                   "d0,sump,c1,b1,r%u,,\nd1,sump,c1,b1,,10s,w1\nd2,sump,%s,b%u,,20s,w1\n"
                   "d3,smoke,c2,b1,,,\nw0,sump,c1,b9,,,%s\nw1,sump,c1,b9,,15s,\n"
                   "s0,sump,c1,b9,,,\ns1,sump,c2,,,,\n%s%s",
                   g % 3, g % 2 ? "c1" : "c2", g % 4, g % 4 ? "w1" : "",
                   g % 3 == 1 ? "u0,sump,c2,,,,\n" : "", g % 5 == 2 ? "d4,smoke,c1,,,,\n" : "");
    fake_file_put("/conf/devices.csv", text);
}

/* One compound has no firm, some gateways tell nobody, and delays are shorter than the time between two
 * reports, and some devices have no interval. */
static bool is_meant(const char *warning)
{
    return strstr(warning, "no owner: 1 compound with") ||
           strstr(warning, "alerts.broker is missing: ") || strstr(warning, "never missed: ") ||
           strstr(warning, "for is shorter than ");
}

/* One of them changes its firm. */
static void put_compounds(void)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "compound,name,city,district,firm\nc1,One,cq,nan,%s\nc2,Two,cq,nan,\n",
                   model.generation % 4 == 3 ? "lihua" : "yulin");
    fake_file_put("/conf/compounds.csv", text);
}

/* -- messages --------------------------------------------------------------------------------- */

static int64_t wall_ms(void)
{
    return fake_clock_wall / 1000000;
}

/* Does it serve devices of that kind? The life-safety ones are smoke. */
static bool serves(bool life_safety)
{
    return strcmp(gateway_lane, "all") == 0 ||
           life_safety == (strcmp(gateway_lane, "life-safety") == 0);
}

static void say(const char *device, const char *compound, const char *payload, unsigned qos,
                bool retain, bool unique)
{
    char topic[128];
    (void)snprintf(topic, sizeof(topic), "gaihou/v1/up/%s/%s", compound, device);
    struct fake_message *m = fake_mqtt_publish(topic, payload, strlen(payload), qos, retain);
    sim_trace("publish %" PRIu64 " %s %s%s", m->id, topic, payload, retain ? " retained" : "");
    if (unique && qos > 0 && model.serials < MOST_MESSAGES)
        model.told[model.serials].m = m;
    if (unique && model.serials < MOST_MESSAGES)
        model.told[model.serials].unique = true;
}

/* The message has the newest serial number; NULL: it has none. */
static void note_told(struct fake_message *m, unsigned qos)
{
    if (!m || model.serials >= MOST_MESSAGES || !serves(false))
        return;
    model.told[model.serials].unique = true;
    if (qos > 0)
        model.told[model.serials].m = m;
}

/* A vendor's gateway: some samples of several devices and points, with or without times and a
 * message id; one of them carries the serial number. Two of its devices have wrong clocks. */
static void say_vendor(unsigned qos)
{
    static const char *const devices[] = {"d0", "d1", "w0", "w1", "w0", "nobody", "d2"};
    char text[1024];
    size_t n = 0, samples = 1 + (size_t)sim_random(5);
    n += (size_t)snprintf(text, sizeof(text), "{\"id\":\"%" PRIu64 "\",\"rec\":[",
                          sim_chance(40) ? sim_random(6) : model.serials + 100);
    for (size_t i = 0; i < samples; i++) {
        size_t k = i == 0 ? sim_random(2) : sim_random(7);
        int64_t ts = wall_ms() + (k == 2 || k == 4 ? -3 * 3600000 : k == 3 ? 8 * 3600000 : 0);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s{\"d\":\"%s\",\"p\":\"%s\"",
                              i ? "," : "", devices[k],
                              (const char *[]){"", "1", "2", "a b"}[sim_random(4)]);
        if (i == 0)
            n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"n\":%" PRIu64, model.serials);
        if (sim_chance(60))
            n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"t\":%" PRId64,
                                  sim_chance(5) ? 946684800000
                                                : ts - (int64_t)sim_random(3) * 20000);
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"level\":%d}",
                              (int)sim_random(9) - 1);
    }
    (void)snprintf(text + n, sizeof(text) - n, "]}");
    struct fake_message *m = fake_mqtt_publish("v/gw/up", text, strlen(text), qos, false);
    sim_trace("publish %" PRIu64 " v/gw/up %s", m->id, text);
    note_told(m, qos);
}

/* A node's message that is said again is known by its sequence number, if there was a birth; else
 * by its time, which the engine may have to correct if clocks stepped meanwhile. */
static void say_plug(unsigned qos)
{
    uint64_t again = UINT64_MAX;
    note_told(plug_say(qos, wall_ms(), model.serials, &again), qos);
    if (again < MOST_MESSAGES)
        model.told[again].repeated = true;
}

static void say_odd(const char *device, const char *compound)
{
    static const char *const odd[] = {"{\"level\":",
                                      "",
                                      "[]",
                                      "{\"nothing\":1}",
                                      "{\"level\":{}}",
                                      "{\"level\":\"high\",\"mode\":7}",
                                      "{\"level\":99.99,\"mode\":\"auto\"}",
                                      "{\"level\":-5,\"mode\":1,\"text\":\"a,b \\\"c\\\" 水\"}",
                                      "{\"level\":null}"};
    switch (sim_random(4)) {
    case 0:
        say("nobody", compound, "{\"level\":1}", 1, false, false);
        break;
    case 1:
        say(device, "c9", "{\"level\":1}", 1, false, false);
        break;
    default:
        say(device, compound, odd[sim_random(sizeof(odd) / sizeof(odd[0]))], 1, false, false);
    }
}

static void publish(void)
{
    static const char *const devices[] = {"d0", "d1", "d2", "d3", "d4", "u0"};
    const char *device = devices[sim_random(6)];
    const char *compound = strcmp(device, "d3") == 0   ? "c2"
                           : strcmp(device, "d2") == 0 ? NULL
                                                       : "c1";
    char text[512];
    bool known = device[0] == 'd' && device[1] != '4' && serves(strcmp(device, "d3") == 0);
    unsigned qos = sim_chance(95);
    int64_t ms = wall_ms();
    if (!compound || device[0] == 'u') { /* their compound changes with the registry */
        compound = sim_chance(50) ? "c1" : "c2";
        known = false;
    }
    uint64_t form = sim_random(14);
    if (++model.serials < MOST_MESSAGES)
        model.told[model.serials].elsewhere =
            !serves(form < 10 && (strcmp(device, "d3") == 0 || strcmp(device, "d4") == 0));
    switch (form) {
    case 10:
    case 11:
        say_vendor(qos);
        break;
    case 12:
    case 13:
        say_plug(qos);
        break;
    case 0:
    case 1:
    case 2:
        (void)snprintf(text, sizeof(text),
                       "{\"ts\":%" PRId64 ",\"n\":%" PRIu64 ",\"level\":%d}",
                       ms - (int64_t)sim_random(5000), model.serials, (int)sim_random(9));
        say(device, compound, text, qos, false, known);
        break;
    case 3:
    case 4:
    case 5:
        (void)snprintf(text, sizeof(text), "{\"n\":%" PRIu64 ",\"level\":%d.5}", model.serials,
                       (int)sim_random(9));
        say(device, compound, text, qos, false, known);
        break;
    case 6:
        (void)snprintf(text, sizeof(text), "{\"ts\":%" PRId64 ",\"level\":%d}",
                       ms / 10000 * 10000, (int)sim_random(3));
        say(device, compound, text, qos, sim_chance(10), false);
        break;
    case 7:
        (void)snprintf(text, sizeof(text),
                       "[{\"ts\":%" PRId64 ",\"level\":1},{\"ts\":%" PRId64
                       ",\"level\":2,\"mode\":1},{\"ts\":%" PRId64 ",\"level\":3}]",
                       ms - 60000, ms - 30000, ms - (int64_t)sim_random(3) * 30000);
        say(device, compound, text, qos, false, false);
        break;
    case 8:
        (void)snprintf(text, sizeof(text), "{\"level\":666,\"ts\":%" PRId64 "}", ms);
        say(device, compound, sim_chance(40) ? text : "{\"level\":1,\"mode\":\"manual\"}", qos,
            false, false);
        break;
    default:
        say_odd(device, compound);
    }
}

static void on_reference_line(const char *line, size_t n)
{
    const char *at = memmem(line, n, "n=", 2);
    if (!at || at == line || (at[-1] != ',' && at[-1] != ' '))
        return;
    uint64_t serial = 0;
    for (at += 2; *at >= '0' && *at <= '9'; at++)
        serial = serial * 10 + (uint64_t)(*at - '0');
    if (serial < MOST_MESSAGES)
        model.told[serial].seen++;
}

/* Told apart from the engine: what was said once and acknowledged is there once. */
static void judge_messages(void)
{
    for (uint64_t i = 0; i <= model.serials && i < MOST_MESSAGES; i++) {
        const struct fake_message *m = model.told[i].m;
        if (model.told[i].elsewhere && model.told[i].seen)
            sim_fail("message with number %" PRIu64 " is the other lane's, and is there", i);
        if (!model.told[i].unique)
            continue;
        if (model.told[i].seen > 1 && !model.told[i].repeated)
            sim_fail("message with number %" PRIu64 " is there %u times", i,
                     model.told[i].seen);
        if (m && m->acked && !m->lost && !model.told[i].seen)
            sim_fail("message with number %" PRIu64 " was acknowledged and is not there", i);
    }
}

/* -- what happens ------------------------------------------------------------------------------ */

static void db_moods(bool well)
{
    for (unsigned i = 0; i < model.n_sinks; i++) {
        char url[32];
        (void)snprintf(url, sizeof(url), "http://db%u", i);
        struct fake_db *d = fake_db_at(url, (enum conf_sink_type)sink_type[i]);
        if (!well && !sim_chance(50))
            continue;
        d->mood = well || sim_chance(40) ? DB_WELL : (enum fake_db_mood)(1 + sim_random(5));
        d->flaky = well || sim_chance(60) ? 0 : (unsigned)sim_random(60);
        sim_trace("db%u: mood %d flaky %u", i, d->mood, d->flaky);
    }
}

static void reloaded(void *ctx, int changed, const char *text)
{
    (void)ctx;
    sim_trace("reload: %d %s", changed, text);
}

static void reload(void)
{
    model.generation++;
    put_compounds();
    put_devices();
    put_rules();
    if (sim_alive() && gateway_app && gateway_app->ingest && sim_chance(70))
        (void)app_reload(gateway_app, reloaded, NULL);
}

static void commanded(void *ctx, int status, const char *body, size_t len)
{
    (void)ctx;
    sim_trace("command: %d %.*s", status, (int)len, body);
    if (status == 500 || status == 400)
        sim_fail("a command was answered with %d: %.*s", status, (int)len, body);
}

/* An operator does something to a case that was. */
static void command(void)
{
    static const char *const verbs[] = {"ack",    "accept",   "arrive", "resolve",  "confirm",
                                        "shelve", "unshelve", "close",  "feedback", "reject"};
    static const char *const bodies[] = {"{\"by\":\"me\"}", "{\"by\":\"you\",\"version\":2}",
                                         "{\"for\":\"40s\",\"note\":\"注\"}", ""};
    const struct fake_alarm *const *kept;
    size_t n = fake_store_alarms(&kept);
    char path[256];
    if (n > 0 && model.tells && sim_chance(50)) {
        const struct fake_alarm *a = kept[n - 1 - sim_random(n)];
        char reply[96], number[24];
        (void)snprintf(path, sizeof(path), "gaihou/v1/cmd/%s/%s/%s/%s", a->firm, a->compound,
                       a->case_id, verbs[sim_random(10)]);
        (void)snprintf(reply, sizeof(reply), "gaihou/v1/reply/%s/me", a->firm);
        (void)snprintf(number, sizeof(number), "%" PRIu64, sim_random(30));
        sim_trace("command %s", path);
        fake_alerts_say(path, bodies[sim_random(4)], false, sim_chance(50) ? reply : NULL,
                        sim_chance(70) ? number : NULL);
        return;
    }
    if (!sim_alive() || !gateway_app || !gateway_app->httpd || gateway_app->stopping)
        return;
    const char *id =
        n == 0 || sim_chance(5) ? "device/d1" : kept[n - 1 - sim_random(n)]->case_id;
    const char *verb =
        strchr(id, '/') ? sim_chance(50) ? "test" : "untest" : verbs[sim_random(10)];
    (void)snprintf(path, sizeof(path), "/api/v1/alerts/%s/%s", id, verb);
    sim_trace("command %s", path);
    fake_httpd_request("POST", path, "", bodies[sim_random(4)], commanded, NULL);
}

static void clock_steps(void)
{
    static const int64_t by[] = {300000000,      -300000000,     5000000000,
                                 -5000000000,    3600000000000,  -3600000000000,
                                 14400000000000, -14400000000000};
    int64_t step = by[sim_random(8)];
    fake_clock_wall += step;
    fake_clock_synced = sim_chance(50);
    sim_trace("the wall clock steps by %.1f s", (double)step / 1e9);
}

/* What listens to alarms: their broker, and a firm. */
static void alerts(void)
{
    switch (sim_random(6)) {
    case 0:
    case 1:
        fake_alerts_broker(false);
        break;
    case 2:
        sim_trace("the alerts' broker is emptied");
        fake_alerts_empty();
        neighbour_emptied();
        break;
    case 3:
        fake_alerts_say("gaihou/v1/presence/yulin",
                        sim_chance(50) ? "{\"state\":\"online\"}" : "{\"state\":\"offline\"}",
                        true, NULL, NULL);
        break;
    case 4:
        fake_alerts_say("gaihou/v1/snapshot/yulin", "", false, NULL, NULL);
        break;
    default:
        fake_alerts_broker(true);
    }
}

static void maybe_die(void)
{
    if (!sim_alive() || !gateway_app)
        return;
    enum sim_end how = sim_chance(50) ? SIM_POWER_CUT : SIM_KILLED;
    switch (sim_random(4)) {
    case 0:
        sim_die(how);
    case 1:
        if (gateway_app->ingest)
            app_stop(gateway_app);
        break;
    default:
        sim_die_at_file_operation(1 + sim_random(40), how);
    }
}

/* What was lost on the way is not made up for on the same connection. */
static void acks_arrive(void)
{
    if (fake_mqtt_acks_lost) {
        fake_mqtt_broker(false);
        fake_mqtt_broker(true);
    }
    fake_mqtt_acks_lost = false;
}

static void heal(void)
{
    sim_trace("everything heals");
    model.healing = true;
    model.heal_by = sim_now() + 3600ull * SECOND_NS;
    sim_die_at_file_operation(0, SIM_KILLED);
    acks_arrive();
    fake_mqtt_broker(true);
    fake_alerts_broker(true);
    fake_clock_synced = true;
    db_moods(true);
}

static void judge(void)
{
    if (gateway_past_lost) {
        if (model.tells)
            desk_judge_told();
        return;
    }
    gateway_on_reference_line = on_reference_line;
    gateway_judge(!model.small_sinks);
    judge_messages();
    desk_judge(model.tells);
}

static void settle(void *ctx)
{
    (void)ctx;
    if (sim_now() > model.heal_by)
        sim_fail("does not settle");
    if (gateway_settled()) {
        if (model.restart_first) {
            model.restart_first = false;
            app_stop(gateway_app);
        } else {
            judge();
            model.finished = true;
            app_stop(gateway_app);
            return;
        }
    }
    sim_after(SECOND_NS, settle, NULL, false);
}

static uint64_t gap(void)
{
    switch (sim_random(10)) {
    case 0:
        return sim_random(20ull * SECOND_NS);
    case 1:
    case 2:
        return sim_random(SECOND_NS);
    default:
        return sim_random(20000000);
    }
}

static void step(void *ctx)
{
    (void)ctx;
    if (model.step++ >= model.steps) {
        heal();
        sim_after(SECOND_NS, settle, NULL, false);
        return;
    }
    uint64_t wait = gap();
    sim_after(wait, step, NULL, false);
    uint64_t what = sim_random(100);
    if (what < 70)
        publish();
    else if (what < 74)
        db_moods(false);
    else if (what < 76)
        fake_mqtt_broker(sim_chance(60));
    else if (what < 78)
        clock_steps();
    else if (what < 81)
        reload();
    else if (what < 82)
        fake_mqtt_acks_lost = true;
    else if (what < 83 && model.tells && sim_chance(50))
        alerts();
    else if (what == 95 && model.tells)
        neighbour_acts();
    else if (what >= 97)
        command();
    else if (what == 96 && rollback_wanted() && sim_chance(30))
        rollback_copy();
    else if (what < 83)
        acks_arrive();
    else if (what < 84 && sim_chance(20))
        fake_mqtt_lose_session();
    else if (what < 87)
        sim_elapse(sim_random(sim_chance(10) ? 7200ull * SECOND_NS : 90ull * SECOND_NS));
    else if (what < 87 + model.kill_weight)
        maybe_die();
    else
        publish();
}

static void again(void *ctx)
{
    (void)ctx;
    model.restart_now = true;
}

static void begin(uint64_t seed, unsigned steps)
{
    memset(&model, 0, sizeof(model));
    sim_reset(seed);
    gateway_reset();
    pool_reset(POOLED && seed % 32 != 0);
    fake_mqtt_reset();
    fake_store_reset();
    fake_httpc_reset();
    plug_reset();
    desk_reset();
    model.steps = steps ? steps : 20 + (unsigned)sim_random(sim_chance(10) ? 1000 : 150);
    model.kill_weight = (unsigned)sim_random(10);
    model.restart_first = sim_chance(30);
    model.n_sinks = 1 + (unsigned)sim_random(2);
    model.small_sinks = sim_chance(10);
    model.tells = sim_chance(75);
    rollback_reset(sim_chance(65) ? ROLL_NOTHING : (enum roll)(1 + sim_random(4)),
                   model.n_sinks - 1);
    if (sim_chance(30)) {
        bool ls = sim_chance(40);
        gateway_lane = ls ? "life-safety" : "routine";
        gateway_data = ls ? "/data-ls" : "/data";
    }
    neighbour_reset(gateway_lane);
    fake_loop_job_ns = sim_chance(80) ? 5000000 : 200000000;
    fake_db_poison = "level=666";
    gateway_patch = patch;
    gateway_means = is_meant;
    gateway_on_life = heap_life;
    gateway_outbound_segment = 4096ull << sim_random(4);
    fake_file_can_map(sim_chance(70));
    put_conf();
    fake_file_put("/conf/catalog.yaml", catalogue);
    fake_file_put("/conf/vendor.yaml", vendor);
    fake_file_put("/conf/plug.yaml", plug);
    put_compounds();
    put_devices();
    put_rules();
    for (unsigned i = 0; i < model.n_sinks; i++) {
        char url[32];
        (void)snprintf(url, sizeof(url), "http://db%u", i);
        (void)fake_db_at(url, (enum conf_sink_type)sink_type[i]);
    }
}

static void run_seed(uint64_t seed, unsigned steps)
{
    begin(seed, steps);
    sim_after(sim_random(SECOND_NS), step, NULL, false);
    while (!model.finished) {
        if (!model.healing && sim_chance(8))
            sim_die_at_file_operation(1 + sim_random(60),
                                      sim_chance(50) ? SIM_POWER_CUT : SIM_KILLED);
        enum sim_end how = gateway_live();
        if (how == SIM_FATAL || (how == SIM_STOPPED && sim_exit_code() != 0))
            sim_fail("the gateway gave up with exit code %d", sim_exit_code());
        if (model.finished)
            break;
        if (sim_chance(3))
            rollback_damage();
        else if (sim_chance(30))
            rollback_put_back();
        sim_after(sim_random(sim_chance(10) ? 600ull * SECOND_NS : SECOND_NS), again, NULL,
                  false);
        for (model.restart_now = false; !model.restart_now;)
            (void)sim_turn();
    }
}

/* What all that happened to a seed comes to: each event has drawn, or moved the clock. */
static uint64_t digest(uint64_t seed)
{
    const struct fake_alarm *const *kept;
    uint64_t of[] = {seed, sim_now(), sim_random(UINT64_MAX), fake_store_alarms(&kept),
                     gateway_alarms};
    return hash64(1, of, sizeof(of));
}

/* -- many seeds -------------------------------------------------------------------------------- */

static bool fails(uint64_t seed, unsigned steps)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        run_seed(seed, steps);
        _exit(0);
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    return status != 0;
}

/* The fewest steps with which the seed still fails. */
static void shrink(uint64_t seed)
{
    for (unsigned steps = 1; steps <= 200; steps++) {
        if (fails(seed, steps)) {
            fprintf(stderr, "again: model --verbose %" PRIu64 " --steps %u\n", seed, steps);
            return;
        }
    }
    fprintf(stderr, "again: model --verbose %" PRIu64 "\n", seed);
}

struct told_seed {         /* by a batch, before it begins with it; 0: it is done */
    uint64_t seed, digest; /* of those before it */
};

static pid_t start_batch(uint64_t from, uint64_t to, int *out_fd)
{
    int fds[2];
    ASSERT(pipe(fds) == 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        struct told_seed t = {.digest = 0};
        for (uint64_t s = from; s <= to; s++) {
            t.seed = s;
            (void)!write(fds[1], &t, sizeof(t));
            gateway_alarms = 0;
            run_seed(s, 0);
            t.digest += digest(s);
        }
        t.seed = 0;
        (void)!write(fds[1], &t, sizeof(t));
        _exit(0);
    }
    close(fds[1]);
    *out_fd = fds[0];
    return pid;
}

/* 0, or the seed that failed. */
static uint64_t end_batch(int fd, int status, uint64_t *digest_sum)
{
    struct told_seed t = {.digest = 0};
    uint64_t last = 0;
    while (read(fd, &t, sizeof(t)) == (ssize_t)sizeof(t))
        last = t.seed ? t.seed : last;
    close(fd);
    *digest_sum += t.digest;
    if (status != 0 && WIFSIGNALED(status))
        fprintf(stderr, "seed %" PRIu64 ": signal %d\n", last, WTERMSIG(status));
    return status != 0 ? last : 0;
}

/* The first generations of each kind of configuration, for all batches. */
static void warm(void)
{
    static const char *const lanes[] = {"all", "routine", "life-safety"};
    enum { TELLS = 2, SINKS = 2, GENERATIONS = 10 };
    begin(1, 0);
    for (unsigned i = 0; i < 3 * TELLS * SINKS * GENERATIONS; i++) {
        struct problems *problems = problems_new(8);
        struct loaded l = {0};
        gateway_lane = lanes[i % 3];
        model.tells = i / 3 % TELLS;
        model.n_sinks = 1 + i / 3 / TELLS % SINKS;
        model.generation = i / 3 / TELLS / SINKS;
        put_conf();
        put_compounds();
        put_devices();
        put_rules();
        if (load_all("/conf/gaihou.yaml", problems, &l) != 0)
            sim_fail("%s", problems_get(problems, 0));
        load_free(&l);
        problems_free(problems);
    }
}

static double seconds_since(const struct timespec *began)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

static int run_seeds(uint64_t from, uint64_t to, unsigned jobs)
{
    struct timespec began;
    struct {
        pid_t pid; /* 0: free */
        int fd;
        uint64_t first, last;
    } batches[16] = {{0}};
    unsigned failures = 0, running = 0;
    uint64_t done = 0, next = from, sum = 0;
    double said = 0;
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (POOLED && to - from >= BATCH)
        warm();
    while (running > 0 || (next <= to && failures < 5)) {
        for (unsigned i = 0; i < jobs && next <= to && failures < 5; i++) {
            if (batches[i].pid)
                continue;
            batches[i].first = next;
            batches[i].last = next + BATCH - 1 < to ? next + BATCH - 1 : to;
            batches[i].pid = start_batch(next, batches[i].last, &batches[i].fd);
            next = batches[i].last + 1;
            running++;
        }
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        for (unsigned i = 0; i < jobs; i++) {
            if (pid <= 0 || batches[i].pid != pid)
                continue;
            batches[i].pid = 0;
            running--;
            uint64_t bad = end_batch(batches[i].fd, status, &sum);
            done += (bad ? bad : batches[i].last) - batches[i].first + 1;
            if (bad) {
                failures++;
                shrink(bad);
            }
        }
        double s = seconds_since(&began);
        if (s - said >= 60) {
            said = s;
            fprintf(stderr, "model: %" PRIu64 " seeds, %.0f a second\n", done,
                    (double)done / s);
        }
    }
    printf("model: seeds %" PRIu64 "..%" PRIu64 ": %s, %" PRIu64
           " run, %.1f seeds/s, digest %016" PRIx64 "\n",
           from, to, failures ? "FAILED" : "good", done, (double)done / seconds_since(&began),
           sum);
    return failures ? 1 : 0;
}

/* The library keeps what it has read of them: not in the memory of a life. */
static void read_zones(void)
{
    struct zone *z = NULL;
    if (zone_open("Asia/Shanghai", &z) != 0)
        sim_fail("no time zone Asia/Shanghai");
    zone_free(z);
}

int main(int argc, char **argv)
{
    unsigned long long from = 1, to = 3000, one = 0;
    unsigned jobs = 2, steps = 0;
    bool only = false;
    heap_poison(getenv("SIM_POISON") != NULL);
    if (argc == 2 && strcmp(argv[1], "--where") == 0)
        return printf("%p\n", heap_place()) < 0;
    read_zones();
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0)
            (void)!sscanf(argv[i + 1], "%llu..%llu", &from, &to);
        else if (strcmp(argv[i], "--verbose") == 0)
            (void)!sscanf(argv[i + 1], "%llu", &one);
        else if (strcmp(argv[i], "--steps") == 0)
            (void)!sscanf(argv[i + 1], "%u", &steps);
        else if (strcmp(argv[i], "--within") == 0) /* in one process, the last one told */
            only = sscanf(argv[i + 1], "%llu..%llu", &from, &to) == 2;
        else if (strcmp(argv[i], "--jobs") == 0)
            (void)!sscanf(argv[i + 1], "%u", &jobs);
    }
    if (only)
        for (unsigned long long s = from; s <= to; s++) {
            sim_verbose = s == to;
            run_seed(s, steps);
        }
    else if (one == 0)
        return run_seeds(from, to, jobs >= 1 && jobs <= 16 ? jobs : 1);
    else {
        sim_verbose = true;
        run_seed(one, steps);
    }
    printf("seed %llu: good\n", one);
    fflush(NULL);
    _exit(0); /* lives that were killed left what they had: no leak of the gateway's */
}
