/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules and the other files of a generation ask of each other.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/world_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMED = 8, MAX_READ = 256 };

/* -- opening ------------------------------------------------------------------------------ */

/* The interval that more than half of a kind's devices have; 0: none is so usual. */
struct usual {
    uint32_t interval;
    uint64_t votes; /* what is left of them (Boyer and Moore), then how many have it */
    uint64_t devices;
};

static uint32_t expected(void *ctx, const struct kind *k)
{
    return ((const struct usual *)ctx)[k->index].interval;
}

static bool votes(const struct device *d)
{
    return !d->retired && d->expected_interval_s;
}

static void vote(const struct registry *r, size_t kinds, struct usual *u)
{
    size_t n = r ? registry_devices(r) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct device *d = registry_device_at(r, i);
        struct usual *v = &u[d->kind->index];
        if (!votes(d))
            continue;
        if (v->votes == 0)
            v->interval = d->expected_interval_s;
        v->votes = v->interval == d->expected_interval_s ? v->votes + 1 : v->votes - 1;
        v->devices++;
    }
    for (size_t k = 0; k < kinds; k++)
        u[k].votes = 0;
    for (size_t i = 0; i < n; i++) { /* who is left over is a candidate only */
        const struct device *d = registry_device_at(r, i);
        struct usual *v = &u[d->kind->index];
        v->votes += votes(d) && v->interval == d->expected_interval_s;
    }
    for (size_t k = 0; k < kinds; k++)
        if (u[k].votes * 2 <= u[k].devices)
            u[k].interval = 0;
}

