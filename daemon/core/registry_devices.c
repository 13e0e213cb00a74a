/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "core/lineproto.h"
#include "core/registry_private.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEVICE,
    SOURCE_ID,
    KIND,
    COMPOUND,
    BUILDING,
    UNIT,
    ROOM,
    POINT,
    EXPECTED_INTERVAL,
    POWER_DOMAIN,
    UPLINK,
    LIFE_SAFETY,
    CONSENT,
    INSTALLED,
    RETIRED,
    REPLACES,
    NOTE,
    N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
    [DEVICE] = {"device", true},
    [SOURCE_ID] = {"source_id", false},
    [KIND] = {"kind", true},
    [COMPOUND] = {"compound", true},
    [BUILDING] = {"building", false},
    [UNIT] = {"unit", false},
    [ROOM] = {"room", false},
    [POINT] = {"point", false},
    [EXPECTED_INTERVAL] = {"expected_interval", false},
    [POWER_DOMAIN] = {"power_domain", false},
    [UPLINK] = {"uplink", false},
    [LIFE_SAFETY] = {"life_safety", false},
    [CONSENT] = {"consent", false},
    [INSTALLED] = {"installed", false},
    [RETIRED] = {"retired", false},
    [REPLACES] = {"replaces", false},
    [NOTE] = {"note", false},
};

static void begin(struct sheet *s)
{
    s->r->devices = mem_zalloc_array(s->rows, sizeof(*s->r->devices));
    table_init(&s->r->by_code, s->rows);
    table_init(&s->r->by_source, s->rows);
}

static const struct kind *read_kind(const struct sheet *s)
{
    const struct catalog *c = s->r->catalog;
    const char *t = sheet_text(s, KIND), *names[CATALOG_MAX_KINDS];
    const struct kind *k = catalog_kind(c, t, sheet_len(s, KIND));
    if (k)
        return k;
    if (!*t) {
        sheet_error(s, KIND, "kind is empty");
        return NULL;
    }
    for (size_t i = 0; i < catalog_kinds(c); i++)
        names[i] = catalog_kind_at(c, i)->name;
    const char *near = err_nearest(t, names, catalog_kinds(c));
    sheet_error(s, KIND, "unknown kind \"%.64s\"%s%s%s", t, near ? ", did you mean \"" : "",
                near ? near : "", near ? "\"?" : "");
    return NULL;
}

