/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A case as JSON (gaihou-mqtt(7), docs/schemas/state.json), and in one sentence for people.
 */
#include "core/cases_private.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"

#include <math.h>
#include <stdlib.h>

#define SUMMARY_MAX 4096

/* What our own alarms are called. */
static const struct own {
    const char *rule, *class_, *title_zh, *title_en, *action_zh, *action_en;
} owns[] = {
    {"gaihou-firm-absent", "listening", "物业公司收不到告警", "A firm does not listen",
     "联系物业公司，检查其系统与网络；期间用电话通知",
     "Call the firm; have its system and network checked; tell it by telephone meanwhile"},
    {"gaihou-clock", "clock", "网关时钟可疑", "The gateway's clock is in doubt",
     "检查网关的时间同步（chrony/NTP）",
     "Check the gateway's time synchronisation (chrony, NTP)"},
    {"gaihou-delivery", "delivery", "告警无法送达", "Alarms cannot be delivered",
     "检查告警所用的 MQTT 服务器与网络；期间用电话通知",
     "Check the alarm broker and the network; tell people by telephone meanwhile"},
};

static const struct own *own_of(const struct case_open *o)
{
    static const struct own other = {"", "own", "网关告警", "Gateway alarm", "", ""};
    for (size_t i = 0; i < sizeof(owns) / sizeof(owns[0]); i++)
        if (strcmp(owns[i].rule, o->rule) == 0)
            return &owns[i];
    return &other;
}

static bool zh(const struct cases *c)
{
    return strcmp(c->world->conf->gateway.language, "en") != 0;
}

static const char *title(const struct case_open *o, bool chinese)
{
    if (o->own)
        return chinese ? own_of(o)->title_zh : own_of(o)->title_en;
    if (!o->r)
        return o->rule;
    const char *t =
        !chinese && o->r->title_en && o->r->title_en[0] ? o->r->title_en : o->r->title_zh;
    return t && t[0] ? t : o->rule;
}

static const char *action(const struct case_open *o, bool chinese)
{
    if (o->own)
        return chinese ? own_of(o)->action_zh : own_of(o)->action_en;
    if (!o->r)
        return "";
    const char *t =
        !chinese && o->r->action_en && o->r->action_en[0] ? o->r->action_en : o->r->action_zh;
    return t ? t : "";
}

static const struct metric *metric_of(const struct case_open *o)
{
    for (size_t i = 0; o->metric && o->d && i < o->d->kind->n_metrics; i++)
        if (strcmp(o->d->kind->metrics[i].name, o->metric) == 0)
            return &o->d->kind->metrics[i];
    return NULL;
}

/* -- the sentence ---------------------------------------------------------------------------- */

static bool digits(const char *s)
{
    return s[0] && strspn(s, "0123456789") == strlen(s);
}

static void put_place(const struct cases *c, const struct case_open *o, struct buf *b)
{
    const struct compound *k =
        registry_compound(c->world->registry, o->compound, strlen(o->compound));
    const struct device *d = o->d;
    bool cn = zh(c);
    (void)buf_puts(b, k && k->name[0] ? k->name : o->compound);
    if (d && d->building[0])
        (void)buf_printf(b,
                         cn && digits(d->building) ? " %s号楼"
                         : cn                      ? " %s"
                                                   : " building %s",
                         d->building);
    if (d && d->unit[0])
        (void)buf_printf(b,
                         cn && digits(d->unit) ? "%s单元"
                         : cn                  ? " %s"
                                               : " unit %s",
                         d->unit);
    if (d && d->room[0])
        (void)buf_printf(b, cn && digits(d->room) ? "%s室" : cn ? " %s" : " room %s", d->room);
    if (o->point[0])
        (void)buf_printf(b, cn ? " 测点 %s" : " point %s", o->point);
    (void)buf_puts(b, cn ? " " : ": ");
}

/* As people read it: no digits that only the arithmetic made. */
static void put_number(struct buf *b, double v)
{
    char text[NUM_MAX];
    if (fabs(v) >= 0.01 && fabs(v) < 1e9)
        v = round(v * 1e4) / 1e4;
    (void)buf_put(b, text, num_put_double(text, v));
}

