/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened against what was expected, and the difference for people.
 *
 * Expectations are not in an order of their own: each one finds a transition of its time that
 * fits, so that all have one where that is possible at all (a bipartite matching).
 */
#include "base/mem.h"
#include "base/num.h"
#include "core/json.h"
#include "core/ruletest_flow.h"
#include "core/text.h"
#include "core/topic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 60, NONE = -1, MAX_CHAIN = 1000 };

/* -- does it fit? ---------------------------------------------------------------------------- */

static bool near(double a, double b)
{
    return a == b || fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static bool text_is(const char *s, size_t n, const char *wanted)
{
    return strlen(wanted) == n && memcmp(s, wanted, n) == 0;
}

/* A list as its words with commas between. */
static bool list_is(struct json_value v, const char *wanted)
{
    struct json_iter it;
    struct json_value e;
    struct buf b;
    buf_init(&b, 65536);
    json_iter(v, &it);
    while (json_next(&it, NULL, NULL, &e)) {
        size_t n = 0;
        const char *s = json_type(e) == JSON_STRING ? json_text(e, &n) : "?";
        (void)buf_puts(&b, b.len ? "," : "");
        (void)buf_put(&b, s, json_type(e) == JSON_STRING ? n : 1);
    }
    bool same = text_is(b.data ? b.data : "", b.len, wanted);
    buf_done(&b);
    return same;
}

static bool value_is(struct json_value v, const char *wanted)
{
    double d;
    size_t n;
    const char *s;
    switch (json_type(v)) {
    case JSON_NULL:
        return strcmp(wanted, "null") == 0;
    case JSON_BOOL:
        return strcmp(wanted, json_bool(v) ? "true" : "false") == 0;
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
        return text_double(wanted, strlen(wanted), &d) && near(d, json_double(v));
    case JSON_STRING:
        s = json_text(v, &n);
        return text_is(s, n, wanted);
    case JSON_ARRAY:
        return list_is(v, wanted);
    case JSON_OBJECT:
        break;
    }
    return false;
}

/* "ack.by" */
static bool member_at(struct json_value root, const char *path, struct json_value *out)
{
    char key[128];
    struct json_value v = root;
    for (;;) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof(key) || json_type(v) != JSON_OBJECT)
            return false;
        memcpy(key, path, n);
        key[n] = '\0';
        if (!json_member(v, key, &v))
            return false;
        if (!path[n])
            break;
        path += n + 1;
    }
    *out = v;
    return true;
}

static bool state_has(struct json_value root, const char *path, const char *wanted)
{
    struct json_value v;
    return !wanted || (member_at(root, path, &v) && value_is(v, wanted));
}

static bool state_fits(struct ruletest_run *r, const struct happened *h, const struct pick *p)
{
    struct json_value root;
    const char *why;
    if (!p->condition && !p->quality && !p->work && !p->text_value && p->late < 0 &&
        p->n_members == 0)
        return true;
    if (json_parse(r->json, h->json, h->json_len, &root, &why) != 0)
        return false;
    bool ok = state_has(root, "condition", p->condition) &&
              state_has(root, "quality", p->quality) && state_has(root, "work", p->work) &&
              state_has(root, "value", p->text_value) &&
              state_has(root, "late",
                        p->late < 0 ? NULL
                        : p->late   ? "true"
                                    : "false");
    for (size_t i = 0; ok && i < p->n_members; i++)
        ok = state_has(root, p->members[i].path, p->members[i].value);
    return ok;
}

static bool same_word(const char *wanted, const char *got)
{
    return !wanted || strcmp(wanted, got) == 0;
}

static bool same_flag(int wanted, bool got)
{
    return wanted < 0 || (wanted != 0) == got;
}

static bool fits(struct ruletest_run *r, const struct happened *h, const struct pick *p)
{
    return same_word(p->rule, h->rule) &&
           (!p->device || ruletest_means(p->device, h->device)) &&
           same_word(p->point, h->point) && same_word(p->firm, h->firm) &&
           same_word(p->compound, h->compound) &&
           same_word(p->severity, severity_name(h->severity)) &&
           (!p->case_no || p->case_no == h->case_no) && same_flag(p->test, h->test) &&
           same_flag(p->told, h->deliver) && same_flag(p->urgent, h->urgent) &&
           state_fits(r, h, p);
}

