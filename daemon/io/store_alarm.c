/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "core/cases.h"
#include "io/clock.h"
#include "io/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAYLOAD (1u << 20)

/* Texts stand in a table of their own, so that lists and filters do not read them; the outbox and a
 * case's last told state name the transition whose text they are. */
const char store_alarm_schema[] =
    "CREATE TABLE alarm_seq(stream TEXT, firm TEXT, compound TEXT, seq INTEGER NOT NULL,"
    " PRIMARY KEY(stream, firm, compound)) WITHOUT ROWID;"
    "CREATE TABLE alarm_transition(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " record_offset INTEGER NOT NULL, tick INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    " n INTEGER NOT NULL, wall_ms INTEGER NOT NULL, change TEXT NOT NULL,"
    " case_id TEXT NOT NULL, stream TEXT NOT NULL, firm TEXT NOT NULL, compound TEXT NOT NULL,"
    " rule TEXT NOT NULL, device TEXT NOT NULL, point TEXT NOT NULL,"
    " occurrence INTEGER NOT NULL, version INTEGER NOT NULL, severity TEXT NOT NULL,"
    " test INTEGER NOT NULL, seq INTEGER NOT NULL, told_ms INTEGER);"
    "CREATE UNIQUE INDEX alarm_transition_at"
    " ON alarm_transition(record_offset, tick, ordinal, n);"
    "CREATE INDEX alarm_transition_case ON alarm_transition(case_id, id);"
    "CREATE INDEX alarm_transition_wall ON alarm_transition(wall_ms);"
    "CREATE TABLE alarm_text(id INTEGER PRIMARY KEY, json BLOB NOT NULL);"
    "CREATE TABLE alarm_case(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " case_id TEXT NOT NULL UNIQUE, stream TEXT NOT NULL, firm TEXT NOT NULL,"
    " compound TEXT NOT NULL, rule TEXT NOT NULL, device TEXT NOT NULL, point TEXT NOT NULL,"
    " occurrence INTEGER NOT NULL, severity TEXT NOT NULL, opened_ms INTEGER NOT NULL,"
    " changed_ms INTEGER NOT NULL, closed_ms INTEGER, last_id INTEGER NOT NULL,"
    " told_id INTEGER, told_firm TEXT, told_compound TEXT, told_seq INTEGER, blob BLOB);"
    "CREATE INDEX alarm_case_open ON alarm_case(id) WHERE closed_ms IS NULL;"
    "CREATE INDEX alarm_case_closed ON alarm_case(closed_ms) WHERE closed_ms IS NOT NULL;"
    "CREATE INDEX alarm_case_device ON alarm_case(device, id);"
    "CREATE TABLE alarm_reply(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " record_offset INTEGER NOT NULL, tick INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    " n INTEGER NOT NULL, wall_ms INTEGER NOT NULL, origin INTEGER NOT NULL,"
    " firm TEXT NOT NULL, compound TEXT NOT NULL, case_id TEXT, verb TEXT NOT NULL,"
    " answer TEXT NOT NULL, topic TEXT NOT NULL, correlation BLOB, expires_ms INTEGER NOT NULL,"
    " command BLOB, json BLOB NOT NULL);"
    "CREATE UNIQUE INDEX alarm_reply_at ON alarm_reply(record_offset, tick, ordinal, n);"
    "CREATE INDEX alarm_reply_case ON alarm_reply(case_id, id);"
    "CREATE INDEX alarm_reply_wall ON alarm_reply(wall_ms);"
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, transition_id INTEGER,"
    " reply_id INTEGER, tell INTEGER NOT NULL, urgent INTEGER NOT NULL, was_firm TEXT,"
    " was_compound TEXT);"
    "CREATE INDEX outbox_urgent ON outbox(id) WHERE urgent=1;"
    "CREATE INDEX outbox_transition ON outbox(transition_id) WHERE transition_id IS NOT NULL;"
    "CREATE INDEX outbox_reply ON outbox(reply_id) WHERE reply_id IS NOT NULL;";

