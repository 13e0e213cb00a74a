/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf: golden files (tests/data/conf: NAME.yaml gives exactly NAME.txt: the problems, then the
 * effective configuration if there is one), values, reloads, and files that want to hurt.
 * Run from the top of the tree. GOLDEN_WRITE=1 writes the .txt files anew.
 */
#include "base/mem.h"
#include "core/conf.h"
#include "unit/golden.h"

#include <time.h>
#include <unistd.h>

static const char file[] = "/etc/gaihou/gaihou.yaml";
static const char small[] = "gateway: {id: g}\n"
                            "brokers: [{id: a, url: mqtt://h}]\n"
                            "sources: [{profile: gaihou-json, broker: a}]\n"
                            "sinks: [{id: s, type: victoriametrics, url: http://h}]\n";

/* ---- golden files ---- */

static void say(const char *name, const char *text, size_t len, struct buf *out)
{
    char full[512];
    struct problems *p = problems_new(1000);
    struct conf *c = NULL;
    (void)snprintf(full, sizeof(full), "/etc/gaihou/%s", name);
    int rc = conf_parse(text, len, full, p, &c);
    assert_int_equal(rc == 0, problems_errors(p) == 0);
    put_problems(out, p);
    if (rc == 0) {
        buf_puts(out, "----\n");
        assert_int_equal(conf_print(c, out), 0);
        conf_free(c);
    }
    problems_free(p);
    assert_null(strstr(buf_cstr(out), "hunter2"));
}

static void golden_files(void **state)
{
    (void)state;
    expect_folder("tests/data/conf", 20, say);
}

/* ---- helpers for single texts ---- */

static struct conf *good(const char *text)
{
    struct problems *p = problems_new(100);
    struct conf *c = NULL;
    if (conf_parse(text, strlen(text), file, p, &c) != 0)
        fail_msg("%s", problems_get(p, 0));
    problems_free(p);
    return c;
}

/* The text is refused, and its first problem is exactly this. */
static void bad(const char *text, size_t len, const char *first)
{
    struct problems *p = problems_new(100);
    struct conf *c = (struct conf *)0x1;
    assert_int_equal(conf_parse(text, len, file, p, &c), -22);
    assert_ptr_equal(c, (struct conf *)0x1); /* untouched */
    assert_true(problems_errors(p) > 0);
    assert_string_equal(problems_get(p, 0) + sizeof(file) - 1, first);
    problems_free(p);
}

static struct conf *with(const char *more)
{
    char *text = mem_printf("%s%s", small, more);
    struct conf *c = good(text);
    free(text);
    return c;
}

/* ---- values ---- */

static void values_have_their_units(void **state)
{
    (void)state;
    struct conf *c =
        with("journal: {max_bytes: 1TiB, segment_bytes: 16777216, sync_interval: 1m,\n"
             "  archive: {keep: 2h, max_bytes: 1GiB}}\nlog: {level: error}\n");
    assert_int_equal(c->journal.max_bytes, 1ull << 40);
    assert_int_equal(c->journal.segment_bytes, 16u << 20);
    assert_int_equal(c->journal.sync_interval_ns, 60000000000ull);
    assert_int_equal(c->journal.archive.keep_s, 7200);
    assert_int_equal(c->journal.archive.max_bytes, 1u << 30);
    assert_int_equal(c->journal.sync, CONF_SYNC_INTERVAL);
    assert_int_equal(c->log.level, 3);
    assert_int_equal(c->brokers[0].session_expiry_s, 7 * 86400);
    assert_int_equal(c->brokers[0].keepalive_s, 30);
    assert_int_equal(c->sinks[0].batch.age_ns, 1000000000);
    assert_int_equal(c->sinks[0].type, CONF_VICTORIAMETRICS);
    assert_int_equal(c->sinks[0].on_full, CONF_SHED);
    assert_int_equal(c->sources[0].qos, 1);
    assert_int_equal(c->sources[0].topics.n, 0);
    assert_int_equal(c->brokers[0].line, 2);
    assert_true(c->sinks[0].gzip);
    conf_free(c);
}

