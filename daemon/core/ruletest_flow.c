/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series of a test as messages, in the order in which they arrive; with what stands between
 * them.
 *
 * What one device says at one time is one message. Each stream knows the message that comes next;
 * a heap over the streams knows which stream that is.
 */
#include "core/ruletest_flow.h"
#include "base/check.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARTS = 32, BODY = 8192 };

struct part { /* one metric of a stream */
    const struct values *v;
    size_t run;      /* the present one */
    uint64_t in_run; /* samples of it that were said */
    char *key;       /* "level": */
    size_t key_len;
    char *text; /* of a value that stays */
    size_t text_len;
};
struct stream { /* what one device says at equal distances */
    const struct series *s;
    const char *topic;
    size_t topic_len;
    char *point; /* ,"@":"inlet" */
    size_t point_len;
    const struct device *device;
    struct part *parts;
    size_t n_parts;
    uint64_t tick, ticks;
    uint32_t next; /* of the same device */
};
struct held { /* a message that waits for the link */
    uint32_t stream;
    int64_t sampled_ns;
    size_t at, len; /* in `store` */
};
struct next { /* in the heap: its time is at hand without a look at the stream */
    int64_t at_ns;
    uint32_t stream;
};
struct kinds {
    size_t n;
    const struct kind *list[CATALOG_MAX_KINDS];
};
struct streams {
    struct stream *list;
    size_t n, cap;
    struct next *heap;
    size_t n_heap;
    struct held *held;
    size_t n_held, cap_held;
    struct buf store;
    size_t step, look; /* the next ones */
    const struct expect **looks;
    size_t n_looks;
    char body[BODY + JSON_PADDING];
};

static int64_t sampled(const struct stream *s)
{
    return s->s->from_ns + (int64_t)s->tick * s->s->interval_ns;
}

static int64_t arrives(const struct stream *s)
{
    return sampled(s) + s->s->late_ns;
}

/* A value that there is no room for would be missing without a word. */
static void no_room(struct ruletest_run *r, const struct series *x)
{
    if (r->no_room)
        return;
    r->no_room = true;
    if (!r->replaying) {
        r->failed = true;
        (void)buf_printf(r->text, "%s:%d:%d: %s: a message of more than %d bytes\n", r->t->file,
                         x->line, x->col, r->x->name, BODY);
    }
}

/* -- is it said right? ----------------------------------------------------------------------- */

static void wrong_series(struct ruletest_run *r, const struct series *x, const char *what,
                         const char *word, const char *near)
{
    if (r->replaying)
        return;
    r->failed = true;
    (void)buf_printf(r->text, "%s:%d:%d: %s: %s \"%.64s\"%s%s%s\n", r->t->file, x->line, x->col,
                     r->x->name, what, word, near ? ", did you mean \"" : "", near ? near : "",
                     near ? "\"?" : "");
}

static const char *type_of(const struct metric *m)
{
    static const char *const names[] = {[METRIC_FLOAT] = "a number",
                                        [METRIC_INT] = "a number",
                                        [METRIC_BOOL] = "true or false",
                                        [METRIC_ENUM] = "one of its codes",
                                        [METRIC_STRING] = "a word"};
    return names[m->type];
}

/* Could a device say that of the metric? (A number out of range it could.) */
static bool suits(const struct metric *m, const struct values_run *u)
{
    switch (m->type) {
    case METRIC_FLOAT:
    case METRIC_INT:
        return u->kind == RUN_NUMBER;
    case METRIC_BOOL:
        return u->kind == RUN_BOOL ||
               (u->kind == RUN_NUMBER && u->step == 0 && (u->a == 0 || u->a == 1));
    case METRIC_ENUM:
        return u->kind == RUN_WORD || (u->kind == RUN_NUMBER && u->step == 0);
    case METRIC_STRING:
        return u->kind == RUN_WORD;
    }
    return false;
}

static void check_words(struct ruletest_run *r, const struct series *x, const struct metric *m)
{
    const char *names[256];
    size_t n = 0;
    for (size_t i = 0; i < m->n_codes && n < 256; i++)
        names[n++] = m->codes[i].name;
    for (size_t i = 0; i < x->values.n; i++) {
        const struct values_run *u = &x->values.runs[i];
        char what[160];
        if (u->kind == RUN_MISSING)
            continue;
        if (u->kind == RUN_WORD && m->type == METRIC_ENUM &&
            !metric_code(m, u->word, strlen(u->word))) {
            wrong_series(r, x, "the metric has no code", u->word,
                         err_nearest(u->word, names, n));
        } else if (!suits(m, u)) {
            char room[NUM_MAX + 1];
            room[num_put_double(room, u->a)] = '\0';
            (void)snprintf(what, sizeof(what), "%.64s is %s, expected that and not", m->name,
                           type_of(m));
            wrong_series(r, x, what, u->kind == RUN_NUMBER ? room : u->word, NULL);
            return;
        }
    }
}

