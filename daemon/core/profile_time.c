/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `time:` of profiles, compiled and run.
 */
#include "base/num.h"
#include "base/stamp.h"
#include "core/profile_private.h"
#include "core/text.h"

#include <math.h>
#include <string.h>

enum { MAX_TIMES = 8, MAX_PATTERN = 64, MAX_FAR = 64, DAY_MS = 86400000 };

/* ---- compiled ---- */

static const char *const formats[] = {"auto", "s",       "ms",    "us",
                                      "ns",   "rfc3339", "ago_s", "ago_ms"};

static bool format_of(struct plan_build *b, const struct yaml_node *n, struct plan_time *t)
{
    const char *s = plan_scalar_text(b, n, "format");
    if (!s)
        return false;
    for (size_t i = 0; i < 8; i++) {
        if (strcmp(formats[i], s) == 0) {
            t->format = (enum time_format)i;
            return true;
        }
    }
    if (strlen(s) > MAX_PATTERN || (!strstr(s, "yy") && !strstr(s, "HH"))) {
        plan_unknown(b, n,
                     "time format, expected auto, s, ms, us, ns, rfc3339, ago_s, ago_ms or a "
                     "pattern of yyyy yy MM dd HH mm ss SSS:",
                     s, formats, 8);
        return false;
    }
    t->format = TIME_PATTERN;
    t->pattern = plan_text_copy(b, s, strlen(s));
    return true;
}

