/* SPDX-License-Identifier: Apache-2.0 */
#include "io/store_impl.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Step n brings a store of version n to n + 1. Released steps are never edited. */
static const char *const migrations[STORE_VERSION] = {
    /* bytes stands before the contents, so that sums need not read them */
    "CREATE TABLE cursor(id INTEGER PRIMARY KEY CHECK (id = 1), offset INTEGER NOT NULL,"
    " tick INTEGER NOT NULL, ordinal INTEGER NOT NULL);"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE not_kept(part TEXT, reason TEXT, n INTEGER NOT NULL,"
    " PRIMARY KEY(part, reason)) WITHOUT ROWID;"
    /* nothing is in it: generations are kept by io/content.h */
    "CREATE TABLE generation(kind TEXT, hash TEXT, wall_ns INTEGER NOT NULL,"
    " record_offset INTEGER, PRIMARY KEY(record_offset, kind, hash)) WITHOUT ROWID;"
    /* a message (sink NULL) or a line that a sink's database refused */
    "CREATE TABLE dead(id INTEGER PRIMARY KEY AUTOINCREMENT, bytes INTEGER NOT NULL,"
    " replayed INTEGER NOT NULL DEFAULT 0, wall_ns INTEGER NOT NULL, engine_ns INTEGER,"
    " reason TEXT NOT NULL, detail TEXT, record_offset INTEGER, tick INTEGER, ordinal INTEGER,"
    " broker TEXT, flags INTEGER, sink TEXT, block INTEGER, line INTEGER, status INTEGER,"
    " topic BLOB, payload BLOB);"
    "CREATE UNIQUE INDEX dead_letter ON dead(record_offset, ordinal) WHERE sink IS NULL;"
    "CREATE UNIQUE INDEX dead_line ON dead(sink, block, line) WHERE sink IS NOT NULL;"
    "CREATE TABLE quarantine_device(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " device BLOB NOT NULL UNIQUE, source BLOB NOT NULL, first_ns INTEGER NOT NULL,"
    " last_ns INTEGER NOT NULL, n INTEGER NOT NULL, kept INTEGER NOT NULL, compound TEXT,"
    " broker TEXT, topic BLOB);"
    "CREATE TABLE quarantine_source(source BLOB PRIMARY KEY, devices INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE quarantine_message(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " device_id INTEGER NOT NULL REFERENCES quarantine_device(id), bytes INTEGER NOT NULL,"
    " wall_ns INTEGER NOT NULL, engine_ns INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT,"
    " record_offset INTEGER NOT NULL, tick INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    " broker TEXT, flags INTEGER NOT NULL, compound TEXT, topic BLOB, payload BLOB);"
    "CREATE UNIQUE INDEX quarantine_letter ON quarantine_message(record_offset, ordinal);"
    "CREATE INDEX quarantine_by_device ON quarantine_message(device_id, id);",
    store_alarm_schema,
};

