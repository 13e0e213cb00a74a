/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"
#include "base/mem.h"
#include "io/store_impl.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_LIMIT    100u
#define LIST_MAX      1000u
#define PREVIEW_BYTES 256u
#define CHUNK_BYTES   (4u << 20)
#define CHUNK_ROWS    1000u

/* A statement whose text depends on which filters are given; parameters ?1 … ?5 always exist.
 */
#define DEAD_WHERE                                                                             \
    " WHERE (?1=0 OR id=?1) AND (?2 IS NULL OR reason=?2)"                                     \
    " AND (?3 IS NULL OR substr(topic,1,length(?3))=?3) AND (?4=0 OR id<?4) AND ?5 IS NULL"
#define MESSAGE_WHERE                                                                          \
    " WHERE (?1=0 OR m.id=?1) AND (?2 IS NULL OR m.reason=?2)"                                 \
    " AND (?3 IS NULL OR substr(m.topic,1,length(?3))=?3) AND (?4=0 OR m.id<?4)"               \
    " AND (?5 IS NULL OR d.device=?5)"

/* Never jansson's json_string(): core/json has a function of that name, and the linker takes it. */
static json_t *text_new(const char *s)
{
    return json_stringn(s, strlen(s));
}

static void bind_blob(sqlite3_stmt *st, int i, const char *s)
{
    if (s)
        sqlite3_bind_blob(st, i, s, (int)strlen(s), SQLITE_STATIC);
}

static int prepare(struct store_db *db, const char *sql, const struct store_filter *f,
                   sqlite3_stmt **out)
{
    if (sqlite3_prepare_v2(db->sql, sql, -1, out, NULL) != SQLITE_OK)
        return store_db_fail(db, "read the store");
    sqlite3_bind_int64(*out, 1, (sqlite3_int64)f->id);
    if (f->reason)
        sqlite3_bind_text(*out, 2, f->reason, -1, SQLITE_STATIC);
    bind_blob(*out, 3, f->topic_prefix);
    sqlite3_bind_int64(*out, 4, (sqlite3_int64)f->before);
    bind_blob(*out, 5, f->device);
    return 0;
}

static json_t *json_time(int64_t wall_ns)
{
    char text[48];
    time_t t = (time_t)(wall_ns / 1000000000);
    struct tm tm;
    if (!gmtime_r(&t, &tm))
        return json_null();
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)((wall_ns / 1000000) % 1000));
    return text_new(text);
}

static json_t *json_text(sqlite3_stmt *st, int col)
{
    const char *s = (const char *)sqlite3_column_text(st, col);
    json_t *v = s ? text_new(s) : NULL;
    return v ? v : json_null();
}

static json_t *json_base64(const unsigned char *p, size_t n)
{
    struct buf b;
    buf_init(&b, n / 3 * 4 + 16);
    (void)base64_put(&b, p, n);
    json_t *j = text_new(buf_cstr(&b));
    buf_done(&b);
    return j;
}

/* Bytes for people: as text where they are UTF-8, else with what is not replaced. */
static json_t *json_bytes(sqlite3_stmt *st, int col, size_t most)
{
    const char *p = sqlite3_column_blob(st, col);
    size_t n = (size_t)sqlite3_column_bytes(st, col);
    size_t cut = n < most ? n : most;
    json_t *v = json_stringn(p ? p : "", cut);
    for (size_t back = 1; !v && cut < n && back < 4 && back < cut; back++)
        v = json_stringn(p, cut - back); /* cut inside a character */
    return v ? v : json_null();
}

static void set_payload(json_t *row, sqlite3_stmt *st, int col, bool whole)
{
    json_object_set_new(row, "payload_bytes", json_integer(sqlite3_column_bytes(st, col)));
    json_object_set_new(row, "payload", json_bytes(st, col, whole ? SIZE_MAX : PREVIEW_BYTES));
    if (whole)
        json_object_set_new(
            row, "payload_base64",
            json_base64(sqlite3_column_blob(st, col), (size_t)sqlite3_column_bytes(st, col)));
}

