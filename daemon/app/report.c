/* SPDX-License-Identifier: Apache-2.0 */
#include "app/report_private.h"
#include "base/stamp.h"
#include "core/strange.h"
#include "io/clock.h"

#include <stdio.h>
#include <string.h>

#define MAX_TESTS      100
#define MANY_SNAPSHOTS 3 /* that failed, one after the other: no accident */

void report_sink_sums(struct sink *s, struct sink_sums *out)
{
    const struct outbound_share *shares;
    const struct block_share *open;
    size_t n = outbound_shares(sink_outbound(s), &shares);
    *out = (struct sink_sums){0};
    for (size_t i = 0; i < n; i++) {
        out->made += shares[i].made;
        out->accepted += shares[i].accepted;
        out->refused += shares[i].refused;
        out->shed += shares[i].shed;
    }
    n = sink_open_shares(s, &open);
    for (size_t i = 0; i < n; i++) {
        out->made += open[i].lines + open[i].unwritable;
        out->refused += open[i].unwritable;
    }
    out->pending = out->made - out->accepted - out->refused - out->shed;
}

void report_left_out(const struct sink_stats *s, struct report_left_out out[REPORT_LEFT_OUT])
{
    const struct lineproto_refused *r = &s->left_out;
    out[0] = (struct report_left_out){"string", r->string};
    out[1] = (struct report_left_out){"too_long", r->too_long};
    /* none of the engine's points has such a field (core/lineproto.h): were it ours to see, it
     * were a fault of ours, and would be told */
    out[2] = (struct report_left_out){"other", r->not_finite + r->bad_key + r->duplicate};
}

void report_rates_feed(struct report_rates *r, const struct report_sources *s, double seconds)
{
    struct engine_stats e;
    engine_stats(pipeline_engine(s->pipeline), &e);
    uint64_t messages = s->ingest ? ingest_appends(s->ingest) : 0;
    if (r->fed) {
        r->messages_s = (double)(messages - r->messages) / seconds;
        r->points_s = (double)(e.points - r->points) / seconds;
    }
    r->messages = messages;
    r->points = e.points;
    for (size_t i = 0; i < s->n_sinks && i < 64; i++) {
        struct sink_stats k;
        sink_stats(s->sinks[i], &k);
        r->sink_s[i] = r->fed ? (double)(k.accepted - r->sink_accepted[i]) / seconds : 0;
        r->sink_accepted[i] = k.accepted;
    }
    for (size_t i = 0; s->ingest && i < ingest_brokers(s->ingest) && i < 16; i++) {
        struct mqtt_stats m;
        ingest_stats(s->ingest, i, &m);
        r->broker_s[i] = (double)(m.messages - r->broker_messages[i]) / seconds;
        r->broker_messages[i] = m.messages;
    }
    r->fed = true;
}

/* -- the ledger --------------------------------------------------------------------------- */

bool report_balanced(const struct report_sources *s)
{
    const struct ledger *l = engine_ledger(pipeline_engine(s->pipeline));
    struct ledger_row total;
    for (size_t i = 0; i < ledger_rows(l); i++)
        if (!ledger_balanced(ledger_at(l, i)))
            return false;
    ledger_total(l, &total);
    uint64_t made = total.n[LEDGER_POINTS_MADE] + total.n[LEDGER_POINTS_OWN];
    struct position at = engine_position(pipeline_engine(s->pipeline));
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_sums k;
        struct position end = sink_end(s->sinks[i]);
        if (position_cmp(&end, &at) > 0)
            continue; /* the replay has not come to what this sink has already: nothing to compare */
        report_sink_sums(s->sinks[i], &k);
        if (k.made + s->sinks_before[i] != made)
            return false;
    }
    return true;
}

static void ledger_counts(struct jsonw *w, const struct ledger_row *r, bool points)
{
    jsonw_object(w, points ? "points" : "messages");
    for (int c = 0; c < LEDGER_N; c++) {
        enum ledger_count count = (enum ledger_count)c;
        char key[64];
        const char *class_ = ledger_class(count), *reason = ledger_reason(count);
        if ((strncmp(class_, "points_", 7) == 0) != points)
            continue;
        (void)snprintf(key, sizeof(key), reason[0] ? "%s{%s}" : "%s",
                       points ? class_ + 7 : class_, reason);
        jsonw_u64(w, key, r->n[c]);
    }
    jsonw_end_object(w);
}

