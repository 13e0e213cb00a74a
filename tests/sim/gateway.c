/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/gateway.h"
#include "app/pipeline_private.h"
#include "app/report_private.h"
#include "app/sink_int.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/engine_count_private.h"
#include "core/lineproto.h"
#include "io/content.h"
#include "io/file.h"
#include "io/snapshot.h"
#include "sim/fake_file.h"
#include "sim/pool.h"
#include "sim/rollback.h"
#include "sim/own.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONF "/conf/gaihou.yaml"

struct app *gateway_app;
uint64_t gateway_alarms;
void (*gateway_patch)(struct conf *c);
bool (*gateway_means)(const char *warning);
void (*gateway_on_life)(bool begins);
uint64_t gateway_outbound_segment = 32768;
bool gateway_may_rot, gateway_store_restored, gateway_sink_restored, gateway_past_lost;
const char *gateway_data = "/data", *gateway_lane = "all";
void (*gateway_on_reference_line)(const char *line, size_t n);

static struct {
    struct gateway_record *r;
    size_t n, cap;
    size_t durable;    /* records known to be on the disk */
    uint64_t synced;   /* what the journal claimed last */
    uint64_t released; /* segments below may go, in any order */
    bool compared;     /* with the journal, in this life */
    bool power_cut;
    enum conf_sync sync;
} record_log;

static struct {
    struct fake_copy *files;
    size_t n; /* records */
    uint64_t synced, released;
    bool power_cut; /* before it, and no start since: records may be missing in it */
} backup;

static void record_free(struct gateway_record *g)
{
    free((char *)(uintptr_t)g->r.topic);
    free((char *)(uintptr_t)g->r.body);
}

static void forget_backup(void)
{
    fake_file_copy_free(backup.files);
    memset(&backup, 0, sizeof(backup));
}

static void forget_from(size_t n)
{
    if (n < backup.n) /* it has records that are no more: another history */
        forget_backup();
    while (record_log.n > n)
        record_free(&record_log.r[--record_log.n]);
    if (record_log.durable > n)
        record_log.durable = n;
}

void gateway_reset(void)
{
    forget_backup();
    forget_from(0);
    record_log.synced = record_log.released = 0;
    record_log.power_cut = false;
    gateway_app = NULL;
    pool_reset(false);
    gateway_may_rot = gateway_store_restored = gateway_past_lost = false;
    gateway_sink_restored = false;
    gateway_data = "/data";
    gateway_lane = "all";
}

size_t gateway_log(const struct gateway_record **out)
{
    *out = record_log.r;
    return record_log.n;
}

/* -- the log of records --------------------------------------------------------------------- */

struct nearest {
    uint64_t offset, base;
};

static void near_name(void *ctx, const char *name)
{
    struct nearest *n = ctx;
    uint64_t base;
    int end = 0;
    if (sscanf(name, "%16" SCNx64 ".journal%n", &base, &end) == 1 && end > 0 && !name[end] &&
        base <= n->offset && base >= n->base)
        n->base = base;
}

static uint64_t segment_of(uint64_t offset)
{
    struct nearest n = {offset, 0};
    char dir[64];
    (void)snprintf(dir, sizeof(dir), "%s/journal", gateway_data);
    (void)file_list(dir, near_name, &n);
    return n.base;
}

static void log_record(const struct record *r)
{
    const struct gateway_record *last = record_log.n ? &record_log.r[record_log.n - 1] : NULL;
    if (last && (r->offset < last->r.end || r->engine_ns <= last->r.engine_ns))
        sim_fail("journal: record at %" PRIu64 " comes after one that ends at %" PRIu64
                 ", times %" PRIu64 " and %" PRIu64,
                 r->offset, last->r.end, r->engine_ns, last->r.engine_ns);
    if (record_log.n == record_log.cap) {
        record_log.cap = record_log.cap ? record_log.cap * 2 : 256;
        record_log.r = mem_realloc_array(record_log.r, record_log.cap, sizeof(*record_log.r));
        last = record_log.n ? &record_log.r[record_log.n - 1] : NULL;
    }
    struct gateway_record *g = &record_log.r[record_log.n];
    char *topic = mem_zalloc(r->topic_len + 1),
         *body = mem_zalloc(r->body_len + RECORD_READABLE);
    memcpy(topic, r->topic, r->topic_len);
    memcpy(body, r->body, r->body_len);
    *g = (struct gateway_record){.r = *r};
    g->r.topic = topic;
    g->r.body = body;
    g->segment = last && last->r.end == r->offset ? last->segment : segment_of(r->offset);
    record_log.n++;
    sim_trace("record %" PRIu64 " type %d engine %" PRIu64 " wall %" PRId64, r->offset, r->type,
              r->engine_ns, r->wall_ns);
}

