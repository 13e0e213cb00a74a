/* SPDX-License-Identifier: Apache-2.0 */
#include "core/unit.h"
#include "base/err.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* clang-format off */
struct atom {
    const char *code;
    bool metric;                 /* takes prefixes */
    int8_t dim[UNIT_DIMS];       /* m g s A K cd mol rad */
    double factor, offset;
    char scale;
};

#define PI 3.14159265358979323846

/* Factors: UCUM's ucum-essence (base units metre, gram, second …). */
static const struct atom atoms[] = {
    /*            m   g   s   A  K cd mol rad */
    {"m",   true, {1},                        1, 0, 0},
    {"g",   true, {0, 1},                     1, 0, 0},
    {"s",   true, {0, 0, 1},                  1, 0, 0},
    {"A",   true, {0, 0, 0, 1},               1, 0, 0},
    {"K",   true, {0, 0, 0, 0, 1},            1, 0, 0},
    {"cd",  true, {0, 0, 0, 0, 0, 1},         1, 0, 0},
    {"mol", true, {0, 0, 0, 0, 0, 0, 1},      1, 0, 0},
    {"rad", true, {0, 0, 0, 0, 0, 0, 0, 1},   1, 0, 0},
    {"Cel", false, {0, 0, 0, 0, 1},           1, 273.15, 'C'},
    {"[degF]", false, {0, 0, 0, 0, 1},        5.0 / 9.0, 459.67 * 5.0 / 9.0, 'C'},
    {"[psi]", false, {-1, 1, -2},             6894757.293168361, 0, 0},
    {"[in_i]", false, {1},                    0.0254, 0, 0},
    {"[ft_i]", false, {1},                    0.3048, 0, 0},
    {"[mi_i]", false, {1},                    1609.344, 0, 0},
    {"[gal_us]", false, {3},                  0.003785411784, 0, 0},
    {"[cft_i]", false, {3},                   0.028316846592, 0, 0},
    {"[Btu_IT]", false, {2, 1, -2},           1055055.85262, 0, 0},
    {"cal", true, {2, 1, -2},                 4184, 0, 0},
    {"atm", false, {-1, 1, -2},               101325000, 0, 0},
    {"m[H2O]", true, {-1, 1, -2},             9806650, 0, 0},
    {"m[Hg]", true, {-1, 1, -2},              133322000, 0, 0},
    {"[kn_i]", false, {1, 0, -1},             1852.0 / 3600.0, 0, 0},
    {"circ", false, {0, 0, 0, 0, 0, 0, 0, 1}, 2 * PI, 0, 0},
    {"gon", false, {0, 0, 0, 0, 0, 0, 0, 1},  PI / 200, 0, 0},
    {"Hz",  true, {0, 0, -1},                 1, 0, 0},
    {"N",   true, {1, 1, -2},                 1e3, 0, 0},
    {"Pa",  true, {-1, 1, -2},                1e3, 0, 0},
    {"bar", true, {-1, 1, -2},                1e8, 0, 0},
    {"J",   true, {2, 1, -2},                 1e3, 0, 0},
    {"W",   true, {2, 1, -3},                 1e3, 0, 0},
    {"C",   true, {0, 0, 1, 1},               1, 0, 0},
    {"V",   true, {2, 1, -3, -1},             1e3, 0, 0},
    {"Ohm", true, {2, 1, -3, -2},             1e3, 0, 0},
    {"S",   true, {-2, -1, 3, 2},             1e-3, 0, 0},
    {"T",   true, {0, 1, -2, -1},             1e3, 0, 0},
    {"G",   true, {0, 1, -2, -1},             0.1, 0, 0},
    {"lm",  true, {0, 0, 0, 0, 0, 1},         1, 0, 0}, /* rad² taken as a number */
    {"lx",  true, {-2, 0, 0, 0, 0, 1},        1, 0, 0},
    {"l",   true, {3},                        1e-3, 0, 0},
    {"L",   true, {3},                        1e-3, 0, 0},
    {"t",   true, {0, 1},                     1e6, 0, 0},
    {"min", false, {0, 0, 1},                 60, 0, 0},
    {"h",   false, {0, 0, 1},                 3600, 0, 0},
    {"d",   false, {0, 0, 1},                 86400, 0, 0},
    {"wk",  false, {0, 0, 1},                 604800, 0, 0},
    {"mo",  false, {0, 0, 1},                 2629800, 0, 0},
    {"a",   false, {0, 0, 1},                 31557600, 0, 0},
    {"deg", false, {0, 0, 0, 0, 0, 0, 0, 1},  PI / 180, 0, 0},
    {"%",   false, {0},                       1e-2, 0, 0},
    {"[ppth]", false, {0},                    1e-3, 0, 0},
    {"[ppm]",  false, {0},                    1e-6, 0, 0},
    {"[ppb]",  false, {0},                    1e-9, 0, 0},
    {"B",   true, {0},                        1, 0, 'L'},
    {"B[SPL]", true, {0},                     1, 0, 'L'},
    {"[pH]", false, {0},                      1, 0, 'H'},
    {"bit", true, {0},                        1, 0, 0},
    {"By",  true, {0},                        8, 0, 0},
};

