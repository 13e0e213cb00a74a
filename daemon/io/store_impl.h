/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_STORE_IMPL_H
#define IO_STORE_IMPL_H
/*
 * store_impl — what the files of the store share: the database as the store's thread sees it.
 *
 * store.c has the queue and the thread, store_batch.c what is handed over, store_schema.c opens
 * and migrates, store_write.c applies letters and lines under the ceilings, store_alarm.c
 * transitions and replies, store_epoch.c the stream's epoch, store_outbox.c reads what is to be told and what is open,
 * store_query.c and store_history.c answer people. Everything here belongs to the store's
 * thread once it runs.
 */
#include "io/store.h"

#include <sqlite3.h>

#define STORE_APP_ID         0x67616968 /* "gaih" in the file's header */
#define STORE_VERSION        2
#define STORE_DEVICE_MAX     128
#define STORE_DEVICE_SAMPLES 20
#define STORE_ROW_OVERHEAD   128        /* bytes that a row costs beside its contents */
#define STORE_RATE_BYTES     (1u << 20) /* per source and minute */
#define STORE_RATE_SLOTS     1024

enum store_statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_DEAD_INSERT,
    ST_DEAD_HAS_LETTER,
    ST_DEAD_HAS_LINE,
    ST_DEAD_FREE_LINE,
    ST_DEAD_OLDEST,
    ST_DEAD_DELETE,
    ST_NOT_KEPT,
    ST_PROTECTED,
    ST_CURSOR,
    ST_Q_FIND,
    ST_Q_NEW,
    ST_Q_SEEN,
    ST_Q_HAS,
    ST_Q_INSERT,
    ST_Q_OLDEST,
    ST_Q_DELETE,
    ST_Q_KEPT,
    ST_Q_PREFIX,
    ST_Q_PREFIX_ADD,
    ST_Q_GONE,
    ST_A_HAS,
    ST_A_SEQ,
    ST_A_TRANSITION,
    ST_A_TEXT,
    ST_A_FIND,
    ST_A_OPEN,
    ST_A_CHANGE,
    ST_A_REPLY,
    ST_OUTBOX,
    ST_OUTBOX_READ,
    ST_OUTBOX_URGENT,
    ST_OUTBOX_DONE,
    ST_A_TOLD,
    ST_WAITING,
    ST_A_RESTREAM,
    ST_A_RETEXT,
    ST_A_RETOLD,
    ST_META,
    ST_OPEN_CASES,
    ST_COUNT,
};

struct store_rate {
    int64_t minute;
    uint64_t bytes;
};

struct store_db {
    sqlite3 *sql;
    sqlite3_stmt *st[ST_COUNT];
    char *path;
    uint64_t max_bytes, max_devices;
    uint64_t dead_rows, dead_bytes, dead_not_kept;
    int64_t dead_protected; /* dead letters up to this id are the half that stays */
    uint64_t q_devices, q_rows, q_bytes, q_not_kept;
    struct store_retaken retaken[STORE_SINKS];
    uint64_t open_cases, outbox_rows, outbox_urgent;
    uint64_t alarm_offset;                /* as it was opened */
    uint64_t outbox_put, outbox_put_seen; /* rows put, now and when the last commit ended */
    uint64_t transitions, repeated, told, urgent_told, pruned; /* since the process began */
    uint64_t epoch, epoch_last, epoch_from;
    int64_t newest_wall_ms; /* of a transition */
    uint64_t keep_ms;       /* of history; 0: for ever */
    bool no_outbox;
    int wal_pages; /* in the log, after the last commit */
    struct store_rate rates[STORE_RATE_SLOTS];
    char problem[256]; /* why the last call failed */
};

enum store_item_kind {
    ITEM_DEAD,
    ITEM_QUARANTINE,
    ITEM_LINE,
    ITEM_TRANSITION,
    ITEM_REPLY,
    ITEM_EPOCH,
    ITEM_NO_EPOCH,
};

struct store_reply_item {
    int64_t expires_wall_ms, wall_ms;
    uint64_t origin;
    const char *firm, *compound, *case_id, *verb, *answer, *topic;
    const char *was_firm, *was_compound; /* where a state is to be emptied; NULL: none is */
    const void *correlation;
    size_t correlation_len;
    const char *command, *json;
    size_t command_len, json_len;
};

struct store_item { /* its strings and bytes follow it in the same allocation */
    struct store_item *next;
    enum store_item_kind kind;
    union {
        struct store_letter letter;
        struct store_line line;
        const struct transition *transition; /* behind it; core/cases.h and jansson do not
                                                go together */
        struct store_reply_item reply;
        uint64_t epoch; /* ITEM_NO_EPOCH: the offset that one must reach */
    };
    struct position at; /* of transitions and replies, and … */
    uint32_t n;         /* … which of that position */
};

