/* SPDX-License-Identifier: Apache-2.0 */
/* How much work very many shelved cases are, counted and not timed; whose case an id is; and what a test leaves. */
#include "cases_rig.h"

#include "base/buf.h"
#include "core/cases_private.h"

enum { MANY = 4000, DEPTH = 13 }; /* 2^12 > MANY / 2 */

struct storm {
    struct cases *c;
    struct position at;
    uint64_t ns, unshelved;
    char ids[MANY][64], last[64];
    unsigned n;
};

static void on_transition(void *ctx, const struct transition *t)
{
    struct storm *s = ctx;
    if (t->change == CASE_ACTIVATED)
        snprintf(s->ids[s->n++], sizeof(s->ids[0]), "%s", t->case_id);
    if (t->change != CASE_UNSHELVED)
        return;
    snprintf(s->last, sizeof(s->last), "%s", t->device);
    s->unshelved++;
}

static void command(struct storm *s, unsigned i, enum case_verb verb, const char *payload)
{
    char room[64 + JSON_PADDING] = "";
    snprintf(room, 64, "%s", payload);
    cases_command(s->c, &s->at,
                  &(struct case_command){.firm = "f1",
                                         .compound = "qby",
                                         .case_id = s->ids[i],
                                         .verb = verb,
                                         .payload = room,
                                         .payload_len = strlen(payload),
                                         .engine_ns = s->ns,
                                         .wall_ms = WALL0_MS});
}

static struct cases *another(struct storm *s, const struct world *w)
{
    struct cases *c = cases_new(&(struct cases_out){s, on_transition, NULL});
    cases_use(c, NULL, w, s->ns, WALL0_MS);
    cases_stream(c, "cq/all/1");
    return c;
}

/* All of them, by one command each; all come back at one time, in the order in which they began. */
static void many_are_shelved_and_come_back(void **state)
{
    (void)state;
    struct storm *s = mem_zalloc(sizeof(*s));
    struct buf devices;
    buf_init(&devices, (size_t)1 << 20);
    assert_int_equal(buf_puts(&devices, "device,kind,compound,building\n"), 0);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(buf_printf(&devices, "x%04u,sump,qby,3\n", i), 0);
    struct world *w =
        rig_world(rig_conf_text, rig_compounds_text, buf_cstr(&devices), rig_rules_text);
    s->ns = ENGINE0;
    s->at = (struct position){4096, ENGINE0, 0};
    s->c = another(s, w);
    const struct rule *rule = rules_find(w->rules, "ack-1", 5);
    for (unsigned i = 0; i < MANY; i++) {
        struct alarm_event ev = {.change = ALARM_ACTIVATED,
                                 .rule = rule,
                                 .device = registry_device_at(w->registry, i),
                                 .point = "",
                                 .condition = ALARM_ACTIVE,
                                 .severity = SEVERITY_MINOR,
                                 .value = NAN,
                                 .limit = NAN,
                                 .since_ms = WALL0_MS,
                                 .time_ms = WALL0_MS,
                                 .engine_ns = s->ns,
                                 .wall_ms = WALL0_MS};
        s->at.ordinal++;
        cases_event(s->c, &s->at, &ev);
    }
    assert_int_equal(s->n, MANY);
    for (unsigned i = MANY; i-- > 0;) /* the last one first */
        command(s, i, VERB_SHELVE, "{\"for\":\"1h\",\"by\":\"me\"}");
    for (unsigned i = 0; i < MANY; i += 4)
        command(s, i, VERB_UNSHELVE, "{\"by\":\"me\"}");
    assert_int_equal(s->unshelved, MANY / 4);
    assert_int_equal(cases_next_due(s->c), s->ns + 3600 * SECOND_NS);
    struct buf saved;
    buf_init(&saved, (size_t)64 << 20);
    assert_int_equal(cases_save(s->c, rig_append, &saved), 0);
    struct cases *old = s->c;
    s->c = another(s, w);
    assert_int_equal(cases_load(s->c, saved.data, saved.len), 0);
    cases_use(s->c, NULL, w, s->ns, WALL0_MS);
    s->unshelved = 0;
    for (uint64_t due; (due = cases_next_due(s->c)) != UINT64_MAX; s->at.ordinal++) {
        char before[64];
        snprintf(before, sizeof(before), "%s", s->last);
        assert_int_equal(due, s->ns + 3600 * SECOND_NS);
        cases_tick(s->c, &s->at, due, WALL0_MS + 3600000);
        assert_true(s->unshelved == 1 || strcmp(s->last, before) > 0);
    }
    assert_int_equal(s->unshelved, MANY - MANY / 4);
    assert_in_range(old->due_steps, MANY, MANY * 2 * DEPTH);
    assert_in_range(s->c->due_steps, MANY, MANY * 2 * DEPTH);
    cases_free(old);
    cases_free(s->c);
    buf_done(&saved);
    buf_done(&devices);
    world_free(w);
    free(s);
}