static void log_levels_are_syslogs(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warn", "notice", "info", "debug"};
    for (int i = 0; i < 5; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "log: {level: %s}\n", names[i]);
        struct conf *c = with(text);
        assert_int_equal(c->log.level, 3 + i);
        conf_free(c);
    }
}

static void paths_begin_at_the_files_folder(void **state)
{
    (void)state;
    struct conf *c =
        with("catalog: ./a/../b.yaml\nregistry: {devices: /x/d.csv, params: p.csv}\n"
             "http: {token_file: ./token}\n");
    assert_string_equal(c->catalog, "/etc/gaihou/a/../b.yaml");
    assert_string_equal(c->registry.devices, "/x/d.csv");
    assert_string_equal(c->registry.params, "/etc/gaihou/p.csv");
    assert_null(c->registry.compounds);
    assert_string_equal(c->http.token_file, "/etc/gaihou/token");
    conf_free(c);
    c = with("http: {token_file: token, listen: null, socket: ~}\n");
    assert_string_equal(c->http.token_file, "token"); /* a credential's name stays */
    assert_null(c->http.listen);
    assert_null(c->http.socket);
    conf_free(c);

    struct problems *p = problems_new(10);
    assert_int_equal(conf_parse(small, strlen(small), "/g.yaml", p, &c), 0);
    assert_string_equal(c->catalog, "/catalog.yaml");
    conf_free(c);
    problems_free(p);
}

static void profiles_are_patterns_of_files(void **state)
{
    (void)state;
    const char *name = NULL;
    struct conf *c = good(small);
    assert_int_equal(c->profiles.n, 1);
    assert_string_equal(c->profiles.items[0], "/etc/gaihou/profiles/*.yaml");
    assert_true(conf_is_default_glob(c, c->profiles.items[0]));
    assert_true(conf_glob(c->profiles.items[0], &name));
    assert_string_equal(name, "*.yaml");
    conf_free(c);
    c = with("profiles: [./vendor/a.yaml, /x/b-*.yaml]\n");
    assert_int_equal(c->profiles.n, 2);
    assert_string_equal(c->profiles.items[0], "/etc/gaihou/vendor/a.yaml");
    assert_false(conf_glob(c->profiles.items[0], &name));
    assert_false(conf_is_default_glob(c, c->profiles.items[0]));
    assert_string_equal(c->profiles.items[1], "/x/b-*.yaml");
    conf_free(c);
    c = with("profiles: null\n");
    assert_int_equal(c->profiles.n, 0);
    conf_free(c);
    char *text = mem_printf("%sprofiles: ['*/x.yaml']\n", small);
    bad(text, strlen(text),
        ":5:13: error: profiles: \"*/x.yaml\" is not right, expected * ? and [...] in the "
        "file's name only, and no backslash");
    free(text);
    text = mem_printf("%sprofiles: vendor/\n", small);
    bad(text, strlen(text),
        ":5:11: error: profiles: \"vendor/\" is not right, expected the name of a file, or a "
        "pattern of names such as profiles/*.yaml");
    free(text);
}

static void client_id_follows_the_gateway(void **state)
{
    (void)state;
    struct conf *c = good(small);
    assert_string_equal(c->brokers[0].client_id, "gaihou-g");
    conf_free(c);
}

static void bom_and_crlf_are_fine(void **state)
{
    (void)state;
    struct conf *c =
        good("\xef\xbb\xbfgateway: {id: g}\r\nbrokers: [{id: a, url: mqtt://h}]\r\n"
             "sources: [{profile: gaihou-json, broker: a}]\r\n");
    assert_string_equal(c->gateway.id, "g");
    conf_free(c);
}

static void rules_and_alerts(void **state)
{
    (void)state;
    struct conf *c = with("");
    assert_int_equal(c->rules.n, 1);
    assert_string_equal(c->rules.items[0], "/etc/gaihou/rules/*.yaml");
    assert_true(conf_is_default_glob(c, c->rules.items[0]));
    assert_null(c->alerts.broker);
    assert_string_equal(c->alerts.prefix, "gaihou/v1");
    assert_false(c->sinks[0].alarms_may_stop);
    conf_free(c);
    c = with("rules: null\nalerts: {broker: a, prefix: city}\n");
    assert_int_equal(c->rules.n, 0);
    assert_string_equal(c->alerts.broker, "a");
    assert_string_equal(c->alerts.prefix, "city");
    conf_free(c);
}

