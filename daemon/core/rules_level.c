/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Levels: severities in ascending order, each with its conditions, which are compiled once for every
 * kind, because metrics are a kind's.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/rules_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define YEAR (366 * RULES_DAY)

struct level { /* one as the file has it */
    const struct yaml_node *severity, *when, *off, *for_, *off_for;
    struct rule_level common; /* what is the same for every kind */
};

const struct kind *rules_kind(const struct rules *r, const struct rule *x, size_t i)
{
    return x->n_kinds ? x->kinds[i] : catalog_kind_at(r->catalog, i);
}

size_t rules_kinds(const struct rules *r, const struct rule *x)
{
    return x->n_kinds ? x->n_kinds : catalog_kinds(r->catalog);
}

static void keep(struct rules *r, struct expr *e)
{
    if (r->n_exprs == r->cap_exprs) {
        r->cap_exprs = r->cap_exprs ? r->cap_exprs * 2 : 256;
        r->exprs = mem_realloc_array(r->exprs, r->cap_exprs, sizeof(struct expr *));
    }
    r->exprs[r->n_exprs++] = e;
}

/* -- conditions ---------------------------------------------------------------------------- */

static void say(struct rules_build *b, const struct yaml_node *n, const struct expr_error *e,
                const struct kind *k)
{
    int line, col;
    rules_place_of(b->f, n, e->at, &line, &col);
    if (k)
        conf_error(b->notes, line, col, "%s (kind %s)", e->text, k->name);
    else
        conf_error(b->notes, line, col, "%s", e->text);
}

static struct expr *compile(struct rules_build *b, const struct rule *x,
                            const struct yaml_node *n, const struct kind *k,
                            struct expr_error *error)
{
    struct expr_scope scope = {b->r->catalog, k, x->params, x->n_params};
    struct expr *e = NULL;
    if (expr_compile(n->text, strlen(n->text), &scope, error, &e) != 0)
        return NULL;
    keep(b->r, e);
    return e;
}

static const char *const roles[] = {"when", "off"};

/* For the kinds that the rule names: each must have what the condition names. */
static void compile_named(struct rules_build *b, struct rule *x, size_t level,
                          const struct yaml_node *n, bool off)
{
    struct expr_error error;
    for (size_t i = 0; i < x->n_kinds; i++) {
        struct expr *e = compile(b, x, n, x->kinds[i], &error);
        struct rule_level *l = &x->levels[i][level];
        if (!e) {
            say(b, n, &error, x->n_kinds > 1 ? x->kinds[i] : NULL);
            return;
        }
        *(off ? &l->off : &l->on) = e;
    }
}

/* For kind "*": the kinds that have all that its conditions name; none is a mistake. */
static void compile_all(struct rules_build *b, struct rule *x, const struct level *levels,
                        size_t n)
{
    struct expr_error error, furthest = {0};
    const struct yaml_node *where = NULL;
    size_t n_kinds = catalog_kinds(b->r->catalog), fit = 0;
    for (size_t i = 0; i < n_kinds; i++) {
        const struct kind *k = catalog_kind_at(b->r->catalog, i);
        bool good = true;
        for (size_t l = 0; l < n && good; l++) {
            const struct yaml_node *texts[] = {levels[l].when, levels[l].off};
            for (size_t t = 0; t < 2 && good; t++) {
                if (!texts[t])
                    continue;
                struct expr *e = compile(b, x, texts[t], k, &error);
                good = e != NULL;
                *(t ? &x->levels[i][l].off : &x->levels[i][l].on) = e;
                bool near = strstr(error.text, "\"?") && !strstr(furthest.text, "\"?");
                if (!good && (!where || error.at > furthest.at ||
                              (near && texts[t] == where && error.at == furthest.at))) {
                    where = texts[t];
                    furthest = error;
                }
            }
        }
        for (size_t l = 0; l < n && !good; l++)
            x->levels[i][l].on = x->levels[i][l].off = NULL;
        fit += good;
    }
    if (fit == 0 && where) {
        int line, col;
        rules_place_of(b->f, where, furthest.at, &line, &col);
        conf_error(b->notes, line, col,
                   "no kind of the catalogue fits, the nearest one says: %s", furthest.text);
    }
}

