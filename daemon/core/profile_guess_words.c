/* SPDX-License-Identifier: Apache-2.0 */
#include "core/profile_guess_private.h"
#include "core/unit.h"
#include "base/stamp.h"

#include <math.h>
#include <stdio.h>

/* What vendors call a metric: normal names (guess_normal), the likely metric first. */
static const struct word {
    const char *said, *metric;
} words[] = {
    {"temp", "temperature"},
    {"tmp", "temperature"},
    {"wendu", "temperature"},
    {"wd", "temperature"},
    {"temper", "temperature"},
    {"hum", "humidity"},
    {"humi", "humidity"},
    {"shidu", "humidity"},
    {"sd", "humidity"},
    {"rh", "humidity"},
    {"batt", "battery_pct"},
    {"bat", "battery_pct"},
    {"battery", "battery_pct"},
    {"batterylevel", "battery_pct"},
    {"batterypercent", "battery_pct"},
    {"batterypercentage", "battery_pct"},
    {"batteryvalue", "battery_pct"},
    {"dianliang", "battery_pct"},
    {"soc", "battery_pct"},
    {"battv", "battery_v"},
    {"vbat", "battery_v"},
    {"batteryvoltage", "battery_v"},
    {"batvolt", "battery_v"},
    {"batvoltage", "battery_v"},
    {"signal", "rssi"},
    {"signalstrength", "rssi"},
    {"rsrp", "rssi"},
    {"lorasnr", "snr"},
    {"lsnr", "snr"},
    {"sinr", "snr"},
    {"waterlevel", "level"},
    {"liquidlevel", "level"},
    {"shuiwei", "level"},
    {"yewei", "level"},
    {"depth", "level"},
    {"tanklevel", "tank_level"},
    {"press", "pressure"},
    {"yali", "pressure"},
    {"shuiya", "pressure"},
    {"waterpressure", "pressure"},
    {"volt", "voltage"},
    {"dianya", "voltage"},
    {"curr", "current"},
    {"dianliu", "current"},
    {"gonglv", "power"},
    {"activepower", "power"},
    {"kwh", "energy"},
    {"dianneng", "energy"},
    {"totalenergy", "energy"},
    {"consumption", "energy"},
    {"leakage", "leak"},
    {"waterleak", "leak"},
    {"shuijin", "leak"},
    {"leakstatus", "leak"},
    {"loudian", "residual_current"},
    {"leakagecurrent", "residual_current"},
    {"shengyudianliu", "residual_current"},
    {"smokealarm", "smoke"},
    {"yangan", "smoke"},
    {"smokestatus", "smoke"},
    {"gas", "lel"},
    {"ranqi", "lel"},
    {"combustible", "lel"},
    {"doorstatus", "door_open"},
    {"door", "door_open"},
    {"contact", "door_open"},
    {"menci", "door_open"},
    {"dooropen", "open"},
    {"magnet", "open"},
    {"pir", "motion"},
    {"occupancy", "occupied"},
    {"angle", "tilt"},
    {"qingxie", "tilt"},
    {"qingjiao", "tilt"},
    {"zaosheng", "noise"},
    {"lux", "illuminance"},
    {"light", "illuminance"},
    {"guangzhao", "illuminance"},
    {"illumination", "illuminance"},
    {"fengsu", "wind_speed"},
    {"fengxiang", "wind_direction"},
    {"flowrate", "flow"},
    {"liuliang", "flow"},
    {"totalflow", "volume"},
    {"total", "volume"},
    {"reading", "volume"},
    {"latitude", "lat"},
    {"weidu", "lat"},
    {"longitude", "lon"},
    {"lng", "lon"},
    {"jingdu", "lon"},
    {"fw", "firmware"},
    {"version", "firmware"},
    {"fwversion", "firmware"},
    {"firmwareversion", "firmware"},
    {"fangchai", "tamper"},
    {"tamperstatus", "tamper"},
    {"cover", "cover_open"},
    {"jinggai", "cover_open"},
    {"overflow", "overflow"},
    {"pump", "pump_on"},
    {"pumpstatus", "pump_on"},
    {"shuibeng", "pump_on"},
    {"brightness", "dim"},
    {"dimming", "dim"},
    {"switch", "on"},
    {"powerswitch", "on"},
    {"people", "people"},
    {"weight", "weight"},
    {"load", "weight"},
    {"speed", "speed"},
    {"floor", "floor"},
    {"louceng", "floor"},
};

