/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios: *.scn files that say what happens to the gateway and what must come of it. One
 * command a line, '#' begins a comment; everything runs in virtual time, from a fixed seed.
 *
 *   sink ID TYPE [option: value, …]        before anything else; URL http://ID
 *   option YAML                            a line of the configuration; small: sizes below its limits
 *   small journal|segment|sink BYTES
 *   devices, then lines of devices.csv, then "."
 *   pass TIME                              100ms 5s 10m 2h
 *   publish [qos=0] [retain] COMPOUND/DEVICE PAYLOAD   "@-90s" in it: the time then, in ms
 *   answer ID well|down|503|timeout|auth|full
 *   store remember|restore|lose            broker up|down|forgets|deaf     disk full|free     acks lost|arrive     clock +TIME|-TIME|[un]synchronised
 *   folder remember|restore PATH             e.g. a sink's log, as it was; restored while the gateway is down
 *   secret changed                         in every file that has one
 *   poison mended|back                     the databases take level=666, too; or no longer
 *   image well|unforked|nothing|killed|slow  what becomes of the process that writes a snapshot
 *   alerts up|down|empty                   the broker of alarms: needs option alerts: {broker: a}
 *   firm VERB [PAYLOAD]                      a command over it, about the device's case that changed last
 *   crash   powercut   stop   start   reload   rot SUBSTRING   http METHOD PATH [BODY]
 *   expect [no] log TEXT       expect [no] line ID TEXT      expect lines ID TEXT N
 *   expect logs TEXT N                       how many lines of the log have this text
 *   expect before ID TEXT | TEXT             which line the database took first
 *   expect told TEXT [| TEXT] N              how many transitions and replies were heard with all these texts
 *   expect ledger COMPOUND COUNT N         expect sink ID made|accepted|refused|shed|pending N
 *   expect sink ID shed some               expect dead|quarantine|waiting N
 *   expect connected|gone|down             expect answer TEXT      expect exit N
 *   settle                                  until all is passed and posted (an hour at most)
 *   judge                                  compare all with a run without crashes
 */
#include "app/report_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/file.h"
#include "lp_decode.h"
#include "sim/fake_clock.h"
#include "sim/fake_file.h"
#include "sim/gateway.h"
#include "sim/site.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_LINES = 20000, MOST_TEXT = 16384 };

struct script {
    const char *file;
    char **lines;
    size_t n, at;
    unsigned sinks;
    char conf[4096], sink_text[2048];
    uint64_t journal, segment, sink;
    bool begun, over, start, expect_exit;
    uint64_t settle_until;
    enum sim_end how;
};

static struct script script;
static struct {
    char *log[MOST_LINES], *taken[MOST_LINES], *told[MOST_LINES];
    size_t n_log, n_taken, n_told;
    char answer[4096];
} seen;

static void run_commands(void *ctx);

_Noreturn static void wrong(const char *why)
{
    sim_fail("%s:%zu: %s: %s", script.file, script.at, why, script.lines[script.at - 1]);
}

/* -- words ----------------------------------------------------------------------------------- */

