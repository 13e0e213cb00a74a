/* SPDX-License-Identifier: Apache-2.0 */
/* load: which files are profiles, and that all of them are read or nothing is. */
#include "unit.h"

#include "app/load.h"
#include "base/mem.h"
#include "scratch.h"

#include <sys/stat.h>

static char dir[256];

static void put(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wbe");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static void put_conf(const char *more)
{
    char *text = mem_printf("gateway: {id: g, data_dir: %s/data}\n"
                            "brokers: [{id: a, url: mqtt://h}]\n"
                            "sinks: [{id: s, type: victoriametrics, url: http://h}]\n"
                            "registry: {compounds: compounds.csv, devices: devices.csv}\n"
                            "%s",
                            dir, more);
    put("gaihou.yaml", text);
    free(text);
}

static void put_profile(const char *file, const char *name)
{
    char *text = mem_printf("version: 1\n"
                            "profile: %s\n"
                            "topics: [\"%s/{id}/up\"]\n"
                            "device: \"{id}\"\n"
                            "messages:\n"
                            "  - name: up\n"
                            "    values: {level: $.level}\n",
                            name, name);
    put(file, text);
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    char sub[300];
    (void)scratch_make(dir, sizeof(dir));
    (void)snprintf(sub, sizeof(sub), "%s/profiles", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    put("catalog.yaml",
        "kinds:\n  sump:\n    zh: 井\n    en: Sump\n    metrics:\n"
        "      level: {type: float, unit: m, min: 0, max: 10, zh: 位, en: L}\n");
    put("compounds.csv", "compound,name\nc1,c\n");
    put("devices.csv", "device,source_id,kind,compound\nd1,s1,sump,c1\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

/* Loads; `said` is the first error, or "". */
static int load(struct loaded *out, char said[512])
{
    char path[300];
    struct problems *p = problems_new(50);
    (void)snprintf(path, sizeof(path), "%s/gaihou.yaml", dir);
    *out = (struct loaded){0};
    int r = load_all(path, p, out);
    *said = '\0';
    for (size_t i = problems_count(p); i-- > 0;)
        if (strstr(problems_get(p, i), ": error: "))
            (void)snprintf(said, 512, "%s", problems_get(p, i));
    assert_int_equal(r == 0, problems_errors(p) == 0);
    problems_free(p);
    return r;
}

static void good(size_t profiles, char hash[33])
{
    struct loaded l;
    char said[512];
    if (load(&l, said) != 0)
        fail_msg("%s", said);
    assert_int_equal(profile_set_count(l.world->profiles), profiles);
    memcpy(hash, l.world->hash, 33);
    load_free(&l);
}

static void bad(const char *part)
{
    struct loaded l;
    char said[512];
    assert_int_equal(load(&l, said), -22);
    assert_null(l.world);
    load_free(&l);
    if (!strstr(said, part))
        fail_msg("\"%s\" is not in \"%s\"", part, said);
}

#define NATIVE "sources: [{profile: gaihou-json, broker: a}]\n"
#define ACME   "sources: [{profile: acme, broker: a}]\n"

static void what_is_not_there_is_told_at_its_option(void **state)
{
    (void)state;
    char path[300];
    put_conf(NATIVE "profiles: [profiles/a.yaml]\n");
    bad("gaihou.yaml:6:11: error: profiles: cannot read ");
    put_conf(NATIVE "rules: [other/*.yaml]\n");
    bad("gaihou.yaml:6:8: error: rules: cannot read the folder ");
    put_conf(NATIVE "rules: ['*.yml']\n");
    bad("gaihou.yaml:6:8: error: rules: \"");
    put_conf("sources:\n  - profile: gaihou-jsn\n    broker: a\n");
    bad("gaihou.yaml:6:14: error: sources.profile: there is no profile \"gaihou-jsn\"");
    put_conf(
        "sources:\n  - profile: gaihou-json\n    broker: a\n    topics:\n      - a/{id}\n");
    bad("gaihou.yaml:9:7: error: topic \"a/{id}\" has no level {device}");
    put("gaihou.yaml", "gateway:\n  id: g\n  timezone: Asia/Chongqin\n"
                       "brokers: [{id: a, url: mqtt://h}]\n" NATIVE);
    bad("gaihou.yaml:3:13: error: gateway.timezone: this machine knows no time zone");
    put_conf(NATIVE);
    (void)snprintf(path, sizeof(path), "%s/compounds.csv", dir);
    assert_int_equal(unlink(path), 0);
    bad("gaihou.yaml:4:23: error: registry.compounds: cannot read ");
    (void)snprintf(path, sizeof(path), "%s/catalog.yaml", dir);
    assert_int_equal(unlink(path), 0);
    bad("gaihou.yaml: error: catalog: cannot read "); /* by default: it stands nowhere */
}

/* A file that is not there hides nothing that is wrong in the others. */
static void all_files_in_one_pass(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "gaihou.yaml:4:23: error: registry.compounds: cannot read ",
        "gaihou.yaml:6:11: error: profiles: cannot read ",
        "p.yaml:2:10: error: profile \"P\", expected",
        "r.yaml:1:10: error: version 2, expected 1",
    };
    char path[300];
    struct loaded l = {0};
    struct problems *p = problems_new(50);
    put_conf(NATIVE "profiles: [none.yaml, p.yaml]\nrules: [r.yaml]\n");
    put("p.yaml", "version: 1\nprofile: P\nmessages: [{ignore: log}]\n");
    put("r.yaml",
        "version: 2\ngroups: [{name: g, rules: [{id: a, kind: sump, title: a, no_data: "
        "{after: 5m}}]}]\n");
    (void)snprintf(path, sizeof(path), "%s/compounds.csv", dir);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/gaihou.yaml", dir);
    assert_int_equal(load_all(path, p, &l), -22);
    assert_null(l.world);
    assert_non_null(l.conf); /* its secrets can be looked at */
    for (size_t i = 0; i < 4; i++)
        if (i >= problems_count(p) || !strstr(problems_get(p, i), parts[i]))
            fail_msg("\"%s\" is not in \"%s\"", parts[i],
                     i < problems_count(p) ? problems_get(p, i) : "");
    assert_int_equal(problems_errors(p),
                     4); /* and not the devices, whose compounds are not there */
    problems_free(p);
    load_free(&l);
}

/* What is wrong in the configuration does not hide what is wrong elsewhere, and what a key was to be
 * that nobody knows is not guessed. */
static void all_files_though_the_configuration_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        const char *parts[8]; /* in this order, and no more */
    } t[] = {
        {"profiles: [p.yaml]\nrules: [r.yaml]\n",
         {"no source uses", "sources is missing",
          "p.yaml:2:10:", "devices.csv:3:", "r.yaml:1:10:"}},
        {NATIVE "profiles: [p.yaml]\nrules: {}\nlog: {level: loud}\n",
         {"rules: a mapping", "log.level", "p.yaml:2:10:", "devices.csv:3:"}},
        {NATIVE "profiles: [p.yaml]\nrules: [r.yaml]\ncatalog: []\n", {"catalog: "}},
        {NATIVE "profiles: [p.yaml]\nrule: [q.yaml]\ncatalog: catalog.yaml\n",
         {"unknown key \"rule\"", "p.yaml:2:10:", "devices.csv:3:"}},
        {NATIVE "profiles: [p.yaml]\nrules: [r.yaml]\ncatalogue: other.yaml\n",
         {"unknown key \"catalogue\""}},
        {"sources: [{profile: gaihou-json, broker: b}]\nhttp: {listen: nowhere}\n",
         {"no source uses", "sources.broker", "http.listen",
          "profiles/p.yaml:2:10:", "devices.csv:3:"}},
        {"sources: [\n", {"not valid YAML"}},
    };
    static const char p_yaml[] = "version: 1\nprofile: P\nmessages: [{ignore: log}]\n";
    char path[300];
    put("p.yaml", p_yaml);
    put("profiles/p.yaml", p_yaml);
    put("r.yaml",
        "version: 2\ngroups: [{name: g, rules: [{id: a, kind: sump, title: a, no_data: "
        "{after: 5m}}]}]\n");
    put("devices.csv", "device,source_id,kind,compound\nd1,s1,sump,c1\nd2,s2,pump,c1\n");
    (void)snprintf(path, sizeof(path), "%s/gaihou.yaml", dir);
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct problems *p = problems_new(50);
        struct loaded l = {0};
        size_t n = 0;
        put_conf(t[i].more);
        assert_int_equal(load_all(path, p, &l), -22);
        assert_null(l.world);
        assert_null(l.conf);
        while (n < 8 && t[i].parts[n])
            n++;
        for (size_t k = 0; k < n || k < problems_count(p); k++) {
            const char *said = k < problems_count(p) ? problems_get(p, k) : "";
            if (k >= n || !strstr(said, t[i].parts[k]))
                fail_msg("%zu: \"%s\" is not in \"%s\"", i, k < n ? t[i].parts[k] : "-", said);
        }
        problems_free(p);
        load_free(&l);
    }
    /* A registry with a key that is misspelt is not there. */
    put("gaihou.yaml", "gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n" NATIVE
                       "registry: {compound: compounds.csv, devices: devices.csv}\n"
                       "sinks: [{id: s, type: victoriametrics, url: http://h}]\n");
    struct problems *p = problems_new(50);
    struct loaded l = {0};
    assert_int_equal(load_all(path, p, &l), -22);
    assert_int_equal(problems_count(p), 2); /* and the profile, but no device */
    problems_free(p);
    load_free(&l);
}

