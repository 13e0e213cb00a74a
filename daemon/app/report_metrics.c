/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus text (version 0.0.4) and our own metrics for the databases. Names follow
 * Prometheus' practice: gaihou_…_total, _seconds, _bytes; the list stands in gaihou-http(7).
 */
#include "app/report_private.h"
#include "base/num.h"
#include "core/judge.h"
#include "core/lineproto.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one_u(struct buf *b, const char *name, const char *type, const char *help,
                  uint64_t v)
{
    head(b, name, type, help);
    (void)buf_printf(b, "%s %" PRIu64 "\n", name, v);
}

static void one_d(struct buf *b, const char *name, const char *type, const char *help, double v)
{
    char text[40];
    head(b, name, type, help);
    (void)buf_printf(b, "%s %.*s\n", name, (int)num_put_double(text, v), text);
}

static void label(struct buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            (void)buf_putc(b, '\\');
        (void)buf_putc(b, *s);
    }
}

static void metrics_ledger(const struct report_sources *s, struct buf *b)
{
    const struct ledger *l = engine_ledger(pipeline_engine(s->pipeline));
    head(b, "gaihou_messages_total", "counter",
         "Messages by compound and by what became of them (class received and reinjected: came "
         "in).");
    for (size_t i = 0; i < ledger_rows(l); i++) {
        const struct ledger_row *r = ledger_at(l, i);
        for (int c = 0; c < LEDGER_POINTS_DECODED; c++) {
            if (r->n[c] == 0)
                continue;
            (void)buf_puts(b, "gaihou_messages_total{compound=\"");
            label(b, r->compound);
            (void)buf_printf(b, "\",class=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                             ledger_class((enum ledger_count)c),
                             ledger_reason((enum ledger_count)c), r->n[c]);
        }
    }
    head(b, "gaihou_points_total", "counter", "Points by compound and by what became of them.");
    for (size_t i = 0; i < ledger_rows(l); i++) {
        const struct ledger_row *r = ledger_at(l, i);
        for (int c = LEDGER_POINTS_DECODED; c < LEDGER_N; c++) {
            if (r->n[c] == 0)
                continue;
            (void)buf_puts(b, "gaihou_points_total{compound=\"");
            label(b, r->compound);
            (void)buf_printf(b, "\",class=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                             ledger_class((enum ledger_count)c) + 7,
                             ledger_reason((enum ledger_count)c), r->n[c]);
        }
    }
}

static void metrics_brokers(const struct report_sources *s, struct buf *b)
{
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
        {"gaihou_broker_connected", "gauge", "1 while the broker's link is up."},
        {"gaihou_broker_messages_total", "counter", "Messages received from the broker."},
        {"gaihou_broker_received_bytes_total", "counter", "Payload bytes received."},
        {"gaihou_broker_connects_total", "counter", "Connections made."},
        {"gaihou_broker_losses_total", "counter", "Connections lost."},
        {"gaihou_broker_refused_filters", "gauge", "Topic filters the broker refused."},
        {"gaihou_broker_rebirths_total", "counter", "Sparkplug births asked for."},
    };
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        head(b, rows[k].name, rows[k].type, rows[k].help);
        for (size_t i = 0; s->ingest && i < ingest_brokers(s->ingest); i++) {
            struct mqtt_stats m;
            ingest_stats(s->ingest, i, &m);
            const uint64_t v[] = {m.connected,
                                  m.messages,
                                  m.bytes,
                                  m.connects,
                                  m.losses,
                                  m.refused_filters,
                                  ingest_rebirths(s->ingest, i)};
            (void)buf_printf(b, "%s{broker=\"%s\"} %" PRIu64 "\n", rows[k].name,
                             s->conf->brokers[i].id, v[k]);
        }
    }
}

