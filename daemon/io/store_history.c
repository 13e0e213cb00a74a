/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store says of alarms to people, as JSON: cases, one with its transitions, history.
 */
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "io/store_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIST_LIMIT 100u
#define LIST_MAX   1000u
#define MAX_ANSWER ((size_t)64 << 20)

static void put_time(struct jsonw *w, const char *key, sqlite3_stmt *st, int col)
{
    char text[STAMP_SIZE];
    if (sqlite3_column_type(st, col) == SQLITE_NULL) {
        jsonw_null(w, key);
        return;
    }
    (void)stamp_format(text, sqlite3_column_int64(st, col), 0);
    jsonw_str(w, key, text);
}

static void put_text(struct jsonw *w, const char *key, sqlite3_stmt *st, int col)
{
    jsonw_str(w, key, (const char *)sqlite3_column_text(st, col));
}

/* A state or a reply as it was told; what is not there is null. */
static void put_raw(struct jsonw *w, const char *key, sqlite3_stmt *st, int col)
{
    const char *json = sqlite3_column_blob(st, col);
    size_t n = (size_t)sqlite3_column_bytes(st, col);
    if (json && n > 0)
        jsonw_raw(w, key, json, n);
    else
        jsonw_null(w, key);
}

/* Where it was, its state says; one that cannot be read was nowhere. */
#define PLACE(n, name)                                                                         \
    " AND (?" n " IS NULL OR iif(json_valid(CAST(x.json AS TEXT)),"                            \
    " json_extract(CAST(x.json AS TEXT), '$.place." name "'), NULL)=?" n ")"
#define FIRST_PLACE 10
#define PLACES                                                                                 \
    PLACE("10", "district")                                                                    \
    PLACE("11", "street") PLACE("12", "community") PLACE("13", "grid") PLACE("14", "building")

/* Parameters ?1 … ?9 always exist, ?15 in history. */
#define FILTERS(t)                                                                             \
    " (?1 IS NULL OR " t "case_id=?1) AND (?2 IS NULL OR " t "compound=?2)"                    \
    " AND (?3 IS NULL OR " t "firm=?3) AND (?4 IS NULL OR " t "device=?4)"                     \
    " AND (?5 IS NULL OR " t "rule=?5) AND (?6 IS NULL OR " t "severity=?6)"                   \
    " AND (?9=0 OR " t "id<?9)" PLACES

static int prepare(struct store_db *db, const char *sql, const struct store_alert_filter *f,
                   sqlite3_stmt **out)
{
    if (sqlite3_prepare_v2(db->sql, sql, -1, out, NULL) != SQLITE_OK)
        return store_db_fail(db, "read the store");
    store_bind_text(*out, 1, f->id);
    store_bind_text(*out, 2, f->compound);
    store_bind_text(*out, 3, f->firm);
    store_bind_text(*out, 4, f->device);
    store_bind_text(*out, 5, f->rule);
    store_bind_text(*out, 6, f->severity);
    sqlite3_bind_int64(*out, 7, f->from_ms);
    sqlite3_bind_int64(*out, 8, f->to_ms);
    sqlite3_bind_int64(*out, 9, (sqlite3_int64)f->before);
    if (sqlite3_bind_parameter_count(*out) >= FIRST_PLACE)
        for (int i = 0; i < STORE_PLACES; i++)
            store_bind_text(*out, FIRST_PLACE + i, f->place[i]);
    if (sqlite3_bind_parameter_index(*out, "?15") > 0)
        sqlite3_bind_int(*out, 15, f->test);
    return 0;
}

#define CASES(index)                                                                           \
    "SELECT c.id, c.case_id, c.stream, c.firm, c.compound, c.rule, c.device, c.point,"         \
    " c.occurrence, c.severity, c.opened_ms, c.changed_ms, c.closed_ms, c.told_seq,"           \
    " EXISTS (SELECT 1 FROM alarm_transition t JOIN outbox o ON o.transition_id = t.id"        \
    " WHERE t.case_id = c.case_id), l.change, x.json FROM alarm_case c" index                  \
    " LEFT JOIN alarm_transition l ON l.id = c.last_id LEFT JOIN alarm_text x"                 \
    " ON x.id = c.last_id"

static void put_case(struct jsonw *w, sqlite3_stmt *st)
{
    jsonw_u64(w, "id", (uint64_t)sqlite3_column_int64(st, 0));
    put_text(w, "case", st, 1);
    put_text(w, "stream", st, 2);
    put_text(w, "firm", st, 3);
    put_text(w, "compound", st, 4);
    put_text(w, "rule", st, 5);
    put_text(w, "device", st, 6);
    put_text(w, "point", st, 7);
    jsonw_i64(w, "occurrences", sqlite3_column_int64(st, 8));
    put_text(w, "severity", st, 9);
    jsonw_bool(w, "open", sqlite3_column_type(st, 12) == SQLITE_NULL);
    put_time(w, "opened", st, 10);
    put_time(w, "changed", st, 11);
    put_time(w, "closed", st, 12);
    jsonw_i64(w, "told_seq", sqlite3_column_int64(st, 13)); /* 0: never told */
    jsonw_bool(w, "waiting", sqlite3_column_int(st, 14));
    put_text(w, "change", st, 15);
    put_raw(w, "state", st, 16);
}

