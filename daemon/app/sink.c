/* SPDX-License-Identifier: Apache-2.0 */
#include "app/sink_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- where and how it posts ---------------------------------------------------------------- */

static void put_query(struct buf *b, const char *key, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    if (!value)
        return;
    (void)buf_printf(b, "%s%s=", memchr(b->data, '?', b->len) ? "&" : "?", key);
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if ((*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
            strchr("-._~", *c)) {
            (void)buf_putc(b, (char)*c);
        } else {
            const char text[3] = {'%', hex[*c >> 4], hex[*c & 15]};
            (void)buf_put(b, text, 3);
        }
    }
}

/* Nanoseconds everywhere; 1.x and VictoriaMetrics take them without a parameter, and 1.6 reads an
 * unknown one as nanoseconds silently. */
static char *make_url(const struct conf_sink *c)
{
    struct buf b;
    buf_init(&b, 65536);
    (void)buf_puts(&b, c->url);
    switch ((enum conf_sink_type)c->type) {
    case CONF_INFLUXDB1:
        (void)buf_puts(&b, "/write");
        put_query(&b, "db", c->database);
        put_query(&b, "rp", c->retention_policy);
        break;
    case CONF_INFLUXDB2:
        (void)buf_puts(&b, "/api/v2/write");
        put_query(&b, "org", c->org);
        put_query(&b, "bucket", c->bucket);
        put_query(&b, "precision", "ns");
        break;
    case CONF_INFLUXDB3:
        (void)buf_puts(&b, "/api/v3/write_lp");
        put_query(&b, "db", c->database);
        put_query(&b, "precision", "nanosecond");
        break;
    case CONF_VICTORIAMETRICS:
        (void)buf_puts(&b, "/write");
        put_query(&b, "db", c->database);
        break;
    }
    char *url = mem_strdup(buf_cstr(&b));
    buf_done(&b);
    return url;
}

static void make_headers(struct sink *s, const char *token)
{
    size_t n = 0;
    s->headers_raw[n++] = "Content-Type: text/plain; charset=utf-8";
    s->headers_raw[n++] = "User-Agent: gaihoud/" GAIHOU_VERSION;
    if (token) {
        s->auth = mem_printf("Authorization: %s %s",
                             s->conf->type == CONF_INFLUXDB2 ? "Token" : "Bearer", token);
        s->headers_raw[n++] = s->auth;
    }
    memcpy(s->headers, s->headers_raw, sizeof(s->headers));
    s->headers[n] = "Content-Encoding: gzip";
}

/* -- life ----------------------------------------------------------------------------------- */

static void on_age(void *ctx)
{
    sink_close_open(ctx);
}

static void on_drain(void *ctx)
{
    struct sink *s = ctx;
    loop_fn *done = s->drained;
    s->drained = NULL;
    if (done)
        done(s->drained_ctx);
}

static void say_notes(const struct sink *s)
{
    struct outbound_notes n;
    outbound_notes(s->ob, &n);
    if (n.rotten_blocks)
        log_error("sink %s: %llu damaged blocks in its outbound log, %llu lines counted as "
                  "refused{corrupt}",
                  s->conf->id, (unsigned long long)n.rotten_blocks,
                  (unsigned long long)n.rotten_lines);
    if (n.ledger_lost)
        log_error("sink %s: its ledger did not verify and was put aside as ledger.bad; totals "
                  "begin again",
                  s->conf->id);
    if (outbound_pending_lines(s->ob) > 0)
        log_info("sink %s: %llu lines wait from before", s->conf->id,
                 (unsigned long long)outbound_pending_lines(s->ob));
}

int sink_open(const struct sink_options *o, struct err *err, struct sink **out)
{
    struct sink *s = mem_zalloc(sizeof(*s));
    s->conf = o->conf;
    s->loop = o->loop;
    s->httpc = o->httpc;
    s->store = o->store;
    s->queue_end = &s->queue;
    s->helds_end = &s->helds;
    int r = outbound_open(&(struct outbound_options){o->dir, 0}, err, &s->ob);
    if (r != 0) {
        free(s);
        return r;
    }
    s->url = make_url(o->conf);
    s->metrics_url = mem_printf("%s/metrics", o->conf->url);
    s->username = mem_strdup(o->conf->username);
    s->password = mem_strdup(o->password);
    make_headers(s, o->token);
    s->bb = block_builder_new(&(struct block_rules){
        o->conf->type == CONF_VICTORIAMETRICS ? LINEPROTO_NUMBERS : LINEPROTO_INFLUX,
        o->conf->gzip, o->conf->batch.lines, o->conf->batch.bytes});
    s->skip = s->last_step = outbound_end(s->ob);
    s->age = loop_timer_new(o->loop, on_age, s);
    s->rewrite = loop_timer_new(o->loop, sink_on_rewrite, s);
    s->retry = loop_timer_new(o->loop, sink_on_retry, s);
    s->hold = loop_timer_new(o->loop, sink_on_hold, s);
    s->drain = loop_timer_new(o->loop, on_drain, s);
    say_notes(s);
    loop_timer_start(s->retry, 0, 0); /* what waits from before */
    *out = s;
    return 0;
}

