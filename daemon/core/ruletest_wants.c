/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test expects, as it is written.
 */
#include "base/check.h"
#include "base/num.h"
#include "core/ruletest_private.h"
#include "core/text.h"

#include <math.h>
#include <string.h>

static const char *const change_names[] = {
#define X(name, word) word,
    CASE_CHANGES(X)
#undef X
};
static const char *const severity_names[] = {"info", "warning", "minor", "major", "critical"};
static const char *const answer_names[] = {"done",      "already", "stale", "unknown",
                                           "not_yours", "refused", "bad"};
static const enum case_answer answers[] = {ANSWER_DONE,    ANSWER_ALREADY,   ANSWER_STALE,
                                           ANSWER_UNKNOWN, ANSWER_NOT_YOURS, ANSWER_REFUSED,
                                           ANSWER_BAD};
#define N(a) (sizeof(a) / sizeof(*(a)))

/* -- one transition, case or instance -------------------------------------------------------- */

struct pick_at {
    const struct yaml_node *rule, *device, *point, *firm, *compound, *severity, *condition,
        *quality, *work, *value, *case_, *late, *test, *told, *urgent, *state;
};
#define PICK_SLOTS(a)                                                                          \
    {"rule", &(a).rule}, {"device", &(a).device}, {"point", &(a).point}, {"firm", &(a).firm},  \
        {"compound", &(a).compound}, {"severity", &(a).severity},                              \
        {"condition", &(a).condition}, {"quality", &(a).quality}, {"work", &(a).work},         \
        {"value", &(a).value}, {"case", &(a).case_}, {"late", &(a).late}, {"test", &(a).test}, \
        {"told", &(a).told}, {"urgent", &(a).urgent},                                          \
    {                                                                                          \
        "state", &(a).state                                                                    \
    }

static const char *const condition_names[] = {"normal", "pending", "active", "recovering"};
static const char *const quality_names[] = {"good", "stale", "bad", "unknown"};
static const char *const work_names[] = {"discovered", "dispatched", "accepted", "on_site",
                                         "resolved",   "confirmed",  "fed_back", "closed",
                                         "rejected",   "transferred"};

/* One of these words, or NULL. */
static const char *one_of(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                          const char *const *names, size_t n_names)
{
    int i = ruletest_word(p, n, what, names, n_names);
    return i >= 0 ? names[i] : NULL;
}

static int flag(struct ruletest_parse *p, const struct yaml_node *n, const char *what)
{
    bool v;
    return ruletest_bool(p, n, what, &v) ? v : -1;
}

static void read_members(struct ruletest_parse *p, const struct yaml_node *n, struct pick *out)
{
    size_t count = 0;
    if (!n || n->kind != YAML_MAP) {
        if (n && n->kind != YAML_BAD)
            conf_error(&p->notes, AT(n), "state: expected a mapping like {ack.by: 张三}");
        return;
    }
    for (const struct yaml_node *v = n->first; v; v = v->next)
        count++;
    out->members = ruletest_take(p, count, sizeof(*out->members));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        const char *text = v->kind == YAML_SCALAR ? v->text : ruletest_scalar(p, v, "a value");
        if (!text)
            continue;
        struct member *m = &out->members[out->n_members++];
        *m = (struct member){.line = v->line, .col = v->col};
        m->path = arena_strdup(&p->t->arena, v->key->text);
        m->value = arena_strdup(&p->t->arena, yaml_is_null(v) ? "null" : text);
        ASSERT(m->path && m->value);
    }
}

static void read_pick(struct ruletest_parse *p, const struct pick_at *a, struct pick *out)
{
    uint64_t no;
    *out = (struct pick){
        .rule = ruletest_copy(p, a->rule, "rule"),
        .device = ruletest_copy(p, a->device, "device"),
        .point = ruletest_copy(p, a->point, "point"),
        .firm = ruletest_copy(p, a->firm, "firm"),
        .compound = ruletest_copy(p, a->compound, "compound"),
        .condition = one_of(p, a->condition, "condition", condition_names, N(condition_names)),
        .quality = one_of(p, a->quality, "quality", quality_names, N(quality_names)),
        .work = one_of(p, a->work, "work", work_names, N(work_names)),
        .late = flag(p, a->late, "late"),
        .test = flag(p, a->test, "test"),
        .told = flag(p, a->told, "told"),
        .urgent = flag(p, a->urgent, "urgent")};
    out->severity = one_of(p, a->severity, "severity", severity_names, N(severity_names));
    if (ruletest_count(p, a->case_, "case", UINT32_MAX, &no)) {
        out->case_no = (unsigned)no;
        if (no == 0)
            conf_error(&p->notes, AT(a->case_), "case is 0, expected 1 for the first opened");
    }
    out->text_value = ruletest_copy(p, a->value, "value");
    if (out->text_value)
        out->has_value = text_double(out->text_value, strlen(out->text_value), &out->value);
    read_members(p, a->state, out);
    /* the gateway's own alarms are about other things than devices */
    if (out->device && !(out->rule && strncmp(out->rule, "gaihou-", 7) == 0))
        ruletest_check_device(p, a->device, out->device);
}

