/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test's steps: what happens besides samples.
 */
#include "base/check.h"
#include "base/jsonw.h"
#include "base/num.h"
#include "core/ruletest_private.h"
#include "core/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *take_bytes(struct ruletest_parse *p, const struct buf *b)
{
    char *s = ruletest_take(p, b->len + JSON_PADDING, 1);
    if (b->len)
        memcpy(s, b->data, b->len);
    return s;
}

/* -- commands -------------------------------------------------------------------------------- */

static void which_case(struct ruletest_parse *p, const struct yaml_node *n, struct step *s)
{
    uint64_t no;
    const char *text = n ? ruletest_scalar(p, n, "case") : NULL;
    if (!text)
        return;
    if (num_get_u64(text, strlen(text), &no) == 0 && no >= 1 && no <= UINT32_MAX) {
        s->case_no = (unsigned)no;
        return;
    }
    s->target = ruletest_copy(p, n, "case");
    if (strlen(text) >= CASE_ID_MAX)
        conf_error(&p->notes, AT(n), "case: at most %d bytes", CASE_ID_MAX - 1);
}

struct words {
    const struct yaml_node *by, *note, *version, *until, *for_, *to, *photo, *raw;
};

static void member(struct ruletest_parse *p, struct jsonw *w, const char *key,
                   const struct yaml_node *n)
{
    const char *s = n ? ruletest_scalar(p, n, key) : NULL;
    if (s)
        jsonw_str(w, key, s);
}

static void compose(struct ruletest_parse *p, const struct words *c, struct step *s)
{
    struct buf b;
    struct jsonw w;
    uint64_t version;
    buf_init(&b, CASE_PAYLOAD_MAX * 2);
    if (c->raw && (c->by || c->note || c->version || c->until || c->for_ || c->to || c->photo))
        conf_error(&p->notes, AT(c->raw->key),
                   "`payload` is the whole payload: by, note and the like belong into it");
    if (c->raw) {
        const char *raw = ruletest_scalar(p, c->raw, "payload");
        (void)buf_puts(&b, raw ? raw : "");
    } else {
        jsonw_init(&w, &b);
        jsonw_object(&w, NULL);
        member(p, &w, "by", c->by);
        member(p, &w, "note", c->note);
        if (ruletest_count(p, c->version, "version", UINT32_MAX, &version))
            jsonw_u64(&w, "version", version);
        member(p, &w, "until", c->until);
        member(p, &w, "for", c->for_);
        member(p, &w, "to", c->to);
        member(p, &w, "photo", c->photo);
        jsonw_end_object(&w);
    }
    if (b.failed)
        conf_error(&p->notes, s->line, s->col, "a command of more than %d bytes",
                   CASE_PAYLOAD_MAX * 2);
    s->payload = take_bytes(p, &b);
    buf_done(&b);
}

static void read_command(struct ruletest_parse *p, const struct yaml_node *n, struct step *s)
{
    const struct yaml_node *case_ = NULL, *verb = NULL, *firm = NULL, *compound = NULL;
    struct words c = {0};
    const struct slot slots[] = {
        {"case", &case_}, {"verb", &verb},         {"firm", &firm},     {"compound", &compound},
        {"by", &c.by},    {"note", &c.note},       {"until", &c.until}, {"for", &c.for_},
        {"to", &c.to},    {"version", &c.version}, {"photo", &c.photo}, {"payload", &c.raw}};
    s->kind = STEP_COMMAND;
    if (!ruletest_map(p, n, SLOTS(slots), "a command"))
        return;
    which_case(p, case_, s);
    const char *word = verb ? ruletest_scalar(p, verb, "verb") : NULL;
    if ((!case_ || !verb) && p->known)
        conf_error(&p->notes, AT(n), "a command needs `case` (the n-th opened) and `verb`");
    else if (word && case_verb_parse(word, strlen(word), &s->verb) != 0)
        conf_error(&p->notes, AT(verb),
                   "verb \"%.64s\", expected ack accept arrive resolve confirm feedback close "
                   "reject transfer rework reset shelve unshelve test untest",
                   word);
    s->firm = ruletest_copy(p, firm, "firm");
    s->compound = ruletest_copy(p, compound, "compound");
    compose(p, &c, s);
}

/* -- the others ------------------------------------------------------------------------------ */

static struct step *another(struct test *x, struct step *steps, const struct step *like,
                            enum step_kind kind, int64_t at_ns)
{
    struct step *s = &steps[x->n_steps++];
    *s = *like;
    s->kind = kind;
    s->at_ns = at_ns;
    return s;
}

/* true: ends and starts; crash: killed; {down: 5m}: stays away. */
static void read_restart(struct ruletest_parse *p, const struct yaml_node *n, struct test *x,
                         const struct step *like)
{
    const struct yaml_node *down = NULL;
    const struct slot slots[] = {{"down", &down}};
    int64_t away = 0;
    bool yes = true;
    if (n->kind == YAML_SCALAR && n->text && strcmp(n->text, "crash") == 0) {
        (void)another(x, x->steps, like, STEP_CRASH, like->at_ns);
        return;
    }
    if (n->kind == YAML_MAP) {
        if (!ruletest_map(p, n, SLOTS(slots), "restart") ||
            !ruletest_time(p, down, "down", false, &away))
            conf_error(&p->notes, AT(n), "restart: expected true, crash or {down: 5m}");
    } else if (!ruletest_bool(p, n, "restart", &yes) || !yes) {
        conf_error(&p->notes, AT(n), "restart: expected true, crash or {down: 5m}");
    }
    (void)another(x, x->steps, like, STEP_STOP, like->at_ns);
    (void)another(x, x->steps, like, STEP_START, like->at_ns + away);
}

