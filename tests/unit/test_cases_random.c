/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cases under random events, commands, time, reloads and restarts. The rig checks each transition;
 * here it is checked that what is told converges to what is so, that a restart changes nothing,
 * and that the last blobs are the state. What is told is kept for the schemas: see test_cases.
 */
#include "cases_rig.h"

#include "core/cases_private.h"

#include <time.h>

#define KEYS 10

struct truth { /* of one key, as core/alarm would have it */
    bool active, flapping, inhibited;
    enum severity severity;
};

static const struct {
    const char *rule, *device, *point;
} keys[KEYS] = {{"none-1", "d1", ""},  {"ack-1", "d1", ""},  {"full-1", "d1", ""},
                {"latch-1", "d2", ""}, {"fire-1", "s1", ""}, {"none-1", "d3", ""},
                {"ack-1", "d2", "a"},  {"ack-1", "d2", "b"}, {"full-1", "d3", ""},
                {"fire-1", "s1", "z"}};

static struct alarm_event event(struct cases_rig *r, const struct truth *t, int k,
                                enum alarm_change change)
{
    struct alarm_event ev = rig_event(r, change, keys[k].rule, keys[k].device);
    ev.point = keys[k].point;
    ev.condition = t->active ? ALARM_ACTIVE : ALARM_NORMAL;
    ev.severity = t->severity;
    ev.flapping = t->flapping;
    ev.inhibited = t->inhibited;
    return ev;
}

/* The alarm's own changes, never ones that it could not make. */
static void condition(struct cases_rig *r, struct truth *t, int k, uint64_t x)
{
    unsigned what = (unsigned)(x % 12);
    enum alarm_change change;
    if (what < 5) {
        t->active = !t->active;
        t->severity = (enum severity)(1 + x / 16 % 4);
        change = t->active ? ALARM_ACTIVATED : ALARM_CLEARED;
        if (t->flapping && strcmp(keys[k].rule, "fire-1") != 0) {
            t->active = !t->active;
            return; /* held */
        }
        if (!t->active)
            t->inhibited = false;
    } else if (what < 7 && t->active) {
        t->severity = (enum severity)(1 + x / 16 % 4);
        change = ALARM_LEVEL;
    } else if (what == 7 && t->active) {
        change = ALARM_QUALITY;
    } else if (what == 8 && t->active && !t->flapping) {
        t->flapping = true;
        change = ALARM_FLAPPING;
    } else if (what == 9 && t->flapping) {
        t->flapping = false;
        t->active = x / 16 % 2;
        change = ALARM_SETTLED;
    } else if (what == 10 && t->active) {
        t->inhibited = !t->inhibited;
        change = ALARM_INHIBIT;
    } else if (what == 11) {
        change = ALARM_EPISODE;
    } else {
        return;
    }
    struct alarm_event ev = event(r, t, k, change);
    if (change == ALARM_QUALITY)
        ev.quality = x / 16 % 2 ? ALARM_STALE : ALARM_GOOD;
    if (change == ALARM_EPISODE)
        ev.condition = ALARM_NORMAL;
    rig_give(r, &ev);
}

static void command(struct cases_rig *r, uint64_t x)
{
    static const char *const scopes[] = {"device/d1", "building/qby/3", "compound/qby"};
    char payload[200], id[CASE_ID_MAX];
    bool operator_ = x & 1;
    enum case_verb verb = (enum case_verb)((x >> 8) % VERBS);
    if (!r->open)
        return;
    struct kept_case *k = r->open;
    for (unsigned i = (x >> 16) % 8; i > 0 && k->next; i--)
        k = k->next;
    snprintf(id, sizeof(id), "%s", k->id);
    snprintf(payload, sizeof(payload),
             "{\"by\":\"人%d\",\"to\":\"t\",\"photo\":\"p.jpg\",\"note\":\"n\"%s%s}",
             (int)(x >> 20 & 3), x >> 24 & 1 ? ",\"for\":\"5m\"" : "",
             x >> 25 & 3 ? "" : ",\"version\":2");
    if (verb == VERB_TEST || verb == VERB_UNTEST)
        snprintf(id, sizeof(id), "%s", scopes[(x >> 28) % 3]);
    bool c2 = strstr(k->key, "/d3/") != NULL;
    rig_ask(r,
            operator_ ? NULL
            : c2      ? "f2"
                      : "f1",
            operator_ ? "-"
            : c2      ? "c2"
                      : "qby",
            id, verb, payload, x >> 30 & 1 ? "c1" : NULL);
}

