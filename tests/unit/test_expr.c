/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr.h"

#include <errno.h>
#include <math.h>

#include "unit.h"
#include "unit/expr_case.h"

static enum expr_truth truth(const char *text, const struct said *said, size_t n)
{
    struct expr *x = compiled(text);
    struct expr_state *s = expr_state_new(x);
    fill(x, said, n, 100 * S);
    struct expr_env env = env_at(160 * S);
    enum expr_truth t = expr_eval(x, s, &env);
    expr_state_free(s);
    expr_free(x);
    return t;
}

static void check_rows(const struct row *rows, size_t n)
{
    static const char *const names[] = {"false", "true", "unknown"};
    static const struct said said[] = {
        {"level", 0.9},   {"level@in", 0.5},   {"flow", 10},
        {"humidity", 45}, {"temperature", 25}, {"temperature@out", 18},
        {"energy", 2},    {"power", 1500},     {"rssi", -90},
        {"starts", 12},   {"hours", 3},        {"pump_on", 1},
        {"fault", 0},     {"state", 1},        {"state@in", 7},
    };
    for (size_t i = 0; i < n; i++) {
        enum expr_truth t = truth(rows[i].text, said, sizeof(said) / sizeof(*said));
        if (t != rows[i].expected)
            fail_msg("%s is %s, expected %s", rows[i].text, names[t], names[rows[i].expected]);
    }
}

#define ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))
static const struct row operators[] = {
    {"level > 0.8 m", T},
    {"level > 0.8m", T},
    {"level > 80 cm", T},
    {"level > 0.9", F},
    {"level >= 0.9", T},
    {"level < 0.9", F},
    {"level <= 0.9", T},
    {"level == 0.9", T},
    {"level != 0.9", F},
    {"0.8 m < level", T},
    {"1 m > level", T},
    {"0.9 m >= level", T},
    {"0.9 m <= level", T},
    {"90 cm == level", T},
    {"level > -1", T},
    {"-level < -0.8 m", T},
    {"level + 10 cm > 0.99 m", T},
    {"level + 0.1 == 1 m", T},
    {"level - level@in > 39 cm", T},
    {"level - level@in < 41 cm", T},
    {"2 * level > 1.7 m", T},
    {"level * 2 > 1.9 m", F},
    {"level / 2 == 45 cm", T},
    {"level / level@in > 1.7", T},
    {"level / level@in > 170 %", T},
    {"1 + 2 * 3 == 7", T},
    {"(1 + 2) * 3 == 9", T},
    {"10 - 4 - 3 == 3", T},
    {"16 / 4 / 2 == 2", T},
    {"-2 * -3 == 6", T},
    {"power * 2 h > 2.9 kW.h", T},
    {"power * 2 h < 3.1 kW.h", T},
    {"energy / hours < 1 kW", T},
    {"flow > 2 L/s", T},
    {"flow < 3 L/s", T},
    {"humidity > 30 %", T},
    {"humidity > 30%", T},
    {"humidity > 30", T},
    {"humidity > 0.5 1", F},
    {"temperature > 20 Cel", T},
    {"temperature > 290 K", T},
    {"temperature > 300 K", F},
    {"temperature > 70 [degF]", T},
    {"temperature > 80 [degF]", F},
    {"temperature - temperature@out > 5 K", T},
    {"temperature - temperature@out > 5 Cel", T},
    {"temperature - temperature@out > 8 Cel", F},
    {"temperature - temperature@out > 12 [degF]", T},
    {"temperature - temperature@out > 13 [degF]", F},
    {"temperature > temperature@out + 5 K", T},
    {"temperature > temperature@out + 5 Cel", T},
    {"temperature > temperature@out + 9 [degF]", T},
    {"temperature - 5 K > temperature@out", T},
    {"temperature - 20 Cel > 4 K", T},
    {"temperature - 20 Cel > 6 K", F},
    {"rssi < -80 dB", T},
    {"rssi + 20 dB > -80 dB", T},
    {"starts > 10", T},
    {"starts == 12", T},
    {"starts in (1, 12, 13)", T},
    {"starts not in (1, 12, 13)", F},
    {"level in (80 cm, 90 cm)", T},
    {"hours > 15m", T},
    {"hours < 190m", T},
    {"pump_on", T},
    {"not pump_on", F},
    {"pump_on == true", T},
    {"pump_on == false", F},
    {"false == pump_on", F},
    {"pump_on != true", F},
    {"pump_on != fault", T},
    {"pump_on == fault", F},
    {"pump_on == (level > 0.8 m)", T},
    {"true == (level > 1 m or fault)", F},
    {"state == open", T},
    {"open == state", T},
    {"state != open", F},
    {"state == \"open\"", T},
    {"state in (open, broken)", T},
    {"state in (broken)", F},
    {"state@in in (open, broken)", T},
    {"state@\"in\" == broken", T},
    {"state == state@in", F},
    {"not state in (open, broken)", F},
    {"pump_on and level > 0.8", T},
    {"pump_on and level > 1", F},
    {"fault or level > 0.8", T},
    {"fault or level > 1", F},
    {"not (fault or level > 1)", T},
    {"not not pump_on", T},
    {"fault and fault or pump_on", T},
    {"pump_on or fault and fault", T},
    {"not fault and pump_on", T},
    {"level > $limit", T},
    {"$limit < level", T},
    {"level < $limit + 20 cm", T},
    {"starts > $plain", T},
    {"starts > $plain * 5", F},
    {"temperature < $hot", T},
    {"age(level) >= 60 s", T},
    {"age(level) > 60", F},
    {"age(level) < $wait", T},
    {"age(level) == 1m", T},
    {"age(note) == 159 s", T}, /* never said: since it is registered */
    {"absent(level, 60s)", T},
    {"absent(level, 61s)", F},
    {"absent(note, 2m)", T},
    {"true", T},
    {"false", F},
    {"1 < 2", T},
    {"hour() == 0", T},
    {"weekday() == 4", T}, /* 1970-01-01 */
    {"workday()", T},
    {"count_over(building, smoke, alarm == true) >= 2", T},
    {"count_over(power_domain, water-meter, leak) > 2", F},
};

