/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "io/store_impl.h"

#include <errno.h>
#include <string.h>

size_t store_topic_source(const char *topic, size_t len)
{
    size_t levels = 0;
    for (size_t i = 0; i < len; i++)
        if (topic[i] == '/' && ++levels == 2)
            return i;
    return len;
}

/* May this source store n more bytes this minute? Sources share a slot when their hashes meet,
 * which only makes the limit stricter. */
static bool rate_allows(struct store_db *db, const void *source, size_t len, int64_t wall_ns,
                        uint64_t n)
{
    struct store_rate *r = &db->rates[hash64(hash_seed(), source, len) % STORE_RATE_SLOTS];
    int64_t minute = wall_ns / 60000000000;
    if (r->minute != minute)
        *r = (struct store_rate){.minute = minute};
    if (r->bytes + n > STORE_RATE_BYTES)
        return false;
    r->bytes += n;
    return true;
}

void store_bind_text(sqlite3_stmt *st, int i, const char *s)
{
    if (s)
        sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}

void store_bind_bytes(sqlite3_stmt *st, int i, const void *p, size_t n)
{
    sqlite3_bind_blob64(st, i, n ? p : "", n, SQLITE_STATIC);
}

static int not_kept(struct store_db *db, const char *part, const char *reason)
{
    sqlite3_stmt *st = store_db_statement(db, ST_NOT_KEPT);
    if (!st)
        return store_db_fail(db, "write the store");
    store_bind_text(st, 1, part);
    store_bind_text(st, 2, reason);
    (*part == 'd') ? db->dead_not_kept++ : db->q_not_kept++;
    return store_db_run(db, ST_NOT_KEPT);
}

int store_db_step(struct store_db *db, enum store_statement s)
{
    int rc = sqlite3_step(db->st[s]);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : store_db_fail(db, "read the store");
}

/* A replayed batch brings its rows again: has this one been kept already? */
static int has_letter(struct store_db *db, enum store_statement s, const struct store_letter *l)
{
    sqlite3_stmt *st = store_db_statement(db, s);
    if (!st)
        return store_db_fail(db, "read the store");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)l->record_offset);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)l->at.ordinal);
    int found = store_db_step(db, s);
    sqlite3_reset(st);
    return found;
}

static void bind_line_name(sqlite3_stmt *st, const struct store_line *l)
{
    store_bind_text(st, 1, l->sink);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)l->block);
    sqlite3_bind_int64(st, 3, l->line);
}

/* A sink's log that was lost, or put back as it once was, counts its blocks from there again: what has
 * this line's name and says something else is of a log that is no more. It gives the name up. */
static int free_line(struct store_db *db, const struct store_line *l)
{
    sqlite3_stmt *st = store_db_statement(db, ST_DEAD_FREE_LINE);
    if (!st)
        return store_db_fail(db, "write the store");
    bind_line_name(st, l);
    return store_db_run(db, ST_DEAD_FREE_LINE);
}

static int has_line(struct store_db *db, const struct store_line *l)
{
    sqlite3_stmt *st = store_db_statement(db, ST_DEAD_HAS_LINE);
    if (!st)
        return store_db_fail(db, "read the store");
    bind_line_name(st, l);
    store_bind_bytes(st, 4, l->text, l->text_len);
    int found = store_db_step(db, ST_DEAD_HAS_LINE);
    bool same = found > 0 && sqlite3_column_int(st, 0) == 1;
    sqlite3_reset(st);
    return found > 0 && !same ? free_line(db, l) : found;
}

/* Makes room by letting go of the oldest letters of the newer half. 1: there is room. */
static int dead_room(struct store_db *db, uint64_t need)
{
    while (db->dead_bytes + need > db->max_bytes) {
        sqlite3_stmt *st = store_db_statement(db, ST_DEAD_OLDEST);
        if (!st)
            return store_db_fail(db, "read the store");
        sqlite3_bind_int64(st, 1, db->dead_protected);
        int found = store_db_step(db, ST_DEAD_OLDEST);
        if (found <= 0) {
            sqlite3_reset(st);
            return found;
        }
        int64_t id = sqlite3_column_int64(st, 0);
        uint64_t bytes = (uint64_t)sqlite3_column_int64(st, 1);
        int code = not_kept(db, "dead", (const char *)sqlite3_column_text(st, 2));
        sqlite3_reset(st);
        st = store_db_statement(db, ST_DEAD_DELETE);
        if (code || !st)
            return code ? code : store_db_fail(db, "write the store");
        sqlite3_bind_int64(st, 1, id);
        code = store_db_run(db, ST_DEAD_DELETE);
        if (code)
            return code;
        db->dead_rows--;
        db->dead_bytes -= bytes;
    }
    return 1;
}