/* A name that a device's kind does not know would be no value, and a test of nothing. */
static void check_series(struct ruletest_run *r, const struct series *x, const struct device *d)
{
    const char *names[CATALOG_MAX_METRICS];
    size_t n = 0;
    const struct metric *m =
        catalog_metric(r->w->catalog, d->kind, x->metric, strlen(x->metric));
    for (size_t i = 0; i < d->kind->n_metrics && n < CATALOG_MAX_METRICS; i++)
        names[n++] = d->kind->metrics[i].name;
    if (m)
        check_words(r, x, m);
    else
        wrong_series(r, x, "the device's kind has no metric", x->metric,
                     err_nearest(x->metric, names, n));
}

/* Once for each kind that the series speaks for. */
static void check_kinds(struct ruletest_run *r, const struct series *x, const struct device *d,
                        struct kinds *seen)
{
    if (!d || r->replaying)
        return;
    for (size_t i = 0; i < seen->n; i++)
        if (seen->list[i] == d->kind)
            return;
    if (seen->n == CATALOG_MAX_KINDS)
        return;
    seen->list[seen->n++] = d->kind;
    check_series(r, x, d);
}

/* -- making them ----------------------------------------------------------------------------- */

static bool same_pace(const struct series *a, const struct series *b)
{
    return a->from_ns == b->from_ns && a->interval_ns == b->interval_ns &&
           a->late_ns == b->late_ns && a->skew_ns == b->skew_ns && a->dup == b->dup &&
           a->retained == b->retained && a->no_time == b->no_time &&
           strcmp(a->point, b->point) == 0;
}

static char *text_of(struct ruletest_run *r, const char *s, size_t n)
{
    char *p = arena_alloc(&r->arena, n + 1);
    ASSERT(p);
    memcpy(p, s, n);
    return p;
}

static void add_part(struct ruletest_run *r, struct stream *s, const struct series *x)
{
    struct buf b;
    buf_init(&b, 256);
    (void)buf_printf(&b, ",\"%.64s\":", x->metric);
    struct part *p = &s->parts[s->n_parts++];
    *p = (struct part){.v = &x->values, .key_len = b.len};
    p->key = text_of(r, b.data, b.len);
    if (x->values.samples > s->ticks)
        s->ticks = x->values.samples;
    buf_done(&b);
}

static bool has_metric(const struct stream *s, const struct series *x)
{
    for (size_t i = 0; i < s->n_parts; i++)
        if (strncmp(s->parts[i].key + 2, x->metric, strlen(x->metric)) == 0 &&
            s->parts[i].key_len == strlen(x->metric) + 4)
            return true;
    return false;
}

static struct stream *new_stream(struct ruletest_run *r, size_t device, const struct series *x,
                                 uint32_t next)
{
    struct streams *all = r->streams;
    const struct table_device *d = &r->t->list[device];
    struct buf b;
    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 64;
        all->list = mem_realloc_array(all->list, all->cap, sizeof(*all->list));
    }
    struct stream *s = &all->list[all->n++];
    buf_init(&b, 512);
    (void)buf_printf(&b, "%s/%.200s/%.200s", *x->point ? RULETEST_POINTS : "gaihou/v1/up",
                     d->compound, d->code);
    *s = (struct stream){.s = x, .next = next, .topic_len = b.len};
    s->topic = text_of(r, b.data, b.len);
    s->device = registry_find(r->w->registry, d->code, strlen(d->code));
    s->parts = mem_zalloc_array(MAX_PARTS, sizeof(*s->parts));
    if (*x->point) {
        struct jsonw w;
        buf_clear(&b);
        (void)buf_puts(&b, ",\"@\":");
        jsonw_init(&w, &b);
        jsonw_str(&w, NULL, x->point);
        s->point_len = b.len;
        s->point = text_of(r, b.data, b.len);
    }
    buf_done(&b);
    return s;
}