#define TRANSITIONS                                                                            \
    "SELECT t.id, t.wall_ms, t.change, t.case_id, t.stream, t.firm, t.compound, t.rule,"       \
    " t.device, t.point, t.occurrence, t.version, t.severity, t.test, t.seq, t.told_ms,"       \
    " t.record_offset, x.json, EXISTS (SELECT 1 FROM outbox o WHERE o.transition_id = t.id)"   \
    " FROM alarm_transition t LEFT JOIN alarm_text x ON x.id = t.id"

static void put_transition(struct jsonw *w, sqlite3_stmt *st)
{
    jsonw_u64(w, "id", (uint64_t)sqlite3_column_int64(st, 0));
    put_time(w, "at", st, 1);
    put_text(w, "change", st, 2);
    put_text(w, "case", st, 3);
    put_text(w, "stream", st, 4);
    put_text(w, "firm", st, 5);
    put_text(w, "compound", st, 6);
    put_text(w, "rule", st, 7);
    put_text(w, "device", st, 8);
    put_text(w, "point", st, 9);
    jsonw_i64(w, "occurrence", sqlite3_column_int64(st, 10));
    jsonw_i64(w, "version", sqlite3_column_int64(st, 11));
    put_text(w, "severity", st, 12);
    jsonw_bool(w, "test", sqlite3_column_int(st, 13));
    jsonw_i64(w, "seq", sqlite3_column_int64(st, 14)); /* 0: not told */
    put_time(w, "told", st, 15);
    jsonw_bool(w, "waiting", sqlite3_column_int(st, 18));
    jsonw_i64(w, "offset", sqlite3_column_int64(st, 16));
    put_raw(w, "state", st, 17);
}

static void put_reply(struct jsonw *w, sqlite3_stmt *st)
{
    put_time(w, "at", st, 1);
    put_text(w, "firm", st, 2);
    put_text(w, "verb", st, 3);
    put_text(w, "answer", st, 4);
    jsonw_bool(w, "by_operator", sqlite3_column_int64(st, 5) != 0);
    jsonw_strn(w, "command", sqlite3_column_blob(st, 6), (size_t)sqlite3_column_bytes(st, 6));
    put_raw(w, "reply", st, 7);
}

typedef void put_fn(struct jsonw *w, sqlite3_stmt *st);

/* Rows as an array of objects; *out_next: the last id when there may be more, else 0. */
static int rows(struct store_db *db, const char *sql, const struct store_alert_filter *f,
                const char *key, put_fn *put, struct jsonw *w, uint64_t *out_n,
                uint64_t *out_next)
{
    sqlite3_stmt *st = NULL;
    uint64_t limit = f->limit ? f->limit : LIST_LIMIT, n = 0, last = 0;
    limit = limit < LIST_MAX ? limit : LIST_MAX;
    int rc = SQLITE_DONE, code = prepare(db, sql, f, &st);
    jsonw_array(w, key);
    while (!code && n < limit && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        last = (uint64_t)sqlite3_column_int64(st, 0);
        jsonw_object(w, NULL);
        put(w, st);
        jsonw_end_object(w);
        n++;
    }
    jsonw_end_array(w);
    if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = store_db_fail(db, "read the store");
    *out_n = n;
    *out_next = n == limit ? last : 0;
    sqlite3_finalize(st);
    return code;
}

static void put_next(struct jsonw *w, uint64_t next)
{
    if (next)
        jsonw_u64(w, "next", next);
    else
        jsonw_null(w, "next");
}

/* In a time: cases that were open then. */
#define IN_TIME                                                                                \
    " AND (?7=0 OR c.closed_ms IS NULL OR c.closed_ms>=?7) AND (?8=0 OR c.opened_ms<?8)"

/* The filters do not let SQLite use an index; what is in front of them does. */
static int narrowed(struct store_db *db, const char *select, const char *narrow,
                    const char *where, const struct store_alert_filter *f, const char *key,
                    put_fn *put, struct jsonw *w)
{
    uint64_t n, next = 0;
    char *sql = mem_printf("%s WHERE%s%s", select, narrow, where);
    int code = rows(db, sql, f, key, put, w, &n, &next);
    put_next(w, next);
    free(sql);
    return code;
}

