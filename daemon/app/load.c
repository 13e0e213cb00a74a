/* SPDX-License-Identifier: Apache-2.0 */
#include "app/load.h"
#include "base/mem.h"
#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONF ((size_t)1 << 20)

static int read_part(const char *path, size_t max, const char *named_by, int line,
                     struct problems *problems, struct world_text *out)
{
    char *text = NULL;
    size_t len = 0;
    if (!path)
        return 0;
    int r = file_load(path, max, &text, &len);
    if (r == -EFBIG)
        problems_add(problems, path, 0, 0, "larger than %zu bytes", max);
    else if (r != 0 && named_by)
        problems_add(problems, named_by, line, 0, "cannot read %s: %s", path, strerror(-r));
    else if (r != 0)
        problems_add(problems, path, 0, 0, "cannot be read: %s", strerror(-r));
    if (r != 0)
        return r;
    *out = (struct world_text){path, text, len};
    return 0;
}

/* As it is on this machine now: the generation keeps it. */
static void read_zone(const struct conf *c, struct problems *problems, struct world_text *out)
{
    struct zone *z = NULL;
    struct buf text;
    buf_init(&text, 1 << 20);
    if (zone_open(c->gateway.timezone, &z) != 0)
        problems_add(
            problems, c->file, 0, 0,
            "gateway.timezone: this machine knows no time zone \"%s\", expected a name "
            "like Asia/Shanghai",
            c->gateway.timezone);
    else if (world_zone_text(z, &text) == 0)
        *out = (struct world_text){c->gateway.timezone, mem_dup(text.data, text.len), text.len};
    buf_done(&text);
    zone_free(z);
}

/* -- profiles and rules -------------------------------------------------------------------- */

#define MAX_FILES 256 /* of each */
_Static_assert(MAX_FILES == WORLD_MAX_PROFILES && MAX_FILES == RULES_MAX_FILES, "one ceiling");

struct files { /* that the patterns of one option find */
    const char *option;
    struct world_text texts[MAX_FILES];
    char *paths[MAX_FILES];
    size_t n, more; /* that there is no room for */
};

struct matching { /* the names of one folder */
    struct files *files;
    const char *pattern, *name; /* name: the part of it behind the folder */
    size_t found, bad;
};

static void add_file(struct files *f, char *path)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->paths[i], path) == 0) { /* two patterns find it */
            free(path);
            return;
        }
    }
    if (f->n < MAX_FILES) {
        f->paths[f->n++] = path;
    } else {
        f->more++;
        free(path);
    }
}

static void match_name(void *ctx, const char *name)
{
    struct matching *m = ctx;
    if (!file_name_fits(m->name, name))
        return;
    m->found++;
    bool control = false;
    for (const char *s = name; *s; s++)
        control = control || (unsigned char)*s < 0x20 || *s == 0x7f;
    m->bad += control;
    if (!control)
        add_file(m->files, mem_printf("%.*s%s", (int)(m->name - m->pattern), m->pattern, name));
}

static void find_files(const struct conf *c, const char *pattern, struct files *f,
                       struct problems *problems)
{
    struct matching m = {.files = f, .pattern = pattern};
    if (!conf_glob(pattern, &m.name)) {
        add_file(f, mem_strdup(pattern));
        return;
    }
    size_t folder = (size_t)(m.name - pattern); /* with its slash */
    char *dir = mem_strndup(pattern, folder > 1 ? folder - 1 : folder);
    int r = file_list(dir, match_name, &m);
    bool may_lack = conf_is_default_glob(c, pattern);
    if (r != 0 && !(r == -ENOENT && may_lack))
        problems_add(problems, c->file, 0, 0, "%s: cannot read the folder %s: %s", f->option,
                     dir, strerror(-r));
    else if (m.found == 0 && !may_lack)
        problems_add(problems, c->file, 0, 0, "%s: \"%s\" finds no file, expected at least one",
                     f->option, pattern);
    if (m.bad)
        problems_add(problems, c->file, 0, 0,
                     "%s: \"%s\" finds a file with control characters in its name", f->option,
                     pattern);
    free(dir);
}

