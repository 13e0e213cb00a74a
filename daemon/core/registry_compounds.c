/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/registry_private.h"
#include "core/text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum {
    COMPOUND,
    NAME,
    CITY,
    DISTRICT,
    STREET,
    COMMUNITY,
    GRID,
    FIRM,
    MODEL,
    TIER,
    LON,
    LAT,
    DATUM,
    MERGED_INTO,
    VALID_FROM,
    SPLIT_FROM,
    N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
    [COMPOUND] = {"compound", true},
    [NAME] = {"name", false},
    [CITY] = {"city", false},
    [DISTRICT] = {"district", false},
    [STREET] = {"street", false},
    [COMMUNITY] = {"community", false},
    [GRID] = {"grid", false},
    [FIRM] = {"firm", false},
    [MODEL] = {"model", false},
    [TIER] = {"tier", false},
    [LON] = {"lon", false},
    [LAT] = {"lat", false},
    [DATUM] = {"datum", false},
    [MERGED_INTO] = {"merged_into", false},
    [VALID_FROM] = {"valid_from", false},
    [SPLIT_FROM] = {"split_from", false},
};

struct word {
    const char *written, *means;
};

static const struct word models[] = {
    {"专业物业", "professional"}, {"professional", "professional"}, {"社区物业", "community"},
    {"community", "community"},   {"居民自治", "resident"},         {"resident", "resident"},
};
static const struct word tiers[] = {
    {"规范型", "standard"}, {"standard", "standard"}, {"基础型", "basic"},
    {"basic", "basic"},     {"托底型", "safety-net"}, {"safety-net", "safety-net"},
};
static const struct word datums[] = {
    {"GCJ-02", "GCJ-02"}, {"GCJ02", "GCJ-02"}, {"WGS-84", "WGS-84"},
    {"WGS84", "WGS-84"},  {"BD-09", "BD-09"},  {"BD09", "BD-09"},
};

static const char *read_word(const struct sheet *s, int column, const struct word *words,
                             size_t n, const char *expected)
{
    const char *t = sheet_text(s, column);
    if (!*t)
        return "";
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(words[i].written, t) == 0)
            return words[i].means;
    sheet_error(s, column, "%s \"%.64s\", expected %s", columns[column].name, t, expected);
    return "";
}

static double read_degrees(const struct sheet *s, int column, double limit)
{
    const char *t = sheet_text(s, column);
    double v;
    if (!*t)
        return NAN;
    if (text_double(t, strlen(t), &v) && fabs(v) <= limit)
        return v;
    bool exchanged = limit < 180 && text_double(t, strlen(t), &v) && fabs(v) <= 180;
    sheet_error(s, column, "%s \"%.40s\", expected decimal degrees from -%.0f to %.0f%s",
                columns[column].name, t, limit, limit,
                exchanged ? "; are lon and lat exchanged?" : "");
    return NAN;
}

/* A firm's code is its user at the broker, and these are others' in config/mosquitto/gaihou.acl: a
 * firm of that name would have their rights, the gateway's among them, or they its. */
static void check_firm(const struct sheet *s)
{
    static const char *const taken[] = {"gaihou", "duty", "devices"};
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
        if (strcmp(sheet_text(s, FIRM), taken[i]) == 0)
            sheet_error(s, FIRM,
                        "firm \"%s\" is another user of the broker (in gaihou.acl gaihou, duty "
                        "and devices are no firms), expected another code",
                        taken[i]);
}

static bool check_texts(const struct sheet *s)
{
    static const int codes[] = {DISTRICT, STREET,      COMMUNITY, GRID,
                                FIRM,     MERGED_INTO, SPLIT_FROM};
    bool good = sheet_plain(s, NAME, 255);
    good = sheet_plain(s, CITY, 255) && good;
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        good = sheet_code(s, codes[i], false) && good;
    check_firm(s);
    return sheet_date(s, VALID_FROM) && good;
}

