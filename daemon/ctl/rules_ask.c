/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl rules explain: what a running gateway says of a case, and why. */
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void put(const json_t *v, unsigned depth);

/* Unix milliseconds of our days: nothing else in an explanation is that large. */
static bool put_time(const json_t *v)
{
    json_int_t ms = json_integer_value(v);
    char room[32];
    if (ms < INT64_C(1000000000000) || ms > INT64_C(4102444800000))
        return false;
    printf("%s\n", ctl_clock(room, ms));
    return true;
}

static void put_leaf(const json_t *v)
{
    if (json_is_integer(v) && put_time(v))
        return;
    char *s = json_is_string(v) ? mem_strdup(json_string_value(v))
                                : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    size_t n = s ? strlen(s) : 0;
    while (n > 0 && s[n - 1] == '\n')
        n--;
    for (size_t i = 0; i < n; i++)
        s[i] = s[i] == '\n' ? ';' : s[i];
    char *clean = ctl_clean(s ? s : "", n, 4096);
    printf("%s\n", json_is_null(v) ? "-" : clean);
    free(clean);
    free(s);
}

static void put_member(const char *key, const json_t *v, unsigned depth)
{
    bool deep =
        (json_is_object(v) && json_object_size(v)) || (json_is_array(v) && json_array_size(v));
    printf("%*s%s%s", (int)(2 * depth), "", key ? key : "-", key ? ":" : "");
    if (deep) {
        (void)putchar('\n');
        put(v, depth + 1);
    } else {
        (void)putchar(' ');
        put_leaf(v);
    }
}

static void put(const json_t *v, unsigned depth)
{
    const char *key;
    json_t *e;
    size_t i;
    if (json_is_object(v))
        json_object_foreach((json_t *)(uintptr_t)v, key, e) put_member(key, e, depth);
    else
        json_array_foreach(v, i, e) put_member(NULL, e, depth);
}

static char *path_of_case(const char *id)
{
    char *encoded = ctl_encode(id), *path = mem_printf("/api/v1/alerts/%s", encoded);
    free(encoded);
    return path;
}

/* The alarm that the case is about, as it stands now; nothing where there is none (any more). */
static int ask_why(const struct ctl *c, const json_t *it, json_t **out)
{
    const char *point = json_string_value(json_object_get(it, "point"));
    const struct ctl_param p[] = {{"rule", json_string_value(json_object_get(it, "rule"))},
                                  {"device", json_string_value(json_object_get(it, "device"))},
                                  {"point", point && *point ? point : NULL}};
    char *path = ctl_path("/api/v1/explain", p, 3);
    int code = ctl_get_if_there(c, path, out);
    free(path);
    return code;
}

static void say_none(const json_t *it)
{
    if (strncmp(ctl_text(it, "rule"), "gaihou-", 7) == 0)
        printf("  nothing to tell: %s is an alarm of the gateway's own, which no rule makes\n",
               ctl_text(it, "rule"));
    else
        printf("  nothing to tell: rule %s or device %s is gone, or the rule does not look at "
               "it any more\n",
               ctl_text(it, "rule"), ctl_text(it, "device"));
}

static int people(const struct ctl *c, char *id, const json_t *it, const json_t *why)
{
    char alerts[] = "alerts", show[] = "show";
    char *argv[] = {alerts, show, id, NULL};
    printf("How it stands now:\n");
    if (why)
        put(why, 1);
    else
        say_none(it);
    printf("  As it stood when it was raised, with the samples: --dir DATA_DIR\n");
    printf("\nWhat became of it:\n");
    return ctl_alerts(c, 3, argv);
}

int ctl_rules_explain(const struct ctl *c, int argc, char **argv)
{
    json_t *answer = NULL, *why = NULL;
    bool json = c->json;
    char *id = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strncmp(argv[i], "--", 2) != 0 && !id)
            id = argv[i];
        else
            return usage_wrong("rules", "explain");
    }
    if (!id)
        return usage_wrong("rules", "explain");
    char *path = path_of_case(id);
    int code = ctl_get(c, path, &answer);
    if (code == CTL_DONE)
        code = ask_why(c, answer, &why);
    if (code == CTL_DONE && json) {
        (void)json_object_set_new(answer, "explain", why ? json_incref(why) : json_null());
        code = ctl_print_json(answer);
    } else if (code == CTL_DONE) {
        code = people(c, id, answer, why);
    }
    json_decref(why);
    json_decref(answer);
    free(path);
    return code;
}
