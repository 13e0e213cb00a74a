/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `parse:` of mappings: texts that hold a number in a form of their own.
 *
 * duration: "PT1H30M" (ISO 8601), "1T02:03:04" (Tasmota), "2 days, 3:04:05", "3h 5m", "90min",
 * "1小时20分", or a bare number: seconds. obis: "1-0:1.8.0*255(001234.567*kWh)" (IEC 62056-21),
 * or only what stands in the last parentheses: the number, and the unit that is told with it.
 */
#include "base/num.h"
#include "core/profile_private.h"
#include "core/text.h"

#include <math.h>
#include <string.h>

/* ---- compiled ---- */

/* Units as meters print them, and what UCUM calls them. */
static const struct {
    const char *told, *ucum;
} obis_units[] = {
    {"Wh", "W.h"},       {"kWh", "kW.h"},     {"MWh", "MW.h"}, {"varh", "var.h"},
    {"kvarh", "kvar.h"}, {"Mvarh", "Mvar.h"}, {"VAh", "VA.h"}, {"kVAh", "kVA.h"},
    {"W", "W"},          {"kW", "kW"},        {"MW", "MW"},    {"var", "var"},
    {"kvar", "kvar"},    {"VA", "VA"},        {"kVA", "kVA"},  {"V", "V"},
    {"kV", "kV"},        {"A", "A"},          {"mA", "mA"},    {"Hz", "Hz"},
    {"m3", "m3"},        {"l", "L"},          {"L", "L"},      {"m3/h", "m3/h"},
    {"l/h", "L/h"},      {"J", "J"},          {"MJ", "MJ"},    {"GJ", "GJ"},
    {"bar", "bar"},      {"kPa", "kPa"},      {"MPa", "MPa"},  {"K", "K"},
    {"C", "Cel"},        {"°C", "Cel"},       {"s", "s"},      {"min", "min"},
    {"h", "h"},          {"d", "d"},          {"%", "%"},
};
enum { OBIS_UNITS = sizeof(obis_units) / sizeof(obis_units[0]) };

/* Those that can become the metric's unit: the text says which it is. */
static void obis_of(struct plan_build *b, const struct yaml_node *n, const bool *kinds,
                    struct plan_map *m)
{
    struct plan_unit *list = plan_take(b, OBIS_UNITS, sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < OBIS_UNITS; i++) {
        struct plan_unit *u = &list[count];
        if (!plan_unit_fits(b, obis_units[i].ucum, m->metric, kinds))
            continue;
        u->when = (struct plan_scalar){
            .kind = SCALAR_TEXT, .text = obis_units[i].told, .len = strlen(obis_units[i].told)};
        u->out.map = m;
        u->out.limited = kinds != NULL;
        count += plan_unit_of(b, n, obis_units[i].ucum, m->metric, kinds, &m->scale, &u->linear,
                              &u->out.by_kind);
    }
    m->units = list;
    m->n_units = count;
}

void plan_parse(struct plan_build *b, const struct yaml_node *n, const struct yaml_node *unit,
                const bool *kinds, struct plan_map *m)
{
    static const char *const names[] = {"duration", "obis"};
    struct plan_unit u = {0};
    const char *s = plan_scalar_text(b, n, "parse");
    if (!s || (m->type != METRIC_FLOAT && m->type != METRIC_INT)) /* told by its type */
        return;
    if (strcmp(s, names[0]) == 0)
        m->parse = PARSE_DURATION;
    else if (strcmp(s, names[1]) == 0)
        m->parse = PARSE_OBIS;
    else
        plan_unknown(b, n, "parse", s, names, 2);
    if (m->parse == PARSE_OBIS && unit && unit->kind == YAML_MAP)
        conf_error(b->notes, AT(unit->key),
                   "with `parse: obis` the text tells the unit, expected no `unit`, or the one "
                   "of texts that tell none");
    else if (m->parse == PARSE_OBIS)
        obis_of(b, n, kinds, m);
    if (m->parse != PARSE_DURATION || unit)
        return;
    if (plan_unit_of(b, n, "s", m->metric, kinds, &m->scale, &u.linear, &u.out.by_kind)) {
        m->linear = u.linear;
        m->out.by_kind = u.out.by_kind;
    }
}

/* ---- run ---- */

struct text_at {
    const char *p, *end;
};

static void blanks(struct text_at *t)
{
    while (t->p < t->end && strchr(" \t\r\n,", *t->p))
        t->p++;
}

/* Digits, perhaps with a fraction. */
static bool number(struct text_at *t, double *out)
{
    const char *from = t->p;
    while (t->p < t->end && *t->p >= '0' && *t->p <= '9')
        t->p++;
    size_t whole = (size_t)(t->p - from);
    if (whole > 0 && t->p + 1 < t->end && *t->p == '.' && t->p[1] >= '0' && t->p[1] <= '9') {
        t->p++;
        while (t->p < t->end && *t->p >= '0' && *t->p <= '9')
            t->p++;
    }
    return whole > 0 && t->p - from <= 24 &&
           num_get_double(from, (size_t)(t->p - from), out) == 0;
}

