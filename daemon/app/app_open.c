/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening in order, closing in reverse. The order is the one recovery needs: what is known of
 * positions (store, outbound logs) before the journal is opened, the engine's state before the
 * first record of this process, the journal before the first broker.
 */
#include "app/app_private.h"
#include "base/mem.h"
#include "base/num.h"
#include "io/ahead.h"
#include "io/clock.h"
#include "io/content.h"
#include "io/file.h"
#include "io/httpd.h"
#include "io/lock.h"
#include "io/pem.h"
#include "io/secret.h"
#include "io/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EX_IOERR_  74
#define EX_CONFIG_ 78
/* Pool jobs that may be under way at a time: the journal's sync and its next segment, a snapshot,
 * a reload, clients being closed (two), a record that somebody asks for; and each sink writes a
 * block. None waits for another's disk. */
#define POOL_JOBS 7

int app_append(struct app *a, const struct record *r)
{
    struct record copy = *r;
    uint64_t end;
    if (!copy.topic)
        copy.topic = "";
    if (!copy.body)
        copy.body = "";
    int k = journal_append(a->journal, &copy, &end);
    if (k == 0 && a->pipeline)
        pipeline_notify(a->pipeline);
    return k;
}

int app_append_generation(struct app *a, const struct world *w)
{
    char body[6 + 32];
    memcpy(body, "world", 6);
    memcpy(body + 6, w->hash, 32);
    return app_append(a, &(struct record){.type = RECORD_GENERATION,
                                          .broker = 255,
                                          .body = body,
                                          .body_len = sizeof(body)});
}

/* -- secrets ------------------------------------------------------------------------------ */

static void secret_at(const char *path, const struct conf *c, const void *item,
                      const char *option, struct problems *problems, char **out)
{
    struct err err, remark;
    if (!path)
        return;
    const struct conf_place at = conf_place(c, item, option);
    if (secret_load(path, &err, &remark, out) != 0)
        problems_add(problems, c->file, at.line, at.col, "%s: %s", option, err.text);
    else if (remark.text[0])
        problems_warn(problems, c->file, at.line, at.col, "%s: %s", option, remark.text);
}

static struct pem_file pem_of(const struct conf *c, const void *item, const char *option,
                              const char *path, const struct pem_where *where)
{
    const struct conf_place at = conf_place(c, item, option);
    struct pem_file f = {.option = option, .path = path, .line = at.line, .col = at.col};
    pem_file_load(&f, where);
    return f;
}

static void check_broker_pem(const struct conf *c, const struct conf_broker *b,
                             const char *password, const struct pem_where *where)
{
    struct pem_file ca = pem_of(c, b, "brokers.tls.ca_file", b->tls.ca_file, where);
    struct pem_file cert = pem_of(c, b, "brokers.tls.cert_file", b->tls.cert_file, where);
    struct pem_file key = pem_of(c, b, "brokers.tls.key_file", b->tls.key_file, where);
    pem_file_certificates(&ca, where);
    pem_file_certificates(&cert, where);
    pem_file_key(&key, &cert, password, where);
    pem_file_done(&ca);
    pem_file_done(&cert);
    pem_file_done(&key);
}

static void check_pem(const struct conf *c, const struct app_secrets *secrets,
                      struct problems *problems)
{
    const struct pem_where where = {c->file, problems};
    for (size_t i = 0; i < c->n_brokers; i++)
        check_broker_pem(c, &c->brokers[i], secrets->broker_keys[i], &where);
    for (size_t i = 0; i < c->n_sinks; i++) {
        const struct conf_sink *s = &c->sinks[i];
        struct pem_file ca = pem_of(c, s, "sinks.ca_file", s->ca_file, &where);
        pem_file_certificates(&ca, &where);
        pem_file_done(&ca);
    }
}