struct store_list {
    struct store_item *first, **last;
};

struct store_batch {
    struct store_list alarms, others; /* what concerns alarms is written first */
    size_t bytes;
    bool has_cursor;
    struct position cursor;
    struct position at; /* of the last transition or reply, and … */
    uint32_t n;         /* … how many it has */
    uint64_t *done;     /* rows of the outbox */
    size_t n_done;
};

/* store_wal.c: checkpoints beside the store's thread. Wanted: false if it cannot. */
struct store_wal;
struct store_wal *store_wal_open(const char *path);
bool store_wal_want(struct store_wal *w);
void store_wal_close(struct store_wal *w);

/* All: 0 or -errno; db->problem then says what SQLite said. */
int store_db_open(struct store_db *db, const char *path, struct err *err,
                  struct store_opened *out_state);
void store_db_close(struct store_db *db);
int store_db_fail(struct store_db *db, const char *doing); /* SQLite's last error as -errno */
int store_db_exec(struct store_db *db, const char *sql);
int store_db_totals(struct store_db *db); /* reads the sums again */
sqlite3_stmt *store_db_statement(struct store_db *db,
                                 enum store_statement s); /* reset, or NULL */
int store_db_run(struct store_db *db,
                 enum store_statement s); /* step once; rows are an error */

void store_db_copy_stats(const struct store_db *db, struct store_stats *out);
/* 1 a row, 0 none, or -errno; the statement stays open for its columns. */
int store_db_step(struct store_db *db, enum store_statement s);
void store_bind_text(sqlite3_stmt *st, int i, const char *s); /* NULL stays NULL */
void store_bind_bytes(sqlite3_stmt *st, int i, const void *p, size_t n);

int store_db_apply(struct store_db *db, const struct store_batch *b); /* inside a transaction */
int store_db_apply_alarm(struct store_db *db, const struct store_item *it);
int store_db_next_seq(struct store_db *db, const char *stream, const char *firm,
                      const char *compound, int64_t *out);
/* store_epoch.c, inside a transaction */
int store_db_epoch(struct store_db *db, uint64_t epoch);
int store_db_no_epoch(struct store_db *db, uint64_t until_offset);
/* Those that the broker has now. */
int store_db_outbox_done(struct store_db *db, const uint64_t *ids, size_t n);
extern const char store_alarm_schema[]; /* from version 1 to 2 */
/* One bite of history beyond keep_ms, counted back from the newest transition (a clock may be
 * wrong by years). *out_more: there is more. A transaction of its own. */
int store_db_prune(struct store_db *db, bool *out_more);

/* *out_json: malloc'ed. Purges are transactions of their own. */
int store_db_query(struct store_db *db, enum store_query q, const struct store_filter *f,
                   char **out_json, size_t *out_len);
/* Letters above after_id up to until_id (0: until the newest, which is told back), oldest
 * first, as items until some MiB are reached. *out_more: there may be further ones. */
struct store_letters_chunk {
    struct store_item *first;
    uint64_t *ids;
    size_t n;
    uint64_t until_id;
    bool more;
};
int store_db_letters(struct store_db *db, bool quarantine, const struct store_filter *f,
                     uint64_t after_id, struct store_letters_chunk *chunk);
void store_letters_chunk_done(struct store_letters_chunk *chunk);
int store_db_mark(struct store_db *db, bool quarantine, const uint64_t *ids, size_t n);

/* Rows of the outbox, or open cases; strings and bytes in one allocation each. */
struct store_row {
    struct store_row *next;
    union {
        struct store_out out;
        struct store_case open;
    };
};
struct store_rows {
    struct store_row *first, **last;
    uint64_t n, last_id;
    bool more;
};
void store_rows_done(struct store_rows *r);
int store_db_outbox(struct store_db *db, uint64_t after_id, bool urgent_only, size_t max_bytes,
                    struct store_rows *out);
int store_db_open_cases(struct store_db *db, const char *firm, uint64_t after_id,
                        struct store_rows *out);
int store_db_alerts(struct store_db *db, enum store_alert_query q,
                    const struct store_alert_filter *f, char **out_json, size_t *out_len);

struct store_item *store_item_letter(enum store_item_kind kind, const struct store_letter *l,
                                     size_t *out_bytes);
/* The source of a topic: its first two levels. */
size_t store_topic_source(const char *topic, size_t len);

#endif