void world_open_rules(struct world *w, const struct world_unbundled *u,
                      struct problems *problems)
{
    struct usual *usual = mem_zalloc_array(catalog_kinds(w->catalog), sizeof(*usual));
    struct rules_text *texts = mem_zalloc_array(u->n_rules, sizeof(*texts));
    for (size_t i = 0; i < u->n_rules; i++)
        texts[i] = (struct rules_text){u->rules[i].file, u->rules[i].text, u->rules[i].len};
    if (u->n_rules)
        vote(w->registry, catalog_kinds(w->catalog), usual);
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
        const struct conf_place at = conf_place(c, &c->brokers[i], "brokers.share_group");
        if (c->brokers[i].share_group)
            problems_verdict(
                problems, c->file, at.line, at.col,
                "brokers.share_group: refused where rules are loaded, for a device must "
                "stay with its alarms' state, expected topics split between gateways");
    }
    for (size_t i = 0; i < c->n_sinks; i++) {
        const struct conf_place at = conf_place(c, &c->sinks[i], "sinks.on_full");
        if (c->sinks[i].on_full == CONF_PAUSE && !c->sinks[i].alarms_may_stop)
            problems_verdict(problems, c->file, at.line, at.col,
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

static bool has_firm(const struct world *w, const char *firm)
{
    for (size_t i = 0; i < registry_compounds(w->registry); i++)
        if (strcmp(registry_compound_at(w->registry, i)->firm, firm) == 0)
            return true;
    return false;
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
        if (!has_firm(w, x->firms[i]))
            problems_warn(problems, x->file, x->line, 0,
                          "rule %s: no compound has the firm \"%s\"", x->id, x->firms[i]);
    }
}

static const char *put_number(char out[NUM_MAX + 1], double v)
{
    out[num_put_double(out, v)] = '\0';
    return out;
}

/* The value stands in another file than the rule. */
static void say_param(const struct world *w, const struct rule *x, size_t i,
                      const struct device *d, double v, struct problems *problems)
{
    const struct rule_param *p = &x->param_ranges[i];
    char is[NUM_MAX + 1], min[NUM_MAX + 1], max[NUM_MAX + 1], range[2 * NUM_MAX + 32];
    (void)put_number(min, p->min);
    (void)put_number(max, p->max);
    if (isinf(p->min))
        (void)snprintf(range, sizeof(range), "at most %s", max);
    else if (isinf(p->max))
        (void)snprintf(range, sizeof(range), "at least %s", min);
    else
        (void)snprintf(range, sizeof(range), "%s to %s", min, max);
    problems_verdict(problems, x->file, x->line, 0,
                     "rule %s: $%s of device %s is %s in %s, expected %s", x->id,
                     x->params[i].name, d->code, put_number(is, v),
                     w->conf->registry.params ? w->conf->registry.params : "params.csv", range);
}

static void check_params(const struct world *w, const struct rule *x, const struct device *d,
                         struct problems *problems)
{
    for (size_t i = 0; i < x->n_params; i++) {
        const struct rule_param *p = &x->param_ranges[i];
        double v;
        if (registry_param(w->registry, d, x->params[i].name, &v) && (v < p->min || v > p->max))
            say_param(w, x, i, d, v, problems);
    }
}

/* A rule of life-safety makes its devices such ones: their messages are worth a QoS of 1, and the
 * lane that has been split off must have them. */
static void check_lane(const struct world *w, const struct rule *x, const struct device *d,
                       struct problems *problems)
{
    const struct conf *c = w->conf;
    for (size_t i = 0; i < c->n_sources; i++) {
        const struct conf_place at = conf_place(c, &c->sources[i], "sources.qos");
        if (c->sources[i].qos == 0)
            problems_verdict(
                problems, c->file, at.line, at.col,
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

/* -- nobody ------------------------------------------------------------------------------- */

struct rule_use {   /* what the devices say of a rule */
    bool unmarked;  /* it makes one of them life-safety, and that was looked at */
    bool concerned; /* it applies to one */
};

static bool is_restricted(const struct rule *x)
{
    return x->n_compounds || x->n_tiers || x->n_firms;
}

static void check_unused(const struct world *w, const struct rule *x, struct problems *problems)
{
    for (size_t i = 0; i < x->n_firms; i++)
        if (!has_firm(w, x->firms[i]))
            return; /* said already */
    for (size_t i = 0; i < x->n_compounds; i++)
        if (!registry_compound(w->registry, x->compounds[i], strlen(x->compounds[i])))
            return;
    problems_warn(
        problems, x->file, x->line, 0,
        "rule %s: what `only` leaves is no device of the registry: it can never alarm", x->id);
}

static bool is_owned(const struct compound *c)
{
    return strcmp(c->firm, "none") != 0;
}

static bool has_rules(const struct world *w, const struct device *d)
{
    const struct rule *const *list;
    size_t n = rules_of_kind(w->rules, d->kind, &list);
    for (size_t i = 0; i < n; i++)
        if (concerns(w, list[i], d))
            return true;
    return false;
}

/* A case of theirs is told below the topics of `none`, where nobody listens. */
static void check_owners(const struct world *w, struct problems *problems)
{
    const struct registry *g = w->registry;
    const char *file = w->conf->registry.compounds;
    bool *lacks = mem_zalloc_array(registry_compounds(g), sizeof(*lacks));
    struct buf names;
    size_t n = 0;
    buf_init(&names, 4096);
    for (size_t i = 0; w->conf->alerts.broker && i < registry_devices(g); i++) {
        const struct device *d = registry_device_at(g, i);
        const struct compound *now = registry_compound_now(g, d->compound);
        if (is_owned(now) || lacks[now->index] || !has_rules(w, d))
            continue;
        lacks[now->index] = true;
        if (n < MAX_NAMED)
            (void)buf_printf(&names, "%s%s", n ? ", " : "", now->code);
        n++;
    }
    if (n)
        problems_warn(
            problems, file ? file : "compounds.csv", 0, 0,
            "no owner: %zu compound%s with devices under rules %s no firm, and nobody "
            "is told of what happens there: %s%s",
            n, n == 1 ? "" : "s", n == 1 ? "has" : "have", buf_cstr(&names),
            n > MAX_NAMED ? " and more" : "");
    buf_done(&names);
    free(lacks);
}

/* A rule tells its silence, and no rule knows how long that would be. */
static bool is_never_missed(const struct world *w, const struct device *d)
{
    const struct rule *const *list;
    size_t n = rules_of_kind(w->rules, d->kind, &list);
    bool wanted = false;
    for (size_t i = 0; i < n && !d->expected_interval_s; i++) {
        const struct rule *x = list[i];
        bool tells = x->has_no_data && (x->no_data == RULE_SILENCE_ALERT || x->n_levels == 0);
        if (!tells || !concerns(w, x, d))
            continue;
        if (x->no_data_after_ns)
            return false;
        wanted = true;
    }
    return wanted;
}

static void check_silence(const struct world *w, struct problems *problems)
{
    const struct registry *g = w->registry;
    const char *file = w->conf->registry.devices;
    struct buf names;
    size_t n = 0;
    buf_init(&names, 4096);
    for (size_t i = 0; i < registry_devices(g); i++) {
        const struct device *d = registry_device_at(g, i);
        if (!is_never_missed(w, d))
            continue;
        if (n < MAX_NAMED)
            (void)buf_printf(&names, "%s%s", n ? ", " : "", d->code);
        n++;
    }
    if (n)
        problems_warn(
            problems, file ? file : "devices.csv", 0, 0,
            "never missed: %zu device%s %s no expected_interval, which the rules about "
            "silence go by, so that nobody is told when %s silent: %s%s",
            n, n == 1 ? "" : "s", n == 1 ? "has" : "have", n == 1 ? "it falls" : "they fall",
            buf_cstr(&names), n > MAX_NAMED ? " and more" : "");
    buf_done(&names);
}

/* -- parameters that no rule reads -------------------------------------------------------- */

struct unread { /* of a kind, by name */
    const struct kind *kind;
    const char *name;
    const struct device *first;
    int line;
    size_t n;
};

/* Does a rule of the kind read it? If not, which is the nearest that one does? */
static bool is_read(const struct world *w, const struct kind *k, const char *name,
                    const char **out_near)
{
    const char *names[MAX_READ];
    const struct rule *const *list;
    size_t rules = rules_of_kind(w->rules, k, &list), n = 0;
    for (size_t i = 0; i < rules; i++)
        for (size_t j = 0; j < list[i]->n_params; j++) {
            if (strcmp(list[i]->params[j].name, name) == 0)
                return true;
            if (n < MAX_READ)
                names[n++] = list[i]->params[j].name;
        }
    *out_near = err_nearest(name, names, n);
    return false;
}

static void tell_unread(const struct world *w, const struct unread *u,
                        struct problems *problems)
{
    const char *file = w->conf->registry.params, *near = NULL;
    char more[32] = "";
    (void)is_read(w, u->kind, u->name, &near);
    if (u->n > 1)
        (void)snprintf(more, sizeof(more), " and %zu more", u->n - 1);
    problems_warn(problems, file ? file : "params.csv", u->line, 0,
                  "no rule of kind %s reads $%s (device %s%s)%s%s%s", u->kind->name, u->name,
                  u->first->code, more, near ? ", did you mean \"" : "", near ? near : "",
                  near ? "\"?" : "");
}

/* A name that is written wrongly leaves the device with the rule's default. */
static void check_unread(const struct world *w, struct problems *problems)
{
    struct unread list[MAX_NAMED];
    const struct device *d;
    const char *name, *near;
    size_t n = 0, k;
    int line;
    for (size_t i = 0; registry_param_at(w->registry, i, &d, &name, &line); i++) {
        for (k = 0; k < n; k++)
            if (list[k].kind == d->kind && strcmp(list[k].name, name) == 0)
                break;
        if (k < n)
            list[k].n++;
        else if (n < MAX_NAMED && strncmp(name, "range.", 6) != 0 &&
                 !is_read(w, d->kind, name, &near))
            list[n++] = (struct unread){d->kind, name, d, line, 1};
    }
    for (k = 0; k < n; k++)
        tell_unread(w, &list[k], problems);
}

/* -- all ---------------------------------------------------------------------------------- */

static void check_use(const struct world *w, const struct rule *x, const struct device *d,
                      struct rule_use *use, struct problems *problems)
{
    bool unmarked = x->life_safety && !d->life_safety && !use->unmarked;
    bool unused = is_restricted(x) && !use->concerned;
    if ((!x->n_params && !unmarked && !unused) || !concerns(w, x, d))
        return;
    use->concerned = true;
    check_params(w, x, d, problems);
    if (unmarked)
        check_lane(w, x, d, problems);
    use->unmarked = use->unmarked || unmarked;
}

void world_check_rules(const struct world *w, bool all, struct problems *problems)
{
    size_t n = rules_count(w->rules), devices = registry_devices(w->registry);
    if (n == 0)
        return;
    struct rule_use *uses = mem_zalloc_array(n, sizeof(*uses));
    check_conf(w, problems);
    for (size_t i = 0; i < n; i++)
        check_only(w, rules_at(w->rules, i), problems);
    for (size_t i = 0; i < devices; i++) {
        const struct device *d = registry_device_at(w->registry, i);
        const struct rule *const *list;
        size_t k = rules_of_kind(w->rules, d->kind, &list);
        for (size_t j = 0; j < k; j++)
            check_use(w, list[j], d, &uses[list[j]->index], problems);
    }
    for (size_t i = 0; devices && i < n; i++) {
        const struct rule *x = rules_at(w->rules, i);
        if (is_restricted(x) && !uses[i].concerned)
            check_unused(w, x, problems);
    }
    check_owners(w, problems);
    check_silence(w, problems);
    if (all)
        check_unread(w, problems);
    free(uses);
}
