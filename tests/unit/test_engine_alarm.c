/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine and alarms together: rules from a file, devices' messages as records, and what comes out
 * of it: transitions, replies, points, each at its position; the same in every replay.
 */
#include "unit.h"

#include "base/mem.h"
#include "core/engine.h"
#include "core/lineproto.h"
#include "io/image.h"
#include "small_world.h"

#include <errno.h>

#define SECOND   UINT64_C(1000000000)
#define MINUTE   (60 * SECOND)
#define WALL0    INT64_C(1795219200000000000) /* 2026-11-21T00:00:00Z */
#define BOOT0    (5000 * SECOND)
#define MAX_RECS 4096
#define MAX_SEEN 16384

static const char conf_text[] = "gateway: {id: cq, data_dir: /tmp/x, language: zh}\n"
                                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                                "catalog: catalog.yaml\nalerts: {broker: main}\n"
                                "registry: {compounds: compounds.csv, devices: d.csv}\n";
static const char ls_conf_text[] =
    "gateway: {id: cq, data_dir: /tmp/x, language: zh, lane: life-safety}\n"
    "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
    "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
    "catalog: catalog.yaml\nregistry: {compounds: compounds.csv, devices: d.csv}\n";
static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "  smoke:\n    zh: 烟感\n    en: Smoke\n    life_safety: true\n    metrics:\n"
    "      alarm: {type: bool, zh: 火警, en: Alarm}\n";
static const char compounds_text[] =
    "compound,name,district,street,community,grid,firm\n"
    "qby,桥北苑,nanan,lmh,sxj,g1,f1\nc2,二村,nanan,lmh,sxj,g2,f2\n";
static const char devices_text[] =
    "device,kind,compound,building,expected_interval\n"
    "d1,sump,qby,3,1m\nd2,sump,qby,4,1m\nd3,sump,c2,1,1m\ns1,smoke,qby,3,1h\n";
static const char rules_text[] =
    "version: 1\ngroups:\n  - name: 排水\n    rules:\n"
    "      - id: sump-high\n        kind: sump\n        title: 集水井水位过高\n"
    "        action: 检查潜水泵与浮球\n        work: none\n"
    "        levels:\n"
    "          - {severity: major, when: level > 0.8, off: level < 0.6, for: 0s, off_for: 0s}\n"
    "          - {severity: critical, when: level > 1.2, off: level < 1.0, for: 0s, off_for: "
    "0s}\n"
    "        no_data: {after: 10m, policy: keep}\n"
    "        flapping: off\n"
    "      - id: pump-on\n        kind: sump\n        title: 水泵长时间运行\n"
    "        action: 查\n        work: ack\n        mode: hold\n        fresh: 1h\n"
    "        levels: [{severity: minor, when: pump_on, for: 5m}]\n"
    "        no_data: {after: 20m, policy: alert, severity: warning}\n"
    "      - id: fire\n        kind: smoke\n        title: 火警\n        action: 疏散\n"
    "        work: full\n"
    "        levels: [{severity: critical, when: alarm}]\n"
    "        no_data: {after: 25h, policy: keep}\n";

enum saw { SAW_POINT, SAW_TRANSITION, SAW_REPLY };

struct seen {
    enum saw what;
    struct position at;
    char *text; /* all bytes of it */
    enum case_change change;
    enum case_answer answer;
    char id[CASE_ID_MAX];
    bool deliver, closed, urgent;
};

struct kept { /* a record that can be given again */
    struct record r;
    char *topic, *body;
    uint64_t tick;           /* 0, or a live tick behind it */
    const struct world *use; /* engine_use behind it */
};

struct bench {
    struct engine *e;
    struct world *w, *other; /* other: a generation that random tests change to and from */
    const struct world *now;
    struct seen seen[MAX_SEEN];
    size_t n;
    struct position at;
    bool in_step;
    struct kept recs[MAX_RECS];
    size_t n_recs;
    uint64_t ns, offset, messages;
    int64_t wall_shift;
};

static const char *compounds = compounds_text;

static struct world *world_of(const char *conf, const char *rows, const char *rules)
{
    struct world *w =
        small_world(&(struct small_world){conf, catalog_text, compounds, rows, .rules = rules});
    assert_non_null(w);
    return w;
}

