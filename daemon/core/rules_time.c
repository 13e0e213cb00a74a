/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calendar and schedules. All of it is a question of the local clock's face: a day and a minute.
 * Where the zone changes its clock, a window is as long as the clock makes it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/rules_private.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MIN   1440
#define DAY_S     86400
#define EVERY_DAY 0x7f
#define WORKING   (1u << 7)
#define DAYS_OFF  (1u << 8)
#define MAX_RANGE 366
#define LOOK_DAYS 16 /* two weeks and a day: what days of the week do, they have done by then */
#define WEEK_DAYS 10 /* behind a day of the calendar: a week, a window's night, and any zone */

/* -- days ---------------------------------------------------------------------------------- */

/* Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms"). */
static int32_t days_of(int y, int m, int d)
{
    y -= m <= 2;
    int era = (y >= 0 ? y : y - 399) / 400;
    int yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static unsigned weekday_of(int64_t day) /* 0: Monday; 1970-01-01 was a Thursday */
{
    return (unsigned)(((day + 3) % 7 + 7) % 7);
}

static int digits_of(const char *s, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (s[i] - '0');
    return v;
}

static bool read_date(const char *s, size_t n, int32_t *out)
{
    if (n != 10 || s[4] != '-' || s[7] != '-' || !text_is_date(s, n))
        return false;
    *out = days_of(digits_of(s, 4), digits_of(s + 5, 2), digits_of(s + 8, 2));
    return true;
}

static bool has_day(const int32_t *days, size_t n, int64_t day)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (days[mid] < day)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && days[lo] == day;
}

static bool is_workday(const struct expr_calendar *c, int64_t day)
{
    if (c && has_day(c->workdays, c->n_workdays, day))
        return true;
    if (c && has_day(c->holidays, c->n_holidays, day))
        return false;
    return weekday_of(day) < 5;
}

/* -- reading the calendar ------------------------------------------------------------------ */

static void add_day(struct rules_build *b, const struct yaml_node *n, int which, int32_t day)
{
    struct rules *r = b->r;
    if (r->n_days[which] == RULES_MAX_DAYS) {
        conf_error(b->notes, AT(n), "more than %d days in the calendars", RULES_MAX_DAYS);
        r->n_days[which]++;
    }
    if (r->n_days[which] > RULES_MAX_DAYS)
        return;
    for (size_t i = 0; i < r->n_days[!which] && i < RULES_MAX_DAYS; i++) {
        if (r->days[!which][i] == day)
            conf_error(b->notes, AT(n), "\"%.32s\" is a holiday and a working day, too",
                       n->text);
    }
    if (r->n_days[which] == r->cap_days[which]) {
        r->cap_days[which] = r->cap_days[which] ? r->cap_days[which] * 2 : 64;
        r->days[which] =
            mem_realloc_array(r->days[which], r->cap_days[which], sizeof(**r->days));
    }
    r->days[which][r->n_days[which]++] = day;
}

static void read_days(struct rules_build *b, const struct yaml_node *list, int which)
{
    const char *what = which ? "workdays" : "holidays";
    if (!rules_is_list(b, list, what))
        return;
    for (const struct yaml_node *v = list->first; v; v = v->next) {
        const char *s = rules_text(b, v, what);
        if (!s)
            continue;
        const char *dots = strstr(s, "..");
        int32_t from, to;
        if (!read_date(s, dots ? (size_t)(dots - s) : strlen(s), &from) ||
            (dots && !read_date(dots + 2, strlen(dots + 2), &to))) {
            conf_error(b->notes, AT(v),
                       "%s \"%.64s\", expected a day such as 2026-10-01, or "
                       "2026-10-01..2026-10-07",
                       what, s);
            continue;
        }
        to = dots ? to : from;
        if (to < from || to - from > MAX_RANGE) {
            conf_error(b->notes, AT(v), "%s \"%.64s\", expected %s", what, s,
                       to < from ? "the earlier day first" : "at most a year");
            continue;
        }
        for (int32_t d = from; d <= to; d++)
            add_day(b, v, which, d);
    }
}

void rules_read_calendar(struct rules_build *b, const struct yaml_node *n)
{
    const struct yaml_node *holidays = NULL, *workdays = NULL;
    const struct rules_key keys[] = {{"holidays", &holidays}, {"workdays", &workdays}};
    if (!rules_is_map(b, n, "calendar"))
        return;
    rules_read_map(b, n, keys, 2, "calendar");
    if (holidays)
        read_days(b, holidays, 0);
    if (workdays)
        read_days(b, workdays, 1);
}

