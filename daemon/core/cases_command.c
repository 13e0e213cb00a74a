/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of firms and operators: whose they are, what they ask, what follows, and the same
 * answer to whoever asks again.
 */
#include "core/cases_private.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)
#define BIT(work) (1u << (work))

struct words { /* a payload, read */
    char *by, *note, *photo, *to;
    bool has_version, has_until, has_for;
    uint64_t version;
    int64_t until_ms;
    uint32_t for_s;
};

struct outcome { /* of one command */
    enum case_answer answer;
    const char *reason; /* NULL: none */
    uint32_t version;   /* 0: no case */
    bool empties;
};

static struct outcome outcome(enum case_answer answer, const char *reason)
{
    return (struct outcome){answer, reason, 0, false};
}

static void words_done(struct words *w)
{
    free(w->by);
    free(w->note);
    free(w->photo);
    free(w->to);
}

/* -- the payload ----------------------------------------------------------------------------- */

/* A text without control characters but line ends and tabs; NULL: `what` says what is wrong. */
static const char *take_text(struct json_value v, size_t max, const char *what, char **out)
{
    size_t n;
    if (json_type(v) == JSON_NULL)
        return NULL;
    if (json_type(v) != JSON_STRING)
        return what;
    const char *s = json_text(v, &n);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 && s[i] != '\n' && s[i] != '\r' && s[i] != '\t')
            return what;
    if (n > max)
        return what;
    if (n > 0 && !*out) /* the first of that name counts */
        *out = mem_strndup(s, n);
    return NULL;
}

static const char *take_version(struct json_value v, struct words *w)
{
    if (json_type(v) == JSON_NULL)
        return NULL;
    if (json_type(v) != JSON_INT || json_int(v) < 0)
        return "version: expected the case's version, a number";
    w->has_version = true;
    w->version = (uint64_t)json_int(v);
    return NULL;
}

static const char *take_for(struct json_value v, struct words *w)
{
    size_t n = 0;
    const char *s = json_type(v) == JSON_STRING ? json_text(v, &n) : NULL;
    if (json_type(v) == JSON_NULL)
        return NULL;
    if (s && text_seconds(s, n, &w->for_s)) {
        w->has_for = true;
        return NULL;
    }
    if (json_type(v) != JSON_INT || json_int(v) < 0 || json_int(v) > UINT32_MAX)
        return "for: expected a duration like \"2h\", or seconds";
    w->has_for = true;
    w->for_s = (uint32_t)json_int(v);
    return NULL;
}

static const char *take_until(struct json_value v, struct words *w)
{
    size_t n = 0;
    const char *s = json_type(v) == JSON_STRING ? json_text(v, &n) : NULL;
    if (json_type(v) == JSON_NULL)
        return NULL;
    if (!s || stamp_parse(s, n, &w->until_ms) != 0)
        return "until: expected a time like \"2026-11-20T08:00:00+08:00\"";
    w->has_until = true;
    return NULL;
}

static bool named(const char *key, size_t n, const char *name)
{
    return strlen(name) == n && memcmp(key, name, n) == 0;
}

static const char *take_member(const char *key, size_t n, struct json_value v, struct words *w)
{
    if (named(key, n, "by"))
        return take_text(v, CASES_BY_MAX, "by: expected a text of at most 128 bytes", &w->by);
    if (named(key, n, "note"))
        return take_text(v, CASES_NOTE_MAX, "note: expected a text of at most 1024 bytes",
                         &w->note);
    if (named(key, n, "photo"))
        return take_text(v, CASES_TEXT_MAX, "photo: expected a text of at most 512 bytes",
                         &w->photo);
    if (named(key, n, "to"))
        return take_text(v, CASES_BY_MAX, "to: expected a text of at most 128 bytes", &w->to);
    if (named(key, n, "version"))
        return take_version(v, w);
    if (named(key, n, "for"))
        return take_for(v, w);
    if (named(key, n, "until"))
        return take_until(v, w);
    return NULL; /* unknown ones are of a later version */
}

