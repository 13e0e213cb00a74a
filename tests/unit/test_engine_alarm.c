/* SPDX-License-Identifier: Apache-2.0 */
/* engine and alarms together: transitions, replies, points, each at its position. */
#include "engine_alarm_rig.h"

/* -- what happens ---------------------------------------------------------------------------- */

static void from_sample_to_transition(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    say(b, "d1", "{\"level\":0.5}", MINUTE);
    assert_null(last_of(b, SAW_TRANSITION));
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_non_null(t);
    assert_int_equal(t->change, CASE_ACTIVATED);
    assert_true(t->deliver);
    assert_int_equal(t->at.offset, b->offset); /* in the record's own step */
    assert_non_null(strstr(t->text, "桥北苑 3号楼 集水井水位过高：水位 0.93 m（限值 0.8 m）"));
    assert_non_null(strstr(t->text, "\"case\":\"cq.all.7."));
    assert_non_null(strstr(t->text, "\"since\":\"2026-11-21T08:02:03.000+08:00\""));
    assert_int_equal(count_of(b, SAW_POINT,
                              "gaihou_alert,compound=qby,device=d1,firm=f1,gateway=cq,"
                              "lane=all,rule=sump-high,severity=major case=\"cq."),
                     1);
    say(b, "d1", "{\"level\":1.3}", MINUTE);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_RAISED);
    say(b, "d1", "{\"level\":0.4}", MINUTE);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_CLEARED);
    assert_true(last_of(b, SAW_TRANSITION)->closed);
    struct cases_stats s;
    cases_stats(engine_cases(b->e), &s);
    assert_int_equal(s.open, 0);
    bench_free(b);
}

/* What a device says at one time in two messages is all of it news, wherever in its millisecond each of
 * them comes. */
static void two_messages_of_one_time(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    char body[64];
    long long ts = (long long)((WALL0 + (int64_t)(b->ns + MINUTE - BOOT0)) / 1000000);
    snprintf(body, sizeof(body), "{\"ts\":%lld,\"pump_on\":false}", ts);
    say(b, "d1", body, MINUTE + 900000); /* at .9 of a millisecond */
    snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":0.93}", ts);
    say(b, "d1", body, SECOND + 200000); /* at .1 of another */
    assert_non_null(last_of(b, SAW_TRANSITION));
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    bench_free(b);
}

/* A gateway without a battery begins in 1970. That its clock was set then is no reason to take what is late
 * for what is new. */
static void late_is_late_although_our_clock_was_never_set(void **state)
{
    (void)state;
    struct bench *b = bench_at(conf_text, -WALL0);
    char body[64];
    b->wall_shift = 0;
    tick(b, MINUTE);
    long long ts = (long long)((WALL0 + (int64_t)(b->ns + MINUTE - BOOT0)) / 1000000);
    snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":0.1}", ts);
    say(b, "d1", body, MINUTE);
    snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":0.93}", ts - 30 * 60000);
    say(b, "d1", body, SECOND);
    assert_null(last_of(b, SAW_TRANSITION));
    bench_free(b);
}

/* Our own two clocks are read one after the other, and never equally far apart. */
static void two_messages_and_two_clocks(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    char body[64];
    long long ts = (long long)((WALL0 + (int64_t)(b->ns + MINUTE - BOOT0)) / 1000000);
    snprintf(body, sizeof(body), "{\"ts\":%lld,\"pump_on\":false}", ts);
    say(b, "d1", body, MINUTE + 900000);
    b->wall_shift += 70; /* nanoseconds */
    snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":0.93}", ts);
    say(b, "d1", body, SECOND + 200000);
    assert_non_null(last_of(b, SAW_TRANSITION));
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    bench_free(b);
}

/* `for` ends between two records: its step stands there, at the time it was due. */
static void timers_between_records(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    say(b, "d1", "{\"pump_on\":true}", MINUTE);
    uint64_t began = b->ns, offset = b->offset;
    say(b, "d2", "{\"level\":0.1}", 7 * MINUTE);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_non_null(t);
    assert_int_equal(t->at.offset, offset);
    assert_int_equal(t->at.tick, began + 5 * MINUTE);
    assert_non_null(strstr(t->text, "\"discovered\":\"2026-11-21T08:06:03.000+08:00\""));
    assert_true(engine_next_due(b->e) > b->ns);
    bench_free(b);
}

