/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaihouctl rules backtest: what rules would have raised in the past that a data folder still has.
 */
#include "base/hash.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"
#include "base/table.h"
#include "ctl/exit.h"
#include "ctl/rules.h"
#include "ctl/rules_past.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <stdlib.h>
#include <string.h>

#define WARM_MS     INT64_C(86400000) /* before the period, so that windows are filled */
#define MAX_LISTED  2000
#define MAX_ALARMS  2000000
#define DIR_DEFAULT "/var/lib/gaihou"

struct alarm_row { /* an alarm that was raised in the period */
    char *rule, *device, *point, *compound, *name, *case_id;
    enum severity severity;    /* the worst one */
    bool told, urgent, only;   /* only: the other rules did not raise it */
    bool before;               /* raised before the period */
    int64_t at_ms, cleared_ms; /* cleared: 0 not yet */
};
struct case_row { /* of a case: its newest alarm */
    char *id;
    size_t row;
};
struct outcome {
    struct alarm_row *rows;
    size_t n, cap;
    struct case_row *cases;
    size_t n_cases, cap_cases;
    struct table by_case;
    struct alarm_row *standing; /* when the period began */
    size_t n_standing;
    size_t late; /* episodes that were over before they were heard of */
    bool full;   /* more alarms than are counted */
    const struct past *p;
    const struct past_run *run;
};
struct group { /* of one rule and compound */
    const struct alarm_row *first;
    enum severity severity;
    size_t alarms, devices, told, only;
    int64_t active_ms;
};
struct options {
    const char *from, *to, *dir;
    bool diff, list, json;
    struct rule_files rules;
    struct world_text catalog;
    char *catalog_text;
};

/* -- what comes ------------------------------------------------------------------------------ */

static bool same_case(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const struct case_row *c = &((const struct outcome *)ctx)->cases[value];
    return strlen(c->id) == len && memcmp(c->id, key, len) == 0;
}

static struct case_row *case_of(const struct outcome *o, const char *id)
{
    size_t n = strlen(id);
    uint32_t i = o->n_cases
                     ? table_find(&o->by_case, hash64(hash_seed(), id, n), same_case, o, id, n)
                     : UINT32_MAX;
    return i == UINT32_MAX ? NULL : &o->cases[i];
}

/* The newest alarm of that case is the last row. */
static void note_case(struct outcome *o, const char *id)
{
    struct case_row *c = case_of(o, id);
    if (c) {
        c->row = o->n - 1;
        return;
    }
    if (o->n_cases == o->cap_cases) {
        o->cap_cases = o->cap_cases ? 2 * o->cap_cases : 256;
        o->cases = mem_realloc_array(o->cases, o->cap_cases, sizeof(*o->cases));
        table_done(&o->by_case);
        table_init(&o->by_case, o->cap_cases);
        for (size_t i = 0; i < o->n_cases; i++)
            table_add(&o->by_case, hash64(hash_seed(), o->cases[i].id, strlen(o->cases[i].id)),
                      (uint32_t)i);
    }
    o->cases[o->n_cases] = (struct case_row){mem_strdup(id), o->n - 1};
    table_add(&o->by_case, hash64(hash_seed(), id, strlen(id)), (uint32_t)o->n_cases++);
}

static const char *name_of(const struct outcome *o, const char *compound)
{
    const struct compound *c =
        registry_compound(o->run->world->registry, compound, strlen(compound));
    return c ? c->name : compound;
}

static void add_alarm(struct outcome *o, const struct transition *t)
{
    if (t->wall_ms >= o->p->to_ms)
        return;
    o->full |= o->n == MAX_ALARMS;
    if (o->full)
        return;
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 256;
        o->rows = mem_realloc_array(o->rows, o->cap, sizeof(*o->rows));
    }
    o->rows[o->n++] = (struct alarm_row){.rule = mem_strdup(t->rule),
                                         .device = mem_strdup(t->device),
                                         .point = mem_strdup(t->point ? t->point : ""),
                                         .compound = mem_strdup(t->compound),
                                         .name = mem_strdup(name_of(o, t->compound)),
                                         .case_id = mem_strdup(t->case_id),
                                         .severity = t->severity,
                                         .told = t->deliver,
                                         .urgent = t->urgent,
                                         .before = t->wall_ms < o->p->from_ms,
                                         .at_ms = t->wall_ms};
    note_case(o, t->case_id);
}