/* NULL, or what is wrong. */
static const char *take_payload(struct cases *c, const struct case_command *cmd,
                                struct words *w)
{
    struct json_value root, v;
    struct json_iter it;
    const char *why = NULL, *key;
    size_t n;
    if (cmd->payload_len > CASE_PAYLOAD_MAX)
        return "the payload is larger than 8192 bytes";
    if (cmd->payload_len == 0)
        return NULL;
    if (json_parse(c->json, cmd->payload, cmd->payload_len, &root, &why) != 0)
        return why ? why : "not JSON";
    if (json_type(root) != JSON_OBJECT)
        return "expected a JSON object";
    json_iter(root, &it);
    while (json_next(&it, &key, &n, &v)) {
        const char *wrong = take_member(key, n, v, w);
        if (wrong)
            return wrong;
    }
    return w->has_for && w->has_until ? "expected only one of for and until" : NULL;
}

/* -- the work -------------------------------------------------------------------------------- */

#define LATER (BIT(WORK_RESOLVED) | BIT(WORK_CONFIRMED) | BIT(WORK_FED_BACK))
#define NEW   (BIT(WORK_DISCOVERED) | BIT(WORK_DISPATCHED))
#define OTHER (BIT(WORK_REJECTED) | BIT(WORK_TRANSFERRED))

static const struct way {
    unsigned from, already; /* bits of enum case_work */
    enum case_work to, step;
    enum case_change change;
    const char *refused;
} ways[VERBS] = {
    [VERB_ACCEPT] = {NEW | OTHER, BIT(WORK_ACCEPTED) | BIT(WORK_ON_SITE) | LATER, WORK_ACCEPTED,
                     WORK_ACCEPTED, CASE_ACCEPTED, "closed"},
    [VERB_ARRIVE] = {BIT(WORK_ACCEPTED), BIT(WORK_ON_SITE) | LATER, WORK_ON_SITE, WORK_ON_SITE,
                     CASE_ARRIVED, "not_accepted"},
    [VERB_RESOLVE] = {BIT(WORK_ACCEPTED) | BIT(WORK_ON_SITE), LATER, WORK_RESOLVED,
                      WORK_RESOLVED, CASE_RESOLVED, "not_accepted"},
    [VERB_CONFIRM] = {BIT(WORK_RESOLVED), BIT(WORK_CONFIRMED) | BIT(WORK_FED_BACK),
                      WORK_CONFIRMED, WORK_CONFIRMED, CASE_CONFIRMED, "not_resolved"},
    [VERB_FEEDBACK] = {BIT(WORK_CONFIRMED), BIT(WORK_FED_BACK), WORK_FED_BACK, WORK_FED_BACK,
                       CASE_FED_BACK, "not_confirmed"},
    [VERB_REJECT] = {NEW | BIT(WORK_TRANSFERRED) | BIT(WORK_ACCEPTED) | BIT(WORK_ON_SITE),
                     BIT(WORK_REJECTED), WORK_REJECTED, WORK_REJECTED, CASE_REJECTED,
                     "resolved_already"},
    [VERB_TRANSFER] = {NEW | OTHER | BIT(WORK_ACCEPTED) | BIT(WORK_ON_SITE), 0,
                       WORK_TRANSFERRED, WORK_TRANSFERRED, CASE_TRANSFERRED,
                       "resolved_already"},
    [VERB_REWORK] = {LATER, 0, WORK_ACCEPTED, WORK_ACCEPTED, CASE_REWORKED, "not_resolved"},
};

struct doing { /* one command on one case */
    struct cases *c;
    struct case_open *o;
    const struct case_command *cmd;
    const struct words *w;
    struct case_cause why;
    bool ended; /* o is no more */
};

static struct outcome done(struct doing *d, enum case_change change, bool closes)
{
    cases_emit(d->c, d->o, change, &d->why, closes);
    struct outcome out = {ANSWER_DONE, NULL, d->o->version, false};
    if (closes)
        cases_finish(d->c, d->o, d->cmd->engine_ns);
    d->ended = closes;
    return out;
}

static void acknowledge(struct doing *d)
{
    if (d->o->ack.ms == 0)
        case_step_set(&d->o->ack, d->cmd->wall_ms, &d->why);
}

