/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small registry of a test file, as the CSV that a gateway reads; and the world that is made
 * of it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/ruletest_private.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const compound_columns[] = {
    "compound", "name",        "city",       "district",  "street", "community",
    "grid",     "firm",        "model",      "tier",      "lon",    "lat",
    "datum",    "merged_into", "split_from", "valid_from"};
static const char *const device_columns[] = {"device",       "source_id", "kind",
                                             "compound",     "building",  "unit",
                                             "room",         "point",     "expected_interval",
                                             "power_domain", "uplink",    "life_safety",
                                             "consent",      "installed", "retired",
                                             "replaces",     "note",      "vendor",
                                             "model"};
/* What a device may say of its compound. */
static const char *const shared[] = {"firm",   "tier",     "grid", "community",
                                     "street", "district", "city", "name"};

enum {
    N_COMPOUND = sizeof(compound_columns) / sizeof(*compound_columns),
    N_DEVICE = sizeof(device_columns) / sizeof(*device_columns),
    N_SHARED = sizeof(shared) / sizeof(*shared),
    MAX_COMPOUNDS = 10000,
    MAX_SAID = 200,
};
/* What the tables are called where they are read. */
#define COMPOUNDS "compounds of the test"
#define DEVICES   "devices of the test"
#define PARAMS    "params of the test"

struct compound_row {
    const char *cells[N_COMPOUND];
    struct place place;
};
struct site {
    struct ruletest_parse *p;
    struct compound_row *rows;
    size_t n, cap;
    const struct yaml_node *defaults[N_DEVICE + N_SHARED];
};

static size_t column(const char *const *names, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static void put_cell(struct buf *out, const char *s, char end)
{
    (void)buf_putc(out, '"');
    for (; *s; s++) {
        if (*s == '"')
            (void)buf_putc(out, '"');
        (void)buf_putc(out, *s);
    }
    (void)buf_putc(out, '"');
    (void)buf_putc(out, end);
}

static void put_header(struct buf *out, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_cell(out, names[i], i + 1 < n ? ',' : '\n');
}

static struct compound_row *find_row(struct site *s, const char *code)
{
    for (size_t i = s->n; i-- > 0;)
        if (strcmp(s->rows[i].cells[0], code) == 0)
            return &s->rows[i];
    return NULL;
}

static struct compound_row *add_row(struct site *s, const char *code, const struct yaml_node *n)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->rows = mem_realloc_array(s->rows, s->cap, sizeof(*s->rows));
    }
    s->rows[s->n] = (struct compound_row){.cells = {code}, .place = {AT(n)}};
    return &s->rows[s->n++];
}

/* A value of one line: what the CSV has in a row was written in one place. */
static const char *cell(struct ruletest_parse *p, const struct yaml_node *n, const char *what)
{
    const char *v = n ? ruletest_copy(p, n, what) : NULL;
    if (v && !text_is_plain(v, strlen(v))) {
        conf_error(&p->notes, AT(n), "%s: expected one line without control characters", what);
        return NULL;
    }
    return v;
}

/* -- compounds ------------------------------------------------------------------------------- */

static void one_compound(struct site *s, const struct yaml_node *n)
{
    const struct yaml_node *at[N_COMPOUND] = {NULL};
    struct slot slots[N_COMPOUND];
    for (size_t i = 0; i < N_COMPOUND; i++)
        slots[i] = (struct slot){compound_columns[i], &at[i]};
    if (!ruletest_map(s->p, n, SLOTS(slots), "a compound"))
        return;
    const char *code = cell(s->p, at[0], "compound");
    if (!code) {
        if (!at[0] && s->p->known)
            conf_error(&s->p->notes, AT(n), "a compound needs `compound`, its code");
        return;
    }
    if (find_row(s, code) || s->n == MAX_COMPOUNDS) {
        conf_error(&s->p->notes, AT(at[0]), "compound \"%.64s\" is repeated, or one too many",
                   code);
        return;
    }
    struct compound_row *row = add_row(s, code, n);
    for (size_t i = 1; i < N_COMPOUND; i++)
        row->cells[i] = cell(s->p, at[i], compound_columns[i]);
}