static const struct {
    const char *code;
    double factor;
} prefixes[] = {
    {"da", 1e1}, {"h", 1e2}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
    {"d", 1e-1}, {"c", 1e-2}, {"m", 1e-3}, {"u", 1e-6}, {"n", 1e-9}, {"p", 1e-12},
};

/* What people write instead, and common codes: for messages only. */
static const struct {
    const char *wrong, *right;
} habits[] = {
    {"°C", "Cel"}, {"℃", "Cel"}, {"C°", "Cel"}, {"°", "deg"}, {"m³", "m3"}, {"m³/h", "m3/h"},
    {"kWh", "kW.h"}, {"Wh", "W.h"}, {"ppm", "[ppm]"}, {"ppb", "[ppb]"}, {"‰", "[ppth]"},
    {"%LEL", "%{LEL}"}, {"dBm", "dB{mW}"}, {"dB(A)", "dB{A}"}, {"NTU", "{NTU}"}, {"pH", "[pH]"},
    {"µg/m³", "ug/m3"}, {"μg/m³", "ug/m3"}, {"µg/m3", "ug/m3"}, {"%RH", "%"}, {"Mpa", "MPa"},
    {"bpm", "/min"}, {"sec", "s"}, {"hour", "h"}, {"VA", "V.A"}, {"kVA", "kV.A"}, {"lux", "lx"},
    {"℉", "[degF]"}, {"°F", "[degF]"}, {"F", "[degF]"}, {"psi", "[psi]"}, {"mmHg", "mm[Hg]"},
    {"mH2O", "m[H2O]"}, {"mmH2O", "mm[H2O]"}, {"rpm", "/min"}, {"gal", "[gal_us]"}, {"mpa", "MPa"}, {"celsius", "Cel"}, {"Ω", "Ohm"}, {"byte", "By"},
    {"C", "Cel"}, {"degC", "Cel"}, {"摄氏度", "Cel"}, {"米", "m"}, {"厘米", "cm"}, {"毫米", "mm"}, {"毫伏", "mV"},
    {"伏", "V"}, {"安", "A"}, {"毫安", "mA"}, {"帕", "Pa"}, {"千帕", "kPa"}, {"兆帕", "MPa"}, {"公斤", "kg"}, {"秒", "s"},
    {"分钟", "min"}, {"小时", "h"}, {"天", "d"}, {"吨", "t"}, {"立方米", "m3"}, {"方", "m3"}, {"千瓦时", "kW.h"}, {"度电", "kW.h"},
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const struct atom *atom_find(const char *s, size_t n)
{
    for (size_t i = 0; i < COUNT(atoms); i++)
        if (strlen(atoms[i].code) == n && memcmp(atoms[i].code, s, n) == 0)
            return &atoms[i];
    return NULL;
}

/* An atom with or without prefix; the whole of s. A plain atom wins (`min` is not milli-inch,
 * `cd` not centi-day), as UCUM demands. */
static const struct atom *symbol_find(const char *s, size_t n, double *out_factor)
{
    const struct atom *a = atom_find(s, n);
    if (a) {
        *out_factor = a->factor;
        return a;
    }
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        size_t k = strlen(prefixes[i].code);
        if (n <= k || memcmp(s, prefixes[i].code, k) != 0)
            continue;
        a = atom_find(s + k, n - k);
        if (a && a->metric) {
            *out_factor = a->factor * prefixes[i].factor;
            return a;
        }
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static double power(double base, int n)
{
    double v = 1;
    for (int i = 0; i < (n < 0 ? -n : n); i++)
        v *= base;
    return n < 0 ? 1 / v : v;
}

/* Where the symbol at s ends: letters, %, and brackets with anything in them. */
static size_t symbol_len(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        char c = s[i];
        if (c == '[') {
            const char *close = memchr(s + i, ']', n - i);
            if (!close)
                return i;
            i = (size_t)(close - s) + 1;
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%') {
            i++;
        } else {
            break;
        }
    }
    return i;
}

/* {text}: printable ASCII without braces. Returns its length, 0 if it is none. */
static size_t annotation_len(const char *s, size_t n)
{
    if (n < 2 || s[0] != '{')
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (s[i] == '}')
            return i + 1;
        if (s[i] < '!' || s[i] > '~' || s[i] == '{')
            return 0;
    }
    return 0;
}

