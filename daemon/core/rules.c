/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set: files are read in the order of their names, indexes are made, and the simple questions.
 */
#include "core/rules.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/table.h"
#include "core/rules_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const size_t arena_max = (size_t)1 << 30, tree_max = (size_t)64 << 20;

/* -- severities ---------------------------------------------------------------------------- */

static const char *const severities[SEVERITIES] = {
    [SEVERITY_INFO] = "info",   [SEVERITY_WARNING] = "warning",   [SEVERITY_MINOR] = "minor",
    [SEVERITY_MAJOR] = "major", [SEVERITY_CRITICAL] = "critical",
};

const char *severity_name(enum severity s)
{
    ASSERT(s < SEVERITIES);
    return severities[s];
}

int severity_parse(const char *s, size_t len, enum severity *out)
{
    for (int i = 0; i < SEVERITIES; i++) {
        if (strlen(severities[i]) == len && memcmp(severities[i], s, len) == 0) {
            *out = (enum severity)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* -- reading ------------------------------------------------------------------------------- */

static void read_group(struct rules_build *b, const struct yaml_node *n)
{
    const struct yaml_node *name = NULL, *rules = NULL;
    const struct rules_key keys[] = {{"name", &name}, {"rules", &rules}};
    if (!rules_is_map(b, n, "a group"))
        return;
    bool known = rules_read_map(b, n, keys, 2, "a group");
    b->group = rules_line(b, name, "name", 200);
    if (!name && known)
        conf_error(b->notes, AT(n), "a group without name");
    if (!rules && known)
        conf_error(b->notes, AT(n), "a group without rules");
    if (rules && rules_is_list(b, rules, "rules"))
        for (const struct yaml_node *v = rules->first; v; v = v->next)
            rules_read_rule(b, v);
}

/* Rule tests stand beside rules, and look like them. True: said. */
static bool is_of_tests(struct rules_build *b)
{
    const struct yaml_node *tests = NULL;
    for (const struct yaml_node *v = b->f->root->first; v; v = v->next) {
        if (strcmp(v->key->text, "tests") == 0)
            tests = v->key;
        if (strcmp(v->key->text, "groups") == 0)
            return false;
    }
    if (tests)
        conf_error(b->notes, AT(tests),
                   "this is a file of rule tests: gaihouctl rules test runs it");
    return tests != NULL;
}

static void read_file(struct rules_build *b)
{
    const struct yaml_node *version = NULL, *calendar = NULL, *groups = NULL;
    const struct rules_key keys[] = {
        {"version", &version}, {"calendar", &calendar}, {"groups", &groups}};
    struct rules_file *f = b->f;
    if (f->len > RULES_MAX_FILE) {
        conf_error(&f->notes, 0, 0, "%zu bytes, expected at most 1 MiB", f->len);
        return;
    }
    f->root = yaml_parse(f->text, f->len, &f->tree, &f->notes);
    if (!f->root || !rules_is_map(b, f->root, "a file of rules") || is_of_tests(b))
        return;
    bool known = rules_read_map(b, f->root, keys, 3, "a file of rules");
    if (!version && known)
        conf_error(&f->notes, AT(f->root), "\"version: 1\" is missing");
    else if (version && (version->kind != YAML_SCALAR || strcmp(version->text, "1") != 0))
        conf_error(&f->notes, AT(version), "version %.16s, expected 1", version->text);
    if (calendar)
        rules_read_calendar(b, calendar);
    if (!groups && !calendar && known)
        conf_error(&f->notes, AT(f->root), "expected groups, a calendar or both");
    if (groups && rules_is_list(b, groups, "groups"))
        for (const struct yaml_node *v = groups->first; v; v = v->next)
            read_group(b, v);
}

/* -- indexes ------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct rule *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static void index_ids(struct rules *r)
{
    r->by_id = mem_zalloc_array(r->n, sizeof(*r->by_id));
    for (size_t i = 0; i < r->n; i++)
        r->by_id[i] = &r->list[i];
    if (r->n)
        qsort(r->by_id, r->n, sizeof(*r->by_id), by_id);
}

static bool concerns(const struct rules *r, const struct rule *x, const struct kind *k)
{
    if (x->n_kinds == 0)
        return x->n_levels == 0 || x->levels[k->index][0].on;
    for (size_t i = 0; i < x->n_kinds; i++) {
        if (rules_kind(r, x, i) == k)
            return true;
    }
    return false;
}

static void index_kinds(struct rules *r)
{
    size_t n_kinds = catalog_kinds(r->catalog), most = 0, n = 0;
    for (size_t i = 0; i < r->n; i++)
        most += rules_kinds(r, &r->list[i]);
    r->of_kinds = mem_zalloc_array(most + 1, sizeof(*r->of_kinds));
    r->first_of_kind = mem_zalloc_array(n_kinds + 1, sizeof(*r->first_of_kind));
    for (size_t k = 0; k < n_kinds; k++) {
        r->first_of_kind[k] = n;
        for (size_t i = 0; i < r->n; i++) {
            if (concerns(r, &r->list[i], catalog_kind_at(r->catalog, k)))
                r->of_kinds[n++] = &r->list[i];
        }
    }
    r->first_of_kind[n_kinds] = n;
}

/* -- all ----------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct rules_file *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void read_files(struct rules_build *b, const struct rules_text *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        b->files[i].name = rules_copy(b, texts[i].file);
        b->files[i].text = texts[i].text;
        b->files[i].len = texts[i].len;
        arena_init(&b->files[i].tree, tree_max);
    }
    if (n)
        qsort(b->files, n, sizeof(*b->files), by_name);
    for (size_t i = 0; i < n; i++) {
        b->f = &b->files[i];
        b->notes = &b->f->notes;
        read_file(b);
    }
}

static size_t hand_over(struct rules_build *b, struct problems *problems)
{
    size_t errors = 0;
    for (size_t i = 0; i < b->n_files; i++) {
        struct rules_file *f = &b->files[i];
        errors += f->notes.errors;
        conf_notes_hand_over(&f->notes, f->name, problems);
        conf_notes_done(&f->notes);
        arena_done(&f->tree);
    }
    return errors;
}

int rules_parse(const struct rules_text *texts, size_t n, const struct catalog *catalog,
                uint32_t (*expected)(void *ctx, const struct kind *k), void *ctx,
                struct problems *problems, struct rules **out)
{
    if (n > RULES_MAX_FILES) {
        problems_add(problems, texts[RULES_MAX_FILES].file, 0, 0, "more than %d files of rules",
                     RULES_MAX_FILES);
        return -EINVAL;
    }
    struct rules *r = mem_zalloc(sizeof(*r));
    struct table taken;
    struct rules_build b = {
        .r = r, .n_files = n, .taken = &taken, .expected = expected, .ctx = ctx};
    arena_init(&r->arena, arena_max);
    table_init(&taken, RULES_MAX);
    r->catalog = catalog;
    b.files = mem_zalloc_array(n, sizeof(*b.files));
    read_files(&b, texts, n);
    rules_settle_calendar(&b);
    index_ids(r);
    index_kinds(r);
    size_t errors = 0;
    for (size_t i = 0; i < n; i++)
        errors += b.files[i].notes.errors;
    if (errors == 0)
        rules_lint(&b);
    errors = hand_over(&b, problems);
    table_done(&taken);
    free(b.files);
    free(r->places);
    r->places = NULL;
    if (errors) {
        rules_free(r);
        return -EINVAL;
    }
    *out = r;
    return 0;
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_exprs; i++)
        expr_free(r->exprs[i]);
    free(r->exprs);
    free(r->list);
    free(r->places);
    free(r->by_id);
    free(r->of_kinds);
    free(r->first_of_kind);
    free(r->days[0]);
    free(r->days[1]);
    arena_done(&r->arena);
    free(r);
}

size_t rules_count(const struct rules *r)
{
    return r->n;
}

const struct rule *rules_at(const struct rules *r, size_t i)
{
    ASSERT(i < r->n);
    return &r->list[i];
}

const struct rule *rules_find(const struct rules *r, const char *id, size_t len)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const char *have = r->by_id[mid]->id;
        size_t n = strlen(have);
        int c = memcmp(have, id, n < len ? n : len);
        c = c ? c : (n > len) - (n < len);
        if (c == 0)
            return r->by_id[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

size_t rules_of_kind(const struct rules *r, const struct kind *k,
                     const struct rule *const **out)
{
    *out = &r->of_kinds[r->first_of_kind[k->index]];
    return r->first_of_kind[k->index + 1] - r->first_of_kind[k->index];
}

const struct expr_calendar *rules_calendar(const struct rules *r)
{
    return &r->calendar;
}

const struct rule_level *rule_levels(const struct rule *r, const struct kind *k)
{
    if (r->n_levels == 0)
        return NULL;
    if (r->n_kinds == 0)
        return r->levels[k->index][0].on ? r->levels[k->index] : NULL;
    for (size_t i = 0; i < r->n_kinds; i++) {
        if (r->kinds[i] == k)
            return r->levels[i];
    }
    return NULL;
}
