/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarm part of io/store.h in memory: a log of what was committed, and the state that follows
 * from it. A store that is restored is a shorter log.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "core/cases.h"
#include "sim/fake_store_alarm.h"
#include "sim/fakes.h"
#include "sim/world.h"
#include "sim/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum op_kind { OP_ALARM, OP_EPOCH, OP_NO_EPOCH, OP_DONE };
struct fake_op {
    enum op_kind kind;
    bool committed;
    uint64_t number;
    struct fake_alarm a;
};

struct open_case {
    const struct fake_alarm *last, *told; /* told NULL: never */
};
struct counter {
    char *key;
    uint64_t seq;
};

static struct {
    struct fake_op **log; /* committed */
    size_t n_log, cap_log, remembered;
    const struct fake_alarm **alarms; /* those of the log, without what was there already */
    size_t n_alarms, cap_alarms;
    struct open_case *cases;
    size_t n_cases, cap_cases;
    struct counter *counters;
    size_t n_counters, cap_counters;
    uint64_t epoch, epoch_last, epoch_from, outbox, waiting, done, repeated;
} disk;

#define GROW(p, n, cap)                                                                        \
    do {                                                                                       \
        if ((n) == (cap)) {                                                                    \
            (cap) = (cap) ? (cap)*2 : 16;                                                      \
            (p) = mem_realloc_array((p), (cap), sizeof(*(p)));                                 \
        }                                                                                      \
    } while (0)

/* -- the state -------------------------------------------------------------------------------- */

static void forget_state(void)
{
    for (size_t i = 0; i < disk.n_counters; i++)
        free(disk.counters[i].key);
    disk.n_counters = disk.n_cases = disk.n_alarms = 0;
    disk.epoch = disk.epoch_last = disk.epoch_from = 0;
    disk.outbox = disk.waiting = disk.done = disk.repeated = 0;
}

static bool is_there(const struct fake_alarm *a)
{
    for (size_t i = disk.n_alarms; i > 0; i--) {
        const struct fake_alarm *b = disk.alarms[i - 1];
        if (b->n == a->n && b->is_reply == a->is_reply && position_cmp(&b->at, &a->at) == 0)
            return true;
    }
    return false;
}

static uint64_t next_seq(const struct fake_alarm *a)
{
    char *key = mem_printf("%s %s %s", a->stream, a->firm, a->compound);
    for (size_t i = 0; i < disk.n_counters; i++) {
        if (strcmp(disk.counters[i].key, key) == 0) {
            free(key);
            return ++disk.counters[i].seq;
        }
    }
    GROW(disk.counters, disk.n_counters, disk.cap_counters);
    disk.counters[disk.n_counters++] = (struct counter){key, 1};
    return 1;
}

static struct open_case *find_case(uint64_t hash)
{
    for (size_t i = 0; i < disk.n_cases; i++)
        if (disk.cases[i].last->case_hash == hash)
            return &disk.cases[i];
    return NULL;
}

static void put_in_outbox(struct fake_alarm *a, unsigned tell)
{
    a->tell = tell;
    a->outbox_id = ++disk.outbox;
    a->done = false;
    disk.waiting++;
}

static void splice(struct fake_alarm *a)
{
    free(a->payload);
    char number[24], *was = mem_printf("\"stream\":\"%s\"", a->made_stream);
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)a->seq);
    const char *at = strstr(a->json, was), *rest = at + strlen(was);
    if (!at)
        sim_fail("a state without its stream: %s", a->json);
    size_t head = a->seq_at ? a->seq_at - (size_t)(rest - a->json) : 0;
    a->payload = mem_printf("%.*s\"stream\":\"%s\"%.*s%s%s", (int)(at - a->json), a->json,
                            a->stream, (int)head, rest, a->seq_at ? number : "", rest + head);
    a->len = strlen(a->payload);
    free(was);
}

/* With another epoch what waits gets numbers of its stream. */
static void renumber(uint64_t epoch)
{
    for (size_t i = 0; i < disk.n_alarms && epoch != disk.epoch; i++) {
        struct fake_alarm *a = (struct fake_alarm *)disk.alarms[i];
        if (a->is_reply || !a->tell || a->done || a->seq == 0)
            continue;
        const char *slash = strrchr(a->made_stream, '/');
        free(a->new_stream);
        a->new_stream = mem_printf("%.*s/%llu", (int)(slash - a->made_stream), a->made_stream,
                                   (unsigned long long)epoch);
        a->stream = a->new_stream;
        a->seq = next_seq(a);
        splice(a);
    }
}