static void metrics_sinks(const struct report_sources *s, struct buf *b)
{
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
        {"gaihou_sink_made_total", "counter", "Lines made for the sink."},
        {"gaihou_sink_accepted_total", "counter", "Lines the database accepted."},
        {"gaihou_sink_refused_total", "counter", "Lines refused, all reasons."},
        {"gaihou_sink_shed_total", "counter", "Lines shed because the outbound log was full."},
        {"gaihou_sink_pending_lines", "gauge", "Lines that wait for the database."},
        {"gaihou_sink_log_bytes", "gauge", "Size of the outbound log."},
        {"gaihou_sink_posts_total", "counter", "Requests sent."},
        {"gaihou_sink_in_flight", "gauge", "Requests under way."},
        {"gaihou_sink_up", "gauge", "1 unless the last answers were failures."},
    };
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        head(b, rows[k].name, rows[k].type, rows[k].help);
        for (size_t i = 0; i < s->n_sinks; i++) {
            struct sink_stats st;
            struct sink_sums m;
            sink_stats(s->sinks[i], &st);
            report_sink_sums(s->sinks[i], &m);
            const uint64_t v[] = {m.made,   m.accepted,   m.refused,
                                  m.shed,   m.pending,    st.log_bytes,
                                  st.posts, st.in_flight, st.problem[0] == '\0'};
            (void)buf_printf(b, "%s{sink=\"%s\"} %" PRIu64 "\n", rows[k].name, st.id, v[k]);
        }
    }
    head(b, "gaihou_sink_answers_total", "counter", "Answers of the database by their class.");
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_stats st;
        sink_stats(s->sinks[i], &st);
        for (int c = 0; c < 6; c++)
            (void)buf_printf(
                b, "gaihou_sink_answers_total{sink=\"%s\",class=\"%s\"} %" PRIu64 "\n", st.id,
                answer_class_name((enum answer_class)c), st.answers[c]);
    }
    head(b, "gaihou_sink_fields_left_out_total", "counter",
         "Fields that the sink's lines do not have, by why not.");
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_stats st;
        struct report_left_out left[REPORT_LEFT_OUT];
        sink_stats(s->sinks[i], &st);
        report_left_out(&st, left);
        for (size_t k = 0; k < REPORT_LEFT_OUT; k++)
            (void)buf_printf(
                b, "gaihou_sink_fields_left_out_total{sink=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                st.id, left[k].reason, left[k].n);
    }
}

static void metrics_journal(const struct report_sources *s, struct buf *b)
{
    struct journal_stats j;
    struct pipeline_stats p;
    journal_stats(s->journal, &j);
    pipeline_stats(s->pipeline, &p);
    one_u(b, "gaihou_journal_bytes", "gauge", "Size of the journal.", j.bytes);
    one_u(b, "gaihou_journal_max_bytes", "gauge", "Its quota.", j.max_bytes);
    one_u(b, "gaihou_journal_appends_total", "counter", "Records appended.", j.appends);
    one_u(b, "gaihou_journal_unsynced_bytes", "gauge",
          "Appended and not yet on the disk: what a power cut would lose.", j.end - j.synced);
    one_u(b, "gaihou_journal_syncs_total", "counter", "Syncs of the journal.", j.syncs);
    one_d(b, "gaihou_journal_sync_seconds_max", "gauge", "The longest sync.",
          (double)j.sync_ns_max / 1e9);
    one_u(b, "gaihou_engine_unread_messages", "gauge",
          "Messages the engine has not passed yet.", p.unread);
    one_d(b, "gaihou_engine_lag_seconds", "gauge", "Age of the engine's place in the journal.",
          p.lag_seconds);
    one_d(b, "gaihou_engine_slice_seconds_max", "gauge", "The longest turn of the engine.",
          (double)p.drain_ns_max / 1e9);
    one_u(b, "gaihou_snapshots_total", "counter", "Snapshots taken.", p.snapshots);
    one_u(b, "gaihou_snapshots_failed_total", "counter", "Snapshots that could not be written.",
          p.snapshots_failed);
    one_u(
        b, "gaihou_snapshots_unforked_total", "counter",
        "Snapshots for which no process could be made: the engine waited while it was copied.",
        p.snapshots_unforked);
    one_d(b, "gaihou_snapshot_seconds", "gauge",
          "What the last snapshot took, beside the engine.", (double)p.snapshot_ns_last / 1e9);
    one_d(b, "gaihou_snapshot_pause_seconds_max", "gauge",
          "The longest that the engine waited for a snapshot to begin.",
          (double)p.snapshot_pause_ns_max / 1e9);
}

static void metrics_store(const struct report_sources *s, struct buf *b)
{
    struct store_stats t;
    store_stats(s->store, &t);
    one_u(b, "gaihou_store_commits_total", "counter", "Transactions committed.", t.commits);
    one_d(b, "gaihou_store_commit_seconds_max", "gauge", "The longest commit.",
          (double)t.commit_ns_max / 1e9);
    one_u(b, "gaihou_dead_rows", "gauge", "Dead letters kept.", t.dead_rows);
    one_u(b, "gaihou_dead_not_kept_total", "counter", "Dead letters counted but not kept.",
          t.dead_not_kept);
    one_u(b, "gaihou_quarantine_devices", "gauge", "Unknown devices seen.",
          t.quarantine_devices);
    one_u(b, "gaihou_quarantine_not_kept_total", "counter",
          "Quarantined messages counted but not kept.", t.quarantine_not_kept);
}