int app_load_secrets(const struct conf *c, struct app_secrets *out, struct problems *problems)
{
    size_t before = problems_errors(problems);
    out->broker_passwords = mem_zalloc_array(c->n_brokers, sizeof(char *));
    out->broker_keys = mem_zalloc_array(c->n_brokers, sizeof(char *));
    out->sink_passwords = mem_zalloc_array(c->n_sinks, sizeof(char *));
    out->sink_tokens = mem_zalloc_array(c->n_sinks, sizeof(char *));
    for (size_t i = 0; i < c->n_brokers; i++) {
        const struct conf_broker *b = &c->brokers[i];
        secret_at(b->password_file, c, b, "brokers.password_file", problems,
                  &out->broker_passwords[i]);
        secret_at(b->tls.key_password_file, c, b, "brokers.tls.key_password_file", problems,
                  &out->broker_keys[i]);
    }
    for (size_t i = 0; i < c->n_sinks; i++) {
        const struct conf_sink *s = &c->sinks[i];
        secret_at(s->password_file, c, s, "sinks.password_file", problems,
                  &out->sink_passwords[i]);
        secret_at(s->token_file, c, s, "sinks.token_file", problems, &out->sink_tokens[i]);
    }
    secret_at(c->http.token_file, c, NULL, "http.token_file", problems, &out->http_token);
    check_pem(c, out, problems);
    return problems_errors(problems) == before ? 0 : -EINVAL;
}

void app_free_secrets(const struct conf *c, struct app_secrets *s)
{
    for (size_t i = 0; s->broker_passwords && i < c->n_brokers; i++) {
        secret_free(s->broker_passwords[i]);
        secret_free(s->broker_keys[i]);
    }
    for (size_t i = 0; s->sink_passwords && i < c->n_sinks; i++) {
        secret_free(s->sink_passwords[i]);
        secret_free(s->sink_tokens[i]);
    }
    free(s->broker_passwords);
    free(s->broker_keys);
    free(s->sink_passwords);
    free(s->sink_tokens);
    secret_free(s->http_token);
    *s = (struct app_secrets){0};
}

static bool differ(const char *a, const char *b)
{
    return !a != !b || (a && strcmp(a, b) != 0);
}

const char *app_secret_changed(const struct conf *c, const struct app_secrets *a,
                               const struct app_secrets *b)
{
    for (size_t i = 0; i < c->n_brokers; i++) {
        if (differ(a->broker_passwords[i], b->broker_passwords[i]))
            return "brokers.password_file";
        if (differ(a->broker_keys[i], b->broker_keys[i]))
            return "brokers.tls.key_password_file";
    }
    for (size_t i = 0; i < c->n_sinks; i++) {
        if (differ(a->sink_passwords[i], b->sink_passwords[i]))
            return "sinks.password_file";
        if (differ(a->sink_tokens[i], b->sink_tokens[i]))
            return "sinks.token_file";
    }
    return differ(a->http_token, b->http_token) ? "http.token_file" : NULL;
}

static int open_secrets(struct app *a)
{
    struct problems *problems = problems_new(64);
    int r = app_load_secrets(a->conf, &a->secrets, problems);
    for (size_t i = 0; r < 0 && i < problems_count(problems);
         i++) /* warnings were told before */
        log_error("%s", problems_get(problems, i));
    problems_free(problems);
    return r;
}

/* -- folders ------------------------------------------------------------------------------ */

void app_name_paths(const struct conf *c, struct app_paths *p)
{
    const char *suffix = c->gateway.lane == CONF_LANE_LIFE_SAFETY ? "-ls" : "";
    p->data = mem_printf("%s%s", c->gateway.data_dir, suffix);
    p->journal = mem_printf("%s/journal", p->data);
    p->archive = mem_printf("%s/archive", p->data);
    p->snapshots = mem_printf("%s/snapshots", p->data);
    p->generations = mem_printf("%s/generations", p->data);
    p->outbound = mem_printf("%s/outbound", p->data);
    p->store = mem_printf("%s/store.db", p->data);
    p->epoch = mem_printf("%s/epoch", p->data);
    p->socket = c->http.socket ? mem_printf("%s%s", c->http.socket, suffix) : NULL;
}

