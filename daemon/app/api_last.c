/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device said last, point by point: the engine knows which records it was, the pool reads
 * them from the journal or its archive, one after the other, and they are decoded again on the loop. One request
 * at a time; the others wait behind it, so that no more than one record is ever in memory.
 */
#include "app/api_private.h"
#include "base/mem.h"
#include "core/engine_recall.h"
#include "core/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LAST     ((size_t)16 << 20) /* bytes of an answer */
#define MAX_ARCHIVED 8                  /* records of one answer: each has a segment unpacked */

struct api_last {
    struct api_last *next;
    struct api *api;
    struct httpd_request *request;
    char *device;
    struct engine_told told[ENGINE_MAX_TOLD]; /* with names of their own */
    size_t n, at;
    struct buf json;
    struct jsonw w;
    /* of the pool job */
    struct journal *journal;
    const char *archive;
    unsigned unpacked;
    uint64_t offset;
    int status;
    struct record record;
    char *bytes; /* it points into them */
};

static void go_on(struct api_last *q);

/* -- what is told ----------------------------------------------------------------------------- */

static void put_typed(struct jsonw *w, const char *key, const struct value *v)
{
    switch (v->type) {
    case VALUE_FLOAT:
        jsonw_double(w, key, v->f);
        break;
    case VALUE_INT:
        jsonw_i64(w, key, v->i);
        break;
    case VALUE_BOOL:
        jsonw_bool(w, key, v->b);
        break;
    case VALUE_STRING:
        jsonw_strn(w, key, v->s.p, v->s.n);
        break;
    }
}

struct values { /* what put_value writes */
    struct jsonw *w;
    bool english;
};

static void put_value(void *ctx, const struct recalled *v)
{
    static const char *const qualities[] = {"good", "uncertain", "bad"};
    static const char *const clocks[] = {"device", "corrected", "receipt"};
    const struct values *x = ctx;
    const struct metric *m = v->metric;
    const struct metric_code *c = v->has_code ? metric_code_by_number(m, v->code) : NULL;
    jsonw_object(x->w, NULL);
    jsonw_str(x->w, "metric", m->name);
    jsonw_str(x->w, "title", x->english ? m->title_en : m->title_zh);
    put_typed(x->w, "value", &v->value);
    if (c) {
        jsonw_i64(x->w, "code", v->code);
        jsonw_str(x->w, "value_title", x->english ? c->title_en : c->title_zh);
    }
    jsonw_str(x->w, "unit", v->as_told || strcmp(m->unit, "1") == 0 ? "" : m->unit);
    jsonw_str(x->w, "quality", qualities[v->quality]);
    jsonw_str(x->w, "reason", judge_reason(v->reason));
    jsonw_i64(x->w, "time_ms", v->time_ms);
    jsonw_str(x->w, "clock", clocks[v->clock]);
    jsonw_end_object(x->w);
}

static void begin_point(struct api_last *q, const struct engine_told *t)
{
    jsonw_object(&q->w, NULL);
    jsonw_str(&q->w, "point", t->point);
    jsonw_i64(&q->w, "time_ms", t->time_ms);
}

static void end_point(struct api_last *q, const char *state)
{
    jsonw_str(&q->w, "state", state);
    jsonw_end_object(&q->w);
}

static void put_absent(struct api_last *q, const struct engine_told *t, const char *state)
{
    begin_point(q, t);
    jsonw_array(&q->w, "values");
    jsonw_end_array(&q->w);
    end_point(q, state);
}

static void put_said(struct api_last *q, const struct engine_told *t, struct recall *x,
                     const struct device *d, bool english)
{
    struct values values = {&q->w, english};
    begin_point(q, t);
    jsonw_i64(&q->w, "received_ms", recall_received_ms(x));
    jsonw_u64(&q->w, "offset", q->record.offset);
    jsonw_strn(&q->w, "topic", q->record.topic, q->record.topic_len);
    jsonw_str(&q->w, "profile", recall_profile(x));
    jsonw_array(&q->w, "values");
    size_t n = recall_values(x, d, t, put_value, &values);
    jsonw_end_array(&q->w);
    end_point(q, n > 0 ? "read" : "changed");
}

/* All points in a row whose last message it is. */
static void tell_record(struct api_last *q)
{
    const struct engine *e = pipeline_engine(q->api->o.sources->pipeline);
    const struct world *w = engine_world(e);
    const struct device *d = registry_find(w->registry, q->device, strlen(q->device));
    bool english = strcmp(w->conf->gateway.language, "en") == 0;
    struct recall *x = recall_new(e);
    bool said = q->status == 0 && d && recall_message(x, &q->record);
    for (; q->at < q->n && q->told[q->at].offset == q->offset; q->at++) {
        const struct engine_told *t = &q->told[q->at];
        if (said)
            put_said(q, t, x, d, english);
        else
            put_absent(q, t,
                       q->status == -ERANGE ? "released"
                       : q->status != 0     ? "damaged"
                                            : "changed");
    }
    recall_free(x);
}

/* -- one after the other ---------------------------------------------------------------------- */

static void fetch_work(void *ctx)
{
    struct api_last *q = ctx;
    q->status = journal_fetch(q->journal, q->offset, &q->record, &q->bytes);
    if (q->status == -ERANGE && q->archive && q->unpacked++ < MAX_ARCHIVED)
        q->status = journal_archive_fetch(q->archive, q->offset, &q->record, &q->bytes);
}

static void fetch_done(void *ctx)
{
    struct api_last *q = ctx;
    tell_record(q);
    free(q->bytes);
    q->bytes = NULL;
    go_on(q);
}

static void finish(struct api_last *q)
{
    struct api *a = q->api;
    jsonw_end_array(&q->w);
    if (q->json.failed)
        api_error(q->request, 500, "the answer is too large");
    else
        api_answer_device(a, q->request, q->device, &q->json);
    for (size_t i = 0; i < q->n; i++)
        free((char *)(uintptr_t)q->told[i].point);
    buf_done(&q->json);
    free(q->device);
    a->last = q->next;
    free(q);
}

/* The next record of the first in the line, or the next in it. */
static void go_on(struct api_last *q)
{
    struct api *a = q->api;
    for (; q; q = a->last) {
        for (; q->at < q->n && q->told[q->at].offset == 0; q->at++)
            put_absent(q, &q->told[q->at], "unknown");
        if (q->at < q->n) {
            q->offset = q->told[q->at].offset;
            loop_work(a->o.loop, fetch_work, fetch_done, q);
            return;
        }
        finish(q);
    }
}

void api_last(struct api *a, struct httpd_request *r, const struct device *d)
{
    const struct engine *e = pipeline_engine(a->o.sources->pipeline);
    struct api_last *q = mem_zalloc(sizeof(*q)), **end = &a->last;
    q->api = a;
    q->request = r;
    q->journal = a->o.sources->journal;
    q->archive = a->o.archive_dir;
    q->device = mem_strdup(d->code);
    q->n = engine_told(e, d, q->told);
    for (size_t i = 0; i < q->n; i++)
        q->told[i].point = mem_strdup(q->told[i].point);
    buf_init(&q->json, MAX_LAST);
    jsonw_init(&q->w, &q->json);
    jsonw_array(&q->w, NULL);
    while (*end)
        end = &(*end)->next;
    *end = q;
    if (a->last == q)
        go_on(q);
}