/* The compound of a device, made when nobody has told of it. */
static void compound_of(struct site *s, const char *code, const struct yaml_node *device,
                        const struct yaml_node *const *at)
{
    struct compound_row *row = find_row(s, code);
    if (!row && s->n == MAX_COMPOUNDS) {
        conf_error(&s->p->notes, AT(device), "more than %d compounds", MAX_COMPOUNDS);
        return;
    }
    if (!row)
        row = add_row(s, code, device);
    for (size_t i = 0; i < N_SHARED; i++) {
        size_t c = column(compound_columns, N_COMPOUND, shared[i]);
        const char *v = cell(s->p, at[i], shared[i]);
        if (!v)
            continue;
        if (row->cells[c] && strcmp(row->cells[c], v) != 0)
            conf_error(&s->p->notes, AT(at[i]),
                       "%s \"%.64s\": compound \"%.64s\" has \"%.64s\" already", shared[i], v,
                       code, row->cells[c]);
        else if (!row->cells[c])
            row->cells[c] = v;
    }
}

static void put_compounds(struct site *s)
{
    size_t firm = column(compound_columns, N_COMPOUND, "firm");
    struct buf *out = &s->p->t->compounds;
    struct ruletest *t = s->p->t;
    put_header(out, compound_columns, N_COMPOUND);
    t->compound_rows = mem_zalloc_array(s->n, sizeof(*t->compound_rows));
    t->n_compound_rows = s->n;
    for (size_t k = 0; k < s->n; k++) {
        t->compound_rows[k] = s->rows[k].place;
        for (size_t i = 0; i < N_COMPOUND; i++) {
            const char *v = s->rows[k].cells[i];
            put_cell(out, v ? v : i == firm ? "f1" : "", i + 1 < N_COMPOUND ? ',' : '\n');
        }
    }
}

/* -- devices --------------------------------------------------------------------------------- */

static void add_param_row(struct ruletest *t, const struct yaml_node *n)
{
    if (t->n_param_rows == t->cap_param_rows) {
        t->cap_param_rows = t->cap_param_rows ? 2 * t->cap_param_rows : 64;
        t->param_rows =
            mem_realloc_array(t->param_rows, t->cap_param_rows, sizeof(*t->param_rows));
    }
    t->param_rows[t->n_param_rows++] = (struct place){AT(n)};
}

static void put_params(struct site *s, const char *code, const struct yaml_node *n)
{
    struct ruletest_parse *p = s->p;
    if (!n || n->kind != YAML_MAP) {
        if (n && n->kind != YAML_BAD)
            conf_error(&p->notes, AT(n), "params: expected a mapping of names to numbers");
        return;
    }
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        const char *text = cell(p, v, "a parameter");
        if (!text || !text_is_plain(v->key->text, strlen(v->key->text)))
            continue; /* a key of two lines: yaml_parse has refused it */
        add_param_row(p->t, v);
        put_cell(&p->t->params, code, ',');
        put_cell(&p->t->params, v->key->text, ',');
        put_cell(&p->t->params, text, '\n');
    }
}

static void put_device(struct site *s, const struct yaml_node *n, const char *code,
                       const char *const *cells)
{
    struct ruletest *t = s->p->t;
    if (t->n_list == t->cap_list) {
        t->cap_list = t->cap_list ? 2 * t->cap_list : 64;
        t->list = mem_realloc_array(t->list, t->cap_list, sizeof(*t->list));
    }
    t->list[t->n_list++] = (struct table_device){code, cells[3], AT(n)};
    put_cell(&t->devices, code, ',');
    for (size_t i = 1; i < N_DEVICE; i++)
        put_cell(&t->devices, cells[i] ? cells[i] : "", i + 1 < N_DEVICE ? ',' : '\n');
}

static char *numbered(struct site *s, const char *code, uint64_t i)
{
    struct buf b;
    buf_init(&b, 256);
    (void)buf_printf(&b, "%.200s-%llu", code, (unsigned long long)i);
    char *out = arena_strndup(&s->p->t->arena, b.data, b.len);
    ASSERT(out);
    buf_done(&b);
    return out;
}