static struct seen *see(struct bench *b, enum saw what, const char *text, size_t len)
{
    assert_true(b->in_step); /* nothing comes between steps */
    assert_true(b->n < MAX_SEEN);
    struct seen *s = &b->seen[b->n++];
    *s = (struct seen){.what = what, .at = b->at, .text = mem_strndup(text, len)};
    return s;
}

static void on_step(void *ctx, const struct position *at)
{
    struct bench *b = ctx;
    assert_false(b->in_step);
    assert_true(position_cmp(&b->at, at) < 0);
    b->at = *at;
    b->in_step = true;
}

static void on_step_end(void *ctx, const struct position *at)
{
    struct bench *b = ctx;
    assert_true(b->in_step);
    assert_int_equal(position_cmp(&b->at, at), 0);
    b->in_step = false;
}

static void on_point(void *ctx, const struct point *p)
{
    struct lineproto_refused refused = {0};
    struct buf line;
    buf_init(&line, 65536);
    assert_int_equal(lineproto_put(&line, LINEPROTO_INFLUX, p, &refused), 0);
    assert_true(strncmp(p->series, "gaihou_alert", 12) != 0 || p->class_ == POINT_KEEP);
    see(ctx, SAW_POINT, line.data, line.len - 1);
    buf_done(&line);
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    (void)ctx;
    assert_string_equal(l->reason, "unknown_device"); /* of another generation */
}

static void on_transition(void *ctx, const struct transition *t)
{
    struct seen *s = see(ctx, SAW_TRANSITION, t->json, t->json_len);
    s->change = t->change;
    s->deliver = t->deliver;
    s->closed = t->closed;
    s->urgent = t->urgent;
    snprintf(s->id, sizeof(s->id), "%s", t->case_id);
}

static void on_reply(void *ctx, const struct case_reply *r)
{
    see(ctx, SAW_REPLY, r->json, r->json_len)->answer = r->answer;
}

static struct engine *engine_of(struct bench *b)
{
    return engine_new(&(struct engine_out){.ctx = b,
                                           .point = on_point,
                                           .letter = on_letter,
                                           .step = on_step,
                                           .step_end = on_step_end,
                                           .transition = on_transition,
                                           .reply = on_reply});
}

static void forget_seen(struct bench *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->seen[i].text);
    b->n = 0;
}

/* -- records --------------------------------------------------------------------------------- */

static void give(struct bench *b, enum record_type type, const char *topic, const void *body,
                 size_t len, unsigned flags, uint64_t after_ns)
{
    assert_true(b->n_recs < MAX_RECS);
    struct kept *k = &b->recs[b->n_recs++];
    char *room = mem_zalloc(len + RECORD_READABLE);
    memcpy(room, body, len);
    b->ns += after_ns;
    *k = (struct kept){.topic = mem_strdup(topic), .body = room};
    k->r = (struct record){.type = type,
                           .flags = (uint8_t)flags,
                           .broker = type == RECORD_MESSAGE || type == RECORD_LINK_UP ? 0 : 255,
                           .packet_id =
                               type == RECORD_MESSAGE ? (uint16_t)(b->messages % 60000 + 1) : 0,
                           .engine_ns = b->ns,
                           .wall_ns = WALL0 + (int64_t)(b->ns - BOOT0) + b->wall_shift,
                           .messages = b->messages += type == RECORD_MESSAGE,
                           .topic = k->topic,
                           .topic_len = strlen(topic),
                           .body = k->body,
                           .body_len = len,
                           .offset = b->offset,
                           .end = b->offset + 256};
    b->offset += 256;
    engine_record(b->e, &k->r);
}

static void say(struct bench *b, const char *device, const char *body, uint64_t after_ns)
{
    char topic[64];
    snprintf(topic, sizeof(topic), "gaihou/v1/up/%s/%s",
             strcmp(device, "d3") == 0 ? "c2" : "qby", device);
    give(b, RECORD_MESSAGE, topic, body, strlen(body), 1, after_ns);
}

static void tick(struct bench *b, uint64_t after_ns)
{
    b->ns += after_ns;
    engine_tick(b->e, b->ns);
    b->recs[b->n_recs - 1].tick = b->ns;
}