/* Open cases as the store has them, in its order. */
static size_t blobs(const struct cases_rig *r, const char **out, size_t *lens)
{
    size_t n = 0;
    for (const struct kept_case *k = r->open; k; k = k->next) {
        out[n] = k->blob;
        lens[n++] = k->blob_len;
    }
    return n;
}

static void no_difference(void *ctx, const char *id, const char *how)
{
    (void)ctx;
    fail_msg("%s: %s", id, how);
}

static void restart(struct cases_rig *r, bool adopt)
{
    struct buf a, b;
    const char *list[64];
    size_t lens[64], n = r->n;
    buf_init(&a, 16 << 20);
    buf_init(&b, 16 << 20);
    assert_int_equal(cases_save(r->c, rig_append, &a), 0);
    cases_free(r->c);
    r->c = rig_cases(r);
    assert_int_equal(cases_load(r->c, a.data, a.len), 0);
    if (adopt)
        assert_int_equal(
            cases_adopt(r->c, list, lens, blobs(r, list, lens), no_difference, NULL), 0);
    assert_int_equal(cases_save(r->c, rig_append, &b), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_int_equal(r->n, n); /* and nobody was told anything */
    buf_done(&a);
    buf_done(&b);
}

static void reload(struct cases_rig *r, struct world **other)
{
    struct world *now = *other;
    cases_use(r->c, r->w, now, r->ns, r->wall_ms);
    *other = r->w;
    r->w = now;
    rig_pass(r, 1);
}

/* Without masks, after all have ended, what the firm was told last is what is so. */
static void converged(struct cases_rig *r, const struct truth *t)
{
    for (int k = 0; k < KEYS; k++) {
        char key[200];
        const struct kept_case *o = r->open;
        snprintf(key, sizeof(key), "%s/%s/%s", keys[k].rule, keys[k].device, keys[k].point);
        while (o && strcmp(o->key, key) != 0)
            o = o->next;
        if (t[k].active && !(o && o->told && o->told_active)) {
            for (size_t i = 0; i < r->n; i++)
                if (strcmp(r->seen[i].key, key) == 0)
                    print_message("%s %s deliver %d\n", r->seen[i].id,
                                  case_change_name(r->seen[i].change), r->seen[i].deliver);
        }
        if (t[k].active)
            assert_true(o && o->told && o->told_active);
        else if (o)
            assert_true(!o->told_active);
    }
}

static void end_all_masks(struct cases_rig *r, struct truth *t)
{
    for (int k = 0; k < KEYS; k++) {
        if (t[k].flapping) {
            t[k].flapping = false;
            struct alarm_event ev = event(r, &t[k], k, ALARM_SETTLED);
            rig_give(r, &ev);
        }
        if (t[k].inhibited) {
            t[k].inhibited = false;
            struct alarm_event ev = event(r, &t[k], k, ALARM_INHIBIT);
            rig_give(r, &ev);
        }
    }
    rig_pass(r, CASE_SHELVE_MAX_S + 10);
}

/* What is counted as it changes is what is there. */
struct tally {
    struct cases_rig *r;
    uint64_t open;
    char last[200];
};

static void compare_row(void *ctx, const char *compound, const char *firm,
                        enum severity severity, uint64_t open, uint64_t unacknowledged)
{
    struct tally *t = ctx;
    char key[200];
    (void)snprintf(key, sizeof(key), "%s %s %d", compound, firm, (int)severity);
    assert_true(strcmp(t->last, key) < 0);
    memcpy(t->last, key, sizeof(key));
    t->open += open;
    for (const struct case_open *o = t->r->c->first; o; o = o->next) {
        bool here = strcmp(o->compound, compound) == 0 && strcmp(o->firm, firm) == 0 &&
                    o->severity == severity;
        open -= here;
        unacknowledged -= here && o->ack.ms == 0;
    }
    assert_int_equal(open, 0);
    assert_int_equal(unacknowledged, 0);
}

static void is_counted(struct cases_rig *r)
{
    struct tally t = {.r = r};
    struct cases_stats st;
    uint64_t n = 0, shelved = 0, test = 0, unacknowledged = 0, by_severity[SEVERITIES] = {0};
    for (const struct case_open *o = r->c->first; o; o = o->next) {
        n++;
        shelved += (o->masks & MASK_SHELVED) != 0;
        test += (o->masks & MASK_TEST) != 0;
        unacknowledged += o->ack.ms == 0;
        by_severity[o->severity]++;
    }
    cases_stats(r->c, &st);
    assert_int_equal(st.open, n);
    assert_int_equal(st.shelved, shelved);
    assert_int_equal(st.test, test);
    assert_int_equal(st.unacknowledged, unacknowledged);
    assert_memory_equal(st.by_severity, by_severity, sizeof(by_severity));
    cases_count(r->c, compare_row, &t);
    assert_int_equal(t.open, n);
}

/* The rules as they are, but for what work they ask and what latches. */
static char *other_rules(void)
{
    char *text = mem_strdup(rig_rules_text);
    memcpy(strstr(text, "work: full"), "work: none", 10);
    memcpy(strstr(text, "work: none"), "work: full", 10);
    memset(strstr(text, "latch: true,"), ' ', 12);
    return text;
}

/* Of no case all is done that its rule asks now. */
static void none_is_done(const struct cases_rig *r)
{
    for (const struct case_open *o = r->c->first; o; o = o->next)
        assert_false(!cases_holds(o) && !o->latched &&
                     (o->r->work == RULE_WORK_NONE ||
                      (o->r->work == RULE_WORK_ACK && o->ack.ms) ||
                      (o->r->work == RULE_WORK_FULL && o->work == WORK_FED_BACK)));
}

static void round_of(uint64_t *seed, FILE *samples)
{
    struct cases_rig *r = rig_new();
    struct truth t[KEYS] = {{0}};
    char *rules = other_rules();
    struct world *other = rig_world(
        rig_conf_text, "compound,name,firm,merged_into\nqby,桥北苑,f1,\nc2,二村,f2,\n",
        rig_devices_text, rules);
    free(rules);
    r->samples = samples;
    for (int i = 0; i < 400; i++) {
        uint64_t x = unit_random(seed), y = unit_random(seed);
        unsigned what = (unsigned)(x % 100);
        if (what < 60)
            condition(r, &t[y % KEYS], (int)(y % KEYS), y >> 8);
        else if (what < 88)
            command(r, y);
        else if (what < 94)
            rig_pass(r, y % 600);
        else if (what < 98)
            restart(r, y & 1);
        else
            reload(r, &other);
        is_counted(r);
        none_is_done(r);
        if (r->n > MAX_SEEN - 200)
            rig_forget_seen(r);
    }
    end_all_masks(r, t);
    converged(r, t);
    r->samples = NULL;
    rig_free(r);
    world_free(other);
}

static void random_lives(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    FILE *samples = fopen("build/cases-samples-random.jsonl", "we");
    const char *rounds = getenv("ROUNDS");
    int n = rounds ? (int)strtol(rounds, NULL, 10) : 60;
    for (int i = 0; i < n; i++)
        round_of(&seed, i < 10 ? samples : NULL);
    if (samples)
        fclose(samples);
}

/* The same history with and without a mask by people: the conditions recorded are the same. */
static void masks_change_no_condition(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int i = 0; i < 40; i++) {
        uint64_t a = unit_random(&seed), b = a;
        struct cases_rig *plain = rig_new(), *masked = rig_new();
        struct truth t[2][KEYS] = {{{0}}};
        for (int k = 0; k < 80; k++) {
            uint64_t x = unit_random(&a), y = unit_random(&b);
            condition(plain, &t[0][x % KEYS], (int)(x % KEYS), x >> 8);
            condition(masked, &t[1][y % KEYS], (int)(y % KEYS), y >> 8);
            if (k % 5 == 0 && masked->open)
                rig_ask(masked, NULL, "-", masked->open->id, VERB_SHELVE, "{\"for\":\"9h\"}",
                        NULL);
        }
        size_t m = 0;
        for (size_t k = 0; k < plain->n; k++) {
            while (masked->seen[m].change == CASE_SHELVED)
                m++;
            const struct seen_transition *p = &plain->seen[k], *q = &masked->seen[m++];
            assert_string_equal(p->key, q->key);
            bool latch = strncmp(p->key, "latch-1/", 8) == 0;
            if (!latch || p->change != CASE_UNMASKED) /* what is latched still is told then … */
                assert_int_equal(p->change, q->change);
            else if (q->change != CASE_UNMASKED) /* … but under another mask it is not */
                assert_int_equal(q->change, CASE_CLEARED);
            const char *c = strstr(p->json, "\"condition\":"),
                       *d = strstr(q->json, "\"condition\":");
            assert_memory_equal(c, d, 20);
        }
        rig_free(plain);
        rig_free(masked);
    }
}