static void metrics_cases(const struct report_sources *s, struct buf *b)
{
    struct cases_stats c;
    cases_stats(engine_cases(pipeline_engine(s->pipeline)), &c);
    head(b, "gaihou_alarms_open", "gauge", "Open cases by severity.");
    for (int i = SEVERITIES - 1; i >= 0; i--)
        (void)buf_printf(b, "gaihou_alarms_open{severity=\"%s\"} %" PRIu64 "\n",
                         severity_name((enum severity)i), c.by_severity[i]);
    one_u(b, "gaihou_alarms_unacknowledged", "gauge", "Open cases that nobody took note of.",
          c.unacknowledged);
    one_u(b, "gaihou_alarms_shelved", "gauge", "Open cases that are shelved.", c.shelved);
    one_u(b, "gaihou_alarms_test", "gauge", "Open cases of test mode.", c.test);
    head(b, "gaihou_alarm_transitions_total", "counter",
         "Changes of cases, by whether they are told to the firm.");
    (void)buf_printf(b,
                     "gaihou_alarm_transitions_total{told=\"yes\"} %" PRIu64 "\n"
                     "gaihou_alarm_transitions_total{told=\"no\"} %" PRIu64 "\n",
                     c.delivered, c.withheld);
    one_u(b, "gaihou_alarms_not_opened_total", "counter",
          "Alarms without a case, because too many were open.", c.not_opened);
    one_u(b, "gaihou_alarm_commands_total", "counter", "Commands of firms and operators.",
          c.commands);
    one_u(b, "gaihou_alarm_commands_refused_total", "counter", "Of them, not done.", c.refused);
}

static void metrics_conditions(const struct report_sources *s, struct buf *b)
{
    struct alarm_stats a;
    alarm_stats(engine_alarm(pipeline_engine(s->pipeline)), &a);
    one_u(b, "gaihou_alarm_instances", "gauge", "Rules times the points they watch.",
          a.instances);
    one_u(b, "gaihou_alarm_active", "gauge", "Of them, whose condition holds.", a.active);
    one_u(b, "gaihou_alarm_pending", "gauge", "Of them, whose condition begins to hold.",
          a.pending);
    one_u(b, "gaihou_alarm_silent", "gauge", "Of them, whose device is silent.", a.silent);
    one_u(b, "gaihou_alarm_flapping", "gauge", "Of them, that flap.", a.flapping);
    one_u(b, "gaihou_alarm_samples_total", "counter", "Samples that rules looked at.",
          a.samples);
    one_u(b, "gaihou_alarm_evaluations_total", "counter", "Conditions evaluated.",
          a.evaluations);
    one_u(b, "gaihou_alarm_late_total", "counter", "Samples that came late.", a.late);
}

static void metrics_tell(const struct report_sources *s, struct buf *b)
{
    struct tell_stats t;
    if (!s->tell)
        return;
    tell_stats(s->tell, &t);
    one_u(b, "gaihou_tell_connected", "gauge", "The alerts' broker link.", t.connected);
    one_u(b, "gaihou_tell_waiting", "gauge", "Messages that the broker does not have yet.",
          t.waiting);
    one_d(b, "gaihou_tell_oldest_waiting_seconds", "gauge", "Age of the oldest of them.",
          t.oldest_waiting_s);
    one_u(b, "gaihou_tell_told_total", "counter", "Messages that the broker took.", t.told);
    one_u(b, "gaihou_tell_urgent_total", "counter", "Of them, on the life-safety lane.",
          t.urgent_told);
    one_u(b, "gaihou_tell_refused_total", "counter", "Messages that the broker refused.",
          t.refused);
    one_u(b, "gaihou_tell_refused_firms", "gauge", "Firms that wait for that.", t.held);
    one_u(b, "gaihou_tell_foreign", "gauge", "Retained topics of others, left alone.",
          t.foreign);
    one_u(b, "gaihou_tell_commands_refused_total", "counter",
          "Commands that did not reach the engine.", t.commands_refused);
    one_u(b, "gaihou_firms_online", "gauge", "Firms that listen.", t.presence_online);
    one_u(b, "gaihou_firms_absent", "gauge", "Firms that do not, and should.",
          t.presence_absent);
}