static void operators_do_what_they_say(void **state)
{
    (void)state;
    ROWS(operators);
}

static void unknown_is_never_false(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"level@gone > 1", U},
        {"level@gone < 1", U},
        {"level@gone == 1", U},
        {"level@gone != 1", U},
        {"not level@gone > 1", U},
        {"level@gone + level > 1 m", U},
        {"level@gone * 0 == 0 m", U},
        {"-level@gone < 1 m", U},
        {"level@gone in (1, 2)", U},
        {"level@gone not in (1, 2)", U},
        {"pump_on@gone", U},
        {"not pump_on@gone", U},
        {"pump_on@gone == false", U},
        {"pump_on@gone and pump_on", U},
        {"pump_on and pump_on@gone", U},
        {"pump_on@gone and fault", F},
        {"fault and pump_on@gone", F},
        {"pump_on@gone or pump_on", T},
        {"pump_on or pump_on@gone", T},
        {"pump_on@gone or fault", U},
        {"fault or pump_on@gone", U},
        {"pump_on@gone or pump_on@gone", U},
        {"pump_on@gone and pump_on@gone", U},
        {"pump_on@gone == pump_on@gone", U},
        {"state@gone == open", U},
        {"level / (level - level) > 1", U},
        {"count_over(building, smoke, alarm) > 1 and count_over(building, smoke, density > 1 "
         "%) > 1",
         U},
        {"avg(level, 1m) > 1 m", U},
        {"count(level, 1m) > 1", U},
        {"changes(pump_on, 1m) > 1", U},
    };
    ROWS(rows);
}

/* -- errors ------------------------------------------------------------------------------ */

struct mistake {
    const char *text;
    size_t at;
    const char *says;
};

#include "unit/expr_mistakes.h"