static const struct suffix {
    const char *end, *unit;
} suffixes[] = {
    {"kwh", "kW.h"}, {"wh", "W.h"},    {"kpa", "kPa"}, {"mpa", "MPa"}, {"hpa", "hPa"},
    {"bar", "bar"},  {"pa", "Pa"},     {"mm", "mm"},   {"cm", "cm"},   {"km", "km"},
    {"mv", "mV"},    {"ma", "mA"},     {"kw", "kW"},   {"mw", "mW"},   {"ppm", "[ppm]"},
    {"pct", "%"},    {"percent", "%"}, {"m3", "m3"},   {"min", "min"}, {"ms", "ms"},
    {"m", "m"},      {"v", "V"},       {"a", "A"},     {"w", "W"},     {"c", "Cel"},
    {"f", "[degF]"}, {"s", "s"},       {"h", "h"},     {"l", "L"},
};

void guess_normal(const char *s, size_t n, char *out, size_t room)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k + 1 < room; i++) {
        char c = s[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80))
            out[k++] = c;
    }
    out[k] = '\0';
}

static bool type_fits(const struct metric *m, const struct leaf *l)
{
    switch (m->type) {
    case METRIC_FLOAT:
    case METRIC_INT:
        return l->numeric;
    case METRIC_BOOL:
        return l->type == JSON_BOOL || (l->numeric && (l->number == 0 || l->number == 1));
    case METRIC_STRING:
        return l->type == JSON_STRING;
    case METRIC_ENUM: /* needs a map that nobody can guess, unless it says the code's name */
        return l->type == JSON_STRING && metric_code(m, l->text, strlen(l->text));
    }
    return false;
}

/* Longer agreement counts more: a name of the catalogue, a title, a vendor's word. */
static int agreement(const struct metric *m, const char *normal)
{
    char name[96];
    guess_normal(m->name, m->name_len, name, sizeof(name));
    if (strcmp(name, normal) == 0)
        return 4;
    const char *titles[] = {m->title_zh, m->title_en};
    for (int i = 0; i < 2; i++) {
        if (!titles[i])
            continue;
        guess_normal(titles[i], strlen(titles[i]), name, sizeof(name));
        if (strcmp(name, normal) == 0)
            return 3;
        /* 湿度 of 相对湿度: two characters or more, and no Latin letters */
        if (i == 0 && strlen(normal) >= 6 && (normal[0] & 0x80) && strstr(name, normal))
            return 1;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(words[i].said, normal) == 0 && strcmp(words[i].metric, m->name) == 0)
            return 2;
    return 0;
}

static const struct metric *best(const struct kind *k, const struct leaf *l, const char *normal)
{
    const struct metric *found = NULL;
    int most = 0;
    for (size_t i = 0; i < k->n_metrics; i++) {
        int a = agreement(&k->metrics[i], normal);
        if (a > most && type_fits(&k->metrics[i], l)) {
            most = a;
            found = &k->metrics[i];
        }
    }
    return found;
}

static bool in_range(const struct metric *m, double v)
{
    return (!m->has_min || v >= m->min) && (!m->has_max || v <= m->max);
}

static void plausible(const struct metric *m, const struct leaf *l, const char *unit,
                      unsigned *out_divide)
{
    struct unit from, to;
    double v = l->number;
    if (unit && unit_parse(unit, strlen(unit), &from, NULL) == 0 &&
        unit_parse(m->unit, strlen(m->unit), &to, NULL) == 0)
        v = (v * from.factor + from.offset - to.offset) / to.factor;
    bool whole = fabs(l->number - nearbyint(l->number)) < 1e-9;
    for (unsigned d = 10; !in_range(m, v) && whole && d <= 1000; d *= 10)
        if (in_range(m, v / d)) {
            *out_divide = d;
            return;
        }
}

static bool comparable(const char *unit, const struct metric *m)
{
    struct unit a, b;
    return unit_parse(unit, strlen(unit), &a, NULL) == 0 &&
           unit_parse(m->unit, strlen(m->unit), &b, NULL) == 0 && unit_comparable(&a, &b);
}

/* "level_mm", "battMv": the unit at the end, and what is before it. */
static const struct metric *by_suffix(const struct kind *k, const struct leaf *l,
                                      const char *normal, const char **out_unit)
{
    size_t n = strlen(normal);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        size_t e = strlen(suffixes[i].end);
        char base[96];
        if (n <= e + 1 || strcmp(normal + n - e, suffixes[i].end) != 0)
            continue;
        (void)snprintf(base, sizeof(base), "%.*s", (int)(n - e), normal);
        const struct metric *m = best(k, l, base);
        if (m && (m->type == METRIC_FLOAT || m->type == METRIC_INT) &&
            comparable(suffixes[i].unit, m)) {
            *out_unit = strcmp(suffixes[i].unit, m->unit) == 0 ? NULL : suffixes[i].unit;
            return m;
        }
    }
    return NULL;
}

