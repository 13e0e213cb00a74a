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
    assert_null(l.conf);
    if (!strstr(said, part))
        fail_msg("\"%s\" is not in \"%s\"", part, said);
}

#define NATIVE "sources: [{profile: gaihou-json, broker: a}]\n"
#define ACME   "sources: [{profile: acme, broker: a}]\n"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_default_may_find_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patterns_find_files_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unused_profiles_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules_are_found_likewise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ceilings, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