static const struct compound *read_compound(const struct sheet *s)
{
    struct registry *r = s->r;
    const char *t = sheet_text(s, COMPOUND);
    if (!sheet_code(s, COMPOUND, true))
        return NULL;
    const struct compound *c = registry_compound(r, t, strlen(t));
    if (c)
        return c;
    if (!r->compounds) {
        sheet_error(s, COMPOUND, "unknown compound \"%s\": no file of compounds was read", t);
        return NULL;
    }
    const char **names = mem_zalloc_array(r->n_compounds, sizeof(*names));
    for (size_t i = 0; i < r->n_compounds; i++)
        names[i] = r->compounds[i].code;
    /* one look over many names for each of many lines would take minutes */
    size_t budget = problems_errors(s->problems) < 100 ? r->n_compounds : 0;
    const char *near = err_nearest(t, names, budget);
    sheet_error(s, COMPOUND, "unknown compound \"%s\"%s%s%s", t,
                near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(names);
    return NULL;
}

static bool read_interval(const struct sheet *s, uint32_t *out)
{
    const char *t = sheet_text(s, EXPECTED_INTERVAL);
    if (!*t || text_seconds(t, strlen(t), out))
        return true;
    sheet_error(s, EXPECTED_INTERVAL,
                "expected_interval \"%.40s\", expected e.g. 60s, 5m, 1h or seconds", t);
    return false;
}

static bool read_yes_no(const struct sheet *s, int column, bool *out)
{
    const char *t = sheet_text(s, column);
    if (!*t || text_bool(t, strlen(t), out))
        return true;
    sheet_error(s, column, "%s \"%.40s\", expected yes or no", columns[column].name, t);
    return false;
}

static bool check_texts(const struct sheet *s)
{
    bool good = sheet_plain(s, SOURCE_ID, 255);
    good = sheet_plain(s, UNIT, 255) && good;
    good = sheet_plain(s, ROOM, 255) && good;
    good = sheet_plain(s, POINT, 64) && good;
    good = sheet_plain(s, POWER_DOMAIN, 255) && good;
    good = sheet_plain(s, CONSENT, 255) && good;
    good = sheet_code(s, BUILDING, false) && good;
    good = sheet_code(s, UPLINK, false) && good;
    good = sheet_code(s, REPLACES, false) && good;
    good = sheet_date(s, INSTALLED) && good;
    good = sheet_date(s, RETIRED) && good;
    if (sheet_len(s, NOTE) > 1024) {
        sheet_error(s, NOTE, "note has more than 1024 bytes");
        good = false;
    }
    return good;
}

/* Both must be free: by whom they are taken, in which line. */
static bool check_unique(const struct sheet *s, const char *code, const char *source)
{
    const struct device *d = registry_find(s->r, code, strlen(code));
    if (d)
        sheet_error(s, DEVICE, "device \"%s\" is repeated, first in line %u", code,
                    s->lines[d->index]);
    const struct device *e = registry_find_source(s->r, source, strlen(source));
    if (e && e != d)
        sheet_error(s, *sheet_text(s, SOURCE_ID) ? SOURCE_ID : DEVICE,
                    "source_id \"%s\" is that of device \"%s\" in line %u", source, e->code,
                    s->lines[e->index]);
    return !d && !e;
}

/* "kind,building=…" and "kind_bad,building=…" differ in their measurement only. */
static bool make_series(struct sheet *s, struct device *d)
{
    const struct lineproto_tag tags[] = {{"building", d->building},
                                         {"compound", d->compound->code},
                                         {"device", d->code},
                                         {"point", d->point}};
    char bad[TEXT_CODE_MAX + 8];
    size_t n = strlen(d->kind->name);
    memcpy(bad, d->kind->name, n);
    memcpy(bad + n, "_bad", 5);
    buf_clear(&s->scratch);
    int r = lineproto_put_series(&s->scratch, d->kind->name, tags, 4);
    d->series_len = (uint16_t)s->scratch.len;
    r = r == 0 ? buf_putc(&s->scratch, '\0') : r;
    r = r == 0 ? lineproto_put_series(&s->scratch, bad, tags, 4) : r;
    if (r != 0)
        return false;
    d->series = keep(s->r, s->scratch.data, s->scratch.len);
    d->series_bad = d->series + d->series_len + 1;
    d->series_bad_len = (uint16_t)(s->scratch.len - d->series_len - 1);
    return true;
}

static void take_device(struct sheet *s, struct device *d)
{
    struct registry *r = s->r;
    d->index = (uint32_t)r->n_devices;
    d->building = sheet_keep(s, BUILDING);
    d->point = sheet_text(s, POINT);
    d->code = sheet_text(s, DEVICE);
    if (!make_series(s, d)) {
        sheet_error(s, DEVICE, "no series can be named for device \"%s\"", d->code);
        return;
    }
    /* a series ends with its device when it has no point: the code is stored there already */
    size_t n = strlen(d->code);
    d->code = *d->point ? sheet_keep(s, DEVICE) : d->series_bad + d->series_bad_len - n;
    d->point = sheet_keep(s, POINT);
    d->source_id = *sheet_text(s, SOURCE_ID) ? sheet_keep(s, SOURCE_ID) : d->code;
    d->unit = sheet_keep(s, UNIT);
    d->room = sheet_keep(s, ROOM);
    d->uplink = sheet_keep(s, UPLINK);
    d->power_domain = sheet_keep(s, POWER_DOMAIN);
    d->note = sheet_keep(s, NOTE);
    struct place *p = &s->link_places[d->index];
    if (*d->uplink)
        csv_place(s->row, (size_t)s->at[UPLINK], &p->line, &p->col);
    s->lines[d->index] = (uint32_t)s->row->line;
    r->devices[r->n_devices++] = *d;
    table_add(&r->by_code, registry_hash(d->code, n), d->index);
    table_add(&r->by_source, registry_hash(d->source_id, strlen(d->source_id)), d->index);
}

static void on_row(struct sheet *s)
{
    struct device d = {.retired = sheet_len(s, RETIRED) > 0};
    bool good = sheet_code(s, DEVICE, true);
    good = check_texts(s) && good;
    d.kind = read_kind(s);
    d.compound = read_compound(s);
    d.life_safety = d.kind && d.kind->life_safety;
    good = read_interval(s, &d.expected_interval_s) && good;
    good = read_yes_no(s, LIFE_SAFETY, &d.life_safety) && good;
    if (!sheet_len(s, DEVICE) || !text_is_code(sheet_text(s, DEVICE), sheet_len(s, DEVICE)))
        return;
    const char *source = sheet_text(s, *sheet_text(s, SOURCE_ID) ? SOURCE_ID : DEVICE);
    good = check_unique(s, sheet_text(s, DEVICE), source) && good;
    if (!good || !d.kind || !d.compound)
        return;
    if (s->r->n_devices == s->rows) {
        sheet_error(s, DEVICE, "more than %d devices", REGISTRY_MAX_DEVICES);
        return;
    }
    take_device(s, &d);
}

static void on_circle(void *ctx, uint32_t at)
{
    const struct sheet *s = ctx;
    problems_add(s->problems, s->file, s->link_places[at].line, s->link_places[at].col,
                 "uplink \"%s\" leads back to \"%s\" itself", s->r->devices[at].uplink,
                 s->r->devices[at].code);
}

/* Uplinks may stand below their devices: they are looked up when all are known. When rows were
 * refused an uplink may be among them, which would be said twice. */
static void resolve_uplinks(struct sheet *s, bool complete)
{
    struct registry *r = s->r;
    for (size_t i = 0; i < r->n_devices; i++) {
        const char *up = r->devices[i].uplink;
        const struct device *d = *up ? registry_find(r, up, strlen(up)) : NULL;
        s->links[i] = d ? d->index : UINT32_MAX;
        if (*up && !d && complete)
            problems_add(s->problems, s->file, s->link_places[i].line, s->link_places[i].col,
                         "uplink \"%s\": there is no such device", up);
    }
    find_circles(s->links, r->n_devices, on_circle, s);
}

void devices_read(struct registry *r, const struct registry_input *in, struct problems *p)
{
    struct sheet *s = mem_zalloc(sizeof(*s));
    *s = (struct sheet){.r = r,
                        .problems = p,
                        .file = in->file,
                        .columns = columns,
                        .n_columns = N_COLUMNS,
                        .begin = begin,
                        .on_row = on_row,
                        .rows = REGISTRY_MAX_DEVICES};
    buf_init(&s->scratch, 8192);
    size_t before = problems_errors(p);
    if (sheet_read(s, in))
        resolve_uplinks(s, problems_errors(p) == before);
    sheet_free(s);
}