/* An alarm that flapped ends without a word and is told when it has settled, on either side. */
static bool is_over(const struct transition *t)
{
    static const char normal[] = "\"condition\":\"normal\"";
    return t->closed || t->change == CASE_CLEARED ||
           (t->change == CASE_SETTLED && memmem(t->json, t->json_len, normal, strlen(normal)));
}

static void on_transition(void *ctx, const struct transition *t)
{
    struct outcome *o = ctx;
    if (strncmp(t->rule, "gaihou-", 7) == 0) /* the gateway's own alarms */
        return;
    if (t->change == CASE_ACTIVATED || t->change == CASE_RECURRED) {
        add_alarm(o, t);
        return;
    }
    if (t->change == CASE_RECORD && t->wall_ms >= o->p->from_ms && t->wall_ms < o->p->to_ms)
        o->late++;
    const struct case_row *c = case_of(o, t->case_id);
    struct alarm_row *row = c ? &o->rows[c->row] : NULL;
    if (!row)
        return;
    row->told |= t->deliver;
    if (t->change == CASE_RAISED && t->severity > row->severity)
        row->severity = t->severity;
    if (is_over(t) && !row->cleared_ms)
        row->cleared_ms = t->wall_ms;
}

static void row_done(struct alarm_row *r)
{
    free(r->rule);
    free(r->device);
    free(r->point);
    free(r->compound);
    free(r->name);
    free(r->case_id);
}

/* Apart from those that were raised in the period, those that were active when it began: a rule that
 * always fires raises nothing in it. The rest is of no interest. Behind all transitions: cases are
 * found no more. */
static void split_off(struct outcome *o)
{
    size_t n = 0;
    o->standing = mem_zalloc_array(o->n, sizeof(*o->standing));
    for (size_t i = 0; i < o->n; i++) {
        struct alarm_row *r = &o->rows[i];
        if (!r->before)
            o->rows[n++] = *r;
        else if (!r->cleared_ms || r->cleared_ms > o->p->from_ms)
            o->standing[o->n_standing++] = *r;
        else
            row_done(r);
    }
    o->n = n;
}

static void outcome_done(struct outcome *o)
{
    for (size_t i = 0; i < o->n; i++)
        row_done(&o->rows[i]);
    for (size_t i = 0; i < o->n_standing; i++)
        row_done(&o->standing[i]);
    free(o->standing);
    for (size_t i = 0; i < o->n_cases; i++)
        free(o->cases[i].id);
    free(o->cases);
    table_done(&o->by_case);
    free(o->rows);
}

/* -- accounts -------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct alarm_row *x = a, *y = b;
    int d = strcmp(x->rule, y->rule);
    d = d ? d : strcmp(x->compound, y->compound);
    d = d ? d : strcmp(x->device, y->device);
    d = d ? d : strcmp(x->point, y->point);
    return d ? d : (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

static int by_time(const void *a, const void *b)
{
    const struct alarm_row *x = a, *y = b;
    return x->at_ms != y->at_ms ? (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms)
                                : by_place(a, b);
}

static int by_alarms(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->alarms != y->alarms)
        return x->alarms < y->alarms ? 1 : -1;
    return by_place(x->first, y->first);
}

/* Sorted rows into groups; *out is the caller's. */
static size_t group(const struct outcome *o, int64_t end_ms, struct group **out)
{
    struct group *g = mem_zalloc_array(o->n, sizeof(*g));
    size_t n = 0;
    for (size_t i = 0; i < o->n; i++) {
        const struct alarm_row *r = &o->rows[i], *was = i ? r - 1 : NULL;
        bool same =
            was && strcmp(was->rule, r->rule) == 0 && strcmp(was->compound, r->compound) == 0;
        if (!same)
            g[n++] = (struct group){.first = r, .severity = r->severity};
        struct group *x = &g[n - 1];
        x->severity = r->severity > x->severity ? r->severity : x->severity;
        x->alarms++;
        x->told += r->told;
        x->only += r->only;
        x->devices += !same || strcmp(was->device, r->device) != 0;
        x->active_ms += (r->cleared_ms ? r->cleared_ms : end_ms) - r->at_ms;
    }
    qsort(g, n, sizeof(*g), by_alarms);
    *out = g;
    return n;
}