static void commands(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    char topic[300];
    say(b, "s1", "{\"alarm\":true}", MINUTE);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_true(t->urgent);
    snprintf(topic, sizeof(topic), "f1/qby/%s/accept", t->id);
    order(b, topic, "{\"by\":\"李\"}", "k1", 1);
    assert_int_equal(last_of(b, SAW_REPLY)->answer, ANSWER_DONE);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACCEPTED);
    assert_int_equal(position_cmp(&last_of(b, SAW_TRANSITION)->at, &last_of(b, SAW_REPLY)->at),
                     0);
    size_t n = b->n;
    order(b, topic, "{\"by\":\"李\"}", "k1",
          RECORD_RETAIN | 1); /* a retained one is no command */
    assert_int_equal(b->n, n);
    order(b, topic, "{\"by\":\"李\"}", "k1", 1); /* a repeat */
    assert_int_equal(b->n, n + 1);
    assert_int_equal(last_of(b, SAW_REPLY)->answer, ANSWER_DONE);
    give(b, RECORD_COMMAND, topic, "xx", 2, 0, SECOND);
    struct engine_stats s;
    engine_stats(b->e, &s);
    assert_int_equal(s.commands_unread, 2);
    bench_free(b);
}

static void retained_and_reinjected(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    give(b, RECORD_MESSAGE, "gaihou/v1/up/qby/d1", "{\"level\":3}", 11, 1 | RECORD_RETAIN,
         MINUTE);
    give(b, RECORD_REINJECT, "gaihou/v1/up/qby/d1", "{\"level\":3}", 11, 1, MINUTE);
    assert_null(last_of(b, SAW_TRANSITION));
    assert_int_equal(count_of(b, SAW_POINT, "sump,building=3"), 1); /* a point it does make */
    bench_free(b);
}

static void the_other_lane(void **state)
{
    (void)state;
    struct bench *b = bench_of(ls_conf_text);
    say(b, "d1", "{\"level\":3}", MINUTE);
    assert_null(last_of(b, SAW_TRANSITION));
    say(b, "s1", "{\"alarm\":true}", MINUTE);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    assert_int_equal(count_of(b, SAW_POINT, "lane=life-safety"), 1);
    for (int i = 0; i < 60; i++) { /* the other process hears d1: its silence here is none */
        say(b, "d1", "{\"level\":0.1}", MINUTE);
        say(b, "s1", "{\"alarm\":false}", SECOND);
    }
    assert_int_equal(count_of(b, SAW_TRANSITION, "\"device\":\"d1\""), 0);
    bench_free(b);
}

/* Silence is no recovery, and it is told; a restart after two hours declares nobody silent. */
static void silence_and_downtime(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    tick(b, 12 * MINUTE);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_int_equal(t->change, CASE_STALE);
    assert_non_null(strstr(t->text, "\"condition\":\"active\",\"quality\":\"stale\""));
    bench_free(b);

    b = bench_of(conf_text);
    say(b, "d1", "{\"level\":0.5}", MINUTE);
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    size_t n = b->n;
    give(b, RECORD_START, "", "", 0, 0, 120 * MINUTE);
    give(b, RECORD_LINK_UP, "", "\1", 1, 0, 10 * SECOND);
    for (size_t i = n; i < b->n; i++)
        assert_true(b->seen[i].what != SAW_TRANSITION);
    tick(b, 40 * MINUTE); /* but whoever stays silent now is */
    assert_int_equal(count_of(b, SAW_TRANSITION, "\"quality\":\"stale\"") > 0, 1);
    bench_free(b);
}

static void who_does_not_listen(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    give(b, RECORD_PRESENCE, "f1", "online", 6, 0, SECOND);
    say(b, "s1", "{\"alarm\":true}", MINUTE);
    tick(b, 20 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 0);
    give(b, RECORD_PRESENCE, "f1", "offline", 7, 0, SECOND);
    tick(b, 14 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 0);
    tick(b, 2 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 1);
    tick(b, 60 * MINUTE); /* said once */
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 1);
    give(b, RECORD_PRESENCE, "f1", "online", 6, 0, SECOND);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_non_null(strstr(t->text, "gaihou-firm-absent"));
    assert_true(t->closed);
    bench_free(b);
}

