/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "io/store_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_BYTES (8u << 20) /* waiting batches that share one transaction */

enum job_kind { JOB_COMMIT, JOB_ASK, JOB_LETTERS, JOB_MARK };

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
};

struct job_list {
    struct job *first, **last;
};

struct store {
    struct store_db db; /* the thread's, but for its open and close */
    struct loop_wake *wake;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t cond;
    struct job_list todo, done;
    bool closing;
    uint64_t waiting_bytes;
    struct store_stats stats;
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

/* -- batches ---------------------------------------------------------------- */

struct store_batch *store_batch_new(void)
{
    struct store_batch *b = mem_zalloc(sizeof(*b));
    b->last = &b->first;
    return b;
}

void store_batch_free(struct store_batch *b)
{
    if (!b)
        return;
    for (struct store_item *it = b->first, *next; it; it = next) {
        next = it->next;
        free(it);
    }
    free(b);
}

size_t store_batch_bytes(const struct store_batch *b)
{
    return b->bytes;
}

static size_t text_size(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static const void *put(char **at, const void *p, size_t n)
{
    if (!p)
        return NULL;
    char *to = *at;
    if (n)
        memcpy(to, p, n);
    *at += n;
    return to;
}

static void batch_add(struct store_batch *b, struct store_item *it, size_t bytes)
{
    *b->last = it;
    b->last = &it->next;
    b->bytes += bytes;
}

struct store_item *store_item_letter(enum store_item_kind kind, const struct store_letter *l,
                                     size_t *out_bytes)
{
    size_t n = sizeof(struct store_item) + text_size(l->reason) + text_size(l->detail) +
               text_size(l->broker) + text_size(l->compound) + l->topic_len + l->payload_len +
               l->device_len;
    struct store_item *it = mem_zalloc(n);
    char *at = (char *)(it + 1);
    it->kind = kind;
    it->letter = *l;
    it->letter.reason = put(&at, l->reason, text_size(l->reason));
    it->letter.detail = put(&at, l->detail, text_size(l->detail));
    it->letter.broker = put(&at, l->broker, text_size(l->broker));
    it->letter.compound = put(&at, l->compound, text_size(l->compound));
    it->letter.topic = put(&at, l->topic, l->topic_len);
    it->letter.payload = put(&at, l->payload, l->payload_len);
    it->letter.device = put(&at, l->device, l->device_len);
    *out_bytes = n;
    return it;
}

void store_batch_dead(struct store_batch *b, const struct store_letter *l)
{
    size_t n;
    struct store_item *it = store_item_letter(ITEM_DEAD, l, &n);
    batch_add(b, it, n);
}

void store_batch_quarantine(struct store_batch *b, const struct store_letter *l)
{
    size_t n;
    struct store_item *it = store_item_letter(ITEM_QUARANTINE, l, &n);
    batch_add(b, it, n);
}

void store_batch_line(struct store_batch *b, const struct store_line *l)
{
    size_t n = sizeof(struct store_item) + text_size(l->sink) + text_size(l->reason) +
               text_size(l->detail) + l->text_len;
    struct store_item *it = mem_zalloc(n);
    char *at = (char *)(it + 1);
    it->kind = ITEM_LINE;
    it->line = *l;
    it->line.sink = put(&at, l->sink, text_size(l->sink));
    it->line.reason = put(&at, l->reason, text_size(l->reason));
    it->line.detail = put(&at, l->detail, text_size(l->detail));
    it->line.text = put(&at, l->text, l->text_len);
    batch_add(b, it, n);
}

void store_batch_cursor(struct store_batch *b, const struct position *cursor)
{
    b->has_cursor = true;
    b->cursor = *cursor;
}

void store_batch_generation(struct store_batch *b, const char *kind, const char *hash,
                            int64_t wall_ns, uint64_t offset)
{
    size_t n = sizeof(struct store_item) + text_size(kind) + text_size(hash);
    struct store_item *it = mem_zalloc(n);
    char *at = (char *)(it + 1);
    it->kind = ITEM_GENERATION;
    it->generation.kind = put(&at, kind, text_size(kind));
    it->generation.hash = put(&at, hash, text_size(hash));
    it->generation.wall_ns = wall_ns;
    it->generation.offset = offset;
    batch_add(b, it, n);
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

/* All batches of the group, or none. */
static int commit_group(struct store *s, const struct job_list *group)
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

static int do_single(struct store *s, struct job *j)
{
    switch (j->kind) {
    case JOB_ASK:
        return store_db_query(&s->db, j->query, &j->filter, &j->json, &j->json_len);
    case JOB_LETTERS:
        return store_db_letters(&s->db, j->quarantine, &j->filter, j->after_id, &j->chunk);
    case JOB_MARK:
        return store_db_mark(&s->db, j->quarantine, j->ids, (size_t)j->n);
    case JOB_COMMIT:
        break;
    }
    return -EINVAL;
}

static void copy_totals(struct store *s)
{
    struct store_stats *t = &s->stats;
    t->dead_rows = s->db.dead_rows;
    t->dead_bytes = s->db.dead_bytes;
    t->dead_not_kept = s->db.dead_not_kept;
    t->quarantine_devices = s->db.q_devices;
    t->quarantine_rows = s->db.q_rows;
    t->quarantine_not_kept = s->db.q_not_kept;
}

static void finish_group(struct store *s, struct job_list *group, int code, uint64_t took)
{
    bool commit = group->first->kind == JOB_COMMIT;
    if (commit && code == 0) {
        s->stats.commits++;
        s->stats.commit_ns_last = took;
        if (took > s->stats.commit_ns_max)
            s->stats.commit_ns_max = took;
    }
    if (code && code != -ENOENT && !s->stats.failed) {
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
        uint64_t begin = loop_hrtime_ns();
        if (!code)
            code = group.first->kind == JOB_COMMIT ? commit_group(s, &group)
                                                   : do_single(s, group.first);
        uint64_t took = loop_hrtime_ns() - begin;
        pthread_mutex_lock(&s->lock);
        finish_group(s, &group, code, took);
        loop_wake_send(s->wake);
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

static void answer(struct store *s, struct job *j, bool closing)
{
    if (j->kind == JOB_LETTERS) {
        if (answer_letters(s, j, closing))
            return;
    } else if (j->kind == JOB_ASK) {
        j->json_fn(j->ctx, j->status, j->json ? j->json : "", j->json_len);
    } else if (j->fn) {
        j->fn(j->ctx, j->status);
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
    pthread_mutex_unlock(&s->lock);
    for (struct job *j, *next = done.first; (j = next);) {
        next = j->next;
        answer(s, j, closing);
    }
}

static void on_wake(void *ctx)
{
    answer_all(ctx, false);
}

int store_open(struct loop *l, const struct store_options *o, struct err *err,
               struct store_opened *out_state, struct store **out)
{
    struct store *s = mem_zalloc(sizeof(*s));
    s->db.max_bytes = o->dead_bytes;
    s->db.max_devices = o->quarantine_devices;
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
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->cond, NULL);
    s->wake = loop_wake_new(l, on_wake, s);
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
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    answer_all(s, true);
    loop_wake_free(s->wake);
    store_db_close(&s->db);
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void store_commit(struct store *s, struct store_batch *b, store_fn *fn, void *ctx)
{
    struct job *j = mem_zalloc(sizeof(*j));
    *j = (struct job){.kind = JOB_COMMIT, .batch = b, .bytes = b->bytes, .fn = fn, .ctx = ctx};
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
