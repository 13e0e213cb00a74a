/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that the database had refused and the store has kept, sent once more: after its schema was
 * mended. Beside the log, because they were decided there: a line stays `refused` in the sink's
 * account, and is counted as `retaken`, too, in the transaction that marks its letter. So it is counted
 * once, whatever dies in between: at worst the same point is sent twice, which changes nothing.
 */
#include "app/sink_int.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LINES 2000
#define MOST_BYTES (16u << 20)
#define POST_LINES 500
#define MOST_DEPTH 16 /* of halving POST_LINES, and the first ranges */

struct retake {
    struct sink *s; /* NULL: it was closed, and the asker was told */
    sink_retake_fn *fn;
    void *ctx;
    struct retaken_line {
        uint64_t id;
        struct buf text;
    } * lines;
    size_t n, cap, bytes;
    struct range ranges[MOST_LINES / POST_LINES + MOST_DEPTH];
    size_t n_ranges;
    struct range running;
    struct buf body;
    struct httpc_call *call;
    uint64_t *taken;
    struct sink_retaken out;
};

static void forget(struct retake *r)
{
    for (size_t i = 0; i < r->n; i++)
        buf_done(&r->lines[i].text);
    free(r->lines);
    free(r->taken);
    buf_done(&r->body);
    free(r);
}

static void marked(void *ctx, int status)
{
    struct retake *r = ctx;
    if (r->s) {
        r->s->retake = NULL;
        if (status != 0)
            (void)snprintf(r->out.problem, sizeof(r->out.problem), "the store: %s",
                           strerror(-status));
        r->fn(r->ctx, &r->out);
    }
    forget(r);
}

static void post(struct retake *r);

static void on_answer(void *ctx, const struct httpc_answer *a)
{
    struct retake *r = ctx;
    struct sink *s = r->s;
    struct answer what;
    struct answer_in in = {.flavour = (enum conf_sink_type)s->conf->type,
                           .transport = a->transport,
                           .status = a->status,
                           .body = a->body,
                           .body_len = a->body_len,
                           .lines = r->running.end - r->running.first};
    r->call = NULL;
    answer_classify(&in, &what);
    switch (what.class_) {
    case ANSWER_OK:
        for (uint32_t i = r->running.first; i < r->running.end; i++)
            r->taken[r->out.taken++] = r->lines[i].id;
        break;
    case ANSWER_RETRY:
    case ANSWER_BLOCK: /* not about these lines */
        (void)snprintf(r->out.problem, sizeof(r->out.problem), "%s (%s, status %d)",
                       s->conf->url, what.reason, a->status);
        r->n_ranges = 0;
        break;
    case ANSWER_SPLIT:
    case ANSWER_PARTIAL:
    case ANSWER_POISON:
        if (in.lines == 1) {
            r->out.refused++;
            break;
        }
        uint32_t mid = r->running.first + (uint32_t)in.lines / 2;
        r->ranges[r->n_ranges++] = (struct range){.first = mid, .end = r->running.end};
        r->ranges[r->n_ranges++] = (struct range){.first = r->running.first, .end = mid};
        break;
    }
    post(r);
}

/* The next range; behind the last one the letters are marked. */
static void post(struct retake *r)
{
    struct sink *s = r->s;
    if (r->n_ranges == 0) {
        store_mark_replayed(s->store, false, r->taken, r->out.taken, marked, r);
        return;
    }
    r->running = r->ranges[--r->n_ranges];
    buf_clear(&r->body);
    for (uint32_t i = r->running.first; i < r->running.end; i++) {
        (void)buf_put(&r->body, r->lines[i].text.data, r->lines[i].text.len);
        (void)buf_putc(&r->body, '\n');
    }
    const char *headers[] = {"Content-Type: text/plain; charset=utf-8", s->auth_header, NULL};
    struct httpc_request q = {.method = "POST",
                              .url = s->url,
                              .headers = headers,
                              .body = r->body.data,
                              .len = r->body.len,
                              .timeout_ns = s->conf->timeout_ns,
                              .username = s->username,
                              .password = s->password,
                              .ca_file = s->conf->ca_file};
    r->call = httpc_send(s->httpc, &q, on_answer, r);
}

static void on_line(void *ctx, uint64_t id, const struct store_letter *l)
{
    struct retake *r = ctx;
    if (r->n == MOST_LINES || r->bytes + l->payload_len > MOST_BYTES) {
        r->out.more = true;
        return;
    }
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        r->lines = mem_realloc_array(r->lines, r->cap, sizeof(*r->lines));
    }
    struct retaken_line *line = &r->lines[r->n++];
    line->id = id;
    buf_init(&line->text, l->payload_len + 1);
    (void)buf_put(&line->text, l->payload, l->payload_len);
    r->bytes += l->payload_len;
}

static void on_lines(void *ctx, int status, uint64_t n)
{
    struct retake *r = ctx;
    (void)n;
    if (!r->s) {
        forget(r);
        return;
    }
    r->out.lines = r->n;
    r->taken = mem_zalloc_array(r->n + 1, sizeof(*r->taken));
    if (status != 0) {
        marked(r, status);
        return;
    }
    for (size_t end = r->n; end > 0;) { /* the first goes first */
        size_t first = (end - 1) / POST_LINES * POST_LINES;
        r->ranges[r->n_ranges++] =
            (struct range){.first = (uint32_t)first, .end = (uint32_t)end};
        end = first;
    }
    post(r);
}

int sink_retake(struct sink *s, uint64_t id, const char *reason, uint64_t limit,
                sink_retake_fn *fn, void *ctx)
{
    if (s->retake)
        return -EBUSY;
    struct retake *r = mem_zalloc(sizeof(*r));
    *r = (struct retake){.s = s, .fn = fn, .ctx = ctx};
    buf_init(&r->body, MOST_BYTES + MOST_LINES);
    s->retake = r;
    struct store_filter f = {.id = id,
                             .reason = reason,
                             .lines = true,
                             .device = s->conf->id,
                             .limit = limit > 0 && limit < MOST_LINES ? limit : MOST_LINES + 1};
    store_letters(s->store, false, &f, on_line, on_lines, r);
    return 0;
}

/* What was taken and is not marked yet is taken once more the next time. */
void sink_retake_cancel(struct sink *s)
{
    struct retake *r = s->retake;
    if (!r)
        return;
    s->retake = NULL;
    r->s = NULL;
    (void)snprintf(r->out.problem, sizeof(r->out.problem), "the gateway stops");
    r->fn(r->ctx, &r->out);
    if (r->call) { /* else the store has it, and gives it back */
        httpc_cancel(r->call);
        forget(r);
    }
}