/* -- reading ------------------------------------------------------------------------------- */

static bool read_condition(struct rules_build *b, const struct yaml_node *n, int role)
{
    const char *s = rules_text(b, n, roles[role]);
    if (s && strlen(s) > EXPR_MAX_TEXT)
        conf_error(b->notes, AT(n), "%s has %zu bytes, expected at most %d", roles[role],
                   strlen(s), EXPR_MAX_TEXT);
    return s && strlen(s) <= EXPR_MAX_TEXT;
}

static bool read_level(struct rules_build *b, const struct yaml_node *n, struct level *l,
                       uint64_t off_for)
{
    static const char *const names[] = {"info", "warning", "minor", "major", "critical"};
    const struct rules_key keys[] = {{"severity", &l->severity},
                                     {"when", &l->when},
                                     {"off", &l->off},
                                     {"for", &l->for_},
                                     {"off_for", &l->off_for}};
    size_t errors = b->notes->errors;
    if (!rules_is_map(b, n, "a level"))
        return false;
    bool known = rules_read_map(b, n, keys, 5, "a level");
    bool cut = b->cut; /* said; what is left of the condition is no use */
    l->common.off_for_ns = off_for;
    int s = l->severity ? rules_word(b, l->severity, "severity", names, SEVERITIES) : -1;
    if (!l->severity && known)
        conf_error(b->notes, AT(n), "a level without severity");
    if (!l->when && known)
        conf_error(b->notes, AT(n), "a level without when: its condition");
    l->common.severity = s >= 0 ? (enum severity)s : SEVERITY_WARNING;
    if (l->when && read_condition(b, l->when, 0) && !cut)
        l->common.on_text = rules_copy(b, l->when->text);
    if (l->off && read_condition(b, l->off, 1) && !cut)
        l->common.off_text = rules_copy(b, l->off->text);
    if (l->for_)
        (void)rules_duration(b, l->for_, "for", 0, YEAR, &l->common.for_ns);
    if (l->off_for)
        (void)rules_duration(b, l->off_for, "off_for", 0, YEAR, &l->common.off_for_ns);
    return b->notes->errors == errors;
}

void rules_read_levels(struct rules_build *b, const struct yaml_node *n, struct rule *x,
                       struct rule_place *place, const struct yaml_node *off_for_node,
                       bool known)
{
    struct level levels[RULE_MAX_LEVELS] = {0};
    uint64_t off_for = 0;
    size_t k = 0;
    bool good = true;
    if (off_for_node)
        (void)rules_duration(b, off_for_node, "off_for", 0, YEAR, &off_for);
    if (!rules_is_list(b, n, "levels"))
        return;
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        if (k == RULE_MAX_LEVELS) {
            conf_error(b->notes, AT(v), "more than %d levels", RULE_MAX_LEVELS);
            good = false;
            break;
        }
        struct level *l = &levels[k];
        good = read_level(b, v, l, off_for) && good;
        if (k && l->severity && l->common.severity <= levels[k - 1].common.severity) {
            conf_error(b->notes, AT(l->severity),
                       "severity %s after %s: levels are listed from the least severe on, each "
                       "severity once",
                       severity_name(l->common.severity),
                       severity_name(levels[k - 1].common.severity));
            good = false;
        }
        place->line[k] = l->when ? l->when->line : v->line;
        place->col[k] = l->when ? l->when->col : v->col;
        k++;
    }
    x->n_levels = k;
    for (size_t i = 0; i < rules_kinds(b->r, x); i++) {
        for (size_t l = 0; l < k; l++)
            x->levels[i][l] = levels[l].common;
    }
    if (x->n_kinds == 0 && good && known)
        compile_all(b, x, levels, k);
    for (size_t l = 0; l < k && x->n_kinds && known; l++) {
        if (levels[l].common.on_text)
            compile_named(b, x, l, levels[l].when, false);
        if (levels[l].common.off_text)
            compile_named(b, x, l, levels[l].off, true);
    }
}

