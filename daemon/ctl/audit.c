/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaihouctl devices audit: runs an engine over what the data folder has of the past, and keeps
 * accounts of what comes out (core/audit.h). What is good, bad or told twice is the engine's
 * word, the same as when it was alive.
 */
#include "ctl/audit.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"
#include "core/audit.h"
#include "core/engine.h"
#include "core/text.h"
#include "ctl/exit.h"
#include "ctl/history.h"
#include "ctl/message.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SPEAKERS 256 /* devices of one message that are told apart */
#define DAY_S        86400

struct speaker {
    const struct device *device;
    unsigned samples, points;
    struct audit_counts n;
};

struct run {
    struct history h;
    struct audit *audit;
    struct engine *engine;
    struct world *world;
    struct message message;
    struct speaker speakers[MAX_SPEAKERS];
    size_t n_speakers;
    int64_t from_ms, to_ms, now_ms, first_ms;
    bool gone; /* a generation's files were not there */
};

/* -- who speaks ----------------------------------------------------------------------------- */

static struct speaker *speaker_of(struct run *x, const struct device *d)
{
    for (size_t i = 0; i < x->n_speakers; i++)
        if (x->speakers[i].device == d)
            return &x->speakers[i];
    if (x->n_speakers == MAX_SPEAKERS)
        return NULL;
    x->speakers[x->n_speakers] = (struct speaker){.device = d};
    return &x->speakers[x->n_speakers++];
}

/* Who speaks from another compound's topic goes to quarantine: no sign of the device's life. */
static void add_speaker(struct run *x, const char *name, size_t len, const char *compound,
                        size_t compound_len)
{
    const struct registry *g = x->world->registry;
    const struct device *d = registry_find_said(g, name, len);
    if (d && compound && !registry_same_compound(g, d, compound, compound_len))
        return;
    struct speaker *s = d && !d->retired ? speaker_of(x, d) : NULL;
    if (s)
        s->samples++;
}

/* The devices that a message speaks for, as the engine finds them. */
static void find_speakers(struct run *x, const struct record *r)
{
    uint32_t hits[ROUTE_MAX_HITS];
    unsigned broker =
        r->type == RECORD_REINJECT ? (unsigned)x->world->conf->n_brokers : r->broker;
    size_t n = world_route(x->world, broker, r->topic, r->topic_len, hits);
    struct message *m = &x->message;
    x->n_speakers = 0;
    if ((r->flags & RECORD_RETAIN) && r->type == RECORD_MESSAGE)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct world_source *s = &x->world->sources[hits[i]];
        struct message_in in = {.profile = s->profile,
                                .compiled = s->topic,
                                .topic = r->topic,
                                .topic_len = r->topic_len,
                                .payload = r->body,
                                .len = r->body_len,
                                .received_ms = r->wall_ns / 1000000};
        if (!message_decode(m, &in) || m->verdict.outcome == PROFILE_NOT_MINE)
            continue;
        const struct topic_capture *id = topic_get(&m->match, "device"),
                                   *at = topic_get(&m->match, "compound");
        const char *in_topic = at ? at->p : NULL;
        size_t n_topic = at ? at->n : 0;
        for (size_t k = 0; k < m->decoded.n_samples; k++) {
            const struct decoded_sample *one = &m->decoded.samples[k];
            const char *compound = one->compound ? one->compound : in_topic;
            size_t n_compound = one->compound ? one->compound_len : n_topic;
            if (one->device && !one->not_alive)
                add_speaker(x, one->device, one->device_len, compound, n_compound);
            else if (!one->device && id)
                add_speaker(x, id->p, id->n, compound, n_compound);
        }
        if (m->verdict.outcome == PROFILE_IGNORED && m->verdict.device)
            add_speaker(x, m->verdict.device, m->verdict.device_len, in_topic, n_topic);
        else if (!s->profile && m->decoded.n_samples == 0 && id)
            /* an empty or unreadable message is a sign of life */
            add_speaker(x, id->p, id->n, in_topic, n_topic);
        return;
    }
}

/* -- what the engine says -------------------------------------------------------------------- */

