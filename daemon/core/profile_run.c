/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message through a profile: the message kind is found, its parts make samples.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/profile_private.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARKPLUG_WORDS = 65536 };

struct profile_run *profile_run_new(size_t max_message_bytes)
{
    struct profile_run *x = mem_zalloc(sizeof(*x));
    x->max_bytes = max_message_bytes;
    x->json = json_new(max_message_bytes);
    x->codec = codec_run_new(max_message_bytes);
    x->resolved = doc_new(SPARKPLUG_WORDS);
    return x;
}

void profile_run_free(struct profile_run *x)
{
    if (!x)
        return;
    json_free(x->json);
    codec_run_free(x->codec);
    doc_free(x->resolved);
    sparkplug_free(x->own);
    run_free_room(x);
    free(x->memo);
    free(x->texts);
    free(x->times);
    free(x->conds);
    free(x->slots);
    free(x->docs);
    free(x->topics);
    free(x->trace);
    free(x->large);
    free(x->of_sample);
    free(x->sorted);
    free(x->sorted_trace);
    free(x);
}

void profile_run_trace(struct profile_run *x, bool on)
{
    x->tracing = on;
}

/* ---- the sample ---- */

static struct decoded_sample *sample(struct profile_run *x)
{
    return &x->out->samples[x->out->n_samples - 1];
}

static bool begin_sample(struct profile_run *x)
{
    if (decoded_begin_sample(x->out) == 0)
        return true;
    x->too_big = true;
    return false;
}

void run_set_time(struct profile_run *x, const struct plan_times *t, struct decoded_sample *s)
{
    int64_t ms = 0;
    bool coarse = false;
    enum time_state state = run_time(x, t, &ms, &coarse);
    s->has_time = state == TIME_GOOD;
    s->time_unread = state == TIME_UNREAD;
    s->time_ms = ms;
    s->time_is_coarse = coarse;
}

/* Where and when; false: nobody knows of which device. */
static void set_places(struct profile_run *x, const struct plan_part *p,
                       struct decoded_sample *s)
{
    if (p->like && x->placed == p->like && x->placed_at == x->slots[0].epoch) {
        *s = x->as_placed;
        s->first = x->out->n_values;
        return;
    }
    if (p->device != PLAN_NONE)
        s->device = run_text(x, p->device, &s->device_len);
    if (!s->device) {
        s->device = ""; /* not "as the topic says": quarantined */
        s->device_len = 0;
    }
    if (p->compound != PLAN_NONE)
        s->compound = run_text(x, p->compound, &s->compound_len);
    if (p->point != PLAN_NONE)
        s->point = run_text(x, p->point, &s->point_len);
    if (p->id != PLAN_NONE)
        s->id = run_id(x, p->id);
    if (p->time)
        run_set_time(x, p->time, s);
    s->not_alive = p->not_alive;
    if (p->like) {
        x->placed = p->like;
        x->placed_at = x->slots[0].epoch;
        x->as_placed = *s;
    }
}

void run_quality(struct profile_run *x, const struct plan_quality *q, size_t n, size_t from,
                 size_t to)
{
    for (size_t i = 0; i < n; i++, q++) {
        if (q->when && !run_when(x, q->when))
            continue;
        for (size_t k = from; k < to; k++) {
            struct decoded_value *v = &x->out->values[k];
            const char *name = v->from ? v->from->map->metric : NULL;
            bool mine = q->n == 0;
            for (size_t m = 0; m < q->n && !mine; m++)
                mine = name ? strcmp(q->metrics[m], name) == 0
                            : strlen(q->metrics[m]) == v->key_len &&
                                  memcmp(q->metrics[m], v->key, v->key_len) == 0;
            if (mine && v->quality < q->quality) {
                v->quality = q->quality;
                v->reason = q->reason;
            }
        }
    }
}

/* ---- parts ---- */

static void make_sample(struct profile_run *x, const struct plan_part *p)
{
    run_work(x, 1 + p->n_values);
    if (x->too_big || (p->when && !run_when(x, p->when)))
        return;
    size_t first = x->out->n_samples, from = x->out->n_values;
    if (!begin_sample(x))
        return;
    set_places(x, p, sample(x));
    x->base_sample = first;
    if (p->timed)
        x->as_message = *sample(x);
    x->no_device = x->no_device && !sample(x)->device_len;
    for (size_t i = 0; i < p->n_values && !x->too_big; i++)
        (void)run_map(x, p->values[i], NULL, 0);
    for (size_t i = 0; i < p->n_fields && !x->too_big; i++)
        run_fields(x, &p->fields[i]);
    if (p->n_quality)
        run_quality(x, p->quality, p->n_quality, from, x->out->n_values);
    if (x->out->n_samples == first + 1 && sample(x)->n == 0) {
        if (!x->lone.device || !x->lone.device_len) /* it lives, though it said nothing */
            x->lone = *sample(x);
        x->out->n_samples--;
    }
}