/* Marks the alarms that the other rules did not raise: none of the same rule, device and point began
 * within a minute. Both sorted by place. */
static void mark_only(struct outcome *a, const struct outcome *b)
{
    size_t k = 0;
    for (size_t i = 0; i < a->n; i++) {
        struct alarm_row *x = &a->rows[i];
        struct alarm_row early = *x;
        early.at_ms -= 60000;
        while (k < b->n && by_place(&b->rows[k], &early) < 0)
            k++;
        struct alarm_row late = *x;
        late.at_ms += 60000;
        x->only = k == b->n || by_place(&b->rows[k], &late) > 0;
    }
}

/* The compound with most of them. */
static const struct alarm_row *most(const struct outcome *o, size_t *out_n)
{
    const struct alarm_row *best = NULL;
    *out_n = 0;
    for (size_t i = 0; i < o->n; i++) {
        size_t n = 0;
        bool first = true;
        for (size_t k = 0; k < i && first; k++)
            first = strcmp(o->rows[k].compound, o->rows[i].compound) != 0;
        for (size_t k = i; first && k < o->n; k++)
            n += strcmp(o->rows[k].compound, o->rows[i].compound) == 0;
        if (n > *out_n) {
            *out_n = n;
            best = &o->rows[i];
        }
    }
    return best;
}

/* -- telling --------------------------------------------------------------------------------- */

static void say_sum(const struct past *p, const struct options *q, const struct outcome *o,
                    const struct zone *z)
{
    char from[32], to[32];
    size_t n_most;
    int64_t begin = p->from_ms > p->begins_ms ? p->from_ms : p->begins_ms;
    const struct alarm_row *m = most(o, &n_most);
    (void)past_time(from, z, begin);
    (void)past_time(to, z, p->ends_ms);
    printf("%s would have raised %zu alarm%s from %s to %s",
           q->rules.list ? "These rules" : "The recorded rules", o->n, o->n == 1 ? "" : "s",
           from, to);
    if (m && n_most == o->n)
        printf(", all of them in %s", m->name);
    else if (m)
        printf(", %zu of them in %s", n_most, m->name);
    printf(".\n");
    if (o->late)
        printf("%zu further episode%s over before anything was heard of %s: recorded, no "
               "alarm.\n",
               o->late, o->late == 1 ? " was" : "s were", o->late == 1 ? "it" : "them");
    if (o->full)
        printf("There were more; only the first %d are counted.\n", MAX_ALARMS);
}

/* By rule: of how many, and of how many to the end. Sorted by place. */
static void say_standing(const struct outcome *o)
{
    for (size_t i = 0, to; i < o->n_standing; i = to) {
        size_t never = 0;
        for (to = i;
             to < o->n_standing && strcmp(o->standing[to].rule, o->standing[i].rule) == 0; to++)
            never += !o->standing[to].cleared_ms;
        printf("Active already when it began, and not counted: %s, %zu time%s",
               o->standing[i].rule, to - i, to - i == 1 ? "" : "s");
        if (never)
            printf(", %zu of them all the time: what always fires says nothing", never);
        printf(".\n");
    }
}