static void add_series(struct ruletest_run *r, const struct series *x, size_t device,
                       uint32_t *heads)
{
    struct streams *all = r->streams;
    if (x->values.samples == 0)
        return;
    for (uint32_t i = heads[device]; i != UINT32_MAX; i = all->list[i].next) {
        struct stream *s = &all->list[i];
        if (same_pace(s->s, x) && s->n_parts < MAX_PARTS && !has_metric(s, x)) {
            add_part(r, s, x);
            return;
        }
    }
    struct stream *s = new_stream(r, device, x, heads[device]);
    heads[device] = (uint32_t)(all->n - 1);
    add_part(r, s, x);
}

/* -- the heap -------------------------------------------------------------------------------- */

static bool before(const struct next *x, const struct next *y)
{
    /* without a branch: which of two is first cannot be guessed */
    return (x->at_ns < y->at_ns) | ((x->at_ns == y->at_ns) & (x->stream < y->stream));
}

static void sift(struct streams *a, size_t i)
{
    struct next v = a->heap[i];
    for (size_t kid; (kid = 2 * i + 1) < a->n_heap; i = kid) {
        const struct next *k = &a->heap[kid];
        kid += (kid + 1 < a->n_heap) & before(k + (kid + 1 < a->n_heap), k);
        if (!before(&a->heap[kid], &v))
            break;
        a->heap[i] = a->heap[kid];
    }
    a->heap[i] = v;
}

static int by_look(const void *a, const void *b)
{
    const struct expect *x = *(const struct expect *const *)a,
                        *y = *(const struct expect *const *)b;
    if (x->to_ns != y->to_ns)
        return x->to_ns < y->to_ns ? -1 : 1;
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : 0;
}

static void sort_looks(struct ruletest_run *r)
{
    struct streams *a = r->streams;
    const struct test *x = r->x;
    a->looks = mem_zalloc_array(x->n_expects, sizeof(*a->looks));
    for (size_t i = 0; i < x->n_expects; i++) {
        enum expect_kind k = x->expects[i].kind;
        if (k == EXPECT_OPEN || k == EXPECT_MESSAGES || k == EXPECT_STATE)
            a->looks[a->n_looks++] = &x->expects[i];
    }
    qsort(a->looks, a->n_looks, sizeof(*a->looks), by_look);
}

void ruletest_streams(struct ruletest_run *r)
{
    const struct ruletest *t = r->t;
    struct streams *a = r->streams = mem_zalloc(sizeof(*a));
    uint32_t *heads = mem_zalloc_array(t->n_list, sizeof(*heads));
    buf_init(&a->store, (size_t)1 << 30);
    memset(heads, 0xff, t->n_list * sizeof(*heads));
    for (size_t i = 0; i < r->x->n_series; i++) {
        const struct series *x = &r->x->series[i];
        struct kinds seen = {0};
        for (size_t d = 0; d < t->n_list; d++) {
            const char *code = t->list[d].code;
            if (!ruletest_means(x->device, code))
                continue;
            check_kinds(r, x, registry_find(r->w->registry, code, strlen(code)), &seen);
            add_series(r, x, d, heads);
        }
    }
    free(heads);
    a->heap = mem_zalloc_array(a->n, sizeof(*a->heap));
    for (size_t i = 0; i < a->n; i++)
        a->heap[i] = (struct next){.at_ns = arrives(&a->list[i]), .stream = (uint32_t)i};
    a->n_heap = a->n;
    for (size_t i = a->n_heap / 2; i-- > 0;)
        sift(a, i);
    sort_looks(r);
}

void ruletest_streams_free(struct ruletest_run *r)
{
    struct streams *a = r->streams;
    for (size_t i = 0; i < a->n; i++)
        free(a->list[i].parts);
    free(a->list);
    free(a->heap);
    free(a->held);
    free(a->looks);
    buf_done(&a->store);
    free(a);
}

/* -- messages -------------------------------------------------------------------------------- */

/* As people wrote it: 0.5+0.1x4 has 0.8 in it, not 0.8000000000000000444. */
static double value_at(const struct values_run *u, uint64_t k)
{
    double v = u->a + u->step * (double)k;
    double scaled = v * u->scale;
    return u->scale > 0 && fabs(scaled) < 1e15 ? round(scaled) / u->scale : v;
}

static size_t put_number(char *out, double v)
{
    if (v == floor(v) && fabs(v) < 1e15)
        return num_put_i64(out, (int64_t)v);
    return num_put_double(out, v);
}