/* +08:00 */
static bool offset_of(const char *s, int32_t *out)
{
    if (strlen(s) != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
        return false;
    for (int i = 1; i < 6; i++)
        if (i != 3 && (s[i] < '0' || s[i] > '9'))
            return false;
    int h = (s[1] - '0') * 10 + s[2] - '0', m = (s[4] - '0') * 10 + s[5] - '0';
    if (h > 23 || m > 59)
        return false;
    *out = (h * 60 + m) * 60 * (s[0] == '-' ? -1 : 1);
    return true;
}

static void zone_of(struct plan_build *b, const struct yaml_node *n, struct plan_time *t)
{
    const char *s = n ? plan_scalar_text(b, n, "zone") : "site";
    t->zone = b->set->zone;
    if (!s || strcmp(s, "site") == 0)
        return;
    t->fixed_zone = true;
    if (strcmp(s, "UTC") != 0 && strcmp(s, "Z") != 0 && !offset_of(s, &t->offset_s))
        conf_error(b->notes, AT(n), "zone \"%.64s\", expected UTC, site or like +08:00", s);
}

static bool is_number_format(enum time_format f)
{
    return f == TIME_S || f == TIME_MS || f == TIME_US || f == TIME_NS;
}

static bool mapping_of(struct plan_build *b, const struct yaml_node *n, struct plan_time *t)
{
    const struct yaml_node *from = NULL, *text = NULL, *format = NULL, *zone = NULL;
    const struct yaml_node *epoch = NULL, *per = NULL, *add = NULL, *absent = NULL;
    const struct plan_key keys[] = {{"from", &from}, {"text", &text},    {"format", &format},
                                    {"zone", &zone}, {"epoch", &epoch},  {"per_second", &per},
                                    {"add", &add},   {"absent", &absent}};
    plan_read_map(b, n, keys, 8, "time");
    if (!from == !text) {
        conf_error(b->notes, AT(n), "time needs `from` or `text`, one of them");
        return false;
    }
    bool good = !format || format_of(b, format, t);
    zone_of(b, zone, t);
    if (from)
        t->node = plan_path(b, from);
    else
        t->text = plan_text(b, text);
    if (epoch) {
        const char *s = plan_scalar_text(b, epoch, "epoch");
        if (s && stamp_parse(s, strlen(s), &t->epoch_ms) < 0) {
            conf_error(b->notes, AT(epoch),
                       "epoch \"%.64s\", expected RFC 3339 with a zone "
                       "like 2018-09-10T00:00:00+08:00",
                       s);
            good = false;
        }
        if (t->format == TIME_AUTO)
            t->format = TIME_S;
        if (!is_number_format(t->format)) {
            conf_error(b->notes, AT(epoch->key), "epoch is for the formats s, ms, us and ns");
            good = false;
        }
    }
    if (per && plan_number(b, per, "per_second", &t->per_second) && t->per_second <= 0) {
        conf_error(b->notes, AT(per), "per_second %.64s, expected a number above 0", per->text);
        good = false;
    }
    double ms = 0;
    if (add && plan_number(b, add, "add", &ms)) {
        if (fabs(ms) > 1e14 || ms != floor(ms)) {
            conf_error(b->notes, AT(add), "add %.64s, expected whole milliseconds", add->text);
            good = false;
        } else {
            t->add_ms = (int64_t)ms;
        }
    }
    if (absent && !plan_scalars_of(b, absent, "absent", &t->absent))
        good = false;
    return good && (t->node != PLAN_NONE || t->text != PLAN_NONE);
}

static bool one_of(struct plan_build *b, const struct yaml_node *n, struct plan_time *t)
{
    *t = (struct plan_time){.node = PLAN_NONE, .text = PLAN_NONE, .zone = b->set->zone};
    if (n->kind == YAML_MAP)
        return mapping_of(b, n, t);
    if (n->kind != YAML_SCALAR) {
        if (n->kind == YAML_LIST)
            conf_error(b->notes, AT(n), "a list in a list, expected a path or a mapping");
        return false;
    }
    t->node = plan_path(b, n);
    return t->node != PLAN_NONE;
}

static bool same_times(const struct plan_times *a, const struct plan_time *list, size_t n)
{
    if (a->n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct plan_time *t = &a->list[i], *u = &list[i];
        if (t->node != u->node || t->text != u->text || t->format != u->format ||
            t->fixed_zone != u->fixed_zone || t->offset_s != u->offset_s ||
            t->zone != u->zone || t->epoch_ms != u->epoch_ms || t->add_ms != u->add_ms ||
            memcmp(&t->per_second, &u->per_second, sizeof(t->per_second)) != 0 ||
            !plan_same_scalars(&t->absent, &u->absent) ||
            (t->pattern != u->pattern &&
             (!t->pattern || !u->pattern || strcmp(t->pattern, u->pattern) != 0)))
            return false;
    }
    return true;
}

const struct plan_times *plan_times(struct plan_build *b, const struct yaml_node *n)
{
    struct plan_time list[MAX_TIMES];
    size_t count = 0;
    if (n->kind == YAML_LIST) {
        for (const struct yaml_node *v = n->first; v; v = v->next) {
            if (count == MAX_TIMES) {
                conf_error(b->notes, AT(v), "more than %d times", MAX_TIMES);
                break;
            }
            count += one_of(b, v, &list[count]);
        }
    } else if (!yaml_is_null(n)) {
        count = one_of(b, n, &list[0]);
    }
    if (count == 0 || b->p->n_times == PLAN_NONE)
        return NULL;
    /* Parts mostly have the message's time: read once if it is known to be the same. */
    size_t far = 0;
    for (const struct plan_times *o = b->times; o && far < MAX_FAR; o = o->older, far++)
        if (same_times(o, list, count))
            return o;
    struct plan_times *t = plan_take(b, 1, sizeof(*t));
    struct plan_time *copy = plan_take(b, count, sizeof(*copy));
    memcpy(copy, list, count * sizeof(*copy));
    *t = (struct plan_times){copy, count, (uint16_t)b->p->n_times++, 0, b->times};
    b->times = t;
    for (size_t i = 0; i < count; i++) {
        uint16_t slot = copy[i].node != PLAN_NONE ? b->p->nodes[copy[i].node].slot : 0;
        t->slot = slot > t->slot ? slot : t->slot;
        for (uint16_t k = copy[i].text; k != PLAN_NONE; k = b->p->texts[k].next)
            if (b->p->texts[k].slot > t->slot)
                t->slot = b->p->texts[k].slot;
    }
    return t;
}

/* ---- run ---- */

static int64_t days_of(int y, int m, int d) /* since 1970, Gregorian */
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool local_time(const struct plan_time *t, const int f[7], int64_t *out_ms)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y = f[0], mo = f[1], d = f[2];
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 1 || y > 9999 || mo < 1 || mo > 12 || d < 1 || d > days[mo - 1] + (mo == 2 && leap))
        return false;
    if (f[3] > 23 || f[4] > 59 || f[5] > 60)
        return false;
    int64_t ms = (days_of(y, mo, d) * 86400 + f[3] * 3600 + f[4] * 60 + f[5]) * 1000 + f[6];
    bool last_minute = f[3] == 23 && f[4] == 59;
    if (f[5] == 60)
        ms = ms - f[6] - 1; /* a leap second, as base/stamp.h takes it */
    if (t->fixed_zone) {
        ms -= (int64_t)t->offset_s * 1000;
    } else if (t->zone) {
        int64_t guess = ms - (int64_t)zone_offset_at(t->zone, ms) * 1000;
        ms -= (int64_t)zone_offset_at(t->zone, guess) * 1000;
    }
    if (f[5] == 60 && !last_minute && (ms + 1) % DAY_MS != 0)
        return false; /* 23:59:60 there, or by UTC */
    if (ms < STAMP_MIN_MS || ms > STAMP_MAX_MS)
        return false;
    *out_ms = ms;
    return true;
}

