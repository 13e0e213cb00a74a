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
    const struct compound *last = r->n_devices ? r->devices[r->n_devices - 1].compound : NULL;
    if (last && strcmp(last->code, t) == 0) /* rows come in runs of one compound */
        return last;
    if (!sheet_code(s, COMPOUND, true))
        return NULL;
    const struct compound *c = registry_compound(r, t, strlen(t));
    if (c || r->compounds_refused) /* which it may have been: what is wrong there was told */
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
    sheet_error(s, column, "%s \"%.40s\", expected yes or no (是, 否)", columns[column].name,
                t);
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

/* What a row's device is found by. */
struct names {
    const char *code, *source;
    size_t code_len, source_len;
    uint64_t code_hash, source_hash;
};

/* Their places in the tables are fetched while the rest of the row is looked at. */
static struct names names_of(const struct sheet *s)
{
    struct names n = {.code = sheet_text(s, DEVICE), .code_len = sheet_len(s, DEVICE)};
    n.code_hash = registry_hash(n.code, n.code_len);
    bool own = sheet_len(s, SOURCE_ID) > 0;
    n.source = own ? sheet_text(s, SOURCE_ID) : n.code;
    n.source_len = own ? sheet_len(s, SOURCE_ID) : n.code_len;
    n.source_hash = own ? registry_hash(n.source, n.source_len) : n.code_hash;
    table_expect(&s->r->by_code, n.code_hash);
    table_expect(&s->r->by_source, n.source_hash);
    return n;
}

static const struct device *taken_by(const struct registry *r, uint32_t i)
{
    return i == UINT32_MAX ? NULL : &r->devices[i];
}

/* Both must be free: by whom they are taken, in which line. */
static bool check_unique(const struct sheet *s, const struct names *n, struct device *taken)
{
    const struct registry *r = s->r;
    const char *code = n->code, *source = n->source;
    const struct device *d = taken_by(
        r, table_find(&r->by_code, n->code_hash, registry_same_code, r, code, n->code_len));
    if (d)
        sheet_error(s, DEVICE, "device \"%s\" is repeated, first in line %u", code,
                    s->lines[d->index]);
    const struct device *e =
        taken_by(r, table_find(&r->by_source, n->source_hash, registry_same_source, r, source,
                               n->source_len));
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
    if (!*c->merged_into)
        return;
    uint32_t merged = day_of(c->valid_from), installed = day_of(sheet_text(s, INSTALLED));
    if (merged && installed > merged)
        sheet_warn(s, COMPOUND,
                   "device \"%s\" was installed on %s, after \"%s\" was merged into \"%s\" "
                   "(%s): expected compound %s",
                   sheet_text(s, DEVICE), sheet_text(s, INSTALLED), c->code,
                   registry_compound_now(s->r, c)->code, c->valid_from,
                   registry_compound_now(s->r, c)->code);
}

static int put_series(struct buf *b, const struct device *d)
{
    const struct lineproto_tag tags[] = {{"building", d->building},
                                         {"compound", d->compound->code},
                                         {"device", d->code},
                                         {"point", d->point}};
    return lineproto_put_series(b, d->kind->name, tags, 4);
}

/* That of its bad points is longer. */
static bool make_series(struct sheet *s, struct device *d)
{
    struct buf *b = &s->scratch;
    buf_clear(b);
    if (put_series(b, d) != 0 || b->len + strlen("_bad") > LINEPROTO_MAX_SERIES)
        return false;
    d->series_len = (uint16_t)b->len;
    d->series = keep(s->r, b->data, b->len);
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

static void take_device(struct sheet *s, const struct names *names, struct device *d)
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
    size_t n = names->code_len;
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
    table_add(&r->by_code, names->code_hash, d->index);
    table_add(&r->by_source, names->source_hash, d->index);
}

/* -- source ids that differ only in case ------------------------------------------------------- */

enum { FOLD_MAX = 256, ALIKE_TOLD = 5 };

static size_t fold(const char *s, size_t n, char out[FOLD_MAX])
{
    n = n < FOLD_MAX ? n : FOLD_MAX; /* which of those that are looked at none is longer than */
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + ('a' - 'A') : s[i]);
    return n;
}

static bool same_folded(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const struct registry *r = ctx;
    const char *other = r->devices[value].source_id;
    char text[FOLD_MAX];
    size_t n = fold(other, strlen(other), text);
    return n == len && memcmp(text, key, n) == 0;
}

static bool has_letter(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z'))
            return true;
    return false;
}

/* They are looked up as they are written (docs/registry.md): two rows for one device would each be right
 * for half of what it is thought to be. For a million devices a quarter of a second: --check only. */
static void check_alike(struct sheet *s, const struct names *names, const struct device *d)
{
    char text[FOLD_MAX];
    if (d->retired || !problems_are_thorough(s->problems) || names->source_len > FOLD_MAX ||
        !has_letter(names->source, names->source_len))
        return;
    if (!s->folded.slots)
        table_init(&s->folded, s->rows);
    size_t n = fold(names->source, names->source_len, text);
    uint64_t hash = registry_hash(text, n);
    uint32_t other = table_find(&s->folded, hash, same_folded, s->r, text, n);
    if (other == UINT32_MAX)
        table_add(&s->folded, hash, (uint32_t)s->r->n_devices - 1);
    else if (s->n_alike++ < ALIKE_TOLD)
        sheet_warn(
            s, *sheet_text(s, SOURCE_ID) ? SOURCE_ID : DEVICE,
            "source_id \"%.64s\" differs only in case from \"%.64s\" in line %u; they are "
            "two devices, each found by exactly its own",
            names->source, s->r->devices[other].source_id, s->lines[other]);
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
    struct names names = names_of(s);
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
    good = check_unique(s, &names, &d) && good;
    if (!good || !d.kind || !d.compound)
        return;
    check_merged(s, &d);
    size_t before = s->r->n_devices;
    if (s->r->n_devices == s->rows) {
        sheet_error(s, DEVICE, "more than %d devices", REGISTRY_MAX_DEVICES);
        return;
    }
    take_device(s, &names, &d);
    if (s->r->n_devices > before)
        check_alike(s, &names, &d);
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
    if (s->n_alike > ALIKE_TOLD)
        problems_warn(s->problems, s->file, 0, 0,
                      "%zu more source_ids differ only in case from another",
                      s->n_alike - ALIKE_TOLD);
    table_done(&s->folded);
    for (size_t k = 0; k < 2; k++)
        if (s->links[k].places)
            sheet_link(s, &s->links[k], r->n_devices, complete, code_of, find);
    for (uint32_t i = 0; s->links[1].places && i < r->n_devices; i++)
        if (s->links[1].next[i] != UINT32_MAX && s->links[1].next[i] != i)
            check_replaced(s, i);
}

const struct sheet_kind devices_sheet = {.columns = columns,
                                         .n_columns = N_COLUMNS,
                                         .rows = REGISTRY_MAX_DEVICES,
                                         .begin = begin,
                                         .on_row = on_row,
                                         .finish = finish};