static void print_groups(const struct group *g, size_t n, bool diff)
{
    struct ctl_table *t =
        diff ? ctl_table_new("RULE:40|WORST|COMPOUND:24|NAME:30|ALARMS>|NEW>|DEVICES>|TOLD>|"
                             "ACTIVE h>")
             : ctl_table_new(
                   "RULE:40|WORST|COMPOUND:24|NAME:30|ALARMS>|DEVICES>|TOLD>|ACTIVE h>");
    for (size_t i = 0; i < n; i++) {
        char alarms[24], devices[24], told[24], hours[32], only[24];
        alarms[num_put_u64(alarms, g[i].alarms)] = '\0';
        devices[num_put_u64(devices, g[i].devices)] = '\0';
        told[num_put_u64(told, g[i].told)] = '\0';
        only[num_put_u64(only, g[i].only)] = '\0';
        (void)snprintf(hours, sizeof(hours), "%.1f", (double)g[i].active_ms / 3600000);
        const struct alarm_row *r = g[i].first;
        const char *plain[] = {
            r->rule, severity_name(g[i].severity), r->compound, r->name, alarms, devices, told,
            hours};
        const char *with[] = {r->rule,     severity_name(g[i].severity),
                              r->compound, r->name,
                              alarms,      only,
                              devices,     told,
                              hours};
        ctl_table_add(t, diff ? with : plain);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void print_rows(const struct outcome *o, const struct zone *z, bool only_marked)
{
    struct ctl_table *t =
        ctl_table_new("AT|RULE:40|SEVERITY|COMPOUND:24|DEVICE:40|POINT:20|UNTIL");
    size_t said = 0, n = 0;
    for (size_t i = 0; i < o->n; i++) {
        const struct alarm_row *r = &o->rows[i];
        char at[32], until[32] = "-";
        if (only_marked && !r->only)
            continue;
        n++;
        if (said == MAX_LISTED)
            continue;
        said++;
        (void)past_time(at, z, r->at_ms);
        if (r->cleared_ms)
            (void)past_time(until, z, r->cleared_ms);
        const char *cells[] = {at,          r->rule,   severity_name(r->severity),
                               r->compound, r->device, *r->point ? r->point : "-",
                               until};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
    if (n > said)
        printf("… and %zu more\n", n - said);
}

static void json_time(struct jsonw *w, const char *key, const struct zone *z, int64_t ms)
{
    char s[STAMP_SIZE];
    (void)stamp_format(s, ms, zone_offset_at(z, ms));
    jsonw_str(w, key, ms ? s : NULL);
}

static void json_rows(struct jsonw *w, const char *key, const struct outcome *o,
                      const struct zone *z)
{
    jsonw_array(w, key);
    for (size_t i = 0; i < o->n; i++) {
        const struct alarm_row *r = &o->rows[i];
        jsonw_object(w, NULL);
        json_time(w, "at", z, r->at_ms);
        json_time(w, "cleared", z, r->cleared_ms);
        jsonw_str(w, "case", r->case_id);
        jsonw_str(w, "rule", r->rule);
        jsonw_str(w, "severity", severity_name(r->severity));
        jsonw_str(w, "compound", r->compound);
        jsonw_str(w, "compound_name", r->name);
        jsonw_str(w, "device", r->device);
        jsonw_str(w, "point", r->point);
        jsonw_bool(w, "told", r->told);
        jsonw_bool(w, "only", r->only);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void print_json(const struct past *p, struct outcome *o, struct outcome *recorded,
                       const struct zone *z)
{
    struct buf b;
    struct jsonw w;
    qsort(o->rows, o->n, sizeof(*o->rows), by_time);
    if (recorded)
        qsort(recorded->rows, recorded->n, sizeof(*recorded->rows), by_time);
    buf_init(&b, (size_t)1 << 30);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    json_time(&w, "from", z, p->from_ms > p->begins_ms ? p->from_ms : p->begins_ms);
    json_time(&w, "to", z, p->ends_ms);
    jsonw_u64(&w, "messages", p->messages);
    jsonw_u64(&w, "raised", o->n);
    jsonw_u64(&w, "late_episodes", o->late);
    json_rows(&w, "alarms", o, z);
    const struct outcome standing = {.rows = o->standing, .n = o->n_standing};
    json_rows(&w, "standing", &standing, z);
    if (recorded) {
        jsonw_u64(&w, "recorded_raised", recorded->n);
        json_rows(&w, "recorded_alarms", recorded, z);
    }
    jsonw_end_object(&w);
    (void)fwrite(b.data, 1, b.len, stdout);
    (void)putchar('\n');
    buf_done(&b);
}

static void print_people(const struct past *p, const struct options *q, struct outcome *o,
                         struct outcome *recorded, const struct zone *z)
{
    struct group *g;
    size_t more = 0, fewer = 0;
    for (size_t i = 0; recorded && i < o->n; i++)
        more += o->rows[i].only;
    for (size_t i = 0; recorded && i < recorded->n; i++)
        fewer += recorded->rows[i].only;
    size_t n = group(o, p->ends_ms, &g);
    say_sum(p, q, o, z);
    if (n)
        print_groups(g, n, recorded != NULL);
    free(g);
    say_standing(o);
    if (recorded) {
        printf("The recorded rules raised %zu: %zu new, %zu gone.\n", recorded->n, more, fewer);
        qsort(recorded->rows, recorded->n, sizeof(*recorded->rows), by_time);
        if (fewer) {
            printf("\nGone:\n");
            print_rows(recorded, z, true);
        }
    }
    qsort(o->rows, o->n, sizeof(*o->rows), by_time);
    if (recorded && more) {
        printf("\nNew:\n");
        print_rows(o, z, true);
    }
    if (q->list) {
        printf("\nAll:\n");
        print_rows(o, z, false);
    }
}

/* -- the command ----------------------------------------------------------------------------- */

static int read_options(struct options *q, const struct tools_files *f, int *argc, char **argv)
{
    bool ok = true;
    const char *pattern;
    int code = CTL_DONE;
    q->from = tools_take(argc, argv, "--from", &ok);
    q->to = tools_take(argc, argv, "--to", &ok);
    q->dir = tools_take(argc, argv, "--dir", &ok);
    q->diff = tools_take_flag(argc, argv, "--diff");
    q->list = tools_take_flag(argc, argv, "--list");
    while (ok && code == CTL_DONE && (pattern = tools_take(argc, argv, "--rules", &ok)))
        code = rule_files_add(&q->rules, NULL, pattern, "gaihouctl: --rules");
    if (code != CTL_DONE)
        return code;
    if (!ok || *argc != 1 || !q->from) {
        return usage_wrong("rules", "backtest");
    }
    if (q->diff && !q->rules.list) {
        (void)fprintf(stderr, "gaihouctl: --diff compares with the recorded rules: it needs "
                              "--rules\n");
        return CTL_USAGE;
    }
    q->dir = q->dir ? q->dir : DIR_DEFAULT;
    if (code == CTL_DONE && f->catalog) {
        code = site_read(f->catalog, WORLD_MAX_FILE, &q->catalog_text, &q->catalog.len);
        q->catalog.file = f->catalog;
        q->catalog.text = q->catalog_text;
    }
    return code;
}

static int run(struct past *p, const struct options *q)
{
    struct past_run runs[2] = {{.transition = on_transition}, {.transition = on_transition}};
    struct outcome o = {.p = p, .run = &runs[0]}, recorded = {.p = p, .run = &runs[1]};
    bool both = q->diff && q->rules.list;
    runs[0].ctx = &o;
    runs[0].rules = q->rules.list;
    runs[0].n_rules = q->rules.n;
    runs[0].catalog = q->catalog.file ? &q->catalog : NULL;
    runs[1].ctx = &recorded;
    int code = past_walk(p, runs, both ? 2 : 1);
    if (code == CTL_DONE) {
        const struct zone *z = runs[0].world->zone;
        char room[32];
        split_off(&o);
        split_off(&recorded);
        qsort(o.standing, o.n_standing, sizeof(*o.standing), by_place);
        qsort(o.rows, o.n, sizeof(*o.rows), by_place);
        qsort(recorded.rows, recorded.n, sizeof(*recorded.rows), by_place);
        if (both) {
            mark_only(&o, &recorded);
            mark_only(&recorded, &o);
        }
        if (q->json)
            print_json(p, &o, both ? &recorded : NULL, z);
        else
            print_people(p, q, &o, both ? &recorded : NULL, z);
        if (p->begins_ms > p->from_ms && p->from_ms)
            (void)fprintf(stderr,
                          "gaihouctl: what the folder has begins at %s: the test does, too\n",
                          past_time(room, z, p->begins_ms));
        if (p->gone)
            (void)fprintf(stderr, "gaihouctl: some generations are gone: their time was read "
                                  "with the one before\n");
    }
    for (size_t i = 0; i < 2; i++)
        past_run_done(&runs[i]);
    outcome_done(&o);
    outcome_done(&recorded);
    return code;
}

int rules_backtest(bool json, const struct tools_files *f, int argc, char **argv)
{
    struct options q = {.json = json};
    struct past p = {.to_ms = 0};
    int code = read_options(&q, f, &argc, argv);
    if (code == CTL_DONE) {
        code = past_open(&p, q.dir, q.from, q.to, WARM_MS);
        if (code == CTL_DONE)
            code = run(&p, &q);
        past_close(&p);
    }
    rule_files_done(&q.rules);
    free(q.catalog_text);
    return code;
}