static char *word(char **p)
{
    while (**p == ' ')
        (*p)++;
    char *w = *p;
    while (**p && **p != ' ')
        (*p)++;
    if (**p)
        *(*p)++ = '\0';
    return w;
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static uint64_t time_of(const char *s)
{
    char unit[8] = "";
    unsigned long long n = 0;
    if (sscanf(s, "%llu%7s", &n, unit) != 2)
        wrong("not a time");
    uint64_t k = is(unit, "ms")  ? 1000000u
                 : is(unit, "s") ? 1000000000u
                 : is(unit, "m") ? 60000000000u
                 : is(unit, "h") ? 3600000000000u
                                 : 0;
    if (k == 0)
        wrong("not a time");
    return n * k;
}

static uint64_t number_of(const char *s)
{
    unsigned long long n;
    if (sscanf(s, "%llu", &n) != 1)
        wrong("not a number");
    return n;
}

static struct fake_db *db_of(const char *id)
{
    char url[128];
    (void)snprintf(url, sizeof(url), "http://%s", id);
    return fake_db_at(url, CONF_INFLUXDB1);
}

/* -- what was seen ---------------------------------------------------------------------------- */

static void on_log(const char *line)
{
    if (seen.n_log < MOST_LINES)
        seen.log[seen.n_log++] = mem_strdup(line);
}

/* Our own metrics aside. */
static void on_line(struct fake_db *d, const char *line, size_t n)
{
    if (strncmp(line, "gaihou_gateway", 14) == 0 || strncmp(line, "gaihou_ledger", 13) == 0)
        return;
    struct lp_point pt;
    const char *at = line, *why = "";
    if (lp_decode(&at, line + n, &pt, &why) != 1)
        sim_fail("not line protocol (%s): %.*s", why, (int)n, line);
    if (!pt.has_time)
        sim_fail("a line without a time: %.*s", (int)n, line);
    lp_point_done(&pt);
    if (!fake_db_has(d, fake_db_hash(line, n)) && seen.n_taken < MOST_LINES)
        seen.taken[seen.n_taken++] = mem_printf("%s %.*s", d->url + 7, (int)n, line);
}

/* Events of all firms, and replies, each once. */
static void on_told(const char *topic, const char *payload, size_t len, bool retain)
{
    (void)retain;
    if ((!strstr(topic, "/events/") && !strstr(topic, "/reply/")) || seen.n_told == MOST_LINES)
        return;
    for (size_t i = 0; i < seen.n_told; i++)
        if (strlen(seen.told[i]) == len && memcmp(seen.told[i], payload, len) == 0)
            return;
    seen.told[seen.n_told++] = mem_strndup(payload, len);
}

static size_t count_told(const char *texts)
{
    size_t n = 0;
    for (size_t i = 0; i < seen.n_told; i++) {
        char copy[1024], *save = NULL;
        bool all = true;
        (void)snprintf(copy, sizeof(copy), "%s", texts);
        for (char *t = strtok_r(copy, "|", &save); t; t = strtok_r(NULL, "|", &save)) {
            char *end = t + strlen(t);
            while (*t == ' ')
                t++;
            while (end > t && end[-1] == ' ')
                *--end = '\0';
            all &= strstr(seen.told[i], t) != NULL;
        }
        n += all;
    }
    return n;
}

static size_t count_taken(const char *id, const char *text, size_t *out_first)
{
    size_t n = 0;
    for (size_t i = seen.n_taken; i > 0; i--) {
        const char *t = seen.taken[i - 1];
        if (strncmp(t, id, strlen(id)) != 0 || t[strlen(id)] != ' ' || !strstr(t, text))
            continue;
        n++;
        *out_first = i;
    }
    return n;
}

static size_t logged(const char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < seen.n_log; i++)
        n += strstr(seen.log[i], text) != NULL;
    return n;
}

static void on_answer(void *ctx, int status, const char *body, size_t len)
{
    (void)ctx;
    (void)snprintf(seen.answer, sizeof(seen.answer), "%d %.*s", status, (int)len, body);
    sim_trace("answered: %s", seen.answer);
}

/* -- setting up ------------------------------------------------------------------------------- */

static void patch(struct conf *c)
{
    if (script.segment)
        c->journal.segment_bytes = script.segment;
    if (script.journal)
        c->journal.max_bytes = script.journal;
    for (size_t i = 0; i < c->n_sinks && script.sink; i++)
        c->sinks[i].max_bytes = script.sink;
}

static void add_sink(char *p)
{
    static const char *const names[] = {"influxdb1", "influxdb2", "influxdb3",
                                        "victoriametrics"};
    static const char *const needs[] = {"database: d, ", "org: o, bucket: b, token_file: t, ",
                                        "database: d, ", ""};
    char *id = word(&p), *type = word(&p), url[128];
    unsigned t = 0;
    while (t < 4 && !is(names[t], type))
        t++;
    if (t == 4)
        wrong("no such type");
    size_t n = strlen(script.sink_text);
    (void)snprintf(script.sink_text + n, sizeof(script.sink_text) - n,
                   "  - {id: %s, type: %s, %surl: \"http://%s\"%s%s}\n", id, type, needs[t], id,
                   *p ? ", " : "", p);
    (void)snprintf(url, sizeof(url), "http://%s", id);
    (void)fake_db_at(url, (enum conf_sink_type)t);
    script.sinks++;
}