#define DEAD_COLUMNS                                                                           \
    "id, wall_ns, reason, detail, replayed, sink, topic, broker, flags, record_offset,"        \
    " block, line, status, payload"

static json_t *dead_row(sqlite3_stmt *st, bool whole)
{
    json_t *row = json_object();
    bool line = sqlite3_column_type(st, 5) != SQLITE_NULL;
    json_object_set_new(row, "id", json_integer(sqlite3_column_int64(st, 0)));
    json_object_set_new(row, "kind", text_new(line ? "line" : "message"));
    json_object_set_new(row, "time", json_time(sqlite3_column_int64(st, 1)));
    json_object_set_new(row, "reason", json_text(st, 2));
    json_object_set_new(row, "detail", json_text(st, 3));
    json_object_set_new(row, "replayed", json_boolean(sqlite3_column_int(st, 4)));
    if (line) {
        json_object_set_new(row, "sink", json_text(st, 5));
        json_object_set_new(row, "block", json_integer(sqlite3_column_int64(st, 10)));
        json_object_set_new(row, "line", json_integer(sqlite3_column_int64(st, 11)));
        json_object_set_new(row, "status", json_integer(sqlite3_column_int64(st, 12)));
    } else {
        json_object_set_new(row, "topic", json_bytes(st, 6, SIZE_MAX));
        json_object_set_new(row, "broker", json_text(st, 7));
        json_object_set_new(row, "qos", json_integer(sqlite3_column_int(st, 8) & 3));
        json_object_set_new(row, "offset", json_integer(sqlite3_column_int64(st, 9)));
    }
    set_payload(row, st, 13, whole);
    return row;
}

#define MESSAGE_COLUMNS                                                                        \
    "m.id, m.wall_ns, m.reason, m.detail, m.topic, m.broker, m.flags, m.record_offset,"        \
    " m.compound, d.device, m.payload"

static json_t *message_row(sqlite3_stmt *st, bool whole)
{
    json_t *row = json_object();
    json_object_set_new(row, "id", json_integer(sqlite3_column_int64(st, 0)));
    json_object_set_new(row, "time", json_time(sqlite3_column_int64(st, 1)));
    json_object_set_new(row, "reason", json_text(st, 2));
    json_object_set_new(row, "detail", json_text(st, 3));
    json_object_set_new(row, "topic", json_bytes(st, 4, SIZE_MAX));
    json_object_set_new(row, "broker", json_text(st, 5));
    json_object_set_new(row, "qos", json_integer(sqlite3_column_int(st, 6) & 3));
    json_object_set_new(row, "offset", json_integer(sqlite3_column_int64(st, 7)));
    json_object_set_new(row, "compound", json_text(st, 8));
    json_object_set_new(row, "device", json_bytes(st, 9, SIZE_MAX));
    set_payload(row, st, 10, whole);
    return row;
}

#define DEVICE_COLUMNS "id, device, first_ns, last_ns, n, kept, compound, broker, topic"

static json_t *device_row(sqlite3_stmt *st, bool whole)
{
    (void)whole;
    json_t *row = json_object();
    json_object_set_new(row, "id", json_integer(sqlite3_column_int64(st, 0)));
    json_object_set_new(row, "device", json_bytes(st, 1, SIZE_MAX));
    json_object_set_new(row, "first_seen", json_time(sqlite3_column_int64(st, 2)));
    json_object_set_new(row, "last_seen", json_time(sqlite3_column_int64(st, 3)));
    json_object_set_new(row, "messages", json_integer(sqlite3_column_int64(st, 4)));
    json_object_set_new(row, "kept", json_integer(sqlite3_column_int64(st, 5)));
    json_object_set_new(row, "compound", json_text(st, 6));
    json_object_set_new(row, "broker", json_text(st, 7));
    json_object_set_new(row, "topic", json_bytes(st, 8, SIZE_MAX));
    return row;
}

