/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of conditions that no compiler wrote. The first byte takes one of some good conditions, whose program
 * the next ones change, six bytes an instruction; or there is nothing but such instructions. What
 * expr_verify() accepts is run and walked by all that runs and walks programs: within its arrays and its stack,
 * to an end, to the same truth with a state that went through bytes as with one that did not, and to none
 * that expr_plausible() excludes. What it refuses is not run.
 */
#include "base/check.h"
#include "core/expr_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define S           UINT64_C(1000000000)
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char catalogue[] =
    "kinds:\n"
    "  sump:\n"
    "    zh: 井\n"
    "    en: Sump\n"
    "    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 4, zh: 位, en: Level}\n"
    "      pump: {type: bool, zh: 泵, en: Pump}\n"
    "      state: {type: enum, zh: 态, en: State, codes: [{code: 0, name: shut, zh: 关, en: "
    "Shut},"
    " {code: 3, name: bad, zh: 坏, en: Bad}]}\n";

static const struct expr_param params[] = {{"limit", "cm", true, 80},
                                           {"plain", NULL, false, 0}};

static const char *const conditions[] = {
    "level > 0.8 and not pump",
    "avg(level, 10m) - level > $limit or rate(level, 1m) * 2 < 0.1 m/s",
    "count_over(building, sump, level > 1) >= 3 and (pump or state in (bad, shut))",
    "between(\"22:00\", \"06:00\") and hour() < 3 and workday() and age(level) > 5 min",
    "changes(pump, 1h) > 3 or max(pump, 5m) == pump and weekday() != $plain",
    "not (level < 1 and (level > 0.5 or not (pump and state == bad)))",
};

/* What a hostile number is likely to be. */
static const double numbers[] = {0,    1,     -1,       0.5,       2,          63,
                                 64,   1440,  1441,     1024,      4294967296, -0.0,
                                 1e18, 1e308, INFINITY, -INFINITY, NAN,        5e-324};

static struct catalog *catalog;
static struct expr_scope scope;

static struct expr *compile(unsigned which)
{
    struct expr_error error;
    struct expr *x = NULL;
    const char *text = conditions[which % COUNT_OF(conditions)];
    ASSERT(expr_compile(text, strlen(text), &scope, &error, &x) == 0);
    ASSERT(expr_verify(x));
    return x;
}

static void change(struct expr *x, const uint8_t *p)
{
    struct expr_code *i = &x->code[p[0] % x->n_code];
    i->op = p[1] < 224 ? p[1] % (OPS + 1) : p[1];
    i->a = p[2] < 192 ? p[2] & 3 : p[2];
    i->n = p[3] < 224 ? p[3] & 15 : (uint16_t)(p[3] * 257u);
    i->k = numbers[p[4] % COUNT_OF(numbers)];
    i->c = numbers[p[5] % COUNT_OF(numbers)];
    if (p[4] & 0x80)
        i->at = (uint16_t)(p[4] * 257u);
    if (p[5] & 0x80)
        i->len = (uint16_t)(p[5] * 3u);
}

/* Instructions alone, as many as there are; with the end where it happens to be. */
static void replace(struct expr *x, const uint8_t *p, size_t n)
{
    free(x->code);
    x->n_code = n / 6 + 1;
    x->code = calloc(x->n_code, sizeof(*x->code)); /* no more, so that reading beyond is seen */
    ASSERT(x->code);
    for (size_t i = 0; i + 1 < x->n_code; i++) {
        change(x, p + i * 6);
        if (p[i * 6] % x->n_code != i)
            x->code[i] = x->code[p[i * 6] % x->n_code];
    }
    x->code[x->n_code - 1].op = (n && p[0] == 255) ? OP_NOT : OP_END;
}

static void run(const struct expr *x, const uint8_t *p, size_t n)
{
    struct expr_last last[EXPR_MAX_INPUTS];
    double values[2] = {80, 2}, counts[EXPR_MAX_COUNTS] = {0, 1, 2, NAN};
    struct expr_env env = {
        .since_ns = S, .last = last, .params = values, .counts = counts, .now_ns = S};
    struct expr_state *s = expr_state_new(x), *again = NULL;
    enum expr_truth plausible = expr_plausible(x);
    struct buf told, bytes;
    unsigned slot;
    double lo, hi;
    buf_init(&told, 1 << 18);
    buf_init(&bytes, 1 << 18);
    for (size_t i = 0; i < EXPR_MAX_INPUTS; i++)
        last[i] = (struct expr_last){NAN, 0};
    bool within = expr_false_within(x, &slot, &lo, &hi);
    for (size_t k = 0; k + 1 < n && k < 40; k += 2) {
        static const double good[][4] = {{0, 4, 1, 0.3}, {0, 1, 1, 0}, {0, 3, 3, 0}};
        unsigned i = p[k] % (unsigned)(x->n_inputs ? x->n_inputs : 1);
        enum metric_type type = x->n_inputs ? x->inputs[i].metric->type : METRIC_FLOAT;
        unsigned row = type == METRIC_BOOL ? 1 : type == METRIC_ENUM ? 2 : 0;
        env.now_ns += (uint64_t)p[k + 1] * p[k + 1] * S / 8 + 1;
        env.wall_ms = 1790000000000 + (int64_t)(env.now_ns / 1000000);
        last[i] = (struct expr_last){p[k] & 0x80 ? NAN : good[row][p[k + 1] & 3], env.now_ns};
        expr_feed(x, s, i, last[i].v, env.now_ns);
        enum expr_truth now = expr_eval(x, s, &env);
        ASSERT(now == EXPR_FALSE || now == EXPR_TRUE || now == EXPR_UNKNOWN);
        ASSERT(plausible == EXPR_UNKNOWN || now == plausible || now == EXPR_UNKNOWN);
        ASSERT(!within || !(last[slot].v >= lo && last[slot].v <= hi) || now == EXPR_FALSE);
        ASSERT(expr_wake_ns(x, s, &env) > env.now_ns);
        buf_clear(&bytes);
        ASSERT(expr_state_save(x, s, &bytes) == 0);
        ASSERT(expr_state_load(x, bytes.data, bytes.len, &again) == 0);
        ASSERT(expr_eval(x, again, &env) == now);
        expr_state_free(again);
        buf_clear(&told);
        (void)expr_explain(x, s, &env, &told);
        (void)expr_limit(x, &env);
        (void)expr_count_matters(x, p[k] & 3, 0, p[k + 1]);
    }
    buf_done(&told);
    buf_done(&bytes);
    expr_state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!catalog) {
        struct problems *p = problems_new(10);
        ASSERT(catalog_parse(catalogue, strlen(catalogue), "c", p, &catalog) == 0);
        problems_free(p);
        scope = (struct expr_scope){catalog, catalog_kind(catalog, "sump", 4), params, 2};
    }
    if (size < 2)
        return 0;
    struct expr *x = compile(data[0] & 127);
    size_t said = (size_t)(data[1] & 31), n = (size - 2) / 6;
    const uint8_t *p = data + 2;
    if (data[0] & 0x80) {
        n = n > 1100 ? 1100 : n;
        replace(x, p, n * 6);
    } else {
        n = n > 8 ? 8 : n;
        for (size_t i = 0; i < n; i++)
            change(x, p + i * 6);
    }
    if (expr_verify(x)) {
        const uint8_t *rest = p + n * 6;
        size_t left = size - 2 - n * 6;
        expr_hash_make(x);
        run(x, left ? rest : data, left ? left : said < size ? said : size);
    }
    expr_free(x);
    return 0;
}
