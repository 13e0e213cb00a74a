/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which branches of the rules have been gone through: each level reached and left, each delay kept
 * from alarming, silence, flapping, the schedule's both sides, the latch.
 */
#include "base/mem.h"
#include "core/json.h"
#include "core/ruletest_flow.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKED_MAX = 64 << 20, MAX_POINTS = 10000 };

struct level_seen {
    enum severity severity;
    bool has_for, has_off_for;
    bool reached, left, waited, came_back;
};
struct rule_seen {
    char *id, *file;
    int line;
    struct level_seen levels[RULE_MAX_LEVELS];
    size_t n_levels;
    bool has_no_data, damps, has_schedule, latch;
    bool silent, spoke_again, flapped, in_force, out_of_force, reset, alarmed;
};
struct point_before { /* of a further point; there are few */
    size_t at;        /* as in `before` */
    char *point;
    uint8_t packed;
};
struct ruletest_cover {
    struct rule_seen *rules;
    size_t n, cap;
    uint8_t *before; /* of this run: by device and rule */
    size_t n_before;
    struct point_before *points;
    size_t n_points, cap_points;
    const struct world *w;
};

struct ruletest_cover *ruletest_cover_new(void)
{
    return mem_zalloc(sizeof(struct ruletest_cover));
}

static void forget_points(struct ruletest_cover *c)
{
    for (size_t i = 0; i < c->n_points; i++)
        free(c->points[i].point);
    c->n_points = 0;
}

void ruletest_cover_free(struct ruletest_cover *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->rules[i].id);
        free(c->rules[i].file);
    }
    forget_points(c);
    free(c->points);
    free(c->rules);
    free(c->before);
    free(c);
}

static struct rule_seen *find(struct ruletest_cover *c, const char *id, const char *file)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->rules[i].id, id) == 0 && (!file || strcmp(c->rules[i].file, file) == 0))
            return &c->rules[i];
    return NULL;
}

/* Its delays may take so long that it cannot change so often in that time: from the first alarm on,
 * ends and beginnings by turns. */
static bool can_flap(const struct rule *r)
{
    const struct rule_level *l = r->n_levels && r->levels ? r->levels[0] : NULL;
    double span = 0;
    for (unsigned i = 1; l && i < r->flap_changes; i++)
        span += (double)(i % 2 ? l[0].off_for_ns : l[0].for_ns);
    return l && span < (double)r->flap_within_ns;
}

static void add(struct ruletest_cover *c, const struct rule *r)
{
    if (find(c, r->id, r->file))
        return;
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 32;
        c->rules = mem_realloc_array(c->rules, c->cap, sizeof(*c->rules));
    }
    struct rule_seen *s = &c->rules[c->n++];
    *s = (struct rule_seen){.id = mem_strdup(r->id),
                            .file = mem_strdup(r->file),
                            .line = r->line,
                            .n_levels = r->n_levels,
                            .has_no_data = r->has_no_data,
                            .damps = r->damps && can_flap(r),
                            .has_schedule = r->n_windows > 0,
                            .latch = r->latch};
    const struct rule_level *l = r->n_kinds && r->levels ? r->levels[0] : NULL;
    for (size_t i = 0; l && i < r->n_levels; i++)
        s->levels[i] = (struct level_seen){.severity = l[i].severity,
                                           .has_for = l[i].for_ns > 0,
                                           .has_off_for = l[i].off_for_ns > 0};
}

void ruletest_cover_world(struct ruletest_cover *c, const struct world *w)
{
    forget_points(c);
    free(c->before);
    c->before = NULL;
    c->n_before = 0;
    c->w = w;
    for (size_t i = 0; i < rules_count(w->rules); i++)
        add(c, rules_at(w->rules, i));
    size_t n = rules_count(w->rules) * registry_devices(w->registry);
    if (n > 0 && n <= LOOKED_MAX) {
        c->before = mem_zalloc_array(n, 1);
        c->n_before = n;
    }
}