static sqlite3_stmt *begin(struct store_db *db, enum store_statement s, int *out_code)
{
    sqlite3_stmt *st = store_db_statement(db, s);
    *out_code = st ? 0 : store_db_fail(db, "write the store");
    return st;
}

static void bind_position(sqlite3_stmt *st, const struct store_item *it)
{
    sqlite3_bind_int64(st, 1, (sqlite3_int64)it->at.offset);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)it->at.tick);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)it->at.ordinal);
    sqlite3_bind_int64(st, 4, it->n);
}

/* A number of the one row that the statement gives; 1, 0 none, -errno. */
static int one_number(struct store_db *db, enum store_statement s, int64_t *out)
{
    int found = store_db_step(db, s);
    if (found > 0)
        *out = sqlite3_column_int64(db->st[s], 0);
    int again = found > 0 ? store_db_step(db, s) : 0; /* RETURNING ends only at its end */
    sqlite3_reset(db->st[s]);
    return again < 0 ? again : found;
}

/* -- one transition ---------------------------------------------------------- */

struct known {  /* what the store knows of the case before */
    int64_t id; /* 0: nothing */
    bool open, told;
    char firm[72], compound[72]; /* where its retained state lies */
};

static int has(struct store_db *db, const struct store_item *it)
{
    int code, found;
    int64_t one = 0;
    sqlite3_stmt *st = begin(db, ST_A_HAS, &code);
    if (code)
        return code;
    bind_position(st, it);
    found = one_number(db, ST_A_HAS, &one);
    return found;
}

int store_db_next_seq(struct store_db *db, const char *stream, const char *firm,
                      const char *compound, int64_t *out)
{
    int code;
    sqlite3_stmt *st = begin(db, ST_A_SEQ, &code);
    if (code)
        return code;
    store_bind_text(st, 1, stream);
    store_bind_text(st, 2, firm);
    store_bind_text(st, 3, compound);
    code = one_number(db, ST_A_SEQ, out);
    return code < 0 ? code : 0;
}

static int insert_transition(struct store_db *db, const struct store_item *it, int64_t seq,
                             int64_t *out_id)
{
    const struct transition *t = it->transition;
    int code;
    sqlite3_stmt *st = begin(db, ST_A_TRANSITION, &code);
    if (code)
        return code;
    bind_position(st, it);
    sqlite3_bind_int64(st, 5, t->wall_ms);
    store_bind_text(st, 6, case_change_name(t->change));
    store_bind_text(st, 7, t->case_id);
    store_bind_text(st, 8, t->stream);
    store_bind_text(st, 9, t->firm);
    store_bind_text(st, 10, t->compound);
    store_bind_text(st, 11, t->rule);
    store_bind_text(st, 12, t->device);
    store_bind_text(st, 13, t->point ? t->point : "");
    sqlite3_bind_int64(st, 14, t->occurrence);
    sqlite3_bind_int64(st, 15, t->version);
    store_bind_text(st, 16, severity_name(t->severity));
    sqlite3_bind_int(st, 17, t->test);
    sqlite3_bind_int64(st, 18, seq);
    code = store_db_run(db, ST_A_TRANSITION);
    *out_id = sqlite3_last_insert_rowid(db->sql);
    return code;
}

/* The payload as it is told for ever: with its number. What is not delivered has no place for
 * one. */
static int insert_text(struct store_db *db, const struct transition *t, int64_t id, int64_t seq)
{
    int code;
    struct buf b;
    sqlite3_stmt *st = begin(db, ST_A_TEXT, &code);
    if (code)
        return code;
    buf_init(&b, MAX_PAYLOAD);
    (void)buf_put(&b, t->json, t->seq_at);
    if (t->seq_at > 0)
        (void)buf_printf(&b, "%lld", (long long)seq);
    if (buf_put(&b, t->json + t->seq_at, t->json_len - t->seq_at) != 0) {
        buf_done(&b);
        (void)snprintf(db->problem, sizeof(db->problem), "a state of case %s is too large",
                       t->case_id);
        return -EMSGSIZE;
    }
    sqlite3_bind_int64(st, 1, id);
    store_bind_bytes(st, 2, b.data, b.len);
    code = store_db_run(db, ST_A_TEXT);
    buf_done(&b);
    return code;
}