static void order(struct bench *b, const char *topic, const char *payload,
                  const char *correlation, unsigned flags)
{
    struct buf body;
    struct case_command c = {.payload = payload,
                             .payload_len = strlen(payload),
                             .correlation = correlation,
                             .correlation_len = strlen(correlation)};
    buf_init(&body, 65536);
    assert_int_equal(case_command_put(&c, &body), 0);
    give(b, RECORD_COMMAND, topic, body.data, body.len, flags, SECOND);
    buf_done(&body);
}

static struct bench *bench_of(const char *conf)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    b->ns = BOOT0;
    b->offset = 4096;
    b->w = world_of(conf, devices_text, rules_text);
    b->e = engine_of(b);
    engine_use(b->e, b->w);
    b->now = b->w;
    give(b, RECORD_START, "", "\0\0\0\0\0\0\0\0", 8, 0, SECOND);
    give(b, RECORD_STREAM, "", "cq/all/7", 8, 0, SECOND);
    give(b, RECORD_LINK_UP, "", "\0", 1, 0, SECOND);
    return b;
}

static void bench_free(struct bench *b)
{
    forget_seen(b);
    for (size_t i = 0; i < b->n_recs; i++) {
        free(b->recs[i].topic);
        free(b->recs[i].body);
    }
    engine_free(b->e);
    world_free(b->w);
    world_free(b->other);
    free(b);
}

static const struct seen *last_of(const struct bench *b, enum saw what)
{
    for (size_t i = b->n; i-- > 0;)
        if (b->seen[i].what == what)
            return &b->seen[i];
    return NULL;
}

static size_t count_of(const struct bench *b, enum saw what, const char *with)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->seen[i].what == what && strstr(b->seen[i].text, with);
    return n;
}

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
    uint64_t ran_to;
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    tick(b, 12 * MINUTE);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    assert_int_equal(t->change, CASE_STALE);
    assert_non_null(strstr(t->text, "\"condition\":\"active\",\"quality\":\"stale\""));
    bench_free(b);

    b = bench_of(conf_text);
    say(b, "d1", "{\"level\":0.5}", MINUTE);
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    ran_to = b->ns + SECOND;
    size_t n = b->n;
    give(b, RECORD_START, "", &ran_to, sizeof(ran_to), 0, 120 * MINUTE);
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

/* -- the same again -------------------------------------------------------------------------- */