void app_free_paths(struct app_paths *p)
{
    char *all[] = {p->data,     p->journal, p->archive, p->snapshots, p->generations,
                   p->outbound, p->store,   p->epoch,   p->socket};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

static int open_folders(struct app *a)
{
    const struct app_paths *p = &a->paths;
    const char *dirs[] = {p->data,      p->journal,     p->archive,
                          p->snapshots, p->generations, p->outbound};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        int r = file_make_dir(dirs[i]);
        if (r != 0) {
            log_error("%s: cannot be made: %s", dirs[i], strerror(-r));
            return r;
        }
    }
    char *path = mem_printf("%s/lock", p->data);
    a->lock = lock_take(path);
    free(path);
    if (a->lock == -EWOULDBLOCK)
        log_error("%s: another gaihoud runs on this folder", p->data);
    else if (a->lock < 0)
        log_error("%s: cannot be locked: %s", p->data, strerror(-a->lock));
    return a->lock < 0 ? a->lock : 0;
}

/* -- store, sinks ------------------------------------------------------------------------- */

static int open_store(struct app *a, struct store_opened *out)
{
    struct err err;
    int r = store_open(
        a->loop,
        &(struct store_options){.path = a->paths.store,
                                .dead_bytes = a->conf->store.dead_bytes,
                                .quarantine_devices = a->conf->store.quarantine_devices,
                                .keep_s = a->conf->store.keep_s,
                                .no_outbox = !a->conf->alerts.broker},
        &err, out, &a->store);
    if (r != 0)
        log_error("%s", err.text);
    return r;
}

/* The lines of VictoriaMetrics have no texts, and those of InfluxDB no meaning for it: what waits in
 * a log can only be taken by such a database as it was made for. Its folder says which. */
static int check_dialect(struct app *a, size_t i)
{
    static const char *const dialects[] = {"influx\n", "numbers\n"};
    const struct conf_sink *c = &a->conf->sinks[i];
    const char *now = dialects[c->type == CONF_VICTORIAMETRICS];
    char *path = mem_printf("%s/%s/dialect", a->paths.outbound, c->id), *was = NULL;
    uint64_t waiting = outbound_pending_lines(sink_outbound(a->sinks[i]));
    size_t len = 0;
    int r = file_load(path, sizeof("numbers\n"), &was, &len);
    if (r != 0 && r != -ENOENT) {
        log_error("%s: cannot be read: %s", path, strerror(-r));
    } else if (r == 0 && strcmp(was, now) != 0 && waiting > 0) {
        log_error("sink %s: %llu lines wait that were written for %s, sinks.type is %s now: "
                  "expected the type as it was until they are taken, or another id for the "
                  "new database",
                  c->id, (unsigned long long)waiting,
                  strcmp(was, dialects[1]) == 0 ? "victoriametrics" : "InfluxDB",
                  conf_sink_type_name(c->type));
        a->exit_code = EX_CONFIG_;
        r = -EINVAL;
    } else if (r != 0 || strcmp(was, now) != 0) {
        r = file_store(path, now, strlen(now));
        if (r != 0)
            log_error("%s: cannot be written: %s", path, strerror(-r));
    }
    free(was);
    free(path);
    return r;
}

static int open_sink(struct app *a, size_t i)
{
    const struct conf_sink *c = &a->conf->sinks[i];
    struct err err;
    char *dir = mem_printf("%s/%s", a->paths.outbound, c->id);
    struct sink_options o = {.conf = c,
                             .dir = dir,
                             .password = a->secrets.sink_passwords[i],
                             .token = a->secrets.sink_tokens[i],
                             .loop = a->loop,
                             .httpc = a->httpc,
                             .store = a->store};
    int r = file_make_dir(dir);
    if (r != 0)
        log_error("%s: cannot be made: %s", dir, strerror(-r));
    else if ((r = sink_open(&o, &err, &a->sinks[i])) != 0)
        log_error("sink %s: %s", c->id, err.text);
    else
        a->n_sinks++;
    free(dir);
    return r;
}

