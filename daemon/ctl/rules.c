/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl rules: which verb, and check. */
#include "ctl/rules.h"
#include "base/mem.h"
#include "core/json.h"
#include "ctl/exit.h"
#include "ctl/usage.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PROBLEMS 1000

int tools_rules(bool json, int argc, char **argv)
{
    struct tools_files f;
    if (!tools_take_files(&f, &argc, argv))
        return CTL_USAGE;
    json |= tools_take_flag(&argc, argv, "--json");
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "check") == 0)
        return rules_check(&f, argc - 1, argv + 1);
    if (strcmp(verb, "test") == 0 && argc > 2)
        return rules_test(&f, argc - 1, argv + 1);
    if (strcmp(verb, "backtest") == 0)
        return rules_backtest(json, &f, argc - 1, argv + 1);
    if (strcmp(verb, "explain") == 0)
        return rules_explain(json, argc - 1, argv + 1);
    (void)usage_print(stderr, "rules", NULL);
    return CTL_USAGE;
}

/* -- files ----------------------------------------------------------------------------------- */

static int add_file(struct rule_files *f, const char *path)
{
    char *text;
    size_t len;
    int code = site_read(path, RULES_MAX_FILE, &text, &len);
    if (code != CTL_DONE)
        return code;
    f->list = mem_realloc_array(f->list, f->n + 1, sizeof(*f->list));
    f->list[f->n++] = (struct world_text){mem_strdup(path), text, len};
    return CTL_DONE;
}

/* A folder that is not there has no files. */
static int on_glob_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT;
}

/* The folder's own name is no pattern. */
static char *pattern_below(const char *folder, const char *pattern)
{
    char *path = mem_zalloc(2 * strlen(folder) + strlen(pattern) + 2), *to = path;
    for (const char *s = folder; *s; s++) {
        if (strchr("*?[]\\", *s))
            *to++ = '\\';
        *to++ = *s;
    }
    *to++ = '/';
    memcpy(to, pattern, strlen(pattern));
    return path;
}

int rule_files_add(struct rule_files *f, const char *folder, const char *pattern,
                   const char *said_by)
{
    glob_t g = {0};
    int code = CTL_DONE;
    char *path =
        folder && *pattern != '/' ? pattern_below(folder, pattern) : mem_strdup(pattern);
    int r = glob(path, 0, on_glob_error, &g);
    if (r != 0) {
        (void)fprintf(stderr, "%s: \"%s\": %s\n", said_by, pattern,
                      r == GLOB_NOMATCH ? "there is no such file" : strerror(EIO));
        code = CTL_REFUSED;
    }
    for (size_t i = 0; code == CTL_DONE && r == 0 && i < g.gl_pathc; i++)
        code = add_file(f, g.gl_pathv[i]);
    globfree(&g);
    free(path);
    return code;
}

void rule_files_done(struct rule_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free((char *)(uintptr_t)f->list[i].file);
        free((char *)(uintptr_t)f->list[i].text);
    }
    free(f->list);
    *f = (struct rule_files){0};
}

/* -- check ----------------------------------------------------------------------------------- */

struct texts { /* the parts of a generation, as they lie on the disk */
    struct world_text parts[WORLD_PARTS];
    struct world_text *profiles, *rules;
    struct buf zone, bundle;
};

static int take_part(struct texts *t, enum world_part part, const char *path)
{
    char *text;
    if (!path)
        return CTL_DONE;
    struct world_text *p = &t->parts[part];
    int code = site_read(path, WORLD_MAX_FILE, &text, &p->len);
    if (code != CTL_DONE)
        return code;
    p->file = path;
    p->text = text;
    return CTL_DONE;
}