static void copy_column(char *to, size_t size, sqlite3_stmt *st, int col)
{
    const char *s = (const char *)sqlite3_column_text(st, col);
    (void)snprintf(to, size, "%s", s ? s : "");
}

static int find_case(struct store_db *db, const char *case_id, struct known *out)
{
    int code;
    sqlite3_stmt *st = begin(db, ST_A_FIND, &code);
    if (code)
        return code;
    store_bind_text(st, 1, case_id);
    int found = store_db_step(db, ST_A_FIND);
    if (found > 0) {
        out->id = sqlite3_column_int64(st, 0);
        out->open = sqlite3_column_int(st, 1);
        out->told = sqlite3_column_type(st, 2) != SQLITE_NULL;
        copy_column(out->firm, sizeof(out->firm), st, 3);
        copy_column(out->compound, sizeof(out->compound), st, 4);
    }
    sqlite3_reset(st);
    return found < 0 ? found : 0;
}

/* The first transition of a case makes its row. A record is a case that is over. */
static int put_case(struct store_db *db, const struct transition *t, const struct known *k,
                    int64_t id, int64_t seq)
{
    int code;
    bool over = t->closed || t->record;
    if (k->id && t->record) /* late news of an open case's own past change nothing of it */
        return 0;
    enum store_statement s = k->id ? ST_A_CHANGE : ST_A_OPEN;
    sqlite3_stmt *st = begin(db, s, &code);
    if (code)
        return code;
    store_bind_text(st, 1, t->case_id);
    store_bind_text(st, 2, t->firm);
    store_bind_text(st, 3, t->compound);
    sqlite3_bind_int64(st, 4, t->occurrence);
    store_bind_text(st, 5, severity_name(t->severity));
    sqlite3_bind_int64(st, 6, t->wall_ms);
    sqlite3_bind_int64(st, 7, id);
    if (over)
        sqlite3_bind_int64(st, 8, t->wall_ms);
    else if (t->blob)
        store_bind_bytes(st, 9, t->blob, t->blob_len);
    if (t->deliver && !t->record) {
        sqlite3_bind_int64(st, 10, id);
        sqlite3_bind_int64(st, 11, seq);
    }
    if (!k->id) {
        store_bind_text(st, 12, t->stream);
        store_bind_text(st, 13, t->rule);
        store_bind_text(st, 14, t->device);
    }
    store_bind_text(st, 15, t->point ? t->point : ""); /* a further one may become the own */
    code = store_db_run(db, s);
    if (!code && !k->id && !over)
        db->open_cases++;
    else if (!code && k->id && k->open && over)
        db->open_cases--;
    else if (!code && k->id && !k->open && !over)
        db->open_cases++;
    return code;
}

static bool elsewhere(const char *firm, const char *compound, const struct transition *t)
{
    return strcmp(firm, t->firm) != 0 || strcmp(compound, t->compound) != 0;
}

/* What is published for it. A case that ends while it is masked is not told, but what lies
 * retained of it goes. */
static unsigned tells(const struct transition *t, const struct known *k, const char **was_firm,
                      const char **was_compound)
{
    unsigned tell = 0;
    *was_firm = *was_compound = NULL;
    if (t->record)
        return t->deliver ? TELL_EVENT : 0;
    if (t->deliver)
        tell = (t->urgent ? TELL_URGENT : 0u) | TELL_EVENT | (t->closed ? 0u : TELL_STATE);
    if (t->closed && (t->deliver || k->told))
        tell |= TELL_CLOSE;
    if (tell == 0)
        return 0;
    if (k->told && elsewhere(k->firm, k->compound, t)) {
        *was_firm = k->firm;
        *was_compound = k->compound;
    } else if (!k->told && (t->was_firm || t->was_compound)) {
        const char *f = t->was_firm ? t->was_firm : t->firm;
        const char *c = t->was_compound ? t->was_compound : t->compound;
        if (elsewhere(f, c, t)) {
            *was_firm = f;
            *was_compound = c;
        }
    }
    return tell | (*was_firm ? TELL_LEAVE : 0u);
}