/* Names may contain dots: what begins with our name and lane may be another gateway's, whose it stays. */
static void names_that_begin_like_ours(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        bool ours, whole;
    } ids[] = {{"cq.all.1.a.0", true, true},
               {"cq.all.1795219200.zz9.1.b", true, true},
               {"cq.all.all.1.a.0", false, true},
               {"cq.all.all.1.a.0.1", false, true},
               {"cq.all.x.routine.1.a.0.1", false, true},
               {"cq.all.5.all.1.a.0", false, true},
               {"other.life-safety.1.a.0", false, true},
               {"cq.all.all.1", false, false},
               {"cq.all.1.a", false, false},
               {"cq.all.1.a.0.", false, false},
               {"cq.all.1.a..0", false, false},
               {"cq.all.1a.a.0", false, false},
               {"cq.all.1.A.0", false, false},
               {"cq.all.1.a.0.1.2", false, false},
               {"cq.all.1.zzzzzzzzzzzz.0", true, true}, /* what no number holds is none */
               {"cq.all.1.zzzzzzzzzzzzz.0", false, false},
               {"cq.all.1234567890123456789.a.0", false, false},
               {"cq.all.", false, false},
               {"", false, false}};
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    assert_true(case_id_is_of(r->seen[0].id, strlen(r->seen[0].id), "cq.all.", NULL));
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        const char *id = ids[i].id;
        if (case_id_is_of(id, strlen(id), "cq.all.", NULL) != ids[i].ours ||
            case_id_is_whole(id, strlen(id)) != ids[i].whole)
            fail_msg("%s", id);
        if (!*id || strncmp(id, "cq.all.", 7) != 0)
            continue;
        enum case_answer expected =
            ids[i].whole && !ids[i].ours ? (enum case_answer)99 : ANSWER_UNKNOWN;
        assert_int_equal(rig_ask(r, "f1", "qby", id, VERB_ACK, "{}", NULL), expected);
    }
    uint64_t offset = 0;
    assert_true(case_id_is_of("cq.all.1.zz.0", 13, "cq.all.", &offset));
    assert_int_equal(offset, 35 * 36 + 35);
    rig_free(r);
}

/* A backlog within one millisecond: what is open and what was over before are one series of history. */
static void a_record_takes_no_time_of_the_open_case(void **state)
{
    static const enum alarm_change changes[] = {ALARM_ACTIVATED, ALARM_EPISODE,  ALARM_QUALITY,
                                                ALARM_EPISODE,   ALARM_EPISODE,  ALARM_CLEARED,
                                                ALARM_EPISODE,   ALARM_ACTIVATED};
    (void)state;
    struct cases_rig *r = rig_new();
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct alarm_event ev = rig_event(r, changes[i], "none-1", "d1");
        ev.until_ms = r->wall_ms - 1000;
        cases_event(r->c, &r->at, &ev);
        assert_int_equal(rig_last(r)->wall_ms, WALL0_MS + (int64_t)i);
        buf_clear(&b);
        assert_int_equal(cases_save(r->c, rig_append, &b), 0);
        assert_int_equal(cases_load(r->c, b.data, b.len), 0);
    }
    buf_done(&b);
    rig_free(r);
}

/* The case is over and its key stays shelved; what a device tells late of before changes nothing about that. */
static void a_record_takes_no_shelf(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":\"1h\"}"), ANSWER_DONE);
    rig_say(r, ALARM_CLEARED, "none-1", "d1");
    assert_true(rig_last(r)->closed);
    uint64_t due = cases_next_due(r->c);
    struct alarm_event ev = rig_event(r, ALARM_EPISODE, "none-1", "d1");
    ev.condition = ALARM_NORMAL;
    ev.until_ms = r->wall_ms - 1000;
    rig_give(r, &ev);
    assert_true(rig_last(r)->record && !rig_last(r)->deliver);
    assert_int_equal(cases_next_due(r->c), due);
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    assert_false(rig_last(r)->deliver);
    rig_pass(r, 3600);
    assert_int_equal(rig_last(r)->change, CASE_UNSHELVED);
    assert_true(rig_last(r)->deliver);
    rig_free(r);
}

/* Of what began in a test nothing is left when it ends but what holds: a latch that nobody has reset is no
 * reason to send anybody. What was there before stays. */
static void a_test_leaves_no_latch(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "latch-1", "d2");
    rig_say(r, ALARM_CLEARED, "latch-1", "d2");
    assert_int_equal(
        rig_ask(r, NULL, "-", "building/qby/3", VERB_TEST, "{\"for\":\"30m\"}", NULL),
        ANSWER_DONE);
    rig_say(r, ALARM_ACTIVATED, "latch-1", "d1");
    rig_say(r, ALARM_CLEARED, "latch-1", "d1");
    assert_false(rig_last(r)->closed);
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    size_t n = r->n;
    rig_pass(r, 1800);
    assert_int_equal(r->n, n + 3);
    assert_int_equal(r->seen[n].change, CASE_UNMASKED);
    assert_non_null(strstr(r->seen[n].key, "latch-1/d2"));
    assert_int_equal(r->seen[n + 1].change, CASE_CLOSED);
    assert_non_null(strstr(r->seen[n + 1].key, "latch-1/d1"));
    assert_true(r->seen[n + 1].closed && r->seen[n + 1].deliver && r->seen[n + 1].test);
    assert_non_null(strstr(r->seen[n + 1].json, "\"reason\":\"test_over\""));
    assert_int_equal(r->seen[n + 2].change, CASE_UNMASKED);
    assert_non_null(strstr(r->seen[n + 2].json, "\"work\":\"dispatched\""));
    assert_int_equal(rig_open(r), 2);
    rig_free(r);
}

