/* SPDX-License-Identifier: Apache-2.0 */
/* engine: Sparkplug's births are state of the engine: data by alias need them, also after a
 * restart; data without them ask for them. */
#include "engine_rig.h"

#include "core/engine_recall.h"

static const char profile[] =
    "version: 1\nprofile: trap\n"
    "topics: [\"spBv1.0/{group}/{type}/{node}\", \"spBv1.0/{group}/{type}/{node}/{dev}\"]\n"
    "decode: sparkplug-b\n"
    "messages:\n"
    "  - topic: \"spBv1.0/{group}/{type}/{node}/{dev}\"\n"
    "    when: {topic.type: [DBIRTH, DDATA]}\n"
    "    device: \"{dev}\"\n"
    "    time: $.timestamp\n"
    "    values: {level: $.values.level, starts: '$.values[\"Pump/Starts\"]'}\n"
    "  - {ignore: birth}\n";

static unsigned rebirths;
static unsigned broker_of_main; /* its number in the world in use */

static void on_rebirth(void *ctx, unsigned broker, const char *topic, size_t len)
{
    (void)ctx;
    assert_int_equal(broker, broker_of_main);
    assert_true(len > 8 && memcmp(topic, "spBv1.0/", 8) == 0);
    rebirths++;
}

struct bytes {
    char p[1024];
    size_t n;
};

static void varint(struct bytes *b, uint64_t v)
{
    for (; v > 127; v >>= 7)
        b->p[b->n++] = (char)(v | 128);
    b->p[b->n++] = (char)v;
}

static void number(struct bytes *b, unsigned field, uint64_t v)
{
    varint(b, field << 3);
    varint(b, v);
}

static void begin(struct bytes *b, uint64_t ms, unsigned seq)
{
    b->n = 0;
    number(b, 1, ms);
    number(b, 3, seq);
}

/* A metric of datatype Int64 (4); name NULL: by alias only. */
static void metric(struct bytes *b, const char *name, unsigned alias, uint64_t v)
{
    struct bytes m = {.n = 0};
    if (name) {
        varint(&m, 1 << 3 | 2);
        varint(&m, strlen(name));
        memcpy(m.p + m.n, name, strlen(name));
        m.n += strlen(name);
    }
    if (alias)
        number(&m, 2, alias);
    if (name)
        number(&m, 4, 4);
    number(&m, 11, v);
    varint(b, 2 << 3 | 2);
    varint(b, m.n);
    memcpy(b->p + b->n, m.p, m.n);
    b->n += m.n;
}

static void publish_as(struct rig *r, enum record_type type, const char *topic,
                       const struct bytes *b)
{
    struct record rec = base(r, type);
    memcpy(r->room, b->p, b->n);
    rec.broker = type == RECORD_REINJECT ? 255 : (uint8_t)broker_of_main;
    rec.topic = topic;
    rec.topic_len = strlen(topic);
    rec.body = r->room;
    rec.body_len = b->n;
    rec.messages = ++r->messages;
    give(r, &rec);
    balanced(r);
}

static void publish(struct rig *r, const char *topic, const struct bytes *b)
{
    publish_as(r, RECORD_MESSAGE, topic, b);
}

static void births(struct rig *r, uint64_t ms)
{
    struct bytes b;
    begin(&b, ms, 0);
    metric(&b, "bdSeq", 0, 0);
    publish(r, "spBv1.0/g/NBIRTH/n1", &b);
    begin(&b, ms, 1);
    metric(&b, "level", 7, 2);
    metric(&b, "Pump/Starts", 8, 40);
    publish(r, "spBv1.0/g/DBIRTH/n1/d1", &b);
}

static void data(struct rig *r, unsigned seq, unsigned alias, uint64_t v)
{
    struct bytes b;
    uint64_t ms = (uint64_t)(WALL0 + (int64_t)(r->ns + SECOND - BOOT0)) / 1000000;
    begin(&b, ms, seq);
    metric(&b, NULL, alias, v);
    publish(r, "spBv1.0/g/DDATA/n1/d1", &b);
}

static void sparkplug_engine(struct rig *r)
{
    engine_free(r->e);
    r->e = engine_new(&(struct engine_out){.ctx = r->seen,
                                           .point = on_point,
                                           .letter = on_letter,
                                           .step = on_step,
                                           .step_end = on_step_end,
                                           .rebirth = on_rebirth});
    engine_use(r->e, r->w);
}