/* The lines up to a dot become a file below /conf. */
static void read_file(const char *name)
{
    char text[MOST_TEXT] = "";
    size_t n = 0;
    while (script.at < script.n && !is(script.lines[script.at], "."))
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", script.lines[script.at++]);
    script.at++;
    char path[128];
    (void)snprintf(path, sizeof(path), "/conf/%s", name);
    fake_file_put(path, text);
}

static void begin(void)
{
    char text[8192];
    if (script.begun)
        return;
    script.begun = true;
    (void)snprintf(text, sizeof(text),
                   "gateway: {id: sim, data_dir: /data}\n"
                   "brokers: [{id: a, url: mqtt://broker}]\n"
                   "sources: [{profile: gaihou-json, broker: a}]\n"
                   "catalog: catalog.yaml\n"
                   "registry: {compounds: compounds.csv, devices: devices.csv}\n"
                   "http: {listen: null, socket: null}\n%ssinks:\n%s",
                   script.conf, script.sink_text);
    fake_file_put("/conf/gaihou.yaml", text);
    fake_file_put("/conf/catalog.yaml", catalogue);
    if (!fake_file_exists("/conf/compounds.csv"))
        fake_file_put("/conf/compounds.csv", compounds);
    if (!fake_file_exists("/conf/devices.csv"))
        fake_file_put("/conf/devices.csv", "device,kind,compound\nd0,sump,c1\nd1,sump,c1\n"
                                           "d2,sump,c2\nd3,smoke,c2\n");
    script.start = true;
}

/* -- commands --------------------------------------------------------------------------------- */

/* "@-90s" is the wall clock's time then, in milliseconds. */
static void put_times(const char *p, char *out, size_t size)
{
    size_t n = 0;
    while (*p && n + 24 < size) {
        if (p[0] != '@' || p[1] != '-') {
            out[n++] = *p++;
            continue;
        }
        char unit[32];
        size_t len = strspn(p + 2, "0123456789smh");
        (void)snprintf(unit, sizeof(unit), "%.*s", (int)len, p + 2);
        n += (size_t)snprintf(out + n, size - n, "%" PRId64,
                              (fake_clock_wall - (int64_t)time_of(unit)) / 1000000);
        p += 2 + len;
    }
    out[n] = '\0';
}

static void publish(char *p)
{
    char text[MOST_TEXT];
    unsigned qos = 1;
    bool retain = false;
    char topic[160], *w = word(&p);
    for (;; w = word(&p)) {
        if (is(w, "qos=0"))
            qos = 0;
        else if (is(w, "retain"))
            retain = true;
        else
            break;
    }
    if (*w == '/') /* a topic of its own */
        (void)snprintf(topic, sizeof(topic), "%s", w + 1);
    else
        (void)snprintf(topic, sizeof(topic), "gaihou/v1/up/%s", w);
    put_times(p, text, sizeof(text));
    (void)fake_mqtt_publish(topic, text, strlen(text), qos, retain);
}

static void firm(char *p)
{
    const struct fake_alarm *const *all, *last = NULL;
    size_t n = fake_store_alarms(&all);
    char *verb = word(&p);
    for (size_t i = 0; i < n; i++)
        if (!all[i]->is_reply && !is(all[i]->compound, "-")) /* not one of our own */
            last = all[i];
    if (!last)
        wrong("there is no case");
    char *topic = mem_printf("gaihou/v1/cmd/%s/%s/%s/%s", last->firm, last->compound,
                             last->case_id, verb);
    fake_alerts_say(topic, p, false, NULL, NULL);
    free(topic);
}

static void answer(char *p)
{
    static const char *const names[] = {"well", "down", "503", "timeout", "auth", "full"};
    struct fake_db *d = db_of(word(&p));
    for (unsigned i = 0; i < 6; i++)
        if (is(names[i], p)) {
            d->mood = (enum fake_db_mood)i;
            return;
        }
    wrong("no such answer");
}

static void reloaded(void *ctx, int changed, const char *text)
{
    (void)ctx;
    (void)snprintf(seen.answer, sizeof(seen.answer), "%s %s", changed > 0 ? "200" : "409",
                   text);
}