static void mistakes_are_named(void **state)
{
    (void)state;
    bool print = getenv("EXPR_PRINT") != NULL; /* writes the table anew, to be read */
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        struct expr_error e = {0, ""};
        struct expr *x = NULL;
        int rc = expr_compile(m->text, strlen(m->text), &scope, &e, &x);
        if (print)
            print_message("%s\t%zu\t%s\n", m->text, e.at, e.text);
        else if (rc != -EINVAL || x)
            fail_msg("%s is accepted", m->text);
        else if (e.at != m->at || strcmp(e.text, m->says) != 0)
            fail_msg("%s: byte %zu: %s; expected byte %zu: %s", m->text, e.at, e.text, m->at,
                     m->says);
    }
}

static void hostile_text_is_refused(void **state)
{
    (void)state;
    struct expr_error e;
    struct expr *x;
    static char text[EXPR_MAX_TEXT + 2];
    memset(text, '(', sizeof(text));
    assert_int_equal(expr_compile(text, EXPR_MAX_TEXT, &scope, &e, &x), -EINVAL);
    assert_string_equal(e.text, "nested too deeply, expected a shorter condition");
    assert_int_equal(expr_compile(text, EXPR_MAX_TEXT + 1, &scope, &e, &x), -EINVAL);
    assert_string_equal(e.text, "a condition of 4097 bytes, expected at most 4096");
    memset(text, '-', sizeof(text));
    assert_int_equal(expr_compile(text, EXPR_MAX_TEXT, &scope, &e, &x), -EINVAL);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "1+"[i % 2];
    assert_int_equal(expr_compile(text, EXPR_MAX_TEXT - 1, &scope, &e, &x), -EINVAL);
    assert_string_equal(e.text, "nested too deeply, expected a shorter condition");
    size_t n = 0;
    for (int i = 0; i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%savg(level, %d s) > 1",
                              i ? " or " : "", i + 1);
    x = compiled(text);
    expr_free(x);
    (void)snprintf(text + n, sizeof(text) - n, " or min(flow, 9s) > 1");
    assert_int_equal(expr_compile(text, strlen(text), &scope, &e, &x), -EINVAL);
    assert_string_equal(e.text, "more than 8 windows, expected a simpler condition");
    n = 0;
    for (int i = 0; i < 17; i++)
        n +=
            (size_t)snprintf(text + n, sizeof(text) - n, "%slevel@p%d > 1", i ? " or " : "", i);
    assert_int_equal(expr_compile(text, n, &scope, &e, &x), -EINVAL);
    assert_string_equal(e.text, "more than 16 inputs, expected a simpler condition");
}

/* -- windows ----------------------------------------------------------------------------- */

struct sample {
    uint64_t at;
    double v;
};

#define SERIES 1500

static double reference(const char *f, const struct sample *s, size_t from, size_t n,
                        double before)
{
    double sum = 0, min = s[from].v, max = min, m2 = 0, changes = 0;
    size_t count = n - from;
    for (size_t i = from; i < n; i++) {
        sum += s[i].v;
        min = fmin(min, s[i].v);
        max = fmax(max, s[i].v);
        double prev = i > from ? s[i - 1].v : before;
        changes += !isnan(prev) && prev != s[i].v;
    }
    double mean = sum / (double)count;
    for (size_t i = from; i < n; i++)
        m2 += (s[i].v - mean) * (s[i].v - mean);
    double d = s[n - 1].v - s[from].v;
    double seconds = (double)(s[n - 1].at - s[from].at) / 1e9;
    return strcmp(f, "avg") == 0      ? mean
           : strcmp(f, "min") == 0    ? min
           : strcmp(f, "max") == 0    ? max
           : strcmp(f, "sum") == 0    ? sum
           : strcmp(f, "count") == 0  ? (double)count
           : strcmp(f, "stddev") == 0 ? (count < 2 ? NAN : sqrt(m2 / (double)(count - 1)))
           : strcmp(f, "last") == 0   ? s[n - 1].v
           : strcmp(f, "first") == 0  ? s[from].v
           : strcmp(f, "delta") == 0  ? (count < 2 ? NAN : d)
           : strcmp(f, "rate") == 0   ? (seconds == 0 ? NAN : d / seconds)
                                      : changes;
}