/* -- matching -------------------------------------------------------------------------------- */

struct matching {
    struct ruletest_run *r;
    bool (*fits)(struct ruletest_run *r, const void *wanted, size_t wanted_no, size_t got);
    const void *wanted;
    const size_t *from, *to; /* of each wanted: which could be it */
    int32_t *of_got, *of_wanted;
    uint8_t *known; /* 0 not asked; 1 no; 2 yes */
    size_t n_got;
    uint32_t *seen, round;
};

static bool may(struct matching *m, size_t w, size_t g)
{
    uint8_t *k = m->known ? &m->known[w * m->n_got + g] : NULL;
    if (k && *k)
        return *k == 2;
    bool yes = m->fits(m->r, m->wanted, w, g);
    if (k)
        *k = yes ? 2 : 1;
    return yes;
}

static void settle(struct matching *m, size_t w, size_t g)
{
    m->of_got[g] = (int32_t)w;
    m->of_wanted[w] = (int32_t)g;
}

/* A free one, or one whose holder finds another. The free ones first: else many expectations of
 * one span push each other along, one step deeper for each. */
static bool place(struct matching *m, size_t w, unsigned depth)
{
    for (size_t g = m->from[w]; g < m->to[w]; g++) {
        if (m->of_got[g] == NONE && may(m, w, g)) {
            settle(m, w, g);
            return true;
        }
    }
    for (size_t g = m->from[w]; depth < MAX_CHAIN && g < m->to[w]; g++) {
        if (m->of_got[g] == NONE || m->seen[g] == m->round || !may(m, w, g))
            continue;
        m->seen[g] = m->round;
        if (place(m, (size_t)m->of_got[g], depth + 1)) {
            settle(m, w, g);
            return true;
        }
    }
    return false;
}

/* of_wanted and of_got: the other one's number, or NONE; the caller's free. */
static void match(struct matching *m, size_t n_wanted, size_t n_got)
{
    m->n_got = n_got;
    m->of_got = mem_zalloc_array(n_got, sizeof(*m->of_got));
    m->of_wanted = mem_zalloc_array(n_wanted, sizeof(*m->of_wanted));
    m->seen = mem_zalloc_array(n_got, sizeof(*m->seen));
    m->known = n_got && n_wanted <= ((size_t)16 << 20) / n_got
                   ? mem_zalloc_array(n_wanted * n_got, 1)
                   : NULL;
    for (size_t i = 0; i < n_got; i++)
        m->of_got[i] = NONE;
    for (size_t i = 0; i < n_wanted; i++)
        m->of_wanted[i] = NONE;
    for (size_t i = 0; i < n_wanted; i++) {
        m->round++;
        (void)place(m, i, 0);
    }
    free(m->seen);
    free(m->known);
    m->seen = NULL;
    m->known = NULL;
}

static void match_done(struct matching *m)
{
    free(m->of_got);
    free(m->of_wanted);
}

/* -- words ----------------------------------------------------------------------------------- */

