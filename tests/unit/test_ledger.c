/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger: each class and reason is counted by a message of its kind, through the whole engine, and
 * both sums hold after each of them. Each column has its words in gaihou-schema(7).
 */
#include "engine_rig.h"

#include "core/profile.h"

#define D1 "gaihou/v1/up/c1/d1"

static uint64_t seen[LEDGER_N];

/* What the rig counted, and whether it adds up. */
static void add_up(struct rig *r)
{
    struct ledger_row total;
    balanced(r);
    ledger_total(engine_ledger(r->e), &total);
    for (int c = 0; c < LEDGER_N; c++)
        seen[c] += total.n[c];
}

static void open_rig(struct rig *r, const char *lane, const char *profile)
{
    char conf[1024];
    (void)snprintf(conf, sizeof(conf),
                   "gateway: {id: t, data_dir: /tmp/x, lane: %s}\n"
                   "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                   "sources:\n  - {profile: gaihou-json, broker: main}\n"
                   "%scatalog: catalog.yaml\n"
                   "registry: {compounds: compounds.csv, devices: devices.csv}\n",
                   lane,
                   profile ? "  - {profile: trap, broker: main}\nprofiles: [trap.yaml]\n" : "");
    rig_conf = conf;
    rig_profile = profile;
    rig_init(r);
    rig_conf = conf_text;
    rig_profile = NULL;
}

static void only(const struct rig *r, const struct ledger_row *before, enum ledger_count c,
                 const char *body)
{
    struct ledger_row after;
    ledger_total(engine_ledger(r->e), &after);
    balanced(r);
    for (int k = LEDGER_DECODED; k < LEDGER_POINTS_DECODED; k++)
        if (after.n[k] - before->n[k] != (k == (int)c))
            fail_msg("\"%.60s\": %s{%s} went up by %llu", body,
                     ledger_class((enum ledger_count)k), ledger_reason((enum ledger_count)k),
                     (unsigned long long)(after.n[k] - before->n[k]));
}

/* A letter that is taken up again, likewise. */
static void retaken(struct rig *r, enum ledger_count c, const char *topic, const char *body)
{
    struct ledger_row before;
    ledger_total(engine_ledger(r->e), &before);
    struct record again = base(r, RECORD_REINJECT);
    snprintf(r->room, 1 << 19, "%s", body);
    again.topic = topic;
    again.topic_len = strlen(topic);
    again.body = r->room;
    again.body_len = strlen(body);
    again.messages = ++r->messages;
    give(r, &again);
    only(r, &before, c, body);
}

/* One message, which counts under c and nowhere else. */
static void counts(struct rig *r, enum ledger_count c, const char *topic, const char *body,
                   unsigned flags)
{
    struct ledger_row before;
    ledger_total(engine_ledger(r->e), &before);
    message(r, topic, body, flags, (unsigned)(r->messages % 60000) + 1);
    only(r, &before, c, body);
}

static void natives_own(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, "all", NULL);
    counts(&r, LEDGER_DECODED, D1, "{\"ts\":1795219200000,\"level\":1}", 0);
    counts(&r, LEDGER_DUPLICATE, D1, "{\"ts\":1795219200000,\"level\":1}", 0);
    counts(&r, LEDGER_DECODED, D1, "{\"nothing\":1}", 0); /* refused, value by value */
    counts(&r, LEDGER_DECODED, D1, "{\"level\":null}", 0);
    counts(&r, LEDGER_QUARANTINED, "gaihou/v1/up/c1/nobody", "{\"level\":1}", 0);
    counts(&r, LEDGER_IGNORED_RETAINED, D1, "{\"level\":1}", RECORD_RETAIN);
    counts(&r, LEDGER_IGNORED_EMPTY, D1, "", 0);
    counts(&r, LEDGER_DEAD_NO_SOURCE, "elsewhere/d1", "{\"level\":1}", 0);
    counts(&r, LEDGER_DEAD_BAD_JSON, D1, "{\"level\":", 0);
    counts(&r, LEDGER_DEAD_BAD_JSON, D1, "17", 0); /* of another form */
    counts(&r, LEDGER_DEAD_OVERSIZED, D1, "{\"level\":", RECORD_CUT);
    struct buf many;
    buf_init(&many, 1 << 19);
    for (int i = 0; i < 5000; i++)
        (void)buf_puts(&many, i ? ",{\"level\":1}" : "[{\"level\":1}");
    (void)buf_putc(&many, ']');
    counts(&r, LEDGER_DEAD_TOO_MANY, D1, buf_cstr(&many), 0);
    buf_done(&many);
    engine_rot(r.e, r.offset, r.offset + 1000, 2);
    r.offset += 1000;
    r.messages += 2;
    retaken(&r, LEDGER_DECODED, D1, "{\"level\":3}");
    retaken(&r, LEDGER_AGAIN_DEAD, D1, "{\"level\":");
    retaken(&r, LEDGER_AGAIN_QUARANTINED, "gaihou/v1/up/c1/nobody", "{\"level\":3}");
    struct record own = base(&r, RECORD_STATS);
    own.body = "gaihou_gateway,gateway=t,lane=all\tlag_s=0.5\n";
    own.body_len = strlen(own.body);
    give(&r, &own);
    add_up(&r);
    rig_done(&r);
    open_rig(&r, "life-safety", NULL);
    counts(&r, LEDGER_OTHER_LANE, D1, "{\"level\":1}", 0);
    add_up(&r);
    rig_done(&r);
}