/* The value of the function is `expected`, as far as comparing with a parameter can tell. */
static void assert_value(const char *f, struct expr *x, struct expr_state *st, uint64_t now,
                         double expected)
{
    double p[4] = {0, 0, 0, 0}, slack = 1e-9 * (1 + fabs(expected));
    struct expr_env env = env_at(now);
    env.params = p;
    if (isnan(expected)) {
        if (expr_eval(x, st, &env) != U)
            fail_msg("%s at %llu is known", f, (unsigned long long)now);
        return;
    }
    p[1] = expected - slack;
    enum expr_truth above = expr_eval(x, st, &env);
    p[1] = expected + slack;
    enum expr_truth below = expr_eval(x, st, &env);
    if (above != T || below != F)
        fail_msg("%s at %llu is not %.17g (%d, %d)", f, (unsigned long long)now, expected,
                 above, below);
}

/* Bucketed as the header says: a sample is seen while it, or a younger one of its bucket (a 62nd
 * of the window), is younger than the window. */
static size_t oldest_seen(const struct sample *s, size_t n, uint64_t now, uint64_t window)
{
    uint64_t width = window / (EXPR_BUCKETS - 2) + 1;
    size_t from = n;
    while (from > 0 && (now < s[from - 1].at || now - s[from - 1].at < window))
        from--;
    if (from == n)
        return n;
    while (from > 0 && s[from - 1].at / width == s[from].at / width)
        from--;
    return from;
}

static const char *const functions[] = {"avg",  "min",   "max",   "sum",  "count",  "stddev",
                                        "last", "first", "delta", "rate", "changes"};

static void replay(const char *f, uint64_t *random, uint64_t step_ns, bool sparse)
{
    static struct sample s[SERIES];
    char text[64];
    uint64_t window = 600 * S, now = 5 * S, width = window / (EXPR_BUCKETS - 2) + 1;
    (void)snprintf(text, sizeof(text), "%s(level, 10m) > $plain", f);
    struct expr *x = compiled(text);
    struct expr_state *st = expr_state_new(x);
    fill(x, NULL, 0, 0);
    struct buf saved;
    buf_init(&saved, 1 << 20);
    for (size_t n = 0; n < SERIES;) {
        uint64_t gap = unit_random(random) % step_ns;
        if (sparse)
            gap += width;
        if (unit_random(random) % 100 == 0)
            gap += unit_random(random) % (2 * window);
        now += gap;
        bool whole = unit_random(random) % 2;
        double v = (double)(unit_random(random) % 4000) / (whole ? 1000 : 777);
        s[n] = (struct sample){now, v};
        expr_feed(x, st, 0, v, now);
        if (n > 0 && unit_random(random) % 8 == 0) /* older than the newest: ignored */
            expr_feed(x, st, 0, 1e9, s[n].at - 1 - unit_random(random) % (S / 2));
        n++;
        uint64_t look =
            now + (unit_random(random) % 4 ? 0 : unit_random(random) % (2 * window));
        size_t from = oldest_seen(s, n, look, window);
        if (sparse) /* exactly the samples of the window */
            for (size_t i = 0; i < n; i++)
                assert_true((look - s[i].at < window) == (i >= from));
        double expected = strcmp(f, "count") == 0 || strcmp(f, "changes") == 0 ? 0 : NAN;
        if (from < n)
            expected = reference(f, s, from, n, from > 0 ? s[from - 1].v : NAN);
        assert_value(f, x, st, look, expected);
        if (look > now) /* looking ahead forgets nothing */
            assert_value(f, x, st, now,
                         reference(f, s, oldest_seen(s, n, now, window), n,
                                   oldest_seen(s, n, now, window)
                                       ? s[oldest_seen(s, n, now, window) - 1].v
                                       : NAN));
        if (unit_random(random) % 16 == 0) { /* a restart changes nothing */
            buf_clear(&saved);
            assert_int_equal(expr_state_save(x, st, &saved), 0);
            expr_state_free(st);
            assert_int_equal(expr_state_load(x, saved.data, saved.len, &st), 0);
            assert_true(saved.len < 64 * 9 * 8 + 100); /* however much was said */
        }
    }
    buf_done(&saved);
    expr_state_free(st);
    expr_free(x);
}

static void windows_agree_with_all_samples(void **state)
{
    (void)state;
    uint64_t random = unit_seed();
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        replay(functions[i], &random, 2 * S, false);
        replay(functions[i], &random, 60 * S, false);
        replay(functions[i], &random, 90 * S, true);
    }
}