#define CONF_OF(brokers)                                                                       \
    "gateway: {id: t, data_dir: /tmp/x}\nbrokers:\n" brokers                                   \
    "  - {id: main, url: mqtt://127.0.0.1:1883}\n"                                             \
    "sources:\n  - {profile: trap, broker: main}\n"                                            \
    "profiles: [trap.yaml]\ncatalog: catalog.yaml\n"                                           \
    "registry: {compounds: compounds.csv, devices: devices.csv}\n"

static void sparkplug_rig(struct rig *r)
{
    rig_conf = CONF_OF("");
    rig_profile = profile;
    broker_of_main = 0;
    rig_init(r);
    rig_conf = conf_text;
    rig_profile = NULL;
    sparkplug_engine(r);
    rebirths = 0;
}

static int keep(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void births_are_remembered(void **state)
{
    (void)state;
    struct rig r;
    struct buf b;
    sparkplug_rig(&r);
    births(&r, WALL0 / 1000000);
    assert_int_equal(r.seen->n, 1); /* a birth carries values, too */
    assert_non_null(strstr(r.seen->lines[0].text, "device=d1 level=2,starts=40i"));
    assert_int_equal(count(&r, "-", LEDGER_IGNORED_BIRTH), 1);
    data(&r, 2, 7, 3);
    assert_non_null(strstr(r.seen->lines[1].text, "device=d1 level=3 "));
    buf_init(&b, 4 << 20);
    assert_int_equal(engine_save(r.e, keep, &b), 0);
    sparkplug_engine(&r);
    assert_int_equal(engine_load(r.e, b.data, b.len), 0);
    data(&r, 3, 8, 41);
    assert_int_equal(r.seen->n, 3);
    assert_non_null(strstr(r.seen->lines[2].text, "device=d1 starts=41i "));
    assert_int_equal(rebirths, 0);
    for (size_t cut = b.len - 1; cut > b.len - 200; cut -= 7) /* births are at its end */
        assert_int_not_equal(engine_load(r.e, b.data, cut), 0);
    buf_done(&b);
    rig_done(&r);
}

struct heard {
    char text[200];
    size_t n;
};

static void hear(void *ctx, const struct recalled *v)
{
    struct heard *h = ctx;
    h->n += (size_t)snprintf(
        h->text + h->n, sizeof(h->text) - h->n, " %s=%lld", v->metric->name,
        (long long)(v->value.type == VALUE_INT ? v->value.i : (int64_t)v->value.f));
}

/* What d1 said in a DDATA of that content, by the births as they are. */
static void recalled_is(struct rig *r, struct bytes *b, const char *expected)
{
    struct engine_told told[ENGINE_MAX_TOLD];
    struct heard h = {.n = 0};
    struct record rec = {.type = RECORD_MESSAGE,
                         .engine_ns = r->ns,
                         .wall_ns = WALL0 + (int64_t)(r->ns - BOOT0),
                         .topic = "spBv1.0/g/DDATA/n1/d1",
                         .topic_len = 21,
                         .body_len = b->n};
    const struct device *d = registry_find(r->w->registry, "d1", 2);
    memset(b->p + b->n, 0, sizeof(b->p) - b->n);
    rec.body = b->p;
    assert_true(engine_told(r->e, d, told) == 1);
    struct recall *x = recall_new(r->e);
    if (recall_message(x, &rec))
        (void)recall_values(x, d, &told[0], hear, &h);
    recall_free(x);
    assert_string_equal(h.text, expected);
}

/* Data by alias are read once more by the births, and the sequence does not move. */
static void births_are_looked_at(void **state)
{
    (void)state;
    struct rig r;
    struct bytes b;
    struct buf before, after;
    sparkplug_rig(&r);
    births(&r, WALL0 / 1000000);
    begin(&b, (uint64_t)(WALL0 + (int64_t)(r.ns + SECOND - BOOT0)) / 1000000, 2);
    metric(&b, NULL, 7, 3);
    metric(&b, NULL, 8, 43);
    publish(&r, "spBv1.0/g/DDATA/n1/d1", &b);
    assert_non_null(strstr(r.seen->lines[r.seen->n - 1].text, "level=3,starts=43i "));
    buf_init(&before, 4 << 20);
    buf_init(&after, 4 << 20);
    assert_int_equal(engine_save(r.e, keep, &before), 0);
    recalled_is(&r, &b, " level=3 starts=43");
    recalled_is(&r, &b, " level=3 starts=43");
    assert_int_equal(engine_save(r.e, keep, &after), 0);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, after.len);
    data(&r, 3, 7, 4); /* no gap, no repeat */
    assert_int_equal(rebirths, 0);
    struct bytes death = {.n = 0};
    number(&death, 1, WALL0 / 1000000);
    metric(&death, "bdSeq", 0, 0);
    publish(&r, "spBv1.0/g/NDEATH/n1", &death);
    recalled_is(&r, &b, ""); /* nobody knows the aliases any more */
    buf_done(&before);
    buf_done(&after);
    rig_done(&r);
}