/* What a kind of expectation does not look at would be a promise that nobody keeps. */
static void only(struct ruletest_parse *p, const struct pick_at *a, enum expect_kind kind)
{
    enum { T = 1 << EXPECT_TRANSITION, R = 1 << EXPECT_REPLY, S = 1 << EXPECT_STATE };
    static const char *const names[] = {[EXPECT_TRANSITION] = "transition",
                                        [EXPECT_OPEN] = "open",
                                        [EXPECT_MESSAGES] = "messages",
                                        [EXPECT_REPLY] = "reply",
                                        [EXPECT_STATE] = "is"};
    const struct {
        const struct yaml_node *n;
        int with;
    } all[] = {{a->rule, T | S}, {a->device, T | S},   {a->point, T | S}, {a->firm, T},
               {a->compound, T}, {a->severity, T | S}, {a->condition, T}, {a->quality, T | S},
               {a->work, T},     {a->value, T | S},    {a->case_, T | R}, {a->late, T},
               {a->test, T},     {a->told, T},         {a->urgent, T},    {a->state, T | R}};
    for (size_t i = 0; i < N(all); i++)
        if (all[i].n && !(all[i].with & 1 << kind))
            conf_error(&p->notes, AT(all[i].n->key), "`%s` says nothing beside `%s`",
                       all[i].n->key->text, names[kind]);
}

/* -- the kinds of expectations --------------------------------------------------------------- */

/* `5m`, or a range `5m..7m`. */
static void read_at(struct ruletest_parse *p, const struct yaml_node *n, const struct test *t,
                    struct expect *x)
{
    const char *s = n ? ruletest_scalar(p, n, "at") : NULL;
    const char *dots = s ? strstr(s, "..") : NULL;
    x->to_ns = INT64_MAX;
    if (!s)
        return;
    const char *to = dots ? dots + 2 : s;
    size_t n_from = dots ? (size_t)(dots - s) : strlen(s);
    if (!ruletest_duration(s, n_from, &x->from_ns) ||
        !ruletest_duration(to, strlen(to), &x->to_ns) || x->from_ns < 0 ||
        x->to_ns < x->from_ns)
        conf_error(&p->notes, AT(n),
                   "at is \"%.64s\", expected a time like 90s or 5m, or a range "
                   "like 5m..7m",
                   s);
    else if (t->end_ns >= 0 && x->to_ns > t->end_ns)
        conf_error(&p->notes, AT(n), "at is \"%.64s\", and the test ends before", s);
}

/* What is looked at once has one time. */
static void one_time(struct ruletest_parse *p, const struct yaml_node *n,
                     const struct expect *x)
{
    if (n && x->to_ns != INT64_MAX && x->from_ns < x->to_ns)
        conf_error(&p->notes, AT(n), "a range of times is for transitions and replies");
}

static void read_open(struct ruletest_parse *p, const struct yaml_node *n, struct expect *x)
{
    size_t count = ruletest_list(p, n, "open");
    x->kind = EXPECT_OPEN;
    x->open = ruletest_take(p, count, sizeof(*x->open));
    for (const struct yaml_node *i = count ? n->first : NULL; i; i = i->next) {
        struct pick_at a = {0};
        const struct slot slots[] = {PICK_SLOTS(a)};
        if (ruletest_map(p, i, SLOTS(slots), "an open case"))
            read_pick(p, &a, &x->open[x->n_open++]);
    }
}

static void read_messages(struct ruletest_parse *p, const struct yaml_node *n, struct expect *x)
{
    const struct yaml_node *topic = NULL, *count = NULL;
    const struct slot slots[] = {{"topic", &topic}, {"count", &count}};
    x->kind = EXPECT_MESSAGES;
    x->topic = "#";
    if (!ruletest_map(p, n, SLOTS(slots), "messages"))
        return;
    const char *t = ruletest_copy(p, topic, "topic");
    if ((!topic || !count) && p->known)
        conf_error(&p->notes, AT(n),
                   "messages needs `topic` (a filter below the prefix) and "
                   "`count`");
    if (t)
        x->topic = t;
    size_t first = t ? strcspn(t, "/") : 0;
    static const char *const levels[] = {"alerts", "events", "urgent", "+", "#"};
    bool known = !t;
    for (size_t i = 0; i < N(levels); i++)
        known |= t && strlen(levels[i]) == first && strncmp(t, levels[i], first) == 0;
    if (!known)
        conf_error(&p->notes, AT(topic),
                   "topic \"%.64s\" begins with none of alerts, events, urgent: the prefix is "
                   "left out",
                   t);
    (void)ruletest_count(p, count, "count", UINT32_MAX, &x->count);
}