/* What hid it goes as it clears, and it is latched: it is open until somebody resets it, so it is told. */
static void a_latch_behind_a_mask_is_told(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct cases_rig *r = rig_new();
        if (again) { /* told before, as latched already: that it came again is told */
            rig_say(r, ALARM_ACTIVATED, "latch-1", "d1");
            rig_say(r, ALARM_CLEARED, "latch-1", "d1");
        }
        struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "latch-1", "d1");
        ev.no_data = ev.inhibited = true;
        rig_give(r, &ev);
        assert_false(rig_last(r)->deliver);
        rig_say(r, ALARM_CLEARED, "latch-1", "d1");
        assert_int_equal(rig_last(r)->change, CASE_UNMASKED);
        assert_true(rig_last(r)->deliver && !rig_last(r)->closed);
        assert_non_null(strstr(rig_last(r)->json, "\"condition\":\"normal\""));
        assert_non_null(strstr(rig_last(r)->json, "\"latched\":true"));
        assert_int_equal(rig_do(r, VERB_RESET, "{}"), ANSWER_DONE);
        assert_true(rig_last(r)->closed && rig_last(r)->deliver);
        rig_free(r);
    }
}

/* An alarm of our own is shelved for its hours as any other, however often it comes and goes. */
static void our_own_stays_shelved(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    for (int i = 0; i < 3; i++) {
        cases_own(r->c, &r->at, "gaihou-firm-absent", "f1", true, SEVERITY_MAJOR, "away", r->ns,
                  r->wall_ms);
        assert_int_equal(rig_last(r)->deliver, i == 0);
        if (i == 0)
            assert_int_equal(
                rig_ask(r, NULL, "-", r->seen[0].id, VERB_SHELVE, "{\"for\":\"1h\"}", NULL),
                ANSWER_DONE);
        rig_pass(r, 60);
        if (i < 2)
            cases_own(r->c, &r->at, "gaihou-firm-absent", "f1", false, SEVERITY_MAJOR, "",
                      r->ns, r->wall_ms);
        rig_pass(r, 60);
    }
    rig_pass(r, 3600);
    assert_int_equal(rig_last(r)->change, CASE_UNSHELVED);
    assert_true(rig_last(r)->deliver);
    rig_free(r);
}

/* Somebody is shut in the lift, and a test of the building begins: the alarm stays what it is. */
static void a_test_hides_no_life_in_danger(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "fire-1", "s1");
    assert_true(rig_last(r)->urgent);
    size_t n = r->n;
    assert_int_equal(
        rig_ask(r, NULL, "-", "compound/qby", VERB_TEST, "{\"for\":\"30m\"}", NULL),
        ANSWER_DONE);
    assert_int_equal(r->n, n);
    struct alarm_event stale = rig_event(r, ALARM_QUALITY, "fire-1", "s1");
    stale.quality = ALARM_STALE;
    rig_give(r, &stale);
    rig_say(r, ALARM_CLEARED, "fire-1", "s1");
    assert_true(rig_last(r)->urgent && !rig_last(r)->test);
    rig_say(r, ALARM_ACTIVATED, "fire-1", "s1"); /* but this is the test */
    assert_int_equal(rig_last(r)->change, CASE_RECURRED);
    assert_true(rig_last(r)->test && !rig_last(r)->urgent);
    rig_say(r, ALARM_CLEARED, "fire-1", "s1");
    assert_false(rig_last(r)->closed); /* somebody was sent before, who has to acknowledge */
    n = r->n;
    rig_pass(r, 1800);
    assert_int_equal(r->n, n + 1);
    assert_int_equal(rig_last(r)->change, CASE_UNMASKED);
    assert_int_equal(rig_open(r), 1);
    rig_free(r);
}

