/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promtool's notation of series, and durations.
 *
 *   a+bxn   a, a+b, … a+n·b     n+1 values     a-bxn likewise
 *   axn     a, and n times more                 a        once
 *   _       nothing at this tick                _xn      n times
 *   true false open 'two words'  as numbers are: openxn
 */
#include "base/check.h"
#include "base/num.h"
#include "core/ruletest_private.h"
#include "core/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

struct scan {
    const char *text, *s;
    const char *why;
    struct arena *arena;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The end of a decimal number without sign: 12, 1.5, .5, 1e-3. */
static const char *number_end(const char *s)
{
    const char *from = s;
    while (is_digit(*s))
        s++;
    if (*s == '.')
        for (s++; is_digit(*s);)
            s++;
    if (s == from || (s == from + 1 && *from == '.'))
        return from;
    if (*s == 'e' || *s == 'E') {
        const char *e = s + 1 + (s[1] == '-' || s[1] == '+');
        if (is_digit(*e)) {
            while (is_digit(*e))
                e++;
            s = e;
        }
    }
    return s;
}

static bool number(struct scan *x, double *out)
{
    const char *end = number_end(x->s);
    if (end == x->s || !text_double(x->s, (size_t)(end - x->s), out)) {
        x->why = "expected a number";
        return false;
    }
    x->s = end;
    return true;
}

/* `xN`; 0 when there is none. */
static bool times(struct scan *x, uint64_t *out)
{
    if (*x->s != 'x')
        return true;
    const char *from = ++x->s;
    while (is_digit(*x->s))
        x->s++;
    if (num_get_u64(from, (size_t)(x->s - from), out) != 0 || *out > RULETEST_MAX_SAMPLES) {
        x->why = "expected how often, a number up to 1,000,000,000, after x";
        return false;
    }
    return true;
}

/* 10 to the power of the decimals that a number is written with; 0: no such number. */
static double decimals(const char *s, const char *end)
{
    const char *dot = memchr(s, '.', (size_t)(end - s));
    double scale = 1;
    if (memchr(s, 'e', (size_t)(end - s)) || memchr(s, 'E', (size_t)(end - s)))
        return 0;
    for (const char *d = dot ? dot + 1 : end; d < end; d++)
        scale *= 10;
    return scale <= 1e12 ? scale : 0;
}

static bool numbers(struct scan *x, struct values_run *r)
{
    double sign = 1, step_sign;
    r->kind = RUN_NUMBER;
    if (*x->s == '-' || *x->s == '+')
        sign = *x->s++ == '-' ? -1 : 1;
    const char *from = x->s;
    if (!number(x, &r->a))
        return false;
    r->a *= sign;
    r->scale = decimals(from, x->s);
    if (*x->s == '+' || *x->s == '-') {
        step_sign = *x->s++ == '-' ? -1 : 1;
        from = x->s;
        if (!number(x, &r->step))
            return false;
        double finer = decimals(from, x->s);
        r->scale = r->scale > 0 && finer > r->scale ? finer : finer > 0 ? r->scale : 0;
        r->step *= step_sign;
        if (*x->s != 'x') {
            x->why = "a step needs xN behind it, like 0.5+0.1x4";
            return false;
        }
    }
    uint64_t n = 0;
    if (!times(x, &n))
        return false;
    r->n = n + 1;
    if (!isfinite(r->a + r->step * (double)n)) {
        x->why = "the series grows beyond what a number can hold";
        return false;
    }
    return true;
}

/* Where a word's xN begins, or its end. */
static const char *word_end(const char *s, const char *end)
{
    const char *d = end;
    while (d > s && is_digit(d[-1]))
        d--;
    return d < end && d > s + 1 && d[-1] == 'x' ? d - 1 : end;
}

static bool word(struct scan *x, struct values_run *r)
{
    const char *from = x->s, *end;
    if (*from == '\'') {
        end = strchr(++from, '\'');
        if (!end) {
            x->why = "a word in quotes does not end";
            return false;
        }
        x->s = end + 1;
    } else {
        while (*x->s && !is_blank(*x->s))
            x->s++;
        x->s = end = word_end(from, x->s);
    }
    r->kind = RUN_WORD;
    r->truth = end - from == 4 && memcmp(from, "true", 4) == 0;
    if (r->truth || (end - from == 5 && memcmp(from, "false", 5) == 0))
        r->kind = RUN_BOOL;
    r->word = arena_strndup(x->arena, from, (size_t)(end - from));
    ASSERT(r->word);
    uint64_t n = 0;
    if (!times(x, &n))
        return false;
    r->n = n + 1;
    return true;
}

static bool token(struct scan *x, struct values_run *r)
{
    char c = *x->s;
    *r = (struct values_run){.kind = RUN_MISSING, .n = 1};
    if (c == '_' && (is_blank(x->s[1]) || x->s[1] == '\0' || x->s[1] == 'x')) {
        x->s++;
        return *x->s != 'x' || times(x, &r->n);
    }
    if (is_digit(c) || c == '-' || c == '+' || c == '.')
        return numbers(x, r);
    return word(x, r);
}

static int give_up(const struct scan *x, int code, size_t *out_at, const char **out_why)
{
    *out_at = (size_t)(x->s - x->text);
    *out_why = x->why;
    return code;
}

int ruletest_values(const char *text, struct arena *a, struct values *out, size_t *out_at,
                    const char **out_why)
{
    struct scan x = {.text = text, .s = text, .arena = a};
    struct values v = {0};
    size_t tokens = 0;
    for (const char *s = text; *s; s++)
        tokens += !is_blank(*s) && (s == text || is_blank(s[-1]));
    v.runs = arena_alloc(a, (tokens + 1) * sizeof(*v.runs));
    ASSERT(v.runs);
    for (;;) {
        while (is_blank(*x.s))
            x.s++;
        if (!*x.s)
            break;
        const char *from = x.s;
        if (!token(&x, &v.runs[v.n]))
            return give_up(&x, -EINVAL, out_at, out_why);
        if (*x.s && !is_blank(*x.s)) {
            x.why = "expected a blank between values";
            return give_up(&x, -EINVAL, out_at, out_why);
        }
        v.samples += v.runs[v.n].n;
        v.n++;
        if (v.samples > RULETEST_MAX_SAMPLES) {
            x.s = from;
            x.why = "more than 1,000,000,000 values";
            return give_up(&x, -E2BIG, out_at, out_why);
        }
    }
    *out = v;
    return 0;
}

/* -- times ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t ns;
} units[] = {{"d", 86400 * NS_SECOND}, {"h", 3600 * NS_SECOND}, {"m", NS_MINUTE},
             {"s", NS_SECOND},         {"ms", NS_MS},           {"w", 604800 * NS_SECOND}};

static bool one_part(const char **s, const char *end, int64_t *sum)
{
    uint64_t n;
    const char *from = *s;
    while (*s < end && is_digit(**s))
        (*s)++;
    const char *unit = *s;
    while (*s < end && !is_digit(**s))
        (*s)++;
    if (num_get_u64(from, (size_t)(unit - from), &n) != 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        size_t len = strlen(units[i].name);
        if (len != (size_t)(*s - unit) || memcmp(unit, units[i].name, len) != 0)
            continue;
        if (n > (uint64_t)(RULETEST_MAX_TIME / units[i].ns))
            return false;
        *sum += (int64_t)n * units[i].ns;
        return *sum <= RULETEST_MAX_TIME;
    }
    return false;
}

bool ruletest_duration(const char *s, size_t n, int64_t *out_ns)
{
    const char *end = s + n;
    int64_t sum = 0, sign = 1;
    if (n > 0 && (*s == '+' || *s == '-'))
        sign = *s++ == '-' ? -1 : 1;
    if (s == end)
        return false;
    if (end - s == 1 && *s == '0') {
        *out_ns = 0;
        return true;
    }
    while (s < end)
        if (!one_part(&s, end, &sum))
            return false;
    *out_ns = sign * sum;
    return true;
}

void ruletest_put_time(struct buf *out, int64_t ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } parts[] = {{"d", 86400 * NS_SECOND},
                 {"h", 3600 * NS_SECOND},
                 {"m", NS_MINUTE},
                 {"s", NS_SECOND},
                 {"ms", NS_MS}};
    bool said = false;
    if (ns < 0) {
        (void)buf_putc(out, '-');
        ns = -ns;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (ns / parts[i].ns > 0) {
            (void)buf_printf(out, "%lld%s", (long long)(ns / parts[i].ns), parts[i].name);
            said = true;
        }
        ns %= parts[i].ns;
    }
    if (!said)
        (void)buf_puts(out, "0s");
}