static void metrics_ceilings(const struct report_sources *s, struct buf *b)
{
    struct engine_stats e;
    struct tell_stats t = {0};
    engine_stats(pipeline_engine(s->pipeline), &e);
    if (s->tell)
        tell_stats(s->tell, &t);
    head(b, "gaihou_beyond_ceiling_total", "counter",
         "Times that there was no room for one more: for a firm whose presence is recorded, or "
         "whose absence is told, or for a retained topic that is compared.");
    (void)buf_printf(b,
                     "gaihou_beyond_ceiling_total{what=\"presence\"} %" PRIu64 "\n"
                     "gaihou_beyond_ceiling_total{what=\"absence\"} %" PRIu64 "\n"
                     "gaihou_beyond_ceiling_total{what=\"retained\"} %" PRIu64 "\n",
                     t.firms_not_kept, e.firms_not_watched, t.retained_not_kept);
}

static void metrics_alarms(const struct report_sources *s, struct buf *b)
{
    struct store_stats t;
    struct pipeline_stats p;
    store_stats(s->store, &t);
    pipeline_stats(s->pipeline, &p);
    metrics_cases(s, b);
    metrics_conditions(s, b);
    one_u(b, "gaihou_outbox_rows", "gauge", "Rows that wait to be told.", t.outbox_rows);
    one_u(b, "gaihou_outbox_told_total", "counter", "Rows that the broker has.", t.delivered);
    one_d(b, "gaihou_alarm_commit_seconds", "gauge",
          "The last way of a change from the engine to the disk.",
          (double)p.alarm_ns_last / 1e9);
    one_d(b, "gaihou_alarm_commit_seconds_max", "gauge", "The longest.",
          (double)p.alarm_ns_max / 1e9);
    one_u(b, "gaihou_alarm_adopted_total", "counter",
          "Open cases that were other than the store says, after the start.", p.adopt_differs);
    metrics_tell(s, b);
    metrics_ceilings(s, b);
}

static void by_reason(struct buf *b, const char *name, const char *help,
                      const uint64_t n[REASON_N])
{
    head(b, name, "counter", help);
    for (unsigned i = REASON_NONE + 1; i < REASON_N; i++)
        (void)buf_printf(b, "%s{reason=\"%s\"} %" PRIu64 "\n", name,
                         judge_reason((enum quality_reason)i), n[i]);
}

static void metrics_quality(const struct report_sources *s, struct buf *b)
{
    struct engine_stats e;
    engine_stats(pipeline_engine(s->pipeline), &e);
    one_u(b, "gaihou_fields_unknown_total", "counter",
          "Values whose name neither profile nor catalogue knows.", e.fields_unknown);
    by_reason(b, "gaihou_fields_bad_total", "Values kept apart as bad.", e.values_bad);
    by_reason(b, "gaihou_fields_uncertain_total", "Values stored as uncertain.",
              e.values_uncertain);
    const struct {
        const char *how;
        uint64_t n;
    } times[] = {{"replaced", e.times_replaced},
                 {"corrected", e.times_corrected},
                 {"doubted", e.times_doubted},
                 {"unread", e.times_unread},
                 {"moved", e.times_moved}};
    head(
        b, "gaihou_times_total", "counter",
        "Samples whose time was not taken as told: replaced by the receipt's, corrected by the "
        "clock's known offset, told by a clock that nothing is known of, unreadable, moved to "
        "the next free millisecond.");
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        (void)buf_printf(b, "gaihou_times_total{how=\"%s\"} %" PRIu64 "\n", times[i].how,
                         times[i].n);
    one_u(b, "gaihou_repeated_ids_total", "counter",
          "Samples known already by the vendor's message id.", e.repeated_ids);
    one_u(b, "gaihou_strangers_not_told_total", "counter",
          "Unknown devices beyond the 16 that are told of one message.", e.strangers_not_told);
    one_u(b, "gaihou_rebirths_wished_total", "counter",
          "Messages of Sparkplug nodes whose births are not known.", e.rebirths);
    one_u(b, "gaihou_devices_seen", "gauge", "Devices that have ever reported.",
          e.devices_seen);
    one_u(b, "gaihou_device_clocks_off", "gauge", "Devices whose clock is off and corrected.",
          e.clocks_off);
    one_u(b, "gaihou_points_known", "gauge", "Points of devices besides their own.",
          e.points_known);
    one_u(b, "gaihou_clock_steps_doubted_total", "counter",
          "Steps of our own clock that were not believed at once.", e.wall_steps_held);
    one_u(b, "gaihou_clock_doubted", "gauge",
          "1 while a step of our own clock is not believed: stamps go on from before it.",
          e.wall_held);
    one_d(b, "gaihou_clock_doubted_seconds", "gauge", "By how much it went ahead.",
          e.wall_held_by_s);
}