/* Within a reload core/alarm speaks of devices of the next generation, in which the compounds have other places. */
static void a_compound_is_found_within_a_reload(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct world *first = r->w;
    r->w = rig_world(rig_conf_text,
                     "compound,name,firm,merged_into\nc2,二村,f2,\nqby,桥北苑,f1,c2\n"
                     "x,新村,f3,\n",
                     rig_devices_text, rig_rules_text);
    struct world *next = rig_world(rig_conf_text,
                                   "compound,name,firm,merged_into\nc2,二村,f2,\n"
                                   "y,东村,f4,\nqby,桥北苑,f1,c2\nx,新村,f3,\n",
                                   rig_devices_text, rig_rules_text);
    cases_use(r->c, first, r->w, r->ns, r->wall_ms);
    world_free(first);
    assert_int_equal(rig_ask(r, NULL, "-", "compound/c2", VERB_TEST,
                             "{\"for\":\"30m\",\"by\":\"王工\"}", NULL),
                     ANSWER_DONE);
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    assert_non_null(strstr(rig_last(r)->json, "\"tester\":\"王工\""));
    struct alarm_event ev = rig_event(r, ALARM_LEVEL, "none-1", "d1");
    ev.rule = rules_find(next->rules, "none-1", 6);
    ev.device = registry_find(next->registry, "d1", 2);
    ev.reason = "rule_changed";
    cases_event(r->c, &r->at, &ev);
    assert_non_null(strstr(rig_last(r)->json, "\"tester\":\"王工\""));
    ev = rig_event(r, ALARM_ACTIVATED, "none-1", "d2");
    ev.rule = rules_find(next->rules, "none-1", 6);
    ev.device = registry_find(next->registry, "d2", 2);
    cases_event(r->c, &r->at, &ev);
    assert_string_equal(rig_last(r)->compound, "c2");
    assert_string_equal(rig_last(r)->firm, "f2");
    cases_use(r->c, r->w, next, r->ns, r->wall_ms);
    world_free(r->w);
    r->w = next;
    rig_free(r);
}

/* A reload makes it one of life-safety: people who know of it hear that, whatever they did to it. */
static void what_becomes_life_safety_is_told(void **state)
{
    (void)state;
    enum { PLAIN, SHELVED, IN_TEST, HOW };
    for (int how = 0; how < HOW; how++) {
        struct cases_rig *r = rig_new();
        rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
        assert_true(rig_last(r)->deliver && !rig_last(r)->urgent);
        if (how == SHELVED)
            assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":\"1h\"}"), ANSWER_DONE);
        if (how == IN_TEST)
            assert_int_equal(
                rig_ask(r, NULL, "-", "compound/qby", VERB_TEST, "{\"for\":\"30m\"}", NULL),
                ANSWER_DONE);
        struct alarm_event graver = rig_event(r, ALARM_INHIBIT, "none-1", "d1");
        graver.life_safety = true;
        rig_give(r, &graver);
        assert_int_equal(rig_last(r)->change, CASE_UNMASKED);
        assert_true(rig_last(r)->deliver && rig_last(r)->urgent && !rig_last(r)->test);
        rig_give(r, &graver);
        assert_false(rig_last(r)->deliver); /* once */
        rig_free(r);
    }
}

/* Silent behind a silent uplink, and its first word is an alarm no graver than the silence was. */
static void a_level_is_told_whatever_hid_the_silence(void **state)
{
    (void)state;
    for (int minor = 0; minor < 2; minor++) {
        struct cases_rig *r = rig_new();
        struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
        ev.no_data = ev.inhibited = true;
        ev.quality = ALARM_STALE;
        rig_give(r, &ev);
        assert_false(rig_last(r)->deliver);
        ev = rig_event(r, ALARM_LEVEL, "ack-1", "d1");
        ev.severity = minor ? SEVERITY_MINOR : SEVERITY_MAJOR;
        rig_give(r, &ev);
        assert_true(rig_last(r)->deliver);
        assert_int_equal(rig_last(r)->change, CASE_UNMASKED);
        assert_non_null(strstr(rig_last(r)->json, "\"condition\":\"active\""));
        assert_non_null(strstr(rig_last(r)->json, "\"work\":\"dispatched\""));
        rig_say(r, ALARM_CLEARED, "ack-1", "d1");
        assert_true(rig_last(r)->deliver);
        rig_free(r);
    }
}

/* All that a firm may say in every step, and each byte of it needs six as JSON: it is told all the same. */
static void every_step_is_full(void **state)
{
    (void)state;
    static const enum case_verb verbs[] = {VERB_ACCEPT,   VERB_REJECT,  VERB_ACCEPT,
                                           VERB_TRANSFER, VERB_ACCEPT,  VERB_ARRIVE,
                                           VERB_RESOLVE,  VERB_CONFIRM, VERB_FEEDBACK};
    static const struct {
        const char *key;
        int n;
    } texts[] = {{"{\"by\":\"", CASES_BY_MAX},
                 {"\",\"note\":\"", CASES_NOTE_MAX},
                 {"\",\"photo\":\"", CASES_TEXT_MAX},
                 {"\",\"to\":\"", CASES_BY_MAX}};
    struct cases_rig *r = rig_new();
    struct buf b;
    buf_init(&b, CASE_PAYLOAD_MAX);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        (void)buf_puts(&b, texts[i].key);
        for (int n = 0; n < texts[i].n; n++)
            (void)buf_puts(&b, "\\t");
    }
    assert_int_equal(buf_puts(&b, "\"}"), 0);
    rig_say(r, ALARM_ACTIVATED, "full-1", "d1");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        assert_int_equal(rig_do(r, verbs[i], buf_cstr(&b)), ANSWER_DONE);
    assert_int_equal(rig_last(r)->change, CASE_FED_BACK);
    assert_true(rig_last(r)->deliver && strlen(rig_last(r)->json) > 80000);
    buf_done(&b);
    rig_free(r);
}