/* Counts the row that was just inserted; while the older half is filling, it protects it. */
static int dead_added(struct store_db *db, uint64_t bytes)
{
    db->dead_rows++;
    db->dead_bytes += bytes;
    if (db->dead_bytes > db->max_bytes / 2)
        return 0;
    db->dead_protected = sqlite3_last_insert_rowid(db->sql);
    sqlite3_stmt *st = store_db_statement(db, ST_PROTECTED);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, db->dead_protected);
    return store_db_run(db, ST_PROTECTED);
}

/* Under the source's rate and the ceiling? 1 yes; 0 no, and counted. */
static int dead_admit(struct store_db *db, const char *source, size_t len, int64_t wall_ns,
                      uint64_t bytes, const char *reason)
{
    if (!rate_allows(db, source, len, wall_ns, bytes))
        return not_kept(db, "dead", reason);
    int room = dead_room(db, bytes);
    return room != 0 ? room : not_kept(db, "dead", reason);
}

/* The ten columns that both tables have in this order, from column `at` on. */
static void bind_letter(sqlite3_stmt *st, int at, uint64_t bytes, const struct store_letter *l)
{
    sqlite3_bind_int64(st, at, (sqlite3_int64)bytes);
    sqlite3_bind_int64(st, at + 1, l->wall_ns);
    sqlite3_bind_int64(st, at + 2, (sqlite3_int64)l->engine_ns);
    store_bind_text(st, at + 3, l->reason);
    store_bind_text(st, at + 4, l->detail);
    sqlite3_bind_int64(st, at + 5, (sqlite3_int64)l->record_offset);
    sqlite3_bind_int64(st, at + 6, (sqlite3_int64)l->at.tick);
    sqlite3_bind_int64(st, at + 7, (sqlite3_int64)l->at.ordinal);
    store_bind_text(st, at + 8, l->broker);
    sqlite3_bind_int(st, at + 9, l->flags);
}

static int apply_dead(struct store_db *db, const struct store_letter *l)
{
    uint64_t bytes = STORE_ROW_OVERHEAD + l->topic_len + l->payload_len;
    int code = has_letter(db, ST_DEAD_HAS_LETTER, l);
    if (code != 0)
        return code < 0 ? code : 0;
    code = dead_admit(db, l->topic, store_topic_source(l->topic, l->topic_len), l->wall_ns,
                      bytes, l->reason);
    if (code <= 0)
        return code;
    sqlite3_stmt *st = store_db_statement(db, ST_DEAD_INSERT);
    if (!st)
        return store_db_fail(db, "write the store");
    bind_letter(st, 1, bytes, l);
    store_bind_bytes(st, 15, l->topic, l->topic_len);
    store_bind_bytes(st, 16, l->payload, l->payload_len);
    code = store_db_run(db, ST_DEAD_INSERT);
    return code ? code : dead_added(db, bytes);
}

static int apply_line(struct store_db *db, const struct store_line *l)
{
    uint64_t bytes = STORE_ROW_OVERHEAD + l->text_len;
    int code = has_line(db, l);
    if (code != 0)
        return code < 0 ? code : 0;
    code = dead_admit(db, l->sink, strlen(l->sink), l->wall_ns, bytes, l->reason);
    if (code <= 0)
        return code;
    sqlite3_stmt *st = store_db_statement(db, ST_DEAD_INSERT);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)bytes);
    sqlite3_bind_int64(st, 2, l->wall_ns);
    store_bind_text(st, 4, l->reason);
    store_bind_text(st, 5, l->detail);
    store_bind_text(st, 11, l->sink);
    sqlite3_bind_int64(st, 12, (sqlite3_int64)l->block);
    sqlite3_bind_int64(st, 13, l->line);
    sqlite3_bind_int(st, 14, l->status);
    store_bind_bytes(st, 16, l->text, l->text_len);
    code = store_db_run(db, ST_DEAD_INSERT);
    return code ? code : dead_added(db, bytes);
}

struct source {
    char name[256];
    size_t len;
    uint64_t devices, bytes;
};