static void the_default_may_find_nothing(void **state)
{
    (void)state;
    char hash[33], path[300];
    put_conf(NATIVE);
    good(0, hash);
    (void)snprintf(path, sizeof(path), "%s/profiles", dir);
    assert_int_equal(rmdir(path), 0);
    good(0, hash);
    put_conf(NATIVE "profiles: [other/*.yaml]\n");
    bad("cannot read the folder");
    put_conf(NATIVE "profiles: ['*.yml']\n");
    bad("*.yml\" finds no file, expected at least one");
    put_conf(NATIVE "profiles: [profiles/a.yaml]\n");
    bad("profiles/a.yaml: No such file");
    put_conf(NATIVE "profiles: null\n");
    good(0, hash);
}

static void patterns_find_files_once(void **state)
{
    (void)state;
    char one[33], two[33];
    put_profile("profiles/acme.yaml", "acme");
    put_profile("profiles/b.yaml", "b");
    put("profiles/.hidden.yaml", "wrong: yes\n");
    put("profiles/b.yaml~", "wrong: yes\n");
    put_conf(ACME);
    good(2, one);
    good(2, two);
    assert_string_equal(one, two); /* the same content is the same generation */
    put_conf(ACME "profiles: [profiles/a*.yaml, profiles/acme.yaml, 'profiles/[a-b].yaml']\n");
    good(2, two);
    put_conf(ACME "profiles: [profiles/b.yaml]\n");
    bad("there is no profile \"acme\"");
    put_profile("profiles/b.yaml", "c");
    put_conf(ACME);
    good(2, two);
    assert_string_not_equal(one, two);
}

