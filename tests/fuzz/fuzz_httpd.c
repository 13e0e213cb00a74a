/* SPDX-License-Identifier: Apache-2.0 */
/* Raw bytes to the real server on its Unix socket, with the real paths, queries and bodies
 * behind it; store and reports are stand-ins. Whatever comes: what is answered is HTTP with a
 * status of ours, a message is taken up only by POST, nothing is longer than what came. */
#include "app/api.h"
#include "app/tell.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/engine.h"
#include "io/httpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define QUIET_MS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct loop *loop;
    struct httpd *httpd;
    struct api *api;
    struct loop_poll *poll;
    struct loop_timer *quiet;
    struct engine *engine;
    struct world *world;
    char path[100], dir[64];
    int fd;
    const uint8_t *data;
    size_t size, sent;
    char answer[1 << 16];
    size_t n, seen;
    unsigned asked, reinjected;
    bool writing;
} f;

/* -- stand-ins ------------------------------------------------------------------------------ */

void report_metrics(const struct report_sources *s, struct buf *out)
{
    (void)s;
    (void)buf_puts(out, "a 1\n");
}
void report_status(const struct report_sources *s, const struct report_rates *r,
                   struct buf *out)
{
    (void)s, (void)r;
    (void)buf_puts(out, "{}");
}
void report_strange(const struct report_sources *s, const char *profile, struct buf *out)
{
    (void)s;
    (void)profile;
    (void)buf_puts(out, "{}");
}
void report_ledger(const struct report_sources *s, struct buf *out)
{
    (void)s;
    (void)buf_puts(out, "{}");
}
void sink_stats(const struct sink *s, struct sink_stats *out)
{
    (void)s;
    *out = (struct sink_stats){.state = "well"};
}
int sink_retake(struct sink *s, uint64_t id, const char *reason, uint64_t limit,
                sink_retake_fn *fn, void *ctx)
{
    (void)s;
    ASSERT(!reason || strlen(reason) <= f.size);
    if (id % 3 == 1)
        return -EBUSY;
    fn(ctx, &(struct sink_retaken){.lines = limit});
    return 0;
}
const struct engine *pipeline_engine(const struct pipeline *p)
{
    (void)p;
    return f.engine;
}
bool pipeline_has_stored(struct pipeline *p, uint64_t *offset)
{
    (void)p, (void)offset;
    return true;
}
void store_ask(struct store *s, enum store_query q, const struct store_filter *filter,
               store_json_fn *fn, void *ctx)
{
    (void)s;
    ASSERT(q < STORE_COUNTS);
    const char *texts[] = {filter->reason, filter->device, filter->topic_prefix};
    for (size_t i = 0; i < 3; i++)
        ASSERT(!texts[i] || strlen(texts[i]) <= f.size);
    if (filter->id % 3 == 1)
        fn(ctx, -ENOENT, NULL, 0);
    else
        fn(ctx, 0, "[]", 2);
}
void tell_stats(const struct tell *t, struct tell_stats *out)
{
    (void)t;
    *out = (struct tell_stats){.link = "up", .ready = f.size & 1, .orphaned = f.size};
}
void tell_orphans_each(struct tell *t, size_t most, tell_orphan_fn *fn, void *ctx)
{
    (void)t;
    for (size_t i = 0; i < f.size % 3 && i < most; i++)
        fn(ctx, "jinsong/c01/1:\"7\"");
}
void store_ask_alerts(struct store *s, enum store_alert_query q,
                      const struct store_alert_filter *filter, store_json_fn *fn, void *ctx)
{
    (void)s;
    ASSERT(q <= STORE_ALERT_HISTORY);
    const char *texts[] = {filter->id,   filter->compound, filter->firm, filter->device,
                           filter->rule, filter->severity, filter->state};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ASSERT(!texts[i] || strlen(texts[i]) <= f.size);
    if (filter->limit % 3 == 1)
        fn(ctx, -ENOENT, NULL, 0);
    else
        fn(ctx, 0, "{}", 2);
}
void store_letters(struct store *s, bool quarantine, const struct store_filter *filter,
                   store_letter_fn *fn, store_letters_done_fn *done, void *ctx)
{
    (void)s, (void)quarantine, (void)filter;
    struct store_letter l = {
        .broker = "", .topic = "a/b", .topic_len = 3, .payload = "x", .payload_len = 1};
    fn(ctx, 7, &l);
    done(ctx, 0, 1);
}
void store_mark_replayed(struct store *s, bool quarantine, const uint64_t *ids, size_t n,
                         store_fn *fn, void *ctx)
{
    (void)s, (void)quarantine;
    ASSERT(n == 1 && ids[0] == 7);
    fn(ctx, 0);
}