static unsigned tells(const struct fake_alarm *a, const struct open_case *c,
                      const struct fake_alarm **out_was)
{
    const struct fake_alarm *told = c ? c->told : NULL;
    unsigned tell = 0;
    *out_was = NULL;
    if (a->record)
        return a->deliver ? TELL_EVENT : 0;
    if (a->deliver)
        tell = (a->urgent ? TELL_URGENT : 0u) | TELL_EVENT | (a->closed ? 0u : TELL_STATE);
    if (a->closed && (a->deliver || told))
        tell |= TELL_CLOSE;
    if (tell && told &&
        (strcmp(told->firm, a->firm) != 0 || strcmp(told->compound, a->compound) != 0))
        *out_was = told;
    return tell | (*out_was ? TELL_LEAVE : 0u);
}

static void apply_transition(struct fake_alarm *a)
{
    struct open_case *c = find_case(a->case_hash);
    const struct fake_alarm *was;
    a->stream = a->made_stream;
    a->seq = a->deliver ? next_seq(a) : 0;
    splice(a);
    unsigned tell = tells(a, c, &was);
    a->was_firm = was ? was->firm : NULL;
    a->was_compound = was ? was->compound : NULL;
    if (tell)
        put_in_outbox(a, tell);
    if (a->record)
        return;
    if (a->closed) {
        if (c)
            *c = disk.cases[--disk.n_cases];
        return;
    }
    if (!c) {
        GROW(disk.cases, disk.n_cases, disk.cap_cases);
        c = &disk.cases[disk.n_cases++];
        *c = (struct open_case){0};
    }
    c->last = a;
    if (a->deliver)
        c->told = a;
}

static void apply_done(uint64_t id)
{
    for (size_t i = 0; i < disk.n_alarms; i++) {
        struct fake_alarm *a = (struct fake_alarm *)disk.alarms[i];
        if (a->outbox_id == id && !a->done) {
            a->done = true;
            disk.waiting--;
            disk.done++;
        }
    }
}

static void apply(struct fake_op *op)
{
    struct fake_alarm *a = &op->a;
    switch (op->kind) {
    case OP_EPOCH:
        renumber(op->number);
        disk.epoch = op->number;
        disk.epoch_last = op->number > disk.epoch_last ? op->number : disk.epoch_last;
        break;
    case OP_NO_EPOCH:
        disk.epoch = 0;
        disk.epoch_from = op->number;
        break;
    case OP_DONE:
        apply_done(op->number);
        break;
    case OP_ALARM:
        if (is_there(a)) {
            disk.repeated++;
            break;
        }
        a->tell = 0;
        a->outbox_id = 0;
        if (!a->is_reply)
            apply_transition(a);
        else if (a->origin == 0)
            put_in_outbox(a, TELL_REPLY);
        GROW(disk.alarms, disk.n_alarms, disk.cap_alarms);
        disk.alarms[disk.n_alarms++] = a;
        break;
    }
}

static void op_free(struct fake_op *op)
{
    struct fake_alarm *a = &op->a;
    const char *own[] = {a->made_stream, a->new_stream,  a->case_id, a->firm, a->compound,
                         a->topic,       a->correlation, a->json,    a->blob};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        free((char *)own[i]);
    free(a->payload);
    free(op);
}

void fake_alarm_reset(void)
{
    forget_state();
    for (size_t i = 0; i < disk.n_log; i++)
        op_free(disk.log[i]);
    free(disk.log);
    free(disk.alarms);
    free(disk.cases);
    free(disk.counters);
    memset(&disk, 0, sizeof(disk));
}

void fake_alarm_lose(void)
{
    disk.remembered = 0;
    fake_alarm_restore();
}

void fake_alarm_remember(void)
{
    disk.remembered = disk.n_log;
}

void fake_alarm_restore(void)
{
    forget_state();
    while (disk.n_log > disk.remembered)
        op_free(disk.log[--disk.n_log]);
    for (size_t i = 0; i < disk.n_log; i++)
        apply(disk.log[i]);
}

/* -- batches ---------------------------------------------------------------------------------- */

static struct fake_op *add(struct fake_alarm_batch *b, enum op_kind kind, uint64_t number)
{
    struct fake_op *op = mem_zalloc(sizeof(*op));
    op->kind = kind;
    op->number = number;
    GROW(b->ops, b->n, b->cap);
    b->ops[b->n++] = op;
    b->bytes += 100;
    return op;
}

static struct fake_alarm *add_alarm(struct store_batch *batch, const struct position *at)
{
    struct fake_alarm_batch *b = (struct fake_alarm_batch *)batch;
    struct fake_alarm *a = &add(b, OP_ALARM, 0)->a;
    if (position_cmp(&b->at, at) != 0)
        b->place = 0;
    b->at = *at;
    a->at = *at;
    a->n = b->place++;
    return a;
}

