/* SPDX-License-Identifier: Apache-2.0 */
/* Who speaks how, what goes wrong with it, and the truth about each message. */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "city/speak_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HOUR_MS  3600000
#define DAY_MS   (24LL * HOUR_MS)
#define GROUP    4 /* devices of one ThingsBoard message */
#define BODY_MAX 65536

static const struct {
    const char *name;
    void (*data)(struct turn *t);
    bool (*no_data)(struct turn *t);
    bool has_id;        /* a repeat is known by the vendor's id, whatever its time */
    bool knows_repeat;  /* a repeat is known before its samples are looked at */
    bool topic_is_home; /* the topic names the compound */
    const char *cut;    /* reason of the dead letter of a broken payload */
} families[FAMILY_N] = {
    [FAMILY_NATIVE] = {"native", native_data, native_no_data, .topic_is_home = true,
                       .cut = "bad_json"},
    [FAMILY_CHIRPSTACK] = {"chirpstack-v4", chirpstack_data, chirpstack_no_data, .has_id = true,
                           .cut = "bad_json"},
    [FAMILY_MILESIGHT] = {"milesight", milesight_data, milesight_no_data, .has_id = true,
                          .cut = "bad_json"},
    [FAMILY_TTS] = {"tts-v3", tts_data, tts_no_data, .has_id = true, .cut = "bad_json"},
    [FAMILY_ZIGBEE] = {"zigbee2mqtt", zigbee_data, zigbee_no_data, .topic_is_home = true,
                       .cut = "bad_json"},
    [FAMILY_TASMOTA] = {"tasmota", tasmota_data, tasmota_no_data, .topic_is_home = true,
                        .cut = "bad_json"},
    [FAMILY_ELEVATOR] = {"gbt24476-elevator", elevator_state_data, elevator_state_no_data,
                         .has_id = true, .cut = "bad_json"},
    [FAMILY_ALINK] = {"alink", alink_data, alink_no_data, .has_id = true, .cut = "bad_json"},
    [FAMILY_TENCENT] = {"tencent-iot", tencent_data, tencent_no_data, .cut = "bad_json"},
    [FAMILY_HUAWEI] = {"huawei-iotda", huawei_data, huawei_no_data, .cut = "bad_json"},
    [FAMILY_CTWING] = {"ctwing-aep", ctwing_data, ctwing_no_data, .cut = "bad_json"},
    [FAMILY_THINGSBOARD] = {"thingsboard", NULL, thingsboard_no_data, .cut = "bad_json"},
    [FAMILY_HJ212] = {"hj212", hj212_data, hj212_no_data, .cut = "bad_checksum"},
    [FAMILY_SPARKPLUG] = {"sparkplug-b", sparkplug_data, sparkplug_no_data,
                          .knows_repeat = true, .cut = "bad_payload"},
    [FAMILY_MODBUS] = {"pump-station", modbus_data, modbus_no_data, .cut = "bad_checksum"},
};

/* The families that suit a kind, by its code. What is not here speaks the native way. */
static const struct {
    const char *code;
    enum family families[2];
} suits[] = {
    {"lift", {FAMILY_ELEVATOR, FAMILY_HUAWEI}},
    {"sump", {FAMILY_HUAWEI, FAMILY_MILESIGHT}},
    {"hole", {FAMILY_CHIRPSTACK, FAMILY_MILESIGHT}},
    {"drain", {FAMILY_THINGSBOARD}},
    {"gas", {FAMILY_ALINK, FAMILY_CTWING}},
    {"smoke", {FAMILY_TTS, FAMILY_CTWING}},
    {"efire", {FAMILY_TENCENT, FAMILY_ALINK}},
    {"water", {FAMILY_MODBUS}},
    {"hydr", {FAMILY_CHIRPSTACK, FAMILY_TTS}},
    {"pump", {FAMILY_THINGSBOARD}},
    {"lamp", {FAMILY_TENCENT, FAMILY_TASMOTA}},
    {"shed", {FAMILY_TENCENT}},
    {"park", {FAMILY_CHIRPSTACK, FAMILY_CTWING}},
    {"heat", {FAMILY_THINGSBOARD}},
    {"wall", {FAMILY_TTS}},
    {"leak", {FAMILY_ZIGBEE, FAMILY_MILESIGHT}},
    {"mwater", {FAMILY_CHIRPSTACK}},
    {"mgas", {FAMILY_THINGSBOARD}},
    {"mpower", {FAMILY_TASMOTA}},
    {"env", {FAMILY_HJ212, FAMILY_CHIRPSTACK}},
    {"bin", {FAMILY_CHIRPSTACK}},
    {"sos", {FAMILY_ZIGBEE}},
    {"door", {FAMILY_ZIGBEE, FAMILY_MILESIGHT}},
    {"power", {FAMILY_SPARKPLUG}},
};