static void keep_text(struct ruletest_run *r, struct part *p, const struct values_run *u)
{
    char room[NUM_MAX];
    struct buf b;
    struct jsonw w;
    buf_init(&b, BODY / 2);
    jsonw_init(&w, &b);
    if (u->kind == RUN_BOOL)
        jsonw_bool(&w, NULL, u->truth);
    else if (u->kind == RUN_WORD)
        jsonw_str(&w, NULL, u->word);
    else
        (void)buf_put(&b, room, put_number(room, u->a));
    p->text_len = b.failed ? 0 : b.len;
    p->text = text_of(r, b.data ? b.data : "", p->text_len);
    buf_done(&b);
}

/* The part's value of this tick behind `to`; where it ends. */
static char *put_value(struct ruletest_run *r, const struct stream *s, struct part *p, char *to,
                       const char *end)
{
    if (p->run == p->v->n)
        return to;
    const struct values_run *u = &p->v->runs[p->run];
    char room[NUM_MAX];
    const char *text = room;
    size_t len = 0;
    bool missing = u->kind == RUN_MISSING;
    uint64_t k = p->in_run++;
    if (u->kind == RUN_NUMBER && u->step != 0) {
        len = put_number(room, value_at(u, k));
    } else if (!missing) {
        if (k == 0)
            keep_text(r, p, u);
        text = p->text;
        len = p->text_len;
    }
    if (p->in_run == u->n) {
        p->run++;
        p->in_run = 0;
    }
    if (missing)
        return to;
    if (len == 0 || (size_t)(end - to) < p->key_len + len) {
        no_room(r, s->s);
        return to;
    }
    memcpy(to, p->key, p->key_len);
    memcpy(to + p->key_len, text, len);
    r->values++;
    return to + p->key_len + len;
}

/* The stream's message of this tick; its length, 0: it says nothing. */
static size_t compose(struct ruletest_run *r, struct stream *s, char *body)
{
    char *to = body, *end = body + BODY - 2;
    int64_t told = r->x->start_ms + (sampled(s) + s->s->skew_ns) / NS_MS;
    if (!s->s->no_time) {
        memcpy(to, "{\"ts\":", 6);
        to += 6;
        to += num_put_i64(to, told);
    }
    if (s->point_len) {
        memcpy(to, s->point, s->point_len);
        to += s->point_len;
    }
    char *from = to;
    for (size_t i = 0; i < s->n_parts; i++)
        to = put_value(r, s, &s->parts[i], to, end);
    if (to == from)
        return 0;
    if (s->s->no_time)
        body[0] = '{'; /* in place of the first comma */
    *to++ = '}';
    return (size_t)(to - body);
}

static void hold(struct ruletest_run *r, uint32_t stream, const char *body, size_t len)
{
    struct streams *a = r->streams;
    if (buf_put(&a->store, body, len) != 0) {
        r->overflow = true;
        return;
    }
    if (a->n_held == a->cap_held) {
        a->cap_held = a->cap_held ? 2 * a->cap_held : 64;
        a->held = mem_realloc_array(a->held, a->cap_held, sizeof(*a->held));
    }
    a->held[a->n_held++] =
        (struct held){.stream = stream, .at = a->store.len - len, .len = len};
}

/* As the alarm knows it: the device's own is called nothing. */
static const char *point_of(const struct stream *s)
{
    return strcmp(s->s->point, s->device->point) == 0 ? "" : s->s->point;
}

static void deliver(struct ruletest_run *r, const struct stream *s, const char *body,
                    size_t len, int64_t at_ns)
{
    for (unsigned i = 0; i <= s->s->dup; i++)
        ruletest_give_message(r, s->topic, s->topic_len, body, len, s->s->retained, at_ns,
                              (uint32_t)(s - r->streams->list));
    if (r->o->cover && s->device)
        ruletest_cover_look(r->o->cover, r, s->device, point_of(s));
}

/* The broker kept what came while the link was down. */
void ruletest_release(struct ruletest_run *r, int64_t at_ns)
{
    struct streams *a = r->streams;
    if (r->unlinked || r->down)
        return;
    for (size_t i = 0; i < a->n_held; i++) {
        memcpy(a->body, a->store.data + a->held[i].at, a->held[i].len);
        deliver(r, &a->list[a->held[i].stream], a->body, a->held[i].len, at_ns);
    }
    a->n_held = 0;
    buf_clear(&a->store);
}

