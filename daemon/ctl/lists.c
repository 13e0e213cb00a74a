/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/stamp.h"
#include "core/text.h"
#include "ctl/ctl.h"
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The verb, or the one that is meant when there is none; options follow from *out_at on. */
static const char *verb_of(int argc, char **argv, int *out_at)
{
    bool said = argc > 1 && strncmp(argv[1], "--", 2) != 0;
    *out_at = said ? 2 : 1;
    return said ? argv[1] : "list";
}

/* The array `name` of an answer as a table; keys as the columns of spec. `prepare` (may be NULL)
 * puts what people want to read into each row first. */
static int print_list(const struct ctl *c, char *path, const char *name, const char *spec,
                      const char *const *keys, size_t n, void (*prepare)(json_t *row))
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
        if (prepare)
            prepare(row);
        for (size_t k = 0; k < n; k++)
            cells[k] = ctl_text(row, keys[k]);
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
    json_t *next = json_object_get(j, "next"), *after = json_object_get(j, "after");
    if (json_is_number(next))
        printf("… there may be more: --before %s, or --limit\n", ctl_text(j, "next"));
    if (json_is_number(after))
        printf("… there is more: --after %s, or --limit\n", ctl_text(j, "after"));
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

/* {"replayed":3} as "replayed 3". */
static int post(const struct ctl *c, char *path)
{
    json_t *j = NULL, *v;
    const char *key;
    int code = ctl_post(c, path, &j);
    free(path);
    if (!code && c->json)
        ctl_print_json(j);
    else if (!code)
        json_object_foreach(j, key, v) printf("%s %s\n", key, ctl_count(j, key));
    json_decref(j);
    return code;
}

/* Not json_string(): core/json.h has a function of that name, and the library's is linked first. */
static void set_text(json_t *row, const char *key, const char *text)
{
    json_object_set_new(row, key, json_stringn(text, strlen(text)));
}

static void prepare_device(json_t *row)
{
    char stamp[STAMP_SIZE] = "never";
    int64_t seen = json_integer_value(json_object_get(row, "last_seen_ms"));
    if (seen > 0)
        stamp_format(stamp, seen, 0);
    set_text(row, "seen", stamp);
    bool retired = json_is_true(json_object_get(row, "retired"));
    bool silent = json_is_true(json_object_get(row, "silent"));
    set_text(row, "state", retired ? "retired" : silent ? "silent" : "");
}

int ctl_devices(const struct ctl *c, int argc, char **argv)
{
    static const char usage[] =
        "devices [list | show ID | silent] [--compound C] [--limit N] [--after N]";
    static const char *const keys[] = {"device",   "compound", "kind", "building",
                                       "messages", "seen",     "state"};
    const char *id = NULL;
    int at;
    const char *verb = verb_of(argc, argv, &at);
    struct ctl_param p[] = {
        {"compound", NULL}, {"limit", NULL}, {"after", NULL}, {"silent", NULL}};
    if (!ctl_options(argc - at, argv + at, p, 3, &id))
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
                      "DEVICE|COMPOUND|KIND|BUILDING|MESSAGES>|LAST SEEN|STATE", keys, 7,
                      prepare_device);
}

int ctl_compounds(const struct ctl *c, int argc, char **argv)
{
    static const char *const keys[] = {"compound", "name", "district", "community",
                                       "firm",     "tier", "devices"};
    (void)argv;
    if (argc > 1)
        return ctl_usage("compounds");
    return print_list(c, mem_strdup("/api/v1/compounds"), "compounds",
                      "COMPOUND|NAME:30|DISTRICT|COMMUNITY|FIRM|TIER|DEVICES>", keys, 7, NULL);
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
    if (!code && json_is_true(json_object_get(j, "refused")))
        code = CTL_REFUSED;
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

/* What is not known is left for a person to fill in: the kind, and a code of our own when what
 * the device calls itself cannot be one. */
static void print_row(const char *device, const char *compound)
{
    bool code = text_is_code(device, strlen(device));
    printf("# for devices.csv: fill in the kind%s and what else is known; then: gaihouctl "
           "reload,\n# then: gaihouctl quarantine adopt DEVICE --replay\n"
           "device,source_id,kind,compound,building,unit,room,point,expected_interval,"
           "power_domain,uplink,life_safety,consent,installed,retired,replaces,note\n",
           code ? "" : ", a code (column device)");
    print_cell(code ? device : "", ',');
    print_cell(code ? "" : device, ',');
    printf(",");
    print_cell(compound, ',');
    printf(",,,,,,,,,,,,\n");
}

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
    print_row(device, compound ? compound : "");
    json_decref(j);
    return CTL_DONE;
}

int ctl_quarantine(const struct ctl *c, int argc, char **argv)
{
    static const char usage[] =
        "quarantine [list | show DEVICE | adopt DEVICE [--replay] | purge] [--device ID]\n"
        "           [--topic PREFIX] [--limit N] [--before ID]";
    static const char *const keys[] = {"device", "compound",  "messages",
                                       "kept",   "last_seen", "topic"};
    const char *id = NULL;
    int at;
    const char *verb = verb_of(argc, argv, &at);
    struct ctl_param p[] = {
        {"device", NULL}, {"topic", NULL}, {"limit", NULL}, {"before", NULL}};
    bool replay = argc > at && strcmp(argv[argc - 1], "--replay") == 0;
    if (!ctl_options(argc - at - replay, argv + at, p, 4, &id))
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
                      "DEVICE:40|COMPOUND|MESSAGES>|KEPT>|LAST SEEN|TOPIC:60", keys, 6, NULL);
}

int ctl_dead(const struct ctl *c, int argc, char **argv)
{
    static const char usage[] = "dead [list | show ID | replay | purge] [--id N] [--reason R] "
                                "[--topic PREFIX] [--limit N] [--before ID]";
    static const char *const keys[] = {"id",    "time", "kind",   "reason",
                                       "topic", "sink", "payload"};
    const char *id = NULL;
    int at;
    const char *verb = verb_of(argc, argv, &at);
    struct ctl_param p[] = {
        {"id", NULL}, {"reason", NULL}, {"topic", NULL}, {"limit", NULL}, {"before", NULL}};
    if (!ctl_options(argc - at, argv + at, p, 5, &id))
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
                      "ID>|TIME|KIND|REASON|TOPIC:40|SINK|PAYLOAD:60", keys, 7, NULL);
}