static int reload(void *ctx, void (*done)(void *ctx, int changed, const char *text),
                  void *done_ctx)
{
    (void)ctx;
    done(done_ctx, -1, "a \"text\"\nof two lines");
    return 0;
}
static int reinject(void *ctx, const struct store_letter *l)
{
    (void)ctx;
    ASSERT(f.writing); /* not by GET */
    ASSERT(l->topic_len <= f.size + 3 && l->payload_len <= f.size + 3);
    f.reinjected++;
    return l->topic_len > 1000 ? -EMSGSIZE : 0;
}
/* Answered at once, refused, or left until its time is over. */
static int command(void *ctx, const struct case_command *c)
{
    (void)ctx;
    ASSERT(f.writing); /* not by GET */
    ASSERT(!c->firm && c->origin != 0 && strlen(c->case_id) <= f.size);
    ASSERT(c->payload_len <= CASE_PAYLOAD_MAX);
    if (c->payload_len % 3 == 1)
        return -ENOSPC;
    if (c->payload_len % 3 == 2)
        api_replied(f.api, c->origin, ANSWER_DONE, "{}", 2);
    return 0;
}
static bool ready(void *ctx)
{
    (void)ctx;
    return f.reinjected % 2 == 0;
}

/* -- one connection ------------------------------------------------------------------------- */

static void handle(void *ctx, struct httpd_request *r)
{
    size_t n;
    const char *path = httpd_path(r), *body = httpd_body(r, &n), *q = httpd_query(r, "limit");
    ASSERT(path[0] == '/' || path[0] == '*' || path[0] == '\0' || strlen(path) <= f.size);
    ASSERT(n <= f.size && (n == 0 || body[n] == '\0') && (!q || strlen(q) <= f.size));
    ASSERT(httpd_may_write(r));
    f.asked++;
    f.writing = strcmp(httpd_method(r), "POST") == 0;
    api_handle(ctx, r);
    f.writing = false;
}

static void on_client(void *ctx, int status, int events)
{
    (void)ctx, (void)status, (void)events;
    while (f.sent < f.size) {
        ssize_t k = send(f.fd, f.data + f.sent, f.size - f.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0)
            break;
        f.sent += (size_t)k;
    }
    if (f.sent == f.size)
        loop_poll_start(f.poll, LOOP_READABLE);
    ssize_t k;
    while ((k = recv(f.fd, f.answer + f.n, sizeof(f.answer) - 1 - f.n, MSG_DONTWAIT)) > 0)
        f.n += (size_t)k;
    if (k == 0 || (k < 0 && errno != EAGAIN) || f.n == sizeof(f.answer) - 1)
        loop_stop(f.loop);
}

/* Half a request, or a connection that is kept: it waits for more, and is left. */
static void on_quiet(void *ctx)
{
    (void)ctx;
    if (f.sent == f.size && f.n == f.seen)
        loop_stop(f.loop);
    f.seen = f.n;
}