static void clock_command(const char *p)
{
    if (is(p, "unsynchronised"))
        fake_clock_synced = false;
    else if (is(p, "synchronised"))
        fake_clock_synced = true;
    else if (*p == '+')
        fake_clock_wall += (int64_t)time_of(p + 1);
    else if (*p == '-')
        fake_clock_wall -= (int64_t)time_of(p + 1);
    else
        wrong("not a step");
}

/* Inverts a byte of the journal's record whose payload holds the text. */
static void rot(const char *text)
{
    const struct gateway_record *g;
    char path[64];
    size_t n = gateway_log(&g);
    for (size_t i = n; i > 0; i--) {
        const struct record *r = &g[i - 1].r;
        if (r->type != RECORD_MESSAGE || !memmem(r->body, r->body_len, text, strlen(text)))
            continue;
        (void)snprintf(path, sizeof(path), "/data/journal/%016" PRIx64 ".journal",
                       g[i - 1].segment);
        fake_file_flip(path, r->offset - g[i - 1].segment + RECORD_HEADER + r->topic_len + 2);
        gateway_may_rot = true;
        return;
    }
    wrong("no such record");
}

static void http(char *p)
{
    char *method = word(&p), *path = word(&p), *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    fake_httpd_request(method, path, query, p, on_answer, NULL);
}

/* -- expectations ------------------------------------------------------------------------------ */

static uint64_t rows_of(bool quarantine)
{
    const struct fake_row *r;
    size_t n = fake_store_rows(&r);
    uint64_t k = 0;
    for (size_t i = 0; i < n; i++)
        k += r[i].quarantine == quarantine && !r[i].replayed;
    return k;
}

static void must_equal(uint64_t is_, const char *want)
{
    char why[64];
    if (is(want, "some") ? is_ > 0 : is_ == number_of(want))
        return;
    (void)snprintf(why, sizeof(why), "it is %" PRIu64, is_);
    wrong(why);
}

static void expect_ledger(char *p)
{
    char *compound = word(&p), *count = word(&p), name[96];
    const struct ledger *l = engine_ledger(pipeline_engine(gateway_app->pipeline));
    for (size_t i = 0; i < ledger_rows(l); i++) {
        if (!is(ledger_at(l, i)->compound, compound))
            continue;
        for (int c = 0; c < LEDGER_N; c++) {
            const char *reason = ledger_reason((enum ledger_count)c);
            (void)snprintf(name, sizeof(name), "%s%s%s", ledger_class((enum ledger_count)c),
                           *reason ? "." : "", reason);
            if (is(name, count)) {
                must_equal(ledger_at(l, i)->n[c], p);
                return;
            }
        }
    }
    wrong("no such count");
}

static void expect_sink(char *p)
{
    char *id = word(&p), *what = word(&p);
    for (size_t i = 0; i < gateway_app->n_sinks; i++) {
        struct sink_sums k;
        if (!is(gateway_app->conf->sinks[i].id, id))
            continue;
        report_sink_sums(gateway_app->sinks[i], &k);
        must_equal(is(what, "made")       ? k.made
                   : is(what, "accepted") ? k.accepted
                   : is(what, "refused")  ? k.refused
                   : is(what, "shed")     ? k.shed
                                          : k.pending,
                   p);
        return;
    }
    wrong("no such sink");
}

static void expect_before(char *p)
{
    char *id = word(&p), *bar = strstr(p, " | ");
    size_t first = 0, second = 0;
    if (!bar)
        wrong("\" | \" is missing");
    *bar = '\0';
    if (!count_taken(id, p, &first) || !count_taken(id, bar + 3, &second))
        wrong("one of them was never taken");
    if (first >= second)
        wrong("it was the other way round");
}