static void the_unborn_are_asked(void **state)
{
    (void)state;
    struct rig r;
    sparkplug_rig(&r);
    data(&r, 5, 7, 3); /* an alias that nobody explained */
    assert_int_equal(r.seen->n, 0);
    assert_int_equal(rebirths, 1);
    births(&r, WALL0 / 1000000);
    data(&r, 2, 7, 3);
    assert_int_equal(rebirths, 1);
    data(&r, 9, 7, 4); /* six are missing */
    assert_int_equal(rebirths, 2);
    struct engine_stats s;
    engine_stats(r.e, &s);
    assert_int_equal(s.rebirths, 2);
    rig_done(&r);
}

static void a_repeat_is_a_duplicate(void **state)
{
    (void)state;
    struct rig r;
    struct bytes b;
    sparkplug_rig(&r);
    births(&r, WALL0 / 1000000);
    begin(&b, WALL0 / 1000000 + 3000, 2);
    metric(&b, NULL, 7, 3);
    publish(&r, "spBv1.0/g/DDATA/n1/d1", &b);
    size_t n = r.seen->n;
    publish(&r, "spBv1.0/g/DDATA/n1/d1", &b);
    assert_int_equal(r.seen->n, n);
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE) + count(&r, "-", LEDGER_DUPLICATE), 1);
    rig_done(&r);
}

/* Another broker is written above theirs: the births are still its own. */
static void births_follow_their_broker(void **state)
{
    (void)state;
    struct rig r;
    sparkplug_rig(&r);
    births(&r, WALL0 / 1000000);
    rig_conf = CONF_OF("  - {id: first, url: mqtt://127.0.0.1:1884}\n");
    rig_profile = profile;
    struct world *w = world_of(devices_text);
    rig_conf = conf_text;
    rig_profile = NULL;
    engine_use(r.e, w);
    world_free(r.w);
    r.w = w;
    broker_of_main = 1;
    data(&r, 2, 7, 3);
    assert_int_equal(rebirths, 0);
    assert_int_equal(r.seen->n, 2);
    assert_non_null(strstr(r.seen->lines[1].text, "device=d1 level=3 "));
    rig_done(&r);
}

/* d9 spoke by alias before the registry knew it. What the quarantine kept of that is read by the births
 * that came meanwhile, however often it is tried, and the node's session does not move. */
static void the_adopted_have_a_past(void **state)
{
    (void)state;
    static const char known[] = "device,source_id,kind,compound,building\n"
                                "d1,eui-1,sump,c1,3\nd9,eui-9,sump,c1,5\n";
    struct rig r;
    struct bytes birth, past;
    sparkplug_rig(&r);
    births(&r, WALL0 / 1000000);
    begin(&birth, WALL0 / 1000000, 2);
    metric(&birth, "level", 7, 1);
    publish(&r, "spBv1.0/g/DBIRTH/n1/d9", &birth);
    begin(&past, WALL0 / 1000000 + 4000, 3);
    metric(&past, NULL, 7, 3);
    publish(&r, "spBv1.0/g/DDATA/n1/d9", &past);
    assert_int_equal(r.seen->n_letters, 2);
    publish_as(&r, RECORD_REINJECT, "spBv1.0/g/DBIRTH/n1/d9", &birth); /* too early */
    publish_as(&r, RECORD_REINJECT, "spBv1.0/g/DDATA/n1/d9", &past);
    assert_int_equal(count(&r, "-", LEDGER_AGAIN_QUARANTINED), 2);
    rig_conf = CONF_OF("");
    rig_profile = profile;
    struct world *w = world_of(known);
    rig_conf = conf_text;
    rig_profile = NULL;
    engine_use(r.e, w);
    world_free(r.w);
    r.w = w;
    size_t n = r.seen->n;
    publish_as(&r, RECORD_REINJECT, "spBv1.0/g/DDATA/n1/d9", &past);
    assert_int_equal(r.seen->n, n + 1);
    assert_non_null(strstr(r.seen->lines[n].text, "device=d9 level=3 1795219204000000000"));
    data(&r, 4, 8, 41); /* no gap */
    assert_int_equal(rebirths, 0);
    rig_done(&r);
}