struct wants {
    const struct yaml_node *at, *transition, *open, *messages, *reply, *verb, *is, *no_more;
    struct pick_at pick;
};

static void read_reply(struct ruletest_parse *p, const struct wants *w, struct test *t,
                       struct expect *x)
{
    enum case_verb verb;
    x->kind = EXPECT_REPLY;
    t->replies_listed = true;
    int i = ruletest_word(p, w->reply, "reply", answer_names, N(answer_names));
    x->answer = i >= 0 ? answers[i] : ANSWER_DONE;
    const char *s = w->verb ? ruletest_scalar(p, w->verb, "verb") : NULL;
    x->verb = s && case_verb_parse(s, strlen(s), &verb) == 0 ? (int)verb : -1;
    if (s && x->verb < 0)
        conf_error(&p->notes, AT(w->verb), "verb \"%.64s\" is unknown", s);
}

static void read_is(struct ruletest_parse *p, const struct yaml_node *n, const struct wants *w,
                    struct expect *x)
{
    x->kind = EXPECT_STATE;
    if (!x->pick.rule || !x->pick.device || !w->at)
        conf_error(&p->notes, AT(n), "`is` needs `at`, `rule` and `device`");
    x->pick.condition = one_of(p, w->is, "is", condition_names, N(condition_names));
    if (x->pick.text_value && !x->pick.has_value)
        conf_error(&p->notes, AT(w->pick.value), "value is \"%.64s\", expected a number",
                   x->pick.text_value);
}

static void read_want(struct ruletest_parse *p, const struct yaml_node *n,
                      const struct wants *w, struct test *t, struct expect *x)
{
    int i;
    read_at(p, w->at, t, x);
    read_pick(p, &w->pick, &x->pick);
    if (w->transition) {
        x->kind = EXPECT_TRANSITION;
        i = ruletest_word(p, w->transition, "transition", change_names, CASE_CHANGE_N);
        x->change = i >= 0 ? (enum case_change)i : CASE_ACTIVATED;
        if (!w->at)
            conf_error(&p->notes, AT(n), "a transition needs `at`");
    } else if (w->open) {
        read_open(p, w->open, x);
    } else if (w->messages) {
        read_messages(p, w->messages, x);
    } else if (w->reply) {
        read_reply(p, w, t, x);
    } else {
        read_is(p, n, w, x);
    }
    only(p, &w->pick, x->kind);
    if (w->verb && x->kind != EXPECT_REPLY)
        conf_error(&p->notes, AT(w->verb->key), "`verb` belongs to `reply`");
    if (x->kind != EXPECT_TRANSITION && x->kind != EXPECT_REPLY)
        one_time(p, w->at, x);
}

static bool one_expect(struct ruletest_parse *p, const struct yaml_node *n, struct test *t,
                       struct expect *x)
{
    struct wants w = {0};
    const struct slot slots[] = {{"at", &w.at},       {"transition", &w.transition},
                                 {"open", &w.open},   {"messages", &w.messages},
                                 {"reply", &w.reply}, {"verb", &w.verb},
                                 {"is", &w.is},       {"no_more", &w.no_more},
                                 PICK_SLOTS(w.pick)};
    *x = (struct expect){.line = n->line, .col = n->col};
    if (!ruletest_map(p, n, SLOTS(slots), "an expectation"))
        return false;
    int what = (w.transition != NULL) + (w.open != NULL) + (w.messages != NULL) +
               (w.reply != NULL) + (w.is != NULL) + (w.no_more != NULL);
    if (what != 1) {
        conf_error(&p->notes, AT(n),
                   "expected one of transition, open, messages, reply, is, no_more");
        return false;
    }
    if (w.no_more) {
        bool yes;
        if (ruletest_bool(p, w.no_more, "no_more", &yes))
            t->more_allowed = !yes;
        if (n->first->next)
            conf_error(&p->notes, AT(n), "`no_more` stands alone");
        return false;
    }
    read_want(p, n, &w, t, x);
    return true;
}

void ruletest_parse_expects(struct ruletest_parse *p, const struct yaml_node *n, struct test *x)
{
    size_t count = ruletest_list(p, n, "expect");
    x->expects = ruletest_take(p, count, sizeof(*x->expects));
    for (const struct yaml_node *i = count ? n->first : NULL; i; i = i->next)
        x->n_expects += one_expect(p, i, x, &x->expects[x->n_expects]);
}