static int read_parts(struct texts *t, const struct site *s)
{
    const struct conf *c = s->conf;
    int code = take_part(t, WORLD_CONF, c->file);
    if (code == CTL_DONE)
        code = take_part(t, WORLD_CATALOG, c->catalog);
    if (code == CTL_DONE)
        code = take_part(t, WORLD_COMPOUNDS, c->registry.compounds);
    if (code == CTL_DONE)
        code = take_part(t, WORLD_DEVICES, c->registry.devices);
    if (code == CTL_DONE)
        code = take_part(t, WORLD_PARAMS, c->registry.params);
    return code;
}

/* As a gateway that starts does: the whole generation, with these rules; all: they are all that it
 * would have. */
static int check_world(const struct site *s, bool all, size_t *out_errors)
{
    struct texts t = {.parts = {{0}}};
    struct world *w = NULL;
    buf_init(&t.zone, 1 << 20);
    buf_init(&t.bundle, WORLD_MAX_BUNDLE);
    t.profiles = mem_zalloc_array(s->n_files, sizeof(*t.profiles));
    t.rules = mem_zalloc_array(s->n_rule_files, sizeof(*t.rules));
    for (size_t i = 0; i < s->n_files; i++)
        t.profiles[i] =
            (struct world_text){s->files[i].file, s->files[i].text, s->files[i].len};
    for (size_t i = 0; i < s->n_rule_files; i++)
        t.rules[i] = (struct world_text){s->rule_files[i].file, s->rule_files[i].text,
                                         s->rule_files[i].len};
    int code = read_parts(&t, s);
    (void)world_zone_text(s->zone, &t.zone);
    t.parts[WORLD_ZONE] = (struct world_text){"zone", t.zone.data, t.zone.len};
    if (code == CTL_DONE && (world_bundle(t.parts, &t.bundle) != 0 ||
                             world_bundle_profiles(t.profiles, s->n_files, &t.bundle) != 0 ||
                             world_bundle_rules(t.rules, s->n_rule_files, &t.bundle) != 0)) {
        (void)fprintf(stderr, "gaihouctl: these files are too large together\n");
        code = CTL_REFUSED;
    }
    if (code == CTL_DONE) {
        struct problems *p = problems_new(MAX_PROBLEMS);
        if ((all ? world_open : world_open_some_rules)(t.bundle.data, t.bundle.len, p, &w) != 0)
            code = CTL_REFUSED;
        *out_errors = site_tell(p);
        problems_free(p);
    }
    for (size_t i = 0; i < WORLD_ZONE; i++)
        free((char *)(uintptr_t)t.parts[i].text);
    world_free(w);
    free(t.profiles);
    free(t.rules);
    buf_done(&t.zone);
    buf_done(&t.bundle);
    return code;
}

int rules_check(const struct tools_files *f, int argc, char **argv)
{
    struct site s = {0};
    size_t errors = 0;
    const char *const *files = (const char *const *)argv + 1;
    if (argc > 1 && strncmp(argv[1], "--", 2) == 0) {
        (void)fprintf(stderr, "gaihouctl: unknown option %s\n", argv[1]);
        (void)usage_print(stderr, "rules", NULL);
        return CTL_USAGE;
    }
    int code = tools_open(&s, f, false);
    if (code == CTL_DONE && !s.conf && argc < 2) {
        (void)usage_print(stderr, "rules", NULL);
        code = CTL_USAGE;
    }
    if (code == CTL_DONE && s.conf)
        code = site_profiles(&s, f->profiles, f->n_profiles, false);
    if (code == CTL_DONE && s.conf)
        code = site_registry(&s, NULL, 0);
    /* with a configuration the warnings come with the whole */
    if (code == CTL_DONE)
        code = site_rules(&s, files, (size_t)(argc - 1), !s.conf);
    if (code == CTL_DONE && s.conf)
        code = check_world(&s, argc < 2, &errors);
    if (code == CTL_DONE)
        printf("%zu rule%s in %zu file%s: no errors\n", rules_count(s.rules),
               rules_count(s.rules) == 1 ? "" : "s", s.n_rule_files,
               s.n_rule_files == 1 ? "" : "s");
    site_close(&s);
    return code;
}
