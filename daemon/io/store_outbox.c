/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "io/store_impl.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (4u << 20)
#define CHUNK_ROWS  10000u

void store_rows_done(struct store_rows *r)
{
    for (struct store_row *row = r->first, *next; row; row = next) {
        next = row->next;
        free(row);
    }
    *r = (struct store_rows){0};
}

/* A column's bytes, copied behind the row; a text gets its NUL. */
struct copy {
    sqlite3_stmt *st;
    char *to; /* NULL: only counted */
    size_t n;
};

static const char *take(struct copy *c, int col, size_t *out_len)
{
    const void *p = sqlite3_column_blob(c->st, col);
    size_t len = (size_t)sqlite3_column_bytes(c->st, col);
    bool none = sqlite3_column_type(c->st, col) == SQLITE_NULL;
    if (out_len)
        *out_len = none ? 0 : len;
    if (none)
        return NULL;
    char *at = c->to ? c->to + c->n : NULL;
    c->n += len + 1;
    if (!at)
        return "";
    if (len)
        memcpy(at, p, len);
    at[len] = '\0';
    return at;
}

static void read_out(struct copy *c, struct store_out *o)
{
    sqlite3_stmt *st = c->st;
    bool reply = sqlite3_column_type(st, 16) != SQLITE_NULL;
    o->id = (uint64_t)sqlite3_column_int64(st, 0);
    o->tell = (unsigned)sqlite3_column_int(st, 1);
    o->urgent = sqlite3_column_int(st, 2);
    o->was_firm = take(c, 3, NULL);
    o->was_compound = take(c, 4, NULL);
    o->firm = take(c, reply ? 10 : 5, NULL);
    o->compound = take(c, reply ? 11 : 6, NULL);
    o->case_id = take(c, reply ? 12 : 7, NULL);
    o->seq = reply ? 0 : (uint64_t)sqlite3_column_int64(st, 8);
    o->offset = reply ? 0 : (uint64_t)sqlite3_column_int64(st, 17);
    o->payload = take(c, reply ? 16 : 9, &o->len);
    if (!reply)
        return;
    o->topic = take(c, 13, NULL);
    o->correlation = take(c, 14, &o->correlation_len);
    o->expires_wall_ms = sqlite3_column_int64(st, 15);
}

static void read_case(struct copy *c, struct store_case *k)
{
    k->case_id = take(c, 1, NULL);
    k->firm = take(c, 2, NULL);
    k->compound = take(c, 3, NULL);
    k->seq = (uint64_t)sqlite3_column_int64(c->st, 4);
    k->payload = take(c, 5, &k->len);
    k->blob = take(c, 6, &k->blob_len);
}

static size_t read_row(sqlite3_stmt *st, bool outbox, struct store_rows *out)
{
    struct store_row none = {0};
    struct copy c = {.st = st};
    outbox ? read_out(&c, &none.out) : read_case(&c, &none.open);
    size_t n = c.n;
    struct store_row *row = mem_zalloc(sizeof(*row) + n);
    c = (struct copy){.st = st, .to = (char *)(row + 1)};
    outbox ? read_out(&c, &row->out) : read_case(&c, &row->open);
    *out->last = row;
    out->last = &row->next;
    out->last_id = (uint64_t)sqlite3_column_int64(st, 0);
    out->n++;
    return outbox ? row->out.len : n;
}

static int read_rows(struct store_db *db, enum store_statement s, bool outbox, size_t max_bytes,
                     struct store_rows *out)
{
    size_t bytes = 0;
    int found = 0;
    *out = (struct store_rows){0};
    out->last = &out->first;
    while ((found = store_db_step(db, s)) > 0 && out->n < CHUNK_ROWS &&
           (out->n == 0 || bytes < max_bytes))
        bytes += read_row(db->st[s], outbox, out);
    out->more = found > 0;
    sqlite3_reset(db->st[s]);
    return found < 0 ? found : 0;
}

int store_db_outbox(struct store_db *db, uint64_t after_id, bool urgent_only, size_t max_bytes,
                    struct store_rows *out)
{
    enum store_statement s = urgent_only ? ST_OUTBOX_URGENT : ST_OUTBOX_READ;
    sqlite3_stmt *st = store_db_statement(db, s);
    if (!st)
        return store_db_fail(db, "read the store");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)after_id);
    return read_rows(db, s, true, max_bytes, out);
}

int store_db_open_cases(struct store_db *db, const char *firm, uint64_t after_id,
                        struct store_rows *out)
{
    sqlite3_stmt *st = store_db_statement(db, ST_OPEN_CASES);
    if (!st)
        return store_db_fail(db, "read the store");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)after_id);
    store_bind_text(st, 2, firm);
    return read_rows(db, ST_OPEN_CASES, false, CHUNK_BYTES, out);
}