static const char *unit_word(const char *unit)
{
    static const char *const words[][2] = {
        {"Cel", "°C"}, {"m3", "m³"},       {"m3/h", "m³/h"}, {"ug/m3", "µg/m³"},
        {"1", ""},     {"%{LEL}", "%LEL"}, {"deg", "°"},     {"mg/m3", "mg/m³"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i][0], unit) == 0)
            return words[i][1];
    return unit;
}

static void put_value(struct buf *b, const struct metric *m, double v, bool cn)
{
    const struct metric_code *code = NULL;
    if (m->type == METRIC_BOOL) {
        (void)buf_puts(b, cn ? (v != 0 ? "是" : "否") : (v != 0 ? "yes" : "no"));
        return;
    }
    if (m->type == METRIC_ENUM && fabs(v) < 1e15)
        code = metric_code_by_number(m, (int64_t)v);
    if (code) {
        const char *word = cn ? code->title_zh : code->title_en;
        (void)buf_puts(b, word && word[0] ? word : code->name);
        return;
    }
    put_number(b, v);
    const char *unit = unit_word(m->unit);
    if (unit[0])
        (void)buf_printf(b, strcmp(unit, "%") == 0 || strcmp(unit, "°") == 0 ? "%s" : " %s",
                         unit);
}

static void put_reading(const struct case_open *o, bool cn, struct buf *b)
{
    const struct metric *m = metric_of(o);
    if (!m || !isfinite(o->value) || o->no_data)
        return;
    const char *name = cn ? m->title_zh : m->title_en;
    name = name && name[0] ? name : m->name;
    if (m->type == METRIC_BOOL) { /* nobody says "gas alarm yes" */
        (void)buf_printf(b, cn ? "（%s：" : " (%s: ", name);
        put_value(b, m, o->value, cn);
        (void)buf_puts(b, cn ? "）" : ")");
        return;
    }
    (void)buf_puts(b, cn ? "：" : ": ");
    (void)buf_printf(b, "%s ", name);
    put_value(b, m, o->value, cn);
    if (isfinite(o->limit) && cases_holds(o)) {
        (void)buf_puts(b, cn ? "（限值 " : " (limit ");
        put_value(b, m, o->limit, cn);
        (void)buf_puts(b, cn ? "）" : ")");
    }
}

static void put_state(const struct cases *c, const struct case_open *o, struct buf *b)
{
    bool cn = zh(c);
    if (o->no_data && (!o->r || o->r->n_levels > 0))
        (void)buf_puts(b, cn ? "：设备无数据" : ": no data");
    if (o->condition == ALARM_NORMAL)
        (void)buf_puts(b, cn ? " 已恢复" : " is over");
    put_reading(o, cn, b);
    if (o->members > 0)
        (void)buf_printf(b,
                         cn ? "（其下 %u 台设备无数据）" : " (%u devices behind it are silent)",
                         o->members);
    if (cases_holds(o) && !o->no_data && o->quality != ALARM_GOOD)
        (void)buf_puts(b, cn ? "（数据中断，状态未知）"
                             : " (no data since: present state unknown)");
    if (o->masks & MASK_FLAPPING)
        (void)buf_puts(b, cn ? "（反复波动）" : " (flapping)");
}

static void put_summary(const struct cases *c, const struct case_open *o, struct jsonw *w)
{
    struct buf b;
    buf_init(&b, SUMMARY_MAX);
    if (o->masks & MASK_TEST)
        (void)buf_puts(&b, zh(c) ? "【测试】" : "[TEST] ");
    if (o->own) {
        (void)buf_puts(&b, o->summary ? o->summary : title(o, zh(c)));
        if (!cases_holds(o))
            (void)buf_puts(&b, zh(c) ? "（已恢复）" : " (over)");
    } else {
        put_place(c, o, &b);
        (void)buf_puts(&b, title(o, zh(c)));
        put_state(c, o, &b);
    }
    jsonw_strn(w, "summary", b.data ? b.data : "", b.len);
    buf_done(&b);
}

