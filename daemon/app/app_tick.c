/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens by the clock of the process: once a second rates, clock steps and the watchdogs,
 * once a minute the record of our own metrics, ten times a second the question whether to leave
 * the brokers.
 */
#include "app/app_private.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_MS         100
#define CLEAR_NS        5000000000u /* well for so long before we come back to little room */
#define STEP_NS         250000000 /* a wall clock that moved so much against the other stepped */
#define OWN_MAX_BYTES   ((size_t)1 << 20)
#define OWN_TIGHT_BYTES ((size_t)4096) /* the same where the journal has little room */
#define WATCHDOG_NS                                                                            \
    100000000000u /* within, the journal must have taken a record of ours, or wanted room */

/* The ledger of many compounds is several records. Where room is little the rest of it is for what
 * happens: one that is small says the most important. */
static int append_own(struct app *a)
{
    uint64_t most = a->conf->journal.segment_bytes / 4;
    size_t at = 0;
    int r = 0;
    for (bool more = true; more && r == 0;) {
        struct journal_stats j;
        struct buf body;
        journal_stats(a->journal, &j);
        buf_init(&body, j.low_space            ? OWN_TIGHT_BYTES
                        : most < OWN_MAX_BYTES ? (size_t)most
                                               : OWN_MAX_BYTES);
        more = report_own(&a->sources, &a->rates, &at, &body) && !j.low_space;
        r = app_append(a, &(struct record){.type = RECORD_STATS,
                                           .broker = 255,
                                           .body = body.data ? body.data : "",
                                           .body_len = body.len});
        buf_done(&body);
    }
    return r;
}

static void own_metrics(struct app *a)
{
    int r = append_own(a);
    /* A journal that has no room says so and is asked again, and heals by itself: whoever is restarted
     * for it would find the same disk, or the same quota. */
    if (r == 0 || r == -ENOSPC)
        a->last_own_append_ns = loop_hrtime_ns();
    if (r == 0) {
        if (log_healed(&a->own_append))
            log_notice("journal: takes records again");
    } else if (log_broke(&a->own_append)) {
        log_error("journal: does not take records: %s", strerror(-r));
    }
}

static void clock_step(struct app *a)
{
    int64_t now = clock_wall_ns() - (int64_t)clock_boot_ns();
    int64_t moved = now - a->wall_minus_boot_ns;
    if (moved > -STEP_NS && moved < STEP_NS) {
        a->wall_minus_boot_ns = now; /* slewing */
        return;
    }
    a->wall_minus_boot_ns = now;
    log_warn("clock: the wall clock stepped by %.3f s%s", (double)moved / 1e9,
             clock_synchronised() ? "" : " and is not synchronised");
    char body[8];
    memcpy(body, &moved, sizeof(body));
    int r = app_append(a, &(struct record){.type = RECORD_CLOCK_STEP,
                                           .broker = 255,
                                           .body = body,
                                           .body_len = sizeof(body)});
    if (r != 0)
        log_warn("journal: cannot take the record of that step: %s", strerror(-r));
}

static void on_second(void *ctx)
{
    struct app *a = ctx;
    char line[256];
    report_rates_feed(&a->rates, &a->sources, 1.0);
    ingest_tick(a->ingest, 1.0);
    clock_step(a);
    app_tell_second(a);
    if (a->seconds++ % 60 == 0)
        own_metrics(a);
    if (loop_hrtime_ns() - a->last_own_append_ns < WATCHDOG_NS)
        notify_watchdog();
    if (a->seconds % 10 == 0) {
        report_line(&a->sources, &a->rates, line, sizeof(line));
        notify_status("%s", line);
    }
}

static char *reason_to_leave(struct app *a)
{
    struct journal_stats j;
    journal_stats(a->journal, &j);
    if (j.low_space)
        return mem_printf("journal: %llu of %llu bytes used and no room for another segment",
                          (unsigned long long)j.bytes, (unsigned long long)j.max_bytes);
    for (size_t i = 0; i < a->n_sinks; i++)
        if (sink_paused(a->sinks[i]))
            return mem_printf("sink %s: its outbound log is full and on_full says pause",
                              a->conf->sinks[i].id);
    return NULL;
}

/* Room for a while, not only for the next moment. */
static bool has_room(struct app *a)
{
    struct journal_stats j;
    journal_stats(a->journal, &j);
    bool room = j.bytes <= j.max_bytes - j.max_bytes / 4;
    for (size_t i = 0; room && i < a->n_sinks; i++)
        room = sink_has_room(a->sinks[i]);
    return room;
}

/* Back as soon as half of what was full is free: what is left keeps the databases busy until the
 * brokers send again, so that a backlog goes as fast as they take it, however small the quota. Where
 * room does not grow so far, after a while without a reason. */
static void on_hold(void *ctx)
{
    struct app *a = ctx;
    char *why = reason_to_leave(a);
    uint64_t now = loop_hrtime_ns();
    ingest_links(a->ingest);
    if (why)
        a->clear_since_ns = now;
    if (why || now - a->clear_since_ns > CLEAR_NS || has_room(a))
        ingest_hold(a->ingest, why);
    free(why);
}

void app_start_ticks(struct app *a)
{
    a->wall_minus_boot_ns = clock_wall_ns() - (int64_t)clock_boot_ns();
    a->last_own_append_ns = loop_hrtime_ns();
    a->second = loop_timer_new(a->loop, on_second, a);
    a->hold = loop_timer_new(a->loop, on_hold, a);
    loop_timer_start(a->second, 1000, 1000);
    loop_timer_start(a->hold, HOLD_MS, HOLD_MS);
}