/* What no sensor of the kind can mean: beyond the catalogue's range, or its word for nothing. In
 * the catalogue's units. */
static const struct {
    const char *metric;
    double beyond, nothing;
} odd_values[] = {
    {"temperature", 200, 270},
    {"heart_rate", 12, 255},
    {"level", 9.9, NAN},
    {"battery_pct", 250, NAN},
    {"humidity", 150, NAN},
    {"lel", 250, NAN},
    {"voltage", 999, NAN},
    {"pressure", 9.5, NAN},
    {"inlet_pressure", 9.5, NAN},
    {"distance", 31, NAN},
    {"tilt", 400, NAN},
    {"fill", 200, NAN},
    {"pm25", 9999, NAN},
    {"floor", 500, NAN},
    {"dim", 300, NAN},
    {"supply_temp", 300, NAN},
    {"h2s", 900, NAN},
    {"battery_v", 99, NAN},
    {"water", -5, NAN},
    {"gas", -5, NAN},
    {"motor_temp", 999, NAN},
    {"residual_current", 5000, NAN},
    {"concentration", 400, NAN},
    {"crack", 400, NAN},
    {"frequency", 99, NAN},
    {"ports_in_use", 900, NAN},
};

struct speak {
    struct speak_options o;
    uint64_t seed, n;
    struct fleet *fleet;
    uint8_t *seqs, *born; /* Sparkplug: the next of each node, if it was born */
    struct buf body;      /* truths of the samples under way */
    bool untimed;         /* a sample of it is stamped by receipt */
    struct said group;    /* ThingsBoard's under way */
    struct buf group_body;
    unsigned grouped;
    bool group_untimed;
    uint32_t group_of[GROUP];
    struct said again; /* the last message, to be said again */
    struct buf again_body;
    enum family again_family;
    bool pending;
};

/* -- who ------------------------------------------------------------------------------------- */

bool speak_families(const char *names, uint32_t *out)
{
    *out = 0;
    if (strcmp(names, "all") == 0) {
        *out = (1u << FAMILY_N) - 1;
        return true;
    }
    while (*names) {
        size_t n = strcspn(names, ",");
        size_t f = 0;
        while (f < FAMILY_N &&
               (strlen(families[f].name) != n || memcmp(families[f].name, names, n) != 0))
            f++;
        if (f == FAMILY_N)
            return false;
        *out |= 1u << f;
        names += n + (names[n] == ',');
    }
    return *out != 0;
}

static uint64_t steady(const struct speak *s, unsigned what, uint32_t device)
{
    uint32_t key[2] = {what, device};
    return hash64(s->seed ^ 0x737065616bull, key, sizeof(key));
}

enum family speak_family(const struct speak *s, uint32_t device)
{
    const struct device_state *d = fleet_device(s->fleet, device);
    const char *code = fleet_kinds[d->kind].code;
    for (size_t i = 0; i < sizeof(suits) / sizeof(*suits); i++) {
        if (strcmp(suits[i].code, code) != 0)
            continue;
        enum family a = suits[i].families[0], b = suits[i].families[1];
        bool has_a = s->o.families >> a & 1, has_b = b && s->o.families >> b & 1;
        if (has_a && has_b)
            return (d->number + d->compound) % 2 ? a : b; /* both, also in a small city */
        return has_a ? a : has_b ? b : FAMILY_NATIVE;
    }
    return FAMILY_NATIVE;
}