typedef json_t *row_fn(sqlite3_stmt *st, bool whole);

/* Rows as an array; *out_next: the last id when there may be more, else 0. */
static int rows(struct store_db *db, const char *sql, const struct store_filter *f, row_fn *fn,
                bool whole, json_t *out, int64_t *out_next)
{
    sqlite3_stmt *st = NULL;
    uint64_t limit = f->limit ? f->limit : LIST_LIMIT;
    limit = limit < LIST_MAX ? limit : LIST_MAX;
    int64_t last = 0;
    int rc = SQLITE_DONE, code = prepare(db, sql, f, &st);
    while (!code && json_array_size(out) < limit && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        last = sqlite3_column_int64(st, 0);
        json_array_append_new(out, fn(st, whole));
    }
    if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = store_db_fail(db, "read the store");
    if (!code && out_next)
        *out_next = json_array_size(out) == limit ? last : 0;
    sqlite3_finalize(st);
    return code;
}

static int list(struct store_db *db, const char *sql, const struct store_filter *f, row_fn *fn,
                const char *name, json_t *out)
{
    json_t *array = json_array();
    json_object_set_new(out, name, array);
    int64_t next = 0;
    int code = rows(db, sql, f, fn, false, array, &next);
    json_object_set_new(out, "next", next ? json_integer(next) : json_null());
    return code;
}

static int show_dead(struct store_db *db, const struct store_filter *f, json_t *out)
{
    json_t *array = json_array();
    struct store_filter one = {.id = f->id, .limit = 1};
    int code = f->id ? rows(db, "SELECT " DEAD_COLUMNS " FROM dead" DEAD_WHERE, &one, dead_row,
                            true, array, NULL)
                     : 0;
    if (!code)
        code = json_array_size(array) ? json_object_update(out, json_array_get(array, 0))
                                      : -ENOENT;
    json_decref(array);
    return code;
}

static int show_quarantine(struct store_db *db, const struct store_filter *f, json_t *out)
{
    json_t *array = json_array(), *messages = json_array();
    struct store_filter one = {.id = f->id, .device = f->device, .limit = 1};
    int code = rows(db,
                    "SELECT " DEVICE_COLUMNS " FROM quarantine_device WHERE (?1=0 OR id=?1)"
                    " AND ?2 IS NULL AND ?3 IS NULL AND ?4=0 AND (?5 IS NULL OR device=?5)",
                    &one, device_row, true, array, NULL);
    json_t *device = json_array_get(array, 0);
    if (!code && (!device || (!f->id && !f->device)))
        code = -ENOENT;
    if (!code) {
        struct store_filter its = {.device = f->device, .limit = STORE_DEVICE_SAMPLES};
        char sql[512];
        snprintf(sql, sizeof(sql),
                 "SELECT " MESSAGE_COLUMNS " FROM quarantine_message m JOIN quarantine_device d"
                 " ON d.id = m.device_id" MESSAGE_WHERE " AND d.id=%lld ORDER BY m.id DESC",
                 (long long)json_integer_value(json_object_get(device, "id")));
        code = rows(db, sql, &its, message_row, true, messages, NULL);
        json_object_update(out, device);
        json_object_set(out, "samples", messages);
    }
    json_decref(array);
    json_decref(messages);
    return code;
}

static json_t *count_row(sqlite3_stmt *st, bool whole)
{
    (void)whole;
    json_t *row = json_object();
    json_object_set_new(row, "part", json_text(st, 0));
    json_object_set_new(row, "reason", json_text(st, 1));
    json_object_set_new(row, "n", json_integer(sqlite3_column_int64(st, 2)));
    json_object_set_new(row, "bytes", json_integer(sqlite3_column_int64(st, 3)));
    return row;
}

#define NO_FILTER " ?1=0 AND ?2 IS NULL AND ?3 IS NULL AND ?4=0 AND ?5 IS NULL"