static bool same_person(const struct case_open *o, const char *by)
{
    const char *was = o->steps[WORK_RESOLVED].by;
    return was && by && strcmp(was, by) == 0;
}

static struct outcome work(struct doing *d)
{
    const struct way *way = &ways[d->cmd->verb];
    struct case_open *o = d->o;
    if (way->already & BIT(o->work))
        return outcome(ANSWER_ALREADY, NULL);
    if (!(way->from & BIT(o->work)))
        return outcome(ANSWER_REFUSED, way->refused);
    if (d->cmd->verb == VERB_TRANSFER && !d->w->to)
        return outcome(ANSWER_REFUSED, "no_target");
    o->work = way->to;
    if (d->cmd->verb == VERB_REWORK)
        o->rework++;
    else
        case_step_set(&o->steps[way->step], d->cmd->wall_ms, &d->why);
    if (d->cmd->verb == VERB_ACCEPT)
        acknowledge(d);
    if (d->cmd->verb == VERB_CONFIRM)
        o->same_person = same_person(o, d->w->by);
    else if (d->cmd->verb == VERB_RESOLVE || d->cmd->verb == VERB_REWORK)
        o->same_person = false;
    return done(d, way->change, cases_done(o));
}

static struct outcome ack(struct doing *d)
{
    if (d->o->ack.ms != 0)
        return outcome(ANSWER_ALREADY, NULL);
    acknowledge(d);
    return done(d, CASE_ACKNOWLEDGED, cases_done(d->o));
}

/* Of a state that nobody knows (its rule went to the other lane, its history is lost) people
 * know best. Operators need not wait for the firm's steps. */
static struct outcome close_case(struct doing *d)
{
    struct case_open *o = d->o;
    if (cases_holds(o) && o->quality != ALARM_UNKNOWN)
        return outcome(ANSWER_REFUSED, "condition_active");
    if (o->latched)
        return outcome(ANSWER_REFUSED, "latched");
    if (d->cmd->firm && cases_policy(o) == RULE_WORK_FULL && !o->tested &&
        o->work != WORK_CONFIRMED && o->work != WORK_FED_BACK)
        return outcome(ANSWER_REFUSED, "not_confirmed");
    acknowledge(d);
    return done(d, CASE_CLOSED, true);
}

static struct outcome reset(struct doing *d)
{
    struct case_open *o = d->o;
    if (!o->latched)
        return outcome(ANSWER_ALREADY, NULL);
    if (cases_holds(o) && o->quality != ALARM_UNKNOWN)
        return outcome(ANSWER_REFUSED, "condition_active");
    o->latched = false;
    return done(d, CASE_RESET, cases_done(o));
}

/* -- masks ----------------------------------------------------------------------------------- */

/* The end that a command asks for; false: neither `for` nor `until`. *out_reason: why not. */
static bool asked_end(const struct words *w, const struct case_command *cmd, uint32_t max_s,
                      uint64_t *out_ns, int64_t *out_ms, const char **out_reason)
{
    int64_t ms = w->has_until ? w->until_ms - cmd->wall_ms : (int64_t)w->for_s * 1000;
    *out_reason = NULL;
    if (!w->has_until && !w->has_for)
        return false;
    if (ms <= 0)
        *out_reason = "in_the_past";
    else if (ms > (int64_t)max_s * 1000)
        *out_reason = "too_long";
    else
        *out_ns = cmd->engine_ns + (uint64_t)ms * 1000000u;
    *out_ms = cmd->wall_ms + ms;
    return true;
}

static struct outcome shelve(struct doing *d)
{
    struct case_open *o = d->o;
    const char *reason;
    uint64_t until = d->cmd->engine_ns + CASE_SHELVE_MAX_S * SECOND_NS;
    int64_t until_ms = 0;
    if (o->life_safety)
        return outcome(ANSWER_REFUSED, "life_safety");
    bool timed = asked_end(d->w, d->cmd, CASE_SHELVE_MAX_S, &until, &until_ms, &reason);
    if (reason)
        return outcome(ANSWER_REFUSED, reason);
    if (!timed && !cases_holds(o))
        return outcome(ANSWER_REFUSED, "condition_normal");
    o->masks |= MASK_SHELVED;
    o->one_shot = !timed;
    o->shelved_until = until;
    o->shelved_until_ms = until_ms;
    cases_due_renew(d->c, o);
    struct outcome out = done(d, CASE_SHELVED, false);
    cases_reckon_due(d->c);
    return out;
}

