/* SPDX-License-Identifier: Apache-2.0 */
#include "app/load.h"
#include "base/mem.h"
#include "io/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONF ((size_t)1 << 20)
#define LARGE    ((size_t)1 << 20) /* a file worth a look before */

/* A problem at an option of the configuration, with its name before it. */
__attribute__((format(printf, 4, 5))) static void told_at(const struct conf *c,
                                                          const char *option,
                                                          struct problems *problems,
                                                          const char *fmt, ...)
{
    const struct conf_place at = conf_place(c, NULL, option);
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    problems_add(problems, c->file, at.line, at.col, "%s: %s", option, text);
}

/* by: the option that names it; NULL: the command line. */
static int read_part(const char *path, size_t max, const struct conf *c, const char *by,
                     struct problems *problems, struct world_text *out)
{
    char *text = NULL;
    size_t len = 0;
    if (!path)
        return 0;
    int r = file_load(path, max, &text, &len);
    if (r == -EFBIG)
        problems_add(problems, path, 0, 0, "larger than %zu bytes", max);
    else if (r != 0 && by)
        told_at(c, by, problems, "cannot read %s: %s", path, strerror(-r));
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
    if (!c->gateway.timezone)
        return;
    buf_init(&text, 1 << 20);
    if (zone_open(c->gateway.timezone, &z) != 0)
        told_at(c, "gateway.timezone", problems,
                "this machine knows no time zone \"%s\", expected a name like Asia/Shanghai",
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
    size_t n_texts; /* that could be read */
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
        told_at(c, f->option, problems, "cannot read the folder %s: %s", dir, strerror(-r));
    else if (m.found == 0 && !may_lack)
        told_at(c, f->option, problems, "\"%s\" finds no file, expected at least one", pattern);
    if (m.bad)
        told_at(c, f->option, problems,
                "\"%s\" finds a file with control characters in its name", pattern);
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
        told_at(c, option, problems, "%zu files, expected at most %d", f->n + f->more,
                MAX_FILES);
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        f->texts[n] = (struct world_text){0};
        n += read_part(f->paths[i], max, c, option, problems, &f->texts[n]) == 0;
    }
    f->n_texts = n;
    return f;
}

static void free_files(struct files *f)
{
    for (size_t i = 0; i < f->n_texts; i++)
        free((char *)(uintptr_t)f->texts[i].text);
    for (size_t i = 0; i < f->n; i++)
        free(f->paths[i]);
    free(f);
}

/* -- all ---------------------------------------------------------------------------------- */

/* Straight into the bundle: a second copy in memory that is not the process's yet takes as long as
 * reading the file. False: it is small, cannot be read, or changes; nothing is put. */
static bool put_large(const char *path, enum world_part i, struct buf *out)
{
    struct file *f = NULL;
    uint64_t size = 0;
    size_t before = out->len, n = 0, more = 0;
    char end, *at = NULL;
    bool put = false;
    if (file_open(path, FILE_READ, &f) != 0)
        return false;
    if (file_size(f, &size) == 0 && size >= LARGE && size <= WORLD_MAX_FILE)
        at = world_bundle_room(i, path, (size_t)size, out);
    if (at)
        put = file_read(f, 0, at, (size_t)size, &n) == 0 && n == size &&
              file_read(f, size, &end, 1, &more) == 0 && more == 0;
    file_close(f);
    if (put)
        world_bundle_filled((size_t)size, out);
    else
        out->len = before;
    return put;
}

/* False: it cannot be read, which was told. */
static bool put_file(const char *path, const struct conf *c, const char *by, enum world_part i,
                     struct problems *problems, struct buf *out)
{
    struct world_text t = {0};
    if (!path || put_large(path, i, out))
        return true;
    int r = read_part(path, WORLD_MAX_FILE, c, by, problems, &t);
    (void)world_bundle_part(i, &t, out);
    free((char *)(uintptr_t)t.text);
    return r == 0;
}

/* What could not be read was told: the others are looked at all the same. Devices without their
 * compounds would be told once more, each. */