static int list(struct store_db *db, const struct store_alert_filter *f, struct jsonw *w)
{
    const char *select = CASES(""), *narrow = f->id       ? " c.case_id=?1 AND"
                                              : f->device ? " c.device=?4 AND"
                                                          : "";
    if (f->state && strcmp(f->state, "open") == 0) {
        select = CASES(" INDEXED BY alarm_case_open");
        narrow = " c.closed_ms IS NULL AND";
    } else if (f->state && strcmp(f->state, "closed") == 0) {
        narrow = f->id       ? " c.closed_ms IS NOT NULL AND c.case_id=?1 AND"
                 : f->device ? " c.closed_ms IS NOT NULL AND c.device=?4 AND"
                             : " c.closed_ms IS NOT NULL AND";
    } else if (f->state) {
        return -EINVAL;
    }
    return narrowed(db, select, narrow, FILTERS("c.") IN_TIME " ORDER BY c.id DESC", f, "cases",
                    put_case, w);
}

static int history(struct store_db *db, const struct store_alert_filter *f, struct jsonw *w)
{
    const char *narrow = f->id       ? " t.case_id=?1 AND"
                         : f->device ? " t.case_id IN (SELECT case_id FROM alarm_case"
                                       " WHERE device=?4) AND"
                                     : "";
    return narrowed(db, TRANSITIONS, narrow,
                    FILTERS("t.") " AND (?7=0 OR t.wall_ms>=?7) AND (?8=0 OR t.wall_ms<?8)"
                                  " AND (?15=0 OR t.test=1) ORDER BY t.id DESC",
                    f, "transitions", put_transition, w);
}

/* When each step of the work was done last; a step that was taken back is still when it was. */
static int stamps(struct store_db *db, const struct store_alert_filter *f, struct jsonw *w)
{
    sqlite3_stmt *st = NULL;
    int rc = SQLITE_DONE,
        code = prepare(db,
                       "SELECT change, max(wall_ms) FROM alarm_transition WHERE case_id=?1"
                       " AND change IN ('acknowledged', 'accepted', 'arrived', 'resolved',"
                       " 'confirmed', 'fed_back', 'closed', 'rejected', 'transferred',"
                       " 'reworked', 'cleared') AND ?2 IS NULL AND ?9=0 GROUP BY change"
                       " ORDER BY max(wall_ms), max(id)",
                       f, &st);
    jsonw_object(w, "stamps");
    while (!code && (rc = sqlite3_step(st)) == SQLITE_ROW)
        put_time(w, (const char *)sqlite3_column_text(st, 0), st, 1);
    jsonw_end_object(w);
    if (!code && rc != SQLITE_DONE)
        code = store_db_fail(db, "read the store");
    sqlite3_finalize(st);
    return code;
}

static int show(struct store_db *db, const struct store_alert_filter *f, struct jsonw *w)
{
    struct store_alert_filter one = {.id = f->id ? f->id : "", .limit = LIST_MAX};
    uint64_t n, next;
    sqlite3_stmt *st = NULL;
    int code = prepare(db, CASES("") " WHERE c.case_id=?1 AND ?2 IS NULL AND ?9=0", &one, &st);
    if (!code) {
        int rc = sqlite3_step(st);
        if (rc == SQLITE_ROW)
            put_case(w, st);
        else
            code = rc == SQLITE_DONE ? -ENOENT : store_db_fail(db, "read the store");
    }
    sqlite3_finalize(st);
    if (!code)
        code = stamps(db, &one, w);
    if (!code) /* the newest of them, when there are more than an answer holds */
        code = rows(db,
                    TRANSITIONS " WHERE t.case_id=?1 AND ?2 IS NULL AND ?9=0 ORDER BY t.id"
                                " DESC",
                    &one, "transitions", put_transition, w, &n, &next);
    if (!code)
        code = rows(db,
                    "SELECT id, wall_ms, firm, verb, answer, origin, command, json"
                    " FROM alarm_reply WHERE case_id=?1 AND ?2 IS NULL AND ?9=0 ORDER BY id"
                    " DESC",
                    &one, "commands", put_reply, w, &n, &next);
    return code;
}

int store_db_alerts(struct store_db *db, enum store_alert_query q,
                    const struct store_alert_filter *f, char **out_json, size_t *out_len)
{
    struct buf b;
    struct jsonw w;
    int code = -EINVAL;
    buf_init(&b, MAX_ANSWER);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    if (q == STORE_ALERT_LIST)
        code = list(db, f, &w);
    else if (q == STORE_ALERT_SHOW)
        code = show(db, f, &w);
    else if (q == STORE_ALERT_HISTORY)
        code = history(db, f, &w);
    jsonw_end_object(&w);
    if (!code && b.failed)
        code = -EMSGSIZE;
    if (code) {
        buf_done(&b);
        return code;
    }
    *out_len = b.len;
    (void)buf_cstr(&b);
    *out_json = b.data; /* the caller's from here on */
    return 0;
}
