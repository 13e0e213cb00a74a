/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer leads to. Nothing leaves the log but by an acceptance, or a line's refusal
 * that is in the store first. */
#include "app/sink_int.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/clock.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_MS      3600000
#define SAID_MOST    300
#define BLOCK_SAY_NS (600 * (uint64_t)SECOND_NS)
#define TURNS_SAID   5 /* troubles within that time; of more, only those are said that last */
#define LASTS_NS     (10 * (uint64_t)SECOND_NS)

/* -- saying it
 * --------------------------------------------------------------------------------- */

/* What the answer means, where it does not say so itself; "" it does. */
static const char *meaning(const struct httpc_answer *a, const struct answer *what)
{
    static const struct {
        const char *reason, *words;
    } known[] = {
        {"not_a_database", "a web page answers and no database: "},
        {"redirect", "it sends us elsewhere, sinks.url must be the database's own: "},
        {"auth", "user name, password or token is not accepted: "},
        {"not_found", "there is no such path: is it a database of this type? "},
    };
    if (a->transport != TRANSPORT_OK)
        return a->error && strstr(a->error, "wrong version number")
                   ? "it does not speak TLS on this port: is its URL http://? "
                   : "";
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].reason, what->reason) == 0)
            return known[i].words;
    return "";
}

static void describe(struct sink *s, const struct httpc_answer *a, const struct answer *what)
{
    char text[SAID_MOST + 1];
    size_t n = a->body_len < SAID_MOST ? a->body_len : SAID_MOST;
    for (size_t i = 0; i < n; i++) { /* one line of log, whatever came */
        unsigned char c = (unsigned char)a->body[i];
        text[i] = c < 0x20 || c == 0x7f ? ' ' : a->body[i];
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    struct err e;
    if (a->transport != TRANSPORT_OK)
        (void)err_set(&e, 0, "%s%s", meaning(a, what), a->error ? a->error : "no answer");
    else
        (void)err_set(&e, 0, "%sstatus %d%s%s", meaning(a, what), a->status, n ? ": " : "",
                      text);
    n = strnlen(e.text, sizeof(s->problem) - 1);
    memcpy(s->problem, e.text, n);
    s->problem[n] = '\0';
}

/* One of several servers behind one address is not well: it goes on and off by the second. */
static bool too_many_turns(struct sink *s, uint64_t now)
{
    if (s->turns == 0 || now - s->turns_ns > BLOCK_SAY_NS) {
        s->turns_ns = now;
        s->turns = 0;
    }
    if (++s->turns == TURNS_SAID + 1)
        log_warn("sink %s: %s takes and refuses in turn: within %u minutes only what lasts is "
                 "said from here on",
                 s->conf->id, s->conf->url, (unsigned)(BLOCK_SAY_NS / SECOND_NS / 60));
    return s->turns > TURNS_SAID;
}

static void broke(struct sink *s, enum sink_state state, const struct httpc_answer *a,
                  const struct answer *what)
{
    describe(s, a, what);
    uint64_t now = loop_now_ns(s->loop), held;
    bool news = s->state == SINK_WELL;
    if (news) {
        s->broke_ns = now;
        s->unsaid = too_many_turns(s, now);
    }
    bool worse = state == SINK_BLOCKED && s->state != SINK_BLOCKED;
    if (s->unsaid && now - s->broke_ns > LASTS_NS) {
        s->unsaid = false;
        news = true;
    }
    if (s->unsaid) {
        /* it may be over in a moment */
    } else if (news || worse) {
        s->block_limit.said = true;
        s->block_limit.last_ns = now;
        s->block_limit.suppressed = 0;
        if (state == SINK_BLOCKED)
            log_error("sink %s: %s refuses what it is sent, an operator has to act (%s): %s; "
                      "nothing is thrown away, %llu lines wait",
                      s->conf->id, s->conf->url, what->reason, s->problem,
                      (unsigned long long)outbound_pending_lines(s->log));
        else
            log_warn("sink %s: cannot write to %s (%s): %s; tried again until it can",
                     s->conf->id, s->conf->url, what->reason, s->problem);
    } else if (log_allowed(&s->block_limit, now, BLOCK_SAY_NS, &held)) {
        log_warn("sink %s: still cannot write to %s (%s): %s; %llu lines wait", s->conf->id,
                 s->conf->url, what->reason, s->problem,
                 (unsigned long long)outbound_pending_lines(s->log));
    }
    s->state = state;
}

static void healed(struct sink *s)
{
    s->failures = 0;
    s->gate_ns = 0;
    s->stats.last_ok_ns = loop_now_ns(s->loop);
    if (s->state == SINK_WELL)
        return;
    bool said = !s->unsaid;
    s->unsaid = false;
    s->state = SINK_WELL;
    s->problem[0] = '\0';
    if (!said)
        return;
    uint64_t sec = (loop_now_ns(s->loop) - s->broke_ns) / SECOND_NS;
    log_notice("sink %s: writes to %s again after %llu s; %llu lines waited", s->conf->id,
               s->conf->url, (unsigned long long)sec,
               (unsigned long long)outbound_pending_lines(s->log));
}

/* -- a block's end
 * ------------------------------------------------------------------------------- */

/* Refused lines by (compound, reason); the texts of the compounds go to *out_names. */
static struct outbound_refusal *sum_refusals(struct job *j, size_t *out_n, char **out_names)
{
    struct outbound_refusal *r = mem_zalloc_array(j->n_refused + 1, sizeof(*r));
    char *names = mem_zalloc_array(j->n_refused + 1, 65);
    size_t n = 0;
    for (size_t i = 0; i < j->n_refused; i++) {
        uint32_t line = j->refused[i].line;
        char *name = names + 65 * n;
        job_compound(j->raw.data + j->starts[line], j->starts[line + 1] - j->starts[line] - 1,
                     name);
        size_t k = 0;
        while (k < n && (strcmp(r[k].compound, name) != 0 ||
                         strcmp(r[k].reason, j->refused[i].reason) != 0))
            k++;
        if (k == n)
            r[n++] = (struct outbound_refusal){name, j->refused[i].reason, 0};
        r[k].lines++;
    }
    *out_n = n;
    *out_names = names;
    return r;
}

static void note_backfill(struct sink *s, const struct block_info *i)
{
    int64_t now_ms = clock_wall_ns() / 1000000;
    struct sink_stats *st = &s->stats;
    if (i->min_time_ms > now_ms - HOUR_MS)
        return;
    int64_t to = i->max_time_ms < now_ms - HOUR_MS ? i->max_time_ms : now_ms - HOUR_MS;
    if (st->backfill_from_ms == 0 || i->min_time_ms < st->backfill_from_ms)
        st->backfill_from_ms = i->min_time_ms;
    if (to > st->backfill_to_ms)
        st->backfill_to_ms = to;
}

static void leave_hold(struct job *j)
{
    if (j->state != JOB_HELD)
        return;
    j->s->stats.held--;
    j->s->n_jobs++;
}

static void mark(struct job *j)
{
    struct sink *s = j->s;
    size_t n = 0;
    char *names = NULL;
    struct outbound_refusal *r = j->n_refused ? sum_refusals(j, &n, &names) : NULL;
    int rc = outbound_done(s->log, j->info.seq, OUTBOUND_ACCEPTED, r, n);
    free(r);
    free(names);
    if (rc == 0) {
        if (j->n_refused < j->info.lines)
            note_backfill(s, &j->info);
        job_free(j);
        return;
    }
    uint64_t held;
    if (log_allowed(&s->mark_limit, loop_now_ns(s->loop), 60 * (uint64_t)SECOND_NS, &held))
        log_error("sink %s: cannot mark block %llu as done: %s; tried again each second",
                  s->conf->id, (unsigned long long)j->info.seq, strerror(-rc));
    leave_hold(j);
    j->state = JOB_MARKING;
    j->due_ns = loop_now_ns(s->loop) + SECOND_NS;
}

static void on_stored(void *ctx, int status)
{
    struct ticket *t = ctx;
    struct job *j = t->job;
    free(t);
    if (!j)
        return;
    j->ticket = NULL;
    if (status != 0) { /* final: the process is about to stop, and the block waits in the log */
        j->state = JOB_MARKING;
        j->due_ns = UINT64_MAX;
        return;
    }
    struct sink *s = j->s;
    mark(j);
    sink_kick(s);
}

static void store_refused(struct job *j)
{
    struct sink *s = j->s;
    struct store_batch *b = store_batch_new();
    int64_t wall = clock_wall_ns();
    for (size_t i = 0; i < j->n_refused; i++) {
        const struct refused_line *r = &j->refused[i];
        struct store_line l = {.sink = s->conf->id,
                               .block = j->info.seq,
                               .line = r->line + 1,
                               .wall_ns = wall,
                               .reason = r->reason,
                               .detail = r->detail,
                               .status = r->status,
                               .text = j->raw.data + j->starts[r->line],
                               .text_len = j->starts[r->line + 1] - j->starts[r->line] - 1};
        store_batch_line(b, &l);
    }
    leave_hold(j);
    j->state = JOB_STORING;
    j->ticket = mem_zalloc(sizeof(*j->ticket));
    j->ticket->job = j;
    store_commit(s->store, b, on_stored, j->ticket);
}

/* All its lines are decided, and if some were taken by VictoriaMetrics, held since then. */
void sink_finish_job(struct job *j)
{
    if (j->state == JOB_MARKING)
        mark(j);
    else if (j->state != JOB_HELD && j->s->conf->type == CONF_VICTORIAMETRICS &&
             j->n_refused < j->info.lines)
        sink_hold(j);
    else if (j->n_refused > 0 && j->s->store)
        store_refused(j);
    else
        mark(j);
}

/* -- answers
 * ------------------------------------------------------------------------------------- */

static void split(struct job *j)
{
    struct range r = j->running;
    j->searching = true;
    uint32_t mid = r.first + (r.end - r.first) / 2;
    job_push(j, (struct range){.first = mid, .end = r.end}, false);
    job_push(j, (struct range){.first = r.first, .end = mid}, false);
}

static void again_later(struct job *j, const struct httpc_answer *a, const struct answer *what)
{
    struct sink *s = j->s;
    uint64_t now = loop_now_ns(s->loop);
    if (!j->probing)
        job_push(j, j->running, false);
    j->fails++;
    s->failures++;
    j->oks = s->oks;
    bool own = strcmp(what->reason, "server_error") == 0 || what->class_ == ANSWER_POISON;
    uint64_t wait = sink_backoff_ns(s, own ? j->fails : s->failures);
    if (wait < a->retry_after_s * SECOND_NS)
        wait = a->retry_after_s * SECOND_NS;
    j->due_ns = now + wait;
    if (what->class_ == ANSWER_BLOCK) {
        s->gate_ns = now + SINK_PROBE_NS;
        j->due_ns = 0;
        broke(s, SINK_BLOCKED, a, what);
    } else if (!own || s->failures > 1 || a->retry_after_s) {
        /* one odd block alone is no reason to say that the database is away */
        s->gate_ns = now + wait;
        if (a->retry_after_s == 0)
            j->due_ns = 0; /* else it is waited for, though others are taken meanwhile */
        broke(s, SINK_RETRYING, a, what);
    }
    if (a->transport != TRANSPORT_OK)
        sink_hold_soon(s);
}

/* One line, refused alone. Without certainty it is asked again after something else was taken.
 */
static void poison(struct job *j, const struct httpc_answer *a, const struct answer *what)
{
    struct sink *s = j->s;
    struct range r = j->running;
    if (!what->certain && !(r.suspect && s->oks > r.oks)) {
        bool first = !r.suspect;
        r.suspect = true;
        r.oks = s->oks;
        j->searching = true;
        job_push(j, r, true); /* behind all others */
        if (!first || j->n_ranges == 1) {
            j->fails++;
            j->due_ns = loop_now_ns(s->loop) + sink_backoff_ns(s, j->fails);
        }
        return;
    }
    const char *detail = a->transport == TRANSPORT_OK ? a->body : a->error;
    job_refuse(j, r.first, what->reason, a->status, detail, detail ? strlen(detail) : 0);
}

/* Equal refusals of the same bytes, only counted if something else was taken in between. */
static void count_same(struct job *j, int status, const char *reason)
{
    bool equal =
        j->last_reason && j->last_status == status && strcmp(j->last_reason, reason) == 0;
    if (!equal)
        j->same = 0;
    else if (j->s->oks > j->oks)
        j->same++;
    j->last_status = status;
    j->last_reason = reason;
}

static void classify(struct job *j, const struct httpc_answer *a, struct answer *out)
{
    struct answer_in in = {
        .flavour = (enum conf_sink_type)j->s->conf->type,
        .transport = a->transport,
        .status = a->status,
        .body = a->body,
        .body_len = a->body_len,
        .lines = j->running.end - j->running.first,
    };
    answer_classify(&in, out);
    if (out->class_ == ANSWER_OK || j->probing)
        return;
    if (!j->searching)
        count_same(j, a->status, out->reason);
    in.same_before = j->same;
    answer_classify(&in, out);
}

static void took(struct job *j)
{
    if (j->probing)
        return; /* it comes again with its range: the same point, the same value */
    j->good_line = j->running.first;
    j->s->failures = 0;
}

static void refuse_named(struct job *j, const struct httpc_answer *a, const struct answer *what)
{
    for (size_t i = 0; i < what->n_refused; i++)
        job_refuse(j, j->running.first + what->refused[i] - 1, what->reason, a->status, a->body,
                   a->body_len);
}

void sink_on_answer(void *ctx, const struct httpc_answer *a)
{
    struct job *j = ctx;
    struct sink *s = j->s;
    struct answer what;
    j->call = NULL;
    j->state = JOB_READY;
    s->stats.in_flight--;
    s->stats.post_seconds += (double)a->took_ns / 1e9;
    classify(j, a, &what);
    s->stats.answers[what.class_]++;
    switch (what.class_) {
    case ANSWER_OK:
        s->oks++;
        healed(s);
        took(j);
        if (!j->searching && !j->probing)
            j->fails = 0;
        break;
    case ANSWER_RETRY:
    case ANSWER_BLOCK:
        again_later(j, a, &what);
        break;
    case ANSWER_SPLIT:
    case ANSWER_PARTIAL:
        if (what.certain)
            healed(s);
        j->fails = 0;
        if (job_unpack(j) != 0) {
            again_later(j, a, &what);
        } else if (what.n_refused > 0) {
            s->oks++;
            refuse_named(j, a, &what);
        } else {
            split(j);
        }
        break;
    case ANSWER_POISON:
        if (what.certain)
            healed(s);
        if (j->probing)
            again_later(j, a, &what);
        else if (job_unpack(j) != 0)
            again_later(j, a, &what);
        else
            poison(j, a, &what);
        break;
    }
    j->probing = false;
    if (j->n_ranges == 0 && j->state == JOB_READY)
        sink_finish_job(j);
    sink_kick(s);
}