static int put_outbox(struct store_db *db, int64_t transition, int64_t reply, unsigned tell,
                      const char *was_firm, const char *was_compound)
{
    int code;
    bool urgent = tell & TELL_URGENT; /* not every transition of life-safety has that message */
    if (db->no_outbox)
        return 0;
    sqlite3_stmt *st = begin(db, ST_OUTBOX, &code);
    if (code)
        return code;
    if (transition)
        sqlite3_bind_int64(st, 1, transition);
    if (reply)
        sqlite3_bind_int64(st, 2, reply);
    sqlite3_bind_int64(st, 3, tell);
    sqlite3_bind_int(st, 4, urgent);
    store_bind_text(st, 5, was_firm);
    store_bind_text(st, 6, was_compound);
    code = store_db_run(db, ST_OUTBOX);
    if (!code) {
        db->outbox_rows++;
        db->outbox_urgent += urgent;
        db->outbox_put++;
    }
    return code;
}

static int apply_transition(struct store_db *db, const struct store_item *it)
{
    const struct transition *t = it->transition;
    struct known k = {0};
    int64_t seq = 0, id = 0;
    int code = has(db, it);
    if (code > 0)
        db->repeated++;
    if (code != 0)
        return code;
    if (t->deliver)
        code = store_db_next_seq(db, t->stream, t->firm, t->compound, &seq);
    if (!code)
        code = insert_transition(db, it, seq, &id);
    if (!code)
        code = insert_text(db, t, id, seq);
    if (!code)
        code = find_case(db, t->case_id, &k);
    if (!code)
        code = put_case(db, t, &k, id, seq);
    if (code)
        return code;
    db->transitions++;
    if (t->wall_ms > db->newest_wall_ms)
        db->newest_wall_ms = t->wall_ms;
    const char *was_firm, *was_compound;
    unsigned tell = tells(t, &k, &was_firm, &was_compound);
    return tell ? put_outbox(db, id, 0, tell, was_firm, was_compound) : 0;
}

/* -- replies ----------------------------------------------------------------- */

static int apply_reply(struct store_db *db, const struct store_item *it)
{
    const struct store_reply_item *r = &it->reply;
    int code;
    sqlite3_stmt *st = begin(db, ST_A_REPLY, &code);
    if (code)
        return code;
    bind_position(st, it);
    sqlite3_bind_int64(st, 5, r->wall_ms);
    sqlite3_bind_int64(st, 6, (sqlite3_int64)r->origin);
    store_bind_text(st, 7, r->firm);
    store_bind_text(st, 8, r->compound);
    store_bind_text(st, 9, r->case_id);
    store_bind_text(st, 10, r->verb);
    store_bind_text(st, 11, r->answer);
    store_bind_text(st, 12, r->topic);
    if (r->correlation)
        store_bind_bytes(st, 13, r->correlation, r->correlation_len);
    sqlite3_bind_int64(st, 14, r->expires_wall_ms);
    store_bind_bytes(st, 15, r->command, r->command_len);
    store_bind_bytes(st, 16, r->json, r->json_len);
    code = store_db_run(db, ST_A_REPLY);
    unsigned tell =
        (r->origin == 0 ? TELL_REPLY : 0u) | (r->was_firm ? (unsigned)TELL_LEAVE : 0u);
    if (code || sqlite3_changes64(db->sql) == 0 || tell == 0)
        return code;
    return put_outbox(db, 0, sqlite3_last_insert_rowid(db->sql), tell, r->was_firm,
                      r->was_compound);
}

int store_db_apply_alarm(struct store_db *db, const struct store_item *it)
{
    if (it->kind == ITEM_TRANSITION)
        return apply_transition(db, it);
    if (it->kind == ITEM_REPLY)
        return apply_reply(db, it);
    if (it->kind == ITEM_EPOCH)
        return store_db_epoch(db, it->epoch);
    if (it->kind == ITEM_NO_EPOCH)
        return store_db_no_epoch(db, it->epoch);
    return -EINVAL;
}