static void on_row(struct sheet *s)
{
    struct registry *r = s->r;
    bool coded = sheet_code(s, COMPOUND, true);
    s->gaps |= !coded;
    (void)check_texts(s);
    struct compound c = {
        .model = read_word(s, MODEL, models, 6, "专业物业, 社区物业 or 居民自治"),
        .tier = read_word(s, TIER, tiers, 6, "规范型, 基础型 or 托底型"),
        .datum = read_word(s, DATUM, datums, 6, "GCJ-02, WGS-84 or BD-09"),
        .lon = read_degrees(s, LON, 180),
        .lat = read_degrees(s, LAT, 90),
        .index = (unsigned)r->n_compounds,
    };
    if (!*sheet_text(s, LON) != !*sheet_text(s, LAT))
        sheet_error(s, *sheet_text(s, LON) ? LON : LAT, "lon and lat go together");
    if (!coded)
        return; /* what else is wrong was told: its devices need not hear that it is not there */
    const char *code = sheet_text(s, COMPOUND);
    const struct compound *old = registry_compound(r, code, strlen(code));
    if (old) {
        sheet_error(s, COMPOUND, "compound \"%s\" is repeated, first in line %u", code,
                    s->lines[old->index]);
        return;
    }
    if (r->n_compounds == s->rows) {
        sheet_error(s, COMPOUND, "more than %d compounds", REGISTRY_MAX_COMPOUNDS);
        return;
    }
    c.code = sheet_keep(s, COMPOUND);
    c.name = *sheet_text(s, NAME) ? sheet_keep(s, NAME) : c.code;
    c.city = sheet_keep(s, CITY);
    c.district = sheet_keep(s, DISTRICT);
    c.street = sheet_keep(s, STREET);
    c.community = sheet_keep(s, COMMUNITY);
    c.grid = sheet_keep(s, GRID);
    c.firm = *sheet_text(s, FIRM) ? sheet_keep(s, FIRM) : "none";
    c.merged_into = sheet_keep(s, MERGED_INTO);
    c.split_from = sheet_keep(s, SPLIT_FROM);
    c.valid_from = sheet_keep(s, VALID_FROM);
    sheet_link_note(s, &s->links[0], c.index, c.merged_into);
    sheet_link_note(s, &s->links[1], c.index, c.split_from);
    s->lines[c.index] = (uint32_t)s->row->line;
    r->compounds[r->n_compounds++] = c;
    table_add(&r->by_compound, registry_hash(c.code, strlen(c.code)), c.index);
}

static void begin(struct sheet *s)
{
    s->r->compounds = mem_zalloc_array(s->rows, sizeof(*s->r->compounds));
    table_init(&s->r->by_compound, s->rows);
    s->links[0] = (struct link){.column = MERGED_INTO, .thing = "compound"};
    s->links[1] = (struct link){.column = SPLIT_FROM, .thing = "compound"};
}

static const char *code_of(const struct registry *r, uint32_t i)
{
    return r->compounds[i].code;
}

static uint32_t find(const struct registry *r, const char *code)
{
    const struct compound *c = registry_compound(r, code, strlen(code));
    return c ? c->index : UINT32_MAX;
}

/* A part that is merged back into the whole would be both at once: each way alone ends, the two
 * together go round. */
static void check_split_of_merged(const struct sheet *s)
{
    const struct registry *r = s->r;
    for (uint32_t i = 0; i < r->n_compounds; i++) {
        if (r->split[i] == UINT32_MAX || r->merged[i] != r->split[i])
            continue;
        const struct place *p = &s->links[1].places[i];
        problems_add(s->problems, s->file, p->line, p->col,
                     "\"%s\" was split from \"%s\" and is merged into it: expected one of "
                     "both; clear split_from when the parts are one again",
                     r->compounds[i].code, p->to);
    }
}

static void finish(struct sheet *s, bool complete)
{
    (void)complete; /* compounds are few: saying it twice is better than not at all */
    struct registry *r = s->r;
    for (size_t i = 0; i < 2; i++)
        sheet_link(s, &s->links[i], r->n_compounds, true, code_of, find);
    r->merged = s->links[0].next;
    r->split = s->links[1].next;
    s->links[0].next = s->links[1].next = NULL;
    check_split_of_merged(s);
}

const struct sheet_kind compounds_sheet = {.columns = columns,
                                           .n_columns = N_COLUMNS,
                                           .rows = REGISTRY_MAX_COMPOUNDS,
                                           .begin = begin,
                                           .on_row = on_row,
                                           .finish = finish};