/* Behind another mask, too: else the state that is kept says `shelved` until that goes. */
static void the_end_of_shelving_is_told(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    struct alarm_event ev = rig_event(r, ALARM_FLAPPING, "ack-1", "d1");
    ev.flapping = true;
    rig_give(r, &ev);
    for (int expires = 0; expires < 2; expires++) {
        assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":60}"), ANSWER_DONE);
        if (expires)
            rig_pass(r, 120);
        else
            assert_int_equal(rig_do(r, VERB_UNSHELVE, "{}"), ANSWER_DONE);
        assert_int_equal(rig_last(r)->change, CASE_UNSHELVED);
        assert_true(rig_last(r)->deliver);
        assert_non_null(strstr(rig_last(r)->json, "\"masked\":[\"flapping\"]"));
    }
    rig_free(r);
    r = rig_new(); /* but of what nobody was told nobody is */
    ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
    ev.inhibited = true;
    rig_give(r, &ev);
    assert_int_equal(rig_do(r, VERB_SHELVE, "{\"for\":60}"), ANSWER_DONE);
    rig_pass(r, 120);
    assert_int_equal(rig_last(r)->change, CASE_UNSHELVED);
    assert_false(rig_last(r)->deliver);
    rig_free(r);
}

/* Silent, which somebody acknowledged, and then an alarm of the same severity: that is other news, also while
 * it goes to and fro. */
static void a_level_is_graver_than_silence(void **state)
{
    (void)state;
    for (int flaps = 0; flaps < 2; flaps++) {
        struct cases_rig *r = rig_new();
        struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
        ev.no_data = true;
        ev.quality = ALARM_STALE;
        rig_give(r, &ev);
        ev.change = ALARM_FLAPPING;
        ev.flapping = flaps;
        if (flaps)
            rig_give(r, &ev);
        assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
        ev = rig_event(r, ALARM_LEVEL, "ack-1", "d1");
        ev.flapping = flaps;
        rig_give(r, &ev);
        assert_int_equal(rig_last(r)->change, CASE_RAISED);
        assert_true(rig_last(r)->deliver);
        assert_non_null(strstr(rig_last(r)->json, "\"ack\":null"));
        rig_free(r);
    }
}

#define ACK_1(more)                                                                            \
    "version: 1\ngroups:\n  - name: g\n    rules:\n"                                           \
    "      - {id: ack-1, kind: \"*\", title: t, action: a, work: ack, no_data: "               \
    "{after: 1h, policy: alert}" more "}\n"

/* What is over and waits for people only is watched by nobody, and has no more to wait for. */
static void who_is_not_concerned_waits_for_nobody(void **state)
{
    (void)state;
    static const struct {
        const char *devices, *rules, *reason;
    } ways[] = {
        {rig_devices_text, ACK_1(""), NULL},
        {rig_devices_text, ACK_1(", only: {compounds: [c2]}"), "\"reason\":\"not_concerned\""},
        {"device,kind,compound\nd1,smoke,qby\n", ACK_1(""), "\"reason\":\"device_changed\""},
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct cases_rig *r = rig_new();
        rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
        rig_say(r, ALARM_CLEARED, "ack-1", "d1");
        assert_false(rig_last(r)->closed);
        struct world *next =
            rig_world(rig_conf_text, rig_compounds_text, ways[i].devices, ways[i].rules);
        cases_use(r->c, r->w, next, r->ns, r->wall_ms);
        world_free(r->w);
        r->w = next;
        assert_int_equal(rig_open(r), ways[i].reason ? 0 : 1);
        if (ways[i].reason) {
            assert_true(rig_last(r)->closed && rig_last(r)->deliver);
            assert_non_null(strstr(rig_last(r)->json, ways[i].reason));
        }
        rig_free(r);
    }
}

static unsigned told_since(const struct cases_rig *r, size_t n, enum case_change change)
{
    unsigned told = 0;
    for (size_t i = n; i < r->n; i++)
        told += r->seen[i].change == change && r->seen[i].deliver;
    return told;
}

/* The state was lost, and meanwhile the world has changed, and the test is over: as a reload says it. */
static void what_the_store_has_meets_the_world(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct cases_rig *r = rig_new();
        const char *list[3];
        size_t lens[3], n = 0;
        assert_int_equal(
            rig_ask(r, NULL, "-", "compound/qby", VERB_TEST, "{\"for\":\"30m\"}", NULL),
            ANSWER_DONE);
        rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
        rig_say(r, ALARM_ACTIVATED, "full-1", "d2");
        rig_say(r, ALARM_ACTIVATED, "ack-1", "d3");
        for (const struct kept_case *k = r->open; k; k = k->next, n++) {
            assert_true(n < 3);
            list[n] = k->blob;
            lens[n] = k->blob_len;
        }
        cases_free(r->c);
        world_free(r->w);
        r->w = rig_world(rig_conf_text, "compound,name,firm\nqby,桥北苑,f1\nc2,二村,f9\n",
                         rig_devices_text, ACK_1(""));
        size_t before = r->n;
        r->c =
            early ? cases_new(&(struct cases_out){r, rig_transition, rig_reply}) : rig_cases(r);
        assert_int_equal(cases_adopt(r->c, list, lens, n, NULL, NULL), 0);
        assert_int_equal(r->n, before);
        if (early)
            cases_use(r->c, NULL, r->w, r->ns, r->wall_ms);
        rig_pass(r, 1);
        assert_int_equal(r->n, before + 3);
        assert_int_equal(told_since(r, before, CASE_UNMASKED), 1);
        assert_int_equal(told_since(r, before, CASE_RULE_REMOVED), 1);
        assert_int_equal(told_since(r, before, CASE_MOVED), 1);
        assert_int_equal(rig_open(r), 2);
        assert_int_equal(cases_next_due(r->c), UINT64_MAX);
        rig_free(r);
    }
}

