/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <stdio.h>
#include <string.h>

/* The members of `o` that are `name` or `name{…}`, added up. */
static json_int_t sum(json_t *o, const char *name)
{
    const char *key;
    json_t *v;
    size_t n = strlen(name);
    json_int_t total = 0;
    json_object_foreach(o, key, v)
    {
        if (strncmp(key, name, n) == 0 && (key[n] == '\0' || key[n] == '{'))
            total += json_integer_value(v);
    }
    return total;
}

/* The same member of every sink, added up. */
static json_int_t sum_sinks(json_t *sinks, const char *name)
{
    const char *key;
    json_t *v;
    json_int_t total = 0;
    json_object_foreach(sinks, key, v)
    {
        total += json_integer_value(json_object_get(v, name));
    }
    return total;
}

static void set(json_t *row, const char *key, json_int_t n)
{
    json_object_set_new(row, key, json_integer(n));
}

static void add_row(struct ctl_table *t, const char *name, json_t *account)
{
    json_t *messages = json_object_get(account, "messages"),
           *points = json_object_get(account, "points"),
           *sinks = json_object_get(account, "sinks"), *row = json_object();
    set(row, "in", sum(messages, "received") + sum(messages, "reinjected"));
    set(row, "decoded", sum(messages, "decoded"));
    set(row, "duplicate", sum(messages, "duplicate"));
    set(row, "quarantined", sum(messages, "quarantined"));
    set(row, "dead", sum(messages, "dead"));
    set(row, "again", sum(messages, "again"));
    set(row, "ignored", sum(messages, "ignored") + sum(messages, "other_lane"));
    set(row, "points", sum(points, "made") + sum(points, "own"));
    set(row, "refused", sum(points, "refused"));
    set(row, "accepted", sum_sinks(sinks, "accepted"));
    set(row, "pending", sum_sinks(sinks, "pending"));
    set(row, "lost", sum_sinks(sinks, "refused") + sum_sinks(sinks, "shed"));
    const char *cells[] = {name,
                           ctl_count(row, "in"),
                           ctl_count(row, "decoded"),
                           ctl_count(row, "duplicate"),
                           ctl_count(row, "quarantined"),
                           ctl_count(row, "dead"),
                           ctl_count(row, "again"),
                           ctl_count(row, "ignored"),
                           ctl_count(row, "points"),
                           ctl_count(row, "refused"),
                           ctl_count(row, "accepted"),
                           ctl_count(row, "pending"),
                           ctl_count(row, "lost")};
    ctl_table_add(t, cells);
    json_decref(row);
}

static void show_compounds(json_t *ledger)
{
    struct ctl_table *t = ctl_table_new(
        "COMPOUND|MESSAGES>|DECODED>|DUPLICATE>|QUARANTINED>|DEAD>|AGAIN>|IGNORED>|POINTS>"
        "|REFUSED>|ACCEPTED>|PENDING>|LOST>");
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(ledger, "compounds"), i, c)
    {
        add_row(t, ctl_text(c, "compound"), c);
    }
    add_row(t, "total", json_object_get(ledger, "total"));
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void show_sinks(json_t *sinks)
{
    struct ctl_table *t =
        ctl_table_new("SINK|BEFORE IT>|MADE>|ACCEPTED>|REFUSED>|SHED>|PENDING>");
    const char *id;
    json_t *s;
    json_object_foreach(sinks, id, s)
    {
        const char *cells[] = {id,
                               ctl_count(s, "before"),
                               ctl_count(s, "made"),
                               ctl_count(s, "accepted"),
                               ctl_count(s, "refused"),
                               ctl_count(s, "shed"),
                               ctl_count(s, "pending")};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

/* What was refused, dead or ignored by its reason: the members with braces that are not zero. */
static void show_reasons(const char *what, json_t *counts)
{
    const char *key;
    json_t *v;
    json_object_foreach(counts, key, v)
    {
        if (strchr(key, '{') && json_integer_value(v) > 0)
            printf("%s %s %s\n", what, key, ctl_count(counts, key));
    }
}

static void show(json_t *ledger)
{
    json_t *total = json_object_get(ledger, "total"), *sinks = json_object_get(total, "sinks"),
           *s;
    const char *id, *key;
    show_compounds(ledger);
    putchar('\n');
    show_sinks(sinks);
    putchar('\n');
    show_reasons("messages", json_object_get(total, "messages"));
    show_reasons("points", json_object_get(total, "points"));
    json_object_foreach(sinks, id, s)
    {
        json_t *reasons = json_object_get(s, "refused_by"), *n;
        json_object_foreach(reasons, key, n)
        {
            printf("sink %s refused{%s} %s\n", id, key, ctl_count(reasons, key));
        }
    }
    printf("%s messages not passed yet; the ledger %s\n", ctl_count(total, "unread"),
           json_is_true(json_object_get(total, "balanced")) ? "adds up" : "DOES NOT ADD UP");
}

int ctl_ledger(const struct ctl *c, int argc, char **argv)
{
    json_t *j = NULL;
    (void)argv;
    if (argc > 1)
        return usage_wrong("ledger", NULL);
    int code = ctl_get(c, "/api/v1/ledger", &j);
    if (!code && c->json)
        ctl_print_json(j);
    else if (!code)
        show(j);
    json_decref(j);
    return code;
}
