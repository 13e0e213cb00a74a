/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "io/store_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_BYTES    (8u << 20) /* waiting batches that share one transaction */
#define WAL_LONG       1000       /* pages: time for a checkpoint, beside us … */
#define WAL_TOO_LONG   4000       /* … or here, if that one does not come behind us */
#define DONE_MS        150        /* what the broker has is marked after, at the latest */
#define DONE_MANY      256        /* the end of such a backlog is marked at once */
#define PRUNE_FIRST_MS 60000
#define PRUNE_MS       600000
#define PRUNE_MORE_MS  1000

enum job_kind {
    JOB_COMMIT,
    JOB_ASK,
    JOB_LETTERS,
    JOB_MARK,
    JOB_OUTBOX,
    JOB_OPEN_CASES,
    JOB_ALERTS,
    JOB_PRUNE,
};

struct job { /* made on the loop, done by the store's thread, answered and freed on the loop */
    struct job *next;
    enum job_kind kind;
    void *ctx;
    int status;
    store_fn *fn; /* commit and mark */
    struct store_batch *batch;
    size_t bytes;
    enum store_query query;
    struct store_filter filter; /* its strings are ours */
    store_json_fn *json_fn;
    char *json;
    size_t json_len;
    bool quarantine;
    store_letter_fn *letter_fn;
    store_letters_done_fn *letters_done;
    struct store_letters_chunk chunk;
    uint64_t after_id, n;
    uint64_t *ids;
    store_out_fn *out_fn; /* outbox, open cases */
    store_case_fn *case_fn;
    store_outs_done_fn *outs_done;
    struct store_rows rows;
    bool urgent_only, more;
    size_t max_bytes;
    char *firm;
    enum store_alert_query alert_query;
    struct store_alert_filter alert_filter; /* its strings are ours */
};

struct job_list {
    struct job *first, **last;
};

/* Rows of the outbox that were read behind the commit that put them, because they will be asked for
 * at once; else the question would wait for the commit that has begun meanwhile. */
struct ahead {
    bool on;       /* the last answer had all rows; the thread's, as the next two */
    uint64_t next; /* read up to here */
    size_t max_bytes;
    bool there, more; /* guarded by the lock, as the rest; more: were put since */
    uint64_t after;
    struct store_rows rows;
};

struct store {
    struct store_db db; /* the thread's, but for its open and close */
    struct store_wal *wal;
    struct ahead ahead;
    struct loop_wake *wake;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t cond;
    struct job_list todo, done;
    bool closing;
    uint64_t waiting_bytes;
    struct store_stats stats;
    uint64_t epoch, epoch_last;
    bool told; /* a commit put rows into the outbox since the loop looked */
    /* The loop's: */
    struct loop_timer *mark, *prune;
    uint64_t *marks; /* rows of the outbox that are done and wait for the next commit */
    size_t n_marks, max_marks;
    loop_fn *on_outbox;
    void *on_outbox_ctx;
};

static void list_init(struct job_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct job_list *l, struct job *j)
{
    j->next = NULL;
    *l->last = j;
    l->last = &j->next;
}

static struct job *list_take(struct job_list *l)
{
    struct job *j = l->first;
    if (!j)
        return NULL;
    l->first = j->next;
    if (!l->first)
        l->last = &l->first;
    return j;
}

/* -- the store's thread ------------------------------------------------------ */

/* The waiting commits at the queue's head, up to GROUP_BYTES; or the one other job. */
static void take_group(struct store *s, struct job_list *group)
{
    list_init(group);
    size_t bytes = 0;
    do {
        struct job *j = list_take(&s->todo);
        bytes += j->bytes;
        list_add(group, j);
    } while (s->todo.first && group->first->kind == JOB_COMMIT &&
             s->todo.first->kind == JOB_COMMIT && bytes + s->todo.first->bytes <= GROUP_BYTES);
}