/* For so many there is no room; a snapshot remembers that it was counted. */
static void too_many_to_watch(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    struct engine_stats st;
    struct buf saved;
    for (unsigned i = 0; i < 20003; i++) {
        char firm[16];
        struct kept *k = &b->recs[b->n_recs];
        snprintf(firm, sizeof(firm), "x%u", i);
        give(b, RECORD_PRESENCE, firm, "online", 6, 0, 1000);
        free(k->topic);
        free(k->body);
        b->n_recs--;
    }
    engine_stats(b->e, &st);
    assert_int_equal(st.firms_not_watched, 3);
    buf_init(&saved, 64 << 20);
    assert_int_equal(engine_save(b->e, append, &saved), 0);
    engine_free(b->e);
    b->e = engine_of(b);
    engine_use(b->e, b->w);
    assert_int_equal(engine_load(b->e, saved.data, saved.len), 0);
    engine_stats(b->e, &st);
    assert_int_equal(st.firms_not_watched, 3);
    buf_done(&saved);
    bench_free(b);
}

/* Nobody can listen any more: that somebody does not is over. */
static void without_a_broker_nobody_is_absent(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    char conf[sizeof(conf_text)];
    say(b, "s1", "{\"alarm\":true}", MINUTE);
    tick(b, 16 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 1);
    snprintf(conf, sizeof(conf), "%s", conf_text);
    char *alerts = strstr(conf, "alerts: {broker: main}\n");
    memmove(alerts, alerts + strlen("alerts: {broker: main}\n"),
            strlen(alerts + strlen("alerts: {broker: main}\n")) + 1);
    struct world *next = world_of(conf, devices_text, rules_text);
    give(b, RECORD_GENERATION, "", "world", 5, 0, SECOND);
    engine_use(b->e, next);
    world_free(b->w);
    b->w = next;
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_non_null(strstr(t->text, "gaihou-firm-absent"));
    assert_true(t->closed);
    bench_free(b);
}

/* A case of which the firm heard nothing concerns it no more when its compound has another firm. */
static void who_is_concerned_no_more_may_be_away(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    char topic[300];
    say(b, "d1", "{\"level\":0.9}", MINUTE);
    snprintf(topic, sizeof(topic), "f1/qby/%s/shelve", last_of(b, SAW_TRANSITION)->id);
    order(b, topic, "{\"for\":\"9h\"}", "k1", 1);
    say(b, "d1", "{\"level\":0.1}", MINUTE);
    assert_true(last_of(b, SAW_TRANSITION)->closed);
    say(b, "d1", "{\"level\":0.9}", MINUTE);
    assert_false(last_of(b, SAW_TRANSITION)->deliver);
    for (int i = 0; i < 16; i++) /* until others are silent, which the firm would hear */
        say(b, "d1", "{\"level\":0.9}", MINUTE);
    assert_non_null(strstr(last_of(b, SAW_TRANSITION)->text, "gaihou-firm-absent"));
    compounds = "compound,name,firm\nqby,桥北苑,f3\nc2,二村,f2\n";
    struct world *next = world_of(conf_text, devices_text, rules_text);
    compounds = compounds_text;
    give(b, RECORD_GENERATION, "", "world", 5, 0, SECOND);
    engine_use(b->e, next);
    world_free(b->w);
    b->w = next;
    assert_non_null(strstr(last_of(b, SAW_TRANSITION)->text, "gaihou-firm-absent"));
    assert_true(last_of(b, SAW_TRANSITION)->closed);
    bench_free(b);
}

