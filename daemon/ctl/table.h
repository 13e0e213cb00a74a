/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H
/*
 * table — aligned columns for a terminal, also where cells hold Chinese (two columns a character).
 *
 * Cells are UTF-8; control characters and invalid bytes are shown as "?", so that nothing which a
 * device sent can steer the terminal. Cells longer than the column's ceiling end in "…".
 */
#include <stddef.h>
#include <stdio.h>

#define CTL_TABLE_COLUMNS 14

struct ctl_table;
/* spec: "Name|Rate>|Text:40": > right-aligned, :N at most N columns wide. */
struct ctl_table *ctl_table_new(const char *spec);
void ctl_table_free(struct ctl_table *t);
void ctl_table_add(struct ctl_table *t, const char *const *cells); /* one per column; copies */
void ctl_table_print(const struct ctl_table *t, FILE *to);

size_t ctl_width(const char *s); /* columns on a terminal */
char *ctl_clean(const char *s, size_t len,
                size_t most); /* printable, ≤ most columns; malloc'ed */

#endif