static int statement(struct store *s, enum store_statement st)
{
    return store_db_statement(&s->db, st) ? store_db_run(&s->db, st)
                                          : store_db_fail(&s->db, "write the store");
}

static bool only_marks(const struct job_list *group)
{
    for (const struct job *j = group->first; j; j = j->next)
        if (j->batch->alarms.first || j->batch->others.first || j->batch->has_cursor)
            return false;
    return true;
}

/* All batches of the group, or none. */
static int apply_group(struct store *s, const struct job_list *group)
{
    int code = statement(s, ST_BEGIN);
    if (code)
        return code;
    for (const struct job *j = group->first; j && !code; j = j->next)
        code = store_db_apply(&s->db, j->batch);
    if (!code)
        code = statement(s, ST_COMMIT);
    if (code && !sqlite3_get_autocommit(s->db.sql))
        (void)sqlite3_exec(s->db.sql, "ROLLBACK", NULL, NULL,
                           NULL); /* problem keeps the cause */
    return code;
}

/* Marks that a power cut takes back are made again: what was told is told again, the same. They
 * do not keep the disk busy. */
static int commit_group(struct store *s, const struct job_list *group)
{
    if (!only_marks(group))
        return apply_group(s, group);
    int code = store_db_exec(&s->db, "PRAGMA synchronous=NORMAL");
    if (!code)
        code = apply_group(s, group);
    int back = store_db_exec(&s->db, "PRAGMA synchronous=FULL");
    return code ? code : back;
}

static int on_wal(void *ctx, sqlite3 *sql, const char *name, int pages)
{
    struct store *s = ctx;
    (void)sql;
    (void)name;
    s->db.wal_pages = pages;
    return SQLITE_OK;
}