static struct files *read_files(const struct conf *c, const char *option,
                                const struct conf_list *patterns, size_t max,
                                struct problems *problems)
{
    struct files *f = mem_zalloc(sizeof(*f));
    f->option = option;
    for (size_t i = 0; i < patterns->n; i++)
        find_files(c, patterns->items[i], f, problems);
    if (f->more)
        problems_add(problems, c->file, 0, 0, "%s: %zu files, expected at most %d", option,
                     f->n + f->more, MAX_FILES);
    for (size_t i = 0; i < f->n; i++)
        (void)read_part(f->paths[i], max, c->file, 0, problems, &f->texts[i]);
    return f;
}

static void free_files(struct files *f)
{
    for (size_t i = 0; f && i < f->n; i++) {
        free((char *)(uintptr_t)f->texts[i].text);
        free(f->paths[i]);
    }
    free(f);
}

/* -- all ---------------------------------------------------------------------------------- */

static void read_parts(const struct conf *c, struct problems *problems,
                       struct world_text parts[WORLD_PARTS])
{
    const char *paths[WORLD_PARTS] = {[WORLD_CATALOG] = c->catalog,
                                      [WORLD_COMPOUNDS] = c->registry.compounds,
                                      [WORLD_DEVICES] = c->registry.devices,
                                      [WORLD_PARAMS] = c->registry.params};
    for (size_t i = WORLD_CATALOG; i <= WORLD_PARAMS; i++)
        (void)read_part(paths[i], WORLD_MAX_FILE, c->file, 0, problems, &parts[i]);
}

/* The world reads it once more, from the bundle: what is wrong or remarkable is to be said once. */
static int read_conf(const struct world_text *t, struct problems *problems, struct conf **out)
{
    struct problems *unsaid = problems_new(1);
    int r = conf_parse(t->text, t->len, t->file, unsaid, out);
    problems_free(unsaid);
    return r == 0 ? 0 : conf_parse(t->text, t->len, t->file, problems, out);
}

static int bundle(const struct world_text parts[WORLD_PARTS], const struct files *profiles,
                  const struct files *rules, struct buf *out)
{
    int r = world_bundle(parts, out);
    r = r == 0 ? world_bundle_profiles(profiles->texts, profiles->n, out) : r;
    return r == 0 ? world_bundle_rules(rules->texts, rules->n, out) : r;
}

int load_all(const char *conf_path, struct problems *problems, struct loaded *out)
{
    struct world_text parts[WORLD_PARTS] = {{0}};
    struct files *profiles = NULL, *rules = NULL;
    struct conf *first = NULL;
    struct world *w = NULL;
    int r = read_part(conf_path, MAX_CONF, NULL, 0, problems, &parts[WORLD_CONF]);
    if (r == 0)
        r = read_conf(&parts[WORLD_CONF], problems, &first);
    size_t before = problems_errors(problems);
    if (r == 0) {
        read_zone(first, problems, &parts[WORLD_ZONE]);
        read_parts(first, problems, parts);
        profiles = read_files(first, "profiles", &first->profiles, WORLD_MAX_PROFILE, problems);
        rules = read_files(first, "rules", &first->rules, RULES_MAX_FILE, problems);
    }
    if (r == 0 && problems_errors(problems) != before)
        r = -EINVAL;
    buf_init(&out->bundle, WORLD_MAX_BUNDLE);
    if (r == 0 && (r = bundle(parts, profiles, rules, &out->bundle)) != 0)
        problems_add(problems, conf_path, 0, 0, "all files together are larger than %zu bytes",
                     WORLD_MAX_BUNDLE);
    if (r == 0)
        r = world_open(out->bundle.data, out->bundle.len, problems, &w);
    if (r == 0) {
        out->world = w;
        out->conf = first;
    } else {
        conf_free(first);
        buf_done(&out->bundle);
    }
    for (size_t i = 0; i < WORLD_PARTS; i++)
        free((char *)(uintptr_t)parts[i].text);
    free_files(profiles);
    free_files(rules);
    return r == 0 ? 0 : -EINVAL;
}

void load_free(struct loaded *l)
{
    world_free(l->world);
    conf_free(l->conf);
    l->world = NULL;
    l->conf = NULL;
    buf_done(&l->bundle);
}