uint64_t gateway_durable(void)
{
    char path[64];
    for (; record_log.durable < record_log.n; record_log.durable++) {
        const struct gateway_record *g = &record_log.r[record_log.durable];
        (void)snprintf(path, sizeof(path), "%s/journal/%016" PRIx64 ".journal", gateway_data,
                       g->segment);
        if (fake_file_exists(path) &&
            !fake_file_durable(path, g->r.offset - g->segment, g->r.end - g->r.offset))
            break;
    }
    return record_log.durable ? record_log.r[record_log.durable - 1].r.end : 0;
}

/* Everything that depends on the journal up to `offset` is about to become durable or public. */
static void must_be_durable(uint64_t offset, const char *what)
{
    (void)gateway_durable();
    if (record_log.durable < record_log.n && record_log.r[record_log.durable].r.offset < offset)
        sim_fail("%s depends on the journal up to %" PRIu64
                 ", which is on the disk only to %" PRIu64,
                 what, offset, gateway_durable());
}

static bool same_record(const struct record *a, const struct record *b)
{
    return a->offset == b->offset && a->end == b->end && a->type == b->type &&
           a->flags == b->flags && a->engine_ns == b->engine_ns && a->wall_ns == b->wall_ns &&
           a->messages == b->messages && a->packet_id == b->packet_id &&
           a->topic_len == b->topic_len && a->body_len == b->body_len &&
           memcmp(a->topic, b->topic, a->topic_len) == 0 &&
           memcmp(a->body, b->body, a->body_len) == 0;
}

/* The process begins: the journal must hold what the log says, but for what a power cut may
 * take; and it may hold one record more, whose append died half-way. */
static void compare_journal(struct journal *j)
{
    struct journal_reader *reader;
    struct record r;
    size_t at = 0;
    int k;
    if (journal_reader_open(j, 0, &reader) != 0)
        sim_fail("the journal cannot be read");
    bool first = true;
    while ((k = journal_read(reader, &r)) == 1 ||
           (k == -EBADMSG && (gateway_may_rot || r.offset < record_log.released))) {
        if (k != 1)
            continue;
        while (at < record_log.n && record_log.r[at].r.offset < r.offset) {
            if (!first && !gateway_may_rot && r.offset >= record_log.released)
                sim_fail("the journal lost the record at %" PRIu64 " in its middle",
                         record_log.r[at].r.offset);
            at++;
        }
        first = false;
        if (at == record_log.n)
            log_record(&r);
        else if (!same_record(&r, &record_log.r[at].r))
            sim_fail("the journal's record at %" PRIu64 " is not what was appended", r.offset);
        at++;
    }
    if (k != 0)
        sim_fail("the journal does not verify at %" PRIu64, r.offset);
    journal_reader_close(reader);
    if (at < record_log.n && !record_log.power_cut)
        sim_fail("%zu records are lost, and the power was there", record_log.n - at);
    for (size_t i = at; i < record_log.n; i++) {
        const struct gateway_record *g = &record_log.r[i];
        if (g->r.end <= record_log.synced)
            sim_fail("the record at %" PRIu64 " is lost, and was said to be synced",
                     g->r.offset);
        if (g->message && g->message->acked && record_log.sync == CONF_SYNC_ALWAYS)
            sim_fail("message %" PRIu64 " is lost, was acknowledged under sync: always",
                     g->message->id);
        if (g->message)
            g->message->lost = true;
    }
    if (at < record_log.n)
        sim_trace("%zu records are lost with the power", record_log.n - at);
    forget_from(at);
    record_log.power_cut = false;
    record_log.compared = true;
}

static void on_ack(struct fake_message *m)
{
    ASSERT(record_log.n > 0);
    record_log.r[record_log.n - 1].message = m;
}

/* -- what the linker puts between the parts -------------------------------------------------- */

int __real_load_all(const char *path, struct problems *problems, struct loaded *out);
int __wrap_load_all(const char *path, struct problems *problems, struct loaded *out);
int __wrap_load_all(const char *path, struct problems *problems, struct loaded *out)
{
    int r = __real_load_all(path, problems, out);
    if (r == 0 && gateway_patch)
        gateway_patch(out->conf);
    return r;
}

