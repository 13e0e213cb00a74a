/* SPDX-License-Identifier: Apache-2.0 */
/* Case ids: GATEWAY.LANE.EPOCH.OFFSET.ORDINAL[.N], where a gateway's id may contain dots, too. */
#include "core/conf.h"
#include "core/cases.h"

#include <string.h>

#define MAX_DIGITS  12 /* 36^12 < 2^63 */
#define MAX_DECIMAL 18

static int digit36(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
}

/* The next part, and *p behind its dot; false: it is not of that base. */
static bool part(const char **p, const char *end, int base, uint64_t *out)
{
    size_t digits = 0;
    uint64_t v = 0;
    size_t most = base == 10 ? MAX_DECIMAL : MAX_DIGITS;
    for (int d; *p < end && digits <= most && (d = digit36(**p)) >= 0 && d < base; (*p)++)
        if (digits++ < most)
            v = v * (uint64_t)base + (uint64_t)d;
    *out = v;
    if (*p < end && **p == '.' && *p + 1 < end)
        (*p)++;
    else if (*p < end)
        return false;
    return digits > 0 && digits <= most;
}

/* EPOCH.OFFSET.ORDINAL[.N] */
static bool is_tail(const char *p, const char *end, uint64_t *out_offset)
{
    uint64_t v[4] = {0};
    size_t n = 0;
    for (; p < end && n < 4; n++)
        if (!part(&p, end, n == 0 ? 10 : 36, &v[n]))
            return false;
    if (p < end || n < 3)
        return false;
    if (out_offset)
        *out_offset = v[1];
    return true;
}

bool case_id_is_of(const char *id, size_t len, const char *head, uint64_t *out_offset)
{
    size_t n = strlen(head);
    return len > n && memcmp(id, head, n) == 0 && is_tail(id + n, id + len, out_offset);
}

bool case_id_is_whole(const char *id, size_t len)
{
    static const int lanes[] = {CONF_LANE_ALL, CONF_LANE_ROUTINE, CONF_LANE_LIFE_SAFETY};
    for (size_t at = 1; at < len; at++) {
        if (id[at] != '.')
            continue;
        for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
            const char *word = conf_lane_name(lanes[i]), *p = id + at + 1, *end = id + len;
            size_t n = strlen(word);
            if ((size_t)(end - p) > n && memcmp(p, word, n) == 0 && p[n] == '.' &&
                is_tail(p + n + 1, end, NULL))
                return true;
        }
    }
    return false;
}
