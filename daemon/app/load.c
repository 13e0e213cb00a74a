/* SPDX-License-Identifier: Apache-2.0 */
#include "app/load.h"
#include "base/zone.h"
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

static void check_zone(const struct conf *c, struct problems *problems)
{
    struct zone *z = NULL;
    if (zone_open(c->gateway.timezone, &z) != 0)
        problems_add(
            problems, c->file, 0, 0,
            "gateway.timezone: this machine knows no time zone \"%s\", expected a name "
            "like Asia/Shanghai",
            c->gateway.timezone);
    zone_free(z);
}

static void read_parts(const struct conf *c, struct problems *problems,
                       struct world_text parts[WORLD_PARTS])
{
    const char *paths[WORLD_PARTS] = {[WORLD_CATALOG] = c->catalog,
                                      [WORLD_COMPOUNDS] = c->registry.compounds,
                                      [WORLD_DEVICES] = c->registry.devices,
                                      [WORLD_PARAMS] = c->registry.params};
    for (size_t i = WORLD_CATALOG; i < WORLD_PARTS; i++)
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

int load_all(const char *conf_path, struct problems *problems, struct loaded *out)
{
    struct world_text parts[WORLD_PARTS] = {{0}};
    struct conf *first = NULL;
    struct world *w = NULL;
    int r = read_part(conf_path, MAX_CONF, NULL, 0, problems, &parts[WORLD_CONF]);
    if (r == 0)
        r = read_conf(&parts[WORLD_CONF], problems, &first);
    size_t before = problems_errors(problems);
    if (r == 0) {
        check_zone(first, problems);
        read_parts(first, problems, parts);
    }
    if (r == 0 && problems_errors(problems) != before)
        r = -EINVAL;
    buf_init(&out->bundle, WORLD_MAX_BUNDLE);
    if (r == 0 && (r = world_bundle(parts, &out->bundle)) != 0)
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