void __real_problems_warn(struct problems *p, const char *file, int line, int col,
                          const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void __wrap_problems_warn(struct problems *p, const char *file, int line, int col,
                          const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void __wrap_problems_warn(struct problems *p, const char *file, int line, int col,
                          const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!gateway_means || !gateway_means(text))
        __real_problems_warn(p, file, line, col, "%s", text);
}

int __real_app_open_all(struct app *a, struct loaded *l);
int __wrap_app_open_all(struct app *a, struct loaded *l);
int __wrap_app_open_all(struct app *a, struct loaded *l)
{
    gateway_app = a;
    record_log.sync = (enum conf_sync)a->conf->journal.sync;
    fake_file_read_begin();
    int r = __real_app_open_all(a, l);
    /* They are the longest files of a start: each is read once, and perhaps its head before. */
    int64_t more = fake_file_read_too_much(a->paths.snapshots);
    if (more > 64)
        sim_fail("a start read a snapshot, and %" PRId64 " bytes of it again", more);
    return r;
}

/* Every generation that ever was: the reference needs them, whatever the gateway removed. It must
 * not have removed what it asks for. */
static struct {
    char hash[CONTENT_HEX + 1], *bytes;
    size_t len;
} * all_content;
static size_t n_content;

static size_t find_content(const char *hash)
{
    size_t i = 0;
    while (i < n_content && strcmp(all_content[i].hash, hash) != 0)
        i++;
    return i;
}

int __real_content_put(const char *dir, const void *p, size_t n, char out_hex[CONTENT_HEX + 1]);
int __wrap_content_put(const char *dir, const void *p, size_t n, char out_hex[CONTENT_HEX + 1]);
int __wrap_content_put(const char *dir, const void *p, size_t n, char out_hex[CONTENT_HEX + 1])
{
    char hash[CONTENT_HEX + 1];
    content_address(p, n, hash);
    size_t i = find_content(hash);
    if (i == n_content) {
        all_content = mem_realloc_array(all_content, ++n_content, sizeof(*all_content));
        memcpy(all_content[i].hash, hash, sizeof(hash));
        all_content[i].bytes = mem_strndup(p, n);
        all_content[i].len = n;
    }
    return __real_content_put(dir, p, n, out_hex);
}

int __real_content_get(const char *dir, const char *hex, char **out, size_t *out_len);
int __wrap_content_get(const char *dir, const char *hex, char **out, size_t *out_len);
int __wrap_content_get(const char *dir, const char *hex, char **out, size_t *out_len)
{
    int e = __real_content_get(dir, hex, out, out_len);
    if (e == -ENOENT)
        sim_fail("generation %s is not kept", hex);
    return e;
}

uint64_t __wrap_hash_seed(void);
uint64_t __wrap_hash_seed(void)
{
    return pool_is_on() ? 1 : sim_seed; /* worlds are shared by seeds */
}

int __real_journal_append(struct journal *j, struct record *r, uint64_t *out_end);
int __wrap_journal_append(struct journal *j, struct record *r, uint64_t *out_end);
int __wrap_journal_append(struct journal *j, struct record *r, uint64_t *out_end)
{
    int k = __real_journal_append(j, r, out_end);
    if (k == 0)
        log_record(r);
    return k;
}

int __wrap_journal_append_patient(struct journal *j, struct record *r, unsigned wait_ms,
                                  uint64_t *out_end);
int __wrap_journal_append_patient(struct journal *j, struct record *r, unsigned wait_ms,
                                  uint64_t *out_end)
{
    (void)wait_ms; /* nobody would make room meanwhile: there is one thread */
    return __wrap_journal_append(j, r, out_end);
}

int __real_outbound_open(const struct outbound_options *o, struct err *err,
                         struct outbound **out);
int __wrap_outbound_open(const struct outbound_options *o, struct err *err,
                         struct outbound **out);
int __wrap_outbound_open(const struct outbound_options *o, struct err *err,
                         struct outbound **out)
{
    struct outbound_options small = *o;
    small.segment_bytes = gateway_outbound_segment;
    return __real_outbound_open(&small, err, out);
}

int __real_outbound_write(struct outbound *ob, struct block *const *blocks, size_t n);
int __wrap_outbound_write(struct outbound *ob, struct block *const *blocks, size_t n);
int __wrap_outbound_write(struct outbound *ob, struct block *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must_be_durable(blocks[i]->info.to.offset, "a block of an outbound log");
    return __real_outbound_write(ob, blocks, n);
}

static void not_ahead(const char *what, const struct position *snapshot,
                      const struct position *limit)
{
    if (position_cmp(snapshot, limit) > 0)
        sim_fail("the snapshot at (%" PRIu64 ", %" PRIu64 ", %" PRIu64
                 ") is ahead of %s at (%" PRIu64 ", %" PRIu64 ", %" PRIu64 ")",
                 snapshot->offset, snapshot->tick, snapshot->ordinal, what, limit->offset,
                 limit->tick, limit->ordinal);
}

/* What a sink has not written yet, and not given up, lies behind the snapshot. */
static void sink_not_behind(const struct sink *s, const struct position *snapshot)
{
    for (const struct queued *q = s->queue; q; q = q->next) {
        const struct position *from = &q->b->info.from;
        if (!q->b->shed && position_cmp(from, snapshot) <= 0)
            sim_fail("the snapshot at (%" PRIu64 ", %" PRIu64 ", %" PRIu64
                     ") is ahead of sink %s, which waits to write from (%" PRIu64 ", %" PRIu64
                     ", %" PRIu64 ")",
                     snapshot->offset, snapshot->tick, snapshot->ordinal, s->conf->id,
                     from->offset, from->tick, from->ordinal);
    }
}

int __real_snapshot_commit(struct snapshot_writer *w, uint64_t *out_release);
int __wrap_snapshot_commit(struct snapshot_writer *w, uint64_t *out_release);
int __wrap_snapshot_commit(struct snapshot_writer *w, uint64_t *out_release)
{
    struct app *a = gateway_app;
    const struct position at = a->pipeline->snap.at;
    struct position cursor = fake_store_cursor();
    sim_trace("snapshot at (%" PRIu64 ", %" PRIu64 ", %" PRIu64 ")", at.offset, at.tick,
              at.ordinal);
    must_be_durable(at.offset, "a snapshot");
    not_ahead("the store's cursor", &at, &cursor);
    for (size_t i = 0; i < a->n_sinks; i++)
        sink_not_behind(a->sinks[i], &at);
    return __real_snapshot_commit(w, out_release);
}

int __real_pipeline_open(const struct pipeline_options *o, struct err *err,
                         struct pipeline **out);
int __wrap_pipeline_open(const struct pipeline_options *o, struct err *err,
                         struct pipeline **out);
int __wrap_pipeline_open(const struct pipeline_options *o, struct err *err,
                         struct pipeline **out)
{
    struct position newest[4];
    compare_journal(o->journal);
    fake_file_read_unseen = true; /* this is not the gateway */
    int n = snapshot_list(o->snapshot_dir, newest, 4);
    fake_file_read_unseen = false;
    sim_trace("%d snapshots, newest at %" PRIu64 ", store's cursor at %" PRIu64, n,
              n > 0 ? newest[0].offset : 0, o->store_cursor.offset);
    for (size_t i = 0; i < o->n_sinks; i++) {
        struct position end = sink_end(o->sinks[i]);
        struct sink_sums k;
        report_sink_sums(o->sinks[i], &k);
        sim_trace("sink %zu ends at (%" PRIu64 ", %" PRIu64 ", %" PRIu64 "), made %" PRIu64
                  ", accepted %" PRIu64,
                  i, end.offset, end.tick, end.ordinal, k.made, k.accepted);
    }
    if (n > 0 && !gateway_store_restored)
        not_ahead("the store's cursor, after a start", &newest[0], &o->store_cursor);
    return __real_pipeline_open(o, err, out);
}

int __real_journal_release(struct journal *j, uint64_t offset, const char *archive_dir);
int __wrap_journal_release(struct journal *j, uint64_t offset, const char *archive_dir);
int __wrap_journal_release(struct journal *j, uint64_t offset, const char *archive_dir)
{
    struct position newest[2];
    int n = snapshot_list(gateway_app->paths.snapshots, newest, 2);
    if (n < 2 || offset > newest[1].offset)
        sim_fail("the journal is released to %" PRIu64 ", beyond the second of %d snapshots",
                 offset, n);
    if (offset > record_log.released)
        record_log.released = offset;
    rollback_releases(offset);
    return __real_journal_release(j, offset, archive_dir);
}

static void on_commit(const struct position *cursor)
{
    must_be_durable(cursor->offset, "the store's cursor");
}

/* -- backups ------------------------------------------------------------------------------- */

void gateway_backup(void)
{
    fake_file_copy_free(backup.files);
    backup.files = fake_file_copy(gateway_data);
    backup.n = record_log.n;
    backup.synced = record_log.synced;
    backup.released = record_log.released;
    backup.power_cut = record_log.power_cut;
    fake_store_remember();
}

bool gateway_restore_backup(void)
{
    if (!backup.files || backup.n > record_log.n || !fake_store_restore())
        return false;
    for (size_t i = backup.n; i < record_log.n; i++)
        if (record_log.r[i].message)
            record_log.r[i].message->lost = true;
    sim_trace("a backup is put back: %zu records are no more", record_log.n - backup.n);
    forget_from(backup.n);
    fake_file_put_back(backup.files);
    record_log.synced = backup.synced;
    record_log.released = backup.released;
    record_log.power_cut = backup.power_cut;
    fake_db_all_old();
    return true;
}

/* -- lives ---------------------------------------------------------------------------------- */

static void life(void *ctx)
{
    (void)ctx;
    sim_set_exit_code(app_run(CONF));
}

enum sim_end gateway_live(void)
{
    fake_mqtt_on_ack = on_ack;
    fake_store_on_commit = on_commit;
    sim_trace("---- the gateway starts");
    record_log.compared = false;
    if (gateway_on_life)
        gateway_on_life(true);
    enum sim_end how = sim_live(life, NULL);
    if (gateway_on_life)
        gateway_on_life(false);
    if (how != SIM_STOPPED && gateway_app && record_log.compared) {
        uint64_t synced = journal_synced(gateway_app->journal);
        if (synced > record_log.synced)
            record_log.synced = synced;
    }
    record_log.power_cut |= how == SIM_POWER_CUT;
    gateway_app = NULL;
    pool_died();
    fake_mqtt_died();
    fake_store_died();
    sim_trace("---- the gateway %s", how == SIM_STOPPED  ? "has stopped"
                                     : how == SIM_KILLED ? "was killed"
                                     : how == SIM_FATAL  ? "gave up"
                                                         : "lost its power");
    return how;
}

/* All that is pending was taken, and is only held until a database that writes late has surely
 * written it; our own points of each minute are always among it. */
static bool only_held(struct sink *s)
{
    struct sink_stats k;
    sink_stats(s, &k);
    return k.open_lines == 0 && k.queued_blocks == 0 && k.in_flight == 0 &&
           k.pending_blocks == k.held && k.held <= 3;
}

bool gateway_settled(void)
{
    struct app *a = gateway_app;
    struct pipeline_stats p;
    if (!a || !a->pipeline || !a->ingest || a->stopping || a->reloading ||
        fake_mqtt_waiting() > 0 || !fake_mqtt_connected() || ingest_held(a->ingest))
        return false;
    pipeline_stats(a->pipeline, &p);
    if (p.adopt_differs && !p.rolled_back)
        sim_fail("%" PRIu64 " open cases were other than the store says", p.adopt_differs);
    if (p.lag_bytes > 0 || p.replaying || a->pipeline->batches.first || a->pipeline->batch ||
        store_waiting_bytes(a->store) > 0 || pipeline_changing(a->pipeline) ||
        engine_next_due(a->pipeline->engine) <= engine_position(a->pipeline->engine).tick)
        return false;
    if (a->tell) {
        struct tell_stats t;
        tell_stats(a->tell, &t);
        if (!t.connected || !t.reconciled || t.waiting > 0)
            return false;
    }
    for (size_t i = 0; i < a->n_sinks; i++) {
        struct sink_sums k;
        report_sink_sums(a->sinks[i], &k);
        if (k.pending > 0 && !only_held(a->sinks[i]))
            return false;
    }
    return true;
}

/* -- the run without crashes ------------------------------------------------------------------ */

struct letter {
    uint64_t offset, ordinal, hash;
    const char *reason;
    bool quarantine, found;
};

struct expected { /* of one dialect */
    uint64_t *lines;
    size_t n, cap;
    uint64_t good, poison, unwritable;
};

struct word { /* of the engine, about a case */
    struct position at;
    uint64_t hash;
    char what[128];
    bool reply;
};

struct reference {
    struct engine *engine;
    struct word *said;
    size_t n_said, cap_said;
    struct world *worlds[256];
    size_t n_worlds;
    struct expected by_dialect[2];
    struct buf line;
    struct letter *letters;
    size_t n_letters, cap_letters;
};

static void ref_step(void *ctx, const struct position *at)
{
    (void)ctx;
    (void)at;
}

static void ref_point(void *ctx, const struct point *p)
{
    struct reference *ref = ctx;
    for (int d = 0; d < 2; d++) {
        struct lineproto_refused refused = {0};
        struct expected *x = &ref->by_dialect[d];
        buf_clear(&ref->line);
        if (lineproto_put(&ref->line, (enum lineproto_dialect)d, p, &refused) != 0) {
            x->unwritable++;
            continue;
        }
        size_t n = ref->line.len;
        bool poison =
            fake_db_poison && memmem(ref->line.data, n, fake_db_poison, strlen(fake_db_poison));
        x->good += !poison;
        x->poison += poison;
        if (!poison && fake_db_add(&x->lines, &x->n, &x->cap, fake_db_hash(ref->line.data, n)))
            sim_trace("expected[%d] %016" PRIx64 " %.*s", d, fake_db_hash(ref->line.data, n),
                      (int)n - 1, ref->line.data);
        if (d == 0 && gateway_on_reference_line)
            gateway_on_reference_line(ref->line.data, n - 1);
    }
}

static void ref_letter(void *ctx, const struct engine_letter *l)
{
    struct reference *ref = ctx;
    if (ref->n_letters == ref->cap_letters) {
        ref->cap_letters = ref->cap_letters ? ref->cap_letters * 2 : 64;
        ref->letters = mem_realloc_array(ref->letters, ref->cap_letters, sizeof(*ref->letters));
    }
    const struct record *r = l->record;
    ref->letters[ref->n_letters++] = (struct letter){
        .offset = l->offset,
        .ordinal = engine_position(ref->engine).ordinal,
        .hash = r ? hash64(hash64(1, r->topic, r->topic_len), r->body, r->body_len)
                  : hash64(hash64(1, "", 0), "", 0),
        .reason = l->reason,
        .quarantine = l->quarantine};
}

static struct word *ref_word(struct reference *ref)
{
    if (ref->n_said == ref->cap_said) {
        ref->cap_said = ref->cap_said ? ref->cap_said * 2 : 64;
        ref->said = mem_realloc_array(ref->said, ref->cap_said, sizeof(*ref->said));
    }
    struct word *w = &ref->said[ref->n_said++];
    *w = (struct word){.at = engine_position(ref->engine)};
    return w;
}

static uint64_t alarm_hash(const char *json, size_t len, const char *firm, const char *blob,
                           size_t blob_len)
{
    return hash64(hash64(hash64(1, json, len), firm, strlen(firm)), blob ? blob : "",
                  blob ? blob_len : 0);
}

static void ref_transition(void *ctx, const struct transition *t)
{
    struct word *w = ref_word(ctx);
    w->hash = alarm_hash(t->json, t->json_len, t->firm, t->blob, t->blob_len);
    (void)snprintf(w->what, sizeof(w->what), "%s %s", t->case_id, case_change_name(t->change));
    sim_trace("expected %.*s", (int)t->json_len, t->json);
}

static void ref_reply(void *ctx, const struct case_reply *r)
{
    struct word *w = ref_word(ctx);
    w->reply = true;
    w->hash = alarm_hash(r->json, r->json_len, r->to->firm ? r->to->firm : "-", NULL, 0);
    (void)snprintf(w->what, sizeof(w->what), "%s %s", r->to->case_id,
                   case_verb_name(r->to->verb));
}

static struct world *world_of(struct reference *ref, const struct record *g)
{
    char hash[33] = "";
    memcpy(hash, g->body + g->body_len - 32, 32);
    for (size_t i = 0; i < ref->n_worlds; i++)
        if (strcmp(ref->worlds[i]->hash, hash) == 0)
            return ref->worlds[i];
    ASSERT(ref->n_worlds < sizeof(ref->worlds) / sizeof(ref->worlds[0]));
    struct world *w = NULL;
    size_t at = find_content(hash);
    ASSERT(at < n_content);
    struct problems *problems = problems_new(8);
    if (world_open(all_content[at].bytes, all_content[at].len, problems, &w) != 0)
        sim_fail("generation %s: %s", hash, problems_get(problems, 0));
    problems_free(problems);
    return ref->worlds[ref->n_worlds++] = w;
}

static void run_reference(struct reference *ref)
{
    ref->engine = engine_new(&(struct engine_out){.ctx = ref,
                                                  .point = ref_point,
                                                  .letter = ref_letter,
                                                  .step = ref_step,
                                                  .step_end = ref_step,
                                                  .transition = ref_transition,
                                                  .reply = ref_reply});
    for (size_t i = 0; i < record_log.n && !engine_world(ref->engine); i++)
        if (record_log.r[i].r.type == RECORD_GENERATION)
            engine_use(ref->engine, world_of(ref, &record_log.r[i].r));
    for (size_t i = 0; i < record_log.n; i++) {
        const struct record *r = &record_log.r[i].r;
        engine_record(ref->engine, r);
        if (r->type == RECORD_GENERATION)
            engine_use(ref->engine, world_of(ref, r));
    }
}

static void judge_ledger(struct reference *ref)
{
    const struct ledger *real = engine_ledger(gateway_app->pipeline->engine),
                        *want = engine_ledger(ref->engine);
    for (size_t i = 0; i < ledger_rows(want); i++) {
        const struct ledger_row *w = ledger_at(want, i), *r = NULL, none = {0};
        for (size_t k = 0; k < ledger_rows(real); k++)
            if (strcmp(ledger_at(real, k)->compound, w->compound) == 0)
                r = ledger_at(real, k);
        if (!r)
            r = &none;
        for (int c = 0; c < LEDGER_N; c++)
            if (w->n[c])
                sim_trace("ledger %s %s %s %" PRIu64, w->compound,
                          ledger_class((enum ledger_count)c),
                          ledger_reason((enum ledger_count)c), w->n[c]);
        for (int c = 0; c < LEDGER_N; c++)
            if (r->n[c] != w->n[c])
                sim_fail("ledger of %s: %s%s%s is %" PRIu64 ", expected %" PRIu64, w->compound,
                         ledger_class((enum ledger_count)c),
                         *ledger_reason((enum ledger_count)c) ? "." : "",
                         ledger_reason((enum ledger_count)c), r->n[c], w->n[c]);
    }
    struct ledger_row total;
    ledger_total(real, &total);
    for (size_t i = 0; i < gateway_app->n_sinks; i++) {
        struct sink_sums k;
        report_sink_sums(gateway_app->sinks[i], &k);
        sim_trace("sink %zu: %" PRIu64 " before, %" PRIu64 " made; the engine %" PRIu64, i,
                  gateway_app->sinks_before[i], k.made,
                  total.n[LEDGER_POINTS_MADE] + total.n[LEDGER_POINTS_OWN]);
    }
    if (!report_balanced(&gateway_app->sources))
        sim_fail("the ledger does not balance");
}

/* What /metrics count of the engine: each thing once, over all lives. */
static void judge_counters(struct reference *ref)
{
    struct engine_counters real, want;
    engine_counters_look(gateway_app->pipeline->engine, &real);
    engine_counters_look(ref->engine, &want);
    for (size_t i = 0; i < want.n; i++)
        if (*real.list[i].n != *want.list[i].n)
            sim_fail("counter %s is %" PRIu64 ", expected %" PRIu64, want.list[i].name,
                     *real.list[i].n, *want.list[i].n);
}

static void judge_letters(struct reference *ref)
{
    const struct fake_row *rows;
    size_t n = fake_store_rows(&rows), letters = 0;
    for (size_t i = 0; i < n; i++) {
        const struct fake_row *r = &rows[i];
        bool found = r->is_line;
        letters += !r->is_line;
        for (size_t k = 0; k < ref->n_letters && !found; k++) {
            struct letter *l = &ref->letters[k];
            found = !l->found && l->offset == r->record_offset && l->ordinal == r->ordinal &&
                    l->hash == r->hash && l->quarantine == r->quarantine &&
                    strcmp(l->reason, r->reason) == 0;
            l->found |= found;
        }
        if (!found)
            sim_fail("the store has a letter of record %" PRIu64 " (%s) that should not be",
                     r->record_offset, r->reason);
    }
    if (letters != ref->n_letters)
        sim_fail("the store has %zu letters, expected %zu", letters, ref->n_letters);
}

/* What the store was told of cases, over all lives: what one life would have said, in that order,
 * each once, at the same place, with the same bytes. */
static void judge_alarms(struct reference *ref)
{
    const struct fake_alarm *const *kept;
    size_t n = fake_store_alarms(&kept);
    for (size_t i = 0; i < n || i < ref->n_said; i++) {
        if (i >= n)
            sim_fail("the store was not told of %s", ref->said[i].what);
        const struct fake_alarm *a = kept[i];
        const char *word = a->is_reply ? a->verb : a->change;
        if (i >= ref->n_said)
            sim_fail("the store was told of %s %s, which should not be", a->case_id, word);
        const struct word *w = &ref->said[i];
        uint64_t hash = alarm_hash(a->json, a->json_len, a->firm, a->blob, a->blob_len);
        if (hash != w->hash || a->is_reply != w->reply || position_cmp(&a->at, &w->at) != 0)
            sim_fail("the store has %s %s at (%" PRIu64 ", %" PRIu64 ", %" PRIu64
                     "), expected %s at (%" PRIu64 ", %" PRIu64 ", %" PRIu64 "): %.*s",
                     a->case_id, word, a->at.offset, a->at.tick, a->at.ordinal, w->what,
                     w->at.offset, w->at.tick, w->at.ordinal, (int)a->json_len, a->json);
    }
    sim_trace("%zu transitions and replies", n);
    gateway_alarms += n;
}

static size_t lines_refused(const char *sink)
{
    const struct fake_row *rows;
    size_t n = fake_store_rows(&rows), lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += rows[i].is_line && strcmp(rows[i].sink, sink) == 0;
    return lines;
}

static void judge_sink(struct reference *ref, size_t i, bool exact)
{
    const struct conf_sink *c = &gateway_app->conf->sinks[i];
    bool vm = c->type == CONF_VICTORIAMETRICS;
    struct expected *x = &ref->by_dialect[vm ? LINEPROTO_NUMBERS : LINEPROTO_INFLUX];
    struct fake_db *d = fake_db_at(c->url, (enum conf_sink_type)c->type);
    struct sink_sums k;
    report_sink_sums(gateway_app->sinks[i], &k);
    for (size_t s = 0; s < d->cap; s++) {
        if (!d->lines[s])
            continue;
        struct fake_db probe = {.lines = x->lines, .cap = x->cap};
        if (!fake_db_has(&probe, d->lines[s]) && !fake_db_is_old(d, d->lines[s]))
            sim_fail("%s has a line that should not be: %016" PRIx64, c->id, d->lines[s]);
    }
    for (size_t s = 0; s < x->cap && exact; s++)
        if (x->lines[s] && !fake_db_has(d, x->lines[s]))
            sim_fail("%s has not a line that it should: %016" PRIx64, c->id, x->lines[s]);
    if (k.made != x->good + x->poison + x->unwritable)
        sim_fail("%s: made %" PRIu64 ", expected %" PRIu64, c->id, k.made,
                 x->good + x->poison + x->unwritable);
    if (!exact)
        return;
    if (d->n != x->n && !d->n_old)
        sim_fail("%s: %zu lines, expected %zu", c->id, d->n, x->n);
    if (k.pending > 0) { /* held: its lines are there, and not booked yet */
        if (k.accepted + k.refused + k.pending != x->good + x->poison + x->unwritable ||
            k.shed != 0)
            sim_fail("%s: accepted %" PRIu64 ", refused %" PRIu64 ", held %" PRIu64
                     "; expected %" PRIu64,
                     c->id, k.accepted, k.refused, k.pending,
                     x->good + x->poison + x->unwritable);
        return;
    }
    if (k.accepted != x->good || k.refused != x->poison + x->unwritable || k.shed != 0)
        sim_fail("%s: accepted %" PRIu64 ", refused %" PRIu64 ", shed %" PRIu64
                 "; expected %" PRIu64 ", %" PRIu64 ", 0",
                 c->id, k.accepted, k.refused, k.shed, x->good, x->poison + x->unwritable);
    if (gateway_sink_restored)
        return; /* its blocks were cut anew: the store knows refused lines by block and line */
    /* a store that was put back has lost what only it had */
    if (gateway_store_restored ? lines_refused(c->id) > x->poison
                               : lines_refused(c->id) != x->poison)
        sim_fail("%s: %zu refused lines in the store, expected %" PRIu64, c->id,
                 lines_refused(c->id), x->poison);
}

void gateway_judge(bool exact)
{
    struct reference *ref = mem_zalloc(sizeof(*ref));
    ASSERT(gateway_settled());
    buf_init(&ref->line, 1 << 20);
    run_reference(ref);
    judge_ledger(ref);
    judge_counters(ref);
    judge_letters(ref);
    judge_alarms(ref);
    for (size_t i = 0; i < gateway_app->n_sinks; i++)
        judge_sink(ref, i, exact);
    engine_free(ref->engine);
    for (size_t i = 0; i < ref->n_worlds; i++)
        world_free(ref->worlds[i]);
    for (int d = 0; d < 2; d++)
        free(ref->by_dialect[d].lines);
    free(ref->letters);
    free(ref->said);
    buf_done(&ref->line);
    free(ref);
}
