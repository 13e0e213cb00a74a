/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tools.h"
#include "ctl/exit.h"
#include "ctl/site.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONFIG "/etc/gaihou/gaihou.yaml"

static void drop(int *argc, char **argv, int at, int n)
{
    memmove(argv + at, argv + at + n, (size_t)(*argc - at - n) * sizeof(*argv));
    *argc -= n;
}

bool tools_take_flag(int *argc, char **argv, const char *name)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            drop(argc, argv, i, 1);
            return true;
        }
    }
    return false;
}

const char *tools_take(int *argc, char **argv, const char *name, bool *ok)
{
    size_t n = strlen(name);
    for (int i = 1; i < *argc; i++) {
        const char *a = argv[i];
        if (strncmp(a, name, n) != 0 || (a[n] && a[n] != '='))
            continue;
        const char *value = a[n] ? a + n + 1 : i + 1 < *argc ? argv[i + 1] : NULL;
        if (!value) {
            (void)fprintf(stderr, "gaihouctl: %s lacks its value\n", name);
            *ok = false;
            return NULL;
        }
        drop(argc, argv, i, a[n] ? 1 : 2);
        return value;
    }
    return NULL;
}

bool tools_take_files(struct tools_files *f, int *argc, char **argv)
{
    bool ok = true;
    *f = (struct tools_files){.config = tools_take(argc, argv, "--config", &ok)};
    f->catalog = tools_take(argc, argv, "--catalog", &ok);
    f->timezone = tools_take(argc, argv, "--timezone", &ok);
    while (ok && f->n_profiles < TOOLS_PATTERNS &&
           (f->profiles[f->n_profiles] = tools_take(argc, argv, "--profiles", &ok)))
        f->n_profiles++;
    return ok;
}

int tools_open(struct site *s, const struct tools_files *f, bool profiles)
{
    const char *config = f->config;
    if (!config && !f->catalog && !f->n_profiles && access(CONFIG, R_OK) == 0)
        config = CONFIG;
    int code =
        config ? site_open(s, config)
               : site_open_catalog(s, f->catalog, f->timezone ? f->timezone : "Asia/Shanghai");
    if (code == CTL_DONE && profiles)
        code = site_profiles(s, f->profiles, f->n_profiles, false);
    return code;
}