/* Its cases are open before anybody could listen: from the reload on it is waited for, as long as anybody. */
static void who_could_not_listen_before(void **state)
{
    (void)state;
    static const char quiet[] = "gateway: {id: cq, data_dir: /tmp/x, language: zh}\n"
                                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                                "catalog: catalog.yaml\n"
                                "registry: {compounds: compounds.csv, devices: d.csv}\n";
    struct bench *b = bench_of(quiet);
    say(b, "s1", "{\"alarm\":true}", MINUTE);
    tick(b, 60 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 0);
    struct world *next = world_of(conf_text, devices_text, rules_text);
    give(b, RECORD_GENERATION, "", "world", 5, 0, SECOND);
    engine_use(b->e, next);
    world_free(b->w);
    b->w = next;
    tick(b, 14 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 0);
    tick(b, 2 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 f1"), 1);
    bench_free(b);
}

static size_t undelivered(const struct bench *b)
{
    return count_of(b, SAW_TRANSITION, "\"rule\":\"gaihou-delivery\"");
}

/* As it is written, as it was written, and as it is meant when a firm is called so. */
static void what_cannot_be_delivered(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    give(b, RECORD_PRESENCE, "/delivery", "offline", 7, 0, SECOND);
    assert_int_equal(undelivered(b), 1);
    give(b, RECORD_PRESENCE, "gaihou-delivery", "online", 6, 0, SECOND);
    assert_int_equal(undelivered(b), 2);
    assert_true(last_of(b, SAW_TRANSITION)->closed);
    bench_free(b);

    compounds = "compound,name,firm\nqby,桥北苑,gaihou-delivery\nc2,二村,f2\n";
    b = bench_of(conf_text);
    compounds = compounds_text;
    give(b, RECORD_PRESENCE, "gaihou-delivery", "offline", 7, 0, SECOND);
    assert_int_equal(undelivered(b), 0);
    say(b, "s1", "{\"alarm\":true}", MINUTE);
    give(b, RECORD_PRESENCE, "gaihou-delivery", "online", 6, 0, SECOND);
    tick(b, 20 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 gaihou-delivery"),
                     0); /* it listens */
    give(b, RECORD_PRESENCE, "gaihou-delivery", "offline", 7, 0, SECOND);
    tick(b, 20 * MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, "物业公司 gaihou-delivery"), 1);
    assert_int_equal(undelivered(b), 0);
    give(b, RECORD_PRESENCE, "/delivery", "offline", 7, 0, SECOND);
    assert_int_equal(undelivered(b), 1);
    bench_free(b);
}

/* -- pitfalls of alert engines (see docs/alarms.md) -------------------------------------------- */

static const struct seen *pump_case(const struct bench *b)
{
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_non_null(strstr(t->text, "\"rule\":\"pump-on\""));
    assert_non_null(strstr(t->text, "\"device\":\"d1\",\"point\":\"\""));
    return t;
}

/* A level's case of which the firm has shelved the key, and which is over now. */
static void shelved_and_over(struct bench *b, bool ack, char id[CASE_ID_MAX])
{
    char topic[300];
    say(b, "d1", "{\"pump_on\":true}", MINUTE);
    tick(b, 6 * MINUTE);
    assert_int_equal(pump_case(b)->change, CASE_ACTIVATED);
    snprintf(id, CASE_ID_MAX, "%s", pump_case(b)->id);
    snprintf(topic, sizeof(topic), "f1/qby/%s/shelve", id);
    order(b, topic, "{\"for\":\"9h\"}", "", 1);
    assert_int_equal(pump_case(b)->change, CASE_SHELVED);
    snprintf(topic, sizeof(topic), "f1/qby/%s/ack", id);
    if (ack)
        order(b, topic, "{}", "", 1);
    say(b, "d1", "{\"pump_on\":false}", MINUTE);
}

/* The alarm that the engine itself makes of a device's silence has the key of any other of its rule: it is
 * another turn of the case that is open, or another case, and meets what the firm has shelved. */
static void pitfall_23_silence_has_the_key_of_its_rule(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        struct bench *b = bench_of(conf_text);
        char id[CASE_ID_MAX];
        shelved_and_over(b, closed, id);
        if (!closed)
            assert_int_equal(pump_case(b)->change, CASE_CLEARED);
        assert_int_equal(pump_case(b)->closed, closed);
        size_t n = count_of(b, SAW_TRANSITION, "\"device\":\"d1\"");
        for (int i = 0; i < 25; i++)
            say(b, "d2", "{\"level\":0.1}", MINUTE);
        const struct seen *t = pump_case(b);
        assert_int_equal(count_of(b, SAW_TRANSITION, "\"device\":\"d1\""), n + 1);
        assert_int_equal(t->change, closed ? CASE_ACTIVATED : CASE_RECURRED);
        assert_int_equal(strcmp(t->id, id) == 0, !closed);
        assert_non_null(strstr(t->text, "\"quality\":\"stale\""));
        assert_non_null(strstr(t->text, "\"masked\":[\"shelved\"]"));
        assert_false(t->deliver);
        snprintf(id, sizeof(id), "%s", t->id);
        say(b, "d1", "{\"pump_on\":false}", MINUTE); /* and so does its end */
        assert_string_equal(pump_case(b)->id, id);
        assert_int_equal(pump_case(b)->change, CASE_CLEARED);
        bench_free(b);
    }
}

/* What goes to the store and to the databases of alarms is what changes, and once a minute how many are open:
 * nothing for each sample, whether all is well, a delay runs or an alarm stands. */