static int open_sinks(struct app *a)
{
    a->sinks = mem_zalloc_array(a->conf->n_sinks, sizeof(*a->sinks));
    a->sinks_before = mem_zalloc_array(a->conf->n_sinks, sizeof(*a->sinks_before));
    for (size_t i = 0; i < a->conf->n_sinks; i++) {
        int r = open_sink(a, i);
        if (r == 0)
            r = check_dialect(a, i);
        if (r != 0)
            return r;
    }
    return 0;
}

/* How many points the engine had made before this sink's log began: noted when it begins. */
static int note_before(struct app *a, size_t i)
{
    struct ledger_row total;
    char *path = mem_printf("%s/%s/before", a->paths.outbound, a->conf->sinks[i].id);
    char *text = NULL;
    size_t len = 0;
    int r = 0;
    if (sink_end(a->sinks[i]).offset == 0) {
        char digits[24];
        ledger_total(engine_ledger(pipeline_engine(a->pipeline)), &total);
        a->sinks_before[i] = total.n[LEDGER_POINTS_MADE] + total.n[LEDGER_POINTS_OWN];
        r = file_store(path, digits, num_put_u64(digits, a->sinks_before[i]));
        if (r != 0)
            log_error("%s: cannot be written: %s", path, strerror(-r));
    } else {
        r = file_load(path, sizeof("18446744073709551615"), &text, &len);
        if (r == 0)
            (void)num_get_u64(text, len, &a->sinks_before[i]);
        else if (r == -ENOENT)
            r = 0; /* began with the first point */
        else
            log_error("%s: cannot be read: %s", path, strerror(-r));
    }
    free(text);
    free(path);
    return r;
}

/* -- journal and engine ------------------------------------------------------------------- */

/* The highest offset that store, outbound logs and snapshots know, and up to which engine time live
 * ticks had run at that place. A snapshot may be alone in knowing: of a restored store and of logs
 * that lost their power, a later start would otherwise find it ahead of its own time. */
static void known_positions(const struct app *a, const struct store_opened *s,
                            struct snapshots *snapshots, struct position *out)
{
    *out = s->cursor;
    for (size_t i = 0; i < a->n_sinks; i++) {
        struct position end = sink_end(a->sinks[i]);
        if (position_cmp(&end, out) > 0)
            *out = end;
    }
    struct snapshot newest; /* that verifies */
    if (snapshots_newest(snapshots, NULL, NULL, &newest) == 0 &&
        position_cmp(&newest.position, out) > 0)
        *out = newest.position;
}

struct snapshots *app_take_ahead(struct app *a)
{
    struct snapshots *s;
    ahead_end(a->ahead);
    a->ahead = NULL;
    s = a->ahead_set;
    a->ahead_set = NULL;
    return s;
}

static int open_snapshots(struct app *a, struct snapshots **out)
{
    struct snapshots *ahead = app_take_ahead(a);
    if (ahead && snapshots_still(ahead)) { /* the folder is ours alone now */
        *out = ahead;
        return 0;
    }
    snapshots_close(ahead);
    int r = snapshots_open(a->paths.snapshots, out);
    if (r != 0)
        log_error("%s: cannot be read: %s", a->paths.snapshots, strerror(-r));
    return r;
}

