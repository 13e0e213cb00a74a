/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rule: its keys, in the order in which people meet them in gaihou-rules(5).
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"
#include "core/rules_private.h"
#include "core/text.h"
#include "core/unit.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define MAX_TITLE  200
#define MAX_ACTION 1000
#define YEAR       (366 * RULES_DAY)

struct parts { /* what stands in the file; NULL: nothing */
    const struct yaml_node *id, *kind, *kinds, *title, *action, *class_, *levels, *off_for;
    const struct yaml_node *mode, *max_gap, *tolerate, *fresh, *unknown, *no_data, *flapping;
    const struct yaml_node *schedule, *latch, *work, *life_safety, *points, *only, *params;
    const struct yaml_node *source, *unverified;
    bool known; /* none of its keys is wrongly written */
};

/* -- who it is ----------------------------------------------------------------------------- */

bool rules_is_id(const char *s, size_t n)
{
    if (n == 0 || n > 64 || s[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '-')
            return false;
    }
    return true;
}

static bool same_id(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const struct rules *r = ctx;
    const char *id = r->list[value].id;
    return strlen(id) == len && memcmp(id, key, len) == 0;
}

static bool read_id(struct rules_build *b, const struct yaml_node *rule, const struct parts *p,
                    struct rule *x)
{
    const struct yaml_node *n = p->id;
    const char *s = rules_text(b, n, "id");
    x->id = "";
    if (!n && p->known)
        conf_error(b->notes, AT(rule), "a rule without id, expected a name like sump-high");
    if (!s)
        return false;
    if (!rules_is_id(s, strlen(s))) {
        conf_error(b->notes, AT(n), "id \"%.64s\", expected [a-z0-9][a-z0-9-]*, at most 64", s);
        return false;
    }
    if (strncmp(s, "gaihou-", 7) == 0) {
        conf_error(b->notes, AT(n),
                   "id \"%.64s\": what begins with gaihou- is the gateway's own", s);
        return false;
    }
    size_t len = strlen(s);
    uint32_t at = table_find(b->taken, hash64(hash_seed(), s, len), same_id, b->r, s, len);
    if (at != UINT32_MAX) {
        const struct rule *other = &b->r->list[at];
        conf_error(b->notes, AT(n), "rule \"%s\" is there already, in line %d of %s", s,
                   other->line, other->file);
        return false;
    }
    x->id = rules_copy(b, s);
    return true;
}