static struct world *a_world(void)
{
    static const char conf[] =
        "gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n"
        "sources: [{profile: gaihou-json, broker: a}]\n"
        "sinks: [{id: s, type: influxdb1, url: 'http://h', database: d}]\n"
        "catalog: catalog.yaml\n"
        "registry: {compounds: compounds.csv, devices: devices.csv}\n";
    static const char catalog[] = "version: 1\nkinds:\n  sump:\n    zh: 集\n    en: sump\n"
                                  "    metrics:\n"
                                  "      level: {type: float, zh: 位, en: level}\n";
    static const char compounds[] = "compound,name\nc1,一\nc2,二\n";
    static const char devices[] = "device,source_id,kind,compound\nd1,E1,sump,c1\n"
                                  "d2,,sump,c2\nd3,,sump,c2\n";
    struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"/t/gaihou.yaml", conf, sizeof(conf) - 1},
        [WORLD_CATALOG] = {"/t/catalog.yaml", catalog, sizeof(catalog) - 1},
        [WORLD_COMPOUNDS] = {"/t/compounds.csv", compounds, sizeof(compounds) - 1},
        [WORLD_DEVICES] = {"/t/devices.csv", devices, sizeof(devices) - 1}};
    struct problems *problems = problems_new(20);
    struct world *w = NULL;
    struct buf b;
    buf_init(&b, 1 << 20);
    ASSERT(world_bundle(parts, &b) == 0);
    (void)world_open(b.data, b.len, problems, &w);
    for (size_t i = 0; i < problems_count(problems); i++)
        log_error("%s", problems_get(problems, i));
    ASSERT(w != NULL);
    buf_done(&b);
    problems_free(problems);
    return w;
}

static void begin(void)
{
    static struct report_sources sources;
    static struct report_rates rates;
    static const struct engine_out nothing;
    struct err err;
    (void)snprintf(f.dir, sizeof(f.dir), "/tmp/gaihou-fuzz-XXXXXX");
    ASSERT(mkdtemp(f.dir) != NULL);
    (void)snprintf(f.path, sizeof(f.path), "%s/s", f.dir);
    sources.tell = (struct tell *)&f; /* a name only */
    f.loop = loop_new();
    f.engine = engine_new(&nothing);
    f.world = a_world();
    engine_use(f.engine, f.world);
    f.api = api_new(&(struct api_options){.sources = &sources,
                                          .rates = &rates,
                                          .loop = f.loop,
                                          .reload = reload,
                                          .reinject = reinject,
                                          .ready = ready,
                                          .command = command});
    ASSERT(httpd_open(f.loop, &(struct httpd_options){.socket = f.path}, handle, f.api, &err,
                      &f.httpd) == 0);
    f.quiet = loop_timer_new(f.loop, on_quiet, NULL);
}

static void check_answers(void)
{
    static const int known[] = {100, 200, 400, 403, 404, 405, 409, 411,
                                413, 414, 431, 500, 501, 503, 505};
    if (f.n == 0)
        return;
    f.answer[f.n] = '\0';
    ASSERT(strncmp(f.answer, "HTTP/1.", 7) == 0 && f.n > 12);
    bool found = false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char text[8];
        (void)snprintf(text, sizeof(text), " %d ", known[i]);
        found = found || strncmp(f.answer + 8, text, 5) == 0;
    }
    ASSERT(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (!f.loop)
        begin();
    memcpy(sa.sun_path, f.path, strlen(f.path) + 1);
    f.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(f.fd >= 0 && connect(f.fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    f.data = data;
    f.size = size;
    f.sent = f.n = f.seen = 0;
    f.poll = loop_poll_new(f.loop, f.fd, on_client, NULL);
    loop_poll_start(f.poll, LOOP_READABLE | LOOP_WRITABLE);
    loop_timer_start(f.quiet, QUIET_MS, QUIET_MS);
    loop_run(f.loop);
    loop_timer_stop(f.quiet);
    loop_poll_free(f.poll);
    (void)close(f.fd);
    check_answers();
    return 0;
}