static const char *const statements[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_DEAD_INSERT] = "INSERT INTO dead(bytes, wall_ns, engine_ns, reason, detail, "
                       "record_offset, tick, ordinal,"
                       " broker, flags, sink, block, line, status, topic, payload)"
                       " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
    [ST_DEAD_HAS_LETTER] =
        "SELECT 1 FROM dead WHERE record_offset=?1 AND ordinal=?2 AND sink IS NULL",
    [ST_DEAD_HAS_LINE] = "SELECT payload=?4 FROM dead WHERE sink=?1 AND block=?2 AND line=?3",
    [ST_DEAD_FREE_LINE] = "UPDATE dead SET block=NULL WHERE sink=?1 AND block=?2 AND line=?3",
    [ST_DEAD_OLDEST] = "SELECT id, bytes, reason FROM dead WHERE id > ?1 ORDER BY id LIMIT 1",
    [ST_DEAD_DELETE] = "DELETE FROM dead WHERE id=?1",
    [ST_NOT_KEPT] = "INSERT INTO not_kept VALUES(?1,?2,1)"
                    " ON CONFLICT DO UPDATE SET n = n + 1",
    [ST_PROTECTED] = "INSERT INTO meta VALUES('dead_protected',?1)"
                     " ON CONFLICT DO UPDATE SET value = excluded.value",
    [ST_CURSOR] = "INSERT OR REPLACE INTO cursor VALUES(1,?1,?2,?3)",
    [ST_Q_FIND] = "SELECT id, kept, source FROM quarantine_device WHERE device=?1",
    [ST_Q_NEW] = "INSERT INTO quarantine_device(device, source, first_ns, last_ns, n, kept,"
                 " compound, broker, topic) VALUES(?1,?2,?3,?3,0,0,?4,?5,?6)",
    [ST_Q_SEEN] = "UPDATE quarantine_device SET last_ns=max(last_ns,?2),"
                  " n=max(n+?6,kept+1),"
                  " compound=coalesce(?3,compound), broker=?4, topic=?5 WHERE id=?1",
    [ST_Q_HAS] = "SELECT 1 FROM quarantine_message WHERE record_offset=?1 AND ordinal=?2",
    [ST_Q_INSERT] =
        "INSERT INTO quarantine_message(device_id, bytes, wall_ns, engine_ns, reason,"
        " detail, record_offset, tick, ordinal, broker, flags, compound, topic, payload)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
    [ST_Q_OLDEST] =
        "SELECT id, bytes FROM quarantine_message WHERE device_id=?1 ORDER BY id LIMIT 1",
    [ST_Q_DELETE] = "DELETE FROM quarantine_message WHERE id=?1",
    [ST_Q_KEPT] = "UPDATE quarantine_device SET kept = kept + ?2 WHERE id=?1",
    [ST_Q_PREFIX] = "SELECT devices, bytes FROM quarantine_source WHERE source=?1",
    [ST_Q_PREFIX_ADD] =
        "INSERT INTO quarantine_source VALUES(?1,?2,?3) ON CONFLICT DO UPDATE"
        " SET devices = devices + excluded.devices, bytes = bytes + excluded.bytes",
    [ST_Q_GONE] = "DELETE FROM quarantine_device WHERE id=?1",
    [ST_A_HAS] = "SELECT 1 FROM alarm_transition WHERE record_offset=?1 AND tick=?2"
                 " AND ordinal=?3 AND n=?4",
    [ST_A_SEQ] = "INSERT INTO alarm_seq VALUES(?1,?2,?3,1) ON CONFLICT DO UPDATE"
                 " SET seq = seq + 1 RETURNING seq",
    [ST_A_TRANSITION] =
        "INSERT INTO alarm_transition(record_offset, tick, ordinal, n, wall_ms, change,"
        " case_id, stream, firm, compound, rule, device, point, occurrence, version, severity,"
        " test, seq) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
    [ST_A_TEXT] = "INSERT INTO alarm_text VALUES(?1,?2)",
    [ST_A_FIND] = "SELECT id, closed_ms IS NULL, told_id, told_firm, told_compound"
                  " FROM alarm_case WHERE case_id=?1",
    [ST_A_OPEN] =
        "INSERT INTO alarm_case(case_id, firm, compound, occurrence, severity, opened_ms,"
        " changed_ms, last_id, closed_ms, blob, told_id, told_seq, told_firm, told_compound,"
        " stream, rule, device, point) VALUES(?1,?2,?3,?4,?5,?6,?6,?7,?8,?9,?10,?11,"
        " iif(?10 IS NULL, NULL, ?2), iif(?10 IS NULL, NULL, ?3), ?12,?13,?14,?15)",
    [ST_A_CHANGE] =
        "UPDATE alarm_case SET firm=?2, compound=?3, occurrence=?4, severity=?5, changed_ms=?6,"
        " last_id=?7, closed_ms=?8, blob=?9, told_id=coalesce(?10, told_id),"
        " told_seq=coalesce(?11, told_seq), told_firm=iif(?10 IS NULL, told_firm, ?2),"
        " told_compound=iif(?10 IS NULL, told_compound, ?3), point=?15 WHERE case_id=?1",
    [ST_A_REPLY] =
        "INSERT OR IGNORE INTO alarm_reply(record_offset, tick, ordinal, n, wall_ms, origin,"
        " firm, compound, case_id, verb, answer, topic, correlation, expires_ms, command, json)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
    [ST_OUTBOX] = "INSERT INTO outbox(transition_id, reply_id, tell, urgent, was_firm,"
                  " was_compound) VALUES(?1,?2,?3,?4,?5,?6)",