static int append(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void save(const struct engine *e, struct buf *out)
{
    buf_init(out, 64 << 20);
    assert_int_equal(engine_save(e, append, out), 0);
}

/* Another firm, another compound, no d2, a rule less, other limits. */
static struct world *another_world(void)
{
    char rules[4096];
    static const char rows[] = "device,kind,compound,building,expected_interval\n"
                               "d1,sump,qby,3,1m\nd3,sump,c2,1,1m\ns1,smoke,qby,3,1h\n";
    snprintf(rules, sizeof(rules), "%s", rules_text);
    memcpy(strstr(rules, "pump-on"), "pump-no", 7);
    memcpy(strstr(rules, "level > 0.8"), "level > 0.7", 11);
    compounds = "compound,name,firm,merged_into\nqby,桥北苑,f9,\nc2,二村,f2,qby\n";
    struct world *w = world_of(conf_text, rows, rules);
    compounds = compounds_text;
    return w;
}

static void random_record(struct bench *b, uint64_t *seed)
{
    static const char *const devices[] = {"d1", "d2", "d3", "s1"};
    static const char *const verbs[] = {"ack",      "accept",   "arrive",  "resolve",
                                        "confirm",  "feedback", "close",   "shelve",
                                        "unshelve", "reset",    "transfer"};
    char body[160], topic[300];
    uint64_t r = unit_random(seed), pause = (unit_random(seed) % 90 + 1) * SECOND;
    const char *d = devices[r % 4];
    const struct seen *t = last_of(b, SAW_TRANSITION);
    unsigned what = (unsigned)(r >> 8) % 100;
    if (what < 60) {
        if (d[0] == 's')
            snprintf(body, sizeof(body), "{\"alarm\":%s}", r >> 20 & 1 ? "true" : "false");
        else if (r >> 21 & 1)
            snprintf(body, sizeof(body), "{\"level\":%.2f,\"pump_on\":%s}",
                     (double)(r >> 24 & 0xff) / 160, r >> 22 & 1 ? "true" : "false");
        else
            snprintf(body, sizeof(body), "{\"ts\":%lld,\"level\":%.2f}",
                     (long long)((WALL0 + (int64_t)(b->ns + pause - BOOT0)) / 1000000) -
                         (long long)(r >> 32 & 0x3ffff),
                     (double)(r >> 24 & 0xff) / 160);
        say(b, d, body, pause);
    } else if (what < 75) {
        tick(b, pause * 4);
    } else if (what < 90 && t) {
        snprintf(topic, sizeof(topic), "%s/%s/%s/%s", r >> 20 & 1 ? "f1" : "-",
                 r >> 20 & 1 ? "qby" : "-", t->id, verbs[(r >> 30) % 11]);
        snprintf(body, sizeof(body), "{\"by\":\"p%d\",\"to\":\"x\"%s}", (int)(r >> 40 & 3),
                 r >> 45 & 1 ? ",\"for\":\"10m\"" : "");
        order(b, topic, body, r >> 50 & 1 ? "c" : "", 1);
    } else if (what < 92) {
        order(b, "-/-/compound/qby/test", "{\"for\":\"20m\"}", "", 1);
    } else if (what < 95) {
        give(b, RECORD_PRESENCE, "f1", r >> 20 & 1 ? "online" : "offline", r >> 20 & 1 ? 6 : 7,
             0, pause);
    } else if (what < 97) {
        uint64_t ran_to = b->ns + SECOND;
        give(b, RECORD_START, "", &ran_to, sizeof(ran_to), 0, pause * 30 + 2 * SECOND);
        give(b, RECORD_LINK_UP, "", "\1", 1, 0, SECOND);
    } else if (what < 98) {
        give(b, RECORD_LINK_DOWN, "", "x", 1, 0, pause);
        give(b, RECORD_LINK_UP, "", "\1", 1, 0, pause * 8);
    } else if (what < 99) {
        give(b, RECORD_GENERATION, "", "world", 5, 0, pause);
        b->now = b->now == b->w ? b->other : b->w;
        b->recs[b->n_recs - 1].use = b->now;
        engine_use(b->e, b->now);
    } else {
        b->wall_shift += (int64_t)((r >> 20) % 7200) * 1000000000 - 3600 * (int64_t)SECOND;
        give(b, RECORD_STATS, "", "", 0, 0, pause);
    }
}

/* Gives the records from `from` on to another engine, as a replay does: live ticks leave no record,
 * so those that fired nothing before the next record are not known. */
static void replay(struct bench *to, const struct bench *of, size_t from, bool ticks)
{
    for (size_t i = from; i < of->n_recs; i++) {
        engine_record(to->e, &of->recs[i].r);
        if (of->recs[i].use)
            engine_use(to->e, of->recs[i].use);
        if (ticks && of->recs[i].tick)
            engine_tick(to->e, of->recs[i].tick);
    }
    engine_tick(to->e, of->ns);
}

static void same_output(const struct bench *a, const struct bench *b,
                        const struct position *after)
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a->n && position_cmp(&a->seen[i].at, after) <= 0)
            i++;
        while (k < b->n && position_cmp(&b->seen[k].at, after) <= 0)
            k++;
        if (i == a->n || k == b->n)
            break;
        if (strcmp(a->seen[i].text, b->seen[k].text) != 0 ||
            position_cmp(&a->seen[i].at, &b->seen[k].at) != 0)
            fail_msg("live:   %s\nreplay: %s", a->seen[i].text, b->seen[k].text);
        i++;
        k++;
    }
    assert_true(i == a->n && k == b->n);
}

static void same_state(const struct engine *a, const struct engine *b)
{
    struct buf x, y;
    save(a, &x);
    save(b, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_done(&x);
    buf_done(&y);
}

static int save_image(const void *engine, image_put_fn *put, void *ctx)
{
    return engine_save(engine, put, ctx);
}

/* Read at the very end, after all that the engine did since: it is what was saved then. */
static void image_is(struct image *i, const struct buf *was)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    assert_int_equal(image_read(i, append, &b), 0);
    assert_int_equal(b.len, was->len);
    assert_memory_equal(b.data, was->data, b.len);
    buf_done(&b);
    image_free(i);
}

