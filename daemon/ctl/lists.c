/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The array `name` of an answer as a table; keys as the columns of spec. */
static int print_list(const struct ctl *c, char *path, const char *name, const char *spec,
                      const char *const *keys, size_t n)
{
    json_t *j = NULL, *row;
    size_t i;
    int code = ctl_get(c, path, &j);
    free(path);
    if (code)
        return code;
    if (c->json) {
        ctl_print_json(j);
        json_decref(j);
        return CTL_DONE;
    }
    struct ctl_table *t = ctl_table_new(spec);
    json_array_foreach(json_object_get(j, name), i, row)
    {
        const char *cells[CTL_TABLE_COLUMNS];
        for (size_t k = 0; k < n; k++)
            cells[k] = ctl_text(row, keys[k]);
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
    json_t *next = json_object_get(j, "next");
    if (next && !json_is_null(next))
        printf("… there is more: narrow it down, or use --limit\n");
    json_decref(j);
    return CTL_DONE;
}

static int print_one(const struct ctl *c, const char *prefix, const char *id)
{
    json_t *j = NULL;
    char *name = ctl_encode(id), *path = mem_printf("%s/%s", prefix, name);
    int code = ctl_get(c, path, &j);
    if (!code)
        ctl_print_json(j);
    json_decref(j);
    free(name);
    free(path);
    return code;
}

static int post(const struct ctl *c, char *path)
{
    json_t *j = NULL;
    int code = ctl_post(c, path, &j);
    free(path);
    if (!code)
        ctl_print_json(j);
    json_decref(j);
    return code;
}

int ctl_devices(const struct ctl *c, int argc, char **argv)
{
    static const char usage[] = "devices [list | show ID | silent] [--compound C] [--limit N]";
    static const char *const keys[] = {"id", "compound", "kind", "name", "last_seen", "state"};
    const char *verb = argc > 1 ? argv[1] : "list", *id = NULL;
    struct ctl_param p[] = {
        {"compound", NULL}, {"limit", NULL}, {"after", NULL}, {"silent", NULL}};
    if (argc > 1 && !ctl_options(argc - 2, argv + 2, p, 3, &id))
        return CTL_USAGE;
    if (strcmp(verb, "show") == 0 && id)
        return print_one(c, "/api/v1/devices", id);
    if (strcmp(verb, "silent") == 0)
        p[3].value = "1";
    else if (strcmp(verb, "list") != 0)
        return ctl_usage(usage);
    if (id)
        return ctl_usage(usage);
    return print_list(c, ctl_path("/api/v1/devices", p, 4), "devices",
                      "DEVICE|COMPOUND|KIND|NAME:30|LAST SEEN|STATE", keys, 6);
}

int ctl_compounds(const struct ctl *c, int argc, char **argv)
{
    static const char *const keys[] = {"id", "name", "firm", "devices", "seen"};
    (void)argv;
    if (argc > 1)
        return ctl_usage("compounds");
    return print_list(c, mem_strdup("/api/v1/compounds"), "compounds",
                      "COMPOUND|NAME:30|FIRM|DEVICES>|SEEN>", keys, 5);
}

int ctl_ledger(const struct ctl *c, int argc, char **argv)
{
    json_t *j = NULL;
    (void)argv;
    if (argc > 1)
        return ctl_usage("ledger");
    int code = ctl_get(c, "/api/v1/ledger", &j);
    if (!code)
        ctl_print_json(j);
    json_decref(j);
    return code;
}

int ctl_reload(const struct ctl *c, int argc, char **argv)
{
    json_t *j = NULL;
    (void)argv;
    if (argc > 1)
        return ctl_usage("reload");
    int code = ctl_post(c, "/api/v1/reload", &j);
    if (!code && c->json)
        ctl_print_json(j);
    else if (!code)
        printf("%s\n", ctl_text(j, "text"));
    json_decref(j);
    return code;
}

/* The CSV cell, quoted where a spreadsheet needs it. */
static void print_cell(const char *s, char end)
{
    bool quote = s[strcspn(s, ",\"\r\n")] != '\0';
    if (quote)
        putchar('"');
    for (; *s; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    if (quote)
        putchar('"');
    putchar(end);
}

/* id,compound,kind,name: what is not known is left for a person to fill in. */
static int adopt(const struct ctl *c, const char *device, bool replay)
{
    json_t *j = NULL;
    struct ctl_param p = {"device", device};
    if (replay)
        return post(c, ctl_path("/api/v1/quarantine/replay", &p, 1));
    char *name = ctl_encode(device), *path = mem_printf("/api/v1/quarantine/%s", name);
    int code = ctl_get(c, path, &j);
    free(name);
    free(path);
    if (code)
        return code;
    const char *compound = json_string_value(json_object_get(j, "compound"));
    printf("# for devices.csv (fill in the kind), then: gaihouctl reload,\n"
           "# then: gaihouctl quarantine adopt DEVICE --replay\nid,compound,kind,name\n");
    print_cell(device, ',');
    print_cell(compound ? compound : "", ',');
    printf(",\n");
    json_decref(j);
    return CTL_DONE;
}

int ctl_quarantine(const struct ctl *c, int argc, char **argv)
{
    static const char usage[] =
        "quarantine [list | show ID | adopt ID [--replay] | purge [--device ID]] [--limit N]";
    static const char *const keys[] = {"device", "compound",  "messages",
                                       "kept",   "last_seen", "topic"};
    const char *verb = argc > 1 ? argv[1] : "list", *id = NULL;
    struct ctl_param p[] = {
        {"device", NULL}, {"topic", NULL}, {"limit", NULL}, {"before", NULL}};
    bool replay = argc > 2 && strcmp(argv[argc - 1], "--replay") == 0;
    if (argc > 1 && !ctl_options(argc - 2 - replay, argv + 2, p, 4, &id))
        return CTL_USAGE;
    if (strcmp(verb, "show") == 0 && id)
        return print_one(c, "/api/v1/quarantine", id);
    if (strcmp(verb, "adopt") == 0 && id)
        return adopt(c, id, replay);
    if (id || replay)
        return ctl_usage(usage);
    if (strcmp(verb, "purge") == 0)
        return post(c, ctl_path("/api/v1/quarantine/purge", p, 2));
    if (strcmp(verb, "list") != 0)
        return ctl_usage(usage);
    return print_list(c, ctl_path("/api/v1/quarantine", p, 4), "devices",
                      "DEVICE:40|COMPOUND|MESSAGES>|KEPT>|LAST SEEN|TOPIC:60", keys, 6);
}

int ctl_dead(const struct ctl *c, int argc, char **argv)
{
    static const char usage[] = "dead [list | show ID | replay | purge] [--id N] [--reason R] "
                                "[--topic PREFIX] [--limit N] [--before ID]";
    static const char *const keys[] = {"id",    "time", "kind",   "reason",
                                       "topic", "sink", "payload"};
    const char *verb = argc > 1 ? argv[1] : "list", *id = NULL;
    struct ctl_param p[] = {
        {"id", NULL}, {"reason", NULL}, {"topic", NULL}, {"limit", NULL}, {"before", NULL}};
    if (argc > 1 && !ctl_options(argc - 2, argv + 2, p, 5, &id))
        return CTL_USAGE;
    if (strcmp(verb, "show") == 0 && id)
        return print_one(c, "/api/v1/dead", id);
    if (id)
        return ctl_usage(usage);
    if (strcmp(verb, "replay") == 0)
        return post(c, ctl_path("/api/v1/dead/replay", p, 3));
    if (strcmp(verb, "purge") == 0)
        return post(c, ctl_path("/api/v1/dead/purge", p, 3));
    if (strcmp(verb, "list") != 0)
        return ctl_usage(usage);
    return print_list(c, ctl_path("/api/v1/dead", p, 5), "dead",
                      "ID>|TIME|KIND|REASON|TOPIC:40|SINK|PAYLOAD:60", keys, 7);
}