static void expect(char *p)
{
    bool no = strncmp(p, "no ", 3) == 0;
    size_t first;
    if (no)
        p += 3;
    char *what = word(&p);
    if (is(what, "log")) {
        if ((logged(p) > 0) == no)
            wrong(no ? "it was logged" : "it was not logged");
    } else if (is(what, "logs")) {
        char *n = strrchr(p, ' ');
        ASSERT(n);
        *n = '\0';
        must_equal(logged(p), n + 1);
    } else if (is(what, "gathered")) {
        must_equal(fake_image_gathered, p);
    } else if (is(what, "line")) {
        char *id = word(&p);
        if ((count_taken(id, p, &first) > 0) == no)
            wrong(no ? "it is there" : "it is not there");
    } else if (is(what, "lines")) {
        char *id = word(&p), *n = strrchr(p, ' ');
        ASSERT(n);
        *n = '\0';
        must_equal(count_taken(id, p, &first), n + 1);
    } else if (is(what, "told")) {
        char *n = strrchr(p, ' ');
        ASSERT(n);
        *n = '\0';
        must_equal(count_told(p), n + 1);
    } else if (is(what, "before")) {
        expect_before(p);
    } else if (is(what, "ledger")) {
        expect_ledger(p);
    } else if (is(what, "sink")) {
        expect_sink(p);
    } else if (is(what, "dead")) {
        must_equal(rows_of(false), p);
    } else if (is(what, "quarantine")) {
        must_equal(rows_of(true), p);
    } else if (is(what, "waiting")) {
        must_equal(fake_mqtt_waiting(), p);
    } else if (is(what, "connected")) {
        if (!fake_mqtt_connected())
            wrong("it is not");
    } else if (is(what, "gone")) {
        if (fake_mqtt_connected() || fake_mqtt_wanted())
            wrong("it is not");
    } else if (is(what, "down")) {
        if (sim_alive())
            wrong("it is not");
    } else if (is(what, "exit")) {
        must_equal((uint64_t)sim_exit_code(), p);
    } else if (is(what, "answer")) {
        if (!strstr(seen.answer, p))
            wrong(seen.answer);
    } else {
        wrong("no such expectation");
    }
}

/* -- running ----------------------------------------------------------------------------------- */

static void settle(void *ctx)
{
    if (gateway_settled()) {
        run_commands(ctx);
        return;
    }
    if (sim_now() > script.settle_until)
        wrong("does not settle");
    sim_after(100000000, settle, NULL, false);
}

static void folder(char *p)
{
    static struct fake_copy *copy;
    if (is(word(&p), "remember")) {
        fake_file_copy_free(copy);
        copy = fake_file_copy(p);
    } else if (copy) {
        fake_file_put_back(copy);
        gateway_sink_restored = true;
    } else {
        wrong("nothing was remembered");
    }
}

static void machine(const char *verb, char *p)
{
    if (is(verb, "broker")) {
        if (is(p, "forgets"))
            fake_mqtt_lose_session();
        else if (is(p, "deaf"))
            fake_mqtt_lose_subscriptions();
        else
            fake_mqtt_broker(is(p, "up"));
    } else if (is(verb, "store")) {
        if (is(p, "remember"))
            fake_store_remember();
        else if (is(p, "lose"))
            fake_store_lose();
        else if (!fake_store_restore())
            wrong("nothing was remembered");
        gateway_store_restored |= !is(p, "remember");
    } else if (is(verb, "folder")) {
        folder(p);
    } else if (is(verb, "alerts")) {
        if (is(p, "empty"))
            fake_alerts_empty();
        else
            fake_alerts_broker(is(p, "up"));
    } else if (is(verb, "disk")) {
        fake_file_limit(is(p, "full")); /* one byte: nothing grows */
    } else if (is(verb, "secret")) {
        fake_secret = "another";
    } else if (is(verb, "poison")) {
        fake_db_poison = is(p, "mended") ? NULL : "level=666";
        if (fake_db_poison)
            fake_db_all_old(); /* what was taken meanwhile is no mistake */
    } else if (is(verb, "image")) {
        fake_image_large |= is(p, "large");
        fake_image_mood = is(p, "well") || is(p, "large") ? IMAGE_WELL
                          : is(p, "unforked")             ? IMAGE_UNFORKED
                          : is(p, "nothing")              ? IMAGE_NOTHING
                          : is(p, "killed")               ? IMAGE_KILLED
                                                          : IMAGE_SLOW;
    } else if (is(verb, "acks")) {
        fake_mqtt_acks_lost = is(p, "lost");
    } else if (is(verb, "clock")) {
        clock_command(p);
    } else if (is(verb, "rot")) {
        rot(p);
    } else if (is(verb, "http")) {
        http(p);
    } else if (is(verb, "reload")) {
        if (app_reload(gateway_app, reloaded, NULL) != 0)
            wrong("is busy");
    } else if (is(verb, "judge")) {
        gateway_judge(true);
    } else {
        wrong("no such command");
    }
}