static void look_at_wal(struct store *s)
{
    if (s->db.wal_pages < WAL_LONG)
        return;
    if (!store_wal_want(s->wal) || s->db.wal_pages >= WAL_TOO_LONG)
        (void)sqlite3_wal_checkpoint_v2(s->db.sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* -- reading ahead ----------------------------------------------------------- */

static void forget_ahead(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    s->ahead.there = false;
    store_rows_done(&s->ahead.rows);
    pthread_mutex_unlock(&s->lock);
}

static int read_outbox(struct store *s, struct job *j)
{
    int code = store_db_outbox(&s->db, j->after_id, j->urgent_only, j->max_bytes, &j->rows);
    if (j->urgent_only)
        return code;
    forget_ahead(s);
    s->ahead.on = code == 0 && !j->rows.more;
    s->ahead.next = j->rows.n > 0 ? j->rows.last_id : j->after_id;
    s->ahead.max_bytes = j->max_bytes;
    return code;
}

/* Behind a commit. Rows that nobody has asked for yet are not added to. */
static void read_ahead(struct store *s, bool put, bool renumbered)
{
    struct store_rows rows;
    if (renumbered) {
        s->ahead.on = false;
        forget_ahead(s);
    }
    if (!s->ahead.on || !put)
        return;
    pthread_mutex_lock(&s->lock);
    bool there = s->ahead.there;
    s->ahead.more |= there;
    pthread_mutex_unlock(&s->lock);
    if (there)
        return;
    if (store_db_outbox(&s->db, s->ahead.next, false, s->ahead.max_bytes, &rows) != 0) {
        s->ahead.on = false; /* who asks is told */
        store_rows_done(&rows);
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->ahead.there = true;
    s->ahead.more = rows.more;
    s->ahead.after = s->ahead.next;
    store_rows_done(&s->ahead.rows);
    s->ahead.rows = rows;
    if (!rows.first)
        s->ahead.rows.last = &s->ahead.rows.first;
    pthread_mutex_unlock(&s->lock);
    s->ahead.next = rows.n > 0 ? rows.last_id : s->ahead.next;
}

/* The limit is for all chunks together. */
static int read_letters(struct store *s, struct job *j)
{
    struct store_filter rest = j->filter;
    if (rest.limit)
        rest.limit -= j->n;
    return store_db_letters(&s->db, j->quarantine, &rest, j->after_id, &j->chunk);
}

static int do_single(struct store *s, struct job *j)
{
    switch (j->kind) {
    case JOB_ASK:
        return store_db_query(&s->db, j->query, &j->filter, &j->json, &j->json_len);
    case JOB_LETTERS:
        return read_letters(s, j);
    case JOB_MARK:
        return store_db_mark(&s->db, j->quarantine, j->ids, (size_t)j->n);
    case JOB_OUTBOX:
        return read_outbox(s, j);
    case JOB_OPEN_CASES:
        return store_db_open_cases(&s->db, j->firm, j->after_id, &j->rows);
    case JOB_ALERTS:
        return store_db_alerts(&s->db, j->alert_query, &j->alert_filter, &j->json,
                               &j->json_len);
    case JOB_PRUNE:
        return store_db_prune(&s->db, &j->more);
    case JOB_COMMIT:
        break;
    }
    return -EINVAL;
}

static void copy_totals(struct store *s)
{
    store_db_copy_stats(&s->db, &s->stats);
    s->epoch = s->db.epoch;
    s->epoch_last = s->db.epoch_last;
}

/* What a question cannot be answered with is no failure of the store. */
static bool is_failure(const struct job *j, int code)
{
    return code != 0 && code != -ENOENT &&
           !(j->kind == JOB_ALERTS && (code == -EINVAL || code == -EMSGSIZE));
}

static void finish_group(struct store *s, struct job_list *group, int code, uint64_t took)
{
    bool commit = group->first->kind == JOB_COMMIT;
    if (commit && code == 0) {
        s->told |= s->db.outbox_put != s->db.outbox_put_seen;
        s->db.outbox_put_seen = s->db.outbox_put;
        s->stats.commits++;
        s->stats.commit_ns_last = took;
        if (took > s->stats.commit_ns_max)
            s->stats.commit_ns_max = took;
    }
    if (is_failure(group->first, code) && !s->stats.failed) {
        s->stats.failed = code;
        memcpy(s->stats.problem, s->db.problem, sizeof(s->stats.problem));
    }
    copy_totals(s);
    for (struct job *j; (j = list_take(group));) {
        j->status = code;
        list_add(&s->done, j);
    }
}

static void *run(void *arg)
{
    struct store *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->todo.first && !s->closing)
            pthread_cond_wait(&s->cond, &s->lock);
        if (!s->todo.first)
            break;
        struct job_list group;
        take_group(s, &group);
        int code = s->stats.failed; /* final */
        pthread_mutex_unlock(&s->lock);
        uint64_t begin = loop_hrtime_ns(), epoch = s->db.epoch;
        bool commit = group.first->kind == JOB_COMMIT;
        if (!code)
            code = commit ? commit_group(s, &group) : do_single(s, group.first);
        uint64_t took = loop_hrtime_ns() - begin;
        if (commit && !code)
            read_ahead(s, s->db.outbox_put != s->db.outbox_put_seen, s->db.epoch != epoch);
        pthread_mutex_lock(&s->lock);
        finish_group(s, &group, code, took);
        loop_wake_send(s->wake);
        pthread_mutex_unlock(&s->lock);
        if (commit && !code)
            look_at_wal(s);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* -- the loop's side --------------------------------------------------------- */

static void job_free(struct job *j)
{
    store_batch_free(j->batch);
    free((char *)j->filter.reason);
    free((char *)j->filter.device);
    free((char *)j->filter.topic_prefix);
    free(j->json);
    store_letters_chunk_done(&j->chunk);
    free(j->ids);
    store_rows_done(&j->rows);
    free(j->firm);
    free((char *)j->alert_filter.id);
    free((char *)j->alert_filter.compound);
    free((char *)j->alert_filter.firm);
    free((char *)j->alert_filter.device);
    free((char *)j->alert_filter.rule);
    free((char *)j->alert_filter.severity);
    free((char *)j->alert_filter.state);
    for (int i = 0; i < STORE_PLACES; i++)
        free((char *)j->alert_filter.place[i]);
    free(j);
}

static void submit(struct store *s, struct job *j)
{
    pthread_mutex_lock(&s->lock);
    ASSERT(!s->closing);
    s->waiting_bytes += j->bytes;
    list_add(&s->todo, j);
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

/* True: the job went back for its next chunk. */
static bool answer_letters(struct store *s, struct job *j, bool closing)
{
    size_t i = 0;
    for (struct store_item *it = j->chunk.first; it; it = it->next, i++)
        j->letter_fn(j->ctx, j->chunk.ids[i], &it->letter);
    j->n += i;
    bool more = j->status == 0 && j->chunk.more && (!j->filter.limit || j->n < j->filter.limit);
    if (more && !closing) {
        j->after_id = j->chunk.ids[i - 1];
        uint64_t until = j->chunk.until_id;
        store_letters_chunk_done(&j->chunk);
        j->chunk.until_id = until;
        submit(s, j);
        return true;
    }
    j->letters_done(j->ctx, more ? -ECANCELED : j->status, j->n);
    return false;
}

static void answer_outbox(struct job *j)
{
    for (struct store_row *row = j->rows.first; row; row = row->next)
        j->out_fn(j->ctx, &row->out);
    j->outs_done(j->ctx, j->status, j->rows.n, j->rows.more);
}

/* True: the job went back for its next chunk. */
static bool answer_cases(struct store *s, struct job *j, bool closing)
{
    for (struct store_row *row = j->rows.first; row; row = row->next)
        j->case_fn(j->ctx, &row->open);
    j->n += j->rows.n;
    bool more = j->status == 0 && j->rows.more;
    if (more && !closing) {
        j->after_id = j->rows.last_id;
        store_rows_done(&j->rows);
        submit(s, j);
        return true;
    }
    j->outs_done(j->ctx, more ? -ECANCELED : j->status, j->n, false);
    return false;
}

static void answer(struct store *s, struct job *j, bool closing)
{
    switch (j->kind) {
    case JOB_LETTERS:
        if (answer_letters(s, j, closing))
            return;
        break;
    case JOB_OPEN_CASES:
        if (answer_cases(s, j, closing))
            return;
        break;
    case JOB_OUTBOX:
        answer_outbox(j);
        break;
    case JOB_ASK:
    case JOB_ALERTS:
        j->json_fn(j->ctx, j->status, j->json ? j->json : "", j->json_len);
        break;
    case JOB_PRUNE:
        if (!closing)
            loop_timer_start(s->prune, j->more ? PRUNE_MORE_MS : PRUNE_MS, 0);
        break;
    case JOB_COMMIT:
    case JOB_MARK:
        if (j->fn)
            j->fn(j->ctx, j->status);
        break;
    }
    job_free(j);
}

static void answer_all(struct store *s, bool closing)
{
    pthread_mutex_lock(&s->lock);
    struct job_list done = s->done;
    if (!done.first)
        done.last = &done.first;
    list_init(&s->done);
    for (struct job *j = done.first; j; j = j->next)
        s->waiting_bytes -= j->bytes;
    bool told = s->told;
    s->told = false;
    pthread_mutex_unlock(&s->lock);
    for (struct job *j, *next = done.first; (j = next);) {
        next = j->next;
        answer(s, j, closing);
    }
    if (told && !closing && s->on_outbox)
        s->on_outbox(s->on_outbox_ctx);
}

static void on_wake(void *ctx)
{
    answer_all(ctx, false);
}

/* Marks alone are a small batch; the next commit would have taken them. */
static void flush_marks(struct store *s)
{
    loop_timer_stop(s->mark);
    if (s->n_marks > 0)
        store_commit(s, store_batch_new(), NULL, NULL);
}

static void on_mark(void *ctx)
{
    flush_marks(ctx);
}

static void on_prune(void *ctx)
{
    struct store *s = ctx;
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){.kind = JOB_PRUNE};
    submit(s, j);
}

int store_open(struct loop *l, const struct store_options *o, struct err *err,
               struct store_opened *out_state, struct store **out)
{
    struct store *s = mem_zalloc(sizeof(*s));
    s->db.max_bytes = o->dead_bytes;
    s->db.max_devices = o->quarantine_devices;
    s->db.keep_ms = o->keep_s * 1000;
    s->db.no_outbox = o->no_outbox;
    list_init(&s->todo);
    list_init(&s->done);
    struct store_opened state;
    int code = store_db_open(&s->db, o->path, err, &state);
    if (code) {
        store_db_close(&s->db);
        free(s);
        return code;
    }
    copy_totals(s);
    s->wal = store_wal_open(o->path);
    (void)sqlite3_wal_hook(s->db.sql, on_wal, s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->cond, NULL);
    s->wake = loop_wake_new(l, on_wake, s);
    s->mark = loop_timer_new(l, on_mark, s);
    s->prune = loop_timer_new(l, on_prune, s);
    if (o->keep_s)
        loop_timer_start(s->prune, PRUNE_FIRST_MS, 0);
    ASSERT(pthread_create(&s->thread, NULL, run, s) == 0);
    pthread_setname_np(s->thread, "store");
    *out_state = state;
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    flush_marks(s);
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    answer_all(s, true);
    forget_ahead(s);
    store_wal_close(s->wal); /* before the last connection, which moves what is left */
    loop_wake_free(s->wake);
    loop_timer_free(s->mark);
    loop_timer_free(s->prune);
    free(s->marks);
    store_db_close(&s->db);
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void store_commit(struct store *s, struct store_batch *b, store_fn *fn, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){.kind = JOB_COMMIT, .batch = b, .bytes = b->bytes, .fn = fn, .ctx = ctx};
    b->done = s->marks;
    b->n_done = s->n_marks;
    s->marks = NULL;
    s->n_marks = s->max_marks = 0;
    submit(s, j);
}

uint64_t store_waiting_bytes(const struct store *s)
{
    struct store *m = (struct store *)s;
    pthread_mutex_lock(&m->lock);
    uint64_t n = s->waiting_bytes;
    pthread_mutex_unlock(&m->lock);
    return n;
}

static struct store_filter copy_filter(const struct store_filter *f)
{
    if (!f)
        return (struct store_filter){0};
    struct store_filter c = *f;
    c.reason = mem_strdup(f->reason);
    c.device = mem_strdup(f->device);
    c.topic_prefix = mem_strdup(f->topic_prefix);
    return c;
}

void store_ask(struct store *s, enum store_query q, const struct store_filter *f,
               store_json_fn *fn, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){
        .kind = JOB_ASK, .query = q, .filter = copy_filter(f), .json_fn = fn, .ctx = ctx};
    submit(s, j);
}

void store_letters(struct store *s, bool quarantine, const struct store_filter *f,
                   store_letter_fn *fn, store_letters_done_fn *done, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){.kind = JOB_LETTERS,
                      .quarantine = quarantine,
                      .filter = copy_filter(f),
                      .letter_fn = fn,
                      .letters_done = done,
                      .ctx = ctx};
    submit(s, j);
}

void store_mark_replayed(struct store *s, bool quarantine, const uint64_t *ids, size_t n,
                         store_fn *fn, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){.kind = JOB_MARK, .quarantine = quarantine, .n = n, .fn = fn, .ctx = ctx};
    j->ids = mem_dup(ids, n * sizeof(*ids));
    submit(s, j);
}