/* -- the store wins ---------------------------------------------------------------------------- */

static char said[256];
static void assert_loads(struct cases_rig *r, const struct cases *c);

static void note_difference(void *ctx, const char *id, const char *how)
{
    (void)ctx;
    (void)id;
    size_t n = strlen(said);
    snprintf(said + n, sizeof(said) - n, "%s;", how);
}

static void the_store_wins(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    const char *list[64];
    size_t lens[64];
    struct buf old;
    buf_init(&old, 1 << 20);
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d2");
    size_t n = blobs(r, list, lens);
    for (size_t i = 0; i < n; i++) { /* the store of now … */
        assert_int_equal(buf_put(&old, list[i], lens[i]), 0);
    }
    char *kept[2] = {mem_dup(list[0], lens[0]), mem_dup(list[1], lens[1])};
    size_t kept_lens[2] = {lens[0], lens[1]};
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE); /* d2, newer than the store */
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");              /* not in it, and it holds */
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_int_equal(rig_ask(r, NULL, "-", r->seen[0].id, VERB_ACK, "", NULL), ANSWER_DONE);
    assert_int_equal(rig_open(r), 2); /* d1's ended here: the store still has it */
    said[0] = '\0';
    assert_int_equal(
        cases_adopt(r->c, (const char *const *)kept, kept_lens, 2, note_difference, NULL), 0);
    assert_string_equal(said, "too many;missing;other;");
    struct buf b;
    buf_init(&b, 65536);
    assert_int_equal(cases_show(r->c, r->seen[0].id, &b), 0);
    assert_non_null(
        strstr(buf_cstr(&b), "\"quality\":\"unknown\"")); /* never cleared by absence */
    buf_clear(&b);
    assert_int_equal(cases_show(r->c, r->seen[1].id, &b), 0);
    assert_non_null(strstr(buf_cstr(&b), "\"ack\":null"));
    /* the condition that nobody was told of is a new case, marked late, in a step of its own */
    assert_int_equal(cases_next_due(r->c), 0);
    while (r->open) {
        struct kept_case *k = r->open;
        r->open = k->next;
        free(k->blob);
        free(k);
    }
    size_t before = r->n;
    rig_pass(r, 1);
    assert_int_equal(r->n, before + 1);
    assert_int_equal(rig_last(r)->change, CASE_ACTIVATED);
    assert_non_null(strstr(rig_last(r)->json, "\"late\":true"));
    assert_non_null(strstr(rig_last(r)->json, "\"rule\":\"full-1\""));
    /* people may close what nobody knows about */
    assert_int_equal(cases_next_due(r->c), UINT64_MAX);
    kept_lens[0]--;
    assert_int_equal(cases_adopt(r->c, (const char *const *)kept, kept_lens, 2, NULL, NULL),
                     -EBADMSG);
    free(kept[0]);
    free(kept[1]);
    buf_done(&b);
    buf_done(&old);
    rig_free(r);
}