static void unused_profiles_are_checked(void **state)
{
    (void)state;
    put_conf(NATIVE);
    put("profiles/bad.yaml", "version: 1\nprofile: bad\nwrong: yes\n");
    bad("profiles/bad.yaml:");
}

static void ceilings(void **state)
{
    (void)state;
    char name[64], hash[33];
    assert_true(WORLD_MAX_FILE >= REGISTRY_MAX_BYTES); /* what the registry takes is read */
    put_conf(NATIVE);
    for (int i = 0; i < WORLD_MAX_PROFILES; i++) {
        char profile[16];
        (void)snprintf(name, sizeof(name), "profiles/p%d.yaml", i);
        (void)snprintf(profile, sizeof(profile), "p%d", i);
        put_profile(name, profile);
    }
    good(WORLD_MAX_PROFILES, hash);
    put_profile("profiles/q.yaml", "q");
    bad("profiles: 257 files, expected at most 256");
    (void)snprintf(name, sizeof(name), "profiles/q.yaml");
    char *big = mem_zalloc(WORLD_MAX_PROFILE + 2);
    memset(big, '#', WORLD_MAX_PROFILE + 1);
    put_conf(NATIVE "profiles: profiles/q.yaml\n");
    put(name, big);
    bad("larger than 1048576 bytes");
    free(big);
}