/* -- the state ------------------------------------------------------------------------------- */

static const char *condition_name(enum alarm_condition k)
{
    static const char *const names[] = {"normal", "pending", "active", "recovering"};
    return names[k];
}

static const char *quality_name(enum alarm_quality q)
{
    static const char *const names[] = {"good", "stale", "bad", "unknown"};
    return names[q];
}

void cases_time(const struct cases *c, struct jsonw *w, const char *key, int64_t ms)
{
    char text[STAMP_SIZE];
    if (ms == 0) {
        jsonw_null(w, key);
        return;
    }
    stamp_format(text, ms, zone_offset_at(c->world->zone, ms));
    jsonw_str(w, key, text);
}

static void put_step(const struct cases *c, struct jsonw *w, const char *key,
                     const struct case_step *s)
{
    jsonw_object(w, key);
    cases_time(c, w, "at", s->ms);
    jsonw_str(w, "by", s->by);
    if (s->note)
        jsonw_str(w, "note", s->note);
    if (s->photo)
        jsonw_str(w, "photo", s->photo);
    if (s->to)
        jsonw_str(w, "to", s->to);
    jsonw_end_object(w);
}

static void put_work(const struct cases *c, const struct case_open *o, struct jsonw *w)
{
    if (o->ack.ms)
        put_step(c, w, "ack", &o->ack);
    else
        jsonw_null(w, "ack");
    jsonw_str(w, "work", case_work_name(o->work));
    jsonw_object(w, "steps");
    for (int i = 0; i < CASES_WORK_N; i++)
        if (o->steps[i].ms)
            put_step(c, w, case_work_name((enum case_work)i), &o->steps[i]);
    jsonw_end_object(w);
    jsonw_u64(w, "rework", o->rework);
    if (o->same_person)
        jsonw_bool(w, "same_person", true);
}

static void put_masks(const struct cases *c, const struct case_open *o, struct jsonw *w)
{
    static const char *const words[] = {"shelved", "flapping", "inhibited", "test"};
    jsonw_array(w, "masked");
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (o->masks & 1u << i)
            jsonw_str(w, NULL, words[i]);
    jsonw_end_array(w);
    if (o->masks & MASK_SHELVED)
        cases_time(c, w, "shelved_until", o->one_shot ? 0 : o->shelved_until_ms);
}

static void put_text(struct jsonw *w, const char *key, const char *s)
{
    jsonw_str(w, key, s && s[0] ? s : NULL);
}

static void put_where(const struct cases *c, const struct case_open *o, struct jsonw *w)
{
    const struct compound *k =
        registry_compound(c->world->registry, o->compound, strlen(o->compound));
    const struct device *d = o->d;
    jsonw_str(w, "firm", o->firm);
    jsonw_str(w, "compound", o->compound);
    jsonw_str(w, "compound_name", k && k->name[0] ? k->name : o->compound);
    jsonw_object(w, "place");
    put_text(w, "district", k ? k->district : NULL);
    put_text(w, "street", k ? k->street : NULL);
    put_text(w, "community", k ? k->community : NULL);
    put_text(w, "grid", k ? k->grid : NULL);
    put_text(w, "building", d ? d->building : NULL);
    put_text(w, "unit", d ? d->unit : NULL);
    put_text(w, "room", d ? d->room : NULL);
    jsonw_end_object(w);
    jsonw_str(w, "device", o->device);
    jsonw_str(w, "point", o->point);
    jsonw_str(w, "kind", o->own ? "gateway" : d ? d->kind->name : NULL);
}

static void put_measure(struct jsonw *w, const char *key, const struct metric *m, double v)
{
    const struct metric_code *code = NULL;
    if (!m || !isfinite(v)) {
        jsonw_null(w, key);
        return;
    }
    if (m->type == METRIC_ENUM && fabs(v) < 1e15)
        code = metric_code_by_number(m, (int64_t)v);
    if (m->type == METRIC_BOOL)
        jsonw_bool(w, key, v != 0);
    else if (code)
        jsonw_str(w, key, code->name);
    else
        jsonw_double(w, key, v);
}