static void pitfall_25_no_sample_costs_a_write(void **state)
{
    (void)state;
    enum { MINUTES = 200, EACH = 6 }; /* three records each: MAX_RECS */
    struct bench *b = bench_of(conf_text);
    for (int i = 0; i < MINUTES * EACH; i++) {
        say(b, "d1", i % 2 ? "{\"level\":0.1,\"pump_on\":false}" : "{\"level\":0.2}",
            MINUTE / EACH);
        say(b, "d2", i % 2 ? "{\"level\":0.9}" : "{\"level\":0.91}", 0);
        say(b, "d3", i % 20 ? "{\"pump_on\":true}" : "{\"pump_on\":false}", 0);
    }
    assert_int_equal(count_of(b, SAW_TRANSITION, ""), 2); /* of d2, and that its firm is away */
    assert_int_equal(count_of(b, SAW_TRANSITION, "\"device\":\"d2\""), 1);
    assert_int_equal(count_of(b, SAW_TRANSITION, "gaihou-firm-absent"), 1);
    assert_int_equal(count_of(b, SAW_POINT, "gaihou_alert"), 2);
    size_t counts = count_of(b, SAW_POINT, "gaihou_open");
    assert_in_range(counts, MINUTES - 1, 2 * MINUTES); /* a line for each firm's */
    bench_free(b);
}

static void open_cases_each_minute(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    tick(b, MINUTE);
    tick(b, MINUTE);
    static const char series[] =
        "gaihou_open,community=sxj,compound=qby,district=nanan,firm=f1,"
        "gateway=cq,grid=g1,lane=all,severity=major,street=lmh "
        "open=1i,unacknowledged=1i";
    assert_int_equal(count_of(b, SAW_POINT, series), 2);
    say(b, "d1", "{\"level\":0.1}", SECOND);
    tick(b, 5 * MINUTE);
    assert_int_equal(count_of(b, SAW_POINT, "open=0i,unacknowledged=0i"), 1);
    bench_free(b);
}

/* -- gaihou-schema(7) ------------------------------------------------------------------------ */

/* The words that a section of the man page gives a name to: of lines ".Li a , b" and ".It Li a , b". */
static void words_of(const char *page, const char *section, struct buf *out)
{
    char *head = mem_printf("\n.Ss %s\n", section);
    const char *at = strstr(page, head);
    assert_non_null(at);
    const char *end = strstr(at + 1, "\n.Ss ");
    assert_non_null(end);
    buf_init(out, 1 << 16);
    (void)buf_putc(out, ' ');
    for (at = strchr(at + 1, '\n') + 1; at < end; at = strchr(at, '\n') + 1) {
        size_t skip = strncmp(at, ".Li ", 4) == 0 ? 4 : strncmp(at, ".It Li ", 7) == 0 ? 7 : 0;
        for (const char *p = at + skip; skip && *p != '\n'; p++)
            (void)buf_putc(out, *p);
        if (skip)
            (void)buf_putc(out, ' ');
    }
    (void)buf_cstr(out);
    free(head);
}

static bool has_word(const char *words, const char *word, size_t n)
{
    for (const char *at = strchr(words, ' '); at; at = strchr(at + 1, ' '))
        if (strncmp(at + 1, word, n) == 0 && at[1 + n] == ' ')
            return true;
    return false;
}

/* The names of a point's tags and fields, as " a b c ". */
static void names_of(const char *line, struct buf *out)
{
    bool quoted = false, tags = true;
    const char *name = strchr(line, ',') + 1;
    buf_init(out, 1 << 16);
    (void)buf_putc(out, ' ');
    for (const char *p = name; *p && (tags || *p != ' ' || quoted); p++) {
        quoted ^= *p == '"';
        if (*p == '=' && !quoted) {
            (void)buf_put(out, name, (size_t)(p - name));
            (void)buf_putc(out, ' ');
        } else if (!quoted && (*p == ',' || *p == ' ')) {
            tags &= *p == ',';
            name = p + 1;
        }
    }
    (void)buf_cstr(out);
}

