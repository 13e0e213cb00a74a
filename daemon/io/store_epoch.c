/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream's epoch. A store that is older than what was told (restored, rolled back with its whole
 * machine) goes on with numbers that were told as something else. It cannot know that, so with
 * another epoch all that waits to be told gets numbers of that one's stream, in its order: none of
 * it was told by this store under its old ones, and whatever was, was of the stream that is over.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "io/store_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STATE (2u << 20)

struct waiting { /* a row of the outbox that has a number */
    int64_t id, transition, seq;
    char *stream, *firm, *compound, *case_id, *json;
    size_t len;
};

static void waiting_done(struct waiting *w)
{
    free(w->stream);
    free(w->firm);
    free(w->compound);
    free(w->case_id);
    free(w->json);
    *w = (struct waiting){0};
}

static char *copy_text(sqlite3_stmt *st, int col)
{
    const char *s = (const char *)sqlite3_column_text(st, col);
    return mem_strdup(s ? s : "");
}

/* The first one behind `after`: 1, 0 none, -errno. */
static int next_waiting(struct store_db *db, int64_t after, struct waiting *out)
{
    sqlite3_stmt *st = store_db_statement(db, ST_WAITING);
    if (!st)
        return store_db_fail(db, "read the store");
    sqlite3_bind_int64(st, 1, after);
    int found = store_db_step(db, ST_WAITING);
    if (found > 0) {
        *out = (struct waiting){.id = sqlite3_column_int64(st, 0),
                                .transition = sqlite3_column_int64(st, 1),
                                .stream = copy_text(st, 2),
                                .firm = copy_text(st, 3),
                                .compound = copy_text(st, 4),
                                .case_id = copy_text(st, 5),
                                .seq = sqlite3_column_int64(st, 6)};
        const void *json = sqlite3_column_blob(st, 7);
        out->len = (size_t)sqlite3_column_bytes(st, 7);
        out->json = mem_strndup(json ? json : "", out->len);
    }
    sqlite3_reset(st);
    return found;
}

/* Where `what` stands at or behind `from`; NULL: nowhere. */
static const char *find(const struct waiting *w, const char *from, const char *what)
{
    return memmem(from, (size_t)(w->json + w->len - from), what, strlen(what));
}

/* The state's text with another stream and number, which core/cases_text.c puts in front of
 * everything that people wrote. */
static void restate(const struct waiting *w, const char *stream, int64_t seq, struct buf *out)
{
    char *was = mem_printf("\"stream\":\"%s\"", w->stream);
    char *number = mem_printf(",\"seq\":%lld", (long long)w->seq);
    const char *at = find(w, w->json, was), *rest = at ? at + strlen(was) : w->json;
    const char *seq_at = find(w, rest, number);
    if (at) {
        (void)buf_put(out, w->json, (size_t)(at - w->json));
        (void)buf_printf(out, "\"stream\":\"%s\"", stream);
    }
    if (seq_at) {
        (void)buf_put(out, rest, (size_t)(seq_at - rest));
        (void)buf_printf(out, ",\"seq\":%lld", (long long)seq);
        rest = seq_at + strlen(number);
    }
    (void)buf_put(out, rest, (size_t)(w->json + w->len - rest));
    free(was);
    free(number);
}

static int write_text(struct store_db *db, const struct waiting *w, const char *stream,
                      int64_t seq)
{
    struct buf b;
    sqlite3_stmt *st = store_db_statement(db, ST_A_RETEXT);
    if (!st)
        return store_db_fail(db, "write the store");
    buf_init(&b, MAX_STATE);
    restate(w, stream, seq, &b);
    int code = b.failed ? -EMSGSIZE : 0;
    if (!code) {
        sqlite3_bind_int64(st, 1, w->transition);
        store_bind_bytes(st, 2, b.data, b.len);
        code = store_db_run(db, ST_A_RETEXT);
    }
    buf_done(&b);
    return code;
}

static int renumber(struct store_db *db, const struct waiting *w, const char *stream)
{
    int64_t seq = 0;
    int code = store_db_next_seq(db, stream, w->firm, w->compound, &seq);
    sqlite3_stmt *st = code ? NULL : store_db_statement(db, ST_A_RESTREAM);
    if (!st)
        return code ? code : store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, w->transition);
    store_bind_text(st, 2, stream);
    sqlite3_bind_int64(st, 3, seq);
    code = store_db_run(db, ST_A_RESTREAM);
    if (!code)
        code = write_text(db, w, stream, seq);
    if (code)
        return code;
    st = store_db_statement(db, ST_A_RETOLD);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, w->transition);
    store_bind_text(st, 2, w->case_id);
    sqlite3_bind_int64(st, 3, seq);
    return store_db_run(db, ST_A_RETOLD);
}

/* "gateway/lane/epoch" */
static int renumber_waiting(struct store_db *db, uint64_t epoch)
{
    struct waiting w = {0};
    int found, code = 0;
    while (!code && (found = next_waiting(db, w.id, &w)) != 0) {
        if (found < 0)
            return found;
        const char *slash = strrchr(w.stream, '/');
        size_t head = slash ? (size_t)(slash - w.stream) + 1 : 0;
        char *stream = mem_printf("%.*s%llu", (int)head, w.stream, (unsigned long long)epoch);
        if (strcmp(stream, w.stream) != 0)
            code = renumber(db, &w, stream);
        int64_t id = w.id;
        free(stream);
        waiting_done(&w);
        w.id = id;
    }
    return code;
}

static int put_meta(struct store_db *db, const char *key, uint64_t v)
{
    sqlite3_stmt *st = store_db_statement(db, ST_META);
    if (!st)
        return store_db_fail(db, "write the store");
    store_bind_text(st, 1, key);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)v);
    return store_db_run(db, ST_META);
}

int store_db_epoch(struct store_db *db, uint64_t epoch)
{
    int code = epoch == db->epoch ? 0 : renumber_waiting(db, epoch);
    if (!code)
        code = put_meta(db, "epoch", epoch);
    if (!code && epoch > db->epoch_last)
        code = put_meta(db, "epoch_last", epoch);
    if (code)
        return code;
    db->epoch = epoch;
    if (epoch > db->epoch_last)
        db->epoch_last = epoch;
    return 0;
}

int store_db_no_epoch(struct store_db *db, uint64_t until_offset)
{
    int code = put_meta(db, "epoch_from", until_offset);
    if (!code)
        code = put_meta(db, "epoch", 0);
    if (code)
        return code;
    db->epoch_from = until_offset;
    db->epoch = 0;
    return 0;
}