void store_batch_transition(struct store_batch *b, const struct position *at,
                            const struct transition *t)
{
    struct fake_alarm *a = add_alarm(b, at);
    a->change = case_change_name(t->change);
    a->stream = a->made_stream = mem_strdup(t->stream);
    a->case_id = mem_strdup(t->case_id);
    a->case_hash = hash64(1, t->case_id, strlen(t->case_id));
    a->firm = mem_strdup(t->firm);
    a->compound = mem_strdup(t->compound);
    a->deliver = t->deliver;
    a->urgent = t->urgent;
    a->closed = t->closed;
    a->record = t->record;
    a->wall_ms = t->wall_ms;
    a->json = mem_strndup(t->json, t->json_len);
    a->json_len = t->json_len;
    a->seq_at = t->seq_at;
    a->blob = t->blob ? mem_strndup(t->blob, t->blob_len) : NULL;
    a->blob_len = t->blob_len;
    ((struct fake_alarm_batch *)b)->bytes += t->json_len + t->blob_len;
}

void store_batch_reply(struct store_batch *b, const struct position *at,
                       const struct case_reply *r, int64_t expires_wall_ms)
{
    const struct case_command *to = r->to;
    struct fake_alarm *a = add_alarm(b, at);
    a->is_reply = true;
    a->firm = mem_strdup(to->firm ? to->firm : "-");
    a->compound = mem_strdup(to->compound ? to->compound : "-");
    a->case_id = mem_strdup(to->case_id ? to->case_id : "");
    a->topic = to->reply_to ? mem_strdup(to->reply_to)
                            : mem_printf("reply/%s/%s", a->firm, a->compound);
    a->verb = case_verb_name(to->verb);
    a->answer = case_answer_name(r->answer);
    a->correlation = to->correlation ? mem_strndup(to->correlation, to->correlation_len) : NULL;
    a->correlation_len = to->correlation_len;
    a->origin = to->origin;
    a->wall_ms = to->wall_ms;
    a->expires_wall_ms = expires_wall_ms;
    a->json = mem_strndup(r->json, r->json_len);
    a->json_len = a->len = r->json_len;
    a->payload = mem_strndup(r->json, r->json_len);
}

void store_batch_epoch(struct store_batch *b, uint64_t epoch)
{
    (void)add((struct fake_alarm_batch *)b, OP_EPOCH, epoch);
}

void store_batch_no_epoch(struct store_batch *b, uint64_t until_offset)
{
    (void)add((struct fake_alarm_batch *)b, OP_NO_EPOCH, until_offset);
}

void fake_alarm_batch_free(struct fake_alarm_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (!b->ops[i]->committed)
            op_free(b->ops[i]);
    free(b->ops);
    *b = (struct fake_alarm_batch){0};
}

bool fake_alarm_commit(struct fake_alarm_batch *b)
{
    uint64_t before = disk.outbox;
    for (size_t i = 0; i < b->n; i++) {
        GROW(disk.log, disk.n_log, disk.cap_log);
        disk.log[disk.n_log++] = b->ops[i];
        b->ops[i]->committed = true;
        apply(b->ops[i]);
    }
    return disk.outbox != before;
}

void fake_alarm_take_marks(struct fake_alarm_store *s, struct fake_alarm_batch *b)
{
    for (size_t i = 0; i < s->n_marks; i++)
        (void)add(b, OP_DONE, s->marks[i]);
    s->n_marks = 0;
}

/* -- what tell asks ----------------------------------------------------------------------------- */

struct question {
    uint64_t after;
    bool urgent;
    size_t max_bytes;
    char firm[72];
    store_out_fn *out;
    store_case_fn *open;
    store_outs_done_fn *done;
    store_json_fn *json;
    void *ctx;
};

static void answer_outbox(void *ctx)
{
    struct question q = *(struct question *)ctx;
    uint64_t n = 0;
    size_t bytes = 0;
    bool more = false;
    free(ctx);
    for (size_t i = 0; i < disk.n_alarms && !more; i++) {
        const struct fake_alarm *a = disk.alarms[i];
        if (!a->tell || a->done || a->outbox_id <= q.after || (q.urgent && !a->urgent))
            continue;
        more = n > 0 && bytes >= q.max_bytes;
        if (more)
            break;
        q.out(q.ctx, &(struct store_out){.id = a->outbox_id,
                                         .tell = a->tell,
                                         .urgent = a->urgent,
                                         .firm = a->firm,
                                         .compound = a->compound,
                                         .case_id = a->case_id,
                                         .was_firm = a->was_firm,
                                         .was_compound = a->was_compound,
                                         .seq = a->seq,
                                         .offset = a->is_reply ? 0 : a->at.offset,
                                         .topic = a->topic,
                                         .correlation = a->correlation,
                                         .correlation_len = a->correlation_len,
                                         .expires_wall_ms = a->expires_wall_ms,
                                         .payload = a->payload,
                                         .len = a->len});
        n++;
        bytes += a->len;
    }
    q.done(q.ctx, 0, n, more);
}