static void section_is(const char *page, const char *measurement, const char *line)
{
    static const char *const values[] = {"gaihou-", "none", "-", "point"}; /* may be absent */
    struct buf said, made;
    words_of(page, measurement, &said);
    names_of(line, &made);
    for (const char *at = made.data + 1; *at; at = strchr(at, ' ') + 1)
        if (!has_word(said.data, at, strcspn(at, " ")))
            fail_msg("gaihou-schema(7), %s: says nothing of %s", measurement, at);
    for (const char *at = said.data + 1; *at; at += strcspn(at, " "), at += *at == ' ') {
        size_t n = strcspn(at, " ");
        bool value = n == 1 && strchr(",;.", *at);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
            value |= n == strlen(values[i]) && memcmp(at, values[i], n) == 0;
        if (n > 0 && !value && at[0] != '(' && !has_word(made.data, at, n) &&
            strncmp(at, "Ns", 2) != 0 && strncmp(at, "Ar", 2) != 0 && at[0] != '\\')
            fail_msg("gaihou-schema(7), %s: there is no %.*s", measurement, (int)n, at);
    }
    buf_done(&said);
    buf_done(&made);
}

static void the_man_page_is_right(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    FILE *f = fopen("daemon/man/gaihou-schema.7", "rbe");
    if (!f)
        fail_msg("cannot open daemon/man/gaihou-schema.7: run from the top of the tree");
    char *page = mem_zalloc(1 << 20);
    assert_true(fread(page, 1, (1 << 20) - 1, f) > 1000);
    (void)fclose(f);
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    tick(b, 2 * MINUTE);
    const char *alert = NULL, *open = NULL;
    for (size_t i = 0; i < b->n; i++) {
        const char *text = b->seen[i].text;
        if (b->seen[i].what == SAW_POINT && strncmp(text, "gaihou_alert,", 13) == 0)
            alert = text;
        if (b->seen[i].what == SAW_POINT && strncmp(text, "gaihou_open,", 12) == 0)
            open = text;
    }
    assert_non_null(alert);
    assert_non_null(open);
    section_is(page, "gaihou_alert", alert);
    section_is(page, "gaihou_open", open);
    free(page);
    bench_free(b);
}

/* A rule that vanishes ends its cases, in a step behind the record that named the generation. */
static void a_rule_vanishes(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    char rules[4096];
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    snprintf(rules, sizeof(rules), "%s", rules_text);
    memcpy(strstr(rules, "sump-high"), "sump-rise", 9);
    struct world *next = world_of(conf_text, devices_text, rules);
    give(b, RECORD_GENERATION, "", "world", 5, 0, SECOND);
    struct position record = engine_position(b->e);
    engine_use(b->e, next);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_int_equal(t->change, CASE_RULE_REMOVED);
    assert_true(t->closed);
    assert_true(position_cmp(&t->at, &record) > 0);
    assert_int_equal(t->at.offset, record.offset);
    world_free(b->w);
    b->w = next;
    say(b, "d1", "{\"level\":0.95}", MINUTE);
    assert_non_null(strstr(last_of(b, SAW_TRANSITION)->text, "sump-rise"));
    bench_free(b);
}

/* What catching up held back of a device is told by the reload that marks it, in that one's step: to the
 * firm that has its compound from then on, too. */
static void what_a_reload_makes_life_safety(void **state)
{
    (void)state;
    static const char marked[] = "device,kind,compound,building,expected_interval,life_safety\n"
                                 "d1,sump,%s,3,1m,yes\n";
    for (unsigned moves = 0; moves < 2; moves++) {
        struct bench *b = bench_of(conf_text);
        char body[64], rows[200];
        say(b, "d1", "{\"level\":0.1}", MINUTE);
        long long ts = (long long)((WALL0 + (int64_t)(b->ns + MINUTE - BOOT0)) / 1000000);
        tick(b, 40 * MINUTE);
        snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":0.93}", ts);
        say(b, "d1", body, SECOND);
        assert_int_equal(count_of(b, SAW_TRANSITION, "sump-high"), 0);
        snprintf(rows, sizeof(rows), marked, moves ? "c2" : "qby");
        struct world *next = world_of(conf_text, rows, rules_text);
        give(b, RECORD_GENERATION, "", "world", 5, 0, SECOND);
        engine_use(b->e, next);
        world_free(b->w);
        b->w = next;
        const struct seen *t = NULL;
        for (size_t i = 0; i < b->n; i++)
            if (b->seen[i].what == SAW_TRANSITION && strstr(b->seen[i].text, "sump-high"))
                t = &b->seen[i];
        assert_non_null(t);
        assert_int_equal(t->change, CASE_ACTIVATED);
        assert_true(t->deliver && t->urgent);
        assert_non_null(strstr(t->text, moves ? "\"firm\":\"f2\"" : "\"firm\":\"f1\""));
        bench_free(b);
    }
}

