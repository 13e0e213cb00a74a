/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONF_YAML_H
#define CORE_CONF_YAML_H
/*
 * conf_yaml — the YAML of a configuration as a small tree, and the notes about what is wrong in
 * it.
 *
 * libfyaml's events are taken, not its documents: those compare every key of a mapping with
 * every other (10,000 keys: seconds) and have no ceiling. Here size, lines, brackets, nodes and
 * depth have one each; repeated keys are for the walker to find. Aliases, anchors and tags are
 * refused: a file people edit needs none. Read by conf, catalog, profile and codec. Not
 * thread-safe.
 */
#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP, YAML_BAD /* already complained about */ };

struct yaml_node {
    enum yaml_kind kind;
    bool plain; /* a scalar without quotes: only such a one can be null */
    int line, col;
    const char *text;      /* scalar, NUL-terminated */
    struct yaml_node *key; /* of an entry of a mapping */
    struct yaml_node *first, *last, *next;
};

/* What is wrong, collected out of order and handed on sorted by place. */
struct conf_notes {
    struct conf_note *list;
    size_t n, cap, dropped, errors, verdicts;
};

void conf_error(struct conf_notes *notes, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* problems_verdict (base/err.h): counted apart. */
void conf_verdict(struct conf_notes *notes, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void conf_warn(struct conf_notes *notes, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void conf_notes_hand_over(struct conf_notes *notes, const char *file, struct problems *p);
void conf_notes_done(struct conf_notes *notes);

/* The root, or NULL when the text is not YAML (said in notes). Nodes live in the arena. */
struct yaml_node *yaml_parse(const char *text, size_t len, struct arena *arena,
                             struct conf_notes *notes);
bool yaml_is_null(const struct yaml_node *n);

#endif
