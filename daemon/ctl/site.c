/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/site.h"
#include "base/mem.h"
#include "base/zone.h"
#include "core/json.h"
#include "core/world.h"
#include "ctl/exit.h"
#include "io/file.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PROBLEMS 100
#define CATALOG      "/etc/gaihou/catalog.yaml"

size_t site_tell(const struct problems *p)
{
    for (size_t i = 0; i < problems_count(p); i++)
        (void)fprintf(stderr, "%s\n", problems_get(p, i));
    return problems_errors(p);
}

static int cannot_read(const char *path, int error)
{
    if (error == -EFBIG)
        (void)fprintf(stderr, "gaihouctl: %s: too large\n", path);
    else
        (void)fprintf(stderr, "gaihouctl: %s: %s\n", path, strerror(-error));
    return CTL_REFUSED;
}

static int read_stdin(size_t max, char **out, size_t *out_len)
{
    struct buf b;
    char room[65536];
    buf_init(&b, max);
    for (size_t n; (n = fread(room, 1, sizeof(room), stdin)) > 0;)
        (void)buf_put(&b, room, n);
    if (b.failed || ferror(stdin)) {
        buf_done(&b);
        return cannot_read("standard input", b.failed ? -EFBIG : -EIO);
    }
    *out = mem_zalloc(b.len + 1 + JSON_PADDING);
    if (b.len)
        memcpy(*out, b.data, b.len);
    *out_len = b.len;
    buf_done(&b);
    return CTL_DONE;
}

int site_read(const char *path, size_t max, char **out, size_t *out_len)
{
    char *text;
    size_t len;
    if (strcmp(path, "-") == 0)
        return read_stdin(max, out, out_len);
    int r = file_load(path, max, &text, &len);
    if (r != 0)
        return cannot_read(path, r);
    text = mem_realloc_array(text, len + 1 + JSON_PADDING, 1);
    memset(text + len, 0, 1 + JSON_PADDING);
    *out = text;
    *out_len = len;
    return CTL_DONE;
}

static int tell_and_free(struct problems *p, int r, bool warn)
{
    if (r != 0 || warn)
        (void)site_tell(p);
    problems_free(p);
    return r == 0 ? CTL_DONE : CTL_REFUSED;
}

static int open_zone(struct site *s, const char *name)
{
    if (zone_open(name, &s->zone) == 0)
        return CTL_DONE;
    (void)fprintf(stderr,
                  "gaihouctl: this machine knows no time zone \"%s\", expected a name like "
                  "Asia/Shanghai\n",
                  name);
    return CTL_REFUSED;
}

int site_open_catalog(struct site *s, const char *catalog, const char *timezone)
{
    size_t len;
    const char *path = catalog ? catalog : CATALOG;
    if (!catalog && access(CATALOG, F_OK) != 0) {
        (void)fprintf(
            stderr,
            "gaihouctl: there is no %s here, expected --config FILE or --catalog FILE\n",
            CATALOG);
        return CTL_REFUSED;
    }
    int code = site_read(path, WORLD_MAX_FILE, &s->catalog_text, &len);
    if (code != CTL_DONE)
        return code;
    struct problems *p = problems_new(MAX_PROBLEMS);
    code = tell_and_free(p, catalog_parse(s->catalog_text, len, path, p, &s->catalog), false);
    return code == CTL_DONE ? open_zone(s, timezone) : code;
}

int site_open(struct site *s, const char *config)
{
    char *text, *path = realpath(config, NULL);
    size_t len;
    int code =
        path ? site_read(path, CONF_MAX_BYTES, &text, &len) : cannot_read(config, -errno);
    if (code == CTL_DONE) {
        struct problems *p = problems_new(MAX_PROBLEMS);
        code = tell_and_free(p, conf_parse(text, len, path, p, &s->conf), false);
        free(text);
    }
    free(path);
    if (code == CTL_DONE)
        code = site_open_catalog(s, s->conf->catalog, s->conf->gateway.timezone);
    return code;
}

static int add_profile(struct site *s, const char *path)
{
    struct profile_text t = {0};
    char *text;
    int code = site_read(path, WORLD_MAX_PROFILE, &text, &t.len);
    if (code != CTL_DONE)
        return code;
    t.file = mem_strdup(path);
    t.text = text;
    s->files = mem_realloc_array(s->files, s->n_files + 1, sizeof(*s->files));
    s->files[s->n_files++] = t;
    return CTL_DONE;
}

static int add_rules(struct site *s, const char *path)
{
    struct rules_text t = {0};
    char *text;
    int code = site_read(path, RULES_MAX_FILE, &text, &t.len);
    if (code != CTL_DONE)
        return code;
    t.file = mem_strdup(path);
    t.text = text;
    s->rule_files = mem_realloc_array(s->rule_files, s->n_rule_files + 1, sizeof(t));
    s->rule_files[s->n_rule_files++] = t;
    return CTL_DONE;
}

