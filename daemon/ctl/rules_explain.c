/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaihouctl rules explain over a data folder: the past is gone through again until the case is
 * met; then once more for what its device said around it.
 */
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/json.h"
#include "ctl/exit.h"
#include "ctl/rules.h"
#include "ctl/rules_past.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <stdlib.h>
#include <string.h>

#define DIR_DEFAULT "/var/lib/gaihou"
#define BEFORE_MS   INT64_C(3600000) /* of the samples that are shown */
#define MAX_BEFORE  40
#define MAX_AFTER   40
#define MAX_STEPS   1000
#define MAX_SAMPLES 20000

struct told_step { /* a transition of the case */
    int64_t at_ms;
    char *change, *firm, *compound, *json;
    size_t json_len;
    enum severity severity;
    bool told, urgent;
};
struct said { /* a sample of its device */
    int64_t at_ms, time_ms;
    char *values;
};
struct explain {
    const char *case_id;
    struct past *p;
    struct past_run *run;
    char *rule, *device, *point, *file;
    char *why; /* alarm_explain when it was first told, JSON */
    size_t why_len;
    int line;
    struct told_step *steps;
    size_t n_steps;
    struct said *said;
    size_t n_said;
    int64_t from_ms, to_ms;
    char *mark; /* ",device=CODE" of its series */
};

/* -- the case -------------------------------------------------------------------------------- */

static void look_why(struct explain *x)
{
    const struct world *w = engine_world(x->run->engine);
    const struct rule *r = rules_find(w->rules, x->rule, strlen(x->rule));
    const struct device *d = registry_find(w->registry, x->device, strlen(x->device));
    struct buf b;
    if (!r || !d)
        return;
    x->file = mem_strdup(r->file);
    x->line = r->line;
    buf_init(&b, 1 << 20);
    if (alarm_explain(engine_alarm(x->run->engine), r, d, x->point, &b) == 0) {
        x->why_len = b.len;
        x->why = mem_zalloc(b.len + JSON_PADDING);
        memcpy(x->why, b.data, b.len);
    }
    buf_done(&b);
}

static void on_transition(void *ctx, const struct transition *t)
{
    struct explain *x = ctx;
    if (strcmp(t->case_id, x->case_id) != 0 || x->n_steps == MAX_STEPS)
        return;
    if (x->n_steps == 0) {
        x->rule = mem_strdup(t->rule);
        x->device = mem_strdup(t->device);
        x->point = mem_strdup(t->point ? t->point : "");
        look_why(x);
    }
    x->steps = mem_realloc_array(x->steps, x->n_steps + 1, sizeof(*x->steps));
    struct told_step *s = &x->steps[x->n_steps++];
    *s = (struct told_step){.at_ms = t->wall_ms,
                            .change = mem_strdup(case_change_name(t->change)),
                            .firm = mem_strdup(t->firm),
                            .compound = mem_strdup(t->compound),
                            .json = mem_zalloc(t->json_len + 2),
                            .json_len = t->json_len,
                            .severity = t->severity,
                            .told = t->deliver,
                            .urgent = t->urgent};
    memcpy(s->json, t->json, t->json_len);
    if (!t->seq_at) /* only recorded, whole as it is */
        return;
    /* which number the store gave it is not known here */
    memmove(s->json + t->seq_at + 1, s->json + t->seq_at, t->json_len - t->seq_at);
    s->json[t->seq_at] = '0';
    s->json_len++;
}

/* -- its samples ----------------------------------------------------------------------------- */

static void put_value(struct buf *b, const struct field *f)
{
    char room[NUM_MAX];
    (void)buf_printf(b, "%s%.*s ", b->len ? ", " : "", (int)f->key_len, f->key);
    switch (f->v.type) {
    case VALUE_FLOAT:
        (void)buf_put(b, room, num_put_double(room, f->v.f));
        break;
    case VALUE_INT:
        (void)buf_put(b, room, num_put_i64(room, f->v.i));
        break;
    case VALUE_BOOL:
        (void)buf_puts(b, f->v.b ? "true" : "false");
        break;
    case VALUE_STRING:
        (void)buf_put(b, f->v.s.p, f->v.s.n);
        break;
    }
}