/* What is counted of alarms, /metrics say: the same whatever was replayed. */
static void same_counts(const struct engine *a, const struct engine *b)
{
    struct alarm_stats x, y;
    struct cases_stats p, q;
    alarm_stats(engine_alarm(a), &x);
    alarm_stats(engine_alarm(b), &y);
    cases_stats(engine_cases(a), &p);
    cases_stats(engine_cases(b), &q);
    assert_true(x.samples > 0 && x.evaluations > 0 && p.transitions > 0);
    assert_memory_equal(&x, &y, sizeof(x));
    assert_memory_equal(&p, &q, sizeof(p));
}

/* Live with ticks and a snapshot in the middle; then from the snapshot, and from the beginning,
 * without any tick: every byte is the same. */
static void replay_is_live(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    size_t transitions = 0, replies = 0;
    for (int round = 0; round < 30; round++) {
        struct bench *b = bench_of(conf_text), *again = mem_zalloc(sizeof(*again));
        struct buf snapshot;
        size_t at = 0, n = 150 + unit_random(&seed) % 150, half = unit_random(&seed) % n;
        struct position where = {0};
        const struct world *stood = b->w;
        struct image *image = NULL;
        int why;
        b->other = another_world();
        buf_init(&snapshot, 1);
        for (size_t i = 0; i < n; i++) {
            if (i == half) {
                buf_done(&snapshot);
                save(b->e, &snapshot);
                assert_int_equal(image_take(save_image, b->e, &why, &image), 0);
                at = b->n_recs;
                where = engine_position(b->e);
                stood = b->now;
            }
            random_record(b, &seed);
        }
        engine_tick(b->e, b->ns);
        image_is(image, &snapshot);
        transitions += count_of(b, SAW_TRANSITION, "");
        replies += count_of(b, SAW_REPLY, "");

        again->e = engine_of(again);
        engine_use(again->e, stood);
        assert_int_equal(engine_load(again->e, snapshot.data, snapshot.len), 0);
        again->at = where;
        struct buf saved_again;
        save(again->e, &saved_again);
        assert_int_equal(saved_again.len, snapshot.len);
        assert_memory_equal(saved_again.data, snapshot.data, snapshot.len);
        buf_done(&saved_again);
        replay(again, b, at, false);
        same_counts(b->e, again->e);
        same_output(b, again, &where);
        same_state(b->e, again->e);
        engine_free(again->e);

        forget_seen(again);
        again->at = (struct position){0};
        again->e = engine_of(again);
        engine_use(again->e, b->w);
        replay(again, b, 0, round & 1);
        same_output(b, again, &(struct position){0});
        same_state(b->e, again->e);
        engine_free(again->e);
        forget_seen(again);
        free(again);
        buf_done(&snapshot);
        bench_free(b);
    }
    print_message("%zu transitions, %zu replies\n", transitions, replies);
    assert_true(transitions > 1000 && replies > 300);
}

/* What version 2 wrote knew no alarms: they begin as new, and what holds is told again by the next
 * sample. */
static void a_snapshot_without_alarms(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    struct buf s;
    uint64_t version = 2;
    say(b, "d1", "{\"level\":0.5}", MINUTE);
    save(b->e, &s);
    /* no listeners, no rows, none of the counters; and no shift */
    const char *counters = memmem(s.data, s.len, "\7records", 8);
    assert_non_null(counters);
    size_t kept = (size_t)(counters - s.data) - 16;
    memmove(s.data + kept, s.data + s.len - 8, 8);
    memcpy(s.data + 8, &version, 8);
    struct engine *old = b->e;
    b->e = engine_of(b);
    engine_use(b->e, b->w);
    assert_int_equal(engine_load(b->e, s.data, kept + 8), 0);
    engine_free(old);
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    buf_done(&s);
    bench_free(b);
}