static bool take(struct text_at *t, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
        return false;
    t->p += n;
    return true;
}

static bool is_letter(const struct text_at *t)
{
    return t->p < t->end && ((*t->p >= 'a' && *t->p <= 'z') || (*t->p >= 'A' && *t->p <= 'Z'));
}

/* Seconds of a unit by its word; longer words first where one begins like another. */
static bool unit_word(struct text_at *t, double *out)
{
    static const struct {
        const char *word;
        double s;
    } units[] = {{"milliseconds", 1e-3},
                 {"msec", 1e-3},
                 {"ms", 1e-3},
                 {"毫秒", 1e-3},
                 {"seconds", 1},
                 {"second", 1},
                 {"secs", 1},
                 {"sec", 1},
                 {"s", 1},
                 {"秒", 1},
                 {"minutes", 60},
                 {"minute", 60},
                 {"mins", 60},
                 {"min", 60},
                 {"m", 60},
                 {"分钟", 60},
                 {"分", 60},
                 {"hours", 3600},
                 {"hour", 3600},
                 {"hrs", 3600},
                 {"hr", 3600},
                 {"h", 3600},
                 {"小时", 3600},
                 {"时", 3600},
                 {"days", 86400},
                 {"day", 86400},
                 {"d", 86400},
                 {"天", 86400},
                 {"日", 86400},
                 {"weeks", 604800},
                 {"week", 604800},
                 {"w", 604800}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct text_at was = *t;
        if (!take(t, units[i].word))
            continue;
        bool more = units[i].word[0] > 0 && is_letter(t); /* "mm" is no minute */
        if (!more) {
            *out = units[i].s;
            return true;
        }
        *t = was;
    }
    return false;
}

/* H:MM[:SS[.f]], its first number read already; to the end of the text. */
static bool clock_time(struct text_at *t, double h, double *sum)
{
    double m, s = 0;
    if (!take(t, ":") || !number(t, &m) || (take(t, ":") && !number(t, &s)))
        return false;
    *sum += h * 3600 + m * 60 + s;
    return m < 60 && s < 60 && h == floor(h) && m == floor(m) && t->p == t->end;
}

/* Behind the P: 3D, 2W, and behind a T hours, minutes, seconds. */
static bool iso_8601(struct text_at *t, double *sum)
{
    static const char date[] = "WD", time[] = "HMS";
    static const double date_s[] = {604800, 86400}, time_s[] = {3600, 60, 1};
    bool in_time = false, any = false;
    while (t->p < t->end) {
        double v;
        if (!in_time && take(t, "T")) {
            in_time = true;
            any = false;
            continue;
        }
        if (!number(t, &v) || t->p == t->end)
            return false;
        const char *letters = in_time ? time : date, letter = *t->p++;
        const char *at = letter ? strchr(letters, letter) : NULL; /* a NUL ends every text */
        if (!at)
            return false; /* years and months have no length of their own */
        *sum += v * (in_time ? time_s : date_s)[at - letters];
        any = true;
    }
    return any;
}

static bool spelled_out(struct text_at *t, double *sum)
{
    bool first = true;
    double v, unit;
    for (blanks(t); t->p < t->end; blanks(t), first = false) {
        if (!number(t, &v))
            return false;
        if (t->p < t->end && *t->p == ':')
            return clock_time(t, v, sum);
        if (first && t->p + 1 < t->end && *t->p == 'T' && t->p[1] >= '0' && t->p[1] <= '9') {
            t->p++; /* Tasmota: days T hours:minutes:seconds */
            *sum += v * 86400;
            if (!number(t, &v))
                return false;
            return clock_time(t, v, sum);
        }
        bool touching = t->p < t->end && *t->p != ' ';
        blanks(t);
        if (t->p == t->end && first && !touching) {
            *sum += v;
            return true;
        }
        if (!unit_word(t, &unit))
            return false;
        *sum += v * unit;
    }
    return !first;
}

bool parse_duration(const char *p, size_t n, double *out_s)
{
    struct text_at t = {p, p + n};
    double sum = 0;
    while (t.end > t.p && strchr(" \t\r\n", t.end[-1]))
        t.end--;
    blanks(&t);
    bool good = take(&t, "P") ? iso_8601(&t, &sum) : spelled_out(&t, &sum);
    if (good && sum < 1e15)
        *out_s = sum;
    return good && sum < 1e15;
}

bool parse_obis(const char *p, size_t n, char decimal, struct value *out_number,
                const char **out_unit, size_t *out_len)
{
    const char *end = p + n, *open = n ? memrchr(p, '(', n) : NULL;
    if (open) {
        p = open + 1;
        const char *close = memchr(p, ')', (size_t)(end - p));
        end = close ? close : end;
    }
    const char *star = p < end ? memchr(p, '*', (size_t)(end - p)) : NULL;
    const char *unit = star ? star + 1 : end;
    while (end > unit && strchr(" \r\n\t", end[-1]))
        end--;
    *out_unit = unit;
    *out_len = (size_t)(end - unit);
    return text_number(p, (size_t)((star ? star : end) - p), decimal, out_number);
}