static struct outcome unshelve(struct doing *d)
{
    struct case_open *o = d->o;
    if (!(o->masks & MASK_SHELVED))
        return outcome(ANSWER_ALREADY, NULL);
    case_unshelve(o);
    cases_due_renew(d->c, o);
    struct outcome out = done(d, CASE_UNSHELVED, false);
    cases_reckon_due(d->c);
    return out;
}

static struct outcome test(struct cases *c, const struct case_command *cmd,
                           const struct words *w)
{
    int kind = 0;
    const char *reason;
    uint64_t until = cmd->engine_ns + CASE_TEST_DEFAULT_S * SECOND_NS;
    int64_t until_ms = cmd->wall_ms + CASE_TEST_DEFAULT_S * 1000;
    struct case_cause why = {.wall_ms = cmd->wall_ms, .by = w->by, .note = w->note};
    if (cmd->firm)
        return outcome(ANSWER_NOT_YOURS, "operators_only");
    int r = cases_scope(c, cmd->case_id, &kind);
    if (r != 0)
        return r == -ENOENT
                   ? outcome(ANSWER_UNKNOWN, "not_registered")
                   : outcome(ANSWER_BAD, "expected device/D, building/C/B or compound/C");
    struct case_shelf *s = cases_shelf(c, kind, cmd->case_id);
    if (cmd->verb == VERB_UNTEST) {
        if (!s)
            return outcome(ANSWER_ALREADY, NULL);
        cases_shelf_drop(c, s);
    } else {
        (void)asked_end(w, cmd, CASE_TEST_MAX_S, &until, &until_ms, &reason);
        if (reason)
            return outcome(ANSWER_REFUSED, reason);
        s = cases_shelf_add(c, kind, cmd->case_id);
        if (!s)
            return outcome(ANSWER_REFUSED, "too_many_masks");
        if (s->since_ms == 0)
            s->since_ms = cmd->wall_ms;
        cases_set(&s->by, w->by);
        s->until = until;
        s->until_ms = until_ms;
    }
    cases_retest(c, &why, cmd->engine_ns);
    cases_reckon_due(c);
    return outcome(ANSWER_DONE, NULL);
}

/* -- whose ----------------------------------------------------------------------------------- */

/* A case id of another gateway or lane: its owner hears the command, too. */
static bool foreign(const struct cases *c, const struct case_command *cmd)
{
    static const char *const lanes[] = {".all.", ".routine.", ".life-safety."};
    const char *end = strrchr(c->stream, '/');
    size_t own = end ? (size_t)(end - c->stream) + 1 : 0;
    const char *id = cmd->case_id;
    if (cmd->origin != 0 || cmd->verb == VERB_TEST || cmd->verb == VERB_UNTEST)
        return false;
    size_t same = 0;
    while (same < own &&
           (id[same] == c->stream[same] || (c->stream[same] == '/' && id[same] == '.')))
        same++;
    if (same == own) { /* "a.all." begins all ids of a gateway named "a.all", too */
        char *head = mem_strndup(id, own);
        bool others =
            !case_id_is_of(id, strlen(id), head, NULL) && case_id_is_whole(id, strlen(id));
        free(head);
        return others;
    }
    for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++)
        if (strstr(id, lanes[i]))
            return true;
    return false;
}

static bool yours(const struct cases *c, const struct case_command *cmd,
                  const struct case_open *o)
{
    if (!cmd->firm)
        return true;
    if (strcmp(cmd->firm, o->firm) != 0)
        return false;
    if (strcmp(cmd->compound, o->compound) == 0)
        return true;
    const struct compound *k =
        registry_compound_resolve(c->world->registry, cmd->compound, strlen(cmd->compound));
    return k && strcmp(k->code, o->compound) == 0;
}

/* -- repeats --------------------------------------------------------------------------------- */

/* Only who says which command it is can mean the same one again. */
static bool repeatable(const struct case_command *cmd, const struct words *w)
{
    return cmd->correlation_len > 0 || w->has_version;
}