/* ---- reload ---- */

static void expect_restart(const char *now, const char *next, const char *option)
{
    struct conf *a = with(now), *b = with(next);
    const char *got = conf_needs_restart(a, b);
    if (option)
        assert_string_equal(got, option);
    else
        assert_null(got);
    conf_free(a);
    conf_free(b);
}

static void what_a_reload_may_change(void **state)
{
    (void)state;
    expect_restart("", "", NULL);
    expect_restart("", "log: {level: debug}\ncatalog: other.yaml\n", NULL);
    expect_restart("", "registry: {devices: d.csv}\n", NULL);
    expect_restart("", "profiles: [a.yaml, b.yaml]\n", NULL);
    expect_restart("", "rules: [a.yaml, b.yaml]\n", NULL);
    expect_restart("", "alerts: {broker: a}\n", "alerts.broker");
    expect_restart("", "alerts: {prefix: a}\n", "alerts.prefix");
    expect_restart("", "journal: {sync: always}\n", "journal.sync");
    expect_restart("", "http: {listen: null}\n", "http.listen");
    expect_restart("", "store: {dead_bytes: 1GiB}\n", "store.dead_bytes");

    struct conf *a = good(small);
    static const struct {
        const char *text, *option;
    } cases[] = {
        {"gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n"
         "sources: [{profile: gaihou-json, broker: a, topics: [x]},\n"
         "  {profile: gaihou-json, broker: a}]\n"
         "sinks: [{id: s, type: victoriametrics, url: http://h}]\n",
         NULL},
        {"gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h:1884}]\n"
         "sources: [{profile: gaihou-json, broker: a}]\n"
         "sinks: [{id: s, type: victoriametrics, url: http://h}]\n",
         "brokers.a.url"},
        {"gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}, {id: b, url: mqtt://h2}]\n"
         "sources: [{profile: gaihou-json, broker: a}]\n"
         "sinks: [{id: s, type: victoriametrics, url: http://h}]\n",
         "brokers"},
        {"gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n"
         "sources: [{profile: gaihou-json, broker: a}]\n"
         "sinks: [{id: s, type: victoriametrics, url: http://h, batch: {lines: 9}}]\n",
         "sinks.s.batch.lines"},
        {"gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n"
         "sources: [{profile: gaihou-json, broker: a}]\n",
         "sinks"},
        {"gateway: {id: other}\nbrokers: [{id: a, url: mqtt://h, client_id: gaihou-g}]\n"
         "sources: [{profile: gaihou-json, broker: a}]\n"
         "sinks: [{id: s, type: victoriametrics, url: http://h}]\n",
         "gateway.id"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct conf *b = good(cases[i].text);
        const char *got = conf_needs_restart(a, b);
        if (cases[i].option)
            assert_string_equal(got, cases[i].option);
        else
            assert_null(got);
        conf_free(b);
    }
    conf_free(a);
}

/* ---- hostile files ---- */

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* `unit` again and again, up to n bytes, after `head`. */
static char *repeat(const char *head, const char *unit, size_t n)
{
    struct buf b;
    buf_init(&b, n + 4096);
    buf_puts(&b, head);
    while (b.len + strlen(unit) <= n)
        buf_puts(&b, unit);
    char *text = mem_strndup(b.data, b.len);
    buf_done(&b);
    return text;
}

static void hostile_files_are_not_slow(void **state)
{
    (void)state;
    static const struct {
        const char *head, *unit;
        size_t n;
    } cases[] = {
        {"", "[", 1000000},
        {"", "{", 1000000},
        {"", "{a: ", 1000000},
        {"", "- ", 1000000},
        {"", "- - - - - -\n", 200000},
        {"", "? ", 16000},
        {"", "? ? ? ?\n", 100000},
        {"", "a: ", 1000000},
        {"", "a:\n", 1000000},
        {"gateway:\n", "  id: x\n", 140000},
        {"gateway:\n", "  k: x\n", 140000},
        {"", "sinks: []\n", 200000},
        {"a: \"", "\\x41", 1000000},
        {"a: \"", "x\n ", 50000},
        {"a: |\n", "  x\n", 80000},
        {"", "# x\n", 80000},
        {"", "&a ", 16000},
        {"", "*a\n", 60000},
        {"", "!", 16000},
        {"", "--- x\n", 120000},
        {"", "%YAML 1.2\n", 190000},
        {"", "'", 1000000},
        {"", "\t", 16000},
        {"brokers:\n", "  - {id: a, url: mqtt://h}\n", 500000},
        {"brokers: [{id: a, url: [", "mqtt://h,", 16000},
        {"sources: [{topics: [", "a/b/c,", 16000},
        {"a", "b", 1048576 + 4000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = repeat(cases[i].head, cases[i].unit, cases[i].n);
        struct problems *p = problems_new(50);
        struct conf *c = NULL;
        double before = cpu_seconds();
        assert_int_equal(conf_parse(text, strlen(text), file, p, &c), -22);
        double took = cpu_seconds() - before;
        assert_true(problems_count(p) > 0 && problems_count(p) <= 51);
        if (took > 3.0) /* tenths without sanitizers */
            fail_msg("case %zu (\"%s\"): %.2f s", i, cases[i].unit, took);
        problems_free(p);
        free(text);
    }
}

static void ten_thousand_keys_are_fast(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 10000; i++)
        buf_printf(&b, "k%d: v\n", i);
    double before = cpu_seconds();
    bad(b.data, b.len,
        ":1:1: error: unknown key \"k0\", expected gateway, brokers, sources, profiles, "
        "catalog, registry, "
        "rules, alerts, sinks, journal, http, log or store");
    assert_true(cpu_seconds() - before < 3.0);
    buf_done(&b);
}

static void ceilings_are_said(void **state)
{
    (void)state;
    char *text = repeat("", "# x\n", 80004);
    bad(text, strlen(text),
        ":20001: error: more than 20000 lines: large lists belong into CSV "
        "files");
    free(text);
    text = repeat("", "#", CONF_MAX_BYTES + 1);
    bad(text, strlen(text), ": error: 1048577 bytes: at most 1 MiB is expected");
    free(text);
    text = repeat("", "#", 20000);
    bad(text, strlen(text), ":1: error: a line of more than 16384 bytes");
    free(text);
    bad("a\0b", 3, ":1:2: error: a control character is not allowed here");
    bad("\xed\xa0\x80", 3, ":1:1: error: byte 0xed is not UTF-8: save the file as UTF-8");
    bad("", 0, ": error: the file is empty");
}

/* libfyaml must not write anywhere of its own. */
static void nothing_goes_to_stderr(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    (void)fflush(stderr);
    int kept = dup(2);
    assert_true(dup2(fileno(f), 2) == 2);
    struct problems *p = problems_new(10);
    struct conf *c = NULL;
    static const char *const texts[] = {"a: [",  "a: \"",    "\t- x",
                                        "a: *b", "%TAG ! x", "a: b: c"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        (void)conf_parse(texts[i], strlen(texts[i]), file, p, &c);
    (void)fflush(stderr);
    (void)dup2(kept, 2);
    (void)close(kept);
    problems_free(p);
    assert_int_equal(lseek(fileno(f), 0, SEEK_END), 0);
    (void)fclose(f);
}

static void free_takes_null(void **state)
{
    (void)state;
    conf_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files),
        cmocka_unit_test(values_have_their_units),
        cmocka_unit_test(log_levels_are_syslogs),
        cmocka_unit_test(paths_begin_at_the_files_folder),
        cmocka_unit_test(profiles_are_patterns_of_files),
        cmocka_unit_test(rules_and_alerts),
        cmocka_unit_test(client_id_follows_the_gateway),
        cmocka_unit_test(bom_and_crlf_are_fine),
        cmocka_unit_test(what_a_reload_may_change),
        cmocka_unit_test(hostile_files_are_not_slow),
        cmocka_unit_test(ten_thousand_keys_are_fast),
        cmocka_unit_test(ceilings_are_said),
        cmocka_unit_test(nothing_goes_to_stderr),
        cmocka_unit_test(free_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