/* True: the rest comes later. */
static bool command(char *p)
{
    char *verb = word(&p);
    if (is(verb, "sink")) {
        add_sink(p);
    } else if (is(verb, "option")) {
        size_t n = strlen(script.conf);
        (void)snprintf(script.conf + n, sizeof(script.conf) - n, "%s\n", p);
    } else if (is(verb, "small")) {
        char *what = word(&p);
        *(is(what, "journal")   ? &script.journal
          : is(what, "segment") ? &script.segment
                                : &script.sink) = number_of(p);
    } else if (is(verb, "devices")) {
        read_file("devices.csv");
    } else if (is(verb, "file")) {
        read_file(p);
    } else if (is(verb, "pass")) {
        begin();
        sim_after(time_of(p), run_commands, NULL, false);
        return true;
    } else if (is(verb, "publish")) {
        publish(p);
    } else if (is(verb, "firm")) {
        firm(p);
    } else if (is(verb, "answer")) {
        answer(p);
    } else if (is(verb, "expect")) {
        expect(p);
    } else if (is(verb, "settle")) {
        script.settle_until = sim_now() + 3600000000000u;
        settle(NULL);
        return true;
    } else if (is(verb, "start")) {
        script.start = true;
        sim_after(0, run_commands, NULL, false);
        return true;
    } else if (is(verb, "crash") || is(verb, "powercut")) {
        sim_after(1, run_commands, NULL, false);
        sim_die(is(verb, "crash") ? SIM_KILLED : SIM_POWER_CUT);
    } else if (is(verb, "stop")) {
        app_stop(gateway_app);
    } else {
        machine(verb, p);
    }
    return false;
}

static void run_commands(void *ctx)
{
    static char line[MOST_TEXT];
    (void)ctx;
    while (script.at < script.n) {
        (void)snprintf(line, sizeof(line), "%s", script.lines[script.at++]);
        if (!line[0] || line[0] == '#')
            continue;
        sim_trace("> %s", line);
        if (command(line))
            return;
    }
    script.over = true;
    if (sim_alive())
        sim_die(SIM_KILLED);
}

static void read_script(const char *file)
{
    FILE *f = fopen(file, "r");
    static char line[MOST_TEXT];
    if (!f) {
        perror(file);
        exit(66);
    }
    script.file = file;
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        script.lines = mem_realloc_array(script.lines, script.n + 1, sizeof(char *));
        script.lines[script.n++] = mem_strdup(line);
    }
    fclose(f);
}

static void run_file(const char *file)
{
    sim_reset(1);
    gateway_reset();
    fake_image_mood = IMAGE_WELL;
    fake_image_large = false;
    fake_image_gathered = 0;
    fake_mqtt_reset();
    fake_store_reset();
    fake_httpc_reset();
    gateway_patch = patch;
    sim_on_log = on_log;
    fake_db_on_line = on_line;
    fake_alerts_on_message = on_told;
    fake_db_poison = "level=666";
    read_script(file);
    run_commands(NULL);
    while (!script.over) {
        if (script.start) {
            script.start = false;
            script.how = gateway_live();
        } else if (!sim_turn()) {
            sim_fail("%s: ends while the gateway is down", file);
        }
    }
}

int main(int argc, char **argv)
{
    int failed = 0, first = 1;
    sim_watches = true;
    if (argc > 1 && is(argv[1], "-v")) {
        sim_verbose = true;
        first = 2;
    }
    for (int i = first; i < argc; i++) {
        int status;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            run_file(argv[i]);
            _exit(0);
        }
        (void)waitpid(pid, &status, 0);
        const char *name = strrchr(argv[i], '/');
        if (status == 0)
            printf("  ok     %s\n", name ? name + 1 : argv[i]);
        else
            printf("  FAILED %s\n", argv[i]);
        failed += status != 0;
    }
    printf("sim: %d scenarios, %d failed\n", argc - first, failed);
    return failed ? 1 : 0;
}