void report_metrics(const struct report_sources *s, struct buf *b)
{
    head(b, "gaihou_build_info", "gauge", "Constant 1, the version as label.");
    (void)buf_puts(b, "gaihou_build_info{version=\"" GAIHOU_VERSION "\"} 1\n");
    metrics_ledger(s, b);
    metrics_brokers(s, b);
    metrics_sinks(s, b);
    metrics_journal(s, b);
    metrics_store(s, b);
    metrics_alarms(s, b);
    metrics_quality(s, b);
    one_u(b, "gaihou_reloads_total", "counter", "Reloads that took effect.", s->reloads);
    one_u(b, "gaihou_reload_failures_total", "counter", "Reloads that were refused.",
          s->reload_failures);
    one_u(b, "gaihou_ledger_balanced", "gauge", "1 while every sum of the ledger holds.",
          report_balanced(s));
}

/* -- our own metrics as points ------------------------------------------------------------- */

static void own_series(const struct report_sources *s, struct buf *b, const char *measurement,
                       const char *key, const char *value)
{
    static const char *const lanes[] = {"all", "routine", "life-safety"};
    const struct lineproto_tag tags[] = {{"gateway", s->conf->gateway.id},
                                         {"lane", lanes[s->conf->gateway.lane]},
                                         {key ? key : "-", value}};
    (void)lineproto_put_series(b, measurement, tags, key ? 3 : 2);
}

static void own_u(struct buf *b, const char *key, uint64_t v)
{
    (void)buf_printf(b, "\t%s=%" PRIu64 "i", key, v);
}

static void own_d(struct buf *b, const char *key, double v)
{
    char text[40];
    (void)buf_printf(b, "\t%s=%.*s", key, (int)num_put_double(text, v), text);
}

/* Ends a line that began at `before`. False: there was no room for it, and no part of it stays. */
static bool own_line(struct buf *b, size_t before)
{
    (void)buf_putc(b, '\n');
    if (!b->failed)
        return true;
    b->failed = false;
    b->len = before;
    return false;
}

static void own_gateway(const struct report_sources *s, const struct report_rates *r,
                        struct buf *b)
{
    size_t before = b->len;
    struct journal_stats j;
    struct pipeline_stats p;
    struct engine_stats e;
    journal_stats(s->journal, &j);
    pipeline_stats(s->pipeline, &p);
    engine_stats(pipeline_engine(s->pipeline), &e);
    own_series(s, b, "gaihou_gateway", NULL, NULL);
    own_d(b, "messages_s", r->messages_s);
    own_d(b, "points_s", r->points_s);
    own_d(b, "lag_s", p.lag_seconds);
    own_u(b, "unread", p.unread);
    own_u(b, "journal_bytes", j.bytes);
    own_u(b, "devices_seen", e.devices_seen);
    own_u(b, "balanced", report_balanced(s));
    (void)own_line(b, before);
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_stats k;
        before = b->len;
        sink_stats(s->sinks[i], &k);
        own_series(s, b, "gaihou_gateway", "sink", k.id);
        own_u(b, "pending_lines", k.pending_lines);
        own_u(b, "log_bytes", k.log_bytes);
        own_u(b, "accepted", k.accepted);
        own_u(b, "refused", k.refused);
        own_u(b, "shed", k.shed);
        own_u(b, "up", k.problem[0] == '\0');
        if (k.backfill_to_ms > 0) {
            own_u(b, "backfill_from", (uint64_t)k.backfill_from_ms);
            own_u(b, "backfill_to", (uint64_t)k.backfill_to_ms);
        }
        (void)own_line(b, before);
    }
}

static bool own_ledger(const struct report_sources *s, const struct ledger_row *row,
                       struct buf *b)
{
    size_t before = b->len;
    own_series(s, b, "gaihou_ledger", "compound", row->compound);
    for (int c = 0; c < LEDGER_N; c++) {
        const char *reason = ledger_reason((enum ledger_count)c);
        char key[64];
        (void)snprintf(key, sizeof(key), "%s%s%s", ledger_class((enum ledger_count)c),
                       reason[0] ? "_" : "", reason);
        own_u(b, key, row->n[c]);
    }
    return own_line(b, before);
}

bool report_own(const struct report_sources *s, const struct report_rates *r, size_t *at,
                struct buf *b)
{
    const struct ledger *l = engine_ledger(pipeline_engine(s->pipeline));
    if (*at == 0)
        own_gateway(s, r, b);
    for (; *at < ledger_rows(l); ++*at) {
        size_t before = b->len;
        if (!own_ledger(s, ledger_at(l, *at), b)) /* whole lines only */
            return before > 0;
    }
    return false;
}