#define OUTBOX_READ                                                                            \
    "SELECT o.id, o.tell, o.urgent, o.was_firm, o.was_compound, t.firm, t.compound,"           \
    " t.case_id, t.seq, x.json, r.firm, r.compound, r.case_id, r.topic, r.correlation,"        \
    " r.expires_ms, r.json, t.record_offset FROM outbox o LEFT JOIN alarm_transition t"        \
    " ON t.id = o.transition_id LEFT JOIN alarm_text x ON x.id = t.id"                         \
    " LEFT JOIN alarm_reply r ON r.id = o.reply_id WHERE o.id > ?1"
    [ST_OUTBOX_READ] = OUTBOX_READ " ORDER BY o.id",
    [ST_OUTBOX_URGENT] = OUTBOX_READ " AND o.urgent=1 ORDER BY o.id",
    [ST_OUTBOX_DONE] =
        "DELETE FROM outbox WHERE id=?1 RETURNING coalesce(transition_id, 0) << 1 | urgent",
    [ST_A_TOLD] = "UPDATE alarm_transition SET told_ms=?2 WHERE id=?1",
    [ST_WAITING] = "SELECT o.id, t.id, t.stream, t.firm, t.compound, t.case_id, t.seq, x.json"
                   " FROM outbox o JOIN alarm_transition t ON t.id = o.transition_id"
                   " JOIN alarm_text x ON x.id = t.id WHERE t.seq > 0 AND o.id > ?1"
                   " ORDER BY o.id LIMIT 1",
    [ST_A_RESTREAM] = "UPDATE alarm_transition SET stream=?2, seq=?3 WHERE id=?1",
    [ST_A_RETEXT] = "UPDATE alarm_text SET json=?2 WHERE id=?1",
    [ST_A_RETOLD] = "UPDATE alarm_case SET told_seq=?3 WHERE case_id=?2 AND told_id=?1",
    [ST_META] = "INSERT INTO meta VALUES(?1,?2) ON CONFLICT DO UPDATE"
                " SET value = excluded.value",
    [ST_OPEN_CASES] =
        "SELECT c.id, c.case_id, coalesce(c.told_firm, c.firm),"
        " coalesce(c.told_compound, c.compound), c.told_seq, x.json, c.blob FROM alarm_case c"
        " INDEXED BY alarm_case_open LEFT JOIN alarm_text x ON x.id = c.told_id WHERE "
        "c.closed_ms IS NULL AND c.id > ?1"
        " AND (?2 IS NULL OR coalesce(c.told_firm, c.firm) = ?2) ORDER BY c.id",
};

static int sqlite_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_TOOBIG:
        return -EMSGSIZE;
    default:
        return -EIO;
    }
}

int store_db_fail(struct store_db *db, const char *doing)
{
    int code = sqlite_errno(sqlite3_extended_errcode(db->sql));
    int sys = sqlite3_system_errno(db->sql);
    if (code == -EIO && sys == ENOSPC)
        code = -ENOSPC;
    snprintf(db->problem, sizeof(db->problem), "cannot %s: %s%s%s", doing,
             sqlite3_errmsg(db->sql), code == -EIO && sys ? ": " : "",
             code == -EIO && sys ? strerrordesc_np(sys) : "");
    return code ? code : -EIO;
}