static int digits(const char **s, const char *end, size_t least, size_t most)
{
    int v = 0;
    size_t n = 0;
    while (*s < end && n < most && **s >= '0' && **s <= '9') {
        v = v * 10 + (*(*s)++ - '0');
        n++;
    }
    return n >= least ? v : -1;
}

/* One run of a letter of the pattern. */
static bool take_field(char letter, size_t run, const char **s, const char *end, int f[7],
                       bool *fine)
{
    int v, *to;
    const char *at;
    switch (letter) {
    case 'y':
        v = digits(s, end, run, run);
        if (v < 0 || (run != 2 && run != 4))
            return false;
        f[0] = run == 2 ? 2000 + v : v;
        return true;
    case 'M':
        to = &f[1];
        break;
    case 'd':
        to = &f[2];
        break;
    case 'H':
        to = &f[3];
        break;
    case 'm':
        to = &f[4];
        break;
    case 's':
        to = &f[5];
        break;
    default: /* S: decimals of a second, any number of digits where it is written once */
        at = *s;
        v = digits(s, end, run, run == 1 ? 9 : run);
        if (v < 0)
            return false;
        for (size_t i = (size_t)(*s - at); i < 3; i++)
            v *= 10;
        for (size_t i = (size_t)(*s - at); i > 3; i--)
            v /= 10;
        f[6] = v;
        *fine = true;
        return true;
    }
    v = digits(s, end, run == 1 ? 1 : run, run == 1 ? 2 : run);
    if (v < 0)
        return false;
    *to = v;
    return true;
}

static bool by_pattern(const struct plan_time *t, const char *s, size_t n, int64_t *out_ms,
                       bool *out_coarse)
{
    int f[7] = {1970, 1, 1, 0, 0, 0, 0};
    const char *end = s + n;
    bool quoted = false, fine = false;
    for (const char *p = t->pattern; *p;) {
        if (*p == '\'') {
            quoted = !quoted;
            p++;
        } else if (!quoted && strchr("yMdHmsS", *p)) {
            char letter = *p;
            size_t run = 1;
            while (p[run] == letter)
                run++;
            p += run;
            if (run > 9 || !take_field(letter, run, &s, end, f, &fine))
                return false;
        } else {
            if (s == end || *s != *p)
                return false;
            s++;
            p++;
        }
    }
    *out_coarse = !fine;
    return s == end && local_time(t, f, out_ms);
}

