/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl profile list | test | new. */
#include "base/jsonw.h"
#include "core/world.h"
#include "ctl/exit.h"
#include "ctl/site.h"
#include "ctl/table.h"
#include "ctl/tools.h"
#include "ctl/usage.h"

#include <stdio.h>
#include <string.h>

#define MAX_PROBLEMS 1000

static void topics_of(const struct profile *p, char *out, size_t room)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < profile_topics(p) && n < room; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%s", i ? " " : "", profile_topic(p, i));
}

static void list_table(const struct profile_set *set)
{
    struct ctl_table *t = ctl_table_new("PROFILE|VENDOR|VERIFIED|TOPICS:70");
    const char *native[] = {WORLD_NATIVE, "-", "yes", "gaihou/v1/up/{compound}/{device}"};
    ctl_table_add(t, native);
    for (size_t i = 0; i < profile_set_count(set); i++) {
        const struct profile *p = profile_set_at(set, i);
        char topics[1024];
        topics_of(p, topics, sizeof(topics));
        const char *vendor = profile_vendor(p);
        const char *cells[] = {profile_name(p), *vendor ? vendor : "-",
                               profile_verified(p) ? "yes" : "no", topics};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void list_json(const struct profile_set *set)
{
    struct buf b;
    struct jsonw w;
    buf_init(&b, (size_t)16 << 20);
    jsonw_init(&w, &b);
    jsonw_array(&w, NULL);
    for (size_t i = 0; i < profile_set_count(set); i++) {
        const struct profile *p = profile_set_at(set, i);
        jsonw_object(&w, NULL);
        jsonw_str(&w, "profile", profile_name(p));
        jsonw_str(&w, "vendor", profile_vendor(p));
        jsonw_bool(&w, "verified", profile_verified(p));
        jsonw_array(&w, "topics");
        for (size_t k = 0; k < profile_topics(p); k++)
            jsonw_str(&w, NULL, profile_topic(p, k));
        jsonw_end_array(&w);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    (void)fwrite(b.data, 1, b.len, stdout);
    (void)putchar('\n');
    buf_done(&b);
}

static int list(bool json, const struct tools_files *f)
{
    struct site s = {0};
    int code = tools_open(&s, f, true);
    if (code == CTL_DONE && json)
        list_json(s.profiles);
    else if (code == CTL_DONE)
        list_table(s.profiles);
    site_close(&s);
    return code;
}

/* Every profile by itself, so that each has its line. */
static int run_examples(const struct profile_set *set)
{
    int code = CTL_DONE;
    for (size_t i = 0; i < profile_set_count(set); i++) {
        const struct profile *p = profile_set_at(set, i);
        struct problems *problems = problems_new(MAX_PROBLEMS);
        int n = profile_check_examples(set, p, problems);
        (void)fflush(stdout);
        (void)site_tell(problems);
        if (n < 0) {
            printf("FAILED %s\n", profile_name(p));
            code = CTL_REFUSED;
        } else if (n == 0) {
            printf("none   %s: it has no examples\n", profile_name(p));
        } else {
            printf("ok     %s: %d example%s\n", profile_name(p), n, n == 1 ? "" : "s");
        }
        problems_free(problems);
    }
    return code;
}

static int test(const struct tools_files *f, int argc, char **argv)
{
    struct site s = {0};
    const char *files[TOOLS_PATTERNS + 64];
    size_t n = 0;
    int code = tools_open(&s, f, false);
    for (size_t i = 0; i < f->n_profiles; i++)
        files[n++] = f->profiles[i];
    for (int i = 1; i < argc && n < TOOLS_PATTERNS + 64; i++)
        files[n++] = argv[i];
    if (code == CTL_DONE)
        code = site_profiles(&s, files, n, true);
    if (code == CTL_DONE)
        code = run_examples(s.profiles);
    site_close(&s);
    return code;
}

static int new_profile(const struct tools_files *f, int argc, char **argv)
{
    bool ok = true;
    struct site s = {0};
    struct profile_new_options o = {.name = tools_take(&argc, argv, "--name", &ok)};
    o.topic = tools_take(&argc, argv, "--topic", &ok);
    o.out = tools_take(&argc, argv, "--out", &ok);
    o.hex = tools_take_flag(&argc, argv, "--hex");
    o.base64 = tools_take_flag(&argc, argv, "--base64");
    if (!ok || !o.name || argc < 2 || (o.hex && o.base64)) {
        (void)usage_print(stderr, "profile", NULL);
        return CTL_USAGE;
    }
    int code = tools_open(&s, f, true);
    if (code == CTL_DONE)
        code = tools_profile_new(&s, &o, argv + 1, (size_t)(argc - 1));
    site_close(&s);
    return code;
}

int tools_profile(bool json, int argc, char **argv)
{
    struct tools_files f;
    if (!tools_take_files(&f, &argc, argv))
        return CTL_USAGE;
    json |= tools_take_flag(&argc, argv, "--json");
    const char *verb = argc > 1 ? argv[1] : "list";
    if (strcmp(verb, "list") == 0 && argc <= 2)
        return list(json, &f);
    if (strcmp(verb, "test") == 0 && argc > 2 && argc < 64)
        return test(&f, argc - 1, argv + 1);
    if (strcmp(verb, "new") == 0)
        return new_profile(&f, argc - 1, argv + 1);
    (void)usage_print(stderr, "profile", NULL);
    return CTL_USAGE;
}
