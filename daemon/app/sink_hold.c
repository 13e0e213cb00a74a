/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VictoriaMetrics has no write-ahead log: what it answered 204 for is on its disk some seconds later. So
 * a block it took stays in our log for a while, and goes again if the server restarted meanwhile (its
 * /metrics tell when it started). Sending twice is harmless with -dedup.minScrapeInterval=1ms.
 */
#include "app/sink_private.h"
#include "base/mem.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_NS 30000000000u
#define POLL_MS 5000

static void drop(struct sink *s, struct held *h)
{
    s->helds = h->next;
    if (!s->helds)
        s->helds_end = &s->helds;
    s->n_held--;
    free(h);
}

void sink_hold_free(struct sink *s)
{
    if (s->metrics_call)
        httpc_cancel(s->metrics_call);
    s->metrics_call = NULL;
    while (s->helds)
        drop(s, s->helds);
}

void sink_hold_block(struct sink *s, const struct block_info *info)
{
    struct held *h = mem_zalloc(sizeof(*h));
    *h = (struct held){.seq = info->seq,
                       .min_time_ms = info->min_time_ms,
                       .max_time_ms = info->max_time_ms,
                       .closed_wall_ns = info->closed_wall_ns,
                       .lines = info->lines,
                       .until_ns = loop_hrtime_ns() + HOLD_NS};
    *s->helds_end = h;
    s->helds_end = &h->next;
    s->n_held++;
    if (!loop_timer_active(s->hold))
        loop_timer_start(s->hold, s->vm_started > 0 ? POLL_MS : 0, POLL_MS);
}

static void send_again(struct sink *s)
{
    log_warn("sink %s: the server restarted; the %llu blocks it took in the last 30 s go again",
             s->conf->id, (unsigned long long)s->n_held);
    while (s->helds) {
        outbound_put_back(s->ob, s->helds->seq);
        drop(s, s->helds);
    }
}

static void release(struct sink *s, uint64_t asked_ns)
{
    while (s->helds && s->helds->until_ns <= asked_ns) {
        struct block_info info = {.seq = s->helds->seq,
                                  .min_time_ms = s->helds->min_time_ms,
                                  .max_time_ms = s->helds->max_time_ms,
                                  .closed_wall_ns = s->helds->closed_wall_ns,
                                  .lines = s->helds->lines};
        drop(s, s->helds);
        sink_accept(s, &info);
    }
}

static bool find_start(const struct httpc_answer *a, double *out)
{
    static const char name[] = "vm_app_start_timestamp ";
    const char *at = a->body ? memmem(a->body, a->body_len, name, sizeof(name) - 1) : NULL;
    if (!at)
        return false;
    at += sizeof(name) - 1;
    const char *nl = memchr(at, '\n', (size_t)(a->body + a->body_len - at));
    size_t n = (size_t)((nl ? nl : a->body + a->body_len) - at);
    return num_get_double(at, n, out) == 0;
}

static void on_metrics(void *ctx, const struct httpc_answer *a)
{
    struct sink *s = ctx;
    double started = 0;
    s->metrics_call = NULL;
    if (a->transport != TRANSPORT_OK || a->status != 200)
        return; /* asked again in a moment; nothing is released meanwhile */
    if (find_start(a, &started) && s->vm_started > 0 && started != s->vm_started)
        send_again(s);
    s->vm_started = started;
    release(s, s->metrics_asked_ns);
    if (!s->helds)
        loop_timer_stop(s->hold);
    sink_pump(s);
}

void sink_on_hold(void *ctx)
{
    struct sink *s = ctx;
    static const char *const headers[] = {NULL};
    if (s->metrics_call || s->closing)
        return;
    s->metrics_asked_ns = loop_hrtime_ns();
    s->metrics_call = httpc_send(s->httpc,
                                 &(struct httpc_request){.method = "GET",
                                                         .url = s->metrics_url,
                                                         .headers = headers,
                                                         .timeout_ns = s->conf->timeout_ns,
                                                         .username = s->username,
                                                         .password = s->password,
                                                         .ca_file = s->conf->ca_file},
                                 on_metrics, s);
}