/* -- a further point that becomes the device's own -------------------------------------------- */

static void give_at(struct cases_rig *r, enum alarm_change change, const char *rule,
                    const char *point)
{
    struct alarm_event ev = rig_event(r, change, rule, "d1");
    ev.point = change == ALARM_MOVED ? "" : point;
    ev.was_point = change == ALARM_MOVED ? point : NULL;
    rig_give(r, &ev);
}

static void own_point(struct cases_rig *r, const char *point)
{
    char rows[256];
    snprintf(rows, sizeof(rows), "device,kind,compound,building,point\nd1,sump,qby,3,%s\n",
             point);
    struct world *next = rig_world(rig_conf_text, rig_compounds_text, rows, rig_rules_text);
    cases_use(r->c, r->w, next, r->ns, r->wall_ms);
    world_free(r->w);
    r->w = next;
    rig_pass(r, 1);
}

/* The same case, under the own key: what was done of it stays done. */
static void a_case_goes_home(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    give_at(r, ALARM_ACTIVATED, "full-1", "b");
    assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_DONE);
    give_at(r, ALARM_MOVED, "full-1", "b");
    const struct seen_transition *t = rig_last(r);
    assert_int_equal(t->change, CASE_MOVED);
    assert_true(t->deliver && !t->closed);
    assert_string_equal(t->id, r->seen[0].id);
    assert_string_equal(t->key, "full-1/d1/");
    assert_int_equal(t->occurrence, 1);
    assert_true(rig_says(t->json, "\"point\":\"\"") &&
                rig_says(t->json, "\"work\":\"accepted\""));
    assert_false(rig_says(t->json, "\"was\":"));
    own_point(r, "b");
    assert_int_equal(rig_last(r)->version, t->version); /* nothing more */
    give_at(r, ALARM_CLEARED, "full-1", "");
    assert_string_equal(rig_last(r)->id, r->seen[0].id);
    assert_int_equal(rig_open(r), 1);
    rig_free(r);
}

/* What is over and waits for people: nobody but the reload says so. Its key may be taken. */
static void what_waits_goes_home(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    give_at(r, ALARM_ACTIVATED, "latch-1", "b");
    give_at(r, ALARM_CLEARED, "latch-1", "b");
    give_at(r, ALARM_ACTIVATED, "full-1", "b");
    give_at(r, ALARM_CLEARED, "full-1", "b");
    give_at(r, ALARM_ACTIVATED, "full-1", "");
    assert_int_equal(rig_open(r), 3);
    size_t before = r->n;
    own_point(r, "b");
    assert_int_equal(r->n, before + 1);
    assert_int_equal(rig_last(r)->change, CASE_MOVED);
    assert_string_equal(rig_last(r)->key, "latch-1/d1/");
    assert_int_equal(rig_do(r, VERB_RESET, "{}"), ANSWER_DONE);
    assert_true(rig_last(r)->closed);
    assert_int_equal(rig_open(r), 2);
    rig_free(r);
}

/* What is active takes the key of what only waits. */
static void what_is_active_takes_the_key(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    give_at(r, ALARM_ACTIVATED, "full-1", "");
    give_at(r, ALARM_CLEARED, "full-1", "");
    give_at(r, ALARM_ACTIVATED, "full-1", "b");
    size_t before = r->n;
    give_at(r, ALARM_MOVED, "full-1", "b");
    assert_int_equal(r->n, before + 2);
    assert_true(r->seen[before].closed);
    assert_string_equal(r->seen[before].id, r->seen[0].id);
    assert_true(rig_says(r->seen[before].json, "\"reason\":\"not_concerned\""));
    assert_string_equal(rig_last(r)->key, "full-1/d1/");
    assert_int_equal(rig_open(r), 1);
    give_at(r, ALARM_MOVED, "full-1", "c"); /* of no case */
    assert_int_equal(r->n, before + 2);
    rig_free(r);
}