/* What the open cases are, in their order. */
static void assert_adopts_as_it_is(struct cases_rig *r, const char *const *kept,
                                   const size_t *lens, size_t n)
{
    struct buf before, after;
    buf_init(&before, 1 << 20);
    buf_init(&after, 1 << 20);
    assert_int_equal(cases_save(r->c, rig_append, &before), 0);
    assert_int_equal(cases_adopt(r->c, kept, lens, n, no_difference, NULL), 0);
    assert_int_equal(cases_save(r->c, rig_append, &after), 0);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, after.len);
    assert_int_equal(cases_next_due(r->c), UINT64_MAX); /* and nobody is told anything */
    buf_done(&before);
    buf_done(&after);
}

/* A store that was put back: one case nobody knows here, of another more is known than it ever said. At the
 * next start nothing has been told of either, and nothing is to be: what comes next would get other numbers
 * than it was told with. Nor do they go behind those that were opened since. */
static void what_was_taken_over_stays(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    const char *list[64];
    char *kept[3];
    size_t lens[64], kept_lens[3];
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "full-1", "d2");
    assert_int_equal(blobs(r, list, lens), 2);
    for (int i = 0; i < 2; i++) {
        kept[i] = mem_dup(list[i], lens[i]);
        kept_lens[i] = lens[i];
    }
    rig_say(r, ALARM_CLEARED, "ack-1", "d1");
    assert_int_equal(rig_ask(r, NULL, "-", r->seen[0].id, VERB_ACK, "", NULL), ANSWER_DONE);
    assert_int_equal(rig_open(r), 1);
    struct alarm_event ev = rig_event(r, ALARM_QUALITY, "full-1", "d2");
    ev.value = 0.99; /* the facets are the same */
    rig_give(r, &ev);
    said[0] = '\0';
    assert_int_equal(
        cases_adopt(r->c, (const char *const *)kept, kept_lens, 2, note_difference, NULL), 0);
    assert_string_equal(said, "missing;other;");
    assert_int_equal(cases_next_due(r->c), UINT64_MAX);
    rig_say(r, ALARM_ACTIVATED, "none-1", "d3");
    for (const struct kept_case *k = r->open; k; k = k->next)
        if (strncmp(k->key, "none-1/", 7) == 0) {
            kept[2] = mem_dup(k->blob, k->blob_len);
            kept_lens[2] = k->blob_len;
        }
    assert_adopts_as_it_is(r, (const char *const *)kept, kept_lens, 3);
    assert_adopts_as_it_is(r, (const char *const *)kept, kept_lens, 3);
    for (int i = 0; i < 3; i++)
        free(kept[i]);
    rig_free(r);
}

