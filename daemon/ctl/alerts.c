/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl alerts: cases, one of them, what changed, live. */
#include "base/mem.h"
#include "ctl/alerts.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCH_S    2u
#define WATCH_PAGE "200"

enum { N_FILTERS = 11 }; /* that pick cases */

/* Not json_string(): core/json.h has a function of that name, and the library's is linked first. */
static json_t *text_new(const char *s)
{
    return json_stringn(s, strlen(s));
}

static void set(json_t *row, const char *key, const char *text)
{
    json_object_set_new(row, key, text_new(text));
}

static const char *state_text(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(json_object_get(row, "state"), key));
    return s && s[0] ? s : "-";
}

static void set_value(json_t *row)
{
    const json_t *state = json_object_get(row, "state"),
                 *value = json_object_get(state, "value");
    const char *unit = json_string_value(json_object_get(state, "unit"));
    if (json_is_number(value)) {
        char *text = mem_printf("%s%s%s", ctl_text(state, "value"), unit && unit[0] ? " " : "",
                                unit ? unit : "");
        set(row, "value", text);
        free(text);
    } else if (json_is_true(json_object_get(state, "no_data"))) {
        set(row, "value", "no data"); /* its title says what it would be if there were any */
    } else {
        set(row, "value", ctl_text(state, "value"));
    }
}

/* "active", "cleared, shelved", "active, stale", "closed". */
static void set_condition(json_t *row)
{
    json_t *masks = json_object_get(json_object_get(row, "state"), "masked"), *m;
    const char *quality = state_text(row, "quality");
    bool open = json_is_true(json_object_get(row, "open"));
    bool good = strcmp(quality, "good") == 0 || strcmp(quality, "-") == 0;
    char *text = mem_printf("%s%s%s", open ? state_text(row, "condition") : "closed",
                            open && !good ? ", " : "", open && !good ? quality : "");
    size_t i;
    json_array_foreach(masks, i, m)
    {
        char *more = json_string_value(m) && open
                         ? mem_printf("%s, %s", text, json_string_value(m))
                         : mem_strdup(text);
        free(text);
        text = more;
    }
    set(row, "condition", text);
    free(text);
}

void alerts_prepare_case(json_t *row)
{
    const json_t *place = json_object_get(json_object_get(row, "state"), "place");
    const char *since = state_text(row, "since"), *name = state_text(row, "compound_name");
    const char *building = json_string_value(json_object_get(place, "building"));
    ctl_set_clock(row, "since", strcmp(since, "-") == 0 ? ctl_text(row, "opened") : since);
    set(row, "title", state_text(row, "title"));
    set(row, "work", state_text(row, "work"));
    char *where =
        mem_printf("%s%s%s", strcmp(name, "-") == 0 ? ctl_text(row, "compound") : name,
                   building && building[0] ? " " : "", building ? building : "");
    set(row, "where", where);
    free(where);
    set_value(row);
    set_condition(row);
}

const char *const alerts_keys[] = {"severity", "condition", "work",  "since", "where",
                                   "device",   "title",     "value", "case"};
const char alerts_spec[] =
    "SEVERITY|CONDITION:30|WORK|SINCE|WHERE:24|DEVICE|TITLE:32|VALUE>|CASE";

/* -- one case ------------------------------------------------------------------------------- */

static void print_line(const char *name, const char *text)
{
    char *clean = ctl_clean(text, strlen(text), 200);
    if (strcmp(clean, "-") != 0)
        printf("%-12s %s\n", name, clean);
    free(clean);
}

/* When the broker had it. */
static void set_told(json_t *row)
{
    if (json_integer_value(json_object_get(row, "seq")) == 0)
        set(row, "told", "not told");
    else if (!json_string_value(json_object_get(row, "told")))
        set(row, "told", json_is_true(json_object_get(row, "waiting")) ? "waits" : "-");
    else
        ctl_set_clock(row, "told", ctl_text(row, "told"));
}