/* 200515 written as a number, which has lost the zeros that it began with; a year of four digits has none. */
static bool by_digits(const struct plan_time *t, const struct value *number, int64_t *out_ms,
                      bool *out_coarse)
{
    char text[NUM_MAX + sizeof("yyyyMMddHHmmssSSSSSSSSS")];
    size_t wide = strlen(t->pattern);
    if (number->type != VALUE_INT || number->i < 0)
        return false;
    size_t n = num_put_i64(text, number->i);
    if (n < wide && wide < sizeof(text) && strncmp(t->pattern, "yyyy", 4) != 0 &&
        strspn(t->pattern, "yMdHmsS") == wide) {
        memmove(text + wide - n, text, n);
        memset(text, '0', wide - n);
        n = wide;
    }
    return by_pattern(t, text, n, out_ms, out_coarse);
}

static int digit2(const char *s)
{
    return (s[0] - '0') * 10 + s[1] - '0';
}

/* RFC 3339; without a zone, and with / for -, it is the device's local time. */
static bool by_rfc3339(const struct plan_time *t, const char *s, size_t n, int64_t *out_ms,
                       bool *out_coarse)
{
    static const char shape[] = "0000-00-00 00:00:00";
    *out_coarse = n < 20 || s[19] != '.';
    if (stamp_parse(s, n, out_ms) == 0)
        return true;
    if (n == 16) { /* without seconds */
        char full[19];
        memcpy(full, s, 16);
        memcpy(full + 16, ":00", 3);
        return by_rfc3339(t, full, 19, out_ms, out_coarse);
    }
    if (n < 19 || n > 30)
        return false;
    for (size_t i = 0; i < 19; i++) {
        bool is_digit = s[i] >= '0' && s[i] <= '9';
        if (shape[i] == '0'   ? !is_digit
            : i == 10         ? s[i] != 'T' && s[i] != 't' && s[i] != ' '
            : shape[i] == '-' ? s[i] != '-' && s[i] != '/'
                              : s[i] != shape[i])
            return false;
    }
    int f[7] = {digit2(s) * 100 + digit2(s + 2),
                digit2(s + 5),
                digit2(s + 8),
                digit2(s + 11),
                digit2(s + 14),
                digit2(s + 17),
                0};
    if (n > 19) {
        if (s[19] != '.' || n == 20)
            return false;
        int scale = 100;
        for (size_t i = 20; i < n; i++, scale /= 10) {
            if (s[i] < '0' || s[i] > '9')
                return false;
            f[6] += (s[i] - '0') * scale;
        }
    }
    return local_time(t, f, out_ms);
}

/* The larger the unit, the earlier a double is exact enough: whole ones stay whole. */
static bool by_number(const struct profile_run *x, const struct plan_time *t,
                      const struct value *v, int64_t *out_ms, bool *out_coarse)
{
    static const double per_s[] = {0, 1, 1e3, 1e6, 1e9, 0, 1, 1e3, 0};
    double number = v->type == VALUE_INT ? (double)v->i : v->f;
    bool whole = number == floor(number);
    if (t->format == TIME_AUTO && t->per_second == 0) {
        *out_coarse = fabs(number) < 1e11 && whole;
        return (v->type == VALUE_INT ? stamp_from_epoch(v->i, out_ms)
                                     : stamp_from_epoch_double(v->f, out_ms)) == 0;
    }
    double per = t->per_second > 0 ? t->per_second : per_s[t->format];
    if (per == 0)
        return false;
    *out_coarse = per <= 1 && whole;
    double ms = per <= 1000 ? number * (1000 / per) : number / (per / 1000);
    if (!(fabs(ms) < 1e15))
        return false;
    int64_t exact = (int64_t)(per > 1000 ? floor(ms) : nearbyint(ms));
    if (v->type == VALUE_INT && t->per_second == 0 && per > 1000) { /* us, ns: exactly */
        int64_t div = per > 1e6 ? 1000000 : 1000;
        exact = v->i / div - (v->i % div < 0);
    }
    if (t->format == TIME_AGO_S || t->format == TIME_AGO_MS)
        *out_ms = x->in->received_ms - exact;
    else
        *out_ms = t->epoch_ms + exact;
    return true;
}

