/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which block goes when, and what an answer means for the sink as a whole.
 *
 * One request takes the newest block, the others the oldest: after an outage live data goes first and
 * the backlog drains beside it. While the database does not take data one request at a time asks again,
 * turn about from either end, so that one bad block cannot stand for all.
 */
#include "app/sink_private.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 60000
#define BLOCKED_MS     30000
#define SAME_LIMIT     3
#define BACKFILL_NS    3600000000000
#define MS             1000000u

/* -- the sink's state ------------------------------------------------------------------------ */

static uint64_t backoff_ms(const struct sink *s, bool blocked)
{
    uint64_t ms = BLOCKED_MS;
    if (!blocked) {
        unsigned shift = s->failures < 8 ? s->failures : 8;
        ms = (uint64_t)BACKOFF_MIN_MS << (shift ? shift - 1 : 0);
        ms = ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
    }
    uint64_t now = loop_hrtime_ns();
    return ms - ms / 4 + hash64(1, &now, sizeof(now)) % (ms / 2 + 1); /* ± a quarter */
}

static void describe(struct sink *s, const struct answer *a, const struct httpc_answer *h)
{
    if (h->transport == TRANSPORT_OK)
        (void)snprintf(s->problem, sizeof(s->problem), "%s: HTTP %d %.*s", a->reason, h->status,
                       (int)(h->body_len < 300 ? h->body_len : 300), h->body ? h->body : "");
    else
        (void)snprintf(s->problem, sizeof(s->problem), "%s: %s", a->reason,
                       h->error ? h->error : "no answer");
    for (char *c = s->problem; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
}

void sink_fail(struct sink *s, const struct answer *a, const struct httpc_answer *h)
{
    bool blocked = a->class_ == ANSWER_BLOCK;
    s->failures++;
    uint64_t ms = backoff_ms(s, blocked), now = loop_hrtime_ns();
    if (ms < h->retry_after_s * 1000)
        ms = h->retry_after_s * 1000;
    describe(s, a, h);
    if (s->state == SINK_OK)
        s->broke_ns = now;
    if (log_broke(&s->post_log))
        log_error("sink %s: %s%s; lines wait in its outbound log", s->conf->id, s->problem,
                  blocked ? " (an operator must act)" : "");
    s->state = blocked ? SINK_BLOCKED : SINK_RETRYING;
    s->retry_at_ns = now + ms * MS;
    loop_timer_start(s->retry, ms, 0);
    sink_drained_maybe(s);
}

void sink_succeed(struct sink *s)
{
    uint64_t now = loop_hrtime_ns();
    s->oks++;
    s->last_ok_ns = now;
    s->failures = 0;
    s->problem[0] = '\0';
    s->state = SINK_OK;
    s->retry_at_ns = 0;
    if (log_healed(&s->post_log))
        log_notice("sink %s: takes data again after %.1f s; %llu lines wait", s->conf->id,
                   (double)(now - s->broke_ns) / 1e9,
                   (unsigned long long)outbound_pending_lines(s->ob));
}

void sink_on_retry(void *ctx)
{
    sink_pump(ctx);
}

/* -- flights --------------------------------------------------------------------------------- */

static void free_flight(struct flight *f)
{
    buf_done(&f->body);
    buf_done(&f->raw);
    buf_done(&f->packed);
    free(f->starts);
    free(f->stack);
    free(f->refused);
    if (f->letters)
        store_batch_free(f->letters);
    free(f);
}

void sink_end_flight(struct flight *f)
{
    struct sink *s = f->sink;
    for (size_t i = 0; i < SINK_MAX_FLIGHT; i++)
        if (s->flights[i] == f)
            s->flights[i] = NULL;
    if (f->call)
        httpc_cancel(f->call);
    if (f->deciding)
        f->sink = NULL; /* the store's answer frees it */
    else
        free_flight(f);
}

void sink_judge(struct sink *s, const struct httpc_answer *h, size_t lines, unsigned same,
                struct answer *out)
{
    answer_classify(&(struct answer_in){.flavour = (enum conf_sink_type)s->conf->type,
                                        .transport = h->transport,
                                        .status = h->status,
                                        .body = h->body ? h->body : "",
                                        .body_len = h->body_len,
                                        .lines = lines,
                                        .same_before = same},
                    out);
    s->answers[out->class_]++;
    s->post_ns += h->took_ns;
    s->post_n++;
}

void sink_send(struct flight *f, const void *body, size_t len, bool gzip, httpc_fn *fn)
{
    struct sink *s = f->sink;
    struct httpc_request r = {.method = "POST",
                              .url = s->url,
                              .headers = gzip ? s->headers : s->headers_raw,
                              .body = body,
                              .len = len,
                              .timeout_ns = s->conf->timeout_ns,
                              .username = s->username,
                              .password = s->password,
                              .ca_file = s->conf->ca_file};
    s->posts++;
    f->call = httpc_send(s->httpc, &r, fn, f);
}

/* -- one whole block -------------------------------------------------------------------------- */

void sink_accept(struct sink *s, const struct block_info *info)
{
    int r = outbound_done(s->ob, info->seq, OUTBOUND_ACCEPTED, NULL, 0);
    if (r != 0) { /* its mark cannot be written: it will be posted again, with the same bytes */
        outbound_put_back(s->ob, info->seq);
        if (log_broke(&s->write_log))
            log_error("sink %s: cannot mark a block as done: %s", s->conf->id, strerror(-r));
        return;
    }
    if (clock_wall_ns() - info->closed_wall_ns > BACKFILL_NS) {
        if (s->backfill_to_ms == 0 || info->min_time_ms < s->backfill_from_ms)
            s->backfill_from_ms = info->min_time_ms;
        if (info->max_time_ms > s->backfill_to_ms)
            s->backfill_to_ms = info->max_time_ms;
    }
    sink_check_quota(s);
    sink_try_write(s);
}

/* Equal answers of 500 to the same bytes, in a row for that block. */
static unsigned note_same(struct sink *s, uint64_t seq, const struct httpc_answer *h)
{
    uint64_t hash = hash64((uint64_t)h->status, h->body ? h->body : "", h->body_len);
    if (h->transport != TRANSPORT_OK || h->status != 500)
        return 0;
    if (s->same_seq != seq || s->same_hash != hash) {
        s->same_seq = seq;
        s->same_hash = hash;
        s->same_oks = s->oks;
        s->same = 0;
    }
    return ++s->same;
}

static void put_back(struct flight *f)
{
    outbound_put_back(f->sink->ob, f->info.seq);
    sink_end_flight(f);
}

static void on_answer(void *ctx, const struct httpc_answer *h)
{
    struct flight *f = ctx;
    struct sink *s = f->sink;
    struct answer a;
    f->call = NULL;
    bool known_same = s->same_seq == f->info.seq && s->oks > s->same_oks;
    sink_judge(s, h, f->info.lines, known_same ? s->same : 0, &a);
    switch (a.class_) {
    case ANSWER_OK:
        sink_succeed(s);
        if (s->conf->type == CONF_VICTORIAMETRICS)
            sink_hold_block(s, &f->info);
        else
            sink_accept(s, &f->info);
        sink_end_flight(f);
        break;
    case ANSWER_RETRY:
        if (note_same(s, f->info.seq, h) >= SAME_LIMIT && f->info.lines > 1) {
            sink_parts_begin(f, &a, h); /* to halve it condemns nothing */
        } else {
            put_back(f);
            sink_fail(s, &a, h);
        }
        break;
    case ANSWER_BLOCK:
        put_back(f);
        sink_fail(s, &a, h);
        break;
    case ANSWER_SPLIT:
    case ANSWER_PARTIAL:
    case ANSWER_POISON:
        sink_succeed(s); /* it answers, and about this block alone */
        sink_parts_begin(f, &a, h);
        break;
    }
    sink_pump(s);
    sink_drained_maybe(s);
}

/* -- which, when ------------------------------------------------------------------------------ */

static bool launch(struct sink *s, bool newest)
{
    struct flight *f = mem_zalloc(sizeof(*f));
    size_t slot = 0;
    while (slot < SINK_MAX_FLIGHT && s->flights[slot])
        slot++;
    f->sink = s;
    buf_init(&f->body, (size_t)256 << 20);
    buf_init(&f->raw, (size_t)256 << 20);
    buf_init(&f->packed, (size_t)256 << 20);
    if (slot == SINK_MAX_FLIGHT || !outbound_take(s->ob, newest, &f->info)) {
        free_flight(f);
        return false;
    }
    int r = outbound_load(s->ob, f->info.seq, &f->body, &f->info);
    if (r == -EBADMSG) { /* rotten: counted as refused{corrupt}, and done */
        log_error("sink %s: block %llu of its outbound log is damaged", s->conf->id,
                  (unsigned long long)f->info.seq);
        free_flight(f);
        return true;
    }
    if (r != 0) {
        outbound_put_back(s->ob, f->info.seq);
        free_flight(f);
        if (log_broke(&s->write_log))
            log_error("sink %s: its outbound log cannot be read: %s", s->conf->id,
                      strerror(-r));
        loop_timer_start(s->retry, 1000, 0);
        return false;
    }
    s->flights[slot] = f;
    f->newest = newest;
    sink_send(f, f->body.data, f->body.len, f->info.gzip, on_answer);
    return true;
}

static void count_flights(const struct sink *s, size_t *active, size_t *newest,
                          struct flight **waiting)
{
    *active = *newest = 0;
    *waiting = NULL;
    for (size_t i = 0; i < SINK_MAX_FLIGHT; i++) {
        struct flight *f = s->flights[i];
        if (f && f->waiting)
            *waiting = f;
        else if (f && !f->deciding)
            (*active)++;
        *newest += f && f->newest && !f->parts;
    }
}

/* While the database fails: one request, by turns a block in parts and a whole one. */
static void probe(struct sink *s, struct flight *waiting)
{
    s->turn = !s->turn;
    if (waiting && (s->turn || outbound_waiting_blocks(s->ob) == 0))
        sink_parts_go_on(waiting);
    else
        (void)launch(s, s->turn || s->failures % 3 != 0);
}

void sink_pump(struct sink *s)
{
    size_t active, newest;
    struct flight *waiting;
    if (s->closing)
        return;
    count_flights(s, &active, &newest, &waiting);
    if (s->state != SINK_OK) {
        if (active == 0 && loop_hrtime_ns() >= s->retry_at_ns)
            probe(s, waiting);
        return;
    }
    if (waiting) {
        sink_parts_go_on(waiting);
        active++;
    }
    while (active < s->conf->in_flight && outbound_waiting_blocks(s->ob) > 0) {
        bool from_new = s->conf->in_flight > 1 ? newest == 0 : (s->turn = !s->turn);
        if (!launch(s, from_new))
            break;
        count_flights(s, &active, &newest, &waiting);
    }
}

void sink_drained_maybe(struct sink *s)
{
    if (!s->drained)
        return;
    size_t active, newest;
    struct flight *waiting;
    count_flights(s, &active, &newest, &waiting);
    if (active == 0 && (s->state != SINK_OK || outbound_waiting_blocks(s->ob) == 0))
        loop_timer_start(s->drain, 0, 0); /* done, not from inside this call */
}