void store_stats(const struct store *s, struct store_stats *out)
{
    struct store *m = (struct store *)s;
    pthread_mutex_lock(&m->lock);
    *out = s->stats;
    pthread_mutex_unlock(&m->lock);
}

/* -- alarms ------------------------------------------------------------------- */

uint64_t store_epoch(const struct store *s)
{
    struct store *m = (struct store *)s;
    pthread_mutex_lock(&m->lock);
    uint64_t v = s->epoch;
    pthread_mutex_unlock(&m->lock);
    return v;
}

uint64_t store_epoch_last(const struct store *s)
{
    struct store *m = (struct store *)s;
    pthread_mutex_lock(&m->lock);
    uint64_t v = s->epoch_last;
    pthread_mutex_unlock(&m->lock);
    return v;
}

/* True: the rows were read already, and come in the next turn of the loop. */
static bool take_ahead(struct store *s, struct job *j)
{
    pthread_mutex_lock(&s->lock);
    bool fits = s->ahead.there && s->ahead.after == j->after_id && !s->stats.failed;
    if (fits) {
        j->rows = s->ahead.rows;
        j->rows.more |= s->ahead.more;
        s->ahead.rows = (struct store_rows){0};
        s->ahead.there = false;
        list_add(&s->done, j);
        loop_wake_send(s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    return fits;
}

void store_outbox(struct store *s, uint64_t after_id, bool urgent_only, size_t max_bytes,
                  store_out_fn *fn, store_outs_done_fn *done, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){.kind = JOB_OUTBOX,
                      .after_id = after_id,
                      .urgent_only = urgent_only,
                      .max_bytes = max_bytes,
                      .out_fn = fn,
                      .outs_done = done,
                      .ctx = ctx};
    if (urgent_only || !take_ahead(s, j))
        submit(s, j);
}

static uint64_t outbox_rows(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t n = s->stats.outbox_rows;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void store_outbox_done(struct store *s, const uint64_t *ids, size_t n)
{
    if (s->n_marks + n > s->max_marks) {
        s->max_marks = (s->n_marks + n) * 2;
        s->marks = mem_realloc_array(s->marks, s->max_marks, sizeof(*s->marks));
    }
    if (n == 0)
        return;
    memcpy(s->marks + s->n_marks, ids, n * sizeof(*ids));
    s->n_marks += n;
    if (s->n_marks >= DONE_MANY && s->n_marks >= outbox_rows(s))
        flush_marks(s);
    else if (!loop_timer_active(s->mark))
        loop_timer_start(s->mark, DONE_MS, 0);
}

void store_on_outbox(struct store *s, loop_fn *fn, void *ctx)
{
    s->on_outbox = fn;
    s->on_outbox_ctx = ctx;
}

void store_open_cases(struct store *s, const char *firm, store_case_fn *fn,
                      store_outs_done_fn *done, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){.kind = JOB_OPEN_CASES,
                      .firm = mem_strdup(firm),
                      .case_fn = fn,
                      .outs_done = done,
                      .ctx = ctx};
    submit(s, j);
}

void store_ask_alerts(struct store *s, enum store_alert_query q,
                      const struct store_alert_filter *f, store_json_fn *fn, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    struct store_alert_filter c = *f;
    c.id = mem_strdup(f->id);
    c.compound = mem_strdup(f->compound);
    c.firm = mem_strdup(f->firm);
    c.device = mem_strdup(f->device);
    c.rule = mem_strdup(f->rule);
    c.severity = mem_strdup(f->severity);
    c.state = mem_strdup(f->state);
    for (int i = 0; i < STORE_PLACES; i++)
        c.place[i] = mem_strdup(f->place[i]);
    *j = (struct job){
        .kind = JOB_ALERTS, .alert_query = q, .alert_filter = c, .json_fn = fn, .ctx = ctx};
    submit(s, j);
}