static void one_device(struct site *s, const struct yaml_node *n)
{
    const struct yaml_node *at[N_DEVICE + N_SHARED] = {NULL}, *params = NULL, *count_ = NULL;
    struct slot slots[N_DEVICE + N_SHARED + 2];
    const char *cells[N_DEVICE];
    uint64_t count = 0;
    struct ruletest_parse *p = s->p;
    for (size_t i = 0; i < N_DEVICE; i++)
        slots[i] = (struct slot){device_columns[i], &at[i]};
    for (size_t i = 0; i < N_SHARED; i++)
        slots[N_DEVICE + i] = (struct slot){shared[i], &at[N_DEVICE + i]};
    slots[N_DEVICE + N_SHARED] = (struct slot){"params", &params};
    slots[N_DEVICE + N_SHARED + 1] = (struct slot){"count", &count_};
    if (!ruletest_map(p, n, SLOTS(slots), "a device"))
        return;
    for (size_t i = 0; i < N_DEVICE + N_SHARED; i++)
        at[i] = at[i] ? at[i] : s->defaults[i];
    for (size_t i = 0; i < N_DEVICE; i++)
        cells[i] = cell(p, at[i], device_columns[i]);
    if (!cells[0] || !cells[2]) {
        if (p->known)
            conf_error(&p->notes, AT(n), "a device needs `device` (its code) and `kind`");
        return;
    }
    cells[3] = cells[3] ? cells[3] : "c1";
    compound_of(s, cells[3], n, at + N_DEVICE);
    (void)ruletest_count(p, count_, "count", RULETEST_MAX_DEVICES, &count);
    if (p->t->n_list + (count ? count : 1) > RULETEST_MAX_DEVICES) {
        conf_error(&p->notes, AT(n), "more than %d devices", RULETEST_MAX_DEVICES);
        return;
    }
    for (uint64_t i = count_ ? 1 : 0; i <= count; i++) {
        const char *code = count_ ? numbered(s, cells[0], i) : cells[0];
        put_device(s, n, code, cells);
        put_params(s, code, params);
    }
}

static void read_defaults(struct site *s, const struct yaml_node *n)
{
    struct slot slots[N_DEVICE + N_SHARED];
    for (size_t i = 0; i < N_DEVICE; i++)
        slots[i] = (struct slot){device_columns[i], &s->defaults[i]};
    for (size_t i = 0; i < N_SHARED; i++)
        slots[N_DEVICE + i] = (struct slot){shared[i], &s->defaults[N_DEVICE + i]};
    if (n)
        (void)ruletest_map(s->p, n, SLOTS(slots), "defaults");
}

void ruletest_parse_devices(struct ruletest_parse *p, const struct yaml_node *compounds,
                            const struct yaml_node *devices, const struct yaml_node *defaults)
{
    struct site s = {.p = p};
    struct ruletest *t = p->t;
    read_defaults(&s, defaults);
    put_header(&t->devices, device_columns, N_DEVICE);
    (void)buf_puts(&t->params, "device,name,value\n");
    if (ruletest_list(p, compounds, "compounds"))
        for (const struct yaml_node *n = compounds->first; n; n = n->next)
            one_compound(&s, n);
    if (ruletest_list(p, devices, "devices"))
        for (const struct yaml_node *n = devices->first; n; n = n->next)
            one_device(&s, n);
    put_compounds(&s);
    free(s.rows);
    if (t->compounds.failed || t->devices.failed || t->params.failed)
        conf_error(&p->notes, 0, 0, "the devices are too many for a test");
}

/* -- the world ------------------------------------------------------------------------------- */

static void put_conf(struct buf *out, const struct ruletest *t)
{
    (void)buf_printf(out,
                     "gateway: {id: test, data_dir: /var/lib/gaihou, timezone: %s}\n"
                     "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                     "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                     "  - {profile: points, broker: main, qos: 1}\n"
                     "sinks:\n  - {id: none, type: influxdb1, url: http://127.0.0.1:8086, "
                     "database: none}\n"
                     "alerts: {broker: main}\n"
                     "catalog: catalog.yaml\n"
                     "registry: {compounds: compounds.csv, devices: devices.csv, params: "
                     "params.csv}\n",
                     t->timezone);
}

/* Our own JSON knows no points: series that have one speak so. */
static const char points_profile[] =
    "version: 1\nprofile: points\ntopics: [\"" RULETEST_POINTS "/{compound}/{device}\"]\n"
    "device: \"{device}\"\npoint: '{$[\"@\"]}'\ntime: {from: $.ts, format: ms}\n"
    "messages:\n  - name: data\n    fields: {in: $, same: true, names: {ts: null, \"@\": "
    "null}}\n";