/* A device becomes the other lane's: this one's open case stays, of unknown quality, until people close
 * it; an emptied topic would read as a recovery. Whatever is latched can be reset then. */
static void a_device_goes_to_the_other_lane(void **state)
{
    (void)state;
    static const char rules[] =
        "version: 1\ngroups:\n  - name: g\n    rules:\n"
        "      - {id: wet, kind: sump, title: t, action: a, work: none, latch: true, flapping: "
        "{changes: 2, within: 10m, settle: 1h}, levels: [{severity: major, when: level > 0.8, "
        "off: level < 0.6}], no_data: {after: 10m}}\n";
    static const char theirs[] = "device,kind,compound,building,expected_interval,life_safety\n"
                                 "d1,sump,qby,3,1m,no\n";
    static const char head[] = "device,kind,compound,building,expected_interval,life_safety\n"
                               "d1,sump,qby,3,1m,yes\n";
    struct bench *b = bench_of(ls_conf_text);
    struct world *ours = world_of(ls_conf_text, head, rules);
    struct world *next = world_of(ls_conf_text, theirs, rules);
    engine_use(b->e, ours);
    world_free(b->w);
    b->w = ours;
    say(b, "d1", "{\"level\":0.9}", MINUTE);
    char id[CASE_ID_MAX], topic[300];
    snprintf(id, sizeof(id), "%s", last_of(b, SAW_TRANSITION)->id);
    give(b, RECORD_GENERATION, "", "world", 5, 0, SECOND);
    engine_use(b->e, next);
    world_free(b->w);
    b->w = next;
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_int_equal(t->change, CASE_STALE);
    assert_false(t->closed);
    assert_true(t->deliver);
    assert_non_null(strstr(t->text, "\"reason\":\"other_lane\""));
    assert_non_null(strstr(t->text, "\"condition\":\"active\""));
    assert_non_null(strstr(t->text, "\"quality\":\"unknown\""));
    for (int i = 0; i < 30; i++)
        say(b, "d1", "{\"level\":0.1}", MINUTE);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_STALE);
    snprintf(topic, sizeof(topic), "f1/qby/%s/close", id);
    order(b, topic, "{}", "k1", 1);
    assert_int_equal(last_of(b, SAW_REPLY)->answer, ANSWER_REFUSED); /* it is latched */
    snprintf(topic, sizeof(topic), "f1/qby/%s/reset", id);
    order(b, topic, "{}", "k2", 1);
    assert_int_equal(last_of(b, SAW_REPLY)->answer, ANSWER_DONE);
    snprintf(topic, sizeof(topic), "f1/qby/%s/close", id);
    order(b, topic, "{}", "k3", 1);
    assert_int_equal(last_of(b, SAW_REPLY)->answer, ANSWER_DONE);
    assert_true(last_of(b, SAW_TRANSITION)->closed);
    bench_free(b);
}

/* Stamped by receipt, what the broker kept would be news: the pit was full and is empty again. */
static void old_news_of_a_clock_that_was_never_set(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    give(b, RECORD_LINK_UP, "", "\1", 1, 0, SECOND);
    say(b, "d1", "{\"ts\":86400000,\"level\":0.9}", SECOND / 10);
    say(b, "d1", "{\"ts\":86460000,\"level\":0.1}", SECOND / 10);
    tick(b, MINUTE);
    assert_null(last_of(b, SAW_TRANSITION));
    /* Caught up: this is the present. So is what is kept in the end, in whatever part of its millisecond it came. */
    say(b, "d1", "{\"ts\":86520000,\"level\":0.9}", SECOND);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    give(b, RECORD_LINK_UP, "", "\1", 1, 0, MINUTE);
    say(b, "d1", "{\"ts\":86580000,\"level\":0.1}", SECOND / 10 + 300);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    tick(b, 20 * SECOND);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_CLEARED);
    bench_free(b);
}

/* With that time of ours (less `old_ms`) as its own. */
static void say_after(struct bench *b, const char *device, double level, int64_t old_ms,
                      int64_t shift, uint64_t wait)
{
    char body[64];
    int64_t at = (WALL0 + (int64_t)(b->ns + wait - BOOT0) + shift) / 1000000 - old_ms;
    snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":%.2f}", (long long)at, level);
    say(b, device, body, wait);
}

static void say_at(struct bench *b, const char *device, double level, int64_t old_ms,
                   int64_t shift)
{
    say_after(b, device, level, old_ms, shift, MINUTE);
}