/* Of the refused lines, those that the database took when they were sent once more. */
static uint64_t retaken_of(const struct store_stats *t, const char *sink)
{
    for (size_t i = 0; i < STORE_SINKS && t->retaken[i].sink[0]; i++)
        if (strcmp(t->retaken[i].sink, sink) == 0)
            return t->retaken[i].lines;
    return 0;
}

static void ledger_sinks(struct jsonw *w, const struct report_sources *s)
{
    struct store_stats store;
    store_stats(s->store, &store);
    jsonw_object(w, "sinks");
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_stats st;
        struct sink_sums k;
        const struct outbound_reason *reasons;
        sink_stats(s->sinks[i], &st);
        report_sink_sums(s->sinks[i], &k);
        size_t n = outbound_reasons(sink_outbound(s->sinks[i]), &reasons);
        jsonw_object(w, st.id);
        jsonw_u64(w, "before", s->sinks_before[i]);
        jsonw_u64(w, "made", k.made);
        jsonw_u64(w, "accepted", k.accepted);
        jsonw_u64(w, "refused", k.refused);
        jsonw_object(w, "refused_by");
        for (size_t j = 0; j < n; j++)
            jsonw_u64(w, reasons[j].reason, reasons[j].lines);
        jsonw_end_object(w);
        jsonw_u64(w, "retaken", retaken_of(&store, st.id));
        jsonw_u64(w, "shed", k.shed);
        jsonw_u64(w, "pending", k.pending);
        jsonw_end_object(w);
    }
    jsonw_end_object(w);
}

static void ledger_body(struct jsonw *w, const struct report_sources *s)
{
    const struct ledger *l = engine_ledger(pipeline_engine(s->pipeline));
    struct pipeline_stats p;
    struct ledger_row total;
    pipeline_stats(s->pipeline, &p);
    ledger_total(l, &total);
    ledger_counts(w, &total, false);
    jsonw_u64(w, "unread", p.unread);
    ledger_counts(w, &total, true);
    ledger_sinks(w, s);
    jsonw_bool(w, "balanced", report_balanced(s));
}

static void compound_sinks(struct jsonw *w, const struct report_sources *s,
                           const char *compound)
{
    jsonw_object(w, "sinks");
    for (size_t i = 0; i < s->n_sinks; i++) {
        const struct outbound_share *shares;
        const struct block_share *open;
        struct sink_stats st;
        uint64_t made = 0, accepted = 0, refused = 0, shed = 0;
        sink_stats(s->sinks[i], &st);
        size_t n = outbound_shares(sink_outbound(s->sinks[i]), &shares);
        for (size_t k = 0; k < n; k++) {
            if (strcmp(shares[k].compound, compound) != 0)
                continue;
            made += shares[k].made;
            accepted += shares[k].accepted;
            refused += shares[k].refused;
            shed += shares[k].shed;
        }
        n = sink_open_shares(s->sinks[i], &open);
        for (size_t k = 0; k < n; k++) {
            if (strcmp(open[k].compound, compound) != 0)
                continue;
            made += open[k].lines + open[k].unwritable;
            refused += open[k].unwritable;
        }
        jsonw_object(w, st.id);
        jsonw_u64(w, "made", made);
        jsonw_u64(w, "accepted", accepted);
        jsonw_u64(w, "refused", refused);
        jsonw_u64(w, "shed", shed);
        jsonw_u64(w, "pending", made - accepted - refused - shed);
        jsonw_end_object(w);
    }
    jsonw_end_object(w);
}