int store_db_exec(struct store_db *db, const char *sql)
{
    if (sqlite3_exec(db->sql, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_db_fail(db, "write the store");
    return 0;
}

sqlite3_stmt *store_db_statement(struct store_db *db, enum store_statement s)
{
    if (!db->st[s] && sqlite3_prepare_v3(db->sql, statements[s], -1, SQLITE_PREPARE_PERSISTENT,
                                         &db->st[s], NULL) != SQLITE_OK)
        return NULL;
    sqlite3_reset(db->st[s]);
    sqlite3_clear_bindings(db->st[s]);
    return db->st[s];
}

int store_db_run(struct store_db *db, enum store_statement s)
{
    int rc = sqlite3_step(db->st[s]);
    int code = rc == SQLITE_DONE ? 0 : store_db_fail(db, "write the store");
    sqlite3_reset(db->st[s]);
    return code;
}

static int number(struct store_db *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    int code = 0;
    if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
        return store_db_fail(db, "read the store");
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    else if (rc == SQLITE_DONE)
        *out = 0;
    else
        code = store_db_fail(db, "read the store");
    sqlite3_finalize(st);
    return code;
}

static int read_retaken(struct store_db *db)
{
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    int rc = SQLITE_DONE;
    if (sqlite3_prepare_v2(db->sql,
                           "SELECT substr(key,9), value FROM meta WHERE key LIKE 'retaken/%'"
                           " ORDER BY key",
                           -1, &st, NULL) != SQLITE_OK)
        return store_db_fail(db, "read the store");
    memset(db->retaken, 0, sizeof(db->retaken));
    while (n < STORE_SINKS && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *sink = (const char *)sqlite3_column_text(st, 0);
        (void)snprintf(db->retaken[n].sink, sizeof(db->retaken[n].sink), "%s",
                       sink ? sink : "");
        db->retaken[n++].lines = (uint64_t)sqlite3_column_int64(st, 1);
    }
    int code = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_db_fail(db, "read the store");
    sqlite3_finalize(st);
    return code;
}

int store_db_totals(struct store_db *db)
{
    struct {
        const char *sql;
        uint64_t *out;
    } sums[] = {
        {"SELECT count(*) FROM dead", &db->dead_rows},
        {"SELECT total(bytes) FROM dead", &db->dead_bytes},
        {"SELECT total(n) FROM not_kept WHERE part='dead'", &db->dead_not_kept},
        {"SELECT count(*) FROM quarantine_device", &db->q_devices},
        {"SELECT count(*) FROM quarantine_message", &db->q_rows},
        {"SELECT total(bytes) FROM quarantine_message", &db->q_bytes},
        {"SELECT total(n) FROM not_kept WHERE part='quarantine'", &db->q_not_kept},
        {"SELECT count(*) FROM alarm_case WHERE closed_ms IS NULL", &db->open_cases},
        {"SELECT count(*) FROM outbox", &db->outbox_rows},
        {"SELECT max(record_offset) FROM alarm_transition", &db->alarm_offset},
        {"SELECT count(*) FROM outbox WHERE urgent=1", &db->outbox_urgent},
        {"SELECT value FROM meta WHERE key='epoch'", &db->epoch},
        {"SELECT value FROM meta WHERE key='epoch_last'", &db->epoch_last},
        {"SELECT value FROM meta WHERE key='epoch_from'", &db->epoch_from},
    };
    for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++) {
        int64_t v = 0;
        int code = number(db, sums[i].sql, &v);
        if (code)
            return code;
        *sums[i].out = (uint64_t)v;
    }
    int code = number(db, "SELECT wall_ms FROM alarm_transition ORDER BY id DESC LIMIT 1",
                      &db->newest_wall_ms);
    code = code ? code : read_retaken(db);
    if (code)
        return code;
    return number(db, "SELECT value FROM meta WHERE key='dead_protected'", &db->dead_protected);
}

void store_db_copy_stats(const struct store_db *db, struct store_stats *t)
{
    t->dead_rows = db->dead_rows;
    t->dead_bytes = db->dead_bytes;
    t->dead_not_kept = db->dead_not_kept;
    t->quarantine_devices = db->q_devices;
    t->quarantine_rows = db->q_rows;
    t->quarantine_not_kept = db->q_not_kept;
    t->open_cases = db->open_cases;
    t->outbox_rows = db->outbox_rows;
    t->alarm_offset = db->alarm_offset;
    t->outbox_urgent = db->outbox_urgent;
    t->transitions = db->transitions;
    t->repeated = db->repeated;
    t->delivered = db->told;
    t->urgent_delivered = db->urgent_told;
    t->pruned = db->pruned;
    memcpy(t->retaken, db->retaken, sizeof(t->retaken));
}

static int read_cursor(struct store_db *db, struct position *out)
{
    int64_t v[3] = {0, 0, 0};
    int code = number(db, "SELECT offset FROM cursor", &v[0]);
    if (!code)
        code = number(db, "SELECT tick FROM cursor", &v[1]);
    if (!code)
        code = number(db, "SELECT ordinal FROM cursor", &v[2]);
    if (!code)
        *out = (struct position){(uint64_t)v[0], (uint64_t)v[1], (uint64_t)v[2]};
    return code;
}

/* The file's name must survive a power cut before anything leans on the store. */
static int sync_folder(const char *path)
{
    char *copy = mem_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0)
        return -errno;
    int code = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return code;
}

static int migrate(struct store_db *db, int64_t from)
{
    for (int64_t v = from; v < STORE_VERSION; v++) {
        char mark[96];
        snprintf(mark, sizeof(mark), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                 STORE_APP_ID, (int)v + 1);
        int code = store_db_exec(db, "BEGIN IMMEDIATE");
        if (!code)
            code = store_db_exec(db, migrations[v]);
        if (!code)
            code = store_db_exec(db, mark);
        if (code)
            return code;
    }
    return 0;
}

