/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl rules explain: what a running gateway says of a case. */
#include "ctl/ctl.h"
#include "ctl/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void put(const json_t *v, unsigned depth);

static void put_leaf(const json_t *v)
{
    char *s = json_is_string(v) ? strdup(json_string_value(v))
                                : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    char *clean = s ? ctl_clean(s, strlen(s), 4096) : NULL;
    printf("%s\n", json_is_null(v) ? "-" : clean ? clean : "");
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

int ctl_rules_explain(const struct ctl *c, int argc, char **argv)
{
    json_t *answer = NULL;
    bool json = c->json;
    const char *id = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strncmp(argv[i], "--", 2) != 0 && !id)
            id = argv[i];
        else
            return ctl_usage("rules explain CASE [--dir DIR] [--json]");
    }
    if (!id)
        return ctl_usage("rules explain CASE [--dir DIR] [--json]");
    char *encoded = ctl_encode(id);
    size_t room = strlen(encoded) + 64;
    char *path = malloc(room);
    if (!path)
        abort();
    (void)snprintf(path, room, "/api/v1/alerts/%s?explain=1", encoded);
    int code = ctl_get(c, path, &answer);
    if (code == CTL_DONE && json)
        code = ctl_print_json(answer);
    else if (code == CTL_DONE)
        put(answer, 0);
    json_decref(answer);
    free(path);
    free(encoded);
    return code;
}