static void put_measured(const struct case_open *o, struct jsonw *w)
{
    const struct metric *m = metric_of(o);
    jsonw_str(w, "metric", m ? m->name : o->metric);
    put_measure(w, "value", m, o->value);
    jsonw_str(w, "unit", m ? m->unit : NULL);
    put_measure(w, "limit", m, o->limit);
}

static void put_cause(const struct cases *c, enum case_change change,
                      const struct case_cause *why, struct jsonw *w)
{
    if (change == CASE_CHANGE_N)
        return;
    jsonw_str(w, "change", case_change_name(change));
    cases_time(c, w, "at", why->wall_ms);
    jsonw_str(w, "by", why->by);
    jsonw_str(w, "note", why->note);
    if (why->photo)
        jsonw_str(w, "photo", why->photo);
    if (why->reason)
        jsonw_str(w, "reason", why->reason);
    if (why->to)
        jsonw_str(w, "to", why->to);
    if (why->was_firm) {
        jsonw_object(w, "was");
        jsonw_str(w, "firm", why->was_firm);
        jsonw_str(w, "compound", why->was_compound);
        jsonw_end_object(w);
    }
}

static void put_texts(const struct cases *c, const struct case_open *o, struct jsonw *w)
{
    jsonw_str(w, "action", action(o, zh(c)));
    if (zh(c)) {
        jsonw_str(w, "title_en", title(o, false));
        jsonw_str(w, "action_en", action(o, false));
    }
    put_summary(c, o, w);
}

static void put_state_fields(const struct cases *c, const struct case_open *o, struct jsonw *w)
{
    jsonw_str(w, "rule", o->rule);
    jsonw_str(w, "title", title(o, zh(c)));
    jsonw_str(w, "severity", severity_name(o->severity));
    jsonw_str(w, "class", o->own ? own_of(o)->class_ : o->r ? o->r->class_ : "general");
    jsonw_str(w, "condition", condition_name(o->condition));
    jsonw_str(w, "quality", quality_name(o->quality));
    jsonw_bool(w, "no_data", o->no_data);
    jsonw_bool(w, "latched", o->latched);
    jsonw_bool(w, "life_safety", o->life_safety);
    put_work(c, o, w);
    put_masks(c, o, w);
    put_where(c, o, w);
    put_measured(o, w);
    if (o->members > 0)
        jsonw_u64(w, "members", o->members);
    cases_time(c, w, "since", o->since_ms);
    cases_time(c, w, "discovered", o->discovered_ms);
    cases_time(c, w, "cleared", o->cleared_ms);
    jsonw_bool(w, "late", o->late);
    jsonw_bool(w, "test", o->masks & MASK_TEST);
    if (o->masks & MASK_TEST) {
        const struct case_shelf *s = cases_in_test(c, o);
        jsonw_str(w, "tester", s ? s->by : NULL);
    }
}

size_t cases_render(const struct cases *c, const struct case_open *o, enum case_change change,
                    const struct case_cause *why, bool deliver, bool closes, struct buf *out)
{
    struct jsonw w;
    size_t seq_at = 0;
    char *occurrence = mem_printf("%s-%u", o->id, o->occurrence);
    jsonw_init(&w, out);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "v", 1);
    jsonw_str(&w, "stream", c->stream);
    jsonw_str(&w, "case", o->id);
    jsonw_str(&w, "occurrence", occurrence);
    jsonw_u64(&w, "count", o->occurrence);
    if (deliver) {
        jsonw_u64(&w, "seq", 0);
        seq_at = out->len -= out->len > 0; /* the number is the store's to write */
    }
    jsonw_u64(&w, "version", o->version);
    put_cause(c, change, why, &w);
    put_state_fields(c, o, &w);
    jsonw_bool(&w, "open", !closes && !why->record);
    if (why->record)
        jsonw_bool(&w, "record", true);
    put_texts(c, o, &w);
    jsonw_end_object(&w);
    free(occurrence);
    return seq_at;
}