/* Where the test file has what stands in that row of a table; {0, 0}: nowhere. */
static struct place place_of(const struct ruletest *t, const char *where)
{
    const size_t n = strcspn(where, ":");
    uint64_t row = 0;
    if (where[n] != ':' ||
        num_get_u64(where + n + 1, strspn(where + n + 1, "0123456789"), &row) != 0 || row < 2)
        return (struct place){0, 0};
    row -= 2; /* behind the header, from 0 */
    if (strncmp(where, DEVICES, n) == 0 && row < t->n_list)
        return (struct place){t->list[row].line, t->list[row].col};
    if (strncmp(where, COMPOUNDS, n) == 0 && row < t->n_compound_rows)
        return t->compound_rows[row];
    bool of_conf = n == strlen("params.csv") && strncmp(where, "params.csv", n) == 0;
    if ((of_conf || strncmp(where, PARAMS, n) == 0) && row < t->n_param_rows)
        return t->param_rows[row];
    return (struct place){0, 0};
}

/* "… is repeated, first in line 3": the line of the table, in the test file. */
static char *with_lines(const struct ruletest *t, const char *where, const char *text)
{
    static const char first[] = "first in line ";
    const char *at = strstr(text, first), *n = at ? at + strlen(first) : "";
    size_t digits = strspn(n, "0123456789");
    if (!at || digits == 0 || digits > 9)
        return mem_strdup(text);
    char *row = mem_printf("%.*s:%.*s", (int)strcspn(where, ":"), where, (int)digits, n);
    struct place p = place_of(t, row);
    free(row);
    return p.line ? mem_printf("%.*s%d%s", (int)(n - text), text, p.line, n + digits)
                  : mem_strdup(text);
}

/* What the readers say of the tables, at the place where the test file has it. */
static void hand_on(const struct ruletest *t, const struct problems *from, struct problems *to)
{
    static const char error[] = ": error: ", warning[] = ": warning: ";
    for (size_t i = 0; i < problems_count(from); i++) {
        const char *s = problems_get(from, i), *cut = strstr(s, error);
        bool wrong = cut != NULL;
        cut = wrong ? cut : strstr(s, warning);
        const char *text = cut ? cut + strlen(wrong ? error : warning) : s;
        char *where = mem_strndup(s, cut ? (size_t)(cut - s) : 0);
        struct place at = place_of(t, where);
        const char *file = at.line || !*where ? t->file : where;
        char *told = with_lines(t, where, text);
        if (cut && !wrong)
            problems_warn(to, file, at.line, at.col, "%s", told);
        else
            problems_add(to, file, at.line, at.col, "%s", told);
        free(told);
        free(where);
    }
}

int ruletest_world(const struct ruletest *t, const struct world_text *catalog,
                   const struct world_text *rules, size_t n_rules, const struct zone *zone,
                   struct problems *problems, struct world **out)
{
    struct buf conf, zone_text, bundle;
    buf_init(&conf, 4096);
    buf_init(&zone_text, 1 << 20);
    buf_init(&bundle, WORLD_MAX_BUNDLE);
    put_conf(&conf, t);
    (void)world_zone_text(zone, &zone_text);
    const struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"test", conf.data, conf.len},
        [WORLD_CATALOG] = *catalog,
        [WORLD_COMPOUNDS] = {COMPOUNDS, t->compounds.data, t->compounds.len},
        [WORLD_DEVICES] = {DEVICES, t->devices.data, t->devices.len},
        [WORLD_PARAMS] = {PARAMS, t->params.data, t->params.len},
        [WORLD_ZONE] = {"zone", zone_text.data, zone_text.len},
    };
    const struct world_text points = {"points.yaml", points_profile, strlen(points_profile)};
    struct problems *said = problems_new(MAX_SAID);
    int r = world_bundle(parts, &bundle);
    if (r == 0)
        r = world_bundle_profiles(&points, 1, &bundle);
    if (r == 0)
        r = world_bundle_rules(rules, n_rules, &bundle);
    if (r != 0)
        problems_add(problems, t->file, 0, 0, "catalogue, devices and rules are too large");
    r = r != 0 ? -EINVAL : world_open(bundle.data, bundle.len, said, out);
    hand_on(t, said, problems);
    problems_free(said);
    buf_done(&conf);
    buf_done(&zone_text);
    buf_done(&bundle);
    return r;
}