static void on_point(void *ctx, const struct point *p)
{
    static const char mark[] = ",device=";
    struct run *x = ctx;
    const char *end = p->series + p->series_len;
    if (p->series_len > 7 && memcmp(p->series, "gaihou_", 7) == 0)
        return;
    const char *at = memmem(p->series, p->series_len, mark, sizeof(mark) - 1);
    const char *comma = memchr(p->series, ',', p->series_len);
    if (!at || !comma)
        return;
    at += sizeof(mark) - 1;
    const char *stop = memchr(at, ',', (size_t)(end - at));
    const struct device *d =
        registry_find(x->world->registry, at, (size_t)((stop ? stop : end) - at));
    struct speaker *s = d ? speaker_of(x, d) : NULL;
    if (!s)
        return;
    bool bad = comma - p->series > 4 && memcmp(comma - 4, "_bad", 4) == 0;
    s->points++;
    for (size_t i = 0; i < p->n_fields; i++) {
        const struct field *f = &p->fields[i];
        if (!bad && f->key_len == 9 && memcmp(f->key, "uncertain", 9) == 0)
            continue; /* says why others are: no value of its own */
        bool raw = bad && f->key_len > 4 && memcmp(f->key + f->key_len - 4, "_raw", 4) == 0;
        s->n.values += !raw || p->n_fields == 1;
        s->n.bad += bad && (!raw || p->n_fields == 1);
    }
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    (void)ctx;
    (void)l;
}

static void on_step(void *ctx, const struct position *at)
{
    (void)ctx;
    (void)at;
}

/* Counters that the engine keeps of all devices together. */
struct marks {
    uint64_t clock, messages, points; /* the two: duplicates */
};

static struct marks marks_of(const struct run *x)
{
    struct engine_stats s;
    struct marks m = {0};
    const struct ledger *l = engine_ledger(x->engine);
    engine_stats(x->engine, &s);
    m.clock = s.times_replaced + s.times_corrected + s.times_unread;
    /* compounds are few against messages only if they are looked at where they can have changed */
    for (size_t i = 0; i < ledger_rows(l); i++) {
        const struct ledger_row *r = ledger_at(l, i);
        m.messages += r->n[LEDGER_DUPLICATE];
        m.points += r->n[LEDGER_POINTS_DUPLICATE];
    }
    return m;
}

/* What was counted while this message passed belongs to whom it spoke for; of several, to those
 * whose samples made no point. */
static void share(struct run *x, const struct marks *before, const struct marks *after)
{
    uint64_t twice = after->points - before->points, clock = after->clock - before->clock;
    bool whole = after->messages > before->messages;
    for (size_t i = 0; i < x->n_speakers; i++) {
        struct speaker *s = &x->speakers[i];
        uint64_t room = s->samples > s->points ? s->samples - s->points : 0;
        uint64_t mine = whole ? s->samples : x->n_speakers == 1 || room > twice ? twice : room;
        s->n.duplicates += mine;
        twice -= mine < twice ? mine : twice;
        uint64_t wrong = x->n_speakers == 1 || clock < s->samples ? clock : s->samples;
        s->n.clock += wrong;
        clock -= wrong;
    }
}

static void message(struct run *x, const struct record *r)
{
    find_speakers(x, r);
    struct marks before = marks_of(x);
    engine_record(x->engine, r);
    struct marks after = marks_of(x);
    share(x, &before, &after);
    for (size_t i = 0; i < x->n_speakers; i++) {
        struct speaker *s = &x->speakers[i];
        bool live = r->type == RECORD_MESSAGE;
        s->n.messages = live; /* what was taken up again is history, and no sign of life */
        audit_spoke(x->audit, s->device, live ? r->broker : AUDIT_ALL,
                    live ? x->now_ms : r->wall_ns / 1000000, &s->n);
    }
}

/* -- the run ----------------------------------------------------------------------------------- */

static void stand_in(struct run *x, struct world *w)
{
    struct world *old = x->world;
    engine_use(x->engine, w);
    audit_registry(x->audit, w->registry, x->now_ms);
    x->world = w;
    world_free(old);
}

static void generation(struct run *x, const struct record *r)
{
    engine_record(x->engine, r);
    if (r->body_len == 38 && memcmp(r->body + 6, x->world->hash, 32) == 0)
        return;
    struct world *w = history_world(&x->h, r);
    x->gone |= !w;
    if (w)
        stand_in(x, w);
}

static void record(struct run *x, const struct record *r)
{
    int64_t was = x->now_ms;
    if (r->type != RECORD_REINJECT)
        x->now_ms = r->wall_ns / 1000000;
    if (!x->first_ms)
        audit_registry(x->audit, x->world->registry, x->first_ms = x->now_ms);
    switch (r->type) {
    case RECORD_MESSAGE:
    case RECORD_REINJECT:
        message(x, r);
        return;
    case RECORD_GENERATION:
        generation(x, r);
        return;
    case RECORD_START: /* down since the last record */
        audit_link(x->audit, AUDIT_ALL, false, was ? was : x->now_ms);
        audit_link(x->audit, AUDIT_ALL, true, x->now_ms);
        break;
    case RECORD_LINK_UP:
    case RECORD_LINK_DOWN:
        if (record_was_moment(r))
            audit_link_again(x->audit, r->broker);
        audit_link(x->audit, r->broker, r->type == RECORD_LINK_UP, x->now_ms);
        break;
    case RECORD_STOP:
    case RECORD_CLOCK_STEP:
    case RECORD_STATS:
    case RECORD_COMMAND:
    case RECORD_STREAM:
    case RECORD_PRESENCE:
    case RECORD_TIME:
    case RECORD_END:
        break;
    }
    engine_record(x->engine, r);
}

