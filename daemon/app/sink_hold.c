/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VictoriaMetrics has no log of its own: what it took in the last seconds is gone when it is
 * killed. So a block stays pending for 30 s after its acceptance, and goes again if the
 * server's start time changed meanwhile. It is marked done only after a look at /metrics that
 * began at the end of its time and found the same server.
 *
 * The start time is told in whole seconds: two starts in one second look the same. So nothing is
 * posted in the first second after a start time was learned. What the server takes later it
 * took in a later second than that of its start, and its successor starts later still. Blocks
 * that were under way when a restart was seen count as taken by the dead one.
 */
#include "app/sink_int.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define POLL_TIMEOUT_NS (10 * (uint64_t)SECOND_NS)

bool sink_hold_ready(const struct sink *s)
{
    return s->conf->type != CONF_VICTORIAMETRICS || s->start_known;
}

static void send_again(struct sink *s)
{
    uint64_t n = 0;
    s->era++;
    for (struct job *j = s->jobs, *next; j; j = next) {
        next = j->next;
        if (j->state != JOB_HELD)
            continue;
        outbound_put_back(s->log, j->info.seq);
        job_free(j);
        n++;
    }
    log_warn("sink %s: %s was restarted: %llu blocks that it had taken go again", s->conf->id,
             s->conf->url, (unsigned long long)n);
}

/* Of each held block whose time is over. */
static void release(struct sink *s, uint64_t seen_ns)
{
    for (struct job *j = s->jobs, *next; j; j = next) {
        next = j->next;
        if (j->state == JOB_HELD && j->held_ns + SINK_HOLD_NS <= seen_ns &&
            (j->n_refused == 0 || job_reload(j) == 0)) /* the refused lines' bytes are wanted */
            sink_finish_job(j);
    }
}

static bool find_start(const struct httpc_answer *a, char out[32])
{
    static const char key[] = "vm_app_start_timestamp ";
    const char *p = memmem(a->body, a->body_len, key, sizeof(key) - 1);
    if (!p || (p != a->body && p[-1] != '\n'))
        return false;
    p += sizeof(key) - 1;
    size_t n = 0;
    while (p + n < a->body + a->body_len && p[n] != '\n' && n < 31)
        n++;
    memcpy(out, p, n);
    out[n] = '\0';
    return n > 0;
}

/* It told its start before and does not now: rather it is being restarted, and something in front of it
 * answers meanwhile, than that nobody will ever be told again. */
static bool hidden_lately(const struct sink *s)
{
    return s->started[0] && s->polled_ns - s->lost_ns < SINK_HIDDEN_NS;
}

static void on_metrics(void *ctx, const struct httpc_answer *a)
{
    struct sink *s = ctx;
    char started[32];
    s->poll = NULL;
    if (a->transport != TRANSPORT_OK || a->status >= 500) {
        /* away: what is held stays so, and nothing can be posted either */
        if (!s->start_known) {
            struct err e;
            (void)err_set(&e, 0, "%s", a->error ? a->error : "no answer");
            if (log_broke(&s->hold_log))
                log_warn("sink %s: %s does not answer: %s", s->conf->id, s->metrics_url,
                         e.text);
            if (s->state == SINK_WELL)
                s->broke_ns = loop_now_ns(s->loop);
            s->state = SINK_RETRYING;
            memcpy(s->problem, e.text, sizeof(s->problem) - 1);
        }
        loop_timer_start(s->poll_timer, s->start_known ? SINK_HOLD_POLL_MS : 1000, 0);
        return;
    }
    bool known = find_start(a, started);
    if (!known && !s->start_lost)
        log_warn(
            "sink %s: %s does not tell vm_app_start_timestamp (status %d): a restart of the "
            "server cannot be seen, what it loses then is lost",
            s->conf->id, s->metrics_url, a->status);
    if (!known && !s->start_lost)
        s->lost_ns = s->polled_ns;
    s->start_lost = !known;
    (void)log_healed(&s->hold_log); /* the first write that is taken says so */
    if (known && s->started[0] && strcmp(s->started, started) != 0)
        send_again(s);
    if (known && strcmp(s->started, started) != 0) {
        memcpy(s->started, started, sizeof(started));
        s->settle_ns = loop_now_ns(s->loop) + SINK_SETTLE_NS;
    }
    s->start_known = true;
    if (known || !hidden_lately(s))
        release(s, s->polled_ns);
    if (s->stats.held > 0)
        loop_timer_start(s->poll_timer, SINK_HOLD_POLL_MS, 0);
    sink_kick(s);
}

static void poll(struct sink *s)
{
    if (s->poll || s->closing)
        return;
    const char *headers[] = {s->auth_header, NULL};
    struct httpc_request r = {.method = "GET",
                              .url = s->metrics_url,
                              .headers = headers,
                              .timeout_ns = POLL_TIMEOUT_NS,
                              .username = s->username,
                              .password = s->password,
                              .ca_file = s->conf->ca_file,
                              .keep_tail =
                                  true}; /* the line stands near the end of a long text */
    s->polled_ns = loop_now_ns(s->loop);
    s->poll = httpc_send(s->httpc, &r, on_metrics, s);
}

static void on_poll_timer(void *ctx)
{
    poll(ctx);
}

void sink_hold_start(struct sink *s)
{
    if (s->conf->type != CONF_VICTORIAMETRICS)
        return;
    s->poll_timer = loop_timer_new(s->loop, on_poll_timer, s);
    loop_timer_start(s->poll_timer, 0, 0);
}

void sink_hold(struct job *j)
{
    struct sink *s = j->s;
    if (j->era != s->era) { /* perhaps it was the dead one that took it */
        outbound_put_back(s->log, j->info.seq);
        job_free(j);
        sink_kick(s);
        return;
    }
    j->state = JOB_HELD;
    s->n_jobs--;
    s->stats.held++;
    j->held_ns = loop_now_ns(s->loop);
    job_unload(j); /* the log has it */
    if (!s->poll && !loop_timer_active(s->poll_timer))
        loop_timer_start(s->poll_timer, SINK_HOLD_POLL_MS, 0);
}

void sink_hold_soon(struct sink *s)
{
    if (s->conf->type == CONF_VICTORIAMETRICS && !s->poll)
        loop_timer_start(s->poll_timer, 1000, 0);
}