static void answer_cases(void *ctx)
{
    struct question q = *(struct question *)ctx;
    uint64_t n = 0;
    free(ctx);
    for (size_t i = 0; i < disk.n_cases; i++) {
        const struct fake_alarm *last = disk.cases[i].last, *told = disk.cases[i].told;
        const struct fake_alarm *at = told ? told : last;
        if (q.firm[0] && strcmp(at->firm, q.firm) != 0)
            continue;
        q.open(q.ctx, &(struct store_case){.case_id = last->case_id,
                                           .firm = at->firm,
                                           .compound = at->compound,
                                           .seq = told ? told->seq : 0,
                                           .payload = told ? told->payload : NULL,
                                           .len = told ? told->len : 0,
                                           .blob = last->blob,
                                           .blob_len = last->blob_len});
        n++;
    }
    q.done(q.ctx, 0, n, false);
}

static void answer_json(void *ctx)
{
    struct question q = *(struct question *)ctx;
    free(ctx);
    q.json(q.ctx, 0, "{}", 2);
}

static void ask(sim_fn *fn, struct question q)
{
    struct question *copy = mem_dup(&q, sizeof(q));
    sim_after(sim_random(1000000), fn, copy, true);
}

void store_outbox(struct store *s, uint64_t after_id, bool urgent_only, size_t max_bytes,
                  store_out_fn *fn, store_outs_done_fn *done, void *ctx)
{
    (void)s;
    ask(answer_outbox, (struct question){.after = after_id,
                                         .urgent = urgent_only,
                                         .max_bytes = max_bytes,
                                         .out = fn,
                                         .done = done,
                                         .ctx = ctx});
}

void store_open_cases(struct store *s, const char *firm, store_case_fn *fn,
                      store_outs_done_fn *done, void *ctx)
{
    (void)s;
    struct question q = {.open = fn, .done = done, .ctx = ctx};
    (void)snprintf(q.firm, sizeof(q.firm), "%s", firm ? firm : "");
    ask(answer_cases, q);
}

void store_ask_alerts(struct store *s, enum store_alert_query q,
                      const struct store_alert_filter *f, store_json_fn *fn, void *ctx)
{
    (void)s;
    (void)q;
    (void)f;
    ask(answer_json, (struct question){.json = fn, .ctx = ctx});
}

static void flush_marks(void *ctx)
{
    struct store *s = ctx;
    if (((struct fake_alarm_store *)s)->n_marks > 0)
        store_commit(s, store_batch_new(), NULL, NULL);
}

void fake_alarm_close(struct fake_alarm_store *s)
{
    struct fake_alarm_batch b = {0};
    sim_cancel(flush_marks, s);
    fake_alarm_take_marks(s, &b);
    (void)fake_alarm_commit(&b);
    fake_alarm_batch_free(&b);
    free(s->marks);
    s->marks = NULL;
}

void store_outbox_done(struct store *s, const uint64_t *ids, size_t n)
{
    struct fake_alarm_store *a = (struct fake_alarm_store *)s;
    if (a->n_marks == 0 && n > 0)
        sim_after(150000000, flush_marks, s, true);
    a->marks = mem_realloc_array(a->marks, a->n_marks + n + 1, sizeof(*a->marks));
    if (n > 0)
        memcpy(a->marks + a->n_marks, ids, n * sizeof(*ids));
    a->n_marks += n;
}

void store_on_outbox(struct store *s, loop_fn *fn, void *ctx)
{
    ((struct fake_alarm_store *)s)->on_outbox = fn;
    ((struct fake_alarm_store *)s)->on_outbox_ctx = ctx;
}

uint64_t store_epoch(const struct store *s)
{
    (void)s;
    return disk.epoch;
}

uint64_t store_epoch_last(const struct store *s)
{
    (void)s;
    return disk.epoch_last;
}

uint64_t fake_alarm_epoch_from(void)
{
    return disk.epoch_from;
}

uint64_t fake_store_epoch(void)
{
    return disk.epoch;
}

size_t fake_store_alarms(const struct fake_alarm *const **out)
{
    *out = disk.alarms;
    return disk.n_alarms;
}

void fake_alarm_stats(struct store_stats *out)
{
    out->open_cases = disk.n_cases;
    out->outbox_rows = disk.waiting;
    out->delivered = disk.done;
    out->repeated = disk.repeated;
    for (size_t i = 0; i < disk.n_alarms; i++) {
        const struct fake_alarm *a = disk.alarms[i];
        out->transitions += !a->is_reply;
        if (!a->is_reply && a->at.offset > out->alarm_offset)
            out->alarm_offset = a->at.offset;
    }
}