static size_t put_id(const struct speak *s, uint32_t device, bool stranger, char *out)
{
    unsigned long long draw = steady(s, stranger ? 3 : 2, device);
    char code[64];
    int n = (int)fleet_device_code(s->fleet, device, code);
    const char *mark = stranger ? "x" : "";
    switch (speak_family(s, device)) {
    case FAMILY_CHIRPSTACK:
    case FAMILY_MILESIGHT:
    case FAMILY_TTS:
        return (size_t)snprintf(out, 64, "%016llx", draw);
    case FAMILY_CTWING: /* an IMEI */
        return (size_t)snprintf(out, 64, "86%013llu", draw % 10000000000000ull);
    case FAMILY_HJ212:
        return (size_t)snprintf(out, 64, "500108%018llu", draw % 1000000000000000000ull);
    case FAMILY_ALINK:
    case FAMILY_TENCENT:
        return (size_t)snprintf(out, 64, "GH%s/%s%.*s",
                                fleet_kinds[fleet_device(s->fleet, device)->kind].code, mark, n,
                                code);
    case FAMILY_HUAWEI:
        return (size_t)snprintf(out, 64, "65f0_%s%.*s", mark, n, code);
    case FAMILY_THINGSBOARD: /* people name these: blanks and all */
        return (size_t)snprintf(out, 64, "Device %s%.*s", mark, n, code);
    case FAMILY_SPARKPLUG:
        return (size_t)snprintf(out, 64, "yard/%s%.*s", mark, n, code);
    case FAMILY_NATIVE:
        return (size_t)snprintf(out, 64, "%s%.*s", mark, n, code);
    case FAMILY_ZIGBEE:
    case FAMILY_TASMOTA:
    case FAMILY_ELEVATOR:
    case FAMILY_MODBUS:
    case FAMILY_N:
        break;
    }
    return (size_t)snprintf(out, 64, "%s%.*s-d", mark, n, code);
}

size_t speak_source_id(const struct speak *s, uint32_t device, char *out)
{
    return put_id(s, device, false, out);
}

struct speak *speak_new(const struct speak_options *o, uint64_t seed, struct fleet *fleet)
{
    struct speak *s = mem_zalloc(sizeof(*s));
    s->o = *o;
    s->seed = seed;
    s->fleet = fleet;
    s->seqs = mem_zalloc_array(fleet_devices(fleet), 1);
    s->born = mem_zalloc_array(fleet_devices(fleet), 1);
    buf_init(&s->body, BODY_MAX);
    buf_init(&s->group_body, BODY_MAX);
    buf_init(&s->again_body, BODY_MAX);
    return s;
}

void speak_free(struct speak *s)
{
    if (!s)
        return;
    free(s->seqs);
    free(s->born);
    buf_done(&s->body);
    buf_done(&s->group_body);
    buf_done(&s->again_body);
    free(s);
}

bool sparkplug_birth(struct turn *t, uint8_t *out_seq)
{
    struct speak *s = t->speak;
    bool birth = !s->born[t->device];
    s->born[t->device] = 1;
    *out_seq = birth ? 0 : s->seqs[t->device];
    s->seqs[t->device] = (uint8_t)(*out_seq + 1);
    return birth;
}

/* -- words for the families ------------------------------------------------------------------ */

uint64_t turn_draw(struct turn *t, unsigned n)
{
    t->draw = hash64(t->draw, &n, sizeof(n));
    return t->draw % n;
}

uint64_t device_draw(const struct turn *t, unsigned what)
{
    return steady(t->speak, 100 + what, t->device);
}

static size_t room(const struct turn *t)
{
    return (size_t)(t->said->payload + sizeof(t->said->payload) - t->at);
}

void say_topic(struct turn *t, const char *format, ...)
{
    va_list a;
    va_start(a, format);
    int n = vsnprintf(t->said->topic, sizeof(t->said->topic), format, a);
    va_end(a);
    ASSERT(n > 0 && (size_t)n < sizeof(t->said->topic));
    t->said->topic_len = (size_t)n;
}

void say(struct turn *t, const char *format, ...)
{
    va_list a;
    va_start(a, format);
    int n = vsnprintf(t->at, room(t), format, a);
    va_end(a);
    ASSERT(n >= 0 && (size_t)n < room(t));
    t->at += n;
}

void say_bytes(struct turn *t, const void *p, size_t n)
{
    ASSERT(n < room(t));
    memcpy(t->at, p, n);
    t->at += n;
}

void say_time_as(struct turn *t, const char *pattern, int hours)
{
    time_t at = t->ts / 1000 + (time_t)hours * 3600;
    struct tm tm;
    gmtime_r(&at, &tm);
    for (const char *p = pattern; *p; p++) {
        if (*p == 'Y')
            say(t, "%04d", tm.tm_year + 1900);
        else if (strchr("mdHMS", *p))
            say(t, "%02d",
                *p == 'm'   ? tm.tm_mon + 1
                : *p == 'd' ? tm.tm_mday
                : *p == 'H' ? tm.tm_hour
                : *p == 'M' ? tm.tm_min
                            : tm.tm_sec);
        else
            say(t, "%c", *p);
    }
}