/* A folder that is not there has no files. */
static int glob_error; /* glob() itself only says that there was one */

static int on_glob_error(const char *path, int error)
{
    (void)path;
    glob_error = error;
    return error != ENOENT;
}

/* given: by who called; of the configuration's (its default among them) one may find nothing. */
static int add_pattern(struct site *s, const char *pattern, bool given,
                       int (*add)(struct site *s, const char *path))
{
    glob_t g = {0};
    int code = CTL_DONE;
    int r = glob(pattern, 0, on_glob_error, &g);
    if (r == GLOB_NOMATCH && (given || !strpbrk(pattern, "*?[")))
        code = cannot_read(pattern, -ENOENT);
    else if (r != 0 && r != GLOB_NOMATCH)
        code = cannot_read(pattern, r == GLOB_ABORTED ? -glob_error : -ENOMEM);
    for (size_t i = 0; code == CTL_DONE && r == 0 && i < g.gl_pathc; i++)
        code = add(s, g.gl_pathv[i]);
    globfree(&g);
    return code;
}

int site_profiles(struct site *s, const char *const *patterns, size_t n, bool warn)
{
    int code = CTL_DONE;
    bool given = n > 0;
    if (n == 0 && s->conf) {
        patterns = s->conf->profiles.items;
        n = s->conf->profiles.n;
    }
    for (size_t i = 0; i < n && code == CTL_DONE; i++)
        code = add_pattern(s, patterns[i], given, add_profile);
    if (code != CTL_DONE)
        return code;
    struct problems *p = problems_new(MAX_PROBLEMS);
    return tell_and_free(
        p, profile_set_open(s->files, s->n_files, s->catalog, s->zone, p, &s->profiles), warn);
}

/* As the registry's devices say, when they have been read: for lints. */
static uint32_t expected(void *ctx, const struct kind *k)
{
    const struct site *s = ctx;
    for (size_t i = 0; s->registry && i < registry_devices(s->registry); i++) {
        const struct device *d = registry_device_at(s->registry, i);
        if (d->kind == k && d->expected_interval_s)
            return d->expected_interval_s;
    }
    return 0;
}

int site_rules(struct site *s, const char *const *patterns, size_t n, bool warn)
{
    int code = CTL_DONE;
    bool given = n > 0;
    if (n == 0 && s->conf) {
        patterns = s->conf->rules.items;
        n = s->conf->rules.n;
    }
    for (size_t i = 0; i < n && code == CTL_DONE; i++)
        code = add_pattern(s, patterns[i], given, add_rules);
    if (code != CTL_DONE)
        return code;
    struct problems *p = problems_new(MAX_PROBLEMS);
    return tell_and_free(
        p, rules_parse(s->rule_files, s->n_rule_files, s->catalog, expected, s, p, &s->rules),
        warn);
}

static int read_csv(const char *path, struct registry_input *out, char **out_text)
{
    if (!path)
        return CTL_DONE;
    int code = site_read(path, WORLD_MAX_FILE, out_text, &out->len);
    out->file = path;
    out->text = *out_text;
    return code;
}

int site_registry(struct site *s, const char *devices, size_t len)
{
    struct registry_input in[3] = {{0}};
    char *texts[3] = {NULL};
    int code = read_csv(s->conf->registry.compounds, &in[0], &texts[0]);
    if (code == CTL_DONE && !devices)
        code = read_csv(s->conf->registry.devices, &in[1], &texts[1]);
    else if (code == CTL_DONE)
        in[1] = (struct registry_input){s->conf->registry.devices, devices, len};
    if (code == CTL_DONE)
        code = read_csv(s->conf->registry.params, &in[2], &texts[2]);
    registry_free(s->registry);
    s->registry = NULL;
    if (code == CTL_DONE) {
        struct problems *p = problems_new(MAX_PROBLEMS);
        code = tell_and_free(
            p, registry_parse(&in[0], &in[1], &in[2], s->catalog, p, &s->registry), false);
    }
    for (size_t i = 0; i < 3; i++)
        free(texts[i]);
    return code;
}

void site_close(struct site *s)
{
    rules_free(s->rules);
    profile_set_free(s->profiles);
    registry_free(s->registry);
    catalog_free(s->catalog);
    conf_free(s->conf);
    zone_free(s->zone);
    free(s->catalog_text);
    for (size_t i = 0; i < s->n_files; i++) {
        free((char *)(uintptr_t)s->files[i].file);
        free((char *)(uintptr_t)s->files[i].text);
    }
    free(s->files);
    for (size_t i = 0; i < s->n_rule_files; i++) {
        free((char *)(uintptr_t)s->rule_files[i].file);
        free((char *)(uintptr_t)s->rule_files[i].text);
    }
    free(s->rule_files);
    *s = (struct site){0};
}