/* -- the broker has them ------------------------------------------------------ */

int store_db_outbox_done(struct store_db *db, const uint64_t *ids, size_t n)
{
    int code = 0;
    int64_t now = clock_wall_ns() / 1000000;
    for (size_t i = 0; i < n && !code; i++) {
        int64_t row = 0; /* its transition and whether it is urgent */
        sqlite3_stmt *st = begin(db, ST_OUTBOX_DONE, &code);
        if (code)
            return code;
        sqlite3_bind_int64(st, 1, (sqlite3_int64)ids[i]);
        code = one_number(db, ST_OUTBOX_DONE, &row);
        if (code <= 0)
            continue; /* marked already */
        db->outbox_rows--;
        db->outbox_urgent -= row & 1;
        db->urgent_told += row & 1;
        db->told++;
        code = 0;
        if (row >> 1 == 0)
            continue;
        st = begin(db, ST_A_TOLD, &code);
        if (code)
            return code;
        sqlite3_bind_int64(st, 1, row >> 1);
        sqlite3_bind_int64(st, 2, now);
        code = store_db_run(db, ST_A_TOLD);
    }
    return code < 0 ? code : 0;
}

/* -- history that is old ------------------------------------------------------- */

/* What an open case shows, and what is not told yet, stays. */
static const char *const old_rows[] = {
    "CREATE TEMP TABLE IF NOT EXISTS old(id INTEGER PRIMARY KEY)",
    "DELETE FROM temp.old",
    "INSERT INTO temp.old SELECT t.id FROM alarm_transition t WHERE t.wall_ms < ?1"
    " AND NOT EXISTS (SELECT 1 FROM alarm_case c WHERE c.case_id = t.case_id"
    " AND c.closed_ms IS NULL AND (c.told_id = t.id OR c.last_id = t.id))"
    " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.transition_id = t.id) LIMIT 500",
    "DELETE FROM alarm_text WHERE id IN (SELECT id FROM temp.old)",
    "DELETE FROM alarm_transition WHERE id IN (SELECT id FROM temp.old)",
    "DELETE FROM alarm_case WHERE id IN (SELECT c.id FROM alarm_case c WHERE c.closed_ms < ?1"
    " AND NOT EXISTS (SELECT 1 FROM alarm_transition t WHERE t.case_id = c.case_id) LIMIT 500)",
    "DELETE FROM alarm_reply WHERE id IN (SELECT r.id FROM alarm_reply r WHERE r.wall_ms < ?1"
    " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.reply_id = r.id) LIMIT 500)",
};

static int run_with(struct store_db *db, const char *sql, int64_t before, int64_t *out_rows)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
        return store_db_fail(db, "write the store");
    if (sqlite3_bind_parameter_count(st) > 0)
        sqlite3_bind_int64(st, 1, before);
    int code = sqlite3_step(st) == SQLITE_DONE ? 0 : store_db_fail(db, "write the store");
    *out_rows = code ? 0 : sqlite3_changes64(db->sql);
    sqlite3_finalize(st);
    return code;
}

int store_db_prune(struct store_db *db, bool *out_more)
{
    int64_t before = db->newest_wall_ms - (int64_t)db->keep_ms, n = 0, most = 0, removed = 0;
    *out_more = false;
    if (db->keep_ms == 0 || db->newest_wall_ms <= 0)
        return 0;
    int code = store_db_exec(db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < sizeof(old_rows) / sizeof(*old_rows) && !code; i++) {
        code = run_with(db, old_rows[i], before, &n);
        if (i < 4) /* counted where they go */
            continue;
        removed += n;
        most = n > most ? n : most;
    }
    if (!code)
        code = store_db_exec(db, "COMMIT");
    if (code && !sqlite3_get_autocommit(db->sql))
        (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    if (!code && removed > 0)
        code = store_db_exec(db, "PRAGMA incremental_vacuum(1000)");
    db->pruned += code ? 0 : (uint64_t)removed;
    *out_more = !code && most >= 500;
    return code;
}