void say_time(struct turn *t)
{
    say_time_as(t, "Y-m-dTH:M:S", 0);
    say(t, ".%03dZ", (int)(t->ts % 1000));
}

static void comma(struct buf *b, char open)
{
    if (b->len > 0 && b->data[b->len - 1] != open)
        (void)buf_puts(b, ",");
}

void truth_sample(struct turn *t, int64_t resolution)
{
    static const char *const clocks[] = {"good", "ahead", "behind", "never_set", "far"};
    struct buf *b = &t->speak->body;
    bool told = resolution > 0 && (t->clock == CLOCK_GOOD || t->clock == CLOCK_BEHIND);
    comma(b, '[');
    (void)buf_printf(b,
                     "{\"device\":\"%s\",\"kind\":\"%s\",\"compound\":\"%s\",\"ts\":", t->code,
                     t->kind->name, t->home);
    if (told)
        (void)buf_printf(b, "%lld", (long long)(t->ts - t->ts % resolution));
    else
        (void)buf_puts(b, "null");
    (void)buf_printf(b, ",\"clock\":\"%s\",\"values\":{", clocks[resolution ? t->clock : 0]);
    t->speak->untimed |= !told;
}

void truth_end(struct turn *t)
{
    (void)buf_puts(&t->speak->body, "}}");
}

static void truth_value(struct turn *t, const char *metric, const char *text, enum odd odd)
{
    static const char *const why[] = {"", "range", "sentinel", "type"};
    struct buf *b = &t->speak->body;
    comma(b, '{');
    if (odd)
        (void)buf_printf(b, "\"%s\":[%s,\"%s\"]", metric, text, why[odd]);
    else
        (void)buf_printf(b, "\"%s\":%s", metric, text);
}

void truth_number(struct turn *t, const char *metric, double v, int decimals, enum odd odd)
{
    char text[40];
    *text_fixed(text, v, decimals) = 0;
    truth_value(t, metric, odd == ODD_TYPE ? "\"ERR\"" : text, odd);
}

void truth_bool(struct turn *t, const char *metric, bool v)
{
    truth_value(t, metric, v ? "true" : "false", ODD_NOT);
}

void truth_text(struct turn *t, const char *metric, const char *v)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "\"%s\"", v);
    truth_value(t, metric, text, ODD_NOT);
}

double odd_or(struct turn *t, const char *metric, double v, enum odd *out)
{
    *out = ODD_NOT;
    for (size_t i = 0; t->odd && i < sizeof(odd_values) / sizeof(*odd_values); i++) {
        if (strcmp(odd_values[i].metric, metric) != 0)
            continue;
        bool sentinel = t->odd == ODD_SENTINEL && !isnan(odd_values[i].nothing);
        *out = t->odd == ODD_TYPE ? ODD_TYPE : sentinel ? ODD_SENTINEL : ODD_RANGE;
        t->odd = ODD_NOT;
        return sentinel ? odd_values[i].nothing : odd_values[i].beyond;
    }
    return v;
}

size_t metric_at(const struct turn *t, const char *name)
{
    size_t i = 0;
    while (strcmp(t->kind->metrics[i].name, name) != 0)
        ASSERT(++i < *t->kind->n_metrics);
    return i;
}

void tell_one(struct turn *t, size_t i, const struct word *words)
{
    const struct fleet_metric *m = &t->kind->metrics[i];
    const char *key = m->name;
    double scale = 1, v = t->v[i];
    enum odd odd = ODD_NOT;
    for (; words && words->metric; words++) {
        if (strcmp(words->metric, m->name) != 0)
            continue;
        key = words->key;
        scale = words->scale != 0.0 ? words->scale : 1;
    }
    if (!key || isnan(v))
        return;
    say(t, t->at[-1] == '{' ? "\"%s\":" : ",\"%s\":", key);
    if (m->type == FLEET_BOOL) {
        say(t, v != 0 ? "true" : "false");
        truth_bool(t, m->name, v != 0);
        return;
    }
    if (m->type == FLEET_TEXT) {
        say(t, "\"%s\"", m->texts[(int)v]);
        truth_text(t, m->name, m->texts[(int)v]);
        return;
    }
    v = odd_or(t, m->name, v, &odd);
    truth_number(t, m->name, v, m->decimals, odd);
    if (odd == ODD_TYPE)
        say(t, "\"ERR\"");
    else if (scale == 1.0)
        t->at = text_fixed(t->at, v, m->decimals);
    else /* of the rounded value: a thousandth of MPa is a kPa */
        t->at = text_int(t->at, llround(v * scale));
}