static int open_journal(struct app *a, const struct position *known)
{
    struct journal_recovery rec;
    struct err err;
    struct journal_options o = {.dir = a->paths.journal,
                                .max_bytes = a->conf->journal.max_bytes,
                                .segment_bytes = a->conf->journal.segment_bytes,
                                .sync = (enum conf_sync)a->conf->journal.sync,
                                .known = known->offset,
                                .known_engine_ns = known->tick};
    int r = journal_open(&o, &err, &rec, &a->journal);
    if (r != 0) {
        log_error("%s", err.text);
        return r;
    }
    if (rec.unclean)
        log_notice("journal: the last run did not stop cleanly; %llu messages are kept%s",
                   (unsigned long long)rec.messages,
                   rec.cut_bytes ? ", a torn end was cut" : "");
    if (rec.time == JOURNAL_TIME_UNKNOWN)
        log_warn(
            "journal: the machine was started anew and its clock cannot be trusted: how long "
            "the gateway was away is not known");
    if (rec.unreadable || rec.missing || rec.damaged_headers)
        log_error("journal: %llu segments cannot be read, %llu are missing, %llu headers are "
                  "damaged; what they held is counted as dead{corrupt}",
                  (unsigned long long)rec.unreadable, (unsigned long long)rec.missing,
                  (unsigned long long)rec.damaged_headers);
    if (rec.lost_known)
        log_error(
            "journal: ends before what store or outbound logs have seen (%llu): a power cut "
            "took its end, or it was restored; a new segment begins above it",
            (unsigned long long)known->offset);
    return 0;
}

static void ask_rebirth(void *app, unsigned broker, const char *topic, size_t len)
{
    struct app *a = app;
    if (a->ingest)
        ingest_rebirth(a->ingest, broker, topic, len);
}

/* The oldest place that journal, archive or snapshot has: generations used only before it go. */
uint64_t app_oldest_offset(const struct app *a)
{
    struct journal_stats j;
    struct pipeline_stats p;
    struct journal_archive archive = {0};
    journal_stats(a->journal, &j);
    pipeline_stats(a->pipeline, &p);
    uint64_t oldest = j.first;
    if (p.snapshot.offset < oldest)
        oldest = p.snapshot.offset;
    if (journal_archive_span(a->paths.archive, &archive) != 0)
        return 0;
    return archive.segments > 0 && archive.first < oldest ? archive.first : oldest;
}

static int keep_generation(struct app *a)
{
    const char *hash = pipeline_newest(a->pipeline)->hash;
    int r = content_prune(a->paths.generations, app_oldest_offset(a), hash);
    if (r != 0)
        log_warn("%s: old generations cannot be removed: %s; tried again at the next reload",
                 a->paths.generations, strerror(-r));
    if (r != 0)
        (void)log_broke(&a->prune_log);
    r = content_use(a->paths.generations, hash, journal_end(a->journal));
    if (r != 0)
        log_error("%s: cannot note the generation: %s", a->paths.generations, strerror(-r));
    return r;
}

static void replied(void *app, uint64_t origin, enum case_answer answer, const char *json,
                    size_t len)
{
    struct app *a = app;
    api_replied(a->api, origin, answer, json, len);
}

static int open_pipeline(struct app *a, struct loaded *l, const struct store_opened *s,
                         struct snapshots *snapshots)
{
    struct err err = {{0}};
    char hash[CONTENT_HEX + 1];
    int r = content_put(a->paths.generations, l->bundle.data, l->bundle.len, hash);
    if (r != 0) {
        log_error("%s: cannot keep the generation: %s", a->paths.generations, strerror(-r));
        return r;
    }
    buf_done(&l->bundle);
    struct pipeline_options o = {
        .loop = a->loop,
        .journal = a->journal,
        .store = a->store,
        .store_cursor = s->cursor,
        .store_fresh = s->fresh,
        .epoch_from = s->epoch_from,
        .sinks = a->sinks,
        .n_sinks = a->n_sinks,
        .snapshots = snapshots,
        .snapshot_dir = a->paths.snapshots,
        .content_dir = a->paths.generations,
        .archive_dir = a->conf->journal.archive.max_bytes ? a->paths.archive : NULL,
        .conf = &a->conf->journal,
        .world = l->world,
        .fatal = app_fatal,
        .refused = app_refused,
        .rebirth = ask_rebirth,
        .reply = replied,
        .ctx = a};
    l->world = NULL;
    r = pipeline_open(&o, &err, &a->pipeline);
    if (r == -EINVAL)
        a->exit_code = EX_CONFIG_;
    if (r != 0)
        log_error("%s", err.text);
    else
        r = keep_generation(a);
    for (size_t i = 0; i < a->n_sinks && r == 0; i++)
        r = note_before(a, i);
    return r;
}