static void put_registry(const struct conf *c, struct problems *problems, struct buf *out)
{
    size_t before = out->len;
    bool all = put_file(c->registry.compounds, c, "registry.compounds", WORLD_COMPOUNDS,
                        problems, out);
    all = put_file(c->registry.devices, c, "registry.devices", WORLD_DEVICES, problems, out) &&
          all;
    (void)put_file(c->registry.params, c, "registry.params", WORLD_PARAMS, problems, out);
    if (!all)
        out->len = before;
}

/* Profiles and rules, behind the parts. */
static void put_others(const struct conf *c, struct problems *problems, struct buf *out)
{
    struct files *profiles =
        read_files(c, "profiles", &c->profiles, WORLD_MAX_PROFILE, problems);
    struct files *rules = read_files(c, "rules", &c->rules, RULES_MAX_FILE, problems);
    (void)world_bundle_profiles(profiles->texts, profiles->n_texts, out);
    (void)world_bundle_rules(rules->texts, rules->n_texts, out);
    free_files(profiles);
    free_files(rules);
}

/* The world reads it once more, from the bundle: what is wrong or remarkable is to be said once. */
static int read_conf(const struct world_text *t, struct problems *problems, struct conf **out)
{
    struct problems *unsaid = problems_new(1);
    int r = conf_parse(t->text, t->len, t->file, unsaid, out);
    problems_free(unsaid);
    return r == 0 ? 0 : conf_parse(t->text, t->len, t->file, problems, out);
}

/* The world of all that could be read; NULL when there is something wrong with any of it. */
static struct world *make_world(const struct conf *c, const struct world_text *conf,
                                struct problems *problems, struct buf *bundle)
{
    struct world *w = NULL;
    struct world_text zone = {0};
    size_t before = problems_errors(problems);
    read_zone(c, problems, &zone);
    (void)world_bundle_begin(bundle);
    (void)world_bundle_part(WORLD_CONF, conf, bundle);
    bool catalog = put_file(c->catalog, c, "catalog", WORLD_CATALOG, problems, bundle);
    put_registry(c, problems, bundle);
    (void)world_bundle_part(WORLD_ZONE, &zone, bundle);
    free((char *)(uintptr_t)zone.text);
    put_others(c, problems, bundle);
    bool whole = problems_errors(problems) == before;
    if (bundle->failed)
        problems_add(problems, c->file, 0, 0, "all files together are larger than %zu bytes",
                     WORLD_MAX_BUNDLE);
    else if (catalog && c->catalog)
        (void)world_open(bundle->data, bundle->len, problems, &w);
    if (!whole) {
        world_free(w);
        w = NULL;
    }
    return w;
}

/* The configuration was refused: what is wrong in the files that it names is said all the same. */
static void look_further(const struct world_text *conf, struct problems *problems,
                         struct buf *bundle)
{
    struct conf *c = conf_parse_files(conf->text, conf->len, conf->file);
    if (c)
        world_free(make_world(c, &(struct world_text){0}, problems, bundle));
    conf_free(c);
}

int load_all(const char *conf_path, struct problems *problems, struct loaded *out)
{
    struct world_text text = {0};
    buf_init(&out->bundle, WORLD_MAX_BUNDLE);
    out->world = NULL;
    out->conf = NULL;
    if (read_part(conf_path, MAX_CONF, NULL, NULL, problems, &text) == 0 &&
        read_conf(&text, problems, &out->conf) == 0) {
        if (out->begins)
            out->begins(out->ctx, out->conf);
        out->world = make_world(out->conf, &text, problems, &out->bundle);
    } else if (text.text)
        look_further(&text, problems, &out->bundle);
    free((char *)(uintptr_t)text.text);
    return out->world ? 0 : -EINVAL;
}

void load_free(struct loaded *l)
{
    world_free(l->world);
    conf_free(l->conf);
    l->world = NULL;
    l->conf = NULL;
    buf_done(&l->bundle);
}
