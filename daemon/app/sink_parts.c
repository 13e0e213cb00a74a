/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block that was refused, in parts: unpacked and halved until what is refused stands alone. The block
 * stays one unit of the log: it is done when every part is decided, and its refused lines are in the store
 * before that. After a crash it begins again as a whole, which is harmless: a point written twice is one.
 */
#include "app/sink_private.h"
#include "base/mem.h"
#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAME_LIMIT 3
#define DETAIL_MAX 512

static void on_part(void *ctx, const struct httpc_answer *h);

static bool cut_lines(struct flight *f)
{
    uint32_t n = 0;
    if (block_unpack(&f->info, f->body.data, &f->raw) != 0)
        return false;
    f->starts = mem_zalloc_array((size_t)f->info.lines + 1, sizeof(*f->starts));
    for (size_t at = 0; at < f->raw.len && n < f->info.lines;) {
        const char *nl = memchr(f->raw.data + at, '\n', f->raw.len - at);
        f->starts[n++] = (uint32_t)at;
        at = nl ? (size_t)(nl - f->raw.data) + 1 : f->raw.len;
    }
    f->starts[n] = (uint32_t)f->raw.len;
    f->info.lines = n;
    f->stack = mem_zalloc_array(64, sizeof(*f->stack)); /* halving needs a level a bit */
    buf_done(&f->body);
    return n > 0;
}

static void push(struct flight *f, uint32_t from, uint32_t to)
{
    if (from < to)
        f->stack[f->depth++] = (struct range){from, to};
}

static void push_halves(struct flight *f, struct range r)
{
    uint32_t mid = r.from + (r.to - r.from) / 2;
    push(f, mid, r.to);
    push(f, r.from, mid);
}

/* -- refused lines --------------------------------------------------------------------------- */

/* The compound a line counts under: its tag; our own measurements count under "-". */
static void compound_of(const char *line, size_t len, char out[65])
{
    static const char tag[] = ",compound=";
    const char *end = memchr(line, ' ', len);
    size_t n = end ? (size_t)(end - line) : len;
    const char *at = memmem(line, n, tag, sizeof(tag) - 1);
    memcpy(out, "-", 2);
    if (!at || (len >= 7 && memcmp(line, "gaihou_", 7) == 0))
        return;
    at += sizeof(tag) - 1;
    size_t k = 0;
    while (at + k < line + n && at[k] != ',' && k < 64)
        k++;
    memcpy(out, at, k);
    out[k] = '\0';
}

static const char *line_of(const struct flight *f, uint32_t i, size_t *out_len)
{
    size_t len = f->starts[i + 1] - f->starts[i];
    const char *p = f->raw.data + f->starts[i];
    *out_len = len > 0 && p[len - 1] == '\n' ? len - 1 : len;
    return p;
}

static void refuse_line(struct flight *f, uint32_t i, const struct answer *a,
                        const struct httpc_answer *h)
{
    char detail[DETAIL_MAX + 1] = "";
    size_t len, n = h->body_len < DETAIL_MAX ? h->body_len : DETAIL_MAX;
    if (h->body)
        memcpy(detail, h->body, n);
    if (!f->letters)
        f->letters = store_batch_new();
    const char *text = line_of(f, i, &len);
    store_batch_line(f->letters, &(struct store_line){.sink = f->sink->conf->id,
                                                      .block = f->info.seq,
                                                      .line = i + 1,
                                                      .wall_ns = clock_wall_ns(),
                                                      .reason = a->reason,
                                                      .detail = detail,
                                                      .status = h->status,
                                                      .text = text,
                                                      .text_len = len});
    f->refused = mem_realloc_array(f->refused, f->n_refused + 1, sizeof(*f->refused));
    f->refused[f->n_refused++] = (struct refused_line){i, h->status, a->reason};
}

/* The refused lines by (compound, reason). */
static size_t sum_refusals(const struct flight *f, struct outbound_refusal **out)
{
    struct outbound_refusal *all = mem_zalloc_array(f->n_refused, sizeof(*all));
    size_t n = 0;
    for (size_t i = 0; i < f->n_refused; i++) {
        char compound[65];
        size_t len, k = 0;
        const char *line = line_of(f, f->refused[i].line, &len);
        compound_of(line, len, compound);
        while (k < n && (strcmp(all[k].compound, compound) != 0 ||
                         strcmp(all[k].reason, f->refused[i].reason) != 0))
            k++;
        if (k == n)
            all[n++] = (struct outbound_refusal){mem_strdup(compound), f->refused[i].reason, 0};
        all[k].lines++;
    }
    *out = all;
    return n;
}

static void settle(struct flight *f)
{
    struct sink *s = f->sink;
    struct outbound_refusal *all;
    size_t n = sum_refusals(f, &all);
    int r = outbound_done(s->ob, f->info.seq, OUTBOUND_ACCEPTED, all, n);
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)all[i].compound);
    free(all);
    if (r != 0)
        outbound_put_back(s->ob, f->info.seq);
    log_warn(
        "sink %s: %zu of %u lines of one block refused by the database (%s); they are among "
        "the dead letters",
        s->conf->id, f->n_refused, f->info.lines, f->refused[0].reason);
    sink_end_flight(f);
    sink_check_quota(s);
    sink_try_write(s);
    sink_pump(s);
    sink_drained_maybe(s);
}