static int refuse(struct store_db *db, struct err *err, int code)
{
    if (code == -EBADMSG)
        return err_set(err, code,
                       "%s: the store is damaged (%s); it is left as it is: restore it from a "
                       "backup, or move it away to begin with an empty one",
                       db->path, sqlite3_errmsg(db->sql));
    return err_set(err, code, "%s: %s", db->path, db->problem);
}

/* Is this file one of ours, and of a version that we know? */
static int check_identity(struct store_db *db, struct err *err, int64_t *out_version)
{
    int64_t app = 0, version = 0, tables = 0;
    int code = number(db, "PRAGMA application_id", &app);
    if (!code)
        code = number(db, "PRAGMA user_version", &version);
    if (!code)
        code = number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (code)
        return refuse(db, err, code);
    if (tables > 0 && app != STORE_APP_ID)
        return err_set(err, -EBADMSG,
                       "%s: this is an SQLite database, but not a store of gaihou; "
                       "it is left as it is",
                       db->path);
    if (version > STORE_VERSION)
        return err_set(err, -EPROTONOSUPPORT,
                       "%s: made by a newer gaihoud (store version %lld, this one knows %d)",
                       db->path, (long long)version, STORE_VERSION);
    if (version < 0 || (version == 0 && tables > 0))
        return err_set(err, -EBADMSG, "%s: the store's version is missing; it is left as it is",
                       db->path);
    *out_version = version;
    return 0;
}

static int prepare(struct store_db *db, struct err *err, struct store_opened *out)
{
    int64_t version = 0;
    int code = check_identity(db, err, &version);
    if (code)
        return code;
    if (version == 0)
        code = store_db_exec(db, "PRAGMA auto_vacuum=INCREMENTAL");
    if (!code)
        code = store_db_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                 "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                                 "PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY;"
                                 "PRAGMA cache_size=-2048");
    if (!code)
        code = migrate(db, version);
    if (!code)
        code = store_db_totals(db);
    if (!code)
        code = read_cursor(db, &out->cursor);
    if (code)
        return refuse(db, err, code);
    out->epoch_from = db->epoch_from;
    out->fresh = version == 0;
    code = sync_folder(db->path);
    return code ? err_errno(err, code, "%s: cannot sync its folder", db->path) : 0;
}

int store_db_open(struct store_db *db, const char *path, struct err *err,
                  struct store_opened *out_state)
{
    db->path = mem_strdup(path);
    struct stat st;
    char *wal = mem_printf("%s-wal", path);
    bool orphan =
        stat(path, &st) < 0 && errno == ENOENT && stat(wal, &st) == 0 && st.st_size > 0;
    free(wal);
    if (orphan) /* SQLite would delete it, and what it holds */
        return err_set(err, -EBADMSG,
                       "%s is gone, but %s-wal is there: bring the store back, or "
                       "move that file away too",
                       path, path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &db->sql, flags, NULL) != SQLITE_OK) {
        int code = db->sql ? sqlite_errno(sqlite3_extended_errcode(db->sql)) : -ENOMEM;
        int sys = db->sql ? sqlite3_system_errno(db->sql) : 0;
        return err_set(err, code, "%s: cannot open the store: %s", path,
                       sys ? strerrordesc_np(sys) : "unable to open database file");
    }
    sqlite3_extended_result_codes(db->sql, 1);
    sqlite3_busy_timeout(db->sql, 10000); /* someone's backup may hold it for a moment */
    struct store_opened state = {0};
    int code = prepare(db, err, &state);
    if (code == 0)
        *out_state = state;
    return code;
}

/* What closing would do too, but would not tell. */
static void checkpoint(struct store_db *db)
{
    int rc = sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY && rc != SQLITE_LOCKED)
        log_warn(
            "%s: what its -wal file holds could not be moved into it: %s; nothing is lost, "
            "the next start tries again",
            db->path, sqlite3_errmsg(db->sql));
}

void store_db_close(struct store_db *db)
{
    for (int i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(db->st[i]);
    if (db->sql && db->path)
        checkpoint(db);
    sqlite3_close(db->sql);
    free(db->path);
    *db = (struct store_db){0};
}