void tell_all(struct turn *t, const struct word *words)
{
    for (size_t i = 0; i < *t->kind->n_metrics; i++)
        tell_one(t, i, words);
}

/* -- truth of messages ----------------------------------------------------------------------- */

static void put_truth(struct speak *s, struct said *m, enum family family, const char *what,
                      const char *must, const char *reason, const struct buf *body)
{
    struct buf *b = &m->truth;
    buf_clear(b);
    (void)buf_printf(b, "{\"n\":%llu,\"family\":\"%s\",\"what\":\"%s\",\"must\":\"%s\"",
                     (unsigned long long)s->n++, families[family].name, what, must);
    if (reason)
        (void)buf_printf(b, ",\"reason\":\"%s\"", reason);
    (void)buf_printf(b, ",\"topic\":\"%.*s\",\"points_known\":%s,\"samples\":[",
                     (int)m->topic_len, m->topic,
                     families[family].knows_repeat ? "false" : "true");
    if (body)
        (void)buf_put(b, body->data, body->len);
    (void)buf_puts(b, "]}");
    ASSERT(!b->failed);
}

void say_ignored(struct turn *t, const char *reason)
{
    t->said->len = (size_t)(t->at - t->said->payload);
    put_truth(t->speak, t->said, speak_family(t->speak, t->device), "no_data", "ignored",
              reason, NULL);
}

/* -- turns ----------------------------------------------------------------------------------- */

static void set_clock(struct turn *t)
{
    const struct speak *s = t->speak;
    uint64_t u = steady(s, 4, t->device), hours = 1 + steady(s, 5, t->device) % 12;
    /* seldom enough that no two of its samples are of one receipt */
    if (t->kind->interval_s < 30 || (double)(u % 10000) >= s->o.clocks * 100)
        return;
    t->clock = (enum clock)(1 + u / 10000 % 4);
    switch (t->clock) {
    case CLOCK_AHEAD:
        t->ts += (int64_t)hours * HOUR_MS;
        break;
    case CLOCK_BEHIND:
        t->ts -= (int64_t)hours * HOUR_MS;
        break;
    case CLOCK_NEVER_SET: /* the first of January 1970 */
        t->ts %= DAY_MS;
        break;
    case CLOCK_FAR:
        t->ts += (int64_t)(400 + 100 * hours) * DAY_MS;
        break;
    case CLOCK_GOOD:
        break;
    }
}

static bool chance(struct turn *t, double percent)
{
    return percent > 0 && (double)turn_draw(t, 10000) < percent * 100;
}

static void turn_begin(struct speak *s, const struct fleet_sample *sample, struct said *out,
                       struct turn *t)
{
    const struct device_state *d = fleet_device(s->fleet, sample->device);
    *t = (struct turn){.speak = s,
                       .kind = &fleet_kinds[d->kind],
                       .device = sample->device,
                       .seq = sample->seq,
                       .ts = sample->ts,
                       .v = sample->v,
                       .said = out,
                       .at = out->payload};
    uint32_t key[2] = {sample->device, sample->seq};
    t->draw = hash64(s->seed ^ 0x7475726e, key, sizeof(key));
    t->code[fleet_device_code(s->fleet, sample->device, t->code)] = 0;
    t->home[fleet_compound_code(s->fleet, d->compound, t->home)] = 0;
    memcpy(t->compound, t->home, sizeof(t->home));
    put_id(s, sample->device, false, t->id);
    set_clock(t);
    if (chance(t, s->o.odd))
        t->odd = (enum odd)(1 + turn_draw(t, 3));
    out->device = sample->device;
    out->len = 0;
    buf_clear(&s->body);
    s->untimed = false;
}

static void copy_buf(struct buf *to, const struct buf *from)
{
    buf_clear(to);
    (void)buf_put(to, from->data, from->len);
}

static void copy_said(struct said *to, const struct said *from)
{
    memcpy(to->topic, from->topic, from->topic_len);
    memcpy(to->payload, from->payload, from->len);
    to->topic_len = from->topic_len;
    to->len = from->len;
    to->device = from->device;
}

/* Breaks the payload in the way that the family must notice. */
static void spoil(struct said *m, enum family f)
{
    if (f == FAMILY_SPARKPLUG) {
        memcpy(m->payload, "\x12\xff\xff\x01", 4); /* a metric longer than the message */
        m->len = 4;
    } else if (strcmp(families[f].cut, "bad_checksum") == 0) {
        char *digit = m->payload + m->len / 2;
        while (*digit < '0' || *digit > '9')
            digit++;
        *digit = *digit == '9' ? '8' : (char)(*digit + 1);
    } else {
        m->len /= 2;
    }
}