/* Where the line begins; looked for once a file. NULL: there is none. */
static const char *line_of(struct rules_build *b, int line)
{
    struct rules_file *f = b->f;
    if (!f->lines) {
        size_t n = 1;
        for (size_t i = 0; i < f->len; i++)
            n += f->text[i] == '\n';
        f->lines = arena_alloc(&f->tree, n * sizeof(*f->lines));
        if (!f->lines)
            return NULL;
        f->lines[0] =
            f->text + (f->len >= 3 && memcmp(f->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
        f->n_lines = 1;
        for (size_t i = 0; i < f->len; i++)
            if (f->text[i] == '\n')
                f->lines[f->n_lines++] = f->text + i + 1;
    }
    return line >= 1 && (size_t)line <= f->n_lines ? f->lines[line - 1] : NULL;
}

/* `去 #3 楼`: for YAML what begins with # behind a blank is a comment, and the text ends before. One
 * that is meant has a blank behind its #. */
static void warn_of_lost_words(struct rules_build *b, const struct yaml_node *n,
                               const char *what)
{
    const char *s = n && n->kind == YAML_SCALAR && n->plain ? line_of(b, n->line) : NULL;
    const char *end = b->f->text + b->f->len;
    size_t len = s ? strlen(n->text) : 0;
    for (int col = 1; s && s < end && col < n->col; col++)
        for (s++; s < end && ((unsigned char)*s & 0xc0) == 0x80;)
            s++;
    if (!s || (size_t)(end - s) < len + 3 || memcmp(s, n->text, len) != 0)
        return; /* over several lines */
    size_t chars = 0;
    for (size_t i = 0; i < len; i++)
        chars += ((unsigned char)s[i] & 0xc0) != 0x80;
    const char *sign = s + len;
    while (sign < end && (*sign == ' ' || *sign == '\t'))
        sign++;
    size_t blanks = (size_t)(sign - s) - len;
    if (blanks > 0 && sign + 1 < end && *sign == '#' && !strchr(" \t#\r\n", sign[1]))
        conf_warn(
            b->notes, n->line, n->col + (int)(chars + blanks),
            "%s ends here: what is behind # is a comment of the file; a text with # in it "
            "stands in quotes",
            what);
}

/* "text", or {zh: …, en: …} */
static void read_words(struct rules_build *b, const struct yaml_node *n, const char *what,
                       size_t max, const char **out_zh, const char **out_en)
{
    const struct yaml_node *zh = NULL, *en = NULL;
    const struct rules_key keys[] = {{"zh", &zh}, {"en", &en}};
    *out_zh = *out_en = "";
    if (!n)
        return;
    if (n->kind != YAML_MAP) {
        *out_zh = *out_en = rules_line(b, n, what, max);
        warn_of_lost_words(b, n, what);
        return;
    }
    rules_read_map(b, n, keys, 2, what);
    warn_of_lost_words(b, zh, what);
    warn_of_lost_words(b, en, what);
    if (!zh)
        conf_error(b->notes, AT(n), "%s without zh", what);
    *out_zh = rules_line(b, zh, what, max);
    *out_en = en ? rules_line(b, en, what, max) : *out_zh;
}

/* By its name, by what people call it, or all there are. */
static void unknown_kind(struct rules_build *b, const struct yaml_node *n, const char *s,
                         const char *const *names, size_t n_names)
{
    const char *near = NULL, *blank = text_odd_blank_in(s);
    struct buf all;
    if (blank) {
        conf_error(b->notes, AT(n), "kind \"%.64s\": a %s stands in it, expected none", s,
                   blank);
        return;
    }
    for (size_t i = 0; i < n_names && !near; i++) {
        const struct kind *k = catalog_kind_at(b->r->catalog, i);
        if (strcmp(k->title_zh, s) == 0 || strcasecmp(k->title_en, s) == 0)
            near = names[i];
    }
    near = near ? near : err_nearest(s, names, n_names);
    for (size_t i = 0; i < n_names && !near; i++)
        if (strlen(names[i]) >= 4 && strstr(s, names[i]))
            near = names[i];
    if (near) {
        conf_error(b->notes, AT(n), "the catalogue has no kind \"%.64s\", did you mean \"%s\"?",
                   s, near);
        return;
    }
    buf_init(&all, 4096);
    for (size_t i = 0; i < n_names && all.len < 600; i++)
        (void)buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    conf_error(b->notes, AT(n), "the catalogue has no kind \"%.64s\", expected one of %s%s", s,
               buf_cstr(&all), all.len < 600 ? "" : " …");
    buf_done(&all);
}

static void read_kind(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    const char *names[CATALOG_MAX_KINDS];
    if (n->kind == YAML_LIST)
        conf_error(b->notes, AT(n), "kind is a list, expected kinds: […] for several");
    const char *s = n->kind == YAML_LIST ? NULL : rules_text(b, n, "kind");
    if (!s)
        return;
    const struct kind *k = catalog_kind(b->r->catalog, s, strlen(s));
    if (!k) {
        size_t n_names = catalog_kinds(b->r->catalog);
        for (size_t i = 0; i < n_names; i++)
            names[i] = catalog_kind_at(b->r->catalog, i)->name;
        unknown_kind(b, n, s, names, n_names);
        return;
    }
    for (size_t i = 0; i < x->n_kinds; i++) {
        if (x->kinds[i] == k) {
            conf_error(b->notes, AT(n), "kind \"%s\" is repeated", s);
            return;
        }
    }
    if (x->n_kinds == RULE_MAX_KINDS) {
        conf_error(b->notes, AT(n), "more than %d kinds", RULE_MAX_KINDS);
        return;
    }
    x->kinds[x->n_kinds++] = k;
}

/* True if the kinds are known, so that conditions can be read. */
static bool read_kinds(struct rules_build *b, const struct yaml_node *rule,
                       const struct parts *p, struct rule *x)
{
    size_t errors = b->notes->errors;
    if (p->kind && p->kinds)
        conf_error(b->notes, AT(p->kinds->key), "kind and kinds: one of them is expected");
    else if (!p->kind && !p->kinds && p->known)
        conf_error(b->notes, AT(rule), "a rule without kind, expected a kind of the catalogue");
    else if (!p->kind && !p->kinds)
        return false;
    else if (p->kinds && rules_is_list(b, p->kinds, "kinds"))
        for (const struct yaml_node *v = p->kinds->first; v; v = v->next)
            read_kind(b, v, x);
    else if (p->kind && (p->kind->kind != YAML_SCALAR || strcmp(p->kind->text, "*") != 0))
        read_kind(b, p->kind, x);
    return b->notes->errors == errors;
}

/* -- when ---------------------------------------------------------------------------------- */

static void read_tolerate(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    const struct yaml_node *miss = NULL, *of = NULL;
    const struct rules_key keys[] = {{"miss", &miss}, {"of", &of}};
    if (!rules_is_map(b, n, "tolerate"))
        return;
    rules_read_map(b, n, keys, 2, "tolerate");
    if (!miss || !of) {
        conf_error(b->notes, AT(n), "tolerate needs miss and of, such as {miss: 1, of: 5}");
        return;
    }
    if (rules_uint(b, miss, "miss", 1, 31, &x->miss) &&
        rules_uint(b, of, "of", 2, 32, &x->miss_of) && x->miss >= x->miss_of)
        conf_error(b->notes, AT(n), "tolerate: miss %u of %u, expected fewer", x->miss,
                   x->miss_of);
}

static void read_no_data(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    static const char *const words[] = {"keep", "alert", "clear"};
    const struct yaml_node *after = NULL, *policy = NULL, *severity = NULL;
    const struct rules_key keys[] = {
        {"after", &after}, {"policy", &policy}, {"severity", &severity}};
    x->no_data_severity = SEVERITY_WARNING;
    if (!n)
        return;
    x->has_no_data = true;
    if (!rules_is_map(b, n, "no_data"))
        return;
    rules_read_map(b, n, keys, 3, "no_data");
    if (after)
        (void)rules_duration(b, after, "after", RULES_SECOND, YEAR, &x->no_data_after_ns);
    int i = policy ? rules_word(b, policy, "policy", words, 3) : 0;
    x->no_data = i > 0 ? (enum rule_no_data)i : RULE_SILENCE_KEEP;
    const char *s = rules_text(b, severity, "severity");
    if (s && severity_parse(s, strlen(s), &x->no_data_severity) != 0) {
        static const char *const names[] = {"info", "warning", "minor", "major", "critical"};
        rules_unknown(b, severity, "severity", names, SEVERITIES);
    }
}

static void read_flapping(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    const struct yaml_node *changes = NULL, *within = NULL, *settle = NULL;
    const struct rules_key keys[] = {
        {"changes", &changes}, {"within", &within}, {"settle", &settle}};
    x->damps = true;
    x->flap_changes = 5;
    x->flap_within_ns = x->flap_settle_ns = 600 * RULES_SECOND;
    if (!n)
        return;
    if (n->kind == YAML_SCALAR && strcmp(n->text, "off") == 0) {
        x->damps = false;
        return;
    }
    if (n->kind == YAML_SCALAR) {
        conf_error(b->notes, AT(n),
                   "flapping is \"%.64s\", expected off, or changes, within and "
                   "settle",
                   n->text);
        return;
    }
    if (!rules_is_map(b, n, "flapping"))
        return;
    rules_read_map(b, n, keys, 3, "flapping");
    if (changes)
        (void)rules_uint(b, changes, "changes", 2, 100, &x->flap_changes);
    if (within)
        (void)rules_duration(b, within, "within", RULES_SECOND, RULES_DAY, &x->flap_within_ns);
    if (settle)
        (void)rules_duration(b, settle, "settle", RULES_SECOND, RULES_DAY, &x->flap_settle_ns);
}

static void read_times(struct rules_build *b, const struct parts *p, struct rule *x)
{
    static const char *const unknown[] = {"keep", "false", "true"};
    if (p->max_gap)
        (void)rules_duration(b, p->max_gap, "max_gap", RULES_SECOND, YEAR, &x->max_gap_ns);
    if (p->fresh)
        (void)rules_duration(b, p->fresh, "fresh", RULES_SECOND, YEAR, &x->fresh_ns);
    if (p->tolerate)
        read_tolerate(b, p->tolerate, x);
    int i = p->unknown ? rules_word(b, p->unknown, "unknown", unknown, 3) : 0;
    x->unknown = i > 0 ? (enum rule_unknown)i : RULE_UNKNOWN_KEEP;
    read_no_data(b, p->no_data, x);
    read_flapping(b, p->flapping, x);
    if (p->schedule)
        rules_read_schedule(b, p->schedule, x);
}

/* What belongs to one mode only is no use in the other; said when all else is right, for the mode
 * follows from the conditions. */
static void read_mode(struct rules_build *b, const struct parts *p, struct rule *x,
                      size_t errors)
{
    static const char *const words[] = {"samples", "hold"};
    int i = p->mode ? rules_word(b, p->mode, "mode", words, 2) : -1;
    x->mode = i >= 0 ? (enum rule_mode)i : rules_usual_mode(b, x);
    const struct yaml_node *useless = x->mode == RULE_SAMPLES ? p->fresh
                                      : p->max_gap            ? p->max_gap
                                                              : p->tolerate;
    if (useless && x->n_levels && b->notes->errors == errors)
        conf_error(b->notes, AT(useless->key), "%s belongs to mode: %s, and this rule has %s%s",
                   useless->key->text, words[x->mode == RULE_SAMPLES], words[x->mode],
                   p->mode ? "" : " by default");
}

/* -- whom it concerns ---------------------------------------------------------------------- */

static bool is_point(const char *s, size_t n)
{
    return n > 0 && n <= 256 && text_is_plain(s, n);
}

static void read_only(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    static const char *const tiers[] = {"standard", "basic", "safety-net"};
    static const char *const tiers_zh[] = {"规范型", "基础型", "托底型"};
    const struct yaml_node *compounds = NULL, *tier = NULL, *firms = NULL;
    const struct rules_key keys[] = {
        {"compounds", &compounds}, {"tiers", &tier}, {"firms", &firms}};
    const char *code = "[A-Za-z0-9._-], at most 64";
    if (!rules_is_map(b, n, "only"))
        return;
    rules_read_map(b, n, keys, 3, "only");
    if (compounds)
        (void)rules_codes(b, compounds, "compounds", text_is_code, code, &x->compounds,
                          &x->n_compounds);
    if (firms)
        (void)rules_codes(b, firms, "firms", text_is_code, code, &x->firms, &x->n_firms);
    if (!tier || !rules_codes(b, tier, "tiers", is_point, "a tier", &x->tiers, &x->n_tiers))
        return;
    const char **own = rules_take(b, x->n_tiers, sizeof(*own));
    for (size_t i = 0; i < x->n_tiers; i++) {
        for (size_t k = 0; k < 3; k++)
            if (strcmp(x->tiers[i], tiers[k]) == 0 || strcmp(x->tiers[i], tiers_zh[k]) == 0)
                own[i] = tiers[k];
        if (!own[i]) {
            conf_error(
                b->notes, AT(tier),
                "tiers \"%.64s\", expected standard, basic or safety-net (规范型, 基础型, "
                "托底型)",
                x->tiers[i]);
            own[i] = "";
        }
    }
    x->tiers = own;
}

static void read_param(struct rules_build *b, const struct yaml_node *n, struct expr_param *p,
                       struct rule_param *range)
{
    const struct yaml_node *def = NULL, *unit = NULL, *min = NULL, *max = NULL;
    const struct rules_key keys[] = {
        {"default", &def}, {"unit", &unit}, {"min", &min}, {"max", &max}};
    *range = (struct rule_param){-HUGE_VAL, HUGE_VAL};
    if (n->kind == YAML_SCALAR && !yaml_is_null(n)) { /* its default alone */
        p->has_default = rules_number(b, n, "a parameter", &p->def);
        return;
    }
    if (!rules_is_map(b, n, "a parameter"))
        return;
    rules_read_map(b, n, keys, 4, "a parameter");
    p->has_default = def && rules_number(b, def, "default", &p->def);
    const char *u = rules_text(b, unit, "unit");
    struct unit parsed;
    if (u && unit_parse(u, strlen(u), &parsed, NULL) != 0) {
        const char *near = unit_nearest(u);
        conf_error(b->notes, AT(unit), "unit \"%.64s\" is not a UCUM code%s%s%s", u,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    } else if (u) {
        p->unit = rules_copy(b, u);
    }
    if (min)
        (void)rules_number(b, min, "min", &range->min);
    if (max)
        (void)rules_number(b, max, "max", &range->max);
    if (range->min > range->max)
        conf_error(b->notes, AT(n), "min is above max");
    else if (p->has_default && (p->def < range->min || p->def > range->max))
        conf_error(b->notes, AT(def), "the default is not within min and max");
}

static void read_params(struct rules_build *b, const struct yaml_node *n, struct rule *x)
{
    if (!rules_is_map(b, n, "params"))
        return;
    size_t count = rules_count_items(n), k = 0;
    if (count > EXPR_MAX_PARAMS) {
        conf_error(b->notes, AT(n), "params has %zu entries, expected at most %d", count,
                   EXPR_MAX_PARAMS);
        return;
    }
    struct expr_param *list = rules_take(b, count, sizeof(*list));
    struct rule_param *ranges = rules_take(b, count, sizeof(*ranges));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        const char *name = v->key->text;
        if (!text_is_name(name, strlen(name))) {
            conf_error(b->notes, AT(v->key),
                       "parameter \"%.64s\", expected [a-z][a-z0-9_]*, at most 64", name);
            continue;
        }
        for (size_t i = 0; i < k; i++) {
            if (strcmp(list[i].name, name) == 0)
                conf_error(b->notes, AT(v->key), "parameter \"%s\" is repeated", name);
        }
        list[k].name = rules_copy(b, name);
        read_param(b, v, &list[k], &ranges[k]);
        k++;
    }
    x->params = list;
    x->param_ranges = ranges;
    x->n_params = k;
}

/* -- all ----------------------------------------------------------------------------------- */

static void read_parts(struct rules_build *b, const struct yaml_node *n, struct parts *p)
{
    const struct rules_key keys[] = {
        {"id", &p->id},
        {"kind", &p->kind},
        {"kinds", &p->kinds},
        {"title", &p->title},
        {"action", &p->action},
        {"class", &p->class_},
        {"levels", &p->levels},
        {"off_for", &p->off_for},
        {"mode", &p->mode},
        {"max_gap", &p->max_gap},
        {"tolerate", &p->tolerate},
        {"fresh", &p->fresh},
        {"unknown", &p->unknown},
        {"no_data", &p->no_data},
        {"flapping", &p->flapping},
        {"schedule", &p->schedule},
        {"latch", &p->latch},
        {"work", &p->work},
        {"life_safety", &p->life_safety},
        {"points", &p->points},
        {"only", &p->only},
        {"params", &p->params},
        {"source", &p->source},
        {"unverified", &p->unverified},
    };
    p->known = rules_read_map(b, n, keys, sizeof(keys) / sizeof(keys[0]), "a rule");
}

static void read_rest(struct rules_build *b, const struct yaml_node *n, const struct parts *p,
                      struct rule *x)
{
    static const char *const works[] = {"none", "ack", "full"};
    read_words(b, p->title, "title", MAX_TITLE, &x->title_zh, &x->title_en);
    if (!p->title && p->known)
        conf_error(b->notes, AT(n),
                   "a rule without title, expected one line such as 集水井水位过高, or {zh: "
                   "集水井水位过高, en: Water in the sump too high}");
    read_words(b, p->action, "action", MAX_ACTION, &x->action_zh, &x->action_en);
    x->class_ = p->class_ ? rules_line(b, p->class_, "class", 64) : "general";
    if (p->class_ && *x->class_ && !rules_is_id(x->class_, strlen(x->class_)))
        conf_error(b->notes, AT(p->class_),
                   "class \"%.64s\", expected [a-z0-9][a-z0-9-]*, at most 64", x->class_);
    int i = p->work ? rules_word(b, p->work, "work", works, 3) : RULE_WORK_ACK;
    x->work = i >= 0 ? (enum rule_work)i : RULE_WORK_ACK;
    x->latch = rules_bool(b, p->latch, "latch", false);
    x->life_safety = rules_bool(b, p->life_safety, "life_safety", false);
    x->source = rules_line(b, p->source, "source", 500);
    x->unverified = rules_bool(b, p->unverified, "unverified", false);
    if (p->points)
        (void)rules_codes(b, p->points, "points", is_point, "a point's name", &x->points,
                          &x->n_points);
    if (p->only)
        read_only(b, p->only, x);
    if (!p->levels && !p->no_data && p->known)
        conf_error(b->notes, AT(n), "a rule without levels and no_data: it would never alarm");
}

static struct rule *add_rule(struct rules *r)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->list = mem_realloc_array(r->list, r->cap, sizeof(*r->list));
        r->places = mem_realloc_array(r->places, r->cap, sizeof(*r->places));
    }
    r->list[r->n] = (struct rule){.index = (unsigned)r->n};
    r->places[r->n] = (struct rule_place){0};
    return &r->list[r->n];
}