struct gen;
static unsigned built;
void __real_gen_build(struct gen *g, const struct world *w, uint64_t engine_ns,
                      int64_t wall_ms);
void __wrap_gen_build(struct gen *g, const struct world *w, uint64_t engine_ns,
                      int64_t wall_ms);
void __wrap_gen_build(struct gen *g, const struct world *w, uint64_t engine_ns, int64_t wall_ms)
{
    built++;
    __real_gen_build(g, w, engine_ns, wall_ms);
}

/* A million series take a second to make: a start makes them once. */
static void a_load_makes_series_once(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct bench *b = bench_of(conf_text);
    struct buf good;
    b->other = another_world();
    for (int i = 0; i < 200; i++)
        random_record(b, &seed);
    save(b->e, &good);
    struct engine *e = engine_of(b);
    engine_use(e, b->now);
    built = 0;
    assert_int_equal(engine_load(e, good.data, good.len), 0);
    assert_int_equal(built, 1);
    same_state(b->e, e);
    assert_int_equal(engine_load(e, good.data, good.len), 0); /* over another state, too */
    same_state(b->e, e);
    engine_free(e);
    buf_done(&good);
    bench_free(b);
}

/* What version 3 wrote knew no counters: they begin at 0, and all else goes on. */
static void a_snapshot_without_counters(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    struct buf s;
    uint64_t version = 3;
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    save(b->e, &s);
    char *from = memmem(s.data, s.len, "\7records", 8), *to = from - 8;
    uint64_t n = 0;
    memcpy(&n, from - 8, 8);
    for (uint64_t i = 0; i < n; i++)
        from += 1 + (unsigned char)*from + 8;
    size_t cut = (size_t)(from - to);
    memmove(to, from, (size_t)(s.data + s.len - from));
    memcpy(s.data + 8, &version, 8);
    struct engine *e = engine_of(b);
    struct engine_stats was, is;
    struct cases_stats cases;
    engine_stats(b->e, &was);
    engine_use(e, b->w);
    assert_int_equal(engine_load(e, s.data, s.len - cut), 0);
    engine_stats(e, &is);
    cases_stats(engine_cases(e), &cases);
    assert_true(was.records > 0 && is.records == 0 && is.points == 0);
    assert_int_equal(cases.transitions, 0);
    assert_int_equal(cases.open, 1);
    engine_free(e);
    buf_done(&s);
    bench_free(b);
}

/* Any cut or changed byte of the alarms' part is refused or read, never trusted. */
static void broken_snapshots(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct bench *b = bench_of(conf_text);
    struct buf good;
    b->other = another_world();
    for (int i = 0; i < 200; i++)
        random_record(b, &seed);
    save(b->e, &good);
    struct engine *e = engine_of(b);
    engine_use(e, b->now);
    char *bytes = mem_dup(good.data, good.len);
    for (size_t n = 0; n < good.len; n += 1 + good.len / 500)
        assert_int_equal(engine_load(e, bytes, n), -EBADMSG);
    for (int i = 0; i < 3000; i++) {
        size_t at = unit_random(&seed) % good.len;
        bytes[at] ^= (char)(1 << (unit_random(&seed) & 7));
        (void)engine_load(e, bytes, good.len);
        bytes[at] = good.data[at];
    }
    assert_int_equal(engine_load(e, bytes, good.len), 0);
    same_state(b->e, e);
    free(bytes);
    engine_free(e);
    buf_done(&good);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_sample_to_transition),
        cmocka_unit_test(timers_between_records),
        cmocka_unit_test(commands),
        cmocka_unit_test(retained_and_reinjected),
        cmocka_unit_test(the_other_lane),
        cmocka_unit_test(silence_and_downtime),
        cmocka_unit_test(who_does_not_listen),
        cmocka_unit_test(what_cannot_be_delivered),
        cmocka_unit_test(open_cases_each_minute),
        cmocka_unit_test(the_man_page_is_right),
        cmocka_unit_test(a_rule_vanishes),
        cmocka_unit_test(replay_is_live),
        cmocka_unit_test(a_snapshot_without_alarms),
        cmocka_unit_test(a_load_makes_series_once),
        cmocka_unit_test(a_snapshot_without_counters),
        cmocka_unit_test(broken_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