void sink_close(struct sink *s)
{
    if (!s)
        return;
    ASSERT(!s->writing);
    s->closing = true;
    for (size_t i = 0; i < SINK_MAX_FLIGHT; i++)
        if (s->flights[i])
            sink_end_flight(s->flights[i]);
    sink_hold_free(s);
    loop_timer_free(s->age);
    loop_timer_free(s->rewrite);
    loop_timer_free(s->retry);
    loop_timer_free(s->hold);
    loop_timer_free(s->drain);
    while (s->queue) {
        struct queued *q = s->queue;
        s->queue = q->next;
        for (size_t i = 0; i < q->n; i++)
            block_free(q->blocks[i]);
        free(q->blocks);
        free(q);
    }
    block_builder_free(s->bb);
    outbound_close(s->ob);
    secret_free(s->password);
    secret_free(s->auth);
    free(s->url);
    free(s->metrics_url);
    free(s->username);
    free(s->open_shares);
    free(s);
}

/* -- the engine's side ---------------------------------------------------------------------- */

bool sink_wants(const struct sink *s, const struct position *step)
{
    return position_cmp(step, &s->skip) > 0;
}

void sink_point(struct sink *s, const struct point *p)
{
    block_builder_add(s->bb, p);
}

void sink_step_end(struct sink *s, const struct position *step)
{
    s->last_step = *step;
    if (block_builder_step(s->bb, step)) {
        sink_close_open(s);
        return;
    }
    if (block_builder_points(s->bb) > 0 && !loop_timer_active(s->age))
        loop_timer_start(s->age, s->conf->batch.age_ns / 1000000, 0);
}

void sink_journal_synced(struct sink *s, uint64_t offset)
{
    s->synced = offset;
    sink_try_write(s);
}

uint64_t sink_needs_sync(const struct sink *s)
{
    uint64_t offset = 0;
    for (const struct queued *q = s->queue; q; q = q->next)
        offset = q->to.offset;
    return offset;
}

bool sink_stalls(const struct sink *s)
{
    return s->queue_bytes > SINK_QUEUE_MAX || s->paused;
}

bool sink_paused(const struct sink *s)
{
    return s->paused;
}

struct position sink_end(const struct sink *s)
{
    return outbound_end(s->ob);
}

struct position sink_durable(const struct sink *s)
{
    return outbound_durable(s->ob);
}

void sink_drain(struct sink *s, uint64_t deadline_ms, loop_fn *done, void *ctx)
{
    s->drained = done;
    s->drained_ctx = ctx;
    loop_timer_start(s->drain, deadline_ms, 0);
    sink_pump(s);
    sink_drained_maybe(s);
}

/* -- what it says of itself ----------------------------------------------------------------- */

static void add_share(void *ctx, const struct block_share *b)
{
    struct sink *s = ctx;
    for (size_t i = 0; i < s->n_open_shares; i++) {
        if (strcmp(s->open_shares[i].compound, b->compound) == 0) {
            s->open_shares[i].lines += b->lines;
            s->open_shares[i].unwritable += b->unwritable;
            return;
        }
    }
    if (s->n_open_shares == s->cap_open_shares) {
        s->cap_open_shares = s->cap_open_shares ? s->cap_open_shares * 2 : 64;
        s->open_shares =
            mem_realloc_array(s->open_shares, s->cap_open_shares, sizeof(*s->open_shares));
    }
    s->open_shares[s->n_open_shares++] = *b;
}

size_t sink_open_shares(struct sink *s, const struct block_share **out)
{
    s->n_open_shares = 0;
    block_builder_shares(s->bb, add_share, s);
    for (const struct queued *q = s->queue; q; q = q->next)
        for (size_t i = 0; i < q->n; i++)
            for (size_t k = 0; k < q->blocks[i]->info.n_shares; k++)
                add_share(s, &q->blocks[i]->info.shares[k]);
    *out = s->open_shares;
    return s->n_open_shares;
}

const struct outbound *sink_outbound(const struct sink *s)
{
    return s->ob;
}

static const char *state_name(const struct sink *s)
{
    switch (s->state) {
    case SINK_RETRYING:
        return "retrying";
    case SINK_BLOCKED:
        return "blocked";
    case SINK_OK:
        break;
    }
    return s->last_ok_ns ? "ok" : "idle";
}

void sink_stats(const struct sink *s, struct sink_stats *out)
{
    const struct outbound_share *shares;
    size_t n = outbound_shares(s->ob, &shares);
    *out = (struct sink_stats){
        .id = s->conf->id,
        .type = conf_sink_type_name((enum conf_sink_type)s->conf->type),
        .open_lines = block_builder_lines(s->bb),
        .pending_lines = outbound_pending_lines(s->ob),
        .pending_blocks = outbound_pending_blocks(s->ob),
        .log_bytes = outbound_bytes(s->ob),
        .max_bytes = s->conf->max_bytes,
        .posts = s->posts,
        .held = s->n_held,
        .oldest_pending_wall_ns = outbound_oldest_wall_ns(s->ob),
        .backfill_from_ms = s->backfill_from_ms,
        .backfill_to_ms = s->backfill_to_ms,
        .last_ok_ns = s->last_ok_ns,
        .post_seconds = s->post_n ? (double)s->post_ns / 1e9 / (double)s->post_n : 0};
    for (const struct queued *q = s->queue; q; q = q->next) {
        out->queued_blocks += q->n;
        for (size_t i = 0; i < q->n; i++)
            out->pending_lines += q->blocks[i]->info.lines;
    }
    for (size_t i = 0; i < n; i++) {
        out->made += shares[i].made;
        out->accepted += shares[i].accepted;
        out->refused += shares[i].refused;
        out->shed += shares[i].shed;
    }
    for (size_t i = 0; i < SINK_MAX_FLIGHT; i++)
        out->in_flight += s->flights[i] != NULL;
    memcpy(out->answers, s->answers, sizeof(out->answers));
    (void)snprintf(out->state, sizeof(out->state), "%s", state_name(s));
    (void)snprintf(out->problem, sizeof(out->problem), "%s", s->problem);
}