void rules_read_rule(struct rules_build *b, const struct yaml_node *n)
{
    struct parts p = {0};
    size_t errors = b->notes->errors;
    if (b->r->n == RULES_MAX) {
        conf_error(b->notes, AT(n), "more than %d rules", RULES_MAX);
        return;
    }
    if (!rules_is_map(b, n, "a rule"))
        return;
    struct rule *x = add_rule(b->r);
    struct rule_place *place = &b->r->places[b->r->n];
    x->group = b->group;
    x->file = b->f->name;
    read_parts(b, n, &p);
    x->line = p.id ? p.id->line : n->line;
    place->file = (size_t)(b->f - b->files);
    place->id_line = p.id ? p.id->line : n->line;
    place->id_col = p.id ? p.id->col : n->col;
    bool named = read_id(b, n, &p, x), known = read_kinds(b, n, &p, x);
    if (p.params)
        read_params(b, p.params, x);
    read_rest(b, n, &p, x);
    read_times(b, &p, x);
    x->levels = rules_take(b, rules_kinds(b->r, x) + 1, sizeof(*x->levels));
    if (p.levels)
        rules_read_levels(b, p.levels, x, place, p.off_for, known);
    else if (p.off_for && p.known)
        conf_error(b->notes, AT(p.off_for->key), "off_for without levels");
    read_mode(b, &p, x, errors);
    x->hash = rules_hash(b->r, x);
    if (named)
        table_add(b->taken, hash64(hash_seed(), x->id, strlen(x->id)), (uint32_t)b->r->n);
    b->r->n++;
}