static int counts(struct store_db *db, json_t *out)
{
    static const struct store_filter all = {.limit = LIST_MAX};
    json_t *kept = json_array(), *lost = json_array();
    json_object_set_new(out, "kept", kept);
    json_object_set_new(out, "not_kept", lost);
    int code =
        rows(db,
             "SELECT CASE WHEN sink IS NULL THEN 'dead' ELSE 'line' END, reason, count(*),"
             " sum(bytes) FROM dead WHERE" NO_FILTER " GROUP BY 1, 2"
             " UNION ALL SELECT 'quarantine', reason, count(*), sum(bytes)"
             " FROM quarantine_message GROUP BY 2",
             &all, count_row, false, kept, NULL);
    if (!code)
        code = rows(db, "SELECT part, reason, n, 0 FROM not_kept WHERE" NO_FILTER, &all,
                    count_row, false, lost, NULL);
    json_object_set_new(out, "dead_rows", json_integer((json_int_t)db->dead_rows));
    json_object_set_new(out, "dead_bytes", json_integer((json_int_t)db->dead_bytes));
    json_object_set_new(out, "max_bytes", json_integer((json_int_t)db->max_bytes));
    json_object_set_new(out, "quarantine_devices", json_integer((json_int_t)db->q_devices));
    json_object_set_new(out, "quarantine_rows", json_integer((json_int_t)db->q_rows));
    json_object_set_new(out, "max_devices", json_integer((json_int_t)db->max_devices));
    return code;
}

/* The quarantine's table of sources, its devices' counts and our sums follow what was deleted.
 */
static int settle(struct store_db *db, bool drop_empty)
{
    int code = 0;
    if (drop_empty)
        code = store_db_exec(db,
                             "DELETE FROM quarantine_device WHERE NOT EXISTS (SELECT 1 FROM"
                             " quarantine_message m WHERE m.device_id = quarantine_device.id)");
    if (!code)
        code = store_db_exec(
            db,
            "UPDATE quarantine_device SET kept = (SELECT count(*) FROM quarantine_message m"
            " WHERE m.device_id = quarantine_device.id);"
            "DELETE FROM quarantine_source;"
            "INSERT INTO quarantine_source SELECT d.source, count(DISTINCT d.id),"
            " coalesce(sum(m.bytes), 0) FROM quarantine_device d LEFT JOIN quarantine_message m"
            " ON m.device_id = d.id GROUP BY d.source");
    return code;
}

