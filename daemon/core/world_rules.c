/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules and the other files of a generation ask of each other.
 */
#include "base/mem.h"
#include "core/world_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- opening ------------------------------------------------------------------------------ */

struct
    usual { /* a majority vote (Boyer and Moore): the interval that most devices have, if any */
    uint32_t interval;
    uint64_t votes;
};

static uint32_t expected(void *ctx, const struct kind *k)
{
    return ((const struct usual *)ctx)[k->index].interval;
}

static void vote(const struct registry *r, struct usual *u)
{
    for (size_t i = 0; r && i < registry_devices(r); i++) {
        const struct device *d = registry_device_at(r, i);
        struct usual *v = &u[d->kind->index];
        if (d->retired || !d->expected_interval_s)
            continue;
        if (v->votes == 0)
            v->interval = d->expected_interval_s;
        v->votes = v->interval == d->expected_interval_s ? v->votes + 1 : v->votes - 1;
    }
}

void world_open_rules(struct world *w, const struct world_unbundled *u,
                      struct problems *problems)
{
    struct usual *usual = mem_zalloc_array(catalog_kinds(w->catalog), sizeof(*usual));
    struct rules_text *texts = mem_zalloc_array(u->n_rules, sizeof(*texts));
    for (size_t i = 0; i < u->n_rules; i++)
        texts[i] = (struct rules_text){u->rules[i].file, u->rules[i].text, u->rules[i].len};
    if (u->n_rules)
        vote(w->registry, usual);
    (void)rules_parse(texts, u->n_rules, w->catalog, expected, usual, problems, &w->rules);
    free(texts);
    free(usual);
}

/* -- checks ------------------------------------------------------------------------------- */

/* Alarms need a device's messages in one place, and them to come in. */
static void check_conf(const struct world *w, struct problems *problems)
{
    const struct conf *c = w->conf;
    for (size_t i = 0; i < c->n_brokers; i++) {
        if (c->brokers[i].share_group)
            problems_add(
                problems, c->file, c->brokers[i].line, 0,
                "brokers.share_group: refused where rules are loaded, for a device must "
                "stay with its alarms' state, expected topics split between gateways");
    }
    for (size_t i = 0; i < c->n_sinks; i++) {
        if (c->sinks[i].on_full == CONF_PAUSE && !c->sinks[i].alarms_may_stop)
            problems_add(problems, c->file, c->sinks[i].line, 0,
                         "sinks.on_full: pause would stop the alarms of the rules that are "
                         "loaded, expected shed, or alarms_may_stop: true beside it");
    }
    if (!c->alerts.broker)
        problems_warn(problems, c->file, 0, 0,
                      "alerts.broker is missing: the alarms of %zu rules are told to nobody",
                      rules_count(w->rules));
}

static bool names(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0)
            return true;
    }
    return n == 0;
}

/* Not asked of the points: which there are is seen from messages only. */
static bool concerns(const struct world *w, const struct rule *x, const struct device *d)
{
    const struct compound *now = registry_compound_now(w->registry, d->compound);
    return !d->retired && names(x->firms, x->n_firms, now->firm) &&
           names(x->tiers, x->n_tiers, now->tier) &&
           (names(x->compounds, x->n_compounds, d->compound->code) ||
            names(x->compounds, x->n_compounds, now->code));
}

static void check_only(const struct world *w, const struct rule *x, struct problems *problems)
{
    for (size_t i = 0; i < x->n_compounds; i++) {
        const char *code = x->compounds[i];
        if (!registry_compound(w->registry, code, strlen(code)))
            problems_warn(problems, x->file, x->line, 0, "rule %s: there is no compound \"%s\"",
                          x->id, code);
    }
    for (size_t i = 0; i < x->n_firms; i++) {
        bool found = false;
        for (size_t k = 0; k < registry_compounds(w->registry) && !found; k++)
            found = strcmp(registry_compound_at(w->registry, k)->firm, x->firms[i]) == 0;
        if (!found)
            problems_warn(problems, x->file, x->line, 0,
                          "rule %s: no compound has the firm \"%s\"", x->id, x->firms[i]);
    }
}

static void check_params(const struct world *w, const struct rule *x, const struct device *d,
                         struct problems *problems)
{
    for (size_t i = 0; i < x->n_params; i++) {
        const struct rule_param *p = &x->param_ranges[i];
        double v;
        if (registry_param(w->registry, d, x->params[i].name, &v) && (v < p->min || v > p->max))
            problems_add(problems, x->file, x->line, 0,
                         "rule %s: $%s of device %s is outside of its min and max", x->id,
                         x->params[i].name, d->code);
    }
}

/* A rule of life-safety makes its devices such ones: their messages are worth a QoS of 1, and the
 * lane that has been split off must have them. */
static void check_lane(const struct world *w, const struct rule *x, const struct device *d,
                       struct problems *problems)
{
    const struct conf *c = w->conf;
    for (size_t i = 0; i < c->n_sources; i++) {
        if (c->sources[i].qos == 0)
            problems_add(problems, c->file, c->sources[i].line, 0,
                         "qos: 0 while rule %s is one of life-safety and concerns device %s, "
                         "expected qos: 1",
                         x->id, d->code);
    }
    if (c->gateway.lane != CONF_LANE_ALL)
        problems_warn(problems, x->file, x->line, 0,
                      "rule %s is one of life-safety, but device %s is not marked life_safety: "
                      "it stays in the routine lane",
                      x->id, d->code);
}

void world_check_rules(const struct world *w, struct problems *problems)
{
    size_t n = rules_count(w->rules);
    bool *said = mem_zalloc_array(n, sizeof(*said));
    if (n)
        check_conf(w, problems);
    for (size_t i = 0; i < n; i++)
        check_only(w, rules_at(w->rules, i), problems);
    for (size_t i = 0; n && i < registry_devices(w->registry); i++) {
        const struct device *d = registry_device_at(w->registry, i);
        const struct rule *const *list;
        size_t k = rules_of_kind(w->rules, d->kind, &list);
        for (size_t j = 0; j < k; j++) {
            const struct rule *x = list[j];
            bool unmarked = x->life_safety && !d->life_safety && !said[x->index];
            if ((!x->n_params && !unmarked) || !concerns(w, x, d))
                continue;
            check_params(w, x, d, problems);
            if (unmarked)
                check_lane(w, x, d, problems);
            said[x->index] = said[x->index] || unmarked;
        }
    }
    free(said);
}