const struct metric *guess_metric(const struct kind *k, const struct leaf *l,
                                  const char **out_unit, unsigned *out_divide)
{
    char normal[96];
    guess_normal(l->key, strlen(l->key), normal, sizeof(normal));
    *out_unit = NULL;
    *out_divide = 0;
    const struct metric *m = best(k, l, normal);
    if (!m)
        m = by_suffix(k, l, normal, out_unit);
    if (!m || (m->type != METRIC_FLOAT && m->type != METRIC_INT))
        return m;
    if (!*out_unit && l->number > 100 && strcmp(m->unit, "V") == 0 && !in_range(m, l->number) &&
        in_range(m, l->number / 1000)) {
        *out_unit = "mV";
        return m;
    }
    plausible(m, l, *out_unit, out_divide);
    return m;
}

/* -- devices and times ------------------------------------------------------------------------ */

bool guess_is_id(const char *s, size_t n)
{
    size_t digits = 0, hex = 0;
    for (size_t i = 0; i < n; i++) {
        char c = (char)(s[i] | 0x20);
        digits += s[i] >= '0' && s[i] <= '9';
        hex += (s[i] >= '0' && s[i] <= '9') || (c >= 'a' && c <= 'f');
    }
    return (n >= 8 && hex == n && digits > 0) || (n >= 4 && digits >= 2) ||
           (n >= 3 && digits >= 1 && memchr(s, '-', n));
}

int guess_is_device(const struct leaf *l)
{
    static const char *const names[] = {
        "deveui", "deviceid", "devid",      "device",   "imei",     "devicesn",
        "sn",     "serial",   "devicename", "dn",       "deviceno", "devno",
        "mac",    "clientid", "nodeid",     "uid",      "did",      "设备编号",
        "设备号", "设备id",   "设备编码",   "站点编号", "id"};
    char normal[96];
    bool text = l->type == JSON_STRING && l->text[0];
    bool number = l->type == JSON_INT && l->number >= 1000;
    guess_normal(l->key, strlen(l->key), normal, sizeof(normal));
    for (int i = 0; i < (int)(sizeof(names) / sizeof(*names)); i++)
        if (strcmp(names[i], normal) == 0 && (text || number))
            return 100 - i;
    return 0;
}

/* yyyy-MM-dd HH:mm:ss and the like; NULL: not that form. */
static const char *pattern_of(const char *s)
{
    static const char *const forms[][2] = {
        {"dddd-dd-dd dd:dd:dd.ddd", "yyyy-MM-dd HH:mm:ss.SSS"},
        {"dddd-dd-dd dd:dd:dd", "yyyy-MM-dd HH:mm:ss"},
        {"dddd/dd/dd dd:dd:dd", "yyyy/MM/dd HH:mm:ss"},
        {"dddd-dd-ddTdd:dd:dd", "yyyy-MM-dd'T'HH:mm:ss"},
        {"ddddddddTddddddZ", "yyyyMMdd'T'HHmmss'Z'"},
        {"dddddddddddddd", "yyyyMMddHHmmss"},
        {"dddd-D-D D:D:D", "yyyy-M-d H:m:s"}, /* as many digits as there are */
        {"dddd/D/D D:D:D", "yyyy/M/d H:m:s"},
        {"dddd年D月D日 D:D:D", "yyyy年M月d日 H:m:s"}};
    for (size_t f = 0; f < sizeof(forms) / sizeof(*forms); f++) {
        const char *p = forms[f][0], *t = s;
        while (*p && *t && (*p == 'd' || *p == 'D' ? *t >= '0' && *t <= '9' : *p == *t)) {
            bool two = *p == 'D' && t[1] >= '0' && t[1] <= '9';
            p++;
            t += two ? 2 : 1;
        }
        if (!*p && !*t && s[0] == '2' && s[1] == '0')
            return forms[f][1];
    }
    return NULL;
}

int guess_is_time(const struct leaf *l, const char **out_format)
{
    static const char *const names[] = {"ts",         "timestamp",  "time",       "eventtime",
                                        "reporttime", "datetime",   "sampletime", "collecttime",
                                        "devicetime", "receivedat", "createtime", "t",
                                        "tm",         "date",       "时间戳",     "采集时间",
                                        "上报时间",   "数据时间",   "时间"};
    char normal[96];
    int64_t ms = 0;
    *out_format = NULL;
    guess_normal(l->key, strlen(l->key), normal, sizeof(normal));
    int rank = 0;
    for (int i = 0; i < (int)(sizeof(names) / sizeof(*names)) && !rank; i++)
        rank = strcmp(names[i], normal) == 0 ? 100 - i : 0;
    if (!rank)
        return 0;
    if (l->type == JSON_STRING && stamp_parse(l->text, strlen(l->text), &ms) == 0)
        return rank;
    if (l->type == JSON_STRING && (*out_format = pattern_of(l->text)))
        return rank;
    bool epoch = l->numeric && stamp_from_epoch_double(l->number, &ms) == 0 &&
                 ms > INT64_C(1420070400000) && ms < INT64_C(4102444800000);
    return epoch ? rank : 0;
}