static void put_word(struct buf *b, const char *key, const char *s)
{
    if (!s)
        return;
    bool plain = *s && *s != '-' && *s != '?' && s[strcspn(s, " ,:{}[]\"'#&*!|>%@`\\")] == '\0';
    (void)buf_printf(b, plain ? ", %s: %s" : ", %s: \"", key, s);
    for (; !plain && *s; s++)
        (void)buf_printf(b, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
    (void)buf_puts(b, plain ? "" : "\"");
}

static void put_bytes(struct buf *b, const char *key, const char *s, size_t n)
{
    char room[100];
    n = n < sizeof(room) ? n : sizeof(room) - 1;
    while (n > 0 && n == sizeof(room) - 1 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    memcpy(room, s, n);
    room[n] = '\0';
    put_word(b, key, room);
}

static void put_flag(struct buf *b, const char *key, int v)
{
    if (v >= 0)
        put_word(b, key, v ? "true" : "false");
}

static void put_pick(struct buf *b, const struct pick *p)
{
    put_word(b, "rule", p->rule);
    put_word(b, "device", p->device);
    put_word(b, "point", p->point);
    put_word(b, "severity", p->severity);
    put_word(b, "value", p->text_value);
    put_word(b, "condition", p->condition);
    put_word(b, "quality", p->quality);
    put_word(b, "work", p->work);
    put_word(b, "firm", p->firm);
    put_word(b, "compound", p->compound);
    if (p->case_no)
        (void)buf_printf(b, ", case: %u", p->case_no);
    put_flag(b, "late", p->late);
    put_flag(b, "test", p->test);
    put_flag(b, "told", p->told);
    put_flag(b, "urgent", p->urgent);
    for (size_t i = 0; i < p->n_members; i++)
        (void)buf_printf(b, "%s%s: %s%s", i ? ", " : ", state: {", p->members[i].path,
                         p->members[i].value, i + 1 == p->n_members ? "}" : "");
}

static void put_at(struct buf *b, int64_t from, int64_t to)
{
    if (to == INT64_MAX) { /* not said */
        (void)buf_puts(b, "{");
        return;
    }
    (void)buf_puts(b, "{at: ");
    ruletest_put_time(b, from);
    if (to != from) {
        (void)buf_puts(b, "..");
        ruletest_put_time(b, to);
    }
}

static void put_expect(struct buf *b, const struct expect *x)
{
    put_at(b, x->from_ns, x->to_ns);
    if (x->kind == EXPECT_TRANSITION)
        put_word(b, "transition", case_change_name(x->change));
    else
        put_word(b, "reply", case_answer_name(x->answer));
    if (x->kind == EXPECT_REPLY && x->verb >= 0)
        put_word(b, "verb", case_verb_name((enum case_verb)x->verb));
    put_pick(b, &x->pick);
    (void)buf_putc(b, '}');
}

static void put_state(struct ruletest_run *r, struct buf *b, const struct happened *h)
{
    static const char *const keys[] = {"condition", "quality", "work"};
    struct json_value root, v;
    const char *why, *s;
    size_t n;
    char room[NUM_MAX];
    if (json_parse(r->json, h->json, h->json_len, &root, &why) != 0)
        return;
    if (json_member(root, "value", &v) && json_type(v) != JSON_NULL) {
        if (json_type(v) == JSON_STRING) {
            s = json_text(v, &n);
            put_bytes(b, "value", s, n);
        } else if (json_type(v) == JSON_BOOL) {
            put_word(b, "value", json_bool(v) ? "true" : "false");
        } else {
            n = num_put_double(room, json_double(v));
            (void)buf_printf(b, ", value: %.*s", (int)n, room);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        if (!json_member(root, keys[i], &v) || json_type(v) != JSON_STRING)
            continue;
        s = json_text(v, &n);
        (void)buf_printf(b, ", %s: %.*s", keys[i], (int)(n > 64 ? 64 : n), s);
    }
    if (json_member(root, "late", &v) && json_type(v) == JSON_BOOL && json_bool(v))
        put_word(b, "late", "true");
}

static void put_happened(struct ruletest_run *r, struct buf *b, const struct happened *h)
{
    put_at(b, h->at_ns, h->at_ns);
    put_word(b, "transition", case_change_name(h->change));
    put_word(b, "rule", h->rule);
    put_word(b, "device", h->device);
    put_word(b, "point", *h->point ? h->point : NULL);
    put_word(b, "severity", severity_name(h->severity));
    put_state(r, b, h);
    if (!h->deliver)
        put_word(b, "told", "false");
    (void)buf_putc(b, '}');
}

static void begin_wrong(struct ruletest_run *r, int line, int col, const char *what)
{
    r->failed = true;
    (void)buf_printf(r->text, "%s:%d:%d: %s: %s\n", r->t->file, line, col, r->x->name, what);
}

static void put_line(struct buf *b, char mark, const struct buf *line)
{
    (void)buf_printf(b, "    %c ", mark);
    (void)buf_put(b, line->data, line->len);
    (void)buf_putc(b, '\n');
}

/* -- transitions ----------------------------------------------------------------------------- */

struct wanted { /* the expectations of one kind, by time */
    const struct expect **list;
    size_t n, *from, *to;
};

static int by_from(const void *a, const void *b)
{
    const struct expect *x = *(const struct expect *const *)a,
                        *y = *(const struct expect *const *)b;
    if (x->from_ns != y->from_ns)
        return x->from_ns < y->from_ns ? -1 : 1;
    return x->line != y->line ? (x->line < y->line ? -1 : 1)
                              : (x->col > y->col) - (x->col < y->col);
}

static void collect(struct ruletest_run *r, enum expect_kind kind, struct wanted *w)
{
    *w = (struct wanted){.list = mem_zalloc_array(r->x->n_expects, sizeof(*w->list))};
    for (size_t i = 0; i < r->x->n_expects; i++)
        if (r->x->expects[i].kind == kind)
            w->list[w->n++] = &r->x->expects[i];
    qsort(w->list, w->n, sizeof(*w->list), by_from);
    w->from = mem_zalloc_array(w->n, sizeof(*w->from));
    w->to = mem_zalloc_array(w->n, sizeof(*w->to));
}

static void wanted_done(struct wanted *w)
{
    free(w->list);
    free(w->from);
    free(w->to);
}

static bool transition_fits(struct ruletest_run *r, const void *wanted, size_t w, size_t g)
{
    const struct expect *x = ((const struct wanted *)wanted)->list[w];
    const struct happened *h = &r->happened[g];
    return x->change == h->change && fits(r, h, &x->pick);
}

/* Both lists are in the order of time. */
static void windows(struct ruletest_run *r, struct wanted *w)
{
    for (size_t i = 0; i < w->n; i++) {
        size_t g = i ? w->from[i - 1] : 0;
        while (g < r->n_happened && r->happened[g].at_ns < w->list[i]->from_ns)
            g++;
        w->from[i] = g;
        while (g < r->n_happened && r->happened[g].at_ns <= w->list[i]->to_ns)
            g++;
        w->to[i] = g;
    }
}

/* The transition that was probably meant: of the same change, rule and device. */
static const struct happened *nearest(const struct ruletest_run *r, const struct expect *x,
                                      const struct matching *m)
{
    const struct happened *best = NULL;
    int64_t best_off = INT64_MAX;
    for (size_t g = 0; g < r->n_happened; g++) {
        const struct happened *h = &r->happened[g];
        const struct pick *p = &x->pick;
        int64_t off = h->at_ns < x->from_ns ? x->from_ns - h->at_ns
                      : h->at_ns > x->to_ns ? h->at_ns - x->to_ns
                                            : 0;
        if (m->of_got[g] != NONE || h->change != x->change || !same_word(p->rule, h->rule) ||
            (p->device && !ruletest_means(p->device, h->device)) || off >= best_off)
            continue;
        best = h;
        best_off = off;
    }
    return best_off == 0 ? best : NULL;
}

static void put_differs(struct ruletest_run *r, const char *what, const char *wanted,
                        const char *got, size_t n)
{
    (void)buf_printf(r->text, "      %s: expected %s, was %.*s\n", what, wanted, (int)n, got);
}

static void put_flag_differs(struct ruletest_run *r, const char *what, int wanted, bool got)
{
    static const char *const words[] = {"false", "true"};
    if (!same_flag(wanted, got))
        put_differs(r, what, words[wanted], words[got], strlen(words[got]));
}

static void differs(struct ruletest_run *r, struct json_value root, const char *path,
                    const char *wanted)
{
    struct json_value v;
    size_t n = 0;
    char room[NUM_MAX];
    if (!wanted || state_has(root, path, wanted))
        return;
    if (!member_at(root, path, &v)) {
        put_differs(r, path, wanted, "not there", 9);
        return;
    }
    switch (json_type(v)) {
    case JSON_STRING: {
        const char *s = json_text(v, &n);
        put_differs(r, path, wanted, s, n);
        break;
    }
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
        n = num_put_double(room, json_double(v));
        put_differs(r, path, wanted, room, n);
        break;
    case JSON_BOOL:
        put_differs(r, path, wanted, json_bool(v) ? "true" : "false", json_bool(v) ? 4 : 5);
        break;
    case JSON_NULL:
        put_differs(r, path, wanted, "null", 4);
        break;
    case JSON_ARRAY:
        put_differs(r, path, wanted, "another list", 12);
        break;
    case JSON_OBJECT:
        put_differs(r, path, wanted, "an object", 9);
        break;
    }
}

/* What of an expectation its nearest transition does not have. */
static void put_why(struct ruletest_run *r, const struct expect *x, const struct happened *h)
{
    const struct pick *p = &x->pick;
    struct json_value root;
    const char *why;
    if (!same_word(p->severity, severity_name(h->severity)))
        put_differs(r, "severity", p->severity, severity_name(h->severity),
                    strlen(severity_name(h->severity)));
    const struct {
        const char *what, *wanted, *got;
    } words[] = {{"point", p->point, h->point},
                 {"firm", p->firm, h->firm},
                 {"compound", p->compound, h->compound}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (!same_word(words[i].wanted, words[i].got))
            put_differs(r, words[i].what, words[i].wanted,
                        *words[i].got ? words[i].got : "\"\"",
                        *words[i].got ? strlen(words[i].got) : 2);
    put_flag_differs(r, "told", p->told, h->deliver);
    put_flag_differs(r, "urgent", p->urgent, h->urgent);
    put_flag_differs(r, "test", p->test, h->test);
    if (p->case_no && p->case_no != h->case_no)
        (void)buf_printf(r->text, "      case: expected %u, was %u\n", p->case_no, h->case_no);
    if (json_parse(r->json, h->json, h->json_len, &root, &why) != 0)
        return;
    differs(r, root, "condition", p->condition);
    differs(r, root, "quality", p->quality);
    differs(r, root, "work", p->work);
    differs(r, root, "value", p->text_value);
    if (p->late >= 0)
        differs(r, root, "late", p->late ? "true" : "false");
    for (size_t i = 0; i < p->n_members; i++)
        differs(r, root, p->members[i].path, p->members[i].value);
}

static void put_difference(struct ruletest_run *r, const struct wanted *w,
                           const struct matching *m)
{
    size_t i = 0, g = 0, lines = 0;
    bool all = r->n_happened + w->n <= MAX_LINES; /* those that came as expected, too */
    while (i < w->n || g < r->n_happened) {
        struct buf line;
        buf_init(&line, 4096);
        char mark = ' ';
        if (i < w->n && m->of_wanted[i] != NONE) {
            i++; /* shown as what came */
            continue;
        }
        bool missing =
            i < w->n && (g == r->n_happened || w->list[i]->from_ns <= r->happened[g].at_ns);
        const struct expect *lost = missing ? w->list[i] : NULL;
        if (missing) {
            mark = '-';
            put_expect(&line, w->list[i++]);
        } else {
            mark = m->of_got[g] == NONE ? r->x->more_allowed ? '~' : '+' : ' ';
            put_happened(r, &line, &r->happened[g++]);
        }
        bool shown = (all || mark != ' ') && lines < MAX_LINES;
        lines += all || mark != ' ';
        if (shown)
            put_line(r->text, mark, &line);
        const struct happened *h = lost && shown ? nearest(r, lost, m) : NULL;
        if (h)
            put_why(r, lost, h);
        buf_done(&line);
    }
    if (lines > MAX_LINES)
        (void)buf_printf(r->text, "    … and %zu more\n", lines - MAX_LINES);
}

static void put_whole(struct ruletest_run *r)
{
    (void)buf_printf(r->text, "%s:%d:%d: %s: what came, as it would pass:\n", r->t->file,
                     r->x->line, r->x->col, r->x->name);
    for (size_t i = 0; i < r->n_happened; i++) {
        struct buf line;
        buf_init(&line, 4096);
        put_happened(r, &line, &r->happened[i]);
        put_line(r->text, '-', &line);
        buf_done(&line);
    }
}

static void compare_transitions(struct ruletest_run *r)
{
    struct wanted w;
    struct matching m = {.r = r, .fits = transition_fits, .wanted = &w};
    collect(r, EXPECT_TRANSITION, &w);
    windows(r, &w);
    m.from = w.from;
    m.to = w.to;
    match(&m, w.n, r->n_happened);
    const struct expect *first = NULL;
    size_t missing = 0, more = 0;
    for (size_t i = 0; i < w.n; i++) {
        if (m.of_wanted[i] == NONE) {
            first = first ? first : w.list[i];
            missing++;
        }
    }
    for (size_t g = 0; g < r->n_happened; g++)
        more += m.of_got[g] == NONE && !r->x->more_allowed;
    if (missing + more > 0) {
        begin_wrong(r, first ? first->line : r->x->line, first ? first->col : r->x->col,
                    "other transitions than expected (- expected, + came)");
        put_difference(r, &w, &m);
        if (r->o->whole)
            put_whole(r);
    }
    match_done(&m);
    wanted_done(&w);
}

/* -- replies --------------------------------------------------------------------------------- */

static bool reply_fits(struct ruletest_run *r, const void *wanted, size_t w, size_t g)
{
    const struct expect *x = ((const struct wanted *)wanted)->list[w];
    const struct replied *a = &r->replied[g];
    struct json_value root;
    const char *why;
    if (a->at_ns < x->from_ns || a->at_ns > x->to_ns || a->answer != x->answer ||
        (x->verb >= 0 && (enum case_verb)x->verb != a->verb))
        return false;
    if (x->pick.case_no && (x->pick.case_no > r->n_opened ||
                            strcmp(r->opened[x->pick.case_no - 1].case_id, a->case_id) != 0))
        return false;
    if (x->pick.n_members == 0)
        return true;
    if (json_parse(r->json, a->json, strlen(a->json), &root, &why) != 0)
        return false;
    for (size_t i = 0; i < x->pick.n_members; i++)
        if (!state_has(root, x->pick.members[i].path, x->pick.members[i].value))
            return false;
    return true;
}

static void put_unexpected(struct ruletest_run *r, const struct replied *a, const char *what)
{
    begin_wrong(r, r->x->line, r->x->col, what);
    (void)buf_puts(r->text, "    + at ");
    ruletest_put_time(r->text, a->at_ns);
    (void)buf_printf(r->text, ": %s\n", a->json);
}

/* Who lists no replies means his commands to be done. */
static void expect_done(struct ruletest_run *r)
{
    for (size_t g = 0; g < r->n_replied; g++)
        if (r->replied[g].answer != ANSWER_DONE && r->replied[g].answer != ANSWER_ALREADY)
            put_unexpected(r, &r->replied[g],
                           "a command was not done, and no reply is expected");
}

static void compare_replies(struct ruletest_run *r)
{
    struct wanted w;
    struct matching m = {.r = r, .fits = reply_fits, .wanted = &w};
    if (!r->x->replies_listed) {
        expect_done(r);
        return;
    }
    collect(r, EXPECT_REPLY, &w);
    for (size_t i = 0; i < w.n; i++)
        w.to[i] = r->n_replied;
    m.from = w.from;
    m.to = w.to;
    match(&m, w.n, r->n_replied);
    for (size_t i = 0; i < w.n; i++) {
        if (m.of_wanted[i] != NONE)
            continue;
        struct buf line;
        buf_init(&line, 4096);
        begin_wrong(r, w.list[i]->line, w.list[i]->col, "no such reply (- expected, + came)");
        put_expect(&line, w.list[i]);
        put_line(r->text, '-', &line);
        buf_done(&line);
    }
    for (size_t g = 0; g < r->n_replied; g++) {
        if (m.of_got[g] == NONE)
            put_unexpected(r, &r->replied[g], "a reply that was not expected");
    }
    match_done(&m);
    wanted_done(&w);
}

/* -- what is looked at at a time --------------------------------------------------------------- */

struct open_now {
    const struct expect *x;
    const size_t *cases;
};

static bool open_fits(struct ruletest_run *r, const void *wanted, size_t w, size_t g)
{
    const struct open_now *o = wanted;
    return fits(r, &r->happened[r->opened[o->cases[g]].last], &o->x->open[w]);
}

static void judge_open(struct ruletest_run *r, const struct expect *x)
{
    size_t *cases = mem_zalloc_array(r->n_opened, sizeof(*cases)), n = 0;
    for (size_t i = 0; i < r->n_opened; i++)
        if (!r->opened[i].closed)
            cases[n++] = i;
    struct open_now o = {x, cases};
    size_t *from = mem_zalloc_array(x->n_open, sizeof(*from)),
           *to = mem_zalloc_array(x->n_open, sizeof(*to));
    for (size_t i = 0; i < x->n_open; i++)
        to[i] = n;
    struct matching m = {.r = r, .fits = open_fits, .wanted = &o, .from = from, .to = to};
    match(&m, x->n_open, n);
    size_t wrong = 0;
    for (size_t i = 0; i < x->n_open; i++)
        wrong += m.of_wanted[i] == NONE;
    for (size_t g = 0; g < n; g++)
        wrong += m.of_got[g] == NONE;
    if (wrong)
        begin_wrong(r, x->line, x->col, "other cases are open (- expected, + open)");
    for (size_t i = 0; wrong && i < x->n_open; i++) {
        struct buf line;
        buf_init(&line, 4096);
        put_pick(&line, &x->open[i]);
        (void)buf_printf(r->text, "    %c {%.*s}\n", m.of_wanted[i] == NONE ? '-' : ' ',
                         (int)(line.len > 2 ? line.len - 2 : 0),
                         line.len > 2 ? line.data + 2 : "");
        buf_done(&line);
    }
    for (size_t g = 0; wrong && g < n && g < MAX_LINES; g++) {
        struct buf line;
        if (m.of_got[g] != NONE)
            continue;
        buf_init(&line, 4096);
        put_happened(r, &line, &r->happened[r->opened[cases[g]].last]);
        put_line(r->text, '+', &line);
        buf_done(&line);
    }
    match_done(&m);
    free(cases);
    free(from);
    free(to);
}

static uint64_t count_if(const struct topic_pattern *p, struct buf *topic, uint64_t n)
{
    struct topic_match m;
    return topic_matches(p, topic->data, topic->len, &m) ? n : 0;
}

/* The messages of one transition (gaihou-mqtt(7)): urgent, state or its removal, event. */
static uint64_t messages_of(const struct topic_pattern *p, const struct happened *h,
                            struct buf *room)
{
    uint64_t n = 0;
    if (!h->deliver)
        return 0;
    buf_clear(room);
    (void)buf_printf(room, "events/%s/%s", h->firm, h->compound);
    n += count_if(p, room, 1);
    if (h->urgent) {
        buf_clear(room);
        (void)buf_printf(room, "urgent/%s/%s", h->firm, h->compound);
        n += count_if(p, room, 1);
    }
    if (!h->record) {
        buf_clear(room);
        (void)buf_printf(room, "alerts/%s/%s/%s", h->firm, h->compound, h->case_id);
        n += count_if(p, room, 1);
    }
    if (h->was_firm || h->was_compound) {
        buf_clear(room);
        (void)buf_printf(room, "alerts/%s/%s/%s", h->was_firm ? h->was_firm : h->firm,
                         h->was_compound ? h->was_compound : h->compound, h->case_id);
        n += count_if(p, room, 1);
    }
    return n;
}

static void judge_messages(struct ruletest_run *r, const struct expect *x)
{
    struct topic_pattern *p = NULL;
    const char *why = "";
    struct buf room;
    uint64_t n = 0;
    if (topic_compile(x->topic, &p, &why) != 0) {
        begin_wrong(r, x->line, x->col, why);
        return;
    }
    buf_init(&room, 4096);
    for (size_t i = 0; i < r->n_happened; i++)
        n += messages_of(p, &r->happened[i], &room);
    if (n != x->count) {
        begin_wrong(r, x->line, x->col, "another number of messages");
        (void)buf_printf(r->text, "    - %llu on %s\n    + %llu\n",
                         (unsigned long long)x->count, x->topic, (unsigned long long)n);
    }
    buf_done(&room);
    topic_free(p);
}

static bool concerns(const struct ruletest_run *r, const struct rule *rule,
                     const struct device *d)
{
    const struct rule *const *rules;
    size_t n = rules_of_kind(r->w->rules, d->kind, &rules);
    for (size_t i = 0; i < n; i++)
        if (rules[i] == rule)
            return true;
    return false;
}

static void judge_state(struct ruletest_run *r, const struct expect *x)
{
    static const char *const conditions[] = {"normal", "pending", "active", "recovering"};
    static const char *const qualities[] = {"good", "stale", "bad", "unknown"};
    const struct pick *p = &x->pick;
    const struct rule *rule = rules_find(r->w->rules, p->rule, strlen(p->rule));
    const struct device *d = registry_find(r->w->registry, p->device, strlen(p->device));
    struct alarm_event ev = {.condition = ALARM_NORMAL, .quality = ALARM_UNKNOWN, .level = -1};
    if (!rule || !d) {
        begin_wrong(r, x->line, x->col,
                    rule ? "there is no such device" : "there is no such rule");
        return;
    }
    if (!concerns(r, rule, d)) {
        begin_wrong(r, x->line, x->col, "the rule does not concern a device of this kind");
        return;
    }
    bool there = alarm_look(engine_alarm(r->e), rule, d, p->point ? p->point : "", &ev);
    const char *severity = ev.level >= 0 ? severity_name(ev.severity) : "none";
    bool ok = same_word(p->condition, conditions[ev.condition]) &&
              same_word(p->quality, qualities[ev.quality]) &&
              same_word(p->severity, severity) && (!p->has_value || near(p->value, ev.value));
    if (ok)
        return;
    begin_wrong(r, x->line, x->col, "the alarm's condition is another one");
    struct buf line;
    buf_init(&line, 4096);
    put_at(&line, x->to_ns, x->to_ns);
    put_word(&line, "is", p->condition);
    put_word(&line, "rule", p->rule);
    put_word(&line, "device", p->device);
    put_word(&line, "point", p->point);
    put_word(&line, "quality", p->quality);
    put_word(&line, "severity", p->severity);
    put_word(&line, "value", p->text_value);
    (void)buf_putc(&line, '}');
    put_line(r->text, '-', &line);
    (void)buf_printf(r->text, "    + %s%s, quality %s, severity %s",
                     there ? "" : "(never spoke) ", conditions[ev.condition],
                     qualities[ev.quality], severity);
    if (p->has_value) {
        char room[NUM_MAX];
        int n = isnan(ev.value) ? 0 : (int)num_put_double(room, ev.value);
        (void)buf_printf(r->text, ", value %.*s", n ? n : 4, n ? room : "none");
    }
    (void)buf_putc(r->text, '\n');
    buf_done(&line);
}

void ruletest_judge(struct ruletest_run *r, const struct expect *x)
{
    if (r->replaying)
        return;
    if (x->kind == EXPECT_OPEN)
        judge_open(r, x);
    else if (x->kind == EXPECT_MESSAGES)
        judge_messages(r, x);
    else
        judge_state(r, x);
}

/* -- names ------------------------------------------------------------------------------------- */

static void check_rule(struct ruletest_run *r, const char *id, int line, int col)
{
    const char *names[256];
    size_t n = 0;
    if (!id || strncmp(id, "gaihou-", 7) == 0)
        return;
    for (size_t s = 0; s < r->t->n_sets; s++) {
        const struct rules *rules = r->o->worlds[s]->rules;
        if (rules_find(rules, id, strlen(id)))
            return;
        for (size_t i = 0; i < rules_count(rules) && n < 256; i++)
            names[n++] = rules_at(rules, i)->id;
    }
    const char *near = err_nearest(id, names, n);
    begin_wrong(r, line, col, "there is no such rule");
    (void)buf_printf(r->text, "      rule: \"%.64s\"%s%s%s\n", id,
                     near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

void ruletest_names(struct ruletest_run *r)
{
    for (size_t i = 0; i < r->x->n_expects; i++) {
        const struct expect *x = &r->x->expects[i];
        if (x->kind != EXPECT_STATE)
            check_rule(r, x->pick.rule, x->line, x->col);
        for (size_t k = 0; k < x->n_open; k++)
            check_rule(r, x->open[k].rule, x->line, x->col);
    }
}

void ruletest_compare(struct ruletest_run *r)
{
    if (r->overflow)
        begin_wrong(r, r->x->line, r->x->col,
                    "more transitions or messages than a test may have: given up");
    if (r->letters)
        begin_wrong(r, r->x->line, r->x->col,
                    r->letter_reason ? r->letter_reason : "a message could not be used");
    if (r->x->n_series + r->x->n_steps + r->x->n_expects == 0)
        begin_wrong(r, r->x->line, r->x->col,
                    "nothing is said and nothing expected, expected series or steps");
    if (r->bad && !r->good && !r->failed)
        begin_wrong(r, r->x->line, r->x->col,
                    "no value is good: all are outside their metric's plausible range");
    compare_transitions(r);
    compare_replies(r);
}