static void kept(void *ctx, int status)
{
    struct flight *f = ctx;
    struct sink *s = f->sink;
    f->deciding = false;
    if (!s) { /* the sink was closed meanwhile: after a restart the block begins again */
        free(f->starts);
        free(f->stack);
        free(f->refused);
        buf_done(&f->raw);
        buf_done(&f->packed);
        buf_done(&f->body);
        free(f);
    } else if (status != 0) { /* final for the store, and so for the process */
        outbound_put_back(s->ob, f->info.seq);
        sink_end_flight(f);
    } else {
        settle(f);
    }
}

void sink_parts_done(struct flight *f)
{
    struct sink *s = f->sink;
    if (f->n_refused == 0) {
        if (s->conf->type == CONF_VICTORIAMETRICS)
            sink_hold_block(s, &f->info);
        else
            sink_accept(s, &f->info);
        sink_end_flight(f);
        return;
    }
    struct store_batch *letters = f->letters;
    f->letters = NULL;
    f->deciding = true;
    if (s->store) {
        store_commit(s->store, letters, kept, f);
    } else {
        store_batch_free(letters);
        kept(f, 0);
    }
}

/* -- part by part ---------------------------------------------------------------------------- */

static void wait_here(struct flight *f, const struct answer *a, const struct httpc_answer *h)
{
    push(f, f->now.from, f->now.to);
    f->waiting = true;
    sink_fail(f->sink, a, h);
}

/* A single line that the database answers with the same 500 again and again while it takes
 * others is the line's fault; else it is the database's. */
static bool condemned(struct flight *f, const struct httpc_answer *h)
{
    if (h->transport != TRANSPORT_OK || h->status != 500) {
        f->same = 0;
        return false;
    }
    if (f->same++ == 0)
        f->oks_at_first = f->sink->oks;
    return f->same >= SAME_LIMIT &&
           (f->now.to - f->now.from > 1 || f->sink->oks > f->oks_at_first);
}

static void refused(struct flight *f, const struct answer *a, const struct httpc_answer *h)
{
    uint32_t n = f->now.to - f->now.from;
    bool named = a->class_ == ANSWER_PARTIAL && a->n_refused > 0 &&
                 a->n_refused < sizeof(a->refused) / sizeof(a->refused[0]);
    f->same = 0;
    if (n == 1) {
        refuse_line(f, f->now.from, a, h);
    } else if (named) {
        for (size_t i = 0; i < a->n_refused; i++)
            if (a->refused[i] >= 1 && a->refused[i] <= n)
                refuse_line(f, f->now.from + a->refused[i] - 1, a, h);
    } else {
        push_halves(f, f->now);
    }
}

static void judge_part(struct flight *f, const struct answer *a, const struct httpc_answer *h)
{
    switch (a->class_) {
    case ANSWER_OK:
        f->same = 0;
        sink_succeed(f->sink);
        break;
    case ANSWER_RETRY:
        if (condemned(f, h))
            refused(f, a, h);
        else
            wait_here(f, a, h);
        break;
    case ANSWER_BLOCK:
        wait_here(f, a, h);
        break;
    case ANSWER_SPLIT:
    case ANSWER_PARTIAL:
    case ANSWER_POISON:
        refused(f, a, h);
        break;
    }
}

static void send_next(struct flight *f)
{
    struct sink *s = f->sink;
    if (f->depth == 0) {
        sink_parts_done(f);
        return;
    }
    f->now = f->stack[--f->depth];
    const char *body = f->raw.data + f->starts[f->now.from];
    size_t len = f->starts[f->now.to] - f->starts[f->now.from];
    bool gzip = s->conf->gzip;
    buf_clear(&f->packed);
    if (gzip && block_pack(body, len, &f->packed) == 0)
        sink_send(f, f->packed.data, f->packed.len, true, on_part);
    else
        sink_send(f, body, len, false, on_part);
}

static void on_part(void *ctx, const struct httpc_answer *h)
{
    struct flight *f = ctx;
    struct sink *s = f->sink;
    struct answer a;
    f->call = NULL;
    sink_judge(s, h, f->now.to - f->now.from, f->same, &a);
    judge_part(f, &a, h);
    if (!f->waiting)
        send_next(f); /* f may be gone afterwards */
    sink_pump(s);
    sink_drained_maybe(s);
}

void sink_parts_go_on(struct flight *f)
{
    f->waiting = false;
    send_next(f);
}

void sink_parts_begin(struct flight *f, const struct answer *a, const struct httpc_answer *h)
{
    struct sink *s = f->sink;
    f->parts = true;
    if (!cut_lines(f)) { /* verified when it was read: our own mistake, but no reason to stop */
        log_error("sink %s: block %llu cannot be unpacked", s->conf->id,
                  (unsigned long long)f->info.seq);
        outbound_put_back(s->ob, f->info.seq);
        sink_end_flight(f);
        return;
    }
    f->now = (struct range){0, f->info.lines};
    refused(f, a, h);
    send_next(f);
}