/* A session of before is read by its own births, the one of now goes on by its own. */
static void each_session_has_its_births(void **state)
{
    (void)state;
    struct rig r;
    struct bytes b;
    sparkplug_rig(&r);
    births(&r, WALL0 / 1000000);
    begin(&b, WALL0 / 1000000 - 9000, 0);
    metric(&b, "bdSeq", 0, 5);
    publish_as(&r, RECORD_REINJECT, "spBv1.0/g/NBIRTH/n1", &b);
    begin(&b, WALL0 / 1000000 - 9000, 1);
    metric(&b, "Pump/Starts", 7, 30);
    publish_as(&r, RECORD_REINJECT, "spBv1.0/g/DBIRTH/n1/d1", &b);
    begin(&b, WALL0 / 1000000 - 8000, 2);
    metric(&b, NULL, 7, 31);
    publish_as(&r, RECORD_REINJECT, "spBv1.0/g/DDATA/n1/d1", &b);
    assert_non_null(strstr(r.seen->lines[r.seen->n - 1].text, "device=d1 starts=31i "));
    data(&r, 2, 7, 4);
    assert_non_null(strstr(r.seen->lines[r.seen->n - 1].text, "device=d1 level=4 "));
    assert_int_equal(rebirths, 0);
    rig_done(&r);
}

/* The first source looks into the message and leaves it to the second: that moves no sequence twice,
 * so the second sees data and no repeat. */
static const char looks_only[] = "version: 1\nprofile: looks\n"
                                 "topics: [\"spBv1.0/{group}/{type}/{node}/{dev}\"]\n"
                                 "decode: sparkplug-b\n"
                                 "messages:\n"
                                 "  - {when: {$.seq: 255}, ignore: log}\n";

static void two_sources_of_one_topic(void **state)
{
    (void)state;
    struct rig r;
    sparkplug_rig(&r);
    rig_conf = "gateway: {id: t, data_dir: /tmp/x}\n"
               "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
               "sources:\n  - {profile: looks, broker: main}\n"
               "  - {profile: trap, broker: main}\n"
               "profiles: [looks.yaml, trap.yaml]\ncatalog: catalog.yaml\n"
               "registry: {compounds: compounds.csv, devices: devices.csv}\n";
    rig_profile = looks_only;
    rig_profile2 = profile;
    struct world *w = world_of(devices_text);
    rig_conf = conf_text;
    rig_profile = rig_profile2 = NULL;
    engine_use(r.e, w);
    world_free(r.w);
    r.w = w;
    births(&r, WALL0 / 1000000);
    data(&r, 2, 7, 3);
    data(&r, 3, 8, 41);
    assert_int_equal(count(&r, "c1", LEDGER_DUPLICATE) + count(&r, "-", LEDGER_DUPLICATE), 0);
    assert_int_equal(r.seen->n, 3);
    assert_non_null(strstr(r.seen->lines[1].text, "device=d1 level=3 "));
    assert_non_null(strstr(r.seen->lines[2].text, "device=d1 starts=41i "));
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(births_are_remembered),
        cmocka_unit_test(births_are_looked_at),
        cmocka_unit_test(the_unborn_are_asked),
        cmocka_unit_test(a_repeat_is_a_duplicate),
        cmocka_unit_test(births_follow_their_broker),
        cmocka_unit_test(the_adopted_have_a_past),
        cmocka_unit_test(each_session_has_its_births),
        cmocka_unit_test(two_sources_of_one_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