static void of_profiles(void **state)
{
    (void)state;
    static const enum ledger_count ignored[] = {
        LEDGER_IGNORED_DOWNLINK,  LEDGER_IGNORED_REPLY,     LEDGER_IGNORED_LOG,
        LEDGER_IGNORED_JOIN,      LEDGER_IGNORED_BIRTH,     LEDGER_IGNORED_CONFIG,
        LEDGER_IGNORED_TEST,      LEDGER_IGNORED_SIMULATED, LEDGER_IGNORED_STATUS,
        LEDGER_IGNORED_HEARTBEAT, LEDGER_IGNORED_STALE,     LEDGER_IGNORED_OTHER,
        LEDGER_IGNORED_EMPTY};
    struct rig r;
    struct buf text;
    char body[128];
    buf_init(&text, 16384);
    (void)buf_puts(&text, "version: 1\nprofile: trap\nkinds: [sump]\n"
                          "topics: [\"v/{what}\"]\ndevice: \"{$.d}\"\nmessages:\n");
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)buf_printf(&text, "  - {when: {$.k: %s}, ignore: %s}\n",
                         ledger_reason(ignored[i]), ledger_reason(ignored[i]));
    (void)buf_puts(&text, "  - {when: {$.k: broken}, refuse: says so itself}\n"
                          "  - {when: {$.k: pit}, point: \"{$.p}\", values: {level: $.n}}\n");
    open_rig(&r, "all", buf_cstr(&text));
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        (void)snprintf(body, sizeof(body), "{\"k\":\"%s\",\"d\":\"d1\"}",
                       ledger_reason(ignored[i]));
        counts(&r, ignored[i], "v/x", body, 0);
    }
    counts(&r, LEDGER_DEAD_REFUSED, "v/x", "{\"k\":\"broken\"}", 0);
    counts(&r, LEDGER_DEAD_NO_MESSAGE, "v/x", "{\"k\":\"what\"}", 0);
    counts(&r, LEDGER_DEAD_NO_DEVICE, "v/x", "{\"k\":\"pit\",\"p\":\"a\",\"n\":1}", 0);
    for (int i = 0; i <= ENGINE_MAX_POINTS; i++) {
        (void)snprintf(body, sizeof(body), "{\"k\":\"pit\",\"d\":\"d1\",\"p\":\"p%d\",\"n\":1}",
                       i);
        counts(&r, i < ENGINE_MAX_POINTS ? LEDGER_DECODED : LEDGER_DEAD_TOO_MANY, "v/x", body,
               0);
    }
    add_up(&r);
    rig_done(&r);
    buf_done(&text);
    open_rig(&r, "all",
             "version: 1\nprofile: trap\nkinds: [sump]\ntopics: [\"v/{device}\"]\n"
             "device: \"{device}\"\n"
             "codecs:\n  two:\n    struct:\n      - {name: t, type: i16be, divide: 10}\n"
             "decode: [hex, {frame: {head: \"4040\", tail: \"2323\", checksum: sum8, over: "
             "[0, -3], at: -3}}, two]\n"
             "messages:\n  - values: {level: $.t}\n");
    counts(&r, LEDGER_DEAD_BAD_PAYLOAD, "v/d1", "zz", 0);
    counts(&r, LEDGER_DEAD_BAD_CHECKSUM, "v/d1", "404000DB5C2323", 0);
    add_up(&r);
    rig_done(&r);
}

static void every_column_was_counted(void **state)
{
    (void)state;
    for (int c = 0; c < LEDGER_N; c++) {
        bool nobodys = c == LEDGER_DEAD_BAD_SHAPE; /* core/ledger.h says why it is there */
        if ((seen[c] == 0) != nobodys)
            fail_msg("%s{%s} was counted %llu times", ledger_class((enum ledger_count)c),
                     ledger_reason((enum ledger_count)c), (unsigned long long)seen[c]);
    }
}

static void the_manual_has_every_column(void **state)
{
    (void)state;
    FILE *f = fopen("daemon/man/gaihou-schema.7", "rbe");
    if (!f)
        fail_msg("cannot open daemon/man/gaihou-schema.7: run from the top of the tree");
    char *page = mem_zalloc(1 << 20), column[80];
    assert_true(fread(page, 1, (1 << 20) - 1, f) > 1000);
    (void)fclose(f);
    const char *from = strstr(page, "\n.Ss gaihou_ledger"), *to = strstr(from + 4, "\n.Ss ");
    for (int c = 0; c < LEDGER_N; c++) {
        const char *reason = ledger_reason((enum ledger_count)c);
        (void)snprintf(column, sizeof(column), " %s%s%s", ledger_class((enum ledger_count)c),
                       *reason ? "_" : "", reason);
        const char *at = from;
        do
            at = strstr(at + 1, column);
        while (at && !strchr(" \n", at[strlen(column)]));
        if (!at || at > to)
            fail_msg("gaihou-schema(7) lacks \"%s\"", column + 1);
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(natives_own),
        cmocka_unit_test(of_profiles),
        cmocka_unit_test(every_column_was_counted),
        cmocka_unit_test(the_manual_has_every_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