/* A store that was put back has a case as it was earlier. core/alarm has said since what became of it, and
 * says it once: what is over can be closed, and what came back is told. */
static void the_condition_is_known_here(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    const char *list[64];
    char *kept[2];
    size_t lens[64];
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d2");
    rig_say(r, ALARM_CLEARED, "ack-1", "d2");
    assert_int_equal(blobs(r, list, lens), 2);
    for (int i = 0; i < 2; i++)
        kept[i] = mem_dup(list[i], lens[i]);
    size_t kept_lens[2] = {lens[0], lens[1]};
    rig_say(r, ALARM_CLEARED, "full-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d2");
    said[0] = '\0';
    assert_int_equal(
        cases_adopt(r->c, (const char *const *)kept, kept_lens, 2, note_difference, NULL), 0);
    assert_string_equal(said, "other;other;");
    for (struct kept_case *k = r->open; k; k = k->next) { /* what the store knows */
        bool first = strncmp(k->key, "full-1/", 7) == 0;
        k->version = first ? 1 : 2;
        k->told_active = first;
    }
    assert_int_equal(cases_next_due(r->c), 0);
    assert_loads(r, r->c);
    size_t n = r->n;
    rig_pass(r, 1);
    assert_int_equal(r->n, n + 2);
    assert_int_equal(cases_next_due(r->c), UINT64_MAX);
    for (size_t i = n; i < r->n; i++) {
        const struct seen_transition *t = &r->seen[i];
        bool first = strncmp(t->key, "full-1/", 7) == 0;
        assert_int_equal(t->change, first ? CASE_CLEARED : CASE_RECURRED);
        assert_true(t->deliver && !t->closed);
        assert_int_equal(t->occurrence, first ? 1 : 2);
    }
    assert_int_equal(rig_ask(r, NULL, "-", r->seen[0].id, VERB_CLOSE, "{}", NULL), ANSWER_DONE);
    assert_int_equal(rig_ask(r, NULL, "-", r->seen[1].id, VERB_CLOSE, "{}", NULL),
                     ANSWER_REFUSED);
    rig_say(r, ALARM_CLEARED, "ack-1", "d2");
    assert_true(rig_last(r)->deliver);
    free(kept[0]);
    free(kept[1]);
    rig_free(r);
}

