/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling, as the app sees it: opened with the broker that alerts.broker names, fed with the
 * gateway's status once a second. Without such a broker alarms still run.
 */
#include "app/app_private.h"
#include "base/mem.h"
#include "io/clock.h"

#include <stdlib.h>
#include <string.h>

#define STATUS_MAX 16384

static int append(void *ctx, const struct record *r)
{
    return app_append(ctx, r);
}

static bool idle(void *ctx)
{
    const struct app *a = ctx;
    struct pipeline_stats p;
    pipeline_stats(a->pipeline, &p);
    return p.lag_bytes == 0 && !p.replaying && store_waiting_bytes(a->store) == 0;
}

/* Before anything can become a case: a stream that has no epoch must not be told of, and what a
 * rolled back store would say again under the old one must not get its numbers. Seconds are above
 * every epoch that a lost store may have had; the broker, once it was read, can still raise it. */
int app_begin_stream(struct app *a)
{
    struct pipeline_stats p;
    pipeline_stats(a->pipeline, &p);
    uint64_t epoch = store_epoch(a->store);
    if (epoch == 0 || p.rolled_back) {
        uint64_t above = store_epoch_last(a->store) + 1;
        int64_t now_s = clock_wall_ns() / 1000000000;
        epoch = now_s > 0 && (uint64_t)now_s > above ? (uint64_t)now_s : above;
    }
    char *stream = mem_printf("%s/%s/%llu", a->conf->gateway.id,
                              conf_lane_name(a->conf->gateway.lane), (unsigned long long)epoch);
    int r = app_append(a, &(struct record){.type = RECORD_STREAM,
                                           .broker = 255,
                                           .body = stream,
                                           .body_len = strlen(stream)});
    if (r != 0)
        log_error("journal: cannot take the stream's record: %s", strerror(-r));
    else
        a->epoch = epoch;
    free(stream);
    return r;
}

int app_open_tell(struct app *a, const struct position *store_cursor)
{
    const struct conf *c = a->conf;
    struct err err;
    size_t i = 0;
    if (!c->alerts.broker)
        return 0;
    while (i < c->n_brokers && strcmp(c->brokers[i].id, c->alerts.broker) != 0)
        i++;
    char *gateway = mem_printf("%s%s", c->gateway.id,
                               c->gateway.lane == CONF_LANE_LIFE_SAFETY ? "-ls" : "");
    struct tell_options o = {.loop = a->loop,
                             .store = a->store,
                             .conf = c,
                             .gateway = gateway,
                             .cursor = store_cursor->offset,
                             .epoch = a->epoch,
                             .append = append,
                             .idle = idle,
                             .ctx = a};
    if (i < c->n_brokers) {
        o.password = a->secrets.broker_passwords[i];
        o.key_password = a->secrets.broker_keys[i];
    }
    int r = tell_open(&o, &err, &a->tell);
    free(gateway);
    if (r != 0) {
        log_error("%s", err.text);
        return r;
    }
    a->sources.tell = a->tell;
    tell_start(a->tell, pipeline_newest(a->pipeline));
    return 0;
}

void app_tell_second(struct app *a)
{
    struct buf status;
    if (!a->tell)
        return;
    buf_init(&status, STATUS_MAX);
    report_gateway(&a->sources, &status);
    if (!status.failed)
        tell_second(a->tell, status.data, status.len);
    buf_done(&status);
}