/* A step of ours is taken off whose clock did not make it; back-fill is not news for it. */
static void late_is_late_although_our_clock_was_set_ahead(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    int64_t step = 40 * (int64_t)MINUTE;
    b->wall_shift = step;
    tick(b, SECOND);
    say_at(b, "d1", 0.1, 0, step);
    say_at(b, "d1", 0.93, 30 * 60000, step);
    assert_null(last_of(b, SAW_TRANSITION));
    bench_free(b);
    for (step = 5 * (int64_t)MINUTE; step < 60 * (int64_t)MINUTE; step *= 9) {
        b = bench_of(conf_text);
        say_at(b, "d1", 0.1, 0, 0);
        b->wall_shift = step;
        tick(b, SECOND);
        say_at(b, "d1", 0.93, 0, 0); /* agrees still, or is off */
        assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
        assert_null(strstr(last_of(b, SAW_TRANSITION)->text, "\"late\":true"));
        bench_free(b);
    }
}

/* Nor is it late by our step whose clock was right all along: what it had kept is no news. */
static void old_news_of_a_clock_that_was_right_before_ours(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    int64_t step = 5 * (int64_t)MINUTE;
    say_at(b, "d1", 0.1, 0, step);
    b->wall_shift = step;
    tick(b, SECOND);
    say_at(b, "d1", 0.93, 0, step);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    say_at(b, "d1", 0.1, 4 * 60000, step);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    bench_free(b);
}

/* Who lags is forgiven as much as it lags, now more and now less: nothing it says is older than before. */
static void a_lag_that_changes(void **state)
{
    (void)state;
    for (int64_t less = 0; less < 60; less += 2) {
        struct bench *b = bench_of(conf_text);
        int64_t step = (int64_t)MINUTE;
        say_at(b, "d1", 0.1, less * 1000 + 1000, step);
        b->wall_shift = step;
        tick(b, SECOND);
        say_after(b, "d1", 0.1, less * 1000 + 1000, step, 10 * SECOND);
        say_after(b, "d1", 0.93, less * 1000, step, 2 * SECOND);
        assert_non_null(last_of(b, SAW_TRANSITION));
        say_after(b, "d1", 0.1, less * 1000 + 1000, step, 2 * SECOND);
        assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_CLEARED);
        bench_free(b);
    }
}

/* One without a time, and one whose time nobody believes, in one message: the second is not older. */
static void receipt_is_receipt(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    for (unsigned i = 0; i < 10; i++) {
        say(b, "d1", "[{\"pump_on\":false},{\"ts\":86400000,\"level\":0.93}]", MINUTE + 100000);
        assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
        say(b, "d1", "{\"level\":0.1}", MINUTE + 100000);
        assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_CLEARED);
    }
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_news_of_a_clock_that_was_right_before_ours),
        cmocka_unit_test(a_lag_that_changes),
        cmocka_unit_test(receipt_is_receipt),
        cmocka_unit_test(from_sample_to_transition),
        cmocka_unit_test(two_messages_of_one_time),
        cmocka_unit_test(two_messages_and_two_clocks),
        cmocka_unit_test(late_is_late_although_our_clock_was_never_set),
        cmocka_unit_test(late_is_late_although_our_clock_was_set_ahead),
        cmocka_unit_test(timers_between_records),
        cmocka_unit_test(commands),
        cmocka_unit_test(retained_and_reinjected),
        cmocka_unit_test(the_other_lane),
        cmocka_unit_test(silence_and_downtime),
        cmocka_unit_test(who_does_not_listen),
        cmocka_unit_test(too_many_to_watch),
        cmocka_unit_test(who_could_not_listen_before),
        cmocka_unit_test(without_a_broker_nobody_is_absent),
        cmocka_unit_test(who_is_concerned_no_more_may_be_away),
        cmocka_unit_test(what_cannot_be_delivered),
        cmocka_unit_test(pitfall_23_silence_has_the_key_of_its_rule),
        cmocka_unit_test(pitfall_25_no_sample_costs_a_write),
        cmocka_unit_test(open_cases_each_minute),
        cmocka_unit_test(the_man_page_is_right),
        cmocka_unit_test(a_rule_vanishes),
        cmocka_unit_test(what_a_reload_makes_life_safety),
        cmocka_unit_test(a_device_goes_to_the_other_lane),
        cmocka_unit_test(old_news_of_a_clock_that_was_never_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
