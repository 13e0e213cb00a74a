/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl ack, accept, … : what operators do to cases, named or found by a filter. */
#include "base/mem.h"
#include "ctl/alerts.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CASES 1000

static const char *const filters[] = {"compound", "district", "street", "community",
                                      "grid",     "building", "firm",   "device",
                                      "rule",     "severity"};
enum { N_FILTERS = sizeof(filters) / sizeof(filters[0]) };
enum { W_BY, W_NOTE, W_VERSION, W_FOR, W_UNTIL, W_TO, W_PHOTO, N_WORDS };

struct order {
    const char *verb;
    struct ctl_param filter[N_FILTERS], words[N_WORDS];
    const char *cases[MAX_CASES];
    size_t n;
    json_t *found; /* the answer that holds the ids of a filter's cases */
    bool yes;
};

static struct ctl_param *find(struct order *o, const char *name, size_t len)
{
    for (size_t i = 0; i < N_FILTERS + N_WORDS; i++) {
        struct ctl_param *p = i < N_FILTERS ? &o->filter[i] : &o->words[i - N_FILTERS];
        if (strlen(p->key) == len && memcmp(p->key, name, len) == 0)
            return p;
    }
    return NULL;
}

static bool read_order(struct order *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--yes") == 0) {
            o->yes = true;
            continue;
        }
        if (strncmp(a, "--", 2) != 0) {
            if (o->n == MAX_CASES) {
                fprintf(stderr, "gaihouctl: at most %d cases at once\n", MAX_CASES);
                return false;
            }
            o->cases[o->n++] = a;
            continue;
        }
        size_t len = strcspn(a, "=");
        struct ctl_param *p = find(o, a + 2, len - 2);
        const char *value = a[len] ? a + len + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!p) {
            struct ctl_param all[N_FILTERS + N_WORDS];
            memcpy(all, o->filter, sizeof(o->filter));
            memcpy(all + N_FILTERS, o->words, sizeof(o->words));
            ctl_wrong_option(a, all, N_FILTERS + N_WORDS);
            return false;
        }
        if (!value) {
            fprintf(stderr, "gaihouctl: %s lacks its value\n", a);
            return false;
        }
        p->value = value;
    }
    return true;
}

static bool filtered(const struct order *o)
{
    for (size_t i = 0; i < N_FILTERS; i++)
        if (o->filter[i].value)
            return true;
    return false;
}

/* The body: what was said, and who says it. */
static char *body_of(const struct order *o)
{
    json_t *j = json_object();
    const char *by = o->words[W_BY].value;
    if (!by)
        by = getenv("SUDO_USER") ? getenv("SUDO_USER") : getenv("USER");
    for (size_t i = 0; i < N_WORDS; i++) {
        const char *v = i == W_BY ? by : o->words[i].value;
        if (!v)
            continue;
        json_t *number = i == W_VERSION ? json_loads(v, JSON_DECODE_ANY, NULL) : NULL;
        if (json_is_integer(number))
            json_object_set(j, o->words[i].key, number);
        else
            json_object_set_new(j, o->words[i].key, json_stringn(v, strlen(v)));
        json_decref(number);
    }
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

/* -- a filter -------------------------------------------------------------------------------- */

static void preview(const struct order *o)
{
    struct ctl_table *t = ctl_table_new(alerts_spec);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(o->found, "cases"), i, row)
    {
        const char *cells[CTL_TABLE_COLUMNS];
        alerts_prepare_case(row);
        for (size_t k = 0; k < 9; k++)
            cells[k] = ctl_text(row, alerts_keys[k]);
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stderr);
    ctl_table_free(t);
}

static bool agreed(const struct order *o)
{
    char line[16] = "";
    if (o->yes)
        return true;
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "gaihouctl: nothing was done: --yes does it to these %zu cases\n",
                o->n);
        return false;
    }
    fprintf(stderr, "%s these %zu cases? [y/N] ", o->verb, o->n);
    return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int look_for(const struct ctl *c, struct order *o)
{
    struct ctl_param p[N_FILTERS + 1];
    size_t i;
    json_t *row;
    memcpy(p, o->filter, sizeof(o->filter));
    p[N_FILTERS] = (struct ctl_param){"limit", "1000"};
    char *path = ctl_path("/api/v1/alerts", p, N_FILTERS + 1);
    int code = ctl_get(c, path, &o->found);
    free(path);
    if (code)
        return code;
    json_array_foreach(json_object_get(o->found, "cases"), i, row)
    {
        const char *id = json_string_value(json_object_get(row, "case"));
        if (id && o->n < MAX_CASES)
            o->cases[o->n++] = id;
    }
    if (o->n == 0) {
        fprintf(stderr, "gaihouctl: no open case is like that\n");
        return CTL_REFUSED;
    }
    preview(o);
    if (json_is_number(json_object_get(o->found, "next")))
        fprintf(stderr, "… there are more than %d; these are the newest\n", MAX_CASES);
    return agreed(o) ? CTL_DONE : CTL_REFUSED;
}

/* -- doing it -------------------------------------------------------------------------------- */

static int order_one(const struct ctl *c, const struct order *o, const char *id,
                     const char *body, json_t *answers)
{
    json_t *j = NULL;
    char *name = ctl_encode(id), *path = mem_printf("/api/v1/alerts/%s/%s", name, o->verb);
    int code = ctl_post_body(c, path, body, strlen(body), &j);
    if (code == CTL_REFUSED)
        fprintf(stderr, "gaihouctl: %s: not done\n", id);
    else if (code == CTL_DONE && !c->json)
        printf("%s: %s\n", id, ctl_text(j, "result"));
    if (j)
        json_array_append(answers, j);
    json_decref(j);
    free(name);
    free(path);
    return code;
}

int ctl_work(const struct ctl *c, int argc, char **argv)
{
    struct order *o = mem_zalloc(sizeof(*o));
    static const char *const words[] = {"by", "note", "version", "for", "until", "to", "photo"};
    int code = CTL_USAGE;
    for (size_t i = 0; i < N_FILTERS; i++)
        o->filter[i].key = filters[i];
    for (size_t i = 0; i < N_WORDS; i++)
        o->words[i].key = words[i];
    o->verb = argv[0];
    if (!read_order(o, argc, argv))
        goto out;
    bool scope = strcmp(o->verb, "test") == 0 || strcmp(o->verb, "untest") == 0;
    if ((o->n > 0) == filtered(o) || (scope && filtered(o))) {
        code = usage_wrong(o->verb, NULL);
        goto out;
    }
    code = o->n > 0 ? CTL_DONE : look_for(c, o);
    if (code)
        goto out;
    char *body = body_of(o);
    json_t *answers = json_array();
    for (size_t i = 0; i < o->n && code != CTL_UNREACHABLE; i++) {
        int one = order_one(c, o, o->cases[i], body, answers);
        code = one ? one : code;
    }
    if (c->json)
        ctl_print_json(answers);
    json_decref(answers);
    free(body);
out:
    json_decref(o->found);
    free(o);
    return code;
}