static struct level_seen *level_of(struct rule_seen *s, enum severity severity)
{
    for (size_t i = 0; i < s->n_levels; i++)
        if (s->levels[i].severity == severity)
            return &s->levels[i];
    return NULL;
}

/* What was last told of the case before this, or NULL. */
static const struct happened *before_it(const struct ruletest_run *r, const struct happened *h)
{
    for (const struct happened *p = h; p-- > r->happened;)
        if (p->case_no == h->case_no)
            return p;
    return NULL;
}

/* Is it an alarm about silence? */
static bool is_silent(const struct ruletest_run *r, const struct happened *h)
{
    struct json_value root, v;
    const char *why, *s;
    size_t n;
    if (json_parse(r->json, h->json, h->json_len, &root, &why) != 0 ||
        !json_member(root, "quality", &v) || json_type(v) != JSON_STRING)
        return false;
    s = json_text(v, &n);
    return n == 5 && memcmp(s, "stale", n) == 0;
}

void ruletest_cover_transition(struct ruletest_cover *c, const struct ruletest_run *r,
                               const struct happened *h)
{
    const struct rule *rule = rules_find(r->w->rules, h->rule, strlen(h->rule));
    struct rule_seen *s = rule ? find(c, rule->id, rule->file) : NULL;
    const struct happened *was = s ? before_it(r, h) : NULL;
    if (!s)
        return;
    struct level_seen *now = level_of(s, h->severity);
    bool up =
        h->change == CASE_ACTIVATED || h->change == CASE_RECURRED || h->change == CASE_RAISED;
    bool down = h->change == CASE_CLEARED || h->change == CASE_LOWERED;
    s->alarmed |= up;
    bool silent = is_silent(r, h), was_silent = was && is_silent(r, was);
    if (silent)
        s->silent |= up;
    else if (now && (up || h->change == CASE_LOWERED))
        now->reached = true;
    if (was_silent)
        s->spoke_again |= h->change == CASE_CLEARED;
    else if (down && was && level_of(s, was->severity))
        level_of(s, was->severity)->left = true;
    s->flapped |= h->change == CASE_FLAPPING;
    s->reset |= h->change == CASE_RESET;
    s->silent |= h->change == CASE_STALE;
    s->spoke_again |= h->change == CASE_FRESH;
}

/* What an instance was at the last look, in a byte: condition, level + 1, silent. */
static uint8_t packed(const struct alarm_event *ev)
{
    unsigned level = ev->level >= 0 ? (unsigned)ev->level + 1 : 0;
    return (uint8_t)((unsigned)ev->condition | level << 2 |
                     (ev->quality == ALARM_STALE ? 32u : 0));
}

static void compare(struct rule_seen *s, uint8_t was, const struct alarm_event *ev)
{
    unsigned condition = was & 3, level = was >> 2 & 7;
    bool stale = ev->quality == ALARM_STALE;
    s->silent |= stale;
    s->spoke_again |= (was & 32) && !stale;
    s->flapped |= ev->flapping;
    if (ev->level >= 0 && (size_t)ev->level < s->n_levels && ev->condition == ALARM_ACTIVE)
        s->levels[ev->level].reached = s->alarmed = true;
    if (level > 0 && level <= s->n_levels && (int)level - 1 != ev->level &&
        (ev->condition == ALARM_NORMAL || (int)level - 1 > ev->level))
        s->levels[level - 1].left = true;
    /* a delay that did its work: what had begun was over before it */
    if (condition == ALARM_PENDING && ev->condition == ALARM_NORMAL)
        for (size_t i = 0; i < s->n_levels; i++)
            s->levels[i].waited = true;
    if (condition == ALARM_RECOVERING && ev->condition == ALARM_ACTIVE && ev->level >= 0 &&
        (size_t)ev->level < s->n_levels)
        s->levels[ev->level].came_back = true;
}