/* A store that was put back to before: it is the same case, and comes home again. */
static void an_older_store_knows_it_elsewhere(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct cases_rig *r = rig_new();
        give_at(r, ALARM_ACTIVATED, "full-1", "b");
        struct kept_case old = *r->open;
        const char *list = old.blob = mem_dup(old.blob, old.blob_len);
        give_at(r, ALARM_MOVED, "full-1", "b");
        own_point(r, "b");
        if (more)
            give_at(r, ALARM_CLEARED, "full-1", "");
        free(r->open->blob);
        *r->open = old;
        size_t n = r->n;
        assert_int_equal(cases_adopt(r->c, &list, &old.blob_len, 1, NULL, NULL), 0);
        assert_int_equal(r->n, n);
        rig_pass(r, 1);
        assert_true(r->n > n);
        assert_int_equal(rig_open(r), 1);
        assert_int_equal(told_since(r, n, CASE_MOVED), 1);
        assert_string_equal(rig_last(r)->id, r->seen[0].id);
        assert_string_equal(rig_last(r)->key, "full-1/d1/");
        assert_true(rig_says(rig_last(r)->json, "\"quality\":\"good\""));
        assert_true(rig_says(rig_last(r)->json,
                             more ? "\"condition\":\"normal\"" : "\"condition\":\"active\""));
        assert_int_equal(cases_next_due(r->c), UINT64_MAX);
        rig_free(r);
    }
}

/* -- both had the same ------------------------------------------------------------------------- */

/* Both are active, then a reload joins them: what is told since then. */
static size_t join_at_home(struct cases_rig *r, const char *rule, const char *device)
{
    size_t before = r->n;
    struct alarm_event ev = rig_event(r, ALARM_REMOVED, rule, device);
    ev.condition = ALARM_NORMAL;
    ev.point = "b";
    ev.reason = "joined";
    rig_give(r, &ev);
    return before;
}

static void begin_at(struct cases_rig *r, const char *rule, const char *device,
                     const char *point)
{
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, rule, device);
    ev.point = point;
    rig_give(r, &ev);
}

static void assert_joined(const struct seen_transition *t)
{
    assert_true(t->closed && t->deliver);
    assert_non_null(strstr(t->key, "/b"));
    assert_true(rig_says(t->json, "\"reason\":\"joined\""));
}

/* It burns at the point, and then the fire brigade's test of the compound sets the other one off: the fire
 * is no test. */
static void a_test_hides_no_fire_that_joins_it(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    begin_at(r, "fire-1", "s1", "b");
    assert_int_equal(
        rig_ask(r, NULL, "-", "compound/qby", VERB_TEST, "{\"for\":\"30m\"}", NULL),
        ANSWER_DONE);
    begin_at(r, "fire-1", "s1", "");
    assert_true(rig_last(r)->test && !rig_last(r)->urgent);
    size_t n = join_at_home(r, "fire-1", "s1");
    assert_int_equal(r->n, n + 2);
    assert_string_equal(r->seen[n].key, "fire-1/s1/");
    assert_int_equal(r->seen[n].change, CASE_UNMASKED);
    assert_true(r->seen[n].deliver && r->seen[n].urgent && !r->seen[n].test);
    assert_true(rig_says(r->seen[n].json, "\"work\":\"dispatched\""));
    assert_joined(rig_last(r));
    rig_pass(r, 1800);
    assert_int_equal(r->n, n + 2);
    rig_say(r, ALARM_CLEARED, "fire-1", "s1");
    assert_false(rig_last(r)->closed); /* nobody acknowledged it */
    rig_free(r);

    r = rig_new(); /* both are tests: so is what goes on */
    assert_int_equal(
        rig_ask(r, NULL, "-", "compound/qby", VERB_TEST, "{\"for\":\"30m\"}", NULL),
        ANSWER_DONE);
    begin_at(r, "fire-1", "s1", "b");
    begin_at(r, "fire-1", "s1", "");
    n = join_at_home(r, "fire-1", "s1");
    assert_int_equal(r->n, n + 1);
    assert_joined(rig_last(r));
    rig_say(r, ALARM_CLEARED, "fire-1", "s1");
    assert_true(rig_last(r)->closed && rig_last(r)->test);
    rig_free(r);
}

/* Whoever shelved the one, acknowledged it or repaired it has not done so with the other. */
static void what_was_done_of_one_is_not_of_both(void **state)
{
    static const struct {
        const char *rule;
        enum case_verb verb;
        const char *payload, *says;
        enum case_change change;
    } done[] = {
        {"ack-1", VERB_SHELVE, "{\"for\":\"1h\"}", "\"masked\":[]", CASE_UNSHELVED},
        {"ack-1", VERB_ACK, "{}", "\"ack\":null", CASE_UNMASKED},
        {"full-1", VERB_RESOLVE, "{}", "\"work\":\"accepted\"", CASE_UNMASKED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++)
        for (int both = 0; both < 2; both++) {
            struct cases_rig *r = rig_new();
            begin_at(r, done[i].rule, "d1", "b");
            if (done[i].verb == VERB_RESOLVE)
                assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_DONE);
            if (both)
                assert_int_equal(rig_do(r, done[i].verb, done[i].payload), ANSWER_DONE);
            begin_at(r, done[i].rule, "d1", "");
            if (done[i].verb == VERB_RESOLVE)
                assert_int_equal(rig_do(r, VERB_ACCEPT, "{}"), ANSWER_DONE);
            assert_int_equal(rig_do(r, done[i].verb, done[i].payload), ANSWER_DONE);
            size_t n = join_at_home(r, done[i].rule, "d1");
            assert_joined(rig_last(r));
            assert_int_equal(r->n, n + (both ? 1 : 2));
            if (!both) {
                assert_int_equal(r->seen[n].change, done[i].change);
                assert_true(r->seen[n].deliver);
                if (!rig_says(r->seen[n].json, done[i].says))
                    fail_msg("%s", r->seen[n].json);
            }
            assert_int_equal(rig_open(r), 1);
            rig_free(r);
        }
}

