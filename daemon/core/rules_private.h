/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RULES_PRIVATE_H
#define CORE_RULES_PRIVATE_H
/*
 * rules_private — what the files of rules share; included by core/rules*.c only.
 *
 * Reading is in two passes: every file's rules are read and their conditions compiled, then lints
 * look at the whole set. Notes go to the file that they are about; a condition's place is found again
 * in the file's text, because the YAML tree knows only where a text begins.
 */
#include "base/arena.h"
#include "core/rules.h"

#include <stdint.h>

#define AT(n) (n)->line, (n)->col

#define RULES_SECOND   UINT64_C(1000000000)
#define RULES_DAY      (86400 * RULES_SECOND)
#define RULES_MAX_DAYS 4000 /* of the calendar, each kind of them */
#define RULES_MAX_LIST 256  /* of points, compounds, firms */

struct rule_place { /* where the parts of a rule stand, for lints */
    int id_line, id_col;
    int line[RULE_MAX_LEVELS], col[RULE_MAX_LEVELS];
    size_t file;
};

struct rules {
    struct arena arena;
    const struct catalog *catalog;
    struct rule *list;
    struct rule_place *places; /* by index; freed after the lints */
    size_t n, cap;
    struct expr **exprs; /* all of them, to be freed */
    size_t n_exprs, cap_exprs;
    const struct rule **by_id;    /* sorted by id */
    const struct rule **of_kinds; /* one array; by kind: from first_of_kind[i] to [i + 1] */
    size_t *first_of_kind;
    struct expr_calendar calendar;
    int32_t *days[2]; /* holidays, workdays while they are read */
    size_t n_days[2], cap_days[2];
};

struct rules_file { /* being read */
    const char *name, *text;
    size_t len;
    struct conf_notes notes;
    struct arena tree;
    struct yaml_node *root;
    const char **lines; /* where each begins, in the tree's memory; NULL: not looked for */
    size_t n_lines;
};

struct rules_build {
    struct rules *r;
    struct rules_file *files;
    size_t n_files;
    struct rules_file *f; /* the present one */
    struct conf_notes *notes;
    const char *group;
    struct table *taken;
    bool cut; /* the mapping read last had a text that ends at a comma */
    uint32_t (*expected)(void *ctx, const struct kind *k);
    void *ctx;
};

/* -- YAML: rules_yaml.c ------------------------------------------------------------------ */

struct rules_key {
    const char *name;
    const struct yaml_node **to;
};

void *rules_take(struct rules_build *b, size_t n, size_t size);
const char *rules_copy(struct rules_build *b, const char *s);
const char *rules_what(const struct yaml_node *n); /* "a list" */
size_t rules_count_items(const struct yaml_node *list);
/* Said, with the nearest name or all of them; false when it cannot be told what was meant. */
bool rules_unknown(struct rules_build *b, const struct yaml_node *n, const char *what,
                   const char *const *names, size_t n_names);
bool rules_is_map(struct rules_build *b, const struct yaml_node *n, const char *what);
bool rules_is_list(struct rules_build *b, const struct yaml_node *n, const char *what);
/* False when a key is unknown that may be meant for one of them: what lacks may be there. */
bool rules_read_map(struct rules_build *b, const struct yaml_node *map,
                    const struct rules_key *keys, size_t n, const char *where);
/* NULL when it is not one: said. n NULL: NULL, unsaid. */
const char *rules_text(struct rules_build *b, const struct yaml_node *n, const char *what);
/* One line for people, at most max bytes; "" when there is none or it is refused. */
const char *rules_line(struct rules_build *b, const struct yaml_node *n, const char *what,
                       size_t max);
bool rules_bool(struct rules_build *b, const struct yaml_node *n, const char *what,
                bool otherwise);
bool rules_number(struct rules_build *b, const struct yaml_node *n, const char *what,
                  double *out);
bool rules_uint(struct rules_build *b, const struct yaml_node *n, const char *what,
                unsigned min, unsigned max, unsigned *out);
bool rules_duration(struct rules_build *b, const struct yaml_node *n, const char *what,
                    uint64_t min, uint64_t max, uint64_t *out);
/* The index of the word, or -1: said. */
int rules_word(struct rules_build *b, const struct yaml_node *n, const char *what,
               const char *const *words, size_t n_words);
/* A word or a list of them, each a code and there once; false: said. */
bool rules_codes(struct rules_build *b, const struct yaml_node *n, const char *what,
                 bool (*right)(const char *s, size_t n), const char *expected,
                 const char *const **out, size_t *out_n);
/* The place of byte `at` of a scalar's text. */
void rules_place_of(const struct rules_file *f, const struct yaml_node *n, size_t at,
                    int *out_line, int *out_col);

/* -- rules_rule.c, rules_level.c, rules_time.c, rules_lint.c -------------------------------- */

void rules_read_rule(struct rules_build *b, const struct yaml_node *n);
bool rules_is_id(const char *s, size_t n); /* [a-z0-9][a-z0-9-]*, at most 64 */
/* known: the kinds are, so that conditions can be compiled. */
void rules_read_levels(struct rules_build *b, const struct yaml_node *n, struct rule *x,
                       struct rule_place *place, const struct yaml_node *off_for, bool known);
/* The mode, where the file does not say it. */
enum rule_mode rules_usual_mode(const struct rules_build *b, const struct rule *x);
uint64_t rules_hash(const struct rules *r, const struct rule *x);
void rules_read_schedule(struct rules_build *b, const struct yaml_node *n, struct rule *x);
void rules_read_calendar(struct rules_build *b, const struct yaml_node *n);
void rules_settle_calendar(struct rules_build *b);
void rules_lint(struct rules_build *b);

/* Of kind i of x->kinds, or of all of the catalogue when x->n_kinds is 0. */
const struct kind *rules_kind(const struct rules *r, const struct rule *x, size_t i);
size_t rules_kinds(const struct rules *r, const struct rule *x);

#endif
