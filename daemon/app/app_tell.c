/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling, as the app sees it: opened with the broker that alerts.broker names, fed with the
 * gateway's status once a second. Without such a broker alarms still run.
 */
#include "app/app_private.h"
#include "base/mem.h"
#include "base/num.h"
#include "io/clock.h"
#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_MAX 16384
#define EPOCH_MAX  64 /* bytes of its file */

/* -- the stream's epoch -------------------------------------------------------------------------
 *
 * The highest one that was ever begun stands in a file of its own, "epoch", written before anything
 * can be told in it. A store that is restored, again and again perhaps, goes back behind it; the
 * broker may have lost what it kept; the clock may have gone back, too; and the journal need not
 * reach down to where it began.
 */

/* 0: none was begun, or nobody knows. */
static uint64_t begun_epoch(const struct app *a)
{
    char *text = NULL;
    size_t len = 0;
    uint64_t v = 0;
    int r = file_load(a->paths.epoch, EPOCH_MAX, &text, &len);
    if (r == 0 && (len == 0 || text[len - 1] != '\n' || num_get_u64(text, len - 1, &v) != 0 ||
                   v > INT64_MAX)) {
        r = -EBADMSG;
        v = 0;
    }
    if (r != 0 && r != -ENOENT)
        log_warn("%s: cannot be read: %s; the store's and the broker's word goes",
                 a->paths.epoch, strerror(-r));
    free(text);
    return v;
}

/* Without it alarms are told all the same: a house on fire does not wait for a full disk. */
static void note_epoch(struct app *a, uint64_t epoch)
{
    if (epoch == a->begun)
        return;
    a->begun = epoch;
    char *text = mem_printf("%llu\n", (unsigned long long)epoch);
    int r = file_store(a->paths.epoch, text, strlen(text));
    if (r != 0)
        log_warn("%s: cannot be written: %s; should the store be restored and the broker's "
                 "retained topics be lost, numbers of the alarms may come twice",
                 a->paths.epoch, strerror(-r));
    free(text);
}

static int append(void *ctx, const struct record *r)
{
    struct app *a = ctx;
    const char *slash =
        r->type == RECORD_STREAM ? memrchr(r->body, '/', r->body_len) : NULL; /* a later one */
    uint64_t epoch = 0;
    if (slash &&
        num_get_u64(slash + 1, r->body_len - (size_t)(slash + 1 - r->body), &epoch) == 0)
        note_epoch(a, epoch);
    return app_append(ctx, r);
}

/* -- telling ----------------------------------------------------------------------------------- */

static bool idle(void *ctx)
{
    const struct app *a = ctx;
    struct pipeline_stats p;
    pipeline_stats(a->pipeline, &p);
    return p.lag_bytes == 0 && !p.replaying && store_waiting_bytes(a->store) == 0;
}

/* Before anything can become a case: a stream that has no epoch must not be told of, and what a
 * rolled back store would say again under the old one must not get its numbers. The broker, once it
 * was read, can still raise it. */
int app_begin_stream(struct app *a)
{
    struct pipeline_stats p;
    pipeline_stats(a->pipeline, &p);
    uint64_t epoch = store_epoch(a->store);
    a->begun = begun_epoch(a);
    if (epoch > 0 && !p.rolled_back && epoch < a->begun)
        log_notice("alerts: epoch %llu was begun, the store knows %llu only: a new one begins",
                   (unsigned long long)a->begun, (unsigned long long)epoch);
    if (epoch == 0 || p.rolled_back || epoch < a->begun) {
        uint64_t last = store_epoch_last(a->store);
        uint64_t above = (last > a->begun ? last : a->begun) + 1;
        int64_t now_s = clock_wall_ns() / 1000000000;
        epoch = now_s > 0 && (uint64_t)now_s > above ? (uint64_t)now_s : above;
    }
    note_epoch(a, epoch);
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
