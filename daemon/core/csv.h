/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CSV_H
#define CORE_CSV_H
/*
 * csv — the rows of a CSV text, with the place of every field.
 *
 * RFC 4180 through libcsv in strict mode; commas, double quotes, lines ended by LF, CR LF or
 * CR; blanks around fields that are not quoted are dropped, empty lines too. libcsv knows no
 * places: it is fed up to each comma and line end, which is where it hands fields out; a line without
 * quotes at once, for its fields are where its commas are. A row
 * that is broken (a stray quote, longer than CSV_LINE_MAX) is a problem with its place; reading
 * goes on with the next line, and ends after CSV_BROKEN_MAX such rows.
 */
#include "base/err.h"

#include <stddef.h>

#define CSV_LINE_MAX   65536
#define CSV_FIELDS_MAX 256
#define CSV_BROKEN_MAX 200

struct csv_field {
    const char
        *text; /* NUL-terminated, valid during the call; may hold NUL only if the input does */
    size_t len;
    size_t at; /* offset in the input: for csv_place */
};

struct csv_row {
    const struct csv_field *fields;
    size_t n;
    const char *input;
    size_t begin; /* offset of the row */
    int line;     /* its first line, from 1 */
};

typedef void csv_row_fn(void *ctx, const struct csv_row *row);

/* 0, or -EINVAL when a row was broken. */
int csv_read(const char *text, size_t len, const char *file, struct problems *problems,
             csv_row_fn *fn, void *ctx);
/* Line and column (in characters, from 1) of a field. */
void csv_place(const struct csv_row *row, size_t field, int *out_line, int *out_col);

#endif