/* What was raised as life-safety stays so where it goes on, before the device says more. */
static void what_joins_stays_life_safety(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, "ack-1", "d1");
    ev.point = "b";
    ev.life_safety = true;
    rig_give(r, &ev);
    begin_at(r, "ack-1", "d1", "");
    assert_false(rig_last(r)->urgent);
    assert_int_equal(rig_do(r, VERB_ACK, "{}"), ANSWER_DONE);
    size_t n = join_at_home(r, "ack-1", "d1");
    assert_int_equal(r->n, n + 2);
    assert_true(r->seen[n].urgent);
    assert_true(rig_says(r->seen[n].json, "\"life_safety\":true"));
    rig_free(r);
}

/* The own one has no case here: this one is its. */
static void who_joins_nothing_goes_home(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    begin_at(r, "ack-1", "d1", "b");
    size_t n = join_at_home(r, "ack-1", "d1");
    assert_int_equal(r->n, n + 1);
    assert_int_equal(rig_last(r)->change, CASE_MOVED);
    assert_string_equal(rig_last(r)->key, "ack-1/d1/");
    rig_free(r);
}

/* The store does not know it: nothing is told of it under its old number, and it is opened where it is. */
static void what_is_lost_goes_home(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    begin_at(r, "full-1", "d1", "b");
    assert_int_equal(cases_adopt(r->c, NULL, NULL, 0, NULL, NULL), 0);
    free(r->open->blob);
    free(r->open);
    r->open = NULL;
    own_point(r, "b");
    assert_int_equal(r->n, 2);
    assert_int_equal(rig_last(r)->change, CASE_ACTIVATED);
    assert_string_equal(rig_last(r)->key, "full-1/d1/");
    rig_free(r);
}

/* As if so many others were open. */
static void open_beside(struct cases_rig *r, size_t others, const char *rule,
                        const char *device, const char *point)
{
    struct alarm_event ev = rig_event(r, ALARM_ACTIVATED, rule, device);
    ev.point = point;
    r->c->n += others;
    cases_event(r->c, &r->at, &ev);
    r->c->n -= others;
    rig_pass(r, 1);
}

/* However many are open, who is in danger is told of. */
static void room_for_life_safety(void **state)
{
    (void)state;
    struct cases_stats s;
    struct cases_rig *r = rig_new();
    rig_say(r, ALARM_ACTIVATED, "none-1", "d1");
    open_beside(r, CASES_MAX_OPEN - 1, "ack-1", "d1", "");
    assert_int_equal(r->n, 1);
    open_beside(r, CASES_MAX_OPEN - 1, "fire-1", "s1", "");
    assert_int_equal(r->n, 2);
    assert_true(r->seen[1].urgent);
    open_beside(r, CASES_MAX_OPEN + CASES_LIFE_ROOM - 2, "fire-1", "s1", "z");
    assert_int_equal(r->n, 2);
    cases_stats(r->c, &s);
    assert_int_equal(s.not_opened, 2);
    assert_int_equal(s.open, 2);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_is_full),
        cmocka_unit_test(many_are_shelved_and_come_back),
        cmocka_unit_test(a_level_is_told_whatever_hid_the_silence),
        cmocka_unit_test(names_that_begin_like_ours),
        cmocka_unit_test(a_record_takes_no_time_of_the_open_case),
        cmocka_unit_test(a_record_takes_no_shelf),
        cmocka_unit_test(a_test_leaves_no_latch),
        cmocka_unit_test(our_own_stays_shelved),
        cmocka_unit_test(a_latch_behind_a_mask_is_told),
        cmocka_unit_test(a_test_hides_no_life_in_danger),
        cmocka_unit_test(a_compound_is_found_within_a_reload),
        cmocka_unit_test(what_becomes_life_safety_is_told),
        cmocka_unit_test(the_end_of_shelving_is_told),
        cmocka_unit_test(who_is_not_concerned_waits_for_nobody),
        cmocka_unit_test(what_the_store_has_meets_the_world),
        cmocka_unit_test(a_level_is_graver_than_silence),
        cmocka_unit_test(a_case_goes_home),
        cmocka_unit_test(what_waits_goes_home),
        cmocka_unit_test(what_is_active_takes_the_key),
        cmocka_unit_test(an_older_store_knows_it_elsewhere),
        cmocka_unit_test(a_test_hides_no_fire_that_joins_it),
        cmocka_unit_test(what_was_done_of_one_is_not_of_both),
        cmocka_unit_test(what_joins_stays_life_safety),
        cmocka_unit_test(who_joins_nothing_goes_home),
        cmocka_unit_test(what_is_lost_goes_home),
        cmocka_unit_test(room_for_life_safety),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
