/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_REPORT_H
#define APP_REPORT_H
/*
 * report — everything the gateway says about itself: Prometheus text, status and ledger as
 * JSON, the journal record of our own metrics. Reads the parts' stats, changes nothing. Loop
 * thread.
 */
#include "app/ingest.h"
#include "app/pipeline.h"
#include "app/tell.h"
#include "base/jsonw.h"

struct report_sources {
    const struct conf *conf;
    struct journal *journal;
    struct pipeline *pipeline;
    struct ingest *ingest; /* NULL before it is open */
    struct store *store;
    struct tell *tell; /* NULL: alerts are not told, or not yet */
    struct sink **sinks;
    size_t n_sinks;
    const uint64_t *sinks_before; /* points made before the sink's log began */
    int64_t started_wall_ns;
    uint64_t reloads, reload_failures;
};

/* Rates over the last seconds; fed once a second. */
struct report_rates {
    bool fed; /* what is counted from earlier lives on is no rate */
    uint64_t messages, points;
    double messages_s, points_s;
    double sink_s[64];
    uint64_t sink_accepted[64];
    double broker_s[16];
    uint64_t broker_messages[16];
};
void report_rates_feed(struct report_rates *r, const struct report_sources *s, double seconds);

void report_metrics(const struct report_sources *s, struct buf *out);
void report_status(const struct report_sources *s, const struct report_rates *r,
                   struct buf *out);
/* Names that nobody uses (core/strange.h); profile NULL: of all. */
void report_strange(const struct report_sources *s, const char *profile, struct buf *out);
void report_ledger(const struct report_sources *s, struct buf *out);
/* What firms may know of it (gaihou-mqtt(7), gateway/<id>/status), without a time. */
void report_gateway(const struct report_sources *s, struct buf *out);
/* The body of a RECORD_STATS, whole lines as many as `out` has room for: first of all the gateway's
 * own, then the ledger from row *at on, which goes on. True: there is more of it. */
bool report_own(const struct report_sources *s, const struct report_rates *r, size_t *at,
                struct buf *out);
/* One line for systemd's STATUS. */
void report_line(const struct report_sources *s, const struct report_rates *r, char *out,
                 size_t size);
/* Does every sum of the ledger hold, sinks included? */
bool report_balanced(const struct report_sources *s);

#endif