static void go_deeper(struct profile_run *x, const struct plan_part *p, size_t level)
{
    struct json_value in, v;
    struct json_iter it;
    const char *key;
    size_t n;
    if (level == p->n_levels) {
        make_sample(x, p);
        return;
    }
    const struct plan_level *l = &p->levels[level];
    struct slot_state *s = &x->slots[l->slot];
    if (!run_node(x, l->in, &in))
        return;
    s->key = NULL;
    s->index = 0;
    x->open[x->n_open++] = l->slot;
    if (l->kind == LEVEL_ONE) {
        if (json_type(in) != JSON_NULL) {
            run_begin_item(x, l->slot, l->item, in);
            go_deeper(x, p, level + 1);
        }
    } else if (json_type(in) == (l->kind == LEVEL_ELEMENTS ? JSON_ARRAY : JSON_OBJECT)) {
        json_iter(in, &it);
        for (uint32_t i = 0; !x->too_big && json_next(&it, &key, &n, &v); i++) {
            run_work(x, 1);
            run_begin_item(x, l->slot, l->item, v);
            s->index = i;
            s->key = key;
            s->key_len = n;
            go_deeper(x, p, level + 1);
        }
    }
    x->n_open--;
}

/* ---- verdicts ---- */

static void say(struct profile_verdict *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct profile_verdict *v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(v->detail, sizeof(v->detail), fmt, ap);
    va_end(ap);
}

static void refuse(struct profile_verdict *v, enum ledger_count count)
{
    v->outcome = PROFILE_REFUSED;
    v->count = count;
}

static void refuse_document(struct profile_run *x)
{
    const struct plan_doc *d = &x->p->docs[x->failed.guilty];
    const struct codec_fault *f = &x->failed.fault;
    const char *why = f->why ? f->why : "too large when it is read";
    char where[96] = "", at[48] = "", sum[128] = "";
    if (*d->name)
        (void)snprintf(where, sizeof(where), "document $%.64s: ", d->name);
    if (f->at != SIZE_MAX)
        (void)snprintf(at, sizeof(at), " (at byte %zu of step %u)", f->at, f->step + 1);
    if (f->sum && f->sum_to > f->sum_from)
        (void)snprintf(sum, sizeof(sum),
                       ": 0x%0*" PRIX64 " stands there, %s of bytes %zu to %zu is 0x%0*" PRIX64,
                       (int)f->sum_width * 2, f->sum_told, f->sum, f->sum_from, f->sum_to - 1,
                       (int)f->sum_width * 2, f->sum_made);
    refuse(x->v, d->of_payload && d->json ? LEDGER_DEAD_BAD_JSON
                 : f->checksum            ? LEDGER_DEAD_BAD_CHECKSUM
                                          : LEDGER_DEAD_BAD_PAYLOAD);
    if (x->failed.error == -EMSGSIZE)
        x->v->count = LEDGER_DEAD_OVERSIZED;
    say(x->v, "%s%s%s%s", where, why, at, sum);
}

static void ignore(struct profile_run *x, const struct plan_message *m)
{
    x->v->outcome = PROFILE_IGNORED;
    x->v->count = m->reason;
    if (m->alive && m->device != PLAN_NONE)
        x->v->device = run_text(x, m->device, &x->v->device_len);
    if (m->refuse) {
        refuse(x->v, LEDGER_DEAD_REFUSED);
        say(x->v, "%s", m->refuse);
    }
}

/* What Sparkplug itself says to leave alone. True: that was all. */
static bool sparkplug_says(struct profile_run *x)
{
    x->v->want_rebirth = x->sparkplug_info.want_rebirth;
    x->v->outcome = PROFILE_IGNORED;
    switch (x->sparkplug_result) {
    case SPARKPLUG_DATA:
    case SPARKPLUG_BIRTH:
    case SPARKPLUG_DEATH:
    case SPARKPLUG_UNBORN:
        x->v->outcome = PROFILE_SAMPLES;
        return false;
    case SPARKPLUG_STALE:
        x->v->count = LEDGER_IGNORED_STALE;
        return true;
    case SPARKPLUG_DUPLICATE:
        x->v->count = LEDGER_DUPLICATE;
        return true;
    case SPARKPLUG_TOO_BIG:
        refuse(x->v, LEDGER_DEAD_TOO_MANY);
        say(x->v, "a birth of too many metrics, or too many nodes");
        return true;
    case SPARKPLUG_OTHER:
        break;
    }
    x->v->count = memmem(x->in->topic, x->in->topic_len, "CMD/", 4) ? LEDGER_IGNORED_DOWNLINK
                                                                    : LEDGER_IGNORED_STATUS;
    return true;
}