/* -- what follows from the conditions ------------------------------------------------------ */

static bool is_state(const struct expr *e)
{
    const struct expr_input *inputs;
    size_t n = e ? expr_inputs(e, &inputs) : 0;
    for (size_t i = 0; i < n; i++) {
        if (inputs[i].metric->type != METRIC_BOOL && inputs[i].metric->type != METRIC_ENUM)
            return false;
    }
    return true;
}

enum rule_mode rules_usual_mode(const struct rules_build *b, const struct rule *x)
{
    for (size_t i = 0; i < rules_kinds(b->r, x); i++) {
        for (size_t l = 0; l < x->n_levels; l++)
            if (!is_state(x->levels[i][l].on) || !is_state(x->levels[i][l].off))
                return RULE_SAMPLES;
    }
    return x->n_levels ? RULE_HOLD : RULE_SAMPLES;
}

static void put_u64(struct buf *b, uint64_t v)
{
    (void)buf_put(b, &v, sizeof(v));
}

static void put_texts(struct buf *b, const char *const *list, size_t n)
{
    put_u64(b, n);
    for (size_t i = 0; i < n; i++)
        (void)buf_put(b, list[i], strlen(list[i]) + 1);
}

uint64_t rules_hash(const struct rules *r, const struct rule *x)
{
    struct buf b;
    buf_init(&b, (size_t)16 << 20);
    put_u64(&b, x->n_kinds);
    put_u64(&b, x->n_levels);
    for (size_t i = 0; i < rules_kinds(r, x); i++) {
        (void)buf_puts(&b, rules_kind(r, x, i)->name);
        for (size_t l = 0; l < x->n_levels; l++) {
            const struct rule_level *v = &x->levels[i][l];
            put_u64(&b, (uint64_t)v->severity);
            put_u64(&b, v->on ? expr_hash(v->on) : 0);
            put_u64(&b, v->off ? expr_hash(v->off) : 0);
            put_u64(&b, v->for_ns);
            put_u64(&b, v->off_for_ns);
        }
    }
    const uint64_t words[] = {
        x->mode,
        x->max_gap_ns,
        x->fresh_ns,
        x->miss,
        x->miss_of,
        x->unknown,
        x->has_no_data,
        x->no_data,
        x->no_data_severity,
        x->no_data_after_ns,
        x->damps,
        x->flap_changes,
        x->flap_within_ns,
        x->flap_settle_ns,
        x->resolve_on_close,
        x->latch,
        x->life_safety,
        x->n_windows,
    };
    (void)buf_put(&b, words, sizeof(words));
    for (size_t i = 0; i < x->n_windows; i++) {
        put_u64(&b, x->windows[i].days);
        put_u64(&b, (uint64_t)x->windows[i].from_min << 16 | x->windows[i].to_min);
    }
    put_texts(&b, x->points, x->n_points);
    put_texts(&b, x->compounds, x->n_compounds);
    put_texts(&b, x->tiers, x->n_tiers);
    put_texts(&b, x->firms, x->n_firms);
    for (size_t i = 0; i < x->n_params; i++) {
        const struct expr_param *p = &x->params[i];
        (void)buf_put(&b, p->name, strlen(p->name) + 1);
        (void)buf_puts(&b, p->unit ? p->unit : "");
        (void)buf_put(&b, &p->has_default, sizeof(p->has_default));
        (void)buf_put(&b, &p->def, sizeof(p->def));
    }
    uint64_t h = hash64(0, b.data ? b.data : "", b.len);
    buf_done(&b);
    return h;
}