/* One component: symbol[exponent][annotation], annotation, or a whole number. Returns its
 * length, 0 if it is none. `sign` is -1 after a slash. */
static size_t component(const char *s, size_t n, int sign, struct unit *u, bool *out_special)
{
    size_t i = symbol_len(s, n);
    if (i > 0) {
        double factor;
        const struct atom *a = symbol_find(s, i, &factor);
        if (!a)
            return 0;
        int exponent = 1, minus = 1;
        size_t at = i;
        if (at + 1 < n && (s[at] == '-' || s[at] == '+') && is_digit(s[at + 1]))
            minus = s[at++] == '-' ? -1 : 1;
        if (at < n && is_digit(s[at])) {
            exponent = minus * (s[at] - '0');
            i = at + 1;
        }
        if (exponent == 0)
            return 0;
        *out_special = a->scale != 0;
        if (a->scale && (exponent != 1 || sign != 1))
            return 0;
        u->scale = a->scale == 'C' ? 0 : a->scale;
        u->offset = a->offset;
        u->factor *= power(factor, exponent * sign);
        for (int k = 0; k < UNIT_DIMS; k++)
            u->dim[k] = (int8_t)(u->dim[k] + a->dim[k] * exponent * sign);
    } else if (n > 0 && is_digit(s[0])) {
        double v = 0;
        while (i < n && i < 9 && is_digit(s[i]))
            v = v * 10 + (s[i++] - '0');
        if (v == 0)
            return 0;
        u->factor *= power(v, sign);
    }
    return i + annotation_len(s + i, n - i);
}

int unit_parse(const char *code, size_t len, struct unit *out, size_t *out_bad)
{
    struct unit u = {.factor = 1};
    size_t at = 0, parts = 0;
    int sign = 1;
    bool alone = false;
    if (len == 0 || len > 64)
        goto bad;
    if (code[0] == '/') {
        sign = -1;
        at = 1;
    }
    for (;;) {
        bool special = false;
        size_t n = component(code + at, len - at, sign, &u, &special);
        alone = alone || special;
        if (n == 0 || (++parts > 1 && alone) || (alone && sign < 0) || parts > 8)
            goto bad;
        at += n;
        if (at == len)
            break;
        if (code[at] != '.' && code[at] != '/')
            goto bad;
        sign = code[at] == '/' ? -1 : 1;
        at++;
    }
    *out = u;
    return 0;
bad:
    if (out_bad)
        *out_bad = at;
    return -EINVAL;
}

bool unit_comparable(const struct unit *a, const struct unit *b)
{
    return a->scale == b->scale && memcmp(a->dim, b->dim, sizeof(a->dim)) == 0;
}

const char *unit_nearest(const char *code)
{
    static const char *const common[] = {
        "1",   "%",   "Cel",  "deg",  "MPa",    "kPa",  "Pa",   "bar",   "m",    "cm", "mm",
        "m3",  "m/s", "m3/h", "L/s",  "A",      "mA",   "V",    "mV",    "W",    "kW", "kW.h",
        "W.h", "GJ",  "Hz",   "s",    "min",    "h",    "d",    "[ppm]", "mg/L", "lx", "dB",
        "kg",  "K",   "uT",   "[pH]", "[ppth]", "mm/s", "m/s2", "ug/m3", "mg/m3"};
    for (size_t i = 0; i < COUNT(habits); i++)
        if (strcmp(habits[i].wrong, code) == 0)
            return habits[i].right;
    for (size_t i = 0; i < COUNT(common) && code[0] && code[1]; i++)
        if (strcasecmp(common[i], code) == 0)
            return common[i];
    return err_nearest(code, common, COUNT(common));
}