static void next_message(struct ruletest_run *r)
{
    struct streams *a = r->streams;
    uint32_t i = a->heap[0].stream;
    struct stream *s = &a->list[i];
    int64_t at = a->heap[0].at_ns;
    size_t len = compose(r, s, a->body);
    if (++s->tick == s->ticks)
        a->heap[0] = a->heap[--a->n_heap];
    else
        a->heap[0].at_ns += s->s->interval_ns;
    if (a->n_heap) {
        sift(a, 0);
        __builtin_prefetch(a->list[a->heap[0].stream].parts); /* while this one is told */
    }
    if (len == 0)
        return;
    if (r->unlinked || r->down) {
        hold(r, i, a->body, len);
        return;
    }
    ruletest_advance(r, at, false);
    deliver(r, s, a->body, len, at);
}

/* -- all in its order ------------------------------------------------------------------------ */

static int64_t last_of(const struct ruletest_run *r)
{
    const struct streams *a = r->streams;
    int64_t last = 0;
    if (r->x->end_ns >= 0)
        return r->x->end_ns;
    for (size_t i = 0; i < a->n; i++) {
        int64_t at = arrives(&a->list[i]) + (int64_t)(a->list[i].ticks - 1 - a->list[i].tick) *
                                                a->list[i].s->interval_ns;
        last = at > last ? at : last;
    }
    for (size_t i = 0; i < r->x->n_steps; i++)
        last = r->x->steps[i].at_ns > last ? r->x->steps[i].at_ns : last;
    for (size_t i = 0; i < r->x->n_expects; i++)
        if (r->x->expects[i].to_ns != INT64_MAX && r->x->expects[i].to_ns > last)
            last = r->x->expects[i].to_ns;
    return last;
}

static bool is_awaited(const struct ruletest_run *r, const struct rule *rule)
{
    for (size_t i = 0; i < r->x->n_expects; i++) {
        const struct expect *x = &r->x->expects[i];
        if (x->kind == EXPECT_STATE && x->pick.condition && x->pick.rule &&
            strcmp(x->pick.condition, "pending") == 0 && strcmp(x->pick.rule, rule->id) == 0)
            return true;
    }
    return false;
}

/* A test that ends within a delay says nothing of what would have become of it, and passes
 * whatever that is: who means it, says when it ends. */
static void check_pending(struct ruletest_run *r, const struct stream *s, int64_t end)
{
    const struct rule *const *rules;
    const struct device *d =
        s->device ? registry_find(r->w->registry, s->device->code, strlen(s->device->code))
                  : NULL;
    size_t n = d ? rules_of_kind(r->w->rules, d->kind, &rules) : 0;
    for (size_t i = 0; i < n; i++) {
        struct alarm_event ev;
        if (!alarm_look(engine_alarm(r->e), rules[i], d, point_of(s), &ev) ||
            ev.condition != ALARM_PENDING || is_awaited(r, rules[i]))
            continue;
        r->failed = true;
        (void)buf_printf(r->text, "%s:%d:%d: %s: ends, at ", r->t->file, r->x->line, r->x->col,
                         r->x->name);
        ruletest_put_time(r->text, end);
        (void)buf_printf(r->text,
                         ", while %s of %s is pending: `end` later, to see what becomes of it, "
                         "or right then\n",
                         rules[i]->id, d->code);
        return;
    }
}

void ruletest_flow(struct ruletest_run *r, size_t upto_step)
{
    struct streams *a = r->streams;
    const struct test *x = r->x;
    int64_t end = last_of(r);
    for (;;) {
        int64_t message = a->n_heap ? a->heap[0].at_ns : INT64_MAX;
        int64_t step = a->step < x->n_steps ? x->steps[a->step].at_ns : INT64_MAX;
        int64_t look = a->look < a->n_looks ? a->looks[a->look]->to_ns : INT64_MAX;
        int64_t next = message < step ? message : step;
        next = look < next ? look : next;
        if (next > end || next == INT64_MAX || r->overflow)
            break;
        if (message == next) {
            next_message(r);
        } else if (step == next) {
            /* who replays stops where the other one stands: before this step's own records */
            if (a->step == upto_step) {
                ruletest_advance(r, step, true);
                return;
            }
            ruletest_step(r, &x->steps[a->step++]);
        } else {
            ruletest_advance(r, look, true);
            ruletest_judge(r, a->looks[a->look++]);
        }
    }
    ruletest_advance(r, end, true);
    while (!r->overflow && a->look < a->n_looks)
        ruletest_judge(r, a->looks[a->look++]);
    if (x->end_ns < 0 && !r->replaying)
        for (size_t i = 0; i < a->n && !r->failed; i++)
            check_pending(r, &a->list[i], end);
}