static int walk(struct run *x)
{
    struct record r;
    for (;;) {
        int got = history_read(&x->h, &r);
        if (got == 1)
            record(x, &r);
        else if (got == -EBADMSG)
            engine_rot(x->engine, r.offset, r.end, r.messages);
        else if (got == 0)
            break;
        else
            return got;
        if (x->now_ms >= x->to_ms)
            break;
    }
    audit_end(x->audit, x->now_ms < x->to_ms ? x->now_ms : x->to_ms);
    return 0;
}

/* -- the period -------------------------------------------------------------------------------- */

/* Days since 1970 of a civil date (proleptic Gregorian). */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* The first moment of a local day. */
static int64_t midnight(const struct zone *z, int64_t days)
{
    int64_t ms = days * DAY_S * 1000;
    int64_t guess = ms - (int64_t)zone_offset_at(z, ms) * 1000;
    return ms - (int64_t)zone_offset_at(z, guess) * 1000;
}

static bool digits(const char *s, size_t n, int64_t *out)
{
    uint64_t v;
    if (num_get_u64(s, n, &v) != 0 || v > 9999)
        return false;
    *out = (int64_t)v;
    return true;
}

/* "2026-11-20" or, as a month, "2026-11": its first day and the day after its last. */
static bool span_of(const char *s, size_t n, int64_t *out_first, int64_t *out_after)
{
    int64_t y, m, d = 1;
    bool month = n == 7;
    if ((!month && n != 10) || s[4] != '-' || !digits(s, 4, &y) || !digits(s + 5, 2, &m) ||
        m < 1 || m > 12)
        return false;
    if (!month && (s[7] != '-' || !digits(s + 8, 2, &d) || !text_is_date(s, n)))
        return false;
    *out_first = days_of(y, m, d);
    *out_after = month ? days_of(m == 12 ? y + 1 : y, m == 12 ? 1 : m + 1, 1) : *out_first + 1;
    return true;
}

/* last_ms: the newest record; "7d" are the days up to it. */
static bool period_of(const char *p, const struct zone *z, int64_t last_ms, int64_t *out_from,
                      int64_t *out_to)
{
    int64_t a, b, unused;
    uint32_t seconds;
    const char *dots = strstr(p, "..");
    size_t n = strlen(p);
    if (n > 1 && p[n - 1] != 'd' ? false : text_seconds(p, n, &seconds)) {
        *out_to = last_ms + 1;
        *out_from = *out_to - (int64_t)seconds * 1000;
        return true;
    }
    bool good = dots ? span_of(p, (size_t)(dots - p), &a, &unused) &&
                           span_of(dots + 2, strlen(dots + 2), &unused, &b) && b > a
                     : span_of(p, n, &a, &b);
    if (!good)
        return false;
    *out_from = midnight(z, a);
    *out_to = midnight(z, b);
    return true;
}

/* -- telling ----------------------------------------------------------------------------------- */

static const char *percent(char room[16], double part, double whole)
{
    if (whole <= 0)
        return "";
    (void)snprintf(room, 16, "%.2f", 100 * part / whole);
    return room;
}

static const char *count(char room[24], uint64_t v)
{
    room[num_put_u64(room, v)] = '\0';
    return room;
}

static const char *hours(char room[24], int64_t ms)
{
    (void)snprintf(room, 24, "%.1f", (double)ms / 3600000);
    return room;
}

struct words {
    char devices[24], spoke[24], availability[16], silences[24], longest[24], messages[24],
        values[24], bad[24], bad_pct[16], clock[24], duplicates[24];
};

static void say(const struct audit_row *r, struct words *w)
{
    (void)count(w->devices, r->devices);
    (void)count(w->spoke, r->spoke);
    w->availability[0] = w->bad_pct[0] = '\0';
    (void)percent(w->availability, (double)(r->watched_ms - r->silent_ms),
                  (double)r->watched_ms);
    (void)count(w->silences, r->silences);
    (void)hours(w->longest, r->longest_ms);
    (void)count(w->messages, r->n.messages);
    (void)count(w->values, r->n.values);
    (void)count(w->bad, r->n.bad);
    (void)percent(w->bad_pct, (double)r->n.bad, (double)r->n.values);
    (void)count(w->clock, r->n.clock);
    (void)count(w->duplicates, r->n.duplicates);
}