static uint8_t *before_of(struct ruletest_cover *c, size_t at, const char *point)
{
    if (!*point)
        return at < c->n_before ? &c->before[at] : NULL;
    for (size_t i = 0; i < c->n_points; i++)
        if (c->points[i].at == at && strcmp(c->points[i].point, point) == 0)
            return &c->points[i].packed;
    if (c->n_points == MAX_POINTS)
        return NULL;
    if (c->n_points == c->cap_points) {
        c->cap_points = c->cap_points ? 2 * c->cap_points : 32;
        c->points = mem_realloc_array(c->points, c->cap_points, sizeof(*c->points));
    }
    c->points[c->n_points] = (struct point_before){.at = at, .point = mem_strdup(point)};
    return &c->points[c->n_points++].packed;
}

void ruletest_cover_look(struct ruletest_cover *c, const struct ruletest_run *r,
                         const struct device *d, const char *point)
{
    const struct rule *const *rules;
    if (r->w != c->w)
        ruletest_cover_world(c, r->w);
    d = registry_find(r->w->registry, d->code, strlen(d->code));
    if (!d)
        return;
    size_t n = rules_of_kind(r->w->rules, d->kind, &rules);
    int64_t wall = r->x->start_ms + r->beat_ns / NS_MS + r->shift_ns / NS_MS;
    for (size_t i = 0; i < n; i++) {
        struct rule_seen *s = find(c, rules[i]->id, rules[i]->file);
        size_t at = (size_t)d->index * rules_count(r->w->rules) + rules[i]->index;
        struct alarm_event ev;
        bool in = rule_in_force(rules[i], rules_calendar(r->w->rules), r->w->zone, wall);
        s->in_force |= in;
        s->out_of_force |= !in;
        if (!alarm_look(engine_alarm(r->e), rules[i], d, point, &ev))
            continue;
        uint8_t *before = before_of(c, at, point);
        if (!before)
            continue;
        compare(s, *before, &ev);
        *before = packed(&ev);
    }
}

/* -- the report ------------------------------------------------------------------------------ */

struct report {
    struct buf *out;
    const struct rule_seen *rule;
    struct ruletest_branches *n;
};

static void branch(const struct report *p, const struct level_seen *l, const char *what,
                   bool there, bool seen)
{
    if (!there)
        return;
    p->n->all++;
    p->n->seen += seen;
    if (seen || !p->rule->alarmed)
        return;
    (void)buf_printf(p->out, "%s:%d: rule %s: %s%s%s\n", p->rule->file, p->rule->line,
                     p->rule->id, l ? severity_name(l->severity) : "", l ? ": " : "", what);
}

static void report_rule(const struct report *p)
{
    const struct rule_seen *s = p->rule;
    for (size_t i = 0; i < s->n_levels; i++) {
        const struct level_seen *l = &s->levels[i];
        branch(p, l, "never reached", true, l->reached);
        branch(p, l, "never left", true, l->left);
        branch(p, l, "`for` never kept it from alarming", l->has_for && i == 0, l->waited);
        branch(p, l, "`off_for` never kept it from clearing", l->has_off_for, l->came_back);
    }
    branch(p, NULL, "`no_data`: never silent", s->has_no_data, s->silent);
    branch(p, NULL, "`no_data`: never heard again", s->has_no_data, s->spoke_again);
    branch(p, NULL, "`flapping`: never", s->damps && s->n_levels, s->flapped);
    branch(p, NULL, "`schedule`: never in force", s->has_schedule, s->in_force);
    branch(p, NULL, "`schedule`: never out of force", s->has_schedule, s->out_of_force);
    branch(p, NULL, "`latch`: never reset", s->latch, s->reset);
    if (!s->alarmed)
        (void)buf_printf(p->out, "%s:%d: rule %s: no test makes it alarm\n", s->file, s->line,
                         s->id);
}

void ruletest_cover_print(const struct ruletest_cover *c, struct buf *out,
                          struct ruletest_branches *out_n)
{
    struct ruletest_branches n = {0};
    for (size_t i = 0; i < c->n; i++)
        report_rule(&(struct report){out, &c->rules[i], &n});
    *out_n = n;
}