void report_ledger(const struct report_sources *s, struct buf *out)
{
    const struct ledger *l = engine_ledger(pipeline_engine(s->pipeline));
    struct jsonw w;
    jsonw_init(&w, out);
    jsonw_object(&w, NULL);
    jsonw_object(&w, "total");
    ledger_body(&w, s);
    jsonw_end_object(&w);
    jsonw_array(&w, "compounds");
    for (size_t i = 0; i < ledger_rows(l); i++) {
        const struct ledger_row *r = ledger_at(l, i);
        jsonw_object(&w, NULL);
        jsonw_str(&w, "compound", r->compound);
        ledger_counts(&w, r, false);
        ledger_counts(&w, r, true);
        compound_sinks(&w, s, r->compound);
        jsonw_bool(&w, "balanced", ledger_balanced(r));
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
}

/* -- status ------------------------------------------------------------------------------- */

static void status_problems(struct jsonw *w, const struct report_sources *s, unsigned *out_n)
{
    char text[1000];
    unsigned n = 0;
    jsonw_array(w, "problems");
    for (size_t i = 0; s->ingest && i < ingest_brokers(s->ingest); i++) {
        struct mqtt_stats m;
        ingest_stats(s->ingest, i, &m);
        if (m.problem[0] || (m.wanted && !m.connected)) {
            (void)snprintf(text, sizeof(text), "broker %s: %s%s", s->conf->brokers[i].id,
                           m.problem[0] ? m.problem : "not connected yet to ",
                           m.problem[0] ? "" : m.server);
            jsonw_str(w, NULL, text);
            n++;
        }
    }
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_stats k;
        sink_stats(s->sinks[i], &k);
        if (k.problem[0]) {
            (void)snprintf(text, sizeof(text), "sink %s: %s", k.id, k.problem);
            jsonw_str(w, NULL, text);
            n++;
        }
    }
    if (s->tell) {
        struct tell_stats t;
        tell_stats(s->tell, &t);
        if (t.problem[0]) {
            (void)snprintf(text, sizeof(text), "alerts: %s", t.problem);
            jsonw_str(w, NULL, text);
            n++;
        }
    }
    if (s->ingest && ingest_held(s->ingest)) {
        jsonw_str(w, NULL, ingest_held(s->ingest));
        n++;
    }
    struct pipeline_stats p;
    pipeline_stats(s->pipeline, &p);
    if (p.snapshots_failed_in_row >= MANY_SNAPSHOTS) {
        (void)snprintf(
            text, sizeof(text),
            "snapshot: the last %llu could not be written: %s; the journal keeps all "
            "since then",
            (unsigned long long)p.snapshots_failed_in_row, p.snapshot_problem);
        jsonw_str(w, NULL, text);
        n++;
    }
    double ahead = 0;
    if (engine_clock_doubted(pipeline_engine(s->pipeline), &ahead)) {
        (void)snprintf(
            text, sizeof(text),
            "clock: a step of %+.0f s is not confirmed; points are stamped as before it",
            ahead);
        jsonw_str(w, NULL, text);
        n++;
    }
    if (!report_balanced(s)) {
        jsonw_str(w, NULL, "ledger: the sums do not hold; please report this");
        n++;
    }
    jsonw_end_array(w);
    *out_n = n;
}

