/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_REGISTRY_ROW_H
#define CORE_REGISTRY_ROW_H
/*
 * registry_row — one more line for a devices.csv that people keep: in the file's own columns,
 * encoding (UTF-8 with or without BOM, GB18030) and line ends. Nothing else of the file changes.
 * Whether the file is then good is registry_parse's affair. Pure.
 */
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct registry_cell {
    const char *column, *value; /* UTF-8; NULL or "": not said */
};

/* Appends to *out: the file's text with the line behind it. -EINVAL: no header line, no such
 * column, a value that the file's encoding cannot hold, UTF-16: with a text for people. A file
 * of ASCII is UTF-8. */
int registry_row_append(const char *text, size_t len, const struct registry_cell *cells,
                        size_t n, struct buf *out, struct err *err);
/* The same line as UTF-8 and without an end, for people to read; -EINVAL. `header`: the file's
 * text, or its first line. */
int registry_row_text(const char *header, size_t len, const struct registry_cell *cells,
                      size_t n, struct buf *out, struct err *err);

#define REGISTRY_ROW_CODE 65
/* A code for what calls itself `id`: `id` itself if it is one, else made of its letters and
 * digits; "" if there are none. True: it is `id` unchanged, and no source_id is needed. */
bool registry_row_code(const char *id, size_t len, char out[REGISTRY_ROW_CODE]);

#endif