static void on_point(void *ctx, const struct point *p)
{
    struct explain *x = ctx;
    size_t n = strlen(x->mark);
    int64_t now = x->run->wall_ms;
    if (now < x->from_ms || now > x->to_ms || x->n_said == MAX_SAMPLES)
        return;
    if (p->series_len > 7 && memcmp(p->series, "gaihou_", 7) == 0)
        return;
    const char *at = memmem(p->series, p->series_len, x->mark, n);
    if (!at || (at + n < p->series + p->series_len && at[n] != ','))
        return;
    struct buf b;
    buf_init(&b, 65536);
    if (memmem(p->series, p->series_len, "_bad,", 5))
        (void)buf_puts(&b, "BAD: ");
    for (size_t i = 0; i < p->n_fields; i++)
        put_value(&b, &p->fields[i]);
    x->said = mem_realloc_array(x->said, x->n_said + 1, sizeof(*x->said));
    x->said[x->n_said++] = (struct said){now, p->time_ms, mem_strdup(buf_cstr(&b))};
    buf_done(&b);
}

/* -- telling --------------------------------------------------------------------------------- */

/* Unix milliseconds of our days: nothing else in an explanation is that large. */
static bool is_time(struct json_value v)
{
    return json_type(v) == JSON_INT && json_int(v) > INT64_C(1000000000000) &&
           json_int(v) < INT64_C(4102444800000);
}

/* Several lines as one. */
static void put_text(FILE *to, const char *s, size_t n)
{
    while (n > 0 && s[n - 1] == '\n')
        n--;
    for (;;) {
        const char *nl = memchr(s, '\n', n);
        size_t len = nl ? (size_t)(nl - s) : n;
        char *clean = ctl_clean(s, len, 4096);
        (void)fprintf(to, "%s%s", clean, nl ? "; " : "");
        free(clean);
        if (!nl)
            return;
        s = nl + 1;
        n -= len + 1;
    }
}