static struct hash128 command_hash(const struct case_command *cmd, const struct words *w)
{
    struct buf b;
    char head[64];
    memset(head, 0, sizeof(head));
    uint64_t numbers[3] = {cmd->verb, w->has_version, w->version};
    memcpy(head, numbers, sizeof(numbers));
    buf_init(&b, (size_t)1 << 20);
    (void)buf_put(&b, head, sizeof(head));
    (void)buf_puts(&b, cmd->firm ? cmd->firm : "-");
    (void)buf_putc(&b, '\0');
    (void)buf_puts(&b, cmd->case_id);
    (void)buf_putc(&b, '\0');
    if (cmd->correlation_len)
        (void)buf_put(&b, cmd->correlation, cmd->correlation_len);
    struct hash128 h = hash128(b.data, b.len);
    buf_done(&b);
    return h;
}

static void forget_oldest(struct cases *c)
{
    struct case_memory *m = &c->memory[c->memory_at];
    c->memory_bytes -= m->len;
    free(m->json);
    *m = (struct case_memory){0};
    c->memory_at = (c->memory_at + 1) % CASE_REPLIES_MAX;
    c->memory_n--;
}

static const struct case_memory *recall(struct cases *c, struct hash128 h, uint64_t engine_ns)
{
    while (c->memory_n > 0 &&
           engine_ns - c->memory[c->memory_at].engine_ns > CASE_REPLIES_S * SECOND_NS)
        forget_oldest(c);
    for (size_t i = c->memory_n; i-- > 0;) {
        const struct case_memory *m = &c->memory[(c->memory_at + i) % CASE_REPLIES_MAX];
        if (m->hi == h.hi && m->lo == h.lo)
            return m;
    }
    return NULL;
}

static void remember(struct cases *c, struct hash128 h, uint64_t engine_ns,
                     enum case_answer answer, const struct buf *json)
{
    if (!c->memory)
        c->memory = mem_zalloc_array(CASE_REPLIES_MAX, sizeof(*c->memory));
    while (c->memory_n > 0 && (c->memory_n == CASE_REPLIES_MAX ||
                               c->memory_bytes + json->len > CASE_REPLIES_BYTES))
        forget_oldest(c);
    c->memory[(c->memory_at + c->memory_n++) % CASE_REPLIES_MAX] =
        (struct case_memory){.hi = h.hi,
                             .lo = h.lo,
                             .engine_ns = engine_ns,
                             .answer = answer,
                             .json = mem_dup(json->data, json->len),
                             .len = json->len};
    c->memory_bytes += json->len;
}

/* -- all ------------------------------------------------------------------------------------- */

static struct outcome act(struct doing *d)
{
    switch (d->cmd->verb) {
    case VERB_ACK:
        return ack(d);
    case VERB_CLOSE:
        return close_case(d);
    case VERB_RESET:
        return reset(d);
    case VERB_SHELVE:
        return shelve(d);
    case VERB_UNSHELVE:
        return unshelve(d);
    case VERB_ACCEPT:
    case VERB_ARRIVE:
    case VERB_RESOLVE:
    case VERB_CONFIRM:
    case VERB_FEEDBACK:
    case VERB_REJECT:
    case VERB_TRANSFER:
    case VERB_REWORK:
        return work(d);
    case VERB_TEST:
    case VERB_UNTEST:
    case VERBS:
        break;
    }
    return outcome(ANSWER_BAD, "verb");
}

/* Of a case of a former epoch nothing is known but that the broker keeps its state: nothing that
 * comes in will end it, people may (recovery of a lost store; docs/alarms.md). */
static struct outcome on_former(const struct case_command *cmd)
{
    if (!cmd->former_firm || !cmd->former_compound)
        return outcome(ANSWER_UNKNOWN, "no_open_case");
    if (cmd->firm && (strcmp(cmd->firm, cmd->former_firm) != 0 ||
                      strcmp(cmd->compound, cmd->former_compound) != 0))
        return outcome(ANSWER_NOT_YOURS, NULL);
    if (cmd->verb != VERB_CLOSE)
        return outcome(ANSWER_REFUSED, "former_epoch");
    struct outcome out = outcome(ANSWER_DONE, "former_epoch");
    out.empties = true;
    return out;
}

