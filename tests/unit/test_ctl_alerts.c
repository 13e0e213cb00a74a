/* SPDX-License-Identifier: Apache-2.0 */
/* ctl/alerts: what a row of the table says of a case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/alerts.h"
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What rows do not need of the rest of gaihouctl. */
int ctl_get(const struct ctl *c, const char *path, json_t **out)
{
    (void)c, (void)path, (void)out;
    return CTL_UNREACHABLE;
}
int ctl_list(const struct ctl *c, char *path, const char *name, const char *spec,
             const char *const *keys, size_t n, void (*prepare)(json_t *row))
{
    (void)c, (void)path, (void)name, (void)spec, (void)keys, (void)n, (void)prepare;
    return CTL_DONE;
}
int ctl_print_json(const json_t *j)
{
    (void)j;
    return CTL_DONE;
}
int ctl_usage(const char *text)
{
    (void)text;
    return CTL_USAGE;
}
int ctl_tests(const struct ctl *c, int argc, char **argv)
{
    (void)c, (void)argc, (void)argv;
    return CTL_DONE;
}
bool ctl_options(int argc, char **argv, struct ctl_param *p, size_t n, const char **rest)
{
    (void)argc, (void)argv, (void)p, (void)n, (void)rest;
    return true;
}
const char *ctl_verb(int argc, char **argv, int *out_at)
{
    (void)argc, (void)argv, (void)out_at;
    return "list";
}
char *ctl_path(const char *path, const struct ctl_param *params, size_t n)
{
    (void)params, (void)n;
    return strdup(path);
}
char *ctl_encode(const char *s)
{
    return strdup(s);
}
void ctl_set_clock(json_t *row, const char *key, const char *stamp)
{
    char room[32];
    (void)snprintf(room, sizeof(room), "%.10s %.8s", stamp,
                   strlen(stamp) > 11 ? stamp + 11 : "");
    json_object_set_new(row, key, json_stringn(room, strlen(room)));
}
char *ctl_clean(const char *s, size_t len, size_t most)
{
    (void)most;
    return strndup(s, len);
}
struct ctl_table *ctl_table_new(const char *spec)
{
    (void)spec;
    return NULL;
}
void ctl_table_free(struct ctl_table *t)
{
    (void)t;
}
void ctl_table_add(struct ctl_table *t, const char *const *cells)
{
    (void)t, (void)cells;
}
void ctl_table_print(const struct ctl_table *t, FILE *to)
{
    (void)t, (void)to;
}
const char *ctl_text(const json_t *o, const char *key)
{
    static char room[64];
    const json_t *v = json_object_get(o, key);
    if (json_is_number(v))
        (void)snprintf(room, sizeof(room), "%g", json_number_value(v));
    return json_is_number(v) ? room : json_is_string(v) ? json_string_value(v) : "-";
}

static void row(const char *state, const char *key, const char *wanted)
{
    json_t *r = json_pack("{s:b, s:s, s:o}", "open", 1, "opened", "2026-11-22T04:00:00Z",
                          "state", json_loads(state, 0, NULL));
    assert_non_null(r);
    alerts_prepare_case(r);
    assert_string_equal(ctl_text(r, key), wanted);
    json_decref(r);
}

static void values(void **state)
{
    (void)state;
    row("{\"value\":0.93,\"unit\":\"m\",\"no_data\":false}", "value", "0.93 m");
    row("{\"value\":3,\"unit\":\"\"}", "value", "3");
    /* the title says "smoke"; that nothing was heard must stand beside it */
    row("{\"value\":null,\"unit\":\"1\",\"no_data\":true,\"condition\":\"active\",\"quality\":"
        "\"stale\"}",
        "value", "no data");
    row("{\"value\":null,\"condition\":\"active\",\"quality\":\"stale\"}", "condition",
        "active, stale");
    /* silent now, but it had said so before */
    row("{\"value\":0.93,\"unit\":\"m\",\"no_data\":true}", "value", "0.93 m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