static int end_transaction(struct store_db *db, int code)
{
    if (!code)
        code = store_db_exec(db, "COMMIT");
    if (code && !sqlite3_get_autocommit(db->sql))
        (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return code ? code : store_db_totals(db);
}

static int purge(struct store_db *db, bool quarantine, const struct store_filter *f,
                 json_t *out)
{
    int code = store_db_exec(db, "BEGIN IMMEDIATE");
    if (code)
        return code;
    sqlite3_stmt *st = NULL;
    struct store_filter some = *f;
    some.before = 0;
    code = prepare(db,
                   quarantine ? "DELETE FROM quarantine_message WHERE id IN (SELECT m.id FROM"
                                " quarantine_message m JOIN quarantine_device d"
                                " ON d.id = m.device_id" MESSAGE_WHERE ")"
                              : "DELETE FROM dead" DEAD_WHERE,
                   &some, &st);
    if (!code && sqlite3_step(st) != SQLITE_DONE)
        code = store_db_fail(db, "write the store");
    int64_t n = code ? 0 : sqlite3_changes64(db->sql);
    sqlite3_finalize(st);
    if (!code && quarantine)
        code = settle(db, true);
    code = end_transaction(db, code);
    if (!code)
        code = store_db_exec(db, "PRAGMA incremental_vacuum");
    json_object_set_new(out, "purged", json_integer(n));
    return code;
}

static int answer(struct store_db *db, enum store_query q, const struct store_filter *f,
                  json_t *out)
{
    switch (q) {
    case STORE_DEAD_LIST:
        return list(db, "SELECT " DEAD_COLUMNS " FROM dead" DEAD_WHERE " ORDER BY id DESC", f,
                    dead_row, "dead", out);
    case STORE_DEAD_SHOW:
        return show_dead(db, f, out);
    case STORE_DEAD_PURGE:
        return purge(db, false, f, out);
    case STORE_QUARANTINE_LIST:
        return list(db,
                    "SELECT " DEVICE_COLUMNS " FROM quarantine_device WHERE (?1=0 OR id=?1)"
                    " AND ?2 IS NULL AND (?3 IS NULL OR substr(topic,1,length(?3))=?3)"
                    " AND (?4=0 OR id<?4) AND (?5 IS NULL OR device=?5) ORDER BY id DESC",
                    f, device_row, "devices", out);
    case STORE_QUARANTINE_SHOW:
        return show_quarantine(db, f, out);
    case STORE_QUARANTINE_PURGE:
        return purge(db, true, f, out);
    case STORE_COUNTS:
        return counts(db, out);
    }
    return -EINVAL;
}

int store_db_query(struct store_db *db, enum store_query q, const struct store_filter *f,
                   char **out_json, size_t *out_len)
{
    json_t *out = json_object();
    int code = answer(db, q, f, out);
    if (!code) {
        *out_json = json_dumps(out, JSON_COMPACT);
        *out_len = strlen(*out_json);
    }
    json_decref(out);
    return code;
}

/* -- raw messages to take up again ------------------------------------------- */

#define LETTER_COLUMNS(t, d)                                                                   \
    "SELECT " t "id, " t "reason, " t "detail, " t "broker, " t "topic, " t "payload, " t      \
    "wall_ns, " t "engine_ns, " t "record_offset, " t "tick, " t "ordinal, " t "flags, " d

static const char *column_text(sqlite3_stmt *st, int col)
{
    return (const char *)sqlite3_column_text(st, col);
}

static void chunk_add(struct store_letters_chunk *c, sqlite3_stmt *st,
                      struct store_item ***last, size_t *bytes)
{
    struct store_letter l = {
        .reason = column_text(st, 1),
        .detail = column_text(st, 2),
        .broker = column_text(st, 3),
        .topic = sqlite3_column_blob(st, 4),
        .topic_len = (size_t)sqlite3_column_bytes(st, 4),
        .payload = sqlite3_column_blob(st, 5),
        .payload_len = (size_t)sqlite3_column_bytes(st, 5),
        .wall_ns = sqlite3_column_int64(st, 6),
        .engine_ns = (uint64_t)sqlite3_column_int64(st, 7),
        .record_offset = (uint64_t)sqlite3_column_int64(st, 8),
        .at = {.offset = (uint64_t)sqlite3_column_int64(st, 8),
               .tick = (uint64_t)sqlite3_column_int64(st, 9),
               .ordinal = (uint64_t)sqlite3_column_int64(st, 10)},
        .flags = (uint8_t)sqlite3_column_int(st, 11),
        .device = sqlite3_column_blob(st, 12),
        .device_len = (size_t)sqlite3_column_bytes(st, 12),
        .compound = column_text(st, 13),
    };
    size_t n;
    struct store_item *it = store_item_letter(ITEM_DEAD, &l, &n);
    **last = it;
    *last = &it->next;
    *bytes += n;
    c->ids[c->n++] = (uint64_t)sqlite3_column_int64(st, 0);
}

static int newest(struct store_db *db, bool quarantine, uint64_t *out)
{
    sqlite3_stmt *st = NULL;
    const char *sql =
        quarantine ? "SELECT max(id) FROM quarantine_message" : "SELECT max(id) FROM dead";
    if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
        return store_db_fail(db, "read the store");
    int code = sqlite3_step(st) == SQLITE_ROW ? 0 : store_db_fail(db, "read the store");
    if (!code)
        *out = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return code;
}

int store_db_letters(struct store_db *db, bool quarantine, const struct store_filter *f,
                     uint64_t after_id, struct store_letters_chunk *c)
{
    int code = c->until_id ? 0 : newest(db, quarantine, &c->until_id);
    if (code)
        return code;
    sqlite3_stmt *st = NULL;
    struct store_filter some = *f;
    some.before = c->until_id + 1;
    code = prepare(
        db,
        f->lines ? LETTER_COLUMNS("", "sink, NULL") " FROM dead WHERE (?1=0 OR id=?1)"
                                                    " AND (?2 IS NULL OR reason=?2)"
                                                    " AND ?3 IS NULL AND (?4=0 OR id<?4)"
                                                    " AND (?5 IS NULL OR sink=CAST(?5 AS TEXT))"
                                                    " AND id>?6 AND sink IS NOT NULL"
                                                    " AND replayed=0 ORDER BY id"
        : quarantine
            ? LETTER_COLUMNS(
                  "m.",
                  "d.device, m.compound") " FROM quarantine_message m JOIN quarantine_device d "
                                          "ON d.id = m.device_id" MESSAGE_WHERE
                                          " AND m.id>?6 ORDER BY m.id"
            : LETTER_COLUMNS(
                  "", "NULL, NULL") " FROM dead" DEAD_WHERE
                                    " AND id>?6 AND sink IS NULL AND replayed=0 ORDER BY id",
        &some, &st);
    struct store_item **last = &c->first;
    size_t bytes = 0;
    int rc = SQLITE_DONE;
    c->ids = mem_zalloc_array(CHUNK_ROWS, sizeof(*c->ids));
    uint64_t most = f->limit && f->limit < CHUNK_ROWS ? f->limit : CHUNK_ROWS;
    if (!code)
        sqlite3_bind_int64(st, 6, (sqlite3_int64)after_id);
    while (!code && c->n < most && bytes < CHUNK_BYTES && (rc = sqlite3_step(st)) == SQLITE_ROW)
        chunk_add(c, st, &last, &bytes);
    if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = store_db_fail(db, "read the store");
    c->more = !code && rc == SQLITE_ROW;
    sqlite3_finalize(st);
    return code;
}

void store_letters_chunk_done(struct store_letters_chunk *c)
{
    for (struct store_item *it = c->first, *next; it; it = next) {
        next = it->next;
        free(it);
    }
    free(c->ids);
    *c = (struct store_letters_chunk){0};
}

/* Of a line: one more that its database took after all. */
static int count_retaken(struct store_db *db, uint64_t id, sqlite3_stmt **count)
{
    if (!*count &&
        sqlite3_prepare_v2(db->sql,
                           "INSERT INTO meta SELECT 'retaken/'||sink, 1 FROM dead WHERE id=?1"
                           " AND sink IS NOT NULL ON CONFLICT(key) DO UPDATE SET value=value+1",
                           -1, count, NULL) != SQLITE_OK)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(*count, 1, (sqlite3_int64)id);
    int code = sqlite3_step(*count) == SQLITE_DONE ? 0 : store_db_fail(db, "write the store");
    sqlite3_reset(*count);
    return code;
}

int store_db_mark(struct store_db *db, bool quarantine, const uint64_t *ids, size_t n)
{
    sqlite3_stmt *st = NULL, *count = NULL;
    int code = store_db_exec(db, "BEGIN IMMEDIATE");
    if (code)
        return code;
    const char *sql = quarantine ? "DELETE FROM quarantine_message WHERE id=?1"
                                 : "UPDATE dead SET replayed=1 WHERE id=?1 AND replayed=0";
    if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
        code = store_db_fail(db, "write the store");
    for (size_t i = 0; i < n && !code; i++) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)ids[i]);
        if (sqlite3_step(st) != SQLITE_DONE)
            code = store_db_fail(db, "write the store");
        else if (!quarantine && sqlite3_changes64(db->sql) > 0)
            code = count_retaken(db, ids[i], &count);
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    sqlite3_finalize(count);
    if (!code && quarantine)
        code = settle(db, true);
    return end_transaction(db, code);
}