/* The first records of this process: that it began, and under which generation it goes on. */
static int begin_records(struct app *a)
{
    int r = app_append(a, &(struct record){.type = RECORD_START,
                                           .broker = 255,
                                           .body = GAIHOU_VERSION,
                                           .body_len = strlen(GAIHOU_VERSION)});
    if (r == 0)
        r = app_append_generation(a, pipeline_newest(a->pipeline));
    if (r != 0)
        log_error("journal: cannot take its first record: %s", strerror(-r));
    return r;
}

/* -- brokers, HTTP ------------------------------------------------------------------------ */

static int open_ingest(struct app *a)
{
    size_t n = a->conf->n_brokers;
    const char **passwords = mem_zalloc_array(n, sizeof(*passwords));
    const char **keys = mem_zalloc_array(n, sizeof(*keys));
    struct err err;
    for (size_t i = 0; i < n; i++) {
        passwords[i] = a->secrets.broker_passwords[i];
        keys[i] = a->secrets.broker_keys[i];
    }
    int r = ingest_open(
        &(struct ingest_options){a->loop, a->journal, a->pipeline, a->conf, passwords, keys},
        pipeline_newest(a->pipeline), &err, &a->ingest);
    free(passwords);
    free(keys);
    if (r != 0)
        log_error("%s", err.text);
    a->sources.ingest = a->ingest;
    return r;
}

static int reinject(void *ctx, const struct store_letter *l)
{
    struct app *a = ctx;
    struct record r = {.type = RECORD_REINJECT,
                       .flags = (uint8_t)(l->flags & ~(RECORD_DUP | RECORD_RETAIN)),
                       .broker = 255,
                       .wall_ns = l->wall_ns,
                       .topic = l->topic,
                       .topic_len = l->topic_len,
                       .body = l->payload,
                       .body_len = l->payload_len};
    return a->stopping ? -ESHUTDOWN : app_append(a, &r); /* the mark of the stop is the last */
}

/* An operator's: which case is all that its topic says. */
static int command(void *ctx, const struct case_command *c)
{
    struct app *a = ctx;
    struct case_command k = *c;
    struct buf body;
    char *firm = NULL, *compound = NULL;
    if (a->stopping)
        return -ESHUTDOWN;
    if (a->tell && tell_orphan(a->tell, c->case_id, &firm, &compound)) {
        k.former_firm = firm;
        k.former_compound = compound;
    }
    char *topic = mem_printf("-/-/%s/%s", c->case_id, case_verb_name(c->verb));
    buf_init(&body, 2 * CASE_PAYLOAD_MAX);
    int r = case_command_put(&k, &body);
    if (r == 0)
        r = app_append(a, &(struct record){.type = RECORD_COMMAND,
                                           .broker = 255,
                                           .topic = topic,
                                           .topic_len = strlen(topic),
                                           .body = body.data,
                                           .body_len = body.len});
    buf_done(&body);
    free(topic);
    free(firm);
    free(compound);
    return r;
}

static bool ready(void *ctx)
{
    struct app *a = ctx;
    struct journal_stats j;
    if (!a->ingest || a->stopping || ingest_held(a->ingest))
        return false;
    journal_stats(a->journal, &j);
    for (size_t i = 0; i < ingest_brokers(a->ingest); i++) {
        struct mqtt_stats m;
        ingest_stats(a->ingest, i, &m);
        if (!m.subscribed) /* what is published before reaches nobody */
            return false;
    }
    return j.failed == 0;
}