/* A sensor that is stuck: 0.1 has no sum without rounding. */
static void equal_values_do_not_deviate(void **state)
{
    (void)state;
    struct expr *x = compiled("stddev(level, 10m) == 0");
    struct expr_state *s = expr_state_new(x);
    struct expr_env env;
    fill(x, NULL, 0, 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        expr_feed(x, s, 0, 0.1, i * S);
        env = env_at(i * S);
        if (expr_eval(x, s, &env) != (i < 2 ? U : T))
            fail_msg("they deviate from sample %llu on", (unsigned long long)i);
    }
    expr_feed(x, s, 0, 0.1001, 1001 * S);
    env = env_at(1001 * S);
    assert_int_equal(expr_eval(x, s, &env), F);
    expr_state_free(s);
    expr_free(x);
}

static void windows_of_bools_and_codes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"avg(pump_on, 10m) == 50 %", T},
        {"sum(pump_on, 10m) == 2", T},
        {"max(pump_on, 10m)", T},
        {"min(pump_on, 10m)", F},
        {"last(pump_on, 10m)", F},
        {"first(pump_on, 10m) == true", T},
        {"not last(pump_on, 10m)", T},
        {"changes(pump_on, 10m) == 3", T},
        {"count(pump_on, 10m) >= 4", T},
        {"count(pump_on, 90s) == 2", T},
        {"pump_on or changes(pump_on, 10m) > 2", T},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct expr *x = compiled(rows[i].text);
        struct expr_state *s = expr_state_new(x);
        fill(x, NULL, 0, 0);
        for (unsigned k = 0; k < 4; k++)
            expr_feed(x, s, 0, k % 2 == 0, (60 + 60 * k) * S);
        struct expr_env env = env_at(241 * S);
        if (expr_eval(x, s, &env) != rows[i].expected)
            fail_msg("%s is not %d", rows[i].text, rows[i].expected);
        expr_state_free(s);
        expr_free(x);
    }
    struct expr *x = compiled("last(state, 1h) == broken and first(state, 1h) in (open) and "
                              "changes(state, 1h) == 1");
    struct expr_state *s = expr_state_new(x);
    fill(x, NULL, 0, 0);
    expr_feed(x, s, 0, 1, S);
    expr_feed(x, s, 0, 7, 2 * S);
    struct expr_env env = env_at(3 * S);
    assert_int_equal(expr_eval(x, s, &env), T);
    expr_feed(x, s, 0, NAN, 2 * S); /* no sample */
    assert_int_equal(expr_eval(x, s, &env), T);
    expr_state_free(s);
    expr_free(x);
}

static void bad_bytes_are_no_state(void **state)
{
    (void)state;
    struct expr *x = compiled("avg(level, 10m) > 1 or delta(flow, 1h) > 2");
    struct expr *other = compiled("avg(level, 11m) > 1 or delta(flow, 1h) > 2");
    struct expr *same = compiled("avg(level, 600s) > 3 m or delta(flow, 60m) < 2");
    struct expr *none = compiled("level > 1");
    struct expr_state *s = expr_state_new(x), *loaded;
    struct buf b;
    buf_init(&b, 1 << 16);
    for (unsigned i = 1; i < 200; i++)
        expr_feed(x, s, i % 2, i, i * 10 * S);
    assert_int_equal(expr_state_save(x, s, &b), 0);
    assert_int_equal(expr_state_load(other, b.data, b.len, &loaded), -EBADMSG);
    assert_int_equal(expr_state_load(none, b.data, b.len, &loaded), -EBADMSG);
    assert_int_equal(expr_state_load(none, NULL, 0, &loaded), 0);
    assert_null(loaded);
    assert_int_equal(expr_state_load(same, b.data, b.len, &loaded), 0);
    expr_state_free(loaded);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(expr_state_load(x, b.data, n, &loaded), -EBADMSG);
    uint64_t random = unit_seed();
    for (int i = 0; i < 20000; i++) {
        size_t at = unit_random(&random) % b.len;
        char was = b.data[at];
        b.data[at] ^= (char)(1 << unit_random(&random) % 8);
        if (expr_state_load(x, b.data, b.len, &loaded) == 0) {
            struct expr_env env = env_at(5000 * S);
            fill(x, NULL, 0, 0);
            (void)expr_eval(x, loaded, &env);
            for (unsigned k = 0; k < 70; k++)
                expr_feed(x, loaded, 0, 1, (2000 + k * 10) * S);
            expr_state_free(loaded);
        }
        b.data[at] = was;
    }
    struct buf small;
    buf_init(&small, 20);
    assert_int_equal(expr_state_save(x, s, &small), -ENOBUFS);
    buf_done(&small);
    buf_done(&b);
    expr_state_free(s);
    expr_free(x);
    expr_free(other);
    expr_free(same);
    expr_free(none);
}

