/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a condition; what follows a NUL moves a device. What is refused says where and
 * why, in UTF-8. What compiles: compiles again to the same hash; is as true with a state that
 * went through bytes as with one that did not; is never what expr_plausible excludes; does not
 * change before expr_wake_ns; can be explained. Any bytes as a saved state are refused or safe.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "core/expr.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define S UINT64_C(1000000000)

static const char catalogue[] =
    "kinds:\n"
    "  sump:\n"
    "    zh: 井\n"
    "    en: Sump\n"
    "    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 4, zh: 位, en: Level}\n"
    "      temperature: {type: float, unit: Cel, min: -50, max: 125, zh: 温, en: Temp}\n"
    "      humidity: {type: float, unit: '%', min: 0, max: 100, zh: 湿, en: Humidity}\n"
    "      energy: {type: float, unit: kW.h, zh: 电, en: Energy}\n"
    "      starts: {type: int, min: 0, zh: 启, en: Starts}\n"
    "      pump: {type: bool, zh: 泵, en: Pump}\n"
    "      note: {type: string, zh: 注, en: Note}\n"
    "      state: {type: enum, zh: 态, en: State, codes: [{code: 0, name: shut, zh: 关, en: "
    "Shut},"
    " {code: 1, name: open, zh: 开, en: Open}, {code: 3, name: bad, zh: 坏, en: Bad}]}\n"
    "  smoke:\n"
    "    zh: 烟\n"
    "    en: Smoke\n"
    "    metrics:\n"
    "      alarm: {type: bool, zh: 报警, en: Alarm}\n";

static const struct expr_param params[] = {
    {"limit", "cm", true, 80}, {"plain", NULL, false, 0}, {"hot", "Cel", true, 60}};

static struct catalog *catalog;
static struct expr_scope scope;

/* A value of the metric's plausible range, in quarters so that sums are exact; or unknown. */
static double value_of(const struct metric *m, unsigned char b)
{
    if (b == 255 || m->type == METRIC_STRING)
        return NAN;
    if (m->type == METRIC_BOOL)
        return b & 1;
    if (m->type == METRIC_ENUM)
        return (double)m->codes[b % m->n_codes].code;
    double v = m->type == METRIC_INT ? b : ((double)b - 128) / 4;
    v = m->has_min && v < m->min ? m->min : v;
    return m->has_max && v > m->max ? m->max : v;
}

static int64_t wall_of(uint64_t now_ns)
{
    return INT64_C(1790000000000) + (int64_t)(now_ns / 1000000);
}

static enum expr_truth look(const struct expr *x, struct expr_state *s, struct expr_env env,
                            uint64_t now_ns)
{
    env.now_ns = now_ns;
    env.wall_ms = wall_of(now_ns);
    return expr_eval(x, s, &env);
}

/* With arithmetic on times, a line in time meets its limit a rounding earlier or later. */
static bool has_arithmetic(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr("+-*/", text[i]))
            return true;
    return false;
}

static void move(const struct expr *x, const char *text, size_t len, const uint8_t *p, size_t n)
{
    const struct expr_input *in;
    size_t inputs = expr_inputs(x, &in);
    struct expr_last last[EXPR_MAX_INPUTS];
    for (size_t i = 0; i < EXPR_MAX_INPUTS; i++)
        last[i] = (struct expr_last){NAN, 0};
    double values[3] = {80, 2, NAN}, counts[EXPR_MAX_COUNTS] = {0, 1, 2, NAN};
    struct expr_env env = {
        .since_ns = S, .last = last, .params = values, .counts = counts, .now_ns = S};
    struct expr_state *a = expr_state_new(x), *b = expr_state_new(x);
    struct buf bytes, told;
    buf_init(&bytes, 1 << 16);
    buf_init(&told, 1 << 16);
    enum expr_truth plausible = expr_plausible(x);
    bool exact = !has_arithmetic(text, len);
    for (size_t k = 0; k + 3 <= n && k < 600; k += 3) {
        env.now_ns += (uint64_t)p[k] * p[k] * (S / 16) + 1;
        unsigned i = inputs ? p[k + 1] % (unsigned)inputs : 0;
        if (inputs) {
            double v = value_of(in[i].metric, p[k + 2]);
            last[i].v = v;
            if (!isnan(v) || in[i].metric->type == METRIC_STRING)
                last[i].at_ns = env.now_ns;
            expr_feed(x, a, i, v, env.now_ns);
            expr_feed(x, b, i, v, env.now_ns);
        }
        if (b && p[k + 1] & 0x80) {
            buf_clear(&bytes);
            ASSERT(expr_state_save(x, b, &bytes) == 0);
            expr_state_free(b);
            ASSERT(expr_state_load(x, bytes.data, bytes.len, &b) == 0 && b);
        }
        enum expr_truth now = look(x, a, env, env.now_ns);
        ASSERT(now == look(x, b, env, env.now_ns));
        ASSERT(plausible == EXPR_UNKNOWN || now == plausible || now == EXPR_UNKNOWN);
        env.wall_ms = wall_of(env.now_ns);
        uint64_t wake = expr_wake_ns(x, a, &env);
        ASSERT(wake > env.now_ns);
        ASSERT(expr_is_timed(x) || wake == UINT64_MAX);
        uint64_t wait = wake - env.now_ns < 100000 * S ? wake - env.now_ns : 100000 * S;
        if (exact) {
            ASSERT(wait < S || look(x, a, env, env.now_ns + wait / 2) == now);
            /* The clock is known by the millisecond. */
            ASSERT(wait < S || look(x, a, env, env.now_ns + wait - S / 1000) == now);
        }
        buf_clear(&told);
        ASSERT(expr_explain(x, a, &env, &told) == 0 && told.len > 0);
        (void)expr_limit(x, &env);
    }
    buf_done(&bytes);
    buf_done(&told);
    expr_state_free(a);
    expr_state_free(b);
    if (expr_state_load(x, (const char *)p, n, &a) == 0) {
        (void)look(x, a, env, S);
        for (size_t i = 0; i < inputs; i++)
            expr_feed(x, a, (unsigned)i, 1, UINT64_MAX - 5);
        (void)look(x, a, env, UINT64_MAX);
        expr_state_free(a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!catalog) {
        struct problems *p = problems_new(10);
        ASSERT(catalog_parse(catalogue, strlen(catalogue), "c", p, &catalog) == 0);
        problems_free(p);
        scope = (struct expr_scope){catalog, catalog_kind(catalog, "sump", 4), params, 3};
    }
    const char *text = (const char *)data;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size;
    struct expr_error error = {SIZE_MAX, ""};
    struct expr *x = NULL, *again = NULL;
    char *copy = malloc(len ? len : 1); /* so that reading beyond is seen */
    memcpy(copy, len ? text : "", len);
    if (expr_compile(copy, len, &scope, &error, &x) != 0) {
        ASSERT(!x && error.at <= len && *error.text);
        ASSERT(utf8_valid(error.text, strlen(error.text)));
        free(copy);
        return 0;
    }
    ASSERT(len <= EXPR_MAX_TEXT);
    ASSERT(expr_compile(copy, len, &scope, &error, &again) == 0);
    ASSERT(expr_hash(x) == expr_hash(again));
    expr_free(again);
    free(copy);
    unsigned input = 99;
    ASSERT(!expr_subject(x, &input) || input < EXPR_MAX_INPUTS);
    move(x, text, len, nul ? nul + 1 : data, nul ? size - len - 1 : 0);
    expr_free(x);
    return 0;
}