/* A store that was put back knows nothing of our own alarm, which goes on: who raised it raises it once. */
static void our_own_is_lost_and_told(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    char id[CASE_ID_MAX];
    cases_own(r->c, &r->at, "gaihou-firm-absent", "f1", true, SEVERITY_MAJOR, "away", r->ns,
              r->wall_ms);
    snprintf(id, sizeof(id), "%s", rig_last(r)->id);
    rig_pass(r, 1);
    said[0] = '\0';
    assert_int_equal(cases_adopt(r->c, NULL, NULL, 0, note_difference, NULL), 0);
    assert_string_equal(said, "too many;");
    free(r->open->blob);
    free(r->open);
    r->open = NULL;
    rig_pass(r, 1);
    assert_int_equal(r->n, 2);
    assert_int_equal(rig_last(r)->change, CASE_ACTIVATED);
    assert_true(rig_last(r)->deliver);
    assert_string_not_equal(rig_last(r)->id, id);
    assert_non_null(strstr(rig_last(r)->json, "away"));
    cases_own(r->c, &r->at, "gaihou-firm-absent", "f1", false, SEVERITY_MAJOR, "", r->ns,
              r->wall_ms);
    assert_true(rig_last(r)->closed && rig_last(r)->deliver);
    assert_int_equal(rig_open(r), 0);
    rig_free(r);
}

/* What the store knows of is over, and it holds again: that was acknowledged by nobody, and a shelf until it
 * clears ended when it did. */
static void another_activation_is_known_here(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    const char *list[64];
    char *kept[2];
    size_t lens[64];
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    assert_int_equal(rig_ask(r, NULL, "-", r->seen[0].id, VERB_ACK, "{}", NULL), ANSWER_DONE);
    rig_say(r, ALARM_ACTIVATED, "full-1", "d2");
    assert_int_equal(rig_ask(r, NULL, "-", rig_last(r)->id, VERB_SHELVE, "{}", NULL),
                     ANSWER_DONE);
    assert_int_equal(blobs(r, list, lens), 2);
    for (int i = 0; i < 2; i++)
        kept[i] = mem_dup(list[i], lens[i]);
    size_t kept_lens[2] = {lens[0], lens[1]};
    rig_say(r, ALARM_CLEARED, "full-1", "d1");
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    rig_say(r, ALARM_CLEARED, "full-1", "d2");
    rig_say(r, ALARM_ACTIVATED, "full-1", "d2");
    assert_int_equal(
        cases_adopt(r->c, (const char *const *)kept, kept_lens, 2, note_difference, NULL), 0);
    for (struct kept_case *k = r->open; k; k = k->next) { /* what the store knows */
        k->version = 2;
        k->told_active = strstr(k->key, "d1") != NULL;
    }
    assert_loads(r, r->c);
    size_t n = r->n;
    rig_pass(r, 1);
    assert_int_equal(r->n, n + 2);
    for (size_t i = n; i < r->n; i++) {
        assert_int_equal(r->seen[i].change, CASE_RECURRED);
        assert_true(r->seen[i].deliver);
        assert_null(strstr(r->seen[i].json, "shelved"));
        assert_non_null(strstr(r->seen[i].json, "\"ack\":null"));
    }
    free(kept[0]);
    free(kept[1]);
    rig_free(r);
}

struct heap { /* of cases: their blobs, and what was told of them */
    char **blobs;
    size_t *lens, n, cap, late;
};

static void keep_blob(void *ctx, const struct transition *t)
{
    struct heap *h = ctx;
    if (h->n == h->cap) {
        h->late += t->change == CASE_ACTIVATED && strstr(t->json, "\"late\":true");
        return;
    }
    h->blobs[h->n] = mem_dup(t->blob, t->blob_len);
    h->lens[h->n++] = t->blob_len;
}

static struct cases *no_cases(struct cases_rig *r, struct heap *h, const char *stream)
{
    struct cases *c = cases_new(&(struct cases_out){h, keep_blob, NULL});
    cases_use(c, NULL, r->w, r->ns, r->wall_ms);
    cases_stream(c, stream);
    h->blobs = mem_zalloc_array(h->cap, sizeof(char *));
    h->lens = mem_zalloc_array(h->cap, sizeof(size_t));
    return c;
}

/* The i-th case of a stream: its id says i only. */
static void case_begins(struct cases_rig *r, struct cases *c, size_t i, const char *point)
{
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "none-1", "d1");
    struct position at = {4096 + i * 64, r->ns, 0};
    ev.point = point;
    cases_event(c, &at, &ev);
}

static struct cases *many_cases(struct cases_rig *r, struct heap *h, const char *stream,
                                char mark)
{
    struct cases *c = no_cases(r, h, stream);
    for (size_t i = 0; i < h->cap; i++) {
        char point[32];
        snprintf(point, sizeof(point), "%c%zu", mark, i);
        case_begins(r, c, i, point);
    }
    return c;
}

static void heap_done(struct heap *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->blobs[i]);
    free(h->blobs);
    free(h->lens);
}

