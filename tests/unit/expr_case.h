/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_EXPR_CASE_H
#define TESTS_UNIT_EXPR_CASE_H
/* expr_case — a catalogue, parameters and a device for the tests of conditions. */
#include "core/expr.h"

#define S UINT64_C(1000000000)

static const char catalogue[] =
    "version: 1\n"
    "kinds:\n"
    "  sump:\n"
    "    zh: 集水井\n"
    "    en: Sump\n"
    "    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      flow: {type: float, unit: m3/h, min: 0, max: 100, zh: 流量, en: Flow}\n"
    "      humidity: {type: float, unit: '%', min: 0, max: 100, zh: 湿, en: Humidity}\n"
    "      temperature: {type: float, unit: Cel, min: -50, max: 125, zh: 温, en: Temp}\n"
    "      energy: {type: float, unit: kW.h, min: 0, zh: 电, en: Energy}\n"
    "      power: {type: float, unit: W, zh: 功, en: Power}\n"
    "      rssi: {type: float, unit: 'dB{mW}', min: -150, max: 20, zh: 信号, en: RSSI}\n"
    "      starts: {type: int, min: 0, zh: 启, en: Starts}\n"
    "      hours: {type: float, unit: h, min: 0, zh: 时, en: Hours}\n"
    "      pump_on: {type: bool, zh: 泵, en: Pump}\n"
    "      fault: {type: bool, zh: 障, en: Fault}\n"
    "      note: {type: string, zh: 注, en: Note}\n"
    "      state: {type: enum, zh: 态, en: State, codes: [{code: 0, name: shut, zh: 关, en: "
    "Shut}, "
    "{code: 1, name: open, zh: 开, en: Open}, {code: 7, name: broken, zh: 坏, en: Broken}]}\n"
    "      mode: {type: enum, zh: 式, en: Mode, codes: [{code: 0, name: auto, zh: 自, en: "
    "Auto}]}\n"
    "  smoke:\n"
    "    zh: 烟感\n"
    "    en: Smoke\n"
    "    metrics:\n"
    "      alarm: {type: bool, zh: 报警, en: Alarm}\n"
    "      density: {type: float, unit: '%', min: 0, max: 100, zh: 浓, en: Density}\n"
    "  water-meter:\n"
    "    zh: 水表\n"
    "    en: Water meter\n"
    "    metrics:\n"
    "      leak: {type: bool, zh: 漏, en: Leak}\n";

static const struct expr_param params[] = {
    {"limit", "cm", true, 80},
    {"plain", NULL, false, 0},
    {"hot", "Cel", true, 60},
    {"wait", "min", true, 15},
};

static struct catalog *catalog;
static struct expr_scope scope;

static int set_up(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    if (catalog_parse(catalogue, strlen(catalogue), "catalog.yaml", p, &catalog) != 0)
        fail_msg("%s", problems_get(p, 0));
    problems_free(p);
    scope = (struct expr_scope){catalog, catalog_kind(catalog, "sump", 4), params,
                                sizeof(params) / sizeof(*params)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_free(catalog);
    return 0;
}

static struct expr *compiled(const char *text)
{
    struct expr *x = NULL;
    struct expr_error e;
    if (expr_compile(text, strlen(text), &scope, &e, &x) != 0)
        fail_msg("%s: byte %zu: %s", text, e.at, e.text);
    return x;
}

/* What a device says now: name=value, unknown when it is not named. */
struct said {
    const char *name;
    double v;
};

static struct expr_last last[EXPR_MAX_INPUTS];

static void fill(const struct expr *x, const struct said *said, size_t n, uint64_t at_ns)
{
    const struct expr_input *in;
    size_t inputs = expr_inputs(x, &in);
    for (size_t i = 0; i < inputs; i++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s%s%s", in[i].metric->name, in[i].point ? "@" : "",
                       in[i].point ? in[i].point : "");
        last[i] = (struct expr_last){NAN, 0};
        for (size_t k = 0; k < n; k++)
            if (strcmp(said[k].name, name) == 0)
                last[i] = (struct expr_last){said[k].v, at_ns};
    }
}

static const double values[] = {80, 3, 60, 15};

static struct expr_env env_at(uint64_t now_ns)
{
    static double counts[EXPR_MAX_COUNTS] = {2, NAN, 5, 0};
    return (struct expr_env){.now_ns = now_ns,
                             .wall_ms = 0,
                             .since_ns = S,
                             .last = last,
                             .params = values,
                             .counts = counts};
}

struct row {
    const char *text;
    enum expr_truth expected;
};

#define T EXPR_TRUE
#define F EXPR_FALSE
#define U EXPR_UNKNOWN

#endif