static const char *or_dash(const char *s)
{
    return *s ? s : "-";
}

static void print_table(const struct audit_row *rows, size_t n, bool by_device)
{
    struct ctl_table *t = ctl_table_new(
        by_device ? "DEVICE|VENDOR|MODEL|COMPOUND|AVAIL. %>|SILENCES>|LONGEST h>|MESSAGES>|"
                    "VALUES>|BAD %>|CLOCK>|TWICE>"
                  : "VENDOR|MODEL|DEVICES>|SPOKE>|AVAIL. %>|SILENCES>|LONGEST h>|MESSAGES>|"
                    "VALUES>|BAD %>|CLOCK>|TWICE>");
    for (size_t i = 0; i < n; i++) {
        const struct audit_row *r = &rows[i];
        struct words w;
        say(r, &w);
        const char *cells[] = {by_device ? r->device : or_dash(r->vendor),
                               by_device ? or_dash(r->vendor) : or_dash(r->model),
                               by_device ? or_dash(r->model) : w.devices,
                               by_device ? r->compound : w.spoke,
                               or_dash(w.availability),
                               w.silences,
                               w.longest,
                               w.messages,
                               w.values,
                               or_dash(w.bad_pct),
                               w.clock,
                               w.duplicates};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void csv_cell(const char *s, char end)
{
    bool quote = s[strcspn(s, ",\"\r\n")] != '\0';
    if (quote)
        (void)putchar('"');
    for (; *s; s++) {
        if (*s == '"')
            (void)putchar('"');
        (void)putchar(*s);
    }
    if (quote)
        (void)putchar('"');
    (void)putchar(end);
}

static void print_csv(const struct audit_row *rows, size_t n)
{
    printf("vendor,model,device,compound,kind,devices,spoke,availability_pct,silences,"
           "longest_silence_h,messages,values,bad,bad_pct,clock_errors,duplicates\n");
    for (size_t i = 0; i < n; i++) {
        const struct audit_row *r = &rows[i];
        struct words w;
        say(r, &w);
        const char *cells[] = {r->vendor,  r->model,  r->device,  r->compound,
                               r->kind,    w.devices, w.spoke,    w.availability,
                               w.silences, w.longest, w.messages, w.values,
                               w.bad,      w.bad_pct, w.clock,    w.duplicates};
        for (size_t k = 0; k < 16; k++)
            csv_cell(cells[k], k < 15 ? ',' : '\n');
    }
}

static void print_json(const struct run *x, const struct audit_row *rows, size_t n)
{
    struct buf b;
    struct jsonw w;
    char stamp[STAMP_SIZE];
    buf_init(&b, (size_t)256 << 20);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    stamp_format(stamp, x->from_ms, zone_offset_at(x->world->zone, x->from_ms));
    jsonw_str(&w, "from", stamp);
    stamp_format(stamp, x->to_ms, zone_offset_at(x->world->zone, x->to_ms));
    jsonw_str(&w, "to", stamp);
    jsonw_array(&w, "rows");
    for (size_t i = 0; i < n; i++) {
        const struct audit_row *r = &rows[i];
        jsonw_object(&w, NULL);
        jsonw_str(&w, "vendor", r->vendor);
        jsonw_str(&w, "model", r->model);
        if (*r->device) {
            jsonw_str(&w, "device", r->device);
            jsonw_str(&w, "compound", r->compound);
            jsonw_str(&w, "kind", r->kind);
        }
        jsonw_u64(&w, "devices", r->devices);
        jsonw_u64(&w, "spoke", r->spoke);
        jsonw_i64(&w, "watched_ms", r->watched_ms);
        jsonw_i64(&w, "silent_ms", r->silent_ms);
        jsonw_u64(&w, "silences", r->silences);
        jsonw_i64(&w, "longest_silence_ms", r->longest_ms);
        jsonw_u64(&w, "messages", r->n.messages);
        jsonw_u64(&w, "values", r->n.values);
        jsonw_u64(&w, "bad", r->n.bad);
        jsonw_u64(&w, "clock_errors", r->n.clock);
        jsonw_u64(&w, "duplicates", r->n.duplicates);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    (void)fwrite(b.data, 1, b.len, stdout);
    (void)putchar('\n');
    buf_done(&b);
}

static void warn(const struct run *x)
{
    char stamp[STAMP_SIZE];
    int32_t offset = zone_offset_at(x->world->zone, x->first_ms);
    stamp_format(stamp, x->first_ms, offset);
    if (x->first_ms > x->from_ms)
        (void)fprintf(stderr,
                      "gaihouctl: what the folder has begins at %s: the audit does, too\n",
                      stamp);
    stamp_format(stamp, x->now_ms, offset);
    if (x->now_ms < x->to_ms - 1)
        (void)fprintf(stderr, "gaihouctl: … and ends at %s\n", stamp);
    if (x->gone)
        (void)fprintf(
            stderr, "gaihouctl: some generations of the registry are gone: their time was read "
                    "with the one before\n");
}

/* -- the command ------------------------------------------------------------------------------- */

struct request {
    struct audit_filter filter;
    const char *period, *dir;
    bool csv, json;
};

static bool options(struct request *q, int argc, char **argv)
{
    *q = (struct request){.dir = "/var/lib/gaihou"};
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i], *eq = strchr(a, '=');
        size_t n = eq ? (size_t)(eq - a) : strlen(a);
        struct {
            const char *name;
            const char **to;
        } texts[] = {{"--vendor", &q->filter.vendor},
                     {"--model", &q->filter.model},
                     {"--compound", &q->filter.compound},
                     {"--period", &q->period},
                     {"--dir", &q->dir}};
        bool *flag = strcmp(a, "--csv") == 0         ? &q->csv
                     : strcmp(a, "--json") == 0      ? &q->json
                     : strcmp(a, "--by-device") == 0 ? &q->filter.by_device
                                                     : NULL;
        if (flag) {
            *flag = true;
            continue;
        }
        size_t k = 0;
        while (k < 5 && (strlen(texts[k].name) != n || strncmp(texts[k].name, a, n) != 0))
            k++;
        if (k == 5 || (!eq && i + 1 == argc))
            return false;
        *texts[k].to = eq ? eq + 1 : argv[++i];
    }
    return q->period != NULL;
}

/* The folder from the period's beginning on; the period needs a world's zone, so the live journal
 * is opened first. */
static int open_history(struct run *x, const struct request *q)
{
    int code = history_open(&x->h, q->dir, INT64_MAX);
    if (code != CTL_DONE)
        return code;
    x->world = history_first_world(&x->h);
    if (!x->world)
        return CTL_REFUSED;
    if (!period_of(q->period, x->world->zone, x->h.recovery.last_wall_ns / 1000000, &x->from_ms,
                   &x->to_ms)) {
        (void)fprintf(stderr,
                      "gaihouctl: --period \"%s\", expected 2026-11, 2026-11-20, "
                      "2026-11-01..2026-11-15 or 7d\n",
                      q->period);
        return CTL_USAGE;
    }
    world_free(x->world);
    x->world = NULL;
    history_close(&x->h);
    code = history_open(&x->h, q->dir, x->from_ms);
    if (code != CTL_DONE)
        return code;
    x->world = history_first_world(&x->h);
    return x->world ? CTL_DONE : CTL_REFUSED;
}

static int open_all(struct run *x, const struct request *q)
{
    int code = open_history(x, q);
    if (code != CTL_DONE)
        return code;
    x->audit = audit_new(x->from_ms, x->to_ms);
    x->engine = engine_new(&(struct engine_out){.ctx = x,
                                                .point = on_point,
                                                .letter = on_letter,
                                                .step = on_step,
                                                .step_end = on_step});
    engine_use(x->engine, x->world);
    return CTL_DONE;
}

static void print(struct run *x, const struct request *q)
{
    const struct audit_row *rows;
    size_t n = audit_rows(x->audit, &q->filter, &rows);
    if (q->json)
        print_json(x, rows, n);
    else if (q->csv)
        print_csv(rows, n);
    else
        print_table(rows, n, q->filter.by_device);
    warn(x);
}

int ctl_audit(int argc, char **argv)
{
    struct request q;
    if (!options(&q, argc - 1, argv + 1)) {
        (void)usage_print(stderr, "devices", "audit");
        return CTL_USAGE;
    }
    struct run *x = mem_zalloc(sizeof(*x));
    message_init(&x->message);
    int code = open_all(x, &q);
    if (code == CTL_DONE) {
        int r = walk(x);
        if (r < 0) {
            (void)fprintf(stderr, "gaihouctl: %s: %s\n", q.dir, strerror(-r));
            code = CTL_REFUSED;
        } else {
            print(x, &q);
        }
    }
    engine_free(x->engine);
    audit_free(x->audit);
    message_done(&x->message);
    world_free(x->world);
    history_close(&x->h);
    free(x);
    return code;
}
