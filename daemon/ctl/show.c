/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"
#include "ctl/ctl.h"
#include "base/num.h"

#include <stdio.h>
#include <string.h>

int ctl_print_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    return CTL_DONE;
}

static char *buffer(void)
{
    static char ring[16][48];
    static unsigned next;
    return ring[next++ % 16];
}

const char *ctl_text(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_string(v))
        return json_string_value(v);
    if (json_is_boolean(v))
        return json_is_true(v) ? "yes" : "no";
    if (!json_is_number(v))
        return "-";
    char *s = buffer();
    if (json_is_integer(v))
        s[num_put_i64(s, json_integer_value(v))] = '\0';
    else
        s[num_put_double(s, json_real_value(v))] = '\0';
    return s;
}

double ctl_number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

const char *ctl_count(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v))
        return "-";
    char digits[32], *s = buffer();
    snprintf(digits, sizeof(digits), "%.0f", json_number_value(v));
    size_t n = strlen(digits), at = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0 && digits[i - 1] != '-')
            s[at++] = ',';
        s[at++] = digits[i];
    }
    s[at] = '\0';
    return s;
}

const char *ctl_bytes(const json_t *o, const char *key)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    if (!json_is_number(json_object_get(o, key)))
        return "-";
    double v = ctl_number(o, key);
    size_t u = 0;
    for (; v >= 1024 && u < 4; u++)
        v /= 1024;
    char *s = buffer();
    snprintf(s, 48, u ? "%.1f %s" : "%.0f %s", v, units[u]);
    return s;
}

const char *ctl_seconds(const json_t *o, const char *key)
{
    if (!json_is_number(json_object_get(o, key)))
        return "-";
    double v = ctl_number(o, key);
    char *s = buffer();
    if (v < 60)
        snprintf(s, 48, "%.1f s", v);
    else if (v < 3600)
        snprintf(s, 48, "%.0f min", v / 60);
    else if (v < 172800)
        snprintf(s, 48, "%d h %02d min", (int)(v / 3600), (int)(v / 60) % 60);
    else
        snprintf(s, 48, "%.1f days", v / 86400);
    return s;
}