static void source_name(struct source *s, const void *p, size_t n)
{
    s->len = n < sizeof(s->name) ? n : sizeof(s->name);
    if (s->len)
        memcpy(s->name, p, s->len);
}

static int source_read(struct store_db *db, struct source *s)
{
    sqlite3_stmt *st = store_db_statement(db, ST_Q_PREFIX);
    if (!st)
        return store_db_fail(db, "read the store");
    store_bind_bytes(st, 1, s->name, s->len);
    int found = store_db_step(db, ST_Q_PREFIX);
    if (found > 0) {
        s->devices = (uint64_t)sqlite3_column_int64(st, 0);
        s->bytes = (uint64_t)sqlite3_column_int64(st, 1);
    }
    sqlite3_reset(st);
    return found < 0 ? found : 0;
}

static int source_add(struct store_db *db, const struct source *s, int devices, int64_t bytes)
{
    sqlite3_stmt *st = store_db_statement(db, ST_Q_PREFIX_ADD);
    if (!st)
        return store_db_fail(db, "write the store");
    store_bind_bytes(st, 1, s->name, s->len);
    sqlite3_bind_int(st, 2, devices);
    sqlite3_bind_int64(st, 3, bytes);
    return store_db_run(db, ST_Q_PREFIX_ADD);
}

struct suspect { /* the device's row in the fixed table */
    int64_t id;
    int64_t kept;
    struct source source;
};

/* 1: it is in the table (now); 0: the table has no place for it, counted; -errno. */
static int suspect_find(struct store_db *db, const struct store_letter *l, struct suspect *out)
{
    size_t len = l->device_len < STORE_DEVICE_MAX ? l->device_len : STORE_DEVICE_MAX;
    sqlite3_stmt *st = store_db_statement(db, ST_Q_FIND);
    if (!st)
        return store_db_fail(db, "read the store");
    store_bind_bytes(st, 1, l->device, len);
    int found = store_db_step(db, ST_Q_FIND);
    if (found > 0) {
        out->id = sqlite3_column_int64(st, 0);
        out->kept = sqlite3_column_int64(st, 1);
        source_name(&out->source, sqlite3_column_blob(st, 2),
                    (size_t)sqlite3_column_bytes(st, 2));
    }
    sqlite3_reset(st);
    if (found < 0)
        return found;
    if (found == 0)
        source_name(&out->source, l->topic, store_topic_source(l->topic, l->topic_len));
    int code = source_read(db, &out->source);
    if (code || found)
        return code ? code : 1;
    uint64_t share = db->max_devices / 4 > 16 ? db->max_devices / 4 : 16;
    if (db->q_devices >= db->max_devices)
        return not_kept(db, "quarantine", "table_full");
    if (out->source.devices >= share)
        return not_kept(db, "quarantine", "source_full");
    st = store_db_statement(db, ST_Q_NEW);
    if (!st)
        return store_db_fail(db, "write the store");
    store_bind_bytes(st, 1, l->device, len);
    store_bind_bytes(st, 2, out->source.name, out->source.len);
    sqlite3_bind_int64(st, 3, l->wall_ns);
    store_bind_text(st, 4, l->compound);
    store_bind_text(st, 5, l->broker);
    store_bind_bytes(st, 6, l->topic, l->topic_len);
    code = store_db_run(db, ST_Q_NEW);
    if (code)
        return code;
    out->id = sqlite3_last_insert_rowid(db->sql);
    db->q_devices++;
    code = source_add(db, &out->source, 1, 0);
    return code ? code : 1;
}

static int suspect_seen(struct store_db *db, const struct suspect *s,
                        const struct store_letter *l)
{
    sqlite3_stmt *st = store_db_statement(db, ST_Q_SEEN);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, s->id);
    sqlite3_bind_int64(st, 2, l->wall_ns);
    store_bind_text(st, 3, l->compound);
    store_bind_text(st, 4, l->broker);
    store_bind_bytes(st, 5, l->topic, l->topic_len);
    sqlite3_bind_int(st, 6, !l->again);
    return store_db_run(db, ST_Q_SEEN);
}