/* A store that knows none of many cases, and many others: no step of it looks at all of them. */
static void many_are_lost(void **state)
{
    (void)state;
    enum { MANY = 40000 };
    struct cases_rig *r = rig_new();
    struct heap ours = {.cap = MANY}, theirs = {.cap = MANY};
    struct cases *c = many_cases(r, &ours, "cq/all/1", 'a');
    struct cases *other = many_cases(r, &theirs, "cq/all/2", 'b');
    struct cases_stats s;
    clock_t began = clock();
    said[0] = '\0';
    assert_int_equal(
        cases_adopt(c, (const char *const *)theirs.blobs, theirs.lens, MANY, NULL, NULL), 0);
    struct position at = {1 << 30, r->ns, 0};
    for (; cases_next_due(c) <= r->ns; at.ordinal++)
        cases_tick(c, &at, r->ns, r->wall_ms);
    double took = (double)(clock() - began) / CLOCKS_PER_SEC;
    cases_stats(c, &s);
    assert_int_equal(s.open, 2 * MANY);
    assert_int_equal(ours.late, MANY);
    assert_int_equal(at.ordinal, MANY);
    print_message("%d cases taken over, %d lost and opened anew: %.2f s\n", MANY, MANY, took);
    assert_true(took < 10);
    cases_free(c);
    cases_free(other);
    heap_done(&ours);
    heap_done(&theirs);
    rig_free(r);
}

/* A save in the middle of it goes on in the same order. */
static void lost_and_saved(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct heap h = {.cap = 20}, again = {.cap = 0};
    struct buf b;
    struct position at = {1 << 20, r->ns, 0};
    struct cases *c = many_cases(r, &h, "cq/all/1", 'a');
    struct cases *loaded = cases_new(&(struct cases_out){&again, keep_blob, NULL});
    cases_use(loaded, NULL, r->w, r->ns, r->wall_ms);
    const char *const some[] = {h.blobs[3], h.blobs[11]};
    const size_t lens[] = {h.lens[3], h.lens[11]};
    assert_int_equal(cases_adopt(c, some, lens, 2, NULL, NULL), 0);
    for (; at.ordinal < 7; at.ordinal++)
        cases_tick(c, &at, r->ns, r->wall_ms);
    buf_init(&b, 1 << 20);
    assert_int_equal(cases_save(c, rig_append, &b), 0);
    assert_int_equal(cases_load(loaded, b.data, b.len), 0);
    for (; cases_next_due(c) <= r->ns; at.ordinal++) {
        assert_true(cases_next_due(loaded) <= r->ns);
        cases_tick(c, &at, r->ns, r->wall_ms);
        cases_tick(loaded, &at, r->ns, r->wall_ms);
    }
    assert_int_equal(h.late, 18);
    assert_int_equal(again.late, 11);
    struct buf x;
    buf_init(&x, 1 << 20);
    buf_clear(&b);
    assert_int_equal(cases_save(c, rig_append, &b), 0);
    assert_int_equal(cases_save(loaded, rig_append, &x), 0);
    assert_int_equal(b.len, x.len);
    assert_memory_equal(b.data, x.data, x.len);
    buf_done(&b);
    buf_done(&x);
    cases_free(c);
    cases_free(loaded);
    heap_done(&h);
    heap_done(&again);
    rig_free(r);
}

static void assert_loads(struct cases_rig *r, const struct cases *c)
{
    struct buf b, again;
    struct cases *loaded = cases_new(&(struct cases_out){NULL, NULL, NULL});
    buf_init(&b, 1 << 20);
    buf_init(&again, 1 << 20);
    cases_use(loaded, NULL, r->w, r->ns, r->wall_ms);
    assert_int_equal(cases_save(c, rig_append, &b), 0);
    assert_int_equal(cases_load(loaded, b.data, b.len), 0);
    assert_int_equal(cases_save(loaded, rig_append, &again), 0);
    assert_int_equal(again.len, b.len);
    assert_memory_equal(again.data, b.data, b.len);
    cases_free(loaded);
    buf_done(&b);
    buf_done(&again);
}

static void assert_id(const struct cases *c, const char *point, const char *id)
{
    const struct case_open *o = cases_of(c, "none-1", "d1", point);
    assert_non_null(o);
    assert_string_equal(o->id, id);
    if (!o->lost)
        assert_ptr_equal(cases_find(c, id), o);
}