static void print_transitions(json_t *rows)
{
    struct ctl_table *t =
        ctl_table_new("TIME|CHANGE|SEVERITY|VALUE>|BY:16|NOTE:40|SEQ>|TOLD|FIRM");
    for (size_t i = json_array_size(rows); i > 0; i--) { /* the oldest first */
        json_t *row = json_array_get(rows, i - 1);
        ctl_set_clock(row, "at", ctl_text(row, "at"));
        set_told(row);
        set_value(row);
        bool told = json_integer_value(json_object_get(row, "seq")) > 0;
        const char *cells[] = {ctl_text(row, "at"),
                               ctl_text(row, "change"),
                               ctl_text(row, "severity"),
                               ctl_text(row, "value"),
                               state_text(row, "by"),
                               state_text(row, "note"),
                               told ? ctl_text(row, "seq") : "",
                               ctl_text(row, "told"),
                               ctl_text(row, "firm")};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

/* "refused: condition_active" */
static void set_answer(json_t *row)
{
    const char *why =
        json_string_value(json_object_get(json_object_get(row, "reply"), "reason"));
    if (!why)
        return;
    char *text = mem_printf("%s: %s", ctl_text(row, "answer"), why);
    set(row, "answer", text);
    free(text);
}

static void print_commands(json_t *rows)
{
    struct ctl_table *t = ctl_table_new("COMMAND|TIME|FROM|ANSWER:50|SAID:80");
    for (size_t i = json_array_size(rows); i > 0; i--) {
        json_t *row = json_array_get(rows, i - 1);
        ctl_set_clock(row, "at", ctl_text(row, "at"));
        bool ours = json_is_true(json_object_get(row, "by_operator"));
        set_answer(row);
        const char *cells[] = {ctl_text(row, "verb"), ctl_text(row, "at"),
                               ours ? "operator" : ctl_text(row, "firm"),
                               ctl_text(row, "answer"), ctl_text(row, "command")};
        ctl_table_add(t, cells);
    }
    if (json_array_size(rows) > 0) {
        putchar('\n');
        ctl_table_print(t, stdout);
    }
    ctl_table_free(t);
}

static void print_case(json_t *c)
{
    alerts_prepare_case(c);
    print_line("case", ctl_text(c, "case"));
    print_line("title", ctl_text(c, "title"));
    print_line("summary", state_text(c, "summary"));
    print_line("action", state_text(c, "action"));
    print_line("severity", ctl_text(c, "severity"));
    print_line("condition", ctl_text(c, "condition"));
    print_line("work", ctl_text(c, "work"));
    print_line("where", ctl_text(c, "where"));
    print_line("device", ctl_text(c, "device"));
    print_line("rule", ctl_text(c, "rule"));
    print_line("firm", ctl_text(c, "firm"));
    print_line("value", ctl_text(c, "value"));
    print_line("since", ctl_text(c, "since"));
    print_line("occurrences", ctl_text(c, "occurrences"));
    json_t *stamps = json_object_get(c, "stamps"), *v;
    const char *key;
    json_object_foreach(stamps, key, v)
    {
        ctl_set_clock(stamps, key, json_string_value(v) ? json_string_value(v) : "-");
        print_line(key, ctl_text(stamps, key));
    }
    if (json_is_true(json_object_get(c, "waiting")))
        print_line("told", "not all of it yet: it waits for the broker");
    putchar('\n');
    print_transitions(json_object_get(c, "transitions"));
    print_commands(json_object_get(c, "commands"));
}

static int show(const struct ctl *c, const char *id)
{
    json_t *j = NULL;
    char *name = ctl_encode(id), *path = mem_printf("/api/v1/alerts/%s", name);
    int code = ctl_get(c, path, &j);
    if (!code && c->json)
        ctl_print_json(j);
    else if (!code)
        print_case(j);
    json_decref(j);
    free(name);
    free(path);
    return code;
}

/* -- what changed ---------------------------------------------------------------------------- */

static void prepare_transition(json_t *row)
{
    ctl_set_clock(row, "at", ctl_text(row, "at"));
    set(row, "title", state_text(row, "title"));
    set_value(row);
    set_told(row);
}

static int history(const struct ctl *c, struct ctl_param *p, size_t n)
{
    static const char *const keys[] = {"at",    "change", "severity", "compound", "device",
                                       "title", "value",  "firm",     "told",     "case"};
    return ctl_list(c, ctl_path("/api/v1/alerts/history", p, n), "transitions",
                    "TIME|CHANGE|SEVERITY|COMPOUND|DEVICE|TITLE:30|VALUE>|FIRM|TOLD|CASE", keys,
                    10, prepare_transition);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

static void print_change(const struct ctl *c, json_t *row)
{
    if (c->json) {
        char *line = json_dumps(row, JSON_COMPACT);
        puts(line);
        free(line);
    } else {
        prepare_transition(row);
        char *title = ctl_clean(ctl_text(row, "title"), strlen(ctl_text(row, "title")), 40);
        char *value = ctl_clean(ctl_text(row, "value"), strlen(ctl_text(row, "value")), 20);
        printf("%s  %-8s  %-12s  %s  %s  %s  %s  %s\n", ctl_text(row, "at"),
               ctl_text(row, "severity"), ctl_text(row, "change"), ctl_text(row, "compound"),
               ctl_text(row, "device"), title, value, ctl_text(row, "case"));
        free(title);
        free(value);
    }
    fflush(stdout);
}

/* All above `last`, oldest first; pages back until it is met. The newest id, or -1: told. */
static json_int_t news(const struct ctl *c, struct ctl_param *p, size_t n, json_int_t last)
{
    json_t *all = json_array(), *j = NULL, *row;
    json_int_t newest = last, oldest = 0;
    char before[32];
    struct ctl_param pages[N_FILTERS + 2];
    size_t i;
    bool more = true;
    memcpy(pages, p, n * sizeof(*p));
    while (more) {
        (void)snprintf(before, sizeof(before), "%lld", (long long)oldest);
        pages[n] = (struct ctl_param){"limit", last < 0 ? "1" : WATCH_PAGE};
        pages[n + 1] = (struct ctl_param){"before", oldest ? before : NULL};
        char *path = ctl_path("/api/v1/alerts/history", pages, n + 2);
        int code = ctl_get(c, path, &j);
        free(path);
        if (code) {
            json_decref(all);
            return -1;
        }
        more = last >= 0 && json_is_number(json_object_get(j, "next"));
        json_array_foreach(json_object_get(j, "transitions"), i, row)
        {
            json_int_t id = json_integer_value(json_object_get(row, "id"));
            newest = id > newest ? id : newest;
            oldest = id;
            more = more && id > last;
            if (last >= 0 && id > last)
                json_array_append(all, row);
        }
        json_decref(j);
    }
    for (i = json_array_size(all); i > 0; i--)
        print_change(c, json_array_get(all, i - 1));
    json_decref(all);
    return newest < 0 ? 0 : newest;
}

static int watch(const struct ctl *c, struct ctl_param *p, size_t n)
{
    struct sigaction sa = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    json_int_t last = news(c, p, n, -1);
    while (last >= 0 && !interrupted) {
        sleep(WATCH_S);
        if (!interrupted)
            last = news(c, p, n, last);
    }
    return last < 0 ? CTL_UNREACHABLE : CTL_DONE;
}

int ctl_alerts(const struct ctl *c, int argc, char **argv)
{
    const char *id = NULL;
    int at;
    const char *verb = ctl_verb(argc, argv, &at);
    if (strcmp(verb, "tests") == 0)
        return ctl_tests(c, argc - 1, argv + 1);
    /* those that pick, those that bound, and of which state */
    struct ctl_param p[] = {
        {"compound", NULL}, {"district", NULL}, {"street", NULL}, {"community", NULL},
        {"grid", NULL},     {"building", NULL}, {"firm", NULL},   {"device", NULL},
        {"rule", NULL},     {"severity", NULL}, {"case", NULL},   {"from", NULL},
        {"to", NULL},       {"limit", NULL},    {"before", NULL}, {"state", NULL}};
    enum { ALL = sizeof(p) / sizeof(p[0]) };
    if (!ctl_options(argc - at, argv + at, p, ALL, &id))
        return CTL_USAGE;
    if (strcmp(verb, "show") == 0 && id)
        return show(c, id);
    if (id)
        return usage_wrong("alerts", NULL);
    if (strcmp(verb, "history") == 0)
        return history(c, p, ALL - 1);
    if (strcmp(verb, "watch") == 0)
        return watch(c, p, N_FILTERS);
    if (strcmp(verb, "orphaned") == 0)
        return ctl_list(c, mem_printf("/api/v1/alerts/orphaned"), "cases", "CASE|FIRM|COMPOUND",
                        (const char *const[]){"case", "firm", "compound"}, 3, NULL);
    if (strcmp(verb, "list") != 0)
        return usage_wrong("alerts", NULL);
    return ctl_list(c, ctl_path("/api/v1/alerts", p, ALL), "cases", alerts_spec, alerts_keys, 9,
                    alerts_prepare_case);
}
