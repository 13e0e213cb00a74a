/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl devices show: one device, and what it said last. */
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *member(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static const char *when(const json_t *o, const char *key, char room[32])
{
    int64_t ms = json_integer_value(json_object_get(o, key));
    return ms > 0 ? ctl_clock(room, ms) : "never";
}

/* -- the device ------------------------------------------------------------------------------- */

static void add(struct ctl_table *t, const char *name, const char *text)
{
    if (*text)
        ctl_table_add(t, (const char *const[]){name, text});
}

static void add_text(struct ctl_table *t, const json_t *d, const char *key)
{
    add(t, key, member(d, key));
}

static void print_device(const json_t *d)
{
    static const char *const places[] = {"building", "unit", "room", "point", "uplink"};
    static const char *const things[] = {"source_id", "vendor",      "model",
                                         "replaces",  "replaced_by", "note"};
    /* The first line is the device; in codes there is nothing that a table would take for its own. */
    char *spec = mem_printf("device|%s", member(d, "device"));
    struct ctl_table *t = ctl_table_new(spec);
    char room[32], line[256];
    int64_t off = json_integer_value(json_object_get(d, "clock_offset_ms"));
    add_text(t, d, "kind");
    (void)snprintf(line, sizeof(line), "%s %s", member(d, "compound"),
                   member(d, "compound_name"));
    add(t, "compound", line);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        add_text(t, d, places[i]);
    for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
        add_text(t, d, things[i]);
    (void)snprintf(line, sizeof(line), "%s%s%s%s", when(d, "last_seen_ms", room),
                   json_is_true(json_object_get(d, "silent")) ? ", silent" : "",
                   json_is_true(json_object_get(d, "retired")) ? ", retired" : "",
                   json_is_true(json_object_get(d, "life_safety")) ? ", life safety" : "");
    add(t, "last seen", line);
    add(t, "messages", ctl_count(d, "messages"));
    if (json_is_true(json_object_get(d, "clock_off"))) {
        (void)snprintf(line, sizeof(line), "%lld s %s, corrected",
                       (long long)((off < 0 ? -off : off) + 500) / 1000,
                       off < 0 ? "behind" : "ahead");
        add(t, "clock", line);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
    free(spec);
}

/* -- what it said last ------------------------------------------------------------------------ */

static char *value_text(const json_t *v)
{
    const json_t *x = json_object_get(v, "value");
    const char *title = member(v, "value_title");
    if (json_is_string(x) && *title)
        return mem_printf("%s %s", json_string_value(x), title);
    return mem_strdup(json_is_boolean(x) ? (json_is_true(x) ? "true" : "false")
                                         : ctl_text(v, "value"));
}

static void add_value(struct ctl_table *t, const json_t *point, const json_t *v)
{
    const char *reason = member(v, "reason"), *clock = member(v, "clock");
    char quality[64], room[32], *value = value_text(v);
    (void)snprintf(quality, sizeof(quality), "%.20s%s%.30s", member(v, "quality"),
                   *reason ? ": " : "", reason);
    const char *cells[] = {member(point, "point"),
                           member(v, "metric"),
                           member(v, "title"),
                           value,
                           member(v, "unit"),
                           quality,
                           when(v, "time_ms", room),
                           strcmp(clock, "device") == 0      ? "device's"
                           : strcmp(clock, "corrected") == 0 ? "device's, corrected"
                                                             : "receipt"};
    ctl_table_add(t, cells);
    free(value);
}

static const char *why_absent(const char *state)
{
    if (strcmp(state, "released") == 0)
        return "is no longer in the journal";
    if (strcmp(state, "damaged") == 0)
        return "cannot be read from the journal";
    if (strcmp(state, "changed") == 0)
        return "says nothing of this device as it is configured now";
    return "came before this version: where it is was not noted";
}

static void print_absent(const json_t *point)
{
    char room[32];
    const char *name = member(point, "point");
    char *clean = ctl_clean(name, strlen(name), 64);
    printf("%s%s%sthe last message, of %s, %s\n", *clean ? "point " : "", clean,
           *clean ? ": " : "", when(point, "time_ms", room),
           why_absent(member(point, "state")));
    free(clean);
}

static void print_last(const json_t *last)
{
    struct ctl_table *t =
        ctl_table_new("POINT:30|METRIC|TITLE:30|VALUE>:40|UNIT|QUALITY|TIME|CLOCK");
    size_t i, k, n = 0;
    json_t *point, *v;
    json_array_foreach(last, i, point)
    {
        json_array_foreach(json_object_get(point, "values"), k, v)
        {
            add_value(t, point, v);
            n++;
        }
    }
    printf("\n");
    if (n > 0)
        ctl_table_print(t, stdout);
    else if (json_array_size(last) == 0)
        printf("no values yet\n");
    ctl_table_free(t);
    json_array_foreach(last, i, point)
    {
        if (json_array_size(json_object_get(point, "values")) == 0)
            print_absent(point);
    }
}

int ctl_device(const struct ctl *c, const char *code)
{
    json_t *j = NULL;
    char *name = ctl_encode(code), *path = mem_printf("/api/v1/devices/%s", name);
    int status = ctl_get(c, path, &j);
    if (!status && c->json) {
        ctl_print_json(j);
    } else if (!status) {
        print_device(j);
        print_last(json_object_get(j, "last"));
    }
    json_decref(j);
    free(name);
    free(path);
    return status;
}