static void rules_are_found_likewise(void **state)
{
    (void)state;
    struct loaded l;
    char said[512], sub[300];
    static const char rule[] = "version: 1\ngroups: [{name: g, rules: [{id: %s, kind: sump, "
                               "title: t, action: a, no_data: {}}]}]\n";
    char *one = mem_printf(rule, "one"), *two = mem_printf(rule, "two");
    put_conf(NATIVE "alerts: {broker: a}\n");
    assert_int_equal(load(&l, said), 0);
    assert_int_equal(rules_count(l.world->rules), 0);
    load_free(&l);
    (void)snprintf(sub, sizeof(sub), "%s/rules", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    put("rules/one.yaml", one);
    put("rules/two.yaml", two);
    put("rules/.two.yaml", two);
    assert_int_equal(load(&l, said), 0);
    assert_int_equal(rules_count(l.world->rules), 2);
    load_free(&l);
    put_conf(NATIVE "rules: null\n");
    assert_int_equal(load(&l, said), 0);
    assert_int_equal(rules_count(l.world->rules), 0);
    load_free(&l);
    put_conf(NATIVE "rules: other/*.yaml\n");
    bad("rules: cannot read the folder");
    put_conf(NATIVE "rules: 'rules/x*.yaml'\n");
    bad("rules: \"");
    put_conf(NATIVE);
    put("rules/two.yaml", one);
    bad("rules/two.yaml:2:33: error: rule \"one\" is there already");
    free(one);
    free(two);
}

static void note_begin(void *ctx, const struct conf *c)
{
    assert_string_equal(c->brokers[0].id, "a");
    ++*(int *)ctx;
}

/* Once, when the configuration is good and whatever the files are that it names. */
static void who_waits_for_it_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *sources;
        int r, begun;
    } t[] = {{NATIVE, 0, 1}, {ACME, -22, 1}, {"sources: [\n", -22, 0}};
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/gaihou.yaml", dir);
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct problems *p = problems_new(50);
        int begun = 0;
        struct loaded l = {.begins = note_begin, .ctx = &begun};
        put_conf(t[i].sources);
        assert_int_equal(load_all(path, p, &l), t[i].r);
        assert_int_equal(begun, t[i].begun);
        load_free(&l);
        problems_free(p);
    }
}

/* Large files are read into the bundle at once: it must hold what they hold. */
static void large_files(void **state)
{
    (void)state;
    struct loaded l;
    struct buf rows;
    char said[512], path[300];
    buf_init(&rows, 8 << 20);
    (void)buf_puts(&rows, "device,source_id,kind,compound,note\n");
    for (int i = 0; rows.len < ((size_t)3 << 20); i++)
        (void)buf_printf(&rows, "d%d,s%d,sump,c1,%0100d\n", i, i, i);
    (void)snprintf(path, sizeof(path), "%s/devices.csv", dir);
    put_conf(NATIVE);
    put("devices.csv", buf_cstr(&rows));
    if (load(&l, said) != 0)
        fail_msg("%s", said);
    char head[400];
    (void)snprintf(head, sizeof(head), "\ndevices %zu %s\n", rows.len, path);
    const char *at = memmem(l.bundle.data, l.bundle.len, head, strlen(head));
    assert_non_null(at);
    assert_memory_equal(at + strlen(head), rows.data, rows.len);
    assert_int_equal(at[strlen(head) + rows.len], '\n');
    struct world *again;
    struct problems *p = problems_new(5);
    assert_int_equal(world_open(l.bundle.data, l.bundle.len, p, &again), 0);
    assert_string_equal(again->hash, l.world->hash);
    assert_int_equal(registry_devices(again->registry), registry_devices(l.world->registry));
    world_free(again);
    load_free(&l);
    (void)buf_puts(&rows, "d0,,sump,c1,\n"); /* and is an error where it stands */
    put("devices.csv", buf_cstr(&rows));
    bad("device \"d0\" is repeated, first in line 2");
    assert_int_equal(chmod(path, 0), 0);
    if (access(path, R_OK) != 0)
        bad("cannot read");
    problems_free(p);
    buf_done(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_there_is_told_at_its_option, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_files_in_one_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_files_though_the_configuration_is_wrong, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_default_may_find_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patterns_find_files_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unused_profiles_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules_are_found_likewise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ceilings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_for_it_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