static int open_http(struct app *a)
{
    struct err err;
    a->sources.conf = a->conf;
    a->sources.journal = a->journal;
    a->sources.pipeline = a->pipeline;
    a->sources.store = a->store;
    a->sources.sinks = a->sinks;
    a->sources.sinks_before = a->sinks_before;
    a->sources.n_sinks = a->n_sinks;
    a->sources.started_wall_ns = clock_wall_ns();
    a->api = api_new(&(struct api_options){.sources = &a->sources,
                                           .rates = &a->rates,
                                           .loop = a->loop,
                                           .reload = app_reload,
                                           .reinject = reinject,
                                           .ready = ready,
                                           .command = command,
                                           .ctx = a,
                                           .archive_dir = a->paths.archive});
    int r = httpd_open(
        a->loop,
        &(struct httpd_options){a->conf->http.listen, a->paths.socket, a->secrets.http_token},
        api_handle, a->api, &err, &a->httpd);
    if (r != 0)
        log_error("%s", err.text);
    return r;
}

/* What the last run left behind, as far as it may be gone on with. */
static int open_past(struct app *a, struct loaded *l, const struct store_opened *s)
{
    struct snapshots *snapshots = NULL;
    struct position known;
    int r = open_snapshots(a, &snapshots);
    if (r != 0)
        return r;
    known_positions(a, s, snapshots, &known);
    r = open_journal(a, &known);
    r = r == 0 ? open_pipeline(a, l, s, snapshots) : r;
    snapshots_close(snapshots);
    return r == 0 ? begin_records(a) : r;
}

int app_open_all(struct app *a, struct loaded *l)
{
    struct store_opened s = {0};
    int r;
    log_set_level((enum log_level)a->conf->log.level);
    log_info("gaihoud " GAIHOU_VERSION " starting: gateway %s, %zu compounds, %zu devices",
             a->conf->gateway.id, registry_compounds(l->world->registry),
             registry_devices(l->world->registry));
    for (size_t i = 0; registry_remark(l->world->registry, i); i++)
        log_info("%s", registry_remark(l->world->registry, i));
    loop_pool(POOL_JOBS + (unsigned)a->conf->n_sinks);
    a->loop = loop_new();
    a->deadline = loop_timer_new(a->loop, app_too_late, a);
    a->httpc = httpc_new(a->loop);
    journal_sigbus_install();
    if ((r = open_secrets(a)) != 0 || (r = open_folders(a)) != 0 ||
        (r = open_store(a, &s)) != 0 || (r = open_sinks(a)) != 0 ||
        (r = open_past(a, l, &s)) != 0 || (r = app_begin_stream(a)) != 0)
        return r;
    pipeline_start(a->pipeline);
    if ((r = open_ingest(a)) != 0 || (r = app_open_tell(a, &s.cursor)) != 0)
        return r;
    return open_http(a);
}

/* What is told here the last sync of a clean stop was to make true. */
static void close_journal(struct app *a)
{
    int r = journal_close(a->journal);
    if (r == 0 || a->exit_code != 0)
        return; /* why it ended was said */
    log_error("journal: cannot be finished: %s; what was not synced may be missing after a "
              "power cut",
              strerror(-r));
    a->exit_code = EX_IOERR_;
}

void app_close_all(struct app *a)
{
    if (!a->loop)
        return;
    httpd_close(a->httpd);
    api_free(a->api);
    ingest_close(a->ingest ? a->ingest : a->closing);
    a->sources.tell = NULL;
    tell_close(a->tell);
    pipeline_close(a->pipeline);
    for (size_t i = 0; i < a->n_sinks; i++)
        sink_close(a->sinks[i]);
    httpc_free(a->httpc);
    store_close(a->store);
    close_journal(a);
    loop_timer_free(a->second);
    loop_timer_free(a->hold);
    loop_timer_free(a->deadline);
    loop_free(a->loop);
    lock_release(a->lock);
    app_free_secrets(a->conf, &a->secrets);
    free(a->sinks);
    free(a->sinks_before);
}