static void make_samples(struct profile_run *x, const struct plan_message *m)
{
    x->v->outcome = PROFILE_SAMPLES;
    x->no_device = true;
    x->lone = (struct decoded_sample){0};
    for (size_t i = 0; i < m->n_parts && !x->too_big; i++) {
        const struct plan_part *p = &m->parts[i];
        /* what `each` walks over may be a document that this message does not have */
        if (!p->n_levels || !p->when || run_when_message(x, p->when))
            go_deeper(x, p, 0);
    }
    struct decoded *out = x->out;
    if (x->doc_failed >= 0) {
        refuse_document(x);
    } else if (x->work > RUN_MAX_WORK) {
        refuse(x->v, LEDGER_DEAD_TOO_MANY);
        say(x->v, "message \"%.64s\" looks at more than %d elements: a list in a list?",
            m->name, RUN_MAX_WORK);
    } else if (x->too_big) {
        refuse(x->v, LEDGER_DEAD_TOO_MANY);
        say(x->v, "more than %d samples, %d values or 4 MiB of texts in one message",
            DECODE_MAX_SAMPLES, DECODE_MAX_VALUES);
    } else if (out->n_samples == 0 && !x->lone.device) {
        x->v->outcome = PROFILE_IGNORED; /* an empty list, a part that does not apply */
        x->v->count = LEDGER_IGNORED_EMPTY;
    } else if (x->no_device) {
        refuse(x->v, LEDGER_DEAD_NO_DEVICE);
        say(x->v, "message \"%.64s\" does not name its device", m->name);
    } else if (out->n_samples == 0 && begin_sample(x)) {
        x->lone.first = out->n_values;
        x->lone.n = 0;
        *sample(x) = x->lone;
    }
    if (x->v->outcome != PROFILE_SAMPLES) {
        out->n_samples = out->n_values = 0;
        out->unknown = 0;
    }
}

static bool fits(struct profile_run *x, const struct plan_message *m)
{
    x->message = m;
    return (m->topic == PLAN_NONE || run_topic(x, m->topic)) &&
           (!m->when || run_when(x, m->when));
}

static void *room(void *list, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap)
        return list;
    free(list);
    *cap = n;
    return mem_zalloc_array(n, size); /* epoch 0 is never given */
}

static void prepare(struct profile_run *x, const struct profile *p)
{
    x->memo = room(x->memo, &x->cap_nodes, p->n_nodes, sizeof(*x->memo));
    x->texts = room(x->texts, &x->cap_texts, p->n_texts, sizeof(*x->texts));
    x->times = room(x->times, &x->cap_times, p->n_times, sizeof(*x->times));
    x->conds = room(x->conds, &x->cap_conds, p->n_conds, sizeof(*x->conds));
    x->slots = room(x->slots, &x->cap_slots, p->n_slots, sizeof(*x->slots));
    x->docs = room(x->docs, &x->cap_docs, p->n_docs, sizeof(*x->docs));
    x->topics = room(x->topics, &x->cap_topics, p->n_patterns, sizeof(*x->topics));
    uint64_t epoch = x->began = ++x->epoch;
    for (struct slot_state *s = x->slots, *end = s + p->n_slots; s < end; s++) {
        s->epoch = epoch;
        s->key = NULL;
    }
    x->chunk = NULL;
    x->text_used = x->text_total = 0;
    x->too_big = x->has_levels = false;
    x->work = 0;
    x->doc_failed = -1;
    x->n_open = 0;
    if (x->in->message && x->in->message == x->last_message && x->sparkplug_taken)
        return; /* what another profile had read of this one holds, and so do its documents */
    x->last_message = x->in->message;
    x->codec_reads = 0;
    x->sparkplug_taken = false;
    x->sparkplug_result = SPARKPLUG_OTHER;
    x->sparkplug_info = (struct sparkplug_info){0};
}

void profile_decode(const struct profile *p, struct profile_run *x,
                    const struct profile_input *in, struct decoded *out,
                    struct profile_verdict *v)
{
    struct json_value root;
    decoded_clear(out);
    v->outcome = PROFILE_NOT_MINE;
    v->count = LEDGER_DEAD_NO_MESSAGE;
    v->message = "";
    v->detail[0] = '\0';
    v->device = NULL;
    v->device_len = 0;
    v->want_rebirth = false;
    x->p = p;
    x->slot_of = p->slot_of;
    x->in = in;
    x->out = out;
    x->v = v;
    prepare(x, p);
    for (size_t i = 0; i < p->n_messages; i++) {
        const struct plan_message *m = &p->messages[i];
        if (!fits(x, m))
            continue;
        v->message = m->name;
        if (x->doc_failed >= 0) { /* perhaps this kind does not need that document */
            x->doc_failed = -1;
            x->slots[0].epoch = ++x->epoch;
        }
        if (m->sparkplug) { /* what it is, is in the payload: broken ones are no kind of message */
            bool read = run_node(x, p->docs[m->doc].root, &root);
            if (!read && x->doc_failed >= 0)
                refuse_document(x);
            if (!read || sparkplug_says(x))
                return;
        }
        if (m->ignore || m->refuse)
            ignore(x, m);
        else
            make_samples(x, m);
        return;
    }
    x->message = NULL;
    if (x->doc_failed >= 0)
        refuse_document(x);
}
