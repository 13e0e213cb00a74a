/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr.h"

#include <errno.h>
#include <math.h>

#include "unit.h"

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
    "      state: {type: enum, zh: 态, en: State, codes: [{code: 0, name: shut, zh: 关, en: Shut}, "
    "{code: 1, name: open, zh: 开, en: Open}, {code: 7, name: broken, zh: 坏, en: Broken}]}\n"
    "      mode: {type: enum, zh: 式, en: Mode, codes: [{code: 0, name: auto, zh: 自, en: Auto}]}\n"
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

struct row {
    const char *text;
    enum expr_truth expected;
};

static void check_rows(const struct row *rows, size_t n)
{
    static const char *const names[] = {"false", "true", "unknown"};
    static const struct said said[] = {
        {"level", 0.9},   {"level@in", 0.5}, {"flow", 10},    {"humidity", 45},
        {"temperature", 25}, {"temperature@out", 18}, {"energy", 2}, {"power", 1500},
        {"rssi", -90},    {"starts", 12},    {"hours", 3},    {"pump_on", 1},
        {"fault", 0},     {"state", 1},      {"state@in", 7},
    };
    for (size_t i = 0; i < n; i++) {
        enum expr_truth t = truth(rows[i].text, said, sizeof(said) / sizeof(*said));
        if (t != rows[i].expected)
            fail_msg("%s is %s, expected %s", rows[i].text, names[t], names[rows[i].expected]);
    }
}

#define ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))
#define T          EXPR_TRUE
#define F          EXPR_FALSE
#define U          EXPR_UNKNOWN

static void operators_do_what_they_say(void **state)
{
    (void)state;
    static const struct row rows[] = {
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
    ROWS(rows);
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
        {"count_over(building, smoke, alarm) > 1 and count_over(building, smoke, density > 1 %) > 1",
         U},
        {"avg(level, 1m) > 1 m", U},
        {"count(level, 1m) > 1", U},
        {"changes(pump_on, 1m) > 1", U},
    };
    check_rows(rows, sizeof(rows) / sizeof(*rows) - 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_do_what_they_say),
        cmocka_unit_test(unknown_is_never_false),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
