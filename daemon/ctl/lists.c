/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "ctl/audit.h"
#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ctl_verb(int argc, char **argv, int *out_at)
{
    bool said = argc > 1 && strncmp(argv[1], "--", 2) != 0;
    *out_at = said ? 2 : 1;
    return said ? argv[1] : "list";
}

int ctl_list(const struct ctl *c, char *path, const char *name, const char *spec,
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
    if (json_array_size(json_object_get(j, name)) == 0)
        (void)fprintf(stderr, "(none)\n");
    json_t *next = json_object_get(j, "next"), *after = json_object_get(j, "after");
    if (json_is_number(next))
        printf("… there may be more: --before %s, or --limit\n", ctl_text(j, "next"));
    if (json_is_number(after))
        printf("… there is more: --after %s, or --limit\n", ctl_text(j, "after"));
    json_decref(j);
    return CTL_DONE;
}

int ctl_one(const struct ctl *c, const char *prefix, const char *id)
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

int ctl_say(const struct ctl *c, char *path)
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
    char room[32];
    int64_t seen = json_integer_value(json_object_get(row, "last_seen_ms"));
    set_text(row, "seen", seen > 0 ? ctl_clock(room, seen) : "never");
    bool retired = json_is_true(json_object_get(row, "retired"));
    bool silent = json_is_true(json_object_get(row, "silent"));
    set_text(row, "state", retired ? "retired" : silent ? "silent" : "");
}

static void prepare_unknown(json_t *row)
{
    char why[128], room[32];
    const char *kind = json_string_value(json_object_get(row, "kind"));
    (void)snprintf(why, sizeof(why), kind ? "no metric of kind %.64s" : "not in the profile%s",
                   kind ? kind : "");
    set_text(row, "why", why);
    set_text(row, "first",
             ctl_clock(room, json_integer_value(json_object_get(row, "first_ms"))));
    set_text(row, "last", ctl_clock(room, json_integer_value(json_object_get(row, "last_ms"))));
}

int ctl_profile_unknown(const struct ctl *c, int argc, char **argv)
{
    static const char *const keys[] = {"profile", "name",  "why", "count",
                                       "device",  "first", "last"};
    const char *rest = NULL;
    struct ctl_param p[] = {{"profile", NULL}};
    if (!ctl_options(argc - 1, argv + 1, p, 1, &rest))
        return CTL_USAGE;
    if (rest)
        return usage_wrong("profile", "unknown");
    return ctl_list(c, ctl_path("/api/v1/unknown", p, 1), "names",
                    "PROFILE:40|NAME:64|WHY|COUNT>|LAST DEVICE:40|FIRST|LAST", keys, 7,
                    prepare_unknown);
}

/* --json may stand before the command like everywhere. */
static int audit(const struct ctl *c, int argc, char **argv)
{
    char json[] = "--json";
    if (!c->json)
        return ctl_audit(argc, argv);
    char **longer = mem_zalloc_array((size_t)argc + 2, sizeof(*longer));
    memcpy(longer, argv, (size_t)argc * sizeof(*longer));
    longer[argc] = json;
    int code = ctl_audit(argc + 1, longer);
    free(longer);
    return code;
}

int ctl_devices(const struct ctl *c, int argc, char **argv)
{
    static const char *const keys[] = {"device",   "compound", "kind", "building",
                                       "messages", "seen",     "state"};
    const char *id = NULL;
    int at;
    const char *verb = ctl_verb(argc, argv, &at);
    if (strcmp(verb, "audit") == 0)
        return audit(c, argc - 1, argv + 1);
    struct ctl_param p[] = {
        {"compound", NULL}, {"limit", NULL}, {"after", NULL}, {"silent", NULL}};
    if (!ctl_options(argc - at, argv + at, p, 3, &id))
        return CTL_USAGE;
    if (strcmp(verb, "show") == 0 && id)
        return ctl_device(c, id);
    if (strcmp(verb, "silent") == 0)
        p[3].value = "1";
    else if (strcmp(verb, "list") != 0)
        return usage_wrong("devices", NULL);
    if (id)
        return usage_wrong("devices", NULL);
    return ctl_list(c, ctl_path("/api/v1/devices", p, 4), "devices",
                    "DEVICE|COMPOUND|KIND|BUILDING|MESSAGES>|LAST SEEN|STATE", keys, 7,
                    prepare_device);
}

int ctl_compounds(const struct ctl *c, int argc, char **argv)
{
    static const char *const keys[] = {"compound", "name", "district", "community",
                                       "firm",     "tier", "devices"};
    (void)argv;
    if (argc > 1)
        return usage_wrong("compounds", NULL);
    return ctl_list(c, mem_strdup("/api/v1/compounds"), "compounds",
                    "COMPOUND|NAME:30|DISTRICT|COMMUNITY|FIRM|TIER|DEVICES>", keys, 7, NULL);
}

int ctl_reload(const struct ctl *c, int argc, char **argv)
{
    json_t *j = NULL;
    (void)argv;
    if (argc > 1)
        return usage_wrong("reload", NULL);
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

/* Lines that a database had refused, sent to it once more. */
static int retake(const struct ctl *c, char *path)
{
    json_t *j = NULL;
    int code = ctl_post(c, path, &j);
    free(path);
    const char *problem = json_string_value(json_object_get(j, "problem"));
    if (code == CTL_DONE && c->json) {
        ctl_print_json(j);
    } else if (code == CTL_DONE) {
        printf("taken %s, refused again %s, of %s lines%s\n", ctl_count(j, "taken"),
               ctl_count(j, "refused"), ctl_count(j, "lines"),
               json_is_true(json_object_get(j, "more")) ? "; there are more" : "");
        if (problem && *problem)
            fprintf(stderr, "gaihouctl: the rest was not tried: %s\n", problem);
    }
    if (code == CTL_DONE && problem && *problem)
        code = CTL_REFUSED;
    json_decref(j);
    return code;
}

static void prepare_dead(json_t *row)
{
    ctl_set_clock(row, "time", ctl_text(row, "time"));
}

int ctl_dead(const struct ctl *c, int argc, char **argv)
{
    static const char *const keys[] = {"id",    "time", "kind",   "reason",
                                       "topic", "sink", "payload"};
    const char *id = NULL;
    int at;
    const char *verb = ctl_verb(argc, argv, &at);
    struct ctl_param p[] = {{"id", NULL},    {"reason", NULL}, {"topic", NULL},
                            {"limit", NULL}, {"before", NULL}, {"sink", NULL}};
    if (!ctl_options(argc - at, argv + at, p, 6, &id))
        return CTL_USAGE;
    if (strcmp(verb, "show") == 0 && id)
        return ctl_one(c, "/api/v1/dead", id);
    bool lines = p[5].value && strcmp(verb, "replay") == 0;
    if (id || (p[5].value && !lines) || (lines && p[2].value))
        return usage_wrong("dead", NULL);
    if (lines)
        return retake(c, ctl_path("/api/v1/dead/replay", p, 6));
    if (strcmp(verb, "replay") == 0)
        return ctl_say(c, ctl_path("/api/v1/dead/replay", p, 5));
    if (strcmp(verb, "purge") == 0) /* which takes no number of them, and says so */
        return ctl_say(c, ctl_path("/api/v1/dead/purge", p, 5));
    if (strcmp(verb, "list") != 0)
        return usage_wrong("dead", NULL);
    return ctl_list(c, ctl_path("/api/v1/dead", p, 5), "dead",
                    "ID>|TIME|KIND|REASON|TOPIC:40|SINK|PAYLOAD:60", keys, 7, prepare_dead);
}