/* -- values that leave no doubt ------------------------------------------------------------------ */

static bool false_within(const char *text, double v)
{
    struct expr *x = compiled(text);
    unsigned slot = 0;
    double lo, hi;
    bool within = expr_false_within(x, &slot, &lo, &hi) && v >= lo && v <= hi;
    const struct expr_input *in;
    size_t n = expr_inputs(x, &in);
    /* whatever the others say, or do not */
    for (unsigned other = 0; within && other < 5; other++) {
        static const double says[] = {NAN, 0, 1, -1e9, 1e9};
        for (size_t i = 0; i < n; i++)
            last[i] = (struct expr_last){i == slot ? v : says[other], 100 * S};
        struct expr_env env = env_at(160 * S);
        assert_int_equal(expr_eval(x, NULL, &env), EXPR_FALSE);
    }
    expr_free(x);
    return within;
}

static void one_value_can_tell_that_it_is_false(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double yes, no; /* the last ones, on both sides of the border */
    } rows[] = {
        {"level > 0.8 m", 0.8, 0.8000000000000002},
        {"level >= 0.8 m", 0.7999999999999999, 0.8},
        {"level < 0.8 m", 0.8, 0.7999999999999999},
        {"level <= 0.8 m", 0.8000000000000002, 0.8},
        {"level != 3 m", 3, 3.0000000000000004},
        {"0.5 m < level", 0.5, 0.5000000000000001},
        {"pump_on", 0, 1},
        {"pump_on and level > 1 m", 0, 1},
        {"level > 2 m and flow >= 0", 2, 2.0000000000000004},
        {"level > 2 m and flow >= 0 and not fault", 2, 2.0000000000000004},
        {"level > 2 m and (flow > 1 or pump_on)", 2, 2.0000000000000004},
        {"level > 0 m", -0.0, 5e-324},
        {"level > -1 m", -1, -0.9999999999999999},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!false_within(rows[i].text, rows[i].yes))
            fail_msg("%s: %.17g leaves a doubt", rows[i].text, rows[i].yes);
        if (false_within(rows[i].text, rows[i].no) || false_within(rows[i].text, NAN))
            fail_msg("%s: %.17g leaves none", rows[i].text, rows[i].no);
    }
    static const char *const unclear[] = {
        "level > 2 m or flow > 1",
        "(level > 2 m and flow > 1) or pump_on",
        "not pump_on",
        "level == 2 m",
        "level + flow * 1 m.h/m3 > 2 m",
        "level > level@in",
        "avg(level, 10m) > 1 m",
        "level > $limit",
        "count_over(building, smoke, alarm) > 1 and level > 1 m",
    };
    for (size_t i = 0; i < sizeof(unclear) / sizeof(*unclear); i++)
        for (int v = -2; v <= 2; v++)
            if (false_within(unclear[i], v))
                fail_msg("%s: %d leaves no doubt", unclear[i], v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_do_what_they_say),
        cmocka_unit_test(unknown_is_never_false),
        cmocka_unit_test(one_value_can_tell_that_it_is_false),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(hostile_text_is_refused),
        cmocka_unit_test(windows_agree_with_all_samples),
        cmocka_unit_test(equal_values_do_not_deviate),
        cmocka_unit_test(windows_of_bools_and_codes),
        cmocka_unit_test(bad_bytes_are_no_state),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