static int by_day(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static const int32_t *settle(struct rules_build *b, int which, size_t *out_n)
{
    struct rules *r = b->r;
    size_t n = r->n_days[which] < RULES_MAX_DAYS ? r->n_days[which] : RULES_MAX_DAYS, kept = 0;
    int32_t *days = rules_take(b, n + 1, sizeof(*days));
    if (n)
        qsort(r->days[which], n, sizeof(*days), by_day);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || days[kept - 1] != r->days[which][i])
            days[kept++] = r->days[which][i];
    }
    free(r->days[which]);
    r->days[which] = NULL;
    *out_n = kept;
    return days;
}

void rules_settle_calendar(struct rules_build *b)
{
    struct expr_calendar *c = &b->r->calendar;
    c->holidays = settle(b, 0, &c->n_holidays);
    c->workdays = settle(b, 1, &c->n_workdays);
}

/* -- reading a schedule -------------------------------------------------------------------- */

static const char *const day_words[] = {"mon", "tue", "wed",     "thu",    "fri",
                                        "sat", "sun", "workday", "holiday"};

static uint16_t read_window_days(struct rules_build *b, const struct yaml_node *n)
{
    uint16_t days = 0;
    const struct yaml_node *v = n->kind == YAML_LIST ? n->first : n;
    if (n->kind == YAML_LIST && !rules_is_list(b, n, "days"))
        return EVERY_DAY;
    for (; v; v = n->kind == YAML_LIST ? v->next : NULL) {
        int i = rules_word(b, v, "days", day_words, 9);
        if (i >= 0 && (days & 1u << i))
            conf_error(b->notes, AT(v), "days: \"%s\" is repeated", v->text);
        if (i >= 0)
            days = (uint16_t)(days | 1u << i);
    }
    return days;
}

static bool read_minute(struct rules_build *b, const struct yaml_node *n, const char *what,
                        unsigned max, uint16_t *out)
{
    const char *s = rules_text(b, n, what);
    if (!s)
        return false;
    bool digits = strlen(s) == 5 && s[2] == ':';
    for (size_t i = 0; digits && i < 5; i++)
        digits = i == 2 || (s[i] >= '0' && s[i] <= '9');
    unsigned h = digits ? (unsigned)digits_of(s, 2) : 99;
    unsigned m = digits ? (unsigned)digits_of(s + 3, 2) : 99;
    if (h > 24 || m > 59 || h * 60 + m > max) {
        conf_error(b->notes, AT(n), "%s is \"%.32s\", expected a time such as \"22:00\"%s",
                   what, s, max == DAY_MIN ? ", at most \"24:00\"" : "");
        return false;
    }
    *out = (uint16_t)(h * 60 + m);
    return true;
}

static void read_window(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    const struct yaml_node *days = NULL, *from = NULL, *to = NULL;
    const struct rules_key keys[] = {{"days", &days}, {"from", &from}, {"to", &to}};
    struct rule_window w = {.days = EVERY_DAY, .to_min = DAY_MIN};
    if (!rules_is_map(b, n, "a window"))
        return;
    rules_read_map(b, n, keys, 3, "a window");
    if (!days && !from && !to)
        conf_error(b->notes, AT(n), "a window without days, from and to: expected one of them");
    if (days)
        w.days = read_window_days(b, days);
    bool good = !from || read_minute(b, from, "from", DAY_MIN - 1, &w.from_min);
    good = (!to || read_minute(b, to, "to", DAY_MIN, &w.to_min)) && good;
    if (x->n_windows == RULE_MAX_WINDOWS)
        conf_error(b->notes, AT(n), "more than %d windows", RULE_MAX_WINDOWS);
    else if (good)
        x->windows[x->n_windows++] = w;
}

void rules_read_schedule(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    static const char *const words[] = {"keep", "resolve"};
    const struct yaml_node *windows = NULL, *on_close = NULL;
    const struct rules_key keys[] = {{"windows", &windows}, {"on_close", &on_close}};
    if (!rules_is_map(b, n, "schedule"))
        return;
    rules_read_map(b, n, keys, 2, "schedule");
    if (!windows)
        conf_error(b->notes, AT(n), "schedule without windows");
    else if (rules_is_list(b, windows, "windows"))
        for (const struct yaml_node *v = windows->first; v; v = v->next)
            read_window(b, v, x);
    if (on_close)
        x->resolve_on_close = rules_word(b, on_close, "on_close", words, 2) == 1;
}