static struct outcome on_case(struct cases *c, const struct case_command *cmd,
                              const struct words *w)
{
    struct case_open *o = cases_find(c, cmd->case_id);
    if (!o)
        return on_former(cmd);
    if (!yours(c, cmd, o))
        return outcome(ANSWER_NOT_YOURS, NULL);
    struct doing d = {.c = c,
                      .o = o,
                      .cmd = cmd,
                      .w = w,
                      .why = {.wall_ms = cmd->wall_ms,
                              .by = w->by,
                              .note = w->note,
                              .photo = w->photo,
                              .to = w->to}};
    struct outcome out;
    if (w->has_version && w->version < o->told.version)
        out = outcome(ANSWER_STALE, NULL);
    else if (w->has_version && w->version > o->version)
        out = outcome(ANSWER_REFUSED, "version_not_reached");
    else
        out = act(&d);
    if (!d.ended && out.version == 0)
        out.version = o->version;
    return out;
}

static void put_reply(const struct cases *c, const struct case_command *cmd,
                      const struct outcome *out, struct buf *b)
{
    struct jsonw w;
    jsonw_init(&w, b);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "v", 1);
    jsonw_str(&w, "stream", c->stream);
    jsonw_strn(&w, "case", cmd->case_id, strnlen(cmd->case_id, CASE_ID_MAX));
    jsonw_str(&w, "verb", case_verb_name(cmd->verb));
    jsonw_str(&w, "result", case_answer_name(out->answer));
    if (out->version)
        jsonw_u64(&w, "version", out->version);
    if (out->reason)
        jsonw_str(&w, "reason", out->reason);
    cases_time(c, &w, "at", cmd->wall_ms);
    jsonw_end_object(&w);
}

static void answer(struct cases *c, const struct case_command *cmd, enum case_answer a,
                   const char *json, size_t len, bool empties)
{
    struct case_reply r = {
        .to = cmd, .answer = a, .json = json, .json_len = len, .empties = empties};
    c->stats.refused += a != ANSWER_DONE && a != ANSWER_ALREADY;
    if (c->out.reply)
        c->out.reply(c->out.ctx, &r);
}

/* What changed nothing is looked at anew, unless who asks says that it is the same question: what
 * was refused may be possible now, without the version that the firm knows having moved. */
static bool is_kept(const struct case_command *cmd, enum case_answer a)
{
    if (a == ANSWER_UNKNOWN || a == ANSWER_NOT_YOURS || a == ANSWER_BAD)
        return false;
    return a == ANSWER_DONE || cmd->correlation_len > 0;
}

void cases_command(struct cases *c, const struct position *at, const struct case_command *cmd)
{
    struct words w = {0};
    struct outcome out;
    struct buf b;
    (void)at;
    if (foreign(c, cmd))
        return;
    c->stats.commands++;
    buf_init(&b, CASE_JSON_MAX);
    const char *wrong = take_payload(c, cmd, &w);
    struct hash128 h = command_hash(cmd, &w);
    bool keeps = !wrong && repeatable(cmd, &w);
    const struct case_memory *m = keeps ? recall(c, h, cmd->engine_ns) : NULL;
    if (m) {
        c->stats.repeated++;
        answer(c, cmd, m->answer, m->json, m->len,
               m->answer == ANSWER_DONE && cmd->verb == VERB_CLOSE && cmd->former_firm &&
                   cmd->former_compound && !cases_find(c, cmd->case_id));
        goto out;
    }
    if (wrong)
        out = outcome(ANSWER_BAD, wrong);
    else if (cmd->verb == VERB_TEST || cmd->verb == VERB_UNTEST)
        out = test(c, cmd, &w);
    else
        out = on_case(c, cmd, &w);
    put_reply(c, cmd, &out, &b);
    if (keeps && is_kept(cmd, out.answer))
        remember(c, h, cmd->engine_ns, out.answer, &b);
    answer(c, cmd, out.answer, buf_cstr(&b), b.len, out.empties);
out:
    buf_done(&b);
    words_done(&w);
}