static void read_link(struct ruletest_parse *p, const struct yaml_node *n, struct step *s)
{
    static const char *const names[] = {"down", "up"};
    s->kind = STEP_LINK;
    s->up = ruletest_word(p, n, "link", names, 2) == 1;
}

static void read_presence(struct ruletest_parse *p, const struct yaml_node *n, struct step *s)
{
    const struct yaml_node *firm = NULL, *state = NULL;
    const struct slot slots[] = {{"firm", &firm}, {"state", &state}};
    static const char *const names[] = {"online", "offline"};
    s->kind = STEP_PRESENCE;
    s->payload = "";
    if (!ruletest_map(p, n, SLOTS(slots), "presence"))
        return;
    s->firm = ruletest_copy(p, firm, "firm");
    int i = ruletest_word(p, state, "state", names, 2);
    if ((!s->firm || !state) && p->known)
        conf_error(&p->notes, AT(n), "presence needs `firm` and `state: online` or `offline`");
    if (i >= 0)
        s->payload = names[i];
}

static void read_message(struct ruletest_parse *p, const struct yaml_node *n, struct step *s)
{
    const struct yaml_node *topic = NULL, *payload = NULL, *retained = NULL;
    const struct slot slots[] = {
        {"topic", &topic}, {"payload", &payload}, {"retained", &retained}};
    s->kind = STEP_MESSAGE;
    s->topic = s->payload = "";
    if (!ruletest_map(p, n, SLOTS(slots), "message"))
        return;
    const char *t = ruletest_copy(p, topic, "topic");
    const char *text = payload ? ruletest_scalar(p, payload, "payload") : NULL;
    if (!t || !text || strlen(t) > UINT16_MAX) {
        if (p->known)
            conf_error(&p->notes, AT(n), "a message needs `topic` and `payload`");
        return;
    }
    char *room = ruletest_take(p, strlen(text) + JSON_PADDING, 1);
    memcpy(room, text, strlen(text));
    s->topic = t;
    s->payload = room;
    (void)ruletest_bool(p, retained, "retained", &s->retained);
}

struct what {
    const struct yaml_node *restart, *reload, *command, *link, *clock, *presence, *message;
};

static void read_one(struct ruletest_parse *p, const struct what *w,
                     const struct yaml_node *synced, struct test *x, struct step s)
{
    if (w->restart) {
        read_restart(p, w->restart, x, &s);
        return;
    }
    if (w->reload) {
        s.kind = STEP_RELOAD;
        s.set = ruletest_add_set(p, w->reload);
    } else if (w->command) {
        read_command(p, w->command, &s);
    } else if (w->link) {
        read_link(p, w->link, &s);
    } else if (w->clock) {
        s.kind = STEP_CLOCK;
        s.synced = true;
        (void)ruletest_time(p, w->clock, "clock", true, &s.shift_ns);
        (void)ruletest_bool(p, synced, "synced", &s.synced);
    } else if (w->presence) {
        read_presence(p, w->presence, &s);
    } else {
        read_message(p, w->message, &s);
    }
    x->steps[x->n_steps++] = s;
}

static void one_step(struct ruletest_parse *p, const struct yaml_node *n, struct test *x)
{
    const struct yaml_node *at = NULL, *synced = NULL;
    struct what w = {0};
    const struct slot slots[] = {{"at", &at},
                                 {"restart", &w.restart},
                                 {"reload", &w.reload},
                                 {"command", &w.command},
                                 {"link", &w.link},
                                 {"clock", &w.clock},
                                 {"synced", &synced},
                                 {"presence", &w.presence},
                                 {"message", &w.message}};
    struct step s = {.line = n->line, .col = n->col};
    if (!ruletest_map(p, n, SLOTS(slots), "a step"))
        return;
    int what = (w.restart != NULL) + (w.reload != NULL) + (w.command != NULL) +
               (w.link != NULL) + (w.clock != NULL) + (w.presence != NULL) +
               (w.message != NULL);
    if (!at || what != 1) {
        if (p->known)
            conf_error(&p->notes, AT(n),
                       "a step needs `at` and one of restart, reload, command, link, clock, "
                       "presence, message");
        return;
    }
    if (synced && !w.clock)
        conf_error(&p->notes, AT(synced->key), "`synced` belongs to `clock`");
    if (ruletest_time(p, at, "at", false, &s.at_ns))
        read_one(p, &w, synced, x, s);
}

static int by_time(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->col != y->col)
        return x->col < y->col ? -1 : 1;
    return (x->kind > y->kind) - (x->kind < y->kind); /* a stop before its start */
}

void ruletest_parse_steps(struct ruletest_parse *p, const struct yaml_node *n, struct test *x)
{
    size_t count = ruletest_list(p, n, "steps");
    x->steps = ruletest_take(p, 2 * count, sizeof(*x->steps)); /* a restart makes two */
    for (const struct yaml_node *i = count ? n->first : NULL; i; i = i->next)
        one_step(p, i, x);
    qsort(x->steps, x->n_steps, sizeof(*x->steps), by_time);
    double far = 0;
    for (size_t i = 0; i < x->n_steps; i++) {
        const struct step *s = &x->steps[i];
        far += fabs((double)s->shift_ns);
        if (x->end_ns >= 0 && s->at_ns > x->end_ns)
            conf_error(&p->notes, AT(s), "the test ends before this step");
    }
    if (far > (double)RULETEST_MAX_TIME)
        conf_error(&p->notes, AT(n), "the clock is set by more than 20 years");
}
