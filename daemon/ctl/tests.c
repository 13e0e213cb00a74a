/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaihouctl alerts tests: what is in test mode now, and what came of a test: which devices of a
 * building raised an alarm within it, and which did not. What is shown is what the gateway recorded.
 */
#include "base/mem.h"
#include "base/stamp.h"
#include "ctl/alerts.h"
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE "1000"

enum { P_FROM, P_TO, P_KIND, N_PARAMS };

static void set(json_t *row, const char *key, const char *text)
{
    json_object_set_new(row, key, json_stringn(text, strlen(text)));
}

static const char *member(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* -- what is in test -------------------------------------------------------------------------- */

static int in_force(const struct ctl *c, json_t *tests)
{
    struct ctl_table *t = ctl_table_new("IN TEST|SINCE|UNTIL|BY:30");
    size_t i;
    json_t *row;
    if (c->json)
        return ctl_print_json(tests);
    json_array_foreach(tests, i, row)
    {
        ctl_set_clock(row, "since", ctl_text(row, "since"));
        ctl_set_clock(row, "until", ctl_text(row, "until"));
        const char *cells[] = {ctl_text(row, "scope"), ctl_text(row, "since"),
                               ctl_text(row, "until"), ctl_text(row, "by")};
        ctl_table_add(t, cells);
    }
    if (json_array_size(tests) == 0)
        printf("nothing is in test\n");
    else
        ctl_table_print(t, stdout);
    ctl_table_free(t);
    return CTL_DONE;
}

/* -- what came of it -------------------------------------------------------------------------- */

struct scope { /* "device/D", "building/C/B", "compound/C" */
    char *device, *compound, *building;
};

static void scope_done(struct scope *s)
{
    free(s->device);
    free(s->compound);
    free(s->building);
}

static bool read_scope(const char *text, struct scope *out)
{
    const char *of = strchr(text, '/'), *slash = of ? strchr(of + 1, '/') : NULL;
    size_t word = of ? (size_t)(of - text) : 0;
    *out = (struct scope){0};
    if (word == 6 && memcmp(text, "device", 6) == 0 && of[1] && !slash)
        out->device = mem_strdup(of + 1);
    else if (word == 8 && memcmp(text, "compound", 8) == 0 && of[1] && !slash)
        out->compound = mem_strdup(of + 1);
    else if (word == 8 && memcmp(text, "building", 8) == 0 && slash && slash[1]) {
        out->compound = mem_strndup(of + 1, (size_t)(slash - of - 1));
        out->building = mem_strdup(slash + 1);
    }
    return out->device || out->compound;
}

static bool within(const struct scope *s, const json_t *device)
{
    return !s->building || strcmp(member(device, "building"), s->building) == 0;
}

/* All devices of the scope, {code: {…}}; retired ones are no more. */
static int devices_of(const struct ctl *c, const struct scope *s, const char *kind, json_t *out)
{
    char after[32] = "";
    for (;;) {
        struct ctl_param p[] = {{"device", s->device},
                                {"compound", s->compound},
                                {"limit", PAGE},
                                {"after", after[0] ? after : NULL}};
        json_t *j = NULL, *d;
        size_t i;
        char *path = ctl_path("/api/v1/devices", p, 4);
        int code = ctl_get(c, path, &j);
        free(path);
        if (code)
            return code;
        json_array_foreach(json_object_get(j, "devices"), i, d)
        {
            if (within(s, d) && !json_is_true(json_object_get(d, "retired")) &&
                (!kind || strcmp(member(d, "kind"), kind) == 0))
                json_object_set(out, member(d, "device"), d);
        }
        bool more = json_is_number(json_object_get(j, "after"));
        (void)snprintf(after, sizeof(after), "%s", ctl_text(j, "after"));
        json_decref(j);
        if (!more)
            return CTL_DONE;
    }
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

/* One transition of a test, the newest come first. */
static void take(json_t *devices, const json_t *row)
{
    json_t *d = json_object_get(devices, member(row, "device"));
    const char *change = member(row, "change"), *rule = member(row, "rule");
    bool began = strcmp(change, "activated") == 0 || strcmp(change, "recurred") == 0;
    bool over = strcmp(member(json_object_get(row, "state"), "condition"), "normal") == 0;
    if (!d)
        return;
    if (began)
        set(d, "alarmed", member(row, "at"));
    if (began && !has_word(member(d, "rules"), rule)) {
        char *rules =
            mem_printf("%s%s%s", rule, member(d, "rules")[0] ? " " : "", member(d, "rules"));
        set(d, "rules", rules);
        free(rules);
    }
    if (over && !member(d, "over")[0])
        set(d, "over", member(row, "at"));
}

static int take_all(const struct ctl *c, const struct scope *s, const struct ctl_param *times,
                    json_t *devices)
{
    char before[32] = "";
    for (;;) {
        struct ctl_param p[] = {{"device", s->device},
                                {"compound", s->compound},
                                {"test", "1"},
                                {"from", times[0].value},
                                {"to", times[1].value},
                                {"limit", PAGE},
                                {"before", before[0] ? before : NULL}};
        json_t *j = NULL, *row;
        size_t i;
        char *path = ctl_path("/api/v1/alerts/history", p, 7);
        int code = ctl_get(c, path, &j);
        free(path);
        if (code)
            return code;
        json_array_foreach(json_object_get(j, "transitions"), i, row) take(devices, row);
        bool more = json_is_number(json_object_get(j, "next"));
        (void)snprintf(before, sizeof(before), "%s", ctl_text(j, "next"));
        json_decref(j);
        if (!more)
            return CTL_DONE;
    }
}

static int print_result(const struct ctl *c, const char *scope, json_t *devices)
{
    struct ctl_table *t = ctl_table_new("DEVICE|KIND|BUILDING|ALARMED|OVER|RULES:50");
    const char *code;
    size_t alarmed = 0, n = json_object_size(devices);
    json_t *d;
    if (c->json)
        return ctl_print_json(devices);
    json_object_foreach(devices, code, d)
    {
        alarmed += member(d, "alarmed")[0] != '\0';
        if (member(d, "alarmed")[0])
            ctl_set_clock(d, "alarmed", member(d, "alarmed"));
        if (member(d, "over")[0])
            ctl_set_clock(d, "over", member(d, "over"));
        const char *cells[] = {code,
                               ctl_text(d, "kind"),
                               ctl_text(d, "building"),
                               ctl_text(d, "alarmed"),
                               ctl_text(d, "over"),
                               ctl_text(d, "rules")};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
    printf("%s: %zu of %zu devices alarmed in the test, %zu did not\n", scope, alarmed, n,
           n - alarmed);
    return CTL_DONE;
}

/* Since when, where nothing is said: since the test that is in force began. */
static const char *began(json_t *tests, const char *scope)
{
    size_t i;
    json_t *row;
    json_array_foreach(tests, i, row)
    {
        if (strcmp(member(row, "scope"), scope) == 0)
            return json_string_value(json_object_get(row, "since"));
    }
    return NULL;
}

static int result(const struct ctl *c, const char *text, struct ctl_param *p, json_t *tests)
{
    struct scope s;
    json_t *devices = json_object();
    int code = CTL_USAGE;
    if (!p[P_FROM].value)
        p[P_FROM].value = began(tests, text);
    if (!read_scope(text, &s)) {
        fprintf(stderr, "gaihouctl: \"%s\": expected device/D, building/C/B or compound/C\n",
                text);
        goto out;
    }
    if (!p[P_FROM].value) {
        fprintf(stderr, "gaihouctl: %s is not in test now; say --from when it was\n", text);
        goto out;
    }
    code = devices_of(c, &s, p[P_KIND].value, devices);
    if (!code && json_object_size(devices) == 0) {
        fprintf(stderr, "gaihouctl: %s: no such devices\n", text);
        code = CTL_REFUSED;
    }
    code = code ? code : take_all(c, &s, p, devices);
    code = code ? code : print_result(c, text, devices);
out:
    scope_done(&s);
    json_decref(devices);
    return code;
}

int ctl_tests(const struct ctl *c, int argc, char **argv)
{
    struct ctl_param p[N_PARAMS] = {{"from", NULL}, {"to", NULL}, {"kind", NULL}};
    const char *scope = NULL;
    json_t *status = NULL;
    if (!ctl_options(argc - 1, argv + 1, p, N_PARAMS, &scope))
        return CTL_USAGE;
    int code = ctl_get(c, "/api/v1/status", &status);
    json_t *tests = json_object_get(json_object_get(status, "alarms"), "tests");
    if (!code)
        code = scope ? result(c, scope, p, tests) : in_force(c, tests);
    json_decref(status);
    return code;
}
