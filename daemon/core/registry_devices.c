/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "core/lineproto.h"
#include "core/registry_private.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
    VENDOR,
    MODEL,
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
    [VENDOR] = {"vendor", false},
    [MODEL] = {"model", false},
};

static void begin(struct sheet *s)
{
    s->r->devices = mem_zalloc_large(s->rows, sizeof(*s->r->devices));
    table_init(&s->r->by_code, s->rows);
    table_init(&s->r->by_source, s->rows);
    s->links[0] = (struct link){.column = UPLINK, .thing = "device"};
    s->links[1] = (struct link){.column = REPLACES, .thing = "device"};
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
    for (size_t i = 0; i < catalog_kinds(c) && !near; i++) { /* by what people call it */
        const struct kind *other = catalog_kind_at(c, i);
        if ((other->title_zh && strcmp(other->title_zh, t) == 0) ||
            (other->title_en && strcasecmp(other->title_en, t) == 0))
            near = other->name;
    }
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
    good = sheet_plain(s, VENDOR, 64) && good;
    good = sheet_plain(s, MODEL, 64) && good;
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
static bool check_unique(const struct sheet *s, const char *code, const char *source,
                         struct device *taken)
{
    const struct device *d = registry_find(s->r, code, strlen(code));
    if (d)
        sheet_error(s, DEVICE, "device \"%s\" is repeated, first in line %u", code,
                    s->lines[d->index]);
    const struct device *e = registry_find_source(s->r, source, strlen(source));
    if (e && (e->retired || taken->retired)) { /* what is in use has it */
        if (taken->retired)
            taken->source_given = true;
        else
            s->r->devices[e->index].source_given = true;
        return !d;
    }
    if (e && e != d)
        sheet_error(s, *sheet_text(s, SOURCE_ID) ? SOURCE_ID : DEVICE,
                    "source_id \"%s\" is that of device \"%s\" in line %u; is that one gone? "
                    "Then give it a date in column retired",
                    source, e->code, s->lines[e->index]);
    return !d && !e;
}

/* 20260301 of 2026-03-01 or 2026/3/1 (a date that was checked); 0 when there is none. */
static uint32_t day_of(const char *s)
{
    uint32_t part[3] = {0}, n = 0;
    for (; *s && n < 3; s++) {
        if (*s >= '0' && *s <= '9')
            part[n] = part[n] * 10 + (uint32_t)(*s - '0');
        else
            n++;
    }
    return part[0] * 10000 + part[1] * 100 + part[2];
}

/* What stood there before a merge stays under its old code; what is put up afterwards belongs
 * under the new one. */
static void check_merged(const struct sheet *s, const struct device *d)
{
    const struct compound *c = d->compound;
    uint32_t merged = day_of(c->valid_from), installed = day_of(sheet_text(s, INSTALLED));
    if (*c->merged_into && merged && installed > merged)
        sheet_warn(s, COMPOUND,
                   "device \"%s\" was installed on %s, after \"%s\" was merged into \"%s\" "
                   "(%s): expected compound %s",
                   sheet_text(s, DEVICE), sheet_text(s, INSTALLED), c->code,
                   registry_compound_now(s->r, c)->code, c->valid_from,
                   registry_compound_now(s->r, c)->code);
}

static char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static char *put_tag(char *at, const char *key, const char *value)
{
    return *value ? put_text(put_text(at, key), value) : at;
}

/* Of codes alone, as nearly all are, in which there is nothing to clean or to escape; the tags are
 * in their order. */
static int put_plain_series(struct buf *b, const struct device *d)
{
    char *begin = buf_room(b, 5 * TEXT_CODE_MAX + 64), *at = begin;
    if (!begin)
        return -ENOBUFS;
    at = put_text(at, d->kind->name);
    at = put_tag(at, ",building=", d->building);
    at = put_tag(at, ",compound=", d->compound->code);
    at = put_tag(at, ",device=", d->code);
    at = put_tag(at, ",point=", d->point);
    buf_commit(b, (size_t)(at - begin));
    return 0;
}

static int put_series(struct buf *b, const struct device *d)
{
    const struct lineproto_tag tags[] = {{"building", d->building},
                                         {"compound", d->compound->code},
                                         {"device", d->code},
                                         {"point", d->point}};
    if ((!*d->point || text_is_code(d->point, strlen(d->point))) &&
        strcmp(d->kind->name, "time") != 0) /* which no measurement may be called */
        return put_plain_series(b, d);
    return lineproto_put_series(b, d->kind->name, tags, 4);
}

/* "kind,building=…" and "kind_bad,building=…" differ in their measurement only, and kinds are words
 * in which nothing is escaped. */
static bool make_series(struct sheet *s, struct device *d)
{
    struct buf *b = &s->scratch;
    size_t n = strlen(d->kind->name);
    buf_clear(b);
    if (put_series(b, d) != 0)
        return false;
    d->series_len = (uint16_t)b->len;
    char *bad = buf_room(b, b->len + 5); /* b->data stands from here on */
    if (!bad || b->len + 4 > LINEPROTO_MAX_SERIES)
        return false;
    *bad++ = '\0';
    memcpy(bad, b->data, n);
    memcpy(bad + n, "_bad", 4);
    memcpy(bad + n + 4, b->data + n, b->len - n);
    buf_commit(b, b->len + 5);
    d->series = keep(s->r, s->scratch.data, s->scratch.len);
    d->series_bad = d->series + d->series_len + 1;
    d->series_bad_len = (uint16_t)(s->scratch.len - d->series_len - 1);
    return true;
}

/* Vendors and models are few and repeat from row to row: one copy does. */
static const char *keep_word(struct sheet *s, int column)
{
    const struct registry *r = s->r;
    const char *t = sheet_text(s, column);
    for (size_t back = 1; back <= 8 && back <= r->n_devices; back++) {
        const struct device *d = &r->devices[r->n_devices - back];
        const char *have = column == VENDOR ? d->vendor : d->model;
        if (strcmp(have, t) == 0)
            return have;
    }
    return sheet_keep(s, column);
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
    /* a series ends with its device when it has no point: the code is stored there already, and
     * near what each point needs */
    size_t n = strlen(d->code);
    d->code = *d->point ? sheet_keep(s, DEVICE) : d->series + d->series_len - n;
    d->point = sheet_keep(s, POINT);
    d->source_id = *sheet_text(s, SOURCE_ID) ? sheet_keep(s, SOURCE_ID) : d->code;
    d->unit = sheet_keep(s, UNIT);
    d->room = sheet_keep(s, ROOM);
    d->uplink = sheet_keep(s, UPLINK);
    d->power_domain = sheet_keep(s, POWER_DOMAIN);
    d->note = sheet_keep(s, NOTE);
    d->vendor = keep_word(s, VENDOR);
    d->model = keep_word(s, MODEL);
    sheet_link_note(s, &s->links[0], d->index, d->uplink);
    sheet_link_note(s, &s->links[1], d->index, sheet_keep(s, REPLACES));
    s->lines[d->index] = (uint32_t)s->row->line;
    r->compounds[d->compound->index].n_devices++;
    r->devices[r->n_devices++] = *d;
    table_add(&r->by_code, registry_hash(d->code, n), d->index);
    table_add(&r->by_source, registry_hash(d->source_id, strlen(d->source_id)), d->index);
}

/* 8.62451E+14 is what a spreadsheet makes of an IMEI; its digits are gone. */
static bool check_not_rounded(const struct sheet *s)
{
    const char *t = sheet_text(s, SOURCE_ID), *e = strpbrk(t, "eE");
    if (!e || e == t || e[1] != '+' || strspn(t, "0123456789.") != (size_t)(e - t) ||
        strspn(e + 2, "0123456789") != strlen(e + 2) || !e[2])
        return true;
    sheet_error(
        s, SOURCE_ID,
        "source_id \"%.40s\": a spreadsheet took it for a number and its digits are gone; "
        "format the column as text and enter it again",
        t);
    return false;
}

static void on_row(struct sheet *s)
{
    struct device d = {.retired = sheet_len(s, RETIRED) > 0};
    bool good = sheet_code(s, DEVICE, true);
    good = check_texts(s) && good;
    good = check_not_rounded(s) && good;
    d.kind = read_kind(s);
    d.compound = read_compound(s);
    d.life_safety = d.kind && d.kind->life_safety;
    good = read_interval(s, &d.expected_interval_s) && good;
    good = read_yes_no(s, LIFE_SAFETY, &d.life_safety) && good;
    if (!sheet_len(s, DEVICE) || !text_is_code(sheet_text(s, DEVICE), sheet_len(s, DEVICE)))
        return;
    const char *source = sheet_text(s, *sheet_text(s, SOURCE_ID) ? SOURCE_ID : DEVICE);
    good = check_unique(s, sheet_text(s, DEVICE), source, &d) && good;
    if (!good || !d.kind || !d.compound)
        return;
    check_merged(s, &d);
    if (s->r->n_devices == s->rows) {
        sheet_error(s, DEVICE, "more than %d devices", REGISTRY_MAX_DEVICES);
        return;
    }
    take_device(s, &d);
}

static const char *code_of(const struct registry *r, uint32_t i)
{
    return r->devices[i].code;
}

static uint32_t find(const struct registry *r, const char *code)
{
    const struct device *d = registry_find(r, code, strlen(code));
    return d ? d->index : UINT32_MAX;
}

/* One takes the place of one, of the same kind, and the other does not speak any more. */
static void check_replaced(struct sheet *s, uint32_t i)
{
    struct registry *r = s->r;
    const struct link *l = &s->links[1];
    const struct place *p = &l->places[i];
    struct device *d = &r->devices[i], *old = &r->devices[l->next[i]];
    if (old->replaced_by) {
        problems_add(s->problems, s->file, p->line, p->col,
                     "device \"%s\" is already replaced by \"%s\" in line %u: one device takes "
                     "the place of one",
                     old->code, old->replaced_by->code, s->lines[old->replaced_by->index]);
        return;
    }
    if (!old->retired)
        problems_add(s->problems, s->file, p->line, p->col,
                     "\"%s\" replaces \"%s\", which is not retired: give it the day of the "
                     "exchange in column retired (line %u)",
                     d->code, old->code, s->lines[old->index]);
    if (old->kind != d->kind)
        problems_warn(s->problems, s->file, p->line, p->col,
                      "\"%s\" is a %s and replaces \"%s\", a %s: their histories are different "
                      "measurements",
                      d->code, d->kind->name, old->code, old->kind->name);
    d->replaces = old;
    old->replaced_by = d;
}

/* Links may name a row below: they are looked up when all are known. */
static void finish(struct sheet *s, bool complete)
{
    struct registry *r = s->r;
    for (size_t k = 0; k < 2; k++)
        sheet_link(s, &s->links[k], r->n_devices, complete, code_of, find);
    for (uint32_t i = 0; i < r->n_devices; i++)
        if (s->links[1].next[i] != UINT32_MAX && s->links[1].next[i] != i)
            check_replaced(s, i);
}

const struct sheet_kind devices_sheet = {.columns = columns,
                                         .n_columns = N_COLUMNS,
                                         .rows = REGISTRY_MAX_DEVICES,
                                         .begin = begin,
                                         .on_row = on_row,
                                         .finish = finish};
