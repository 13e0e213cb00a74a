/* SPDX-License-Identifier: Apache-2.0 */
/* Which block goes next, and posting it. */
#include "app/sink_int.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_LEAST_MS 500
#define BACKOFF_MOST_MS  60000

static uint64_t draw(struct sink *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

/* 0.5 s doubling to 60 s, of which the upper half is chance: many gateways must not meet. */
uint64_t sink_backoff_ns(struct sink *s, unsigned fails)
{
    uint64_t ms = BACKOFF_LEAST_MS;
    for (unsigned i = 1; i < fails && ms < BACKOFF_MOST_MS; i++)
        ms *= 2;
    if (ms > BACKOFF_MOST_MS)
        ms = BACKOFF_MOST_MS;
    return (ms / 2 + draw(s) % (ms / 2 + 1)) * 1000000u;
}

static void wake_at(struct sink *s, uint64_t at_ns)
{
    uint64_t now = loop_now_ns(s->loop);
    loop_timer_start(s->wake, at_ns > now ? (at_ns - now) / 1000000u + 1 : 1, 0);
}

static void post(struct job *j)
{
    struct sink *s = j->s;
    const struct buf *body = &j->body;
    bool whole = !j->probing && !j->searching;
    if (!whole) {
        if (job_part(j, j->running) != 0) {
            /* it verified when it was read, so it was made so: nobody can search it */
            log_error("sink %s: block %llu cannot be unpacked", s->conf->id,
                      (unsigned long long)j->info.seq);
            job_push(j, j->running, false);
            j->due_ns = loop_now_ns(s->loop) + SINK_PROBE_NS;
            return;
        }
        body = &j->part;
    }
    const char *headers[4];
    size_t n = 0;
    headers[n++] = "Content-Type: text/plain; charset=utf-8";
    if (j->info.gzip)
        headers[n++] = "Content-Encoding: gzip";
    if (s->auth_header)
        headers[n++] = s->auth_header;
    headers[n] = NULL;
    struct httpc_request r = {.method = "POST",
                              .url = s->url,
                              .headers = headers,
                              .body = body->data,
                              .len = body->len,
                              .timeout_ns = s->conf->timeout_ns,
                              .username = s->username,
                              .password = s->password,
                              .ca_file = s->conf->ca_file};
    if (whole)
        j->era = s->era;
    j->state = JOB_POSTING;
    j->last_try_ns = loop_now_ns(s->loop);
    s->stats.in_flight++;
    s->stats.posts++;
    j->call = httpc_send(s->httpc, &r, sink_on_answer, j);
}

/* A line whose acceptance shows that the server is well: one it took before, else one after the
 * other. */
static uint32_t pick_probe(struct job *j)
{
    if (j->good_line != UINT32_MAX)
        return j->good_line;
    static const unsigned places[] = {0, 2, 1, 3};
    uint32_t n = j->info.lines, k = places[j->probe_line++ % 4];
    return (uint32_t)((uint64_t)(n - 1) * k / 3);
}

static void start(struct job *j)
{
    bool got = job_next_range(j);
    ASSERT(got);
    j->probing = false;
    /* a refusal without certainty, and nothing taken since: is it the server? */
    bool unproven = j->running.suspect ? j->s->oks == j->running.oks
                                       : j->fails >= 3 && j->s->oks == j->oks && j->fails % 2;
    bool uncertain =
        j->running.suspect || (j->last_reason && (strcmp(j->last_reason, "server_error") == 0 ||
                                                  strcmp(j->last_reason, "refused") == 0 ||
                                                  strcmp(j->last_reason, "weird_answer") == 0));
    if (unproven && uncertain && j->info.lines > 1) {
        uint32_t line = pick_probe(j);
        if (line != j->running.first || j->running.end != line + 1) {
            job_push(j, j->running, false);
            j->running = (struct range){.first = line, .end = line + 1};
            j->probing = true;
        }
    }
    post(j);
}

struct count {
    size_t posting, searching, live;
};

static struct count count(const struct sink *s)
{
    struct count c = {0};
    for (const struct job *j = s->jobs; j; j = j->next)
        if (j->state == JOB_POSTING) {
            c.posting += !j->searching;
            c.searching += j->searching;
            c.live += j->live && !j->searching;
        }
    return c;
}

/* The ready one that waited longest; `any` kind, or only the searched or the unsearched. */
static struct job *pick(const struct sink *s, bool any, bool searching, uint64_t *soonest)
{
    struct job *best = NULL;
    uint64_t now = loop_now_ns(s->loop);
    for (struct job *j = s->jobs; j; j = j->next) {
        if (j->state != JOB_READY || (!any && j->searching != searching))
            continue;
        if (j->due_ns > now) {
            if (j->due_ns < *soonest)
                *soonest = j->due_ns;
            continue;
        }
        if (!best || j->last_try_ns < best->last_try_ns)
            best = j;
    }
    return best;
}

/* Its lines, and not the server, are at fault: others were taken while it failed. */
static bool is_aside(const struct job *j)
{
    return (j->state == JOB_READY || j->state == JOB_POSTING) && j->fails >= SINK_ASIDE_FAILS &&
           (j->searching || j->same >= SINK_ASIDE_FAILS);
}

/* A line that makes the server fall silent stays for ever: those must not fill all places. While it is
 * in trouble there is one more, as only what is taken beside them shows that it is they. What is taken
 * cannot be shed, so an outage takes no more. */
static bool has_place(const struct sink *s)
{
    size_t aside = 0, most = s->conf->in_flight + SINK_EXTRA_JOBS;
    for (const struct job *j = s->jobs; j; j = j->next)
        aside += is_aside(j);
    if (aside > SINK_ASIDE_JOBS)
        aside = SINK_ASIDE_JOBS;
    return s->n_jobs < most + aside + (s->state != SINK_WELL);
}

/* A block from the log: the newest in one slot, the backlog in the others. */
static struct job *fresh(struct sink *s, size_t live)
{
    if (!has_place(s))
        return NULL;
    bool newest = live == 0;
    if (s->conf->in_flight <= 1) {
        newest = !s->oldest_next;
        s->oldest_next = !s->oldest_next;
    }
    return job_take(s, newest);
}

/* While it is in trouble one request at a time asks whether it is well: never always with the
 * same block, which may be what is wrong. */
static void pump_probe(struct sink *s, uint64_t *soonest)
{
    struct count c = count(s);
    if (c.posting + c.searching > 0)
        return;
    struct job *j = s->fresh_next ? fresh(s, 0) : NULL;
    s->fresh_next = !s->fresh_next;
    if (!j)
        j = pick(s, true, false, soonest);
    if (!j)
        j = fresh(s, 0);
    if (j)
        start(j);
}

static void retry_marks(struct sink *s)
{
    uint64_t now = loop_now_ns(s->loop);
    for (struct job *j = s->jobs, *next; j; j = next) {
        next = j->next;
        if (j->state == JOB_MARKING && j->due_ns <= now)
            sink_finish_job(j);
    }
}

void sink_pump_posts(struct sink *s)
{
    uint64_t now = loop_now_ns(s->loop), soonest = UINT64_MAX;
    if (s->closing)
        return;
    retry_marks(s);
    if (!sink_hold_ready(s))
        return;
    uint64_t from = s->gate_ns > s->settle_ns ? s->gate_ns : s->settle_ns;
    if (from > now) {
        wake_at(s, from);
        return;
    }
    if (s->state != SINK_WELL) {
        pump_probe(s, &soonest);
    } else {
        for (;;) {
            struct count c = count(s);
            struct job *j = c.searching == 0 ? pick(s, false, true, &soonest) : NULL;
            if (!j && c.posting < s->conf->in_flight) {
                j = pick(s, false, false, &soonest);
                if (!j)
                    j = fresh(s, c.live);
            }
            if (!j)
                break;
            start(j);
            if (j->state != JOB_POSTING)
                break;
        }
    }
    if (soonest != UINT64_MAX)
        wake_at(s, soonest);
}

void sink_kick(struct sink *s)
{
    if (!loop_timer_active(s->kick))
        loop_timer_start(s->kick, 0, 0);
}

void sink_cancel_jobs(struct sink *s)
{
    while (s->jobs) {
        struct job *j = s->jobs;
        if (j->state == JOB_POSTING)
            s->stats.in_flight--;
        outbound_put_back(s->log, j->info.seq);
        job_free(j);
    }
}