static void finish(struct turn *t, enum family f, const char *what, bool spoiled)
{
    struct speak *s = t->speak;
    if (spoiled) {
        spoil(t->said, f);
        put_truth(s, t->said, f, "malformed", "dead", families[f].cut, NULL);
        return;
    }
    put_truth(s, t->said, f, what, "decoded", NULL, &s->body);
    bool known = families[f].has_id || families[f].knows_repeat || !s->untimed;
    if (known && chance(t, s->o.repeats)) {
        copy_said(&s->again, t->said);
        copy_buf(&s->again_body, &s->body);
        s->again_family = f;
        s->pending = true;
    }
}

/* A child of the gateway under way. True: the message is full. */
static bool group(struct turn *t, struct said *out)
{
    struct speak *s = t->speak;
    for (unsigned i = 0; i < s->grouped; i++)
        ASSERT(s->group_of[i] != t->device || s->grouped < GROUP);
    t->said = &s->group;
    t->at = s->group.payload + s->group.len;
    thingsboard_child(t, s->grouped == 0);
    s->group.len = (size_t)(t->at - s->group.payload);
    comma(&s->group_body, '[');
    (void)buf_put(&s->group_body, s->body.data, s->body.len);
    s->group_of[s->grouped++] = s->group.device = t->device;
    s->group_untimed |= s->untimed;
    if (s->grouped < GROUP)
        return false;
    s->group.payload[s->group.len++] = '}';
    copy_said(out, &s->group);
    copy_buf(&s->body, &s->group_body);
    s->untimed = s->group_untimed;
    s->grouped = 0;
    s->group.len = 0;
    s->group_untimed = false;
    buf_clear(&s->group_body);
    t->said = out;
    return true;
}

static bool in_group(const struct speak *s, uint32_t device)
{
    for (unsigned i = 0; i < s->grouped; i++)
        if (s->group_of[i] == device)
            return true;
    return false;
}

/* False: nothing is said yet. */
static bool take_turn(struct turn *t, enum family f, struct said *out)
{
    struct speak *s = t->speak;
    bool many = f == FAMILY_THINGSBOARD;
    const char *reason = NULL;
    if (chance(t, s->o.no_data) && families[f].no_data(t))
        return true;
    bool spoiled = chance(t, s->o.malformed);
    if (f == FAMILY_SPARKPLUG && spoiled && !s->born[t->device])
        spoiled = false;
    if (f == FAMILY_SPARKPLUG && spoiled) { /* it must not use a sequence number up */
        say_topic(t, "spBv1.0/yard/NDATA/%s", t->code);
        finish(t, f, "data", true);
        return true;
    }
    if (many) {
        if (in_group(s, t->device) || !group(t, out))
            return false;
        finish(t, f, "data", spoiled);
        return true;
    }
    if (!spoiled && f != FAMILY_SPARKPLUG && chance(t, s->o.strangers)) {
        t->id[put_id(s, t->device, true, t->id)] = 0;
        reason = "unknown_device";
    } else if (!spoiled && families[f].topic_is_home && s->o.compounds > 1 &&
               chance(t, s->o.elsewhere)) {
        uint32_t c = fleet_device(s->fleet, t->device)->compound;
        t->compound[fleet_compound_code(s->fleet, (c + 1) % s->o.compounds, t->compound)] = 0;
        reason = "other_compound";
    }
    bool birth = f == FAMILY_SPARKPLUG && !s->born[t->device];
    families[f].data(t);
    out->len = (size_t)(t->at - out->payload);
    if (reason)
        put_truth(s, out, f, reason[0] == 'u' ? "stranger" : "elsewhere", "quarantined", reason,
                  NULL);
    else
        finish(t, f, birth ? "birth" : "data", spoiled);
    return true;
}

void speak_next(struct speak *s, int64_t ts_ms, struct said *out)
{
    if (s->pending) {
        s->pending = false;
        copy_said(out, &s->again);
        put_truth(s, out, s->again_family, "repeat", "duplicate", NULL, &s->again_body);
        return;
    }
    for (;;) {
        struct fleet_sample sample;
        struct turn t;
        fleet_next_sample(s->fleet, ts_ms, &sample);
        turn_begin(s, &sample, out, &t);
        if (take_turn(&t, speak_family(s, sample.device), out))
            return;
    }
}