static enum time_state read_value(struct profile_run *x, const struct plan_time *t,
                                  const char *text, size_t n, const struct value *number,
                                  int64_t *out_ms, bool *out_coarse)
{
    struct value v;
    bool good = false;
    if (number) {
        good = by_number(x, t, number, out_ms, out_coarse);
        if (t->format == TIME_PATTERN)
            good = by_digits(t, number, out_ms, out_coarse);
    } else if (n == 0) {
        return TIME_NONE;
    } else if (t->format == TIME_PATTERN) {
        good = by_pattern(t, text, n, out_ms, out_coarse);
    } else if (t->format == TIME_AUTO && n > 15 && text[4] == '-') { /* the most common */
        good = by_rfc3339(t, text, n, out_ms, out_coarse);
    } else if (t->format != TIME_RFC3339 && text_number(text, n, 0, &v)) {
        good = by_number(x, t, &v, out_ms, out_coarse);
    } else if (t->format == TIME_RFC3339 || t->format == TIME_AUTO) {
        good = by_rfc3339(t, text, n, out_ms, out_coarse);
    }
    if (!good)
        return TIME_UNREAD;
    *out_ms += t->add_ms;
    return *out_ms >= STAMP_MIN_MS && *out_ms <= STAMP_MAX_MS ? TIME_GOOD : TIME_UNREAD;
}

static enum time_state read_one(struct profile_run *x, const struct plan_time *t,
                                int64_t *out_ms, bool *out_coarse)
{
    struct json_value j;
    struct value number = {.type = VALUE_INT};
    size_t n = 0;
    const char *p;
    if (t->text != PLAN_NONE) {
        p = run_text(x, t->text, &n);
        if (!p)
            return TIME_NONE;
        for (size_t i = 0; i < t->absent.n; i++)
            if (scalar_equal_text(&t->absent.list[i], p, n))
                return TIME_NONE;
        return read_value(x, t, p, n, NULL, out_ms, out_coarse);
    }
    if (!run_node(x, t->node, &j))
        return TIME_NONE;
    for (size_t i = 0; i < t->absent.n; i++)
        if (scalar_equal(&t->absent.list[i], j))
            return TIME_NONE;
    switch (json_type(j)) {
    case JSON_NULL:
        return TIME_NONE;
    case JSON_STRING:
        p = json_text(j, &n);
        return read_value(x, t, p, n, NULL, out_ms, out_coarse);
    case JSON_INT:
        number.i = json_int(j);
        break;
    case JSON_UINT:
    case JSON_DOUBLE:
        number = (struct value){.type = VALUE_FLOAT, .f = json_double(j)};
        break;
    case JSON_BOOL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return TIME_UNREAD;
    }
    return read_value(x, t, NULL, 0, &number, out_ms, out_coarse);
}

enum time_state run_time(struct profile_run *x, const struct plan_times *t, int64_t *out_ms,
                         bool *out_coarse)
{
    struct time_memo *m = &x->times[t->id];
    if (m->epoch != x->slots[t->slot].epoch) {
        m->epoch = x->slots[t->slot].epoch;
        m->state = TIME_NONE;
        for (size_t i = 0; i < t->n && m->state != TIME_GOOD; i++) {
            enum time_state s = read_one(x, &t->list[i], &m->ms, &m->coarse);
            m->state = s != TIME_NONE ? (unsigned char)s : m->state;
        }
    }
    if (m->state == TIME_GOOD) {
        *out_ms = m->ms;
        *out_coarse = m->coarse;
    }
    return (enum time_state)m->state;
}
