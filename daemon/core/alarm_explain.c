/* SPDX-License-Identifier: Apache-2.0 */
/* An instance in the words of its rule: what was said, what follows, which clocks run. */
#include "base/jsonw.h"
#include "core/alarm_private.h"

#include <errno.h>
#include <math.h>

static const char *const conditions[] = {"normal", "pending", "active", "recovering"};
static const char *const qualities[] = {"good", "stale", "bad", "unknown"};
static const char *const runs[] = {"idle", "running", "paused"};

static void put_when(struct jsonw *j, const struct alarm *a, const char *key, uint64_t ns)
{
    if (ns == 0 || ns == NEVER)
        jsonw_null(j, key);
    else
        jsonw_i64(j, key, alarm_wall(a, ns));
}

static void put_seconds(struct jsonw *j, const char *key, uint64_t ns)
{
    jsonw_double(j, key, (double)(ns / MS_NS) / 1e3);
}

static void put_values(struct jsonw *j, const struct alarm *a, const struct whom *w,
                       const struct plan_rule *r)
{
    jsonw_array(j, "values");
    for (unsigned i = 0; i < w->plan->n_slots; i++) {
        const struct expr_last *v = &w->series->last[i];
        if (!(r->mask >> i & 1))
            continue;
        jsonw_object(j, NULL);
        jsonw_str(j, "metric", w->plan->metrics[i]->name);
        jsonw_str(j, "unit", w->plan->metrics[i]->unit);
        jsonw_double(j, "value", v->v);
        put_when(j, a, "at", v->at_ns);
        jsonw_end_object(j);
    }
    jsonw_end_array(j);
}

static void put_parts(struct jsonw *j, struct alarm *a, const char *key, const struct whom *w,
                      const struct plan_expr *x, struct expr_state *s, struct expr_env *env)
{
    struct buf text;
    buf_init(&text, 16384);
    eval_aim(a, w, x, false, env);
    if (expr_explain(x->x, s, env, &text) == 0)
        jsonw_strn(j, key, text.data, text.len);
    buf_done(&text);
}

static void put_level(struct jsonw *j, struct alarm *a, const struct whom *w,
                      const struct plan_rule *r, const struct act *t, size_t l,
                      struct expr_env *env)
{
    const struct rule_level *level = &r->levels[l];
    const struct delay *d = t ? &t->delays[l] : &(const struct delay){0};
    bool above = !t || (int)l > t->level;
    jsonw_object(j, NULL);
    jsonw_str(j, "severity", severity_name(level->severity));
    jsonw_str(j, "when", level->on_text);
    put_parts(j, a, "when_is", w, &r->on[l], act_windows(t, l, false), env);
    if (r->off[l].x) {
        jsonw_str(j, "off", level->off_text);
        put_parts(j, a, "off_is", w, &r->off[l], act_windows(t, l, true), env);
    }
    jsonw_str(j, "delay_of", above ? "begin" : "end");
    jsonw_str(j, "delay", runs[d->run]);
    put_seconds(j, "delay_s", above ? level->for_ns : level->off_for_ns);
    put_seconds(j, "delay_done_s", d->done_ns);
    jsonw_end_object(j);
}

int alarm_explain(const struct alarm *a, const struct rule *r, const struct device *d,
                  const char *point, struct buf *out)
{
    struct alarm *x = (struct alarm *)(uintptr_t)a; /* only its scratch is written */
    struct alarm_event e;
    struct jsonw j;
    struct expr_env env;
    if (!alarm_look(a, r, d, point, &e))
        return -ENOENT;
    struct whom w = gen_whom(&x->g, d->index, 0);
    unsigned pos = plan_find(w.plan, r);
    w.series = gen_series(&x->g, d, point, false);
    const struct plan_rule *p = &w.plan->rules[pos];
    const struct seat *seat = &seats_of(w.plan, w.series)[pos];
    const struct act *t = seat->act ? act_at(a, seat->act) : NULL;
    eval_env(x, &w, r, a->now_ns, alarm_wall(a, a->now_ns), &env);
    jsonw_init(&j, out);
    jsonw_object(&j, NULL);
    jsonw_str(&j, "rule", r->id);
    jsonw_str(&j, "device", d->code);
    jsonw_str(&j, "point", e.point);
    jsonw_str(&j, "condition", conditions[e.condition]);
    jsonw_str(&j, "quality", qualities[e.quality]);
    jsonw_str(&j, "severity",
              e.condition == ALARM_ACTIVE || e.condition == ALARM_RECOVERING
                  ? severity_name(e.severity)
                  : NULL);
    jsonw_bool(&j, "no_data", t && t->silent);
    jsonw_bool(&j, "flapping", e.flapping);
    jsonw_bool(&j, "inhibited", e.inhibited);
    jsonw_bool(&j, "in_force", a->g.rules[r->index].in_force);
    jsonw_str(&j, "mode", r->mode == RULE_HOLD ? "hold" : "samples");
    put_when(&j, a, "known_since", w.dev->since_ns);
    put_when(&j, a, "last_sign_of_life", w.dev->alive_ns);
    put_when(&j, a, "newest_sample", w.series->newest_ns);
    put_when(&j, a, "next_look", t ? t->queued : 0);
    put_seconds(&j, "silent_after_s", silence_ns(r, d));
    put_values(&j, a, &w, p);
    jsonw_array(&j, "levels");
    for (size_t l = 0; p->levels && l < r->n_levels; l++)
        put_level(&j, x, &w, p, t, l, &env);
    jsonw_end_array(&j);
    jsonw_end_object(&j);
    return out->failed ? -ENOBUFS : 0;
}