/* -- asking -------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool begins_on(const struct rule_window *w, const struct expr_calendar *c, int64_t day)
{
    if (w->days & 1u << weekday_of(day))
        return true;
    return (w->days & (is_workday(c, day) ? WORKING : DAYS_OFF)) != 0;
}

static bool is_open(const struct rule_window *w, const struct expr_calendar *c, int64_t day,
                    int64_t second)
{
    int64_t from = (int64_t)w->from_min * 60, to = (int64_t)w->to_min * 60;
    if (to > from)
        return second >= from && second < to && begins_on(w, c, day);
    return (second >= from && begins_on(w, c, day)) ||
           (second < to && begins_on(w, c, day - 1));
}

bool rule_in_force(const struct rule *r, const struct expr_calendar *c, const struct zone *z,
                   int64_t wall_ms)
{
    if (r->n_windows == 0)
        return true;
    int64_t local = floor_div(wall_ms, 1000) + zone_offset_at(z, wall_ms);
    int64_t day = floor_div(local, DAY_S), second = local - day * DAY_S;
    for (size_t i = 0; i < r->n_windows; i++) {
        if (is_open(&r->windows[i], c, day, second))
            return true;
    }
    return false;
}

/* The first change of the zone after s, Unix seconds, or INT64_MAX. */
static int64_t zone_change_after(const struct zone *z, int64_t s)
{
    size_t lo = 0, hi = z->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (z->changes[mid].from_s <= s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < z->n ? z->changes[lo].from_s : INT64_MAX;
}

/* The next time after s at which a window may begin or end. */
static int64_t next_edge(const struct rule *r, const struct zone *z, int64_t s)
{
    int64_t offset = zone_offset_at(z, s * 1000), local = s + offset;
    int64_t day = floor_div(local, DAY_S), best = INT64_MAX;
    for (size_t i = 0; i < r->n_windows; i++) {
        int64_t edges[] = {(int64_t)r->windows[i].from_min * 60,
                           (int64_t)r->windows[i].to_min * 60, 0};
        for (size_t k = 0; k < 3; k++) {
            int64_t at = day * DAY_S + edges[k];
            at += at <= local ? DAY_S : 0;
            best = at < best ? at : best;
        }
    }
    int64_t change = zone_change_after(z, s);
    return best - offset < change ? best - offset : change;
}

static bool scan(const struct rule *r, const struct expr_calendar *c, const struct zone *z,
                 bool now, int64_t from, int64_t to, int64_t *out_ms)
{
    for (int64_t s = next_edge(r, z, from); s < to; s = next_edge(r, z, s)) {
        if (rule_in_force(r, c, z, s * 1000) != now) {
            *out_ms = s * 1000;
            return true;
        }
    }
    return false;
}

int64_t rule_next_boundary(const struct rule *r, const struct expr_calendar *c,
                           const struct zone *z, int64_t wall_ms)
{
    if (r->n_windows == 0 || wall_ms > INT64_MAX / 4 || wall_ms < INT64_MIN / 4)
        return INT64_MAX;
    int64_t s = floor_div(wall_ms, 1000), far = s + (int64_t)LOOK_DAYS * DAY_S, found;
    bool now = rule_in_force(r, c, z, wall_ms);
    if (scan(r, c, z, now, s, far, &found))
        return found;
    /* The days of the week decide nothing more while no day that the calendar names is near; behind
     * each of them they may again: a holiday of weeks ends on a Friday, and Monday's window is next. */
    size_t h = 0, w = 0;
    while (c && (h < c->n_holidays || w < c->n_workdays)) {
        bool holiday =
            w == c->n_workdays || (h < c->n_holidays && c->holidays[h] < c->workdays[w]);
        int64_t day = (holiday ? c->holidays[h++] : c->workdays[w++]) * (int64_t)DAY_S;
        int64_t from = day - 2 * DAY_S > far ? day - 2 * DAY_S : far;
        int64_t to = day + (int64_t)WEEK_DAYS * DAY_S;
        if (to <= from)
            continue;
        if (scan(r, c, z, now, from - 1, to, &found))
            return found;
        far = to; /* looked at */
    }
    return INT64_MAX;
}