static void status_brokers(struct jsonw *w, const struct report_sources *s,
                           const struct report_rates *r)
{
    int64_t now = clock_wall_ns();
    jsonw_array(w, "brokers");
    for (size_t i = 0; s->ingest && i < ingest_brokers(s->ingest); i++) {
        struct mqtt_stats m;
        ingest_stats(s->ingest, i, &m);
        jsonw_object(w, NULL);
        jsonw_str(w, "id", s->conf->brokers[i].id);
        jsonw_bool(w, "connected", m.connected);
        jsonw_str(w, "version", m.version == 5 ? "5" : m.version == 4 ? "3.1.1" : "");
        jsonw_str(w, "server", m.server);
        jsonw_double(w, "rate", i < 16 ? r->broker_s[i] : 0);
        jsonw_u64(w, "messages", m.messages);
        jsonw_u64(w, "connects", m.connects);
        jsonw_u64(w, "losses", m.losses);
        if (m.last_message_wall_ns > 0)
            jsonw_double(w, "last_message_age_s", (double)(now - m.last_message_wall_ns) / 1e9);
        else
            jsonw_null(w, "last_message_age_s");
        jsonw_str(w, "problem", m.problem);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void status_sinks(struct jsonw *w, const struct report_sources *s,
                         const struct report_rates *r)
{
    int64_t now = clock_wall_ns();
    jsonw_array(w, "sinks");
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_stats k;
        struct report_left_out left[REPORT_LEFT_OUT];
        sink_stats(s->sinks[i], &k);
        jsonw_object(w, NULL);
        jsonw_str(w, "id", k.id);
        jsonw_str(w, "type", k.type);
        jsonw_str(w, "state", k.state);
        jsonw_str(w, "problem", k.problem);
        jsonw_u64(w, "pending_lines", k.pending_lines);
        jsonw_u64(w, "open_lines", k.open_lines);
        jsonw_u64(w, "in_flight", k.in_flight);
        jsonw_u64(w, "held", k.held);
        jsonw_u64(w, "log_bytes", k.log_bytes);
        jsonw_u64(w, "max_bytes", k.max_bytes);
        jsonw_u64(w, "accepted", k.accepted);
        jsonw_u64(w, "refused", k.refused);
        jsonw_u64(w, "shed", k.shed);
        jsonw_object(w, "fields_left_out");
        report_left_out(&k, left);
        for (size_t j = 0; j < REPORT_LEFT_OUT; j++)
            jsonw_u64(w, left[j].reason, left[j].n);
        jsonw_end_object(w);
        jsonw_double(w, "rate", i < 64 ? r->sink_s[i] : 0);
        if (k.oldest_pending_wall_ns > 0)
            jsonw_double(w, "oldest_pending_age_s",
                         (double)(now - k.oldest_pending_wall_ns) / 1e9);
        else
            jsonw_null(w, "oldest_pending_age_s");
        if (k.backfill_to_ms > 0) {
            jsonw_object(w, "backfill");
            jsonw_i64(w, "from_ms", k.backfill_from_ms);
            jsonw_i64(w, "to_ms", k.backfill_to_ms);
            jsonw_end_object(w);
        } else {
            jsonw_null(w, "backfill");
        }
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

/* The one that is met most often; all of them: report_strange(). */
static void status_unknown(struct jsonw *w, const struct strange *s)
{
    const struct strange_name *names[STRANGE_NAMES];
    size_t n = strange_list(s, names);
    if (n == 0)
        return;
    jsonw_object(w, "unknown");
    jsonw_str(w, "profile", names[0]->profile);
    jsonw_str(w, "device", names[0]->device);
    jsonw_str(w, "name", names[0]->name);
    jsonw_u64(w, "names", n);
    jsonw_end_object(w);
}

void report_strange(const struct report_sources *s, const char *profile, struct buf *out)
{
    const struct strange *all = engine_strange(pipeline_engine(s->pipeline));
    const struct strange_name *names[STRANGE_NAMES];
    size_t n = strange_list(all, names);
    struct jsonw w;
    jsonw_init(&w, out);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "names");
    for (size_t i = 0; i < n; i++) {
        if (profile && strcmp(profile, names[i]->profile) != 0)
            continue;
        jsonw_object(&w, NULL);
        jsonw_str(&w, "profile", names[i]->profile);
        jsonw_str(&w, "name", names[i]->name);
        jsonw_str(&w, "kind", names[i]->kind[0] ? names[i]->kind : NULL);
        jsonw_str(&w, "device", names[i]->device[0] ? names[i]->device : NULL);
        jsonw_u64(&w, "count", names[i]->count);
        jsonw_i64(&w, "first_ms", names[i]->first_ms);
        jsonw_i64(&w, "last_ms", names[i]->last_ms);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_u64(&w, "not_kept", strange_gone(all));
    jsonw_end_object(&w);
}

static void status_engine(struct jsonw *w, const struct report_sources *s,
                          const struct report_rates *r)
{
    struct pipeline_stats p;
    struct engine_stats e;
    pipeline_stats(s->pipeline, &p);
    engine_stats(pipeline_engine(s->pipeline), &e);
    jsonw_object(w, "engine");
    jsonw_u64(w, "lag_records", p.unread);
    jsonw_double(w, "lag_s", p.lag_seconds);
    jsonw_double(w, "rate", r->messages_s);
    jsonw_double(w, "points_rate", r->points_s);
    jsonw_u64(w, "offset", p.at.offset);
    jsonw_u64(w, "devices_seen", e.devices_seen);
    jsonw_u64(w, "fields_unknown", e.fields_unknown);
    status_unknown(w, engine_strange(pipeline_engine(s->pipeline)));
    jsonw_u64(w, "fields_bad", e.fields_bad);
    jsonw_u64(w, "times_replaced", e.times_replaced);
    jsonw_bool(w, "replaying", p.replaying);
    jsonw_u64(w, "replayed", p.replayed);
    jsonw_double(w, "replay_seconds", p.replay_seconds);
    jsonw_u64(w, "snapshots", p.snapshots);
    jsonw_u64(w, "snapshots_failed", p.snapshots_failed);
    jsonw_u64(w, "snapshots_unforked", p.snapshots_unforked);
    jsonw_u64(w, "snapshot_offset", p.snapshot.offset);
    jsonw_end_object(w);
}

static void status_journal(struct jsonw *w, const struct report_sources *s)
{
    struct journal_stats j;
    journal_stats(s->journal, &j);
    jsonw_object(w, "journal");
    jsonw_u64(w, "first", j.first);
    jsonw_u64(w, "end", j.end);
    jsonw_u64(w, "synced", j.synced);
    jsonw_u64(w, "bytes", j.bytes);
    jsonw_u64(w, "max_bytes", j.max_bytes);
    jsonw_u64(w, "messages", j.messages);
    jsonw_u64(w, "segments", j.segments);
    jsonw_double(w, "sync_s_max", (double)j.sync_ns_max / 1e9);
    jsonw_bool(w, "mapped", j.mapped);
    jsonw_bool(w, "low_space", j.low_space);
    jsonw_end_object(w);
}

static void status_store(struct jsonw *w, const struct report_sources *s)
{
    struct store_stats t;
    store_stats(s->store, &t);
    jsonw_object(w, "store");
    jsonw_u64(w, "commits", t.commits);
    jsonw_double(w, "commit_s_max", (double)t.commit_ns_max / 1e9);
    jsonw_u64(w, "dead_rows", t.dead_rows);
    jsonw_u64(w, "dead_not_kept", t.dead_not_kept);
    jsonw_u64(w, "quarantine_devices", t.quarantine_devices);
    jsonw_u64(w, "quarantine_rows", t.quarantine_rows);
    jsonw_u64(w, "quarantine_not_kept", t.quarantine_not_kept);
    jsonw_str(w, "problem", t.problem);
    jsonw_end_object(w);
}

static void status_tell(struct jsonw *w, const struct report_sources *s)
{
    struct tell_stats t;
    if (!s->tell) {
        jsonw_null(w, "telling");
        return;
    }
    tell_stats(s->tell, &t);
    jsonw_object(w, "telling");
    jsonw_bool(w, "connected", t.connected);
    jsonw_bool(w, "reconciled", t.reconciled);
    jsonw_u64(w, "waiting", t.waiting);
    jsonw_double(w, "oldest_waiting_s", t.oldest_waiting_s);
    jsonw_u64(w, "told", t.told);
    jsonw_u64(w, "epoch", t.epoch);
    jsonw_u64(w, "foreign", t.foreign);
    jsonw_u64(w, "orphaned", t.orphaned);
    jsonw_u64(w, "presence_online", t.presence_online);
    jsonw_u64(w, "presence_absent", t.presence_absent);
    jsonw_str(w, "problem", t.problem);
    jsonw_end_object(w);
}

struct tests { /* as many as people read */
    struct jsonw *w;
    unsigned n;
};

static void status_test(void *ctx, const struct case_test *t)
{
    struct tests *all = ctx;
    char text[STAMP_SIZE];
    if (all->n++ >= MAX_TESTS)
        return;
    jsonw_object(all->w, NULL);
    jsonw_str(all->w, "scope", t->scope);
    jsonw_str(all->w, "by", t->by);
    (void)stamp_format(text, t->since_ms, 0);
    jsonw_str(all->w, "since", t->since_ms ? text : NULL);
    (void)stamp_format(text, t->until_ms, 0);
    jsonw_str(all->w, "until", text);
    jsonw_end_object(all->w);
}

static void status_alarms(struct jsonw *w, const struct report_sources *s)
{
    struct cases_stats c;
    struct alarm_stats a;
    struct store_stats t;
    struct pipeline_stats p;
    cases_stats(engine_cases(pipeline_engine(s->pipeline)), &c);
    alarm_stats(engine_alarm(pipeline_engine(s->pipeline)), &a);
    store_stats(s->store, &t);
    pipeline_stats(s->pipeline, &p);
    jsonw_object(w, "alarms");
    jsonw_u64(w, "open", c.open);
    jsonw_u64(w, "unacknowledged", c.unacknowledged);
    jsonw_u64(w, "shelved", c.shelved);
    jsonw_u64(w, "test", c.test);
    struct tests tests = {.w = w};
    jsonw_array(w, "tests");
    cases_tests(engine_cases(pipeline_engine(s->pipeline)), status_test, &tests);
    jsonw_end_array(w);
    jsonw_u64(w, "tests_in_force", tests.n);
    jsonw_object(w, "by_severity");
    for (int i = SEVERITIES - 1; i >= 0; i--)
        jsonw_u64(w, severity_name((enum severity)i), c.by_severity[i]);
    jsonw_end_object(w);
    jsonw_u64(w, "instances", a.instances);
    jsonw_u64(w, "active", a.active);
    jsonw_u64(w, "pending", a.pending);
    jsonw_u64(w, "silent", a.silent);
    jsonw_u64(w, "flapping", a.flapping);
    jsonw_u64(w, "outbox", t.outbox_rows);
    jsonw_u64(w, "epoch", store_epoch(s->store));
    jsonw_bool(w, "rolled_back", p.rolled_back);
    jsonw_double(w, "commit_s_max", (double)p.alarm_ns_max / 1e9);
    status_tell(w, s);
    jsonw_end_object(w);
}

void report_status(const struct report_sources *s, const struct report_rates *r,
                   struct buf *out)
{
    static const char *const lanes[] = {"all", "routine", "life-safety"};
    struct jsonw w;
    unsigned problems = 0;
    jsonw_init(&w, out);
    jsonw_object(&w, NULL);
    jsonw_str(&w, "gateway", s->conf->gateway.id);
    jsonw_str(&w, "lane", lanes[s->conf->gateway.lane]);
    jsonw_str(&w, "version", GAIHOU_VERSION);
    jsonw_str(&w, "timezone", s->conf->gateway.timezone);
    jsonw_str(&w, "generation", pipeline_newest(s->pipeline)->hash);
    jsonw_double(&w, "uptime_s", (double)(clock_wall_ns() - s->started_wall_ns) / 1e9);
    status_problems(&w, s, &problems);
    jsonw_str(&w, "state", problems ? "degraded" : "ok");
    status_brokers(&w, s, r);
    status_engine(&w, s, r);
    status_journal(&w, s);
    status_sinks(&w, s, r);
    status_store(&w, s);
    status_alarms(&w, s);
    jsonw_object(&w, "ledger");
    ledger_body(&w, s);
    jsonw_end_object(&w);
    jsonw_end_object(&w);
}

void report_gateway(const struct report_sources *s, struct buf *out)
{
    struct jsonw w;
    unsigned n = 0;
    jsonw_init(&w, out);
    jsonw_object(&w, NULL);
    jsonw_str(&w, "gateway", s->conf->gateway.id);
    jsonw_str(&w, "lane", conf_lane_name(s->conf->gateway.lane));
    jsonw_str(&w, "version", GAIHOU_VERSION);
    status_problems(&w, s, &n);
    jsonw_str(&w, "state", n ? "degraded" : "online");
    jsonw_end_object(&w);
}

void report_line(const struct report_sources *s, const struct report_rates *r, char *out,
                 size_t size)
{
    uint64_t pending = 0, up = 0;
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct sink_stats k;
        sink_stats(s->sinks[i], &k);
        pending += k.pending_lines;
    }
    for (size_t i = 0; s->ingest && i < ingest_brokers(s->ingest); i++) {
        struct mqtt_stats m;
        ingest_stats(s->ingest, i, &m);
        up += m.connected;
    }
    (void)snprintf(
        out, size, "%.0f messages/s, %llu of %zu brokers, %llu lines waiting for %zu sinks",
        r->messages_s, (unsigned long long)up, s->ingest ? ingest_brokers(s->ingest) : 0,
        (unsigned long long)pending, s->n_sinks);
}