static void put_leaf(FILE *to, struct json_value v, const struct zone *z)
{
    char room[NUM_MAX];
    size_t n;
    const char *s;
    if (is_time(v)) {
        (void)fputs(past_time(room, z, json_int(v)), to);
        return;
    }
    switch (json_type(v)) {
    case JSON_BOOL:
        (void)fputs(json_bool(v) ? "true" : "false", to);
        break;
    case JSON_INT:
        (void)fwrite(room, 1, num_put_i64(room, json_int(v)), to);
        break;
    case JSON_UINT:
        (void)fwrite(room, 1, num_put_u64(room, json_uint(v)), to);
        break;
    case JSON_DOUBLE:
        (void)fwrite(room, 1, num_put_double(room, json_double(v)), to);
        break;
    case JSON_STRING:
        s = json_text(v, &n);
        put_text(to, s, n);
        break;
    case JSON_NULL:
        (void)fputs("-", to);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
}

static bool is_leaf(struct json_value v)
{
    enum json_type t = json_type(v);
    return (t != JSON_ARRAY && t != JSON_OBJECT) || json_count(v) == 0;
}

static void put_json(FILE *to, struct json_value v, const struct zone *z, unsigned depth)
{
    struct json_iter it;
    struct json_value e;
    const char *key;
    size_t n = 0;
    json_iter(v, &it);
    while (json_next(&it, &key, &n, &e)) {
        (void)fprintf(to, "%*s%.*s%s", (int)(2 * depth), "", key ? (int)n : 1, key ? key : "-",
                      key ? ": " : " ");
        if (is_leaf(e)) {
            put_leaf(to, e, z);
            (void)fputc('\n', to);
        } else {
            (void)fputc('\n', to);
            put_json(to, e, z, depth + 1);
        }
    }
}

static void show_json(const char *text, size_t len, const struct zone *z)
{
    struct json *j = json_new(1 << 20);
    struct json_value root;
    const char *why;
    if (json_parse(j, text, len, &root, &why) == 0 && !is_leaf(root))
        put_json(stdout, root, z, 1);
    else
        printf("  %.*s\n", (int)len, text);
    json_free(j);
}

static void print_samples(const struct explain *x, const struct zone *z)
{
    size_t before = 0, first;
    while (before < x->n_said && x->said[before].at_ms <= x->steps[0].at_ms)
        before++;
    first = before > MAX_BEFORE ? before - MAX_BEFORE : 0;
    struct ctl_table *t = ctl_table_new("RECEIVED|STAMP|VALUES:100");
    for (size_t i = first; i < x->n_said && i < before + MAX_AFTER; i++) {
        char at[32], stamp[32];
        const char *cells[] = {past_time(at, z, x->said[i].at_ms),
                               past_time(stamp, z, x->said[i].time_ms), x->said[i].values};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void print_steps(const struct explain *x, const struct zone *z)
{
    struct ctl_table *t = ctl_table_new("AT|CHANGE|SEVERITY|TOLD TO");
    for (size_t i = 0; i < x->n_steps; i++) {
        const struct told_step *s = &x->steps[i];
        char at[32];
        char *who =
            s->told ? mem_printf("%s/%s%s", s->firm, s->compound, s->urgent ? ", urgent" : "")
                    : mem_strdup("nobody (recorded)");
        const char *cells[] = {past_time(at, z, s->at_ms), s->change,
                               severity_name(s->severity), who};
        ctl_table_add(t, cells);
        free(who);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void print_people(const struct explain *x, const struct zone *z)
{
    printf("case %s\nrule %s (%s:%d), device %s%s%s\n", x->case_id, x->rule,
           x->file ? x->file : "?", x->line, x->device, *x->point ? ", point " : "", x->point);
    printf("\nWhen it was raised:\n");
    if (x->why)
        show_json(x->why, x->why_len, z);
    printf("\nWhat the device had said:\n");
    print_samples(x, z);
    printf("\nWhat became of it:\n");
    print_steps(x, z);
}

static void print_json(const struct explain *x)
{
    struct buf b;
    struct jsonw w;
    buf_init(&b, (size_t)64 << 20);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_str(&w, "case", x->case_id);
    jsonw_str(&w, "rule", x->rule);
    jsonw_str(&w, "device", x->device);
    jsonw_str(&w, "point", x->point);
    if (x->why)
        jsonw_raw(&w, "explain", x->why, x->why_len);
    jsonw_array(&w, "samples");
    for (size_t i = 0; i < x->n_said; i++) {
        jsonw_object(&w, NULL);
        jsonw_i64(&w, "received_ms", x->said[i].at_ms);
        jsonw_i64(&w, "time_ms", x->said[i].time_ms);
        jsonw_str(&w, "values", x->said[i].values);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_array(&w, "transitions");
    for (size_t i = 0; i < x->n_steps; i++)
        jsonw_raw(&w, NULL, x->steps[i].json, x->steps[i].json_len);
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    (void)fwrite(b.data, 1, b.len, stdout);
    (void)putchar('\n');
    buf_done(&b);
}

/* -- the command ----------------------------------------------------------------------------- */

static int walk(struct explain *x, struct past *p, bool samples, bool json)
{
    struct past_run run = {.ctx = x};
    x->p = p;
    x->run = &run;
    if (samples)
        run.point = on_point;
    else
        run.transition = on_transition;
    int code = past_walk(p, &run, 1);
    if (code == CTL_DONE && samples) {
        if (json)
            print_json(x);
        else
            print_people(x, run.world->zone);
    }
    past_run_done(&run);
    return code;
}

static void explain_done(struct explain *x)
{
    for (size_t i = 0; i < x->n_steps; i++) {
        free(x->steps[i].change);
        free(x->steps[i].firm);
        free(x->steps[i].compound);
        free(x->steps[i].json);
    }
    for (size_t i = 0; i < x->n_said; i++)
        free(x->said[i].values);
    free(x->steps);
    free(x->said);
    free(x->rule);
    free(x->device);
    free(x->point);
    free(x->file);
    free(x->why);
    free(x->mark);
}

static int explain(struct explain *x, const char *dir, bool json)
{
    struct past p;
    int code = past_open(&p, dir, NULL, NULL, 0);
    if (code == CTL_DONE)
        code = walk(x, &p, false, json);
    if (code == CTL_DONE && x->n_steps == 0) {
        (void)fprintf(stderr,
                      "gaihouctl: no case %s in what the folder still has of the past\n",
                      x->case_id);
        code = CTL_REFUSED;
    }
    if (code == CTL_DONE) {
        x->from_ms = x->steps[0].at_ms - BEFORE_MS;
        x->to_ms = x->steps[x->n_steps - 1].at_ms;
        x->mark = mem_printf(",device=%s", x->device);
        code = past_rewind(&p);
    }
    if (code == CTL_DONE)
        code = walk(x, &p, true, json);
    past_close(&p);
    return code;
}

int rules_explain(bool json, int argc, char **argv)
{
    bool ok = true;
    const char *dir = tools_take(&argc, argv, "--dir", &ok);
    if (!ok || argc != 2) {
        return usage_wrong("rules", "explain");
    }
    struct explain x = {.case_id = argv[1]};
    int code = explain(&x, dir ? dir : DIR_DEFAULT, json);
    explain_done(&x);
    return code;
}