/* A store that was put back has other keys under the ids that were given since: what it says of a
 * key goes, and of a key that it does not know somebody hears under a new id. */
static void ids_of_other_keys(void **state)
{
    (void)state;
    static const char *const mine[] = {"a0", "a1", "a2", "a3"};
    static const char *const stored[] = {"b0", "a2", "a1", "a3"};
    enum { N = 4 };
    struct cases_rig *r = rig_new();
    struct heap ours = {.cap = N}, theirs = {.cap = N};
    struct cases *c = no_cases(r, &ours, "cq/all/1");
    struct cases *other = no_cases(r, &theirs, "cq/all/1");
    char ids[N][CASE_ID_MAX + 1];
    struct position at = {1 << 20, r->ns, 0};
    for (size_t i = 0; i < N; i++) {
        case_begins(r, c, i, mine[i]);
        case_begins(r, other, i, stored[i]);
        const struct case_open *o = cases_of(c, "none-1", "d1", mine[i]);
        (void)snprintf(ids[i], sizeof(ids[i]), "%s", o->id);
        assert_id(other, stored[i], o->id);
    }
    said[0] = '\0';
    assert_int_equal(cases_adopt(c, (const char *const *)theirs.blobs, theirs.lens, N,
                                 note_difference, NULL),
                     0);
    assert_string_equal(said, "too many;too many;too many;missing;missing;missing;");
    for (size_t i = 0; i < N; i++)
        assert_id(c, stored[i], ids[i]);
    assert_int_equal(cases_of(c, "none-1", "d1", "b0")->quality, ALARM_UNKNOWN);
    assert_int_equal(cases_of(c, "none-1", "d1", "a1")->quality, ALARM_GOOD);
    assert_loads(r, c);
    assert_int_equal(cases_next_due(c), 0);
    cases_tick(c, &at, r->ns, r->wall_ms);
    assert_int_equal(ours.late, 1);
    assert_int_equal(cases_next_due(c), UINT64_MAX);
    const struct case_open *anew = cases_of(c, "none-1", "d1", "a0");
    assert_non_null(anew);
    assert_string_not_equal(anew->id, ids[0]);
    assert_id(c, "b0", ids[0]);
    assert_loads(r, c);
    cases_free(c);
    cases_free(other);
    heap_done(&ours);
    heap_done(&theirs);
    rig_free(r);
}

/* Bytes that are not ours: refused, or read as something harmless; never trusted. */
static void hostile_bytes(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct cases_rig *r = rig_new();
    struct truth t[KEYS] = {{0}};
    struct buf good;
    buf_init(&good, 16 << 20);
    for (int i = 0; i < 150; i++) {
        uint64_t x = unit_random(&seed);
        if (x & 1)
            condition(r, &t[(x >> 8) % KEYS], (int)((x >> 8) % KEYS), x >> 16);
        else
            command(r, x >> 8);
    }
    assert_int_equal(cases_save(r->c, rig_append, &good), 0);
    struct cases *c = cases_new(&(struct cases_out){NULL, NULL, NULL});
    cases_use(c, NULL, r->w, r->ns, r->wall_ms);
    for (size_t n = 0; n < good.len; n += 1 + good.len / 700)
        assert_int_equal(cases_load(c, good.data, n), -EBADMSG);
    char *bytes = mem_dup(good.data, good.len);
    for (int i = 0; i < 20000; i++) {
        size_t at = unit_random(&seed) % good.len;
        bytes[at] ^= (char)(1 << (unit_random(&seed) & 7));
        if (cases_load(c, bytes, good.len) == 0) /* then it can be lived with */
            cases_use(c, r->w, r->w, r->ns, r->wall_ms);
        bytes[at] = good.data[at];
    }
    assert_int_equal(cases_load(c, good.data, good.len), 0);
    free(bytes);
    cases_free(c);
    buf_done(&good);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives),
        cmocka_unit_test(masks_change_no_condition),
        cmocka_unit_test(the_store_wins),
        cmocka_unit_test(what_was_taken_over_stays),
        cmocka_unit_test(many_are_lost),
        cmocka_unit_test(the_condition_is_known_here),
        cmocka_unit_test(another_activation_is_known_here),
        cmocka_unit_test(our_own_is_lost_and_told),
        cmocka_unit_test(lost_and_saved),
        cmocka_unit_test(ids_of_other_keys),
        cmocka_unit_test(hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