static int suspect_kept(struct store_db *db, struct suspect *s, int by, int64_t bytes)
{
    sqlite3_stmt *st = store_db_statement(db, ST_Q_KEPT);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, s->id);
    sqlite3_bind_int(st, 2, by);
    int code = store_db_run(db, ST_Q_KEPT);
    if (!code)
        code = source_add(db, &s->source, 0, bytes);
    s->kept += by;
    s->source.bytes += (uint64_t)bytes;
    db->q_rows += (uint64_t)(int64_t)by;
    db->q_bytes += (uint64_t)bytes;
    return code;
}

/* The device's oldest message goes: only the last ones are samples of what it says. */
static int drop_oldest(struct store_db *db, struct suspect *s)
{
    sqlite3_stmt *st = store_db_statement(db, ST_Q_OLDEST);
    if (!st)
        return store_db_fail(db, "read the store");
    sqlite3_bind_int64(st, 1, s->id);
    int found = store_db_step(db, ST_Q_OLDEST);
    int64_t id = found > 0 ? sqlite3_column_int64(st, 0) : 0;
    int64_t bytes = found > 0 ? sqlite3_column_int64(st, 1) : 0;
    sqlite3_reset(st);
    if (found <= 0)
        return found;
    st = store_db_statement(db, ST_Q_DELETE);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, id);
    int code = store_db_run(db, ST_Q_DELETE);
    if (!code)
        code = not_kept(db, "quarantine", "older_sample");
    return code ? code : suspect_kept(db, s, -1, -bytes);
}

static int insert_message(struct store_db *db, struct suspect *s, const struct store_letter *l,
                          uint64_t bytes)
{
    sqlite3_stmt *st = store_db_statement(db, ST_Q_INSERT);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, s->id);
    bind_letter(st, 2, bytes, l);
    store_bind_text(st, 12, l->compound);
    store_bind_bytes(st, 13, l->topic, l->topic_len);
    store_bind_bytes(st, 14, l->payload, l->payload_len);
    int code = store_db_run(db, ST_Q_INSERT);
    return code ? code : suspect_kept(db, s, 1, (int64_t)bytes);
}

static int apply_quarantine(struct store_db *db, const struct store_letter *l)
{
    uint64_t bytes = STORE_ROW_OVERHEAD + l->topic_len + l->payload_len;
    struct suspect s = {0};
    int code = has_letter(db, ST_Q_HAS, l);
    if (code != 0)
        return code < 0 ? code : 0;
    code = suspect_find(db, l, &s);
    if (code <= 0)
        return code;
    code = suspect_seen(db, &s, l);
    if (code)
        return code;
    if (!rate_allows(db, s.source.name, s.source.len, l->wall_ns, bytes))
        return not_kept(db, "quarantine", "source_rate");
    while (s.kept >= STORE_DEVICE_SAMPLES) {
        code = drop_oldest(db, &s);
        if (code)
            return code;
    }
    if (s.source.bytes + bytes > db->max_bytes / 4)
        return not_kept(db, "quarantine", "source_full");
    if (db->q_bytes + bytes > db->max_bytes)
        return not_kept(db, "quarantine", "bytes_full");
    return insert_message(db, &s, l, bytes);
}

static int apply_item(struct store_db *db, const struct store_item *it)
{
    switch (it->kind) {
    case ITEM_DEAD:
        return apply_dead(db, &it->letter);
    case ITEM_QUARANTINE:
        return apply_quarantine(db, &it->letter);
    case ITEM_LINE:
        return apply_line(db, &it->line);
    case ITEM_TRANSITION:
    case ITEM_REPLY:
    case ITEM_EPOCH:
    case ITEM_NO_EPOCH:
        return store_db_apply_alarm(db, it);
    }
    return -EINVAL;
}

static int apply_list(struct store_db *db, const struct store_list *l)
{
    int code = 0;
    for (const struct store_item *it = l->first; it && code >= 0; it = it->next)
        code = apply_item(db, it);
    return code < 0 ? code : 0;
}

int store_db_apply(struct store_db *db, const struct store_batch *b)
{
    int code = apply_list(db, &b->alarms);
    if (!code)
        code = apply_list(db, &b->others);
    if (!code && b->n_done)
        code = store_db_outbox_done(db, b->done, b->n_done);
    if (code)
        return code;
    if (!b->has_cursor)
        return 0;
    sqlite3_stmt *st = store_db_statement(db, ST_CURSOR);
    if (!st)
        return store_db_fail(db, "write the store");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)b->cursor.offset);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)b->cursor.tick);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)b->cursor.ordinal);
    return store_db_run(db, ST_CURSOR);
}
